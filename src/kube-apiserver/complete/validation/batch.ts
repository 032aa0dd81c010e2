/** batch/v1. Follows pkg/apis/batch/validation/validation.go. */
import { deepEqual } from "../../../apimachinery/meta.ts";
import type { FieldErrors } from "../../field.ts";
import { selects, templateMismatch } from "./apps.ts";
import { dnsLabel, dnsSubdomain, immutable, labelSelector, nonNegative, objectMeta, objectMetaUpdate, oneOf, qualified, selectorConverts, twice } from "./common.ts";
import type { Any, Validation } from "./common.ts";
import { scheduleProblem } from "./cron.ts";
import { goPodTemplate, goValue } from "./go.ts";
import { podTemplateSpec } from "./pod.ts";
import { isTimeZone } from "./time-zones.ts";

const INDEXES_MAX = 100_000;
const quotedList = (values: readonly string[]): string => `[${values.map((v) => JSON.stringify(v)).join(" ")}]`;

/** Follows validateJobSpec: what holds for a Job's spec and a template's. */
function jobSpec(spec: Any, path: string, errors: FieldErrors): void {
  nonNegative(spec.parallelism, `${path}.parallelism`, errors);
  nonNegative(spec.completions, `${path}.completions`, errors);
  nonNegative(spec.activeDeadlineSeconds, `${path}.activeDeadlineSeconds`, errors);
  nonNegative(spec.backoffLimit, `${path}.backoffLimit`, errors);
  nonNegative(spec.ttlSecondsAfterFinished, `${path}.ttlSecondsAfterFinished`, errors);
  nonNegative(spec.backoffLimitPerIndex, `${path}.backoffLimitPerIndex`, errors);
  const { completions, maxFailedIndexes, backoffLimitPerIndex, completionMode = "NonIndexed", podFailurePolicy } = spec;
  if (maxFailedIndexes !== undefined) {
    nonNegative(maxFailedIndexes, `${path}.maxFailedIndexes`, errors);
    if (backoffLimitPerIndex === undefined) errors.required(`${path}.backoffLimitPerIndex`, "when maxFailedIndexes is specified");
  }
  if (spec.managedBy !== undefined) {
    domainPrefixedPath(spec.managedBy, `${path}.managedBy`, errors);
    if (spec.managedBy.length > 63) errors.tooLong(`${path}.managedBy`, 63);
  }
  if (completionMode === "Indexed") {
    if (completions === undefined) errors.required(`${path}.completions`, "when completion mode is Indexed");
    if (spec.parallelism > INDEXES_MAX) errors.invalid(`${path}.parallelism`, spec.parallelism, `must be less than or equal to ${INDEXES_MAX} when completion mode is Indexed`);
    if (completions !== undefined && maxFailedIndexes > completions) errors.invalid(`${path}.maxFailedIndexes`, maxFailedIndexes, "must be less than or equal to completions");
    if (maxFailedIndexes > INDEXES_MAX) errors.invalid(`${path}.maxFailedIndexes`, maxFailedIndexes, `must be less than or equal to ${INDEXES_MAX}`);
    if (completions > INDEXES_MAX && backoffLimitPerIndex !== undefined) {
      if (maxFailedIndexes === undefined) errors.required(`${path}.maxFailedIndexes`, `must be specified when completions is above ${INDEXES_MAX}`);
      if (spec.parallelism > 10_000) errors.invalid(`${path}.parallelism`, spec.parallelism, `must be less than or equal to 10000 when completions are above ${INDEXES_MAX} and used with backoff limit per index`);
      if (maxFailedIndexes > 10_000) errors.invalid(`${path}.maxFailedIndexes`, maxFailedIndexes, `must be less than or equal to 10000 when completions are above ${INDEXES_MAX} and used with backoff limit per index`);
    }
  } else if (completionMode !== "NonIndexed") errors.notSupported(`${path}.completionMode`, completionMode, ["NonIndexed", "Indexed"]);
  if (completionMode === "NonIndexed") {
    if (backoffLimitPerIndex !== undefined) errors.invalid(`${path}.backoffLimitPerIndex`, backoffLimitPerIndex, "requires indexed completion mode");
    if (maxFailedIndexes !== undefined) errors.invalid(`${path}.maxFailedIndexes`, maxFailedIndexes, "requires indexed completion mode");
  }
  if (podFailurePolicy !== undefined) failurePolicy(spec, `${path}.podFailurePolicy`, errors);
  if (spec.successPolicy !== undefined) {
    if (completionMode !== "Indexed") errors.invalidGo(`${path}.successPolicy`, goValue("batch.SuccessPolicy", spec.successPolicy, `${path}.successPolicy`, errors), "requires indexed completion mode");
    else successPolicy(spec, `${path}.successPolicy`, errors);
  }
  if (spec.podReplacementPolicy !== undefined) oneOf(spec.podReplacementPolicy, podFailurePolicy !== undefined ? ["Failed"] : ["Failed", "TerminatingOrFailed"], `${path}.podReplacementPolicy`, errors);
  podTemplateSpec(spec.template, `${path}.template`, errors);
  const restart = spec.template.spec?.restartPolicy;
  if (restart !== "OnFailure" && restart !== "Never") errors.required(`${path}.template.spec.restartPolicy`, "valid values: \"OnFailure\", \"Never\"");
  else if (podFailurePolicy !== undefined && restart !== "Never") errors.invalid(`${path}.template.spec.restartPolicy`, restart, "only \"Never\" is supported when podFailurePolicy is specified");
}

