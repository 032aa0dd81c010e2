/** ARP, redirects, policy rules and VXLAN as the kernel answered: test/kernel/recorded/net (its README says how the answers were made). */
import { readFileSync, readdirSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { KernelInstance, newKernelMemory } from "../../../src/kernel/memory.ts";
import { compareResults, replayCase, type OracleCase, type OracleResult } from "../../../src/replay/oracle-case.ts";
import { kernelModule } from "../harness.ts";

const folder = new URL("../recorded/net/", import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith(".json")).sort();
const answers = files.flatMap((file) => JSON.parse(readFileSync(new URL(file, folder), "utf8")) as { case: OracleCase; want: OracleResult }[]);

describe("answers of Linux", () => {
  let instance: KernelInstance;
  beforeAll(async () => {
    instance = new KernelInstance(await kernelModule("debug"), newKernelMemory(true));
  }, 240_000);

  test("there are some", () => expect(answers.length).toBeGreaterThan(60));

  for (const { case: oracleCase, want } of answers) {
    test(oracleCase.name, async () => {
      const got = await replayCase(instance, oracleCase);
      // What is sent is not counted where IGMP is among it.
      const snmp = got["snmp"] as Record<string, number>;
      if (oracleCase.name.startsWith("vxlan_group")) {
        for (const name of Object.keys(snmp)) if (name.includes("Out")) delete snmp[name];
      }
      expect(compareResults(want, got, true)).toBeUndefined();
    });
  }
});
