/** The validation of every built-in kind, put onto its descriptor. */
import type { Pod } from "../../../api/types.generated.ts";
import { syncAppArmor } from "../apparmor.ts";
import { autoscalerV1, eventsV1 } from "../converted.ts";
import type { Conversion } from "../converted.ts";
import type { Descriptor } from "../../registry/descriptor.ts";
import * as admissionregistration from "./admissionregistration.ts";
import * as apps from "./apps.ts";
import { horizontalPodAutoscaler } from "./autoscaling.ts";
import * as batch from "./batch.ts";
import type { Validation } from "./common.ts";
import * as core from "./core.ts";
import { event, eventV1 } from "./events.ts";
import * as flowcontrol from "./flowcontrol.ts";
import * as networking from "./networking.ts";
import { pod } from "./pod.ts";
import { service, validateBeforeAllocation } from "./service.ts";
import * as small from "./small-groups.ts";
import * as storage from "./storage.ts";
import { warningsOf } from "./warnings.ts";

const VALIDATION: Readonly<Record<string, Validation>> = {
  Pod: pod,
  Service: service,
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
  Event: event,
  "apps/Deployment": apps.deployment,
  "apps/ReplicaSet": apps.replicaSet,
  "apps/DaemonSet": apps.daemonSet,
  "apps/StatefulSet": apps.statefulSet,
  "apps/ControllerRevision": apps.controllerRevision,
  "events.k8s.io/Event": inStoredForm(eventsV1, eventV1),
  "batch/Job": batch.job,
  "batch/CronJob": batch.cronJob,
  "autoscaling/HorizontalPodAutoscaler": horizontalPodAutoscaler,
  "networking.k8s.io/NetworkPolicy": networking.networkPolicy,
  "networking.k8s.io/Ingress": networking.ingress,
  "networking.k8s.io/IngressClass": networking.ingressClass,
  "discovery.k8s.io/EndpointSlice": networking.endpointSlice,
  "policy/PodDisruptionBudget": small.podDisruptionBudget,
  "rbac.authorization.k8s.io/Role": small.role,
  "rbac.authorization.k8s.io/ClusterRole": small.clusterRole,
  "rbac.authorization.k8s.io/RoleBinding": small.roleBinding,
  "rbac.authorization.k8s.io/ClusterRoleBinding": small.clusterRoleBinding,
  "scheduling.k8s.io/PriorityClass": small.priorityClass,
  "node.k8s.io/RuntimeClass": small.runtimeClass,
  "coordination.k8s.io/Lease": small.lease,
  "certificates.k8s.io/CertificateSigningRequest": small.certificateSigningRequest,
  "storage.k8s.io/StorageClass": storage.storageClass,
  "storage.k8s.io/VolumeAttachment": storage.volumeAttachment,
  "storage.k8s.io/CSINode": storage.csiNode,
  "storage.k8s.io/CSIDriver": storage.csiDriver,
  "storage.k8s.io/CSIStorageCapacity": storage.csiStorageCapacity,
  "flowcontrol.apiserver.k8s.io/FlowSchema": flowcontrol.flowSchema,
  "flowcontrol.apiserver.k8s.io/PriorityLevelConfiguration": flowcontrol.priorityLevelConfiguration,
  "admissionregistration.k8s.io/MutatingWebhookConfiguration": admissionregistration.mutatingWebhookConfiguration,
  "admissionregistration.k8s.io/ValidatingWebhookConfiguration": admissionregistration.validatingWebhookConfiguration,
  "admissionregistration.k8s.io/ValidatingAdmissionPolicy": admissionregistration.validatingAdmissionPolicy,
  "admissionregistration.k8s.io/ValidatingAdmissionPolicyBinding": admissionregistration.validatingAdmissionPolicyBinding,
};

/** Validation of objects that are judged as they are stored. */
function inStoredForm({ toStored }: Conversion, { validate, validateUpdate, validateStatusUpdate }: Validation): Validation {
  return {
    validate: (object, errors) => validate(toStored(object), errors),
    validateUpdate: (object, old, errors) => validateUpdate(toStored(object), toStored(old), errors),
    validateStatusUpdate: (object, old, errors) => validateStatusUpdate?.(toStored(object), toStored(old), errors),
  };
}

/** The descriptor with what is known of its kind here. */
export function withValidation(descriptor: Descriptor): Descriptor {
  const { group, kind } = descriptor.name;
  const key = group === "" ? kind : `${group}/${kind}`;
  // The same kind of another version is judged as the one that is stored.
  const found = key === "autoscaling/HorizontalPodAutoscaler" && descriptor.name.version === "v1" ? inStoredForm(autoscalerV1, horizontalPodAutoscaler) : VALIDATION[key];
  const warnings = warningsOf(key);
  const { allocate } = descriptor;
  if (key === "Service" && allocate !== undefined)
    return {
      ...descriptor,
      ...service,
      whole: true,
      ...(warnings === undefined ? {} : { warnings }),
      allocate(object, old, errors, context) {
        validateBeforeAllocation(object, errors);
        return errors.list.length > 0 ? () => {} : allocate(object, old, errors, context);
      },
    };
  const { prepareForCreate } = descriptor;
  return {
    ...descriptor,
    ...(found === undefined ? {} : { ...found, whole: true }),
    ...(key !== "Pod" ? {} : {
      prepareForCreate(object, context) {
        prepareForCreate?.(object, context);
        syncAppArmor(object as unknown as Pod);
      },
    }),
    ...(warnings === undefined ? {} : { warnings }),
    ...(group === "admissionregistration.k8s.io" ? { prepare: admissionregistration.loadExpressions } : {}),
  };
}
