/**
 * The eBPF of this machine's kernel as an oracle, for Node scripts and the long tests: `startHost()` builds host.c (gcc or clang), starts
 * it once and talks to it synchronously through two FIFOs. Linux and root only; everything else fails with the reason. Numbers of
 * commands, types and attributes are those of uapi/linux/bpf.h; the layout of `union bpf_attr` is known here and nowhere else.
 */
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, constants, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, readSync, renameSync, rmSync, writeSync } from "node:fs";
import { release, tmpdir } from "node:os";
import { join } from "node:path";
import { ATTACH_TYPES, ERRNO, MAP_TYPES, PROGRAM_TYPES } from "./names.ts";
import { lockedValueBtf } from "./spin-lock-btf.ts";

/** A piece of memory that an attribute points to. `size` beyond the bytes is zeros. */
export interface Memory {
  readonly bytes?: Uint8Array;
  readonly size?: number;
  /** Answer it as it is afterwards; "text": up to its first zero byte. */
  readonly answer?: boolean | "text";
  /** Offsets in it that take the result (a file descriptor) of an earlier operation of the request. */
  readonly results?: readonly (readonly [offset: number, operation: number])[];
  /** Offsets in it that take the address of another buffer. */
  readonly pointers?: readonly (readonly [offset: number, buffer: number])[];
}

export interface Operation {
  readonly kind: number;
  readonly argument: number;
  readonly attr: Uint8Array;
  readonly buffers: readonly Memory[];
  /** Offset in attr -> buffer. */
  readonly pointers: readonly (readonly [offset: number, buffer: number])[];
  /** Offset in attr (u32) -> result of an earlier operation. */
  readonly results: readonly (readonly [offset: number, operation: number])[];
}

export interface Answer {
  /** What the system call returned: -1 with `errno`. */
  readonly result: number;
  readonly errno: number;
  readonly attr: DataView;
  readonly buffers: readonly Uint8Array[];
}

export interface HostMap {
  /** Name as in `MAP_TYPES` ("hash", "percpu_array") or a number. */
  readonly type: string | number;
  readonly key: number;
  readonly value: number;
  readonly entries: number;
  readonly flags?: number;
  readonly extra?: bigint;
  readonly innerFd?: number;
  readonly name?: string;
  /** Offset of a `struct bpf_spin_lock` in the value (its BTF is made here). */
  readonly spinLock?: number;
  readonly btfFd?: number;
  readonly btfKey?: number;
  readonly btfValue?: number;
}

export interface HostReloc {
  readonly slot: number;
  /** map: BPF_PSEUDO_MAP_FD; mapvalue: BPF_PSEUDO_MAP_VALUE with `addend`. */
  readonly kind: "map" | "mapvalue";
  readonly fd: Fd;
  readonly addend?: number;
}

export interface HostProgram {
  /** Name as in `PROGRAM_TYPES` ("xdp", "sched_cls") or a number. */
  readonly type: string | number;
  readonly attach?: string | number;
  readonly license?: string;
  readonly flags?: number;
  /** 8 bytes a slot; src and imm of `relocs` are put in. */
  readonly insns: Uint8Array;
  readonly relocs?: readonly HostReloc[];
  readonly btfFd?: Fd;
  readonly funcInfo?: Uint8Array;
  readonly lineInfo?: Uint8Array;
  readonly attachBtfId?: number;
  readonly attachProgFd?: number;
  readonly fdArray?: readonly number[];
  /** 0 none, 1 the verifier's log (states), 2 with every instruction, 4 statistics only. */
  readonly logLevel?: number;
  readonly logSize?: number;
}

export interface Loaded {
  /** -1 when refused. */
  readonly fd: number;
  readonly errno: number;
  /** The whole log; empty at level 0. */
  readonly log: string;
}

