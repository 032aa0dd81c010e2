/** kubectl explain, by both versions of OpenAPI, of built-in kinds and of a custom one. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { startServer, type UpServer } from "./server.ts";

let server: UpServer;

beforeAll(async () => {
  server = await startServer({ nodes: 0, controllers: "none" });
}, 60_000);

afterAll(() => server.stop(), 60_000);

test("fields, their types and what they are for", async () => {
  const strategy = await server.kubectl("explain", "deployment.spec.strategy", "--recursive");
  expect(strategy).toMatch(/^GROUP: +apps\nKIND: +Deployment\nVERSION: +v1\n\nFIELD: strategy <DeploymentStrategy>\n/);
  expect(strategy).toContain("The deployment strategy to use to replace existing pods with new ones.");
  expect(strategy).toMatch(/ {2}rollingUpdate\t<RollingUpdateDeployment>\n {4}maxSurge\t<IntOrString>\n {4}maxUnavailable\t<IntOrString>\n {2}type\t<string>\n {2}enum: Recreate, RollingUpdate\n/);
  expect(await server.kubectl("explain", "pod.spec.containers")).toMatch(/\n {2}name\t<string> -required-\n/);
  expect((await server.run(["explain", "pod.spec.nothing"])).stderr).toContain('field "nothing" does not exist');
}, 60_000);

test("the same by version 2", async () => {
  const older = await server.kubectl("explain", "cronjob.spec.schedule", "--output=plaintext-openapiv2");
  expect(older).toMatch(/KIND: +CronJob\nVERSION: +batch\/v1\n\nFIELD: +schedule <string>\n\nDESCRIPTION:\n +The schedule in Cron format/);
  expect(await server.kubectl("explain", "service.spec", "--recursive", "--output=plaintext-openapiv2")).toMatch(/ports\t<\[\]Object>\n {6}appProtocol\t<string>/);
}, 60_000);

test("a custom resource says what its definition says", async () => {
  const definition = {
    apiVersion: "apiextensions.k8s.io/v1", kind: "CustomResourceDefinition", metadata: { name: "cakes.example.com" },
    spec: {
      group: "example.com", scope: "Namespaced", names: { plural: "cakes", singular: "cake", kind: "Cake", listKind: "CakeList" },
      versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object", description: "A cake to bake.", required: ["spec"], properties: { spec: { type: "object", properties: { layers: { type: "integer", description: "How many there are." } } } } } } }],
    },
  };
  expect((await server.run(["create", "-f", "-"], JSON.stringify(definition))).code).toBe(0);
  const cake = await server.kubectl("explain", "cake.spec");
  expect(cake).toMatch(/GROUP: +example\.com\nKIND: +Cake\nVERSION: +v1\n/);
  expect(cake).toMatch(/layers\t<integer>\n {4}How many there are\./);
  expect(await server.kubectl("explain", "cake")).toContain("A cake to bake.");
}, 60_000);
