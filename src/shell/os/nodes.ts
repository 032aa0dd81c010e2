/**
 * What a file system is made of: files, directories, links, devices, pipes. A directory may stand for a directory of an image's layer, which
 * all containers of the image share; its entries come to be when they are looked at, and bytes are copied when they are written.
 */
import { concatBytes, EMPTY, toBytes } from "./bytes.ts";
import { Errno } from "./errno.ts";
import type { OpenFile } from "./files.ts";
import type { Main } from "./process.ts";

/** File types of st_mode. */
export const S_IFIFO = 0o010000;
export const S_IFCHR = 0o020000;
export const S_IFDIR = 0o040000;
export const S_IFBLK = 0o060000;
export const S_IFREG = 0o100000;
export const S_IFLNK = 0o120000;
export const S_IFMT = 0o170000;

/** What a layer of an image holds by name. Names are byte strings. */
export type LayerEntry =
  | { readonly kind: "dir"; readonly mode?: number; readonly uid?: number; readonly gid?: number; readonly entries: ReadonlyMap<string, LayerEntry> }
  | { readonly kind: "file"; readonly bytes: Uint8Array; readonly mode?: number; readonly uid?: number; readonly gid?: number }
  /** An executable; its bytes are the head of an ELF file. */
  | { readonly kind: "program"; readonly main: Main; readonly size?: number }
  | { readonly kind: "link"; readonly target: string };

export type LayerDir = LayerEntry & { readonly kind: "dir" };

/** One file system: what `df` shows a line of. */
export interface Superblock {
  /** As mount(8) names it: overlay, tmpfs, proc … */
  readonly type: string;
  readonly source: string;
  readonly dev: number;
  /** Bytes it can hold. */
  readonly bytesMax: number;
  used: number;
  inodes: number;
  nextIno: number;
  /** Milliseconds since the Unix epoch. */
  readonly nowMs: () => number;
  /** Time stamps of what an image brought. */
  readonly bornMs: number;
}

/** A device's number, by what it is alone: the same in every run. */
const deviceOf = (name: string): number => {
  let number = 0;
  for (let i = 0; i < name.length; i++) number = (number * 31 + name.charCodeAt(i)) & 0xfffff;
  return 0x100000 + number;
};

export const newSuperblock = (type: string, source: string, nowMs: () => number, bytesMax = Infinity, bornMs = nowMs()): Superblock =>
  ({ type, source, dev: deviceOf(`${type} ${source}`), bytesMax, used: 0, inodes: 0, nextIno: 2, nowMs, bornMs });

export type Node = FileNode | DirNode | LinkNode | DeviceNode | FifoNode;

abstract class Inode {
  readonly sb: Superblock;
  readonly ino: number;
  mode: number;
  uid = 0;
  gid = 0;
  nlink = 1;
  mtimeMs: number;
  atimeMs: number;
  ctimeMs: number;

  constructor(sb: Superblock, mode: number, fromLayer = false) {
    this.sb = sb;
    this.ino = sb.nextIno++;
    this.mode = mode;
    sb.inodes++;
    this.mtimeMs = this.atimeMs = this.ctimeMs = fromLayer ? sb.bornMs : sb.nowMs();
  }

  get size(): number {
    return 0;
  }

  touch(): void {
    this.mtimeMs = this.ctimeMs = this.sb.nowMs();
  }

  /** Called when the last name is gone. */
  free(): void {
    this.sb.inodes--;
  }
}

export class FileNode extends Inode {
  readonly kind = "file";
  /** Run when the file is executed. */
  main: Main | undefined;
  /** Contents that are made when the file is opened, as /proc's. */
  content: (() => string) | undefined;
  /** Takes what is written to such a file. */
  sink: ((text: string) => void) | undefined;
  #bytes: Uint8Array = EMPTY;
  #size = 0;
  #shared = false;

  static fromLayer(sb: Superblock, { bytes, mode = 0o644, uid = 0, gid = 0 }: LayerEntry & { kind: "file" }): FileNode {
    const node = new FileNode(sb, S_IFREG | mode, true);
    node.#bytes = bytes;
    node.#size = bytes.length;
    node.#shared = true;
    node.uid = uid;
    node.gid = gid;
    return node;
  }

  static program(sb: Superblock, main: Main, size = ELF_SIZE): FileNode {
    const node = new FileNode(sb, S_IFREG | 0o755, true);
    node.main = main;
    node.#bytes = ELF;
    node.#size = size;
    node.#shared = true;
    return node;
  }

  override get size(): number {
    return this.#size;
  }

