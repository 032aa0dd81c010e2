// What is attached to a network namespace (kernel/bpf/net_namespace.c, net/netfilter/nf_bpf_link.c), and the cgroup its sockets belong to.
import { Netns } from "../../layout";
import { kfree, kmalloc } from "../../mm/slab";
import { Cgroup } from "./cgroup";

@unmanaged export class NetnsBpf {
  cgroup: usize; // Cgroup
  flow: usize; // BpfProg: flow dissector, a reference
  flowLink: usize; // Link
  lookup: usize; // ProgList of sk_lookup
  filters: u32; // netfilter programs
  cookie: u64;
}

/** The namespace's, made where there is none; null (0): no memory. */
export function netnsBpf(ns: Netns): NetnsBpf {
  if (ns.bpf == 0) ns.bpf = kmalloc(<u32>offsetof<NetnsBpf>());
  return changetype<NetnsBpf>(ns.bpf);
}

/** The namespace ends, after its devices and sockets. */
export function netnsBpfExit(ns: Netns): void {
  if (ns.bpf == 0) return;
  const group = changetype<NetnsBpf>(ns.bpf).cgroup;
  if (group != 0) changetype<Cgroup>(group).refs--;
  kfree(ns.bpf, <u32>offsetof<NetnsBpf>());
  ns.bpf = 0;
}
