/** Helpers on packets against Linux: cases of packets/programs.ts with the answers that packets/record.mjs recorded. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { bpfMachine } from "./machine.ts";
import { digest, packetCase } from "./packets/programs.ts";
import { runPacketCase } from "./packets/run.ts";

const { cases } = JSON.parse(readFileSync(new URL("packets/recorded.json", import.meta.url), "utf8")) as { cases: [number, string | number, string][] };

describe("helpers on packets", () => {
  for (const verified of [true, false]) {
    it(`answer as Linux's do, ${verified ? "verified" : "with every access checked"}`, async () => {
      const { kernel, programs } = await bpfMachine();
      for (const [seed, answer, bytes] of cases) {
        const each = packetCase(seed);
        const got = runPacketCase(kernel.context, programs, each, verified);
        expect([got.errno || got.retval, digest(got)], `seed ${seed}: ${each.type} ${each.note}`).toEqual([answer, bytes]);
      }
      expect(cases.length).toBeGreaterThan(500);
    });
  }
});
