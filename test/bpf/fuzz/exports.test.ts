/**
 * eBPF's commands under fire, with assertions on: random requests of group OP_BPF, and programs of random instructions without a verifier that
 * call any helper with anything. Nothing traps, and what is not the program's stays as it was.
 */
import { beforeAll, expect, test } from "vitest";
import { BPF_PROG_JIT, OP_BPF } from "../../../assembly/abi/bpf.ts";
import { BPF_CALL, BPF_EXIT, BPF_JMP, BPF_JMP32, bpfClass, bpfOp, encodeInsns, type Insn, isLddw } from "../../../src/bpf/insn.ts";
import { jit } from "../../../src/bpf/jit/install.ts";
import type { BpfOutcome, BpfProgram } from "../../../src/kernel/bpf.ts";
import { type BpfMap, createBpfMaps } from "../../../src/kernel/bpf-maps.ts";
import { MapType } from "../../../src/bpf/uapi.ts";
import { KernelError } from "../../../src/kernel/netns.ts";
import { kernelModule } from "../../kernel/harness.ts";
import { dice, type Dice } from "../../kernel/fuzz/random.ts";
import { bpfMachine } from "../machine.ts";
import { ALU_OPS, type AluOp, ATOMIC_OPS, type AtomicOp, JUMP_OPS, type JumpOp, type Size, alu, atomic, exit, helper, jump, lddw, ldx, mov, st, stx } from "../host/asm.ts";
import { generateRaw, RAW_MEMORY } from "./generate.ts";
import { lower } from "./program.ts";

const SEED = Number(process.env["FUZZ_SEED"] ?? 1);
const COUNT = Number(process.env["KUBEWIRE_FUZZ"] ?? 400);
/** Groups of commands within OP_BPF, a few numbers beyond each. */
const SPANS = [[0x00, 0x08], [0x40, 0x16], [0x80, 0x20], [0xc0, 0x08]] as const;
const SIZES: readonly Size[] = ["b", "h", "w", "dw"];
const TYPES = [1, 3, 4, 5, 6, 8, 9, 13, 14, 16, 17, 18, 21, 22, 30, 32];

beforeAll(() => kernelModule(), 240_000);

/** Instructions of the right form with any registers, numbers and places; jumps stay inside. */
function wild(d: Dice, count: number, addresses: readonly number[]): Uint8Array {
  const insns: Insn[] = [];
  const register = (): number => d.below(10);
  const base = (): number => (d.once(3) ? 10 : register());
  const off = (): number => d.pick([0, 1, -8, -16, 8, 64, -512, d.below(65536) - 32768]);
  const operand = (): { reg: number } | { imm: number } => (d.once(2) ? { reg: register() } : { imm: d.pick([0, 1, -1, 8, 64, d.below(65536), (d.below(65536) << 16) | 5]) });
  const shifts = new Set(["lsh", "rsh", "arsh"]);
  while (insns.length < count) {
    insns.push(...d.weighted<() => Insn[]>([
      [10, () => {
        const op = d.pick(Object.keys(ALU_OPS) as AluOp[]);
        return [alu(d.pick([32, 64]), op, register(), shifts.has(op) ? { imm: d.below(32) } : operand())];
      }],
      [5, () => [ldx(d.pick(SIZES), register(), base(), off())]],
      [3, () => [stx(d.pick(SIZES), base(), off(), register())]],
      [2, () => [st(d.pick(SIZES), base(), off(), d.below(1000))]],
      [2, () => [atomic(d.pick(["w", "dw"]), d.pick(Object.keys(ATOMIC_OPS) as AtomicOp[]), base(), off(), register())]],
      [3, () => [helper(d.once(4) ? d.below(212) : d.pick([1, 2, 3, 12, 25, 26, 28, 44, 87, 130, 131, 132, 181]))]],
      [4, () => [jump(d.pick([32, 64]), d.pick(Object.keys(JUMP_OPS) as JumpOp[]), register(), operand(), d.below(65536))]],
      // The addresses of everything are somewhere here.
      [2, () => lddw(register(), BigInt(d.pick([d.below(1 << 22), d.below(2 ** 31), 0, 0x400])) | (d.once(4) ? 1n << 40n : 0n))],
      // A call as it should be: a map, a key and a value on the stack, numbers; then some of it wrong.
      [4, () => {
        const call = [...lddw(1, BigInt(d.pick(addresses))), mov(2, { reg: 10 }), alu(64, "add", 2, { imm: -8 * d.from(1, 8) }), mov(3, { reg: 10 }), alu(64, "add", 3, { imm: -64 }),
          mov(4, d.pick([0, 1, 2, 8, 64])), mov(5, d.below(9))];
        if (d.once(3)) call.push(d.once(2) ? mov(d.from(1, 5), d.below(100)) : mov(d.from(1, 5), { reg: register() }));
        return [...call, helper(d.once(2) ? d.below(212) : d.pick([1, 2, 3, 12, 51, 87, 88, 89, 130, 131, 134, 181, 195]))];
      }],
      [2, () => [mov(register(), { reg: 10 })]],
    ])());
  }
  insns.push(mov(0, 0), exit());
  insns.forEach((insn, slot) => {
    const kind = bpfClass(insn.code);
    if ((kind !== BPF_JMP && kind !== BPF_JMP32) || bpfOp(insn.code) === BPF_CALL || bpfOp(insn.code) === BPF_EXIT) return;
    let to = insn.off % insns.length;
    if (to > 0 && isLddw(insns[to - 1]!)) to--;
    insns[slot] = { ...insn, off: to - slot - 1 };
  });
  return encodeInsns(insns);
}

