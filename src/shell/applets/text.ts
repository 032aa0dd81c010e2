/** Applets on lines and bytes: head, tail, wc, cut, tr, sort, uniq, tee, seq, xargs and their kin. */
import { fromBytes, toBytes } from "../os/bytes.ts";
import { Errno } from "../os/errno.ts";
import type { Main } from "../os/process.ts";
import { applet, eachInput, getopt, LineReader, linesOf, sized, UsageFault } from "./common.ts";
import { spawnAndWait } from "./listing.ts";

const count = (text: string | undefined, otherwise: number): number => {
  if (text === undefined) return otherwise;
  const value = sized(text.replace(/^[-+]/, ""));
  if (value === undefined) throw new UsageFault(`invalid number '${text}'`);
  return text.startsWith("-") ? -value : value;
};

/** `-5` is `-n 5`. */
const oldCount = (args: readonly string[]): string[] => args.flatMap((word, i) => (i === 0 && /^-[0-9]+$/.test(word) ? ["-n", word.slice(1)] : [word]));

const head = applet("[OPTIONS] [FILE]...", async (process, args) => {
  const options = getopt(oldCount(args), "n:c:qv", { lines: "n", bytes: "c", quiet: "q", silent: "q", verbose: "v" });
  const bytes = options.has("c");
  const most = count(bytes ? options.get("c") : options.get("n"), 10);
  const titles = options.has("v") || (options.rest.length > 1 && !options.has("q"));
  let first = true;
  return eachInput(process, options.rest, async (fd, name) => {
    if (titles) await process.print(`${first ? "" : "\n"}==> ${name === "-" ? "standard input" : name} <==\n`);
    first = false;
    if (most < 0) {
      const text = await process.readAll(fd);
      if (bytes) await process.print(text.slice(0, most));
      else for (const line of linesOf(text).slice(0, most)) await process.print(`${line}\n`);
      return;
    }
    let left = most;
    while (left > 0) {
      const chunk = await process.read(fd, bytes ? Math.min(left, 65_536) : 65_536);
      if (chunk === undefined) break;
      if (bytes) {
        left -= chunk.length;
        await process.print(fromBytes(chunk));
        continue;
      }
      let end = 0;
      while (left > 0) {
        const newline = chunk.indexOf(10, end);
        if (newline < 0) {
          end = chunk.length;
          break;
        }
        end = newline + 1;
        left--;
      }
      if (left === 0 && process.file(fd).seek !== undefined) process.file(fd).seek!(end - chunk.length, "cur");
      await process.print(fromBytes(chunk.subarray(0, end)));
    }
  }, false);
});

const tail = applet("[OPTIONS] [FILE]...", async (process, args) => {
  const options = getopt(args.flatMap((word, i) => (i === 0 && /^[-+][0-9]+$/.test(word) ? ["-n", word.replace(/^-/, "")] : [word])), "fn:c:qvs:F", { lines: "n", bytes: "c", follow: "f", retry: "retry" });
  const bytes = options.has("c");
  const given = (bytes ? options.get("c") : options.get("n")) ?? "10";
  const fromStart = given.startsWith("+");
  const most = Math.abs(count(given, 10));
  const titles = options.has("v") || (options.rest.length > 1 && !options.has("q"));
  let first = true;
  const open: { fd: number; name: string }[] = [];
  const status = await eachInput(process, options.rest, async (fd, name) => {
    if (titles) await process.print(`${first ? "" : "\n"}==> ${name === "-" ? "standard input" : name} <==\n`);
    first = false;
    const text = await process.readAll(fd);
    if (bytes) await process.print(fromStart ? text.slice(Math.max(0, most - 1)) : most === 0 ? "" : text.slice(-most));
    else {
      const lines = linesOf(text);
      const kept = fromStart ? lines.slice(Math.max(0, most - 1)) : most === 0 ? [] : lines.slice(-most);
      if (kept.length > 0) await process.print(kept.join("\n") + (text.endsWith("\n") ? "\n" : ""));
    }
    if ((options.has("f") || options.has("F")) && name !== "-") {
      // eachInput closes what it opened: this one stays.
      const file = process.file(fd);
      file.refs++;
      let free = 10;
      while (process.fds[free] !== undefined) free++;
      process.install(free, file);
      open.push({ fd: free, name });
    }
  });
  if (!options.has("f") && !options.has("F")) return status;
  await process.flush();
  let last = open.at(-1)?.name;
  for (;;) {
    await process.sleep(Number(options.get("s") ?? 1) * 1000);
    for (const one of open) {
      const { node } = process.file(one.fd);
      const there = process.fs.tryFind(process, one.name)?.node;
      if (options.has("F") && there !== undefined && there !== node) {
        process.close(one.fd);
        one.fd = await process.open(one.name, { read: true });
      }
      for (let chunk; (chunk = await process.read(one.fd)) !== undefined;) {
        if (titles && last !== one.name) await process.print(`\n==> ${one.name} <==\n`);
        last = one.name;
        await process.print(fromBytes(chunk));
      }
      await process.flush();
    }
  }
});

