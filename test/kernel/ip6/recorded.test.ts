/** IPv6 against Linux 6.18: cases of test/kernel/oracle6 with what that kernel did (test/kernel/recorded/ip6). */
import { readFileSync, readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { KernelInstance, newKernelMemory } from "../../../src/kernel/memory.ts";
import { kernelModule } from "../harness.ts";
import { compare6, replay6, type Case6, type Result6 } from "../oracle6/replay6.ts";

const folder = new URL("../recorded/ip6/", import.meta.url);

for (const file of readdirSync(folder).filter((name) => name.endsWith(".json")).sort()) {
  test(file.replace(".json", ""), async () => {
    const recorded = JSON.parse(readFileSync(new URL(file, folder), "utf8")) as { case: Case6; result: Result6 };
    const instance = new KernelInstance(await kernelModule("debug"), newKernelMemory(true));
    expect(compare6(recorded.result, await replay6(instance, recorded.case))).toBeUndefined();
  });
}
