/** The shared recordings of Linux 6.18: cases of objects in both engines, verdicts. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { openObject } from "../../src/bpf/object.ts";
import { caseDifference, verdictDifference, type RecordedCase, type RecordedVerdict } from "../../src/bpf/recordings.ts";
import { KernelInstance, newKernelMemory } from "../../src/kernel/memory.ts";
import { kernelModule, shared } from "../kernel/harness.ts";

const read = <T>(path: string): T => JSON.parse(readFileSync(new URL(`bpf/samples/${path}`, shared), "utf8")) as T;
const { cases } = read<{ cases: RecordedCase[] }>("cases.json");
const { programs } = read<{ programs: RecordedVerdict[] }>("verifier.json");

const rows = cases.flatMap((recorded) => recorded.levels!.map((level) => [recorded.object, recorded.name, level, recorded] as const));

test.each(rows)("%s %s at %s gives what the kernel gave, interpreted and compiled", async (object, _name, level, recorded) => {
  const module = await kernelModule("release");
  const elf = readFileSync(new URL(`bpf/samples/build/${level}/${object}.o`, shared));
  for (const engine of ["interpreter", "jit"] as const) {
    expect(caseDifference(new KernelInstance(module, newKernelMemory(true)), elf, recorded, { engine }), engine).toBeUndefined();
    expect(caseDifference(new KernelInstance(module, newKernelMemory(true)), elf, recorded, { engine, checked: true }), `${engine}, checked`).toBeUndefined();
  }
});

test.each(programs.map((recorded) => [recorded.name, recorded] as const))("%s: the kernel's verdict", (_name, recorded) => {
  expect(verdictDifference(recorded)).toBeUndefined();
});

test("what differs is told", async () => {
  const recorded = cases.find(({ object }) => object === "xdp_count")!;
  const elf = readFileSync(new URL("bpf/samples/build/v3/xdp_count.o", shared));
  const instance = new KernelInstance(await kernelModule("release"), newKernelMemory(true));
  expect(caseDifference(instance, elf, { ...recorded, expect_maps: { flows: [] } }, {})).toMatch(/^map flows: want \[\], got \[\{/);
  expect(openObject(elf).programs.map(({ name }) => name)).toEqual(["count"]);
});
