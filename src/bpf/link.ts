/**
 * From an opened object to whole programs: CO-RE relocations applied, called subprograms of `.text` appended once per entry point, calls made
 * relative, references to maps, kernel symbols and kernel functions collected. Follows tools/lib/bpf/libbpf.c, bpf_object__relocate.
 */
import type { BtfExt } from "./btf-ext.ts";
import { BtfKind, type Btf } from "./btf.ts";
import { relocateCore, typesCompatible } from "./btf-relocate.ts";
import { BpfObjectError, type LoadErrno } from "./errors.ts";
import type { KernelFacts, KsymExtern } from "./externs.ts";
import {
  BPF_CALL, BPF_JMP, BPF_PSEUDO_BTF_ID, BPF_PSEUDO_CALL, BPF_PSEUDO_FUNC, BPF_PSEUDO_KFUNC_CALL, BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE, isLddw, type Insn,
} from "./insn.ts";
import { programAt, type BpfObject, type ObjectMap, type ObjectProgram, type ProgramRelo } from "./object.ts";
import { Kfunc } from "./uapi.ts";
import type { FuncInfo, LineInfo } from "./verifier/types.ts";

/** A variable of the kernel that programs may take the address of. */
export interface KernelSymbol {
  readonly address: number;
  /** Bytes, and its structure's name when it has one. */
  readonly size: number;
  readonly struct?: string;
  readonly percpu?: boolean;
}

/** What programs are relocated against. */
export interface LinkTarget extends KernelFacts {
  readonly btf: Btf;
  readonly symbol?: (name: string) => KernelSymbol | undefined;
}

export interface MapReference {
  readonly map: ObjectMap;
  /** The map itself, or an address in its (only) value. */
  readonly value: boolean;
  readonly addend: number;
}

/** A program as it goes to the verifier, but for numbers that only the kernel knows. Slots count from the program's start. */
export interface LinkedProgram {
  readonly program: ObjectProgram;
  readonly insns: readonly Insn[];
  /** By first slot of the `lddw`. */
  readonly maps: ReadonlyMap<number, MapReference>;
  readonly symbols: ReadonlyMap<number, KernelSymbol>;
  /** Entry point first. */
  readonly functions: readonly { readonly name: string; readonly slot: number }[];
  readonly funcInfo: readonly FuncInfo[];
  readonly lineInfo: readonly (LineInfo & { readonly column: number })[];
}

/** Number of a helper that stands for a call of a weak kernel function that is not there. */
export const POISON_KFUNC = 2002000000;
/** Of a reference to map number n that was not created: POISON_MAP + n. */
export const POISON_MAP = 2001000000;

const MAX_SLOTS = 1_000_000;

/** Links all programs that are to be loaded. Throws BpfObjectError. */
export function linkObject(object: BpfObject, target: LinkTarget): LinkedProgram[] {
  const resolved = resolveKsyms(object, target);
  const code = new Map(object.programs.map((program) => [program, program.insns.map((insn) => ({ ...insn }))]));
  if (object.btf !== undefined && object.btfExt !== undefined) relocateObject(object, object.btf, object.btfExt, target.btf, code);
  return object.programs
    .filter(({ subprogram, autoload }) => !subprogram && autoload)
    .map((program) => new Linker(object, code, resolved).link(program));
}

const fail = (errno: LoadErrno, message: string): never => {
  throw new BpfObjectError(errno, message);
};

/** bpf_object__relocate_core. */
function relocateObject(object: BpfObject, local: Btf, ext: BtfExt, target: Btf, code: ReadonlyMap<ObjectProgram, Insn[]>): void {
  for (const [sectionName, relos] of ext.coreRelos) {
    const section = object.sections.find(({ name }) => name === sectionName);
    if (section === undefined) fail("FORMAT", `sec '${sectionName}': failed to find section for CO-RE relocations`);
    for (const [index, relo] of relos.entries()) {
      const program = programAt(object.programs, section!.index, relo.slot);
      // Of an overridden weak function.
      if (program === undefined || !program.autoload) continue;
      relocateCore({ program: program.name, local, target }, relo, index, code.get(program)!, relo.slot - program.start);
    }
  }
}

type Resolved =
  | { readonly kind: "none" } | { readonly kind: "function"; readonly id: number } | { readonly kind: "symbol"; readonly symbol: KernelSymbol; readonly typed: boolean };

/** bpf_object__resolve_ksyms_btf_id, and kallsyms for those without a type. */
function resolveKsyms(object: BpfObject, target: LinkTarget): Map<KsymExtern, Resolved> {
  const resolved = new Map<KsymExtern, Resolved>();
  for (const extern of object.externs) {
    if (extern.kind !== "ksym") continue;
    resolved.set(extern, extern.isFunction ? kernelFunction(object, extern, target) : kernelVariable(object, extern, target));
  }
  return resolved;
}

