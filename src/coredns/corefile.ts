/** The Corefile: server blocks of directives. Follows coredns/caddy caddyfile (lexer.go, parse.go, dispenser.go), errors included. */

/** A mistake in the Corefile, with its place. */
export class CorefileError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "CorefileError";
  }
}

interface Token {
  readonly text: string;
  readonly line: number;
}

/** A directive as written: its arguments, and the lines of its block. */
export interface Directive {
  readonly name: string;
  readonly file: string;
  readonly line: number;
  readonly args: readonly string[];
  readonly block: readonly Directive[];
}

export interface ServerBlock {
  /** Zone, with a dot at its end, and port. */
  readonly keys: readonly { readonly zone: string; readonly port: number }[];
  readonly directives: readonly Directive[];
}

/** `FILE:LINE - Error during parsing: MESSAGE`, as Dispenser.Errf. */
export const parseError = ({ file, line }: { readonly file: string; readonly line: number }, message: string): CorefileError =>
  new CorefileError(`${file}:${line} - Error during parsing: ${message}`);

/** Dispenser.ArgErr. */
export const argError = (directive: Directive): CorefileError =>
  parseError(directive, `Wrong argument count or unexpected line ending after '${directive.args.at(-1) ?? directive.name}'`);

function lex(text: string): Token[] {
  const out: Token[] = [];
  let line = 1, at = 0;
  while (at < text.length) {
    const c = text[at]!;
    if (c === "\n") line++;
    if (/\s/.test(c)) at++;
    else if (c === "#") while (at < text.length && text[at] !== "\n") at++;
    else if (c === '"') {
      const start = line;
      let value = "";
      for (at++; at < text.length && text[at] !== '"'; at++) {
        if (text[at] === "\\" && text[at + 1] === '"') at++;
        if (text[at] === "\n") line++;
        value += text[at];
      }
      at++;
      out.push({ text: value, line: start });
    } else {
      const start = at;
      while (at < text.length && !/\s/.test(text[at]!)) at++;
      out.push({ text: text.slice(start, at), line });
    }
  }
  return out;
}

/** Reads a Corefile. `known`: the directives there are. Throws CorefileError. */
export function parseCorefile(text: string, file: string, known: ReadonlySet<string>): ServerBlock[] {
  const tokens = lex(text);
  const blocks: ServerBlock[] = [];
  let at = 0;
  const eof = (): never => { throw parseError({ file, line: tokens.at(-1)?.line ?? 1 }, "Unexpected EOF"); };

  const directive = (checked: boolean): Directive => {
    const head = tokens[at++]!;
    if (checked && !known.has(head.text)) throw parseError({ file, line: head.line }, `Unknown directive '${head.text}'`);
    const args: string[] = [];
    const block: Directive[] = [];
    for (;;) {
      const token = tokens[at];
      if (token === undefined || token.line !== head.line || token.text === "}") break;
      at++;
      if (token.text === "{") {
        for (;;) {
          const inner = tokens[at];
          if (inner === undefined) return eof();
          if (inner.text === "}") {
            at++;
            break;
          }
          block.push(directive(false));
        }
        break;
      }
      args.push(token.text);
    }
    return { name: head.text, file, line: head.line, args, block };
  };

  while (at < tokens.length) {
    const keys: { zone: string; port: number }[] = [];
    const first = tokens[at]!;
    for (;;) {
      const token = tokens[at];
      if (token === undefined) return eof();
      if (token.text === "{") break;
      if (token.text === "}") throw new CorefileError(`${file}:${token.line} - Syntax error: Unexpected token '}', expecting '{'`);
      for (const key of token.text.split(",")) if (key !== "") keys.push(zoneOf(key, file, token.line));
      at++;
    }
    if (keys.length === 0) throw new CorefileError(`${file}:${first.line} - Syntax error: Unexpected token '{', expecting 'a zone'`);
    at++;
    const directives: Directive[] = [];
    for (;;) {
      const token = tokens[at];
      if (token === undefined) return eof();
      if (token.text === "}") {
        at++;
        break;
      }
      directives.push(directive(true));
    }
    blocks.push({ keys, directives });
  }
  return blocks;
}

/** `dns://.:53`, `cluster.local`, `10.0.0.0/24:1053`: zone and port (core/dnsserver/address.go). */
function zoneOf(key: string, file: string, line: number): { zone: string; port: number } {
  const match = /^(?:([a-z]+):\/\/)?(.*?)(?::([0-9]+))?$/.exec(key)!;
  if (match[1] !== undefined && match[1] !== "dns") throw parseError({ file, line }, `unsupported transport '${match[1]}'`);
  const port = match[3] === undefined ? 53 : Number(match[3]);
  if (port < 1 || port > 65535) throw parseError({ file, line }, `invalid port '${match[3]}'`);
  return { zone: normalizeZone(match[2]!), port };
}

/** A zone's name in lower case with its dot; a prefix becomes its reverse zone. */
export function normalizeZone(text: string): string {
  const cidr = /^([0-9]+)\.([0-9]+)\.([0-9]+)\.([0-9]+)\/(8|16|24|32)$/.exec(text);
  if (cidr !== null) {
    const octets = cidr.slice(1, 1 + Number(cidr[5]) / 8);
    return `${octets.reverse().join(".")}.in-addr.arpa.`;
  }
  const lower = text.toLowerCase();
  return lower.endsWith(".") ? lower : `${lower}.`;
}
