// Packets that wait for a program's word: queues that NFQUEUE names, and programs registered at a hook.

/** {u32 netns, u32 number, u32 flags (NFQ_FLAG_*), u32 most that may wait, u32 bytes of a packet that are handed out}: -EBUSY: it is bound. */
export const NFQ_BIND: u32 = 0x210;
/** {u32 netns, u32 number}: what waits is dropped; -ENOENT. */
export const NFQ_UNBIND: u32 = 0x211;
/** {u32 netns, u32 hook, i32 priority, u32 NFQ_PROGRAM_IPV6 or 0}: registers a program, returns its id; -ENOSPC. */
export const NFQ_PROGRAM: u32 = 0x212;
/** {u32 netns, u32 id}: what waits for it is dropped; -ENOENT. */
export const NFQ_PROGRAM_REMOVE: u32 = 0x213;
/** {u32 netns, u32 0}: answer = records of packets that nobody has seen yet (NFQR_*), whole; returns bytes. */
export const NFQ_TAKE: u32 = 0x214;
/**
 * {u32 netns, u32 packet id, u32 verdict (NF_*; NF_QUEUE | number << 16), u32 flags (NFQ_VERDICT_*), u32 mark, u32 bytes, the packet from
 * its network header on}. -ENOENT: it does not wait; -EINVAL: no such verdict, or no packet.
 */
export const NFQ_VERDICT: u32 = 0x215;
/** {u32 netns, u32 number}: answer = u32 waiting, u32 dropped for want of room, u32 packets so far; -ENOENT. */
export const NFQ_STAT: u32 = 0x216;

/** What does not fit passes instead of being dropped (NFQA_CFG_F_FAIL_OPEN). */
export const NFQ_FLAG_FAIL_OPEN: u32 = 1;
/** It is asked about IPv6, not IPv4. */
export const NFQ_PROGRAM_IPV6: u32 = 1;
export const NFQ_VERDICT_MARK: u32 = 1;
export const NFQ_VERDICT_PACKET: u32 = 2;
/** NF_QUEUE: without a listener the packet passes (NF_VERDICT_FLAG_QUEUE_BYPASS). */
export const NFQ_VERDICT_BYPASS: u32 = 0x8000;

/** In NFQR_QUEUE: not a queue's number, a program's id. */
export const NFQR_PROGRAM: u32 = 0x80000000;
export const NFQ_PROGRAMS: u32 = 16;

// A record: its size (a multiple of 4), then the packet's bytes behind the header.
export const NFQR_SIZE: u32 = 0;
export const NFQR_QUEUE: u32 = 4;
export const NFQR_ID: u32 = 8;
export const NFQR_HOOK: u32 = 12;
export const NFQR_PROTOCOL: u32 = 16;
export const NFQR_IN: u32 = 20; // ifindex, 0: none
export const NFQR_OUT: u32 = 24;
export const NFQR_PHYS_IN: u32 = 28;
export const NFQR_PHYS_OUT: u32 = 32;
export const NFQR_MARK: u32 = 36;
export const NFQR_LENGTH: u32 = 40; // of the packet
export const NFQR_CAPTURED: u32 = 44; // of what follows
export const NFQR_BYTES: u32 = 48;
