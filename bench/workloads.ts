/**
 * How long from the apply of a Deployment to all its pods Ready, on 50 nodes? Every pod with its sandbox, veth and
 * address. Beside it, where that ends in reasonable time: `@ngrok/webernetes`.
 */
import { type Bench, type Measured, median } from "./lib/bench.ts";

export interface WorkloadTimes {
  /** Milliseconds from apply to all Ready. */
  readonly ready: number;
  /** Milliseconds of processor time in between: what a machine without other work would take. */
  readonly cpu: number;
  /** Resident memory of the process at the end. */
  readonly megabytes: number;
}

const NODES = 50;
const CASES = [
  { name: "kubewire", path: "bench/workloads/kubewire.ts", replicas: [100, 500, 1000] },
  { name: "webernetes", path: "bench/workloads/webernetes.ts", replicas: [100] },
] as const;

export async function main({ prepare, runs }: Bench): Promise<Measured> {
  const programs = await Promise.all(CASES.map(async (side) => ({ ...side, program: await prepare(side.path) })));
  const rows: { name: string; replicas: number; times: WorkloadTimes[] }[] = programs.flatMap(({ name, replicas }) => replicas.map((count) => ({ name, replicas: count, times: [] })));
  try {
    // One after the other, so that a busy machine slows all.
    for (let turn = 0; turn < runs; turn++)
      for (const { name, replicas, program } of programs)
        for (const count of replicas) {
          const measured = (await program.run(String(NODES), String(count))) as WorkloadTimes;
          rows.find((row) => row.name === name && row.replicas === count)!.times.push(measured);
        }
  } finally {
    for (const { program } of programs) program.dispose();
  }
  const medians = rows.map(({ name, replicas, times }) => ({ name, replicas, ready: median(times.map((t) => t.ready)), cpu: median(times.map((t) => t.cpu)), megabytes: median(times.map((t) => t.megabytes)) }));
  const of = (name: string): number => medians.find((row) => row.name === name && row.replicas === 100)!.ready;
  const ratio = of("webernetes") / of("kubewire");
  const line = (cells: readonly string[]): string => cells.map((cell, n) => (n === 0 ? cell.padEnd(12) : cell.padStart(12))).join("");
  const text = [
    line(["median", "replicas", "ready ms", "CPU ms", "pods/s CPU", "RSS MB"]),
    ...medians.map((row) => line([row.name, String(row.replicas), row.ready.toFixed(0), row.cpu.toFixed(0), ((row.replicas * 1000) / row.cpu).toFixed(0), row.megabytes.toFixed(0)])),
    `100 replicas on ${NODES} nodes: ${ratio.toFixed(1)} times as fast (${runs} runs each)`,
  ].join("\n");
  return { text, data: { runs, nodes: NODES, medians, ratio } };
}
