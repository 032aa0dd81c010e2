/**
 * An object, opened: programs, maps, externs and types as clang wrote them, checked and tied together, nothing of it in a kernel yet. The
 * phases and their order are libbpf's (tools/lib/bpf/libbpf.c, bpf_object_open), so are the words of errors. Between opening and loading,
 * callers may turn programs off (`autoload`), resize maps and write into data sections.
 */
import { Btf, BtfKind, parseBtf, BTF_EXTERN, BTF_GLOBAL } from "./btf.ts";
import { parseBtfExt, type BtfExt } from "./btf-ext.ts";
import {
  isExtern, parseElf, SHF_EXECINSTR, SHN_LORESERVE, SHT_LLVM_ADDRSIG, SHT_NOBITS, SHT_PROGBITS, SHT_REL, SHT_STRTAB, SHT_SYMTAB, STB_GLOBAL,
  STB_LOCAL, STB_WEAK, STT_FUNC, STT_SECTION, STV_HIDDEN, STV_INTERNAL, relsOf, stringAt, type ElfFile, type ElfRel, type ElfSection, type ElfSymbol,
} from "./elf.ts";
import { BpfObjectError, errnoText, type LoadErrno } from "./errors.ts";
import { collectExterns, type ObjectExtern } from "./externs.ts";
import {
  BPF_CALL, BPF_JMP, BPF_PSEUDO_CALL, decodeInsns, isLddw, type Insn,
} from "./insn.ts";
import { collectMaps, type MapKind, type ObjectMap } from "./object-maps.ts";
import { sectionDef, type SectionDef } from "./sections.ts";
import { MapType, ProgType } from "./uapi.ts";

export type { ObjectMap } from "./object-maps.ts";
export type { ObjectExtern } from "./externs.ts";

/** A function of the object: an entry point, or a subprogram out of `.text`. */
export interface ObjectProgram {
  readonly name: string;
  /** Without a leading `?`. */
  readonly section: string;
  readonly sectionIndex: number;
  /** Where it starts in its section, in slots. */
  readonly start: number;
  /** As in the section, CO-RE not yet applied. */
  readonly insns: readonly Insn[];
  readonly global: boolean;
  /** Visible to this object only: verified with what its callers know. */
  readonly hidden: boolean;
  readonly subprogram: boolean;
  readonly def: SectionDef | undefined;
  /** From the section's name, until set. 0: unknown, which only loading refuses. */
  type: ProgType;
  attachType: number;
  /** ProgFlag bits. */
  flags: number;
  /** What it attaches to, from the section's name: a device hook has none, `kprobe/tcp_v4_connect` has `tcp_v4_connect`. */
  attachTo: string | undefined;
  /** Whether loading the object loads it; off at first for sections that start with `?`. */
  autoload: boolean;
  readonly relos: readonly ProgramRelo[];
}

/** A slot that refers to something else. `slot` counts from the program's start. */
export type ProgramRelo =
  | { readonly kind: "map"; readonly slot: number; readonly map: ObjectMap }
  | { readonly kind: "data"; readonly slot: number; readonly map: ObjectMap; readonly offset: number }
  | { readonly kind: "extern" | "extern-call"; readonly slot: number; readonly extern: ObjectExtern }
  | { readonly kind: "call" | "function"; readonly slot: number; readonly offset: number };

export interface BpfObject {
  readonly name: string;
  readonly license: string;
  /** KERNEL_VERSION of the `version` section, 0 without. */
  readonly version: number;
  /** Sorted by section, then by place; subprograms included. */
  readonly programs: readonly ObjectProgram[];
  readonly maps: readonly ObjectMap[];
  readonly externs: readonly ObjectExtern[];
  readonly btf: Btf | undefined;
  readonly btfExt: BtfExt | undefined;
  readonly textSection: number;
  readonly sections: readonly ElfSection[];
  readonly symbols: readonly ElfSymbol[];
  /** What libbpf would have printed at its levels warn, info and debug, without stopping for it. */
  readonly notes: readonly string[];
}

export interface OpenOptions {
  /** Of the object; its `.data`, `.bss` … maps are named after it. libbpf takes the file's name up to the first dot. */
  readonly name?: string;
  /** Where maps pinned by name are; /sys/fs/bpf. */
  readonly pinRoot?: string;
}

const LICENSE_BYTES = 64;
const SLOT = 8;

