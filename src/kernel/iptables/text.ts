/**
 * Words of iptables' rules: numbers, addresses, ports, protocols, quoting, and how it refuses them (libxtables/xtables.c,
 * xtoptions.c of iptables 1.8.9).
 */
import { formatIpv4 } from "../address.ts";

/**
 * Why a command fails. `usage`: a mistake in the words (exit 2, with the line that points to --help); `other`: the tables refuse
 * (exit 1), where `message` is what `iptables` says and iptables-restore only names the line.
 */
export class Refusal extends Error {
  readonly kind: "usage" | "other" | "plain";
  readonly exitCode: number;
  constructor(kind: "usage" | "other" | "plain", message: string, exitCode = kind === "usage" ? 2 : 1) {
    super(message);
    this.kind = kind;
    this.exitCode = exitCode;
  }
}

/** A mistake in the words: worded `iptables v1.8.9 (legacy): MESSAGE`. */
export const usage = (message: string): Refusal => new Refusal("usage", message);

/** xtables_strtoui: base 10, 0x or 0, nothing behind it; undefined when it is no number or out of range. */
export function parseNumber(text: string, min = 0, max = 0xffffffff): number | undefined {
  let at = 0;
  let base = 10;
  if (text.charCodeAt(0) === 48 && text.length > 1) {
    const x = text.charCodeAt(1);
    if (x === 120 || x === 88) {
      base = 16;
      at = 2;
    } else {
      base = 8;
      at = 1;
    }
  }
  if (at === text.length) return undefined;
  let value = 0;
  for (; at < text.length; at++) {
    const c = text.charCodeAt(at);
    const digit = c >= 48 && c <= 57 ? c - 48 : c >= 97 && c <= 102 ? c - 87 : c >= 65 && c <= 70 ? c - 55 : 99;
    if (digit >= base) return undefined;
    value = value * base + digit;
    if (value > 0xffffffffffff) return undefined;
  }
  return value >= min && value <= max ? value : undefined;
}

/** An option's number, as libxtables checks and words it. `range` names the limits in the message. */
export function number(ext: string, option: string, text: string, min = 0, max = 0xffffffff, range = false): number {
  const value = parseNumber(text, min, max);
  if (value !== undefined) return value;
  throw usage(
    range && parseNumber(text) !== undefined
      ? `${ext}: bad value for option "--${option}", or out of range (${min}-${max}).\n`
      : `${ext}: bad integer value for option "--${option}", or out of range.\n`,
  );
}

/** `VALUE[/MASK]` (XTTYPE_MARKMASK32). */
export function markMask(ext: string, option: string, text: string): { value: number; mask: number } {
  const slash = text.indexOf("/");
  return slash < 0
    ? { value: number(ext, option, text), mask: 0xffffffff }
    : { value: number(ext, option, text.slice(0, slash)), mask: number(ext, option, text.slice(slash + 1)) };
}

export const hex = (value: number): string => `0x${(value >>> 0).toString(16)}`;
export const hex2 = (value: number): string => `0x${value < 16 ? "0" : ""}${value.toString(16)}`;

/** xtables_numeric_to_ipaddr: parts left out at the end are 0, numbers may be octal or hexadecimal. Host order. */
export function parseDotted(text: string, mask = false): number | undefined {
  const parts = text.split(".");
  if (parts.length > 4 || (mask && parts.length !== 4)) return undefined;
  let value = 0;
  for (let i = 0; i < 4; i++) {
    const part = i < parts.length ? parseNumber(parts[i]!, 0, 255) : 0;
    if (part === undefined) return undefined;
    value = value * 256 + part;
  }
  return value;
}

/** inet_pton: four decimal numbers. */
export function parseAddress(text: string): number {
  const parts = text.split(".");
  let value = 0;
  if (parts.length === 4) {
    for (const part of parts) {
      const byte = /^(0|[1-9][0-9]{0,2})$/.test(part) ? Number(part) : 256;
      if (byte > 255) throw usage(`Bad IP address "${text}"`);
      value = value * 256 + byte;
    }
    return value;
  }
  throw usage(`Bad IP address "${text}"`);
}

