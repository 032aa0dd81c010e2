/**
 * `iptables -L` as iptables 1.8.9 prints it (iptables/iptables.c print_firewall, xshared.c, and the print functions of the
 * extensions), from the canonical text of rules.
 */
import { IPV6_PRINTS } from "./listing6.ts";
import { parseNumber, portName, protocolName, words } from "./text.ts";

/** How `-L` was asked: -n, -v, -x, --line-numbers. */
export interface ListFormat {
  readonly tool: string;
  readonly numeric: boolean;
  readonly verbose: boolean;
  readonly exact: boolean;
  readonly lineNumbers: boolean;
}

/** A chain as it is listed. */
export interface ListedChain {
  readonly name: string;
  /** Undefined for a user chain. */
  readonly policy: string | undefined;
  readonly references: number;
  readonly counter: readonly [bigint, bigint];
  /** Text of each rule as iptables-save prints it behind `-A CHAIN`, and its counter. */
  readonly rules: readonly { readonly text: string; readonly counter: readonly [bigint, bigint]; readonly anyInterface: number }[];
}

/** xtables_print_num: {@link ListFormat.exact} numbers have eight and ten places, others five and a unit. */
function count(value: bigint, exact: boolean, places: number): string {
  if (exact) return `${String(value).padStart(places)} `;
  if (value <= 99999n) return `${String(value).padStart(5)} `;
  let n = (value + 500n) / 1000n;
  for (const unit of "KMG") {
    if (n <= 9999n) return `${String(n).padStart(4)}${unit} `;
    n = (n + 500n) / 1000n;
  }
  return `${String(n).padStart(4)}T `;
}

/** All chains, an empty line between them; `only`: this rule of the one chain, without a heading. */
export function listing(chains: readonly ListedChain[], format: ListFormat, only?: number): string {
  if (only !== undefined) {
    const rule = chains[0]?.rules[only - 1];
    return rule === undefined ? "" : line(rule, format, only);
  }
  return chains
    .map((chain) => {
      const counts = ` ${chain.counter[0]} packets, ${chain.counter[1]} bytes`;
      const what = chain.policy === undefined ? `${chain.references} references` : `policy ${chain.policy}${format.verbose ? counts : ""}`;
      let text = `Chain ${chain.name} (${what})\n`;
      if (format.lineNumbers) text += "num  ";
      if (format.verbose) text += format.exact ? "    pkts      bytes " : " pkts bytes ";
      text += `${"target".padEnd(9)}  prot opt${format.verbose ? " in     out    " : ""} ${"source".padEnd(19)}  ${"destination".padEnd(19)} \n`;
      chain.rules.forEach((rule, i) => {
        text += line(rule, format, i + 1);
      });
      return text;
    })
    .join("\n");
}

/** An option of a rule's text. */
export interface Option {
  readonly name: string;
  readonly not: boolean;
  readonly args: readonly string[];
}
export interface Part {
  readonly name: string;
  readonly options: Option[];
}

/** The words of a rule by what they belong to; the first part is the rule's own. */
export function parts(text: string): { own: Option[]; matches: Part[]; target: Part | undefined; goto: boolean } {
  const list = words(`${text}\n`);
  const own: Option[] = [];
  const matches: Part[] = [];
  let target: Part | undefined;
  let goto = false;
  let current = own;
  let not = false;
  for (let i = 0; i < list.length; i++) {
    const word = list[i]!;
    if (word === "!") {
      not = true;
      continue;
    }
    if (word === "-m") {
      const part: Part = { name: list[++i]!, options: [] };
      matches.push(part);
      current = part.options;
    } else if (word === "-j" || word === "-g") {
      target = { name: list[++i]!, options: [] };
      goto = word === "-g";
      current = target.options;
    } else if (word.startsWith("-") && word.length > 1 && (word.startsWith("--") || current === own)) {
      current.push({ name: word.replace(/^--?/, ""), not, args: [] });
    } else (current.at(-1)!.args as string[]).push(word);
    not = false;
  }
  return { own, matches, target, goto };
}

const NETWORKS: Readonly<Record<string, string>> = { "127.0.0.0/8": "loopback/8", "127.0.0.1": "localhost", "::1": "localhost" };

