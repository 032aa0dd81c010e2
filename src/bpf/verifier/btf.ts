// What the verifier asks of type information: fields of kernel structures, and what functions take.
// kernel/bpf/btf.c: btf_struct_access, btf_prepare_func_args.

import { ProgType } from "../uapi.ts";
import type { Env, SubprogArg } from "./env.ts";
import type { BtfType, BtfTypes } from "./types.ts";

export const Kind = {
  INT: 1, PTR: 2, ARRAY: 3, STRUCT: 4, UNION: 5, ENUM: 6, FWD: 7, TYPEDEF: 8, VOLATILE: 9, CONST: 10, RESTRICT: 11, FUNC: 12,
  FUNC_PROTO: 13, VAR: 14, DATASEC: 15, FLOAT: 16, DECL_TAG: 17, TYPE_TAG: 18, ENUM64: 19,
} as const;

export interface Struct {
  readonly btf: BtfTypes;
  readonly type: BtfType;
}

/** A type without its names and qualifiers. */
export function skipModifiers(btf: BtfTypes, id: number): BtfType | undefined {
  let type = btf.types[id];
  for (let depth = 0; type !== undefined && depth < 32; depth++) {
    if (type.kind !== Kind.TYPEDEF && (type.kind < Kind.VOLATILE || type.kind > Kind.RESTRICT) && type.kind !== Kind.TYPE_TAG) {
      return type;
    }
    type = type.type === undefined ? undefined : btf.types[type.type];
  }
  return type;
}

/** btf_type_size: bytes, or undefined for what has none. */
export function sizeOf(btf: BtfTypes, id: number): number | undefined {
  const type = skipModifiers(btf, id);
  if (type === undefined) return undefined;
  if (type.kind === Kind.PTR) return 8;
  if (type.kind === Kind.ARRAY) {
    const element = sizeOf(btf, type.element ?? 0);
    return element === undefined ? undefined : element * (type.count ?? 0);
  }
  return type.size;
}

const structs = new WeakMap<BtfTypes, Map<string, BtfType>>();

/** A structure of the kernel by name; null where there is no BTF of the kernel, or no such structure in it. */
export function findKernelStruct(env: Env, name: string): Struct | null {
  const btf = env.options.kernelBtf;
  if (btf === undefined) return null;
  let byName = structs.get(btf);
  if (byName === undefined) {
    byName = new Map();
    for (const type of btf.types) {
      if (type !== undefined && type.kind === Kind.STRUCT && type.name !== "" && !byName.has(type.name)) byName.set(type.name, type);
    }
    structs.set(btf, byName);
  }
  const type = byName.get(name);
  return type === undefined ? null : { btf, type };
}

/** btf_struct_access: the field at `off`; a pointer to a structure is answered as that. */
export function btfStructAccess(env: Env, struct: Struct, off: number, size: number, access: "read" | "write"): { pointsTo: BtfType | null } {
  const { btf } = struct;
  let { type } = struct;
  let at = off;
  const beyond = (name: string): never => env.reject("EACCES", `access beyond struct ${name} at off ${off} size ${size}`);
  if (type.size === undefined || type.members === undefined) return { pointsTo: null };
  for (let depth = 0; depth < 32; depth++) {
    if (at + size > (type.size ?? 0)) {
      // Flexible arrays at the end may be read beyond the structure.
      const last = type.members?.[type.members.length - 1];
      const array = last === undefined ? undefined : skipModifiers(btf, last.type);
      if (array?.kind === Kind.ARRAY && array.count === 0 && at >= last!.offset / 8) return { pointsTo: null };
      return beyond(type.name);
    }
    const member = type.members?.find((candidate) => {
      const start = candidate.offset >> 3;
      const bytes = sizeOf(btf, candidate.type) ?? 0;
      return candidate.bits > 0 ? at >= start && at < start + 8 && at * 8 <= candidate.offset + candidate.bits : at >= start && at < start + bytes;
    });
    if (member === undefined) env.reject("EACCES", `struct ${type.name} doesn't have field at offset ${off}`);
    let field = skipModifiers(btf, member.type);
    at -= member.offset >> 3;
    while (field?.kind === Kind.ARRAY) {
      const element = sizeOf(btf, field.element ?? 0) ?? 0;
      if (element > 0) at %= element;
      field = skipModifiers(btf, field.element ?? 0);
    }
    if (field === undefined) return { pointsTo: null };
    if (field.kind === Kind.STRUCT || field.kind === Kind.UNION) {
      type = field;
      continue;
    }
    if (field.kind === Kind.PTR && access === "read") {
      if (size !== 8 || at !== 0) {
        if (at + size > 8) return beyond(type.name);
        return { pointsTo: null };
      }
      const target = skipModifiers(btf, field.type ?? 0);
      return { pointsTo: target?.kind === Kind.STRUCT ? target : null };
    }
    return { pointsTo: null };
  }
  return { pointsTo: null };
}

