/**
 * /proc/net/fib_trie: the level-compressed trie that the routes of a table make, built as net/ipv4/fib_trie.c builds it (insertion, inflate,
 * halve, collapse), because its shape is what the file shows.
 */
import { formatIpv4 } from "../kernel/address.ts";

export interface TrieRoute {
  readonly key: number;
  readonly bits: number;
  readonly scope: number;
  readonly type: number;
}

interface Leaf {
  readonly leaf: true;
  readonly key: number;
  readonly routes: TrieRoute[];
  parent: Node | undefined;
}
interface Node {
  readonly leaf: false;
  readonly key: number;
  readonly pos: number;
  readonly bits: number;
  readonly children: (Leaf | Node | undefined)[];
  empty: number;
  full: number;
  parent: Node | undefined;
}
type Child = Leaf | Node;

/** The trie's own node, above the first: it has one child and no bits. */
const isTrie = (node: Node): boolean => node.pos === 32;
const newNode = (key: number, pos: number, bits: number): Node => {
  const shift = pos + bits;
  return { leaf: false, key: shift < 32 ? ((key >>> shift) << shift) >>> 0 : 0, pos, bits, children: Array.from({ length: 2 ** bits }), empty: 2 ** bits, full: 0, parent: undefined };
};
const indexIn = (key: number, node: Node): number => (isTrie(node) ? 0 : ((key ^ node.key) >>> node.pos));
const isFull = (node: Node, child: Child | undefined): boolean => child !== undefined && !child.leaf && child.pos + child.bits === node.pos;

function put(node: Node, index: number, child: Child | undefined): void {
  const before = node.children[index];
  if (child === undefined && before !== undefined) node.empty++;
  if (child !== undefined && before === undefined) node.empty--;
  node.full += Number(isFull(node, child)) - Number(isFull(node, before));
  node.children[index] = child;
  if (child !== undefined) child.parent = node;
}

/** The file's part about one table. */
export function trieText(name: string, routes: readonly TrieRoute[]): string {
  if (routes.length === 0) return "";
  const root: Node = { ...newNode(0, 0, 0), pos: 32 };
  for (const route of routes) insert(root, route);
  let text = `${name}:\n`;
  const show = (child: Child, depth: number): void => {
    if (child.leaf) {
      text += `${"   ".repeat(depth)}  |-- ${formatIpv4(child.key)}\n`;
      for (const { bits, scope, type } of child.routes) text += `${"   ".repeat(depth + 1)}  /${bits} ${SCOPES[scope] ?? scope} ${TYPES[type] ?? type}\n`;
      return;
    }
    text += `${"   ".repeat(depth)}  +-- ${formatIpv4(child.key)}/${32 - child.pos - child.bits} ${child.bits} ${child.full} ${child.empty}\n`;
    for (const below of child.children) if (below !== undefined) show(below, depth + 1);
  };
  const top = root.children[0];
  if (top !== undefined) show(top, 0);
  return text;
}

const SCOPES: Readonly<Record<number, string>> = { 0: "universe", 200: "site", 253: "link", 254: "host", 255: "nowhere" };
const TYPES = ["UNSPEC", "UNICAST", "LOCAL", "BROADCAST", "ANYCAST", "MULTICAST", "BLACKHOLE", "UNREACHABLE", "PROHIBIT", "THROW"];

/** fib_insert_node() */
function insert(root: Node, route: TrieRoute): void {
  let parent = root;
  let child = root.children[0];
  while (child !== undefined) {
    if (child.leaf) {
      if (child.key === route.key) {
        // By length, the longer one first.
        const at = child.routes.findIndex(({ bits }) => bits < route.bits);
        child.routes.splice(at < 0 ? child.routes.length : at, 0, route);
        return;
      }
      break;
    }
    const index = indexIn(route.key, child);
    if (index >= 2 ** child.bits) break;
    parent = child;
    child = child.children[index];
  }
  const leaf: Leaf = { leaf: true, key: route.key, routes: [route], parent: undefined };
  if (child !== undefined) {
    const node = newNode(route.key, 31 - Math.clz32(route.key ^ child.key), 1);
    const place = indexIn(route.key, parent);
    put(node, indexIn(route.key, node) ^ 1, child);
    put(parent, place, node);
    parent = node;
  }
  put(parent, indexIn(route.key, parent), leaf);
  for (let at: Node | undefined = parent; at !== undefined && !isTrie(at);) at = resize(at);
}

const MAX_WORK = 10;

/** resize(): the parent. */
function resize(start: Node): Node {
  let node = start;
  let parent = node.parent!;
  const index = indexIn(node.key, parent);
  let work = MAX_WORK;
  while (shouldInflate(parent, node) && work > 0) {
    parent = inflate(node);
    work--;
    node = parent.children[index] as Node;
  }
  if (work !== MAX_WORK) return node.parent!;
  while (shouldHalve(parent, node) && work > 0) {
    parent = halve(node);
    work--;
    node = parent.children[index] as Node;
  }
  if (node.children.length - node.empty < 2) {
    put(parent, index, node.children.find((child) => child !== undefined));
    return parent;
  }
  return node.parent!;
}

function shouldInflate(parent: Node, node: Node): boolean {
  const size = node.children.length;
  const used = size - node.empty + node.full;
  return used > 1 && node.pos > 0 && 50 * used >= size * (isTrie(parent) ? 30 : 50);
}

function shouldHalve(parent: Node, node: Node): boolean {
  const size = node.children.length;
  const used = size - node.empty;
  return used > 1 && node.bits > 1 && 100 * used < size * (isTrie(parent) ? 15 : 25);
}

function inflate(old: Node): Node {
  const node = newNode(old.key, old.pos - 1, old.bits + 1);
  const bit = 2 ** node.pos;
  for (let i = old.children.length; i-- > 0;) {
    const child = old.children[i];
    if (child === undefined) continue;
    if (child.leaf || !isFull(old, child)) {
      put(node, indexIn(child.key, node), child);
      continue;
    }
    if (child.bits === 1) {
      put(node, 2 * i + 1, child.children[1]);
      put(node, 2 * i, child.children[0]);
      continue;
    }
    const high = newNode((child.key | bit) >>> 0, child.pos, child.bits - 1);
    const low = newNode(child.key, child.pos, child.bits - 1);
    const half = child.children.length / 2;
    for (let j = half; j-- > 0;) {
      put(high, j, child.children[half + j]);
      put(low, j, child.children[j]);
    }
    put(node, 2 * i + 1, high);
    put(node, 2 * i, low);
  }
  return replace(old, node);
}

function halve(old: Node): Node {
  const node = newNode(old.key, old.pos + 1, old.bits - 1);
  for (let i = old.children.length; i > 0;) {
    const high = old.children[--i];
    const low = old.children[--i];
    if (high === undefined || low === undefined) {
      put(node, i / 2, high ?? low);
      continue;
    }
    const inner = newNode(low.key, old.pos, 1);
    put(inner, 1, high);
    put(inner, 0, low);
    put(node, i / 2, inner);
  }
  return replace(old, node);
}

/** The new node takes the old one's place; what has become full below it is looked at anew. */
function replace(old: Node, node: Node): Node {
  const parent = old.parent!;
  put(parent, indexIn(node.key, parent), node);
  let current = node;
  for (let i = current.children.length; i-- > 0;) {
    const child = current.children[i];
    if (child !== undefined && !child.leaf && isFull(current, child)) current = resize(child);
  }
  return parent;
}
