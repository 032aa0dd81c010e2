/** tar and gzip (busybox archival/). ustar with GNU's long names; what `kubectl cp` sends and takes. */
import { gunzipSync, gzipSync } from "fflate";
import { concatBytes, fromBytes, toBytes } from "../os/bytes.ts";
import { Errno } from "../os/errno.ts";
import { S_IFMT, type Node } from "../os/nodes.ts";
import type { Main, Process } from "../os/process.ts";
import type { Place } from "../os/vfs.ts";
import { matches } from "../sh/pattern.ts";
import { accounts, applet, getopt, join, UsageFault } from "./common.ts";
import { strftime, zoneOf } from "./date.ts";
import { modeText } from "./listing.ts";

const BLOCK = 512;
const RECORD = 20 * BLOCK;

interface Header {
  readonly name: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtimeMs: number;
  readonly type: string;
  readonly link: string;
  readonly user: string;
  readonly group: string;
}

const text = (block: Uint8Array, at: number, length: number): string => {
  const end = block.indexOf(0, at);
  return fromBytes(block.subarray(at, end < 0 || end > at + length ? at + length : end));
};

function number(block: Uint8Array, at: number, length: number): number {
  if ((block[at]! & 0x80) !== 0) {
    let value = block[at]! & 0x7f;
    for (let i = 1; i < length; i++) value = value * 256 + block[at + i]!;
    return value;
  }
  return Number.parseInt(text(block, at, length).trim() || "0", 8) || 0;
}

function encode(header: Header): Uint8Array {
  const block = new Uint8Array(BLOCK);
  const put = (at: number, value: string): void => block.set(toBytes(value), at);
  const octal = (at: number, length: number, value: number): void => put(at, value.toString(8).padStart(length - 1, "0"));
  put(0, header.name.slice(0, 100));
  octal(100, 8, header.mode & 0o7777);
  octal(108, 8, header.uid);
  octal(116, 8, header.gid);
  octal(124, 12, header.size);
  octal(136, 12, Math.max(0, Math.floor(header.mtimeMs / 1000)));
  put(148, "        ");
  put(156, header.type);
  put(157, header.link.slice(0, 100));
  put(257, "ustar  ");
  put(265, header.user.slice(0, 31));
  put(297, header.group.slice(0, 31));
  let sum = 0;
  for (const byte of block) sum += byte;
  put(148, `${sum.toString(8).padStart(6, "0")}\0 `);
  return block;
}

const padding = (size: number): Uint8Array => new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK);

/** Reads exact runs of bytes from a descriptor. */
class Blocks {
  readonly #read: () => Promise<Uint8Array | undefined>;
  #buffer: Uint8Array = new Uint8Array(0);

  constructor(read: () => Promise<Uint8Array | undefined>) {
    this.#read = read;
  }

  /** Undefined where it ends before. */
  async take(size: number): Promise<Uint8Array | undefined> {
    const parts: Uint8Array[] = [];
    let have = 0;
    while (have < size) {
      if (this.#buffer.length === 0) {
        const more = await this.#read();
        if (more === undefined) return undefined;
        this.#buffer = more;
      }
      const part = this.#buffer.subarray(0, size - have);
      this.#buffer = this.#buffer.subarray(part.length);
      parts.push(part);
      have += part.length;
    }
    return size === 0 ? new Uint8Array(0) : concatBytes(parts);
  }
}

