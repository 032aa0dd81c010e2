import { expect, test } from "vitest";
import { MapType, ProgType } from "../../src/bpf/uapi.ts";
import { createBpfMaps } from "../../src/kernel/bpf-maps.ts";
import { bpfMachine } from "./machine.ts";

const slot = (code: number, dst: number, src: number, off: number, imm: number): number[] => [
  code, dst | (src << 4), off & 255, (off >> 8) & 255, imm & 255, (imm >> 8) & 255, (imm >> 16) & 255, imm >>> 24,
];
const EXIT = slot(0x95, 0, 0, 0, 0);
const program = (...slots: number[][]): Uint8Array => Uint8Array.from(slots.flat());

for (const verified of [false, true]) {
  test(`what the target of a tail call returns goes to the subprogram's caller, memory ${verified ? "trusted" : "checked"}`, async () => {
    const { programs, kernel } = await bpfMachine();
    const progs = createBpfMaps(kernel.context).create({ name: "progs", type: MapType.PROG_ARRAY, keySize: 4, valueSize: 4, maxEntries: 2 });
    // The target calls a subprogram of its own, too.
    const target = programs.load({ type: ProgType.XDP, verified, program: program(slot(0x85, 0, 1, 0, 2), slot(0x07, 0, 0, 0, 20), EXIT, slot(0xb7, 0, 0, 0, 3), EXIT) });
    progs.updateHandle(Uint8Array.from([0, 0, 0, 0]), target.handle);
    const caller = programs.load({
      type: ProgType.XDP, verified, maps: [progs.address],
      program: program(
        slot(0xb7, 6, 0, 0, 100), slot(0x85, 0, 1, 0, 2), slot(0x0f, 0, 6, 0, 0), EXIT,
        slot(0x18, 2, 0, 0, progs.address), slot(0, 0, 0, 0, 0), slot(0xb7, 3, 0, 0, 0), slot(0x85, 0, 0, 0, 12), slot(0xb7, 0, 0, 0, 7), EXIT,
      ),
    });
    expect(caller.run(new Uint8Array(0)).r0).toBe(123n);
    progs.delete(Uint8Array.from([0, 0, 0, 0]));
    expect(caller.run(new Uint8Array(0)).r0).toBe(107n);
  });
}

test("there are 33 tail calls in a run, and the next falls through", async () => {
  const { programs, kernel } = await bpfMachine();
  const progs = createBpfMaps(kernel.context).create({ name: "progs", type: MapType.PROG_ARRAY, keySize: 4, valueSize: 4, maxEntries: 1 });
  // Counts itself in the memory, which is its context as well.
  const counter = programs.load({
    type: ProgType.XDP, maps: [progs.address],
    program: program(
      slot(0x79, 4, 1, 0, 0), slot(0x07, 4, 0, 0, 1), slot(0x7b, 1, 4, 0, 0), slot(0x18, 2, 0, 0, progs.address), slot(0, 0, 0, 0, 0), slot(0xb7, 3, 0, 0, 0),
      slot(0x85, 0, 0, 0, 12), slot(0xb7, 0, 0, 0, 9), EXIT,
    ),
  });
  progs.updateHandle(Uint8Array.from([0, 0, 0, 0]), counter.handle);
  const { r0, memory } = counter.run(new Uint8Array(8));
  expect(r0).toBe(9n);
  expect(memory[0]).toBe(34);
});

test("a subprogram that looks outside of the packet returns 0", async () => {
  const { programs } = await bpfMachine();
  const loaded = programs.load({
    type: ProgType.SOCKET_FILTER,
    program: program(slot(0xbf, 6, 1, 0, 0), slot(0x85, 0, 1, 0, 2), slot(0x07, 0, 0, 0, 5), EXIT, slot(0x30, 0, 0, 0, 4000), EXIT),
  });
  expect(loaded.testRun({ dataIn: new Uint8Array(64) }).retval).toBe(5);
});

test.each([
  ["more than 8 frames", program(slot(0x85, 0, 1, 0, -1), EXIT), "depth"],
  ["a loop", program(slot(0x05, 0, 0, -1, 0), EXIT), "fuel"],
  ["below the stack", program(slot(0x79, 0, 10, -520, 0), EXIT), "read"],
  ["above the stack", program(slot(0x7a, 10, 0, 0, 1), EXIT), "write"],
  ["no helper", program(slot(0xb7, 3, 0, 0, 9999), slot(0x8d, 3, 0, 0, 0), EXIT), "call"],
  ["a helper's memory", program(slot(0xb7, 1, 0, 0, 16), slot(0xb7, 2, 0, 0, 8), slot(0xb7, 3, 0, 0, 0), slot(0x85, 0, 0, 0, 4), EXIT), "argument"],
])("%s ends a run", async (_, code, reason) => {
  const { programs } = await bpfMachine();
  expect(programs.load({ type: ProgType.XDP, program: code }).run(new Uint8Array(0), { fuel: 1000n }).fault).toMatchObject({ reason });
});

test.each([
  ["opcode", program(slot(0xff, 0, 0, 0, 0), EXIT), "insn 0: unknown opcode 0xff"],
  ["register", program(slot(0xbf, 0, 11, 0, 0), EXIT), "insn 0: R11 is invalid"],
  ["field", program(slot(0xb7, 0, 1, 0, 0), EXIT), "insn 0: uses reserved fields"],
  ["jump", program(slot(0x05, 0, 0, 1, 0), EXIT), "insn 0: jump out of range to 2"],
  ["jump into lddw", program(slot(0x05, 0, 0, 1, 0), slot(0x18, 0, 0, 0, 1), slot(0, 0, 0, 0, 0), EXIT), "insn 1: jump out of range to 2"],
  ["half an lddw", program(EXIT, slot(0x18, 0, 0, 0, 1)), "insn 1: invalid bpf_ld_imm64 insn"],
  ["end", program(EXIT, slot(0xb7, 0, 0, 0, 1)), "insn 1: last insn is not an exit or jmp"],
  ["helper", program(slot(0x85, 0, 0, 0, 9999), EXIT), "insn 0: invalid func unknown#9999"],
  ["frame pointer", program(slot(0xb7, 10, 0, 0, 1), EXIT), "insn 0: frame pointer is read only"],
])("form: %s", async (_, code, message) => {
  const { programs } = await bpfMachine();
  expect(() => programs.load({ type: ProgType.XDP, program: code, verified: true })).toThrow(message);
});
