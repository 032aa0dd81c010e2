// What one verification knows and where it stands: struct bpf_verifier_env. Functions of the other files take it as
// their first argument; they end the verification by throwing a Reject.

import type { Insn } from "../insn.ts";
import { Log, stateString, vlogAlignment } from "./log.ts";
import { printInsn } from "./disasm.ts";
import type { RegState } from "./reg.ts";
import type { HistoryEntry, LinkedReg, VerifierState } from "./state.ts";
import type { AccessKind, BtfType, Errno, MapSpec, ProgramSpec, SlotAux, VerifyOptions } from "./types.ts";
import { INSN_F_STACK_ACCESS } from "./state.ts";
import type { StackLiveness } from "./liveness.ts";

/** Ends a verification: what BPF_PROG_LOAD fails with. The reason is in the log already. */
export class Reject {
  readonly errno: Errno;
  constructor(errno: Errno) {
    this.errno = errno;
  }
}

/** What an argument of a BTF-described subprogram is: bpf_subprog_arg_info. */
export interface SubprogArg {
  readonly kind: "anything" | "ctx" | "mem" | "dynptr" | "arena" | "btf";
  readonly size: number;
  readonly nullable: boolean;
  readonly trusted?: boolean;
  readonly untrusted?: boolean;
  readonly btfType?: BtfType;
}

/** A subprogram: bpf_subprog_info. */
export interface Subprog {
  start: number;
  /** First slot behind it. */
  end: number;
  name: string;
  stackDepth: number;
  isGlobal: boolean;
  isCallback: boolean;
  isAsyncCallback: boolean;
  isExceptionCallback: boolean;
  hasTailCall: boolean;
  tailCallReachable: boolean;
  hasLdAbs: boolean;
  changesPktData: boolean;
  mightSleep: boolean;
  /** Called on some path. */
  called: boolean;
  funcType: BtfType | null;
  funcProto: BtfType | null;
  /** "static", "global" or "" (no BTF). */
  unreliable: boolean;
  args: readonly SubprogArg[] | null;
  postorderStart: number;
  postorderEnd: number;
}

/** Facts of one slot: bpf_insn_aux_data. */
export interface InsnAux {
  prunePoint: boolean;
  jmpPoint: boolean;
  forceCheckpoint: boolean;
  callsCallback: boolean;
  seen: boolean;
  /** Strongly connected component, 0 for none. */
  scc: number;
  /** Registers read later, before this slot: bit per register. */
  liveRegs: number;
  /** Type of the pointer of an access or of an `lddw`; -1 before the first walk. */
  ptrType: number;
  access: AccessKind | null;
  map: MapSpec | null;
  mapPoison: boolean;
  constKey: bigint | null;
  keyPoison: boolean;
  jumpTaken: boolean;
  jumpFell: boolean;
  loopFlagsZero: boolean;
  loopCallback: number;
  loopFits: boolean;
}

/** An explored state: bpf_verifier_state_list. */
export interface StateListEntry {
  readonly state: VerifierState;
  hits: number;
  misses: number;
}

/** A path to be walked later. */
export interface PendingPath {
  readonly state: VerifierState;
  readonly insnIdx: number;
  readonly prevInsnIdx: number;
  readonly logPosition: number;
}

/** A visit to a strongly connected component from one call chain: bpf_scc_visit. */
export interface SccVisit {
  entry: VerifierState | null;
  backedges: VerifierState[];
}

export class Env {
  readonly spec: ProgramSpec;
  readonly options: VerifyOptions;
  readonly insns: readonly Insn[];
  readonly log: Log;
  readonly insnLimit: number;

  readonly allowPtrLeaks: boolean;
  readonly allowUninitStack: boolean;
  readonly bypassSpecV1: boolean;
  readonly bypassSpecV4: boolean;
  readonly strictAlignment: boolean;
  readonly testStateFreq: boolean;
  readonly sleepable: boolean;

  subprogs: Subprog[] = [];
  readonly aux: InsnAux[];
  readonly slots: SlotAux[];
  postorder: number[] = [];
  liveness!: StackLiveness;

  cur!: VerifierState;
  insnIdx = 0;
  prevInsnIdx = -1;
  readonly pending: PendingPath[] = [];
  readonly explored: (StateListEntry[] | undefined)[];
  readonly sccVisits = new Map<string, SccVisit>();

  insnProcessed = 0;
  jmpsProcessed = 0;
  prevInsnProcessed = 0;
  prevJmpsProcessed = 0;
  maxStatesPerInsn = 0;
  totalStates = 0;
  peakStates = 0;
  exploredSize = 0;
  longestMarkRead = 0;
  idGen = 0;

  curHist: HistoryEntry | null = null;
  scratchedRegs = 0;
  readonly scratchedSlots = new Set<number>();
  prevLogPos = 0;
  prevInsnPrintLen = 0;
  prevLine = "";

  /** Direct packet access was used; seen_direct_write. */
  directWrite = false;
  changesPacket = false;
  ctxRead = 0n;
  ctxWritten = 0n;
  maxCtxOffset = 0;
  maxPktOffset = 0;
  exceptionCallback = -1;

