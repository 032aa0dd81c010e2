// WebAssembly's binary format, as far as the compiler writes it: a growing byte buffer with LEB128 numbers, the opcodes
// under their names in the text format, and a module from its functions.
// WebAssembly Core Specification 2.0, section 5.

export const I32 = 0x7f;
export const I64 = 0x7e;

/** Opcodes; a dot of the text format is an underscore. */
export const Op = {
  block: 0x02, loop: 0x03, if: 0x04, else: 0x05, end: 0x0b, br: 0x0c, br_if: 0x0d, br_table: 0x0e, return: 0x0f, call: 0x10,
  unreachable: 0x00, drop: 0x1a, select: 0x1b, local_get: 0x20, local_set: 0x21, local_tee: 0x22,
  i32_load: 0x28, i64_load: 0x29, i64_load8_s: 0x30, i64_load8_u: 0x31, i64_load16_s: 0x32, i64_load16_u: 0x33,
  i64_load32_s: 0x34, i64_load32_u: 0x35, i32_store: 0x36, i64_store: 0x37, i32_store8: 0x3a, i32_store16: 0x3b,
  i64_store8: 0x3c, i64_store16: 0x3d, i64_store32: 0x3e,
  i32_const: 0x41, i64_const: 0x42,
  i32_eqz: 0x45, i32_eq: 0x46, i32_ne: 0x47, i32_lt_s: 0x48, i32_lt_u: 0x49, i32_gt_s: 0x4a, i32_gt_u: 0x4b, i32_le_s: 0x4c,
  i32_le_u: 0x4d, i32_ge_s: 0x4e, i32_ge_u: 0x4f,
  i64_eqz: 0x50, i64_eq: 0x51, i64_ne: 0x52, i64_lt_s: 0x53, i64_lt_u: 0x54, i64_gt_s: 0x55, i64_gt_u: 0x56, i64_le_s: 0x57,
  i64_le_u: 0x58, i64_ge_s: 0x59, i64_ge_u: 0x5a,
  i32_add: 0x6a, i32_sub: 0x6b, i32_mul: 0x6c, i32_div_s: 0x6d, i32_div_u: 0x6e, i32_rem_s: 0x6f, i32_rem_u: 0x70, i32_and: 0x71,
  i32_or: 0x72, i32_xor: 0x73, i32_shl: 0x74, i32_shr_s: 0x75, i32_shr_u: 0x76, i32_rotl: 0x77,
  i64_add: 0x7c, i64_sub: 0x7d, i64_mul: 0x7e, i64_div_s: 0x7f, i64_div_u: 0x80, i64_rem_s: 0x81, i64_rem_u: 0x82, i64_and: 0x83,
  i64_or: 0x84, i64_xor: 0x85, i64_shl: 0x86, i64_shr_s: 0x87, i64_shr_u: 0x88, i64_rotl: 0x89,
  i32_wrap_i64: 0xa7, i64_extend_i32_s: 0xac, i64_extend_i32_u: 0xad, i32_extend8_s: 0xc0, i32_extend16_s: 0xc1,
  i64_extend8_s: 0xc2, i64_extend16_s: 0xc3, i64_extend32_s: 0xc4, prefix_fc: 0xfc,
} as const;

/** Second byte of `memory.fill` after `prefix_fc`. */
const MEMORY_FILL = 11;
const EMPTY_TYPE = 0x40;

/** Bytes being written. */
export class Code {
  bytes: Uint8Array<ArrayBuffer>;
  length = 0;

  constructor(capacity = 1024) {
    this.bytes = new Uint8Array(capacity);
  }

