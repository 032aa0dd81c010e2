/** apps/v1. Follows pkg/apis/apps/validation/validation.go and the strategies of pkg/registry/apps. */
import { deepEqual } from "../../../apimachinery/meta.ts";
import { labelSelector as asSelector, matches } from "../../../apimachinery/selectors.ts";
import type { FieldErrors } from "../../field.ts";
import { validateAnnotations } from "../../registry/meta.ts";
import {
  dnsLabel, dnsSubdomain, immutable, intOrPercent, intOrPercentValue, isEmptySelector, labels, labelSelector, nonNegative, notOver100Percent, oneOf, plain, selectorConverts, twice,
} from "./common.ts";
import type { Any, Validation } from "./common.ts";
import { alwaysRestarted } from "./core.ts";
import { goIntOrString, goMap, goValue } from "./go.ts";
import { podTemplateSpec } from "./pod.ts";

const MISMATCH = "`selector` does not match template `labels`";

/** Whether a selector that LabelSelectorAsSelector takes selects the template; none selects nothing. */
export function selects(selector: Any, template: Any): boolean {
  return matches(asSelector(selector ?? undefined), template?.metadata?.labels);
}

export function templateMismatch(template: Any, path: string, errors: FieldErrors): void {
  errors.invalidGo(`${path}.metadata.labels`, goMap(template?.metadata?.labels, `${path}.metadata.labels`, errors), MISMATCH);
}

const goSelector = (selector: Any, errors: FieldErrors): string => goValue("v1.LabelSelector", selector, "spec.selector", errors);

/** The selector and, where it can be read, the template it has to fit. */
function selectorAndTemplate(spec: Any, kind: string, template: () => void, errors: FieldErrors): void {
  const { selector } = spec;
  if (selector === undefined || selector === null) errors.required("spec.selector");
  else {
    labelSelector(selector, "spec.selector", errors);
    if (isEmptySelector(selector)) errors.invalidGo("spec.selector", goSelector(selector, errors), `empty selector is invalid for ${kind}`);
  }
  if (selector !== undefined && selector !== null && !selectorConverts(selector)) {
    if (kind === "statefulset") errors.add("FieldValueInvalid", "spec.selector", `Invalid value: ${goSelector(selector, errors)}`);
    else errors.invalidGo("spec.selector", goSelector(selector, errors), "invalid label selector");
    return;
  }
  if (!selects(selector, spec.template) && !isEmptySelectorGiven(selector)) templateMismatch(spec.template, "spec.template", errors);
  template();
}

const isEmptySelectorGiven = (selector: Any): boolean => selector !== undefined && selector !== null && isEmptySelector(selector);

const immutableSelector = (o: Any, old: Any, errors: FieldErrors): void => immutable(o.spec.selector, old.spec.selector, "spec.selector", errors, "v1.LabelSelector");

/** Follows ValidateDeploymentStatus, and its kin of ReplicaSets and StatefulSets: counts are not negative, and parts not above the whole. */
function counts(fields: readonly string[], status: Any, errors: FieldErrors): void {
  for (const field of fields) nonNegative(status[field], `status.${field}`, errors);
  const { replicas = 0, readyReplicas: ready = 0, availableReplicas: available = 0 } = status;
  for (const field of fields.filter((f) => ["fullyLabeledReplicas", "updatedReplicas", "readyReplicas", "availableReplicas"].includes(f)))
    if ((status[field] ?? 0) > replicas) errors.invalid(`status.${field}`, status[field] ?? 0, "cannot be greater than status.replicas");
  if (available > ready) errors.invalid("status.availableReplicas", available, "cannot be greater than readyReplicas");
}

const withCounts = (validation: Validation, ...fields: string[]): Validation => ({
  ...validation,
  validateStatusUpdate(o, old, errors) {
    validation.validateStatusUpdate?.(o, old, errors);
    counts(fields, o.status ?? {}, errors);
  },
});

