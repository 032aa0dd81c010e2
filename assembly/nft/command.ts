// The driver's requests about nftables.
import { EINVAL, ENOENT, MAILBOX_BYTES } from "../abi/core";
import {
  NFTCHAIN_COUNTERS, NFTOP_COUNTER, NFTOP_QUOTA, NFT_POLICY_RULE, NFT_RULE_HEADER, NFT_STATE_BYTES, NF_NFT_CHAIN, NF_NFT_COMMIT, NF_NFT_OBJECT, NF_NFT_SET, NF_NFT_XT_PLACE,
} from "../abi/nft";
import { Netns } from "../layout";
import { NfNet } from "../netfilter/state";
import { hooksUpdate, xtRulePlace } from "../netfilter/table";
import { stateful } from "./ops";
import { NftChain, nftChain, nftCommit, nftNet, nftObject, nftSet } from "./ruleset";
import { NftSet, setList } from "./set";

/** `op` is one of NF_NFT_* (abi/nft.ts). */
export function nftCommand(op: u32, ns: Netns, nf: NfNet, record: usize, upload: usize, uploadLength: u32): i32 {
  if (op == NF_NFT_COMMIT) {
    if (upload == 0) return -EINVAL;
    const result = nftCommit(ns, upload, uploadLength);
    if (result == 0) hooksUpdate(nf);
    return result;
  }
  if (op == NF_NFT_XT_PLACE) return upload == 0 ? -EINVAL : xtRulePlace(nf, upload, uploadLength, load<u32>(record, 4), load<u32>(record, 8));
  if (nf.nft == 0) return -ENOENT;
  const n = nftNet(nf), id = load<u32>(record, 4), b = load<u32>(record, 8), c = load<u32>(record, 12);
  switch (op) {
    case NF_NFT_CHAIN: {
      const chain = nftChain(n, id);
      return chain == 0 ? -ENOENT : <i32>chainStates(changetype<NftChain>(chain), b, c != 0, record);
    }
    case NF_NFT_SET: {
      const set = nftSet(n, id);
      return set == 0 ? -ENOENT : <i32>setList(changetype<NftSet>(set), b, record, MAILBOX_BYTES);
    }
    case NF_NFT_OBJECT: {
      const object = nftObject(n, id);
      if (object == 0) return -ENOENT;
      const state = <usize>load<u32>(object, 4);
      store<u64>(record, state == 0 ? 0 : load<u64>(state));
      store<u64>(record, state == 0 ? 0 : load<u64>(state, 8), 8);
      if (b != 0) reset(object);
      return 16;
    }
    default: return -ENOENT;
  }
}

function reset(op: usize): void {
  const state = <usize>load<u32>(op, 4);
  if (state == 0) return;
  store<u64>(state, 0);
  if (<u32>load<u8>(op) != NFTOP_QUOTA) store<u64>(state, 0, 8);
}

function chainStates(chain: NftChain, first: u32, zero: bool, to: usize): u32 {
  let bytes: u32 = 8, n: u32 = 0, rule = chain.rules, number: u32 = 0;
  for (; number < chain.count; number++) {
    const size = load<u32>(rule), ops = rule + NFT_RULE_HEADER, length = size - NFT_RULE_HEADER;
    if (number >= first) {
      if (bytes + (length >>> 3) * NFT_STATE_BYTES > MAILBOX_BYTES && n != 0) break;
      for (let at: u32 = 0; at < length; at += <u32>load<u16>(ops + <usize>at, 2)) {
        const op = ops + <usize>at;
        if (!stateful(<u32>load<u8>(op)) || bytes + NFT_STATE_BYTES > MAILBOX_BYTES) continue;
        const state = <usize>load<u32>(op, 4), record = to + <usize>bytes;
        store<u32>(record, number);
        store<u32>(record, <u32>load<u8>(op), 4);
        store<u64>(record, state == 0 ? 0 : load<u64>(state), 8);
        store<u64>(record, state == 0 ? 0 : load<u64>(state, 8), 16);
        if (zero) reset(op);
        bytes += NFT_STATE_BYTES;
        n++;
      }
    }
    rule += <usize>size;
  }
  if (number == chain.count && chain.flags & NFTCHAIN_COUNTERS && bytes + NFT_STATE_BYTES <= MAILBOX_BYTES) {
    const record = to + <usize>bytes;
    store<u32>(record, NFT_POLICY_RULE);
    store<u32>(record, NFTOP_COUNTER, 4);
    store<u64>(record, chain.packets, 8);
    store<u64>(record, chain.octets, 16);
    bytes += NFT_STATE_BYTES;
    n++;
  }
  store<u32>(to, number < chain.count ? number : 0);
  store<u32>(to, n, 4);
  return bytes;
}
