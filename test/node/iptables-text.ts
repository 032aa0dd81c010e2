/**
 * A model of the iptables tools for tests: applies iptables-restore text and single commands, and prints the state as
 * iptables-save does. It knows the spelling of the rules that node agents write, not what they do to packets.
 */

export interface Table {
  /** Policy of built-in chains, "-" for others. */
  readonly policies: Map<string, string>;
  readonly rules: Map<string, string[]>;
}

const BUILT_IN: Readonly<Record<string, readonly string[]>> = {
  raw: ["PREROUTING", "OUTPUT"],
  mangle: ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
  nat: ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
  filter: ["INPUT", "FORWARD", "OUTPUT"],
};

/** Words of a restore line; `\"` and quotes as the tool reads them. */
export function words(line: string): string[] {
  return [...line.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)].map((m) => (m[1] !== undefined ? m[1].replace(/\\(.)/g, "$1") : m[2]!));
}

const hex = (text: string): number => Number(text);
const x = (value: number): string => `0x${(value >>> 0).toString(16)}`;
const quote = (text: string): string => (/^[A-Za-z0-9_-]+$/.test(text) ? text : `"${text.replace(/(["\\'])/g, "\\$1")}"`);

/** The arguments of a rule (after the chain) as iptables-save prints them. */
export function canonicalRule(args: readonly string[], v6 = false): string {
  const bits = v6 ? "/128" : "/32";
  let src = "", dst = "", iface = "", out = "", proto = "", target = "";
  const matches: { name: string; parts: string[]; }[] = [];
  let not = "";
  const match = (name: string): { name: string; parts: string[] } => {
    let found = matches.find((m) => m.name === name);
    if (found === undefined) matches.push((found = { name, parts: [] }));
    return found;
  };
  let last: { name: string; parts: string[] } | undefined;
  let tname = "";
  const addr = (text: string): string => (text.includes("/") ? text : text + bits);
  const everywhere = (text: string): boolean => text.endsWith("/0");
  for (let i = 0; i < args.length; i++) {
    const a = args[i]!;
    const next = (): string => args[++i] ?? "";
    const neg = not === "" ? "" : "! ";
    if (a !== "!") not = "";
    switch (a) {
      case "!": not = "!"; break;
      case "-s": case "--source": { const a = addr(next()); src = everywhere(a) ? "" : `${neg}-s ${a} `; break; }
      case "-d": case "--destination": { const a = addr(next()); dst = everywhere(a) ? "" : `${neg}-d ${a} `; break; }
      case "-i": iface = `${neg}-i ${next()} `; break;
      case "-o": out = `${neg}-o ${next()} `; break;
      case "-p": proto = `${neg}-p ${next()} `; break;
      case "-m": last = match(next()); if (last.name === "tcp" || last.name === "udp") { /* options may follow later */ } break;
      case "-j": case "-g": tname = next(); target = `${a} ${tname}`; break;
      case "--comment": last!.parts.push(`--comment ${quote(next())}`); break;
      case "--dport": case "--sport":
        match(proto === "" ? last!.name : proto.trim().replace(/^! /, "").slice(3)).parts.push(`${neg}${a} ${next()}`); break;
      case "--mark": {
        const [v, m] = next().split("/");
        last!.parts.push(`${neg}--mark ${x(hex(v!))}${m === undefined ? "" : `/${x(hex(m))}`}`); break;
      }
      case "--or-mark": { const v = x(hex(next())); target += ` --set-xmark ${v}/${v}`; break; }
      case "--xor-mark": target += ` --set-xmark ${x(hex(next()))}/0x0`; break;
      case "--set-xmark": case "--set-mark": { const [v, m] = next().split("/"); target += ` --set-xmark ${x(hex(v!))}/${x(hex(m ?? "0xffffffff"))}`; break; }
      case "--probability": last!.parts.push(`--probability ${(Math.round(Number(next()) * 2 ** 31) / 2 ** 31).toFixed(11)}`); break;
      case "--nfacct-name": last!.parts.push(`--nfacct-name  ${next()}`); break;
      case "--name": last!.parts.push(`--name ${next()}`); break;
      case "--set": case "--rcheck": case "--update": last!.parts.push(a); break;
      case "--reap": last!.parts.push(a); break;
      default:
        if (a.startsWith("--")) {
          const value = args[i + 1];
          const has = value !== undefined && !value.startsWith("-") && value !== "!";
          const text = `${neg}${a}${has ? ` ${next()}` : ""}`;
          if (tname === "") last!.parts.push(text); else target += ` ${text}`;
        } else throw new Error(`unknown argument ${a}`);
    }
  }
  const body = matches.map(({ name, parts }) => {
    if (name === "recent") {
      const order = ["--set", "--rcheck", "--update", "--seconds", "--reap", "--name"];
      parts.sort((p, q) => order.indexOf(p.split(" ")[0]!) - order.indexOf(q.split(" ")[0]!));
      parts.push(`--mask ${v6 ? "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" : "255.255.255.255"} --rsource`);
    }
    return `-m ${name}${parts.length > 0 ? ` ${parts.join(" ")}` : ""} `;
  }).join("");
  if (tname === "REJECT" && !target.includes("--reject-with")) target += ` --reject-with ${v6 ? "icmp6" : "icmp"}-port-unreachable`;
  return `${src}${dst}${iface}${out}${proto}${body}${target}`.trim();
}

