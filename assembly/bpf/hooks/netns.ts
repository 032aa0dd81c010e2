// What is attached to a network namespace (kernel/bpf/net_namespace.c, net/netfilter/nf_bpf_link.c), and the cgroup its sockets belong to.

@unmanaged export class NetnsBpf {
  cgroup: usize; // Cgroup
  flow: usize; // BpfProg: flow dissector, a reference
  flowLink: usize; // Link
  lookup: usize; // ProgList of sk_lookup
  filters: u32; // netfilter programs
  cookie: u64;
}
