/** The small plugins: errors, log, loadbalance, health, ready, hosts, and those that only have to be accepted. */
import { canonicalName, CLASS_IN, encode, rcodeName, reply, RCODE, TYPE, typeName, type Message, type ResourceRecord } from "../../dns/message.ts";
import { parseIp } from "../../cni/ip.ts";
import { serveHttp } from "../../http/server.ts";
import { argError, parseError } from "../corefile.ts";
import { definePlugin, matchZone, type DnsRequest, type PluginContext } from "../plugin.ts";

/** Says what went wrong in the chain behind it. */
export const errors = definePlugin<undefined>({
  name: "errors",
  parse: () => undefined,
  build: (_, next, { log }) => ({
    async serveDns(request) {
      try {
        return await next.serveDns(request);
      } catch (error) {
        log(`[ERROR] plugin/errors: ${RCODE.SERVFAIL} ${request.name} ${typeName(request.type)}: ${error instanceof Error ? error.message : String(error)}`);
        throw error;
      }
    },
  }),
});

const flagNames = (message: Message): string => [
  message.response && "qr", message.authoritative && "aa", message.truncated && "tc", message.recursionDesired && "rd",
  message.recursionAvailable && "ra", message.authenticData && "ad", message.checkingDisabled && "cd",
].filter((name) => name !== false).join(",");

/** One line per query, in the common format (plugin/log/README.md). */
export const log = definePlugin<readonly string[]>({
  name: "log",
  parse: ({ args }) => args.map((zone) => canonicalName(zone)),
  build: (zones, next, context) => ({
    async serveDns(request) {
      if (zones.length > 0 && matchZone(zones, request.name) === undefined) return next.serveDns(request);
      const startNs = context.clock.nowNs();
      const answer = await Promise.resolve(next.serveDns(request)).catch(() => reply(request.message, RCODE.SERVFAIL));
      const { message, remote, protocol, size } = request;
      context.log(
        `[INFO] ${remote.address}:${remote.port} - ${message.id} "${typeName(request.type)} IN ${request.name} ${protocol} ${size} ` +
        `${message.edns?.dnssecOk ?? false} ${message.edns?.udpSize ?? 512}" ${rcodeName(answer.rcode)} ${flagNames(answer)} ` +
        `${encode(answer).length} ${((context.clock.nowNs() - startNs) / 1e9).toFixed(9)}s`,
      );
      return answer;
    },
  }),
});

/** Shuffles addresses, so that clients which take the first one spread (round_robin). */
export const loadbalance = definePlugin<undefined>({
  name: "loadbalance",
  parse(directive) {
    const [policy] = directive.args;
    if (policy !== undefined && policy !== "round_robin") throw parseError(directive, `unknown policy: ${policy}`);
    return undefined;
  },
  build: (_, next, { random }) => ({
    async serveDns(request) {
      const answer = await next.serveDns(request);
      const isAddress = ({ data }: ResourceRecord): boolean => data.type === TYPE.A || data.type === TYPE.AAAA;
      const addresses = answer.answers.filter(isAddress);
      if (addresses.length < 2) return answer;
      for (let i = addresses.length - 1; i > 0; i--) {
        const j = random.below(i + 1);
        [addresses[i], addresses[j]] = [addresses[j]!, addresses[i]!];
      }
      // CNAMEs first: the addresses are those of their target.
      return { ...answer, answers: [...answer.answers.filter((record) => !isAddress(record)), ...addresses] };
    },
  }),
});

/** An HTTP page that says OK once `ok` holds. */
function page(context: PluginContext, port: number, path: string, ok: () => boolean): void {
  const encoder = new TextEncoder();
  void serveHttp({
    net: context.net, port, signal: context.signal,
    handler: ({ target }) => {
      const found = target.split("?")[0] === path;
      const good = found && ok();
      const headers = [["Content-Type", "text/plain; charset=utf-8"]] as const;
      if (!found) return { status: 404, reason: "Not Found", headers, body: encoder.encode("404 page not found\n") };
      return { status: good ? 200 : 503, reason: good ? "OK" : "Service Unavailable", headers, body: encoder.encode(good ? "OK" : "") };
    },
  }).catch((error: unknown) => context.log(`[ERROR] plugin${path}: ${error instanceof Error ? error.message : String(error)}`));
}

