/** `curl`: one HTTP request, with the options and exit codes of curl(1) that scripts use. */
import { defineImage, type Image, type ProgramContext } from "../cri/program.ts";
import { resolve } from "../dns/resolver.ts";
import { httpRequest, parseHttpUrl, type HttpResponse, type HttpUrl } from "../http/client.ts";
import { HttpError } from "../http/message.ts";
import { busyboxPrograms } from "./busybox.ts";
import { dispatch, text, utf8 } from "./program.ts";

const VERSION = "8.11.1";

/** Exit codes of curl(1). */
const EXIT = { usage: 2, protocol: 1, malformed: 3, resolve: 6, connect: 7, httpError: 22, timeout: 28, empty: 52, receive: 56 } as const;

interface Options {
  readonly urls: string[];
  readonly headers: [string, string][];
  method?: string;
  data?: string;
  silent: boolean;
  showError: boolean;
  include: boolean;
  head: boolean;
  verbose: boolean;
  fail: boolean;
  output?: string;
  writeOut?: string;
  maxTimeMs?: number;
  connectTimeoutMs?: number;
}

class CurlError extends Error {
  readonly exit: number;
  constructor(exit: number, message: string) {
    super(message);
    this.exit = exit;
  }
}

export async function curl(context: ProgramContext): Promise<number> {
  let options: Options | undefined;
  try {
    options = parseArgs(context.argv.slice(1));
    for (const url of options.urls) await transfer(context, options, url);
    return 0;
  } catch (error) {
    if (!(error instanceof CurlError)) throw error;
    if (options === undefined || !options.silent || options.showError) context.stderr(`curl: (${error.exit}) ${error.message}\n`);
    return error.exit;
  }
}

function parseArgs(args: readonly string[]): Options {
  const options: Options = { urls: [], headers: [], silent: false, showError: false, include: false, head: false, verbose: false, fail: false };
  const short: Readonly<Record<string, string>> = {
    s: "silent", S: "show-error", i: "include", I: "head", v: "verbose", f: "fail", o: "output", w: "write-out", m: "max-time",
    X: "request", H: "header", d: "data", L: "location", k: "insecure", g: "globoff", "4": "ipv4", A: "user-agent",
  };
  const queue = [...args];
  const apply = (name: string, value: () => string): void => {
    const seconds = (): number => {
      const given = value();
      if (!/^[0-9]+(\.[0-9]+)?$/.test(given)) throw new CurlError(EXIT.usage, `option --${name}: expected a proper numerical parameter`);
      return Number(given) * 1000;
    };
    switch (name) {
      case "silent": options.silent = true; break;
      case "show-error": options.showError = true; break;
      case "include": options.include = true; break;
      case "head": options.head = true; break;
      case "verbose": options.verbose = true; break;
      case "fail": options.fail = true; break;
      case "location": case "insecure": case "globoff": case "ipv4": case "no-progress-meter": break;
      case "output": options.output = value(); break;
      case "write-out": options.writeOut = value(); break;
      case "max-time": options.maxTimeMs = seconds(); break;
      case "connect-timeout": options.connectTimeoutMs = seconds(); break;
      case "request": options.method = value(); break;
      case "data": options.data = value(); break;
      case "url": options.urls.push(value()); break;
      case "user-agent": options.headers.push(["User-Agent", value()]); break;
      case "header": {
        const given = value(), colon = given.indexOf(":");
        if (colon > 0) options.headers.push([given.slice(0, colon), given.slice(colon + 1).trim()]);
        break;
      }
      default: throw new CurlError(EXIT.usage, `option --${name}: is unknown`);
    }
  };
  for (let arg = queue.shift(); arg !== undefined; arg = queue.shift()) {
    const value = (): string => {
      const given = queue.shift();
      if (given === undefined) throw new CurlError(EXIT.usage, `option ${arg}: requires parameter`);
      return given;
    };
    if (arg.startsWith("--")) apply(arg.slice(2), value);
    else if (arg.startsWith("-") && arg.length > 1) {
      for (let i = 1; i < arg.length; i++) {
        const name = short[arg[i]!];
        if (name === undefined) throw new CurlError(EXIT.usage, `option ${arg}: is unknown`);
        const rest = arg.slice(i + 1);
        let taken = false;
        apply(name, () => {
          taken = rest !== "";
          return taken ? rest : value();
        });
        if (taken) break;
      }
    } else options.urls.push(arg);
  }
  if (options.urls.length === 0) throw new CurlError(EXIT.usage, "no URL specified");
  return options;
}

