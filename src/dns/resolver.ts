/**
 * The stub resolver of programs: /etc/hosts, then DNS by /etc/resolv.conf, as glibc's getaddrinfo does it
 * (resolv/res_query.c: __res_context_search, resolv/res_send.c, nss_dns): both address types at once from one socket,
 * `attempts` rounds over the nameservers, the search list by `ndots`, TCP after a truncated answer.
 */
import { parseIp } from "../cni/ip.ts";
import type { Sockets } from "../kernel/sockets.ts";
import type { Clock, Random } from "../time/clock.ts";
import { canonicalName, decode, encode, query, RCODE, TYPE, type Message } from "./message.ts";

export interface ResolvConf {
  readonly nameservers: readonly string[];
  readonly search: readonly string[];
  readonly ndots: number;
  readonly timeoutSeconds: number;
  readonly attempts: number;
}

/** Reads resolv.conf(5). Unknown lines and options are passed over, limits are glibc's. */
export function parseResolvConf(text: string): ResolvConf {
  const nameservers: string[] = [];
  let search: string[] = [];
  let ndots = 1, timeoutSeconds = 5, attempts = 2;
  for (const line of text.split("\n")) {
    const [keyword, ...values] = line.replace(/[#;].*$/, "").trim().split(/\s+/);
    if (keyword === "nameserver" && values[0] !== undefined && parseIp(values[0]) !== undefined) {
      if (nameservers.length < 3) nameservers.push(values[0]);
    } else if (keyword === "search" || keyword === "domain") search = values;
    else if (keyword === "options") {
      for (const option of values) {
        const [name, value] = option.split(":");
        const number = /^[0-9]+$/.test(value ?? "") ? Number(value) : undefined;
        if (number === undefined) continue;
        if (name === "ndots") ndots = Math.min(number, 15);
        else if (name === "timeout") timeoutSeconds = Math.min(number, 30);
        else if (name === "attempts") attempts = Math.min(number, 5);
      }
    }
  }
  // Without a nameserver line, the one on this host.
  return { nameservers: nameservers.length > 0 ? nameservers : ["127.0.0.1"], search, ndots, timeoutSeconds, attempts };
}

/** Names that /etc/hosts(5) gives for `name`: its addresses in order. */
export function lookupHosts(text: string, name: string): string[] {
  const wanted = canonicalName(name);
  return text.split("\n").flatMap((line) => {
    const [address, ...names] = line.replace(/#.*$/, "").trim().split(/\s+/);
    return address !== undefined && parseIp(address) !== undefined && names.some((n) => canonicalName(n) === wanted) ? [address] : [];
  });
}

/** A failed lookup; `code` as getaddrinfo names it. */
export class ResolveError extends Error {
  /** EAI_NONAME: no such name. EAI_NODATA: the name has no address. EAI_AGAIN: no server answered. */
  readonly code: "EAI_NONAME" | "EAI_NODATA" | "EAI_AGAIN";
  constructor(code: "EAI_NONAME" | "EAI_NODATA" | "EAI_AGAIN", name: string) {
    super(`${code} ${name}`);
    this.name = "ResolveError";
    this.code = code;
  }
}

export interface ResolverDeps {
  readonly net: Sockets;
  readonly clock: Clock;
  readonly random: Random;
  /** Reads a file of the program's file system; undefined: it does not exist. */
  readonly readFile: (path: string) => Uint8Array | undefined;
}

export interface ResolveOptions {
  readonly family?: "IPv4" | "IPv6";
  readonly signal?: AbortSignal;
}

/** Addresses of a name, IPv4 ones first; at least one. Throws ResolveError. */
export async function resolve(deps: ResolverDeps, name: string, options: ResolveOptions = {}): Promise<string[]> {
  const types = options.family === "IPv4" ? [TYPE.A] : options.family === "IPv6" ? [TYPE.AAAA] : [TYPE.A, TYPE.AAAA];
  const fits = (address: string): boolean => types.includes(address.includes(":") ? TYPE.AAAA : TYPE.A);
  if (parseIp(name) !== undefined) return [name];
  const text = (path: string): string => new TextDecoder().decode(deps.readFile(path) ?? new Uint8Array(0));
  const fromHosts = lookupHosts(text("/etc/hosts"), name).filter(fits);
  if (fromHosts.length > 0) return fromHosts;

  const conf = parseResolvConf(text("/etc/resolv.conf"));
  let sawData = false, sawFailure = false;
  for (const candidate of searchOrder(name, conf)) {
    const answers = await exchange(deps, conf, candidate, types, options.signal);
    const addresses = answers.flatMap((message) => addressesIn(message));
    if (addresses.length > 0) return addresses.filter((a) => !a.includes(":")).concat(addresses.filter((a) => a.includes(":")));
    if (answers.length === 0) throw new ResolveError("EAI_AGAIN", name); // no server is there: the next name would wait as long
    sawFailure ||= answers.some((m) => m.rcode !== RCODE.NOERROR && m.rcode !== RCODE.NXDOMAIN);
    sawData ||= answers.some((m) => m.rcode === RCODE.NOERROR);
  }
  throw new ResolveError(sawFailure ? "EAI_AGAIN" : sawData ? "EAI_NODATA" : "EAI_NONAME", name);
}

/** The names to ask for, in order (__res_context_search): as it is first when it has `ndots` dots. */
export function searchOrder(name: string, conf: Pick<ResolvConf, "search" | "ndots">): string[] {
  if (name.endsWith(".")) return [name];
  const asIs = `${name}.`;
  const listed = conf.search.map((domain) => (domain === "." ? asIs : `${name}.${domain.replace(/\.$/, "")}.`));
  const dots = name.split(".").length - 1;
  return dots >= conf.ndots ? [asIs, ...listed] : [...listed, asIs];
}

/**
 * Asks the nameservers for every type of `name`, in parallel from one socket. Gives the answers that came: none if no
 * server answered. A server that answers SERVFAIL, NOTIMP or REFUSED is passed over while there is another.
 */
export async function exchange(
  deps: ResolverDeps, conf: ResolvConf, name: string, types: readonly number[], signal?: AbortSignal,
): Promise<Message[]> {
  let kept: Message[] = [];
  for (let attempt = 0; attempt < conf.attempts; attempt++) {
    for (let i = 0; i < conf.nameservers.length; i++) {
      // glibc doubles the wait each round and shares it among the servers.
      const shared = attempt === 0 ? conf.timeoutSeconds : Math.floor((conf.timeoutSeconds << attempt) / conf.nameservers.length);
      const answers = await ask(deps, conf.nameservers[i]!, name, types, Math.max(1, shared) * 1000, signal);
      if (answers.length > 0) kept = answers;
      const good = answers.length === types.length && answers.every((m) => m.rcode === RCODE.NOERROR || m.rcode === RCODE.NXDOMAIN);
      if (good) return answers;
    }
    if (kept.length === types.length) return kept;
  }
  return kept;
}

async function ask(
  deps: ResolverDeps, server: string, name: string, types: readonly number[], timeoutMs: number, signal?: AbortSignal,
): Promise<Message[]> {
  const timer = new AbortController();
  const cancel = deps.clock.after(timeoutMs, () => timer.abort(new Error("ETIMEDOUT")));
  const stop = (): void => timer.abort(signal?.reason);
  signal?.addEventListener("abort", stop, { once: true });
  const answers = new Map<number, Message>();
  let socket;
  try {
    socket = deps.net.udp({ remote: { address: server, port: 53 } });
    const pending = new Map<number, number>();
    for (const type of types) {
      let id = deps.random.below(65536);
      while (pending.has(id)) id = (id + 1) & 0xffff;
      pending.set(id, type);
      socket.send(encode(query(id, name, type)));
    }
    while (answers.size < types.length) {
      const { data } = await socket.receive(timer.signal);
      const message = accept(data, name, pending);
      if (message === undefined) continue; // not an answer to what we asked: keep waiting
      const type = pending.get(message.id)!;
      answers.set(type, message.truncated ? ((await askByTcp(deps, server, name, type, timer.signal)) ?? message) : message);
      pending.delete(message.id);
    }
  } catch (error) {
    if (signal?.aborted === true) throw signal.reason;
    if (!timer.signal.aborted && !isSocketError(error)) throw error;
  } finally {
    cancel();
    signal?.removeEventListener("abort", stop);
    socket?.close();
  }
  return types.flatMap((type) => answers.get(type) ?? []);
}

const isSocketError = (error: unknown): boolean => error instanceof Error && error.name === "SocketError";

/** The message, if it answers one of the pending questions. */
function accept(data: Uint8Array, name: string, pending: ReadonlyMap<number, number>): Message | undefined {
  try {
    const message = decode(data);
    const type = pending.get(message.id);
    const [question] = message.questions;
    if (!message.response || type === undefined) return undefined;
    if (question === undefined) return message.rcode === RCODE.NOERROR ? undefined : message;
    return question.type === type && canonicalName(question.name) === canonicalName(name) ? message : undefined;
  } catch {
    return undefined; // malformed: as if it had not come
  }
}

async function askByTcp(deps: ResolverDeps, server: string, name: string, type: number, signal: AbortSignal): Promise<Message | undefined> {
  const id = deps.random.below(65536);
  const stream = await deps.net.connect({ address: server, port: 53 }, { signal });
  try {
    const request = encode(query(id, name, type));
    await stream.write(Uint8Array.of(request.length >> 8, request.length & 255, ...request));
    let bytes = new Uint8Array(0);
    for (;;) {
      const wanted = bytes.length < 2 ? undefined : 2 + ((bytes[0]! << 8) | bytes[1]!);
      if (wanted !== undefined && bytes.length >= wanted) return accept(bytes.slice(2, wanted), name, new Map([[id, type]]));
      const chunk = await stream.read(signal);
      if (chunk === undefined) return undefined;
      const joined = new Uint8Array(bytes.length + chunk.length);
      joined.set(bytes);
      joined.set(chunk, bytes.length);
      bytes = joined;
    }
  } finally {
    stream.close();
  }
}

/** The addresses an answer gives for its question, through CNAMEs. */
export function addressesIn(message: Message): string[] {
  const question = message.questions[0];
  if (question === undefined || message.rcode !== RCODE.NOERROR) return [];
  let name = canonicalName(question.name);
  for (let hops = 0; hops < 16; hops++) {
    const alias = message.answers.find((record) => record.data.type === TYPE.CNAME && canonicalName(record.name) === name);
    if (alias === undefined || alias.data.type !== TYPE.CNAME) break;
    name = canonicalName((alias.data as { target: string }).target);
  }
  return message.answers.flatMap((record) =>
    (record.data.type === TYPE.A || record.data.type === TYPE.AAAA) && canonicalName(record.name) === name ? [record.data.address] : []);
}
