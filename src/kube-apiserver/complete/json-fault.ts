/** Why a text is no JSON, in the words of Go's scanner (encoding/json/scanner.go), and how a body is quoted that cannot be read. */

const HEX = /[0-9a-fA-F]/;
const ENDED = "unexpected end of JSON input";

/** The scanner's error for a text that is no JSON value. */
export function jsonFault(text: string): string {
  const fault = scan(text);
  return fault ?? ENDED;
}

/** Go's quoteChar. */
function quote(char: string): string {
  if (char === "'") return "'\\''";
  if (char === "\"") return "'\"'";
  const code = char.codePointAt(0)!;
  if (char === "\\") return "'\\\\'";
  const named: Readonly<Record<number, string>> = { 7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r" };
  if (code < 0x20 || code === 0x7f) return `'${named[code] ?? `\\x${(code + 256).toString(16).slice(1)}`}'`;
  return `'${char}'`;
}

/** Undefined when the text ends too early. */
function scan(text: string): string | undefined {
  let at = 0;
  const invalid = (context: string): string => `invalid character ${quote(String.fromCodePoint(text.codePointAt(at)!))} ${context}`;
  const skip = (): void => {
    while (at < text.length && " \t\r\n".includes(text[at]!)) at++;
  };
  const VALUE = "looking for beginning of value";
  /** What is open: the end of each, `}` or `]`. */
  const open: string[] = [];
  for (;;) {
    skip();
    if (at >= text.length) return undefined;
    // A value, or the end of an empty list.
    const char = text[at]!;
    if (char === "]" && open.at(-1) === "]" && previous(text, at) === "[") {
      at++;
      open.pop();
    } else if (char === "{" || char === "[") {
      at++;
      open.push(char === "{" ? "}" : "]");
      if (char === "[") continue;
      skip();
      if (at >= text.length) return undefined;
      if (text[at] !== "}") {
        const fault = key();
        if (fault !== "") return fault;
        continue;
      }
      at++;
      open.pop();
    } else {
      const fault = char === "\"" ? string() : /[-0-9]/.test(char) ? number() : word();
      if (fault !== "") return fault;
    }
    // What follows a value.
    for (;;) {
      skip();
      if (at >= text.length) return undefined;
      const end = open.at(-1);
      if (end === undefined) return invalid("after top-level value");
      if (text[at] === end) {
        at++;
        open.pop();
        continue;
      }
      if (text[at] !== ",") return invalid(end === "}" ? "after object key:value pair" : "after array element");
      at++;
      if (end === "}") {
        const fault = key();
        if (fault !== "") return fault;
      }
      break;
    }
  }

  /** A key and its colon; "" when it is right. */
  function key(): string | undefined {
    skip();
    if (at >= text.length) return undefined;
    if (text[at] !== "\"") return invalid("looking for beginning of object key string");
    const fault = string();
    if (fault !== "") return fault;
    skip();
    if (at >= text.length) return undefined;
    if (text[at] !== ":") return invalid("after object key");
    at++;
    return "";
  }

  function string(): string | undefined {
    for (at++; at < text.length; at++) {
      const char = text[at]!;
      if (char === "\"") {
        at++;
        return "";
      }
      if (char < " ") return invalid("in string literal");
      if (char !== "\\") continue;
      at++;
      if (at >= text.length) return undefined;
      if (text[at] !== "u") {
        if (!"bfnrt\\/\"".includes(text[at]!)) return invalid("in string escape code");
        continue;
      }
      for (let i = 0; i < 4; i++) {
        at++;
        if (at >= text.length) return undefined;
        if (!HEX.test(text[at]!)) return invalid("in \\u hexadecimal character escape");
      }
    }
    return undefined;
  }

  function number(): string | undefined {
    const digit = (): boolean => at < text.length && text[at]! >= "0" && text[at]! <= "9";
    const digits = (context: string): string | undefined => {
      if (at >= text.length) return undefined;
      if (!digit()) return invalid(context);
      while (digit()) at++;
      return "";
    };
    if (text[at] === "-") {
      at++;
      if (at >= text.length) return undefined;
      if (!digit()) return invalid("in numeric literal");
    }
    if (text[at] === "0") at++;
    else while (digit()) at++;
    if (text[at] === ".") {
      at++;
      const fault = digits("after decimal point in numeric literal");
      if (fault !== "") return fault;
    }
    if (text[at] === "e" || text[at] === "E") {
      at++;
      if (text[at] === "+" || text[at] === "-") at++;
      return digits("in exponent of numeric literal");
    }
    return "";
  }

  function word(): string | undefined {
    const wanted = ["true", "false", "null"].find((w) => w[0] === text[at]);
    if (wanted === undefined) return invalid(VALUE);
    for (let i = 1; i < wanted.length; i++) {
      at++;
      if (at >= text.length) return undefined;
      if (text[at] !== wanted[i]) return invalid(`in literal ${wanted} (expecting '${wanted[i]}')`);
    }
    at++;
    return "";
  }
}

/** The last character before this place that is no space. */
function previous(text: string, at: number): string | undefined {
  let i = at - 1;
  while (i >= 0 && " \t\r\n".includes(text[i]!)) i--;
  return text[i];
}

/** Follows summarizeData of k8s.io/apiserver/pkg/endpoints/handlers/rest.go. */
export function summary(text: string): string {
  if (text === "") return "<empty>";
  const bytes = new TextEncoder().encode(text);
  const short = bytes.subarray(0, 30);
  const more = bytes.length > 30 ? " ..." : "";
  if (text.startsWith("{")) return `${new TextDecoder().decode(short)}${more}`;
  return `${Array.from(short, (byte) => (byte + 256).toString(16).slice(1)).join("")}${more}`;
}
