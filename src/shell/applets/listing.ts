/** Applets that show what is in the file system: ls, stat, du, df, find. */
import { Errno } from "../os/errno.ts";
import { S_IFMT, S_IFDIR, S_IFREG, S_IFLNK, S_IFCHR, S_IFIFO, type Node, type Superblock } from "../os/nodes.ts";
import type { Main, Process } from "../os/process.ts";
import type { Place } from "../os/vfs.ts";
import { matches } from "../sh/pattern.ts";
import { accounts, applet, baseName, getopt, join, UsageFault } from "./common.ts";
import { strftime, zoneOf } from "./date.ts";
import { human, removeTree } from "./files.ts";

const HALF_YEAR_MS = 15_768_000_000;

/** `drwxr-xr-x` */
export function modeText(mode: number): string {
  const type = { [S_IFDIR]: "d", [S_IFREG]: "-", [S_IFLNK]: "l", [S_IFCHR]: "c", [S_IFIFO]: "p" }[mode & S_IFMT] ?? "?";
  let out = type;
  for (const [shift, special, letter] of [[6, 0o4000, "s"], [3, 0o2000, "s"], [0, 0o1000, "t"]] as const) {
    const bits = (mode >> shift) & 7;
    const x = (bits & 1) !== 0;
    out += (bits & 4 ? "r" : "-") + (bits & 2 ? "w" : "-") + ((mode & special) !== 0 ? (x ? letter : letter.toUpperCase()) : x ? "x" : "-");
  }
  return out;
}

export const blocksOf = (node: Node): number => (node.kind === "file" ? node.blocks : node.kind === "dir" && node.size > 0 ? 8 : 0);

interface Entry {
  readonly name: string;
  readonly path: string;
  readonly place: Place;
  /** What a link leads to, with -L. */
  readonly node: Node;
}

