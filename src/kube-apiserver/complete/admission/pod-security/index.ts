/** PodSecurity: pods are held against the level of their namespace. Follows k8s.io/pod-security-admission/admission/admission.go. */
import type { Container, EphemeralContainer, Namespace, Pod, PodTemplateSpec } from "../../../../api/types.generated.ts";
import type { KubeObject } from "../../../../apimachinery/meta.ts";
import { newInvalid } from "../../../../apimachinery/status.ts";
import type { AdmissionContext, AdmissionRequest } from "../../../extension.ts";
import { FieldErrors } from "../../../field.ts";
import { forbidden, type AdmissionPlugin, type Any } from "../types.ts";
import type { Finding, Judged } from "./checks.ts";
import { describe, evaluate, isSame, isStricter, policyOf } from "./policy.ts";
import type { LevelVersion } from "./policy.ts";

/** Where objects have the pods that they will make, by `group/kind`. Follows podspec_extractor.go. */
const TEMPLATES: Readonly<Record<string, (object: Any) => PodTemplateSpec | undefined>> = {
  "/PodTemplate": (o) => o.template,
  "/ReplicationController": (o) => o.spec?.template,
  "apps/ReplicaSet": (o) => o.spec?.template,
  "apps/Deployment": (o) => o.spec?.template,
  "apps/StatefulSet": (o) => o.spec?.template,
  "apps/DaemonSet": (o) => o.spec?.template,
  "batch/Job": (o) => o.spec?.template,
  "batch/CronJob": (o) => o.spec?.jobTemplate?.spec?.template,
};
const RESOURCES = ["namespaces", "pods", "podtemplates", "replicationcontrollers", "replicasets", "deployments", "statefulsets", "daemonsets", "jobs", "cronjobs"];
/** Parts of pods that change nothing of what is judged. */
const IGNORED = new Set(["exec", "attach", "binding", "eviction", "log", "portforward", "proxy", "status"]);
/** Of a namespace's pods no more are judged when its level changes. */
const PODS_MAX = 3000;
const SECCOMP = "container.seccomp.security.alpha.kubernetes.io/";
const APPARMOR = "container.apparmor.security.beta.kubernetes.io/";

export const podSecurity: AdmissionPlugin = {
  name: "PodSecurity",
  resources: RESOURCES,
  async validate(request, context) {
    if (request.operation === "DELETE") return;
    const { group, kind } = request.descriptor.name;
    if (`${group}/${kind}` === "/Namespace") return judgeNamespace(request, context);
    if (`${group}/${kind}` === "/Pod") return judgePod(request, context);
    const template = TEMPLATES[`${group}/${kind}`]?.(request.object);
    // What a controller asks for is not refused, only told: its pods are.
    if (template === undefined || request.subresource !== "") return;
    const { warn } = await policyFor(request, context);
    tell(request, warn, { annotations: template.metadata?.annotations ?? {}, spec: template.spec });
  },
};

async function policyFor({ namespace }: AdmissionRequest, context: AdmissionContext): Promise<ReturnType<typeof policyOf>["policy"]> {
  const found = (await context.find("namespaces", "", namespace)) as (Namespace & KubeObject) | undefined;
  return policyOf(found?.metadata.labels).policy;
}

const details = (findings: readonly Finding[]): string => findings.map(({ reason, detail }) => (detail === "" ? reason : `${reason} (${detail})`)).join(", ");

function tell(request: AdmissionRequest, level: LevelVersion, pod: Judged): void {
  const findings = evaluate(level, pod);
  if (findings.length > 0) request.warn(`would violate PodSecurity ${JSON.stringify(describe(level))}: ${details(findings)}`);
}

async function judgePod(request: AdmissionRequest, context: AdmissionContext): Promise<void> {
  if (IGNORED.has(request.subresource)) return;
  const pod = request.object as unknown as Pod;
  if (request.old !== undefined && !isSignificant(pod, request.old as unknown as Pod)) return;
  const { enforce, warn } = await policyFor(request, context);
  const judged = judgedOf(pod);
  const findings = evaluate(enforce, judged);
  if (findings.length > 0) throw forbidden(request, `violates PodSecurity ${JSON.stringify(describe(enforce))}: ${details(findings)}`);
  tell(request, warn, judged);
}

