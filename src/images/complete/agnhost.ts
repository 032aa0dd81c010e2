/** registry.k8s.io/e2e-test-images/agnhost, as far as tests of networks and probes use it: netexec, serve-hostname, liveness, connect, echo-server, pause. */
import type { ProgramContext } from "../../cri/program.ts";
import { resolve } from "../../dns/resolver.ts";
import { httpRequest } from "../../http/client.ts";
import { serveHttp, type HttpServerRequest, type HttpServerResponse } from "../../http/server.ts";
import { stopped, text, utf8 } from "../program.ts";

const plain = (body: string, status = 200): HttpServerResponse => ({ status, reason: status === 200 ? "OK" : status === 404 ? "Not Found" : "Error", headers: [["Content-Type", "text/plain; charset=utf-8"]], body: utf8(body) });

/** `--name=value` and `--name value`. */
function flags(words: readonly string[]): Map<string, string> {
  const out = new Map<string, string>();
  for (let i = 0; i < words.length; i++) {
    const match = /^--?([^=]+)(?:=(.*))?$/.exec(words[i]!);
    if (match === null) continue;
    const next = words[i + 1];
    if (match[2] !== undefined) out.set(match[1]!, match[2]);
    else if (next !== undefined && !next.startsWith("-")) out.set(match[1]!, words[++i]!);
    else out.set(match[1]!, "true");
  }
  return out;
}

const TIMEOUT_MS = 5000;

async function netexec(context: ProgramContext, words: readonly string[]): Promise<number> {
  const { net, signal, hostname, clock, stdout } = context;
  const given = flags(words);
  const httpPort = Number(given.get("http-port") ?? 8080), udpPort = Number(given.get("udp-port") ?? 8081);
  const exit = new AbortController();
  let code = 0;
  signal.addEventListener("abort", () => exit.abort(), { once: true });
  const ask = async (query: URLSearchParams): Promise<HttpServerResponse> => {
    const host = query.get("host") ?? "", port = Number(query.get("port")), command = query.get("request") ?? "hostname", protocol = query.get("protocol") ?? "udp", tries = Number(query.get("tries") ?? 1);
    const responses: string[] = [], errors: string[] = [];
    for (let i = 0; i < tries; i++) {
      const limit = new AbortController();
      const cancel = clock.after(TIMEOUT_MS, () => limit.abort(new Error("i/o timeout")));
      try {
        const [address] = await resolve(context, host, { signal: limit.signal });
        if (protocol === "http") {
          const response = await httpRequest(net, address!, port, { target: `/${command}`, headers: [["Host", `${host}:${port}`], ["User-Agent", "Go-http-client/1.1"]] }, limit.signal);
          responses.push(text(response.body));
        } else {
          const socket = net.udp({ remote: { address: address!, port } });
          try {
            socket.send(utf8(command));
            responses.push(text((await socket.receive(limit.signal)).data));
          } finally {
            socket.close();
          }
        }
      } catch (error) {
        errors.push(error instanceof Error ? error.message : String(error));
      } finally {
        cancel();
      }
    }
    return { ...plain(JSON.stringify({ ...(responses.length === 0 ? {} : { responses }), ...(errors.length === 0 ? {} : { errors }) })), headers: [["Content-Type", "application/json"]] };
  };
  const handler = async (request: HttpServerRequest): Promise<HttpServerResponse> => {
    const [path = "/", search = ""] = request.target.split("?");
    const query = new URLSearchParams(search);
    stdout(`GET ${path}\n`);
    switch (path) {
      case "/": return plain(`NOW: ${new Date(Math.floor(clock.nowMs())).toISOString().replace("T", " ").replace(/\.\d+Z$/, "")} +0000 UTC m=+${(clock.nowNs() / 1e9).toFixed(9)}`);
      case "/hostname": case "/hostName": return plain(hostname);
      case "/clientip": return plain(`${request.remote.address}:${request.remote.port}`);
      case "/echo": return plain(query.get("msg") ?? "", Number(query.get("code") ?? 200));
      case "/header": return plain(request.headers[(query.get("key") ?? "").toLowerCase()] ?? "");
      case "/healthz": return plain("");
      case "/readyz": return plain("");
      case "/dial": return ask(query);
      case "/exit": {
        code = Number(query.get("code") ?? 0);
        clock.after(Number((query.get("wait") ?? query.get("timeout") ?? "0").replace(/s$/, "")) * 1000, () => exit.abort());
        return plain("");
      }
      case "/redirect": return { ...plain("", Number(query.get("code") ?? 302)), headers: [["Location", query.get("location") ?? "/"]] };
      default: return plain("404 page not found\n", 404);
    }
  };
  stdout(`Started HTTP server on port ${httpPort}\n`);
  if (udpPort > 0) {
    const socket = net.udp({ local: { port: udpPort } });
    stdout(`Started UDP server on port  ${udpPort}\n`);
    void (async () => {
      for (;;) {
        const { data, from, to } = await socket.receive(exit.signal);
        const command = text(data).trim();
        const reply = command.startsWith("echo ") ? command.slice(5) : command === "clientip" ? `${from.address}:${from.port}` : command.toLowerCase() === "hostname" ? hostname : undefined;
        if (reply !== undefined) socket.send(utf8(reply), from, to);
      }
    })().catch(() => {});
  }
  await serveHttp({ net, port: httpPort, signal: exit.signal, handler });
  return code;
}

