/** Laws of patches, for any values: server-side apply on objects of several kinds, strategic merges, merges, JSON patches. */
import { beforeAll, describe, expect, test } from "vitest";
import { decodeStruct, structType } from "../../src/api/schema.ts";
import type { Field, FieldType } from "../../src/api/schema.ts";
import type { KubeObject } from "../../src/apimachinery/meta.ts";
import { ApiError } from "../../src/apimachinery/status.ts";
import { complete } from "../../src/kube-apiserver/complete/index.ts";
import { applyConfiguration } from "../../src/kube-apiserver/complete/apply.ts";
import { tidied } from "../../src/kube-apiserver/complete/managers.ts";
import { keyedElement, updateManagedFields } from "../../src/kube-apiserver/managed-fields.ts";
import type { FieldSet } from "../../src/kube-apiserver/managed-fields.ts";
import { jsonPatch, mergePatch, strategicMergePatch } from "../../src/kube-apiserver/patch.ts";
import { testRandom } from "./test-clock.ts";

type Json = Record<string, unknown>;
const isMap = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);

beforeAll(() => complete.load());

const KINDS = [["Pod", "v1", "PodSpec"], ["Deployment", "apps/v1", "DeploymentSpec"], ["Service", "v1", "ServiceSpec"], ["ConfigMap", "v1", ""], ["CronJob", "batch/v1", "CronJobSpec"]] as const;

const random = testRandom(21);
const one = <T>(list: readonly T[]): T => list[random.below(list.length)]!;

function anything(type: FieldType, depth: number, field?: Field): unknown {
  switch (type.kind) {
    case "string": return one(["a", "b", "c"]);
    case "bool": return random.below(2) === 0;
    case "int32": case "int64": case "float": return random.below(3) + 1;
    case "quantity": return one(["1", "2", "100m"]);
    case "intstr": return one([80, "50%"]);
    case "time": case "microtime": return "2030-01-01T00:00:00Z";
    case "bytes": return "aGk=";
    case "any": return { a: random.below(2) };
    case "map": return Object.fromEntries(Array.from({ length: random.below(3) }, () => [one(["x", "y", "z"]), anything(type.of, depth - 1)]));
    case "list": {
      const items = Array.from({ length: random.below(3) }, () => anything(type.of, depth - 1));
      if (field?.merge === "set") return [...new Set(items)];
      if (field?.merge !== "map") return items;
      const { fields } = structType((type.of as { name: string }).name);
      for (const item of items) for (const key of field.mapKeys) (item as Json)[key] ??= anything(fields.get(key)!.type, 0);
      // Strategic merges tell items apart by one key only.
      const unique = [...new Map(items.map((item) => [keyedElement(field, item), item])).values()];
      return [...new Map(unique.map((item) => [field.patchKey === undefined ? item : (item as Json)[field.patchKey], item])).values()];
    }
    case "struct": return struct(type.name, depth);
    default: return null;
  }
}

function struct(name: string, depth: number): Json {
  const out: Json = {};
  if (depth <= 0) return out;
  for (const [key, field] of structType(name).fields) if (field.required || random.below(5) === 0) out[key] = anything(field.type, depth - 1, field);
  return out;
}

/** What somebody applies: read by the schema once, so that it says what it would be read as. */
function configuration(kind: string, apiVersion: string, spec: string): Json {
  const body: Json = { apiVersion, kind, metadata: { name: "n", ...(random.below(2) === 0 ? { labels: { [one(["p", "q"])]: one(["1", "2"]) } } : {}) } };
  if (spec === "") body["data"] = anything({ kind: "map", of: { kind: "string" } }, 1);
  else body["spec"] = struct(spec, 4);
  return told(decodeStruct(kind, body, { strict: [] })) as Json;
}

/** Without what is null or empty, which says nothing. */
function told(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(told);
  if (!isMap(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, told(item)]).filter(([, item]) => item !== null && !(isMap(item) && Object.keys(item).length === 0) && !(Array.isArray(item) && item.length === 0)));
}

const apply = (kind: string, current: KubeObject | undefined, applied: Json, manager: string, force = true): KubeObject =>
  applyConfiguration(kind, { current, applied, manager, force, subresource: "", reset: ["status"], time: "2030-01-01T00:00:00Z" });

const bare = (object: KubeObject): Json => {
  const { managedFields: _managed, ...metadata } = object.metadata;
  return told({ ...object, metadata }) as Json;
};

