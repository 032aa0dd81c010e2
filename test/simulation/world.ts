/** A complete cluster in virtual time, put together so that each process's way to the API server and each machine can fail. */
import { readFileSync } from "node:fs";
import { createClient, type Client } from "../../src/client/client.ts";
import { ALL_RESOURCES } from "../../src/api/more-resources.ts";
import type { KubeObject } from "../../src/apimachinery/meta.ts";
import { newKubelets } from "../../src/client/site-streams.ts";
import { serveSiteApi } from "../../src/client/site-transport.ts";
import type { ApiRequest, ApiResponse } from "../../src/client/transport.ts";
import { complete } from "../../src/complete.ts";
import * as completeNode from "../../src/complete-node.ts";
import { defineImage, type Image } from "../../src/cri/program.ts";
import { serveHttp } from "../../src/http/server.ts";
import { KernelInstance, newKernelMemory } from "../../src/kernel/memory.ts";
import { createApiServer, stamp } from "../../src/kube-apiserver/server.ts";
import { createControllerManager, type ControllerManager } from "../../src/kube-controller-manager/controller-manager.ts";
import { createScheduler } from "../../src/kube-scheduler/scheduler.ts";
import type { Logger } from "../../src/log.ts";
import { createNodeSite, type NodeSettings, type NodeSite } from "../../src/node-site.ts";
import { createMemoryStorage } from "../../src/storage/memory.ts";
import type { Storage, StorageEvent } from "../../src/storage/storage.ts";
import type { Clock } from "../../src/time/clock.ts";
import { SITE_API_LATENCY_NS } from "../../src/time/costs.ts";
import { hopOf } from "../../src/time/loading.ts";
import { LocalCrew, Loop } from "../../src/time/loop.ts";
import { newRandom } from "../../src/time/random.ts";
import { Site } from "../../src/time/site.ts";
import { defaultLink, UnderlaySwitch } from "../../src/underlay/switch.ts";
import { platform } from "../../runtimes/node/platform.ts";
import { PROCESSES, Way, type Fault, type WayDeps } from "./faults.ts";

export interface Machine {
  readonly name: string;
  /** Absent: without power. */
  running: { readonly node: NodeSite; readonly way: Way } | undefined;
}

interface Process {
  way: Way;
  stop: AbortController;
  manager?: ControllerManager;
}

export interface World {
  readonly user: Site;
  readonly storage: Storage<KubeObject>;
  /** Without faults. */
  readonly client: Client;
  readonly machines: readonly Machine[];
  readonly active: Set<Fault>;
  /** Errors that components logged. */
  readonly log: string[];
  /** The controller manager that runs now. */
  manager(): ControllerManager | undefined;
  /** When the last fault that took something away was on; -Infinity: never. */
  lastFaultNs(): number;
  /** Whether the controller manager may not have heard of what happened lately: its watches were silent, or late. */
  stale(): boolean;
  begin(fault: Fault): void;
  end(fault: Fault): void;
  drive<T>(work: Promise<T>): Promise<T>;
  close(): void;
}

export interface WorldOptions {
  readonly seed: number;
  readonly nodes: number;
  /** What is told of every request that was answered, and of those whose answer was lost. */
  readonly answered: (request: ApiRequest, response: ApiResponse) => void;
  readonly ambiguous: (request: ApiRequest, body: unknown) => void;
  readonly violated: (what: string) => void;
  /** Every change of the store. */
  readonly event: (event: StorageEvent<KubeObject>) => void;
  readonly verbose?: ((line: string) => void) | undefined;
}

const EPOCH_MS = 1735689600000;
/** A silent watch is given up after 45 s; what comes after it may fail a few times. */
const RELIST_MS = 90_000;
const USER = 0, MASTER = 1, FIRST = 2;

let kernel: Promise<WebAssembly.Module> | undefined;

/** `serve READY_MS`: HTTP on 8080, healthy after so long. `work MS CODE FAIL`: ends after so long, with FAIL percent of chance with 1. `fail`: ends at once. */
export const APP: Image = defineImage({
  name: "sim.io/app:1", entrypoint: ["app"], base: "scratch",
  async run({ argv, clock, net, signal, random, usage }) {
    const [, verb, a = "0", b = "0", c = "0"] = argv;
    if (verb === "fail") return 1;
    if (verb === "work") {
      await clock.sleep(Number(a), signal).catch(() => undefined);
      if (signal.aborted) return 143;
      return random.below(100) < Number(c) ? 1 : Number(b);
    }
    const healthyAt = clock.nowNs() + Number(a) * 1e6;
    void usage.cpu(50);
    await serveHttp({ net, port: 8080, signal, handler: () => ({ status: clock.nowNs() < healthyAt ? 503 : 200, reason: "", headers: [], body: new Uint8Array() }) });
    return 0;
  },
});

