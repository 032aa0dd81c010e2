/** HorizontalPodAutoscalers of both versions, judged as autoscaling/v2. Follows pkg/apis/autoscaling/validation/validation.go. */
import { parseQuantity } from "../../../apimachinery/quantity.ts";
import type { FieldErrors } from "../../field.ts";
import { dnsLabel, dnsSubdomain, labelSelector, named, oneOf, pathSegment, plain } from "./common.ts";
import type { Any, Validation } from "./common.ts";
import { resourceName } from "./containers.ts";

export const horizontalPodAutoscaler: Validation = plain(true, dnsSubdomain, ({ spec }, errors) => {
  const { minReplicas, maxReplicas = 0 } = spec;
  if (minReplicas !== undefined && minReplicas < 1) errors.invalid("spec.minReplicas", minReplicas, "must be greater than or equal to 1");
  if (maxReplicas < 1) errors.invalid("spec.maxReplicas", maxReplicas, "must be greater than 0");
  if (minReplicas !== undefined && maxReplicas < minReplicas) errors.invalid("spec.maxReplicas", maxReplicas, "must be greater than or equal to `minReplicas`");
  reference(spec.scaleTargetRef, "spec.scaleTargetRef", errors);
  metrics(spec.metrics ?? [], "spec.metrics", minReplicas, errors);
  if (spec.behavior !== undefined) {
    scalingRules(spec.behavior.scaleUp, "spec.behavior.scaleUp", errors);
    scalingRules(spec.behavior.scaleDown, "spec.behavior.scaleDown", errors);
  }
});

function reference(ref: Any, path: string, errors: FieldErrors): void {
  for (const field of ["kind", "name"]) {
    const value = ref?.[field] ?? "";
    if (value === "") errors.required(`${path}.${field}`);
    else errors.invalidAll(`${path}.${field}`, value, pathSegment(value));
  }
}

/** The sources in the order in which validateMetricSpec looks at them. */
const SOURCES: readonly (readonly [string, string])[] = [
  ["object", "Object"], ["external", "External"], ["pods", "Pods"], ["resource", "Resource"], ["containerResource", "ContainerResource"],
];
const TYPES = ["ContainerResource", "External", "Object", "Pods", "Resource"];

function metrics(list: readonly Any[], path: string, minReplicas: number | undefined, errors: FieldErrors): void {
  let external = false;
  list.forEach((spec, i) => {
    metric(spec, `${path}[${i}]`, errors);
    if (spec.type === "Object" || spec.type === "External") external = true;
  });
  if (minReplicas === 0 && !external) errors.forbidden(path, "must specify at least one Object or External metric to support scaling to zero replicas");
}

function metric(spec: Any, path: string, errors: FieldErrors): void {
  const type: string = spec.type ?? "";
  if (type === "") errors.required(`${path}.type`, "must specify a metric source type");
  if (!TYPES.includes(type)) errors.notSupported(`${path}.type`, type, TYPES);
  let wanted: string | undefined;
  const present: string[] = [];
  for (const [field, name] of SOURCES) {
    if (spec[field] === undefined) {
      if (type === name) wanted = field;
      continue;
    }
    present.push(field);
    if (present.length === 1) CHECKS[field]!(spec[field], `${path}.${field}`, errors);
  }
  if (!TYPES.includes(type)) errors.notSupported(`${path}.type`, type, TYPES);
  if (wanted !== undefined) errors.required(`${path}.${wanted}`, "must populate information for the given metric source");
  if (present.length === 1) return;
  const expected = SOURCES.find(([, name]) => name === type)?.[0];
  for (const field of present) if (expected !== undefined && field !== expected) errors.forbidden(`${path}.${field}`, "must populate the given metric source only");
}

const identifier = (id: Any, path: string, errors: FieldErrors): void => {
  if ((id?.name ?? "") === "") errors.required(`${path}.name`, "must specify a metric name");
  else errors.invalidAll(`${path}.name`, id.name, pathSegment(id.name));
  labelSelector(id?.selector, `${path}.selector`, errors);
};

