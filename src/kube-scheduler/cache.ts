/**
 * The scheduler's picture of nodes and their pods, kept by informer events; pods that are about to be bound are in it
 * already. Follows pkg/scheduler/backend/cache.
 */
import type { Node, Pod } from "../api/types.generated.ts";
import { deepEqual } from "../apimachinery/meta.ts";
import { addPod, newNodeInfo, podInfo, removePod, setNode } from "./framework.ts";
import type { NodeInfo, PodInfo } from "./framework.ts";

export interface SchedulerCache {
  /** The same array as long as no node comes or goes. */
  nodes(): readonly NodeInfo[];
  node(name: string): NodeInfo | undefined;
  /** Those with pods that have inter-pod affinity. */
  readonly affinityNodes: ReadonlySet<NodeInfo>;
  /** On how many nodes there is an image of this name. */
  nodesWithImage(name: string): number;
  setNode(node: Node): void;
  removeNode(name: string): void;
  /** A bound pod as the API shows it. */
  setPod(pod: Pod): void;
  removePod(uid: string): void;
  /** Counts the pod on the node before the API says so. */
  assume(info: PodInfo, node: string): void;
  /** The binding failed. */
  forget(uid: string): void;
  isAssumed(uid: string): boolean;
}

export function createSchedulerCache(): SchedulerCache {
  const byName = new Map<string, NodeInfo>();
  /** Pods of nodes that are not known (yet). */
  const homeless = new Map<string, Map<string, PodInfo>>();
  const nodeOfPod = new Map<string, string>();
  const assumed = new Set<string>();
  const affinityNodes = new Set<NodeInfo>();
  const images = new Map<string, number>();
  let list: readonly NodeInfo[] | undefined;

  const countImages = (node: Node, by: 1 | -1): void => {
    for (const { names = [] } of node.status.images ?? []) for (const name of names) images.set(name, (images.get(name) ?? 0) + by);
  };

  const place = (info: PodInfo, node: string): void => {
    const { uid } = info.pod.metadata;
    nodeOfPod.set(uid, node);
    const home = byName.get(node);
    if (home !== undefined) addPod(home, info);
    else {
      const waiting = homeless.get(node) ?? new Map<string, PodInfo>();
      waiting.set(uid, info);
      homeless.set(node, waiting);
    }
  };
  const unplace = (uid: string): void => {
    const node = nodeOfPod.get(uid);
    if (node === undefined) return;
    nodeOfPod.delete(uid);
    assumed.delete(uid);
    const home = byName.get(node);
    if (home !== undefined) removePod(home, uid);
    else homeless.get(node)?.delete(uid);
  };

  return {
    nodes: () => (list ??= byZone([...byName.values()])),
    node: (name) => byName.get(name),
    affinityNodes,
    nodesWithImage: (name) => images.get(name) ?? 0,
    setNode(node) {
      const { name } = node.metadata;
      const known = byName.get(name);
      if (known !== undefined) {
        if (known.node.status.images !== node.status.images) {
          countImages(known.node, -1);
          countImages(node, 1);
        }
        setNode(known, node);
        return;
      }
      const info = newNodeInfo(node, affinityNodes);
      countImages(node, 1);
      for (const pod of homeless.get(name)?.values() ?? []) addPod(info, pod);
      homeless.delete(name);
      byName.set(name, info);
      list = undefined;
    },
    removeNode(name) {
      const info = byName.get(name);
      if (info === undefined) return;
      byName.delete(name);
      countImages(info.node, -1);
      affinityNodes.delete(info);
      if (info.pods.size > 0) homeless.set(name, info.pods);
      list = undefined;
    },
    setPod(pod) {
      const { uid } = pod.metadata;
      const node = pod.spec.nodeName!;
      const known = nodeOfPod.get(uid) === node ? byName.get(node)?.pods.get(uid) : undefined;
      // What an update of its status changes is the object alone.
      if (known !== undefined && known.pod.spec.containers === pod.spec.containers) {
        const { labels, deletionTimestamp } = known.pod.metadata;
        if (!deepEqual(labels, pod.metadata.labels) || deletionTimestamp !== pod.metadata.deletionTimestamp) byName.get(node)!.matching = undefined;
        known.pod = pod;
        assumed.delete(uid);
        return;
      }
      unplace(uid);
      place(podInfo(pod), node);
    },
    removePod: unplace,
    assume(info, node) {
      place(info, node);
      assumed.add(info.pod.metadata.uid);
    },
    forget: unplace,
    isAssumed: (uid) => assumed.has(uid),
  };
}

/** Nodes of different zones by turns, so that a search that ends early has looked into all. Follows node_tree.go. */
function byZone(nodes: readonly NodeInfo[]): readonly NodeInfo[] {
  const zones = new Map<string, NodeInfo[]>();
  for (const info of nodes) {
    const { labels = {} } = info.node.metadata;
    const zone = `${labels["topology.kubernetes.io/region"] ?? ""}/${labels["topology.kubernetes.io/zone"] ?? ""}`;
    const there = zones.get(zone);
    if (there === undefined) zones.set(zone, [info]);
    else there.push(info);
  }
  if (zones.size < 2) return nodes;
  const out: NodeInfo[] = [];
  for (let i = 0; out.length < nodes.length; i++) for (const list of zones.values()) if (i < list.length) out.push(list[i]!);
  return out;
}
