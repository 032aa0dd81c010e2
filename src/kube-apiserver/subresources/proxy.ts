/**
 * pods/NAME/proxy/PATH and services/NAME/proxy/PATH: HTTP through the API server. Follows pkg/registry/core/pod/strategy.go and
 * pkg/registry/core/service/storage/storage.go (ResourceLocation), k8s.io/apimachinery/pkg/util/proxy (upgradeaware.go, transport.go). A pod
 * is reached as forwarded ports are, through its kubelet; TLS is not spoken to pods.
 */
import type { Endpoints } from "../../api/types.generated.ts";
import type { Pod, Service } from "../../api/types.generated.ts";
import { failure, newBadRequest, newNotFound } from "../../apimachinery/status.ts";
import type { ApiError } from "../../apimachinery/status.ts";
import type { KubeObject } from "../../apimachinery/meta.ts";
import type { ApiResponse } from "../../client/transport.ts";
import { encodeHead, HttpError, readBody, readHeaders, StreamReader } from "../../http/message.ts";
import type { Headers } from "../../http/message.ts";
import type { Answering } from "../extension.ts";
import { hostOf, openStream } from "./streaming.ts";

type StoredPod = Pod & KubeObject;

interface Location {
  readonly pod: StoredPod;
  readonly ip: string;
  readonly port: number;
}

const PLACE = /^(\/api\/v1\/namespaces\/[^/]+\/(?:pods|services)\/[^/]+\/proxy)([^?]*)(\?.*)?$/;
const unavailable = (message: string): ApiError => failure(503, "ServiceUnavailable", message);
const unreachable = (why: string): ApiError => unavailable(`error trying to reach service: ${why}`);

/** Any verb to a proxy. */
export async function proxy(answering: Answering): Promise<ApiResponse> {
  const { info, request } = answering;
  const [, prefix = "", path = "", query = ""] = PLACE.exec(request.path) ?? [];
  const { resource } = info.descriptor.name;
  const [scheme, name, port] = split(info.name, resource.slice(0, -1));
  const location = await (resource === "pods" ? ofPod(answering, name, port) : ofService(answering, info.name, name, port));
  const method: string = request.method;
  // An empty path is the root, which relative links need to see.
  if (path === "" && (method === "GET" || method === "HEAD")) return { status: 301, headers: { location: `${prefix}/${query}` }, body: new Uint8Array() };
  if (scheme === "https") throw unreachable("http: server gave HTTP response to HTTPS client");
  return exchange(answering, location, { method, prefix, path: path === "" ? "/" : path, query });
}

/** `[scheme:]name[:port]`. Follows SplitSchemeNamePort. */
function split(id: string, of: string): readonly [scheme: string, name: string, port: string] {
  const parts = id.split(":");
  const [scheme, name, port] = parts.length === 3 ? parts : ["", parts[0], parts[1] ?? ""];
  if (parts.length > 3 || (name ?? "") === "" || !["", "http", "https"].includes(scheme!)) throw newBadRequest(`invalid ${of} request ${JSON.stringify(id)}`);
  return [scheme!, name!, port!];
}

async function ofPod({ info, find }: Answering, name: string, asked: string): Promise<Location> {
  const pod = (await find("pods", info.namespace, name)) as StoredPod | undefined;
  if (pod === undefined) throw newNotFound({ group: "", resource: "pods" }, name);
  const port = asked !== "" ? asked : pod.spec.containers.find(({ ports }) => (ports ?? []).length > 0)?.ports?.[0]?.containerPort ?? 80;
  const ip = pod.status.podIP ?? "";
  if (ip === "") throw newBadRequest("address not allowed");
  if (!/^\d{1,5}$/.test(String(port))) throw unreachable(`dial tcp: lookup tcp/${port}: unknown port`);
  return { pod, ip, port: Number(port) };
}

