/** What the real kubectl says of the API server alone: what is there from the start, kinds it has to look up, mistakes. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startServer, type UpServer } from "./server.ts";

let server: UpServer;

/** What kubectl says on both channels, and its exit code when it is not 0. */
async function kubectl(line: string, input?: string): Promise<string> {
  const { code, stdout, stderr } = await server.run(line.split(" "), input);
  return `${stdout}${stderr}${code === 0 ? "" : `exit ${code}\n`}`;
}

beforeAll(async () => {
  server = await startServer({ nodes: 0, controllers: "none" });
}, 60_000);

afterAll(() => server.stop(), 60_000);

test("the default roles, their bindings, classes and levels are there from the start", async () => {
  expect(await kubectl("describe clusterrole system:basic-user")).toMatch(/selfsubjectreviews\.authentication\.k8s\.io +\[\] +\[\] +\[create\]/);
  expect(await kubectl("get clusterrolebinding cluster-admin -o wide")).toMatch(/ClusterRole\/cluster-admin .* system:masters/);
  expect((await kubectl("get clusterroles -l kubernetes.io/bootstrapping=rbac-defaults -o name")).split("\n").length).toBeGreaterThan(60);
  expect(await kubectl("get priorityclass")).toMatch(/system-cluster-critical +2000000000 +false/);
  expect(await kubectl("get flowschema exempt")).toMatch(/exempt +exempt +1 +<none> +\S+ +False/);
  expect(await kubectl("get prioritylevelconfiguration workload-low -o jsonpath={.spec.limited.nominalConcurrencyShares}")).toBe("100");
  expect(await kubectl("get endpoints kubernetes -o name")).toBe("endpoints/kubernetes\n");
  expect(await kubectl("delete priorityclass system-node-critical")).toBe('Error from server (Forbidden): priorityclasses.scheduling.k8s.io "system-node-critical" is forbidden: this is a system priority class and cannot be deleted\nexit 1\n');
}, 60_000);

test("a certificate signing request says who asks", async () => {
  const recorded = readFileSync(join(process.env["KUBEWIRE_SHARED"] ?? "../shared", "recordings/default-certificatesigningrequests-certificates-v1.jsonl"), "utf8");
  const { request } = (JSON.parse(recorded.slice(0, recorded.indexOf("\n"))) as { request: { body: { spec: { request: string } } } }).request.body.spec;
  const made = await kubectl("create -o jsonpath={.spec.username},{.spec.groups[0]} -f -", JSON.stringify({
    apiVersion: "certificates.k8s.io/v1", kind: "CertificateSigningRequest", metadata: { name: "jane" },
    spec: { request, signerName: "example.com/signer", usages: ["client auth"], username: "somebody else" },
  }));
  expect(made).toBe("kubernetes-admin,system:masters");
}, 60_000);

test("kinds are looked up in OpenAPI version 2: lists, and what nobody knows", async () => {
  const list = (field: string): string => JSON.stringify({ apiVersion: "v1", kind: "List", items: [{ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "one" }, [field]: { a: "b" } }] });
  expect(await kubectl("create -f -", list("data"))).toBe("configmap/one created\n");
  expect(await kubectl("create -f -", list("dat"))).toMatch(/ValidationError\(ConfigMap\): unknown field "dat"/);
  expect(await kubectl("apply -f -", "apiVersion: foo.com/v1\nkind: Foo\nmetadata: {name: a}\n")).toBe('error: resource mapping not found for name: "a" namespace: "" from "STDIN": no matches for kind "Foo" in version "foo.com/v1"\nensure CRDs are installed first\nexit 1\n');
  expect(await kubectl("explain service.spec.ports --output plaintext-openapiv2")).toMatch(/RESOURCE: ports <\[\]Object>[^]*port\t<integer> -required-/);
}, 60_000);

test("mistakes are told in the server's words", async () => {
  expect(await kubectl("create ns default")).toBe('Error from server (AlreadyExists): namespaces "default" already exists\nexit 1\n');
  expect(await kubectl("delete ns default")).toBe('Error from server (Forbidden): namespaces "default" is forbidden: this namespace may not be deleted\nexit 1\n');
  expect(await kubectl("get pod nosuch")).toBe('Error from server (NotFound): pods "nosuch" not found\nexit 1\n');
  expect(await kubectl("get pods --field-selector=nosuch=1")).toContain('field label not supported: nosuch\nexit 1');
  expect(await kubectl("create configmap x -n nosuch")).toBe('error: failed to create configmap: namespaces "nosuch" not found\nexit 1\n');
  expect(await kubectl("create priorityclass system-mine --value=5")).toContain("system-mine is not a known system priority class");
}, 60_000);