/** A mask by length or dotted; a mistake as iptables words it. */
export function parseMask(text: string): number {
  const dotted = text.includes(".") ? parseDotted(text, true) : undefined;
  if (dotted !== undefined) return dotted;
  const bits = parseNumber(text, 0, 32);
  if (bits === undefined) throw usage(`invalid mask \`${text}' specified`);
  return bits === 0 ? 0 : (0xffffffff << (32 - bits)) >>> 0;
}

/** A mask as its length, or dotted when it has holes. */
export function formatMask(mask: number): string {
  let bits = 0;
  while (bits < 32 && (mask >>> (31 - bits)) & 1) bits++;
  return bits === 32 || mask === (bits === 0 ? 0 : (0xffffffff << (32 - bits)) >>> 0) ? String(bits) : formatIpv4(mask);
}

export interface AddressMask {
  readonly address: number;
  readonly mask: number;
}

/** `ADDRESS[/MASK]`: the bits beyond the mask are cut off. Names are not resolved, `localhost` is known. */
export function parseHost(text: string): AddressMask {
  const slash = text.indexOf("/");
  const name = slash < 0 ? text : text.slice(0, slash);
  const mask = slash < 0 ? 0xffffffff : parseMask(text.slice(slash + 1));
  const address = mask === 0 ? 0 : name === "localhost" ? 0x7f000001 : parseDotted(name);
  if (address === undefined) throw usage(`host/network \`${name}' not found`);
  return { address: (address & mask) >>> 0, mask };
}

// /etc/protocols and libxtables' own names
const PROTOCOLS =
  "ip:0 icmp:1 igmp:2 ggp:3 ipencap:4 st:5 tcp:6 egp:8 igp:9 pup:12 udp:17 hmp:20 xns-idp:22 rdp:27 iso-tp4:29 dccp:33 xtp:36 " +
  "ddp:37 idpr-cmtp:38 ipv6:41 ipv6-route:43 ipv6-frag:44 idrp:45 rsvp:46 gre:47 esp:50 ah:51 skip:57 ipv6-icmp:58 " +
  "ipv6-nonxt:59 ipv6-opts:60 rspf:73 vmtp:81 eigrp:88 ospf:89 ax.25:93 ipip:94 etherip:97 encap:98 pim:103 ipcomp:108 vrrp:112 " +
  "l2tp:115 isis:124 sctp:132 fc:133 mobility-header:135 udplite:136 mpls-in-ip:137 manet:138 hip:139 shim6:140 wesp:141 rohc:142";
// /etc/services, those that rules name
const SERVICES =
  "tcpmux:1 echo:7 discard:9 daytime:13 chargen:19 ftp-data:20 ftp:21 ssh:22 telnet:23 smtp:25 mail:25 time:37 whois:43 tacacs:49 " +
  "domain:53 bootps:67 bootpc:68 tftp:69 gopher:70 finger:79 http:80 www:80 kerberos:88 pop3:110 sunrpc:111 auth:113 nntp:119 " +
  "ntp:123 epmap:135 netbios-ns:137 netbios-dgm:138 netbios-ssn:139 imap2:143 imap:143 snmp:161 snmp-trap:162 bgp:179 irc:194 " +
  "ldap:389 https:443 microsoft-ds:445 submissions:465 isakmp:500 exec:512 login:513 syslog:514 shell:514 printer:515 route:520 " +
  "dhcpv6-client:546 dhcpv6-server:547 rtsp:554 submission:587 ipp:631 ldaps:636 domain-s:853 rsync:873 ftps:990 telnets:992 " +
  "imaps:993 pop3s:995 socks:1080 openvpn:1194 ms-sql-s:1433 l2f:1701 radius:1812 radius-acct:1813 nfs:2049 iscsi-target:3260 " +
  "mysql:3306 ms-wbt-server:3389 sip:5060 sip-tls:5061 xmpp-client:5222 postgresql:5432 mdns:5353 amqps:5671 amqp:5672 x11:6000 " +
  "redis:6379 http-alt:8080 zabbix-agent:10050 webmin:10000";