const wc = applet("[-cmlwL] [FILE]...", async (process, args) => {
  const options = getopt(args, "cmlwL", { bytes: "c", lines: "l", words: "w", chars: "m" });
  const all = !["c", "m", "l", "w", "L"].some((option) => options.has(option));
  const total = [0, 0, 0, 0];
  const fields = [options.has("l") || all, options.has("w") || all, options.has("c") || options.has("m") || all, options.has("L")];
  const single = fields.filter(Boolean).length === 1 && options.rest.length < 2;
  const show = async (counts: readonly number[], name: string): Promise<void> => {
    const cells = counts.filter((_, i) => fields[i]).map((value) => (single ? String(value) : String(value).padStart(9)));
    await process.print(`${cells.join(" ")}${name === "" ? "" : ` ${name}`}\n`);
  };
  const status = await eachInput(process, options.rest, async (fd, name) => {
    let lines = 0, words = 0, bytes = 0, longest = 0, column = 0, inWord = false;
    for (let chunk; (chunk = await process.read(fd)) !== undefined;) {
      bytes += chunk.length;
      for (const byte of chunk) {
        const space = byte === 32 || (byte >= 9 && byte <= 13);
        if (!space && !inWord) words++;
        inWord = !space;
        if (byte === 10) {
          lines++;
          longest = Math.max(longest, column);
          column = 0;
        } else column = byte === 9 ? (column | 7) + 1 : column + 1;
      }
    }
    longest = Math.max(longest, column);
    [lines, words, bytes].forEach((value, i) => (total[i]! += value));
    total[3] = Math.max(total[3]!, longest);
    await show([lines, words, bytes, longest], options.rest.length === 0 ? "" : name);
  }, false);
  if (options.rest.length > 1) await show(total, "total");
  return status;
});

const tee = applet("[-ai] [FILE]...", async (process, args) => {
  const options = getopt(args, "ai");
  let status = 0;
  const outputs = [1];
  for (const path of options.rest) {
    try {
      outputs.push(await process.open(path, { write: true, create: true, truncate: !options.has("a"), append: options.has("a") }));
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      await process.complain(`${path}: ${error.message}`);
      status = 1;
    }
  }
  for (let chunk; (chunk = await process.read(0)) !== undefined;) for (const fd of outputs) await process.write(fd, chunk);
  return status;
});

/** `1,3-5,7-`: positions from 0, as ranges. */
function ranges(text: string): (readonly [number, number])[] | undefined {
  const out: (readonly [number, number])[] = [];
  for (const part of text.split(",")) {
    const match = /^([0-9]*)(-?)([0-9]*)$/.exec(part);
    if (match === null || part === "-" || part === "") return undefined;
    const from = match[1] === "" ? 1 : Number(match[1]);
    const to = match[2] === "" ? from : match[3] === "" ? Infinity : Number(match[3]);
    if (from < 1 || to < from) return undefined;
    out.push([from - 1, to - 1]);
  }
  return out;
}