const tar = applet("c|x|t [-ZzJjahmvokO] [-f TARFILE] [-C DIR] [-T FILE] [-X FILE] [LONGOPT]... [FILE]...", async (process, args) => {
  // The first word may be options without a minus.
  const words = args[0] !== undefined && /^[a-zA-Z]+$/.test(args[0]) ? oldStyle(args) : args;
  const options = getopt(words, "ctxvf:C:zjJahmokOT:X:pP", {
    create: "c", extract: "x", list: "t", get: "x", directory: "C", file: "f", gzip: "z", verbose: "v", "to-stdout": "O", exclude: "exclude:", "no-same-owner": "o", "same-permissions": "p",
    "preserve-permissions": "p", "strip-components": "strip:", overwrite: "overwrite", "numeric-owner": "numeric", "no-same-permissions": "nsp", dereference: "h", touch: "m", "absolute-names": "P",
    warning: "warning:", "no-recursion": "norec",
  });
  const modes = ["c", "x", "t"].filter((mode) => options.has(mode));
  if (modes.length !== 1) throw new UsageFault("");
  const file = options.get("f") ?? "-";
  const folder = options.get("C");
  const excluded = [...options.all("exclude")];
  for (const list of options.all("X")) excluded.push(...(await process.slurp(list)).split("\n").filter((line) => line !== ""));
  const names = [...options.rest];
  for (const list of options.all("T")) names.push(...(list === "-" ? await process.readAll(0) : await process.slurp(list)).split("\n").filter((line) => line !== ""));
  const skip = (name: string): boolean => excluded.some((pattern) => matches(pattern, name) || matches(`*/${pattern}`, name) || name.startsWith(`${pattern}/`));
  let fd: number;
  try {
    fd = file === "-" ? (modes[0] === "c" ? 1 : 0) : await process.open(file, modes[0] === "c" ? { write: true, create: true, truncate: true } : { read: true });
  } catch (error) {
    if (!(error instanceof Errno)) throw error;
    await process.complain(`can't open '${file}': ${error.message}`);
    return 1;
  }
  if (folder !== undefined) {
    const place = process.fs.tryFind(process, folder);
    if (place === undefined || place.node.kind !== "dir") {
      await process.complain(`can't change directory to '${folder}': ${place === undefined ? "No such file or directory" : "Not a directory"}`);
      return 1;
    }
    process.cwd = place;
  }
  if (modes[0] === "c") return create(process, fd, names, { verbose: options.has("v"), follow: options.has("h"), gzip: options.has("z") || (options.has("a") && /\.t?gz$/.test(file)), skip });
  return extract(process, fd, names, {
    list: modes[0] === "t", verbose: options.has("v"), touch: options.has("m"), keep: options.has("k"), toStdout: options.has("O"), owner: !options.has("o") && process.uid === 0,
    strip: Number(options.get("strip") ?? 0), skip,
  });
});

/** `tar cvf FILE …`: letters first, then their values in order. */
function oldStyle(args: readonly string[]): string[] {
  const rest = args.slice(1);
  const out: string[] = [];
  for (const letter of args[0]!) {
    out.push(`-${letter}`);
    if ("fCTX".includes(letter) && rest.length > 0) out.push(rest.shift()!);
  }
  return [...out, ...rest];
}

