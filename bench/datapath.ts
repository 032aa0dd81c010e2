/**
 * CPU nanoseconds per packet on one core, beside the host's kernel in the same run. Scenarios, packets and the way of counting are
 * those of ../shared/oracle/bench: 60-byte UDP frames, thread CPU time, a router that sends into nothing. The kernel's figure is that of
 * its `sink` variant less what the generator costs alone; ours is all that the thread does for a packet, from the batch in the mailbox
 * to the frame that is collected there. The kernel can only be measured by root on Linux with gcc and clang; where it can not, that
 * is said and the recorded figure stands in its place.
 */
import { execFile, execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Figures } from "./datapath/kubewire.ts";
import { BACKEND, FAR, GENERATOR, SCENARIOS, type Scenario, serviceAddress, servicePort, withExtraRules } from "./datapath/scenarios.ts";
import { type Bench, type Measured, median } from "./lib/bench.ts";

const oracle = new URL(`${process.env["KUBEWIRE_SHARED"] ?? "../shared"}/oracle/`, pathToFileURL(`${process.cwd()}/`));
const cache = pathToFileURL(`${process.cwd()}/.cache/datapath/`);
/** Seeds the places of the ten rules. */
const SEED = 20261120;
const HOST_SECONDS = 1;
const HOST_RUNS = 3;
const HOST_TIMEOUT_MS = 900_000;

interface HostRow {
  readonly ns: number | undefined;
  readonly recorded: boolean;
}

/** kube-proxy's rules for so many Services with ten others, in a file. */
function rulesFile(services: number): string {
  const path = fileURLToPath(new URL(`kube-${services}.rules`, cache));
  const script = fileURLToPath(new URL("kube_rules.py", oracle));
  const text = execFileSync("python3", [script, String(services)], { encoding: "utf8", maxBuffer: 1 << 28 });
  writeFileSync(path, withExtraRules(text, SEED));
  return path;
}

/** What the host's kernel is asked: the scenario, and where its packets go. */
function hostScenario(scenario: Scenario): object {
  const index = scenario.service === "first" ? 0 : scenario.services - 1;
  return {
    ...scenario,
    rulesFile: scenario.services > 0 ? fileURLToPath(new URL(`kube-${scenario.services}.rules`, cache)) : undefined,
    destination: scenario.services > 0 ? serviceAddress(index) : scenario.vxlan ? BACKEND : FAR,
    back: scenario.services > 0 ? BACKEND : FAR,
    backPort: scenario.services > 0 ? servicePort(index) : 80,
  };
}

/** ns per packet of the host's kernel by scenario, or why there are none. */
async function measureHost(): Promise<Map<string, number> | string> {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return "it takes root on Linux";
  const folder = new URL("oracle/", cache);
  try {
    cpSync(oracle, folder, { recursive: true, filter: (path) => !/\/(cases|results)\/?/.test(path) });
    execFileSync("make", ["-s"], { cwd: fileURLToPath(new URL("bench/", folder)), stdio: "pipe" });
  } catch (error) {
    return `its generator was not built: ${(error as Error).message.split("\n")[0]}`;
  }
  const args = ["bench/datapath/host.py", fileURLToPath(new URL("bench/", folder)), String(HOST_SECONDS), String(HOST_RUNS)];
  const result = await new Promise<string | Record<string, number[] | string>>((resolve) => {
    const child = execFile("python3", args, { timeout: HOST_TIMEOUT_MS, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      if (error === null) resolve(JSON.parse(stdout) as Record<string, number[] | string>);
      else resolve(`host.py: ${stderr.trimEnd().split("\n").at(-1) ?? error.message}`);
    });
    child.stdin?.end(JSON.stringify(SCENARIOS.map(hostScenario)));
  });
  if (typeof result === "string") return result;
  const generator = result["generator"];
  if (!Array.isArray(generator)) return `generator: ${generator}`;
  const found = new Map<string, number>();
  for (const { name } of SCENARIOS) {
    const ns = result[name];
    if (Array.isArray(ns)) found.set(name, median(ns) - median(generator));
  }
  return found;
}

