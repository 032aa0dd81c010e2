/** `ifconfig` and `netstat` (net-tools 2.10), `sysctl` (procps 4), and `cat` of the files of /proc/net that this kernel can tell. */
import { parseIpv4 } from "../kernel/address.ts";
import { KernelError, type Netns } from "../kernel/netns.ts";
import { RTN_UNICAST, RTN_UNREACHABLE } from "../../assembly/abi/net.ts";
import { addressRecords, linkRecords, type LinkRecord } from "./kernel.ts";
import { routeRecords } from "./kernel-routes.ts";
import { attributesOf } from "./ip/attributes.ts";
import { peerOf } from "./ip/address-show.ts";
import { socketList, type SocketInfo } from "./sockets.ts";
import { ToolExit, type Streams, type ToolHost } from "./tool.ts";

const mask = (bits: number): string => [24, 16, 8, 0].map((shift) => (bits === 0 ? 0 : ((0xffffffff << (32 - bits)) >>> shift) & 255)).join(".");

/** `ifconfig [-a] [INTERFACE]`: listing only; what it sets, `ip` sets. */
export function ifconfig(host: ToolHost, args: readonly string[], streams: Streams): number {
  const { netns } = host;
  const all = args.includes("-a");
  const names = args.filter((arg) => !arg.startsWith("-"));
  const links = linkRecords(netns);
  const [name] = names;
  const found = name === undefined ? links.filter(({ up }) => up || all) : links.filter((link) => link.name === name);
  if (name !== undefined && found.length === 0) throw new ToolExit(1, `${name}: error fetching interface information: Device not found\n`);
  if (names.length > 1) throw new ToolExit(1, "SIOCSIFADDR: Operation not supported\n");
  const shown = [...found].sort((a, b) => (a.name < b.name ? -1 : 1));
  streams.stdout += shown.map((link) => `${interfaceText(host, link)}\n`).join("");
  return 0;
}

/** 1000.0 B as print_bytes_scaled() of net-tools writes it: decimal multiples, one digit. */
const scaled = (bytes: number): string => {
  let value = bytes;
  let unit = "B";
  for (const next of ["KiB", "MiB", "GiB", "TiB"]) {
    if (value < 1024) break;
    value /= 1024;
    unit = next;
  }
  return `${(Math.floor(value * 10) / 10).toFixed(1)} ${unit}`;
};

function interfaceText(host: ToolHost, link: LinkRecord): string {
  const { netns } = host;
  const loopback = link.kind === "loopback";
  const peer = peerOf(host, link);
  const running = link.up && (peer === undefined || peer.link.up);
  const flags: [string, number][] = [];
  if (link.up) flags.push(["UP", 1]);
  flags.push(loopback ? ["LOOPBACK", 8] : ["BROADCAST", 2]);
  if (running) flags.push(["RUNNING", 64]);
  if (!loopback) flags.push(["MULTICAST", 4096]);
  const sum = flags.reduce((total, [, flag]) => total + flag, 0);
  const lines = [`${link.name}: flags=${sum}<${flags.map(([name]) => name).join(",")}>  mtu ${link.mtu}`];
  const first = addressRecords(netns).find(({ ifindex, family }) => ifindex === link.ifindex && family === "inet");
  if (first !== undefined) {
    const { broadcast = "0.0.0.0" } = attributesOf(netns, link, first);
    lines.push(`        inet ${first.address}  netmask ${mask(first.bits)}${loopback ? "" : `  broadcast ${broadcast}`}`);
  }
  lines.push(loopback ? "        loop  txqueuelen 1000  (Local Loopback)" : `        ether ${link.mac}  txqueuelen 1000  (Ethernet)`);
  const { stats } = link;
  lines.push(
    `        RX packets ${stats.rxPackets}  bytes ${stats.rxBytes} (${scaled(stats.rxBytes)})`,
    `        RX errors 0  dropped ${stats.rxDropped}  overruns 0  frame 0`,
    `        TX packets ${stats.txPackets}  bytes ${stats.txBytes} (${scaled(stats.txBytes)})`,
    `        TX errors 0  dropped ${stats.txDropped} overruns 0  carrier 0  collisions 0`,
  );
  return `${lines.join("\n")}\n`;
}

const NETSTAT_STATES: Readonly<Record<string, string>> = {
  ESTAB: "ESTABLISHED", "SYN-SENT": "SYN_SENT", "SYN-RECV": "SYN_RECV", "FIN-WAIT-1": "FIN_WAIT1", "FIN-WAIT-2": "FIN_WAIT2",
  "TIME-WAIT": "TIME_WAIT", UNCONN: "", "CLOSE-WAIT": "CLOSE_WAIT", "LAST-ACK": "LAST_ACK", LISTEN: "LISTEN", CLOSING: "CLOSING",
};

