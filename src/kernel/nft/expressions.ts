/**
 * What a rule can look at: fields of headers, meta data, connections, routes, numbers made up (nftables src/parser_bison.y, src/proto.c,
 * src/meta.c, src/ct.c). An expression knows how to load itself into registers and how nft prints it.
 */
import * as abi from "../../../assembly/abi/nft.ts";
import { Refused, type Cursor, type Place } from "./lexer.ts";
import { padded, type Chain, type Family, type NftSet, type Segment, type Table, type Transaction, type Check, type Writer } from "./model.ts";
import { bytesOf, integerType, type, type DataType } from "./types.ts";

export interface Expression extends Place {
  readonly types: readonly DataType[];
  readonly text: string;
  /** Loads the value at a register (4 bytes each). */
  load(ops: Writer, register: number): void;
  /** With `& mask` or the like: comparisons are printed with `==`. */
  readonly binary?: boolean;
  /** `meta l4proto` and the like: what a comparison with one value makes known. */
  readonly names?: "l3" | "l4";
  /** Headers it needs to be there. */
  readonly needs?: { readonly l3?: number; readonly ethertype?: number; readonly l4?: number | readonly number[] };
  /** Of a concatenation: a part says which protocol it is. */
  readonly protocolPart?: boolean;
  /** What may be written: `meta mark set`, `tcp dport set`. */
  store?(ops: Writer, register: number): void;
}

/** A rule being put together. */
export interface RuleContext {
  readonly cursor: Cursor;
  readonly family: Family;
  readonly table: Table;
  readonly tx: Transaction;
  readonly ops: Writer;
  readonly segments: Segment[];
  readonly chains: Chain[];
  readonly sets: NftSet[];
  readonly objects: { use: number }[];
  readonly checks: Check[];
  readonly interfaces: DataType;
  /** Protocol numbers known by now (nf_proto, IP protocol), and the segment that said so, for it is not listed if implied. */
  l3: number | undefined;
  l4: number | undefined;
  /** Of a frame, where the family is one of frames. */
  ethertype?: number | undefined;
  l3Segment: number | undefined;
  l4Segment: number | undefined;
  l4Place: Place | undefined;
  l4Any: boolean;
  /** The type of an ICMP message was matched. */
  icmpType: boolean;
}

const ETH_P_IP = 0x0800;
const ETH_P_ARP = 0x0806;
const ETH_P_8021Q = 0x8100;
const ETH_P_IPV6 = 0x86dd;
const NF_IPV4 = 2;
const NF_IPV6 = 10;
const L4 = { tcp: 6, udp: 17, icmp: 1, icmpv6: 58, sctp: 132, udplite: 136, dccp: 33, esp: 50, ah: 51, comp: 108, igmp: 2 } as const;

