/**
 * One scenario on this kernel, in a process of its own: `node kubewire.mjs SCENARIO RULES-FILE`. Frames go in by batches through the
 * mailbox (CORE_DELIVER_MANY), are run to the end, and are collected from the NIC they left by (CORE_OUTBOX): what is
 * measured is everything the thread does for a packet, both copies included. Prints JSON.
 */
import { readFileSync } from "node:fs";
import { CORE_DELIVER_MANY, CORE_MEMORY, CORE_OUTBOX } from "../../assembly/abi/core.ts";
import { CT_RECORD_BYTES, NFCT_MAX, NFCT_TIMEOUT_UDP, NFCT_TIMEOUT_UDP_STREAM, NF_CT_LIST, NF_EVALUATOR, NF_SET } from "../../assembly/abi/netfilter.ts";
import { NET_NETNS_HOST } from "../../assembly/abi/net.ts";
import type { IptablesHandle } from "../../src/kernel/iptables/index.ts";
import { useFullIptables } from "../../src/kernel/iptables/full.ts";
import { createNodeKernel, type NodeKernelHandle } from "../../src/kernel/kernel.ts";
import { KernelInstance, newKernelMemory } from "../../src/kernel/memory.ts";
import { manualClock } from "../../src/replay/clock.ts";
import { BACKEND, FAR, SCENARIOS, serviceAddress, servicePort, type Scenario } from "./scenarios.ts";

const E0 = "02:00:00:00:01:01";
const E1 = "02:00:00:00:02:01";
const CLIENT = "02:00:00:00:01:0a";
const NEXT_HOP = "02:00:00:00:02:ee";
const SOURCE = 0x0af44000; // 10.244.64.0
const FRAME = 60;
const RECORD = 4 + FRAME;
const BATCH = 64;
const NEW_FLOWS = 400_000;
const CHECKED = 20_000;

export interface Figures {
  /** ns of the thread's CPU per packet, one per run. */
  readonly ns: number[];
  readonly packets: number;
  /** Milliseconds that iptables-restore took. */
  readonly restoreMs: number;
  readonly rules: number;
  readonly bytesPerRule: number;
  readonly connections: number;
  readonly bytesPerConnection: number;
  /** Counters and connections are those of the plain evaluator. */
  readonly same: boolean;
}

/** ns that this thread has been on a CPU; where Linux does not say, what the process used. */
function cpuNs(): number {
  try {
    return Number(readFileSync("/proc/thread-self/schedstat", "utf8").split(" ")[0]);
  } catch {
    const { user, system } = process.cpuUsage();
    return (user + system) * 1000;
  }
}

const address = (text: string): number => text.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
const mac = (text: string): number[] => text.split(":").map((part) => Number.parseInt(part, 16));
const fold = (sum: number): number => {
  let s = sum;
  while (s > 0xffff) s = (s & 0xffff) + Math.floor(s / 65536);
  return ~s & 0xffff;
};

interface Way {
  readonly source: number;
  readonly destination: number;
  readonly sport: number;
  readonly dport: number;
}

/** Records of CORE_DELIVER_MANY for packets `from` … `to`; valid checksums, 18 bytes of zeros. */
function frames(from: number, to: number, macs: readonly number[], way: (n: number) => Way): Uint8Array {
  const bytes = new Uint8Array((to - from) * RECORD);
  const view = new DataView(bytes.buffer);
  for (let n = from, at = 0; n < to; n++, at += RECORD) {
    const { source, destination, sport, dport } = way(n);
    view.setUint32(at, FRAME, true);
    bytes.set(macs, at + 4);
    view.setUint16(at + 16, 0x0800);
    const ip = at + 18;
    view.setUint32(ip, 0x4500002e);
    view.setUint16(ip + 8, 0x3f11);
    view.setUint32(ip + 12, source);
    view.setUint32(ip + 16, destination);
    const sum = (source >>> 16) + (source & 0xffff) + (destination >>> 16) + (destination & 0xffff);
    view.setUint16(ip + 10, fold(0x4500 + 46 + 0x3f11 + sum));
    view.setUint16(ip + 20, sport);
    view.setUint16(ip + 22, dport);
    view.setUint16(ip + 24, 26);
    view.setUint16(ip + 26, fold(sum + 17 + 26 + sport + dport + 26) || 0xffff);
  }
  return bytes;
}

interface Bed {
  readonly kernel: NodeKernelHandle;
  readonly instance: KernelInstance;
  readonly host: number;
  readonly iptables: IptablesHandle;
  readonly restoreMs: number;
  readonly bytesOfRules: number;
  /** Sends records; returns how many frames came out. */
  send(nic: "eth0" | "eth1", records: Uint8Array, first: number, count: number): number;
  used(): number;
}

