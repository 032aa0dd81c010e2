// Addresses of IPv6 by number. Connections and what matches remember hold addresses in 32 bits; those of IPv4 are held as they are,
// those of IPv6 as the place where the node keeps the 16 bytes once, for as long as something holds them. So both families have the
// same tuples, tables and entries.
import { hashWord, mix32 } from "../mm/hash";
import { node } from "../mm/node";
import { kfree, kmalloc } from "../mm/slab";

@unmanaged class Held {
  next: usize;
  uses: u32;
  hi: u64; lo: u64;
}
const HELD_BYTES: u32 = <u32>offsetof<Held>();
const BYTES_AT: usize = offsetof<Held>("hi");

@unmanaged class HeldTable {
  buckets: usize;
  mask: u32;
  count: u32;
  /** How many nothing holds. */
  idle: u32;
}
const TABLE_BYTES: u32 = <u32>offsetof<HeldTable>();
const FIRST: u32 = 64;
/** So many that nothing holds stay until the next sweep. */
const IDLE_MAX: u32 = 1024;

@inline function table(): HeldTable {
  return changetype<HeldTable>(node().addresses6);
}

function hashOf(hi: u64, lo: u64): u32 {
  return mix32(hashWord(hashWord(hashWord(<u32>hi, <u32>(hi >> 32)), <u32>lo), <u32>(lo >> 32)));
}

/** The number of an address, or 0: nothing has it, or there is no memory. It stays good while it is held, or until the next sweep. */
export function address6(hi: u64, lo: u64): u32 {
  const n = node();
  if (n.addresses6 == 0) {
    const at = kmalloc(TABLE_BYTES);
    if (at == 0) return 0;
    const fresh = changetype<HeldTable>(at);
    fresh.buckets = kmalloc(FIRST << 2);
    if (fresh.buckets == 0) {
      kfree(at, TABLE_BYTES);
      return 0;
    }
    fresh.mask = FIRST - 1;
    n.addresses6 = at;
  }
  const t = table();
  const found = find(t, hi, lo);
  if (found != 0) return <u32>found;
  const at = kmalloc(HELD_BYTES);
  if (at == 0) return 0;
  const held = changetype<Held>(at);
  held.hi = hi;
  held.lo = lo;
  if (t.count > t.mask) grow(t);
  const bucket = t.buckets + (<usize>(hashOf(hi, lo) & t.mask) << 2);
  held.next = load<usize>(bucket);
  store<usize>(bucket, at);
  t.count++;
  t.idle++;
  return <u32>at;
}

/** The number of an address that something may hold, or 0. Makes none. */
export function address6Known(hi: u64, lo: u64): u32 {
  const t = table();
  return changetype<usize>(t) == 0 ? 0 : <u32>find(t, hi, lo);
}

function find(t: HeldTable, hi: u64, lo: u64): usize {
  let at = load<usize>(t.buckets + (<usize>(hashOf(hi, lo) & t.mask) << 2));
  while (at != 0) {
    const held = changetype<Held>(at);
    if (held.lo == lo && held.hi == hi) return at;
    at = held.next;
  }
  return 0;
}

function grow(t: HeldTable): void {
  const old = t.mask + 1;
  if (old >= 0x1000000) return;
  const buckets = kmalloc(old << 3);
  if (buckets == 0) return;
  const before = t.buckets;
  t.buckets = buckets;
  t.mask = (old << 1) - 1;
  for (let i: u32 = 0; i < old; i++) {
    let at = load<usize>(before + (<usize>i << 2));
    while (at != 0) {
      const held = changetype<Held>(at), next = held.next;
      const bucket = buckets + (<usize>(hashOf(held.hi, held.lo) & t.mask) << 2);
      held.next = load<usize>(bucket);
      store<usize>(bucket, at);
      at = next;
    }
  }
  kfree(before, old << 2);
}

/** The 16 bytes of the address of a number. */
@inline export function bytes6(number: u32): usize {
  return <usize>number + BYTES_AT;
}

/** One more that holds it; 0 is no address. */
export function hold6(number: u32): void {
  if (number != 0 && changetype<Held>(<usize>number).uses++ == 0) table().idle--;
}

export function release6(number: u32): void {
  if (number != 0 && --changetype<Held>(<usize>number).uses == 0) table().idle++;
}

/** Forgets what nothing holds, once that is much. To be called where no number is in use that is not held. */
export function sweep6(): void {
  const t = table();
  if (changetype<usize>(t) == 0 || t.idle < IDLE_MAX || t.idle < t.count >>> 1) return;
  for (let i: u32 = 0; i <= t.mask; i++) {
    let link = t.buckets + (<usize>i << 2);
    while (load<usize>(link) != 0) {
      const held = changetype<Held>(load<usize>(link));
      if (held.uses != 0) {
        link = changetype<usize>(held);
        continue;
      }
      store<usize>(link, held.next);
      kfree(changetype<usize>(held), HELD_BYTES);
      t.count--;
    }
  }
  t.idle = 0;
}
