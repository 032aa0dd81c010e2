/** The program nginx: serves what its configuration says, as far as nginx-conf.ts reads it. */
import type { ProgramContext } from "../../cri/program.ts";
import { resolve } from "../../dns/resolver.ts";
import { httpRequest } from "../../http/client.ts";
import { serveHttp, type HttpServerRequest, type HttpServerResponse } from "../../http/server.ts";
import { logTime, utf8 } from "../program.ts";
import { ConfFault, locationOf, parseConf, serversOf, type Directive, type NginxServer } from "./nginx-conf.ts";
import { nginxFlavour, serveFile } from "./web.ts";

const REASONS: Readonly<Record<number, string>> = {
  200: "OK", 201: "Created", 204: "No Content", 301: "Moved Permanently", 302: "Moved Temporarily", 303: "See Other", 307: "Temporary Redirect", 308: "Permanent Redirect", 400: "Bad Request", 401: "Unauthorized",
  403: "Forbidden", 404: "Not Found", 405: "Not Allowed", 410: "Gone", 429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Temporarily Unavailable", 504: "Gateway Time-out",
};
/** Headers of one hop (RFC 9110 7.6.1), and those that are made anew. */
const HOP = new Set(["connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "content-length", "host"]);

export async function nginx(context: ProgramContext): Promise<number> {
  const { argv, fs, net, signal, stdout, stderr } = context;
  let file = "/etc/nginx/nginx.conf", testing = false;
  for (let i = 1; i < argv.length; i++) {
    const option = argv[i]!;
    if (option === "-c") file = argv[++i] ?? file;
    else if (option === "-t" || option === "-T") testing = true;
    else if (option === "-v" || option === "-V") {
      stderr("nginx version: nginx/1.27.3\n");
      return 0;
    } else if (option === "-s") {
      stderr("nginx: [error] invalid PID number \"\" in \"/run/nginx.pid\"\n");
      return 1;
    } else if (option === "-g" || option === "-p" || option === "-e") i++;
  }
  const read = (path: string): string => {
    try {
      return fs.readText(path);
    } catch {
      throw new ConfFault(`open() "${path}" failed (2: No such file or directory)`);
    }
  };
  const include = (pattern: string): (readonly [string, string])[] => {
    const full = pattern.startsWith("/") ? pattern : `/etc/nginx/${pattern}`;
    const folder = full.slice(0, full.lastIndexOf("/")), name = full.slice(full.lastIndexOf("/") + 1);
    if (!name.includes("*")) return [[full, read(full)]];
    const fits = new RegExp(`^${name.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&")).join(".*")}$`);
    const names = fs.exists(folder) ? fs.list(folder).filter((one) => fits.test(one) && !one.startsWith(".")).sort() : [];
    return names.map((one) => [`${folder}/${one}`, read(`${folder}/${one}`)] as const);
  };
  let servers: NginxServer[];
  try {
    servers = serversOf(parseConf(read(file), file, include));
  } catch (error) {
    if (!(error instanceof ConfFault)) throw error;
    stderr(`nginx: [emerg] ${error.message}\n${testing ? `nginx: configuration file ${file} test failed\n` : ""}`);
    return 1;
  }
  if (testing) {
    stderr(`nginx: the configuration file ${file} syntax is ok\nnginx: configuration file ${file} test is successful\n`);
    return 0;
  }
  const ports = [...new Set(servers.flatMap((server) => server.ports))];
  await Promise.all(ports.map((port) => serveHttp({
    net, port, signal,
    async handler(request) {
      const response = await answer(context, servers.filter((server) => server.ports.includes(port)), port, request);
      const { headers } = request;
      stdout(`${request.remote.address} - - [${logTime(context.clock.nowMs())}] "${request.method} ${request.target} ${request.version}" ${response.status} ${response.body.length} "${headers["referer"] ?? "-"}" "${headers["user-agent"] ?? "-"}" "${headers["x-forwarded-for"] ?? "-"}"\n`);
      return response;
    },
  })));
  return 0;
}

async function answer(context: ProgramContext, servers: readonly NginxServer[], port: number, request: HttpServerRequest): Promise<HttpServerResponse> {
  const host = (request.headers["host"] ?? "").replace(/:[0-9]+$/, "");
  const server = servers.find(({ names }) => names.includes(host)) ?? servers[0]!;
  const [path = "/", args = ""] = request.target.split("?");
  const location = locationOf(server, path);
  const own = [...(location?.directives ?? []), ...server.directives];
  const find = (name: string): Directive | undefined => own.find((directive) => directive.name === name);
  const variables: Readonly<Record<string, string>> = {
    hostname: context.hostname, host: host === "" ? (server.names[0] ?? "") : host, http_host: request.headers["host"] ?? "", uri: path, document_uri: path, request_uri: request.target, args, query_string: args, is_args: args === "" ? "" : "?",
    remote_addr: request.remote.address, remote_port: String(request.remote.port), request_method: request.method, scheme: "http", server_port: String(port), server_name: server.names[0] ?? "", server_protocol: request.version,
    proxy_host: "", proxy_add_x_forwarded_for: [request.headers["x-forwarded-for"], request.remote.address].filter((one) => one !== undefined).join(", "), nginx_version: "1.27.3", pid: String(context.pid),
  };
  const expand = (text: string): string => text.replace(/\$\{?([a-z_0-9]+)\}?/g, (whole, name: string) => variables[name] ?? (name.startsWith("http_") ? (request.headers[name.slice(5).replaceAll("_", "-")] ?? "") : name.startsWith("arg_") ? (new URLSearchParams(args).get(name.slice(4)) ?? "") : whole));
  const base: [string, string][] = [["Server", nginxFlavour.server]];
  const added = own.filter(({ name }) => name === "add_header").map(({ args: [name = "", value = ""] }) => [name, expand(value)] as [string, string]);
  const page = (status: number): HttpServerResponse => ({ status, reason: REASONS[status] ?? "", headers: [...base, ["Content-Type", "text/html"]], body: utf8(nginxFlavour.errorPage(status, REASONS[status] ?? "")) });

  const returned = find("return");
  if (returned !== undefined) {
    const [first = "200", text] = returned.args;
    const status = /^[0-9]{3}$/.test(first) ? Number(first) : 302;
    const value = expand(text ?? (status === 302 && !/^[0-9]{3}$/.test(first) ? first : ""));
    if (status >= 300 && status < 400) return { ...page(status), headers: [...base, ["Content-Type", "text/html"], ["Location", value], ...added] };
    if (text === undefined && status >= 400) return page(status);
    return { status, reason: REASONS[status] ?? "", headers: [...base, ["Content-Type", find("default_type")?.args[0] ?? "application/octet-stream"], ...added], body: utf8(value) };
  }
  const proxied = find("proxy_pass");
  if (proxied !== undefined) {
    const target = /^http:\/\/([^/:]+)(?::([0-9]+))?(\/.*)?$/.exec(expand(proxied.args[0] ?? ""));
    if (target === null) return page(500);
    const [, upstream = "", text = "80", uri] = target;
    const prefix = location?.how === "prefix" ? location.path : "";
    const to = uri === undefined ? request.target : uri + request.target.slice(prefix.length);
    const set = own.filter(({ name }) => name === "proxy_set_header").map(({ args: [name = "", value = ""] }) => [name, expand(value)] as [string, string]);
    const named = new Set(set.map(([name]) => name.toLowerCase()));
    const headers = [...(named.has("host") ? [] : [["Host", text === "80" ? upstream : `${upstream}:${text}`] as [string, string]]), ...set, ["Connection", "close"] as [string, string],
      ...Object.entries(request.headers).filter(([name]) => !HOP.has(name) && !named.has(name))];
    try {
      const [address] = await resolve(context, upstream);
      const response = await httpRequest(context.net, address!, Number(text), { method: request.method, target: to, headers, ...(request.body.length === 0 ? {} : { body: request.body }) }, context.signal);
      const passed = Object.entries(response.headers).filter(([name]) => !HOP.has(name) && name !== "server");
      return { status: response.status, reason: response.reason, headers: [...base, ...passed, ...added], body: response.body };
    } catch (error) {
      context.stderr(`${context.pid}#${context.pid}: *1 connect() failed while connecting to upstream, client: ${request.remote.address}, server: ${server.names[0] ?? ""}, request: "${request.method} ${request.target} ${request.version}", upstream: "http://${upstream}:${text}${to}": ${error instanceof Error ? error.message : String(error)}\n`);
      return page(502);
    }
  }
  const alias = location?.directives.find(({ name }) => name === "alias");
  const root = alias?.args[0] ?? find("root")?.args[0] ?? "/etc/nginx/html";
  const inside = alias === undefined ? request : { ...request, target: `/${request.target.slice(location!.path.length)}`.replace(/^\/+/, "/") };
  const response = serveFile(nginxFlavour, context, inside, root.replace(/\/+$/, ""), find("index")?.args);
  const tried = find("try_files")?.args;
  if (response.status === 404 && tried !== undefined) {
    const last = tried.at(-1)!;
    if (last.startsWith("=")) return page(Number(last.slice(1)));
    return serveFile(nginxFlavour, context, { ...request, target: expand(last) }, root, find("index")?.args);
  }
  return response.status < 400 ? { ...response, headers: [...response.headers, ...added] } : response;
}