/** Lists by their content: where items of different managers stand is not said. */
const unordered = (value: unknown): unknown =>
  Array.isArray(value) ? value.map(unordered).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) : isMap(value) ? Object.fromEntries(Object.keys(value).sort().map((key) => [key, unordered(value[key])])) : value;

const ownedBy = (object: KubeObject, manager: string): FieldSet => (object.metadata.managedFields?.find((entry) => entry.manager === manager)?.fieldsV1 ?? {}) as FieldSet;

/** Whether all that `wanted` says is in `value`. */
function says(value: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted)) return Array.isArray(value) && wanted.every((item) => value.some((other) => says(other, item)));
  if (!isMap(wanted)) return value === wanted;
  return isMap(value) && Object.entries(wanted).every(([key, item]) => item === null || says(value[key], item));
}

describe.each(KINDS)("server-side apply of %s", (kind, apiVersion, spec) => {
  const rounds = (run: () => void): void => {
    for (let i = 0; i < 60; i++) run();
  };
  const config = (): Json => configuration(kind, apiVersion, spec);

  test("applying again changes nothing", () => rounds(() => {
    const base = apply(kind, undefined, config(), "base");
    const mine = config();
    const once = apply(kind, base, mine, "me");
    expect(apply(kind, once, mine, "me", false)).toEqual(once);
  }));

  test("what is applied is there, whoever applied before", () => rounds(() => {
    const mine = config();
    const object = apply(kind, apply(kind, undefined, config(), "base"), mine, "me");
    expect(says(object, mine), JSON.stringify(mine)).toBe(true);
  }));

  test("what nobody applies any more goes; what others have stays as it was", () => rounds(() => {
    const theirs = config();
    const base = apply(kind, undefined, theirs, "base");
    const mine = config();
    const both = apply(kind, base, mine, "me");
    const left = apply(kind, both, { apiVersion, kind, metadata: { name: "n" } }, "me", false);
    expect(ownedBy(left, "me")).toEqual({});
    // Theirs is whole again when they apply it; before, it lacks only what was taken from them.
    expect(unordered(bare(apply(kind, left, theirs, "base", false)))).toEqual(unordered(bare(base)));
  }));

  test("two who share nothing come to the same object in any order", () => rounds(() => {
    const [a, b] = [config(), config()];
    try {
      const ab = apply(kind, apply(kind, undefined, a, "a"), b, "b", false);
      const ba = apply(kind, apply(kind, undefined, b, "b"), a, "a", false);
      expect(unordered(bare(ab))).toEqual(unordered(bare(ba)));
      expect([ownedBy(ab, "a"), ownedBy(ab, "b")]).toEqual([ownedBy(ba, "a"), ownedBy(ba, "b")]);
    } catch (error) {
      expect(error).toBeInstanceOf(ApiError);
      expect((error as ApiError).code).toBe(409);
    }
  }));

  test("a conflict names what force would take, and nothing else changes hands", () => rounds(() => {
    const base = apply(kind, undefined, config(), "base");
    const mine = config();
    const forced = apply(kind, base, mine, "me");
    let conflicts = 0;
    try {
      apply(kind, base, mine, "me", false);
    } catch (error) {
      conflicts = (error as ApiError).status.details!.causes!.length;
      expect(conflicts).toBeGreaterThan(0);
    }
    if (conflicts === 0) expect(ownedBy(forced, "base")).toEqual(ownedBy(base, "base"));
    else expect(ownedBy(forced, "base")).not.toEqual(ownedBy(base, "base"));
  }));

  test("an update owns what it changed, and no more", () => rounds(() => {
    const before = apply(kind, undefined, config(), "base");
    const after = apply(kind, undefined, config(), "other");
    const managed = updateManagedFields({
      type: kind, apiVersion, before: before as unknown as Json, after: after as unknown as Json, managed: before.metadata.managedFields ?? [],
      manager: "me", subresource: "", reset: ["status"], time: "2030-01-01T00:00:00Z",
    });
    const again = updateManagedFields({
      type: kind, apiVersion, before: after as unknown as Json, after: after as unknown as Json, managed, manager: "me", subresource: "", reset: ["status"], time: "2031-01-01T00:00:00Z",
    });
    expect(again).toEqual(managed);
    // Applying what is there already is in nobody's way.
    const { managedFields: _none, ...metadata } = after.metadata;
    const live = { ...after, metadata: { ...metadata, managedFields: managed } } as KubeObject;
    expect(() => apply(kind, live, told({ ...after, metadata }) as Json, "late", false)).not.toThrow();
  }));
});

