/** JavaScript programs as processes: the context they get (src/cri/program.ts) out of the process they run in. */
import type { FileStatus, FileSystem, ProgramContext } from "../cri/program.ts";
import { byteString, toBytes, unicode } from "./os/bytes.ts";
import { Errno } from "./os/errno.ts";
import type { Main, Process } from "./os/process.ts";
import type { Host } from "./container.ts";
import { removeTree } from "./applets/files.ts";

/** A JavaScript program as what a process runs. */
export const contextMain = (run: (context: ProgramContext) => Promise<number>): Main => (process) => run(contextOf(process));

export function contextOf(process: Process): ProgramContext {
  const { machine } = process;
  const host = machine.host as Host;
  const stop = new AbortController();
  let handles = process.pid === 1;
  const handle = (): void => {
    for (const signal of ["TERM", "INT", "HUP", "QUIT"] as const) process.handlers.set(signal, () => stop.abort(`SIG${signal}`));
  };
  if (handles) handle();
  process.onEnd.add(() => {
    if (!stop.signal.aborted) stop.abort("SIGKILL");
  });
  // Output does not wait: what the reader does not take at once is kept for it.
  const writer = (fd: number) => (data: string | Uint8Array): void => {
    if (process.dead) return;
    void process.write(fd, typeof data === "string" ? byteString(data) : data).catch(() => {});
  };
  const fs = fileSystem(process);
  const env: Record<string, string> = {};
  for (const [name, value] of process.env) env[unicode(name)] = unicode(value);
  return {
    argv: process.argv.map(unicode), env, hostname: machine.hostname, pid: process.pid, ports: host.ports, fs,
    readFile: (path) => {
      try {
        return fs.readFile(path);
      } catch (error) {
        if (error instanceof Errno) return undefined;
        throw error;
      }
    },
    stdout: writer(1), stderr: writer(2),
    stdin: () => process.read(0),
    get signal() {
      if (!handles) handle();
      handles = true;
      return stop.signal;
    },
    get terminal() {
      const tty = process.fds[1]?.tty;
      return tty === undefined ? undefined : { width: tty.width, height: tty.height };
    },
    usage: host.usage, net: process.net, clock: machine.clock, random: host.fork(process.pid), api: host.api,
  };
}

function fileSystem(process: Process): FileSystem {
  const { fs } = process;
  return {
    readFile: (path) => fs.readFile(process, byteString(path)).slice(),
    readText: (path) => new TextDecoder().decode(fs.readFile(process, byteString(path))),
    writeFile(path, data, { append = false, mode = 0o666 } = {}) {
      const bytes = typeof data === "string" ? toBytes(byteString(data)) : data;
      const file = fs.open(process, byteString(path), { write: true, create: true, truncate: !append, append, mode });
      if (file instanceof Promise) throw new Errno("EINVAL");
      void file.write(bytes, process);
      file.close();
    },
    exists: (path) => fs.tryFind(process, byteString(path)) !== undefined,
    stat(path, { follow = true } = {}): FileStatus {
      const { node } = fs.find(process, byteString(path), follow);
      return { kind: node.kind === "dir" ? "directory" : node.kind, size: node.size, mode: node.mode & 0o7777, uid: node.uid, gid: node.gid, modifiedMs: node.mtimeMs };
    },
    list: (path) => fs.list(process, byteString(path)).map(unicode),
    makeDirectory(path, { parents = false, mode = 0o777 } = {}) {
      const name = byteString(path);
      if (!parents) {
        fs.mkdir(process, name, mode);
        return;
      }
      const parts = name.split("/");
      for (let i = 1; i <= parts.length; i++) {
        const prefix = parts.slice(0, i).join("/");
        if (prefix !== "" && fs.tryFind(process, prefix) === undefined) fs.mkdir(process, prefix, mode);
      }
    },
    remove: (path) => removeTree(process, byteString(path)),
    rename: (from, to) => fs.rename(process, byteString(from), byteString(to)),
    link: (target, path) => fs.symlink(process, byteString(target), byteString(path)),
  };
}
