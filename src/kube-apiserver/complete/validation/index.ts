/** The validation of every built-in kind, put onto its descriptor. */
import type { Descriptor } from "../../registry/descriptor.ts";
import * as apps from "./apps.ts";
import type { Validation } from "./common.ts";
import * as core from "./core.ts";
import { pod } from "./pod.ts";

const VALIDATION: Readonly<Record<string, Validation>> = {
  Pod: pod,
  Namespace: core.namespace,
  ConfigMap: core.configMap,
  Secret: core.secret,
  ServiceAccount: core.serviceAccount,
  Node: core.node,
  LimitRange: core.limitRange,
  ResourceQuota: core.resourceQuota,
  Endpoints: core.endpoints,
  PersistentVolume: core.persistentVolume,
  PersistentVolumeClaim: core.persistentVolumeClaim,
  PodTemplate: core.podTemplate,
  ReplicationController: core.replicationController,
  Event: core.event,
  "apps/Deployment": apps.deployment,
  "apps/ReplicaSet": apps.replicaSet,
  "apps/DaemonSet": apps.daemonSet,
  "apps/StatefulSet": apps.statefulSet,
  "apps/ControllerRevision": apps.controllerRevision,
};

/** The descriptor with what is known of its kind here. */
export function withValidation(descriptor: Descriptor): Descriptor {
  const { group, kind } = descriptor.name;
  const found = VALIDATION[group === "" ? kind : `${group}/${kind}`];
  return found === undefined ? descriptor : { ...descriptor, ...found, whole: true };
}
