/** The host's tools against recordings of the real ones (../shared/recordings/network): wording, exit statuses, listings. */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { KernelInstance, newKernelMemory } from "../../src/kernel/memory.ts";
import type { CommandRecord } from "../../src/replay/iptables-rules.ts";
import { replayCommands, replayOutputs, type OutputsRecord } from "../../src/replay/tool-records.ts";
import { kernelModule, shared } from "../kernel/harness.ts";

const records = <T>(name: string): T[] => (JSON.parse(readFileSync(new URL(`recordings/network/${name}`, shared), "utf8")) as { records: T[] }).records;

let instance: KernelInstance;
beforeAll(async () => {
  instance = new KernelInstance(await kernelModule(), newKernelMemory(true));
});

/** Commands that are answered otherwise, with what this kernel lacks. A command that comes to match has to leave this list. */
const KNOWN: Readonly<Record<string, readonly (string | RegExp)[]>> = {
  "multipath": [/ nexthop via /],
  "IPv6 next hops of IPv4 routes": [/ via inet6 /],
  "rules about devices that are not there": ["ip rule add from all lookup 5 iif nosuch"],
  "follows from these": ["ip route show", "ip rule show"],
  "multicast groups": ["bridge mdb show"],
  "pages of help": ["iptables(nf_tables) -h nosuch -Q"],
};
const known = (title: string): boolean =>
  Object.values(KNOWN).some((list) => list.some((pattern) => (typeof pattern === "string" ? pattern === title : pattern.test(title))));

describe("cli-errors.json", () => {
  it("answers as the real tools do, but for what is known", () => {
    const { total, differences } = replayCommands(instance, records<CommandRecord>("cli-errors.json"));
    expect(total).toBe(653);
    expect(differences.filter(({ title }) => !known(title))).toEqual([]);
    expect(differences.filter(({ title }) => !title.includes("(nf_tables)")).length).toBeLessThanOrEqual(3);
  });
});

describe("cli-outputs.json", () => {
  /** Listings that name no IPv6 address, of namespaces whose set-up this kernel can follow. */
  const LISTINGS: Readonly<Record<string, readonly string[]>> = {
    empty: ["ip -4 addr", "ip link", "ip -s link", "ip -d link", "ip -br link", "ip -o link", "ip -j link", "ip -j -d link", "ip -j -s link", "ip route",
      "ip route show table local", "ip rule", "ip -j rule", "ip -6 rule", "ip neigh", "bridge link", "bridge fdb show", "bridge vlan show", "tc qdisc",
      "tc -s qdisc", "tc -j -s qdisc", "cat /proc/net/route", "cat /proc/net/arp", "cat /proc/net/dev", "cat /proc/net/tcp", "cat /proc/net/udp"],
    "veth-pair": ["ip -4 addr", "ip link", "ip -d link", "ip -br link", "ip -o link", "ip -j link", "ip -j -d link", "ip route", "ip -d route", "ip -j route",
      "ip -N route", "ip route show table local", "ip rule", "ip link show up", "ip -f inet addr", "ip route show root 10.0.0.0/8",
      "ip route show dev eth0", "cat /proc/net/route", "tc -s qdisc"],
  };
  it.each(Object.entries(LISTINGS))("lists as the real tools do: %s", async (config, commands) => {
    const record = records<OutputsRecord>("cli-outputs.json").find((one) => one.config === config)!;
    const outputs = record.outputs.filter(({ cmd }) => commands.includes(cmd));
    expect(outputs.length).toBe(commands.length);
    const { differences } = await replayOutputs(instance, { ...record, outputs, setup: record.setup.filter(({ cmd }) => !cmd.includes("fd00:")) });
    expect(differences).toEqual([]);
  });

  it("lists connections and sockets of the recorded traffic", async () => {
    const record = records<OutputsRecord>("cli-outputs.json").find(({ activity }) => activity !== undefined)!;
    const { total, differences } = await replayOutputs(instance, record);
    expect(total).toBe(44);
    // Inodes and the state of TCP are not told by the kernel.
    expect(differences.map(({ title }) => title)).toEqual(["ss -tane", "ss -tani"].map((cmd) => `conntrack-and-sockets: ${cmd}`));
  });

  it.each(["iptables-empty(nf_tables)", "iptables-rules(nf_tables)"])("lists and saves tables of both families: %s", async (config) => {
    const record = records<OutputsRecord>("cli-outputs.json").find((one) => one.config === config)!;
    expect((await replayOutputs(instance, record)).differences).toEqual([]);
  });
});