const ls = applet("[-1AaCxdLHRFplinshrSXvctu] [-w WIDTH] [FILE]...", async (process, args) => {
  const options = getopt(args, "1AaCxdLHRFplinshrSXvctuw:TkgGQqo", { "full-time": "full", "group-directories-first": "first", color: "color:" });
  const has = (option: string): boolean => options.has(option);
  const names = options.rest.length === 0 ? ["."] : options.rest;
  const { fs } = process;
  const tty = process.fds[1]?.tty;
  const long = has("l") || has("n") || has("g") || has("o") || has("full");
  const columns = !long && !has("1") && (tty !== undefined || has("C") || has("x"));
  const width = Number(options.get("w") ?? tty?.width ?? 80);
  const users = accounts(process, "passwd").byId, groups = accounts(process, "group").byId;
  const zone = zoneOf(process.env.get("TZ"));
  let status = 0;

  const timeOf = (node: Node): number => (has("c") ? node.ctimeMs : has("u") ? node.atimeMs : node.mtimeMs);
  const sort = (entries: Entry[]): Entry[] => {
    const byName = (a: Entry, b: Entry): number => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
    const extension = (name: string): string => (name.lastIndexOf(".") < 0 ? "" : name.slice(name.lastIndexOf(".")));
    const order = has("S") ? (a: Entry, b: Entry) => b.node.size - a.node.size || byName(a, b)
      : has("t") ? (a: Entry, b: Entry) => timeOf(b.node) - timeOf(a.node) || byName(a, b)
      : has("X") ? (a: Entry, b: Entry) => (extension(a.name) < extension(b.name) ? -1 : extension(a.name) > extension(b.name) ? 1 : byName(a, b))
      : byName;
    const sorted = [...entries].sort(order);
    if (has("r")) sorted.reverse();
    if (has("first")) sorted.sort((a, b) => Number(b.node.kind === "dir") - Number(a.node.kind === "dir"));
    return sorted;
  };
  const suffix = (node: Node): string => {
    if (has("F")) return node.kind === "dir" ? "/" : node.kind === "link" ? "@" : node.kind === "fifo" ? "|" : node.kind === "file" && (node.mode & 0o111) !== 0 ? "*" : "";
    return has("p") && node.kind === "dir" ? "/" : "";
  };
  const shown = (name: string): string => (tty === undefined && !has("q") ? name : name.replace(/[^ -~\x80-\xff]/g, "?"));
  const sizeText = (node: Node): string => (has("h") ? human(node.size) : String(node.size));

  const show = async (entries: readonly Entry[]): Promise<void> => {
    if (long) {
      for (const { name, node, place } of entries) {
        let line = has("i") ? `${String(node.ino).padStart(7)} ` : "";
        if (has("s")) line += `${String(blocksOf(node) / 2).padStart(6)} `;
        line += `${modeText(node.mode)} ${String(node.nlink).padStart(4)} `;
        const owner = (id: number, table: ReadonlyMap<number, string>): string => (has("n") ? String(id) : (table.get(id) ?? String(id))).slice(0, 8).padEnd(8);
        if (!has("g")) line += `${owner(node.uid, users)} `;
        if (!has("o") && !has("G")) line += `${owner(node.gid, groups)} `;
        line += node.kind === "device" ? `${String(node.major).padStart(4)}, ${String(node.minor).padStart(3)} ` : `${sizeText(node).padStart(9)} `;
        const at = timeOf(node);
        const age = process.clock.nowMs() - at;
        line += has("full") ? strftime("%Y-%m-%d %H:%M:%S %z ", at, zone) : age > HALF_YEAR_MS || age < -HALF_YEAR_MS / 365 ? strftime("%b %e  %Y ", at, zone) : strftime("%b %e %H:%M ", at, zone);
        line += shown(name) + suffix(node);
        if (node.kind === "link") {
          const target = fs.tryFind({ ...creds(process), cwd: place.parent ?? process.cwd }, node.target)?.node;
          line += ` -> ${node.target}${target === undefined ? "" : suffix(target)}`;
        }
        await process.print(`${line}\n`);
      }
      return;
    }
    const cells = entries.map(({ name, node }) => `${has("i") ? `${String(node.ino).padStart(7)} ` : ""}${has("s") ? `${String(blocksOf(node) / 2).padStart(6)} ` : ""}${shown(name)}${suffix(node)}`);
    if (!columns) {
      for (const cell of cells) await process.print(`${cell}\n`);
      return;
    }
    const widest = cells.reduce((most, cell) => Math.max(most, cell.length), 0) + 2;
    const across = Math.max(1, Math.floor((width - 1) / widest));
    const rows = Math.ceil(cells.length / across);
    for (let row = 0; row < rows; row++) {
      let line = "";
      for (let column = 0; column < across; column++) {
        const cell = cells[has("x") ? row * across + column : column * rows + row];
        if (cell === undefined) break;
        const more = cells[has("x") ? row * across + column + 1 : (column + 1) * rows + row] !== undefined && column + 1 < across;
        line += more ? cell.padEnd(widest) : cell;
      }
      await process.print(`${line}\n`);
    }
  };

  const entry = (path: string, name: string, follow: boolean): Entry => {
    const place = fs.find(process, path, follow);
    return { name, path, place, node: place.node };
  };
  const files: Entry[] = [], folders: Entry[] = [];
  for (const name of names) {
    try {
      let found = entry(name, name, has("L") || has("H") || !long);
      if (found.node.kind === "link" && fs.tryFind(process, name)?.node.kind === "dir" && !long) found = entry(name, name, true);
      (found.node.kind === "dir" && !has("d") ? folders : files).push(found);
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      const link = fs.tryFind(process, name, false);
      if (link?.node.kind === "link") files.push(entry(name, name, false));
      else {
        await process.complain(`${name}: ${error.message}`);
        status = 1;
      }
    }
  }
  await show(sort(files));
  let first = files.length === 0;
  const showFolder = async (folder: Entry): Promise<void> => {
    if (names.length > 1 || has("R")) await process.print(`${first ? "" : "\n"}${folder.path}:\n`);
    first = false;
    if (!fs.access(process, folder.place, 4) || folder.node.kind !== "dir") {
      await process.complain(`can't open '${folder.path}': Permission denied`);
      status = 1;
      return;
    }
    const inside: Entry[] = [];
    for (const name of [...(has("a") ? [".", ".."] : []), ...folder.node.names()]) {
      if (name.startsWith(".") && !has("a") && !has("A")) continue;
      const place = name === "." ? folder.place : name === ".." ? (folder.place.parent ?? folder.place) : fs.entry(folder.place, name);
      if (place === undefined) continue;
      const path = join(folder.path, name);
      const target = has("L") ? (fs.tryFind(process, path)?.node ?? place.node) : place.node;
      inside.push({ name, path, place, node: target });
    }
    const sorted = sort(inside);
    if (long || has("s")) await process.print(`total ${has("h") ? human(sorted.reduce((sum, { node }) => sum + blocksOf(node), 0) * 512) : sorted.reduce((sum, { node }) => sum + blocksOf(node), 0) / 2}\n`);
    await show(sorted);
    if (has("R")) for (const child of sorted) if (child.node.kind === "dir" && child.name !== "." && child.name !== "..") await showFolder(child);
  };
  for (const folder of sort(folders)) await showFolder(folder);
  return status;
});

