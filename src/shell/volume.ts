/** Volumes: file systems of their own that containers of a pod share (src/cri/types.ts). */
import type { Volume, VolumeFile, VolumeOptions } from "../cri/types.ts";
import { byteString } from "./os/bytes.ts";
import { Errno } from "./os/errno.ts";
import { DirNode, FileNode, LinkNode, newSuperblock, S_IFREG, type Node, type Superblock } from "./os/nodes.ts";

export class TreeVolume implements Volume {
  readonly root: DirNode;
  readonly #sb: Superblock;
  #generation = 0;
  /** Names that `setFiles` made at the top. */
  #tops = new Set<string>();

  constructor(nowMs: () => number, options: VolumeOptions = {}) {
    const { mode = 0o777, gid = 0, bytesMax } = options;
    this.#sb = newSuperblock(bytesMax === undefined ? "ext4" : "tmpfs", bytesMax === undefined ? "/dev/vda1" : "tmpfs", nowMs, bytesMax ?? Infinity);
    this.root = new DirNode(this.#sb, mode | (gid === 0 ? 0 : 0o2000));
    this.root.gid = gid;
  }

  setFiles(files: ReadonlyMap<string, Uint8Array | VolumeFile>): void {
    const former = this.root.get("..data");
    // As AtomicWriter: a directory named by its time, `..data` leads to it, and every name at the top leads through that.
    const stamp = new Date(Math.floor(this.#sb.nowMs())).toISOString().replace(/[-:]/g, "_").replace("T", "_").slice(0, 19);
    const name = `..${stamp}.${String(1_000_000_000 + this.#generation++ * 7919).slice(0, 10)}`;
    const data = new DirNode(this.#sb, 0o755);
    data.gid = this.root.gid;
    const tops = new Set<string>();
    for (const [path, file] of files) {
      const parts = byteString(path).split("/").filter((part) => part !== "");
      if (parts.length === 0) continue;
      tops.add(parts[0]!);
      this.#put(data, parts, file);
    }
    this.root.set(name, data);
    if (former !== undefined) this.root.delete("..data");
    this.root.set("..data", new LinkNode(this.#sb, name));
    for (const top of this.#tops) if (!tops.has(top)) this.root.delete(top);
    for (const top of tops) if (!this.#tops.has(top)) this.root.set(top, new LinkNode(this.#sb, `..data/${top}`));
    this.#tops = tops;
    if (former?.kind === "link") this.root.delete(former.target);
  }

  readFile(path: string): Uint8Array | undefined {
    const node = this.find(path);
    return node?.kind === "file" ? node.bytes().slice() : undefined;
  }

  writeFile(path: string, file: Uint8Array | VolumeFile): void {
    this.#put(this.root, byteString(path).split("/").filter((part) => part !== ""), file);
  }

  kindOf(path: string): "directory" | "file" | undefined {
    const node = this.find(path);
    return node === undefined ? undefined : node.kind === "dir" ? "directory" : "file";
  }

  list(path: string): readonly string[] | undefined {
    const node = this.find(path);
    return node?.kind === "dir" ? [...node.names()] : undefined;
  }

  usedBytes(): number {
    return this.#sb.used;
  }

  usedInodes(): number {
    return this.#sb.inodes;
  }

  /** What is at a path, links inside of the volume followed; undefined: nothing. */
  find(path: string): Node | undefined {
    const parts = byteString(path).split("/").filter((part) => part !== "" && part !== ".");
    let at: Node = this.root;
    for (let i = 0, links = 0; i < parts.length; i++) {
      if (at.kind !== "dir") return undefined;
      const next: Node | undefined = at.get(parts[i]!);
      if (next === undefined) return undefined;
      if (next.kind === "link") {
        if (++links > 20) return undefined;
        parts.splice(0, i + 1, ...next.target.split("/").filter((part) => part !== ""));
        i = -1;
        at = this.root;
        continue;
      }
      at = next;
    }
    return at;
  }

  /** For a mount by subPath: what is there, a directory that is made where there is nothing. */
  ensure(path: string): Node {
    const there = this.find(path);
    if (there !== undefined) return there;
    let at = this.root;
    for (const part of byteString(path).split("/").filter((p) => p !== "")) {
      const next = at.get(part);
      if (next === undefined) {
        const made = new DirNode(this.#sb, 0o755);
        at.set(part, made);
        at = made;
      } else if (next.kind === "dir") at = next;
      else throw new Errno("ENOTDIR");
    }
    return at;
  }

  #put(root: DirNode, parts: readonly string[], file: Uint8Array | VolumeFile): void {
    const { bytes, mode = 0o644 } = file instanceof Uint8Array ? { bytes: file } : file;
    let at = root;
    for (const part of parts.slice(0, -1)) {
      const next = at.get(part);
      if (next?.kind === "dir") at = next;
      else {
        const made = new DirNode(this.#sb, 0o755);
        made.gid = this.root.gid;
        at.set(part, made);
        at = made;
      }
    }
    const name = parts.at(-1)!;
    const there = at.get(name);
    const node = there?.kind === "file" ? there : new FileNode(this.#sb, S_IFREG | mode);
    node.gid = this.root.gid;
    node.truncate(0);
    node.write(0, bytes);
    if (node !== there) at.set(name, node);
  }
}
