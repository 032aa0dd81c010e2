/** Applets that compare files: comm, cmp, diff. */
import { Errno } from "../os/errno.ts";
import type { Main } from "../os/process.ts";
import { applet, getopt, linesOf, UsageFault } from "./common.ts";

const comm = applet("[-123] FILE1 FILE2", async (process, args) => {
  const options = getopt(args, "123");
  const [a, b] = options.rest;
  if (a === undefined || b === undefined) throw new UsageFault("");
  const read = async (name: string): Promise<string[]> => linesOf(name === "-" ? await process.readAll(0) : await process.slurp(name));
  const [x, y] = [await read(a), await read(b)];
  let i = 0, j = 0;
  const put = (column: 1 | 2 | 3, line: string): Promise<void> | undefined => {
    if (options.has(String(column))) return undefined;
    const before = [1, 2, 3].filter((n) => n < column && !options.has(String(n))).length;
    return process.print(`${"\t".repeat(before)}${line}\n`);
  };
  while (i < x.length || j < y.length) {
    if (j >= y.length || (i < x.length && x[i]! < y[j]!)) await put(1, x[i++]!);
    else if (i >= x.length || y[j]! < x[i]!) await put(2, y[j++]!);
    else {
      await put(3, x[i++]!);
      j++;
    }
  }
  return 0;
});

const cmp = applet("[-ls] [-n NUM] FILE1 [FILE2]", async (process, args) => {
  const options = getopt(args, "lsn:");
  const [a = "-", b = "-"] = options.rest;
  const read = (name: string): Promise<string> => (name === "-" ? process.readAll(0) : process.slurp(name));
  let x: string, y: string;
  try {
    [x, y] = [await read(a), await read(b)];
  } catch (error) {
    if (!(error instanceof Errno)) throw error;
    if (!options.has("s")) await process.complain(`${a}: ${error.message}`);
    return 2;
  }
  let line = 1;
  for (let i = 0; i < Math.max(x.length, y.length); i++) {
    if (i >= x.length || i >= y.length) {
      if (!options.has("s")) await process.complain(`EOF on ${i >= x.length ? a : b}`);
      return 1;
    }
    if (x[i] !== y[i]) {
      if (!options.has("s")) await process.print(`${a} ${b} differ: char ${i + 1}, line ${line}\n`);
      return 1;
    }
    if (x[i] === "\n") line++;
  }
  return 0;
});

/** Unified differences of two lists of lines, by their longest common subsequence. */
function unified(a: readonly string[], b: readonly string[], context = 3): string[] {
  const [n, m] = [a.length, b.length];
  const table = Array.from({ length: n + 1 }, () => new Uint32Array(m + 1));
  for (let i = n - 1; i >= 0; i--) for (let j = m - 1; j >= 0; j--) table[i]![j] = a[i] === b[j] ? table[i + 1]![j + 1]! + 1 : Math.max(table[i + 1]![j]!, table[i]![j + 1]!);
  const edits: { readonly op: " " | "-" | "+"; readonly text: string; readonly i: number; readonly j: number }[] = [];
  for (let i = 0, j = 0; i < n || j < m;) {
    if (i < n && j < m && a[i] === b[j]) edits.push({ op: " ", text: a[i]!, i: i++, j: j++ });
    else if (i < n && (j >= m || table[i + 1]![j]! >= table[i]![j + 1]!)) edits.push({ op: "-", text: a[i]!, i: i++, j });
    else edits.push({ op: "+", text: b[j]!, i, j: j++ });
  }
  const out: string[] = [];
  const changed = edits.map(({ op }, at) => (op === " " ? -1 : at)).filter((at) => at >= 0);
  for (let c = 0; c < changed.length;) {
    let last = c;
    while (last + 1 < changed.length && changed[last + 1]! - changed[last]! <= 2 * context) last++;
    const hunk = edits.slice(Math.max(0, changed[c]! - context), changed[last]! + context + 1);
    const [oldCount, newCount] = [hunk.filter(({ op }) => op !== "+").length, hunk.filter(({ op }) => op !== "-").length];
    const range = (start: number, size: number): string => (size === 1 ? String(start + 1) : `${size === 0 ? start : start + 1},${size}`);
    out.push(`@@ -${range(hunk[0]!.i, oldCount)} +${range(hunk[0]!.j, newCount)} @@`, ...hunk.map(({ op, text }) => op + text));
    c = last + 1;
  }
  return out;
}

const diff = applet("[-abBdiNqrTstw] [-L LABEL] [-U LINES] FILE1 FILE2", async (process, args) => {
  const options = getopt(args, "abBdiNqrTstwuL:U:S:");
  const [a, b] = options.rest;
  if (a === undefined || b === undefined) throw new UsageFault("");
  const read = async (name: string): Promise<string> => (name === "-" ? process.readAll(0) : process.slurp(name));
  let x: string, y: string;
  try {
    [x, y] = [await read(a), await read(b)];
  } catch (error) {
    if (!(error instanceof Errno)) throw error;
    await process.complain(`can't stat '${process.fs.tryFind(process, a) === undefined ? a : b}': ${error.message}`);
    return 2;
  }
  if (x === y) return 0;
  if (options.has("q")) {
    await process.print(`Files ${a} and ${b} differ\n`);
    return 1;
  }
  const [from = a, to = b] = options.all("L");
  await process.print(`--- ${from}\n+++ ${to}\n${unified(linesOf(x), linesOf(y), Number(options.get("U") ?? 3)).join("\n")}\n`);
  return 1;
});

export const compareApplets: Readonly<Record<string, Main>> = { comm, cmp, diff };
