/**
 * Runs a reconcile function over a work queue. Follows controller-runtime pkg/internal/controller: level-based, by
 * key; an error means again with backoff, a result may ask for a later visit.
 */
import type { Logger } from "../log.ts";
import { isConflict, isNamespaceTerminating } from "../apimachinery/status.ts";
import type { Clock } from "../time/clock.ts";
import { createWorkQueue } from "./workqueue.ts";
import type { WorkQueue } from "./workqueue.ts";

export interface Result {
  /** Come back so many milliseconds from now. */
  readonly requeueAfterMs?: number;
}

/** Nothing more to do until something changes. */
export const done: Result = {};

export const requeueAfter = (ms: number): Result => ({ requeueAfterMs: ms });

export interface Controller {
  /** Upstream's name, such as `replicaset-controller`. */
  readonly name: string;
  /** How many keys may be worked on at the same time (default 5). */
  readonly workers?: number;
  /** Hooks informers up to the queue. Called once, before the informers start. */
  setup(queue: WorkQueue): void;
  /** Brings the world closer to what the object of this key asks for. */
  reconcile(key: string, signal: AbortSignal): Promise<Result>;
}

/** Starts the workers of a controller; they end when the queue is shut down, and give up retrying when `signal` aborts. */
export function runController(controller: Controller, queue: WorkQueue, log: Logger, signal: AbortSignal): void {
  const named = log.with({ controller: controller.name });
  for (let i = 0; i < (controller.workers ?? 5); i++) void work(controller, queue, named, signal);
}

async function work(controller: Controller, queue: WorkQueue, log: Logger, signal: AbortSignal): Promise<void> {
  for (;;) {
    const key = await queue.get();
    if (key === undefined) return;
    try {
      const { requeueAfterMs } = await controller.reconcile(key, signal);
      queue.forget(key);
      // Never at the same instant: what is due exactly now would be visited for ever, and time stand still.
      if (requeueAfterMs !== undefined) queue.addAfter(key, Math.max(1, requeueAfterMs));
    } catch (e) {
      if (isNamespaceTerminating(e)) queue.forget(key);
      else if (!signal.aborted) {
        // A conflict only says that the cache was behind; the event that heals it is on its way.
        if (!isConflict(e)) log.error("Reconciler error", { key, err: e });
        queue.addRateLimited(key);
      }
    }
    queue.done(key);
  }
}

/** Queue, setup, run and shutdown in one, for controllers that stand alone. Start the informers in between. */
export function prepareController(controller: Controller, clock: Clock, log: Logger): (signal: AbortSignal) => void {
  const queue = createWorkQueue(clock);
  controller.setup(queue);
  return (signal) => {
    if (signal.aborted) queue.shutDown();
    else signal.addEventListener("abort", () => queue.shutDown(), { once: true });
    runController(controller, queue, log, signal);
  };
}
