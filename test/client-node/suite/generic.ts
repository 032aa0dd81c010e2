/** Objects of any kind: KubernetesObjectApi, CustomObjectsApi, definitions of one's own. */
import { ApiextensionsV1Api, CoreV1Api, CustomObjectsApi, KubernetesObjectApi, loadAllYaml, loadYaml, PatchStrategy, setHeaderOptions, Watch, type KubernetesObject, type V1ConfigMap, type V1CustomResourceDefinition, type V1Deployment } from "@kubernetes/client-node";
import { beforeAll, expect, test } from "vitest";
import { failure, session, until } from "./common.ts";

const s = session({ nodes: 0, controllers: "none" });
let objects: KubernetesObjectApi;
let custom: CustomObjectsApi;

beforeAll(async () => {
  objects = KubernetesObjectApi.makeApiClient(s.config);
  custom = s.config.makeApiClient(CustomObjectsApi);
  await s.config.makeApiClient(ApiextensionsV1Api).createCustomResourceDefinition({ body: CRD });
});

const CRD = loadYaml<V1CustomResourceDefinition>(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: crontabs.stable.example.com}
spec:
  group: stable.example.com
  scope: Namespaced
  names: {plural: crontabs, singular: crontab, kind: CronTab, shortNames: [ct]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              cronSpec: {type: string, pattern: '^(\\S+ ){4}\\S+$'}
              replicas: {type: integer, minimum: 1, maximum: 10, default: 1}
          status: {type: object, x-kubernetes-preserve-unknown-fields: true, properties: {replicas: {type: integer}}}
`);

test("YAML of several kinds is created, read, patched, applied, replaced, listed and deleted", async () => {
  const specs = loadAllYaml(`
apiVersion: v1
kind: Namespace
metadata: {name: generic}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: cm, namespace: generic, labels: {a: b}}
data: {k: v}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: generic}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: nginx}]}
`) as KubernetesObject[];
  for (const spec of specs) expect((await objects.create(spec)).metadata!.uid).toMatch(/-/);
  const read = await objects.read<V1Deployment>({ apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "web", namespace: "generic" } });
  expect(read.spec!.replicas).toBe(1);
  read.spec!.replicas = 4;
  expect((await objects.replace(read)).spec!.replicas).toBe(4);
  const patched = await objects.patch<V1ConfigMap>({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "cm", namespace: "generic" }, data: { more: "x" } } as V1ConfigMap);
  expect(patched.data).toEqual({ k: "v", more: "x" });
  const merged = await objects.patch({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "cm", namespace: "generic" }, data: { k: null } } as never, undefined, undefined, undefined, undefined, PatchStrategy.MergePatch);
  expect((merged as V1ConfigMap).data).toEqual({ more: "x" });
  const applied = await objects.patch<V1ConfigMap>(
    { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "applied", namespace: "generic" }, data: { a: "1" } }, undefined, undefined, "manager", undefined, PatchStrategy.ServerSideApply,
  );
  expect(applied.metadata!.managedFields![0]).toMatchObject({ manager: "manager", operation: "Apply" });
  const conflict = await failure(objects.patch({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "applied", namespace: "generic" }, data: { a: "2" } } as V1ConfigMap, undefined, undefined, "other", false, PatchStrategy.ServerSideApply));
  expect(conflict.code).toBe(409);
  expect(conflict.body).toContain('conflict with \\"manager\\"');
  const forced = await objects.patch<V1ConfigMap>({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "applied", namespace: "generic" }, data: { a: "2" } }, undefined, undefined, "other", true, PatchStrategy.ServerSideApply);
  expect(forced.data).toEqual({ a: "2" });
  const list = await objects.list<V1ConfigMap>("v1", "ConfigMap", "generic", undefined, undefined, undefined, undefined, "a=b");
  expect(list.items.map(({ metadata }) => metadata!.name)).toEqual(["cm"]);
  for (const spec of [...specs].reverse()) expect(await objects.delete(spec)).toBeDefined();
  expect((await failure(objects.read({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "cm", namespace: "generic" } }))).code).toBe(404);
  expect((await failure(objects.create({ apiVersion: "nosuch.example/v1", kind: "Thing", metadata: { name: "x" } }))).message).toMatch(/404|nosuch/);
});

test("custom objects: every verb", async () => {
  const at = { group: "stable.example.com", version: "v1", namespace: "default", plural: "crontabs" };
  const body = { apiVersion: "stable.example.com/v1", kind: "CronTab", metadata: { name: "c" }, spec: { cronSpec: "* * * * */5" } };
  const made = (await custom.createNamespacedCustomObject({ ...at, body })) as { spec: unknown; metadata: { resourceVersion: string } };
  expect(made.spec).toEqual({ cronSpec: "* * * * */5", replicas: 1 });
  const got = (await custom.getNamespacedCustomObject({ ...at, name: "c" })) as typeof made;
  expect(got).toEqual(made);
  const patched = (await custom.patchNamespacedCustomObject({ ...at, name: "c", body: { spec: { replicas: 3 } } }, setHeaderOptions("Content-Type", PatchStrategy.MergePatch))) as { spec: { replicas: number } };
  expect(patched.spec.replicas).toBe(3);
  const byJson = (await custom.patchNamespacedCustomObject({ ...at, name: "c", body: [{ op: "replace", path: "/spec/replicas", value: 4 }] })) as { spec: { replicas: number } };
  expect(byJson.spec.replicas).toBe(4);
  const status = (await custom.patchNamespacedCustomObjectStatus({ ...at, name: "c", body: { status: { replicas: 2, note: "n" }, spec: { replicas: 9 } } }, setHeaderOptions("Content-Type", PatchStrategy.MergePatch))) as { spec: { replicas: number }; status: unknown };
  expect(status.spec.replicas).toBe(4);
  expect(status.status).toEqual({ replicas: 2, note: "n" });
  const scale = (await custom.getNamespacedCustomObjectScale({ ...at, name: "c" })) as { kind: string; spec: unknown };
  expect(scale).toMatchObject({ kind: "Scale", spec: { replicas: 4 }, status: { replicas: 2 } });
  const list = (await custom.listNamespacedCustomObject(at)) as { kind: string; items: { apiVersion: string; kind: string }[] };
  expect(list.kind).toBe("CronTabList");
  expect(list.items[0]).toMatchObject({ apiVersion: "stable.example.com/v1", kind: "CronTab" });
  expect(((await custom.listCustomObjectForAllNamespaces({ group: at.group, version: at.version, resourcePlural: at.plural } as never)) as { items: unknown[] }).items).toHaveLength(1);
  const invalid = await failure(custom.createNamespacedCustomObject({ ...at, body: { ...body, metadata: { name: "bad" }, spec: { cronSpec: "x", replicas: 11 } } }));
  expect(invalid.code).toBe(422);
  expect(invalid.message).toContain("spec.replicas");
  expect((await failure(custom.patchNamespacedCustomObject({ ...at, name: "c", body: {} }, setHeaderOptions("Content-Type", PatchStrategy.StrategicMergePatch)))).code).toBe(415);
  await custom.deleteNamespacedCustomObject({ ...at, name: "c" });
  expect((await failure(custom.getNamespacedCustomObject({ ...at, name: "c" }))).code).toBe(404);
  const unknown = await failure(custom.listNamespacedCustomObject({ ...at, plural: "nosuch" }));
  expect(unknown.code).toBe(404);
  expect(unknown.body).toBe("404 page not found\n");
});

test("custom objects by the generic client and in a watch", async () => {
  const seen: string[] = [];
  const controller = await new Watch(s.config).watch("/apis/stable.example.com/v1/crontabs", {}, (type: string, { metadata }: KubernetesObject) => void seen.push(`${type} ${metadata!.name}`), () => {});
  const made = await objects.create({ apiVersion: "stable.example.com/v1", kind: "CronTab", metadata: { name: "g", namespace: "default" }, spec: { cronSpec: "0 0 0 0 0" } } as KubernetesObject);
  expect(made).toMatchObject({ kind: "CronTab", spec: { replicas: 1 } });
  await objects.delete(made);
  await until(() => seen.length === 2);
  expect(seen).toEqual(["ADDED g", "DELETED g"]);
  controller.abort();
});

test("a definition goes, and its objects with it", async () => {
  await objects.create({ apiVersion: "stable.example.com/v1", kind: "CronTab", metadata: { name: "last", namespace: "default" } });
  await s.config.makeApiClient(ApiextensionsV1Api).deleteCustomResourceDefinition({ name: "crontabs.stable.example.com" });
  await until(async () => (await failure(custom.listNamespacedCustomObject({ group: "stable.example.com", version: "v1", namespace: "default", plural: "crontabs" })).catch(() => ({ code: 0 }))).code === 404);
  expect((await s.config.makeApiClient(CoreV1Api).listNamespace()).items.length).toBeGreaterThan(0);
});