/** Header fields: {bit offset, type}. */
type Fields = Readonly<Record<string, readonly [offset: number, type: DataType | number]>>;
const port = type("inet_service");
const ports: Fields = { sport: [0, port], dport: [16, port] };
const HEADERS: Readonly<Record<string, { readonly base: number; readonly fields: Fields; readonly checksum?: number }>> = {
  ether: { base: abi.NFTBASE_LINK, fields: { daddr: [0, type("ether_addr")], saddr: [48, type("ether_addr")], type: [96, type("ether_type")] } },
  ip: {
    base: abi.NFTBASE_NETWORK,
    checksum: 10,
    fields: {
      version: [0, 4], hdrlength: [4, 4], dscp: [8, type("dscp")], ecn: [14, type("ecn")], length: [16, 16], id: [32, 16], "frag-off": [48, 16],
      ttl: [64, 8], protocol: [72, type("inet_proto")], checksum: [80, 16], saddr: [96, type("ipv4_addr")], daddr: [128, type("ipv4_addr")],
    },
  },
  ip6: {
    base: abi.NFTBASE_NETWORK,
    fields: {
      version: [0, 4], dscp: [4, type("dscp")], ecn: [10, type("ecn")], flowlabel: [12, 20], length: [32, 16], nexthdr: [48, type("inet_proto")],
      hoplimit: [56, 8], saddr: [64, type("ipv6_addr")], daddr: [192, type("ipv6_addr")],
    },
  },
  tcp: {
    base: abi.NFTBASE_TRANSPORT,
    checksum: 16,
    fields: {
      ...ports, sequence: [32, 32], ackseq: [64, 32], doff: [96, 4], reserved: [100, 4], flags: [104, type("tcp_flag")], window: [112, 16],
      checksum: [128, 16], urgptr: [144, 16],
    },
  },
  udp: { base: abi.NFTBASE_TRANSPORT, checksum: 6, fields: { ...ports, length: [32, 16], checksum: [48, 16] } },
  udplite: { base: abi.NFTBASE_TRANSPORT, checksum: 6, fields: { ...ports, csumcov: [32, 16], checksum: [48, 16] } },
  sctp: { base: abi.NFTBASE_TRANSPORT, fields: { ...ports, vtag: [32, 32], checksum: [64, 32] } },
  dccp: { base: abi.NFTBASE_TRANSPORT, fields: ports },
  icmp: {
    base: abi.NFTBASE_TRANSPORT,
    checksum: 2,
    fields: {
      type: [0, type("icmp_type")], code: [8, type("icmp_code")], checksum: [16, 16], id: [32, 16], sequence: [48, 16], gateway: [32, type("ipv4_addr")],
      mtu: [48, 16],
    },
  },
  icmpv6: {
    base: abi.NFTBASE_TRANSPORT,
    fields: { type: [0, type("icmpv6_type")], code: [8, type("icmpv6_code")], checksum: [16, 16], id: [32, 16], sequence: [48, 16], mtu: [32, 32] },
  },
  arp: {
    base: abi.NFTBASE_NETWORK,
    fields: {
      htype: [0, 16], ptype: [16, type("ether_type")], hlen: [32, 8], plen: [40, 8], operation: [48, type("arp_op")],
      "saddr ether": [64, type("ether_addr")], "saddr ip": [112, type("ipv4_addr")], "daddr ether": [144, type("ether_addr")],
      "daddr ip": [192, type("ipv4_addr")],
    },
  },
  vlan: {
    base: abi.NFTBASE_LINK,
    fields: { id: [116, 12], pcp: [112, 3], dei: [115, 1], cfi: [115, 1], type: [128, type("ether_type")] },
  },
  th: { base: abi.NFTBASE_TRANSPORT, fields: ports },
  esp: { base: abi.NFTBASE_TRANSPORT, fields: { spi: [0, 32], sequence: [32, 32] } },
  ah: { base: abi.NFTBASE_TRANSPORT, fields: { nexthdr: [0, type("inet_proto")], hdrlength: [8, 8], spi: [32, 32], sequence: [64, 32] } },
  igmp: { base: abi.NFTBASE_TRANSPORT, fields: { type: [0, 8], checksum: [16, 16], group: [32, type("ipv4_addr")] } },
};
export const isHeader = (word: string): boolean => word in HEADERS;

const typeOf = (given: DataType | number): DataType => typeof given === "number" ? integerType(given) : given;

/** Loads `bits` at a bit offset of a header, moved down to the low bits. */
function payload(header: string, field: string, place: Place): Expression {
  const { base, fields, checksum } = HEADERS[header]!;
  const [offset, given] = fields[field]!;
  const fieldType = typeOf(given);
  const { bits } = fieldType;
  const first = offset >> 3;
  const length = ((offset & 7) + bits + 7) >> 3;
  const part = (offset & 7) !== 0 || (bits & 7) !== 0;
  // To the end of the bytes that the value takes: `ip6 dscp` stands in two.
  const shift = bytesOf(bits) * 8 - (offset & 7) - bits;
  const access = (ops: Writer, register: number): void => {
    ops.op(abi.NFTOP_PAYLOAD, register, (w) => w.u8(base, length).u16(first));
  };
  const l4 = header === "th" ? undefined : L4[header as keyof typeof L4];
  const ethertype = header === "arp" ? ETH_P_ARP : header === "vlan" ? ETH_P_8021Q : undefined;
  const l3 = header === "ip" || header === "icmp" || header === "igmp" ? NF_IPV4 : header === "ip6" || header === "icmpv6" ? NF_IPV6 : undefined;
  return {
    ...place,
    types: [fieldType],
    text: `${header} ${field}`,
    ...(header === "ip" && field === "protocol" ? { names: "l4" as const } : {}),
    ...(header === "ip6" && field === "nexthdr" ? { names: "l4" as const } : {}),
    needs: {
      ...(l3 === undefined ? {} : { l3 }),
      ...(ethertype === undefined ? {} : { ethertype }),
      ...(header === "th" ? { l4: [] } : base === abi.NFTBASE_TRANSPORT && l4 !== undefined ? { l4 } : {}),
    },
    load(ops, register) {
      access(ops, register);
      if (!part) return;
      const mask = new Uint8Array(length);
      for (let i = 0; i < bits; i++) mask[((offset & 7) + i) >> 3]! |= 128 >> ((offset + i) & 7);
      ops.op(abi.NFTOP_BITWISE, register, (w) => w.u8(register, length).u16(0).data(mask).data(new Uint8Array(length)));
      if (shift !== 0) ops.op(abi.NFTOP_SHIFT, register, (w) => w.u8(register, length, shift > 0 ? 1 : 0, Math.abs(shift)));
    },
    ...(header === "vlan" ? {} : {
      store(ops: Writer, register: number) {
        let source = register;
        if (part) {
          // The other bits of the bytes stay.
          const other = register + 1;
          ops.op(abi.NFTOP_SHIFT, register, (w) => w.u8(register, length, shift < 0 ? 1 : 0, Math.abs(shift)));
          access(ops, other);
          const mask = new Uint8Array(length).fill(255);
          for (let i = 0; i < bits; i++) mask[((offset & 7) + i) >> 3]! &= ~(128 >> ((offset + i) & 7));
          ops.op(abi.NFTOP_BITWISE, other, (w) => w.u8(other, length).u16(0).data(mask).data(new Uint8Array(length)));
          merge(ops, register, other, length);
          source = register;
        }
        const addresses = (header === "ip" || header === "ip6") && (field === "saddr" || field === "daddr");
        ops.op(abi.NFTOP_PAYLOAD_SET, source, (w) => w.u8(base, length).u16(first)
          .u8(checksum === undefined || field === "checksum" ? 0 : 1, addresses ? 1 : 0).u16(checksum ?? 0));
      },
    }),
  };
}

