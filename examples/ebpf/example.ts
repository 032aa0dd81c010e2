/**
 * The three programs at work in a node of the simulated kernel: packets of real sockets pass them, and what they did is told. It runs wherever
 * `kubewire/bpf` runs; main.ts runs it in Node.
 */
import type { Bpf, TestObject } from "kubewire/bpf";
import { bpfOf, dropReason, tracingOf } from "kubewire/bpf";

export interface Objects {
  readonly firewall: Uint8Array;
  readonly balancer: Uint8Array;
  readonly drops: Uint8Array;
}

export interface Told {
  readonly firewall: { readonly arrived: string[]; readonly dropped: number; readonly denied: number };
  readonly balancer: { readonly byBackend: Record<string, number>; readonly answers: string[] };
  readonly drops: { readonly first: Record<string, unknown>; readonly byReason: Record<string, number> };
  readonly engine: string;
}

const address = (text: string): number => new DataView(Uint8Array.from(text.split(".").map(Number)).buffer).getUint32(0, true);
const dotted = (number: number): string => [...new Uint8Array(Uint32Array.of(number).buffer)].join(".");
const MS = 1_000_000;

/** Namespaces on one wire each: `client` 10.0.0.2, `server` 10.0.0.1 and 10.0.0.100 to 10.0.0.102. */
function wire({ kernel }: TestObject) {
  const server = kernel.addNetns("server");
  const client = kernel.addNetns("client");
  server.addLink({ kind: "veth", name: "eth0", mac: "02:00:00:00:00:01", peer: { name: "eth0", netns: client, mac: "02:00:00:00:00:02" } });
  for (const netns of [server, client]) for (const device of ["lo", "eth0"]) netns.setLink(device, { up: true });
  for (const own of ["10.0.0.1", "10.0.0.100", "10.0.0.101", "10.0.0.102"]) server.addAddress("eth0", `${own}/24`);
  client.addAddress("eth0", "10.0.0.2/24");
  client.addAddress("eth0", "10.0.0.66/24");
  return { server, client };
}

/** Sends a datagram from `source`; a server answers with its own address and what it got. */
async function ask(object: TestObject, { client }: ReturnType<typeof wire>, to: string, port: number, source = "10.0.0.2", from?: number): Promise<string | undefined> {
  const socket = client.sockets.udp({ local: { address: source, ...(from === undefined ? {} : { port: from }) } });
  let answer: string | undefined;
  void socket.receive().then(({ data, from }) => (answer = `${new TextDecoder().decode(data)} from ${from.address}`), () => undefined);
  socket.send(new TextEncoder().encode("hello"), { address: to, port });
  for (let turn = 0; turn < 4; turn++) {
    object.advance(5 * MS);
    for (let hop = 0; hop < 8; hop++) await Promise.resolve();
  }
  socket.close();
  return answer;
}

async function firewall(bpf: Bpf, object: Uint8Array): Promise<Told["firewall"] & { engine: string }> {
  const loaded = await bpf.loadObject(object);
  const ends = wire(loaded);
  loaded.maps["open_ports"]!.set(53, 1);
  loaded.maps["denied"]!.set({ length: 32, address: address("10.0.0.66") }, 0n);
  bpfOf(ends.server).attachXdp("eth0", loaded.programs["firewall"]!.loaded.kernel);
  const servers = [53, 23].map((port) => ends.server.sockets.udp({ local: { port } }));
  for (const [i, server] of servers.entries()) {
    void (async () => {
      while (true) {
        const { from } = await server.receive();
        server.send(new TextEncoder().encode(`port ${[53, 23][i]}`), from);
      }
    })().catch(() => undefined);
  }
  const arrived = [await ask(loaded, ends, "10.0.0.1", 53), await ask(loaded, ends, "10.0.0.1", 23), await ask(loaded, ends, "10.0.0.1", 53, "10.0.0.66")].filter((answer) => answer !== undefined);
  const counters = loaded.maps[".bss"]!.get(0) as { dropped: bigint };
  const denied = loaded.maps["denied"]!.get({ length: 32, address: address("10.0.0.66") }) as bigint;
  const { engine } = loaded.programs["firewall"]!;
  loaded.close();
  return { arrived, dropped: Number(counters.dropped), denied: Number(denied), engine };
}

