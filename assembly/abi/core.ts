// Numbers that the kernel and its driver share, core part. This file is compiled twice: by asc into kernel.wasm and by
// esbuild into the driver. Only `export const NAME: u32 = value;` may stand here. The hash of all files of this folder
// is the ABI hash that the driver compares when it loads a kernel.

// Result codes: 0 and up is success (a length, a count or a handle), below is -errno with Linux's numbers
// (include/uapi/asm-generic/errno-base.h, errno.h).
export const EPERM: i32 = 1;
export const ENOENT: i32 = 2;
export const ESRCH: i32 = 3;
export const EINTR: i32 = 4;
export const ENXIO: i32 = 6;
export const E2BIG: i32 = 7;
export const EBADF: i32 = 9;
export const EAGAIN: i32 = 11;
export const ENOMEM: i32 = 12;
export const EACCES: i32 = 13;
export const EFAULT: i32 = 14;
export const EBUSY: i32 = 16;
export const EEXIST: i32 = 17;
export const ENODEV: i32 = 19;
export const EINVAL: i32 = 22;
export const ENFILE: i32 = 23;
export const ENOSPC: i32 = 28;
export const EPIPE: i32 = 32;
export const EDOM: i32 = 33;
export const ERANGE: i32 = 34;
export const ELOOP: i32 = 40;
export const ENOPROTOOPT: i32 = 92;
export const EPROTONOSUPPORT: i32 = 93;
export const EOPNOTSUPP: i32 = 95;
export const EAFNOSUPPORT: i32 = 97;
export const EADDRINUSE: i32 = 98;
export const EADDRNOTAVAIL: i32 = 99;
export const ENETDOWN: i32 = 100;
export const ENETUNREACH: i32 = 101;
export const ECONNABORTED: i32 = 103;
export const ECONNRESET: i32 = 104;
export const ENOBUFS: i32 = 105;
export const EISCONN: i32 = 106;
export const ENOTCONN: i32 = 107;
export const ETIMEDOUT: i32 = 110;
export const ECONNREFUSED: i32 = 111;
export const EHOSTUNREACH: i32 = 113;
export const EALREADY: i32 = 114;
export const EINPROGRESS: i32 = 115;
export const ENOTSUPP: i32 = 524;
export const EMSGSIZE: i32 = 90;
export const ENONET: i32 = 64;
export const EPROTO: i32 = 71;
export const EDESTADDRREQ: i32 = 89;
export const EHOSTDOWN: i32 = 112;

// Mailbox: one per instance, at a fixed length; requests are written at its start, answers replace them.
// A request that does not fit (an iptables table) is appended to the upload buffer first (`upload` export).
export const MAILBOX_BYTES: u32 = 131072;

// run(): flags of the answer, and the status block it leaves at the start of the mailbox.
export const RUN_EVENTS: u32 = 1; // socket events wait: CORE_EVENTS
export const RUN_OUTBOX: u32 = 2; // frames for the underlay wait: CORE_OUTBOX
export const RUN_OBSERVED: u32 = 4; // the observation ring holds records: CORE_OBSERVED
export const RUN_MORE: u32 = 8; // stopped early because the observation ring is nearly full: drain it and run again
export const RUN_QUEUED: u32 = 16; // packets wait for a program's word: NFQ_TAKE
export const RUN_BPF: u32 = 32; // consumers of eBPF maps are to be woken: BPF_MAP_EVENTS
export const RUN_STATUS_NOW: u32 = 0; // u64: the node's clock in ns, work included
export const RUN_STATUS_DEADLINE: u32 = 8; // u64: when the next kernel timer is due in ns; all ones: none
export const RUN_STATUS_BYTES: u32 = 16;

// command(): operations by subsystem. Core 0x0nn, net 0x1nn, netfilter 0x2nn, sockets 0x3nn.
export const OP_CORE: u32 = 0x000;
export const OP_NET: u32 = 0x100;
export const OP_NETFILTER: u32 = 0x200;
export const OP_SOCK: u32 = 0x300;

