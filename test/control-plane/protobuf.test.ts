/** Protobuf both ways: any object of any kind comes back as it was, and what kubectl sends is written again byte by byte. */
import { beforeAll, describe, expect, test } from "vitest";
import { decodeStruct, structType } from "../../src/api/schema.ts";
import type { FieldType } from "../../src/api/schema.ts";
import { apiVersionOf } from "../../src/api/resources.ts";
import { complete } from "../../src/kube-apiserver/complete/index.ts";
import { decodeEnvelope } from "../../src/kube-apiserver/complete/protobuf.ts";
import { encodeEnvelope } from "../../src/kube-apiserver/complete/protobuf-encode.ts";
import type { Descriptor } from "../../src/kube-apiserver/registry/descriptor.ts";
import { typeOf } from "../../src/kube-apiserver/registry/descriptor.ts";
import { REGISTRY } from "../../src/kube-apiserver/registry/index.ts";
import { ADMIN_TOKEN, createExchangeServer } from "../../scripts/lib/exchange-server.ts";
import { testRandom } from "./test-clock.ts";

const named = (group: string, kind: string): Descriptor => ({ name: { group, version: "v1", kind, resource: "", namespaced: false } }) as Descriptor;
const KINDS = [...REGISTRY, ...complete.resources, named("apiextensions.k8s.io", "CustomResourceDefinition"), named("apiregistration.k8s.io", "APIService")].filter(({ name }) => name.kind !== "ComponentStatus" || name.version === "v1");
const typeOfKind = (apiVersion: string, kind: string): string | undefined => {
  const found = KINDS.find(({ name }) => name.kind === kind && apiVersionOf(name) === apiVersion);
  return found === undefined ? undefined : typeOf(found);
};
const random = testRandom(11);
const below = (n: number): number => random.below(n);

beforeAll(() => complete.load());

const TEXTS = ["", "a", "Grüße", "x".repeat(130), "漢字 🎉", "\n\u0000"];
const INTEGERS = [0, 1, -1, 127, 128, 2147483647, -2147483648];

/** A value of the type, as a client may send it. */
function anything(type: FieldType, depth: number): unknown {
  switch (type.kind) {
    case "string": return TEXTS[below(TEXTS.length)];
    case "bool": return below(2) === 1;
    case "int32": return INTEGERS[below(INTEGERS.length)];
    case "int64": return [...INTEGERS, Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER][below(INTEGERS.length + 2)];
    case "float": return [0, 1.5, -2e300][below(3)];
    case "quantity": return ["0", "1", "500m", "1Gi"][below(4)];
    case "intstr": return [0, 80, -1, "25%", "http"][below(5)];
    case "bytes": return ["", "AA==", "/+8="][below(3)];
    case "time": return ["2026-01-02T03:04:05Z", "1960-01-01T00:00:00Z"][below(2)];
    case "microtime": return ["2026-01-02T03:04:05.000001Z", "2026-01-02T03:04:05.999999Z"][below(2)];
    case "any": return [{ a: [1, null, "x"] }, "text", true, { kind: "X", apiVersion: "v1" }][below(4)];
    case "list": return Array.from({ length: below(3) }, () => anything(type.of, depth));
    case "map": return Object.fromEntries(Array.from({ length: below(3) }, (_, i) => [`${TEXTS[below(3)]}${i}`, anything(type.of, depth)]));
    case "struct": {
      const out: Record<string, unknown> = {};
      for (const [name, field] of structType(type.name).fields) if (depth > 0 && below(depth > 4 ? 2 : 3) > 0) out[name] = anything(field.type, depth - 1);
      return out;
    }
    default: return null;
  }
}

/** What protobuf can tell: an empty list is none, and objects within objects have no kind (but for raw ones). */
function told(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? null : value.map(told);
  if (typeof value !== "object" || value === null) return value;
  const templates = (item: unknown): unknown => {
    const { kind: _kind, apiVersion: _apiVersion, ...rest } = item as Record<string, unknown>;
    return told(rest);
  };
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, key === "volumeClaimTemplates" && Array.isArray(item) && item.length > 0 ? item.map(templates) : told(item)]));
}

describe.each(KINDS.map((d) => [`${apiVersionOf(d.name)} ${d.name.kind}`, d] as const))("%s", (_, d) => {
  test("comes back as it was", () => {
    const type = typeOf(d);
    for (let round = 0; round < 12; round++) {
      const sent = { ...(anything({ kind: "struct", name: type }, 7) as object), kind: d.name.kind, apiVersion: apiVersionOf(d.name) };
      const object = decodeStruct(type, sent, { strict: [] });
      const bytes = encodeEnvelope(object, typeOfKind)!;
      expect(told(decodeStruct(type, decodeEnvelope(bytes, typeOfKind), { strict: [] }))).toEqual(told(object));
    }
  });
});

const PROTOBUF = "application/vnd.kubernetes.protobuf";
const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, accept: PROTOBUF };

test("objects, lists, metadata, failures and watches are answered in protobuf; Tables and custom resources are not", async () => {
  const fetch = createExchangeServer();
  const get = (path: string, more: Record<string, string> = {}): Promise<Response> => fetch(new Request(`https://server${path}`, { headers: { ...headers, ...more } }));
  const read = async (response: Response): Promise<Record<string, unknown>> => {
    expect(response.headers.get("content-type")).toBe(PROTOBUF);
    return decodeEnvelope(new Uint8Array(await response.arrayBuffer()), (v, k) => (k === "Status" ? "Status" : typeOfKind(v, k)));
  };
  const one = await read(await get("/api/v1/namespaces/default"));
  expect(one).toMatchObject({ apiVersion: "v1", kind: "Namespace", metadata: { name: "default" }, status: { phase: "Active" } });
  const missing = await get("/api/v1/namespaces/none");
  expect(missing.status).toBe(404);
  expect(await read(missing)).toMatchObject({ kind: "Status", reason: "NotFound", code: 404, details: { name: "none", kind: "namespaces" } });
  expect((await read(await get("/api/v1/namespaces"))).kind).toBe("NamespaceList");
  expect((await read(await get("/api/v1/namespaces", { accept: `${PROTOBUF};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1` }))).kind).toBe("PartialObjectMetadataList");
  expect((await get("/api/v1/namespaces", { accept: `${PROTOBUF};as=Table;g=meta.k8s.io;v=v1` })).status).toBe(406);
  expect((await get("/api/v1/namespaces", { accept: `${PROTOBUF};as=Table;g=meta.k8s.io;v=v1,application/json` })).headers.get("content-type")).toBe("application/json");
  const watch = await get("/api/v1/namespaces?watch=1&timeoutSeconds=1");
  expect(watch.headers.get("content-type")).toBe(`${PROTOBUF};stream=watch`);
  const bytes = new Uint8Array(await watch.arrayBuffer());
  const names: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const size = new DataView(bytes.buffer).getUint32(at);
    // WatchEvent: the type, then the object's RawExtension, which holds its envelope.
    const event = bytes.subarray(at + 4, at + 4 + size);
    const text = event.subarray(2, 2 + event[1]!);
    expect(new TextDecoder().decode(text)).toBe("ADDED");
    const start = event.findIndex((_, i) => event[i] === 0x6b && event[i + 1] === 0x38 && event[i + 2] === 0x73 && event[i + 3] === 0);
    names.push((decodeEnvelope(event.subarray(start), typeOfKind)["metadata"] as { name: string }).name);
    at += 4 + size;
  }
  expect(names).toContain("kube-system");
});
