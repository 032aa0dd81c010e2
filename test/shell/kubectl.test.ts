/** Shells in pods, as kubectl's users have them: exec, cp, run, attach, and volumes that containers share. */
import { spawn } from "node:child_process";
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

test("a terminal echoes, edits lines, prompts and knows its size", async () => {
  const typed = "echo abX\x7fc; stty size\nexit 4\n";
  // script(1) gives kubectl a terminal.
  const ran = await new Promise<string>((resolve) => {
    const child = spawn("script", ["-qec", "stty rows 33 cols 101; kubectl exec -it box -- sh", "/dev/null"], { env: server.env });
    let text = "";
    child.stdout.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes("# ") && child.stdin.writable && !child.stdin.writableEnded) setTimeout(() => child.stdin.writable && child.stdin.end(typed), 300);
    });
    child.on("exit", () => resolve(text));
  });
  expect(ran).toContain("/ # ");
  expect(ran).toContain("abc\r\n");
  expect(ran).toContain("33 101\r\n");
}, 60_000);

test("redis keeps what its clients say", async () => {
  await server.kubectl("run", "redis", "--image=redis:7");
  await server.kubectl("wait", "--for=condition=Ready", "pod/redis", "--timeout=30s");
  const redis = (...args: string[]): Promise<string> => server.kubectl("exec", "redis", "--", "redis-cli", ...args);
  expect(await redis("PING")).toBe("PONG\n");
  expect(await redis("SET", "k", "v w")).toBe("OK\n");
  expect(await redis("GET", "k")).toBe("v w\n");
  expect(await redis("INCR", "n")).toBe("1\n");
  expect(await redis("RPUSH", "l", "a", "b", "c")).toBe("3\n");
  expect(await redis("LRANGE", "l", "0", "-1")).toBe("a\nb\nc\n");
  expect(await redis("EXPIRE", "k", "100")).toBe("1\n");
  expect(Number(await redis("TTL", "k"))).toBeGreaterThan(90);
  expect((await server.run(["exec", "redis", "--", "redis-cli", "LPUSH", "k", "x"])).stdout).toContain("WRONGTYPE");
  const ip = await server.kubectl("get", "pod", "redis", "-o", "jsonpath={.status.podIP}");
  expect(await server.kubectl("exec", "box", "--", "sh", "-c", `printf 'PING\\r\\n' | nc -w 1 ${ip} 6379`)).toBe("+PONG\r\n");
}, 60_000);

test("agnhost and the tools of a node look at the network", async () => {
  await server.kubectl("run", "agnhost", "--image=registry.k8s.io/e2e-test-images/agnhost:2.53", "--", "netexec");
  await server.kubectl("wait", "--for=condition=Ready", "pod/agnhost", "--timeout=30s");
  const ip = await server.kubectl("get", "pod", "agnhost", "-o", "jsonpath={.status.podIP}");
  expect(await server.kubectl("exec", "box", "--", "wget", "-qO-", `http://${ip}:8080/hostname`)).toBe("agnhost");
  expect(await server.kubectl("exec", "agnhost", "--", "curl", "-s", `http://${ip}:8080/dial?host=${ip}&port=8081&protocol=udp&request=hostname`)).toBe('{"responses":["agnhost"]}');
  expect(await server.kubectl("exec", "agnhost", "--", "ip", "-4", "addr", "show", "eth0")).toContain(`inet ${ip}/24`);
  expect(await server.kubectl("exec", "agnhost", "--", "ss", "-tln")).toMatch(/:8080\b/);
}, 60_000);

test("any image runs where that is asked for", async () => {
  const other = await startServer({ "any-image": true });
  try {
    writeFileSync(join(other.folder, "pod.yaml"), `apiVersion: v1
kind: Pod
metadata: {name: mine}
spec:
  containers:
  - {name: c, image: "example.com/team/app:v7", command: [/app/server], ports: [{containerPort: 9090}], readinessProbe: {httpGet: {port: 9090, path: /}}}
`);
    await other.kubectl("apply", "-f", join(other.folder, "pod.yaml"));
    await other.kubectl("wait", "--for=condition=Ready", "pod/mine", "--timeout=30s");
    expect(await other.kubectl("exec", "mine", "--", "wget", "-qO-", "http://localhost:9090/x")).toBe("mine\n");
  } finally {
    await other.stop();
  }
}, 60_000);

test("nginx serves what its configuration says", async () => {
  writeFileSync(join(server.folder, "conf.yaml"), `apiVersion: v1
kind: ConfigMap
metadata: {name: conf}
data:
  default.conf: |
    server {
      listen 8080;
      location / { return 200 "hi from $hostname\\n"; add_header X-From "$host"; }
      location /files/ { alias /usr/share/nginx/html/; }
      location /up/ { proxy_pass http://localhost:8081/; }
    }
    server { listen 8081; location / { return 201 '$request_uri'; } }
---
apiVersion: v1
kind: Pod
metadata: {name: configured}
spec:
  containers:
  - {name: c, image: nginx, volumeMounts: [{name: conf, mountPath: /etc/nginx/conf.d}], readinessProbe: {httpGet: {port: 8080, path: /}, periodSeconds: 1}}
  volumes: [{name: conf, configMap: {name: conf}}]
`);
  await server.kubectl("apply", "-f", join(server.folder, "conf.yaml"));
  await server.kubectl("wait", "--for=condition=Ready", "pod/configured", "--timeout=30s");
  const inside = (script: string): Promise<string> => server.kubectl("exec", "configured", "--", "sh", "-c", script);
  expect(await inside("wget -qO- localhost:8080/x; wget -qO- localhost:8080/files/index.html | grep -c Welcome; wget -qO- 'localhost:8080/up/a?b'")).toBe("hi from configured\n2\n/a?b");
  expect(await inside("wget -SqO /dev/null localhost:8080/ 2>&1 | grep -i x-from; wget -qO- localhost:80 2>&1; nginx -t 2>&1; echo 'server {' > /tmp/x; nginx -t -c /tmp/x 2>&1; echo $?")).toBe(
    '  X-From: localhost\nwget: can\'t connect to remote host (127.0.0.1): Connection refused\nnginx: the configuration file /etc/nginx/nginx.conf syntax is ok\nnginx: configuration file /etc/nginx/nginx.conf test is successful\n' +
    'nginx: [emerg] unexpected end of file, expecting ";" or "}" in /tmp/x:2\nnginx: configuration file /tmp/x test failed\n1\n');
}, 60_000);
