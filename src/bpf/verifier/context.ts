// Which bytes of its context a program may read and write, by program type and attach type: the is_valid_access
// functions of net/core/filter.c, kernel/trace/bpf_trace.c, kernel/bpf/cgroup.c and net/netfilter/nf_bpf_link.c.
//
// Accesses are listed by width: "4:0-8,16" are loads of four bytes at 0, 4, 8 and 16. What they load is a number,
// except for the fields of `pointers`: "76:4=pkt" is a load of four bytes at 76 that gives a packet pointer.

import { AttachType, ProgType } from "../uapi.ts";
import { Kind, skipModifiers } from "./btf.ts";
import type { Env } from "./env.ts";
import {
  PTR_MAYBE_NULL, PTR_TO_BTF_ID, PTR_TO_FLOW_KEYS, PTR_TO_PACKET, PTR_TO_PACKET_END, PTR_TO_PACKET_META,
  PTR_TO_SOCKET, PTR_TO_SOCK_COMMON, PTR_TO_TCP_SOCK, PTR_TO_TP_BUFFER, PTR_TO_XDP_SOCK, PTR_TRUSTED, SCALAR_VALUE,
} from "./reg.ts";

interface Layout {
  /** Program types, each with its attach types or null for all. */
  readonly of: readonly (readonly [ProgType, readonly number[] | null])[];
  readonly read: string;
  readonly write: string;
  readonly pointers: string;
}

