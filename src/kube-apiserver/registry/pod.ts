/**
 * Pods. Follows pkg/registry/core/pod/strategy.go and pkg/apis/core/validation/validation.go (ValidatePodSpec).
 */
import type { Container, Pod, PodSpec, ServiceAccount } from "../../api/types.generated.ts";
import { RESOURCES } from "../../api/resources.ts";
import { deepEqual } from "../../apimachinery/meta.ts";
import type { KubeObject } from "../../apimachinery/meta.ts";
import { randomSuffix } from "../../apimachinery/names.ts";
import { parseQuantity } from "../../apimachinery/quantity.ts";
import {
  validateConfigMapKey, validateDNS1123Label, validateDNS1123Subdomain, validateEnvVarName, validateLabelKey,
  validateLabelValue, validatePortName, validatePortNumber,
} from "../../apimachinery/validation.ts";
import { formatTime } from "../../apimachinery/time.ts";
import type { FieldErrors } from "../field.ts";
import type { Descriptor, RegistryContext } from "./descriptor.ts";
import { setPodDefaults } from "./pod-defaults.ts";

export const pods: Descriptor<Pod> = {
  name: RESOURCES.pods,
  storagePrefix: "pods",
  hasStatus: true,
  validateName: validateDNS1123Subdomain,
  allowUnconditionalUpdate: true,
  returnsDeleted: true,
  selectableNames: ["spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork", "status.phase", "status.podIP", "status.nominatedNodeName"],
  selectable: ({ spec, status }) => ({
    "spec.nodeName": spec.nodeName,
    "spec.restartPolicy": spec.restartPolicy,
    "spec.schedulerName": spec.schedulerName,
    "spec.serviceAccountName": spec.serviceAccountName,
    "spec.hostNetwork": String(spec.hostNetwork === true),
    "status.phase": status.phase,
    "status.podIP": status.podIP,
    "status.nominatedNodeName": status.nominatedNodeName,
  }),
  setDefaults: setPodDefaults,
  // The plugins ServiceAccount, Priority and DefaultTolerationSeconds (plugin/pkg/admission).
  async admitCreate(pod, context) {
    if (pod.spec.serviceAccountName === undefined) {
      pod.spec.serviceAccountName = "default";
      pod.spec.serviceAccount = "default";
    }
    const account = await context.find("serviceaccounts", pod.metadata.namespace!, pod.spec.serviceAccountName);
    if (account !== undefined) mountToken(pod, account as ServiceAccount & KubeObject, context);
    pod.spec.priority ??= 0;
    pod.spec.preemptionPolicy ??= "PreemptLowerPriority";
    tolerateForAWhile(pod);
  },
  prepareForCreate(pod, { clock }) {
    pod.status = { phase: "Pending", qosClass: qosClass(pod.spec) };
    if ((pod.spec.schedulingGates ?? []).length === 0) return;
    const condition = {
      type: "PodScheduled", status: "False", reason: "SchedulingGated", message: "Scheduling is blocked due to non-empty scheduling gates",
      lastProbeTime: null, lastTransitionTime: formatTime(clock.nowMs()),
    };
    pod.status.conditions = [condition as unknown as NonNullable<Pod["status"]["conditions"]>[number]];
  },
  prepareForUpdate(pod, old) {
    tolerateForAWhile(pod);
    pod.status = old.status;
  },
  prepareForStatusUpdate(pod, old) {
    pod.spec = old.spec;
    pod.status.qosClass ??= old.status.qosClass;
  },
  validate(pod, errors) {
    validatePodSpec(pod.spec, "spec", errors);
  },
  validateUpdate(pod, old, errors) {
    if (!deepEqual(mutableView(pod.spec, old.spec), old.spec)) {
      errors.forbidden("spec", "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n");
    }
  },
  gracePeriod(pod, asked) {
    let seconds = asked ?? pod.spec.terminationGracePeriodSeconds ?? 30;
    if (pod.spec.nodeName === undefined || pod.status.phase === "Failed" || pod.status.phase === "Succeeded") seconds = 0;
    return seconds < 0 ? 1 : seconds;
  },
};

/** DefaultTolerationSeconds: for five minutes a pod bears a node that is gone. */
function tolerateForAWhile({ spec }: Pod): void {
  for (const key of ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]) {
    const tolerated = spec.tolerations?.some((t) => (t.key === key || t.key === undefined) && (t.effect === "NoExecute" || t.effect === undefined));
    if (tolerated !== true) (spec.tolerations ??= []).push({ key, operator: "Exists", effect: "NoExecute", tolerationSeconds: 300 });
  }
}

const TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount";

/**
 * The projected volume with token, CA and namespace. Follows plugin/pkg/admission/serviceaccount (mountServiceAccountToken,
 * TokenVolumeSource), sources as the recorded server writes them. A pod whose account does not exist is admitted without,
 * where upstream refuses it: no controller makes the accounts yet.
 */
