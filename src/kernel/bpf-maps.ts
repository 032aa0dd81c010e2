/**
 * eBPF maps of one node, as bpf(2) offers them: creation, elements, batches, ring and perf buffers, all in bytes. `src/bpf/maps.ts` puts types on
 * them. Errors are KernelError with the errno's name; "no such element" is `undefined` or `false`.
 */
import { EBADF, EFAULT, EINVAL, ENOENT, ENOSPC, ENOTSUPP, MAILBOX_BYTES, RUN_BPF } from "../../assembly/abi/core.ts";
import {
  BATCH_LOOKUP, BATCH_LOOKUP_DELETE, BPFMA_ADDRESS, BPFMA_DATA, BPFMA_DATA_BYTES, BPFMA_ID, BPFMA_STRIDE, BPFMC_BTF_KEY, BPFMC_BTF_VALUE,
  BPFMC_BYTES, BPFMC_EXTRA, BPFMC_FIELDS, BPFMC_FIELD_BYTES, BPFMC_FLAGS, BPFMC_IFINDEX, BPFMC_INNER, BPFMC_KEY_SIZE, BPFMC_MAX_ENTRIES,
  BPFMC_NAME, BPFMC_NUMA_NODE, BPFMC_TYPE, BPFMC_VALUE_SIZE, BPFMI_BTF_KEY, BPFMI_BTF_VALUE, BPFMI_COUNT, BPFMI_EXTRA, BPFMI_FLAGS,
  BPFMI_FROZEN, BPFMI_ID, BPFMI_KEY_SIZE, BPFMI_MAX_ENTRIES, BPFMI_NAME, BPFMI_REFS, BPFMI_TYPE, BPFMI_VALUE_SIZE, BPF_CPUS,
  BPF_FIELD_KPTR_PERCPU, BPF_FIELD_KPTR_REF, BPF_FIELD_KPTR_UNREF, BPF_FIELD_LIST_HEAD, BPF_FIELD_LIST_NODE, BPF_FIELD_RB_NODE,
  BPF_FIELD_RB_ROOT, BPF_FIELD_REFCOUNT, BPF_FIELD_RES_SPIN_LOCK, BPF_FIELD_SPIN_LOCK, BPF_FIELD_TASK_WORK, BPF_FIELD_TIMER,
  BPF_FIELD_UPTR, BPF_FIELD_WORKQUEUE, BPF_MAP_BATCH, BPF_MAP_BATCH_DELETE, BPF_MAP_BATCH_UPDATE, BPF_MAP_BY_ID, BPF_MAP_CLOSE,
  BPF_MAP_CREATE, BPF_MAP_DELETE, BPF_MAP_EVENTS, BPF_MAP_FREEZE, BPF_MAP_INFO, BPF_MAP_LOOKUP, BPF_MAP_LOOKUP_DELETE, BPF_MAP_NEXT_ID,
  BPF_MAP_NEXT_KEY, BPF_MAP_TYPE_ARRAY_OF_MAPS, BPF_MAP_TYPE_CGROUP_ARRAY, BPF_MAP_TYPE_HASH_OF_MAPS, BPF_MAP_TYPE_LRU_PERCPU_HASH,
  BPF_MAP_TYPE_PERCPU_ARRAY, BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE, BPF_MAP_TYPE_PERCPU_HASH, BPF_MAP_TYPE_PERF_EVENT_ARRAY,
  BPF_MAP_TYPE_PROG_ARRAY, BPF_MAP_UPDATE, BPF_PERF_CONSUME, BPF_PERF_OPEN, BPF_RINGBUF_CONSUME, BPF_RINGBUF_SKIP, BPF_RINGBUF_STATE,
  BPF_USER_RINGBUF_PUT, EDEADLK, EOVERFLOW,
} from "../../assembly/abi/bpf-maps.ts";
import type { NodeContext } from "./context.ts";
import { errnoName } from "./memory.ts";
import { KernelError } from "./netns.ts";

/** A field of the value that only helpers may touch (`MapField` of the verifier). */
export interface BpfMapField {
  readonly kind: keyof typeof FIELD_KINDS;
  readonly offset: number;
  readonly size: number;
  /** Lists and trees: offset of the node in what they hold. */
  readonly node?: number;
}

