/**
 * Pods. Follows pkg/registry/core/pod/strategy.go and pkg/apis/core/validation/validation.go (ValidatePodSpec).
 */
import type { Container, Pod, PodSpec, ServiceAccount, Volume } from "../../api/types.generated.ts";
import { RESOURCES } from "../../api/resources.ts";
import { deepEqual, deepFreeze } from "../../apimachinery/meta.ts";
import type { KubeObject } from "../../apimachinery/meta.ts";
import { randomSuffix } from "../../apimachinery/names.ts";
import { parseQuantity } from "../../apimachinery/quantity.ts";
import { validateDNS1123Label, validateDNS1123Subdomain, validatePortName, validatePortNumber } from "../../apimachinery/validation.ts";
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
  // The plugins ServiceAccount, Priority and DefaultTolerationSeconds, as far as a core cluster needs them: there a pod may do without
  // the account. `complete/admission/` has them in full.
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
      errors.forbidden("spec", "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations)");
    }
  },
  gracePeriod(pod, asked) {
    let seconds = asked ?? pod.spec.terminationGracePeriodSeconds ?? 30;
    if (pod.spec.nodeName === undefined || pod.status.phase === "Failed" || pod.status.phase === "Succeeded") seconds = 0;
    return seconds < 0 ? 1 : seconds;
  },
};

/** DefaultTolerationSeconds: for five minutes a pod bears a node that is gone. */
export function tolerateForAWhile({ spec }: Pod): void {
  for (const key of ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]) {
    const tolerated = spec.tolerations?.some((t) => (t.key === key || t.key === undefined) && (t.effect === "NoExecute" || t.effect === undefined));
    if (tolerated !== true) (spec.tolerations ??= []).push({ key, operator: "Exists", effect: "NoExecute", tolerationSeconds: 300 });
  }
}

const TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount";

/**
 * The projected volume with token, CA and namespace. Follows plugin/pkg/admission/serviceaccount (mountServiceAccountToken,
 * TokenVolumeSource), sources as the recorded server writes them.
 */
export function mountToken(pod: Pod, account: ServiceAccount & KubeObject, { random }: Pick<RegistryContext, "random">): void {
  if ((pod.spec.automountServiceAccountToken ?? account.automountServiceAccountToken) === false) return;
  const there = pod.spec.volumes?.find((volume) => volume.name.startsWith("kube-api-access-"));
  let name = there?.name;
  let needed = false;
  for (const container of [...(pod.spec.initContainers ?? []), ...(pod.spec.containers ?? [])]) {
    if (container.volumeMounts?.some((m) => m.mountPath === TOKEN_PATH) === true) continue;
    needed = true;
    name ??= `kube-api-access-${randomSuffix(random, 5)}`;
    (container.volumeMounts ??= []).push({ name, readOnly: true, mountPath: TOKEN_PATH });
  }
  if (!needed || there !== undefined) return;
  (pod.spec.volumes ??= []).push({ name: name!, projected: tokenSources() });
}

/** The same in every pod. */
const tokenSources = (): NonNullable<Volume["projected"]> =>
  (sources ??= deepFreeze({
    sources: [
      { serviceAccountToken: { expirationSeconds: 3607, path: "token" } },
      { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
      { downwardAPI: { items: [{ path: "namespace", fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" } }] } },
      { configMap: { name: "openshift-service-ca.crt", items: [{ key: "service-ca.crt", path: "service-ca.crt" }] } },
    ],
    defaultMode: 420,
  }));
let sources: Volume["projected"] | undefined;

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
const PROTOCOLS = ["SCTP", "TCP", "UDP"];

/** What a cluster needs to be sure of in a pod's spec at `path`; ValidatePodSpec as a whole is in `complete/validation/pod.ts`. */
export function validatePodSpec(spec: PodSpec, path: string, errors: FieldErrors): void {
  const volumes = new Set<string>();
  for (const [i, volume] of (spec.volumes ?? []).entries()) {
    const at = `${path}.volumes[${i}]`;
    if (volume.name === "") errors.required(`${at}.name`);
    else errors.invalidAll(`${at}.name`, volume.name, validateDNS1123Label(volume.name));
    if (volumes.has(volume.name)) errors.duplicate(`${at}.name`, volume.name);
    volumes.add(volume.name);
    if (Object.keys(volume).length > 2) errors.forbidden(at, "may not specify more than 1 volume type");
  }
  const names = new Set<string>();
  if ((spec.containers ?? []).length === 0) errors.required(`${path}.containers`);
  for (const field of ["containers", "initContainers"] as const)
    for (const [i, container] of (spec[field] ?? []).entries()) validateContainer(container, `${path}.${field}[${i}]`, volumes, names, errors);
  if (!RESTART_POLICIES.includes(spec.restartPolicy!)) errors.notSupported(`${path}.restartPolicy`, spec.restartPolicy, RESTART_POLICIES);
  if (spec.nodeName !== undefined) errors.invalidAll(`${path}.nodeName`, spec.nodeName, validateDNS1123Subdomain(spec.nodeName));
  for (const field of ["hostname", "subdomain"] as const)
    if (spec[field] !== undefined) errors.invalidAll(`${path}.${field}`, spec[field], validateDNS1123Label(spec[field]!));
}

function validateContainer(container: Container, path: string, volumes: ReadonlySet<string>, names: Set<string>, errors: FieldErrors): void {
  if (container.name === "") errors.required(`${path}.name`);
  else errors.invalidAll(`${path}.name`, container.name, validateDNS1123Label(container.name));
  if (names.has(container.name)) errors.duplicate(`${path}.name`, container.name);
  names.add(container.name);
  if ((container.image ?? "") === "") errors.required(`${path}.image`);
  for (const [i, port] of (container.ports ?? []).entries()) {
    const at = `${path}.ports[${i}]`;
    if (port.name !== undefined) errors.invalidAll(`${at}.name`, port.name, validatePortName(port.name));
    if (port.containerPort === 0) errors.required(`${at}.containerPort`);
    else errors.invalidAll(`${at}.containerPort`, port.containerPort, validatePortNumber(port.containerPort));
    if (!PROTOCOLS.includes(port.protocol!)) errors.notSupported(`${at}.protocol`, port.protocol, PROTOCOLS);
  }
  for (const [i, env] of (container.env ?? []).entries()) if (env.name === "") errors.required(`${path}.env[${i}].name`);
  for (const [i, mount] of (container.volumeMounts ?? []).entries()) {
    const at = `${path}.volumeMounts[${i}]`;
    if (!volumes.has(mount.name)) errors.notFound(`${at}.name`, mount.name);
    if (mount.mountPath === "") errors.required(`${at}.mountPath`);
  }
  validateResources(container, path, errors);
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
