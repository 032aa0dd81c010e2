/** Words of nft's language with their places, and its errors as nft prints them (nftables src/scanner.l, src/erec.c). */

export interface Place {
  /** Offsets into the text; `to` is behind the last character. */
  readonly from: number;
  readonly to: number;
}

export interface Token extends Place {
  /** `word` names, numbers with units; `address` what looks like one; `string` in quotes; `op` punctuation. */
  readonly kind: "word" | "number" | "address" | "string" | "op" | "newline" | "end" | "junk";
  readonly text: string;
}

/** One message with what it underlines: the first place by `^`, the others by `~`. */
export interface Complaint {
  readonly message: string;
  readonly places: readonly Place[];
}

/** What nft refused; nothing has changed. `message` is the text that nft prints. */
export class NftError extends Error {
  readonly complaints: readonly Complaint[];
  readonly exitCode = 1;
  constructor(text: string, complaints: readonly Complaint[], source: string | undefined) {
    super(complaints.map((complaint) => render(text, complaint, source)).join(""));
    this.name = "NftError";
    this.complaints = complaints;
  }
}

/** Thrown while a command is read or carried out; `run` makes an NftError of it. */
export class Refused extends Error {
  readonly complaints: readonly Complaint[];
  constructor(message: string, ...places: readonly Place[]) {
    super(message);
    this.complaints = [{ message, places }];
  }
  /** One more message about the same command. */
  also(message: string, ...places: readonly Place[]): Refused {
    const more = new Refused(message, ...places);
    (more as { complaints: readonly Complaint[] }).complaints = [...this.complaints, { message, places }];
    return more;
  }
}

/** The kernel's answer about a command (netlink_io_error). */
export const refusedByKernel = (errno: string, ...places: readonly Place[]): Refused =>
  new Refused(`Could not process rule: ${errno}`, ...places);

function render(text: string, { message, places }: Complaint, source: string | undefined): string {
  let first = places[0] ?? { from: 0, to: 0 };
  // At the end of the text the line before is shown, and the place is the begin of the one that is missing.
  const ended = first.from >= text.length && message.endsWith("unexpected end of file");
  if (ended) {
    const at = text.lastIndexOf("\n", text.endsWith("\n") ? text.length - 2 : text.length - 1) + 1;
    first = { from: at, to: at + 1 };
  }
  const lineStart = text.lastIndexOf("\n", first.from - 1) + 1;
  let lineEnd = text.indexOf("\n", lineStart);
  if (lineEnd < 0) lineEnd = text.length;
  const line = text.slice(lineStart, lineEnd);
  const marks: string[] = [];
  const mark = (place: Place, c: string): void => {
    for (let i = Math.max(place.from - lineStart, 0); i < Math.min(Math.max(place.to, place.from + 1) - lineStart, line.length + 1); i++) marks[i] = c;
  };
  for (const place of places.slice(1)) mark(place, "~");
  mark(first, "^");
  let under = "";
  for (let i = 0; i < marks.length; i++) under += marks[i] ?? (line[i] === "\t" ? "\t" : " ");
  let where = "";
  if (source !== undefined) {
    let number = ended ? 2 : 1;
    for (let i = text.indexOf("\n"); i >= 0 && i < lineStart; i = text.indexOf("\n", i + 1)) number++;
    where = `${source}:${number}:${first.from - lineStart + 1}-${Math.max(first.to - lineStart, first.from - lineStart + 1)}: `;
  }
  return `${where}Error: ${message}\n${line}\n${under}\n`;
}

// In the order in which they are tried; the first one that matches is taken.
const ADDRESS = /(?:[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4}){5,7}|(?:[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4})*)?::(?:[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4})*)?(?::?\d+\.\d+\.\d+\.\d+)?|\d+\.\d+\.\d+\.\d+)(?![0-9A-Za-z_])/y;
const NUMBER = /(?:0x[0-9a-fA-F]+|\d+)(?![0-9A-Za-z_])/y;
const WORD = /[A-Za-z_*][A-Za-z0-9_./\-*?\\]*|\d+[A-Za-z][A-Za-z0-9]*/y;
const STRING = /"([^"\n]*)"/y;
const OPERATOR = /==|!=|<=|>=|<<|>>|[{}();,:.=<>&|^/\-+@$![\]]/y;

