// IP sets: what the kernel and its driver share. See core.ts.

/**
 * {u32 netns, 32 bytes name, IPSETH_* fields}: a new set; -EEXIST (there is one of that name; `ipset create -exist` compares the
 * kinds itself).
 */
export const NF_IPSET_NEW: u32 = 0x209;
/**
 * {u32 netns, 32 bytes name, u32 IPSET_OP_*, u32 IPSET_EXIST, element (IPSETE_*), 32 bytes name of a set (list:set), 32 bytes name of
 * the set before or after which it goes, u32 1: before it, 2: after it}. Answers: add: the element's id; test: 1 in it, 0 not, 2:
 * under a nomatch element; del: 0. -ENOENT no such set, IPSET_ERR_*.
 */
export const NF_IPSET_ELEMENT: u32 = 0x20a;
/** {u32 netns, 32 bytes name}: the number of elements, or -ENOENT. */
export const NF_IPSET_TEST: u32 = 0x20b;
/** {u32 netns, u32 IPSET_CMD_*, 32 bytes name (first byte 0: all), 32 bytes other name}. 0, -ENOENT, -EBUSY, -EEXIST, -EINVAL. */
export const NF_IPSET_COMMAND: u32 = 0x20d;
/** {u32 netns, u32 number of the set}: answer = 32 bytes name, IPSETH_* fields; -ENOENT: no more. */
export const NF_IPSET_HEADER: u32 = 0x20e;
/** {u32 netns, u32 first element, 32 bytes name}: answer = IPSETE_BYTES each (list:set: the member's name in IPSETE_NAME); returns bytes. */
export const NF_IPSET_LIST: u32 = 0x20f;

// A set's fields
export const IPSETH_KIND: u32 = 0; // u32 KIND_*
export const IPSETH_OPTIONS: u32 = 4; // u32 IPSETO_*
export const IPSETH_TIMEOUT: u32 = 8; // u32 seconds
export const IPSETH_MAXELEM: u32 = 12; // u32; list:set: size
export const IPSETH_FIRST: u32 = 16; // u32 first address (host order) or port of a bitmap
export const IPSETH_LAST: u32 = 20;
export const IPSETH_MASK: u32 = 24; // u32 netmask (raw) or markmask
export const IPSETH_TYPE: u32 = 28; // u32: the driver's number of the type
export const IPSETH_ELEMENTS: u32 = 32; // answer: u32
export const IPSETH_REFERENCES: u32 = 36; // answer: u32
export const IPSETH_BYTES: u32 = 40;

export const KIND_IP: u32 = 1;
export const KIND_NET: u32 = 2; // the address is a network
export const KIND_PORT: u32 = 4;
export const KIND_IP2: u32 = 8;
export const KIND_NET2: u32 = 16;
export const KIND_IFACE: u32 = 32;
export const KIND_MAC: u32 = 64;
export const KIND_MARK: u32 = 128;
export const KIND_LIST: u32 = 256;
export const KIND_BITMAP: u32 = 512;

export const IPSETO_TIMEOUT: u32 = 1;
export const IPSETO_COUNTERS: u32 = 2;
export const IPSETO_COMMENT: u32 = 4;
export const IPSETO_SKBINFO: u32 = 8;
export const IPSETO_FORCEADD: u32 = 16;
export const IPSETO_INET6: u32 = 32; // addresses of IPv6: IPSETE_IP6, IPSETE_IP26 in place of IPSETE_IP, IPSETE_IP2; the mask is a prefix length

// An element
export const IPSETE_IP: u32 = 0; // u32 raw
export const IPSETE_IP2: u32 = 4; // u32 raw; the mark of hash:ip,mark
export const IPSETE_PORT: u32 = 8; // u16 host order
export const IPSETE_PROTO: u32 = 10; // u8
export const IPSETE_CIDR: u32 = 11; // u8
export const IPSETE_CIDR2: u32 = 12; // u8
export const IPSETE_PHYSDEV: u32 = 13; // u8
export const IPSETE_NAME: u32 = 16; // 16 bytes: interface; 6 bytes MAC
export const IPSETE_KEY_BYTES: u32 = 32;
export const IPSETE_ID: u32 = 32; // u32
export const IPSETE_FLAGS: u32 = 36; // u32 IPSET_NOMATCH
export const IPSETE_TIMEOUT: u32 = 40; // u32 seconds left; given: all ones: the set's; 0: for ever
export const IPSETE_QUEUE: u32 = 44; // u32
export const IPSETE_PACKETS: u32 = 48; // u64
export const IPSETE_BYTE_COUNT: u32 = 56; // u64
export const IPSETE_MARK: u32 = 64; // u32
export const IPSETE_MARKMASK: u32 = 68; // u32
export const IPSETE_PRIO: u32 = 72; // u32
export const IPSETE_MEMBER: u32 = 80; // 32 bytes: the name of a list:set's member
export const IPSETE_IP6: u32 = 112; // 16 bytes
export const IPSETE_IP26: u32 = 128; // 16 bytes
export const IPSETE_BYTES: u32 = 144;

export const IPSET_NOMATCH: u32 = 1;
export const IPSET_OP_ADD: u32 = 0;
export const IPSET_OP_DEL: u32 = 1;
export const IPSET_OP_TEST: u32 = 2;
export const IPSET_EXIST: u32 = 1;
export const IPSET_CMD_DESTROY: u32 = 0;
export const IPSET_CMD_FLUSH: u32 = 1;
export const IPSET_CMD_RENAME: u32 = 2;
export const IPSET_CMD_SWAP: u32 = 3;

// Answers beside -errno, include/uapi/linux/netfilter/ipset/ip_set.h
export const IPSET_ERR_EXIST: i32 = 4103; // added already; not there to be deleted
export const IPSET_ERR_RANGE: i32 = 4352; // bitmap
export const IPSET_ERR_FULL: i32 = 4353;
export const IPSET_ERR_NULL: i32 = 4354; // a null-valued element
export const IPSET_ERR_NAME: i32 = 4355; // list:set: no such member set
export const IPSET_ERR_LOOP: i32 = 4356; // list:set in a list:set
export const IPSET_ERR_NAMEREF: i32 = 4357; // list:set: no such set to go before or after
export const IPSET_ERR_TYPE_MISMATCH: i32 = 4358;
export const IPSET_ERR_REFERENCED: i32 = 4359;
export const IPSET_ERR_CIDR: i32 = 4360;
export const IPSET_ERR_EXIST_SETNAME2: i32 = 4361;
