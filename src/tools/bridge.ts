/** `bridge` (bridge/bridge.c, fdb.c, link.c, vlan.c, mdb.c). */
import { BRPORT_BCAST_FLOOD, BRPORT_FLOOD, BRPORT_HAIRPIN, BRPORT_ISOLATED, BRPORT_LEARNING, BRPORT_LOCKED, BRPORT_MCAST_FLOOD } from "../../assembly/abi/net.ts";
import type { FdbEntry, Netns } from "../kernel/netns.ts";
import { FDB, LINK, MDB, BRIDGE, VLAN } from "./bridge-usage.ts";
import { filtersOf } from "./fdb-filters.ts";
import { linkAddresses, linkGroups } from "./multicast.ts";
import { fdbOrder, linkRecords, setPortFlags, type LinkRecord } from "./kernel.ts";
import { Printer } from "./printer.ts";
import { address, answers, noDevice, talk } from "./ip/context.ts";
import { peerOf } from "./ip/address-show.ts";
import { abbreviates, invalid, ToolExit, unsigned, Words, type Streams, type ToolHost } from "./tool.ts";

interface BridgeContext {
  readonly host: ToolHost;
  readonly netns: Netns;
  readonly streams: Streams;
  readonly details: boolean;
  readonly stats: boolean;
  readonly json: boolean;
  readonly pretty: boolean;
  readonly oneline: boolean;
}

const OBJECTS: readonly (readonly [string, (context: BridgeContext, words: Words) => void])[] = [
  ["link", link], ["fdb", fdb], ["mdb", mdb], ["vlan", vlan], ["vni", () => {}], ["monitor", () => {}], ["help", () => {
    throw new ToolExit(255, BRIDGE);
  }],
];

export function bridge(host: ToolHost, args: readonly string[], streams: Streams): number {
  const options = { details: false, stats: false, json: false, pretty: false, oneline: false };
  let netns = host.netns;
  let at = 0;
  for (; at < args.length; at++) {
    let option = args[at]!;
    if (option === "--") {
      at++;
      break;
    }
    if (!option.startsWith("-")) break;
    if (option.startsWith("--")) option = option.slice(1);
    const is = (name: string): boolean => abbreviates(option, name);
    if (is("-help")) throw new ToolExit(255, BRIDGE);
    if (is("-Version")) {
      streams.stdout += "bridge utility, 6.1.0\n";
      return 0;
    }
    if (is("-stats") || is("-statistics")) options.stats = true;
    else if (is("-details")) options.details = true;
    else if (is("-oneline")) options.oneline = true;
    else if (is("-timestamp") || is("-force") || is("-compressvlans")) continue;
    else if (is("-family")) at++;
    else if (option === "-4" || option === "-6") continue;
    else if (is("-netns")) {
      const name = args[++at] ?? "";
      const found = host.namespaces.get(name);
      if (found === undefined) throw new ToolExit(255, `Cannot open network namespace "${name}": No such file or directory\n`);
      netns = found;
    } else if (/^-c(?:o(?:l(?:o(?:r)?)?)?)?(?:=(?:always|auto|never))?$/.test(option)) continue;
    else if (is("-json")) options.json = true;
    else if (is("-pretty")) options.pretty = true;
    else if (is("-batch")) at++;
    else throw new ToolExit(255, `Option "${option}" is unknown, try "bridge help".\n`);
  }
  const words = new Words(args.slice(at));
  const name = words.word;
  if (name === undefined) throw new ToolExit(255, BRIDGE);
  const object = OBJECTS.find(([known]) => abbreviates(name, known));
  if (object === undefined) throw new ToolExit(255, `Object "${name}" is unknown, try "bridge help".\n`);
  words.skip();
  object[1]({ ...options, host: { ...host, netns }, netns, streams }, words);
  return 0;
}

const printer = ({ json, pretty }: BridgeContext): Printer => new Printer(json, pretty);
/** _SL_: what begins a further line of one record. */
const newline = ({ oneline }: BridgeContext): string => (oneline ? "\\" : "\n");

