/** Pods and pod templates. Follows ValidatePodSpec and ValidatePodUpdate of pkg/apis/core/validation/validation.go. */
import { deepEqual } from "../../../apimachinery/meta.ts";
import { validateLabelValue } from "../../../apimachinery/validation.ts";
import type { FieldErrors } from "../../field.ts";
import { validateAnnotations } from "../../registry/meta.ts";
import {
  dnsLabel, dnsSubdomain, inRange, labelSelector, labels, named, objectMeta, objectMetaUpdate, oneOf, qualified, qualifiedName, validIP,
} from "./common.ts";
import type { Any, Validation } from "./common.ts";
import { containers, ephemeralContainers, initContainers, resourceRequirements } from "./containers.ts";
import { goValue } from "./go.ts";
import { localDescendingPath, validateVolumes } from "./volumes.ts";

const INT32_MAX = 2147483647;
const EFFECTS = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/** Follows ValidatePodTemplateSpec. */
export function podTemplateSpec(template: Any, path: string, errors: FieldErrors): void {
  labels(template.metadata?.labels, `${path}.labels`, errors);
  validateAnnotations(template.metadata?.annotations, `${path}.annotations`, errors);
  podSpec(template.spec ?? {}, `${path}.spec`, errors);
  if ((template.spec?.ephemeralContainers ?? []).length > 0) errors.forbidden(`${path}.spec.ephemeralContainers`, "ephemeral containers not allowed in pod template");
}