const cut = applet("[OPTIONS] [FILE]...", async (process, args) => {
  const options = getopt(args, "b:c:f:d:snO:", { delimiter: "d", fields: "f", characters: "c", bytes: "b", "only-delimited": "s", "output-delimiter": "O" });
  const kinds = ["b", "c", "f"].filter((option) => options.has(option));
  if (kinds.length === 0) {
    await process.complain("expected a list of bytes, characters, or fields");
    return 1;
  }
  const list = ranges(options.get(kinds[0]!)!);
  if (list === undefined) {
    await process.complain(`invalid byte or field list: ${options.get(kinds[0]!)}`);
    return 1;
  }
  const chosen = (i: number): boolean => list.some(([from, to]) => i >= from && i <= to);
  const delimiter = options.get("d") ?? "\t";
  const output = options.get("O") ?? delimiter;
  return eachInput(process, options.rest, async (fd) => {
    const reader = new LineReader(process, fd);
    for (let next; (next = await reader.next()) !== undefined;) {
      const { line } = next;
      if (kinds[0] !== "f") {
        let out = "";
        for (let i = 0; i < line.length; i++) if (chosen(i)) out += line[i];
        await process.print(`${out}\n`);
      } else if (!line.includes(delimiter)) {
        if (!options.has("s")) await process.print(`${line}\n`);
      } else await process.print(`${line.split(delimiter).filter((_, i) => chosen(i)).join(output)}\n`);
    }
  }, false);
});

/** The characters of a tr set. */
function trSet(text: string): string {
  let out = "";
  const classes: Readonly<Record<string, (c: number) => boolean>> = {
    alpha: (c) => /[A-Za-z]/.test(String.fromCharCode(c)), digit: (c) => c >= 48 && c <= 57, alnum: (c) => /[A-Za-z0-9]/.test(String.fromCharCode(c)), upper: (c) => c >= 65 && c <= 90,
    lower: (c) => c >= 97 && c <= 122, space: (c) => c === 32 || (c >= 9 && c <= 13), blank: (c) => c === 32 || c === 9, punct: (c) => c > 32 && c < 127 && !/[A-Za-z0-9]/.test(String.fromCharCode(c)),
    cntrl: (c) => c < 32 || c === 127, xdigit: (c) => /[0-9A-Fa-f]/.test(String.fromCharCode(c)), print: (c) => c >= 32 && c < 127, graph: (c) => c > 32 && c < 127,
  };
  const one = (at: number): { c: string; end: number } => {
    if (text[at] !== "\\" || at + 1 >= text.length) return { c: text[at]!, end: at + 1 };
    const octal = /^[0-7]{1,3}/.exec(text.slice(at + 1, at + 4));
    if (octal !== null) return { c: String.fromCharCode(Number.parseInt(octal[0], 8) & 255), end: at + 1 + octal[0].length };
    const simple: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", a: "\x07", b: "\b", f: "\f", v: "\v", "\\": "\\" };
    return { c: simple[text[at + 1]!] ?? text[at + 1]!, end: at + 2 };
  };
  for (let i = 0; i < text.length;) {
    const named = /^\[:([a-z]+):\]/.exec(text.slice(i));
    const test = named === null ? undefined : classes[named[1]!];
    if (named !== null && test !== undefined) {
      for (let c = 0; c < 256; c++) if (test(c)) out += String.fromCharCode(c);
      i += named[0].length;
      continue;
    }
    const equal = /^\[=([\s\S])=\]/.exec(text.slice(i));
    if (equal !== null) {
      out += equal[1];
      i += equal[0].length;
      continue;
    }
    const from = one(i);
    if (text[from.end] === "-" && from.end + 1 < text.length) {
      const to = one(from.end + 1);
      for (let c = from.c.charCodeAt(0); c <= to.c.charCodeAt(0); c++) out += String.fromCharCode(c);
      i = to.end;
      continue;
    }
    out += from.c;
    i = from.end;
  }
  return out;
}

