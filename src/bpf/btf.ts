/**
 * BTF, the type format of BPF objects and kernels: Documentation/bpf/btf.rst, include/uapi/linux/btf.h. A `.BTF` section becomes a list of
 * types by id; whatever refers to another type or to a string is checked while reading, so that users may follow ids without looking. Chains
 * of typedefs and arrays can still be circular: the walkers here end after MAX_RESOLVE_DEPTH, as libbpf's do. Follows tools/lib/bpf/btf.c.
 */
import { BpfObjectError } from "./errors.ts";
import type { BtfType as SharedBtfType } from "./verifier/types.ts";

export const BtfKind = {
  UNKN: 0, INT: 1, PTR: 2, ARRAY: 3, STRUCT: 4, UNION: 5, ENUM: 6, FWD: 7, TYPEDEF: 8, VOLATILE: 9, CONST: 10, RESTRICT: 11, FUNC: 12,
  FUNC_PROTO: 13, VAR: 14, DATASEC: 15, FLOAT: 16, DECL_TAG: 17, TYPE_TAG: 18, ENUM64: 19,
} as const;

const KIND_NAMES = [
  "UNKNOWN", "INT", "PTR", "ARRAY", "STRUCT", "UNION", "ENUM", "FWD", "TYPEDEF", "VOLATILE", "CONST", "RESTRICT", "FUNC", "FUNC_PROTO", "VAR",
  "DATASEC", "FLOAT", "DECL_TAG", "TYPE_TAG", "ENUM64",
];
/** btf_kind_str: "INT", "PTR", … */
export const kindName = (kind: number): string => KIND_NAMES[kind] ?? "UNKNOWN";

/** Encodings of BTF_KIND_INT. */
export const BTF_INT_SIGNED = 1;
export const BTF_INT_CHAR = 2;
export const BTF_INT_BOOL = 4;

/** Linkage of BTF_KIND_VAR and, but for 2 (extern there as well), of BTF_KIND_FUNC. */
export const BTF_STATIC = 0;
export const BTF_GLOBAL = 1;
export const BTF_EXTERN = 2;

export interface BtfMember {
  readonly name: string;
  readonly type: number;
  /** In bits. */
  readonly offset: number;
  /** Of a bit field, else 0. */
  readonly bits: number;
}

/** A type as the verifier takes it, with what only loaders and printers read. */
export interface BtfType extends SharedBtfType {
  readonly members?: readonly BtfMember[];
  /** Integers: BTF_INT_*; bits and their offset, which are not 8 * size and 0 for bit fields of old compilers. */
  readonly encoding?: number;
  readonly bits?: number;
  readonly bitOffset?: number;
  /** Enums: whether values are signed; forward declarations: whether of a union. */
  readonly kflag?: boolean;
  readonly values?: readonly { readonly name: string; readonly value: bigint }[];
  /** BTF_KIND_ARRAY: type of the index. */
  readonly index?: number;
  /** BTF_KIND_DATASEC: in ascending order of offset, once libbpf's fix-ups are made. */
  readonly vars?: readonly BtfVarSecinfo[];
}

export interface BtfVarSecinfo {
  readonly type: number;
  readonly offset: number;
  readonly size: number;
}

const MAX_RESOLVE_DEPTH = 32;
const MAGIC = 0xeb9f;
const HEADER_BYTES = 24;

const invalid = (what: string): never => {
  throw new BpfObjectError("EINVAL", what);
};

/** Types by id; 0 is void. */
export class Btf {
  readonly types: readonly (BtfType | undefined)[];
  readonly strings: Uint8Array;
  #names: Map<string, number[]> | undefined;

  constructor(types: readonly (BtfType | undefined)[], strings: Uint8Array = new Uint8Array(1)) {
    this.types = types;
    this.strings = strings;
  }

  /** The type, or undefined for void and ids that are none. */
  type(id: number): BtfType | undefined {
    return this.types[id];
  }

  /** Ids of all types of this name, ascending. */
  named(name: string): readonly number[] {
    if (this.#names === undefined) {
      this.#names = new Map();
      for (let id = 1; id < this.types.length; id++) {
        const own = this.types[id]!.name;
        const ids = this.#names.get(own);
        if (ids === undefined) this.#names.set(own, [id]);
        else ids.push(id);
      }
    }
    return this.#names.get(name) ?? [];
  }

  /** The first of this name and kind, or 0 (btf__find_by_name_kind). */
  find(name: string, kind: number): number {
    return this.named(name).find((id) => this.types[id]!.kind === kind) ?? 0;
  }

  /** The id behind qualifiers, tags and typedefs (skip_mods_and_typedefs). */
  resolve(id: number): number {
    for (let depth = 0; depth < MAX_RESOLVE_DEPTH; depth++) {
      const type = this.types[id];
      if (type === undefined || !isModifier(type.kind) && type.kind !== BtfKind.TYPEDEF) return id;
      id = type.type!;
    }
    return 0;
  }

