/** Hands queries on to other servers over UDP. Follows coredns plugin/forward in its policy `random`. */
import { canonicalName, decode, encode } from "../../dns/message.ts";
import { parseResolvConf } from "../../dns/resolver.ts";
import { parseIp } from "../../cni/ip.ts";
import { argError, parseError } from "../corefile.ts";
import { definePlugin, matchZone, type PluginContext } from "../plugin.ts";

interface ForwardConfig {
  readonly from: string;
  readonly to: readonly string[];
  readonly except: readonly string[];
}

const READ_TIMEOUT_MS = 2000;
const PROPERTIES = ["except", "force_tcp", "prefer_udp", "expire", "max_fails", "max_concurrent", "policy", "health_check", "tls", "tls_servername", "next"];

export const forward = definePlugin<ForwardConfig>({
  name: "forward",
  parse(directive) {
    const [from, ...to] = directive.args;
    if (from === undefined || to.length === 0) throw argError(directive);
    const except: string[] = [];
    for (const line of directive.block) {
      if (!PROPERTIES.includes(line.name)) throw parseError(line, `unknown property '${line.name}'`);
      if (line.name === "except") except.push(...line.args.map(canonicalName));
    }
    for (const target of to) {
      if (!target.startsWith("/") && parseTarget(target) === undefined) throw parseError(directive, `not an IP address or file: "${target}"`);
    }
    return { from: canonicalName(from), to, except };
  },
  build({ from, to, except }, next, context) {
    // A resolv.conf without nameservers leaves nobody to ask: every query fails, as with dead servers.
    const servers = to.flatMap((target) => (target.startsWith("/") ? serversInFile(target, context) : [parseTarget(target)!]));
    return {
      async serveDns(request) {
        if (matchZone([from], request.name) === undefined || matchZone(except, request.name) !== undefined) return next.serveDns(request);
        const order = [...servers];
        const query = encode(request.message);
        while (order.length > 0) {
          const [server] = order.splice(context.random.below(order.length), 1);
          const answer = await ask(context, server!, query, request.message.id);
          if (answer !== undefined) return answer;
        }
        throw new Error(servers.length === 0 ? "no upstream servers" : "no healthy proxies");
      },
    };
  },
});

function parseTarget(text: string): { address: string; port: number } | undefined {
  const bare = text.replace(/^dns:\/\//, "");
  if (parseIp(bare) !== undefined) return { address: bare, port: 53 };
  const match = /^\[?([0-9a-fA-F.:]+?)\]?:([0-9]+)$/.exec(bare);
  return match !== null && parseIp(match[1]!) !== undefined ? { address: match[1]!, port: Number(match[2]) } : undefined;
}

function serversInFile(path: string, context: PluginContext): { address: string; port: number }[] {
  const text = new TextDecoder().decode(context.readFile(path) ?? new Uint8Array(0));
  if (!/^\s*nameserver\s/m.test(text)) return [];
  return parseResolvConf(text).nameservers.map((address) => ({ address, port: 53 }));
}

async function ask(context: PluginContext, server: { address: string; port: number }, query: Uint8Array, id: number) {
  const socket = context.net.udp({ remote: server });
  const limit = new AbortController();
  const cancel = context.clock.after(READ_TIMEOUT_MS, () => limit.abort());
  try {
    socket.send(query);
    for (;;) {
      const { data } = await socket.receive(limit.signal);
      const answer = decode(data);
      if (answer.id === id && answer.response) return answer;
    }
  } catch {
    return undefined; // timed out, unreachable or malformed: the next server
  } finally {
    cancel();
    socket.close();
  }
}
