/**
 * What volumes ask of a node: VolumeRestrictions, NodeVolumeLimits, VolumeBinding, VolumeZone.
 * Follows pkg/scheduler/framework/plugins/{volumerestrictions,nodevolumelimits,volumebinding,volumezone}.
 */
import type { Node, NodeSelector, PersistentVolume, PersistentVolumeClaim, Pod } from "../../api/types.generated.ts";
import { quantityValue } from "../../apimachinery/quantity.ts";
import { labelSelector, matches } from "../../apimachinery/selectors.ts";
import { SKIP } from "../framework.ts";
import type { Cycle, NodeInfo, Plugin, Rejection } from "../framework.ts";
import { matchesTerm } from "../plugins/node.ts";
import { SchedulingError } from "../scheduler.ts";
import type { Handle } from "../scheduler.ts";

const ZONE_LABELS = ["topology.kubernetes.io/zone", "topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/region"];
const SELECTED_NODE = "volume.kubernetes.io/selected-node";
const BIND_COMPLETED = "pv.kubernetes.io/bind-completed";
const BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller";
const NO_PROVISIONER = "kubernetes.io/no-provisioner";
/** How long binding may take (bindTimeoutSeconds), and how often it is looked after. */
const BIND_TIMEOUT_MS = 600_000;
const BIND_POLL_MS = 1000;

const claimNames = (pod: Pod): string[] => (pod.spec.volumes ?? []).flatMap(({ name, persistentVolumeClaim, ephemeral }) =>
  persistentVolumeClaim !== undefined ? [persistentVolumeClaim.claimName] : ephemeral !== undefined ? [`${pod.metadata.name}-${name}`] : []);

const VOLUME_EVENTS = ["PersistentVolumeClaim", "PersistentVolume", "StorageClass", "CSINode", "CSIStorageCapacity", "CSIDriver"]
  .map((resource) => ({ resource, actions: ["Add", "Update"] })).concat([{ resource: "Node", actions: ["Add", "UpdateLabel"] }]);

/** The four of them share the informers of claims, volumes and classes, whose changes they put before the queue. */
export function volumePlugins(handle: Handle): readonly Plugin[] {
  const { informers, queue } = handle;
  const kinds = ["persistentVolumeClaims", "persistentVolumes", "storageClasses", "csiNodes"] as const;
  for (const kind of kinds) {
    const informer = informers.informer(kind);
    const { kind: resource } = informer.resource;
    informer.addHandler({
      add: (now: unknown) => queue.move({ resource, action: "Add" }, undefined, now),
      update: (now: unknown, old: unknown) => queue.move({ resource, action: "Update" }, old, now),
    });
  }
  return [volumeRestrictions(handle), nodeVolumeLimits(handle), volumeBinding(handle), volumeZone(handle)];
}

/** Disks that cannot be mounted twice, and claims of one pod alone. */
function volumeRestrictions({ informers, cache }: Handle): Plugin {
  const NAME = "VolumeRestrictions";
  const claims = informers.informer("persistentVolumeClaims");
  const NO_DISK: Rejection = { reasons: ["node(s) had no available disk"], unresolvable: false, plugin: NAME };
  const ONE_POD: Rejection = { reasons: ["node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"], unresolvable: false, plugin: NAME };
  /** What two pods on one node must not both use, unless both only read: `SORT/ID`. */
  const disks = (pod: Pod): [id: string, readOnly: boolean][] => (pod.spec.volumes ?? []).flatMap((volume): [string, boolean][] => {
    const { gcePersistentDisk, awsElasticBlockStore, iscsi, rbd } = volume;
    if (gcePersistentDisk !== undefined) return [[`gce/${gcePersistentDisk.pdName}`, gcePersistentDisk.readOnly ?? false]];
    if (awsElasticBlockStore !== undefined) return [[`aws/${awsElasticBlockStore.volumeID}`, false]];
    if (iscsi !== undefined) return [[`iscsi/${iscsi.iqn}`, iscsi.readOnly ?? false]];
    return rbd === undefined ? [] : [[`rbd/${rbd.pool ?? ""}/${rbd.image}`, rbd.readOnly ?? false]];
  });
  return {
    name: NAME,
    events: [{ resource: "AssignedPod", actions: ["Delete"] }, { resource: "Node", actions: ["Add"] }, { resource: "PersistentVolumeClaim", actions: ["Add", "Update"] }],
    preFilter({ info: { pod }, state }) {
      const alone: string[] = [];
      for (const name of claimNames(pod)) {
        const claim = claims.get(pod.metadata.namespace!, name);
        if (claim?.spec.accessModes?.includes("ReadWriteOncePod") === true) alone.push(name);
      }
      const own = disks(pod);
      if (alone.length === 0 && own.length === 0) return SKIP;
      state.set(NAME, { alone, own });
      return undefined;
    },
    filter({ info: { pod }, state }, node) {
      const { alone, own } = state.get(NAME) as { alone: readonly string[]; own: readonly [string, boolean][] };
      if (own.length > 0) {
        for (const other of node.pods.values()) {
          for (const [id, readOnly] of disks(other.pod)) if (own.some(([mine, reads]) => mine === id && !(reads && readOnly))) return NO_DISK;
        }
      }
      if (alone.length > 0) {
        for (const { pods } of cache.nodes()) {
          for (const { pod: other } of pods.values()) {
            if (other.metadata.namespace === pod.metadata.namespace && claimNames(other).some((name) => alone.includes(name))) return ONE_POD;
          }
        }
      }
      return undefined;
    },
  };
}

