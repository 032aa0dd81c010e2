/**
 * Processes of one container: programs as asynchronous functions that take turns. A call of a process that was killed never returns, which
 * ends the function wherever it is; descriptors, sockets and timers are closed at once.
 */
import type { Sockets } from "../../kernel/sockets.ts";
import type { Clock, Random } from "../../time/clock.ts";
import { byteString, fromBytes, toBytes } from "./bytes.ts";
import { Errno, strerror } from "./errno.ts";
import { never, type Caller, type OpenFile } from "./files.ts";
import { defaultAction, SIGNALS, type Signal } from "./signals.ts";
import type { Tty } from "./tty.ts";
import { ACCESS, type Credentials, type OpenFlags, type Place, type Vfs } from "./vfs.ts";

/** A program: resolves with its exit code. */
export type Main = (process: Process) => number | Promise<number>;

/** What all processes of a container have in common. */
export interface Machine {
  readonly fs: Vfs;
  readonly clock: Clock;
  readonly random: Random;
  readonly hostname: string;
  /** Sockets of the pod's network namespace, for one process: they are closed with it. */
  newSockets(): Sockets & { closeAll(): void };
  readonly processes: Map<number, Process>;
  nextPid: number;
  /** Takes note of CPU time. */
  readonly onCpu: (ns: number) => void;
  /** How much of a CPU there is, at most 1. */
  readonly cpus: number;
  /** What JavaScript programs and tools need beside the rest (../container.ts). */
  readonly host: unknown;
}

/** How a process ended: its exit code, or 128 and the signal's number. */
export interface Ended {
  readonly code: number;
  readonly signal: Signal | undefined;
}

export interface ProcessInit {
  readonly machine: Machine;
  readonly parent?: Process | undefined;
  readonly argv: readonly string[];
  readonly env: ReadonlyMap<string, string>;
  readonly cwd: Place;
  readonly fds: readonly (OpenFile | undefined)[];
  readonly uid?: number;
  readonly gid?: number;
  readonly groups?: readonly number[];
  readonly umask?: number;
  readonly tty?: Tty | undefined;
}

/** Virtual time of making a process and of loading a program, in ns: what fork and execve of a small program take. */
export const FORK_NS = 100_000;
export const EXEC_NS = 300_000;
/** CPU time that was spent is let pass when so much has come together. */
const SLICE_NS = 1_000_000;
const PRINT_BYTES = 4096;

export class Process implements Caller, Credentials {
  readonly machine: Machine;
  readonly pid: number;
  readonly startedMs: number;
  parent: Process | undefined;
  pgid: number;
  sid: number;
  argv: readonly string[];
  /** Where the program is in the file system; `` for one that is in none. */
  exe = "";
  env: Map<string, string>;
  cwd: Place;
  umask: number;
  uid: number;
  gid: number;
  groups: readonly number[];
  tty: Tty | undefined;
  readonly fds: (OpenFile | undefined)[] = [];
  readonly children = new Set<Process>();
  readonly handlers = new Map<Signal, (signal: Signal) => void>();
  readonly ignored = new Set<Signal>();
  dead = false;
  ended: Ended | undefined;
  /** CPU time, in ns. */
  cpuNs = 0;
  readonly done: Promise<Ended>;
  /** Called once, when it ends, before `done`. */
  readonly onEnd = new Set<() => void>();
  #unspentNs = 0;
  #printed: string[] = [];
  #printedSize = 0;
  #sockets: (Sockets & { closeAll(): void }) | undefined;
  #resolve!: (ended: Ended) => void;

