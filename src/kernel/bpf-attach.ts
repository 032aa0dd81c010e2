/**
 * Attaching eBPF programs of one node: to devices (XDP, tcx), namespaces, cgroups, sockets and routes. What bpf(2), rtnetlink and
 * setsockopt(2) do; flags and modes are upstream's (include/uapi/linux/bpf.h, if_link.h). A program stays alive while it is attached.
 */
import * as abi from "../../assembly/abi/bpf-attach.ts";
import type { NodeContext } from "./context.ts";
import { KernelError, type Netns } from "./netns.ts";
import { kernelOf } from "./namespace.ts";

/** What can be attached: a program of `createBpfPrograms`. */
export interface AttachableProgram {
  readonly handle: number;
  readonly id: number;
}

export type XdpMode = "native" | "generic";

/** Where among several programs (BPF_F_BEFORE, BPF_F_AFTER, BPF_F_REPLACE of tcx and its kin). */
export interface AttachPosition {
  /** In front of this program or link; "first": of all. */
  readonly before?: AttachableProgram | BpfLink | "first";
  readonly after?: AttachableProgram | BpfLink | "last";
  /** Takes this program's place. */
  readonly replace?: AttachableProgram;
  /** The list has not changed since it was read (BpfQuery.revision); else ESTALE. */
  readonly expectedRevision?: bigint;
}

export interface BpfLinkInfo {
  readonly id: number;
  readonly attachType: number;
  readonly programId: number;
  /** The device's number; 0: none, or gone. */
  readonly ifindex: number;
  /** The cgroup's id or the namespace's handle; 0: the target is gone. */
  readonly target: number;
  readonly netfilter?: { readonly pf: number; readonly hook: number; readonly priority: number };
}

/** An attachment that lives until `close` (or `detach`): bpf_link. */
export interface BpfLink {
  readonly linkHandle: number;
  info(): BpfLinkInfo;
  /** BPF_LINK_UPDATE: another program in its place. EPERM where `old` is not the one that stands there. */
  update(program: AttachableProgram, old?: AttachableProgram): void;
  /** BPF_LINK_DETACH: the link stays, without a target. */
  detach(): void;
  close(): void;
}

export interface AttachedProgram {
  readonly id: number;
  readonly linkId: number;
  readonly flags: number;
  readonly type: number;
  readonly tag: bigint;
  readonly name: string;
}

export interface BpfQuery {
  readonly revision: bigint;
  readonly flags: number;
  readonly programs: readonly AttachedProgram[];
}

export interface XdpInfo {
  readonly mode: XdpMode;
  readonly id: number;
  readonly tag: bigint;
  readonly jited: boolean;
  readonly name: string;
}

export type TcxDirection = "ingress" | "egress";

/** Attachments of one namespace. */
export interface NetnsBpf {
  /**
   * `ip link set dev DEV xdp …`: native where the driver has it, unless `mode` says otherwise. Throws KernelError: EOPNOTSUPP (no native
   * mode), EEXIST (another mode is in use; `replace` is not the one there), EBUSY (`noReplace`, or a link holds the device), EINVAL (no XDP
   * program).
   */
  attachXdp(dev: string, program: AttachableProgram, options?: { readonly mode?: XdpMode; readonly noReplace?: boolean; readonly replace?: AttachableProgram }): void;
  detachXdp(dev: string, mode?: XdpMode): void;
  linkXdp(dev: string, program: AttachableProgram, mode?: XdpMode): BpfLink;
  /** `prog/xdp id N` of `ip link`; undefined: none. */
  xdp(dev: string): XdpInfo | undefined;
  attachTcx(dev: string, direction: TcxDirection, program: AttachableProgram, position?: AttachPosition): void;
  /** The program, or without one the last of the list (the first with `first`). */
  detachTcx(dev: string, direction: TcxDirection, program?: AttachableProgram, first?: boolean): void;
  linkTcx(dev: string, direction: TcxDirection, program: AttachableProgram, position?: AttachPosition): BpfLink;
  queryTcx(dev: string, direction: TcxDirection): BpfQuery;
}

