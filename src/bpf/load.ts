/**
 * An object into a kernel: maps made and filled, programs linked, verified, loaded and compiled, prog arrays and maps of maps given their
 * initial values. The order is libbpf's (tools/lib/bpf/libbpf.c, bpf_object_load). What fails leaves nothing behind: what was made before is
 * closed again.
 */
import { sha1 } from "@noble/hashes/legacy.js";
import { BPF_SLOT_PROBE } from "../../assembly/abi/bpf.ts";
import { createBpfMaps, type BpfMap, type BpfMaps } from "../kernel/bpf-maps.ts";
import { createBpfPrograms, type BpfProgram, type BpfTestRunOptions, type BpfTestRunResult } from "../kernel/bpf.ts";
import type { NodeContext } from "../kernel/context.ts";
import { KernelError } from "../kernel/netns.ts";
import { attachTarget } from "./attach-target.ts";
import { BpfObjectError, errnoText, type LoadErrno } from "./errors.ts";
import { kconfigData } from "./externs.ts";
import { BPF_JA, BPF_JMP, BPF_LDX, BPF_PSEUDO_FUNC, BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE, bpfClass, encodeInsns, isLddw, type Insn } from "./insn.ts";
import { jit, type JitState } from "./jit/install.ts";
import type { JitMap } from "./jit/index.ts";
import { kernelTarget } from "./kernel-btf.ts";
import { linkObject, type LinkedProgram, type LinkTarget } from "./link.ts";
import { openObject, type BpfObject, type ObjectMap, type ObjectProgram, type OpenOptions } from "./object.ts";
import { sectionDef } from "./sections.ts";
import { MapFlag, MapType, ProgFlag, ProgType } from "./uapi.ts";
import { verify } from "./verifier/index.ts";
import type { MapSpec, ProgramSpec, VerifyResult } from "./verifier/types.ts";

export type BpfEngine = "interpreter" | "jit";

export interface LoadOptions extends OpenOptions {
  /** "jit" compiles programs where the runtime allows it, and says where it does not (LoadedProgram.notCompiled). */
  readonly engine?: BpfEngine;
  /** Every access to memory is checked again while programs run, whatever the verifier proved. */
  readonly checked?: boolean;
  /** False: programs are not verified, and run checked. */
  readonly verify?: boolean;
  /** What the loading process may do: everything, or CAP_BPF and CAP_NET_ADMIN without CAP_PERFMON. */
  readonly caps?: "all" | "bpf";
  /** Of the verifier: 1, 2, 4. */
  readonly logLevel?: number;
  /** What programs are relocated against; the simulated kernel. */
  readonly target?: LinkTarget;
  /** Maps pinned by name, by path: taken from here when they are there, added when not. Several objects of a node may share it. */
  readonly pins?: Map<string, BpfMap>;
  /** Takes the place of a map of the object (bpf_map__reuse_fd), by name. */
  readonly reuse?: ReadonlyMap<string, BpfMap>;
}

export interface LoadedProgram {
  readonly name: string;
  readonly section: string;
  readonly type: ProgType;
  readonly attachType: number;
  /** Function, tracepoint … of the section's name. */
  readonly attachTo: string | undefined;
  readonly kernel: BpfProgram;
  readonly engine: BpfEngine;
  /** Why it is interpreted although compiled code was asked for. */
  readonly notCompiled: string | undefined;
  /** Slots with subprograms, as the verifier saw them. */
  readonly linked: LinkedProgram;
  /** undefined: it was not verified. */
  readonly verified: VerifyResult | undefined;
  /** Eight bytes in hex, of the instructions: as `bpftool prog` has it. */
  readonly tag: string;
  /** BPF_PROG_TEST_RUN. */
  testRun(options?: BpfTestRunOptions): BpfTestRunResult;
}

export interface LoadedObject {
  readonly object: BpfObject;
  /** By name; data sections under theirs. */
  readonly maps: ReadonlyMap<string, BpfMap>;
  readonly programs: ReadonlyMap<string, LoadedProgram>;
  /** Ends programs and maps that nothing else holds. */
  close(): void;
}

const mapsOf = new WeakMap<NodeContext, BpfMaps>();

