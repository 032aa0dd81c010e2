/**
 * The bridge plugin: a veth pair, its host end a port of a Linux bridge, addresses from an IPAM plugin.
 * Follows containernetworking/plugins plugins/main/bridge/bridge.go and pkg/ip.
 */
import { sha512 } from "@noble/hashes/sha2.js";
import type { Netns } from "../../kernel/netns.ts";
import { cidrContains, compareIp, formatCidr, formatIp, maskIp, nextIp, parseCidr, parseIp } from "../ip.ts";
import { loadArgs } from "../skel.ts";
import { CNI_ERROR, CniError, findPlugin, type CniCall, type CniIp, type CniPlugin, type CniResult, type CniRoute, type NetConf } from "../types.ts";

/** Undoes the steps done so far, last first, when a later one fails. */
type Undo = (() => void)[];

export const bridge: CniPlugin = {
  type: "bridge",

  add(raw, call) {
    const conf = readConf(raw, call);
    const { host } = call;
    const netns = call.netns!;
    const undo: Undo = [];
    try {
      const brName = ensureBridge(host, conf);
      const hostVeth = setupVeth(conf, brName, call, undo);
      const interfaces = [{ name: brName, mac: "" }, { name: hostVeth, mac: "" }, { name: call.ifName, mac: "", sandbox: call.netnsPath }];
      let ips: CniIp[] = [], routes: CniRoute[] | undefined;
      if (conf.ipamType !== undefined) {
        const ipam = findPlugin(call.plugins, conf.ipamType);
        const given = ipam.add(raw, call);
        undo.push(() => ipam.del(raw, call));
        if ((given.ips ?? []).length === 0) fail("IPAM plugin returned missing IP config");
        ips = given.ips!.map((ip) => ({ ...ip, interface: 2 }));
        routes = given.routes === undefined ? undefined : [...given.routes];
        if (conf.isGateway) ips = ips.map((ip) => (ip.gateway === undefined ? { ...ip, gateway: defaultGateway(ip) } : ip));
        if (conf.isDefaultGateway) routes = withDefaultRoutes(ips, routes ?? []);
        configureContainer(netns, call.ifName, ips, routes ?? []);
        if (conf.isGateway) configureGateway(host, brName, ips, conf.forceAddress);
        if (conf.ipMasq) {
          for (const { address } of ips) {
            setupIpMasq(host, address, conf.name, call.containerId);
            undo.push(() => teardownIpMasq(host, address, conf.name, call.containerId));
          }
        }
      } else {
        netns.setLink(call.ifName, { up: !conf.noInterface });
      }
      const mac = (ns: Netns, name: string): string => ns.link(name)?.mac ?? "";
      return {
        cniVersion: raw.cniVersion ?? "1.0.0",
        interfaces: [
          { ...interfaces[0]!, mac: mac(host, brName) }, { ...interfaces[1]!, mac: mac(host, hostVeth) },
          { ...interfaces[2]!, mac: mac(netns, call.ifName) },
        ],
        ...(ips.length > 0 ? { ips } : {}),
        ...(routes === undefined || routes.length === 0 ? {} : { routes }),
      } satisfies CniResult;
    } catch (error) {
      for (const step of undo.reverse()) step();
      throw error;
    }
  },

  check(raw, call) {
    const conf = readConf(raw, call);
    if (conf.ipamType === undefined) fail("no plugin name provided");
    findPlugin(call.plugins, conf.ipamType).check(raw, call);
    if (raw.prevResult === undefined) fail("Required prevResult missing");
    if (call.host.link(conf.bridge) === undefined) fail(`Bridge interface ${conf.bridge} not found`);
    if (call.netns?.link(call.ifName) === undefined) fail(`Interface name ${call.ifName} not found`);
    const present = call.netns.addresses().filter(({ dev }) => dev === call.ifName).map(({ cidr }) => cidr);
    for (const { address } of raw.prevResult.ips ?? []) {
      if (!present.includes(address)) fail(`Failed to match addr ${address} on interface ${call.ifName}`);
    }
    for (const { dst, gw } of raw.prevResult.routes ?? []) {
      const wanted = dst === "0.0.0.0/0" || dst === "::/0" ? "default" : dst;
      const found = call.netns.routes().some((route) => route.dst === wanted && (gw === undefined || route.via === gw));
      if (!found) fail(`Expected Route ${routeText(dst, gw)} not found in routing table`);
    }
  },

  del(raw, call) {
    const conf = readConf(raw, call);
    if (conf.ipamType !== undefined) call.plugins.get(conf.ipamType)?.del(raw, call);
    const { netns, host } = call;
    const here = netns?.addresses().filter(({ dev }) => dev === call.ifName).map(({ cidr }) => cidr) ?? [];
    if (netns?.link(call.ifName) !== undefined) netns.deleteLink(call.ifName);
    if (!conf.ipMasq) return;
    const addresses = here.length > 0 ? here : (raw.prevResult?.ips ?? []).map(({ address }) => address);
    for (const address of addresses) teardownIpMasq(host, address, conf.name, call.containerId);
  },
};

