// Classic BPF: the machine of socket filters and of iptables' bpf match (net/core/filter.c, Documentation/networking/filter.rst).
// A program is {u16 code, u8 jt, u8 jf, u32 k}[]; A and X are 32 bits, M has 16 words.
import { Skb } from "../layout";
import { random32 } from "../mm/rng";
import { NetDevice } from "../layout";
import { be16, be32 } from "../wire/bytes";

export const BPF_INSTRUCTION: u32 = 8;
export const BPF_MAXINSNS: u32 = 4096;
const MEMORY_WORDS: u32 = 16;
/** Bytes of scratch that `cbpfRun` wants: M. */
export const BPF_SCRATCH: u32 = MEMORY_WORDS << 2;

// Classes, include/uapi/linux/bpf_common.h
const LD: u32 = 0, LDX: u32 = 1, ST: u32 = 2, STX: u32 = 3, ALU: u32 = 4, JMP: u32 = 5, RET: u32 = 6, MISC: u32 = 7;
// SKF_AD_OFF and what stands there, SKF_NET_OFF, SKF_LL_OFF
const AD_OFF: i32 = -0x1000, NET_OFF: i32 = -0x100000, LL_OFF: i32 = -0x200000;
const AD_PROTOCOL: u32 = 0, AD_PKTTYPE: u32 = 4, AD_IFINDEX: u32 = 8, AD_MARK: u32 = 20, AD_QUEUE: u32 = 24, AD_HATYPE: u32 = 28,
  AD_RXHASH: u32 = 32, AD_CPU: u32 = 36, AD_ALU_XOR_X: u32 = 40, AD_VLAN_TAG: u32 = 44, AD_VLAN_PRESENT: u32 = 48,
  AD_PAY_OFFSET: u32 = 52, AD_RANDOM: u32 = 56, AD_VLAN_TPID: u32 = 60, AD_MAX: u32 = 64;
const ARPHRD_ETHER: u32 = 1;
const ETH_HEADER: i32 = 14;

/** chk_code_allowed: the instructions there are. */
function codeAllowed(code: u32): bool {
  if (code > 0xff) return false;
  switch (code & 7) {
    case LD: // W, H, B by ABS, IND; W by IMM, MEM, LEN
      switch (code) { case 0x00: case 0x60: case 0x80: case 0x20: case 0x28: case 0x30: case 0x40: case 0x48: case 0x50: return true; default: return false; }
    case LDX: return code == 0x01 || code == 0x61 || code == 0x81 || code == 0xb1;
    case ST: return code == 0x02;
    case STX: return code == 0x03;
    case ALU: {
      const operation = code & 0xf0;
      return operation <= 0xa0 && (operation != 0x80 || code == 0x84);
    }
    case JMP: return code == 0x05 || ((code & 0xf0) >= 0x10 && (code & 0xf0) <= 0x40);
    case RET: return code == 0x06 || code == 0x16;
    default: return code == 0x07 || code == 0x87;
  }
}

/** bpf_check_classic and check_load_and_stores: every path ends in a return, and reads only words of M that it wrote. */
export function cbpfCheck(program: usize, count: u32, masks: usize): bool {
  if (count == 0 || count > BPF_MAXINSNS) return false;
  for (let pc: u32 = 0; pc < count; pc++) {
    const i = program + <usize>(pc * BPF_INSTRUCTION);
    const code = <u32>load<u16>(i), k = load<u32>(i, 4);
    if (!codeAllowed(code)) return false;
    switch (code) {
      case 0x34: case 0x94: if (k == 0) return false; break; // division by a constant 0
      case 0x64: case 0x74: if (k >= 32) return false; break;
      case 0x60: case 0x61: case 0x02: case 0x03: if (k >= MEMORY_WORDS) return false; break;
      case 0x05: if (k >= count - pc - 1) return false; break;
      case 0x20: case 0x28: case 0x30:
        if (<i32>k >= AD_OFF && <i32>k < 0) { if (!ancillaryKnown(k - <u32>AD_OFF)) return false; }
        break;
      default:
        if ((code & 7) == JMP && (pc + <u32>load<u8>(i, 2) + 1 >= count || pc + <u32>load<u8>(i, 3) + 1 >= count)) return false;
    }
  }
  const last = <u32>load<u16>(program + <usize>((count - 1) * BPF_INSTRUCTION));
  if (last != 0x06 && last != 0x16) return false;
  // Which words are written on every way to an instruction: masks[pc], u16; all ones: no way yet.
  memory.fill(masks, 0xff, <usize>(count << 1));
  let valid: u32 = 0;
  for (let pc: u32 = 0; pc < count; pc++) {
    const i = program + <usize>(pc * BPF_INSTRUCTION);
    const code = <u32>load<u16>(i), k = load<u32>(i, 4);
    valid &= <u32>load<u16>(masks + (<usize>pc << 1));
    if (code == 0x02 || code == 0x03) valid |= 1 << k;
    else if (code == 0x60 || code == 0x61) { if (!(valid & (1 << k))) return false; }
    else if (code == 0x05) {
      restrict(masks, pc + 1 + k, valid);
      valid = 0xffffffff;
    } else if ((code & 7) == JMP) {
      restrict(masks, pc + 1 + <u32>load<u8>(i, 2), valid);
      restrict(masks, pc + 1 + <u32>load<u8>(i, 3), valid);
      valid = 0xffffffff;
    }
  }
  return true;
}

