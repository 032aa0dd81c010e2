/**
 * Rules of iptables in nft's words, as libxtables' extensions translate them (the xlate functions of iptables 1.8.9): what
 * iptables-translate prints, and what nft prints of an expression that is an extension of xtables.
 */
import { parts, type Option, type Part } from "./listing.ts";
import { parseNumber } from "./text.ts";

/** What extensions look at of the rule around them. */
export interface TranslateContext {
  readonly family: "ip" | "ip6";
  /** The rule's protocol by name; "" for none or a negated one. */
  readonly protocol: string;
  /** Sets that have to be made before the rule: their text behind `add set FAMILY TABLE `. */
  readonly sets: string[];
}

/** Undefined: the extension cannot be put in nft's words. */
type Translate = (part: Part, context: TranslateContext) => string | undefined;

const get = (part: Part, ...names: readonly string[]): Option | undefined => part.options.find((option) => names.includes(option.name));
const arg = (part: Part, name: string): string => get(part, name)?.args[0] ?? "";
const has = (part: Part, name: string): boolean => get(part, name) !== undefined;
const not = (option: Option | undefined): string => (option?.not ? "!= " : "");
const join = (pieces: readonly (string | undefined)[]): string => pieces.filter((piece) => piece !== undefined && piece !== "").join(" ");
const range = (text: string): string => text.replace(":", "-");
const hex = (value: number): string => `0x${(value >>> 0).toString(16)}`;
const hex2 = (text: string): string => `0x${(parseNumber(text) ?? 0).toString(16).padStart(2, "0")}`;
const noTranslation: Translate = () => undefined;

// Matches

const ports = (header: string): Translate => (part) =>
  join(["sport", "dport"].map((name) => {
    const option = get(part, name);
    return option === undefined ? undefined : `${header} ${name} ${not(option)}${range(option.args[0]!)}`;
  }));

const flagNames = (text: string): string => (text === "NONE" ? "0x0" : text === "ALL" ? "fin,syn,rst,psh,ack,urg" : text.toLowerCase());
const tcp: Translate = (part, context) => {
  const flags = get(part, "tcp-flags");
  const option = get(part, "tcp-option");
  return join([
    ports("tcp")(part, context),
    option === undefined ? undefined : `tcp option ${option.args[0]} ${option.not ? "missing" : "exists"}`,
    flags === undefined ? undefined : `tcp flags ${not(flags)}${flagNames(flags.args[1]!)} / ${flagNames(flags.args[0]!)}`,
  ]);
};

const ICMP: Readonly<Record<string, string>> = {
  "0": "echo-reply", "3": "destination-unreachable", "4": "source-quench", "5": "redirect", "8": "echo-request", "9": "router-advertisement",
  "10": "router-solicitation", "11": "time-exceeded", "12": "parameter-problem", "13": "timestamp-request", "14": "timestamp-reply",
  "17": "address-mask-request", "18": "address-mask-reply",
};
const ICMP6: Readonly<Record<string, string>> = {
  "1": "destination-unreachable", "2": "packet-too-big", "3": "time-exceeded", "4": "parameter-problem", "128": "echo-request", "129": "echo-reply",
  "130": "mld-listener-query", "131": "mld-listener-report", "132": "mld-listener-done", "133": "nd-router-solicit", "134": "nd-router-advert",
  "135": "nd-neighbor-solicit", "136": "nd-neighbor-advert", "137": "nd-redirect",
};
const icmp: Translate = (part) => {
  const option = get(part, "icmp-type");
  if (option === undefined || option.args[0] === "any" || option.args[0] === "255") return "ip protocol icmp";
  const type = option.args[0]!;
  return type.includes("/") ? undefined : `icmp type ${not(option)}${ICMP[type] ?? type}`;
};
const icmp6: Translate = (part) => {
  const option = get(part, "icmpv6-type");
  const type = option?.args[0] ?? "";
  return type.includes("/") ? undefined : `icmpv6 type ${not(option)}${ICMP6[type] ?? type}`;
};

