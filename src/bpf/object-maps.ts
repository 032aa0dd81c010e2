/**
 * The maps of an object: those that `.maps` declares through BTF, and one array for each data section. Follows tools/lib/bpf/libbpf.c
 * (bpf_object__init_maps, parse_btf_map_def), with its words.
 */
import { BTF_GLOBAL, BtfKind, kindName, type Btf, type BtfMember, type BtfType } from "./btf.ts";
import type { ElfFile, ElfSection } from "./elf.ts";
import { BpfObjectError, type LoadErrno } from "./errors.ts";
import { fieldsOf } from "./map-fields.ts";
import { MapFlag, MapType, type MapType as AnyMapType } from "./uapi.ts";
import type { MapField } from "./verifier/types.ts";
import type { ObjectProgram } from "./object.ts";

/** `user` maps are declared; the others hold a section. */
export type MapKind = "user" | "data" | "rodata" | "bss" | "kconfig" | "struct_ops";

export interface ObjectMap {
  /** Of the variable, or of the section. */
  readonly name: string;
  /** As the kernel will know it: 15 characters at most, data sections with the object's name before them. */
  readonly kernelName: string;
  readonly kind: MapKind;
  type: AnyMapType;
  keySize: number;
  valueSize: number;
  maxEntries: number;
  /** MapFlag bits. */
  flags: number;
  readonly numaNode: number;
  readonly mapExtra: number;
  /** Where it is to be pinned; undefined: nowhere. */
  readonly pinPath: string | undefined;
  /** BTF ids, 0 without. */
  readonly keyType: number;
  readonly valueType: number;
  /** Special fields of the value. */
  readonly fields: readonly MapField[];
  /** What maps of maps hold. */
  readonly inner: ObjectMap | undefined;
  /** Initial values of prog arrays and maps of maps, by index or key. */
  readonly slots: Map<number, ObjectMap | ObjectProgram>;
  readonly sectionIndex: number;
  readonly sectionOffset: number;
  readonly sectionBytes: number;
  /** Initial contents of data sections: may be written before the object is loaded. */
  readonly data: Uint8Array | undefined;
  /** Whether the kernel shall have it; off leaves references to it unusable. */
  autocreate: boolean;
}

export interface MapsContext {
  readonly name: string;
  readonly elf: ElfFile;
  readonly btf: Btf | undefined;
  /** -1: there is none. */
  readonly mapsSection: number;
  readonly pinRoot: string;
  readonly data: readonly { readonly section: ElfSection; readonly kind: MapKind }[];
  readonly kconfigBytes: number;
  readonly kconfigType: number;
}

const NAME_LENGTH = 15;
const LARGEST_SECTION = 64 * 1024 * 1024;

const fail = (errno: LoadErrno, message: string): never => {
  throw new BpfObjectError(errno, message);
};

/** All maps in libbpf's order: declared ones, data sections, `.kconfig`. Throws BpfObjectError. */
export function collectMaps(context: MapsContext): ObjectMap[] {
  const maps = context.mapsSection < 0 ? [] : userMaps(context);
  for (const { section, kind } of context.data) maps.push(sectionMap(context, section, kind));
  if (context.kconfigBytes > 0) {
    maps.push({
      ...internal(context, ".kconfig", "kconfig", context.kconfigBytes), keyType: 0, valueType: context.kconfigType, fields: [],
      sectionIndex: -1, data: new Uint8Array(context.kconfigBytes),
    });
  }
  return maps;
}

function userMaps(context: MapsContext): ObjectMap[] {
  const { btf, elf, mapsSection } = context;
  const id = btf?.find(".maps", BtfKind.DATASEC) ?? 0;
  if (btf === undefined || id === 0) return fail("ENOENT", "DATASEC '.maps' not found.");
  const size = elf.sections[mapsSection]!.size;
  return btf.type(id)!.vars!.map((place, i): ObjectMap => {
    const variable = btf.type(place.type)!;
    const { name } = variable;
    if (name === "") fail("EINVAL", `map #${i}: empty name.`);
    const wrong = (errno: LoadErrno, text: string): never => fail(errno, `map '${name}'${text}`);
    if (place.offset + place.size > size) wrong("EINVAL", " BTF data is corrupted.");
    if (variable.kind !== BtfKind.VAR) wrong("EINVAL", `: unexpected var kind ${kindName(variable.kind)}.`);
    if (variable.linkage !== BTF_GLOBAL) wrong("EOPNOTSUPP", `: unsupported map linkage ${["static", "global-alloc", "extern"][variable.linkage!] ?? "unknown"}.`);
    const definition = btf.resolved(variable.type!);
    if (definition?.kind !== BtfKind.STRUCT) return wrong("EINVAL", `: unexpected def kind ${kindName(definition?.kind ?? 0)}.`);
    if (definition.size! > place.size) wrong("EINVAL", ": invalid def size.");
    const { pinned, ...def } = parseDefinition(context, name, definition, false);
    return {
      ...def, kind: "user", kernelName: name.slice(0, NAME_LENGTH), pinPath: pinned ? `${context.pinRoot}/${name}` : undefined,
      sectionIndex: mapsSection, sectionOffset: place.offset, sectionBytes: place.size, data: undefined, slots: new Map(), autocreate: true,
    };
  });
}

