/** `conntrack` (conntrack-tools 1.4.7, src/conntrack.c). */
import type { ConntrackEntry, ConntrackTuple } from "../kernel/netns.ts";
import { kernelOf } from "../kernel/namespace.ts";
import { listConntrack, type ConntrackRecord } from "../kernel/conntrack.ts";
import { NFSTAT_CLASH_RESOLVE, NFSTAT_DROP, NFSTAT_EARLY_DROP, NFSTAT_ICMP_ERROR, NFSTAT_INSERT_FAILED, NFSTAT_INVALID, NF_STAT } from "../../assembly/abi/netfilter.ts";
import { create, extraOf, failed, markOf, NAME, needed, problem, update, type Extra } from "./conntrack-change.ts";
import { inPrefix } from "./ip/address-show.ts";
import { addressOf, parseIpv6 } from "./ip/context.ts";
import { CONNTRACK } from "./other-usage.ts";
import { ToolExit, unsigned, type Streams, type ToolHost } from "./tool.ts";

/** Options without an argument, with one, and with one that may be missing, by every name they have. */
const COMMANDS: Readonly<Record<string, string>> = {
  L: "L", dump: "L", I: "I", create: "I", D: "D", delete: "D", G: "G", get: "G", U: "U", update: "U", E: "E", event: "E", F: "F", flush: "F",
  C: "C", count: "C", S: "S", stats: "S", h: "h", help: "h", V: "V", version: "V", A: "A", add: "A", R: "R", "load-file": "R",
};
const TAKING_TABLE = "LIDGUEFCA";
const OPTIONS: Readonly<Record<string, string>> = {
  s: "s", src: "s", "orig-src": "s", d: "d", dst: "d", "orig-dst": "d", r: "r", "reply-src": "r", q: "q", "reply-dst": "q", p: "p", proto: "p",
  f: "f", family: "f", t: "t", timeout: "t", u: "u", status: "u", m: "m", mark: "m", z: "z", zero: "z", e: "e", "event-mask": "e",
  o: "o", output: "o", i: "i", id: "i", w: "w", zone: "w", "orig-zone": "orig-zone", "reply-zone": "reply-zone", l: "l", label: "l",
  n: "n", "src-nat": "n", g: "g", "dst-nat": "g", j: "j", "any-nat": "j", b: "b", "buffer-size": "b", "mask-src": "mask-src",
  "mask-dst": "mask-dst", "tuple-src": "tuple-src", "tuple-dst": "tuple-dst", "label-add": "label-add", "label-del": "label-del", c: "c", secmark: "c",
};
const WITHOUT_ARGUMENT = "z";
const OPTIONAL_ARGUMENT = "ngj";

/** Options that a protocol adds (extensions/libct_proto_*.c). */
const PORTS = ["sport", "orig-port-src", "dport", "orig-port-dst", "reply-port-src", "reply-port-dst"];
const PROTOCOL_OPTIONS: Readonly<Record<string, readonly string[]>> = {
  tcp: [...PORTS, "state"], udp: PORTS, sctp: [...PORTS, "state", "orig-vtag", "reply-vtag"], dccp: [...PORTS, "state", "role"], udplite: PORTS,
  gre: ["srckey", "dstkey", "reply-srckey", "reply-dstkey", "orig-key-src", "orig-key-dst", "reply-key-src", "reply-key-dst"],
  icmp: ["icmp-type", "icmp-code", "icmp-id"], icmpv6: ["icmpv6-type", "icmpv6-code", "icmpv6-id"], unknown: [],
};
const PROTOCOL_NUMBERS: Readonly<Record<string, number>> = {
  icmp: 1, tcp: 6, udp: 17, dccp: 33, gre: 47, icmpv6: 58, sctp: 132, udplite: 136,
};
const TCP_STATES = ["NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE", "LISTEN"];

interface Parsed {
  command: string;
  table: "conntrack" | "expect";
  readonly options: Map<string, string>;
}

