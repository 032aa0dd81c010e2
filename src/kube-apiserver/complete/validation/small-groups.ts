/** Groups with a kind or two: policy, rbac, scheduling, node, coordination, certificates, events. Follows pkg/apis/<group>/validation of each. */
import { deepEqual } from "../../../apimachinery/meta.ts";
import type { FieldErrors } from "../../field.ts";
import {
  dnsLabel, dnsSubdomain, immutable, intOrPercent, labels, labelSelector, named, notOver100Percent, objectMeta, objectMetaUpdate, oneOf, pathSegment, plain, twice,
} from "./common.ts";
import type { Any, Validation } from "./common.ts";
import { resourceRequirements } from "./containers.ts";
import { goValue } from "./go.ts";
import { preemptionPolicy, tolerations } from "./pod.ts";

function budgetBody({ spec }: Any, errors: FieldErrors): void {
  const { minAvailable, maxUnavailable } = spec;
  if (minAvailable !== undefined && maxUnavailable !== undefined)
    errors.invalidGo("spec", `policy.PodDisruptionBudgetSpec{MinAvailable:(*intstr.IntOrString)(0xc000000000), Selector:(*v1.LabelSelector)(${spec.selector === undefined ? "nil" : "0xc000000000"}), MaxUnavailable:(*intstr.IntOrString)(0xc000000000), UnhealthyPodEvictionPolicy:(*policy.UnhealthyPodEvictionPolicyType)(${spec.unhealthyPodEvictionPolicy === undefined ? "nil" : "0xc000000000"})}`, "minAvailable and maxUnavailable cannot be both set");
  for (const [field, value] of [["minAvailable", minAvailable], ["maxUnavailable", maxUnavailable]] as const) {
    if (value === undefined) continue;
    intOrPercent(value, `spec.${field}`, errors);
    notOver100Percent(value, `spec.${field}`, errors);
  }
  labelSelector(spec.selector, "spec.selector", errors);
  if (spec.unhealthyPodEvictionPolicy !== undefined) oneOf(spec.unhealthyPodEvictionPolicy, ["AlwaysAllow", "IfHealthyBudget"], "spec.unhealthyPodEvictionPolicy", errors);
}

/** Names of budgets are only judged as segments of a path. */
export const podDisruptionBudget: Validation = { validate: budgetBody, validateUpdate: (o, _old, errors) => budgetBody(o, errors), validateStatusUpdate: objectMetaUpdate };

const RBAC = "rbac.authorization.k8s.io";

/** Follows ValidatePolicyRule. */
function policyRule(rule: Any, namespaced: boolean, path: string, errors: FieldErrors): void {
  const [verbs, apiGroups, resources, nonResourceURLs] = ["verbs", "apiGroups", "resources", "nonResourceURLs"].map((field) => (rule[field] ?? []) as string[]) as [string[], string[], string[], string[]];
  if (verbs.length === 0) errors.required(`${path}.verbs`, "verbs must contain at least one value");
  if (nonResourceURLs.length > 0) {
    if (namespaced) errors.invalid(`${path}.nonResourceURLs`, nonResourceURLs, "namespaced rules cannot apply to non-resource URLs");
    if (apiGroups.length > 0 || resources.length > 0 || (rule.resourceNames ?? []).length > 0)
      errors.invalid(`${path}.nonResourceURLs`, nonResourceURLs, "rules cannot apply to both regular resources and non-resource URLs");
    return;
  }
  if (apiGroups.length === 0) errors.required(`${path}.apiGroups`, "resource rules must supply at least one api group");
  if (resources.length === 0) errors.required(`${path}.resources`, "resource rules must supply at least one resource");
}

export const role: Validation = twice(plain(true, pathSegment, (o, errors) => (o.rules ?? []).forEach((rule: Any, i: number) => policyRule(rule, true, `rules[${i}]`, errors))));

export const clusterRole: Validation = twice(plain(false, pathSegment, (o, errors) => {
  (o.rules ?? []).forEach((rule: Any, i: number) => policyRule(rule, false, `rules[${i}]`, errors));
  if (o.aggregationRule === undefined) return;
  const selectors: Any[] = o.aggregationRule.clusterRoleSelectors ?? [];
  if (selectors.length === 0) errors.required("aggregationRule.clusterRoleSelectors", "at least one clusterRoleSelector required if aggregationRule is non-nil");
  selectors.forEach((selector, i) => labelSelector(selector, `aggregationRule.clusterRoleSelectors[${i}]`, errors));
}));

