// Which stack slots are read later, kernel/bpf/liveness.c. While paths are walked, every instruction collects the
// slots it may read and those it writes on each visit, one record a call chain. Between walks a backward pass over the
// subprogram turns them into "alive before this instruction"; slots that are not alive do not hinder states from being
// found equal.

import { frameInsnIdx, type FuncState, type VerifierState } from "./state.ts";
import type { Env } from "./env.ts";
import { successors } from "./cfg.ts";

/** Masks of 64 slots, one a relative instruction, as two halves. */
interface FrameMasks {
  readonly readLow: Int32Array;
  readonly readHigh: Int32Array;
  readonly writeLow: Int32Array;
  readonly writeHigh: Int32Array;
  readonly liveLow: Int32Array;
  readonly liveHigh: Int32Array;
}

/** Marks of one subprogram entered through one chain of calls: func_instance. */
interface Instance {
  readonly subprogno: number;
  readonly start: number;
  readonly count: number;
  readonly frames: (FrameMasks | undefined)[];
  /** Instructions that committed their writes at least once. */
  readonly seen: Uint8Array;
  updated: boolean;
}

function newMasks(count: number): FrameMasks {
  const make = (): Int32Array => new Int32Array(count);
  return { readLow: make(), readHigh: make(), writeLow: make(), writeHigh: make(), liveLow: make(), liveHigh: make() };
}

export class StackLiveness {
  private readonly env: Env;
  private readonly instances = new Map<string, Instance>();
  /** Slots written by the instruction being walked, by frame. */
  private readonly pendingLow = new Int32Array(8);
  private readonly pendingHigh = new Int32Array(8);
  private next: Int32Array;
  private other: Int32Array;

  constructor(env: Env) {
    this.env = env;
    this.next = new Int32Array(env.insns.length);
    this.other = new Int32Array(env.insns.length);
    for (const slot of env.postorder) {
      const [a, b] = successors(env.insns, slot);
      this.next[slot] = a;
      this.other[slot] = b;
    }
  }

  private key(state: VerifierState, frame: number): string {
    if (frame === 0) return `${state.frames[0]!.subprogno}`;
    let key = `${state.frames[0]!.subprogno}`;
    for (let i = 1; i <= frame; i++) key += `,${state.frames[i]!.callsite}:${state.frames[i]!.subprogno}`;
    return key;
  }

  private lastState: VerifierState | null = null;
  private lastFrame: FuncState | null = null;
  private lastInstance: Instance | null = null;

  private instance(state: VerifierState, frame: number): Instance {
    const func = state.frames[frame]!;
    if (this.lastState === state && this.lastFrame === func) return this.lastInstance!;
    const key = this.key(state, frame);
    let found = this.instances.get(key);
    if (found === undefined) {
      const subprog = this.env.subprogs[func.subprogno]!;
      const count = subprog.end - subprog.start;
      found = {
        subprogno: func.subprogno, start: subprog.start, count, frames: [], seen: new Uint8Array(count), updated: false,
      };
      this.instances.set(key, found);
    }
    this.lastState = state;
    this.lastFrame = func;
    this.lastInstance = found;
    return found;
  }

  /** bpf_mark_stack_read: the current instruction may read slot `spi` of frame `frame`. */
  markRead(frame: number, spi: number): void {
    const state = this.env.cur;
    const low = spi < 32 ? 1 << spi : 0;
    const high = spi >= 32 ? 1 << (spi - 32) : 0;
    // What a callee reads of a caller's stack is read by the caller's call.
    for (let depth = state.curframe; depth >= frame; depth--) {
      const instance = this.instance(state, depth);
      const slot = (depth === state.curframe ? this.env.insnIdx : state.frames[depth + 1]!.callsite) - instance.start;
      const masks = (instance.frames[frame] ??= newMasks(instance.count));
      if ((masks.readLow[slot]! & low) === low && (masks.readHigh[slot]! & high) === high) continue;
      masks.readLow[slot]! |= low;
      masks.readHigh[slot]! |= high;
      instance.updated = true;
    }
  }