  constructor(spec: ProgramSpec, options: VerifyOptions) {
    this.spec = spec;
    this.options = options;
    this.insns = spec.insns;
    this.log = new Log(options.logLevel ?? 0);
    this.insnLimit = options.insnLimit ?? 1_000_000;
    const all = spec.caps !== "bpf";
    this.allowPtrLeaks = all;
    this.allowUninitStack = all;
    this.bypassSpecV1 = all;
    this.bypassSpecV4 = all;
    const flags = spec.flags ?? 0;
    this.strictAlignment = (flags & 1) !== 0;
    this.testStateFreq = (flags & 8) !== 0;
    this.sleepable = (flags & 16) !== 0;
    this.explored = new Array(spec.insns.length);
    this.aux = new Array(spec.insns.length);
    this.slots = new Array(spec.insns.length);
    for (let i = 0; i < spec.insns.length; i++) {
      this.slots[i] = { seen: false };
      this.aux[i] = {
        prunePoint: false, jmpPoint: false, forceCheckpoint: false, callsCallback: false, seen: false, scc: 0,
        liveRegs: 0, ptrType: -1, access: null, map: null, mapPoison: false, constKey: null, keyPoison: false,
        jumpTaken: false, jumpFell: false, loopFlagsZero: true, loopCallback: -1, loopFits: true,
      };
    }
  }

  /** A line of the log: verbose(). */
  verbose(text: string): void {
    this.log.write(text);
  }

  /** Writes the reason and ends the verification. */
  reject(errno: Errno, reason: string): never {
    this.log.write(reason === "" ? "" : reason + "\n");
    throw new Reject(errno);
  }

  /** verifier_bug: the kernel warns of itself, the program is refused with -EFAULT. */
  bug(text: string): never {
    this.log.write(`verifier bug: ${text}\n`);
    throw new Reject("EFAULT");
  }

  get regs(): RegState[] {
    return this.cur.frames[this.cur.curframe]!.regs;
  }

  reg(index: number): RegState {
    return this.cur.frames[this.cur.curframe]!.regs[index]!;
  }

  newId(): number {
    return ++this.idGen;
  }

  markRegScratched(index: number): void {
    this.scratchedRegs |= 1 << index;
  }

  markSlotScratched(spi: number): void {
    if (this.log.level > 0) this.scratchedSlots.add(spi);
  }

  scratchEverything(): void {
    this.scratchedRegs = 0x7ff;
    if (this.log.level > 0) for (let spi = 0; spi < 64; spi++) this.scratchedSlots.add(spi);
  }

  clearScratched(): void {
    this.scratchedRegs = 0;
    if (this.scratchedSlots.size > 0) this.scratchedSlots.clear();
  }

  /** print_verifier_state: `all` prints every register, else those that changed since the last time. */
  printState(state: VerifierState, frameno: number, all: boolean): void {
    this.log.write(`${stateString(state, frameno, all ? null : this.scratchedRegs, all ? null : this.scratchedSlots)}\n`);
    if (!all) this.clearScratched();
  }

  /** print_insn_state: behind the instruction just printed, or on a line of its own. */
  printInsnState(state: VerifierState, frameno: number): void {
    if (this.prevLogPos !== 0 && this.prevLogPos === this.log.length) {
      this.log.reset(this.prevLogPos - 1);
      this.log.write(" ".repeat(vlogAlignment(this.prevInsnPrintLen)) + ";");
    } else {
      this.log.write(`${this.insnIdx}:`);
    }
    this.printState(state, frameno, false);
  }

  /** verbose_linfo: the source line of a slot, when it is another than the last one printed. */
  printLine(slot: number, prefix: string): void {
    const info = this.spec.lineInfo;
    if (info === undefined || info.length === 0) return;
    let low = 0;
    let high = info.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (info[middle]!.slot <= slot) low = middle;
      else high = middle - 1;
    }
    const found = info[low]!;
    if (found.slot > slot) return;
    const key = `${found.file ?? ""}:${found.number ?? 0}:${found.line}`;
    if (key === this.prevLine) return;
    this.prevLine = key;
    const file = found.file === undefined ? "" : found.file.slice(found.file.lastIndexOf("/") + 1);
    this.log.write(`${prefix}${found.line.trimStart()}${file === "" ? "" : ` @ ${file}:${found.number ?? 0}`}\n`);
  }

  insnText(slot: number): string {
    return printInsn(this.insns[slot]!, this.insns[slot + 1]);
  }

  /** push_jmp_history: remembers the current step; a second call for it adds to the first. */
  recordHistory(state: VerifierState, stack: { flags: number; frameno: number; spi: number } | null, linked: readonly LinkedReg[] | null): void {
    const entry = this.curHist;
    if (entry !== null) {
      if (stack !== null) {
        if ((entry.flags & INSN_F_STACK_ACCESS) !== 0 && (stack.flags & INSN_F_STACK_ACCESS) !== 0) {
          if (entry.frameno !== stack.frameno || entry.spi !== stack.spi) this.bug("insn history: other stack slot");
        }
        entry.flags |= stack.flags;
        if ((stack.flags & INSN_F_STACK_ACCESS) !== 0) {
          entry.frameno = stack.frameno;
          entry.spi = stack.spi;
        }
      }
      if (linked !== null) entry.linked = linked;
      return;
    }
    this.curHist = {
      idx: this.insnIdx, prevIdx: this.prevInsnIdx, flags: stack?.flags ?? 0, frameno: stack?.frameno ?? 0,
      spi: stack?.spi ?? 0, linked,
    };
    state.history.push(this.curHist);
  }

  /** Subprogram that starts at `slot`: find_subprog; -1 when none does. */
  findSubprog(slot: number): number {
    let low = 0;
    let high = this.subprogs.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const start = this.subprogs[middle]!.start;
      if (start === slot) return middle;
      if (start < slot) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  /** Subprogram that `slot` belongs to: find_containing_subprog. */
  containingSubprog(slot: number): number {
    let low = 0;
    let high = this.subprogs.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.subprogs[middle]!.start <= slot) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Notes the kind of an access for the JIT; "mixed" when paths differ. */
  noteAccess(slot: number, kind: AccessKind): void {
    const aux = this.aux[slot]!;
    aux.access = aux.access === null || aux.access === kind ? kind : "mixed";
  }
}
