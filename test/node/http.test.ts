import { expect, test } from "vitest";
import { httpRequest, parseHttpUrl } from "../../src/http/client.ts";
import { httpDate } from "../../src/http/message.ts";
import { serveHttp } from "../../src/http/server.ts";
import { imageRegistry, inBoxImages } from "../../src/images/index.ts";
import { parseReference } from "../../src/images/registry.ts";
import { TurnedClock } from "./clock.ts";
import { Fabric, FakeKernel } from "./fake-netns.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (data: Uint8Array): string => new TextDecoder().decode(data);

function setup(): { clock: TurnedClock; kernel: FakeKernel; stop: AbortController; serving: Promise<void> } {
  const clock = new TurnedClock();
  const kernel = new FakeKernel("n", new Fabric(), clock);
  kernel.host.setLink("lo", { up: true });
  const stop = new AbortController();
  const serving = serveHttp({
    net: kernel.host.sockets, port: 80, signal: stop.signal,
    handler: ({ method, target, body }) => ({ status: 200, reason: "OK", headers: [["X-Seen", `${method} ${target}`]], body: bytes(`<${text(body)}>`) }),
  });
  return { clock, kernel, stop, serving };
}

/** Sends text as it is, cut into pieces, and reads what comes until the server closes or falls silent. */
async function raw({ clock, kernel }: ReturnType<typeof setup>, pieces: readonly string[]): Promise<string> {
  const connecting = kernel.host.sockets.connect({ address: "127.0.0.1", port: 80 });
  await clock.advance(1);
  const stream = await connecting;
  let out = "";
  void (async () => {
    for (let chunk = await stream.read(); chunk !== undefined; chunk = await stream.read()) out += text(chunk);
  })().catch(() => undefined);
  for (const piece of pieces) {
    await stream.write(bytes(piece));
    await clock.advance(1);
  }
  await clock.advance(1);
  return out;
}

test("requests follow each other on one connection, however their bytes are cut", async () => {
  const server = setup();
  const request = "GET /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcPUT /c HTTP/1.1\r\nHost: x\r\n" +
    "Transfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1;x=y\r\nf\r\n0\r\nTrailer: t\r\n\r\nGET /d HTTP/1.0\r\n\r\n";
  for (const pieces of [[request], [...request]]) {
    const out = await raw(server, pieces);
    expect(out.match(/X-Seen: .*|<.*>/g)).toEqual(["X-Seen: GET /a", "<>", "X-Seen: POST /b", "<abc>", "X-Seen: PUT /c", "<def>", "X-Seen: GET /d", "<>"]);
    expect(out.match(/Connection: .*/g)).toEqual(["Connection: keep-alive", "Connection: keep-alive", "Connection: keep-alive", "Connection: close"]);
  }
  server.stop.abort();
  await server.serving;
});

test.each([
  ["nonsense\r\n\r\n", 400], ["GET / HTTP/2.0\r\n\r\n", 400], ["GET / HTTP/1.1\r\n\r\n", 400], ["GET / HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n", 400],
  ["GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400], [`GET /${"a".repeat(70_000)}`, 431],
  ["PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400],
])("malformed: %#", async (request, status) => {
  const server = setup();
  const out = await raw(server, [request]);
  expect(out).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  server.stop.abort();
});

test("the client reads lengths, chunks and what ends with the connection", async () => {
  const clock = new TurnedClock();
  const kernel = new FakeKernel("n", new Fabric(), clock);
  kernel.host.setLink("lo", { up: true });
  const listener = kernel.host.sockets.listen({ port: 80 });
  for (const [answer, body] of [
    ["HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "hi"],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", "hi"], ["HTTP/1.0 404 Not Found\r\n\r\nall of it", "all of it"],
  ] as const) {
    const result = httpRequest(kernel.host.sockets, "127.0.0.1", 80, { target: "/", headers: [["Host", "x"]] });
    await clock.advance(1);
    const stream = await listener.accept();
    await stream.write(bytes(answer));
    stream.shutdown();
    await clock.advance(1);
    expect(text((await result).body)).toBe(body);
  }
  const refused = expect(httpRequest(kernel.host.sockets, "127.0.0.1", 81, { target: "/", headers: [] })).rejects.toThrow("connect ECONNREFUSED");
  await clock.advance(1);
  await refused;
});

test("URLs, dates, image names", () => {
  expect(parseHttpUrl("http://web.shop:8080/a?b#c")).toEqual({ host: "web.shop", port: 8080, target: "/a?b" });
  expect(parseHttpUrl("web")).toEqual({ host: "web", port: 80, target: "/" });
  expect(parseHttpUrl("http://[fd00::1]/")).toEqual({ host: "fd00::1", port: 80, target: "/" });
  expect(parseHttpUrl("https://web/")).toBeUndefined();
  expect(httpDate(784_111_777_000)).toBe("Sun, 06 Nov 1994 08:49:37 GMT");
  expect(parseReference("nginx")?.full).toBe("docker.io/library/nginx:latest");
  expect(parseReference("curlimages/curl:8.1")?.full).toBe("docker.io/curlimages/curl:8.1");
  expect(parseReference("localhost:5000/a/b")?.full).toBe("localhost:5000/a/b:latest");
  expect(parseReference("UPPER case")).toBeUndefined();
  const registry = imageRegistry(inBoxImages);
  for (const name of ["nginx", "nginx:1.25-alpine", "docker.io/library/busybox:1.36", "curlimages/curl", "registry.k8s.io/pause:3.9"]) {
    expect(registry.resolve(name)).toHaveProperty("image");
  }
  expect(registry.resolve("nginx:nope")).toMatchObject({ code: "NotFound" });
  expect(registry.resolve("ghcr.io/x/y:1")).toMatchObject({ code: "NotFound" });
  expect(registry.resolve("nope")).toMatchObject({ code: "Unknown" });
});