  constructor(init: ProcessInit) {
    const { machine, parent } = init;
    this.machine = machine;
    this.pid = machine.nextPid++;
    this.parent = parent;
    this.pgid = parent?.pgid ?? this.pid;
    this.sid = parent?.sid ?? this.pid;
    this.argv = init.argv;
    this.env = new Map(init.env);
    this.cwd = init.cwd;
    this.uid = init.uid ?? parent?.uid ?? 0;
    this.gid = init.gid ?? parent?.gid ?? 0;
    this.groups = init.groups ?? parent?.groups ?? [];
    this.umask = init.umask ?? parent?.umask ?? 0o022;
    this.tty = init.tty ?? parent?.tty;
    this.exe = parent?.exe ?? "";
    for (const signal of parent?.ignored ?? []) this.ignored.add(signal);
    init.fds.forEach((file, fd) => {
      if (file === undefined) return;
      file.refs++;
      this.fds[fd] = file;
    });
    this.startedMs = machine.clock.nowMs();
    this.done = new Promise((resolve) => (this.#resolve = resolve));
    machine.processes.set(this.pid, this);
    parent?.children.add(this);
  }

  /** A copy of this process that runs `main`. */
  fork(main: Main, argv: readonly string[] = this.argv): Process {
    const child = new Process({ machine: this.machine, parent: this, argv, env: this.env, cwd: this.cwd, fds: this.fds });
    child.start(main);
    return child;
  }

  /** Runs `main` and ends with its exit code. */
  start(main: Main): void {
    const run = async (): Promise<number> => {
      await this.spend(FORK_NS);
      const code = await main(this);
      await this.flush();
      return code;
    };
    run().then((code) => this.exit(code), (error: unknown) => {
      if (this.dead) return;
      const text = `${this.name}: ${error instanceof Error ? error.message : String(error)}\n`;
      const out = this.fds[2];
      try {
        if (out?.writable === true) void Promise.resolve(out.write(toBytes(byteString(text)), this)).catch(() => {});
      } catch {
        // Nobody reads its last words.
      }
      this.exit(1);
    });
  }

  /** argv[0] without its path. */
  get name(): string {
    const [path = ""] = this.argv;
    return path.slice(path.lastIndexOf("/") + 1);
  }

  get fs(): Vfs {
    return this.machine.fs;
  }

  get clock(): Clock {
    return this.machine.clock;
  }

  get net(): Sockets {
    return (this.#sockets ??= this.machine.newSockets());
  }

  /** Ends it at once; its parent learns of it. */
  exit(code: number, signal?: Signal): void {
    if (this.dead) return;
    this.dead = true;
    this.ended = { code: code & 255, signal };
    for (const [fd, file] of this.fds.entries()) {
      if (file !== undefined) release(file);
      this.fds[fd] = undefined;
    }
    this.#sockets?.closeAll();
    for (const run of this.onEnd) run();
    const init = this.machine.processes.get(1);
    for (const child of this.children) {
      child.parent = init === this ? undefined : init;
      if (child.dead) this.machine.processes.delete(child.pid);
      else child.onEnd.add(() => this.machine.processes.delete(child.pid));
    }
    if (this.parent === undefined || this.parent.dead) this.machine.processes.delete(this.pid);
    this.#resolve(this.ended);
    this.parent?.kill("CHLD");
  }

  /** The parent has taken note of its end. */
  reap(): void {
    this.machine.processes.delete(this.pid);
    this.parent?.children.delete(this);
  }

  /** Sends it a signal. Process 1 gets only what it handles, and SIGKILL from outside the container (`force`). */
  kill(signal: Signal, force = false): void {
    if (this.dead) return;
    if (signal !== "KILL" && signal !== "STOP") {
      if (this.ignored.has(signal)) return;
      const handler = this.handlers.get(signal);
      if (handler !== undefined) {
        handler(signal);
        return;
      }
    }
    if (this.pid === 1 && !force) return;
    if (defaultAction(signal) === "terminate") this.exit(128 + SIGNALS[signal], signal);
  }

  /** Waits for something; what happens after this process died never comes. */
  live<T>(pending: T | Promise<T>): Promise<T> {
    if (this.dead) return never();
    return new Promise<T>((resolve, reject) => {
      Promise.resolve(pending).then((value) => { if (!this.dead) resolve(value); }, (error: unknown) => { if (!this.dead) reject(error as Error); });
    });
  }

  /** Uses the CPU for so long. */
  spend(ns: number): Promise<void> | undefined {
    this.cpuNs += ns;
    this.#unspentNs += ns;
    if (this.#unspentNs < SLICE_NS) return this.dead ? never() : undefined;
    const ms = this.#unspentNs / 1e6 / this.machine.cpus;
    this.machine.onCpu(this.#unspentNs);
    this.#unspentNs = 0;
    return this.pause(ms);
  }

  /** What was printed goes out first. */
  async sleep(ms: number): Promise<void> {
    await this.flush();
    await this.pause(ms);
  }

  pause(ms: number): Promise<void> {
    if (this.dead) return never();
    return new Promise((resolve) => {
      const end = (): void => cancel();
      const cancel = this.clock.after(ms, () => {
        this.onEnd.delete(end);
        if (!this.dead) resolve();
      });
      this.onEnd.add(end);
    });
  }

  file(fd: number): OpenFile {
    const file = this.fds[fd];
    if (file === undefined) throw new Errno("EBADF");
    return file;
  }

  /** Some bytes; undefined at the end. */
  async read(fd: number, max = 65_536): Promise<Uint8Array | undefined> {
    if (this.#printedSize > 0) await this.flush();
    const file = this.file(fd);
    if (!file.readable) throw new Errno("EBADF");
    const got = file.read(max, this);
    return got instanceof Promise ? this.live(got) : got;
  }

  /** All there is to read. */
  async readAll(fd: number): Promise<string> {
    const parts: string[] = [];
    for (let bytes; (bytes = await this.read(fd)) !== undefined;) parts.push(fromBytes(bytes));
    return parts.join("");
  }

  async write(fd: number, data: Uint8Array | string): Promise<void> {
    if (this.dead) return never();
    const file = this.file(fd);
    if (!file.writable) throw new Errno("EBADF");
    try {
      const pending = file.write(typeof data === "string" ? toBytes(data) : data, this);
      if (pending !== undefined) await this.live(pending);
    } catch (error) {
      if (error instanceof Errno && error.code === "EPIPE") {
        this.kill("PIPE", true);
        if (this.dead) return never();
      }
      throw error;
    }
  }

  /** Writes to standard output, in blocks; `flush` and the end write the rest. */
  print(text: string): Promise<void> | undefined {
    this.#printed.push(text);
    this.#printedSize += text.length;
    return this.#printedSize >= PRINT_BYTES ? this.flush() : undefined;
  }

  async flush(): Promise<void> {
    if (this.#printedSize === 0) return;
    const text = this.#printed.join("");
    this.#printed = [];
    this.#printedSize = 0;
    try {
      await this.write(1, text);
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      await this.complain(`write error: ${error.message}`);
      this.exit(1);
      return never();
    }
  }

  /** A line on standard error, after what was printed. */
  async error(text: string): Promise<void> {
    await this.flush();
    try {
      await this.write(2, text);
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
    }
  }

  /** `NAME: text`. */
  complain(text: string): Promise<void> {
    return this.error(`${this.name}: ${text}\n`);
  }

  /** Puts an open file at a descriptor, in place of what is there. */
  install(fd: number, file: OpenFile): void {
    const former = this.fds[fd];
    this.fds[fd] = file;
    if (former !== undefined && former !== file) release(former);
  }

  close(fd: number): void {
    const file = this.fds[fd];
    if (file === undefined) throw new Errno("EBADF");
    this.fds[fd] = undefined;
    release(file);
  }

  /** Opens a file at the lowest free descriptor. */
  async open(path: string, flags: OpenFlags): Promise<number> {
    const file = this.fs.open(this, path, flags);
    const opened = file instanceof Promise ? await this.live(file) : file;
    let fd = 0;
    while (this.fds[fd] !== undefined) fd++;
    this.fds[fd] = opened;
    return fd;
  }

  /** The whole of a file. */
  async slurp(path: string): Promise<string> {
    const { node } = this.fs.find(this, path);
    if (node.kind === "file") return fromBytes(this.fs.readFile(this, path));
    const fd = await this.open(path, { read: true });
    try {
      return await this.readAll(fd);
    } finally {
      this.close(fd);
    }
  }

  /** Turns this process into another program (execve): throws Errno, or gives what to run. */
  exec(path: string, argv: readonly string[], env: ReadonlyMap<string, string>, depth = 0): Main {
    const place = this.fs.find(this, path);
    const { node } = place;
    if (node.kind !== "file" || !this.fs.access(this, place, ACCESS.X)) throw new Errno("EACCES");
    if (node.main === undefined) {
      const head = fromBytes(node.bytes().subarray(0, 256));
      if (!head.startsWith("#!")) throw new Errno("ENOEXEC");
      const line = head.slice(2).split("\n")[0]!.trim();
      const space = line.search(/[ \t]/);
      const interpreter = space < 0 ? line : line.slice(0, space);
      const option = space < 0 ? [] : [line.slice(space).trim()];
      if (interpreter === "" || depth > 4) throw new Errno("ENOEXEC");
      return this.exec(interpreter, [interpreter, ...option, path, ...argv.slice(1)], env, depth + 1);
    }
    const { main } = node;
    this.argv = argv;
    this.exe = this.fs.pathOf(place);
    this.env = new Map(env);
    return async (process) => {
      await process.spend(EXEC_NS);
      return main(process);
    };
  }

  /** The file that a command's name means: by $PATH, unless there is a slash in it. Undefined: there is none. */
  which(name: string, path = this.env.get("PATH") ?? DEFAULT_PATH): { readonly path: string; readonly error?: Errno } | undefined {
    if (name.includes("/")) return this.fs.tryFind(this, name) === undefined ? undefined : { path: name };
    let denied: { path: string; error: Errno } | undefined;
    for (const folder of path.split(":")) {
      const full = folder === "" ? name : `${folder}/${name}`;
      const place = this.fs.tryFind(this, full);
      if (place === undefined || place.node.kind !== "file") continue;
      if (this.fs.access(this, place, ACCESS.X)) return { path: full };
      denied ??= { path: full, error: new Errno("EACCES") };
    }
    return denied;
  }
}

export const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export function release(file: OpenFile): void {
  if (--file.refs === 0) file.close();
}

/** What strerror says of a failed call, for messages; throws on what is none. */
export const failureOf = (error: unknown): string => {
  if (error instanceof Errno) return error.message;
  const code = (error as { code?: string }).code;
  if ((error as Error).name === "SocketError" && code !== undefined) return strerror(code);
  throw error;
};
