/** `ip route` (ip/iproute.c). */
import { RTN_BLACKHOLE, RTN_BROADCAST, RTN_LOCAL, RTN_PROHIBIT, RTN_THROW, RTN_UNICAST, RTN_UNREACHABLE, RT_SCOPE_HOST, RT_SCOPE_LINK, RT_SCOPE_UNIVERSE,
  RTPROT_BOOT } from "../../../assembly/abi/net.ts";
import { EACCES, EHOSTUNREACH, EINVAL, ENETUNREACH } from "../../../assembly/abi/core.ts";
import type { RouteSpec } from "../../kernel/netns.ts";
import { addRoute, addressRecords, linkRecords, routeGet, routeRecords, type RouteRecord } from "../kernel.ts";
import type { Printer } from "../printer.ts";
import { abbreviates, garbage, invalid, ToolExit, unsigned, type Words } from "../tool.ts";
import { inPrefix } from "./address-show.ts";
import {
  address, answers, line, needLink, numberArgument, prefix, printer, PROTOCOLS, ROUTE_TYPES, SCOPES, TABLES, talk, type IpContext, type Prefix,
} from "./context.ts";
import { ROUTE } from "./usage.ts";

const MAIN = 254;
const LOCAL = 255;
const DEFAULT_TABLE = 253;

const usage = (): ToolExit => new ToolExit(255, ROUTE);

type Verb = "add" | "change" | "replace" | "append" | "delete";

export function ipRoute(context: IpContext, words: Words): void {
  const verb = words.word;
  if (verb === undefined) return show(context, words, false);
  words.skip();
  if (abbreviates(verb, "list") || abbreviates(verb, "show") || abbreviates(verb, "lst")) return show(context, words, false);
  if (abbreviates(verb, "get")) return get(context, words);
  for (const name of ["add", "change", "chg", "replace", "prepend", "append", "test", "delete"] as const) {
    if (!abbreviates(verb, name)) continue;
    if (name === "prepend" || name === "test") throw answers("Operation not supported");
    return modify(context, words, name === "chg" ? "change" : name);
  }
  if (abbreviates(verb, "flush")) return show(context, words, true);
  if (abbreviates(verb, "help")) throw usage();
  throw new ToolExit(255, `Command "${verb}" is unknown, try "ip route help".\n`);
}

const typeNumber = (word: string): number | undefined => {
  const found = (ROUTE_TYPES as readonly string[]).indexOf(word);
  return found > 0 ? found : undefined;
};

const KNOWN_TYPES: readonly number[] = [RTN_UNICAST, RTN_LOCAL, RTN_BROADCAST, RTN_BLACKHOLE, RTN_UNREACHABLE, RTN_PROHIBIT, RTN_THROW];
const DEAD_ENDS: readonly number[] = [RTN_BLACKHOLE, RTN_UNREACHABLE, RTN_PROHIBIT, RTN_THROW];
/** Attributes that this kernel's routes do not have. */
const REFUSED = ["tos", "dsfield", "hoplimit", "advmss", "rtt", "rttvar", "window", "cwnd", "initcwnd", "initrwnd", "features", "quickack", "congctl",
  "rto_min", "realms", "nhid", "pref", "encap", "expires", "ttl-propagate", "fastopen_no_cookie", "reordering", "ssthresh", "as"];