export function conntrack(host: ToolHost, args: readonly string[], streams: Streams): number {
  if (args.length === 0 || (args[0] !== undefined && !args.some((arg) => arg.startsWith("-")))) {
    streams.stdout += CONNTRACK;
    return 0;
  }
  const { command, table, options } = parse(args);
  const shown = (count: number, what: string): void => {
    streams.stderr += `${NAME}: ${count} flow entries have been ${what}.\n`;
  };
  const { context, handle } = kernelOf(host.netns);
  const matching = (): ConntrackRecord[] => listConntrack(context, handle).filter(filterOf(options));
  const protocol = protocolNumber(options.get("p") ?? "0");
  const print = (entries: readonly ConntrackRecord[]): void => {
    const output = options.get("o") ?? "";
    // No names of labels are known: there is no file of them.
    if (output.split(",").includes("labels")) streams.stderr += "nfct_labelmap_new: No such file or directory\n";
    streams.stdout += format(entries, output, (entry) => extraOf(host.netns, entry));
  };
  if (options.has("l")) {
    streams.stderr += "nfct_labelmap_new: No such file or directory\n";
    throw problem(`unknown label '${options.get("l")!.split(",")[0]}'`);
  }
  switch (command) {
    case "V":
      streams.stdout += `${NAME}\n`;
      return 0;
    case "h":
      streams.stdout += CONNTRACK;
      return 0;
    case "L": {
      if (table === "expect") {
        streams.stderr += `${NAME}: 0 expectations have been shown.\n`;
        return 0;
      }
      const entries = matching();
      print(entries);
      shown(entries.length, "shown");
      return 0;
    }
    case "D": {
      if (table === "expect") throw new ToolExit(1, `${NAME}: Operation failed: No such file or directory\n`);
      const entries = matching();
      const ids = new Set(entries.map(({ id }) => id));
      host.netns.deleteConntrack((entry) => ids.has((entry as ConntrackRecord).id));
      print(entries);
      shown(entries.length, "deleted");
      return entries.length > 0 ? 0 : 1;
    }
    case "G": {
      needed("G", options, protocol);
      const [entry] = matching();
      if (entry === undefined) throw failed("such conntrack doesn't exist");
      print([entry]);
      shown(1, "shown");
      return 0;
    }
    case "F":
      host.netns.deleteConntrack(() => true);
      streams.stderr += `${NAME}: ${table === "expect" ? "expectation" : "connection tracking"} table has been emptied.\n`;
      return 0;
    case "C":
      streams.stdout += `${table === "expect" ? 0 : listConntrack(context, handle).length}\n`;
      return 0;
    case "S":
      streams.stdout += statistics(host);
      return 0;
    case "E":
      // Nothing happens while a tool runs.
      streams.stderr += `${NAME}: 0 flow events have been shown.\n`;
      return 0;
    case "I":
    case "A": {
      if (table === "expect") throw failed("Operation not supported");
      needed(command, options, protocol);
      try {
        create(host.netns, options, protocol);
      } catch (error) {
        // -A leaves what is there alone.
        if (command === "I" || !(error instanceof ToolExit) || !error.stderr.includes("exists")) throw error;
        streams.stderr += `${NAME}: 0 flow entries have been added.\n`;
        return 0;
      }
      shown(1, command === "I" ? "created" : "added");
      return 0;
    }
    case "U": {
      const wanted = new Map(options);
      for (const name of ["m", "t", "u", "l", "state"]) wanted.delete(name);
      const entries = listConntrack(context, handle).filter(filterOf(wanted));
      // Without an address or a family the change is sent with none, which the kernel does not take.
      if (entries.length > 0 && !["s", "d", "r", "q", "f"].some((name) => options.has(name))) {
        streams.stderr += "Operation failed: Operation not supported\n";
        throw failed("Operation not supported");
      }
      for (const entry of entries) update(host.netns, options, entry);
      const ids = new Set(entries.map(({ id }) => id));
      print(listConntrack(context, handle).filter(({ id }) => ids.has(id)));
      shown(entries.length, "updated");
      return entries.length > 0 ? 0 : 1;
    }
    default:
      throw failed("Operation not supported");
  }
}

const protocolNumber = (text: string): number => PROTOCOL_NUMBERS[text] ?? unsigned(text, 255) ?? 0;

