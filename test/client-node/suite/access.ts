/** Who gets in and as whom: tokens, client certificates, service accounts, impersonation; a server with kube-apiserver's flags. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ApisApi, AuthenticationV1Api, CoreV1Api, KubeConfig, VersionApi, type User } from "@kubernetes/client-node";
import { afterAll, describe, expect, test } from "vitest";
import { failure, session } from "./common.ts";

const folder = mkdtempSync(join(tmpdir(), "kubewire-access-"));
const at = (name: string): string => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true }));

/** An authority, and certificates by it. */
function authority(name: string): (subject: string, file: string) => void {
  const openssl = (...args: string[]): void => void execFileSync("openssl", args, { stdio: "ignore" });
  openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-keyout", at(`${name}.key`), "-out", at(`${name}.crt`), "-subj", `/CN=${name}`);
  return (subject, file) => {
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", at(`${file}.key`), "-out", at(`${file}.csr`), "-subj", subject);
    openssl("x509", "-req", "-in", at(`${file}.csr`), "-CA", at(`${name}.crt`), "-CAkey", at(`${name}.key`), "-days", "30", "-out", at(`${file}.crt`), "-set_serial", "7");
  };
}
const issue = authority("clients");
issue("/O=system:masters/O=admins/CN=root", "root");
issue("/O=devs/CN=jane", "jane");
authority("others")("/O=system:masters/CN=mallory", "mallory");
writeFileSync(at("tokens.csv"), 'joe-token,joe,uid-joe,"devs,ops"\nboss-token,boss,uid-boss,system:masters\n');

const s = session({
  nodes: 0, controllers: "none", "client-ca-file": at("clients.crt"), "token-auth-file": at("tokens.csv"), "service-cluster-ip-range": "10.20.0.0/16", "service-node-port-range": "31000-31099",
});

/** The kubeconfig's cluster with other credentials. */
function as(user: Partial<User>): KubeConfig {
  const config = new KubeConfig();
  config.loadFromClusterAndUser(s.config.getCurrentCluster()!, { name: "somebody", ...user });
  return config;
}
const by = (file: string): KubeConfig => as({ certFile: at(`${file}.crt`), keyFile: at(`${file}.key`) });
const whoAmI = async (config: KubeConfig): Promise<unknown> => (await config.makeApiClient(AuthenticationV1Api).createSelfSubjectReview({ body: {} })).status!.userInfo;

describe("who asks", () => {
  test("client certificates say it by their subject", async () => {
    expect(await whoAmI(by("root"))).toMatchObject({
      username: "root", groups: ["system:masters", "admins", "system:authenticated"], extra: { "authentication.kubernetes.io/credential-id": [expect.stringMatching(/^X509SHA256=[0-9a-f]{64}$/) as string] },
    });
    expect((await by("root").makeApiClient(CoreV1Api).listNamespace()).items.length).toBeGreaterThan(0);
    expect(await whoAmI(by("jane"))).toMatchObject({ username: "jane", groups: ["devs", "system:authenticated"] });
    // By an authority that is none of the server's.
    expect((await failure(whoAmI(by("mallory")))).code).toBe(401);
  });

  test("tokens", async () => {
    expect(await whoAmI(as({ token: "joe-token" }))).toEqual({ username: "joe", uid: "uid-joe", groups: ["devs", "ops", "system:authenticated"] });
    expect((await as({ token: "boss-token" }).makeApiClient(CoreV1Api).listNamespace()).items.length).toBeGreaterThan(0);
    const wrong = await failure(whoAmI(as({ token: "nobody's" })));
    expect(wrong.code).toBe(401);
    // A certificate that counts comes first.
    expect(await whoAmI(as({ token: "joe-token", certFile: at("jane.crt"), keyFile: at("jane.key") }))).toMatchObject({ username: "jane" });
  });

  test("service accounts", async () => {
    const core = s.config.makeApiClient(CoreV1Api);
    await core.createNamespacedServiceAccount({ namespace: "default", body: { metadata: { name: "robot" } } });
    const { status } = await core.createNamespacedServiceAccountToken({ name: "robot", namespace: "default", body: { spec: { audiences: [], expirationSeconds: 3600 } } });
    const robot = as({ token: status!.token! });
    expect(await whoAmI(robot)).toMatchObject({
      username: "system:serviceaccount:default:robot", groups: ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"],
    });
    expect((await failure(robot.makeApiClient(CoreV1Api).listNamespacedPod({ namespace: "default" }))).code).toBe(403);
    await core.deleteNamespacedServiceAccount({ name: "robot", namespace: "default" });
    expect((await failure(whoAmI(robot))).code).toBe(401);
  });

  test("impersonation", async () => {
    expect(await whoAmI(as({ token: "boss-token", impersonateUser: "sue" }))).toEqual({ username: "sue", groups: ["system:authenticated"] });
    const refused = await failure(whoAmI(as({ token: "joe-token", impersonateUser: "sue" })));
    expect(JSON.parse(refused.body)).toMatchObject({ code: 403, message: 'users "sue" is forbidden: User "joe" cannot impersonate resource "users" in API group "" at the cluster scope' });
  });
});