async function balancer(bpf: Bpf, object: Uint8Array): Promise<Told["balancer"]> {
  const own = ["10.0.0.100", "10.0.0.101", "10.0.0.102"];
  const loaded = await bpf.loadObject(object, { globals: { ".rodata": { virtual_address: address("10.0.0.200"), backend_count: own.length } } });
  const ends = wire(loaded);
  own.forEach((backend, slot) => loaded.maps["backends"]!.set(slot, address(backend)));
  // The virtual address is nobody's: the client is told where its frames go.
  ends.client.setNeigh({ dst: "10.0.0.200", dev: "eth0", lladdr: "02:00:00:00:00:01" });
  bpfOf(ends.server).attachTcx("eth0", "ingress", loaded.programs["forward"]!.loaded.kernel);
  bpfOf(ends.server).attachTcx("eth0", "egress", loaded.programs["back"]!.loaded.kernel);
  for (const backend of own) {
    const server = ends.server.sockets.udp({ local: { address: backend, port: 80 } });
    void (async () => {
      while (true) {
        const { from } = await server.receive();
        server.send(new TextEncoder().encode(backend), from);
      }
    })().catch(() => undefined);
  }
  const answers = new Set<string>();
  for (let flow = 0; flow < 30; flow++) answers.add((await ask(loaded, ends, "10.0.0.200", 80, "10.0.0.2", 40_000 + flow)) ?? "nothing");
  const byBackend: Record<string, number> = {};
  for (const [backend, count] of loaded.maps["sent"]!.entries()) byBackend[dotted(backend as number)] = Number(count);
  loaded.close();
  return { byBackend: Object.fromEntries(Object.entries(byBackend).sort(([a], [b]) => (a < b ? -1 : 1))), answers: [...answers].sort() };
}

async function drops(bpf: Bpf, object: Uint8Array): Promise<Told["drops"]> {
  const loaded = await bpf.loadObject(object);
  const ends = wire(loaded);
  tracingOf(loaded.kernel, dropReason).attachTracepoint(loaded.programs["watch"]!.loaded.kernel, "skb/kfree_skb");
  ends.server.iptables.run(["-A", "INPUT", "-p", "udp", "--dport", "9", "-j", "DROP"]);
  for (const port of [9, 9, 7]) await ask(loaded, ends, "10.0.0.1", port);
  const names = new Map(["NETFILTER_DROP", "NO_SOCKET", "NOT_SPECIFIED"].map((name) => [dropReason(name), name]));
  const records: Record<string, unknown>[] = [];
  const map = loaded.loaded.maps.get("drops")!;
  map.consume((bytes) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    records.push({
      reason: names.get(view.getUint32(0, true)), length: view.getUint32(4, true), source: dotted(view.getUint32(8, true)), destination: dotted(view.getUint32(12, true)),
      protocol: bytes[18], device: new TextDecoder().decode(bytes.subarray(19, 35)).replace(/\0.*$/s, ""),
    });
  });
  const byReason: Record<string, number> = {};
  for (const [reason, count] of loaded.maps["by_reason"]!.entries()) byReason[names.get(reason as number) ?? String(reason)] = Number(count);
  loaded.close();
  return { first: records[0] ?? {}, byReason };
}

export async function run(bpf: Bpf, objects: Objects): Promise<Told> {
  const { engine, ...told } = await firewall(bpf, objects.firewall);
  return { firewall: told, balancer: await balancer(bpf, objects.balancer), drops: await drops(bpf, objects.drops), engine };
}
