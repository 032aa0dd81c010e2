/**
 * Test stand-in for the kernel: namespaces that record what is configured, and sockets over an in-memory wire.
 * Packets do not exist here: a connection finds its listener by address among all namespaces of the fabric.
 */
import { KernelError, type ConntrackEntry, type FdbEntry, type LinkInfo, type LinkSpec, type Neigh, type NeighState, type Netns,
  type NodeKernel, type RouteSpec } from "../../src/kernel/netns.ts";
import { SocketError, type Datagram, type SocketAddress, type Sockets, type TcpListener, type TcpStream, type UdpSocket } from "../../src/kernel/sockets.ts";
import type { Clock } from "../../src/time/clock.ts";
import { formatIp, maskIp, parseCidr } from "../../src/cni/ip.ts";
import { IptablesModel } from "./iptables-text.ts";

/** Values that arrive for someone who waits. */
class Queue<T> {
  private readonly values: T[] = [];
  private readonly waiters: { resolve: (value: T) => void; reject: (error: unknown) => void }[] = [];
  private failure: unknown;

  push(value: T): void {
    const waiter = this.waiters.shift();
    if (waiter !== undefined) waiter.resolve(value);
    else this.values.push(value);
  }

  fail(error: unknown): void {
    this.failure ??= error;
    for (const waiter of this.waiters.splice(0)) waiter.reject(error);
  }

  async next(signal?: AbortSignal): Promise<T> {
    if (this.values.length > 0) return this.values.shift()!;
    if (this.failure !== undefined) throw this.failure;
    if (signal?.aborted === true) throw signal.reason;
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.waiters.splice(this.waiters.indexOf(waiter), 1);
        reject(signal?.reason);
      };
      const done = <A>(settle: (value: A) => void) => (value: A): void => {
        signal?.removeEventListener("abort", onAbort);
        settle(value);
      };
      const waiter = { resolve: done(resolve), reject: done(reject) };
      this.waiters.push(waiter);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }
}

/** All namespaces that can reach each other. */
export class Fabric {
  readonly namespaces = new Set<FakeNetns>();
  /** Rewrites destinations, as a Service would. */
  redirect: (to: SocketAddress) => SocketAddress = (to) => to;

  owner(address: string, from: FakeNetns): FakeNetns | undefined {
    if (address.startsWith("127.")) return from;
    for (const ns of [from, ...this.namespaces]) if (ns.hasAddress(address)) return ns;
    return undefined;
  }
}

interface FakeLink {
  info: { -readonly [K in keyof LinkInfo]: LinkInfo[K] };
  peer?: { ns: FakeNetns; name: string };
  spec?: LinkSpec;
  hairpin?: boolean;
}

export class FakeKernel implements NodeKernel {
  readonly name: string;
  readonly host: FakeNetns;
  readonly fabric: Fabric;
  readonly clock: Clock;
  readonly all = new Map<string, FakeNetns>();

  constructor(name: string, fabric: Fabric, clock: Clock) {
    this.name = name;
    this.fabric = fabric;
    this.clock = clock;
    this.host = this.addNetns("");
  }

  addNetns(name: string): FakeNetns {
    if (this.all.has(name)) throw new KernelError("EEXIST", `Cannot create namespace file "/var/run/netns/${name}": File exists`);
    const ns = new FakeNetns(name, this);
    this.all.set(name, ns);
    this.fabric.namespaces.add(ns);
    return ns;
  }
}

export class FakeNetns implements Netns {
  readonly name: string;
  private readonly kernel: FakeKernel;
  readonly linkMap = new Map<string, FakeLink>();
  readonly addressList: { dev: string; cidr: string }[] = [];
  readonly routeList: RouteSpec[] = [];
  readonly neighList: Neigh[] = [];
  readonly fdbList: FdbEntry[] = [];
  readonly sysctls = new Map<string, string>();
  readonly model = new IptablesModel();
  conntrackList: ConntrackEntry[] = [];
  readonly listeners = new Map<string, Queue<TcpStream>>();
  readonly udpSockets = new Map<string, { queue: Queue<Datagram>; fail: (code: string) => void }>();
  private nextIfindex = 1;
  private nextPort = 32768;
  private nextMac = 1;

