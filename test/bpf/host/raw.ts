/**
 * Programs of the batch protocol (r1 = memory, r2 = its length, r0 = the result) in the host's kernel: the memory is the value of an
 * array, whose bounds the verifier knows and where unaligned and atomic accesses are allowed; r0 goes into another array in 64 bits.
 */
import { BPF, closeOperation, elementOperation, type Host, type HostReloc, loadOperation, ranOf, runOperation } from "./host.ts";

export interface RawAnswer {
  /** What r0 was; absent when refused. */
  readonly r0?: bigint;
  readonly memory?: Uint8Array;
  /** Last lines of the verifier's log, or why the run failed. */
  readonly error?: string;
}

const EXIT = 0x95;
const CALL = 0x85;
const JA = 0x05;
const KEY = new Uint8Array(4);
/** An XDP program is run on a packet; nothing looks at this one. */
const PACKET = new Uint8Array(64);

const slot = (code: number, registers: number, off: number, imm: number): number[] => [
  code, registers, off & 255, (off >> 8) & 255, imm & 255, (imm >> 8) & 255, (imm >> 16) & 255, imm >>> 24,
];
const LDDW = (dst: number): number[] => [...slot(0x18, dst, 0, 0), ...slot(0, 0, 0, 0)];

/**
 * The program between the loading of r1 and r2 and the storing of r0. Exits of the main function become jumps to the latter, which stands
 * behind its last instruction: all frames and the whole stack stay the program's.
 */
export function wrapRaw(program: Uint8Array, memoryBytes: number): { insns: Uint8Array; relocs: (memory: number, result: number) => HostReloc[] } {
  const body = new Uint8Array(program);
  const view = new DataView(body.buffer);
  const count = body.length / 8;
  const entry = memoryBytes > 0 ? LDDW(1) : [...slot(0xb7, 1, 0, 0), ...slot(0xb7, 1, 0, 0)];
  entry.push(...slot(0xb7, 2, 0, memoryBytes));
  const store = [...LDDW(1), ...slot(0x7b, 0x01, 0, 0), ...slot(0xb7, 0, 0, 0), ...slot(EXIT, 0, 0, 0)];
  /** Functions and references to them: slot -> target. */
  const targets = new Map<number, number>();
  for (let n = 0; n < count; n++) {
    const [code, src] = [body[n * 8]!, body[n * 8 + 1]! >> 4];
    if ((code === CALL && src === 1) || (code === 0x18 && src === 4)) targets.set(n, n + 1 + view.getInt32(n * 8 + 4, true));
    if (code === 0x18) n++;
  }
  const main = Math.min(count, ...targets.values());
  for (let n = 0; n < main; n++) {
    const target = targets.get(n);
    if (target !== undefined) view.setInt32(n * 8 + 4, target - n - 1 + store.length / 8, true);
    if (body[n * 8] === 0x18) n++;
    else if (body[n * 8] === EXIT) {
      view.setUint8(n * 8, JA);
      view.setInt16(n * 8 + 2, main - 1 - n, true);
    }
  }
  const insns = Uint8Array.from([...entry, ...body.subarray(0, main * 8), ...store, ...body.subarray(main * 8)]);
  return {
    insns,
    relocs: (memory, result) => [
      ...(memoryBytes > 0 ? [{ slot: 0, kind: "mapvalue", fd: memory } as const] : []), { slot: 3 + main, kind: "mapvalue", fd: result },
    ],
  };
}

/** A function that runs programs of the batch protocol in `host`. */
export function rawRunner(host: Host): (program: Uint8Array, memory: Uint8Array) => RawAnswer {
  const maps = new Map<number, number>();
  const mapOf = (bytes: number, name: string): number => {
    const key = name === "r0" ? -1 : bytes;
    const found = maps.get(key);
    if (found !== undefined) return found;
    const fd = host.createMap({ type: "array", key: 4, value: bytes, entries: 1, name });
    maps.set(key, fd);
    return fd;
  };
  return (program, memory) => {
    const { insns, relocs } = wrapRaw(program, memory.length);
    const result = mapOf(8, "r0");
    const map = memory.length > 0 ? mapOf(memory.length, "memory") : result;
    const load = { type: "xdp", insns, relocs: relocs(map, result) };
    const answers = host.ask([
      elementOperation(BPF.MAP_UPDATE_ELEM, map, KEY, { bytes: memory.length > 0 ? memory : new Uint8Array(8) }),
      loadOperation(load),
      runOperation({ operation: 1 }, { dataIn: PACKET, dataRoom: 0 }),
      elementOperation(BPF.MAP_LOOKUP_ELEM, result, KEY, { size: 8, answer: true }),
      elementOperation(BPF.MAP_LOOKUP_ELEM, map, KEY, { size: Math.max(8, memory.length), answer: true }),
      closeOperation(1),
    ]);
    if (answers[1]!.result < 0) {
      const { log } = host.load({ ...load, logLevel: 1 });
      return { error: log.trimEnd().split("\n").filter((line) => !line.startsWith("processed ")).slice(-2).join(" / ") };
    }
    const { errno } = ranOf(answers[2]!);
    if (errno !== 0) return { error: `BPF_PROG_TEST_RUN: errno ${errno}` };
    const r0 = answers[3]!.buffers[0]!;
    return {
      r0: new DataView(r0.buffer, r0.byteOffset).getBigUint64(0, true), memory: memory.length > 0 ? answers[4]!.buffers[0]!.slice(0, memory.length) : new Uint8Array(0),
    };
  };
}