/** `netstat [-antulr46]` of sockets, `netstat -r` of routes, `netstat -i` of devices. */
export function netstat({ netns }: ToolHost, args: readonly string[], streams: Streams): number {
  const letters = args.filter((arg) => /^-[^-]/.test(arg)).join("").replaceAll("-", "");
  const has = (letter: string): boolean => letters.includes(letter);
  if (has("r")) {
    streams.stdout += routeTable(netns);
    return 0;
  }
  if (has("i")) {
    streams.stdout += interfaceTable(netns);
    return 0;
  }
  const kinds = [...(has("t") ? ["tcp"] : []), ...(has("u") ? ["udp"] : []), ...(has("w") ? ["raw"] : [])];
  const wanted = kinds.length === 0 ? ["tcp", "udp", "raw"] : kinds;
  const [title, shown] = has("a") ? ["servers and established", () => true] as const
    : has("l") ? ["only servers", isServer] as const : ["w/o servers", (socket: SocketInfo) => !isServer(socket)] as const;
  streams.stdout += `Active Internet connections (${title})\nProto Recv-Q Send-Q Local Address           Foreign Address         State      \n`;
  const sockets = socketList(netns);
  for (const kind of wanted) {
    for (const socket of sockets) {
      if (socket.netid !== kind || !shown(socket)) continue;
      const end = (address: string, port: number): string => `${address}:${port === 0 ? "*" : port}`.padEnd(23);
      const state = NETSTAT_STATES[socket.state] ?? "";
      streams.stdout += `${kind.padEnd(5)} ${String(socket.receive).padStart(6)} ${String(socket.send).padStart(6)} ` +
        `${end(socket.address, socket.port)} ${end(socket.remote, socket.remotePort)} ${state.padEnd(11)}\n`;
    }
  }
  return 0;
}

const isServer = ({ state }: SocketInfo): boolean => state === "LISTEN" || state === "UNCONN";

function routeTable(netns: Netns): string {
  const links = linkRecords(netns);
  const rows = routeRecords(netns, 254)
    .filter(({ family }) => family === "inet")
    .sort((a, b) => b.bits - a.bits)
    .map(({ dst, bits, via, ifindex, type }) => {
      const dev = links.find((link) => link.ifindex === ifindex)?.name ?? "-";
      const flags = type === RTN_UNREACHABLE || type !== RTN_UNICAST ? "!" : `U${via === undefined ? "" : "G"}${bits === 32 ? "H" : ""}`;
      return `${dst.padEnd(15)} ${(via ?? "0.0.0.0").padEnd(15)} ${mask(bits).padEnd(15)} ${flags.padEnd(5)}     0 0          0 ${dev}\n`;
    });
  return `Kernel IP routing table\nDestination     Gateway         Genmask         Flags   MSS Window  irtt Iface\n${rows.join("")}`;
}

function interfaceTable(netns: Netns): string {
  const row = (values: readonly (string | number)[]): string => {
    const [name, mtu, ...counts] = values;
    return `${String(name).padEnd(8)} ${String(mtu).padStart(8)} ${counts.slice(0, 4).map((count) => String(count).padStart(7)).join(" ")}      ` +
      `${counts.slice(4, 8).map((count) => String(count).padStart(8)).join(" ")} ${counts[8]}\n`;
  };
  const rows = linkRecords(netns).filter(({ up }) => up).sort((a, b) => (a.name < b.name ? -1 : 1)).map(({ name, mtu, stats, kind }) =>
    row([name, mtu, stats.rxPackets, 0, stats.rxDropped, 0, stats.txPackets, 0, stats.txDropped, 0, kind === "loopback" ? "LRU" : "BMRU"]));
  return `Kernel Interface table\nIface      MTU    RX-OK RX-ERR RX-DRP RX-OVR    TX-OK TX-ERR TX-DRP TX-OVR Flg\n${rows.join("")}`;
}

/** `sysctl [-n] [-w] NAME[=VALUE]…`; slashes may stand for the dots. */
export function sysctl({ netns }: ToolHost, args: readonly string[], streams: Streams): number {
  let quiet = false;
  let valuesOnly = false;
  let status = 0;
  for (const arg of args) {
    if (arg.startsWith("-")) {
      if (arg.includes("n")) valuesOnly = true;
      if (arg.includes("q")) quiet = true;
      continue;
    }
    const equals = arg.indexOf("=");
    const typed = (equals < 0 ? arg : arg.slice(0, equals)).trim();
    const dotted = typed.includes("/") && !typed.slice(0, typed.indexOf("/")).includes(".") ? typed.replaceAll(".", "\0").replaceAll("/", ".").replaceAll("\0", "/") : typed;
    try {
      if (equals >= 0) netns.setSysctl(dotted, arg.slice(equals + 1).trim());
      if (quiet) continue;
      const value = netns.sysctl(dotted);
      streams.stdout += valuesOnly ? `${value}\n` : `${dotted} = ${value}\n`;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      streams.stderr += error.code === "ENOENT"
        ? `sysctl: cannot stat /proc/sys/${dotted.replaceAll("/", "\0").replaceAll(".", "/").replaceAll("\0", ".")}: No such file or directory\n`
        : `sysctl: setting key "${dotted}": Invalid argument\n`;
      status = error.code === "ENOENT" ? 1 : 255;
    }
  }
  return status;
}

