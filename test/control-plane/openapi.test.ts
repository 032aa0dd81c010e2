/** OpenAPI documents beside those of a real server: everything but what they say in prose is the same, and most of that is, too. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { expect, test, vi } from "vitest";
import { ADMIN_TOKEN, createExchangeServer } from "../../scripts/lib/exchange-server.ts";
import { SHARED } from "./recordings.ts";

type Json = Record<string, unknown>;

const fetch = createExchangeServer();
const get = async (path: string, accept = "application/json"): Promise<Response> => fetch(new Request(`https://server${path}`, { headers: { authorization: `Bearer ${ADMIN_TOKEN}`, accept } }));
const recorded = (step: string): Json => JSON.parse(gunzipSync(readFileSync(join(SHARED, `recordings/big/00-openapi.${step}.json.gz`))).toString()) as Json;

/** Counted: descriptions in the first, and those that the second has as well. */
function described(want: unknown, got: unknown, count: { all: number; same: number }): void {
  if (typeof want !== "object" || want === null) return;
  const [a, b] = [want as Json, (got ?? {}) as Json];
  for (const key of Object.keys(a)) {
    if (key === "description" && typeof a[key] === "string") {
      count.all++;
      if (a[key] === b[key]) count.same++;
    } else described(a[key], b[key], count);
  }
}

function structure(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(structure);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).filter(([key, item]) => key !== "description" || typeof item !== "string").map(([key, item]) => [key, structure(item)]));
}

test.each([["api/v1", "s3"], ["apis/apps/v1", "s4"], ["apis/batch/v1", "s5"], ["apis/networking.k8s.io/v1", "s6"], ["apis/rbac.authorization.k8s.io/v1", "s7"], ["apis/apiextensions.k8s.io/v1", "s8"]])("%s", async (name, step) => {
  const want = recorded(step);
  const response = await get(`/openapi/v3/${name}`);
  const got = (await response.json()) as Json;
  expect(structure(got)).toEqual(structure(want));
  const count = { all: 0, same: 0 };
  described(want, got, count);
  expect(count.same / count.all).toBeGreaterThan(0.92);
  expect((await get(`/openapi/v3/${name}`)).headers.get("etag")).toBe(response.headers.get("etag"));
  const { paths } = (await (await get("/openapi/v3")).json()) as { paths: Record<string, { serverRelativeURL: string }> };
  expect(`"${paths[name]!.serverRelativeURL.split("hash=")[1]!}"`).toBe(response.headers.get("etag"));
});

test("version 2: the same definitions and paths", async () => {
  const want = recorded("s2");
  const got = (await (await get("/openapi/v2")).json()) as Json;
  expect(Object.keys(got["paths"] as Json).sort()).toEqual(Object.keys(want["paths"] as Json).sort());
  expect(structure(got["definitions"])).toEqual(structure(want["definitions"]));
});

test("a custom resource has its document while its definition stands", async () => {
  const definition = {
    apiVersion: "apiextensions.k8s.io/v1", kind: "CustomResourceDefinition", metadata: { name: "crontabs.stable.example.com" },
    spec: {
      group: "stable.example.com", scope: "Namespaced", names: { plural: "crontabs", singular: "crontab", kind: "CronTab", listKind: "CronTabList" },
      versions: [{ name: "v1", served: true, storage: true, subresources: { status: {} }, schema: { openAPIV3Schema: { type: "object", properties: { spec: { type: "object", properties: { cron: { type: "string", default: "x" } } } } } } }],
    },
  };
  const path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" };
  await fetch(new Request(`https://server${path}`, { method: "POST", headers, body: JSON.stringify(definition) }));
  const document = (await (await get("/openapi/v3/apis/stable.example.com/v1")).json()) as { paths: Json; components: { schemas: Record<string, Json> } };
  expect(document.components.schemas["com.example.stable.v1.CronTab"]).toMatchObject({
    "x-kubernetes-group-version-kind": [{ group: "stable.example.com", kind: "CronTab", version: "v1" }],
    properties: { spec: { properties: { cron: { type: "string", default: "x" } } }, metadata: { allOf: [{ $ref: "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta" }] } },
  });
  expect(document.paths["/apis/stable.example.com/v1/namespaces/{namespace}/crontabs/{name}"]).toMatchObject({ patch: { operationId: "patchStableExampleComV1NamespacedCronTab", "x-kubernetes-action": "patch" } });
  const older = (await (await get("/openapi/v2")).json()) as { definitions: Record<string, Json> };
  expect(older.definitions["com.example.stable.v1.CronTab"]).toBeDefined();
  expect(older.definitions["com.example.stable.v1.CronTabList"]).toBeDefined();
  await fetch(new Request(`https://server${path}/crontabs.stable.example.com`, { method: "DELETE", headers }));
  await vi.waitFor(async () => expect((await get("/openapi/v3/apis/stable.example.com/v1")).status).toBe(404));
});
