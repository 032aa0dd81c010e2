/**
 * More of the network against Linux 6.18: cases in the oracle's format with the results that `netfilter_oracle.py` gave for them
 * (ARP, martians, options, fragments, redirects, rules, bridges with br_netfilter, VXLAN).
 */
import { readFileSync, readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { KernelInstance, newKernelMemory } from "../../../src/kernel/memory.ts";
import { compareResults, replayCase, type OracleCase, type OracleResult } from "../../../src/replay/oracle-case.ts";
import { kernelModule } from "../harness.ts";

const folder = new URL("recorded/", import.meta.url);

for (const file of readdirSync(folder).sort()) {
  test(file.replace(".json", ""), async () => {
    const recorded = JSON.parse(readFileSync(new URL(file, folder), "utf8")) as { case: OracleCase; result: OracleResult };
    const instance = new KernelInstance(await kernelModule("debug"), newKernelMemory(true));
    expect(compareResults(recorded.result, await replayCase(instance, recorded.case), true)).toBeUndefined();
  });
}
