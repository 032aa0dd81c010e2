// The dominator tree of a function and its loops, and the way out of graphs with loops that have several entries.
import { End, inOrder, successors, type Graph } from "./program.ts";

export interface Shape {
  readonly graph: Graph;
  /** Immediate dominator of each block; 0's is 0. */
  readonly idom: Int32Array;
  /** 1: a loop begins here, that is, an edge comes back from a block that this one dominates. */
  readonly header: Uint8Array;
  /** 1: more than one edge comes from before, or a dispatch block's does: the block needs a label of its own. */
  readonly merge: Uint8Array;
  /** Children in the dominator tree, in reverse postorder: of block b, `children[first[b]]` to `children[first[b + 1] - 1]`. */
  readonly first: Int32Array;
  readonly children: Int32Array;
  /** Blocks in the subtree. */
  readonly size: Int32Array;
}

/** Dominators and loops. Loops with several entries get a dispatch block first. */
export function shapeOf(given: Graph): Shape {
  for (let graph = given; ; graph = withDispatch(graph)) {
    const shape = reducibleShape(graph);
    if (shape !== undefined) return shape;
  }
}

/**
 * Dominators by way of forward edges alone: in reverse postorder, a block's is the nearest common ancestor of those it is reached
 * from, found by pointers that skip (log n steps each). An edge back to a dominator changes none; when any other edge goes back,
 * the graph is irreducible: undefined.
 */
function reducibleShape(graph: Graph): Shape | undefined {
  const { count } = graph;
  const idom = new Int32Array(count).fill(-1);
  const depth = new Int32Array(count);
  const skip = new Int32Array(count);
  const forward = new Int32Array(count);
  const header = new Uint8Array(count);
  const merge = new Uint8Array(count);
  const ancestorAt = (block: number, level: number): number => {
    let at = block;
    while (depth[at]! > level) at = depth[skip[at]!]! >= level ? skip[at]! : idom[at]!;
    return at;
  };
  const common = (one: number, other: number): number => {
    let a = one;
    let b = other;
    if (depth[a]! > depth[b]!) a = ancestorAt(a, depth[b]!);
    else b = ancestorAt(b, depth[a]!);
    while (a !== b) {
      // Blocks of one depth have skips of one depth.
      if (skip[a] === skip[b]) {
        a = idom[a]!;
        b = idom[b]!;
      } else {
        a = skip[a]!;
        b = skip[b]!;
      }
    }
    return a;
  };
  idom[0] = 0;
  for (let block = 0; block < count; block++) {
    if (block > 0) {
      const parent = idom[block]!;
      depth[block] = depth[parent]! + 1;
      const far = skip[parent]!;
      skip[block] = depth[parent]! - depth[far]! === depth[far]! - depth[skip[far]!]! ? skip[far]! : parent;
    }
    successors(graph, block, (to) => {
      if (to <= block) return;
      forward[to]!++;
      idom[to] = idom[to] === -1 ? block : common(idom[to]!, block);
      if (graph.end[block] === End.dispatch) merge[to] = 1;
    });
  }
  let reducible = true;
  for (let block = 0; block < count; block++) {
    if (forward[block]! > 1) merge[block] = 1;
    successors(graph, block, (to) => {
      if (to > block) return;
      header[to] = 1;
      if (ancestorAt(block, depth[to]!) !== to) reducible = false;
    });
  }
  if (!reducible) return undefined;

  const first = new Int32Array(count + 1);
  for (let block = 1; block < count; block++) first[idom[block]! + 1]!++;
  for (let block = 0; block < count; block++) first[block + 1]! += first[block]!;
  const children = new Int32Array(Math.max(count - 1, 0));
  const filled = first.slice();
  for (let block = 1; block < count; block++) children[filled[idom[block]!]!++] = block;
  const size = new Int32Array(count).fill(1);
  for (let block = count - 1; block > 0; block--) size[idom[block]!]! += size[block]!;
  return { graph, idom, header, merge, first, children, size };
}

/**
 * For every strongly connected part with several entries, at any depth, a dispatch block that all edges to those entries lead to,
 * with a label; after that it is the part's only entry. The labels live in one local, for they are read where they arrive.
 */
