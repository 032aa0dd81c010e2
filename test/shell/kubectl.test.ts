/** Shells in pods, as kubectl's users have them: exec, cp, run, attach, and volumes that containers share. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startServer, type UpServer } from "../kubectl/server.ts";

let server: UpServer;

const PODS = `
apiVersion: v1
kind: Pod
metadata: {name: box}
spec:
  containers:
  - {name: box, image: busybox, command: [sh, -c, "echo started; sleep 3600"]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: pages}
data: {index.html: "from a config map\\n"}
---
apiVersion: v1
kind: Pod
metadata: {name: shared}
spec:
  containers:
  - {name: web, image: "nginx:1.27", volumeMounts: [{name: pages, mountPath: /usr/share/nginx/html}]}
  - {name: writer, image: busybox, command: [sh, -c, "while true; do date > /scratch/now; sleep 1; done"], volumeMounts: [{name: scratch, mountPath: /scratch}]}
  - {name: reader, image: busybox, command: [sh], stdin: true, tty: true, volumeMounts: [{name: scratch, mountPath: /in, readOnly: true}]}
  volumes: [{name: pages, configMap: {name: pages}}, {name: scratch, emptyDir: {}}]
`;

beforeAll(async () => {
  server = await startServer();
  writeFileSync(join(server.folder, "pods.yaml"), PODS);
  await server.kubectl("apply", "-f", join(server.folder, "pods.yaml"));
  await server.kubectl("wait", "--for=condition=Ready", "pod/box", "pod/shared", "--timeout=60s");
}, 120_000);

afterAll(() => server.stop(), 60_000);

test("a shell gets its commands, standard input and exit code", async () => {
  expect(await server.kubectl("logs", "box")).toBe("started\n");
  expect(await server.run(["exec", "box", "--", "sh", "-c", "for i in 1 2; do echo $i; done | tac; exit 3"])).toMatchObject({ code: 3, stdout: "2\n1\n" });
  expect(await server.run(["exec", "-i", "box", "--", "sh"], "x=$(hostname)\nread line\nto be read\necho \"$x: $line\"\nexit 5\n")).toMatchObject({ code: 5, stdout: "box: to be read\n" });
  expect((await server.run(["exec", "box", "--", "sh", "-c", "nosuch"])).stderr).toContain("sh: nosuch: not found");
  expect((await server.run(["exec", "box", "--", "sh", "-c", "kill -9 $$"])).code).toBe(137);
}, 60_000);

test("cp takes trees and bytes both ways", async () => {
  const from = join(server.folder, "from"), back = join(server.folder, "back");
  mkdirSync(join(from, "sub"), { recursive: true });
  const bytes = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * 7) & 255));
  writeFileSync(join(from, "text"), "some text\n");
  writeFileSync(join(from, "sub", "bytes"), bytes);
  await server.kubectl("cp", from, "box:/tmp/there");
  expect(await server.kubectl("exec", "box", "--", "sh", "-c", "cat /tmp/there/text; wc -c < /tmp/there/sub/bytes")).toBe("some text\n200000\n");
  await server.kubectl("cp", "box:/tmp/there", back);
  expect(readFileSync(join(back, "sub", "bytes")).equals(bytes)).toBe(true);
  rmSync(back, { recursive: true });
}, 60_000);

test("run prints what the program says", async () => {
  expect(await server.run(["run", "-i", "--rm", "once", "--image=busybox", "--restart=Never", "--", "sh", "-c", "read x; echo got $x"], "it\n")).toMatchObject({ code: 0, stdout: expect.stringContaining("got it\n") as string });
}, 60_000);

test("containers of a pod share volumes, and serve what is in them", async () => {
  const ip = await server.kubectl("get", "pod", "shared", "-o", "jsonpath={.status.podIP}");
  expect(await server.kubectl("exec", "box", "--", "wget", "-qO-", `http://${ip}/`)).toBe("from a config map\n");
  expect(await server.kubectl("exec", "shared", "-c", "reader", "--", "cat", "/in/now")).toMatch(/^\w{3} \w{3} +\d+ \d\d:\d\d:\d\d UTC \d{4}\n$/);
  expect((await server.run(["exec", "shared", "-c", "reader", "--", "sh", "-c", "echo x > /in/now"])).stderr).toContain("sh: can't create /in/now: Read-only file system");
}, 60_000);
