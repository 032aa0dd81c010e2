/**
 * `kubewire/bpf`: objects of clang in unit tests of one's own programs, on any operating system. Where the kernel comes from is the runtime's
 * affair (`bpfOn`); entries of the package have that settled: `import { loadObject } from "kubewire/bpf"`.
 */
import { createNodeKernel, type NodeKernelHandle } from "../kernel/kernel.ts";
import { KernelInstance, newKernelMemory } from "../kernel/memory.ts";
import { manualClock } from "../replay/clock.ts";
import { verdictsOf, type ProgramVerdict } from "./cases.ts";
import { BpfObjectError } from "./errors.ts";
import { decodeInsns } from "./insn.ts";
import { loadObject as loadInto, type LoadedObject, type LoadedProgram, type LoadOptions } from "./load.ts";
import { openObject, type BpfObject } from "./object.ts";
import { ProgType } from "./uapi.ts";
import { codecsOf, typedMap, type TypedMap } from "./typed-map.ts";
import { createBpfPrograms, type BpfFault } from "../kernel/bpf.ts";
import { jit } from "./jit/install.ts";

export { BpfObjectError } from "./errors.ts";
export { packet, type PacketSpec, type TcpFlag } from "./packet.ts";
export { XdpAction, TcAction, MapType, ProgType, AttachType } from "./uapi.ts";
export { openObject, type BpfObject, type ObjectMap, type ObjectProgram, type OpenOptions } from "./object.ts";
export { loadObject as loadObjectInto, nodeMaps, type BpfEngine, type LoadedObject, type LoadedProgram, type LoadOptions } from "./load.ts";
export type { ProgramVerdict } from "./cases.ts";
export type { TypedMap } from "./typed-map.ts";
export type { BpfMap } from "../kernel/bpf-maps.ts";
export type { BpfFault } from "../kernel/bpf.ts";
export { bpfOf, type BpfLink, type NetnsBpf } from "../kernel/bpf-attach.ts";
export { tracingOf, type KernelTracing } from "../kernel/bpf-tracing.ts";
export { dropReason } from "./kernel-btf.ts";
export { elementsOf, perfBuffer, ringBuffer } from "./maps.ts";

/** What a program is run on. */
export interface RunInput {
  /** From the Ethernet header on. */
  readonly packet?: Uint8Array;
  /** The context as uapi/linux/bpf.h has it: `__sk_buff` (mark, priority, cb count), `bpf_sock_addr`, arguments of a raw tracepoint … */
  readonly ctx?: Uint8Array;
  readonly repeat?: number;
}

export interface RunOutput {
  /** What it returned: XDP_PASS is XdpAction.PASS, TC_ACT_UNSPEC is -1. */
  readonly retval: number;
  /** The packet afterwards, also when it was dropped. */
  readonly packet: Uint8Array;
  readonly ctx: Uint8Array;
}

/** A program that ran off what it owns, or without end; only unverified ones can. */
export class BpfFaultError extends Error {
  readonly fault: BpfFault;

  constructor(program: string, fault: BpfFault) {
    super(`${program}: ${fault.message}`);
    this.name = "BpfFaultError";
    this.fault = fault;
  }
}

export interface TestProgram {
  readonly name: string;
  readonly section: string;
  readonly type: ProgType;
  readonly engine: "interpreter" | "jit";
  /** Why it is interpreted although it should have been compiled. */
  readonly notCompiled: string | undefined;
  /** What the verifier printed. */
  readonly log: string;
  /** BPF_PROG_TEST_RUN. Throws KernelError for input that the kernel refuses, BpfFaultError for a program that went astray. */
  run(input?: RunInput): RunOutput;
  readonly loaded: LoadedProgram;
}

export interface TestObject {
  readonly programs: Readonly<Record<string, TestProgram>>;
  /** By the names in the source; data sections as `.data`, `.bss` …, whose one value (key 0) has the variables as members. */
  readonly maps: Readonly<Record<string, TypedMap>>;
  /** Lets timers run: the node's clock goes on by `ns`. */
  advance(ns: number): void;
  /** The node that the object is loaded into: devices and namespaces to attach to. */
  readonly kernel: NodeKernelHandle;
  readonly loaded: LoadedObject;
  close(): void;
}

export interface TestOptions extends LoadOptions {
  /** Values of variables before the program is loaded: `{ ".rodata": { limit: 10 } }`. */
  readonly globals?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** Seeds bpf_get_prandom_u32. */
  readonly seed?: number;
}

export interface RawProgram {
  readonly run: (memory?: Uint8Array) => { readonly r0: bigint; readonly memory: Uint8Array };
  close(): void;
}

