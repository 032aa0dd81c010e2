/** What verdicts are asked about: random programs that the kernel accepts, and objects that clang built. */
import type { MapSpec } from "../../../src/bpf/verifier/types.ts";
import { generate } from "./generate.ts";
import { lower } from "./program.ts";
import { mapType, programType, type Seed } from "./verdict.ts";

/** The main programs of random cases. */
export function generatedSeeds(seed: number, count: number): Seed[] {
  return Array.from({ length: count }, (_, number) => {
    const fuzzCase = generate(seed, number);
    const { type, insns, functions, relocs } = lower(fuzzCase.programs[0]!);
    const mapSpecs = fuzzCase.maps.map((map, n): MapSpec => ({
      name: `m${n}`, type: mapType(map.type) as MapSpec["type"], keySize: map.key, valueSize: map.value, maxEntries: map.entries, flags: map.flags ?? 0,
    }));
    return { name: fuzzCase.name, type: programType(type), attach: 0, license: "GPL", insns, functions, maps: relocs, mapSpecs, withBtf: true };
  });
}
