/** A few seeds of the simulation; simulation.long.ts has a thousand. */
import { describe, expect, it } from "vitest";
import { planOf, report, simulate } from "./simulate.ts";

/** Machines are busy at times. */
const timeout = 120_000;

describe("a cluster on which things fail", () => {
  // Calm ones and stormy ones: with restarts of processes, crashes and pauses of nodes, cuts, drains.
  it.each([11, 16, 20])("comes to rest, and breaks no promise on the way: seed %i", { timeout }, async (seed) => {
    const plan = planOf(seed);
    const outcome = await simulate(plan);
    expect([...outcome.violations, ...outcome.unrest], report(plan, outcome)).toEqual([]);
  });

  it("does the same again with the same seed", { timeout }, async () => {
    const plan = planOf(11);
    const [one, two] = [await simulate(plan), await simulate(plan)];
    expect([two.revisions, two.virtualMs, two.log]).toEqual([one.revisions, one.virtualMs, one.log]);
  });

  it("makes plans of all kinds of faults and operations", () => {
    const plans = Array.from({ length: 200 }, (_, seed) => planOf(seed));
    const kinds = (of: readonly { readonly kind: string }[]): string[] => [...new Set(of.map(({ kind }) => kind))].sort();
    expect(kinds(plans.flatMap(({ faults }) => faults))).toEqual(["compact", "crash", "cut", "errors", "jump", "pause", "restart", "slow", "watches", "wire"]);
    expect(kinds(plans.flatMap(({ ops }) => ops))).toEqual(["autoscale", "budget", "create", "delete", "deletePod", "drain", "namespace", "pause", "roll", "scale", "suspend", "token"]);
  });
});
