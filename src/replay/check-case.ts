/** Is this JSON text a case of the netfilter oracle? Says where it is not: the line and column of bad JSON, the path of a bad value. */
import type { OracleCase } from "./oracle-case.ts";

/** What is wrong with a case, and where: `packets[3].frame`, or `line 4, column 7`. */
export class ReplayError extends Error {
  readonly place: string;
  constructor(place: string, message: string) {
    super(`${place}: ${message.trimEnd()}`);
    this.name = "ReplayError";
    this.place = place;
  }
}

/** Parses and checks. Throws ReplayError. Keys that FORMAT.md does not name (`about`, `note`) may be there. */
export function parseCase(text: string): OracleCase {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    const { line, column } = jsonError(text);
    throw new ReplayError(`line ${line}, column ${column}`, "not JSON");
  }
  checkCase(value);
  return value as OracleCase;
}

type Check = (value: unknown, path: string) => void;

const refuse = (path: string, what: string): never => {
  throw new ReplayError(path === "" ? "case" : path, what);
};
const text: Check = (value, path) => {
  if (typeof value !== "string") refuse(path, "a string is expected");
};
const matches = (pattern: RegExp, what: string): Check => (value, path) => {
  if (typeof value !== "string" || !pattern.test(value)) refuse(path, `${what} is expected rather than ${JSON.stringify(value)}`);
};
const number = (min: number, max: number): Check => (value, path) => {
  if (typeof value !== "number" || !Number.isFinite(value) || value < min || value > max) {
    refuse(path, `a number between ${min} and ${max} is expected rather than ${JSON.stringify(value)}`);
  }
};
const flag: Check = (value, path) => {
  if (typeof value !== "boolean") refuse(path, "true or false is expected");
};
const list = (each: Check): Check => (value, path) => {
  if (!Array.isArray(value)) return refuse(path, "a list is expected");
  value.forEach((item, i) => each(item, `${path}[${i}]`));
};
const object = (value: unknown, path: string): Record<string, unknown> => {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return refuse(path, "an object is expected");
  return value as Record<string, unknown>;
};
const record = (fields: Readonly<Record<string, Check>>, required: readonly string[] = []): Check => (value, path) => {
  const found = object(value, path);
  const below = (key: string): string => (path === "" ? key : `${path}.${key}`);
  for (const key of required) if (found[key] === undefined) refuse(below(key), "is missing");
  for (const [key, check] of Object.entries(fields)) if (found[key] !== undefined) check(found[key], below(key));
};
const each = (check: Check): Check => (value, path) => {
  for (const [key, item] of Object.entries(object(value, path))) check(item, `${path}.${key}`);
};

const mac = matches(/^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/i, "a MAC address");
const ipv4 = matches(/^\d{1,3}(?:\.\d{1,3}){3}$/, "an IPv4 address");
const cidr = matches(/^[0-9a-f.:]+(?:\/\d{1,3})?$/i, "an address with a prefix length");
const port = number(1, 65535);
const sysctl: Check = (value, path) => {
  if (typeof value !== "string" && typeof value !== "number") refuse(path, "a string or a number is expected");
};
const frame = matches(/^(?:[0-9a-f]{2})+$/i, "an even number of hexadecimal digits");
const socket = record({ addr: ipv4, port }, ["port"]);

const CASE = record({
  name: text,
  interfaces: each(record({
    mac, addr: list(cidr), mtu: number(68, 65535), kind: matches(/^(?:veth|vxlan|bridge)$/, '"veth", "vxlan" or "bridge"'), master: text,
    vni: number(0, 0xffffff), local: ipv4, dev: text, dstport: port, opts: text,
  }, ["mac"])),
  routes: list(record({ dst: text, via: text, dev: text, type: text, src: text, metric: number(0, 0xffffffff), table: number(1, 0xffffffff),
    mtu: number(0, 0xffffffff), onlink: flag, scope: text }, ["dst"])),
  ip_rules: list(text),
  neighbors: list(record({ ip: text, mac, dev: text }, ["ip", "mac", "dev"])),
  fdb: list(record({ mac, dev: text, dst: text }, ["mac", "dev", "dst"])),
  sysctl: each(sysctl),
  ipset: text,
  iptables: text,
  packets: list(record({ at_ms: number(0, 1e9), in: text, frame, quiet_ms: number(0, 1e9) }, ["in", "frame"])),
  udp_echo: list(socket),
  tcp_listen: list(socket),
  ct_trace: flag,
  any_port: record({ addr: ipv4, range: list(number(0, 65535)) }, ["addr", "range"]),
  keep_non_ip: flag,
}, ["name", "interfaces", "packets"]);

/** Throws ReplayError for a value of a wrong type, and for a packet into an interface that is not there. */
export function checkCase(value: unknown): asserts value is OracleCase {
  CASE(value, "");
  const { interfaces, packets } = value as OracleCase;
  packets.forEach((packet, i) => {
    const link = interfaces[packet.in];
    if (packet.in === "local") return;
    if (link === undefined) refuse(`packets[${i}].in`, `there is no interface ${JSON.stringify(packet.in)}`);
    else if ((link.kind ?? "veth") !== "veth") refuse(`packets[${i}].in`, `${packet.in} is no veth`);
  });
}

const TOKEN = /[\s]*(?:([{}[\],:])|("(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")|(-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null))/y;

/** Where text that JSON.parse refuses stops being JSON (RFC 8259); lines and columns count from 1. */
function jsonError(source: string): { line: number; column: number } {
  const open: string[] = [];
  /** What may come next: a value, a key, the colon, or what follows a value. */
  let expect: "value" | "first" | "key" | "firstKey" | "colon" | "after" = "value";
  let at = 0;
  while (at < source.length) {
    TOKEN.lastIndex = at;
    const token = TOKEN.exec(source);
    if (token === null) break;
    const [, sign, string] = token;
    let ok: boolean;
    const closed = (): void => {
      open.pop();
      expect = "after";
    };
    if (expect === "value" || expect === "first") {
      ok = sign === undefined || sign === "{" || sign === "[" || (sign === "]" && expect === "first");
      if (sign === "{" || sign === "[") {
        open.push(sign);
        expect = sign === "{" ? "firstKey" : "first";
      } else if (sign === "]") closed();
      else expect = "after";
    } else if (expect === "key" || expect === "firstKey") {
      ok = string !== undefined || (sign === "}" && expect === "firstKey");
      if (sign === "}") closed();
      else expect = "colon";
    } else if (expect === "colon") {
      ok = sign === ":";
      expect = "value";
    } else {
      const inside = open.at(-1);
      ok = inside !== undefined && (sign === "," || sign === (inside === "{" ? "}" : "]"));
      if (sign === ",") expect = inside === "{" ? "key" : "value";
      else closed();
    }
    if (!ok) break;
    at = TOKEN.lastIndex;
  }
  while (at < source.length && /\s/.test(source[at]!)) at++;
  const before = source.slice(0, at).split("\n");
  return { line: before.length, column: before.at(-1)!.length + 1 };
}
