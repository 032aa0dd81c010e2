// Longest prefix match, kernel/bpf/lpm_trie.c. The key is {u32 prefixlen, bytes in network order}. A node has a prefix and up to two nodes
// with longer ones; one without a value (intermediate) stands where two prefixes part, and has always two.
//
//   node │ child u32 │ child u32 │ prefixlen u32 │ intermediate u32 │ bytes, padded to 8 │ words │ value │
//
// Keys of 4 and 16 bytes (addresses) stand there as words in host order, too, which look-ups compare at once: those of 4 bytes in the
// padding, those of 16 in two words behind it.
import { EEXIST, EINVAL, ENOENT, ENOMEM, ENOSPC } from "../../abi/core";
import { copyBytes } from "../../mm/copy";
import { kfree, kmalloc } from "../../mm/slab";
import { BPF_EXIST, BPF_NOEXIST } from "./flags";
import { BpfMap } from "./map";

const PREFIX: usize = 8, INTERMEDIATE: usize = 12, DATA: usize = 16;
const WORD: usize = 20, WORDS: usize = 32;
const KEY_IPV4: u32 = 8, KEY_IPV6: u32 = 20;
/** Where a key's bytes begin. */
const KEY_DATA: usize = 4;
/** Deeper than any path: a prefix has 2048 bits at most. */
const PATH_MAX: u32 = 2050;

@inline function maxPrefix(map: BpfMap): u32 {
  return (map.keySize - <u32>KEY_DATA) << 3;
}
@inline function prefix(node: usize): u32 {
  return load<u32>(node, PREFIX);
}
@inline function child(node: usize, bit: u32): usize {
  return <usize>load<u32>(node + <usize>(bit << 2));
}
@inline function isIntermediate(node: usize): bool {
  return load<u32>(node, INTERMEDIATE) != 0;
}
@inline function bitAt(data: usize, index: u32): u32 {
  return (<u32>load<u8>(data + <usize>(index >>> 3)) >>> (7 - (index & 7))) & 1;
}

/** How many leading bits are the same, up to the shorter of the two prefixes. */
function matched(map: BpfMap, node: usize, key: usize): u32 {
  const limit = min<u32>(prefix(node), load<u32>(key));
  const bytes = map.keySize - <u32>KEY_DATA, a = node + DATA, b = key + KEY_DATA;
  let at: u32 = 0;
  for (; at + 4 <= bytes; at += 4) {
    const differ = load<u32>(a + <usize>at) ^ load<u32>(b + <usize>at);
    if (differ != 0) return min<u32>((at << 3) + clz<u32>(bswap<u32>(differ)), limit);
    if (at << 3 >= limit) return limit;
  }
  for (; at < bytes; at++) {
    const differ = <u32>(load<u8>(a + <usize>at) ^ load<u8>(b + <usize>at));
    if (differ != 0) return min<u32>((at << 3) + clz<u32>(differ) - 24, limit);
  }
  return limit;
}

export function trieInit(map: BpfMap): bool {
  map.valueAt = <u32>DATA + ((map.keySize - <u32>KEY_DATA + 7) & ~7) + (map.keySize == KEY_IPV6 ? 16 : 0);
  map.elementBytes = map.valueAt + map.stride;
  return true;
}

function nodeNew(map: BpfMap): usize {
  const at = map.free;
  if (at == 0) return kmalloc(map.elementBytes);
  map.free = <usize>load<u32>(at, INTERMEDIATE);
  store<u64>(at, 0);
  store<u32>(at, 0, INTERMEDIATE);
  return at;
}

/** Gives a node its prefix: the bytes at `data` in network order. */
function setPrefix(map: BpfMap, node: usize, length: u32, data: usize): void {
  store<u32>(node, length, PREFIX);
  copyBytes(node + DATA, data, <usize>map.keySize - KEY_DATA);
  if (map.keySize == KEY_IPV4) store<u32>(node, bswap<u32>(load<u32>(data)), WORD);
  else if (map.keySize == KEY_IPV6) {
    store<u64>(node, bswap<u64>(load<u64>(data)), WORDS);
    store<u64>(node, bswap<u64>(load<u64>(data, 8)), WORDS + 8);
  }
}

/** The value stays readable until the node is used again. */
function nodeFree(map: BpfMap, node: usize): void {
  store<u32>(node, <u32>map.free, INTERMEDIATE);
  map.free = node;
}

