// Numbers that the kernel and its driver share: nftables. See core.ts.

/**
 * One transaction: {u32 netns}; the records are the upload. Returns 0, or -EINVAL (malformed), -ENOMEM: then nothing has changed.
 * A record: {u32 NFTREC_*, u32 bytes of the whole record, payload}. Ids are the driver's, below NFT_IDS_MAX.
 */
export const NF_NFT_COMMIT: u32 = 0x240;
/** {u32 netns, u32 chain, u32 first rule, u32 reset}: answer = {u32 next rule (0: that was all), u32 n} and n of NFT_STATE_BYTES. */
export const NF_NFT_CHAIN: u32 = 0x241;
/**
 * {u32 netns, u32 set, u32 cursor}: answer = {u32 next cursor (0: that was all), u32 n} and n elements as NFTREC_ELEMENT's payload; in the
 * high 24 bits of its flags how many bytes follow: its operations, behind each {u64, u64} of its state.
 */
export const NF_NFT_SET: u32 = 0x242;
/** {u32 netns, u32 object, u32 reset}: answer = {u64, u64} of its state; -ENOENT. */
export const NF_NFT_OBJECT: u32 = 0x243;
/** {u32 netns, u32 TABLE_*, u32 hooks}, a rule of xtables is the upload: may it be reached from these hooks (bit per HOOK_*)? 0, -EINVAL. */
export const NF_NFT_XT_PLACE: u32 = 0x244;

export const NFT_IDS_MAX: u32 = 1048576;
/** {u32 number of the rule in its chain, u32 operation, u64, u64}: counter {packets, bytes}, quota {consumed, 0}, last {set, ns}. */
export const NFT_STATE_BYTES: u32 = 24;

/** {u32 id, u32 NFTCHAIN_*, u32 hook, i32 priority, u32 policy, u32 rules, u64 packets, u64 bytes of the policy}, rules: {u32 bytes, u32 handle, u32 kept}, operations. */
export const NFTREC_CHAIN: u32 = 1;
/** {u32 id} */
export const NFTREC_CHAIN_DELETE: u32 = 2;
/**
 * {u32 id, u32 NFTSET_*, u32 key bytes, u32 data bytes, u64 timeout ms, u32 size (0: any), u32 fields, u8[16] bytes of each field},
 * operations that every element has.
 */
export const NFTREC_SET: u32 = 3;
export const NFTREC_SET_DELETE: u32 = 4;
export const NFTREC_SET_FLUSH: u32 = 5;
/** {u32 set, u32 NFTELEM_*, u64 timeout ms, u64 expires in ms (0: timeout)}, key, end of the key (intervals), data, operations of its own. */
export const NFTREC_ELEMENT: u32 = 6;
/** {u32 set, u32 NFTELEM_*}, key, end of the key (intervals). */
export const NFTREC_ELEMENT_DELETE: u32 = 7;
/** {u32 id}, one stateful operation. */
export const NFTREC_OBJECT: u32 = 8;
export const NFTREC_OBJECT_DELETE: u32 = 9;
export const NFT_RECORD_HEADER: u32 = 8;
export const NFT_CHAIN_HEADER: u32 = 40;
export const NFT_SET_HEADER: u32 = 48;
export const NFT_ELEMENT_HEADER: u32 = 24;
export const NFT_RULE_HEADER: u32 = 12;

// Hooks of the families that are not IP, beside HOOK_* of ip, ip6 and inet. Chains at NFT_HOOK_INGRESS and beyond name their devices:
// {u32 n, u32 0}, n names of 16 bytes, between the header and the rules.
export const NFT_HOOK_BRIDGE: u32 = 8; // + HOOK_*
export const NFT_HOOK_BROUTING: u32 = 13;
export const NFT_HOOK_ARP_INPUT: u32 = 16;
export const NFT_HOOK_ARP_OUTPUT: u32 = 17;
export const NFT_HOOK_INGRESS: u32 = 20;
export const NFT_HOOK_EGRESS: u32 = 21;
export const NFT_HOOK_INET_INGRESS: u32 = 22;
export const NFT_HOOKS: u32 = 23;

