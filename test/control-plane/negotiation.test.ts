/** What clients ask for in Accept and send as bodies. Follows go-restful, pkg/endpoints/handlers/negotiation and encoding/json/scanner.go. */
import { expect, test } from "vitest";
import { parse } from "yaml";
import { createExchangeServer } from "../../scripts/lib/exchange-server.ts";
import { jsonFault } from "../../src/kube-apiserver/complete/json-fault.ts";

const started = (): ((method: string, path: string, headers?: Record<string, string>, body?: string) => Promise<Response>) => {
  const fetch = createExchangeServer();
  return (method, path, headers = {}, body) => fetch(new Request(`https://kubernetes.example${path}`, { method, headers: { authorization: "Bearer t", ...headers }, ...(body === undefined ? {} : { body }) }));
};

test("objects, lists and errors as YAML", async () => {
  const send = started();
  const yaml = { accept: "application/yaml" };
  const created = await send("POST", "/api/v1/namespaces/default/configmaps", { ...yaml, "content-type": "application/yaml" }, "metadata: {name: a}\ndata: {\"yes\": \"on\"}\n");
  expect([created.status, created.headers.get("content-type")]).toEqual([201, "application/yaml"]);
  const text = await created.text();
  expect(text).toMatch(/^apiVersion: v1\ndata:\n {2}"yes": "on"\nkind: ConfigMap\nmetadata:\n/);
  const list = parse(await (await send("GET", "/api/v1/namespaces/default/configmaps", yaml)).text()) as { kind: string; items: { metadata: { name: string } }[] };
  expect([list.kind, list.items.map(({ metadata }) => metadata.name)]).toEqual(["ConfigMapList", ["a"]]);
  expect(parse(await (await send("GET", "/api/v1/namespaces/default/configmaps/none", yaml)).text())).toMatchObject({ kind: "Status", code: 404 });
});

test("406 and 415", async () => {
  const send = started();
  const status = async (answer: Promise<Response>): Promise<number> => (await answer).status;
  for (const path of ["/api/v1/nodes", "/api/v1/nodes/x", "/apis", "/api/v1", "/version"]) expect(await status(send("GET", path, { accept: "text/html" })), path).toBe(406);
  for (const path of ["/healthz", "/metrics", "/openapi/v3"]) expect(await status(send("GET", path, { accept: "text/html" })), path).toBe(200);
  expect(await status(send("GET", "/api/v1/nodes", { accept: "text/html,*/*;q=0.8" }))).toBe(200);
  expect(await status(send("GET", "/api/v1/nothings", { accept: "text/html" }))).toBe(404);
  for (const type of ["text/plain", "application/xml", "application/merge-patch+json"]) expect(await status(send("POST", "/api/v1/nodes", { "content-type": type }, "{}")), type).toBe(415);
  expect(await status(send("PATCH", "/api/v1/nodes/x", { "content-type": "application/json" }, "{"))).toBe(415);
});

test("a text that is no JSON is told in the words of Go's scanner", () => {
  const faults: Record<string, string> = {
    "": "unexpected end of JSON input", "{": "unexpected end of JSON input", "[1,": "unexpected end of JSON input", "{\"a\":tru": "unexpected end of JSON input",
    "{bad": "invalid character 'b' looking for beginning of object key string", "{\"a\" 1}": "invalid character '1' after object key",
    "{\"a\":1 \"b\"}": "invalid character '\"' after object key:value pair", "[1 2]": "invalid character '2' after array element", "[1,]": "invalid character ']' looking for beginning of value",
    "{\"a\":1,}": "invalid character '}' looking for beginning of object key string", "{} x": "invalid character 'x' after top-level value",
    "nope": "invalid character 'o' in literal null (expecting 'u')", "-x": "invalid character 'x' in numeric literal", "1.x": "invalid character 'x' after decimal point in numeric literal",
    "1ex": "invalid character 'x' in exponent of numeric literal", "\"\\q\"": "invalid character 'q' in string escape code", "\"\\u00g0\"": "invalid character 'g' in \\u hexadecimal character escape",
    "\"a\nb\"": "invalid character '\\n' in string literal", "01": "invalid character '1' after top-level value", "<a/>": "invalid character '<' looking for beginning of value",
    "[[],{}": "unexpected end of JSON input", "'": "invalid character '\\'' looking for beginning of value",
  };
  for (const [text, fault] of Object.entries(faults)) expect(jsonFault(text), text).toBe(fault);
});

test("a watch by its old path", async () => {
  const send = started();
  await send("POST", "/api/v1/namespaces/default/configmaps", { "content-type": "application/json" }, JSON.stringify({ metadata: { name: "a" } }));
  await send("POST", "/api/v1/namespaces/default/configmaps", { "content-type": "application/json" }, JSON.stringify({ metadata: { name: "b" } }));
  const seen = async (path: string): Promise<string[]> =>
    (await (await send("GET", path)).text()).trim().split("\n").map((line) => (JSON.parse(line) as { object: { metadata: { name: string } } }).object.metadata.name);
  expect(await seen("/api/v1/watch/namespaces/default/configmaps?timeoutSeconds=1")).toEqual(["a", "b"]);
  expect(await seen("/api/v1/watch/namespaces/default/configmaps/b?timeoutSeconds=1")).toEqual(["b"]);
});
