// The parser, the printer and their refusals against what the real tool saved and said.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { restoreIpsets } from "../../../src/kernel/ipset.ts";
import { useFullIptables } from "../../../src/kernel/iptables/full.ts";
import { IptablesError, type Iptables } from "../../../src/kernel/netns.ts";
import { checkCommand, checkRestore, checkRule, type CommandRecord, type RuleRecord } from "../../../src/replay/iptables-rules.ts";
import { hostHandle } from "../../../src/replay/oracle-case.ts";
import { createTestNode, kernelModule, shared } from "../harness.ts";

// Builds the kernel if it has to.
beforeAll(() => kernelModule(), 240_000);

const read = <T>(name: string): T => JSON.parse(readFileSync(new URL(name, shared), "utf8")) as T;
const records = <T>(name: string): T[] => read<{ records: T[] }>(`recordings/network/${name}`).records;

/** iptables of a namespace with the sets of the recordings. */
async function recordedNamespace(): Promise<Iptables> {
  const { kernel } = await createTestNode();
  useFullIptables();
  restoreIpsets(kernel.context, hostHandle(kernel.context), "create myset hash:ip\ncreate portset bitmap:port range 0-65535\ncreate ipport hash:ip,port\n");
  return kernel.host.iptables;
}

test("rules save, list, are found and deleted as with the real iptables", async () => {
  const iptables = await recordedNamespace();
  const wrong: string[] = [];
  let matched = 0;
  for (const record of records<RuleRecord>("iptables-rules.json")) {
    if (record.backend !== "legacy" || record.tool !== "iptables") continue;
    const difference = checkRule(iptables, record);
    if (difference === undefined) matched++;
    else wrong.push(`${record.table} ${record.chain} ${record.args.join(" ")}: ${difference}`);
  }
  expect(wrong).toEqual([]);
  expect(matched).toBe(258);
});

// -h prints a page, -W and -6 belong to the tool; a warning has no place to go.
const COMMANDS_MISSING = /^(-h |-W |-6 )|10\.0\.0\.9-10\.0\.0\.1/;

test("commands fail in the real tool's words", async () => {
  const iptables = await recordedNamespace();
  const wrong: string[] = [];
  let matched = 0;
  for (const record of records<CommandRecord>("cli-errors.json")) {
    if (!record.tool.startsWith("iptables(legacy)") || COMMANDS_MISSING.test(record.args.join(" "))) continue;
    if (record.tool === "iptables(legacy)") {
      for (const table of ["raw", "mangle", "nat", "filter"]) iptables.restore(`*${table}\nCOMMIT\n`);
    }
    const difference = checkCommand(iptables, record);
    if (difference === undefined) matched++;
    else wrong.push(`${record.args.join(" ")}: ${difference}`);
  }
  expect(wrong).toEqual([]);
  expect(matched).toBeGreaterThanOrEqual(149);
});

test("restore inputs fail in the real tool's words and leave what the real tool leaves", async () => {
  const iptables = await recordedNamespace();
  const wrong: string[] = [];
  let matched = 0;
  for (const record of records<CommandRecord>("cli-errors.json")) {
    if (record.tool !== "iptables-restore(legacy)") continue;
    const difference = checkRestore(iptables, record);
    if (difference === null) continue;
    if (difference === undefined) matched++;
    else wrong.push(`${record.args.join(" ")} ${JSON.stringify(record.stdin)}: ${difference}`);
  }
  expect(wrong).toEqual([]);
  expect(matched).toBeGreaterThanOrEqual(128);
});

/** kube-proxy's rules as a node of the recordings had them. */
const kubeRules = (): string => read<{ iptables: string }>("oracle/cases/kube_clusterip_pod.json").iptables;

test("the real iptables-restore takes what is saved here, and saving it again gives the same", async () => {
  const iptables = await recordedNamespace();
  const namespaceOf = (input: string): { status: number | null; stderr: string } => {
    const { status, stderr } = spawnSync("unshare", ["-n", "iptables-legacy-restore", "--test"], { input, encoding: "utf8" });
    return { status, stderr };
  };
  iptables.restore(kubeRules());
  const saved = iptables.save();
  expect(namespaceOf(saved)).toEqual({ status: 0, stderr: "" });
  iptables.restore(saved);
  expect(iptables.save()).toBe(saved);
  // The check can fail.
  expect(namespaceOf("*filter\n-A INPUT -j NOSUCH\nCOMMIT\n").status).toBe(2);
});

test("counters live through changes of other rules and are zeroed on request", async () => {
  const iptables = await recordedNamespace();
  iptables.restore("*filter\n:INPUT ACCEPT [7:700]\n[5:100] -A INPUT -s 1.2.3.4 -j ACCEPT\n[6:60] -A FORWARD -j DROP\nCOMMIT\n", { counters: true });
  const lines = (): string[] => iptables.save({ counters: true }).split("\n");
  iptables.run(["-I", "INPUT", "-j", "DROP"]);
  expect(lines()).toContain("[5:100] -A INPUT -s 1.2.3.4/32 -j ACCEPT");
  expect(lines()).toContain(":INPUT ACCEPT [7:700]");
  iptables.restore("*filter\n:X - [0:0]\n-A X -j ACCEPT\nCOMMIT\n", { noflush: true });
  expect(lines()).toContain("[6:60] -A FORWARD -j DROP");
  iptables.run(["-Z", "FORWARD"]);
  expect(lines()).toContain("[0:0] -A FORWARD -j DROP");
  expect(lines()).toContain("[5:100] -A INPUT -s 1.2.3.4/32 -j ACCEPT");
});