export const NFTCHAIN_BASE: u32 = 1;
export const NFTCHAIN_NAT: u32 = 2;
export const NFTCHAIN_ROUTE: u32 = 4;
export const NFTCHAIN_COUNTERS: u32 = 8; // the policy counts, as in the chains of iptables-nft
export const NFTCHAIN_COUNTERS_SET: u32 = 16; // from the record's numbers on; else from where the chain was
/** The number of the policy among a chain's states. */
export const NFT_POLICY_RULE: u32 = 0xffffffff;
/** Of a table of IPv6 alone, and of one of both families; for chains that are no base chains, too. */
export const NFTCHAIN_IP6: u32 = 0x100;
export const NFTCHAIN_INET: u32 = 0x200;
/** A flowtable: a base chain of frames at ingress, with devices and without rules. */
export const NFTCHAIN_FLOWTABLE: u32 = 0x400;
export const NFTCHAIN_FLOW_COUNTER: u32 = 0x800; // what passes it counts as the connections' packets
export const NFTSET_INTERVAL: u32 = 1; // elements have an end
export const NFTSET_TIMEOUT: u32 = 2;
export const NFTELEM_CATCHALL: u32 = 1;

// Operations: {u8 NFTOP_*, u8 register, u16 bytes}, then as said. Registers are 4 bytes, NFT_REGISTERS of them; every value is in
// network order, padded with zeros behind it to whole registers.
export const NFT_REGISTERS: u32 = 32;
export const NFTOP_IMMEDIATE: u32 = 1; // u32 length, bytes
export const NFTOP_CMP: u32 = 2; // u8 NFTCMP_*, u8 length, u16 0, bytes
export const NFTOP_RANGE: u32 = 3; // u8 1: outside, u8 length, u16 0, from, to
export const NFTOP_BITWISE: u32 = 4; // u8 source register, u8 length, u16 0, mask, xor
export const NFTOP_SHIFT: u32 = 5; // u8 source register, u8 length, u8 1: right, u8 bits
export const NFTOP_PAYLOAD: u32 = 6; // u8 NFTBASE_*, u8 length, u16 offset
export const NFTOP_PAYLOAD_SET: u32 = 7; // the same, u8 1: checksum, u8 1: pseudo-header, u16 offset of the checksum
export const NFTOP_META: u32 = 8; // u32 NFTMETA_*
export const NFTOP_META_SET: u32 = 9; // u32 NFTMETA_*
export const NFTOP_CT: u32 = 10; // u8 NFTCT_*, u8 direction, u8 family of addresses (2, 10)
export const NFTOP_CT_SET: u32 = 11; // u8 NFTCT_*
export const NFTOP_LOOKUP: u32 = 12; // u32 set, u8 NFTLOOKUP_*, u8 register for data, u8 key bytes, u8 data bytes
export const NFTOP_DYNSET: u32 = 13; // u32 set, u8 NFTDYN_*, u8 register of data, u8 key bytes, u8 data bytes, u64 timeout ms, operations
export const NFTOP_NUMGEN: u32 = 14; // u32 state, u32 modulus, u32 offset, u32 1: random
export const NFTOP_HASH: u32 = 15; // u8 1: symhash, u8 source register, u8 length, u8 0, u32 modulus, u32 seed, u32 offset
export const NFTOP_FIB: u32 = 16; // u32 NFTFIB_*, u32 NFTFIBR_*
export const NFTOP_COUNTER: u32 = 17; // u32 state, u64 packets, u64 bytes
export const NFTOP_LIMIT: u32 = 18; // u32 state, u64 rate, u64 ns of its unit, u32 burst, u32 NFTLIMIT_*
export const NFTOP_QUOTA: u32 = 19; // u32 state, u64 bytes, u64 consumed, u32 1: over
export const NFTOP_LAST: u32 = 20; // u32 state
export const NFTOP_LOG: u32 = 21;
export const NFTOP_NAT: u32 = 22; // u8 1: destination, u8 registers of address lo, hi, port lo, u8 port hi, u8 family (2, 10; other packets are not concerned), u8[2] 0, u32 NAT_RANGE_*
export const NFTOP_MASQ: u32 = 23; // u8 registers of port lo, hi, u16 0, u32 NAT_RANGE_*
export const NFTOP_REDIR: u32 = 24; // the same
export const NFTOP_REJECT: u32 = 25; // u32 REJECT_*, u32 REJECT6_*; all ones: not packets of that family
export const NFTOP_NOTRACK: u32 = 26;
export const NFTOP_OBJECT: u32 = 27; // u32 object
export const NFTOP_OBJECT_MAP: u32 = 28; // u32 set, u8 key bytes
export const NFTOP_VERDICT: u32 = 29; // u32 NFTV_* or NF_*, u32 chain
export const NFTOP_TCPOPT: u32 = 30; // u8 option, u8 offset, u8 length, u8 1: is it there?
export const NFTOP_TCPOPT_SET: u32 = 31; // the same
export const NFTOP_RT: u32 = 32; // u32 NFTRT_*
export const NFTOP_SWAP: u32 = 33; // turns the bytes of one register round
export const NFTOP_NEVER: u32 = 34; // what only another family has
export const NFTOP_BITWISE_REG: u32 = 35; // u8 source register, u8 length, u8 other register, u8 0: or, 1: and, 2: xor
/** u32 state, u32 owner, u32 TABLE_* | NFTXT_*, a rule of xtables (abi/netfilter.ts) whose target is no verdict and no jump. */
export const NFTOP_XT: u32 = 36;
export const NFTOP_FWD: u32 = 37; // u8 register of the device's number
export const NFTOP_DUP: u32 = 38; // u8 register of the address, u8 of the device's number (families of frames: that alone)
export const NFTOP_CONNLIMIT: u32 = 39; // u32 state, u32 most, u32 1: over
export const NFTOP_EBT: u32 = 40; // u8 NFTEBT_*, u8 flag, u16 0, MAC, u16 0: what only ebtables has
/** An extension header of IPv6: u8 header, u8 offset, u8 length, u8 1: is it there? */
export const NFTOP_EXTHDR: u32 = 41;
/** The packet's connection goes by a flowtable from now on: u32 its chain. */
export const NFTOP_FLOW: u32 = 42;
export const NFTOPS: u32 = 43;
export const NFTEBT_DNAT: u32 = 1;
export const NFTEBT_SNAT: u32 = 2; // flag 1: the sender's MAC in ARP, too
export const NFTEBT_REDIRECT: u32 = 3;
export const NFTEBT_ARPREPLY: u32 = 4;
export const NFTEBT_GRATUITOUS: u32 = 5; // flag 1: not
/** What nft does itself there: a header that is cut off does not match, where xtables would drop the packet. */
export const NFTXT_NATIVE: u32 = 256;
export const NFTXT_BREAKS: u32 = 512; // the target accepts to go on with the rule, and drops to end it
export const NFT_XT_HEADER: u32 = 16;
export const NFT_NO_REGISTER: u32 = 255;