/** The tables of one namespace. */
export class IptablesModel {
  readonly tables = new Map<string, Table>();
  readonly v6: boolean;
  /** Every restore text, in order. */
  readonly writes: string[] = [];

  constructor(v6 = false) {
    this.v6 = v6;
  }

  table(name: string): Table {
    let table = this.tables.get(name);
    if (table === undefined) {
      const chains = BUILT_IN[name]!;
      table = { policies: new Map(chains.map((c) => [c, "ACCEPT"])), rules: new Map(chains.map((c) => [c, []])) };
      this.tables.set(name, table);
    }
    return table;
  }

  restore(text: string, options: { noflush?: boolean } = {}): void {
    this.writes.push(text);
    let table: Table | undefined;
    for (const line of text.split("\n")) {
      if (line === "" || line.startsWith("#")) continue;
      if (line.startsWith("*")) {
        if (options.noflush !== true) this.tables.delete(line.slice(1));
        table = this.table(line.slice(1));
      } else if (line.startsWith(":")) {
        const [chain, policy] = line.slice(1).split(" ");
        table!.policies.set(chain!, policy!);
        table!.rules.set(chain!, []);
      } else if (line === "COMMIT") table = undefined;
      else this.command(table!, words(line));
    }
  }

  run(args: readonly string[]): string {
    const at = args.indexOf("-t");
    const table = this.table(at < 0 ? "filter" : args[at + 1]!);
    this.command(table, at < 0 ? args : [...args.slice(0, at), ...args.slice(at + 2)]);
    return "";
  }

  private command(table: Table, args: readonly string[]): void {
    const [verb, chain, ...rest] = args;
    const rules = table.rules.get(chain ?? "");
    const missing = (): never => { throw new Error("iptables: No chain/target/match by that name."); };
    switch (verb) {
      case "-A": (rules ?? missing()).push(canonicalRule(rest, this.v6)); break;
      case "-I": {
        const position = /^[0-9]+$/.test(rest[0] ?? "") ? Number(rest.shift()) : 1;
        (rules ?? missing()).splice(position - 1, 0, canonicalRule(rest, this.v6));
        break;
      }
      case "-C":
      case "-D": {
        const i = (rules ?? missing()).indexOf(canonicalRule(rest, this.v6));
        if (i < 0) throw new Error("iptables: Bad rule (does a matching rule exist in that chain?).");
        if (verb === "-D") rules!.splice(i, 1);
        break;
      }
      case "-N": {
        if (rules !== undefined) throw new Error("iptables: Chain already exists.");
        table.policies.set(chain!, "-");
        table.rules.set(chain!, []);
        break;
      }
      case "-F": if (chain === undefined) for (const list of table.rules.values()) list.length = 0; else (rules ?? missing()).length = 0; break;
      case "-X": {
        if ((rules ?? missing()).length > 0) throw new Error("iptables: Directory not empty");
        for (const list of table.rules.values()) {
          if (list.some((rule) => rule.endsWith(`-j ${chain}`))) throw new Error(`iptables: Too many links. (${chain})`);
        }
        table.rules.delete(chain!);
        table.policies.delete(chain!);
        break;
      }
      default: throw new Error(`unknown command ${verb}`);
    }
  }

  save(only?: string): string {
    const out: string[] = [];
    for (const [name, { policies, rules }] of this.tables) {
      if (only !== undefined && only !== name) continue;
      const builtIn = BUILT_IN[name]!;
      const own = [...policies.keys()].filter((chain) => !builtIn.includes(chain)).sort();
      const chains = [...builtIn, ...own];
      out.push(`*${name}`, ...chains.map((chain) => `:${chain} ${policies.get(chain)} [0:0]`));
      for (const chain of chains) for (const rule of rules.get(chain)!) out.push(`-A ${chain} ${rule}`);
      out.push("COMMIT");
    }
    return out.join("\n") + "\n";
  }
}

/** iptables-save text as table → chain → rules. */
export function parseSave(text: string): Map<string, Map<string, string[]>> {
  const tables = new Map<string, Map<string, string[]>>();
  let table = new Map<string, string[]>();
  for (const line of text.split("\n")) {
    if (line.startsWith("*")) tables.set(line.slice(1), (table = new Map()));
    else if (line.startsWith(":")) table.set(line.slice(1).split(" ")[0]!, []);
    else if (line.startsWith("-A ")) {
      const chain = line.split(" ")[1]!;
      table.get(chain)!.push(line.slice(4 + chain.length));
    }
  }
  return tables;
}