  #grow(more: number): void {
    const wider = new Uint8Array(Math.max(this.bytes.length * 2, this.length + more));
    wider.set(this.bytes.subarray(0, this.length));
    this.bytes = wider;
  }

  byte(value: number): void {
    if (this.length === this.bytes.length) this.#grow(1);
    this.bytes[this.length++] = value;
  }

  /** Unsigned LEB128 of a u32. */
  u32(value: number): void {
    let rest = value >>> 0;
    while (rest > 0x7f) {
      this.byte((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    this.byte(rest);
  }

  /** Signed LEB128 of an i32. */
  s32(value: number): void {
    let rest = value | 0;
    while (rest < -64 || rest > 63) {
      this.byte((rest & 0x7f) | 0x80);
      rest >>= 7;
    }
    this.byte(rest & 0x7f);
  }

  append(other: Code): void {
    if (this.length + other.length > this.bytes.length) this.#grow(other.length);
    this.bytes.set(other.bytes.subarray(0, other.length), this.length);
    this.length += other.length;
  }

  text(value: string): void {
    this.u32(value.length);
    for (let at = 0; at < value.length; at++) this.byte(value.charCodeAt(at));
  }

  get(local: number): void {
    this.byte(Op.local_get);
    this.u32(local);
  }

  set(local: number): void {
    this.byte(Op.local_set);
    this.u32(local);
  }

  tee(local: number): void {
    this.byte(Op.local_tee);
    this.u32(local);
  }

  i32(value: number): void {
    this.byte(Op.i32_const);
    this.s32(value);
  }

  /** `i64.const` of two halves. */
  i64(low: number, high: number): void {
    this.byte(Op.i64_const);
    let lo = low | 0;
    let hi = high | 0;
    while (hi !== lo >> 31 || lo < -64 || lo > 63) {
      this.byte((lo & 0x7f) | 0x80);
      lo = (lo >>> 7) | (hi << 25);
      hi >>= 7;
    }
    this.byte(lo & 0x7f);
  }

  /** `i64.const` of a number that fits 32 bits, signed. */
  i64s(value: number): void {
    this.i64(value, value >> 31);
  }

  call(index: number): void {
    this.byte(Op.call);
    this.u32(index);
  }

  /** A load or store; the alignment is only a hint, and 1 is always true. */
  memory(op: number, offset: number): void {
    this.byte(op);
    this.byte(0);
    this.u32(offset);
  }

  /** `block`, `loop` or `if`; without a type it leaves nothing on the stack. */
  open(op: number, type: number = EMPTY_TYPE): void {
    this.byte(op);
    this.byte(type);
  }

  br(op: number, depth: number): void {
    this.byte(op);
    this.u32(depth);
  }

  memorySize(): void {
    this.byte(0x3f);
    this.byte(0);
  }

  fill(): void {
    this.byte(Op.prefix_fc);
    this.byte(MEMORY_FILL);
    this.byte(0);
  }
}

export interface FunctionType {
  readonly params: readonly number[];
  readonly results: readonly number[];
}

export interface FunctionImport {
  readonly name: string;
  readonly type: FunctionType;
}

export interface FunctionBody {
  readonly type: FunctionType;
  /** Number of i32 and of i64 locals behind the parameters, in this order. */
  readonly i32s: number;
  readonly i64s: number;
  readonly code: Code;
  /** Name under which it is exported. */
  readonly name?: string;
}

/** A module that imports `env.memory` and functions of `env`; functions are numbered imports first. */
export function moduleBytes(shared: boolean, imports: readonly FunctionImport[], functions: readonly FunctionBody[]): Uint8Array<ArrayBuffer> {
  let codeBytes = 0;
  for (const { code } of functions) codeBytes += code.length + 16;
  const out = new Code(codeBytes + 1024);
  for (const byte of [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]) out.byte(byte);

  const typeIndex = new Map<string, number>();
  const types: FunctionType[] = [];
  const typeOf = (type: FunctionType): number => {
    const key = `${type.params.join()}>${type.results.join()}`;
    let index = typeIndex.get(key);
    if (index === undefined) {
      index = types.push(type) - 1;
      typeIndex.set(key, index);
    }
    return index;
  };
  const importTypes = imports.map(({ type }) => typeOf(type));
  const functionTypes = functions.map(({ type }) => typeOf(type));

  const section = (id: number, write: (part: Code) => void): void => {
    const part = new Code();
    write(part);
    out.byte(id);
    out.u32(part.length);
    out.append(part);
  };
  section(1, (part) => {
    part.u32(types.length);
    for (const { params, results } of types) {
      part.byte(0x60);
      part.u32(params.length);
      for (const type of params) part.byte(type);
      part.u32(results.length);
      for (const type of results) part.byte(type);
    }
  });
  section(2, (part) => {
    part.u32(imports.length + 1);
    part.text("env");
    part.text("memory");
    part.byte(0x02);
    // Limits: any memory with a maximum of at most 65,536 pages.
    part.byte(shared ? 0x03 : 0x01);
    part.u32(1);
    part.u32(65536);
    for (let at = 0; at < imports.length; at++) {
      part.text("env");
      part.text(imports[at]!.name);
      part.byte(0x00);
      part.u32(importTypes[at]!);
    }
  });
  section(3, (part) => {
    part.u32(functions.length);
    for (const type of functionTypes) part.u32(type);
  });
  const exported = functions.flatMap(({ name }, index) => (name === undefined ? [] : [{ name, index: imports.length + index }]));
  section(7, (part) => {
    part.u32(exported.length);
    for (const { name, index } of exported) {
      part.text(name);
      part.byte(0x00);
      part.u32(index);
    }
  });
  section(10, (part) => {
    part.u32(functions.length);
    const body = new Code();
    for (const { i32s, i64s, code } of functions) {
      body.length = 0;
      body.u32((i32s > 0 ? 1 : 0) + (i64s > 0 ? 1 : 0));
      if (i32s > 0) {
        body.u32(i32s);
        body.byte(I32);
      }
      if (i64s > 0) {
        body.u32(i64s);
        body.byte(I64);
      }
      part.u32(body.length + code.length + 1);
      part.append(body);
      part.append(code);
      part.byte(Op.end);
    }
  });
  return out.bytes.slice(0, out.length);
}
