/**
 * Nodes for tests: kernel.wasm (built when it is missing or out of date), a clock that the test turns, raw frames into NICs and
 * out of them.
 */
import { readFileSync } from "node:fs";
import { buildKernel } from "../../scripts/lib/kernel.mjs";
import { devices } from "../../src/kernel/devices.ts";
import { useFullIptables } from "../../src/kernel/iptables/full.ts";
import { createNodeKernel, type NodeKernelHandle, type SentFrame } from "../../src/kernel/kernel.ts";
import { KernelInstance, newKernelMemory } from "../../src/kernel/memory.ts";
import type { Cancel, Clock } from "../../src/time/clock.ts";

// The core's part of iptables alone is what test/node has.
useFullIptables();

const root = new URL("../../", import.meta.url);

/** The directory of the shared oracle and recordings. */
export const shared = new URL(`${process.env["KUBEWIRE_SHARED"] ?? "../shared"}/`, root);

const compiled = new Map<string, Promise<WebAssembly.Module>>();

/** The kernel with its assertions on (`debug`), or as it is shipped. */
export function kernelModule(build: "debug" | "release" = "debug"): Promise<WebAssembly.Module> {
  let module = compiled.get(build);
  if (module === undefined) {
    const [variant, file] = build === "debug" ? ["debug" as const, "kernel.debug.wasm"] : ["full" as const, "kernel.wasm"];
    module = buildKernel(root, [variant]).then(() => new WebAssembly.Module(readFileSync(new URL(`build/${file}`, root))));
    compiled.set(build, module);
  }
  return module;
}

export interface TestNodeOptions {
  readonly seed?: number;
  /** Another instance's memory, to run several nodes in one kernel. */
  readonly instance?: KernelInstance;
  readonly build?: "debug" | "release";
  readonly name?: string;
}

export interface TestNode {
  readonly kernel: NodeKernelHandle;
  readonly instance: KernelInstance;
  readonly clock: Clock;
  /** Frames that left NICs since the last `takeFrames`, oldest first. */
  readonly frames: SentFrame[];
  takeFrames(): SentFrame[];
  /** Observation records so far. */
  readonly observed: Uint8Array[];
  /** Runs the kernel and the settled timers at the present instant until nothing moves. Programs' promises settle too. */
  settle(): Promise<void>;
  /** Lets `ms` of virtual time pass; kernel timers and clock timers fire in order on the way. */
  advance(ms: number): Promise<void>;
  /** The kernel alone, synchronously, at the present instant. */
  run(): void;
  /** Hex or bytes of an Ethernet frame into NIC `ifindex`. */
  inject(ifindex: number, frame: string | Uint8Array): void;
}

interface Due {
  readonly atNs: number;
  readonly sequence: number;
  readonly run: () => void;
}

/** A clock turned by hand. */
function handClock(): { clock: Clock; due: Due[]; set(ns: number): void } {
  let now = 0;
  let sequence = 0;
  const due: Due[] = [];
  const after = (delayMs: number, run: () => void): Cancel => {
    const entry: Due = { atNs: now + Math.max(0, Math.round(delayMs * 1e6)), sequence: sequence++, run };
    due.push(entry);
    due.sort((a, b) => a.atNs - b.atNs || a.sequence - b.sequence);
    return () => {
      const at = due.indexOf(entry);
      if (at >= 0) due.splice(at, 1);
    };
  };
  return {
    due,
    set(ns) {
      if (ns > now) now = ns;
    },
    clock: {
      nowNs: () => now,
      nowMs: () => Date.UTC(2026, 0, 1) + now / 1e6,
      after,
      sleep: (delayMs, signal) =>
        new Promise((resolve, reject) => {
          const cancel = after(delayMs, () => {
            signal?.removeEventListener("abort", abort);
            resolve();
          });
          const abort = (): void => {
            cancel();
            reject(signal?.reason);
          };
          if (signal?.aborted) abort();
          else signal?.addEventListener("abort", abort, { once: true });
        }),
    },
  };
}

const macrotask = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A node of its own (or one more of `options.instance`), with the time at 0. */
export async function createTestNode(options: TestNodeOptions = {}): Promise<TestNode> {
  const instance =
    options.instance ?? new KernelInstance(await kernelModule(options.build), newKernelMemory(true));
  const { clock, due, set } = handClock();
  const frames: SentFrame[] = [];
  const observed: Uint8Array[] = [];
  let kicked = false;
  const kernel = createNodeKernel(instance, {
    name: options.name ?? "node",
    seed: options.seed ?? 1,
    clock,
    devices,
    onFrame: (frame) => frames.push(frame),
    onObserved: (records) => observed.push(records),
    onKick: () => {
      kicked = true;
    },
  });
  let deadlineNs = Infinity;
  const run = (): void => {
    kicked = false;
    const status = kernel.runUntil(clock.nowNs());
    set(status.nowNs);
    deadlineNs = status.deadlineNs;
  };
  const settle = async (): Promise<void> => {
    for (let quiet = 0; quiet < 2;) {
      run();
      await macrotask();
      quiet = kicked ? 0 : quiet + 1;
    }
  };
  return {
    kernel,
    instance,
    clock,
    frames,
    observed,
    takeFrames: () => frames.splice(0),
    settle,
    run,
    async advance(ms) {
      const end = clock.nowNs() + Math.round(ms * 1e6);
      await settle();
      while (true) {
        const next = Math.min(deadlineNs, due[0]?.atNs ?? Infinity);
        if (next > end) break;
        set(next);
        while (due[0] !== undefined && due[0].atNs <= clock.nowNs()) due.shift()!.run();
        await settle();
      }
      set(end);
      await settle();
    },
    inject(ifindex, frame) {
      kernel.deliver(ifindex, typeof frame === "string" ? Uint8Array.from(Buffer.from(frame, "hex")) : frame);
    },
  };
}
