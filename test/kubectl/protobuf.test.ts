/** What the real kubectl sends in protobuf, written again byte by byte; and it reads what is answered so. */
import { execFile } from "node:child_process";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { decodeStruct } from "../../src/api/schema.ts";
import { apiVersionOf } from "../../src/api/resources.ts";
import { complete } from "../../src/kube-apiserver/complete/index.ts";
import { decodeEnvelope } from "../../src/kube-apiserver/complete/protobuf.ts";
import { encodeEnvelope } from "../../src/kube-apiserver/complete/protobuf-encode.ts";
import { typeOf } from "../../src/kube-apiserver/registry/descriptor.ts";
import { REGISTRY } from "../../src/kube-apiserver/registry/index.ts";
import { startServer, type UpServer } from "./server.ts";

let echo: Server;
const sent: Uint8Array[] = [];

beforeAll(async () => {
  complete.load();
  echo = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const body = Buffer.concat(parts);
      if (request.headers["content-type"] === "application/vnd.kubernetes.protobuf") sent.push(new Uint8Array(body));
      response.writeHead(request.method === "POST" ? 201 : 404, { "content-type": request.headers["content-type"] ?? "text/plain" });
      response.end(body);
    });
  });
  await new Promise<void>((resolve) => echo.listen(0, "127.0.0.1", resolve));
});

afterAll(() => {
  echo.close();
});

const TYPES = new Map([...REGISTRY, ...complete.resources].map((d) => [`${apiVersionOf(d.name)}/${d.name.kind}`, typeOf(d)]));
const EXTRA: Readonly<Record<string, string>> = { "authentication.k8s.io/v1/TokenRequest": "TokenRequest" };
const typeOfKind = (apiVersion: string, kind: string): string | undefined => TYPES.get(`${apiVersion}/${kind}`) ?? EXTRA[`${apiVersion}/${kind}`];

const COMMANDS = [
  "create namespace n", "create configmap c --from-literal=a=1 --from-literal=b=2", "create secret generic s --from-literal=k=v",
  "create deployment d --image=nginx --replicas=3 --port=80", "create service clusterip s --tcp=80:8080", "create service nodeport s --tcp=80:http --node-port=30080",
  "create serviceaccount a", "create rolebinding b --role=r --user=u --serviceaccount=n:a",
  "create clusterrole cr --verb=get --non-resource-url=/x", "create clusterrolebinding cb --clusterrole=cr --group=g", "create job j --image=busybox -- sh -c true",
  "create cronjob cj --image=busybox --schedule=*/5_*_*_*_*", "create quota q --hard=cpu=1,pods=2", "create pdb p --selector=a=b --min-available=50%",
  "create priorityclass pc --value=-5 --description=low", "create ingress i --class=c --rule=foo.com/bar*=svc:8080,tls=t", "create token a --duration=1h",
];

test.each(COMMANDS)("kubectl %s", async (command) => {
  sent.length = 0;
  const { port } = echo.address() as AddressInfo;
  await new Promise<void>((resolve) => {
    execFile("kubectl", ["-s", `http://127.0.0.1:${port}`, "-n", "default", ...command.split(" ").map((word) => (command.includes("cronjob") ? word.replaceAll("_", " ") : word))], { env: { ...process.env, KUBECONFIG: "/dev/null" }, timeout: 30_000 }, () => resolve());
  });
  expect(sent.length).toBeGreaterThan(0);
  const bytes = sent.at(-1)!;
  const object = decodeEnvelope(bytes, typeOfKind);
  const type = typeOfKind(String(object["apiVersion"]), String(object["kind"]))!;
  const again = encodeEnvelope(decodeStruct(type, object, { strict: [] }), typeOfKind)!;
  expect(Buffer.from(again).toString("hex")).toBe(Buffer.from(bytes).toString("hex"));
}, 60_000);

let server: UpServer | undefined;
afterAll(() => server?.stop(), 60_000);

test("kubectl reads protobuf", async () => {
  server = await startServer({ nodes: 0, controllers: "none" });
  await server.kubectl("create", "configmap", "c", "--from-literal=a=1");
  expect(await server.kubectl("describe", "configmap", "c")).toMatch(/Name: +c[\s\S]*a:\n----\n1\n/);
  const missing = await server.run(["describe", "configmap", "none"]);
  expect(missing.stderr).toContain('configmaps "none" not found');
  expect(await server.kubectl("describe", "namespace", "default")).toMatch(/Status: +Active/);
}, 60_000);
