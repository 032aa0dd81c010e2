/**
 * `kubewire bpf plugin`: raw programs from outside, without a verifier. Each runs in a kernel that has seen no other; r1 = its memory, r2 = the
 * memory's length. Exit status 0: it ran, r0 is on stdout; 1: it was refused or came to a bad end, stderr says why.
 */
import { jit } from "../bpf/jit/install.ts";
import { ProgType } from "../bpf/uapi.ts";
import { createBpfPrograms } from "../kernel/bpf.ts";
import { createNodeKernel } from "../kernel/kernel.ts";
import { KernelInstance, newKernelMemory } from "../kernel/memory.ts";
import type { CliHost } from "../platform.ts";
import { manualClock } from "../replay/clock.ts";

export type BpfEngine = "interpreter" | "jit";

export interface BpfPluginOptions {
  readonly batch: boolean;
  readonly objects: boolean;
  readonly engine: BpfEngine;
  readonly program?: string;
}

/** Runs one raw program: r0. Throws what it was refused for, or how it ended. */
type RawRunner = (program: Uint8Array, memory: Uint8Array) => bigint;

export const bpfPlugin = async (host: CliHost, memory: string | undefined, options: BpfPluginOptions): Promise<number> => {
  const { stdin } = host;
  if (stdin === undefined) throw new Error("bpf plugin: this runtime has no standard input");
  if (options.objects) return (await import("./bpf-objects.ts")).objectsProtocol(host, linesOf(stdin()), { engine: options.engine });
  const run = rawRunner(host, await host.platform.loadKernel(host.platform.sharedMemory), options.engine);
  if (options.batch) return batch(host, stdin(), run);
  try {
    const program = fromHex(options.program ?? (await text(stdin())), "program");
    host.stdout(`0x${run(program, fromHex(memory ?? "", "memory")).toString(16)}\n`);
    return 0;
  } catch (error) {
    host.stderr(`${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
};

/** One JSON object a line in, one a line out. */
const batch = async (host: CliHost, input: AsyncIterable<Uint8Array>, run: RawRunner): Promise<number> => {
  for await (const line of linesOf(input)) {
    if (line.trim() === "") continue;
    host.stdout(`${JSON.stringify(answer(line, run))}\n`);
  }
  return 0;
};

const answer = (line: string, run: RawRunner): { r0: string } | { error: string } => {
  try {
    const { program, memory = "" } = JSON.parse(line) as { program?: unknown; memory?: unknown };
    if (typeof program !== "string" || typeof memory !== "string") throw new Error("program and memory are strings of hex digits");
    return { r0: `0x${run(fromHex(program, "program"), fromHex(memory, "memory")).toString(16)}` };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
};

/** Memory is checked in either engine. A program that is not compiled is interpreted; the first time, stderr says why. */
const rawRunner = (host: CliHost, module: WebAssembly.Module, engine: BpfEngine): RawRunner => {
  const instance = new KernelInstance(module, newKernelMemory(host.platform.sharedMemory));
  let told = false;
  return (program, memory) => {
    // A node of its own for each: its stacks, clock and generator are as those of the first.
    const kernel = createNodeKernel(instance, { name: "node", seed: 1, clock: manualClock().clock });
    try {
      const loaded = createBpfPrograms(kernel.context).load({ type: ProgType.UNSPEC, program });
      const compiled = engine === "jit" ? jit(instance, loaded, program, { checked: true }) : undefined;
      if (compiled?.jited === false && !told) {
        told = true;
        host.stderr(`bpf: interpreted: ${compiled.reason}\n`);
      }
      try {
        const { r0, fault } = loaded.run(memory);
        if (fault !== undefined) throw new Error(fault.message);
        return r0;
      } finally {
        if (compiled?.jited === true) compiled.remove();
      }
    } finally {
      kernel.destroy();
    }
  };
};

/** Bytes of hex digits, blanks between them skipped. */
const fromHex = (given: string, what: string): Uint8Array => {
  const digits = given.replace(/\s+/g, "");
  if (digits.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(digits)) throw new Error(`${what}: not hex digits`);
  const bytes = new Uint8Array(digits.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16);
  return bytes;
};

const text = async (input: AsyncIterable<Uint8Array>): Promise<string> => {
  const decoder = new TextDecoder();
  let all = "";
  for await (const chunk of input) all += decoder.decode(chunk, { stream: true });
  return all;
};

/** The lines of a stream of UTF-8, without their ends. */
export async function* linesOf(input: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of input) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop()!;
    yield* parts;
  }
  if (rest !== "") yield rest;
}