// bridge fdb

function fdb(context: BridgeContext, words: Words): void {
  const verb = words.word ?? "show";
  words.skip();
  for (const name of ["add", "append", "replace", "delete"] as const) if (abbreviates(verb, name)) return fdbModify(context, words, name);
  if (abbreviates(verb, "get")) return fdbGet(context, words);
  if (abbreviates(verb, "show") || abbreviates(verb, "lst") || abbreviates(verb, "list")) return fdbShow(context, words);
  if (abbreviates(verb, "flush")) return fdbFlush(context, words);
  if (abbreviates(verb, "help")) throw new ToolExit(255, FDB);
  throw new ToolExit(255, `Command "${verb}" is unknown, try "bridge fdb help".\n`);
}

const MAC = /^[0-9a-fA-F]{1,2}(?::[0-9a-fA-F]{1,2}){5}$/;

function fdbModify({ netns }: BridgeContext, words: Words, verb: "add" | "append" | "replace" | "delete"): void {
  let dev: string | undefined;
  let lladdr: string | undefined;
  let dst: string | undefined;
  let self = false;
  let master = false;
  // Permanent, of the host itself, unless another state is asked for.
  let local = true;
  for (; words.word !== undefined; words.skip()) {
    const word = words.word;
    if (word === "dev") dev = words.next();
    else if (abbreviates(word, "dst")) dst = address(words.next(), undefined).address;
    else if (word === "self") self = true;
    else if (abbreviates(word, "master")) master = true;
    else if (abbreviates(word, "temp") || abbreviates(word, "static") || word === "dynamic") local = false;
    else if (abbreviates(word, "local") || abbreviates(word, "permanent") || word === "router" || word === "use" || word === "extern_learn" || word === "sticky") continue;
    else if (word === "nhid" || word === "port" || word === "vni" || word === "via" || word === "vlan" || word === "src_vni") {
      const text = words.next();
      if (word === "vlan" && unsigned(text) === undefined) throw new ToolExit(255, `Invalid VLAN ID "${text}"\n`);
      throw answers("Operation not supported", 255);
    } else {
      const text = word === "to" ? words.next() : word;
      if (abbreviates(text, "help")) throw new ToolExit(255, FDB);
      if (lladdr !== undefined) throw new ToolExit(255, `Error: duplicate "to": "${text}" is the second value.\n`);
      lladdr = text;
    }
  }
  if (dev === undefined || lladdr === undefined) throw new ToolExit(255, "Device and address are required arguments.\n");
  if (!MAC.test(lladdr)) throw new ToolExit(255, `Invalid mac address ${lladdr}\n`);
  const mac = lladdr.split(":").map((part) => part.toLowerCase().padStart(2, "0")).join(":");
  const name = dev;
  const link = linkRecords(netns).find((found) => found.name === name);
  if (link === undefined) throw noDevice(name, 255);
  if (!self && !master) self = true;
  if (master && link.master === undefined) throw answers("Operation not supported", 255);
  if (self && link.kind === "bridge") return ownEntry(netns, name, mac, verb);
  if (self && link.kind !== "vxlan") return unicastFilter(netns, link, mac, verb);
  const same = netns.fdb(link.kind === "vxlan" || link.kind === "bridge" ? name : link.master!)
    .filter((entry) => entry.lladdr === mac && (link.kind === "vxlan" || entry.dev === name));
  if (verb === "delete") {
    if (same.length === 0) throw answers("No such file or directory", 255);
    return talk(() => netns.deleteFdb(name, mac, dst), 255);
  }
  if (verb === "add" && same.length > 0) throw answers("File exists", 255);
  talk(() => netns.setFdb({ dev: name, lladdr: mac, ...(dst === undefined ? {} : { dst }), ...(verb === "append" ? { append: true } : {}),
    ...(local && link.kind !== "vxlan" ? { local: true } : {}) }), 255);
}