/** The maps of a node: one object for each, whoever asks. */
export function nodeMaps(context: NodeContext): BpfMaps {
  let maps = mapsOf.get(context);
  if (maps === undefined) {
    maps = createBpfMaps(context);
    mapsOf.set(context, maps);
  }
  return maps;
}

/** Opens (if it is bytes) and loads an object. Throws BpfObjectError; the node is then as it was. */
export function loadObject(context: NodeContext, source: Uint8Array | BpfObject, options: LoadOptions = {}): LoadedObject {
  const object = source instanceof Uint8Array ? openObject(source, options) : source;
  const target = options.target ?? kernelTarget();
  const undo: (() => void)[] = [];
  const close = (): void => {
    for (const run of undo.reverse()) run();
    undo.length = 0;
  };
  try {
    const linked = linkObject(object, target);
    const made = createMaps(context, object, target, options, undo);
    const specs = mapSpecs(object, made);
    const programs = new Map<string, LoadedProgram>();
    for (const program of linked) programs.set(program.program.name, loadProgram(context, object, program, made, specs, target, options, undo));
    fillProgArrays(object, made, programs);
    const maps = new Map([...made].map(([{ name }, map]) => [name, map]));
    return { object, maps, programs, close };
  } catch (error) {
    close();
    if (error instanceof BpfObjectError) throw new BpfObjectError(error.errno, `${error.message}\nfailed to load object '${object.name}'`, error.log);
    throw error;
  }
}

type MadeMaps = ReadonlyMap<ObjectMap, BpfMap>;

const errnoOf = (error: unknown): LoadErrno => {
  if (error instanceof KernelError) return error.code as LoadErrno;
  throw error;
};

const isOuter = (type: number): boolean => type === MapType.ARRAY_OF_MAPS || type === MapType.HASH_OF_MAPS;
const PAGE = 4096;

/** bpf_object__create_maps. */
function createMaps(context: NodeContext, object: BpfObject, target: LinkTarget, options: LoadOptions, undo: (() => void)[]): MadeMaps {
  const made = new Map<ObjectMap, BpfMap>();
  for (const map of object.maps) {
    if (!map.autocreate) continue;
    if (map.kind === "struct_ops") {
      throw new BpfObjectError("ENOTSUP", `map '${map.name}': failed to create: struct_ops are not supported by this kernel`);
    }
    const given = options.reuse?.get(map.name) ?? (map.pinPath === undefined ? undefined : options.pins?.get(map.pinPath));
    if (given !== undefined) {
      if (!isLike(map, given)) throw new BpfObjectError("EINVAL", `couldn't reuse pinned map at '${map.pinPath ?? map.name}': parameter mismatch`);
      made.set(map, given);
      continue;
    }
    const created = createMap(context, map, undo);
    made.set(map, created);
    if (map.pinPath !== undefined && options.pins !== undefined) {
      const { pinPath } = map;
      const { pins } = options;
      pins.set(pinPath, created);
      undo.push(() => pins.delete(pinPath));
    }
    if (map.data !== undefined) populate(map, created, map.kind === "kconfig" ? kconfigData(object.externs, map.valueSize, target) : map.data);
  }
  for (const [map, outer] of made) if (isOuter(map.type)) fillOuter(map, outer, made);
  return made;
}

function createMap(context: NodeContext, map: ObjectMap, undo: (() => void)[]): BpfMap {
  let inner: BpfMap | undefined;
  try {
    if (map.inner !== undefined) inner = createMap(context, map.inner, []);
    const created = nodeMaps(context).create({
      name: map.kernelName, type: map.type, keySize: map.keySize, valueSize: map.valueSize, flags: map.flags, numaNode: map.numaNode, extra: map.mapExtra,
      maxEntries: map.type === MapType.RINGBUF || map.type === MapType.USER_RINGBUF ? ringBytes(map.maxEntries)
        : map.type === MapType.PERF_EVENT_ARRAY && map.maxEntries === 0 ? 1 : map.maxEntries,
      fields: map.fields, ...(WITHOUT_BTF.has(map.type) ? {} : { btfKey: map.keyType, btfValue: map.kind === "user" ? map.valueType : 0 }), ...(inner === undefined ? {} : { inner }),
    });
    undo.push(() => created.close());
    return created;
  } catch (error) {
    if (error instanceof BpfObjectError) throw error;
    const errno = errnoOf(error);
    throw new BpfObjectError(errno, `map '${map.name}': failed to create: ${errnoText(errno)}`);
  } finally {
    inner?.close();
  }
}

