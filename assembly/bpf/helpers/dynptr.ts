// Dynamic pointers (kernel/bpf/helpers.c bpf_dynptr_*): pieces of memory whose size is known when the program runs. On the program's stack
// stands an opaque structure of 16 bytes (struct bpf_dynptr):
//
//   0           4            8                                       12
//  ├── data ───┼── owner ───┼ size, 24 bits │ type, 3 │ read only, 1 ┼── offset ──┤
//
// A packet's `data` is its Skb; the bytes are looked up when they are needed, since helpers move them.
import { E2BIG, EINVAL } from "../../abi/core";
import { Skb } from "../../layout";
import { bpfCopy, bpfFill, bpfOwn, bpfReadable, bpfWritable } from "../memory";
import { bpfCurrent } from "../run";

export const DYNPTR_LOCAL: u32 = 1, DYNPTR_RINGBUF: u32 = 2, DYNPTR_SKB: u32 = 3, DYNPTR_XDP: u32 = 4;
export const DYNPTR_BYTES: u32 = 16;
const MAX_SIZE: u32 = 0xffffff;
const READ_ONLY: u32 = 0x80000000;
const BPF_F_RECOMPUTE_CSUM: u64 = 1;

@unmanaged class Dynptr {
  data: u32;
  owner: u32;
  size: u32;
  offset: u32;
}

@inline function sizeOf(d: Dynptr): u32 { return d.size & MAX_SIZE; }
@inline function typeOf(d: Dynptr): u32 { return (d.size >>> 28) & 7; }
@inline function readOnly(d: Dynptr): bool { return (d.size & READ_ONLY) != 0; }
@inline function error(code: i32): u64 { return <u64><i64>-code; }

/** Where its bytes begin; 0: none. */
function bytesAt(d: Dynptr): usize {
  const type = typeOf(d);
  if (d.data == 0) return 0;
  if (type == DYNPTR_SKB || type == DYNPTR_XDP) return changetype<Skb>(<usize>d.data).data + <usize>d.offset;
  return <usize>(d.data + d.offset);
}

/** bpf_dynptr_init: `data` may be a packet's Skb. */
export function dynptrInit(at: usize, data: usize, size: u32, type: u32, readonly: bool): void {
  const d = changetype<Dynptr>(at);
  d.data = <u32>data;
  d.owner = 0;
  d.size = size | (type << 28) | (readonly ? READ_ONLY : 0);
  d.offset = 0;
}

/** bpf_dynptr_set_null */
export function dynptrNull(at: usize): void {
  bpfFill(at, 0, <usize>DYNPTR_BYTES);
}

/** An unverified program's structure may hold anything: what it says has to be owned. */
function sound(d: Dynptr, write: bool): bool {
  if (!bpfReadable(<u64>changetype<usize>(d), DYNPTR_BYTES)) return false;
  if (bpfCurrent().checked == 0 || d.data == 0) return true;
  const type = typeOf(d);
  if (type == DYNPTR_SKB || type == DYNPTR_XDP) {
    if (<usize>d.data == bpfCurrent().object) return true;
    bpfReadable(0, 1);
    return false;
  }
  return write ? bpfWritable(<u64>bytesAt(d), sizeOf(d)) : bpfReadable(<u64>bytesAt(d), sizeOf(d));
}

/** Are `length` bytes from `offset` inside? */
function inside(d: Dynptr, offset: u64, length: u64): bool {
  const size = <u64>sizeOf(d);
  return length <= size && offset <= size - length;
}