function line(rule: ListedChain["rules"][number], format: ListFormat, number: number): string {
  const { own, matches, target, goto } = parts(rule.text);
  const find = (name: string): Option | undefined => own.find((option) => option.name === name);
  let text = format.lineNumbers ? `${String(number).padEnd(4)} ` : "";
  if (format.verbose) text += count(rule.counter[0], format.exact, 8) + count(rule.counter[1], format.exact, 8);
  const shown = target?.name === "NOTRACK" ? "CT" : (target?.name ?? "");
  text += `${shown.padEnd(9)} `;
  const protocol = find("p");
  const protocolNumber = protocol === undefined ? 0 : numberOfProtocol(protocol.args[0]!);
  text += `${protocol?.not ? "!" : " "}${(format.numeric ? String(protocolNumber) : protocolNumber === 0 ? "all" : protocolName(protocolNumber)).padEnd(4)} `;
  const fragment = find("f");
  text += fragment === undefined ? "-- " : fragment.not ? "!f " : "-f ";
  if (format.verbose) {
    const face = (name: string, any: number): string => {
      const option = find(name);
      if (option === undefined) return (rule.anyInterface & any ? "+" : format.numeric ? "*" : "any").padEnd(6);
      return `${option.not ? "!" : ""}${option.args[0]}`.padEnd(6);
    };
    text += ` ${face("i", 1)} ${face("o", 2)} `;
  }
  for (const name of ["s", "d"]) {
    const option = find(name);
    const v6 = format.tool === "ip6tables";
    const any = v6 ? "::/0" : "0.0.0.0/0";
    let address = option?.args[0]?.replace(v6 ? /\/128$/ : /\/32$/, "") ?? any;
    if (!format.numeric) address = address === any ? "anywhere" : (NETWORKS[address] ?? address);
    text += `${option?.not ? "!" : " "}${address.padEnd(19)} `;
  }
  if (goto) text += "[goto] ";
  const own6 = format.tool === "ip6tables" ? IPV6_PRINTS : {};
  for (const part of matches) text += (own6[part.name] ?? MATCHES[part.name] ?? plain)(part, format);
  if (target !== undefined) text += (own6[target.name] ?? (Object.hasOwn(TARGETS, target.name) ? TARGETS[target.name]! : () => ""))(target, format);
  return `${text}\n`;
}

function numberOfProtocol(name: string): number {
  const value = parseNumber(name, 0, 255);
  if (value !== undefined) return value;
  for (let i = 0; i < 256; i++) if (protocolName(i) === name) return i;
  return 0;
}

export type Print = (part: Part, format: ListFormat) => string;

export const get = (part: Part, name: string): Option | undefined => part.options.find((option) => option.name === name);
export const arg = (part: Part, name: string): string => get(part, name)?.args[0] ?? "";
export const has = (part: Part, name: string): boolean => get(part, name) !== undefined;

/** Options as they are saved, without their dashes. */
const plain: Print = ({ options }) => options.map(({ name, not, args }) => `${not ? " !" : ""} ${[name, ...args].join(" ")}`).join("");
const named = (prefix: string): Print => (part, format) => ` ${prefix}${plain(part, format)}`;

const port = (text: string, numeric: boolean): string => (numeric ? text : portName(Number(text)));
function ports(part: Part, format: ListFormat): string {
  let text = "";
  for (const [option, label] of [["sport", "spt"], ["dport", "dpt"]] as const) {
    const found = get(part, option);
    if (found === undefined) continue;
    const range = found.args[0]!.split(":");
    text += ` ${label}${range.length > 1 ? "s" : ""}:${found.not ? "!" : ""}${range.map((one) => port(one, format.numeric)).join(":")}`;
  }
  return text;
}

const FLAG_NAMES = ["FIN", "SYN", "RST", "PSH", "ACK", "URG"];
const flagBits = (text: string): string =>
  `0x${text.split(",").reduce((bits, name) => bits | (1 << FLAG_NAMES.indexOf(name)), 0).toString(16).toUpperCase().padStart(2, "0")}`;
const noneBits = (text: string): string => (text === "NONE" ? "0x00" : flagBits(text));
const tcp: Print = (part, format) => {
  let text = ` tcp${ports(part, format)}`;
  const option = get(part, "tcp-option");
  if (option !== undefined) text += ` option=${option.not ? "!" : ""}${option.args[0]}`;
  const flags = get(part, "tcp-flags");
  if (flags !== undefined) {
    const [mask = "", set = ""] = flags.args;
    text += ` flags:${flags.not ? "!" : ""}${format.numeric ? `${noneBits(mask)}/${noneBits(set)}` : `${mask}/${set}`}`;
  }
  return text;
};

