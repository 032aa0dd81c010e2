/** The kinds of links `ip link add … type KIND` makes and their options (ip/iplink_*.c); kind-show.ts prints them. */
import type { BridgeOptions } from "../../kernel/devices.ts";
import type { LinkSpec, VxlanOptions } from "../../kernel/netns.ts";
import { invalid, ToolExit, unsigned, type Words } from "../tool.ts";
import { address, answers, needLink, type IpContext } from "./context.ts";
import { KIND_USAGE } from "./kind-usage.ts";
import type { LinkArguments } from "./link.ts";

/** Reads the words after `type KIND`; `common` is what stood before. Gives what the driver makes the link from. */
type Parse = (context: IpContext, words: Words, common: LinkArguments, parsePeer: (words: Words) => LinkArguments) => LinkSpec;

const explain = (kind: string): ToolExit => new ToolExit(1, KIND_USAGE[kind] ?? "");

const mac = ({ address: text }: LinkArguments): { mac?: string } => (text === undefined ? {} : { mac: text });
const mtu = ({ mtu: value }: LinkArguments): { mtu?: number } => (value === undefined ? {} : { mtu: value });

/** Options that name something of the kernel's which this kernel does not have. */
const unsupported = (): ToolExit => answers("Operation not supported");

const veth: Parse = (_context, words, common, parsePeer) => {
  let peer: LinkArguments = {};
  if (words.word !== undefined) {
    if (words.word !== "peer") throw explain("veth");
    words.skip();
    peer = parsePeer(words);
  }
  const name = common.name ?? common.dev ?? "";
  return {
    kind: "veth", name, ...mac(common), ...mtu(common),
    peer: { name: peer.name ?? peer.dev ?? "", ...(peer.netns === undefined ? {} : { netns: peer.netns }), ...mac(peer), ...mtu(peer) },
  };
};

const bridge: Parse = (context, words, common) => {
  common.bridge = readBridge(context, words);
  return { kind: "bridge", name: common.name ?? common.dev ?? "", ...mac(common), ...mtu(common) };
};

/** What stands behind a word, as a number of at most `max`. */
function numberAfter(words: Words, message: string, max = 0xffffffff): number {
  const text = words.next();
  const value = unsigned(text, max);
  if (value === undefined) throw invalid(message, text);
  return value;
}

const VXLAN_SWITCHES: Readonly<Record<string, "proxy" | "l2miss" | "l3miss" | "gbp" | "udp6ZeroCsumTx" | "udp6ZeroCsumRx" | undefined>> = {
  proxy: "proxy", l2miss: "l2miss", l3miss: "l3miss", gbp: "gbp", udp6zerocsumtx: "udp6ZeroCsumTx", udp6zerocsumrx: "udp6ZeroCsumRx",
};
/** Switches of VXLAN that this kernel has nothing of. */
const VXLAN_FLAGS = ["rsc", "remcsumtx", "remcsumrx", "gpe", "external", "vnifilter"];