function modify(context: IpContext, words: Words, verb: Verb): void {
  const { netns } = context;
  let dst: Prefix | undefined;
  let type = RTN_UNICAST;
  let via: string | undefined;
  let dev: string | undefined;
  let src: string | undefined;
  let metric: number | undefined;
  let mtu: number | undefined;
  let table: number | undefined;
  let protocol: number | undefined;
  let scope: number | undefined;
  let onlink = false;
  let typed = false;
  for (; words.word !== undefined; words.skip()) {
    const word = words.word;
    if (word === "src") src = address(words.next(), context.family).address;
    else if (word === "via") {
      let text = words.next();
      let family = context.family ?? (dst?.bits === 0 ? undefined : dst?.family);
      if (text === "inet" || text === "inet6") {
        family = text;
        text = words.next();
      }
      const parsed = address(text, family);
      if (parsed.family === "inet6" && (context.family ?? dst?.family) !== "inet6") throw answers("Operation not supported");
      via = parsed.address;
    } else if (word === "metric" || word === "priority" || word === "preference") metric = numberArgument(words.next(), '"metric" value is invalid\n');
    else if (word === "scope") {
      const text = words.next();
      scope = SCOPES.number(text);
      if (scope === undefined) throw invalid('invalid "scope" value\n', text);
    } else if (word === "mtu") {
      let text = words.next();
      if (text === "lock") text = words.next();
      mtu = numberArgument(text, '"mtu" value is invalid\n');
    } else if (word === "onlink") onlink = true;
    else if (word === "nexthop") throw answers("Operation not supported");
    else if (abbreviates(word, "protocol")) {
      const text = words.next();
      protocol = PROTOCOLS.number(text);
      if (protocol === undefined) throw invalid('"protocol" value is invalid\n', text);
    } else if (abbreviates(word, "table")) {
      const text = words.next();
      table = TABLES.number(text);
      if (table === undefined) throw invalid('"table" value is invalid\n', text);
    } else if (word === "dev" || word === "oif") dev = words.next();
    else if (REFUSED.includes(word)) {
      words.next();
      throw answers("Operation not supported");
    } else {
      let text = word === "to" ? words.next() : word;
      const named = typeNumber(text);
      if (named !== undefined) {
        type = named;
        typed = true;
        text = words.next();
      }
      if (text === "help") throw usage();
      if (dst !== undefined) throw garbage("to", text);
      dst = prefix(text, context.family);
    }
  }
  if (dst === undefined) throw usage();
  if (dev !== undefined) needLink(netns, dev);
  if (dst.family === "inet6") throw noIpv6(dst, via, dev);
  if (!KNOWN_TYPES.includes(type)) throw answers("Operation not supported");
  if (!isNetwork(dst)) throw new ToolExit(2, "Error: Invalid prefix for given prefix length.\n");
  if (verb !== "delete") check(context, { type, via, dev, src });
  const same = (): boolean => routeRecords(netns, table ?? (type === RTN_LOCAL || type === RTN_BROADCAST ? LOCAL : MAIN))
    .some((record) => record.dst === dst.address && record.bits === dst.bits && record.metric === (metric ?? 0));
  if (verb === "delete") {
    return talk(() => netns.deleteRoute({
      dst: dst.bits === 0 ? "default" : `${dst.address}/${dst.bits}`, ...(typed ? { type: ROUTE_TYPES[type] as NonNullable<RouteSpec["type"]> } : {}),
      ...(via === undefined ? {} : { via }), ...(dev === undefined ? {} : { dev }), ...(src === undefined ? {} : { src }),
      ...(metric === undefined ? {} : { metric }), ...(table === undefined ? {} : { table }),
      ...(scope === RT_SCOPE_LINK ? { scope: "link" } : scope === RT_SCOPE_HOST ? { scope: "host" } : {}),
    }));
  }
  if (verb === "change" && !same()) throw answers("No such file or directory");
  const ifindex = dev === undefined ? undefined : needLink(netns, dev).ifindex;
  const mode = verb === "add" ? undefined : verb === "append" ? verb : "replace";
  talk(() => addRoute(netns, { dst: dst.address, bits: dst.bits, type, table, scope, ifindex, via, src, metric, mtu, protocol, onlink, mode }));
}

/** What a kernel without IPv6 routes says first about one. */
function noIpv6({ family }: Prefix, via: string | undefined, dev: string | undefined): ToolExit {
  if (family === "inet6" && via !== undefined && dev === undefined && /^fe[89ab]/.test(via)) return new ToolExit(2, "Error: Egress device not specified.\n");
  return answers("Operation not supported");
}

function isNetwork({ address: text, bits }: Prefix): boolean {
  const number = text.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
  return number % 2 ** (32 - bits) === 0;
}

/** What fib_create_info() and rtm_to_fib_config() refuse before they look for the next hop. */
function check({ netns }: IpContext, { type, via, dev, src }: { type: number; via: string | undefined; dev: string | undefined; src: string | undefined }): void {
  if (DEAD_ENDS.includes(type) && (via !== undefined || dev !== undefined)) {
    throw new ToolExit(2, "Error: Gateway, device and multipath can not be specified for this route type.\n");
  }
  if (via === undefined && dev === undefined && !DEAD_ENDS.includes(type)) throw answers("No such device");
  if (src === undefined) return;
  if (!addressRecords(netns).some((record) => record.address === src)) throw new ToolExit(2, "Error: Invalid prefsrc address.\n");
}

interface Filter {
  table: number | "all";
  dev?: number;
  protocol?: number;
  scope?: number;
  type?: number;
  via?: string;
  src?: string;
  root?: Prefix;
  match?: Prefix;
  exact?: Prefix;
}