/** register |= other */
function merge(ops: Writer, register: number, other: number, length: number): void {
  ops.op(abi.NFTOP_BITWISE_REG, register, (w) => w.u8(register, length, other, 0));
}

const META: Readonly<Record<string, readonly [key: number, type: DataType]>> = {
  length: [abi.NFTMETA_LENGTH, integerType(32)], protocol: [abi.NFTMETA_PROTOCOL, type("ether_type")],
  priority: [abi.NFTMETA_PRIORITY, type("classid")], mark: [abi.NFTMETA_MARK, type("mark")],
  iifname: [abi.NFTMETA_IIFNAME, type("ifname")], oifname: [abi.NFTMETA_OIFNAME, type("ifname")],
  iiftype: [abi.NFTMETA_IIFTYPE, type("iface_type")], oiftype: [abi.NFTMETA_OIFTYPE, type("iface_type")],
  nftrace: [abi.NFTMETA_NFTRACE, integerType(1)], nfproto: [abi.NFTMETA_NFPROTO, type("nf_proto")],
  l4proto: [abi.NFTMETA_L4PROTO, type("inet_proto")], pkttype: [abi.NFTMETA_PKTTYPE, type("pkt_type")],
  cpu: [abi.NFTMETA_CPU, integerType(32)], random: [abi.NFTMETA_RANDOM, integerType(32)],
  skuid: [abi.NFTMETA_SKUID, type("uid")], skgid: [abi.NFTMETA_SKGID, type("gid")], ibrname: [abi.NFTMETA_BRI_IIFNAME, type("ifname")],
  obrname: [abi.NFTMETA_BRI_OIFNAME, type("ifname")], iifgroup: [abi.NFTMETA_IIFGROUP, type("devgroup")],
  oifgroup: [abi.NFTMETA_OIFGROUP, type("devgroup")], time: [abi.NFTMETA_TIME, type("time_date")], day: [abi.NFTMETA_DAY, type("day")],
  hour: [abi.NFTMETA_HOUR, type("hour")],
};
const META_KEYS = "length, protocol, priority, mark, iif, oif, iifname, oifname, iiftype, oiftype, skuid, skgid, nftrace, rtclassid, secmark, " +
  "nfproto, l4proto, ibrname, obrname, pkttype, cpu, iifgroup, oifgroup, cgroup, random, ipsec, iifkind, oifkind, ibrpvid, ibrvproto, time, day, " +
  "hour, sdif, sdifname";
/** These may stand without `meta`, and are printed so. */
const UNQUALIFIED = new Set(["skuid", "skgid", "iifgroup", "oifgroup", "iif", "oif", "iifname", "oifname", "iiftype", "oiftype", "mark", "nftrace"]);
const PRINTED_BARE = new Set(["iif", "oif", "iifname", "oifname"]);
const SETTABLE = new Set(["mark", "priority", "nftrace", "pkttype"]);

