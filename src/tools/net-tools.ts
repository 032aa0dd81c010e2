/** `ifconfig` and `netstat` (net-tools 2.10), `sysctl` (procps 4). */
import { KernelError, type Netns } from "../kernel/netns.ts";
import { IFF_ALLMULTI, IFF_NOARP, IFF_POINTOPOINT, IFF_PROMISC, RTN_UNICAST, RTN_UNREACHABLE } from "../../assembly/abi/net.ts";
import { addressRecords, linkRecords, type AddressRecord, type LinkRecord } from "./kernel.ts";
import { routeRecords } from "./kernel-routes.ts";
import { attributesOf } from "./ip/attributes.ts";
import { deviceFlags, hasCarrier } from "./ip/address-show.ts";
import { queueLength } from "./ip/extras.ts";
import { sendQueue, socketList, type SocketInfo } from "./sockets.ts";
import { ToolExit, type Streams, type ToolHost } from "./tool.ts";

export const mask = (bits: number): string => [24, 16, 8, 0].map((shift) => (bits === 0 ? 0 : ((0xffffffff << (32 - bits)) >>> shift) & 255)).join(".");

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

/** Flags as ifconfig names them, in its order, with their numbers. */
function flagsText(host: ToolHost, link: LinkRecord): string {
  const { kind, up, flags } = link;
  const running = up && hasCarrier(host, link);
  const named = deviceFlags(link, running);
  const list: [string, number][] = [];
  const add = (on: boolean, name: string, bit: number): void => {
    if (on) list.push([name, bit]);
  };
  add(up, "UP", 1);
  add(named.includes("BROADCAST"), "BROADCAST", 2);
  add(kind === "loopback", "LOOPBACK", 8);
  add((flags & IFF_POINTOPOINT) !== 0, "POINTOPOINT", 16);
  add(running, "RUNNING", 64);
  add((flags & IFF_NOARP) !== 0, "NOARP", 128);
  add((flags & IFF_PROMISC) !== 0, "PROMISC", 256);
  add((flags & IFF_ALLMULTI) !== 0, "ALLMULTI", 512);
  add(named.includes("MULTICAST"), "MULTICAST", 4096);
  return `flags=${list.reduce((sum, [, bit]) => sum + bit, 0)}<${list.map(([name]) => name).join(",")}>  mtu ${link.mtu}`;
}

const SCOPES_V6: Readonly<Record<number, string>> = { 0: "0x0<global>", 253: "0x20<link>", 254: "0x10<host>", 200: "0x40<site>" };

/** What ifconfig says of a device, and of each label that an address of it has. */
function interfaceText(host: ToolHost, link: LinkRecord): string {
  const { netns } = host;
  const loopback = link.kind === "loopback";
  const own = addressRecords(netns).filter(({ ifindex }) => ifindex === link.ifindex);
  const flags = flagsText(host, link);
  const inet = (record: AddressRecord): string => {
    const far = record.peer === undefined ? "" : `  destination ${record.peer}`;
    return `        inet ${record.address}  netmask ${mask(record.bits)}${loopback ? "" : far !== "" ? far : `  broadcast ${record.broadcast ?? "0.0.0.0"}`}`;
  };
  const hardware = loopback ? `        loop  txqueuelen ${queueLength(netns, link)}  (Local Loopback)`
    : link.kind === "tun" ? `        unspec 00-00-00-00-00-00-00-00-00-00-00-00-00-00-00-00  txqueuelen ${queueLength(netns, link)}  (UNSPEC)`
      : `        ether ${link.mac}  txqueuelen ${queueLength(netns, link)}  (Ethernet)`;
  const labels = new Map<string, AddressRecord>();
  for (const record of own) {
    if (record.family !== "inet") continue;
    const { label } = attributesOf(netns, link, record);
    if (!labels.has(label)) labels.set(label, record);
  }
  const lines = [`${link.name}: ${flags}`];
  const first = labels.get(link.name);
  if (first !== undefined) lines.push(inet(first));
  for (const { family, address, bits, scope } of own) {
    if (family === "inet6") lines.push(`        inet6 ${address}  prefixlen ${bits}  scopeid ${SCOPES_V6[scope] ?? "0x0<global>"}`);
  }
  lines.push(hardware);
  const { stats } = link;
  lines.push(
    `        RX packets ${stats.rxPackets}  bytes ${stats.rxBytes} (${scaled(stats.rxBytes)})`,
    `        RX errors 0  dropped ${stats.rxDropped}  overruns 0  frame 0`,
    `        TX packets ${stats.txPackets}  bytes ${stats.txBytes} (${scaled(stats.txBytes)})`,
    `        TX errors 0  dropped ${stats.txDropped} overruns 0  carrier 0  collisions 0`,
  );
  let text = `${lines.join("\n")}\n`;
  for (const [label, record] of labels) if (label !== link.name) text += `\n${[`${label}: ${flags}`, inet(record), hardware].join("\n")}\n`;
  return text;
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
      const end = (address: string, port: number): string => `${address.replace("::ffff:", "")}:${port === 0 ? "*" : port}`.padEnd(23);
      const state = NETSTAT_STATES[socket.state] ?? "";
      streams.stdout += `${(socket.family === "inet6" ? `${kind}6` : kind).padEnd(5)} ${String(socket.receive).padStart(6)} ${String(sendQueue(socket)).padStart(6)} ` +
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