/** Types that the kernel takes no BTF for. */
const WITHOUT_BTF = new Set<number>([
  MapType.PERF_EVENT_ARRAY, MapType.CGROUP_ARRAY, MapType.STACK_TRACE, MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS, MapType.DEVMAP, MapType.DEVMAP_HASH,
  MapType.CPUMAP, MapType.XSKMAP, MapType.SOCKMAP, MapType.SOCKHASH, MapType.QUEUE, MapType.STACK, MapType.ARENA,
]);

/** The next power of two that is a multiple of a page (adjust_ringbuf_sz). */
function ringBytes(bytes: number): number {
  if (bytes === 0 || (bytes % PAGE === 0 && (bytes & (bytes - 1)) === 0)) return bytes;
  let size = PAGE;
  while (size < bytes && size < 0x4000_0000) size *= 2;
  return size;
}

const isLike = (map: ObjectMap, given: BpfMap): boolean =>
  given.type === map.type && given.keySize === map.keySize && given.valueSize === map.valueSize && given.maxEntries === map.maxEntries;

/** The first, and only, value of a data section's map. */
function populate(map: ObjectMap, created: BpfMap, data: Uint8Array): void {
  try {
    created.update(new Uint8Array(4), data);
  } catch (error) {
    const errno = errnoOf(error);
    throw new BpfObjectError(errno, `map '${map.name}': failed to set initial contents: ${errnoText(errno)}`);
  }
  if (map.kind === "rodata" || map.kind === "kconfig") created.freeze();
}

const u32Key = (number: number): Uint8Array => {
  const key = new Uint8Array(4);
  new DataView(key.buffer).setUint32(0, number, true);
  return key;
};

function fillOuter(map: ObjectMap, outer: BpfMap, made: MadeMaps): void {
  for (const [slot, target] of map.slots) {
    const inner = "kernelName" in target ? made.get(target) : undefined;
    try {
      if (inner === undefined) throw new KernelError("EBADF", "not created");
      outer.updateHandle(u32Key(slot), inner.handle);
    } catch (error) {
      const errno = errnoOf(error);
      throw new BpfObjectError(errno, `map '${map.name}': failed to initialize slot [${slot}] to map '${target.name}': ${errnoText(errno)}`);
    }
  }
}

function fillProgArrays(object: BpfObject, made: MadeMaps, programs: ReadonlyMap<string, LoadedProgram>): void {
  for (const map of object.maps) {
    const array = made.get(map);
    if (map.type !== MapType.PROG_ARRAY || array === undefined) continue;
    for (const [slot, target] of map.slots) {
      const program = programs.get(target.name);
      if (program === undefined) continue;
      try {
        array.updateHandle(u32Key(slot), program.kernel.handle);
      } catch (error) {
        const errno = errnoOf(error);
        throw new BpfObjectError(errno, `map '${map.name}': failed to initialize slot [${slot}] to prog '${target.name}': ${errnoText(errno)}`);
      }
    }
  }
}

/** The maps as the verifier knows them: one object for each. */
function mapSpecs(object: BpfObject, made: MadeMaps): ReadonlyMap<ObjectMap, MapSpec> {
  const specOf = (map: ObjectMap): MapSpec => {
    const created = made.get(map);
    const frozen = created !== undefined && created.type === MapType.ARRAY && (map.kind === "rodata" || map.kind === "kconfig") ? created.read(0, map.valueSize) : undefined;
    return {
      name: map.kernelName, type: map.type, keySize: map.keySize, valueSize: map.valueSize, maxEntries: created?.maxEntries ?? map.maxEntries, flags: map.flags,
      ...(map.inner === undefined ? {} : { inner: specOf(map.inner) }), fields: map.fields, hasBtf: map.valueType !== 0 || object.btf !== undefined,
      ...(frozen === undefined ? {} : { frozen }),
    };
  };
  return new Map([...made.keys()].map((map) => [map, specOf(map)]));
}