function bindingBody(namespaced: boolean): (o: Any, errors: FieldErrors) => void {
  return (o, errors) => {
    oneOf(o.roleRef.apiGroup, [RBAC], "roleRef.apiGroup", errors);
    oneOf(o.roleRef.kind, namespaced ? ["Role", "ClusterRole"] : ["ClusterRole"], "roleRef.kind", errors);
    if ((o.roleRef.name ?? "") === "") errors.required("roleRef.name");
    else errors.invalidAll("roleRef.name", o.roleRef.name, pathSegment(o.roleRef.name));
    (o.subjects ?? []).forEach((subject: Any, i: number) => roleSubject(subject, namespaced, `subjects[${i}]`, errors));
  };
}

function roleSubject({ kind = "", name = "", namespace = "", apiGroup = "" }: Any, namespaced: boolean, path: string, errors: FieldErrors): void {
  if (name === "") errors.required(`${path}.name`);
  if (kind === "ServiceAccount") {
    if (name !== "") named(name, dnsSubdomain, `${path}.name`, errors);
    if (apiGroup !== "") errors.notSupported(`${path}.apiGroup`, apiGroup, [""]);
    if (!namespaced && namespace === "") errors.required(`${path}.namespace`);
  } else if (kind === "User" || kind === "Group") oneOf(apiGroup, [RBAC], `${path}.apiGroup`, errors);
  else errors.notSupported(`${path}.kind`, kind, ["ServiceAccount", "User", "Group"]);
}

const roleRefStays = (o: Any, old: Any, errors: FieldErrors): void => {
  if (!deepEqual(o.roleRef, old.roleRef)) errors.invalidGo("roleRef", goValue("rbac.RoleRef", o.roleRef, "roleRef", errors), "cannot change roleRef");
};

export const roleBinding: Validation = twice(plain(true, pathSegment, bindingBody(true), roleRefStays));
export const clusterRoleBinding: Validation = twice(plain(false, pathSegment, bindingBody(false), roleRefStays));