function withDispatch(graph: Graph): Graph {
  const start = [...graph.start];
  const stop = [...graph.stop];
  const end = [...graph.end];
  const edges = [...graph.edges];
  const labels = [...graph.labels];
  const targets = new Map(graph.targets);
  const out = (block: number, visit: (to: number) => void): void => {
    for (const to of targets.get(block) ?? []) visit(to);
    if (edges[2 * block] !== -1) visit(edges[2 * block]!);
    if (edges[2 * block + 1] !== -1) visit(edges[2 * block + 1]!);
  };
  const add = (kind: number, to: number, label: number): number => {
    edges.push(to, -1);
    labels.push(label, -1);
    end.push(kind);
    stop.push(0);
    return start.push(0) - 1;
  };
  // Parts that are still to be looked into, each with the header whose incoming edges are left out.
  const work: { nodes: number[]; header: number }[] = [{ nodes: Array.from({ length: graph.count }, (_, block) => block), header: -1 }];
  for (let part = work.pop(); part !== undefined; part = work.pop()) {
    for (const nodes of components(part.nodes, part.header, out)) {
      const inside = new Set(nodes);
      const entries = entriesOf(inside, part.nodes, out);
      let header = entries[0]!;
      if (entries.length > 1) {
        header = start.length;
        add(End.dispatch, -1, -1);
        targets.set(header, entries);
        // All edges to the entries come from the part around. A dispatch block has no room for a label: it goes there by a block.
        for (const from of [...part.nodes]) {
          const many = targets.get(from);
          if (many !== undefined) {
            targets.set(from, many.map((to) => {
              const label = entries.indexOf(to);
              if (label === -1) return to;
              part.nodes.push(add(End.jump, header, label));
              return start.length - 1;
            }));
          }
          for (let side = 0; side < 2; side++) {
            const label = entries.indexOf(edges[2 * from + side]!);
            if (label === -1) continue;
            edges[2 * from + side] = header;
            labels[2 * from + side] = label;
          }
        }
        nodes.push(header);
      }
      work.push({ nodes, header });
    }
  }
  return inOrder({
    entry: graph.entry,
    count: start.length,
    start: Int32Array.from(start),
    stop: Int32Array.from(stop),
    end: Uint8Array.from(end),
    edges: Int32Array.from(edges),
    labels: Int32Array.from(labels),
    targets,
  });
}

/** Blocks of a component that are reached from outside of it. */
function entriesOf(inside: Set<number>, around: number[], out: (block: number, visit: (to: number) => void) => void): number[] {
  const entries = new Set<number>();
  for (const from of around) {
    if (!inside.has(from)) {
      out(from, (to) => {
        if (inside.has(to)) entries.add(to);
      });
    }
  }
  return [...entries].sort((a, b) => a - b);
}

/** Strongly connected components with a cycle of the blocks `nodes`, edges into `header` left out. Tarjan's algorithm. */
function components(nodes: readonly number[], header: number, out: (block: number, visit: (to: number) => void) => void): number[][] {
  const inside = new Set(nodes);
  const index = new Map<number, number>();
  const low = new Map<number, number>();
  const onStack = new Set<number>();
  const stack: number[] = [];
  const result: number[][] = [];
  const edgesOf = (block: number): number[] => {
    const list: number[] = [];
    out(block, (to) => {
      if (to !== header && inside.has(to)) list.push(to);
    });
    return list;
  };
  for (const root of nodes) {
    if (index.has(root)) continue;
    const walk: { block: number; edges: number[]; next: number }[] = [];
    const enter = (block: number): void => {
      index.set(block, index.size);
      low.set(block, index.get(block)!);
      stack.push(block);
      onStack.add(block);
      walk.push({ block, edges: edgesOf(block), next: 0 });
    };
    enter(root);
    while (walk.length > 0) {
      const top = walk[walk.length - 1]!;
      const to = top.edges[top.next++];
      if (to !== undefined) {
        if (!index.has(to)) enter(to);
        else if (onStack.has(to)) low.set(top.block, Math.min(low.get(top.block)!, index.get(to)!));
        continue;
      }
      walk.pop();
      const parent = walk[walk.length - 1];
      if (parent !== undefined) low.set(parent.block, Math.min(low.get(parent.block)!, low.get(top.block)!));
      if (low.get(top.block) !== index.get(top.block)) continue;
      const component: number[] = [];
      let block: number;
      do {
        block = stack.pop()!;
        onStack.delete(block);
        component.push(block);
      } while (block !== top.block);
      if (component.length > 1 || edgesOf(top.block).includes(top.block)) result.push(component);
    }
  }
  return result;
}
