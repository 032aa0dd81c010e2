/** sysctls and counters by name. */
import {
  CONF_FORWARDING, CONF_NEIGH_BASE_REACHABLE_MS, CONF_OF_ALL, CONF_OF_DEFAULT, NET_SYSCTL_GET, NET_SYSCTL_SET, SYSCTL_CONF,
  SYSCTL_IP_PORT_HIGH, SYSCTL_IP_PORT_LOW, SYSCTL_TCP_RMEM_DEFAULT, SYSCTL_TCP_RMEM_MAX, SYSCTL_TCP_WMEM_DEFAULT,
  SYSCTL_TCP_WMEM_MAX,
} from "../../assembly/abi/net.ts";
import type { NodeContext } from "./context.ts";
import { CONF_NAMES, NEIGH_NAMES, SYSCTL_NAMES } from "./names.ts";
import { KernelError } from "./netns.ts";

type FindDevice = (name: string) => number | undefined;

/** What a name stands for: numbers of abi/net.ts, several for a range, and the device where there is one. */
interface Sysctl {
  readonly numbers: readonly number[];
  /** Printed before the numbers and not to be changed: the smallest of tcp_rmem and tcp_wmem. */
  readonly fixed?: string;
  readonly target: number;
}

const RANGES: Readonly<Record<string, Omit<Sysctl, "target">>> = {
  "net.ipv4.ip_local_port_range": { numbers: [SYSCTL_IP_PORT_LOW, SYSCTL_IP_PORT_HIGH] },
  "net.ipv4.tcp_rmem": { numbers: [SYSCTL_TCP_RMEM_DEFAULT, SYSCTL_TCP_RMEM_MAX], fixed: "4096" },
  "net.ipv4.tcp_wmem": { numbers: [SYSCTL_TCP_WMEM_DEFAULT, SYSCTL_TCP_WMEM_MAX], fixed: "4096" },
};

function resolve(name: string, find: FindDevice): Sysctl {
  const unknown = (): KernelError =>
    new KernelError("ENOENT", `sysctl: cannot stat /proc/sys/${name.replaceAll(".", "/")}: No such file or directory`);
  if (name === "net.ipv4.ip_forward") return { numbers: [SYSCTL_CONF + CONF_FORWARDING], target: CONF_OF_ALL };
  const range = RANGES[name];
  if (range !== undefined) return { ...range, target: 0 };
  const plain = SYSCTL_NAMES.indexOf(name);
  if (plain >= 0 && name !== "-") return { numbers: [plain], target: 0 };
  // The device's own name may hold dots: everything between the second and the last part.
  const conf = name.startsWith("net.ipv4.conf.");
  if (!conf && !name.startsWith("net.ipv4.neigh.")) throw unknown();
  const from = conf ? "net.ipv4.conf.".length : "net.ipv4.neigh.".length;
  const dot = name.lastIndexOf(".");
  if (dot <= from) throw unknown();
  const dev = name.slice(from, dot).replaceAll("/", ".");
  const number = (conf ? CONF_NAMES : NEIGH_NAMES).indexOf(name.slice(dot + 1));
  if (number < 0) throw unknown();
  const target = dev === "default" ? CONF_OF_DEFAULT : conf && dev === "all" ? CONF_OF_ALL : find(dev);
  if (target === undefined) throw unknown();
  return { numbers: [SYSCTL_CONF + (conf ? number : CONF_NEIGH_BASE_REACHABLE_MS + number)], target };
}

/** The value as /proc/sys prints it. Throws ENOENT for an unknown name. */
export function sysctlGet(context: NodeContext, netns: number, name: string, find: FindDevice): string {
  const six = name.startsWith("net.ipv6.") ? context.devices?.sysctl6(context, netns, name, find) : undefined;
  if (six !== undefined) return six;
  const { numbers, fixed, target } = resolve(name, find);
  const values = numbers.map((number) => {
    const { view } = context.instance;
    view.setUint32(0, netns, true);
    view.setUint32(4, number, true);
    view.setUint32(8, target, true);
    context.command(NET_SYSCTL_GET, 12, "sysctl");
    return context.instance.view.getInt32(0, true);
  });
  return (fixed === undefined ? values : [fixed, ...values]).join("\t");
}

/** Writes a value. Throws ENOENT for an unknown name, EINVAL for what is no number or out of range. */
export function sysctlSet(context: NodeContext, netns: number, name: string, value: string, find: FindDevice): void {
  if (name.startsWith("net.ipv6.") && context.devices?.sysctl6(context, netns, name, find, value) !== undefined) return;
  const { numbers, fixed, target } = resolve(name, find);
  const words = value.trim().split(/\s+/);
  const values = words.map(Number).slice(fixed === undefined ? 0 : 1);
  if (values.length !== numbers.length || values.some((v) => !Number.isInteger(v) || v < -2147483648 || v > 2147483647)) {
    throw new KernelError("EINVAL", `sysctl: setting key "${name}": Invalid argument`);
  }
  numbers.forEach((number, index) => {
    const { view } = context.instance;
    view.setUint32(0, netns, true);
    view.setUint32(4, number, true);
    view.setUint32(8, target, true);
    view.setInt32(12, values[index]!, true);
    context.command(NET_SYSCTL_SET, 16, "sysctl");
  });
}

/** Counters of a namespace by name, zero ones left out; names that stand for several numbers are added up. */
export function countersOf(
  context: NodeContext,
  netns: number,
  op: number,
  names: readonly string[],
): Readonly<Record<string, number>> {
  context.instance.view.setUint32(0, netns, true);
  const bytes = context.command(op, 4, "counters");
  const counters: Record<string, number> = {};
  for (let at = 0; at < bytes; at += 8) {
    const value = context.instance.u64(at);
    const name = names[at / 8] ?? `${at / 8}`;
    if (value !== 0) counters[name] = (counters[name] ?? 0) + value;
  }
  return counters;
}
