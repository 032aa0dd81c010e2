/** What `-d` says about a link's kind and its place in a bridge (the print_opt functions of ip/iplink_*.c). */
import {
  BRPORT_BCAST_FLOOD, BRPORT_BLOCKED, BRPORT_BLOCKED_LEARNS, BRPORT_DISABLED, BRPORT_FLOOD, BRPORT_HAIRPIN, BRPORT_ISOLATED, BRPORT_LEARNING, BRPORT_LOCKED,
  BRPORT_MCAST_FLOOD, IPVLAN_MODE_L2, IPVLAN_MODE_L3, LINK_F_8021AD, LINK_F_DF, LINK_F_DF_INHERIT, LINK_F_ICSUM, LINK_F_IKEY, LINK_F_L2MISS, LINK_F_L3MISS,
  LINK_F_NOLEARNING, LINK_F_NOPMTUDISC, LINK_F_NOUDPCSUM, LINK_F_OCSUM, LINK_F_GBP, LINK_F_OKEY, LINK_F_PRIVATE, LINK_F_PROXY, LINK_F_TTL_INHERIT,
  LINK_F_UDP6ZEROCSUMRX, LINK_F_UDP6ZEROCSUMTX, LINK_F_VEPA,
} from "../../../assembly/abi/net.ts";
import { deviceCalls, type DeviceDetails } from "../../kernel/devices.ts";
import type { Netns } from "../../kernel/netns.ts";
import { linkRecords, type LinkRecord } from "../kernel.ts";
import type { Printer } from "../printer.ts";
import type { ToolHost } from "../tool.ts";
import { extrasOf } from "./extras.ts";

/** The kind with its settings, and those of the bridge port it is. */
export function printKind(host: ToolHost, p: Printer, link: LinkRecord, sep: string): void {
  const { netns } = host;
  const { kind } = link;
  if (kind === "loopback" || (kind === "nic" && link.master === undefined)) return;
  p.object("linkinfo", () => {
    const name = kind === "tap" ? "tun" : kind === "macvlan" && extrasOf(netns, link).macvtap === true ? "macvtap" : kind;
    if (kind !== "nic") {
      p.any("info_kind", name, `${sep}    ${name} `);
      const print = PRINTERS[kind];
      if (print !== undefined) p.object("info_data", () => print(p, netns, link, deviceCalls(netns).details(link.name)));
    }
    if (link.master !== undefined) printPort(p, netns, link, sep);
  });
}

type Print = (p: Printer, netns: Netns, link: LinkRecord, details: DeviceDetails) => void;

const flag = (options: number, bit: number): boolean => (options & bit) !== 0;
const nameOf = (netns: Netns, ifindex: number): string => linkRecords(netns).find((link) => link.ifindex === ifindex)?.name ?? `if${ifindex}`;
const onOff = (p: Printer, key: string, word: string, on: boolean): void => p.any(key, on, `${word} ${on ? "on" : "off"} `);

const MACVLAN_MODES: Readonly<Record<number, string>> = { 1: "private", 2: "vepa", 4: "bridge", 8: "passthru", 16: "source" };

const PRINTERS: Readonly<Record<string, Print>> = {
  bridge: printBridge,
  vxlan: printVxlan,
  macvlan(p, netns, link, { mode }) {
    const name = MACVLAN_MODES[mode] ?? "unknown";
    p.any("mode", name, `mode ${name} `);
    p.any("bcqueuelen", 1000, "bcqueuelen 1000 ");
    p.any("usedbcqueuelen", 1000, "usedbcqueuelen 1000 ");
    if (mode !== 16) return;
    const sources = deviceCalls(netns).macvlanSources(link.name);
    if (sources.length === 0) return;
    p.fp(`remotes (${sources.length}) `);
    p.array("macaddr_data", () => {
      for (const mac of sources) p.any(undefined, mac, `${mac} `);
    });
  },
  ipvlan(p, _netns, _link, { mode, options }) {
    const name = mode === IPVLAN_MODE_L2 ? "l2" : mode === IPVLAN_MODE_L3 ? "l3" : "l3s";
    const isolation = flag(options, LINK_F_PRIVATE) ? "private" : flag(options, LINK_F_VEPA) ? "vepa" : "bridge";
    p.any("mode", name, ` mode ${name} `);
    p.any("mode_flag", isolation, `${isolation} `);
  },
  vlan(p, _netns, _link, { id, options }) {
    const protocol = flag(options, LINK_F_8021AD) ? "802.1ad" : "802.1Q";
    p.any("protocol", protocol, `protocol ${protocol} `);
    p.any("id", id, `id ${id} `);
    p.array("flags", () => p.any(undefined, "REORDER_HDR", "<REORDER_HDR> "));
  },
  tun: (p, _netns, link) => printTun(p, link),
  tap: (p, _netns, link) => printTun(p, link),
  ipip: printTunnel,
  gre: printTunnel,
  gretap: printTunnel,
  geneve(p, _netns, _link, { id, remote, ttl, tos, dstPort, options }) {
    p.any("id", id, `id ${id} `);
    if (remote !== undefined) p.any("remote", remote, `remote ${remote} `);
    p.any("ttl", ttl, ttl === 0 ? "ttl auto " : `ttl ${ttl} `);
    if (tos === 1) p.any("tos", "inherit", "tos inherit ");
    else if (tos !== 0) p.any("tos", `0x${tos.toString(16)}`, `tos 0x${tos.toString(16)} `);
    if (flag(options, LINK_F_DF)) p.any("df", "set", "df set ");
    p.any("port", dstPort, `dstport ${dstPort} `);
    const udp = !flag(options, LINK_F_NOUDPCSUM);
    p.any("udp_csum", udp, udp ? "udpcsum " : "noudpcsum ");
  },
};

