// The verifier's log: text as the kernel writes it, and how registers and states look in it. kernel/bpf/log.c.

import { IterState, NOT_INIT, PTR_TO_ARENA, PTR_TO_BTF_ID, PTR_TO_MAP_KEY, PTR_TO_MAP_VALUE, PTR_TO_MEM,
  PTR_TO_STACK, SCALAR_VALUE, CONST_PTR_TO_DYNPTR, CONST_PTR_TO_MAP, BPF_ADD_CONST, baseType, isPktPointer,
  regTypeString, typeIsNonOwningRef, S64_MIN, S64_MAX, S32_MAX, S32_MIN, U32_MAX, type RegState } from "./reg.ts";
import { type FuncState, STACK_DYNPTR, STACK_INVALID, STACK_ITER, STACK_SPILL, type VerifierState } from "./state.ts";
import { tnumIsUnknown, tnumString, U64_MAX } from "./tnum.ts";

const S16_MIN = -0x8000n;
const S16_MAX = 0x7fffn;
const U16_MAX = 0xffffn;

const snum = (value: bigint): string =>
  value >= S16_MIN && value <= S16_MAX ? `${value}` : `0x${BigInt.asUintN(64, value).toString(16)}`;
const unum = (value: bigint): string => (value <= U16_MAX ? `${value}` : `0x${value.toString(16)}`);

/** Text with a position to go back to; the kernel's rotating buffer keeps the end when it is full. */
export class Log {
  private parts: string[] = [];
  /** Characters written. */
  length = 0;

  readonly level: number;

  constructor(level: number) {
    this.level = level;
  }

  write(text: string): void {
    if (text === "") return;
    this.parts.push(text);
    this.length += text.length;
  }

  /** bpf_vlog_reset. */
  reset(length: number): void {
    while (this.length > length) {
      const last = this.parts.pop()!;
      this.length -= last.length;
      if (this.length < length) {
        const kept = last.slice(0, length - this.length);
        this.parts.push(kept);
        this.length = length;
      }
    }
  }

  text(): string {
    return this.parts.join("");
  }
}

const DYNPTR_NAMES = ["invalid", "local", "ringbuf", "skb", "xdp", "skb_meta"];
export const dynptrTypeName = (type: number): string => DYNPTR_NAMES[type] ?? "unknown";
const ITER_STATES: Record<number, string> = { [IterState.INVALID]: "<invalid>", [IterState.ACTIVE]: "active", [IterState.DRAINED]: "drained" };
const SLOT_CHARS = "?rm0dif";

/** print_scalar_ranges: equal ends are joined: `smin=smin32=0,smax=umax=255`. */
function scalarRanges(reg: RegState): string[] {
  const s32 = (value: number): bigint => (value >= -0x8000 && value <= 0x7fff ? BigInt(value) : BigInt(value >>> 0));
  const ends: { name: string; value: bigint; omit: boolean }[] = [
    { name: "smin", value: reg.smin, omit: reg.smin === S64_MIN },
    { name: "smax", value: reg.smax, omit: reg.smax === S64_MAX },
    { name: "umin", value: reg.umin, omit: reg.umin === 0n },
    { name: "umax", value: reg.umax, omit: reg.umax === U64_MAX },
    { name: "smin32", value: s32(reg.s32min), omit: reg.s32min === S32_MIN },
    { name: "smax32", value: s32(reg.s32max), omit: reg.s32max === S32_MAX },
    { name: "umin32", value: BigInt(reg.u32min), omit: reg.u32min === 0 },
    { name: "umax32", value: BigInt(reg.u32max), omit: reg.u32max === U32_MAX },
  ];
  const out: string[] = [];
  for (let i = 0; i < ends.length; i++) {
    const end = ends[i]!;
    if (end.omit) continue;
    const negative = end.name.startsWith("s") && end.value < 0n;
    let names = `${end.name}=`;
    for (let j = i + 2; j < ends.length; j += 2) {
      const other = ends[j]!;
      if (other.omit || BigInt.asUintN(64, other.value) !== BigInt.asUintN(64, end.value)) continue;
      if ((other.name.startsWith("s") && other.value < 0n) !== negative) continue;
      other.omit = true;
      names += `${other.name}=`;
    }
    out.push(names + (end.name.startsWith("s") ? snum(end.value) : unum(end.value)));
  }
  return out;
}

