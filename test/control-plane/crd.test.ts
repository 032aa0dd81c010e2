/** Custom resources beyond the recordings: functions of rules, ratcheting, webhooks, the life of a definition. */
import { expect, test } from "vitest";
import type { ApiRequest, ApiResponse } from "../../src/client/transport.ts";
import { complete } from "../../src/kube-apiserver/complete/index.ts";
import { createApiServer } from "../../src/kube-apiserver/server.ts";
import type { ApiServer } from "../../src/kube-apiserver/server.ts";
import { silent } from "../../src/log.ts";
import { TestClock, testRandom } from "./test-clock.ts";

/* eslint-disable @typescript-eslint/no-explicit-any */
type Any = any;

function newServer(webhookFetch?: (request: Request) => Promise<Response>): { server: ApiServer; clock: TestClock } {
  const clock = new TestClock();
  return { clock, server: createApiServer({ extension: complete, clock, random: testRandom(3), log: silent, ...(webhookFetch === undefined ? {} : { webhookFetch }) }) };
}

async function send(server: ApiServer, method: ApiRequest["method"], path: string, body?: unknown, headers: Record<string, string> = {}): Promise<ApiResponse & { body: Any }> {
  return (await server.handle({ method, path, headers, ...(body === undefined ? {} : { body }) })) as ApiResponse & { body: Any };
}

const DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const FOOS = "/apis/x.example.com/v1/namespaces/default/foos";

const definition = (spec: Any, more: Any = {}): Any => ({
  apiVersion: "apiextensions.k8s.io/v1", kind: "CustomResourceDefinition", metadata: { name: "foos.x.example.com" },
  spec: {
    group: "x.example.com", scope: "Namespaced", names: { plural: "foos", kind: "Foo" },
    versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object", properties: { spec } } } }], ...more,
  },
});
const foo = (name: string, spec: Any, apiVersion = "x.example.com/v1"): Any => ({ apiVersion, kind: "Foo", metadata: { name }, spec });
const rules = (schema: Any, ...list: string[]): Any => ({ ...schema, "x-kubernetes-validations": list.map((rule) => ({ rule })) });
const merge = { "content-type": "application/merge-patch+json" };

test("a definition is served when its creation is answered, and discovery has it", async () => {
  const { server } = newServer();
  expect((await send(server, "GET", FOOS)).status).toBe(404);
  expect((await send(server, "POST", DEFINITIONS, definition({ type: "object", properties: { a: { type: "string", default: "d" } } }))).status).toBe(201);
  expect((await send(server, "POST", FOOS, foo("one", {}))).body.spec).toEqual({ a: "d" });
  const list = (await send(server, "GET", "/apis/x.example.com/v1")).body;
  expect(list.resources[0]).toMatchObject({ name: "foos", singularName: "foo", kind: "Foo", namespaced: true });
  const openapi = JSON.parse((await send(server, "GET", "/openapi/v3/apis/x.example.com/v1")).body) as Any;
  expect(Object.values(openapi.components.schemas).some((s: Any) => s["x-kubernetes-group-version-kind"]?.[0]?.kind === "Foo" && s.properties.spec.properties.a.type === "string")).toBe(true);
});

test("rules know the functions of Kubernetes", async () => {
  const { server } = newServer();
  const text = { type: "string", maxLength: 64 };
  const properties: Record<string, Any> = {};
  const holds = [
    "self.matches('^a+b?$')", "self.find('[b-z]') == ''", "self.findAll('a').size() == 3", "self.upperAscii() == 'AAA'", "self.replace('a', 'b') == 'bbb'",
    "self.split('').size() == 3", "self.substring(1) == 'aa' && self.charAt(0) == 'a' && self.indexOf('a') == 0 && self.lastIndexOf('a') == 2",
    "'%s has %d'.format([dyn(self), dyn(3)]) == 'aaa has 3'", "url('https://h.example:80/p?q=1').getHost() == 'h.example:80'", "url('https://h.example:80/p?q=1').getQuery()['q'] == ['1']",
    "!isURL('../a') && isURL('/a')", "quantity('1Gi').compareTo(quantity('1024Mi')) == 0", "quantity('150Mi').add(quantity('50Mi')).isLessThan(quantity('1Gi'))", "!isQuantity('1x')",
    "ip('127.0.0.1').isLoopback() && ip('::1').family() == 6", "!isIP('1.2.3')", "cidr('10.0.0.0/8').containsIP('10.1.2.3') && !cidr('10.0.0.0/8').containsIP('11.0.0.1')",
    "cidr('10.0.0.0/8').containsCIDR(cidr('10.2.0.0/16'))", "cidr('10.1.2.3/8').masked().ip() == ip('10.0.0.0')", "ip.isCanonical('::1') && !ip.isCanonical('::0001')",
    "sets.contains([1, 2, 3], [3, 1]) && sets.intersects([1], [1, 2]) && sets.equivalent([1, 1], [1])", "[1, 2, 3].sum() == 6 && [3, 1].max() == 3",
    "[1, 2].isSorted() && ![2, 1].isSorted()", "[1, 2].indexOf(2) == 1", "!format.dns1123Label().validate(self).hasValue()", "format.named('uuid').value().validate('x').hasValue()",
    "duration('90s').getMinutes() == 1", "timestamp('2024-02-03T04:05:06Z').getMonth() == 1", "optional.of(1).orValue(2) == 1 && optional.none().orValue(self) == self",
    "type(self) == string", "cel.bind(x, self + 'b', x == 'aaab')", "[1, 2, 3].filter(x, x > 1).map(x, x * 2) == [4, 6]", "[1, 2].exists_one(x, x == 2)",
    "{'a': 1}['a'] == 1 && 'a' in {'a': 1}", "b'a' == bytes('a')", "1u + 2u == 3u", "string(1.5) == '1.5' && int('7') == 7 && double('2') == 2.0",
  ];
  for (const [i, rule] of holds.entries()) properties[`f${i}`] = rules(text, rule);
  const created = await send(server, "POST", DEFINITIONS, definition({ type: "object", properties }));
  expect(created.body.message).toBeUndefined();
  const spec = Object.fromEntries(Object.keys(properties).map((key) => [key, "aaa"]));
  expect((await send(server, "POST", FOOS, foo("all", spec))).body.message).toBeUndefined();
});