/** A map of every type that can be made here; what its program-side address is. */
function mapsOfAllTypes(context: Parameters<typeof createBpfMaps>[0]): BpfMap[] {
  const driver = createBpfMaps(context);
  const template = driver.create({ type: MapType.ARRAY, keySize: 4, valueSize: 8, maxEntries: 4 });
  return Object.values(MapType).flatMap((type) => {
    for (const [keySize, valueSize, maxEntries, flags] of [[4, 8, 4, 0], [4, 4, 4, 0], [8, 8, 4, 1], [0, 8, 4, 0], [0, 0, 4096, 0], [4, 4, 0, 0], [4, 8, 0, 1], [4, 80, 4, 0]] as const) {
      try {
        return [driver.create({ type, keySize, valueSize, maxEntries, flags, inner: template })];
      } catch {
        try {
          return [driver.create({ type, keySize, valueSize, maxEntries, flags })];
        } catch (error) {
          if (!(error instanceof KernelError)) throw error;
        }
      }
    }
    return [];
  });
}

test("random instructions without a verifier touch nothing but their own", async () => {
  const { instance, kernel, programs } = await bpfMachine();
  const maps = mapsOfAllTypes(kernel.context);
  expect(maps.length).toBeGreaterThan(20);
  const addresses = maps.flatMap(({ address, data }) => (data === 0 ? [address] : [address, data]));
  /** What a program that is never run says: its slots are in the same memory. */
  const witness = programs.load({ type: 6, program: lower(generateRaw(SEED, 0).program).bytes });
  const before = witness.info();
  let [loaded, faults, ends] = [0, 0, 0];
  for (let number = 0; number < COUNT; number++) {
    const d = dice(SEED, number, 11);
    const program = wild(d, d.from(3, 60), addresses);
    const areas = maps.filter(({ data }) => data !== 0).map(({ data, dataBytes }) => ({ address: data, bytes: dataBytes }));
    let one: BpfProgram;
    try {
      one = programs.load({ type: d.pick(TYPES), program, gpl: true, maps: maps.map(({ address }) => address), areas });
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      continue;
    }
    loaded++;
    const told = `seed ${SEED}, program ${number}: ${Buffer.from(program).toString("hex")}`;
    const memory = Uint8Array.from({ length: RAW_MEMORY }, (_, n) => n);
    const run = (): BpfOutcome => {
      try {
        return one.run(memory, { fuel: 3000n });
      } catch (error) {
        throw new Error(`${told}: ${(error as Error).stack}`, { cause: error });
      }
    };
    const interpreted = run();
    const compiled = jit(instance, one, program, { checked: true });
    const outcome = run();
    if (compiled.jited) compiled.remove();
    one.free();
    if (interpreted.fault === undefined) ends++;
    else faults++;
    // What the first run left in maps may change the second's way, not whether it is safe.
    expect(["fuel", "read", "write", "argument", "depth", "call", undefined], told).toContain(outcome.fault?.reason);
  }
  expect({ ...witness.info(), references: before.references }).toEqual(before);
  expect(loaded).toBeGreaterThan(COUNT / 20);
  expect(faults).toBeGreaterThan(COUNT / 40);
  expect(ends).toBeGreaterThan(0);
});

test("requests of any kind in any order end with a result", async () => {
  const { instance, kernel, programs } = await bpfMachine();
  const d = dice(SEED, 12);
  const { context } = kernel;
  const handles = [0, 0xffffffff, kernel.handle];
  for (let n = 0; n < 4; n++) handles.push(programs.load({ type: d.pick(TYPES), program: lower(generateRaw(SEED, n).program).bytes }).handle);
  for (let step = 0; step < COUNT * 10; step++) {
    const [start, count] = d.pick(SPANS);
    const op = OP_BPF + start + d.below(d.once(10) ? 64 : count);
    // Which functions of the table are a program's is the driver's word.
    if (op === BPF_PROG_JIT) continue;
    const length = 4 * d.below(d.once(20) ? 400 : 40);
    for (let at = 0; at < length; at += 4) {
      instance.view.setUint32(at, d.weighted([[3, 0], [3, d.below(34)], [1, d.below(2 ** 32)], [2, d.pick(handles)], [1, d.below(4096)]]), true);
    }
    if (!d.once(4)) instance.view.setUint32(0, d.pick(handles), true);
    // Rounds of a run (BPF_PROG_RUN, BPF_PROG_TEST_RUN): any number of them would take any time.
    instance.view.setUint32(8, d.below(4), true);
    if (d.once(3)) instance.upload(Uint8Array.from({ length: d.below(400) }, () => d.below(256)));
    const result = instance.command(kernel.handle, op, length, 0);
    expect(Number.isInteger(result)).toBe(true);
    // Programs, maps and links that came to be.
    if (result > 0xff && handles.length < 40) handles.push(result);
  }
  expect(context.instance).toBe(instance);
});