function mountToken(pod: Pod, account: ServiceAccount & KubeObject, { random }: RegistryContext): void {
  if ((pod.spec.automountServiceAccountToken ?? account.automountServiceAccountToken) === false) return;
  let name: string | undefined;
  for (const container of [...(pod.spec.initContainers ?? []), ...(pod.spec.containers ?? [])]) {
    if (container.volumeMounts?.some((m) => m.mountPath === TOKEN_PATH) === true) continue;
    name ??= `kube-api-access-${randomSuffix(random, 5)}`;
    (container.volumeMounts ??= []).push({ name, readOnly: true, mountPath: TOKEN_PATH });
  }
  if (name === undefined) return;
  (pod.spec.volumes ??= []).push({
    name,
    projected: {
      sources: [
        { serviceAccountToken: { expirationSeconds: 3607, path: "token" } },
        { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
        { downwardAPI: { items: [{ path: "namespace", fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" } }] } },
        { configMap: { name: "openshift-service-ca.crt", items: [{ key: "service-ca.crt", path: "service-ca.crt" }] } },
      ],
      defaultMode: 420,
    },
  });
}

/** `spec` with the fields that may change set as they were, so that anything else shows. Follows ValidatePodUpdate. */
function mutableView(spec: PodSpec, old: PodSpec): PodSpec {
  const images = (list: Container[] | undefined, was: Container[] | undefined): Container[] | undefined =>
    list !== undefined && list.length === was?.length ? list.map((c, i) => ({ ...c, image: was[i]!.image })) : list;
  const tolerationsKept = (old.tolerations ?? []).every((t) => spec.tolerations?.some((n) => deepEqual({ ...n, tolerationSeconds: 0 }, { ...t, tolerationSeconds: 0 })));
  return {
    ...spec,
    containers: images(spec.containers, old.containers)!,
    initContainers: images(spec.initContainers, old.initContainers),
    activeDeadlineSeconds: old.activeDeadlineSeconds,
    tolerations: tolerationsKept ? old.tolerations : spec.tolerations,
    ...(old.schedulingGates === undefined ? {} : { schedulingGates: old.schedulingGates }),
  };
}

/** Follows pkg/apis/core/v1/helper/qos.ComputePodQOS. */
export function qosClass(spec: PodSpec): "Guaranteed" | "Burstable" | "BestEffort" {
  let any = false;
  let guaranteed = true;
  for (const { resources } of [...(spec.containers ?? []), ...(spec.initContainers ?? [])]) {
    for (const name of ["cpu", "memory"]) {
      const request = positive(resources?.requests?.[name]);
      const limit = positive(resources?.limits?.[name]);
      if (request !== undefined || limit !== undefined) any = true;
      if (limit === undefined || (request ?? limit) !== limit) guaranteed = false;
    }
  }
  return !any ? "BestEffort" : guaranteed ? "Guaranteed" : "Burstable";
}

function positive(text: string | undefined): bigint | undefined {
  if (text === undefined) return undefined;
  const { nano } = parseQuantity(text);
  return nano > 0n ? nano : undefined;
}

const RESTART_POLICIES = ["Always", "OnFailure", "Never"];
const DNS_POLICIES = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
const PULL_POLICIES = ["Always", "IfNotPresent", "Never"];
const PROTOCOLS = ["SCTP", "TCP", "UDP"];
const EFFECTS = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/** In the order in which validateVolumeSource looks at them: the later one of two is refused. */
const VOLUME_SOURCES = "emptyDir hostPath gitRepo gcePersistentDisk awsElasticBlockStore secret nfs iscsi glusterfs flocker persistentVolumeClaim rbd cinder cephfs downwardAPI fc configMap azureFile vsphereVolume photonPersistentDisk portworxVolume azureDisk storageos projected scaleIO csi ephemeral".split(" ");

/** Follows ValidatePodSpec; `path` is where the spec stands. */
export function validatePodSpec(spec: PodSpec, path: string, errors: FieldErrors): void {
  const volumes = new Set<string>();
  for (const [i, volume] of (spec.volumes ?? []).entries()) {
    const at = `${path}.volumes[${i}]`;
    if (volume.name === "") errors.required(`${at}.name`);
    else errors.invalidAll(`${at}.name`, volume.name, validateDNS1123Label(volume.name));
    if (volumes.has(volume.name)) errors.duplicate(`${at}.name`, volume.name);
    volumes.add(volume.name);
    const sources = Object.keys(volume).filter((k) => k !== "name").sort((a, b) => VOLUME_SOURCES.indexOf(a) - VOLUME_SOURCES.indexOf(b));
    if (sources.length === 0) errors.required(at, "must specify a volume type");
    for (const extra of sources.slice(1)) errors.forbidden(`${at}.${extra}`, "may not specify more than 1 volume type");
    if (volume.configMap !== undefined && (volume.configMap.name ?? "") === "") errors.required(`${at}.configMap.name`);
    if (volume.secret !== undefined && (volume.secret.secretName ?? "") === "") errors.required(`${at}.secret.secretName`);
    if (volume.hostPath !== undefined && volume.hostPath.path === "") errors.required(`${at}.hostPath.path`);
  }
  const names = new Set<string>();
  if ((spec.containers ?? []).length === 0) errors.required(`${path}.containers`);
  for (const [i, container] of (spec.containers ?? []).entries()) validateContainer(container, `${path}.containers[${i}]`, volumes, names, errors);
  for (const [i, container] of (spec.initContainers ?? []).entries()) validateContainer(container, `${path}.initContainers[${i}]`, volumes, names, errors);
  if (!RESTART_POLICIES.includes(spec.restartPolicy!)) errors.notSupported(`${path}.restartPolicy`, spec.restartPolicy, RESTART_POLICIES);
  if (!DNS_POLICIES.includes(spec.dnsPolicy!)) errors.notSupported(`${path}.dnsPolicy`, spec.dnsPolicy, DNS_POLICIES);
  if (spec.dnsPolicy === "None" && (spec.dnsConfig?.nameservers ?? []).length === 0)
    errors.required(`${path}.dnsConfig.nameservers`, "must provide at least one DNS nameserver when `dnsPolicy` is None");
  if ((spec.terminationGracePeriodSeconds ?? 0) < 0)
    errors.invalid(`${path}.terminationGracePeriodSeconds`, spec.terminationGracePeriodSeconds, "must be greater than or equal to 0");
  if (spec.activeDeadlineSeconds !== undefined && spec.activeDeadlineSeconds < 1)
    errors.invalid(`${path}.activeDeadlineSeconds`, spec.activeDeadlineSeconds, "must be between 1 and 2147483647, inclusive");
  for (const key of Object.keys(spec.nodeSelector ?? {})) {
    errors.invalidAll(`${path}.nodeSelector`, key, validateLabelKey(key));
    errors.invalidAll(`${path}.nodeSelector`, spec.nodeSelector![key], validateLabelValue(spec.nodeSelector![key]!));
  }
  if (spec.serviceAccountName !== undefined) errors.invalidAll(`${path}.serviceAccountName`, spec.serviceAccountName, validateDNS1123Subdomain(spec.serviceAccountName));
  if (spec.nodeName !== undefined) errors.invalidAll(`${path}.nodeName`, spec.nodeName, validateDNS1123Subdomain(spec.nodeName));
  if (spec.hostname !== undefined) errors.invalidAll(`${path}.hostname`, spec.hostname, validateDNS1123Label(spec.hostname));
  if (spec.subdomain !== undefined) errors.invalidAll(`${path}.subdomain`, spec.subdomain, validateDNS1123Label(spec.subdomain));
  for (const [i, toleration] of (spec.tolerations ?? []).entries()) {
    const at = `${path}.tolerations[${i}]`;
    if (toleration.key !== undefined) errors.invalidAll(`${at}.key`, toleration.key, validateLabelKey(toleration.key));
    if (toleration.key === undefined && toleration.operator !== "Exists")
      errors.invalid(`${at}.operator`, toleration.operator ?? "", "operator must be Exists when `key` is empty, which means \"match all values and all keys\"");
    if (toleration.tolerationSeconds !== undefined && toleration.effect !== "NoExecute")
      errors.invalid(`${at}.effect`, toleration.effect ?? "", "effect must be 'NoExecute' when `tolerationSeconds` is set");
    if (toleration.operator === "Exists" && toleration.value !== undefined)
      errors.invalid(`${at}.operator`, toleration, "value must be empty when `operator` is 'Exists'");
    else if (toleration.operator !== undefined && toleration.operator !== "Exists" && toleration.operator !== "Equal")
      errors.notSupported(`${at}.operator`, toleration.operator, ["Equal", "Exists"]);
    if (toleration.effect !== undefined && !EFFECTS.includes(toleration.effect)) errors.notSupported(`${at}.effect`, toleration.effect, EFFECTS);
  }
}

function validateContainer(container: Container, path: string, volumes: ReadonlySet<string>, names: Set<string>, errors: FieldErrors): void {
  if (container.name === "") errors.required(`${path}.name`);
  else errors.invalidAll(`${path}.name`, container.name, validateDNS1123Label(container.name));
  if (names.has(container.name)) errors.duplicate(`${path}.name`, container.name);
  names.add(container.name);
  const image = container.image ?? "";
  if (image === "") errors.required(`${path}.image`);
  else if (image !== image.trim()) errors.invalid(`${path}.image`, image, "must not have leading or trailing whitespace");
  if (!PULL_POLICIES.includes(container.imagePullPolicy!)) errors.notSupported(`${path}.imagePullPolicy`, container.imagePullPolicy, PULL_POLICIES);
  const portNames = new Set<string>();
  for (const [i, port] of (container.ports ?? []).entries()) {
    const at = `${path}.ports[${i}]`;
    if (port.name !== undefined) {
      const problems = validatePortName(port.name);
      errors.invalidAll(`${at}.name`, port.name, problems);
      if (problems.length === 0 && portNames.has(port.name)) errors.duplicate(`${at}.name`, port.name);
      portNames.add(port.name);
    }
    if (port.containerPort === 0) errors.required(`${at}.containerPort`);
    else errors.invalidAll(`${at}.containerPort`, port.containerPort, validatePortNumber(port.containerPort));
    if (port.hostPort !== undefined) errors.invalidAll(`${at}.hostPort`, port.hostPort, validatePortNumber(port.hostPort));
    if (!PROTOCOLS.includes(port.protocol!)) errors.notSupported(`${at}.protocol`, port.protocol, PROTOCOLS);
  }
  for (const [i, env] of (container.env ?? []).entries()) {
    const at = `${path}.env[${i}]`;
    if (env.name === "") errors.required(`${at}.name`);
    else errors.invalidAll(`${at}.name`, env.name, validateEnvVarName(env.name));
    const key = env.valueFrom?.configMapKeyRef ?? env.valueFrom?.secretKeyRef;
    const where = env.valueFrom?.configMapKeyRef !== undefined ? "configMapKeyRef" : "secretKeyRef";
    if (key === undefined) continue;
    if (key.key === "") errors.required(`${at}.valueFrom.${where}.key`);
    else errors.invalidAll(`${at}.valueFrom.${where}.key`, key.key, validateConfigMapKey(key.key));
    if (env.value !== undefined) errors.invalid(`${at}.valueFrom`, "", "may not be specified when `value` is not empty");
  }
  const mountPaths = new Set<string>();
  for (const [i, mount] of (container.volumeMounts ?? []).entries()) {
    const at = `${path}.volumeMounts[${i}]`;
    if (mount.name === "") errors.required(`${at}.name`);
    if (!volumes.has(mount.name)) errors.notFound(`${at}.name`, mount.name);
    if (mount.mountPath === "") errors.required(`${at}.mountPath`);
    if (mountPaths.has(mount.mountPath)) errors.invalid(`${at}.mountPath`, mount.mountPath, "must be unique");
    mountPaths.add(mount.mountPath);
  }
  validateResources(container, path, errors);
  for (const kind of ["livenessProbe", "readinessProbe", "startupProbe"] as const) {
    const probe = container[kind];
    if (probe === undefined) continue;
    const handlers = [probe.exec, probe.httpGet, probe.tcpSocket, probe.grpc].filter((h) => h !== undefined).length;
    if (handlers === 0) errors.required(`${path}.${kind}`, "must specify a handler type");
    for (const extra of (["exec", "httpGet", "tcpSocket", "grpc"] as const).filter((h) => probe[h] !== undefined).slice(1))
      errors.forbidden(`${path}.${kind}.${extra}`, "may not specify more than 1 handler type");
    for (const field of ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"] as const)
      if ((probe[field] ?? 0) < 0) errors.invalid(`${path}.${kind}.${field}`, probe[field], "must be greater than or equal to 0");
    if (kind !== "readinessProbe" && probe.successThreshold !== 1) errors.invalid(`${path}.${kind}.successThreshold`, probe.successThreshold, "must be 1");
  }
}

/** Follows ValidateResourceRequirements. */
function validateResources({ resources }: Container, path: string, errors: FieldErrors): void {
  for (const part of ["limits", "requests"] as const) {
    for (const [name, value] of Object.entries(resources?.[part] ?? {})) {
      const at = `${path}.resources.${part}[${name}]`;
      if (!name.includes("/") && !/^(cpu|memory|ephemeral-storage|hugepages-.+)$/.test(name)) {
        errors.invalid(at, name, "must be a standard resource type or fully qualified");
        errors.invalid(at, name, "must be a standard resource for containers");
      }
      if (parseQuantity(value).nano < 0n) errors.invalid(at, value, "must be greater than or equal to 0");
    }
  }
  for (const [name, request] of Object.entries(resources?.requests ?? {})) {
    const limit = resources?.limits?.[name];
    if (limit === undefined || parseQuantity(request).nano <= parseQuantity(limit).nano) continue;
    errors.invalid(`${path}.resources.requests`, request, `must be less than or equal to ${name} limit of ${limit}`);
  }
}
