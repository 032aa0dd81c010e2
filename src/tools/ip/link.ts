/** `ip link` (ip/iplink.c). */
import type { Netns } from "../../kernel/netns.ts";
import { linkRecords, type LinkRecord } from "../kernel.ts";
import { abbreviates, duplicate, garbage, invalid, ToolExit, unsigned, type Words } from "../tool.ts";
import { deviceCalls } from "../../kernel/devices.ts";
import { groupNumber, listLinks } from "./address-show.ts";
import { answers, findLink, isInterfaceName, needLink, talk, type IpContext } from "./context.ts";
import { changeExtras, extrasOf, takeExtras } from "./extras.ts";
import { KIND_USAGE } from "./kind-usage.ts";
import { KINDS, readBridge, type BridgeSettings } from "./kinds.ts";
import { attachRules } from "./rule.ts";
import { LINK } from "./usage.ts";

/** What iplink_parse() reads. */
export interface LinkArguments {
  dev?: string;
  name?: string;
  link?: string;
  address?: string;
  mtu?: number;
  up?: boolean;
  /** null: nomaster */
  master?: string | null;
  netns?: Netns;
  /** A process id that was given for a namespace: there are no processes here. */
  netnsPid?: boolean;
  type?: string;
  /** `type bridge …` of a new bridge. */
  bridge?: BridgeSettings;
  alias?: string;
  group?: number;
  txqlen?: number;
  promisc?: boolean;
  allmulticast?: boolean;
  arp?: boolean;
}

const usage = (): ToolExit => new ToolExit(255, LINK);

export function ipLink(context: IpContext, words: Words): void {
  const verb = words.word;
  if (verb === undefined) return listLinks(context, words, true);
  words.skip();
  if (abbreviates(verb, "add")) return add(context, words);
  if (abbreviates(verb, "set") || abbreviates(verb, "change")) return set(context, words);
  if (abbreviates(verb, "replace")) return add(context, words, true);
  if (abbreviates(verb, "delete")) return remove(context, words);
  if (abbreviates(verb, "show") || abbreviates(verb, "lst") || abbreviates(verb, "list")) return listLinks(context, words, true);
  if (abbreviates(verb, "property")) return property(context, words);
  if (abbreviates(verb, "help")) {
    const kind = words.word;
    if (kind === undefined) throw usage();
    context.streams.stdout += KIND_USAGE[kind] ?? "";
    if (KIND_USAGE[kind] === undefined) throw new ToolExit(1, `Cannot find help for type "${kind}".\n`);
    return;
  }
  throw new ToolExit(255, `Command "${verb}" is unknown, try "ip link help".\n`);
}

/** What `ip link set` takes that this kernel has no use for. */
const SWITCHES = ["multicast", "trailers", "carrier", "dynamic", "protodown"];
const VALUES = ["mode", "state", "numtxqueues", "numrxqueues", "addrgenmode", "index",
  "gso_max_size", "gso_max_segs", "gro_max_size", "link-netns", "link-netnsid", "xdp", "vf", "vrf", "broadcast", "brd"];