const CHUNKS: Readonly<Record<string, string>> = {
  DATA: "data", INIT: "init", INIT_ACK: "init-ack", SACK: "sack", HEARTBEAT: "heartbeat", HEARTBEAT_ACK: "heartbeat-ack", ABORT: "abort",
  SHUTDOWN: "shutdown", SHUTDOWN_ACK: "shutdown-ack", ERROR: "error", COOKIE_ECHO: "cookie-echo", COOKIE_ACK: "cookie-ack", ECN_ECNE: "ecne",
  ECN_CWR: "cwr", SHUTDOWN_COMPLETE: "shutdown-complete", ASCONF: "asconf", ASCONF_ACK: "asconf-ack", FORWARD_TSN: "forward-tsn",
};
const sctp: Translate = (part, context) => {
  const chunks = get(part, "chunk-types");
  let text = ports("sctp")(part, context)!;
  if (chunks === undefined) return text;
  const [how, list = ""] = chunks.args;
  // One chunk of several cannot be said; nor can the flags of one.
  if (list.includes(":") || (how !== "all" && list.includes(","))) return undefined;
  const exists = chunks.not ? "missing" : "exists";
  for (const name of list.split(",")) text = join([text, CHUNKS[name] === undefined ? "" : `sctp chunk ${CHUNKS[name]} ${exists}`]);
  return text;
};

const dccp: Translate = (part, context) => {
  const types = get(part, "dccp-types");
  if (has(part, "dccp-option")) return undefined;
  const text = ports("dccp")(part, context)!;
  if (types === undefined) return text;
  const list = types.args[0]!.toLowerCase().split(",");
  return join([text, `dccp type ${not(types)}${list.length > 1 ? `{${list.join(", ")}}` : list[0]}`]);
};

const spi = (header: string, name: string): Translate => (part) => {
  const option = get(part, name);
  return option === undefined ? "" : `${header} spi ${not(option)}${range(option.args[0]!)}`;
};

const STATES = ["INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED"];
const STATUSES = ["EXPECTED", "SEEN_REPLY", "ASSURED", "CONFIRMED"];
const inOrder = (text: string, order: readonly string[]): string => {
  const given = text.split(",");
  return order.filter((name) => given.includes(name)).map((name) => name.toLowerCase().replace("_", "-")).join(",");
};
const bang = (option: Option): string => (option.not ? "! " : "");
const conntrack: Translate = (part) => {
  const pieces: string[] = [];
  const direction = get(part, "ctdir");
  if (direction !== undefined) pieces.push(`ct direction ${direction.args[0]!.toLowerCase()}`);
  const protocol = get(part, "ctproto");
  if (protocol !== undefined) pieces.push(`ct original protocol ${not(protocol)}${protocol.args[0]}`);
  const state = get(part, "ctstate");
  if (state !== undefined) {
    const list = state.args[0]!.split(",");
    const nat = list.includes("SNAT") ? "snat" : list.includes("DNAT") ? "dnat" : undefined;
    pieces.push(nat === undefined ? `ct state ${bang(state)}${inOrder(state.args[0]!, STATES)}` : `ct status ${bang(state)}${nat}`);
  }
  const status = get(part, "ctstatus");
  if (status !== undefined) pieces.push(`ct status ${bang(status)}${inOrder(status.args[0]!, STATUSES)}`);
  const expire = get(part, "ctexpire");
  if (expire !== undefined) pieces.push(`ct expiration ${not(expire)}${range(expire.args[0]!)}`);
  for (const [name, text] of [
    ["ctorigsrc", "original saddr"], ["ctorigdst", "original daddr"], ["ctreplsrc", "reply saddr"], ["ctrepldst", "reply daddr"],
    ["ctorigsrcport", "original proto-src"], ["ctorigdstport", "original proto-dst"], ["ctreplsrcport", "reply proto-src"],
    ["ctrepldstport", "reply proto-dst"],
  ] as const) {
    const option = get(part, name);
    if (option !== undefined) pieces.push(`ct ${text} ${not(option)}${name.endsWith("port") ? range(option.args[0]!) : option.args[0]!.replace(/\/(32|128)$/, "")}`);
  }
  return pieces.join(" ");
};