/** `cat FILE…` of /proc/net and /proc/sys. */
export function cat({ netns }: ToolHost, args: readonly string[], streams: Streams): number {
  let status = 0;
  for (const path of args) {
    const make = path.startsWith("/proc/net/") ? PROC_NET[path.slice("/proc/net/".length)] : undefined;
    if (make !== undefined) streams.stdout += make(netns);
    else if (path.startsWith("/proc/sys/")) streams.stdout += `${netns.sysctl(path.slice("/proc/sys/".length).replaceAll(".", "\0").replaceAll("/", ".").replaceAll("\0", "/"))}\n`;
    else {
      streams.stderr += `cat: ${path}: No such file or directory\n`;
      status = 1;
    }
  }
  return status;
}

const PROC_NET: Readonly<Record<string, (netns: Netns) => string>> = { route: procRoute, arp: procArp, dev: procDev, tcp: (netns) => procSockets(netns, "tcp"), udp: (netns) => procSockets(netns, "udp") };

/** An address as the little-endian number that the kernel prints. */
const hexAddress = (text: string): string => {
  const value = parseIpv4(text) ?? 0;
  return [0, 8, 16, 24].map((shift) => ((value >>> shift) & 255).toString(16).padStart(2, "0")).join("").toUpperCase();
};

/** fib_route_seq_show() */
function procRoute(netns: Netns): string {
  const links = linkRecords(netns);
  const pad = (line: string): string => `${line.padEnd(127)}\n`;
  const rows = routeRecords(netns, 254).filter(({ family }) => family === "inet").map((route) => {
    const dev = links.find(({ ifindex }) => ifindex === route.ifindex)?.name ?? "*";
    const flags = (route.type === RTN_UNICAST ? 1 : 0x201) | (route.via === undefined ? 0 : 2) | (route.bits === 32 ? 4 : 0);
    return pad(`${dev}\t${hexAddress(route.dst)}\t${hexAddress(route.via ?? "0.0.0.0")}\t${flags.toString(16).toUpperCase().padStart(4, "0")}\t0\t0\t${route.metric}\t` +
      `${hexAddress(mask(route.bits))}\t${route.mtu === 0 ? 0 : route.mtu + 40}\t0\t0`);
  });
  return pad("Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT") + rows.join("");
}

/** arp_format_neigh_entry() */
function procArp(netns: Netns): string {
  const rows = netns.neighbours().filter(({ dst, state }) => !dst.includes(":") && state !== "NOARP").map(({ dev, dst, lladdr, state }) => {
    const flags = (lladdr === undefined ? 0 : 2) | (state === "PERMANENT" ? 4 : 0);
    return `${dst.padEnd(16)} 0x${"1".padEnd(10)}0x${flags.toString(16).padEnd(10)}${(lladdr ?? "00:00:00:00:00:00").padEnd(17)}     *        ${dev}\n`;
  });
  return `IP address       HW type     Flags       HW address            Mask     Device\n${rows.join("")}`;
}

/** dev_seq_printf_stats() */
function procDev(netns: Netns): string {
  const wide = (value: number, width: number): string => String(value).padStart(width);
  const rows = linkRecords(netns).map(({ name, stats }) =>
    `${name.padStart(6)}: ${wide(stats.rxBytes, 7)} ${wide(stats.rxPackets, 7)}    0 ${wide(stats.rxDropped, 4)}    0     0          0         0 ` +
    `${wide(stats.txBytes, 8)} ${wide(stats.txPackets, 7)}    0 ${wide(stats.txDropped, 4)}    0     0       0          0\n`);
  return "Inter-|   Receive                                                |  Transmit\n" +
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n" + rows.join("");
}

const TCP_NUMBERS: Readonly<Record<string, number>> = {
  ESTAB: 1, "SYN-SENT": 2, "SYN-RECV": 3, "FIN-WAIT-1": 4, "FIN-WAIT-2": 5, "TIME-WAIT": 6, UNCONN: 7, "CLOSE-WAIT": 8, "LAST-ACK": 9, LISTEN: 10, CLOSING: 11,
};

/** tcp4_seq_show() and udp4_seq_show(), as far as there are such columns here. */
function procSockets(netns: Netns, kind: "tcp" | "udp"): string {
  const title = kind === "tcp"
    ? "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode".padEnd(149)
    : "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops".padEnd(127);
  const hex = (value: number, digits: number): string => value.toString(16).toUpperCase().padStart(digits, "0");
  const rows = socketList(netns).filter(({ netid, address }) => netid === kind && !address.includes(":")).map((socket, i) => {
    const line = `${String(i).padStart(kind === "tcp" ? 4 : 5)}: ${hexAddress(socket.address)}:${hex(socket.port, 4)} ${hexAddress(socket.remote)}:${hex(socket.remotePort, 4)} ` +
      `${hex(TCP_NUMBERS[socket.state] ?? 7, 2)} ${hex(socket.send, 8)}:${hex(socket.receive, 8)} 00:00000000 00000000     0        0 0`;
    return `${line.padEnd(kind === "tcp" ? 149 : 127)}\n`;
  });
  return `${title}\n${rows.join("")}`;
}
