// Numbers that the kernel and its driver share: hooks, verdicts, tables, rules, connections. See core.ts.

// include/uapi/linux/netfilter.h, netfilter_ipv4.h
export const NF_DROP: u32 = 0;
export const NF_ACCEPT: u32 = 1;
export const NF_STOLEN: u32 = 2;
export const NF_QUEUE: u32 = 3;
export const NF_REPEAT: u32 = 4;
export const HOOK_PREROUTING: u32 = 0;
export const HOOK_INPUT: u32 = 1;
export const HOOK_FORWARD: u32 = 2;
export const HOOK_OUTPUT: u32 = 3;
export const HOOK_POSTROUTING: u32 = 4;