/** iplink_parse(): up to `type`, whose word it takes. `required`: the kernel is asked about the device at once. */
export function parseLink(context: IpContext, words: Words): LinkArguments {
  const found: LinkArguments = {};
  for (; words.word !== undefined; words.skip()) {
    const word = words.word;
    if (word === "up" || word === "down") found.up = word === "up";
    else if (word === "name") {
      const name = words.next();
      if (found.name !== undefined) throw duplicate("name", name);
      if (!isInterfaceName(name)) throw invalid('"name" not a valid ifname', name);
      found.name = name;
      found.dev ??= name;
    } else if (abbreviates(word, "link")) found.link = words.next();
    else if (abbreviates(word, "address")) found.address = lladdr(words.next());
    else if (word === "mtu") {
      const text = words.next();
      const mtu = unsigned(text);
      if (mtu === undefined) throw invalid('Invalid "mtu" value\n', text);
      found.mtu = mtu;
    } else if (word === "netns") {
      const name = words.next();
      const netns = context.host.namespaces.get(name);
      if (netns !== undefined) found.netns = netns;
      else if (unsigned(name) === undefined) throw invalid('Invalid "netns" value\n', name);
      else found.netnsPid = true;
    } else if (word === "master") {
      const name = words.next();
      if (findLink(context.netns, name) === undefined) throw invalid("Device does not exist\n", name);
      found.master = name;
    } else if (word === "nomaster") found.master = null;
    else if (word === "type") {
      found.type = words.next();
      words.skip();
      return found;
    } else if (word === "promisc" || word === "allmulticast" || word === "arp" || SWITCHES.includes(word)) {
      const value = words.next();
      if (value !== "on" && value !== "off") {
        throw new ToolExit(234, `Error: argument of "${word}" must be one of "on", "off", not "${value}"\n`);
      }
      if (word === "promisc" || word === "allmulticast" || word === "arp") found[word] = value === "on";
      else if (value !== (word === "multicast" || word === "carrier" ? "on" : "off")) throw answers("Operation not supported");
    } else if (word === "txqueuelen" || word === "qlen" || word === "txqlen") {
      const text = words.next();
      if (found.txqlen !== undefined) throw duplicate("txqueuelen", text);
      const length = unsigned(text);
      if (length === undefined) throw invalid('Invalid "txqueuelen" value\n', text);
      found.txqlen = length;
    } else if (word === "alias") {
      const text = words.next();
      if (text.length >= 256) throw invalid("alias too long\n", text);
      found.alias = text;
    } else if (word === "group") {
      const text = words.next();
      if (found.group !== undefined) throw duplicate("group", text);
      found.group = groupNumber(text);
    } else if (VALUES.includes(word)) {
      words.next();
      throw answers("Operation not supported");
    } else {
      if (word === "help") throw usage();
      const name = longName(context.netns, word === "dev" ? words.next() : word);
      if (found.dev !== undefined) throw garbage("dev", name);
      if (!isInterfaceName(name)) throw invalid('"dev" not a valid ifname', name);
      found.dev = name;
    }
  }
  return found;
}

/** A device by one of its other names. */
function longName(netns: Netns, name: string): string {
  if (findLink(netns, name) !== undefined) return name;
  return linkRecords(netns).find((link) => extrasOf(netns, link).altnames?.includes(name) === true)?.name ?? name;
}

/** ll_addr_a2n(): six hexadecimal numbers. */
function lladdr(text: string): string {
  const parts = text.split(":");
  if (parts.some((part) => !/^[0-9a-fA-F]{1,2}$/.test(part))) throw new ToolExit(1, `"${text}" is invalid lladdr.\n`);
  if (parts.length !== 6) throw new ToolExit(1, `Invalid address length ${parts.length} - must be 6 bytes\n`);
  return parts.map((part) => part.toLowerCase().padStart(2, "0")).join(":");
}

/** Kinds whose options iproute2 reads and this kernel has nothing of. */
const FOREIGN_KINDS = ["amt", "bareudp", "bond", "erspan", "hsr", "ip6erspan", "ip6gre", "ip6gretap", "ip6tnl", "ipoib", "ipvtap", "macsec", "sit", "vcan",
  "vrf", "vti", "vxcan", "xfrm"];

