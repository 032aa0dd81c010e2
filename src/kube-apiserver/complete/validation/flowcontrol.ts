/** flowcontrol.apiserver.k8s.io/v1. Follows pkg/apis/flowcontrol/validation/validation.go. */
import type { FieldErrors } from "../../field.ts";
import { dnsLabel, dnsSubdomain, plain } from "./common.ts";
import type { Any, Validation } from "./common.ts";

const VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"];
const ALL = "*";

/** Fields as lists; a required list that is not there is null. */
function lists<K extends string>(value: Any, ...fields: K[]): Record<K, Any[]> {
  return Object.fromEntries(fields.map((field) => [field, value[field] ?? []])) as Record<K, Any[]>;
}

export const flowSchema: Validation = plain(false, dnsSubdomain, (o, errors) => {
  const { spec } = o;
  const precedence = spec.matchingPrecedence ?? 0;
  if (precedence <= 0) errors.invalid("spec.matchingPrecedence", precedence, "must be a positive value");
  if (precedence > 10_000) errors.invalid("spec.matchingPrecedence", precedence, "must not be greater than 10000");
  if (precedence === 1 && o.metadata.name !== "exempt") errors.invalid("spec.matchingPrecedence", precedence, "only the schema named 'exempt' may have matchingPrecedence 1");
  if (spec.distinguisherMethod !== undefined && spec.distinguisherMethod.type !== "ByNamespace" && spec.distinguisherMethod.type !== "ByUser")
    errors.notSupported("spec.distinguisherMethod", `{${spec.distinguisherMethod.type ?? ""}}`, ["ByNamespace", "ByUser"]);
  const level: string = spec.priorityLevelConfiguration?.name ?? "";
  if (level === "") errors.required("spec.priorityLevelConfiguration.name", "must reference a priority level");
  else errors.invalidAll("spec.priorityLevelConfiguration.name", level, dnsSubdomain(level));
  (spec.rules ?? []).forEach((rule: Any, i: number) => policyRule(rule, `spec.rules[${i}]`, errors));
});

function policyRule(rule: Any, path: string, errors: FieldErrors): void {
  const { subjects, resourceRules, nonResourceRules } = lists(rule, "subjects", "resourceRules", "nonResourceRules");
  if (subjects.length === 0) errors.required(`${path}.subjects`, "subjects must contain at least one value");
  else subjects.forEach((subject: Any, i: number) => ruleSubject(subject, `${path}.subjects[${i}]`, errors));
  if (resourceRules.length === 0 && nonResourceRules.length === 0) errors.required(path, "at least one of resourceRules and nonResourceRules has to be non-empty");
  resourceRules.forEach((rule: Any, i: number) => resourceRule(rule, `${path}.resourceRules[${i}]`, errors));
  nonResourceRules.forEach((inner: Any, i: number) => {
    const { verbs, nonResourceURLs } = lists(inner, "verbs", "nonResourceURLs");
    const at = `${path}.nonResourceRules[${i}]`;
    ruleVerbs(verbs, `${at}.verbs`, errors);
    if (nonResourceURLs.length === 0) errors.required(`${at}.nonResourceURLs`, "nonResourceURLs must contain at least one value");
    else if (nonResourceURLs.includes(ALL)) {
      if (nonResourceURLs.length > 1) errors.invalid(`${at}.nonResourceURLs`, nonResourceURLs, "if '*' is present, must not specify other non-resource URLs");
    } else nonResourceURLs.forEach((url: string, j: number) => urlPath(url, `${at}.nonResourceURLs[${j}]`, errors));
  });
}

const KINDS: Readonly<Record<string, string>> = { User: "user", Group: "group", ServiceAccount: "serviceAccount" };

