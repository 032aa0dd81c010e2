// Rules at work, net/netfilter/nf_tables_core.c: operations in order until one says that the rule does not match, or a verdict.
import { OBS_NFT } from "../abi/core";
import { NF_ACCEPT, NF_DROP, NF_QUEUE, NF_STOLEN } from "../abi/netfilter";
import {
  NFTCHAIN_COUNTERS, NFTCMP_EQ, NFTCMP_GE, NFTCMP_GT, NFTCMP_LE, NFTCMP_LT, NFTCMP_NE, NFTDYN_DATA, NFTDYN_DELETE, NFTDYN_NOT,
  NFTDYN_UPDATE, NFTLOOKUP_DATA, NFTLOOKUP_NOT, NFTLOOKUP_VERDICT, NFTOP_BITWISE, NFTOP_BITWISE_REG, NFTOP_CMP, NFTOP_CONNLIMIT, NFTOP_COUNTER, NFTOP_CT, NFTOP_CT_SET,
  NFTOP_DUP, NFTOP_DYNSET, NFTOP_EBT, NFTOP_EXTHDR, NFTOP_FIB, NFTOP_FLOW, NFTOP_FWD, NFTOP_HASH, NFTOP_IMMEDIATE, NFTOP_LAST, NFTOP_LIMIT, NFTOP_LOG, NFTOP_LOOKUP, NFTOP_MASQ, NFTOP_META,
  NFTOP_META_SET, NFTOP_NAT, NFTOP_NOTRACK, NFTOP_NUMGEN, NFTOP_OBJECT, NFTOP_OBJECT_MAP, NFTOP_PAYLOAD, NFTOP_PAYLOAD_SET,
  NFTOP_QUOTA, NFTOP_RANGE, NFTOP_REDIR, NFTOP_REJECT, NFTOP_RT, NFTOP_SHIFT, NFTOP_SWAP, NFTOP_TCPOPT, NFTOP_TCPOPT_SET,
  NFTOP_VERDICT, NFTOP_XT, NFTV_BREAK, NFTV_CONTINUE, NFTV_GOTO, NFTV_JUMP, NFTV_RETURN, NFT_JUMPS, NFT_RULE_HEADER,
} from "../abi/nft";
import { Netns, Skb } from "../layout";
import { charge, node } from "../mm/node";
import { randomBelow } from "../mm/rng";
import { jhashBytes } from "../mm/hash";
import { COST_RULE } from "../net/costs";
import { observeRecord, tracing } from "../trace/observe";
import { fragmentUnits, ipLength, isV6, l4Offset, l4Protocol } from "../netfilter/l3";
import { conncount } from "../netfilter/connlimit";
import { NfNet } from "../netfilter/state";
import { nftCt, nftCtSet, nftNat, nftNotrack, nftRedirect, nftReject } from "./expr-ct";
import { nftExthdr, nftFib, nftMeta, nftMetaSet, nftPayload, nftPayloadSet, nftRt, nftTcpOption, nftTcpOptionSet } from "./expr-packet";
import { DYNSET_OPS, NFF_FRAME, limitMax, padded } from "./ops";
import { nftEbt } from "./ebt";
import { flowtableAdd } from "./flowtable";
import { nftDup, nftFwd } from "./redirect";
import { NFT_FRAME_BYTES, NFT_NESTED, NftChain, NftNet, nftChain, nftNet, nftObject, nftSet } from "./ruleset";
import { nftXt } from "./xt";
import { Element, NftSet, elementData, elementRefresh, setDelete, setLookup, setUpdate } from "./set";

/** Where the verdict's chain stands in a frame, and where its stack begins. */
const VERDICT_CHAIN: usize = 132;
const STACK: usize = 136;
/** Jumps and gotos that one packet may make in one base chain: against circles, which the driver does not let in. */
const TRANSFERS: u32 = 65536;

/** Runs a base chain (nft_do_chain): NF_ACCEPT, NF_DROP or NF_STOLEN. */
export function nftDoChain(chain: NftChain, skb: Skb, ns: Netns, nf: NfNet, hook: u32, inDev: usize, outDev: usize): u32 {
  const n = nftNet(nf);
  if (n.nested >= NFT_NESTED) return NF_DROP;
  const frame = n.frames + <usize>(n.nested * NFT_FRAME_BYTES);
  n.nested++;
  const verdict = run(n, frame, chain, skb, ns, nf, hook, inDev, outDev);
  n.nested--;
  return verdict;
}

