// Program objects: kernel/bpf/syscall.c bpf_prog_load, bpf_prog_put, bpf_prog_get_info_by_fd. A program belongs to its node; the driver, prog
// arrays and attachments hold references.
import {
  BPF_AREA_READONLY, BPF_BAD_MAP, BPF_INFO_ADDRESS, BPF_INFO_ATTACH_TYPE, BPF_INFO_BYTES, BPF_INFO_FAULTS, BPF_INFO_FLAGS, BPF_INFO_ID, BPF_INFO_JITED,
  BPF_INFO_MISSES, BPF_INFO_NAME, BPF_INFO_REFERENCES, BPF_INFO_RUNS, BPF_INFO_SLOTS, BPF_INFO_TAG, BPF_INFO_TYPE, BPF_LOAD_AREAS, BPF_LOAD_ATTACH_TYPE,
  BPF_LOAD_BYTES, BPF_LOAD_CTX_READ, BPF_LOAD_CTX_WRITTEN, BPF_LOAD_FLAGS, BPF_LOAD_F_SLOT_FLAGS, BPF_LOAD_MAPS, BPF_LOAD_NAME, BPF_LOAD_SLOTS, BPF_LOAD_TAG,
  BPF_LOAD_TYPE, BPF_MAX_SLOTS,
} from "../abi/bpf";
import { E2BIG, EBADF, EINVAL, ENOMEM } from "../abi/core";
import { HANDLE_BPF_PROG, handleFree, handleGet, handleNew } from "../mm/handle";
import { kfree, kmalloc } from "../mm/slab";
import { decode } from "./decode";
import { bpfMapFind, bpfMapHold, bpfMapPut } from "./maps/map";
import { bpfState } from "./run";

@unmanaged export class BpfProg {
  next: usize; // BpfProg of the node
  handle: u32; // the driver's, 0: it gave it back
  id: u32;
  type: u32;
  attachType: u32;
  flags: u32; // BPF_LOAD_F_*
  refs: u32;
  tag: u64;
  /** Words of the context that it reads and writes. */
  ctxRead: u64;
  ctxWritten: u64;
  name0: u64; name1: u64;
  runs: u64;
  /** Not run because programs were nested too deeply. */
  misses: u64;
  faults: u64;
  /** ops.ts */
  code: usize; codeBytes: u32;
  slots: u32;
  /** The instruction of each slot: u32[slots]; 0: the second half of an lddw. */
  entries: usize;
  /** {u32 from, u32 to, u32 writable}[]: memory beyond context, stack and packet that an unverified program may touch. */
  areas: usize; areaCount: u32;
  /** Maps that it names: u32[]. */
  maps: usize; mapCount: u32; mapBytes: u32;
  /** Compiled code: index in the instance's table, 0: none; and {u32 slot, u32 index}[] of what is called back. */
  jitMain: u32;
  jit: usize; jitCount: u32;
}

export const AREA_BYTES: u32 = 12;

/** The program behind the driver's handle, or 0. */
export function progGet(handle: u32): usize {
  return handleGet(HANDLE_BPF_PROG, handle);
}

export function progHold(prog: BpfProg): void {
  prog.refs++;
}

/** Ends a reference; the last one frees the program. */
export function progPut(prog: BpfProg): void {
  if (--prog.refs > 0) return;
  const state = bpfState();
  let link = changetype<usize>(state); // `progs` is its first field, `next` a program's
  while (<usize>load<u32>(link) != changetype<usize>(prog)) link = <usize>load<u32>(link);
  store<u32>(link, <u32>prog.next);
  release(prog);
}

function release(prog: BpfProg): void {
  kfree(prog.code, prog.codeBytes);
  kfree(prog.entries, prog.slots << 2);
  kfree(prog.areas, prog.areaCount * AREA_BYTES);
  for (let i: u32 = 0; i < prog.mapCount; i++) bpfMapPut(<usize>load<u32>(prog.maps + <usize>(i << 2)));
  kfree(prog.maps, prog.mapBytes);
  kfree(prog.jit, prog.jitCount << 3);
  kfree(changetype<usize>(prog), offsetof<BpfProg>());
}

/** BPF_PROG_LOAD. */
export function progLoad(at: usize, length: u32, slotsAt: usize, slotBytes: u32): i32 {
  if (length < BPF_LOAD_BYTES) return -EINVAL;
  const slots = load<u32>(at + BPF_LOAD_SLOTS), maps = load<u32>(at + BPF_LOAD_MAPS), areas = load<u32>(at + BPF_LOAD_AREAS);
  const flags = load<u32>(at + BPF_LOAD_FLAGS);
  if (slots == 0 || slots > BPF_MAX_SLOTS) return -E2BIG;
  const flagged = (flags & BPF_LOAD_F_SLOT_FLAGS) != 0;
  if (slotBytes < slots * (flagged ? 9 : 8)) return -EINVAL;
  if (maps > 0x4000 || areas > 0x4000 || length < BPF_LOAD_BYTES + (maps << 2) + (areas << 3)) return -EINVAL;
  const room = kmalloc(offsetof<BpfProg>());
  if (room == 0) return -ENOMEM;
  const prog = changetype<BpfProg>(room);
  prog.type = load<u32>(at + BPF_LOAD_TYPE);
  prog.attachType = load<u32>(at + BPF_LOAD_ATTACH_TYPE);
  prog.flags = flags;
  prog.tag = load<u64>(at + BPF_LOAD_TAG);
  prog.ctxRead = load<u64>(at + BPF_LOAD_CTX_READ);
  prog.ctxWritten = load<u64>(at + BPF_LOAD_CTX_WRITTEN);
  prog.name0 = load<u64>(at + BPF_LOAD_NAME);
  prog.name1 = load<u64>(at + BPF_LOAD_NAME, 8) & 0x00ffffffffffffff;
  prog.slots = slots;
  let error = takeLists(prog, at + BPF_LOAD_BYTES, maps, areas) ? 0 : -ENOMEM;
  if (error == 0) error = holdMaps(prog, at, maps);
  if (error == 0) error = decode(prog, slotsAt, flagged ? slotsAt + <usize>(slots << 3) : 0, at);
  if (error == 0) {
    prog.handle = handleNew(HANDLE_BPF_PROG, room);
    if (prog.handle == 0) error = -ENOMEM;
  }
  if (error != 0) {
    release(prog);
    return error;
  }
  const state = bpfState();
  prog.refs = 1;
  prog.id = ++state.nextId;
  prog.next = state.progs;
  state.progs = room;
  store<u32>(at, prog.id);
  store<u32>(at, <u32>room, 4);
  return <i32>prog.handle;
}

