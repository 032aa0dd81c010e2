// Which helper is which, of those that work on the packet or socket behind a hook. Numbers: enum bpf_func_id.
import { EINVAL, ENOTSUPP } from "../../abi/core";
import { Skb } from "../../layout";
import { fibHelper } from "./fib";
import { skbLength } from "../../net/skb";
import { cloneRedirect, redirect, redirectMap, redirectNeigh, redirectPeer } from "../hooks/redirect";
import { HookRun, hookRun } from "../hooks/state";
import { RUN_SKB, RUN_XDP } from "../run";
import {
  checkMtu, csumLevel, ecnSetCe, failed, getHashRecalc, l3CsumReplace, l4CsumReplace, setHash, setHashInvalid, skbChangeType, skbLoadBytes,
  skbLoadBytesRelative, skbPullData, skbSetTstamp, skbStoreBytes,
} from "./skb";
import { NOT_SOCK, sockHelper } from "./sock";
import { adjustRoom, changeHead, changeProto, changeTail, vlanPopHelper, vlanPushHelper } from "./skb-room";
import { xdpAdjustHead, xdpAdjustMeta, xdpAdjustTail, xdpBytes } from "./xdp";

/** -EINVAL for a helper that does not work on what the program runs for. */
export function packetHelper(id: u32, a: u64, b: u64, c: u64, d: u64, e: u64): u64 {
  const r = hookRun();
  if (changetype<usize>(r) == 0) return failed(EINVAL);
  switch (id) {
    case 23: return redirect(r, <u32>a, b);
    case 69: return r.kind == RUN_SKB || r.kind == RUN_XDP ? fibHelper(r, b, <u32>c, <u32>d) : failed(EINVAL);
    case 51: return r.kind == RUN_XDP ? redirectMap(r, a, b, c) : failed(EINVAL);
    case 155: return redirectPeer(r, <u32>a, b);
    case 152: return redirectNeigh(r, <u32>a, b, <u32>c, d);
    default:
  }
  const socket = sockHelper(r, id, a, b, c, d, e);
  if (socket != NOT_SOCK) return socket;
  if (r.kind == RUN_XDP) return xdpHelper(r, id, b, c, d, e);
  return r.kind == RUN_SKB ? skbHelper(r, id, b, c, d, e) : failed(EINVAL);
}

function xdpHelper(r: HookRun, id: u32, b: u64, c: u64, d: u64, e: u64): u64 {
  switch (id) {
    case 44: return xdpAdjustHead(r, <i32>b);
    case 54: return xdpAdjustMeta(r, <i32>b);
    case 65: return xdpAdjustTail(r, <i32>b);
    case 163: return checkMtu(r, <u32>b, c, <i32>d, e);
    case 188: return <u64>skbLength(changetype<Skb>(r.skb));
    case 189: return xdpBytes(r, <u32>b, c, <u32>d, false);
    case 190: return xdpBytes(r, <u32>b, c, <u32>d, true);
    default: return failed(EINVAL);
  }
}

function skbHelper(r: HookRun, id: u32, b: u64, c: u64, d: u64, e: u64): u64 {
  switch (id) {
    case 9: return skbStoreBytes(r, <u32>b, c, <u32>d, e);
    case 10: return l3CsumReplace(r, <u32>b, c, d, e);
    case 11: return l4CsumReplace(r, <u32>b, c, d, e);
    case 13: return cloneRedirect(r, <u32>b, c);
    case 17: case 24: case 151: return 0; // classid, realm: there are none
    case 18: return vlanPushHelper(r, <u32>b, <u32>c);
    case 19: return vlanPopHelper(r);
    case 26: return skbLoadBytes(r, <u32>b, c, <u32>d);
    case 31: return changeProto(r, <u32>b, c);
    case 32: return skbChangeType(r, <u32>b);
    case 34: return getHashRecalc(r);
    case 38: return changeTail(r, <u32>b, c);
    case 39: return skbPullData(r, <u32>b);
    case 40: return failed(ENOTSUPP); // csum_update: no packet has CHECKSUM_COMPLETE
    case 41: return setHashInvalid(r);
    case 43: return changeHead(r, <u32>b, c);
    case 48: return setHash(r, <u32>b);
    case 50: return adjustRoom(r, <i32>b, <u32>c, d);
    case 68: return skbLoadBytesRelative(r, <u32>b, c, <u32>d, <u32>e);
    case 97: return ecnSetCe(r);
    case 135: return csumLevel(b);
    case 163: return checkMtu(r, <u32>b, c, <i32>d, e);
    case 192: return skbSetTstamp(r, b, <u32>c);
    default: return failed(EINVAL);
  }
}
