/**
 * Values of maps as JavaScript sees them, by their BTF type. Integers of up to 4 bytes are numbers, those of 8 bytes bigints; `_Bool` is a
 * boolean; arrays of `char` are strings up to their first zero, arrays of `unsigned char` Uint8Arrays, others arrays; structures are objects
 * by member, members of anonymous structures and unions among them; a union has all its members, and takes the ones it is given; enums are
 * numbers, and take names too; pointers are bigints.
 */
import { BTF_INT_BOOL, BTF_INT_SIGNED, BtfKind, isAnyEnum, isComposite, type Btf, type BtfMember, type BtfType } from "./btf.ts";

/** Reads and writes one sort of value. */
export interface Codec<T> {
  readonly size: number;
  read(view: DataView, at: number): T;
  /** Throws a TypeError for what is no such value, a RangeError for what does not fit. */
  write(view: DataView, at: number, value: T): void;
}

const MAX_DEPTH = 16;

/** The codec of a type. Throws a TypeError for types without a size (void, functions). */
export function btfCodec(btf: Btf, id: number): Codec<unknown> {
  return make(btf, id, 0);
}

/** Values as bytes, for those without BTF. */
export const bytesCodec = (size: number): Codec<unknown> => ({
  size,
  read: (view, at) => bytesOf(view, at, size),
  write(view, at, value) {
    if (!(value instanceof Uint8Array) || value.length !== size) throw new TypeError(`expected a Uint8Array of ${size} bytes`);
    new Uint8Array(view.buffer, view.byteOffset + at, size).set(value);
  },
});

const bytesOf = (view: DataView, at: number, size: number): Uint8Array => new Uint8Array(view.buffer, view.byteOffset + at, size).slice();

function make(btf: Btf, id: number, depth: number): Codec<unknown> {
  const type = btf.resolved(id);
  const size = btf.sizeOf(id);
  if (type === undefined || size === undefined || depth > MAX_DEPTH) throw new TypeError(`BTF type [${id}] has no values`);
  if (type.kind === BtfKind.ARRAY) return arrayCodec(btf, type, size, depth);
  if (isComposite(type.kind)) return compositeCodec(btf, type, size, depth);
  if (type.kind === BtfKind.DATASEC) {
    const members = type.vars!.map((place): BtfMember => {
      const variable = btf.type(place.type)!;
      return { name: variable.name, type: variable.type!, offset: place.offset * 8, bits: 0 };
    });
    return compositeCodec(btf, { kind: BtfKind.STRUCT, name: type.name, size, members }, size, depth);
  }
  if (type.kind === BtfKind.FLOAT) return floatCodec(size);
  return scalarCodec(type, size);
}

function floatCodec(size: number): Codec<unknown> {
  return {
    size,
    read: (view, at) => (size === 4 ? view.getFloat32(at, true) : size === 8 ? view.getFloat64(at, true) : bytesOf(view, at, size)),
    write(view, at, value) {
      if (typeof value !== "number") throw new TypeError("expected a number");
      if (size === 4) view.setFloat32(at, value, true);
      else view.setFloat64(at, value, true);
    },
  };
}

/** Any number of bytes, little endian. */
function readBits(view: DataView, at: number, size: number): bigint {
  let value = 0n;
  for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(view.getUint8(at + i));
  return value;
}

function writeBits(view: DataView, at: number, size: number, value: bigint): void {
  for (let i = 0; i < size; i++) view.setUint8(at + i, Number((value >> BigInt(8 * i)) & 0xffn));
}

/** What a scalar is given as, in two's complement. */
function bitsOf(type: BtfType, bits: number, signed: boolean, value: unknown): bigint {
  let number: bigint;
  if (typeof value === "boolean") number = value ? 1n : 0n;
  else if (typeof value === "bigint") number = value;
  else if (typeof value === "number" && Number.isInteger(value)) number = BigInt(value);
  else if (typeof value === "string" && isAnyEnum(type.kind)) {
    const named = type.values!.find(({ name }) => name === value);
    if (named === undefined) throw new TypeError(`enum ${type.name} has no ${value}`);
    number = named.value;
  } else throw new TypeError(`expected ${bits > 32 ? "a bigint or " : ""}a whole number`);
  const least = signed ? -(1n << BigInt(bits - 1)) : 0n;
  const most = signed ? (1n << BigInt(bits - 1)) - 1n : (1n << BigInt(bits)) - 1n;
  if (number < least || number > most) throw new RangeError(`${number} does not fit into ${bits} ${signed ? "signed " : ""}bits`);
  return BigInt.asUintN(bits, number);
}

const isSigned = (type: BtfType): boolean =>
  type.kind === BtfKind.INT ? (type.encoding! & BTF_INT_SIGNED) !== 0 : isAnyEnum(type.kind) && type.kflag === true;
const isBool = (type: BtfType): boolean => type.kind === BtfKind.INT && (type.encoding! & BTF_INT_BOOL) !== 0;

