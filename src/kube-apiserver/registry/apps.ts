/**
 * Deployments and ReplicaSets. Follows pkg/registry/apps/{deployment,replicaset}/strategy.go,
 * pkg/apis/apps/v1/defaults.go and pkg/apis/apps/validation.
 */
import type { Deployment, LabelSelector, PodTemplateSpec, ReplicaSet } from "../../api/types.generated.ts";
import { RESOURCES } from "../../api/resources.ts";
import { deepEqual } from "../../apimachinery/meta.ts";
import { labelSelector, matches } from "../../apimachinery/selectors.ts";
import { validateDNS1123Subdomain, validateLabelKey, validateLabelValue } from "../../apimachinery/validation.ts";
import type { FieldErrors } from "../field.ts";
import type { Descriptor } from "./descriptor.ts";
import { validateAnnotations, validateLabels } from "./meta.ts";
import { setPodTemplateDefaults } from "./pod-defaults.ts";
import { validatePodSpec } from "./pod.ts";

export const deployments: Descriptor<Deployment> = {
  name: RESOURCES.deployments,
  storagePrefix: "deployments",
  hasStatus: true,
  validateName: validateDNS1123Subdomain,
  allowUnconditionalUpdate: true,
  generation: true,
  scalable: true,
  setDefaults({ spec }) {
    spec.replicas ??= 1;
    spec.strategy ??= {};
    spec.strategy.type ??= "RollingUpdate";
    if (spec.strategy.type === "RollingUpdate") {
      spec.strategy.rollingUpdate ??= {};
      spec.strategy.rollingUpdate.maxUnavailable ??= "25%";
      spec.strategy.rollingUpdate.maxSurge ??= "25%";
    }
    spec.revisionHistoryLimit ??= 10;
    spec.progressDeadlineSeconds ??= 600;
    setPodTemplateDefaults(spec.template);
  },
  prepareForCreate(deployment) {
    deployment.status = {};
    deployment.metadata.generation = 1;
  },
  prepareForUpdate(deployment, old) {
    deployment.status = old.status;
    if (!deepEqual(deployment.spec, old.spec) || !deepEqual(deployment.metadata.annotations, old.metadata.annotations))
      deployment.metadata.generation = (old.metadata.generation ?? 0) + 1;
  },
  prepareForStatusUpdate(deployment, old) {
    deployment.spec = old.spec;
    deployment.metadata.labels = old.metadata.labels;
  },
  validate(deployment, errors) {
    const { spec } = deployment;
    nonNegative(spec.replicas, "spec.replicas", errors);
    validateSelectorAndTemplate(spec.selector, spec.template, errors);
    const { type, rollingUpdate } = spec.strategy!;
    if (type === "Recreate") {
      if (rollingUpdate !== undefined) errors.forbidden("spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'");
    } else if (type !== "RollingUpdate") errors.notSupported("spec.strategy.type", type, ["Recreate", "RollingUpdate"]);
    else {
      for (const field of ["maxUnavailable", "maxSurge"] as const) validateIntOrPercent(rollingUpdate![field]!, `spec.strategy.rollingUpdate.${field}`, errors);
      if (isZero(rollingUpdate!.maxUnavailable!) && isZero(rollingUpdate!.maxSurge!))
        errors.invalid("spec.strategy.rollingUpdate.maxUnavailable", rollingUpdate!.maxUnavailable, "may not be 0 when `maxSurge` is 0");
      if (typeof rollingUpdate!.maxUnavailable === "string" && Number.parseInt(rollingUpdate!.maxUnavailable, 10) > 100)
        errors.invalid("spec.strategy.rollingUpdate.maxUnavailable", rollingUpdate!.maxUnavailable, "must not be greater than 100%");
    }
    nonNegative(spec.minReadySeconds, "spec.minReadySeconds", errors);
    nonNegative(spec.revisionHistoryLimit, "spec.revisionHistoryLimit", errors);
    nonNegative(spec.progressDeadlineSeconds, "spec.progressDeadlineSeconds", errors);
    if ((spec.progressDeadlineSeconds ?? 600) <= (spec.minReadySeconds ?? 0))
      errors.invalid("spec.progressDeadlineSeconds", spec.progressDeadlineSeconds, "must be greater than minReadySeconds");
  },
  validateUpdate(deployment, old, errors) {
    immutableSelector(deployment.spec.selector, old.spec.selector, errors);
  },
};

