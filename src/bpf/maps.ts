/**
 * What programs say to JavaScript: ring buffers and perf buffers as callbacks and async iterables, and elements of maps in batches. Everything comes
 * in the order in which the programs wrote it. `typed-map.ts` has keys and values by their types.
 */
import type { BpfMap, BpfMapElement } from "../kernel/bpf-maps.ts";
import { MapType } from "./uapi.ts";

/** Turns a record into what listeners get; without one they get its bytes. */
export type Decode<T> = (record: Uint8Array<ArrayBuffer>) => T;

export interface EventSource<T> extends AsyncIterable<T> {
  /** Takes what is there now, oldest first. */
  read(): T[];
  /** Calls `listener` for each event from now on, what is waiting first; the answer ends it. */
  subscribe(listener: (event: T) => void): () => void;
  /** Ends all subscriptions and iterations. */
  close(): void;
}

export interface PerfSource<T> extends EventSource<T> {
  /** Samples that found no room, so far. */
  readonly lost: number;
}

const decoder = <T>(decode: Decode<T> | undefined): Decode<T> => decode ?? ((record) => record as unknown as T);

/** Events that `take` gets out of a map, whenever the kernel says that there are some. One source a map. */
function eventSource<T>(map: BpfMap, take: (each: (event: T) => void) => void): EventSource<T> {
  const listeners = new Set<(event: T) => void>();
  /** Iterations that wait, or have events that were not asked for yet. */
  const readers = new Set<Reader<T>>();
  let closed = false;
  const deliver = (): void => {
    if (listeners.size === 0 && readers.size === 0) return;
    take((event) => {
      for (const listener of listeners) listener(event);
      for (const reader of readers) reader.push(event);
    });
  };
  map.onWake(deliver);
  return {
    read() {
      const events: T[] = [];
      take((event) => events.push(event));
      return events;
    },
    subscribe(listener) {
      if (closed) return () => {};
      listeners.add(listener);
      deliver();
      return () => void listeners.delete(listener);
    },
    close() {
      closed = true;
      map.onWake(undefined);
      listeners.clear();
      for (const reader of readers) reader.end();
      readers.clear();
    },
    [Symbol.asyncIterator]() {
      const reader = newReader<T>(() => readers.delete(reader));
      if (closed) reader.end();
      else {
        readers.add(reader);
        deliver();
      }
      return reader.iterator;
    },
  };
}

interface Reader<T> {
  readonly iterator: AsyncIterator<T, undefined>;
  push(event: T): void;
  end(): void;
}

function newReader<T>(done: () => void): Reader<T> {
  const events: T[] = [];
  const waiting: ((result: IteratorResult<T, undefined>) => void)[] = [];
  let ended = false;
  const end = (): void => {
    ended = true;
    for (const resolve of waiting.splice(0)) resolve({ done: true, value: undefined });
  };
  return {
    push(event) {
      const resolve = waiting.shift();
      if (resolve === undefined) events.push(event);
      else resolve({ done: false, value: event });
    },
    end,
    iterator: {
      next: () =>
        new Promise((resolve) => {
          if (events.length > 0) resolve({ done: false, value: events.shift()! });
          else if (ended) resolve({ done: true, value: undefined });
          else waiting.push(resolve);
        }),
      return() {
        done();
        end();
        events.length = 0;
        return Promise.resolve({ done: true, value: undefined });
      },
    },
  };
}

/** The records of a ring buffer. Throws a TypeError for another map. */
export function ringBuffer<T = Uint8Array<ArrayBuffer>>(map: BpfMap, decode?: Decode<T>): EventSource<T> {
  if (map.type !== MapType.RINGBUF) throw new TypeError(`map ${map.name} is no ring buffer`);
  const of = decoder(decode);
  return eventSource<T>(map, (each) => void map.consume((record) => each(of(record))));
}

/** The samples of a perf event array: opens a ring of `pages` (a power of two) for CPU 0, where programs run. Throws a TypeError for another map. */
export function perfBuffer<T = Uint8Array<ArrayBuffer>>(map: BpfMap, { pages = 8, decode }: { readonly pages?: number; readonly decode?: Decode<T> } = {}): PerfSource<T> {
  if (map.type !== MapType.PERF_EVENT_ARRAY) throw new TypeError(`map ${map.name} is no perf event array`);
  map.openPerf(0, pages);
  const of = decoder(decode);
  let lost = 0;
  const source = eventSource<T>(map, (each) => {
    lost += map.consumePerf(0, (sample) => each(of(sample)));
  });
  return {
    ...source,
    get lost() {
      return lost;
    },
  };
}

const BATCHED: readonly number[] = [
  MapType.HASH, MapType.PERCPU_HASH, MapType.LRU_HASH, MapType.LRU_PERCPU_HASH, MapType.ARRAY, MapType.PERCPU_ARRAY, MapType.LPM_TRIE,
];
/** Bytes that an answer has room for. */
const ROOM = 120_000;

/** All elements of a map, many with each request; in the order of its iteration. Elements that change meanwhile may be seen before or after. */
export function* elementsOf(map: BpfMap): Generator<BpfMapElement, void, undefined> {
  const { keySize, valueBytes } = map;
  const most = Math.min(4096, Math.floor(ROOM / (keySize + valueBytes)));
  if (!BATCHED.includes(map.type) || most < 1) {
    yield* map.elements();
    return;
  }
  let from: Uint8Array | undefined;
  for (let count = Math.min(64, most); ;) {
    const { keys, values, count: got, next, error } = map.lookupBatch(count, from);
    for (let i = 0; i < got; i++) {
      yield { key: keys.slice(i * keySize, (i + 1) * keySize), value: values.slice(i * valueBytes, (i + 1) * valueBytes) };
    }
    if (error === "ENOENT" || (error === undefined && got === 0)) return;
    // A chain that is longer than the room for it: one by one.
    if (error === "ENOSPC" && count === most) throw new RangeError(`map ${map.name}: more than ${most} elements in one bucket`);
    if (error === "ENOSPC") count = Math.min(count * 2, most);
    if (next !== undefined && error !== "ENOSPC") from = next;
  }
}
