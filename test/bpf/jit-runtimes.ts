// Random programs through the compiler inside of each runtime (test/runtimes/harness bundles this file); jit-runtimes.test.ts looks at what comes back.
import { compileModule } from "../../src/bpf/jit/install.ts";
import { DATA_AT, STACK_AT, newMemory, runCompiled } from "./compiled.ts";
import { PACKET, randomOf, structured } from "./programs.ts";
import { interpret, type Machine, type Outcome } from "./reference.ts";

const PROGRAMS = 120;

export interface RuntimeFigures {
  /** Why nothing is compiled here. */
  readonly reason?: string;
  readonly compiled: number;
  readonly differ: readonly number[];
  /** Of all results: the same in every runtime. */
  readonly digest: string;
}

export function main(): RuntimeFigures {
  const memory = newMemory();
  const view = new DataView(memory.buffer);
  const packet = new Uint8Array(memory.buffer, DATA_AT, PACKET);
  const observed = (run: (machine: Omit<Machine, "memory">) => Outcome): string => {
    packet.forEach((_, at) => (packet[at] = (at * 37) & 0xff));
    const { r0, fault, slot } = run({ r1: BigInt(DATA_AT), r2: BigInt(PACKET), fp: STACK_AT + 512 });
    return `${r0} ${fault} ${slot} ${packet.join()}`;
  };
  let reason: string | undefined;
  let compiled = 0;
  let digest = 0;
  const differ: number[] = [];
  for (let seed = 1; seed <= PROGRAMS; seed++) {
    const program = structured(randomOf(seed + 31_000));
    const expected = observed((machine) => interpret(program, { memory: view, ...machine }));
    for (let at = 0; at < expected.length; at++) digest = (Math.imul(digest, 31) + expected.charCodeAt(at)) >>> 0;
    const module = compileModule(program, { shared: false });
    if ("reason" in module) {
      reason = module.reason;
      continue;
    }
    compiled++;
    for (const checked of [false, true]) {
      const got = observed((machine) => runCompiled(program, memory, checked ? { ...machine, fuel: 1_000_000 } : machine, { checked }));
      if (got !== expected) differ.push(seed);
    }
  }
  return { ...(reason === undefined ? {} : { reason }), compiled, differ, digest: digest.toString(16) };
}
