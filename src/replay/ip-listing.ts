/**
 * Reads what `ip route`, `ip addr`, `ip link`, `ip rule` and `ip neigh` print, text or `-j` JSON, one listing after the other in one
 * text. Lines are told apart by how they begin; IPv6 lines are left out.
 */
import type { RouteSpec, RuleSpec } from "../kernel/netns.ts";
import { ReplayError } from "./check-case.ts";

export interface DumpedLink {
  readonly name: string;
  readonly mtu: number;
  readonly mac?: string | undefined;
  /** With prefix lengths. */
  readonly addresses: readonly string[];
}

export interface Listing {
  readonly links: readonly DumpedLink[];
  readonly routes: readonly RouteSpec[];
  readonly rules: readonly RuleSpec[];
  readonly neighbours: readonly { readonly dev: string; readonly dst: string; readonly lladdr: string }[];
}

interface Link {
  name: string;
  mtu: number;
  mac?: string | undefined;
  addresses: string[];
}
interface Found {
  links: Map<string, Link>;
  routes: RouteSpec[];
  rules: RuleSpec[];
  neighbours: { dev: string; dst: string; lladdr: string }[];
}

const TABLES: Readonly<Record<string, number>> = { local: 255, main: 254, default: 253 };
const TYPES = ["unicast", "local", "broadcast", "blackhole", "unreachable", "prohibit"] as const;
type RouteType = (typeof TYPES)[number];
const isType = (word: string | undefined): word is RouteType => (TYPES as readonly string[]).includes(word ?? "");

/** Throws ReplayError `--routes line N` for a line that is none of these. */
export function readListing(text: string): Listing {
  const found: Found = { links: new Map(), routes: [], rules: [], neighbours: [] };
  let link: Link | undefined;
  text.split("\n").forEach((line, index) => {
    const refuse = (what: string): never => {
      throw new ReplayError(`--routes line ${index + 1}`, what);
    };
    const words = line.trim().split(/\s+/).filter((word) => word !== "\\");
    const [first = ""] = words;
    if (first === "" || first.startsWith("#")) return;
    if (first.startsWith("[")) return readJson(line, found, refuse);
    const header = /^\d+: ([^:@\s]+)(?:@\S+)?:? /.exec(line);
    if (header !== null && !/\blookup\b/.test(line)) {
      const name = header[1]!;
      link = linkOf(found, name);
      const mtu = wordAfter(words, "mtu");
      if (mtu !== undefined) link.mtu = Number(mtu);
    }
    if (header !== null || /^\s/.test(line)) {
      if (/^\d+:\s+from /.test(line)) return void found.rules.push(ruleOf(line, refuse));
      const inet = wordAfter(words, "inet");
      const ether = wordAfter(words, "link/ether");
      if (link !== undefined && inet !== undefined) link.addresses.push(inet.includes("/") ? inet : `${inet}/32`);
      if (link !== undefined && ether !== undefined) link.mac = ether;
      if (first === "nexthop") refuse("routes with several next hops are not known");
      return;
    }
    if (/^\d+:/.test(first)) return void found.rules.push(ruleOf(line, refuse));
    const address = isType(first) || first === "throw" || first === "multicast" || first === "anycast" ? (words[1] ?? "") : first;
    if (address.includes(":")) return;
    if (/^\d+\.\d+\.\d+\.\d+$/.test(first) && words[1] === "dev" && (words.includes("lladdr") || /(?:FAILED|INCOMPLETE)$/.test(line.trim()))) {
      const lladdr = wordAfter(words, "lladdr");
      if (lladdr !== undefined) found.neighbours.push({ dev: words[2]!, dst: first, lladdr });
      return;
    }
    if (address !== "default" && !/^\d+\.\d+\.\d+\.\d+(?:\/\d+)?$/.test(address)) refuse(`not a line of ip: ${line.trim()}`);
    found.routes.push(routeOf(isType(first) ? first : "unicast", address, words));
  });
  return { links: [...found.links.values()], routes: found.routes, rules: found.rules, neighbours: found.neighbours };
}

const wordAfter = (words: readonly string[], key: string): string | undefined => {
  const at = words.indexOf(key);
  return at < 0 ? undefined : words[at + 1];
};

function linkOf(found: Found, name: string): Link {
  let link = found.links.get(name);
  if (link === undefined) found.links.set(name, (link = { name, mtu: 1500, addresses: [] }));
  return link;
}