/** getopt_long() over the command line; what is wrong is told as do_parse() tells it. */
function parse(args: readonly string[]): Parsed {
  const parsed: Parsed = { command: "", table: "conntrack", options: new Map() };
  const { options } = parsed;
  let protocol = "";
  for (let at = 0; at < args.length; at++) {
    const arg = args[at]!;
    if (!arg.startsWith("-") || arg === "-") continue;
    const long = arg.startsWith("--");
    const equals = long ? arg.indexOf("=") : -1;
    const name = long ? arg.slice(2, equals < 0 ? undefined : equals) : arg.slice(1, 2);
    const attached = long ? (equals < 0 ? undefined : arg.slice(equals + 1)) : arg.length > 2 ? arg.slice(2) : undefined;
    const unknown = (): ToolExit => problem(`unknown option \`${arg}'`);
    const command = COMMANDS[name];
    if (command !== undefined && (long || name.length === 1)) {
      if (parsed.command !== "") throw problem("Invalid commands combination");
      parsed.command = command;
      const next = args[at + 1];
      if (command === "S" && next !== undefined && !next.startsWith("-")) throw problem(`unknown type \`${next}'`);
      if (!TAKING_TABLE.includes(command) || next === undefined || next.startsWith("-")) continue;
      at++;
      if ("conntrack".startsWith(next)) parsed.table = "conntrack";
      else if ("expect".startsWith(next) || next === "expectation") parsed.table = "expect";
      else if (next !== "dying" && next !== "unconfirmed") throw problem(`unknown type \`${next}'`);
      continue;
    }
    const option = OPTIONS[name] ?? (long && (PROTOCOL_OPTIONS[protocol] ?? []).includes(name) ? name : undefined);
    if (option === undefined) throw unknown();
    if (WITHOUT_ARGUMENT.includes(option)) {
      options.set(option, "");
      continue;
    }
    let value = attached;
    if (value === undefined && args[at + 1] !== undefined && !(OPTIONAL_ARGUMENT.includes(option) && args[at + 1]!.startsWith("-"))) value = args[++at];
    if (value === undefined && !OPTIONAL_ARGUMENT.includes(option)) throw problem(`option \`${arg}' requires an argument`);
    check(option, value ?? "", options);
    options.set(option, value ?? "");
    if (option === "p") protocol = protocolName(value!);
  }
  if (parsed.command === "") throw problem("You have to specify a command");
  return parsed;
}

function protocolName(text: string): string {
  if (text in PROTOCOL_NUMBERS) return text;
  const number = unsigned(text, 255);
  if (number === undefined) throw problem(`\`${text}' unsupported protocol`);
  return Object.entries(PROTOCOL_NUMBERS).find(([, value]) => value === number)?.[0] ?? "unknown";
}

const OUTPUTS = ["xml", "extended", "timestamp", "id", "ktimestamp", "labels", "userspace", "save"];
const EVENTS = ["ALL", "NEW", "UPDATES", "DESTROY"];
const STATUSES = ["ASSURED", "SEEN_REPLY", "UNSET", "FIXED_TIMEOUT", "EXPECTED", "OFFLOAD", "HW_OFFLOAD", "SRC_NAT", "DST_NAT", "SNAT", "DNAT", "UNREPLIED",
  "UNASSURED", "CONFIRMED"];

function check(option: string, value: string, options: ReadonlyMap<string, string>): void {
  switch (option) {
    case "s":
    case "d":
    case "r":
    case "q":
      if (addressOf(value.split("/")[0]!) === undefined) throw problem(`Invalid IP address \`${value}'`);
      return;
    case "p":
      protocolName(value);
      return;
    case "f":
      if (value !== "ipv4" && value !== "ipv6") throw problem(`\`${value}' unsupported protocol`);
      return;
    case "state":
      if (options.get("p") === "tcp" && !TCP_STATES.includes(value)) throw problem(`unknown TCP state \`${value}'`);
      return;
    case "o":
    case "e":
    case "u": {
      const known = option === "o" ? OUTPUTS : option === "e" ? EVENTS : STATUSES;
      for (const word of value.split(",")) if (!known.includes(word)) throw problem(`Bad parameter \`${word}'`);
      return;
    }
  }
}

