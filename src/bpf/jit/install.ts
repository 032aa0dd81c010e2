// A compiled program in the table of a kernel's instance, where the kernel calls it. The table is the instance's own: another instance over
// the same memory, in another thread, instantiates the same module at the same places (`at`).
import { compile, type CompileOptions } from "./index.ts";
import { JitError } from "./program.ts";

/** What of a KernelInstance is needed. */
export interface TableOwner {
  readonly memory: WebAssembly.Memory;
  readonly exports: WebAssembly.Exports;
}

/** A program as Wasm. It can be posted to other threads. */
export interface CompiledModule {
  readonly module: WebAssembly.Module;
  /** Slots of the functions that something outside may call back. */
  readonly callbacks: readonly number[];
}

export interface InstalledProgram {
  /** Places in the table: of the program, and of its callbacks by the slots where they begin. */
  readonly main: number;
  readonly callbacks: readonly { readonly slot: number; readonly index: number }[];
  /** Takes the program out of the table. The kernel must have been told before (`setCompiled(0, [])`). */
  remove(): void;
}

/** Why a program is interpreted. */
export interface NotCompiled {
  readonly reason: string;
}

/** Compiles a program; where the compiler or the runtime (workerd within requests, a page without `wasm-unsafe-eval`) refuses: why. */
export function compileModule(bytes: Uint8Array, options: CompileOptions): CompiledModule | NotCompiled {
  try {
    const { bytes: wasm, callbacks } = compile(bytes, options);
    return { module: new WebAssembly.Module(wasm), callbacks };
  } catch (error) {
    if (error instanceof JitError) return { reason: error.message };
    // Which error a runtime throws that compiles nothing is its own affair; that it will not is all there is to know.
    return { reason: "this runtime compiles no WebAssembly" };
  }
}

const free = new WeakMap<WebAssembly.Table, number[]>();

/** The kernel's table; undefined: a kernel without eBPF. */
const tableOf = (instance: TableOwner): WebAssembly.Table | undefined => instance.exports["table"] as WebAssembly.Table | undefined;

/** `count` places in the table that nobody has. */
function places(table: WebAssembly.Table, count: number): number[] {
  const unused = free.get(table) ?? [];
  free.set(table, unused);
  if (unused.length < count) {
    const more = Math.max(count, 16);
    const first = table.grow(more);
    for (let at = more - 1; at >= 0; at--) unused.push(first + at);
  }
  return unused.splice(unused.length - count, count);
}

/**
 * Instantiates a program over the memory of `instance` and puts its functions into the table: at `at` (main, then the callbacks in
 * order), or wherever there is room.
 */
export function install(instance: TableOwner, compiled: CompiledModule, at?: readonly number[]): InstalledProgram | NotCompiled {
  const table = tableOf(instance);
  if (table === undefined) return { reason: "this kernel has no table" };
  let program: WebAssembly.Exports;
  try {
    program = new WebAssembly.Instance(compiled.module, { env: { memory: instance.memory, ...instance.exports } }).exports;
  } catch {
    return { reason: "this runtime instantiates no WebAssembly" };
  }
  const wanted = compiled.callbacks.length + 1;
  if (at !== undefined) {
    const highest = Math.max(...at);
    if (highest >= table.length) table.grow(highest + 1 - table.length);
  }
  const indexes = at ?? places(table, wanted);
  const put = (name: string, index: number): void => table.set(index, program[name]);
  put("main", indexes[0]!);
  const callbacks = compiled.callbacks.map((slot, n) => ({ slot, index: indexes[n + 1]! }));
  for (const { slot, index } of callbacks) put(`slot${slot}`, index);
  return {
    main: indexes[0]!,
    callbacks,
    remove() {
      for (const index of indexes) table.set(index, null);
      if (at === undefined) free.get(table)?.push(...indexes);
    },
  };
}

/** A loaded program of src/kernel/bpf.ts, as far as its code goes. */
export interface Compilable {
  setCompiled(main: number, callbacks: readonly { readonly slot: number; readonly index: number }[]): void;
}

export type JitState = { readonly jited: true; readonly module: CompiledModule; remove(): void } | ({ readonly jited: false } & NotCompiled);

/**
 * Compiles a program that the kernel has loaded from the same slots, and tells the kernel to run that code from now on. When it can not be
 * compiled, the interpreter goes on with it, and the answer says why. `remove` goes back to interpreting; call it before the program is freed.
 */
export function jit(instance: TableOwner, program: Compilable, bytes: Uint8Array, options: Omit<CompileOptions, "shared">): JitState {
  const shared = typeof SharedArrayBuffer !== "undefined" && instance.memory.buffer instanceof SharedArrayBuffer;
  const module = compileModule(bytes, { ...options, shared });
  if ("reason" in module) return { jited: false, reason: module.reason };
  const installed = install(instance, module);
  if ("reason" in installed) return { jited: false, reason: installed.reason };
  program.setCompiled(installed.main, installed.callbacks);
  return {
    jited: true,
    module,
    remove() {
      program.setCompiled(0, []);
      installed.remove();
    },
  };
}
