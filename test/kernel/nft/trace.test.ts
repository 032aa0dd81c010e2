/** The trace of rules of nftables against what the real `nft monitor trace` printed (record_trace.py; test/kernel/recorded/nft-trace). */
import { readFileSync, readdirSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { KernelInstance, newKernelMemory } from "../../../src/kernel/memory.ts";
import { watchCase, type OracleCase } from "../../../src/replay/oracle-case.ts";
import { journeys } from "../../../src/trace/journey.ts";
import { nftTraceLines } from "../../../src/trace/rule-trace.ts";
import { kernelModule } from "../harness.ts";

beforeAll(() => kernelModule(), 240_000);

const folder = new URL("../recorded/nft-trace/", import.meta.url);

/** Ids by their first appearance; a mark behind a policy, which no record tells, is left out. The node's own ids are the kernel's choice. */
function plain(lines: readonly string[]): string[] {
  const ids = new Map<string, number>();
  return lines.map((line) => line.replace(/^trace id ([0-9a-f]+)/, (_, id: string) => {
    if (!ids.has(id)) ids.set(id, ids.size + 1);
    return `trace id ${ids.get(id)}`;
  }).replace(/ policy (\w+) meta mark 0x[0-9a-f]+ $/, " policy $1 ").replace(/ ip id \d+/, ""));
}

for (const file of readdirSync(folder).filter((name) => name.endsWith(".json")).sort()) {
  test(`${file.replace(".json", "")}: as nft monitor trace tells it`, async () => {
    const recorded = JSON.parse(readFileSync(new URL(file, folder), "utf8")) as { case: OracleCase; trace: string[] };
    const instance = new KernelInstance(await kernelModule("debug"), newKernelMemory(true));
    const { observations } = await watchCase(instance, recorded.case);
    // The packets of one trace stand together, in the order in which they began.
    const traced = plain(nftTraceLines(observations));
    const byId = (lines: readonly string[]): string[][] => {
      const found = new Map<string, string[]>();
      for (const line of lines) {
        const id = line.split(" ", 3)[2]!;
        found.set(id, [...(found.get(id) ?? []), line.slice(line.indexOf(id) + id.length)]);
      }
      return [...found.values()];
    };
    expect(byId(traced)).toEqual(expect.arrayContaining(byId(plain(recorded.trace))));
    const steps = journeys([observations]).flatMap((journey) => journey.steps.filter(({ type }) => type === "nft").map(({ text }) => text));
    expect(steps.length).toBeGreaterThan(10);
  });
}
