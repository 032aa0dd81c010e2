/**
 * A real node's configuration (iptables-save, nft list ruleset, ipset save, `ip` listings) and a capture of what came to it: what this kernel makes of
 * the same packets.
 *
 * What a dump does not say is taken so:
 * - Devices are those that `ip link`/`ip addr` list; without such a listing, those that routes, rules (`-i`, `-o`) and the capture
 *   name. Bridges, veths and tunnels of the node are plain NICs here: what would come out of them leaves by them.
 * - A MAC that no listing names is the one most received frames are sent to.
 * - Every gateway and every address on a link that a packet, a route or a rule names answers ARP: with the MAC it sends with in the
 *   capture, else with a made-up one.
 * - Packets are received on the interface that the capture names (`node/eth0` counts as `eth0`), else on the one whose MAC they are
 *   sent to, else on the one that leads back to their source. Packets that the capture or their source MAC shows as sent by the node
 *   are left out.
 * - Forwarding is on; other sysctls are the kernel's defaults. There are no programs: nothing answers on the node's ports.
 */
import { formatIpv4, parseIpv4 } from "../kernel/address.ts";
import { useFullIptables } from "../kernel/iptables/full.ts";
import { restoreIpsets } from "../kernel/ipset.ts";
import { devices as allDevices } from "../kernel/devices.ts";
import { createNodeKernel } from "../kernel/kernel.ts";
import type { KernelInstance } from "../kernel/memory.ts";
import { nftOf } from "../kernel/nft/index.ts";
import type { RouteSpec, RuleSpec } from "../kernel/netns.ts";
import type { ReadCapture } from "../pcap/read.ts";
import { Observer, type Observations } from "../trace/observer.ts";
import { ReplayError } from "./check-case.ts";
import { manualClock } from "./clock.ts";
import { readListing, type DumpedLink } from "./ip-listing.ts";
import { hostHandle } from "./oracle-case.ts";

export interface NodeDump {
  /** `iptables-save` */
  readonly iptables?: string;
  /** `nft list ruleset` */
  readonly nft?: string;
  /** `ipset save` */
  readonly ipset?: string;
  /** `ip route show table all`, `ip addr`, `ip link`, `ip rule`, `ip neigh`, one after the other; text or `-j` JSON. */
  readonly routes?: string;
  readonly capture: ReadCapture;
}

export interface DumpReplay {
  readonly observations: Observations;
  /** Unix time of the first packet, in ns. */
  readonly epochNs: bigint;
  /** How many packets of the capture were received, and how many left out. */
  readonly received: number;
  readonly leftOut: number;
  /** What was taken for granted, in words. */
  readonly assumed: readonly string[];
}

const ETHERNET = 14;
const LINKTYPE_ETHERNET = 1;
const NS_PER_MS = 1e6;
/** Time after the last packet: for ARP, fragments and ICMP errors. */
const AFTERWARDS_MS = 4000;

const macText = (bytes: Uint8Array, at: number): string =>
  Array.from(bytes.subarray(at, at + 6), (byte) => byte.toString(16).padStart(2, "0")).join(":");
const isUnicast = (mac: string): boolean => (Number.parseInt(mac.slice(1, 2), 16) & 1) === 0;
const made = (number: number): string => `02:00:00:00:${(number >> 8).toString(16).padStart(2, "0")}:${(number & 255).toString(16).padStart(2, "0")}`;

/** IPv4 source and destination of a frame, host order. */
function addressesOf(frame: Uint8Array): readonly [number, number] | undefined {
  if (frame.length < ETHERNET + 20 || frame[12] !== 8 || frame[13] !== 0) return undefined;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  return [view.getUint32(ETHERNET + 12), view.getUint32(ETHERNET + 16)];
}

interface Device extends DumpedLink {
  mac: string | undefined;
}