async function transfer(context: ProgramContext, options: Options, urlText: string): Promise<void> {
  const url = parseHttpUrl(urlText);
  if (url === undefined) {
    const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(urlText)?.[1];
    if (scheme !== undefined && scheme.toLowerCase() !== "http") throw new CurlError(EXIT.protocol, `Protocol "${scheme}" not supported`);
    throw new CurlError(EXIT.malformed, "URL rejected: Malformed input to a URL function");
  }
  const startedNs = context.clock.nowNs();
  const sinceMs = (): number => Math.floor((context.clock.nowNs() - startedNs) / 1e6);
  const limit = new AbortController();
  const cancels = [options.maxTimeMs, options.connectTimeoutMs].map((ms) => (ms === undefined ? undefined : context.clock.after(ms, () => limit.abort())));
  const onStop = (): void => limit.abort();
  context.signal.addEventListener("abort", onStop, { once: true });
  try {
    const note = (line: string): void => { if (options.verbose) context.stderr(`* ${line}\n`); };
    const addresses = await resolve(context, url.host, { signal: limit.signal }).catch(() => {
      if (limit.signal.aborted) throw new CurlError(EXIT.timeout, `Resolving timed out after ${sinceMs()} milliseconds`);
      throw new CurlError(EXIT.resolve, `Could not resolve host: ${url.host}`);
    });
    if (options.verbose && addresses[0] !== url.host) note(`Host ${url.host}:${url.port} was resolved.`);
    const response = await tryAddresses(context, options, url, addresses, limit.signal, sinceMs, note);
    print(context, options, response, sinceMs());
    if (options.fail && response.status >= 400) throw new CurlError(EXIT.httpError, `The requested URL returned error: ${response.status}`);
  } finally {
    for (const cancel of cancels) cancel?.();
    context.signal.removeEventListener("abort", onStop);
  }
}

async function tryAddresses(
  context: ProgramContext, options: Options, url: HttpUrl, addresses: readonly string[], signal: AbortSignal,
  sinceMs: () => number, note: (line: string) => void,
): Promise<HttpResponse> {
  const host = url.port === 80 ? url.host : `${url.host}:${url.port}`;
  const own = new Set(options.headers.map(([name]) => name.toLowerCase()));
  const headers: (readonly [string, string])[] = [
    ["Host", host], ["User-Agent", `curl/${VERSION}`], ["Accept", "*/*"],
  ].filter(([name]) => !own.has(name!.toLowerCase())) as [string, string][];
  headers.push(...options.headers);
  if (options.data !== undefined && !own.has("content-type")) headers.push(["Content-Type", "application/x-www-form-urlencoded"]);
  const method = options.method ?? (options.head ? "HEAD" : options.data === undefined ? "GET" : "POST");
  if (options.verbose) context.stderr(`> ${method} ${url.target} HTTP/1.1\n${headers.map(([n, v]) => `> ${n}: ${v}\n`).join("")}>\n`);
  for (let i = 0; ; i++) {
    note(`  Trying ${addresses[i]}:${url.port}...`);
    try {
      return await httpRequest(context.net, addresses[i]!, url.port, {
        method, target: url.target, headers, ...(options.data === undefined ? {} : { body: utf8(options.data) }),
      }, signal);
    } catch (error) {
      if (signal.aborted) throw new CurlError(EXIT.timeout, `Connection timed out after ${sinceMs()} milliseconds`);
      if (error instanceof HttpError) {
        throw new CurlError(error.message === "EOF" ? EXIT.empty : EXIT.receive, error.message === "EOF" ? "Empty reply from server" : "Recv failure: Connection reset by peer");
      }
      const code = (error as { code?: string }).code;
      if (code === "ECONNRESET") throw new CurlError(EXIT.receive, "Recv failure: Connection reset by peer");
      if (i + 1 < addresses.length) continue;
      throw new CurlError(EXIT.connect, `Failed to connect to ${url.host} port ${url.port} after ${sinceMs()} ms: Could not connect to server`);
    }
  }
}

function print(context: ProgramContext, options: Options, response: HttpResponse, totalMs: number): void {
  const head = `${response.version} ${response.status}${response.reason === "" ? "" : ` ${response.reason}`}\r\n` +
    `${Object.entries(response.headers).map(([name, value]) => `${name.replace(/(^|-)[a-z]/g, (c) => c.toUpperCase())}: ${value}\r\n`).join("")}\r\n`;
  if (options.verbose) context.stderr(head.replace(/\r\n/g, "\n").split("\n").slice(0, -1).map((line) => `< ${line}\n`).join(""));
  let out = options.include || options.head ? head : "";
  if (!(options.fail && response.status >= 400)) out += text(response.body);
  if (options.output === undefined && out !== "") context.stdout(out);
  if (options.writeOut !== undefined) {
    context.stdout(options.writeOut.replace(/\\n/g, "\n").replace(/\\t/g, "\t").replace(/%\{(\w+)\}/g, (whole, name: string) => {
      switch (name) {
        case "http_code": case "response_code": return String(response.status).padStart(3, "0");
        case "size_download": return String(response.body.length);
        case "time_total": return (totalMs / 1000).toFixed(6);
        default: return whole;
      }
    }));
  }
}

export const curlImage: Image = defineImage({
  name: `curlimages/curl:${VERSION}`, entrypoint: ["/entrypoint.sh"], cmd: ["curl"],
  run: dispatch({ ...busyboxPrograms, curl, "entrypoint.sh": (context) => entrypoint(context) }),
});

/** The image's entrypoint: runs curl unless another program is named. */
function entrypoint(context: ProgramContext): Promise<number> {
  const [first, ...rest] = context.argv.slice(1);
  const argv = first === undefined || first.startsWith("-") || (first !== "curl" && !Object.hasOwn(busyboxPrograms, first))
    ? ["curl", ...context.argv.slice(1)] : [first, ...rest];
  return dispatch({ ...busyboxPrograms, curl })({ ...context, argv });
}
