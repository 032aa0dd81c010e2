/** Random topologies: the router's interfaces, routes, rules of policy and sysctls, and the hosts around it. */
import type { OracleCase, OracleInterface, OracleRoute } from "../../../src/replay/oracle-case.ts";
import { randomRules, type RuleSet } from "./rules.ts";
import type { Dice } from "./random.ts";

/** Somebody who sends frames into a NIC of the router. */
export interface Host {
  readonly dev: string;
  readonly mac: string;
  readonly ip: string;
  /** The MAC that frames for the router go to. */
  readonly gateway: string;
  /** Hosts on the same bridge or link, by address: reached without the router. */
  readonly link: string;
  /** Packets of this host come in a tunnel: the VTEP's own addresses. */
  readonly tunnel?: { readonly from: string; readonly to: string; readonly vni: number; readonly port: number; readonly mac: string };
}

export interface World {
  /** Everything but the packets. */
  readonly frame: Omit<OracleCase, "packets">;
  readonly hosts: readonly Host[];
  /** Addresses worth sending to. */
  readonly targets: readonly string[];
  readonly own: readonly string[];
  readonly ports: readonly number[];
  readonly rules: RuleSet;
}

export const TUNNEL_PORT = 4789;
const CLOSED_PORT = 81;
const ECHO_PORT = 7;
const LISTEN_PORT = 80;

