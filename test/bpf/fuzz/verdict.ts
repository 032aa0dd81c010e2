/** Mutated programs before two verifiers: this machine's kernel and ours. */
import { encodeInsns, isLddw, BPF_PSEUDO_FUNC, BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE, type Insn } from "../../../src/bpf/insn.ts";
import type { BtfTypes, MapSpec, ProgramSpec, VerifyResult } from "../../../src/bpf/verifier/types.ts";
import { type Dice, dice } from "../../kernel/fuzz/random.ts";
import { functionBtf } from "../host/function-btf.ts";
import { ERRNO, MAP_TYPES, PROGRAM_TYPES } from "../host/names.ts";
import type { Host, HostMap } from "../host/host.ts";
import { type Mutable, mutate } from "./mutate.ts";

/** A program to start from, with the maps it may name. */
export interface Seed extends Mutable {
  readonly name: string;
  readonly type: number;
  readonly attach: number;
  readonly license: string;
  readonly mapSpecs: readonly MapSpec[];
  /** Whether functions have BTF of their own (made here: static, no arguments known). */
  readonly withBtf: boolean;
}

export interface Verdict {
  readonly accepted: boolean;
  readonly errno: string;
  /** Why: the last line of the log before its statistics. */
  readonly message: string;
}

export interface Disagreement {
  readonly number: number;
  readonly seed: string;
  readonly kernel: Verdict;
  readonly ours: Verdict;
  readonly program: Uint8Array;
  readonly caps: "all" | "bpf";
  readonly log: string;
}

/** What stands behind the reason. */
const BEHIND = ["processed ", "verification time", "stack depth", "mark_precise", "cur state:", "old state:"];

/** The reason in a log of level 1. */
export function reasonOf(log: string): string {
  const lines = log.trimEnd().split("\n").filter((line) => !BEHIND.some((start) => line.startsWith(start)));
  // Linux ends one of them without a new line.
  return (lines.at(-1) ?? "").replace(/processed \d+ insns.*$/, "");
}

/** A message without its numbers, to count by. */
export const shapeOf = (message: string): string => message.replace(/-?\b0x[0-9a-f]+|-?\b\d+/g, "N").replace(/\b(R|fp-?)N/g, "$1N");

const hostMap = (map: MapSpec): HostMap => {
  const lock = map.fields?.find(({ kind }) => kind === "spin_lock");
  return {
    type: map.type, key: map.keySize, value: map.valueSize, entries: map.maxEntries, flags: map.flags, name: map.name,
    ...(lock === undefined ? {} : { spinLock: lock.offset }),
  };
};

/** The maps of a seed in the host. Maps of maps get their template's descriptor. */
export function hostMaps(host: Host, specs: readonly MapSpec[]): number[] {
  return specs.map((spec) => {
    const innerFd = spec.inner === undefined ? undefined : host.createMap(hostMap(spec.inner));
    const fd = host.createMap({ ...hostMap(spec), ...(innerFd === undefined ? {} : { innerFd }) });
    if (spec.frozen !== undefined) {
      host.update(fd, new Uint8Array(4), spec.frozen);
      host.freeze(fd);
    }
    if (innerFd !== undefined) host.close(innerFd);
    return fd;
  });
}

/** Whether every `lddw` that names something has it. */
export function complete({ insns, maps }: Mutable): boolean {
  const named = new Set(maps.map(({ slot }) => slot));
  for (let slot = 0; slot < insns.length; slot++) {
    const insn = insns[slot]!;
    if (!isLddw(insn)) continue;
    if (insn.src > 6 || (insn.src > 0 && insn.src !== BPF_PSEUDO_FUNC && !named.has(slot))) return false;
    slot++;
  }
  return true;
}

/** The places of maps in the slots themselves. */
function withMaps(program: Mutable): Mutable {
  const insns = program.insns.slice();
  const maps = program.maps.filter(({ slot }) => insns[slot] !== undefined && isLddw(insns[slot]!));
  for (const { slot, kind } of maps) insns[slot] = { ...insns[slot]!, src: kind === "map" ? BPF_PSEUDO_MAP_FD : BPF_PSEUDO_MAP_VALUE };
  return { ...program, insns, maps };
}

export function kernelVerdict(host: Host, seed: Seed, program: Mutable, fds: readonly number[], level = 1): Verdict & { log: string } {
  const { btf, funcInfo } = functionBtf(program.functions);
  const btfFd = seed.withBtf ? host.loadBtf(btf).fd : 0;
  const { fd, errno, log } = host.load({
    type: seed.type, attach: seed.attach, license: seed.license, insns: encodeInsns(program.insns), logLevel: level,
    relocs: program.maps.map(({ slot, kind, map, addend }) => ({ slot, kind, fd: fds[map]!, addend })),
    ...(seed.withBtf ? { btfFd, funcInfo } : {}),
  });
  host.close(fd, ...(seed.withBtf ? [btfFd] : []));
  return { accepted: fd >= 0, errno: errno === 0 ? "" : (ERRNO[errno] ?? String(errno)), message: fd >= 0 ? "" : reasonOf(log), log };
}

