import { expect, test } from "vitest";
import type { Pod } from "../../src/api/types.generated.ts";
import { testCluster, type TestCluster } from "./cluster.ts";

/** Turns the clock until the pod is as wanted; fails with its status otherwise. */
async function until(cluster: TestCluster, name: string, ms: number, wanted: (pod: Pod) => boolean): Promise<Pod> {
  let pod = await cluster.pod(name);
  for (let spent = 0; !wanted(pod); spent += 20) {
    if (spent > ms) throw new Error(`${name}: ${JSON.stringify(pod.status)}\n${cluster.problems.join("\n")}`);
    await cluster.clock.advance(20);
    pod = await cluster.pod(name);
  }
  return pod;
}

const ready = (pod: Pod): boolean => pod.status.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;

test("a node registers, brings its network up and becomes Ready", async () => {
  const cluster = await testCluster();
  const one = cluster.addNode(1), two = cluster.addNode(2);
  await cluster.clock.advance(500);
  expect(cluster.problems).toEqual([]);
  const node = await cluster.client.nodes.get("", "node-1");
  expect(node.status.conditions?.map(({ type, status, reason }) => `${type} ${status} ${reason}`)).toEqual([
    "NetworkUnavailable False FlannelIsUp", "MemoryPressure False KubeletHasSufficientMemory", "DiskPressure False KubeletHasNoDiskPressure",
    "PIDPressure False KubeletHasSufficientPID", "Ready True KubeletReady",
  ]);
  expect(node.metadata.annotations?.["flannel.alpha.coreos.com/public-ip"]).toBe("192.168.0.11");
  const vtep = two.kernel.host.link("flannel.1")!.mac;
  expect(one.kernel.host.routes()).toContainEqual({ dst: "10.244.2.0/24", via: "10.244.2.0", dev: "flannel.1", onlink: true });
  expect(one.kernel.host.neighbours()).toEqual([{ dev: "flannel.1", dst: "10.244.2.0", lladdr: vtep, state: "PERMANENT" }]);
  expect(one.kernel.host.fdb("flannel.1")).toEqual([{ dev: "flannel.1", lladdr: vtep, dst: "192.168.0.12", state: "permanent" }]);
  expect((await cluster.client.leases.get("kube-node-lease", "node-1")).spec.holderIdentity).toBe("node-1");
  expect(one.kernel.host.iptables.save()).toContain("-A KUBE-SERVICES -d 10.96.0.1/32");
  const renewed = (await cluster.client.leases.get("kube-node-lease", "node-1")).spec.renewTime!;
  await cluster.clock.advance(11_000);
  expect((await cluster.client.leases.get("kube-node-lease", "node-1")).spec.renewTime! > renewed).toBe(true);
  await cluster.client.nodes.delete("", "node-2");
  await cluster.clock.advance(100);
  expect(one.kernel.host.neighbours()).toEqual([]);
  expect(one.kernel.host.fdb("flannel.1")).toEqual([]);
  await one.agent.stop();
  await two.agent.stop();
});

test("a pod runs, answers, and leaves nothing behind", async () => {
  const cluster = await testCluster();
  const { agent, kernel } = cluster.addNode(1);
  await cluster.clock.advance(200);
  await cluster.createPod("web", {
    nodeName: "node-1", terminationGracePeriodSeconds: 5,
    containers: [{ name: "web", image: "nginx:1.27", readinessProbe: { httpGet: { path: "/", port: 80 }, periodSeconds: 1 } }],
  });
  const pod = await until(cluster, "web", 2000, ready);
  expect(pod.status.phase).toBe("Running");
  expect(pod.status.podIP).toBe("10.244.1.2");
  expect(pod.status.hostIP).toBe("192.168.0.11");
  expect(pod.status.conditions?.map(({ type, status }) => `${type} ${status}`)).toEqual([
    "PodReadyToStartContainers True", "Initialized True", "Ready True", "ContainersReady True", "PodScheduled True",
  ]);
  expect(kernel.host.links().map(({ name }) => name).filter((name) => name.startsWith("veth"))).toHaveLength(1);

  await cluster.createPod("client", {
    nodeName: "node-1", terminationGracePeriodSeconds: 1, restartPolicy: "Never", containers: [{ name: "c", image: "curlimages/curl", command: ["sleep", "infinity"] }],
  });
  await until(cluster, "client", 2000, ready);
  const container = agent.runtime.listContainers().find(({ name }) => name === "c")!;
  const exec = agent.runtime.execSync(container.id, ["curl", "-s", "http://10.244.1.2/"]);
  await cluster.clock.advance(50);
  expect(await exec).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("<p>web</p>") as string });
  const missing = agent.runtime.execSync(container.id, ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}\n", "http://10.244.1.2/nope"]);
  await cluster.clock.advance(50);
  expect((await missing).stdout).toBe("404\n");
  const refused = agent.runtime.execSync(container.id, ["curl", "http://10.244.1.2:81/"]);
  await cluster.clock.advance(50);
  expect(await refused).toMatchObject({ exitCode: 7, stderr: expect.stringMatching(/^curl: \(7\) Failed to connect to 10.244.1.2 port 81 after \d+ ms: /) as string });

  for (const name of ["web", "client"]) await cluster.client.pods.delete("default", name);
  await cluster.clock.advance(500);
  expect((await cluster.pod("client")).status.phase).toBe("Running"); // sleep does not hear SIGTERM: its grace runs
  await cluster.clock.advance(2000);
  expect((await cluster.client.pods.list("default")).items).toEqual([]);
  expect([...kernel.all.keys()]).toEqual([""]);
  expect(kernel.host.links().filter(({ name }) => name.startsWith("veth"))).toEqual([]);
  expect(agent.runtime.listPodSandboxes()).toEqual([]);
  expect(agent.runtime.listContainers()).toEqual([]);
  const events = await cluster.events();
  for (const line of [
    'Normal Pulling x1 Pulling image "nginx:1.27"', "Normal Created x1 Created container: web", "Normal Started x1 Started container web",
    "Normal Killing x1 Stopping container web",
  ]) expect(events).toContain(line);
  expect(cluster.problems).toEqual([]);
  await agent.stop();
});

