// Netfilter's state: per namespace what is registered, and per node the connections of all its namespaces.
import {
  NFCT_ACCT, NFCT_CHECKSUM, NFCT_EXPECT_MAX, NFCT_MAX, NFCT_TCP_IGNORE_INVALID_RST, NFCT_SETTINGS, NFCT_TCP_BE_LIBERAL, NFCT_TCP_LOOSE, NFCT_TCP_MAX_RETRANS, NFCT_TIMEOUT_GENERIC,
  NFCT_TIMEOUT_GRE, NFCT_TIMEOUT_GRE_STREAM, NFCT_TIMEOUT_ICMP, NFCT_TIMEOUT_ICMPV6, NFCT_TIMEOUT_SCTP, NFCT_TIMEOUT_TCP_RETRANS,
  NFCT_TCP_IGNORE_INVALID_RST, NFCT_TIMEOUT_TCP, NFCT_TIMEOUT_TCP_UNACK, NFCT_TIMEOUT_UDP, NFCT_TIMEOUT_UDP_STREAM, NFSTATS, TABLES,
} from "../abi/netfilter";
import {
  SYSCTL_NF_CONNTRACK_ACCT, SYSCTL_NF_CONNTRACK_CHECKSUM, SYSCTL_NF_CONNTRACK_EXPECT_MAX, SYSCTL_NF_CONNTRACK_GENERIC_TIMEOUT, SYSCTL_NF_CONNTRACK_GRE_TIMEOUT,
  SYSCTL_NF_CONNTRACK_GRE_TIMEOUT_STREAM, SYSCTL_NF_CONNTRACK_ICMP_TIMEOUT, SYSCTL_NF_CONNTRACK_MAX,
  SYSCTL_NF_CONNTRACK_SCTP_TIMEOUT_CLOSED, SYSCTL_NF_CONNTRACK_TCP_BE_LIBERAL, SYSCTL_NF_CONNTRACK_TCP_IGNORE_INVALID_RST,
  SYSCTL_NF_CONNTRACK_TCP_LOOSE, SYSCTL_NF_CONNTRACK_TCP_MAX_RETRANS, SYSCTL_NF_CONNTRACK_TCP_TIMEOUT_CLOSE,
  SYSCTL_NF_CONNTRACK_TCP_TIMEOUT_UNACKNOWLEDGED, SYSCTL_NF_CONNTRACK_UDP_TIMEOUT, SYSCTL_NF_CONNTRACK_UDP_TIMEOUT_STREAM,
} from "../abi/net";
import { FULL } from "../features";
import { Netns } from "../layout";
import { kfree, kmalloc } from "../mm/slab";

/** Bit of NfNet.hooks beside those of IP: chains of nftables look at frames. */
export const FRAME_HOOKS: u32 = 0x80000000;

/** Netfilter of one namespace (`Netns.netfilter`); followed by the settings, the statistics. */
@unmanaged export class NfNet {
  // XtTable by TABLE_*; 0: the driver never loaded it
  table0: usize; table1: usize; table2: usize; table3: usize; table4: usize;
  // those of IPv6
  table5: usize; table6: usize; table7: usize; table8: usize; table9: usize;
  /** Bit per hook: something is registered there. */
  hooks: u32;
  /** The same for packets of IPv6. */
  hooks6: u32;
  /** Rules that need connection tracking: it runs while there are any (nf_ct_netns_get). */
  conntrackUsers: u32;
  conntrackUsers6: u32;
  conntrackCount: u32;
  recents: usize; // RecentTable list
  hashlimits: usize; // HashlimitTable list
  sets: usize; // IpSet list
  /** Some rule wants labels: new connections have them. */
  labels: u32;
  expectations: usize; // Expectation list (expect.ts)
  expectCount: u32;
  /** A copy made by TEE is under way: no copies of copies. */
  duplicating: u32;
  /** Rules are looked at one after the other: the plain evaluator. */
  plain: u32;
  nft: usize; // NftNet; 0: no nft command yet
  queues: usize; // queue.ts: QueueNet, 0: nobody has asked for packets
  // When each of iptables' tables was registered, counted with nftables' chains.
  sequence0: u32; sequence1: u32; sequence2: u32; sequence3: u32; sequence4: u32;
  sequence5: u32; sequence6: u32; sequence7: u32; sequence8: u32; sequence9: u32;
}

