/**
 * How containers are brought to their end: preStop, then SIGTERM, then SIGKILL; sidecars after what they serve.
 * Follows kubernetes pkg/kubelet/kuberuntime: kuberuntime_container.go (killContainer, setTerminationGracePeriod) and kuberuntime_termination_order.go.
 */
import type { Container, EphemeralContainer, Pod } from "../../api/types.generated.ts";
import type { ContainerStatus as Run, RuntimeService } from "../../cri/types.ts";
import type { Logger } from "../../log.ts";
import type { Clock } from "../../time/clock.ts";
import { isSidecar } from "./pod-status.ts";
import type { KillReason } from "./actions.ts";
import { runHook, type HookDeps } from "./hooks.ts";

/** minimumGracePeriodInSeconds. */
const GRACE_MIN_S = 2;

export interface KillDeps extends HookDeps {
  readonly clock: Clock;
  readonly runtime: Pick<RuntimeService, "execSync" | "stopContainer">;
  readonly log: Logger;
  /** An event about one container. */
  event(container: Container | EphemeralContainer, type: "Normal" | "Warning", reason: string, message: string): void;
}

export interface Kill {
  readonly pod: Pod;
  readonly podIP: string;
  readonly run: Run;
  readonly container: Container | EphemeralContainer;
  readonly message: string;
  readonly reason: KillReason;
  readonly graceOverrideS?: number | undefined;
  readonly order?: TerminationOrder | undefined;
  /** A shorter grace was asked for meanwhile: what is waited for is given up. */
  readonly signal?: AbortSignal | undefined;
}

/** setTerminationGracePeriod, in seconds. */
export function gracePeriod(pod: Pod, container: Container | EphemeralContainer, reason: KillReason): number {
  if (pod.metadata.deletionGracePeriodSeconds !== undefined) return pod.metadata.deletionGracePeriodSeconds;
  const probe = reason === "StartupProbe" ? container.startupProbe : reason === "LivenessProbe" ? container.livenessProbe : undefined;
  return probe?.terminationGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? GRACE_MIN_S;
}

/** Resolves when the container has ended. */
export async function killContainer(deps: KillDeps, kill: Kill): Promise<void> {
  const { clock, runtime } = deps;
  const { pod, run, container, order, signal } = kill;
  let grace = kill.graceOverrideS ?? gracePeriod(pod, container, kill.reason);
  deps.event(container, "Normal", "Killing", kill.message === "" ? `Stopping container ${container.name}` : kill.message);
  const preStop = container.lifecycle?.preStop;
  if (preStop !== undefined && grace > 0) grace -= await timed(clock, grace, signal, runPreStop(deps, kill));
  if (order !== undefined && grace > 0) grace -= await timed(clock, grace, signal, order.turn(container.name));
  if (signal?.aborted === true) return;
  const stopped = runtime.stopContainer(run.id, Math.max(grace, GRACE_MIN_S) * 1000);
  await (signal === undefined ? stopped : Promise.race([stopped, aborted(signal)]));
  order?.ended(container.name);
}

/** executePreStopHook. Its failure is told, and ends nothing. */
async function runPreStop(deps: KillDeps, { pod, podIP, run, container }: Kill): Promise<void> {
  try {
    await runHook(deps, { pod, container: container as Container, containerId: run.id, podIP }, container.lifecycle!.preStop!);
  } catch (error) {
    deps.log.error("PreStop hook failed", { pod: pod.metadata.name, container: container.name, err: (error as Error).message });
    deps.event(container, "Warning", "FailedPreStopHook", "PreStopHook failed");
  }
}

/** Resolves when `signal` aborts. */
export const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });

/** Whole seconds that `work` took, `limitS` at most. */
async function timed(clock: Clock, limitS: number, signal: AbortSignal | undefined, work: Promise<void>): Promise<number> {
  const before = clock.nowMs();
  const timer = new AbortController();
  const stop = (): void => timer.abort();
  signal?.addEventListener("abort", stop, { once: true });
  await Promise.race([work, clock.sleep(limitS * 1000, timer.signal).catch(() => undefined)]);
  signal?.removeEventListener("abort", stop);
  timer.abort();
  return Math.floor((clock.nowMs() - before) / 1000);
}

/** Sidecars wait until all regular containers have ended, and those sidecars that came after them. */
export class TerminationOrder {
  readonly #ended = new Map<string, { readonly done: Promise<void>; readonly resolve: () => void }>();
  readonly #before = new Map<string, readonly string[]>();

  constructor(pod: Pod, running: ReadonlySet<string>) {
    const mark = (name: string): void => {
      let resolve: () => void = () => undefined;
      const done = new Promise<void>((r) => (resolve = r));
      this.#ended.set(name, { done, resolve });
      if (!running.has(name)) resolve();
    };
    const first = pod.spec.containers.map(({ name }) => name);
    const sidecars = (pod.spec.initContainers ?? []).filter(isSidecar).map(({ name }) => name);
    for (const name of [...first, ...sidecars]) mark(name);
    sidecars.forEach((name, i) => this.#before.set(name, [...first, ...sidecars.slice(i + 1)]));
  }

  async turn(name: string): Promise<void> {
    await Promise.all((this.#before.get(name) ?? []).map((other) => this.#ended.get(other)?.done));
  }

  ended(name: string): void {
    this.#ended.get(name)?.resolve();
  }
}
