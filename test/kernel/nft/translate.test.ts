/**
 * iptables-translate and iptables-nft against what the real ones said (record-translate.py; test/kernel/recorded/translate): the rules of
 * the recordings and commands in nft's words, and what nft lists of the rules that iptables-nft made.
 */
import { readFileSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { createNodeKernel } from "../../../src/kernel/kernel.ts";
import { restoreIpsets } from "../../../src/kernel/ipset.ts";
import { KernelInstance, newKernelMemory } from "../../../src/kernel/memory.ts";
import { nftOf } from "../../../src/kernel/nft/index.ts";
import { manualClock } from "../../../src/replay/clock.ts";
import { hostHandle } from "../../../src/replay/oracle-case.ts";
import { runTool, type ToolHost } from "../../../src/tools/index.ts";
import { kernelModule } from "../harness.ts";

beforeAll(() => kernelModule(), 240_000);

interface Recorded {
  readonly tool: string;
  readonly table?: string;
  readonly chain?: string;
  readonly args?: readonly string[];
  readonly command?: readonly string[];
  readonly stdin?: string;
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly list?: readonly string[];
}
const recorded = readFileSync(new URL("../recorded/translate/rules.jsonl", import.meta.url), "utf8").trimEnd().split("\n").map((line) => JSON.parse(line) as Recorded);

async function host(): Promise<ToolHost> {
  const instance = new KernelInstance(await kernelModule("debug"), newKernelMemory(true));
  const kernel = createNodeKernel(instance, { name: "translate", seed: 1, clock: manualClock().clock });
  restoreIpsets(kernel.context, hostHandle(kernel.context), "create myset hash:ip\ncreate portset bitmap:port range 0-65535\ncreate ipport hash:ip,port\n");
  return { netns: kernel.host, namespaces: new Map() };
}

const undated = (text: string): string => text.replace(/ on \w{3} \w{3} +\d+ [\d:]+ \d{4}$/gm, "");
/**
 * Sets are looked up by the real tool, not by this one, which asks no kernel; connlabel warns of a file that was missing; the parser has
 * cut a list at its first comma before it is printed; `! -i +`, which matches nothing, is `INVAL/D` to iptables.
 */
const OTHERWISE = /match-set nosuch|connlabel|strip-options|! -i \+/;

test("rules and commands in nft's words", async () => {
  const machine = await host();
  const wrong: string[] = [];
  let total = 0;
  for (const { tool, table, chain, args, command, stdin, exit, stdout, stderr } of recorded) {
    if (OTHERWISE.test((args ?? command ?? []).join(" "))) continue;
    total++;
    const argv = stdin !== undefined ? [tool, "-f", "/dev/stdin"] : [`${tool}-translate`, ...(command ?? ["-t", table!, "-A", chain!, ...args!])];
    const got = runTool(machine, argv, stdin);
    const want = { exitCode: exit, stdout: undated(stdout), stderr };
    if (JSON.stringify(got) !== JSON.stringify({ exitCode: got.exitCode, stdout: want.stdout, stderr }) || got.exitCode !== exit) {
      wrong.push(`${argv.join(" ")}\n  want ${JSON.stringify(want)}\n  got  ${JSON.stringify(got)}`);
    }
  }
  expect(wrong).toEqual([]);
  expect(total).toBeGreaterThan(300);
});

test("nft lists the rules that iptables-nft made as it lists those of the real one", async () => {
  const machine = await host();
  const wrong: string[] = [];
  let total = 0;
  for (const { tool, table, chain, args, list } of recorded) {
    if (tool !== "iptables" || args === undefined || list === undefined) continue;
    total++;
    runTool(machine, ["iptables-nft", "-t", table!, "-N", "MYCHAIN"]);
    const got = runTool(machine, ["iptables-nft", "-t", table!, "-A", chain!, ...args]);
    const listed = nftOf(machine.netns).list().split("\n");
    if (got.exitCode !== 0 || JSON.stringify(listed) !== JSON.stringify(list)) {
      const at = list.findIndex((line, i) => line !== listed[i]);
      wrong.push(`${args.join(" ")}\n  want ${list[at]}\n  got  ${got.stderr}${listed[at]}`);
    }
    nftOf(machine.netns).run("flush ruleset");
  }
  expect(wrong).toEqual([]);
  expect(total).toBeGreaterThan(240);
});
