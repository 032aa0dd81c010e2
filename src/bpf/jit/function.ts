// One function of a program as Wasm code: its graph becomes nested blocks and loops (Ramsey, "Beyond Relooper", ICFP 2022). The
// dominator tree is walked without recursion, so that no program is too deep.
import { End } from "./program.ts";
import { CallWriter } from "./calls.ts";
import type { FunctionInput, Module } from "./writer.ts";
import { Op, type FunctionBody } from "./wasm.ts";

/** What is left to do, beside trees: to close a construct. Code behind a loop is never reached. */
const END_OF_BLOCK = -1;
const END_OF_LOOP = -2;

/** Compiles one function. */
export function compileFunction(module: Module, input: FunctionInput): FunctionBody {
  return new FunctionCompiler(module, input).compile();
}

class FunctionCompiler extends CallWriter {
  /** Open constructs, and where among them the block or loop of a basic block stands. */
  #height = 0;
  readonly #blockAt: Int32Array;
  readonly #loopAt: Int32Array;

  constructor(module: Module, input: FunctionInput) {
    super(module, input);
    this.#blockAt = new Int32Array(input.shape.graph.count);
    this.#loopAt = new Int32Array(input.shape.graph.count);
  }

  compile(): FunctionBody {
    this.prologue();
    this.#trees();
    this.code.byte(Op.unreachable);
    return this.finish();
  }

  /** Walks the dominator tree: a block's body stands inside the Wasm blocks of those children that are jumped to. */
  #trees(): void {
    const { header, merge, first, children } = this.input.shape;
    const { code } = this;
    // What is still to be done, last first: a tree's root, or ~kind for the end of a construct.
    const work: number[] = [0];
    while (work.length > 0) {
      const block = work.pop()!;
      if (block < 0) {
        code.byte(Op.end);
        this.#height--;
        if (block === END_OF_LOOP) code.byte(Op.unreachable);
        continue;
      }
      if (header[block] === 1) {
        code.open(Op.loop);
        this.#loopAt[block] = ++this.#height;
        work.push(END_OF_LOOP);
      }
      for (let at = first[block + 1]! - 1; at >= first[block]!; at--) {
        const child = children[at]!;
        if (merge[child] === 0) continue;
        code.open(Op.block);
        this.#blockAt[child] = ++this.#height;
        work.push(child, END_OF_BLOCK);
      }
      this.body(block);
      this.#leave(block, work);
    }
  }

  /** Whether the way to `to` is a branch; otherwise its tree is written where the way is taken. */
  #jumps(from: number, to: number): boolean {
    return to <= from || this.input.shape.merge[to] === 1;
  }

  #depth(from: number, to: number): number {
    return this.#height - (to <= from ? this.#loopAt[to]! : this.#blockAt[to]!);
  }

  #setLabel(edge: number): void {
    const label = this.input.shape.graph.labels[edge]!;
    if (label === -1) return;
    this.code.i32(label);
    this.code.set(this.label);
  }

  /** Goes along an edge, for good. */
  #go(from: number, edge: number, work: number[]): void {
    const to = this.input.shape.graph.edges[edge]!;
    this.#setLabel(edge);
    if (this.#jumps(from, to)) this.code.br(Op.br, this.#depth(from, to));
    else work.push(to);
  }

  #leave(block: number, work: number[]): void {
    const { graph, size } = this.input.shape;
    const { code } = this;
    switch (graph.end[block]) {
      case End.exit:
        this.saveFuel();
        this.push(0);
        code.byte(Op.return);
        return;
      case End.dispatch: {
        const targets = graph.targets.get(block)!;
        code.get(this.label);
        code.byte(Op.br_table);
        code.u32(targets.length - 1);
        for (const to of targets) code.u32(this.#depth(block, to));
        return;
      }
      case End.branch:
        break;
      default:
        this.#go(block, 2 * block, work);
        return;
    }
    const last = this.#lastSlot(block);
    const [passed, taken] = [2 * block, 2 * block + 1];
    const [passedTo, takenTo] = [graph.edges[passed]!, graph.edges[taken]!];
    if (this.#jumps(block, takenTo)) {
      this.#branchIf(block, last, taken, false);
      this.#go(block, passed, work);
    } else if (this.#jumps(block, passedTo)) {
      this.#branchIf(block, last, passed, true);
      work.push(takenTo);
    } else {
      // Both trees are written here: the smaller one inside, so that the depth stays logarithmic.
      const inside = size[takenTo]! <= size[passedTo]! ? takenTo : passedTo;
      this.condition(last, inside === passedTo);
      code.open(Op.if);
      this.#height++;
      work.push(inside === takenTo ? passedTo : takenTo, END_OF_BLOCK, inside);
    }
  }

  /** Branches along an edge if the jump at `slot` is taken (or is not: `inverted`). */
  #branchIf(block: number, slot: number, edge: number, inverted: boolean): void {
    const { graph } = this.input.shape;
    const { code } = this;
    const to = graph.edges[edge]!;
    this.condition(slot, inverted);
    if (graph.labels[edge] === -1) return code.br(Op.br_if, this.#depth(block, to));
    code.open(Op.if);
    this.#height++;
    this.#setLabel(edge);
    code.br(Op.br, this.#depth(block, to));
    code.byte(Op.end);
    this.#height--;
  }

  /** The jump at a block's end. */
  #lastSlot(block: number): number {
    return this.input.shape.graph.stop[block]! - 1;
  }
}
