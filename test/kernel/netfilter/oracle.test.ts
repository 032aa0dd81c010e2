// Cases of the netfilter oracle: the real kernel's results are the expectation.
import { readFileSync, readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { KernelInstance, newKernelMemory } from "../../../src/kernel/memory.ts";
import { compareResults, replayCase, type OracleCase, type OracleResult } from "../../../src/replay/oracle-case.ts";
import { kernelModule, shared } from "../harness.ts";

const read = <T>(path: string): T => JSON.parse(readFileSync(new URL(`oracle/${path}`, shared), "utf8")) as T;

/** Cases that do not match yet, each with its reason. */
const KNOWN: Readonly<Record<string, string>> = {};

test("cases give the real kernel's results", async () => {
  const names = readdirSync(new URL("oracle/cases/", shared)).sort();
  expect(names.length).toBeGreaterThan(60);
  const module = await kernelModule("debug");
  const instance = new KernelInstance(module, newKernelMemory(true));
  const wrong: string[] = [];
  for (const name of names) {
    const oracleCase = read<OracleCase>(`cases/${name}`);
    const difference = compareResults(read<OracleResult>(`results/${name}`), await replayCase(instance, oracleCase));
    if ((difference === undefined) === oracleCase.name in KNOWN) wrong.push(`${oracleCase.name}: ${difference ?? "matches now"}`);
  }
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
