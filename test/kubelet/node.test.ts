import { expect, test } from "vitest";
import type { Pod } from "../../src/api/types.generated.ts";
import { conditions, isReady, state, testCluster, type TestCluster, type TestNode } from "./cluster.ts";

const image = "example.com/doer:1";

async function started(capacity?: Record<string, string>): Promise<{ cluster: TestCluster; node: TestNode }> {
  const cluster = await testCluster();
  const node = cluster.addNode(1, capacity === undefined ? {} : { capacity });
  await cluster.clock.advance(300);
  return { cluster, node };
}

test("the node says what it has", async () => {
  const { cluster, node } = await started({ cpu: "8", memory: "16Gi" });
  await cluster.createPod("web", { containers: [{ name: "c", image, args: ["serve:80"] }] });
  await cluster.until("web", 1000, isReady);
  await cluster.clock.advance(11_000);
  const { status } = await cluster.client.nodes.get("", "node-1");
  expect(status.capacity).toEqual({ cpu: "8", "ephemeral-storage": "100Gi", "hugepages-1Gi": "0", "hugepages-2Mi": "0", memory: "16Gi", pods: "110" });
  expect(status.allocatable).toEqual({ cpu: "8", "ephemeral-storage": "96636764160", "hugepages-1Gi": "0", "hugepages-2Mi": "0", memory: "16284Mi", pods: "110" });
  expect(status.images?.map(({ names }) => names)).toEqual([[expect.stringMatching(/^example.com\/doer@sha256:[0-9a-f]{64}$/), "example.com/doer:1"]]);
  expect(await cluster.events("node-1")).toEqual([
    "Normal Starting x1 -: Starting kubelet.", "Normal NodeHasSufficientMemory x1 -: Node node-1 status is now: NodeHasSufficientMemory",
    "Normal NodeHasNoDiskPressure x1 -: Node node-1 status is now: NodeHasNoDiskPressure", "Normal NodeHasSufficientPID x1 -: Node node-1 status is now: NodeHasSufficientPID",
    "Normal NodeAllocatableEnforced x1 -: Updated Node Allocatable limit across pods", "Normal NodeReady x1 -: Node node-1 status is now: NodeReady",
  ]);
  const healthy = await node.keeper.serve({ method: "GET", path: "/healthz" });
  expect([healthy.status, healthy.body]).toEqual([200, "ok"]);
  await cluster.stop();
});

test("pods that do not fit are rejected", async () => {
  const { cluster } = await started({ cpu: "2", memory: "1Gi", pods: "4" });
  await cluster.createPod("first", { containers: [{ name: "c", image, args: ["serve:81"], ports: [{ containerPort: 81, hostPort: 81 }], resources: { requests: { cpu: "1500m" } } }] });
  await cluster.until("first", 1000, isReady);
  const cases: [string, object, string, string][] = [
    ["cpu", { containers: [{ name: "c", image, resources: { requests: { cpu: "1" } } }] }, "OutOfcpu", "Node didn't have enough resource: cpu, requested: 1000, used: 1500, capacity: 2000"],
    ["memory", { containers: [{ name: "c", image, resources: { requests: { memory: "2Gi" } } }] }, "OutOfmemory", "Node didn't have enough resource: memory, requested: 2147483648, used: 0, capacity: 968884224"],
    ["affinity", { nodeSelector: { disk: "ssd" }, containers: [{ name: "c", image }] }, "NodeAffinity", "Predicate NodeAffinity failed"],
    ["port", { containers: [{ name: "c", image, ports: [{ containerPort: 81, hostPort: 81 }] }] }, "NodePorts", "Predicate NodePorts failed"],
  ];
  for (const [name, spec, reason, message] of cases) {
    await cluster.createPod(name, spec);
    const pod = await cluster.until(name, 1000, (p) => p.status.phase === "Failed");
    expect([pod.status.reason, pod.status.message]).toEqual([reason, `Pod was rejected: ${message}`]);
    expect(await cluster.events(name)).toEqual([`Warning ${reason} x1 -: ${message}`]);
    await cluster.client.pods.delete("default", name);
    await cluster.gone(name, 1000);
  }
  await cluster.stop();
});

