/**
 * What Kubernetes adds to CEL's functions, as functions of the library's environment. Follows k8s.io/apiserver/pkg/cel/library (cidr.go,
 * format.go, ip.go, lists.go, quantity.go, regex.go, urls.go), cel-go/ext/strings.go and sets.go.
 */
import { Optional } from "@marcbachmann/cel-js";
import { Duration, Environment, UnsignedInt } from "@marcbachmann/cel-js/evaluator";
import { formatQuantity, parseQuantity } from "../../../apimachinery/quantity.ts";
import type { Quantity as Amount } from "../../../apimachinery/quantity.ts";
import { validateDNS1035Label, validateDNS1123Label, validateDNS1123Subdomain, validateLabelKey, validateLabelValue } from "../../../apimachinery/validation.ts";
import { quote } from "../errors.ts";
import { formatProblem } from "../formats.ts";
import { contains, formatIP, masked, parseIP, parsePrefix } from "../ip.ts";
import type { IP as Address, Prefix } from "../ip.ts";
import { regexp } from "../regexp.ts";
import { NAMED_FORMATS } from "./declarations.ts";

class Quantity {
  readonly amount: Amount;
  constructor(amount: Amount) {
    this.amount = amount;
  }
}

class IP {
  readonly address: Address;
  constructor(address: Address) {
    this.address = address;
  }
}

class CIDR {
  readonly prefix: Prefix;
  constructor(prefix: Prefix) {
    this.prefix = prefix;
  }
}

/** A URL in its parts; the URL of JavaScript would change it while reading. */
class Url {
  readonly scheme: string;
  readonly host: string;
  readonly path: string;
  readonly query: string;
  constructor(scheme: string, host: string, path: string, query: string) {
    this.scheme = scheme;
    this.host = host;
    this.path = path;
    this.query = query;
  }
}

class NamedFormat {
  readonly validate: (text: string) => string[];
  constructor(validate: (text: string) => string[]) {
    this.validate = validate;
  }
}

/** What stands before the dot of functions like `sets.contains`. */
class Sets {}
class Strings {}
class Addresses {}
class Formats {}

/** An evaluation that failed; the message is cel-go's. */
export class CelError extends Error {}

const NANO = 1_000_000_000n;

/** Follows url.ParseRequestURI: undefined when the text is none. */
function parseUrl(text: string): Url | undefined {
  // A space or control character anywhere makes it invalid, and so does a broken escape.
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) <= 0x20 || text.charCodeAt(i) === 0x7f) return undefined;
  if (/%(?![0-9a-fA-F]{2})/.test(text)) return undefined;
  const m = /^(?:([a-zA-Z][a-zA-Z0-9+.-]*):)?(?:\/\/([^/?]*))?([^?]*)(?:\?(.*))?$/.exec(text);
  if (m === null) return undefined;
  const [, scheme = "", authority, path = "", query = ""] = m;
  if (scheme === "" && !path.startsWith("/")) return undefined;
  if (scheme === "" && authority !== undefined) return new Url("", authority, path, query);
  if (authority === undefined && scheme !== "" && !path.startsWith("/")) return undefined;
  const host = authority === undefined ? "" : authority.slice(authority.lastIndexOf("@") + 1);
  if (/^\[[^\]]*$/.test(host) || !/^(?:\[[^\]]*\]|[^:[\]]*)(?::\d*)?$/.test(host)) return undefined;
  return new Url(scheme.toLowerCase(), host, path, query);
}

function queryOf({ query }: Url): Map<string, string[]> {
  const out = new Map<string, string[]>();
  for (const [key, value] of new URLSearchParams(query)) out.set(key, [...(out.get(key) ?? []), value]);
  return out;
}

const fail = (message: string): never => {
  throw new CelError(message);
};

const points = (text: string): string[] => [...text];

function charAt(text: string, index: bigint): string {
  const list = points(text);
  const at = Number(index);
  if (at < 0 || at > list.length) fail(`index out of range: ${at}`);
  return list[at] ?? "";
}

function indexOf(text: string, part: string, from: bigint): bigint {
  const list = points(text);
  const wanted = points(part);
  const start = Number(from);
  if (start < 0 || start > list.length) fail(`index out of range: ${start}`);
  if (part === "") return from;
  for (let i = start; i + wanted.length <= list.length; i++) if (wanted.every((c, j) => list[i + j] === c)) return BigInt(i);
  return -1n;
}