/** How many volumes of a CSI driver a node takes (CSINode's allocatable count). */
function nodeVolumeLimits({ informers }: Handle): Plugin {
  const NAME = "NodeVolumeLimits";
  const TOO_MANY: Rejection = { reasons: ["node(s) exceed max volume count"], unresolvable: false, plugin: NAME };
  const claims = informers.informer("persistentVolumeClaims");
  const volumes = informers.informer("persistentVolumes");
  const nodes = informers.informer("csiNodes");
  /** `DRIVER/HANDLE` of the pod's volumes. */
  const handles = (pod: Pod): string[] => claimNames(pod).flatMap((name) => {
    const claim = claims.get(pod.metadata.namespace!, name);
    const { csi } = volumes.get("", claim?.spec.volumeName ?? "")?.spec ?? {};
    return csi === undefined ? [] : [`${csi.driver}/${csi.volumeHandle}`];
  });
  return {
    name: NAME,
    events: [{ resource: "CSINode", actions: ["Add", "Update"] }, { resource: "AssignedPod", actions: ["Delete"] }, { resource: "PersistentVolumeClaim", actions: ["Add", "Update"] }],
    preFilter: ({ info: { pod } }) => (claimNames(pod).length === 0 ? SKIP : undefined),
    filter({ info: { pod } }, node) {
      const drivers = nodes.get("", node.node.metadata.name)?.spec.drivers ?? [];
      const limits = new Map(drivers.flatMap(({ name, allocatable }) => (allocatable?.count === undefined ? [] : [[name, allocatable.count] as const])));
      if (limits.size === 0) return undefined;
      const wanted = handles(pod);
      const used = new Set([...node.pods.values()].flatMap(({ pod: other }) => handles(other)));
      for (const [driver, limit] of limits) {
        const fresh = wanted.filter((handle) => handle.startsWith(`${driver}/`) && !used.has(handle)).length;
        const there = [...used].filter((handle) => handle.startsWith(`${driver}/`)).length;
        if (fresh > 0 && fresh + there > limit) return TOO_MANY;
      }
      return undefined;
    },
  };
}

interface ToBind {
  readonly claim: PersistentVolumeClaim;
  /** Undefined: to be provisioned. */
  readonly volume: PersistentVolume | undefined;
}

interface BindingState {
  readonly bound: readonly PersistentVolumeClaim[];
  readonly delayed: readonly PersistentVolumeClaim[];
  /** What would be bound on each node that fits. */
  readonly plans: Map<string, readonly ToBind[]>;
  reserved: readonly ToBind[];
}