function readFilter(context: IpContext, words: Words): Filter {
  const filter: Filter = { table: MAIN };
  for (; words.word !== undefined; words.skip()) {
    const word = words.word;
    if (abbreviates(word, "table")) {
      const text = words.next();
      const table = text === "all" ? 0 : text === "cache" ? undefined : TABLES.number(text);
      if (table === undefined) throw invalid("table id value is invalid\n", text);
      filter.table = table === 0 ? "all" : table;
    } else if (abbreviates(word, "protocol")) {
      const text = words.next();
      const protocol = text === "all" ? undefined : PROTOCOLS.number(text);
      if (protocol === undefined && text !== "all") throw invalid('invalid "protocol"\n', text);
      if (protocol !== undefined) filter.protocol = protocol;
    } else if (abbreviates(word, "scope")) {
      const text = words.next();
      const scope = SCOPES.number(text);
      if (scope === undefined && text !== "all") throw invalid('invalid "scope"\n', text);
      if (scope !== undefined) filter.scope = scope;
    } else if (abbreviates(word, "type")) {
      const text = words.next();
      const type = typeNumber(text) ?? unsigned(text, 255);
      if (type === undefined) throw invalid("node type value is invalid\n", text);
      filter.type = type;
    } else if (word === "dev" || word === "oif") filter.dev = needLink(context.netns, words.next()).ifindex;
    else if (word === "via") filter.via = prefix(words.next(), context.family).address;
    else if (word === "src") filter.src = prefix(words.next(), context.family).address;
    else if (word === "root" || word === "match" || word === "exact") filter[word] = prefix(words.next(), context.family);
    else {
      const text = word === "to" ? words.next() : word;
      if (text === "root" || text === "match" || text === "exact") filter[text] = prefix(words.next(), context.family);
      else if (text === "help") throw usage();
      else filter.exact = prefix(text, context.family);
    }
  }
  return filter;
}

const passes = (record: RouteRecord, filter: Filter): boolean =>
  (filter.dev === undefined || record.ifindex === filter.dev) &&
  (filter.protocol === undefined || record.protocol === filter.protocol) &&
  (filter.scope === undefined || record.scope === filter.scope) &&
  (filter.type === undefined || record.type === filter.type) &&
  (filter.via === undefined || record.via === filter.via) &&
  (filter.src === undefined || record.src === filter.src) &&
  (filter.root === undefined || (record.bits >= filter.root.bits && inPrefix(record.dst, filter.root))) &&
  (filter.match === undefined ||
    (record.bits <= filter.match.bits && inPrefix(filter.match.address, { ...filter.match, address: record.dst, bits: record.bits }))) &&
  (filter.exact === undefined || (record.bits === filter.exact.bits && inPrefix(record.dst, filter.exact)));

function show(context: IpContext, words: Words, flush: boolean): void {
  const { netns, streams } = context;
  if (flush && words.word === undefined) throw new ToolExit(255, '"ip route flush" requires arguments.\n');
  const filter = readFilter(context, words);
  const family = context.family === "inet6" ? "inet6" : context.family === undefined && filter.table === "all" ? undefined : "inet";
  const all = filter.table === "all" ? [...new Set(routeRecords(netns, 0).map(({ table }) => table))].flatMap((table) => routeRecords(netns, table))
    : routeRecords(netns, filter.table);
  // inet_dump_fib(): main, local and default are always there, others by their first route.
  if (!flush && typeof filter.table === "number" && all.length === 0 && ![MAIN, LOCAL, DEFAULT_TABLE].includes(filter.table) && family !== "inet6") {
    throw new ToolExit(2, "Error: ipv4: FIB table does not exist.\nDump terminated\n");
  }
  const found = all.filter((record) => (family === undefined || record.family === family) && passes(record, filter));
  if (flush) {
    for (const { dst, bits, table, metric, type } of found) {
      talk(() => netns.deleteRoute({ dst: bits === 0 ? "default" : `${dst}/${bits}`, table, metric, type: ROUTE_TYPES[type] as NonNullable<RouteSpec["type"]> }));
    }
    return;
  }
  const names = new Map(linkRecords(netns).map(({ ifindex, name }) => [ifindex, name]));
  const p = printer(context);
  p.array(undefined, () => {
    for (const record of found) p.object(undefined, () => printRoute(context, p, record, names, filter));
  });
  streams.stdout += p.take();
}