function recordedHost(): Map<string, number> {
  const figures = JSON.parse(readFileSync(new URL("bench/figures.json", oracle), "utf8")) as { name: string; gen: string; ns_per_pkt: number }[];
  const row = (name: string): number | undefined => figures.findLast((figure) => figure.name === name && figure.gen === "live")?.ns_per_pkt;
  const generator = row(GENERATOR)!;
  return new Map(SCENARIOS.flatMap(({ name, recorded }) => {
    const ns = recorded === undefined ? undefined : row(recorded);
    return ns === undefined ? [] : [[name, ns - generator] as const];
  }));
}

/** ns per packet of the loop in C; undefined: there is no gcc. */
function measureTwin(runs: number): number | undefined {
  const binary = fileURLToPath(new URL("twin", cache));
  try {
    execFileSync("gcc", ["-O2", "-o", binary, "bench/datapath/twin.c"], { stdio: "pipe" });
  } catch {
    return undefined;
  }
  return median(execFileSync(binary, ["4096", "250", String(runs)], { encoding: "utf8" }).trim().split("\n").map(Number));
}

export async function main({ prepare, runs }: Bench): Promise<Measured> {
  mkdirSync(cache, { recursive: true });
  if (!existsSync(oracle)) throw new Error(`${fileURLToPath(oracle)} is missing`);
  const files = new Map<number, string>();
  for (const { services } of SCENARIOS) if (services > 0 && !files.has(services)) files.set(services, rulesFile(services));
  const program = await prepare("bench/datapath/kubewire.ts");
  const ours = new Map<string, Figures>();
  try {
    for (const { name, services } of SCENARIOS) {
      const file = files.get(services);
      ours.set(name, (await program.run(name, file ?? "", String(runs))) as Figures);
    }
  } finally {
    program.dispose();
  }
  const twin = measureTwin(runs);
  const measured = await measureHost();
  const recorded = recordedHost();
  const host = (name: string): HostRow => {
    const now = typeof measured === "string" ? undefined : measured.get(name);
    return now === undefined ? { ns: recorded.get(name), recorded: true } : { ns: now, recorded: false };
  };

  const rows = SCENARIOS.map((scenario) => {
    const figures = ours.get(scenario.name)!;
    const ns = median(figures.ns);
    const kernel = host(scenario.name);
    return { ...figures, name: scenario.name, each: figures.ns, ns, lowest: Math.min(...figures.ns), aim: scenario.aim, kernel: kernel.ns,
      kernelRecorded: kernel.recorded, ratio: kernel.ns === undefined ? undefined : kernel.ns / ns };
  });
  const kube = rows.find(({ name }) => name === "1000 services, established")!;
  const million = rows.at(-1)!;
  const largest = rows.find(({ name }) => name === "new flow, last of 30000 services")!;
  const cell = (value: number | undefined, digits = 0): string => (value === undefined ? "-" : value.toFixed(digits));
  const line = (cells: readonly string[]): string => cells.map((text, n) => (n === 0 ? text.padEnd(34) : text.padStart(10))).join("");
  const text = [
    line(["ns per packet, median", "kubewire", "lowest", "aim", "kernel", "ratio"]),
    ...rows.map((row) => line([row.name, cell(row.ns), cell(row.lowest), cell(row.aim), `${cell(row.kernel)}${row.kernelRecorded && row.kernel !== undefined ? " rec." : ""}`, cell(row.ratio, 1)])),
    ...(typeof measured === "string" ? [`the kernel was not measured here (${measured}); "rec." is what was recorded on another machine`] : []),
    twin === undefined ? "C twin: no gcc here" : `C twin of parse, look-up and DNAT: ${twin.toFixed(1)} ns; 1000 services, established: ${(kube.ns / twin).toFixed(1)} times that`,
    `bytes per connection: ${million.bytesPerConnection.toFixed(0)}, per rule: ${largest.bytesPerRule.toFixed(0)}; ` +
      `${largest.rules} rules restored in ${largest.restoreMs.toFixed(0)} ms`,
    rows.every(({ same }) => same) ? "counters and connections equal the plain evaluator's"
      : `DIFFERENT from the plain evaluator: ${rows.filter(({ same }) => !same).map(({ name }) => name).join(", ")}`,
  ].join("\n");
  return { text, data: { runs, rows, twin, hostError: typeof measured === "string" ? measured : undefined } };
}