const tr = applet("[-cds] STRING1 [STRING2]", async (process, args) => {
  const options = getopt(args, "+cCdst");
  const [one, two] = options.rest;
  if (one === undefined || (two === undefined && !options.has("d") && !options.has("s"))) throw new UsageFault("");
  let set = trSet(one);
  if (options.has("c") || options.has("C")) {
    const listed = new Set(set);
    set = "";
    for (let c = 0; c < 256; c++) if (!listed.has(String.fromCharCode(c))) set += String.fromCharCode(c);
  }
  const target = two === undefined ? "" : trSet(two);
  const map: (number | undefined)[] = Array.from({ length: 256 }, (_, c) => c);
  if (options.has("d")) for (const c of set) map[c.charCodeAt(0)] = undefined;
  else if (target !== "") for (let i = set.length - 1; i >= 0; i--) map[set.charCodeAt(i)] = target.charCodeAt(Math.min(i, target.length - 1));
  // The first of a character's places counts.
  if (!options.has("d") && target !== "") {
    const seen = new Set<string>();
    for (let i = 0; i < set.length; i++) {
      if (seen.has(set[i]!)) continue;
      seen.add(set[i]!);
      map[set.charCodeAt(i)] = target.charCodeAt(Math.min(i, target.length - 1));
    }
  }
  const squeezed = new Set(options.has("s") ? (two === undefined ? set : target) : "");
  let last = -1;
  for (let chunk; (chunk = await process.read(0)) !== undefined;) {
    let out = "";
    for (const byte of chunk) {
      const to = map[byte];
      if (to === undefined) continue;
      const c = String.fromCharCode(to);
      if (to === last && squeezed.has(c)) continue;
      last = to;
      out += c;
    }
    await process.write(1, out);
  }
  return 0;
});

interface Key {
  readonly from: readonly [number, number];
  readonly to: readonly [number, number] | undefined;
  readonly flags: string;
}

const sort = applet("[-nrughMcszbdfiokt] [-o FILE] [-k START[.OFS][OPTS][,END[.OFS][OPTS]] [-t CHAR] [FILE]...", async (process, args) => {
  const options = getopt(args, "nrughMcszbdfimS:T:o:k:t:V", { reverse: "r", unique: "u", key: "k", "numeric-sort": "n", output: "o" });
  const global = [..."nrghMbdfiV"].filter((flag) => options.has(flag)).join("");
  const keys: Key[] = options.all("k").map((text) => {
    const match = /^([0-9]+)(?:\.([0-9]+))?([a-zA-Z]*)(?:,([0-9]+)(?:\.([0-9]+))?([a-zA-Z]*))?$/.exec(text);
    if (match === null) throw new UsageFault("bad field specification");
    return { from: [Number(match[1]), Number(match[2] ?? 1)], to: match[4] === undefined ? undefined : [Number(match[4]), Number(match[5] ?? 0)], flags: match[3]! + (match[6] ?? "") };
  });
  if (keys.length === 0) keys.push({ from: [1, 1], to: undefined, flags: "" });
  const separator = options.get("t");
  const fieldStart = (line: string, field: number): number => {
    let at = 0;
    for (let i = 1; i < field; i++) {
      if (separator !== undefined) {
        const next = line.indexOf(separator, at);
        if (next < 0) return line.length;
        at = next + 1;
      } else {
        while (at < line.length && /\s/.test(line[at]!)) at++;
        while (at < line.length && !/\s/.test(line[at]!)) at++;
      }
    }
    return at;
  };
  const fieldEnd = (line: string, field: number): number => {
    let at = fieldStart(line, field);
    if (separator !== undefined) {
      const next = line.indexOf(separator, at);
      return next < 0 ? line.length : next;
    }
    while (at < line.length && /\s/.test(line[at]!)) at++;
    while (at < line.length && !/\s/.test(line[at]!)) at++;
    return at;
  };
  const part = (line: string, { from, to }: Key, flags: string): string => {
    if (keys.length === 1 && options.all("k").length === 0) return flags.includes("b") ? line.replace(/^\s+/, "") : line;
    let start = fieldStart(line, from[0]);
    if (flags.includes("b")) while (start < line.length && /\s/.test(line[start]!)) start++;
    start += from[1] - 1;
    const end = to === undefined ? line.length : to[1] === 0 ? fieldEnd(line, to[0]) : fieldStart(line, to[0]) + to[1];
    return line.slice(start, Math.max(start, end));
  };
  const months = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
  const compareKey = (a: string, b: string, key: Key): number => {
    const flags = key.flags === "" ? global : key.flags;
    let x = part(a, key, flags), y = part(b, key, flags), result: number;
    if (/[ng]/.test(flags)) {
      const value = (text: string): number => Number((flags.includes("g") ? /^\s*[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[-+]?[0-9]+)?/i : /^\s*-?[0-9]*\.?[0-9]*/).exec(text)?.[0].trim() || 0) || 0;
      result = value(x) - value(y);
    } else if (flags.includes("h")) {
      const value = (text: string): number => {
        const match = /^\s*(-?[0-9.]+)\s*([KMGTPE]?)/i.exec(text);
        let size = match === null ? 0 : Number(match[1]);
        for (let unit = "KMGTPE".indexOf((match?.[2] || "-").toUpperCase()); unit >= 0; unit--) size *= 1024;
        return size;
      };
      result = value(x) - value(y);
    } else if (flags.includes("M")) result = months.indexOf(x.trim().slice(0, 3).toUpperCase()) - months.indexOf(y.trim().slice(0, 3).toUpperCase());
    else if (flags.includes("V")) result = versionCompare(x, y);
    else {
      if (flags.includes("f")) [x, y] = [x.toUpperCase(), y.toUpperCase()];
      if (flags.includes("d")) [x, y] = [x.replace(/[^A-Za-z0-9\s]/g, ""), y.replace(/[^A-Za-z0-9\s]/g, "")];
      if (flags.includes("i")) [x, y] = [x.replace(/[^ -~]/g, ""), y.replace(/[^ -~]/g, "")];
      result = x < y ? -1 : x > y ? 1 : 0;
    }
    return flags.includes("r") ? -result : result;
  };
  const compare = (a: string, b: string): number => {
    for (const key of keys) {
      const result = compareKey(a, b, key);
      if (result !== 0) return result;
    }
    if (options.has("s") || options.has("u")) return 0;
    const last = a < b ? -1 : a > b ? 1 : 0;
    return options.has("r") ? -last : last;
  };
  const lines: string[] = [];
  const end = options.has("z") ? "\0" : "\n";
  let status = await eachInput(process, options.rest, async (fd) => {
    const text = await process.readAll(fd);
    if (text !== "") for (const line of (text.endsWith(end) ? text.slice(0, -1) : text).split(end)) lines.push(line);
  }, false);
  if (options.has("c")) {
    for (let i = 1; i < lines.length; i++) {
      const order = compare(lines[i - 1]!, lines[i]!);
      if (order < 0 || (order === 0 && !options.has("u"))) continue;
      await process.error(`Check line ${i}\n`);
      return 1;
    }
    return 0;
  }
  await process.spend(lines.length * 500);
  lines.sort(compare);
  const kept = options.has("u") ? lines.filter((line, i) => i === 0 || compare(lines[i - 1]!, line) !== 0) : lines;
  const text = kept.map((line) => line + end).join("");
  const output = options.get("o");
  if (output !== undefined) process.fs.writeFile(process, output, toBytes(text));
  else await process.print(text);
  status ||= 0;
  return status;
});

