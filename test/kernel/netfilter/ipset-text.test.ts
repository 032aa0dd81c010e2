// ipset as typed: what the real tool answered, and that no input makes it fall over.
import { readFileSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { createIpset } from "../../../src/kernel/ipset.ts";
import { checkIpset, type CommandRecord } from "../../../src/replay/iptables-rules.ts";
import { hostHandle } from "../../../src/replay/oracle-case.ts";
import { createTestNode, kernelModule, shared } from "../harness.ts";

// Builds the kernel if it has to.
beforeAll(() => kernelModule(), 240_000);

const records = (JSON.parse(readFileSync(new URL("recordings/network/cli-errors.json", shared), "utf8")) as { records: CommandRecord[] })
  .records.filter(({ tool }) => tool.startsWith("ipset"));

/** The kernel of the recordings was built without these; `help` is a page of its own. */
const MISSING = ["hash:mac", "hash:net,net", "hash:ip,mark", "hash:net,port,net", "hash:ip,mac"];

test("commands answer as recorded", async () => {
  const { kernel } = await createTestNode();
  const ipset = createIpset(kernel.context, hostHandle(kernel.context), { without: MISSING });
  const wrong: string[] = [];
  for (const record of records) {
    const difference = checkIpset(ipset, record);
    if (difference !== undefined && record.args[0] !== "help") wrong.push(`${record.tool} ${record.args.join(" ")}: ${difference}`);
  }
  expect(wrong).toEqual([]);
  expect(records.length).toBeGreaterThanOrEqual(130);
});

test("what is saved restores and saves the same", async () => {
  const { kernel } = await createTestNode();
  const ipset = createIpset(kernel.context, hostHandle(kernel.context));
  ipset.restore(
    "create a hash:net counters comment\nadd a 10.0.0.0/8 packets 3 bytes 9 comment \"two words\"\nadd a 10.1.0.0/16 nomatch\n" +
      "create b hash:ip,port,net timeout 0\nadd b 10.0.0.1,udp:53,10.2.0.0/16 timeout 0\ncreate c hash:mac\nadd c 02:00:00:00:00:01\n" +
      "create d hash:net,net\nadd d 10.0.0.0/8,192.168.0.0/16\ncreate l list:set size 4\nadd l a\nadd l b\n");
  const saved = ipset.run(["save"]).stdout;
  // A set that a list names is in use.
  expect(ipset.run(["destroy"]).exit).toBe(1);
  expect(ipset.run(["destroy", "l"]).exit).toBe(0);
  expect(ipset.run(["destroy"]).exit).toBe(0);
  ipset.restore(saved);
  expect(ipset.run(["save"]).stdout).toBe(saved);
});

test("elements end, and make room", async () => {
  const { kernel, advance } = await createTestNode();
  const ipset = createIpset(kernel.context, hostHandle(kernel.context));
  ipset.restore("create t hash:ip timeout 10 maxelem 2\nadd t 10.0.0.1\nadd t 10.0.0.2 timeout 30\n");
  expect(ipset.run(["add", "t", "10.0.0.3"]).exit).toBe(1);
  await advance(11_000);
  expect(ipset.run(["test", "t", "10.0.0.1"]).exit).toBe(1);
  expect(ipset.run(["add", "t", "10.0.0.3"]).exit).toBe(0);
  expect(ipset.run(["list", "t"]).stdout).toContain("10.0.0.2 timeout 1");
});

test("no words make it throw", async () => {
  const { kernel } = await createTestNode();
  const ipset = createIpset(kernel.context, hostHandle(kernel.context));
  const pieces = [
    "create", "add", "del", "test", "s", "hash:ip", "hash:net,iface", "bitmap:port", "range", "1-9", "10.0.0.1", "10.0.0.0/24", ",", "-1",
    "timeout", "a:b", "", "-o", "list", "swap", "::1", "hash:ip,port", "tcp:1-3", "nomatch", "before",
  ];
  let seed = 7;
  const pick = (bound: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 8) % bound;
  };
  for (let i = 0; i < 3000; i++) {
    const args = Array.from({ length: pick(7) }, () => pieces[pick(pieces.length)]! + (pick(5) === 0 ? pieces[pick(pieces.length)]! : ""));
    const { exit } = ipset.run(args, "");
    expect(exit === 0 || exit === 1 || exit === 2).toBe(true);
  }
});