type Definition = Pick<ObjectMap, "name" | "type" | "keySize" | "valueSize" | "maxEntries" | "flags" | "numaNode" | "mapExtra" | "keyType" | "valueType" | "inner" | "fields">
  & { readonly pinned: boolean };

const isOuterType = (type: number): boolean => type === MapType.ARRAY_OF_MAPS || type === MapType.HASH_OF_MAPS;

/** parse_btf_map_def, strict. */
function parseDefinition(context: MapsContext, name: string, struct: BtfType, isInner: boolean): Definition {
  const btf = context.btf!;
  const wrong = (text: string, errno: LoadErrno = "EINVAL"): never => fail(errno, `map '${name}': ${text}`);
  const int = (member: BtfMember): number => {
    const pointer = btf.resolved(member.type);
    if (pointer?.kind !== BtfKind.PTR) return wrong(`attr '${member.name}': expected PTR, got ${kindName(pointer?.kind ?? 0)}.`);
    const array = btf.type(pointer.type!);
    if (array === undefined) return wrong(`attr '${member.name}': type [${pointer.type}] not found.`);
    if (array.kind !== BtfKind.ARRAY) return wrong(`attr '${member.name}': expected ARRAY, got ${kindName(array.kind)}.`);
    return array.count!;
  };
  const long = (member: BtfMember): number => {
    const type = btf.resolved(member.type);
    if (type?.kind === BtfKind.PTR) return int(member);
    if (type?.kind !== BtfKind.ENUM && type?.kind !== BtfKind.ENUM64) {
      return wrong(`attr '${member.name}': expected ENUM or ENUM64, got ${kindName(type?.kind ?? 0)}.`);
    }
    if (type.values!.length !== 1) return wrong(`attr '${member.name}': invalid __ulong`);
    return Number(type.values![0]!.value);
  };
  const pointee = (member: BtfMember, what: "key" | "value", before: number): { readonly size: number; readonly type: number } => {
    const pointer = btf.type(member.type);
    if (pointer === undefined) return wrong(`${what} type [${member.type}] not found.`);
    if (pointer.kind !== BtfKind.PTR) return wrong(`${what} spec is not PTR: ${kindName(pointer.kind)}.`);
    const size = btf.sizeOf(pointer.type!);
    if (size === undefined) return wrong(`can't determine ${what} size for type [${pointer.type}]: -22.`);
    return { size: agree(what, before, size), type: pointer.type! };
  };
  const agree = (what: string, before: number, size: number): number => {
    if (before !== 0 && before !== size) wrong(`conflicting ${what} size ${before} != ${size}.`);
    return size;
  };
  const def = { type: 0, maxEntries: 0, flags: 0, numaNode: 0, mapExtra: 0, keySize: 0, valueSize: 0, keyType: 0, valueType: 0, pinned: false };
  let inner: ObjectMap | undefined;
  const members = struct.members!;
  for (const [i, member] of members.entries()) {
    switch (member.name) {
      case "type":
        def.type = int(member);
        break;
      case "max_entries":
        def.maxEntries = int(member);
        break;
      case "map_flags":
        def.flags = int(member);
        break;
      case "numa_node":
        def.numaNode = int(member);
        break;
      case "map_extra":
        def.mapExtra = long(member);
        break;
      case "key_size":
        def.keySize = agree("key", def.keySize, int(member));
        break;
      case "value_size":
        def.valueSize = agree("value", def.valueSize, int(member));
        break;
      case "key":
        ({ size: def.keySize, type: def.keyType } = pointee(member, "key", def.keySize));
        break;
      case "value":
        ({ size: def.valueSize, type: def.valueType } = pointee(member, "value", def.valueSize));
        break;
      case "values": {
        if (isInner) wrong("multi-level inner maps not supported.", "ENOTSUP");
        if (i !== members.length - 1) wrong("'values' member should be last.");
        const isOuter = isOuterType(def.type);
        if (!isOuter && def.type !== MapType.PROG_ARRAY) wrong("should be map-in-map or prog-array.", "ENOTSUP");
        if (def.valueSize !== 0 && def.valueSize !== 4) wrong(`conflicting value size ${def.valueSize} != 4.`);
        def.valueSize = 4;
        inner = parseValues(context, name, member, isOuter);
        break;
      }
      case "pinning": {
        if (isInner) wrong("inner def can't be pinned.");
        const pinning = int(member);
        if (pinning > 1) wrong(`invalid pinning value ${pinning}.`);
        def.pinned = pinning === 1;
        break;
      }
      default:
        wrong(`unknown field '${member.name}'.`, "ENOTSUP");
    }
  }
  if (def.type === MapType.UNSPEC) wrong("map type isn't specified.");
  return { ...def, type: def.type as AnyMapType, name, inner, fields: def.valueType === 0 ? [] : fieldsOf(btf, def.valueType) };
}