const LAYOUTS: readonly Layout[] = [
  {
    of: [[ProgType.SOCKET_FILTER, null]],
    read: "1:0-71,84-87,164-167,176-179 2:0-70,84-86,164-166,176-178 4:0-68,84,164,176 8:48-56",
    write: "1:48-67 2:48-66 4:48-64 8:48-56",
    pointers: "168:8=sock_common_or_null",
  },
  {
    of: [[ProgType.KPROBE, null]],
    read: "1:0-167 2:0-166 4:0-164 8:0-160",
    write: "",
    pointers: "",
  },
  {
    of: [[ProgType.SCHED_CLS, null], [ProgType.SCHED_ACT, null]],
    read: "1:0-75,84-87,160-167,176-180 2:0-74,84-86,160-166,176-178 4:0-72,84,160-164,176 8:48-56,152,184",
    write: "1:48-67 2:48-66 4:8-12,32,44-64,72 8:48-56,152",
    pointers: "76:4=pkt 80:4=pkt_end 140:4=pkt_meta 168:8=sock_common_or_null",
  },
  {
    of: [[ProgType.XDP, null]],
    read: "4:12-16",
    write: "",
    pointers: "0:4=pkt 4:4=pkt_end 8:4=pkt_meta",
  },
  {
    of: [[ProgType.PERF_EVENT, null]],
    read: "1:168-183 2:168-182 4:168-180 8:0-176",
    write: "",
    pointers: "",
  },
  {
    of: [[ProgType.CGROUP_SKB, null]],
    read: "1:0-71,84-91,132-139,164-167,176-179 2:0-70,84-90,132-138,164-166,176-178 4:0-68,84-136,164,176 8:48-56,152,184",
    write: "1:48-67 2:48-66 4:8,32,48-64 8:48-56,152",
    pointers: "76:4=pkt 80:4=pkt_end 168:8=sock_common_or_null",
  },
  {
    of: [[ProgType.CGROUP_SOCK, [2, 34]]],
    read: "1:4,8,12,48-49,52-72,76 2:4,8,12,48,52-72,76 4:0-20,48-76",
    write: "4:0,16-20",
    pointers: "",
  },
  {
    of: [[ProgType.CGROUP_SOCK, [12]]],
    read: "1:4,8,12,24-27,44,48-49,52-72,76 2:4,8,12,24-26,44,48,52-72,76 4:4-12,24,44-76",
    write: "",
    pointers: "",
  },
  {
    of: [[ProgType.CGROUP_SOCK, [13]]],
    read: "1:4,8,12,28-44,48-49,52-72,76 2:4,8,12,28-44,48,52-72,76 4:4-12,28-76",
    write: "",
    pointers: "",
  },
  {
    of: [[ProgType.LWT_IN, null], [ProgType.LWT_OUT, null], [ProgType.LWT_XMIT, null], [ProgType.LWT_SEG6LOCAL, null]],
    read: "1:0-71,84-87,164-167,176-179 2:0-70,84-86,164-166,176-178 4:0-68,84,164,176 8:48-56",
    write: "1:48-67 2:48-66 4:8,32,48-64 8:48-56",
    pointers: "76:4=pkt 80:4=pkt_end 168:8=sock_common_or_null",
  },
  {
    of: [[ProgType.SOCK_OPS, null]],
    read: "1:212 2:212 4:0-164,208-212 8:168-176,216",
    write: "4:4,164",
    pointers: "184:8=sock_or_null 192:8=pkt 200:8=pkt_end",
  },
  {
    of: [[ProgType.SK_SKB, null]],
    read: "1:0-7,12-71,84-91,132-139,164-167,176-179 2:0-6,12-70,84-90,132-138,164-166,176-178 4:0-4,12-68,84-136,164,176 8:48-56",
    write: "4:32,44",
    pointers: "76:4=pkt 80:4=pkt_end 168:8=sock_common_or_null",
  },
  {
    of: [[ProgType.CGROUP_DEVICE, null]],
    read: "1:0-3 2:0-2 4:0-8",
    write: "",
    pointers: "",
  },
  {
    of: [[ProgType.SK_MSG, null]],
    read: "4:16-68",
    write: "",
    pointers: "0:8=pkt 8:8=pkt_end 72:8=sock",
  },
  {
    of: [[ProgType.RAW_TRACEPOINT, null]],
    read: "1:0-95 2:0-94 4:0-92 8:0-88",
    write: "",
    pointers: "",
  },
  {
    of: [[ProgType.SK_REUSEPORT, null]],
    read: "1:16-19,24-31 2:16-30 4:16-32",
    write: "",
    pointers: "0:8=pkt 8:8=pkt_end 40:8=sock 48:8=sock_common_or_null",
  },
  {
    of: [[ProgType.FLOW_DISSECTOR, null]],
    read: "",
    write: "",
    pointers: "76:4=pkt 80:4=pkt_end 144:8=flow_keys",
  },
  {
    of: [[ProgType.CGROUP_SYSCTL, null]],
    read: "1:0-7 2:0-6 4:0-4",
    write: "4:4",
    pointers: "",
  },
  {
    of: [[ProgType.RAW_TRACEPOINT_WRITABLE, null]],
    read: "1:1-95 2:2-94 4:4-92 8:8-88",
    write: "",
    pointers: "0:8=tp_buffer",
  },
  {
    of: [[ProgType.CGROUP_SOCKOPT, [21]]],
    read: "4:24-36",
    write: "4:32-36",
    pointers: "0:8=sock 8:8=pkt 16:8=pkt_end",
  },
  {
    of: [[ProgType.CGROUP_SOCKOPT, [22]]],
    read: "4:24-32",
    write: "4:24-32",
    pointers: "0:8=sock 8:8=pkt 16:8=pkt_end",
  },
  {
    of: [[ProgType.SK_LOOKUP, null]],
    read: "1:8-67 2:8-66 4:8-64",
    write: "",
    pointers: "0:8=sock_or_null",
  },
  {
    of: [[ProgType.NETFILTER, null]],
    read: "",
    write: "",
    pointers: "0:8=trusted_ptr_nf_hook_state 8:8=trusted_ptr_sk_buff",
  },
  {
    of: [[ProgType.CGROUP_SOCK_ADDR, [8, 10, 19, 29, 31]]],
    read: "1:4-7,24-27 2:4-6,24-26 4:0-4,24-36",
    write: "4:4,24",
    pointers: "64:8=sock",
  },
  {
    of: [[ProgType.CGROUP_SOCK_ADDR, [9, 11, 20, 30, 32]]],
    read: "1:8-27 2:8-26 4:0,8-36 8:8-16",
    write: "4:8-24 8:8-16",
    pointers: "64:8=sock",
  },
  {
    of: [[ProgType.CGROUP_SOCK_ADDR, [14]]],
    read: "1:4-7,24-27,40-43 2:4-6,24-26,40-42 4:0-4,24-40",
    write: "4:4,24,40",
    pointers: "64:8=sock",
  },
  {
    of: [[ProgType.CGROUP_SOCK_ADDR, [15]]],
    read: "1:8-27,44-59 2:8-26,44-58 4:0,8-36,44-56 8:8-16,48",
    write: "4:8-24,44-56 8:8-16,48",
    pointers: "64:8=sock",
  },
  {
    of: [[ProgType.CGROUP_SOCK_ADDR, [49, 50, 51, 52, 53]]],
    read: "1:24-27 2:24-26 4:0,24-36",
    write: "4:24",
    pointers: "64:8=sock",
  },
];

