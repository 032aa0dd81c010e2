// What a connection carries only where something asks for it (net/netfilter/nf_conntrack_extend.c): accounting and labels, in a
// block of its own.
//   {u64 packets, u64 bytes} original, the same for replies, 16 bytes of labels
import { NFCT_ACCT } from "../abi/netfilter";
import { FULL } from "../features";
import { kfree, kmalloc } from "../mm/slab";
import { Conntrack } from "./conntrack";
import { NfNet, setting } from "./state";

const EXT_BYTES: u32 = 64;
const LABELS_AT: usize = 32;
const HAS_ACCT: u32 = 48, HAS_LABELS: u32 = 52;

/** A new connection gets what is switched on. Without memory it has nothing, as in the kernel. */
export function ctExtend(ct: Conntrack, nf: NfNet): void {
  if (!FULL) return;
  const acct = setting(nf, NFCT_ACCT) != 0;
  if (!acct && nf.labels == 0) return;
  ct.ext = kmalloc(EXT_BYTES);
  if (ct.ext == 0) return;
  store<u32>(ct.ext + HAS_ACCT, <u32>acct);
  store<u32>(ct.ext + HAS_LABELS, nf.labels);
}

export function ctUnextend(ct: Conntrack): void {
  if (FULL && ct.ext != 0) kfree(ct.ext, EXT_BYTES);
}

/** Counters of the connection, or 0. */
export function ctAcct(ct: Conntrack): usize {
  return ct.ext != 0 && load<u32>(ct.ext + HAS_ACCT) != 0 ? ct.ext : 0;
}

/** 128 bits of labels, or 0. */
export function ctLabels(ct: Conntrack): usize {
  return ct.ext != 0 && load<u32>(ct.ext + HAS_LABELS) != 0 ? ct.ext + LABELS_AT : 0;
}

/** nf_ct_acct_update. */
export function ctCount(ct: Conntrack, reply: bool, bytes: u32): void {
  if (!FULL || ct.ext == 0 || load<u32>(ct.ext + HAS_ACCT) == 0) return;
  const at = ct.ext + (reply ? 16 : 0);
  store<u64>(at, load<u64>(at) + 1);
  store<u64>(at, load<u64>(at, 8) + <u64>bytes, 8);
}