function printTun(p: Printer, { kind }: LinkRecord): void {
  p.any("type", kind, `type ${kind} `);
  onOff(p, "pi", "pi", false);
  onOff(p, "vnet_hdr", "vnet_hdr", false);
  p.js("multi_queue", false);
  onOff(p, "persist", "persist", true);
}

function printTunnel(p: Printer, netns: Netns, link: LinkRecord, { remote, local, ttl, tos, options, ikey, okey }: DeviceDetails): void {
  p.any("remote", remote ?? "any", `remote ${remote ?? "any"} `);
  p.any("local", local ?? "any", `local ${local ?? "any"} `);
  if (link.linkIfindex !== 0) p.any("link", nameOf(netns, link.linkIfindex), `dev ${nameOf(netns, link.linkIfindex)} `);
  p.any("ttl", ttl, ttl === 0 ? "ttl inherit " : `ttl ${ttl} `);
  if (tos === 1) p.any("tos", "inherit", "tos inherit ");
  else if (tos !== 0) p.any("tos", `0x${tos.toString(16)}`, `tos 0x${tos.toString(16)} `);
  const discover = !flag(options, LINK_F_NOPMTUDISC);
  p.any("pmtudisc", discover, discover ? "pmtudisc " : "nopmtudisc ");
  if (link.kind === "ipip") return;
  const key = (value: number): string => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join(".");
  if (flag(options, LINK_F_IKEY)) p.any("ikey", key(ikey), `ikey ${key(ikey)} `);
  if (flag(options, LINK_F_OKEY)) p.any("okey", key(okey), `okey ${key(okey)} `);
  if (flag(options, LINK_F_ICSUM)) p.any("icsum", true, "icsum ");
  if (flag(options, LINK_F_OCSUM)) p.any("ocsum", true, "ocsum ");
}

function printVxlan(p: Printer, netns: Netns, link: LinkRecord, details: DeviceDetails): void {
  const { id, remote, local, srcPort, dstPort, options, tos, ttl, ageing, maxAddress } = details;
  p.any("id", id, `id ${id} `);
  if (remote !== undefined) {
    const first = Number(remote.split(".")[0]);
    const group = remote.includes(":") ? remote.startsWith("ff") : first >= 224 && first < 240;
    p.any(group ? "group" : "remote", remote, `${group ? "group" : "remote"} ${remote} `);
  }
  if (local !== undefined) p.any("local", local, `local ${local} `);
  if (link.linkIfindex !== 0) p.any("link", nameOf(netns, link.linkIfindex), `dev ${nameOf(netns, link.linkIfindex)} `);
  p.object("port_range", () => {
    p.any("low", srcPort[0], `srcport ${srcPort[0]} `);
    p.any("high", srcPort[1], `${srcPort[1]} `);
  });
  p.any("port", dstPort, `dstport ${dstPort} `);
  const learning = !flag(options, LINK_F_NOLEARNING);
  p.any("learning", learning, learning ? "" : "nolearning ");
  if (flag(options, LINK_F_PROXY)) p.any("proxy", true, "proxy ");
  if (flag(options, LINK_F_L2MISS)) p.any("l2miss", true, "l2miss ");
  if (flag(options, LINK_F_L3MISS)) p.any("l3miss", true, "l3miss ");
  if (tos === 1) p.any("tos", "inherit", "tos inherit ");
  else if (tos !== 0) p.any("tos", `0x${tos.toString(16)}`, `tos 0x${tos.toString(16)} `);
  if (flag(options, LINK_F_TTL_INHERIT)) p.any("ttl", "inherit", "ttl inherit ");
  else p.any("ttl", ttl, ttl === 0 ? "ttl auto " : `ttl ${ttl} `);
  const df = flag(options, LINK_F_DF) ? "set" : flag(options, LINK_F_DF_INHERIT) ? "inherit" : "unset";
  p.any("df", df, df === "unset" ? "" : `df ${df} `);
  p.any("ageing", ageing, `ageing ${ageing} `);
  if (maxAddress !== 0) p.any("limit", maxAddress, `maxaddr ${maxAddress} `);
  const udp = !flag(options, LINK_F_NOUDPCSUM);
  p.any("udp_csum", udp, udp ? "udpcsum " : "noudpcsum ");
  const [tx, rx] = [flag(options, LINK_F_UDP6ZEROCSUMTX), flag(options, LINK_F_UDP6ZEROCSUMRX)];
  p.any("udp_zero_csum6_tx", tx, tx ? "udp6zerocsumtx " : "noudp6zerocsumtx ");
  p.any("udp_zero_csum6_rx", rx, rx ? "udp6zerocsumrx " : "noudp6zerocsumrx ");
  if (flag(options, LINK_F_GBP)) p.any("gbp", true, "gbp ");
}

