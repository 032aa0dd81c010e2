/**
 * Random programs that do little but call helpers on packets: each answer goes into what the program returns, and what the helpers did
 * is in the packet and the context afterwards. The host's kernel and ours are asked the same (record.ts).
 */
import { createHash } from "node:crypto";
import { encodeInsns, type Insn } from "../../../src/bpf/insn.ts";
import { Helper } from "../../../src/bpf/uapi.ts";

export interface PacketCase {
  readonly type: "sched_cls" | "xdp" | "cgroup_skb" | "lwt_xmit" | "socket_filter";
  /** What it does, for reading. */
  readonly note: string;
  readonly program: string;
  readonly data_in: string;
  readonly ctx_in?: string;
}

/** Numbers below `n`, by a small generator of its own: cases are the same on every machine. */
export function dice(seed: number): (n: number) => number {
  let state = seed >>> 0 || 1;
  return (n) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % n;
  };
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

const insn = (code: number, dst: number, src: number, off: number, imm: number): Insn => ({ code, dst, src, off, imm });
const mov = (dst: number, imm: number): Insn => insn(0xb7, dst, 0, 0, imm);
const movReg = (dst: number, src: number): Insn => insn(0xbf, dst, src, 0, 0);
/** r9 = r9 * 31 + (u32) r0 */
const fold: readonly Insn[] = [insn(0xbc, 0, 0, 0, 0), insn(0x27, 9, 0, 0, 31), insn(0x0f, 9, 0, 0, 0)];
const call = (helper: number): Insn => insn(0x85, 0, 0, 0, helper);
const ctx: Insn = movReg(1, 6);
/** dst = fp - 128 + at */
const stack = (dst: number, at: number): readonly Insn[] => [movReg(dst, 10), insn(0x07, dst, 0, 0, at - 128)];
const STACK = 128;

type Roll = (n: number) => number;
interface Step { readonly note: string; readonly insns: readonly Insn[] }

const pick = <T>(roll: Roll, list: readonly T[]): T => list[roll(list.length)]!;
const step = (note: string, ...insns: readonly Insn[]): Step => ({ note, insns: [...insns, ...fold] });

/** An offset near the headers, sometimes wild. */
const offset = (roll: Roll): number => pick(roll, [0, 12, 14, 16, 20, 23, 24, 26, 30, 34, 36, 38, 40, 50, 54, roll(100), roll(70000), -1, -roll(40)]);
const csumFlags = (roll: Roll): number => pick(roll, [0, 2, 4, 0x10, 0x12, 0x14, 0x22, 0x24, 0x34, 0x44, 0x64, 0x74, 1, 3, 0x84, 0x100, roll(256)]);