function meta(context: RuleContext, key: string, place: Place): Expression {
  const known = key === "iif" ? [abi.NFTMETA_IIF, context.interfaces] as const
    : key === "oif" ? [abi.NFTMETA_OIF, context.interfaces] as const : META[key];
  if (known === undefined) throw new Refused(`syntax error, unexpected ${key}, known keys are ${META_KEYS}`, place);
  const [number, keyType] = known;
  return {
    ...place,
    types: [keyType],
    text: PRINTED_BARE.has(key) ? key : `meta ${key}`,
    ...(key === "l4proto" ? { names: "l4" as const } : key === "nfproto" ? { names: "l3" as const } : {}),
    load: (ops, register) => void ops.op(abi.NFTOP_META, register, (w) => w.u32(number)),
    ...(SETTABLE.has(key) ? { store: (ops: Writer, register: number) => void ops.op(abi.NFTOP_META_SET, register, (w) => w.u32(number)) } : {}),
  };
}

const CT: Readonly<Record<string, readonly [key: number, type: DataType, directed?: boolean]>> = {
  state: [abi.NFTCT_STATE, type("ct_state")], direction: [abi.NFTCT_DIRECTION, type("ct_dir")], status: [abi.NFTCT_STATUS, type("ct_status")],
  mark: [abi.NFTCT_MARK, type("mark")], expiration: [abi.NFTCT_EXPIRATION, type("time")], l3proto: [abi.NFTCT_L3PROTO, type("nf_proto")],
  protocol: [abi.NFTCT_PROTOCOL, type("inet_proto"), true], "proto-src": [abi.NFTCT_PROTO_SRC, port, true],
  "proto-dst": [abi.NFTCT_PROTO_DST, port, true], packets: [abi.NFTCT_PKTS, integerType(64), true], bytes: [abi.NFTCT_BYTES, integerType(64), true],
  zone: [abi.NFTCT_ZONE, integerType(16), true], avgpkt: [abi.NFTCT_AVGPKT, integerType(64), true], id: [abi.NFTCT_ID, integerType(32)],
  helper: [abi.NFTCT_HELPER, type("string16")],
};
function ct(context: RuleContext, from: number): Expression {
  const { cursor } = context;
  let direction: string | undefined;
  if (cursor.is("original", "reply")) direction = cursor.next().text;
  let family = "";
  if (direction !== undefined && cursor.is("ip", "ip6")) family = cursor.next().text;
  const token = cursor.token;
  const place = { from, to: token.to };
  let known = CT[token.text];
  if (token.text === "saddr" || token.text === "daddr") {
    if (direction === undefined) throw cursor.syntax();
    cursor.next();
    if (family === "" && context.family === "inet") {
      throw new Refused('cannot determine ip protocol version, use "ip saddr" or "ip6 saddr" instead', place);
    }
    if (family === "") family = context.family;
    known = [token.text === "saddr" ? abi.NFTCT_SRC : abi.NFTCT_DST, type(family === "ip6" ? "ipv6_addr" : "ipv4_addr"), true];
  } else {
    if (known === undefined || (direction !== undefined && known[2] !== true)) throw cursor.syntax();
    cursor.next();
  }
  const [key, keyType] = known;
  const number = direction === undefined ? 255 : direction === "original" ? 0 : 1;
  const address = token.text === "saddr" || token.text === "daddr";
  return {
    ...place,
    types: [keyType],
    text: `ct ${direction === undefined ? "" : `${direction} `}${address ? `${family} ` : ""}${token.text}`,
    load: (ops, register) => void ops.op(abi.NFTOP_CT, register, (w) => w.u8(key, number, !address ? 0 : family === "ip6" ? NF_IPV6 : NF_IPV4, 0)),
    ...(token.text === "mark" || (token.text === "zone" && direction === undefined) ? { store: (ops: Writer, register: number) => void ops.op(abi.NFTOP_CT_SET, register, (w) => w.u8(key, 0, 0, 0)) } : {}),
  };
}