async function serveHostname({ net, signal, hostname, stdout }: ProgramContext, words: readonly string[]): Promise<number> {
  const given = flags(words);
  const port = Number(given.get("port") ?? 9376);
  if (given.get("tcp") === "true") {
    const listener = net.listen({ port });
    signal.addEventListener("abort", () => listener.close(), { once: true });
    for (;;) {
      try {
        const stream = await listener.accept(signal);
        await stream.write(utf8(`${hostname}\n`));
        stream.shutdown();
        stream.close();
      } catch (error) {
        if (signal.aborted) return 0;
        throw error;
      }
    }
  }
  stdout(`Serving on port ${port}.\n`);
  await serveHttp({ net, port, signal, handler: () => plain(hostname) });
  return 0;
}

async function liveness({ net, signal, clock }: ProgramContext): Promise<number> {
  const started = clock.nowMs();
  await serveHttp({
    net, port: 8080, signal,
    handler: ({ target }) => (target !== "/healthz" ? plain("404 page not found\n", 404) : clock.nowMs() - started > 10_000 ? plain(`error: ${((clock.nowMs() - started) / 1000).toFixed(6)}`, 500) : plain("ok")),
  });
  return 0;
}

async function connect(context: ProgramContext, words: readonly string[]): Promise<number> {
  const { net, clock, stderr } = context;
  const given = flags(words.filter((word) => word.startsWith("-")));
  const target = words.find((word) => !word.startsWith("-")) ?? "";
  const colon = target.lastIndexOf(":");
  const limit = new AbortController();
  const seconds = /^([0-9.]+)(ms|s|m)?$/.exec(given.get("timeout") ?? "");
  const cancel = seconds === null ? () => {} : clock.after(Number(seconds[1]) * { ms: 1, s: 1000, m: 60_000 }[(seconds[2] ?? "s") as "s"], () => limit.abort());
  try {
    const [address] = await resolve(context, target.slice(0, colon), { signal: limit.signal });
    const stream = await net.connect({ address: address!, port: Number(target.slice(colon + 1)) }, { signal: limit.signal });
    stream.close();
    return 0;
  } catch (error) {
    const { code, name } = error as { code?: string; name?: string };
    stderr(`${limit.signal.aborted ? "TIMEOUT" : name === "ResolveError" ? "DNS" : code === "ECONNREFUSED" ? "REFUSED" : "OTHER"}\n`);
    return 1;
  } finally {
    cancel();
  }
}

export async function agnhost(context: ProgramContext): Promise<number> {
  const [, command = "", ...words] = context.argv;
  switch (command) {
    case "netexec": return netexec(context, words);
    case "serve-hostname": return serveHostname(context, words);
    case "liveness": return liveness(context);
    case "connect": return connect(context, words);
    case "pause":
      context.stdout("Paused\n");
      await stopped(context.signal);
      return 0;
    case "entrypoint-tester":
      context.stdout(`[/agnhost entrypoint-tester ${words.join(" ")}]\n`);
      return 0;
    default:
      context.stderr(`Error: unknown command "${command}" for "app"\nRun 'app --help' for usage.\n`);
      return 1;
  }
}