function add(context: IpContext, words: Words, replace = false): void {
  const { netns, host } = context;
  const found = parseLink(context, words);
  const { type } = found;
  if (type === undefined) {
    if (replace && found.dev !== undefined) return change(context, found);
    throw new ToolExit(1, 'Not enough information: "type" argument is required\n');
  }
  const parse = KINDS[type];
  if (parse === undefined && words.word !== undefined && !(type in KIND_USAGE) && !FOREIGN_KINDS.includes(type)) {
    throw new ToolExit(1, `Garbage instead of arguments "${words.word} ...". Try "ip link help".\n`);
  }
  if (found.link !== undefined) needLink(netns, found.link);
  let spec: Parameters<Netns["addLink"]>[0] | undefined;
  try {
    spec = parse?.(context, words, found, (peer) => parseLink(context, peer));
  } catch (error) {
    // What the kernel would say of the options it says only when it has the driver.
    if (!(error instanceof ToolExit) || error.exitCode !== 2 || host.hasKind?.(type) !== false) throw error;
  }
  if (spec === undefined || host.hasKind?.(type) === false) throw new ToolExit(2, "Error: Unknown device type.\n");
  const before = new Set(linkRecords(netns).map(({ ifindex }) => ifindex));
  talk(() => netns.addLink(spec));
  const made = linkRecords(netns).find((link) => !before.has(link.ifindex) && (spec.name === "" || link.name === spec.name));
  if (made !== undefined) {
    takeExtras(netns, made);
    if (type === "macvtap") changeExtras(netns, made, { macvtap: true });
    if (found.bridge !== undefined) applyBridge(netns, made, found.bridge);
    applyExtras(netns, made, found);
  }
  // Attributes that the driver's call for a new link does not carry.
  const { up, master } = found;
  if (spec.name !== "" && (up !== undefined || master !== undefined || found.netns !== undefined)) {
    talk(() => netns.setLink(spec.name, {
      ...(master === undefined ? {} : { master }), ...(up === undefined ? {} : { up }), ...(found.netns === undefined ? {} : { netns: found.netns }),
    }));
  }
  attachRules(netns);
}

function applyBridge(netns: Netns, link: LinkRecord, { options, told }: BridgeSettings): void {
  if (Object.keys(options).length > 0) talk(() => deviceCalls(netns).setBridge(link.name, options));
  if (Object.keys(told).length > 0) changeExtras(netns, link, { bridge: { ...extrasOf(netns, link).bridge, ...told } });
}

function applyExtras(netns: Netns, link: LinkRecord, { alias, group, txqlen }: LinkArguments): void {
  if (alias === undefined && group === undefined && txqlen === undefined) return;
  changeExtras(netns, link, {
    ...(alias === undefined ? {} : { alias }), ...(group === undefined ? {} : { group }), ...(txqlen === undefined ? {} : { txqlen }),
  });
}

/** `ip link property add dev DEV altname NAME…` */
function property(context: IpContext, words: Words): void {
  const { netns } = context;
  const verb = words.word;
  if (verb === undefined) throw usage();
  const removing = abbreviates(verb, "delete");
  if (!removing && !abbreviates(verb, "add")) throw new ToolExit(255, `Operator required\n`);
  let dev: string | undefined;
  const names: string[] = [];
  for (words.skip(); words.word !== undefined; words.skip()) {
    const word = words.word;
    if (abbreviates(word, "altname")) {
      for (words.next(); words.word !== undefined; words.skip()) names.push(words.word);
      break;
    }
    if (abbreviates(word, "help")) throw usage();
    dev = word === "dev" ? words.next() : word;
  }
  if (dev === undefined) throw new ToolExit(255, 'Not enough information: "dev" argument is required.\n');
  if (names.length === 0) throw new ToolExit(255, "Parameter is missing\n");
  const link = needLink(netns, longName(netns, dev));
  const have = extrasOf(netns, link).altnames ?? [];
  for (const name of names) {
    const taken = longName(netns, name) !== name || findLink(netns, name) !== undefined;
    if (removing) {
      if (!have.includes(name)) throw answers("Invalid argument");
    } else if (taken) throw answers("File exists");
  }
  changeExtras(netns, link, { altnames: removing ? have.filter((name) => !names.includes(name)) : [...have, ...names] });
}

function set(context: IpContext, words: Words): void {
  const found = parseLink(context, words);
  if (found.dev === undefined) throw new ToolExit(255, 'Not enough information: "dev" argument is required.\n');
  if (found.type !== undefined) setKind(context, found, words);
  change(context, found);
}

