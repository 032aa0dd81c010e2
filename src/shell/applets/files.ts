/** Applets on files: what busybox's coreutils do. Output and messages are busybox 1.36's. */
import { fromBytes } from "../os/bytes.ts";
import { Errno } from "../os/errno.ts";
import { S_IFDIR, S_IFMT, type Node } from "../os/nodes.ts";
import type { Main, Process } from "../os/process.ts";
import type { Place } from "../os/vfs.ts";
import { symbolicMode } from "../sh/builtins.ts";
import { accounts, applet, baseName, eachInput, getopt, join, sized, tree, UsageFault } from "./common.ts";
import { parseDate, zoneOf } from "./date.ts";

const BLOCK = 65_536;

const cat = applet("[-nbvteA] [FILE]...", async (process, args) => {
  const options = getopt(args, "nbvteAu");
  const numbered = options.has("n") || options.has("b");
  const visible = options.has("v") || options.has("e") || options.has("A") || options.has("t");
  let line = 1, fresh = true;
  return eachInput(process, options.rest, async (fd) => {
    for (let bytes; (bytes = await process.read(fd, BLOCK)) !== undefined;) {
      if (!numbered && !visible) {
        await process.write(1, bytes);
        continue;
      }
      let out = "";
      for (const c of fromBytes(bytes)) {
        if (numbered && fresh && !(options.has("b") && c === "\n")) out += `${String(line++).padStart(6)}\t`;
        fresh = c === "\n";
        const code = c.charCodeAt(0);
        if (c === "\n") out += options.has("e") || options.has("A") ? "$\n" : "\n";
        else if (!visible) out += c;
        else if (c === "\t") out += options.has("t") || options.has("A") ? "^I" : "\t";
        else out += (code >= 128 ? "M-" : "") + ((code & 127) < 32 ? `^${String.fromCharCode((code & 127) + 64)}` : (code & 127) === 127 ? "^?" : String.fromCharCode(code & 127));
      }
      await process.write(1, out);
    }
  });
});

/** Says what failed with a file, and goes on with the next: `NAME: FILE: why`. */
async function each(process: Process, names: readonly string[], run: (name: string) => void | Promise<void>, words = (name: string, why: string): string => `${name}: ${why}`): Promise<number> {
  let status = 0;
  for (const name of names) {
    try {
      await run(name);
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      await process.complain(words(name, error.message));
      status = 1;
    }
  }
  return status;
}

const modeOf = (text: string, mode: number, directory: boolean, umask: number): number | undefined =>
  /^[0-7]{1,4}$/.test(text) ? Number.parseInt(text, 8) : symbolicMode(text, mode, directory, umask);

const mkdir = applet("[-m MODE] [-p] DIRECTORY...", async (process, args) => {
  const options = getopt(args, "m:pZv", { parents: "p", mode: "m" });
  if (options.rest.length === 0) throw new UsageFault("");
  const mode = options.get("m") === undefined ? undefined : modeOf(options.get("m")!, 0o777, true, process.umask);
  if (options.has("m") && mode === undefined) {
    await process.complain(`invalid mode '${options.get("m")}'`);
    return 1;
  }
  return each(process, options.rest, (path) => {
    if (options.has("p")) {
      const parts = path.split("/");
      for (let i = 1; i <= parts.length; i++) {
        const prefix = parts.slice(0, i).join("/");
        if (prefix === "" || parts[i - 1] === "") continue;
        const there = process.fs.tryFind(process, prefix);
        if (there === undefined) process.fs.mkdir(process, prefix);
        else if (there.node.kind !== "dir") throw new Errno(i === parts.length ? "EEXIST" : "ENOTDIR");
      }
      return;
    }
    process.fs.mkdir(process, path);
    if (mode !== undefined) process.fs.find(process, path).node.mode = S_IFDIR | mode;
  }, (name, why) => `can't create directory '${name}': ${why}`);
});

const rmdir = applet("[-p] DIRECTORY...", async (process, args) => {
  const options = getopt(args, "p", { parents: "p", "ignore-fail-on-non-empty": "" });
  if (options.rest.length === 0) throw new UsageFault("");
  return each(process, options.rest, (path) => {
    process.fs.rmdir(process, path);
    for (let up = path.replace(/\/+[^/]*$/, ""); options.has("p") && up !== "" && up !== path && up.includes("/"); up = up.replace(/\/?[^/]*$/, "")) process.fs.rmdir(process, up);
  }, (name, why) => `'${name}': ${why}`);
});

