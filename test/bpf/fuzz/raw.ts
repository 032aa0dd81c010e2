/** Raw programs (r1 = memory) in this machine's kernel and in every engine of ours. */
import { PROGRAM_TYPES } from "../host/names.ts";
import { type RawAnswer, rawRunner } from "../host/raw.ts";
import type { Host } from "../host/host.ts";
import { generateRaw } from "./generate.ts";
import type { Machine } from "./ours.ts";
import { hex } from "./outcome.ts";
import { type FuzzProgram, lower } from "./program.ts";
import { shrink } from "./shrink.ts";

export interface Found {
  readonly name: string;
  readonly engine: string;
  readonly difference: string;
  /** Slots in hex, and what they were run on. */
  readonly program: string;
  readonly memory?: string;
  /** Targets of tail calls, packets, and what maps held. */
  readonly more?: readonly string[];
  readonly packets?: readonly string[];
  readonly content?: readonly unknown[];
}

export interface FuzzFigures {
  programs: number;
  refused: number;
  differ: number;
}

/** Runs cases `first` and on; `found` are made small. */
export function fuzzRaw(options: {
  host: Host; careful: Host; machines: readonly Machine[]; seed: number; first: number; programs: number; until: () => boolean; onFound: (found: Found) => void;
}): FuzzFigures {
  const inKernel = rawRunner(options.host);
  const carefully = rawRunner(options.careful);
  const figures = { programs: 0, refused: 0, differ: 0 };
  const differs = (machine: Machine, bytes: Uint8Array, memory: Uint8Array, want: RawAnswer): string | undefined => {
    let loaded;
    try {
      loaded = machine.load(PROGRAM_TYPES["xdp"]!, bytes);
      const { r0, fault, memory: after } = loaded.program.run(memory);
      if (fault !== undefined) return fault.message;
      if (r0 !== want.r0) return `r0 ${r0.toString(16)}, want ${want.r0!.toString(16)}`;
      return hex(after) === hex(want.memory!) ? undefined : `memory ${hex(after)}, want ${hex(want.memory!)}`;
    } catch (error) {
      return String((error as Error).message);
    } finally {
      loaded?.free();
    }
  };
  for (let number = options.first; figures.programs < options.programs && !options.until(); number++) {
    const { program, memory } = generateRaw(options.seed, number);
    const { bytes } = lower(program);
    const want = inKernel(bytes, memory);
    if (want.error !== undefined) {
      figures.refused++;
      continue;
    }
    figures.programs++;
    for (const machine of options.machines) {
      if (differs(machine, bytes, memory, want) === undefined) continue;
      figures.differ++;
      const still = (candidate: FuzzProgram): boolean => {
        const smaller = lower(candidate).bytes;
        const answer = carefully(smaller, memory);
        return answer.error === undefined && differs(machine, smaller, memory, answer) !== undefined;
      };
      const small = lower(shrink(program, still)).bytes;
      options.onFound({
        name: `raw-${options.seed}-${number}`, engine: machine.engine, difference: differs(machine, small, memory, inKernel(small, memory))!, program: hex(small),
        memory: hex(memory),
      });
    }
  }
  return figures;
}
