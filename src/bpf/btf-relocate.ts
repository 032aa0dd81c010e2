/**
 * CO-RE: what a program said of its own idea of kernel structures (offset of a field, size of a type, value of an enumerator …) becomes true
 * of the target's. Follows tools/lib/bpf/relo_core.c, function by function; candidates are all types of the target whose name, without a
 * flavour, and kind agree.
 */
import { BTF_INT_SIGNED, BtfKind, isAnyEnum, isComposite, kindName, type Btf, type BtfType } from "./btf.ts";
import type { CoreRelo } from "./btf-ext.ts";
import { BpfObjectError, type LoadErrno } from "./errors.ts";
import { essentialName } from "./externs.ts";
import {
  BPF_ALU, BPF_ALU64, BPF_B, BPF_CALL, BPF_DW, BPF_H, BPF_JMP, BPF_K, BPF_LD, BPF_LDX, BPF_ST, BPF_STX, BPF_W, bpfBytes, bpfClass, bpfMode, bpfSrc, isLddw,
  type Insn,
} from "./insn.ts";

/** enum bpf_core_relo_kind. */
const Kind = {
  FIELD_BYTE_OFFSET: 0, FIELD_BYTE_SIZE: 1, FIELD_EXISTS: 2, FIELD_SIGNED: 3, FIELD_LSHIFT_U64: 4, FIELD_RSHIFT_U64: 5, TYPE_ID_LOCAL: 6,
  TYPE_ID_TARGET: 7, TYPE_EXISTS: 8, TYPE_SIZE: 9, ENUMVAL_EXISTS: 10, ENUMVAL_VALUE: 11, TYPE_MATCHES: 12,
} as const;

const KIND_TEXTS = [
  "byte_off", "byte_sz", "field_exists", "signed", "lshift_u64", "rshift_u64", "local_type_id", "target_type_id", "type_exists", "type_size",
  "enumval_exists", "enumval_value", "type_matches",
];

const isFieldBased = (kind: number): boolean => kind <= Kind.FIELD_RSHIFT_U64;
const isTypeBased = (kind: number): boolean => (kind >= Kind.TYPE_ID_LOCAL && kind <= Kind.TYPE_SIZE) || kind === Kind.TYPE_MATCHES;
const isEnumBased = (kind: number): boolean => kind === Kind.ENUMVAL_EXISTS || kind === Kind.ENUMVAL_VALUE;

/** The helper number of an instruction that could not be relocated: the verifier's complaint about it is rewritten. */
export const POISON_CORE = 195896080;

const MAX_SPEC = 64;
const MAX_DEPTH = 32;

interface Accessor {
  readonly type: number;
  readonly index: number;
  readonly name: string | undefined;
}

interface Spec {
  readonly btf: Btf;
  readonly root: number;
  readonly accessors: Accessor[];
  bitOffset: number;
  depth: number;
}

interface Result {
  readonly original: bigint;
  readonly value: bigint;
  readonly poison: boolean;
  readonly validate: boolean;
  readonly wrongSize: boolean;
  readonly originalBytes: number;
  readonly bytes: number;
}

/** Thrown inside only: a failure that stops the object, with libbpf's errno. */
class SpecError extends Error {
  readonly errno: LoadErrno;
  readonly number: number;

  constructor(errno: LoadErrno, number: number) {
    super(errno);
    this.errno = errno;
    this.number = number;
  }
}

const einval = (): never => {
  throw new SpecError("EINVAL", -22);
};
const e2big = (): never => {
  throw new SpecError("E2BIG", -7);
};

/** Void, wherever a kind is asked for. */
const VOID: BtfType = { kind: BtfKind.UNKN, name: "" };
const typeOf = (btf: Btf, id: number): BtfType => btf.type(id) ?? VOID;

export interface CoreContext {
  readonly program: string;
  readonly local: Btf;
  readonly target: Btf;
  /** Debug lines, as libbpf prints them. */
  readonly notes?: string[];
}

