/** Statements with a grammar of their own: log, reject, and those of NAT. */
import * as abi from "../../../assembly/abi/nft.ts";
import {
  NAT_RANGE_PERSISTENT, NAT_RANGE_PROTO_RANDOM, NAT_RANGE_PROTO_RANDOM_FULLY, REJECT_ADMIN_PROHIBITED, REJECT_HOST_PROHIBITED,
  REJECT_HOST_UNREACHABLE, REJECT_NET_PROHIBITED, REJECT_NET_UNREACHABLE, REJECT_PORT_UNREACHABLE, REJECT_PROT_UNREACHABLE,
  REJECT_TCP_RESET,
} from "../../../assembly/abi/netfilter.ts";
import {
  REJECT6_ADDR_UNREACH, REJECT6_ADM_PROHIBITED, REJECT6_NO_ROUTE, REJECT6_POLICY_FAIL, REJECT6_PORT_UNREACH, REJECT6_REJECT_ROUTE, REJECT6_TCP_RESET,
} from "../../../assembly/abi/xtables.ts";
import { concatenation, startsExpression, type Expression, type RuleContext } from "./expressions.ts";
import { Refused, type Place } from "./lexer.ts";
import { mapLookup } from "./rule.ts";
import { value } from "./elements.ts";
import { type, type DataType } from "./types.ts";

const LEVELS = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug", "audit"];

/** `log [prefix "…"] [level …] [flags …] [group …]`: counted by nobody, it only says that the packet came by. */
export function logStatement({ cursor, ops, segments }: RuleContext): void {
  cursor.next();
  let text = "log";
  while (cursor.is("prefix", "level", "flags", "group", "snaplen", "queue-threshold")) {
    const option = cursor.next().text;
    if (option === "prefix") {
      if (cursor.token.kind !== "string") throw cursor.syntax("quoted string");
      text += ` prefix "${cursor.next().text}"`;
    } else if (option === "level") {
      const level = cursor.name();
      if (!LEVELS.includes(level.text)) throw new Refused("invalid log level", level);
      if (level.text !== "warn") text += ` level ${level.text}`;
    } else if (option === "flags") {
      const flags: string[] = [];
      do flags.push(cursor.name().text); while (cursor.take(",", "tcp", "ip"));
      text += ` flags ${flags.join(",")}`;
    } else {
      text += ` ${option} ${cursor.number()}`;
    }
  }
  ops.op(abi.NFTOP_LOG, 0);
  segments.push(text);
}

const REJECTS: Readonly<Record<string, number>> = {
  "net-unreachable": REJECT_NET_UNREACHABLE, "host-unreachable": REJECT_HOST_UNREACHABLE, "prot-unreachable": REJECT_PROT_UNREACHABLE,
  "port-unreachable": REJECT_PORT_UNREACHABLE, "net-prohibited": REJECT_NET_PROHIBITED, "host-prohibited": REJECT_HOST_PROHIBITED,
  "admin-prohibited": REJECT_ADMIN_PROHIBITED,
};
/** Words for both families, and what they are in either (nft_reject_icmp_code, nft_reject_icmpv6_code). */
const REJECTS_BOTH: Readonly<Record<string, readonly [v4: number, v6: number]>> = {
  "no-route": [REJECT_NET_UNREACHABLE, REJECT6_NO_ROUTE], "port-unreachable": [REJECT_PORT_UNREACHABLE, REJECT6_PORT_UNREACH],
  "host-unreachable": [REJECT_HOST_UNREACHABLE, REJECT6_ADDR_UNREACH], "admin-prohibited": [REJECT_ADMIN_PROHIBITED, REJECT6_ADM_PROHIBITED],
};
const REJECTS_V6: Readonly<Record<string, number>> = {
  "no-route": REJECT6_NO_ROUTE, "admin-prohibited": REJECT6_ADM_PROHIBITED, "addr-unreachable": REJECT6_ADDR_UNREACH,
  "port-unreachable": REJECT6_PORT_UNREACH, "policy-fail": REJECT6_POLICY_FAIL, "reject-route": REJECT6_REJECT_ROUTE,
};
/** Packets of that family are not rejected so. */
const NOT = 0xffffffff;

