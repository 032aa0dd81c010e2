/** Cases with maps, helpers and tail calls in this machine's kernel and in every engine of ours. */
import { BPF_LD, BPF_IMM, BPF_DW, BPF_PSEUDO_FUNC, BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE, encodeInsns, isLddw } from "../../../src/bpf/insn.ts";
import type { JitMap } from "../../../src/bpf/jit/index.ts";
import { MapType } from "../../../src/bpf/uapi.ts";
import type { BpfMap, BpfMaps } from "../../../src/kernel/bpf-maps.ts";
import { createBpfMaps } from "../../../src/kernel/bpf-maps.ts";
import type { Host } from "../host/host.ts";
import { MAP_TYPES, PROGRAM_TYPES } from "../host/names.ts";
import { generate } from "./generate.ts";
import { HASH_KEYS, runInKernel, skbContext, u32Key } from "./kernel.ts";
import type { Loaded, Machine } from "./ours.ts";
import { difference, hex, type Outcome } from "./outcome.ts";
import { type FuzzCase, type FuzzMap, lower, type Lowered } from "./program.ts";
import type { Found, FuzzFigures } from "./raw.ts";
import { shrink } from "./shrink.ts";

/** Slots with addresses in place of maps, and slots in place of functions' distances; with it what the loader tells the kernel and the JIT. */
export function resolve(lowered: Pick<Lowered, "insns" | "relocs">, maps: readonly BpfMap[]): {
  bytes: Uint8Array; addresses: number[]; areas: { address: number; bytes: number }[]; jitMaps: Map<number, JitMap>;
} {
  const insns = lowered.insns.map((insn) => ({ ...insn }));
  const jitMaps = new Map<number, JitMap>();
  const areas = new Map<BpfMap, { address: number; bytes: number }>();
  const relocs = new Map(lowered.relocs.map((reloc) => [reloc.slot, reloc]));
  for (let slot = 0; slot < insns.length; slot++) {
    const insn = insns[slot]!;
    if (!isLddw(insn)) continue;
    const reloc = relocs.get(slot);
    if (reloc !== undefined && (insn.src === BPF_PSEUDO_MAP_FD || insn.src === BPF_PSEUDO_MAP_VALUE)) {
      const map = maps[reloc.map]!;
      if (reloc.kind === "map") jitMaps.set(slot, jitMapOf(map));
      else areas.set(map, { address: map.data, bytes: map.dataBytes });
      insns[slot] = { code: BPF_LD | BPF_IMM | BPF_DW, dst: insn.dst, src: 0, off: 0, imm: (reloc.kind === "map" ? map.address : map.data + reloc.addend) | 0 };
      insns[slot + 1] = { code: 0, dst: 0, src: 0, off: 0, imm: 0 };
    } else if (insn.src === BPF_PSEUDO_FUNC) insns[slot] = { ...insn, imm: slot + 1 + insn.imm };
    slot++;
  }
  return { bytes: encodeInsns(insns), addresses: maps.map(({ address }) => address), areas: [...areas.values()], jitMaps };
}

function jitMapOf(map: BpfMap): JitMap {
  const { keySize, valueSize, data, stride, maxEntries } = map;
  const array = (map.type === MapType.ARRAY || map.type === MapType.PERCPU_ARRAY) && data !== 0;
  return { keySize, valueSize, ...(array ? { array: { data, stride, entries: maxEntries } } : {}) };
}

const driver = new WeakMap<Machine, BpfMaps>();

export function mapsOf(machine: Machine): BpfMaps {
  let maps = driver.get(machine);
  if (maps === undefined) driver.set(machine, maps = createBpfMaps(machine.context));
  return maps;
}

export function runOurs(machine: Machine, fuzzCase: FuzzCase, lowered: readonly Lowered[]): Outcome {
  const maps = fuzzCase.maps.map((map) => mapsOf(machine).create({
    type: MAP_TYPES[map.type]!, keySize: map.key, valueSize: map.value, maxEntries: map.entries, flags: map.flags ?? 0,
  }));
  const loaded: Loaded[] = [];
  try {
    fuzzCase.maps.forEach((map, n) => {
      for (const [key, value] of map.content) maps[n]!.update(key, value);
    });
    for (const one of lowered) {
      const { bytes, addresses, areas, jitMaps } = resolve(one, maps);
      loaded.push(machine.load(PROGRAM_TYPES[one.type]!, bytes, { maps: addresses, areas, jitMaps }));
    }
    const progs = maps[fuzzCase.maps.findIndex(({ type }) => type === "prog_array")];
    loaded.slice(1).forEach(({ program }, index) => progs!.updateHandle(u32Key(index), program.handle));
    const runs = fuzzCase.packets.map((data) => {
      const { retval, data: after, ctx } = machine.testRun(loaded[0]!.program, { data, ...(lowered[0]!.type === "sched_cls" ? { ctx: skbContext() } : {}) });
      return { retval, data: hex(after), ctx: hex(ctx.subarray(0, 68)) };
    });
    return { runs, maps: Object.fromEntries(fuzzCase.maps.map((map, n) => [`${n} ${map.type}`, dump(map, maps[n]!)])) };
  } finally {
    // The prog array holds programs that hold it.
    const progs = fuzzCase.maps.findIndex(({ type }) => type === "prog_array");
    loaded.slice(1).forEach((_, index) => maps[progs]?.delete(u32Key(index)));
    for (const each of loaded) each.free();
    for (const map of maps) map.close();
  }
}

