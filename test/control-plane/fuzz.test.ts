/** Whatever is sent, the server answers, and never with an error of its own. */
import { expect, test } from "vitest";
import { parse } from "yaml";
import { complete } from "../../src/kube-apiserver/complete/index.ts";
import { createApiServer } from "../../src/kube-apiserver/server.ts";
import { apiVersionOf } from "../../src/api/resources.ts";
import { decodeStruct, structType } from "../../src/api/schema.ts";
import type { FieldType } from "../../src/api/schema.ts";
import { encodeEnvelope } from "../../src/kube-apiserver/complete/protobuf-encode.ts";
import { typeOf } from "../../src/kube-apiserver/registry/descriptor.ts";
import { REGISTRY } from "../../src/kube-apiserver/registry/index.ts";
import { silent } from "../../src/log.ts";
import type { Logger } from "../../src/log.ts";
import type { Random } from "../../src/time/clock.ts";
import { TestClock, testRandom } from "./test-clock.ts";

const KINDS = [...REGISTRY, ...complete.resources].filter(({ custom }) => custom === undefined);
const ODD: readonly unknown[] = [null, "", " ", "a b", "Bad_Value!", -1, 0, 1.5, 70000, 2 ** 40, true, [], {}, [null], [{}], { a: null }, "None", "10.0.0.1", "::1", "50%", "x".repeat(300), "..", "a/b", "$patch", "100m", "1e9999"];

function oddity(random: Random): unknown {
  return structuredClone(ODD[random.below(ODD.length)]);
}

/** A value that mostly has the right type, and now and then is anything. */
function value(type: FieldType, random: Random, depth: number): unknown {
  if (random.below(150) === 0) return oddity(random);
  switch (type.kind) {
    case "struct": return depth > 5 ? {} : object(type.name, random, depth + 1);
    case "list": return Array.from({ length: random.below(3) }, () => value(type.of, random, depth + 1));
    case "map": return Object.fromEntries(Array.from({ length: random.below(3) }, (_, i) => [["a", "storage", "x/y", "bad key!"][(i + random.below(4)) % 4]!, value(type.of, random, depth + 1)]));
    case "string": return ["", "a", "web", "Always", "In", "TCP", "Exists", "Resource", "v1", "a.example.com/b", "* * * * *", "1-2/0 99 x"][random.below(12)];
    case "int32": case "int64": case "float": return random.below(5) - 1;
    case "bool": return random.below(2) === 0;
    case "quantity": return ["1", "100m", "1Gi", "-5"][random.below(4)];
    case "intstr": return [0, 1, "50%", "x"][random.below(4)];
    case "time": case "microtime": return ["2030-01-01T00:00:00Z", null][random.below(2)];
    case "bytes": return ["", "aGk="][random.below(2)];
    default: return oddity(random);
  }
}

function object(name: string, random: Random, depth: number): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const field of structType(name).fields.values()) if (random.below(depth < 3 ? 3 : 4) > 0 || field.required) out[field.name] = value(field.type, random, depth);
  if (random.below(6) === 0) out["bogus"] = oddity(random);
  return out;
}

interface Answer {
  readonly status: number;
  readonly text: string;
  /** What the server took for a bug of its own. */
  readonly bug: string | undefined;
}

