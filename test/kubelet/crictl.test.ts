import { expect, test } from "vitest";
import { runTool } from "../../src/tools/index.ts";
import { isReady, testCluster } from "./cluster.ts";

test("crictl and ctr show sandboxes, containers, images and logs", async () => {
  const cluster = await testCluster();
  const { agent, kernel } = cluster.addNode(1);
  await cluster.clock.advance(300);
  const image = "example.com/doer:1";
  const pod = await cluster.createPod("web", {
    containers: [{ name: "c", image, args: ["print:hello", "serve:80"], resources: { limits: { memory: "64Mi", cpu: "500m" } }, securityContext: { runAsUser: 7 } }],
    initContainers: [{ name: "first", image, args: ["print:done"] }],
  });
  await cluster.until("web", 3000, isReady);
  await cluster.clock.advance(125_000);
  const run = (...argv: string[]) => runTool({ netns: kernel.host, namespaces: new Map(), containers: { runtime: agent.runtime, nowMs: cluster.clock.nowMs() } }, argv);
  const [sandbox] = agent.runtime.listPodSandboxes();
  const running = agent.runtime.listContainers().find(({ name }) => name === "c")!;
  const cut = (id: string): string => id.replace(/^sha256:/, "").slice(0, 13);
  const rows = (text: string): string[][] => text.trimEnd().split("\n").map((line) => line.split(/ {2,}/));

  const ps = run("crictl", "ps");
  expect(ps.exitCode).toBe(0);
  expect(ps.stdout.split("\n")[0]).toBe("CONTAINER           IMAGE               CREATED             STATE               NAME                ATTEMPT             POD ID              POD                 NAMESPACE");
  expect(rows(ps.stdout).slice(1)).toEqual([[cut(running.id), cut(running.imageId), "2 minutes ago", "Running", "c", "0", cut(sandbox!.id), "web", "default"]]);
  expect(rows(run("crictl", "ps", "-a").stdout).slice(1).map((row) => [row[3], row[4]])).toEqual([["Running", "c"], ["Exited", "first"]]);
  expect(run("crictl", "ps", "-q", "--name", "nothing").stdout).toBe("");
  expect(run("crictl", "pods", "-q").stdout).toBe(`${sandbox!.id}\n`);
  expect(rows(run("crictl", "--runtime-endpoint", "unix:///run/containerd/containerd.sock", "pods").stdout)).toEqual([
    ["POD ID", "CREATED", "STATE", "NAME", "NAMESPACE", "ATTEMPT", "RUNTIME"], [cut(sandbox!.id), "2 minutes ago", "Ready", "web", "default", "0", "(default)"],
  ]);
  expect(rows(run("crictl", "images").stdout)).toEqual([["IMAGE", "TAG", "IMAGE ID", "SIZE"], ["example.com/doer", "1", cut(running.imageId), expect.stringMatching(/^[\d.]+kB$/)]]);
  expect(run("crictl", "logs", cut(running.id)).stdout).toBe("hello\n");
  expect(run("crictl", "logs", "zzz")).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("code = NotFound") as string });

  const { status, info } = JSON.parse(run("crictl", "inspect", running.id).stdout) as {
    status: { state: string; labels: Record<string, string> };
    info: { pid: number; runtimeSpec: { process: { args: string[]; user: object }; linux: { cgroupsPath: string; namespaces: { type: string; path?: string }[]; resources: { memory: object; cpu: { quota: number } } } } };
  };
  expect([status.state, status.labels["io.kubernetes.pod.uid"]]).toEqual(["CONTAINER_RUNNING", pod.metadata.uid]);
  expect(info.runtimeSpec.process).toMatchObject({ args: ["do", "print:hello", "serve:80"], user: { uid: 7 } });
  expect(info.runtimeSpec.linux.cgroupsPath).toBe(`kubepods-burstable-pod${pod.metadata.uid.replaceAll("-", "_")}.slice:cri-containerd:${running.id}`);
  expect(info.runtimeSpec.linux.namespaces.map(({ type, path }) => `${type}${path === undefined ? "" : ` ${path.replace(/\d+/, "N")}`}`)).toEqual([
    "pid", "ipc /proc/N/ns/ipc", "uts /proc/N/ns/uts", "mount", `network ${sandbox!.netns.replace(/\d+/, "N")}`, "cgroup",
  ]);
  expect(info.runtimeSpec.linux.resources).toMatchObject({ memory: { limit: 64 << 20 }, cpu: { quota: 50_000, period: 100_000 } });
  const sandboxInfo = JSON.parse(run("crictl", "inspectp", sandbox!.id).stdout) as { status: { network: { ip: string } } };
  expect(sandboxInfo.status.network.ip).toBe("10.244.1.2");

  const list = run("ctr", "-n", "k8s.io", "c", "list").stdout;
  expect(rows(list)[0]).toEqual(["CONTAINER", "IMAGE", "RUNTIME", ""]);
  expect(list).toContain(`${running.id}    example.com/doer:1            io.containerd.runc.v2    \n`);
  expect(list).toContain(`${sandbox!.id}    registry.k8s.io/pause:3.10    io.containerd.runc.v2    \n`);
  expect(rows(run("ctr", "c", "ls").stdout)).toEqual([["CONTAINER", "IMAGE", "RUNTIME"]]);
  expect(runTool({ netns: kernel.host, namespaces: new Map() }, ["crictl", "ps"]).exitCode).toBe(1);
  await cluster.stop();
});
