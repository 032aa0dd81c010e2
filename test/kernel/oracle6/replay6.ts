/**
 * Drives one node's kernel through a case of netfilter_oracle6.py and gives a result of its format: interfaces are NICs, what left and
 * what state was left is written down as the oracle writes it.
 */
import { createNodeKernel, type NodeKernelHandle } from "../../../src/kernel/kernel.ts";
import { devices } from "../../../src/kernel/devices.ts";
import { ipv6Of, setIpv6 } from "../../../src/kernel/ipv6.ts";
import type { KernelInstance } from "../../../src/kernel/memory.ts";
import { KernelError, type AddressOptions, type Netns, type RouteSpec, type RuleSpec } from "../../../src/kernel/netns.ts";
import type { SocketError } from "../../../src/kernel/sockets.ts";
import { rawSocket } from "../../../src/kernel/socket-calls.ts";
import { manualClock } from "../../../src/replay/clock.ts";
import { hostHandle } from "../../../src/replay/oracle-case.ts";
import { bytesHex, hexBytes } from "../../../src/replay/packet.ts";
import { vxlanOpts } from "../../../src/replay/vxlan-opts.ts";

export interface Case6 {
  readonly name: string;
  readonly interfaces: Readonly<Record<string, { readonly mac: string; readonly addr?: readonly string[]; readonly mtu?: number }>>;
  readonly neighbors?: readonly { readonly ip: string; readonly mac: string; readonly dev: string }[];
  readonly routes?: readonly (RouteSpec & { readonly append?: boolean })[];
  readonly ip_rules?: readonly string[];
  readonly sysctl_first?: Readonly<Record<string, string | number>>;
  readonly sysctl?: Readonly<Record<string, string | number>>;
  readonly packets: readonly { readonly in: string; readonly frame?: string; readonly args?: string; readonly at_ms?: number; readonly quiet_ms?: number }[];
  readonly udp_echo?: readonly { readonly addr?: string; readonly port: number }[];
  readonly tcp_listen?: readonly { readonly addr?: string; readonly port: number }[];
  readonly vxlans?: readonly Vxlan6[];
  readonly ip6tables?: string;
  readonly keep_mld?: boolean;
  readonly out_from?: number;
}
interface Vxlan6 {
  readonly name: string;
  readonly mac: string;
  readonly vni: number;
  readonly dstport: number;
  /** Words of `ip link add … type vxlan`. */
  readonly opts: string;
  readonly addr?: readonly string[];
  readonly neigh?: readonly (readonly [string, string])[];
  readonly fdb?: readonly (readonly [string, string])[];
}
export type Result6 = Record<string, unknown>;

/** Hooks for who extends the cases: after the set-up, and into the result. */
export interface Extension6 {
  readonly build?: (kernel: NodeKernelHandle, given: Case6) => void;
  readonly after?: (kernel: NodeKernelHandle, packet: number) => void;
  readonly collect?: (kernel: NodeKernelHandle, given: Case6) => Result6;
}

const QUIET_MS = 8;
const FINAL_MS = 40;
const NS_PER_MS = 1e6;
const TURNS = 12;