export function rejectStatement(context: RuleContext): void {
  const { cursor, ops, segments } = context;
  cursor.next();
  context.checks.push({ hooks: ["input", "forward", "output", "prerouting"] });
  let how: readonly [v4: number, v6: number] = [REJECT_PORT_UNREACHABLE, REJECT6_PORT_UNREACH];
  let text = "reject";
  if (cursor.take("with")) {
    const kind = cursor.next();
    if (kind.text === "tcp") {
      cursor.expect("reset");
      if (context.l4 !== undefined && context.l4 !== 6) {
        throw new Refused("conflicting protocols specified: tcp", kind);
      }
      if (context.l4 === undefined) {
        ops.op(abi.NFTOP_META, 0, (w) => w.u32(abi.NFTMETA_L4PROTO));
        ops.op(abi.NFTOP_CMP, 0, (w) => w.u8(abi.NFTCMP_EQ, 1).u16(0).data(Uint8Array.of(6)));
      }
      how = [REJECT_TCP_RESET, REJECT6_TCP_RESET];
      if (context.l4 === undefined && context.family === "inet") text = "meta l4proto tcp reject";
      text += " with tcp reset";
    } else if (kind.text === "icmp" || kind.text === "icmpx" || kind.text === "icmpv6") {
      cursor.take("type");
      const code = cursor.name();
      const known = kind.text === "icmpx" ? REJECTS_BOTH[code.text] : (kind.text === "icmp" ? REJECTS : REJECTS_V6)[code.text];
      if (known === undefined) throw new Refused("Can't parse symbolic invalid expressions", code);
      if (kind.text === "icmpv6") {
        if (context.family === "ip") throw new Refused("conflicting protocols specified: ip vs ip6", kind);
      }
      how = typeof known !== "number" ? known : kind.text === "icmp" ? [known, NOT] : [NOT, known];
      const plain = code.text === "port-unreachable" && (kind.text === "icmpx" || context.family !== "inet");
      if (!plain) text += ` with ${kind.text} ${code.text}`;
    } else throw new Refused(`syntax error, unexpected ${kind.text}`, kind);
  }
  ops.op(abi.NFTOP_REJECT, 0, (w) => w.u32(how[0]).u32(how[1]));
  segments.push(text);
}

const FLAGS: readonly (readonly [string, number])[] = [
  ["random", NAT_RANGE_PROTO_RANDOM], ["fully-random", NAT_RANGE_PROTO_RANDOM_FULLY], ["persistent", NAT_RANGE_PERSISTENT],
];
const NETMAP = 64;
const NONE = abi.NFT_NO_REGISTER;

function natFlags(context: RuleContext): readonly [number, string] {
  const { cursor } = context;
  let flags = 0;
  while (cursor.is("random", "fully-random", "persistent")) {
    const word = cursor.next().text;
    flags |= FLAGS.find(([name]) => name === word)![1];
    if (!cursor.take(",")) break;
  }
  const names = FLAGS.filter(([, bit]) => flags & bit).map(([name]) => name);
  return [flags, names.length === 0 ? "" : ` ${names.join(",")}`];
}

/** Ports want a protocol that has them. */
function needPorts(context: RuleContext, port: Place, statement: Place): void {
  if (context.l4 === undefined && !context.l4Any) {
    throw new Refused("transport protocol mapping is only valid after transport protocol match", port, statement);
  }
}