  /** The type behind qualifiers, tags and typedefs. */
  resolved(id: number): BtfType | undefined {
    return this.types[this.resolve(id)];
  }

  /** Bytes of a value of the type; undefined when it has no size (btf__resolve_size). */
  sizeOf(id: number): number | undefined {
    let count = 1;
    for (let depth = 0; depth < MAX_RESOLVE_DEPTH; depth++) {
      const type = this.types[id];
      if (type === undefined) return undefined;
      switch (type.kind) {
        case BtfKind.INT:
        case BtfKind.STRUCT:
        case BtfKind.UNION:
        case BtfKind.ENUM:
        case BtfKind.ENUM64:
        case BtfKind.DATASEC:
        case BtfKind.FLOAT:
          return inRange(count * type.size!);
        case BtfKind.PTR:
          return inRange(count * 8);
        case BtfKind.TYPEDEF:
        case BtfKind.VOLATILE:
        case BtfKind.CONST:
        case BtfKind.RESTRICT:
        case BtfKind.VAR:
        case BtfKind.DECL_TAG:
        case BtfKind.TYPE_TAG:
          id = type.type!;
          break;
        case BtfKind.ARRAY:
          count *= type.count!;
          id = type.element!;
          break;
        default:
          return undefined;
      }
    }
    return undefined;
  }

  /** Alignment of the type in bytes; 0 when it has none (btf__align_of). */
  alignOf(id: number, depth = 0): number {
    const type = this.types[id];
    if (type === undefined || depth > MAX_RESOLVE_DEPTH) return 0;
    switch (type.kind) {
      case BtfKind.INT:
      case BtfKind.ENUM:
      case BtfKind.ENUM64:
      case BtfKind.FLOAT:
        return Math.min(8, type.size!);
      case BtfKind.PTR:
        return 8;
      case BtfKind.TYPEDEF:
      case BtfKind.VOLATILE:
      case BtfKind.CONST:
      case BtfKind.RESTRICT:
      case BtfKind.TYPE_TAG:
        return this.alignOf(type.type!, depth + 1);
      case BtfKind.ARRAY:
        return this.alignOf(type.element!, depth + 1);
      case BtfKind.STRUCT:
      case BtfKind.UNION: {
        let most = 1;
        for (const member of type.members!) {
          const align = this.alignOf(member.type, depth + 1);
          if (align === 0) return 0;
          most = Math.max(most, align);
          // A packed structure: its members stand where they would not be aligned.
          if (member.bits === 0 && member.offset % (8 * align) !== 0) return 1;
        }
        return type.size! % most === 0 ? most : 1;
      }
      default:
        return 0;
    }
  }

  /** The string at an offset of the string section; undefined outside. */
  string(offset: number): string | undefined {
    return textAt(this.strings, offset);
  }
}

const inRange = (bytes: number): number | undefined => (bytes > 0xffff_ffff ? undefined : bytes);
export const isModifier = (kind: number): boolean =>
  kind === BtfKind.VOLATILE || kind === BtfKind.CONST || kind === BtfKind.RESTRICT || kind === BtfKind.TYPE_TAG;
export const isComposite = (kind: number): boolean => kind === BtfKind.STRUCT || kind === BtfKind.UNION;
export const isAnyEnum = (kind: number): boolean => kind === BtfKind.ENUM || kind === BtfKind.ENUM64;

const decoder = new TextDecoder();

function textAt(strings: Uint8Array, offset: number): string | undefined {
  if (offset >= strings.length) return undefined;
  const end = strings.indexOf(0, offset);
  return decoder.decode(strings.slice(offset, end < 0 ? strings.length : end));
}

/** Reads a `.BTF` section. Throws BpfObjectError EINVAL with what is wrong, and in which type. */
export function parseBtf(bytes: Uint8Array): Btf {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < HEADER_BYTES) invalid("BTF header not found");
  const magic = view.getUint16(0, true);
  if (magic !== MAGIC) invalid(`Invalid BTF magic: ${magic.toString(16)}`);
  const header = view.getUint32(4, true);
  if (header < HEADER_BYTES || header > bytes.length) invalid(`BTF header len ${header} larger than data size ${bytes.length}`);
  const [typeOff, typeLen, strOff, strLen] = [8, 12, 16, 20].map((at) => view.getUint32(at, true)) as [number, number, number, number];
  const size = bytes.length - header;
  if (typeOff + typeLen > size || strOff + strLen > size || typeOff + typeLen > strOff) invalid(`Invalid BTF total size: ${bytes.length}`);
  if (typeOff % 4 !== 0) invalid("BTF type section is not aligned to 4 bytes");
  const strings = bytes.subarray(header + strOff, header + strOff + strLen);
  if (strLen === 0 || strings[0] !== 0 || strings[strLen - 1] !== 0) invalid("Invalid BTF string section");
  const start = header + typeOff;
  const types = readTypes(new DataView(bytes.buffer, bytes.byteOffset + start, typeLen), strings);
  for (let id = 1; id < types.length; id++) checkReferences(types, id);
  return new Btf(types, strings);
}