function ruleSubject(subject: Any, path: string, errors: FieldErrors): void {
  const kind: string = subject.kind ?? "";
  const own = KINDS[kind];
  if (own === undefined) return errors.notSupported(`${path}.kind`, kind, ["Group", "ServiceAccount", "User"]);
  if (subject[own] === undefined) errors.required(`${path}.${own}`, `${own} is required when subject kind is '${kind}'`);
  else if (own === "serviceAccount") {
    const { name = "", namespace = "" } = subject.serviceAccount;
    if (name === "") errors.required(`${path}.serviceAccount.name`);
    else if (name !== ALL) errors.invalidAll(`${path}.serviceAccount.name`, name, dnsSubdomain(name));
    if (namespace === "") errors.required(`${path}.serviceAccount.namespace`, "must specify namespace for service account");
    else errors.invalidAll(`${path}.serviceAccount.namespace`, namespace, dnsLabel(namespace));
  } else if ((subject[own].name ?? "") === "") errors.required(`${path}.${own}.name`);
  for (const field of Object.values(KINDS)) if (field !== own && subject[field] !== undefined) errors.forbidden(`${path}.${field}`, `${field} is forbidden when subject kind is not '${Object.keys(KINDS).find((k) => KINDS[k] === field)}'`);
}

function ruleVerbs(verbs: readonly string[], path: string, errors: FieldErrors): void {
  if (verbs.length === 0) errors.required(path, "verbs must contain at least one value");
  else if (verbs.includes(ALL)) {
    if (verbs.length > 1) errors.invalid(path, verbs, "if '*' is present, must not specify other verbs");
  } else if (!verbs.every((verb) => VERBS.includes(verb)))
    errors.add("FieldValueNotSupported", path, `Unsupported value: []string{${verbs.map((v) => JSON.stringify(v)).join(", ")}}: supported values: ${VERBS.map((v) => JSON.stringify(v)).join(", ")}`);
}

function resourceRule(rule: Any, path: string, errors: FieldErrors): void {
  const { verbs, apiGroups, resources, namespaces } = lists(rule, "verbs", "apiGroups", "resources", "namespaces");
  ruleVerbs(verbs, `${path}.verbs`, errors);
  if (apiGroups.length === 0) errors.required(`${path}.apiGroups`, "resource rules must supply at least one api group");
  else if (apiGroups.length > 1 && apiGroups.includes(ALL)) errors.invalid(`${path}.apiGroups`, apiGroups, "if '*' is present, must not specify other api groups");
  if (resources.length === 0) errors.required(`${path}.resources`, "resource rules must supply at least one resource");
  else if (resources.length > 1 && resources.includes(ALL)) errors.invalid(`${path}.resources`, resources, "if '*' is present, must not specify other resources");
  if (namespaces.length === 0 && rule.clusterScope !== true) errors.required(`${path}.namespaces`, "resource rules that are not cluster scoped must supply at least one namespace");
  else if (namespaces.includes(ALL)) {
    if (namespaces.length > 1) errors.invalid(`${path}.namespaces`, namespaces, "if '*' is present, must not specify other namespaces");
  } else
    namespaces.forEach((name: string, i: number) => errors.invalidAll(`${path}.namespaces[${i}]`, name, dnsLabel(name).map((text) => `each member of this list must be '*' or a DNS-1123 label; ${text}`)));
}

/** Follows ValidateNonResourceURLPath. */
function urlPath(url: string, path: string, errors: FieldErrors): void {
  if (url === "") errors.invalid(path, url, "must not be empty");
  else if (url === "/") return;
  else if (!url.startsWith("/")) errors.invalid(path, url, "must start with slash");
  else if (url.includes(" ")) errors.invalid(path, url, "must not contain white-space");
  else if (url.includes("//")) errors.invalid(path, url, "must not contain double slash");
  else if (url.indexOf(ALL) >= 0 && url.indexOf(ALL) !== url.length - 1) errors.invalid(path, url, "wildcard can only do suffix matching");
  else if (url.endsWith(ALL) && !url.endsWith("/*")) errors.invalid(path, url, "wildcard can only do suffix matching");
}

