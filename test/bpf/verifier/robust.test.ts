import { expect, test } from "vitest";
import { decodeInsns, type Insn } from "../../../src/bpf/insn.ts";
import { verify } from "../../../src/bpf/verifier/index.ts";
import { dice } from "../../kernel/fuzz/random.ts";
import { CASES } from "./cases.ts";
import { programSpec } from "./request.ts";

/** Few instructions are enough to get everywhere and keep every program short. */
const insnLimit = 20_000;

test("random slots are refused or accepted, never an exception", () => {
  const d = dice(1);
  for (let round = 0; round < 1_500; round++) {
    const bytes = Uint8Array.from({ length: 8 * (1 + d.below(24)) }, () => d.below(256));
    const type = (1 + d.below(32)) as 6;
    const { verdict } = verify({ type, attachType: 0, license: "GPL", insns: decodeInsns(bytes), maps: new Map() }, { logLevel: 2, insnLimit });
    expect(["accept", "reject"]).toContain(verdict);
  }
});

test("programs with a field changed are refused or accepted, never an exception", () => {
  const d = dice(2);
  for (let round = 0; round < 2_000; round++) {
    const spec = programSpec(CASES[d.below(CASES.length)]!, d.below(4) === 0 ? "bpf" : "all");
    const insns: Insn[] = spec.insns.map((insn) => ({ ...insn }));
    for (let change = 0; change <= d.below(3); change++) {
      const insn = insns[d.below(insns.length)]!;
      switch (d.below(5)) {
        case 0: insn.code = d.below(256); break;
        case 1: insn.dst = d.below(16); break;
        case 2: insn.src = d.below(16); break;
        case 3: insn.off = d.below(64) - 32; break;
        default: insn.imm = d.below(2) === 0 ? d.below(256) - 128 : -0x8000_0000 + d.below(0x7fff_ffff) * 2;
      }
    }
    const { verdict, log } = verify({ ...spec, insns }, { logLevel: 2, insnLimit });
    expect(["accept", "reject"]).toContain(verdict);
    expect(log).not.toMatch(/verifier bug/);
  }
});