function versionCompare(a: string, b: string): number {
  const parts = (text: string): string[] => text.match(/[0-9]+|[^0-9]+/g) ?? [];
  const [x, y] = [parts(a), parts(b)];
  for (let i = 0; i < Math.max(x.length, y.length); i++) {
    const p = x[i] ?? "", q = y[i] ?? "";
    if (p === q) continue;
    if (/^[0-9]/.test(p) && /^[0-9]/.test(q) && Number(p) !== Number(q)) return Number(p) - Number(q);
    return p < q ? -1 : 1;
  }
  return 0;
}

const uniq = applet("[-cduiz] [-f,s,w N] [FILE [OUTFILE]]", async (process, args) => {
  const options = getopt(args, "cduizf:s:w:", { count: "c", repeated: "d", unique: "u" });
  const fields = Number(options.get("f") ?? 0), skip = Number(options.get("s") ?? 0), width = Number(options.get("w") ?? Infinity);
  const keyOf = (line: string): string => {
    let rest = line;
    for (let i = 0; i < fields; i++) rest = rest.replace(/^\s*\S*/, "");
    const key = rest.slice(skip, skip + width);
    return options.has("i") ? key.toLowerCase() : key;
  };
  const [input, output] = options.rest;
  let out = "";
  const status = await eachInput(process, input === undefined ? [] : [input], async (fd) => {
    const reader = new LineReader(process, fd);
    let current: string | undefined, times = 0;
    const flush = async (): Promise<void> => {
      if (current === undefined || (options.has("d") && times < 2) || (options.has("u") && times > 1)) return;
      const line = `${options.has("c") ? `${String(times).padStart(7)} ` : ""}${current}\n`;
      if (output === undefined) await process.print(line);
      else out += line;
    };
    for (let next; (next = await reader.next()) !== undefined;) {
      if (current !== undefined && keyOf(next.line) === keyOf(current)) {
        times++;
        continue;
      }
      await flush();
      current = next.line;
      times = 1;
    }
    await flush();
  });
  if (output !== undefined) process.fs.writeFile(process, output, toBytes(out));
  return status;
});