/** Claims that are bound must be reachable from the node; those that wait for a consumer get their volume now. */
function volumeBinding({ informers, client, clock }: Handle): Plugin {
  const NAME = "VolumeBinding";
  const claims = informers.informer("persistentVolumeClaims");
  const volumes = informers.informer("persistentVolumes");
  const classes = informers.informer("storageClasses");
  /** Volumes that pods still on their way will bind. */
  const assumed = new Map<string, string>();
  const no = (reason: string, unresolvable = true): Rejection => ({ reasons: [reason], unresolvable, plugin: NAME });
  const keyOf = ({ metadata: { namespace, name } }: PersistentVolumeClaim): string => `${namespace}/${name}`;

  const find = (claim: PersistentVolumeClaim, node: NodeInfo, taken: ReadonlySet<string>): PersistentVolume | undefined => {
    const { spec } = claim;
    const wanted = quantityValue(spec.resources.requests?.["storage"] ?? "0");
    const selector = spec.selector === undefined ? undefined : labelSelector(spec.selector);
    let best: PersistentVolume | undefined;
    for (const volume of volumes.list()) {
      const { metadata, spec: own, status } = volume;
      const { claimRef } = own;
      const mine = claimRef !== undefined && claimRef.namespace === claim.metadata.namespace && claimRef.name === claim.metadata.name && (claimRef.uid === undefined || claimRef.uid === claim.metadata.uid);
      const owner = assumed.get(metadata.name);
      if (taken.has(metadata.name) || (claimRef !== undefined && !mine) || (owner !== undefined && owner !== keyOf(claim))) continue;
      if (!mine && status.phase !== "Available") continue;
      if ((own.storageClassName ?? "") !== (spec.storageClassName ?? "") || (own.volumeMode ?? "Filesystem") !== (spec.volumeMode ?? "Filesystem")) continue;
      if (metadata.deletionTimestamp !== undefined || !(spec.accessModes ?? []).every((mode) => own.accessModes?.includes(mode) === true)) continue;
      if (quantityValue(own.capacity?.["storage"] ?? "0") < wanted || (selector !== undefined && !matches(selector, metadata.labels))) continue;
      if (!reaches(own.nodeAffinity?.required, node)) continue;
      if (mine) return volume;
      // The smallest that is large enough.
      if (best === undefined || quantityValue(own.capacity?.["storage"] ?? "0") < quantityValue(best.spec.capacity?.["storage"] ?? "0")) best = volume;
    }
    return best;
  };

  const plan = (delayed: readonly PersistentVolumeClaim[], node: NodeInfo): readonly ToBind[] | undefined => {
    const taken = new Set<string>();
    const out: ToBind[] = [];
    for (const claim of delayed) {
      const selected = claim.metadata.annotations?.[SELECTED_NODE];
      if (selected !== undefined && selected !== node.node.metadata.name) return undefined;
      const volume = selected === undefined ? find(claim, node, taken) : undefined;
      if (volume === undefined) {
        const storageClass = classes.get("", claim.spec.storageClassName ?? "");
        if (storageClass === undefined || storageClass.provisioner === NO_PROVISIONER || storageClass.provisioner === "") return undefined;
        const { allowedTopologies } = storageClass;
        const { labels = {} } = node.node.metadata;
        if (allowedTopologies !== undefined && !allowedTopologies.some(({ matchLabelExpressions = [] }) => matchLabelExpressions.every(({ key, values }) => labels[key] !== undefined && values.includes(labels[key])))) return undefined;
      } else taken.add(volume.metadata.name);
      out.push({ claim, volume });
    }
    return out;
  };

  const isBound = (claim: PersistentVolumeClaim): boolean => (claim.spec.volumeName ?? "") !== "" && claim.metadata.annotations?.[BIND_COMPLETED] !== undefined;

  return {
    name: NAME,
    events: VOLUME_EVENTS,
    preFilter({ info: { pod }, state }) {
      const names = claimNames(pod);
      if (names.length === 0) return SKIP;
      const found: PersistentVolumeClaim[] = [];
      for (const [i, name] of names.entries()) {
        const claim = claims.get(pod.metadata.namespace!, name);
        if (claim === undefined) {
          const volume = (pod.spec.volumes ?? []).filter(({ persistentVolumeClaim, ephemeral }) => persistentVolumeClaim !== undefined || ephemeral !== undefined)[i];
          return no(volume?.ephemeral === undefined ? `persistentvolumeclaim "${name}" not found` : `waiting for ephemeral volume controller to create the persistentvolumeclaim "${name}"`);
        }
        if (claim.status.phase === "Lost") return no(`persistentvolumeclaim "${name}" bound to non-existent persistentvolume "${claim.spec.volumeName ?? ""}"`);
        if (claim.metadata.deletionTimestamp !== undefined) return no(`persistentvolumeclaim "${name}" is being deleted`);
        found.push(claim);
      }
      const bound = found.filter(isBound);
      const delayed = found.filter((claim) => !isBound(claim));
      for (const claim of delayed) {
        const storageClass = classes.get("", claim.spec.storageClassName ?? "");
        if (storageClass?.volumeBindingMode !== "WaitForFirstConsumer" || (claim.spec.volumeName ?? "") !== "") return no("pod has unbound immediate PersistentVolumeClaims");
      }
      state.set(NAME, { bound, delayed, plans: new Map(), reserved: [] } satisfies BindingState);
      return undefined;
    },
    filter({ state }, node) {
      const { bound, delayed, plans } = state.get(NAME) as BindingState;
      for (const { spec } of bound) {
        const volume = volumes.get("", spec.volumeName!);
        if (volume === undefined) return no("node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)");
        if (!reaches(volume.spec.nodeAffinity?.required, node)) return no("node(s) had volume node affinity conflict");
      }
      if (delayed.length === 0) return undefined;
      const planned = plan(delayed, node);
      if (planned === undefined) return no("node(s) didn't find available persistent volumes to bind");
      plans.set(node.node.metadata.name, planned);
      return undefined;
    },
    reserve({ state }, node) {
      const kept = state.get(NAME) as BindingState | undefined;
      if (kept === undefined) return;
      kept.reserved = kept.plans.get(node.node.metadata.name) ?? [];
      for (const { claim, volume } of kept.reserved) if (volume !== undefined) assumed.set(volume.metadata.name, keyOf(claim));
    },
    unreserve: ({ state }) => release(state),
    postBind: ({ state }) => release(state),
    async preBind({ state }, node, signal) {
      const { reserved } = (state.get(NAME) as BindingState | undefined) ?? { reserved: [] };
      if (reserved.length === 0) return;
      for (const { claim, volume } of reserved) {
        const { namespace, name, uid, resourceVersion } = claim.metadata;
        if (volume === undefined) {
          await client.persistentVolumeClaims.patch(namespace!, name, "merge", { metadata: { annotations: { [SELECTED_NODE]: node.node.metadata.name } } }, undefined, signal);
        } else if (volume.spec.claimRef?.uid !== uid) {
          await client.persistentVolumes.patch("", volume.metadata.name, "merge", {
            metadata: { annotations: { [BOUND_BY_CONTROLLER]: "yes" } },
            spec: { claimRef: { kind: "PersistentVolumeClaim", apiVersion: "v1", namespace, name, uid, resourceVersion } },
          }, undefined, signal);
        }
      }
      const deadline = clock.nowMs() + BIND_TIMEOUT_MS;
      while (!reserved.every(({ claim: { metadata } }) => {
        const now = claims.get(metadata.namespace!, metadata.name);
        return now !== undefined && isBound(now);
      })) {
        if (signal.aborted || clock.nowMs() >= deadline) throw new SchedulingError("binding volumes: context deadline exceeded");
        await clock.sleep(BIND_POLL_MS);
      }
    },
  };

  function release(state: Cycle["state"]): void {
    for (const { volume } of (state.get(NAME) as BindingState | undefined)?.reserved ?? []) if (volume !== undefined) assumed.delete(volume.metadata.name);
  }
}