export const deployment: Validation = withCounts(plain(true, dnsSubdomain, ({ spec }, errors) => {
  nonNegative(spec.replicas, "spec.replicas", errors);
  selectorAndTemplate(spec, "deployment", () => {
    podTemplateSpec(spec.template, "spec.template", errors);
    alwaysRestarted(spec.template.spec, "spec.template.spec", "ReplicaSet", errors);
  }, errors);
  const { strategy } = spec;
  const path = "spec.strategy";
  if (strategy?.type === "Recreate") {
    if (strategy.rollingUpdate !== undefined) errors.forbidden(`${path}.rollingUpdate`, "may not be specified when strategy `type` is 'Recreate'");
  } else if (strategy?.type === "RollingUpdate") {
    const { maxUnavailable = 0, maxSurge = 0 } = strategy.rollingUpdate ?? {};
    intOrPercent(maxUnavailable, `${path}.rollingUpdate.maxUnavailable`, errors);
    intOrPercent(maxSurge, `${path}.rollingUpdate.maxSurge`, errors);
    if (intOrPercentValue(maxUnavailable) === 0 && intOrPercentValue(maxSurge) === 0)
      errors.invalidGo(`${path}.rollingUpdate.maxUnavailable`, goIntOrString(maxUnavailable), "may not be 0 when `maxSurge` is 0");
    notOver100Percent(maxUnavailable, `${path}.rollingUpdate.maxUnavailable`, errors);
  } else errors.add("FieldValueNotSupported", path, `Unsupported value: ${goValue("apps.DeploymentStrategy", strategy, path, errors)}: supported values: "Recreate", "RollingUpdate"`);
  nonNegative(spec.minReadySeconds, "spec.minReadySeconds", errors);
  nonNegative(spec.revisionHistoryLimit, "spec.revisionHistoryLimit", errors);
  const deadline = spec.progressDeadlineSeconds;
  if (deadline === undefined) return;
  nonNegative(deadline, "spec.progressDeadlineSeconds", errors);
  if (deadline <= (spec.minReadySeconds ?? 0)) errors.invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds");
}, immutableSelector), "replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas");

export const replicaSet: Validation = twice(plain(true, dnsSubdomain, ({ spec }, errors) => {
  nonNegative(spec.replicas, "spec.replicas", errors);
  nonNegative(spec.minReadySeconds, "spec.minReadySeconds", errors);
  // An absent template is an empty one.
  const template = spec.template ?? { spec: {} };
  selectorAndTemplate({ ...spec, template }, "deployment", () => {
    podTemplateSpec(template, "spec.template", errors);
    alwaysRestarted(template.spec, "spec.template.spec", "ReplicaSet", errors);
  }, errors);
}, immutableSelector));

export const daemonSet: Validation = twice(plain(true, dnsSubdomain, ({ spec }, errors) => {
  const { selector, template } = spec;
  labelSelector(selector, "spec.selector", errors);
  const given = selector !== undefined && selector !== null;
  if ((!given || selectorConverts(selector)) && !selects(selector, template)) templateMismatch(template, "spec.template", errors);
  if (given && isEmptySelector(selector)) errors.invalidGo("spec.selector", goSelector(selector, errors), "empty selector is invalid for daemonset");
  podTemplateSpec(template, "spec.template", errors);
  alwaysRestarted(template.spec, "spec.template.spec", "DaemonSet", errors);
  nonNegative(spec.minReadySeconds, "spec.minReadySeconds", errors);
  const { updateStrategy } = spec;
  const path = "spec.updateStrategy";
  if (updateStrategy?.type === "RollingUpdate") {
    const { maxUnavailable = 0, maxSurge = 0 } = updateStrategy.rollingUpdate ?? {};
    const at = `${path}.rollingUpdate`;
    intOrPercent(maxUnavailable, `${at}.maxUnavailable`, errors);
    intOrPercent(maxSurge, `${at}.maxSurge`, errors);
    const [unavailable, surge] = [intOrPercentValue(maxUnavailable) !== 0, intOrPercentValue(maxSurge) !== 0];
    if (unavailable && surge) errors.invalidGo(`${at}.maxSurge`, goIntOrString(maxSurge), "may not be set when maxUnavailable is non-zero");
    if (!unavailable && !surge) errors.required(`${at}.maxUnavailable`, "cannot be 0 when maxSurge is 0");
    notOver100Percent(maxUnavailable, `${at}.maxUnavailable`, errors);
    notOver100Percent(maxSurge, `${at}.maxSurge`, errors);
  } else if (updateStrategy?.type !== "OnDelete")
    errors.add("FieldValueNotSupported", path, `Unsupported value: ${goValue("apps.DaemonSetUpdateStrategy", updateStrategy, path, errors)}: supported values: "RollingUpdate", "OnDelete"`);
  nonNegative(spec.revisionHistoryLimit, "spec.revisionHistoryLimit", errors);
}, immutableSelector));