function scalarValue(type: BtfType, raw: bigint, bits: number): unknown {
  if (isBool(type)) return raw !== 0n;
  const value = isSigned(type) ? BigInt.asIntN(bits, raw) : raw;
  return bits > 32 ? value : Number(value);
}

function scalarCodec(type: BtfType, size: number): Codec<unknown> {
  const signed = isSigned(type);
  return {
    size,
    read: (view, at) => scalarValue(type, readBits(view, at, size), size * 8),
    write: (view, at, value) => writeBits(view, at, size, bitsOf(type, size * 8, signed, value)),
  };
}

function bitFieldCodec(btf: Btf, member: BtfMember): Codec<unknown> {
  const type = btf.resolved(member.type)!;
  const first = Math.floor(member.offset / 8);
  const shift = BigInt(member.offset % 8);
  const size = Math.ceil((member.offset % 8 + member.bits) / 8);
  const mask = (1n << BigInt(member.bits)) - 1n;
  return {
    size,
    read: (view, at) => scalarValue(type, (readBits(view, at + first, size) >> shift) & mask, member.bits),
    write(view, at, value) {
      const rest = readBits(view, at + first, size) & ~(mask << shift);
      writeBits(view, at + first, size, rest | (bitsOf(type, member.bits, isSigned(type), value) << shift));
    },
  };
}

function arrayCodec(btf: Btf, type: BtfType, size: number, depth: number): Codec<unknown> {
  const count = type.count!;
  const elementType = btf.resolved(type.element!);
  if (elementType?.kind === BtfKind.INT && elementType.size === 1 && !isBool(elementType)) {
    return elementType.name === "char" ? textCodec(size) : byteArrayCodec(size);
  }
  const element = make(btf, type.element!, depth + 1);
  return {
    size,
    read: (view, at) => Array.from({ length: count }, (_, i) => element.read(view, at + i * element.size)),
    write(view, at, value) {
      if (!Array.isArray(value) || value.length > count) throw new TypeError(`expected an array of at most ${count}`);
      new Uint8Array(view.buffer, view.byteOffset + at, size).fill(0);
      for (const [i, own] of value.entries()) element.write(view, at + i * element.size, own);
    },
  };
}

const byteArrayCodec = (size: number): Codec<unknown> => ({
  size,
  read: (view, at) => bytesOf(view, at, size),
  write(view, at, value) {
    if (!(value instanceof Uint8Array || Array.isArray(value)) || value.length > size) throw new TypeError(`expected at most ${size} bytes`);
    const target = new Uint8Array(view.buffer, view.byteOffset + at, size);
    target.fill(0);
    target.set(value);
  },
});

function textCodec(size: number): Codec<unknown> {
  return {
    size,
    read(view, at) {
      const bytes = bytesOf(view, at, size);
      const end = bytes.indexOf(0);
      return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
    },
    write(view, at, value) {
      if (typeof value !== "string") throw new TypeError("expected a string");
      const bytes = new TextEncoder().encode(value);
      if (bytes.length > size) throw new RangeError(`"${value}" does not fit into ${size} bytes`);
      const target = new Uint8Array(view.buffer, view.byteOffset + at, size);
      target.fill(0);
      target.set(bytes);
    },
  };
}

interface CompositeCodec extends Codec<unknown> {
  /** Writes the members that are there, and says nothing of others. */
  writeMembers(view: DataView, at: number, value: Readonly<Record<string, unknown>>): void;
  readonly names: ReadonlySet<string>;
}

function compositeCodec(btf: Btf, type: BtfType, size: number, depth: number): CompositeCodec {
  const parts: { readonly name: string; readonly codec: Codec<unknown>; readonly offset: number }[] = [];
  const names = new Set<string>();
  for (const member of type.members!) {
    if (member.bits > 0) {
      if (member.name !== "") parts.push({ name: member.name, codec: bitFieldCodec(btf, member), offset: 0 });
    } else if (btf.sizeOf(member.type) !== undefined) {
      parts.push({ name: member.name, codec: make(btf, member.type, depth + 1), offset: member.offset / 8 });
    }
  }
  for (const { name, codec } of parts) {
    if (name !== "") names.add(name);
    else for (const inner of (codec as CompositeCodec).names) names.add(inner);
  }
  const writeMembers: CompositeCodec["writeMembers"] = (view, at, value) => {
    for (const { name, codec, offset } of parts) {
      if (name === "") (codec as CompositeCodec).writeMembers(view, at + offset, value);
      else if (value[name] !== undefined) codec.write(view, at + offset, value[name]);
    }
  };
  return {
    size, names, writeMembers,
    read(view, at) {
      const value: Record<string, unknown> = {};
      for (const { name, codec, offset } of parts) {
        if (name === "") Object.assign(value, codec.read(view, at + offset));
        else value[name] = codec.read(view, at + offset);
      }
      return value;
    },
    write(view, at, value) {
      if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) throw new TypeError(`expected an object of ${type.name || "members"}`);
      for (const name of Object.keys(value)) if (!names.has(name)) throw new TypeError(`${type.name || "the structure"} has no ${name}`);
      writeMembers(view, at, value as Readonly<Record<string, unknown>>);
    },
  };
}
