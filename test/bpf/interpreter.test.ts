import { expect, test } from "vitest";
import { conformanceCases } from "./conformance/cases.ts";
import { bpfMachine } from "./machine.ts";

const build = "debug";
const groups = new Map<string, ReturnType<typeof conformanceCases>>();
for (const one of conformanceCases()) groups.set(one.group, [...(groups.get(one.group) ?? []), one]);

for (const [group, cases] of groups) {
  for (const verified of [false, true]) {
    test(`${group}: what Linux answered, memory ${verified ? "trusted" : "checked"}`, async () => {
      const { programs } = await bpfMachine(build);
      const wrong: string[] = [];
      for (const { name, program, runs } of cases) {
        const loaded = programs.load({ name, type: 6, program, verified });
        for (const { memory, r0, after } of runs) {
          const outcome = loaded.run(memory);
          if (outcome.fault !== undefined || outcome.r0 !== r0) wrong.push(`${name}: ${outcome.fault?.message ?? outcome.r0.toString(16)}, not ${r0.toString(16)}`);
          else if (Buffer.compare(outcome.memory, after) !== 0) wrong.push(`${name}: other memory`);
        }
        loaded.free();
      }
      expect(wrong).toEqual([]);
    });
  }
}
