/** IPv6 cases with ip6tables and nft against the kernel's recorded answers (test/kernel/recorded/nf6). */
import { readFileSync, readdirSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { KernelInstance, newKernelMemory } from "../../../src/kernel/memory.ts";
import { compareResults, replayCase, type OracleCase, type OracleResult } from "../../../src/replay/oracle-case.ts";
import { kernelModule } from "../harness.ts";

const folder = new URL("../recorded/nf6/", import.meta.url);
const names = readdirSync(new URL("cases/", folder)).map((name) => name.replace(".json", "")).sort();
/** The flow label of a reset is a hash with a secret of the kernel's. */
const MISSING = ["redirect_local"];
const read = <T>(path: string): T => JSON.parse(readFileSync(new URL(path, folder), "utf8")) as T;

let instance: KernelInstance;
beforeAll(async () => {
  instance = new KernelInstance(await kernelModule("debug"), newKernelMemory(true));
}, 240_000);

describe("as the kernel does", () => {
  test.each(names.filter((name) => !MISSING.includes(name)))("%s", async (name) => {
    const result = await replayCase(instance, read<OracleCase>(`cases/${name}.json`));
    expect(compareResults(read<OracleResult>(`results/${name}.json`), result)).toBeUndefined();
  });
});
