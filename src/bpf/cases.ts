/**
 * The object and verifier protocol of test suites: cases that load an object, set maps, run programs and look at what came of it, and
 * programs of which only the verifier's verdict is asked. All bytes are hex.
 */
import type { BpfMap } from "../kernel/bpf-maps.ts";
import { createNodeKernel } from "../kernel/kernel.ts";
import type { KernelInstance } from "../kernel/memory.ts";
import { manualClock } from "../replay/clock.ts";
import { BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE, decodeInsns } from "./insn.ts";
import { kernelTarget } from "./kernel-btf.ts";
import { linkObject } from "./link.ts";
import { loadObject, nodeMaps, programSpec, type BpfEngine, type LoadedObject } from "./load.ts";
import { openObject, type BpfObject } from "./object.ts";
import { progTypeOf } from "./sections.ts";
import { MapType, type MapType as AnyMapType } from "./uapi.ts";
import { verify } from "./verifier/index.ts";
import type { MapSpec, VerifyResult } from "./verifier/types.ts";

/** Bytes for a variable before the object is loaded: `offset` into its section, or into `symbol`. */
export interface CaseGlobal {
  readonly section: string;
  readonly symbol?: string;
  readonly offset?: number;
  readonly value: string;
}

export interface CaseMapSet {
  readonly map: string;
  readonly key: string;
  readonly value?: string;
  /** Name of a program or of a map, in place of a value. */
  readonly prog?: string;
  readonly inner?: string;
}

export interface CaseStep {
  readonly prog: string;
  readonly hook?: string;
  readonly data_in?: string;
  readonly ctx_in?: string;
  readonly repeat?: number;
}

export interface ObjectCase {
  readonly globals?: readonly CaseGlobal[];
  readonly map_set?: readonly CaseMapSet[];
  readonly steps: readonly CaseStep[];
}

export interface CaseElement {
  readonly key?: string;
  readonly value: string;
}

export interface CaseAnswer {
  readonly steps: readonly { readonly retval: number; readonly data_out: string; readonly ctx_out: string }[];
  readonly maps: Readonly<Record<string, readonly CaseElement[]>>;
  readonly ringbuf: Readonly<Record<string, readonly string[]>>;
}

export interface CaseOptions {
  readonly engine?: BpfEngine;
  readonly checked?: boolean;
  readonly verify?: boolean;
}

/** A program for the verifier alone. */
export interface VerdictRequest {
  readonly type: string;
  readonly attach?: number;
  readonly license?: string;
  readonly caps?: "all" | "bpf";
  readonly maps?: Readonly<Record<string, VerdictMap>>;
  readonly relocs?: readonly { readonly slot: number; readonly kind: "map" | "mapvalue"; readonly name: string; readonly addend?: number }[];
  readonly program: string;
}

export interface VerdictMap {
  readonly type: string;
  readonly key?: number;
  readonly value?: number;
  readonly entries?: number;
  readonly flags?: number;
  readonly spin_lock?: number;
  readonly timer?: number;
  readonly inner?: VerdictMap;
}

export interface Verdict {
  readonly verdict: "accept" | "reject";
  readonly message: string;
}

/** Time that passes between two steps, and after the last: timers that were started run then. */
const BETWEEN_STEPS_NS = 10_000_000;
const START_NS = 1_000_000_000;

