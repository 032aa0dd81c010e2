// Verifier questions in the form of the protocol's recordings: {type, attach, license, caps, maps, relocs, program_hex}.

import { decodeInsns } from "../../../src/bpf/insn.ts";
import { MapType, ProgType } from "../../../src/bpf/uapi.ts";
import type { MapSpec, ProgramSpec } from "../../../src/bpf/verifier/types.ts";

export interface RecordedMap {
  readonly type: string;
  readonly key: number;
  readonly value: number;
  readonly entries: number;
  readonly flags?: number;
  readonly spin_lock?: number;
  readonly timer?: number;
}

export interface RecordedProgram {
  readonly name: string;
  readonly type: string;
  readonly attach: number;
  readonly license: string;
  readonly maps: Readonly<Record<string, RecordedMap>>;
  readonly relocs: readonly { slot: number; kind: string; name: string; addend: number }[];
  readonly program_hex: string;
}

const byName = (numbers: Readonly<Record<string, number>>, name: string): number => {
  const number = numbers[name.toUpperCase()];
  if (number === undefined) throw new Error(`no ${name}`);
  return number;
};

function mapSpec(name: string, map: RecordedMap): MapSpec {
  const fields = [
    ...(map.spin_lock === undefined ? [] : [{ kind: "spin_lock" as const, offset: map.spin_lock, size: 4 }]),
    ...(map.timer === undefined ? [] : [{ kind: "timer" as const, offset: map.timer, size: 16 }]),
  ];
  return {
    name, type: byName(MapType, map.type) as MapType, keySize: map.key, valueSize: map.value, maxEntries: map.entries,
    flags: map.flags ?? 0, ...(fields.length > 0 ? { fields, hasBtf: true } : {}),
  };
}

/** The program as the verifier takes it. */
export function programSpec(recorded: RecordedProgram, caps: "all" | "bpf"): ProgramSpec {
  const insns = decodeInsns(new Uint8Array(Buffer.from(recorded.program_hex, "hex")));
  const specs = new Map(Object.entries(recorded.maps).map(([name, map]) => [name, mapSpec(name, map)]));
  const maps = new Map<number, MapSpec>();
  for (const reloc of recorded.relocs) {
    maps.set(reloc.slot, specs.get(reloc.name)!);
    insns[reloc.slot]!.src = reloc.kind === "map" ? 1 : 2;
    if (reloc.kind !== "map") insns[reloc.slot + 1]!.imm = reloc.addend;
  }
  return { type: byName(ProgType, recorded.type) as ProgType, attachType: recorded.attach, license: recorded.license, insns, maps, caps };
}