const ICMP_NAMES: Readonly<Record<string, string>> = {
  "255": "any", "0": "echo-reply", "3": "destination-unreachable", "3/0": "network-unreachable", "3/1": "host-unreachable",
  "3/2": "protocol-unreachable", "3/3": "port-unreachable", "3/4": "fragmentation-needed", "3/5": "source-route-failed",
  "3/6": "network-unknown", "3/7": "host-unknown", "3/9": "network-prohibited", "3/10": "host-prohibited",
  "3/11": "TOS-network-unreachable", "3/12": "TOS-host-unreachable", "3/13": "communication-prohibited",
  "3/14": "host-precedence-violation", "3/15": "precedence-cutoff", "4": "source-quench", "5": "redirect", "5/0": "network-redirect",
  "5/1": "host-redirect", "5/2": "TOS-network-redirect", "5/3": "TOS-host-redirect", "8": "echo-request", "9": "router-advertisement",
  "10": "router-solicitation", "11": "time-exceeded", "11/0": "ttl-zero-during-transit", "11/1": "ttl-zero-during-reassembly",
  "12": "parameter-problem", "12/0": "ip-header-bad", "12/1": "required-option-missing", "13": "timestamp-request",
  "14": "timestamp-reply", "17": "address-mask-request", "18": "address-mask-reply",
};
const icmp: Print = (part, format) => {
  const option = get(part, "icmp-type");
  const value = option?.args[0] === "any" || option === undefined ? "255" : option.args[0]!;
  const name = ICMP_NAMES[value];
  if (!format.numeric && name !== undefined) return ` icmp ${option?.not ? "!" : ""}${name}`;
  const [type, code] = value.split("/");
  return ` icmp${option?.not ? " !" : ""}type ${type}${code === undefined ? "" : ` code ${code}`}`;
};

const multiport: Print = (part, format) => {
  const option = part.options[0]!;
  const list = option.args[0]!.split(",").map((one) => one.split(":").map((p) => port(p, format.numeric)).join(":"));
  return ` multiport ${option.name === "ports" ? "ports" : option.name} ${option.not ? " !" : ""}${list.join(",")}`;
};

const addrtype: Print = (part) => {
  let text = " ADDRTYPE match";
  for (const name of ["src-type", "dst-type"]) {
    const option = get(part, name);
    if (option !== undefined) text += ` ${name} ${option.not ? "!" : ""}${option.args[0]}`;
  }
  if (has(part, "limit-iface-in")) text += " limit-in";
  return has(part, "limit-iface-out") ? `${text} limit-out` : text;
};

const hashlimit: Print = (part) => {
  const above = get(part, "hashlimit-above");
  let text = ` limit: ${above === undefined ? `up to ${arg(part, "hashlimit-upto")}` : `above ${above.args[0]}`}`;
  const burst = get(part, "hashlimit-burst");
  if (burst !== undefined) text += ` burst ${burst.args[0]}`;
  if (has(part, "hashlimit-mode")) text += ` mode ${arg(part, "hashlimit-mode").replaceAll(",", "-")}`;
  for (const name of ["htable-size", "htable-max", "htable-gcinterval", "htable-expire", "srcmask", "dstmask", "rate-match", "rate-interval"]) {
    if (has(part, `hashlimit-${name}`)) text += ` ${name}${name === "rate-match" ? "" : ` ${arg(part, `hashlimit-${name}`)}`}`;
  }
  return text;
};

const recent: Print = (part) => {
  const first = part.options[0]!;
  const what = { set: "SET", rcheck: "CHECK", update: "UPDATE", remove: "REMOVE" }[first.name] ?? "";
  let text = `${first.not ? " !" : ""} recent: ${what}`;
  if (has(part, "seconds")) text += ` seconds: ${arg(part, "seconds")}`;
  if (has(part, "reap")) text += " reap";
  if (has(part, "hitcount")) text += ` hit_count: ${arg(part, "hitcount")}`;
  if (has(part, "rttl")) text += " TTL-Match";
  return `${text} name: ${arg(part, "name")} side: ${has(part, "rdest") ? "dest" : "source"} mask: ${arg(part, "mask")}`;
};