/** The value of the longest prefix that the key lies in, 0: none. */
export function trieLookup(map: BpfMap, key: usize): usize {
  const found = map.keySize == KEY_IPV4 ? find32(map.priv, key) : map.keySize == KEY_IPV6 ? find128(map.priv, key) : find(map, key);
  return found == 0 ? 0 : found + <usize>map.valueAt;
}

// A node lies on the way when its whole prefix matches, which asks for as many bits of the key, too.

function find32(root: usize, key: usize): usize {
  const length = load<u32>(key), word = bswap<u32>(load<u32>(key, KEY_DATA));
  if (length > 32) return 0;
  let found: usize = 0;
  for (let node = root; node != 0;) {
    const bits = prefix(node);
    if (min<u32>(clz<u32>(load<u32>(node, WORD) ^ word), length) < bits) break;
    if (!isIntermediate(node)) found = node;
    if (bits == 32) break;
    node = child(node, (word >>> (31 - bits)) & 1);
  }
  return found;
}

function find128(root: usize, key: usize): usize {
  const length = load<u32>(key), high = bswap<u64>(load<u64>(key, KEY_DATA)), low = bswap<u64>(load<u64>(key, KEY_DATA + 8));
  if (length > 128) return 0;
  let found: usize = 0;
  for (let node = root; node != 0;) {
    const bits = prefix(node), differ = load<u64>(node, WORDS) ^ high;
    const same = differ != 0 ? <u32>clz<u64>(differ) : 64 + <u32>clz<u64>(load<u64>(node, WORDS + 8) ^ low);
    if (min<u32>(same, length) < bits) break;
    if (!isIntermediate(node)) found = node;
    if (bits == 128) break;
    node = child(node, <u32>(bits < 64 ? high >>> <u64>(63 - bits) : low >>> <u64>(127 - bits)) & 1);
  }
  return found;
}

function find(map: BpfMap, key: usize): usize {
  const most = maxPrefix(map);
  if (load<u32>(key) > most) return 0;
  let found: usize = 0;
  for (let node = map.priv; node != 0;) {
    const bits = prefix(node);
    if (matched(map, node, key) < bits) break;
    if (!isIntermediate(node)) found = node;
    if (bits == most) break;
    node = child(node, bitAt(key + KEY_DATA, bits));
  }
  return found;
}

/** 0, -EINVAL (flags, prefix), -EEXIST, -ENOENT, -ENOSPC (full), -ENOMEM. */
export function trieUpdate(map: BpfMap, key: usize, value: usize, flags: u64): i32 {
  const most = maxPrefix(map), wanted = load<u32>(key);
  if (flags > BPF_EXIST || wanted > most) return -EINVAL;
  let slot = changetype<usize>(map) + offsetof<BpfMap>("priv"), match: u32 = 0;
  let node = <usize>load<u32>(slot);
  while (node != 0) {
    match = matched(map, node, key);
    if (prefix(node) != match || prefix(node) == wanted) break;
    slot = node + <usize>(bitAt(key + KEY_DATA, prefix(node)) << 2);
    node = <usize>load<u32>(slot);
  }
  const same = node != 0 && prefix(node) == match && match == wanted;
  if (same && !isIntermediate(node)) {
    if (flags == BPF_NOEXIST) return -EEXIST;
  } else {
    if (flags == BPF_EXIST) return -ENOENT;
    if (map.count == map.maxEntries) return -ENOSPC;
  }
  const fresh = nodeNew(map);
  if (fresh == 0) return -ENOMEM;
  setPrefix(map, fresh, wanted, key + KEY_DATA);
  copyBytes(fresh + <usize>map.valueAt, value, <usize>map.valueSize);
  if (node == 0) {
    store<u32>(slot, <u32>fresh);
    map.count++;
    return 0;
  }
  if (same) {
    store<u64>(fresh, load<u64>(node));
    if (isIntermediate(node)) map.count++;
    store<u32>(slot, <u32>fresh);
    nodeFree(map, node);
    return 0;
  }
  if (match == wanted) {
    store<u32>(fresh + <usize>(bitAt(node + DATA, match) << 2), <u32>node);
    store<u32>(slot, <u32>fresh);
    map.count++;
    return 0;
  }
  const between = nodeNew(map);
  if (between == 0) {
    nodeFree(map, fresh);
    return -ENOMEM;
  }
  setPrefix(map, between, match, node + DATA);
  store<u32>(between, 1, INTERMEDIATE);
  const bit = bitAt(key + KEY_DATA, match);
  store<u32>(between + <usize>(bit << 2), <u32>fresh);
  store<u32>(between + <usize>((1 - bit) << 2), <u32>node);
  store<u32>(slot, <u32>between);
  map.count++;
  return 0;
}