/** Removes a whole tree. */
export function removeTree(process: Process, path: string): void {
  const place = process.fs.find(process, path, false);
  if (place.node.kind !== "dir") {
    process.fs.unlink(process, path);
    return;
  }
  for (const name of place.node.names()) removeTree(process, join(path, name));
  process.fs.rmdir(process, path);
}

const rm = applet("[-irf] FILE...", async (process, args) => {
  const options = getopt(args, "ifrRv");
  const recursive = options.has("r") || options.has("R");
  if (options.rest.length === 0) {
    if (options.has("f")) return 0;
    throw new UsageFault("");
  }
  let status = 0;
  for (const path of options.rest) {
    const base = baseName(path);
    if (base === "." || base === "..") {
      await process.complain(`can't remove '.' or '..'`);
      status = 1;
      continue;
    }
    try {
      const place = process.fs.find(process, path, false);
      if (place.node.kind === "dir") {
        if (!recursive) {
          await process.complain(`'${path}' is a directory`);
          status = 1;
          continue;
        }
        removeTree(process, path);
      } else process.fs.unlink(process, path);
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      if (options.has("f") && error.code === "ENOENT") continue;
      await process.complain(`can't remove '${path}': ${error.message}`);
      status = 1;
    }
  }
  return status;
});

const touch = applet("[-cham] [-d DATE] [-t DATE] [-r FILE] FILE...", async (process, args) => {
  const options = getopt(args, "cd:t:r:amh", { "no-create": "c", date: "d", reference: "r" });
  if (options.rest.length === 0) throw new UsageFault("");
  const now = process.clock.nowMs();
  const given = options.get("d") ?? options.get("t");
  let ms: number | undefined = now;
  if (options.has("r")) ms = process.fs.find(process, options.get("r")!).node.mtimeMs;
  else if (given !== undefined) ms = parseDate(given, now, zoneOf(process.env.get("TZ")));
  if (ms === undefined) {
    await process.complain(`invalid date '${given}'`);
    return 1;
  }
  return each(process, options.rest, async (path) => {
    let place = process.fs.tryFind(process, path);
    if (place === undefined) {
      if (options.has("c")) return;
      process.close(await process.open(path, { write: true, create: true }));
      place = process.fs.find(process, path);
    }
    const node = process.fs.change(process, place);
    if (!options.has("m")) node.atimeMs = ms;
    if (!options.has("a")) node.mtimeMs = ms;
  });
});

/** Copies what is there; status 1 after a mistake, which is told. */
async function copy(process: Process, from: string, to: string, how: { recursive: boolean; follow: boolean; preserve: boolean; force: boolean }): Promise<number> {
  const { fs } = process;
  let place: Place;
  try {
    place = fs.find(process, from, how.follow);
  } catch (error) {
    if (!(error instanceof Errno)) throw error;
    await process.complain(`can't stat '${from}': ${error.message}`);
    return 1;
  }
  const { node } = place;
  const there = fs.tryFind(process, to);
  try {
    fs.walk(process, to, false);
  } catch (error) {
    if (!(error instanceof Errno)) throw error;
    if (error.code === "ENOTDIR") {
      await process.complain(`can't stat '${to}': ${error.message}`);
      return 1;
    }
  }
  if (there !== undefined && there.node === node) {
    await process.complain(`'${from}' and '${to}' are the same file`);
    return 1;
  }
  let status = 0;
  try {
    if (node.kind === "dir") {
      if (!how.recursive) {
        await process.complain(`omitting directory '${from}'`);
        return 1;
      }
      if (there !== undefined && there.node.kind !== "dir") {
        await process.complain(`target '${to}' is not a directory`);
        return 1;
      }
      const names = node.names();
      if (there === undefined) fs.mkdir(process, to, node.mode & 0o7777);
      for (const name of names) status = (await copy(process, join(from, name), join(to, name), { ...how, follow: how.follow && !how.recursive })) || status;
    } else if (node.kind === "link") {
      if (there !== undefined) fs.unlink(process, to);
      fs.symlink(process, node.target, to);
    } else {
      if (there?.node.kind === "dir") throw new Errno("EISDIR");
      const input = await process.open(from, { read: true });
      let output: number;
      try {
        output = await process.open(to, { write: true, create: true, truncate: true, mode: node.mode & 0o777 });
      } catch (error) {
        process.close(input);
        if (!(error instanceof Errno)) throw error;
        await process.complain(`can't create '${to}': ${error.message}`);
        return 1;
      }
      for (let bytes; (bytes = await process.read(input, BLOCK)) !== undefined;) await process.write(output, bytes);
      process.close(input);
      process.close(output);
    }
  } catch (error) {
    if (!(error instanceof Errno)) throw error;
    await process.complain(`can't create '${to}': ${error.message}`);
    return 1;
  }
  if (how.preserve) {
    const copied = fs.find(process, to, false).node;
    copied.mode = node.mode;
    copied.mtimeMs = node.mtimeMs;
    copied.atimeMs = node.atimeMs;
    if (process.uid === 0) {
      copied.uid = node.uid;
      copied.gid = node.gid;
    }
  }
  return status;
}