/** Opens an object. Throws BpfObjectError; never anything else, whatever the bytes are. */
export function openObject(bytes: Uint8Array, options: OpenOptions = {}): BpfObject {
  const name = options.name ?? "object";
  const elf = parseElf(bytes, name);
  const notes: string[] = [];
  const found = survey(elf, name, notes);
  let btf = found.btf === undefined ? undefined : readBtf(found, elf);
  const btfExt = btf === undefined || found.btfExt === undefined ? undefined : readBtfExt(found.btfExt, btf, notes);
  const collected = collectExterns(elf, btf);
  if (btf !== undefined) btf = fixBtf(elf, btf, collected.sections);
  const maps = collectMaps({
    name, elf, btf, mapsSection: found.mapsSection, pinRoot: options.pinRoot ?? "/sys/fs/bpf",
    data: found.data, kconfigBytes: collected.kconfigBytes, kconfigType: collected.sections.get(".kconfig") ?? 0,
  });
  const programs = [...found.programs].sort((a, b) => a.sectionIndex - b.sectionIndex || a.start - b.start);
  collectRelos({ elf, btf, maps, programs, externs: collected.externs, found, notes });
  return {
    name, license: found.license, version: found.version, programs, maps, externs: collected.externs, btf, btfExt,
    textSection: found.textSection, sections: elf.sections, symbols: elf.symbols, notes,
  };
}

interface Survey {
  license: string;
  version: number;
  mapsSection: number;
  textSection: number;
  btf: ElfSection | undefined;
  btfExt: ElfSection | undefined;
  readonly programs: ObjectProgram[];
  readonly data: { readonly section: ElfSection; readonly kind: MapKind }[];
  readonly relos: ElfSection[];
}

const is = (name: string, section: string): boolean => name === section || name.startsWith(`${section}.`);
const isDwarf = (name: string): boolean => name.startsWith(".debug_");

/** What is of no use to anybody here (ignore_elf_section). */
function isIgnored({ name, type, size }: ElfSection): boolean {
  if (type === SHT_STRTAB || type === SHT_LLVM_ADDRSIG || (type === SHT_PROGBITS && size === 0 && name === ".text")) return true;
  if (isDwarf(name)) return true;
  if (!name.startsWith(".rel")) return false;
  const target = name.slice(4);
  return isDwarf(target) || target === ".BTF" || target === ".BTF.ext";
}

/** One walk over the sections (bpf_object__elf_collect). */
function survey(elf: ElfFile, object: string, notes: string[]): Survey {
  const found: Survey = {
    license: "", version: 0, mapsSection: -1, textSection: 0, btf: undefined, btfExt: undefined, programs: [], data: [], relos: [],
  };
  for (const section of elf.sections) {
    const { index, name, type, size, flags, data } = section;
    if (index === 0 || isIgnored(section)) continue;
    if (name === "license") found.license = stringAt(padded(data), 0)!.slice(0, LICENSE_BYTES - 1);
    else if (name === "version") {
      if (size !== 4 || data.length !== 4) throw new BpfObjectError("FORMAT", `invalid kver section in ${object}`);
      found.version = new DataView(data.buffer, data.byteOffset, 4).getUint32(0, true);
    } else if (name === "maps") {
      throw new BpfObjectError("ENOTSUP", "elf: legacy map definitions in 'maps' section are not supported by libbpf v1.0+");
    } else if (name === ".maps") found.mapsSection = index;
    else if (name === ".BTF" || name === ".BTF.ext") {
      if (type !== SHT_PROGBITS) throw new BpfObjectError("FORMAT", `elf: section(${index}) ${name} of ${object} has type ${type}`);
      if (name === ".BTF") found.btf = section;
      else found.btfExt = section;
    } else if (type === SHT_SYMTAB) continue;
    else if (type === SHT_PROGBITS && size > 0) {
      if (flags & SHF_EXECINSTR) {
        if (name === ".text") found.textSection = index;
        found.programs.push(...programsOf(elf, section));
      } else if (is(name, ".data")) found.data.push({ section, kind: "data" });
      else if (is(name, ".rodata")) found.data.push({ section, kind: "rodata" });
      else if (/^\??\.struct_ops(\.link)?$/.test(name)) found.data.push({ section, kind: "struct_ops" });
      else notes.push(`elf: skipping unrecognized data section(${index}) ${name}`);
    } else if (type === SHT_REL) {
      const target = elf.sections[section.info];
      if (target === undefined || section.entsize !== 16) {
        throw new BpfObjectError("FORMAT", `elf: section(${index}) ${name} of ${object}: relocations of ${section.entsize} bytes for section(${section.info})`);
      }
      if ((target.flags & SHF_EXECINSTR) !== 0 || name === ".rel.maps" || /^\.rel\??\.struct_ops(\.link)?$/.test(name)) found.relos.push(section);
      else notes.push(`elf: skipping relo section(${index}) ${name} for section(${section.info}) ${target.name}`);
    } else if (type === SHT_NOBITS && is(name, ".bss")) found.data.push({ section, kind: "bss" });
    else notes.push(`elf: skipping section(${index}) ${name} (size ${size})`);
  }
  return found;
}