  constructor(name: string, kernel: FakeKernel) {
    this.name = name;
    this.kernel = kernel;
    this.put("lo", "loopback", 65536, "00:00:00:00:00:00");
  }

  hasAddress(address: string): boolean {
    return this.addressList.some(({ cidr }) => cidr.split("/")[0] === address);
  }

  private put(name: string, kind: LinkInfo["kind"], mtu: number, mac?: string, spec?: LinkSpec): FakeLink {
    if (this.linkMap.has(name)) throw new KernelError("EEXIST", "RTNETLINK answers: File exists");
    const link: FakeLink = {
      info: {
        ifindex: this.nextIfindex++, name, kind, mtu, up: false,
        mac: mac ?? `02:fa:00:00:${(this.kernel.all.size & 255).toString(16).padStart(2, "0")}:${(this.nextMac++ & 255).toString(16).padStart(2, "0")}`,
        flags: 0, portFlags: 0, linkIfindex: 0, linkNetns: false,
        stats: { rxPackets: 0, rxBytes: 0, rxDropped: 0, txPackets: 0, txBytes: 0, txDropped: 0 },
      },
      ...(spec === undefined ? {} : { spec }),
    };
    this.linkMap.set(name, link);
    return link;
  }

  private need(name: string): FakeLink {
    const link = this.linkMap.get(name);
    if (link === undefined) throw new KernelError("ENODEV", `Cannot find device "${name}"`);
    return link;
  }

  addLink(spec: LinkSpec): void {
    if (spec.kind === "veth") {
      const peerNs = (spec.peer.netns as FakeNetns | undefined) ?? this;
      const own = this.put(spec.name, "veth", spec.mtu ?? 1500, spec.mac, spec);
      const peer = peerNs.put(spec.peer.name, "veth", spec.peer.mtu ?? spec.mtu ?? 1500, spec.peer.mac);
      own.peer = { ns: peerNs, name: spec.peer.name };
      peer.peer = { ns: this, name: spec.name };
    } else this.put(spec.name, spec.kind, spec.mtu ?? 1500, spec.mac, spec);
  }

  deleteLink(name: string): void {
    const link = this.need(name);
    this.drop(name);
    link.peer?.ns.drop(link.peer.name);
  }

  private drop(name: string): void {
    this.linkMap.delete(name);
    for (const list of [this.addressList, this.routeList, this.neighList, this.fdbList] as { dev?: string }[][]) {
      for (let i = list.length - 1; i >= 0; i--) if (list[i]!.dev === name) list.splice(i, 1);
    }
  }

  setLink(name: string, change: Parameters<Netns["setLink"]>[1]): void {
    const link = this.need(name);
    if (change.up !== undefined) {
      link.info.up = change.up;
      if (name === "lo" && change.up && !this.hasAddress("127.0.0.1")) this.addressList.push({ dev: "lo", cidr: "127.0.0.1/8" });
    }
    if (change.mtu !== undefined) link.info.mtu = change.mtu;
    if (change.mac !== undefined) link.info.mac = change.mac;
    if (change.hairpin !== undefined) link.hairpin = change.hairpin;
    if (change.master === null) delete (link.info as { master?: string }).master;
    else if (change.master !== undefined) {
      this.need(change.master);
      link.info.master = change.master;
    }
  }

  links(): LinkInfo[] {
    return [...this.linkMap.values()].map(({ info }) => ({ ...info }));
  }

  link(name: string): LinkInfo | undefined {
    return this.linkMap.get(name)?.info;
  }

  addAddress(dev: string, cidr: string): void {
    this.need(dev);
    if (this.addressList.some((have) => have.dev === dev && have.cidr === cidr)) throw new KernelError("EEXIST", "RTNETLINK answers: File exists");
    this.addressList.push({ dev, cidr });
    const { ip, bits } = parseCidr(cidr)!;
    if (bits < ip.length * 8) this.routeList.push({ dst: `${formatIp(maskIp(ip, bits))}/${bits}`, dev, src: formatIp(ip), scope: "link" });
  }

