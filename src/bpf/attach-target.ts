/**
 * What a program with a BTF-typed context attaches to: the prototype of a tracepoint, function, LSM hook or iterator in the kernel's BTF.
 * Follows tools/lib/bpf/libbpf.c, find_kernel_btf_id.
 */
import { BtfKind, type Btf, type BtfType } from "./btf.ts";
import { BpfObjectError } from "./errors.ts";
import type { ObjectProgram } from "./object.ts";
import { AttachType, ProgType } from "./uapi.ts";
import type { ProgramSpec } from "./verifier/types.ts";

/** undefined: programs of this type have no such target. Throws BpfObjectError ESRCH when the kernel has none of that name. */
export function attachTarget(program: ObjectProgram, btf: Btf): ProgramSpec["attachTo"] {
  const { type, attachTo } = program;
  if (attachTo === undefined || (type !== ProgType.TRACING && type !== ProgType.LSM)) return undefined;
  const proto = protoOf(program.attachType, attachTo, btf);
  if (proto === undefined) {
    throw new BpfObjectError("ESRCH", `prog '${program.name}': failed to find kernel BTF type ID of '${attachTo}': No such process`);
  }
  return { name: attachTo, proto, btf };
}

function protoOf(attachType: number, name: string, btf: Btf): BtfType | undefined {
  const ofFunction = (own: string): BtfType | undefined => {
    const found = btf.type(btf.find(own, BtfKind.FUNC));
    return found === undefined ? undefined : btf.type(found.type!);
  };
  switch (attachType) {
    case AttachType.TRACE_RAW_TP: {
      const typedef = btf.type(btf.find(`btf_trace_${name}`, BtfKind.TYPEDEF));
      return typedef === undefined ? undefined : btf.type(btf.type(typedef.type!)!.type!);
    }
    case AttachType.LSM_MAC:
    case AttachType.LSM_CGROUP:
      return ofFunction(`bpf_lsm_${name}`);
    case AttachType.TRACE_ITER:
      return ofFunction(`bpf_iter_${name}`);
    default:
      return ofFunction(name);
  }
}
