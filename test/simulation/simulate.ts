/** One run: a cluster, a workload and faults out of a seed, until all is at rest or something is wrong. */
import { newRandom } from "../../src/time/random.ts";
import { planFaults, type Fault } from "./faults.ts";
import { Checker } from "./invariants.ts";
import { perform, planOps, tidyUp, type Op } from "./workload.ts";
import { newWorld, type World } from "./world.ts";

export interface Plan {
  readonly seed: number;
  readonly nodes: number;
  readonly faults: readonly Fault[];
  readonly ops: readonly Op[];
  /** When faults end. */
  readonly endMs: number;
}

export interface Outcome {
  readonly violations: readonly string[];
  /** What was not at rest in the end. */
  readonly unrest: readonly string[];
  readonly log: readonly string[];
  readonly virtualMs: number;
  readonly revisions: number;
}

/** How long everything may take to come to rest: pods are evicted after five minutes, back-offs are as long, metrics count for five. */
const REST_MS = 20 * 60_000;
/** So long it must stay so. */
const STABLE_MS = 20_000;
const BOOT_MS = 30_000;

export function planOf(seed: number): Plan {
  const random = newRandom(seed).fork("plan");
  const nodes = 2 + random.below(3);
  const names = Array.from({ length: nodes }, (_, i) => `node-${i + 1}`);
  const endMs = 60_000 + random.below(180_000);
  const calm = random.below(3) === 0;
  return { seed, nodes, endMs, faults: planFaults(random.fork("faults"), names, endMs, calm), ops: planOps(random.fork("ops"), names, endMs - 20_000, calm) };
}

export async function simulate(plan: Plan, verbose?: (line: string) => void): Promise<Outcome> {
  const made: { world?: World } = {};
  const checker = new Checker(() => made.world);
  const world = await newWorld({ seed: plan.seed, nodes: plan.nodes, answered: checker.answered, ambiguous: checker.ambiguous, violated: checker.violated, event: checker.event, verbose });
  made.world = world;
  const { user, client, storage } = world;
  const actors = { client, clock: user, checker };
  let unrest: string[] = [];
  const at = async (atMs: number, work: () => unknown): Promise<void> => {
    await user.sleep(Math.max(0, atMs - user.nowNs() / 1e6));
    await work();
  };
  const run = async (): Promise<void> => {
    for (let waited = 0; ; waited += 500) {
      const { items } = await client.nodes.list();
      if (items.length === plan.nodes && items.every(({ status }) => status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True"))) break;
      if (waited > BOOT_MS) {
        unrest = ["the nodes did not come up"];
        return;
      }
      await user.sleep(500);
    }
    await client.namespaces.create({ metadata: { name: "other" } } as never);
    const startMs = user.nowNs() / 1e6;
    const faults = plan.faults.map(async (fault) => {
      await at(startMs + fault.atMs, () => {
        verbose?.(`${(user.nowNs() / 1e9).toFixed(3)} fault: ${JSON.stringify(fault)}`);
        if (fault.kind === "crash" || fault.kind === "pause" || fault.kind === "cut" || fault.kind === "wire" || fault.kind === "jump") checker.disturbed(fault.kind);
        world.begin(fault);
      });
      await at(startMs + fault.atMs + fault.forMs, () => world.end(fault));
    });
    const ops = plan.ops.map((op) => at(startMs + op.atMs, () => {
      verbose?.(`${(user.nowNs() / 1e9).toFixed(3)} op: ${JSON.stringify(op)}`);
      return perform(actors, op);
    }));
    let over = false;
    const looking = (async () => {
      while (!over) {
        checker.machines();
        await user.sleep(5000);
      }
    })();
    await Promise.all([...faults, ...ops]);
    await at(startMs + plan.endMs, () => tidyUp(actors));
    const deadlineMs = user.nowNs() / 1e6 + REST_MS;
    let restSince = Infinity;
    for (;;) {
      const nowMs = user.nowNs() / 1e6;
      unrest = checker.unrest();
      if (unrest.length > 0) restSince = Infinity;
      else if (restSince === Infinity) restSince = nowMs;
      else if (nowMs - restSince >= STABLE_MS) break;
      if (nowMs > deadlineMs || checker.violations.length > 0) break;
      await user.sleep(unrest.length > 0 ? 5000 : STABLE_MS);
    }
    over = true;
    await looking;
  };
  try {
    await world.drive(run());
    return { violations: checker.violations, unrest, log: world.log, virtualMs: user.nowNs() / 1e6, revisions: await storage.revision() };
  } finally {
    world.close();
  }
}

/** Leaves out faults and operations, one by one, as long as it still fails. */
export async function shrink(plan: Plan, tries = 40): Promise<Plan> {
  let smallest = plan;
  const fails = async (candidate: Plan): Promise<boolean> => {
    const { violations, unrest } = await simulate(candidate);
    return violations.length + unrest.length > 0;
  };
  for (const key of ["faults", "ops"] as const) {
    for (let i = smallest[key].length - 1; i >= 0 && tries > 0; i--, tries--) {
      const candidate = { ...smallest, [key]: smallest[key].filter((_, n) => n !== i) };
      if (await fails(candidate)) smallest = candidate;
    }
  }
  return smallest;
}

/** The faults and operations of these numbers only; undefined: all. */
export function chosen(plan: Plan, { faults, ops }: { faults?: readonly number[] | undefined; ops?: readonly number[] | undefined }): Plan {
  return { ...plan, faults: faults === undefined ? plan.faults : faults.map((i) => plan.faults[i]!), ops: ops === undefined ? plan.ops : ops.map((i) => plan.ops[i]!) };
}

/** What went wrong, and the command that shows it again. */
export function report(plan: Plan, { violations, unrest }: Outcome): string {
  const whole = planOf(plan.seed);
  const numbers = <T>(of: readonly T[], among: readonly T[]): string => of.map((one) => among.findIndex((other) => JSON.stringify(other) === JSON.stringify(one))).join(",") || "none";
  const some = (flag: string, of: readonly unknown[], among: readonly unknown[]): string => (of.length === among.length ? "" : ` --${flag} ${numbers(of, among)}`);
  return [
    `npm run simulate -- --seeds ${plan.seed}${some("faults", plan.faults, whole.faults)}${some("ops", plan.ops, whole.ops)} --verbose`,
    ...violations.map((what) => `  violated: ${what}`), ...unrest.map((what) => `  not at rest: ${what}`),
  ].join("\n");
}