function lastIndexOf(text: string, part: string, from: bigint | undefined): bigint {
  const list = points(text);
  const wanted = points(part);
  const start = from === undefined ? list.length - wanted.length : Number(from);
  if (from !== undefined && (start < 0 || start > list.length)) fail(`index out of range: ${start}`);
  if (part === "") return from ?? BigInt(list.length);
  for (let i = Math.min(start, list.length - wanted.length); i >= 0; i--) if (wanted.every((c, j) => list[i + j] === c)) return BigInt(i);
  return -1n;
}

function substring(text: string, from: bigint, to: bigint | undefined): string {
  const list = points(text);
  const [start, end] = [Number(from), to === undefined ? list.length : Number(to)];
  if (start < 0 || start > list.length) fail(`index out of range: ${start}`);
  if (end < 0 || end > list.length) fail(`index out of range: ${end}`);
  if (start > end) fail(`invalid substring range. start: ${start}, end: ${end}`);
  return list.slice(start, end).join("");
}

function replace(text: string, what: string, by: string, limit: bigint): string {
  if (limit === 0n) return text;
  const parts = text.split(what);
  const times = limit < 0n ? parts.length - 1 : Math.min(parts.length - 1, Number(limit));
  return parts.slice(0, times + 1).join(by) + (times + 1 < parts.length ? what + parts.slice(times + 1).join(what) : "");
}

function split(text: string, separator: string, limit: bigint): string[] {
  if (limit === 0n) return [];
  const parts = separator === "" ? points(text) : text.split(separator);
  return limit < 0n || parts.length <= Number(limit) ? parts : [...parts.slice(0, Number(limit) - 1), parts.slice(Number(limit) - 1).join(separator)];
}

const ascii = (text: string, upper: boolean): string => text.replace(upper ? /[a-z]/g : /[A-Z]/g, (c) => (upper ? c.toUpperCase() : c.toLowerCase()));

function findAll(text: string, pattern: string, limit: bigint): string[] {
  const matcher = expression(pattern).re.matcher(text);
  const out: string[] = [];
  while ((limit < 0n || out.length < Number(limit)) && matcher.find()) out.push(matcher.group() ?? "");
  return out;
}

function expression(pattern: string): ReturnType<typeof regexp> {
  try {
    return regexp(pattern);
  } catch (e) {
    throw new CelError(e instanceof Error ? e.message : "error parsing regexp");
  }
}

type Comparable = bigint | number | string | boolean | Uint8Array | Date | Duration | UnsignedInt;

function order(a: Comparable, b: Comparable): number {
  const plain = (v: Comparable): bigint | number | string => {
    if (v instanceof UnsignedInt || v instanceof Date || v instanceof Duration) return v.valueOf() as bigint | number;
    if (v instanceof Uint8Array) return String.fromCharCode(...v);
    return typeof v === "boolean" ? Number(v) : v;
  };
  const [x, y] = [plain(a), plain(b)];
  return x < y ? -1 : x > y ? 1 : 0;
}

function extreme(list: readonly Comparable[], sign: number, name: string): Comparable {
  if (list.length === 0) fail(`${name} called on empty list`);
  return list.reduce((best, item) => (order(item, best) * sign > 0 ? item : best));
}

function sum(list: readonly Comparable[]): unknown {
  const first = list[0];
  if (first === undefined) return 0n;
  if (first instanceof Duration) return list.reduce((total, d) => (total as Duration).addDuration(d as Duration), new Duration(0n));
  if (first instanceof UnsignedInt) return new UnsignedInt(list.reduce<bigint>((total, v) => total + (v as UnsignedInt).valueOf(), 0n));
  if (typeof first === "number") return list.reduce<number>((total, v) => total + (v as number), 0);
  return list.reduce<bigint>((total, v) => total + (v as bigint), 0n);
}