export interface Run {
  readonly dataIn?: Uint8Array;
  readonly ctxIn?: Uint8Array;
  readonly repeat?: number;
  readonly flags?: number;
  readonly cpu?: number;
  /** Room for the packet afterwards; 0 asks for none. Default: a page beyond what goes in. */
  readonly dataRoom?: number;
  readonly ctxRoom?: number;
}

export interface Ran {
  readonly errno: number;
  /** As u32. */
  readonly retval: number;
  /** Nanoseconds a run, the mean of `repeat`. */
  readonly duration: number;
  readonly dataOut: Uint8Array;
  readonly ctxOut: Uint8Array;
}

const KIND = { BPF: 0, CLOSE: 1, MMAP: 2, READ: 3, WRITE: 4, MUNMAP: 5, FILTER: 6 } as const;
export const BPF = {
  MAP_CREATE: 0, MAP_LOOKUP_ELEM: 1, MAP_UPDATE_ELEM: 2, MAP_DELETE_ELEM: 3, MAP_GET_NEXT_KEY: 4, PROG_LOAD: 5, PROG_TEST_RUN: 10,
  OBJ_GET_INFO_BY_FD: 15, BTF_LOAD: 18, MAP_LOOKUP_AND_DELETE_ELEM: 21, MAP_FREEZE: 22, MAP_LOOKUP_BATCH: 24,
  MAP_LOOKUP_AND_DELETE_BATCH: 25, MAP_UPDATE_BATCH: 26, MAP_DELETE_BATCH: 27,
} as const;

const ATTR_BYTES = 152;
const PAGE = 4096;
/** Room behind the packet for what `bpf_xdp_adjust_tail` and encapsulation add. */
const GROWTH = 4096;
const NO_BYTES = new Uint8Array(0);

const text = new TextEncoder();

/** `union bpf_attr` with numbers put in. */
function attribute(fields: readonly (readonly [offset: number, value: number | bigint])[], size = ATTR_BYTES): Uint8Array {
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  for (const [offset, value] of fields) {
    if (typeof value === "bigint") view.setBigUint64(offset, value, true);
    else view.setUint32(offset, value, true);
  }
  return bytes;
}

function named(names: Readonly<Record<string, number>>, name: string | number): number {
  if (typeof name === "number") return name;
  const number = names[name];
  if (number === undefined) throw new Error(`uapi/linux/bpf.h has no ${name}`);
  return number;
}

const fixupsOf = ({ results = [], pointers = [] }: Memory): number => results.length + pointers.length;

/** The C side's request: see host.c. */
function encode(operations: readonly Operation[]): Uint8Array {
  let size = 8;
  for (const { attr, buffers, pointers, results } of operations) {
    size += 20 + attr.length + 16 * (pointers.length + results.length);
    for (const buffer of buffers) size += 12 + (buffer.bytes?.length ?? 0) + 16 * fixupsOf(buffer);
  }
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  let at = 0;
  const u32 = (value: number): void => {
    view.setUint32(at, value, true);
    at += 4;
  };
  const put = (from: Uint8Array): void => {
    bytes.set(from, at);
    at += from.length;
  };
  u32(size - 4);
  u32(operations.length);
  for (const { kind, argument, attr, buffers, pointers, results } of operations) {
    const fixups: (readonly [where: number, offset: number, kind: number, index: number])[] = [];
    for (const [offset, buffer] of pointers) fixups.push([~0, offset, 0, buffer]);
    for (const [offset, operation] of results) fixups.push([~0, offset, 1, operation]);
    buffers.forEach((buffer, n) => {
      for (const [offset, other] of buffer.pointers ?? []) fixups.push([n, offset, 0, other]);
      for (const [offset, operation] of buffer.results ?? []) fixups.push([n, offset, 1, operation]);
    });
    for (const value of [kind, argument, attr.length, buffers.length, fixups.length]) u32(value);
    put(attr);
    for (const { bytes: given = NO_BYTES, size: room = given.length, answer } of buffers) {
      u32(Math.max(room, given.length));
      u32(given.length);
      u32(answer === "text" ? 3 : answer === true ? 1 : 0);
      put(given);
    }
    for (const fixup of fixups) for (const value of fixup) u32(value);
  }
  return bytes;
}