/** Throws KernelError EBADF for a namespace of another kernel. */
export function bpfOf(netns: Netns): NetnsBpf {
  const { context, handle } = kernelOf(netns);
  const { instance } = context;
  const record = (type: number, program: number, ifindex: number, flags: number): DataView => {
    instance.u8.fill(0, 0, abi.ATTACH_BYTES);
    const { view } = instance;
    view.setUint32(abi.ATTACH_TYPE, type, true);
    view.setUint32(abi.ATTACH_PROG, program, true);
    view.setUint32(abi.ATTACH_TARGET, handle, true);
    view.setUint32(abi.ATTACH_IFINDEX, ifindex, true);
    view.setUint32(abi.ATTACH_FLAGS, flags, true);
    return view;
  };
  const ifindexOf = (dev: string): number => {
    const link = netns.link(dev);
    if (link === undefined) throw new KernelError("ENODEV", `Cannot find device "${dev}"`);
    return link.ifindex;
  };
  const place = (view: DataView, { before, after, replace, expectedRevision }: AttachPosition): void => {
    const related = before !== undefined ? before : after;
    let flags = view.getUint32(abi.ATTACH_FLAGS, true) | (before === undefined ? 0 : BPF_F_BEFORE) | (after === undefined ? 0 : BPF_F_AFTER);
    if (typeof related === "object") {
      if ("linkHandle" in related) flags |= BPF_F_LINK;
      view.setUint32(abi.ATTACH_RELATIVE, "linkHandle" in related ? related.linkHandle : related.handle, true);
    }
    if (replace !== undefined) {
      flags |= BPF_F_REPLACE;
      view.setUint32(abi.ATTACH_REPLACED, replace.handle, true);
    }
    view.setUint32(abi.ATTACH_FLAGS, flags, true);
    view.setBigUint64(abi.ATTACH_REVISION, expectedRevision ?? 0n, true);
  };
  const tcx = (direction: TcxDirection): number => (direction === "ingress" ? abi.BPF_TCX_INGRESS : abi.BPF_TCX_EGRESS);
  const send = (op: number, call: string): number => context.command(op, abi.ATTACH_BYTES, call);
  return {
    attachXdp(dev, program, { mode, noReplace, replace } = {}) {
      const flags = modeFlag(mode) | (noReplace === true ? abi.XDP_FLAGS_UPDATE_IF_NOEXIST : 0) | (replace === undefined ? 0 : abi.XDP_FLAGS_REPLACE);
      const view = record(abi.BPF_XDP, program.handle, ifindexOf(dev), 0);
      view.setUint32(abi.ATTACH_FLAGS, flags, true);
      if (replace !== undefined) view.setUint32(abi.ATTACH_REPLACED, replace.handle, true);
      send(abi.BPF_ATTACH, "xdp");
    },
    detachXdp(dev, mode) {
      const ifindex = ifindexOf(dev);
      record(abi.BPF_XDP, 0, ifindex, modeFlag(mode));
      send(abi.BPF_DETACH, "xdp");
    },
    linkXdp(dev, program, mode) {
      const ifindex = ifindexOf(dev);
      record(abi.BPF_XDP, program.handle, ifindex, modeFlag(mode));
      return linkOf(context, send(abi.BPF_LINK_CREATE, "xdp"));
    },
    xdp(dev) {
      const ifindex = ifindexOf(dev);
      instance.view.setUint32(0, handle, true);
      instance.view.setUint32(4, ifindex, true);
      context.command(abi.BPF_XDP_INFO, 8, "xdp");
      const { view } = instance;
      const mode = view.getUint32(0, true);
      if (mode === 0) return undefined;
      return {
        mode: mode === abi.XDP_MODE_DRV ? "native" : "generic", id: view.getUint32(4, true), tag: view.getBigUint64(8, true),
        jited: view.getUint32(16, true) !== 0, name: nameAt(instance.u8, 24),
      };
    },
    attachTcx(dev, direction, program, position = {}) {
      const ifindex = ifindexOf(dev);
      place(record(tcx(direction), program.handle, ifindex, 0), position);
      send(abi.BPF_ATTACH, "tcx");
    },
    detachTcx(dev, direction, program, first = false) {
      const ifindex = ifindexOf(dev);
      record(tcx(direction), program?.handle ?? 0, ifindex, first ? BPF_F_BEFORE : 0);
      send(abi.BPF_DETACH, "tcx");
    },
    linkTcx(dev, direction, program, position = {}) {
      const ifindex = ifindexOf(dev);
      place(record(tcx(direction), program.handle, ifindex, 0), position);
      return linkOf(context, send(abi.BPF_LINK_CREATE, "tcx"));
    },
    queryTcx(dev, direction) {
      const ifindex = ifindexOf(dev);
      record(tcx(direction), 0, ifindex, 0);
      send(abi.BPF_QUERY, "tcx");
      return readQuery(context);
    },
  };
}

