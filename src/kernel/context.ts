/**
 * What the parts of one node's driver share: the mailbox, the clock, the registry of socket events. Made by `kernel.ts`,
 * used by the calls of links, iptables, conntrack and sockets.
 */
import type { Clock } from "../time/clock.ts";
import type { Ipv6Text } from "./address.ts";
import type { KernelInstance } from "./memory.ts";
import type { AddressOptions, Netns, NexthopSpec, RouteSpec, RuleSpec, StackedLinkSpec, VxlanOptions } from "./netns.ts";

type PutIp = (at: number, text: string) => void;
/** Part of a record that is written once its common part stands; `bytes` more than that. */
export interface RecordPart {
  readonly bytes: number;
  write(view: DataView, putIp: PutIp): void;
}

/** What the driver of the full kernel knows beyond pods and overlays (devices.ts). */
export interface DriverExtension {
  /** Names of the kinds from DEV_VLAN on. */
  readonly kinds: readonly string[];
  /** The kind's part of a LINK_* record; LINK_F_* flags of the kind. */
  link(spec: StackedLinkSpec, view: DataView, putIp: PutIp): number;
  /** The same for what a VXLAN device can be told beyond what an overlay needs. */
  vxlan(options: VxlanOptions, view: DataView, putIp: PutIp): number;
  /** The part of a SETLINK_* record about flags; SET_* bits. */
  change(change: Parameters<Netns["setLink"]>[1], view: DataView): number;
  address(options: AddressOptions, view: DataView, putIp: PutIp): void;
  /** What an address has beside its prefix, from an ADDRESS_* record. */
  readAddress(view: DataView, at: number): { readonly secondary?: boolean } & AddressOptions;
  /** `ifindex` throws for a name that is no device's. */
  route(route: RouteSpec, ifindex: (name: string) => number): RecordPart;
  /** One ROUTE_* record of a route with several next hops: the next hops so far, or true when they went to those of the route before. */
  readNexthop(view: DataView, at: number, before: ListedNexthop[] | undefined): ListedNexthop[] | true | undefined;
  rule(rule: RuleSpec, ifindex: (name: string) => number): RecordPart;
  readonly ipv6Text: Ipv6Text;
  /** The value of a name below net.ipv6, written first where `value` is given; undefined: there is no such name. */
  sysctl6(context: NodeContext, netns: number, name: string, find: (dev: string) => number | undefined, value?: string): string | undefined;
}

/** A next hop as the kernel lists it. */
export interface ListedNexthop extends Omit<NexthopSpec, "dev"> {
  readonly ifindex: number;
}

/** The driver of one node as its parts see it. */
export interface NodeContext {
  /** Mailbox (`u8`, `view`, `upload`); records begin at offset 0. */
  readonly instance: KernelInstance;
  /** The node. */
  readonly handle: number;
  readonly clock: Clock;
  /** The kinds of devices beyond those of pods and overlays (devices.ts); absent: unknown. */
  devices?: DriverExtension | undefined;
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
  /** Registers who is called when a run of the kernel ends with `flag` (RUN_*) set; the kernel then runs again. */
  onRun(flag: number, run: () => void): void;
}