const padded = (data: Uint8Array): Uint8Array => {
  const bytes = new Uint8Array(data.length + 1);
  bytes.set(data);
  return bytes;
};

/** The functions of a section (bpf_object__add_programs, bpf_object__init_prog). */
function programsOf(elf: ElfFile, section: ElfSection): ObjectProgram[] {
  const { index, name: sectionName, data } = section;
  const isText = sectionName === ".text";
  const programs: ObjectProgram[] = [];
  for (const symbol of elf.symbols) {
    if (symbol.section !== index || symbol.type !== STT_FUNC) continue;
    const { name, value, size, bind, visibility } = symbol;
    if (name === "") throw new BpfObjectError("FORMAT", `sec '${sectionName}': failed to get symbol name for offset ${value}`);
    if (!(value + size <= data.length)) throw new BpfObjectError("FORMAT", `sec '${sectionName}': program at offset ${value} crosses section boundary`);
    if (!isText && bind === STB_LOCAL) throw new BpfObjectError("ENOTSUP", `sec '${sectionName}': program '${name}' is static and not supported`);
    if (size === 0 || size % SLOT !== 0 || value % SLOT !== 0) {
      throw new BpfObjectError("EINVAL", `sec '${sectionName}': corrupted program '${name}', offset ${value}, size ${size}`);
    }
    const optional = sectionName.startsWith("?");
    const plain = optional ? sectionName.slice(1) : sectionName;
    const def = isText ? undefined : sectionDef(plain);
    const slash = plain.indexOf("/");
    programs.push({
      name, section: plain, sectionIndex: index, start: value / SLOT, insns: decodeInsns(data.subarray(value, value + size)),
      global: bind !== STB_LOCAL, hidden: bind !== STB_LOCAL && (visibility === STV_HIDDEN || visibility === STV_INTERNAL),
      subprogram: isText, def, type: def?.type ?? ProgType.UNSPEC, attachType: def?.attachType ?? 0, flags: def?.flags ?? 0,
      attachTo: def === undefined || slash < 0 || !def.section.endsWith("+") ? undefined : plain.slice(slash + 1), autoload: !optional, relos: [],
    });
  }
  return programs;
}

const needsBtf = (found: Survey, elf: ElfFile): boolean =>
  found.mapsSection >= 0 || found.data.some(({ kind }) => kind === "struct_ops") || elf.symbols.some((symbol) => isExtern(symbol) && symbol.name !== "");

function readBtf(found: Survey, elf: ElfFile): Btf | undefined {
  try {
    return parseBtf(found.btf!.data);
  } catch (error) {
    const { errno, message } = asObjectError(error);
    if (!needsBtf(found, elf)) return undefined;
    throw new BpfObjectError(errno, `Error loading ELF section .BTF: ${errnoText(errno)}. (${message})\nBTF is required, but is missing or corrupted.`);
  }
}

function readBtfExt(section: ElfSection, btf: Btf, notes: string[]): BtfExt | undefined {
  try {
    return parseBtfExt(section.data, btf);
  } catch (error) {
    const { errno, message } = asObjectError(error);
    notes.push(`Error loading ELF section .BTF.ext: ${errnoText(errno)}. Ignored and continue. (${message})`);
    return undefined;
  }
}

const asObjectError = (error: unknown): BpfObjectError => {
  if (error instanceof BpfObjectError) return error;
  throw error;
};

/**
 * What clang leaves open in BTF: sizes of data sections, offsets of global variables in them, and functions that may be taken as static
 * (bpf_object_fixup_btf). `externs` are the data sections that collectExterns has laid out.
 */
function fixBtf(elf: ElfFile, btf: Btf, externs: ReadonlyMap<string, number>): Btf {
  const symbols = new Map(elf.symbols.filter(({ bind, section }) => (bind === STB_GLOBAL || bind === STB_WEAK) && section !== 0).map((symbol) => [symbol.name, symbol]));
  const hidden = (name: string): boolean => {
    const symbol = symbols.get(name);
    return symbol !== undefined && (symbol.visibility === STV_HIDDEN || symbol.visibility === STV_INTERNAL);
  };
  const types = btf.types.map((type, id) => {
    if (type?.kind === BtfKind.FUNC && type.linkage === BTF_GLOBAL && hidden(type.name)) return { ...type, linkage: 0 };
    if (type?.kind !== BtfKind.DATASEC || externs.get(type.name) === id) return type;
    const section = elf.sections.find(({ name }) => name === type.name);
    const size = type.size === 0 ? section?.size ?? 0 : type.size!;
    const vars = type.vars!.map((variable) => {
      const own = btf.type(variable.type)!;
      if (own.kind !== BtfKind.VAR || own.linkage !== BTF_GLOBAL) return variable;
      const symbol = symbols.get(own.name);
      return symbol === undefined ? variable : { ...variable, offset: symbol.value };
    });
    return { ...type, size, vars: vars.sort((a, b) => a.offset - b.offset) };
  });
  return new Btf(types, btf.strings);
}