const vxlan: Parse = (context, words, common) => {
  let vni: number | undefined;
  let local: string | undefined;
  let dev = "";
  let dstPort: number | undefined;
  let learning = true;
  let udpCsum = true;
  const more: { -readonly [K in keyof VxlanOptions]: VxlanOptions[K] } = {};
  for (; words.word !== undefined; words.skip()) {
    const word = words.word;
    if (word === "id" || word === "vni") {
      const text = words.next();
      vni = unsigned(text, 0xffffff);
      if (vni === undefined) throw invalid("invalid id", text);
    } else if (word === "local") local = address(words.next(), undefined).address;
    else if (word === "group" || word === "remote") {
      const text = words.next();
      const group = /^(?:22[4-9]|23\d)\./.test(text);
      const { family, address: to } = address(text, undefined);
      if (family === "inet6") throw unsupported();
      if (word === "group" && !group) throw invalid("invalid group address", text);
      if (word === "remote" && group) throw invalid("invalid remote address", text);
      more.remote = to;
    } else if (word === "dev") dev = needLink(context.netns, words.next(), 255).name;
    else if (word === "ttl" || word === "hoplimit") {
      const text = words.next();
      if (text === "inherit") more.ttl = "inherit";
      else if (text !== "auto") {
        const ttl = unsigned(text, 255);
        if (ttl === undefined) throw invalid(unsigned(text) === undefined ? "invalid TTL" : "TTL must be <= 255", text);
        more.ttl = ttl;
      }
    } else if (word === "tos" || word === "dsfield") {
      const text = words.next();
      if (text === "inherit") more.tos = "inherit";
      else {
        if (!/^(?:0[xX])?[0-9a-fA-F]{1,2}$/.test(text)) throw invalid("bad TOS value", text);
        more.tos = Number.parseInt(text.replace(/^0[xX]/, ""), 16);
      }
    } else if (word === "df") {
      const text = words.next();
      if (text !== "unset" && text !== "set" && text !== "inherit") throw invalid("DF must be 'unset', 'set' or 'inherit'", text);
      more.df = text;
    } else if (word === "ageing") {
      const text = words.next();
      more.ageing = text === "none" ? 0 : (unsigned(text) ?? numberAfter(words, "ageing timer"));
    } else if (word === "maxaddress") {
      const text = words.next();
      const most = text === "unlimited" ? 0 : unsigned(text);
      if (most === undefined) throw invalid("max addresses", text);
      more.maxAddress = most;
    } else if (word === "dstport") dstPort = numberAfter(words, "dst port", 65535);
    else if (word === "srcport" || word === "port") {
      const low = numberAfter(words, "min port", 65535);
      more.srcPort = [low, numberAfter(words, "max port", 65535)];
    } else if (word === "learning" || word === "nolearning") learning = word === "learning";
    else if (word === "udpcsum" || word === "noudpcsum") udpCsum = word === "udpcsum";
    else if (VXLAN_SWITCHES[word] !== undefined) more[VXLAN_SWITCHES[word]] = true;
    else if (VXLAN_FLAGS.includes(word)) throw unsupported();
    else if (VXLAN_FLAGS.includes(word.replace(/^no/, "")) || VXLAN_SWITCHES[word.replace(/^no/, "")] !== undefined) continue;
    else if (word === "label" || word === "flowlabel") {
      if (words.next() !== "0") throw unsupported();
    } else if (word === "help") throw explain("vxlan");
    else throw new ToolExit(1, `vxlan: unknown command "${word}"?\n${KIND_USAGE["vxlan"]}`);
  }
  if (dstPort === undefined && vni !== undefined) {
    context.streams.stderr += "vxlan: destination port not specified\nWill use Linux kernel default (non-standard value)\n" +
      "Use 'dstport 4789' to get the IANA assigned value\nUse 'dstport 0' to get default and quiet this message\n";
  }
  if (vni === undefined) throw new ToolExit(2, "Error: Required attributes not provided to perform the operation.\n");
  return {
    kind: "vxlan", name: common.name ?? common.dev ?? "", vni, local: local ?? "0.0.0.0", dev, dstPort: dstPort === undefined || dstPort === 0 ? 8472 : dstPort,
    learning, udpCsum, ...(Object.keys(more).length === 0 ? {} : { more }), ...mac(common), ...mtu(common),
  };
};

const MODES = ["private", "vepa", "bridge", "passthru", "source"] as const;

/** Options of macvlan and macvtap are looked at before the kernel is asked whether it knows the kind. */
const macvlan = (kind: "macvlan" | "macvtap"): Parse => (context, words, common) => {
  let mode: (typeof MODES)[number] = "vepa";
  for (; words.word !== undefined; words.skip()) {
    if (words.word === "mode") {
      const text = words.next();
      const found = MODES.find((one) => one === text);
      if (found === undefined) {
        throw new ToolExit(1, `Error: argument of "mode" must be "private", "vepa", "bridge", "passthru" or "source", not "${text}"\n`);
      }
      mode = found;
    } else if (words.word === "bcqueuelen") numberAfter(words, "bcqueuelen");
    else if (words.word !== "nopromisc") throw explain(kind);
  }
  return { kind: "macvlan", name: common.name ?? common.dev ?? "", link: lowerOf(context, common), mode, ...mac(common), ...mtu(common) };
};

