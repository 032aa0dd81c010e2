/** A case in the kernel of this machine: one request makes the maps, loads, runs, and reads everything back. */
import {
  type Answer, BPF, btfOperation, closeOperation, createOperation, elementOperation, type Host, loadOperation, type Operation, possibleCpus, ranOf, ringOf,
  ringOperations, runOperation,
} from "../host/host.ts";
import { functionBtf } from "../host/function-btf.ts";
import { hex, type Outcome } from "./outcome.ts";
import { type FuzzCase, type FuzzMap, lower, type Lowered } from "./program.ts";

const roundUp = (bytes: number): number => (bytes + 7) & ~7;

/** `__sk_buff` as the run starts: mark, priority and cb are set. */
export function skbContext(): Uint8Array {
  const ctx = new Uint8Array(192);
  const view = new DataView(ctx.buffer);
  view.setUint32(8, 0x11223344, true);
  view.setUint32(32, 5, true);
  for (let n = 0; n < 5; n++) view.setUint32(48 + 4 * n, 0x01020304 * n, true);
  return ctx;
}

export const u32Key = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);
/** The keys that programs use in hashes. */
export const HASH_KEYS = [0, 1, 2, 3, 4, 5, 6, 7, 8].map(u32Key);
const NO_KEY = new Uint8Array(0);
const LPM_MOST = 64;

type Dump = { readonly first: number; read(answers: readonly Answer[]): string[] };

/** Either what it gives, or the verifier's last words. */
export function runInKernel(host: Host, fuzzCase: FuzzCase, lowered: readonly Lowered[] = fuzzCase.programs.map(lower)): Outcome | { readonly refused: string } {
  const operations: Operation[] = fuzzCase.maps.map((map) => createOperation({ ...map }));
  const cpus = possibleCpus();
  fuzzCase.maps.forEach((map, operation) => {
    for (const [key, value] of map.content) operations.push(elementOperation(BPF.MAP_UPDATE_ELEM, { operation }, key, { bytes: value }));
  });
  const loads = lowered.map(({ type, bytes, relocs, functions }) => {
    const { btf, funcInfo } = functionBtf(functions);
    const operation = operations.push(btfOperation(btf)) - 1;
    operations.push(loadOperation({
      type, insns: bytes, relocs: relocs.map((reloc) => ({ ...reloc, fd: { operation: reloc.map } })), btfFd: { operation }, funcInfo,
    }));
    operations.push(closeOperation(operation));
    return operation + 1;
  });
  const progs = fuzzCase.maps.findIndex(({ type }) => type === "prog_array");
  loads.slice(1).forEach((operation, index) => {
    const value = { bytes: new Uint8Array(4), results: [[0, operation] as const] };
    operations.push(elementOperation(BPF.MAP_UPDATE_ELEM, { operation: progs }, u32Key(index), value));
  });
  const runs = fuzzCase.packets.map((dataIn) => {
    operations.push(runOperation({ operation: loads[0]! }, { dataIn, ...(lowered[0]!.type === "sched_cls" ? { ctxIn: skbContext() } : {}) }));
    return operations.length - 1;
  });
  const dumps = fuzzCase.maps.map((map, operation) => dump(map, operation, operations, cpus));
  for (let operation = 0; operation < fuzzCase.maps.length; operation++) operations.push(closeOperation(operation));
  for (const load of loads) operations.push(closeOperation(load));
  const answers = host.ask(operations);
  for (const [n, load] of loads.entries()) if (answers[load]!.result < 0) return { refused: refusal(host, fuzzCase, lowered[n]!) };
  return {
    runs: runs.map((run) => {
      const { errno, retval, dataOut, ctxOut } = ranOf(answers[run]!);
      if (errno !== 0) throw new Error(`BPF_PROG_TEST_RUN: errno ${errno}`);
      return { retval, data: hex(dataOut), ctx: hex(ctxOut.subarray(0, 68)) };
    }),
    maps: Object.fromEntries(dumps.map(({ read, first }, map) => [`${map} ${fuzzCase.maps[map]!.type}`, read(answers.slice(first))])),
  };
}

/** Adds the operations that read a map. */
function dump(map: FuzzMap, operation: number, operations: Operation[], cpus: number): Dump {
  const first = operations.length;
  const fd = { operation };
  const look = (command: number, keys: readonly Uint8Array[], size: number): Dump => {
    for (const key of keys) operations.push(elementOperation(command, fd, key, { size, answer: true }));
    return {
      first,
      read: (answers) =>
        keys.flatMap((key, n) => (answers[n]!.errno === 0 ? [`${hex(key)}: ${hex(answers[n]!.buffers[0]!.subarray(0, map.value))}`] : [])),
    };
  };
  const indices = Array.from({ length: map.entries }, (_, n) => u32Key(n));
  switch (map.type) {
    case "array":
      return look(BPF.MAP_LOOKUP_ELEM, indices, map.value);
    case "percpu_array":
      return look(BPF.MAP_LOOKUP_ELEM, indices, roundUp(map.value) * cpus);
    case "hash":
    case "lru_hash":
      return look(BPF.MAP_LOOKUP_ELEM, HASH_KEYS, map.value);
    case "percpu_hash":
      return look(BPF.MAP_LOOKUP_ELEM, HASH_KEYS, roundUp(map.value) * cpus);
    case "queue":
    case "stack":
      return look(BPF.MAP_LOOKUP_AND_DELETE_ELEM, indices.map(() => NO_KEY), map.value);
    case "lpm_trie": {
      const attr = new Uint8Array(56);
      new DataView(attr.buffer).setUint32(32, LPM_MOST, true);
      operations.push({
        kind: 0, argument: BPF.MAP_LOOKUP_BATCH, attr, pointers: [[8, 0], [16, 1], [24, 2]], results: [[36, operation]],
        buffers: [{ size: 8 }, { size: map.key * LPM_MOST, answer: true }, { size: map.value * LPM_MOST, answer: true }],
      });
      return {
        first,
        read: ([answer]) => {
          const [keys, values] = answer!.buffers as [Uint8Array, Uint8Array];
          // ENOENT: the end was reached.
          return Array.from({ length: answer!.attr.getUint32(32, true) }, (_, n) =>
            `${hex(keys.subarray(n * map.key, (n + 1) * map.key))}: ${hex(values.subarray(n * map.value, (n + 1) * map.value))}`).sort();
        },
      };
    }
    case "ringbuf":
      operations.push(...ringOperations(fd, map.entries, first));
      return { first, read: (answers) => ringOf(answers).map(hex) };
    default:
      return { first, read: () => [] };
  }
}

/** The end of the verifier's log. */
export function refusal(host: Host, fuzzCase: FuzzCase, { type, bytes, relocs, functions }: Lowered): string {
  const fds = fuzzCase.maps.map((map) => host.createMap({ ...map }));
  const { btf, funcInfo } = functionBtf(functions);
  const btfFd = host.loadBtf(btf).fd;
  const { fd, log } = host.load({ type, insns: bytes, logLevel: 1, relocs: relocs.map((reloc) => ({ ...reloc, fd: fds[reloc.map]! })), btfFd, funcInfo });
  host.close(fd, btfFd, ...fds);
  return log.trimEnd().split("\n").filter((line) => !line.startsWith("processed ")).slice(-2).join(" / ");
}
