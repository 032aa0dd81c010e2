/** `conntrack -I`, `-A`, `-G` and `-U`: entries made and changed by hand (NF_CT_SET of assembly/abi/netfilter.ts). */
import * as abi from "../../assembly/abi/netfilter.ts";
import { EEXIST } from "../../assembly/abi/core.ts";
import { kernelOf } from "../kernel/namespace.ts";
import { TCP_STATES, type ConntrackRecord } from "../kernel/conntrack.ts";
import type { Netns } from "../kernel/netns.ts";
import { parseIpv4 } from "../kernel/address.ts";
import { ToolExit } from "./tool.ts";

export const NAME = "conntrack v1.4.7 (conntrack-tools)";
export const problem = (message: string): ToolExit =>
  new ToolExit(2, `${NAME}: ${message}\nTry \`conntrack -h' or 'conntrack --help' for more information.\n`);
export const failed = (message: string): ToolExit => new ToolExit(1, `${NAME}: Operation failed: ${message}\n`);

type Options = ReadonlyMap<string, string>;

const PORTED = [6, 17, 33, 132, 136];
const ICMP = 1;
const TCP = 6;

/** atoi() */
const number = (text: string | undefined): number => {
  const match = /^\s*[+-]?\d+/.exec(text ?? "");
  return match === null ? 0 : Number(match[0]);
};
const first = (options: Options, ...names: readonly string[]): string | undefined => {
  for (const name of names) if (options.has(name)) return options.get(name);
  return undefined;
};
const has = (options: Options, ...names: readonly string[]): boolean => first(options, ...names) !== undefined;

/** generic_opt_check() and the protocol's final_check(): what a command has to be given. */
export function needed(command: string, options: Options, protocol: number): void {
  const option = (name: string): void => {
    throw problem(`You need to supply the \`--${name}' option for this command`);
  };
  if (command === "I" || command === "A") {
    if (!has(options, "p")) option("protonum");
    if (!has(options, "t")) option("timeout");
  } else if (!has(options, "p")) option("protonum");
  const orig = has(options, "s") && has(options, "d");
  const reply = has(options, "r") && has(options, "q");
  if (!orig && !reply) throw problem("you have to specify `--src' and `--dst'");
  const making = command !== "G";
  if (PORTED.includes(protocol)) {
    const ports = has(options, "sport", "orig-port-src") && has(options, "dport", "orig-port-dst");
    const replies = has(options, "reply-port-src") && has(options, "reply-port-dst");
    if (!ports && !replies) throw problem("you have to specify `--sport' and `--dport'");
    if (making && protocol !== 17 && protocol !== 136 && !has(options, "state")) option("state");
  }
  if (protocol === ICMP) {
    for (const name of ["icmp-type", "icmp-code", "icmp-id"]) if (!has(options, name)) option(name);
  }
}

export interface Tuple {
  readonly src: string;
  readonly dst: string;
  readonly sport: number;
  readonly dport: number;
}

const ICMP_ANSWERS: Readonly<Record<number, number>> = { 8: 0, 0: 8, 13: 14, 14: 13, 15: 16, 16: 15, 17: 18, 18: 17 };

/** Both tuples from the options; what the reply's is not told is the original turned round. ICMP: `sport` is the id, `dport` type and code. */
export function tuplesOf(options: Options, protocol: number): { orig: Tuple; reply: Tuple; nat: number } {
  const src = options.get("s") ?? options.get("q") ?? "0.0.0.0";
  const dst = options.get("d") ?? options.get("r") ?? "0.0.0.0";
  let orig: Tuple = {
    src, dst, sport: number(first(options, "sport", "orig-port-src", "reply-port-dst")), dport: number(first(options, "dport", "orig-port-dst", "reply-port-src")),
  };
  let reply: Tuple = {
    src: options.get("r") ?? dst, dst: options.get("q") ?? src, sport: number(options.get("reply-port-src") ?? String(orig.dport)),
    dport: number(options.get("reply-port-dst") ?? String(orig.sport)),
  };
  if (protocol === ICMP) {
    const [type, code, id] = ["icmp-type", "icmp-code", "icmp-id"].map((name) => number(options.get(name)));
    orig = { src, dst, sport: id!, dport: type! * 256 + code! };
    reply = { ...reply, sport: id!, dport: (ICMP_ANSWERS[type!] ?? 255) * 256 + code! };
  }
  let nat = 0;
  const [toSource, toDestination] = [options.get("n") ?? "", options.get("g") ?? ""];
  if (toSource !== "") {
    const [address = "", port] = toSource.split(":");
    reply = { ...reply, dst: address, ...(port === undefined ? {} : { dport: number(port) }) };
    nat |= abi.IPS_SRC_NAT;
  }
  if (toDestination !== "") {
    const [address = "", port] = toDestination.split(":");
    reply = { ...reply, src: address, ...(port === undefined ? {} : { sport: number(port) }) };
    nat |= abi.IPS_DST_NAT;
  }
  return { orig, reply, nat };
}

