import { describe, expect, it } from "vitest";
import { BETWEEN, LocalCrew, Loop, type Between, type Crew } from "../../src/time/loop.ts";
import { newSiteTransport, serveSiteApi } from "../../src/client/site-transport.ts";
import type { WatchEvent } from "../../src/client/transport.ts";
import { newRandom } from "../../src/time/random.ts";
import { Site, type SiteMessage } from "../../src/time/site.ts";

const hop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const nothingBetween: Between = { accept() {}, flush: () => [], nextNs: () => Infinity };
const WINDOW_NS = 1000;

/** A world of chattering sites spread over `crews` crews; returns what each site saw and when. */
async function chatter(seed: number, siteCount: number, crewCount: number): Promise<string[][]> {
  const crews = Array.from({ length: crewCount }, () => new LocalCrew(hop));
  const crewOf = (site: number): number => site % crewCount;
  const random = newRandom(seed);
  const logs: string[][] = [];
  const sites = Array.from({ length: siteCount }, (_, index) => {
    const crew = crews[crewOf(index)] as LocalCrew;
    const site = new Site({ name: `s${index}`, index, epochMs: 0, random: random.fork(`s${index}`), post: crew.post });
    crew.add(site);
    const log: string[] = [];
    logs.push(log);
    let left = 40;
    const act = async (why: string): Promise<void> => {
      log.push(`${site.nowNs()} ${why}`);
      if (left-- <= 0) return;
      const to = site.random.below(siteCount);
      if (to !== index) site.send(to, "talk", `${index}:${left}`, WINDOW_NS + site.random.below(3 * WINDOW_NS));
      await site.sleep(site.random.below(2000) / 1e6);
      await Promise.resolve();
      log.push(`${site.nowNs()} slept`);
      if (site.random.below(3) === 0) await act("again");
    };
    site.listen("talk", (data: string, from) => void act(`${data} from ${from}`));
    void act("begin");
    return site;
  });
  const remote: Crew[] = crews.slice(1);
  const loop = new Loop({ local: crews[0] as LocalCrew, remote, user: sites[0] as Site, crewOf, between: nothingBetween, windowNs: WINDOW_NS });
  await loop.runTo(1e9);
  return logs;
}

