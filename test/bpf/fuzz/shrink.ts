/** Makes a program that still shows what it shows as small as it gets, by taking parts out. */
import { type FuzzProgram, type Node, smaller } from "./program.ts";

const MOST_TRIES = 3000;

export function shrink(program: FuzzProgram, still: (candidate: FuzzProgram) => boolean): FuzzProgram {
  let tries = 0;
  const holds = (candidate: FuzzProgram): boolean => {
    try {
      return still(candidate);
    } catch {
      return false;
    }
  };
  for (let changed = true; changed; ) {
    changed = false;
    for (let index = 0; index < program.functions.length; index++) {
      for (let again = true; again; ) {
        again = false;
        for (const nodes of smaller(program.functions[index]!)) {
          if (++tries > MOST_TRIES) return program;
          const functions: (readonly Node[])[] = program.functions.slice();
          functions[index] = nodes;
          if (!holds({ ...program, functions })) continue;
          program = { ...program, functions };
          again = changed = true;
          break;
        }
      }
    }
  }
  return program;
}