export async function replay6(instance: KernelInstance, given: Case6, extension: Extension6 = {}, seed = 1): Promise<Result6> {
  const { clock, set, nextNs, fire } = manualClock();
  const frames: { pkt: number; dev: string; bytes: Uint8Array }[] = [];
  const names = new Map<number, string>();
  let current = -1;
  let kicked = false;
  const kernel = createNodeKernel(instance, {
    name: "router", devices, seed, clock,
    onFrame: ({ ifindex, bytes }) => frames.push({ pkt: current, dev: names.get(ifindex) ?? String(ifindex), bytes }),
    onKick: () => {
      kicked = true;
    },
  });
  try {
    const { host } = kernel;
    let deadlineNs = Infinity;
    const run = async (): Promise<void> => {
      for (let turn = 0; turn < 2; turn++) {
        do {
          kicked = false;
          const status = kernel.runUntil(clock.nowNs());
          set(status.nowNs);
          deadlineNs = status.deadlineNs;
          for (let i = 0; i < TURNS; i++) await Promise.resolve();
        } while (kicked);
      }
    };
    const advance = async (toNs: number): Promise<void> => {
      await run();
      for (let next = Math.min(deadlineNs, nextNs()); next <= toNs; next = Math.min(deadlineNs, nextNs())) {
        set(Math.max(next, clock.nowNs()));
        fire();
        await run();
      }
      set(toNs);
    };
    build(host, given, names);
    extension.build?.(kernel, given);
    openSockets(host, given);
    await advance(clock.nowNs() + 20 * NS_PER_MS);
    frames.length = 0;
    const normaliser = new Normaliser6(given);
    const errors: Record<string, number> = {};
    const started = clock.nowNs();
    for (let n = 0; n < given.packets.length; n++) {
      const packet = given.packets[n]!;
      const at = started + (packet.at_ms ?? 0) * NS_PER_MS;
      current = n;
      if (at > clock.nowNs()) await advance(at);
      if (packet.in === "ip") command(host, packet.args ?? "");
      else {
        const bytes = hexBytes(packet.frame ?? "");
        if (packet.in === "local") {
          const raw = rawSocket(kernel.context, hostHandle(kernel.context));
          try {
            raw.send(bytes);
          } catch (error) {
            errors[n] = ERRNO[(error as SocketError).code] ?? -1;
          } finally {
            raw.close();
          }
        } else kernel.deliver(host.link(packet.in)!.ifindex, bytes);
      }
      await advance(clock.nowNs() + (packet.quiet_ms ?? QUIET_MS) * NS_PER_MS);
      extension.after?.(kernel, n);
    }
    await advance(clock.nowNs() + FINAL_MS * NS_PER_MS);
    const out = frames
      .filter(({ pkt, bytes }) => pkt >= (given.out_from ?? 0) && bytes[12] === 0x86 && bytes[13] === 0xdd && (given.keep_mld === true || !normaliser.isMld(bytes.subarray(14))))
      .map(({ pkt, dev, bytes }) => normaliser.frame(pkt, dev, bytes));
    return {
      name: given.name, out, ...extension.collect?.(kernel, given),
      snmp: Object.fromEntries(Object.entries(ipv6Of(host).snmp())
        .filter(([name]) => !SKIPPED.has(name) && !/^Icmp6(In|Out)Type/.test(name)).sort(([a], [b]) => (a < b ? -1 : 1))),
      ...(given.vxlans !== undefined && { vxlans: Object.fromEntries(given.vxlans.map(({ name }) => [name, {
        mtu: host.link(name)!.mtu, fdb: host.fdb(name).map(({ lladdr, dst }) => [lladdr, dst]).sort((a, b) => (String(a) < String(b) ? -1 : 1)),
      }])) }),
      state: state(host, given),
      ...(Object.keys(errors).length > 0 && { send_errors: errors }),
    };
  } finally {
    kernel.destroy();
  }
}

const ERRNO: Readonly<Record<string, number>> = { EPERM: 1, EACCES: 13, EINVAL: 22, EMSGSIZE: 90, ENETUNREACH: 101, ENOBUFS: 105, EHOSTUNREACH: 113, EADDRNOTAVAIL: 99 };
const SKIPPED = new Set(["Ip6InOctets", "Ip6OutOctets", "Ip6InMcastOctets", "Ip6OutMcastOctets", "Ip6OutMcastPkts", "Ip6OutRequests",
  "Ip6OutTransmits", "Icmp6OutMsgs", "Icmp6OutMLDv2Reports"]);

