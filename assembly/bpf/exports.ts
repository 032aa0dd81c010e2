// What programs that were compiled to Wasm (src/bpf/jit/) call: exports of the full kernel, an entry of their own so that the core has none.
import { BPF_FAULT_CALL } from "../abi/bpf";
import { bpfHelper, bpfHelperKnown } from "./helpers/index";
import { BpfMap } from "./maps/map";
import { mapLookup } from "./maps/ops";
import { bpfAccess, bpfFault, bpfPacketLoad } from "./memory";
import { bpfCurrent, bpfTailCall } from "./run";

/** Calls helper or kfunc `id`. */
export function bpf_helper(id: u32, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64): u64 {
  return bpfHelper(id, r1, r2, r3, r4, r5);
}

/** The same for a number that came out of a register: it may be nobody's, which is a fault. */
export function bpf_callx(id: u32, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64): u64 {
  if (id < 0x10000 && bpfHelperKnown(<i32>id)) return bpfHelper(id, r1, r2, r3, r4, r5);
  bpfFault(bpfCurrent(), BPF_FAULT_CALL, <u64>id, 0);
  return 0;
}

/** 1: the target has run, and the run's r0 is what the caller returns. */
export function bpf_tail_call(r1: u64, r2: u64, r3: u64): u32 {
  return bpfTailCall(r1, r2, r3) ? 1 : 0;
}

/** 1: the unverified program that runs owns these bytes; 0: its run has a fault. */
export function bpf_check(address: u64, bytes: u32, write: u32): u32 {
  return bpfAccess(bpfCurrent(), address, bytes, write != 0) ? 1 : 0;
}

/** 1 << width bytes of the packet in host order, for BPF_ABS and BPF_IND; -1: outside of it. */
export function bpf_packet_load(offset: i32, width: u32): u64 {
  return bpfPacketLoad(bpfCurrent(), offset, width);
}

/** bpf_map_lookup_elem of a verified program. */
export function bpf_map_lookup(map: u32, key: u32): u32 {
  return <u32>mapLookup(changetype<BpfMap>(<usize>map), <usize>key);
}