export async function newWorld(options: WorldOptions): Promise<World> {
  const { seed, nodes, violated } = options;
  kernel ??= WebAssembly.compile(readFileSync("build/kernel.plain.wasm"));
  const random = newRandom(seed);
  const underlay = new UnderlaySwitch(random.fork("underlay"));
  const crew = new LocalCrew(hopOf(platform));
  const user = new Site({ name: "user", index: USER, epochMs: EPOCH_MS, random: random.fork("user"), post: crew.post });
  const master = new Site({ name: "control-plane", index: MASTER, epochMs: EPOCH_MS, random: random.fork("control-plane"), post: crew.post });
  crew.add(user);
  crew.add(master);
  const lines: string[] = [];
  const newLog = (who: string): Logger => ({
    info() {},
    error: (message, fields) => {
      const err = fields?.["err"];
      const line = `${(user.nowNs() / 1e9).toFixed(3)} ${who}: ${message} ${JSON.stringify({ ...fields, err: undefined, error: undefined })} ${err instanceof TypeError || err instanceof RangeError ? err.stack : String(err ?? fields?.["error"] ?? "")}`;
      lines.push(line);
      options.verbose?.(line);
    },
    with: (fields) => newLog([who, ...["node", "component"].flatMap((key) => (fields[key] === undefined ? [] : [String(fields[key])]))].join("/")),
  });
  const storage = createMemoryStorage<KubeObject>({ stamp });
  storage.watch("", 0, { event: options.event });
  const active = new Set<Fault>();
  /** Indexes change with every start of a machine: nothing that was sent to the one before reaches it. */
  const addresses: { name: string; index: number }[] = Array.from({ length: nodes }, (_, i) => ({ name: `node-${i + 1}`, index: -1 }));
  const server = createApiServer({
    clock: master, random: random.fork("server"), log: newLog("kube-apiserver"), storage, extension: complete.extension,
    kubelets: newKubelets(master, addresses, SITE_API_LATENCY_NS),
  });
  const deps: WayDeps = { clock: master, handle: server.handle, active, violated, answered: options.answered, ambiguous: options.ambiguous };
  const newWay = (who: string, life: number): Way => new Way(who, random.fork(`way ${who} ${life}`), deps);
  const client = createClient(new Way("user", random.fork("way user"), { ...deps, active: new Set() }).transport, { userAgent: "user", resources: ALL_RESOURCES });

  /** Machines' ways, by the site that asks. */
  const byIndex = new Map<number, Way>();
  let asking = 0;
  const front = Object.create(master, {
    listen: { value: (port: string, handler: (data: never, from: number) => void) => master.listen(port, (data, from) => {
      asking = from;
      handler(data, from);
    }) },
    send: { value: master.send.bind(master) },
  }) as Site;
  serveSiteApi(front, (request, signal) => byIndex.get(asking)?.transport(request, signal) ?? new Promise(() => {}));

  const instance = new KernelInstance(await kernel, newKernelMemory(false));
  const settings: NodeSettings = {
    seed, epochMs: EPOCH_MS, controlPlane: MASTER, clusterDns: "10.96.0.10", clusterDomain: "cluster.local", podCidr: "10.244.0.0/16",
    observe: {}, streams: true, anyImage: false,
  };
  const images = [1, 2, 3, 4].map((version) => ({ ...APP, name: `sim.io/app:${version}` }));
  const machines: Machine[] = addresses.map(({ name }) => ({ name, running: undefined }));
  let lives = 0;
  const powerOn = (i: number): void => {
    const index = FIRST + lives++;
    const { name } = addresses[i]!;
    addresses[i]!.index = index;
    underlay.plug(index, defaultLink);
    const way = newWay(name, index);
    byIndex.set(index, way);
    const spec = { name, index, address: `172.18.0.${i + 2}/16`, gateway: "172.18.0.1", mac: `02:42:ac:12:00:0${i + 2}`, mtu: 1500, bootNs: user.nowNs() };
    const node = createNodeSite(spec, settings, { instance, images, log: newLog("node"), post: crew.post, complete: completeNode });
    crew.add(node.site);
    machines[i]!.running = { node, way };
  };
  const powerOff = (i: number): void => {
    const { running } = machines[i]!;
    if (running === undefined) return;
    running.way.kill();
    running.node.site.crash();
    underlay.unplug(running.node.site.index);
    byIndex.delete(running.node.site.index);
    machines[i]!.running = undefined;
  };

  const processes = new Map<string, Process>();
  const skews = new Map<string, number>();
  const clockOf = (who: string): Clock => ({
    nowNs: () => master.nowNs(), nowMs: () => master.nowMs() + (skews.get(who) ?? 0), after: (...timer) => master.after(...timer), sleep: (...timer) => master.sleep(...timer),
  });
  let incarnations = 0;
  const spawn = (name: string): void => {
    const life = incarnations++;
    const way = newWay(name, life);
    const stop = new AbortController();
    const process: Process = { way, stop };
    processes.set(name, process);
    const parts = { transport: way.transport, clock: clockOf(name), random: random.fork(`${name} ${life}`), log: newLog(name) };
    // As the binary does: who loses the Lease ends, and is started again.
    const lost = (): void => {
      if (processes.get(name) !== process) return;
      exit(name);
      master.after(2000, () => spawn(name));
    };
    const run = async (): Promise<void> => {
      await complete.elect({ ...parts, name }, lost, stop.signal);
      if (name === "kube-scheduler") await createScheduler({ ...parts, ...complete.scheduler(undefined) }).start(stop.signal);
      else {
        process.manager = createControllerManager({ ...parts, clusterCidr: "10.244.0.0/16", known: complete.controllers, resources: complete.resources, accounts: complete.accounts });
        await process.manager.start(stop.signal);
      }
    };
    run().catch((error: unknown) => {
      if (stop.signal.aborted) return;
      newLog(name).error("exited", { err: error });
      lost();
    });
  };
  const exit = (name: string): void => {
    const process = processes.get(name);
    process?.way.kill();
    process?.stop.abort(new Error("killed"));
    processes.delete(name);
  };

  // No machine's wire is shorter: the window must hold for all of them.
  const loop = new Loop({ local: crew, user, crewOf: () => 0, between: underlay, windowNs: 2 * defaultLink.latencyNs });
  for (let i = 0; i < nodes; i++) powerOn(i);
  for (const name of PROCESSES) spawn(name);

  let lastFaultNs = -Infinity;
  /** Since when its watches hear everything again. */
  let heardNs = -Infinity;
  const deafens = ({ kind, who }: Fault): boolean => (kind === "watches" || kind === "cut" || kind === "slow") && (who === "*" || who === PROCESSES[0]);
  return {
    stale: () => user.nowNs() < heardNs || [...active].some(deafens),
    lastFaultNs: () => (active.size > 0 ? user.nowNs() : lastFaultNs),
    user, storage, client, machines, active, log: lines,
    manager: () => processes.get(PROCESSES[0])?.manager,
    begin(fault) {
      const at = addresses.findIndex(({ name }) => name === fault.who);
      const running = machines[at]?.running;
      active.add(fault);
      switch (fault.kind) {
        case "crash": powerOff(at); break;
        case "pause": running?.node.site.advanceTo(user.nowNs() + fault.forMs * 1e6); break;
        case "restart": exit(fault.who); break;
        case "jump": skews.set(fault.who, (skews.get(fault.who) ?? 0) + fault.ms); break;
        case "wire": if (running !== undefined) underlay.plug(running.node.site.index, { ...defaultLink, loss: fault.loss, latencyNs: fault.latencyNs }); break;
        case "compact": void storage.revision().then((revision) => storage.compact(revision - 1)).catch(() => undefined); break;
        default: {
          const ways = [...byIndex.values(), ...[...processes.values()].map(({ way }) => way)];
          for (const way of ways) if (fault.who === "*" || fault.who === way.who) way.hit(fault);
        }
      }
    },
    end(fault) {
      const at = addresses.findIndex(({ name }) => name === fault.who);
      active.delete(fault);
      lastFaultNs = user.nowNs();
      if (deafens(fault)) heardNs = lastFaultNs + RELIST_MS * 1e6;
      switch (fault.kind) {
        case "crash": if (machines[at]!.running === undefined) powerOn(at); break;
        case "restart": if (!processes.has(fault.who)) spawn(fault.who); break;
        case "wire": {
          const running = machines[at]!.running;
          if (running !== undefined) underlay.plug(running.node.site.index, defaultLink);
          break;
        }
        default:
      }
    },
    drive: (work) => loop.drive(work),
    close() {
      for (const name of [...processes.keys()]) exit(name);
      machines.forEach((_, i) => powerOff(i));
    },
  };
}