const FIB_FLAGS: Readonly<Record<string, number>> = {
  saddr: abi.NFTFIB_SADDR, daddr: abi.NFTFIB_DADDR, mark: abi.NFTFIB_MARK, iif: abi.NFTFIB_IIF, oif: abi.NFTFIB_OIF,
};
function fib(context: RuleContext, from: number): Expression {
  const { cursor } = context;
  let flags = 0;
  const names: string[] = [];
  do {
    const token = cursor.token;
    const flag = FIB_FLAGS[token.text];
    if (flag === undefined) throw cursor.syntax();
    cursor.next();
    flags |= flag;
    names.push(token.text);
  } while (cursor.take("."));
  const place = { from, to: cursor.token.to };
  if ((flags & 3) === 0) throw new Refused("fib: need either saddr or daddr", place);
  const order = Object.keys(FIB_FLAGS).filter((name) => flags & FIB_FLAGS[name]!);
  const results: Readonly<Record<string, readonly [number, DataType]>> = {
    type: [abi.NFTFIBR_ADDRTYPE, type("fib_addrtype")], oif: [abi.NFTFIBR_OIF, context.interfaces], oifname: [abi.NFTFIBR_OIFNAME, type("ifname")],
  };
  const what = cursor.token.text;
  const found = results[what];
  if (found === undefined) throw cursor.syntax();
  cursor.next();
  const text = `fib ${order.join(" . ")} ${what}`;
  const make = (given: DataType, extra: number): Expression => ({
    ...place,
    types: [given],
    text,
    load: (ops, register) => void ops.op(abi.NFTOP_FIB, register, (w) => w.u32(flags | extra).u32(found[0])),
  });
  // `fib … oif exists`: whether there is any.
  if (what !== "type" && (cursor.is("exists", "missing") || (cursor.is("!=", "==") && ["exists", "missing"].includes(cursor.peek().text)))) {
    return make(type("boolean"), abi.NFTFIB_PRESENT);
  }
  return make(found[1], 0);
}

function modulus(cursor: Cursor): number {
  cursor.expect("mod");
  const value = cursor.number();
  if (value === 0) throw cursor.syntax();
  return value;
}
const offsetOf = (cursor: Cursor): number => cursor.take("offset") ? cursor.number() : 0;

function numgen(context: RuleContext, from: number): Expression {
  const { cursor } = context;
  if (!cursor.is("inc", "random")) throw cursor.syntax("inc or random");
  const kind = cursor.next().text;
  const mod = modulus(cursor);
  const offset = offsetOf(cursor);
  return {
    from, to: cursor.previous.to,
    types: [integerType(32)],
    text: `numgen ${kind} mod ${mod}${offset === 0 ? "" : ` offset ${offset}`}`,
    load: (ops, register) => void ops.op(abi.NFTOP_NUMGEN, register, (w) => w.u32(0).u32(mod).u32(offset).u32(kind === "random" ? 1 : 0)),
  };
}

function hash(context: RuleContext, symmetric: boolean, from: number): Expression {
  const { cursor } = context;
  const inner = symmetric ? undefined : concatenation(context);
  const mod = modulus(cursor);
  const seed = cursor.take("seed") ? cursor.number() : undefined;
  const offset = offsetOf(cursor);
  const options = `mod ${mod}${seed === undefined ? "" : ` seed 0x${seed.toString(16)}`}${offset === 0 ? "" : ` offset ${offset}`}`;
  const length = inner === undefined ? 0 : inner.types.length > 1 ? registersOf(inner.types) * 4 : bytesOf(inner.types[0]!.bits);
  return {
    from, to: cursor.previous.to,
    types: [integerType(32)],
    text: inner === undefined ? `symhash ${options}` : `jhash ${inner.text} ${options}`,
    ...(inner?.needs === undefined ? {} : { needs: inner.needs }),
    load(ops, register) {
      inner?.load(ops, register);
      // The kernel hashes numbers as its processor keeps them.
      let at = register;
      for (const part of inner?.types ?? []) {
        if (part.host && part.bits === 32) ops.op(abi.NFTOP_SWAP, at, (w) => w.u32(0));
        at += registersOf([part]);
      }
      ops.op(abi.NFTOP_HASH, register, (w) => w.u8(symmetric ? 1 : 0, register, length, 0).u32(mod).u32(seed ?? 0).u32(offset));
    },
  };
}

