// Matches of the full kernel only: dispatch, what they ask of their data and their place, and those of the packet's surroundings:
// net/netfilter/xt_physdev.c, xt_owner.c, xt_socket.c, xt_time.c, xt_quota.c, xt_cluster.c, xt_connbytes.c, xt_connlabel.c,
// xt_helper.c, xt_bpf.c. Those of headers stand in match-headers.ts, connlimit in connlimit.ts.
import {
  EXT_HEADER, HOOK_FORWARD, HOOK_INPUT, HOOK_OUTPUT, HOOK_POSTROUTING, HOOK_PREROUTING, IP_CT_ESTABLISHED_REPLY,
  IP_CT_RELATED_REPLY, IPS_SRC_NAT, MATCH_PHYSDEV, NFCT_ACCT, NFCT_REALTIME, PHYSDEV_BRIDGED, PHYSDEV_IN, PHYSDEV_ISIN, PHYSDEV_ISOUT,
  PHYSDEV_OUT,
} from "../abi/netfilter";
import {
  MATCH_AH, MATCH_BPF, MATCH_CGROUP, MATCH_CLUSTER, MATCH_CONNBYTES, MATCH_CONNLABEL, MATCH_CONNLIMIT, MATCH_CPU, MATCH_DCCP,
  MATCH_DEVGROUP, MATCH_ESP, MATCH_HELPER, MATCH_NEVER, MATCH_OWNER, MATCH_POLICY, MATCH_QUOTA, MATCH_REALM, MATCH_SCTP,
  MATCH_CONNTRACK6, MATCH_EUI64, MATCH_ICMP6, MATCH_MH6, MATCH_RECENT6, MATCH_SET_COUNTERS, MATCH_SOCKET, MATCH_STRING, MATCH_TCPMSS, MATCH_TIME, MATCH_U32, OWNER_GID, OWNER_SOCKET, OWNER_UID,
  SOCKET_NOWILDCARD, SOCKET_RESTORESKMARK, SOCKET_TRANSPARENT, TIME_CONTIGUOUS, DEVGROUP_SOURCE, DEVGROUP_INV_SOURCE,
  DEVGROUP_DESTINATION, DEVGROUP_INV_DESTINATION,
} from "../abi/xtables";
import { BPF_INSTRUCTION, BPF_MAXINSNS, BPF_SCRATCH, cbpfCheck, cbpfRun } from "../bpf/cbpf";
import { NetDevice, Netns, Skb } from "../layout";
import { jhash2, jhash3 } from "../mm/hash";
import { HANDLE_SOCKET, handleGet } from "../mm/handle";
import { node } from "../mm/node";
import { kfree, kmalloc } from "../mm/slab";
import { deviceFind } from "../net/devices";
import { SK_TRANSPARENT, SockCreds, Socket, isAny } from "../sock/socket";
import { socketLookup } from "../sock/lookup";
import { be16 } from "../wire/bytes";
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from "../wire/ipv4";
import { IPPROTO_ICMPV6 } from "../wire/ipv6";
import { Conntrack, ctTuple, icmpIsError, skbCt } from "./conntrack";
import { bytes6 } from "./address6";
import { ipBytes, ipLength, isV6, l4Protocol } from "./l3";
import { match6Valid } from "./match-ipv6";
import { matchRecent6, recent6Init, recentExit } from "./match-rate";
import { matchSocket6 } from "./socket-ipv6";
import { ctAcct, ctLabels } from "./conntrack-ext";
import { connlimitExit, connlimitInit, matchConnlimit } from "./connlimit";
import { MATCH_HOTDROP, MATCH_NO, MATCH_YES } from "./match";
import { matchAhEsp, matchDccp, matchSctp, matchString, matchTcpmss, matchU32, u32Valid } from "./match-headers";
import { matchSetCounters, setCountersInit, setExit } from "./match-set";
import { NFF_RAW } from "./target-more";
import { NfNet, XtTable, nfNet, setting, settingPut } from "./state";
import { Tuple } from "./tuple";

