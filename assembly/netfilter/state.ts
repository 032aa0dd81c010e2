// Netfilter's state: per namespace what is registered, and per node the connections of all its namespaces.
import {
  NFCT_ACCT, NFCT_CHECKSUM, NFCT_EXPECT_MAX, NFCT_MAX, NFCT_TCP_IGNORE_INVALID_RST, NFCT_SETTINGS, NFCT_TCP_BE_LIBERAL, NFCT_TCP_LOOSE, NFCT_TCP_MAX_RETRANS, NFCT_TIMEOUT_GENERIC,
  NFCT_TIMEOUT_GRE, NFCT_TIMEOUT_GRE_STREAM, NFCT_TIMEOUT_ICMP, NFCT_TIMEOUT_SCTP, NFCT_TIMEOUT_TCP_RETRANS,
  NFCT_TIMEOUT_TCP_UNACK, NFCT_TIMEOUT_UDP, NFCT_TIMEOUT_UDP_STREAM, NFSTATS,
} from "../abi/netfilter";
import { Netns } from "../layout";
import { kfree, kmalloc } from "../mm/slab";

/** Netfilter of one namespace (`Netns.netfilter`); followed by the settings, the statistics. */
@unmanaged export class NfNet {
  // XtTable by TABLE_*; 0: the driver never loaded it
  table0: usize; table1: usize; table2: usize; table3: usize; table4: usize;
  /** Bit per hook: something is registered there. */
  hooks: u32;
  /** Rules that need connection tracking: it runs while there are any (nf_ct_netns_get). */
  conntrackUsers: u32;
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
}

const SETTINGS_AT: u32 = <u32>((offsetof<NfNet>() + 7) & ~7);
const STATS_AT: u32 = SETTINGS_AT + NFCT_SETTINGS * 4;
const NFNET_BYTES: u32 = STATS_AT + NFSTATS * 4;

/** Netfilter of a namespace that has begun. */
@inline export function nfNet(ns: Netns): NfNet {
  return changetype<NfNet>(ns.netfilter);
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

/**
 * net.netfilter.* was written: the setting of a namespace that the trackers read. `number` counts from
 * SYSCTL_NF_CONNTRACK_ACCT (abi/net.ts), names in order of the alphabet.
 */
export function settingSysctl(nf: NfNet, number: u32, value: u32): void {
  let to = NFCT_SETTINGS;
  switch (number) {
    case 0: to = NFCT_ACCT; break;
    case 2: to = NFCT_CHECKSUM; break;
    case 3: to = NFCT_EXPECT_MAX; break;
    case 4: to = NFCT_TIMEOUT_GENERIC; break;
    case 5: to = NFCT_TIMEOUT_GRE; break;
    case 6: to = NFCT_TIMEOUT_GRE_STREAM; break;
    case 7: to = NFCT_TIMEOUT_ICMP; break;
    case 9: to = NFCT_MAX; break;
    // closed, cookie_echoed, cookie_wait, established, heartbeat_sent, shutdown_ack_sent, shutdown_recd, shutdown_sent
    case 10: to = NFCT_TIMEOUT_SCTP + 1; break;
    case 11: to = NFCT_TIMEOUT_SCTP + 3; break;
    case 12: to = NFCT_TIMEOUT_SCTP + 2; break;
    case 13: to = NFCT_TIMEOUT_SCTP + 4; break;
    case 14: to = NFCT_TIMEOUT_SCTP + 8; break;
    case 15: to = NFCT_TIMEOUT_SCTP + 7; break;
    case 16: to = NFCT_TIMEOUT_SCTP + 6; break;
    case 17: to = NFCT_TIMEOUT_SCTP + 5; break;
    case 18: to = NFCT_TCP_BE_LIBERAL; break;
    case 19: to = NFCT_TCP_IGNORE_INVALID_RST; break;
    case 20: to = NFCT_TCP_LOOSE; break;
    case 21: to = NFCT_TCP_MAX_RETRANS; break;
    // close, close_wait, established, fin_wait, last_ack, max_retrans, syn_recv, syn_sent, time_wait, unacknowledged
    case 22: to = 8; break;
    case 23: to = 5; break;
    case 24: to = 3; break;
    case 25: to = 4; break;
    case 26: to = 6; break;
    case 27: to = NFCT_TIMEOUT_TCP_RETRANS; break;
    case 28: to = 2; break;
    case 29: to = 1; break;
    case 30: to = 7; break;
    case 31: to = NFCT_TIMEOUT_TCP_UNACK; break;
    case 33: to = NFCT_TIMEOUT_UDP; break;
    case 34: to = NFCT_TIMEOUT_UDP_STREAM; break;
    default: return;
  }
  settingPut(nf, to, value);
}

/** Frees the structure itself; what hangs on it is gone already. */
export function nfNetFree(ns: Netns): void {
  if (ns.netfilter == 0) return;
  kfree(ns.netfilter, NFNET_BYTES);
  ns.netfilter = 0;
}

