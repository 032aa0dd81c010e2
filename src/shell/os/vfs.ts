/** The file system as one container sees it: its root, what is mounted in it, and the calls on paths (path_resolution(7)). */
import { Errno } from "./errno.ts";
import { Pipe, RegularFile, type OpenFile } from "./files.ts";
import { DirNode, FifoNode, FileNode, LinkNode, S_IFREG, type Node } from "./nodes.ts";

export interface MountPoint {
  readonly root: Node;
  /** Absolute, in this name space. */
  readonly path: string;
  readonly readOnly: boolean;
  /** The node below it, as the mount that is there sees it. */
  readonly covers: Node | undefined;
}

/** A node, and how it was come by. */
export interface Place {
  readonly node: Node;
  readonly mount: MountPoint;
  readonly name: string;
  readonly parent: Place | undefined;
}

/** On whose behalf a call is made. */
export interface Credentials {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  readonly umask: number;
  readonly cwd: Place;
  readonly pid?: number;
}

export interface OpenFlags {
  readonly read?: boolean;
  readonly write?: boolean;
  readonly create?: boolean;
  readonly exclusive?: boolean;
  readonly truncate?: boolean;
  readonly append?: boolean;
  readonly mode?: number;
}

const LINKS_MAX = 40;
const NAME_MAX = 255;
const [R, W, X] = [4, 2, 1];
export const ACCESS = { R, W, X } as const;

export class Vfs {
  readonly root: Place;
  readonly mounts: MountPoint[] = [];
  readonly #covered = new Map<Node, MountPoint>();

  constructor(root: DirNode, readOnly = false) {
    const mount: MountPoint = { root, path: "/", readOnly, covers: undefined };
    this.mounts.push(mount);
    this.root = { node: root, mount, name: "", parent: undefined };
  }

  /** Mounts a tree or a file on `path`, which is made if it is not there. */
  mount(path: string, root: Node, readOnly = false): void {
    const creds: Credentials = { uid: 0, gid: 0, groups: [], umask: 0o022, cwd: this.root };
    const parts = path.split("/").filter((part) => part !== "");
    let place = this.root;
    parts.forEach((part, i) => {
      let node = this.#child(place, part);
      if (node?.kind === "link") node = this.#lookup(creds, pathOf(place) + "/" + part, true)?.node;
      if (node === undefined) {
        const { sb } = place.node;
        node = i === parts.length - 1 && root.kind !== "dir" ? new FileNode(sb, S_IFREG | 0o755) : new DirNode(sb, 0o755);
        if (place.node.kind !== "dir") throw new Errno("ENOTDIR");
        place.node.set(part, node);
      }
      place = this.#step(place, part, node);
    });
    const mount: MountPoint = { root, path: `/${parts.join("/")}`, readOnly, covers: place.node };
    this.mounts.push(mount);
    this.#covered.set(place.node, mount);
  }

  /** Absolute path of a place. */
  pathOf(place: Place): string {
    return pathOf(place);
  }

