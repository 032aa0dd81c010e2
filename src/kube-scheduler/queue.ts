/**
 * The scheduling queue: pods to try now, pods that wait out a backoff, and pods that wait for the cluster to change.
 * Follows pkg/scheduler/backend/queue/scheduling_queue.go.
 */
import type { Pod } from "../api/types.generated.ts";
import { deepEqual } from "../apimachinery/meta.ts";
import type { Cancel, Clock } from "../time/clock.ts";
import type { ClusterEvent, Plugin } from "./framework.ts";
import { priorityOf } from "./framework.ts";

export interface QueuedPod {
  pod: Pod;
  attempts: number;
  /** Where it stands among pods of its priority: the later it came, or came back, the further behind. */
  sequence: number;
  /** The backoff of its last failure ends then (clock nanoseconds). */
  backoffUntilNs: number;
  /** The plugins that refused it last; none: any change may help it. */
  refusedBy: ReadonlySet<string>;
}

export interface SchedulingQueue {
  add(pod: Pod): void;
  update(pod: Pod): void;
  delete(uid: string): void;
  /** The most important pod, as soon as there is one; undefined after close. */
  pop(): Promise<QueuedPod | undefined>;
  /** The pod is bound. */
  done(uid: string): void;
  /** Back after a failed attempt, to wait for a change that helps; or for the backoff when there was one meanwhile. */
  requeue(queued: QueuedPod, refusedBy: ReadonlySet<string>): void;
  /** The cluster changed: pods that it may help are tried again. */
  move(event: ClusterEvent, old?: unknown, now?: unknown): void;
  close(): void;
}

export interface QueueOptions {
  readonly clock: Clock;
  /** Whose `events` say what may help a pod. */
  readonly plugins: (pod: Pod) => readonly Plugin[];
  /** `podInitialBackoffSeconds`, `podMaxBackoffSeconds`, in ms. */
  readonly initialBackoffMs?: number;
  readonly maxBackoffMs?: number;
}

/** Whatever happens or does not, a pod is tried again after so long (podMaxInUnschedulablePodsDuration). */
const UNSCHEDULABLE_MAX_MS = 300_000;

/** A node was cordoned or uncordoned: v1.32 then tries every pod again, whoever refused it. */
export const UNSCHEDULABLE_CHANGED = "UpdateUnschedulable";

interface Happened {
  readonly event: ClusterEvent;
  readonly old: unknown;
  readonly now: unknown;
}