const CHECKS: Readonly<Record<string, (source: Any, path: string, errors: FieldErrors) => void>> = {
  object(source, path, errors) {
    reference(source.describedObject, `${path}.describedObject`, errors);
    identifier(source.metric, `${path}.metric`, errors);
    target(source.target, `${path}.target`, errors);
    if (source.target?.value === undefined && source.target?.averageValue === undefined) errors.required(`${path}.target.averageValue`, "must set either a target value for metric or a per-pod target");
  },
  external(source, path, errors) {
    identifier(source.metric, `${path}.metric`, errors);
    target(source.target, `${path}.target`, errors);
    const { value, averageValue } = source.target ?? {};
    if (value === undefined && averageValue === undefined) errors.required(`${path}.target.averageValue`, "must set either a target value for metric or a per-pod target");
    if (value !== undefined && averageValue !== undefined) errors.forbidden(`${path}.target.value`, "may not set both a target value for metric and a per-pod target");
  },
  pods(source, path, errors) {
    identifier(source.metric, `${path}.metric`, errors);
    target(source.target, `${path}.target`, errors);
    const average = source.target?.averageValue;
    if (average === undefined || parseQuantity(average).nano <= 0n) errors.required(`${path}.target.averageValue`, "must specify a positive target averageValue");
  },
  resource(source, path, errors) {
    resourceTarget(source, path, errors);
  },
  containerResource(source, path, errors) {
    if ((source.name ?? "") === "") errors.required(`${path}.name`, "must specify a resource name");
    else resourceName(source.name, `${path}.name`, errors);
    if ((source.container ?? "") === "") errors.required(`${path}.container`, "must specify a container");
    else named(source.container, dnsLabel, `${path}.container`, errors);
    utilization(source, path, errors);
  },
};

function resourceTarget(source: Any, path: string, errors: FieldErrors): void {
  if ((source.name ?? "") === "") errors.required(`${path}.name`, "must specify a resource name");
  utilization(source, path, errors);
}

function utilization(source: Any, path: string, errors: FieldErrors): void {
  target(source.target, `${path}.target`, errors);
  const { averageUtilization, averageValue } = source.target ?? {};
  if (averageUtilization === undefined && averageValue === undefined) errors.required(`${path}.target.averageUtilization`, "must set either a target raw value or a target utilization");
  if (averageUtilization !== undefined && averageValue !== undefined) errors.forbidden(`${path}.target.averageValue`, "may not set both a target raw value and a target utilization");
}

function target(value: Any, path: string, errors: FieldErrors): void {
  const type = value?.type ?? "";
  if (type === "") errors.required(`${path}.type`, "must specify a metric target type");
  if (type !== "Utilization" && type !== "Value" && type !== "AverageValue") errors.invalid(`${path}.type`, type, "must be either Utilization, Value, or AverageValue");
  if (value?.value !== undefined && parseQuantity(value.value).nano <= 0n) errors.invalid(`${path}.value`, value.value, "must be positive");
  if (value?.averageValue !== undefined && parseQuantity(value.averageValue).nano <= 0n) errors.invalid(`${path}.averageValue`, value.averageValue, "must be positive");
  if (value?.averageUtilization !== undefined && value.averageUtilization < 1) errors.invalid(`${path}.averageUtilization`, value.averageUtilization, "must be greater than 0");
}

function scalingRules(rules: Any, path: string, errors: FieldErrors): void {
  if (rules === undefined) return;
  const window = rules.stabilizationWindowSeconds;
  if (window < 0) errors.invalid(`${path}.stabilizationWindowSeconds`, window, "must be greater than or equal to zero");
  if (window > 3600) errors.invalid(`${path}.stabilizationWindowSeconds`, window, "must be less than or equal to 3600");
  if (rules.selectPolicy !== undefined) oneOf(rules.selectPolicy, ["Disabled", "Max", "Min"], `${path}.selectPolicy`, errors);
  const policies: Any[] = rules.policies ?? [];
  if (policies.length === 0) errors.required(`${path}.policies`, "must specify at least one Policy");
  policies.forEach((policy, i) => {
    const at = `${path}.policies[${i}]`;
    if (policy.type !== "Pods" && policy.type !== "Percent") errors.notSupported(`${at}.type`, policy.type ?? "", ["Pods", "Percent"]);
    if ((policy.value ?? 0) <= 0) errors.invalid(`${at}.value`, policy.value ?? 0, "must be greater than zero");
    if ((policy.periodSeconds ?? 0) <= 0) errors.invalid(`${at}.periodSeconds`, policy.periodSeconds ?? 0, "must be greater than zero");
    if (policy.periodSeconds > 1800) errors.invalid(`${at}.periodSeconds`, policy.periodSeconds, "must be less than or equal to 1800");
  });
}
