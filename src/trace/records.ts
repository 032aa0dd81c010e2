/**
 * Observation records of the kernel (assembly/trace/observe.ts) as typed values: frames at devices, and the steps that packets
 * take in between.
 */
import * as abi from "../../assembly/abi/core.ts";
import { formatIpv4, formatMac } from "../kernel/address.ts";

/** What every record says: when (ns), where, and which packet (`skb`, unique on its node). */
interface Common {
  readonly timeNs: number;
  readonly skb: number;
  /** Number of the network namespace on its node, 0: the host. */
  readonly netns: number;
  readonly ifindex: number;
}

export type TraceEvent = Common &
  (
    | { readonly type: "frame"; readonly direction: "rx" | "tx"; readonly bytes: Uint8Array }
    | { readonly type: "drop"; readonly reason: number }
    | { readonly type: "route"; readonly routeType: number; readonly out: number; readonly gateway: string; readonly destination: string }
    | { readonly type: "neigh"; readonly state: number; readonly address: string; readonly lladdr: string }
    | { readonly type: "encap"; readonly vni: number; readonly local: string; readonly remote: string; readonly direction: "encap" | "decap" }
    | { readonly type: "deliver"; readonly protocol: number; readonly socket: number }
    | { readonly type: "send"; readonly protocol: number; readonly socket: number }
    | { readonly type: "bridge"; readonly out: number; readonly local: boolean }
    | { readonly type: "hook"; readonly hook: number; readonly table: number; readonly verdict: number }
    | { readonly type: "rule"; readonly hook: number; readonly table: number; readonly chain: number; readonly rule: number; readonly verdict: number }
    | { readonly type: "nft"; readonly hook: number; readonly chain: number; readonly handle: number; readonly verdict: number; readonly to: number }
    | { readonly type: "nat"; readonly kind: "source" | "destination"; readonly protocol: number;
        readonly from: string; readonly fromPort: number; readonly to: string; readonly toPort: number }
    | { readonly type: "conntrack"; readonly ctinfo: number; readonly id: number; readonly protocol: number; readonly state: number }
  );

/** Decodes whole records, in the order in which they were written. Types that are not known are left out. */
export function* decodeRecords(bytes: Uint8Array): Generator<TraceEvent> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const u32 = (at: number): number => view.getUint32(at, true);
  const address = (at: number): string => formatIpv4(view.getUint32(at + 12));
  for (let at = 0; at + abi.OBS_PAYLOAD <= bytes.length; ) {
    const size = view.getUint16(at + abi.OBS_SIZE8, true) * 8;
    if (size < abi.OBS_PAYLOAD || at + size > bytes.length) return;
    const p = at + abi.OBS_PAYLOAD;
    const common: Common = {
      timeNs: u32(at + abi.OBS_TIME) + u32(at + abi.OBS_TIME + 4) * 4294967296,
      skb: u32(at + abi.OBS_SKB),
      netns: u32(at + abi.OBS_NETNS),
      ifindex: u32(at + abi.OBS_IFINDEX),
    };
    const type = view.getUint16(at + abi.OBS_TYPE, true);
    at += size;
    switch (type) {
      case abi.OBS_FRAME_RX:
      case abi.OBS_FRAME_TX:
        yield { ...common, type: "frame", direction: type === abi.OBS_FRAME_RX ? "rx" : "tx", bytes: bytes.subarray(p + 4, p + 4 + u32(p)) };
        break;
      case abi.OBS_DROP:
        yield { ...common, type: "drop", reason: u32(p) };
        break;
      case abi.OBS_ROUTE:
        yield { ...common, type: "route", routeType: u32(p), out: u32(p + 4), gateway: address(p + 8), destination: address(p + 24) };
        break;
      case abi.OBS_NEIGH:
        yield { ...common, type: "neigh", state: u32(p), address: address(p + 4), lladdr: formatMac(bytes, p + 20) };
        break;
      case abi.OBS_ENCAP:
        yield { ...common, type: "encap", vni: u32(p), local: address(p + 4), remote: address(p + 20), direction: u32(p + 36) === 0 ? "encap" : "decap" };
        break;
      case abi.OBS_DELIVER:
        yield { ...common, type: "deliver", protocol: u32(p), socket: u32(p + 4) };
        break;
      case abi.OBS_SEND:
        yield { ...common, type: "send", protocol: u32(p), socket: u32(p + 4) };
        break;
      case abi.OBS_BRIDGE:
        yield { ...common, type: "bridge", out: u32(p), local: u32(p + 4) !== 0 };
        break;
      case abi.OBS_HOOK:
        yield { ...common, type: "hook", hook: u32(p), table: u32(p + 4), verdict: u32(p + 8) };
        break;
      case abi.OBS_RULE:
        yield { ...common, type: "rule", hook: u32(p), table: u32(p + 4), chain: u32(p + 8), rule: u32(p + 12), verdict: u32(p + 16) };
        break;
      case abi.OBS_NFT:
        yield { ...common, type: "nft", chain: u32(p), handle: u32(p + 4), verdict: u32(p + 8), to: u32(p + 12), hook: u32(p + 16) };
        break;
      case abi.OBS_NAT:
        yield { ...common, type: "nat", kind: u32(p) === 0 ? "source" : "destination", protocol: u32(p + 4), from: address(p + 8),
          to: address(p + 24), fromPort: u32(p + 40), toPort: u32(p + 44) };
        break;
      case abi.OBS_CT:
        yield { ...common, type: "conntrack", ctinfo: u32(p), id: u32(p + 4), protocol: u32(p + 8), state: u32(p + 12) };
        break;
    }
  }
}

/** A frame at a device, out of the stream, without making an object of every other record. */
export interface FrameRecord {
  timeNs: number;
  netns: number;
  ifindex: number;
  received: boolean;
  bytes: Uint8Array;
}

/** Calls `take` with each frame record; the record and its bytes are reused by the next call. */
export const eachFrame = (bytes: Uint8Array, take: (frame: FrameRecord) => void): void => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const frame: FrameRecord = { timeNs: 0, netns: 0, ifindex: 0, received: false, bytes };
  for (let at = 0; at + abi.OBS_PAYLOAD <= bytes.length; ) {
    const size = view.getUint16(at + abi.OBS_SIZE8, true) * 8;
    if (size < abi.OBS_PAYLOAD) return;
    const type = view.getUint16(at + abi.OBS_TYPE, true);
    if (type === abi.OBS_FRAME_RX || type === abi.OBS_FRAME_TX) {
      const p = at + abi.OBS_PAYLOAD;
      frame.timeNs = view.getUint32(at + abi.OBS_TIME, true) + view.getUint32(at + abi.OBS_TIME + 4, true) * 4294967296;
      frame.netns = view.getUint32(at + abi.OBS_NETNS, true);
      frame.ifindex = view.getUint32(at + abi.OBS_IFINDEX, true);
      frame.received = type === abi.OBS_FRAME_RX;
      frame.bytes = bytes.subarray(p + 4, p + 4 + view.getUint32(p, true));
      take(frame);
    }
    at += size;
  }
};
