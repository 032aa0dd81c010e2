// The driver's requests about tables, rules and connections.
import { ENOENT } from "../abi/core";

/** `op` is one of NF_* commands (abi/netfilter.ts); the record stands at `record`; `upload` holds what was uploaded before. */
export function netfilterCommand(op: u32, record: usize, length: u32, upload: usize, uploadLength: u32): i32 {
  return -ENOENT;
}
