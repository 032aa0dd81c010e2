/** When an object is what its author wanted it to be: the conditions that `kubectl wait` and `rollout status` look at. */
import type { KubeObject } from "../apimachinery/meta.ts";

interface Conditioned extends KubeObject {
  readonly spec?: { readonly replicas?: number };
  readonly status?: {
    readonly phase?: string;
    readonly observedGeneration?: number;
    readonly updatedReplicas?: number;
    readonly availableReplicas?: number;
    readonly readyReplicas?: number;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

/** Node and Pod: condition Ready. Namespace: Active. Deployment, ReplicaSet: all replicas updated and available. Others: at once. */
export const isReady = (object: KubeObject): boolean => {
  const { kind, metadata, spec, status } = object as Conditioned;
  const replicas = spec?.replicas ?? 1;
  switch (kind) {
    case "Namespace":
      return status?.phase === "Active";
    case "Node":
    case "Pod":
      return status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;
    case "Deployment":
      return (
        (status?.observedGeneration ?? 0) >= (metadata.generation ?? 1) &&
        (status?.updatedReplicas ?? 0) >= replicas &&
        (status?.availableReplicas ?? 0) >= replicas
      );
    case "ReplicaSet":
      return (status?.observedGeneration ?? 0) >= (metadata.generation ?? 1) && (status?.availableReplicas ?? 0) >= replicas;
    default:
      return true;
  }
};
