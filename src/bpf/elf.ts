/**
 * ELF64, little endian, relocatable: as much of it as objects of clang for BPF have. Every offset and length of the file is checked here, so
 * that the rest of the loader may follow section indices and symbols without looking. Words of errors are libbpf's (libbpf.c,
 * bpf_object__elf_init and bpf_object__elf_collect).
 */
import { BpfObjectError } from "./errors.ts";

export const SHT_PROGBITS = 1;
export const SHT_SYMTAB = 2;
export const SHT_STRTAB = 3;
export const SHT_NOBITS = 8;
export const SHT_REL = 9;
export const SHT_LLVM_ADDRSIG = 0x6fff4c03;
export const SHF_EXECINSTR = 4;
export const SHN_UNDEF = 0;
export const SHN_LORESERVE = 0xff00;
export const STB_LOCAL = 0;
export const STB_GLOBAL = 1;
export const STB_WEAK = 2;
export const STT_NOTYPE = 0;
export const STT_OBJECT = 1;
export const STT_FUNC = 2;
export const STT_SECTION = 3;
export const STV_INTERNAL = 1;
export const STV_HIDDEN = 2;

const EM_BPF = 247;
const ET_REL = 1;
const HEADER_BYTES = 64;
const SECTION_BYTES = 64;
const SYMBOL_BYTES = 24;
const REL_BYTES = 16;

export interface ElfSection {
  readonly index: number;
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  /** Bytes in memory; `data` is empty for SHT_NOBITS. */
  readonly size: number;
  readonly link: number;
  readonly info: number;
  readonly entsize: number;
  /** A view of the file. */
  readonly data: Uint8Array;
}

export interface ElfSymbol {
  readonly index: number;
  /** Empty when the name's offset is out of the string table. */
  readonly name: string;
  readonly value: number;
  readonly size: number;
  readonly bind: number;
  readonly type: number;
  readonly visibility: number;
  /** Section it is defined in, or SHN_*. */
  readonly section: number;
}

export interface ElfRel {
  readonly offset: number;
  /** R_BPF_*. */
  readonly type: number;
  readonly symbol: number;
}

export interface ElfFile {
  readonly sections: readonly ElfSection[];
  readonly symbols: readonly ElfSymbol[];
  /** Index of the section header's string table, and of the symbol table. */
  readonly symtab: number;
}

const decoder = new TextDecoder();

/** The string at `offset` of a string table: up to its zero. Undefined when it starts outside or never ends. */
export function stringAt(table: Uint8Array, offset: number): string | undefined {
  if (offset < 0 || offset >= table.length) return undefined;
  const end = table.indexOf(0, offset);
  return end < 0 ? undefined : decoder.decode(table.slice(offset, end));
}

/** A 64-bit field as a number; what is no safe integer becomes Infinity, which every check of a range refuses. */
const word = (view: DataView, at: number): number => {
  const high = view.getUint32(at + 4, true);
  return high > 0x1fffff ? Infinity : high * 0x1_0000_0000 + view.getUint32(at, true);
};

const fail = (message: string): never => {
  throw new BpfObjectError("FORMAT", message);
};