/** `bridge fdb add … dev BRIDGE self`: the bridge's own port (br_fdb_add without a port). */
function ownEntry(netns: Netns, name: string, lladdr: string, verb: "add" | "append" | "replace" | "delete"): void {
  const there = netns.fdb(name).some((entry) => entry.lladdr === lladdr && entry.dev === name);
  if (verb === "delete") {
    if (!there) throw answers("No such file or directory", 255);
    return talk(() => netns.deleteFdb(name, lladdr), 255);
  }
  if (verb === "add" && there) throw answers("File exists", 255);
  talk(() => netns.setFdb({ dev: name, lladdr, local: true }), 255);
}

function unicastFilter(netns: Netns, link: LinkRecord, mac: string, verb: "add" | "append" | "replace" | "delete"): void {
  const list = filtersOf(netns, link);
  if (verb === "delete") {
    if (!list.delete(mac)) throw answers("No such file or directory", 255);
    return;
  }
  if (verb === "add" && list.has(mac)) throw answers("File exists", 255);
  list.add(mac);
}

/** One line of the listing; `self`: of the device's own table, else of the bridge it is a port of. */
interface FdbLine {
  readonly entry: FdbEntry;
  readonly self: boolean;
  readonly master: string | undefined;
}

/**
 * All entries as RTM_GETNEIGH dumps them, device by device: of the bridge that it is a port of, those of its port; then its own; a bridge
 * tells what it hears itself before what it switches by.
 */
function fdbLines(netns: Netns): FdbLine[] {
  const links = linkRecords(netns);
  const groups = linkGroups(netns, links);
  const lines: FdbLine[] = [];
  const tables = new Map<string, readonly FdbEntry[]>();
  const table = (bridge: string): readonly FdbEntry[] => {
    let entries = tables.get(bridge);
    if (entries === undefined) {
      const place = fdbOrder(netns, links.find(({ name }) => name === bridge)!.ifindex);
      tables.set(bridge, (entries = [...netns.fdb(bridge)].sort((a, b) => place(a) - place(b))));
    }
    return entries;
  };
  const own = (found: LinkRecord): void => {
    if (found.kind === "loopback") return;
    for (const lladdr of [...linkAddresses(links, found), ...filtersOf(netns, found), ...(groups.get(found.ifindex) ?? []).map(({ mac }) => mac)]) {
      lines.push({ entry: { dev: found.name, lladdr, state: "permanent" }, self: true, master: undefined });
    }
  };
  for (const found of links) {
    if (found.master !== undefined) {
      for (const entry of table(found.master)) if (entry.dev === found.name) lines.push({ entry, self: false, master: found.master });
    }
    if (found.kind === "vxlan") {
      for (const entry of netns.fdb(found.name)) lines.push({ entry, self: true, master: undefined });
      continue;
    }
    own(found);
    if (found.kind !== "bridge") continue;
    for (const entry of table(found.name)) if (entry.dev === found.name) lines.push({ entry, self: false, master: found.name });
  }
  return lines;
}

function fdbShow(context: BridgeContext, words: Words): void {
  const { netns, streams } = context;
  const links = linkRecords(netns);
  let dev: LinkRecord | undefined;
  let br: LinkRecord | undefined;
  let state: string | undefined;
  let dynamic = false;
  for (; words.word !== undefined; words.skip()) {
    const word = words.word;
    if (word === "brport" || word === "dev") {
      const name = words.next();
      dev = links.find((link) => link.name === name);
      if (dev === undefined) throw noDevice(name, 255);
    } else if (word === "br") {
      const name = words.next();
      br = links.find((link) => link.name === name);
      if (br === undefined) throw new ToolExit(255, `Cannot find bridge device "${name}"\n`);
    } else if (word === "state") state = words.next();
    else if (word === "vlan") words.next();
    else if (word === "dynamic") dynamic = true;
    else if (abbreviates(word, "help")) throw new ToolExit(255, FDB);
  }
  const p = printer(context);
  p.array(undefined, () => {
    for (const line of fdbLines(netns)) {
      const { entry, master } = line;
      if (dev !== undefined && entry.dev !== dev.name) continue;
      const bridgeName = br?.name;
      // NDA_MASTER: the ports' entries and the bridge's, their own addresses too.
      if (bridgeName !== undefined && master !== bridgeName && entry.dev !== bridgeName && links.find(({ name }) => name === entry.dev)?.master !== bridgeName) continue;
      if (state !== undefined && state !== "all" && !entry.state.startsWith(state)) continue;
      if (dynamic && entry.state !== "reachable") continue;
      printFdb(p, line, dev === undefined, context.stats);
    }
  });
  streams.stdout += p.take();
}

