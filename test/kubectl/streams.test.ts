/** What the real kubectl does with a running pod: logs, exec, attach, port-forward, drain, tokens. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startServer, type UpServer } from "./server.ts";

let server: UpServer;

const run: UpServer["run"] = (args, input, extra) => server.run(args, input, extra);
/** The way of kubectl before 1.31, and of today's where WebSockets fail. */
const SPDY = { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: "false", KUBECTL_PORT_FORWARD_WEBSOCKETS: "false" };
const kubectl = (...args: string[]): Promise<string> => server.kubectl(...args);

const PODS = `
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {containers: [{name: web, image: "nginx:1.27"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: box, labels: {app: box}}
spec: {containers: [{name: box, image: busybox, command: [sleep, infinity]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: once}
spec: {restartPolicy: Never, containers: [{name: c, image: busybox, command: [echo, hello]}]}
`;

beforeAll(async () => {
  server = await startServer();
  writeFileSync(join(server.folder, "pods.yaml"), PODS);
  await kubectl("apply", "-f", join(server.folder, "pods.yaml"));
  await kubectl("wait", "--for=condition=Ready", "pod/web", "pod/box", "--timeout=30s");
}, 90_000);

afterAll(() => server.stop(), 60_000);

test.each([["WebSockets", {}], ["SPDY", SPDY]])("exec by %s: output, exit codes, standard input, what cannot be run", async (_, extra) => {
  const exec = (args: readonly string[], input?: string): ReturnType<typeof run> => run(args, input, extra);
  // On stderr kubectl may grumble about the empty message that says it is connected: it reads before it has its streams.
  expect(await exec(["exec", "box", "--", "echo", "a", "b"])).toMatchObject({ code: 0, stdout: "a b\n" });
  expect(await exec(["exec", "box", "--", "false"])).toMatchObject({ code: 1, stderr: expect.stringContaining("command terminated with exit code 1") as string });
  expect(await exec(["exec", "-i", "box", "--", "cat"], "some\ntext\n")).toMatchObject({ code: 0, stdout: "some\ntext\n" });
  expect((await exec(["exec", "box", "--", "nothing"])).stderr).toMatch(/exec: "nothing": executable file not found in \$PATH/);
  expect((await exec(["exec", "box", "-c", "zz", "--", "ls"])).stderr).toMatch(/container zz is not valid for pod box|container not found/);
}, 60_000);

test.each([["WebSockets", {}], ["SPDY", SPDY]])("attach by %s, with standard input; files by cp", async (_, extra) => {
  const way = Object.keys(extra).length === 0 ? "ws" : "spdy";
  const run1 = await run(["run", `reader-${way}`, "--image=busybox", "--restart=Never", "-i", "--rm", "--quiet", "--", "cat"], "through\nattach\n", extra);
  expect(run1).toMatchObject({ code: 0, stdout: "through\nattach\n" });
  writeFileSync(join(server.folder, "sent"), "a file\n");
  expect(await run(["cp", join(server.folder, "sent"), `box:/tmp/sent-${way}`], "", extra)).toMatchObject({ code: 0 });
  expect(await run(["cp", `box:/tmp/sent-${way}`, join(server.folder, `back-${way}`)], "", extra)).toMatchObject({ code: 0 });
  expect(readFileSync(join(server.folder, `back-${way}`), "utf8")).toBe("a file\n");
}, 60_000);

test("logs: whole, the last lines, with times, and followed", async () => {
  await kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/once", "--timeout=30s");
  expect(await kubectl("logs", "once")).toBe("hello\n");
  expect(await kubectl("logs", "once", "--timestamps")).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z hello\n$/);
  expect(await kubectl("logs", "once", "--tail=0")).toBe("");
  const ip = await kubectl("get", "pod", "web", "-o", "jsonpath={.status.podIP}");
  await kubectl("exec", "box", "--", "wget", "-q", "-O", "-", `http://${ip}/first`).catch(() => "");
  const following = await server.start(["logs", "-f", "web"], (text) => text.includes("/first"));
  await kubectl("exec", "box", "--", "wget", "-q", "-O", "-", `http://${ip}/followed`).catch(() => "");
  for (let i = 0; i < 100 && !following.text().includes("/followed"); i++) await new Promise((resolve) => setTimeout(resolve, 100));
  following.child.kill();
  expect(following.text()).toContain("/followed");
}, 60_000);

test.each([["WebSockets", {}], ["SPDY", SPDY]])("port-forward by %s, and HTTP through it", async (_, extra) => {
  const { child, text } = await server.start(["port-forward", "pod/web", ":80"], (said) => /Forwarding from 127\.0\.0\.1:\d+/.test(said), extra);
  try {
    const port = /127\.0\.0\.1:(\d+)/.exec(text())![1]!;
    for (let i = 0; i < 3; i++) {
      const answer = await fetch(`http://127.0.0.1:${port}/`);
      expect(answer.status).toBe(200);
      expect((await answer.text()).length).toBeGreaterThan(0);
    }
  } finally {
    child.kill();
  }
}, 60_000);

test("tokens, identity and access", async () => {
  await kubectl("create", "serviceaccount", "robot");
  expect(await kubectl("create", "token", "robot")).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n?$/);
  expect(await kubectl("auth", "can-i", "delete", "nodes")).toBe("yes\n");
  expect(await kubectl("auth", "can-i", "--list")).toMatch(/\*\.\* +\[\] +\[\] +\[\*\]/);
  expect(await kubectl("auth", "whoami")).toMatch(/Username +kubernetes-admin/);
}, 60_000);

test("debug adds an ephemeral container", async () => {
  await kubectl("debug", "box", "--image=busybox", "--container=dbg", "--", "sleep", "1");
  expect(await kubectl("get", "pod", "box", "-o", "jsonpath={.spec.ephemeralContainers[*].name}")).toBe("dbg");
}, 60_000);

test("drain evicts what budgets let go", async () => {
  expect(await kubectl("drain", "node-1", "--force", "--ignore-daemonsets", "--delete-emptydir-data", "--pod-selector=app=web", "--timeout=50s")).toMatch(/pod\/web evicted/);
  expect(await kubectl("get", "node", "node-1", "-o", "jsonpath={.spec.unschedulable}")).toBe("true");
  await kubectl("uncordon", "node-1");
}, 90_000);