/** What `functionBtf` says, for our verifier. */
const btfTypes = (functions: readonly number[]): BtfTypes => ({
  types: [
    undefined, { kind: 1, name: "int", size: 4 }, { kind: 13, name: "", type: 1, params: [] },
    ...functions.map((_, n) => ({ kind: 12, name: `f${n}`, type: 2, linkage: 0 })),
  ],
});

export function programSpec(seed: Seed, program: Mutable, caps: "all" | "bpf"): ProgramSpec {
  const insns: Insn[] = program.insns.map((insn) => ({ ...insn }));
  // As the kernel is given them: the value's offset in the second half.
  for (const { slot, kind, addend } of program.maps) insns[slot + 1] = { ...insns[slot + 1]!, imm: kind === "map" ? 0 : addend };
  return {
    type: seed.type as ProgramSpec["type"], attachType: seed.attach, license: seed.license, insns, caps,
    maps: new Map(program.maps.map(({ slot, map }) => [slot, seed.mapSpecs[map]!])),
    ...(seed.withBtf ? { btf: btfTypes(program.functions), funcInfo: program.functions.map((slot, n) => ({ slot, type: 3 + n })) } : {}),
  };
}

export interface VerdictFuzz {
  readonly hosts: { readonly all: Host; readonly bpf: Host };
  readonly verify: (spec: ProgramSpec) => VerifyResult;
  readonly seeds: readonly Seed[];
  readonly seed: number;
  readonly first: number;
  readonly programs: number;
  readonly until: () => boolean;
  /** One in so many is asked without CAP_PERFMON. */
  readonly bpfOneIn?: number;
  readonly onDisagreement?: (disagreement: Disagreement) => void;
}

export interface VerdictFigures {
  programs: number;
  accepted: number;
  agreed: number;
  /** Both refuse, in the same words. */
  sameMessage: number;
  refused: number;
  sameErrno: number;
}

/** Makes a mutant: which seed and what of it is left. */
export function mutant(seeds: readonly Seed[], seed: number, number: number): { seed: Seed; program: Mutable; d: Dice } {
  const d = dice(seed, number, 77);
  const chosen = d.pick(seeds);
  let program: Mutable = withMaps(chosen);
  for (let n = d.weighted([[1, 0], [10, 1], [5, 2], [2, 3], [1, 6]]); n > 0; n--) program = withMaps(mutate(d, program, chosen.mapSpecs.length));
  return { seed: chosen, program, d };
}

export function fuzzVerdicts(options: VerdictFuzz): { figures: VerdictFigures; disagreements: Disagreement[]; messages: Map<string, number> } {
  const { hosts, verify, seeds } = options;
  const figures: VerdictFigures = { programs: 0, accepted: 0, agreed: 0, sameMessage: 0, refused: 0, sameErrno: 0 };
  const disagreements: Disagreement[] = [];
  const messages = new Map<string, number>();
  const fds = new Map<Seed, { all: number[]; bpf: number[] }>();
  for (let number = options.first; figures.programs < options.programs && !options.until(); number++) {
    const { seed, program, d } = mutant(seeds, options.seed, number);
    if (!complete(program) || program.insns.length === 0) continue;
    const caps = options.bpfOneIn !== undefined && d.once(options.bpfOneIn) ? "bpf" : "all";
    let maps = fds.get(seed);
    if (maps === undefined) fds.set(seed, maps = { all: hostMaps(hosts.all, seed.mapSpecs), bpf: hostMaps(hosts.bpf, seed.mapSpecs) });
    const kernel = kernelVerdict(hosts[caps], seed, program, maps[caps]);
    // Not enough memory for states, or the program is beyond what either walks in a second: no verdict.
    if (kernel.errno === "ENOMEM") continue;
    const result = verify(programSpec(seed, program, caps));
    const ours: Verdict = {
      accepted: result.verdict === "accept", errno: result.errno ?? "", message: result.log === "" ? result.message : reasonOf(result.log) || result.message,
    };
    figures.programs++;
    if (kernel.accepted) figures.accepted++;
    else figures.refused++;
    if (kernel.accepted === ours.accepted) {
      figures.agreed++;
      if (!kernel.accepted) {
        if (kernel.message === ours.message) figures.sameMessage++;
        else {
          const pair = `${shapeOf(kernel.message)}  |  ${shapeOf(ours.message)}`;
          messages.set(pair, (messages.get(pair) ?? 0) + 1);
        }
        if (kernel.errno === ours.errno) figures.sameErrno++;
      }
      continue;
    }
    const disagreement: Disagreement = {
      number, seed: seed.name, kernel: { accepted: kernel.accepted, errno: kernel.errno, message: kernel.message }, ours, caps, log: result.log,
      program: encodeInsns(program.insns),
    };
    disagreements.push(disagreement);
    options.onDisagreement?.(disagreement);
  }
  return { figures, disagreements, messages };
}

/** The numbers of uapi by the names of recordings. */
export const programType = (name: string): number => PROGRAM_TYPES[name] ?? 0;
export const mapType = (name: string): number => MAP_TYPES[name] ?? 0;