/** The tokens of a text, comments left out. */
export function scan(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    return pattern.exec(text);
  };
  while (at < text.length) {
    const c = text[at]!;
    if (c === " " || c === "\t" || c === "\r") {
      at++;
    } else if (c === "\\" && text[at + 1] === "\n") {
      at += 2;
    } else if (c === "#") {
      const end = text.indexOf("\n", at);
      at = end < 0 ? text.length : end;
    } else if (c === "\n") {
      tokens.push({ kind: "newline", text: "newline", from: at, to: ++at });
    } else {
      let kind: Token["kind"] = "address";
      let found = match(ADDRESS);
      if (found === null || found[0] === "::") {
        const address = found;
        kind = "number";
        found = match(NUMBER);
        if (found === null) {
          kind = "word";
          found = match(WORD);
        }
        if (found === null && address !== null) {
          kind = "address";
          found = address;
        }
      }
      if (found === null) {
        kind = "string";
        found = match(STRING);
      }
      if (found === null) {
        kind = "op";
        found = match(OPERATOR);
      }
      if (found === null) {
        tokens.push({ kind: "junk", text: "junk", from: at, to: at + 1 });
        break;
      }
      tokens.push({ kind, text: kind === "string" ? found[1]! : found[0], from: at, to: at + found[0].length });
      at += found[0].length;
    }
  }
  tokens.push({ kind: "end", text: "end of file", from: text.length, to: text.length + 1 });
  return tokens;
}

/** Words of the grammar that bison names as themselves; any other word is a `string` to it. */
const KEYWORDS = new Set((
  "accept drop reject return jump goto continue queue log counter limit quota comment add create insert replace delete flush destroy " +
  "list reset rename get table chain rule set map element flowtable ct meta ip ip6 tcp udp sctp icmp icmpv6 ether vmap type hook " +
  "priority policy handle index masquerade snat dnat redirect notrack numgen jhash symhash fib mark").split(" "));

/** How bison names a token in "unexpected …". */
export function tokenName(token: Token): string {
  if (token.kind === "number") return "number";
  if (token.kind === "string") return "quoted string";
  if (token.kind === "op") return ["==", "!=", "<", ">", "<=", ">=", "<<", ">>", "&", "|", "^", "/", "@", "-", "!"].includes(token.text) ? token.text : `'${token.text}'`;
  if (token.kind === "word" && !KEYWORDS.has(token.text)) return "string";
  if (token.kind === "address") return "string";
  return token.text;
}

/** Position in a token list. */
export class Cursor {
  readonly text: string;
  readonly tokens: Token[];
  at = 0;
  /** Files taken in so far. */
  includes = 0;
  readonly defines = new Map<string, readonly Token[]>();

  constructor(text: string) {
    this.text = text;
    this.tokens = scan(text);
  }
  get token(): Token {
    return this.tokens[this.at]!;
  }
  get previous(): Token {
    return this.tokens[Math.max(this.at - 1, 0)]!;
  }
  peek(offset = 1): Token {
    return this.tokens[Math.min(this.at + offset, this.tokens.length - 1)]!;
  }
  next(): Token {
    const token = this.token;
    if (token.kind !== "end") this.at++;
    return token;
  }
  is(...texts: readonly string[]): boolean {
    const token = this.token;
    return (token.kind === "word" || token.kind === "op") && texts.includes(token.text);
  }
  take(...texts: readonly string[]): boolean {
    if (!this.is(...texts)) return false;
    this.at++;
    return true;
  }
  syntax(expecting?: string): Refused {
    let token = this.token;
    // A command on a command line ends with a newline that nft adds.
    if (token.kind === "end") token = { ...token, text: "newline" };
    return new Refused(`syntax error, unexpected ${tokenName(token)}${expecting === undefined ? "" : `, expecting ${expecting}`}`, token);
  }
  expect(text: string, expecting = /^[a-z]/.test(text) ? text : `'${text}'`): Token {
    if (!this.is(text)) throw this.syntax(expecting);
    return this.next();
  }
  number(expecting = "number"): number {
    if (this.token.kind !== "number") throw this.syntax(expecting);
    return Number(this.next().text);
  }
  name(expecting = "string"): Token {
    const { kind } = this.token;
    if (kind !== "word" && kind !== "string") throw this.syntax(expecting);
    return this.next();
  }
  /** What stands in a block ends with a newline or `;`. A brace there is taken for garbage, and then one is missing at the end. */
  separated(expecting = "newline or semicolon"): void {
    if (this.token.kind === "newline" || this.is(";")) return;
    const wrong = this.syntax(expecting);
    throw this.is("}") ? wrong.also("syntax error, unexpected end of file", { from: this.text.length, to: this.text.length + 1 }) : wrong;
  }
  newlines(): void {
    while (this.token.kind === "newline") this.at++;
  }
  /** `;` or a newline, or the end of a block. */
  separators(): void {
    while (this.token.kind === "newline" || this.is(";")) this.at++;
  }
}