async function create(process: Process, fd: number, names: readonly string[], how: { verbose: boolean; follow: boolean; gzip: boolean; skip: (name: string) => boolean }): Promise<number> {
  if (names.length === 0) {
    await process.complain("empty archive");
    return 1;
  }
  const users = accounts(process, "passwd").byId, groups = accounts(process, "group").byId;
  const inodes = new Map<Node, string>();
  const zipped: Uint8Array[] = [];
  let written = 0, status = 0, told = false;
  const write = async (bytes: Uint8Array): Promise<void> => {
    written += bytes.length;
    if (how.gzip) zipped.push(bytes);
    else if (bytes.length > 0) await process.write(fd, bytes);
  };
  const long = async (value: string, type: "L" | "K"): Promise<void> => {
    const bytes = toBytes(`${value}\0`);
    await write(encode({ name: "././@LongLink", mode: 0, uid: 0, gid: 0, size: bytes.length, mtimeMs: 0, type, link: "", user: "root", group: "root" }));
    await write(concatBytes([bytes, padding(bytes.length)]));
  };
  const add = async (place: Place, path: string): Promise<void> => {
    const { node } = place;
    if (how.skip(path)) return;
    let name = path;
    if (name.startsWith("/")) {
      name = name.replace(/^\/+/, "");
      if (!told) await process.complain("removing leading '/' from member names");
      told = true;
    }
    name = name.replace(/^(?:\.\.\/)+/, "");
    if (node.kind === "dir" && name !== "" && !name.endsWith("/")) name += "/";
    if (name !== "") {
      if (how.verbose) await (fd === 1 ? process.error(`${name}\n`) : process.print(`${name}\n`));
      const earlier = node.nlink > 1 && node.kind === "file" ? inodes.get(node) : undefined;
      if (node.nlink > 1 && node.kind === "file" && earlier === undefined) inodes.set(node, name);
      const type = earlier !== undefined ? "1" : node.kind === "dir" ? "5" : node.kind === "link" ? "2" : node.kind === "device" ? "3" : node.kind === "fifo" ? "6" : "0";
      const link = earlier ?? (node.kind === "link" ? node.target : "");
      const bytes = type === "0" && node.kind === "file" ? node.bytes().slice() : new Uint8Array(0);
      if (link.length > 100) await long(link, "K");
      if (name.length > 100) await long(name, "L");
      await write(encode({ name, mode: node.mode, uid: node.uid, gid: node.gid, size: bytes.length, mtimeMs: node.mtimeMs, type, link, user: users.get(node.uid) ?? "", group: groups.get(node.gid) ?? "" }));
      for (let at = 0; at < bytes.length; at += 65_536) await write(bytes.subarray(at, at + 65_536));
      await write(padding(bytes.length));
      await process.spend(5_000 + bytes.length / 2);
    }
    if (node.kind !== "dir") return;
    for (const child of node.names()) {
      const below = process.fs.entry(place, child);
      if (below !== undefined) await add(how.follow && below.node.kind === "link" ? (process.fs.tryFind(process, join(path, child)) ?? below) : below, join(path, child));
    }
  };
  for (const name of names) {
    const place = process.fs.tryFind(process, name, how.follow);
    if (place === undefined) {
      await process.complain(`${name}: No such file or directory`);
      status = 1;
    } else await add(place, name);
  }
  await write(new Uint8Array(2 * BLOCK));
  await write(new Uint8Array((RECORD - (written % RECORD)) % RECORD));
  if (how.gzip) await process.write(fd, gzipSync(concatBytes(zipped), { mtime: 0 }));
  if (status !== 0) await process.complain("error exit delayed from previous errors");
  return status;
}

interface Extraction {
  readonly list: boolean; readonly verbose: boolean; readonly touch: boolean; readonly keep: boolean; readonly toStdout: boolean; readonly owner: boolean; readonly strip: number;
  readonly skip: (name: string) => boolean;
}

