// Special fields of values (struct btf_record): spin locks, timers, kptrs, lists and trees. Copies leave them alone, what is copied out has
// zeros there, and they end with their value.
import {
  BPFMC_FIELD_BYTES, BPF_FIELD_KPTR_PERCPU, BPF_FIELD_KPTR_REF, BPF_FIELD_LIST_HEAD, BPF_FIELD_RB_ROOT, BPF_FIELD_TIMER,
  BPF_FIELD_WORKQUEUE,
} from "../../abi/bpf-maps";
import { copyBytes } from "../../mm/copy";
import { BpfMap } from "./map";
import { listDrain, objectPut, treeDrain } from "./object";
import { timerFree } from "./timer";

/** One of `map.fields`. */
@unmanaged export class Field {
  kind: u32; // BPF_FIELD_*
  offset: u32;
  bytes: u32;
  /** Lists and trees: offset of the node in what they hold. */
  more: u32;
}

/** The field of this number. */
@inline export function fieldAt(map: BpfMap, i: u32): Field {
  return changetype<Field>(map.fields + <usize>(i * BPFMC_FIELD_BYTES));
}

/** The Field of a kind, 0: values have none. */
export function fieldOf(map: BpfMap, kind: u32): usize {
  for (let i: u32 = 0; i < map.fieldCount; i++) if (fieldAt(map, i).kind == kind) return changetype<usize>(fieldAt(map, i));
  return 0;
}

/** copy_map_value: a value without its special fields. */
export function fieldsCopy(map: BpfMap, to: usize, from: usize): void {
  if (map.fieldCount == 0) {
    copyBytes(to, from, <usize>map.valueSize);
    return;
  }
  let at: u32 = 0;
  for (let i: u32 = 0; i < map.fieldCount; i++) {
    const field = fieldAt(map, i);
    copyBytes(to + <usize>at, from + <usize>at, <usize>(field.offset - at));
    at = field.offset + field.bytes;
  }
  copyBytes(to + <usize>at, from + <usize>at, <usize>(map.valueSize - at));
}

/** check_and_init_map_value: zeros in the special fields of a copy. */
export function fieldsZero(map: BpfMap, value: usize): void {
  for (let i: u32 = 0; i < map.fieldCount; i++) {
    const field = fieldAt(map, i);
    memory.fill(value + <usize>field.offset, 0, <usize>field.bytes);
  }
}

/** bpf_obj_free_fields: what the fields of a value hold ends. Locks stay as they are. */
export function fieldsFree(map: BpfMap, value: usize): void {
  for (let i: u32 = 0; i < map.fieldCount; i++) {
    const field = fieldAt(map, i), at = value + <usize>field.offset;
    switch (field.kind) {
      case BPF_FIELD_TIMER: case BPF_FIELD_WORKQUEUE: timerFree(at); break;
      case BPF_FIELD_KPTR_REF: case BPF_FIELD_KPTR_PERCPU: {
        const object = <usize>load<u64>(at);
        store<u64>(at, 0);
        if (object != 0) objectPut(object);
        break;
      }
      case BPF_FIELD_LIST_HEAD: listDrain(at, field.more); break;
      case BPF_FIELD_RB_ROOT: treeDrain(at, field.more); break;
      default: break;
    }
  }
}

/** Timers and work queues of a value alone. */
export function fieldsFreeTimers(map: BpfMap, value: usize): void {
  for (let i: u32 = 0; i < map.fieldCount; i++) {
    const field = fieldAt(map, i);
    if (field.kind == BPF_FIELD_TIMER || field.kind == BPF_FIELD_WORKQUEUE) timerFree(value + <usize>field.offset);
  }
}
