/**
 * `kubewire.ts ENGINE SCENARIO RUNS`: nanoseconds per run of a scenario's program in this process; `kubewire.ts load OBJECT RUNS`: milliseconds
 * that loading an object takes. Objects stand in .cache/bpf, the kernel in build/.
 */
import { readFileSync } from "node:fs";
import { type BpfEngine, loadObject } from "../../src/bpf/load.ts";
import type { NodeContext } from "../../src/kernel/context.ts";
import { createNodeKernel } from "../../src/kernel/kernel.ts";
import { KernelInstance, newKernelMemory } from "../../src/kernel/memory.ts";
import { manualClock } from "../../src/replay/clock.ts";
import { SCENARIOS } from "./scenarios.ts";

export interface RunFigures {
  readonly ns: readonly number[];
  readonly retval: number;
}

export interface BigFigures {
  readonly instructions: number;
  /** CPU milliseconds of all runs but the first: opening, linking and verifying, maps and loading included. */
  readonly total: readonly number[];
  /** The same with compiling. */
  readonly withJit: readonly number[];
  /** Everything without the verifier: what is left is its part. */
  readonly unverified: readonly number[];
  /** The first in its process. */
  readonly first: number;
}

/** The interpreter's runs are fewer. */
const INTERPRETER_SHARE = 10;

/** CPU time of this process: Linux's figure has no waiting for the processor in it either. */
function cpuMicroseconds(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

function nodeContext(): NodeContext {
  const instance = new KernelInstance(new WebAssembly.Module(readFileSync("build/kernel.wasm")), newKernelMemory(true));
  return createNodeKernel(instance, { name: "node", seed: 1, clock: manualClock().clock }).context;
}

const objectBytes = (name: string): Uint8Array => new Uint8Array(readFileSync(`.cache/bpf/${name}.o`));

function measure(engine: BpfEngine, name: string, runs: number): RunFigures {
  const scenario = SCENARIOS.find((each) => each.name === name)!;
  const { maps, programs } = loadObject(nodeContext(), objectBytes(scenario.object), { name: scenario.object, engine });
  scenario.fill((map, key, value) => maps.get(map)!.update(key, value));
  const program = programs.get(scenario.program)!;
  if (program.engine !== engine) throw new Error(`${name}: ${program.notCompiled}`);
  const repeat = engine === "jit" ? scenario.repeat : Math.ceil(scenario.repeat / INTERPRETER_SHARE);
  const ns: number[] = [];
  let retval = 0;
  for (let run = 0; run <= runs; run++) {
    const start = cpuMicroseconds();
    const outcome = program.testRun({ dataIn: scenario.packet, repeat });
    const took = ((cpuMicroseconds() - start) * 1000) / repeat;
    if (outcome.fault !== undefined) throw new Error(`${name}: ${outcome.fault.message}`);
    // The first warms up: V8's compilers, too.
    if (run > 0) ns.push(took);
    retval = outcome.retval;
  }
  return { ns, retval };
}

function measureLoading(name: string, runs: number): BigFigures {
  const context = nodeContext();
  const bytes = objectBytes(name);
  let instructions = 0;
  const once = (options: { engine: BpfEngine; verify?: boolean }): number => {
    const start = cpuMicroseconds();
    const loaded = loadObject(context, bytes, { name, ...options });
    const ms = (cpuMicroseconds() - start) / 1000;
    instructions = loaded.programs.get(name)!.linked.insns.length;
    loaded.close();
    return ms;
  };
  const times = (options: { engine: BpfEngine; verify?: boolean }): number[] => Array.from({ length: runs }, () => once(options));
  const first = once({ engine: "interpreter" });
  return {
    first, total: times({ engine: "interpreter" }), withJit: times({ engine: "jit" }), unverified: times({ engine: "interpreter", verify: false }), instructions,
  };
}

const [what, name, runs] = process.argv.slice(2);
const figures = what === "load" ? measureLoading(name!, Number(runs)) : measure(what as BpfEngine, name!, Number(runs));
process.stdout.write(`${JSON.stringify(figures)}\n`);