async function ofService({ info, find, random }: Answering, id: string, name: string, asked: string): Promise<Location> {
  const { namespace } = info;
  let portName = asked;
  const missing = newNotFound({ group: "", resource: "services" }, name);
  if (/^[+-]?\d+$/.test(asked)) {
    const service = (await find("services", namespace, name)) as (Service & KubeObject) | undefined;
    if (service === undefined) throw missing;
    const declared = (service.spec.ports ?? []).find(({ port }) => port === Number(asked));
    if (declared === undefined) throw unavailable(`no service port ${Number(asked)} found for service ${JSON.stringify(name)}`);
    portName = declared.name ?? "";
  }
  const endpoints = (await find("endpoints", namespace, name)) as (Endpoints & KubeObject) | undefined;
  if (endpoints === undefined) throw missing;
  const subsets = endpoints.subsets ?? [];
  if (subsets.length === 0) throw unavailable(`no endpoints available for service ${JSON.stringify(name)}`);
  const first = random.below(subsets.length);
  for (let i = 0; i < subsets.length; i++) {
    const { addresses = [], ports = [] } = subsets[(first + i) % subsets.length]!;
    const port = ports.find((one) => (one.name ?? "") === portName);
    if (addresses.length === 0 || port === undefined) continue;
    const start = random.below(addresses.length);
    for (let j = 0; j < addresses.length; j++) {
      const { ip, targetRef } = addresses[(start + j) % addresses.length]!;
      // Only what runs in a pod of that address is reached.
      if (targetRef?.kind !== "Pod") continue;
      const pod = (await find("pods", targetRef.namespace ?? namespace, targetRef.name ?? "")) as StoredPod | undefined;
      if (pod !== undefined && (pod.status.podIPs ?? []).some((one) => one.ip === ip)) return { pod, ip, port: port.port };
    }
  }
  throw unavailable(`no endpoints available for service ${JSON.stringify(id)}`);
}

/** Headers that are between two parties only, and what is not passed on of the client's identity. */
const NOT_PASSED = /^(?:connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|content-length|authorization|impersonate-.*|:.*)$/;
const NOT_ANSWERED = /^(?:connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|access-control-allow-.*|access-control-expose-headers|access-control-max-age)$/;

interface Asked {
  readonly method: string;
  readonly prefix: string;
  readonly path: string;
  readonly query: string;
}

async function exchange(answering: Answering, { pod, ip, port }: Location, asked: Asked): Promise<ApiResponse> {
  const { request, signal } = answering;
  const { method, prefix, path, query } = asked;
  const chunks: Uint8Array[] = [];
  let ended: { error?: string } | undefined;
  let wake: () => void = () => {};
  const stream = openStream(answering, hostOf(pod), { kind: "portforward", namespace: pod.metadata.namespace!, pod: pod.metadata.name, port }, {
    data(_, bytes) {
      chunks.push(bytes);
      wake();
    },
    end(end) {
      ended = end;
      wake();
    },
  });
  const gone = (): void => {
    ended ??= {};
    stream.abort();
    wake();
  };
  signal?.addEventListener("abort", gone, { once: true });
  const done = (): void => {
    signal?.removeEventListener("abort", gone);
    stream.abort();
  };
  const reader = new StreamReader({
    async read() {
      while (chunks.length === 0 && ended === undefined) await new Promise<void>((resolve) => (wake = resolve));
      return chunks.shift();
    },
  });
  const sent = request.body instanceof Uint8Array ? request.body : new Uint8Array();
  const fields = Object.entries(request.headers ?? {}).filter(([name]) => !NOT_PASSED.test(name) && name !== "host");
  stream.write(encodeHead(`${method} ${path}${query} HTTP/1.1`, [
    ["Host", request.headers?.["host"] ?? `${ip}:${port}`], ...fields, ...(sent.length > 0 || method === "POST" || method === "PUT" ? [["Content-Length", String(sent.length)] as [string, string]] : []),
    ["X-Forwarded-Uri", `${prefix}${path}`],
  ]));
  if (sent.length > 0) stream.write(sent);
  let passed = false;
  try {
    let line: string | undefined;
    let headers: Headers;
    let status: number;
    do {
      line = await reader.line();
      if (line === undefined) throw unreachable(ended?.error === undefined ? "EOF" : `dial tcp ${ip}:${port}: ${/dial tcp4 [^ ]+: (.*)$/.exec(ended.error)?.[1] ?? ended.error}`);
      const match = /^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(line);
      if (match === null) throw unreachable(`net/http: HTTP/1.x transport connection broken: malformed HTTP response ${JSON.stringify(line)}`);
      status = Number(match[1]);
      headers = await readHeaders(reader);
    } while (status < 200);
    const out: Record<string, string> = {};
    for (const [name, value] of Object.entries(headers)) if (!NOT_ANSWERED.test(name)) out[name] = value;
    const host = request.headers?.["host"] ?? "";
    if (out["location"] !== undefined) out["location"] = rewritten(out["location"], prefix, `${ip}:${port}`, host);
    const empty = method === "HEAD" || status === 204 || status === 304;
    if (empty) return { status, headers: out, body: new Uint8Array() };
    const html = out["location"] === undefined && (out["content-type"] ?? "").split(";")[0]!.trim() === "text/html";
    if (/\bchunked\b/i.test(headers["transfer-encoding"] ?? "") && !html) {
      passed = true;
      return { status, headers: out, bytes: chunked(reader, done) };
    }
    const body = await readBody(reader, headers, true);
    if (!html || out["content-encoding"] !== undefined) return { status, headers: out, body };
    const page = new TextEncoder().encode(rewrittenPage(new TextDecoder().decode(body), prefix, `${ip}:${port}`, host));
    return { status, headers: { ...out, "content-length": String(page.length) }, body: page };
  } catch (e) {
    throw e instanceof HttpError ? unreachable(`net/http: HTTP/1.x transport connection broken: ${e.message}`) : e;
  } finally {
    if (!passed) done();
  }
}