export const creds = ({ uid, gid, groups, umask, cwd }: Process): { uid: number; gid: number; groups: readonly number[]; umask: number; cwd: Place } => ({ uid, gid, groups, umask, cwd });

const TYPES: Readonly<Record<Node["kind"], string>> = { file: "regular file", dir: "directory", link: "symbolic link", device: "character special file", fifo: "fifo" };

const stat = applet("[-ltf] [-c FMT] FILE...", async (process, args) => {
  const options = getopt(args, "ltLfc:", { format: "c" });
  if (options.rest.length === 0) throw new UsageFault("");
  const users = accounts(process, "passwd").byId, groups = accounts(process, "group").byId;
  let status = 0;
  for (const path of options.rest) {
    const place = process.fs.tryFind(process, path, options.has("L"));
    if (place === undefined) {
      await process.complain(`can't stat '${path}': No such file or directory`);
      status = 1;
      continue;
    }
    const { node } = place;
    const time = (ms: number): string => strftime("%Y-%m-%d %H:%M:%S.%N %z", ms, zoneOf(process.env.get("TZ")), Math.floor((ms % 1000) * 1e6));
    const typed = node.kind === "file" && node.size === 0 ? "regular empty file" : TYPES[node.kind];
    if (options.has("f")) {
      await process.print(`  File: "${path}"\n    ID: 0        Namelen: 255     Type: ${node.sb.type}\nBlock size: 4096\n`);
      continue;
    }
    const format = options.get("c");
    if (format !== undefined) {
      await process.print(`${format.replace(/%([-0-9.]*)([a-zA-Z%])/g, (whole, flags: string, letter: string) => {
        const value = ((): string | undefined => {
          switch (letter) {
            case "a": return (node.mode & 0o7777).toString(8);
            case "A": return modeText(node.mode);
            case "b": return String(blocksOf(node));
            case "B": return "512";
            case "d": return String(node.sb.dev);
            case "D": return node.sb.dev.toString(16);
            case "f": return node.mode.toString(16);
            case "F": return typed;
            case "g": return String(node.gid);
            case "G": return groups.get(node.gid) ?? "UNKNOWN";
            case "h": return String(node.nlink);
            case "i": return String(node.ino);
            case "m": return place.mount.path;
            case "n": return path;
            case "N": return node.kind === "link" ? `'${path}' -> '${node.target}'` : path;
            case "o": return "4096";
            case "s": return String(node.size);
            case "u": return String(node.uid);
            case "U": return users.get(node.uid) ?? "UNKNOWN";
            case "x": return time(node.atimeMs);
            case "X": return String(Math.floor(node.atimeMs / 1000));
            case "y": return time(node.mtimeMs);
            case "Y": return String(Math.floor(node.mtimeMs / 1000));
            case "z": return time(node.ctimeMs);
            case "Z": return String(Math.floor(node.ctimeMs / 1000));
            case "%": return "%";
            default: return undefined;
          }
        })();
        return value === undefined ? whole : value.padStart(Number(/[0-9]+/.exec(flags)?.[0] ?? 0));
      })}\n`);
      continue;
    }
    const link = node.kind === "link" ? `'${path}' -> '${node.target}'` : path;
    await process.print(`  File: ${link}\n  Size: ${String(node.size).padEnd(10)}\tBlocks: ${String(blocksOf(node)).padEnd(10)} IO Block: 4096   ${typed}\n` +
      `Device: ${node.sb.dev.toString(16)}h/${node.sb.dev}d\tInode: ${String(node.ino).padEnd(10)}  Links: ${node.nlink}\n` +
      `Access: (${(node.mode & 0o7777).toString(8).padStart(4, "0")}/${modeText(node.mode)})  Uid: (${String(node.uid).padStart(5)}/${(users.get(node.uid) ?? "UNKNOWN").padStart(8)})   Gid: (${String(node.gid).padStart(5)}/${(groups.get(node.gid) ?? "UNKNOWN").padStart(8)})\n` +
      `Access: ${time(node.atimeMs)}\nModify: ${time(node.mtimeMs)}\nChange: ${time(node.ctimeMs)}\n`);
  }
  return status;
});