/** CEL's equality of values, deep. */
export function celEquals(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a === "bigint" && typeof b === "number") return Number(a) === b;
  if (typeof a === "number" && typeof b === "bigint") return a === Number(b);
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((v, i) => celEquals(v, b[i]));
  if (a instanceof Quantity && b instanceof Quantity) return a.amount.nano === b.amount.nano;
  if (a instanceof IP && b instanceof IP) return a.address.value === b.address.value && a.address.family === b.address.family;
  if (a instanceof CIDR && b instanceof CIDR) return a.prefix.bits === b.prefix.bits && a.prefix.ip.family === b.prefix.ip.family && a.prefix.ip.value === b.prefix.ip.value;
  if (a instanceof Url && b instanceof Url) return a.scheme === b.scheme && a.host === b.host && a.path === b.path && a.query === b.query;
  if (a instanceof Date && b instanceof Date) return a.getTime() === b.getTime();
  if (a instanceof Duration && b instanceof Duration) return a.seconds === b.seconds && a.nanos === b.nanos;
  if (a instanceof UnsignedInt && b instanceof UnsignedInt) return a.valueOf() === b.valueOf();
  if (a instanceof Uint8Array && b instanceof Uint8Array) return a.length === b.length && a.every((v, i) => v === b[i]);
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null || a.constructor !== b.constructor || (a.constructor !== Object && a.constructor !== undefined)) return false;
  const [x, y] = [a as Record<string, unknown>, b as Record<string, unknown>];
  const keys = Object.keys(x);
  return keys.length === Object.keys(y).length && keys.every((k) => Object.hasOwn(y, k) && celEquals(x[k], y[k]));
}

const within = (list: readonly unknown[], value: unknown): boolean => list.some((v) => celEquals(v, value));

function quantity(text: string): Amount | undefined {
  try {
    return parseQuantity(text);
  } catch {
    return undefined;
  }
}

/** Quantities that are no int64 in whole units. */
const isWhole = ({ nano }: Amount): boolean => nano % NANO === 0n && nano / NANO >= -(2n ** 63n) && nano / NANO < 2n ** 63n;

const prefixed = (validate: (text: string) => string[]) => (text: string): string[] => validate(text.replace(/-$/, "a"));
const problem = (format: string, message: string) => (text: string): string[] => (formatProblem(format, text) ? [message] : []);

const FORMATS: Readonly<Record<(typeof NAMED_FORMATS)[number], (text: string) => string[]>> = {
  dns1123Label: validateDNS1123Label, dns1123Subdomain: validateDNS1123Subdomain, dns1035Label: validateDNS1035Label,
  dns1123LabelPrefix: prefixed(validateDNS1123Label), dns1123SubdomainPrefix: prefixed(validateDNS1123Subdomain), dns1035LabelPrefix: prefixed(validateDNS1035Label),
  qualifiedName: validateLabelKey, labelValue: validateLabelValue,
  uri: (text) => (parseUrl(text) === undefined ? ["invalid URI"] : []), uuid: problem("uuid", "does not match the UUID format"), byte: problem("byte", "invalid base64"),
  date: problem("date", "invalid date"), datetime: problem("datetime", "invalid datetime"),
};

/** Follows stringFormat of ext/strings.go. */
function format(pattern: string, args: readonly unknown[]): string {
  let at = 0;
  return pattern.replace(/%(?:%|(?:\.(\d+))?([a-zA-Z]))|%/g, (whole, precision: string | undefined, verb: string | undefined) => {
    if (whole === "%%") return "%";
    if (verb === undefined) return fail("unexpected end of string");
    if (at >= args.length) return fail(`index ${at} out of range`);
    const value = args[at++];
    const number = (): number => (typeof value === "number" ? value : Number(value as bigint));
    switch (verb) {
      case "s": return shown(value);
      case "d": return typeof value === "bigint" || value instanceof UnsignedInt ? String(value) : fail("error during formatting: decimal clause can only be used on integers, was given " + celTypeName(value));
      case "f": return number().toFixed(precision === undefined ? 6 : Number(precision));
      case "e": return exponential(number(), precision === undefined ? 6 : Number(precision));
      case "b": return typeof value === "boolean" ? (value ? "1" : "0") : (value as bigint).toString(2);
      case "o": return (value as bigint).toString(8);
      case "x":
      case "X": {
        const text = typeof value === "string" ? Array.from(new TextEncoder().encode(value), (b) => b.toString(16).padStart(2, "0")).join("") : value instanceof Uint8Array ? Array.from(value, (b) => b.toString(16).padStart(2, "0")).join("") : (value as bigint).toString(16);
        return verb === "X" ? text.toUpperCase() : text;
      }
      default: return fail(`could not parse formatting clause: unrecognized formatting clause "${verb}"`);
    }
  });
}

function exponential(value: number, precision: number): string {
  return value.toExponential(precision).replace(/e([+-])(\d)$/, "e$10$2");
}

