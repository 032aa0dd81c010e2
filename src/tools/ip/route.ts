/** `ip route` (ip/iproute.c). */
import { RTN_ANYCAST, RTN_BLACKHOLE, RTN_BROADCAST, RTN_LOCAL, RTN_PROHIBIT, RTN_THROW, RTN_UNICAST, RTN_UNREACHABLE, RT_SCOPE_UNIVERSE,
  RTPROT_BOOT } from "../../../assembly/abi/net.ts";
import { EACCES, EHOSTUNREACH, EINVAL, ENETUNREACH } from "../../../assembly/abi/core.ts";
import type { Netns } from "../../kernel/netns.ts";
import { addressRecords, linkRecords, type LinkRecord } from "../kernel.ts";
import {
  addRoute, deleteRoute, routeGet, routeRecords, type GetOptions, type NexthopRecord, type RouteChange, type RouteRecord,
} from "../kernel-routes.ts";
import type { Printer } from "../printer.ts";
import { abbreviates, garbage, invalid, ToolExit, unsigned, type Words } from "../tool.ts";
import { bitsOf, hasCarrier, inPrefix } from "./address-show.ts";
import {
  address, answers, line, needLink, numberArgument, prefix, printer, PROTOCOLS, ROUTE_TYPES, SCOPES, TABLES, talk, type Family, type IpContext, type Prefix,
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

const KNOWN_TYPES: readonly number[] = [RTN_UNICAST, RTN_ANYCAST, RTN_LOCAL, RTN_BROADCAST, RTN_BLACKHOLE, RTN_UNREACHABLE, RTN_PROHIBIT, RTN_THROW];
const DEAD_ENDS: readonly number[] = [RTN_BLACKHOLE, RTN_UNREACHABLE, RTN_PROHIBIT, RTN_THROW];
/** Attributes that this kernel's routes do not have. */
const REFUSED = ["tos", "dsfield", "features", "congctl", "rto_min", "realms", "nhid", "encap", "ttl-propagate", "fastopen_no_cookie", "as"];

/** Numbers about a route that this kernel has no use for but to list (RTAX_*): what they tune it does not do. */
const METRICS = ["advmss", "window", "rtt", "rttvar", "ssthresh", "cwnd", "initcwnd", "initrwnd", "reordering", "hoplimit", "quickack"];
const TIMES = ["rtt", "rttvar", "rto_min"];

/** What stands between `nexthop`s (parse_one_nh()). */
function readNexthops(context: IpContext, words: Words, family: Family): NexthopRecord[] {
  const hops: NexthopRecord[] = [];
  while (words.word !== undefined) {
    if (words.word !== "nexthop") throw new ToolExit(255, `Error: "nexthop" or end of line is expected instead of "${words.word}"\n`);
    if (words.peek() === undefined) throw new ToolExit(255, 'Error: unexpected end of line after "nexthop"\n');
    let via: string | undefined;
    let ifindex = 0;
    let weight = 1;
    let onlink = false;
    for (words.skip(); words.word !== undefined && words.word !== "nexthop"; words.skip()) {
      const word = words.word;
      if (word === "via") via = gatewayOf(words, family).address;
      else if (word === "dev") ifindex = needLink(context.netns, words.next()).ifindex;
      else if (word === "weight") {
        const text = words.next();
        const value = unsigned(text);
        if (value === undefined || value === 0 || value > 256) throw invalid('"weight" is invalid\n', text);
        weight = value;
      } else if (word === "onlink") onlink = true;
      else if (word === "realms" || word === "encap" || word === "as") {
        words.next();
        throw answers("Operation not supported");
      } else throw new ToolExit(255, `Error: "nexthop" or end of line is expected instead of "${word}"\n`);
    }
    hops.push({ via, ifindex, weight, onlink });
  }
  return hops;
}

/** `via [FAMILY] ADDRESS` */
function gatewayOf(words: Words, family: Family): { family: "inet" | "inet6"; address: string } {
  const text = words.next();
  if (text === "inet" || text === "inet6") return address(words.next(), text);
  return address(text, family);
}

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
  let nexthops: NexthopRecord[] | undefined;
  const metrics = new Map<string, number>();
  let pref = 0;
  let expires = 0;
  let onlink = false;
  let typed = false;
  for (; words.word !== undefined; words.skip()) {
    const word = words.word;
    const family: Family = context.family ?? (dst === undefined || (dst.bits === 0 && dst.family === "inet") ? undefined : dst.family);
    if (word === "pref") {
      const text = words.next();
      const found = ["medium", "high", "", "low"].indexOf(text);
      if (found < 0) throw invalid("\"pref\" value is invalid\n", text);
      pref = found;
    } else if (word === "expires") expires = numberArgument(words.next(), '"expires" value is invalid\n');
    else if (word === "src") src = address(words.next(), family).address;
    else if (word === "via") {
      const gateway = gatewayOf(words, family);
      if (gateway.family === "inet6" && (context.family ?? dst?.family) !== "inet6" && dst?.bits !== 0) throw answers("Operation not supported");
      via = gateway.address;
      if (gateway.family === "inet6" && dst !== undefined && dst.bits === 0 && context.family === undefined) dst = { ...dst, family: "inet6", address: "::" };
    } else if (word === "metric" || word === "priority" || word === "preference") metric = numberArgument(words.next(), '"metric" value is invalid\n');
    else if (word === "scope") {
      const text = words.next();
      scope = SCOPES.number(text);
      if (scope === undefined) throw invalid('invalid "scope" value\n', text);
    } else if (word === "mtu") {
      let text = words.next();
      if (text === "lock") text = words.next();
      mtu = numberArgument(text, '"mtu" value is invalid\n');
    } else if (METRICS.includes(word)) {
      let text = words.next();
      if (text === "lock") text = words.next();
      if (word === "hoplimit") throw answers("Operation not supported");
      const unit = !TIMES.includes(word) ? 1 : text.endsWith("ms") ? 1 : text.endsWith("s") ? 1000 : 1;
      const digits = TIMES.includes(word) ? text.replace(/m?s$/, "") : text;
      metrics.set(word, numberArgument(digits, word === "advmss" ? '"mss" value is invalid\n' : `"${word}" value is invalid\n`) * unit);
    } else if (word === "onlink") onlink = true;
    else if (word === "nexthop") {
      nexthops = readNexthops(context, words, family);
      break;
    } else if (abbreviates(word, "protocol")) {
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
  const { address: target, bits } = dst;
  const ifindex = dev === undefined ? undefined : needLink(netns, dev).ifindex;
  const v6 = dst.family === "inet6";
  if (v6 && via !== undefined && dev === undefined && /^fe[89ab]/.test(via)) throw new ToolExit(2, "Error: Egress device not specified.\n");
  if (!KNOWN_TYPES.includes(type)) throw answers("Operation not supported");
  if (!isNetwork(dst)) throw new ToolExit(2, "Error: Invalid prefix for given prefix length.\n");
  if (verb !== "delete" && nexthops === undefined && !v6) check(context, { type, via, dev, src });
  const where = table ?? (type === RTN_LOCAL || type === RTN_BROADCAST ? LOCAL : MAIN);
  const change: RouteChange = { dst: target, bits, type, table, scope, ifindex, via, src, metric, mtu, protocol, onlink, pref, expires, ...(nexthops === undefined ? {} : { nexthops }) };
  const key = metricsKey(where, dst, metric ?? 0);
  if (verb === "delete") {
    if (nexthops !== undefined && nexthops.length > 0) {
      const same = (a: readonly NexthopRecord[]): boolean => a.length === nexthops!.length && a.every((hop, i) => hop.via === nexthops![i]!.via);
      const found = routeRecords(netns, where).some((record) => record.dst === target && record.bits === bits && same(record.nexthops));
      if (!found) throw answers("No such process");
    }
    talk(() => deleteRoute(netns, { ...change, nexthops: [], type: typed ? type : 0 }));
    metricsOf(netns).delete(key);
    return;
  }
  const there = routeRecords(netns, where).some((record) => record.dst === target && record.bits === bits && record.metric === (metric ?? (v6 ? 1024 : 0)));
  if (verb === "change" && !there) throw answers("No such file or directory");
  const mode = verb === "add" ? undefined : verb === "append" ? verb : "replace";
  talk(() => addRoute(netns, { ...change, mode }));
  if (metrics.size > 0) metricsOf(netns).set(key, metrics);
  else metricsOf(netns).delete(key);
}

const remembered = new WeakMap<Netns, Map<string, ReadonlyMap<string, number>>>();
/** The metrics of routes that the kernel does not keep, by table, prefix and priority. */
function metricsOf(netns: Netns): Map<string, ReadonlyMap<string, number>> {
  let table = remembered.get(netns);
  if (table === undefined) remembered.set(netns, (table = new Map()));
  return table;
}
/** The metrics of a route that are only remembered. */
export const rememberedMetrics = (netns: Netns, route: RouteRecord): ReadonlyMap<string, number> | undefined =>
  metricsOf(netns).get(metricsKey(route.table, { address: route.dst, bits: route.bits }, route.metric));
const metricsKey = (table: number, { address: text, bits }: Pick<Prefix, "address" | "bits">, metric: number): string => `${table} ${text}/${bits} ${metric}`;

function isNetwork({ address: text, bits }: Prefix): boolean {
  return !bitsOf(text).slice(bits).includes("1");
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
  metric?: number;
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
    } else if (word === "metric" || word === "priority" || word === "preference") filter.metric = numberArgument(words.next(), '"metric" value is invalid\n');
    else if (word === "dev" || word === "oif") filter.dev = needLink(context.netns, words.next()).ifindex;
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
  // Of several next hops none is the route's device.
  (filter.dev === undefined || (record.ifindex === filter.dev && record.nexthops.length < 2)) &&
  (filter.protocol === undefined || record.protocol === filter.protocol) &&
  (filter.scope === undefined || record.scope === filter.scope) &&
  (filter.type === undefined || record.type === filter.type) &&
  (filter.metric === undefined || record.metric === filter.metric) &&
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
  const all = routeRecords(netns, filter.table === "all" ? 0 : filter.table);
  // inet_dump_fib(): main, local and default are always there, others by their first route.
  if (!flush && typeof filter.table === "number" && all.length === 0 && ![MAIN, LOCAL, DEFAULT_TABLE].includes(filter.table) && family !== "inet6") {
    throw new ToolExit(2, "Error: ipv4: FIB table does not exist.\nDump terminated\n");
  }
  const found = all.filter((record) => (family === undefined || record.family === family) && passes(record, filter));
  if (flush) {
    for (const { dst, bits, table, metric, type } of found) talk(() => deleteRoute(netns, { dst, bits, table, metric, type }));
    return;
  }
  const links = linkRecords(netns);
  const names = new Map(links.map((link) => [link.ifindex, link]));
  const p = printer(context);
  p.array(undefined, () => {
    for (const record of found) p.object(undefined, () => printRoute(context, p, record, names, filter));
  });
  streams.stdout += p.take();
}

/** RTNH_F_LINKDOWN: the device is up and has no carrier. */
const isDown = (context: IpContext, link: LinkRecord | undefined): boolean => link !== undefined && link.up && !hasCarrier(context.host, link);

function printRoute(context: IpContext, p: Printer, route: RouteRecord, names: ReadonlyMap<number, LinkRecord>, filter: Filter): void {
  const { details, numeric } = context;
  const several = route.nexthops.length > 1;
  const link = several ? undefined : names.get(route.ifindex);
  const type = numeric ? String(route.type) : (ROUTE_TYPES[route.type] ?? String(route.type));
  if (route.type !== RTN_UNICAST || details) p.any("type", type, `${type} `);
  const room = route.family === "inet6" ? 128 : 32;
  const dst = route.bits === 0 ? "default" : route.bits === room ? route.dst : `${route.dst}/${route.bits}`;
  p.any("dst", dst, `${dst} `);
  if (route.via !== undefined && !several && filter.via === undefined) p.any("gateway", route.via, `via ${route.via} `);
  const dev = link?.name;
  if (dev !== undefined && filter.dev === undefined) p.any("dev", dev, `dev ${dev} `);
  const table = TABLES.name(route.table, numeric);
  if (filter.table === "all" && (route.table !== MAIN || details)) p.any("table", table, `table ${table} `);
  const protocol = PROTOCOLS.name(route.protocol, numeric);
  if ((route.protocol !== RTPROT_BOOT || details) && filter.protocol === undefined) p.any("protocol", protocol, `proto ${protocol} `);
  const scope = SCOPES.name(route.scope, numeric);
  if ((route.scope !== RT_SCOPE_UNIVERSE || details) && route.family === "inet" && filter.scope === undefined) p.any("scope", scope, `scope ${scope} `);
  if (route.src !== undefined && filter.src === undefined) p.any("prefsrc", route.src, `src ${route.src} `);
  if ((route.metric !== 0 || route.family === "inet6") && filter.metric === undefined) p.any("metric", route.metric, `metric ${route.metric} `);
  p.array("flags", () => {
    if (route.onlink && !several) p.any(undefined, "onlink", "onlink ");
    if (isDown(context, link)) p.any(undefined, "linkdown", "linkdown ");
  });
  const metrics = rememberedMetrics(context.netns, route);
  if (route.mtu !== 0 || metrics !== undefined) {
    p.array("metrics", () => p.object(undefined, () => {
      if (route.mtu !== 0) p.any("mtu", route.mtu, `mtu ${route.mtu} `);
      for (const name of METRIC_ORDER) {
        const value = metrics?.get(name);
        if (value === undefined) continue;
        p.any(name, value, `${name} ${metricText(name, value)} `);
      }
    }));
  }
  if (route.expires !== 0) p.any("expires", route.expires, `expires ${route.expires}sec `);
  if (several) {
    p.array("nexthops", () => {
      for (const hop of route.nexthops) p.object(undefined, () => printNexthop(context, p, hop, names));
    });
  }
  if (route.family === "inet6") p.any("pref", PREFERENCES[route.pref] ?? "medium", `pref ${PREFERENCES[route.pref] ?? "medium"}`);
  p.fp("\n");
}

/** ICMPV6_ROUTER_PREF_* */
const PREFERENCES = ["medium", "high", "medium", "low"];

/** By number of the attribute (RTAX_*). */
const METRIC_ORDER = ["window", "rtt", "rttvar", "ssthresh", "cwnd", "advmss", "reordering", "hoplimit", "initcwnd", "quickack", "initrwnd"];

function printNexthop(context: IpContext, p: Printer, { via, ifindex, weight, onlink }: NexthopRecord, names: ReadonlyMap<number, LinkRecord>): void {
  const link = names.get(ifindex);
  p.fp(`${line(context)}\tnexthop `);
  if (via !== undefined) p.any("gateway", via, `via ${via} `);
  if (link !== undefined) p.any("dev", link.name, `dev ${link.name} `);
  p.any("weight", weight, `weight ${weight} `);
  p.array("flags", () => {
    if (onlink) p.any(undefined, "onlink", "onlink ");
    if (isDown(context, link)) p.any(undefined, "linkdown", "linkdown ");
  });
}

const ERRNO_TEXT: Readonly<Record<number, string>> = {
  [EINVAL]: "Invalid argument", [EHOSTUNREACH]: "No route to host", [EACCES]: "Permission denied", [ENETUNREACH]: "Network is unreachable",
};

const UNREACHED: Readonly<Record<number, number>> = { [RTN_BLACKHOLE]: EINVAL, [RTN_UNREACHABLE]: EHOSTUNREACH, [RTN_PROHIBIT]: EACCES };

function get(context: IpContext, words: Words): void {
  const { netns, streams } = context;
  let dst: Prefix | undefined;
  const options: { -readonly [K in keyof GetOptions]: GetOptions[K] } = {};
  for (; words.word !== undefined; words.skip()) {
    const word = words.word;
    if (word === "from") options.source = prefix(words.next(), context.family).address;
    else if (word === "oif" || word === "dev") options.oif = needLink(netns, words.next()).ifindex;
    else if (word === "iif") options.iif = needLink(netns, words.next()).ifindex;
    else if (word === "mark") options.mark = numberArgument(words.next(), "invalid mark");
    else if (word === "tos" || word === "dsfield") {
      const text = words.next();
      if (!/^(?:0[xX])?[0-9a-fA-F]{1,2}$/.test(text)) throw invalid("TOS value is invalid\n", text);
      options.tos = Number.parseInt(text.replace(/^0[xX]/, ""), 16);
    } else if (word === "sport" || word === "dport") {
      const text = words.next();
      const port = unsigned(text, 65535);
      if (port === undefined) throw invalid(`invalid ${word}\n`, text);
      options[word] = port;
    } else if (word === "ipproto") {
      const text = words.next();
      const protocol = GET_PROTOCOLS[text] ?? unsigned(text, 255);
      if (protocol === undefined) throw invalid('Invalid "ipproto" value\n', text);
      options.ipproto = protocol;
    } else if (word === "uid") numberArgument(words.next(), "invalid UID");
    else if (word === "vrf") {
      words.next();
      throw answers("Operation not supported");
    } else if (word === "connected" || word === "notify" || word === "fibmatch") {
      if (word === "fibmatch") throw answers("Operation not supported");
    } else {
      const text = word === "to" ? words.next() : word;
      if (text === "help") throw usage();
      dst = prefix(text, context.family ?? dst?.family);
    }
  }
  if (dst === undefined) throw new ToolExit(1, "need at least a destination address\n");
  if (dst.family === "inet6" && !addressRecords(netns).some(({ family }) => family === "inet6")) throw answers("Network is unreachable");
  const { address: target } = dst;
  const v6 = dst.family === "inet6";
  const found = routeGet(netns, target, options);
  // A source that is not this host's (ip_route_output_key_hash_rcu()).
  const foreign = options.source !== undefined && options.iif === undefined && !addressRecords(netns).some((record) => record.address === options.source);
  if (typeof found === "number" && foreign) throw answers("Network is unreachable");
  if (typeof found === "number") throw answers(ERRNO_TEXT[-found] ?? "Network is unreachable");
  const failure = UNREACHED[found.type];
  if (failure !== undefined) throw answers(ERRNO_TEXT[failure]!);
  const links = linkRecords(netns);
  const local = found.type === RTN_LOCAL;
  const type = ROUTE_TYPES[found.type] ?? "unicast";
  const named = (index: number): string => links.find(({ ifindex }) => ifindex === index)?.name ?? "";
  const dev = local ? "lo" : named(found.ifindex);
  const p = printer(context);
  p.array(undefined, () => p.object(undefined, () => {
    if (found.type !== RTN_UNICAST || context.details) p.any("type", type, `${type} `);
    p.any("dst", target, `${target} `);
    const from = options.source ?? (v6 ? "::" : undefined);
    if (from !== undefined) p.any("from", from, `from ${from} `);
    if (found.via !== undefined && found.via !== target) p.any("gateway", found.via, `via ${found.via} `);
    p.any("dev", dev, `dev ${dev} `);
    if (context.details && !v6) p.any("table", TABLES.name(local ? LOCAL : MAIN), `table ${TABLES.name(local ? LOCAL : MAIN)} `);
    if (v6 && found.protocol !== RTPROT_BOOT && found.protocol !== 0) p.any("protocol", PROTOCOLS.name(found.protocol), `proto ${PROTOCOLS.name(found.protocol)} `);
    if (found.src !== undefined && options.source === undefined) p.any("prefsrc", found.src, `src ${found.src} `);
    if (v6) p.any("metric", found.metric, `metric ${found.metric} `);
    if (options.mark !== undefined && options.mark !== 0) {
      const mark = options.mark >= 16 ? `0x${options.mark.toString(16)}` : String(options.mark);
      p.any("mark", options.mark >= 16 ? mark : options.mark, `mark ${mark} `);
    }
    p.array("flags", () => {});
    if (v6) {
      const preference = PREFERENCES[found.pref] ?? "medium";
      p.any("pref", preference, `pref ${preference}`);
      p.fp("\n");
      return;
    }
    if (options.iif === undefined) p.any("uid", 0, "uid 0 ");
    p.fp(`${line(context)}    cache `);
    p.array("cache", () => {
      const flags = [...(local || found.type === RTN_BROADCAST ? ["local"] : []), ...(found.type === RTN_BROADCAST ? ["brd"] : []), ...(found.redirect ? ["redirect"] : [])];
      flags.forEach((flag, i) => p.any(undefined, flag, `${i === 0 ? "<" : ","}${flag}${i === flags.length - 1 ? "> " : ""}`));
    });
    const metrics = routeMetrics(netns, target);
    if (found.mtu !== 0 && metrics?.mtu !== undefined && metrics.mtu !== 0) p.fp(`mtu ${metrics.mtu} `);
    for (const [name, text] of metrics?.more ?? []) p.fp(`${name} ${text} `);
    if (options.iif !== undefined) p.any("iif", named(options.iif), `iif ${named(options.iif)} `);
    p.fp("\n");
  }));
  streams.stdout += p.take();
}

/** What the route to a destination says about its path. */
function routeMetrics(netns: Netns, target: string): { readonly mtu: number; readonly more: readonly (readonly [string, string])[] } | undefined {
  const best = routeRecords(netns, MAIN).filter((record) => record.family === "inet" && inPrefix(target, { family: "inet", address: record.dst, bits: record.bits, explicit: true }))
    .sort((a, b) => b.bits - a.bits || a.metric - b.metric)[0];
  if (best === undefined) return undefined;
  const metrics = metricsOf(netns).get(metricsKey(best.table, { address: best.dst, bits: best.bits }, best.metric));
  return { mtu: best.mtu, more: METRIC_ORDER.flatMap((name) => (metrics?.has(name) === true ? [[name, metricText(name, metrics.get(name)!)] as const] : [])) };
}

const metricText = (name: string, value: number): string => (!TIMES.includes(name) ? String(value) : value >= 1000 ? `${value / 1000}s` : `${value}ms`);

const GET_PROTOCOLS: Readonly<Record<string, number>> = { tcp: 6, udp: 17, icmp: 1, ipv6_icmp: 58, "ipv6-icmp": 58, sctp: 132 };