async function extract(process: Process, fd: number, wanted: readonly string[], how: Extraction): Promise<number> {
  const { fs } = process;
  let first = await process.read(fd);
  let source: () => Promise<Uint8Array | undefined>;
  if (first !== undefined && first[0] === 0x1f && first[1] === 0x8b) {
    const parts = [first];
    for (let more; (more = await process.read(fd)) !== undefined;) parts.push(more);
    let all: Uint8Array | undefined;
    try {
      all = gunzipSync(concatBytes(parts));
    } catch {
      await process.complain("corrupted data");
      return 1;
    }
    source = async () => {
      const out = all;
      all = undefined;
      return out;
    };
  } else {
    source = async () => {
      const out = first ?? (await process.read(fd));
      first = undefined;
      return out;
    };
  }
  const blocks = new Blocks(source);
  const zone = zoneOf(process.env.get("TZ"));
  const later: (() => void)[] = [];
  const found = new Set<string>();
  let longName: string | undefined, longLink: string | undefined, pax: Map<string, string> | undefined, status = 0, empty = true;
  for (;;) {
    const block = await blocks.take(BLOCK);
    if (block === undefined) {
      if (empty) {
        await process.complain("short read");
        return 1;
      }
      break;
    }
    if (block.every((byte) => byte === 0)) break;
    empty = false;
    let sum = 0;
    block.forEach((byte, i) => (sum += i >= 148 && i < 156 ? 32 : byte));
    if (sum !== number(block, 148, 8)) {
      await process.complain("invalid tar magic");
      return 1;
    }
    const prefix = text(block, 257, 6) === "ustar" && block[263] === 0x30 ? text(block, 345, 155) : "";
    let size = number(block, 124, 12);
    const type = String.fromCharCode(block[156]!);
    if (type === "L" || type === "K" || type === "x" || type === "g") {
      const data = await blocks.take(size);
      await blocks.take(padding(size).length);
      if (data === undefined) break;
      if (type === "L") longName = fromBytes(data).replace(/\0[\s\S]*$/, "");
      else if (type === "K") longLink = fromBytes(data).replace(/\0[\s\S]*$/, "");
      else if (type === "x") pax = paxRecords(fromBytes(data));
      continue;
    }
    const full = pax?.get("path") ?? longName ?? (prefix === "" ? text(block, 0, 100) : `${prefix}/${text(block, 0, 100)}`);
    const link = pax?.get("linkpath") ?? longLink ?? text(block, 157, 100);
    size = Number(pax?.get("size") ?? size);
    const header: Header = {
      name: full, mode: number(block, 100, 8), uid: number(block, 108, 8), gid: number(block, 116, 8), size, type, link,
      mtimeMs: Number(pax?.get("mtime") ?? number(block, 136, 12)) * 1000, user: text(block, 265, 32), group: text(block, 297, 32),
    };
    longName = longLink = pax = undefined;
    const data = await blocks.take(size);
    if (data === undefined) {
      await process.complain("short read");
      return 1;
    }
    await blocks.take(padding(size).length);
    const folder = type === "5" || (type === "0" && full.endsWith("/"));
    let name = full.replace(/^\/+/, "").replace(/\/+$/, "");
    const chosen = wanted.length === 0 ? true : wanted.some((one) => {
      const plain = one.replace(/^\/+/, "").replace(/\/+$/, "");
      const hit = plain === name || name.startsWith(`${plain}/`) || matches(plain, name);
      if (hit) found.add(one);
      return hit;
    });
    if (!chosen || how.skip(name)) continue;
    if (how.strip > 0) {
      name = name.split("/").slice(how.strip).join("/");
      if (name === "") continue;
    }
    const shown = folder ? `${name}/` : name;
    if (how.list) {
      await process.print(how.verbose ? `${modeText((folder ? 0o040000 : type === "2" ? 0o120000 : 0o100000) | (header.mode & 0o7777))} ${header.user || header.uid}/${header.group || header.gid} ${String(size).padStart(9)} ${strftime("%Y-%m-%d %H:%M:%S", header.mtimeMs, zone)} ${shown}${type === "2" ? ` -> ${link}` : ""}\n` : `${shown}\n`);
      continue;
    }
    if (name.split("/").includes("..")) {
      await process.complain(`name with '..' skipped: ${full}`);
      continue;
    }
    if (how.verbose) await (how.toStdout ? process.error(`${shown}\n`) : process.print(`${shown}\n`));
    if (how.toStdout) {
      if (type === "0" || type === "\0") await process.write(1, data);
      continue;
    }
    try {
      if (name === "" || name === ".") continue;
      makeParents(process, name);
      const there = fs.tryFind(process, name, false);
      if (folder) {
        if (there === undefined) fs.mkdir(process, name, 0o777);
        else if (there.node.kind !== "dir") throw new Errno("EEXIST");
      } else {
        if (there !== undefined) {
          if (how.keep) continue;
          if (there.node.kind === "dir") throw new Errno("EISDIR");
          // A mounted file cannot be replaced, but written.
          if (type !== "0" && type !== "\0" && type !== "7") fs.unlink(process, name);
          else {
            try {
              fs.unlink(process, name);
            } catch (error) {
              if (!(error instanceof Errno) || error.code !== "EBUSY") throw error;
            }
          }
        }
        if (type === "2") fs.symlink(process, link, name);
        else if (type === "1") fs.link(process, link.replace(/^\/+/, ""), name);
        else if (type === "6") fs.mkfifo(process, name);
        else if (type === "0" || type === "\0" || type === "7") fs.writeFile(process, name, data, 0o666);
        else continue;
      }
      const place = fs.find(process, name, false);
      const finish = (): void => {
        const { node } = place;
        if (how.owner) {
          node.uid = header.uid;
          node.gid = header.gid;
        }
        if (node.kind !== "link") node.mode = (node.mode & S_IFMT) | (header.mode & 0o7777 & (how.owner ? 0o7777 : ~process.umask));
        if (!how.touch) node.mtimeMs = header.mtimeMs;
      };
      // Directories change as their files come.
      if (folder) later.push(finish);
      else finish();
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      await process.complain(folder ? `can't make dir ${name}: ${error.message}` : `can't open '${name}': ${error.message}`);
      return 1;
    }
    await process.spend(5_000 + size / 2);
  }
  for (const finish of later.reverse()) finish();
  for (const one of wanted) {
    if (found.has(one)) continue;
    await process.complain(`${one}: not found in archive`);
    status = 1;
  }
  // What follows the end of the archive is read, so that who writes it is not cut off.
  while ((await source()) !== undefined);
  return status;
}