function printFdb(p: Printer, { entry, self, master }: FdbLine, withDev: boolean, stats = false): void {
  const { lladdr, dev, dst, state } = entry;
  p.object(undefined, () => {
    p.any("mac", lladdr, lladdr);
    if (withDev) p.any("ifname", dev, ` dev ${dev}`);
    if (dst !== undefined) p.any("dst", dst, ` dst ${dst}`);
    // What a device hears has no times.
    if (stats && (!self || dst !== undefined)) {
      p.any("used", 0, " used 0");
      p.any("updated", 0, "/0");
    }
    p.array("flags", () => {
      if (self) p.any(undefined, "self", " self");
    });
    if (master !== undefined) p.any("master", master, ` master ${master}`);
    p.any("state", state === "reachable" ? "" : state, state === "reachable" ? "" : ` ${state}`);
    // What stands behind a port's name is told apart by a space.
    p.fp(state === "reachable" ? " \n" : "\n");
  });
}

function fdbGet(context: BridgeContext, words: Words): void {
  let mac: string | undefined;
  let name: string | undefined;
  for (; words.word !== undefined; words.skip()) {
    if (words.word === "br" || words.word === "dev" || words.word === "brport") name = words.next();
    else if (["self", "master", "dynamic"].includes(words.word)) continue;
    else if (words.word === "vlan" || words.word === "vni") words.next();
    else mac = words.word === "to" ? words.next() : words.word;
  }
  if (mac === undefined) throw new ToolExit(255, "No address specified\n");
  if (name === undefined) throw new ToolExit(255, "No device specified\n");
  if (!MAC.test(mac)) throw new ToolExit(255, `Invalid mac address ${mac}\n`);
  const device = name;
  const link = linkRecords(context.netns).find((found) => found.name === device);
  if (link === undefined) throw noDevice(device, 255);
  const lines = fdbLines(context.netns).filter(({ entry, master }) => entry.lladdr === mac && (master === device || entry.dev === device));
  const found = lines.find(({ self }) => !self) ?? lines[0];
  const p = printer(context);
  if (found === undefined) throw new ToolExit(255, "Error: Fdb entry not found.\n");
  p.array(undefined, () => printFdb(p, found.self && link.kind === "bridge" ? { ...found, self: false, master: device } : found, true));
  context.streams.stdout += p.take();
}

function fdbFlush({ netns }: BridgeContext, words: Words): void {
  let dev: string | undefined;
  for (; words.word !== undefined; words.skip()) if (words.word === "dev") dev = words.next();
  if (dev === undefined) throw new ToolExit(255, "Device is required\n");
  const name = dev;
  if (linkRecords(netns).every((link) => link.name !== name)) throw noDevice(name, 255);
  for (const entry of netns.fdb(name)) if (entry.state === "reachable") talk(() => netns.deleteFdb(entry.dev, entry.lladdr, entry.dst), 255);
}

// bridge link

function link(context: BridgeContext, words: Words): void {
  const verb = words.word ?? "show";
  words.skip();
  if (abbreviates(verb, "set") || abbreviates(verb, "change")) return linkSet(context, words);
  if (abbreviates(verb, "show") || abbreviates(verb, "lst") || abbreviates(verb, "list")) return linkShow(context, words);
  if (abbreviates(verb, "help")) throw new ToolExit(255, LINK);
  throw new ToolExit(255, `Command "${verb}" is unknown, try "bridge link help".\n`);
}