export function createSchedulingQueue({ clock, plugins, initialBackoffMs = 1000, maxBackoffMs = 10_000 }: QueueOptions): SchedulingQueue {
  const active = createHeap();
  const backingOff = new Map<string, { queued: QueuedPod; cancel: Cancel }>();
  const unschedulable = new Map<string, { queued: QueuedPod; cancel: Cancel }>();
  /** Popped, with how much had happened then; in order of popping. */
  const inFlight = new Map<string, { queued: QueuedPod; since: number }>();
  /** What happened since the oldest pod in flight was popped, from number `first` on. */
  let happened: Happened[] = [];
  let first = 0;
  let taker: ((queued: QueuedPod | undefined) => void) | undefined;
  let sequence = 0;
  let closed = false;

  const take = (queued: QueuedPod): QueuedPod => {
    queued.attempts++;
    inFlight.set(queued.pod.metadata.uid, { queued, since: first + happened.length });
    return queued;
  };
  const activate = (queued: QueuedPod): void => {
    active.push(queued);
    if (taker === undefined) return;
    const resolve = taker;
    taker = undefined;
    resolve(take(active.pop()!));
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
  /** Takes the pod out of those that wait for a change. */
  const release = (uid: string): QueuedPod | undefined => {
    const waiting = unschedulable.get(uid);
    waiting?.cancel();
    unschedulable.delete(uid);
    return waiting?.queued;
  };
  /** Follows isPodWorthRequeuing. */
  const helps = ({ event, old, now }: Happened, { pod, refusedBy }: QueuedPod): boolean => {
    if (refusedBy.size === 0 || event.action === UNSCHEDULABLE_CHANGED) return true;
    return plugins(pod).some(({ name, events }) => refusedBy.has(name) && (events === undefined || events.some(({ resource, actions, hint }) =>
      resource === event.resource && actions.includes(event.action) && (hint === undefined || hint(pod, old, now)))));
  };
  /** Forgets what nobody in flight has to be told any more. */
  const land = (uid: string): number => {
    const since = inFlight.get(uid)?.since ?? first + happened.length;
    inFlight.delete(uid);
    if (inFlight.size === 0) {
      first += happened.length;
      happened = [];
    } else if (happened.length > 1024) {
      const [oldest] = inFlight.values();
      happened.splice(0, oldest!.since - first);
      first = oldest!.since;
    }
    return since;
  };

  return {
    add(pod) {
      const { uid } = pod.metadata;
      if (closed || active.has(uid) || backingOff.has(uid) || unschedulable.has(uid) || inFlight.has(uid)) return;
      activate({ pod, attempts: 0, sequence: sequence++, backoffUntilNs: 0, refusedBy: NOBODY });
    },
    update(pod) {
      const { uid } = pod.metadata;
      const queued = inFlight.get(uid)?.queued ?? active.get(uid) ?? backingOff.get(uid)?.queued ?? unschedulable.get(uid)?.queued;
      if (queued === undefined) {
        this.add(pod);
        return;
      }
      // The scheduler's own writes of status must not bring it back.
      const changed = unschedulable.has(uid) && (!deepEqual(queued.pod.spec, pod.spec) || !deepEqual(queued.pod.metadata.labels, pod.metadata.labels));
      queued.pod = pod;
      if (changed) retry(release(uid)!);
    },
    delete(uid) {
      active.delete(uid);
      release(uid);
      backingOff.get(uid)?.cancel();
      backingOff.delete(uid);
      if (inFlight.has(uid)) land(uid);
    },
    pop() {
      const next = active.pop();
      if (next !== undefined) return Promise.resolve(take(next));
      if (closed) return Promise.resolve(undefined);
      return new Promise((resolve) => {
        taker = resolve;
      });
    },
    done: (uid) => void land(uid),
    requeue(queued, refusedBy) {
      const { uid } = queued.pod.metadata;
      if (!inFlight.has(uid) || closed) return;
      queued.refusedBy = refusedBy;
      queued.sequence = sequence++;
      queued.backoffUntilNs = clock.nowNs() + Math.min(initialBackoffMs * 2 ** (queued.attempts - 1), maxBackoffMs) * 1e6;
      const missed = happened.slice(inFlight.get(uid)!.since - first);
      land(uid);
      if (missed.some((one) => helps(one, queued))) retry(queued);
      else {
        const cancel = clock.after(UNSCHEDULABLE_MAX_MS, () => {
          unschedulable.delete(uid);
          retry(queued);
        });
        unschedulable.set(uid, { queued, cancel });
      }
    },
    move(event, old, now) {
      const one: Happened = { event, old, now };
      if (inFlight.size > 0) happened.push(one);
      for (const [uid, { queued }] of unschedulable) if (helps(one, queued)) retry(release(uid)!);
    },
    close() {
      closed = true;
      for (const { cancel } of [...backingOff.values(), ...unschedulable.values()]) cancel();
      backingOff.clear();
      unschedulable.clear();
      taker?.(undefined);
      taker = undefined;
    },
  };
}

const NOBODY: ReadonlySet<string> = new Set();

/** Higher priority first, then who came first. Follows the PrioritySort plugin. */
function before(a: QueuedPod, b: QueuedPod): boolean {
  const [x, y] = [priorityOf(a.pod), priorityOf(b.pod)];
  return x === y ? a.sequence < b.sequence : x > y;
}

interface Heap {
  push(queued: QueuedPod): void;
  pop(): QueuedPod | undefined;
  get(uid: string): QueuedPod | undefined;
  has(uid: string): boolean;
  delete(uid: string): void;
}

/** The pods to try, the most important on top; who is deleted stays in the array until it comes up. */
function createHeap(): Heap {
  const items: QueuedPod[] = [];
  const byUid = new Map<string, QueuedPod>();
  const sink = (from: number): void => {
    let at = from;
    for (;;) {
      let best = at;
      for (const child of [2 * at + 1, 2 * at + 2]) if (child < items.length && before(items[child]!, items[best]!)) best = child;
      if (best === at) return;
      [items[at], items[best]] = [items[best]!, items[at]!];
      at = best;
    }
  };
  const popAny = (): QueuedPod | undefined => {
    const top = items[0];
    const last = items.pop();
    if (items.length > 0 && last !== undefined) {
      items[0] = last;
      sink(0);
    }
    return top;
  };
  return {
    push(queued) {
      byUid.set(queued.pod.metadata.uid, queued);
      let at = items.push(queued) - 1;
      for (let up = (at - 1) >> 1; at > 0 && before(items[at]!, items[up]!); up = (at - 1) >> 1) {
        [items[at], items[up]] = [items[up]!, items[at]!];
        at = up;
      }
    },
    pop() {
      for (;;) {
        const top = popAny();
        if (top === undefined) return undefined;
        if (byUid.get(top.pod.metadata.uid) !== top) continue;
        byUid.delete(top.pod.metadata.uid);
        return top;
      }
    },
    get: (uid) => byUid.get(uid),
    has: (uid) => byUid.has(uid),
    delete: (uid) => void byUid.delete(uid),
  };
}
