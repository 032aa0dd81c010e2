// Kfuncs that belong to no subsystem (kernel/bpf/helpers.c, kernel/bpf/bpf_iter.c): iterators over numbers and bits, sections of RCU, casts.
import { E2BIG, EINVAL } from "../../abi/core";
import { bpfFill, bpfOwn, bpfReadable, bpfWritable } from "../memory";

const BPF_MAX_LOOPS: i64 = 8 * 1024 * 1024;
/** Words of a bit iterator at most (BITS_ITER_NR_WORDS_MAX). */
const BITS_WORDS: u32 = 511;

@inline function error(code: i32): u64 { return <u64><i64>-code; }

export function plainKfunc(id: u32, r1: u64, r2: u64, r3: u64): u64 {
  switch (id) {
    case 0x10000: { // bpf_iter_num_new(it, start, end)
      if (!bpfWritable(r1, 8)) return 0;
      const at = <usize>r1, start = <i64><i32>r2, end = <i64><i32>r3;
      store<u64>(at, 0);
      if (start > end) return error(EINVAL);
      if (end - start > BPF_MAX_LOOPS) return error(E2BIG);
      store<i32>(at, <i32>(start - 1));
      store<i32>(at, <i32>end, 4);
      return 0;
    }
    case 0x10001: { // bpf_iter_num_next(it)
      if (!bpfWritable(r1, 8)) return 0;
      const at = <usize>r1, next = load<i32>(at) + 1;
      // The number before INT_MIN wraps, and so does this.
      if (<i64>load<i32>(at) + 1 >= <i64>load<i32>(at, 4) && !(load<i32>(at) == i32.MAX_VALUE && next < load<i32>(at, 4))) {
        store<u64>(at, 0);
        return 0;
      }
      store<i32>(at, next);
      bpfOwn(at, 4, false);
      return <u64>at;
    }
    case 0x10002: // bpf_iter_num_destroy(it)
      if (bpfWritable(r1, 8)) store<u64>(<usize>r1, 0);
      return 0;
    case 0x10061: { // bpf_iter_bits_new(it, words, count): {u32 words, u32 number, u32 bits, i32 bit}
      const words = <u32>r3, at = <usize>r1;
      if (!bpfWritable(r1, 16)) return 0;
      bpfFill(at, 0, 16);
      if (words == 0 || r2 == 0) return error(EINVAL);
      if (words > BITS_WORDS) return error(E2BIG);
      if (!bpfReadable(r2, words << 3)) return 0;
      store<u32>(at, <u32>r2);
      store<u32>(at, words << 6, 8);
      store<i32>(at, -1, 12);
      return 0;
    }
    case 0x10062: { // bpf_iter_bits_next(it): the address of the bit's number
      if (!bpfWritable(r1, 16)) return 0;
      const at = <usize>r1, bits = load<u32>(at, 8), words = <usize>load<u32>(at);
      if (bits > BITS_WORDS << 6 || !bpfReadable(<u64>words, bits >>> 3)) return 0;
      for (let bit = <u32>(load<i32>(at, 12) + 1); bit < bits; bit++) {
        if ((load<u64>(words + (<usize>(bit >>> 6) << 3)) >> <u64>(bit & 63) & 1) == 0) continue;
        store<u32>(at, bit, 12);
        store<u32>(at, bit, 4);
        bpfOwn(at + 4, 4, false);
        return <u64>(at + 4);
      }
      store<u32>(at, 0, 8);
      return 0;
    }
    case 0x10022: case 0x10052: // bpf_local_irq_save(flags), and the locks that save
      if (id == 0x10022 && bpfWritable(r1, 8)) store<u64>(<usize>r1, 0);
      return 0;
    case 0x10024: case 0x10025: return r1; // bpf_cast_to_kern_ctx, bpf_rdonly_cast
    default: return 0; // RCU, preemption, locks: programs are never interrupted
  }
}