/** What hooks of the node count: programs not run because they were nested too deeply, XDP programs that aborted, redirects that failed. */
export function bpfStats(context: NodeContext): { readonly missed: number; readonly xdpExceptions: number; readonly redirectErrors: number } {
  context.command(abi.BPF_HOOK_STATS, 0, "bpf");
  const { view } = context.instance;
  return { missed: view.getUint32(0, true), xdpExceptions: view.getUint32(4, true), redirectErrors: view.getUint32(8, true) };
}

/** How a program stands beside others of its cgroup: alone (the default), alone but groups below may have their own, or one of several. */
export type CgroupMode = "single" | "override" | "multi";

/** A control group of a node: sockets belong to one, and so do the programs that judge them. */
export interface Cgroup {
  readonly id: number;
  /** A group below this one. */
  child(): Cgroup;
  /** EBUSY while groups are below it or sockets in it. */
  delete(): void;
  /** Sockets of the namespace that were not put elsewhere. */
  join(netns: Netns): void;
  /**
   * BPF_PROG_ATTACH with AttachType.CGROUP_* (src/bpf/uapi.ts). Throws KernelError EPERM where a group above or what stands here forbids
   * it, EINVAL for a program of another type, E2BIG beyond 64.
   */
  attach(type: number, program: AttachableProgram, options?: AttachPosition & { readonly mode?: CgroupMode }): void;
  /** ENOENT: it is not there. */
  detach(type: number, program?: AttachableProgram): void;
  link(type: number, program: AttachableProgram, position?: AttachPosition): BpfLink;
  /** What is attached here; with `effective` also what the groups above add, in the order in which they run. */
  query(type: number, effective?: boolean): BpfQuery;
}

/** The root of a node's control groups. */
export const rootCgroup = (context: NodeContext): Cgroup => cgroupOf(context, 1);

function cgroupOf(context: NodeContext, id: number): Cgroup {
  const { instance } = context;
  const record = (type: number, program: number, flags: number, { before, after, replace }: AttachPosition): void => {
    const { view } = instance;
    const related = before !== undefined ? before : after;
    instance.u8.fill(0, 0, abi.ATTACH_BYTES);
    view.setUint32(abi.ATTACH_TYPE, type, true);
    view.setUint32(abi.ATTACH_PROG, program, true);
    view.setUint32(abi.ATTACH_TARGET, id, true);
    view.setUint32(abi.ATTACH_FLAGS, flags | (before === undefined ? 0 : BPF_F_BEFORE) | (after === undefined ? 0 : BPF_F_AFTER)
      | (replace === undefined ? 0 : BPF_F_REPLACE), true);
    if (typeof related === "object" && "handle" in related) view.setUint32(abi.ATTACH_RELATIVE, related.handle, true);
    view.setUint32(abi.ATTACH_REPLACED, replace?.handle ?? 0, true);
  };
  return {
    id,
    child() {
      instance.view.setUint32(0, id, true);
      return cgroupOf(context, context.command(abi.BPF_CGROUP_NEW, 4, "cgroup"));
    },
    delete() {
      instance.view.setUint32(0, id, true);
      context.command(abi.BPF_CGROUP_DELETE, 4, "cgroup");
    },
    join(netns) {
      instance.view.setUint32(0, kernelOf(netns).handle, true);
      instance.view.setUint32(4, id, true);
      context.command(abi.BPF_CGROUP_JOIN, 8, "cgroup");
    },
    attach(type, program, options = {}) {
      record(type, program.handle, MODES[options.mode ?? "single"], options);
      context.command(abi.BPF_ATTACH, abi.ATTACH_BYTES, "cgroup");
    },
    detach(type, program) {
      record(type, program?.handle ?? 0, 0, {});
      context.command(abi.BPF_DETACH, abi.ATTACH_BYTES, "cgroup");
    },
    link(type, program, position = {}) {
      record(type, program.handle, 0, position);
      return linkOf(context, context.command(abi.BPF_LINK_CREATE, abi.ATTACH_BYTES, "cgroup"));
    },
    query(type, effective = false) {
      record(type, 0, effective ? abi.BPF_F_QUERY_EFFECTIVE : 0, {});
      context.command(abi.BPF_QUERY, abi.ATTACH_BYTES, "cgroup");
      return readQuery(context);
    },
  };
}