  get blocks(): number {
    return Math.ceil(this.#size / 4096) * 8;
  }

  /** A view; not to be written to. */
  bytes(): Uint8Array {
    if (this.content !== undefined) return toBytes(this.content());
    if (this.#size <= this.#bytes.length) return this.#bytes.subarray(0, this.#size);
    return concatBytes([this.#bytes, new Uint8Array(this.#size - this.#bytes.length)]);
  }

  read(at: number, max: number): Uint8Array {
    if (at >= this.#size) return EMPTY;
    return this.bytes().slice(at, at + max);
  }

  write(at: number, data: Uint8Array): void {
    const end = at + data.length;
    this.#reserve(end);
    this.#bytes.set(data, at);
    if (end > this.#size) this.#account(end);
    this.main = undefined;
    this.touch();
  }

  truncate(size: number): void {
    if (size > this.#size) this.#reserve(size);
    else if (!this.#shared && size === 0) this.#bytes = EMPTY;
    else if (size < this.#size) {
      this.#bytes = this.#bytes.slice(0, size);
      this.#shared = false;
    }
    this.#account(size);
    this.touch();
  }

  override free(): void {
    super.free();
    if (!this.#shared) this.sb.used -= this.#size;
  }

  #account(size: number): void {
    this.sb.used += size - this.#size;
    this.#size = size;
  }

  #reserve(end: number): void {
    if (end > FILE_BYTES_MAX) throw new Errno("EFBIG");
    if (this.sb.used + Math.max(0, end - this.#size) > this.sb.bytesMax) throw new Errno("ENOSPC");
    if (!this.#shared && end <= this.#bytes.length) return;
    const grown = new Uint8Array(end <= this.#size && this.#shared ? this.#size : Math.max(64, end, Math.min(this.#size * 2, this.#size + (4 << 20))));
    grown.set(this.#bytes.subarray(0, Math.min(this.#size, grown.length)));
    if (this.#shared) {
      this.#shared = false;
      this.sb.used += this.#size;
    }
    this.#bytes = grown;
  }
}

/** More than this in one file is refused: a program that writes endlessly takes no more memory than that. */
const FILE_BYTES_MAX = 256 << 20;
const ELF_SIZE = 1_131_168;
/** e_ident of a 64-bit little-endian executable. */
const ELF = Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0x3e, 0, 1, 0, 0, 0);

export class DirNode extends Inode {
  readonly kind = "dir";
  /** Entries that are made when they are asked for, as /proc's; such a directory takes no others. */
  dynamic: { get(name: string): Node | undefined; names(): string[] } | undefined;
  #layer: LayerDir | undefined;
  /** Null: there is one in the layer, and it is gone. */
  readonly #entries = new Map<string, Node | null>();

  constructor(sb: Superblock, mode: number, layer?: LayerDir) {
    super(sb, S_IFDIR | mode, layer !== undefined);
    this.#layer = layer;
    if (layer !== undefined) {
      this.uid = layer.uid ?? 0;
      this.gid = layer.gid ?? 0;
    }
    this.nlink = 2;
  }

  override get size(): number {
    return this.dynamic === undefined ? 4096 : 0;
  }

  get(name: string): Node | undefined {
    if (this.dynamic !== undefined) return this.dynamic.get(name);
    const own = this.#entries.get(name);
    if (own !== undefined) return own ?? undefined;
    const below = this.#layer?.entries.get(name);
    if (below === undefined) return undefined;
    const node = instantiate(this.sb, below);
    this.#entries.set(name, node);
    return node;
  }

  /** In the order of the layer, then as they were made. */
  names(): string[] {
    if (this.dynamic !== undefined) return this.dynamic.names();
    const out: string[] = [];
    for (const name of this.#layer?.entries.keys() ?? []) if (this.#entries.get(name) !== null) out.push(name);
    for (const [name, node] of this.#entries) if (node !== null && !(this.#layer?.entries.has(name) ?? false)) out.push(name);
    return out;
  }

  get empty(): boolean {
    return this.names().length === 0;
  }

  set(name: string, node: Node): void {
    if (this.dynamic !== undefined) throw new Errno("EPERM");
    this.#entries.set(name, node);
    if (node.kind === "dir") this.nlink++;
    this.touch();
  }

  delete(name: string): void {
    if (this.dynamic !== undefined) throw new Errno("EPERM");
    if (this.#entries.get(name)?.kind === "dir") this.nlink--;
    if (this.#layer?.entries.has(name) ?? false) this.#entries.set(name, null);
    else this.#entries.delete(name);
    this.touch();
  }
}

export class LinkNode extends Inode {
  readonly kind = "link";
  readonly target: string;
  /** What opening it gives, as /proc/self/fd's links do. */
  open: (() => OpenFile | undefined) | undefined;
  /** Where it leads, when that depends on who follows it. */
  targetFor: ((caller: { readonly pid?: number }) => string) | undefined;

  constructor(sb: Superblock, target: string, fromLayer = false) {
    super(sb, S_IFLNK | 0o777, fromLayer);
    this.target = target;
  }

  override get size(): number {
    return this.target.length;
  }
}

export class DeviceNode extends Inode {
  readonly kind = "device";
  readonly major: number;
  readonly minor: number;
  /** A new open file of it. */
  readonly open: () => OpenFile;

  constructor(sb: Superblock, mode: number, major: number, minor: number, open: () => OpenFile) {
    super(sb, mode);
    this.major = major;
    this.minor = minor;
    this.open = open;
  }
}

export class FifoNode extends Inode {
  readonly kind = "fifo";
  /** The pipe behind it, while somebody has it open (vfs.ts). */
  pipe: unknown;

  constructor(sb: Superblock, mode: number) {
    super(sb, S_IFIFO | mode);
  }
}

function instantiate(sb: Superblock, entry: LayerEntry): Node {
  switch (entry.kind) {
    case "dir": return new DirNode(sb, entry.mode ?? 0o755, entry);
    case "file": return FileNode.fromLayer(sb, entry);
    case "program": return FileNode.program(sb, entry.main, entry.size);
    case "link": return new LinkNode(sb, entry.target, true);
  }
}
