/** What the objects of `ip` share: options, names of numbers, prefixes, and how the kernel's refusals are told. */
import { parseIpv4 } from "../../kernel/address.ts";
import { KernelError, type Netns } from "../../kernel/netns.ts";
import { linkRecords, type LinkRecord } from "../kernel.ts";
import { Printer } from "../printer.ts";
import { invalid, ToolExit, unsigned, type Streams, type ToolHost, type ToolResult } from "../tool.ts";

export type Family = "inet" | "inet6" | "link" | undefined;

export interface IpContext {
  readonly host: ToolHost;
  readonly netns: Netns;
  readonly streams: Streams;
  readonly family: Family;
  readonly details: boolean;
  readonly stats: number;
  readonly oneline: boolean;
  readonly brief: boolean;
  readonly json: boolean;
  readonly pretty: boolean;
  readonly numeric: boolean;
  readonly resolve: boolean;
  /** Runs another command line in a namespace (`ip netns exec`). */
  run(netns: Netns, argv: readonly string[]): ToolResult;
}

export const printer = ({ json, pretty }: IpContext): Printer => new Printer(json, pretty);

/** _SL_: what begins a further line of one record. */
export const line = ({ oneline }: IpContext): string => (oneline ? "\\" : "\n");

/** Runs a call of the kernel; its refusal is told as libnetlink tells it. `status`: what the tool exits with. */
export function talk(run: () => void, status = 2): void {
  try {
    run();
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    throw new ToolExit(status, `${error.message}\n`);
  }
}

export const answers = (text: string, status = 2): ToolExit => new ToolExit(status, `RTNETLINK answers: ${text}\n`);

/** nodev() */
export const noDevice = (name: string, status = 1): ToolExit => new ToolExit(status, `Cannot find device "${name}"\n`);

export const findLink = (netns: Netns, name: string): LinkRecord | undefined => linkRecords(netns).find((link) => link.name === name);

export function needLink(netns: Netns, name: string, status = 1): LinkRecord {
  const link = findLink(netns, name);
  if (link === undefined) throw noDevice(name, status);
  return link;
}

/** A two-way table of names; numbers without a name are decimal. */
export interface Names {
  name(number: number, numeric?: boolean): string;
  number(text: string): number | undefined;
}

const names = (table: Readonly<Record<number, string>>, max: number): Names => ({
  name: (number, numeric = false) => (numeric ? String(number) : (table[number] ?? String(number))),
  number(text) {
    for (const [number, name] of Object.entries(table)) if (name === text) return Number(number);
    return unsigned(text, max);
  },
});

/** /etc/iproute2/rt_tables */
export const TABLES = names({ 0: "unspec", 253: "default", 254: "main", 255: "local" }, 0xffffffff);
/** /etc/iproute2/rt_protos */
export const PROTOCOLS = names({
  0: "unspec", 1: "redirect", 2: "kernel", 3: "boot", 4: "static", 8: "gated", 9: "ra", 10: "mrt", 11: "zebra", 12: "bird",
  13: "dnrouted", 14: "xorp", 15: "ntk", 16: "dhcp", 18: "keepalived", 42: "babel", 99: "openr", 186: "bgp", 187: "isis", 188: "ospf",
  189: "rip", 192: "eigrp",
}, 255);
/** /etc/iproute2/rt_scopes */
export const SCOPES = names({ 0: "global", 200: "site", 253: "link", 254: "host", 255: "nowhere" }, 255);

export const ROUTE_TYPES = [
  "none", "unicast", "local", "broadcast", "anycast", "multicast", "blackhole", "unreachable", "prohibit", "throw", "nat", "xresolve",
] as const;

export interface Prefix {
  readonly family: "inet" | "inet6";
  readonly address: string;
  readonly bits: number;
  /** Was a length written? */
  readonly explicit: boolean;
}

const familyName = (family: Family): string => (family === undefined ? "any valid" : family);

