/** Objects that clang built, opened and linked by src/bpf and loaded into the host's kernel: what libbpf would have done there. */
import { readFileSync } from "node:fs";
import { parseBtf, type Btf } from "../../../src/bpf/btf.ts";
import { encodeInsns } from "../../../src/bpf/insn.ts";
import { type LinkedProgram, linkObject } from "../../../src/bpf/link.ts";
import { type BpfObject, type ObjectMap, type ObjectProgram, openObject } from "../../../src/bpf/object.ts";
import { functionBtf } from "./function-btf.ts";
import type { Host, HostMap, HostProgram } from "./host.ts";

const RDONLY_PROG = 0x80;
let vmlinux: Btf | undefined;

export interface Linked {
  readonly object: BpfObject;
  readonly programs: readonly LinkedProgram[];
}

/** Opens and links against this machine's kernel. */
export function linkForHost(bytes: Uint8Array, name = "object"): Linked {
  const object = openObject(bytes, { name });
  vmlinux ??= parseBtf(new Uint8Array(readFileSync("/sys/kernel/btf/vmlinux")));
  return { object, programs: linkObject(object, { btf: vmlinux, version: 0x061200, config: {} }) };
}

export interface HostObject {
  readonly maps: ReadonlyMap<string, { readonly fd: number; readonly map: ObjectMap }>;
  /** By function name; -1 with the log when refused. */
  readonly programs: ReadonlyMap<string, { readonly fd: number; readonly log: string; readonly spec: HostProgram }>;
  close(): void;
}

const u32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);

function hostMapOf(map: ObjectMap, innerFd?: number): HostMap {
  const lock = map.fields.find(({ kind }) => kind === "spin_lock");
  return {
    type: map.type, key: map.keySize, value: map.valueSize, entries: map.maxEntries, flags: map.flags, extra: BigInt(map.mapExtra),
    name: map.kernelName.replace(/[^A-Za-z0-9_.]/g, "_"), ...(lock === undefined ? {} : { spinLock: lock.offset }),
    ...(innerFd === undefined ? {} : { innerFd }),
  };
}

/** Makes the maps and loads the programs. */
export function loadIntoHost(host: Host, { object, programs }: Linked, { logLevel = 1 } = {}): HostObject {
  const fds = new Map<ObjectMap, number>();
  for (const map of object.maps) {
    const innerFd = map.inner === undefined ? undefined : host.createMap(hostMapOf(map.inner));
    const fd = host.createMap(hostMapOf(map, innerFd));
    fds.set(map, fd);
    if (innerFd !== undefined) host.close(innerFd);
    if (map.data !== undefined) host.update(fd, u32(0), map.data);
    if (map.flags & RDONLY_PROG) host.freeze(fd);
  }
  const loaded = new Map<string, { fd: number; log: string; spec: HostProgram }>();
  const byProgram = new Map<ObjectProgram, number>();
  for (const { program, insns, maps, functions } of programs) {
    const { btf, funcInfo } = functionBtf(functions.map(({ slot }) => slot));
    const btfFd = host.loadBtf(btf).fd;
    const spec: HostProgram = {
      type: program.type, attach: program.attachType, flags: program.flags, license: object.license, insns: encodeInsns(insns), btfFd, funcInfo, logLevel,
      relocs: [...maps].map(([slot, { map, value, addend }]) => ({ slot, kind: value ? "mapvalue" : "map", fd: fds.get(map)!, addend })),
    };
    const { fd, log } = host.load(spec);
    host.close(btfFd);
    loaded.set(program.name, { fd, log, spec });
    byProgram.set(program, fd);
  }
  for (const map of object.maps) {
    for (const [slot, target] of map.slots) {
      const fd = "insns" in target ? byProgram.get(target) : fds.get(target);
      if (fd !== undefined) host.update(fds.get(map)!, u32(slot), u32(fd));
    }
  }
  return {
    maps: new Map([...fds].map(([map, fd]) => [map.name, { fd, map }])), programs: loaded,
    close: () => host.close(...[...loaded.values()].map(({ fd }) => fd), ...fds.values()),
  };
}
