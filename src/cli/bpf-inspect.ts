/** `kubewire bpf run|verify|disasm|maps OBJECT`. Exit status 0: done; 1: refused, or the object is none, with libbpf's words on stderr. */
import { disassemble, listing } from "../bpf/disasm.ts";
import { BpfObjectError } from "../bpf/errors.ts";
import { kernelTarget } from "../bpf/kernel-btf.ts";
import { linkObject } from "../bpf/link.ts";
import { loadObject, type BpfEngine, type LoadedObject, type LoadedProgram } from "../bpf/load.ts";
import { openObject, type BpfObject, type ObjectMap } from "../bpf/object.ts";
import { progTypeName } from "../bpf/sections.ts";
import { codecsOf } from "../bpf/typed-map.ts";
import { MapType } from "../bpf/uapi.ts";
import type { BpfMap } from "../kernel/bpf-maps.ts";
import { createNodeKernel, type NodeKernelHandle } from "../kernel/kernel.ts";
import { KernelInstance, newKernelMemory } from "../kernel/memory.ts";
import type { CliHost } from "../platform.ts";
import { manualClock } from "../replay/clock.ts";
import { elementsOf, fromHex, toHex } from "../bpf/cases.ts";
import { objectName } from "./bpf-objects.ts";

interface Common {
  readonly json: boolean;
  readonly prog?: string;
}

interface Loading extends Common {
  readonly engine: BpfEngine;
  readonly checked: boolean;
  readonly verify: boolean;
  readonly logLevel: number;
}

export interface RunOptions extends Loading {
  readonly dataIn?: string;
  readonly ctx?: string;
  readonly repeat: number;
  readonly maps: boolean;
}

/** What `work` throws of an object goes to stderr as libbpf prints it. */
const told = async (host: CliHost, work: () => Promise<number>): Promise<number> => {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof BpfObjectError)) throw error;
    host.stderr(`${error.message.split("\n").map((line) => `libbpf: ${line}`).join("\n")}\n`);
    return 1;
  }
};

const read = async (host: CliHost, path: string): Promise<Uint8Array> => {
  try {
    return await host.readFile(path);
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") throw new Error(`${path}: no such file`);
    throw error;
  }
};

const open = async (host: CliHost, path: string, prog: string | undefined): Promise<BpfObject> => {
  const object = openObject(await read(host, path), { name: objectName(path) });
  if (prog === undefined) return object;
  const entries = object.programs.filter(({ subprogram }) => !subprogram);
  if (!entries.some(({ name }) => name === prog)) throw new Error(`${path}: no program ${prog}; there are ${entries.map(({ name }) => name).join(", ")}`);
  return object;
};

/** A node of its own for one command. */
const withKernel = async <T>(host: CliHost, work: (kernel: NodeKernelHandle) => T): Promise<T> => {
  const { platform } = host;
  const instance = new KernelInstance(await platform.loadKernel(platform.sharedMemory), newKernelMemory(platform.sharedMemory));
  const kernel = createNodeKernel(instance, { name: "node", seed: 1, clock: manualClock().clock });
  try {
    return work(kernel);
  } finally {
    kernel.destroy();
  }
};

const inputOf = async (host: CliHost, given: string | undefined, what: string): Promise<Uint8Array | undefined> => {
  if (given === undefined) return undefined;
  return /^(?:[0-9a-fA-F]{2}\s*)*$/.test(given) ? fromHex(given, what) : read(host, given);
};

const hexdump = (bytes: Uint8Array): string[] => {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const row = bytes.subarray(at, at + 16);
    const text = [...row].map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".")).join("");
    lines.push(`${at.toString(16).padStart(7, "0")} ${[...row].map((byte) => byte.toString(16).padStart(2, "0")).join(" ").padEnd(48)}|${text}|`);
  }
  return lines;
};