const du = applet("[-aHLdclsxhmk] [FILE]...", async (process, args) => {
  const options = getopt(args, "aHLd:clsxhmkb", { "max-depth": "d" });
  const most = options.has("s") ? 0 : Number(options.get("d") ?? Infinity);
  const seen = new Set<Node>();
  const text = (blocks: number): string => (options.has("h") ? human(blocks * 512) : options.has("m") ? String(Math.ceil(blocks / 2048)) : String(Math.ceil(blocks / 2)));
  const measure = async (place: Place, path: string, depth: number): Promise<number> => {
    if (seen.has(place.node)) return 0;
    if (place.node.nlink > 1 && place.node.kind === "file") seen.add(place.node);
    let blocks = blocksOf(place.node);
    if (place.node.kind === "dir") {
      for (const name of place.node.names()) {
        const child = process.fs.entry(place, name);
        if (child !== undefined && !(options.has("x") && child.node.sb !== place.node.sb)) blocks += await measure(child, join(path, name), depth + 1);
      }
    }
    if (depth === 0 || (depth <= most && (place.node.kind === "dir" || options.has("a")))) await process.print(`${text(blocks)}\t${path}\n`);
    return blocks;
  };
  let status = 0, total = 0;
  for (const path of options.rest.length === 0 ? ["."] : options.rest) {
    const place = process.fs.tryFind(process, path, options.has("L") || options.has("H"));
    if (place === undefined) {
      await process.complain(`${path}: No such file or directory`);
      status = 1;
    } else total += await measure(place, path, 0);
  }
  if (options.has("c")) await process.print(`${text(total)}\ttotal\n`);
  return status;
});

/** What a file system is said to hold where nothing limits it: the node's disk. */
const DISK_BYTES = 107_374_182_400;

