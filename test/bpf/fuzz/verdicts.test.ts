/** Mutants of programs, with what Linux's verifier said of each (record-verdicts.mjs): the same verdict, errno and reason. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { decodeInsns } from "../../../src/bpf/insn.ts";
import { verify } from "../../../src/bpf/verifier/index.ts";
import { programSpec, reasonOf, type Seed } from "./verdict.ts";

interface Recorded {
  readonly seeds: readonly (Omit<Seed, "insns" | "functions" | "maps"> | null)[];
  readonly cases: readonly {
    readonly seed: number; readonly program: string; readonly functions: readonly number[]; readonly caps: "all" | "bpf";
    readonly maps: readonly (readonly [slot: number, map: number, kind: "map" | "mapvalue", addend: number])[];
    readonly errno?: string; readonly message?: string;
  }[];
}

test("what Linux says of mutants", () => {
  const { seeds, cases } = JSON.parse(readFileSync(new URL("verdicts.json", import.meta.url), "utf8")) as Recorded;
  expect(cases.length).toBeGreaterThan(300);
  const apart: string[] = [];
  let otherWords = 0;
  cases.forEach(({ seed, program, functions, caps, maps, errno, message }, number) => {
    const insns = decodeInsns(Uint8Array.from(program.match(/../g)!, (pair) => Number.parseInt(pair, 16)));
    const mutable = { insns, functions, maps: maps.map(([slot, map, kind, addend]) => ({ slot, map, kind, addend })) };
    const result = verify(programSpec({ ...seeds[seed]!, ...mutable }, mutable, caps), { logLevel: 1 });
    const want = message === undefined ? "accept" : `${errno}: ${message}`;
    const got = result.verdict === "accept" ? "accept" : `${result.errno}: ${reasonOf(result.log)}`;
    if ((want === "accept") !== (got === "accept")) apart.push(`${number}: Linux ${want}, here ${got}`);
    else if (want !== got) otherWords++;
  });
  expect(apart).toEqual([]);
  expect(otherWords).toBeLessThan(cases.length / 20);
});