describe("the loop", () => {
  it("gives every site the same history over any number of crews", async () => {
    for (let seed = 1; seed <= 25; seed++) {
      const one = await chatter(seed, 7, 1);
      expect(one.flat().length).toBeGreaterThan(100);
      expect(await chatter(seed, 7, 2)).toEqual(one);
      expect(await chatter(seed, 7, 4)).toEqual(one);
    }
  });

  it("gives another history for another seed", async () => {
    expect(await chatter(1, 5, 1)).not.toEqual(await chatter(2, 5, 1));
  });

  const world = (): { site: Site; loop: Loop } => {
    const crew = new LocalCrew(hop);
    const site = new Site({ name: "s", index: 0, epochMs: 1000, random: newRandom(1), post: crew.post });
    crew.add(site);
    return { site, loop: new Loop({ local: crew, user: site, crewOf: () => 0, between: nothingBetween, windowNs: WINDOW_NS }) };
  };

  it("runs timers in order of time, then of arming, each after the promises of the one before", async () => {
    const { site, loop } = world();
    const log: string[] = [];
    site.after(2, () => log.push(`b ${site.nowMs()}`));
    site.after(1, () => void Promise.resolve().then(() => log.push("a's promise")));
    site.after(1, () => log.push("a2"));
    site.after(1.5, () => log.push("never"))();
    await loop.runTo(3e6);
    expect(log).toEqual(["a's promise", "a2", "b 1002"]);
  });

  it("stops right before the asked instant and goes on from there", async () => {
    const { site, loop } = world();
    const log: number[] = [];
    for (let i = 1; i <= 4; i++) site.after(i, () => log.push(i));
    await loop.runTo(2e6);
    expect(log).toEqual([1]);
    await loop.runTo(2e6 + 1);
    expect(log).toEqual([1, 2]);
    await loop.runTo(1e9);
    expect(log).toEqual([1, 2, 3, 4]);
  });

  it("drives a wish, with time standing still as soon as it came true", async () => {
    const { site, loop } = world();
    let later = false;
    site.after(60_000, () => (later = true));
    await loop.drive(site.sleep(5));
    expect(site.nowNs()).toBe(5e6);
    expect(later).toBe(false);
  });

  it("rejects a wish that nothing can fulfil any more", async () => {
    const { loop } = world();
    await expect(loop.drive(new Promise(() => {}))).rejects.toThrow("deadlock");
  });

  it("refuses to be run twice at once", async () => {
    const { site, loop } = world();
    const first = loop.drive(site.sleep(1));
    await expect(loop.drive(site.sleep(1))).rejects.toThrow("already running");
    await first;
  });

  it("rejects a sleep at once when its signal aborts, and leaves no timer behind", async () => {
    const { site, loop } = world();
    const controller = new AbortController();
    const slept = site.sleep(1000, controller.signal);
    site.after(1, () => controller.abort("enough"));
    await expect(loop.drive(slept)).rejects.toBe("enough");
    expect(site.nowNs()).toBe(1e6);
    expect(site.nextNs()).toBe(Infinity);
  });

  it("runs an engine when its deadline comes, and later events when its work is done", async () => {
    const { site, loop } = world();
    const log: string[] = [];
    let deadline = 1000;
    site.attach({
      pending: false,
      deadlineNs: () => deadline,
      run(nowNs) {
        log.push(`engine ${nowNs}`);
        deadline = Infinity;
        return nowNs + 500; // half a microsecond of work
      },
    });
    site.after(0.0012, () => log.push(`timer ${site.nowNs()}`));
    await loop.runTo(1e6);
    expect(log).toEqual(["engine 1000", "timer 1500"]);
  });

  it("hands what is between the sites everything sent before the window's end, and nothing later", async () => {
    const crew = new LocalCrew(hop);
    const site = new Site({ name: "s", index: 0, epochMs: 0, random: newRandom(1), post: crew.post });
    crew.add(site);
    const waiting: SiteMessage[] = [];
    const flushed: string[] = [];
    const between: Between = {
      accept: (message) => void waiting.push(message),
      nextNs: () => waiting.reduce((next, { timeNs }) => Math.min(next, timeNs), Infinity),
      flush(endNs) {
        for (const message of waiting.splice(0)) {
          if (message.timeNs >= endNs) waiting.push(message);
          else flushed.push(`${message.timeNs} before ${endNs}`);
        }
        return [];
      },
    };
    const loop = new Loop({ local: crew, user: site, crewOf: () => 0, between, windowNs: WINDOW_NS });
    site.after(0, () => {
      site.sendAt(BETWEEN, "frame", "a", 10);
      site.sendAt(BETWEEN, "frame", "b", 5000);
    });
    await loop.runTo(1e6);
    expect(flushed).toEqual(["10 before 1000", "5000 before 6000"]);
  });
});

describe("the generator", () => {
  it("forks streams that depend on seed and label only", () => {
    const a = newRandom(7);
    const before = a.fork("x").uint32();
    a.uint32();
    expect(a.fork("x").uint32()).toBe(before);
    expect(a.fork("y").uint32()).not.toBe(before);
    expect(newRandom(8).fork("x").uint32()).not.toBe(before);
  });

  it("spreads below a bound evenly and within it", () => {
    const random = newRandom(3);
    const counts = new Array<number>(7).fill(0);
    for (let i = 0; i < 70_000; i++) counts[random.below(7)]! += 1;
    // Chi-square with 6 degrees of freedom: 22.46 at p = 0.001.
    const chi = counts.reduce((sum, count) => sum + (count - 10_000) ** 2 / 10_000, 0);
    expect(chi).toBeLessThan(22.46);
    for (let i = 0; i < 1000; i++) {
      const value = random.float();
      expect(value >= 0 && value < 1).toBe(true);
    }
  });
});

describe("the API between sites", () => {
  it("ends a watch that fails on its way with the failure", async () => {
    const crew = new LocalCrew(hop);
    const [client, server] = [0, 1].map((index) => new Site({ name: `s${index}`, index, epochMs: 0, random: newRandom(index), post: crew.post })) as [Site, Site];
    crew.add(client);
    crew.add(server);
    const loop = new Loop({ local: crew, user: client, crewOf: () => 0, between: nothingBetween, windowNs: WINDOW_NS });
    async function* broken(): AsyncGenerator<WatchEvent> {
      yield { type: "ADDED", object: 1 };
      await server.sleep(5);
      throw new Error("http2: client connection lost");
    }
    serveSiteApi(server, async () => ({ status: 200, headers: {}, stream: broken() }));
    const seen: unknown[] = [];
    const watching = async (): Promise<void> => {
      const { stream } = await newSiteTransport(client, 1)({ method: "GET", path: "/api/v1/pods?watch=true" });
      for await (const { object } of stream!) seen.push(object);
    };
    await expect(loop.drive(watching())).rejects.toThrow("http2: client connection lost");
    expect(seen).toEqual([1]);
  });
});
