/** Claims and volumes: bound, provisioned, waiting, released, protected. */
import { expect, test } from "vitest";
import { findBestMatch, mismatch, type Claim, type Volume } from "../../src/kube-controller-manager/volume/binding.ts";
import { attachmentName } from "../../src/kube-controller-manager/volume/attachdetach.ts";
import { startCluster, type TestCluster } from "../control-plane/cluster.ts";

const volume = (name: string, size: string, extra: object = {}) => ({ metadata: { name }, spec: { capacity: { storage: size }, accessModes: ["ReadWriteOnce"], hostPath: { path: `/v/${name}` }, ...extra } });
const claim = (name: string, size: string, extra: object = {}) => ({ metadata: { name, namespace: "default" }, spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: size } }, ...extra } });
const eventsOf = async ({ client }: TestCluster, name: string): Promise<string[]> =>
  (await client.events.list()).items.filter(({ involvedObject }) => involvedObject.name === name).map(({ type, reason, message }) => `${type} ${reason}: ${message}`);

test("a claim takes the smallest volume that fits; a deleted claim releases it; what is in use stays", async () => {
  const cluster = await startCluster({ complete: true });
  const { clock, client, addNode, errors, stop } = cluster;
  await addNode("n1");
  await clock.advance(1000);
  await client.persistentVolumeClaims.create(claim("c", "2Gi"));
  await clock.advance(1000);
  expect(await eventsOf(cluster, "c")).toEqual(["Normal FailedBinding: no persistent volumes available for this claim and no storage class is set"]);
  for (const [name, size] of [["small", "1Gi"], ["large", "9Gi"], ["right", "3Gi"]] as const) await client.persistentVolumes.create(volume(name, size));
  await clock.advance(16_000);
  const bound = await client.persistentVolumeClaims.get("default", "c");
  expect([bound.spec.volumeName, bound.status?.phase, bound.status?.capacity, bound.metadata.annotations]).toEqual([
    "right", "Bound", { storage: "3Gi" }, { "pv.kubernetes.io/bind-completed": "yes", "pv.kubernetes.io/bound-by-controller": "yes" },
  ]);
  const phases = async (): Promise<string[]> => (await client.persistentVolumes.list()).items.map(({ metadata, status }) => `${metadata.name}=${status?.phase}`);
  expect(await phases()).toEqual(["large=Available", "right=Bound", "small=Available"]);
  await client.pods.create({ metadata: { name: "p", namespace: "default" }, spec: { nodeName: "n1", containers: [{ name: "c", image: "x" }], volumes: [{ name: "v", persistentVolumeClaim: { claimName: "c" } }] } });
  await clock.advance(500);
  await client.persistentVolumeClaims.delete("default", "c");
  await client.persistentVolumes.delete("", "right");
  await clock.advance(2000);
  expect((await client.persistentVolumeClaims.get("default", "c")).metadata.deletionTimestamp).toBeDefined();
  await client.pods.delete("default", "p");
  await clock.advance(2000);
  await expect(client.persistentVolumeClaims.get("default", "c")).rejects.toThrow("not found");
  expect(await phases()).toEqual(["large=Available", "small=Available"]);
  stop();
  expect(errors).toEqual([]);
});