/** A route as Go prints its types.Route. */
function routeText(dst: string, gw: string | undefined): string {
  const { ip, bits } = parseCidr(dst)!;
  const mask = maskIp(new Uint8Array(ip.length).fill(255), bits);
  let hex = "";
  for (const byte of mask) hex += byte.toString(16).padStart(2, "0");
  return `{Dst:{IP:${formatIp(ip)} Mask:${hex}} GW:${gw ?? "<nil>"} MTU:0 AdvMSS:0 Priority:0 Table:<nil> Scope:<nil>}`;
}

function fail(message: string): never {
  throw new CniError(CNI_ERROR.internal, message);
}

function readConf(raw: NetConf, call: CniCall): {
  name: string; bridge: string; isGateway: boolean; isDefaultGateway: boolean; forceAddress: boolean; ipMasq: boolean;
  mtu: number; hairpinMode: boolean; mac: string | undefined; ipamType: string | undefined; vlan: boolean; noInterface: boolean;
} {
  const flag = (field: string): boolean => raw[field] === true;
  if (raw["mtu"] !== undefined && typeof raw["mtu"] !== "number") {
    throw new CniError(CNI_ERROR.internal, "failed to load netconf: json: cannot unmarshal string into Go struct field NetConf.mtu of type int");
  }
  if (flag("hairpinMode") && flag("promiscMode")) fail("cannot set hairpin mode and promiscuous mode at the same time");
  const vlan = typeof raw["vlan"] === "number" ? raw["vlan"] : 0;
  if (vlan < 0 || vlan > 4094) fail(`invalid VLAN ID ${vlan} (must be between 0 and 4094)`);
  const args = loadArgs(call.args, ["MAC"]);
  const isDefaultGateway = flag("isDefaultGateway");
  const type = raw.ipam?.type;
  return {
    name: raw.name ?? "",
    bridge: typeof raw["bridge"] === "string" && raw["bridge"] !== "" ? raw["bridge"] : "cni0",
    isGateway: flag("isGateway") || isDefaultGateway,
    isDefaultGateway,
    forceAddress: flag("forceAddress"),
    ipMasq: flag("ipMasq"),
    mtu: (raw["mtu"] as number | undefined) ?? 0,
    hairpinMode: flag("hairpinMode"),
    mac: (raw.runtimeConfig?.["mac"] ?? raw.args?.cni?.["mac"] ?? args.get("MAC")) as string | undefined,
    vlan: vlan > 0 || raw["vlanTrunk"] !== undefined,
    noInterface: flag("disableContainerInterface"),
    ipamType: type === undefined || type === "" ? undefined : type,
  };
}

/** ensureBridge: makes it unless it is there, and keeps its MAC from following its ports'. */
function ensureBridge(host: Netns, { bridge: name, mtu, vlan }: { bridge: string; mtu: number; vlan: boolean }): string {
  // Bridges of this kernel do not filter VLANs.
  if (vlan) fail(`failed to create bridge "${name}": could not add "${name}": operation not supported`);
  const found = host.link(name);
  if (found === undefined) host.addLink({ kind: "bridge", name, ...(mtu > 0 ? { mtu } : {}) });
  else if (found.kind !== "bridge") fail(`failed to create bridge "${name}": "${name}" already exists but is not a bridge`);
  host.setLink(name, { up: true, mac: host.link(name)!.mac });
  return name;
}

function setupVeth(conf: ReturnType<typeof readConf>, brName: string, call: CniCall, undo: Undo): string {
  const { host, ifName } = call;
  const netns = call.netns!;
  if (conf.mac !== undefined && !/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(conf.mac)) {
    fail(`failed to make veth pair: address ${conf.mac}: invalid MAC address`);
  }
  let name: string;
  do {
    name = `veth${call.random.uint32().toString(16).padStart(8, "0")}`;
  } while (host.link(name) !== undefined);
  if (netns.link(ifName) !== undefined) fail(`container veth name ("${ifName}") peer provided ("${name}") already exists`);
  const mtu = conf.mtu > 0 ? { mtu: conf.mtu } : {};
  host.addLink({
    kind: "veth", name, ...mtu, peer: { name: ifName, netns, ...mtu, ...(conf.mac === undefined ? {} : { mac: conf.mac }) },
  });
  undo.push(() => host.deleteLink(name));
  netns.setLink(ifName, { up: true });
  host.setLink(name, { up: true, master: brName, ...(conf.hairpinMode ? { hairpin: true } : {}) });
  return name;
}

/** The first address of the network: what host-local takes for the gateway too. */
function defaultGateway({ address }: CniIp): string {
  const { ip, bits } = parseCidr(address)!;
  return formatIp(nextIp(maskIp(ip, bits)));
}

