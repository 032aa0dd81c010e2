/** A container: its root file system, its processes, the streams of those that are started from outside. */
import type { ApiTransport } from "../client/transport.ts";
import type { Usage } from "../cri/program.ts";
import type { ProcessIO, RunningProcess, UserlandContainer, UserlandInit } from "../cri/userland.ts";
import { ExecutableNotFound } from "../images/program.ts";
import type { Netns } from "../kernel/netns.ts";
import type { Random } from "../time/clock.ts";
import { devices } from "./devices.ts";
import { layerOf } from "./layers.ts";
import { byteString } from "./os/bytes.ts";
import { Errno } from "./os/errno.ts";
import { openOf, Pipe, type OpenFile } from "./os/files.ts";
import { DirNode, FileNode, newSuperblock, S_IFREG, type Superblock } from "./os/nodes.ts";
import { DEFAULT_PATH, Process, type Machine, type Main } from "./os/process.ts";
import { parseSignal } from "./os/signals.ts";
import { Tty } from "./os/tty.ts";
import { Vfs, type Credentials } from "./os/vfs.ts";
import { proc } from "./proc.ts";
import { contextMain } from "./program-context.ts";
import { TreeVolume } from "./volume.ts";

/** What programs of a container need beside processes and files. */
export interface Host {
  readonly netns: Netns;
  readonly api: ApiTransport;
  readonly usage: Usage;
  readonly ports: readonly { readonly containerPort: number; readonly protocol?: string }[];
  /** Chance for one process. */
  fork(pid: number): Random;
}

export const newContainer = (init: UserlandInit): UserlandContainer => new ShellContainer(init);

class ShellContainer implements UserlandContainer {
  readonly #init: UserlandInit;
  #machine: Machine | undefined;
  #sb: Superblock | undefined;
  #ttys = 0;

  constructor(init: UserlandInit) {
    this.#init = init;
  }

  /** Made when it is first needed: most containers are one program that never looks at a file. */
  get #made(): Machine {
    return (this.#machine ??= this.#make());
  }

  #make(): Machine {
    const { image, config, hostname, netns, newSockets, clock, random, api, usage, onCpu } = this.#init;
    const nowMs = (): number => clock.nowMs();
    const sb = newSuperblock("overlay", "overlay", nowMs);
    this.#sb = sb;
    const fs = new Vfs(new DirNode(sb, 0o755, layerOf(image)), config.readOnlyRootFilesystem === true);
    const forks = random.fork("processes");
    const host: Host = { netns, api, usage, ports: config.ports ?? [], fork: (pid) => forks.fork(String(pid)) };
    const machine: Machine = { fs, clock, random: random.fork("machine"), hostname, newSockets, processes: new Map(), nextPid: 1, onCpu, cpus: Math.min(1, config.cpuLimit ?? 1), host };
    fs.mount("/proc", proc(() => machine, netns));
    fs.mount("/dev", devices(nowMs, random.fork("dev")));
    fs.mount("/sys", system(nowMs, netns), true);
    const node = newSuperblock("ext4", "/dev/vda1", nowMs);
    const own = (path: string, bytes: Uint8Array): void => {
      const file = new FileNode(node, S_IFREG | 0o644);
      file.write(0, bytes);
      fs.mount(path, file);
    };
    own("/etc/hostname", new TextEncoder().encode(`${hostname}\n`));
    for (const path of ["/etc/hosts", "/etc/resolv.conf"]) {
      const bytes = config.readFile(path);
      if (bytes !== undefined) own(path, bytes);
    }
    // What lies deeper comes later.
    const mounts = [...(config.mounts ?? [])].sort((a, b) => a.mountPath.split("/").length - b.mountPath.split("/").length);
    for (const { mountPath, volume, subPath = "", readOnly = false } of mounts) {
      if (!(volume instanceof TreeVolume)) continue;
      fs.mount(byteString(mountPath), subPath === "" ? volume.root : volume.ensure(subPath), readOnly);
    }
    return machine;
  }

  run(argv: readonly string[], io: ProcessIO): RunningProcess {
    const { image, config, hostname } = this.#init;
    const machine = this.#made;
    const env = new Map<string, string>([["PATH", DEFAULT_PATH], ["HOSTNAME", hostname], ...(io.tty ? [["TERM", "xterm"] as const] : [])]);
    for (const source of [image.env ?? {}, config.env]) for (const name of Object.keys(source)) env.set(byteString(name), byteString(source[name]!));
    const uid = config.runAsUser ?? image.user?.uid ?? 0;
    const gid = config.runAsGroup ?? image.user?.gid ?? 0;
    if (!env.has("HOME")) env.set("HOME", homeOf(machine, uid));
    const root: Credentials = { uid: 0, gid: 0, groups: [], umask: 0o022, cwd: machine.fs.root };
    const workingDir = byteString(config.workingDir ?? image.workingDir ?? "/");
    for (let at = 1; at > 0;) {
      at = workingDir.indexOf("/", at + 1);
      const prefix = at < 0 ? workingDir : workingDir.slice(0, at);
      if (prefix !== "" && prefix !== "/" && machine.fs.tryFind(root, prefix) === undefined) machine.fs.mkdir(root, prefix, 0o755);
    }
    const cwd = machine.fs.find(root, workingDir);

    const terminal = io.tty ? new Tty(`/dev/pts/${this.#ttys++}`, (bytes) => io.stdout(bytes), machine.processes) : undefined;
    const input = new Pipe();
    const writer = io.stdin && terminal === undefined ? input.end("write") : undefined;
    const fds: OpenFile[] = terminal === undefined ? [
      writer === undefined ? openOf("/dev/null", { read: () => undefined, write: () => {} }) : input.end("read"),
      openOf("pipe:[1]", { write: (bytes) => io.stdout(bytes) }), openOf("pipe:[2]", { write: (bytes) => io.stderr(bytes) }),
    ] : [terminal.open(), terminal.open(), terminal.open()];
    const words = argv.map(byteString);
    const process = new Process({ machine, argv: words, env, cwd, fds, uid, gid, groups: config.supplementalGroups ?? [], tty: terminal });
    if (terminal !== undefined) terminal.foreground = process.pgid;
    const first = process.pid === 1;
    if (first) process.onEnd.add(() => { for (const other of [...machine.processes.values()]) if (other !== process) other.kill("KILL", true); });
    const ended = new Promise<number>((resolve, reject) => {
      let main: Main;
      try {
        main = this.#program(process, words);
      } catch (error) {
        process.exit(128);
        reject(error as Error);
        return;
      }
      // A program that is not there may be said only when it is run.
      process.start(async (self) => {
        try {
          return await main(self);
        } catch (error) {
          if (error instanceof ExecutableNotFound) {
            reject(error);
            return 128;
          }
          throw error;
        }
      });
      void process.done.then(({ code }) => resolve(code));
    });
    // An exec whose container ends is killed with it; its streams close.
    return {
      ended,
      write(bytes) {
        if (process.dead) return;
        if (terminal !== undefined) terminal.type(bytes);
        else if (writer !== undefined) void Promise.resolve(tryWrite(writer, bytes)).catch(() => {});
      },
      eof() {
        if (terminal !== undefined) terminal.end();
        else if (writer !== undefined && writer.refs > 0) {
          writer.refs = 0;
          writer.close();
        }
      },
      resize: ({ width, height }) => terminal?.resize(width, height),
      signal: (name) => {
        const signal = parseSignal(name);
        if (signal !== undefined) process.kill(signal);
      },
      kill() {
        terminal?.hangUp();
        process.kill("KILL", true);
      },
    };
  }

  /** The file that argv[0] means, or the image's own program. */
  #program(process: Process, argv: readonly string[]): Main {
    const { image } = this.#init;
    const name = argv[0] ?? "";
    const found = process.which(name);
    if (found === undefined) return contextMain((context) => image.run(context));
    try {
      return process.exec(found.path, argv, process.env);
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      throw new ExecutableNotFound(name, error.code === "ENOEXEC" ? `exec ${name}: exec format error` : `exec: "${name}": ${error.message.toLowerCase()}`);
    }
  }

  readFile(path: string): Uint8Array | undefined {
    const { fs } = this.#made;
    const root: Credentials = { uid: 0, gid: 0, groups: [], umask: 0o022, cwd: fs.root };
    try {
      return fs.readFile(root, byteString(path)).slice();
    } catch (error) {
      if (error instanceof Errno) return undefined;
      throw error;
    }
  }

  usedBytes(): number {
    return this.#sb?.used ?? 0;
  }
}