/** A body that comes in chunks, as it comes. */
async function* chunked(reader: StreamReader, done: () => void): AsyncGenerator<Uint8Array> {
  try {
    for (;;) {
      const size = parseInt((await reader.line()) ?? "0", 16);
      if (!(size > 0)) return;
      yield await reader.bytes(size);
      await reader.line();
    }
  } finally {
    done();
  }
}

/** An address in an answer, as it is from outside. Follows Transport.rewriteURL. */
function rewritten(url: string, prefix: string, host: string, asked: string): string {
  const match = /^([a-z][a-z0-9+.-]*:)?(?:\/\/([^/?#]*))?([^?#]*)(.*)$/is.exec(url);
  if (match === null) return url;
  const [, scheme = "", authority = "", path = "", rest = ""] = match;
  if ((authority !== "" && authority !== host && authority !== asked) || !path.startsWith("/")) return url;
  const kept = authority !== "" && authority === asked ? `${scheme}//${authority}` : "";
  return path.startsWith(prefix) ? `${kept}${path}${rest}` : `${kept}${prefix}${path}${rest}`;
}

/** Attributes that hold addresses, by tag. */
const LINKS: Readonly<Record<string, readonly string[]>> = {
  a: ["href"], applet: ["codebase"], area: ["href"], audio: ["src"], base: ["href"], blockquote: ["cite"], body: ["background"], button: ["formaction"], command: ["icon"],
  del: ["cite"], embed: ["src"], form: ["action"], frame: ["longdesc", "src"], head: ["profile"], html: ["manifest"], iframe: ["longdesc", "src"],
  img: ["longdesc", "src", "usemap"], input: ["src", "usemap", "formaction"], ins: ["cite"], link: ["href"], object: ["classid", "codebase", "data", "usemap"], q: ["cite"],
  script: ["src"], source: ["src"], video: ["poster", "src"],
};

const rewrittenPage = (page: string, prefix: string, host: string, asked: string): string =>
  page.replace(/<([a-z]+)(\s[^>]*)>/gi, (tag, name: string, attributes: string) => {
    const links = LINKS[name.toLowerCase()];
    if (links === undefined) return tag;
    const next = attributes.replace(/([a-z]+)(\s*=\s*)(?:"([^"]*)"|'([^']*)')/gi, (all, attribute: string, equals: string, double: string | undefined, single: string | undefined) =>
      links.includes(attribute.toLowerCase()) ? `${attribute}${equals}"${rewritten(double ?? single ?? "", prefix, host, asked)}"` : all as string);
    return `<${name}${next}>`;
  });