function kernelFunction(object: BpfObject, extern: KsymExtern, target: LinkTarget): Resolved {
  const { essentialName, name, weak } = extern;
  const id = Object.hasOwn(Kfunc, essentialName) ? Kfunc[essentialName as keyof typeof Kfunc] : undefined;
  if (id === undefined) {
    return weak ? { kind: "none" } : fail("ESRCH", `extern (func ksym) '${name}': not found in kernel or module BTFs`);
  }
  const known = target.btf.find(essentialName, BtfKind.FUNC);
  const proto = target.btf.type(known)?.type ?? 0;
  if (known !== 0 && !compatible(object.btf!, extern.type, target.btf, proto)) {
    return weak ? { kind: "none" } : fail("EINVAL", `extern (func ksym) '${name}': func_proto [${extern.type}] incompatible with vmlinux [${proto}]`);
  }
  return { kind: "function", id };
}

/** Whether two prototypes are; circular ones are not. */
function compatible(local: Btf, localId: number, target: Btf, targetId: number): boolean {
  try {
    return typesCompatible(local, localId, target, targetId, 32);
  } catch {
    return false;
  }
}

function kernelVariable(object: BpfObject, extern: KsymExtern, target: LinkTarget): Resolved {
  const { name, weak } = extern;
  const typed = extern.type !== 0 && object.btf!.type(extern.type) !== undefined;
  const symbol = target.symbol?.(name);
  if (symbol !== undefined) return { kind: "symbol", symbol, typed };
  if (weak) return { kind: "none" };
  return fail("ESRCH", typed ? `extern (var ksym) '${name}': not found in kernel BTF` : `extern (strong ksym) '${name}': not resolved`);
}

/** Puts one entry point together. */
class Linker {
  readonly #object: BpfObject;
  readonly #code: ReadonlyMap<ObjectProgram, readonly Insn[]>;
  readonly #resolved: ReadonlyMap<KsymExtern, Resolved>;
  readonly #insns: Insn[] = [];
  readonly #starts = new Map<ObjectProgram, number>();
  readonly #maps = new Map<number, MapReference>();
  readonly #symbols = new Map<number, KernelSymbol>();
  #main = "";

  constructor(object: BpfObject, code: ReadonlyMap<ObjectProgram, readonly Insn[]>, resolved: ReadonlyMap<KsymExtern, Resolved>) {
    this.#object = object;
    this.#code = code;
    this.#resolved = resolved;
  }

  link(program: ObjectProgram): LinkedProgram {
    this.#main = program.name;
    this.#append(program);
    // Functions are appended, and their calls followed, in the order in which calls meet them: depth first.
    this.#relocateCalls(program);
    const functions = [...this.#starts].map(([{ name }, slot]) => ({ name, slot }));
    return { program, insns: this.#insns, maps: this.#maps, symbols: this.#symbols, functions, ...this.#debugInfo() };
  }

  #append(program: ObjectProgram): void {
    const start = this.#insns.length;
    const code = this.#code.get(program)!;
    if (start + code.length > MAX_SLOTS) fail("E2BIG", `prog '${this.#main}': more than ${MAX_SLOTS} instructions with its subprograms`);
    this.#starts.set(program, start);
    for (const insn of code) this.#insns.push({ ...insn });
    for (const relo of program.relos) this.#relocateData(program, relo, start + relo.slot);
  }

  /** bpf_object__reloc_code. */
  #relocateCalls(main: ObjectProgram): void {
    const work: { readonly program: ObjectProgram; slot: number }[] = [{ program: main, slot: 0 }];
    const relos = new Map<ObjectProgram, ReadonlyMap<number, ProgramRelo>>();
    const relosOf = (program: ObjectProgram): ReadonlyMap<number, ProgramRelo> => {
      let found = relos.get(program);
      if (found === undefined) {
        found = new Map(program.relos.map((relo) => [relo.slot, relo]));
        relos.set(program, found);
      }
      return found;
    };
    while (work.length > 0) {
      const at = work.at(-1)!;
      const { program } = at;
      if (at.slot >= program.insns.length) {
        work.pop();
        continue;
      }
      const own = at.slot++;
      const here = this.#starts.get(program)! + own;
      const insn = this.#insns[here]!;
      const relo = relosOf(program).get(own);
      const isCall = insn.code === (BPF_JMP | BPF_CALL) && insn.src === BPF_PSEUDO_CALL;
      const isFunction = isLddw(insn) && insn.src === BPF_PSEUDO_FUNC;
      if (!isCall && !isFunction) {
        if (isLddw(insn)) at.slot++;
        continue;
      }
      if (relo?.kind === "extern-call") continue;
      const target = this.#calledSlot(program, own, insn, relo, isFunction);
      const called = programAt(this.#object.programs, this.#object.textSection, target);
      if (called === undefined || this.#object.textSection === 0) {
        return fail("RELOC", `prog '${program.name}': no .text section found yet sub-program call exists\nprog '${this.#main}': failed to relocate calls: Relocation failed`);
      }
      if (!this.#starts.has(called)) {
        this.#append(called);
        work.push({ program: called, slot: 0 });
      }
      // Both are relative to the slot itself until the kernel has the program.
      insn.imm = this.#starts.get(called)! - here - 1;
    }
  }

  #calledSlot(program: ObjectProgram, own: number, insn: Insn, relo: ProgramRelo | undefined, isFunction: boolean): number {
    if (relo !== undefined && relo.kind !== "call" && relo.kind !== "function") {
      fail("RELOC", `prog '${program.name}': unexpected relo for insn #${own}, type ${relo.kind}`);
    }
    if (relo?.kind === "call") return relo.offset / 8 + insn.imm + 1;
    if (relo?.kind === "function") return (relo.offset + insn.imm) / 8;
    if (isFunction) return fail("RELOC", `prog '${program.name}': missing subprog addr relo for insn #${own}`);
    return program.start + own + insn.imm + 1;
  }

