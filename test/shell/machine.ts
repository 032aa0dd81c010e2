/** A container of the busybox image in virtual time, without a node: what a command says and how it ends. */
import type { Image } from "../../src/cri/program.ts";
import type { ContainerConfig } from "../../src/cri/types.ts";
import type { RunningProcess, UserlandContainer } from "../../src/cri/userland.ts";
import { newContainer } from "../../src/shell/container.ts";
import type { Clock } from "../../src/time/clock.ts";
import { newRandom } from "../../src/time/random.ts";

/** Time passes when nothing else can happen. */
export class IdleClock implements Clock {
  #now = 0;
  #timers: { at: number; run: (() => void) | undefined }[] = [];
  readonly epochMs = 1_735_689_600_000;

  nowNs(): number {
    return this.#now;
  }

  nowMs(): number {
    return this.epochMs + this.#now / 1e6;
  }

  after(delayMs: number, run: () => void): () => void {
    const timer: { at: number; run: (() => void) | undefined } = { at: this.#now + Math.ceil(delayMs * 1e6), run };
    let i = this.#timers.length;
    while (i > 0 && this.#timers[i - 1]!.at > timer.at) i--;
    this.#timers.splice(i, 0, timer);
    return () => (timer.run = undefined);
  }

  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.after(delayMs, resolve));
  }

  /** False: nothing is due any more, or not before `untilNs`, which it is then. */
  step(untilNs = Infinity): boolean {
    for (let next; (next = this.#timers[0]) !== undefined;) {
      if (next.run !== undefined && next.at > untilNs) break;
      this.#timers.shift();
      if (next.run === undefined) continue;
      this.#now = Math.max(this.#now, next.at);
      next.run();
      return true;
    }
    if (untilNs !== Infinity) this.#now = Math.max(this.#now, untilNs);
    return false;
  }
}

const busybox: Image = { name: "busybox", entrypoint: [], cmd: ["sh"], run: () => Promise.reject(new Error("no such program")) };

const none = (): never => {
  throw new Error("there is no network here");
};

export interface Box {
  readonly clock: IdleClock;
  readonly container: UserlandContainer;
  /** Runs to the end. */
  run(argv: readonly string[], input?: string | Uint8Array): Promise<{ code: number; stdout: string; stderr: string; bytes: Uint8Array }>;
  start(argv: readonly string[], options?: { tty?: boolean; stdin?: boolean }): { process: RunningProcess; output(): string };
  /** Lets everything happen that can, up to `ms` of virtual time. */
  settle(ms?: number): Promise<void>;
}

const hop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export function newBox(config: Partial<ContainerConfig> = {}, image: Image = busybox): Box {
  const clock = new IdleClock();
  const container = newContainer({
    id: "0", image, hostname: "box", clock, random: newRandom(1), api: none as never,
    netns: { links: () => [], link: () => undefined, sysctl: none, snmp: () => ({}) } as never,
    newSockets: () => ({ udp: none, listen: none, connect: none, ping: none, closeAll() {} }) as never,
    usage: { cpu: async () => {}, memory() {} }, onCpu() {},
    config: { name: "box", attempt: 0, image: image.name, env: {}, readFile: () => undefined, ...config },
  });
  const join = (parts: Uint8Array[]): Uint8Array => Buffer.concat(parts);
  const box: Box = {
    clock, container,
    async run(argv, input = "") {
      const out: Uint8Array[] = [], err: Uint8Array[] = [];
      const process = container.run(argv, { stdout: (bytes) => out.push(bytes), stderr: (bytes) => err.push(bytes), stdin: true, tty: false });
      process.write(typeof input === "string" ? new TextEncoder().encode(input) : input);
      process.eof();
      let code: number | undefined, failure: unknown;
      process.ended.then((status) => (code = status), (error: unknown) => (failure = error));
      while (code === undefined && failure === undefined) {
        await hop();
        if (code === undefined && failure === undefined && !clock.step()) {
          await hop();
          if (code === undefined && failure === undefined) throw new Error(`it waits for ever: ${argv.join(" ")}`);
        }
      }
      if (failure !== undefined) throw failure as Error;
      const bytes = join(out);
      return { code: code!, stdout: Buffer.from(bytes).toString(), stderr: Buffer.from(join(err)).toString(), bytes };
    },
    start(argv, { tty = false, stdin = true } = {}) {
      let text = "";
      const process = container.run(argv, { stdout: (bytes) => (text += Buffer.from(bytes).toString()), stderr: (bytes) => (text += Buffer.from(bytes).toString()), stdin, tty });
      process.ended.catch(() => {});
      return { process, output: () => text };
    },
    async settle(ms = 10_000) {
      const end = clock.nowNs() + ms * 1e6;
      for (;;) {
        await hop();
        if (!clock.step(end)) return;
      }
    },
  };
  return box;
}