/** The binary of host.c, built when its text changed. */
function build(root: URL): string {
  if (process.platform !== "linux") throw new Error("the host's eBPF: this is not Linux");
  const source = new URL("test/bpf/host/host.c", root);
  const hash = createHash("sha256").update(readFileSync(source)).digest("hex").slice(0, 12);
  const folder = new URL(".cache/", root);
  const binary = new URL(`bpf-host-${hash}`, folder).pathname;
  if (existsSync(binary)) return binary;
  mkdirSync(folder, { recursive: true });
  const temporary = `${binary}.${process.pid}`;
  let failed: unknown;
  for (const compiler of ["gcc", "clang"]) {
    try {
      execFileSync(compiler, ["-O1", "-o", temporary, source.pathname], { stdio: "pipe" });
      renameSync(temporary, binary);
      return binary;
    } catch (error) {
      failed = error;
    }
  }
  throw new Error(`the host's eBPF: neither gcc nor clang built host.c: ${(failed as Error).message}`);
}

/** One process of host.c and what can be asked of it. Files are closed with it. */
export class Host {
  readonly kernel = release();
  readonly #input: number;
  readonly #output: number;
  readonly #fail: () => never;

  constructor(input: number, output: number, fail: () => never) {
    this.#input = input;
    this.#output = output;
    this.#fail = fail;
  }