  /** bpf_mark_stack_write: the current instruction writes all of slot `spi`. */
  markWrite(frame: number, spi: number): void {
    if (spi < 32) this.pendingLow[frame]! |= 1 << spi;
    else this.pendingHigh[frame]! |= 1 << (spi - 32);
    this.pending = true;
  }

  private pending = false;

  /** bpf_reset_stack_write_marks: before an instruction is walked. */
  resetWrites(): void {
    if (!this.pending) return;
    this.pendingLow.fill(0);
    this.pendingHigh.fill(0);
    this.pending = false;
  }

  /** bpf_commit_stack_write_marks: slots that this visit of `insnIdx` did not write are none it always writes. */
  commitWrites(state: VerifierState, insnIdx: number): void {
    const depth = state.curframe;
    const instance = this.instance(state, depth);
    const slot = insnIdx - instance.start;
    if (slot < 0 || slot >= instance.count) return;
    const seen = instance.seen[slot] === 1;
    if (!this.pending && (!seen || instance.frames.length === 0)) {
      instance.seen[slot] = 1;
      return;
    }
    for (let frame = 0; frame <= depth; frame++) {
      let low = this.pendingLow[frame]!;
      let high = this.pendingHigh[frame]!;
      let masks = instance.frames[frame];
      if (masks === undefined) {
        if (seen || (low | high) === 0) continue;
        masks = instance.frames[frame] = newMasks(instance.count);
      }
      if (seen) {
        low &= masks.writeLow[slot]!;
        high &= masks.writeHigh[slot]!;
      }
      if (masks.writeLow[slot] !== low || masks.writeHigh[slot] !== high) {
        masks.writeLow[slot] = low;
        masks.writeHigh[slot] = high;
        instance.updated = true;
      }
    }
    instance.seen[slot] = 1;
  }

  /** bpf_update_live_stack: recomputes what is alive in the functions of the path that just ended. */
  update(state: VerifierState): void {
    for (let frame = state.curframe; frame >= 0; frame--) {
      const instance = this.instance(state, frame);
      if (instance.updated) this.propagate(instance);
    }
  }

  private propagate(instance: Instance): void {
    const subprog = this.env.subprogs[instance.subprogno]!;
    const { start } = instance;
    for (const masks of instance.frames) {
      if (masks === undefined) continue;
      masks.liveLow.fill(0);
      masks.liveHigh.fill(0);
      for (let changed = true; changed; ) {
        changed = false;
        for (let i = subprog.postorderStart; i < subprog.postorderEnd; i++) {
          const slot = this.env.postorder[i]!;
          const a = this.next[slot]!;
          const b = this.other[slot]!;
          let low = 0;
          let high = 0;
          if (a >= 0) {
            low = masks.liveLow[a - start]!;
            high = masks.liveHigh[a - start]!;
          }
          if (b >= 0) {
            low |= masks.liveLow[b - start]!;
            high |= masks.liveHigh[b - start]!;
          }
          const at = slot - start;
          low = (low & ~masks.writeLow[at]!) | masks.readLow[at]!;
          high = (high & ~masks.writeHigh[at]!) | masks.readHigh[at]!;
          if (low !== masks.liveLow[at] || high !== masks.liveHigh[at]) {
            masks.liveLow[at] = low;
            masks.liveHigh[at] = high;
            changed = true;
          }
        }
      }
    }
    instance.updated = false;
  }

  /**
   * bpf_stack_slot_alive for all slots of a frame at once: answers (low, high) masks through `visit`. A slot of an
   * outer frame is alive when a function between reads it after its call returns.
   */
  aliveSlots(state: VerifierState, frame: number): { low: number; high: number } {
    let low = 0;
    let high = 0;
    for (let depth = frame; depth <= state.curframe; depth++) {
      const instance = this.instance(state, depth);
      const masks = instance.frames[frame];
      if (masks === undefined) continue;
      let at = frameInsnIdx(state, depth);
      if (depth !== state.curframe && !this.env.aux[at]!.callsCallback) at++;
      low |= masks.liveLow[at - instance.start] ?? 0;
      high |= masks.liveHigh[at - instance.start] ?? 0;
    }
    return { low, high };
  }
}
