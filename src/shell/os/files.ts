/** Open files: what a descriptor stands for. Descriptors share one by counting it (`dup`); the last `close` closes it. */
import { EMPTY } from "./bytes.ts";
import { Errno } from "./errno.ts";
import type { FileNode, Node } from "./nodes.ts";

/** Who waits in a call: nothing is given to one that is dead. */
export interface Caller {
  readonly dead: boolean;
}

export interface OpenFile {
  /** How /proc/PID/fd shows it. */
  readonly name: string;
  refs: number;
  readonly readable: boolean;
  readonly writable: boolean;
  readonly node: Node | undefined;
  /** The terminal that it is. */
  readonly tty?: Terminal;
  /** Some bytes, at least one; undefined at the end. */
  read(max: number, caller: Caller): Uint8Array | undefined | Promise<Uint8Array | undefined>;
  /** All of them. Throws Errno EPIPE where nobody reads any more. */
  write(bytes: Uint8Array, caller: Caller): void | Promise<void>;
  seek?(offset: number, whence: "set" | "cur" | "end"): number;
  /** Bytes that can be had at once; undefined: not known. */
  ready?(): boolean;
  close(): void;
}

/** A terminal, as far as programs ask about it. */
export interface Terminal {
  readonly name: string;
  width: number;
  height: number;
  foreground: number;
  raw: boolean;
  echo: boolean;
}

const NEVER = new Promise<never>(() => {});
/** Never resolves: the call of a process that is dead. */
export const never = (): Promise<never> => NEVER;

/** A regular file. */
export class RegularFile implements OpenFile {
  readonly name: string;
  refs = 1;
  readonly readable: boolean;
  readonly writable: boolean;
  readonly node: FileNode;
  readonly #append: boolean;
  /** Contents as they were when it was opened, of a file that is made by reading it. */
  readonly #made: Uint8Array | undefined;
  #at = 0;

  constructor(name: string, node: FileNode, readable: boolean, writable: boolean, append: boolean) {
    this.name = name;
    this.node = node;
    this.readable = readable;
    this.writable = writable;
    this.#append = append;
    this.#made = node.content === undefined ? undefined : node.bytes();
  }

  read(max: number): Uint8Array | undefined {
    const made = this.#made;
    const bytes = made === undefined ? this.node.read(this.#at, max) : made.subarray(this.#at, this.#at + max);
    this.#at += bytes.length;
    return bytes.length === 0 ? undefined : bytes;
  }

  write(bytes: Uint8Array): void {
    if (this.node.sink !== undefined) {
      this.node.sink(String.fromCharCode(...bytes));
      return;
    }
    if (this.#made !== undefined) throw new Errno("EACCES");
    if (this.#append) this.#at = this.node.size;
    this.node.write(this.#at, bytes);
    this.#at += bytes.length;
  }

  seek(offset: number, whence: "set" | "cur" | "end"): number {
    const at = offset + (whence === "set" ? 0 : whence === "cur" ? this.#at : this.node.size);
    if (at < 0) throw new Errno("EINVAL");
    return (this.#at = at);
  }

  ready(): boolean {
    return true;
  }

  close(): void {}
}

const PIPE_BYTES = 65_536;

/** A pipe: bytes in order, and who waits at either end. */
export class Pipe {
  readonly #chunks: Uint8Array[] = [];
  #size = 0;
  readers = 0;
  writers = 0;
  #readWaiters: { caller: Caller; wake: () => void }[] = [];
  #writeWaiters: (() => void)[] = [];
  readonly #onOpen: (() => void)[] = [];

  /** An end of it, by which it stays open until that is closed. */
  end(side: "read" | "write", name = "pipe:", node?: Node): OpenFile {
    if (side === "read") this.readers++;
    else this.writers++;
    for (const run of this.#onOpen.splice(0)) run();
    return {
      name, refs: 1, readable: side === "read", writable: side === "write", node,
      read: (max, caller) => this.read(max, caller),
      write: (bytes, caller) => this.write(bytes, caller),
      ready: () => this.#size > 0 || this.writers === 0,
      close: () => {
        if (side === "read") {
          if (--this.readers === 0) this.#wakeWriters();
        } else if (--this.writers === 0) this.#wakeReaders();
      },
    };
  }

  /** Resolves when the other side of a named pipe is open. */
  async opened(side: "read" | "write"): Promise<void> {
    while ((side === "read" ? this.writers : this.readers) === 0) await new Promise<void>((resolve) => this.#onOpen.push(resolve));
  }

  read(max: number, caller: Caller): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    if (this.#size > 0) return this.#take(max);
    if (this.writers === 0) return undefined;
    return this.#waitToRead(max, caller);
  }

  async #waitToRead(max: number, caller: Caller): Promise<Uint8Array | undefined> {
    while (this.#size === 0 && this.writers > 0) await new Promise<void>((wake) => this.#readWaiters.push({ caller, wake }));
    if (caller.dead) {
      this.#wakeReaders();
      return never();
    }
    return this.#size > 0 ? this.#take(max) : undefined;
  }

  write(bytes: Uint8Array, caller: Caller): void | Promise<void> {
    if (this.readers === 0) throw new Errno("EPIPE");
    if (bytes.length === 0) return;
    if (this.#size < PIPE_BYTES) {
      this.#put(bytes);
      if (this.#size <= PIPE_BYTES) return;
    } else {
      return this.#waitToWrite(bytes, caller);
    }
    // What is over the limit is taken all the same; the writer goes on when there is room again.
    return this.#waitForRoom(caller);
  }

  async #waitToWrite(bytes: Uint8Array, caller: Caller): Promise<void> {
    await this.#waitForRoom(caller);
    if (this.readers === 0) throw new Errno("EPIPE");
    this.#put(bytes);
  }

  async #waitForRoom(caller: Caller): Promise<void> {
    while (this.#size >= PIPE_BYTES && this.readers > 0) await new Promise<void>((resolve) => this.#writeWaiters.push(resolve));
    if (caller.dead) return never();
    if (this.readers === 0) throw new Errno("EPIPE");
  }

  /** Without waiting for room: for what cannot wait. */
  #put(bytes: Uint8Array): void {
    this.#chunks.push(bytes);
    this.#size += bytes.length;
    this.#wakeReaders();
  }

  #take(max: number): Uint8Array {
    const first = this.#chunks[0] ?? EMPTY;
    const taken = first.length <= max ? first : first.subarray(0, max);
    if (taken.length === first.length) this.#chunks.shift();
    else this.#chunks[0] = first.subarray(max);
    this.#size -= taken.length;
    if (this.#size < PIPE_BYTES) this.#wakeWriters();
    return taken;
  }

  #wakeReaders(): void {
    for (const { wake } of this.#readWaiters.splice(0)) wake();
  }

  #wakeWriters(): void {
    for (const wake of this.#writeWaiters.splice(0)) wake();
  }
}

/** An open file that is made of two functions: devices, the ends of exec's streams. */
export function openOf(name: string, calls: {
  readonly read?: OpenFile["read"]; readonly write?: OpenFile["write"]; readonly node?: Node; readonly close?: () => void; readonly ready?: () => boolean;
}): OpenFile {
  return {
    name, refs: 1, readable: calls.read !== undefined, writable: calls.write !== undefined, node: calls.node,
    read: calls.read ?? (() => { throw new Errno("EBADF"); }),
    write: calls.write ?? (() => { throw new Errno("EBADF"); }),
    ...(calls.ready === undefined ? {} : { ready: calls.ready }),
    close: calls.close ?? (() => {}),
  };
}