const seq = applet("[-w] [-s SEP] [FIRST [INC]] LAST", async (process, args) => {
  // Numbers may be negative, so that getopt cannot read them.
  let wide = false, separator = "\n", i = 0;
  for (; i < args.length; i++) {
    const word = args[i]!;
    if (word === "-w") wide = true;
    else if (word === "-s") separator = args[++i] ?? "\n";
    else if (/^-s./.test(word)) separator = word.slice(2);
    else break;
  }
  const words = args.slice(i);
  if (words.length < 1 || words.length > 3) throw new UsageFault("");
  const numbers = words.map(Number);
  const bad = words.find((word, at) => word.trim() === "" || Number.isNaN(numbers[at]));
  if (bad !== undefined) throw new UsageFault("");
  const [first, step, last] = words.length === 1 ? [1, 1, numbers[0]!] : words.length === 2 ? [numbers[0]!, 1, numbers[1]!] : [numbers[0]!, numbers[1]!, numbers[2]!];
  if (step === 0) {
    // busybox goes on for ever, as the real one does.
    for (;;) {
      await process.print(`${first}\n`);
      await process.spend(10_000);
    }
  }
  const decimals = Math.max(...words.slice(0, words.length === 3 ? 2 : 1).map((word) => /\.([0-9]+)/.exec(word)?.[1]?.length ?? 0), words.length > 1 ? 0 : 0);
  const width = wide ? Math.max(...[first, last].map((value) => value.toFixed(decimals).length)) : 0;
  let started = false;
  for (let n = 0; ; n++) {
    const value = first + n * step;
    if (step > 0 ? value > last + 1e-9 : value < last - 1e-9) break;
    const text = value.toFixed(decimals);
    await process.print(`${started ? separator : ""}${value < 0 ? `-${text.slice(1).padStart(width - 1, "0")}` : text.padStart(width, "0")}`);
    started = true;
    if (n % 100 === 99) await process.spend(100_000);
  }
  if (started) await process.print("\n");
  return 0;
});

const yes = applet("[STRING]", async (process, args) => {
  const line = `${args.length === 0 ? "y" : args.join(" ")}\n`;
  const block = line.repeat(Math.ceil(4096 / line.length));
  for (;;) {
    await process.write(1, block);
    await process.spend(20_000);
  }
});

const rev = applet("[FILE]...", (process, args) => eachInput(process, args, async (fd) => {
  const reader = new LineReader(process, fd);
  for (let next; (next = await reader.next()) !== undefined;) await process.print(`${[...next.line].reverse().join("")}${next.ended ? "\n" : ""}`);
}, false));

const tac = applet("[FILE]...", (process, args) => eachInput(process, args, async (fd) => {
  for (const line of linesOf(await process.readAll(fd)).reverse()) await process.print(`${line}\n`);
}, false));

const nl = applet("[OPTIONS] [FILE]...", async (process, args) => {
  const options = getopt(args, "b:i:l:ps:v:w:");
  const style = options.get("b") ?? "t", width = Number(options.get("w") ?? 6), separator = options.get("s") ?? "\t", step = Number(options.get("i") ?? 1);
  let number = Number(options.get("v") ?? 1);
  return eachInput(process, options.rest, async (fd) => {
    const reader = new LineReader(process, fd);
    for (let next; (next = await reader.next()) !== undefined;) {
      const counted = style === "a" || (style === "t" && next.line !== "");
      await process.print(counted ? `${String(number).padStart(width)}${separator}${next.line}\n` : `${" ".repeat(width + separator.length)}${next.line}\n`);
      if (counted) number += step;
    }
  }, false);
});

