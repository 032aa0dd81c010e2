// Flags of BPF_MAP_UPDATE_ELEM and its helper, include/uapi/linux/bpf.h: 64 bits, so that what is above them is seen.
export const BPF_ANY: u64 = 0;
export const BPF_NOEXIST: u64 = 1;
export const BPF_EXIST: u64 = 2;
export const BPF_F_LOCK: u64 = 4;
