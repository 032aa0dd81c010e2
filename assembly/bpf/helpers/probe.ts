// Reading memory that no verifier vouches for (kernel/trace/bpf_trace.c bpf_probe_read*, kernel/bpf/helpers.c bpf_copy_from_user): addresses are
// looked up in the node's arena first. There is one address space, so "user" and "kernel" are the same.
import { EFAULT, EINVAL } from "../../abi/core";
import { CHUNK_BYTES } from "../../layout";
import { node } from "../../mm/node";
import { bpfCopy, bpfFill, bpfWritable } from "../memory";

/** Bytes from `at` that are in one piece of the arena; 0: none. */
export function arenaBytes(at: u64): u32 {
  if (at == 0 || at > 0xffffffff) return 0;
  const p = <usize>at;
  for (let chunk = node().chunks; chunk != 0; chunk = <usize>load<u32>(chunk)) {
    const end = chunk + (CHUNK_BYTES << load<u32>(chunk, 4));
    if (p >= chunk && p < end) return <u32>(end - p);
  }
  return 0;
}

/** probe_read, probe_read_user, probe_read_kernel, copy_from_user: (dst, size, src). */
export function probeRead(r1: u64, r2: u64, r3: u64): u64 {
  const size = <u32>r2;
  if (size == 0) return 0;
  if (!bpfWritable(r1, size)) return 0;
  if (arenaBytes(r3) < size) {
    bpfFill(<usize>r1, 0, <usize>size);
    return <u64><i64>-EFAULT;
  }
  bpfCopy(<usize>r1, <usize>r3, <usize>size);
  return 0;
}

/** probe_read_str and its kin: the length with the final zero. */
export function probeReadString(r1: u64, r2: u64, r3: u64): u64 {
  const size = <u32>r2;
  if (size == 0) return <u64><i64>-EINVAL;
  if (!bpfWritable(r1, size)) return 0;
  const available = arenaBytes(r3), to = <usize>r1, from = <usize>r3;
  const most = min<u32>(size - 1, available);
  let n: u32 = 0;
  for (; n < most; n++) {
    const byte = load<u8>(from + <usize>n);
    store<u8>(to + <usize>n, byte);
    if (byte == 0) return <u64>(n + 1);
  }
  if (n == available) { // ran off what there is
    bpfFill(to, 0, <usize>size);
    return <u64><i64>-EFAULT;
  }
  store<u8>(to + <usize>n, 0);
  return <u64>size;
}
