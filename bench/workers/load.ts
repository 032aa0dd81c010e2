/**
 * A two-node load on one thread or two: `node load.mjs THREADS WINDOWS RULES-FILE`. Clients of each node speak to a Service of kube-proxy's rules
 * whose backend is on the other node: DNAT, VXLAN, the underlay, decapsulation, delivery by a NIC. Frames are exchanged at the ends of
 * windows, through shared memory, as the simulation exchanges them. Prints JSON: seconds by the wall and CPU seconds of each thread.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { Worker, isMainThread, parentPort, workerData } from "node:worker_threads";
import { CORE_DELIVER_MANY, CORE_OUTBOX } from "../../assembly/abi/core.ts";
import { createNodeKernel } from "../../src/kernel/kernel.ts";
import { KernelInstance, newKernelMemory } from "../../src/kernel/memory.ts";
import { manualClock } from "../../src/replay/clock.ts";

export interface Load {
  readonly packets: number;
  readonly seconds: number;
  /** By thread, without what it waited. */
  readonly cpuSeconds: number[];
}

interface Part {
  readonly nodes: readonly number[];
  readonly windows: number;
  readonly rules: string;
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** Two outboxes of BOX bytes by node, then the barrier {arrived, turn}. */
  readonly exchange: SharedArrayBuffer;
  readonly threads: number;
}

const FRAME = 60;
const BATCH = 64;
/** Packets that the clients of a node send in a window. */
const PER_WINDOW = 1024;
const FLOWS = 4096;
const BOX = 1 << 18;
const WARM_WINDOWS = 40;
const SERVICE = [10, 96, 1, 1];

function cpuSeconds(): number {
  return Number(readFileSync("/proc/thread-self/schedstat", "utf8").split(" ")[0]) / 1e9;
}

/** Records of CORE_DELIVER_MANY: every client's packet once. */
function clientFrames(node: number): Uint8Array {
  const bytes = new Uint8Array(FLOWS * (4 + FRAME));
  const view = new DataView(bytes.buffer);
  for (let n = 0; n < FLOWS; n++) {
    const at = n * (4 + FRAME);
    view.setUint32(at, FRAME, true);
    bytes.set([2, 0, 0, 0, node, 1, 2, 0, 0, 0, node, 10, 8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 63, 17, 0, 0, 10, 244, 64 + node, n >> 6, ...SERVICE], at + 4);
    view.setUint16(at + 38, 1024 + (n & 63));
    view.setUint16(at + 40, 80);
    view.setUint16(at + 42, 26);
    let sum = 0;
    for (let i = 18; i < 38; i += 2) sum += view.getUint16(at + i);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    view.setUint16(at + 28, ~sum & 0xffff);
  }
  return bytes;
}

/** A node and one window of its work. */
function createSide(part: Part, node: number): (window: number, box: Int32Array, inbox: Int32Array) => number {
  const other = 1 - node;
  const instance = new KernelInstance(part.module, part.memory);
  const { clock, set } = manualClock();
  const { host: netns, handle } = createNodeKernel(instance, { name: `node-${node}`, seed: node + 1, clock });
  netns.addLink({ kind: "nic", name: "eth0", mac: `02:00:00:00:0${node}:01` });
  netns.addLink({ kind: "nic", name: "eth1", mac: `02:00:00:01:0${node}:01` });
  for (const name of ["lo", "eth0", "eth1"]) netns.setLink(name, { up: true });
  netns.setSysctl("net.ipv4.ip_forward", 1);
  netns.addAddress("eth0", `10.0.${node}.1/24`);
  netns.addAddress("eth1", `10.1.0.${node + 1}/24`);
  netns.setNeigh({ dev: "eth0", dst: `10.0.${node}.10`, lladdr: `02:00:00:00:0${node}:0a`, state: "PERMANENT" });
  netns.setNeigh({ dev: "eth1", dst: `10.1.0.${other + 1}`, lladdr: `02:00:00:01:0${other}:01`, state: "PERMANENT" });
  netns.addRoute({ dst: `10.244.${64 + node}.0/24`, via: `10.0.${node}.10`, dev: "eth0" });
  netns.addRoute({ dst: `10.244.2.0/24`, via: `10.0.${node}.10`, dev: "eth0", metric: 10 });
  netns.addLink({ kind: "vxlan", name: "flannel.1", mac: `02:00:00:02:0${node}:01`, mtu: 1450, vni: 1, dstPort: 8472, local: `10.1.0.${node + 1}`,
    dev: "eth1", learning: false, udpCsum: false });
  netns.setLink("flannel.1", { up: true });
  netns.addAddress("flannel.1", `10.244.${200 + node}.0/32`);
  netns.setNeigh({ dev: "flannel.1", dst: `10.244.${200 + other}.0`, lladdr: `02:00:00:02:0${other}:01`, state: "PERMANENT" });
  netns.setFdb({ dev: "flannel.1", lladdr: `02:00:00:02:0${other}:01`, dst: `10.1.0.${other + 1}` });
  // What a client of this node sends goes over; what comes over stays.
  netns.addRule({ iif: "eth0", table: 100, pref: 100 });
  netns.addRoute({ dst: "10.244.2.0/24", via: `10.244.${200 + other}.0`, dev: "flannel.1", onlink: true, table: 100 });
  netns.iptables.restore(part.rules);
  const nics = { eth0: netns.link("eth0")!.ifindex, eth1: netns.link("eth1")!.ifindex };
  const frames = clientFrames(node);
  let now = clock.nowNs();
  let delivered = 0;
  let used = 0;
  let boxed = 0;
  /** Delivers records, runs, and collects what leaves: by eth0 it is there, by eth1 it goes into the box of the window. */
  const deliver = (nic: number, records: Uint8Array, count: number, box: Int32Array): void => {
    instance.view.setUint32(0, nic, true);
    instance.view.setUint32(4, count, true);
    instance.u8.set(records, 8);
    instance.command(handle, CORE_DELIVER_MANY, 8 + records.length, now);
    now = instance.run(handle, now).nowNs;
    const words = instance.command(handle, CORE_OUTBOX, 0, now) >> 2;
    const out = new Int32Array(instance.u8.buffer, instance.u8.byteOffset, words);
    for (let at = 0; at < words;) {
      const length = out[at + 3]!;
      if (out[at + 2] === nics.eth0) delivered++;
      else {
        box[used] = length;
        const end = (length + 3) >> 2;
        for (let i = 0; i < end; i++) box[used + 1 + i] = out[at + 4 + i]!;
        used += 1 + end;
        boxed++;
      }
      at += ((16 + length + 7) & ~7) >> 2;
    }
  };
  return (window, box, inbox) => {
    delivered = 0;
    used = 2;
    boxed = 0;
    // What came over in the window before: frames of one length.
    const [count, end] = [inbox[0]!, inbox[1]!];
    const record = count === 0 ? 0 : ((end - 2) / count) * 4;
    for (let from = 0; from < count; from += BATCH) {
      const some = Math.min(count - from, BATCH);
      deliver(nics.eth1, new Uint8Array(inbox.buffer, inbox.byteOffset + 8 + from * record, some * record), some, box);
    }
    const first = (window * PER_WINDOW) % FLOWS;
    for (let n = first; n < first + PER_WINDOW; n += BATCH) {
      deliver(nics.eth0, frames.subarray(n * (4 + FRAME), (n + BATCH) * (4 + FRAME)), BATCH, box);
    }
    box[0] = boxed;
    box[1] = used;
    set(now);
    return delivered;
  };
}