function tryWrite(writer: OpenFile, bytes: Uint8Array): void | Promise<void> {
  try {
    return writer.write(bytes, { dead: false });
  } catch (error) {
    // The reader is gone: what comes is lost.
    if (!(error instanceof Errno)) throw error;
    return undefined;
  }
}

function homeOf({ fs }: Machine, uid: number): string {
  const root: Credentials = { uid: 0, gid: 0, groups: [], umask: 0o022, cwd: fs.root };
  let text = "";
  try {
    text = new TextDecoder().decode(fs.readFile(root, "/etc/passwd"));
  } catch (error) {
    if (!(error instanceof Errno)) throw error;
  }
  return text.split("\n").map((line) => line.split(":")).find((fields) => Number(fields[2]) === uid && fields.length >= 6)?.[5] ?? (uid === 0 ? "/root" : "/");
}

/** /sys, as far as programs look at links. */
function system(nowMs: () => number, netns: Netns): DirNode {
  const sb = newSuperblock("sysfs", "sysfs", nowMs);
  const folder = (names: () => string[], get: (name: string) => DirNode | FileNode | undefined): DirNode => {
    const dir = new DirNode(sb, 0o555);
    dir.dynamic = { names, get };
    return dir;
  };
  const file = (content: () => string): FileNode => {
    const node = new FileNode(sb, S_IFREG | 0o444);
    node.content = content;
    return node;
  };
  const link = (name: string): DirNode | undefined => {
    const info = (): ReturnType<Netns["link"]> => netns.link(name);
    if (info() === undefined) return undefined;
    const values: Readonly<Record<string, () => string>> = {
      address: () => `${info()?.mac ?? "00:00:00:00:00:00"}\n`, mtu: () => `${info()?.mtu ?? 0}\n`, ifindex: () => `${info()?.ifindex ?? 0}\n`, operstate: () => `${info()?.up === true ? "up" : "down"}\n`,
    };
    return folder(() => Object.keys(values), (key) => (Object.hasOwn(values, key) ? file(values[key]!) : undefined));
  };
  const net = folder(() => netns.links().map(({ name }) => name), link);
  const cls = folder(() => ["net"], (name) => (name === "net" ? net : undefined));
  return folder(() => ["class"], (name) => (name === "class" ? cls : undefined));
}
