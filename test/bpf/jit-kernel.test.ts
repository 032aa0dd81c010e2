// Compiled programs in the kernel: every conformance program with and without checks, and random ones beside the interpreter.
import { expect, test } from "vitest";
import { jit } from "../../src/bpf/jit/install.ts";
import { conformanceCases } from "./conformance/cases.ts";
import { bpfMachine } from "./machine.ts";
import { randomOf, structured, wild, PACKET } from "./programs.ts";

const groups = new Map<string, ReturnType<typeof conformanceCases>>();
for (const one of conformanceCases()) groups.set(one.group, [...(groups.get(one.group) ?? []), one]);

for (const [group, cases] of groups) {
  for (const checked of [false, true]) {
    test(`${group}: what Linux answered, ${checked ? "memory checked" : "verified"}`, async () => {
      const { instance, programs } = await bpfMachine();
      const wrong: string[] = [];
      for (const { name, program, runs } of cases) {
        const loaded = programs.load({ name, type: 6, program, verified: !checked });
        const compiled = jit(instance, loaded, program, { checked });
        if (!compiled.jited) {
          wrong.push(`${name}: ${compiled.reason}`);
          continue;
        }
        expect(loaded.info().jited).toBe(true);
        for (const { memory, r0, after } of runs) {
          const outcome = loaded.run(memory);
          if (outcome.fault !== undefined || outcome.r0 !== r0) wrong.push(`${name}: ${outcome.fault?.message ?? outcome.r0.toString(16)}, not ${r0.toString(16)}`);
          else if (Buffer.compare(outcome.memory, after) !== 0) wrong.push(`${name}: other memory`);
        }
        compiled.remove();
        expect(loaded.info().jited).toBe(false);
        loaded.free();
      }
      expect(wrong).toEqual([]);
    });
  }
}

test("random programs end as in the interpreter: result, memory, fault and fuel", async () => {
  const { instance, programs } = await bpfMachine("release");
  const memory = Uint8Array.from({ length: PACKET }, (_, at) => (at * 37) & 0xff);
  for (let seed = 1; seed <= 1500; seed++) {
    const make = seed % 2 === 0 ? structured : wild;
    const program = make(randomOf(seed + 7_000_000));
    const loaded = programs.load({ type: 6, program });
    const interpreted = loaded.run(memory, { fuel: 5000n });
    const compiled = jit(instance, loaded, program, { checked: true });
    expect(compiled.jited).toBe(true);
    const told = `seed ${seed} ${Buffer.from(program).toString("hex")}`;
    expect({ told, ...loaded.run(memory, { fuel: 5000n }) }).toEqual({ told, ...interpreted });
    if (compiled.jited) compiled.remove();
    loaded.free();
  }
});