export const toHex = (bytes: Uint8Array): string => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** Bytes of hex digits, blanks skipped. Throws an Error naming `what`. */
export function fromHex(text: string, what: string): Uint8Array {
  const digits = text.replace(/\s+/g, "");
  if (digits.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(digits)) throw new Error(`${what}: not hex digits`);
  const bytes = new Uint8Array(digits.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

/** Of the machine that cases are recorded on: an LRU hands out free elements by it (bpf_lru_list.c target_free). Programs run on CPU 0. */
const POSSIBLE_CPUS = 2;

/** Runs one case on a fresh node. Throws what the object, a map or a run was refused for. */
export function runCase(instance: KernelInstance, elf: Uint8Array, name: string, given: ObjectCase, options: CaseOptions = {}): CaseAnswer {
  const clock = manualClock();
  clock.set(START_NS);
  const kernel = createNodeKernel(instance, { name: "node", seed: 1, clock: clock.clock });
  try {
    nodeMaps(kernel.context).setCpus(POSSIBLE_CPUS);
    const object = openObject(elf, { name });
    for (const global of given.globals ?? []) setGlobal(object, global);
    const loaded = loadObject(kernel.context, object, options);
    for (const set of given.map_set ?? []) setElement(loaded, set);
    let now = START_NS;
    const steps = given.steps.map((step) => {
      const outcome = runStep(loaded, step);
      now += BETWEEN_STEPS_NS;
      clock.set(now);
      kernel.runUntil(now);
      return outcome;
    });
    return { steps, maps: listMaps(loaded), ringbuf: listRings(loaded) };
  } finally {
    kernel.destroy();
  }
}

function setGlobal(object: BpfObject, { section, symbol, offset = 0, value }: CaseGlobal): void {
  const map = object.maps.find((candidate) => candidate.kind !== "user" && candidate.name === section);
  if (map?.data === undefined) throw new Error(`globals: no section ${section}`);
  const bytes = fromHex(value, "globals");
  const at = placeOf(object, section, symbol, offset, bytes.length);
  if (at + bytes.length > map.data.length) throw new Error(`globals: offset ${offset} of ${section} is out of it`);
  map.data.set(bytes, at);
}

/** Offsets count from the symbol, in whatever object it is; without one, or out of it, from the section's start. */
function placeOf(object: BpfObject, section: string, name: string | undefined, offset: number, length: number): number {
  if (name === undefined) return offset;
  const index = object.sections.findIndex((candidate) => candidate.name === section);
  const symbol = object.symbols.find((candidate) => candidate.name === name && candidate.section === index);
  return symbol === undefined || offset + length > symbol.size ? offset : symbol.value + offset;
}

function mapOf(loaded: LoadedObject, name: string): BpfMap {
  const map = loaded.maps.get(name);
  if (map === undefined) throw new Error(`no map ${name}`);
  return map;
}

function setElement(loaded: LoadedObject, { map: name, key, value, prog, inner }: CaseMapSet): void {
  const map = mapOf(loaded, name);
  const keyBytes = fromHex(key, "key");
  if (prog !== undefined) {
    const program = loaded.programs.get(prog);
    if (program === undefined) throw new Error(`no program ${prog}`);
    map.updateHandle(keyBytes, program.kernel.handle);
  } else if (inner !== undefined) map.updateHandle(keyBytes, mapOf(loaded, inner).handle);
  else {
    const bytes = fromHex(value ?? "", "value");
    map.update(keyBytes, isPerCpu(map.type) ? forAllCpus(map, bytes) : bytes);
  }
}

const isPerCpu = (type: number): boolean => type === MapType.PERCPU_HASH || type === MapType.PERCPU_ARRAY || type === MapType.LRU_PERCPU_HASH;

function forAllCpus(map: BpfMap, value: Uint8Array): Uint8Array {
  const each = (map.valueSize + 7) & ~7;
  const all = new Uint8Array(map.valueBytes);
  for (let at = 0; at < all.length; at += each) all.set(value, at);
  return all;
}

function runStep(loaded: LoadedObject, { prog, data_in, ctx_in, repeat }: CaseStep): CaseAnswer["steps"][number] {
  const program = loaded.programs.get(prog);
  if (program === undefined) throw new Error(`no program ${prog}`);
  const { retval, dataOut, ctxOut, fault } = program.testRun({
    ...(data_in === undefined ? {} : { dataIn: fromHex(data_in, "data_in") }), ...(ctx_in === undefined ? {} : { ctxIn: fromHex(ctx_in, "ctx_in") }),
    ...(repeat === undefined ? {} : { repeat }),
  });
  if (fault !== undefined) throw new Error(`${prog}: ${fault.message}`);
  return { retval, data_out: toHex(dataOut), ctx_out: toHex(ctxOut) };
}

const UNLISTED = new Set<number>([
  MapType.PROG_ARRAY, MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS, MapType.RINGBUF, MapType.USER_RINGBUF, MapType.BLOOM_FILTER, MapType.PERF_EVENT_ARRAY,
  MapType.SOCKMAP, MapType.SOCKHASH, MapType.REUSEPORT_SOCKARRAY, MapType.SK_STORAGE, MapType.TASK_STORAGE, MapType.INODE_STORAGE, MapType.CGRP_STORAGE,
  MapType.CGROUP_STORAGE, MapType.PERCPU_CGROUP_STORAGE, MapType.CGROUP_ARRAY, MapType.XSKMAP, MapType.STRUCT_OPS, MapType.ARENA,
]);
const isArray = (type: number): boolean =>
  type === MapType.ARRAY || type === MapType.PERCPU_ARRAY || type === MapType.DEVMAP || type === MapType.CPUMAP || type === MapType.STACK_TRACE;

function listMaps(loaded: LoadedObject): Record<string, CaseElement[]> {
  const listed: Record<string, CaseElement[]> = {};
  for (const map of loaded.object.maps) {
    const made = loaded.maps.get(map.name);
    if (made === undefined || UNLISTED.has(map.type) || map.kind === "rodata" || map.kind === "kconfig") continue;
    listed[map.name] = elementsOf(made);
  }
  return listed;
}

/** The elements of a map as the protocol lists them; of queues and stacks they are taken out. */
export function elementsOf(map: BpfMap): CaseElement[] {
  if (map.type === MapType.QUEUE || map.type === MapType.STACK) {
    const values: CaseElement[] = [];
    for (let value = map.lookupAndDelete(new Uint8Array(0)); value !== undefined; value = map.lookupAndDelete(new Uint8Array(0))) values.push({ value: toHex(value) });
    return values;
  }
  const elements: { readonly key: string; readonly value: string }[] = [];
  for (const { key, value } of map.elements()) {
    const own = isPerCpu(map.type) ? value.subarray(0, map.valueSize) : value;
    if (!isArray(map.type) || own.some((byte) => byte !== 0)) elements.push({ key: toHex(key), value: toHex(own) });
  }
  return isArray(map.type) ? elements : elements.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
}

function listRings(loaded: LoadedObject): Record<string, string[]> {
  const rings: Record<string, string[]> = {};
  for (const [name, map] of loaded.maps) {
    if (map.type !== MapType.RINGBUF) continue;
    const records: string[] = [];
    map.consume((record) => records.push(toHex(record)));
    rings[name] = records;
  }
  return rings;
}

/** Whether the verifier takes a program. Throws an Error for a question that makes no sense. */
export function verdictOf(request: VerdictRequest): VerifyResult {
  const type = progTypeOf(request.type);
  if (type === undefined) throw new Error(`unknown program type ${request.type}`);
  const specs = new Map(Object.entries(request.maps ?? {}).map(([name, map]) => [name, mapSpec(name, map)]));
  const insns = decodeInsns(fromHex(request.program, "program"));
  const maps = new Map<number, MapSpec>();
  for (const { slot, kind, name, addend = 0 } of request.relocs ?? []) {
    const spec = specs.get(name);
    const insn = insns[slot];
    const next = insns[slot + 1];
    if (spec === undefined || insn === undefined || next === undefined) throw new Error(`relocs: slot ${slot}, map ${name}`);
    insn.src = kind === "map" ? BPF_PSEUDO_MAP_FD : BPF_PSEUDO_MAP_VALUE;
    if (kind === "mapvalue") next.imm = addend;
    maps.set(slot, spec);
  }
  return verify({ type, attachType: request.attach ?? 0, license: request.license ?? "GPL", insns, maps, caps: request.caps ?? "all" }, {
    logLevel: 1, kernelBtf: kernelTarget().btf,
  });
}

function mapSpec(name: string, map: VerdictMap): MapSpec {
  const type: AnyMapType | undefined = Object.hasOwn(MapType, map.type.toUpperCase()) ? MapType[map.type.toUpperCase() as keyof typeof MapType] : undefined;
  if (type === undefined) throw new Error(`map ${name}: unknown type ${map.type}`);
  const fields = [
    ...(map.spin_lock === undefined ? [] : [{ kind: "spin_lock" as const, offset: map.spin_lock, size: 4 }]),
    ...(map.timer === undefined ? [] : [{ kind: "timer" as const, offset: map.timer, size: 16 }]),
  ].sort((a, b) => a.offset - b.offset);
  return {
    name, type, keySize: map.key ?? 0, valueSize: map.value ?? 0, maxEntries: map.entries ?? 0, flags: map.flags ?? 0, fields, hasBtf: fields.length > 0,
    ...(map.inner === undefined ? {} : { inner: mapSpec(`${name}.inner`, map.inner) }),
  };
}

/** Whether all programs of an object pass. Throws BpfObjectError when it cannot be opened or linked. */
export function verdictOfObject(elf: Uint8Array, name: string): Verdict {
  for (const { name: program, result } of verdictsOf(openObject(elf, { name }))) {
    if (result.verdict === "reject") return { verdict: "reject", message: `${program}: ${result.message}` };
  }
  return { verdict: "accept", message: "" };
}

/** The verifier's word on every program of an object, without loading any. Throws BpfObjectError when it cannot be linked. */
export function verdictsOf(object: BpfObject, options: { readonly caps?: "all" | "bpf"; readonly logLevel?: number } = {}): ProgramVerdict[] {
  const target = kernelTarget();
  const specs = new Map(object.maps.map((map) => [map, objectMapSpec(object, map)]));
  return linkObject(object, target).map((linked) => {
    const spec = programSpec(object, linked, specs, target, options.caps ?? "all");
    return { name: linked.program.name, type: linked.program.type, result: verify(spec, { logLevel: options.logLevel ?? 1, kernelBtf: target.btf }) };
  });
}

export interface ProgramVerdict {
  readonly name: string;
  readonly type: number;
  readonly result: VerifyResult;
}

function objectMapSpec(object: BpfObject, map: BpfObject["maps"][number]): MapSpec {
  const frozen = map.kind === "rodata" ? map.data : undefined;
  return {
    name: map.kernelName, type: map.type, keySize: map.keySize, valueSize: map.valueSize, maxEntries: map.maxEntries, flags: map.flags, fields: map.fields,
    hasBtf: object.btf !== undefined, ...(frozen === undefined ? {} : { frozen }), ...(map.inner === undefined ? {} : { inner: objectMapSpec(object, map.inner) }),
  };
}