const TTL_SIGNS: Readonly<Record<string, string>> = { "ttl-eq": "==", "ttl-lt": "<", "ttl-gt": ">" };
const bangSpace = (option: Option | undefined): string => (option?.not ? "! " : "");

const ordinal = (text: string): string => {
  const n = Number(text);
  const suffix = n % 10 === 1 && n !== 11 ? "st" : n % 10 === 2 && n !== 12 ? "nd" : n % 10 === 3 && n !== 13 ? "rd" : "th";
  return `${n}${suffix}`;
};
const time: Print = (part) => {
  let text = " TIME";
  if (has(part, "timestart")) text += ` from ${arg(part, "timestart")} to ${arg(part, "timestop")}`;
  const weekdays = get(part, "weekdays");
  const monthdays = get(part, "monthdays");
  if (weekdays !== undefined) text += ` ${weekdays.not ? "all days except" : "on"} ${weekdays.args[0]}`;
  if (monthdays !== undefined) text += ` ${monthdays.not ? "all days of month except" : "on"} ${monthdays.args[0]!.split(",").map(ordinal).join(",")}`;
  if (has(part, "datestart")) text += ` starting from ${arg(part, "datestart").replace("T", " ")}`;
  const stop = arg(part, "datestop");
  if (stop !== "" && stop !== "2038-01-19T03:14:07") text += ` until date ${stop.replace("T", " ")}`;
  if (!has(part, "kerneltz")) text += " UTC";
  return has(part, "contiguous") ? `${text} contiguous` : text;
};

const CHUNK_NUMBERS: Readonly<Record<string, number>> = {
  DATA: 0, INIT: 1, INIT_ACK: 2, SACK: 3, HEARTBEAT: 4, HEARTBEAT_ACK: 5, ABORT: 6, SHUTDOWN: 7, SHUTDOWN_ACK: 8, ERROR: 9,
  COOKIE_ECHO: 10, COOKIE_ACK: 11, ECN_ECNE: 12, ECN_CWR: 13, SHUTDOWN_COMPLETE: 14, I_DATA: 64, RE_CONFIG: 130, PAD: 132, ASCONF: 193,
  ASCONF_ACK: 128, FORWARD_TSN: 192, I_FORWARD_TSN: 194,
};
const sctp: Print = (part, format) => {
  let text = ` sctp${ports(part, format)}`;
  const chunks = get(part, "chunk-types");
  if (chunks === undefined) return text;
  text += ` ${chunks.not ? "!" : ""}${chunks.args[0]} `;
  const list = chunks.args[1]!;
  if (!format.numeric || list === "ALL" || list === "NONE") return text + list;
  return text + list.split(",").map((word) => {
    const [name = "", flags] = word.split(":");
    return `0x${(CHUNK_NUMBERS[name] ?? 0).toString(16).padStart(4, "0")}${flags === undefined ? "" : `:${flags}`}`;
  }).join(",");
};

const dccp: Print = (part, format) => {
  let text = ` dccp${ports(part, format)}`;
  const types = get(part, "dccp-types");
  const NAMES = ["REQUEST", "RESPONSE", "DATA", "ACK", "DATAACK", "CLOSEREQ", "CLOSE", "RESET", "SYNC", "SYNCACK", "INVALID"];
  if (types !== undefined) {
    text += `${types.not ? " !" : " "}${types.args[0]!.split(",").map((name) => (format.numeric ? NAMES.indexOf(name) : name)).join(",")}`;
  }
  const option = get(part, "dccp-option");
  return option === undefined ? text : `${text} option=${option.not ? "!" : ""}${option.args[0]}`;
};

const spi = (name: string, option: string): Print => (part) => {
  const found = get(part, option);
  if (found === undefined) return ` ${name}`;
  const range = found.args[0]!;
  return ` ${name} spi${range.includes(":") ? "s" : ""}:${found.not ? "!" : ""}${range}`;
};