/** What a program of the object is to the verifier. */
export function programSpec(object: BpfObject, linked: LinkedProgram, specs: ReadonlyMap<ObjectMap, MapSpec>, target: LinkTarget, caps: "all" | "bpf"): ProgramSpec {
  const { program } = linked;
  const maps = new Map([...linked.maps].map(([slot, { map }]) => [slot, specs.get(map)!]));
  const attachTo = attachTarget(program, target.btf);
  return {
    type: program.type, attachType: program.attachType, license: object.license, insns: linked.insns, maps, flags: program.flags, caps,
    ...(object.btf === undefined ? {} : { btf: object.btf }), funcInfo: linked.funcInfo, lineInfo: linked.lineInfo,
    ...(attachTo === undefined ? {} : { attachTo }), ksyms: linked.symbols,
  };
}

/** bpf_object_load_prog. */
function loadProgram(
  context: NodeContext, object: BpfObject, linked: LinkedProgram, made: MadeMaps, specs: ReadonlyMap<ObjectMap, MapSpec>, target: LinkTarget,
  options: LoadOptions, undo: (() => void)[],
): LoadedProgram {
  const { program } = linked;
  const { name } = program;
  checkType(program);
  const spec = programSpec(object, linked, specs, target, options.caps ?? "all");
  const verified = options.verify === false ? undefined : verify(spec, { logLevel: options.logLevel ?? 1, kernelBtf: target.btf });
  if (verified?.verdict === "reject") throw refused(name, verified.errno ?? "EINVAL", verified.log);
  const checked = verified === undefined || options.checked === true;
  const resolved = resolveAddresses(linked, made, verified);
  const tag = programTag(linked);
  const probes = verified === undefined ? new Set<number>() : probesOf(verified, linked);
  let kernel: BpfProgram;
  try {
    kernel = createBpfPrograms(context).load({
      name, type: program.type, attachType: program.attachType, program: resolved.bytes, verified: !checked, gpl: isGpl(object.license),
      sleepable: (program.flags & ProgFlag.SLEEPABLE) !== 0, frags: (program.flags & ProgFlag.XDP_HAS_FRAGS) !== 0, tag: BigInt(`0x${tag}`),
      maps: resolved.maps, areas: resolved.areas,
      ...(verified === undefined ? {} : { ctxRead: verified.aux.ctxRead, ctxWritten: verified.aux.ctxWritten, ...slotFlags(probes, linked) }),
    });
  } catch (error) {
    throw refused(name, errnoOf(error), (error as Error).message);
  }
  const state: JitState | undefined = options.engine === "interpreter" ? undefined
    : jit(context.instance, kernel, resolved.bytes, { checked, maps: resolved.jitMaps, probes });
  undo.push(() => {
    if (state?.jited === true) state.remove();
    kernel.free();
  });
  return {
    name, section: program.section, type: program.type, attachType: program.attachType, attachTo: program.attachTo, kernel, linked, verified, tag,
    engine: state?.jited === true ? "jit" : "interpreter", notCompiled: state?.jited === false ? state.reason : undefined,
    testRun: (run) => kernel.testRun(run),
  };
}

function checkType(program: ObjectProgram): void {
  if (program.type === ProgType.UNSPEC) {
    throw new BpfObjectError("EINVAL", `prog '${program.name}': missing BPF prog type, check ELF section name '${program.section}'`);
  }
  const attachBtf = program.def?.attachBtf ?? sectionDef(program.section)?.attachBtf ?? false;
  if (attachBtf && program.attachTo === undefined) {
    throw new BpfObjectError("EINVAL", `prog '${program.name}': no BTF-based attach target is specified, use bpf_program__set_attach_target()`);
  }
}

/** What libbpf says when the kernel refuses a program. */
const refused = (name: string, errno: LoadErrno, log: string): BpfObjectError =>
  new BpfObjectError(
    errno, `prog '${name}': BPF program load failed: ${errnoText(errno)}\nprog '${name}': -- BEGIN PROG LOAD LOG --\n${log.trimEnd()}\n-- END PROG LOAD LOG --`, log,
  );