  #read(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; ) {
      const n = readSync(this.#output, bytes, at, length - at, null);
      if (n === 0) this.#fail();
      at += n;
    }
    return bytes;
  }

  /** Any list of operations in one round trip. */
  ask(operations: readonly Operation[]): Answer[] {
    const request = encode(operations);
    for (let at = 0; at < request.length; ) at += writeSync(this.#input, request, at);
    const size = new DataView(this.#read(4).buffer).getUint32(0, true);
    const bytes = this.#read(size);
    const view = new DataView(bytes.buffer);
    let at = 0;
    return operations.map(({ attr, buffers }) => {
      const result = Number(view.getBigInt64(at, true));
      const errno = view.getUint32(at + 8, true);
      const after = new DataView(bytes.buffer, at + 12, attr.length);
      at += 12 + attr.length;
      const answered: Uint8Array[] = [];
      for (const { answer } of buffers) {
        if (answer === undefined || answer === false) continue;
        const length = view.getUint32(at, true);
        answered.push(bytes.subarray(at + 4, at + 4 + length));
        at += 4 + length;
      }
      return { result, errno, attr: after, buffers: answered };
    });
  }

  /** bpf(2) with any attribute. */
  bpf(
    command: number, attr: Uint8Array, buffers: readonly Memory[] = [], pointers: readonly (readonly [number, number])[] = [],
  ): Answer {
    return this.ask([{ kind: KIND.BPF, argument: command, attr, buffers, pointers, results: [] }])[0]!;
  }

  close(...fds: number[]): void {
    if (fds.length > 0) this.ask(fds.filter((fd) => fd >= 0).map((fd) => ({ kind: KIND.CLOSE, argument: 0, attr: attribute([[0, fd]], 4), ...NOTHING })));
  }

  // ---- programs ----

  load(program: HostProgram): Loaded {
    const { result, errno, buffers } = this.ask([loadOperation(program)])[0]!;
    return { fd: result, errno, log: buffers.length > 0 ? latin(buffers[0]!) : "" };
  }

  run(fd: number, run: Run = {}): Ran {
    return ranOf(this.ask([runOperation(fd, run)])[0]!);
  }

  loadBtf(btf: Uint8Array): Loaded {
    const { result, errno, buffers } = this.ask([btfOperation(btf)])[0]!;
    return { fd: result, errno, log: latin(buffers[0]!) };
  }

  /** `struct bpf_prog_info`, `bpf_map_info`, ... as far as `size`. */
  info(fd: number, size = 256): { errno: number; bytes: Uint8Array } {
    const { errno, attr, buffers } = this.bpf(BPF.OBJ_GET_INFO_BY_FD, attribute([[0, fd], [4, size]], 16), [{ size, answer: true }], [[8, 0]]);
    return { errno, bytes: buffers[0]!.subarray(0, attr.getUint32(4, true)) };
  }

  // ---- maps ----

  /** The descriptor; throws with the errno's name. */
  createMap(map: HostMap): number {
    const { fd, errno } = this.tryCreateMap(map);
    if (fd < 0) throw new Error(`BPF_MAP_CREATE ${JSON.stringify(map)}: ${ERRNO[errno] ?? errno}`);
    return fd;
  }

  tryCreateMap(map: HostMap): { fd: number; errno: number } {
    let { btfFd = 0, btfKey = 0, btfValue = 0 } = map;
    const locked = map.spinLock !== undefined;
    if (map.spinLock !== undefined) {
      const { btf, key, value } = lockedValueBtf(map.key, map.value, map.spinLock);
      const loaded = this.loadBtf(btf);
      if (loaded.fd < 0) return loaded;
      [btfFd, btfKey, btfValue] = [loaded.fd, key, value];
    }
    const { result, errno } = this.ask([createOperation({ ...map, btfFd, btfKey, btfValue })])[0]!;
    if (locked) this.close(btfFd);
    return { fd: result, errno };
  }

  /** `size`: of the value; for per-CPU maps 8-byte-rounded value x possible CPUs. */
  lookup(fd: number, key: Uint8Array, size: number, flags = 0n): { errno: number; value: Uint8Array } {
    return elementAnswer(this.ask([elementOperation(BPF.MAP_LOOKUP_ELEM, fd, key, { size, answer: true }, flags)])[0]!);
  }

  lookupAndDelete(fd: number, key: Uint8Array, size: number, flags = 0n): { errno: number; value: Uint8Array } {
    return elementAnswer(this.ask([elementOperation(BPF.MAP_LOOKUP_AND_DELETE_ELEM, fd, key, { size, answer: true }, flags)])[0]!);
  }

  /** 0 or the errno. */
  update(fd: number, key: Uint8Array, value: Uint8Array, flags = 0n): number {
    return this.ask([elementOperation(BPF.MAP_UPDATE_ELEM, fd, key, { bytes: value }, flags)])[0]!.errno;
  }

  delete(fd: number, key: Uint8Array, flags = 0n): number {
    return this.ask([elementOperation(BPF.MAP_DELETE_ELEM, fd, key, undefined, flags)])[0]!.errno;
  }

  /** `key` undefined: the first. */
  nextKey(fd: number, key: Uint8Array | undefined, size: number): { errno: number; key: Uint8Array } {
    const { errno, buffers } = this.bpf(
      BPF.MAP_GET_NEXT_KEY, attribute([[0, fd]], 32), [{ bytes: key ?? NO_BYTES }, { size, answer: true }],
      key === undefined ? [[16, 1]] : [[8, 0], [16, 1]],
    );
    return { errno, key: buffers[0]! };
  }

  freeze(fd: number): number {
    return this.bpf(BPF.MAP_FREEZE, attribute([[0, fd]], 4)).errno;
  }

  /** Every element as the iteration of BPF_MAP_GET_NEXT_KEY gives it. */
  entries(fd: number, keySize: number, valueSize: number, most = 1 << 20): { key: Uint8Array; value: Uint8Array }[] {
    const found: { key: Uint8Array; value: Uint8Array }[] = [];
    for (let at = this.nextKey(fd, undefined, keySize); at.errno === 0 && found.length < most; at = this.nextKey(fd, at.key, keySize)) {
      const { errno, value } = this.lookup(fd, at.key, valueSize);
      if (errno === 0) found.push({ key: at.key, value });
    }
    return found;
  }

  /**
   * BPF_MAP_{LOOKUP,LOOKUP_AND_DELETE,UPDATE,DELETE}_BATCH. `count` elements; `batch` is the opaque position (undefined: from the start).
   */
  batch(
    command: number, fd: number,
    { batch, batchSize = 64, keys, values, keySize = 0, valueSize = 0, count, elemFlags = 0n, flags = 0n }: {
      batch?: Uint8Array; batchSize?: number; keys?: Uint8Array; values?: Uint8Array; keySize?: number; valueSize?: number; count: number;
      elemFlags?: bigint; flags?: bigint;
    },
  ): { errno: number; count: number; batch: Uint8Array; keys: Uint8Array; values: Uint8Array } {
    const lookup = command === BPF.MAP_LOOKUP_BATCH || command === BPF.MAP_LOOKUP_AND_DELETE_BATCH;
    const pointers: [number, number][] = [[16, 2]];
    if (lookup) pointers.push([8, 1]);
    if (batch !== undefined) pointers.push([0, 0]);
    if (lookup || values !== undefined) pointers.push([24, 3]);
    const { errno, attr, buffers } = this.bpf(
      command, attribute([[32, count], [36, fd], [40, elemFlags], [48, flags]], 56),
      [
        { bytes: batch ?? NO_BYTES }, { size: batchSize, answer: true }, { bytes: keys ?? NO_BYTES, size: keySize * count, answer: true },
        { bytes: values ?? NO_BYTES, size: valueSize * count, answer: true },
      ],
      pointers,
    );
    return { errno, count: attr.getUint32(32, true), batch: buffers[0]!, keys: buffers[1]!, values: buffers[2]! };
  }

  // ---- ring buffers, mapped arrays, classic filters ----

  /** Maps a file descriptor. A handle for `peek`, `poke` and `unmap`. */
  mmap(fd: number, prot: number, offset: number, length: number): number {
    const attr = attribute([[0, fd], [4, prot], [8, BigInt(offset)], [16, BigInt(length)]], 24);
    const { result, errno } = this.ask([{ kind: KIND.MMAP, argument: 0, attr, ...NOTHING }])[0]!;
    if (result < 0) throw new Error(`mmap: ${ERRNO[errno] ?? errno}`);
    return result;
  }

  peek(handle: number, offset: number, size: number): Uint8Array {
    const attr = attribute([[0, handle], [8, BigInt(offset)]], 16);
    const operation = { kind: KIND.READ, argument: 0, attr, buffers: [{ size, answer: true }], pointers: [], results: [] };
    return this.ask([operation])[0]!.buffers[0]!;
  }

  poke(handle: number, offset: number, bytes: Uint8Array): void {
    const attr = attribute([[0, handle], [8, BigInt(offset)]], 16);
    this.ask([{ kind: KIND.WRITE, argument: 0, attr, buffers: [{ bytes }], pointers: [], results: [] }]);
  }

  unmap(handle: number): void {
    this.ask([{ kind: KIND.MUNMAP, argument: 0, attr: attribute([[0, handle]], 4), ...NOTHING }]);
  }

  /** Takes what is in a ring buffer of `entries` bytes: records that were submitted, in order. */
  consume(fd: number, entries: number): Uint8Array[] {
    const consumer = this.mmap(fd, 3, 0, PAGE);
    const producer = this.mmap(fd, 1, PAGE, PAGE + 2 * entries);
    const { records, at } = ringRecords(this.peek(consumer, 0, 8), this.peek(producer, 0, PAGE + entries));
    const position = new Uint8Array(8);
    new DataView(position.buffer).setBigUint64(0, at, true);
    this.poke(consumer, 0, position);
    this.unmap(consumer);
    this.unmap(producer);
    return records;
  }

  /**
   * A classic program (8 bytes an instruction: u16 code, u8 jt, u8 jf, u32 k) as SO_ATTACH_FILTER of a datagram socket: how many bytes of
   * `packet` it lets through, or the errno of attaching it.
   */
  classicFilter(program: Uint8Array, packet: Uint8Array): { errno: number; bytes: number } {
    // struct sock_fprog: u16 len, padding, pointer.
    const fprog = new Uint8Array(16);
    new DataView(fprog.buffer).setUint16(0, program.length / 8, true);
    const operation: Operation = {
      kind: KIND.FILTER, argument: 26, attr: NO_BYTES, pointers: [], results: [],
      buffers: [{ bytes: fprog, pointers: [[8, 3]] }, { bytes: packet }, { size: packet.length }, { bytes: program }],
    };
    const { result, errno } = this.ask([operation])[0]!;
    return { errno, bytes: result };
  }
}

const latin = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");

const NOTHING = { buffers: [], pointers: [], results: [] } as const;

/** BPF_BTF_LOAD, for `ask`. */
export const btfOperation = (btf: Uint8Array): Operation => ({
  kind: KIND.BPF, argument: BPF.BTF_LOAD, attr: attribute([[16, btf.length], [20, 1 << 16], [24, 1]], 40),
  buffers: [{ bytes: btf }, { size: 1 << 16, answer: "text" }], pointers: [[0, 0], [8, 1]], results: [],
});

/** Records between both positions; the producer's page is followed by the data. `at`: up to where they were read. */
function ringRecords(consumer: Uint8Array, producer: Uint8Array): { records: Uint8Array[]; at: bigint } {
  const u64 = (bytes: Uint8Array): bigint => new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  const data = producer.subarray(PAGE);
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const records: Uint8Array[] = [];
  let at = u64(consumer);
  for (const end = u64(producer); at < end; ) {
    const offset = Number(at % BigInt(data.length));
    const word = view.getUint32(offset, true);
    // BPF_RINGBUF_BUSY_BIT: not yet submitted; BPF_RINGBUF_DISCARD_BIT: room only.
    if (word >>> 31 === 1) break;
    const length = word & 0x3fffffff;
    // A record may go on at the start: the kernel has the data mapped twice.
    if ((word & 0x40000000) === 0) records.push(Uint8Array.from({ length }, (_, n) => data[(offset + 8 + n) % data.length]!));
    at += BigInt((length + 8 + 7) & ~7);
  }
  return { records, at };
}

/** What is in the ring buffer `fd` of `entries` bytes, for `ask` as the operations from `first` on; `ringOf` reads their answers. */
export function ringOperations(fd: Fd, entries: number, first: number): Operation[] {
  const map = (prot: number, offset: number, length: number): Operation => ({
    kind: KIND.MMAP, argument: 0, attr: attribute([[0, numberOf(fd)], [4, prot], [8, BigInt(offset)], [16, BigInt(length)]], 24), buffers: [], pointers: [],
    results: resultOf(fd),
  });
  const read = (size: number, operation: number): Operation => ({
    kind: KIND.READ, argument: 0, attr: new Uint8Array(16), buffers: [{ size, answer: true }], pointers: [], results: [[0, operation]],
  });
  const unmap = (operation: number): Operation => ({ kind: KIND.MUNMAP, argument: 0, attr: new Uint8Array(4), buffers: [], pointers: [], results: [[0, operation]] });
  return [map(3, 0, PAGE), map(1, PAGE, PAGE + 2 * entries), read(8, first), read(PAGE + entries, first + 1), unmap(first), unmap(first + 1)];
}

export const ringOf = (answers: readonly Answer[]): Uint8Array[] => ringRecords(answers[2]!.buffers[0]!, answers[3]!.buffers[0]!).records;

/** BPF_MAP_CREATE, for `ask`. */
export function createOperation(map: HostMap): Operation {
  const attr = attribute([
    [0, named(MAP_TYPES, map.type)], [4, map.key], [8, map.value], [12, map.entries], [16, map.flags ?? 0], [20, map.innerFd ?? 0],
    [48, map.btfFd ?? 0], [52, map.btfKey ?? 0], [56, map.btfValue ?? 0], [64, map.extra ?? 0n],
  ], 72);
  attr.set(text.encode(map.name ?? "").subarray(0, 15), 28);
  return { kind: KIND.BPF, argument: BPF.MAP_CREATE, attr, ...NOTHING };
}

/** BPF_PROG_LOAD, for `ask`; relocations put in. */
export function loadOperation(program: HostProgram): Operation {
  const insns = new Uint8Array(program.insns);
  const view = new DataView(insns.buffer);
  for (const { slot, kind, fd, addend = 0 } of program.relocs ?? []) {
    view.setUint8(slot * 8 + 1, (view.getUint8(slot * 8 + 1) & 0x0f) | (kind === "map" ? 0x10 : 0x20));
    view.setInt32(slot * 8 + 4, numberOf(fd), true);
    view.setInt32(slot * 8 + 12, kind === "map" ? 0 : addend, true);
  }
  const { logLevel = 0, logSize = logLevel === 0 ? 0 : 1 << 24, funcInfo = NO_BYTES, lineInfo = NO_BYTES, fdArray = [] } = program;
  const attr = attribute([
    [0, named(PROGRAM_TYPES, program.type)], [4, insns.length / 8], [24, logLevel], [28, logSize], [44, program.flags ?? 0],
    [68, named(ATTACH_TYPES, program.attach ?? 0)], [72, numberOf(program.btfFd ?? 0)], [76, funcInfo.length > 0 ? 8 : 0], [88, funcInfo.length / 8],
    [92, lineInfo.length > 0 ? 16 : 0], [104, lineInfo.length / 16], [108, program.attachBtfId ?? 0], [112, program.attachProgFd ?? 0],
  ], 144);
  const opened = (program.relocs ?? []).flatMap(({ slot, fd }) => (typeof fd === "number" ? [] : [[slot * 8 + 4, fd.operation] as const]));
  const buffers: Memory[] = [
    { bytes: insns, results: opened }, { bytes: text.encode(`${program.license ?? "GPL"}\0`) }, { size: logSize, answer: "text" }, { bytes: funcInfo },
    { bytes: lineInfo }, { bytes: new Uint8Array(Int32Array.from(fdArray).buffer) },
  ];
  const pointers: [number, number][] = [[8, 0], [16, 1]];
  if (logSize > 0) pointers.push([32, 2]);
  if (funcInfo.length > 0) pointers.push([80, 3]);
  if (lineInfo.length > 0) pointers.push([96, 4]);
  if (fdArray.length > 0) pointers.push([120, 5]);
  const results: [number, number][] = typeof program.btfFd === "object" ? [[72, program.btfFd.operation]] : [];
  return { kind: KIND.BPF, argument: BPF.PROG_LOAD, attr, buffers, pointers, results };
}

/** A file descriptor, or what an earlier operation of the same request opened. */
export type Fd = number | { readonly operation: number };

const numberOf = (fd: Fd): number => (typeof fd === "number" ? fd : 0);
const resultOf = (fd: Fd): (readonly [number, number])[] => (typeof fd === "number" ? [] : [[0, fd.operation]]);

/** BPF_PROG_TEST_RUN, for `ask`. */
export function runOperation(fd: Fd, run: Run): Operation {
  const { dataIn = NO_BYTES, ctxIn = NO_BYTES, repeat = 0, flags = 0, cpu = 0 } = run;
  const dataRoom = run.dataRoom ?? (dataIn.length > 0 ? dataIn.length + GROWTH : 0);
  const ctxRoom = run.ctxRoom ?? ctxIn.length;
  const attr = attribute([
    [0, numberOf(fd)], [8, dataIn.length], [12, dataRoom], [32, repeat], [40, ctxIn.length], [44, ctxRoom], [64, flags], [68, cpu],
  ], 80);
  const buffers = [{ bytes: dataIn }, { size: dataRoom, answer: true }, { bytes: ctxIn }, { size: ctxRoom, answer: true }];
  const pointers: [number, number][] = [];
  if (dataIn.length > 0) pointers.push([16, 0]);
  if (dataRoom > 0) pointers.push([24, 1]);
  if (ctxIn.length > 0) pointers.push([48, 2]);
  if (ctxRoom > 0) pointers.push([56, 3]);
  return { kind: KIND.BPF, argument: BPF.PROG_TEST_RUN, attr, buffers, pointers, results: resultOf(fd) };
}

/** What a `runOperation` gave. */
export function ranOf({ errno, attr, buffers }: Answer): Ran {
  return {
    errno, retval: attr.getUint32(4, true), duration: attr.getUint32(36, true), dataOut: buffers[0]!.subarray(0, attr.getUint32(12, true)),
    ctxOut: buffers[1]!.subarray(0, attr.getUint32(44, true)),
  };
}

/** A command on one element, for `ask`. An empty key is a null pointer (queues and stacks). */
export function elementOperation(command: number, fd: Fd, key: Uint8Array, value: Memory | undefined, flags = 0n): Operation {
  const pointers: [number, number][] = key.length > 0 ? [[8, 0]] : [];
  if (value !== undefined) pointers.push([16, 1]);
  const buffers = value === undefined ? [{ bytes: key }] : [{ bytes: key }, value];
  return { kind: KIND.BPF, argument: command, attr: attribute([[0, numberOf(fd)], [24, flags]], 32), buffers, pointers, results: resultOf(fd) };
}

/** What an `elementOperation` that answers gave. */
export const elementAnswer = ({ errno, buffers }: Answer): { errno: number; value: Uint8Array } => ({ errno, value: buffers[0]! });

/** close(2) of what an earlier operation opened, for `ask`. */
export const closeOperation = (operation: number): Operation => ({
  kind: KIND.CLOSE, argument: 0, attr: new Uint8Array(4), buffers: [], pointers: [], results: [[0, operation]],
});

/** How many CPUs the values of a per-CPU map are for. */
export function possibleCpus(): number {
  const last = /(\d+)\s*$/.exec(readFileSync("/sys/devices/system/cpu/possible", "latin1"));
  return Number(last?.[1] ?? 0) + 1;
}

/**
 * Starts host.c. `caps: "bpf"`: a second process that has CAP_BPF and CAP_NET_ADMIN only. Throws where bpf(2) is not permitted.
 * @param root the repository
 */
export function startHost({ root, caps = "all" }: { root: URL; caps?: "all" | "bpf" }): Host {
  const binary = build(root);
  const folder = mkdtempSync(join(tmpdir(), "kubewire-bpf-"));
  const [requests, answers] = [join(folder, "requests"), join(folder, "answers")];
  let host: Host;
  try {
    execFileSync("mkfifo", [requests, answers]);
    // Opening one end waits for the other: hold both for a moment.
    const held = [openSync(requests, constants.O_RDWR), openSync(answers, constants.O_RDWR)] as const;
    const [theirInput, input] = [openSync(requests, constants.O_RDONLY), openSync(requests, constants.O_WRONLY)];
    const [output, theirOutput] = [openSync(answers, constants.O_RDONLY), openSync(answers, constants.O_WRONLY)];
    const child = spawn(binary, caps === "bpf" ? ["bpf"] : [], { stdio: [theirInput, theirOutput, "inherit"] });
    child.unref();
    for (const fd of [...held, theirInput, theirOutput]) closeSync(fd);
    host = new Host(input, output, () => {
      throw new Error("the host's eBPF: host.c ended");
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const { fd, errno } = host.tryCreateMap({ type: "array", key: 4, value: 8, entries: 1 });
  if (fd < 0) throw new Error(`the host's eBPF: bpf(2) is not permitted here: ${ERRNO[errno] ?? errno}`);
  host.close(fd);
  return host;
}
