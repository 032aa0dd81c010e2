/** ip6tables against the real one's records: rules as typed, as saved, listed, found and deleted. */
import { readFileSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { createIpset } from "../../../src/kernel/ipset.ts";
import { useFullIptables } from "../../../src/kernel/iptables/full.ts";
import { createNodeKernel } from "../../../src/kernel/kernel.ts";
import { KernelInstance, newKernelMemory } from "../../../src/kernel/memory.ts";
import type { Iptables } from "../../../src/kernel/netns.ts";
import { manualClock } from "../../../src/replay/clock.ts";
import { checkRule, type RuleRecord } from "../../../src/replay/iptables-rules.ts";
import { hostHandle } from "../../../src/replay/oracle-case.ts";
import { kernelModule, shared } from "../harness.ts";

beforeAll(() => kernelModule(), 240_000);

async function ip6tables(): Promise<Iptables> {
  useFullIptables();
  const instance = new KernelInstance(await kernelModule("debug"), newKernelMemory(true));
  const kernel = createNodeKernel(instance, { name: "six", seed: 1, clock: manualClock().clock });
  createIpset(kernel.context, hostHandle(kernel.context)).restore("create myset6 hash:ip family inet6\ncreate ipport6 hash:ip,port family inet6\n");
  return kernel.host.ip6tables!;
}

const check = (tool: Iptables, records: readonly RuleRecord[]): string[] =>
  records.flatMap((record) => {
    const difference = checkRule(tool, record);
    return difference === undefined ? [] : [`${record.table} ${record.chain} ${record.args.join(" ")}: ${difference}`];
  });

test("the shared records of ip6tables", async () => {
  const file = JSON.parse(readFileSync(new URL("recordings/network/iptables-rules.json", shared), "utf8")) as { records: RuleRecord[] };
  const records = file.records.filter(({ backend, tool }) => backend === "legacy" && tool === "ip6tables");
  expect(records.length).toBe(32);
  expect(check(await ip6tables(), records)).toEqual([]);
});

test("every extension of ip6tables, with its mistakes", async () => {
  const file = JSON.parse(readFileSync(new URL("../recorded/nf6/rules.json", import.meta.url), "utf8")) as { records: RuleRecord[] };
  expect(file.records.length).toBeGreaterThan(200);
  expect(check(await ip6tables(), file.records)).toEqual([]);
});