/** Applies relocation number `index` to `insns[slot]`. Throws BpfObjectError in libbpf's words. */
export function relocateCore(context: CoreContext, relo: CoreRelo, index: number, insns: Insn[], slot: number): void {
  const { program, local } = context;
  const fail = (errno: LoadErrno, text: string): never => {
    throw new BpfObjectError(errno, `prog '${program}': ${text}`);
  };
  const type = typeOf(local, relo.type);
  let spec: Spec;
  try {
    spec = parseSpec(local, relo);
  } catch (error) {
    if (!(error instanceof SpecError)) throw error;
    const name = type.name === "" ? "<anon>" : type.name;
    return fail("EINVAL", `relo #${index}: parsing [${relo.type}] ${kindName(type.kind)} ${name} + ${relo.access === "" ? "<?>" : relo.access} failed: ${error.number}`);
  }
  try {
    patch(context, index, insns, slot, resolve(context, relo, index, spec, type, fail), fail);
  } catch (error) {
    if (error instanceof SpecError) fail(error.errno, `relo #${index}: failed to relocate: ${error.number}`);
    throw error;
  }
}

type Fail = (errno: LoadErrno, text: string) => never;

/** bpf_core_parse_spec. */
function parseSpec(btf: Btf, relo: CoreRelo): Spec {
  const spec: Spec = { btf, root: relo.type, accessors: [], bitOffset: 0, depth: 0 };
  if (isTypeBased(relo.kind)) {
    if (relo.access !== "0") einval();
    return spec;
  }
  if (!/^\d+(:\d+)*$/.test(relo.access)) einval();
  const raw = relo.access.split(":").map(Number);
  if (raw.length > MAX_SPEC) e2big();
  let id = btf.resolve(relo.type);
  const root = typeOf(btf, id);
  const first = raw[0]!;
  if (isEnumBased(relo.kind)) {
    const values = isAnyEnum(root.kind) && raw.length === 1 ? root.values! : [];
    if (first >= values.length) einval();
    spec.accessors.push({ type: id, index: first, name: values[first]!.name });
    return spec;
  }
  if (!isFieldBased(relo.kind)) einval();
  spec.accessors.push({ type: id, index: first, name: undefined });
  spec.bitOffset = first * (btf.sizeOf(id) ?? einval()) * 8;
  for (const access of raw.slice(1)) {
    id = btf.resolve(id);
    const type = typeOf(btf, id);
    if (isComposite(type.kind)) {
      const member = type.members![access] ?? einval();
      spec.bitOffset += member.offset;
      if (member.name !== "") spec.accessors.push({ type: id, index: access, name: member.name });
      id = member.type;
    } else if (type.kind === BtfKind.ARRAY) {
      const flexible = isFlexible(btf, spec.accessors.at(-1), type);
      if (!flexible && access >= type.count!) einval();
      id = btf.resolve(type.element!);
      spec.accessors.push({ type: id, index: access, name: undefined });
      spec.bitOffset += access * (btf.sizeOf(id) ?? einval()) * 8;
    } else einval();
  }
  return spec;
}

/** An array without a length at a structure's end (is_flex_arr). */
const isFlexible = (btf: Btf, accessor: Accessor | undefined, array: BtfType): boolean =>
  accessor?.name !== undefined && array.count === 0 && accessor.index === typeOf(btf, accessor.type).members!.length - 1;

/** What becomes of the relocation: all candidates must agree (bpf_core_calc_relo_insn). */
function resolve(context: CoreContext, relo: CoreRelo, index: number, local: Spec, type: BtfType, fail: Fail): Result {
  if (relo.kind === Kind.TYPE_ID_LOCAL) {
    const id = BigInt(local.root);
    return { original: id, value: id, poison: false, validate: false, wrongSize: false, originalBytes: 0, bytes: 0 };
  }
  if (type.name === "") return fail("EOPNOTSUPP", `relo #${index}: <${KIND_TEXTS[relo.kind] ?? "unknown"}> (${relo.kind}) relocation doesn't support anonymous types`);
  let found: { readonly spec: Spec; readonly result: Result } | undefined;
  for (const id of candidates(context.target, type)) {
    const spec = match(local, relo.kind, context.target, id);
    if (spec === undefined) continue;
    const result = calculate(relo, local, spec, index, fail);
    if (found === undefined) found = { spec, result };
    else if (spec.bitOffset !== found.spec.bitOffset) {
      fail("EINVAL", `relo #${index}: field offset ambiguity: ${spec.bitOffset} != ${found.spec.bitOffset}`);
    } else if (result.poison !== found.result.poison || result.value !== found.result.value) {
      const told = ({ poison, value }: Result): string => `${poison ? "failure" : "success"} ${value}`;
      fail("EINVAL", `relo #${index}: relocation decision ambiguity: ${told(result)} != ${told(found.result)}`);
    }
  }
  if (found !== undefined) return found.result;
  context.notes?.push(`prog '${context.program}': relo #${index}: no matching targets found`);
  return calculate(relo, local, undefined, index, fail);
}

