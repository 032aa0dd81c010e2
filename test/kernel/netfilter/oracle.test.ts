// Cases of the netfilter oracle: the real kernel's results are the expectation.
import { readFileSync, readdirSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { KernelInstance, newKernelMemory } from "../../../src/kernel/memory.ts";
import { compareResults, replayCase, type OracleCase, type OracleResult } from "../../../src/replay/oracle-case.ts";
import { kernelModule, shared } from "../harness.ts";

// Builds the kernel if it has to.
beforeAll(() => kernelModule(), 240_000);

const read = <T>(path: string): T => JSON.parse(readFileSync(new URL(`oracle/${path}`, shared), "utf8")) as T;

test("cases give the real kernel's results", async () => {
  const names = readdirSync(new URL("oracle/cases/", shared)).sort();
  const instance = new KernelInstance(await kernelModule("debug"), newKernelMemory(true));
  const wrong: string[] = [];
  for (const name of names) {
    const result = read<OracleResult>(`results/${name}`);
    try {
      const difference = compareResults(result, await replayCase(instance, read<OracleCase>(`cases/${name}`)));
      if (difference !== undefined) wrong.push(`${name}: ${difference}`);
    } catch (error) {
      wrong.push(`${name}: ${String(error)}`);
    }
  }
  expect(names.length).toBeGreaterThan(0);
  expect(wrong).toEqual([]);
}, 60_000);

test("a wrong expectation is seen", async () => {
  const oracleCase = read<OracleCase>("cases/dnat_basic.json");
  const result = read<OracleResult>("results/dnat_basic.json");
  const got = await replayCase(new KernelInstance(await kernelModule("debug"), newKernelMemory(true)), oracleCase);
  const counters = JSON.parse(JSON.stringify(result["counters"])) as Record<string, [number, number][]>;
  counters["nat/PREROUTING"]![0]![0]++;
  expect(compareResults({ ...result, counters }, got)).toContain("counters.nat/PREROUTING");
});
