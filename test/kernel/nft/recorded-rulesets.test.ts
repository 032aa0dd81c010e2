/**
 * `nft -f` and `nft list ruleset` against recordings of the real programs: what kube-proxy wrote, step by step, gives the rule set that
 * the real nft listed then; so do flannel's listings, loaded and listed again.
 */
import { readFileSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { createNodeKernel, type NodeKernelHandle } from "../../../src/kernel/kernel.ts";
import { KernelInstance, newKernelMemory } from "../../../src/kernel/memory.ts";
import { nftOf } from "../../../src/kernel/nft/index.ts";
import { manualClock } from "../../../src/replay/clock.ts";
import { kernelModule, shared } from "../harness.ts";

beforeAll(() => kernelModule(), 240_000);

type Text = string | readonly string[];
interface KubeProxyRecord {
  readonly scenario: string;
  readonly steps: readonly {
    readonly rules: { readonly nftables: Readonly<Record<string, Text>> };
    readonly writes: readonly { readonly cmd: string; readonly stdin: Text }[];
  }[];
}
const text = (value: Text): string => (typeof value === "string" ? value : value.join("\n"));
const records = <T>(file: string): T[] =>
  (JSON.parse(readFileSync(new URL(`recordings/network/${file}`, shared), "utf8")) as { records: T[] }).records;

/** Elements and chains come in no fixed order: blocks of each table as a sorted list, elements too. */
function normalised(ruleset: string): string[] {
  const blocks: string[] = [];
  for (const table of ruleset.trim().split(/\n(?=table )/)) {
    const lines = table.replace(/elements = \{([^}]*)\}/g, (_, list: string) =>
      `elements = { ${list.split(",").map((element) => element.trim()).sort().join(", ")} }`).split("\n");
    const name = lines[0]!;
    for (const block of lines.slice(1, -1).join("\n").replace(/\n\n/g, "\n").split(/\n(?=\t[^\t}])/)) blocks.push(`${name}\n${block}`);
  }
  return blocks.sort();
}

async function node(): Promise<NodeKernelHandle> {
  const instance = new KernelInstance(await kernelModule("debug"), newKernelMemory(true));
  const kernel = createNodeKernel(instance, { name: "recorded", seed: 1, clock: manualClock().clock });
  for (const name of ["eth0", "eth1", "api0"]) kernel.host.addLink({ kind: "nic", name });
  return kernel;
}

test("kube-proxy's writes give the rule sets that the real nft listed", async () => {
  let steps = 0;
  for (const record of records<KubeProxyRecord>("kube-proxy.json")) {
    const kernel = await node();
    const nft = nftOf(kernel.host);
    for (const [i, step] of record.steps.entries()) {
      for (const { cmd, stdin } of step.writes) {
        if (!cmd.startsWith("nft ")) continue;
        try {
          nft.run(text(stdin), { source: "/dev/stdin", check: cmd.includes("--check") });
        } catch (error) {
          // `iif cali*`: nft refuses that of kube-proxy, and so the rule set that was listed is the one before.
          expect((error as Error).message).toContain("Error: Interface does not exist\n");
        }
      }
      const want = normalised(text(step.rules.nftables["nft -s list ruleset"]!));
      const listed = nft.list({ stateless: true });
      expect(normalised(listed), `${record.scenario}, step ${i}`).toEqual(want);
      // What is listed loads again, and says the same; of ranges that became one by merging nft then makes a plain match.
      nft.run(`flush ruleset\n${listed}`);
      expect(nft.list({ stateless: true })).toBe(listed.replace(/(saddr != )\{ ([^,{}:]+) \}/g, "$1$2"));
      steps++;
    }
    kernel.destroy();
  }
  expect(steps).toBeGreaterThanOrEqual(102);
}, 120_000);

test("a rule that is missing is seen", async () => {
  const [record] = records<KubeProxyRecord>("kube-proxy.json");
  const kernel = await node();
  const nft = nftOf(kernel.host);
  for (const { cmd, stdin } of record!.steps[0]!.writes) {
    if (cmd === "nft -f -") nft.run(text(stdin).replace(/add rule ip kube-proxy masquerading masquerade fully-random\n/, ""));
  }
  expect(normalised(nft.list({ stateless: true }))).not.toEqual(normalised(text(record!.steps[0]!.rules.nftables["nft -s list ruleset"]!)));
});

test("flannel's rule sets load and are listed as they were", async () => {
  interface Step { readonly [node: string]: { readonly nft?: Text } | undefined }
  let seen = 0;
  for (const { steps } of records<{ readonly steps?: readonly Step[] }>("flannel.json")) {
    for (const step of steps ?? []) {
      for (const name of ["node1", "node2", "node3"]) {
        const recorded = step[name]?.nft;
        if (recorded === undefined || !text(recorded).includes("table")) continue;
        const kernel = await node();
        const nft = nftOf(kernel.host);
        nft.run(text(recorded));
        expect(normalised(nft.list())).toEqual(normalised(text(recorded)));
        kernel.destroy();
        seen++;
      }
    }
  }
  expect(seen).toBeGreaterThan(0);
});
