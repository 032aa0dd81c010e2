/**
 * A short run of the differential fuzzer: random cases through the kernel of this machine and through ours. The long one is
 * `npm run fuzz:kernel -- --packets N --seed S`. Fails, and says so, where there is no Linux or no root.
 */
import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { KernelInstance, newKernelMemory } from "../../../src/kernel/memory.ts";
import { kernelModule, shared } from "../harness.ts";
import { fuzz, startOracle } from "./fuzzer.ts";

const SEED = Number(process.env["FUZZ_SEED"] ?? 1000);
const MS = 60_000;
const PACKETS = 8_000;
/** Even on a busy machine a minute is enough for these. */
const PACKETS_LEAST = 300;

test("random rules, topologies and packets do here what they do in Linux", { timeout: 400_000 }, async () => {
  expect(existsSync(new URL("oracle/netfilter_oracle.py", shared)), `${shared.href} has no oracle`).toBe(true);
  const module = await kernelModule("release");
  const oracles = [startOracle(shared), startOracle(shared)];
  try {
    const { found, ...figures } = await fuzz({
      seed: SEED, packets: PACKETS, ms: MS, most: 1, oracles, now: Date.now, instance: () => new KernelInstance(module, newKernelMemory(true)),
    });
    for (const { oracleCase, difference, want, got } of found) {
      throw new Error(`${oracleCase.name}: ${difference}\ncase ${JSON.stringify(oracleCase)}\nLinux ${JSON.stringify(want)}\nhere ${JSON.stringify(got)}`);
    }
    expect(figures.packets).toBeGreaterThan(PACKETS_LEAST);
    // They get somewhere: most cases are built, and packets leave and make connections.
    expect(figures.refused).toBeLessThan(figures.cases / 2);
    expect(figures.frames).toBeGreaterThan(figures.packets / 5);
    expect(figures.connections).toBeGreaterThan(0);
  } finally {
    for (const oracle of oracles) oracle.close();
  }
});