function filterOf(options: ReadonlyMap<string, string>): (entry: ConntrackEntry) => boolean {
  const tests: ((entry: ConntrackEntry) => boolean)[] = [];
  const address = (key: string, of: (entry: ConntrackEntry) => string): void => {
    const value = options.get(key);
    if (value === undefined) return;
    const [text = "", length] = value.split("/");
    const parsed = addressOf(text);
    if (parsed === undefined) return;
    const mask = options.get(key === "s" || key === "r" ? "mask-src" : "mask-dst");
    const full = parsed.family === "inet" ? 32 : 128;
    const bits = length !== undefined ? (unsigned(length, full) ?? full) : mask !== undefined ? maskBits(mask) : full;
    tests.push((entry) => inPrefix(of(entry), { ...parsed, bits, explicit: true }));
  };
  address("s", ({ orig }) => orig.src);
  address("d", ({ orig }) => orig.dst);
  address("r", ({ reply }) => reply.src);
  address("q", ({ reply }) => reply.dst);
  const number = (keys: readonly string[], of: (entry: ConntrackEntry) => number | undefined): void => {
    for (const key of keys) {
      const value = options.get(key);
      // atoi()
      if (value !== undefined) tests.push((entry) => of(entry) === Number(/^\d+/.exec(value)?.[0] ?? 0));
    }
  };
  number(["sport", "orig-port-src"], ({ orig }) => orig.sport);
  number(["dport", "orig-port-dst"], ({ orig }) => orig.dport);
  number(["reply-port-src"], ({ reply }) => reply.sport);
  number(["reply-port-dst"], ({ reply }) => reply.dport);
  number(["icmp-type"], ({ orig }) => orig.icmpType);
  number(["icmp-code"], ({ orig }) => orig.icmpCode);
  number(["icmp-id"], ({ orig }) => orig.icmpId);
  number(["w", "orig-zone", "reply-zone"], ({ zone }) => zone);
  const protocol = options.get("p");
  if (protocol !== undefined) {
    const wanted = PROTOCOL_NUMBERS[protocol] ?? Number(protocol);
    tests.push(({ proto }) => protocolOf(proto) === wanted);
  }
  const state = options.get("state");
  if (state !== undefined) tests.push((entry) => entry.state === state);
  if (options.get("f") === "ipv6") tests.push(({ orig }) => orig.src.includes(":"));
  if (options.get("f") === "ipv4") tests.push(({ orig }) => !orig.src.includes(":"));
  const mark = options.get("m");
  if (mark !== undefined) {
    const [value = 0, mask = 0xffffffff] = mark.split("/").map(markOf);
    tests.push((entry) => ((entry.mark & mask) >>> 0) === value);
  }
  const status = options.get("u");
  if (status !== undefined) {
    for (const word of status.split(",")) tests.push((entry) => hasStatus(entry, word));
  }
  // libnetfilter_conntrack takes the type of an echo for a port: it is never the id, where ports of connections that went through NAT
  // unchanged are the same.
  const isEcho = ({ icmpType }: ConntrackTuple): boolean => icmpType !== undefined;
  // --src-nat and --dst-nat look at the tuples: a source that replies are not sent to was translated.
  const nat = (key: string, translated: (entry: ConntrackEntry) => string | undefined): ((entry: ConntrackEntry) => boolean) | undefined => {
    const value = options.get(key);
    if (value === undefined) return undefined;
    const [wanted] = value.split(":");
    return (entry) => {
      const to = translated(entry);
      return to !== undefined && (wanted === undefined || wanted === "" || to === addressOf(wanted)?.address);
    };
  };
  const source = ({ flags, orig, reply }: ConntrackEntry): string | undefined =>
    (flags.includes("SRC_NAT") || (flags.includes("SRC_NAT_DONE") && isEcho(orig)) ? reply.dst : undefined);
  const destination = ({ flags, orig, reply }: ConntrackEntry): string | undefined =>
    (flags.includes("DST_NAT") || (flags.includes("DST_NAT_DONE") && isEcho(orig)) ? reply.src : undefined);
  for (const test of [nat("n", source), nat("g", destination)]) if (test !== undefined) tests.push(test);
  const any = nat("j", (entry) => source(entry) ?? destination(entry));
  if (any !== undefined) tests.push(any);
  return (entry) => tests.every((test) => test(entry));
}

