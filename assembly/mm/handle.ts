// Handles: what the driver holds instead of addresses. {type 4 bits, generation 10 bits, index 18 bits}; never 0.
// A handle of a freed object is refused because its generation is over.
import { Node } from "../layout";
import { kfree, kmalloc } from "./slab";
import { node } from "./node";

export const HANDLE_NETNS: u32 = 1;
export const HANDLE_SOCKET: u32 = 2;
export const HANDLE_BPF_PROG: u32 = 3;
export const HANDLE_BPF_MAP: u32 = 4;
export const HANDLE_BPF_LINK: u32 = 5;

// Slot: {u32 object or next free index, u32 generation << 8 | type (0: free)}.
const SLOT: u32 = 8;
const FIRST: u32 = 64;
const INDEX_MAX: u32 = 0x3ffff;

/** A handle for `object`; 0: no memory, or all in use. */
export function handleNew(type: u32, object: usize): u32 {
  const n = node();
  let index = n.handlesFree;
  if (index == 0) {
    if (n.handlesUsed + 1 >= n.handlesMax && !handleGrow(n)) return 0;
    index = ++n.handlesUsed;
  } else {
    n.handlesFree = load<u32>(n.handles + <usize>(index * SLOT));
  }
  const slot = n.handles + <usize>(index * SLOT);
  const generation = ((load<u32>(slot, 4) >>> 8) + 1) & 0x3ff;
  store<u32>(slot, <u32>object);
  store<u32>(slot, (generation << 8) | type, 4);
  return (type << 28) | (generation << 18) | index;
}

/** The object behind a handle of this type, or 0. */
export function handleGet(type: u32, handle: u32): usize {
  const n = node();
  const index = handle & INDEX_MAX;
  if (handle >>> 28 != type || index == 0 || index > n.handlesUsed) return 0;
  const slot = n.handles + <usize>(index * SLOT);
  if (load<u32>(slot, 4) != ((((handle >>> 18) & 0x3ff) << 8) | type)) return 0;
  return <usize>load<u32>(slot);
}

export function handleFree(handle: u32): void {
  const n = node();
  const index = handle & INDEX_MAX;
  const slot = n.handles + <usize>(index * SLOT);
  store<u32>(slot, n.handlesFree);
  store<u32>(slot, load<u32>(slot, 4) & 0xffffff00, 4);
  n.handlesFree = index;
}

function handleGrow(n: Node): bool {
  const max = n.handlesMax == 0 ? FIRST : n.handlesMax << 1;
  if (max > INDEX_MAX) return false;
  const table = kmalloc(max * SLOT);
  if (table == 0) return false;
  if (n.handles != 0) {
    memory.copy(table, n.handles, <usize>(n.handlesMax * SLOT));
    kfree(n.handles, n.handlesMax * SLOT);
  }
  n.handles = table;
  n.handlesMax = max;
  return true;
}
