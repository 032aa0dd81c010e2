/** The real time of this process and a seeded chance, for an API server on its own. */
import type { Clock } from "../../src/time/clock.ts";
import { newRandom } from "../../src/time/random.ts";

export const realClock: Clock = {
  nowNs: () => Math.round(performance.now() * 1e6),
  nowMs: () => Date.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
  sleep: (delayMs, signal) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(resolve, delayMs);
      signal?.addEventListener("abort", () => {
        clearTimeout(timer);
        reject(signal.reason);
      }, { once: true });
    }),
};

export const seeded = newRandom(1);

/** Ends the process with one line of JSON. */
export const report = (result: unknown): void => {
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
};

/** How often `run` happens in a second, `count` of them. */
export async function rate(count: number, run: (n: number) => Promise<unknown>, inFlight = 1): Promise<number> {
  const started = performance.now();
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await run(next++);
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  return (count * 1000) / (performance.now() - started);
}