/** Programs that are not asked for are loaded as well: they may be called from the one that is. */
const onlyProgram = (loaded: LoadedObject, prog: string | undefined): LoadedProgram => {
  if (prog !== undefined) {
    const found = loaded.programs.get(prog);
    if (found === undefined) throw new Error(`program ${prog} is not loaded`);
    return found;
  }
  const [first, ...others] = loaded.programs.values();
  if (first === undefined) throw new Error("the object has no programs");
  if (others.length > 0) throw new Error(`which program: --prog ${[...loaded.programs.keys()].join("|")}`);
  return first;
};

/** `kubewire bpf run`. */
export const bpfRun = (host: CliHost, path: string, options: RunOptions): Promise<number> => told(host, async () => {
  const object = await open(host, path, options.prog);
  const dataIn = await inputOf(host, options.dataIn, "--data-in");
  const ctxIn = await inputOf(host, options.ctx, "--ctx");
  return withKernel(host, (kernel) => {
    const loaded = loadObject(kernel.context, object, options);
    const program = onlyProgram(loaded, options.prog);
    const started = host.platform.monotonicMs();
    const { retval, dataOut, ctxOut, fault } = program.testRun({
      repeat: options.repeat, ...(dataIn === undefined ? {} : { dataIn }), ...(ctxIn === undefined ? {} : { ctxIn }),
    });
    const ns = Math.round(((host.platform.monotonicMs() - started) * 1e6) / options.repeat);
    if (program.notCompiled !== undefined) host.stderr(`${program.name} is interpreted: ${program.notCompiled}\n`);
    if (fault !== undefined) {
      host.stderr(`${program.name}: ${fault.message}\n`);
      return 1;
    }
    if (options.json) {
      const maps = options.maps ? { maps: Object.fromEntries([...shownMaps(loaded)].map(([map, made]) => [map.name, elementsOf(made)])) } : {};
      host.stdout(`${JSON.stringify({ prog: program.name, engine: program.engine, retval, duration: ns, data_out: toHex(dataOut), ctx_out: toHex(ctxOut), ...maps }, undefined, 1)}\n`);
      return 0;
    }
    const out = [`Return value: ${retval}, duration${options.repeat > 1 ? " (average)" : ""}: ${ns}ns`];
    if (dataOut.length > 0) out.push("", "data output:", ...hexdump(dataOut));
    if (ctxOut.length > 0) out.push("", "context output:", ...hexdump(ctxOut));
    if (options.maps) for (const [map, made] of shownMaps(loaded)) out.push("", `${map.name}:`, dumpText(object, map, made));
    host.stdout(`${out.join("\n")}\n`);
    return 0;
  });
});

const HOLDERS = new Set<number>([MapType.PROG_ARRAY, MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS, MapType.RINGBUF, MapType.PERF_EVENT_ARRAY, MapType.BLOOM_FILTER]);

const shownMaps = (loaded: LoadedObject): Map<ObjectMap, BpfMap> =>
  new Map(loaded.object.maps.flatMap((map) => {
    const made = loaded.maps.get(map.name);
    return made === undefined || HOLDERS.has(map.type) ? [] : [[map, made] as const];
  }));

/** `kubewire bpf verify`: the log of each program, and what came of it. */
export const bpfVerify = (host: CliHost, path: string, options: Common & { readonly logLevel: number; readonly caps: "all" | "bpf" }): Promise<number> => told(host, async () => {
  const object = await open(host, path, options.prog);
  const { verdictsOf } = await import("../bpf/cases.ts");
  const verdicts = verdictsOf(object, options).filter(({ name }) => options.prog === undefined || name === options.prog);
  if (options.json) {
    host.stdout(`${JSON.stringify(verdicts.map(({ name, type, result }) => ({
      name, type: progTypeName(type), verdict: result.verdict, ...(result.errno === undefined ? {} : { errno: result.errno }), message: result.message, log: result.log,
      processed: result.aux.processed,
    })), undefined, 1)}\n`);
  } else {
    for (const { name, type, result } of verdicts) {
      host.stdout(`${name} (${progTypeName(type)}): ${result.verdict}${result.errno === undefined ? "" : ` (${result.errno})`}\n${result.log.trimEnd()}\n`);
    }
  }
  return verdicts.every(({ result }) => result.verdict === "accept") ? 0 : 1;
});