/** `link DEV`, without which the kernel has nothing to put the device on. */
function lowerOf({ netns }: IpContext, { link }: LinkArguments): string {
  if (link === undefined) throw answers("Invalid argument");
  return needLink(netns, link).name;
}

const vlan: Parse = (context, words, common) => {
  let id: number | undefined;
  let protocol: "802.1Q" | "802.1ad" = "802.1Q";
  for (; words.word !== undefined; words.skip()) {
    const word = words.word;
    if (word === "id") id = numberAfter(words, "id is invalid", 65535);
    else if (abbreviatesWord(word, "protocol")) {
      const text = words.next().toLowerCase();
      if (text !== "802.1q" && text !== "802.1ad") throw invalid("protocol is invalid", text);
      protocol = text === "802.1q" ? "802.1Q" : "802.1ad";
    } else if (["reorder_hdr", "gvrp", "mvrp", "loose_binding", "bridge_binding"].includes(word)) {
      const value = words.next();
      if (value !== "on" && value !== "off") throw new ToolExit(255, `Error: argument of "${word}" must be "on" or "off", not "${value}"\n`);
      if ((value === "on") !== (word === "reorder_hdr")) throw unsupported();
    } else if (word === "ingress-qos-map" || word === "egress-qos-map") throw unsupported();
    else if (word === "help") throw explain("vlan");
    else throw new ToolExit(1, `vlan: unknown command "${word}"?\n${KIND_USAGE["vlan"]}`);
  }
  if (id === undefined) throw new ToolExit(2, "Error: VLAN properties not specified.\n");
  if (id > 4094) throw new ToolExit(2, "Error: Invalid VLAN id.\n");
  return { kind: "vlan", name: common.name ?? common.dev ?? "", link: lowerOf(context, common), id, protocol, ...mac(common), ...mtu(common) };
};
const abbreviatesWord = (word: string, name: string): boolean => name.startsWith(word);

const ipvlan: Parse = (context, words, common) => {
  let mode: "l2" | "l3" | "l3s" = "l3";
  let isolation: "bridge" | "private" | "vepa" = "bridge";
  for (; words.word !== undefined; words.skip()) {
    const word = words.word;
    if (word === "mode") {
      const text = words.next();
      if (text !== "l2" && text !== "l3" && text !== "l3s") throw new ToolExit(1, `Error: argument of "mode" must be either "l2", "l3" or "l3s"\n`);
      mode = text;
    } else if (word === "bridge" || word === "private" || word === "vepa") isolation = word;
    else if (word === "help") throw explain("ipvlan");
    else throw new ToolExit(1, `ipvlan: unknown option "${word}"?\n${KIND_USAGE["ipvlan"]}`);
  }
  return { kind: "ipvlan", name: common.name ?? common.dev ?? "", link: lowerOf(context, common), mode, isolation, ...mtu(common) };
};

const plain = (kind: "dummy" | "ifb"): Parse => (_context, words, common) => {
  if (words.word !== undefined) throw explain(kind);
  return { kind, name: common.name ?? common.dev ?? "", ...mac(common), ...mtu(common) };
};

/** GRE's keys are numbers or dotted. */
function keyAfter(words: Words, word: string): number {
  const text = words.next();
  if (text.includes(".")) {
    const parts = text.split(".").map(Number);
    if (parts.length === 4 && parts.every((part) => part >= 0 && part <= 255)) return parts.reduce((sum, part) => sum * 256 + part, 0);
  }
  const value = unsigned(text);
  if (value === undefined) throw new ToolExit(255, `Invalid value for "${word}": "${text}"; it should be an unsigned integer\n`);
  return value;
}