/** See `match`. */
export function matchMore(m: usize, skb: Skb, ns: Netns, t: XtTable, inDev: usize, outDev: usize): u32 {
  const d = m + EXT_HEADER;
  const inverted = load<u8>(m, 1) != 0;
  let yes = false;
  switch (<u32>load<u8>(m)) {
    case MATCH_PHYSDEV: yes = matchPhysdev(d, skb, ns); break;
    case MATCH_OWNER: yes = matchOwner(d, skb, ns); break;
    case MATCH_SOCKET: yes = isV6(skb.network) ? matchSocket6(load<u32>(d), skb, ns) : matchSocket(load<u32>(d), skb, ns); break;
    case MATCH_RECENT6: return matchRecent6(d, skb, t, outDev != 0, inverted);
    case MATCH_TIME: yes = matchTime(d, ns); break;
    case MATCH_QUOTA: {
      const state = t.state + <usize>load<u32>(d);
      const left = load<u64>(state), bytes = <u64>ipLength(skb);
      yes = left >= bytes;
      store<u64>(state, yes ? left - bytes : 0);
      break;
    }
    case MATCH_CLUSTER: {
      if (skb.nfct == 0) return MATCH_NO;
      yes = matchCluster(d, skbCt(skb));
      break;
    }
    case MATCH_CONNBYTES: yes = skb.nfct != 0 && matchConnbytes(d, skbCt(skb)); break;
    case MATCH_CONNLABEL: yes = skb.nfct != 0 && matchConnlabel(d, skbCt(skb)); break;
    case MATCH_HELPER: {
      const master = skb.nfct == 0 ? <usize>0 : skbCt(skb).master;
      const helper = master == 0 ? <u32>0 : <u32>changetype<Conntrack>(master).helper;
      yes = helper != 0 && (load<u32>(d) == 0 || load<u32>(d) == helper);
      break;
    }
    case MATCH_BPF: {
      const scratch = kmalloc(BPF_SCRATCH);
      if (scratch == 0) return MATCH_NO;
      yes = cbpfRun(d + 4, load<u32>(d), skb, scratch) != 0;
      kfree(scratch, BPF_SCRATCH);
      break;
    }
    // No route has a realm, no device a group, nothing is transformed; there is one CPU and one cgroup.
    case MATCH_REALM: yes = load<u32>(d) == 0; break;
    case MATCH_CPU: yes = load<u32>(d) == 0; break;
    case MATCH_DEVGROUP: yes = matchDevgroup(d); break;
    case MATCH_POLICY: yes = load<u32>(d) != 0; break;
    case MATCH_CGROUP:
      if (socketOf(skb, ns) == 0) return MATCH_NO;
      yes = load<u32>(d) == 0 || load<u32>(d) == 0xffffffff;
      break;
    case MATCH_SCTP: return matchSctp(d, skb);
    case MATCH_DCCP: return matchDccp(d, skb);
    case MATCH_TCPMSS: return matchTcpmss(d, skb, inverted);
    case MATCH_AH: return matchAhEsp(d, skb, inverted, 12, 4);
    case MATCH_ESP: return matchAhEsp(d, skb, inverted, 8, 0);
    case MATCH_U32: yes = matchU32(d, skb); break;
    case MATCH_STRING: yes = matchString(d, skb); break;
    case MATCH_CONNLIMIT: return matchConnlimit(d, skb, t, ns);
    case MATCH_SET_COUNTERS: yes = matchSetCounters(d, skb, t, inDev, outDev); break;
    default: break;
  }
  return yes != inverted ? MATCH_YES : MATCH_NO;
}

/** Are the data right? `length` without the header. */
export function matchMoreValid(kind: u32, d: usize, length: u32): bool {
  switch (kind) {
    case MATCH_PHYSDEV: return length == 72;
    case MATCH_SCTP: return length == 76 && <u32>load<u8>(d, 11) <= 8;
    case MATCH_DCCP: case MATCH_CLUSTER: return length == 12;
    case MATCH_TCPMSS: case MATCH_CPU: case MATCH_CGROUP: case MATCH_POLICY: case MATCH_SOCKET: case MATCH_HELPER: case MATCH_NEVER:
      return length == 4;
    case MATCH_AH: case MATCH_ESP: case MATCH_REALM: return length == 8;
    case MATCH_CONNLABEL: return length == 8 && load<u32>(d) < 128;
    case MATCH_DEVGROUP: return length == 20;
    case MATCH_CONNBYTES: case MATCH_OWNER: case MATCH_TIME: return length == 24;
    case MATCH_STRING: return length == 136 && <u32>load<u8>(d, 4) <= 128;
    case MATCH_U32: return u32Valid(d, length);
    case MATCH_BPF: return bpfValid(d, length);
    case MATCH_QUOTA: case MATCH_CONNLIMIT: return length == 16;
    case MATCH_SET_COUNTERS: return length == 64;
    case MATCH_RECENT6: return length == 232 && load<u32>(d, 12) <= 65535;
    default: return match6Valid(kind, d, length);
  }
}