/** get_prefix(): `10.0.0.0/8`, `10.0.0.1`, `default`, `any`, `all`; a netmask may stand for the length. */
export function prefix(text: string, family: Family): Prefix {
  const bad = (): ToolExit => new ToolExit(1, `Error: ${familyName(family)} prefix is expected rather than "${text}".\n`);
  if (text === "default" || text === "any" || text === "all") {
    return { family: family === "inet6" ? "inet6" : "inet", address: family === "inet6" ? "::" : "0.0.0.0", bits: 0, explicit: true };
  }
  const slash = text.indexOf("/");
  const address = slash < 0 ? text : text.slice(0, slash);
  const parsed = addressOf(address);
  if (parsed === undefined || (family !== undefined && family !== "link" && parsed.family !== family)) throw bad();
  const room = parsed.family === "inet" ? 32 : 128;
  if (slash < 0) return { ...parsed, bits: room, explicit: false };
  const rest = text.slice(slash + 1);
  const bits = unsigned(rest) ?? (parsed.family === "inet" ? maskBits(rest) : undefined);
  if (bits === undefined || bits > room) throw bad();
  return { ...parsed, bits, explicit: true };
}

function maskBits(text: string): number | undefined {
  const mask = parseIpv4(text);
  if (mask === undefined) return undefined;
  const host = (~mask) >>> 0;
  return (host & (host + 1)) === 0 ? Math.clz32(host) : undefined;
}

/** An address of either family; IPv4 may be short (`10` is 10.0.0.0, as get_addr_ipv4 takes it). */
export function addressOf(text: string): { family: "inet" | "inet6"; address: string } | undefined {
  if (/^(?:\d{1,3}\.){0,3}\d{1,3}$/.test(text)) {
    const parts = text.split(".").map(Number);
    if (parts.some((part) => part > 255)) return undefined;
    while (parts.length < 4) parts.push(0);
    return { family: "inet", address: parts.join(".") };
  }
  const v6 = parseIpv6(text);
  return v6 === undefined ? undefined : { family: "inet6", address: formatIpv6(v6) };
}

/** get_addr() */
export function address(text: string, family: Family): { family: "inet" | "inet6"; address: string } {
  const parsed = addressOf(text);
  if (parsed === undefined || (family !== undefined && family !== "link" && parsed.family !== family)) {
    throw new ToolExit(1, `Error: ${family === undefined || family === "link" ? "any valid" : family} address is expected rather than "${text}".\n`);
  }
  return parsed;
}

/** The eight groups of an IPv6 address. */
export function parseIpv6(text: string): number[] | undefined {
  if (!/^[0-9a-fA-F:.]+$/.test(text)) return undefined;
  let rest = text;
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (dotted !== null) {
    const v4 = parseIpv4(dotted[2]!);
    if (v4 === undefined) return undefined;
    rest = `${dotted[1]}${(v4 >>> 16).toString(16)}:${(v4 & 0xffff).toString(16)}`;
  }
  const halves = rest.split("::");
  if (halves.length > 2) return undefined;
  const groups = (half: string): string[] => (half === "" ? [] : half.split(":"));
  const head = groups(halves[0]!);
  const tail = halves.length === 2 ? groups(halves[1]!) : [];
  const zeros = 8 - head.length - tail.length;
  if (halves.length === 2 ? zeros < 1 : zeros !== 0) return undefined;
  const all = [...head, ...Array.from({ length: zeros }, () => "0"), ...tail];
  return all.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group)) ? all.map((group) => Number.parseInt(group, 16)) : undefined;
}

/** As inet_ntop writes it: the longest run of zero groups left out (RFC 5952). */
export function formatIpv6(groups: readonly number[]): string {
  let best = -1;
  let length = 1;
  for (let i = 0; i < 8; i++) {
    let run = 0;
    while (i + run < 8 && groups[i + run] === 0) run++;
    if (run > length) [best, length] = [i, run];
  }
  const hex = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(":");
  return best < 0 ? hex(groups) : `${hex(groups.slice(0, best))}::${hex(groups.slice(best + length))}`;
}

/** Refuses what this kernel has no IPv6 for, as a kernel without it does. */
export const noFamily = (): ToolExit => answers("Operation not supported");

/** A number argument; `message` is what invarg() says. */
export function numberArgument(text: string, message: string, max = 0xffffffff): number {
  const value = unsigned(text, max);
  if (value === undefined) throw invalid(message, text);
  return value;
}

/** check_ifname(): no slash, no white space, not too long is left to the kernel. */
export const isInterfaceName = (text: string): boolean => text !== "" && !/[/\s]/.test(text);