const MATCHES: Readonly<Record<string, Print>> = {
  tcp,
  udp: (part, format) => ` udp${ports(part, format)}`,
  icmp, multiport, addrtype, hashlimit, recent, time, sctp, dccp,
  ah: spi("ah", "ahspi"),
  esp: spi("esp", "espspi"),
  comment: (part) => ` /* ${arg(part, "comment")} */`,
  state: (part) => `${part.options[0]?.not ? " !" : ""} state ${arg(part, "state")}`,
  mark: (part) => ` mark match ${bangSpace(part.options[0])}${arg(part, "mark")}`,
  connmark: (part) => ` connmark match ${part.options[0]?.not ? "!" : ""} ${arg(part, "mark")}`,
  limit: (part) => ` limit: avg ${arg(part, "limit")} burst ${get(part, "limit-burst")?.args[0] ?? "5"}`,
  iprange: (part) =>
    part.options.map(({ name, not, args }) => ` ${name === "src-range" ? "source" : "destination"} IP range ${not ? "! " : ""}${args[0]}`).join(""),
  mac: (part) => ` MAC ${bangSpace(part.options[0])}${arg(part, "mac-source")}`,
  length: (part) => ` length ${part.options[0]?.not ? "!" : ""}${arg(part, "length")}`,
  ttl: (part) => {
    const option = part.options[0]!;
    return ` TTL match TTL ${option.not ? "!=" : TTL_SIGNS[option.name]} ${option.args[0]}`;
  },
  tos: (part) => ` tos match${part.options[0]?.not ? "!" : ""}${arg(part, "tos")}`,
  dscp: (part) => ` DSCP match ${part.options[0]?.not ? "!" : ""}${arg(part, "dscp")}`,
  ecn: (part) => {
    const word = (name: string, label: string): string => {
      const option = get(part, name);
      return option === undefined ? "" : ` ${option.not ? "!" : ""}${label}`;
    };
    const ect = get(part, "ecn-ip-ect");
    return ` ECN match${word("ecn-tcp-ece", "ECE")}${word("ecn-tcp-cwr", "CWR")}${ect === undefined ? "" : ` ${ect.not ? "!" : ""}ECT=${ect.args[0]}`}`;
  },
  owner: (part) =>
    part.options.map(({ name, not, args }) =>
      `${not ? " !" : ""} ${name === "socket-exists" ? "owner socket exists" : name === "suppl-groups" ? "incl. suppl. groups" : `owner ${name.slice(0, 3).toUpperCase()} match ${args[0]}`}`).join(""),
  pkttype: (part) => ` PKTTYPE ${part.options[0]?.not ? "!=" : "="} ${arg(part, "pkt-type")}`,
  physdev: (part) => ` PHYSDEV match${part.options.map(({ name, not, args }) => `${not ? " !" : ""} --${[name, ...args].join(" ")}`).join("")}`,
  quota: (part) => ` quota: ${arg(part, "quota")} bytes`,
  statistic: (part) =>
    arg(part, "mode") === "random"
      ? ` statistic mode random${get(part, "probability")?.not ? " !" : ""} probability ${arg(part, "probability")}`
      : ` statistic mode nth${get(part, "every")?.not ? " !" : ""} every ${arg(part, "every")}${arg(part, "packet") === "0" ? "" : ` packet ${arg(part, "packet")}`}`,
  string: (part) => {
    const option = part.options.find(({ name }) => name === "string" || name === "hex-string")!;
    const text = option.args[0]!.replaceAll("\\", "\\\\").replaceAll('"', '\\"');
    return (
      ` STRING match ${option.not ? "!" : ""} "${option.name === "string" ? text : option.args[0]}" ALGO name ${arg(part, "algo")}` +
      (has(part, "from") ? ` FROM ${arg(part, "from")}` : "") + (has(part, "to") ? ` TO ${arg(part, "to")}` : "") +
      (has(part, "icase") ? " ICASE" : "")
    );
  },
  u32: (part) => ` u32${part.options[0]?.not ? " !" : ""} "${arg(part, "u32")}"`,
  connbytes: (part) =>
    `${part.options[0]?.not ? " !" : ""} connbytes ${arg(part, "connbytes")} connbytes mode ${arg(part, "connbytes-mode")} connbytes direction ${arg(part, "connbytes-dir")}`,
  connlimit: (part) =>
    ` #conn ${has(part, "connlimit-daddr") ? "dst" : "src"}/${arg(part, "connlimit-mask")} ` +
    (has(part, "connlimit-upto") ? `<= ${arg(part, "connlimit-upto")}` : `> ${arg(part, "connlimit-above")}`),
  helper: (part) => ` helper match ${part.options[0]?.not ? "! " : ""}"${arg(part, "helper")}"`,
  set: (part) =>
    part.options.map(({ name, not, args }) => `${not ? " !" : ""} ${[name, ...args].join(" ")}`).join(""),
  cpu: (part) => ` cpu ${part.options[0]?.not ? "! " : ""}${arg(part, "cpu")}`,
  policy: (part) => {
    let text = ` policy match dir ${arg(part, "dir")} pol ${arg(part, "pol")}`;
    const NUMBERS: Readonly<Record<string, string>> = { esp: "50", ah: "51", ipcomp: "108" };
    let element = 0;
    if (has(part, "strict")) text += has(part, "next") ? " strict [0]" : " strict";
    for (const { name, not, args } of part.options.slice(2)) {
      if (name === "strict") continue;
      if (name === "next") {
        text += ` [${++element}]`;
        continue;
      }
      text += `${not ? " !" : ""} ${name} ${name === "proto" ? (NUMBERS[args[0]!] ?? args[0]) : args[0]}`;
    }
    return text;
  },
  socket: (part) => ` socket${part.options.map(({ name }) => ` --${name}`).join("")}`,
  bpf: (part) => `match bpf ${arg(part, "bytecode").replace(/^[0-9]+,/, "")}\0`,
  cgroup: (part) => ` cgroup ${part.options[0]?.not ? "! " : ""}${part.options[0]?.args[0] ?? ""}`,
  realm: (part) => `${part.options[0]?.not ? " !" : ""} realm ${arg(part, "realm")}`,
  tcpmss: (part) => ` tcpmss match ${part.options[0]?.not ? "!" : ""}${arg(part, "mss")}`,
  connlabel: (part) => ` connlabel${get(part, "label")?.not ? " !" : ""} ${arg(part, "label")}${has(part, "set") ? " set" : ""}`,
  rpfilter: named("rpfilter"),
  osf: (part) => ` OS fingerprint match ${part.options[0]?.not ? "! " : ""}${arg(part, "genre")}`,
  cluster: (part) =>
    ` cluster ${get(part, "cluster-local-nodemask")?.not ? "!" : ""}node_mask=${arg(part, "cluster-local-nodemask")}` +
    ` total_nodes=${arg(part, "cluster-total-nodes")} hash_seed=${arg(part, "cluster-hash-seed")}`,
};

