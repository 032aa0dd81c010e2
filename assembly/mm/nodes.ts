// The table of nodes: handles to arenas, shared by all instances.
import { EINVAL, ENFILE, ENOMEM } from "../abi/core";
import { NODES_MAX, NODE_TABLE_AT, Node } from "../layout";
import { netnsCreate } from "../net/netns";
import { chunkAlloc, lock, unlock } from "./chunk";
import { setNode } from "./node";
import { rngSeed } from "./rng";
import { arenaDestroy } from "./slab";
import { timersInit } from "./timer";

const SKBS: u32 = 65536;

/** Handle: generation << 16 | index, generation from 1 to 0x7fff. */
export function nodeFind(handle: u32): usize {
  const index = handle & 0xffff;
  if (index >= NODES_MAX) return 0;
  const slot = NODE_TABLE_AT + <usize>(index << 3);
  if (load<u32>(slot, 4) != handle >>> 16 || handle >>> 16 == 0) return 0;
  return <usize>load<u32>(slot);
}

export function nodeForget(handle: u32): void {
  lock();
  store<u32>(NODE_TABLE_AT + <usize>((handle & 0xffff) << 3), 0);
  unlock();
}

/** See node_create. */
export function nodeCreate(seed: u32, now: u64): i32 {
  if (now > 0x7fffffffffffffff) return -EINVAL;
  // The arena's first chunk holds the Node itself behind the chunk header.
  const first = chunkAlloc(0);
  if (first == 0) return -ENOMEM;
  const at = first + 32;
  const n = changetype<Node>(at);
  n.chunks = first;
  n.bytesTaken = 16384;
  n.now = now;
  n.skbMax = SKBS;
  rngSeed(n, seed);
  setNode(at);
  if (!timersInit() || changetype<usize>(netnsCreate()) == 0) {
    arenaDestroy();
    setNode(0);
    return -ENOMEM;
  }
  lock();
  for (let index: u32 = 0; index < NODES_MAX; index++) {
    const slot = NODE_TABLE_AT + <usize>(index << 3);
    if (load<u32>(slot) != 0) continue;
    const generation = load<u32>(slot, 4) >= 0x7fff ? 1 : load<u32>(slot, 4) + 1;
    store<u32>(slot, <u32>at);
    store<u32>(slot, generation, 4);
    n.handle = (generation << 16) | index;
    unlock();
    return <i32>n.handle;
  }
  unlock();
  arenaDestroy();
  setNode(0);
  return -ENFILE;
}