test("a loaded rule is found by the numbers of a trace", async () => {
  const { kernel } = await createTestNode();
  const { iptables } = kernel.host;
  iptables.restore("*nat\n:B - [0:0]\n:A - [0:0]\n-A A -j RETURN\n-A B -p tcp -m tcp --dport 80 -j A\nCOMMIT\n");
  const nat = 2;
  expect(iptables.describe(nat, 5, 1)).toMatchObject({ chain: "B", ruleText: "-A B -p tcp -m tcp --dport 80 -j A" });
  expect(iptables.describe(nat, 4, 1)?.ruleText).toBe("-A A -j RETURN");
  expect(iptables.describe(nat, 0, 0)?.chain).toBe("PREROUTING");
  expect(iptables.describe(nat, 4, 2)).toBeUndefined();
  expect(iptables.describe(3, 0, 0)).toBeUndefined();
});

test("mutated rules are taken or refused as iptables refuses, never otherwise", async () => {
  const iptables = await recordedNamespace();
  let state = 20240917;
  const below = (bound: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
  const lines = kubeRules().split("\n");
  const alphabet = "!-:;,/*[]\"'\\ \t0129azAZ_+\u00e9";
  for (let round = 0; round < 400; round++) {
    const from = below(lines.length);
    const text = ["*nat", ":KUBE-SERVICES - [0:0]", ":KUBE-MARK-MASQ - [0:0]", ...lines.slice(from, from + 1 + below(6)), "COMMIT", ""].join("\n");
    let mutated = text;
    for (let n = 1 + below(4); n > 0; n--) {
      const at = below(mutated.length);
      const kind = below(3);
      const char = alphabet[below(alphabet.length)]!;
      if (kind === 0) mutated = mutated.slice(0, at) + char + mutated.slice(at);
      else if (kind === 1) mutated = mutated.slice(0, at) + mutated.slice(at + 1 + below(5));
      else mutated = mutated.slice(0, at) + char + mutated.slice(at + 1);
    }
    try {
      iptables.restore(mutated, { noflush: below(2) === 0, counters: below(2) === 0 });
      const saved = iptables.save({ counters: true });
      iptables.restore(saved, { counters: true });
      expect(iptables.save({ counters: true })).toBe(saved);
    } catch (error) {
      if (!(error instanceof IptablesError)) throw new Error(`round ${round}: ${JSON.stringify(mutated)}: ${String(error)}`, { cause: error });
    }
  }
});

test("one chain of 10,000 rules is replaced, and the others stay", async () => {
  const iptables = await recordedNamespace();
  const services = 2500;
  let text = "*nat\n";
  for (let i = 0; i < services; i++) text += `:KUBE-SVC-${i} - [0:0]\n:KUBE-SEP-${i} - [0:0]\n`;
  for (let i = 0; i < services; i++) {
    const ip = `10.96.${i >> 8}.${i & 255}/32`;
    text +=
      `-A PREROUTING -d ${ip} -p tcp -m comment --comment "ns/svc${i}:http cluster IP" -m tcp --dport 80 -j KUBE-SVC-${i}\n` +
      `-A KUBE-SVC-${i} ! -s 10.244.0.0/16 -d ${ip} -p tcp -m comment --comment "x" -m tcp --dport 80 -j MARK --set-xmark 0x4000/0x4000\n` +
      `-A KUBE-SVC-${i} -m comment --comment "ns/svc${i}:http" -m statistic --mode random --probability 0.50000000000 -j KUBE-SEP-${i}\n` +
      `-A KUBE-SEP-${i} -p tcp -m comment --comment "ns/svc" -m tcp -j DNAT --to-destination 10.244.1.${i & 255}:8080\n`;
  }
  iptables.restore(`${text}COMMIT\n`);
  const before = iptables.save().split("\n");
  iptables.restore("*nat\n:KUBE-SVC-5 - [0:0]\n-A KUBE-SVC-5 -j KUBE-SEP-5\nCOMMIT\n", { noflush: true });
  const after = iptables.save().split("\n");
  const of = (lines: readonly string[], chain: string): string[] => lines.filter((line) => line.startsWith(`-A ${chain} `));
  expect(of(after, "KUBE-SVC-5")).toEqual(["-A KUBE-SVC-5 -j KUBE-SEP-5"]);
  expect(after.filter((line) => !line.startsWith("-A KUBE-SVC-5 "))).toEqual(before.filter((line) => !line.startsWith("-A KUBE-SVC-5 ")));
});
