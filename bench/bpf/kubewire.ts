/** `kubewire.ts ENGINE SCENARIO RUNS`: nanoseconds per run of a scenario's program in this process. Objects stand in .cache/bpf, the kernel in build/. */
import { readFileSync } from "node:fs";
import { kernelBtf } from "../../src/bpf/kernel-btf.ts";
import { type LinkedProgram, linkObject } from "../../src/bpf/link.ts";
import { type BpfObject, openObject } from "../../src/bpf/object.ts";
import type { BpfMap } from "../../src/kernel/bpf-maps.ts";
import { createMachine, type Machine } from "../../test/bpf/fuzz/ours.ts";
import { mapsOf, resolve } from "../../test/bpf/fuzz/run.ts";
import { SCENARIOS } from "./scenarios.ts";

export interface RunFigures {
  readonly ns: readonly number[];
  readonly retval: number;
}

/** The interpreter's runs are fewer. */
const INTERPRETER_SHARE = 10;

function open(name: string): { object: BpfObject; programs: LinkedProgram[] } {
  const object = openObject(new Uint8Array(readFileSync(`.cache/bpf/${name}.o`)), { name });
  return { object, programs: linkObject(object, { btf: kernelBtf(), version: 0x061200, config: {} }) };
}

function createMaps(machine: Machine, object: BpfObject): BpfMap[] {
  return object.maps.map(({ type, keySize, valueSize, maxEntries, flags, data }) => {
    const map = mapsOf(machine).create({ type, keySize, valueSize, maxEntries, flags });
    if (data !== undefined) map.update(new Uint8Array(4), data);
    return map;
  });
}

function measure(engine: "JIT" | "interpreter", name: string, runs: number): RunFigures {
  const scenario = SCENARIOS.find((each) => each.name === name)!;
  const machine = createMachine(new WebAssembly.Module(readFileSync("build/kernel.wasm")), engine);
  const { object, programs } = open(scenario.object);
  const linked = programs.find(({ program }) => program.name === scenario.program)!;
  const maps = createMaps(machine, object);
  scenario.fill((map, key, value) => maps[object.maps.findIndex((each) => each.name === map)]!.update(key, value));
  const relocs = [...linked.maps].map(([slot, { map, value, addend }]) => ({ slot, kind: value ? "mapvalue" as const : "map" as const, map: object.maps.indexOf(map), addend }));
  const { bytes, addresses, areas, jitMaps } = resolve({ insns: linked.insns, relocs }, maps);
  const { program } = machine.load(linked.program.type, bytes, { maps: addresses, areas, jitMaps });
  const repeat = engine === "JIT" ? scenario.repeat : Math.ceil(scenario.repeat / INTERPRETER_SHARE);
  const ns: number[] = [];
  let retval = 0;
  for (let run = 0; run <= runs; run++) {
    const start = process.hrtime.bigint();
    const outcome = machine.testRun(program, { data: scenario.packet, repeat });
    const took = Number(process.hrtime.bigint() - start) / repeat;
    // The first warms up: V8's compilers, too.
    if (run > 0) ns.push(took);
    retval = outcome.retval;
  }
  return { ns, retval };
}

const [engine, name, runs] = process.argv.slice(2);
process.stdout.write(`${JSON.stringify(measure(engine as "JIT" | "interpreter", name!, Number(runs)))}\n`);
