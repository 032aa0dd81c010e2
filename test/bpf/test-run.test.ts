import { expect, test } from "vitest";
import { ProgType } from "../../src/bpf/uapi.ts";
import { bpfMachine } from "./machine.ts";

const slot = (code: number, dst: number, src: number, off: number, imm: number): number[] => [
  code, dst | (src << 4), off & 255, (off >> 8) & 255, imm & 255, (imm >> 8) & 255, (imm >> 16) & 255, imm >>> 24,
];
const EXIT = slot(0x95, 0, 0, 0, 0);
const program = (...slots: number[][]): Uint8Array => Uint8Array.from(slots.flat());

test("a context is what the program sees, and comes back as it left it", async () => {
  const { programs } = await bpfMachine();
  // user_port of struct bpf_sock_addr becomes 0x1234, the answer is user_ip4
  const rewrite = program(slot(0x61, 0, 1, 4, 0), slot(0xb7, 2, 0, 0, 0x1234), slot(0x63, 1, 2, 24, 0), EXIT);
  for (const verified of [true, false]) {
    const loaded = programs.load({ type: ProgType.CGROUP_SOCK_ADDR, program: rewrite, verified });
    const ctxIn = new Uint8Array(72);
    new DataView(ctxIn.buffer).setUint32(4, 0x0100000a, true);
    const { retval, ctxOut } = loaded.testRun({ ctxIn });
    expect(retval).toBe(0x0100000a);
    expect(ctxOut.length).toBe(72);
    expect(new DataView(ctxOut.buffer).getUint32(24, true)).toBe(0x1234);
  }
});

test("raw tracepoints take arguments, and neither data nor repetition", async () => {
  const { programs } = await bpfMachine();
  const sum = programs.load({ type: ProgType.RAW_TRACEPOINT, program: program(slot(0x79, 0, 1, 0, 0), slot(0x79, 2, 1, 8, 0), slot(0x0f, 0, 2, 0, 0), EXIT) });
  const ctxIn = Uint8Array.from([5, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]);
  expect(sum.testRun({ ctxIn }).retval).toBe(12);
  expect(() => sum.testRun({ ctxIn, repeat: 2 })).toThrow("EINVAL");
  expect(() => sum.testRun({ ctxIn, dataIn: ctxIn })).toThrow("EINVAL");
});

test("sk_lookup's ports are of 16 bits", async () => {
  const { programs } = await bpfMachine();
  const pass = programs.load({ type: ProgType.SK_LOOKUP, program: program(slot(0x61, 0, 1, 60, 0), EXIT) });
  const ctxIn = new Uint8Array(72);
  new DataView(ctxIn.buffer).setUint32(60, 65535, true);
  expect(pass.testRun({ ctxIn }).retval).toBe(65535);
  new DataView(ctxIn.buffer).setUint32(60, 65536, true);
  expect(() => pass.testRun({ ctxIn })).toThrow("ERANGE");
  expect(() => pass.testRun()).toThrow("EINVAL");
});

test("a flow dissector answers keys, held to the packet", async () => {
  const { programs } = await bpfMachine();
  // r2 = ctx->flow_keys; nhoff = 60000, thoff = 20; n_proto is the answer
  const dissect = programs.load({
    type: ProgType.FLOW_DISSECTOR, verified: true,
    program: program(slot(0x79, 2, 1, 144, 0), slot(0x6a, 2, 0, 0, -5536), slot(0x6a, 2, 0, 2, 20), slot(0x69, 0, 2, 10, 0), EXIT),
  });
  const dataIn = new Uint8Array(60);
  dataIn.set([0x86, 0xdd], 12);
  const { retval, dataOut } = dissect.testRun({ dataIn });
  expect(retval).toBe(0xdd86);
  expect(dataOut.length).toBe(56);
  const keys = new DataView(dataOut.buffer);
  expect([keys.getUint16(0, true), keys.getUint16(2, true), keys.getUint16(10)]).toEqual([60, 60, 0x86dd]);
  expect(() => dissect.testRun({ dataIn: new Uint8Array(10) })).toThrow("EINVAL");
  expect(() => dissect.testRun({ dataIn, ctxIn: Uint8Array.from({ length: 56 }, () => 1) })).toThrow("EINVAL");
});