/** Whether a volume can be reached from the node. Follows CheckNodeAffinity. */
const reaches = (required: NodeSelector | undefined, node: NodeInfo): boolean => required === undefined || required.nodeSelectorTerms.some((term) => matchesTerm(term, node));

/** Volumes that are labelled with a zone are for nodes of that zone. */
function volumeZone({ informers }: Handle): Plugin {
  const NAME = "VolumeZone";
  const CONFLICT: Rejection = { reasons: ["node(s) had no available volume zone"], unresolvable: true, plugin: NAME };
  const claims = informers.informer("persistentVolumeClaims");
  const volumes = informers.informer("persistentVolumes");
  return {
    name: NAME,
    events: VOLUME_EVENTS,
    preFilter({ info: { pod }, state }) {
      const wanted = claimNames(pod).flatMap((name) => {
        const { labels = {} } = volumes.get("", claims.get(pod.metadata.namespace!, name)?.spec.volumeName ?? "")?.metadata ?? {};
        return ZONE_LABELS.flatMap((key) => (labels[key] === undefined ? [] : [{ key, values: labels[key].split("__") }]));
      });
      if (wanted.length === 0) return SKIP;
      state.set(NAME, wanted);
      return undefined;
    },
    filter({ state }, { node }) {
      const wanted = state.get(NAME) as readonly { key: string; values: readonly string[] }[];
      return fitsZones(node, wanted) ? undefined : CONFLICT;
    },
  };
}

/** A node without any zone is in all of them. */
function fitsZones({ metadata: { labels = {} } }: Node, wanted: readonly { key: string; values: readonly string[] }[]): boolean {
  if (!ZONE_LABELS.some((key) => labels[key] !== undefined)) return true;
  return wanted.every(({ key, values }) => labels[key] !== undefined && values.includes(labels[key]));
}
