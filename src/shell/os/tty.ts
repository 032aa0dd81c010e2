/** A pseudo-terminal: what is typed, edited and shown (termios(3), n_tty). */
import { fromBytes, toBytes } from "./bytes.ts";
import { never, type Caller, type OpenFile, type Terminal } from "./files.ts";
import type { Process } from "./process.ts";
import type { Signal } from "./signals.ts";

export class Tty implements Terminal {
  readonly name: string;
  width = 80;
  height = 24;
  /** The process group that gets what is typed. */
  foreground = 0;
  raw = false;
  echo = true;
  readonly #show: (bytes: Uint8Array) => void;
  readonly #processes: ReadonlyMap<number, Process>;
  #line = "";
  #ready: string[] = [];
  #closed = false;
  #waiters: (() => void)[] = [];

  constructor(name: string, show: (bytes: Uint8Array) => void, processes: ReadonlyMap<number, Process>) {
    this.name = name;
    this.#show = show;
    this.#processes = processes;
  }

  /** An open file of it. */
  open(): OpenFile {
    return {
      name: this.name, refs: 1, readable: true, writable: true, node: undefined, tty: this,
      read: (max, caller) => this.#read(max, caller),
      write: (bytes) => this.#show(toBytes(fromBytes(bytes).replace(/\n/g, "\r\n"))),
      ready: () => this.#ready.length > 0 || this.#closed,
      close() {},
    };
  }

  /** What the user types. */
  type(bytes: Uint8Array): void {
    if (this.raw) {
      this.#give(fromBytes(bytes));
      return;
    }
    for (const byte of bytes) this.#key(String.fromCharCode(byte === 13 ? 10 : byte));
  }

  /** The user's end is gone: programs see the end of the input, and SIGHUP. */
  hangUp(): void {
    this.#closed = true;
    this.#wake();
    this.signal("HUP");
  }

  /** Nothing more will be typed. */
  end(): void {
    if (this.#line !== "") this.#give(this.#line);
    this.#line = "";
    this.#closed = true;
    this.#wake();
  }

  resize(width: number, height: number): void {
    if (width === this.width && height === this.height) return;
    this.width = width;
    this.height = height;
    this.signal("WINCH");
  }

  signal(signal: Signal): void {
    for (const process of [...this.#processes.values()]) if (process.pgid === this.foreground && process.tty === this) process.kill(signal);
  }

  #key(key: string): void {
    const code = key.charCodeAt(0);
    switch (code) {
      case 3: case 28:
        this.#echo(code === 3 ? "^C\n" : "^\\\n");
        this.#line = "";
        this.signal(code === 3 ? "INT" : "QUIT");
        return;
      case 4:
        if (this.#line === "") this.#give("");
        else this.#give(this.#line);
        this.#line = "";
        return;
      case 8: case 127:
        if (this.#line === "") return;
        this.#line = this.#line.slice(0, -1);
        this.#echo("\b \b");
        return;
      case 21:
        this.#echo("\b \b".repeat(this.#line.length));
        this.#line = "";
        return;
      case 23: {
        const kept = this.#line.replace(/\S*\s*$/, "");
        this.#echo("\b \b".repeat(this.#line.length - kept.length));
        this.#line = kept;
        return;
      }
      default:
        this.#echo(code < 32 && code !== 10 && code !== 9 ? `^${String.fromCharCode(code + 64)}` : key);
        this.#line += key;
        if (code === 10) {
          this.#give(this.#line);
          this.#line = "";
        }
    }
  }

  #echo(text: string): void {
    if (this.echo) this.#show(toBytes(text.replace(/\n/g, "\r\n")));
  }

  #give(text: string): void {
    this.#ready.push(text);
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiters.splice(0)) wake();
  }

  #read(max: number, caller: Caller): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    const first = this.#ready[0];
    if (first === undefined) return this.#closed ? undefined : this.#wait(max, caller);
    if (first.length <= max) this.#ready.shift();
    else this.#ready[0] = first.slice(max);
    // An empty line is what ^D gives: the end, this time.
    return first === "" ? undefined : toBytes(first.slice(0, max));
  }

  async #wait(max: number, caller: Caller): Promise<Uint8Array | undefined> {
    while (this.#ready.length === 0 && !this.#closed) await new Promise<void>((resolve) => this.#waiters.push(resolve));
    if (caller.dead) {
      this.#wake();
      return never();
    }
    return this.#read(max, caller);
  }
}
