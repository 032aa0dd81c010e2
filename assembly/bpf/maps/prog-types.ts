// Numbers of programs that maps look at, include/uapi/linux/bpf.h.
export const BPF_PROG_TYPE_XDP: u32 = 6;
export const BPF_XDP_DEVMAP: u32 = 33;
export const BPF_XDP_CPUMAP: u32 = 35;
