/**
 * Watch streams: the store's events seen through a selection. An object that enters the selection is ADDED, one that
 * leaves it DELETED. Follows k8s.io/apiserver/pkg/storage/cacher (cacheWatcher.convertToWatchEvent).
 */
import type { KubeObject } from "../apimachinery/meta.ts";
import { deepFreeze } from "../apimachinery/meta.ts";
import { apiVersionOf } from "../api/resources.ts";
import type { WatchEvent } from "../client/transport.ts";
import type { Storage, StorageEvent } from "../storage/storage.ts";
import type { Clock } from "../time/clock.ts";
import type { Descriptor } from "./registry/descriptor.ts";

export interface WatchOptions {
  descriptor: Descriptor;
  prefix: string;
  /** Events after this revision. */
  afterRevision: number;
  /** Sent first, as ADDED. */
  initial: readonly KubeObject[];
  /** After the initial events, a bookmark with the `k8s.io/initial-events-end` annotation at this revision. */
  initialEventsEnd: number | undefined;
  matches: (object: KubeObject) => boolean;
  bookmarks: boolean;
  timeoutMs: number | undefined;
  clock: Clock;
  signal: AbortSignal | undefined;
}

/** A watch that lags by more than this is ended, and the client lists again. */
const QUEUE_MAX = 50_000;
/** How often a watch that wants them gets a bookmark, if the store moved (cacher: defaultBookmarkFrequency). */
const BOOKMARK_MS = 60_000;

/** Starts watching at once; throws CompactedError when the revision is gone. */
export function watchStream(storage: Storage<KubeObject>, options: WatchOptions): AsyncIterable<WatchEvent> {
  const { descriptor, clock, matches, signal } = options;
  const queue: WatchEvent[] = [];
  let head = 0;
  let waiting: ((result: IteratorResult<WatchEvent>) => void) | undefined;
  let ended = false;
  let seen = options.afterRevision;
  let bookmarked = options.afterRevision;
  const cancels: (() => void)[] = [];

  const push = (event: WatchEvent): void => {
    if (ended) return;
    if (waiting !== undefined) {
      const resolve = waiting;
      waiting = undefined;
      resolve({ value: event, done: false });
    } else if (queue.length - head >= QUEUE_MAX) end();
    else queue.push(event);
  };
  const end = (): void => {
    if (ended) return;
    ended = true;
    for (const cancel of cancels) cancel();
    signal?.removeEventListener("abort", end);
    if (waiting === undefined) return;
    const resolve = waiting;
    waiting = undefined;
    resolve({ value: undefined, done: true });
  };
  const bookmark = (revision: number, annotations?: Record<string, string>): void => {
    bookmarked = revision;
    const { kind } = descriptor.name;
    const metadata = { resourceVersion: String(revision), creationTimestamp: null, ...(annotations === undefined ? {} : { annotations }) };
    push({ type: "BOOKMARK", object: emptyObject(kind, apiVersionOf(descriptor.name), metadata) });
  };

  for (const object of options.initial) push({ type: "ADDED", object });
  if (options.initialEventsEnd !== undefined) bookmark(options.initialEventsEnd, {
    "k8s.io/initial-events-end": "true",
    // What an empty list of these objects looks like, for clients that build the list out of the events.
    "kubernetes.io/initial-events-list-blueprint": btoa(`{"kind":"${descriptor.name.listKind ?? `${descriptor.name.kind}List`}","apiVersion":"${apiVersionOf(descriptor.name)}","metadata":{},"items":null}\n`),
  });
  cancels.push(storage.watch(options.prefix, options.afterRevision, {
    event(event) {
      seen = event.revision;
      const converted = convert(event, matches);
      if (converted !== undefined) push(converted);
    },
  }));
  if (options.timeoutMs !== undefined) cancels.push(clock.after(options.timeoutMs, end));
  if (options.bookmarks) {
    let cancelTimer = (): void => {};
    const tick = (): void => {
      if (seen > bookmarked) bookmark(seen);
      cancelTimer = clock.after(BOOKMARK_MS, tick);
    };
    cancelTimer = clock.after(BOOKMARK_MS, tick);
    cancels.push(() => cancelTimer());
  }
  if (signal?.aborted === true) end();
  else signal?.addEventListener("abort", end);

  return {
    [Symbol.asyncIterator]: () => ({
      next(): Promise<IteratorResult<WatchEvent>> {
        if (head < queue.length) {
          const value = queue[head]!;
          head++;
          if (head === queue.length) {
            queue.length = 0;
            head = 0;
          }
          return Promise.resolve({ value, done: false });
        }
        if (ended) return Promise.resolve({ value: undefined, done: true });
        return new Promise((resolve) => {
          waiting = resolve;
        });
      },
      return(): Promise<IteratorResult<WatchEvent>> {
        end();
        return Promise.resolve({ value: undefined, done: true });
      },
    }),
  };
}

function emptyObject(kind: string, apiVersion: string, metadata: Record<string, unknown>): KubeObject {
  return { kind, apiVersion, metadata } as unknown as KubeObject;
}

function convert(event: StorageEvent<KubeObject>, matches: (object: KubeObject) => boolean): WatchEvent | undefined {
  const now = event.kv !== undefined && matches(event.kv.value);
  const before = event.previous !== undefined && matches(event.previous.value);
  if (now) return { type: before ? "MODIFIED" : "ADDED", object: event.kv!.value };
  if (!before) return undefined;
  // The last known state, with the revision of the change that took it out of sight.
  const last = event.previous!.value;
  return { type: "DELETED", object: deepFreeze({ ...last, metadata: { ...last.metadata, resourceVersion: String(event.revision) } }) };
}
