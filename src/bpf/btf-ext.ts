/**
 * `.BTF.ext`: where functions and source lines start, and the CO-RE relocations; per section of the object, instructions counted from the
 * section's start. Follows tools/lib/bpf/btf.c, btf_ext_parse.
 */
import type { Btf } from "./btf.ts";
import { BpfObjectError } from "./errors.ts";

/** Instruction slots count from the start of the section. */
export interface BtfExt {
  readonly funcInfo: ReadonlyMap<string, readonly ExtFunc[]>;
  readonly lineInfo: ReadonlyMap<string, readonly ExtLine[]>;
  readonly coreRelos: ReadonlyMap<string, readonly CoreRelo[]>;
}

export interface ExtFunc {
  readonly slot: number;
  readonly type: number;
}

export interface ExtLine {
  readonly slot: number;
  readonly file: string;
  readonly line: string;
  readonly number: number;
  readonly column: number;
}

/** struct bpf_core_relo. */
export interface CoreRelo {
  readonly slot: number;
  readonly type: number;
  /** "0:1:2": indices from the root type on. */
  readonly access: string;
  /** enum bpf_core_relo_kind. */
  readonly kind: number;
}

const MAGIC = 0xeb9f;

const invalid = (what: string): never => {
  throw new BpfObjectError("EINVAL", what);
};

/** Reads the section. Throws BpfObjectError EINVAL. */
export function parseBtfExt(bytes: Uint8Array, btf: Btf): BtfExt {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 24) invalid("BTF.ext header not found");
  const header = view.getUint32(4, true);
  if (view.getUint16(0, true) !== MAGIC) invalid(`Invalid BTF.ext magic:${view.getUint16(0, true).toString(16)}`);
  if (header < 24 || header > bytes.length) invalid(`BTF.ext header len ${header} larger than data size ${bytes.length}`);
  if (header === bytes.length) invalid("BTF.ext has no data");
  const string = (offset: number): string => btf.string(offset) ?? "";
  const records = <T extends { readonly slot: number }>(at: number, what: string, smallest: number, read: (at: number) => T): Map<string, T[]> => {
    const found = new Map<string, T[]>();
    if (header < at + 8) return found;
    const offset = view.getUint32(at, true);
    const length = view.getUint32(at + 4, true);
    if (length === 0) return found;
    let pos = header + offset;
    const end = pos + length;
    if (offset % 4 !== 0) invalid(`BTF.ext ${what} section is not aligned to 4 bytes`);
    if (end > bytes.length) invalid(`${what} section (off:${offset} len:${length}) is beyond the end of the ELF section .BTF.ext`);
    if (length < 4) invalid(`BTF.ext ${what} record size not found`);
    const size = view.getUint32(pos, true);
    if (size < smallest || size % 4 !== 0) invalid(`BTF.ext section(${what}) has invalid record size ${size}`);
    pos += 4;
    if (pos === end) invalid(`BTF.ext has no ${what} sections`);
    while (pos < end) {
      if (end - pos < 8) invalid(`section header is not found in BTF.ext section(${what})`);
      const name = string(view.getUint32(pos, true));
      const count = view.getUint32(pos + 4, true);
      pos += 8;
      if (count === 0 || count * size > end - pos) invalid(`incorrect ${what} record number in BTF.ext section ${name}`);
      const list = found.get(name) ?? [];
      for (let i = 0; i < count; i++, pos += size) list.push(read(pos));
      found.set(name, list);
    }
    for (const list of found.values()) list.sort((a, b) => a.slot - b.slot);
    return found;
  };
  const slot = (at: number): number => {
    const offset = view.getUint32(at, true);
    return offset % 8 === 0 ? offset / 8 : invalid(`BTF.ext: instruction offset ${offset} is no multiple of 8`);
  };
  const known = (id: number): number => (id < btf.types.length ? id : invalid(`BTF.ext: invalid type ID ${id}`));
  const funcInfo = records(8, "func_info", 8, (at): ExtFunc => ({ slot: slot(at), type: known(view.getUint32(at + 4, true)) }));
  const lineInfo = records(16, "line_info", 16, (at): ExtLine => {
    const place = view.getUint32(at + 12, true);
    return {
      slot: slot(at), file: string(view.getUint32(at + 4, true)), line: string(view.getUint32(at + 8, true)), number: place >>> 10, column: place & 0x3ff,
    };
  });
  const coreRelos = records(24, "core_relo", 16, (at): CoreRelo => ({
    slot: slot(at), type: known(view.getUint32(at + 4, true)), access: string(view.getUint32(at + 8, true)), kind: view.getUint32(at + 12, true),
  }));
  return { funcInfo, lineInfo, coreRelos };
}
