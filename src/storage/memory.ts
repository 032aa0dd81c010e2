/**
 * The embedded store: the current state in maps with sorted keys, the history as a bounded log of events. A range at
 * an older revision takes the current state and undoes the log down to it.
 */
import { deepFreeze } from "../apimachinery/meta.ts";
import { CompactedError, FutureRevisionError } from "./storage.ts";
import type { Compare, KeyValue, Op, RangeOptions, RangeResult, Storage, StorageEvent, TxnResult, WatchSink } from "./storage.ts";

export interface MemoryStorageOptions<V> {
  /** How many events are kept for watches and old ranges (default 20,000). */
  historyMax?: number;
  /** Writes the revision into a value, once, before it is frozen: the place of what a decoder does on reading. */
  stamp?: (value: V, revision: number) => void;
}

interface Watcher<V> {
  prefix: string;
  sink: WatchSink<V>;
}

/** The keys under one `/registry/<resource>/`: values by key, keys in order, and who watches. */
interface Bucket<V> {
  byKey: Map<string, KeyValue<V>>;
  sorted: string[];
  /** Keys that wait to be put in order, until somebody asks for a range: most objects are written many at a time. */
  unsorted: string[];
  watchers: Watcher<V>[];
}

export function createMemoryStorage<V extends object>(options: MemoryStorageOptions<V> = {}): Storage<V> {
  const historyMax = options.historyMax ?? 20_000;
  const buckets = new Map<string, Bucket<V>>();
  /** Those whose prefix is shorter than a bucket's. */
  const widest: Watcher<V>[] = [];
  let history: StorageEvent<V>[] = [];
  let historyStart = 0;
  let revision = 1;
  let compacted = 0;

  /** The bucket that holds every key with this prefix; "" when there may be several. */
  const bucketName = (prefix: string): string => {
    const first = prefix.indexOf("/", 1);
    return first < 0 ? "" : prefix.slice(0, prefix.indexOf("/", first + 1) + 1);
  };
  const bucketOf = (key: string): Bucket<V> => {
    const name = bucketName(key);
    let bucket = buckets.get(name);
    if (bucket === undefined) buckets.set(name, (bucket = { byKey: new Map(), sorted: [], unsorted: [], watchers: [] }));
    return bucket;
  };

  /** All buckets that may hold keys with this prefix. */
  const bucketsOf = (prefix: string): Bucket<V>[] => (bucketName(prefix) === "" ? [...buckets.values()] : [bucketOf(prefix)]);

  /** Index in `history` of the first event after `after`. */
  const firstAfter = (after: number): number => {
    let low = historyStart;
    let high = history.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (history[middle]!.revision <= after) low = middle + 1;
      else high = middle;
    }
    return low;
  };

  const dropHistory = (count: number): void => {
    if (count <= 0) return;
    historyStart += count;
    compacted = Math.max(compacted, history[historyStart - 1]!.revision);
    if (historyStart > 4096 && historyStart * 2 > history.length) {
      history = history.slice(historyStart);
      historyStart = 0;
    }
  };

  const undoTo = (prefix: string, wanted: number): KeyValue<V>[] => {
    const state = new Map<string, KeyValue<V>>();
    for (const bucket of bucketsOf(prefix)) for (const [key, kv] of bucket.byKey) if (key.startsWith(prefix)) state.set(key, kv);
    for (let i = history.length - 1; i >= historyStart && history[i]!.revision > wanted; i--) {
      const event = history[i]!;
      if (!event.key.startsWith(prefix)) continue;
      if (event.previous === undefined) state.delete(event.key);
      else state.set(event.key, event.previous);
    }
    return [...state.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  };

  return {
    async revision() {
      return revision;
    },

    async get(key) {
      return bucketOf(key).byKey.get(key);
    },

    async range(prefix: string, { from = prefix, limit = 0, revision: at }: RangeOptions = {}): Promise<RangeResult<V>> {
      if (at !== undefined && at > revision) throw new FutureRevisionError();
      if (at !== undefined && at < compacted) throw new CompactedError(compacted);
      if (at !== undefined && at < revision) {
        const all = undoTo(prefix, at).filter((kv) => kv.key >= from);
        return { items: limit > 0 ? all.slice(0, limit) : all, count: all.length, revision };
      }
      if (bucketName(prefix) === "") {
        const all = undoTo(prefix, revision).filter((kv) => kv.key >= from);
        return { items: limit > 0 ? all.slice(0, limit) : all, count: all.length, revision };
      }
      const bucket = bucketOf(prefix);
      const { byKey } = bucket;
      const sorted = inOrder(bucket);
      const start = lowerBound(sorted, from);
      const end = from === prefix || from.startsWith(prefix) ? upperBound(sorted, prefix, start) : start;
      const items: KeyValue<V>[] = [];
      const stop = limit > 0 ? Math.min(end, start + limit) : end;
      for (let i = start; i < stop; i++) items.push(byKey.get(sorted[i]!)!);
      return { items, count: end - start, revision };
    },

    async txn(compare: readonly Compare[], success: readonly Op<V>[]): Promise<TxnResult<V>> {
      for (const { key, modRevision } of compare) {
        if ((bucketOf(key).byKey.get(key)?.modRevision ?? 0) === modRevision) continue;
        return { succeeded: false, revision, current: compare.map((c) => bucketOf(c.key).byKey.get(c.key)) };
      }
      const written: KeyValue<V>[] = [];
      const events: StorageEvent<V>[] = [];
      const next = revision + 1;
      for (const op of success) {
        const bucket = bucketOf(op.key);
        const previous = bucket.byKey.get(op.key);
        if (op.type === "put") {
          options.stamp?.(op.value, next);
          const kv: KeyValue<V> = {
            key: op.key,
            value: deepFreeze(op.value),
            createRevision: previous?.createRevision ?? next,
            modRevision: next,
          };
          bucket.byKey.set(op.key, kv);
          if (previous === undefined) bucket.unsorted.push(op.key);
          written.push(kv);
          events.push({ type: "put", key: op.key, revision: next, kv, ...(previous === undefined ? {} : { previous }) });
        } else if (previous !== undefined) {
          bucket.byKey.delete(op.key);
          const sorted = inOrder(bucket);
          sorted.splice(lowerBound(sorted, op.key), 1);
          events.push({ type: "delete", key: op.key, revision: next, previous });
        }
      }
      if (events.length === 0) return { succeeded: true, revision, written };
      revision = next;
      for (const event of events) {
        history.push(event);
        const { watchers } = bucketOf(event.key);
        if (watchers.length + widest.length === 0) continue;
        // A copy: who is told may leave.
        for (const watcher of [...watchers, ...widest]) if (event.key.startsWith(watcher.prefix)) watcher.sink.event(event);
      }
      dropHistory(history.length - historyStart - historyMax);
      return { succeeded: true, revision, written };
    },

    watch(prefix: string, afterRevision: number, sink: WatchSink<V>): () => void {
      if (afterRevision < compacted) throw new CompactedError(compacted);
      for (let i = firstAfter(afterRevision); i < history.length; i++)
        if (history[i]!.key.startsWith(prefix)) sink.event(history[i]!);
      const watchers = bucketName(prefix) === "" ? widest : bucketOf(prefix).watchers;
      const watcher = { prefix, sink };
      watchers.push(watcher);
      return () => {
        const at = watchers.indexOf(watcher);
        if (at >= 0) watchers.splice(at, 1);
      };
    },

    async compact(at: number): Promise<void> {
      if (at > revision) throw new FutureRevisionError();
      if (at <= compacted) throw new CompactedError(compacted);
      dropHistory(firstAfter(at) - historyStart);
      compacted = at;
    },
  };
}