const TCP_OPTIONS: Readonly<Record<string, readonly [kind: number, fields: Readonly<Record<string, readonly [number, number]>>]>> = {
  maxseg: [2, { kind: [0, 1], length: [1, 1], size: [2, 2] }], window: [3, { kind: [0, 1], length: [1, 1], count: [2, 1] }],
  "sack-perm": [4, { kind: [0, 1], length: [1, 1] }], sack: [5, { kind: [0, 1], length: [1, 1], left: [2, 4], right: [6, 4] }],
  timestamp: [8, { kind: [0, 1], length: [1, 1], tsval: [2, 4], tsecr: [6, 4] }],
};
function tcpOption(context: RuleContext, from: number): Expression {
  const { cursor } = context;
  const name = cursor.name().text;
  const found = TCP_OPTIONS[name];
  if (found === undefined) throw new Refused("syntax error, unexpected string", cursor.previous);
  const [kind, fields] = found;
  const field = fields[cursor.token.text];
  if (field === undefined) {
    return {
      from, to: cursor.previous.to, types: [type("boolean")], text: `tcp option ${name}`, needs: { l4: L4.tcp },
      load: (ops, register) => void ops.op(abi.NFTOP_TCPOPT, register, (w) => w.u8(kind, 0, 1, 1)),
    };
  }
  const fieldName = cursor.next().text;
  const [offset, length] = field;
  return {
    from, to: cursor.previous.to, types: [integerType(length * 8)], text: `tcp option ${name} ${fieldName}`, needs: { l4: L4.tcp },
    load: (ops, register) => void ops.op(abi.NFTOP_TCPOPT, register, (w) => w.u8(kind, offset, length, 0)),
    store: (ops, register) => void ops.op(abi.NFTOP_TCPOPT_SET, register, (w) => w.u8(kind, offset, length, 0)),
  };
}

function rt(context: RuleContext, from: number): Expression {
  const { cursor } = context;
  const six = cursor.is("ip", "ip6") ? cursor.next().text === "ip6" : context.family === "ip6";
  const what = cursor.name().text;
  const known = what === "nexthop" ? [abi.NFTRT_NEXTHOP, type(six ? "ipv6_addr" : "ipv4_addr")] as const
    : what === "mtu" ? [abi.NFTRT_TCPMSS, integerType(16)] as const : undefined;
  if (known === undefined) throw new Refused("syntax error, unexpected string", cursor.previous);
  if (what === "mtu") context.checks.push({ hooks: ["forward", "output", "postrouting"] });
  return {
    from, to: cursor.previous.to, types: [known[1]], text: `rt ${what === "nexthop" ? six ? "ip6 " : "ip " : ""}${what}`,
    load: (ops, register) => void ops.op(abi.NFTOP_RT, register, (w) => w.u32(known[0])),
  };
}

/** Extension headers of IPv6: {number, fields: {bit offset, type}} (src/exthdr.c). */
const options: Fields = { nexthdr: [0, type("inet_proto")], hdrlength: [8, 8] };
const EXTENSIONS: Readonly<Record<string, readonly [number: number, fields: Fields]>> = {
  hbh: [0, options],
  rt: [43, { ...options, type: [16, 8], "seg-left": [24, 8] }],
  rt0: [43, { "addr[1]": [64, type("ipv6_addr")] }],
  rt2: [43, { addr: [64, type("ipv6_addr")] }],
  srh: [43, { "last-entry": [32, 8], flags: [40, 8], tag: [48, 16] }],
  frag: [44, { nexthdr: [0, type("inet_proto")], reserved: [8, 8], "frag-off": [16, 13], reserved2: [29, 2], "more-fragments": [31, 1], id: [32, 32] }],
  dst: [60, options],
  mh: [135, { ...options, type: [16, 8], reserved: [24, 8], checksum: [32, 16] }],
};

/** `exthdr hbh`: is the header there? */
function extensionPresent(context: RuleContext, from: number): Expression {
  const token = context.cursor.next();
  const found = EXTENSIONS[token.text];
  if (found === undefined || token.text === "rt0" || token.text === "rt2" || token.text === "srh") throw new Refused("syntax error, unexpected string", token);
  return {
    from, to: token.to, types: [type("boolean")], text: `exthdr ${token.text}`, needs: { l3: NF_IPV6 },
    load: (ops, register) => void ops.op(abi.NFTOP_EXTHDR, register, (w) => w.u8(found[0], 0, 1, 1)),
  };
}

function extension(context: RuleContext, header: string, from: number): Expression {
  const { cursor } = context;
  const [number, fields] = EXTENSIONS[header]!;
  const field = cursor.token;
  const found = fields[field.text];
  if (field.kind !== "word" || found === undefined) throw cursor.syntax();
  cursor.next();
  const [offset, given] = found;
  const fieldType = typeOf(given);
  const { bits } = fieldType;
  const first = offset >> 3;
  const length = ((offset & 7) + bits + 7) >> 3;
  const shift = length * 8 - (offset & 7) - bits;
  return {
    from, to: field.to, types: [fieldType], text: `${header} ${field.text}`, needs: { l3: NF_IPV6 },
    load(ops, register) {
      ops.op(abi.NFTOP_EXTHDR, register, (w) => w.u8(number, first, length, 0));
      if ((offset & 7) === 0 && (bits & 7) === 0) return;
      const mask = new Uint8Array(length);
      for (let i = 0; i < bits; i++) mask[((offset & 7) + i) >> 3]! |= 128 >> ((offset + i) & 7);
      ops.op(abi.NFTOP_BITWISE, register, (w) => w.u8(register, length).u16(0).data(mask).data(new Uint8Array(length)));
      if (shift > 0) ops.op(abi.NFTOP_SHIFT, register, (w) => w.u8(register, length, 1, shift));
    },
  };
}