test("what is wrong with a rule is said as cel-go says it", async () => {
  const { server } = newServer();
  const problem = async (schema: Any, rule: string): Promise<string> => {
    const answer = await send(server, "POST", `${DEFINITIONS}?dryRun=All`, definition({ type: "object", properties: { a: rules(schema, rule) } }));
    return (answer.body.details?.causes?.[0]?.message as string | undefined)?.replace(/^.*: compilation failed: /s, "") ?? "none";
  };
  const text = { type: "string", maxLength: 10 };
  expect(await problem(text, "foo(self)")).toBe("ERROR: <input>:1:4: undeclared reference to 'foo' (in container '')\n | foo(self)\n | ...^");
  expect(await problem(text, "self.startsWith(1)")).toBe("ERROR: <input>:1:16: found no matching overload for 'startsWith' applied to 'string.(int)'\n | self.startsWith(1)\n | ...............^");
  expect(await problem(text, "self.a == 1")).toBe("ERROR: <input>:1:5: type 'string' does not support field selection\n | self.a == 1\n | ....^");
  expect(await problem({ type: "integer" }, "self.all(x, true)")).toBe("ERROR: <input>:1:1: expression of type 'int' cannot be range of a comprehension (must be list, map, or dynamic)\n | self.all(x, true)\n | ^");
  expect(await problem({ type: "integer" }, "[1, 'a'].size() == self")).toBe("ERROR: <input>:1:5: expected type 'int' but found 'string'\n | [1, 'a'].size() == self\n | ....^");
  expect(await problem({ type: "array", items: { type: "string" } }, "self.all(x, self.all(y, x == y))")).toMatch(/^Forbidden: estimated rule cost exceeds budget by factor of more than 100x/);
});