const SKB: readonly ((roll: Roll) => Step)[] = [
  (roll) => {
    const at = offset(roll), length = 1 + roll(40), flags = pick(roll, [0, 1, 2, 3, 4]);
    return step(`store_bytes ${at} ${length} ${flags}`, ctx, mov(2, at), ...stack(3, roll(64)), mov(4, length), mov(5, flags), call(Helper.skb_store_bytes));
  },
  (roll) => {
    const at = offset(roll), length = 1 + roll(40);
    return step(`load_bytes ${at} ${length}`, ctx, mov(2, at), ...stack(3, 64), mov(4, length), call(Helper.skb_load_bytes));
  },
  (roll) => {
    const at = offset(roll), length = 1 + roll(40), from = roll(3);
    return step(`load_bytes_relative ${at} ${length} ${from}`, ctx, mov(2, at), ...stack(3, 64), mov(4, length), mov(5, from), call(Helper.skb_load_bytes_relative));
  },
  (roll) => {
    const at = pick(roll, [24, 24, 24, offset(roll)]), from = pick(roll, [0, roll(65536), roll(0x7fffffff)]), to = roll(0x7fffffff), flags = csumFlags(roll);
    return step(`l3_csum_replace ${at} ${from} ${to} ${flags}`, ctx, mov(2, at), mov(3, from), mov(4, to), mov(5, flags), call(Helper.l3_csum_replace));
  },
  (roll) => {
    const at = pick(roll, [40, 50, 40, offset(roll)]), from = pick(roll, [0, roll(65536), roll(0x7fffffff)]), to = roll(0x7fffffff), flags = csumFlags(roll);
    return step(`l4_csum_replace ${at} ${from} ${to} ${flags}`, ctx, mov(2, at), mov(3, from), mov(4, to), mov(5, flags), call(Helper.l4_csum_replace));
  },
  (roll) => {
    const protocol = pick(roll, [0, 0x0081, 0xa888, 0x0008]), tci = roll(65536);
    return step(`vlan_push ${protocol} ${tci}`, ctx, mov(2, protocol), mov(3, tci), call(Helper.skb_vlan_push));
  },
  () => step("vlan_pop", ctx, call(Helper.skb_vlan_pop)),
  (roll) => {
    const protocol = pick(roll, [0x0008, 0xdd86, 0xdd86, 0x0608]), flags = pick(roll, [0, 0, 0, 1]);
    return step(`change_proto ${protocol} ${flags}`, ctx, mov(2, protocol), mov(3, flags), call(Helper.skb_change_proto));
  },
  (roll) => {
    const type = roll(6);
    return step(`change_type ${type}`, ctx, mov(2, type), call(Helper.skb_change_type));
  },
  (roll) => {
    const length = pick(roll, [14, 20, 34, 42, 54, 60, roll(200), roll(2000), roll(20000)]), flags = pick(roll, [0, 0, 0, 1]);
    return step(`change_tail ${length} ${flags}`, ctx, mov(2, length), mov(3, flags), call(Helper.skb_change_tail));
  },
  (roll) => {
    const length = pick(roll, [0, 4, 14, roll(100), -1, roll(20000)]), flags = pick(roll, [0, 0, 0, 1]);
    return step(`change_head ${length} ${flags}`, ctx, mov(2, length), mov(3, flags), call(Helper.skb_change_head));
  },
  (roll) => {
    const length = pick(roll, [20, 28, 40, 8, 4, -4, -8, -20, -40, roll(100) - 50, roll(9000) - 4500]), mode = pick(roll, [0, 1, 0, 1, 2]);
    const low = pick(roll, [0, 0, 2, 4, 6, 10, 18, 26, 20, 12, 66, 32, 128, 256, 384, 1, roll(512), 512]);
    const l2 = low & 6 ? pick(roll, [0, 0, 0, 14, 50]) : pick(roll, [0, 0, 14]);
    return step(`adjust_room ${length} ${mode} ${low} l2 ${l2}`, ctx, mov(2, length), mov(3, mode),
      insn(0x18, 4, 0, 0, low), insn(0, 0, 0, 0, l2 << 24), call(Helper.skb_adjust_room));
  },
  (roll) => {
    const length = pick(roll, [0, 14, 34, 54, roll(200), roll(5000)]);
    return step(`pull_data ${length}`, ctx, mov(2, length), call(Helper.skb_pull_data));
  },
  (roll) => {
    const level = roll(6);
    return step(`csum_level ${level}`, ctx, mov(2, level), call(Helper.csum_level));
  },
  (roll) => step("csum_update", ctx, mov(2, roll(65536)), call(Helper.csum_update)),
  (roll) => {
    const hash = roll(0x7fffffff);
    return step(`set_hash ${hash}`, ctx, mov(2, hash), call(Helper.set_hash), movReg(0, 0), ...fold, insn(0x61, 0, 6, 68, 0));
  },
  () => step("set_hash_invalid", ctx, call(Helper.set_hash_invalid), insn(0x61, 0, 6, 68, 0)),
  () => step("ecn_set_ce", ctx, call(Helper.skb_ecn_set_ce)),
  (roll) => {
    const time = pick(roll, [0, 1000]), type = roll(4);
    return step(`set_tstamp ${time} ${type}`, ctx, mov(2, time), mov(3, type), call(Helper.skb_set_tstamp));
  },
  (roll) => {
    const difference = pick(roll, [0, 10, -10, 66000, -66000]), flags = pick(roll, [0, 0, 1, 2]), length = pick(roll, [0, 0, 100, 65536, 65537]);
    return step(`check_mtu ${length} ${difference} ${flags}`, insn(0x62, 10, 0, -8, length), ctx, mov(2, pick(roll, [0, 1, 1, 77])), movReg(3, 10), insn(0x07, 3, 0, 0, -8), mov(4, difference),
      mov(5, flags), call(Helper.check_mtu), insn(0x61, 7, 10, -8, 0), insn(0x0f, 9, 7, 0, 0));
  },
  (roll) => step("redirect", mov(1, roll(3)), mov(2, pick(roll, [0, 1, 2])), call(Helper.redirect)),
  (roll) => step("redirect_peer", mov(1, roll(3)), mov(2, pick(roll, [0, 1])), call(Helper.redirect_peer)),
  (roll) => step("clone_redirect", ctx, mov(2, 99), mov(3, pick(roll, [0, 1, 2])), call(Helper.clone_redirect)),
  () => step("get_cgroup_classid", ctx, call(Helper.get_cgroup_classid)),
  () => step("get_route_realm", ctx, call(Helper.get_route_realm)),
];