const portOf = (text: string | undefined, fallback: number): number | undefined => {
  if (text === undefined) return fallback;
  const port = Number(/:([0-9]+)$/.exec(text)?.[1] ?? NaN);
  return port > 0 && port < 65536 ? port : undefined;
};

/** `GET :8080/health`. */
export const health = definePlugin<number>({
  name: "health",
  parse(directive) {
    if (directive.args.length > 1) throw argError(directive);
    return portOf(directive.args[0], 8080) ?? (() => { throw parseError(directive, `address ${directive.args[0]}: missing port in address`); })();
  },
  build(port, next, context) {
    page(context, port, "/health", () => true);
    return next;
  },
});

/** `GET :8181/ready`: once every plugin that has to is ready. */
export const ready = definePlugin<number>({
  name: "ready",
  parse(directive) {
    if (directive.args.length > 1) throw argError(directive);
    return portOf(directive.args[0], 8181) ?? (() => { throw parseError(directive, `address ${directive.args[0]}: missing port in address`); })();
  },
  build(port, next, context) {
    page(context, port, "/ready", () => context.readiness.every((check) => check()));
    return next;
  },
});

interface HostsConfig {
  readonly zones: readonly string[];
  readonly ttl: number;
  readonly fallthrough: boolean;
  readonly file: string;
  readonly inline: string;
}

/** Names from /etc/hosts and from lines of its own. */
export const hosts = definePlugin<HostsConfig>({
  name: "hosts",
  parse({ args, block }) {
    let ttl = 3600, fallthrough = false;
    const lines: string[] = [];
    for (const line of block) {
      if (line.name === "ttl") {
        const value = Number(line.args[0]);
        if (!(value > 0 && value <= 65535)) throw parseError(line, "ttl provided is invalid");
        ttl = value;
      } else if (line.name === "fallthrough") fallthrough = true;
      else if (line.name === "reload" || line.name === "no_reverse") continue;
      else if (parseIp(line.name) !== undefined) lines.push([line.name, ...line.args].join(" "));
      else throw parseError(line, `unknown property '${line.name}'`);
    }
    const [file, ...zones] = args;
    return { zones: zones.map((zone) => canonicalName(zone)), ttl, fallthrough, file: file ?? "/etc/hosts", inline: lines.join("\n") };
  },
  build(config, next, context) {
    const zones = config.zones.length > 0 ? config.zones : context.zones;
    const table = new Map<string, string[]>();
    const file = new TextDecoder().decode(context.readFile(config.file) ?? new Uint8Array(0));
    for (const line of `${file}\n${config.inline}`.split("\n")) {
      const [address, ...names] = line.replace(/#.*$/, "").trim().split(/\s+/);
      if (address === undefined || parseIp(address) === undefined) continue;
      for (const name of names) {
        const key = canonicalName(name);
        table.set(key, [...(table.get(key) ?? []), address]);
      }
    }
    return {
      serveDns(request: DnsRequest) {
        const addresses = table.get(request.name);
        if (matchZone(zones, request.name) === undefined || addresses === undefined) return next.serveDns(request);
        const answers = addresses.flatMap((address): ResourceRecord[] => {
          const type = address.includes(":") ? TYPE.AAAA : TYPE.A;
          return type === request.type ? [{ name: request.message.questions[0]!.name, class: CLASS_IN, ttl: config.ttl, data: { type, address } }] : [];
        });
        if (answers.length === 0 && config.fallthrough) return next.serveDns(request);
        return { ...reply(request.message, RCODE.NOERROR), authoritative: true, answers };
      },
    };
  },
});

/** Directives that change nothing here: metrics and tracing are not served, and the Corefile is read once. */
export const accepted = ["prometheus", "loop", "reload", "debug", "pprof", "bufsize", "lameduck"].map((name) =>
  definePlugin<undefined>({ name, parse: () => undefined, build: (_, next) => next }));
