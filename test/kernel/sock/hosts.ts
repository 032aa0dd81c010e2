/**
 * Hosts on one wire for socket tests: each a node of its own with a NIC, joined by an underlay that loses, repeats, delays and
 * reorders frames as a seed says. Time moves only when nothing is left to do at the present instant.
 */
import { createNodeKernel, type NodeKernelHandle } from "../../../src/kernel/kernel.ts";
import { KernelInstance, newKernelMemory } from "../../../src/kernel/memory.ts";
import type { NetnsSockets } from "../../../src/kernel/socket-calls.ts";
import type { Cancel, Clock } from "../../../src/time/clock.ts";
import { kernelModule } from "../harness.ts";

/** What the wire does to frames; fractions of 1, milliseconds. */
export interface WireOptions {
  readonly delayMs?: number;
  readonly jitterMs?: number;
  readonly loss?: number;
  readonly duplicate?: number;
  /** Frames for which this says false are lost. */
  readonly pass?: (frame: Uint8Array, from: number) => boolean;
}

export interface HostsOptions {
  readonly count?: number;
  readonly seed?: number;
  readonly build?: "debug" | "release";
  readonly mtu?: number;
  readonly wire?: WireOptions;
}

export interface Host {
  readonly index: number;
  readonly address: string;
  readonly mac: string;
  readonly kernel: NodeKernelHandle;
  readonly sockets: NetnsSockets;
  /** A frame into the host's NIC, at the present instant. */
  inject(frame: Uint8Array): void;
}

/** A frame that a host sent, when (ms) and by whom. */
export interface Sent {
  readonly atMs: number;
  readonly from: number;
  readonly frame: Uint8Array;
}

export interface Hosts {
  readonly hosts: readonly Host[];
  readonly clock: Clock;
  /** Everything sent so far. */
  readonly sent: Sent[];
  wire: WireOptions;
  takeSent(): Sent[];
  /** Does everything due at this instant. */
  settle(): Promise<void>;
  /** Lets this much time pass. */
  advance(ms: number): Promise<void>;
  /** Lets time pass until the promise settles; throws after `limitMs` of virtual time. */
  until<T>(promise: Promise<T>, limitMs?: number): Promise<T>;
  /** A random number in [0, 1) of the wire's own stream. */
  random(): number;
}

/** mulberry32 */
export const seeded = (seed: number): (() => number) => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
};

interface Due {
  readonly atNs: number;
  readonly sequence: number;
  readonly run: () => void;
}

/** A binary heap by time, then by order of entry. */
function newAgenda(): { push(due: Due): void; peek(): Due | undefined; pop(): Due } {
  const heap: Due[] = [];
  const less = (a: Due, b: Due): boolean => a.atNs < b.atNs || (a.atNs === b.atNs && a.sequence < b.sequence);
  return {
    peek: () => heap[0],
    push(due) {
      let at = heap.push(due) - 1;
      while (at > 0) {
        const parent = (at - 1) >> 1;
        if (!less(due, heap[parent]!)) break;
        heap[at] = heap[parent]!;
        at = parent;
      }
      heap[at] = due;
    },
    pop() {
      const top = heap[0]!;
      const last = heap.pop()!;
      if (heap.length > 0) {
        let at = 0;
        while (true) {
          let child = 2 * at + 1;
          if (child >= heap.length) break;
          if (child + 1 < heap.length && less(heap[child + 1]!, heap[child]!)) child++;
          if (!less(heap[child]!, last)) break;
          heap[at] = heap[child]!;
          at = child;
        }
        heap[at] = last;
      }
      return top;
    },
  };
}

const macrotask = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export const hostAddress = (index: number): string => `10.0.0.${index + 1}`;
export const hostMac = (index: number): string => `02:00:00:00:00:0${index + 1}`;

/** The NIC of a host: address, and where the others are. */
export function configure(kernel: NodeKernelHandle, index: number, count: number, mtu: number): void {
  const { host } = kernel;
  host.setLink("lo", { up: true });
  host.addLink({ kind: "nic", name: "eth0", mac: hostMac(index), mtu });
  host.addAddress("eth0", `${hostAddress(index)}/24`);
  host.setLink("eth0", { up: true });
  for (let other = 0; other < Math.max(count, 2); other++) {
    if (other !== index) host.setNeigh({ dev: "eth0", dst: hostAddress(other), lladdr: hostMac(other), state: "PERMANENT" });
  }
}

export const nicOf = (kernel: NodeKernelHandle): number => kernel.host.link("eth0")!.ifindex;