function readTypes(view: DataView, strings: Uint8Array): (BtfType | undefined)[] {
  const types: (BtfType | undefined)[] = [undefined];
  const end = view.byteLength;
  let at = 0;
  const u32 = (): number => {
    if (at + 4 > end) invalid(`BTF types data is malformed: type [${types.length}] is cut off`);
    const value = view.getUint32(at, true);
    at += 4;
    return value;
  };
  const texts = new Map<number, string>();
  const text = (): string => {
    const offset = u32();
    let found = texts.get(offset);
    if (found === undefined) {
      found = textAt(strings, offset) ?? invalid(`btf: type [${types.length}]: invalid string offset ${offset}`);
      texts.set(offset, found);
    }
    return found;
  };
  while (at < end) {
    const name = text();
    const info = u32();
    const sizeOrType = u32();
    const vlen = info & 0xffff;
    const kind = (info >>> 24) & 0x1f;
    const kflag = info >>> 31 === 1;
    const list = <T>(read: () => T): T[] => Array.from({ length: vlen }, read);
    types.push(((): BtfType => {
      switch (kind) {
        case BtfKind.INT: {
          const data = u32();
          return { kind, name, size: sizeOrType, encoding: (data >>> 24) & 15, bitOffset: (data >>> 16) & 0xff, bits: data & 0xff };
        }
        case BtfKind.PTR:
        case BtfKind.TYPEDEF:
        case BtfKind.VOLATILE:
        case BtfKind.CONST:
        case BtfKind.RESTRICT:
        case BtfKind.TYPE_TAG:
          return { kind, name, type: sizeOrType };
        case BtfKind.ARRAY:
          return { kind, name, element: u32(), index: u32(), count: u32() };
        case BtfKind.STRUCT:
        case BtfKind.UNION: {
          const members = list(() => {
            const member = { name: text(), type: u32(), offset: u32() };
            return kflag ? { ...member, offset: member.offset & 0xffffff, bits: member.offset >>> 24 } : { ...member, bits: 0 };
          });
          return { kind, name, size: sizeOrType, members };
        }
        case BtfKind.ENUM:
          return { kind, name, size: sizeOrType, kflag, values: list(() => ({ name: text(), value: kflag ? BigInt(u32() | 0) : BigInt(u32()) })) };
        case BtfKind.ENUM64:
          return {
            kind, name, size: sizeOrType, kflag,
            values: list(() => {
              const value = { name: text(), value: BigInt(u32()) | (BigInt(u32()) << 32n) };
              return kflag ? { ...value, value: BigInt.asIntN(64, value.value) } : value;
            }),
          };
        case BtfKind.FWD:
          return { kind, name, kflag };
        case BtfKind.FUNC:
          return { kind, name, type: sizeOrType, linkage: vlen };
        case BtfKind.FUNC_PROTO:
          return { kind, name, type: sizeOrType, params: list(() => ({ name: text(), type: u32() })) };
        case BtfKind.VAR:
          return { kind, name, type: sizeOrType, linkage: u32() };
        case BtfKind.DATASEC:
          return { kind, name, size: sizeOrType, vars: list(() => ({ type: u32(), offset: u32(), size: u32() })) };
        case BtfKind.FLOAT:
          return { kind, name, size: sizeOrType };
        case BtfKind.DECL_TAG:
          return { kind, name, type: sizeOrType, component: u32() | 0 };
        default:
          return invalid(`btf: type [${types.length}]: unrecognized kind ${kind}`);
      }
    })());
  }
  return types;
}

/** Every type a type refers to must be there (btf_validate_type). */
function checkReferences(types: readonly (BtfType | undefined)[], id: number): void {
  const type = types[id]!;
  const check = (referenced: number, what: string): void => {
    if (referenced >= types.length) invalid(`btf: type [${id}]: invalid ${what} type ID ${referenced}`);
  };
  if (type.type !== undefined) check(type.type, "referenced");
  if (type.element !== undefined) {
    check(type.element, "array element");
    check(type.index!, "array index");
  }
  for (const { type: member } of type.members ?? []) check(member, "member");
  for (const { type: param } of type.params ?? []) check(param, "parameter");
  for (const { type: variable } of type.vars ?? []) {
    check(variable, "variable");
    if (types[variable]?.kind !== BtfKind.VAR && types[variable]?.kind !== BtfKind.FUNC) invalid(`btf: type [${id}]: type ID ${variable} is no variable`);
  }
  if (type.kind === BtfKind.FUNC && types[type.type!]?.kind !== BtfKind.FUNC_PROTO) invalid(`btf: type [${id}]: func_proto expected, got type ID ${type.type}`);
}