/** Registers that values of these types take. */
export const registersOf = (types: readonly DataType[]): number => types.reduce((sum, part) => sum + padded(bytesOf(part.bits)) / 4, 0);

const UNSUPPORTED_WORDS = new Set(["socket", "osf", "ipsec", "vxlan", "geneve", "gre"]);

/** Does an expression begin here? */
export function startsExpression(cursor: Cursor): boolean {
  const { text, kind } = cursor.token;
  return kind === "word" && (isHeader(text) || UNQUALIFIED.has(text) || ["meta", "ct", "fib", "numgen", "jhash", "symhash", "rt", "exthdr"].includes(text) || text in EXTENSIONS)
    && !(text === "ct" && (["timeout", "expectation", "count"].includes(cursor.peek().text) || (cursor.peek().text === "helper" && cursor.peek(2).text === "set")));
}

/** One expression without operators. */
export function primary(context: RuleContext): Expression {
  const { cursor } = context;
  const { text, from } = cursor.token;
  if (UNSUPPORTED_WORDS.has(text)) throw new Refused(`${text}: not supported here`, cursor.token);
  if (!startsExpression(cursor)) throw cursor.syntax();
  cursor.next();
  switch (text) {
    case "meta": {
      const key = cursor.name();
      return meta(context, key.text, { from, to: key.to });
    }
    case "ct": return ct(context, from);
    case "fib": return fib(context, from);
    case "numgen": return numgen(context, from);
    case "jhash": return hash(context, false, from);
    case "symhash": return hash(context, true, from);
    case "rt": {
      const next = cursor.token.text;
      return next === "ip" || next === "ip6" || next === "nexthop" || next === "mtu" ? rt(context, from) : extension(context, "rt", from);
    }
    case "exthdr": return extensionPresent(context, from);
    default:
  }
  if (UNQUALIFIED.has(text)) return meta(context, text, { from, to: cursor.previous.to });
  if (text in EXTENSIONS) return extension(context, text, from);
  if (text === "tcp" && cursor.is("option")) {
    cursor.next();
    return tcpOption(context, from);
  }
  const field = cursor.token;
  const { fields } = HEADERS[text]!;
  if (field.kind === "word" && `${field.text} ${cursor.peek().text}` in fields) {
    cursor.next();
    const second = cursor.next();
    return payload(text, `${field.text} ${second.text}`, { from, to: second.to });
  }
  if (field.kind !== "word" || !(field.text in fields)) throw cursor.syntax();
  cursor.next();
  return payload(text, field.text, { from, to: field.to });
}

/** Makes sure that the headers an expression reads are there, as nft adds such matches on its own (payload_gen_dependency). */
export function depend(context: RuleContext, expression: Expression): void {
  const { needs } = expression;
  if (needs === undefined) return;
  const place: Place = { from: expression.from, to: expression.to };
  const frames = context.family === "bridge" || context.family === "netdev";
  if (needs.ethertype !== undefined && !(needs.ethertype === ETH_P_ARP && context.family === "arp")) {
    if (!frames) throw new Refused(`conflicting protocols specified: ${context.family} vs. ${expression.text.split(" ")[0]}`, place);
    ethertype(context, needs.ethertype, needs.ethertype === ETH_P_8021Q, place, expression);
  }
  if (needs.l3 !== undefined && frames) {
    ethertype(context, needs.l3 === NF_IPV4 ? ETH_P_IP : ETH_P_IPV6, false, place, expression);
  } else if (needs.l3 !== undefined) {
    const fixed = context.family === "ip" ? NF_IPV4 : context.family === "ip6" ? NF_IPV6 : context.l3;
    if (fixed !== undefined && fixed !== needs.l3) {
      const name = (l3: number): string => (l3 === NF_IPV4 ? "ip" : "ip6");
      const protocol = expression.text.split(" ")[0]!;
      throw new Refused(`conflicting protocols specified: ${name(fixed)} vs. ${protocol}`, place);
    }
    if (context.family === "inet") {
      if (context.l3 === undefined) {
        const number = needs.l3;
        context.ops.op(abi.NFTOP_META, 0, (w) => w.u32(abi.NFTMETA_NFPROTO));
        context.ops.op(abi.NFTOP_CMP, 0, (w) => w.u8(abi.NFTCMP_EQ, 1).u16(0).data(Uint8Array.of(number)));
        context.l3 = number;
      } else if (context.l3Segment !== undefined && !expression.text.startsWith("icmp")) {
        context.segments[context.l3Segment] = "";
        context.l3Segment = undefined;
      }
    }
  }
  const { l4 } = needs;
  if (typeof l4 === "number") {
    if (context.l4 === undefined) {
      context.ops.op(abi.NFTOP_META, 0, (w) => w.u32(abi.NFTMETA_L4PROTO));
      context.ops.op(abi.NFTOP_CMP, 0, (w) => w.u8(abi.NFTCMP_EQ, 1).u16(0).data(Uint8Array.of(l4)));
      context.l4 = l4;
    } else if (context.l4 !== l4) {
      const name = (protocol: number): string => Object.entries(L4).find(([, value]) => value === protocol)?.[0] ?? String(protocol);
      throw new Refused(`conflicting protocols specified: ${name(context.l4)} vs. ${name(l4)}`, place);
    } else if (context.l4Segment !== undefined) {
      context.segments[context.l4Segment] = "";
      context.l4Segment = undefined;
    }
  }
}