/** Creates the hosts, in one kernel memory. */
export async function createHosts(options: HostsOptions = {}): Promise<Hosts> {
  const { count = 2, seed = 1, build = "debug", mtu = 1500 } = options;
  const instance = new KernelInstance(await kernelModule(build), newKernelMemory(true));
  const random = seeded(seed);
  const agenda = newAgenda();
  const sent: Sent[] = [];
  let now = 0;
  let sequence = 0;
  const at = (atNs: number, run: () => void): void => agenda.push({ atNs, sequence: sequence++, run });

  const clock: Clock = {
    nowNs: () => now,
    nowMs: () => now / 1e6,
    after(delayMs, run): Cancel {
      let live = true;
      at(now + Math.max(0, Math.round(delayMs * 1e6)), () => {
        if (live) run();
      });
      return () => {
        live = false;
      };
    },
    sleep: (delayMs) => new Promise((resolve) => at(now + Math.round(delayMs * 1e6), resolve)),
  };

  interface Node {
    kernel: NodeKernelHandle;
    wanted: boolean;
    deadlineNs: number;
    nic: number;
  }
  const nodes: Node[] = [];
  const result: { wire: WireOptions } = { wire: options.wire ?? {} };

  const deliver = (to: number, frame: Uint8Array): void => {
    const node = nodes[to]!;
    node.kernel.deliver(node.nic, frame);
    node.wanted = true;
  };

  const transmit = (from: number, timeNs: number, frame: Uint8Array): void => {
    sent.push({ atMs: timeNs / 1e6, from, frame });
    const { delayMs = 1, jitterMs = 0, loss = 0, duplicate = 0, pass } = result.wire;
    if (pass !== undefined && !pass(frame, from)) return;
    for (let to = 0; to < nodes.length; to++) {
      if (to === from || (frame[5] !== to + 1 && (frame[0]! & 1) === 0)) continue;
      const copies = random() < duplicate ? 2 : 1;
      for (let copy = 0; copy < copies; copy++) {
        if (random() < loss) continue;
        const delay = Math.round((delayMs + random() * jitterMs) * 1e6);
        at(Math.max(now, timeNs) + delay, () => deliver(to, frame));
      }
    }
  };

  for (let index = 0; index < count; index++) {
    const node: Node = { kernel: undefined as unknown as NodeKernelHandle, wanted: true, deadlineNs: Infinity, nic: 0 };
    node.kernel = createNodeKernel(instance, {
      name: `host${index}`,
      seed: seed * 1000 + index,
      clock,
      onFrame: ({ timeNs, bytes }) => transmit(index, timeNs, bytes),
      onKick: () => {
        node.wanted = true;
      },
    });
    nodes.push(node);
    configure(node.kernel, index, count, mtu);
    node.nic = nicOf(node.kernel);
  }

  const runWanted = (): boolean => {
    let ran = false;
    for (const node of nodes) {
      if (!node.wanted && node.deadlineNs > now) continue;
      node.wanted = false;
      node.deadlineNs = node.kernel.runUntil(now).deadlineNs;
      ran = true;
    }
    return ran;
  };

  const settle = async (): Promise<void> => {
    // Two quiet rounds: a program may take a few turns of the loop before it calls again.
    for (let quiet = 0; quiet < 2;) {
      quiet = runWanted() ? 0 : quiet + 1;
      await macrotask();
    }
  };

  /** The next instant at which something is due. */
  const nextNs = (): number => {
    let next = agenda.peek()?.atNs ?? Infinity;
    for (const node of nodes) next = Math.min(next, node.deadlineNs);
    return next;
  };
  const stepTo = async (ns: number): Promise<void> => {
    if (ns > now) now = ns;
    while ((agenda.peek()?.atNs ?? Infinity) <= now) agenda.pop().run();
    await settle();
  };

  const hosts = nodes.map((node, index) => ({
    index,
    address: hostAddress(index),
    mac: hostMac(index),
    kernel: node.kernel,
    sockets: node.kernel.host.sockets as NetnsSockets,
    inject: (frame: Uint8Array) => deliver(index, frame),
  }));

  return Object.assign(result, {
    hosts,
    clock,
    sent,
    takeSent: () => sent.splice(0),
    settle,
    random,
    async advance(ms: number) {
      const end = now + Math.round(ms * 1e6);
      await settle();
      for (let next = nextNs(); next <= end; next = nextNs()) await stepTo(next);
      await stepTo(end);
    },
    async until<T>(promise: Promise<T>, limitMs = 600_000) {
      const end = now + limitMs * 1e6;
      let settled = false;
      promise.then(
        () => (settled = true),
        () => (settled = true),
      );
      await settle();
      while (!settled) {
        const next = nextNs();
        if (next > end) throw new Error(`nothing settled within ${limitMs} ms of virtual time (now ${now / 1e6})`);
        await stepTo(next);
      }
      return promise;
    },
  });
}
