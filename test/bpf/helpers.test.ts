import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ProgType } from "../../src/bpf/uapi.ts";
import { BPF_TRACE_PIPE } from "../../assembly/abi/bpf.ts";
import { createBpfTrace } from "../../src/kernel/bpf-trace.ts";
import { bpfMachine } from "./machine.ts";

interface Recorded {
  readonly name: string;
  readonly program: string;
  readonly memory: string;
  readonly r0: string;
  readonly after: string;
}

const recorded = JSON.parse(readFileSync(new URL("helpers/recorded.json", import.meta.url), "utf8")) as Recorded[];
const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, "hex"));

/** References to functions are distances outside of a kernel and slots inside. */
const resolved = (hex: string): Uint8Array => {
  const program = bytes(hex);
  const view = new DataView(program.buffer);
  for (let slot = 0; slot < program.length / 8; slot++) {
    if (program[slot * 8] === 0x18 && program[slot * 8 + 1]! >>> 4 === 4) view.setInt32(slot * 8 + 4, slot + 1 + view.getInt32(slot * 8 + 4, true), true);
  }
  return program;
};

for (const verified of [false, true]) {
  test(`helpers answer as Linux, memory ${verified ? "trusted" : "checked"}`, async () => {
    const { programs } = await bpfMachine();
    expect(recorded.length).toBeGreaterThan(300);
    const wrong = recorded.flatMap(({ name, program, memory, r0, after }) => {
      const loaded = programs.load({ type: ProgType.XDP, program: resolved(program), verified });
      const { r0: got, memory: left, fault } = loaded.run(bytes(memory), { fuel: 1_000_000_000n });
      loaded.free();
      const said = fault?.message ?? got.toString(16);
      return said === r0 && Buffer.from(left).toString("hex") === after ? [] : [`${name}: ${said} ${Buffer.from(left).toString("hex")}, not ${r0} ${after}`];
    });
    expect(wrong).toEqual([]);
  });
}

const slot = (code: number, dst: number, src: number, off: number, imm: number): number[] => [
  code, dst | (src << 4), off & 255, (off >> 8) & 255, imm & 255, (imm >> 8) & 255, (imm >> 16) & 255, imm >>> 24,
];

/** What snprintf makes of `format`, which stands in the memory from byte 64 on, with arguments from byte 32 on; r0 is its answer. */
async function snprintf(format: string, args: readonly bigint[], room = 32): Promise<{ text: string; r0: bigint }> {
  const { programs } = await bpfMachine();
  const program = [
    slot(0xb7, 2, 0, 0, room), slot(0xbf, 3, 1, 0, 0), slot(0x07, 3, 0, 0, 64 + 32), slot(0xbf, 4, 1, 0, 0), slot(0x07, 4, 0, 0, 32),
    slot(0xb7, 5, 0, 0, args.length * 8), slot(0x85, 0, 0, 0, 165), slot(0x95, 0, 0, 0, 0),
  ];
  const memory = new Uint8Array(192);
  const view = new DataView(memory.buffer);
  args.forEach((arg, i) => view.setBigUint64(32 + i * 8, BigInt.asUintN(64, arg), true));
  memory.set(new TextEncoder().encode(format), 96);
  const { r0, memory: after, fault } = programs.load({ type: ProgType.KPROBE, program: Uint8Array.from(program.flat()) }).run(memory);
  expect(fault).toBeUndefined();
  return { text: new TextDecoder().decode(after.subarray(0, after.indexOf(0))), r0: BigInt.asIntN(64, r0) };
}

test.each([
  ["a%db", [-5n], "a-5b"], ["%u", [-1n], "4294967295"], ["%llu", [-1n], "18446744073709551615"], ["%lx|%X", [0xabcn, 0xabcn], "abc|ABC"],
  ["%5d|%-5d|%05d|%+d", [42n, 42n, 42n, 42n], "   42|42   |00042|+42"], ["100%%", [], "100%"], ["%c%c", [104n, 105n], "hi"],
  ["%px", [0x1234n], "0000000000001234"], ["%lld", [-9223372036854775808n], "-9223372036854775808"],
])("snprintf %s", async (format, args, text) => {
  expect(await snprintf(format, args)).toEqual({ text, r0: BigInt(text.length + 1) });
});

test("snprintf says how long the text would be, and refuses what it does not know", async () => {
  expect(await snprintf("0123456789", [], 5)).toEqual({ text: "0123", r0: 11n });
  for (const [format, args] of [["%q", [1n]], ["%d", []], ["%5", [1n]], ["\u0001", []]] as const) expect((await snprintf(format, args)).r0).toBe(-22n);
});

test("trace_printk is read as trace_pipe", async () => {
  const { programs, kernel } = await bpfMachine();
  const program = [
    slot(0xb7, 2, 0, 0, 9), slot(0xb7, 3, 0, 0, 7), slot(0xb7, 4, 0, 0, 8), slot(0xb7, 5, 0, 0, 0), slot(0x85, 0, 0, 0, 6), slot(0x95, 0, 0, 0, 0),
  ];
  const loaded = programs.load({ type: ProgType.KPROBE, program: Uint8Array.from(program.flat()) });
  const format = new TextEncoder().encode("a %d b%x\0");
  expect(loaded.run(format).r0).toBe(6n);
  expect(loaded.run(format.subarray(0, 8)).fault?.reason).toBe("argument");
  const trace = createBpfTrace(kernel.context);
  expect(trace.read()).toBe("          <idle>-0       [000] ..s2.     0.000000: bpf_trace_printk: a 7 b8\n");
  expect(trace.read()).toBe("");
  expect(BPF_TRACE_PIPE).toBe(0x406);
});