function hasStatus({ flags }: ConntrackEntry, word: string): boolean {
  switch (word) {
    case "UNREPLIED":
      return !flags.includes("SEEN_REPLY");
    case "UNASSURED":
      return !flags.includes("ASSURED");
    case "SNAT":
      return flags.includes("SRC_NAT");
    case "DNAT":
      return flags.includes("DST_NAT");
    default:
      return flags.includes(word);
  }
}

/** A netmask as a length. */
const maskBits = (text: string): number => text.split(".").reduce((sum, part) => sum + (Number(part) >>> 0).toString(2).replaceAll("0", "").length, 0);

const protocolOf = (proto: ConntrackEntry["proto"]): number => (typeof proto === "number" ? proto : (PROTOCOL_NUMBERS[proto] ?? 0));
const nameOf = (number: number): string => Object.entries(PROTOCOL_NUMBERS).find(([, value]) => value === number)?.[0] ?? "unknown";

/** nfct_snprintf() */
function format(entries: readonly ConntrackRecord[], output: string, extra: (entry: ConntrackRecord) => Extra): string {
  const types = output.split(",");
  if (types.includes("xml")) return entries.length === 0 ? "" : xml(entries, extra);
  if (types.includes("save")) return entries.map(saved).join("");
  const extended = types.includes("extended");
  return entries.map((entry) => {
    const number = protocolOf(entry.proto);
    const v6 = entry.orig.src.includes(":");
    let text = extended ? (v6 ? "ipv6     10 " : "ipv4     2 ") : "";
    text += `${nameOf(number).padEnd(8)} ${number} ${lasting(entry)}`;
    text += tuple(entry.orig);
    const { counters } = extra(entry);
    if (counters !== undefined) text += countersText(counters[0]!);
    if (!entry.flags.includes("SEEN_REPLY")) text += "[UNREPLIED] ";
    text += tuple(entry.reply);
    if (counters !== undefined) text += countersText(counters[1]!);
    text += assurance(entry);
    text += `mark=${entry.mark} `;
    if (entry.zone !== 0) text += `zone=${entry.zone} `;
    text += "use=1";
    if (types.includes("id")) text += ` id=${entry.id}`;
    return `${text}\n`;
  }).join("");
}

/** Timeout and state: a flowtable's connection is asked for neither (ctnetlink_dump_info, ct_seq_show). */
const lasting = ({ flags, timeoutSeconds, state }: ConntrackEntry): string =>
  flags.includes("OFFLOAD") ? "" : `${timeoutSeconds} ${state === undefined ? "" : `${state} `}`;
const assurance = ({ flags }: ConntrackEntry): string => flags.includes("OFFLOAD") ? "[OFFLOAD] " : flags.includes("ASSURED") ? "[ASSURED] " : "";

const countersText = ([packets, bytes]: readonly [number, number]): string => `packets=${packets} bytes=${bytes} `;

/** An entry as /proc/net/nf_conntrack has it. */
export function conntrackLine(entry: ConntrackRecord, { counters }: Extra): string {
  const number = protocolOf(entry.proto);
  const v6 = entry.orig.src.includes(":");
  return `${v6 ? "ipv6     10" : "ipv4     2"} ${nameOf(number).padEnd(8)} ${number} ${lasting(entry)}${tuple(entry.orig, whole)}` +
    `${counters === undefined ? "" : countersText(counters[0]!)}${entry.flags.includes("SEEN_REPLY") ? "" : "[UNREPLIED] "}${tuple(entry.reply, whole)}` +
    `${counters === undefined ? "" : countersText(counters[1]!)}${assurance(entry)}mark=${entry.mark} zone=${entry.zone} use=2\n`;
}

/** `-o save`: the command that makes the entry (ct_save_snprintf()). */
function saved(entry: ConntrackRecord): string {
  const { orig, reply, flags, zone } = entry;
  const status = ["SEEN_REPLY", "ASSURED"].filter((flag) => flags.includes(flag)).join(",");
  const words = [`-A -t ${entry.timeoutSeconds} -u ${status === "" ? "UNSET" : status}`];
  if (entry.mark !== 0) words.push(`-m ${entry.mark}`);
  if (zone !== 0) words.push(`-w ${zone}`);
  words.push(`-s ${orig.src} -d ${orig.dst}`, flags.includes("DST_NAT") ? `-g ${reply.src}` : `-r ${reply.src}`,
    flags.includes("SRC_NAT") ? `-n ${reply.dst}` : `-q ${reply.dst}`);
  const number = protocolOf(entry.proto);
  const name = nameOf(number);
  words.push(`-p ${name === "unknown" ? number : name}`);
  if (orig.sport !== undefined) words.push(`--sport ${orig.sport} --dport ${orig.dport} --reply-port-src ${reply.sport} --reply-port-dst ${reply.dport}`);
  if (orig.icmpType !== undefined) words.push(`--icmp-type ${orig.icmpType} --icmp-code ${orig.icmpCode} --icmp-id ${orig.icmpId}`);
  if (entry.state !== undefined) words.push(`--state ${entry.state}`);
  return `${words.join(" ")}\n`;
}