function withDefaultRoutes(ips: readonly CniIp[], routes: readonly CniRoute[]): CniRoute[] {
  const out = [...routes];
  for (const { address, gateway } of ips) {
    const dst = address.includes(":") ? "::/0" : "0.0.0.0/0";
    if (gateway !== undefined && !out.some((route) => route.dst === dst && route.gw !== undefined)) out.push({ dst, gw: gateway });
  }
  return out;
}

/** pkg/ipam/ipam_linux.go: ConfigureIface. A route without gateway takes the first address's of its family. */
function configureContainer(netns: Netns, ifName: string, ips: readonly CniIp[], routes: readonly CniRoute[]): void {
  netns.setLink(ifName, { up: true });
  for (const { address } of ips) netns.addAddress(ifName, address);
  for (const { dst, gw, priority } of routes) {
    const via = gw ?? ips.find((ip) => ip.gateway !== undefined && ip.address.includes(":") === dst.includes(":"))?.gateway;
    const route = {
      dst: dst === "0.0.0.0/0" || dst === "::/0" ? "default" : dst, dev: ifName,
      ...(via === undefined ? {} : { via }), ...(priority === undefined ? {} : { metric: priority }),
    };
    if (!netns.routes().some((have) => have.dst === route.dst && (have.metric ?? 0) === (route.metric ?? 0))) netns.addRoute(route);
  }
}

/** ensureAddr for every gateway, and forwarding on. One IPv4 address; several IPv6 ones if they do not overlap. */
function configureGateway(host: Netns, brName: string, ips: readonly CniIp[], force: boolean): void {
  for (const { address, gateway } of ips) {
    if (gateway === undefined) continue;
    const wanted = `${gateway}/${parseCidr(address)!.bits}`;
    const gw = { ip: parseIp(gateway)!, bits: parseCidr(address)!.bits };
    let there = false;
    for (const { dev, cidr } of host.addresses()) {
      if (dev !== brName) continue;
      const have = parseCidr(cidr);
      if (have === undefined || have.ip.length !== gw.ip.length) continue;
      if (have.bits === gw.bits && compareIp(have.ip, gw.ip) === 0) there = true;
      else if (gw.ip.length === 4 || cidrContains(have, gw.ip) || cidrContains(gw, have.ip)) {
        if (!force) fail(`failed to set bridge addr: "${brName}" already has an IP address different from ${wanted}`);
        host.deleteAddress(brName, cidr);
      }
    }
    if (!there) host.addAddress(brName, wanted);
    host.setSysctl(gateway.includes(":") ? "net.ipv6.conf.all.forwarding" : "net.ipv4.ip_forward", 1);
  }
}

/** pkg/utils: FormatChainName and FormatComment. */
function masqNames(network: string, containerId: string): { chain: string; comment: string } {
  const digest = sha512(new TextEncoder().encode(network + containerId));
  let hex = "";
  for (const byte of digest.subarray(0, 12)) hex += byte.toString(16).padStart(2, "0");
  return { chain: `CNI-${hex}`, comment: `name: "${network}" id: "${containerId}"` };
}

/** pkg/ip/ipmasq_iptables_linux.go: setupIPMasqIPTables. */
export function setupIpMasq(host: Netns, address: string, network: string, containerId: string): void {
  const { chain, comment } = masqNames(network, containerId);
  const { ip, bits } = parseCidr(address)!;
  if (ip.length === 16) return; // the contract has one iptables: IPv4's
  const subnet = formatCidr({ ip: maskIp(ip, bits), bits });
  const quoted = `-m comment --comment "${comment.replaceAll('"', '\\"')}"`;
  host.iptables.restore([
    "*nat", `:${chain} - [0:0]`,
    `-A ${chain} -d ${subnet} ${quoted} -j ACCEPT`,
    // Multicast keeps its source.
    `-A ${chain} ! -d 224.0.0.0/4 ${quoted} -j MASQUERADE`,
    `-A POSTROUTING -s ${formatIp(ip)} ${quoted} -j ${chain}`,
    "COMMIT", "",
  ].join("\n"), { noflush: true });
}

/** pkg/ip/ipmasq_iptables_linux.go: teardownIPMasqIPTables. */
export function teardownIpMasq(host: Netns, address: string, network: string, containerId: string): void {
  const { chain, comment } = masqNames(network, containerId);
  const { ip } = parseCidr(address)!;
  const saved = host.iptables.save({ table: "nat" });
  if (ip.length === 16 || !saved.includes(`:${chain} `)) return;
  if (saved.includes(`-j ${chain}\n`)) {
    host.iptables.run(["-t", "nat", "-D", "POSTROUTING", "-s", formatIp(ip), "-m", "comment", "--comment", comment, "-j", chain]);
  }
  host.iptables.run(["-t", "nat", "-F", chain]);
  host.iptables.run(["-t", "nat", "-X", chain]);
}