/** `dnat to …`, `snat to …`, `masquerade`, `redirect`. */
export function natStatement(context: RuleContext): void {
  const { cursor, ops, segments } = context;
  const statement = cursor.next();
  const kind = statement.text;
  if (kind === "masquerade" || kind === "redirect") {
    let text = kind;
    let low = NONE;
    let high = NONE;
    if (cursor.take("to")) {
      cursor.expect(":");
      const given = ports(context, statement, 0);
      [low, high] = [given.low, given.high];
      text += ` to :${given.text}`;
    }
    const [flags, flagText] = natFlags(context);
    ops.op(kind === "masquerade" ? abi.NFTOP_MASQ : abi.NFTOP_REDIR, 0, (w) => w.u8(low, high).u16(0).u32(flags));
    segments.push(`${text}${flagText}`);
    context.checks.push(kind === "masquerade" ? { type: "nat", hooks: ["postrouting"] } : { type: "nat", hooks: ["prerouting", "output"] });
    return;
  }
  let family = "";
  if (cursor.is("ip", "ip6")) family = cursor.next().text;
  const explicit = cursor.take("addr");
  if (explicit) {
    cursor.expect(".");
    cursor.expect("port");
  }
  const prefix = cursor.take("prefix");
  cursor.expect("to");
  if (family === "" && context.family === "inet") {
    family = context.l3 === 10 ? "ip6" : context.l3 === 2 ? "ip" : "";
  }
  const v6 = family === "ip6" || context.family === "ip6";
  const address = type(v6 ? "ipv6_addr" : "ipv4_addr");
  const registers = [NONE, NONE, NONE, NONE];
  let text: () => string;
  let concatenated = false;
  if (startsExpression(cursor)) {
    const key = concatenation(context);
    let data: Expression = key;
    if (cursor.take("map")) {
      const pair = cursor.is("{") ? mapsPairs(context) : false;
      data = mapLookup(context, key, pair ? [address, type("inet_service")] : [address]);
    }
    data.load(ops, 0);
    registers[0] = 0;
    if (data.types.length > 1) {
      if (key.protocolPart !== true) needPorts(context, data, statement); // nat_evaluate_addr_has_th_expr
      registers[2] = address.bits / 32;
      concatenated = true;
    }
    text = () => data.text;
    if (cursor.take(":")) {
      const given = ports(context, statement, 8);
      [registers[2], registers[3]] = [given.low, given.high];
      const before = text;
      text = () => `${before()}:${given.text}`;
    }
  } else {
    let written = "";
    if (!cursor.is(":")) {
      const given = value(cursor, address);
      load(ops, 0, given.from_);
      registers[0] = 0;
      if (given.prefix !== undefined || compare(given.from_, given.to_) !== 0) {
        load(ops, 4, given.to_);
        registers[1] = 4;
      }
      const bracket = v6 && cursor.is(":");
      const one = (bytes: Uint8Array): string => bracket ? `[${address.format(bytes)}]` : address.format(bytes);
      written = given.prefix !== undefined ? `${address.format(given.from_)}/${given.prefix}`
        : registers[1] === NONE ? one(given.from_) : `${one(given.from_)}-${one(given.to_)}`;
    }
    if (cursor.take(":")) {
      const given = ports(context, statement, 8);
      [registers[2], registers[3]] = [given.low, given.high];
      written += `:${given.text}`;
    }
    text = () => written;
  }
  const [flags, flagText] = natFlags(context);
  ops.op(abi.NFTOP_NAT, 0, (w) => w.u8(kind === "dnat" ? 1 : 0, registers[0]!, registers[1]!, registers[2]!, registers[3]!, v6 ? 10 : 2, 0, 0).u32(flags | (prefix ? NETMAP : 0)));
  const familyText = context.family === "inet" && family !== "" ? ` ${family}` : concatenated ? ` ${v6 ? "ip6" : "ip"}` : "";
  segments.push(() => `${kind}${familyText}${prefix ? " prefix" : ""} to ${text()}${flagText}`);
  context.checks.push(kind === "dnat" ? { type: "nat", hooks: ["prerouting", "output"] } : { type: "nat", hooks: ["postrouting", "input"] });
}

const compare = (a: Uint8Array, b: Uint8Array): number => a.some((byte, i) => byte !== b[i]) ? 1 : 0;

function load(ops: RuleContext["ops"], register: number, bytes: Uint8Array): void {
  ops.op(abi.NFTOP_IMMEDIATE, register, (w) => w.u32(bytes.length).data(bytes));
}

/** `80` or `80-90` into registers. */
function ports(context: RuleContext, statement: Place, register: number): { low: number; high: number; text: string } {
  const { cursor, ops } = context;
  const service: DataType = type("inet_service");
  if (startsExpression(cursor)) {
    const key = concatenation(context);
    const data = cursor.take("map") ? mapLookup(context, key, [service]) : key;
    needPorts(context, data, statement);
    data.load(ops, register);
    return { low: register, high: NONE, text: data.text };
  }
  const given = value(cursor, service);
  needPorts(context, given, statement);
  load(ops, register, given.from_);
  if (compare(given.from_, given.to_) === 0) return { low: register, high: NONE, text: service.format(given.from_) };
  load(ops, register + 1, given.to_);
  return { low: register, high: register + 1, text: `${service.format(given.from_)}-${service.format(given.to_)}` };
}

/** Do the data of the map that begins here have two parts, `address . port`? */
function mapsPairs({ cursor }: RuleContext): boolean {
  let i = 0;
  while (cursor.peek(i).kind !== "end" && cursor.peek(i).text !== ":" && cursor.peek(i).text !== "}") i++;
  do i++; while (cursor.peek(i).kind === "newline");
  return cursor.peek(i + 1).text === ".";
}