function bpfValid(d: usize, length: u32): bool {
  if (length < 4) return false;
  const count = load<u32>(d);
  if (count == 0 || count > BPF_MAXINSNS || length != 4 + count * BPF_INSTRUCTION) return false;
  const masks = kmalloc(count << 1);
  if (masks == 0) return false;
  const ok = cbpfCheck(d + 4, count, masks);
  kfree(masks, count << 1);
  return ok;
}

/** Does the match need connection tracking? */
export function matchMoreTracks(kind: u32): bool {
  return kind == MATCH_CONNBYTES || kind == MATCH_CONNLABEL || kind == MATCH_CONNLIMIT || kind == MATCH_CLUSTER || kind == MATCH_HELPER
    || kind == MATCH_CONNTRACK6;
}

/** checkentry: may it stand at these hooks? `protocol`: that the rule asks for, 0: any. */
export function matchMorePlace(m: usize, hooks: u32, protocol: u32): bool {
  const d = m + EXT_HEADER;
  switch (<u32>load<u8>(m)) {
    case MATCH_PHYSDEV: {
      const look = load<u32>(d, 64);
      return look != 0 && (!(look & (PHYSDEV_OUT | PHYSDEV_ISOUT))
        || (look & PHYSDEV_BRIDGED && !(load<u32>(d, 68) & PHYSDEV_BRIDGED)) || !(hooks & (1 << HOOK_OUTPUT)));
    }
    case MATCH_OWNER: return !(hooks & ~(1 << HOOK_OUTPUT | 1 << HOOK_POSTROUTING));
    case MATCH_SOCKET: return !(hooks & ~(1 << HOOK_PREROUTING | 1 << HOOK_INPUT));
    case MATCH_REALM: return !(hooks & (1 << HOOK_PREROUTING));
    case MATCH_ICMP6: return protocol == IPPROTO_ICMPV6;
    case MATCH_MH6: return protocol == 135;
    case MATCH_EUI64: return !(hooks & ~(1 << HOOK_PREROUTING | 1 << HOOK_INPUT | 1 << HOOK_FORWARD));
    case MATCH_SCTP: return protocol == 132;
    case MATCH_DCCP: return protocol == 33;
    case MATCH_TCPMSS: return protocol == IPPROTO_TCP;
    case MATCH_AH: return protocol == 51;
    case MATCH_ESP: return protocol == 50;
    default: return true;
  }
}

/** Sets up what a stateful match remembers; 1, 0: no memory, -1: there is no such set. */
export function matchMoreInit(kind: u32, d: usize, state: usize, nf: NfNet): i32 {
  if (kind == MATCH_QUOTA) store<u64>(state, load<u64>(d, 8));
  else if (kind == MATCH_CONNLIMIT) return connlimitInit(state) ? 1 : 0;
  else if (kind == MATCH_SET_COUNTERS) return setCountersInit(d, state, nf) ? 1 : -1;
  else if (kind == MATCH_RECENT6) return recent6Init(d, state, nf) ? 1 : 0;
  return 1;
}

export function matchMoreExit(kind: u32, state: usize, nf: NfNet): void {
  if (kind == MATCH_CONNLIMIT) connlimitExit(state);
  else if (kind == MATCH_SET_COUNTERS) setExit(state);
  else if (kind == MATCH_RECENT6) recentExit(state, nf);
}

/** A match that needs something switched on in its namespace (nf_ct_set_acct, nf_connlabels_get). */
export function matchMoreEnable(kind: u32, nf: NfNet): void {
  if (kind == MATCH_CONNBYTES) settingPut(nf, NFCT_ACCT, 1);
  else if (kind == MATCH_CONNLABEL) nf.labels = 1;
}

/** net/netfilter/xt_physdev.c. */
function matchPhysdev(d: usize, skb: Skb, ns: Netns): bool {
  const look = load<u32>(d, 64), inverted = load<u32>(d, 68);
  if (skb.physIn == 0) return (look & ~inverted) == 0;
  const inDev = deviceFind(ns, skb.physIn), outDev: usize = skb.physOut == 0 ? 0 : deviceFind(ns, skb.physOut);
  if (look & PHYSDEV_BRIDGED && (outDev != 0) == ((inverted & PHYSDEV_BRIDGED) != 0)) return false;
  if (look & PHYSDEV_ISIN && (inDev != 0) == ((inverted & PHYSDEV_ISIN) != 0)) return false;
  if (look & PHYSDEV_ISOUT && (outDev != 0) == ((inverted & PHYSDEV_ISOUT) != 0)) return false;
  if (look & PHYSDEV_IN && inDev != 0 && named(inDev, d) == ((inverted & PHYSDEV_IN) != 0)) return false;
  // A packet that leaves by no port fits neither a name nor its inversion.
  return !(look & PHYSDEV_OUT) || (outDev != 0 && named(outDev, d + 32) != ((inverted & PHYSDEV_OUT) != 0));
}