function* candidates(target: Btf, local: BtfType): Generator<number> {
  const name = essentialName(local.name);
  for (const id of target.named(name)) if (sameKind(typeOf(target, id), local)) yield id;
  // Flavours in the target's own BTF, which a kernel does not have, but a custom one may.
  if (!target.types.some((type) => type?.name.includes("___"))) return;
  for (const [id, type] of target.types.entries()) {
    if (type !== undefined && type.name !== name && essentialName(type.name) === name && sameKind(type, local)) yield id;
  }
}

const sameKind = (a: BtfType, b: BtfType): boolean => a.kind === b.kind || (isAnyEnum(a.kind) && isAnyEnum(b.kind));

/** bpf_core_spec_match; undefined: the candidate does not fit. */
function match(local: Spec, kind: number, btf: Btf, root: number): Spec | undefined {
  const spec: Spec = { btf, root, accessors: [], bitOffset: 0, depth: 0 };
  if (isTypeBased(kind)) {
    const fits = kind === Kind.TYPE_MATCHES ? typesMatch(local.btf, local.root, btf, root, false, MAX_DEPTH) : typesCompatible(local.btf, local.root, btf, root, MAX_DEPTH);
    return fits ? spec : undefined;
  }
  if (isEnumBased(kind)) {
    const id = btf.resolve(root);
    const type = typeOf(btf, id);
    if (!isAnyEnum(type.kind)) return undefined;
    const wanted = essentialName(local.accessors[0]!.name!);
    const at = type.values!.findIndex(({ name }) => essentialName(name) === wanted);
    if (at < 0) return undefined;
    spec.accessors.push({ type: id, index: at, name: type.values![at]!.name });
    return spec;
  }
  let id = root;
  for (const [i, accessor] of local.accessors.entries()) {
    id = btf.resolve(id);
    if (accessor.name !== undefined) {
      const next = matchMember(local.btf, accessor, btf, id, spec);
      if (next === undefined) return undefined;
      id = next;
      continue;
    }
    if (i > 0) {
      const array = typeOf(btf, id);
      if (array.kind !== BtfKind.ARRAY) return undefined;
      if (!isFlexible(btf, spec.accessors.at(-1), array) && accessor.index >= array.count!) return undefined;
      id = btf.resolve(array.element!);
    }
    if (spec.depth++ === MAX_SPEC) e2big();
    spec.accessors.push({ type: id, index: accessor.index, name: undefined });
    spec.bitOffset += accessor.index * (btf.sizeOf(id) ?? einval()) * 8;
  }
  return spec;
}

/** Looks for a member of the same name, also in anonymous structures and unions; returns its type (bpf_core_match_member). */
function matchMember(local: Btf, accessor: Accessor, btf: Btf, id: number, spec: Spec): number | undefined {
  const own = btf.resolve(id);
  const type = typeOf(btf, own);
  if (!isComposite(type.kind)) return undefined;
  const wanted = typeOf(local, accessor.type).members![accessor.index]!;
  for (const [i, member] of type.members!.entries()) {
    if (spec.depth === MAX_SPEC) e2big();
    spec.bitOffset += member.offset;
    spec.depth++;
    if (member.name === "") {
      const found = matchMember(local, accessor, btf, member.type, spec);
      if (found !== undefined) return found;
    } else if (member.name === wanted.name) {
      if (!fieldsCompatible(local, wanted.type, btf, member.type)) return undefined;
      spec.accessors.push({ type: own, index: i, name: member.name });
      return member.type;
    }
    spec.bitOffset -= member.offset;
    spec.depth--;
  }
  return undefined;
}

/** bpf_core_fields_are_compat. */
function fieldsCompatible(local: Btf, localId: number, target: Btf, targetId: number): boolean {
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    const a = typeOf(local, local.resolve(localId));
    const b = typeOf(target, target.resolve(targetId));
    if (isComposite(a.kind) && isComposite(b.kind)) return true;
    if (!sameKind(a, b)) return false;
    switch (a.kind) {
      case BtfKind.PTR:
      case BtfKind.FLOAT:
        return true;
      case BtfKind.FWD:
      case BtfKind.ENUM:
      case BtfKind.ENUM64:
        return a.name === "" || b.name === "" || essentialName(a.name) === essentialName(b.name);
      case BtfKind.INT:
        return a.bitOffset === 0 && b.bitOffset === 0;
      case BtfKind.ARRAY:
        localId = a.element!;
        targetId = b.element!;
        break;
      default:
        return false;
    }
  }
  return false;
}

