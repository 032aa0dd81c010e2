// The parser, the printer and their refusals against what the real tool saved and said.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { restoreIpsets } from "../../../src/kernel/ipset.ts";
import type { Iptables } from "../../../src/kernel/netns.ts";
import { checkCommand, checkRestore, checkRule, type CommandRecord, type RuleRecord } from "../../../src/replay/iptables-rules.ts";
import { hostHandle } from "../../../src/replay/oracle-case.ts";
import { createTestNode, shared } from "../harness.ts";

const records = <T>(name: string): T[] =>
  (JSON.parse(readFileSync(new URL(`recordings/network/${name}`, shared), "utf8")) as { records: T[] }).records;

/** iptables of a namespace with the sets of the recordings. */
async function recordedNamespace(): Promise<Iptables> {
  const { kernel } = await createTestNode();
  const { iptables } = kernel.host;
  restoreIpsets(kernel.context, hostHandle(kernel.context), "create myset hash:ip\n");
  return iptables;
}

/** Extensions that are not there yet are refused by name: their records differ. */
const refused = (difference: string): boolean => /Couldn't load (match|target)/.test(difference);

test("rules save as the real iptables saves them", async () => {
  const iptables = await recordedNamespace();
  let matched = 0;
  const wrong: string[] = [];
  const missing: string[] = [];
  for (const record of records<RuleRecord>("iptables-rules.json")) {
    if (record.backend !== "legacy" || record.tool !== "iptables") continue;
    const difference = checkRule(iptables, record);
    const line = `${record.table} ${record.chain} ${record.args.join(" ")}: ${difference}`;
    if (difference === undefined) matched++;
    else if (refused(difference)) missing.push(line);
    else wrong.push(line);
  }
  console.log(matched, "missing", missing.length, "\n" + missing.join("\n"));
  expect(wrong).toEqual([]);
  expect(matched).toBeGreaterThanOrEqual(200);
});

test("commands fail in the real tool's words", async () => {
  const iptables = await recordedNamespace();
  const wrong: string[] = [];
  let matched = 0;
  for (const record of records<CommandRecord>("cli-errors.json")) {
    let difference: string | undefined | null;
    if (record.tool === "iptables(legacy)") {
      for (const table of ["raw", "mangle", "nat", "filter"]) iptables.restore(`*${table}\nCOMMIT\n`);
      difference = checkCommand(iptables, record);
    } else if (record.tool === "iptables(legacy) sequence") difference = checkCommand(iptables, record);
    else continue;
    if (difference === undefined) matched++;
    else wrong.push(`${record.args.join(" ")}: ${difference}`);
  }
  console.log(matched, wrong.length, "\n" + wrong.join("\n"));
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
  console.log(matched, wrong.length, "\n" + wrong.join("\n"));
});
