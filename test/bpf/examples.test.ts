/** examples/ebpf: built by clang, run in every runtime, with the same outcome; the edge interprets, the others compile. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { run, type Runtime } from "../runtimes/harness/index.ts";

const root = new URL("../../", import.meta.url);
let folder: string;
let objects: Record<string, string>;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kubewire-ebpf-"));
  execFileSync("sh", [new URL("examples/ebpf/build.sh", root).pathname, folder], { stdio: "pipe" });
  objects = Object.fromEntries(["firewall", "balancer", "drops"].map((name) => [name, readFileSync(join(folder, `${name}.o`)).toString("base64")]));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const OUTCOME = {
  firewall: { arrived: ["port 53 from 10.0.0.1"], dropped: 2, denied: 1 },
  drops: {
    first: { reason: "NETFILTER_DROP", length: 33, source: "10.0.0.2", destination: "10.0.0.1", protocol: 17, device: "eth0" },
    byReason: { NETFILTER_DROP: 2, NO_SOCKET: 1 },
  },
};

test.each<[Runtime, string]>([["node", "jit"], ["deno", "jit"], ["chromium", "jit"], ["workerd", "interpreter"]])("%s", async (runtime, engine) => {
  const told = (await run(runtime, { root, entry: "test/bpf/entry-examples.ts", given: "bpf", args: objects })) as Record<string, unknown> & { balancer: { byBackend: Record<string, number>; answers: string[] } };
  expect(told).toMatchObject({ ...OUTCOME, engine });
  const { byBackend, answers } = told.balancer;
  // Every backend has its share, and its answers come as from the virtual address.
  expect(Object.keys(byBackend)).toEqual(["10.0.0.100", "10.0.0.101", "10.0.0.102"]);
  expect(Object.values(byBackend).reduce((sum, count) => sum + count, 0)).toBe(30);
  expect(answers).toEqual(["10.0.0.100", "10.0.0.101", "10.0.0.102"].map((backend) => `${backend} from 10.0.0.200`));
});