/** An address as seq_printf() writes it: %pI6 leaves no zero out. */
const whole = (address: string): string =>
  (address.includes(":") ? (parseIpv6(address) ?? []).map((word) => word.toString(16).padStart(4, "0")).join(":") : address);

function tuple(
  { src, dst, sport, dport, icmpType, icmpCode, icmpId }: ConntrackTuple, address: (text: string) => string = (text) => text,
): string {
  const ports = sport === undefined ? "" : `sport=${sport} dport=${dport} `;
  const icmp = icmpType === undefined ? "" : `type=${icmpType} code=${icmpCode} id=${icmpId} `;
  return `src=${address(src)} dst=${address(dst)} ${ports}${icmp}`;
}

function xml(entries: readonly ConntrackRecord[], extra: (entry: ConntrackRecord) => Extra): string {
  const counted = (pair: readonly [number, number] | undefined): string =>
    pair === undefined ? "" : `<counters><packets>${pair[0]}</packets><bytes>${pair[1]}</bytes></counters>`;
  const layers = ({ src, dst, sport, dport }: ConntrackTuple, number: number): string => {
    const v6 = src.includes(":");
    const ports = sport === undefined ? "" : `<sport>${sport}</sport><dport>${dport}</dport>`;
    return `<layer3 protonum="${v6 ? 10 : 2}" protoname="${v6 ? "ipv6" : "ipv4"}"><src>${src}</src><dst>${dst}</dst></layer3>` +
      `<layer4 protonum="${number}" protoname="${nameOf(number)}">${ports}</layer4>`;
  };
  const flows = entries.map((entry) => {
    const number = protocolOf(entry.proto);
    const offloaded = entry.flags.includes("OFFLOAD");
    const state = entry.state === undefined || offloaded ? "" : `<state>${entry.state}</state>`;
    const unreplied = entry.flags.includes("SEEN_REPLY") ? "" : "<unreplied/>";
    const assured = entry.flags.includes("ASSURED") ? "<assured/>" : "";
    const { counters } = extra(entry);
    return `<flow><meta direction="original">${layers(entry.orig, number)}${counted(counters?.[0])}</meta>` +
      `<meta direction="reply">${layers(entry.reply, number)}${counted(counters?.[1])}</meta>` +
      `<meta direction="independent">${state}${offloaded ? "" : `<timeout>${entry.timeoutSeconds}</timeout>`}<mark>${entry.mark}</mark>` +
      `${entry.zone === 0 ? "" : `<zone>${entry.zone}</zone>`}<use>1</use><id>${entry.id}</id>${assured}${unreplied}</meta></flow>\n`;
  });
  return `<?xml version="1.0" encoding="utf-8"?>\n<conntrack>\n${flows.join("")}</conntrack>\n`;
}

function statistics({ netns }: ToolHost): string {
  const { context, handle } = kernelOf(netns);
  const stat = (number: number): number => {
    context.instance.view.setUint32(0, handle, true);
    context.instance.view.setUint32(4, number, true);
    return context.command(NF_STAT, 8, "conntrack");
  };
  return `cpu=0   \tfound=0 invalid=${stat(NFSTAT_INVALID)} insert=0 insert_failed=${stat(NFSTAT_INSERT_FAILED)} drop=${stat(NFSTAT_DROP)} ` +
    `early_drop=${stat(NFSTAT_EARLY_DROP)} error=${stat(NFSTAT_ICMP_ERROR)} search_restart=0 clash_resolve=${stat(NFSTAT_CLASH_RESOLVE)} chaintoolong=0 \n`;
}
