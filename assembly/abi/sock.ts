// Numbers that the kernel and its driver share: socket calls, readiness, socket options. See core.ts.

export const READY_READ: u32 = 1;
export const READY_WRITE: u32 = 2;
export const READY_ERROR: u32 = 4;
export const READY_HANGUP: u32 = 8;

// Kinds of sockets.
export const SOCK_UDP: u32 = 1; // SOCK_DGRAM, IPPROTO_UDP
export const SOCK_TCP: u32 = 2; // SOCK_STREAM
export const SOCK_PING: u32 = 3; // SOCK_DGRAM, IPPROTO_ICMP: its local port is the echo id
/** With a kind: AF_INET6. Its "any" address is "::", and it takes IPv4 too, unless SOCKOPT_V6ONLY says otherwise. */
export const SOCK_INET6: u32 = 0x100;
export const SOCK_RAW: u32 = 4; // copies of what INPUT let through; sends whole IP packets (IP_HDRINCL)

// One record layout for every request and answer about sockets. Addresses are 16 bytes, IPv4 mapped; ports are u32.
export const SOCK_HANDLE: u32 = 0; // u32: the socket; the namespace for SOCK_OPEN and SOCK_STATS
export const SOCK_ARG: u32 = 4; // u32: kind, backlog, option, ttl
export const SOCK_PORT: u32 = 8; // u32
export const SOCK_LENGTH: u32 = 12; // u32: bytes that follow, or that are wanted at most; the value of an option
export const SOCK_ADDRESS: u32 = 16; // 16 bytes: the peer; what to bind to
export const SOCK_SOURCE: u32 = 32; // 16 bytes: the own address
export const SOCK_SCOPE: u32 = 48; // u32: ifindex that a link-local address or a group is of, 0: none
export const SOCK_BYTES: u32 = 56;

// Requests. A request that would wait answers -EAGAIN; the next change of that kind (reading: READY_READ, writing: READY_WRITE)
// is then reported once by an EVENT_SOCKET.
/** {netns, kind} → handle. */
export const SOCK_OPEN: u32 = 0x300;
/** {handle, port, address}: port 0: an ephemeral one. */
export const SOCK_BIND: u32 = 0x301;
/** {handle, port, address} → 0; TCP: -EINPROGRESS, then READY_WRITE and SOCK_FINISH tell how it went. */
export const SOCK_CONNECT: u32 = 0x302;
/** {handle} → 0: connected; -EINPROGRESS, or the error. */
export const SOCK_FINISH: u32 = 0x303;
/** {handle, backlog}. */
export const SOCK_LISTEN: u32 = 0x304;
/** {handle} → the handle of an accepted connection. */
export const SOCK_ACCEPT: u32 = 0x305;
/** Datagram: {handle, ttl (0: default), port, length, address, source (0.0.0.0: by route), bytes}; port 0: to the peer. */
export const SOCK_SEND: u32 = 0x306;
/** Datagram: {handle, -, -, room} → record {…, port, length, address of the sender, address asked, bytes}; returns its length. */
export const SOCK_RECEIVE: u32 = 0x307;
/** Stream: {handle, -, -, length, -, -, bytes} → how many bytes the send buffer took. */
export const SOCK_WRITE: u32 = 0x308;
/** Stream: {handle, -, -, room} → that many bytes from offset 0 on; 0: the end. */
export const SOCK_READ: u32 = 0x309;
/** {handle}: no more writing (SHUT_WR). */
export const SOCK_SHUTDOWN: u32 = 0x30a;
/** {handle, abort}: the handle is gone; abort 1: by RST, as with SO_LINGER 0. */
export const SOCK_CLOSE: u32 = 0x30b;
/** {handle} → record {-, TCP_* state or 0, local port, remote port, remote address, local address}; returns SOCK_BYTES. */
export const SOCK_NAME: u32 = 0x30c;
/** {handle, SOCKOPT_*, -, value}. */
export const SOCK_OPTION: u32 = 0x30d;
/** {netns} → u32 sockets (orphans included), u32 in the table of connections, u32 of them time-wait, u32 skbs of the node. */
export const SOCK_STATS: u32 = 0x30e;

/** {netns, u32 skip} → SOCKINFO_* records of all sockets, those that wait out their closing behind them; returns bytes. */
export const SOCK_LIST: u32 = 0x30f;

export const SOCKINFO_KIND: u32 = 0; // SOCK_UDP …
export const SOCKINFO_STATE: u32 = 4; // TCP_*
export const SOCKINFO_PORT: u32 = 8; // local
export const SOCKINFO_REMOTE_PORT: u32 = 12;
export const SOCKINFO_RECEIVE: u32 = 16; // bytes not yet read; of a listener: connections not yet accepted
export const SOCKINFO_SEND: u32 = 20; // bytes not yet acknowledged; of a listener: its backlog
export const SOCKINFO_ADDRESS: u32 = 24; // 16 bytes, local
export const SOCKINFO_REMOTE: u32 = 40; // 16 bytes
export const SOCKINFO_FAMILY: u32 = 56; // SOCKINFO_INET6, SOCKINFO_V6ONLY
export const SOCKINFO_BYTES: u32 = 64;
// SOCKINFO_FAMILY
export const SOCKINFO_INET6: u32 = 1;
export const SOCKINFO_V6ONLY: u32 = 2;

export const SOCKOPT_REUSEADDR: u32 = 1;
export const SOCKOPT_NODELAY: u32 = 2;
export const SOCKOPT_RCVBUF: u32 = 3; // the doubled value, as getsockopt shows it
export const SOCKOPT_SNDBUF: u32 = 4;
export const SOCKOPT_TRANSPARENT: u32 = 5; // IP_TRANSPARENT
export const SOCKOPT_MARK: u32 = 6; // SO_MARK
export const SOCKOPT_UID: u32 = 7; // who the program runs as
export const SOCKOPT_GID: u32 = 8;
export const SOCKOPT_V6ONLY: u32 = 9; // before it is bound

// include/net/tcp_states.h
export const TCP_ESTABLISHED: u32 = 1;
export const TCP_SYN_SENT: u32 = 2;
export const TCP_SYN_RECV: u32 = 3;
export const TCP_FIN_WAIT1: u32 = 4;
export const TCP_FIN_WAIT2: u32 = 5;
export const TCP_TIME_WAIT: u32 = 6;
export const TCP_CLOSE: u32 = 7;
export const TCP_CLOSE_WAIT: u32 = 8;
export const TCP_LAST_ACK: u32 = 9;
export const TCP_LISTEN: u32 = 10;
export const TCP_CLOSING: u32 = 11;
