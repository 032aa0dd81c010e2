/**
 * eBPF programs of one node: load, run, free. Programs come with their `lddw` resolved to numbers (src/bpf/load.ts does that); maps are
 * bpf-maps.ts', attachments bpf-attach.ts'.
 */
import {
  BPF_AREA_READONLY, BPF_BAD_END, BPF_BAD_FRAME_POINTER, BPF_BAD_HELPER, BPF_BAD_JUMP, BPF_BAD_KFUNC, BPF_BAD_LDDW, BPF_BAD_MAP, BPF_BAD_OPCODE,
  BPF_BAD_REGISTER, BPF_BAD_RESERVED, BPF_FAULT_ARGUMENT, BPF_FAULT_CALL, BPF_FAULT_DEPTH, BPF_FAULT_FUEL, BPF_FAULT_NONE, BPF_FAULT_READ,
  BPF_FAULT_WRITE, BPF_INFO_ATTACH_TYPE, BPF_INFO_FAULTS, BPF_INFO_ID, BPF_INFO_JITED, BPF_INFO_MISSES, BPF_INFO_NAME,
  BPF_INFO_REFERENCES, BPF_INFO_RUNS, BPF_INFO_SLOTS, BPF_INFO_TAG, BPF_INFO_TYPE, BPF_LOAD_AREAS, BPF_LOAD_ATTACH_TYPE, BPF_LOAD_BYTES,
  BPF_LOAD_CTX_READ, BPF_LOAD_CTX_WRITTEN, BPF_LOAD_FLAGS, BPF_LOAD_F_FRAGS, BPF_LOAD_F_GPL, BPF_LOAD_F_SLEEPABLE, BPF_LOAD_F_SLOT_FLAGS,
  BPF_LOAD_F_VERIFIED, BPF_LOAD_MAPS, BPF_LOAD_NAME, BPF_LOAD_SLOTS, BPF_LOAD_TAG, BPF_LOAD_TYPE, BPF_OUTCOME_ADDRESS, BPF_OUTCOME_BYTES,
  BPF_OUTCOME_CTX_LENGTH, BPF_OUTCOME_DATA_LENGTH, BPF_OUTCOME_FAULT, BPF_OUTCOME_FUEL, BPF_OUTCOME_HELPER, BPF_OUTCOME_R0, BPF_OUTCOME_SIZE, BPF_OUTCOME_SLOT, BPF_PROG_FREE,
  BPF_PROG_INFO, BPF_PROG_JIT, BPF_PROG_LOAD, BPF_PROG_RUN, BPF_PROG_TEST_RUN, BPF_TEST_BATCH, BPF_TEST_BYTES, BPF_TEST_CPU, BPF_TEST_CTX_LENGTH,
  BPF_TEST_DATA_LENGTH, BPF_TEST_FLAGS, BPF_TEST_F_UPLOAD, BPF_TEST_NETNS, BPF_TEST_PROGRAM, BPF_TEST_REPEAT,
} from "../../assembly/abi/bpf.ts";
import { EINVAL, MAILBOX_BYTES } from "../../assembly/abi/core.ts";
import type { NodeContext } from "./context.ts";
import { kernelOf } from "./namespace.ts";
import { KernelError, type Netns } from "./netns.ts";

/** A program as the kernel takes it. */
export interface BpfProgramSpec {
  /** At most 15 bytes of ASCII count. */
  readonly name?: string;
  /** BPF_PROG_TYPE_* and BPF_* attach type of uapi/linux/bpf.h. */
  readonly type: number;
  readonly attachType?: number;
  /** Slots of 8 bytes: maps and values are addresses, subprograms slot numbers, helpers and kfuncs their ids. */
  readonly program: Uint8Array;
  /** The verifier accepted it: memory is not checked again. */
  readonly verified?: boolean;
  readonly gpl?: boolean;
  readonly sleepable?: boolean;
  readonly frags?: boolean;
  /** BPF_SLOT_* by slot. */
  readonly slotFlags?: Uint8Array;
  /** Words of the context that it reads and writes, bit n for word n; all when absent. */
  readonly ctxRead?: bigint;
  readonly ctxWritten?: bigint;
  /** First eight bytes of the program's SHA-1, as `bpf_prog_info.tag`. */
  readonly tag?: bigint;
  /** Addresses of the maps it names. */
  readonly maps?: readonly number[];
  /** Memory that it names by address: values of arrays. */
  readonly areas?: readonly { readonly address: number; readonly bytes: number; readonly readonly?: boolean }[];
}

