import { expect, test } from "vitest";
import { isReady, state, testCluster, type TestCluster } from "./cluster.ts";

async function started(): Promise<TestCluster> {
  const cluster = await testCluster();
  cluster.addNode(1);
  await cluster.clock.advance(300);
  return cluster;
}

const image = "example.com/doer:1";
const named = (name: string) => ({ name, namespace: "default" });

test("configMap, secret, downwardAPI and projected volumes: items, optional, subPath", async () => {
  const cluster = await started();
  await cluster.client.configMaps.create({ metadata: named("cm"), data: { a: "A", b: "B" }, binaryData: { c: btoa("C") } });
  await cluster.client.secrets.create({ metadata: named("s"), data: { k: btoa("secret") } });
  await cluster.createPod("vol", {
    restartPolicy: "Never",
    volumes: [
      { name: "cm", configMap: { name: "cm" } }, { name: "some", configMap: { name: "cm", items: [{ key: "a", path: "x/y" }] } }, { name: "s", secret: { secretName: "s" } },
      { name: "none", configMap: { name: "nope", optional: true } },
      { name: "down", downwardAPI: { items: [{ path: "labels", fieldRef: { fieldPath: "metadata.labels" } }, { path: "cpu", resourceFieldRef: { containerName: "c", resource: "limits.cpu", divisor: "1m" } }] } },
      { name: "all", projected: { sources: [{ configMap: { name: "cm", items: [{ key: "b", path: "b" }] } }, { secret: { name: "s" } }, { downwardAPI: { items: [{ path: "name", fieldRef: { fieldPath: "metadata.name" } }] } }, { serviceAccountToken: { path: "token" } }] } },
    ],
    containers: [{
      name: "c", image, resources: { limits: { cpu: "250m" } }, env: [{ name: "DIR", value: "x" }],
      args: ["/cm/a", "/cm/c", "/some/x/y", "/s/k", "/none/a", "/down/labels", "/down/cpu", "/all/b", "/all/k", "/all/name", "/one", "/expr/y"].map((path) => `file:${path}`),
      volumeMounts: [...["cm", "some", "s", "none", "down", "all"].map((name) => ({ name, mountPath: `/${name}` })), { name: "cm", mountPath: "/one", subPath: "b" }, { name: "some", mountPath: "/expr", subPathExpr: "$(DIR)" }],
    }],
  }, { labels: { app: "v", tier: "x" } });
  await cluster.until("vol", 2000, (p) => p.status.phase === "Succeeded");
  expect(cluster.logs("vol", "c")).toEqual(["A", "C", "A", "secret", "/none/a: ENOENT", 'app="v"', 'tier="x"', "250", "B", "secret", "vol", "B", "A"]);
  await cluster.stop();
});

test("what is missing holds the pod back in ContainerCreating, with upstream's words", async () => {
  const cluster = await started();
  const missing: [string, object, string][] = [
    ["m1", { configMap: { name: "y" } }, 'MountVolume.SetUp failed for volume "x" : configmap "y" not found'],
    ["m2", { secret: { secretName: "y" } }, 'MountVolume.SetUp failed for volume "x" : secret "y" not found'],
    ["m3", { configMap: { name: "there", items: [{ key: "k", path: "k" }] } }, 'MountVolume.SetUp failed for volume "x" : references non-existent config key: k'],
    ["m4", { projected: { sources: [{ configMap: { name: "y" } }, { secret: { name: "z" } }] } }, 'MountVolume.SetUp failed for volume "x" : [configmap "y" not found, secret "z" not found]'],
    ["m5", { hostPath: { path: "/no/such", type: "Directory" } }, 'MountVolume.SetUp failed for volume "x" : hostPath type check failed: /no/such is not a directory'],
    ["m6", { hostPath: { path: "/no/file", type: "File" } }, 'MountVolume.SetUp failed for volume "x" : hostPath type check failed: /no/file is not a file'],
  ];
  await cluster.client.configMaps.create({ metadata: named("there"), data: { a: "A" } });
  for (const [name, source] of missing) await cluster.createPod(name, { volumes: [{ name: "x", ...source }], containers: [{ name: "c", image, args: ["term:0:0"], volumeMounts: [{ name: "x", mountPath: "/x" }] }] });
  await cluster.clock.advance(4000);
  for (const [name, , message] of missing) {
    expect(state(await cluster.pod(name), "c")).toBe("waiting ContainerCreating");
    expect(await cluster.events(name)).toEqual([expect.stringMatching(/^Warning FailedMount x4 /)]);
    expect((await cluster.events(name))[0]).toBe(`Warning FailedMount x4 -: ${message}`);
  }
  await cluster.client.configMaps.create({ metadata: named("y"), data: { a: "A" } });
  await cluster.until("m1", 10_000, isReady);
  // What never started goes at once.
  await cluster.client.pods.delete("default", "m2");
  await cluster.gone("m2", 500);
  await cluster.stop();
});

