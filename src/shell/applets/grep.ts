/** grep, egrep, fgrep (busybox findutils/grep.c). */
import { Errno } from "../os/errno.ts";
import type { Main } from "../os/process.ts";
import { matches } from "../sh/pattern.ts";
import { applet, baseName, getopt, join, LineReader, linesOf, tree, UsageFault } from "./common.ts";
import { RegexFault, translate } from "./regex.ts";

const grepAs = (kind: "grep" | "egrep" | "fgrep"): Main => applet("[-HhnlLoqvsrRiwFE] [-m N] [-A|B|C N] { PATTERN | -e PATTERN... | -f FILE... } [FILE]...", async (process, args) => {
  const numbered = args.flatMap((word) => (/^-[0-9]+$/.test(word) ? ["-C", word.slice(1)] : [word]));
  const options = getopt(numbered, "HhnlLoqvsrRiwxFEGIam:A:B:C:e:f:czP", {
    "ignore-case": "i", "invert-match": "v", count: "c", quiet: "q", silent: "q", "line-number": "n", "only-matching": "o", "word-regexp": "w", "line-regexp": "x", recursive: "r",
    "fixed-strings": "F", "extended-regexp": "E", "files-with-matches": "l", "files-without-match": "L", "with-filename": "H", "no-filename": "h", "no-messages": "s", "max-count": "m", regexp: "e", file: "f",
    include: "include:", exclude: "exclude:", "after-context": "A", "before-context": "B", context: "C", color: "color", text: "a",
  });
  const files = [...options.rest];
  const patterns = options.all("e").flatMap((text) => text.split("\n"));
  for (const name of options.all("f")) patterns.push(...linesOf(name === "-" ? await process.readAll(0) : await process.slurp(name)));
  if (!options.has("e") && !options.has("f")) {
    const first = files.shift();
    if (first === undefined) throw new UsageFault("");
    patterns.push(...first.split("\n"));
  }
  const fixed = options.has("F") || kind === "fgrep", extended = options.has("E") || options.has("P") || kind === "egrep";
  let regexp: RegExp;
  try {
    const sources = patterns.map((text) => {
      const source = fixed ? text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&") : translate(text, extended);
      return options.has("x") ? `^(?:${source})$` : options.has("w") ? `(?<![A-Za-z0-9_])(?:${source})(?![A-Za-z0-9_])` : source;
    });
    regexp = new RegExp(sources.length === 1 ? sources[0]! : sources.map((source) => `(?:${source})`).join("|"), `g${options.has("i") ? "i" : ""}`);
  } catch (error) {
    if (!(error instanceof RegexFault) && !(error instanceof SyntaxError)) throw error;
    await process.complain(`bad regex '${patterns[0]}': ${error instanceof RegexFault ? error.message : "Invalid preceding regular expression"}`);
    return 2;
  }
  const none = patterns.length === 0;
  const before = Number(options.get("B") ?? options.get("C") ?? 0), after = Number(options.get("A") ?? options.get("C") ?? 0);
  const most = Number(options.get("m") ?? Infinity);
  const recursive = options.has("r") || options.has("R");
  let status = 0, found = false, separated = false;
  const inputs: string[] = [];
  for (const name of files.length === 0 ? [recursive ? "." : "-"] : files) {
    const place = name === "-" ? undefined : process.fs.tryFind(process, name);
    if (!recursive || place?.node.kind !== "dir") {
      inputs.push(name);
      continue;
    }
    for (const { place: below, path } of tree(process, place, name)) {
      const shown = files.length === 0 ? path.replace(/^\.\//, "") : path;
      const base = baseName(path);
      if (below.node.kind !== "file" && !(below.node.kind === "link" && options.has("R") && process.fs.tryFind(process, path)?.node.kind === "file")) continue;
      if (options.has("include") && !options.all("include").some((glob) => matches(glob, base))) continue;
      if (options.all("exclude").some((glob) => matches(glob, base))) continue;
      inputs.push(files.length === 0 ? join("", shown) : path);
    }
  }
  const named = options.has("H") || ((inputs.length > 1 || recursive) && !options.has("h"));
  const end = options.has("z") ? "\0" : "\n";
  for (const name of inputs) {
    let fd = 0;
    if (name !== "-") {
      try {
        const place = process.fs.find(process, name);
        if (place.node.kind === "dir") {
          await process.complain(`${name}: Is a directory`);
          continue;
        }
        fd = await process.open(name, { read: true });
      } catch (error) {
        if (!(error instanceof Errno)) throw error;
        if (!options.has("s")) await process.complain(`${name}: ${error.message}`);
        status = 2;
        continue;
      }
    }
    const reader = new LineReader(process, fd, end);
    const label = name === "-" ? "(standard input)" : name;
    const earlier: { line: string; number: number }[] = [];
    let number = 0, hits = 0, trailing = 0, printed = 0;
    const show = (text: string, at: number, mark: string): Promise<void> | undefined => process.print(`${named ? `${label}${mark}` : ""}${options.has("n") ? `${at}${mark}` : ""}${text}${end}`);
    for (let next; hits < most && (next = await reader.next()) !== undefined;) {
      number++;
      const { line } = next;
      regexp.lastIndex = 0;
      const hit = (!none && regexp.test(line)) !== options.has("v");
      if (number % 256 === 0) await process.spend(100_000);
      if (!hit) {
        if (trailing > 0 && !options.has("c") && !options.has("q") && !options.has("l") && !options.has("L") && !options.has("o")) {
          await show(line, number, "-");
          printed = number;
          trailing--;
        } else if (before > 0) {
          earlier.push({ line, number });
          if (earlier.length > before) earlier.shift();
        }
        continue;
      }
      hits++;
      found = true;
      if (options.has("q")) return 0;
      if (options.has("l")) break;
      if (options.has("c") || options.has("L")) continue;
      if (options.has("o")) {
        if (options.has("v")) continue;
        regexp.lastIndex = 0;
        for (const match of line.matchAll(regexp)) if (match[0] !== "") await show(match[0], number, ":");
        continue;
      }
      if (before > 0 || after > 0) {
        const firstShown = earlier[0]?.number ?? number;
        if (separated && firstShown > printed + 1) await process.print("--\n");
        separated = true;
        for (const one of earlier.splice(0)) await show(one.line, one.number, "-");
      }
      await show(line, number, ":");
      printed = number;
      trailing = after;
    }
    for (let next; trailing > 0 && hits >= most && (next = await reader.next()) !== undefined; trailing--) await show(next.line, ++number, "-");
    if (options.has("c")) await process.print(`${named ? `${label}:` : ""}${hits}\n`);
    if (options.has("l") && hits > 0) await process.print(`${label}\n`);
    if (options.has("L") && hits === 0) {
      found = true;
      await process.print(`${label}\n`);
    }
    if (fd !== 0) process.close(fd);
  }
  if (found) return status === 2 && !options.has("q") ? 2 : 0;
  return status === 0 ? 1 : status;
});

export const grepApplets: Readonly<Record<string, Main>> = { grep: grepAs("grep"), egrep: grepAs("egrep"), fgrep: grepAs("fgrep") };