/** What a frame has to carry; asked only once (payload_gen_dependency). A tag stands in the Ethernet header, the rest is meta data. */
function ethertype(context: RuleContext, value: number, tag: boolean, place: Place, expression: Expression): void {
  const { ops } = context;
  const name = (number: number): string => (number === ETH_P_IP ? "ip" : number === ETH_P_IPV6 ? "ip6" : number === ETH_P_ARP ? "arp" : "vlan");
  if (context.ethertype === value) {
    if (context.l3Segment !== undefined) {
      context.segments[context.l3Segment] = "";
      context.l3Segment = undefined;
    }
    return;
  }
  if (context.ethertype !== undefined && context.ethertype !== ETH_P_8021Q) {
    throw new Refused(`conflicting protocols specified: ${name(context.ethertype)} vs. ${expression.text.split(" ")[0]}`, place);
  }
  const bytes = Uint8Array.of(value >> 8, value & 255);
  if (tag) ops.op(abi.NFTOP_PAYLOAD, 0, (w) => w.u8(abi.NFTBASE_LINK, 2).u16(12));
  else if (context.ethertype === ETH_P_8021Q) ops.op(abi.NFTOP_PAYLOAD, 0, (w) => w.u8(abi.NFTBASE_LINK, 2).u16(16));
  else ops.op(abi.NFTOP_META, 0, (w) => w.u32(abi.NFTMETA_PROTOCOL));
  ops.op(abi.NFTOP_CMP, 0, (w) => w.u8(abi.NFTCMP_EQ, 2).u16(0).data(bytes));
  context.ethertype = value;
}

/** Identifier and sequence number are those of echo messages alone (icmp_dep). */
export function dependIcmp(context: RuleContext, expression: Expression): void {
  if ((expression.text !== "icmp id" && expression.text !== "icmp sequence") || context.icmpType) return;
  context.icmpType = true;
  const { ops } = context;
  ops.op(abi.NFTOP_PAYLOAD, 0, (w) => w.u8(abi.NFTBASE_TRANSPORT, 1).u16(0));
  ops.op(abi.NFTOP_BITWISE, 0, (w) => w.u8(0, 1).u16(0).data(Uint8Array.of(0xf7)).data(new Uint8Array(1)));
  ops.op(abi.NFTOP_CMP, 0, (w) => w.u8(abi.NFTCMP_EQ, 1).u16(0).data(new Uint8Array(1)));
  // nft 1.0.6 lists that match, too.
  context.segments.push("icmp type { echo-reply, echo-request }");
}

/** `a . b . c`: one value out of several, each in registers of its own. */
export function concatenation(context: RuleContext): Expression {
  const first = primary(context);
  depend(context, first);
  const { cursor } = context;
  if (!cursor.is(".")) return first;
  const parts = [first];
  while (cursor.take(".")) {
    const part = primary(context);
    depend(context, part);
    parts.push(part);
  }
  return {
    from: first.from, to: parts.at(-1)!.to,
    types: parts.flatMap((part) => part.types),
    protocolPart: parts.some((part) => part.names === "l4"),
    text: parts.map((part) => part.text).join(" . "),
    load(ops, register) {
      let at = register;
      for (const part of parts) {
        part.load(ops, at);
        at += registersOf(part.types);
      }
    },
  };
}