function build(scenario: Scenario, rules: string, plain: boolean): Bed {
  useFullIptables();
  const module = new WebAssembly.Module(readFileSync("build/kernel.wasm"));
  const instance = new KernelInstance(module, newKernelMemory(true));
  const { clock, set } = manualClock();
  const kernel = createNodeKernel(instance, { name: "router", seed: 1, clock });
  const { host: netns, handle, context } = kernel;
  netns.setLink("lo", { up: true });
  netns.addLink({ kind: "nic", name: "eth0", mac: E0 });
  netns.addLink({ kind: "nic", name: "eth1", mac: E1 });
  netns.setSysctl("net.ipv4.ip_forward", 1);
  for (const name of ["all", "default", "eth0", "eth1"]) netns.setSysctl(`net.ipv4.conf.${name}.send_redirects`, 0);
  netns.setLink("eth0", { up: true });
  netns.setLink("eth1", { up: true });
  netns.addAddress("eth0", "10.0.1.1/24");
  netns.addAddress("eth1", "10.0.2.1/24");
  netns.setNeigh({ dev: "eth0", dst: "10.0.1.10", lladdr: CLIENT, state: "PERMANENT" });
  netns.setNeigh({ dev: "eth1", dst: "10.0.2.20", lladdr: NEXT_HOP, state: "PERMANENT" });
  netns.addRoute({ dst: "10.244.64.0/18", via: "10.0.1.10", dev: "eth0" });
  if (scenario.vxlan) {
    netns.addLink({ kind: "vxlan", name: "vxlan0", mac: "02:00:00:00:05:01", mtu: 1450, vni: 42, dstPort: 8472, local: "10.0.2.1", dev: "eth1",
      learning: false, udpCsum: false });
    netns.setLink("vxlan0", { up: true });
    netns.addAddress("vxlan0", "10.244.1.0/32");
    netns.setNeigh({ dev: "vxlan0", dst: "10.244.2.0", lladdr: "02:00:00:00:05:02", state: "PERMANENT" });
    netns.addRoute({ dst: "10.244.2.0/24", via: "10.244.2.0", dev: "vxlan0", onlink: true });
    netns.setFdb({ dev: "vxlan0", lladdr: "02:00:00:00:05:02", dst: "10.0.2.20" });
  } else {
    netns.addRoute({ dst: "10.244.2.0/24", via: "10.0.2.20", dev: "eth1" });
  }
  const used = (): number => {
    context.command(CORE_MEMORY, 0);
    return instance.u64(0);
  };
  const host = context.command(NET_NETNS_HOST, 0) >>> 0;
  const settings = [[NFCT_MAX, 8_000_000], [NFCT_TIMEOUT_UDP, 600], [NFCT_TIMEOUT_UDP_STREAM, 600]] as const;
  for (const [number, value] of settings) {
    instance.view.setUint32(0, host, true);
    instance.view.setUint32(4, number, true);
    instance.view.setUint32(8, value, true);
    context.command(NF_SET, 12);
  }
  if (plain) {
    instance.view.setUint32(0, host, true);
    instance.view.setUint32(4, 1, true);
    context.command(NF_EVALUATOR, 8);
  }
  const before = used();
  const start = cpuNs();
  if (rules !== "") netns.iptables.restore(rules);
  const restoreMs = (cpuNs() - start) / 1e6;
  const bytesOfRules = used() - before;
  const nics = { eth0: netns.link("eth0")!.ifindex, eth1: netns.link("eth1")!.ifindex };
  let now = clock.nowNs();
  const send = (nic: "eth0" | "eth1", records: Uint8Array, first: number, count: number): number => {
    let out = 0;
    for (let n = first; n < first + count; n += BATCH) {
      const batch = Math.min(BATCH, first + count - n);
      instance.view.setUint32(0, nics[nic], true);
      instance.view.setUint32(4, batch, true);
      instance.u8.set(records.subarray(n * RECORD, (n + batch) * RECORD), 8);
      instance.command(handle, CORE_DELIVER_MANY, 8 + batch * RECORD, now);
      now = instance.run(handle, now).nowNs;
      const bytes = instance.command(handle, CORE_OUTBOX, 0, now);
      // A record's length stands at 12; all frames of a batch are equally long.
      if (bytes > 0) out += bytes / ((16 + instance.view.getUint32(12, true) + 7) & ~7);
    }
    set(now);
    return out;
  };
  return { kernel, instance, host, iptables: netns.iptables as IptablesHandle, restoreMs, bytesOfRules, send, used };
}

