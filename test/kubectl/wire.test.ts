/** The bytes: what curl and openssl see of a server. */
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { connect as connectTls } from "node:tls";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startServer, TOKEN, type UpServer } from "./server.ts";

let server: UpServer;
let ca: string;

beforeAll(async () => {
  server = await startServer({ nodes: 0, controllers: "none" });
  ca = join(server.folder, "ca.crt");
  writeFileSync(ca, server.ca);
}, 60_000);
afterAll(() => server.stop(), 60_000);

const AUTHORIZED = ["-H", `Authorization: Bearer ${TOKEN}`];

interface Answered {
  readonly first: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly names: readonly string[];
  readonly body: Buffer;
}

/** `curl -i`; names of headers as they were sent, and in lower case as keys. */
function curl(path: string, ...args: string[]): Promise<Answered> {
  return new Promise((resolve, reject) => {
    execFile("curl", ["-s", "-i", "--cacert", ca, ...(args.some((arg) => arg.startsWith("Authorization:")) ? [] : AUTHORIZED), ...args, `${server.url}${path}`], { encoding: "buffer", maxBuffer: 1 << 26 }, (error, stdout) => {
      if (error !== null) {
        reject(error);
        return;
      }
      let at = 0;
      // "100 Continue" comes before.
      while (stdout.subarray(at, at + 12).toString().endsWith(" 100")) at = stdout.indexOf("\r\n\r\n", at) + 4;
      const end = stdout.indexOf("\r\n\r\n", at);
      const [first = "", ...lines] = stdout.subarray(at, end).toString().split("\r\n");
      const pairs = lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)] as const);
      resolve({ first, headers: Object.fromEntries(pairs.map(([name, value]) => [name.toLowerCase(), value])), names: pairs.map(([name]) => name), body: stdout.subarray(end + 4) });
    });
  });
}

