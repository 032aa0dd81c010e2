/** nftables against Linux 6.18: the cases of record.py with what the real kernel and nft 1.0.6 answered. */
import { readFileSync, readdirSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { KernelInstance, newKernelMemory } from "../../../src/kernel/memory.ts";
import { compareResults, replayCase, type OracleCase, type OracleResult } from "../../../src/replay/oracle-case.ts";
import { kernelModule } from "../harness.ts";

beforeAll(() => kernelModule(), 240_000);

const folder = new URL("../recorded/nft/", import.meta.url);
const read = (file: string): { case: OracleCase; result: OracleResult } =>
  JSON.parse(readFileSync(new URL(file, folder), "utf8")) as { case: OracleCase; result: OracleResult };

for (const file of readdirSync(folder).filter((name) => name.endsWith(".json")).sort()) {
  test(file.replace(".json", ""), async () => {
    const recorded = read(file);
    const instance = new KernelInstance(await kernelModule("debug"), newKernelMemory(true));
    expect(compareResults(recorded.result, await replayCase(instance, recorded.case))).toBeUndefined();
  });
}

test("a counter that differs is seen", async () => {
  const recorded = read("ports.json");
  const instance = new KernelInstance(await kernelModule("debug"), newKernelMemory(true));
  const nft = (recorded.result["nft"] as string[]).map((line) => line.replace("counter packets 1 ", "counter packets 2 "));
  expect(compareResults({ ...recorded.result, nft }, await replayCase(instance, recorded.case))).toContain("nft[");
});
