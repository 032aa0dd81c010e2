// What programs may return, by type and attach type. kernel/bpf/verifier.c: check_return_code.

import { AttachType, ProgType } from "../uapi.ts";
import type { Env } from "./env.ts";
import { markChainPrecision } from "./precision.ts";
import { SCALAR_VALUE, S64_MAX, S64_MIN, type RegState, regTypeString } from "./reg.ts";
import { checkRegArg } from "./regs.ts";
import { isPointerValue } from "./stack.ts";
import type { RetvalRange } from "./state.ts";

const ONLY_ONE: readonly number[] = [
  AttachType.CGROUP_UDP4_RECVMSG, AttachType.CGROUP_UDP6_RECVMSG, AttachType.CGROUP_UNIX_RECVMSG,
  AttachType.CGROUP_INET4_GETPEERNAME, AttachType.CGROUP_INET6_GETPEERNAME, AttachType.CGROUP_UNIX_GETPEERNAME,
  AttachType.CGROUP_INET4_GETSOCKNAME, AttachType.CGROUP_INET6_GETSOCKNAME, AttachType.CGROUP_UNIX_GETSOCKNAME,
];

const range = (min: number, max: number): RetvalRange => ({ min, max });

/** Bounds of the return value; null where any is good. */
export function retvalRange(env: Env): RetvalRange | null {
  const { type, attachType } = env.spec;
  switch (type) {
    case ProgType.CGROUP_SOCK_ADDR:
      if (ONLY_ONE.includes(attachType)) return range(1, 1);
      if (attachType === AttachType.CGROUP_INET4_BIND || attachType === AttachType.CGROUP_INET6_BIND) return range(0, 3);
      return range(0, 1);
    case ProgType.CGROUP_SKB:
      return range(0, attachType === AttachType.CGROUP_INET_EGRESS ? 3 : 1);
    case ProgType.CGROUP_SOCK:
    case ProgType.SOCK_OPS:
    case ProgType.CGROUP_DEVICE:
    case ProgType.CGROUP_SYSCTL:
    case ProgType.CGROUP_SOCKOPT:
    case ProgType.SK_LOOKUP:
    case ProgType.NETFILTER:
      return range(0, 1);
    case ProgType.TRACING:
      switch (attachType) {
        case AttachType.TRACE_FENTRY:
        case AttachType.TRACE_FEXIT:
          return range(0, 0);
        case AttachType.TRACE_ITER:
          return range(0, 1);
        default:
          return null;
      }
    case ProgType.KPROBE:
      return attachType === AttachType.TRACE_KPROBE_SESSION || attachType === AttachType.TRACE_UPROBE_SESSION ? range(0, 1) : null;
    case ProgType.LSM:
      return attachType === AttachType.LSM_CGROUP ? range(0, 1) : range(-4095, 0);
    default:
      return null;
  }
}

/** verbose_invalid_scalar. */
export function invalidScalar(env: Env, reg: RegState, allowed: RetvalRange, when: string, name: string): never {
  let text = `${when} the register ${name} has`;
  if (reg.smin > S64_MIN) text += ` smin=${reg.smin}`;
  if (reg.smax < S64_MAX) text += ` smax=${reg.smax}`;
  if (reg.smin === S64_MIN && reg.smax === S64_MAX) text += " unknown scalar value";
  return env.reject("EINVAL", `${text} should have been in [${allowed.min}, ${allowed.max}]`);
}

export const withinRange = (reg: RegState, allowed: RetvalRange): boolean =>
  reg.smin >= BigInt(allowed.min) && reg.smax <= BigInt(allowed.max);

/** check_return_code: at the end of the program, of a global function, or of an async callback. */
export function checkReturnCode(env: Env): void {
  const frame = env.cur.frames[0]!;
  const isSubprog = frame.subprogno !== 0;
  const { type, attachType } = env.spec;
  const returnsVoid = (type === ProgType.STRUCT_OPS || (type === ProgType.LSM && attachType !== AttachType.LSM_CGROUP)) &&
    env.spec.attachTo !== undefined && (env.spec.attachTo.proto.type ?? 0) === 0;
  if ((!isSubprog || frame.inExceptionCallback) && returnsVoid) return;
  checkRegArg(env, 0, "src");
  const reg = env.reg(0);
  if (isPointerValue(env.allowPtrLeaks, reg)) env.reject("EACCES", "R0 leaks addr as return value");
  let allowed: RetvalRange | null;
  let when = "At program exit";
  if (frame.inAsyncCallback) {
    when = "At async callback return";
    allowed = frame.callbackRet;
  } else if (isSubprog && !frame.inExceptionCallback) {
    if (reg.type !== SCALAR_VALUE) {
      env.reject("EINVAL", `At subprogram exit the register R0 is not a scalar value (${regTypeString(reg.type)})`);
    }
    return;
  } else {
    allowed = retvalRange(env);
  }
  if (allowed === null) return;
  if (reg.type !== SCALAR_VALUE) {
    env.reject("EINVAL", `${when} the register R0 is not a known value (${regTypeString(reg.type)})`);
  }
  markChainPrecision(env, 0);
  if (!withinRange(reg, allowed)) invalidScalar(env, reg, allowed, when, "R0");
}