/** Follows ValidatePodSpec. */
export function podSpec(spec: Any, path: string, errors: FieldErrors): void {
  const volumes = validateVolumes(spec.volumes ?? [], `${path}.volumes`, errors);
  const claims = resourceClaims(spec.resourceClaims ?? [], `${path}.resourceClaims`, errors);
  const scene = { volumes, claims, spec };
  containers(spec.containers ?? [], `${path}.containers`, scene, errors);
  initContainers(spec.initContainers ?? [], `${path}.initContainers`, scene, errors);
  ephemeralContainers(spec.ephemeralContainers ?? [], `${path}.ephemeralContainers`, scene, errors);
  requiredOneOf(spec.restartPolicy, ["Always", "OnFailure", "Never"], `${path}.restartPolicy`, errors);
  requiredOneOf(spec.dnsPolicy, ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"], `${path}.dnsPolicy`, errors);
  labels(spec.nodeSelector, `${path}.nodeSelector`, errors);
  podSecurityContext(spec, `${path}.securityContext`, errors);
  affinity(spec.affinity ?? {}, `${path}.affinity`, errors);
  dnsConfig(spec, `${path}.dnsConfig`, errors);
  (spec.readinessGates ?? []).forEach((gate: Any, i: number) => qualified(gate.conditionType, `${path}.readinessGates[${i}].conditionType`, errors));
  schedulingGates(spec.schedulingGates ?? [], `${path}.schedulingGates`, errors);
  topologySpread(spec.topologySpreadConstraints ?? [], `${path}.topologySpreadConstraints`, errors);
  if ((spec.serviceAccountName ?? "") !== "") named(spec.serviceAccountName, dnsSubdomain, `${path}.serviceAccountName`, errors);
  if ((spec.nodeName ?? "") !== "") named(spec.nodeName, dnsSubdomain, `${path}.nodeName`, errors);
  const deadline = spec.activeDeadlineSeconds;
  if (deadline !== undefined && (deadline < 1 || deadline > INT32_MAX)) errors.invalid(`${path}.activeDeadlineSeconds`, deadline, inRange(1, INT32_MAX));
  if ((spec.hostname ?? "") !== "") named(spec.hostname, dnsLabel, `${path}.hostname`, errors);
  if ((spec.subdomain ?? "") !== "") named(spec.subdomain, dnsLabel, `${path}.subdomain`, errors);
  tolerations(spec.tolerations ?? [], `${path}.tolerations`, errors);
  (spec.hostAliases ?? []).forEach((alias: Any, i: number) => {
    validIP(alias.ip ?? "", `${path}.hostAliases[${i}].ip`, errors);
    (alias.hostnames ?? []).forEach((name: string) => named(name, dnsSubdomain, `${path}.hostAliases[${i}].hostnames`, errors));
  });
  if ((spec.priorityClassName ?? "") !== "") named(spec.priorityClassName, dnsSubdomain, `${path}.priorityClassName`, errors);
  if (spec.runtimeClassName !== undefined) named(spec.runtimeClassName, dnsSubdomain, `${path}.runtimeClassName`, errors);
  if (spec.preemptionPolicy !== undefined) preemptionPolicy(spec.preemptionPolicy, `${path}.preemptionPolicy`, errors);
  if (spec.overhead !== undefined) resourceRequirements({ limits: spec.overhead }, `${path}.overhead`, errors);
  if (spec.os !== undefined) requiredOneOf(spec.os.name, ["linux", "windows"], `${path}.os.name`, errors);
}

export function preemptionPolicy(value: string, path: string, errors: FieldErrors): void {
  if (value === "") errors.required(path);
  else oneOf(value, ["PreemptLowerPriority", "Never"], path, errors);
}

function requiredOneOf(value: string | undefined, supported: readonly string[], path: string, errors: FieldErrors): void {
  if ((value ?? "") === "") errors.required(path);
  else oneOf(value, supported, path, errors);
}

function resourceClaims(claims: readonly Any[], path: string, errors: FieldErrors): Set<string> {
  const names = new Set<string>();
  claims.forEach((claim, i) => {
    const at = `${path}[${i}]`;
    if ((claim.name ?? "") === "") errors.required(`${at}.name`);
    else if (names.has(claim.name)) errors.duplicate(`${at}.name`, claim.name);
    else {
      named(claim.name, dnsLabel, `${at}.name`, errors);
      names.add(claim.name);
    }
    const [own, template] = [claim.resourceClaimName, claim.resourceClaimTemplateName];
    if (own !== undefined && template !== undefined) errors.invalid(at, claim, "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified");
    if (own === undefined && template === undefined) errors.invalid(at, claim, "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`");
    if (own !== undefined) named(own, dnsSubdomain, `${at}.resourceClaimName`, errors);
    if (template !== undefined) named(template, dnsSubdomain, `${at}.resourceClaimTemplateName`, errors);
  });
  return names;
}

const ID = inRange(0, INT32_MAX);

export function userId(value: number | undefined, path: string, errors: FieldErrors): void {
  if (value !== undefined && (value < 0 || value > INT32_MAX)) errors.invalid(path, value, ID);
}

/** Follows ValidatePodSecurityContext. */
function podSecurityContext(spec: Any, path: string, errors: FieldErrors): void {
  if (spec.hostNetwork === true) {
    (spec.containers ?? []).forEach((container: Any, i: number) => (container.ports ?? []).forEach((port: Any, j: number) => {
      if (port.hostPort !== port.containerPort)
        errors.invalid(`${path.slice(0, path.lastIndexOf("."))}.containers[${i}].ports[${j}].hostPort`, port.hostPort ?? 0, "must match `containerPort` when `hostNetwork` is true");
    }));
  }
  const sc = spec.securityContext;
  if (sc === undefined) return;
  userId(sc.fsGroup, `${path}.fsGroup`, errors);
  userId(sc.runAsUser, `${path}.runAsUser`, errors);
  userId(sc.runAsGroup, `${path}.runAsGroup`, errors);
  (sc.supplementalGroups ?? []).forEach((gid: number, i: number) => userId(gid, `${path}.supplementalGroups[${i}]`, errors));
  if (spec.shareProcessNamespace === true && spec.hostPID === true) errors.invalid(`${path.slice(0, path.lastIndexOf("."))}.shareProcessNamespace`, true, "ShareProcessNamespace and HostPID cannot both be enabled");
  sysctls(sc.sysctls ?? [], spec, `${path}.sysctls`, errors);
  if (sc.fsGroupChangePolicy !== undefined) oneOf(sc.fsGroupChangePolicy, ["Always", "OnRootMismatch"], `${path}.fsGroupChangePolicy`, errors);
  seccompProfile(sc.seccompProfile, `${path}.seccompProfile`, errors);
  appArmorProfile(sc.appArmorProfile, `${path}.appArmorProfile`, errors);
  if (sc.supplementalGroupsPolicy !== undefined) oneOf(sc.supplementalGroupsPolicy, ["Merge", "Strict"], `${path}.supplementalGroupsPolicy`, errors);
}

const SYSCTL = /^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$/;

function sysctls(list: readonly Any[], spec: Any, path: string, errors: FieldErrors): void {
  const names = new Set<string>();
  list.forEach(({ name = "" }: Any, i) => {
    const at = `${path}[${i}].name`;
    if (name === "") errors.required(at);
    else if (name.length > 253 || !SYSCTL.test(name)) errors.invalid(at, name, "must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$");
    else if (names.has(name)) errors.duplicate(at, name);
    names.add(name);
    if (spec.hostNetwork === true && name.startsWith("net.")) errors.invalid(at, name, "may not be specified when 'hostNetwork' is true");
    if (spec.hostIPC === true && /^(kernel\.(shm|msg|sem)|fs\.mqueue\.)/.test(name)) errors.invalid(at, name, "may not be specified when 'hostIPC' is true");
  });
}

export function seccompProfile(profile: Any, path: string, errors: FieldErrors): void {
  if (profile === undefined) return;
  if ((profile.type ?? "") === "") errors.required(`${path}.type`, "type is required when seccompProfile is set");
  else oneOf(profile.type, ["Localhost", "RuntimeDefault", "Unconfined"], `${path}.type`, errors);
  if (profile.type === "Localhost") {
    if (profile.localhostProfile === undefined) errors.required(`${path}.localhostProfile`, "must be set when seccomp type is Localhost");
    else localDescendingPath(profile.localhostProfile, `${path}.localhostProfile`, errors);
  } else if (profile.localhostProfile !== undefined) errors.invalid(`${path}.localhostProfile`, profile.localhostProfile, "can only be set when seccomp type is Localhost");
}

export function appArmorProfile(profile: Any, path: string, errors: FieldErrors): void {
  if (profile === undefined) return;
  const local = profile.localhostProfile;
  if (profile.type === "Localhost") {
    if (local === undefined) errors.required(`${path}.localhostProfile`, "must be set when AppArmor type is Localhost");
    else {
      const bare = local.trim();
      if (bare !== local) errors.invalid(`${path}.localhostProfile`, local, "must not be padded with whitespace");
      else if (bare === "") errors.required(`${path}.localhostProfile`, "must be set when AppArmor type is Localhost");
      if (local.length > 4095) errors.tooLong(`${path}.localhostProfile`, 4095);
    }
    return;
  }
  if (profile.type === "RuntimeDefault" || profile.type === "Unconfined") {
    if (local !== undefined) errors.invalid(`${path}.localhostProfile`, local, "can only be set when AppArmor type is Localhost");
  } else if ((profile.type ?? "") === "") errors.required(`${path}.type`, "type is required when appArmorProfile is set");
  else errors.notSupported(`${path}.type`, profile.type, ["Localhost", "RuntimeDefault", "Unconfined"]);
}

const REQUIRED_TERMS = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED_TERMS = "preferredDuringSchedulingIgnoredDuringExecution";

function affinity({ nodeAffinity, podAffinity, podAntiAffinity }: Any, path: string, errors: FieldErrors): void {
  if (nodeAffinity !== undefined) {
    const at = `${path}.nodeAffinity`;
    if (nodeAffinity[REQUIRED_TERMS] !== undefined) nodeSelector(nodeAffinity[REQUIRED_TERMS], `${at}.${REQUIRED_TERMS}`, errors);
    (nodeAffinity[PREFERRED_TERMS] ?? []).forEach((term: Any, i: number) => {
      weight(term.weight, `${at}.${PREFERRED_TERMS}[${i}].weight`, errors);
      nodeSelectorTerm(term.preference ?? {}, `${at}.${PREFERRED_TERMS}[${i}].preference`, errors);
    });
  }
  for (const [field, value] of [["podAffinity", podAffinity], ["podAntiAffinity", podAntiAffinity]] as const) {
    if (value === undefined) continue;
    const at = `${path}.${field}`;
    (value[REQUIRED_TERMS] ?? []).forEach((term: Any, i: number) => podAffinityTerm(term, `${at}.${REQUIRED_TERMS}[${i}]`, errors));
    (value[PREFERRED_TERMS] ?? []).forEach((term: Any, i: number) => {
      weight(term.weight, `${at}.${PREFERRED_TERMS}[${i}].weight`, errors);
      podAffinityTerm(term.podAffinityTerm ?? {}, `${at}.${PREFERRED_TERMS}[${i}].podAffinityTerm`, errors);
    });
  }
}

function weight(value: number | undefined, path: string, errors: FieldErrors): void {
  if ((value ?? 0) <= 0 || value! > 100) errors.invalid(path, value ?? 0, "must be in the range 1-100");
}

/** Follows ValidateNodeSelector. */
export function nodeSelector(selector: Any, path: string, errors: FieldErrors): void {
  const terms: Any[] = selector.nodeSelectorTerms ?? [];
  if (terms.length === 0) errors.required(`${path}.nodeSelectorTerms`, "must have at least one node selector term");
  terms.forEach((term, i) => nodeSelectorTerm(term, `${path}.nodeSelectorTerms[${i}]`, errors));
}

function nodeSelectorTerm({ matchExpressions = [], matchFields = [] }: Any, path: string, errors: FieldErrors): void {
  matchExpressions.forEach((requirement: Any, i: number) => {
    const at = `${path}.matchExpressions[${i}]`;
    const { key = "", operator = "", values = [] } = requirement;
    if (operator === "In" || operator === "NotIn") {
      if (values.length === 0) errors.required(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'");
    } else if (operator === "Exists" || operator === "DoesNotExist") {
      if (values.length > 0) errors.forbidden(`${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
    } else if (operator === "Gt" || operator === "Lt") {
      if (values.length !== 1) errors.required(`${at}.values`, "must be specified single value when `operator` is 'Lt' or 'Gt'");
    } else errors.invalid(`${at}.operator`, operator, "not a valid selector operator");
    errors.invalidAll(`${at}.key`, key, qualifiedName(key));
    values.forEach((value: string, j: number) => errors.invalidAll(`${at}.values[${j}]`, value, validateLabelValue(value)));
  });
  matchFields.forEach((requirement: Any, i: number) => {
    const at = `${path}.matchFields[${i}]`;
    const { key = "", operator = "", values = [] } = requirement;
    if (operator === "In" || operator === "NotIn") {
      if (values.length !== 1) errors.required(`${at}.values`, "must be only one value when `operator` is 'In' or 'NotIn' for node field selector");
    } else errors.invalid(`${at}.operator`, operator, "not a valid selector operator");
    if (key !== "metadata.name") errors.invalid(`${at}.key`, key, "not a valid field selector key");
    else values.forEach((value: string, j: number) => errors.invalidAll(`${at}.values[${j}]`, value, dnsSubdomain(value)));
  });
}

function podAffinityTerm(term: Any, path: string, errors: FieldErrors): void {
  labelSelector(term.labelSelector, `${path}.labelSelector`, errors);
  labelSelector(term.namespaceSelector, `${path}.namespaceSelector`, errors);
  for (const name of term.namespaces ?? []) named(name, dnsLabel, `${path}.namespace`, errors);
  const key = term.topologyKey ?? "";
  if (key === "") errors.required(`${path}.topologyKey`, "can not be empty");
  errors.invalidAll(`${path}.topologyKey`, key, qualifiedName(key));
}

function dnsConfig(spec: Any, path: string, errors: FieldErrors): void {
  const config = spec.dnsConfig;
  if (spec.dnsPolicy === "None") {
    if (config === undefined) return errors.required(path, "must provide `dnsConfig` when `dnsPolicy` is None");
    if ((config.nameservers ?? []).length === 0) return errors.required(`${path}.nameservers`, "must provide at least one DNS nameserver when `dnsPolicy` is None");
  }
  if (config === undefined) return;
  const { nameservers = [], searches = [], options = [] } = config;
  if (nameservers.length > 3) errors.invalid(`${path}.nameservers`, nameservers, "must not have more than 3 nameservers");
  nameservers.forEach((ip: string, i: number) => validIP(ip, `${path}.nameservers[${i}]`, errors));
  if (searches.length > 32) errors.invalid(`${path}.searches`, searches, "must not have more than 32 search paths");
  if (searches.join(" ").length > 2048) errors.invalid(`${path}.searches`, searches, "must not have more than 2048 characters (including spaces) in the search list");
  searches.forEach((search: string, i: number) => named(search.replace(/\.$/, ""), dnsSubdomain, `${path}.searches[${i}]`, errors));
  options.forEach((option: Any, i: number) => {
    if ((option.name ?? "") === "") errors.required(`${path}.options[${i}]`, "must not be empty");
  });
}

function schedulingGates(gates: readonly Any[], path: string, errors: FieldErrors): void {
  const names = new Set<string>();
  gates.forEach(({ name = "" }: Any, i) => {
    qualified(name, `${path}[${i}]`, errors);
    if (names.has(name)) errors.duplicate(`${path}[${i}]`, name);
    names.add(name);
  });
}

function topologySpread(constraints: readonly Any[], path: string, errors: FieldErrors): void {
  const seen = new Set<string>();
  constraints.forEach((c, i) => {
    const at = `${path}[${i}]`;
    if ((c.maxSkew ?? 0) <= 0) errors.invalid(`${at}.maxSkew`, c.maxSkew ?? 0, "must be greater than zero");
    const key = c.topologyKey ?? "";
    if (key === "") errors.required(`${at}.topologyKey`, "can not be empty");
    else errors.invalidAll(`${at}.topologyKey`, key, qualifiedName(key));
    oneOf(c.whenUnsatisfiable, ["DoNotSchedule", "ScheduleAnyway"], `${at}.whenUnsatisfiable`, errors);
    const pair = `{${key}, ${c.whenUnsatisfiable ?? ""}}`;
    if (seen.has(pair)) errors.duplicate(`${at}.{topologyKey, whenUnsatisfiable}`, pair);
    seen.add(pair);
    if (c.minDomains !== undefined) {
      if (c.minDomains <= 0) errors.invalid(`${at}.minDomains`, c.minDomains, "must be greater than zero");
      if (c.whenUnsatisfiable !== "DoNotSchedule") errors.invalid(`${at}.minDomains`, c.minDomains, `can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ${c.whenUnsatisfiable}`);
    }
    for (const field of ["nodeAffinityPolicy", "nodeTaintsPolicy"]) if (c[field] !== undefined) oneOf(c[field], ["Honor", "Ignore"], `${at}.${field}`, errors);
    (c.matchLabelKeys ?? []).forEach((label: string, j: number) => {
      errors.invalidAll(`${at}.matchLabelKeys[${j}]`, label, qualifiedName(label));
      if (c.labelSelector === undefined && j === 0) errors.forbidden(`${at}.matchLabelKeys`, "must not be specified when labelSelector is not set");
      if (c.labelSelector?.matchLabels?.[label] !== undefined) errors.invalid(`${at}.matchLabelKeys[${j}]`, label, "exists in both matchLabelKeys and labelSelector");
    });
    labelSelector(c.labelSelector, `${at}.labelSelector`, errors);
  });
}

/** Follows ValidateTolerations. */
export function tolerations(list: readonly Any[], path: string, errors: FieldErrors): void {
  list.forEach((toleration, i) => {
    const at = `${path}[${i}]`;
    const { key = "", operator = "", value = "", effect = "" } = toleration;
    if (key !== "") errors.invalidAll(`${at}.key`, key, qualifiedName(key));
    if (key === "" && operator !== "Exists")
      errors.invalid(`${at}.operator`, operator, "operator must be Exists when `key` is empty, which means \"match all values and all keys\"");
    if (toleration.tolerationSeconds !== undefined && effect !== "NoExecute") errors.invalid(`${at}.effect`, effect, "effect must be 'NoExecute' when `tolerationSeconds` is set");
    if (operator === "" || operator === "Equal") {
      const problems = validateLabelValue(value);
      if (problems.length > 0) errors.invalid(`${at}.operator`, value, problems.join(";"));
    } else if (operator === "Exists") {
      if (value !== "") errors.invalidGo(`${at}.operator`, goValue("core.Toleration", toleration, at, errors), "value must be empty when `operator` is 'Exists'");
    } else errors.notSupported(`${at}.operator`, operator, ["Equal", "Exists"]);
    if (effect !== "") taintEffect(effect, `${at}.effect`, errors);
  });
}

export function taintEffect(effect: string | undefined, path: string, errors: FieldErrors): void {
  requiredOneOf(effect, EFFECTS, path, errors);
}

/** What holds for pods, not for templates of them. Follows validatePodMetadataAndSpec. */
function podBody(pod: Any, errors: FieldErrors): void {
  objectMeta(pod, true, dnsSubdomain, errors);
  const { spec } = pod;
  podSpec(spec, "spec", errors);
  if ((spec.serviceAccountName ?? "") === "") {
    (spec.volumes ?? []).forEach((volume: Any, i: number) => (volume.projected?.sources ?? []).forEach((source: Any, j: number) => {
      if (source.serviceAccountToken !== undefined) errors.forbidden(`spec.volumes[${i}].projected.sources[${j}].serviceAccountToken`, "must not be specified when serviceAccountName is not set");
    }));
  }
  for (const field of ["containers", "initContainers"])
    (spec[field] ?? []).forEach(({ image = "" }: Any, i: number) => {
      if (image !== image.trim()) errors.invalid(`spec.${field}[${i}].image`, image, "must not have leading or trailing whitespace");
    });
}

const UPDATABLE = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/** The fields that differ, in the place of the printed difference of two Go structs. */
export function differing(type: string, value: Any, old: Any): string {
  const fields = [...new Set([...Object.keys(old), ...Object.keys(value)])].filter((field) => !deepEqual(value[field], old[field])).sort();
  return `\n  ${type}{\n${fields.map((field) => `- \t${field}: ${JSON.stringify(old[field] ?? null)},\n+ \t${field}: ${JSON.stringify(value[field] ?? null)},\n`).join("")}  }\n`;
}

export const pod: Validation = {
  validate(object, errors) {
    podBody(object, errors);
    if ((object.spec.ephemeralContainers ?? []).length > 0) errors.forbidden("spec.ephemeralContainers", "cannot be set on create");
  },
  validateUpdate(object, old, errors) {
    objectMetaUpdate(object, old, errors);
    podBody(object, errors);
    podUpdate(object.spec, old.spec, errors);
  },
  validateStatusUpdate(object, old, errors) {
    objectMetaUpdate(object, old, errors);
    if ((object.spec.nodeName ?? "") !== (old.spec.nodeName ?? "")) errors.forbidden("status.nodeName", "may not be changed directly");
    const { nominatedNodeName, podIPs = [] } = object.status;
    if ((nominatedNodeName ?? "") !== "") named(nominatedNodeName, dnsSubdomain, "status.nominatedNodeName", errors);
    const seen = new Set<string>();
    podIPs.forEach(({ ip }: Any, i: number) => {
      validIP(ip ?? "", `status.podIPs[${i}]`, errors);
      if (seen.has(ip)) errors.duplicate(`status.podIPs[${i}].ip`, ip);
      seen.add(ip);
    });
  },
};

function podUpdate(spec: Any, old: Any, errors: FieldErrors): void {
  for (const field of ["containers", "initContainers"]) {
    const list: Any[] = spec[field] ?? [];
    if (list.length !== (old[field] ?? []).length) return errors.forbidden(`spec.${field}`, "pod updates may not add or remove containers");
    list.forEach(({ image = "" }, i) => {
      if (image === "") errors.required(`spec.${field}[${i}].image`);
    });
  }
  const [deadline, was] = [spec.activeDeadlineSeconds, old.activeDeadlineSeconds];
  if (deadline !== undefined) {
    if (deadline < 0 || deadline > INT32_MAX) return errors.invalid("spec.activeDeadlineSeconds", deadline, inRange(0, INT32_MAX));
    if (was !== undefined && was < deadline) return errors.invalid("spec.activeDeadlineSeconds", deadline, "must be less than or equal to previous value");
  } else if (was !== undefined) errors.invalid("spec.activeDeadlineSeconds", "null", "must not update from a positive integer to nil value");
  const bare = (t: Any): Any => ({ ...t, tolerationSeconds: undefined });
  const kept = (old.tolerations ?? []).every((t: Any) => (spec.tolerations ?? []).some((n: Any) => deepEqual(bare(n), bare(t))));
  if (!kept) errors.forbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds");
  const gates = new Set((old.schedulingGates ?? []).map((g: Any) => g.name));
  (spec.schedulingGates ?? []).forEach(({ name }: Any, i: number) => {
    if (!gates.has(name)) errors.forbidden(`spec.schedulingGates[${i}].name`, `only deletion is allowed, but found new scheduling gate '${name}'`);
  });
  const images = (list: Any[] | undefined, before: Any[] | undefined): Any => list?.map((c, i) => ({ ...c, image: before?.[i]?.image }));
  const munged = { ...spec, containers: images(spec.containers, old.containers), initContainers: images(spec.initContainers, old.initContainers),
    activeDeadlineSeconds: was, tolerations: old.tolerations, schedulingGates: old.schedulingGates };
  if ((old.terminationGracePeriodSeconds ?? 0) < 0 && spec.terminationGracePeriodSeconds === 1) munged.terminationGracePeriodSeconds = old.terminationGracePeriodSeconds;
  if ((old.schedulingGates ?? []).length > 0) {
    // A gated pod may still narrow where it goes.
    const narrowed = Object.entries((old.nodeSelector ?? {}) as Record<string, string>).every(([key, value]) => spec.nodeSelector?.[key] === value);
    if (narrowed) munged.nodeSelector = old.nodeSelector;
    else errors.invalid("spec.nodeSelector", spec.nodeSelector, "only additions are allowed");
    if (old.affinity?.nodeAffinity?.[REQUIRED_TERMS] === undefined) munged.affinity = old.affinity;
  }
  if (!deepEqual(munged, old)) errors.forbidden("spec", `${UPDATABLE}${differing("core.PodSpec", munged, old)}`);
}