const fold = applet("[-bs] [-w WIDTH] [FILE]...", async (process, args) => {
  const options = getopt(args, "bsw:");
  const width = Number(options.get("w") ?? 80);
  return eachInput(process, options.rest, async (fd) => {
    const reader = new LineReader(process, fd);
    for (let next; (next = await reader.next()) !== undefined;) {
      let { line } = next;
      while (line.length > width) {
        let at = width;
        if (options.has("s")) {
          const space = line.lastIndexOf(" ", width - 1);
          if (space >= 0) at = space + 1;
        }
        await process.print(`${line.slice(0, at)}\n`);
        line = line.slice(at);
      }
      await process.print(`${line}${next.ended ? "\n" : ""}`);
    }
  }, false);
});

const paste = applet("[-d LIST] [-s] [FILE]...", async (process, args) => {
  const options = getopt(args, "d:s");
  const delimiters = (options.get("d") ?? "\t").replace(/\\n/g, "\n").replace(/\\t/g, "\t").replace(/\\0/g, "");
  const between = (i: number): string => delimiters[i % Math.max(1, delimiters.length)] ?? "";
  const columns: string[][] = [];
  const shared = options.rest.filter((name) => name === "-").length;
  const stdin = shared > 0 || options.rest.length === 0 ? linesOf(await process.readAll(0)) : [];
  let dashes = 0;
  for (const name of options.rest.length === 0 ? ["-"] : options.rest) {
    if (name === "-") {
      const offset = dashes++;
      columns.push(options.has("s") || shared <= 1 ? stdin : stdin.filter((_, i) => i % shared === offset));
    } else columns.push(linesOf(await process.slurp(name)));
  }
  if (options.has("s")) {
    for (const lines of columns) await process.print(`${lines.map((line, i) => (i === 0 ? "" : between(i - 1)) + line).join("")}\n`);
    return 0;
  }
  for (let row = 0; row < Math.max(...columns.map(({ length }) => length)); row++) await process.print(`${columns.map((lines, i) => (i === 0 ? "" : between(i - 1)) + (lines[row] ?? "")).join("")}\n`);
  return 0;
});

const expand = applet("[-fi] [-t NUM] [FILE|-]", async (process, args) => {
  const options = getopt(args, "fit:");
  const stop = Number(options.get("t") ?? 8);
  return eachInput(process, options.rest, async (fd) => {
    for (const line of linesOf(await process.readAll(fd))) {
      let out = "";
      for (const c of line) out += c === "\t" ? " ".repeat(stop - (out.length % stop)) : c;
      await process.print(`${out}\n`);
    }
  }, false);
});

const xargs = applet("[OPTIONS] [PROG ARGS]", async (process, args) => {
  const options = getopt(args, "+0rtn:s:L:I:i::P:E:e::xpo", { null: "0", "no-run-if-empty": "r", "max-args": "n", verbose: "t", "max-procs": "P" });
  const command = options.rest.length === 0 ? ["echo"] : options.rest;
  const text = await process.readAll(0);
  const replaced = options.get("I") ?? (options.has("i") ? "{}" : undefined);
  let items: string[];
  if (options.has("0")) items = text.split("\0").filter((item, i, all) => item !== "" || i < all.length - 1);
  else if (replaced !== undefined || options.has("L")) items = linesOf(text).map((line) => (replaced === undefined ? line : line.replace(/^\s+/, ""))).filter((line) => line.trim() !== "");
  else {
    items = [];
    let item = "", quote = "", any = false;
    for (let i = 0; i < text.length; i++) {
      const c = text[i]!;
      if (quote !== "") {
        if (c === quote) quote = "";
        else item += c;
      } else if (c === "'" || c === '"') {
        quote = c;
        any = true;
      } else if (c === "\\" && i + 1 < text.length) {
        item += text[++i];
        any = true;
      } else if (/\s/.test(c)) {
        if (any || item !== "") items.push(item);
        item = "";
        any = false;
      } else item += c;
    }
    if (quote !== "") {
      await process.complain(`unmatched ${quote === "'" ? "single" : "double"} quote`);
      return 1;
    }
    if (any || item !== "") items.push(item);
  }
  const end = options.get("E");
  if (end !== undefined && items.includes(end)) items = items.slice(0, items.indexOf(end));
  let status = 0;
  const run = async (argv: readonly string[]): Promise<boolean> => {
    if (options.has("t")) await process.error(`${argv.join(" ")}\n`);
    const code = await spawnAndWait(process, argv, (child) => {
      const nothing = process.fs.tryFind(process, "/dev/null")?.node;
      if (nothing?.kind === "device") child.install(0, nothing.open());
    });
    if (code === 127 || code === 126) {
      status = code;
      return false;
    }
    if (code === 255) {
      await process.complain(`${argv[0]}: exited with status 255; aborting`);
      status = 124;
      return false;
    }
    if (code >= 128 && code !== 0) {
      status = 125;
      return false;
    }
    if (code !== 0) status = 123;
    return true;
  };
  if (replaced !== undefined) {
    for (const item of items) if (!(await run(command.map((word) => word.replaceAll(replaced, item))))) break;
    return status;
  }
  if (items.length === 0) {
    if (!options.has("r")) await run(command);
    return status;
  }
  const most = Number(options.get("n") ?? options.get("L") ?? Infinity);
  const bytes = Number(options.get("s") ?? 32_000);
  for (let at = 0; at < items.length;) {
    const batch: string[] = [];
    let size = command.join(" ").length + 1;
    while (at < items.length && batch.length < most && (batch.length === 0 || size + items[at]!.length + 1 <= bytes)) {
      const item = items[at++]!;
      size += item.length + 1;
      batch.push(...(options.has("L") ? item.split(/\s+/).filter((word) => word !== "") : [item]));
    }
    if (!(await run([...command, ...batch]))) break;
  }
  return status;
});