const HIGHEST_USER_PRIORITY = 1_000_000_000;
/** The values of the classes that the system has for itself. */
export const SYSTEM_CLASSES: Readonly<Record<string, number>> = { "system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000 };

export const priorityClass: Validation = {
  validate(o, errors) {
    objectMeta(o, false, dnsSubdomain, errors);
    const name: string = o.metadata.name ?? "";
    if (name.startsWith("system-")) {
      const value = SYSTEM_CLASSES[name];
      const problem = value === undefined ? `${name} is not a known system priority class` : value !== o.value ? `value of ${name} PriorityClass must be ${value}` : undefined;
      if (problem !== undefined) errors.forbidden("metadata.name", `priority class names with 'system-' prefix are reserved for system use only. error: ${problem}`);
    } else if (o.value > HIGHEST_USER_PRIORITY) errors.forbidden("value", `maximum allowed value of a user defined priority is ${HIGHEST_USER_PRIORITY}`);
    if (o.preemptionPolicy !== undefined) preemptionPolicy(o.preemptionPolicy, "preemptionPolicy", errors);
  },
  validateUpdate(o, old, errors) {
    objectMetaUpdate(o, old, errors);
    if (o.value !== old.value) errors.forbidden("value", "may not be changed in an update.");
    immutable(o.preemptionPolicy, old.preemptionPolicy, "preemptionPolicy", errors);
  },
};

export const runtimeClass: Validation = plain(false, dnsSubdomain, (o, errors) => {
  named(o.handler ?? "", dnsLabel, "handler", errors);
  if (o.overhead !== undefined) resourceRequirements({ limits: o.overhead.podFixed ?? {} }, "overhead.podFixed", errors);
  if (o.scheduling === undefined) return;
  labels(o.scheduling.nodeSelector, "scheduling.nodeSelector", errors);
  // The name of the field comes twice upstream.
  const list: Any[] = o.scheduling.tolerations ?? [];
  tolerations(list, "scheduling.tolerations.tolerations", errors);
  list.forEach((toleration, i) => {
    if (list.slice(0, i).some((other) => deepEqual(other, toleration))) errors.add("FieldValueDuplicate", `scheduling.tolerations[${i}]`, `Duplicate value: ${goValue("core.Toleration", toleration, "", errors)}`);
  });
}, (o, old, errors) => immutable(o.handler ?? "", old.handler ?? "", "handler", errors));

export const lease: Validation = plain(true, dnsSubdomain, ({ spec = {} }, errors) => {
  if (spec.leaseDurationSeconds !== undefined && spec.leaseDurationSeconds <= 0) errors.invalid("spec.leaseDurationSeconds", spec.leaseDurationSeconds, "must be greater than 0");
  if (spec.leaseTransitions !== undefined && spec.leaseTransitions < 0) errors.invalid("spec.leaseTransitions", spec.leaseTransitions, "must be greater than or equal to 0");
  if (spec.strategy !== undefined && spec.strategy !== "OldestEmulationVersion" && !spec.strategy.includes("/"))
    errors.invalid("spec.strategy", spec.strategy, "must be either 'OldestEmulationVersion' or a fully qualified name");
  if (spec.preferredHolder !== undefined && (spec.strategy ?? "") === "") errors.forbidden("spec.preferredHolder", "may only be specified when `strategy` is defined");
});

const USAGES = [
  "any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment", "decipher only", "digital signature",
  "email protection", "encipher only", "ipsec end system", "ipsec tunnel", "ipsec user", "key agreement", "key encipherment", "microsoft sgc",
  "netscape sgc", "ocsp signing", "s/mime", "server auth", "signing", "timestamping",
];

/** Whether the bytes are PEM with a block of this type; base64 of the request. */
function pemProblem(request: string | undefined): string | undefined {
  let text: string;
  try {
    text = atob(request ?? "");
  } catch {
    return "PEM block type must be CERTIFICATE REQUEST";
  }
  return /-----BEGIN CERTIFICATE REQUEST-----\s[\sA-Za-z0-9+/=]+-----END CERTIFICATE REQUEST-----/.test(text) ? undefined : "PEM block type must be CERTIFICATE REQUEST";
}

function goBytes(base64: string | undefined): string {
  if ((base64 ?? "") === "") return "[]byte(nil)";
  return `[]byte{${[...atob(base64!)].map((c) => `0x${c.charCodeAt(0).toString(16)}`).join(", ")}}`;
}

function signingRequest({ spec }: Any, errors: FieldErrors): void {
  const problem = pemProblem(spec.request);
  if (problem !== undefined) errors.invalidGo("spec.request", goBytes(spec.request), problem);
  const usages: string[] = spec.usages ?? [];
  if (usages.length === 0) errors.required("spec.usages");
  usages.forEach((usage, i) => {
    if (!USAGES.includes(usage)) errors.notSupported(`spec.usages[${i}]`, usage, USAGES);
  });
  const signer: string = spec.signerName ?? "";
  if (signer === "") errors.required("spec.signerName");
  else if (signer === "kubernetes.io/legacy-unknown") errors.invalid("spec.signerName", signer, "the legacy signerName is not allowed via this API version");
  else signerName(signer, "spec.signerName", errors);
  if (spec.expirationSeconds !== undefined && spec.expirationSeconds < 600) errors.invalid("spec.expirationSeconds", spec.expirationSeconds, "may not specify a duration less than 600 seconds (10 minutes)");
  usages.forEach((usage, i) => {
    if (usages.indexOf(usage) < i) errors.duplicate(`spec.usages[${i}]`, usage);
  });
}

/** Follows ValidateCertificateSigningRequestSignerName of pkg/apis/certificates/validation. */
function signerName(name: string, path: string, errors: FieldErrors): void {
  const slash = name.indexOf("/");
  if (slash < 0 || name.indexOf("/", slash + 1) >= 0 && name.split("/").length !== 2) return errors.invalid(path, name, "must be a fully qualified domain and path of the form 'example.com/signer-name'");
  const [domain, rest] = [name.slice(0, slash), name.slice(slash + 1)];
  errors.invalidAll(path, domain, dnsSubdomain(domain).map((text) => `validating label ${JSON.stringify(domain)}: ${text}`));
  if (domain.split(".").length < 2) errors.invalid(path, domain, "should be a domain with at least two segments separated by dots");
  for (const part of rest.split(".")) errors.invalidAll(path, rest, dnsLabel(part).map((text) => `validating label ${JSON.stringify(part)}: ${text}`));
  if (name.length > 571) errors.tooLong(path, 571);
}

export const certificateSigningRequest: Validation = {
  validate(o, errors) {
    objectMeta(o, false, () => [], errors);
    signingRequest(o, errors);
  },
  validateUpdate(o, old, errors) {
    objectMetaUpdate(o, old, errors);
  },
  validateStatusUpdate: objectMetaUpdate,
};