/** `ip link set dev DEV type bridge_slave …`: what a bridge port can be told. */
function setKind(context: IpContext, { dev = "", type }: LinkArguments, words: Words): void {
  const { netns } = context;
  if (type === "bridge") {
    const settings = readBridge(context, words);
    const bridge = needLink(netns, dev);
    if (bridge.kind !== "bridge") throw answers("Operation not supported");
    return applyBridge(netns, bridge, settings);
  }
  if (type !== "bridge_slave") throw answers("Operation not supported");
  const link = needLink(netns, dev);
  for (; words.word !== undefined; words.skip()) {
    const { word } = words;
    const value = words.next();
    const option = SLAVE_SWITCHES[word];
    if (option === undefined) throw answers("Operation not supported");
    if (value !== "on" && value !== "off") {
      throw new ToolExit(234, `Error: argument of "${word}" must be one of "off", "on", not "${value}"\n`);
    }
    talk(() => netns.setLink(link.name, { [option]: value === "on" }));
  }
}

const SLAVE_SWITCHES: Readonly<Record<string, string>> = {
  hairpin: "hairpin", learning: "learning", flood: "flood", mcast_flood: "mcastFlood", bcast_flood: "bcastFlood", isolated: "isolated", locked: "locked",
};

const MTU_MINIMUM = 68;
const MTU_MAXIMUM = 65535;

function change({ netns }: IpContext, found: LinkArguments): void {
  const dev = found.dev ?? "";
  const link = needLink(netns, dev);
  const { mtu, up, master, address, name } = found;
  if (found.netnsPid === true) throw answers("No such process");
  if (mtu !== undefined && link.kind !== "loopback") {
    if (mtu < MTU_MINIMUM) throw new ToolExit(2, "Error: mtu less than device minimum.\n");
    if (mtu > MTU_MAXIMUM) throw new ToolExit(2, "Error: mtu greater than device maximum.\n");
  }
  // ndo_set_mac_address is missing.
  if (address !== undefined && ["ifb", "tun", "ipip", "gre"].includes(link.kind)) throw answers("Operation not supported");
  if (address !== undefined && (Number.parseInt(address.slice(1, 2), 16) & 1) !== 0) throw answers("Cannot assign requested address");
  if (typeof master === "string" && findLink(netns, master)?.kind !== "bridge") throw answers("Operation not supported");
  const rename = name !== undefined && name !== dev;
  if (rename && findLink(netns, name) !== undefined) throw answers("File exists");
  const wanted = {
    ...(mtu === undefined ? {} : { mtu }), ...(up === undefined ? {} : { up }), ...(address === undefined ? {} : { mac: address }),
    ...(master === undefined ? {} : { master }), ...(found.netns === undefined ? {} : { netns: found.netns }), ...(rename ? { name } : {}),
    ...(found.promisc === undefined ? {} : { promisc: found.promisc }), ...(found.allmulticast === undefined ? {} : { allmulticast: found.allmulticast }),
    ...(found.arp === undefined ? {} : { arp: found.arp }),
  };
  if (Object.keys(wanted).length > 0) talk(() => netns.setLink(dev, wanted));
  applyExtras(netns, link, found);
  if (rename || found.netns !== undefined) attachRules(netns);
  if (found.netns === undefined) return;
  const extras = takeExtras(netns, link);
  const there = findLink(found.netns, rename ? name : dev);
  if (extras !== undefined && there !== undefined) changeExtras(found.netns, there, extras);
}

function remove(context: IpContext, words: Words): void {
  const found = parseLink(context, words);
  if (found.dev === undefined && found.group !== undefined) {
    const gone = linkRecords(context.netns).filter((link) => (extrasOf(context.netns, link).group ?? 0) === found.group && link.kind !== "loopback");
    for (const { name } of gone) if (findLink(context.netns, name) !== undefined) talk(() => context.netns.deleteLink(name));
    return;
  }
  if (found.dev === undefined) throw new ToolExit(255, 'Not enough information: "dev" argument is required.\n');
  const link = needLink(context.netns, found.dev);
  if (link.kind === "loopback" || link.kind === "nic") throw answers("Operation not supported");
  talk(() => context.netns.deleteLink(link.name));
  takeExtras(context.netns, link);
}