const masked = (what: string, option: Option): string => {
  const [value = "", mask] = option.args[0]!.split("/");
  if (mask === undefined) return `${what} ${not(option)}${value}`;
  return `${what} and ${mask} ${option.not ? "!=" : "=="} ${value}`;
};

const multiport: Translate = (part, { protocol }) => {
  const option = part.options[0]!;
  const list = option.args[0]!.split(",").map(range);
  if (option.name === "ports") {
    return `${protocol} sport . ${protocol} dport ${not(option)}{ ${list.map((one) => `0-65535 . ${one}`).join(", ")}, ${list.map((one) => `${one} . 0-65535`).join(", ")} }`;
  }
  const many = list.length > 1 || list[0]!.includes("-");
  return `${protocol} ${option.name.slice(0, -1)} ${not(option)}${many && list.length > 1 ? `{ ${list.join(", ")} }` : list[0]}`;
};

const UNITS: Readonly<Record<string, string>> = { sec: "second", min: "minute", hour: "hour", day: "day" };
const rate = (text: string): string => {
  const [number = "", unit = ""] = text.split("/");
  return `${number}/${UNITS[unit] ?? unit}`;
};
const limit: Translate = (part) => `limit rate ${rate(arg(part, "limit"))} burst ${get(part, "limit-burst")?.args[0] ?? "5"} packets`;

const BYTE_UNITS: Readonly<Record<string, string>> = { "": "bytes", k: "kbytes", m: "mbytes" };
const byteAmount = (text: string): string => {
  const [, number = "", unit = ""] = /^([0-9]+)([km]?)b/.exec(text) ?? [];
  return `${number} ${BYTE_UNITS[unit]}`;
};
const netmask = (bits: number, family: "ip" | "ip6"): string => {
  if (family === "ip") return [0, 1, 2, 3].map((i) => (0xff00 >> Math.min(Math.max(bits - 8 * i, 0), 8)) & 255).join(".");
  return Array.from({ length: 8 }, (_, i) => ((0xffff0000 >>> Math.min(Math.max(bits - 16 * i, 0), 16)) & 0xffff).toString(16).padStart(4, "0")).join(":");
};
const hashlimit: Translate = (part, { family, protocol }) => {
  const above = get(part, "hashlimit-above");
  const text = above?.args[0] ?? arg(part, "hashlimit-upto");
  const modes = arg(part, "hashlimit-mode").split(",").filter((mode) => mode !== "");
  if (modes.length === 0) return undefined;
  const full = family === "ip" ? 32 : 128;
  const address = (name: string, option: string): string => {
    const bits = Number(get(part, option)?.args[0] ?? full);
    return `${family} ${name}${bits === full ? "" : ` and ${netmask(bits, family)}`}`;
  };
  const l4 = protocol === "" ? "tcp" : protocol;
  const keys = [
    modes.includes("dstport") ? `${l4} dport` : undefined,
    modes.includes("srcport") ? `${l4} sport` : undefined,
    modes.includes("dstip") ? address("daddr", "hashlimit-dstmask") : undefined,
    modes.includes("srcip") ? address("saddr", "hashlimit-srcmask") : undefined,
  ].filter((key) => key !== undefined);
  const bytes = text.includes("b/");
  const expire = get(part, "hashlimit-htable-expire")?.args[0];
  const unit = text.split("/")[1] ?? "";
  const seconds = expire !== undefined ? Math.floor(Number(expire) / 1000) : bytes ? 60 : ({ sec: 1, min: 60, hour: 3600, day: 86400 }[unit] ?? 1);
  const timeout = expire === undefined && seconds === 1 ? "" : ` timeout ${seconds}s`;
  const burst = get(part, "hashlimit-burst")?.args[0];
  const shown = bytes ? `${byteAmount(text)}/second` : rate(text);
  const burstText = burst === undefined || (!bytes && burst === "5") ? "" : bytes ? ` burst ${byteAmount(burst)}` : ` burst ${burst} packets`;
  return `meter ${arg(part, "hashlimit-name")} { ${keys.join(" . ")}${timeout} limit rate ${above === undefined ? "" : "over "}${shown}${burstText} }`;
};