function run(n: NftNet, frame: usize, base: NftChain, skb: Skb, ns: Netns, nf: NfNet, hook: u32, inDev: usize, outDev: usize): u32 {
  let chain = base, rule = base.rules, end = rule + <usize>base.bytes, depth: u32 = 0, transfers: u32 = 0;
  memory.fill(frame, 0, STACK);
  while (true) {
    let code = NFTV_RETURN;
    if (rule < end) {
      charge(COST_RULE);
      const next = rule + <usize>load<u32>(rule);
      let op = rule + NFT_RULE_HEADER;
      code = NFTV_CONTINUE;
      while (op < next) {
        code = operation(op, n, frame, skb, ns, nf, hook, inDev, outDev);
        if (code != NFTV_CONTINUE) break;
        op += <usize>load<u16>(op, 2);
      }
      if (code != NFTV_BREAK) trace(skb, ns, chain, load<u32>(rule, 4), code, frame, base.hook, inDev, outDev);
      rule = next;
      if (code == NFTV_CONTINUE || code == NFTV_BREAK) continue;
    }
    if (code == NFTV_JUMP || code == NFTV_GOTO) {
      const to = nftChain(n, load<u32>(frame, VERDICT_CHAIN));
      if (to == 0 || ++transfers > TRANSFERS) return NF_DROP;
      if (code == NFTV_JUMP) {
        if (depth == NFT_JUMPS) return NF_DROP;
        const entry = frame + STACK + (<usize>(depth++) << 4);
        store<u32>(entry, <u32>rule);
        store<u32>(entry, <u32>end, 4);
        store<u32>(entry, <u32>changetype<usize>(chain), 8);
      }
      chain = changetype<NftChain>(to);
      rule = chain.rules;
      end = rule + <usize>chain.bytes;
    } else if (code == NFTV_RETURN) {
      if (depth == 0) {
        if (base.flags & NFTCHAIN_COUNTERS) {
          base.packets++;
          base.octets += <u64>ipLength(skb);
        }
        trace(skb, ns, base, 0, base.policy, frame, base.hook, inDev, outDev);
        return base.policy;
      }
      const entry = frame + STACK + (<usize>(--depth) << 4);
      rule = <usize>load<u32>(entry);
      end = <usize>load<u32>(entry, 4);
      chain = changetype<NftChain>(<usize>load<u32>(entry, 8));
    } else {
      return code;
    }
  }
  return NF_DROP;
}

function trace(skb: Skb, ns: Netns, chain: NftChain, handle: u32, code: u32, frame: usize, hook: u32, inDev: usize, outDev: usize): void {
  if (!tracing() || code == NF_STOLEN) return;
  const record = observeRecord(OBS_NFT, skb, changetype<usize>(ns), inDev != 0 ? inDev : outDev, 20);
  if (record == 0) return;
  store<u32>(record, chain.id);
  store<u32>(record, handle, 4);
  store<u32>(record, code, 8);
  store<u32>(record, code == NFTV_JUMP || code == NFTV_GOTO ? load<u32>(frame, VERDICT_CHAIN) : 0, 12);
  store<u32>(record, hook, 16);
}

