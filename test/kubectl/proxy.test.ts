/** HTTP to pods and services through the API server, as `kubectl get --raw` and `kubectl proxy` ask for it. */
import { request } from "node:http";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startServer, type UpServer } from "./server.ts";

let server: UpServer;

beforeAll(async () => {
  server = await startServer();
  await server.kubectl("run", "web", "--image=nginx", "--port=80", "--expose");
  await server.kubectl("wait", "--for=condition=Ready", "pod/web", "--timeout=60s");
  await server.kubectl("create", "service", "clusterip", "empty", "--tcp=80");
}, 120_000);

afterAll(() => server.stop(), 60_000);

/** The endpoints of a service come a moment after its pod. */
async function raw(path: string): Promise<string> {
  for (let i = 0; ; i++) {
    const { stdout, stderr, code } = await server.run(["get", "--raw", path]);
    if (code === 0 || i === 20 || !stderr.includes("no endpoints available")) return `${stdout}${stderr}`;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

const NAMESPACE = "/api/v1/namespaces/default";

test("a pod's and a service's page", async () => {
  const page = await raw(`${NAMESPACE}/pods/web/proxy/`);
  expect(page).toContain("<html");
  expect(await raw(`${NAMESPACE}/pods/web:80/proxy/`)).toBe(page);
  expect(await raw(`${NAMESPACE}/services/web:80/proxy/`)).toContain("<html");
  expect(await raw(`${NAMESPACE}/services/http:web:80/proxy/`)).toContain("<html");
}, 60_000);

test("what cannot be reached is told in upstream's words", async () => {
  expect(await raw(`${NAMESPACE}/pods/web:81/proxy/`)).toMatch(/^Error from server \(ServiceUnavailable\): error trying to reach service: dial tcp [\d.]+:81: connect: connection refused\n$/);
  expect(await raw(`${NAMESPACE}/services/web:81/proxy/`)).toBe('Error from server (ServiceUnavailable): no service port 81 found for service "web"\n');
  expect(await raw(`${NAMESPACE}/services/none/proxy/`)).toBe('Error from server (NotFound): services "none" not found\n');
  expect(await raw(`${NAMESPACE}/pods/ftp:web:21/proxy/`)).toBe('Error from server (BadRequest): invalid pod request "ftp:web:21"\n');
  expect((await server.run(["get", "--raw", `${NAMESPACE}/services/empty:80/proxy/`])).stderr).toContain("no endpoints available for service");
}, 60_000);

test("kubectl proxy: status, headers and bodies are the pod's own", async () => {
  const { child, text } = await server.start(["proxy", "--port=0"], (said) => said.includes("Starting to serve"));
  try {
    const [, port] = /127\.0\.0\.1:(\d+)/.exec(text())!;
    const send = (method: string, path: string, body?: Buffer): Promise<{ status: number; headers: Record<string, unknown>; body: Buffer }> =>
      new Promise((resolve, reject) => {
        const asked = request({ port: Number(port), method, path, headers: { "content-type": "application/octet-stream" } }, (answer) => {
          const parts: Buffer[] = [];
          answer.on("data", (part: Buffer) => parts.push(part));
          answer.on("end", () => resolve({ status: answer.statusCode!, headers: answer.headers, body: Buffer.concat(parts) }));
        });
        asked.on("error", reject);
        asked.end(body);
      });
    const page = await send("GET", `${NAMESPACE}/pods/web/proxy/index.html`);
    expect(page.status).toBe(200);
    expect(page.headers["content-type"]).toContain("text/html");
    expect((await send("GET", `${NAMESPACE}/pods/web/proxy/none`)).status).toBe(404);
    const head = await send("HEAD", `${NAMESPACE}/pods/web/proxy/`);
    expect([head.status, head.body.length]).toEqual([200, 0]);
    const root = await send("GET", `${NAMESPACE}/pods/web/proxy?x=1`);
    expect([root.status, root.headers["location"]]).toEqual([301, `${NAMESPACE}/pods/web/proxy/?x=1`]);
    expect((await send("POST", `${NAMESPACE}/pods/web/proxy/`, Buffer.from([0, 255]))).status).toBe(405);
  } finally {
    child.kill("SIGTERM");
  }
}, 60_000);
