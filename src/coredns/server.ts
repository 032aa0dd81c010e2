/** The DNS server: UDP and TCP sockets, server blocks by zone, the plugin chain of each. Follows coredns core/dnsserver. */
import { canonicalName, CLASS_IN, decode, encode, reply, RCODE, type Message } from "../dns/message.ts";
import type { ApiTransport } from "../client/transport.ts";
import type { Sockets, TcpStream } from "../kernel/sockets.ts";
import type { Clock, Random } from "../time/clock.ts";
import { CorefileError, parseCorefile } from "./corefile.ts";
import { cache } from "./plugin/cache.ts";
import { forward } from "./plugin/forward.ts";
import { kubernetes } from "./plugin/kubernetes.ts";
import { accepted, errors, health, hosts, loadbalance, log, ready } from "./plugin/small.ts";
import { matchZone, type DnsRequest, type Handler, type Plugin, type PluginContext } from "./plugin.ts";

/**
 * In the order of coredns plugin.cfg, which is the order in a chain whatever the Corefile's:
 * those that look at answers stand before those that make them, cache before all that is slow, forward last.
 */
export const pluginOrder: readonly Plugin[] = [...accepted, ready, health, errors, log, loadbalance, cache, hosts, kubernetes, forward];

export interface DnsServerOptions {
  readonly corefile: string;
  readonly file: string;
  readonly net: Sockets;
  readonly clock: Clock;
  readonly random: Random;
  readonly api: ApiTransport;
  readonly signal: AbortSignal;
  readonly readFile: (path: string) => Uint8Array | undefined;
  readonly log: (line: string) => void;
}

/** How long answers wait for the caches of plugins (plugin/kubernetes: startup_timeout). */
const STARTUP_TIMEOUT_MS = 5000;

/** Serves until the signal aborts. Throws CorefileError, and SocketError EADDRINUSE. */
export async function serveDns(options: DnsServerOptions): Promise<void> {
  const known = new Map(pluginOrder.map((plugin) => [plugin.name, plugin]));
  const blocks = parseCorefile(options.corefile, options.file, new Set(known.keys()));
  const waits: Promise<unknown>[] = [];
  const readiness: (() => boolean)[] = [];
  const byPort = new Map<number, { zone: string; handler: Handler }[]>();
  for (const { keys, directives } of blocks) {
    const configs = new Map<string, unknown[]>();
    for (const directive of directives) {
      try {
        const config = known.get(directive.name)!.parse(directive);
        configs.set(directive.name, [...(configs.get(directive.name) ?? []), config]);
      } catch (error) {
        throw error instanceof CorefileError ? new CorefileError(`plugin/${directive.name}: ${error.message}`) : error;
      }
    }
    let handler: Handler = { serveDns: ({ message }) => reply(message, RCODE.REFUSED) };
    const context: PluginContext = {
      clock: options.clock, random: options.random, net: options.net, api: options.api, signal: options.signal, readFile: options.readFile,
      log: options.log, zones: keys.map(({ zone }) => zone), waitFor: (promise) => waits.push(promise), readiness,
      lookup: async (request) => handler.serveDns(request),
    };
    for (const plugin of [...pluginOrder].reverse()) {
      for (const config of [...(configs.get(plugin.name) ?? [])].reverse()) handler = plugin.build(config, handler, context);
    }
    for (const { zone, port } of keys) byPort.set(port, [...(byPort.get(port) ?? []), { zone, handler }]);
  }
  const limit = new AbortController();
  await Promise.race([Promise.all(waits), options.clock.sleep(STARTUP_TIMEOUT_MS, limit.signal).catch(() => undefined)]);
  limit.abort();
  if (options.signal.aborted) return;
  await Promise.all([...byPort].map(([port, zones]) => servePort(options, port, zones)));
}