/** All entries as NF_CT_LIST writes them. */
function connections(bed: Bed): Uint8Array[] {
  const { instance, kernel, host } = bed;
  const pages = [];
  for (let cursor = 0, more = true; more;) {
    instance.view.setUint32(0, host, true);
    instance.view.setUint32(4, cursor, true);
    const bytes = kernel.context.command(NF_CT_LIST, 8);
    cursor = instance.view.getUint32(0, true);
    more = cursor !== 0;
    pages.push(instance.copy(8, bytes - 8));
  }
  return pages;
}

const macsIn = [...mac(E0), ...mac(CLIENT)];
const macsBack = [...mac(E1), ...mac(NEXT_HOP)];

function main(): void {
  const scenario = SCENARIOS.find(({ name }) => name === process.argv[2]);
  if (scenario === undefined) throw new Error(`no scenario ${process.argv[2]}`);
  const rules = (process.argv[3] ?? "") === "" ? (scenario.rules ?? "") : readFileSync(process.argv[3]!, "utf8");
  const repeats = Number(process.argv[4] ?? 5);
  const { flows, services } = scenario;
  const service = scenario.service === "first" ? 0 : services - 1;
  const destination = address(services > 0 ? serviceAddress(service) : scenario.vxlan ? BACKEND : FAR);
  const way = (n: number): Way => ({ source: SOURCE + (n >>> 14), sport: 1024 + (n & 0x3fff), destination, dport: 80 });
  const back = (n: number): Way => ({
    source: address(services > 0 ? BACKEND : FAR), sport: services > 0 ? servicePort(service) : 80, destination: SOURCE + (n >>> 14),
    dport: 1024 + (n & 0x3fff),
  });
  const count = flows === 0 ? NEW_FLOWS : flows;
  const records = frames(0, count, macsIn, way);
  const tracked = rules !== "";

  const establish = (bed: Bed, many: number): void => {
    if (!tracked || flows === 0) return;
    if (bed.send("eth0", records, 0, many) !== many) throw new Error("packets were lost");
    const step = 65_536;
    for (let n = 0; n < many; n += step) {
      const some = Math.min(step, many - n);
      if (bed.send("eth1", frames(n, n + some, macsBack, back), 0, some) !== some) throw new Error("replies were lost");
    }
  };
  const sameAsPlain = (): boolean => {
    if (!tracked) return true;
    const many = Math.min(count, CHECKED);
    const results = [false, true].map((plain) => {
      const bed = build(scenario, rules, plain);
      establish(bed, many);
      const out = bed.send("eth0", records, 0, many);
      const counters = ["raw", "mangle", "nat", "filter"].map((table) => bed.iptables.counters(table));
      const text = JSON.stringify(counters, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value));
      return [String(out), text, ...connections(bed).map((page) => Buffer.from(page).toString("base64"))].join("\n");
    });
    return results[0] === results[1];
  };

  const bed = build(scenario, rules, false);
  const before = bed.used();
  establish(bed, count);
  const ns: number[] = [];
  let packets = 0;
  if (flows === 0) {
    // The first eighth warms up; the rest in as many parts as there are runs.
    const warm = count >> 3;
    bed.send("eth0", records, 0, warm);
    const part = Math.floor((count - warm) / repeats);
    for (let run = 0; run < repeats; run++) {
      const start = cpuNs();
      const out = bed.send("eth0", records, warm + run * part, part);
      ns.push((cpuNs() - start) / part);
      if (out !== part) throw new Error("packets were lost");
      packets += part;
    }
  } else {
    const rounds = Math.max(1, Math.round(1_000_000 / flows));
    bed.send("eth0", records, 0, flows);
    for (let run = 0; run < repeats; run++) {
      const start = cpuNs();
      let out = 0;
      for (let round = 0; round < rounds; round++) out += bed.send("eth0", records, 0, flows);
      ns.push((cpuNs() - start) / (rounds * flows));
      if (out !== rounds * flows) throw new Error("packets were lost");
      packets += out;
    }
  }
  const entries = tracked ? connections(bed).reduce((sum, page) => sum + page.length / CT_RECORD_BYTES, 0) : 0;
  const lines = rules.split("\n").filter((line) => line.startsWith("-A")).length;
  const figures: Figures = {
    ns,
    packets,
    restoreMs: bed.restoreMs,
    rules: lines,
    bytesPerRule: lines === 0 ? 0 : bed.bytesOfRules / lines,
    connections: entries,
    bytesPerConnection: entries === 0 ? 0 : (bed.used() - before) / entries,
    same: sameAsPlain(),
  };
  process.stdout.write(`${JSON.stringify(figures)}\n`);
}

main();