export type BpfFaultReason = "read" | "write" | "fuel" | "depth" | "argument" | "call";

/** Why a run ended early: -EFAULT to whoever asked for it. */
export interface BpfFault {
  readonly reason: BpfFaultReason;
  readonly slot: number;
  /** What it wanted to touch. */
  readonly address: bigint;
  readonly size: number;
  /** The helper that was running, 0: none. */
  readonly helper: number;
  /** All of it in words. */
  readonly message: string;
}

export interface BpfOutcome {
  readonly r0: bigint;
  readonly fault?: BpfFault;
  /** The memory afterwards. */
  readonly memory: Uint8Array<ArrayBuffer>;
  /** Instructions it might still have run; counted for unverified programs. */
  readonly fuelLeft: bigint;
}

/** Arguments of BPF_PROG_TEST_RUN. */
export interface BpfTestRunOptions {
  /** A packet from its Ethernet header on, or whatever else the type takes. */
  readonly dataIn?: Uint8Array;
  /** The uapi structure of the type's context. */
  readonly ctxIn?: Uint8Array;
  readonly repeat?: number;
  /** BPF_F_TEST_* */
  readonly flags?: number;
  readonly cpu?: number;
  readonly batch?: number;
  /** Default: the host's. */
  readonly netns?: Netns;
}

export interface BpfTestRunResult {
  /** r0's lower half, 0 after a fault. */
  readonly retval: number;
  readonly dataOut: Uint8Array<ArrayBuffer>;
  readonly ctxOut: Uint8Array<ArrayBuffer>;
  /** Virtual time that a run took. */
  readonly durationNs: number;
  readonly fault?: BpfFault;
}

export interface BpfProgramInfo {
  readonly id: number;
  readonly type: number;
  readonly attachType: number;
  readonly tag: bigint;
  readonly name: string;
  readonly slots: number;
  readonly jited: boolean;
  readonly runCount: bigint;
  readonly recursionMisses: bigint;
  readonly faults: bigint;
  readonly references: number;
}

export interface BpfProgram {
  readonly handle: number;
  readonly id: number;
  /** Where the kernel keeps it. */
  readonly address: number;
  readonly name: string;
  readonly type: number;
  info(): BpfProgramInfo;
  /** Runs with r1 = `memory` (0 when it is empty), r2 = its length. Throws KernelError for what is not the program's fault. */
  run(memory: Uint8Array, options?: { readonly repeat?: number; readonly fuel?: bigint }): BpfOutcome;
  /** BPF_PROG_TEST_RUN (net/bpf/test_run.c). Throws KernelError with the errno where that refuses. */
  testRun(options?: BpfTestRunOptions): BpfTestRunResult;
  /** Tells the kernel which functions of the instance's table are this program's compiled code: `main` 0 goes back to interpreting. */
  setCompiled(main: number, callbacks: readonly { readonly slot: number; readonly index: number }[]): void;
  /** Attachments and prog arrays that hold it keep it alive. */
  free(): void;
}

export interface BpfPrograms {
  /** Throws KernelError EINVAL naming slot and reason, E2BIG, ENOMEM. */
  load(spec: BpfProgramSpec): BpfProgram;
}

