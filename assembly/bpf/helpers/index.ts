// Helpers and kfuncs by number: one switch, into files by subject. Arguments and results are r1 to r5 and r0; an error is -errno as a u64.
import { EINVAL } from "../../abi/core";
import { bpfCurrent } from "../run";
import { genericHelper } from "./generic";

/** Whose helper a number is. */
const NOBODY: u32 = 0, GENERIC: u32 = 1;

function owner(id: u32): u32 {
  switch (id) {
    case 5: case 7: case 8: case 42: case 118: case 125: case 160: case 208:
      return GENERIC;
    default: return NOBODY;
  }
}

/** Is there a helper or kfunc (0x10000 and up) of this number? */
export function bpfHelperKnown(id: i32): bool {
  return id > 0 && (id == 12 || owner(id) != NOBODY);
}

/** Calls helper or kfunc `id` for the program that is running. */
export function bpfHelper(id: u32, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64): u64 {
  bpfCurrent().helper = id;
  switch (owner(id)) {
    case GENERIC: return genericHelper(id, r1, r2, r3, r4, r5);
    default: return <u64><i64>-EINVAL;
  }
}
