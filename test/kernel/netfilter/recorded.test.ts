// Cases of our own, answered by the real kernel once: every match and target, sets, connection tracking, NAT.
import { readFileSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { KernelInstance, newKernelMemory } from "../../../src/kernel/memory.ts";
import { compareResults, replayCase, type OracleCase, type OracleResult } from "../../../src/replay/oracle-case.ts";
import { kernelModule } from "../harness.ts";

// Builds the kernel if it has to.
beforeAll(() => kernelModule(), 240_000);

const recorded = readFileSync(new URL("../recorded/match/cases.jsonl", import.meta.url), "utf8").trimEnd().split("\n")
  .map((line) => JSON.parse(line) as { case: OracleCase; result: OracleResult });

test("recorded cases give the real kernel's results", async () => {
  const instance = new KernelInstance(await kernelModule("debug"), newKernelMemory(true));
  const wrong: string[] = [];
  for (const { case: oracleCase, result } of recorded) {
    const difference = compareResults(result, await replayCase(instance, oracleCase));
    if (difference !== undefined) wrong.push(`${oracleCase.name}: ${difference}`);
  }
  expect(wrong).toEqual([]);
  expect(recorded.length).toBeGreaterThanOrEqual(60);
}, 60_000);