const tunnel = (kind: "ipip" | "gre" | "gretap"): Parse => (context, words, common) => {
  const spec: { remote?: string; local?: string; dev?: string; ttl?: number; tos?: number; pmtudisc?: boolean; ikey?: number; okey?: number; icsum?: boolean; ocsum?: boolean } = {};
  for (; words.word !== undefined; words.skip()) {
    const word = words.word;
    if (word === "remote" || word === "local") {
      const text = words.next();
      if (text !== "any") spec[word] = address(text, "inet").address;
    } else if (word === "dev") spec.dev = needLink(context.netns, words.next(), 255).name;
    else if (word === "ttl" || word === "hoplimit" || word === "hlim") {
      const text = words.next();
      if (text !== "inherit") {
        const ttl = unsigned(text, 255);
        if (ttl === undefined) throw invalid("invalid TTL\n", text);
        spec.ttl = ttl;
      }
    } else if (word === "tos" || word === "tclass" || word === "dsfield") {
      const text = words.next();
      if (text === "inherit") spec.tos = 1;
      else {
        if (!/^(?:0[xX])?[0-9a-fA-F]{1,2}$/.test(text)) throw invalid("bad TOS value", text);
        spec.tos = Number.parseInt(text.replace(/^0[xX]/, ""), 16);
      }
    } else if (word === "pmtudisc" || word === "nopmtudisc") spec.pmtudisc = word === "pmtudisc";
    else if (kind !== "ipip" && (word === "key" || word === "ikey" || word === "okey")) {
      const key = keyAfter(words, word);
      if (word !== "okey") spec.ikey = key;
      if (word !== "ikey") spec.okey = key;
    } else if (kind !== "ipip" && (word === "csum" || word === "icsum" || word === "ocsum")) {
      if (word !== "ocsum") spec.icsum = true;
      if (word !== "icsum") spec.ocsum = true;
    } else if (["seq", "iseq", "oseq", "encap", "external", "mode", "ignore-df", "allow-localremote"].includes(word)) throw unsupported();
    else if (/^no(?:key|ikey|okey|csum|icsum|ocsum|seq|iseq|oseq|ignore-df|encap-)/.test(word)) continue;
    else throw explain(kind);
  }
  return { kind, name: common.name ?? common.dev ?? "", ...spec, ...mtu(common), ...(kind === "gretap" ? mac(common) : {}) };
};

const geneve: Parse = (_context, words, common) => {
  let id: number | undefined;
  let remote: string | undefined;
  const spec: { dstPort?: number; ttl?: number; tos?: number; udpCsum?: boolean; df?: boolean } = {};
  for (; words.word !== undefined; words.skip()) {
    const word = words.word;
    if (word === "id" || word === "vni") {
      const text = words.next();
      id = unsigned(text, 0xffffff);
      if (id === undefined) throw invalid("invalid id", text);
    } else if (word === "remote") remote = address(words.next(), undefined).address;
    else if (word === "ttl" || word === "hoplimit") {
      const text = words.next();
      if (text === "inherit") throw unsupported();
      if (text !== "auto") spec.ttl = unsigned(text, 255) ?? numberAfter(words, "invalid TTL");
    } else if (word === "tos" || word === "dsfield") {
      const text = words.next();
      spec.tos = text === "inherit" ? 1 : Number.parseInt(text, 16) & 255;
    } else if (word === "df") {
      const text = words.next();
      if (text !== "unset" && text !== "set") throw unsupported();
      spec.df = text === "set";
    } else if (word === "dstport") spec.dstPort = numberAfter(words, "dstport", 65535);
    else if (word === "udpcsum" || word === "noudpcsum") spec.udpCsum = word === "udpcsum";
    else if (["noudp6zerocsumtx", "noudp6zerocsumrx", "noexternal"].includes(word)) continue;
    else if (["external", "udp6zerocsumtx", "udp6zerocsumrx", "label", "flowlabel", "innerprotoinherit"].includes(word)) throw unsupported();
    else if (word === "help") throw explain("geneve");
    else throw new ToolExit(1, `geneve: unknown command "${word}"?\n${KIND_USAGE["geneve"]}`);
  }
  if (id === undefined) throw new ToolExit(255, "geneve: missing virtual network identifier\n");
  if (remote === undefined) throw new ToolExit(255, "geneve: remote link partner not specified\n");
  return { kind: "geneve", name: common.name ?? common.dev ?? "", id, remote, ...spec, ...mac(common), ...mtu(common) };
};

