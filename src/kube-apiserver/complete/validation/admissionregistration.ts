/** admissionregistration.k8s.io/v1. Follows pkg/apis/admissionregistration/validation/validation.go. */
import type { FieldErrors } from "../../field.ts";
import type { Scope } from "./expressions.ts";
import { dns1035, dnsSubdomain, fullyQualifiedName, genericMeta, labelSelector, named, objectMetaUpdate, oneOf, pathSegment, qualifiedName } from "./common.ts";
import type { Any, NameCheck, Validation } from "./common.ts";
import { loaded } from "../../../time/loading.ts";

/** Metadata is judged without the finalizers that the core kinds know. */
const generic = (namespaced: boolean, name: NameCheck, body: (object: Any, errors: FieldErrors) => void): Validation => ({
  validate(object, errors) {
    genericMeta(object, namespaced, name, errors);
    body(object, errors);
  },
  validateUpdate(object, old, errors) {
    objectMetaUpdate(object, old, errors);
    body(object, errors);
  },
  validateStatusUpdate: objectMetaUpdate,
});

let cel: typeof import("./expressions.ts") | undefined;

/** Loads what compiles expressions; the kinds that have some wait for it before they are validated. */
export async function loadExpressions(verb: string): Promise<void> {
  if (verb === "create" || verb === "update" || verb === "patch") cel ??= await loaded(import("./expressions.ts"));
}

const OPERATIONS = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
const SCOPES = ["*", "Cluster", "Namespaced"];
const REVIEW_VERSIONS = ["v1", "v1beta1"];

/** Follows validateRule of resource rules: groups, versions, resources, scope. */
function rule({ apiGroups = [], apiVersions = [], resources = [], scope }: Any, path: string, subresources: boolean, errors: FieldErrors): void {
  const lists: readonly (readonly [string, string, string[], boolean])[] = [["apiGroups", "API groups", apiGroups, true], ["apiVersions", "API versions", apiVersions, false]];
  for (const [field, shown, values, emptyAllowed] of lists) {
    if (values.length === 0) errors.required(`${path}.${field}`);
    if (values.length > 1 && values.includes("*")) errors.invalid(`${path}.${field}`, values, `if '*' is present, must not specify other ${shown}`);
    if (emptyAllowed) continue;
    values.forEach((value, i) => {
      if (value === "") errors.required(`${path}.${field}[${i}]`);
    });
  }
  if (subresources) ruleResources(resources, path, errors);
  else {
    if (resources.length === 0) errors.required(`${path}.resources`);
    resources.forEach((value: string, i: number) => {
      if (value === "") errors.required(`${path}.resources[${i}]`);
    });
    if (resources.length > 1 && resources.includes("*")) errors.invalid(`${path}.resources`, resources, "if '*' is present, must not specify other resources");
  }
  if (scope !== undefined) oneOf(scope, SCOPES, `${path}.scope`, errors);
}

/** Follows validateResources. */
function ruleResources(resources: readonly string[], path: string, errors: FieldErrors): void {
  const at = `${path}.resources`;
  if (resources.length === 0) errors.required(at);
  const withAll = new Set<string>();
  const ofAll = new Set<string>();
  const whole = resources.includes("*/*");
  resources.forEach((value, i) => {
    if (value === "") errors.required(`${at}[${i}]`);
    const [resource = "", sub] = value.split("/");
    if (sub === undefined) return;
    if (withAll.has(resource)) errors.invalid(`${at}[${i}]`, value, `if '${resource}/*' is present, must not specify ${value}`);
    if (ofAll.has(sub)) errors.invalid(`${at}[${i}]`, value, `if '*/${sub}' is present, must not specify ${value}`);
    if (sub === "*") withAll.add(resource);
    if (resource === "*") ofAll.add(sub);
  });
  if (resources.length > 1 && whole) errors.invalid(at, resources, "if '*/*' is present, must not specify other resources");
  if (resources.includes("*") && resources.some((value) => value !== "*" && !value.includes("/")))
    errors.invalid(at, resources, "if '*' is present, must not specify other resources without subresources");
}

