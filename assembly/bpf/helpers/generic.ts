// Helpers that ask for nothing but the node: clock, chance, processor (kernel/bpf/helpers.c).
import { EINVAL } from "../../abi/core";
import { node } from "../../mm/node";
import { random32 } from "../../mm/rng";
import { NS_PER_JIFFY } from "../../mm/timer";

/** jiffies begin five minutes before they wrap at 32 bits (include/linux/jiffies.h INITIAL_JIFFIES, HZ 250). */
const INITIAL_JIFFIES: u64 = 0xfffffffffffedb08;

export function genericHelper(id: u32, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64): u64 {
  switch (id) {
    case 5: case 125: case 208: return node().now; // ktime_get_ns, ktime_get_boot_ns, ktime_get_tai_ns
    case 7: return <u64>random32();
    case 8: case 42: return 0; // get_smp_processor_id, get_numa_node_id
    case 118: return INITIAL_JIFFIES + node().now / NS_PER_JIFFY; // jiffies64
    case 160: return node().now / NS_PER_JIFFY * NS_PER_JIFFY; // ktime_get_coarse_ns
    default: return <u64><i64>-EINVAL;
  }
}