function takeLists(prog: BpfProg, from: usize, maps: u32, areas: u32): bool {
  if (maps > 0) {
    prog.maps = kmalloc(maps << 2);
    if (prog.maps == 0) return false;
    prog.mapBytes = maps << 2;
  }
  if (areas == 0) return true;
  prog.areas = kmalloc(areas * AREA_BYTES);
  if (prog.areas == 0) return false;
  prog.areaCount = areas;
  for (let i: u32 = 0; i < areas; i++) {
    const given = from + <usize>((maps << 2) + (i << 3)), area = prog.areas + <usize>(i * AREA_BYTES);
    const bytes = load<u32>(given, 4);
    store<u32>(area, load<u32>(given));
    store<u32>(area, load<u32>(given) + (bytes & ~BPF_AREA_READONLY), 4);
    store<u32>(area, bytes & BPF_AREA_READONLY ? 0 : 1, 8);
  }
  return true;
}

/** The maps that the program names live as long as it does. */
function holdMaps(prog: BpfProg, at: usize, maps: u32): i32 {
  for (let i: u32 = 0; i < maps; i++) {
    const map = bpfMapFind(<u64>load<u32>(at + BPF_LOAD_BYTES + <usize>(i << 2)));
    if (map == 0) {
      store<u32>(at, 0);
      store<u32>(at, BPF_BAD_MAP, 4);
      store<u32>(at, i, 8);
      return -EINVAL;
    }
    bpfMapHold(map);
    store<u32>(prog.maps + <usize>(prog.mapCount << 2), <u32>map);
    prog.mapCount++;
  }
  return 0;
}

/** BPF_PROG_FREE. */
export function progFree(handle: u32): i32 {
  const at = progGet(handle);
  if (at == 0) return -EBADF;
  const prog = changetype<BpfProg>(at);
  handleFree(handle);
  prog.handle = 0;
  progPut(prog);
  return 0;
}

/** BPF_PROG_INFO. */
export function progInfo(handle: u32, at: usize): i32 {
  const found = progGet(handle);
  if (found == 0) return -EBADF;
  const prog = changetype<BpfProg>(found);
  store<u32>(at + BPF_INFO_ID, prog.id);
  store<u32>(at + BPF_INFO_TYPE, prog.type);
  store<u32>(at + BPF_INFO_ATTACH_TYPE, prog.attachType);
  store<u32>(at + BPF_INFO_FLAGS, prog.flags);
  store<u64>(at + BPF_INFO_TAG, prog.tag);
  store<u64>(at + BPF_INFO_NAME, prog.name0);
  store<u64>(at + BPF_INFO_NAME, prog.name1, 8);
  store<u32>(at + BPF_INFO_SLOTS, prog.slots);
  store<u32>(at + BPF_INFO_JITED, prog.jitMain != 0 ? 1 : 0);
  store<u64>(at + BPF_INFO_RUNS, prog.runs);
  store<u64>(at + BPF_INFO_MISSES, prog.misses);
  store<u32>(at + BPF_INFO_REFERENCES, prog.refs);
  store<u32>(at + BPF_INFO_ADDRESS, <u32>found);
  store<u64>(at + BPF_INFO_FAULTS, prog.faults);
  return <i32>BPF_INFO_BYTES;
}

/** BPF_PROG_JIT. */
export function progJit(at: usize, length: u32): i32 {
  const found = progGet(load<u32>(at));
  if (found == 0) return -EBADF;
  const count = load<u32>(at, 8);
  if (length < 12 || count > 0x3000 || length < 12 + (count << 3)) return -EINVAL;
  const table = count == 0 ? 0 : kmalloc(count << 3);
  if (count != 0 && table == 0) return -ENOMEM;
  const prog = changetype<BpfProg>(found);
  kfree(prog.jit, prog.jitCount << 3);
  if (count != 0) memory.copy(table, at + 12, <usize>(count << 3));
  prog.jit = table;
  prog.jitCount = count;
  prog.jitMain = load<u32>(at, 4);
  return 0;
}

/** The compiled subprogram at a slot: index in the instance's table, 0: none. */
export function progCompiled(prog: BpfProg, slot: u32): u32 {
  for (let i: u32 = 0; i < prog.jitCount; i++) {
    const entry = prog.jit + <usize>(i << 3);
    if (load<u32>(entry) == slot) return load<u32>(entry, 4);
  }
  return 0;
}
