/** The real kubectl against a cluster of one node in real time, over HTTPS. */
import { X509Certificate } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startServer, type UpServer } from "./server.ts";

let server: UpServer;

const kubectl = (...args: string[]): Promise<string> => server.kubectl(...args);

function manifest(text: string): string {
  const file = join(server.folder, "manifest.yaml");
  writeFileSync(file, text);
  return file;
}

beforeAll(async () => {
  server = await startServer();
}, 60_000);

afterAll(() => server.stop(), 60_000);

test("the server's certificate is by the authority in the kubeconfig", () => {
  const ca = new X509Certificate(server.ca);
  expect(ca.ca).toBe(true);
  expect(ca.verify(ca.publicKey)).toBe(true);
});

test("get and version", async () => {
  expect(await kubectl("version")).toMatch(/Server Version: v1\.32\.\d+/);
  expect(await kubectl("get", "nodes")).toMatch(/^NAME +STATUS +ROLES +AGE +VERSION\nnode-1 +Ready /);
  expect(await kubectl("get", "ns", "--show-labels")).toContain("kubernetes.io/metadata.name=kube-system");
  expect(await kubectl("api-resources")).toMatch(/deployments +deploy +apps\/v1 +true +Deployment/);
}, 60_000);

test("a deployment is created (in protobuf), rolls out, scales and goes", async () => {
  expect(await kubectl("create", "deployment", "web", "--image=registry.kubewire.dev/web:1", "--replicas=2", "-o", "jsonpath={.spec.replicas} {.spec.strategy.type}")).toBe("2 RollingUpdate");
  expect(await kubectl("scale", "deployment/web", "--replicas=3")).toBe("deployment.apps/web scaled\n");
  expect(await kubectl("label", "deployment/web", "tier=front")).toBe("deployment.apps/web labeled\n");
  expect(await kubectl("patch", "deployment", "web", "-p", '{"spec":{"minReadySeconds":0,"paused":false}}')).toMatch(/^deployment.apps\/web patched/);
  expect(await kubectl("get", "deployment", "web", "-o", "wide")).toMatch(/CONTAINERS +IMAGES +SELECTOR\nweb +\d\/3 .*app=web/);
  expect(await kubectl("describe", "deployment", "web")).toMatch(/Replicas: +3 desired/);
  expect(await kubectl("delete", "deployment", "web")).toMatch(/deployment.apps "web" deleted/);
}, 120_000);

test("apply on the client's and on the server's side, with conflicts", async () => {
  const file = manifest("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: blue\n");
  expect(await kubectl("apply", "-f", file)).toBe("configmap/settings created\n");
  expect(await kubectl("apply", "-f", file)).toBe("configmap/settings unchanged\n");
  manifest("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: shared\ndata:\n  colour: blue\n");
  expect(await kubectl("apply", "--server-side", "--field-manager=alice", "-f", file)).toBe("configmap/shared serverside-applied\n");
  manifest("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: shared\ndata:\n  colour: red\n");
  await expect(kubectl("apply", "--server-side", "--field-manager=bob", "-f", file)).rejects.toThrow(/conflict with "alice": \.data\.colour/);
  expect(await kubectl("apply", "--server-side", "--field-manager=bob", "--force-conflicts", "-f", file)).toBe("configmap/shared serverside-applied\n");
  expect(await kubectl("get", "cm", "shared", "-o", "jsonpath={.data.colour}")).toBe("red");
}, 60_000);

test("validation and explain", async () => {
  const file = manifest("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: wrong\nspecial: yes\n");
  await expect(kubectl("create", "-f", file)).rejects.toThrow(/strict decoding error: unknown field "special"/);
  expect(await kubectl("explain", "deployment.spec.replicas")).toMatch(/FIELD: replicas <integer>/);
}, 60_000);

test("nobody gets in without the token", async () => {
  await expect(kubectl("get", "ns", "--token=wrong")).rejects.toThrow(/Unauthorized|must be logged in/);
}, 60_000);