const df = applet("[-PkmhTai] [FILE]...", async (process, args) => {
  const options = getopt(args, "PkmhTaiB:t:");
  const unit = options.has("m") ? 1_048_576 : 1024;
  const size = (bytes: number): string => (options.has("h") ? human(bytes) : String(Math.ceil(bytes / unit)));
  const heading = options.has("i") ? ["Inodes", "Used", "Available", "Use%"] : [options.has("h") ? "Size" : options.has("m") ? "1M-blocks" : options.has("P") ? "1024-blocks" : "1K-blocks", "Used", "Available", options.has("P") ? "Capacity" : "Use%"];
  await process.print(`${"Filesystem".padEnd(20)} ${options.has("T") ? "Type       " : ""}${heading[0]!.padStart(9)} ${heading[1]!.padStart(9)} ${heading[2]!.padStart(9)} ${heading[3]!.padStart(3)} Mounted on\n`);
  const mounts = options.rest.length === 0 ? process.fs.mounts.filter(({ root }) => !["proc", "sysfs", "devpts", "cgroup2"].includes(root.sb.type))
    : options.rest.map((path) => process.fs.find(process, path).mount);
  for (const { root, path } of mounts) {
    const { sb } = root;
    const limit = sb.bytesMax === Infinity ? DISK_BYTES : sb.bytesMax;
    const [all, used] = options.has("i") ? [6_553_600, sb.inodes] : [limit, sb.used];
    const cell = (value: number): string => (options.has("i") ? String(value) : size(value)).padStart(9);
    const source = sb.source.length > 20 ? `${sb.source}\n${"".padEnd(20)}` : sb.source.padEnd(20);
    await process.print(`${source} ${options.has("T") ? `${sb.type.padEnd(10)} ` : ""}${cell(all)} ${cell(used)} ${cell(all - used)} ${String(Math.ceil((used * 100) / all)).padStart(3)}% ${path}\n`);
  }
  return 0;
});

// --- find

type Test = (place: Place, path: string, depth: number) => boolean | Promise<boolean>;