function restrict(masks: usize, pc: u32, valid: u32): void {
  const at = masks + (<usize>pc << 1);
  store<u16>(at, <u16>(<u32>load<u16>(at) & valid));
}

function ancillaryKnown(what: u32): bool {
  return what < AD_MAX && (what & 3) == 0 && what != 12 && what != 16;
}

/** Where `size` bytes at offset `k` stand, or 0: not in the packet. Negative offsets are from the network or link header. */
function find(skb: Skb, base: usize, k: i32, size: u32): usize {
  let at: usize = 0;
  if (k >= 0) at = base + <usize>k;
  else if (k >= NET_OFF) at = skb.network + <usize>(k - NET_OFF);
  else if (k >= LL_OFF && skb.mac != 0) at = skb.mac + <usize>(k - LL_OFF);
  else return 0;
  return at < skb.tail && <u32>(skb.tail - at) >= size ? at : 0;
}

function ancillary(what: u32, skb: Skb): u32 {
  const dev = skb.dev != 0 ? skb.dev : skb.rtDev;
  switch (what) {
    case AD_PROTOCOL: return skb.protocol;
    case AD_PKTTYPE: return skb.pktType;
    case AD_IFINDEX: return dev == 0 ? 0 : changetype<NetDevice>(dev).ifindex;
    case AD_MARK: return skb.mark;
    case AD_HATYPE: return dev == 0 ? 0 : ARPHRD_ETHER;
    case AD_RANDOM: return random32();
    case AD_PAY_OFFSET: return <u32>(skb.tail - skb.network) > 20 ? (<u32>load<u8>(skb.network) & 15) << 2 : 0;
    default: return 0; // queue, hash, CPU, VLAN tag
  }
}

/**
 * Runs a checked program on the packet from `base` on (its IP header, or what a socket gets): what it returns. `scratch`: BPF_SCRATCH bytes.
 */
export function cbpfRun(program: usize, count: u32, skb: Skb, scratch: usize, base: usize = skb.network): u32 {
  let a: u32 = 0, x: u32 = 0, pc: u32 = 0;
  const length = <u32>(skb.tail - base);
  while (pc < count) {
    const i = program + <usize>(pc * BPF_INSTRUCTION);
    const code = <u32>load<u16>(i), k = load<u32>(i, 4);
    pc++;
    switch (code & 7) {
      case LD: case LDX: {
        let value: u32 = 0;
        switch (code & 0xe0) {
          case 0x00: value = k; break;
          case 0x60: value = load<u32>(scratch + (<usize>k << 2)); break;
          case 0x80: value = length; break;
          case 0xa0: { // 4*([k]&0xf)
            const at = find(skb, base, <i32>k, 1);
            if (at == 0) return 0;
            value = (<u32>load<u8>(at) & 15) << 2;
            break;
          }
          default: {
            const indirect = (code & 0xe0) == 0x40;
            if (!indirect && <i32>k >= AD_OFF && <i32>k < 0) {
              const what = k - <u32>AD_OFF;
              if (what == AD_ALU_XOR_X) value = a ^ x;
              else value = ancillary(what, skb);
              break;
            }
            const size: u32 = code & 0x18 ? (code & 0x18) == 8 ? 2 : 1 : 4;
            const at = find(skb, base, <i32>(indirect ? x + k : k), size);
            if (at == 0) return 0;
            value = size == 4 ? be32(at, 0) : size == 2 ? be16(at, 0) : <u32>load<u8>(at);
          }
        }
        if ((code & 7) == LD) a = value;
        else x = value;
        break;
      }
      case ST: store<u32>(scratch + (<usize>k << 2), a); break;
      case STX: store<u32>(scratch + (<usize>k << 2), x); break;
      case ALU: {
        const operand = code & 8 ? x : k;
        switch (code & 0xf0) {
          case 0x00: a += operand; break;
          case 0x10: a -= operand; break;
          case 0x20: a *= operand; break;
          case 0x30: if (operand == 0) return 0; a = a / operand; break;
          case 0x40: a |= operand; break;
          case 0x50: a &= operand; break;
          case 0x60: a = a << (operand & 31); break;
          case 0x70: a = a >>> (operand & 31); break;
          case 0x80: a = 0 - a; break;
          case 0x90: if (operand == 0) return 0; a = a % operand; break;
          default: a ^= operand;
        }
        break;
      }
      case JMP: {
        const operand = code & 8 ? x : k;
        let yes = false;
        switch (code & 0xf0) {
          case 0x00: pc += k; continue;
          case 0x10: yes = a == operand; break;
          case 0x20: yes = a > operand; break;
          case 0x30: yes = a >= operand; break;
          default: yes = (a & operand) != 0;
        }
        pc += yes ? <u32>load<u8>(i, 2) : <u32>load<u8>(i, 3);
        break;
      }
      case RET: return code == 0x16 ? a : k;
      default:
        if (code == 0x07) x = a;
        else a = x;
    }
  }
  return 0;
}
