/** `printf` and `echo` (busybox coreutils/printf.c, echo.c). */

const SIMPLE: Readonly<Record<string, string>> = { a: "\x07", b: "\b", e: "\x1b", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v", "\\": "\\", '"': '"' };

/** One escape after a backslash at `at`: its text, and where it ends. `zero`: octal numbers are `\0nnn` (of %b and echo). */
function escapeAt(text: string, at: number, zero: boolean): { text: string; end: number } {
  const c = text[at];
  if (c === undefined) return { text: "\\", end: at };
  const octal = (zero ? /^0[0-7]{0,3}|^[1-7][0-7]{0,2}/ : /^[0-7]{1,3}/).exec(text.slice(at, at + 4));
  if (octal !== null) return { text: String.fromCharCode(Number.parseInt(octal[0], 8) & 255), end: at + octal[0].length };
  const hex = c === "x" ? /^x[0-9a-fA-F]{1,2}/.exec(text.slice(at, at + 3)) : null;
  if (hex !== null) return { text: String.fromCharCode(Number.parseInt(hex[0].slice(1), 16)), end: at + hex[0].length };
  const simple = SIMPLE[c];
  return simple === undefined ? { text: `\\${c}`, end: at + 1 } : { text: simple, end: at + 1 };
}

/** Backslash escapes of `echo -e` and `%b`; `stop`: there was a `\c`. */
export function unescape(text: string): { text: string; stop: boolean } {
  let out = "";
  for (let i = 0; i < text.length;) {
    if (text[i] !== "\\") {
      out += text[i++];
      continue;
    }
    if (text[i + 1] === "c") return { text: out, stop: true };
    const { text: piece, end } = escapeAt(text, i + 1, true);
    out += piece;
    i = end;
  }
  return { text: out, stop: false };
}

export function echo(args: readonly string[]): string {
  let newline = true, escapes = false, i = 0;
  for (; i < args.length; i++) {
    if (!/^-[neE]+$/.test(args[i]!)) break;
    for (const c of args[i]!.slice(1)) {
      if (c === "n") newline = false;
      else escapes = c === "e";
    }
  }
  const text = args.slice(i).join(" ");
  if (!escapes) return newline ? `${text}\n` : text;
  const done = unescape(text);
  return newline && !done.stop ? `${done.text}\n` : done.text;
}

export interface Printed {
  readonly text: string;
  /** Messages without the program's name. */
  readonly errors: readonly string[];
}

export function printf(format: string, args: readonly string[]): Printed {
  let out = "", next = 0, stop = false;
  const errors: string[] = [];
  const take = (): string | undefined => args[next++];
  const number = (word: string | undefined): bigint => {
    if (word === undefined) return 0n;
    if (word.startsWith("'") || word.startsWith('"')) return BigInt(word.charCodeAt(1) || 0);
    const match = /^\s*([-+]?)(0[xX][0-9a-fA-F]+|[0-9]+)/.exec(word);
    if (match === null || match[0].length !== word.length) {
      errors.push(`invalid number '${word}'`);
      if (match === null) return 0n;
    }
    const digits = match[2]!;
    const value = /^0[0-7]+$/.test(digits) ? BigInt(`0o${digits.slice(1)}`) : /^0[0-9]/.test(digits) ? BigInt(digits.replace(/^0+/, "") || "0") : BigInt(digits);
    return BigInt.asIntN(64, match[1] === "-" ? -value : value);
  };
  do {
    const before = next;
    for (let i = 0; i < format.length && !stop;) {
      const c = format[i]!;
      if (c === "\\") {
        if (format[i + 1] === "c") {
          stop = true;
          break;
        }
        const { text, end } = escapeAt(format, i + 1, false);
        out += text;
        i = end;
        continue;
      }
      if (c !== "%") {
        out += c;
        i++;
        continue;
      }
      const spec = /^%([-+ #0']*)(\*|[0-9]+)?(?:\.(\*|[0-9]*))?[lhzjqLt]*([%a-zA-Z])/.exec(format.slice(i));
      if (spec === null) {
        errors.push(`${format.slice(i)}: invalid format`);
        return { text: out, errors };
      }
      i += spec[0].length;
      if (spec[4] === "%") {
        out += "%";
        continue;
      }
      let flags = spec[1]!;
      let width = spec[2] === "*" ? Number(number(take())) : Number(spec[2] ?? 0);
      if (width < 0) {
        flags += "-";
        width = -width;
      }
      const precision = spec[3] === undefined ? undefined : spec[3] === "*" ? Number(number(take())) : Number(spec[3] || 0);
      const pad = (text: string, numeric: boolean): string => {
        if (text.length >= width) return text;
        if (flags.includes("-")) return text.padEnd(width);
        if (!numeric || !flags.includes("0")) return text.padStart(width);
        const sign = /^[-+ ]|^0[xX]/.exec(text)?.[0] ?? "";
        return sign + text.slice(sign.length).padStart(width - sign.length, "0");
      };
      const signed = (text: string): string => (text.startsWith("-") ? text : flags.includes("+") ? `+${text}` : flags.includes(" ") ? ` ${text}` : text);
      switch (spec[4]) {
        case "d": case "i": {
          const value = number(take());
          const digits = (value < 0n ? -value : value).toString().padStart(precision ?? 0, "0");
          out += pad(signed(value < 0n ? `-${digits}` : digits), precision === undefined);
          break;
        }
        case "u": case "o": case "x": case "X": {
          const value = BigInt.asUintN(64, number(take()));
          let digits = value.toString(spec[4] === "u" ? 10 : spec[4] === "o" ? 8 : 16).padStart(precision ?? 0, "0");
          if (flags.includes("#") && value !== 0n) digits = (spec[4] === "o" ? "0" : spec[4] === "u" ? "" : "0x") + digits;
          out += pad(spec[4] === "X" ? digits.toUpperCase() : digits, precision === undefined);
          break;
        }
        case "s": out += pad((take() ?? "").slice(0, precision), false); break;
        case "c": out += pad((take() ?? "").slice(0, 1), false); break;
        case "b": {
          const { text, stop: ended } = unescape(take() ?? "");
          out += pad(text.slice(0, precision), false);
          stop ||= ended;
          break;
        }
        case "e": case "E": case "f": case "F": case "g": case "G": {
          const word = take() ?? "0";
          const value = Number(word);
          if (word === "" || Number.isNaN(value)) errors.push(`invalid number '${word}'`);
          out += pad(signed(float(Number.isNaN(value) ? 0 : value, spec[4]!, precision, flags.includes("#"))), true);
          break;
        }
        default:
          errors.push(`${spec[0]}: invalid format`);
          return { text: out, errors };
      }
    }
    if (stop || next === before) break;
  } while (next < args.length);
  return { text: out, errors };
}

/** toFixed, but that what lies in the middle goes to the even digit, as C's printf has it. */
function fixed(value: number, digits: number): string {
  const up = value.toFixed(digits);
  const exact = value.toFixed(Math.min(100, digits + 30));
  const point = exact.indexOf(".");
  if (point < 0 || !/^50*$/.test(exact.slice(point + 1 + digits))) return up;
  const down = exact.slice(0, digits === 0 ? point : point + 1 + digits);
  return /[02468]$/.test(down) ? down : up;
}

/** %e, %f, %g as C's printf writes them. */
export function float(value: number, conversion: string, precision = 6, alternate = false): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value < 0 ? "-inf" : "inf";
  const exponential = (digits: number): string => value.toExponential(Math.min(digits, 100)).replace(/e([+-])(\d)$/, "e$10$2");
  const upper = conversion === conversion.toUpperCase() ? (text: string) => text.toUpperCase() : (text: string) => text;
  switch (conversion.toLowerCase()) {
    case "e": return upper(exponential(precision));
    case "f": return Math.abs(value) >= 1e21 ? BigInt(value).toString() + (precision > 0 ? `.${"0".repeat(precision)}` : "") : fixed(value, Math.min(precision, 100));
    default: {
      const digits = precision === 0 ? 1 : precision;
      const exponent = value === 0 ? 0 : Number(value.toExponential(digits - 1).split("e")[1]);
      let text = exponent < -4 || exponent >= digits ? exponential(digits - 1) : value.toFixed(Math.max(0, Math.min(100, digits - 1 - exponent)));
      if (!alternate && text.includes(".")) text = text.replace(/\.?0+(?=e|$)/, "");
      return upper(text);
    }
  }
}