/** `VALUE/MASK` as MARK and CONNMARK word what is done. */
function markWords(target: string, text: string): string {
  const [valueText = "", maskText = ""] = text.split("/");
  const value = Number(valueText);
  const mask = Number(maskText);
  if (mask === 0xffffffff) return ` ${target} set ${valueText}`;
  if (value === 0) return ` ${target} and 0x${(~mask >>> 0).toString(16)}`;
  if (value === mask) return ` ${target} or ${valueText}`;
  return mask === 0 ? ` ${target} xor ${valueText}` : ` ${target} xset ${valueText}/${maskText}`;
}

const flagsOf = (part: Part): string => ["random", "random-fully", "persistent"].filter((name) => has(part, name)).map((name) => ` ${name}`).join("");
const to: Print = (part) => {
  const range = part.options.find(({ name }) => name.startsWith("to"));
  return `${range === undefined ? "" : ` to:${range.args[0]}`}${flagsOf(part)}`;
};
const LEVELS = ["emerg", "alert", "crit", "error", "warn", "notice", "info", "debug"];
const LOG_BITS: Readonly<Record<string, number>> = {
  "log-tcp-sequence": 1, "log-tcp-options": 2, "log-ip-options": 4, "log-uid": 8, "log-macdecode": 32,
};
const log: Print = (part, format) => {
  const level = Number(get(part, "log-level")?.args[0] ?? "4");
  const bits = part.options.reduce((sum, { name }) => sum | (LOG_BITS[name] ?? 0), 0);
  const prefix = has(part, "log-prefix") ? ` prefix "${arg(part, "log-prefix")}"` : "";
  if (format.numeric) return ` LOG flags ${bits} level ${level}${prefix}`;
  const words_: Readonly<Record<string, string>> = {
    "log-tcp-sequence": "tcp-sequence", "log-tcp-options": "tcp-options", "log-ip-options": "ip-options", "log-uid": "uid", "log-macdecode": "macdecode",
  };
  const shown = part.options.map(({ name }) => words_[name]).filter((word) => word !== undefined).map((word) => ` ${word}`).join("");
  return ` LOG level ${LEVELS[level]}${shown}${prefix}`;
};