function celTypeName(value: unknown): string {
  if (typeof value === "string") return "string";
  if (typeof value === "bigint") return "int";
  if (typeof value === "number") return "double";
  if (typeof value === "boolean") return "bool";
  return Array.isArray(value) ? "list" : "map";
}

function shown(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return `[${value.map(shown).join(", ")}]`;
  if (value instanceof Date) return timestampText(value);
  if (value instanceof Duration) return durationText(value);
  if (value instanceof UnsignedInt) return String(value.valueOf());
  if (value instanceof Quantity) return formatQuantity(value.amount);
  if (value instanceof Uint8Array) return new TextDecoder().decode(value);
  if (typeof value === "object") return `{${Object.keys(value).sort().map((k) => `${k}: ${shown((value as Record<string, unknown>)[k])}`).join(", ")}}`;
  return String(value);
}

const timestampText = (date: Date): string => date.toISOString().replace(/\.000Z$/, "Z").replace(/(\.\d*?)0+Z$/, "$1Z");

function durationText(d: Duration): string {
  const nanos = d.seconds * NANO + BigInt(d.nanos);
  const sign = nanos < 0n ? "-" : "";
  const abs = nanos < 0n ? -nanos : nanos;
  const fraction = (abs % NANO).toString().padStart(9, "0").replace(/0+$/, "");
  return `${sign}${abs / NANO}${fraction === "" ? "" : `.${fraction}`}s`;
}

let environment: Environment | undefined;

/** The environment that rules are evaluated in; made at its first use. */
export function celEnvironment(): Environment {
  environment ??= build();
  return environment;
}