/** Runs the capture through a node that is configured as the dump. Throws ReplayError with the place. */
export function replayDump(instance: KernelInstance, dump: NodeDump): DumpReplay {
  const assumed: string[] = [];
  const listing = readListing(dump.routes ?? "");
  const devices = new Map<string, Device>();
  const need = (name: string, why: string): void => {
    if (name === "lo" || devices.has(name)) return;
    devices.set(name, { name, mtu: 1500, addresses: [], mac: undefined });
    if (listing.links.length > 0) assumed.push(`device ${name} (${why}) is in no listing`);
  };
  for (const link of listing.links) if (link.name !== "lo") devices.set(link.name, { ...link, mac: link.mac });
  for (const { dev } of listing.routes) if (dev !== undefined) need(dev, "named by a route");
  for (const [, name = ""] of (dump.iptables ?? "").matchAll(/^(?:-A|\[\d+:\d+\] -A) .*? -[io] (\S+)/gm)) {
    if (!name.endsWith("+")) need(name, "named by a rule");
  }
  const captured = dump.capture.interfaces.map(({ name, linkType = LINKTYPE_ETHERNET }, i) => {
    if (linkType !== LINKTYPE_ETHERNET) throw new ReplayError("--pcap", `interface ${i} has link type ${linkType}: Ethernet (1) is expected`);
    const short = name?.split("/").at(-1);
    if (short !== undefined && short !== "any") need(short, "named by the capture");
    return short;
  });
  if (devices.size === 0) throw new ReplayError("--routes", "no device is named by routes, rules or the capture");
  learnMacs(devices, dump.capture, captured, assumed);

  const { clock, set, nextNs, fire } = manualClock();
  let observer: Observer | undefined;
  useFullIptables();
  const kernel = createNodeKernel(instance, { name: "node", seed: 1, devices: allDevices, clock, onObserved: (records) => observer?.take(records) });
  try {
    const { host } = kernel;
    const at = (place: string, run: () => void): void => {
      try {
        run();
      } catch (error) {
        throw new ReplayError(place, (error as Error).message);
      }
    };
    host.setLink("lo", { up: true });
    host.setSysctl("net.ipv4.ip_forward", 1);
    for (const { name, mac, mtu, addresses } of devices.values()) {
      at(`device ${name}`, () => {
        host.addLink({ kind: "nic", name, mtu, ...(mac === undefined ? {} : { mac }) });
        host.setLink(name, { up: true });
        for (const cidr of addresses) host.addAddress(name, cidr);
      });
    }
    const known = new Set([254, 255].flatMap((table) => host.routes(table).map(routeKey)));
    // Routes on a link first: gateways are reached by them.
    for (const route of [...listing.routes].sort((a, b) => Number(a.via !== undefined) - Number(b.via !== undefined))) {
      if (!known.has(routeKey(route))) at(`route ${route.dst}`, () => host.addRoute(route));
    }
    for (const rule of listing.rules) if (!DEFAULT_RULES.includes(rule.pref)) at(`rule ${rule.pref}`, () => host.addRule(rule as RuleSpec));
    for (const neigh of neighboursOf(dump, listing.neighbours, host.routes(254), devices)) host.setNeigh(neigh);
    if (dump.ipset !== undefined) at("--ipset", () => restoreIpsets(kernel.context, hostHandle(kernel.context), dump.ipset!));
    const { iptables, nft } = dump;
    if (iptables !== undefined) at("--iptables", () => host.iptables.restore(iptables));
    if (nft !== undefined) at("--nft", () => void nftOf(host).run(nft, { source: "/dev/stdin" }));

    observer = new Observer({ node: "node", namespaces: [host], podOf: () => undefined });
    observer.options = { capture: true, trace: true };
    kernel.observe({ capture: true, trace: true });
    let deadlineNs = Infinity;
    const run = (): void => {
      const status = kernel.runUntil(clock.nowNs());
      set(status.nowNs);
      deadlineNs = status.deadlineNs;
    };
    const advance = (toNs: number): void => {
      for (run(); Math.min(deadlineNs, nextNs()) <= toNs; run()) {
        set(Math.max(Math.min(deadlineNs, nextNs()), clock.nowNs()));
        fire();
      }
      set(toNs);
    };
    run();
    observer.observations();
    const startNs = clock.nowNs();
    const packets = [...dump.capture.packets].map((packet, i) => ({ packet, i })).sort((a, b) =>
      a.packet.timeNs < b.packet.timeNs ? -1 : a.packet.timeNs > b.packet.timeNs ? 1 : a.i - b.i);
    const epochNs = (packets[0]?.packet.timeNs ?? 0n) - BigInt(startNs);
    let received = 0;
    for (const { packet } of packets) {
      const dev = packet.direction === "out" ? undefined : deviceOf(packet.data, captured[packet.interface], devices, host.routes(254));
      if (dev === undefined) continue;
      const atNs = Number(packet.timeNs - epochNs);
      if (atNs > clock.nowNs()) advance(atNs);
      kernel.deliver(host.link(dev)!.ifindex, packet.data);
      received++;
      run();
    }
    advance(clock.nowNs() + AFTERWARDS_MS * NS_PER_MS);
    return { observations: observer.observations(), epochNs, received, leftOut: packets.length - received, assumed };
  } finally {
    kernel.destroy();
  }
}

const DEFAULT_RULES = [0, 32766, 32767];
const routeKey = ({ dst, table = 254, metric = 0, dev = "", type = "unicast" }: RouteSpec): string => `${table}/${dst}/${metric}/${dev}/${type}`;