/** bpf_core_types_are_compat: the shape of pointers and prototypes, nothing of structures. */
export function typesCompatible(local: Btf, localId: number, target: Btf, targetId: number, depth: number): boolean {
  if (!sameKind(typeOf(local, localId), typeOf(target, targetId))) return false;
  while (true) {
    if (depth-- <= 0) return einval();
    const a = typeOf(local, local.resolve(localId));
    const b = typeOf(target, target.resolve(targetId));
    if (!sameKind(a, b)) return false;
    switch (a.kind) {
      case BtfKind.UNKN:
      case BtfKind.STRUCT:
      case BtfKind.UNION:
      case BtfKind.ENUM:
      case BtfKind.ENUM64:
      case BtfKind.FWD:
        return true;
      case BtfKind.INT:
        return a.bitOffset === 0 && b.bitOffset === 0;
      case BtfKind.PTR:
        localId = a.type!;
        targetId = b.type!;
        break;
      case BtfKind.ARRAY:
        localId = a.element!;
        targetId = b.element!;
        break;
      case BtfKind.FUNC_PROTO: {
        if (a.params!.length !== b.params!.length) return false;
        const left = depth;
        const same = a.params!.every(({ type }, i) => typesCompatible(local, local.resolve(type), target, target.resolve(b.params![i]!.type), left));
        if (!same) return false;
        localId = local.resolve(a.type!);
        targetId = target.resolve(b.type!);
        break;
      }
      default:
        return false;
    }
  }
}

const namesMatch = (local: string, target: string): boolean => (target === "" ? local === "" : essentialName(local) === essentialName(target));

/** bpf_core_types_match: members, enumerators and prototypes as well. */
function typesMatch(local: Btf, localId: number, target: Btf, targetId: number, behindPointer: boolean, depth: number): boolean {
  while (true) {
    if (depth-- <= 0) return einval();
    const a = typeOf(local, local.resolve(localId));
    const b = typeOf(target, target.resolve(targetId));
    if (!namesMatch(a.name, b.name)) return false;
    switch (a.kind) {
      case BtfKind.UNKN:
        return b.kind === a.kind;
      case BtfKind.FWD:
        if (a.kind === b.kind) return a.kflag === b.kflag;
        return behindPointer && b.kind === (a.kflag === true ? BtfKind.UNION : BtfKind.STRUCT);
      case BtfKind.ENUM:
      case BtfKind.ENUM64:
        return isAnyEnum(b.kind) && a.values!.length <= b.values!.length
          && a.values!.every(({ name }) => b.values!.some((value) => essentialName(value.name) === essentialName(name)));
      case BtfKind.STRUCT:
      case BtfKind.UNION: {
        if (behindPointer) return a.kind === b.kind || (b.kind === BtfKind.FWD && (a.kind === BtfKind.UNION) === b.kflag);
        if (a.kind !== b.kind || a.members!.length > b.members!.length) return false;
        const left = depth;
        return a.members!.every((member) => b.members!.some((other) =>
          namesMatch(member.name, other.name) && typesMatch(local, member.type, target, other.type, behindPointer, left)));
      }
      case BtfKind.INT:
        return a.kind === b.kind && a.size === b.size && (a.encoding! & BTF_INT_SIGNED) === (b.encoding! & BTF_INT_SIGNED);
      case BtfKind.PTR:
        if (a.kind !== b.kind) return false;
        behindPointer = true;
        localId = a.type!;
        targetId = b.type!;
        break;
      case BtfKind.ARRAY:
        if (a.kind !== b.kind || a.count !== b.count) return false;
        localId = a.element!;
        targetId = b.element!;
        break;
      case BtfKind.FUNC_PROTO: {
        if (a.kind !== b.kind || a.params!.length !== b.params!.length) return false;
        const left = depth;
        const pointer = behindPointer;
        if (!a.params!.every(({ type }, i) => typesMatch(local, type, target, b.params![i]!.type, pointer, left))) return false;
        localId = a.type!;
        targetId = b.type!;
        break;
      }
      default:
        return false;
    }
  }
}

interface FieldValue {
  readonly value: bigint;
  readonly bytes: number;
  readonly type: number;
  readonly validate: boolean;
}

/** "poison": the instruction must not be reached. */
type Calculated<T> = T | "poison";

