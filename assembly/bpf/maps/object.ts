// Objects of programs (bpf_obj_new) and what they hang in: lists and trees of values, kernel/bpf/helpers.c. Before an object stand
// {u32 bytes, u32 references, u64 0}.
//
//   bpf_list_head │ next u64 │ previous u64 │             bpf_list_node │ next u64 │ previous u64 │ owner u64 │
//   bpf_rb_root   │ top u64  │ count u64    │             bpf_rb_node   │ left u64 │ right u64 │ parent u64 │ owner u64 │
import { EINVAL } from "../../abi/core";
import { kfree, kmalloc } from "../../mm/slab";
import { bpfCallSubprogram, bpfCurrent } from "../run";

const HEADER: u32 = 16;
const NEXT: usize = 0, PREVIOUS: usize = 8, LIST_OWNER: usize = 16;
const LEFT: usize = 0, RIGHT: usize = 8, PARENT: usize = 16, TREE_OWNER: usize = 24;
const BYTES_MAX: u32 = 4096;

@inline function link(at: usize, field: usize): usize {
  return <usize>load<u64>(at + field);
}
@inline function setLink(at: usize, field: usize, to: usize): void {
  store<u64>(at + field, <u64>to);
}

/** bpf_obj_new: `bytes` zeroed, with one reference; 0: no memory. */
export function objectNew(bytes: u32): usize {
  if (bytes > BYTES_MAX) return 0;
  const at = kmalloc(bytes + HEADER);
  if (at == 0) return 0;
  store<u32>(at, bytes);
  store<u32>(at, 1, 4);
  return at + <usize>HEADER;
}

/** bpf_refcount_acquire. */
export function objectHold(object: usize): usize {
  const at = object - <usize>HEADER;
  store<u32>(at, load<u32>(at, 4) + 1, 4);
  return object;
}

/** bpf_obj_drop: the last reference ends it. */
export function objectPut(object: usize): void {
  const at = object - <usize>HEADER, refs = load<u32>(at, 4) - 1;
  store<u32>(at, refs, 4);
  if (refs == 0) kfree(at, load<u32>(at) + HEADER);
}

function listInit(head: usize): void {
  if (link(head, NEXT) != 0) return;
  setLink(head, NEXT, head);
  setLink(head, PREVIOUS, head);
}

/** bpf_list_push_front_impl and _back_impl: `offset` of the node in its object. 0; -EINVAL: it is in a list, and is dropped. */
export function listPush(head: usize, node: usize, offset: u32, front: bool): i64 {
  listInit(head);
  if (link(node, LIST_OWNER) != 0) {
    objectPut(node - <usize>offset);
    return -EINVAL;
  }
  const before = front ? head : link(head, PREVIOUS), after = link(before, NEXT);
  setLink(node, PREVIOUS, before);
  setLink(node, NEXT, after);
  setLink(before, NEXT, node);
  setLink(after, PREVIOUS, node);
  setLink(node, LIST_OWNER, head);
  return 0;
}

/** bpf_list_pop_front and _back: the node, 0: the list is empty. */
export function listPop(head: usize, front: bool): usize {
  listInit(head);
  const node = link(head, front ? NEXT : PREVIOUS);
  if (node == head) return 0;
  setLink(link(node, PREVIOUS), NEXT, link(node, NEXT));
  setLink(link(node, NEXT), PREVIOUS, link(node, PREVIOUS));
  setLink(node, LIST_OWNER, 0);
  return node;
}

/** bpf_list_front and _back: the node, which stays. */
export function listPeek(head: usize, front: bool): usize {
  listInit(head);
  const node = link(head, front ? NEXT : PREVIOUS);
  return node == head ? 0 : node;
}

/** A list ends: what it holds is dropped. */
export function listDrain(head: usize, offset: u32): void {
  if (link(head, NEXT) == 0) return;
  for (let node = listPop(head, true); node != 0; node = listPop(head, true)) objectPut(node - <usize>offset);
  setLink(head, NEXT, 0);
  setLink(head, PREVIOUS, 0);
}

/** bpf_rbtree_add_impl: `less` is the slot of a callback (node, node). 0; -EINVAL: it is in a tree, and is dropped. */
export function treeAdd(root: usize, node: usize, less: u64, offset: u32): i64 {
  if (link(node, TREE_OWNER) != 0) {
    objectPut(node - <usize>offset);
    return -EINVAL;
  }
  let parent: usize = 0, side: usize = root, at = link(root, 0);
  while (at != 0) {
    parent = at;
    const smaller = bpfCallSubprogram(<u32>less, <u64>node, <u64>at, 0, 0, 0);
    if (bpfCurrent().fault != 0) return -EINVAL;
    side = at + (smaller & 0xff ? LEFT : RIGHT);
    at = <usize>load<u64>(side);
  }
  store<u64>(side, <u64>node);
  setLink(node, LEFT, 0);
  setLink(node, RIGHT, 0);
  setLink(node, PARENT, parent);
  setLink(node, TREE_OWNER, root);
  return 0;
}

/** bpf_rbtree_first: the least, 0: the tree is empty. */
export function treeFirst(root: usize): usize {
  let at = link(root, 0);
  while (at != 0 && link(at, LEFT) != 0) at = link(at, LEFT);
  return at;
}

/** bpf_rbtree_remove: the node; 0: it is not in this tree. */
export function treeRemove(root: usize, node: usize): usize {
  if (link(node, TREE_OWNER) != root) return 0;
  const left = link(node, LEFT), right = link(node, RIGHT);
  if (left == 0 || right == 0) replace(root, node, left != 0 ? left : right);
  else {
    // The least of what is greater takes its place.
    let next = right;
    while (link(next, LEFT) != 0) next = link(next, LEFT);
    replace(root, next, link(next, RIGHT));
    setLink(next, LEFT, link(node, LEFT));
    setLink(next, RIGHT, link(node, RIGHT));
    if (link(next, LEFT) != 0) setLink(link(next, LEFT), PARENT, next);
    if (link(next, RIGHT) != 0) setLink(link(next, RIGHT), PARENT, next);
    replace(root, node, next);
  }
  setLink(node, TREE_OWNER, 0);
  return node;
}

function replace(root: usize, node: usize, by: usize): void {
  const parent = link(node, PARENT);
  if (parent == 0) setLink(root, 0, by);
  else setLink(parent, link(parent, LEFT) == node ? LEFT : RIGHT, by);
  if (by != 0) setLink(by, PARENT, parent);
}

/** A tree ends: what it holds is dropped. */
export function treeDrain(root: usize, offset: u32): void {
  for (let node = treeFirst(root); node != 0; node = treeFirst(root)) {
    treeRemove(root, node);
    objectPut(node - <usize>offset);
  }
}