/** Helpers 197 and 201 to 203. */
export function dynptrHelper(id: u32, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64): u64 {
  switch (id) {
    case 197: { // dynptr_from_mem(data, size, flags, ptr)
      if (!bpfWritable(r4, DYNPTR_BYTES)) return 0;
      const at = <usize>r4;
      if (<u32>r2 > MAX_SIZE) {
        dynptrNull(at);
        return error(E2BIG);
      }
      if (r3 != 0) {
        dynptrNull(at);
        return error(EINVAL);
      }
      if (!bpfWritable(r1, <u32>r2)) return 0;
      dynptrInit(at, <usize>r1, <u32>r2, DYNPTR_LOCAL, false);
      return 0;
    }
    case 201: { // dynptr_read(dst, len, src, offset, flags)
      const d = changetype<Dynptr>(<usize>r3), length = <u32>r2;
      if (!sound(d, false) || !bpfWritable(r1, length)) return 0;
      if (d.data == 0 || r5 != 0) return error(EINVAL);
      if (!inside(d, <u64><u32>r4, <u64>length)) return error(E2BIG);
      bpfCopy(<usize>r1, bytesAt(d) + <usize>r4, <usize>length);
      return 0;
    }
    case 202: { // dynptr_write(dst, offset, src, len, flags)
      const d = changetype<Dynptr>(<usize>r1), length = <u32>r4;
      if (!sound(d, true) || !bpfReadable(r3, length)) return 0;
      if (d.data == 0 || readOnly(d)) return error(EINVAL);
      if (typeOf(d) != DYNPTR_SKB ? r5 != 0 : (r5 & ~(BPF_F_RECOMPUTE_CSUM | 2)) != 0) return error(EINVAL);
      if (!inside(d, <u64><u32>r2, <u64>length)) return error(E2BIG);
      bpfCopy(bytesAt(d) + <usize>r2, <usize>r3, <usize>length);
      return 0;
    }
    default: { // dynptr_data(ptr, offset, len)
      const d = changetype<Dynptr>(<usize>r1);
      if (!sound(d, false)) return 0;
      const type = typeOf(d);
      if (d.data == 0 || readOnly(d) || type == DYNPTR_SKB || type == DYNPTR_XDP || !inside(d, <u64><u32>r2, <u64><u32>r3)) return 0;
      const at = bytesAt(d) + <usize>r2;
      bpfOwn(at, <u32>r3, true);
      return <u64>at;
    }
  }
}

/** Kfuncs 0x10003 to 0x1000d. */
export function dynptrKfunc(id: u32, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64): u64 {
  if (id == 0x10003 || id == 0x10004) { // from_skb, from_xdp(ctx, flags, ptr)
    if (!bpfWritable(r3, DYNPTR_BYTES)) return 0;
    const run = bpfCurrent();
    if (r2 != 0 || run.object == 0) {
      dynptrNull(<usize>r3);
      return error(EINVAL);
    }
    const skb = changetype<Skb>(run.object);
    dynptrInit(<usize>r3, run.object, <u32>(skb.tail - skb.data), id == 0x10003 ? DYNPTR_SKB : DYNPTR_XDP, false);
    return 0;
  }
  const d = changetype<Dynptr>(<usize>r1);
  if (!sound(d, id == 0x1000d || id == 0x1000c)) return 0;
  switch (id) {
    case 0x10005: case 0x10006: { // slice, slice_rdwr(ptr, offset, buffer, buffer size)
      if (d.data == 0 || !inside(d, <u64><u32>r2, <u64><u32>r4) || (id == 0x10006 && readOnly(d))) return 0;
      const at = bytesAt(d) + <usize><u32>r2;
      bpfOwn(at, <u32>r4, id == 0x10006);
      return <u64>at;
    }
    case 0x10007: { // adjust(ptr, start, end)
      const size = sizeOf(d), start = <u32>r2, end = <u32>r3;
      if (d.data == 0 || start > end) return error(EINVAL);
      if (start > size || end > size) return error(34); // ERANGE
      d.offset += start;
      d.size = (d.size & ~MAX_SIZE) | (end - start);
      return 0;
    }
    case 0x10008: return d.data == 0 ? 1 : 0; // is_null
    case 0x10009: return d.data != 0 && readOnly(d) ? 1 : 0; // is_rdonly
    case 0x1000a: return d.data == 0 ? error(EINVAL) : <u64>sizeOf(d); // size
    case 0x1000b: // clone(ptr, clone)
      if (!bpfWritable(r2, DYNPTR_BYTES)) return 0;
      if (d.data == 0) {
        dynptrNull(<usize>r2);
        return error(EINVAL);
      }
      bpfCopy(<usize>r2, changetype<usize>(d), <usize>DYNPTR_BYTES);
      return 0;
    case 0x1000c: { // copy(dst, offset, src, offset, size)
      const s = changetype<Dynptr>(<usize>r3);
      if (!sound(s, false)) return 0;
      if (d.data == 0 || s.data == 0 || readOnly(d)) return error(EINVAL);
      if (!inside(d, <u64><u32>r2, <u64><u32>r5) || !inside(s, <u64><u32>r4, <u64><u32>r5)) return error(E2BIG);
      bpfCopy(bytesAt(d) + <usize><u32>r2, bytesAt(s) + <usize><u32>r4, <usize><u32>r5);
      return 0;
    }
    case 0x1000d: // memset(ptr, offset, size, value)
      if (d.data == 0 || readOnly(d)) return error(EINVAL);
      if (!inside(d, <u64><u32>r2, <u64><u32>r3)) return error(E2BIG);
      bpfFill(bytesAt(d) + <usize><u32>r2, <u8>r4, <usize><u32>r3);
      return 0;
    default: return error(EINVAL);
  }
}
