/** `test` and `[` (POSIX; busybox coreutils/test.c). */
import type { Process } from "../os/process.ts";
import { ACCESS } from "../os/vfs.ts";

/** A mistake in the expression: what is said, with status 2. */
export class TestFault extends Error {}

const UNARY = new Set(["-b", "-c", "-d", "-e", "-f", "-g", "-G", "-h", "-k", "-L", "-n", "-O", "-p", "-r", "-s", "-S", "-t", "-u", "-w", "-x", "-z"]);
const BINARY = new Set(["=", "==", "!=", "<", ">", "-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-nt", "-ot", "-ef", "=~"]);

/** The expression's truth. Throws TestFault. */
export function evaluateTest(process: Process, args: readonly string[]): boolean {
  let at = 0;
  const left = (): number => args.length - at;
  const peek = (): string | undefined => args[at];

  const or = (): boolean => {
    let value = and();
    while (peek() === "-o") {
      at++;
      const right = and();
      value = value || right;
    }
    return value;
  };
  const and = (): boolean => {
    let value = not();
    while (peek() === "-a") {
      at++;
      const right = not();
      value = value && right;
    }
    return value;
  };
  const not = (): boolean => {
    if (peek() === "!" && left() > 1) {
      at++;
      return !not();
    }
    return primary();
  };
  const primary = (): boolean => {
    const word = args[at];
    if (word === undefined) throw new TestFault("argument expected");
    const op = args[at + 1];
    if (op !== undefined && BINARY.has(op) && left() >= 3) {
      at += 3;
      return binary(word, op, args[at - 1]!);
    }
    if (word === "(" && left() > 1) {
      at++;
      const value = or();
      if (args[at++] !== ")") throw new TestFault("closing paren expected");
      return value;
    }
    if (UNARY.has(word) && left() >= 2) {
      at += 2;
      return unary(word, args[at - 1]!);
    }
    at++;
    return word !== "";
  };

  const unary = (op: string, word: string): boolean => {
    if (op === "-n") return word !== "";
    if (op === "-z") return word === "";
    if (op === "-t") return process.fds[Number(integer(word))]?.tty !== undefined;
    const place = process.fs.tryFind(process, word, op !== "-h" && op !== "-L");
    if (place === undefined) return false;
    const { node } = place;
    switch (op) {
      case "-d": return node.kind === "dir";
      case "-f": return node.kind === "file";
      case "-h": case "-L": return node.kind === "link";
      case "-p": return node.kind === "fifo";
      case "-c": return node.kind === "device";
      case "-s": return node.size > 0;
      case "-r": return process.fs.access(process, place, ACCESS.R);
      case "-w": return process.fs.access(process, place, ACCESS.W);
      case "-x": return process.fs.access(process, place, ACCESS.X);
      case "-u": return (node.mode & 0o4000) !== 0;
      case "-g": return (node.mode & 0o2000) !== 0;
      case "-k": return (node.mode & 0o1000) !== 0;
      case "-O": return node.uid === process.uid;
      case "-G": return node.gid === process.gid;
      case "-e": return true;
      default: return false;
    }
  };
  const integer = (word: string): bigint => {
    const match = /^\s*([-+]?[0-9]+)\s*$/.exec(word);
    if (match === null) throw new TestFault(`${word}: bad number`);
    return BigInt(match[1]!);
  };
  const binary = (a: string, op: string, b: string): boolean => {
    switch (op) {
      case "=": case "==": return a === b;
      case "!=": return a !== b;
      case "<": return a < b;
      case ">": return a > b;
      case "-eq": return integer(a) === integer(b);
      case "-ne": return integer(a) !== integer(b);
      case "-lt": return integer(a) < integer(b);
      case "-le": return integer(a) <= integer(b);
      case "-gt": return integer(a) > integer(b);
      case "-ge": return integer(a) >= integer(b);
      default: {
        const x = process.fs.tryFind(process, a)?.node, y = process.fs.tryFind(process, b)?.node;
        if (op === "-ef") return x !== undefined && x === y;
        if (op === "-nt") return x !== undefined && (y === undefined || x.mtimeMs > y.mtimeMs);
        return y !== undefined && (x === undefined || x.mtimeMs < y.mtimeMs);
      }
    }
  };

  if (args.length === 0) return false;
  // POSIX: by the number of arguments first.
  if (args.length === 1) return args[0] !== "";
  if (args.length === 2 && args[0] === "!") return args[1] === "";
  if (args.length === 3 && BINARY.has(args[1]!)) return binary(args[0]!, args[1]!, args[2]!);
  const value = or();
  if (at < args.length) throw new TestFault(`${args[at]}: unknown operand`);
  return value;
}

/** The status of `test ARGS`, or `[ ARGS ]`. */
export async function runTest(process: Process, name: string, args: readonly string[], say: (text: string) => Promise<void>): Promise<number> {
  let words = args;
  if (name === "[" || name === "[[") {
    if (words.at(-1) !== (name === "[" ? "]" : "]]")) {
      await say(`missing ${name === "[" ? "]" : "]]"}`);
      return 2;
    }
    words = words.slice(0, -1);
  }
  try {
    return evaluateTest(process, words) ? 0 : 1;
  } catch (error) {
    if (!(error instanceof TestFault)) throw error;
    await say(error.message);
    return 2;
  }
}
