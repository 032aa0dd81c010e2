/** APIServices that the server registers itself, and pages about the server. Follows k8s.io/kube-aggregator and k8s.io/apiserver/pkg/server. */
import { expect, test } from "vitest";
import { ADMIN_TOKEN, createExchangeServer } from "../../scripts/lib/exchange-server.ts";

/* eslint-disable @typescript-eslint/no-explicit-any */
type Any = any;

const started = (): ((path: string, init?: RequestInit) => Promise<Response>) => {
  const fetch = createExchangeServer();
  return (path, init) => fetch(new Request(`https://kubernetes.example${path}`, { headers: { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" }, ...init }));
};
const SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices";
const json = async (answer: Promise<Response>): Promise<Any> => (await answer).json();

test("each version that is served has its APIService, that of a definition comes and goes with it", async () => {
  const get = started();
  const items: Any[] = (await json(get(SERVICES))).items;
  const named = (name: string): Any => items.find((item) => item.metadata.name === name);
  expect(named("v1.").spec).toEqual({ version: "v1", groupPriorityMinimum: 18000, versionPriority: 1 });
  expect(named("v2.autoscaling").metadata.labels).toEqual({ "kube-aggregator.kubernetes.io/automanaged": "onstart" });
  expect(named("v1.apps").status.conditions[0]).toMatchObject({ type: "Available", status: "True", reason: "Local" });
  expect(named("v1.apiregistration.k8s.io")).toBeUndefined();

  const definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
  const definition = {
    apiVersion: "apiextensions.k8s.io/v1", kind: "CustomResourceDefinition", metadata: { name: "ponds.example.org" },
    spec: { group: "example.org", scope: "Namespaced", names: { plural: "ponds", kind: "Pond" }, versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object" } } }] },
  };
  expect((await get(definitions, { method: "POST", body: JSON.stringify(definition) })).status).toBe(201);
  await expect.poll(async () => (await json(get(`${SERVICES}/v1.example.org`))).spec).toEqual({ group: "example.org", version: "v1", groupPriorityMinimum: 1000, versionPriority: 100 });
  await get(`${definitions}/ponds.example.org`, { method: "DELETE" });
  await expect.poll(async () => (await get(`${SERVICES}/v1.example.org`)).status).toBe(404);
});

test("the condition of an API of another server follows its service", async () => {
  const get = started();
  const post = async (path: string, body: unknown): Promise<void> => expect((await get(path, { method: "POST", body: JSON.stringify(body) })).status).toBe(201);
  const reason = async (): Promise<string> => (await json(get(`${SERVICES}/v1.far.example.org`))).status.conditions[0].reason;
  await post(SERVICES, {
    apiVersion: "apiregistration.k8s.io/v1", kind: "APIService", metadata: { name: "v1.far.example.org" },
    spec: { group: "far.example.org", version: "v1", groupPriorityMinimum: 10, versionPriority: 10, service: { name: "far", namespace: "default" } },
  });
  expect(await reason()).toBe("ServiceNotFound");
  await post("/api/v1/namespaces/default/services", { apiVersion: "v1", kind: "Service", metadata: { name: "far" }, spec: { ports: [{ port: 443 }] } });
  await expect.poll(reason).toBe("EndpointsNotFound");
  await post("/api/v1/namespaces/default/endpoints", { apiVersion: "v1", kind: "Endpoints", metadata: { name: "far" }, subsets: [{ addresses: [{ ip: "10.1.1.1" }], ports: [{ port: 443 }] }] });
  await expect.poll(reason).toBe("FailedDiscoveryCheck");
});

test("requests are counted, objects are told", async () => {
  const get = started();
  await get("/api/v1/namespaces/default/pods/absent");
  const text = await (await get("/metrics")).text();
  expect(text).toContain('apiserver_request_total{code="404",component="apiserver",dry_run="",group="",resource="pods",scope="resource",subresource="",verb="GET",version="v1"} 1\n');
  expect(text).toContain('apiserver_storage_objects{resource="namespaces"} 4\n');
  expect(await (await get("/readyz?verbose&exclude=ping&exclude=none")).text()).toMatch(/^\[\+\]ping excluded: ok\n[^]*\nwarn: some health checks cannot be excluded: no matches for "none"\nreadyz check passed\n$/);
  expect((await get("/readyz/none")).status).toBe(404);
});

test("component statuses", async () => {
  const get = started();
  expect((await json(get("/api/v1/componentstatuses"))).items.map(({ metadata }: Any) => metadata.name)).toEqual(["controller-manager", "scheduler", "etcd-0"]);
  expect((await json(get("/api/v1/componentstatuses/etcd-0"))).conditions).toEqual([{ type: "Healthy", status: "True", message: "ok" }]);
  expect((await get("/api/v1/componentstatuses/none")).status).toBe(404);
});
