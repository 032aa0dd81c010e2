/**
 * Packets per second of a two-node load on one thread and on two (bench/workers/load.ts). Where other work takes part of the two cores,
 * the wall shows that work: beside it stands what the threads' own CPU time says, by the slower of the two.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type Bench, type Measured, median } from "./lib/bench.ts";
import { withExtraRules } from "./datapath/scenarios.ts";
import type { Load } from "./workers/load.ts";

const oracle = new URL(`${process.env["KUBEWIRE_SHARED"] ?? "../shared"}/oracle/`, pathToFileURL(`${process.cwd()}/`));
const cache = pathToFileURL(`${process.cwd()}/.cache/workers/`);
const SERVICES = 1000;
const SEED = 20261120;
const WINDOWS = 2000;
const AIM = 1.8;

export async function main({ prepare, runs }: Bench): Promise<Measured> {
  mkdirSync(cache, { recursive: true });
  const rules = fileURLToPath(new URL("kube.rules", cache));
  const script = fileURLToPath(new URL("kube_rules.py", oracle));
  writeFileSync(rules, withExtraRules(execFileSync("python3", [script, String(SERVICES)], { encoding: "utf8", maxBuffer: 1 << 28 }), SEED));
  const program = await prepare("bench/workers/load.ts", { pinned: false });
  const loads: Record<"1" | "2", Load[]> = { 1: [], 2: [] };
  try {
    for (let run = 0; run < runs; run++) {
      for (const threads of ["1", "2"] as const) loads[threads].push((await program.run(threads, String(WINDOWS), rules)) as Load);
    }
  } finally {
    program.dispose();
  }
  const wall = (load: Load): number => load.packets / load.seconds;
  const cpu = (load: Load): number => load.packets / Math.max(...load.cpuSeconds);
  const row = (name: string, of: (load: Load) => number, pick: (values: number[]) => number): [string, number, number] =>
    [name, pick(loads[1].map(of)), pick(loads[2].map(of))];
  const rows = [
    row("wall, best run", wall, (values) => Math.max(...values)),
    row("wall, median", wall, median),
    row("CPU of the slower thread, median", cpu, median),
  ];
  const line = (cells: readonly string[]): string => cells.map((text, n) => (n === 0 ? text.padEnd(36) : text.padStart(12))).join("");
  const text = [
    line(["packets per second", "1 worker", "2 workers", "ratio"]),
    ...rows.map(([name, one, two]) => line([name, one.toFixed(0), two.toFixed(0), (two / one).toFixed(2)])),
    `aim: ${AIM}; load average ${loadavg()[0]!.toFixed(1)} with the bench itself`,
  ].join("\n");
  return { text, data: { runs, loads, rows } };
}
