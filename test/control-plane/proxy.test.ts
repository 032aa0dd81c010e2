/** What a proxied request and its answer become on their way, with a pod that answers by a script. */
import { expect, test } from "vitest";
import { complete } from "../../src/kube-apiserver/complete/index.ts";
import { createApiServer } from "../../src/kube-apiserver/server.ts";
import type { Kubelets } from "../../src/client/site-streams.ts";
import { silent } from "../../src/log.ts";
import { TestClock, testRandom } from "./test-clock.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("latin1");

/** A server whose one pod answers with `answer`; what came to it is in `asked`. */
async function serverWith(answer: string): Promise<{ asked: () => string; send: (path: string, init?: RequestInit) => Promise<Response> }> {
  let asked = "";
  const kubelets: Kubelets = {
    nodes: ["n1"],
    open(node, request, events) {
      if (node !== "n1" || request.kind !== "portforward" || request.port !== 8080) {
        queueMicrotask(() => events.end({ error: "error forwarding port: dial tcp4 127.0.0.1:1: connect: connection refused" }));
        return { write() {}, eof() {}, resize() {}, abort() {} };
      }
      return {
        write(bytes) {
          if (asked === "") queueMicrotask(() => {
            // In pieces, as it may come.
            for (let i = 0; i < answer.length; i += 7) events.data("stdout", encoder.encode(answer.slice(i, i + 7)));
            events.end({});
          });
          asked += decoder.decode(bytes);
        },
        eof() {}, resize() {}, abort() {},
      };
    },
  };
  const server = createApiServer({ extension: complete, clock: new TestClock(), random: testRandom(3), log: silent, kubelets });
  const json = { "content-type": "application/json" };
  const send = (path: string, init?: RequestInit): Promise<Response> => server.fetch(new Request(`https://server${path}`, init));
  const base = "/api/v1/namespaces/default";
  await send(`${base}/serviceaccounts`, { method: "POST", headers: json, body: JSON.stringify({ metadata: { name: "default" } }) });
  const pod = { metadata: { name: "p" }, spec: { nodeName: "n1", containers: [{ name: "c", image: "x", ports: [{ containerPort: 8080 }] }] } };
  const made = await send(`${base}/pods`, { method: "POST", headers: json, body: JSON.stringify(pod) });
  expect(made.status).toBe(201);
  await send(`${base}/pods/p/status`, { method: "PATCH", headers: { "content-type": "application/merge-patch+json" }, body: JSON.stringify({ status: { podIP: "10.1.0.5", podIPs: [{ ip: "10.1.0.5" }] } }) });
  return { asked: () => asked, send };
}

const POD = "/api/v1/namespaces/default/pods/p/proxy";

test("method, path, query, headers and bytes arrive; the client's token does not", async () => {
  const { asked, send } = await serverWith("HTTP/1.1 201 Created\r\ncontent-length: 2\r\nx-a: b\r\nconnection: close\r\naccess-control-allow-origin: *\r\n\r\nok");
  const answer = await send(`${POD}/a%20b/c?x=1&y`, { method: "PUT", headers: { "content-type": "text/x", authorization: "Bearer t", "x-own": "1" }, body: new Uint8Array([0, 255, 10]) });
  expect(answer.status).toBe(201);
  expect(await answer.text()).toBe("ok");
  expect(answer.headers.get("x-a")).toBe("b");
  expect(answer.headers.get("access-control-allow-origin")).toBeNull();
  expect(asked()).toMatch(/^PUT \/a%20b\/c\?x=1&y HTTP\/1\.1\r\n/);
  expect(asked()).toContain("\r\nx-own: 1\r\n");
  expect(asked()).toContain(`\r\nX-Forwarded-Uri: ${POD}/a%20b/c\r\n`);
  expect(asked().toLowerCase()).not.toContain("authorization");
  expect(asked().endsWith("\r\n\r\n\u0000\u00ff\n")).toBe(true);
});

test("redirects and pages lead through the proxy", async () => {
  const redirect = await serverWith("HTTP/1.1 302 Found\r\nlocation: /login?next=%2F\r\ncontent-length: 0\r\n\r\n");
  expect((await redirect.send(`${POD}/`)).headers.get("location")).toBe(`${POD}/login?next=%2F`);
  const own = await serverWith("HTTP/1.1 302 Found\r\nlocation: http://10.1.0.5:8080/x\r\ncontent-length: 0\r\n\r\n");
  expect((await own.send(`${POD}/`)).headers.get("location")).toBe(`${POD}/x`);
  const away = await serverWith("HTTP/1.1 302 Found\r\nlocation: https://example.com/x\r\ncontent-length: 0\r\n\r\n");
  expect((await away.send(`${POD}/`)).headers.get("location")).toBe("https://example.com/x");
  const html = '<a href="/x">/x</a><img src=\'y.png\'><p title="/x"></p>';
  const page = await serverWith(`HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: ${html.length}\r\n\r\n${html}`);
  expect(await (await page.send(`${POD}/`)).text()).toBe(`<a href="${POD}/x">/x</a><img src="y.png"><p title="/x"></p>`);
});

test("chunks go on as they come, and an answer without a length ends with its connection", async () => {
  const chunks = await serverWith("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n!\r\n0\r\n\r\n");
  expect(await (await chunks.send(`${POD}/`)).text()).toBe("hello!");
  const rest = await serverWith("HTTP/1.0 200 OK\r\n\r\nall of it");
  expect(await (await rest.send(`${POD}/`)).text()).toBe("all of it");
});

test("a broken answer is unavailable", async () => {
  for (const [answer, why] of [["", "EOF"], ["SSH-2.0\r\n", "malformed HTTP response"], ["HTTP/1.1 200 OK\r\nbad header\r\n\r\n", "malformed header"]] as const) {
    const { send } = await serverWith(answer);
    const said = await send(`${POD}/`);
    expect(said.status).toBe(503);
    expect(await said.json()).toMatchObject({ reason: "ServiceUnavailable", message: expect.stringContaining(why) as string });
  }
  const { send } = await serverWith("");
  expect(((await (await send("/api/v1/namespaces/default/pods/p:9/proxy/")).json()) as { message: string }).message).toBe("error trying to reach service: dial tcp 10.1.0.5:9: connect: connection refused");
  expect((await send("/api/v1/nodes/none/proxy/healthz")).status).toBe(404);
});