const BAD: Readonly<Record<number, (detail: number) => string>> = {
  [BPF_BAD_OPCODE]: (code) => `unknown opcode ${hex(code, 2)}`,
  [BPF_BAD_REGISTER]: (register) => `R${register} is invalid`,
  [BPF_BAD_RESERVED]: () => "uses reserved fields",
  [BPF_BAD_JUMP]: (to) => `jump out of range to ${to | 0}`,
  [BPF_BAD_LDDW]: () => "invalid bpf_ld_imm64 insn",
  [BPF_BAD_END]: () => "last insn is not an exit or jmp",
  [BPF_BAD_HELPER]: (id) => `invalid func unknown#${id | 0}`,
  [BPF_BAD_KFUNC]: (id) => `invalid kfunc call unknown#${id | 0}`,
  [BPF_BAD_FRAME_POINTER]: () => "frame pointer is read only",
  [BPF_BAD_MAP]: (at) => `map ${at} does not exist`,
};

const REASONS: Readonly<Record<number, BpfFaultReason>> = {
  [BPF_FAULT_READ]: "read", [BPF_FAULT_WRITE]: "write", [BPF_FAULT_FUEL]: "fuel", [BPF_FAULT_DEPTH]: "depth", [BPF_FAULT_ARGUMENT]: "argument",
  [BPF_FAULT_CALL]: "call",
};

const hex = (value: number | bigint, digits: number): string => `0x${value.toString(16).padStart(digits, "0")}`;

const faultText = (reason: BpfFaultReason, slot: number, address: bigint, size: number, helper: number): string => {
  const where = `insn ${slot}: `;
  switch (reason) {
    case "read": return `${where}invalid read of ${size} bytes at ${hex(address, 1)}`;
    case "write": return `${where}invalid write of ${size} bytes at ${hex(address, 1)}`;
    case "argument": return `${where}helper ${helper}: invalid access of ${size} bytes at ${hex(address, 1)}`;
    case "fuel": return `${where}too many instructions`;
    case "depth": return `${where}call stack too deep`;
    case "call": return `${where}callx: no function ${address}`;
  }
};

const ASCII_NAME = 15;
const NOTHING = new Uint8Array(0);

/** The programs of a node. */
export function createBpfPrograms(context: NodeContext): BpfPrograms {
  return { load: (spec) => load(context, spec) };
}

function load(context: NodeContext, spec: BpfProgramSpec): BpfProgram {
  const { program, slotFlags, maps = [], areas = [], name = "" } = spec;
  const { instance } = context;
  const count = program.length / 8;
  if (!Number.isInteger(count)) throw new KernelError("EINVAL", `program of ${program.length} bytes: not a whole number of instructions`);
  const bytes = BPF_LOAD_BYTES + maps.length * 4 + areas.length * 8;
  if (bytes > MAILBOX_BYTES) throw new KernelError("E2BIG", "program names too many maps");
  if (slotFlags === undefined) instance.upload(program);
  else {
    const both = new Uint8Array(count * 9);
    both.set(program);
    both.set(slotFlags.subarray(0, count), program.length);
    instance.upload(both);
  }
  const { u8, view } = instance;
  u8.fill(0, 0, bytes);
  view.setUint32(BPF_LOAD_TYPE, spec.type, true);
  view.setUint32(BPF_LOAD_ATTACH_TYPE, spec.attachType ?? 0, true);
  view.setUint32(BPF_LOAD_FLAGS, (spec.verified ? BPF_LOAD_F_VERIFIED : 0) | (slotFlags === undefined ? 0 : BPF_LOAD_F_SLOT_FLAGS)
    | (spec.gpl ? BPF_LOAD_F_GPL : 0) | (spec.sleepable ? BPF_LOAD_F_SLEEPABLE : 0) | (spec.frags ? BPF_LOAD_F_FRAGS : 0), true);
  view.setUint32(BPF_LOAD_SLOTS, count, true);
  view.setBigUint64(BPF_LOAD_CTX_READ, spec.ctxRead ?? 0xffffffffffffffffn, true);
  view.setBigUint64(BPF_LOAD_CTX_WRITTEN, spec.ctxWritten ?? 0xffffffffffffffffn, true);
  view.setBigUint64(BPF_LOAD_TAG, spec.tag ?? 0n, true);
  for (let i = 0; i < name.length && i < ASCII_NAME; i++) u8[BPF_LOAD_NAME + i] = name.charCodeAt(i) & 0x7f;
  view.setUint32(BPF_LOAD_MAPS, maps.length, true);
  view.setUint32(BPF_LOAD_AREAS, areas.length, true);
  let at: number = BPF_LOAD_BYTES;
  for (const map of maps) {
    view.setUint32(at, map, true);
    at += 4;
  }
  for (const area of areas) {
    view.setUint32(at, area.address, true);
    view.setUint32(at + 4, (area.bytes | (area.readonly ? BPF_AREA_READONLY : 0)) >>> 0, true);
    at += 8;
  }
  const handle = context.command(BPF_PROG_LOAD, bytes, "bpf", [EINVAL]);
  if (handle < 0) {
    const reason = BAD[instance.view.getUint32(4, true)];
    const text = reason === undefined ? "EINVAL" : `insn ${instance.view.getUint32(0, true)}: ${reason(instance.view.getUint32(8, true))}`;
    throw new KernelError("EINVAL", `bpf: ${text}`);
  }
  return createProgram(context, handle, instance.view.getUint32(0, true), instance.view.getUint32(4, true), name.slice(0, ASCII_NAME), spec.type);
}