function build(host: Netns, given: Case6, names: Map<number, string>): void {
  setIpv6(host, true);
  const first = {
    "net.ipv6.conf.all.forwarding": 1, "net.ipv6.conf.default.accept_dad": 0, "net.ipv6.conf.default.router_solicitations": 0,
    "net.ipv6.conf.default.router_solicitation_delay": 0, "net.ipv6.icmp.ratelimit": 0, "net.ipv4.icmp_msgs_per_sec": 1000000,
    "net.ipv4.icmp_msgs_burst": 1000000, ...given.sysctl_first,
  };
  for (const [name, value] of Object.entries(first)) host.setSysctl(name, value);
  host.setLink("lo", { up: true });
  for (const [name, { mac, mtu }] of Object.entries(given.interfaces)) {
    host.addLink({ kind: "nic", name, mac, ...(mtu !== undefined && { mtu }) });
    names.set(host.link(name)!.ifindex, name);
    host.setLink(name, { up: true });
  }
  for (const [name, { addr = [] }] of Object.entries(given.interfaces)) {
    for (const cidr of addr) host.addAddress(name, cidr.includes("/") ? cidr : `${cidr}/128`, { nodad: true });
  }
  for (const { ip, mac, dev } of given.neighbors ?? []) host.setNeigh({ dev, dst: ip, lladdr: mac, state: "PERMANENT" });
  for (const { append, ...route } of given.routes ?? []) {
    const spec = { ...route, ...(route.dst === "default" && { dst: "::/0" }) };
    if (append === true) host.addRoute({ ...spec, append });
    else host.addRoute(spec);
  }
  for (const rule of given.ip_rules ?? []) host.addRule(parseRule(rule));
  for (const vxlan of given.vxlans ?? []) buildVxlan(host, vxlan);
  for (const [name, value] of Object.entries(given.sysctl ?? {})) host.setSysctl(name, value);
}

function buildVxlan(host: Netns, { name, mac, vni, dstport, opts, addr = [], neigh = [], fdb = [] }: Vxlan6): void {
  const words = opts.split(" ").filter((word) => word !== "");
  const take = (word: string): string | undefined => {
    const at = words.indexOf(word);
    return at < 0 ? undefined : words.splice(at, 2)[1];
  };
  const local = take("local") ?? "::";
  const dev = take("dev") ?? "";
  host.addLink({ kind: "vxlan", name, mac, vni, dstPort: dstport, local, dev, ...vxlanOpts(words.join(" ")) });
  host.setLink(name, { up: true });
  for (const cidr of addr) host.addAddress(name, cidr, { nodad: true });
  for (const [dst, lladdr] of neigh) host.setNeigh({ dev: name, dst, lladdr, state: "PERMANENT" });
  for (const [entry, dst] of fdb) host.setFdb({ dev: name, lladdr: entry, dst, append: true });
}

function parseRule(text: string): RuleSpec {
  const rule: { -readonly [K in keyof RuleSpec]?: RuleSpec[K] } = { family: 6 };
  const words = text.split(" ");
  for (let i = 0; i < words.length; i += 2) {
    const value = words[i + 1] ?? "";
    if (words[i] === "from" || words[i] === "to" || words[i] === "iif" || words[i] === "oif") rule[words[i] as "from"] = value;
    else if (words[i] === "table") rule.table = Number(value);
    else if (words[i] === "pref") rule.pref = Number(value);
    else if (words[i] === "fwmark") rule.fwmark = Number(value);
    else throw new Error(`ip -6 rule: ${words[i]}`);
  }
  return rule as RuleSpec;
}

/** The commands of cases: `addr add`, `addr del`, `neigh add proxy`, `link set … mtu`. */
function command(host: Netns, args: string): void {
  const words = args.split(" ");
  const value = (word: string): string | undefined => (words.includes(word) ? words[words.indexOf(word) + 1] : undefined);
  const dev = value("dev") ?? "";
  if (words[0] === "addr" && words[1] === "add") {
    const lifetime = (word: string): number | undefined => (value(word) === undefined ? undefined : Number(value(word)));
    const options: AddressOptions = {
      nodad: words.includes("nodad"), optimistic: words.includes("optimistic"),
      ...(lifetime("valid_lft") !== undefined && { validLft: lifetime("valid_lft")! }),
      ...(lifetime("preferred_lft") !== undefined && { preferredLft: lifetime("preferred_lft")! }),
    };
    host.addAddress(dev, words[2]!, options);
  } else if (words[0] === "addr" && words[1] === "del") host.deleteAddress(dev, words[2]!);
  else if (words[0] === "neigh" && words[2] === "proxy") ipv6Of(host).setProxy(dev, words[3]!);
  else if (words[0] === "link") host.setLink(words[2]!, { mtu: Number(value("mtu")) });
  else if (words[1] !== "show") throw new KernelError("EINVAL", args);
}

