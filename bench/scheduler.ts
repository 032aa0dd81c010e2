/**
 * How many pods a second does the scheduler place? The workloads of Kubernetes' scheduler_perf on 5,000 nodes (15,000 in one), API server and
 * client in the same process on one core, beside the thresholds that upstream's own scheduler has to reach with its API server and etcd
 * (test/integration/scheduler_perf, v1.32). The aim is twice each threshold.
 */
import { type Bench, type Measured, median } from "./lib/bench.ts";

interface Placed {
  readonly rate: number;
  readonly byCpu: number;
  readonly megabytes: number;
}

/** With how large a part of upstream's pods each is run, so that all of them end in minutes. */
const WORKLOADS: readonly (readonly [name: string, threshold: number, share: number])[] = [
  ["SchedulingBasic", 680, 0.5], ["SchedulingPodAntiAffinity", 60, 1], ["SchedulingPodAffinity", 35, 0.5], ["TopologySpreading", 85, 0.5],
  ["PreemptionAsync", 570, 0.2], ["Unschedulable", 590, 0.5], ["MixedSchedulingBasePod", 140, 0.5], ["SchedulingNodeAffinity", 220, 0.3],
  ["SchedulingDaemonset", 1100, 0.2],
];
const AIM = 2;

export async function main({ prepare, runs }: Bench): Promise<Measured> {
  const program = await prepare("bench/scheduler/perf.ts");
  const rows: { name: string; threshold: number; share: number; rate: number; byCpu: number; megabytes: number }[] = [];
  try {
    for (const [name, threshold, share] of WORKLOADS) {
      const measured: Placed[] = [];
      for (let turn = 0; turn < Math.min(runs, 3); turn++) measured.push((await program.run(name, String(share))) as Placed);
      const middle = (key: keyof Placed): number => median(measured.map((one) => one[key]));
      rows.push({ name, threshold, share, rate: middle("rate"), byCpu: middle("byCpu"), megabytes: middle("megabytes") });
    }
  } finally {
    program.dispose();
  }
  const line = (cells: readonly string[]): string => cells.map((cell, n) => (n === 0 ? cell.padEnd(28) : cell.padStart(14))).join("");
  const text = [
    line(["median, pods/s", "kubewire", "by CPU time", "threshold", "times", "RSS MB"]),
    ...rows.map(({ name, rate, byCpu, threshold, megabytes }) => line([name, rate.toFixed(0), byCpu.toFixed(0), String(threshold), (rate / threshold).toFixed(1), megabytes.toFixed(0)])),
    `${rows.filter(({ rate, threshold }) => rate >= AIM * threshold).length} of ${rows.length} reach ${AIM} times the threshold`,
  ].join("\n");
  return { text, data: { rows, aim: AIM } };
}