const number = (text: string | undefined): number | undefined => (text === undefined ? undefined : (TABLES[text] ?? Number(text)));

function routeOf(type: RouteType, dst: string, words: readonly string[]): RouteSpec {
  const optional = <K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } =>
    (value === undefined ? {} : { [key]: value }) as { [P in K]?: V };
  const scope = wordAfter(words, "scope");
  return {
    dst,
    ...(type === "unicast" ? {} : { type }),
    ...optional("via", wordAfter(words, "via")),
    ...optional("dev", wordAfter(words, "dev")),
    ...optional("src", wordAfter(words, "src")),
    ...optional("metric", number(wordAfter(words, "metric"))),
    ...optional("table", number(wordAfter(words, "table"))),
    ...optional("mtu", number(wordAfter(words, "mtu"))),
    ...(words.includes("onlink") ? { onlink: true } : {}),
    ...(scope === "link" || scope === "host" ? { scope } : {}),
  };
}

function ruleOf(line: string, refuse: (what: string) => never): RuleSpec {
  const [pref = "", ...words] = line.trim().split(/\s+/);
  const table = number(wordAfter(words, "lookup"));
  if (table === undefined || Number.isNaN(table)) return refuse(`not known: ${line.trim()}`);
  const from = wordAfter(words, "from");
  const to = wordAfter(words, "to");
  const iif = wordAfter(words, "iif");
  const [mark, mask] = (wordAfter(words, "fwmark") ?? "").split("/");
  return {
    pref: Number(pref.replace(":", "")), table,
    ...(from === undefined || from === "all" ? {} : { from }),
    ...(to === undefined || to === "all" ? {} : { to }),
    ...(iif === undefined ? {} : { iif }),
    ...(mark === undefined || mark === "" ? {} : { fwmark: Number(mark) }),
    ...(mask === undefined ? {} : { fwmask: Number(mask) }),
  };
}

type Json = Readonly<Record<string, unknown>>;

/** One line of `ip -j`: links, addresses, routes, rules or neighbours by their keys. */
function readJson(line: string, found: Found, refuse: (what: string) => never): void {
  let items: readonly Json[];
  try {
    items = JSON.parse(line) as readonly Json[];
  } catch {
    return refuse("not JSON of ip -j, which is one line");
  }
  const text = (value: unknown): string => (value === undefined || value === "all" ? "" : String(value));
  for (const item of items) {
    if (item["ifname"] !== undefined) {
      const link = linkOf(found, text(item["ifname"]));
      if (item["mtu"] !== undefined) link.mtu = Number(item["mtu"]);
      if (item["link_type"] === "ether") link.mac = text(item["address"]);
      for (const address of (item["addr_info"] as readonly Json[] | undefined) ?? []) {
        if (address["family"] === "inet") link.addresses.push(`${text(address["local"])}/${text(address["prefixlen"])}`);
      }
    } else if (item["priority"] !== undefined) {
      const length = (key: string): string => (item[`${key}len`] === undefined ? "" : `/${text(item[`${key}len`])}`);
      const from = text(item["src"]) === "" ? "all" : `${text(item["src"])}${length("src")}`;
      const to = item["dst"] === undefined ? "" : ` to ${text(item["dst"])}${length("dst")}`;
      const mark = item["fwmark"] === undefined ? "" : ` fwmark ${text(item["fwmark"])}${item["fwmask"] === undefined ? "" : `/${text(item["fwmask"])}`}`;
      const iif = item["iif"] === undefined ? "" : ` iif ${text(item["iif"])}`;
      found.rules.push(ruleOf(`${text(item["priority"])}: from ${from}${to}${mark}${iif} lookup ${text(item["table"])}`, refuse));
    } else if (item["state"] !== undefined) {
      if (item["lladdr"] !== undefined && !text(item["dst"]).includes(":")) {
        found.neighbours.push({ dev: text(item["dev"]), dst: text(item["dst"]), lladdr: text(item["lladdr"]) });
      }
    } else {
      const dst = text(item["dst"]);
      if (dst.includes(":") || item["nexthops"] !== undefined) continue;
      const type = text(item["type"]) === "" ? "unicast" : text(item["type"]);
      const words = Object.entries({
        via: item["gateway"], dev: item["dev"], src: item["prefsrc"], metric: item["metric"], table: item["table"], scope: item["scope"],
      }).flatMap(([key, value]) => (value === undefined ? [] : [key, String(value)]));
      if (isType(type)) found.routes.push(routeOf(type, dst, words));
    }
  }
}