/** license_is_gpl_compatible of include/linux/license.h. */
const isGpl = (license: string): boolean =>
  ["GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"].includes(license);

/** Loads through pointers to kernel objects: a bad one reads zeros. */
const probesOf = ({ aux }: VerifyResult, { insns }: LinkedProgram): Set<number> =>
  new Set([...insns.keys()].filter((slot) => aux.slots[slot]?.access === "btf" && bpfClass(insns[slot]!.code) === BPF_LDX));

function slotFlags(probes: ReadonlySet<number>, { insns }: LinkedProgram): { readonly slotFlags?: Uint8Array } {
  if (probes.size === 0) return {};
  const flags = new Uint8Array(insns.length);
  for (const slot of probes) flags[slot] = BPF_SLOT_PROBE;
  return { slotFlags: flags };
}

interface Resolved {
  readonly bytes: Uint8Array;
  readonly maps: readonly number[];
  readonly areas: readonly { readonly address: number; readonly bytes: number; readonly readonly?: boolean }[];
  readonly jitMaps: ReadonlyMap<number, JitMap>;
}

/** Numbers for what the kernel alone knows: addresses of maps and values, slots of functions. */
function resolveAddresses(linked: LinkedProgram, made: MadeMaps, verified: VerifyResult | undefined): Resolved {
  const insns = linked.insns.map((insn) => ({ ...insn }));
  const maps = new Set<number>();
  const areas = new Map<number, { readonly address: number; readonly bytes: number; readonly readonly?: boolean }>();
  const jitMaps = new Map<number, JitMap>();
  for (const [slot, { map, value, addend }] of linked.maps) {
    const created = made.get(map)!;
    maps.add(created.address);
    setAddress(insns, slot, value ? created.data + addend : created.address);
    if (value) areas.set(created.data, { address: created.data, bytes: created.valueSize, readonly: (created.flags & MapFlag.RDONLY_PROG) !== 0 });
    else jitMaps.set(slot, jitMap(created));
  }
  for (const [slot, insn] of insns.entries()) if (isLddw(insn) && insn.src === BPF_PSEUDO_FUNC) insn.imm = slot + insn.imm + 1;
  if (verified !== undefined) sealDeadCode(insns, verified);
  return { bytes: encodeInsns(insns), maps: [...maps], areas: [...areas.values()], jitMaps };
}

/** What no path reaches may be anything, such as calls of functions that are not there: it becomes a jump to itself (sanitize_dead_code). */
function sealDeadCode(insns: Insn[], { aux }: VerifyResult): void {
  for (let slot = 0; slot < insns.length; slot++) {
    const wide = isLddw(insns[slot]!);
    if (aux.slots[slot]?.seen === false) {
      for (const at of wide ? [slot, slot + 1] : [slot]) insns[at] = { code: BPF_JMP | BPF_JA, dst: 0, src: 0, off: -1, imm: 0 };
    }
    if (wide) slot++;
  }
}

function setAddress(insns: readonly Insn[], slot: number, address: number): void {
  const low = insns[slot]!;
  low.src = 0;
  low.imm = address | 0;
  insns[slot + 1]!.imm = 0;
}

export const jitMap = ({ type, keySize, valueSize, data, stride, maxEntries }: BpfMap): JitMap => ({
  keySize, valueSize,
  ...(data !== 0 && (type === MapType.ARRAY || type === MapType.PERCPU_ARRAY) ? { array: { data, stride, entries: maxEntries } } : {}),
});

/** bpf_prog_calc_tag: SHA-1 of the instructions without what differs from load to load. */
export function programTag({ insns }: Pick<LinkedProgram, "insns">): string {
  const plain = insns.map((insn) => ({ ...insn }));
  for (const [slot, insn] of plain.entries()) {
    if (!isLddw(insn) || (insn.src !== BPF_PSEUDO_MAP_FD && insn.src !== BPF_PSEUDO_MAP_VALUE)) continue;
    insn.imm = 0;
    const high = plain[slot + 1];
    if (high !== undefined) high.imm = 0;
  }
  return [...sha1(encodeInsns(plain)).subarray(0, 8)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