function ruleWithOperations(value: Any, path: string, subresources: boolean, errors: FieldErrors): void {
  const operations: string[] = value.operations ?? [];
  if (operations.length === 0) errors.required(`${path}.operations`);
  if (operations.length > 1 && operations.includes("*")) errors.invalidGo(`${path}.operations`, `[]admissionregistration.OperationType{${operations.map((o) => JSON.stringify(o)).join(", ")}}`, "if '*' is present, must not specify other operations");
  operations.forEach((operation, i) => oneOf(operation, OPERATIONS, `${path}.operations[${i}]`, errors));
  rule(value, path, subresources, errors);
}

function matchConditions(conditions: readonly Any[], scope: Scope, path: string, errors: FieldErrors): void {
  if (conditions.length > 64) errors.tooMany(path, conditions.length, 64);
  const names = new Set<string>();
  conditions.forEach(({ name = "", expression: source = "" }, i) => {
    const at = `${path}[${i}]`;
    if (source.trim() === "") errors.required(`${at}.expression`);
    else cel!.expression(source.trim(), scope, "bool", `${at}.expression`, errors);
    if (name === "") errors.required(`${at}.name`);
    else {
      errors.invalidAll(`${at}.name`, name, qualifiedName(name));
      if (names.has(name)) errors.duplicate(`${at}.name`, name);
      names.add(name);
    }
  });
}