/** The targets of `cp a b DIR`. */
function targets(process: Process, words: readonly string[], folder: string | undefined, flat: boolean): (readonly [string, string])[] {
  const sources = folder === undefined ? words.slice(0, -1) : [...words];
  const target = folder ?? words.at(-1)!;
  if (sources.length === 0) throw new UsageFault("");
  const place = process.fs.tryFind(process, target);
  const directory = place?.node.kind === "dir" || sources.length > 1 || folder !== undefined;
  return sources.map((from) => [from, directory && !flat ? join(target, baseName(from) === ".." || baseName(from) === "." ? "" : baseName(from)) : target] as const);
}

const cp = applet("[-arPLHpfinlsTu] SOURCE DEST\nor: cp [-arPLHpfinlsu] SOURCE... { -t DIRECTORY | DIRECTORY }", async (process, args) => {
  const options = getopt(args, "arRdPLHpfinlsTut:v");
  const recursive = options.has("r") || options.has("R") || options.has("a");
  const follow = options.has("L") || (!recursive && !options.has("P") && !options.has("d")) || options.has("H");
  const pairs = targets(process, options.rest, options.get("t"), options.has("T"));
  let status = 0;
  for (const [from, to] of pairs) {
    const there = process.fs.tryFind(process, to, false);
    if (there !== undefined && options.has("n")) continue;
    if (there !== undefined && options.has("u") && (process.fs.tryFind(process, from)?.node.mtimeMs ?? 0) <= there.node.mtimeMs) continue;
    if (options.has("s") || options.has("l")) {
      status = (await each(process, [to], () => {
        if (there !== undefined && options.has("f")) process.fs.unlink(process, to);
        if (options.has("s")) process.fs.symlink(process, from, to);
        else process.fs.link(process, from, to);
      }, (name, why) => `can't create link '${name}': ${why}`)) || status;
      continue;
    }
    status = (await copy(process, from, to, { recursive, follow, preserve: options.has("p") || options.has("a"), force: options.has("f") })) || status;
  }
  return status;
});

const mv = applet("[-finT] SOURCE DEST\nor: mv [-fin] SOURCE... { -t DIRECTORY | DIRECTORY }", async (process, args) => {
  const options = getopt(args, "finTt:v");
  const pairs = targets(process, options.rest, options.get("t"), options.has("T"));
  let status = 0;
  for (const [from, to] of pairs) {
    if (options.has("n") && process.fs.tryFind(process, to, false) !== undefined) continue;
    try {
      process.fs.rename(process, from, to);
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      if (error.code === "EXDEV") {
        const failed = await copy(process, from, to, { recursive: true, follow: false, preserve: true, force: true });
        if (failed === 0) removeTree(process, from);
        status ||= failed;
        continue;
      }
      await process.complain(`can't rename '${from}': ${error.message}`);
      status = 1;
    }
  }
  return status;
});

const ln = applet("[-sfnbtv] [-S SUF] TARGET... LINK|DIR", async (process, args) => {
  const options = getopt(args, "sfnbS:vTt:");
  const words = [...options.rest];
  if (words.length === 0) throw new UsageFault("");
  if (words.length === 1) words.push(baseName(words[0]!));
  const target = options.get("t") ?? words.pop()!;
  const place = process.fs.tryFind(process, target, !options.has("n"));
  return each(process, words, (from) => {
    const to = place?.node.kind === "dir" && !options.has("T") ? join(target, baseName(from)) : target;
    if (options.has("f") && process.fs.tryFind(process, to, false) !== undefined) process.fs.unlink(process, to);
    if (options.has("s")) process.fs.symlink(process, from, to);
    else process.fs.link(process, from, to);
  }, (name, why) => `${place?.node.kind === "dir" ? join(target, baseName(name)) : target}: ${why}`);
});