/** One operation: NFTV_CONTINUE, NFTV_BREAK or a verdict. */
function operation(op: usize, n: NftNet, frame: usize, skb: Skb, ns: Netns, nf: NfNet, hook: u32, inDev: usize, outDev: usize): u32 {
  const register = frame + (<usize>load<u8>(op, 1) << 2);
  switch (<u32>load<u8>(op)) {
    case NFTOP_IMMEDIATE:
      memory.copy(register, op + 8, <usize>padded(load<u32>(op, 4)));
      return NFTV_CONTINUE;
    case NFTOP_CMP: {
      const length = <usize>load<u8>(op, 5);
      let yes = false;
      const how = <u32>load<u8>(op, 4);
      if (length == 4 && how <= NFTCMP_NE) {
        yes = (load<u32>(register) == load<u32>(op, 8)) == (how == NFTCMP_EQ);
      } else {
        const order = memory.compare(register, op + 8, length);
        switch (how) {
          case NFTCMP_EQ: yes = order == 0; break;
          case NFTCMP_NE: yes = order != 0; break;
          case NFTCMP_LT: yes = order < 0; break;
          case NFTCMP_LE: yes = order <= 0; break;
          case NFTCMP_GT: yes = order > 0; break;
          case NFTCMP_GE: yes = order >= 0; break;
          default: break;
        }
      }
      return yes ? NFTV_CONTINUE : NFTV_BREAK;
    }
    case NFTOP_RANGE: {
      const length = <u32>load<u8>(op, 5), from = op + 8, to = from + <usize>padded(length);
      const inside = memory.compare(register, from, <usize>length) >= 0 && memory.compare(register, to, <usize>length) <= 0;
      return inside == (load<u8>(op, 4) == 0) ? NFTV_CONTINUE : NFTV_BREAK;
    }
    case NFTOP_BITWISE: {
      const source = frame + (<usize>load<u8>(op, 4) << 2), length = padded(<u32>load<u8>(op, 5));
      for (let i: u32 = 0; i < length; i += 4) {
        store<u32>(register + <usize>i,
          (load<u32>(source + <usize>i) & load<u32>(op + <usize>i, 8)) ^ load<u32>(op + <usize>(i + length), 8));
      }
      return NFTV_CONTINUE;
    }
    case NFTOP_BITWISE_REG: {
      const source = frame + (<usize>load<u8>(op, 4) << 2), other = frame + (<usize>load<u8>(op, 6) << 2), how = load<u8>(op, 7);
      for (let i: u32 = 0; i < padded(<u32>load<u8>(op, 5)); i += 4) {
        const a = load<u32>(source + <usize>i), b = load<u32>(other + <usize>i);
        store<u32>(register + <usize>i, how == 0 ? a | b : how == 1 ? a & b : a ^ b);
      }
      return NFTV_CONTINUE;
    }
    case NFTOP_SHIFT: {
      const source = frame + (<usize>load<u8>(op, 4) << 2), bytes = <u32>load<u8>(op, 5), bits = <u32>load<u8>(op, 7);
      const unused = 32 - (bytes << 3);
      const value = bswap<u32>(load<u32>(source)) >>> unused;
      const after = load<u8>(op, 6) ? value >>> bits : value << bits;
      store<u32>(register, bswap<u32>(after << unused));
      return NFTV_CONTINUE;
    }
    case NFTOP_SWAP:
      store<u32>(register, bswap<u32>(load<u32>(register)));
      return NFTV_CONTINUE;
    case NFTOP_PAYLOAD: return nftPayload(op, register, skb);
    case NFTOP_PAYLOAD_SET: return nftPayloadSet(op, register, skb);
    case NFTOP_META: return nftMeta(load<u32>(op, 4), register, skb, inDev, outDev);
    case NFTOP_META_SET:
      nftMetaSet(load<u32>(op, 4), register, skb);
      return NFTV_CONTINUE;
    case NFTOP_CT: return nftCt(op, register, skb);
    case NFTOP_CT_SET:
      nftCtSet(<u32>load<u8>(op, 4), register, skb);
      return NFTV_CONTINUE;
    case NFTOP_LOOKUP: return lookup(op, register, n, frame, skb);
    case NFTOP_DYNSET: return dynset(op, register, n, frame, skb);
    case NFTOP_NUMGEN: return numgen(op, register);
    case NFTOP_HASH: {
      const hash = load<u8>(op, 4) == 1 ? symmetric(skb)
        : jhashBytes(frame + (<usize>load<u8>(op, 5) << 2), <u32>load<u8>(op, 6), load<u32>(op, 12));
      store<u32>(register, bswap<u32>(<u32>((<u64>hash * <u64>load<u32>(op, 8)) >> 32) + load<u32>(op, 16)));
      return NFTV_CONTINUE;
    }
    case NFTOP_FIB: return nftFib(op, register, skb, ns, hook, inDev, outDev);
    case NFTOP_COUNTER: case NFTOP_LIMIT: case NFTOP_QUOTA: case NFTOP_LAST: case NFTOP_CONNLIMIT: return stateful(op, skb, ns);
    case NFTOP_EBT: return nftEbt(op, skb, inDev);
    case NFTOP_FWD: return nftFwd(op, frame, skb, ns);
    case NFTOP_DUP: return nftDup(op, frame, skb, ns, hook);
    case NFTOP_FLOW: return flowtableAdd(nftChain(n, load<u32>(op, 4)), skb, ns, inDev);
    case NFTOP_LOG: return NFTV_CONTINUE;
    case NFTOP_NAT: return nftNat(op, frame, skb, ns, hook);
    case NFTOP_MASQ: return nftRedirect(op, frame, skb, ns, hook, inDev, outDev, true);
    case NFTOP_REDIR: return nftRedirect(op, frame, skb, ns, hook, inDev, outDev, false);
    case NFTOP_REJECT: return nftReject(load<u32>(op, 4), load<u32>(op, 8), skb, ns);
    case NFTOP_EXTHDR: return nftExthdr(op, register, skb);
    case NFTOP_NOTRACK:
      nftNotrack(skb);
      return NFTV_CONTINUE;
    case NFTOP_OBJECT: {
      const object = nftObject(n, load<u32>(op, 4));
      return object == 0 ? NFTV_BREAK : stateful(object, skb, ns);
    }
    case NFTOP_OBJECT_MAP: {
      const set = setOf(n, op, 8);
      if (changetype<usize>(set) == 0 || set.dataBytes != 4) return NFTV_BREAK;
      const e = setLookup(set, register);
      if (changetype<usize>(e) == 0) return NFTV_BREAK;
      const object = nftObject(n, load<u32>(elementData(set, e)));
      return object == 0 ? NFTV_BREAK : stateful(object, skb, ns);
    }
    case NFTOP_VERDICT:
      store<u32>(frame, load<u32>(op, 8), VERDICT_CHAIN);
      return verdictOf(load<u32>(op, 4));
    case NFTOP_TCPOPT: return nftTcpOption(op, register, skb);
    case NFTOP_TCPOPT_SET: return nftTcpOptionSet(op, register, skb);
    case NFTOP_XT: return nftXt(op, skb, ns, hook, inDev, outDev);
    case NFTOP_RT: return nftRt(load<u32>(op, 4), register, skb, ns);
    default: return NFTV_BREAK; // NFTOP_NEVER
  }
}

