/** What the fuzzer found once, made small, with the kernel's answers: test/kernel/recorded/fuzz (its README says how they are made). */
import { readFileSync, readdirSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { KernelInstance, newKernelMemory } from "../../../src/kernel/memory.ts";
import type { OracleResult } from "../../../src/replay/oracle-case.ts";
import { kernelModule } from "../harness.ts";
import { difference, ours, type FuzzCase } from "./fuzzer.ts";

const folder = new URL("../recorded/fuzz/", import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith(".json")).sort();

describe("cases that differed once", () => {
  let instance: KernelInstance;
  beforeAll(async () => {
    instance = new KernelInstance(await kernelModule(), newKernelMemory(true));
  }, 240_000);

  test("there are some", () => expect(files.length).toBeGreaterThan(20));

  for (const file of files) {
    test(file, async () => {
      const { case: oracleCase, want } = JSON.parse(readFileSync(new URL(file, folder), "utf8")) as { case: FuzzCase; want: OracleResult };
      expect(difference(want, await ours(instance, oracleCase), oracleCase)).toBeUndefined();
    });
  }
});
