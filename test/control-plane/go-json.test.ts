/** The order of Go's fields is the one that recorded answers have. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { structType } from "../../src/api/schema.ts";
import type { FieldType } from "../../src/api/schema.ts";
import { apiVersionOf } from "../../src/api/resources.ts";
import { complete } from "../../src/kube-apiserver/complete/index.ts";
import { orderOf, patchedJson } from "../../src/kube-apiserver/complete/go-json.ts";
import { typeOf } from "../../src/kube-apiserver/registry/descriptor.ts";
import { REGISTRY } from "../../src/kube-apiserver/registry/index.ts";
import { SHARED } from "./recordings.ts";

type Json = Record<string, unknown>;
const isMap = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);

test("fields of structs stand as types.go declares them", () => {
  complete.load();
  const types = new Map([...REGISTRY, ...complete.resources].map((d) => [`${apiVersionOf(d.name)}/${d.name.kind}`, typeOf(d)]));
  const wrong = new Set<string>();
  const seen = new Set<string>();
  const walk = (type: FieldType | undefined, value: unknown): void => {
    if (Array.isArray(value)) for (const item of value) walk(type?.kind === "list" ? type.of : undefined, item);
    if (!isMap(value) || type === undefined) return;
    if (type.kind === "map") for (const item of Object.values(value)) walk(type.of, item);
    if (type.kind !== "struct") return;
    const struct = structType(type.name);
    seen.add(type.name);
    const order = orderOf(struct);
    const places = Object.keys(value).filter((key) => struct.fields.has(key)).map((key) => order.indexOf(key));
    for (let i = 1; i < places.length; i++) if (places[i]! < places[i - 1]!) wrong.add(`${type.name}: ${order[places[i - 1]!]} before ${order[places[i]!]}`);
    for (const [name, field] of struct.fields) walk(field.type, value[name]);
  };
  const dir = join(SHARED, "recordings");
  for (const file of readdirSync(dir).filter((name) => name.endsWith(".jsonl")))
    for (const line of readFileSync(join(dir, file), "utf8").split("\n").filter(Boolean)) {
      const { body } = (JSON.parse(line) as { response: { body?: unknown } }).response;
      if (!isMap(body)) continue;
      const name = types.get(`${String(body["apiVersion"])}/${String(body["kind"])}`);
      if (name !== undefined) walk({ kind: "struct", name }, body);
    }
  expect([...wrong]).toEqual([]);
  expect(seen.size).toBeGreaterThan(200);
});

test("a patched object is quoted with sorted keys where the patch went", () => {
  complete.load();
  const object = { kind: "ConfigMap", apiVersion: "v1", data: { b: "1", a: "<" }, metadata: { labels: { z: "1" }, name: "n" } };
  expect(patchedJson("ConfigMap", object, "application/json-patch+json", [{ op: "add", path: "/data/c", value: 1 }]))
    .toBe('{"apiVersion":"v1","data":{"a":"\\u003c","b":"1"},"kind":"ConfigMap","metadata":{"name":"n","labels":{"z":"1"}}}');
  expect(patchedJson("ConfigMap", object, "application/merge-patch+json", { metadata: { labels: { z: 1 } } }))
    .toBe('{"apiVersion":"v1","data":{"a":"\\u003c","b":"1"},"kind":"ConfigMap","metadata":{"labels":{"z":"1"},"name":"n"}}');
});
