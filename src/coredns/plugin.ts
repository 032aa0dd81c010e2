/** What a CoreDNS plugin is here: configuration parsed apart from work, and a link of a chain of handlers. */
import type { Message } from "../dns/message.ts";
import type { Sockets } from "../kernel/sockets.ts";
import type { ApiTransport } from "../client/transport.ts";
import type { Clock, Random } from "../time/clock.ts";
import type { Directive } from "./corefile.ts";

/** One query on its way through the chain. */
export interface DnsRequest {
  readonly message: Message;
  /** The question's name in lower case, with its dot. */
  readonly name: string;
  /** The question's type. */
  readonly type: number;
  readonly protocol: "udp" | "tcp";
  readonly remote: { readonly address: string; readonly port: number };
  readonly size: number;
}

export interface Handler {
  /** The answer. A rejection is answered SERVFAIL by the server. */
  serveDns(request: DnsRequest): Promise<Message> | Message;
}

/** What the server block gives its plugins. */
export interface PluginContext {
  readonly clock: Clock;
  readonly random: Random;
  readonly net: Sockets;
  readonly api: ApiTransport;
  readonly signal: AbortSignal;
  readonly readFile: (path: string) => Uint8Array | undefined;
  readonly log: (line: string) => void;
  /** Zones of the server block. */
  readonly zones: readonly string[];
  /** Resolves before the server answers (kubernetes: its caches are filled). */
  readonly waitFor: (ready: Promise<unknown>) => void;
  /** What `ready` asks: all must hold. */
  readonly readiness: (() => boolean)[];
  /** Asks this server block's whole chain, for names that answers point to. */
  readonly lookup: (request: DnsRequest) => Promise<Message>;
}

export interface Plugin<Config = unknown> {
  readonly name: string;
  /** Throws CorefileError. */
  parse(directive: Directive): Config;
  build(config: Config, next: Handler, context: PluginContext): Handler;
}

/** Exists for its types: lets plugins of different configurations stand in one list. */
export const definePlugin = <Config>(plugin: Plugin<Config>): Plugin => plugin as Plugin;

/** The longest of `zones` that `name` lies in (plugin.Zones.Matches). */
export function matchZone(zones: readonly string[], name: string): string | undefined {
  let best: string | undefined;
  for (const zone of zones) {
    const inside = zone === "." || name === zone || name.endsWith(`.${zone}`);
    if (inside && (best === undefined || zone.length > best.length)) best = zone;
  }
  return best;
}