const TARGETS: Readonly<Record<string, Print>> = {
  REJECT: (part) => ` reject-with ${arg(part, "reject-with")}`,
  LOG: log,
  DNAT: to, SNAT: to, NETMAP: to,
  MASQUERADE: (part) => `${has(part, "to-ports") ? ` masq ports: ${arg(part, "to-ports")}` : ""}${flagsOf(part)}`,
  REDIRECT: (part) => `${has(part, "to-ports") ? ` redir ports ${arg(part, "to-ports")}` : ""}${flagsOf(part)}`,
  MARK: (part) => markWords("MARK", arg(part, "set-xmark")),
  CONNMARK: (part) => {
    if (has(part, "set-xmark")) return markWords("CONNMARK", arg(part, "set-xmark"));
    const verb = has(part, "save-mark") ? "save" : "restore";
    const nf = arg(part, "nfmask");
    const ct = arg(part, "ctmask");
    if (nf === "0xffffffff" && ct === "0xffffffff") return ` CONNMARK ${verb}`;
    return nf === ct ? ` CONNMARK ${verb} mask ${nf}` : ` CONNMARK ${verb} nfmask ${nf} ctmask ~${ct}`;
  },
  TOS: (part) => {
    const [value = "", mask = ""] = arg(part, "set-tos").split("/");
    return ` TOS set ${value}${mask === "" ? "" : `/${mask}`}`;
  },
  DSCP: (part) => ` DSCP set ${arg(part, "set-dscp")}`,
  TTL: (part) => {
    const option = part.options[0]!;
    return ` TTL ${option.name === "ttl-set" ? "set to" : option.name === "ttl-inc" ? "increment by" : "decrement by"} ${option.args[0]}`;
  },
  TCPMSS: (part) => (has(part, "set-mss") ? ` TCPMSS set ${arg(part, "set-mss")}` : " TCPMSS clamp to PMTU"),
  TCPOPTSTRIP: (part) => ` TCPOPTSTRIP options ${arg(part, "strip-options")}`,
  CLASSIFY: (part) => ` CLASSIFY set ${arg(part, "set-class").split(":").map((half) => parseInt(half, 16).toString(16)).join(":")}`,
  CHECKSUM: () => " CHECKSUM fill",
  TPROXY: (part) => ` TPROXY redirect ${arg(part, "on-ip")}:${arg(part, "on-port")} mark ${arg(part, "tproxy-mark")}`,
  ECN: () => " ECN TCP remove",
  TEE: (part) => ` TEE gw:${arg(part, "gateway")}`,
  HMARK: (part) => {
    let text = ` HMARK mod ${arg(part, "hmark-mod")}`;
    if (has(part, "hmark-offset")) text += ` + 0x${Number(arg(part, "hmark-offset")).toString(16)}`;
    if (arg(part, "hmark-tuple") === "ct") text += " ct,";
    for (const { name, args } of part.options) {
      const key = name.slice(6);
      if (["mod", "offset", "tuple"].includes(key)) continue;
      text += ` ${key} ${key === "rnd" ? `0x${Number(args[0]).toString(16)}` : args[0]}`;
    }
    return `${text} `;
  },
  IDLETIMER: (part) => ` timeout:${arg(part, "timeout")} label:${arg(part, "label")}${has(part, "alarm") ? " alarm" : ""}`,
  NOTRACK: () => " NOTRACK",
  CT: named("CT"),
  AUDIT: (part) => ` AUDIT ${arg(part, "type")}`,
  NFLOG: (part) =>
    part.options.map(({ name, args }) => ` ${name} ${name === "nflog-prefix" ? `"${args[0]}"` : args[0]}`).join(""),
  NFQUEUE: (part) =>
    ` NFQUEUE ${has(part, "queue-balance") ? `balance ${arg(part, "queue-balance")}` : `num ${arg(part, "queue-num")}`}` +
    (has(part, "queue-bypass") ? " bypass" : "") + (has(part, "queue-cpu-fanout") ? " cpu-fanout" : ""),
  SET: plain,
};