/** 0, -EINVAL (prefix), -ENOENT. */
export function trieDelete(map: BpfMap, key: usize): i32 {
  const wanted = load<u32>(key);
  if (wanted > maxPrefix(map)) return -EINVAL;
  let slot = changetype<usize>(map) + offsetof<BpfMap>("priv"), above: usize = 0, parent: usize = 0, match: u32 = 0;
  let node = <usize>load<u32>(slot);
  while (node != 0) {
    match = matched(map, node, key);
    if (prefix(node) != match || prefix(node) == wanted) break;
    parent = node;
    above = slot;
    slot = node + <usize>(bitAt(key + KEY_DATA, prefix(node)) << 2);
    node = <usize>load<u32>(slot);
  }
  if (node == 0 || prefix(node) != wanted || match != wanted || isIntermediate(node)) return -ENOENT;
  map.count--;
  const left = child(node, 0), right = child(node, 1);
  if (left != 0 && right != 0) {
    store<u32>(node, 1, INTERMEDIATE);
    return 0;
  }
  if (left == 0 && right == 0 && parent != 0 && isIntermediate(parent)) {
    // The other one takes the place of the node where they parted.
    store<u32>(above, <u32>(child(parent, 0) == node ? child(parent, 1) : child(parent, 0)));
    nodeFree(map, parent);
  } else store<u32>(slot, <u32>(left != 0 ? left : right));
  nodeFree(map, node);
  return 0;
}

/** The first in postorder below a node. */
function leftmost(root: usize): usize {
  let node = root, found: usize = 0;
  while (node != 0) {
    if (isIntermediate(node)) {
      node = child(node, 0);
      continue;
    }
    found = node;
    node = child(node, 0);
    if (node == 0) node = child(found, 1);
  }
  return found;
}

/** Writes the key after `key` (0: the first) to `to`, longer prefixes first. 0, -ENOENT, -ENOMEM. */
export function trieNextKey(map: BpfMap, key: usize, to: usize): i32 {
  if (map.priv == 0) return -ENOENT;
  let found: usize = 0;
  if (key == 0 || load<u32>(key) > maxPrefix(map)) found = leftmost(map.priv);
  else {
    const path = kmalloc(PATH_MAX << 2);
    if (path == 0) return -ENOMEM;
    found = after(map, key, path);
    kfree(path, PATH_MAX << 2);
  }
  if (found == 0) return -ENOENT;
  store<u32>(to, prefix(found));
  copyBytes(to + KEY_DATA, found + DATA, <usize>map.keySize - KEY_DATA);
  return 0;
}

/** The node after a key's; a key that is not there is before the first. 0: it is the last. */
function after(map: BpfMap, key: usize, path: usize): usize {
  const wanted = load<u32>(key);
  let depth: u32 = 0, node = map.priv, match: u32 = 0;
  while (node != 0) {
    store<u32>(path + <usize>((depth++) << 2), <u32>node);
    match = matched(map, node, key);
    if (prefix(node) != match || prefix(node) == wanted) break;
    node = child(node, bitAt(key + KEY_DATA, prefix(node)));
  }
  if (node == 0 || prefix(node) != wanted || match != wanted || isIntermediate(node)) return leftmost(map.priv);
  for (depth--; depth > 0; depth--) {
    const parent = <usize>load<u32>(path + <usize>((depth - 1) << 2));
    if (child(parent, 0) == node && child(parent, 1) != 0) return leftmost(child(parent, 1));
    if (!isIntermediate(parent)) return parent;
    node = parent;
  }
  return 0;
}

export function trieFree(map: BpfMap): void {
  // Down to a node without children, which is cut off; again from the root.
  while (map.priv != 0) {
    let slot = changetype<usize>(map) + offsetof<BpfMap>("priv");
    let node = map.priv;
    while (child(node, 0) != 0 || child(node, 1) != 0) {
      slot = child(node, 0) != 0 ? node : node + 4;
      node = <usize>load<u32>(slot);
    }
    store<u32>(slot, 0);
    kfree(node, map.elementBytes);
  }
  while (map.free != 0) {
    const next = <usize>load<u32>(map.free, INTERMEDIATE);
    kfree(map.free, map.elementBytes);
    map.free = next;
  }
}
