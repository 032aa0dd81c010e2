/** nginx.conf as far as it says what is served: servers, where they listen, their locations with files, answers and upstreams. */

export interface Location {
  /** `=`, `^~` and prefixes are compared as text, `~` and `~*` as regular expressions. */
  readonly how: "=" | "prefix" | "regex";
  readonly path: string;
  readonly regexp?: RegExp;
  readonly directives: readonly Directive[];
}

export interface NginxServer {
  readonly ports: readonly number[];
  readonly names: readonly string[];
  readonly directives: readonly Directive[];
  readonly locations: readonly Location[];
}

export interface Directive {
  readonly name: string;
  readonly args: readonly string[];
  readonly block?: readonly Directive[];
}

/** A mistake; worded as `nginx -t` says it. */
export class ConfFault extends Error {}

/** Reads one file; `include` gives the texts of the files that a pattern means. Throws ConfFault. */
export function parseConf(text: string, file: string, include: (pattern: string) => readonly (readonly [path: string, text: string])[]): Directive[] {
  const tokens: { readonly text: string; readonly quoted: boolean; readonly line: number }[] = [];
  let line = 1;
  const fault = (what: string, at: number): ConfFault => new ConfFault(`${what} in ${file}:${at}`);
  for (const [whole, space, , double, single, mark, word] of text.matchAll(/(\s+)|(#[^\n]*)|"((?:[^"\\]|\\[\s\S])*)"|'((?:[^'\\]|\\[\s\S])*)'|([{};])|((?:[^\s{};"'#]|\$\{[^}]*\}|(?<=\S)#)+)/g)) {
    if (double !== undefined || single !== undefined) tokens.push({ text: (double ?? single!).replace(/\\(["'\\])/g, "$1").replace(/\\n/g, "\n").replace(/\\r/g, "\r").replace(/\\t/g, "\t"), quoted: true, line });
    else if (mark !== undefined || word !== undefined) tokens.push({ text: mark ?? word!, quoted: false, line });
    void space;
    line += whole.split("\n").length - 1;
  }
  let at = 0;
  const block = (inner: boolean): Directive[] => {
    const out: Directive[] = [];
    for (;;) {
      const first = tokens[at];
      if (first === undefined) {
        if (inner) throw fault('unexpected end of file, expecting ";" or "}"', line);
        return out;
      }
      if (!first.quoted && first.text === "}") {
        if (!inner) throw fault('unexpected "}"', first.line);
        at++;
        return out;
      }
      const words: string[] = [];
      for (;;) {
        const token = tokens[at];
        if (token === undefined) throw fault('unexpected end of file, expecting ";" or "}"', line);
        at++;
        if (token.quoted || !/^[{};]$/.test(token.text)) {
          words.push(token.text);
          continue;
        }
        if (token.text === "}") throw fault('unexpected "}"', token.line);
        const [name, ...args] = words;
        if (name === undefined) throw fault(`unexpected "${token.text}"`, token.line);
        if (token.text === "{") out.push({ name, args, block: block(true) });
        else if (name === "include") for (const [path, content] of include(args[0] ?? "")) out.push(...parseConf(content, path, include));
        else out.push({ name, args });
        break;
      }
    }
  };
  return block(false);
}

/** The servers of `http { … }`, or of a file that is included there. */
export function serversOf(directives: readonly Directive[]): NginxServer[] {
  return directives.flatMap(({ name, block = [] }) => {
    if (name === "http") return serversOf(block);
    if (name !== "server") return [];
    const listens = block.filter((directive) => directive.name === "listen").map(({ args: [address = "80"] }) => Number(/(?:^|:)([0-9]+)$/.exec(address)?.[1] ?? 80));
    return [{
      ports: [...new Set(listens.length === 0 ? [80] : listens)], names: block.filter((directive) => directive.name === "server_name").flatMap(({ args }) => args), directives: block,
      locations: block.filter((directive) => directive.name === "location").map(({ args, block: inside = [] }): Location => {
        const [how = "", path = how] = args.length > 1 ? args : ["", args[0]];
        if (how === "~" || how === "~*") return { how: "regex", path, regexp: new RegExp(path, how === "~*" ? "i" : ""), directives: inside };
        return { how: how === "=" ? "=" : "prefix", path, directives: inside };
      }),
    }];
  });
}

/** Which location answers: an exact one, the first regular expression that fits, else the longest prefix. */
export function locationOf({ locations }: NginxServer, path: string): Location | undefined {
  const exact = locations.find((one) => one.how === "=" && one.path === path);
  if (exact !== undefined) return exact;
  const regexp = locations.find((one) => one.regexp?.test(path) === true);
  if (regexp !== undefined) return regexp;
  return locations.filter((one) => one.how === "prefix" && path.startsWith(one.path)).sort((a, b) => b.path.length - a.path.length)[0];
}