const ADDRESS_TYPES = ["UNSPEC", "UNICAST", "LOCAL", "BROADCAST", "ANYCAST", "MULTICAST", "BLACKHOLE", "UNREACHABLE", "PROHIBIT", "THROW", "NAT", "XRESOLVE"];
const addrtype: Translate = (part) => {
  const source = get(part, "src-type");
  const destination = get(part, "dst-type");
  // The extension asks both options for the negation of the one it prints.
  const negated = source?.not === true || destination?.not === true;
  const list = (source ?? destination)!.args[0]!.split(",");
  const names = ADDRESS_TYPES.filter((name) => list.includes(name)).map((name) => name.toLowerCase());
  const limited = has(part, "limit-iface-in") ? ". iif " : has(part, "limit-iface-out") ? ". oif " : "";
  return `fib ${source === undefined ? "daddr" : "saddr"} ${limited}type ${negated ? "!= " : ""}${names.length > 1 ? `{ ${names.join(", ")} }` : names[0]}`;
};

const statistic: Translate = (part) => {
  if (arg(part, "mode") === "random") {
    const option = get(part, "probability")!;
    return `meta random & 2147483647 ${option.not ? ">=" : "<"} ${Math.round(Number(option.args[0]) * 2147483648)}`;
  }
  const option = get(part, "every")!;
  return `numgen inc mod ${option.args[0]} ${not(option)}${arg(part, "packet")}`;
};

const DAYS: Readonly<Record<string, number>> = { Sun: 0, Mon: 1, Tue: 2, Wed: 3, Thu: 4, Fri: 5, Sat: 6 };
const time: Translate = (part) => {
  let text = "";
  const stamp = (name: string): string => arg(part, name).replace("T", " ");
  const start = stamp("datestart");
  const stop = stamp("datestop") === "2038-01-19 03:14:07" ? "" : stamp("datestop");
  if (start !== "" || stop !== "") {
    text += start !== "" && stop !== "" ? `meta time "${start}"-"${stop}"` : start !== "" ? `meta time >= "${start}"` : `meta time <= "${stop}"`;
  }
  if (has(part, "timestart")) text += ` meta hour "${arg(part, "timestart")}"-"${arg(part, "timestop")}"`;
  if (has(part, "monthdays")) return undefined;
  const weekdays = get(part, "weekdays");
  if (weekdays !== undefined) {
    const days = weekdays.args[0]!.split(",").map((name) => DAYS[name]!);
    text += ` meta day ${not(weekdays)}${days.length > 1 ? `{ ${days.join(", ")} }` : days[0]}`;
  }
  return text;
};

const connbytes: Translate = (part) => {
  const option = get(part, "connbytes")!;
  const mode = arg(part, "connbytes-mode");
  const direction = arg(part, "connbytes-dir");
  const [from = "", to = ""] = option.args[0]!.split(":");
  const bounds = to === "" || from === to
    ? to === from ? `${not(option)}${from}` : `${option.not ? "lt" : "ge"} ${from}`
    : `${not(option)}${from}-${to}`;
  return `ct ${direction === "both" ? "" : `${direction} `}${mode} ${bounds}`;
};

const connlimit: Translate = (part, { family, sets }) => {
  const above = get(part, "connlimit-above");
  const bits = Number(arg(part, "connlimit-mask"));
  const name = `connlimit${sets.length}`;
  sets.push(`${name} { type ${family === "ip" ? "ipv4" : "ipv6"}_addr; flags dynamic; }`);
  const full = bits === (family === "ip" ? 32 : 128);
  const key = `${family} ${has(part, "connlimit-daddr") ? "daddr" : "saddr"}${full ? "" : ` and ${netmask(bits, family)}`}`;
  return `add @${name} { ${key} ct count ${above === undefined ? arg(part, "connlimit-upto") : `over ${above.args[0]}`} }`;
};

const owner: Translate = (part) => {
  if (has(part, "socket-exists") || has(part, "suppl-groups")) return undefined;
  return join(["uid", "gid"].map((what) => {
    const option = get(part, `${what}-owner`);
    return option === undefined ? undefined : `sk${what} ${not(option)}${option.args[0]}`;
  }));
};