describe.each(["--http1.1", "--http2"])("by %s", (version) => {
  test("an object: headers of every answer", async () => {
    const { first, headers, names, body } = await curl("/api/v1/namespaces/default", version);
    expect(first).toBe(version === "--http2" ? "HTTP/2 200 " : "HTTP/1.1 200 OK");
    expect(headers).toMatchObject({
      "audit-id": expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/) as string, "cache-control": "no-cache, private", "content-type": "application/json",
      "content-length": String(body.length), date: expect.stringMatching(/GMT$/) as string,
    });
    const uid = async (path: string): Promise<string> => (JSON.parse((await curl(`/apis/flowcontrol.apiserver.k8s.io/v1/${path}`)).body.toString()) as { metadata: { uid: string } }).metadata.uid;
    expect(headers["x-kubernetes-pf-flowschema-uid"]).toBe(await uid("flowschemas/exempt"));
    expect(headers["x-kubernetes-pf-prioritylevel-uid"]).toBe(await uid("prioritylevelconfigurations/exempt"));
    if (version === "--http1.1") {
      expect(names).toContain("X-Kubernetes-Pf-Flowschema-Uid");
      expect(names).not.toContain("Connection");
    }
    // For eyes: with blanks, and no line break after it.
    expect(body.toString()).toMatch(/^\{\n {2}"kind": "Namespace",\n {2}"apiVersion": "v1",\n[^]*\}$/);
  });

  test("JSON as programs get it; pretty as it is asked for", async () => {
    expect((await curl("/api/v1/namespaces/default", version, "-A", "robot")).body.toString()).toMatch(/^\{"kind":"Namespace",[^\n]*\}\n$/);
    expect((await curl("/api/v1/namespaces/default?pretty=true", version, "-A", "robot")).body.toString()).toMatch(/^\{\n {2}"kind"/);
    expect((await curl("/api/v1/namespaces/default?pretty=false", version)).body.toString()).toMatch(/^\{"kind"/);
  });

  test("errors", async () => {
    const missing = await curl("/api/v1/namespaces/nosuch", version, "-A", "robot");
    expect(missing.first).toContain("404");
    expect(missing.headers["content-type"]).toBe("application/json");
    const unknown = await curl("/nosuch", version);
    expect(unknown).toMatchObject({ first: expect.stringContaining("404") as string, headers: { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" } });
    expect(unknown.body.toString()).toBe("404 page not found\n");
    const verb = await curl("/api/v1/namespaces", version, "-X", "PUT", "-d", "{}", "-H", "Content-Type: application/json");
    expect(verb.first).toContain("405");
    const odd = await curl("/api/v1/namespaces", version, "-X", "PROPFIND");
    expect(odd.first).toContain("405");
    const wrong = await curl("/api/v1/namespaces", version, "-H", "Authorization: Bearer x");
    expect(wrong).toMatchObject({ first: expect.stringContaining("401") as string });
    expect(wrong.headers["x-kubernetes-pf-flowschema-uid"]).toBeUndefined();
    expect((await curl("/api/v1/namespaces", version, "-H", "Accept: text/html")).first).toContain("406");
    expect((await curl("/api/v1/namespaces", version, "-d", "x", "-H", "Content-Type: text/html")).first).toContain("415");
    expect((await curl("/api/v1/namespaces", version, "-d", "{", "-H", "Content-Type: application/json")).first).toContain("400");
  });

  test("a body that is too large", async () => {
    const file = join(server.folder, "large");
    writeFileSync(file, Buffer.alloc(4_000_000, "a"));
    const { first, body } = await curl("/api/v1/namespaces", version, "-A", "robot", "-H", "Content-Type: application/json", "--data-binary", `@${file}`);
    expect(first).toMatch(version === "--http2" ? /^HTTP\/2 413/ : /^HTTP\/1\.1 413 Request Entity Too Large$/);
    expect(JSON.parse(body.toString())).toMatchObject({ reason: "RequestEntityTooLarge", message: "Request entity too large: limit is 3145728" });
  });

  test("large answers are compressed for who takes that, small ones are not", async () => {
    const plain = await curl("/openapi/v2", version, "-A", "robot");
    expect(plain.headers["content-encoding"]).toBeUndefined();
    const zipped = await curl("/openapi/v2", version, "-A", "robot", "-H", "Accept-Encoding: br, gzip");
    expect(zipped.headers).toMatchObject({ "content-encoding": "gzip", vary: expect.stringContaining("Accept-Encoding") as string });
    expect(gunzipSync(zipped.body).equals(plain.body)).toBe(true);
    expect((await curl("/version", version, "-H", "Accept-Encoding: gzip")).headers["content-encoding"]).toBeUndefined();
  });

  test("a watch comes in pieces as things happen, and is one line per event", async () => {
    const { headers, body } = await curl("/api/v1/namespaces?watch=true&timeoutSeconds=1&fieldSelector=metadata.name=default", version);
    expect(headers).toMatchObject({ "content-type": "application/json" });
    expect(headers["content-length"]).toBeUndefined();
    if (version === "--http1.1") expect(headers["transfer-encoding"]).toBe("chunked");
    expect(body.toString()).toMatch(/^\{"type":"ADDED","object":\{"kind":"Namespace"[^\n]*\}\n$/);
  });

  test("ETags: discovery is sent once", async () => {
    const accept = ["-H", "Accept: application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"];
    const { headers } = await curl("/apis", version, ...accept);
    expect(headers["etag"]).toMatch(/^"[0-9A-F]{128}"$/);
    const again = await curl("/apis", version, ...accept, "-H", `If-None-Match: ${headers["etag"]}`);
    expect(again.first).toContain("304");
    expect(again.body.length).toBe(0);
  });

  test("warnings, one header each", async () => {
    const { headers } = await curl("/api/v1/namespaces/default/configmaps?dryRun=All", version, "-d", '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"strange":1}', "-H", "Content-Type: application/json");
    expect(headers["warning"]).toBe('299 - "unknown field \\"strange\\""');
  });

  test("an audit id of one's own comes back", async () => {
    expect((await curl("/version", version, "-H", "Audit-Id: mine")).headers["audit-id"]).toBe("mine");
  });
});

test("openssl verifies the certificate; HTTP/2 is offered", async () => {
  const said = await new Promise<string>((resolve) => {
    const child = execFile("openssl", ["s_client", "-connect", server.url.slice("https://".length), "-CAfile", ca, "-verify_ip", "127.0.0.1", "-alpn", "h2,http/1.1"], (_, stdout) => resolve(stdout));
    child.stdin!.end();
  });
  expect(said).toMatch(/Verification: OK/);
  expect(said).toMatch(/ALPN protocol: h2/);
});

/** A client that does what it likes, on a connection of its own. */
function raw(text: string): ReturnType<typeof connectTls> {
  const { hostname, port } = new URL(server.url);
  const socket = connectTls({ host: hostname, port: Number(port), ca: server.ca, ALPNProtocols: ["http/1.1"] });
  socket.on("error", () => {});
  socket.on("secureConnect", () => void socket.write(text));
  return socket;
}

test("who is slow, broken or gone holds up nobody", async () => {
  const watch = `GET /api/v1/configmaps?watch=true HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${TOKEN}\r\n\r\n`;
  const slow = Array.from({ length: 5 }, () => raw(watch));
  for (const socket of slow) socket.on("secureConnect", () => socket.pause());
  const half = raw(`POST /api/v1/namespaces HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${TOKEN}\r\nContent-Length: 1000\r\n\r\n{`);
  const broken = raw("what is this\r\n\r\n");
  const answer = await new Promise<string>((resolve) => {
    let text = "";
    broken.on("data", (chunk: Buffer) => (text += chunk.toString()));
    broken.on("close", () => resolve(text));
  });
  expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request/);
  const big = "x".repeat(500_000);
  for (let i = 0; i < 30; i++) {
    const made = await fetchJson("/api/v1/namespaces/default/configmaps", { apiVersion: "v1", kind: "ConfigMap", metadata: { name: `slow-${i}` }, data: { big } });
    expect(made).toBe(201);
  }
  for (const socket of [...slow, half]) socket.destroy();
  expect((await curl("/livez")).first).toContain("200");
}, 60_000);

/** A POST by curl; the status. */
async function fetchJson(path: string, body: unknown): Promise<number> {
  const file = join(server.folder, "body.json");
  writeFileSync(file, JSON.stringify(body));
  return Number((await curl(path, "-H", "Content-Type: application/json", "--data-binary", `@${file}`)).first.split(" ")[1]);
}