interface RelosContext {
  readonly elf: ElfFile;
  readonly btf: Btf | undefined;
  readonly maps: readonly ObjectMap[];
  readonly programs: readonly ObjectProgram[];
  readonly externs: readonly ObjectExtern[];
  readonly found: Survey;
  readonly notes: string[];
}

/** bpf_object__collect_relos. */
function collectRelos(context: RelosContext): void {
  for (const section of context.found.relos) {
    if (section.info === context.found.mapsSection) collectMapRelos(context, section);
    else if (context.found.data.some(({ section: { index }, kind }) => kind === "struct_ops" && index === section.info)) continue;
    else collectProgramRelos(context, section);
  }
}

const symbolOf = ({ elf }: RelosContext, relo: ElfRel): ElfSymbol | undefined => elf.symbols[relo.symbol];

/** The program of a section that a slot belongs to (find_prog_by_sec_insn). */
export const programAt = (programs: readonly ObjectProgram[], section: number, slot: number): ObjectProgram | undefined =>
  programs.find((program) => program.sectionIndex === section && slot >= program.start && slot < program.start + program.insns.length);

function collectProgramRelos(context: RelosContext, section: ElfSection): void {
  const { elf, programs, notes } = context;
  const code = elf.sections[section.info]!;
  const fail = (errno: LoadErrno, text: string): never => {
    throw new BpfObjectError(errno, `sec '${section.name}': ${text}`);
  };
  for (const [i, relo] of relsOf(section).entries()) {
    const symbol = symbolOf(context, relo) ?? fail("FORMAT", `symbol #${relo.symbol} not found for relo #${i}`);
    if (symbol.section >= elf.sections.length && symbol.section < SHN_LORESERVE) {
      fail("FORMAT", `corrupted symbol #${relo.symbol} pointing to invalid section #${symbol.section} for relo #${i}`);
    }
    if (relo.offset % SLOT !== 0 || relo.offset >= code.data.length) fail("FORMAT", `invalid offset 0x${relo.offset.toString(16)} for relo #${i}`);
    const slot = relo.offset / SLOT;
    // Static functions and data are named by their section.
    const name = (symbol.type === STT_SECTION && symbol.name === "" ? elf.sections[symbol.section]?.name : symbol.name) ?? "<?>";
    const program = programAt(programs, section.info, slot);
    if (program === undefined) {
      notes.push(`sec '${section.name}': relo #${i}: couldn't find program in section '${code.name}' for insn #${slot}, probably overridden weak function, skipping...`);
      continue;
    }
    (program.relos as ProgramRelo[]).push(programRelo(context, program, slot - program.start, name, symbol));
  }
  for (const program of programs) (program.relos as ProgramRelo[]).sort((a, b) => a.slot - b.slot);
}