function dump(map: FuzzMap, ours: BpfMap): string[] {
  const line = (key: Uint8Array, value: Uint8Array | undefined): string[] => (value === undefined ? [] : [`${hex(key)}: ${hex(value.subarray(0, map.value))}`]);
  const indices = Array.from({ length: map.entries }, (_, n) => u32Key(n));
  switch (map.type) {
    case "array":
    case "percpu_array":
      return indices.flatMap((key) => line(key, ours.lookup(key)));
    case "hash":
    case "lru_hash":
    case "percpu_hash":
      return HASH_KEYS.flatMap((key) => line(key, ours.lookup(key)));
    case "queue":
    case "stack":
      return indices.flatMap(() => line(new Uint8Array(0), ours.lookupAndDelete(new Uint8Array(0))));
    case "lpm_trie":
      return [...ours.elements()].flatMap(({ key, value }) => line(key, value)).sort();
    case "ringbuf": {
      const records: string[] = [];
      ours.consume((record) => records.push(hex(record)));
      return records;
    }
    default:
      return [];
  }
}

/** A difference without its values: what must not change while a case is made small. */
const kindOf = (how: string): string => how.replace(/^(run \d+: \w+|map \d+ \w+).*/s, "$1").replace(/\d+/g, "N");

export function fuzzRuns(options: {
  host: Host; careful: Host; machines: readonly Machine[]; seed: number; first: number; programs: number; until: () => boolean;
  onFound: (found: Found) => void;
}): FuzzFigures {
  const { host, careful, machines } = options;
  const figures = { programs: 0, refused: 0, differ: 0, missing: 0 };
  const missing = new Map<string, number>();
  const differs = (machine: Machine, fuzzCase: FuzzCase, lowered: readonly Lowered[], want: Outcome): string | undefined => {
    try {
      return difference(want, runOurs(machine, fuzzCase, lowered));
    } catch (error) {
      return String((error as Error).message);
    }
  };
  for (let number = options.first; figures.programs < options.programs && !options.until(); number++) {
    const fuzzCase = generate(options.seed, number);
    const lowered = fuzzCase.programs.map(lower);
    const want = runInKernel(host, fuzzCase, lowered);
    if ("refused" in want) {
      figures.refused++;
      continue;
    }
    figures.programs++;
    const apart = machines.flatMap((machine) => {
      const how = differs(machine, fuzzCase, lowered, want);
      return how === undefined ? [] : [{ machine, how }];
    });
    const helper = /invalid (?:func|kfunc).*#\d+/.exec(apart[0]?.how ?? "")?.[0];
    if (helper !== undefined) {
      figures.missing++;
      missing.set(helper, (missing.get(helper) ?? 0) + 1);
      continue;
    }
    figures.differ += apart.length;
    // One of them is made small; the others mostly have the same reason.
    for (const { machine, how } of apart.slice(0, 1)) {
      // Without CAP_PERFMON no pointer becomes a result, and nothing is read that was not written.
      const judge = "refused" in runInKernel(careful, fuzzCase, lowered) ? host : careful;
      const attempt = (candidate: FuzzCase): string | undefined => {
        const smaller = candidate.programs.map(lower);
        const answer = runInKernel(judge, candidate, smaller);
        const apartNow = "refused" in answer ? undefined : differs(machine, candidate, smaller, answer);
        return apartNow !== undefined && kindOf(apartNow) === kindOf(how) ? apartNow : undefined;
      };
      let small = fuzzCase;
      for (const packet of fuzzCase.packets) {
        if (small.packets.length > 1 && attempt({ ...fuzzCase, packets: [packet] }) !== undefined) small = { ...fuzzCase, packets: [packet] };
      }
      if (small.programs.length > 1 && attempt({ ...small, programs: small.programs.slice(0, 1) }) !== undefined) small = { ...small, programs: small.programs.slice(0, 1) };
      for (let n = small.programs.length - 1; n >= 0; n--) {
        const program = shrink(small.programs[n]!, (candidate) => attempt({ ...small, programs: small.programs.with(n, candidate) }) !== undefined);
        small = { ...small, programs: small.programs.with(n, program) };
      }
      options.onFound({
        name: fuzzCase.name, engine: apart.map((each) => each.machine.engine).join(", "), difference: `${attempt(small)} (${how})`, program: hex(lower(small.programs[0]!).bytes),
        more: small.programs.slice(1).map((each) => hex(lower(each).bytes)), packets: small.packets.map(hex),
        content: small.maps.map(({ type, content }) => ({ type, content: content.map(([key, value]) => `${hex(key)}: ${hex(value)}`) })),
      });
    }
  }
  return { ...figures, ...(missing.size === 0 ? {} : { helpers: Object.fromEntries(missing) }) };
}