function openSockets(host: Netns, given: Case6): void {
  for (const { addr = "::", port } of given.udp_echo ?? []) {
    const socket = host.sockets.udp({ local: { port, address: addr } });
    const echo = async (): Promise<void> => {
      while (true) {
        const { data, from, to } = await socket.receive();
        socket.send(data, from, to);
      }
    };
    echo().catch(() => socket.close());
  }
  for (const { addr = "::", port } of given.tcp_listen ?? []) host.sockets.listen({ port, address: addr });
}

function state(host: Netns, given: Case6): Result6 {
  const name = new Map(host.links().map((link) => [link.ifindex, link.name]));
  const wanted = (ifindex: number): boolean => (name.get(ifindex) ?? "") in given.interfaces;
  const calls = ipv6Of(host);
  const key = (value: unknown): string => canonical(value);
  const order = <T>(items: T[]): T[] => items.sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0));
  const shown = ["temporary", "nodad", "optimistic", "dadfailed", "deprecated", "tentative", "mngtmpaddr", "noprefixroute", "stable-privacy", "dynamic"];
  const prefix = (dst: string): string => (dst === "::/0" ? "default" : dst.endsWith("/128") ? dst.slice(0, -4) : dst);
  const table = (id: number): object => (id === 254 ? {} : { table: id === 255 ? "local" : String(id) });
  return {
    addresses: order(calls.addresses().filter(({ ifindex }) => wanted(ifindex)).map((a) => [
      name.get(a.ifindex), `${a.address}/${a.prefix}`, a.scope, a.flagNames.filter((flag) => shown.includes(flag)).sort(),
      a.validLft ?? -1, a.preferredLft ?? -1,
    ])),
    routes: order(calls.routes(0)
      .filter((r) => r.type !== "multicast" && !(r.table === 255 && name.get(r.ifindex) === "lo"))
      .map((r) => ({
        ...(r.type !== "unicast" && { type: r.type }), dst: prefix(r.dst), ...(r.via !== undefined && { gateway: r.via }),
        ...(r.ifindex !== 0 && { dev: name.get(r.ifindex) }), ...table(r.table), metric: r.metric, pref: r.pref,
        ...(r.src !== undefined && { prefsrc: r.src }),
        ...(r.nexthops !== undefined && { nexthops: r.nexthops.map((h) => [h.via ?? null, name.get(h.ifindex), h.weight]) }),
      }))),
    neighbours: order(calls.neighbours().filter((n) => wanted(n.ifindex) && !n.proxy)
      .map((n) => [name.get(n.ifindex), n.dst, n.lladdr ?? null, n.state, n.router])),
  };
}

/** JSON as Python's json.dumps writes it with sorted keys. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(", ")}]`;
  if (value !== null && typeof value === "object") {
    return `{${Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)).map(([k, item]) => `${JSON.stringify(k)}: ${canonical(item)}`).join(", ")}}`;
  }
  return JSON.stringify(value);
}

const MLD = [130, 131, 132, 143];
const be16 = (bytes: Uint8Array, at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);

/** Protocol and its offset behind the extension headers, and where the fragment header stands. */
function chain(ip: Uint8Array): { next: number; at: number; frag: number | undefined } {
  let next = ip[6]!;
  let at = 40;
  let frag: number | undefined;
  while ([0, 43, 44, 51, 60].includes(next) && at + 8 <= ip.length) {
    let length = (ip[at + 1]! + 1) * 8;
    if (next === 44) {
      frag = at;
      if ((be16(ip, at + 2) & 0xfff8) !== 0) return { next: ip[at]!, at: at + 8, frag };
      length = 8;
    } else if (next === 51) length = (ip[at + 1]! + 2) * 4;
    next = ip[at]!;
    at += length;
  }
  return { next, at, frag };
}