/** bpf_core_calc_relo. */
function calculate(relo: CoreRelo, local: Spec, target: Spec | undefined, index: number, fail: Fail): Result {
  const poisoned: Result = { original: 0n, value: 0n, poison: true, validate: true, wrongSize: false, originalBytes: 0, bytes: 0 };
  if (isFieldBased(relo.kind)) {
    const original = fieldValue(relo, local, fail);
    const value = fieldValue(relo, target, fail);
    if (original === "poison" || value === "poison") return poisoned;
    const result = { original: original.value, value: value.value, poison: false, validate: original.validate, originalBytes: original.bytes, bytes: value.bytes };
    return { ...result, wrongSize: original.bytes !== value.bytes && !mayResize(typeOf(local.btf, original.type), typeOf(target!.btf, value.type)) };
  }
  const of = (spec: Spec | undefined): Calculated<{ readonly value: bigint; readonly validate: boolean }> => {
    switch (relo.kind) {
      case Kind.TYPE_ID_TARGET:
        return { value: BigInt(spec?.root ?? 0), validate: spec === undefined };
      case Kind.TYPE_EXISTS:
      case Kind.TYPE_MATCHES:
      case Kind.ENUMVAL_EXISTS:
        return { value: spec === undefined ? 0n : 1n, validate: true };
      case Kind.TYPE_SIZE:
        return { value: spec === undefined ? 0n : BigInt(spec.btf.sizeOf(spec.root) ?? einval()), validate: true };
      case Kind.ENUMVAL_VALUE: {
        if (spec === undefined) return "poison";
        const { type, index: at } = spec.accessors[0]!;
        return { value: BigInt.asUintN(64, typeOf(spec.btf, type).values![at]!.value), validate: true };
      }
      default:
        return fail("EOPNOTSUPP", `unrecognized CO-RE relocation ${KIND_TEXTS[relo.kind] ?? "unknown"} (${relo.kind}) at insn #${index}`);
    }
  };
  const original = of(local);
  const value = of(target);
  if (original === "poison" || value === "poison") return poisoned;
  return { original: original.value, value: value.value, poison: false, validate: original.validate, wrongSize: false, originalBytes: 0, bytes: 0 };
}

/** Loads may become wider or narrower for pointers and unsigned integers. */
const mayResize = (a: BtfType, b: BtfType): boolean =>
  (a.kind === BtfKind.PTR && b.kind === BtfKind.PTR)
  || (a.kind === BtfKind.INT && b.kind === BtfKind.INT && a.encoding !== BTF_INT_SIGNED && b.encoding !== BTF_INT_SIGNED);

/** bpf_core_calc_field_relo. */
function fieldValue(relo: CoreRelo, spec: Spec | undefined, fail: Fail): Calculated<FieldValue> {
  const plain = (value: number, validate: boolean, bytes = 0, type = 0): FieldValue => ({ value: BigInt(value), bytes, type, validate });
  if (relo.kind === Kind.FIELD_EXISTS) return plain(spec === undefined ? 0 : 1, true);
  if (spec === undefined) return "poison";
  const { btf } = spec;
  const last = spec.accessors.at(-1)!;
  const elementBytes = (id: number): number => {
    let element = btf.resolve(id);
    for (let depth = 0; depth < MAX_DEPTH && typeOf(btf, element).kind === BtfKind.ARRAY; depth++) element = btf.resolve(typeOf(btf, element).element!);
    return btf.sizeOf(element) ?? einval();
  };
  if (last.name === undefined) {
    if (relo.kind === Kind.FIELD_BYTE_OFFSET) return plain(spec.bitOffset / 8, true, elementBytes(last.type), last.type);
    if (relo.kind === Kind.FIELD_BYTE_SIZE) return plain(btf.sizeOf(last.type) ?? einval(), true);
    return fail("EINVAL", `relo ${relo.kind} at insn #${relo.slot} can't be applied to array access`);
  }
  const member = typeOf(btf, last.type).members![last.index]!;
  const id = btf.resolve(member.type);
  const type = typeOf(btf, id);
  const bitField = member.bits > 0;
  const bits = spec.bitOffset;
  let bytes: number;
  let offset: number;
  if (bitField) {
    bytes = type.size ?? einval();
    offset = Math.floor(bits / 8 / bytes) * bytes;
    while (bits + member.bits - offset * 8 > bytes * 8) {
      if (bytes >= 8) fail("E2BIG", `relo ${relo.kind} at insn #${relo.slot} can't be satisfied for bitfield`);
      bytes *= 2;
      offset = Math.floor(bits / 8 / bytes) * bytes;
    }
  } else {
    bytes = btf.sizeOf(id) ?? einval();
    offset = bits / 8;
  }
  const width = bitField ? member.bits : bytes * 8;
  switch (relo.kind) {
    case Kind.FIELD_BYTE_OFFSET:
      return bitField ? plain(offset, false) : plain(offset, true, elementBytes(id), id);
    case Kind.FIELD_BYTE_SIZE:
      return plain(bytes, !bitField);
    case Kind.FIELD_SIGNED:
      return plain((isAnyEnum(type.kind) && type.kflag === true) || (type.kind === BtfKind.INT && (type.encoding! & BTF_INT_SIGNED) !== 0) ? 1 : 0, true);
    case Kind.FIELD_LSHIFT_U64:
      return plain(64 - (bits + width - offset * 8), !bitField);
    default:
      return plain(64 - width, true);
  }
}

