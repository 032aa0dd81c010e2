/** A thousand seeds; the first failure is made smaller, and its command printed. */
import { expect, it } from "vitest";
import { planOf, report, shrink, simulate } from "./simulate.ts";

const SEEDS = Number(process.env["KUBEWIRE_SEEDS"] ?? 1000);

it(`comes to rest, and breaks no promise on the way: ${SEEDS} seeds`, { timeout: 4 * 3_600_000 }, async () => {
  const failed: string[] = [];
  for (let seed = 1; seed <= SEEDS; seed++) {
    const plan = planOf(seed);
    const outcome = await simulate(plan);
    if (outcome.violations.length + outcome.unrest.length === 0) continue;
    failed.push(report(failed.length === 0 ? await shrink(plan) : plan, outcome));
  }
  expect(failed.join("\n")).toBe("");
});