function start(): (method: string, path: string, body: unknown, type: string) => Promise<Answer> {
  let bug: string | undefined;
  const log: Logger = { ...silent, error: (_message, fields) => (bug = String((fields?.["error"] as Error | undefined)?.stack)) };
  const server = createApiServer({ extension: complete, clock: new TestClock(), random: testRandom(3), log, parseYaml: (text) => parse(text) as unknown });
  // No controller makes it here, and pods would wait for it.
  const account = server.handle({ method: "POST", path: "/api/v1/namespaces/default/serviceaccounts", body: { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default" } } });
  return async (method, path, body, type) => {
    await account;
    bug = undefined;
    const response = await server.fetch(new Request(`https://server${path}`, {
      method, headers: { "content-type": type, "user-agent": "fuzz/1" }, ...(method === "GET" ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    }));
    return { status: response.status, text: await response.text(), bug };
  };
}

/** Upstream's plain errors are 500 too: what counts is that none was unforeseen. */
function sound(what: string, { status, bug }: Answer): void {
  if (bug !== undefined) expect.fail(`${bug}\n${what}`);
  expect(status, what).toBeGreaterThanOrEqual(200);
}

test("objects of every kind with anything in them are created, replaced or refused", async () => {
  const random = testRandom(11);
  const send = start();
  for (let round = 0; round < 30; round++) {
    for (const descriptor of KINDS) {
      const { group, version, kind, resource, namespaced } = descriptor.name;
      const path = `${group === "" ? `/api/${version}` : `/apis/${group}/${version}`}${namespaced ? "/namespaces/default" : ""}/${resource}`;
      const body = { ...object(typeOf(descriptor), random, 0), apiVersion: apiVersionOf(descriptor.name), kind, metadata: random.below(4) === 0 ? object("ObjectMeta", random, 1) : { name: `f${round}` } };
      sound(`POST ${path} ${JSON.stringify(body)}`, await send("POST", `${path}?dryRun=All`, body, "application/json"));
      if (random.below(3) === 0) sound(`POST ${path} ${JSON.stringify(body)}`, await send("POST", path, body, "application/json"));
      sound(`PUT ${path} ${JSON.stringify(body)}`, await send("PUT", `${path}/f${random.below(round + 1)}`, body, "application/json"));
    }
  }
}, 120_000);

test("any patch of any type is applied or refused", async () => {
  const random = testRandom(12);
  const send = start();
  const deployment = {
    apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "d", labels: { a: "b" } },
    spec: { selector: { matchLabels: { a: "b" } }, template: { metadata: { labels: { a: "b" } }, spec: { containers: [{ name: "c", image: "i", ports: [{ containerPort: 80 }], env: [{ name: "A", value: "1" }] }] } } },
  };
  expect((await send("POST", "/apis/apps/v1/namespaces/default/deployments", deployment, "application/json")).status).toBe(201);
  const pointers = ["", "/", "/spec", "/spec/replicas", "/spec/template/spec/containers/0", "/spec/template/spec/containers/-", "/spec/template/spec/containers/9/name", "/metadata/labels/a~1b", "/metadata/~2", "x"];
  const directive = (): Record<string, unknown> => ({ $patch: ["replace", "delete", "merge", "odd"][random.below(4)], name: "c", $retainKeys: oddity(random), "$setElementOrder/env": oddity(random), "$deleteFromPrimitiveList/args": oddity(random) });
  for (let i = 0; i < 1500; i++) {
    const spec = random.below(2) === 0 ? object("DeploymentSpec", random, 2) : { template: { spec: { containers: [directive(), value({ kind: "struct", name: "Container" }, random, 4)] } }, strategy: directive() };
    const document = random.below(10) === 0 ? oddity(random) : { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "d" }, spec };
    const operations = Array.from({ length: random.below(3) + 1 }, () => ({ op: ["add", "remove", "replace", "move", "copy", "test", "odd"][random.below(7)], path: pointers[random.below(pointers.length)], from: pointers[random.below(pointers.length)], value: oddity(random) }));
    const [type, body] = ([
      ["application/strategic-merge-patch+json", document], ["application/merge-patch+json", document],
      ["application/json-patch+json", random.below(8) === 0 ? oddity(random) : operations], ["application/apply-patch+yaml", document],
    ] as const)[random.below(4)]!;
    const sub = ["", "", "", "/status", "/scale"][random.below(5)];
    sound(`${type} ${sub} ${JSON.stringify(body)}`, await send("PATCH", `/apis/apps/v1/namespaces/default/deployments/d${sub}?fieldManager=m${random.below(3)}${random.below(2) === 0 ? "&force=true" : ""}`, body, type));
    // What was accepted can be read as what it is.
    if (i % 100 === 0) {
      const { status, text } = await send("GET", "/apis/apps/v1/namespaces/default/deployments/d", undefined, "application/json");
      expect(status).toBe(200);
      expect(() => decodeStruct("Deployment", JSON.parse(text), { strict: [] })).not.toThrow();
    }
  }
}, 120_000);

test("any path and any bytes are answered", async () => {
  const random = testRandom(13);
  const send = start();
  const parts = ["api", "apis", "v1", "apps", "namespaces", "default", "pods", "x", "", "..", "%2e", "%zz", "status", "scale", "log", "watch", "openapi", "v3", "a%00b", "proxy"];
  const bytes = ["", "{", "[]", "null", "\"", "{\"kind\":5}", "{\"a\":1,\"a\":2}", "--- a: [", "\u0000\u0001", "{\"metadata\":[]}", "1e400"];
  for (let i = 0; i < 3000; i++) {
    const path = `/${Array.from({ length: random.below(8) }, () => parts[random.below(parts.length)]).join("/")}?${["", "dryRun=All", "dryRun=x", "limit=-1", "limit=x", "continue=@", "labelSelector=a%20in", "fieldSelector=a%3D", "resourceVersion=x", "fieldValidation=Odd", "pretty=1"][random.below(11)]}`;
    const method = ["GET", "POST", "PUT", "PATCH", "DELETE"][random.below(5)]!;
    const type = ["application/json", "application/yaml", "application/merge-patch+json", "application/apply-patch+yaml", "application/vnd.kubernetes.protobuf", "odd/odd", ""][random.below(7)]!;
    sound(`${method} ${path} ${type}`, await send(method, path, bytes[random.below(bytes.length)], type));
  }
}, 120_000);

test("bytes that are nearly protobuf, and answers of every form", async () => {
  const random = testRandom(14);
  const types = new Map(KINDS.map((d) => [`${apiVersionOf(d.name)}/${d.name.kind}`, typeOf(d)]));
  const typeOfKind = (apiVersion: string, kind: string): string | undefined => types.get(`${apiVersion}/${kind}`);
  let bug: string | undefined;
  const log: Logger = { ...silent, error: (_message, fields) => (bug = String((fields?.["error"] as Error | undefined)?.stack)) };
  const server = createApiServer({ extension: complete, clock: new TestClock(), random: testRandom(3), log });
  await server.handle({ method: "POST", path: "/api/v1/namespaces/default/serviceaccounts", body: { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default" } } });
  const forms = ["application/vnd.kubernetes.protobuf", "application/yaml", "application/json", "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1", "application/json;as=Table;v=v1;g=meta.k8s.io", "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,application/json", "text/html", "*/*;q=0.5"];
  for (let round = 0; round < 8; round++) {
    for (const descriptor of KINDS) {
      const { group, version, kind, resource, namespaced } = descriptor.name;
      const path = `${group === "" ? `/api/${version}` : `/apis/${group}/${version}`}${namespaced ? "/namespaces/default" : ""}/${resource}`;
      const sent = decodeOrNothing(typeOf(descriptor), { ...object(typeOf(descriptor), random, 1), metadata: { name: `p${round}` } });
      const bytes = encodeEnvelope({ ...sent, apiVersion: apiVersionOf(descriptor.name), kind }, typeOfKind)!;
      // As it is, cut off, or with some of it changed.
      const cut = random.below(3) === 0 ? bytes.slice(0, random.below(bytes.length)) : bytes.slice();
      if (random.below(2) === 0) for (let i = random.below(5); i >= 0; i--) if (cut.length > 4) cut[4 + random.below(cut.length - 4)] = random.below(256);
      for (const [method, at, content] of [["POST", path, cut], ["GET", path, undefined], ["GET", `${path}/p${round}`, undefined], ["DELETE", `${path}/p${round}`, random.below(2) === 0 ? cut : undefined]] as const) {
        bug = undefined;
        const headers = { accept: forms[random.below(forms.length)]!, "content-type": "application/vnd.kubernetes.protobuf" };
        const answer = await server.fetch(new Request(`https://server${at}`, { method, headers, ...(content === undefined ? {} : { body: content }) }));
        await answer.arrayBuffer();
        if (bug !== undefined) expect.fail(`${String(bug)}\n${method} ${at} ${JSON.stringify(headers)} ${Buffer.from(content ?? []).toString("hex")}`);
      }
    }
  }
}, 120_000);

/** Objects that cannot be read are sent empty. */
function decodeOrNothing(name: string, body: unknown): Record<string, unknown> {
  try {
    return decodeStruct(name, body, { strict: [] });
  } catch {
    return {};
  }
}
