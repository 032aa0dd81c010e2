// Constants of the sockets that are no sysctls, or whose sysctl has another meaning here (net/ipv4, include/net/tcp.h).

/** What net.ipv4.tcp_wmem lets the send buffer grow to in practice (tcp_sndbuf_expand); here it is this from the start. */
export const TCP_SNDBUF: u32 = 131072;
/** net.ipv4.tcp_orphan_retries 0 means this (tcp_orphan_retries()). */
export const TCP_ORPHAN_RETRIES: u32 = 8;
/** net.ipv4.tcp_syn_linear_timeouts: so many SYNs go out a second apart before the pauses double. */
export const TCP_SYN_LINEAR_TIMEOUTS: u32 = 4;
/** net.ipv4.tcp_invalid_ratelimit, in ms. */
export const TCP_INVALID_RATELIMIT_MS: u32 = 500;
/** TCP_TIMEWAIT_LEN, and net.ipv4.tcp_fin_timeout's default. */
export const TCP_TIMEWAIT_NS: u64 = 60_000_000_000;
/** TCP_RTO_MIN, TCP_RTO_MAX, TCP_TIMEOUT_INIT, TCP_TIMEOUT_FALLBACK, in microseconds. */
export const TCP_RTO_MIN_US: u32 = 200_000;
export const TCP_RTO_MAX_US: u32 = 120_000_000;
export const TCP_TIMEOUT_INIT_US: u32 = 1_000_000;
export const TCP_TIMEOUT_FALLBACK_US: u32 = 3_000_000;
/** TCP_DELACK_MIN and TCP_ATO_MIN, TCP_DELACK_MAX, in ms. */
export const TCP_ATO_MIN_MS: u32 = 40;
export const TCP_DELACK_MAX_MS: u32 = 200;
export const TCP_MAX_QUICKACKS: u32 = 16;
/** No segment is announced that would not fit a datagram (net/ipv4/route.c), whatever a device takes. */
export const IPV4_MAX_PMTU: u32 = 65535;
export const TCP_INIT_CWND: u32 = 10;
/** TCP_PAWS_24DAYS and TCP_PAWS_MSL, in seconds. */
export const TCP_PAWS_24DAYS: u32 = 60 * 60 * 24 * 24;
