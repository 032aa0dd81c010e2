/**
 * The scheduling queue: pods to try now, pods that wait out a backoff, and pods that wait for the cluster to change.
 * Follows pkg/scheduler/backend/queue/scheduling_queue.go.
 */
import type { Pod } from "../api/types.generated.ts";
import { deepEqual } from "../apimachinery/meta.ts";
import type { Cancel, Clock } from "../time/clock.ts";

export interface QueuedPod {
  pod: Pod;
  attempts: number;
  /** When it came into the queue, for its order. */
  readonly sequence: number;
  /** The backoff of its last failure ends then (clock nanoseconds). */
  backoffUntilNs: number;
}

export interface SchedulingQueue {
  add(pod: Pod): void;
  update(pod: Pod): void;
  delete(uid: string): void;
  /** The most important pod, as soon as there is one; undefined after close. */
  pop(): Promise<QueuedPod | undefined>;
  /** Back after a failed attempt, to wait for a change; or for the backoff when the cluster changed meanwhile. */
  requeue(queued: QueuedPod): void;
  /** The cluster changed: pods that could not be placed may be tried again. */
  moveAll(): void;
  close(): void;
}

const INITIAL_BACKOFF_MS = 1000;
const MAX_BACKOFF_MS = 10_000;

export function createSchedulingQueue(clock: Clock): SchedulingQueue {
  const active = new Map<string, QueuedPod>();
  const backingOff = new Map<string, { queued: QueuedPod; cancel: Cancel }>();
  const unschedulable = new Map<string, QueuedPod>();
  /** Popped, with whether something changed since. */
  const inFlight = new Map<string, { queued: QueuedPod; moved: boolean; gone: boolean }>();
  let taker: ((queued: QueuedPod | undefined) => void) | undefined;
  let sequence = 0;
  let closed = false;

  const first = (): QueuedPod | undefined => {
    let best: QueuedPod | undefined;
    for (const candidate of active.values()) if (best === undefined || before(candidate, best)) best = candidate;
    return best;
  };
  const take = (queued: QueuedPod): QueuedPod => {
    active.delete(queued.pod.metadata.uid);
    queued.attempts++;
    inFlight.set(queued.pod.metadata.uid, { queued, moved: false, gone: false });
    return queued;
  };
  const activate = (queued: QueuedPod): void => {
    active.set(queued.pod.metadata.uid, queued);
    if (taker === undefined) return;
    const resolve = taker;
    taker = undefined;
    resolve(take(first()!));
  };
  const retry = (queued: QueuedPod): void => {
    const leftMs = (queued.backoffUntilNs - clock.nowNs()) / 1e6;
    if (leftMs <= 0) {
      activate(queued);
      return;
    }
    const { uid } = queued.pod.metadata;
    const cancel = clock.after(leftMs, () => {
      backingOff.delete(uid);
      activate(queued);
    });
    backingOff.set(uid, { queued, cancel });
  };

  return {
    add(pod) {
      const { uid } = pod.metadata;
      if (closed || active.has(uid) || backingOff.has(uid) || unschedulable.has(uid) || inFlight.has(uid)) return;
      activate({ pod, attempts: 0, sequence: sequence++, backoffUntilNs: 0 });
    },
    update(pod) {
      const { uid } = pod.metadata;
      const flying = inFlight.get(uid);
      if (flying !== undefined) {
        flying.queued.pod = pod;
        return;
      }
      const queued = active.get(uid) ?? backingOff.get(uid)?.queued ?? unschedulable.get(uid);
      if (queued === undefined) {
        this.add(pod);
        return;
      }
      // The scheduler's own status writes must not bring it back.
      const changed = !deepEqual(queued.pod.spec, pod.spec) || !deepEqual(queued.pod.metadata.labels, pod.metadata.labels);
      queued.pod = pod;
      if (changed && unschedulable.delete(uid)) retry(queued);
    },
    delete(uid) {
      active.delete(uid);
      unschedulable.delete(uid);
      backingOff.get(uid)?.cancel();
      backingOff.delete(uid);
      const flying = inFlight.get(uid);
      if (flying !== undefined) {
        flying.gone = true;
        inFlight.delete(uid);
      }
    },
    pop() {
      const next = first();
      if (next !== undefined) return Promise.resolve(take(next));
      if (closed) return Promise.resolve(undefined);
      return new Promise((resolve) => {
        taker = resolve;
      });
    },
    requeue(queued) {
      const { uid } = queued.pod.metadata;
      const flying = inFlight.get(uid);
      if (flying === undefined || closed) return;
      inFlight.delete(uid);
      queued.backoffUntilNs = clock.nowNs() + Math.min(INITIAL_BACKOFF_MS * 2 ** (queued.attempts - 1), MAX_BACKOFF_MS) * 1e6;
      if (flying.moved) retry(queued);
      else unschedulable.set(uid, queued);
    },
    moveAll() {
      for (const flying of inFlight.values()) flying.moved = true;
      for (const [uid, queued] of [...unschedulable]) {
        unschedulable.delete(uid);
        retry(queued);
      }
    },
    close() {
      closed = true;
      for (const { cancel } of backingOff.values()) cancel();
      backingOff.clear();
      taker?.(undefined);
      taker = undefined;
    },
  };
}

/** Higher priority first, then who came first. Follows the PrioritySort plugin. */
function before(a: QueuedPod, b: QueuedPod): boolean {
  const [x, y] = [a.pod.spec.priority ?? 0, b.pod.spec.priority ?? 0];
  if (x !== y) return x > y;
  return a.sequence < b.sequence;
}
