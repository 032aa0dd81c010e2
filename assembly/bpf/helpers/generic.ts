// Helpers of all program types (kernel/bpf/helpers.c, bpf_base_func_proto, and net/core/filter.c bpf_csum_diff): clock, chance, processor, task,
// callbacks, locks, checksums.
import { E2BIG, EINVAL, EOPNOTSUPP } from "../../abi/core";
import { node } from "../../mm/node";
import { random32 } from "../../mm/rng";
import { NS_PER_JIFFY } from "../../mm/timer";
import { checksumAdd } from "../../wire/checksum";
import { bpfReadable, bpfWritable } from "../memory";
import { BpfState, bpfCallSubprogram, bpfCurrent, bpfState } from "../run";
import { probeRead, probeReadString } from "./probe";
import { snprintf, tracePrintk, traceVprintk } from "./printf";
import { compareStrings, parseNumber } from "./string";
import { dynptrHelper } from "./dynptr";

/** jiffies begin five minutes before they wrap at 32 bits (include/linux/jiffies.h INITIAL_JIFFIES, HZ 250). */
const INITIAL_JIFFIES: u64 = 0xfffffffffffedb08;
const BPF_MAX_LOOPS: u32 = 8 * 1024 * 1024;
const TASK_COMM_LEN: u32 = 16;
/** Behind the six arguments that a function has room for. */
const RETURNED: usize = 48;

@inline function error(code: i32): u64 { return <u64><i64>-code; }

export function genericHelper(id: u32, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64): u64 {
  switch (id) {
    case 5: case 125: case 208: return node().now; // ktime_get_ns, ktime_get_boot_ns, ktime_get_tai_ns
    case 160: return node().now / NS_PER_JIFFY * NS_PER_JIFFY; // ktime_get_coarse_ns
    case 118: return INITIAL_JIFFIES + node().now / NS_PER_JIFFY; // jiffies64
    case 7: return <u64>random32();
    case 8: case 42: return 0; // get_smp_processor_id, get_numa_node_id: there is one of each

    case 4: case 112: case 113: case 148: return probeRead(r1, r2, r3);
    case 45: case 114: case 115: return probeReadString(r1, r2, r3);
    case 105: return parseNumber(r1, r2, r3, r4, true);
    case 106: return parseNumber(r1, r2, r3, r4, false);
    case 182: return compareStrings(r1, r2, r3);
    case 6: return tracePrintk(r1, r2, r3, r4, r5);
    case 177: return traceVprintk(r1, r2, r3, r4);
    case 165: return snprintf(r1, r2, r3, r4, r5);
    case 28: return checksumDifference(r1, <u32>r2, r3, <u32>r4, <u32>r5);
    case 181: return loop(<u32>r1, <u32>r2, r3, r4);
    case 93: case 94: return 0; // spin_lock, spin_unlock: nobody else runs meanwhile
    case 197: case 201: case 202: case 203: return dynptrHelper(id, r1, r2, r3, r4, r5);

    case 14: return bpfState().pidTgid;
    case 15: return bpfState().uidGid;
    case 16: return currentComm(r1, <u32>r2);
    case 35: case 158: return <u64>(changetype<usize>(bpfState()) + offsetof<BpfState>("task")); // get_current_task, get_current_task_btf
    case 80: return 1; // get_current_cgroup_id: the root's
    case 173: return <u64>bpfCurrent().func;
    case 174: return bpfCurrent().cookie;
    case 183: { // get_func_arg(ctx, n, value)
      const run = bpfCurrent();
      if (!bpfWritable(r3, 8)) return 0;
      if (<u32>r2 >= run.argCount) return error(EINVAL);
      store<u64>(<usize>r3, load<u64>(run.args + (<usize>r2 << 3)));
      return 0;
    }
    case 184: { // get_func_ret(ctx, value)
      const run = bpfCurrent();
      if (!bpfWritable(r2, 8)) return 0;
      if (run.returned == 0) return error(EOPNOTSUPP);
      store<u64>(<usize>r2, load<u64>(run.args + RETURNED));
      return 0;
    }
    default: return <u64>bpfCurrent().argCount; // get_func_arg_cnt
  }
}

/** bpf_loop: how often the callback ran, the time that it asked to stop included. */
function loop(times: u32, slot: u32, context: u64, flags: u64): u64 {
  if (flags != 0) return error(EINVAL);
  if (times > BPF_MAX_LOOPS) return error(E2BIG);
  const run = bpfCurrent();
  for (let i: u32 = 0; i < times; i++) {
    const stop = bpfCallSubprogram(slot, <u64>i, context, 0, 0, 0);
    if (run.fault != 0) return 0;
    if (stop != 0) return <u64>(i + 1);
  }
  return <u64>times;
}

/** bpf_csum_diff: folded to 16 bits, as Linux has it since 6.13. */
function checksumDifference(from: u64, fromSize: u32, to: u64, toSize: u32, seed: u32): u64 {
  if (((fromSize | toSize) & 3) != 0) return error(EINVAL);
  if (!bpfReadable(from, fromSize) || !bpfReadable(to, toSize)) return 0;
  let sum: u32 = seed;
  if (fromSize != 0 && toSize != 0) {
    const added = sum32(checksumAdd(<u64>seed, <usize>to, toSize));
    sum = sum32(<u64>added + <u64>~sum32(checksumAdd(0, <usize>from, fromSize)));
  } else if (toSize != 0) sum = sum32(checksumAdd(<u64>seed, <usize>to, toSize));
  else if (fromSize != 0) sum = ~sum32(checksumAdd(<u64>~seed, <usize>from, fromSize));
  sum = (sum & 0xffff) + (sum >>> 16);
  return <u64>((sum & 0xffff) + (sum >>> 16));
}

/** A running sum in 32 bits. */
function sum32(sum: u64): u32 {
  const once = (sum & 0xffffffff) + (sum >> 32);
  return <u32>once + <u32>(once >> 32);
}

function currentComm(to: u64, size: u32): u64 {
  if (!bpfWritable(to, size)) return 0;
  const state = bpfState(), comm = changetype<usize>(state) + offsetof<BpfState>("comm");
  for (let i: u32 = 0; i < size; i++) store<u8>(<usize>to + <usize>i, i < TASK_COMM_LEN - 1 ? load<u8>(comm + <usize>i) : 0);
  return 0;
}