/** Follows webhook.ValidateWebhookURL and ValidateWebhookService of k8s.io/apiserver. */
export function webhookClient(client: Any, path: string, errors: FieldErrors): void {
  const { url, service } = client ?? {};
  if ((url === undefined) === (service === undefined)) return errors.required(path, "exactly one of url or service is required");
  if (url !== undefined) webhookURL(url, `${path}.url`, errors);
  else {
    const at = `${path}.service`;
    // Upstream hands the two over in the wrong order: each is missed by the other's name.
    if ((service.namespace ?? "") === "") errors.required(`${at}.name`, "service name is required");
    if ((service.name ?? "") === "") errors.required(`${at}.namespace`, "service namespace is required");
    const port = service.port ?? 443;
    if (port < 1 || port > 65535) errors.invalid(`${at}.port`, port, "port is not valid: must be between 1 and 65535, inclusive");
    if (service.path === undefined) return;
    const text: string = service.path;
    if (text === "/") return;
    if (text === "//") return errors.invalid(`${at}.path`, text, "segment[0] may not be empty");
    if (!text.startsWith("/")) errors.invalid(`${at}.path`, text, "must start with a '/'");
    const steps = text.replace(/^\//, "").replace(/\/$/, "").split("/");
    steps.forEach((step, i) => {
      if (step === "") errors.invalid(`${at}.path`, text, `segment[${i}] may not be empty`);
      else for (const problem of dnsSubdomain(step)) errors.invalid(`${at}.path`, text, `segment[${i}]: ${problem}`);
    });
  }
}

function webhookURL(url: string, path: string, errors: FieldErrors): void {
  const form = "; desired format: https://host[/path]";
  const m = /^([a-zA-Z][-+.a-zA-Z0-9]*:)?(?:\/\/([^/?#]*))?([^?#]*)(\?[^#]*)?(#.*)?$/.exec(url);
  if (m === null || /[\s]/.test(url)) return errors.invalid(path, url, `url must be a valid URL: parse ${JSON.stringify(url)}: invalid character${form}`);
  const [, scheme = "", authority = "", , query = "", fragment = ""] = m;
  if (scheme !== "https:") errors.invalid(path, scheme.replace(/:$/, ""), `'https' is the only allowed URL scheme${form}`);
  if (authority.replace(/^[^@]*@/, "") === "") errors.invalid(path, "", `host must be specified${form}`);
  if (authority.includes("@")) errors.invalid(path, authority.slice(0, authority.indexOf("@")), "user information is not permitted in the URL");
  if (fragment !== "") errors.invalid(path, fragment.slice(1), "fragments are not permitted in the URL");
  if (query !== "") errors.invalid(path, query.slice(1), "query parameters are not permitted in the URL");
}

function webhook(hook: Any, mutating: boolean, path: string, errors: FieldErrors): void {
  fullyQualifiedName(hook.name ?? "", `${path}.name`, errors);
  (hook.rules ?? []).forEach((value: Any, i: number) => ruleWithOperations(value, `${path}.rules[${i}]`, true, errors));
  if (hook.failurePolicy !== undefined) oneOf(hook.failurePolicy, ["Fail", "Ignore"], `${path}.failurePolicy`, errors);
  if (hook.matchPolicy !== undefined) oneOf(hook.matchPolicy, ["Equivalent", "Exact"], `${path}.matchPolicy`, errors);
  if (hook.sideEffects === undefined) errors.required(`${path}.sideEffects`, "must specify one of None, NoneOnDryRun");
  else oneOf(hook.sideEffects, ["None", "NoneOnDryRun"], `${path}.sideEffects`, errors);
  const timeout = hook.timeoutSeconds;
  if (timeout !== undefined && (timeout > 30 || timeout < 1)) errors.invalid(`${path}.timeoutSeconds`, timeout, "the timeout value must be between 1 and 30 seconds");
  labelSelector(hook.namespaceSelector, `${path}.namespaceSelector`, errors);
  labelSelector(hook.objectSelector, `${path}.objectSelector`, errors);
  if (mutating && hook.reinvocationPolicy !== undefined) oneOf(hook.reinvocationPolicy, ["IfNeeded", "Never"], `${path}.reinvocationPolicy`, errors);
  webhookClient(hook.clientConfig, `${path}.clientConfig`, errors);
  matchConditions(hook.matchConditions ?? [], cel!.admissionScope(false), `${path}.matchConditions`, errors);
}

/** Follows validateAdmissionReviewVersions. */
function reviewVersions(versions: readonly string[], path: string, errors: FieldErrors): void {
  const known = REVIEW_VERSIONS.join(", ");
  if (versions.length < 1) return errors.required(path, `must specify one of ${known}`);
  const seen = new Set<string>();
  versions.forEach((version, i) => {
    if (seen.has(version)) errors.invalid(`${path}[${i}]`, version, "duplicate version");
    seen.add(version);
    errors.invalidAll(`${path}[${i}]`, version, dns1035(version));
  });
  if (!versions.some((version) => REVIEW_VERSIONS.includes(version)))
    errors.invalid(path, versions, `must include at least one of ${known}`);
}

const webhooks = (mutating: boolean): Validation => generic(false, dnsSubdomain, (o, errors) => {
  const names = new Set<string>();
  (o.webhooks ?? []).forEach((hook: Any, i: number) => {
    const path = `webhooks[${i}]`;
    webhook(hook, mutating, path, errors);
    reviewVersions(hook.admissionReviewVersions ?? [], `${path}.admissionReviewVersions`, errors);
    const name = hook.name ?? "";
    if (name === "") return;
    if (names.has(name)) errors.duplicate(`${path}.name`, name);
    names.add(name);
  });
});

export const mutatingWebhookConfiguration = webhooks(true);
export const validatingWebhookConfiguration = webhooks(false);

/** Follows validateMatchResources. */
function matchResources(match: Any, path: string, errors: FieldErrors): void {
  if (match.matchPolicy === undefined) errors.required(`${path}.matchPolicy`);
  else oneOf(match.matchPolicy, ["Equivalent", "Exact"], `${path}.matchPolicy`, errors);
  if (match.namespaceSelector === undefined) errors.required(`${path}.namespaceSelector`);
  else labelSelector(match.namespaceSelector, `${path}.namespaceSelector`, errors);
  if (match.objectSelector === undefined) errors.required(`${path}.objectSelector`);
  else labelSelector(match.objectSelector, `${path}.objectSelector`, errors);
  for (const field of ["resourceRules", "excludeResourceRules"])
    (match[field] ?? []).forEach((value: Any, i: number) => {
      const at = `${path}.${field}[${i}]`;
      ruleWithOperations(value, at, true, errors);
      const names: string[] = value.resourceNames ?? [];
      names.forEach((name, j) => {
        if (name === "") errors.invalid(`${at}.resourceNames[${j}]`, name, "must not be empty");
        if (names.indexOf(name) < j) errors.duplicate(`${at}.resourceNames[${j}]`, name);
      });
    });
}

const IDENTIFIER = /^[_a-zA-Z][_a-zA-Z0-9]*$/;
const RESERVED = new Set(["true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package", "namespace", "return", "var", "void", "while"]);
const REASONS = ["Forbidden", "Invalid", "RequestEntityTooLarge"];

export const validatingAdmissionPolicy: Validation = generic(false, dnsSubdomain, (o, errors) => {
  const { spec } = o;
  if (spec.failurePolicy === undefined) errors.required("spec.failurePolicy");
  else oneOf(spec.failurePolicy, ["Fail", "Ignore"], "spec.failurePolicy", errors);
  if (spec.paramKind !== undefined) paramKind(spec.paramKind, "spec.paramKind", errors);
  if (spec.matchConstraints === undefined) errors.required("spec.matchConstraints");
  else {
    matchResources(spec.matchConstraints, "spec.matchConstraints", errors);
    if ((spec.matchConstraints.resourceRules ?? []).length === 0) errors.required("spec.matchConstraints.resourceRules");
  }
  const scope = cel!.admissionScope(spec.paramKind !== undefined);
  matchConditions(spec.matchConditions ?? [], scope, "spec.matchConditions", errors);
  const named = cel!.variablesOf(scope);
  const variables = new Set<string>();
  (spec.variables ?? []).forEach(({ name = "", expression: source = "" }: Any, i: number) => {
    const at = `spec.variables[${i}]`;
    if (name.trim() === "") errors.required(`${at}.name`, "name is not specified");
    else if (!IDENTIFIER.test(name) || RESERVED.has(name)) errors.invalid(`${at}.name`, name, "name is not a valid CEL identifier");
    if (source.trim() === "") errors.required(`${at}.expression`, "expression is not specified");
    else named.set(name, { type: cel!.expression(source.trim(), scope, "any", `${at}.expression`, errors), maxElements: 0, minSize: 0 });
    if (name !== "" && variables.has(name)) errors.duplicate(`${at}.name`, name);
    variables.add(name);
  });
  const [validations, annotations]: [Any[], Any[]] = [spec.validations ?? [], spec.auditAnnotations ?? []];
  if (validations.length === 0 && annotations.length === 0) {
    errors.required("spec.validations", "validations or auditAnnotations must contain at least one item");
    errors.required("spec.auditAnnotations", "validations or auditAnnotations must contain at least one item");
    return;
  }
  validations.forEach((validation, i) => policyRule(validation, scope, `spec.validations[${i}]`, errors));
  if (annotations.length > 20) errors.tooMany("spec.auditAnnotations", annotations.length, 20);
  const keys = new Set<string>();
  annotations.forEach(({ key = "", valueExpression = "" }, i) => {
    const at = `spec.auditAnnotations[${i}]`;
    const whole = `${o.metadata.name}/${key}`;
    errors.invalidAll(`${at}.key`, whole, key === "" ? [] : qualifiedName(whole));
    if (key === "") errors.required(`${at}.key`);
    if (keys.has(key)) errors.duplicate(`${at}.key`, key);
    keys.add(key);
    if (valueExpression.trim() === "") errors.required(`${at}.valueExpression`, "valueExpression is not specified");
    else if (valueExpression.trim().length > 5120) errors.tooLong(`${at}.valueExpression`, 5120);
    else cel!.expression(valueExpression.trim(), scope, "annotation", `${at}.valueExpression`, errors);
  });
});

function policyRule({ expression: source = "", messageExpression = "", message = "", reason }: Any, scope: Scope, path: string, errors: FieldErrors): void {
  const [rule, text, said] = [source.trim(), message.trim(), messageExpression.trim()];
  if (rule === "") errors.required(`${path}.expression`, "expression is not specified");
  else cel!.expression(rule, scope, "bool", `${path}.expression`, errors);
  if (messageExpression !== "" && said === "") errors.invalid(`${path}.messageExpression`, messageExpression, "must be non-empty if specified");
  else if (said !== "") cel!.expression(said, scope, "string", `${path}.messageExpression`, errors);
  if (message !== "" && text === "") errors.invalid(`${path}.message`, message, "message must be non-empty if specified");
  else if (text.includes("\n")) errors.invalid(`${path}.message`, message, "message must not contain line breaks");
  else if (rule.includes("\n") && text === "") errors.required(`${path}.message`, "message must be specified if expression contains line breaks");
  if (reason !== undefined) oneOf(reason, REASONS, `${path}.reason`, errors);
}

function paramKind({ apiVersion = "", kind = "" }: Any, path: string, errors: FieldErrors): void {
  if (apiVersion === "") errors.required(`${path}.apiVersion`);
  else if (apiVersion.split("/").length > 2) errors.invalid(`${path}.apiVersion`, apiVersion, `unexpected GroupVersion string: ${apiVersion}`);
  else {
    const slash = apiVersion.indexOf("/");
    const [group, version] = slash < 0 ? ["", apiVersion] : [apiVersion.slice(0, slash), apiVersion.slice(slash + 1)];
    if (group !== "") {
      const problems = dnsSubdomain(group);
      if (problems.length > 0) errors.invalid(`${path}.apiVersion`, group, problems.join(","));
    }
    const problems = dns1035(version);
    if (problems.length > 0) errors.invalid(`${path}.apiVersion`, version, problems.join(","));
  }
  if (kind === "") errors.required(`${path}.kind`);
  else {
    const problems = dns1035(kind.toLowerCase());
    if (problems.length > 0) errors.invalid(`${path}.kind`, kind, `may have mixed case, but should otherwise match: ${problems.join(",")}`);
  }
}

export const validatingAdmissionPolicyBinding: Validation = generic(false, dnsSubdomain, ({ spec }, errors) => {
  const policy: string = spec.policyName ?? "";
  if (policy === "") errors.required("spec.policyName");
  else named(policy, dnsSubdomain, "spec.policyName", errors);
  if (spec.paramRef !== undefined) {
    const { name = "", selector, parameterNotFoundAction: action } = spec.paramRef;
    const at = "spec.paramRef";
    if (name !== "") errors.invalidAll(`${at}.name`, name, pathSegment(name));
    if (name !== "" && selector !== undefined) {
      errors.forbidden(`${at}.name`, "name and selector are mutually exclusive");
      errors.forbidden(`${at}.selector`, "name and selector are mutually exclusive");
    }
    labelSelector(selector, `${at}.selector`, errors);
    if (name === "" && selector === undefined) errors.required(at, "one of name or selector must be specified");
    if (action === undefined || action === "") errors.required(`${at}.parameterNotFoundAction`);
    else oneOf(action, ["Deny", "Allow"], `${at}.parameterNotFoundAction`, errors);
  }
  if (spec.matchResources !== undefined) matchResources(spec.matchResources, "spec.matchResources", errors);
  const actions: string[] = spec.validationActions ?? [];
  if (actions.length === 0) return errors.required("spec.validationActions", "at least one validation action is required");
  actions.forEach((action, i) => {
    const at = `spec.validationActions[${i}]`;
    oneOf(action, ["Audit", "Deny", "Warn"], at, errors);
    if (actions.indexOf(action) < i) errors.duplicate(at, action);
  });
  if (actions.includes("Deny") && actions.includes("Warn"))
    errors.invalidGo("spec.validationActions", `[]admissionregistration.ValidationAction{${actions.map((a) => JSON.stringify(a)).join(", ")}}`, "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)");
});