/** What BPF_MAP_CREATE is given. Sizes in bytes; numbers of uapi/linux/bpf.h. */
export interface BpfMapSpec {
  readonly name?: string;
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags?: number;
  /** Maps of maps: a map that inner maps have to be like. */
  readonly inner?: BpfMap;
  readonly extra?: number;
  readonly numaNode?: number;
  readonly ifindex?: number;
  /** In the order of their offsets. */
  readonly fields?: readonly BpfMapField[];
  /** Ids of the types of key and value, where there is BTF. */
  readonly btfKey?: number;
  readonly btfValue?: number;
}

/** struct bpf_map_info. */
export interface BpfMapInfo {
  readonly type: number;
  readonly id: number;
  readonly name: string;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly extra: number;
  readonly frozen: boolean;
  readonly btfKey: number;
  readonly btfValue: number;
  /** Elements that there are, of types that count them. */
  readonly count: number;
  readonly references: number;
}

export interface BpfMapElement {
  readonly key: Uint8Array<ArrayBuffer>;
  readonly value: Uint8Array<ArrayBuffer>;
}

/** What a batch answered. */
export interface BpfMapBatch {
  readonly keys: Uint8Array<ArrayBuffer>;
  readonly values: Uint8Array<ArrayBuffer>;
  readonly count: number;
  /** Where to go on; undefined when nothing was seen. */
  readonly next: Uint8Array<ArrayBuffer> | undefined;
  /** "ENOENT": all were seen; "ENOSPC": the next bucket has more elements than were asked for. */
  readonly error: string | undefined;
}

/** Positions of a ring buffer, in bytes since it was made. */
export interface BpfRingState {
  readonly consumer: number;
  readonly producer: number;
  readonly size: number;
}

/** A map that this driver has a handle of. Keys and values are copied in and out; a missing key is an empty one. */
export interface BpfMap {
  /** Stands for the map in slots of other maps and in requests. */
  readonly handle: number;
  readonly id: number;
  readonly name: string;
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  /** What an `lddw` of this map holds. */
  readonly address: number;
  /** Arrays: address of the first value (of CPU 0); 0: none. It never changes. */
  readonly data: number;
  /** Bytes from one value of an array to the next. */
  readonly stride: number;
  readonly dataBytes: number;
  /** Bytes of a value as bpf(2) has it: of per-CPU maps each CPU's, rounded up to 8. */
  readonly valueBytes: number;
  info(): BpfMapInfo;
  /** undefined: there is no such element. `flags`: BPF_F_LOCK. Bloom filters: `key` is what is asked about. */
  lookup(key: Uint8Array, flags?: number): Uint8Array<ArrayBuffer> | undefined;
  /** `flags`: BPF_NOEXIST (EEXIST), BPF_EXIST (ENOENT), BPF_F_LOCK. */
  update(key: Uint8Array, value: Uint8Array, flags?: number): void;
  /** Puts a program, map or socket into a slot by its handle. */
  updateHandle(key: Uint8Array, handle: number, flags?: number): void;
  /** False: there was no such element. */
  delete(key: Uint8Array): boolean;
  lookupAndDelete(key: Uint8Array, flags?: number): Uint8Array<ArrayBuffer> | undefined;
  /** The key after `key` (without: the first); undefined: it was the last. */
  nextKey(key?: Uint8Array): Uint8Array<ArrayBuffer> | undefined;
  /** All elements, in the order of `nextKey`; of hash tables as they were when it began with each bucket. */
  elements(): Generator<BpfMapElement, void, undefined>;
  lookupBatch(count: number, from?: Uint8Array, options?: BatchOptions): BpfMapBatch;
  /** Keys and values one behind the other; how many were done, and the errno that ended it. */
  updateBatch(keys: Uint8Array, values: Uint8Array, elementFlags?: number): { readonly count: number; readonly error: string | undefined };
  deleteBatch(keys: Uint8Array, elementFlags?: number): { readonly count: number; readonly error: string | undefined };
  /** The driver can no longer write to it. */
  freeze(): void;
  /** Bytes of the values of an array in place, as mmap(2) of one gives them. */
  read(offset: number, length: number): Uint8Array<ArrayBuffer>;
  write(offset: number, bytes: Uint8Array): void;
  /** Ring buffer: hands out records, oldest first; how many. */
  consume(each: (record: Uint8Array<ArrayBuffer>) => void): number;
  ring(): BpfRingState;
  /** User ring buffer: a record for the program; false: it is full. */
  put(record: Uint8Array): boolean;
  /** Perf event array: opens a ring of 2^n pages for a CPU. */
  openPerf(cpu: number, pages: number): void;
  /** Perf event array: hands out the samples of a CPU; how many were lost since. */
  consumePerf(cpu: number, each: (sample: Uint8Array<ArrayBuffer>) => void): number;
  /** Registers who is told when there is something to consume; one listener. */
  onWake(run: (() => void) | undefined): void;
  /** Lets go of the handle; the map ends when no program and no other map holds it. */
  close(): void;
}