/** Follows IsDomainPrefixedPath. */
export function domainPrefixedPath(value: string, path: string, errors: FieldErrors): void {
  if (value === "") return errors.required(path);
  const slash = value.indexOf("/");
  if (slash <= 0 || slash === value.length - 1) return errors.invalid(path, value, "must be a domain-prefixed path (such as \"acme.io/foo\")");
  const host = value.slice(0, slash);
  errors.invalidAll(path, host, dnsSubdomain(host));
  const rest = value.slice(slash + 1);
  if (!/^[A-Za-z0-9/\-._~%!$&'()*+,;=:]+$/.test(rest))
    errors.invalid(path, rest, "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')");
}

const ACTIONS = ["Count", "FailIndex", "FailJob", "Ignore"];

function failurePolicy(spec: Any, path: string, errors: FieldErrors): void {
  const rules: Any[] = spec.podFailurePolicy.rules ?? [];
  if (rules.length > 20) errors.tooMany(`${path}.rules`, rules.length, 20);
  const pod = spec.template.spec ?? {};
  const names = new Set([...(pod.containers ?? []), ...(pod.initContainers ?? [])].map((c: Any) => c.name));
  rules.forEach((rule, i) => {
    const at = `${path}.rules[${i}]`;
    const { action = "", onExitCodes } = rule;
    const onPodConditions: Any[] = rule.onPodConditions ?? [];
    if (action === "") errors.required(`${at}.action`, `valid values: ${quotedList(ACTIONS)}`);
    else if (action === "FailIndex") {
      if (spec.backoffLimitPerIndex === undefined) errors.invalid(`${at}.action`, action, "requires the backoffLimitPerIndex to be set");
    } else oneOf(action, ACTIONS, `${at}.action`, errors);
    if (onExitCodes !== undefined) exitCodes(onExitCodes, `${at}.onExitCodes`, names, errors);
    if (onPodConditions.length > 20) errors.tooMany(`${at}.onPodConditions`, onPodConditions.length, 20);
    onPodConditions.forEach((pattern: Any, j: number) => {
      qualified(pattern.type ?? "", `${at}.onPodConditions[${j}].type`, errors);
      if ((pattern.status ?? "") === "") errors.required(`${at}.onPodConditions[${j}].status`, `valid values: ${quotedList(["False", "True", "Unknown"])}`);
      else oneOf(pattern.status, ["False", "True", "Unknown"], `${at}.onPodConditions[${j}].status`, errors);
    });
    if (onExitCodes !== undefined && onPodConditions.length > 0) errors.add("FieldValueInvalid", at, "Invalid value: specifying both OnExitCodes and OnPodConditions is not supported");
    if (onExitCodes === undefined && onPodConditions.length === 0) errors.add("FieldValueInvalid", at, "Invalid value: specifying one of OnExitCodes and OnPodConditions is required");
  });
}

function exitCodes({ operator = "", containerName, values: given }: Any, path: string, names: ReadonlySet<string>, errors: FieldErrors): void {
  const values: number[] = given ?? [];
  if (operator === "") errors.required(`${path}.operator`, `valid values: ${quotedList(["In", "NotIn"])}`);
  else oneOf(operator, ["In", "NotIn"], `${path}.operator`, errors);
  if (containerName !== undefined && !names.has(containerName)) errors.invalid(`${path}.containerName`, containerName, "must be one of the container or initContainer names in the pod template");
  const shown = `[]int32${values.length === 0 && !errors.empty.has(`${path}.values`) ? "(nil)" : `{${values.join(", ")}}`}`;
  if (values.length === 0) errors.invalidGo(`${path}.values`, shown, "at least one value is required");
  else if (values.length > 255) errors.tooMany(`${path}.values`, values.length, 255);
  const seen = new Set<number>();
  let ordered = true;
  values.forEach((value: number, i: number) => {
    if (operator === "In" && value === 0) errors.invalid(`${path}.values[${i}]`, value, "must not be 0 for the In operator");
    if (seen.has(value)) errors.duplicate(`${path}.values[${i}]`, value);
    seen.add(value);
    if (i > 0 && values[i - 1]! > value) ordered = false;
  });
  if (!ordered) errors.invalidGo(`${path}.values`, shown, "must be ordered");
}

function successPolicy(spec: Any, path: string, errors: FieldErrors): void {
  const rules: Any[] = spec.successPolicy.rules ?? [];
  if (rules.length === 0) errors.required(`${path}.rules`, "at least one rules must be specified when the successPolicy is specified");
  if (rules.length > 20) errors.tooMany(`${path}.rules`, rules.length, 20);
  rules.forEach(({ succeededCount, succeededIndexes }, i) => {
    const at = `${path}.rules[${i}]`;
    if (succeededCount === undefined && succeededIndexes === undefined) errors.required(at, "at least one of succeededCount or succeededIndexes must be specified");
    let total: number | undefined;
    if (succeededIndexes !== undefined) {
      const parsed = countIndexes(succeededIndexes, spec.completions ?? 0);
      if (typeof parsed === "string") errors.invalid(`${at}.succeededIndexes`, succeededIndexes, `error parsing succeededIndexes: ${parsed}`);
      else total = parsed;
    }
    if (succeededCount === undefined) return;
    nonNegative(succeededCount, `${at}.succeededCount`, errors);
    if (spec.completions !== undefined && succeededCount > spec.completions)
      errors.invalid(`${at}.succeededCount`, succeededCount, `must be less than or equal to ${spec.completions} (the number of specified completions)`);
    if (total !== undefined && succeededCount > total) errors.invalid(`${at}.succeededCount`, succeededCount, `must be less than or equal to ${total} (the number of indexes in the specified succeededIndexes field)`);
  });
}

/** How many indexes `1,3-5` names, or what is wrong. Follows validateIndexesFormat. */
function countIndexes(text: string, completions: number): number | string {
  if (text === "") return 0;
  let last: number | undefined;
  let total = 0;
  for (const part of text.split(",")) {
    const limits = part.split("-");
    if (limits.length > 2) return `the fragment ${JSON.stringify(part)} violates the requirement that an index interval can have at most two parts separated by '-'`;
    const numbers = limits.map(Number);
    for (const [i, n] of numbers.entries()) {
      if (!/^[+-]?\d+$/.test(limits[i]!)) return `cannot convert string to integer for index: ${JSON.stringify(limits[i])}`;
      if (n >= completions) return `too large index: ${JSON.stringify(limits[i])}`;
    }
    const x = numbers[0]!;
    if (last !== undefined && last >= x) return `non-increasing order, previous: ${last}, current: ${x}`;
    const y = numbers[1] ?? x;
    if (numbers.length === 2 && x >= y) return `non-increasing order, previous: ${x}, current: ${y}`;
    total += y - x + 1;
    last = y;
  }
  return total;
}

/** Follows ValidateJobSpec. */
function wholeJobSpec(spec: Any, errors: FieldErrors): void {
  jobSpec(spec, "spec", errors);
  const { selector } = spec;
  if (selector === undefined || selector === null) errors.required("spec.selector");
  else labelSelector(selector, "spec.selector", errors);
  if ((selector === undefined || selector === null || selectorConverts(selector)) && !selects(selector, spec.template)) templateMismatch(spec.template, "spec.template", errors);
}

function generatedSelector({ metadata, spec }: Any, errors: FieldErrors): void {
  if (spec.manualSelector === true || spec.selector === undefined) return;
  const expected: Record<string, string> = {
    "batch.kubernetes.io/controller-uid": metadata.uid ?? "", "batch.kubernetes.io/job-name": metadata.name ?? "", "controller-uid": metadata.uid ?? "", "job-name": metadata.name ?? "",
  };
  for (const key of Object.keys(expected)) {
    const actual = spec.template.metadata?.labels?.[key];
    if (actual === undefined) errors.required(`spec.template.metadata.labels`, `must be '${expected[key]}'`);
    else if (actual !== expected[key]) errors.invalidGo(`spec.template.metadata.labels`, goValue("m", spec.template.metadata.labels, "spec.template.metadata.labels", errors), `must be '${expected[key]}'`);
  }
  if (selectorConverts(spec.selector) && !selects(spec.selector, { metadata: { labels: expected } }))
    errors.invalidGo("spec.selector", goValue("v1.LabelSelector", spec.selector, "spec.selector", errors), "`selector` not auto-generated");
}

export const job: Validation = twice({
  validate(o, errors) {
    objectMeta(o, true, dnsSubdomain, errors);
    generatedSelector(o, errors);
    wholeJobSpec(o.spec, errors);
    const { completionMode, completions } = o.spec;
    if (completionMode === "Indexed" && (completions ?? 0) > 0) {
      const last = `${o.metadata.name}-${completions - 1}`;
      const problems = dnsLabel(last);
      if (problems.length > 0) errors.invalid("metadata.name", o.metadata.name, `will not able to create pod with invalid DNS label: ${last}`);
    }
  },
  validateUpdate(o, old, errors) {
    objectMetaUpdate(o, old, errors);
    const [spec, was] = [o.spec, old.spec];
    wholeJobSpec(spec, errors);
    if (!deepEqual(spec.completions ?? null, was.completions ?? null)) {
      if (was.completionMode !== "Indexed") immutable(spec.completions, was.completions, "spec.completions", errors, "i");
      else if (spec.completions !== spec.parallelism)
        errors.invalid("spec.completions", spec.completions ?? "null", "can only be modified in tandem with spec.parallelism");
    }
    immutable(spec.selector, was.selector, "spec.selector", errors, "v1.LabelSelector");
    templateUpdate(o, old, errors);
    immutable(spec.completionMode, was.completionMode, "spec.completionMode", errors);
    immutable(spec.podFailurePolicy, was.podFailurePolicy, "spec.podFailurePolicy", errors, "batch.PodFailurePolicy");
    immutable(spec.backoffLimitPerIndex, was.backoffLimitPerIndex, "spec.backoffLimitPerIndex", errors, "i");
    immutable(spec.managedBy, was.managedBy, "spec.managedBy", errors);
    immutable(spec.successPolicy, was.successPolicy, "spec.successPolicy", errors, "batch.SuccessPolicy");
  },
  validateStatusUpdate: objectMetaUpdate,
});

/** The template stays, but for where pods may go while a suspended job has not started. Follows validatePodTemplateUpdate. */
function templateUpdate(o: Any, old: Any, errors: FieldErrors): void {
  let before = old.spec.template;
  if (old.spec.suspend === true && old.status?.startTime === undefined) {
    const next = o.spec.template;
    before = { ...before, metadata: { ...before.metadata, annotations: next.metadata?.annotations, labels: next.metadata?.labels }, spec: { ...before.spec } };
    for (const field of ["nodeSelector", "tolerations", "schedulingGates"]) before.spec[field] = next.spec?.[field];
    const affinity = next.spec?.affinity?.nodeAffinity;
    if (affinity !== undefined || before.spec.affinity?.nodeAffinity !== undefined) before.spec.affinity = { ...before.spec.affinity, nodeAffinity: affinity };
  }
  const bare = (t: Any): Any => ({ ...t, metadata: { ...t.metadata, creationTimestamp: undefined } });
  if (!deepEqual(bare(o.spec.template), bare(before))) errors.invalidGo("spec.template", goPodTemplate(o.spec.template, "spec.template", errors), "field is immutable");
}

function cronJobSpec({ spec }: Any, errors: FieldErrors): void {
  if ((spec.schedule ?? "") === "") errors.required("spec.schedule");
  else {
    const problem = scheduleProblem(spec.schedule);
    if (/TZ/.test(spec.schedule)) errors.invalid("spec.schedule", spec.schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead");
    else if (problem !== undefined) errors.invalid("spec.schedule", spec.schedule, problem);
  }
  nonNegative(spec.startingDeadlineSeconds, "spec.startingDeadlineSeconds", errors);
  const zone = spec.timeZone;
  if (zone !== undefined) {
    if (zone === "") errors.invalid("spec.timeZone", zone, "timeZone must be nil or non-empty string");
    else if (zone.toLowerCase() === "local") errors.invalid("spec.timeZone", zone, "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones");
    else if (!isTimeZone(zone)) errors.invalid("spec.timeZone", zone, `unknown time zone ${zone}`);
  }
  if ((spec.concurrencyPolicy ?? "") === "") errors.required("spec.concurrencyPolicy");
  else oneOf(spec.concurrencyPolicy, ["Allow", "Forbid", "Replace"], "spec.concurrencyPolicy", errors);
  const inner = spec.jobTemplate.spec;
  jobSpec(inner, "spec.jobTemplate.spec", errors);
  labelSelector(inner.selector, "spec.jobTemplate.spec.selector", errors);
  if (inner.manualSelector === true) errors.notSupported("spec.jobTemplate.spec.manualSelector", true as unknown as string, ["nil", "false"]);
  nonNegative(spec.successfulJobsHistoryLimit, "spec.successfulJobsHistoryLimit", errors);
  nonNegative(spec.failedJobsHistoryLimit, "spec.failedJobsHistoryLimit", errors);
}

export const cronJob: Validation = {
  validate(o, errors) {
    objectMeta(o, true, dnsSubdomain, errors);
    cronJobSpec(o, errors);
    if ((o.metadata.name ?? "").length > 52) errors.invalid("metadata.name", o.metadata.name, "must be no more than 52 characters");
  },
  validateUpdate(o, old, errors) {
    objectMetaUpdate(o, old, errors);
    cronJobSpec(o, errors);
  },
  validateStatusUpdate: objectMetaUpdate,
};