const chmod = applet("[-Rcvf] MODE[,MODE]... FILE...", async (process, args) => {
  // A mode may begin with a minus.
  const flags = args.filter((word) => /^-[Rcvf]+$/.test(word)).join("");
  const [mode, ...files] = args.filter((word) => !/^-[Rcvf]+$/.test(word));
  if (mode === undefined || files.length === 0) throw new UsageFault("");
  if (modeOf(mode, 0, false, process.umask) === undefined) {
    await process.complain(`invalid mode '${mode}'`);
    return 1;
  }
  return each(process, files, (path) => {
    const found = process.fs.find(process, path);
    for (const { place } of flags.includes("R") ? tree(process, found, path) : [{ place: found }]) {
      if (place.node.kind === "link") continue;
      const node = process.fs.change(process, place);
      node.mode = (node.mode & S_IFMT) | modeOf(mode, node.mode & 0o7777, node.kind === "dir", process.umask)!;
    }
  });
});

const chown = (kind: "chown" | "chgrp"): Main => applet("[-Rh]... USER[:[GRP]] FILE...", async (process, args) => {
  const options = getopt(args, "RhLHPcvf");
  const [who, ...files] = options.rest;
  if (who === undefined || files.length === 0) throw new UsageFault("");
  const [user, group] = kind === "chgrp" ? ["", who] : who.split(/[:.]/);
  const idOf = (name: string, file: "passwd" | "group"): number | undefined => (/^[0-9]+$/.test(name) ? Number(name) : accounts(process, file).byName.get(name)?.[2] === undefined ? undefined : Number(accounts(process, file).byName.get(name)![2]));
  const uid = user === "" ? undefined : idOf(user!, "passwd");
  const gid = group === undefined || group === "" ? undefined : idOf(group, "group");
  if (user !== "" && uid === undefined) {
    await process.complain(`unknown user ${user}`);
    return 1;
  }
  if (group !== undefined && group !== "" && gid === undefined) {
    await process.complain(`unknown group ${group}`);
    return 1;
  }
  return each(process, files, (path) => {
    const found = process.fs.find(process, path, !options.has("h"));
    for (const { place } of options.has("R") ? tree(process, found, path) : [{ place: found }]) {
      if (process.uid !== 0) throw new Errno("EPERM");
      const node = process.fs.change(process, place);
      if (uid !== undefined) node.uid = uid;
      if (gid !== undefined) node.gid = gid;
    }
  });
});

const readlink = applet("[-fnv] FILE", async (process, args) => {
  const options = getopt(args, "fnvsq");
  const [path] = options.rest;
  if (path === undefined) throw new UsageFault("");
  let text: string;
  if (options.has("f")) {
    const found = canonical(process, path);
    if (found === undefined) return 1;
    text = found;
  } else {
    const node = process.fs.tryFind(process, path, false)?.node;
    if (node?.kind !== "link") return 1;
    text = node.target;
  }
  await process.print(options.has("n") ? text : `${text}\n`);
  return 0;
});

/** The path without links; its last part need not be there. */
export function canonical(process: Process, path: string): string | undefined {
  try {
    const { place, parent, name } = process.fs.walk(process, path, true);
    return place === undefined ? join(process.fs.pathOf(parent), name) : process.fs.pathOf(place);
  } catch (error) {
    if (error instanceof Errno) return undefined;
    throw error;
  }
}

const realpath = applet("FILE...", async (process, args) => {
  const { rest } = getopt(args, "");
  if (rest.length === 0) throw new UsageFault("");
  return each(process, rest, async (path) => {
    const place = process.fs.find(process, path);
    await process.print(`${process.fs.pathOf(place)}\n`);
  });
});