const CGROUP = [0, 1, 2, 12].map((i) => SKB[i]!);
const XDP: readonly ((roll: Roll) => Step)[] = [
  (roll) => {
    const by = pick(roll, [14, -14, 4, -4, 20, -20, -100, -216, -220, 40, 60, roll(100), -roll(300)]);
    return step(`adjust_head ${by}`, ctx, mov(2, by), call(Helper.xdp_adjust_head));
  },
  (roll) => {
    const by = pick(roll, [-4, -8, -32, -252, -256, 4, 8, 1, -3, roll(20), -roll(300)]);
    return step(`adjust_meta ${by}`, ctx, mov(2, by), call(Helper.xdp_adjust_meta));
  },
  (roll) => {
    const by = pick(roll, [10, -10, 100, -20, 1000, 3000, 3600, roll(200), -roll(100)]);
    return step(`adjust_tail ${by}`, ctx, mov(2, by), call(Helper.xdp_adjust_tail));
  },
  () => step("get_buff_len", ctx, call(Helper.xdp_get_buff_len)),
  (roll) => {
    const at = offset(roll), length = 1 + roll(40);
    return step(`xdp_load_bytes ${at} ${length}`, ctx, mov(2, at), ...stack(3, 64), mov(4, length), call(Helper.xdp_load_bytes));
  },
  (roll) => {
    const at = offset(roll), length = 1 + roll(40);
    return step(`xdp_store_bytes ${at} ${length}`, ctx, mov(2, at), ...stack(3, roll(64)), mov(4, length), call(Helper.xdp_store_bytes));
  },
  (roll) => {
    const difference = pick(roll, [0, 10, -10, 66000]), flags = pick(roll, [0, 0, 1]), length = pick(roll, [0, 0, 100, 65537]);
    return step(`check_mtu ${length} ${difference} ${flags}`, insn(0x62, 10, 0, -8, length), ctx, mov(2, pick(roll, [0, 1, 77])), movReg(3, 10), insn(0x07, 3, 0, 0, -8), mov(4, difference),
      mov(5, flags), call(Helper.check_mtu), insn(0x61, 7, 10, -8, 0), insn(0x0f, 9, 7, 0, 0));
  },
  (roll) => step("redirect", mov(1, roll(3)), mov(2, pick(roll, [0, 1])), call(Helper.redirect)),
];

/** Words of struct __sk_buff that are looked at in the end. */
const SKB_WORDS = [0, 4, 8, 16, 20, 24, 28, 32, 36, 40, 44, 160];