const ECT = ["not-ect", "ect1", "ect0", "ce"];
const ecn: Translate = (part) => {
  const flag = (name: string, word: string): string | undefined => {
    const option = get(part, name);
    return option === undefined ? undefined : `tcp flags ${not(option)}${word}`;
  };
  const ect = get(part, "ecn-ip-ect");
  return join([flag("ecn-tcp-ece", "ecn"), flag("ecn-tcp-cwr", "cwr"), ect === undefined ? undefined : `ip ecn ${not(ect)}${ECT[Number(ect.args[0])]}`]);
};

const one = (name: string, what: string, value = (text: string): string => text): Translate => (part) => {
  const option = get(part, name);
  return option === undefined ? undefined : `${what} ${not(option)}${value(option.args[0] ?? "")}`;
};

const MATCHES: Readonly<Record<string, Translate>> = {
  tcp, udp: ports("udp"), udplite: ports("udplite"), sctp, dccp, icmp, icmp6, multiport, limit, hashlimit, addrtype, statistic, time, connbytes, connlimit,
  owner, ecn, conntrack,
  ah: spi("ah", "ahspi"),
  esp: spi("esp", "espspi"),
  state: (part) => `ct state ${bang(part.options[0]!)}${inOrder(arg(part, "state"), STATES)}`,
  mark: (part) => masked("mark", part.options[0]!),
  connmark: (part) => masked("ct mark", part.options[0]!),
  iprange: (part, { family }) => join(part.options.map((option) => `${family} ${option.name === "src-range" ? "saddr" : "daddr"} ${not(option)}${option.args[0]}`)),
  mac: one("mac-source", "ether saddr", (text) => text.toLowerCase()),
  length: one("length", "meta length", range),
  ttl: (part) => {
    const option = part.options[0]!;
    return `ip ttl ${option.name === "ttl-lt" ? "lt " : option.name === "ttl-gt" ? "gt " : not(option)}${option.args[0]}`;
  },
  hl: (part) => {
    const option = part.options[0]!;
    return `ip6 hoplimit ${option.name === "hl-lt" ? "lt " : option.name === "hl-gt" ? "gt " : not(option)}${option.args[0]}`;
  },
  dscp: (part, { family }) => one("dscp", `${family} dscp`, hex2)(part, { family, protocol: "", sets: [] }),
  pkttype: one("pkt-type", "pkttype"),
  quota: (part) => `quota ${get(part, "quota")!.not ? "over " : ""}${arg(part, "quota")} bytes`,
  helper: one("helper", "ct helper", (text) => `"${text}"`),
  cpu: one("cpu", "cpu"),
  devgroup: (part) => join(part.options.map((option) => masked(option.name === "src-group" ? "iifgroup" : "oifgroup", option))),
  policy: (part) => (part.options.length > 2 || arg(part, "dir") !== "in" ? undefined : `meta secpath ${arg(part, "pol") === "none" ? "missing" : "exists"}`),
  cgroup: one("cgroup", "meta cgroup"),
  realm: (part) => masked("rtclassid", part.options[0]!),
  tcpmss: one("mss", "tcp option maxseg size", range),
  connlabel: (part) => `ct label ${has(part, "set") ? "set " : ""}${not(get(part, "label"))}${arg(part, "label")}`,
  rpfilter: (part) =>
    `fib saddr ${has(part, "validmark") ? ". mark " : ""}${has(part, "loose") ? "" : ". iif "}oif ${has(part, "invert") ? "0" : "!= 0"}`,
  cluster: (part) => {
    const mask = get(part, "cluster-local-nodemask");
    const bits = Number(mask?.args[0] ?? 0);
    let node = 0;
    while (node < 32 && bits !== 1 << node) node++;
    const set = `{ ${Array.from({ length: 32 }, (_, i) => i).filter((i) => (bits >>> i) & 1).join(", ")} }`;
    return `jhash ct original saddr mod ${arg(part, "cluster-total-nodes")} seed 0x${Number(arg(part, "cluster-hash-seed")).toString(16).padStart(8, "0")} ` +
      `${node < 32 ? `${mask?.not ? "!= " : "eq "}${node + 1}` : `${mask?.not ? "!= " : ""}${set}`} meta pkttype set host`;
  },
  frag: (part) => join([
    get(part, "fragid") === undefined ? "" : `frag id ${not(get(part, "fragid"))}${range(arg(part, "fragid"))}`,
    has(part, "fragres") ? "frag reserved 1" : "", has(part, "fragfirst") ? "frag frag-off 0" : "", has(part, "fragmore") ? "frag more-fragments 1" : "",
    has(part, "fraglast") ? "frag more-fragments 0" : "",
  ]),
  rt: (part) => join([
    get(part, "rt-type") === undefined ? "" : `rt type ${not(get(part, "rt-type"))}${arg(part, "rt-type")}`,
    get(part, "rt-segsleft") === undefined ? "" : `rt seg-left ${not(get(part, "rt-segsleft"))}${range(arg(part, "rt-segsleft"))}`,
    get(part, "rt-len") === undefined ? "" : `rt hdrlength ${not(get(part, "rt-len"))}${arg(part, "rt-len")}`,
  ]),
};