const basename = applet("FILE [SUFFIX] | -a FILE... | -s SUFFIX FILE...", async (process, args) => {
  const options = getopt(args, "as:");
  const many = options.has("a") || options.has("s");
  const [first, second] = options.rest;
  if (first === undefined || (!many && options.rest.length > 2)) throw new UsageFault("");
  const suffix = options.get("s") ?? (many ? "" : (second ?? ""));
  for (const path of many ? options.rest : [first]) {
    const base = baseName(path);
    await process.print(`${suffix !== "" && base !== suffix && base.endsWith(suffix) ? base.slice(0, -suffix.length) : base}\n`);
  }
  return 0;
});

const dirname = applet("FILENAME", async (process, args) => {
  const [path] = args;
  if (path === undefined || args.length > 1) throw new UsageFault("");
  const trimmed = path.replace(/\/+$/, "");
  const slash = trimmed.lastIndexOf("/");
  await process.print(`${trimmed === "" ? (path === "" ? "." : "/") : slash < 0 ? "." : trimmed.slice(0, slash).replace(/\/+$/, "") || "/"}\n`);
  return 0;
});

const mktemp = applet("[-dt] [-p DIR] [TEMPLATE]", async (process, args) => {
  const options = getopt(args, "dtqup:");
  const template = options.rest[0] ?? "tmp.XXXXXX";
  const tail = /X*$/.exec(template)![0].length;
  if (tail < 6) {
    await process.complain("(null): Invalid argument");
    return 1;
  }
  const inFolder = options.has("p") || options.has("t") || options.rest.length === 0;
  const folder = inFolder ? (options.get("p") ?? process.env.get("TMPDIR") ?? "/tmp") : "";
  const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  for (;;) {
    let name = template.slice(0, -tail);
    for (let i = 0; i < tail; i++) name += letters[process.machine.random.below(letters.length)];
    const path = folder === "" ? name : join(folder, name);
    try {
      if (options.has("d")) process.fs.mkdir(process, path, 0o700);
      else if (!options.has("u")) process.close(await process.open(path, { write: true, create: true, exclusive: true, mode: 0o600 }));
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      if (error.code === "EEXIST") continue;
      await process.complain(`(null): ${error.message}`);
      return 1;
    }
    await process.print(`${path}\n`);
    return 0;
  }
});

const dd = applet("[if=FILE] [of=FILE] [ibs=N obs=N/bs=N] [count=N] [skip=N] [seek=N]", async (process, args) => {
  const values = new Map<string, string>();
  for (const word of args) {
    const equals = word.indexOf("=");
    if (equals < 0) throw new UsageFault(`invalid argument '${word}'`);
    values.set(word.slice(0, equals), word.slice(equals + 1));
  }
  const count = (name: string, otherwise: number): number => {
    const text = values.get(name);
    if (text === undefined) return otherwise;
    const value = sized(text);
    if (value === undefined) throw new UsageFault(`invalid number '${text}'`);
    return value;
  };
  const bs = count("bs", 0), ibs = bs || count("ibs", 512), obs = bs || count("obs", 512);
  const conv = (values.get("conv") ?? "").split(",");
  const fail = async (name: string, error: unknown): Promise<number> => {
    if (!(error instanceof Errno)) throw error;
    await process.complain(`can't open '${name}': ${error.message}`);
    return 1;
  };
  let input = 0, output = 1;
  if (values.has("if")) {
    try {
      input = await process.open(values.get("if")!, { read: true });
    } catch (error) {
      return fail(values.get("if")!, error);
    }
  }
  if (values.has("of")) {
    try {
      output = await process.open(values.get("of")!, { write: true, create: true, truncate: !conv.includes("notrunc") && !values.has("seek") });
    } catch (error) {
      return fail(values.get("of")!, error);
    }
    const seek = count("seek", 0) * obs;
    if (seek > 0) process.file(output).seek?.(seek, "set");
  }
  const started = process.clock.nowMs();
  const limit = count("count", Infinity);
  for (let i = count("skip", 0); i > 0; i--) if ((await readBlock(process, input, ibs, false)) === undefined) break;
  let full = 0, partial = 0, total = 0, failed = false;
  while (full + partial < limit) {
    const block = await readBlock(process, input, ibs, (values.get("iflag") ?? "").includes("fullblock"));
    if (block === undefined) break;
    if (block.length === ibs) full++;
    else partial++;
    try {
      await process.write(output, block);
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      await process.complain(`error writing '${values.get("of") ?? "standard output"}': ${error.message}`);
      failed = true;
      break;
    }
    total += block.length;
    await process.spend(2_000 + block.length / 4);
  }
  const outFull = Math.floor(total / obs), outPartial = total % obs === 0 ? 0 : 1;
  if (values.get("status") !== "none") {
    let text = `${full}+${partial} records in\n${outFull}+${outPartial} records out\n`;
    if (values.get("status") !== "noxfer") {
      const seconds = (process.clock.nowMs() - started) / 1000;
      text += `${total} bytes (${human(total)}B) copied, ${seconds.toFixed(6)} seconds, ${human(seconds > 0 ? total / seconds : 0)}B/s\n`;
    }
    await process.error(text);
  }
  return failed ? 1 : 0;
});

