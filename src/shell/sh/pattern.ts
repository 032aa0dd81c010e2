/**
 * Shell patterns (POSIX XCU 2.13). Characters that were quoted carry MARK, so that `"*"` is a star and `*` is a pattern; everything else has
 * one byte per character (../os/bytes.ts).
 */
export const MARK = 0x100;

/** The same characters, quoted. */
export function mark(text: string): string {
  let out = "";
  for (let i = 0; i < text.length; i++) out += String.fromCharCode(text.charCodeAt(i) | MARK);
  return out;
}

export function unmark(text: string): string {
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) < MARK) continue;
    let out = text.slice(0, i);
    for (; i < text.length; i++) out += String.fromCharCode(text.charCodeAt(i) & 255);
    return out;
  }
  return text;
}

export const hasPattern = (text: string): boolean => /[*?[]/.test(text);

const CLASSES: Readonly<Record<string, string>> = {
  alpha: "A-Za-z", digit: "0-9", alnum: "A-Za-z0-9", upper: "A-Z", lower: "a-z", space: "\\t-\\r ", blank: " \\t", punct: "!-\\/:-@\\[-`{-~", print: " -~", graph: "!-~",
  cntrl: "\\0-\\x1f\\x7f", xdigit: "0-9A-Fa-f",
};

const escape = (c: string): string => {
  const code = c.charCodeAt(0) & 255;
  return /[A-Za-z0-9]/.test(String.fromCharCode(code)) ? String.fromCharCode(code) : `\\x${code.toString(16).padStart(2, "0")}`;
};

const cache = new Map<string, RegExp>();

/** The pattern as a regular expression's source. `path`: stars and question marks stop at slashes. */
export function patternSource(pattern: string, { path = false, lazy = false } = {}): string {
  let out = "";
  for (let i = 0; i < pattern.length; i++) {
    const c = pattern[i]!;
    if (c === "*") out += (path ? "[^/]*" : "[\\s\\S]*") + (lazy ? "?" : "");
    else if (c === "?") out += path ? "[^/]" : "[\\s\\S]";
    else if (c === "\\" && i + 1 < pattern.length) out += escape(pattern[++i]!);
    else if (c === "[") {
      const set = bracket(pattern, i);
      if (set === undefined) out += "\\[";
      else {
        out += set.source;
        i = set.end;
      }
    } else out += escape(c);
  }
  return out;
}

/** A bracket expression that begins at `at`: what it is in a regular expression, and where it ends. */
export function bracket(pattern: string, at: number): { source: string; end: number } | undefined {
  let i = at + 1, out = "";
  const negated = pattern[i] === "!" || pattern[i] === "^";
  if (negated) i++;
  const first = i;
  for (; i < pattern.length; i++) {
    const c = pattern[i]!;
    if (c === "]" && i > first) return { source: out === "" ? (negated ? "[\\s\\S]" : "[]") : `[${negated ? "^" : ""}${out}]`, end: i };
    if (c === "[" && pattern[i + 1] === ":") {
      const end = pattern.indexOf(":]", i + 2);
      const name = end < 0 ? "" : pattern.slice(i + 2, end);
      if (Object.hasOwn(CLASSES, name)) {
        out += CLASSES[name];
        i = end + 1;
        continue;
      }
    }
    if (c === "\\" && i + 1 < pattern.length && pattern[i + 1] !== "]") {
      out += escape(pattern[++i]!);
      continue;
    }
    const to = pattern[i + 2];
    if (pattern[i + 1] === "-" && to !== undefined && to !== "]") {
      if ((c.charCodeAt(0) & 255) <= (to.charCodeAt(0) & 255)) out += `${escape(c)}-${escape(to)}`;
      i += 2;
      continue;
    }
    out += escape(c);
  }
  return undefined;
}

/** Does the whole of `text` fit? */
export function matches(pattern: string, text: string): boolean {
  if (!hasPattern(pattern) && !pattern.includes("\\")) return unmark(pattern) === text;
  let compiled = cache.get(pattern);
  if (compiled === undefined) {
    if (cache.size > 500) cache.clear();
    cache.set(pattern, (compiled = new RegExp(`^(?:${patternSource(pattern)})$`)));
  }
  return compiled.test(text);
}

/** `${x#pattern}` and its kin. */
export function trim(op: "#" | "##" | "%" | "%%", pattern: string, text: string): string {
  if (op === "#" || op === "##") {
    const found = new RegExp(`^(?:${patternSource(pattern, { lazy: op === "#" })})`).exec(text);
    // A lazy star gives the shortest beginning, a greedy one the longest.
    return found === null ? text : text.slice(found[0].length);
  }
  const whole = new RegExp(`^(?:${patternSource(pattern)})$`);
  if (op === "%%") {
    for (let i = 0; i <= text.length; i++) if (whole.test(text.slice(i))) return text.slice(0, i);
  } else {
    for (let i = text.length; i >= 0; i--) if (whole.test(text.slice(i))) return text.slice(0, i);
  }
  return text;
}