  deleteAddress(dev: string, cidr: string): void {
    const at = this.addressList.findIndex((have) => have.dev === dev && have.cidr === cidr);
    if (at < 0) throw new KernelError("EADDRNOTAVAIL", "RTNETLINK answers: Cannot assign requested address");
    this.addressList.splice(at, 1);
  }

  addresses(): { dev: string; cidr: string }[] {
    return this.addressList.map((entry) => ({ ...entry }));
  }

  addRoute(route: RouteSpec): void {
    if (this.routeList.some((have) => have.dst === route.dst)) throw new KernelError("EEXIST", "RTNETLINK answers: File exists");
    this.routeList.push(route);
  }

  replaceRoute(route: RouteSpec): void {
    const at = this.routeList.findIndex((have) => have.dst === route.dst);
    if (at >= 0) this.routeList.splice(at, 1);
    this.routeList.push(route);
  }

  deleteRoute(route: RouteSpec): void {
    const at = this.routeList.findIndex((have) => have.dst === route.dst);
    if (at < 0) throw new KernelError("ESRCH", "RTNETLINK answers: No such process");
    this.routeList.splice(at, 1);
  }

  routes(): RouteSpec[] {
    return [...this.routeList];
  }

  setNeigh(neigh: { dev: string; dst: string; lladdr: string; state?: NeighState }): void {
    this.need(neigh.dev);
    const at = this.neighList.findIndex((have) => have.dev === neigh.dev && have.dst === neigh.dst);
    if (at >= 0) this.neighList.splice(at, 1);
    this.neighList.push({ state: "PERMANENT", ...neigh });
  }

  deleteNeigh(dev: string, dst: string): void {
    const at = this.neighList.findIndex((have) => have.dev === dev && have.dst === dst);
    if (at < 0) throw new KernelError("ENOENT", "RTNETLINK answers: No such file or directory");
    this.neighList.splice(at, 1);
  }

  neighbours(): Neigh[] {
    return [...this.neighList];
  }

  setFdb(entry: { dev: string; lladdr: string; dst?: string }): void {
    this.need(entry.dev);
    this.fdbList.push({ ...entry, state: "permanent" });
  }

  deleteFdb(dev: string, lladdr: string): void {
    const at = this.fdbList.findIndex((have) => have.dev === dev && have.lladdr === lladdr);
    if (at < 0) throw new KernelError("ENOENT", "RTNETLINK answers: No such file or directory");
    this.fdbList.splice(at, 1);
  }

  fdb(dev: string): FdbEntry[] {
    return this.fdbList.filter((entry) => entry.dev === dev);
  }

  sysctl(name: string): string {
    return this.sysctls.get(name) ?? "0";
  }

  setSysctl(name: string, value: string | number): void {
    this.sysctls.set(name, String(value));
  }

  readonly iptables = {
    restore: (text: string, options?: { noflush?: boolean; counters?: boolean }): void => this.model.restore(text, options),
    save: (options?: { table?: string }): string => {
      if (options?.table !== undefined) this.model.table(options.table);
      return this.model.save(options?.table);
    },
    run: (args: readonly string[]): string => this.model.run(args),
    describe: (): undefined => undefined,
  };

  addRule(): void {
    throw new KernelError("EOPNOTSUPP", "RTNETLINK answers: Operation not supported");
  }

  deleteRule(): void {
    throw new KernelError("EOPNOTSUPP", "RTNETLINK answers: Operation not supported");
  }

  conntrack(): ConntrackEntry[] {
    return [...this.conntrackList];
  }

  deleteConntrack(filter: (entry: ConntrackEntry) => boolean): number {
    const before = this.conntrackList.length;
    this.conntrackList = this.conntrackList.filter((entry) => !filter(entry));
    return before - this.conntrackList.length;
  }

  drops(): Record<string, number> {
    return {};
  }

  snmp(): Record<string, number> {
    return {};
  }

  delete(): void {
    for (const name of [...this.linkMap.keys()]) if (name !== "lo") this.deleteLink(name);
    this.kernel.all.delete(this.name);
    this.kernel.fabric.namespaces.delete(this);
    for (const queue of this.listeners.values()) queue.fail(new SocketError("EBADF", "accept"));
  }