function createProgram(context: NodeContext, handle: number, id: number, address: number, name: string, type: number): BpfProgram {
  const { instance } = context;
  return {
    handle, id, address, name, type,
    info() {
      instance.view.setUint32(0, handle, true);
      context.command(BPF_PROG_INFO, 4, "bpf");
      return readInfo(instance.view, instance.u8);
    },
    run(memory, { repeat = 1, fuel = 0n } = {}) {
      const { view, u8 } = instance;
      if (memory.length > MAILBOX_BYTES - 64) throw new KernelError("E2BIG", `bpf: ${memory.length} bytes of memory`);
      view.setUint32(0, handle, true);
      view.setUint32(4, memory.length, true);
      view.setUint32(8, repeat, true);
      view.setUint32(12, 0, true);
      view.setBigUint64(16, fuel, true);
      u8.set(memory, 24);
      context.command(BPF_PROG_RUN, 24 + memory.length, "bpf");
      const length = instance.view.getUint32(BPF_OUTCOME_DATA_LENGTH, true);
      const outcome = {
        r0: instance.view.getBigUint64(BPF_OUTCOME_R0, true),
        memory: instance.copy(BPF_OUTCOME_BYTES, length),
        fuelLeft: instance.view.getBigUint64(BPF_OUTCOME_FUEL, true),
      };
      const fault = readFault(instance.view);
      return fault === undefined ? outcome : { ...outcome, fault };
    },
    testRun: (options = {}) => testRun(context, handle, options),
    setCompiled(main, callbacks) {
      const { view } = instance;
      view.setUint32(0, handle, true);
      view.setUint32(4, main, true);
      view.setUint32(8, callbacks.length, true);
      callbacks.forEach(({ slot, index }, i) => {
        view.setUint32(12 + i * 8, slot, true);
        view.setUint32(16 + i * 8, index, true);
      });
      context.command(BPF_PROG_JIT, 12 + callbacks.length * 8, "bpf");
    },
    free() {
      instance.view.setUint32(0, handle, true);
      context.command(BPF_PROG_FREE, 4, "bpf");
    },
  };
}

