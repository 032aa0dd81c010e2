/**
 * What the parts of one node's driver share: the mailbox, the clock, the registry of socket events. Made by `kernel.ts`,
 * used by the calls of links, iptables, conntrack and sockets.
 */
import type { Clock } from "../time/clock.ts";
import type { KernelInstance } from "./memory.ts";
import type { StackedLinkSpec } from "./netns.ts";

/**
 * Writes the kind's part of a LINK_* record (mailbox `view`), whose common part and lower device stand already; LINK_F_* flags of the kind.
 */
export type LinkEncoder = (spec: StackedLinkSpec, view: DataView, putIp: (at: number, text: string) => void) => number;

/** The driver of one node as its parts see it. */
export interface NodeContext {
  /** Mailbox (`u8`, `view`, `upload`); records begin at offset 0. */
  readonly instance: KernelInstance;
  /** The node. */
  readonly handle: number;
  readonly clock: Clock;
  /** The kinds of devices beyond those of pods and overlays (devices.ts); absent: unknown. */
  readonly devices?: LinkEncoder | undefined;
  /** Where the frames of an open tun or tap go, by port. */
  readonly taps: Map<number, (bytes: Uint8Array<ArrayBuffer>, timeNs: number) => void>;
  /**
   * Asks for a run of the kernel at this virtual instant: called after requests that may have sent something. Returns at
   * once; packets move and events arrive when the embedding loop runs the node, before it lets time pass.
   */
  kick(): void;
  /**
   * One request whose record of `length` bytes stands in the mailbox, at the node's current time. Returns the kernel's
   * answer. Negative results throw `KernelError` (code: the errno's name, message `call: ERRNO`) unless their errno
   * (positive number) is in `allow` (true: any); those are returned as they are.
   */
  command(op: number, length: number, call?: string, allow?: readonly number[] | true): number;
  /** Registers who hears of a socket's readiness (READY_* of abi/sock.ts); one listener per handle. */
  onSocketEvent(handle: number, run: (readiness: number) => void): void;
  offSocketEvent(handle: number): void;
}