function build(): Environment {
  const env = new Environment({ unlistedVariablesAreDyn: true, enableOptionalTypes: true, homogeneousAggregateLiterals: false });
  for (const [name, type] of [["kubernetes.URL", Url], ["kubernetes.Quantity", Quantity], ["net.IP", IP], ["net.CIDR", CIDR], ["kubernetes.NamedFormat", NamedFormat], ["SetsNamespace", Sets], ["StringsNamespace", Strings], ["AddressNamespace", Addresses], ["FormatNamespace", Formats]] as const)
    env.registerType(name, type);
  env.registerConstant("sets", "SetsNamespace", new Sets());
  env.registerConstant("strings", "StringsNamespace", new Strings());
  env.registerConstant("ip", "AddressNamespace", new Addresses());
  env.registerConstant("format", "FormatNamespace", new Formats());
  // What the library has itself stays where it is the same.
  const add = (signature: string, run: (...args: never[]) => unknown): void => {
    try {
      env.registerFunction(signature, run as (...args: unknown[]) => unknown);
    } catch {
      return;
    }
  };
  add("string.charAt(int): string", charAt);
  add("string.indexOf(string): int", (t: string, p: string) => indexOf(t, p, 0n));
  add("string.indexOf(string, int): int", indexOf);
  add("string.lastIndexOf(string): int", (t: string, p: string) => lastIndexOf(t, p, undefined));
  add("string.lastIndexOf(string, int): int", lastIndexOf);
  add("string.lowerAscii(): string", (t: string) => ascii(t, false));
  add("string.upperAscii(): string", (t: string) => ascii(t, true));
  add("string.replace(string, string): string", (t: string, a: string, b: string) => replace(t, a, b, -1n));
  add("string.replace(string, string, int): string", replace);
  add("string.split(string): list<string>", (t: string, s: string) => split(t, s, -1n));
  add("string.split(string, int): list<string>", split);
  add("string.substring(int): string", (t: string, a: bigint) => substring(t, a, undefined));
  add("string.substring(int, int): string", substring);
  add("string.trim(): string", (t: string) => t.trim());
  add("list<string>.join(): string", (l: string[]) => l.join(""));
  add("list<string>.join(string): string", (l: string[], s: string) => l.join(s));
  add("string.format(list<dyn>): string", format);
  add("StringsNamespace.quote(string): string", (_: unknown, t: string) => quote(t));
  add("list<dyn>.isSorted(): bool", (l: Comparable[]) => l.every((v, i) => i === 0 || order(l[i - 1]!, v) <= 0));
  add("list<dyn>.sum(): dyn", sum);
  add("list<dyn>.max(): dyn", (l: Comparable[]) => extreme(l, 1, "max"));
  add("list<dyn>.min(): dyn", (l: Comparable[]) => extreme(l, -1, "min"));
  add("list<dyn>.indexOf(dyn): int", (l: unknown[], v: unknown) => BigInt(l.findIndex((w) => celEquals(v, w))));
  add("list<dyn>.lastIndexOf(dyn): int", (l: unknown[], v: unknown) => BigInt(l.findLastIndex((w) => celEquals(v, w))));
  add("string.find(string): string", (t: string, p: string) => findAll(t, p, 1n)[0] ?? "");
  add("string.findAll(string): list<string>", (t: string, p: string) => findAll(t, p, -1n));
  add("string.findAll(string, int): list<string>", findAll);
  add("matchesRe2(string, string): bool", (t: string, p: string) => expression(p).find(t));
  add("url(string): kubernetes.URL", (t: string) => parseUrl(t) ?? fail(`URL parse error during conversion from string: parse ${quote(t)}: invalid URI for request`));
  add("isURL(string): bool", (t: string) => parseUrl(t) !== undefined);
  add("kubernetes.URL.getScheme(): string", (u: Url) => u.scheme);
  add("kubernetes.URL.getHost(): string", (u: Url) => u.host);
  add("kubernetes.URL.getHostname(): string", (u: Url) => u.host.replace(/:\d*$/, "").replace(/^\[(.*)\]$/, "$1"));
  add("kubernetes.URL.getPort(): string", (u: Url) => /:(\d*)$/.exec(u.host)?.[1] ?? "");
  add("kubernetes.URL.getEscapedPath(): string", (u: Url) => u.path);
  add("kubernetes.URL.getQuery(): map<string, list<string>>", (u: Url) => queryOf(u));
  add("quantity(string): kubernetes.Quantity", (t: string) => new Quantity(quantity(t) ?? fail("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")));
  add("isQuantity(string): bool", (t: string) => quantity(t) !== undefined);
  add("kubernetes.Quantity.isInteger(): bool", (q: Quantity) => isWhole(q.amount));
  add("kubernetes.Quantity.asInteger(): int", (q: Quantity) => (isWhole(q.amount) ? q.amount.nano / NANO : fail("cannot convert value to integer")));
  add("kubernetes.Quantity.asApproximateFloat(): double", (q: Quantity) => Number(q.amount.nano) / 1e9);
  add("kubernetes.Quantity.sign(): int", (q: Quantity) => (q.amount.nano > 0n ? 1n : q.amount.nano < 0n ? -1n : 0n));
  const plus = (q: Quantity, nano: bigint): Quantity => new Quantity({ ...q.amount, nano: q.amount.nano + nano });
  add("kubernetes.Quantity.add(kubernetes.Quantity): kubernetes.Quantity", (a: Quantity, b: Quantity) => plus(a, b.amount.nano));
  add("kubernetes.Quantity.add(int): kubernetes.Quantity", (a: Quantity, b: bigint) => plus(a, b * NANO));
  add("kubernetes.Quantity.sub(kubernetes.Quantity): kubernetes.Quantity", (a: Quantity, b: Quantity) => plus(a, -b.amount.nano));
  add("kubernetes.Quantity.sub(int): kubernetes.Quantity", (a: Quantity, b: bigint) => plus(a, -b * NANO));
  add("kubernetes.Quantity.isLessThan(kubernetes.Quantity): bool", (a: Quantity, b: Quantity) => a.amount.nano < b.amount.nano);
  add("kubernetes.Quantity.isGreaterThan(kubernetes.Quantity): bool", (a: Quantity, b: Quantity) => a.amount.nano > b.amount.nano);
  add("kubernetes.Quantity.compareTo(kubernetes.Quantity): int", (a: Quantity, b: Quantity) => (a.amount.nano < b.amount.nano ? -1n : a.amount.nano > b.amount.nano ? 1n : 0n));
  addAddresses(add);
  for (const name of NAMED_FORMATS) add(`FormatNamespace.${name}(): kubernetes.NamedFormat`, () => new NamedFormat(FORMATS[name]));
  add("FormatNamespace.named(string): optional", (_: unknown, name: string) => (Object.hasOwn(FORMATS, name) ? Optional.of(new NamedFormat(FORMATS[name as "uri"])) : Optional.none()));
  add("kubernetes.NamedFormat.validate(string): optional", (f: NamedFormat, text: string) => {
    const found = f.validate(text);
    return found.length === 0 ? Optional.none() : Optional.of(found);
  });
  add("SetsNamespace.contains(list<dyn>, list<dyn>): bool", (_: unknown, a: unknown[], b: unknown[]) => b.every((v) => within(a, v)));
  add("SetsNamespace.equivalent(list<dyn>, list<dyn>): bool", (_: unknown, a: unknown[], b: unknown[]) => a.every((v) => within(b, v)) && b.every((v) => within(a, v)));
  add("SetsNamespace.intersects(list<dyn>, list<dyn>): bool", (_: unknown, a: unknown[], b: unknown[]) => a.some((v) => within(b, v)));
  for (const type of ["kubernetes.Quantity", "net.IP", "net.CIDR", "kubernetes.URL"]) env.registerOperator(`${type} == ${type}`, (a: unknown, b: unknown) => celEquals(a, b));
  return env;
}

