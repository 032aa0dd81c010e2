/** nft's answers on the command line: the nft records of cli-errors.json, state carried over from one to the next. */
import { readFileSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { createNodeKernel } from "../../../src/kernel/kernel.ts";
import { KernelInstance, newKernelMemory } from "../../../src/kernel/memory.ts";
import { NftError, nftOf } from "../../../src/kernel/nft/index.ts";
import { manualClock } from "../../../src/replay/clock.ts";
import { kernelModule, shared } from "../harness.ts";

beforeAll(() => kernelModule(), 240_000);

interface CommandRecord { readonly tool: string; readonly args: readonly string[]; readonly exit: number; readonly stdout: string; readonly stderr: string }

test("commands are carried out or refused in nft's own words", async () => {
  const file = JSON.parse(readFileSync(new URL("recordings/network/cli-errors.json", shared), "utf8")) as { records: CommandRecord[] };
  const instance = new KernelInstance(await kernelModule("debug"), newKernelMemory(true));
  const kernel = createNodeKernel(instance, { name: "cli", seed: 1, clock: manualClock().clock });
  for (const name of ["eth0", "eth1"]) kernel.host.addLink({ kind: "nic", name });
  const nft = nftOf(kernel.host);
  const wrong: string[] = [];
  let total = 0;
  for (const { tool, args, exit, stdout, stderr } of file.records) {
    if (tool !== "nft") continue;
    total++;
    let got = { exit: 0, stdout: "", stderr: "" };
    try {
      got.stdout = nft.run(args.join(" "), { without: ["flowtable"] });
    } catch (error) {
      if (!(error instanceof NftError)) throw error;
      got = { exit: 1, stdout: "", stderr: error.message };
    }
    if (got.exit !== exit || got.stdout !== stdout || got.stderr !== stderr) wrong.push(`${args.join(" ")}\n  want ${JSON.stringify({ exit, stdout, stderr })}\n  got  ${JSON.stringify(got)}`);
  }
  expect(total).toBeGreaterThan(100);
  expect(wrong).toEqual([]);
});