async function servePort(options: DnsServerOptions, port: number, zones: readonly { zone: string; handler: Handler }[]): Promise<void> {
  const { net, signal, log: print } = options;
  const names = zones.map(({ zone }) => zone);
  const socket = net.udp({ local: { port } });
  const listener = net.listen({ port });
  for (const zone of names) print(`${zone}:${port}`);
  const answer = async (data: Uint8Array, protocol: "udp" | "tcp", remote: { address: string; port: number }): Promise<Uint8Array | undefined> => {
    const parsed = accept(data);
    if (parsed === undefined || parsed instanceof Uint8Array) return parsed;
    const question = parsed.questions[0]!;
    const name = canonicalName(question.name);
    const zone = matchZone(names, name);
    const handler = zones.find((candidate) => candidate.zone === zone)?.handler;
    const request: DnsRequest = { message: parsed, name, type: question.type, protocol, remote, size: data.length };
    let message: Message;
    try {
      message = handler === undefined || question.class !== CLASS_IN ? reply(parsed, RCODE.REFUSED) : await handler.serveDns(request);
    } catch {
      message = reply(parsed, RCODE.SERVFAIL);
    }
    const { edns: _, ...bare } = message;
    const edns = parsed.edns === undefined ? {} : { edns: { udpSize: Math.max(512, parsed.edns.udpSize), version: 0, dnssecOk: parsed.edns.dnssecOk, options: [] } };
    return encode({ ...bare, ...edns }, protocol === "tcp" ? 65535 : Math.max(512, parsed.edns?.udpSize ?? 512));
  };
  const onAbort = (): void => {
    socket.close();
    listener.close();
  };
  signal.addEventListener("abort", onAbort, { once: true });
  const udp = async (): Promise<void> => {
    while (!signal.aborted) {
      const { data, from } = await socket.receive(signal);
      void answer(data, "udp", from).then((bytes) => {
        if (bytes !== undefined && !signal.aborted) socket.send(bytes, from);
      }).catch(() => undefined); // the client is out of reach: it will ask again
    }
  };
  const tcp = async (): Promise<void> => {
    while (!signal.aborted) {
      const stream = await listener.accept(signal);
      void serveStream(stream, answer, signal).catch(() => undefined).finally(() => stream.close());
    }
  };
  await Promise.all([udp(), tcp()]).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}

/** What miekg/dns lets through: one question, an opcode that is QUERY. Otherwise the answer's bytes, or nothing. */
function accept(data: Uint8Array): Message | Uint8Array | undefined {
  if (data.length < 12 || (data[2]! & 0x80) !== 0) return undefined;
  const failure = (rcode: number): Uint8Array => {
    const out = new Uint8Array(12);
    out.set(data.subarray(0, 2));
    out[2] = 0x80 | (data[2]! & 0x79);
    out[3] = rcode;
    return out;
  };
  if (((data[2]! >> 3) & 15) !== 0) return failure(RCODE.NOTIMP);
  try {
    const message = decode(data);
    return message.questions.length === 1 ? message : failure(RCODE.FORMERR);
  } catch {
    return failure(RCODE.FORMERR);
  }
}

async function serveStream(
  stream: TcpStream, answer: (data: Uint8Array, protocol: "tcp", remote: { address: string; port: number }) => Promise<Uint8Array | undefined>,
  signal: AbortSignal,
): Promise<void> {
  let buffer = new Uint8Array(0);
  for (;;) {
    while (buffer.length >= 2) {
      const length = (buffer[0]! << 8) | buffer[1]!;
      if (buffer.length < 2 + length) break;
      const bytes = await answer(buffer.slice(2, 2 + length), "tcp", stream.remote);
      buffer = buffer.slice(2 + length);
      if (bytes === undefined) return;
      const framed = new Uint8Array(2 + bytes.length);
      framed[0] = bytes.length >> 8;
      framed[1] = bytes.length & 255;
      framed.set(bytes, 2);
      await stream.write(framed);
    }
    const chunk = await stream.read(signal);
    if (chunk === undefined) return;
    const joined = new Uint8Array(buffer.length + chunk.length);
    joined.set(buffer);
    joined.set(chunk, buffer.length);
    buffer = joined;
  }
}