// Targets

const natFlags = (part: Part, names: readonly (readonly [string, string])[]): string => {
  const list = names.filter(([name]) => has(part, name)).map(([, word]) => word);
  return list.length === 0 ? "" : ` ${list.join(",")}`;
};
const NAT_FLAGS = [["random", "random"], ["random-fully", "fully-random"], ["persistent", "persistent"]] as const;
const nat = (word: string): Translate => (part) => {
  const to = part.options.find(({ name }) => name.startsWith("to"))?.args[0] ?? "";
  return to.includes("/") ? undefined : `${word} to ${to}${natFlags(part, NAT_FLAGS)}`;
};

const REJECTS: Readonly<Record<string, string>> = {
  "icmp-net-unreachable": "net-unreachable", "icmp-host-unreachable": "host-unreachable", "icmp-proto-unreachable": "prot-unreachable",
  "icmp-net-prohibited": "net-prohibited", "icmp-host-prohibited": "host-prohibited", "icmp-admin-prohibited": "admin-prohibited",
  "icmp6-no-route": "no-route", "icmp6-adm-prohibited": "admin-prohibited", "icmp6-addr-unreachable": "addr-unreachable",
  "icmp6-policy-fail": "policy-fail", "icmp6-reject-route": "reject-route",
};
const reject: Translate = (part, { family }) => {
  const how = arg(part, "reject-with");
  if (how === "icmp-port-unreachable" || how === "icmp6-port-unreachable") return "reject";
  return how === "tcp-reset" ? "reject with tcp reset" : `reject with ${family === "ip" ? "icmp" : "icmpv6"} type ${REJECTS[how] ?? how}`;
};

const LEVELS = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"];
const log: Translate = (part) => {
  const level = Number(get(part, "log-level")?.args[0] ?? 4);
  const sequence = has(part, "log-tcp-sequence");
  const options = has(part, "log-tcp-options");
  return join([
    "log", has(part, "log-prefix") ? `prefix "${arg(part, "log-prefix")}"` : "", level === 4 ? "" : `level ${LEVELS[level]}`,
    sequence || options ? `flags tcp ${[sequence ? "sequence" : "", options ? "options" : ""].filter((word) => word !== "").join(",")}` : "",
    has(part, "log-ip-options") ? "flags ip options" : "", has(part, "log-uid") ? "flags skuid" : "", has(part, "log-macdecode") ? "flags ether" : "",
  ]);
};
const nflog: Translate = (part) => join([
  "log", has(part, "nflog-prefix") ? `prefix "${arg(part, "nflog-prefix")}"` : "",
  has(part, "nflog-size") ? `snaplen ${arg(part, "nflog-size")}` : "",
  has(part, "nflog-threshold") ? `queue-threshold ${arg(part, "nflog-threshold")}` : "", `group ${get(part, "nflog-group")?.args[0] ?? "0"}`,
]);