const table = (text: string): Map<string, number> => {
  const map = new Map<string, number>();
  for (const entry of text.split(" ")) {
    const colon = entry.indexOf(":");
    map.set(entry.slice(0, colon), Number(entry.slice(colon + 1)));
  }
  return map;
};
let protocols: Map<string, number> | undefined;
let protocolNames: Map<number, string> | undefined;
let services: Map<string, number> | undefined;

/** A protocol by name or number (xtables_parse_protocol). */
export function parseProtocol(text: string): number {
  const value = parseNumber(text, 0, 255);
  if (value !== undefined) return value;
  protocols ??= table(PROTOCOLS);
  const name = text.toLowerCase();
  const found = name === "all" ? 0 : name === "icmpv6" ? 58 : protocols.get(name);
  if (found === undefined) throw usage(`unknown protocol "${name}" specified`);
  return found;
}

/** The name by which iptables-save prints a protocol. */
export function protocolName(value: number): string {
  protocols ??= table(PROTOCOLS);
  protocolNames ??= new Map(Array.from(protocols, ([name, number_]) => [number_, name] as const));
  return protocolNames.get(value) ?? String(value);
}

/** A port by number or service name, or undefined. */
export function portNumber(text: string): number | undefined {
  services ??= table(SERVICES);
  return parseNumber(text, 0, 65535) ?? services.get(text);
}

/** The service of a port, or its number. */
export function portName(value: number): string {
  services ??= table(SERVICES);
  for (const [name, number_] of services) if (number_ === value) return name;
  return String(value);
}

/** xtables_parse_port. */
export function parsePort(text: string): number {
  const value = portNumber(text);
  if (value === undefined) throw usage(`invalid port/service \`${text}' specified`);
  return value;
}

export type Range = readonly [number, number];

/** `LO[:HI]`, either may be left out beside a colon. */
export function parsePorts(text: string): Range {
  const colon = text.indexOf(":");
  if (colon < 0) {
    const port = parsePort(text);
    return [port, port];
  }
  const lo = colon === 0 ? 0 : parsePort(text.slice(0, colon));
  const hi = colon + 1 === text.length ? 65535 : parsePort(text.slice(colon + 1));
  if (lo > hi) throw usage("invalid portrange (min > max)");
  return [lo, hi];
}

export const formatRange = ([lo, hi]: Range, separator = ":"): string => (lo === hi ? String(lo) : `${lo}${separator}${hi}`);

/** A word as iptables-save prints it (xtables_save_string): quoted unless all its characters are plain. */
export function quote(text: string): string {
  let plain = text.length > 0;
  let escaped = "";
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    const word = (c >= 48 && c <= 57) || (c >= 65 && c <= 90) || (c >= 97 && c <= 122) || c === 95 || c === 45;
    if (!word) plain = false;
    escaped += c === 34 || c === 92 || c === 39 ? `\\${text[i]}` : text[i];
  }
  return plain ? text : `"${escaped}"`;
}

/** Splits a line of iptables-restore input into words (add_param_to_argv): double quotes, backslash within them. */
export function words(line: string): string[] {
  const result: string[] = [];
  let word = "";
  let quoted = false;
  let any = false;
  // What stands between two characters that mean something is taken in one piece.
  let from = 0;
  for (let i = 0; i < line.length; i++) {
    const c = line.charCodeAt(i);
    if (quoted) {
      if (c === 92 && i + 1 < line.length) {
        word += line.slice(from, i);
        from = ++i;
      } else if (c === 34) {
        quoted = false;
        word += line.slice(from, i);
        from = i + 1;
      }
    } else if (c === 34) {
      quoted = any = true;
      word += line.slice(from, i);
      from = i + 1;
    } else if (c === 32 || c === 9 || c === 10) {
      word += line.slice(from, i);
      from = i + 1;
      if (any || word !== "") result.push(word);
      word = "";
      any = false;
    }
  }
  word += line.slice(from);
  if (quoted || any || word !== "") result.push(word);
  return result;
}