function testRun(context: NodeContext, handle: number, options: BpfTestRunOptions): BpfTestRunResult {
  const { dataIn = NOTHING, ctxIn = NOTHING, repeat = 0, flags = 0, cpu = 0, batch = 0, netns } = options;
  const { instance } = context;
  const inRecord = BPF_TEST_BYTES + ctxIn.length + dataIn.length <= MAILBOX_BYTES;
  if (!inRecord) {
    const both = new Uint8Array(ctxIn.length + dataIn.length);
    both.set(ctxIn);
    both.set(dataIn, ctxIn.length);
    instance.upload(both);
  }
  const { view, u8 } = instance;
  view.setUint32(BPF_TEST_PROGRAM, handle, true);
  view.setUint32(BPF_TEST_FLAGS, (flags | (inRecord ? 0 : BPF_TEST_F_UPLOAD)) >>> 0, true);
  view.setUint32(BPF_TEST_REPEAT, repeat, true);
  view.setUint32(BPF_TEST_CTX_LENGTH, ctxIn.length, true);
  view.setUint32(BPF_TEST_DATA_LENGTH, dataIn.length, true);
  view.setUint32(BPF_TEST_NETNS, netns === undefined ? 0 : kernelOf(netns).handle, true);
  view.setUint32(BPF_TEST_BATCH, batch, true);
  view.setUint32(BPF_TEST_CPU, cpu, true);
  if (inRecord) {
    u8.set(ctxIn, BPF_TEST_BYTES);
    u8.set(dataIn, BPF_TEST_BYTES + ctxIn.length);
  }
  const before = context.clock.nowNs();
  context.command(BPF_PROG_TEST_RUN, inRecord ? BPF_TEST_BYTES + ctxIn.length + dataIn.length : BPF_TEST_BYTES, "bpf");
  const answer = instance.view;
  const ctxLength = answer.getUint32(BPF_OUTCOME_CTX_LENGTH, true);
  const result = {
    retval: answer.getUint32(BPF_OUTCOME_R0, true),
    ctxOut: instance.copy(BPF_OUTCOME_BYTES, ctxLength),
    dataOut: instance.copy(BPF_OUTCOME_BYTES + ctxLength, answer.getUint32(BPF_OUTCOME_DATA_LENGTH, true)),
    durationNs: Math.round((context.clock.nowNs() - before) / Math.max(1, repeat)),
  };
  const fault = readFault(answer);
  return fault === undefined ? result : { ...result, fault };
}

/** The fault of a BPF_OUTCOME_* record, if there was one. */
export function readFault(view: DataView): BpfFault | undefined {
  const number = view.getUint32(BPF_OUTCOME_FAULT, true);
  if (number === BPF_FAULT_NONE) return undefined;
  const reason = REASONS[number] ?? "call";
  const slot = view.getUint32(BPF_OUTCOME_SLOT, true);
  const address = view.getBigUint64(BPF_OUTCOME_ADDRESS, true);
  const size = view.getUint32(BPF_OUTCOME_SIZE, true);
  const helper = view.getUint32(BPF_OUTCOME_HELPER, true);
  return { reason, slot, address, size, helper, message: faultText(reason, slot, address, size, helper) };
}

function readInfo(view: DataView, u8: Uint8Array): BpfProgramInfo {
  let name = "";
  for (let i = 0; i < ASCII_NAME; i++) {
    const byte = u8[BPF_INFO_NAME + i]!;
    if (byte === 0) break;
    name += String.fromCharCode(byte);
  }
  return {
    id: view.getUint32(BPF_INFO_ID, true),
    type: view.getUint32(BPF_INFO_TYPE, true),
    attachType: view.getUint32(BPF_INFO_ATTACH_TYPE, true),
    tag: view.getBigUint64(BPF_INFO_TAG, true),
    name,
    slots: view.getUint32(BPF_INFO_SLOTS, true),
    jited: view.getUint32(BPF_INFO_JITED, true) === 1,
    runCount: view.getBigUint64(BPF_INFO_RUNS, true),
    recursionMisses: view.getBigUint64(BPF_INFO_MISSES, true),
    faults: view.getBigUint64(BPF_INFO_FAULTS, true),
    references: view.getUint32(BPF_INFO_REFERENCES, true),
  };
}
