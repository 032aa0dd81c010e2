/**
 * One node's kernel as the rest of the program sees it: `NodeKernel` for the node agents, and the handle by which the
 * embedding loop runs it. No time passes here: the loop calls `runUntil` with the node's clock.
 */
import {
  CORE_CHARGE, CORE_DELIVER, CORE_EVENTS, CORE_MEMORY, CORE_OBSERVE, CORE_OBSERVED, CORE_OUTBOX, EVENT_BYTES, EVENT_SOCKET,
  OBSERVE_CAPTURE, OBSERVE_TRACE, RUN_EVENTS, RUN_MORE, RUN_OBSERVED, RUN_OUTBOX,
} from "../../assembly/abi/core.ts";
import type { Clock } from "../time/clock.ts";
import { useIpv6Text } from "./address.ts";
import type { DriverExtension, NodeContext } from "./context.ts";
import { errnoName, type KernelInstance, type RunStatus } from "./memory.ts";
import { KernelError, type Netns, type NodeKernel } from "./netns.ts";
import { createNetnsTable } from "./namespace.ts";

/** A frame that left a NIC of the initial namespace. `bytes` is the receiver's own. */
export interface SentFrame {
  readonly timeNs: number;
  readonly ifindex: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export interface NodeKernelOptions {
  readonly name: string;
  /** Seeds the node's generator; 32 bits. */
  readonly seed: number;
  /** The node's clock; its time is the kernel's. */
  readonly clock: Clock;
  /** A frame for the underlay. Called during `runUntil`. */
  readonly onFrame?: (frame: SentFrame) => void;
  /** Whole observation records (OBS_* of abi/core.ts). Called during `runUntil`. */
  readonly onObserved?: (records: Uint8Array<ArrayBuffer>) => void;
  /** The node wants to be run at this virtual instant: a call has sent something. */
  readonly onKick?: () => void;
  /** Sockets have news, and their listeners are about to hear it. Called during `runUntil`. */
  readonly onEvents?: () => void;
  /** A request made the kernel trap: its arena can not be trusted any more. A trap of `runUntil` is thrown from there. */
  readonly onTrap?: (error: Error) => void;
  /** `devices` of devices.ts, for a node that shall know all kinds of devices, next hops and rules. */
  readonly devices?: DriverExtension;
}

export interface NodeKernelHandle extends NodeKernel {
  /** The kernel's handle of this node. */
  readonly handle: number;
  readonly context: NodeContext;
  /**
   * Handles all that is due at `nowNs`, hands out frames, observation records and socket events. Returns the node's clock
   * after the work, and when it wants to be run again (`deadlineNs`). The answer is reused by the next call.
   */
  runUntil(nowNs: number): RunStatus;
  /** A frame arrives at NIC `ifindex` of the initial namespace; it is handled by the next `runUntil`. */
  deliver(ifindex: number, bytes: Uint8Array): void;
  /** What goes to `onObserved`. */
  observe(what: { readonly capture: boolean; readonly trace: boolean }): void;
  /** Bytes in use and bytes taken by this node, and bytes of the whole memory. */
  memory(): { readonly used: number; readonly taken: number; readonly total: number };
  /** Work of a program or agent: the node's clock moves on by `ns`. */
  charge(ns: number): void;
  /** Ends the node and gives its memory back. */
  destroy(): void;
}

/** Creates a node in the kernel. Throws KernelError ENOMEM or ENFILE. */
export function createNodeKernel(instance: KernelInstance, options: NodeKernelOptions): NodeKernelHandle {
  if (options.devices !== undefined) useIpv6Text(options.devices.ipv6Text);
  const { name, clock, onFrame, onObserved, onKick, onEvents, onTrap } = options;
  const handle = instance.createNode(options.seed >>> 0, clock.nowNs());
  let flagged = 0;
  const onFlag: { readonly flag: number; readonly run: () => void }[] = [];
  const listeners = new Map<number, (readiness: number) => void>();

  const context: NodeContext = {
    instance,
    handle,
    clock,
    devices: options.devices,
    taps: new Map(),
    kick() {
      onKick?.();
    },
    command(op, length, call = "kernel", allow) {
      let result: number;
      try {
        result = instance.command(handle, op, length, clock.nowNs());
      } catch (error) {
        if (error instanceof WebAssembly.RuntimeError) onTrap?.(error);
        throw error;
      }
      if (result < 0 && allow !== true && !(allow?.includes(-result) ?? false)) {
        throw new KernelError(errnoName(result), `${call}: ${errnoName(result)}`);
      }
      return result;
    },
    onSocketEvent(socket, run) {
      listeners.set(socket, run);
    },
    offSocketEvent(socket) {
      listeners.delete(socket);
    },
    onRun(flag, run) {
      flagged |= flag;
      onFlag.push({ flag, run });
    },
  };

  const takeFrames = (): void => {
    for (let bytes = context.command(CORE_OUTBOX, 0); bytes > 0; bytes = context.command(CORE_OUTBOX, 0)) {
      for (let at = 0; at < bytes;) {
        const length = instance.view.getUint32(at + 12, true);
        const timeNs = instance.u64(at);
        const ifindex = instance.view.getUint32(at + 8, true);
        const frame = instance.copy(at + 16, length);
        if (ifindex >>> 31 !== 0) context.taps.get(ifindex & 0x7fffffff)?.(frame, timeNs);
        else onFrame?.({ timeNs, ifindex, bytes: frame });
        at += (16 + length + 7) & ~7;
      }
    }
  };
  const takeObserved = (): void => {
    for (let bytes = context.command(CORE_OBSERVED, 0); bytes > 0; bytes = context.command(CORE_OBSERVED, 0)) {
      onObserved?.(instance.copy(0, bytes));
    }
  };
  const takeEvents = (): void => {
    const events: number[] = [];
    for (let bytes = context.command(CORE_EVENTS, 0); bytes > 0; bytes = context.command(CORE_EVENTS, 0)) {
      for (let at = 0; at < bytes; at += EVENT_BYTES) {
        if (instance.view.getUint32(at, true) !== EVENT_SOCKET) continue;
        events.push(instance.view.getUint32(at + 4, true), instance.view.getUint32(at + 8, true));
      }
    }
    // Listeners may call the kernel: only after the mailbox has been read.
    for (let i = 0; i < events.length; i += 2) listeners.get(events[i]!)?.(events[i + 1]!);
  };

  const table = createNetnsTable(context);
  return {
    name,
    handle,
    context,
    host: table.host,
    addNetns: (netns: string): Netns => table.add(netns),
    runUntil(nowNs) {
      while (true) {
        const status = instance.run(handle, nowNs);
        const flags = status.flags;
        const { nowNs: reached, deadlineNs } = status;
        if (flags & RUN_OUTBOX) takeFrames();
        if (flags & RUN_OBSERVED) takeObserved();
        if (flags & RUN_EVENTS) {
          onEvents?.();
          takeEvents();
        }
        if (flags & flagged) {
          for (const { flag, run } of onFlag) if (flags & flag) run();
          continue;
        }
        if (flags & RUN_MORE) continue;
        status.nowNs = reached;
        status.deadlineNs = deadlineNs;
        return status;
      }
    },
    deliver(ifindex, bytes) {
      instance.view.setUint32(0, ifindex, true);
      instance.view.setUint32(4, bytes.length, true);
      instance.u8.set(bytes, 8);
      context.command(CORE_DELIVER, 8 + bytes.length, "deliver");
    },
    observe({ capture, trace }) {
      instance.view.setUint32(0, (capture ? OBSERVE_CAPTURE : 0) | (trace ? OBSERVE_TRACE : 0), true);
      context.command(CORE_OBSERVE, 4, "observe");
    },
    memory() {
      context.command(CORE_MEMORY, 0);
      return { used: instance.u64(0), taken: instance.u64(8), total: instance.u64(16) };
    },
    charge(ns) {
      instance.putU64(0, Math.round(ns));
      context.command(CORE_CHARGE, 8, "charge");
    },
    destroy() {
      listeners.clear();
      instance.destroyNode(handle);
    },
  };
}