test("static pods run without the API server's doing, and are shown by mirrors", async () => {
  const { cluster, node } = await started();
  const manifest = (word: string): Pod => ({ apiVersion: "v1", kind: "Pod", metadata: { name: "etcd", namespace: "default" }, spec: { containers: [{ name: "c", image, args: [word], resources: {} }] } }) as unknown as Pod;
  node.keeper.setStaticPods("file", [manifest("serve:80")]);
  const mirror = await cluster.until("etcd-node-1", 1000, isReady);
  expect(mirror.metadata.annotations?.["kubernetes.io/config.mirror"]).toBe(mirror.metadata.annotations?.["kubernetes.io/config.hash"]);
  expect(mirror.metadata.annotations?.["kubernetes.io/config.source"]).toBe("file");
  expect(mirror.metadata.ownerReferences?.map(({ kind, name }) => [kind, name])).toEqual([["Node", "node-1"]]);
  expect(state(mirror, "c")).toBe("running");
  const { containerID } = mirror.status.containerStatuses![0]!;
  await cluster.client.pods.delete("default", "etcd-node-1", { gracePeriodSeconds: 0 });
  const again = await cluster.until("etcd-node-1", 2000, (p) => p.metadata.uid !== mirror.metadata.uid && isReady(p));
  expect(again.status.containerStatuses![0]!.containerID).toBe(containerID);
  node.keeper.setStaticPods("file", [manifest("serve:81")]);
  await cluster.until("etcd-node-1", 5000, (p) => p.status.containerStatuses?.[0]?.containerID !== containerID && isReady(p));
  node.keeper.setStaticPods("file", []);
  await cluster.gone("etcd-node-1", 5000);
  await cluster.clock.advance(5000);
  expect(node.agent.runtime.listContainers()).toEqual([]);
  await cluster.stop();
});

test("a container over its memory limit is OOMKilled", async () => {
  const { cluster } = await started();
  await cluster.createPod("oom", { restartPolicy: "Never", containers: [{ name: "c", image, args: ["memory:20000000", "sleep:100", "memory:90000000", "term:0:0"], resources: { limits: { memory: "64Mi" } } }] });
  const pod = await cluster.until("oom", 2000, (p) => p.status.phase === "Failed");
  expect(state(pod, "c")).toBe("terminated OOMKilled 137");
  await cluster.stop();
});

test("under memory pressure pods go by what they use beyond their requests, then by priority", async () => {
  const { cluster } = await started({ memory: "1Gi" });
  const pod = (name: string, bytes: number, request: string): Promise<Pod> =>
    cluster.createPod(name, { terminationGracePeriodSeconds: 1, containers: [{ name: "c", image, args: [`memory:${bytes}`, "term:0:0"], resources: { requests: { memory: request } } }] });
  await pod("modest", 300 << 20, "400Mi");
  await pod("greedy", 400 << 20, "100Mi");
  const evicted = await cluster.until("greedy", 15_000, (p) => p.status.phase === "Failed");
  expect(evicted.status.reason).toBe("Evicted");
  expect(evicted.status.message).toMatch(/^The node was low on resource: memory. Threshold quantity: 100Mi, available: \d+Ki. Container c was using \d+\w*, request is 100Mi, has larger consumption of memory. $/);
  expect(conditions(evicted)).toContainEqual(expect.stringMatching(/^DisruptionTarget=True TerminationByKubelet: The node was low on resource: memory/));
  const node = await cluster.client.nodes.get("", "node-1");
  expect(node.status.conditions?.find(({ type }) => type === "MemoryPressure")).toMatchObject({ status: "True", reason: "KubeletHasInsufficientMemory", message: "kubelet has insufficient memory available" });
  await cluster.createPod("late", { containers: [{ name: "c", image }] });
  const late = await cluster.until("late", 1000, (p) => p.status.phase === "Failed");
  expect(late.status.message).toBe("Pod was rejected: The node had condition: [MemoryPressure]. ");
  await cluster.clock.advance(320_000);
  expect((await cluster.client.nodes.get("", "node-1")).status.conditions?.find(({ type }) => type === "MemoryPressure")?.status).toBe("False");
  expect(state(await cluster.pod("modest"), "c")).toBe("running");
  await cluster.stop();
});