const POINTERS: Readonly<Record<string, { type: number; struct?: string }>> = {
  pkt: { type: PTR_TO_PACKET },
  pkt_end: { type: PTR_TO_PACKET_END },
  pkt_meta: { type: PTR_TO_PACKET_META },
  flow_keys: { type: PTR_TO_FLOW_KEYS },
  tp_buffer: { type: PTR_TO_TP_BUFFER },
  sock: { type: PTR_TO_SOCKET },
  sock_or_null: { type: PTR_TO_SOCKET | PTR_MAYBE_NULL },
  sock_common_or_null: { type: PTR_TO_SOCK_COMMON | PTR_MAYBE_NULL },
  trusted_ptr_nf_hook_state: { type: PTR_TO_BTF_ID | PTR_TRUSTED, struct: "nf_hook_state" },
  trusted_ptr_sk_buff: { type: PTR_TO_BTF_ID | PTR_TRUSTED, struct: "sk_buff" },
};

/** What a load from the context gives. */
export interface CtxField {
  /** Register type: SCALAR_VALUE or a pointer. */
  readonly type: number;
  readonly struct?: string;
  /** The return value of the function traced. */
  readonly isRetval?: boolean;
}

const SCALAR: CtxField = { type: SCALAR_VALUE };

interface Parsed {
  /** Keys are offset * 16 + width. */
  readonly read: ReadonlyMap<number, CtxField>;
  readonly write: ReadonlySet<number>;
}

function eachAccess(text: string, visit: (key: number) => void): void {
  for (const group of text.split(" ")) {
    if (group === "") continue;
    const [width, ranges] = group.split(":");
    const size = Number(width);
    for (const range of ranges!.split(",")) {
      const [from, to] = range.split("-");
      for (let off = Number(from); off <= Number(to ?? from); off += size) visit(off * 16 + size);
    }
  }
}

const parsed = new Map<Layout, Parsed>();

function parse(layout: Layout): Parsed {
  let result = parsed.get(layout);
  if (result !== undefined) return result;
  const read = new Map<number, CtxField>();
  const write = new Set<number>();
  eachAccess(layout.read, (key) => read.set(key, SCALAR));
  eachAccess(layout.write, (key) => write.add(key));
  for (const field of layout.pointers.split(" ")) {
    if (field === "") continue;
    const [place, name] = field.split("=");
    const [off, size] = place!.split(":");
    read.set(Number(off) * 16 + Number(size), POINTERS[name!]!);
  }
  result = { read, write };
  parsed.set(layout, result);
  return result;
}

function findLayout(type: number, attach: number): Layout | undefined {
  return LAYOUTS.find((layout) =>
    layout.of.some(([of, attaches]) => of === type && (attaches === null || attaches.includes(attach))));
}

