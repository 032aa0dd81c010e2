/**
 * How long from the start of a process to the first answer of a three-node cluster? Namespace, Deployment of three
 * replicas, Service, client pod; the client asks `http://web.shop.svc.cluster.local/`. Imports are included, and so
 * is the start of Node itself. Beside it, in turns: `@ngrok/webernetes`, the same job at the level of HTTP objects.
 */
import { type Bench, type Measured, median } from "./lib/bench.ts";

/** Milliseconds since the process began, as both programs print them. */
export interface BootTimes {
  /** The library is loaded. */
  readonly imported: number;
  /** The cluster itself stands. */
  readonly booted: number;
  /** All pods are Ready. */
  readonly ready: number;
  /** The client has the answer. */
  readonly answered: number;
}

const SIDES = { kubewire: "bench/boot/kubewire.ts", webernetes: "bench/boot/webernetes.ts" } as const;
const STEPS = ["imported", "booted", "ready", "answered"] as const;

export async function main({ prepare, runs }: Bench): Promise<Measured> {
  const programs = await Promise.all(
    Object.entries(SIDES).map(async ([name, path]) => ({
      name,
      program: await prepare(path),
      times: [] as BootTimes[],
    })),
  );
  try {
    // The first turn only warms the file cache; then one after the other, so that a busy machine slows both.
    for (let turn = 0; turn <= runs; turn++) {
      for (const { program, times } of programs) {
        const measured = (await program.run()) as BootTimes;
        if (turn > 0) times.push(measured);
      }
    }
  } finally {
    for (const { program } of programs) program.dispose();
  }
  const medians = programs.map(({ name, times }) => ({
    name,
    ...(Object.fromEntries(STEPS.map((step) => [step, median(times.map((one) => one[step]))])) as unknown as BootTimes),
  }));
  const [ours, theirs] = medians;
  const ratio = theirs!.answered / ours!.answered;
  const row = (cells: readonly string[]): string =>
    cells.map((cell, n) => (n === 0 ? cell.padEnd(12) : cell.padStart(10))).join("");
  const text = [
    row(["ms, median", ...STEPS]),
    ...medians.map((side) => row([side.name, ...STEPS.map((step) => side[step].toFixed(1))])),
    `first answer: ${ratio.toFixed(1)} times as fast (${runs} runs each)`,
  ].join("\n");
  return { text, data: { runs, medians, ratio } };
}