test("changes reach the volume on the sync period, but not what is mounted by subPath; labels at once", async () => {
  const cluster = await started();
  await cluster.client.configMaps.create({ metadata: named("cm"), data: { a: "one" } });
  await cluster.createPod("vol", {
    volumes: [{ name: "cm", configMap: { name: "cm" } }, { name: "d", downwardAPI: { items: [{ path: "l", fieldRef: { fieldPath: "metadata.labels['v']" } }] } }],
    containers: [{ name: "c", image, args: ["term:0:0"], volumeMounts: [{ name: "cm", mountPath: "/cm" }, { name: "cm", mountPath: "/sub", subPath: "a" }, { name: "d", mountPath: "/d" }] }],
  }, { labels: { v: "1" } });
  await cluster.until("vol", 2000, isReady);
  const read = async (path: string): Promise<string> => {
    const runtime = cluster.nodes[0]!.agent.runtime;
    const { id } = runtime.listContainers()[0]!;
    const result = runtime.execSync(id, ["do", `file:${path}`]);
    await cluster.clock.advance(1);
    return (await result).stdout;
  };
  expect(await read("/cm/a")).toBe("one");
  await cluster.client.configMaps.patch("default", "cm", "merge", { data: { a: "two" } });
  await cluster.client.pods.patch("default", "vol", "merge", { metadata: { annotations: { x: "y" } } });
  await cluster.clock.advance(100);
  expect(await read("/cm/a")).toBe("two");
  await cluster.client.configMaps.patch("default", "cm", "merge", { data: { a: "three" } });
  await cluster.clock.advance(30_000);
  expect(await read("/cm/a")).toBe("two");
  await cluster.clock.advance(65_000);
  expect([await read("/cm/a"), await read("/sub")]).toEqual(["three", "one"]);
  await cluster.client.pods.patch("default", "vol", "merge", { metadata: { labels: { v: "2" } } });
  await cluster.clock.advance(100);
  expect(await read("/d/l")).toBe("2");
  await cluster.stop();
});

test("claims: hostPath and local volumes, unbound ones wait", async () => {
  const cluster = await started();
  const claim = (name: string, volumeName: string): object => ({ apiVersion: "v1", kind: "PersistentVolumeClaim", metadata: named(name), spec: { accessModes: ["ReadWriteOnce"], storageClassName: "", volumeName, resources: { requests: { storage: "1Gi" } } } });
  const volume = (name: string, source: object): object => ({ apiVersion: "v1", kind: "PersistentVolume", metadata: { name }, spec: { accessModes: ["ReadWriteOnce"], capacity: { storage: "1Gi" }, ...source } });
  const affinity = { nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [{ key: "kubernetes.io/hostname", operator: "In", values: ["node-1"] }] }] } } };
  await cluster.create("/api/v1/persistentvolumes", volume("pv1", { hostPath: { path: "/etc" } }));
  await cluster.create("/api/v1/persistentvolumes", volume("pv2", { local: { path: "/no/disk" }, ...affinity }));
  for (const [name, pv] of [["c1", "pv1"], ["c2", "pv2"], ["c3", "pv3"]] as const) await cluster.create("/api/v1/namespaces/default/persistentvolumeclaims", claim(name, pv));
  for (const name of ["c1", "c2"]) await cluster.transport({ method: "PATCH", path: `/api/v1/namespaces/default/persistentvolumeclaims/${name}/status`, headers: { "content-type": "application/merge-patch+json" }, body: { status: { phase: "Bound" } } });
  const pod = (claimName: string): object => ({ restartPolicy: "Never", volumes: [{ name: "v", persistentVolumeClaim: { claimName } }], containers: [{ name: "c", image, args: ["file:/v/hosts"], volumeMounts: [{ name: "v", mountPath: "/v" }] }] });
  for (const name of ["c1", "c2", "c3"]) await cluster.createPod(name, pod(name));
  await cluster.until("c1", 3000, (p) => p.status.phase === "Succeeded");
  expect(cluster.logs("c1", "c")).toEqual(["127.0.0.1\tlocalhost"]);
  expect((await cluster.events("c2"))[0]).toMatch(/^Warning FailedMount x\d -: MountVolume.NewMounter initialization failed for volume "pv2" : path "\/no\/disk" does not exist$/);
  expect(state(await cluster.pod("c3"), "c")).toBe("waiting ContainerCreating");
  expect(await cluster.events("c3")).toEqual([]);
  await cluster.stop();
});