/** What one relocated slot refers to (bpf_program__record_reloc). */
function programRelo(context: RelosContext, program: ObjectProgram, slot: number, name: string, symbol: ElfSymbol): ProgramRelo {
  const { elf, maps, externs, found } = context;
  const insn = program.insns[slot]!;
  const isCall = insn.code === (BPF_JMP | BPF_CALL);
  const fail = (text: string): never => {
    throw new BpfObjectError("RELOC", `prog '${program.name}': ${text}`);
  };
  if (!isCall && !(isLddw(insn) && slot + 1 < program.insns.length)) fail(`invalid relo against '${name}' for insns[${slot}].code 0x${insn.code.toString(16)}`);
  if (isExtern(symbol)) {
    const extern = externs.find((candidate) => candidate.symbol === symbol.index)
      ?? fail(`extern relo failed to find extern for '${name}' (${symbol.index})`);
    return { kind: isCall ? "extern-call" : "extern", slot, extern };
  }
  const where = symbol.section;
  if (isCall) {
    if (insn.src !== BPF_PSEUDO_CALL) fail("incorrect bpf_call opcode");
    if (where === 0 || where !== found.textSection) fail(`bad call relo against '${name}' in section '${elf.sections[where]?.name ?? "<?>"}'`);
    if (symbol.value % SLOT !== 0) fail(`bad call relo against '${name}' at offset ${symbol.value}`);
    return { kind: "call", slot, offset: symbol.value };
  }
  if (where === 0 || where >= SHN_LORESERVE) {
    fail(`invalid relo against '${name}' in special section 0x${where.toString(16)}; forgot to initialize global var?..`);
  }
  const isSubprogram = where === found.textSection
    && (symbol.bind === STB_LOCAL ? symbol.type === STT_SECTION : symbol.type === STT_FUNC);
  if (isSubprogram) {
    if (symbol.value % SLOT !== 0 || insn.imm % SLOT !== 0) fail(`bad subprog addr relo against '${name}' at offset ${symbol.value}+${insn.imm}`);
    return { kind: "function", slot, offset: symbol.value };
  }
  const section = elf.sections[where]!;
  const isData = found.data.some(({ section: { index } }) => index === where);
  if (!isData) {
    if (where !== found.mapsSection) fail(`bad map relo against '${name}' in section '${section.name}'`);
    const map = maps.find((candidate) => candidate.kind === "user" && candidate.sectionOffset === symbol.value)
      ?? fail(`map relo failed to find map for section '${section.name}', off ${symbol.value}`);
    return { kind: "map", slot, map };
  }
  const map = maps.find(({ sectionIndex, kind }) => sectionIndex === where && kind !== "struct_ops")
    ?? fail(`data relo failed to find map for section '${section.name}'`);
  return { kind: "data", slot, map, offset: symbol.value };
}

/** Initial values of prog arrays and of maps of maps (bpf_object__collect_map_relos). */
function collectMapRelos(context: RelosContext, section: ElfSection): void {
  const { btf, maps, programs, found } = context;
  const id = btf?.find(".maps", BtfKind.DATASEC) ?? 0;
  if (btf === undefined || id === 0) throw new BpfObjectError("EINVAL", "DATASEC '.maps' not found.");
  const vars = btf.type(id)!.vars!;
  for (const [i, relo] of relsOf(section).entries()) {
    const fail = (errno: LoadErrno, text: string): never => {
      throw new BpfObjectError(errno, `.maps relo #${i}: ${text}`);
    };
    const symbol = symbolOf(context, relo) ?? fail("FORMAT", `symbol ${relo.symbol.toString(16)} not found`);
    const name = symbol.name === "" ? "<?>" : symbol.name;
    const map = maps.find(({ kind, sectionOffset, sectionBytes }) => kind === "user" && sectionOffset <= relo.offset && relo.offset + 8 <= sectionOffset + sectionBytes)
      ?? fail("EINVAL", `cannot find map '${name}' at rel->r_offset ${relo.offset}`);
    const isOuter = map.type === MapType.ARRAY_OF_MAPS || map.type === MapType.HASH_OF_MAPS;
    let target: ObjectMap | ObjectProgram;
    if (isOuter) {
      if (symbol.section !== found.mapsSection) fail("RELOC", `'${name}' isn't a BTF-defined map`);
      if (map.type === MapType.HASH_OF_MAPS && map.keySize !== 4) fail("EINVAL", `hash-of-maps '${map.name}' should have key size 4.`);
      target = maps.find((candidate) => candidate.name === name) ?? fail("ESRCH", `'${name}' isn't a valid map reference`);
    } else if (map.type === MapType.PROG_ARRAY) {
      const program = programs.find((candidate) => candidate.name === name) ?? fail("ESRCH", `'${name}' isn't a valid program reference`);
      if (program.sectionIndex !== symbol.section || program.start * SLOT !== symbol.value || program.subprogram) {
        fail("RELOC", `'${name}' isn't an entry-point program`);
      }
      target = program;
    } else return fail("EINVAL", `map '${map.name}' takes no initial values`);
    const variable = vars.map(({ type }) => btf.type(type)!).find((candidate) => candidate.name === map.name);
    const values = variable === undefined ? undefined : btf.resolved(variable.type!)?.members?.at(-1);
    if (values?.name !== "values") return fail("EINVAL", `map '${map.name}' has no 'values' at its end`);
    const offset = relo.offset - map.sectionOffset - values.offset / 8;
    if (offset < 0 || offset % 8 !== 0) fail("EINVAL", `no value of map '${map.name}' is at rel->r_offset ${relo.offset}`);
    map.slots.set(offset / 8, target);
  }
}

/** Whether a variable of BTF stands for something defined elsewhere. */
export const isExternVar = (linkage: number | undefined): boolean => linkage === BTF_EXTERN;
