/** Pods that were promised room on a node by preemption and wait for it. Follows pkg/scheduler/backend/queue/nominator.go. */
import type { Pod } from "../api/types.generated.ts";
import { priorityOf, type PodInfo } from "./framework.ts";

export interface Nominator {
  readonly size: number;
  /** "" takes the promise back. */
  set(info: PodInfo, node: string): void;
  /** A pod as the API shows it, with the promise of an earlier scheduler. */
  see(infoOf: (pod: Pod) => PodInfo, pod: Pod): void;
  delete(uid: string): void;
  /** Who was promised room there. */
  on(node: string): readonly PodInfo[];
  /** Those of them, but the pod itself, that are at least as important as this pod. */
  of(node: string, than: PodInfo): readonly PodInfo[];
}

export function newNominator(): Nominator {
  const promises = new Map<string, { info: PodInfo; node: string }>();
  const set = (info: PodInfo, node: string): void => {
    if (node === "") promises.delete(info.pod.metadata.uid);
    else promises.set(info.pod.metadata.uid, { info, node });
  };
  const on = (node: string): PodInfo[] => [...promises.values()].flatMap((promise) => (promise.node === node ? [promise.info] : []));
  return {
    get size() {
      return promises.size;
    },
    set,
    see(infoOf, pod) {
      const { nominatedNodeName } = pod.status;
      if (nominatedNodeName !== undefined && promises.get(pod.metadata.uid)?.node !== nominatedNodeName) set(infoOf(pod), nominatedNodeName);
    },
    delete: (uid) => void promises.delete(uid),
    on,
    of: (node, { pod }) => on(node).filter((info) => info.pod.metadata.uid !== pod.metadata.uid && priorityOf(info.pod) >= priorityOf(pod)),
  };
}