function lowerBound(sorted: readonly string[], key: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The index behind the last key with this prefix, from `low` on. */
function upperBound(sorted: readonly string[], prefix: string, low: number): number {
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const key = sorted[middle]!;
    if (key < prefix || key.startsWith(prefix)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** So many keys are put in their place one by one; more are sorted first. */
const FEW = 16;

/** All keys of a bucket in order. */
function inOrder(bucket: Pick<Bucket<unknown>, "sorted" | "unsorted">): string[] {
  const { sorted, unsorted } = bucket;
  if (unsorted.length === 0) return sorted;
  bucket.unsorted = [];
  if (unsorted.length <= FEW) {
    for (const key of unsorted) {
      if (sorted.length === 0 || sorted[sorted.length - 1]! < key) sorted.push(key);
      else sorted.splice(lowerBound(sorted, key), 0, key);
    }
    return sorted;
  }
  unsorted.sort();
  if (sorted.length === 0 || sorted[sorted.length - 1]! < unsorted[0]!) {
    for (const key of unsorted) sorted.push(key);
    return sorted;
  }
  const merged: string[] = [];
  let at = 0;
  for (const key of unsorted) {
    while (at < sorted.length && sorted[at]! < key) merged.push(sorted[at++]!);
    merged.push(key);
  }
  while (at < sorted.length) merged.push(sorted[at++]!);
  return (bucket.sorted = merged);
}