/** What a port is told `on` or `off`. */
const SWITCHES = ["guard", "hairpin", "fastleave", "root_block", "mcast_to_unicast", "bcast_flood", "mcast_flood", "flood", "learning", "learning_sync",
  "neigh_suppress", "vlan_tunnel", "isolated", "locked", "mab"];

function linkSet({ netns }: BridgeContext, words: Words): void {
  let dev: string | undefined;
  const wanted = new Map<string, boolean>();
  for (; words.word !== undefined; words.skip()) {
    const word = words.word;
    if (word === "dev") dev = words.next();
    else if (SWITCHES.includes(word)) {
      const value = words.next();
      if (value !== "on" && value !== "off") {
        throw new ToolExit(234, `Error: argument of "${word}" must be one of "off", "on", not "${value}"\n`);
      }
      wanted.set(word, value === "on");
    } else if (word === "cost" || word === "priority" || word === "state" || word === "hwmode" || word === "backup_port") {
      const text = words.next();
      if ((word === "cost" || word === "priority") && unsigned(text) === undefined) throw invalid(word, text);
      throw answers("Operation not supported", 255);
    } else if (word === "self" || word === "master") continue;
    else if (abbreviates(word, "help")) throw new ToolExit(255, LINK);
    else throw new ToolExit(255, LINK);
  }
  if (dev === undefined) throw new ToolExit(255, "Device is a required argument.\n");
  const name = dev;
  const found = linkRecords(netns).find((one) => one.name === name);
  if (found === undefined) throw new ToolExit(255, `Cannot find bridge device "${name}"\n`);
  if (found.master === undefined) throw answers("Operation not supported", 255);
  let flags = 0;
  let mask = 0;
  for (const [flag, on] of wanted) {
    const bit = PORT_FLAGS.find(([word]) => word === flag)?.[1] ?? 0;
    // What this kernel's ports never do can be switched off.
    if (bit === 0 && on) throw answers("Operation not supported", 255);
    mask |= bit;
    if (on) flags |= bit;
  }
  if (mask !== 0) talk(() => setPortFlags(netns, found.ifindex, flags, mask), 255);
}

const PORT_FLAGS = [
  ["hairpin", BRPORT_HAIRPIN], ["guard", 0], ["root_block", 0], ["fastleave", 0], ["learning", BRPORT_LEARNING], ["flood", BRPORT_FLOOD],
  ["mcast_flood", BRPORT_MCAST_FLOOD], ["bcast_flood", BRPORT_BCAST_FLOOD], ["mcast_to_unicast", 0], ["neigh_suppress", 0],
  ["vlan_tunnel", 0], ["isolated", BRPORT_ISOLATED], ["locked", BRPORT_LOCKED], ["mab", 0],
] as const;

function linkShow(context: BridgeContext, words: Words): void {
  const { netns, streams, details } = context;
  const links = linkRecords(netns);
  let dev: LinkRecord | undefined;
  let master: LinkRecord | undefined;
  for (; words.word !== undefined; words.skip()) {
    const name = words.word === "dev" || words.word === "master" ? words.next() : words.word;
    const found = links.find((one) => one.name === name);
    if (found === undefined) throw noDevice(name, 255);
    if (words.word !== name || words.peek(-1) !== "master") dev = found;
    else master = found;
  }
  const p = printer(context);
  p.array(undefined, () => {
    for (const port of links) {
      if (port.master === undefined || (dev !== undefined && dev !== port) || (master !== undefined && port.master !== master.name)) continue;
      p.object(undefined, () => printPort(context, p, port, details));
    }
  });
  streams.stdout += p.take();
}

