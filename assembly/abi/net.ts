// Numbers that the kernel and its driver share: links, addresses, routes, neighbours, drop reasons. See core.ts.

// Requests (0x100 + n).
/** The initial namespace: no record. Returns its handle. */
export const NET_NETNS_HOST: u32 = 0x100;
/** A new namespace: no record. Returns its handle. */
export const NET_NETNS_ADD: u32 = 0x101;

export const DEV_LOOPBACK: u32 = 1;
export const DEV_VETH: u32 = 2;
export const DEV_BRIDGE: u32 = 3;
export const DEV_VXLAN: u32 = 4;
export const DEV_NIC: u32 = 5;

export const PACKET_HOST: u32 = 0; // include/uapi/linux/if_packet.h
export const PACKET_BROADCAST: u32 = 1;
export const PACKET_MULTICAST: u32 = 2;
export const PACKET_OTHERHOST: u32 = 3;
export const PACKET_OUTGOING: u32 = 4;

// Why a packet was dropped: names and order as include/net/dropreason-core.h where it has one.
export const DROP_NOT_SPECIFIED: u32 = 0;
export const DROP_NO_MEMORY: u32 = 1;
export const DROP_BACKLOG: u32 = 2; // CPU_BACKLOG
export const DROP_DEV_DOWN: u32 = 3; // DEV_READY
export const DROP_PKT_TOO_SMALL: u32 = 4;
export const DROP_OTHERHOST: u32 = 5;
export const DROP_UNHANDLED_PROTO: u32 = 6;
export const DROP_IP_CSUM: u32 = 7;
export const DROP_IP_INHDR: u32 = 8;
export const DROP_NETFILTER: u32 = 9; // NETFILTER_DROP
export const DROP_TOO_MANY_HOPS: u32 = 10;
export const DROPS_MAX: u32 = 64;