/** br_dump_bridge_id(): `8000.2:0:0:0:0:10`. */
const bridgeId = (netns: Netns, bridge: LinkRecord): string => {
  const priority = extrasOf(netns, bridge).bridge?.["priority"] ?? 32768;
  // A bridge without ports that was given no address by hand has none in its id.
  return `${priority.toString(16).padStart(4, "0")}.${bridge.mac.split(":").map((part) => Number.parseInt(part, 16).toString(16)).join(":")}`;
};

/** What a bridge says of multicast and netfilter: as a new one has it. */
const BRIDGE_DEFAULTS: readonly (readonly [key: string, word: string, value: number])[] = [
  ["mcast_snooping", "mcast_snooping", 1], ["no_linklocal_learn", "no_linklocal_learn", 0], ["mcast_vlan_snooping", "mcast_vlan_snooping", 0],
  ["mcast_router", "mcast_router", 1], ["mcast_query_use_ifaddr", "mcast_query_use_ifaddr", 0], ["mcast_querier", "mcast_querier", 0],
  ["mcast_hash_elasticity", "mcast_hash_elasticity", 16], ["mcast_hash_max", "mcast_hash_max", 4096], ["mcast_last_member_cnt", "mcast_last_member_count", 2],
  ["mcast_startup_query_cnt", "mcast_startup_query_count", 2], ["mcast_last_member_intvl", "mcast_last_member_interval", 100],
  ["mcast_membership_intvl", "mcast_membership_interval", 26000], ["mcast_querier_intvl", "mcast_querier_interval", 25500],
  ["mcast_query_intvl", "mcast_query_interval", 12500], ["mcast_query_response_intvl", "mcast_query_response_interval", 1000],
  ["mcast_startup_query_intvl", "mcast_startup_query_interval", 3124], ["mcast_stats_enabled", "mcast_stats_enabled", 0],
  ["mcast_igmp_version", "mcast_igmp_version", 2], ["mcast_mld_version", "mcast_mld_version", 1], ["nf_call_iptables", "nf_call_iptables", 0],
  ["nf_call_ip6tables", "nf_call_ip6tables", 0], ["nf_call_arptables", "nf_call_arptables", 0],
];

const timer = (p: Printer, key: string, word: string, seconds: number): void => p.fixed(key, seconds, `${word} ${seconds.toFixed(2).padStart(7)} `);