function printPort(context: BridgeContext, p: Printer, port: LinkRecord, details: boolean): void {
  const peer = peerOf(context.host, port);
  const running = port.up && (port.kind !== "veth" || peer === undefined || peer.link.up);
  const state = !port.up || !running ? "disabled" : "forwarding";
  p.any("ifindex", port.ifindex, `${port.ifindex}: `);
  if (port.kind === "veth" && port.peer !== 0) {
    // br_fill_ifinfo() does not say in which namespace the other end is: its number is taken for one of this.
    const lower = linkRecords(context.netns).find(({ ifindex }) => ifindex === port.peer)?.name;
    if (lower === undefined) p.js("link_index", port.peer);
    else p.js("link", lower);
    p.any("ifname", port.name, `${port.name}@${lower ?? `if${port.peer}`}: `);
  } else p.any("ifname", port.name, `${port.name}: `);
  const flags = [...(port.up && !running ? ["NO-CARRIER"] : []), "BROADCAST", "MULTICAST", ...(port.up ? ["UP"] : []), ...(running ? ["LOWER_UP"] : [])];
  p.array("flags", () => {
    for (const flag of flags) p.js(undefined, flag);
  });
  p.fp(`<${flags.join(",")}> `);
  p.any("mtu", port.mtu, `mtu ${port.mtu} `);
  p.any("master", port.master!, `master ${port.master} `);
  p.any("state", state, `state ${state} `);
  p.any("priority", 32, "priority 32 ");
  p.any("cost", 2, "cost 2 ");
  if (details) {
    p.fp(`${newline(context)}    `);
    for (const [name, flag] of PORT_FLAGS) {
      if (name === "mab") continue;
      if (name === "mcast_to_unicast") p.any("mcast_router", 1, "mcast_router 1 ");
      const on = flag !== 0 && (port.portFlags & flag) !== 0;
      p.any(name, on, `${name} ${on ? "on" : "off"} `);
    }
  }
  p.fp("\n");
}

// bridge vlan, bridge mdb

function vlan(context: BridgeContext, words: Words): void {
  const verb = words.word ?? "show";
  words.skip();
  if (abbreviates(verb, "add") || abbreviates(verb, "delete")) {
    for (; words.word !== undefined; words.skip()) {
      if (words.word !== "vid") continue;
      const text = words.next();
      const [low, high] = text.split("-").map((part) => unsigned(part));
      if (low === undefined || low >= 4096 || (high !== undefined && high >= 4096)) throw new ToolExit(255, `Invalid VLAN ID "${text}"\n`);
    }
    throw answers("Operation not supported", 255);
  }
  if (abbreviates(verb, "help")) throw new ToolExit(255, VLAN);
  if (!abbreviates(verb, "show") && !abbreviates(verb, "lst") && !abbreviates(verb, "list")) {
    throw new ToolExit(255, `Command "${verb}" is unknown, try "bridge vlan help".\n`);
  }
  const p = printer(context);
  p.array(undefined, () => p.fp("port              vlan-id  \n"));
  context.streams.stdout += p.take();
}

function mdb(context: BridgeContext, words: Words): void {
  const verb = words.word ?? "show";
  words.skip();
  if (abbreviates(verb, "help")) throw new ToolExit(255, MDB);
  if (abbreviates(verb, "show") || abbreviates(verb, "lst") || abbreviates(verb, "list")) return;
  if (!abbreviates(verb, "add") && !abbreviates(verb, "delete")) {
    throw new ToolExit(255, `Command "${verb}" is unknown, try "bridge mdb help".\n`);
  }
  let port: string | undefined;
  for (; words.word !== undefined; words.skip()) {
    if (words.word === "port") port = words.next();
    else if (words.word === "dev" || words.word === "grp" || words.word === "vid" || words.word === "src") words.next();
  }
  const found = linkRecords(context.netns).find((one) => one.name === port);
  if (found !== undefined && found.master === undefined) throw new ToolExit(255, "Error: bridge: Net device is not a bridge port.\n");
  throw answers("Operation not supported", 255);
}
