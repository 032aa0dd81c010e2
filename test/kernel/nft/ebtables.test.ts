/**
 * ebtables against the real one (record_ebt.py; test/kernel/recorded/ebtables): a session of commands with what each printed, and bridges
 * with rules: what came out, and which rules counted it.
 */
import { readFileSync, readdirSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { createNodeKernel } from "../../../src/kernel/kernel.ts";
import { KernelInstance, newKernelMemory } from "../../../src/kernel/memory.ts";
import { ebtablesOf } from "../../../src/kernel/nft/ebtables.ts";
import { nftOf } from "../../../src/kernel/nft/index.ts";
import { manualClock } from "../../../src/replay/clock.ts";
import { compareResults, replayCase, type OracleCase, type OracleResult } from "../../../src/replay/oracle-case.ts";
import { runTool, type ToolHost } from "../../../src/tools/index.ts";
import { createTestNode, kernelModule } from "../harness.ts";

beforeAll(() => kernelModule(), 240_000);

const folder = new URL("../recorded/ebtables/", import.meta.url);

async function host(): Promise<ToolHost> {
  const instance = new KernelInstance(await kernelModule("debug"), newKernelMemory(true));
  const kernel = createNodeKernel(instance, { name: "bridge", seed: 1, clock: manualClock().clock });
  return { netns: kernel.host, namespaces: new Map() };
}

test("commands print, refuse and save as with the real ebtables", async () => {
  interface Recorded { readonly command: string; readonly exit: number; readonly stdout: string; readonly stderr: string }
  const session = readFileSync(new URL("commands.jsonl", folder), "utf8").trimEnd().split("\n").map((line) => JSON.parse(line) as Recorded);
  const machine = await host();
  const wrong: string[] = [];
  let saved = "";
  for (const { command, exit, stdout, stderr } of session) {
    const words = command.split(" ");
    const argv = words[0] === "SAVE" ? ["ebtables-save", ...words.slice(1)] : words[0] === "RESTORE" ? ["ebtables-restore"] : ["ebtables", ...words];
    const got = words[0] === "NFT" ? { exitCode: 0, stdout: nftOf(machine.netns).list(), stderr: "" } : runTool(machine, argv, saved);
    if (words[0] === "SAVE") saved = got.stdout;
    if (got.exitCode !== exit || got.stdout !== stdout || got.stderr !== stderr) {
      const [a, b] = [(stdout + stderr).split("\n"), (got.stdout + got.stderr).split("\n")];
      const at = Math.max(0, a.findIndex((line, i) => line !== b[i]));
      wrong.push(`${command}: line ${at + 1}\n  want ${exit} ${JSON.stringify(a[at])}\n  got  ${got.exitCode} ${JSON.stringify(b[at])}`);
    }
  }
  expect(wrong).toEqual([]);
  expect(session.length).toBeGreaterThan(80);
});

for (const file of readdirSync(folder).filter((name) => name.endsWith(".json")).sort()) {
  test(file.replace(".json", ""), async () => {
    const recorded = JSON.parse(readFileSync(new URL(file, folder), "utf8")) as { case: OracleCase; result: OracleResult };
    const instance = new KernelInstance(await kernelModule("debug"), newKernelMemory(true));
    expect(compareResults(recorded.result, await replayCase(instance, recorded.case))).toBeUndefined();
  });
}

test("a frame that BROUTING drops is routed instead of bridged", async () => {
  const { kernel, inject, takeFrames, run } = await createTestNode();
  const { host: netns } = kernel;
  netns.addLink({ kind: "bridge", name: "br0" });
  netns.addLink({ kind: "nic", name: "eth0", mac: "02:00:00:00:01:01" });
  const port = netns.link("eth0")!.ifindex;
  netns.addLink({ kind: "nic", name: "eth1", mac: "02:00:00:00:02:01" });
  for (const name of ["br0", "eth0", "eth1"]) netns.setLink(name, { up: true });
  for (const name of ["eth0", "eth1"]) netns.setLink(name, { master: "br0" });
  netns.addAddress("eth0", "10.0.1.1/24");
  const ask = "ffffffffffff02aa0000000a0806000108000604000102aa0000000a0a00010a0000000000000a000101";
  const out = (): string[] => takeFrames().map(({ ifindex, bytes }) => `${ifindex === port ? "eth0" : "eth1"} ${bytes[21]}`);
  inject(port, ask);
  run();
  // Bridged: it floods, and the address of a port is not the bridge's to answer for.
  expect(out()).toContain("eth1 1");
  ebtablesOf(netns).run(["-t", "broute", "-A", "BROUTING", "-p", "ARP", "-i", "eth0", "-j", "DROP"], { broute: true });
  inject(port, ask);
  run();
  expect(out()).toEqual(["eth0 2"]);
  expect(() => ebtablesOf(netns).run(["-t", "broute", "-L"])).toThrow("table 'broute' does not exist");
});