test("the kubelet's API: pods, summary, metrics, logs", async () => {
  const { cluster, node } = await started();
  await cluster.createPod("busy", { volumes: [{ name: "v", emptyDir: {} }], containers: [{ name: "c", image, args: ["print:hello", "memory:8388608", "cpu:60000", "term:0:0"], resources: { limits: { cpu: "500m" } }, volumeMounts: [{ name: "v", mountPath: "/v" }] }] });
  await cluster.until("busy", 1000, isReady);
  await cluster.clock.advance(125_000);
  const get = async (path: string): Promise<string> => (await node.keeper.serve({ method: "GET", path })).body;
  const summary = JSON.parse(await get("/stats/summary")) as { node: { nodeName: string }; pods: { podRef: { name: string }; containers: { name: string; cpu: { usageCoreNanoSeconds: number }; memory: { workingSetBytes: number } }[]; volume: { name: string }[] }[] };
  expect(summary.node.nodeName).toBe("node-1");
  expect(summary.pods[0]!.podRef.name).toBe("busy");
  expect(summary.pods[0]!.containers[0]).toMatchObject({ name: "c", cpu: { usageCoreNanoSeconds: 60e9 }, memory: { workingSetBytes: 10 << 20 } });
  expect(summary.pods[0]!.volume.map(({ name }) => name)).toEqual(["v"]);
  expect(await get("/metrics/resource")).toContain('container_cpu_usage_seconds_total{container="c",namespace="default",pod="busy"} 60 ');
  expect(await get("/metrics/resource")).toContain('container_memory_working_set_bytes{container="c",namespace="default",pod="busy"} 1.048576e+07 ');
  expect(await get("/metrics/cadvisor")).toContain("container_memory_working_set_bytes{");
  expect((JSON.parse(await get("/pods")) as { items: Pod[] }).items.map(({ metadata, status }) => [metadata.name, status.phase])).toEqual([["busy", "Running"]]);
  expect(await get("/containerLogs/default/busy/c")).toBe("hello\n");
  expect(await node.keeper.serve({ method: "GET", path: "/containerLogs/default/busy/c?previous=true" })).toMatchObject({ status: 400, body: 'previous terminated container "c" in pod "busy" not found\n' });
  expect((await node.keeper.serve({ method: "GET", path: "/nothing" })).status).toBe(404);
  const { steps } = JSON.parse(await get("/debug/trace/default/busy")) as { steps: { time: string; step: string; ips?: string[]; container?: string }[] };
  expect(steps.map(({ step, ips, container }) => `${step}${ips === undefined ? "" : ` ${ips.join()}`}${container === undefined ? "" : ` ${container}`}`)).toEqual([
    "MountVolumes", "RunPodSandbox", "SandboxReady 10.244.1.2", "StartContainer c", "ContainerStarted c",
  ]);
  await cluster.stop();
});