test("a missing image is ErrImagePull, then ImagePullBackOff", async () => {
  const cluster = await testCluster();
  const { agent } = cluster.addNode(1);
  await cluster.clock.advance(200);
  await cluster.createPod("bad", { nodeName: "node-1", containers: [{ name: "c", image: "no-such-image:1" }] });
  const reason = (pod: Pod): string => pod.status.containerStatuses?.[0]?.state.waiting?.reason ?? "";
  const first = await until(cluster, "bad", 1000, (pod) => reason(pod) === "ErrImagePull");
  expect(first.status.containerStatuses?.[0]?.state.waiting?.message).toMatch(/failed to pull and unpack image "docker.io\/library\/no-such-image:1"/);
  await until(cluster, "bad", 5000, (pod) => reason(pod) === "ImagePullBackOff");
  expect(await cluster.events()).toContain('Normal BackOff x1 Back-off pulling image "no-such-image:1"');
  await agent.stop();
});

test("a container that ends is restarted with growing pauses", async () => {
  const cluster = await testCluster();
  const { agent } = cluster.addNode(1);
  await cluster.clock.advance(200);
  await cluster.createPod("crash", { nodeName: "node-1", containers: [{ name: "c", image: "busybox", command: ["false"] }] });
  const status = (pod: Pod) => pod.status.containerStatuses?.[0];
  const looping = await until(cluster, "crash", 2000, (pod) => status(pod)?.state.waiting?.reason === "CrashLoopBackOff");
  expect(status(looping)?.restartCount).toBe(1);
  expect(status(looping)?.state.waiting?.message).toMatch(/^back-off 10s restarting failed container=c pod=crash_default\(/);
  expect(status(looping)?.lastState.terminated).toMatchObject({ exitCode: 1, reason: "Error" });
  await until(cluster, "crash", 11_000, (pod) => status(pod)?.restartCount === 2);
  await cluster.clock.advance(15_000);
  expect(status(await cluster.pod("crash"))?.restartCount).toBe(2);
  await cluster.clock.advance(6_000);
  expect(status(await cluster.pod("crash"))?.restartCount).toBe(3);
  await agent.stop();
});

test("init containers run in order, a pod that completes is Succeeded", async () => {
  const cluster = await testCluster();
  const { agent, kernel } = cluster.addNode(1);
  await cluster.clock.advance(200);
  await cluster.createPod("job", {
    nodeName: "node-1", restartPolicy: "Never",
    initContainers: [{ name: "one", image: "busybox", command: ["sleep", "1"] }, { name: "two", image: "busybox", command: ["sleep", "1"] }],
    containers: [{ name: "main", image: "busybox", command: ["sleep", "1"] }],
  });
  await cluster.clock.advance(500);
  const early = await cluster.pod("job");
  expect(early.status.phase).toBe("Pending");
  expect(early.status.containerStatuses?.[0]?.state.waiting?.reason).toBe("PodInitializing");
  expect(early.status.conditions?.find(({ type }) => type === "Initialized")).toMatchObject({
    status: "False", reason: "ContainersNotInitialized", message: "containers with incomplete status: [one two]",
  });
  await until(cluster, "job", 5000, (pod) => pod.status.phase === "Succeeded");
  await cluster.clock.advance(100);
  expect([...kernel.all.keys()]).toEqual([""]);
  const done = await cluster.pod("job");
  expect(done.status.conditions?.find(({ type }) => type === "Ready")).toMatchObject({ status: "False", reason: "PodCompleted" });
  await agent.stop();
});

test("a failing liveness probe restarts the container", async () => {
  const cluster = await testCluster();
  const { agent } = cluster.addNode(1);
  await cluster.clock.advance(200);
  await cluster.createPod("sick", {
    nodeName: "node-1", terminationGracePeriodSeconds: 1,
    containers: [{ name: "c", image: "busybox", command: ["sleep", "infinity"], livenessProbe: { tcpSocket: { port: 80 }, periodSeconds: 1, failureThreshold: 2 } }],
  });
  const pod = await until(cluster, "sick", 10_000, (p) => p.status.containerStatuses?.[0]?.restartCount === 1);
  expect(pod.status.containerStatuses?.[0]?.lastState.terminated?.exitCode).toBe(137);
  const events = await cluster.events();
  expect(events).toContain("Warning Unhealthy x3 Liveness probe failed: dial tcp 10.244.1.2:80: connect: connection refused");
  expect(events).toContain("Normal Killing x1 Container c failed liveness probe, will be restarted");
  await agent.stop();
});

test("environment, ConfigMap volume, resolv.conf, hosts", async () => {
  const cluster = await testCluster();
  const { agent } = cluster.addNode(1);
  await cluster.clock.advance(200);
  await cluster.createPod("conf", {
    nodeName: "node-1", volumes: [{ name: "v", configMap: { name: "cm" } }],
    containers: [{
      name: "c", image: "busybox", command: ["sleep", "infinity"], volumeMounts: [{ name: "v", mountPath: "/etc/conf" }],
      env: [{ name: "IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } }, { name: "GREETING", value: "hello $(IP) $$(IP)" },
        { name: "KEY", valueFrom: { configMapKeyRef: { name: "cm", key: "key" } } }],
    }],
  });
  await cluster.clock.advance(1000);
  expect(await cluster.events()).toContainEqual(expect.stringMatching(/^Warning FailedMount x\d+ MountVolume.SetUp failed for volume "v" : configmaps "cm" not found$/));
  await cluster.client.configMaps.create({ metadata: { name: "cm", namespace: "default" }, data: { key: "value" } } as never);
  await until(cluster, "conf", 5000, ready);
  const { id } = agent.runtime.listContainers()[0]!;
  const run = async (...command: string[]): Promise<string> => {
    const result = agent.runtime.execSync(id, command);
    await cluster.clock.advance(1);
    return (await result).stdout;
  };
  expect(await run("cat", "/etc/conf/key")).toBe("value");
  const env = await run("env");
  expect(env).toContain("GREETING=hello 10.244.1.2 $(IP)\n");
  expect(env).toContain("KEY=value\n");
  expect(env).toContain("KUBERNETES_SERVICE_HOST=10.96.0.1\n");
  expect(await run("cat", "/etc/resolv.conf")).toBe("search default.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n");
  expect(await run("cat", "/etc/hosts")).toContain("10.244.1.2\tconf\n");
  await agent.stop();
});

test("a pod that is bound after its creation arrives, one of another node does not", async () => {
  const cluster = await testCluster();
  const { agent } = cluster.addNode(1);
  await cluster.clock.advance(200);
  const spec = { containers: [{ name: "c", image: "registry.k8s.io/pause:3.10" }] };
  await cluster.createPod("mine", spec);
  await cluster.createPod("other", { ...spec, nodeName: "node-9" });
  await cluster.clock.advance(100);
  expect((await cluster.pod("mine")).status.conditions ?? []).toEqual([]);
  const bound = await cluster.transport({
    method: "POST", path: "/api/v1/namespaces/default/pods/mine/binding",
    body: { apiVersion: "v1", kind: "Binding", metadata: { name: "mine", namespace: "default" }, target: { apiVersion: "v1", kind: "Node", name: "node-1" } },
  });
  expect(bound.status).toBe(201);
  await until(cluster, "mine", 1000, ready);
  expect(agent.runtime.listPodSandboxes().map(({ config }) => config.name)).toEqual(["mine"]);
  await cluster.client.pods.delete("default", "mine");
  await cluster.clock.advance(100);
  expect((await cluster.client.pods.list("default")).items.map(({ metadata }) => metadata.name)).toEqual(["other"]);
  await agent.stop();
});

test("a pod on the host's network has the node's address and leaves the network alone", async () => {
  const cluster = await testCluster();
  const { agent, kernel } = cluster.addNode(1);
  await cluster.clock.advance(200);
  await cluster.createPod("host", { nodeName: "node-1", hostNetwork: true, containers: [{ name: "c", image: "httpd", ports: [{ containerPort: 80 }] }] });
  const pod = await until(cluster, "host", 1000, ready);
  expect(pod.status.podIP).toBe("192.168.0.11");
  expect([...kernel.all.keys()]).toEqual([""]);
  expect(kernel.host.listeners.has("80")).toBe(true);
  await cluster.client.pods.delete("default", "host");
  await cluster.clock.advance(100);
  expect(kernel.host.listeners.has("80")).toBe(false);
  expect(kernel.all.size).toBe(1);
  await agent.stop();
});
