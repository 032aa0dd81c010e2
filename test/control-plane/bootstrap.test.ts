/** What a whole API server makes when it starts, and what a later start restores. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { complete } from "../../src/kube-apiserver/complete/index.ts";
import { createApiServer, stamp } from "../../src/kube-apiserver/server.ts";
import type { ApiServer } from "../../src/kube-apiserver/server.ts";
import type { KubeObject } from "../../src/apimachinery/meta.ts";
import { silent } from "../../src/log.ts";
import { createMemoryStorage } from "../../src/storage/memory.ts";
import type { Storage } from "../../src/storage/storage.ts";
import { SHARED } from "./recordings.ts";
import { TestClock, testRandom } from "./test-clock.ts";

type Any = any;

const newStorage = (): Storage<KubeObject> => createMemoryStorage<KubeObject>({ stamp });

function start(storage: Storage<KubeObject>, whole = true): ApiServer {
  return createApiServer({ ...(whole ? { extension: complete } : {}), storage, clock: new TestClock(), random: testRandom(3), log: silent });
}

async function ask(server: ApiServer, path: string, method: "GET" | "PUT" | "DELETE" = "GET", body?: unknown): Promise<Any> {
  return (await server.handle({ method, path, ...(body === undefined ? {} : { body }) })).body;
}

const RBAC = "/apis/rbac.authorization.k8s.io/v1";

/** An object as far as it is the API server's own, the same on every cluster. */
function essence(object: Any): unknown {
  const { metadata, rules, aggregationRule, roleRef, subjects } = object;
  const { name, namespace, labels, annotations, managedFields } = metadata;
  const fields = managedFields.filter((entry: Any) => entry.manager === "kube-apiserver").map((entry: Any) => entry.fieldsV1);
  // Controllers fill aggregated roles.
  return { name, namespace, labels, annotations, fields, rules: aggregationRule === undefined ? rules : undefined, aggregationRule, roleRef, subjects };
}

test("the RBAC policy is the recorded server's, object by object", async () => {
  const server = start(newStorage());
  const lines = readFileSync(join(SHARED, "recordings/02-bootstrap-controllers.jsonl"), "utf8").split("\n").slice(0, 4);
  for (const { request, response } of lines.map((line) => JSON.parse(line) as Any)) {
    const { items } = await ask(server, request.path);
    expect(items.map(essence)).toEqual(response.body.items.map(essence));
  }
});

test("a cluster of its own stays small", async () => {
  const storage = newStorage();
  await start(storage, false).ready;
  expect((await storage.range("/registry/")).count).toBe(6);
});

test("another start leaves all as it is", async () => {
  const storage = newStorage();
  await start(storage).ready;
  const before = await storage.range("/registry/");
  await start(storage).ready;
  expect(await storage.range("/registry/")).toEqual(before);
});

test("another start restores what the policy has, and keeps what it does not have", async () => {
  const storage = newStorage();
  const first = start(storage);
  const dns = `${RBAC}/clusterroles/system:kube-dns`;
  const extra = { apiGroups: ["apps"], resources: ["deployments"], verbs: ["get"] };
  await ask(first, dns, "PUT", { ...(await ask(first, dns)), rules: [extra, { apiGroups: [""], resources: ["*"], verbs: ["list"] }] });
  const off = `${RBAC}/clusterroles/system:heapster`;
  const heapster = await ask(first, off);
  await ask(first, off, "PUT", { ...heapster, metadata: { ...heapster.metadata, annotations: { "rbac.authorization.kubernetes.io/autoupdate": "false" } }, rules: [extra] });
  const binding = `${RBAC}/clusterrolebindings/system:kube-dns`;
  await ask(first, binding, "PUT", { ...(await ask(first, binding)), subjects: [] });
  await ask(first, `${RBAC}/clusterroles/view`, "DELETE");
  const second = start(storage);
  expect((await ask(second, dns)).rules).toEqual([
    extra,
    { apiGroups: [""], resources: ["*"], verbs: ["list"] },
    { apiGroups: [""], resources: ["endpoints"], verbs: ["watch"] },
    { apiGroups: [""], resources: ["services"], verbs: ["watch"] },
  ]);
  expect((await ask(second, off)).rules).toEqual([extra]);
  expect((await ask(second, binding)).subjects).toEqual([{ kind: "ServiceAccount", name: "kube-dns", namespace: "kube-system" }]);
  expect((await ask(second, `${RBAC}/clusterroles/view`)).aggregationRule.clusterRoleSelectors).toHaveLength(1);
});