class Normaliser6 {
  readonly #labels = new Set<number>();
  readonly #ids = new Set<string>();
  readonly #listeners: readonly number[];

  constructor(given: Case6) {
    this.#listeners = (given.tcp_listen ?? []).map(({ port }) => port);
    for (const packet of given.packets) {
      if (packet.in === "ip") continue;
      const frame = hexBytes(packet.frame ?? "");
      const ip = packet.in === "local" ? frame : be16(frame, 12) === 0x86dd ? frame.subarray(14) : frame.subarray(frame.length);
      if (ip.length < 40) continue;
      this.#labels.add(this.#label(ip));
      const { frag } = chain(ip);
      if (frag !== undefined) this.#ids.add(bytesHex(ip.subarray(frag + 4, frag + 8)));
    }
  }

  #label(ip: Uint8Array): number {
    return ((ip[1]! & 15) << 16) | be16(ip, 2);
  }

  isMld(ip: Uint8Array): boolean {
    if (ip.length < 40) return false;
    const { next, at } = chain(ip);
    return next === 58 && MLD.includes(ip[at] ?? 0);
  }

  frame(pkt: number, dev: string, bytes: Uint8Array): Record<string, unknown> {
    const frame = bytes.slice();
    const ip = frame.subarray(14);
    const any: [number, number][] = [];
    const blank = (from: number, to: number): void => {
      ip.fill(0, from, to);
      any.push([14 + from, 14 + to]);
    };
    if (ip.length >= 40) {
      const label = this.#label(ip);
      if (label !== 0 && !this.#labels.has(label)) {
        const first = ip[1]! & 0xf0;
        blank(1, 4);
        ip[1] = first;
      }
      const { next, at, frag } = chain(ip);
      if (frag !== undefined && !this.#ids.has(bytesHex(ip.subarray(frag + 4, frag + 8)))) blank(frag + 4, frag + 8);
      if (next === 58 && at + 24 <= ip.length && ip[at] === 135) {
        for (let p = at + 24; p + 8 <= ip.length && ip[p + 1] !== 0; p += ip[p + 1]! * 8) {
          if (ip[p] !== 14) continue;
          blank(p + 2, p + 8);
          blank(at + 2, at + 4);
        }
      }
      if (next === 6 && at + 20 <= ip.length && (ip[at + 13]! & 0x3f) === 0x12 && this.#listeners.includes(be16(ip, at))) {
        blank(at + 4, at + 8);
        blank(at + 16, at + 18);
      }
    }
    any.sort((a, b) => a[0] - b[0]);
    return { pkt, dev, frame: bytesHex(frame), ...(any.length > 0 && { any }) };
  }
}

/** The first difference between a recorded result and ours, or undefined. */
export function compare6(want: unknown, got: unknown, path = ""): string | undefined {
  if (Array.isArray(want) && Array.isArray(got)) {
    for (let i = 0; i < Math.max(want.length, got.length); i++) {
      const difference = compare6(want[i], got[i], `${path}[${i}]`);
      if (difference !== undefined) return difference;
    }
    return undefined;
  }
  const isObject = (value: unknown): value is Record<string, unknown> => value !== null && typeof value === "object" && !Array.isArray(value);
  if (isObject(want) && isObject(got)) {
    for (const key of [...new Set([...Object.keys(want), ...Object.keys(got)])].sort()) {
      const difference = compare6(want[key], got[key], `${path}.${key}`);
      if (difference !== undefined) return difference;
    }
    return undefined;
  }
  return Object.is(want, got) ? undefined : `${path}: ${JSON.stringify(want)} wanted, got ${JSON.stringify(got)}`;
}