const ALL = 0xffffffff;
const mark: Translate = (part) => {
  const [value = 0, mask = 0] = arg(part, "set-xmark").split("/").map(Number);
  if (mask === ALL) return `meta mark set ${hex(value)}`;
  if (value === 0) return `meta mark set mark and ${hex(~mask)}`;
  if (value === mask) return `meta mark set mark or ${hex(value)}`;
  return mask === 0 ? `meta mark set mark xor ${hex(value)}` : `meta mark set mark and ${hex(~mask)} xor ${hex(value)}`;
};
const connmark: Translate = (part) => {
  if (has(part, "set-xmark")) {
    const [value = 0, mask = 0] = arg(part, "set-xmark").split("/").map(Number);
    if (mask === ALL) return `ct mark set ${hex(value)}`;
    if (value === 0) return `ct mark set ct mark and ${hex(~mask)}`;
    if (value === mask) return `ct mark set ct mark or ${hex(value)}`;
    return mask === 0 ? `ct mark set ct mark xor ${hex(value)}` : `ct mark set ct mark xor ${hex(value)} and ${hex(~mask)}`;
  }
  const nf = Number(arg(part, "nfmask"));
  const ct = Number(arg(part, "ctmask"));
  const and = nf === ALL && ct === ALL ? "" : nf === ct ? ` and ${hex(nf)}` : undefined;
  if (and === undefined) return undefined;
  return has(part, "save-mark") ? `ct mark set mark${and}` : `meta mark set ct mark${and}`;
};

const TARGETS: Readonly<Record<string, Translate>> = {
  REJECT: reject, LOG: log, NFLOG: nflog, MARK: mark, CONNMARK: connmark,
  DNAT: nat("dnat"), SNAT: nat("snat"),
  MASQUERADE: (part) => `masquerade${has(part, "to-ports") ? ` to :${arg(part, "to-ports")}` : ""}${natFlags(part, NAT_FLAGS)}`,
  REDIRECT: (part) => `redirect${has(part, "to-ports") ? ` to :${arg(part, "to-ports")}` : ""}${natFlags(part, NAT_FLAGS)}`,
  NFQUEUE: (part) => {
    const flags = [has(part, "queue-bypass") ? "bypass" : "", has(part, "queue-cpu-fanout") ? "fanout" : ""].filter((word) => word !== "");
    return join(["queue num", has(part, "queue-balance") ? range(arg(part, "queue-balance")) : arg(part, "queue-num"), flags.join(",")]);
  },
  AUDIT: () => "log level audit",
  // The extension writes the field of the other family.
  TOS: (part) => {
    const [value = 0, mask = 255] = arg(part, "set-tos").split("/").map(Number);
    return (mask & 0xfc) !== 0xfc && mask !== 0x3f ? undefined : `ip6 dscp set 0x${(value >> 2).toString(16).padStart(2, "0")}`;
  },
  DSCP: (part, { family }) => `${family} dscp set ${hex2(arg(part, "set-dscp"))}`,
  TCPMSS: (part) => `tcp option maxseg size set ${has(part, "set-mss") ? arg(part, "set-mss") : "rt mtu"}`,
  CLASSIFY: (part) => `meta priority set ${arg(part, "set-class").split(":").map((half) => parseInt(half, 16).toString(16)).join(":")}`,
  TEE: (part) => `dup to ${arg(part, "gateway")}${has(part, "oif") ? ` device ${arg(part, "oif")}` : ""}`,
  CT: (part) => (has(part, "notrack") ? "notrack" : undefined),
  NOTRACK: () => "notrack",
  TRACE: () => "nftrace set 1",
  SYNPROXY: (part) => join(["synproxy", has(part, "sack-perm") ? "sack-perm" : "", has(part, "timestamp") ? "timestamp" : "",
    has(part, "wscale") ? `wscale ${arg(part, "wscale")}` : "", has(part, "mss") ? `mss ${arg(part, "mss")}` : ""]),
};

const VERDICTS = ["ACCEPT", "DROP", "RETURN"];