test("handlers that the runtime does not have, pull secrets that are not there", async () => {
  const { cluster } = await started();
  await cluster.create("/apis/node.k8s.io/v1/runtimeclasses", { apiVersion: "node.k8s.io/v1", kind: "RuntimeClass", metadata: { name: "kata" }, handler: "kata" });
  await cluster.create("/apis/node.k8s.io/v1/runtimeclasses", { apiVersion: "node.k8s.io/v1", kind: "RuntimeClass", metadata: { name: "plain" }, handler: "runc" });
  const containers = [{ name: "c", image, args: ["term:0:0"] }];
  await cluster.createPod("kata", { runtimeClassName: "kata", containers });
  await cluster.createPod("plain", { runtimeClassName: "plain", imagePullSecrets: [{ name: "nope" }], containers });
  await cluster.until("plain", 1000, isReady);
  expect((await cluster.events("plain"))[0]).toBe("Warning FailedToRetrieveImagePullSecret x1 -: Unable to retrieve some image pull secrets (nope); attempting to pull the image may not succeed.");
  expect(await cluster.events("kata")).toEqual(['Warning FailedCreatePodSandBox x1 -: Failed to create pod sandbox: rpc error: code = Unknown desc = failed to get sandbox runtime: no runtime for "kata" is configured']);
  expect(conditions(await cluster.pod("kata"))[0]).toBe("PodReadyToStartContainers=False");
  await cluster.stop();
});

test("logs are rotated: only the present file is shown", async () => {
  const { cluster } = await started();
  await cluster.createPod("chatty", { containers: [{ name: "c", image, args: ["flood:11000000", "sleep:15000", "print:after", "term:0:0"] }] });
  await cluster.until("chatty", 1000, isReady);
  expect(cluster.logs("chatty", "c").length).toBeGreaterThan(10_000);
  await cluster.clock.advance(20_000);
  expect(cluster.logs("chatty", "c")).toEqual(["after"]);
  await cluster.stop();
});

test("manifests in /etc/kubernetes/manifests become static pods", async () => {
  const { cluster } = await started();
  await cluster.createPod("admin", { restartPolicy: "Never", volumes: [{ name: "host", hostPath: { path: "/" } }], containers: [{ name: "c", image, args: ["term:0:0"], volumeMounts: [{ name: "host", mountPath: "/host" }] }] });
  await cluster.until("admin", 1000, isReady);
  const host = cluster.nodes[0]!.keeper.hostVolume;
  host.writeFile("etc/kubernetes/manifests/web.yaml", new TextEncoder().encode(`apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: c, image: "${image}", args: ["serve:80"]}]}\n`));
  host.writeFile("etc/kubernetes/manifests/broken.yaml", new TextEncoder().encode("kind: Pod\n"));
  // Loaded on use: virtual time would not wait for it.
  await import("../../src/kubelet/complete/manifest-file.ts");
  await cluster.clock.advance(11_000);
  const pod = await cluster.until("web-node-1", 2000, isReady);
  expect(pod.metadata.annotations?.["kubernetes.io/config.source"]).toBe("file");
  expect(cluster.problems).toEqual([expect.stringContaining("invalid pod")]);
  await cluster.stop();
});

test("an emptyDir over its limit costs the pod its place", async () => {
  const { newUserland } = await import("../../src/shell/index.ts");
  const { completeImages } = await import("../../src/images/complete/index.ts");
  const cluster = await testCluster();
  const userland = newUserland(() => cluster.clock.nowMs());
  await userland.load();
  cluster.addNode(1, { userland, images: completeImages });
  await cluster.clock.advance(300);
  await cluster.createPod("full", {
    volumes: [{ name: "v", emptyDir: { sizeLimit: "1Mi" } }, { name: "m", emptyDir: { medium: "Memory", sizeLimit: "64Ki" } }],
    containers: [{ name: "c", image: "busybox", command: ["sh", "-c", "dd if=/dev/zero of=/m/f bs=1024 count=100; dd if=/dev/zero of=/v/f bs=1024 count=2000; sleep 1000"], volumeMounts: [{ name: "v", mountPath: "/v" }, { name: "m", mountPath: "/m" }] }],
  });
  const pod = await cluster.until("full", 25_000, (p) => p.status.phase === "Failed");
  expect([pod.status.reason, pod.status.message]).toEqual(["Evicted", 'Usage of EmptyDir volume "v" exceeds the limit "1Mi". ']);
  expect(cluster.logs("full", "c").join("\n")).toContain("No space left on device");
  expect(await cluster.events("full")).toContain('Warning Evicted x1 -: Usage of EmptyDir volume "v" exceeds the limit "1Mi". ');
  await cluster.stop();
});
