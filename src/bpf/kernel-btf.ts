/**
 * What programs are relocated against and verified with: the BTF of the simulated kernel. It has the names, sizes and offsets of Linux 6.18
 * for x86-64, of the structures that tracing programs read, so that an object computes here what it computes there; whoever gives such a
 * program a structure fills a copy in this layout. kernel-types.generated.ts holds them as C text.
 */
import { BtfKind, type Btf, type BtfType } from "./btf.ts";
import { btfOfC } from "./c-types.ts";
import type { LinkTarget } from "./link.ts";
import { KERNEL_TYPES } from "./kernel-types.generated.ts";
import { AttachType, Helper, MapType, ProgType } from "./uapi.ts";

const enumOf = (name: string, prefix: string, numbers: Readonly<Record<string, number>>): string =>
  `enum ${name} { ${Object.entries(numbers).map(([key, value]) => `${prefix}${key} = ${value}`).join(", ")} };`;

let kernel: Btf | undefined;

/** The kernel's BTF; made with the first call, and shared. */
export function kernelBtf(): Btf {
  kernel ??= btfOfC([
    enumOf("bpf_func_id", "BPF_FUNC_", Helper), enumOf("bpf_map_type", "BPF_MAP_TYPE_", MapType), enumOf("bpf_prog_type", "BPF_PROG_TYPE_", ProgType),
    enumOf("bpf_attach_type", "BPF_", AttachType), KERNEL_TYPES,
  ].join("\n"));
  return kernel;
}

/** Where a member of a kernel structure is, in bytes: "skc_daddr" of "sock_common", also through anonymous members. Throws a RangeError. */
export function kernelOffset(struct: string, member: string): number {
  const btf = kernelBtf();
  const within = (type: BtfType | undefined, base: number): number | undefined => {
    for (const own of type?.members ?? []) {
      if (own.name === member) return base + own.offset / 8;
      const inner = own.name === "" ? within(btf.resolved(own.type), base + own.offset / 8) : undefined;
      if (inner !== undefined) return inner;
    }
    return undefined;
  };
  const found = within(btf.type(btf.find(struct, BtfKind.STRUCT) || btf.find(struct, BtfKind.UNION)), 0);
  if (found === undefined) throw new RangeError(`struct ${struct} has no ${member}`);
  return found;
}

/** KERNEL_VERSION(6, 18, 0), as uname says on every node. */
const VERSION = (6 << 16) | (18 << 8);

/** What `__kconfig` variables see: the options of a kernel that does what this one does. */
const CONFIG: Readonly<Record<string, string>> = {
  CONFIG_64BIT: "y", CONFIG_X86_64: "y", CONFIG_X86: "y", CONFIG_HZ: "250", CONFIG_HZ_250: "y", CONFIG_NR_CPUS: "64", CONFIG_SMP: "y",
  CONFIG_DEFAULT_HOSTNAME: '"(none)"', CONFIG_NET: "y", CONFIG_INET: "y", CONFIG_IPV6: "y", CONFIG_NETFILTER: "y", CONFIG_NF_CONNTRACK: "y",
  CONFIG_NF_NAT: "y", CONFIG_NF_TABLES: "y", CONFIG_NETFILTER_BPF_LINK: "y", CONFIG_IP_VS: "y", CONFIG_IP_SET: "y", CONFIG_VXLAN: "y",
  CONFIG_VETH: "y", CONFIG_BRIDGE: "y", CONFIG_IPVLAN: "y", CONFIG_MACVLAN: "y", CONFIG_VLAN_8021Q: "y", CONFIG_NET_CLS_BPF: "y",
  CONFIG_NET_CLS_ACT: "y", CONFIG_NET_ACT_BPF: "y", CONFIG_NET_SCHED: "y", CONFIG_NET_SCH_INGRESS: "y", CONFIG_NET_INGRESS: "y",
  CONFIG_NET_EGRESS: "y", CONFIG_NET_NS: "y", CONFIG_NAMESPACES: "y", CONFIG_CGROUPS: "y", CONFIG_CGROUP_BPF: "y", CONFIG_BPF: "y",
  CONFIG_BPF_SYSCALL: "y", CONFIG_BPF_JIT: "y", CONFIG_BPF_EVENTS: "y", CONFIG_BPF_STREAM_PARSER: "y", CONFIG_LWTUNNEL_BPF: "y",
  CONFIG_HAVE_EBPF_JIT: "y", CONFIG_DEBUG_INFO_BTF: "y", CONFIG_KPROBES: "y", CONFIG_UPROBES: "y", CONFIG_TRACEPOINTS: "y",
  CONFIG_KPROBE_EVENTS: "y", CONFIG_ARCH_HAS_SYSCALL_WRAPPER: "y", CONFIG_XDP_SOCKETS: "y", CONFIG_SYSVIPC: "y",
};

/** The simulated kernel as the loader's target. */
export const kernelTarget = (): LinkTarget => ({ btf: kernelBtf(), version: VERSION, config: CONFIG });

/** Members of enum skb_drop_reason by their names without SKB_DROP_REASON_: what `tracingOf` wants. */
export function dropReason(name: string): number | undefined {
  const btf = kernelBtf();
  const value = btf.type(btf.find("skb_drop_reason", BtfKind.ENUM))?.values?.find((one) => one.name === `SKB_DROP_REASON_${name}`)?.value;
  return value === undefined ? undefined : Number(value);
}