export interface BatchOptions {
  readonly delete?: boolean;
  readonly elementFlags?: number;
  readonly flags?: number;
}

export interface BpfMaps {
  /** Throws the error of BPF_MAP_CREATE. */
  create(spec: BpfMapSpec): BpfMap;
  /** The map with an id; undefined: there is none. */
  byId(id: number): BpfMap | undefined;
  /** Ids of all maps of the node. */
  ids(): number[];
  /** Possible CPUs of the node: programs run on CPU 0, per-CPU values have one part for each. Throws EBUSY once there are maps. */
  setCpus(cpus: number): void;
  /** Calls the listeners of maps that were woken since; the loop does it after each run of the kernel. */
  deliver(): void;
}

const FIELD_KINDS = {
  spin_lock: BPF_FIELD_SPIN_LOCK, res_spin_lock: BPF_FIELD_RES_SPIN_LOCK, timer: BPF_FIELD_TIMER, workqueue: BPF_FIELD_WORKQUEUE,
  task_work: BPF_FIELD_TASK_WORK, kptr_unref: BPF_FIELD_KPTR_UNREF, kptr_ref: BPF_FIELD_KPTR_REF, kptr_percpu: BPF_FIELD_KPTR_PERCPU,
  list_head: BPF_FIELD_LIST_HEAD, list_node: BPF_FIELD_LIST_NODE, rb_root: BPF_FIELD_RB_ROOT, rb_node: BPF_FIELD_RB_NODE,
  refcount: BPF_FIELD_REFCOUNT, uptr: BPF_FIELD_UPTR,
} as const;

const OWN_NAMES: Readonly<Record<number, string>> = {
  [EDEADLK]: "EDEADLK", [EOVERFLOW]: "EOVERFLOW",
};
const NAME_BYTES = 16;
const HEAD = 16;
const BATCH_HEAD = 32;
const NONE = new Uint8Array(0);

/** The name of an errno (positive) that maps answer. */
export const bpfErrnoName = (errno: number): string => OWN_NAMES[errno] ?? errnoName(-errno);

const round8 = (bytes: number): number => (bytes + 7) & ~7;