/** print_reg_state: `scalar(id=1,umax=255,...)`, `fp-8`, `pkt(off=14,r=14)`, `Pscalar()`. */
export function regString(frame: FuncState, reg: RegState): string {
  const type = reg.type;
  let out = type === SCALAR_VALUE && reg.precise ? "P" : "";
  const fixed = BigInt.asIntN(64, reg.varOff.value + BigInt(reg.off));
  if (type === SCALAR_VALUE && reg.isConst()) return out + snum(fixed);
  out += regTypeString(type);
  if (type === PTR_TO_ARENA) return out;
  if (type === PTR_TO_STACK) {
    if (frame.frameno !== reg.frameno) out += `[${reg.frameno}]`;
    if (reg.isConst()) return out + snum(fixed);
  }
  const base = baseType(type);
  if (base === PTR_TO_BTF_ID) out += reg.btfType?.name ?? "";
  const fields: string[] = [];
  let link = "";
  if (reg.id !== 0) fields.push(`id=${reg.id & 0x7fff_ffff}`);
  if ((reg.id & BPF_ADD_CONST) !== 0) link = reg.off < 0 ? `${reg.off}` : `+${reg.off}`;
  if (link !== "") fields[fields.length - 1] += link;
  if (reg.refObjId !== 0) fields.push(`ref_obj_id=${reg.refObjId}`);
  if (typeIsNonOwningRef(type)) fields.push("non_own_ref");
  if ((base === CONST_PTR_TO_MAP || base === PTR_TO_MAP_VALUE || base === PTR_TO_MAP_KEY) && reg.map !== null) {
    if (reg.map.name !== "") fields.push(`map=${reg.map.name}`);
    fields.push(`ks=${reg.map.keySize},vs=${reg.map.valueSize}`);
  }
  if (type !== SCALAR_VALUE && reg.off !== 0) fields.push(`off=${snum(BigInt(reg.off))}`);
  if (isPktPointer(type)) fields.push(`r=${unum(BigInt.asUintN(64, BigInt(reg.range)))}`);
  if (base === PTR_TO_MEM) fields.push(`sz=${unum(BigInt(reg.memSize))}`);
  if (type === CONST_PTR_TO_DYNPTR) fields.push(`type=${dynptrTypeName(reg.dynptrType)}`);
  if (reg.isConst()) {
    if (reg.varOff.value !== 0n) fields.push(`imm=${snum(BigInt.asIntN(64, reg.varOff.value))}`);
  } else {
    for (const range of scalarRanges(reg)) fields.push(range);
    if (!tnumIsUnknown(reg.varOff)) fields.push(`var_off=${tnumString(reg.varOff)}`);
  }
  return `${out}(${fields.join(",")})`;
}

function slotString(frame: FuncState, spi: number): { text: string; skip: number } {
  const types = frame.slotType.subarray(spi * 8, spi * 8 + 8);
  if (types.every((type) => type === STACK_INVALID)) return { text: "", skip: 0 };
  const chars = Array.from(types, (type) => SLOT_CHARS[type]).join("");
  const place = ` fp${(-spi - 1) * 8}=`;
  const reg = frame.spilledAt(spi);
  switch (types[7]) {
    case STACK_SPILL:
      return { text: place + chars.slice(0, types.indexOf(STACK_SPILL)) + regString(frame, reg), skip: 0 };
    case STACK_DYNPTR: {
      const main = frame.spilledAt(spi + 1);
      const fields: string[] = [];
      if (main.id !== 0) fields.push(`id=${main.id}`);
      if (main.refObjId !== 0) fields.push(`ref_id=${main.refObjId}`);
      if (main.dynptrId !== 0) fields.push(`dynptr_id=${main.dynptrId}`);
      return { text: ` fp${(-spi - 2) * 8}=dynptr_${dynptrTypeName(main.dynptrType)}(${fields.join(",")})`, skip: 1 };
    }
    case STACK_ITER:
      if (reg.refObjId === 0) return { text: "", skip: 0 };
      return {
        text: `${place}iter_${reg.iterKind}(ref_id=${reg.refObjId},state=${ITER_STATES[reg.iterState]},depth=${reg.iterDepth})`,
        skip: 0,
      };
    default:
      return { text: place + chars, skip: 0 };
  }
}

/**
 * print_verifier_state without its line end: registers and slots of one frame; only those in the masks `regs` and
 * `slots` (bit n: register or slot n) unless they are null.
 */
export function stateString(
  state: VerifierState, frameno: number, regs: number | null, slots: ReadonlySet<number> | null,
): string {
  const frame = state.frames[frameno]!;
  let out = frameno !== 0 ? ` frame${frameno}:` : "";
  for (let i = 0; i < 11; i++) {
    const reg = frame.regs[i]!;
    if (reg.type === NOT_INIT || (regs !== null && (regs & (1 << i)) === 0)) continue;
    out += ` R${i}=${regString(frame, reg)}`;
  }
  for (let spi = 0; spi < frame.allocated / 8; spi++) {
    if (slots !== null && !slots.has(spi)) continue;
    const { text, skip } = slotString(frame, spi);
    out += text;
    spi += skip;
  }
  if (state.refs.length > 0 && state.refs[0]!.id !== 0) {
    out += ` refs=${state.refs.map((ref) => ref.id).filter((id) => id !== 0).join(",")}`;
  }
  if (frame.inCallback) out += " cb";
  if (frame.inAsyncCallback) out += " async_cb";
  return out;
}

/** bpf_vlog_alignment: blanks between an instruction and its `; state`. */
export function vlogAlignment(position: number): number {
  const target = Math.max(position + 4, 40);
  return Math.ceil(target / 8) * 8 - position - 1;
}