function printBridge(p: Printer, netns: Netns, link: LinkRecord): void {
  const options = deviceCalls(netns).bridge(link.name);
  const told = extrasOf(netns, link).bridge ?? {};
  const value = (key: string, word: string, number: number): void => p.any(key, number, `${word} ${number} `);
  const id = bridgeId(netns, link);
  value("forward_delay", "forward_delay", told["forward_delay"] ?? 1500);
  value("hello_time", "hello_time", told["hello_time"] ?? 200);
  value("max_age", "max_age", told["max_age"] ?? 2000);
  value("ageing_time", "ageing_time", Math.round(options.ageing * 100));
  value("stp_state", "stp_state", 0);
  value("priority", "priority", told["priority"] ?? 32768);
  value("vlan_filtering", "vlan_filtering", Number(options.vlanFiltering));
  if (options.vlanFiltering || options.vlanProtocol !== "802.1Q") p.any("vlan_protocol", options.vlanProtocol, `vlan_protocol ${options.vlanProtocol} `);
  p.any("bridge_id", id, `bridge_id ${id} `);
  p.any("root_id", id, `designated_root ${id} `);
  for (const key of ["root_port", "root_path_cost", "topology_change", "topology_change_detected"]) value(key, key, 0);
  for (const key of ["hello_timer", "tcn_timer", "topology_change_timer", "gc_timer"]) timer(p, key, key, 0);
  if (options.vlanFiltering) value("vlan_default_pvid", "vlan_default_pvid", options.defaultPvid);
  const mask = options.groupFwdMask === 0 ? "0" : `0x${options.groupFwdMask.toString(16)}`;
  p.any("group_fwd_mask", mask, `group_fwd_mask ${mask} `);
  p.any("group_addr", "01:80:c2:00:00:00", "group_address 01:80:c2:00:00:00 ");
  for (const [key, word, number] of BRIDGE_DEFAULTS) value(key, word, number);
}

/** The state of a bridge port; one without a carrier is disabled. */
export function portState({ up, portFlags }: LinkRecord, carrier: boolean): string {
  if (!up || !carrier || flag(portFlags, BRPORT_DISABLED)) return "disabled";
  if (flag(portFlags, BRPORT_BLOCKED_LEARNS)) return "learning";
  return flag(portFlags, BRPORT_BLOCKED) ? "blocking" : "forwarding";
}

function printPort(p: Printer, netns: Netns, link: LinkRecord, sep: string): void {
  const links = linkRecords(netns);
  const bridge = links.find(({ name }) => name === link.master);
  // Ports get their numbers as they come.
  const number = links.filter(({ masterIndex }) => masterIndex === link.masterIndex).findIndex(({ ifindex }) => ifindex === link.ifindex) + 1;
  const id = bridge === undefined ? "" : bridgeId(netns, bridge);
  p.any("info_slave_kind", "bridge", `${sep}    bridge_slave `);
  p.object("info_slave_data", () => {
    const { portFlags } = link;
    const state = portState(link, true);
    const on = (key: string, word: string, bit: number): void => onOff(p, key, word, bit !== 0 && flag(portFlags, bit));
    p.any("state", state, `state ${state} `);
    p.any("priority", 32, "priority 32 ");
    p.any("cost", 2, "cost 2 ");
    on("hairpin", "hairpin", BRPORT_HAIRPIN);
    on("guard", "guard", 0);
    on("root_block", "root_block", 0);
    on("fastleave", "fastleave", 0);
    on("learning", "learning", BRPORT_LEARNING);
    on("flood", "flood", BRPORT_FLOOD);
    const hex = (value: number): string => `0x${value.toString(16)}`;
    p.any("id", hex(0x8000 + number), `port_id ${hex(0x8000 + number)} `);
    p.any("no", hex(number), `port_no ${hex(number)} `);
    p.any("designated_port", 0x8000 + number, `designated_port ${0x8000 + number} `);
    p.any("designated_cost", 0, "designated_cost 0 ");
    p.any("bridge_id", id, `designated_bridge ${id} `);
    p.any("root_id", id, `designated_root ${id} `);
    for (const key of ["hold_timer", "message_age_timer", "forward_delay_timer"]) timer(p, key, key, 0);
    p.any("topology_change_ack", 0, "topology_change_ack 0 ");
    p.any("config_pending", 0, "config_pending 0 ");
    on("proxy_arp", "proxy_arp", 0);
    on("proxy_arp_wifi", "proxy_arp_wifi", 0);
    p.any("multicast_router", 1, "mcast_router 1 ");
    p.fp("mcast_fast_leave off ");
    on("mcast_flood", "mcast_flood", BRPORT_MCAST_FLOOD);
    on("bcast_flood", "bcast_flood", BRPORT_BCAST_FLOOD);
    on("mcast_to_unicast", "mcast_to_unicast", 0);
    on("neigh_suppress", "neigh_suppress", 0);
    p.any("group_fwd_mask", "0", "group_fwd_mask 0 ");
    p.any("group_fwd_mask_str", "0x0", "group_fwd_mask_str 0x0 ");
    on("vlan_tunnel", "vlan_tunnel", 0);
    on("isolated", "isolated", BRPORT_ISOLATED);
    on("locked", "locked", BRPORT_LOCKED);
  });
}
