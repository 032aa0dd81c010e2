/**
 * CPU nanoseconds per run of eBPF programs, beside the kernel of this machine in the same run: BPF_PROG_TEST_RUN with a large repeat, its
 * `duration` against ours, whose repeat loop is inside of the kernel module as well. Objects are built by clang from bench/bpf/. The
 * kernel's own figure takes root on Linux; where there is none, that is said.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { linkForHost, loadIntoHost } from "../test/bpf/host/object.ts";
import { type Host, startHost } from "../test/bpf/host/host.ts";
import type { BigFigures, RunFigures } from "./bpf/kubewire.ts";
import { OBJECTS, SCENARIOS, type Scenario } from "./bpf/scenarios.ts";
import { type Bench, type Measured, median } from "./lib/bench.ts";

const root = pathToFileURL(`${process.cwd()}/`);
const cache = new URL(".cache/bpf/", root);
const JIT_AIM = 1.5;
const LOAD_AIM_MS = 50;

function build(): void {
  mkdirSync(cache, { recursive: true });
  const include = `/usr/include/${execFileSync("uname", ["-m"], { encoding: "utf8" }).trim()}-linux-gnu`;
  for (const name of OBJECTS) {
    execFileSync("clang", [
      "-O2", "-g", "-target", "bpf", "-mcpu=v3", `-I${include}`, "-Wall", "-Werror", "-c", new URL(`bench/bpf/${name}.c`, root).pathname, "-o",
      new URL(`${name}.o`, cache).pathname,
    ], { stdio: "pipe" });
  }
}

const object = (name: string): Uint8Array => new Uint8Array(readFileSync(new URL(`${name}.o`, cache)));

function measureHost(host: Host, scenario: Scenario, runs: number): { ns: number[]; retval: number } {
  const loaded = loadIntoHost(host, linkForHost(object(scenario.object), scenario.object));
  scenario.fill((map, key, value) => {
    const errno = host.update(loaded.maps.get(map)!.fd, key, value);
    if (errno !== 0) throw new Error(`${scenario.name}: ${map}: errno ${errno}`);
  });
  const { fd, log } = loaded.programs.get(scenario.program)!;
  if (fd < 0) throw new Error(`${scenario.name}: ${log}`);
  const ns: number[] = [];
  let retval = 0;
  // The first warms caches.
  for (let run = 0; run <= runs; run++) {
    const ran = host.run(fd, { dataIn: scenario.packet, repeat: scenario.repeat });
    if (ran.errno !== 0) throw new Error(`${scenario.name}: errno ${ran.errno}`);
    if (run > 0) ns.push(ran.duration);
    retval = ran.retval;
  }
  loaded.close();
  return { ns, retval };
}

/** Milliseconds that the kernel takes to load `big`. */
function loadInHost(host: Host, runs: number): number[] {
  const linked = linkForHost(object("big"), "big");
  return Array.from({ length: runs }, () => {
    const loaded = loadIntoHost(host, linked, { logLevel: 0 });
    const { spec } = loaded.programs.get("big")!;
    const start = process.hrtime.bigint();
    const { fd, log } = host.load({ ...spec, btfFd: 0, funcInfo: new Uint8Array(0), logLevel: 0 });
    if (fd < 0) throw new Error(`big: ${log}`);
    const ms = Number(process.hrtime.bigint() - start) / 1e6;
    host.close(fd);
    loaded.close();
    return ms;
  });
}

export async function main({ prepare, runs }: Bench): Promise<Measured> {
  build();
  let host: Host | undefined;
  let hostError: string | undefined;
  try {
    host = startHost({ root });
  } catch (error) {
    hostError = (error as Error).message;
  }
  const program = await prepare("bench/bpf/kubewire.ts");
  const rows: {
    name: string; kernel: number | undefined; lowestKernel: number | undefined; jit: RunFigures; interpreter: RunFigures; interpreterAim: number; same: boolean;
  }[] = [];
  let big: BigFigures;
  try {
    for (const scenario of SCENARIOS) {
      const [jit, interpreter] = [await program.run("jit", scenario.name, String(runs)), await program.run("interpreter", scenario.name, String(runs))] as RunFigures[];
      const kernel = host === undefined ? undefined : measureHost(host, scenario, runs);
      const want = kernel?.retval ?? scenario.retval;
      rows.push({
        name: scenario.name, kernel: kernel && median(kernel.ns), lowestKernel: kernel && Math.min(...kernel.ns), jit: jit!, interpreter: interpreter!,
        interpreterAim: scenario.interpreterAim, same: [jit!, interpreter!].every(({ retval }) => retval === want) && (scenario.retval < 0 || want === scenario.retval),
      });
    }
    big = (await program.run("load", "big", String(runs))) as BigFigures;
  } finally {
    program.dispose();
  }
  const loadKernel = host === undefined ? undefined : median(loadInHost(host, runs));
  const cell = (value: number | undefined, digits = 0): string => (value === undefined ? "-" : value.toFixed(digits));
  const line = (cells: readonly string[]): string => cells.map((text, n) => (n === 0 ? text.padEnd(34) : text.padStart(13))).join("");
  const ratio = (ours: number, kernel: number | undefined): number | undefined => (kernel === undefined ? undefined : ours / kernel);
  const text = [
    line(["CPU ns per run, median", "kernel", "JIT", "ratio", "aim", "interpreter", "ratio", "aim"]),
    ...rows.map(({ name, kernel, jit, interpreter, interpreterAim }) => line([
      name, cell(kernel), cell(median(jit.ns)), cell(ratio(median(jit.ns), kernel), 2), String(JIT_AIM), cell(median(interpreter.ns)),
      cell(ratio(median(interpreter.ns), kernel), 1), String(interpreterAim),
    ])),
    line(["lowest of the runs", ...Array<string>(7).fill("")]),
    ...rows.map(({ name, lowestKernel, jit, interpreter, interpreterAim }) => line([
      name, cell(lowestKernel), cell(Math.min(...jit.ns)), cell(ratio(Math.min(...jit.ns), lowestKernel), 2), String(JIT_AIM), cell(Math.min(...interpreter.ns)),
      cell(ratio(Math.min(...interpreter.ns), lowestKernel), 1), String(interpreterAim),
    ])),
    `load and verify ${big.instructions} instructions: ${median(big.total).toFixed(1)} ms (without verifying ${median(big.unverified).toFixed(1)} ms, with the JIT ` +
      `${median(big.withJit).toFixed(1)} ms, the first in its process ${big.first.toFixed(0)} ms); aim ${LOAD_AIM_MS} ms; kernel ${cell(loadKernel, 1)} ms`,
    rows.every(({ same }) => same) ? "all engines return the same" : `DIFFERENT results: ${rows.filter(({ same }) => !same).map(({ name }) => name).join(", ")}`,
    ...(hostError === undefined ? [] : [`the kernel was not measured: ${hostError}`]),
  ].join("\n");
  return { text, data: { runs, rows, big, loadKernel, hostError } };
}