const STATUS_BITS: Readonly<Record<string, number>> = { SEEN_REPLY: abi.IPS_SEEN_REPLY, ASSURED: abi.IPS_ASSURED };
const statusOf = (options: Options): number => (options.get("u") ?? "").split(",").reduce((sum, word) => sum | (STATUS_BITS[word] ?? 0), 0);

/** `-m`: a number, hexadecimal with 0x; what is none counts as 0. */
export const markOf = (text: string): number => {
  const match = /^(?:0[xX]([0-9a-fA-F]+)|(\d+))/.exec(text);
  return match === null ? 0 : Number.parseInt(match[1] ?? match[2] ?? "0", match[1] === undefined ? 10 : 16) % 2 ** 32;
};

/** The part of a CTSET_* record that both commands share. */
function begin(netns: Netns, options: Options): ReturnType<typeof kernelOf>["context"] {
  const { context, handle } = kernelOf(netns);
  const { u8, view } = context.instance;
  u8.fill(0, 0, abi.CTSET_BYTES);
  view.setUint32(0, handle, true);
  let mask = 0;
  const put = (bit: number, at: number, value: number): void => {
    mask |= bit;
    view.setUint32(at, value, true);
  };
  if (has(options, "u")) put(abi.CTSET_F_STATUS, abi.CTSET_STATUS, statusOf(options));
  if (has(options, "t")) put(abi.CTSET_F_TIMEOUT, abi.CTSET_TIMEOUT, Math.max(0, Math.min(number(options.get("t")), 0x7fffffff)));
  if (has(options, "m")) put(abi.CTSET_F_MARK, abi.CTSET_MARK, markOf(options.get("m")!));
  if (has(options, "state")) put(abi.CTSET_F_STATE, abi.CTSET_STATE, Math.max(0, TCP_STATES.indexOf(options.get("state")!)));
  view.setUint32(abi.CTSET_MASK, mask, true);
  return context;
}

function putTuple(view: DataView, at: number, { src, dst, sport, dport }: Tuple, zone: number, protocol: number): void {
  view.setUint32(at, parseIpv4(src) ?? 0);
  view.setUint32(at + 4, parseIpv4(dst) ?? 0);
  view.setUint16(at + 8, sport);
  view.setUint16(at + 10, dport);
  view.setUint16(at + 12, zone, true);
  view.setUint8(at + 14, protocol);
}

/** Makes an entry; refuses one that is there. */
export function create(netns: Netns, options: Options, protocol: number): void {
  const { orig, reply, nat } = tuplesOf(options, protocol);
  if (orig.src.includes(":")) throw failed("Operation not supported");
  const context = begin(netns, options);
  const { view } = context.instance;
  view.setUint32(abi.CTSET_STATUS, view.getUint32(abi.CTSET_STATUS, true) | nat, true);
  const zone = number(options.get("w"));
  putTuple(view, abi.CTSET_ORIG, orig, number(options.get("orig-zone") ?? String(zone)), protocol);
  putTuple(view, abi.CTSET_REPLY, reply, number(options.get("reply-zone") ?? String(zone)), protocol);
  const result = context.command(abi.NF_CT_SET, abi.CTSET_BYTES, "conntrack", true);
  if (result === -EEXIST) throw failed("Such conntrack exists, try -U to update");
  if (result < 0) throw failed(protocol === TCP ? "Cannot allocate memory" : "Invalid argument");
}

/** Changes an entry. */
export function update(netns: Netns, options: Options, { id }: ConntrackRecord): void {
  const context = begin(netns, options);
  context.instance.view.setUint32(abi.CTSET_ID, id, true);
  context.command(abi.NF_CT_SET, abi.CTSET_BYTES, "conntrack", true);
}

export interface Extra {
  readonly counters: readonly (readonly [packets: number, bytes: number])[] | undefined;
  readonly labels: Uint8Array | undefined;
}

/** What a connection carries beside its tuples. */
export function extraOf(netns: Netns, { id }: ConntrackRecord): Extra {
  const { context, handle } = kernelOf(netns);
  const { instance } = context;
  instance.view.setUint32(0, handle, true);
  instance.view.setUint32(4, id, true);
  if (context.command(abi.NF_CT_EXTRA, 8, "conntrack", true) < 0) return { counters: undefined, labels: undefined };
  const flags = instance.view.getUint32(abi.CTEXT_FLAGS, true);
  const pair = (at: number): readonly [number, number] => [instance.u64(at), instance.u64(at + 8)];
  return {
    counters: (flags & abi.CTEXT_HAS_COUNTERS) === 0 ? undefined : [pair(abi.CTEXT_COUNTERS), pair(abi.CTEXT_COUNTERS + 16)],
    labels: (flags & abi.CTEXT_HAS_LABELS) === 0 ? undefined : instance.copy(abi.CTEXT_LABELS, 16),
  };
}