const judgedOf = ({ metadata, spec }: Pod): Judged => ({ annotations: metadata.annotations ?? {}, spec });

/** Whether an update can have made a pod worse. Follows isSignificantPodUpdate. */
function isSignificant(pod: Pod, old: Pod): boolean {
  const annotation = (of: Pod, key: string): string | undefined => of.metadata.annotations?.[key];
  const differ = (a: Container | EphemeralContainer, b: Container | EphemeralContainer | undefined): boolean =>
    b === undefined || a.image !== b.image || [SECCOMP, APPARMOR].some((prefix) => annotation(pod, prefix + a.name) !== annotation(old, prefix + a.name));
  const before = old.spec.ephemeralContainers ?? [];
  if (pod.spec.containers.length !== old.spec.containers.length || (pod.spec.initContainers ?? []).length !== (old.spec.initContainers ?? []).length) return true;
  return pod.spec.containers.some((container, i) => differ(container, old.spec.containers[i]))
    || (pod.spec.initContainers ?? []).some((container, i) => differ(container, old.spec.initContainers?.[i]))
    || (pod.spec.ephemeralContainers ?? []).some((container) => differ(container, before.find(({ name }) => name === container.name)));
}

async function judgeNamespace(request: AdmissionRequest, context: AdmissionContext): Promise<void> {
  if (request.subresource !== "") return;
  const { metadata } = request.object as unknown as Namespace & KubeObject;
  const now = policyOf(metadata.labels);
  const before = request.old === undefined ? undefined : policyOf(request.old.metadata.labels);
  // Who finds labels broken may leave them so.
  if (now.faults.length > 0 && JSON.stringify(now.faults) !== JSON.stringify(before?.faults)) {
    const errors = new FieldErrors();
    for (const { field, value, why } of now.faults) errors.invalid(field, value, why);
    throw newInvalid({ group: "", kind: "Namespace" }, metadata.name, errors.list);
  }
  if (before === undefined) return;
  const [level, was] = [now.policy.enforce, before.policy.enforce];
  if (isSame(level, was) || level.level === "privileged" || (level.version === was.version && !isStricter(level, was))) return;
  const pods = (await context.list("pods", metadata.name)) as unknown as readonly Pod[];
  for (const text of existing(metadata.name, level, pods)) request.warn(text);
}

/** What is said of the pods that are there already, those with the same faults together. Follows EvaluatePodsInNamespace. */
function existing(namespace: string, level: LevelVersion, pods: readonly Pod[]): string[] {
  const judged = oneOfEach(pods).slice(0, PODS_MAX);
  const named = new Map<string, string[]>();
  for (const pod of judged) {
    const reasons = evaluate(level, judgedOf(pod)).map(({ reason }) => reason).join(", ");
    if (reasons !== "") named.set(reasons, [...(named.get(reasons) ?? []), pod.metadata.name]);
  }
  if (named.size === 0) return [];
  const lines = [...named].map(([reasons, names]) => {
    const [first] = [...names].sort();
    const others = names.length === 1 ? "" : names.length === 2 ? " (and 1 other pod)" : ` (and ${names.length - 1} other pods)`;
    return `${first}${others}: ${reasons}`;
  });
  return [`existing pods in namespace ${JSON.stringify(namespace)} violate the new PodSecurity enforce level ${JSON.stringify(describe(level))}`, ...lines.sort()];
}

/** A pod for each controller first: the others are like it (prioritizePods). */
function oneOfEach(pods: readonly Pod[]): Pod[] {
  const seen = new Set<string>();
  const first: Pod[] = [];
  const rest: Pod[] = [];
  for (const pod of pods) {
    const owner = pod.metadata.ownerReferences?.find(({ controller }) => controller === true)?.uid;
    (owner === undefined || !seen.has(owner) ? first : rest).push(pod);
    if (owner !== undefined) seen.add(owner);
  }
  return [...first, ...rest];
}