test("a claim of a class waits for its provisioner, or its first consumer; what was provisioned goes with its claim", async () => {
  const cluster = await startCluster({ complete: true });
  const { clock, client, addNode, errors, stop } = cluster;
  await addNode("n1");
  await clock.advance(500);
  await client.persistentVolumeClaims.create(claim("lost", "1Gi", { storageClassName: "nope" }));
  await client.storageClasses.create({ metadata: { name: "local" }, provisioner: "kubewire.io/host-path", allowVolumeExpansion: true });
  await client.storageClasses.create({ metadata: { name: "later" }, provisioner: "kubewire.io/host-path", volumeBindingMode: "WaitForFirstConsumer" });
  await client.storageClasses.create({ metadata: { name: "theirs" }, provisioner: "example.com/p" });
  for (const name of ["local", "later", "theirs"]) await client.persistentVolumeClaims.create(claim(name, "1Gi", { storageClassName: name }));
  await clock.advance(3000);
  expect(await eventsOf(cluster, "lost")).toEqual(['Warning ProvisioningFailed: storageclass.storage.k8s.io "nope" not found']);
  expect(await eventsOf(cluster, "later")).toEqual(["Normal WaitForFirstConsumer: waiting for first consumer to be created before binding"]);
  expect(await eventsOf(cluster, "theirs")).toEqual(["Normal ExternalProvisioning: Waiting for a volume to be created either by the external provisioner 'example.com/p' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered."]);
  const bound = await client.persistentVolumeClaims.get("default", "local");
  const name = `pvc-${bound.metadata.uid}`;
  expect([bound.status?.phase, bound.spec.volumeName]).toEqual(["Bound", name]);
  expect(await eventsOf(cluster, "local")).toEqual(expect.arrayContaining(['Normal Provisioning: External provisioner is provisioning volume for claim "default/local"', `Normal ProvisioningSucceeded: Successfully provisioned volume ${name}`]));
  await client.persistentVolumeClaims.patch("default", "local", "merge", { spec: { resources: { requests: { storage: "4Gi" } } } });
  await clock.advance(1000);
  expect((await client.persistentVolumeClaims.get("default", "local")).status?.capacity).toEqual({ storage: "4Gi" });
  await client.persistentVolumeClaims.patch("default", "later", "merge", { metadata: { annotations: { "volume.kubernetes.io/selected-node": "n1" } } });
  await clock.advance(2000);
  expect((await client.persistentVolumeClaims.get("default", "later")).status?.phase).toBe("Bound");
  await client.persistentVolumeClaims.delete("default", "local");
  await clock.advance(2000);
  await expect(client.persistentVolumes.get("", name)).rejects.toThrow("not found");
  stop();
  expect(errors).toEqual([]);
});

test("Retain keeps, Delete without a provisioner fails, a lost volume is told of, a reserved one is left to its claim", async () => {
  const cluster = await startCluster({ complete: true });
  const { clock, client, errors, stop } = cluster;
  await clock.advance(500);
  await client.persistentVolumes.create(volume("kept", "1Gi"));
  await client.persistentVolumes.create(volume("gone", "1Gi", { storageClassName: "x", persistentVolumeReclaimPolicy: "Delete" }));
  await client.persistentVolumes.create(volume("mine", "1Gi", { storageClassName: "y", claimRef: { namespace: "default", name: "reserved" } }));
  await client.persistentVolumeClaims.create(claim("a", "1Gi"));
  await client.persistentVolumeClaims.create(claim("b", "1Gi", { storageClassName: "x" }));
  await client.persistentVolumeClaims.create(claim("other", "1Gi", { storageClassName: "y", volumeName: "mine" }));
  await client.persistentVolumeClaims.create(claim("reserved", "1Gi", { storageClassName: "y" }));
  await clock.advance(1000);
  expect((await client.persistentVolumeClaims.get("default", "reserved")).spec.volumeName).toBe("mine");
  expect(await eventsOf(cluster, "other")).toContain('Warning FailedBinding: volume "mine" already bound to a different claim.');
  for (const name of ["a", "b"]) await client.persistentVolumeClaims.delete("default", name);
  await clock.advance(1000);
  expect((await client.persistentVolumes.get("", "kept")).status?.phase).toBe("Released");
  const { status } = await client.persistentVolumes.get("", "gone");
  expect([status?.phase, status?.message]).toEqual(["Failed", 'error getting deleter volume plugin for volume "gone": no deletable volume plugin matched']);
  await client.persistentVolumes.patch("", "mine", "merge", { metadata: { finalizers: null } });
  await client.persistentVolumes.delete("", "mine");
  await client.persistentVolumes.patch("", "mine", "merge", { metadata: { finalizers: null } }).catch(() => undefined);
  await clock.advance(1000);
  expect((await client.persistentVolumeClaims.get("default", "reserved")).status?.phase).toBe("Lost");
  expect(await eventsOf(cluster, "reserved")).toContain("Warning ClaimLost: Bound claim has lost its PersistentVolume. Data on the volume is lost!");
  stop();
  expect(errors).toEqual([]);
});

