/** Maps with keys and values by their BTF types, for tests and tools: codec.ts says how types become JavaScript. */
import type { BpfMap } from "../kernel/bpf-maps.ts";
import { btfCodec, bytesCodec, type Codec } from "./codec.ts";
import type { BpfObject, ObjectMap } from "./object.ts";
import { MapType } from "./uapi.ts";

/** `any` on purpose: the types are the object's, which TypeScript has not seen. */
// oxlint-disable-next-line no-explicit-any
export type MapValue = any;

export interface TypedMap {
  /** undefined: there is no such element. Of per-CPU maps an array, one value for each CPU. */
  get(key: MapValue): MapValue | undefined;
  set(key: MapValue, value: MapValue, flags?: number): void;
  has(key: MapValue): boolean;
  /** False: there was none. */
  delete(key: MapValue): boolean;
  entries(): [key: MapValue, value: MapValue][];
  readonly size: number;
  /** Queues and stacks: takes the next one out. */
  pop(): MapValue | undefined;
  push(value: MapValue): void;
  /** Ring buffers: the records since, as bytes, oldest first. */
  records(): Uint8Array[];
  /** The same in bytes. */
  readonly raw: BpfMap;
}

const number32: Codec<unknown> = {
  size: 4, read: (view, at) => view.getUint32(at, true),
  write(view, at, value) {
    if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > 0xffff_ffff) throw new TypeError("expected a whole number of 32 bits");
    view.setUint32(at, value, true);
  },
};

/** Codecs of keys and values: by BTF, else numbers for keys of 4 bytes, else bytes. */
export function codecsOf(object: BpfObject, map: ObjectMap): { readonly key: Codec<unknown>; readonly value: Codec<unknown>; readonly typed: boolean } {
  const { btf } = object;
  const of = (type: number, size: number): Codec<unknown> => {
    if (type === 0 || btf === undefined) return bytesCodec(size);
    const codec = btfCodec(btf, type);
    return codec.size === size ? codec : bytesCodec(size);
  };
  const typed = btf !== undefined && map.valueType !== 0;
  return { key: map.keyType === 0 && map.keySize === 4 ? number32 : of(map.keyType, map.keySize), value: of(map.valueType, map.valueSize), typed };
}

const NONE = new Uint8Array(0);
const isPerCpu = (type: number): boolean => type === MapType.PERCPU_HASH || type === MapType.PERCPU_ARRAY || type === MapType.LRU_PERCPU_HASH;

/** The map of an object with its types. */
export function typedMap(object: BpfObject, map: ObjectMap, raw: BpfMap): TypedMap {
  const codecs = codecsOf(object, map);
  const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const keyOf = (key: unknown): Uint8Array => {
    const bytes = new Uint8Array(codecs.key.size);
    codecs.key.write(viewOf(bytes), 0, key);
    return bytes;
  };
  const stride = (map.valueSize + 7) & ~7;
  const readValue = (bytes: Uint8Array): unknown => {
    if (!isPerCpu(map.type)) return codecs.value.read(viewOf(bytes), 0);
    return Array.from({ length: Math.floor(bytes.length / stride) }, (_, cpu) => codecs.value.read(viewOf(bytes), cpu * stride));
  };
  const writeValue = (value: unknown): Uint8Array => {
    const bytes = new Uint8Array(raw.valueBytes);
    if (!isPerCpu(map.type)) codecs.value.write(viewOf(bytes), 0, value);
    else for (let at = 0; at < bytes.length; at += stride) codecs.value.write(viewOf(bytes), at, Array.isArray(value) ? value[at / stride] : value);
    return bytes;
  };
  return {
    raw,
    get(key) {
      const bytes = raw.lookup(keyOf(key));
      return bytes === undefined ? undefined : readValue(bytes);
    },
    set: (key, value, flags) => raw.update(keyOf(key), writeValue(value), flags),
    has: (key) => raw.lookup(keyOf(key)) !== undefined,
    delete: (key) => raw.delete(keyOf(key)),
    entries: () => [...raw.elements()].map(({ key, value }) => [codecs.key.read(viewOf(key), 0), readValue(value)]),
    get size() {
      let count = 0;
      for (const _ of raw.elements()) count++;
      return count;
    },
    pop() {
      const bytes = raw.lookupAndDelete(NONE);
      return bytes === undefined ? undefined : readValue(bytes);
    },
    push: (value) => raw.update(NONE, writeValue(value)),
    records() {
      const records: Uint8Array[] = [];
      raw.consume((record) => records.push(record));
      return records;
    },
  };
}