/** One loaded table. The blob is never written after it was checked; counters and match state stand apart. */
@unmanaged export class XtTable {
  blob: usize; // chains and rules
  blobBytes: u32;
  chains: u32;
  builtins: u32;
  rules: u32;
  rulesAt: usize; // the first rule
  counters: usize; // {u64 packets, u64 bytes} of rules, then built-in chains
  counterBytes: u32;
  state: usize; // what matches remember
  stateBytes: u32;
  stack: usize; // return addresses, NESTED times
  stackBytes: u32;
  depth: u32;
  nested: u32;
  conntrackUsers: u32;
  queues: u32; // 1: some rule sends packets to a queue
  index: usize; // compiled.ts: rules by what they name, 0: looked at one after the other
  indexBytes: u32;
}

const SETTINGS_AT: u32 = <u32>((offsetof<NfNet>() + 7) & ~7);
const STATS_AT: u32 = SETTINGS_AT + NFCT_SETTINGS * 4;
const NFNET_BYTES: u32 = STATS_AT + NFSTATS * 4;

/** Netfilter of a namespace that has begun. */
@inline export function nfNet(ns: Netns): NfNet {
  return changetype<NfNet>(ns.netfilter);
}

/** Rules of iptables' tables (or of ip6tables') that need connection tracking become `more`, or less. */
export function trackUsers(nf: NfNet, table: u32, more: i32): void {
  if (FULL && table >= TABLES) nf.conntrackUsers6 += more;
  else nf.conntrackUsers += more;
}

/** The table TABLE_* of a namespace, or 0. */
@inline export function nfTable(nf: NfNet, table: u32): usize {
  return load<usize>(changetype<usize>(nf) + (<usize>table << 2));
}

export function nfTableSet(nf: NfNet, table: u32, at: usize): void {
  store<usize>(changetype<usize>(nf) + (<usize>table << 2), at);
}

@inline export function setting(nf: NfNet, number: u32): u32 {
  return load<u32>(changetype<usize>(nf) + <usize>(SETTINGS_AT + (number << 2)));
}

export function settingPut(nf: NfNet, number: u32, value: u32): void {
  store<u32>(changetype<usize>(nf) + <usize>(SETTINGS_AT + (number << 2)), value);
}

/** Where a net.netfilter.* sysctl (its number in abi/net.ts) stands; 0: it is none of these settings. */
export function settingOfSysctl(nf: NfNet, sysctl: u32): usize {
  let number: u32;
  switch (sysctl) {
    case SYSCTL_NF_CONNTRACK_ACCT: number = NFCT_ACCT; break;
    case SYSCTL_NF_CONNTRACK_EXPECT_MAX: number = NFCT_EXPECT_MAX; break;
    case SYSCTL_NF_CONNTRACK_CHECKSUM: number = NFCT_CHECKSUM; break;
    case SYSCTL_NF_CONNTRACK_GENERIC_TIMEOUT: number = NFCT_TIMEOUT_GENERIC; break;
    case SYSCTL_NF_CONNTRACK_GRE_TIMEOUT: number = NFCT_TIMEOUT_GRE; break;
    case SYSCTL_NF_CONNTRACK_GRE_TIMEOUT_STREAM: number = NFCT_TIMEOUT_GRE_STREAM; break;
    case SYSCTL_NF_CONNTRACK_ICMP_TIMEOUT: number = NFCT_TIMEOUT_ICMP; break;
    case SYSCTL_NF_CONNTRACK_MAX: number = NFCT_MAX; break;
    case SYSCTL_NF_CONNTRACK_TCP_BE_LIBERAL: number = NFCT_TCP_BE_LIBERAL; break;
    case SYSCTL_NF_CONNTRACK_TCP_IGNORE_INVALID_RST: number = NFCT_TCP_IGNORE_INVALID_RST; break;
    case SYSCTL_NF_CONNTRACK_TCP_LOOSE: number = NFCT_TCP_LOOSE; break;
    case SYSCTL_NF_CONNTRACK_TCP_MAX_RETRANS: number = NFCT_TCP_MAX_RETRANS; break;
    case SYSCTL_NF_CONNTRACK_TCP_TIMEOUT_UNACKNOWLEDGED: number = NFCT_TIMEOUT_TCP_UNACK; break;
    case SYSCTL_NF_CONNTRACK_UDP_TIMEOUT: number = NFCT_TIMEOUT_UDP; break;
    case SYSCTL_NF_CONNTRACK_UDP_TIMEOUT_STREAM: number = NFCT_TIMEOUT_UDP_STREAM; break;
    default: {
      // The states' timeouts, in the order of the names: a state's number per hex digit, the first name's lowest.
      const sctp = sysctl - SYSCTL_NF_CONNTRACK_SCTP_TIMEOUT_CLOSED, tcp = sysctl - SYSCTL_NF_CONNTRACK_TCP_TIMEOUT_CLOSE;
      if (sctp < 8) number = NFCT_TIMEOUT_SCTP + ((0x56784231 >>> (sctp << 2)) & 15);
      else if (tcp < 9) number = NFCT_TIMEOUT_TCP + <u32>((<u64>0x712a64358 >> <u64>(tcp << 2)) & 15);
      else return 0;
    }
  }
  return changetype<usize>(nf) + <usize>(SETTINGS_AT + (number << 2));
}