async function readBlock(process: Process, fd: number, size: number, whole: boolean): Promise<Uint8Array | undefined> {
  const first = await process.read(fd, size);
  if (first === undefined || !whole || first.length === size) return first;
  const parts = [first];
  let have = first.length;
  while (have < size) {
    const more = await process.read(fd, size - have);
    if (more === undefined) break;
    parts.push(more);
    have += more.length;
  }
  const out = new Uint8Array(have);
  have = 0;
  for (const part of parts) {
    out.set(part, have);
    have += part.length;
  }
  return out;
}

/** `1.5M`: as busybox's make_human_readable_str writes sizes. */
export function human(bytes: number): string {
  if (bytes < 1024) return String(Math.floor(bytes));
  let value = bytes, unit = 0;
  while (value >= 1024 && unit < 4) {
    value /= 1024;
    unit++;
  }
  const rounded = Math.round(value * 10) / 10;
  return `${rounded >= 10 || unit === 0 ? rounded.toFixed(rounded >= 100 ? 0 : 1) : rounded.toFixed(1)}${" KMGT"[unit]}`;
}

const truncate = applet("[-c] -s SIZE FILE...", async (process, args) => {
  const options = getopt(args, "cs:");
  const size = sized(options.get("s") ?? "");
  if (size === undefined || options.rest.length === 0) throw new UsageFault("");
  return each(process, options.rest, async (path) => {
    if (options.has("c") && process.fs.tryFind(process, path) === undefined) return;
    const fd = await process.open(path, { write: true, create: true });
    const node = process.file(fd).node as Node | undefined;
    if (node?.kind === "file") node.truncate(size);
    process.close(fd);
  }, (name, why) => `${name}: open: ${why}`);
});

const mkfifo = applet("[-m MODE] NAME", async (process, args) => {
  const options = getopt(args, "m:");
  if (options.rest.length === 0) throw new UsageFault("");
  return each(process, options.rest, (path) => process.fs.mkfifo(process, path));
});

const install = applet("[-cdDsp] [-o USER] [-g GRP] [-m MODE] [-t DIR] [SOURCE]... DEST", async (process, args) => {
  const options = getopt(args, "cdDspo:g:m:t:");
  const mode = options.get("m") === undefined ? 0o755 : (modeOf(options.get("m")!, 0o755, false, 0) ?? 0o755);
  if (options.has("d")) {
    return each(process, options.rest, (path) => {
      const parts = path.split("/");
      for (let i = 1; i <= parts.length; i++) {
        const prefix = parts.slice(0, i).join("/");
        if (prefix !== "" && process.fs.tryFind(process, prefix) === undefined) process.fs.mkdir(process, prefix, 0o755);
      }
    });
  }
  const pairs = targets(process, options.rest, options.get("t"), false);
  let status = 0;
  for (const [from, to] of pairs) {
    const failed = await copy(process, from, to, { recursive: false, follow: true, preserve: options.has("p"), force: true });
    status ||= failed;
    if (failed !== 0) continue;
    const { node } = process.fs.find(process, to);
    node.mode = (node.mode & S_IFMT) | mode;
  }
  return status;
});

export const fileApplets: Readonly<Record<string, Main>> = {
  cat, mkdir, rmdir, rm, touch, cp, mv, ln, chmod, chown: chown("chown"), chgrp: chown("chgrp"), readlink, realpath, basename, dirname, mktemp, dd, truncate, mkfifo, install,
  unlink: applet("FILE", (process, [path = ""]) => {
    process.fs.unlink(process, path);
    return 0;
  }),
  link: applet("FILE LINK", (process, [from = "", to = ""]) => {
    process.fs.link(process, from, to);
    return 0;
  }),
};