const MUTABLE = ["replicas", "template", "updateStrategy", "minReadySeconds", "ordinals", "persistentVolumeClaimRetentionPolicy"];

export const statefulSet: Validation = plain(true, dnsLabel, ({ spec }, errors) => {
  const policy = spec.podManagementPolicy ?? "";
  if (policy === "") errors.required("spec.podManagementPolicy");
  else if (policy !== "OrderedReady" && policy !== "Parallel") errors.invalid("spec.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'");
  const { updateStrategy } = spec;
  const path = "spec.updateStrategy";
  const type = updateStrategy?.type ?? "";
  if (type === "") errors.required(path);
  else if (type === "OnDelete") {
    if (updateStrategy.rollingUpdate !== undefined)
      errors.invalidGo(`${path}.rollingUpdate`, `apps.RollingUpdateStatefulSetStrategy{Partition:${updateStrategy.rollingUpdate.partition ?? 0}, MaxUnavailable:(*intstr.IntOrString)(nil)}`, "only allowed for updateStrategy 'RollingUpdate'");
  } else if (type === "RollingUpdate") nonNegative(updateStrategy.rollingUpdate?.partition, `${path}.rollingUpdate.partition`, errors);
  else errors.invalidGo(path, goValue("apps.StatefulSetUpdateStrategy", updateStrategy, path, errors), "must be 'RollingUpdate' or 'OnDelete'");
  const retention = spec.persistentVolumeClaimRetentionPolicy;
  if (retention !== undefined) for (const field of ["whenDeleted", "whenScaled"]) oneOf(retention[field], ["Retain", "Delete"], `spec.persistentVolumeClaimRetentionPolicy.${field}`, errors);
  nonNegative(spec.replicas, "spec.replicas", errors);
  nonNegative(spec.minReadySeconds, "spec.minReadySeconds", errors);
  nonNegative(spec.ordinals?.start, "spec.ordinals.start", errors);
  // The pods' own spec is left to the pods: its volumes may come from the claim templates.
  selectorAndTemplate(spec, "statefulset", () => {
    labels(spec.template.metadata?.labels, "spec.template.labels", errors);
    validateAnnotations(spec.template.metadata?.annotations, "spec.template.annotations", errors);
  }, errors);
  alwaysRestarted(spec.template.spec, "spec.template.spec", "StatefulSet", errors);
}, (o, old, errors) => {
  const rest = (spec: Any): Any => Object.fromEntries(Object.entries(spec).filter(([field]) => !MUTABLE.includes(field)));
  if (!deepEqual(rest(o.spec), rest(old.spec)))
    errors.forbidden("spec", "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden");
});

function goRaw(value: unknown): string {
  if (value === undefined || value === null) return "runtime.RawExtension{Raw:[]uint8(nil), Object:runtime.Object(nil)}";
  const bytes = [...new TextEncoder().encode(JSON.stringify(value))].map((b) => `0x${b.toString(16)}`);
  return `runtime.RawExtension{Raw:[]uint8{${bytes.join(", ")}}, Object:runtime.Object(nil)}`;
}

export const controllerRevision: Validation = plain(true, dnsSubdomain, (o, errors) => {
  if (o.data !== undefined && o.data !== null && (typeof o.data !== "object" || Array.isArray(o.data))) errors.required("data", "data must be a valid JSON object");
  nonNegative(o.revision, "revision", errors);
}, (o, old, errors) => {
  if (!deepEqual(o.data ?? null, old.data ?? null)) errors.invalidGo("data", goRaw(o.data), "field is immutable");
});
