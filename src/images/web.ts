/** The web server images: nginx and httpd. They answer `/` with a page that names the pod, and 404 otherwise. */
import { defineImage, type Image, type ProgramContext } from "../cri/program.ts";
import { httpDate } from "../http/message.ts";
import { serveHttp, type HttpServerRequest, type HttpServerResponse } from "../http/server.ts";
import { busyboxPrograms } from "./busybox.ts";
import { dispatch, logTime, utf8 } from "./program.ts";

interface Flavour {
  readonly server: string;
  /** Path to the document root. */
  readonly root: string;
  readonly title: string;
  errorPage(status: number, reason: string): string;
}

const nginxFlavour: Flavour = {
  server: "nginx/1.27.3", root: "/usr/share/nginx/html", title: "Welcome to nginx!",
  errorPage: (status, reason) =>
    `<html>\r\n<head><title>${status} ${reason}</title></head>\r\n<body>\r\n<center><h1>${status} ${reason}</h1></center>\r\n` +
    "<hr><center>nginx/1.27.3</center>\r\n</body>\r\n</html>\r\n",
};

const httpdFlavour: Flavour = {
  server: "Apache/2.4.62 (Unix)", root: "/usr/local/apache2/htdocs", title: "It works!",
  errorPage: (status, reason) =>
    `<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN">\n<html><head>\n<title>${status} ${reason}</title>\n</head><body>\n` +
    `<h1>${reason}</h1>\n</body></html>\n`,
};

/** Serves files below the document root (mounted ones first), the pod's own page at `/`. */
function answer(flavour: Flavour, context: ProgramContext, request: HttpServerRequest): HttpServerResponse {
  const headers = (type: string): (readonly [string, string])[] => [
    ["Server", flavour.server], ["Date", httpDate(context.clock.nowMs())], ["Content-Type", type],
  ];
  const error = (status: number, reason: string): HttpServerResponse =>
    ({ status, reason, headers: headers("text/html"), body: utf8(flavour.errorPage(status, reason)) });
  if (request.method !== "GET" && request.method !== "HEAD") return error(405, flavour === nginxFlavour ? "Not Allowed" : "Method Not Allowed");
  const path = request.target.split("?")[0]!;
  if (!path.startsWith("/") || path.split("/").includes("..")) return error(400, "Bad Request");
  const index = path.endsWith("/") ? `${path}index.html` : path;
  const file = context.readFile(flavour.root + index);
  if (file !== undefined) {
    return { status: 200, reason: "OK", headers: headers(index.endsWith(".html") ? "text/html" : "text/plain"), body: file };
  }
  if (index !== "/index.html") return error(404, "Not Found");
  return {
    status: 200, reason: "OK", headers: headers("text/html"),
    body: utf8(`<html><head><title>${flavour.title}</title></head><body><h1>${flavour.title}</h1><p>${context.hostname}</p></body></html>\n`),
  };
}

const server = (flavour: Flavour) => async (context: ProgramContext): Promise<number> => {
  await serveHttp({
    net: context.net, port: 80, signal: context.signal,
    handler: (request) => {
      const response = answer(flavour, context, request);
      context.stdout(
        `${request.remote.address} - - [${logTime(context.clock.nowMs())}] "${request.method} ${request.target} ${request.version}" ` +
        `${response.status} ${response.body.length} "-" "${request.headers["user-agent"] ?? "-"}" "-"\n`,
      );
      return response;
    },
  });
  return 0;
};

/** Version 1.27; serves /usr/share/nginx/html on port 80. */
export const nginx: Image = defineImage({
  name: "nginx:1.27", entrypoint: ["/docker-entrypoint.sh"], cmd: ["nginx", "-g", "daemon off;"],
  run: dispatch({ ...busyboxPrograms, nginx: server(nginxFlavour), "docker-entrypoint.sh": server(nginxFlavour) }),
});

/** Version 2.4; serves /usr/local/apache2/htdocs on port 80. */
export const httpd: Image = defineImage({
  name: "httpd:2.4", entrypoint: ["httpd-foreground"],
  run: dispatch({ ...busyboxPrograms, httpd: server(httpdFlavour), "httpd-foreground": server(httpdFlavour) }),
});