/** Takes waiting socket events: answer = records of EVENT_BYTES; returns bytes. */
export const CORE_EVENTS: u32 = 0x001;
/** Takes frames sent on NICs: answer = records {u64 time, u32 ifindex, u32 length, bytes padded to 8}; returns bytes. */
export const CORE_OUTBOX: u32 = 0x002;
/** Takes observation records (see OBS_*): answer = whole records; returns bytes. */
export const CORE_OBSERVED: u32 = 0x003;
/** Sets what is observed: u32 flags (OBSERVE_*). */
export const CORE_OBSERVE: u32 = 0x004;
/** A frame arrives at a NIC of the initial namespace: {u32 ifindex, u32 length, bytes}. */
export const CORE_DELIVER: u32 = 0x005;
/** Memory figures: answer = u64 bytes in use of the arena, u64 bytes taken from the memory, u64 bytes of the whole memory. */
export const CORE_MEMORY: u32 = 0x006;
/** Charges the node's CPU: {u64 ns}. */
export const CORE_CHARGE: u32 = 0x007;
/**
 * Many frames at once arrive at a NIC of the initial namespace: {u32 ifindex, u32 frames, then each u32 length, bytes padded to 4};
 * returns how many were taken before a length that does not fit.
 */
export const CORE_DELIVER_MANY: u32 = 0x010;

export const OBSERVE_CAPTURE: u32 = 1; // every frame at every device, both directions
export const OBSERVE_TRACE: u32 = 2; // hooks, rules, NAT, routes, drops

// An event for the driver: {u32 kind, u32 handle, u32 a, u32 b}.
export const EVENT_BYTES: u32 = 16;
export const EVENT_SOCKET: u32 = 1; // handle = socket, a = readiness bits of abi/sock.ts

// Observation records: {u16 bytes of the whole record / 8, u16 type, u32 skb id, u64 time ns, u32 netns id,
// u32 ifindex, payload, padded to 8}.
export const OBS_SIZE8: u32 = 0;
export const OBS_TYPE: u32 = 2;
export const OBS_SKB: u32 = 4;
export const OBS_TIME: u32 = 8;
export const OBS_NETNS: u32 = 16;
export const OBS_IFINDEX: u32 = 20;
export const OBS_PAYLOAD: u32 = 24;
// Types; the payload follows each name.
export const OBS_FRAME_RX: u32 = 1; // u32 length, frame bytes from the Ethernet header on
export const OBS_FRAME_TX: u32 = 2; // the same
export const OBS_DROP: u32 = 3; // u32 reason (abi/net.ts DROP_*)
export const OBS_ROUTE: u32 = 4; // u32 route type, u32 out ifindex, 16 bytes gateway, 16 bytes destination
export const OBS_NEIGH: u32 = 5; // u32 NUD state, 16 bytes address, 6 bytes lladdr
export const OBS_ENCAP: u32 = 6; // u32 vni, 16 bytes local, 16 bytes remote, u32 direction (0 encapsulate, 1 decapsulate)
export const OBS_DELIVER: u32 = 7; // u32 protocol, u32 socket handle (0: none)
export const OBS_SEND: u32 = 8; // u32 protocol, u32 socket handle: a socket handed this skb to IP
export const OBS_BRIDGE: u32 = 9; // u32 out ifindex (0: flooded), u32 1 if local
export const OBS_HOOK: u32 = 16; // u32 hook, u32 table, u32 verdict (after the table ran)
export const OBS_RULE: u32 = 17; // u32 hook, u32 table, u32 chain index, u32 rule number (from 1; 0: policy), u32 verdict
export const OBS_NAT: u32 = 18; // u32 kind (0 source, 1 destination), u32 proto, 16+16 bytes old/new address, u32 old port, u32 new port
export const OBS_CT: u32 = 19; // u32 ctinfo, u32 ct id, u32 protocol, u32 protocol state
export const OBS_NFT: u32 = 24; // u32 chain id, u32 rule handle (0: policy), u32 verdict (NFTV_*, NF_*), u32 chain id of a jump, u32 hook
/** u32 attach type (BPF_XDP, BPF_TCX_INGRESS …), u32 program id, u32 answer, u32 -, 16 bytes name of the program */
export const OBS_BPF: u32 = 26;
export const OBS_LOCAL_IN: u32 = 20; // u32 length, the IP packet as it is delivered here, after INPUT