function named(at: usize, d: usize): bool {
  const dev = changetype<NetDevice>(at);
  return ((dev.name0 ^ load<u64>(d)) & load<u64>(d, 16)) == 0 && ((dev.name1 ^ load<u64>(d, 8)) & load<u64>(d, 24)) == 0;
}

/** The socket of this namespace that sent the packet, or 0. */
function socketOf(skb: Skb, ns: Netns): usize {
  const at: usize = skb.sock == 0 ? 0 : handleGet(HANDLE_SOCKET, <u32>skb.sock);
  return at != 0 && changetype<Socket>(at).ns == changetype<usize>(ns) ? at : 0;
}

function matchOwner(d: usize, skb: Skb, ns: Netns): bool {
  const look = load<u32>(d), inverted = load<u32>(d, 4);
  const at = socketOf(skb, ns);
  const raw = (skb.nfFlags & NFF_RAW) != 0;
  if (at == 0 && !raw) {
    // ICMP of the kernel's own has a socket, but nobody's (struct file is missing).
    if (skb.inDev == 0 && l4Protocol(skb) == (isV6(skb.network) ? IPPROTO_ICMPV6 : IPPROTO_ICMP)) {
      return !(look & inverted & OWNER_SOCKET) && ((look ^ inverted) & (OWNER_UID | OWNER_GID)) == 0;
    }
    return (look ^ inverted) == 0;
  }
  if (look & inverted & OWNER_SOCKET) return false;
  const creds = changetype<SockCreds>(raw ? 0 : changetype<Socket>(at).creds), known = changetype<usize>(creds) != 0;
  const uid: u32 = known ? creds.uid : 0, gid: u32 = known ? creds.gid : 0;
  if (look & OWNER_UID && (uid >= load<u32>(d, 8) && uid <= load<u32>(d, 12)) == ((inverted & OWNER_UID) != 0)) return false;
  return !(look & OWNER_GID) || (gid >= load<u32>(d, 16) && gid <= load<u32>(d, 20)) != ((inverted & OWNER_GID) != 0);
}

/** The user (or group) whose socket sent the packet; -1: nobody's. */
export function skbCreds(skb: Skb, ns: Netns, group: bool): i64 {
  const raw = (skb.nfFlags & NFF_RAW) != 0, at = raw ? <usize>0 : socketOf(skb, ns);
  if (raw) return 0;
  if (at == 0) return -1;
  const creds = changetype<SockCreds>(changetype<Socket>(at).creds);
  return changetype<usize>(creds) == 0 ? 0 : <i64>(group ? creds.gid : creds.uid);
}

/** nf_sk_lookup_slow_v4 and socket_match. */
function matchSocket(flags: u32, skb: Skb, ns: Netns): bool {
  const ip = skb.network, length = ipBytes(skb);
  const header = (<u32>load<u8>(ip) & 15) << 2;
  if ((load<u16>(ip, 6) & 0xff1f) != 0 || header + 4 > length) return false;
  let protocol = <u32>load<u8>(ip, 9);
  let source = load<u32>(ip, 12), destination = load<u32>(ip, 16);
  let ports = load<u32>(ip + <usize>header);
  if (protocol == IPPROTO_ICMP) {
    // An error belongs to the socket that sent what it quotes.
    const inner = ip + <usize>header + 8;
    if (header + 28 > length || !icmpIsError(<u32>load<u8>(ip + <usize>header))) return false;
    const innerHeader = (<u32>load<u8>(inner) & 15) << 2;
    if (header + 8 + innerHeader + 4 > length || (load<u16>(inner, 6) & 0xff1f) != 0) return false;
    protocol = <u32>load<u8>(inner, 9);
    source = load<u32>(inner, 16);
    destination = load<u32>(inner, 12);
    ports = rotl<u32>(load<u32>(inner + <usize>innerHeader), 16);
  }
  if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP) return false;
  let dport = <u32>bswap<u16>(<u16>(ports >>> 16));
  if (skb.nfct != 0) {
    // The socket knows its own address, not the one that SNAT shows to others.
    const ct = skbCt(skb);
    if ((skb.ctinfo == IP_CT_ESTABLISHED_REPLY || (skb.ctinfo == IP_CT_RELATED_REPLY && <u32>load<u8>(ip, 9) == IPPROTO_ICMP))
      && ct.status & IPS_SRC_NAT) {
      const orig = Tuple.at(ctTuple(ct, false));
      destination = orig.src;
      dport = <u32>bswap<u16>(protocol == IPPROTO_TCP || protocol == IPPROTO_UDP ? orig.sport : <u16>bswap<u16>(<u16>dport));
    }
  }
  const at = socketLookup(ns, protocol, source, <u32>bswap<u16>(<u16>ports), destination, dport);
  if (at == 0) return false;
  const sk = changetype<Socket>(at);
  const full = socketIsFull(sk);
  if (!(flags & SOCKET_NOWILDCARD) && full && isAny(sk.localHi, sk.localLo)) return false;
  if (flags & SOCKET_TRANSPARENT && full && !(sk.flags & SK_TRANSPARENT)) return false;
  if (flags & SOCKET_RESTORESKMARK && full) skb.mark = sk.creds != 0 ? changetype<SockCreds>(sk.creds).mark : 0;
  return true;
}

