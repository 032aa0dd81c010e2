// Connections made and changed by hand, and what they carry: what ctnetlink does for `conntrack -I`, `-U` and its listings
// (net/netfilter/nf_conntrack_netlink.c, ctnetlink_create_conntrack, ctnetlink_change_conntrack).
import { EEXIST, EINVAL, ENOENT, ENOMEM } from "../abi/core";
import {
  CTEXT_BYTES, CTEXT_COUNTERS, CTEXT_FLAGS, CTEXT_HAS_COUNTERS, CTEXT_HAS_LABELS, CTEXT_LABELS, CTEXT_USE, CTSET_F_LABELS, CTSET_F_MARK,
  CTSET_F_STATE, CTSET_F_STATUS, CTSET_F_TIMEOUT, CTSET_ID, CTSET_LABELS, CTSET_LABELS_MASK, CTSET_MARK, CTSET_MASK, CTSET_ORIG, CTSET_REPLY,
  CTSET_STATE, CTSET_STATUS, CTSET_TIMEOUT, IPS_ASSURED, IPS_DST_NAT, IPS_DST_NAT_DONE, IPS_SEEN_REPLY, IPS_SRC_NAT, IPS_SRC_NAT_DONE,
} from "../abi/netfilter";
import { Netns } from "../layout";
import { IPPROTO_TCP } from "../wire/ipv4";
import { Conntrack, ctById, ctBysourceAdd, ctCreate, ctFindTuple, ctInsert, ctRefresh, ctTuple } from "./conntrack";
import { ctAcct, ctLabels } from "./conntrack-ext";
import { NfNet } from "./state";
import { IPPROTO_SCTP, Tuple } from "./tuple";

/** What may be given; the rest is the kernel's own. */
const STATUS_GIVEN: u32 = IPS_SEEN_REPLY | IPS_ASSURED;
const STATUS_NAT: u32 = IPS_SRC_NAT | IPS_DST_NAT;
const STATES_MAX: u32 = 10;

/** NF_CT_SET */
export function ctSet(ns: Netns, nf: NfNet, record: usize): i32 {
  const id = load<u32>(record, CTSET_ID);
  if (id != 0) {
    const found = ctById(ns, id);
    if (changetype<usize>(found) == 0) return -ENOENT;
    change(found, record);
    return 0;
  }
  const orig = record + CTSET_ORIG, reply = record + CTSET_REPLY;
  if (Tuple.at(orig).proto == 0 || Tuple.at(orig).proto != Tuple.at(reply).proto || Tuple.at(orig).family != Tuple.at(reply).family) return -EINVAL;
  if (changetype<usize>(ctFindTuple(ns, orig)) != 0 || changetype<usize>(ctFindTuple(ns, reply)) != 0) return -EEXIST;
  const ct = ctCreate(ns, nf, orig, reply);
  if (changetype<usize>(ct) == 0) return -ENOMEM;
  const nat = load<u32>(record, CTSET_STATUS) & STATUS_NAT;
  change(ct, record);
  // Translated as given, and not again (nf_nat_setup_info).
  ct.status |= nat | IPS_SRC_NAT_DONE | IPS_DST_NAT_DONE;
  ctBysourceAdd(ct);
  ctInsert(ct);
  return 0;
}

function change(ct: Conntrack, record: usize): void {
  const mask = load<u32>(record, CTSET_MASK);
  if (mask & CTSET_F_STATUS) ct.status |= load<u32>(record, CTSET_STATUS) & STATUS_GIVEN;
  if (mask & CTSET_F_TIMEOUT) ctRefresh(ct, load<u32>(record, CTSET_TIMEOUT));
  if (mask & CTSET_F_MARK) ct.mark = load<u32>(record, CTSET_MARK);
  const proto = <u32>Tuple.at(ctTuple(ct, false)).proto;
  if ((mask & CTSET_F_STATE) != 0 && (proto == IPPROTO_TCP || proto == IPPROTO_SCTP)) ct.state = min<u32>(load<u32>(record, CTSET_STATE), STATES_MAX - 1);
  const labels = ctLabels(ct);
  if ((mask & CTSET_F_LABELS) == 0 || labels == 0) return;
  for (let i: usize = 0; i < 16; i += 8) {
    const given = load<u64>(record + i, CTSET_LABELS_MASK);
    store<u64>(labels + i, (load<u64>(labels + i) & ~given) | (load<u64>(record + i, CTSET_LABELS) & given));
  }
}

/** NF_CT_EXTRA */
export function ctExtra(ns: Netns, id: u32, to: usize): i32 {
  const ct = ctById(ns, id);
  if (changetype<usize>(ct) == 0) return -ENOENT;
  memory.fill(to, 0, CTEXT_BYTES);
  const counters = ctAcct(ct), labels = ctLabels(ct);
  store<u32>(to, (counters != 0 ? CTEXT_HAS_COUNTERS : 0) | (labels != 0 ? CTEXT_HAS_LABELS : 0), CTEXT_FLAGS);
  store<u32>(to, ct.use, CTEXT_USE);
  if (counters != 0) memory.copy(to + CTEXT_COUNTERS, counters, 32);
  if (labels != 0) memory.copy(to + CTEXT_LABELS, labels, 16);
  return <i32>CTEXT_BYTES;
}