  /** bpf_object__relocate_data. */
  #relocateData(program: ObjectProgram, relo: ProgramRelo, slot: number): void {
    const insn = this.#insns[slot]!;
    const second = this.#insns[slot + 1];
    switch (relo.kind) {
      case "map":
        if (relo.map.autocreate) {
          insn.src = BPF_PSEUDO_MAP_FD;
          this.#maps.set(slot, { map: relo.map, value: false, addend: 0 });
        } else this.#poison(slot, POISON_MAP + this.#object.maps.indexOf(relo.map));
        break;
      case "data":
        insn.src = BPF_PSEUDO_MAP_VALUE;
        this.#maps.set(slot, { map: relo.map, value: true, addend: insn.imm + relo.offset });
        second!.imm = insn.imm + relo.offset;
        break;
      case "function":
        insn.src = BPF_PSEUDO_FUNC;
        break;
      case "extern": {
        const { extern } = relo;
        if (extern.kind === "kconfig") {
          insn.src = BPF_PSEUDO_MAP_VALUE;
          this.#maps.set(slot, { map: this.#object.maps.find(({ kind }) => kind === "kconfig")!, value: true, addend: extern.offset });
          second!.imm = extern.offset;
          break;
        }
        const resolved = this.#resolved.get(extern)!;
        const address = resolved.kind === "symbol" ? resolved.symbol.address : 0;
        if (resolved.kind === "symbol" && resolved.typed) {
          insn.src = BPF_PSEUDO_BTF_ID;
          this.#symbols.set(slot, resolved.symbol);
        }
        insn.imm = address | 0;
        second!.imm = Math.floor(address / 0x1_0000_0000);
        break;
      }
      case "extern-call": {
        const { extern } = relo;
        const resolved = extern.kind === "ksym" ? this.#resolved.get(extern) : undefined;
        insn.src = BPF_PSEUDO_KFUNC_CALL;
        insn.off = 0;
        if (resolved?.kind === "function") insn.imm = resolved.id;
        else if (extern.weak) this.#poisonCall(insn, POISON_KFUNC + this.#object.externs.indexOf(extern));
        else fail("RELOC", `prog '${program.name}': relo #${relo.slot}: bad relo against '${extern.name}'`);
        break;
      }
      case "call":
        break;
    }
  }

  #poison(slot: number, helper: number): void {
    for (const at of [slot, slot + 1]) this.#poisonCall(this.#insns[at]!, helper);
  }

  #poisonCall(insn: Insn, helper: number): void {
    Object.assign(insn, { code: BPF_JMP | BPF_CALL, dst: 0, src: 0, off: 0, imm: helper });
  }

  #debugInfo(): Pick<LinkedProgram, "funcInfo" | "lineInfo"> {
    const { btfExt } = this.#object;
    const funcInfo: FuncInfo[] = [];
    const lineInfo: (LineInfo & { readonly column: number })[] = [];
    if (btfExt === undefined) return { funcInfo, lineInfo };
    for (const [program, start] of this.#starts) {
      const section = this.#object.sections[program.sectionIndex]!.name;
      const end = program.start + program.insns.length;
      const own = <T extends { readonly slot: number }>(list: readonly T[] | undefined): T[] =>
        (list ?? []).filter(({ slot }) => slot >= program.start && slot < end);
      for (const { slot, type } of own(btfExt.funcInfo.get(section))) funcInfo.push({ slot: slot - program.start + start, type });
      for (const info of own(btfExt.lineInfo.get(section))) {
        lineInfo.push({ slot: info.slot - program.start + start, line: info.line, file: info.file, number: info.number, column: info.column });
      }
    }
    return { funcInfo, lineInfo };
  }
}