/** All maps of a node. One object per node: it knows the listeners. */
export function createBpfMaps(context: NodeContext): BpfMaps {
  const { instance } = context;
  const open = new Map<number, { readonly map: BpfMap; wake: (() => void) | undefined }>();
  let cpus = 1;

  const failure = (call: string, errno: number): KernelError => new KernelError(bpfErrnoName(errno), `${call}: ${bpfErrnoName(errno)}`);
  /** The answer, or -errno for those in `allow`. */
  const ask = (call: string, op: number, length: number, allow: readonly number[] = []): number => {
    const result = context.command(op, length, call, true);
    if (result < 0 && !allow.includes(-result)) throw failure(call, -result);
    return result;
  };
  /** Writes {map, second, flags} and the payload; the record's length. Long payloads go into the upload buffer. */
  const head = (map: number, second: number, flags: number): void => {
    instance.view.setUint32(0, map, true);
    instance.view.setUint32(4, second, true);
    instance.putU64(8, flags);
  };
  const request = (map: number, second: number, flags: number, key: Uint8Array, value: Uint8Array = NONE): number => {
    const at = value.length === 0 ? key.length : round8(key.length);
    const length = HEAD + at + value.length;
    if (length <= MAILBOX_BYTES) {
      head(map, second, flags);
      instance.u8.set(key, HEAD);
      instance.u8.fill(0, HEAD + key.length, HEAD + at);
      instance.u8.set(value, HEAD + at);
      return length;
    }
    const bytes = new Uint8Array(at + value.length);
    bytes.set(key);
    bytes.set(value, at);
    instance.upload(bytes);
    head(map, second, flags);
    return HEAD;
  };

  const made = (handle: number, spec: Omit<BpfMapSpec, "inner">): BpfMap => {
    const { view } = instance;
    const address = view.getUint32(BPFMA_ADDRESS, true), data = view.getUint32(BPFMA_DATA, true), stride = view.getUint32(BPFMA_STRIDE, true);
    const dataBytes = view.getUint32(BPFMA_DATA_BYTES, true), id = view.getUint32(BPFMA_ID, true);
    const { type, valueSize } = spec;
    const map = newMap({ ...spec, name: spec.name ?? "", flags: spec.flags ?? 0 }, handle, id, address, data, stride, dataBytes, valueBytesOf(type, valueSize));
    open.set(id, { map, wake: undefined });
    return map;
  };
  const valueBytesOf = (type: number, valueSize: number): number => {
    switch (type) {
      case BPF_MAP_TYPE_PERCPU_HASH: case BPF_MAP_TYPE_PERCPU_ARRAY: case BPF_MAP_TYPE_LRU_PERCPU_HASH: case BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE:
        return round8(valueSize) * cpus;
      case BPF_MAP_TYPE_PROG_ARRAY: case BPF_MAP_TYPE_PERF_EVENT_ARRAY: case BPF_MAP_TYPE_CGROUP_ARRAY: case BPF_MAP_TYPE_ARRAY_OF_MAPS:
      case BPF_MAP_TYPE_HASH_OF_MAPS: return 4;
      default: return valueSize;
    }
  };

  const newMap = (
    spec: Omit<BpfMapSpec, "inner"> & { readonly name: string; readonly flags: number }, handle: number, id: number, address: number, data: number,
    stride: number, dataBytes: number, valueBytes: number,
  ): BpfMap => {
    const { type, keySize, valueSize, maxEntries, flags, name } = spec;
    /** The value that an answer of `bytes` holds. */
    const taken = (bytes: number): Uint8Array<ArrayBuffer> =>
      bytes > MAILBOX_BYTES ? instance.read(instance.view.getUint32(0, true), bytes) : instance.copy(0, bytes);
    const inRange = (offset: number, length: number): void => {
      if (data === 0 || offset < 0 || length < 0 || offset + length > dataBytes) throw failure("bpf map", EINVAL);
    };
    const records = (from: number, end: number, each: (record: Uint8Array<ArrayBuffer>) => void): number => {
      const list: Uint8Array<ArrayBuffer>[] = [];
      for (let at = from; at < end;) {
        const length = instance.view.getUint32(at, true);
        list.push(instance.copy(at + 8, length));
        at += 8 + round8(length);
      }
      for (const record of list) each(record);
      return list.length;
    };
    const map: BpfMap = {
      handle, id, name, type, keySize, valueSize, maxEntries, flags, address, data, stride, dataBytes, valueBytes,
      info() {
        request(handle, 0, 0, NONE);
        ask("bpf map info", BPF_MAP_INFO, HEAD);
        const u32 = (at: number): number => instance.view.getUint32(at, true);
        let text = "";
        for (let i = 0; i < NAME_BYTES && instance.u8[BPFMI_NAME + i] !== 0; i++) text += String.fromCharCode(instance.u8[BPFMI_NAME + i]!);
        return {
          type: u32(BPFMI_TYPE), id: u32(BPFMI_ID), name: text, keySize: u32(BPFMI_KEY_SIZE), valueSize: u32(BPFMI_VALUE_SIZE),
          maxEntries: u32(BPFMI_MAX_ENTRIES), flags: u32(BPFMI_FLAGS), extra: instance.u64(BPFMI_EXTRA), frozen: u32(BPFMI_FROZEN) !== 0,
          btfKey: u32(BPFMI_BTF_KEY), btfValue: u32(BPFMI_BTF_VALUE), count: u32(BPFMI_COUNT), references: u32(BPFMI_REFS),
        };
      },
      lookup(key, lookupFlags = 0) {
        const result = ask("bpf map lookup", BPF_MAP_LOOKUP, request(handle, 0, lookupFlags, key), [ENOENT]);
        return result < 0 ? undefined : taken(result);
      },
      update(key, value, updateFlags = 0) {
        if (value.length < valueBytes) throw failure("bpf map update", EFAULT);
        const whole = value.length > valueBytes ? value.subarray(0, valueBytes) : value;
        ask("bpf map update", BPF_MAP_UPDATE, request(handle, 0, updateFlags, key, whole));
      },
      updateHandle(key, slot, updateFlags = 0) {
        const value = new Uint8Array(Math.max(4, valueBytes));
        new DataView(value.buffer).setUint32(0, slot, true);
        map.update(key, value, updateFlags);
      },
      delete: (key) => ask("bpf map delete", BPF_MAP_DELETE, request(handle, 0, 0, key), [ENOENT]) >= 0,
      lookupAndDelete(key, lookupFlags = 0) {
        const result = ask("bpf map lookup and delete", BPF_MAP_LOOKUP_DELETE, request(handle, 0, lookupFlags, key), [ENOENT]);
        return result < 0 ? undefined : taken(result);
      },
      nextKey(key) {
        const result = ask("bpf map next key", BPF_MAP_NEXT_KEY, request(handle, key === undefined ? 0 : 1, 0, key ?? NONE), [ENOENT]);
        return result < 0 ? undefined : instance.copy(0, result);
      },
      *elements() {
        const keys: Uint8Array<ArrayBuffer>[] = [];
        for (let key = map.nextKey(); key !== undefined; key = map.nextKey(key)) keys.push(key);
        for (const key of keys) {
          const value = map.lookup(key);
          if (value !== undefined) yield { key, value };
        }
      },
      lookupBatch(count, from, { delete: take = false, elementFlags = 0, flags: batchFlags = 0 } = {}) {
        const { view } = instance;
        view.setUint32(0, handle, true);
        view.setUint32(4, take ? BATCH_LOOKUP_DELETE : BATCH_LOOKUP, true);
        view.setUint32(8, count, true);
        view.setUint32(12, from === undefined ? 0 : 1, true);
        instance.putU64(16, elementFlags);
        instance.putU64(24, batchFlags);
        if (from !== undefined) instance.u8.set(from, BATCH_HEAD);
        const result = ask("bpf map batch", BPF_MAP_BATCH, BATCH_HEAD + (from?.length ?? 0), [ENOENT]);
        if (result < 0) return { keys: NONE, values: NONE, count: 0, next: undefined, error: "ENOENT" };
        const errno = view.getUint32(0, true), done = view.getUint32(4, true);
        const place = round8(Math.max(4, keySize));
        const keysAt = 8 + place, valuesAt = keysAt + count * keySize;
        return {
          keys: instance.copy(keysAt, done * keySize), values: instance.copy(valuesAt, done * valueBytes), count: done,
          next: count === 0 || (done === 0 && errno === 0) ? undefined : instance.copy(8, Math.max(4, keySize)),
          error: errno === 0 ? undefined : bpfErrnoName(errno),
        };
      },
      updateBatch(keys, values, elementFlags = 0) {
        const bytes = new Uint8Array(keys.length + values.length);
        bytes.set(keys);
        bytes.set(values, keys.length);
        return batch("bpf map batch update", BPF_MAP_BATCH_UPDATE, bytes, Math.floor(keys.length / keySize), elementFlags);
      },
      deleteBatch: (keys, elementFlags = 0) => batch("bpf map batch delete", BPF_MAP_BATCH_DELETE, keys, Math.floor(keys.length / keySize), elementFlags),
      freeze() {
        ask("bpf map freeze", BPF_MAP_FREEZE, request(handle, 0, 0, NONE));
      },
      read(offset, length) {
        inRange(offset, length);
        return instance.read(data + offset, length);
      },
      write(offset, bytes) {
        inRange(offset, bytes.length);
        instance.write(data + offset, bytes);
      },
      consume(each) {
        let count = 0;
        while (true) {
          const bytes = ask("bpf ring buffer", BPF_RINGBUF_CONSUME, request(handle, 0, 0, NONE));
          if (bytes === 0) return count;
          const length = instance.view.getUint32(0, true);
          if (bytes === 8 && length > 0) {
            const record = instance.read(instance.view.getUint32(4, true), length);
            ask("bpf ring buffer", BPF_RINGBUF_SKIP, request(handle, 0, 0, NONE));
            each(record);
            count++;
          } else count += records(0, bytes, each);
        }
      },
      ring() {
        ask("bpf ring buffer", BPF_RINGBUF_STATE, request(handle, 0, 0, NONE));
        return { consumer: instance.u64(0), producer: instance.u64(8), size: instance.view.getUint32(24, true) };
      },
      put: (record) => ask("bpf user ring buffer", BPF_USER_RINGBUF_PUT, request(handle, record.length, 0, record), [ENOSPC]) >= 0,
      openPerf(cpu, pages) {
        request(handle, cpu, pages, NONE);
        ask("bpf perf buffer", BPF_PERF_OPEN, HEAD);
      },
      consumePerf(cpu, each) {
        let lost = 0;
        while (true) {
          const bytes = ask("bpf perf buffer", BPF_PERF_CONSUME, request(handle, cpu, 0, NONE));
          lost += instance.u64(0);
          if (bytes === 8) return lost;
          records(8, bytes, each);
        }
      },
      onWake(run) {
        const entry = open.get(id);
        if (entry !== undefined) entry.wake = run;
      },
      close() {
        open.delete(id);
        ask("bpf map close", BPF_MAP_CLOSE, request(handle, 0, 0, NONE), [EBADF]);
      },
    };
    /** An update or deletion of many, whose keys and values are uploaded. */
    const batch = (call: string, op: number, bytes: Uint8Array, count: number, elementFlags: number): { count: number; error: string | undefined } => {
      if (bytes.length > 0) instance.upload(bytes);
      head(handle, 0, elementFlags);
      instance.view.setUint32(24, count, true);
      const result = context.command(op, BATCH_HEAD, call, true);
      if (result < 0 && (-result === ENOTSUPP || -result === EBADF)) throw failure(call, -result);
      return { count: instance.view.getUint32(0, true), error: result < 0 ? bpfErrnoName(-result) : undefined };
    };
    return map;
  };

  const deliver = (): void => {
    const woken: number[] = [];
    for (let bytes = ask("bpf map events", BPF_MAP_EVENTS, 0); bytes > 0; bytes = ask("bpf map events", BPF_MAP_EVENTS, 0)) {
      for (let at = 0; at < bytes; at += 4) woken.push(instance.view.getUint32(at, true));
    }
    for (const id of woken) open.get(id)?.wake?.();
  };
  context.onRun(RUN_BPF, deliver);

  return {
    create(spec) {
      const { view } = instance;
      const fields = spec.fields ?? [];
      const length = BPFMC_BYTES + fields.length * BPFMC_FIELD_BYTES;
      instance.u8.fill(0, 0, length);
      view.setUint32(BPFMC_TYPE, spec.type, true);
      view.setUint32(BPFMC_KEY_SIZE, spec.keySize, true);
      view.setUint32(BPFMC_VALUE_SIZE, spec.valueSize, true);
      view.setUint32(BPFMC_MAX_ENTRIES, spec.maxEntries, true);
      view.setUint32(BPFMC_FLAGS, spec.flags ?? 0, true);
      view.setUint32(BPFMC_INNER, spec.inner?.handle ?? 0, true);
      view.setUint32(BPFMC_NUMA_NODE, spec.numaNode ?? 0, true);
      view.setUint32(BPFMC_IFINDEX, spec.ifindex ?? 0, true);
      instance.putU64(BPFMC_EXTRA, spec.extra ?? 0);
      const name = spec.name ?? "";
      for (let i = 0; i < NAME_BYTES && i < name.length; i++) instance.u8[BPFMC_NAME + i] = name.charCodeAt(i) & 255;
      view.setUint32(BPFMC_BTF_KEY, spec.btfKey ?? 0, true);
      view.setUint32(BPFMC_BTF_VALUE, spec.btfValue ?? 0, true);
      view.setUint32(BPFMC_FIELDS, fields.length, true);
      fields.forEach(({ kind, offset, size, node }, i) => {
        const at = BPFMC_BYTES + i * BPFMC_FIELD_BYTES;
        view.setUint32(at, FIELD_KINDS[kind], true);
        view.setUint32(at + 4, offset, true);
        view.setUint32(at + 8, size, true);
        view.setUint32(at + 12, node ?? 0, true);
      });
      return made(ask("bpf map create", BPF_MAP_CREATE, length), spec);
    },
    byId(id) {
      const known = open.get(id);
      if (known !== undefined) return known.map;
      instance.view.setUint32(0, id, true);
      const handle = ask("bpf map", BPF_MAP_BY_ID, 4, [ENOENT]);
      if (handle < 0) return undefined;
      const map = made(handle, { type: 0, keySize: 0, valueSize: 0, maxEntries: 0 });
      const info = map.info();
      const whole = newMap(info, handle, id, map.address, map.data, map.stride, map.dataBytes, valueBytesOf(info.type, info.valueSize));
      open.set(id, { map: whole, wake: undefined });
      return whole;
    },
    ids() {
      const all: number[] = [];
      for (let after = 0; ;) {
        instance.view.setUint32(0, after, true);
        const id = ask("bpf map", BPF_MAP_NEXT_ID, 4, [ENOENT]);
        if (id < 0) return all;
        all.push(id);
        after = id;
      }
    },
    setCpus(count) {
      instance.view.setUint32(0, count, true);
      ask("bpf", BPF_CPUS, 4);
      cpus = count;
    },
    deliver,
  };
}