/** A frame: IPv4, IPv6, tagged or something else, sometimes cut. */
function frame(roll: Roll): Uint8Array {
  const mac = [0x02, 0, 0, 0, 0, roll(4), 0x02, 0, 0, 0, 0, 2];
  if (roll(6) === 0) mac.splice(0, 6, ...pick(roll, [[255, 255, 255, 255, 255, 255], [0, 0, 0, 0, 0, 0], [1, 0, 0x5e, 0, 0, 1]]));
  const payload = Array.from({ length: roll(60) }, () => roll(256));
  const four = (protocol: number, l4: readonly number[]): number[] => {
    const total = 20 + l4.length + payload.length;
    return [0x45, roll(256), total >> 8, total & 255, 0x12, 0x34, 0x40, 0, 64, protocol, roll(256), roll(256), 192, 0, 2, 1, 198, 51, 100, 7, ...l4, ...payload];
  };
  const tcp = [0x04, 0xd2, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 0x20, 0, roll(256), roll(256), 0, 0];
  const udp = [0x13, 0x88, 0, 53, 0, 8 + payload.length, ...pick(roll, [[0, 0], [roll(256), roll(256)]])];
  const six = [0x60 | roll(16), roll(256), 0, 0, 0, 8 + payload.length, 17, 64, ...Array.from({ length: 32 }, (_, i) => i), ...udp, ...payload];
  const body = pick(roll, [
    [0x08, 0, ...four(6, tcp)], [0x08, 0, ...four(17, udp)], [0x08, 0, ...four(17, udp)], [0x86, 0xdd, ...six],
    [0x81, 0, 0, 5, 0x08, 0, ...four(17, udp)], [0x88, 0xa8, 0, 9, 0x81, 0, 0x20, 7, 0x08, 0, ...four(6, tcp)],
    [0x08, 0x06, ...payload], [0, roll(256), ...payload], [0x88, 0xcc],
  ]);
  const whole = Uint8Array.from([...mac, ...body]);
  return roll(8) === 0 ? whole.subarray(0, 14 + roll(whole.length - 13)) : whole;
}

/** struct __sk_buff as the caller of a test run may fill it in. */
function skbContext(roll: Roll): string {
  const bytes = new Uint8Array(192);
  const view = new DataView(bytes.buffer);
  for (const at of [8, 32, 36, 48, 52, 56, 60, 64]) if (roll(2)) view.setUint32(at, roll(0x7fffffff), true);
  if (roll(4) === 0) view.setBigUint64(152, BigInt(roll(1e9)), true);
  if (roll(30) === 0) view.setUint32(pick(roll, [0, 4, 12, 68, 100, 160, 180]), 1 + roll(50), true);
  return hex(bytes);
}

export function packetCase(seed: number): PacketCase {
  const roll = dice(seed * 2654435761 + 12345);
  for (let i = 0; i < 8; i++) roll(2);
  const type = pick(roll, ["sched_cls", "sched_cls", "sched_cls", "xdp", "xdp", "cgroup_skb", "lwt_xmit"] as const);
  const list = type === "xdp" ? XDP : type === "cgroup_skb" ? CGROUP : type === "lwt_xmit" ? [...CGROUP, SKB[3]!, SKB[4]!, SKB[9]!, SKB[10]!] : SKB;
  const steps = Array.from({ length: 1 + roll(4) }, () => pick(roll, list)(roll));
  const begin: Insn[] = [movReg(6, 1), mov(9, 0)];
  for (let at = -STACK; at < 0; at += 8) begin.push(insn(0x7a, 10, 0, at, roll(0x7fffffff)));
  // The bytes that were read count, too.
  const end: Insn[] = [];
  for (let at = -64; at < -8; at += 8) end.push(insn(0x79, 0, 10, at, 0), ...fold);
  if (type === "xdp") {
    end.push(insn(0x61, 1, 6, 0, 0), insn(0x61, 2, 6, 8, 0), insn(0x1f, 1, 2, 0, 0), movReg(0, 1), ...fold);
    for (const at of [12, 16]) end.push(insn(0x61, 0, 6, at, 0), ...fold);
  } else for (const at of SKB_WORDS) if (type === "sched_cls" || at < 36) end.push(insn(0x61, 0, 6, at, 0), ...fold);
  if (type === "sched_cls" && roll(2)) end.push(insn(0x62, 6, 0, 8, roll(1000)), insn(0x62, 6, 0, 52, roll(1000)), insn(0x62, 6, 0, 32, roll(1000)));
  end.push(movReg(0, 9), ...(type === "cgroup_skb" ? [insn(0x57, 0, 0, 0, 1)] : []), insn(0x95, 0, 0, 0, 0));
  const program = hex(encodeInsns([...begin, ...steps.flatMap(({ insns }) => insns), ...end]));
  const data = frame(roll);
  return {
    type, note: steps.map(({ note }) => note).join("; "), program, data_in: hex(data),
    ...(type !== "xdp" && roll(2) === 1 && { ctx_in: skbContext(roll) }),
  };
}

/** Packet and context afterwards, as the recording keeps them. */
export const digest = ({ data_out, ctx_out }: { readonly data_out: string; readonly ctx_out: string }): string =>
  createHash("sha256").update(`${data_out} ${ctx_out}`).digest("hex").slice(0, 16);
