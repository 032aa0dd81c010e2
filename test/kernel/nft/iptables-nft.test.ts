/** iptables-nft against the recordings of the real one: rules as typed, saved and listed; commands and restore inputs with their errors. */
import { readFileSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { createNodeKernel } from "../../../src/kernel/kernel.ts";
import { restoreIpsets } from "../../../src/kernel/ipset.ts";
import { KernelInstance, newKernelMemory } from "../../../src/kernel/memory.ts";
import { IptablesError } from "../../../src/kernel/netns.ts";
import { iptablesNftOf } from "../../../src/kernel/nft/iptables.ts";
import { nftOf } from "../../../src/kernel/nft/index.ts";
import { manualClock } from "../../../src/replay/clock.ts";
import { checkRule, type CommandRecord, type RuleRecord } from "../../../src/replay/iptables-rules.ts";
import { hostHandle } from "../../../src/replay/oracle-case.ts";
import { runTool, type ToolHost } from "../../../src/tools/index.ts";
import { kernelModule, shared } from "../harness.ts";

beforeAll(() => kernelModule(), 240_000);

const records = <T>(name: string): T[] => (JSON.parse(readFileSync(new URL(`recordings/network/${name}`, shared), "utf8")) as { records: T[] }).records;

async function host(): Promise<ToolHost> {
  const instance = new KernelInstance(await kernelModule("debug"), newKernelMemory(true));
  const kernel = createNodeKernel(instance, { name: "nft", seed: 1, clock: manualClock().clock });
  restoreIpsets(kernel.context, hostHandle(kernel.context), "create myset hash:ip\ncreate portset bitmap:port range 0-65535\ncreate ipport hash:ip,port\n");
  return { netns: kernel.host, namespaces: new Map() };
}

test("rules save, list, are found and deleted as with the real iptables-nft", async () => {
  const { netns } = await host();
  const nft = iptablesNftOf(netns);
  const iptables = {
    run: (args: readonly string[]) => nft.run(args).stdout,
    restore: (text: string) => void nft.restore(text),
    save: (options?: { readonly table?: string; readonly counters?: boolean }) => nft.save(options).stdout,
    describe: () => undefined, counters: () => undefined,
  };
  const wrong: string[] = [];
  let matched = 0;
  for (const record of records<RuleRecord>("iptables-rules.json")) {
    if (record.backend !== "nf_tables" || record.tool !== "iptables") continue;
    nftOf(netns).run("flush ruleset");
    const difference = checkRule(iptables, record);
    if (difference === undefined) matched++;
    else wrong.push(`${record.table} ${record.chain} ${record.args.join(" ")}: ${difference}`);
  }
  expect(wrong).toEqual([]);
  expect(matched).toBe(258);
});

const PROGRAMS: Readonly<Record<string, string>> = {
  "iptables(nf_tables)": "iptables-nft", "iptables(nf_tables) sequence": "iptables-nft", "iptables-restore(nf_tables)": "iptables-nft-restore",
  "iptables-save(nf_tables)": "iptables-nft-save",
};
// -h prints a page; a warning about a range goes with success.
const MISSING = /^(-h |-W |-6 )|10\.0\.0\.9-10\.0\.0\.1/;

test("commands and restore inputs say and leave what they say and leave with the real one", async () => {
  const machine = await host();
  const wrong: string[] = [];
  const totals: Record<string, number> = {};
  const run = (...argv: string[]): string => runTool(machine, argv).stdout;
  // On the recorded machine the tables of iptables-legacy were loaded before, and those of the filter and nat tables by iptables-nft.
  run("iptables-legacy", "-L");
  for (const record of records<CommandRecord>("cli-errors.json")) {
    const program = PROGRAMS[record.tool];
    if (program === undefined || MISSING.test(record.args.join(" "))) continue;
    totals[record.tool] = (totals[record.tool] ?? 0) + 1;
    if (!record.tool.endsWith("sequence")) {
      for (const table of ["filter", "nat"]) for (const flag of ["-F", "-X"]) run("iptables-nft", "-t", table, flag);
      run("iptables-nft", "-P", "INPUT", "ACCEPT");
      run("iptables-nft", "-t", "nat", "-F", "PREROUTING");
    }
    const got = runTool(machine, [program, ...record.args], record.stdin ?? "");
    const saved = record.save === undefined ? undefined : run("iptables-nft-save").trimEnd().split("\n");
    // A table into which nothing was ever put is not there; the recorded one was.
    const tables = (lines: readonly string[] | undefined): string => JSON.stringify((lines ?? []).join("\n").split("COMMIT").map((one) => one.trim()).filter((one) => /^-A|DROP/m.test(one)));
    const same = got.exitCode === record.exit && got.stderr === record.stderr && got.stdout === (record.stdout ?? "")
      && (saved === undefined || tables(saved) === tables(record.save));
    if (!same) {
      wrong.push(`${record.tool} ${record.args.join(" ")} ${JSON.stringify(record.stdin)}\n  want ${record.exit} ${JSON.stringify(record.stderr + (record.stdout ?? ""))} ${tables(record.save)}\n` +
        `  got  ${got.exitCode} ${JSON.stringify(got.stderr + got.stdout)} ${tables(saved)}`);
    }
  }
  expect(wrong).toEqual([]);
  expect(totals).toMatchObject({ "iptables-restore(nf_tables)": 133, "iptables(nf_tables) sequence": 14, "iptables-save(nf_tables)": 4 });
});

test("rules of both are evaluated side by side, and iptables-nft warns of those of the other", async () => {
  const { netns } = await host();
  const nft = iptablesNftOf(netns);
  expect(nft.run(["-S", "INPUT"])).toEqual({ stdout: "-P INPUT ACCEPT\n", stderr: "" });
  netns.iptables.run(["-A", "INPUT", "-s", "9.9.9.9", "-j", "DROP"]);
  expect(nft.run(["-S", "INPUT"])).toEqual({
    stdout: "-P INPUT ACCEPT\n", stderr: "# Warning: iptables-legacy tables present, use iptables-legacy to see them\n",
  });
  nft.run(["-A", "INPUT", "-p", "tcp", "--dport", "80", "-j", "ACCEPT"]);
  expect(netns.iptables.save({ table: "filter" })).not.toContain("--dport 80");
  expect(nft.save().stdout).not.toContain("9.9.9.9");
  // A rule that nft put there makes the table nobody else's.
  nftOf(netns).run("add rule ip filter INPUT ct mark 5 accept");
  expect(() => nft.run(["-S"])).toThrow("table `filter' is incompatible, use 'nft' tool.");
  expect(nft.save().stdout).toContain("# Table `filter' is incompatible, use 'nft' tool.\n");
});

test("counters live through changes of other rules, and are zeroed on request", async () => {
  const { netns } = await host();
  const nft = iptablesNftOf(netns);
  nft.restore("*filter\n:INPUT ACCEPT [7:700]\n[5:100] -A INPUT -s 1.2.3.4 -j ACCEPT\n[6:60] -A FORWARD -j DROP\nCOMMIT\n", { counters: true });
  const lines = (): string[] => nft.save({ counters: true }).stdout.split("\n");
  nft.run(["-I", "INPUT", "-j", "DROP"]);
  expect(lines()).toContain("[5:100] -A INPUT -s 1.2.3.4/32 -j ACCEPT");
  expect(lines()).toContain(":INPUT ACCEPT [7:700]");
  nft.run(["-Z", "FORWARD"]);
  expect(lines()).toContain("[0:0] -A FORWARD -j DROP");
  expect(lines()).toContain("[5:100] -A INPUT -s 1.2.3.4/32 -j ACCEPT");
  // A chain that is made anew by a restore is there, with what the restore says.
  nft.restore("*filter\n:X - [0:0]\n-A X -j ACCEPT\n-A INPUT -j X\nCOMMIT\n");
  nft.restore("*filter\n:X - [0:0]\n-A X -j DROP\n-A INPUT -j X\nCOMMIT\n");
  expect(lines()).toEqual(expect.arrayContaining([":X - [0:0]", "[0:0] -A INPUT -j X", "[0:0] -A X -j DROP"]));
  // Half a restore changes nothing.
  const before = lines();
  expect(() => nft.restore("*filter\n-A INPUT -j ACCEPT\n-A INPUT -j DNAT --to-destination 1.2.3.4\nCOMMIT\n")).toThrow(IptablesError);
  expect(lines()).toEqual(before);
});
