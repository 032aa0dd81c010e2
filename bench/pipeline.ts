/**
 * How many pods a second go all the way from their creation to their binding, through the API server: 5,000 pods on 1,000 nodes; API
 * server, scheduler and client in one process on one core. Beside it: a real kube-apiserver and kube-scheduler v1.32.13 with etcd 3.5
 * took 24.2 s on a machine like this one (two cores, recorded once).
 */
import { type Bench, type Measured, median } from "./lib/bench.ts";

interface Placed {
  readonly rate: number;
  readonly byCpu: number;
  readonly megabytes: number;
}

const REAL = 207;
const AIM = 2000;

export async function main({ prepare, runs }: Bench): Promise<Measured> {
  const program = await prepare("bench/scheduler/perf.ts");
  const measured: Placed[] = [];
  try {
    for (let turn = 0; turn < Math.min(runs, 5); turn++) measured.push((await program.run("Pipeline")) as Placed);
  } finally {
    program.dispose();
  }
  const middle = (key: keyof Placed): number => median(measured.map((one) => one[key]));
  const [rate, byCpu, megabytes] = [middle("rate"), middle("byCpu"), middle("megabytes")];
  const text = [
    `5,000 pods created and bound on 1,000 nodes: ${rate.toFixed(0)} pods/s, ${byCpu.toFixed(0)} by CPU time, ${megabytes.toFixed(0)} MB`,
    `real: ${REAL} pods/s (${(rate / REAL).toFixed(1)} times), aim: ${AIM}; medians of ${measured.length} runs`,
  ].join("\n");
  return { text, data: { rate, byCpu, megabytes, real: REAL, aim: AIM, runs: measured.length } };
}