test("transition rules, optional oldSelf and ratcheting", async () => {
  const { server } = newServer();
  const schema = {
    type: "object",
    properties: {
      fixed: { type: "string", maxLength: 9, "x-kubernetes-validations": [{ rule: "self == oldSelf", message: "fixed" }] },
      born: { type: "integer", "x-kubernetes-validations": [{ rule: "oldSelf.hasValue() || self == 1", optionalOldSelf: true, message: "begins with 1" }] },
      small: { type: "integer" }, other: { type: "string" },
    },
  };
  await send(server, "POST", DEFINITIONS, definition(schema));
  expect((await send(server, "POST", FOOS, foo("a", { born: 2 }))).body.message).toContain("begins with 1");
  expect((await send(server, "POST", FOOS, foo("a", { born: 1, fixed: "x", small: 50 }))).status).toBe(201);
  expect((await send(server, "PATCH", `${FOOS}/a`, { spec: { fixed: "y" } }, merge)).body.message).toContain("spec.fixed: Invalid value: \"string\": fixed");
  expect((await send(server, "PATCH", `${FOOS}/a`, { spec: { born: 5 } }, merge)).status).toBe(200);
  // What was stored before the schema became stricter may stay as it is.
  const stricter = { ...schema, properties: { ...schema.properties, small: { type: "integer", maximum: 10 } } };
  const version = [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object", properties: { spec: stricter } } } }];
  expect((await send(server, "PATCH", `${DEFINITIONS}/foos.x.example.com`, { spec: { versions: version } }, merge)).status).toBe(200);
  expect((await send(server, "PATCH", `${FOOS}/a`, { spec: { other: "new" } }, merge)).status).toBe(200);
  expect((await send(server, "PATCH", `${FOOS}/a`, { spec: { small: 60 } }, merge)).body.message).toContain("should be less than or equal to 10");
});

test("versions are converted by a webhook", async () => {
  const seen: Any[] = [];
  const { server } = newServer(async (request) => {
    const review = (await request.json()) as Any;
    seen.push({ url: request.url, to: review.request.desiredAPIVersion });
    const convertedObjects = review.request.objects.map((o: Any) => {
      const v2 = review.request.desiredAPIVersion.endsWith("v2");
      const spec = v2 ? { host: o.spec.address.split(":")[0], port: Number(o.spec.address.split(":")[1]) } : { address: `${o.spec.host}:${o.spec.port}` };
      return { ...o, apiVersion: review.request.desiredAPIVersion, spec };
    });
    return Response.json({ kind: "ConversionReview", apiVersion: "apiextensions.k8s.io/v1", response: { uid: review.request.uid, result: { status: "Success" }, convertedObjects } });
  });
  const version = (name: string, storage: boolean, properties: Any): Any =>
    ({ name, served: true, storage, schema: { openAPIV3Schema: { type: "object", properties: { spec: { type: "object", properties } } } } });
  const conversion = { strategy: "Webhook", webhook: { conversionReviewVersions: ["v1"], clientConfig: { service: { name: "hook", namespace: "default", path: "/convert" } } } };
  const versions = [version("v1", true, { address: { type: "string" } }), version("v2", false, { host: { type: "string" }, port: { type: "integer" } })];
  expect((await send(server, "POST", DEFINITIONS, definition({}, { versions, conversion }))).status).toBe(201);
  expect((await send(server, "POST", FOOS.replace("v1", "v2"), foo("a", { host: "h", port: 80 }, "x.example.com/v2"))).body.spec).toEqual({ host: "h", port: 80 });
  expect((await send(server, "GET", `${FOOS}/a`)).body.spec).toEqual({ address: "h:80" });
  expect((await send(server, "GET", FOOS.replace("v1", "v2"))).body.items[0].spec).toEqual({ host: "h", port: 80 });
  expect(seen[0]).toEqual({ url: "https://hook.default.svc/convert?timeout=30s", to: "x.example.com/v1" });
});

test("a webhook that cannot be reached is an error of the request alone", async () => {
  const { server } = newServer();
  const versions = ["v1", "v2"].map((name, i) => ({ name, served: true, storage: i === 0, schema: { openAPIV3Schema: { type: "object" } } }));
  const conversion = { strategy: "Webhook", webhook: { conversionReviewVersions: ["v1"], clientConfig: { url: "https://hook.example.com/c" } } };
  await send(server, "POST", DEFINITIONS, definition({}, { versions, conversion }));
  expect((await send(server, "POST", FOOS, foo("a", {}))).status).toBe(201);
  const failed = await send(server, "GET", `${FOOS.replace("v1", "v2")}/a`);
  expect(failed.status).toBe(500);
  expect(failed.body.message).toMatch(/^conversion webhook for x.example.com\/v1, Kind=Foo failed: Post "https:\/\/hook.example.com\/c\?timeout=30s":/);
});

test("a deleted definition takes its objects along, once their finalizers are gone", async () => {
  const { server, clock } = newServer();
  await send(server, "POST", DEFINITIONS, definition({ type: "object" }));
  await send(server, "POST", FOOS, foo("free", {}));
  await send(server, "POST", FOOS, { ...foo("held", {}), metadata: { name: "held", finalizers: ["example.com/x"] } });
  expect((await send(server, "DELETE", `${DEFINITIONS}/foos.x.example.com`)).body.metadata.finalizers).toEqual(["customresourcecleanup.apiextensions.k8s.io"]);
  expect((await send(server, "POST", FOOS, foo("late", {}))).body.message).toBe("create not allowed while custom resource definition is terminating");
  await clock.advance(1000);
  expect((await send(server, "GET", FOOS)).body.items.map((i: Any) => i.metadata.name)).toEqual(["held"]);
  expect((await send(server, "PATCH", `${FOOS}/held`, { metadata: { finalizers: null } }, merge)).status).toBe(200);
  expect((await send(server, "GET", `${DEFINITIONS}/foos.x.example.com`)).status).toBe(404);
  expect((await send(server, "GET", FOOS)).status).toBe(404);
});

test("names that are taken are freed for others", async () => {
  const { server, clock } = newServer();
  await send(server, "POST", DEFINITIONS, definition({ type: "object" }));
  const other = definition({ type: "object" }, { names: { plural: "foos2", kind: "Foo", singular: "foo2", listKind: "Foo2List" } });
  await send(server, "POST", DEFINITIONS, { ...other, metadata: { name: "foos2.x.example.com" } });
  const condition = async (): Promise<Any> => (await send(server, "GET", `${DEFINITIONS}/foos2.x.example.com`)).body.status.conditions.find((c: Any) => c.type === "NamesAccepted");
  expect(await condition()).toMatchObject({ status: "False", reason: "KindConflict", message: "\"Foo\" is already in use" });
  await send(server, "DELETE", `${DEFINITIONS}/foos.x.example.com`);
  await clock.advance(1000);
  expect(await condition()).toMatchObject({ status: "True", reason: "NoConflicts" });
});
