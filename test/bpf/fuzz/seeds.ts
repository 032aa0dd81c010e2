/** What verdicts are asked about: random programs that the kernel accepts, and objects that clang built. */
import { kernelBtf } from "../../../src/bpf/kernel-btf.ts";
import { linkObject } from "../../../src/bpf/link.ts";
import { type ObjectMap, openObject } from "../../../src/bpf/object.ts";
import { MapFlag, ProgType } from "../../../src/bpf/uapi.ts";
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

const specOf = (map: ObjectMap): MapSpec => ({
  name: map.kernelName, type: map.type, keySize: map.keySize, valueSize: map.valueSize, maxEntries: map.maxEntries, flags: map.flags, fields: map.fields,
  hasBtf: map.fields.length > 0, ...(map.inner === undefined ? {} : { inner: specOf(map.inner) }),
  ...(map.data !== undefined && map.flags & MapFlag.RDONLY_PROG ? { frozen: map.data } : {}),
});

/** The programs of objects, as they are linked here; those that attach to functions of the kernel are left out. */
export function objectSeeds(files: readonly { readonly path: string; readonly bytes: Uint8Array }[]): Seed[] {
  const seeds: Seed[] = [];
  for (const { path, bytes } of files) {
    const object = openObject(bytes, { name: "object" });
    for (const { program, insns, maps, functions, symbols } of linkObject(object, { btf: kernelBtf(), version: 0x061200, config: {} })) {
      const { type } = program;
      if (type === ProgType.UNSPEC || type === ProgType.TRACING || type === ProgType.LSM || type === ProgType.STRUCT_OPS || type === ProgType.EXT || symbols.size > 0) continue;
      seeds.push({
        name: `${path}:${program.name}`, type, attach: program.attachType, license: object.license, insns, functions: functions.map(({ slot }) => slot), withBtf: true,
        maps: [...maps].map(([slot, { map, value, addend }]) => ({ slot, map: object.maps.indexOf(map), kind: value ? "mapvalue" : "map", addend })),
        mapSpecs: object.maps.map(specOf),
      });
    }
  }
  return seeds;
}