/** A rule taken apart for nft: its own fields, matches and target, each in nft's words. */
export interface TranslatedRule {
  readonly own: { readonly input: Option | undefined; readonly output: Option | undefined; readonly protocol: Option | undefined;
    readonly source: Option | undefined; readonly destination: Option | undefined; readonly fragment: Option | undefined };
  readonly matches: readonly { readonly part: Part; readonly text: string | undefined }[];
  readonly comment: string | undefined;
  /** The verdict or the target's statement; "" for none, undefined if it cannot be said. */
  readonly target: string | undefined;
  readonly targetPart: Part | undefined;
  readonly sets: readonly string[];
}

/** `text` is a rule as iptables-save prints it behind `-A CHAIN`. */
export function takeApart(text: string, family: "ip" | "ip6", isChain: (name: string) => boolean): TranslatedRule {
  const { own, matches, target, goto } = parts(text);
  const find = (name: string): Option | undefined => own.find((option) => option.name === name);
  const protocol = find("p");
  const sets: string[] = [];
  const context: TranslateContext = { family, protocol: protocol === undefined || protocol.not ? "" : protocol.args[0]!, sets };
  let comment: string | undefined;
  const translated: { part: Part; text: string | undefined }[] = [];
  for (const part of matches) {
    if (part.name === "comment") {
      comment = arg(part, "comment");
      translated.push({ part, text: "" });
    } else translated.push({ part, text: (MATCHES[part.name] ?? noTranslation)(part, context) });
  }
  const said = target === undefined ? ""
    : goto || isChain(target.name) ? `${goto ? "goto" : "jump"} ${target.name}`
    : VERDICTS.includes(target.name) ? target.name.toLowerCase()
    : (Object.hasOwn(TARGETS, target.name) ? TARGETS[target.name]! : noTranslation)(target, context);
  return {
    own: { input: find("i"), output: find("o"), protocol, source: find("s"), destination: find("d"), fragment: find("f") },
    matches: translated, comment, target: said, targetPart: target, sets,
  };
}

export const interfaceText = (option: Option): string => {
  const name = option.args[0]!;
  return `${not(option)}"${name.endsWith("+") ? `${name.slice(0, -1)}*` : name}"`;
};

export function addressText(field: string, option: Option, family: "ip" | "ip6"): string {
  const [address = "", mask = ""] = option.args[0]!.split("/");
  const full = mask === "" || mask === (family === "ip" ? "32" : "128");
  if (/[.:]/.test(mask)) return `${family} ${field} & ${mask} ${option.not ? "!=" : "=="} ${address}`;
  return `${family} ${field} ${not(option)}${full ? address : `${address}/${mask}`}`;
}

/** The rule in nft's words, and the sets it needs; undefined if part of it cannot be said (xlate). */
export function translateRule(text: string, family: "ip" | "ip6", isChain: (name: string) => boolean): { readonly rule: string; readonly sets: readonly string[] } | undefined {
  const { own, matches, comment, target, sets } = takeApart(text, family, isChain);
  const pieces: string[] = [];
  if (own.input !== undefined) pieces.push(`iifname ${interfaceText(own.input)}`);
  if (own.output !== undefined) pieces.push(`oifname ${interfaceText(own.output)}`);
  if (own.fragment !== undefined) pieces.push(`ip frag-off & 0x1fff ${own.fragment.not ? "" : "!= "}0`);
  if (own.protocol !== undefined && !matches.some(({ part }) => sameProtocol(part.name, own.protocol!.args[0]!))) {
    pieces.push(`${family === "ip" ? "ip protocol" : "meta l4proto"} ${not(own.protocol)}${own.protocol.args[0]}`);
  }
  if (own.source !== undefined) pieces.push(addressText("saddr", own.source, family));
  if (own.destination !== undefined) pieces.push(addressText("daddr", own.destination, family));
  for (const match of matches) {
    if (match.text === undefined) return undefined;
    if (match.text !== "") pieces.push(match.text);
  }
  if (target === undefined) return undefined;
  pieces.push("counter");
  if (target !== "") pieces.push(target);
  if (comment !== undefined) pieces.push(`comment "${comment}"`);
  return { rule: pieces.join(" "), sets };
}

const sameProtocol = (match: string, protocol: string): boolean => match === protocol;