/** `kubewire bpf disasm`. */
export const bpfDisasm = (host: CliHost, path: string, options: Common & { readonly bytes: boolean; readonly source: boolean }): Promise<number> => told(host, async () => {
  const object = await open(host, path, options.prog);
  for (const program of object.programs) if (!program.subprogram) program.autoload = options.prog === undefined || program.name === options.prog;
  const linked = linkObject(object, kernelTarget());
  if (options.json) {
    host.stdout(`${JSON.stringify(linked.map((program) => ({
      name: program.program.name, section: program.program.section, type: progTypeName(program.program.type), insns: disassemble(program),
    })), undefined, 1)}\n`);
  } else {
    for (const program of linked) {
      const { name, section, type } = program.program;
      host.stdout(`${name}: ${progTypeName(type)}, section ${section}\n${listing(program, options).join("\n")}\n\n`);
    }
  }
  return 0;
});

const typeName = (type: number): string => (Object.entries(MapType).find(([, number]) => number === type)?.[0] ?? String(type)).toLowerCase();

/** `kubewire bpf maps`: as `bpftool map show`; with a name, its contents after loading, as `bpftool map dump`. */
export const bpfMaps = (host: CliHost, path: string, name: string | undefined, options: Common): Promise<number> => told(host, async () => {
  const object = await open(host, path, undefined);
  // Maps alone: their programs may be for another kernel.
  for (const program of object.programs) program.autoload = false;
  return withKernel(host, (kernel) => {
    const loaded = loadObject(kernel.context, object, { engine: "interpreter" });
    const maps = object.maps.filter((map) => name === undefined || map.name === name || map.kernelName === name);
    if (name !== undefined && maps.length === 0) throw new Error(`${path}: no map ${name}; there are ${object.maps.map((map) => map.name).join(", ")}`);
    if (name !== undefined) {
      host.stdout(`${dumpText(object, maps[0]!, loaded.maps.get(maps[0]!.name)!)}\n`);
      return 0;
    }
    const shown = maps.map((map) => {
      const { id, maxEntries, flags } = loaded.maps.get(map.name)!;
      return { id, type: typeName(map.type), name: map.kernelName, flags, bytes_key: map.keySize, bytes_value: map.valueSize, max_entries: maxEntries,
        frozen: map.kind === "rodata" || map.kind === "kconfig" ? 1 : 0, ...(map.pinPath === undefined ? {} : { pinned: [map.pinPath] }) };
    });
    if (options.json) host.stdout(`${JSON.stringify(shown, undefined, 1)}\n`);
    else host.stdout(shown.map((map) => `${map.id}: ${map.type}  name ${map.name}  flags 0x${map.flags.toString(16)}\n\tkey ${map.bytes_key}B  value ${map.bytes_value}B  max_entries ${map.max_entries}`
      + `${map.frozen === 1 ? "  frozen" : ""}${"pinned" in map ? `\n\tpinned ${map.pinned![0]}` : ""}\n`).join(""));
    return 0;
  });
});

/** Keys and values by their types, as `bpftool map dump` prints them; in bytes without BTF. */
function dumpText(object: BpfObject, map: ObjectMap, made: BpfMap): string {
  const { key, value, typed } = codecsOf(object, map);
  const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const elements = [...made.elements()];
  if (!typed) {
    const hex = (bytes: Uint8Array): string => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    return [...elements.map((element) => `key: ${hex(element.key)}  value: ${hex(element.value)}`), `Found ${elements.length} element${elements.length === 1 ? "" : "s"}`].join("\n");
  }
  const shown = elements.map((element) => ({ key: key.read(view(element.key), 0), value: value.read(view(element.value), 0) }));
  return JSON.stringify(shown, (_, own: unknown) => (typeof own === "bigint" ? (own <= BigInt(Number.MAX_SAFE_INTEGER) && own >= BigInt(Number.MIN_SAFE_INTEGER) ? Number(own) : String(own))
    : own instanceof Uint8Array ? [...own] : own), 4);
}
