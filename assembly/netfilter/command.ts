// The driver's requests about tables, rules and connections.
import { EBADF, EINVAL, ENOBUFS, ENOENT, ENOMEM, MAILBOX_BYTES } from "../abi/core";
import {
  CTSET_BYTES, NFCT_COUNT, NFCT_SETTINGS, NFSTATS, NF_COUNTERS, NF_CT_DELETE, NF_CT_EXTRA, NF_CT_LIST, NF_CT_SET, NF_EVALUATOR, NF_GET,
  NF_LOCAL_OUT, NF_REPLACE, NF_SET, NF_STAT, NF_ZERO, TABLES_ALL,
} from "../abi/netfilter";
import {
  IPSETE_BYTES, IPSETH_BYTES, IPSETH_FIRST, IPSETH_LAST, NF_IPSET_COMMAND, NF_IPSET_ELEMENT, NF_IPSET_HEADER,
  NF_IPSET_LIST, NF_IPSET_NEW, NF_IPSET_TEST,
} from "../abi/ipset";
import { NF_NFT_COMMIT, NF_NFT_XT_PLACE } from "../abi/nft";
import { NFQ_BIND, NFQ_PROGRAM, NFQ_PROGRAM_REMOVE, NFQ_STAT, NFQ_TAKE, NFQ_UNBIND, NFQ_VERDICT } from "../abi/queue";
import { FULL } from "../features";
import { Netns } from "../layout";
import { ip6RawOut } from "../net/ip6-output";
import { ipRawOut } from "../net/ip-output";
import { nftCommand } from "../nft/command";
import { netnsGet } from "../net/netns";
import { skbAlloc } from "../net/skb";
import { putBe16 } from "../wire/bytes";
import { ETH_P_IP, ETH_P_IPV6 } from "../wire/ethernet";
import { IPV4_HEADER_LEN, Ipv4View } from "../wire/ipv4";
import { IPV6_HEADER_LEN } from "../wire/ipv6";
import { ctDelete, ctList } from "./conntrack";
import { ctExtra, ctSet } from "./conntrack-set";
import { SET_NAME, ipsetCommand, ipsetElement, ipsetHeader, ipsetList, ipsetNew, ipsetTest } from "./ipset";
import { programAdd, programRemove, queueBind, queueStat, queueTake, queueUnbind, queueVerdict } from "./queue";
import { NfNet, XtTable, nfNet, nfNetCreate, nfTable, setting, settingPut, statGet } from "./state";
import { NFF_RAW } from "./target-more";
import { tableReplace } from "./table";

/** May this request change what becomes of packets? */
export function netfilterChanges(op: u32): bool {
  switch (op) {
    case NF_COUNTERS: case NF_ZERO: case NF_GET: case NF_CT_LIST: case NF_CT_DELETE: case NF_STAT: case NF_LOCAL_OUT: return false;
    default: return true;
  }
}

/** `op` is one of NF_* commands (abi/netfilter.ts); the record stands at `record`; `upload` holds what was uploaded before. */
export function netfilterCommand(op: u32, record: usize, length: u32, upload: usize, uploadLength: u32): i32 {
  if (length < 8) return -EINVAL;
  const ns = netnsGet(load<u32>(record));
  if (changetype<usize>(ns) == 0) return -EBADF;
  if (!nfNetCreate(ns)) return -ENOMEM;
  const nf = nfNet(ns), a = load<u32>(record, 4), b = load<u32>(record, 8), c = load<u32>(record, 12);
  if (FULL && op >= NF_NFT_COMMIT && op <= NF_NFT_XT_PLACE) return nftCommand(op, ns, nf, record, upload, uploadLength);
  switch (op) {
    case NF_REPLACE: return upload == 0 ? -EINVAL : tableReplace(ns, a, b, upload, uploadLength);
    case NF_COUNTERS: return counters(nf, a, b, c, record, false);
    case NF_ZERO: return counters(nf, a, b, c, record, true);
    case NF_GET:
      if (a == NFCT_COUNT) return <i32>nf.conntrackCount;
      return a >= NFCT_SETTINGS ? -ENOENT : <i32>setting(nf, a);
    case NF_SET:
      if (a >= NFCT_SETTINGS) return -ENOENT;
      if (a == NFCT_COUNT || b > 0x7fffffff) return -EINVAL;
      settingPut(nf, a, b);
      return 0;
    case NF_CT_LIST: return <i32>ctList(ns, a, record, MAILBOX_BYTES);
    case NF_CT_DELETE: return ctDelete(ns, a);
    case NF_CT_SET: return !FULL || length < CTSET_BYTES ? -EINVAL : ctSet(ns, nf, record);
    case NF_CT_EXTRA: return FULL ? ctExtra(ns, a, record) : -ENOENT;
    case NF_STAT: return a >= NFSTATS ? -ENOENT : <i32>statGet(nf, a);
    case NF_LOCAL_OUT: return length < 8 || a > length - 8 ? -EINVAL : localOut(ns, record + 8, a);
    case NF_EVALUATOR:
      if (!FULL) return -ENOENT;
      nf.plain = a;
      return 0;
    default:
      if (!FULL) return -ENOENT;
      return op >= NFQ_BIND && op <= NFQ_STAT ? queueCommand(ns, nf, op, record, length) : setCommand(nf, op, record, length);
  }
}