  private localFor(remote: string): string {
    if (remote.startsWith("127.")) return "127.0.0.1";
    return (this.addressList.find(({ dev }) => dev !== "lo")?.cidr ?? "127.0.0.1/8").split("/")[0]!;
  }

  readonly sockets: Sockets = {
    udp: (options = {}) => this.openUdp(options),
    listen: (local) => this.openListener(local),
    connect: (remote, options) => this.connect(remote, options?.signal),
    ping: async (address) => {
      if (this.kernel.fabric.owner(address, this) === undefined) throw new SocketError("EHOSTUNREACH", "ping");
      return 1000;
    },
  };

  private openUdp(options: Parameters<Sockets["udp"]>[0] = {}): UdpSocket {
    const remote = options.remote;
    const port = options.local?.port ?? this.nextPort++;
    const key = `${port}`;
    if (this.udpSockets.has(key)) throw new SocketError("EADDRINUSE", "bind");
    const queue = new Queue<Datagram>();
    let pending: SocketError | undefined;
    this.udpSockets.set(key, { queue, fail: (code) => { pending = new SocketError(code, "recvfrom"); queue.fail(pending); } });
    const local = { address: options.local?.address ?? "0.0.0.0", port };
    return {
      local,
      send: (data, to = remote) => {
        if (to === undefined) throw new SocketError("EDESTADDRREQ", "sendto");
        const real = this.kernel.fabric.redirect(to);
        const target = this.kernel.fabric.owner(real.address, this)?.udpSockets.get(`${real.port}`);
        const copy = data.slice();
        this.kernel.clock.after(0, () => {
          if (target === undefined) {
            if (remote !== undefined) this.udpSockets.get(key)?.fail("ECONNREFUSED");
          } else target.queue.push({ data: copy, from: { address: this.localFor(real.address), port } });
        });
      },
      receive: (signal) => queue.next(signal),
      close: () => {
        this.udpSockets.delete(key);
        queue.fail(new SocketError("EBADF", "recvfrom"));
      },
    };
  }

  private openListener(local: Partial<SocketAddress> & { port: number }): TcpListener {
    const key = `${local.port}`;
    if (this.listeners.has(key)) throw new SocketError("EADDRINUSE", "bind");
    const queue = new Queue<TcpStream>();
    this.listeners.set(key, queue);
    return {
      local: { address: local.address ?? "0.0.0.0", port: local.port },
      accept: (signal) => queue.next(signal),
      close: () => {
        this.listeners.delete(key);
        queue.fail(new SocketError("EBADF", "accept"));
      },
    };
  }

  private async connect(remote: SocketAddress, signal?: AbortSignal): Promise<TcpStream> {
    if (signal?.aborted === true) throw signal.reason;
    await this.kernel.clock.sleep(0);
    const real = this.kernel.fabric.redirect(remote);
    const ns = this.kernel.fabric.owner(real.address, this);
    if (ns === undefined) throw new SocketError("EHOSTUNREACH", "connect");
    const listener = ns.listeners.get(`${real.port}`);
    if (listener === undefined) throw new SocketError("ECONNREFUSED", "connect");
    const local = { address: this.localFor(real.address), port: this.nextPort++ };
    const up = new Queue<Uint8Array | undefined>(), down = new Queue<Uint8Array | undefined>();
    listener.push(stream(real, local, up, down));
    return stream(local, remote, down, up);
  }
}

function stream(local: SocketAddress, remote: SocketAddress, incoming: Queue<Uint8Array | undefined>, outgoing: Queue<Uint8Array | undefined>): TcpStream {
  let ended = false, closed = false;
  const end = (): void => {
    if (!ended) outgoing.push(undefined);
    ended = true;
  };
  return {
    local, remote,
    read: async (signal) => {
      if (closed) throw new SocketError("EBADF", "read");
      const data = await incoming.next(signal);
      if (data === undefined) incoming.push(undefined);
      return data;
    },
    write: async (data) => {
      if (ended) throw new SocketError("EPIPE", "write");
      outgoing.push(data.slice());
    },
    shutdown: end,
    close: () => {
      closed = true;
      end();
    },
  };
}