function printRoute(context: IpContext, p: Printer, route: RouteRecord, names: ReadonlyMap<number, string>, filter: Filter): void {
  const { details, numeric } = context;
  const type = numeric ? String(route.type) : (ROUTE_TYPES[route.type] ?? String(route.type));
  if (route.type !== RTN_UNICAST || details) p.any("type", type, `${type} `);
  const room = route.family === "inet6" ? 128 : 32;
  const dst = route.bits === 0 ? "default" : route.bits === room ? route.dst : `${route.dst}/${route.bits}`;
  p.any("dst", dst, `${dst} `);
  if (route.via !== undefined) p.any("gateway", route.via, `via ${route.via} `);
  const dev = names.get(route.ifindex);
  if (dev !== undefined && filter.dev === undefined) p.any("dev", dev, `dev ${dev} `);
  const table = TABLES.name(route.table, numeric);
  if (filter.table === "all" && (route.table !== MAIN || details)) p.any("table", table, `table ${table} `);
  const protocol = PROTOCOLS.name(route.protocol, numeric);
  if ((route.protocol !== RTPROT_BOOT || details) && filter.protocol === undefined) p.any("protocol", protocol, `proto ${protocol} `);
  const scope = SCOPES.name(route.scope, numeric);
  if ((route.scope !== RT_SCOPE_UNIVERSE || details) && filter.scope === undefined) p.any("scope", scope, `scope ${scope} `);
  if (route.src !== undefined) p.any("prefsrc", route.src, `src ${route.src} `);
  if (route.metric !== 0 || route.family === "inet6") p.any("metric", route.metric, `metric ${route.metric} `);
  p.array("flags", () => {
    if (route.onlink) p.any(undefined, "onlink", "onlink ");
  });
  if (route.mtu !== 0) {
    p.array("metrics", () => p.object(undefined, () => p.any("mtu", route.mtu, `mtu ${route.mtu} `)));
  }
  p.fp("\n");
}

const ERRNO_TEXT: Readonly<Record<number, string>> = {
  [EINVAL]: "Invalid argument", [EHOSTUNREACH]: "No route to host", [EACCES]: "Permission denied", [ENETUNREACH]: "Network is unreachable",
};

function get(context: IpContext, words: Words): void {
  const { netns, streams } = context;
  let dst: Prefix | undefined;
  const options: { source?: string; oif?: number; mark?: number } = {};
  for (; words.word !== undefined; words.skip()) {
    const word = words.word;
    if (word === "from") options.source = prefix(words.next(), context.family).address;
    else if (word === "oif" || word === "dev") options.oif = needLink(netns, words.next()).ifindex;
    else if (word === "mark") options.mark = numberArgument(words.next(), "invalid mark value");
    else if (word === "iif" || word === "tos" || word === "uid" || word === "ipproto" || word === "sport" || word === "dport" || word === "vrf") {
      words.next();
      throw answers("Operation not supported");
    } else {
      const text = word === "to" ? words.next() : word;
      if (text === "help") throw usage();
      dst = prefix(text, context.family);
    }
  }
  if (dst === undefined) throw new ToolExit(1, "need at least a destination address\n");
  if (dst.family === "inet6" && !addressRecords(netns).some(({ family }) => family === "inet6")) throw answers("Network is unreachable");
  const found = routeGet(netns, dst.address, options);
  if (typeof found === "number") throw answers(ERRNO_TEXT[-found] ?? "Network is unreachable");
  const failure = found.type === RTN_BLACKHOLE ? EINVAL : found.type === RTN_UNREACHABLE ? EHOSTUNREACH : found.type === RTN_PROHIBIT ? EACCES : 0;
  if (failure !== 0) throw answers(ERRNO_TEXT[failure]!);
  const links = linkRecords(netns);
  const local = found.type === RTN_LOCAL;
  const type = ROUTE_TYPES[found.type] ?? "unicast";
  const dev = local ? "lo" : (links.find(({ ifindex }) => ifindex === found.ifindex)?.name ?? "");
  const p = printer(context);
  p.array(undefined, () => p.object(undefined, () => {
    if (found.type !== RTN_UNICAST || context.details) p.any("type", type, `${type} `);
    p.any("dst", dst.address, `${dst.address} `);
    if (options.source !== undefined) p.any("from", options.source, `from ${options.source} `);
    if (found.via !== undefined && found.via !== dst.address) p.any("gateway", found.via, `via ${found.via} `);
    p.any("dev", dev, `dev ${dev} `);
    if (context.details) p.any("table", TABLES.name(found.table), `table ${TABLES.name(found.table)} `);
    if (found.src !== undefined && options.source === undefined) p.any("prefsrc", found.src, `src ${found.src} `);
    if (options.mark !== undefined && options.mark !== 0) p.any("mark", options.mark, `mark 0x${options.mark.toString(16)} `);
    p.array("flags", () => {});
    p.any("uid", 0, "uid 0 ");
    p.fp(`${line(context)}    cache `);
    p.array("cache", () => {
      if (local) p.any(undefined, "local", "<local> ");
    });
    p.fp("\n");
  }));
  streams.stdout += p.take();
}