function socketIsFull(sk: Socket): bool {
  return sk.kind < 8;
}

/** net/netfilter/xt_time.c. */
function matchTime(d: usize, ns: Netns): bool {
  const flags = <u32>load<u8>(d, 21);
  let stamp = <u64>setting(nfNet(ns), NFCT_REALTIME) + node().now / 1_000_000_000;
  if (stamp < <u64>load<u32>(d) || stamp > <u64>load<u32>(d, 4)) return false;
  const second = <u32>(stamp % 86400), start = load<u32>(d, 8), stop = load<u32>(d, 12);
  if (start < stop) {
    if (second < start || second > stop) return false;
  } else {
    if (second < start && second > stop) return false;
    if (flags & TIME_CONTIGUOUS && second <= stop) stamp -= 86400;
  }
  const days = <u32>(stamp / 86400);
  if (!(<u32>load<u8>(d, 20) & (1 << ((days + 3) % 7 + 1)))) return false;
  return (load<u32>(d, 16) & (1 << dayOfMonth(days))) != 0;
}

/** 1 to 31, of a day counted from 1970-01-01. */
function dayOfMonth(days: u32): u32 {
  const z = days + 719468;
  const era = z / 146097, doe = z - era * 146097;
  const yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  const doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  const mp = (5 * doy + 2) / 153;
  return doy - (153 * mp + 2) / 5 + 1;
}

/** xt_cluster_hash. jhash_1word is jhash_3words of two zeros, whose start values are those of one word. */
function matchCluster(d: usize, ct: Conntrack): bool {
  const first = ct.master != 0 ? changetype<Conntrack>(ct.master) : ct;
  const from = Tuple.at(ctTuple(first, false)), seed = load<u32>(d, 8);
  const hash = from.family != 0 ? jhash2(bytes6(from.src), 4, seed) : jhash3(from.src, 0, 0, seed - 8);
  const picked = <u32>((<u64>hash * <u64>load<u32>(d)) >> 32);
  return (load<u32>(d, 4) & (1 << picked)) != 0;
}

function matchConnbytes(d: usize, ct: Conntrack): bool {
  const acct = ctAcct(ct);
  if (acct == 0) return false;
  const what = load<u32>(d, 16), direction = load<u32>(d, 20);
  let packets: u64 = 0, bytes: u64 = 0;
  if (direction != 1) {
    packets += load<u64>(acct);
    bytes += load<u64>(acct, 8);
  }
  if (direction != 0) {
    packets += load<u64>(acct, 16);
    bytes += load<u64>(acct, 24);
  }
  const value = what == 0 ? packets : what == 1 ? bytes : packets == 0 ? 0 : bytes / packets;
  const from = load<u64>(d), to = load<u64>(d, 8);
  return to >= from ? value >= from && value <= to : value < to || value > from;
}

function matchConnlabel(d: usize, ct: Conntrack): bool {
  const labels = ctLabels(ct);
  if (labels == 0) return false;
  const bit = load<u32>(d), word = labels + <usize>((bit >>> 5) << 2), mask: u32 = 1 << (bit & 31);
  if (load<u32>(word) & mask) return true;
  if (!load<u32>(d, 4)) return false;
  store<u32>(word, load<u32>(word) | mask);
  return true;
}

/** No device is in a group but 0. */
function matchDevgroup(d: usize): bool {
  const flags = load<u32>(d);
  if (flags & DEVGROUP_SOURCE && (load<u32>(d, 4) == 0) == ((flags & DEVGROUP_INV_SOURCE) != 0)) return false;
  return !(flags & DEVGROUP_DESTINATION) || (load<u32>(d, 12) == 0) != ((flags & DEVGROUP_INV_DESTINATION) != 0);
}