describe("patches", () => {
  const json = (depth: number): unknown => {
    if (depth === 0) return one([1, "a", true, null]);
    return one([() => json(0), () => Array.from({ length: random.below(3) }, () => json(depth - 1)), () => Object.fromEntries(Array.from({ length: random.below(3) }, () => [one(["a", "b", "c"]), json(depth - 1)]))])();
  };

  test("a merge patch: none changes nothing, twice is once, and nothing null is left of it", () => {
    for (let i = 0; i < 500; i++) {
      const [target, patch] = [json(3), json(3)];
      const kept = JSON.stringify(target);
      expect(mergePatch(isMap(target) ? target : {}, {})).toEqual(isMap(target) ? target : {});
      const once = mergePatch(target, patch);
      expect(JSON.stringify(target)).toBe(kept);
      if (isMap(patch)) for (const key of Object.keys(patch)) if (patch[key] === null) expect((once as Json)[key]).toBeUndefined();
      expect(mergePatch(once, patch)).toEqual(once);
    }
  });

  test("a JSON patch: what is added can be taken away, moved there and back, and tested", () => {
    for (let i = 0; i < 300; i++) {
      const target = { list: Array.from({ length: 3 }, () => json(2)), map: { k: json(2) } };
      const value = json(2);
      const at = random.below(4);
      expect(jsonPatch(target, [{ op: "add", path: `/list/${at}`, value }, { op: "test", path: `/list/${at}`, value }, { op: "remove", path: `/list/${at}` }])).toEqual(target);
      expect(jsonPatch(target, [{ op: "move", from: "/map/k", path: "/map/a~1b~0" }, { op: "move", from: "/map/a~1b~0", path: "/map/k" }])).toEqual(target);
      expect(jsonPatch(target, [{ op: "copy", from: "/map/k", path: "/list/-" }, { op: "remove", path: "/list/3" }])).toEqual(target);
    }
  });

  test.each(KINDS)("a strategic merge into a %s: none changes nothing, twice is once, and what it says is there", (kind, apiVersion, spec) => {
    for (let i = 0; i < 100; i++) {
      const target = configuration(kind, apiVersion, spec);
      const patch = configuration(kind, apiVersion, spec);
      const kept = JSON.stringify(target);
      expect(strategicMergePatch(kind, target, {})).toEqual(target);
      const once = strategicMergePatch(kind, target, patch);
      expect(JSON.stringify(target)).toBe(kept);
      expect(says(once, patch)).toBe(true);
      expect(strategicMergePatch(kind, once, patch)).toEqual(once);
    }
  });
});

test("the oldest of too many managers become one, and entries stand by operation and age", () => {
  let object = apply("ConfigMap", undefined, { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "n" }, data: { applied: "1" } }, "applier");
  for (let i = 0; i < 13; i++) {
    const after = { ...object, data: { ...(object as unknown as { data: Json }).data, [`k${i}`]: "1" } } as unknown as KubeObject;
    const time = `2030-01-01T00:00:${String(59 - i).padStart(2, "0")}Z`;
    const managedFields = tidied(updateManagedFields({
      type: "ConfigMap", apiVersion: "v1", before: object as unknown as Json, after: after as unknown as Json, managed: object.metadata.managedFields ?? [],
      manager: `m${i}`, subresource: "", reset: [], time,
    }));
    object = { ...after, metadata: { ...after.metadata, managedFields } };
  }
  const entries = object.metadata.managedFields!;
  expect(entries[0]!.manager).toBe("applier");
  expect(entries.filter(({ operation }) => operation === "Update")).toHaveLength(10);
  expect(entries.map(({ operation, time }) => `${operation} ${time ?? ""}`)).toEqual(entries.map(({ operation, time }) => `${operation} ${time ?? ""}`).sort());
  const ancient = entries.find(({ manager }) => manager === "ancient-changes")!;
  expect(Object.keys((ancient.fieldsV1 as { "f:data": Json })["f:data"]).length).toBeGreaterThan(3);
  // Nobody's field is lost.
  const all = entries.flatMap(({ fieldsV1 }) => Object.keys((fieldsV1 as { "f:data": Json })["f:data"])).filter((key) => key !== ".").sort();
  expect(all).toEqual(["f:applied", ...Array.from({ length: 13 }, (_, i) => `f:k${i}`)].sort());
});