/** What `__array(values, …)` says: the inner map of a map of maps; nothing for prog arrays. */
function parseValues(context: MapsContext, name: string, member: BtfMember, isOuter: boolean): ObjectMap | undefined {
  const btf = context.btf!;
  const what = isOuter ? "map-in-map inner" : "prog-array value";
  const wrong = (text: string): never => fail("EINVAL", `map '${name}': ${what} ${text}`);
  const array = btf.type(member.type);
  if (array === undefined) return wrong(`type [${member.type}] not found.`);
  if (array.kind !== BtfKind.ARRAY || array.count !== 0) return wrong("spec is not a zero-sized array.");
  const pointer = btf.resolved(array.element!);
  if (pointer?.kind !== BtfKind.PTR) return wrong(`def is of unexpected kind ${kindName(pointer?.kind ?? 0)}.`);
  const target = btf.resolved(pointer.type!);
  if (target?.kind !== (isOuter ? BtfKind.STRUCT : BtfKind.FUNC_PROTO)) return wrong(`def is of unexpected kind ${kindName(target?.kind ?? 0)}.`);
  if (!isOuter) return undefined;
  const innerName = `${name}.inner`;
  const { pinned: _, ...def } = parseDefinition(context, innerName, target, true);
  return {
    ...def, kind: "user", kernelName: innerName.slice(0, NAME_LENGTH), pinPath: undefined, sectionIndex: -1, sectionOffset: 0, sectionBytes: 0,
    data: undefined, slots: new Map(), autocreate: true,
  };
}

const internal = (context: MapsContext, section: string, kind: MapKind, size: number): Omit<ObjectMap, "keyType" | "valueType" | "fields" | "sectionIndex" | "data"> => ({
  name: section, kernelName: internalName(context.name, section), kind, type: MapType.ARRAY, keySize: 4, valueSize: size, maxEntries: 1,
  flags: kind === "rodata" || kind === "kconfig" ? MapFlag.RDONLY_PROG : 0, numaNode: 0, mapExtra: 0, pinPath: undefined, inner: undefined,
  slots: new Map(), sectionOffset: 0, sectionBytes: size, autocreate: true,
});

/** internal_map_name: as much of the object's name as fits before the section's, of characters that the kernel takes. */
function internalName(object: string, section: string): string {
  const suffix = section.slice(0, NAME_LENGTH);
  const stem = object.split(".")[0]!;
  const prefix = section.indexOf(".", 1) < 0 ? stem.slice(0, Math.max(0, Math.min(NAME_LENGTH - Math.max(7, suffix.length), stem.length))) : "";
  return `${prefix}${suffix}`.replace(/[^A-Za-z0-9_.]/g, "_");
}

function sectionMap(context: MapsContext, section: ElfSection, kind: MapKind): ObjectMap {
  const { btf } = context;
  if (section.size > LARGEST_SECTION) fail("E2BIG", `map '${section.name}': section of ${section.size} bytes is too large`);
  const data = new Uint8Array(section.size);
  data.set(section.data);
  const valueType = btf?.find(section.name, BtfKind.DATASEC) ?? 0;
  const vars = btf?.type(valueType)?.vars ?? [];
  const mmapable = vars.some(({ type }) => btf!.type(type)!.linkage !== 0);
  const made = internal(context, section.name, kind, section.size);
  return {
    ...made, flags: made.flags | (mmapable && kind !== "struct_ops" ? MapFlag.MMAPABLE : 0), keyType: 0, valueType, sectionIndex: section.index, data,
    fields: valueType === 0 ? [] : fieldsOf(btf!, valueType),
  };
}
