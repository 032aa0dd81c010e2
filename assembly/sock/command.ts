// The driver's requests about sockets (the system calls).
import { ENOENT } from "../abi/core";

/** `op` is one of SOCK_* (abi/sock.ts); the record stands at `record`, the answer replaces it. */
export function sockCommand(op: u32, record: usize, length: u32): i32 {
  return -ENOENT;
}
