// Timers in values, kernel/bpf/helpers.c (bpf_timer_*), and work queues (bpf_wq_*: a timer that is due at once). The value holds the address of a
// BpfTimer, which ends with the value.
import { EBUSY, EINVAL, ENOMEM, EPERM } from "../../abi/core";
import { BPF_FIELD_TIMER, BPF_FIELD_WORKQUEUE, BPF_MAP_TYPE_ARRAY, EDEADLK } from "../../abi/bpf-maps";
import { Hrtimer, hrtimerCancel, hrtimerStart } from "../../mm/hrtimer";
import { node } from "../../mm/node";
import { kfree, kmalloc } from "../../mm/slab";
import { HRTIMER_BPF } from "../../net/timers";
import { progChecked } from "../memory";
import { BpfProg, progHold, progPut } from "../prog";
import { bpfCallSubprogram, bpfEnter, bpfLeave } from "../run";
import { Field, fieldOf } from "./fields";
import { BpfMap, BpfMapState, mapState } from "./map";

@unmanaged class BpfTimer extends Hrtimer {
  map: usize; // BpfMap
  value: usize;
  prog: usize; // BpfProg, held
  slot: u32; // of the callback
  /** Its callback is running. */
  running: u32;
  /** The value ended meanwhile. */
  gone: u32;
  index: u32; // an array's, for the callback
  field: usize; // where in the value it is
  other: usize; // BpfTimer of the node
}
const TIMER_BYTES: u32 = <u32>offsetof<BpfTimer>();

const CLOCK_REALTIME: u64 = 0, CLOCK_MONOTONIC: u64 = 1, CLOCK_BOOTTIME: u64 = 7, MAX_CLOCKS: u64 = 16;
const BPF_F_TIMER_ABS: u64 = 1, BPF_F_TIMER_CPU_PIN: u64 = 2;

@inline function timerOf(field: usize): BpfTimer {
  return changetype<BpfTimer>(<usize>load<u64>(field));
}

/** bpf_timer_init: 0, -EINVAL, -EBUSY, -EPERM, -ENOMEM. */
export function timerInit(field: usize, map: usize, flags: u64): i64 {
  if (flags >= MAX_CLOCKS || (flags != CLOCK_REALTIME && flags != CLOCK_MONOTONIC && flags != CLOCK_BOOTTIME)) return -EINVAL;
  return make(field, map, BPF_FIELD_TIMER);
}

/** bpf_wq_init. */
export function workInit(field: usize, map: usize, flags: u64): i64 {
  return flags != 0 ? -EINVAL : make(field, map, BPF_FIELD_WORKQUEUE);
}

function make(field: usize, map: usize, kind: u32): i64 {
  if (load<u64>(field) != 0) return -EBUSY;
  // Nobody outside could see the map any more: its timers have ended.
  if (changetype<BpfMap>(map).handle == 0) return -EPERM;
  const at = kmalloc(TIMER_BYTES);
  if (at == 0) return -ENOMEM;
  const timer = changetype<BpfTimer>(at);
  timer.kind = HRTIMER_BPF;
  timer.owner = at;
  timer.map = map;
  // The callback gets the value, whose beginning is found by the field's place.
  const place = fieldOf(changetype<BpfMap>(map), kind);
  timer.value = place == 0 ? field : field - <usize>changetype<Field>(place).offset;
  timer.field = field;
  const state = mapState();
  timer.other = state.timers;
  state.timers = at;
  store<u64>(field, <u64>at);
  return 0;
}

/** Does a timer stand here? */
export function timerKnown(field: usize): bool {
  let at = mapState().timers;
  while (at != 0 && changetype<BpfTimer>(at).field != field) at = changetype<BpfTimer>(at).other;
  return at != 0 && <usize>load<u64>(field) == at;
}

/** bpf_timer_set_callback: `slot` of the program that runs. 0, -EINVAL (not initialised), -EPERM. */
export function timerSetCallback(field: usize, slot: u64, prog: BpfProg): i64 {
  const timer = timerOf(field);
  if (changetype<usize>(timer) == 0) return -EINVAL;
  if (changetype<BpfMap>(timer.map).handle == 0) return -EPERM;
  if (timer.prog != changetype<usize>(prog)) {
    progHold(prog);
    if (timer.prog != 0) progPut(changetype<BpfProg>(timer.prog));
    timer.prog = changetype<usize>(prog);
  }
  timer.slot = <u32>slot;
  return 0;
}

/** bpf_timer_start: in (or with BPF_F_TIMER_ABS at) `ns`. 0, -EINVAL. */
export function timerStart(field: usize, ns: u64, flags: u64): i64 {
  if (flags & ~(BPF_F_TIMER_ABS | BPF_F_TIMER_CPU_PIN)) return -EINVAL;
  const timer = timerOf(field);
  if (changetype<usize>(timer) == 0 || timer.prog == 0) return -EINVAL;
  const now = node().now;
  hrtimerStart(timer, flags & BPF_F_TIMER_ABS ? ns : now + ns < now ? u64.MAX_VALUE - 1 : now + ns);
  return 0;
}

/** bpf_timer_cancel: 1 it was running, 0 not, -EINVAL, -EDEADLK (by its own callback). */
export function timerCancel(field: usize): i64 {
  const timer = timerOf(field);
  if (changetype<usize>(timer) == 0) return -EINVAL;
  if (timer.running) return -EDEADLK;
  const armed = timer.armed;
  hrtimerCancel(timer);
  if (timer.prog != 0) progPut(changetype<BpfProg>(timer.prog));
  timer.prog = 0;
  return <i64>armed;
}

/** bpf_timer_cancel_and_free: the value ends. */
export function timerFree(field: usize): void {
  const timer = timerOf(field);
  if (changetype<usize>(timer) == 0) return;
  store<u64>(field, 0);
  hrtimerCancel(timer);
  if (timer.running) {
    timer.gone = 1;
    return;
  }
  release(timer);
}

function release(timer: BpfTimer): void {
  let link = changetype<usize>(mapState()) + offsetof<BpfMapState>("timers");
  while (load<usize>(link) != changetype<usize>(timer)) link = load<usize>(link) + offsetof<BpfTimer>("other");
  store<usize>(link, timer.other);
  if (timer.prog != 0) progPut(changetype<BpfProg>(timer.prog));
  kfree(changetype<usize>(timer), TIMER_BYTES);
}

/** Called when it is due: callback(map, key, value), in a run of its own. */
export function bpfTimerFire(owner: usize): void {
  const timer = changetype<BpfTimer>(owner);
  if (timer.prog == 0) return;
  const run = bpfEnter();
  if (changetype<usize>(run) == 0) return;
  const map = changetype<BpfMap>(timer.map), prog = changetype<BpfProg>(timer.prog);
  let key: usize;
  if (map.type == BPF_MAP_TYPE_ARRAY) {
    timer.index = <u32>(timer.value - map.data) / map.stride;
    key = owner + offsetof<BpfTimer>("index");
  } else key = timer.value - <usize>((map.keySize + 7) & ~7);
  progHold(prog);
  timer.running = 1;
  run.prog = changetype<usize>(prog);
  run.checked = progChecked(prog);
  run.fp = run.stack;
  run.tailCalls = 0;
  bpfCallSubprogram(timer.slot, <u64>timer.map, <u64>key, <u64>timer.value, 0, 0);
  timer.running = 0;
  bpfLeave(run);
  if (timer.gone) release(timer);
  progPut(prog);
}