const MODES = { single: 0, override: abi.BPF_F_ALLOW_OVERRIDE, multi: abi.BPF_F_ALLOW_MULTI } as const;

/**
 * SO_ATTACH_BPF (a program of type SOCKET_FILTER), SO_ATTACH_FILTER (instructions of classic BPF, 8 bytes each: `{u16 code, u8 jt, u8 jf,
 * u32 k}` as `tcpdump -ddd` counts them) or SO_DETACH_FILTER (nothing) of the socket with that kernel handle. Throws KernelError EINVAL for a
 * program that is none, ENOENT where nothing is to detach.
 */
export function attachSocketFilter(context: NodeContext, socket: number, filter?: AttachableProgram | Uint8Array): void {
  const { view, u8 } = context.instance;
  const classic = filter instanceof Uint8Array ? filter : undefined;
  if (classic !== undefined && (classic.length % 8 !== 0 || classic.length > 32768)) throw new KernelError("EINVAL", "filter: EINVAL");
  view.setUint32(0, socket, true);
  view.setUint32(4, filter === undefined ? abi.SOCKFILTER_NONE : classic === undefined ? abi.SOCKFILTER_BPF : abi.SOCKFILTER_CLASSIC, true);
  view.setUint32(8, classic !== undefined ? classic.length / 8 : ((filter as AttachableProgram | undefined)?.handle ?? 0), true);
  if (classic !== undefined) u8.set(classic, 12);
  context.command(abi.BPF_SOCK_FILTER, 12 + (classic?.length ?? 0), "filter");
}

// uapi/linux/bpf.h
const BPF_F_REPLACE = 4;
const BPF_F_BEFORE = 8;
const BPF_F_AFTER = 16;
const BPF_F_LINK = 0x2000;

const modeFlag = (mode: XdpMode | undefined): number =>
  mode === undefined ? 0 : mode === "native" ? abi.XDP_FLAGS_DRV_MODE : abi.XDP_FLAGS_SKB_MODE;

function nameAt(u8: Uint8Array, at: number): string {
  let name = "";
  for (let i = at; i < at + 16 && u8[i] !== 0; i++) name += String.fromCharCode(u8[i]!);
  return name;
}

function readQuery(context: NodeContext): BpfQuery {
  const { view, u8 } = context.instance;
  const programs: AttachedProgram[] = [];
  for (let i = 0, at = 16; i < view.getUint32(8, true); i++, at += abi.QUERY_BYTES) {
    programs.push({
      id: view.getUint32(at + abi.QUERY_PROG, true), linkId: view.getUint32(at + abi.QUERY_LINK, true),
      flags: view.getUint32(at + abi.QUERY_FLAGS, true), type: view.getUint32(at + abi.QUERY_TYPE, true),
      tag: view.getBigUint64(at + abi.QUERY_TAG, true), name: nameAt(u8, at + abi.QUERY_NAME),
    });
  }
  return { revision: view.getBigUint64(0, true), flags: view.getUint32(12, true), programs };
}

/** The link behind a handle. */
export function linkOf(context: NodeContext, linkHandle: number): BpfLink {
  const { instance } = context;
  const handle = linkHandle >>> 0;
  const request = (op: number, ...words: number[]): void => {
    [handle, ...words].forEach((word, i) => instance.view.setUint32(4 * i, word, true));
    context.command(op, 4 + 4 * words.length, "bpf link");
  };
  return {
    linkHandle: handle,
    info() {
      request(abi.BPF_LINK_INFO);
      const { view } = instance;
      const attachType = view.getUint32(abi.LINKI_TYPE, true);
      return {
        id: view.getUint32(abi.LINKI_ID, true), attachType, programId: view.getUint32(abi.LINKI_PROG, true),
        ifindex: view.getUint32(abi.LINKI_IFINDEX, true), target: view.getUint32(abi.LINKI_TARGET, true),
        ...(attachType === abi.BPF_NETFILTER && {
          netfilter: { pf: view.getUint32(abi.LINKI_PF, true), hook: view.getUint32(abi.LINKI_HOOK, true), priority: view.getInt32(abi.LINKI_PRIORITY, true) },
        }),
      };
    },
    update(program, old) {
      request(abi.BPF_LINK_UPDATE, program.handle, old === undefined ? 0 : BPF_F_REPLACE, old?.handle ?? 0);
    },
    detach() {
      request(abi.BPF_LINK_DETACH);
    },
    close() {
      request(abi.BPF_LINK_FREE);
    },
  };
}
