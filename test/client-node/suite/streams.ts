/** What goes on in pods: Exec, Attach, Log, PortForward; and top, health. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Writable } from "node:stream";
import { Attach, BatchV1Api, CoreV1Api, Cp, Exec, Health, KubernetesObjectApi, Log, type LogOptions, loadAllYaml, Metrics, PortForward, topNodes, topPods, type V1Status, type KubernetesObject } from "@kubernetes/client-node";
import { beforeAll, describe, expect, test } from "vitest";
import { failure, session, until } from "./common.ts";

const s = session();
let core: CoreV1Api;
const namespace = "default";

/** A stream that keeps what is written. */
class Kept extends Writable {
  text = "";
  override _write(chunk: Buffer, _: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

beforeAll(async () => {
  core = s.config.makeApiClient(CoreV1Api);
  const objects = KubernetesObjectApi.makeApiClient(s.config);
  for (const spec of loadAllYaml(`
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {containers: [{name: web, image: "nginx:1.27"}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: box}
spec: {containers: [{name: box, image: busybox, command: [sleep, infinity], resources: {requests: {cpu: 100m, memory: 64Mi}}}]}
---
apiVersion: v1
kind: Pod
metadata: {name: talk}
spec: {containers: [{name: talk, image: busybox, command: [ping, 127.0.0.1]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: reader}
spec: {containers: [{name: reader, image: busybox, stdin: true, command: [cat]}, {name: term, image: busybox, stdin: true, tty: true, command: [sh]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: once}
spec: {restartPolicy: Never, containers: [{name: c, image: busybox, command: [echo, "one\\ntwo\\nthree\\nfour"]}]}
`) as KubernetesObject[]) await objects.create({ ...spec, metadata: { ...spec.metadata, namespace } });
  for (const name of ["web", "box", "talk", "reader"]) {
    await until(async () => (await core.readNamespacedPod({ name, namespace })).status!.conditions?.some(({ type, status }) => type === "Ready" && status === "True"));
  }
  await until(async () => (await core.readNamespacedPod({ name: "once", namespace })).status!.phase === "Succeeded");
});

interface Ran {
  readonly stdout: string;
  readonly stderr: string;
  readonly status: V1Status;
}

/** Runs to the end. */
async function exec(command: string[], stdin?: string, tty = false): Promise<Ran> {
  const stdout = new Kept();
  const stderr = new Kept();
  const input = stdin === undefined ? null : new PassThrough();
  const ended = new Promise<V1Status>((resolve, reject) => {
    new Exec(s.config).exec(namespace, "box", "box", command, stdout, tty ? null : stderr, input, tty, resolve).then(() => input?.end(stdin), reject);
  });
  const status = await ended;
  return { stdout: stdout.text, stderr: stderr.text, status };
}

describe("exec", () => {
  test("output and exit codes", async () => {
    expect(await exec(["echo", "a", "b"])).toMatchObject({ stdout: "a b\n", stderr: "", status: { status: "Success" } });
    const failed = await exec(["cat", "/nosuch"]);
    expect(failed).toMatchObject({ stdout: "", stderr: "cat: can't open '/nosuch': No such file or directory\n" });
    expect(failed.status).toMatchObject({
      status: "Failure", reason: "NonZeroExitCode", message: "command terminated with non-zero exit code: command terminated with exit code 1", details: { causes: [{ reason: "ExitCode", message: "1" }] },
    });
  });

  test("a shell: both channels, its own exit code", async () => {
    const ran = await exec(["sh", "-c", "echo out; echo err >&2; exit 3"]);
    expect(ran).toMatchObject({ stdout: "out\n", stderr: "err\n", status: { reason: "NonZeroExitCode", details: { causes: [{ reason: "ExitCode", message: "3" }] } } });
    expect((await exec(["sh"], "echo $((6 * 7))\nexit 4\n"))).toMatchObject({ stdout: "42\n", status: { details: { causes: [{ message: "4" }] } } });
  });

  test("a terminal: one channel, its size, and how that changes", async () => {
    const stdout = Object.assign(new Kept(), { rows: 24, columns: 80 });
    const stdin = new PassThrough();
    let status: V1Status | undefined;
    await new Exec(s.config).exec(namespace, "box", "box", ["sh"], stdout, null, stdin, true, (ended) => (status = ended));
    stdin.write("stty size\n");
    await until(() => stdout.text.includes("24 80"));
    Object.assign(stdout, { rows: 50, columns: 132 });
    stdout.emit("resize");
    stdin.write("stty size\n");
    await until(() => {
      if (!stdout.text.includes("50 132")) stdin.write("stty size\n");
      return stdout.text.includes("50 132");
    });
    stdin.write("nosuch\n");
    await until(() => /nosuch: not found/.test(stdout.text));
    stdin.write("exit\n");
    await until(() => status);
    // Lines end as terminals have it, and what is typed is shown.
    expect(stdout.text).toMatch(/stty size\r\n24 80\r\n/);
  });

  test("standard input, and its end", async () => {
    expect(await exec(["cat"], "some\ntext\n")).toMatchObject({ stdout: "some\ntext\n", status: { status: "Success" } });
    const big = "0123456789abcdef".repeat(20_000);
    expect((await exec(["cat"], big)).stdout.length).toBe(big.length);
  });

  test("what cannot be run, and where", async () => {
    expect((await exec(["nosuch"])).status).toMatchObject({ status: "Failure", reason: "InternalError", message: expect.stringContaining('exec: "nosuch": executable file not found in $PATH') as string });
    await expect(new Exec(s.config).exec(namespace, "nosuch", "c", ["ls"], new Kept(), null, null, false)).rejects.toMatchObject({ message: "Unexpected server response: 404" });
    await expect(new Exec(s.config).exec(namespace, "box", "nosuch", ["ls"], new Kept(), null, null, false)).rejects.toMatchObject({ message: "Unexpected server response: 400" });
  });

  test("several at once do not mix", async () => {
    const all = await Promise.all(Array.from({ length: 10 }, (_, i) => exec(["echo", String(i)])));
    expect(all.map(({ stdout }) => stdout)).toEqual(Array.from({ length: 10 }, (_, i) => `${i}\n`));
  });
});

test("attach shows what a running container says", async () => {
  const stdout = new Kept();
  const socket = await new Attach(s.config).attach(namespace, "talk", "talk", stdout, null, null, false);
  await until(() => /seq=\d+ .*\n.*seq=\d+ /.test(stdout.text));
  socket.close();
});

test("attach writes to what a container reads", async () => {
  const stdout = new Kept();
  const stdin = new PassThrough();
  const socket = await new Attach(s.config).attach(namespace, "reader", "reader", stdout, null, stdin, false);
  stdin.write("hello\n");
  await until(() => stdout.text === "hello\n");
  socket.close();
  // It is still there for the next.
  const again = new Kept();
  const more = new PassThrough();
  const other = await new Attach(s.config).attach(namespace, "reader", "reader", again, null, more, false);
  more.write("again\n");
  await until(() => again.text === "again\n");
  other.close();
  expect(await core.readNamespacedPodLog({ name: "reader", namespace, container: "reader" })).toBe("hello\nagain\n");
});

test("attach to a terminal, and its size", async () => {
  const stdout = Object.assign(new Kept(), { rows: 30, columns: 100 });
  const stdin = new PassThrough();
  const socket = await new Attach(s.config).attach(namespace, "reader", "term", stdout, null, stdin, true);
  await until(() => {
    if (!stdout.text.includes("30 100")) stdin.write("stty size\n");
    return stdout.text.includes("30 100");
  });
  socket.close();
});

test("files go to a container and come back", async () => {
  const folder = mkdtempSync(join(tmpdir(), "kubewire-cp-"));
  mkdirSync(join(folder, "from/deep"), { recursive: true });
  mkdirSync(join(folder, "to"));
  writeFileSync(join(folder, "from/a.txt"), "some text\n");
  const bytes = Buffer.from(Array.from({ length: 100_000 }, (_, i) => (i * 7) & 255));
  writeFileSync(join(folder, "from/deep/b.bin"), bytes);
  await exec(["mkdir", "-p", "/tmp/cp"]);
  const cp = new Cp(s.config);
  await cp.cpToPod(namespace, "box", "box", join(folder, "from"), "/tmp/cp");
  await until(async () => (await exec(["sh", "-c", "wc -c < /tmp/cp/deep/b.bin"])).stdout.trim() === "100000");
  expect((await exec(["cat", "/tmp/cp/a.txt"])).stdout).toBe("some text\n");
  await cp.cpFromPod(namespace, "box", "box", ".", join(folder, "to"), "/tmp/cp");
  await until(() => existsSync(join(folder, "to/deep/b.bin")) && readFileSync(join(folder, "to/deep/b.bin")).equals(bytes));
  rmSync(folder, { recursive: true });
});

describe("logs", () => {
  /** What a stream gets until it ends. */
  async function logged(pod: string, options: LogOptions = {}): Promise<string> {
    const into = new Kept();
    let over = false;
    into.on("finish", () => (over = true));
    await new Log(s.config).log(namespace, pod, "", into, options);
    await until(() => over);
    return into.text;
  }

  test("whole, the last lines, with times, since, limited", async () => {
    expect(await core.readNamespacedPodLog({ name: "once", namespace })).toBe("one\ntwo\nthree\nfour\n");
    expect(await logged("once")).toBe("one\ntwo\nthree\nfour\n");
    expect(await logged("once", { tailLines: 2 })).toBe("three\nfour\n");
    expect(await logged("once", { timestamps: true, tailLines: 1 })).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z four\n$/);
    expect(await core.readNamespacedPodLog({ name: "once", namespace, limitBytes: 5 })).toBe("one\nt");
    expect(await core.readNamespacedPodLog({ name: "once", namespace, sinceSeconds: 3600, tailLines: 1 })).toBe("four\n");
    const future = new Date(Date.now() + 3_600_000).toISOString();
    expect(await logged("once", { sinceTime: future })).toBe("");
  });

  test("followed, until it is enough", async () => {
    const text = await logged("talk", { follow: true, tailLines: 1, limitBytes: 170 });
    const numbers = [...text.matchAll(/seq=(\d+)/g)].map(([, n]) => Number(n));
    expect(numbers.length).toBeGreaterThanOrEqual(2);
    for (const [i, n] of numbers.entries()) expect(n).toBe(numbers[0]! + i);
  });

  test("refusals", async () => {
    expect((await failure(new Log(s.config).log(namespace, "nosuch", "c", new Kept()))).code).toBe(404);
    const container = await failure(core.readNamespacedPodLog({ name: "box", namespace, container: "nosuch" }));
    expect(JSON.parse(container.body)).toMatchObject({ reason: "BadRequest", message: "container nosuch is not valid for pod box" });
    expect((await failure(core.readNamespacedPodLog({ name: "box", namespace, previous: true }))).body).toContain("previous terminated container");
  });
});

describe("port-forward", () => {
  /** One request through the port. */
  async function get(path: string, port = 80): Promise<{ text: string; errors: string }> {
    const output = new Kept();
    const errors = new Kept();
    const input = new PassThrough();
    const socket = await new PortForward(s.config).portForward(namespace, "web", [port], output, errors, input);
    input.write(`GET ${path} HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n`);
    let closed = false;
    (socket as unknown as { onclose: () => void }).onclose = () => (closed = true);
    await until(() => closed);
    return { text: output.text, errors: errors.text };
  }

  test("HTTP by it", async () => {
    const { text, errors } = await get("/");
    expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*Welcome to nginx/);
    expect(errors).toBe("");
  });

  test("where nobody listens", async () => {
    const { text, errors } = await get("/", 81);
    expect(text).toBe("");
    expect(errors).toMatch(/^error forwarding port 81 to pod [0-9a-f]{64}, uid : failed to execute portforward in network namespace.*connection refused/);
  });

  test("to a service", async () => {
    const output = new Kept();
    const input = new PassThrough();
    await new PortForward(s.config).portForwardService(namespace, "web", [80], output, null, input);
    input.write("GET / HTTP/1.0\r\n\r\n");
    await until(() => output.text.includes("Welcome to nginx"));
  });
});