function makeParents(process: Process, path: string): void {
  const parts = path.split("/").slice(0, -1);
  for (let i = 1; i <= parts.length; i++) {
    const prefix = parts.slice(0, i).join("/");
    if (prefix !== "" && process.fs.tryFind(process, prefix) === undefined) process.fs.mkdir(process, prefix, 0o755);
  }
}

/** `LENGTH KEY=VALUE\n` … (POSIX pax) */
function paxRecords(data: string): Map<string, string> {
  const out = new Map<string, string>();
  for (let at = 0; at < data.length;) {
    const space = data.indexOf(" ", at);
    const length = Number(data.slice(at, space));
    if (space < 0 || !(length > 0)) break;
    const record = data.slice(space + 1, at + length - 1);
    const equals = record.indexOf("=");
    out.set(record.slice(0, equals), record.slice(equals + 1));
    at += length;
  }
  return out;
}

const gzip = (name: "gzip" | "gunzip" | "zcat"): Main => applet("[-cfkdt123456789] [FILE]...", async (process, args) => {
  const options = getopt(args, "cfkdtqv123456789");
  const unpack = name !== "gzip" || options.has("d");
  const toStdout = options.has("c") || name === "zcat";
  let status = 0;
  for (const path of options.rest.length === 0 ? ["-"] : options.rest) {
    let data: Uint8Array;
    try {
      data = toBytes(path === "-" ? await process.readAll(0) : await process.slurp(path));
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      await process.complain(`${path}: ${error.message}`);
      status = 1;
      continue;
    }
    let out: Uint8Array;
    try {
      out = unpack ? gunzipSync(data) : gzipSync(data, { mtime: 0 });
    } catch {
      await process.complain(data[0] === 0x1f && data[1] === 0x8b ? "corrupted data" : "invalid magic");
      status = 1;
      continue;
    }
    if (options.has("t")) continue;
    if (path === "-" || toStdout) {
      await process.write(1, out);
      continue;
    }
    if (unpack && !/\.(t?gz|z)$/i.test(path)) {
      await process.complain(`${path}: unknown suffix - ignored`);
      status = 1;
      continue;
    }
    const target = unpack ? path.replace(/\.tgz$/, ".tar").replace(/\.(gz|z)$/i, "") : `${path}.gz`;
    if (process.fs.tryFind(process, target) !== undefined && !options.has("f")) {
      await process.complain(`can't open '${target}': File exists`);
      status = 1;
      continue;
    }
    process.fs.writeFile(process, target, out);
    if (!options.has("k")) process.fs.unlink(process, path);
  }
  return status;
});

export const archiveApplets: Readonly<Record<string, Main>> = { tar, gzip: gzip("gzip"), gunzip: gzip("gunzip"), zcat: gzip("zcat") };
