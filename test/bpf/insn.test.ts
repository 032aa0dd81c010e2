import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { BPF_DW, BPF_IMM, BPF_LD, decodeInsns, encodeInsns, isLddw } from "../../src/bpf/insn.ts";

const shared = process.env.KUBEWIRE_SHARED ?? "../shared";

test("every recorded program is the same after decoding and encoding", () => {
  const { programs } = JSON.parse(readFileSync(`${shared}/bpf/samples/verifier.json`, "utf8"));
  expect(programs.length).toBeGreaterThan(10);
  for (const program of programs) {
    const bytes = new Uint8Array(Buffer.from(program.program_hex, "hex"));
    expect(Buffer.from(encodeInsns(decodeInsns(bytes))).toString("hex")).toBe(program.program_hex);
  }
});

test("fields are where RFC 9669 has them", () => {
  const [first, second] = decodeInsns(Uint8Array.from([0x18, 0x21, 0xfe, 0xff, 0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0, 1, 0, 0, 0]));
  expect(first).toEqual({ code: BPF_LD | BPF_IMM | BPF_DW, dst: 1, src: 2, off: -2, imm: 0x7fffffff });
  expect(isLddw(first!)).toBe(true);
  expect(isLddw(second!)).toBe(false);
  expect(second!.imm).toBe(1);
  expect(() => decodeInsns(new Uint8Array(7))).toThrow(RangeError);
});
