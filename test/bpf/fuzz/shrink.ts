/**
 * Makes a program that still shows what it shows as small as it gets, by taking parts out. The first node of a function stays: it sets the
 * stack, and what is not set there is anything; so do the last two, which make a number of what there is, and return.
 */
import { type FuzzProgram, type Node, smaller } from "./program.ts";

const MOST_TRIES = 500;

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
        const whole = program.functions[index]!;
        for (const nodes of smaller(whole.slice(1, -2))) {
          if (++tries > MOST_TRIES) return program;
          const functions: (readonly Node[])[] = program.functions.slice();
          functions[index] = [whole[0]!, ...nodes, ...whole.slice(-2)];
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