export const priorityLevelConfiguration: Validation = plain(false, dnsSubdomain, (o, errors) => {
  const { spec } = o;
  const name: string = o.metadata.name ?? "";
  if (name === "exempt" ? spec.type !== "Exempt" : false) errors.invalid("spec.type", spec.type ?? "", "must be 'Exempt' if and only if `name` is 'exempt'");
  else if (name !== "exempt" && spec.type === "Exempt") errors.invalid("spec.type", spec.type, "must be 'Exempt' if and only if `name` is 'exempt'");
  switch (spec.type) {
    case "Exempt":
      if (spec.limited !== undefined) errors.forbidden("spec.limited", "must be nil if the type is not Limited");
      if (spec.exempt === undefined) errors.required("spec.exempt", "must not be empty when type is Exempt");
      else shares(spec.exempt, "spec.exempt", errors);
      break;
    case "Limited":
      if (spec.exempt !== undefined) errors.forbidden("spec.exempt", "must be nil if the type is Limited");
      if (spec.limited === undefined) errors.required("spec.limited", "must not be empty when type is Limited");
      else limited(spec.limited, "spec.limited", errors);
      break;
    default: errors.notSupported("spec.type", spec.type ?? "", ["Exempt", "Limited"]);
  }
});

function shares({ nominalConcurrencyShares: nominal = 0, lendablePercent: lendable = 0 }: Any, path: string, errors: FieldErrors): void {
  if (nominal < 0) errors.invalid(`${path}.nominalConcurrencyShares`, nominal, "must be a non-negative integer");
  if (lendable < 0 || lendable > 100) errors.invalid(`${path}.lendablePercent`, lendable, "must be between 0 and 100, inclusive");
}

function limited(value: Any, path: string, errors: FieldErrors): void {
  if ((value.nominalConcurrencyShares ?? 0) < 0) errors.invalid(`${path}.nominalConcurrencyShares`, value.nominalConcurrencyShares, "must be a non-negative integer");
  const { type = "", queuing } = value.limitResponse ?? {};
  const at = `${path}.limitResponse`;
  if (type === "Reject") {
    if (queuing !== undefined) errors.forbidden(`${at}.queuing`, "must be nil if limited.limitResponse.type is not Limited");
  } else if (type === "Queue") {
    if (queuing === undefined) errors.required(`${at}.queuing`, "must not be empty if limited.limitResponse.type is Limited");
    else queues(queuing, `${at}.queuing`, errors);
  } else errors.notSupported(`${at}.type`, type, ["Queue", "Reject"]);
  if (value.lendablePercent !== undefined && (value.lendablePercent < 0 || value.lendablePercent > 100)) errors.invalid(`${path}.lendablePercent`, value.lendablePercent, "must be between 0 and 100, inclusive");
  if (value.borrowingLimitPercent !== undefined && value.borrowingLimitPercent < 0) errors.invalid(`${path}.borrowingLimitPercent`, value.borrowingLimitPercent, "if specified, must be a non-negative integer");
}

function queues({ queues: count = 0, handSize = 0, queueLengthLimit = 0 }: Any, path: string, errors: FieldErrors): void {
  if (queueLengthLimit <= 0) errors.invalid(`${path}.queueLengthLimit`, queueLengthLimit, "must be positive");
  if (count <= 0) errors.invalid(`${path}.queues`, count, "must be positive");
  else if (count > 10_000_000) errors.invalid(`${path}.queues`, count, "must not be greater than 10000000");
  if (handSize <= 0) errors.invalid(`${path}.handSize`, handSize, "must be positive");
  else if (handSize > count) errors.invalid(`${path}.handSize`, handSize, `should not be greater than queues (${count})`);
  else {
    const bits = entropyBits(count, handSize);
    if (bits > 60) errors.invalid(`${path}.handSize`, handSize, `required entropy bits of deckSize ${count} and handSize ${handSize} should not be greater than 60`);
  }
}

/** Follows shufflesharding.RequiredEntropyBits: whole bits to tell every hand of the deck. */
function entropyBits(deck: number, hand: number): number {
  let product = 1n;
  for (let i = 0; i < hand; i++) product *= BigInt(deck - i);
  return product <= 1n ? 0 : (product - 1n).toString(2).length;
}