/** A code out of a rule or a map; what is no verdict drops. */
function verdictOf(code: u32): u32 {
  return code == NF_ACCEPT || code >= NFTV_RETURN || (code & 255) == NF_QUEUE ? code : NF_DROP;
}

/** The set an operation names, if its keys are as long as the operation's (`at` is where that stands); null (0) otherwise. */
function setOf(n: NftNet, op: usize, at: usize): NftSet {
  const set = changetype<NftSet>(nftSet(n, load<u32>(op, 4)));
  return changetype<usize>(set) != 0 && set.keyBytes == padded(<u32>load<u8>(op + at)) ? set : changetype<NftSet>(0);
}

/** nft_lookup_eval. */
function lookup(op: usize, register: usize, n: NftNet, frame: usize, skb: Skb): u32 {
  const set = setOf(n, op, 10), flags = <u32>load<u8>(op, 8);
  if (changetype<usize>(set) == 0) return NFTV_BREAK;
  const e = setLookup(set, register);
  const found = changetype<usize>(e) != 0;
  if (found == ((flags & NFTLOOKUP_NOT) != 0)) return NFTV_BREAK;
  if (!found) return NFTV_CONTINUE;
  let code = NFTV_CONTINUE;
  if (flags & NFTLOOKUP_VERDICT) {
    if (set.dataBytes != 8) return NFTV_BREAK;
    const data = elementData(set, e);
    store<u32>(frame, load<u32>(data, 4), VERDICT_CHAIN);
    code = verdictOf(load<u32>(data));
  } else if (flags & NFTLOOKUP_DATA) {
    if (set.dataBytes != padded(<u32>load<u8>(op, 11))) return NFTV_BREAK;
    memory.copy(frame + (<usize>load<u8>(op, 9) << 2), elementData(set, e), <usize>set.dataBytes);
  }
  return elementOps(e, skb, changetype<Netns>(n.ns)) == NFTV_BREAK ? NFTV_BREAK : code;
}

function elementOps(e: Element, skb: Skb, ns: Netns): u32 {
  for (let at: u32 = 0; at < e.opsBytes; at += <u32>load<u16>(e.ops + <usize>at, 2)) {
    if (stateful(e.ops + <usize>at, skb, ns) != NFTV_CONTINUE) return NFTV_BREAK;
  }
  return NFTV_CONTINUE;
}