describe("what they may", () => {
  test("discovery and health, and nothing of others", async () => {
    const joe = as({ token: "joe-token" });
    expect((await joe.makeApiClient(ApisApi).getAPIVersions()).groups.length).toBeGreaterThan(10);
    expect((await joe.makeApiClient(VersionApi).getCode()).minor).toBe("32");
    const refused = await failure(joe.makeApiClient(CoreV1Api).readNamespacedConfigMap({ name: "x", namespace: "default" }));
    expect(JSON.parse(refused.body)).toEqual({
      kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message: 'configmaps "x" is forbidden: User "joe" cannot get resource "configmaps" in API group "" in the namespace "default"',
      reason: "Forbidden", details: { name: "x", kind: "configmaps" }, code: 403,
    });
    expect(refused.headers["x-kubernetes-pf-flowschema-uid"]).toMatch(/-/);
    const anonymous = as({});
    expect((await anonymous.makeApiClient(VersionApi).getCode()).major).toBe("1");
    expect(JSON.parse((await failure(anonymous.makeApiClient(CoreV1Api).listNode())).body)).toMatchObject({ message: 'nodes is forbidden: User "system:anonymous" cannot list resource "nodes" in API group "" at the cluster scope' });
  });
});

test("ranges of services are those of the flags", async () => {
  const core = s.config.makeApiClient(CoreV1Api);
  expect((await core.readNamespacedService({ name: "kubernetes", namespace: "default" })).spec!.clusterIP).toBe("10.20.0.1");
  const made = await core.createNamespacedService({ namespace: "default", body: { metadata: { name: "a" }, spec: { type: "NodePort", ports: [{ port: 80 }] } } });
  expect(made.spec!.clusterIP).toMatch(/^10\.20\./);
  expect(made.spec!.ports![0]!.nodePort).toBeGreaterThanOrEqual(31000);
  expect(made.spec!.ports![0]!.nodePort).toBeLessThanOrEqual(31099);
});

/** One request without a client library. */
function get(url: string, options: object): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    request(url, options, (answer) => {
      let body = "";
      answer.on("data", (chunk: Buffer) => (body += chunk.toString()));
      answer.on("end", () => resolve({ status: answer.statusCode!, body }));
    }).on("error", reject).end();
  });
}

describe("another server", () => {
  issue("/CN=localhost", "server");
  writeFileSync(at("san.ext"), "subjectAltName=IP:127.0.0.1\n");
  execFileSync("openssl", ["x509", "-req", "-in", at("server.csr"), "-CA", at("clients.crt"), "-CAkey", at("clients.key"), "-days", "30", "-out", at("server.crt"), "-set_serial", "9", "-extfile", at("san.ext")], { stdio: "ignore" });
  // The chain, as servers have it: clients of the kubeconfig verify by what is in it.
  writeFileSync(at("server.crt"), readFileSync(at("server.crt"), "utf8") + readFileSync(at("clients.crt"), "utf8"));
  const other = session({
    nodes: 0, controllers: "none", "anonymous-auth": false, "disable-http2-serving": true, "tls-cert-file": at("server.crt"), "tls-private-key-file": at("server.key"), "tls-min-version": "VersionTLS13",
    "authorization-mode": ["AlwaysAllow"], "token-auth-file": at("tokens.csv"), "enable-priority-and-fairness": false, "request-timeout": "10s",
  });

  test("nobody without credentials, everybody else may all", async () => {
    const ca = readFileSync(at("clients.crt"));
    expect((await get(`${other.server.url}/version`, { ca })).status).toBe(401);
    expect((await get(`${other.server.url}/api/v1/nodes`, { ca, headers: { authorization: "Bearer joe-token" } })).status).toBe(200);
    expect(await get(`${other.server.url}/version?timeout=x`, { ca, headers: { authorization: "Bearer joe-token" } })).toMatchObject({ status: 400, body: expect.stringContaining('invalid timeout specified in the request URL - time: invalid duration') as string });
    await expect(get(`${other.server.url}/version`, { ca, maxVersion: "TLSv1.2" })).rejects.toThrow(/protocol version/);
    expect((await other.config.makeApiClient(CoreV1Api).listNamespace()).items.length).toBeGreaterThan(0);
  });
});