/** Reads the tables of an object. `path` is only for the errors. Throws BpfObjectError. */
export function parseElf(bytes: Uint8Array, path: string): ElfFile {
  const magic = bytes.length >= 16 && bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;
  if (!magic || bytes.length < HEADER_BYTES) throw new BpfObjectError("LIBELF", `elf: failed to get ELF header from ${path}: not an ELF file`);
  if (bytes[4] !== 2) fail(`elf: ${path} is not a 64-bit ELF file`);
  if (bytes[5] !== 1) throw new BpfObjectError("ENDIAN", `elf: endianness mismatch in ${path}.`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const machine = view.getUint16(18, true);
  if (view.getUint16(16, true) !== ET_REL || (machine !== 0 && machine !== EM_BPF)) fail(`elf: ${path} is not a valid eBPF object file`);

  const table = word(view, 40);
  let count = view.getUint16(60, true);
  let names = view.getUint16(62, true);
  const within = (at: number, length: number): boolean => at <= bytes.length && length <= bytes.length - at;
  if (view.getUint16(58, true) !== SECTION_BYTES || table === 0 || !within(table, SECTION_BYTES)) {
    fail(`elf: failed to get the number of sections for ${path}: section header table is missing or invalid`);
  }
  if (count === 0) count = word(view, table + 32);
  if (names === 0xffff) names = view.getUint32(table + 40, true);
  if (!within(table, count * SECTION_BYTES)) fail(`elf: failed to get the number of sections for ${path}: section header table is out of the file`);

  interface Header { readonly name: number; readonly section: Omit<ElfSection, "name"> }
  const headers: Header[] = [];
  for (let index = 0; index < count; index++) {
    const at = table + index * SECTION_BYTES;
    const type = view.getUint32(at + 4, true);
    const offset = word(view, at + 24);
    const size = word(view, at + 32);
    const empty = type === SHT_NOBITS || index === 0;
    if (!empty && !within(offset, size)) fail(`elf: failed to get section(${index}) data from ${path}: offset ${offset}, size ${size} are out of the file`);
    if (empty && index > 0 && size > 0x7fff_ffff) fail(`elf: section(${index}) of ${path}: size ${size} is too large`);
    headers.push({
      name: view.getUint32(at, true),
      section: {
        index, type, size,
        flags: view.getUint32(at + 8, true),
        link: view.getUint32(at + 40, true),
        info: view.getUint32(at + 44, true),
        entsize: word(view, at + 56),
        data: empty ? new Uint8Array(0) : bytes.subarray(offset, offset + size),
      },
    });
  }
  const strings = headers[names]?.section.data;
  if (names === 0 || strings === undefined) return fail(`elf: failed to get section names section index for ${path}`);
  const sections = headers.map(({ name, section }): ElfSection => {
    const text = section.index === 0 ? "" : stringAt(strings, name);
    if (text === undefined) return fail(`elf: failed to get section(${section.index}) name from ${path}`);
    return { ...section, name: text };
  });

  const tables = sections.filter(({ type }) => type === SHT_SYMTAB);
  const [symtab] = tables;
  if (symtab === undefined) throw new BpfObjectError("ENOENT", `elf: couldn't find symbol table in ${path}, stripped object file?`);
  if (tables.length > 1) fail(`elf: multiple symbol tables in ${path}`);
  const strtab = sections[symtab.link];
  if (strtab === undefined || symtab.link === 0 || strtab.type !== SHT_STRTAB) return fail(`elf: symbol strings section missing or invalid in ${path}`);
  if (symtab.entsize !== SYMBOL_BYTES) fail(`elf: symbol table of ${path} has entries of ${symtab.entsize} bytes`);
  return { sections, symbols: symbolsOf(symtab, strtab.data), symtab: symtab.index };
}

function symbolsOf({ data }: ElfSection, strings: Uint8Array): ElfSymbol[] {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const symbols: ElfSymbol[] = [];
  for (let index = 0; (index + 1) * SYMBOL_BYTES <= data.length; index++) {
    const at = index * SYMBOL_BYTES;
    const info = view.getUint8(at + 4);
    symbols.push({
      index,
      name: stringAt(strings, view.getUint32(at, true)) ?? "",
      value: word(view, at + 8),
      size: word(view, at + 16),
      bind: info >> 4,
      type: info & 15,
      visibility: view.getUint8(at + 5) & 3,
      section: view.getUint16(at + 6, true),
    });
  }
  return symbols;
}

/** The entries of a SHT_REL section. Throws BpfObjectError when they have another size. */
export function relsOf(section: ElfSection): ElfRel[] {
  const { data } = section;
  if (section.entsize !== REL_BYTES) fail(`sec '${section.name}': relocations of ${section.entsize} bytes`);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const rels: ElfRel[] = [];
  for (let at = 0; at + REL_BYTES <= data.length; at += REL_BYTES) {
    rels.push({ offset: word(view, at), type: view.getUint32(at + 8, true), symbol: view.getUint32(at + 12, true) });
  }
  return rels;
}

/** Undefined and of no type: to be found elsewhere (sym_is_extern). */
export const isExtern = ({ section, bind, type }: ElfSymbol): boolean =>
  section === SHN_UNDEF && (bind === STB_GLOBAL || bind === STB_WEAK) && type === STT_NOTYPE;