/** Context structures by program type, as arguments of global functions name them. */
const CTX_NAMES: Readonly<Record<number, readonly string[]>> = {
  [ProgType.SOCKET_FILTER]: ["__sk_buff"], [ProgType.SCHED_CLS]: ["__sk_buff"], [ProgType.SCHED_ACT]: ["__sk_buff"],
  [ProgType.CGROUP_SKB]: ["__sk_buff"], [ProgType.LWT_IN]: ["__sk_buff"], [ProgType.LWT_OUT]: ["__sk_buff"],
  [ProgType.LWT_XMIT]: ["__sk_buff"], [ProgType.LWT_SEG6LOCAL]: ["__sk_buff"], [ProgType.SK_SKB]: ["__sk_buff"],
  [ProgType.FLOW_DISSECTOR]: ["__sk_buff"], [ProgType.XDP]: ["xdp_md"], [ProgType.KPROBE]: ["bpf_user_pt_regs_t", "pt_regs"],
  [ProgType.PERF_EVENT]: ["bpf_perf_event_data"], [ProgType.CGROUP_SOCK]: ["bpf_sock"], [ProgType.SOCK_OPS]: ["bpf_sock_ops"],
  [ProgType.CGROUP_SOCK_ADDR]: ["bpf_sock_addr"], [ProgType.SK_MSG]: ["sk_msg_md"], [ProgType.RAW_TRACEPOINT]: ["bpf_raw_tracepoint_args"],
  [ProgType.SK_REUSEPORT]: ["sk_reuseport_md"], [ProgType.SK_LOOKUP]: ["bpf_sk_lookup"], [ProgType.CGROUP_DEVICE]: ["bpf_cgroup_dev_ctx"],
  [ProgType.CGROUP_SYSCTL]: ["bpf_sysctl"], [ProgType.CGROUP_SOCKOPT]: ["bpf_sockopt"], [ProgType.NETFILTER]: ["bpf_nf_ctx"],
};

/** Tags of an argument: `__arg_ctx` and its kin. */
function argTags(btf: BtfTypes, funcId: number, component: number): Set<string> {
  const tags = new Set<string>();
  for (const type of btf.types) {
    if (type !== undefined && type.kind === Kind.DECL_TAG && type.type === funcId && type.component === component) tags.add(type.name);
  }
  return tags;
}

/** btf_prepare_func_args: what a global function takes; rejects what it may not. */
export function prepareArgs(env: Env, index: number): readonly SubprogArg[] {
  const subprog = env.subprogs[index]!;
  if (subprog.args !== null) return subprog.args;
  const btf = env.spec.btf;
  const proto = subprog.funcProto;
  const { name } = subprog;
  if (btf === undefined || proto === null) return env.reject("EINVAL", "Verifier bug in func_info");
  const params = proto.params ?? [];
  if (params.length > 5) {
    env.reject("EINVAL", `Global function ${name}() with ${params.length} > 5 args. Buggy compiler.`);
  }
  const returns = skipModifiers(btf, proto.type ?? 0);
  if (returns === undefined || (returns.kind !== Kind.INT && returns.kind !== Kind.ENUM && returns.kind !== Kind.ENUM64)) {
    env.reject("EINVAL", `Global function ${name}() doesn't return scalar. Only those are supported.`);
  }
  const funcId = env.spec.funcInfo?.find((info) => info.slot === subprog.start)?.type ?? 0;
  const args = params.map((param, i): SubprogArg => {
    const tags = argTags(btf, funcId, i);
    const nonnull = tags.has("arg:nonnull") || tags.has("arg:ctx");
    const type = skipModifiers(btf, param.type);
    if (type === undefined || type.kind === Kind.INT || type.kind === Kind.ENUM || type.kind === Kind.ENUM64) {
      if (tags.size > 0) env.reject("EINVAL", `arg#${i} type is not pointer, but tagged`);
      return { kind: "anything", size: 0, nullable: false };
    }
    if (type.kind !== Kind.PTR) {
      return env.reject("EINVAL", `Arg#${i} type ${kindName(type.kind)} in ${name}() is not supported yet.`);
    }
    if (tags.has("arg:ctx")) return { kind: "ctx", size: 0, nullable: false };
    const target = skipModifiers(btf, type.type ?? 0);
    const named = btf.types[type.type ?? 0];
    const names = CTX_NAMES[env.spec.type] ?? [];
    if (names.includes(target?.name ?? "") || names.includes(named?.name ?? "")) return { kind: "ctx", size: 0, nullable: false };
    if (target?.name === "bpf_dynptr") return { kind: "dynptr", size: 0, nullable: false };
    if (tags.has("arg:trusted") || tags.has("arg:untrusted")) {
      return {
        kind: "btf", size: 0, nullable: tags.has("arg:nullable"), trusted: tags.has("arg:trusted"),
        untrusted: tags.has("arg:untrusted"), ...(target === undefined ? {} : { btfType: target }),
      };
    }
    const size = sizeOf(btf, type.type ?? 0);
    if (target === undefined || target.kind === Kind.FWD || size === undefined) {
      env.reject("EINVAL",
        `arg#${i} reference type('${kindName(target?.kind ?? 0)} ${target?.name ?? ""}') size cannot be determined: -22`);
    }
    return { kind: "mem", size, nullable: !nonnull };
  });
  subprog.args = args;
  return args;
}

const KIND_NAMES = [
  "UNKNOWN", "INT", "PTR", "ARRAY", "STRUCT", "UNION", "ENUM", "FWD", "TYPEDEF", "VOLATILE", "CONST", "RESTRICT", "FUNC",
  "FUNC_PROTO", "VAR", "DATASEC", "FLOAT", "DECL_TAG", "TYPE_TAG", "ENUM64",
];
export const kindName = (kind: number): string => KIND_NAMES[kind] ?? "UNKNOWN";
