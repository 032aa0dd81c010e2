/**
 * etcd's semantics as the API server needs them: revisions, ranges, transactions that compare, watches from a
 * revision, compaction. Follows etcd v3 (api/v3/rpc.proto: KV and Watch). Values are JSON objects instead of bytes;
 * an implementation deep-freezes them when they are written, and hands out the same object to every reader.
 */

export interface KeyValue<V> {
  readonly key: string;
  readonly value: V;
  /** The revision that created the key (since its last deletion). */
  readonly createRevision: number;
  /** The revision of the last change. */
  readonly modRevision: number;
}

export interface RangeOptions {
  /** The first key wanted; by default the prefix itself. */
  from?: string;
  /** At most so many. */
  limit?: number;
  /** The state at this revision. Throws {@link CompactedError} when it is compacted, {@link FutureRevisionError}. */
  revision?: number;
}

export interface RangeResult<V> {
  readonly items: readonly KeyValue<V>[];
  /** How many keys from `from` on match, those beyond the limit included. */
  readonly count: number;
  /** The store's revision when the range was read. */
  readonly revision: number;
}

/** `modRevision` 0 means: the key does not exist. */
export interface Compare {
  key: string;
  modRevision: number;
}

export type Op<V> =
  | { type: "put"; key: string; value: V }
  | { type: "delete"; key: string };

export type TxnResult<V> =
  | { succeeded: true; revision: number; written: readonly KeyValue<V>[] }
  /** What the compared keys hold instead; undefined where there is none. */
  | { succeeded: false; revision: number; current: readonly (KeyValue<V> | undefined)[] };

export interface StorageEvent<V> {
  readonly type: "put" | "delete";
  readonly key: string;
  readonly revision: number;
  /** After a put. */
  readonly kv?: KeyValue<V>;
  /** Before the change; absent for a creation. */
  readonly previous?: KeyValue<V>;
}

export interface WatchSink<V> {
  /** Called in revision order, after the transaction that caused the events. */
  event(event: StorageEvent<V>): void;
}

export interface Storage<V> {
  revision(): Promise<number>;
  get(key: string): Promise<KeyValue<V> | undefined>;
  range(prefix: string, options?: RangeOptions): Promise<RangeResult<V>>;
  /** All or nothing, at one new revision; a transaction without changes takes none. */
  txn(compare: readonly Compare[], success: readonly Op<V>[]): Promise<TxnResult<V>>;
  /**
   * Every event of the keys under `prefix` after `afterRevision`. Returns how to stop.
   * Throws {@link CompactedError} when those events are gone.
   */
  watch(prefix: string, afterRevision: number, sink: WatchSink<V>): () => void;
  /** Forgets the history up to and including `revision`. */
  compact(revision: number): Promise<void>;
}

/** The asked-for revision is compacted (etcd ErrCompacted). */
export class CompactedError extends Error {
  /** The last revision that is gone. */
  readonly compacted: number;

  constructor(compacted: number) {
    super("etcdserver: mvcc: required revision has been compacted");
    this.compacted = compacted;
  }
}

/** The asked-for revision is not there yet (etcd ErrFutureRev). */
export class FutureRevisionError extends Error {
  constructor() {
    super("etcdserver: mvcc: required revision is a future revision");
  }
}
