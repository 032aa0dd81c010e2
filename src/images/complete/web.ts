/** The web server images: nginx and httpd. They serve the container's files and log each request. */
import { defineImage, type Image, type ProgramContext } from "../../cri/program.ts";
import { httpDate } from "../../http/message.ts";
import { serveHttp, type HttpServerRequest, type HttpServerResponse } from "../../http/server.ts";
import { loaded } from "../../time/loading.ts";
import { ExecutableNotFound, logTime, utf8 } from "../program.ts";

const page = (title: string, text: string): string => `<!DOCTYPE html>\n<html>\n<head><title>${title}</title></head>\n<body>\n<h1>${title}</h1>\n<p>${text}</p>\n</body>\n</html>\n`;

interface Flavour {
  /** The page at `/` that the image brings. */
  readonly page: string;
  readonly server: string;
  /** Path to the document root. */
  readonly root: string;
  readonly notAllowed: string;
  errorPage(status: number, reason: string): string;
}

export const nginxFlavour: Flavour = {
  page: page("Welcome to nginx!", "This server works; its pages are in /usr/share/nginx/html."),
  server: "nginx/1.27.3", root: "/usr/share/nginx/html", notAllowed: "Not Allowed",
  errorPage: (status, reason) =>
    `<html>\r\n<head><title>${status} ${reason}</title></head>\r\n<body>\r\n<center><h1>${status} ${reason}</h1></center>\r\n<hr><center>nginx/1.27.3</center>\r\n</body>\r\n</html>\r\n`,
};

const httpdFlavour: Flavour = {
  page: "<html><body><h1>It works!</h1></body></html>\n",
  server: "Apache/2.4.62 (Unix)", root: "/usr/local/apache2/htdocs", notAllowed: "Method Not Allowed",
  errorPage: (status, reason) => `<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN">\n<html><head>\n<title>${status} ${reason}</title>\n</head><body>\n<h1>${reason}</h1>\n</body></html>\n`,
};

const TYPES: Readonly<Record<string, string>> = {
  html: "text/html", htm: "text/html", css: "text/css", js: "application/javascript", json: "application/json", txt: "text/plain", xml: "text/xml", svg: "image/svg+xml", png: "image/png",
  jpg: "image/jpeg", gif: "image/gif", ico: "image/x-icon", wasm: "application/wasm",
};

const typeOf = (path: string): string => TYPES[/\.([a-z]+)$/.exec(path)?.[1] ?? ""] ?? "application/octet-stream";

/** Answers with a file below `root`. */
export function serveFile(flavour: Flavour, { fs, clock, hostname }: ProgramContext, request: HttpServerRequest, root = flavour.root, indexes: readonly string[] = ["index.html"]): HttpServerResponse {
  const headers = (type: string): [string, string][] => [["Server", flavour.server], ["Date", httpDate(clock.nowMs())], ["Content-Type", type]];
  const error = (status: number, reason: string): HttpServerResponse => ({ status, reason, headers: headers("text/html"), body: utf8(flavour.errorPage(status, reason)) });
  if (request.method !== "GET" && request.method !== "HEAD") return error(405, flavour.notAllowed);
  let path: string;
  try {
    path = decodeURIComponent(request.target.split("?")[0]!);
  } catch {
    return error(400, "Bad Request");
  }
  if (!path.startsWith("/") || path.split("/").includes("..")) return error(400, "Bad Request");
  const file = root + (path.endsWith("/") ? path + (indexes.find((name) => fs.exists(root + path + name)) ?? indexes[0] ?? "index.html") : path);
  try {
    const status = fs.stat(file);
    if (status.kind === "directory") {
      const to = `http://${request.headers["host"] ?? "localhost"}${path}/`;
      return { ...error(301, "Moved Permanently"), headers: [...headers("text/html"), ["Location", to]] };
    }
    const modified = httpDate(status.modifiedMs);
    if (request.headers["if-modified-since"] === modified) return { status: 304, reason: "Not Modified", headers: headers(typeOf(file)), body: new Uint8Array(0) };
    const bytes = fs.readFile(file);
    // The image's own page names the pod, so that one sees who answers.
    const body = bytes.length === flavour.page.length && fs.readText(file) === flavour.page ? utf8(flavour.page.replace("</h1>", `</h1><p>${hostname}</p>`)) : bytes;
    return { status: 200, reason: "OK", headers: [...headers(typeOf(file)), ["Last-Modified", modified], ["Accept-Ranges", "bytes"]], body };
  } catch (failure) {
    const { code } = failure as { code?: string };
    if (code === undefined) throw failure;
    return path.endsWith("/") && code === "ENOENT" && fs.exists(root + path) ? error(403, "Forbidden") : code === "EACCES" ? error(403, "Forbidden") : error(404, "Not Found");
  }
}

const server = (flavour: Flavour) => async (context: ProgramContext): Promise<number> => {
  await serveHttp({
    net: context.net, port: 80, signal: context.signal,
    handler: (request) => {
      const response = serveFile(flavour, context, request);
      context.stdout(`${request.remote.address} - - [${logTime(context.clock.nowMs())}] "${request.method} ${request.target} ${request.version}" ${response.status} ${response.body.length}\n`);
      return response;
    },
  });
  return 0;
};

const noProgram: Image["run"] = ({ argv }) => Promise.reject(new ExecutableNotFound(argv[0] ?? ""));

/** Version 1.27; serves /usr/share/nginx/html on port 80, unless its configuration says otherwise. */
export const nginx: Image = defineImage({
  name: "nginx:1.27", entrypoint: ["/docker-entrypoint.sh"], cmd: ["nginx", "-g", "daemon off;"], sizeBytes: 72_955_450, env: { NGINX_VERSION: "1.27.3" }, run: noProgram,
  files: {
    "/docker-entrypoint.sh": { text: '#!/bin/sh\nexec "$@"\n', mode: 0o755 },
    "/usr/sbin/nginx": { program: async (context) => (await loaded(import("./nginx.ts"))).nginx(context) },
    "/etc/nginx/nginx.conf": "user nginx;\nworker_processes auto;\npid /run/nginx.pid;\n\nevents {\n  worker_connections 1024;\n}\n\nhttp {\n  default_type application/octet-stream;\n  include /etc/nginx/conf.d/*.conf;\n}\n",
    "/etc/nginx/conf.d/default.conf": "server {\n  listen 80;\n  server_name localhost;\n\n  location / {\n    root /usr/share/nginx/html;\n    index index.html index.htm;\n  }\n}\n",
    "/usr/share/nginx/html/index.html": nginxFlavour.page,
    "/usr/share/nginx/html/50x.html": page("Error", "The page is not available at the moment."),
    "/var/log/nginx": { directory: true }, "/var/cache/nginx": { directory: true },
  },
});

/** Version 2.4; serves /usr/local/apache2/htdocs on port 80. */
export const httpd: Image = defineImage({
  name: "httpd:2.4", entrypoint: [], cmd: ["httpd-foreground"], sizeBytes: 58_730_000, workingDir: "/usr/local/apache2", run: noProgram,
  env: { HTTPD_PREFIX: "/usr/local/apache2", PATH: "/usr/local/apache2/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
  files: {
    "/usr/local/bin/httpd-foreground": { text: '#!/bin/sh\nset -e\nexec httpd -DFOREGROUND "$@"\n', mode: 0o755 },
    "/usr/local/apache2/bin/httpd": { program: server(httpdFlavour) },
    "/usr/local/apache2/htdocs/index.html": httpdFlavour.page,
    "/usr/local/apache2/logs": { directory: true },
  },
});