export const NFTCMP_EQ: u32 = 0;
export const NFTCMP_NE: u32 = 1;
export const NFTCMP_LT: u32 = 2;
export const NFTCMP_LE: u32 = 3;
export const NFTCMP_GT: u32 = 4;
export const NFTCMP_GE: u32 = 5;
export const NFTBASE_LINK: u32 = 0;
export const NFTBASE_NETWORK: u32 = 1;
export const NFTBASE_TRANSPORT: u32 = 2;
export const NFTLOOKUP_NOT: u32 = 1;
export const NFTLOOKUP_VERDICT: u32 = 2;
export const NFTLOOKUP_DATA: u32 = 4;
export const NFTDYN_ADD: u32 = 0;
export const NFTDYN_UPDATE: u32 = 1;
export const NFTDYN_DELETE: u32 = 2;
export const NFTDYN_NOT: u32 = 16;
export const NFTDYN_DATA: u32 = 32;
export const NFTLIMIT_OVER: u32 = 1;
export const NFTLIMIT_BYTES: u32 = 2;

export const NFTMETA_LENGTH: u32 = 0; // include/uapi/linux/netfilter/nf_tables.h, nft_meta_keys
export const NFTMETA_PROTOCOL: u32 = 1;
export const NFTMETA_PRIORITY: u32 = 2;
export const NFTMETA_MARK: u32 = 3;
export const NFTMETA_IIF: u32 = 4;
export const NFTMETA_OIF: u32 = 5;
export const NFTMETA_IIFNAME: u32 = 6;
export const NFTMETA_OIFNAME: u32 = 7;
export const NFTMETA_IIFTYPE: u32 = 8;
export const NFTMETA_OIFTYPE: u32 = 9;
export const NFTMETA_NFTRACE: u32 = 13;
export const NFTMETA_NFPROTO: u32 = 15;
export const NFTMETA_L4PROTO: u32 = 16;
export const NFTMETA_PKTTYPE: u32 = 19;
export const NFTMETA_CPU: u32 = 20;
export const NFTMETA_SKUID: u32 = 10;
export const NFTMETA_SKGID: u32 = 11;
export const NFTMETA_BRI_IIFNAME: u32 = 17;
export const NFTMETA_BRI_OIFNAME: u32 = 18;
export const NFTMETA_IIFGROUP: u32 = 21;
export const NFTMETA_OIFGROUP: u32 = 22;
export const NFTMETA_CGROUP: u32 = 23;
export const NFTMETA_RANDOM: u32 = 24;
export const NFTMETA_TIME: u32 = 29;
export const NFTMETA_DAY: u32 = 30;
export const NFTMETA_HOUR: u32 = 31;
export const NFTCT_STATE: u32 = 0; // nft_ct_keys
export const NFTCT_DIRECTION: u32 = 1;
export const NFTCT_STATUS: u32 = 2;
export const NFTCT_MARK: u32 = 3;
export const NFTCT_EXPIRATION: u32 = 5;
export const NFTCT_HELPER: u32 = 6;
export const NFTCT_L3PROTO: u32 = 7;
export const NFTCT_SRC: u32 = 8;
export const NFTCT_DST: u32 = 9;
export const NFTCT_PROTOCOL: u32 = 10;
export const NFTCT_PROTO_SRC: u32 = 11;
export const NFTCT_PROTO_DST: u32 = 12;
export const NFTCT_PKTS: u32 = 14;
export const NFTCT_BYTES: u32 = 15;
export const NFTCT_AVGPKT: u32 = 16;
export const NFTCT_ZONE: u32 = 17;
export const NFTCT_ID: u32 = 24;
export const NFTFIB_SADDR: u32 = 1; // nft_fib_flags
export const NFTFIB_DADDR: u32 = 2;
export const NFTFIB_MARK: u32 = 4;
export const NFTFIB_IIF: u32 = 8;
export const NFTFIB_OIF: u32 = 16;
export const NFTFIB_PRESENT: u32 = 32;
export const NFTFIBR_OIF: u32 = 1; // nft_fib_result
export const NFTFIBR_OIFNAME: u32 = 2;
export const NFTFIBR_ADDRTYPE: u32 = 3;
export const NFTRT_NEXTHOP: u32 = 1;
export const NFTRT_TCPMSS: u32 = 3;

// Verdicts beside NF_*, nft_verdicts.
export const NFTV_CONTINUE: u32 = 0xffffffff;
export const NFTV_BREAK: u32 = 0xfffffffe;
export const NFTV_JUMP: u32 = 0xfffffffd;
export const NFTV_GOTO: u32 = 0xfffffffc;
export const NFTV_RETURN: u32 = 0xfffffffb;
/** How deep jumps may nest (NFT_JUMP_STACK_SIZE). */
export const NFT_JUMPS: u32 = 16;