function addAddresses(add: (signature: string, run: (...args: never[]) => unknown) => void): void {
  const address = (t: string): Address => parseIP(t) ?? fail(`IP Address ${quote(t)} parse error during conversion from string: ParseAddr(${quote(t)}): unable to parse IP`);
  const prefix = (t: string): Prefix => parsePrefix(t) ?? fail(`network address parse error during conversion from string: netip.ParsePrefix(${quote(t)}): no '/'`);
  const covers = (outer: Prefix, inner: Prefix): boolean => outer.bits <= inner.bits && contains(outer, inner.ip);
  const top = (a: Address, bits: number): bigint => a.value >> BigInt((a.family === 4 ? 32 : 128) - bits);
  const loopback = (a: Address): boolean => (a.family === 4 ? top(a, 8) === 127n : a.value === 1n);
  const linkLocal = (a: Address): boolean => (a.family === 4 ? top(a, 16) === 0xa9fen : top(a, 10) === 0x3fan);
  const linkLocalMulticast = (a: Address): boolean => (a.family === 4 ? top(a, 24) === 0xe00000n : top(a, 16) === 0xff02n);
  const multicast = (a: Address): boolean => (a.family === 4 ? top(a, 4) === 0xen : top(a, 8) === 0xffn);
  const broadcast = (a: Address): boolean => a.family === 4 && a.value === 0xffffffffn;
  add("ip(string): net.IP", (t: string) => new IP(address(t)));
  add("isIP(string): bool", (t: string) => parseIP(t) !== undefined);
  add("AddressNamespace.isCanonical(string): bool", (_: unknown, t: string) => formatIP(address(t)) === t);
  add("net.IP.family(): int", (i: IP) => BigInt(i.address.family));
  add("net.IP.isUnspecified(): bool", (i: IP) => i.address.value === 0n);
  add("net.IP.isLoopback(): bool", (i: IP) => loopback(i.address));
  add("net.IP.isLinkLocalMulticast(): bool", (i: IP) => linkLocalMulticast(i.address));
  add("net.IP.isLinkLocalUnicast(): bool", (i: IP) => linkLocal(i.address));
  add("net.IP.isGlobalUnicast(): bool", ({ address: a }: IP) => a.value !== 0n && !broadcast(a) && !loopback(a) && !multicast(a) && !linkLocal(a));
  add("string(net.IP): string", (i: IP) => formatIP(i.address));
  add("cidr(string): net.CIDR", (t: string) => new CIDR(prefix(t)));
  add("isCIDR(string): bool", (t: string) => parsePrefix(t) !== undefined);
  add("net.CIDR.containsIP(string): bool", (c: CIDR, t: string) => contains(c.prefix, address(t)));
  add("net.CIDR.containsIP(net.IP): bool", (c: CIDR, i: IP) => contains(c.prefix, i.address));
  add("net.CIDR.containsCIDR(string): bool", (c: CIDR, t: string) => covers(c.prefix, prefix(t)));
  add("net.CIDR.containsCIDR(net.CIDR): bool", (c: CIDR, d: CIDR) => covers(c.prefix, d.prefix));
  add("net.CIDR.ip(): net.IP", (c: CIDR) => new IP(c.prefix.ip));
  add("net.CIDR.masked(): net.CIDR", (c: CIDR) => new CIDR(masked(c.prefix)));
  add("net.CIDR.prefixLength(): int", (c: CIDR) => BigInt(c.prefix.bits));
  add("string(net.CIDR): string", (c: CIDR) => `${formatIP(c.prefix.ip)}/${c.prefix.bits}`);
}