/** All windows of the nodes of one thread: packets delivered, CPU seconds. */
function work(part: Part): { delivered: number; cpuSeconds: number; seconds: number } {
  const sides = part.nodes.map((node) => createSide(part, node));
  const box = (node: number, turn: number): Int32Array => new Int32Array(part.exchange, (node * 2 + turn) * BOX, BOX >> 2);
  const barrier = new Int32Array(part.exchange, 4 * BOX, 2);
  let delivered = 0;
  let cpu = 0;
  let start = 0;
  const meet = (): void => {
    const turn = Atomics.load(barrier, 1);
    if (Atomics.add(barrier, 0, 1) === part.threads - 1) {
      Atomics.store(barrier, 0, 0);
      Atomics.add(barrier, 1, 1);
      Atomics.notify(barrier, 1);
    } else while (Atomics.load(barrier, 1) === turn) Atomics.wait(barrier, 1, turn);
  };
  for (let window = 0; window < part.windows + WARM_WINDOWS; window++) {
    if (window === WARM_WINDOWS) {
      delivered = 0;
      cpu = cpuSeconds();
      start = performance.now();
    }
    part.nodes.forEach((node, n) => (delivered += sides[n]!(window, box(node, window & 1), box(1 - node, (window + 1) & 1))));
    meet();
  }
  return { delivered, cpuSeconds: cpuSeconds() - cpu, seconds: (performance.now() - start) / 1000 };
}

async function main(): Promise<void> {
  try {
    execFileSync("taskset", ["-a", "-p", "-c", `0-${availableParallelism() - 1}`, String(process.pid)], { stdio: "ignore" });
  } catch {
    // Nobody pinned it.
  }
  const threads = Number(process.argv[2]);
  const module = new WebAssembly.Module(readFileSync("build/kernel.wasm"));
  const shared = { windows: Number(process.argv[3]), rules: readFileSync(process.argv[4]!, "utf8"), module, memory: newKernelMemory(true), threads,
    exchange: new SharedArrayBuffer(4 * BOX + 8) };
  const parts = threads === 1 ? [{ ...shared, nodes: [0, 1] }] : [{ ...shared, nodes: [0] }, { ...shared, nodes: [1] }];
  const results = await Promise.all(parts.map((part) => new Promise<ReturnType<typeof work>>((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: part });
    worker.once("message", resolve);
    worker.once("error", reject);
  })));
  const load: Load = {
    packets: results.reduce((sum, { delivered }) => sum + delivered, 0),
    seconds: Math.max(...results.map(({ seconds }) => seconds)),
    cpuSeconds: results.map(({ cpuSeconds: one }) => one),
  };
  process.stdout.write(`${JSON.stringify(load)}\n`);
}

if (isMainThread) await main();
else parentPort!.postMessage(work(workerData as Part));