/** PERF_MAX_TRACE_SIZE: bytes of a tracepoint's record that may be read. */
const TRACE_SIZE = 8192;
/** Largest context of BPF_PROG_TYPE_SYSCALL. */
const SYSCALL_SIZE = 0xffff;

/** is_valid_access: what the access gives, or undefined where it is refused. */
export function ctxAccess(env: Env, off: number, size: number, write: boolean): CtxField | undefined {
  const { type, attachType } = env.spec;
  if (off < 0) return undefined;
  switch (type) {
    case ProgType.TRACEPOINT:
      return write || off < 8 || off % size !== 0 || off >= TRACE_SIZE ? undefined : SCALAR;
    case ProgType.SYSCALL:
      return off % size !== 0 || off >= SYSCALL_SIZE ? undefined : SCALAR;
    case ProgType.TRACING:
    case ProgType.LSM:
      return write ? undefined : traceArgument(env, off, size);
    case ProgType.CGROUP_SOCK:
      if (attachType === AttachType.CGROUP_INET_INGRESS) return lookup(type, AttachType.CGROUP_INET_SOCK_CREATE, off, size, write);
      break;
  }
  return lookup(type, attachType, off, size, write);
}

/** MAX_BPF_FUNC_ARGS: arguments of a traced function. */
const MAX_ARGS = 12;

/** btf_ctx_access: arguments of the function or event a program is attached to, 8 bytes each. */
function traceArgument(env: Env, off: number, size: number): CtxField | undefined {
  if (off % 8 !== 0 || size !== 8) return undefined;
  const { attachTo, attachType } = env.spec;
  let index = off / 8;
  if (attachTo === undefined) return index < MAX_ARGS ? SCALAR : undefined;
  // The first argument of a tracepoint's typedef is its own data.
  if (attachType === AttachType.TRACE_RAW_TP) index++;
  const { btf, proto } = attachTo;
  const params = proto.params ?? [];
  if (index > params.length) return undefined;
  const id = index < params.length ? params[index]!.type : proto.type ?? 0;
  if (index === params.length && attachType !== AttachType.TRACE_FEXIT && attachType !== AttachType.MODIFY_RETURN) return undefined;
  const type = skipModifiers(btf, id);
  if (type?.kind !== Kind.PTR) return SCALAR;
  const target = skipModifiers(btf, type.type ?? 0);
  if (target?.kind !== Kind.STRUCT) return SCALAR;
  return { type: PTR_TO_BTF_ID | PTR_TRUSTED, struct: target.name };
}

function lookup(type: number, attach: number, off: number, size: number, write: boolean): CtxField | undefined {
  const layout = findLayout(type, attach);
  if (layout === undefined) return undefined;
  const { read, write: writable } = parse(layout);
  const key = off * 16 + size;
  if (write) return writable.has(key) ? SCALAR : undefined;
  return read.get(key);
}

/** Fields of struct bpf_sock, bpf_tcp_sock as loads may read them, by the type of the pointer. */
const SOCKETS: Readonly<Record<number, string>> = {
  [PTR_TO_SOCK_COMMON]: "1:4,24-44,48-49,52-72,76 2:4,24-44,48,52-72,76 4:0-4,24-76",
  [PTR_TO_SOCKET]: "1:4,8,12,24-44,48-49,52-72,76 2:4,8,12,24-44,48,52-72,76 4:0-76",
  [PTR_TO_TCP_SOCK]: "4:0-76,96-108 8:80-88",
  [PTR_TO_XDP_SOCK]: "4:0",
};

const sockets = new Map<number, Set<number>>();

/** check_sock_access: whether a load of `size` bytes at `off` of a socket is one of its fields. */
export function socketAccess(type: number, off: number, size: number): boolean {
  let fields = sockets.get(type);
  if (fields === undefined) {
    const parsedFields = new Set<number>();
    eachAccess(SOCKETS[type] ?? "", (key) => parsedFields.add(key));
    fields = parsedFields;
    sockets.set(type, fields);
  }
  return fields.has(off * 16 + size);
}