export const replicaSets: Descriptor<ReplicaSet> = {
  name: RESOURCES.replicaSets,
  storagePrefix: "replicasets",
  hasStatus: true,
  validateName: validateDNS1123Subdomain,
  allowUnconditionalUpdate: true,
  generation: true,
  scalable: true,
  setDefaults({ spec }) {
    spec.replicas ??= 1;
    // The template is required for all practical purposes, but left out of the wire form when it was not given.
    if (spec.template !== undefined) setPodTemplateDefaults(spec.template);
  },
  prepareForCreate(rs) {
    rs.status = { replicas: 0 };
    rs.metadata.generation = 1;
  },
  prepareForUpdate(rs, old) {
    rs.status = old.status;
    if (!deepEqual(rs.spec, old.spec)) rs.metadata.generation = (old.metadata.generation ?? 0) + 1;
  },
  prepareForStatusUpdate(rs, old) {
    rs.spec = old.spec;
  },
  validate({ spec }, errors) {
    nonNegative(spec.replicas, "spec.replicas", errors);
    nonNegative(spec.minReadySeconds, "spec.minReadySeconds", errors);
    validateSelectorAndTemplate(spec.selector, spec.template!, errors);
  },
  validateUpdate(rs, old, errors) {
    immutableSelector(rs.spec.selector, old.spec.selector, errors);
  },
};

function nonNegative(value: number | undefined, path: string, errors: FieldErrors): void {
  if ((value ?? 0) < 0) errors.invalid(path, value, "must be greater than or equal to 0");
}

const isZero = (value: number | string): boolean => value === 0 || value === "0%";

function validateIntOrPercent(value: number | string, path: string, errors: FieldErrors): void {
  if (typeof value === "number") nonNegative(value, path, errors);
  else if (!/^\d+%$/.test(value))
    errors.invalid(path, value, "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%' or '93%', regex used for validation is '[0-9]+%')");
}

function immutableSelector(selector: LabelSelector, old: LabelSelector, errors: FieldErrors): void {
  if (deepEqual(selector, old)) return;
  errors.invalid("spec.selector", selector, "field is immutable");
}

/** Follows ValidateLabelSelector. */
function validateLabelSelector(selector: LabelSelector, path: string, errors: FieldErrors): void {
  for (const key of Object.keys(selector.matchLabels ?? {})) {
    errors.invalidAll(`${path}.matchLabels`, key, validateLabelKey(key));
    errors.invalidAll(`${path}.matchLabels`, selector.matchLabels![key], validateLabelValue(selector.matchLabels![key]!));
  }
  for (const [i, { key, operator, values }] of (selector.matchExpressions ?? []).entries()) {
    const at = `${path}.matchExpressions[${i}]`;
    if (operator === "In" || operator === "NotIn") {
      if ((values ?? []).length === 0) errors.required(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'");
    } else if (operator === "Exists" || operator === "DoesNotExist") {
      if ((values ?? []).length > 0) errors.forbidden(`${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
    } else errors.invalid(`${at}.operator`, operator, "not a valid selector operator");
    errors.invalidAll(`${at}.key`, key, validateLabelKey(key));
  }
}

function validateSelectorAndTemplate(selector: LabelSelector | null | undefined, template: PodTemplateSpec, errors: FieldErrors): void {
  const before = errors.list.length;
  if (selector === undefined || selector === null) errors.required("spec.selector");
  else {
    validateLabelSelector(selector, "spec.selector", errors);
    if ((Object.keys(selector.matchLabels ?? {}).length + (selector.matchExpressions ?? []).length) === 0)
      errors.invalid("spec.selector", selector, "empty selector is invalid for deployment");
  }
  if (errors.list.length === before && !matches(labelSelector(selector!), template.metadata?.labels))
    errors.invalid("spec.template.metadata.labels", template.metadata?.labels ?? {}, "`selector` does not match template `labels`");
  validateLabels(template.metadata?.labels, "spec.template.labels", errors);
  validateAnnotations(template.metadata?.annotations, "spec.template.annotations", errors);
  validatePodSpec(template.spec, "spec.template.spec", errors);
  if (template.spec.restartPolicy !== "Always" && ["OnFailure", "Never"].includes(template.spec.restartPolicy!))
    errors.notSupported("spec.template.spec.restartPolicy", template.spec.restartPolicy, ["Always"]);
  if (template.spec.activeDeadlineSeconds !== undefined) errors.forbidden("spec.template.spec.activeDeadlineSeconds", "activeDeadlineSeconds in ReplicaSet is not Supported");
}