test("an ephemeral volume's claim comes and goes with its pod; a CSI volume is attached where its pod is", async () => {
  const cluster = await startCluster({ complete: true });
  const { clock, client, addNode, errors, stop } = cluster;
  await addNode("n1");
  await clock.advance(500);
  await client.csiDrivers.create({ metadata: { name: "csi.example.com" }, spec: {} });
  await client.persistentVolumes.create({ metadata: { name: "disk" }, spec: { capacity: { storage: "1Gi" }, accessModes: ["ReadWriteOnce"], csi: { driver: "csi.example.com", volumeHandle: "h1" } } });
  await client.pods.create({
    metadata: { name: "p", namespace: "default" },
    spec: { nodeName: "n1", containers: [{ name: "c", image: "x" }], volumes: [{ name: "scratch", ephemeral: { volumeClaimTemplate: { spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } } } } }] },
  });
  await clock.advance(1000);
  expect((await client.persistentVolumeClaims.get("default", "p-scratch")).status?.phase).toBe("Bound");
  const name = attachmentName("h1", "csi.example.com", "n1");
  const { spec } = await client.volumeAttachments.get("", name);
  expect(spec).toEqual({ attacher: "csi.example.com", nodeName: "n1", source: { persistentVolumeName: "disk" } });
  await client.volumeAttachments.patch("", name, "merge", { status: { attached: true } }, "status");
  await clock.advance(500);
  expect(await eventsOf(cluster, "p")).toContain('Normal SuccessfulAttachVolume: AttachVolume.Attach succeeded for volume "disk" ');
  expect((await client.nodes.get("", "n1")).status.volumesAttached).toEqual([{ name: "kubernetes.io/csi/csi.example.com^h1", devicePath: "" }]);
  await client.pods.delete("default", "p");
  await clock.advance(3000);
  await expect(client.persistentVolumeClaims.get("default", "p-scratch")).rejects.toThrow("not found");
  await expect(client.volumeAttachments.get("", name)).rejects.toThrow("not found");
  stop();
  expect(errors).toEqual([]);
});

const PV = (name: string, size: string, modes: string[], extra: object = {}) => ({ metadata: { name }, spec: { capacity: { storage: size }, accessModes: modes, ...extra }, status: { phase: "Available" } }) as unknown as Volume;
const PVC = (size: string, extra: object = {}) => ({ metadata: { name: "c", namespace: "n", uid: "u" }, spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: size } }, ...extra } }) as unknown as Claim;

test.each<[string, Claim, Volume[], boolean, string | undefined]>([
  ["fewest modes before smallest", PVC("1Gi"), [PV("many", "1Gi", ["ReadWriteOnce", "ReadWriteMany"]), PV("one", "5Gi", ["ReadWriteOnce"])], false, "one"],
  ["modes must be there", PVC("1Gi"), [PV("a", "1Gi", ["ReadOnlyMany"])], false, undefined],
  ["too small", PVC("2Gi"), [PV("a", "1Gi", ["ReadWriteOnce"])], false, undefined],
  ["the class must be the same", PVC("1Gi", { storageClassName: "x" }), [PV("a", "1Gi", ["ReadWriteOnce"])], false, undefined],
  ["delayed leaves free ones", PVC("1Gi"), [PV("a", "1Gi", ["ReadWriteOnce"])], true, undefined],
  ["delayed takes the reserved one", PVC("1Gi"), [PV("a", "1Gi", ["ReadWriteOnce"], { claimRef: { namespace: "n", name: "c" } })], true, "a"],
  ["somebody else's", PVC("1Gi"), [PV("a", "1Gi", ["ReadWriteOnce"], { claimRef: { namespace: "n", name: "d" } })], false, undefined],
  ["the selector", PVC("1Gi", { selector: { matchLabels: { a: "b" } } }), [PV("a", "1Gi", ["ReadWriteOnce"]), { ...PV("b", "2Gi", ["ReadWriteOnce"]), metadata: { name: "b", labels: { a: "b" } } } as unknown as Volume], false, "b"],
  ["blocks are no file systems", PVC("1Gi", { volumeMode: "Block" }), [PV("a", "1Gi", ["ReadWriteOnce"])], false, undefined],
])("best match: %s", (_name, wanted, volumes, delayed, expected) => {
  expect(findBestMatch(wanted, volumes, delayed)?.metadata.name).toBe(expected);
});

test.each([
  [PV("a", "1Gi", ["ReadWriteOnce"]), PVC("2Gi"), "requested PV is too small"],
  [PV("a", "2Gi", ["ReadWriteOnce"]), PVC("2Gi", { storageClassName: "x" }), "storageClassName does not match"],
  [PV("a", "2Gi", ["ReadWriteOnce"]), PVC("2Gi", { volumeMode: "Block" }), "incompatible volumeMode"],
  [PV("a", "2Gi", ["ReadOnlyMany"]), PVC("2Gi"), "incompatible accessMode"],
  [PV("a", "2Gi", ["ReadWriteOnce"]), PVC("2Gi"), undefined],
])("mismatch %#", (pv, pvc, expected) => {
  expect(mismatch(pv, pvc)).toBe(expected);
});