  /** Undefined: there is none. Throws Errno for all else. */
  #lookup(creds: Credentials, path: string, follow: boolean): Place | undefined {
    const found = this.walk(creds, path, follow);
    return found.place;
  }

  /** Throws ENOENT where there is none. */
  find(creds: Credentials, path: string, follow = true): Place {
    const { place } = this.walk(creds, path, follow);
    if (place === undefined) throw new Errno("ENOENT");
    return place;
  }

  /** Undefined where a call would fail. */
  tryFind(creds: Credentials, path: string, follow = true): Place | undefined {
    try {
      return this.walk(creds, path, follow).place;
    } catch (error) {
      if (error instanceof Errno) return undefined;
      throw error;
    }
  }

  /** Where a path leads: the place, or the directory and the name that it would have there. */
  walk(creds: Credentials, path: string, follow: boolean): { readonly place: Place | undefined; readonly parent: Place; readonly name: string; readonly slash: boolean } {
    if (path === "") throw new Errno("ENOENT");
    let at = path.startsWith("/") ? this.root : creds.cwd;
    const parts = path.split("/").filter((part) => part !== "");
    let links = 0, slash = path.endsWith("/");
    let parent = at, name = ".";
    for (let i = 0; i < parts.length; i++) {
      const part = parts[i]!;
      if (at.node.kind !== "dir") throw new Errno("ENOTDIR");
      if (part.length > NAME_MAX) throw new Errno("ENAMETOOLONG");
      if (!allows(creds, at.node, X)) throw new Errno("EACCES");
      parent = at;
      name = part;
      const last = i === parts.length - 1;
      if (part === ".") continue;
      if (part === "..") {
        at = at.parent ?? at;
        continue;
      }
      const node = this.#child(at, part);
      if (node === undefined) {
        if (!last) throw new Errno("ENOENT");
        return { place: undefined, parent, name, slash };
      }
      if (node.kind === "link" && (!last || follow || slash) && node.open === undefined) {
        if (++links > LINKS_MAX) throw new Errno("ELOOP");
        const target = node.targetFor?.(creds) ?? node.target;
        parts.splice(0, i + 1, ...target.split("/").filter((p) => p !== ""));
        if (target.startsWith("/")) at = this.root;
        slash ||= parts.length === 0 ? false : last && target.endsWith("/");
        i = -1;
        continue;
      }
      at = this.#step(at, part, node);
    }
    if (slash && at.node.kind !== "dir" && !(at.node.kind === "link" && !follow)) throw new Errno("ENOTDIR");
    return { place: at, parent, name, slash };
  }

  #child(at: Place, name: string): Node | undefined {
    return at.node.kind === "dir" ? at.node.get(name) : undefined;
  }

  #step(parent: Place, name: string, node: Node): Place {
    let mount = parent.mount, top = node;
    for (let over = this.#covered.get(top); over !== undefined; over = this.#covered.get(top)) {
      if (top === over.root) break;
      mount = over;
      top = over.root;
    }
    return { node: top, mount, name, parent };
  }

  /** Below a directory: the place of one of its entries, links not followed. */
  entry(place: Place, name: string): Place | undefined {
    const node = this.#child(place, name);
    return node === undefined ? undefined : this.#step(place, name, node);
  }

  /** Names in a directory. */
  list(creds: Credentials, path: string): string[] {
    const { node } = this.find(creds, path);
    if (node.kind !== "dir") throw new Errno("ENOTDIR");
    if (!allows(creds, node, R)) throw new Errno("EACCES");
    return node.names();
  }

  /** A pipe's other end may have to be waited for. */
  open(creds: Credentials, path: string, flags: OpenFlags): OpenFile | Promise<OpenFile> {
    const walked = this.walk(creds, path, !(flags.exclusive === true));
    let { place } = walked;
    if (place === undefined) {
      if (flags.create !== true) throw new Errno("ENOENT");
      if (walked.slash) throw new Errno("EISDIR");
      const node = this.#create(creds, walked.parent, walked.name, (sb) => new FileNode(sb, S_IFREG | ((flags.mode ?? 0o666) & ~creds.umask)));
      place = this.#step(walked.parent, walked.name, node);
    } else {
      if (flags.exclusive === true && flags.create === true) throw new Errno("EEXIST");
      if (flags.read !== false && flags.read !== undefined && !allows(creds, place.node, R)) throw new Errno("EACCES");
      if (flags.write === true && !allows(creds, place.node, W)) throw new Errno("EACCES");
    }
    const { node } = place;
    const { read = false, write = false, append = false } = flags;
    switch (node.kind) {
      case "dir":
        if (write) throw new Errno("EISDIR");
        return dirFile(pathOf(place), node);
      case "device": return node.open();
      case "fifo": return openFifo(node, pathOf(place), read, write);
      case "link": {
        const file = node.open?.();
        if (file === undefined) throw new Errno("ELOOP");
        file.refs++;
        return file;
      }
      case "file": {
        if (write && place.mount.readOnly) throw new Errno("EROFS");
        if (write && flags.truncate === true && node.size > 0 && node.content === undefined) node.truncate(0);
        else if (write && flags.truncate === true && node.content === undefined) node.touch();
        return new RegularFile(pathOf(place), node, read, write, append);
      }
    }
  }

  /** The whole of one file; what takes no waiting. */
  readFile(creds: Credentials, path: string): Uint8Array {
    const { node } = this.find(creds, path);
    if (node.kind === "dir") throw new Errno("EISDIR");
    if (!allows(creds, node, R)) throw new Errno("EACCES");
    if (node.kind !== "file") throw new Errno("EINVAL");
    return node.bytes();
  }

  writeFile(creds: Credentials, path: string, bytes: Uint8Array, mode = 0o666): void {
    const file = this.open(creds, path, { write: true, create: true, truncate: true, mode });
    if (file instanceof Promise) throw new Errno("EINVAL");
    void file.write(bytes, { dead: false });
    file.close();
  }

  mkdir(creds: Credentials, path: string, mode = 0o777): void {
    const { place, parent, name } = this.walk(creds, path, false);
    if (place !== undefined) throw new Errno("EEXIST");
    this.#create(creds, parent, name, (sb) => new DirNode(sb, mode & ~creds.umask & 0o7777));
  }

  mkfifo(creds: Credentials, path: string, mode = 0o666): void {
    const { place, parent, name } = this.walk(creds, path, false);
    if (place !== undefined) throw new Errno("EEXIST");
    this.#create(creds, parent, name, (sb) => new FifoNode(sb, mode & ~creds.umask & 0o7777));
  }

  symlink(creds: Credentials, target: string, path: string): void {
    const { place, parent, name } = this.walk(creds, path, false);
    if (place !== undefined) throw new Errno("EEXIST");
    this.#create(creds, parent, name, (sb) => new LinkNode(sb, target));
  }

  link(creds: Credentials, from: string, to: string, follow = false): void {
    const source = this.find(creds, from, follow);
    if (source.node.kind === "dir") throw new Errno("EPERM");
    const { place, parent, name } = this.walk(creds, to, false);
    if (place !== undefined) throw new Errno("EEXIST");
    if (parent.node.sb !== source.node.sb || parent.mount !== source.mount) throw new Errno("EXDEV");
    const { dir } = this.#writableDir(creds, parent);
    dir.set(name, source.node);
    source.node.nlink++;
  }

  unlink(creds: Credentials, path: string): void {
    const { place, parent, name } = this.walk(creds, path, false);
    if (place === undefined) throw new Errno("ENOENT");
    if (place.node.kind === "dir") throw new Errno("EISDIR");
    this.#remove(creds, place, parent, name);
  }

  rmdir(creds: Credentials, path: string): void {
    const { place, parent, name } = this.walk(creds, path, false);
    if (place === undefined) throw new Errno("ENOENT");
    if (place.node.kind !== "dir") throw new Errno("ENOTDIR");
    if (name === ".") throw new Errno("EINVAL");
    if (name === ".." || !place.node.empty) throw new Errno("ENOTEMPTY");
    this.#remove(creds, place, parent, name);
  }

  rename(creds: Credentials, from: string, to: string): void {
    const source = this.walk(creds, from, false);
    const target = this.walk(creds, to, false);
    if (source.place === undefined) throw new Errno("ENOENT");
    const { node } = source.place;
    if (this.#covered.has(node) || source.place.mount.root === node) throw new Errno("EBUSY");
    const there = target.place?.node;
    if (there === node) return;
    if (source.parent.mount !== target.parent.mount || source.parent.node.sb !== target.parent.node.sb) throw new Errno("EXDEV");
    for (let up: Place | undefined = target.parent; up !== undefined; up = up.parent) if (up.node === node) throw new Errno("EINVAL");
    const out = this.#writableDir(creds, source.parent, node);
    const into = this.#writableDir(creds, target.parent);
    if (there !== undefined) {
      if (target.place!.mount.root === there) throw new Errno("EBUSY");
      if (there.kind === "dir" && node.kind !== "dir") throw new Errno("EISDIR");
      if (there.kind !== "dir" && node.kind === "dir") throw new Errno("ENOTDIR");
      if (there.kind === "dir" && !there.empty) throw new Errno("ENOTEMPTY");
      into.dir.delete(target.name);
      if (--there.nlink <= 0 || there.kind === "dir") there.free();
    }
    out.dir.delete(source.name);
    into.dir.set(target.name, node);
  }

  /** Throws where the place may not be changed: EROFS, or EPERM for one who does not own it. */
  change(creds: Credentials, place: Place): Node {
    if (place.mount.readOnly) throw new Errno("EROFS");
    if (creds.uid !== 0 && creds.uid !== place.node.uid) throw new Errno("EPERM");
    place.node.ctimeMs = place.node.sb.nowMs();
    return place.node;
  }

  access(creds: Credentials, place: Place, mask: number): boolean {
    if ((mask & W) !== 0 && place.mount.readOnly && place.node.kind !== "device") return false;
    return allows(creds, place.node, mask);
  }

  #create<T extends Node>(creds: Credentials, parent: Place, name: string, make: (sb: DirNode["sb"]) => T): T {
    const { dir } = this.#writableDir(creds, parent);
    const node = make(dir.sb);
    node.uid = creds.uid;
    node.gid = (dir.mode & 0o2000) !== 0 ? dir.gid : creds.gid;
    if ((dir.mode & 0o2000) !== 0 && node.kind === "dir") node.mode |= 0o2000;
    dir.set(name, node);
    return node;
  }

  #remove(creds: Credentials, place: Place, parent: Place, name: string): void {
    if (this.#covered.has(place.node) || place.mount.root === place.node) throw new Errno("EBUSY");
    const { dir } = this.#writableDir(creds, parent, place.node);
    dir.delete(name);
    const { node } = place;
    node.nlink--;
    if (node.nlink <= 0 || node.kind === "dir") node.free();
  }

  #writableDir(creds: Credentials, place: Place, entry?: Node): { dir: DirNode } {
    const { node, mount } = place;
    if (node.kind !== "dir") throw new Errno("ENOTDIR");
    if (mount.readOnly) throw new Errno("EROFS");
    if (!allows(creds, node, W | X)) throw new Errno("EACCES");
    if (entry !== undefined && (node.mode & 0o1000) !== 0 && creds.uid !== 0 && creds.uid !== entry.uid && creds.uid !== node.uid) throw new Errno("EPERM");
    return { dir: node };
  }
}