const find = applet("[-HL] [PATH]... [OPTIONS] [ACTIONS]", async (process, args) => {
  const words = [...args];
  let follow = false;
  while (words[0] === "-L" || words[0] === "-H" || words[0] === "-P" || words[0] === "-follow") follow = words.shift() === "-L";
  const paths: string[] = [];
  while (words[0] !== undefined && !/^[-!(]/.test(words[0])) paths.push(words.shift()!);
  let minDepth = 0, maxDepth = Infinity, depthFirst = false, acted = false, pruned = false, quit = false, status = 0, xdev = false;
  const now = process.clock.nowMs();
  const pending: { argv: string[]; paths: string[] }[] = [];

  const compare = (text: string, value: number): boolean => (text.startsWith("+") ? value > Number(text.slice(1)) : text.startsWith("-") ? value < Number(text.slice(1)) : value === Number(text));
  const take = (name: string): string => {
    const word = words.shift();
    if (word === undefined) throw new UsageFault(`${name} requires an argument`);
    return word;
  };
  const run = async (argv: readonly string[]): Promise<boolean> => (await spawnAndWait(process, argv)) === 0;

  const or = (): Test => {
    let left = and();
    while (words[0] === "-o" || words[0] === "-or") {
      words.shift();
      const before = left, right = and();
      left = async (...where) => (await before(...where)) || right(...where);
    }
    return left;
  };
  const and = (): Test => {
    let left = not();
    while (words[0] !== undefined && words[0] !== "-o" && words[0] !== "-or" && words[0] !== ")") {
      if (words[0] === "-a" || words[0] === "-and") words.shift();
      const before = left, right = not();
      left = async (...where) => (await before(...where)) && right(...where);
    }
    return left;
  };
  const not = (): Test => {
    if (words[0] === "!" || words[0] === "-not") {
      words.shift();
      const inner = not();
      return async (...where) => !(await inner(...where));
    }
    return primary();
  };
  const primary = (): Test => {
    const name = words.shift()!;
    switch (name) {
      case "(": {
        const inner = or();
        if (words.shift() !== ")") throw new UsageFault("missing )");
        return inner;
      }
      case "-name": case "-iname": {
        const pattern = take(name);
        return name === "-name" ? (_, path) => matches(pattern, baseName(path)) : (_, path) => matches(pattern.toLowerCase(), baseName(path).toLowerCase());
      }
      case "-path": case "-wholename": case "-ipath": {
        const pattern = take(name);
        return name === "-ipath" ? (_, path) => matches(pattern.toLowerCase(), path.toLowerCase()) : (_, path) => matches(pattern, path);
      }
      case "-regex": {
        const pattern = new RegExp(`^(?:${take(name)})$`);
        return (_, path) => pattern.test(path);
      }
      case "-type": {
        const kinds = { f: "file", d: "dir", l: "link", c: "device", p: "fifo", s: "socket", b: "block" } as Record<string, string>;
        const wanted = take(name).split(",").map((c) => kinds[c]);
        return ({ node }) => wanted.includes(node.kind);
      }
      case "-perm": {
        const text = take(name);
        const mode = Number.parseInt(text.replace(/^[-/+]/, ""), 8);
        return ({ node }) => (text.startsWith("-") ? (node.mode & mode) === mode : /^[/+]/.test(text) ? (node.mode & mode) !== 0 : (node.mode & 0o7777) === mode);
      }
      case "-mtime": case "-atime": case "-ctime": {
        const text = take(name);
        return ({ node }) => compare(text, Math.floor((now - (name === "-mtime" ? node.mtimeMs : name === "-atime" ? node.atimeMs : node.ctimeMs)) / 86_400_000));
      }
      case "-mmin": case "-amin": case "-cmin": {
        const text = take(name);
        return ({ node }) => compare(text, Math.floor((now - node.mtimeMs) / 60_000));
      }
      case "-newer": {
        const than = process.fs.find(process, take(name)).node.mtimeMs;
        return ({ node }) => node.mtimeMs > than;
      }
      case "-size": {
        const text = take(name);
        const match = /^([-+]?)([0-9]+)([bcwk]?)$/.exec(text);
        if (match === null) throw new UsageFault(`invalid number '${text}'`);
        const unit = { "": 512, b: 512, c: 1, w: 2, k: 1024 }[match[3] as "" | "b"];
        return ({ node }) => compare(match[1]! + match[2]!, match[3] === "c" ? node.size : Math.ceil(node.size / unit));
      }
      case "-user": case "-group": {
        const text = take(name);
        const file = name === "-user" ? "passwd" : "group";
        const id = /^[0-9]+$/.test(text) ? Number(text) : Number(accounts(process, file).byName.get(text)?.[2] ?? -1);
        return ({ node }) => (name === "-user" ? node.uid : node.gid) === id;
      }
      case "-empty": return ({ node }) => (node.kind === "dir" ? node.empty : node.kind === "file" && node.size === 0);
      case "-links": {
        const text = take(name);
        return ({ node }) => compare(text, node.nlink);
      }
      case "-inum": {
        const text = take(name);
        return ({ node }) => compare(text, node.ino);
      }
      case "-executable": return (place) => process.fs.access(process, place, 1);
      case "-true": return () => true;
      case "-false": return () => false;
      case "-mindepth": minDepth = Number(take(name)); return () => true;
      case "-maxdepth": maxDepth = Number(take(name)); return () => true;
      case "-depth": depthFirst = true; return () => true;
      case "-xdev": case "-mount": xdev = true; return () => true;
      case "-follow": follow = true; return () => true;
      case "-prune": return () => (pruned = true);
      case "-quit": acted = true; return () => (quit = true);
      case "-print": acted = true; return async (_, path) => {
        await process.print(`${path}\n`);
        return true;
      };
      case "-print0": acted = true; return async (_, path) => {
        await process.print(`${path}\0`);
        return true;
      };
      case "-ls": acted = true; return async ({ node }, path) => {
        await process.print(`${String(node.ino).padStart(7)} ${String(blocksOf(node) / 2).padStart(6)} ${modeText(node.mode)} ${node.nlink} ${node.uid} ${node.gid} ${node.size} ${path}\n`);
        return true;
      };
      case "-delete": acted = true; depthFirst = true; return async (place, path) => {
        try {
          if (place.node.kind === "dir") process.fs.rmdir(process, path);
          else removeTree(process, path);
          return true;
        } catch (error) {
          if (!(error instanceof Errno)) throw error;
          await process.complain(`${path}: ${error.message}`);
          status = 1;
          return false;
        }
      };
      case "-exec": case "-ok": {
        acted = true;
        const argv: string[] = [];
        for (let word = words.shift(); ; word = words.shift()) {
          if (word === undefined) throw new UsageFault(`${name} requires an argument`);
          if (word === ";") break;
          if (word === "+" && argv.at(-1) === "{}") {
            const batch = { argv: argv.slice(0, -1), paths: [] as string[] };
            pending.push(batch);
            return (_, path) => {
              batch.paths.push(path);
              return true;
            };
          }
          argv.push(word);
        }
        return async (_, path) => {
          await process.flush();
          return run(argv.map((word) => word.replaceAll("{}", path)));
        };
      }
      default: throw new UsageFault(`unrecognized: ${name}`);
    }
  };
  let test: Test;
  try {
    test = words.length === 0 ? () => true : or();
    if (words.length > 0) throw new UsageFault(`unrecognized: ${words[0]}`);
  } catch (error) {
    if (!(error instanceof UsageFault)) throw error;
    await process.complain(error.message);
    return 1;
  }
  if (!acted) {
    const inner = test;
    test = async (place, path, depth) => {
      if (await inner(place, path, depth)) await process.print(`${path}\n`);
      return true;
    };
  }
  const visit = async (place: Place, path: string, depth: number, sb: Superblock): Promise<void> => {
    if (quit) return;
    pruned = false;
    const look = async (): Promise<void> => {
      if (depth >= minDepth) await test(place, path, depth);
    };
    if (!depthFirst) await look();
    const target = follow && place.node.kind === "link" ? process.fs.tryFind(process, path) : place;
    if (target?.node.kind === "dir" && !(pruned && !depthFirst) && depth < maxDepth && !(xdev && target.node.sb !== sb)) {
      if (process.fs.access(process, target, 5)) {
        for (const name of target.node.names()) {
          const child = process.fs.entry(target, name);
          if (child !== undefined) await visit(child, join(path, name), depth + 1, sb);
        }
      } else {
        await process.complain(`${path}: Permission denied`);
        status = 1;
      }
    }
    if (depthFirst) await look();
  };
  for (const path of paths.length === 0 ? ["."] : paths) {
    const place = process.fs.tryFind(process, path, follow);
    if (place === undefined) {
      await process.complain(`${path}: No such file or directory`);
      status = 1;
    } else await visit(place, path, 0, place.node.sb);
  }
  for (const { argv, paths: found } of pending) {
    await process.flush();
    if (found.length > 0 && !(await run([...argv, ...found]))) status = 1;
  }
  return status;
});

/** Runs a program as a child and waits for its end; 127 and 126 as the shell has them, told on stderr. */
export async function spawnAndWait(process: Process, argv: readonly string[], change?: (child: Process) => void): Promise<number> {
  await process.flush();
  const found = process.which(argv[0] ?? "");
  if (found === undefined || found.error !== undefined) {
    await process.complain(`${argv[0] ?? ""}: ${found?.error?.message ?? "No such file or directory"}`);
    return found === undefined ? 127 : 126;
  }
  const child = process.fork(async (self) => {
    try {
      return await self.exec(found.path, argv, self.env)(self);
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      if (error.code === "ENOEXEC") return self.exec("/bin/sh", ["sh", found.path, ...argv.slice(1)], self.env)(self);
      await self.error(`${process.name}: can't execute '${argv[0]}': ${error.message}\n`);
      return 126;
    }
  });
  change?.(child);
  const { code } = await process.live(child.done);
  child.reap();
  return code;
}

export const listingApplets: Readonly<Record<string, Main>> = { ls, stat, du, df, find };