export const KINDS: Readonly<Record<string, Parse>> = {
  veth, bridge, vxlan, macvlan: macvlan("macvlan"), macvtap: macvlan("macvtap"), vlan, ipvlan, dummy: plain("dummy"), ifb: plain("ifb"), ipip: tunnel("ipip"),
  gre: tunnel("gre"), gretap: tunnel("gretap"), geneve,
};

/** What a bridge is told; those of the kernel, and those that mean something to STP alone. */
export interface BridgeSettings {
  readonly options: BridgeOptions;
  readonly told: Readonly<Record<string, number>>;
}

/** Words of bridges whose value is taken when it is the one that holds anyway. */
const BRIDGE_FIXED: Readonly<Record<string, number>> = {
  stp_state: 0, no_linklocal_learn: 0, mcast_snooping: 1, mcast_vlan_snooping: 0, mcast_router: 1, mcast_query_use_ifaddr: 0, mcast_querier: 0,
  mcast_hash_elasticity: 16, mcast_hash_max: 4096, mcast_last_member_count: 2, mcast_startup_query_count: 2, mcast_last_member_interval: 100,
  mcast_membership_interval: 26000, mcast_querier_interval: 25500, mcast_query_interval: 12500, mcast_query_response_interval: 1000,
  mcast_startup_query_interval: 3124, mcast_stats_enabled: 0, mcast_igmp_version: 2, mcast_mld_version: 1, nf_call_iptables: 0, nf_call_ip6tables: 0,
  nf_call_arptables: 0, vlan_stats_enabled: 0, vlan_stats_per_port: 0,
};
const BRIDGE_TOLD = ["forward_delay", "hello_time", "max_age", "priority"];

/** bridge_parse_opt() */
export function readBridge(context: IpContext, words: Words): BridgeSettings {
  const options: { -readonly [K in keyof BridgeOptions]: BridgeOptions[K] } = {};
  const told: Record<string, number> = {};
  const filtering = (): void => {
    if (context.host.hasKind?.("vlan filtering of bridges") === false) throw unsupported();
  };
  for (; words.word !== undefined; words.skip()) {
    const word = words.word;
    if (BRIDGE_TOLD.includes(word)) told[word] = numberAfter(words, `invalid ${word}`, word === "priority" ? 65535 : 0xffffffff);
    else if (word === "ageing_time") options.ageing = numberAfter(words, "invalid ageing_time") / 100;
    else if (word === "group_fwd_mask") options.groupFwdMask = numberAfter(words, "invalid group_fwd_mask", 65535);
    else if (word === "vlan_filtering") {
      options.vlanFiltering = numberAfter(words, "invalid vlan_filtering", 255) !== 0;
      filtering();
    } else if (word === "vlan_default_pvid") {
      options.defaultPvid = numberAfter(words, "invalid vlan_default_pvid", 65535);
      filtering();
    } else if (word === "vlan_protocol") {
      const text = words.next().toLowerCase();
      if (text !== "802.1q" && text !== "802.1ad") throw invalid("invalid vlan_protocol", text);
      options.vlanProtocol = text === "802.1q" ? "802.1Q" : "802.1ad";
      filtering();
    } else if (word in BRIDGE_FIXED) {
      if (numberAfter(words, `invalid ${word}`) !== BRIDGE_FIXED[word]) throw unsupported();
    } else if (word === "group_address" || word === "fdb_flush") throw unsupported();
    else if (word === "help") throw explain("bridge");
    else throw new ToolExit(1, `bridge: unknown command "${word}"?\n${KIND_USAGE["bridge"]}`);
  }
  if (told["forward_delay"] !== undefined && (told["forward_delay"] < 200 || told["forward_delay"] > 3000)) throw answers("Numerical result out of range");
  return { options, told };
}