/** The requests of programs that are given packets (abi/queue.ts). */
function queueCommand(ns: Netns, nf: NfNet, op: u32, record: usize, length: u32): i32 {
  const a = load<u32>(record, 4), b = load<u32>(record, 8), c = load<u32>(record, 12), bytes = load<u32>(record, 20);
  switch (op) {
    case NFQ_BIND: return queueBind(nf, a, b, c, load<u32>(record, 16));
    case NFQ_UNBIND: return queueUnbind(ns, nf, a);
    case NFQ_PROGRAM: return length < 16 ? -EINVAL : programAdd(ns, nf, a, <i32>b, c);
    case NFQ_PROGRAM_REMOVE: return programRemove(ns, nf, a);
    case NFQ_TAKE: return queueTake(nf, record, MAILBOX_BYTES);
    case NFQ_VERDICT:
      return length < 24 || bytes > length - 24 ? -EINVAL : queueVerdict(ns, nf, a, b, c, load<u32>(record, 16), record + 24, bytes);
    default: return queueStat(nf, a, record);
  }
}

/** The requests of IP sets (abi/ipset.ts). */
function setCommand(nf: NfNet, op: u32, record: usize, length: u32): i32 {
  const name = record + 4;
  switch (op) {
    case NF_IPSET_NEW: {
      const fields = name + SET_NAME;
      if (length < 36 + IPSETH_BYTES || load<u32>(fields, IPSETH_LAST) < load<u32>(fields, IPSETH_FIRST)) return -EINVAL;
      return ipsetNew(nf, name, fields);
    }
    case NF_IPSET_ELEMENT: {
      const element = name + SET_NAME + 8;
      if (length < 44 + IPSETE_BYTES + 68) return -EINVAL;
      return ipsetElement(nf, name, load<u32>(name, SET_NAME), load<u32>(name, SET_NAME + 4), element, element + IPSETE_BYTES);
    }
    case NF_IPSET_TEST: return length < 36 ? -EINVAL : ipsetTest(nf, name);
    case NF_IPSET_COMMAND: return length < 72 ? -EINVAL : ipsetCommand(nf, load<u32>(record, 4), record + 8, record + 8 + SET_NAME);
    case NF_IPSET_HEADER: return length < 8 ? -EINVAL : ipsetHeader(nf, load<u32>(record, 4), record);
    case NF_IPSET_LIST: return length < 40 ? -EINVAL : ipsetList(nf, record + 8, load<u32>(record, 4), record, MAILBOX_BYTES);
    default: return -ENOENT;
  }
}

/** raw_send_hdrinc: total length and checksum are made right, an id and a source are chosen where they are zero. */
function localOut(ns: Netns, packet: usize, length: u32): i32 {
  if (FULL && length >= IPV6_HEADER_LEN && length <= 65535 && load<u8>(packet) >>> 4 == 6) return localOut6(ns, packet, length);
  if (length < IPV4_HEADER_LEN || length > 65535) return -EINVAL;
  const header = (<u32>load<u8>(packet) & 15) << 2;
  if (header < IPV4_HEADER_LEN || header > length) return -EINVAL;
  const skb = skbAlloc(length);
  if (changetype<usize>(skb) == 0) return -ENOBUFS;
  memory.copy(skb.data, packet, <usize>length);
  skb.tail = skb.data + <usize>length;
  skb.network = skb.data;
  skb.protocol = ETH_P_IP;
  skb.nfFlags = NFF_RAW;
  putBe16(skb.network, 2, length);
  if (load<u16>(skb.network, 4) == 0) putBe16(skb.network, 4, skb.id & 0xffff);
  Ipv4View.at(skb.network).updateChecksum();
  return ipRawOut(skb, ns);
}

/** rawv6_send_hdrinc. */
function localOut6(ns: Netns, packet: usize, length: u32): i32 {
  const skb = skbAlloc(length);
  if (changetype<usize>(skb) == 0) return -ENOBUFS;
  memory.copy(skb.data, packet, <usize>length);
  skb.tail = skb.data + <usize>length;
  skb.network = skb.data;
  skb.protocol = ETH_P_IPV6;
  skb.nfFlags = NFF_RAW;
  return ip6RawOut(skb, ns);
}

/** Reads counters of a table to `record`, or sets them to zero. */
function counters(nf: NfNet, table: u32, first: u32, count: u32, record: usize, zero: bool): i32 {
  const at: usize = table >= TABLES_ALL ? 0 : nfTable(nf, table);
  if (at == 0) return -ENOENT;
  const t = changetype<XtTable>(at), have = t.rules + t.builtins;
  if (first > have) return -EINVAL;
  let n = min<u32>(count, have - first);
  const from = t.counters + (<usize>first << 4);
  if (zero) {
    memory.fill(from, 0, <usize>n << 4);
    return 0;
  }
  n = min<u32>(n, MAILBOX_BYTES >>> 4);
  memory.copy(record, from, <usize>n << 4);
  return <i32>(n << 4);
}