export function randomWorld(d: Dice, name: string): World {
  const interfaces: Record<string, OracleInterface> = {};
  const neighbors: { ip: string; mac: string; dev: string }[] = [];
  const fdb: { mac: string; dev: string; dst: string }[] = [];
  const routes: OracleRoute[] = [];
  const ipRules: string[] = [];
  const hosts: Host[] = [];
  const sysctl: Record<string, number> = {};
  const bridgePorts: string[] = [];
  const own: string[] = [];

  const nics = d.from(2, 3);
  const mac = (link: number, host: number): string => `02:00:00:00:0${link}:${host.toString(16).padStart(2, "0")}`;
  for (let i = 1; i <= nics; i++) {
    const dev = `eth${i - 1}`;
    const addr = [`10.0.${i}.1/24`];
    if (d.once(6)) addr.push(d.pick([`10.0.${i}.2/24`, `10.0.${i}.200/25`, `172.16.${i}.1/24`, `192.0.2.${i}/32`]));
    interfaces[dev] = { mac: mac(i, 1), addr, ...(d.once(5) ? { mtu: d.pick([576, 1000, 1280, 1400]) } : {}) };
    own.push(...addr.map((cidr) => cidr.split("/")[0]!));
    for (const host of [10, 11, 12, 13]) {
      neighbors.push({ ip: `10.0.${i}.${host}`, mac: mac(i, host), dev });
      hosts.push({ dev, mac: mac(i, host), ip: `10.0.${i}.${host}`, gateway: mac(i, 1), link: dev });
    }
  }
  if (d.once(3)) {
    interfaces["br0"] = { kind: "bridge", mac: mac(9, 1), addr: ["10.0.9.1/24"] };
    own.push("10.0.9.1");
    for (let p = 0; p < d.from(2, 3); p++) {
      const dev = `pod${p}`;
      bridgePorts.push(dev);
      interfaces[dev] = { mac: `02:00:00:00:0a:0${p}`, master: "br0" };
      const ip = `10.0.9.${20 + p}`;
      neighbors.push({ ip, mac: mac(9, 20 + p), dev: "br0" });
      hosts.push({ dev, mac: mac(9, 20 + p), ip, gateway: mac(9, 1), link: "br0" });
    }
    // Order in the case is the order in which links are made: ports, then the bridge.
    const bridge = interfaces["br0"];
    delete interfaces["br0"];
    interfaces["br0"] = bridge;
    if (d.once(4)) sysctl["net.bridge.bridge-nf-call-iptables"] = 0;
  }
  if (d.once(4)) {
    const vxMac = "02:00:00:00:05:01";
    const far = "02:00:00:00:05:02";
    interfaces["vx0"] = {
      kind: "vxlan", mac: vxMac, vni: 42, local: "10.0.1.1", dev: "eth0", dstport: TUNNEL_PORT, mtu: 1450, addr: ["10.244.1.0/32"],
      // One source port: it is a hash with a seed of the boot, and rules would tell.
      opts: `${d.once(3) ? "nolearning noudpcsum" : d.pick(["nolearning", "learning"])} srcport 40000 40001${d.pick(["", "", " ttl 9", " ttl inherit", " tos inherit", " tos 0x10", " df set", " df inherit", " tos inherit ttl inherit df inherit", " gbp"])}`,
    };
    own.push("10.244.1.0");
    neighbors.push({ ip: "10.244.2.0", mac: far, dev: "vx0" });
    fdb.push({ mac: far, dev: "vx0", dst: "10.0.1.10" });
    routes.push({ dst: "10.244.2.0/24", via: "10.244.2.0", dev: "vx0", onlink: true });
    for (const last of [7, 8]) {
      hosts.push({
        dev: "eth0", mac: mac(1, 10), ip: `10.244.2.${last}`, gateway: mac(1, 1), link: "vx0",
        tunnel: { from: "10.0.1.10", to: "10.0.1.1", vni: 42, port: TUNNEL_PORT, mac: vxMac },
      });
    }
  }
  // Nets behind hosts, and no nets at all.
  const last = nics;
  routes.push({ dst: "default", via: `10.0.${last}.10`, dev: `eth${last - 1}` });
  if (d.once(2)) routes.push({ dst: "192.168.50.0/24", via: "10.0.1.11", ...(d.once(4) ? { mtu: 600 } : {}), ...(d.once(4) ? { src: "10.0.1.1" } : {}) });
  if (d.once(2)) routes.push({ dst: "10.66.0.0/16", type: "blackhole" });
  if (d.once(2)) routes.push({ dst: "10.67.0.0/16", type: "unreachable" });
  if (d.once(2)) routes.push({ dst: "10.68.0.0/16", type: "prohibit" });
  if (d.once(6)) routes.push({ dst: "10.69.0.0/16", type: "throw" });
  if (d.once(6)) routes.push({ dst: "192.168.51.0/24", via: "10.0.2.12", metric: 10 }, { dst: "192.168.51.0/24", via: "10.0.1.12", metric: 5 });
  if (d.once(6)) routes.push({ dst: "192.168.52.0/24", dev: "eth1", scope: "link" });
  hosts.push({ dev: "eth0", mac: mac(1, 11), ip: "192.168.50.9", gateway: mac(1, 1), link: "far" });
  hosts.push({ dev: `eth${last - 1}`, mac: mac(last, 10), ip: "8.8.8.8", gateway: mac(last, 1), link: "far" });
  if (d.once(3)) {
    routes.push({ dst: "default", via: "10.0.1.10", dev: "eth0", table: 100 });
    if (d.once(2)) routes.push({ dst: "10.0.0.0/8", type: d.pick(["blackhole", "unreachable", "throw", "prohibit"]), table: 100 });
    ipRules.push(d.pick([
      "fwmark 0x1 table 100 pref 100", "fwmark 0x10/0x10 table 100 pref 200", "from 10.0.2.0/24 table 100 pref 50", "to 8.8.8.0/24 table 100 pref 60",
      "iif eth1 table 100 pref 70", "from 10.0.2.10 fwmark 0x2 table 100 pref 80",
    ]));
  }
  for (const i of ["eth0", "eth1"]) if (d.once(10)) sysctl[`net.ipv4.conf.${i}.rp_filter`] = d.from(1, 2);
  if (d.once(20)) sysctl["net.ipv4.conf.eth0.forwarding"] = 0;
  if (d.once(20)) sysctl["net.ipv4.conf.all.accept_local"] = 1;
  if (d.once(15)) sysctl["net.ipv4.conf.all.route_localnet"] = 1;
  if (d.once(12)) sysctl["net.ipv4.icmp_echo_ignore_all"] = 1;
  if (d.once(15)) sysctl["net.ipv4.ip_default_ttl"] = 100;
  if (d.once(12)) sysctl["net.netfilter.nf_conntrack_tcp_loose"] = 0;
  if (d.once(12)) sysctl["net.netfilter.nf_conntrack_tcp_be_liberal"] = 1;
  if (d.once(12)) sysctl["net.netfilter.nf_conntrack_checksum"] = 0;
  if (d.once(20)) sysctl["net.ipv4.icmp_echo_ignore_broadcasts"] = 0;
  if (d.once(20)) sysctl["net.ipv4.icmp_errors_use_inbound_ifaddr"] = 1;

  const ports = [1, 53, ECHO_PORT, LISTEN_PORT, CLOSED_PORT, 443, 600, 1023, 5000, 8080, 30080];
  const addresses = [...new Set([...hosts.map(({ ip }) => ip), "10.96.0.1", "10.96.0.10", "10.0.2.99"])];
  const rules = randomRules(d, {
    devices: Object.keys(interfaces).filter((dev) => !bridgePorts.includes(dev)), bridgePorts, addresses, own,
    nets: ["10.0.1.0/24", "10.0.2.0/24", "10.0.0.0/16", "10.96.0.0/16", "10.244.0.0/16", "10.0.2.8/29", "0.0.0.0/1", "10.0.9.0/24"],
    ports, servers: ["10.0.2.10", "10.0.2.11", "10.0.1.12", ...(bridgePorts.length > 0 ? ["10.0.9.20", "10.0.9.21"] : []), "10.0.2.99"],
    macs: [mac(1, 10), mac(2, 11), mac(1, 11)], gateways: ["10.0.2.13", "10.0.1.13"],
  });
  return {
    frame: {
      name, interfaces, routes, neighbors,
      ...(fdb.length > 0 ? { fdb } : {}),
      ...(ipRules.length > 0 ? { ip_rules: ipRules } : {}),
      ...(Object.keys(sysctl).length > 0 ? { sysctl } : {}),
      ...(rules.iptables === "" ? {} : { iptables: rules.iptables }),
      ...(rules.ipset === "" ? {} : { ipset: rules.ipset }),
      ...(rules.anyPort === undefined ? {} : { any_port: { addr: rules.anyPort, range: [1, 65535] as const } }),
      known_ports: [...new Set([...ports, ...rules.ports])],
      ...(d.once(2) ? { udp_echo: [{ port: ECHO_PORT }] } : {}),
      ...(d.once(3) ? { tcp_listen: [{ port: LISTEN_PORT }], tcp_listen_as: ports } : {}),
      ...(d.once(4) ? { ct_trace: true } : {}),
      ...(d.once(3) ? { hits: true } : {}),
    } as Omit<OracleCase, "packets">,
    hosts,
    targets: [...addresses, ...own, "10.0.2.77", "10.66.1.1", "10.67.1.1", "10.68.1.1", "10.69.1.1", "192.168.51.5", "192.168.52.5", "203.0.113.8", "10.0.77.10"],
    own,
    ports,
    rules,
  };
}