/** bpf_core_patch_insn. */
function patch({ program, notes }: CoreContext, index: number, insns: Insn[], slot: number, result: Result, fail: Fail): void {
  const insn = insns[slot]!;
  const poison = (): void => {
    notes?.push(`prog '${program}': relo #${index}: substituting insn #${slot} w/ invalid insn`);
    if (isLddw(insn) && slot + 1 < insns.length) poisonInsn(insns[slot + 1]!);
    poisonInsn(insn);
  };
  if (result.poison) return poison();
  const { original, value, validate } = result;
  const unexpected = (what: string, got: bigint): never =>
    fail("EINVAL", `relo #${index}: unexpected insn #${slot} (${what}) value: got ${got}, exp ${original} -> ${value}`);
  switch (bpfClass(insn.code)) {
    case BPF_ALU:
    case BPF_ALU64:
      if (bpfSrc(insn.code) !== BPF_K) einval();
      if (validate && insn.imm !== Number(BigInt.asIntN(32, original))) unexpected("ALU/ALU64", BigInt(insn.imm >>> 0));
      insn.imm = Number(BigInt.asIntN(32, value));
      return;
    case BPF_LDX:
    case BPF_ST:
    case BPF_STX: {
      if (validate && BigInt(insn.off) !== original) unexpected("LDX/ST/STX", BigInt(insn.off >>> 0));
      const at = `relo #${index}: insn #${slot} (LDX/ST/STX)`;
      if (value > 32767n) fail("ERANGE", `${at} value too big: ${value}`);
      if (result.wrongSize) {
        notes?.push(`prog '${program}': ${at} accesses field incorrectly. Make sure you are accessing pointers, unsigned integers, or fields of matching type and size.`);
        return poison();
      }
      insn.off = Number(value);
      if (result.bytes !== result.originalBytes) {
        if (bpfBytes(insn.code) !== result.originalBytes) fail("EINVAL", `${at} unexpected mem size: got ${bpfBytes(insn.code)}, exp ${result.originalBytes}`);
        const size = new Map([[1, BPF_B], [2, BPF_H], [4, BPF_W], [8, BPF_DW]]).get(result.bytes) ?? fail("EINVAL", `${at} invalid new mem size: ${result.bytes}`);
        insn.code = bpfMode(insn.code) | size | bpfClass(insn.code);
      }
      return;
    }
    case BPF_LD: {
      const high = insns[slot + 1];
      if (!isLddw(insn) || high === undefined || insn.src !== 0 || insn.off !== 0 || high.code !== 0 || high.dst !== 0 || high.src !== 0 || high.off !== 0) {
        return fail("EINVAL", `relo #${index}: insn #${slot} (LDIMM64) has unexpected form`);
      }
      const got = BigInt(insn.imm >>> 0) | (BigInt(high.imm >>> 0) << 32n);
      if (validate && got !== original) unexpected("LDIMM64", got);
      insn.imm = Number(BigInt.asIntN(32, value));
      high.imm = Number(BigInt.asIntN(32, value >> 32n));
      return;
    }
    default: {
      const hex = (number: number): string => `0x${(number >>> 0).toString(16)}`;
      fail("EINVAL", `relo #${index}: trying to relocate unrecognized insn #${slot}, code:${hex(insn.code)}, src:${hex(insn.src)}, dst:${hex(insn.dst)}, off:${hex(insn.off)}, imm:${hex(insn.imm)}`);
    }
  }
}

function poisonInsn(insn: Insn): void {
  insn.code = BPF_JMP | BPF_CALL;
  insn.dst = 0;
  insn.src = 0;
  insn.off = 0;
  insn.imm = POISON_CORE;
}