export function statCount(nf: NfNet, number: u32): void {
  const at = changetype<usize>(nf) + <usize>(STATS_AT + (number << 2));
  store<u32>(at, load<u32>(at) + 1);
}

export function statGet(nf: NfNet, number: u32): u32 {
  return load<u32>(changetype<usize>(nf) + <usize>(STATS_AT + (number << 2)));
}

/** Allocates a namespace's state with the kernel's defaults. False: no memory. */
export function nfNetCreate(ns: Netns): bool {
  if (ns.netfilter != 0) return true;
  const at = kmalloc(NFNET_BYTES);
  if (at == 0) return false;
  ns.netfilter = at;
  const nf = changetype<NfNet>(at);
  // net/netfilter/nf_conntrack_proto_tcp.c tcp_timeouts: SYN_SENT … CLOSE, SYN_SENT2
  settingPut(nf, 1, 120); settingPut(nf, 2, 60); settingPut(nf, 3, 432000); settingPut(nf, 4, 120); settingPut(nf, 5, 60);
  settingPut(nf, 6, 30); settingPut(nf, 7, 120); settingPut(nf, 8, 10); settingPut(nf, 9, 120);
  settingPut(nf, NFCT_TIMEOUT_TCP_RETRANS, 300);
  settingPut(nf, NFCT_TIMEOUT_TCP_UNACK, 300);
  settingPut(nf, NFCT_TIMEOUT_UDP, 30);
  settingPut(nf, NFCT_TIMEOUT_UDP_STREAM, 120);
  settingPut(nf, NFCT_TIMEOUT_ICMP, 30);
  settingPut(nf, NFCT_TIMEOUT_ICMPV6, 30);
  settingPut(nf, NFCT_TIMEOUT_GENERIC, 600);
  settingPut(nf, NFCT_TIMEOUT_GRE, 30);
  settingPut(nf, NFCT_TIMEOUT_GRE_STREAM, 180);
  // nf_conntrack_proto_sctp.c sctp_timeouts: CLOSED, COOKIE_WAIT, COOKIE_ECHOED, ESTABLISHED, SHUTDOWN_SENT, _RECD, _ACK_SENT,
  // HEARTBEAT_SENT
  const sctp = NFCT_TIMEOUT_SCTP;
  settingPut(nf, sctp + 1, 10); settingPut(nf, sctp + 2, 3); settingPut(nf, sctp + 3, 3); settingPut(nf, sctp + 4, 210);
  settingPut(nf, sctp + 5, 3); settingPut(nf, sctp + 6, 3); settingPut(nf, sctp + 7, 3); settingPut(nf, sctp + 8, 30);
  settingPut(nf, NFCT_CHECKSUM, 1);
  settingPut(nf, NFCT_TCP_LOOSE, 1);
  settingPut(nf, NFCT_TCP_BE_LIBERAL, 0);
  settingPut(nf, NFCT_TCP_MAX_RETRANS, 3);
  settingPut(nf, NFCT_MAX, 262144);
  settingPut(nf, NFCT_EXPECT_MAX, 4096);
  return true;
}

/** Frees the structure itself; what hangs on it is gone already. */
export function nfNetFree(ns: Netns): void {
  if (ns.netfilter == 0) return;
  kfree(ns.netfilter, NFNET_BYTES);
  ns.netfilter = 0;
}

