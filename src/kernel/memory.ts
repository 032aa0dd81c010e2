/**
 * One instance of kernel.wasm and its mailbox: the only code that holds views of the linear memory. Views are renewed after
 * the memory grew; whatever leaves this file is a copy in unshared memory.
 */
import * as abi from "../../assembly/abi/core.ts";
import { KernelError } from "./netns.ts";

/** The exports of assembly/index.ts. */
interface KernelExports {
  boot(): number;
  upload(bytes: number): number;
  node_create(seed: number, nowLo: number, nowHi: number): number;
  node_destroy(handle: number): number;
  run(handle: number, nowLo: number, nowHi: number): number;
  command(handle: number, op: number, length: number, nowLo: number, nowHi: number): number;
}

/** What `run` left: flags (RUN_*), the node's clock and the next timer's time, both in ns; Infinity: no timer. */
export interface RunStatus {
  flags: number;
  nowNs: number;
  deadlineNs: number;
}

const INITIAL_PAGES = 4;
const MAXIMUM_PAGES = 65536;
const TWO32 = 4294967296;

const names: Readonly<Record<number, string>> = Object.fromEntries(
  Object.entries(abi)
    .filter(([name]) => /^E[A-Z0-9]+$/.test(name))
    .map(([name, value]) => [value, name]),
);

/** The errno's name of a negative result: `ENOENT`. */
export const errnoName = (result: number): string => names[-result] ?? `errno ${-result}`;

/** A memory that several instances can share (`shared`), or one of its own. */
export const newKernelMemory = (shared: boolean): WebAssembly.Memory =>
  new WebAssembly.Memory({ initial: INITIAL_PAGES, maximum: MAXIMUM_PAGES, shared });

/** Compares the hash of `assembly/abi/` that the build put into the module with the one it put into this file. */
const checkAbi = (module: WebAssembly.Module): void => {
  const [section] = WebAssembly.Module.customSections(module, "kubewire.abi");
  const found = section === undefined ? "none" : new TextDecoder().decode(section);
  if (found !== __KUBEWIRE_ABI__) throw new KernelError("EINVAL", `kernel.wasm has ABI ${found}, its driver ${__KUBEWIRE_ABI__}`);
};

/** One instance of the kernel over a memory. Requests are written through `u8`/`view`, from offset 0 of the mailbox. */
export class KernelInstance {
  readonly memory: WebAssembly.Memory;
  /** The mailbox, MAILBOX_BYTES long. Valid until the next call into the kernel. */
  u8: Uint8Array;
  view: DataView;
  /** The module's exports: for the functions of programs that the full kernel's table takes in (src/bpf/jit/install.ts). */
  readonly exports: WebAssembly.Exports;
  #exports: KernelExports;
  #mailbox: number;
  #buffer: ArrayBufferLike;
  readonly #status: RunStatus = { flags: 0, nowNs: 0, deadlineNs: Infinity };

  /** Throws KernelError EINVAL for a kernel that was built from other record layouts than this driver. */
  constructor(module: WebAssembly.Module, memory: WebAssembly.Memory) {
    checkAbi(module);
    this.memory = memory;
    const instance = new WebAssembly.Instance(module, { env: { memory } });
    this.exports = instance.exports;
    this.#exports = instance.exports as unknown as KernelExports;
    this.#mailbox = this.#exports.boot() >>> 0;
    if (this.#mailbox === 0) throw new KernelError("ENOMEM", "kernel memory: Cannot allocate memory");
    this.#buffer = memory.buffer;
    this.u8 = new Uint8Array(this.#buffer, this.#mailbox, abi.MAILBOX_BYTES);
    this.view = new DataView(this.#buffer, this.#mailbox, abi.MAILBOX_BYTES);
  }

  /** Creates a node; its handle. */
  createNode(seed: number, nowNs: number): number {
    const handle = this.#exports.node_create(seed, nowNs % TWO32, Math.floor(nowNs / TWO32));
    this.#renew();
    if (handle < 0) throw new KernelError(errnoName(handle), `node: ${errnoName(handle)}`);
    return handle;
  }

  destroyNode(node: number): void {
    this.#exports.node_destroy(node);
  }

  /** Handles everything due at `nowNs`. The answer is reused by the next call. */
  run(node: number, nowNs: number): RunStatus {
    const flags = this.#exports.run(node, nowNs % TWO32, Math.floor(nowNs / TWO32));
    this.#renew();
    if (flags < 0) throw new KernelError(errnoName(flags), `node: ${errnoName(flags)}`);
    const status = this.#status;
    status.flags = flags;
    status.nowNs = this.u64(abi.RUN_STATUS_NOW);
    const high = this.view.getUint32(abi.RUN_STATUS_DEADLINE + 4, true);
    status.deadlineNs = high === 0xffffffff ? Infinity : this.u64(abi.RUN_STATUS_DEADLINE);
    return status;
  }

  /**
   * One request at time `nowNs`, whose record of `length` bytes stands in the mailbox. Returns the kernel's answer, negative
   * for -errno.
   */
  command(node: number, op: number, length: number, nowNs: number): number {
    const result = this.#exports.command(node, op, length, nowNs % TWO32, Math.floor(nowNs / TWO32));
    this.#renew();
    return result;
  }

  /** Copies `bytes` to where the next netfilter command finds them. */
  upload(bytes: Uint8Array): void {
    const at = this.#exports.upload(bytes.length) >>> 0;
    this.#renew();
    if (at === 0) throw new KernelError("ENOMEM", "kernel memory: Cannot allocate memory");
    new Uint8Array(this.#buffer, at, bytes.length).set(bytes);
  }

  /** A u64 of the mailbox as a number (exact below 2^53). */
  u64(offset: number): number {
    return this.view.getUint32(offset, true) + this.view.getUint32(offset + 4, true) * TWO32;
  }

  putU64(offset: number, value: number): void {
    this.view.setUint32(offset, value % TWO32, true);
    this.view.setUint32(offset + 4, Math.floor(value / TWO32), true);
  }

  /** An unshared copy of `length` bytes of the mailbox from `offset`. */
  copy(offset: number, length: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.u8.subarray(offset, offset + length));
  }

  /** An unshared copy of memory at an address that the kernel gave for this: the value of an eBPF map. */
  read(address: number, length: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(new Uint8Array(this.#buffer, address, length));
  }

  /** The other way. */
  write(address: number, bytes: Uint8Array): void {
    new Uint8Array(this.#buffer, address, bytes.length).set(bytes);
  }

  /** After growth the old buffer is detached (plain memory) or too short (shared): take the new one. */
  #renew(): void {
    if (this.memory.buffer === this.#buffer) return;
    this.#buffer = this.memory.buffer;
    this.u8 = new Uint8Array(this.#buffer, this.#mailbox, abi.MAILBOX_BYTES);
    this.view = new DataView(this.#buffer, this.#mailbox, abi.MAILBOX_BYTES);
  }
}