function pathOf(place: Place): string {
  let out = "";
  for (let at: Place | undefined = place; at?.parent !== undefined; at = at.parent) out = `/${at.name}${out}`;
  return out === "" ? "/" : out;
}

function allows({ uid, gid, groups }: Credentials, node: Node, mask: number): boolean {
  if (uid === 0) return (mask & X) === 0 || node.kind === "dir" || (node.mode & 0o111) !== 0;
  const shift = uid === node.uid ? 6 : gid === node.gid || groups.includes(node.gid) ? 3 : 0;
  return ((node.mode >> shift) & mask) === mask;
}

const dirFile = (name: string, node: DirNode): OpenFile => ({
  name, refs: 1, readable: true, writable: false, node,
  read: () => { throw new Errno("EISDIR"); },
  write: () => { throw new Errno("EBADF"); },
  close: () => {},
});

async function openFifo(node: FifoNode, name: string, read: boolean, write: boolean): Promise<OpenFile> {
  const pipe = (node.pipe ??= new Pipe()) as Pipe;
  if (read && write) {
    const ends = [pipe.end("read", name, node), pipe.end("write", name, node)] as const;
    return {
      ...ends[0], writable: true, write: ends[1].write,
      close() {
        ends[0].close();
        ends[1].close();
      },
    };
  }
  const side = read ? "read" : "write";
  const end = pipe.end(side, name, node);
  await pipe.opened(side);
  return end;
}
