// Interface identifiers that stay for a prefix and tell nothing (RFC 7217): the first words of SHA-1 over a secret, the prefix, the MAC and a
// count (net/ipv6/addrconf.c, ipv6_generate_stable_address).
import { DEV_NIC } from "../abi/net";
import { CONF6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_RANDOM } from "../abi/net6";
import { NetDevice, Netns } from "../layout";
import { random32 } from "../mm/rng";
import { kfree, kmalloc } from "../mm/slab";
import { conf6, inet6Of, netns6 } from "./inet6";

const BLOCK: u32 = 64;

/**
 * The identifier for the prefix `hi` of the device, with `count` addresses before it that somebody else had; 0: it has no secret, or no
 * memory. A device whose addr_gen_mode is "random" makes a secret up.
 */
export function stableAddress(dev: NetDevice, hi: u64, count: u32): u64 {
  const own = inet6Of(dev);
  if (own.secret == 0 && conf6(dev, CONF6_ADDR_GEN_MODE) == IN6_ADDR_GEN_MODE_RANDOM) {
    own.secret = kmalloc(16);
    if (own.secret != 0) for (let i: usize = 0; i < 16; i += 4) store<u32>(own.secret + i, random32());
  }
  const secret = own.secret != 0 ? own.secret : netns6(changetype<Netns>(dev.ns)).secretDefault;
  if (secret == 0) return 0;
  // {secret, prefix, hwaddr[32], count}, and the schedule of 80 words.
  const block = kmalloc(BLOCK + 320);
  if (block == 0) return 0;
  let id: u64 = 0;
  for (let tries = count; tries < count + 4; tries++) {
    memory.fill(block, 0, BLOCK);
    memory.copy(block, secret, 16);
    store<u64>(block, hi, 16);
    // The permanent address, which virtual devices have not.
    if (dev.kind == DEV_NIC) {
      store<u32>(block, dev.mac0, 24);
      store<u16>(block, <u16>dev.mac1, 28);
    }
    store<u8>(block, <u8>tries, 56);
    id = sha1First(block, block + BLOCK);
    if (!reserved(id)) break;
  }
  kfree(block, BLOCK + 320);
  return id;
}

/** ipv6_reserved_interfaceid: the subnet-router's, those of proxy mobile IPv6, and the anycast ones. */
function reserved(id: u64): bool {
  if (id == 0) return true;
  const high = bswap<u32>(<u32>id), low = bswap<u32>(<u32>(id >> 32));
  return (high == 0x02005eff && (low & 0xfe000000) == 0xfe000000) || (high == 0xfdffffff && (low & 0xffffff80) == 0xffffff80);
}

/** The first two words of one round of SHA-1 (FIPS 180-4) as they stand in memory. */
function sha1First(block: usize, w: usize): u64 {
  for (let t: usize = 0; t < 16; t++) store<u32>(w + (t << 2), bswap<u32>(load<u32>(block + (t << 2))));
  for (let t: usize = 16; t < 80; t++) {
    const at = w + (t << 2);
    store<u32>(at, rotl<u32>(load<u32>(at - 12) ^ load<u32>(at - 32) ^ load<u32>(at - 56) ^ load<u32>(at - 64), 1));
  }
  let a: u32 = 0x67452301, b: u32 = 0xefcdab89, c: u32 = 0x98badcfe, d: u32 = 0x10325476, e: u32 = 0xc3d2e1f0;
  for (let t: usize = 0; t < 80; t++) {
    let f: u32, k: u32;
    if (t < 20) {
      f = (b & c) | (~b & d);
      k = 0x5a827999;
    } else if (t < 40) {
      f = b ^ c ^ d;
      k = 0x6ed9eba1;
    } else if (t < 60) {
      f = (b & c) | (b & d) | (c & d);
      k = 0x8f1bbcdc;
    } else {
      f = b ^ c ^ d;
      k = 0xca62c1d6;
    }
    const next = rotl<u32>(a, 5) + f + e + k + load<u32>(w + (t << 2));
    e = d;
    d = c;
    c = rotl<u32>(b, 30);
    b = a;
    a = next;
  }
  return <u64>(a + 0x67452301) | (<u64>(b + 0xefcdab89) << 32);
}