export interface Bpf {
  /** Opens, verifies and loads an object into a node of its own. Throws BpfObjectError in libbpf's words, with the verifier's log. */
  loadObject(object: Uint8Array | BpfObject, options?: TestOptions): Promise<TestObject>;
  /** Raw instructions without a verifier, every access checked: r1 is the memory, r2 its length. Throws KernelError for a malformed program. */
  loadInstructions(program: Uint8Array, options?: { readonly engine?: "interpreter" | "jit" }): Promise<RawProgram>;
}

/** The verifier's word on each program of an object, without loading it. Throws BpfObjectError when it cannot be opened or linked. */
export const verifyObject = (object: Uint8Array | BpfObject, options: { readonly caps?: "all" | "bpf"; readonly logLevel?: number } = {}): ProgramVerdict[] =>
  verdictsOf(object instanceof Uint8Array ? openObject(object) : object, options);

/** The library on a runtime: `loadKernel` gives the full kernel for plain memory. */
export function bpfOn(loadKernel: () => Promise<WebAssembly.Module>): Bpf {
  let module: Promise<WebAssembly.Module> | undefined;
  const node = async (seed: number): Promise<{ readonly kernel: NodeKernelHandle; readonly instance: KernelInstance; readonly advance: (ns: number) => void }> => {
    const instance = new KernelInstance(await (module ??= loadKernel()), newKernelMemory(false));
    const clock = manualClock();
    let now = START_NS;
    clock.set(now);
    const kernel = createNodeKernel(instance, { name: "node", seed, clock: clock.clock });
    const advance = (ns: number): void => {
      now += ns;
      clock.set(now);
      kernel.runUntil(now);
    };
    return { kernel, instance, advance };
  };
  return {
    async loadObject(source, options = {}) {
      const object = source instanceof Uint8Array ? openObject(source, options) : source;
      for (const [section, values] of Object.entries(options.globals ?? {})) writeGlobals(object, section, values);
      const { kernel, advance } = await node(options.seed ?? 1);
      try {
        const loaded = loadInto(kernel.context, object, options);
        return {
          programs: Object.fromEntries([...loaded.programs].map(([name, program]) => [name, testProgram(program)])),
          maps: Object.fromEntries(object.maps.flatMap((map) => {
            const made = loaded.maps.get(map.name);
            return made === undefined ? [] : [[map.name, typedMap(object, map, made)] as const];
          })),
          advance, kernel, loaded,
          close() {
            loaded.close();
            kernel.destroy();
          },
        };
      } catch (error) {
        kernel.destroy();
        throw error;
      }
    },
    async loadInstructions(bytes, { engine = "jit" } = {}) {
      decodeInsns(bytes);
      const { kernel, instance } = await node(1);
      const program = createBpfPrograms(kernel.context).load({ type: ProgType.UNSPEC, program: bytes });
      if (engine === "jit") jit(instance, program, bytes, { checked: true });
      return {
        run(memory = new Uint8Array(0)) {
          const { r0, fault, memory: after } = program.run(memory);
          if (fault !== undefined) throw new BpfFaultError("program", fault);
          return { r0, memory: after };
        },
        close: () => kernel.destroy(),
      };
    },
  };
}

const START_NS = 1_000_000_000;

/** Types whose results are negative numbers as well. */
const isSigned = (type: number): boolean => type === ProgType.SCHED_CLS || type === ProgType.SCHED_ACT;

const testProgram = (loaded: LoadedProgram): TestProgram => ({
  name: loaded.name, section: loaded.section, type: loaded.type, engine: loaded.engine, notCompiled: loaded.notCompiled, log: loaded.verified?.log ?? "", loaded,
  run({ packet, ctx, repeat } = {}) {
    const { retval, dataOut, ctxOut, fault } = loaded.testRun({
      ...(packet === undefined ? {} : { dataIn: packet }), ...(ctx === undefined ? {} : { ctxIn: ctx }), ...(repeat === undefined ? {} : { repeat }),
    });
    if (fault !== undefined) throw new BpfFaultError(loaded.name, fault);
    return { retval: isSigned(loaded.type) ? retval | 0 : retval, packet: dataOut, ctx: ctxOut };
  },
});

function writeGlobals(object: BpfObject, section: string, values: Readonly<Record<string, unknown>>): void {
  const map = object.maps.find((candidate) => candidate.name === section && candidate.data !== undefined);
  if (map?.data === undefined) throw new BpfObjectError("ENOENT", `the object has no section ${section}`);
  const { value } = codecsOf(object, map);
  value.write(new DataView(map.data.buffer), 0, values);
}

