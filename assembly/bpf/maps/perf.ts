// Perf events of a perf event array: software events (PERF_COUNT_SW_BPF_OUTPUT) that the driver opens for a CPU, each with a ring of its own
// (kernel/trace/bpf_trace.c, kernel/events/ring_buffer.c). The ring is that of a ring buffer, a BpfMap without a handle.
import { E2BIG, EINVAL, ENOENT, ENOMEM, ENOSPC, EOPNOTSUPP } from "../../abi/core";
import { BPF_MAP_TYPE_RINGBUF } from "../../abi/bpf-maps";
import { BpfMap, mapDispose, mapNew, mapWake, possibleCpus } from "./map";
import { fdArrayGet, put } from "./prog-array";
import { ringConsume, ringFree, ringInit, ringReserve } from "./ringbuf";

const BPF_F_INDEX_MASK: u64 = 0xffffffff;
const PAGE: u32 = 4096;
const PAGES_MAX: u32 = 16384;
/** A record's size is 16 bits of its header (8 bytes), and a raw sample's length 4. */
const SAMPLE_MAX: u64 = 65535 - 12;

/** BPF_PERF_OPEN. */
export function perfOpen(map: BpfMap, cpu: u32, pages: u32): i32 {
  if (cpu >= map.maxEntries) return -E2BIG;
  if (cpu >= possibleCpus() || pages == 0 || pages > PAGES_MAX || (pages & (pages - 1)) != 0) return -EINVAL;
  const event = mapNew();
  if (changetype<usize>(event) == 0) return -ENOMEM;
  event.type = BPF_MAP_TYPE_RINGBUF;
  event.maxEntries = pages * PAGE;
  if (!ringInit(event)) {
    perfEventFree(changetype<usize>(event));
    return -ENOMEM;
  }
  put(map, cpu, changetype<usize>(event));
  return 0;
}

export function perfEventFree(event: usize): void {
  ringFree(changetype<BpfMap>(event));
  mapDispose(changetype<BpfMap>(event));
}

/**
 * __bpf_perf_event_output of `size` bytes at `data` and `more` bytes at `rest` (a packet's). 0, -E2BIG (index, too long), -ENOENT (no event),
 * -EOPNOTSUPP (another CPU's), -ENOSPC (full: counted as lost).
 */
export function perfOutput(map: BpfMap, flags: u64, data: usize, size: u64, rest: usize, more: u32): i32 {
  let index = <u32>(flags & BPF_F_INDEX_MASK);
  if (index == 0xffffffff) index = 0;
  if (index >= map.maxEntries) return -E2BIG;
  const at = fdArrayGet(map, index);
  if (at == 0) return -ENOENT;
  if (index != 0) return -EOPNOTSUPP;
  if (size + <u64>more > SAMPLE_MAX) return -E2BIG;
  const event = changetype<BpfMap>(at), record = ringReserve(event, size + <u64>more);
  if (record == 0) {
    event.count++;
    return -ENOSPC;
  }
  memory.copy(record, data, <usize>size);
  if (more != 0) memory.copy(record + <usize>size, rest, <usize>more);
  store<u32>(record - 8, <u32>size + more);
  mapWake(map);
  return 0;
}

/** BPF_PERF_CONSUME. */
export function perfConsume(map: BpfMap, cpu: u32, to: usize, max: u32): i32 {
  const at = fdArrayGet(map, cpu);
  if (at == 0) return -ENOENT;
  const event = changetype<BpfMap>(at);
  const bytes = ringConsume(event, to + 8, max - 8);
  store<u64>(to, <u64>event.count);
  event.count = 0;
  return <i32>(bytes + 8);
}

/** bpf_perf_event_read: a software event that only carries samples counts nothing. */
export function perfRead(map: BpfMap, flags: u64): i64 {
  const index = <u32>(flags & BPF_F_INDEX_MASK);
  if (flags & ~BPF_F_INDEX_MASK) return -EINVAL;
  const cpu: u32 = index == 0xffffffff ? 0 : index;
  if (cpu >= map.maxEntries) return -E2BIG;
  return fdArrayGet(map, cpu) == 0 ? -ENOENT : 0;
}