/** Devices whose MAC no listing names take the one that most frames received there are sent to. */
function learnMacs(devices: Map<string, Device>, capture: ReadCapture, captured: readonly (string | undefined)[], assumed: string[]): void {
  let number = 1;
  for (const device of devices.values()) {
    if (device.mac !== undefined) continue;
    const counts = new Map<string, number>();
    for (const packet of capture.packets) {
      const name = captured[packet.interface] ?? (devices.size === 1 ? device.name : undefined);
      if (name !== device.name || packet.direction === "out" || packet.data.length < ETHERNET) continue;
      const mac = macText(packet.data, 0);
      if (isUnicast(mac)) counts.set(mac, (counts.get(mac) ?? 0) + 1);
    }
    const [best] = [...counts].sort((a, b) => b[1] - a[1]);
    device.mac = best?.[0] ?? made(0xfe00 + number++);
    assumed.push(`${device.name} has MAC ${device.mac}${best === undefined ? ", made up" : ""}`);
  }
}

/** Which device a captured frame comes in on; undefined: it does not come in. */
function deviceOf(frame: Uint8Array, name: string | undefined, devices: ReadonlyMap<string, Device>, routes: readonly RouteSpec[]): string | undefined {
  if (frame.length < ETHERNET) return undefined;
  const from = macText(frame, 6);
  const own = [...devices.values()].find(({ mac }) => mac === from);
  if (own !== undefined) return undefined;
  if (name !== undefined && devices.has(name)) return name;
  const to = macText(frame, 0);
  const asked = [...devices.values()].find(({ mac }) => mac === to);
  if (asked !== undefined) return asked.name;
  const addresses = addressesOf(frame);
  return addresses === undefined ? undefined : routeTo(addresses[0], routes)?.dev;
}

/** The longest prefix that holds `address`. */
function routeTo(address: number, routes: readonly RouteSpec[]): RouteSpec | undefined {
  let best: RouteSpec | undefined;
  let length = -1;
  for (const route of routes) {
    const [text = "", bits = "32"] = route.dst === "default" ? ["0.0.0.0", "0"] : route.dst.split("/");
    const prefix = parseIpv4(text) ?? 0;
    const size = 2 ** (32 - Number(bits));
    if (Number(bits) > length && Math.floor(prefix / size) === Math.floor(address / size)) {
      best = route;
      length = Number(bits);
    }
  }
  return best;
}

/** Permanent neighbours: those listed, and one for every next hop that a packet may need. */
function neighboursOf(
  dump: NodeDump,
  listed: readonly { readonly dev: string; readonly dst: string; readonly lladdr: string }[],
  routes: readonly RouteSpec[],
  devices: ReadonlyMap<string, Device>,
): { dev: string; dst: string; lladdr: string; state: "PERMANENT" }[] {
  const wanted = new Set<number>();
  const sendsFrom = new Map<number, string>();
  for (const { data } of dump.capture.packets) {
    const addresses = addressesOf(data);
    if (addresses === undefined) continue;
    for (const address of addresses) wanted.add(address);
    sendsFrom.set(addresses[0], macText(data, 6));
  }
  for (const [, text = ""] of (dump.iptables ?? "").matchAll(/--to-(?:destination|source) (\d+\.\d+\.\d+\.\d+)/g)) wanted.add(parseIpv4(text) ?? 0);
  for (const [text] of (dump.nft ?? "").matchAll(/\b\d+\.\d+\.\d+\.\d+\b(?!\/)/g)) wanted.add(parseIpv4(text) ?? 0);
  for (const { via } of routes) if (via !== undefined) wanted.add(parseIpv4(via) ?? 0);
  const found = new Map<string, { dev: string; dst: string; lladdr: string; state: "PERMANENT" }>();
  for (const { dev, dst, lladdr } of listed) if (devices.has(dev)) found.set(`${dev} ${dst}`, { dev, dst, lladdr, state: "PERMANENT" });
  const own = new Set([...devices.values()].flatMap(({ addresses }) => addresses.map((cidr) => cidr.split("/")[0])));
  let number = 1;
  for (const address of wanted) {
    const route = routeTo(address, routes);
    const dst = formatIpv4(address);
    if (route?.dev === undefined || route.dev === "lo" || route.via !== undefined || own.has(dst)) continue;
    const key = `${route.dev} ${dst}`;
    if (found.has(key)) continue;
    found.set(key, { dev: route.dev, dst, lladdr: sendsFrom.get(address) ?? made(number), state: "PERMANENT" });
    number++;
  }
  return [...found.values()];
}