/** nft_dynset_eval. */
function dynset(op: usize, register: usize, n: NftNet, frame: usize, skb: Skb): u32 {
  const set = setOf(n, op, 10), how = <u32>load<u8>(op, 8), inverted = (how & NFTDYN_NOT) != 0;
  if (changetype<usize>(set) == 0) return NFTV_BREAK;
  let done = false;
  if ((how & 3) == NFTDYN_DELETE) {
    setDelete(set, register);
    return NFTV_CONTINUE;
  }
  let data: usize = 0;
  if (how & NFTDYN_DATA) {
    if (set.dataBytes == 0 || set.dataBytes != padded(<u32>load<u8>(op, 11))) return NFTV_BREAK;
    data = frame + (<usize>load<u8>(op, 9) << 2);
  } else if (set.dataBytes != 0) return NFTV_BREAK;
  const given = load<u64>(op, 12), timeout = given != 0 ? given : set.timeout;
  const e = setUpdate(set, register, data, timeout, op + DYNSET_OPS, <u32>load<u16>(op, 2) - DYNSET_OPS);
  if (changetype<usize>(e) != 0) {
    if ((how & 3) == NFTDYN_UPDATE && e.timeout != 0 && timeout != 0) elementRefresh(e, timeout);
    if (elementOps(e, skb, changetype<Netns>(n.ns)) == NFTV_BREAK) return NFTV_BREAK;
    done = true;
  }
  return done == inverted ? NFTV_BREAK : NFTV_CONTINUE;
}

/** nft_numgen.c. */
function numgen(op: usize, register: usize): u32 {
  const modulus = load<u32>(op, 8), state = <usize>load<u32>(op, 4);
  let value: u32 = 0;
  if (load<u32>(op, 16) == 1) {
    value = randomBelow(modulus);
  } else if (state != 0) {
    const before = load<u64>(state);
    value = before + 1 < <u64>modulus ? <u32>before + 1 : 0;
    store<u64>(state, <u64>value);
  }
  store<u32>(register, bswap<u32>(value + load<u32>(op, 12)));
  return NFTV_CONTINUE;
}

/** __skb_get_hash_symmetric: the kernel's has a key of its own in every boot, so any hash that is the same both ways will do. */
function symmetric(skb: Skb): u32 {
  const ip = skb.network, six = isV6(ip), protocol = l4Protocol(skb), header = l4Offset(skb);
  let ports: u32 = 0;
  if ((protocol == 6 || protocol == 17) && fragmentUnits(skb) == 0 && ip + <usize>header + 4 <= skb.tail) {
    ports = <u32>load<u16>(ip + <usize>header) ^ <u32>load<u16>(ip + <usize>header, 2);
  }
  const both = load<u64>(ip, 8) ^ load<u64>(ip, 16) ^ load<u64>(ip, 24) ^ load<u64>(ip, 32);
  let h = (six ? <u32>both ^ <u32>(both >> 32) : load<u32>(ip, 12) ^ load<u32>(ip, 16)) * 0x85ebca6b ^ (ports << 8 | protocol) * 0xc2b2ae35;
  h = (h ^ (h >>> 16)) * 0x85ebca6b;
  return h ^ (h >>> 13);
}

/** Counters, limits, quotas, "last": NFTV_CONTINUE or NFTV_BREAK. */
function stateful(op: usize, skb: Skb, ns: Netns): u32 {
  const state = <usize>load<u32>(op, 4);
  if (state == 0) return NFTV_CONTINUE;
  const length = skb.nfFlags & NFF_FRAME ? <u64>(skb.tail - skb.data) : <u64>ipLength(skb);
  switch (<u32>load<u8>(op)) {
    case NFTOP_CONNLIMIT: {
      const count = conncount(state, skb, ns);
      if (count == 0) return NF_DROP;
      return (count > load<u32>(op, 8)) != (load<u32>(op, 12) == 1) ? NFTV_BREAK : NFTV_CONTINUE;
    }
    case NFTOP_COUNTER:
      store<u64>(state, load<u64>(state) + 1);
      store<u64>(state, load<u64>(state, 8) + length, 8);
      return NFTV_CONTINUE;
    case NFTOP_LIMIT: {
      // nft_limit_eval: tokens are ns, one packet (or byte) costs so many.
      const flags = load<u32>(op, 28), now = node().now;
      const cost = load<u64>(op, 16) * (flags & 2 ? length : 1) / load<u64>(op, 8);
      let tokens = min<u64>(load<u64>(state) + (now - load<u64>(state, 8)), limitMax(op));
      store<u64>(state, now, 8);
      const within = tokens >= cost;
      if (within) tokens -= cost;
      store<u64>(state, tokens);
      return within == ((flags & 1) != 0) ? NFTV_BREAK : NFTV_CONTINUE;
    }
    case NFTOP_QUOTA: {
      const consumed = load<u64>(state) + length;
      store<u64>(state, consumed);
      return (consumed >= load<u64>(op, 8)) != (load<u32>(op, 24) == 1) ? NFTV_BREAK : NFTV_CONTINUE;
    }
    default: // NFTOP_LAST
      store<u64>(state, 1);
      store<u64>(state, node().now, 8);
      return NFTV_CONTINUE;
  }
}