test("health", async () => {
  const health = new Health(s.config);
  expect([await health.livez({}), await health.readyz({})]).toEqual([true, true]);
});

test("what nodes have and pods ask for", async () => {
  const [node] = await topNodes(core);
  expect(node!.Node.metadata!.name).toBe("node-1");
  expect(Number(node!.CPU.RequestTotal)).toBeGreaterThanOrEqual(0.1);
  expect(Number(node!.Memory.Capacity)).toBeGreaterThan(0);
});

test("what they use", async () => {
  const metrics = new Metrics(s.config);
  await until(async () => (await metrics.getNodeMetrics().catch(() => ({ items: [] }))).items.length === 1);
  expect((await metrics.getNodeMetrics()).items[0]).toMatchObject({ metadata: { name: "node-1" }, usage: { cpu: expect.stringMatching(/^\d+[num]?$/) as string } });
  const box = await until(async () => (await topPods(core, metrics, namespace)).find(({ Pod, Containers }) => Pod.metadata!.name === "box" && Containers.length === 1));
  expect(Number(box.CPU.RequestTotal)).toBeCloseTo(0.1);
  expect(box.Containers[0]!.Container).toBe("box");
});

test("a job runs to its end", async () => {
  const batch = s.config.makeApiClient(BatchV1Api);
  await batch.createNamespacedJob({ namespace, body: { metadata: { name: "j" }, spec: { completions: 2, template: { spec: { restartPolicy: "Never", containers: [{ name: "c", image: "busybox", command: ["true"] }] } } } } });
  const { status } = await until(async () => {
    const job = await batch.readNamespacedJob({ name: "j", namespace });
    return job.status!.completionTime !== undefined && job;
  });
  expect(status).toMatchObject({ succeeded: 2 });
});

test("eviction, and a pod that is bound already", async () => {
  // What comes is a Status, which the library reads as an Eviction.
  expect((await core.createNamespacedPodEviction({ name: "once", namespace, body: { metadata: { name: "once", namespace } } })).kind).toBe("Status");
  await until(async () => (await core.listNamespacedPod({ namespace, fieldSelector: "metadata.name=once" })).items.length === 0);
  const bound = await failure(core.createNamespacedPodBinding({ name: "box", namespace, body: { metadata: { name: "box" }, target: { kind: "Node", name: "node-1" } } }));
  expect(bound.code).toBe(409);
});