const shuf = applet("[-e|-i L-H] [-n NUM] [-o FILE] [-z] [FILE|ARG...]", async (process, args) => {
  const options = getopt(args, "ei:n:o:z");
  const range = /^([0-9]+)-([0-9]+)$/.exec(options.get("i") ?? "");
  const lines = range !== null ? Array.from({ length: Number(range[2]) - Number(range[1]) + 1 }, (_, i) => String(Number(range[1]) + i)) : options.has("e") ? [...options.rest]
    : linesOf(options.rest[0] === undefined ? await process.readAll(0) : await process.slurp(options.rest[0]));
  for (let i = lines.length - 1; i > 0; i--) {
    const j = process.machine.random.below(i + 1);
    [lines[i], lines[j]] = [lines[j]!, lines[i]!];
  }
  for (const line of lines.slice(0, Number(options.get("n") ?? Infinity))) await process.print(`${line}\n`);
  return 0;
});

const split = applet("[OPTIONS] [INPUT [PREFIX]]", async (process, args) => {
  const options = getopt(args, "l:b:a:");
  const [input = "-", prefix = "x"] = options.rest;
  const text = input === "-" ? await process.readAll(0) : await process.slurp(input);
  const pieces: string[] = [];
  if (options.has("b")) for (let at = 0, size = sized(options.get("b")!) ?? 1; at < text.length; at += size) pieces.push(text.slice(at, at + size));
  else for (let lines = text.match(/[^\n]*\n|[^\n]+$/g) ?? [], size = Number(options.get("l") ?? 1000), at = 0; at < lines.length; at += size) pieces.push(lines.slice(at, at + size).join(""));
  const width = Number(options.get("a") ?? 2);
  for (const [i, piece] of pieces.entries()) {
    let suffix = "", n = i;
    for (let k = 0; k < width; k++) {
      suffix = String.fromCharCode(97 + (n % 26)) + suffix;
      n = Math.floor(n / 26);
    }
    process.fs.writeFile(process, prefix + suffix, toBytes(piece));
  }
  return 0;
});

const factor = applet("[NUMBER]...", async (process, args) => {
  for (const word of args.length > 0 ? args : (await process.readAll(0)).split(/\s+/).filter((w) => w !== "")) {
    if (!/^[0-9]+$/.test(word)) {
      await process.complain(`invalid number '${word}'`);
      return 1;
    }
    let n = Number(word);
    let out = `${word}:`;
    for (let p = 2; p * p <= n; p++) {
      while (n % p === 0) {
        out += ` ${p}`;
        n /= p;
      }
    }
    await process.print(`${out}${n > 1 ? ` ${n}` : ""}\n`);
  }
  return 0;
});

export const textApplets: Readonly<Record<string, Main>> = {
  head, tail, wc, tee, cut, tr, sort, uniq, seq, yes, rev, tac, nl, fold, paste, expand, xargs, shuf, split, factor,
};
