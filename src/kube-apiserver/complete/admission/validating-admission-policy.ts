/**
 * ValidatingAdmissionPolicy: policies in CEL, where bindings put them to work. Follows
 * k8s.io/apiserver/pkg/admission/plugin/policy/validating (dispatcher.go, validator.go, plugin.go) and policy/generic.
 */
import type { ParamKind, ParamRef, Validation, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding } from "../../../api/types.generated.ts";
import { ALL_RESOURCES } from "../../../api/more-resources.ts";
import { apiVersionOf } from "../../../api/resources.ts";
import type { KubeObject } from "../../../apimachinery/meta.ts";
import { labelSelector, matches } from "../../../apimachinery/selectors.ts";
import type { ApiError } from "../../../apimachinery/status.ts";
import { loaded } from "../../../time/loading.ts";
import type { AdmissionContext, AdmissionRequest } from "../../extension.ts";
import { isMeant } from "./matching.ts";
import { forbidden, type AdmissionPlugin } from "./types.ts";

type Policy = ValidatingAdmissionPolicy & KubeObject;
type Binding = ValidatingAdmissionPolicyBinding & KubeObject;
type Cel = typeof import("./expressions.ts");

/** A validation that said no, or that could not be asked. */
interface Denial {
  readonly message: string;
  readonly reason: string;
}

const CODES: Readonly<Record<string, number>> = { Unauthorized: 401, Forbidden: 403, Invalid: 422, RequestEntityTooLarge: 413 };
/** No policy stands between an administrator and the policies. */
const EXEMPT = new Set(["validatingadmissionpolicies", "validatingadmissionpolicybindings", "mutatingadmissionpolicies", "mutatingadmissionpolicybindings"]);

export const validatingAdmissionPolicy: AdmissionPlugin = {
  name: "ValidatingAdmissionPolicy",
  deletions: true,
  async validate(request, context) {
    const { group, resource } = request.descriptor.name;
    if (group === "admissionregistration.k8s.io" && EXEMPT.has(resource)) return;
    const bindings = (await context.list("validatingadmissionpolicybindings", "")) as unknown as readonly Binding[];
    if (bindings.length === 0) return;
    const policies = (await context.list("validatingadmissionpolicies", "")) as unknown as readonly Policy[];
    let refusal: ApiError | undefined;
    for (const policy of policies) {
      const own = bindings.filter(({ spec }) => spec?.policyName === policy.metadata.name);
      if (own.length === 0 || !(await isMeant(policy.spec?.matchConstraints, request, context))) continue;
      for (const binding of own) {
        if (!(await isMeant(binding.spec?.matchResources, request, context))) continue;
        for (const denial of await denialsOf(policy, binding, request, context)) {
          const actions = binding.spec?.validationActions ?? [];
          if (actions.includes("Warn")) request.warn(`Validation failed for ValidatingAdmissionPolicy '${policy.metadata.name}' with binding '${binding.metadata.name}': ${denial.message}`);
          if (actions.includes("Deny")) refusal ??= refusalOf(request, policy, binding, denial);
        }
      }
    }
    if (refusal !== undefined) throw refusal;
  },
};

function refusalOf(request: AdmissionRequest, policy: Policy, binding: Binding, { message, reason }: Denial): ApiError {
  const text = `ValidatingAdmissionPolicy '${policy.metadata.name}' with binding '${binding.metadata.name}' denied request: ${message}`;
  const error = forbidden(request, text);
  error.status.reason = reason;
  error.status.code = CODES[reason] ?? 422;
  error.status.details!.causes = [{ message: text }];
  return error;
}

async function denialsOf(policy: Policy, binding: Binding, request: AdmissionRequest, context: AdmissionContext): Promise<Denial[]> {
  // What evaluates is loaded with the first policy.
  const cel = await loaded(import("./expressions.ts"));
  const { paramKind, failurePolicy = "Fail" } = policy.spec ?? {};
  const failed = (message: string): Denial[] => (failurePolicy === "Ignore" ? [] : [{ message, reason: "Invalid" }]);
  if (paramKind === undefined) return judge(cel, policy, request, context, undefined, failed);
  const found = binding.spec?.paramRef === undefined ? [null] : await paramsOf(paramKind, binding.spec.paramRef, request, context);
  if (typeof found === "string") return failed(`failed to configure binding: ${found}`);
  const out: Denial[] = [];
  for (const params of found) out.push(...(await judge(cel, policy, request, context, params, failed)));
  return out;
}

/** The objects that are judged by, each for itself; a text: why there are none. Follows generic.CollectParams. */
async function paramsOf({ apiVersion, kind }: ParamKind, ref: ParamRef, request: AdmissionRequest, context: AdmissionContext): Promise<readonly (KubeObject | null)[] | string> {
  const known = builtIn().get(`${apiVersion}/${kind}`) ?? (await declared(apiVersion ?? "", kind ?? "", context));
  if (known === undefined) return `failed to find resource referenced by paramKind: '${apiVersion}, Kind=${kind}'`;
  const { namespaced } = known;
  const namespace = !namespaced ? "" : (ref.namespace ?? "") !== "" ? ref.namespace! : request.namespace;
  if (namespaced && namespace === "") return "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources";
  if (!namespaced && (ref.namespace ?? "") !== "") return "paramRef.namespace must not be provided for a cluster-scoped `paramKind`";
  const missing = (): readonly null[] | string => (ref.parameterNotFoundAction === "Allow" ? [] : "no params found for policy binding with `Deny` parameterNotFoundAction");
  if ((ref.name ?? "") !== "") {
    const one = await known.find(namespace, ref.name!, context);
    return one === undefined ? missing() : [one];
  }
  const selector = labelSelector(ref.selector);
  const all = (await known.list(namespace, context)).filter(({ metadata }) => matches(selector, metadata.labels ?? {}));
  return all.length === 0 ? missing() : all;
}

/** A kind of parameters: where they are. */
interface ParamSource {
  readonly namespaced: boolean;
  find(namespace: string, name: string, context: AdmissionContext): Promise<KubeObject | undefined>;
  list(namespace: string, context: AdmissionContext): Promise<readonly KubeObject[]>;
}

/** The server's own kinds, by apiVersion and kind. */
const builtIn = (): ReadonlyMap<string, ParamSource> => (byKind ??= new Map(Object.values(ALL_RESOURCES).map((name): [string, ParamSource] => [`${apiVersionOf(name)}/${name.kind}`, {
  namespaced: name.namespaced,
  find: (namespace, one, context) => context.find(name.resource, namespace, one),
  list: (namespace, context) => context.list(name.resource, namespace),
}])));
let byKind: ReadonlyMap<string, ParamSource> | undefined;

type Definition = KubeObject & { spec?: { group?: string; scope?: string; names?: { kind?: string; plural?: string } } };

/** A kind that a CustomResourceDefinition declares; its objects are stored as crd/resource.ts has them. */
async function declared(apiVersion: string, kind: string, context: AdmissionContext): Promise<ParamSource | undefined> {
  const [group = ""] = apiVersion.split("/");
  const found = ((await context.list("customresourcedefinitions", "")) as readonly Definition[]).find(({ spec }) => spec?.group === group && spec.names?.kind === kind);
  if (found === undefined) return undefined;
  const namespaced = found.spec!.scope === "Namespaced";
  const at = (namespace: string): string => `/registry/${group}/${found.spec!.names!.plural!}/${namespaced ? `${namespace}/` : ""}`;
  return {
    namespaced,
    find: async (namespace, name) => (await context.storage.get(at(namespace) + name))?.value,
    list: async (namespace) => (await context.storage.range(at(namespace))).items.map(({ value }) => value),
  };
}

/** Follows validator.Validate: conditions, then each validation. */
async function judge(cel: Cel, { spec }: Policy, request: AdmissionRequest, context: AdmissionContext, params: KubeObject | null | undefined, failed: (message: string) => Denial[]): Promise<Denial[]> {
  const plain = await cel.activationOf(request, context, params);
  const problems: string[] = [];
  for (const { name, expression } of spec?.matchConditions ?? []) {
    try {
      if ((await cel.evaluate(expression, plain, context)) !== true) return [];
    } catch (e) {
      if (!(e instanceof cel.CelError)) throw e;
      problems.push(`matchConditions[${JSON.stringify(name)}] resulted in error: ${e.message}`);
    }
  }
  if (problems.length > 0) return failed(problems.join(", "));
  const activation = cel.withVariables(plain, spec?.variables ?? []);
  const out: Denial[] = [];
  for (const validation of spec?.validations ?? []) {
    try {
      if ((await cel.evaluate(validation.expression, activation, context)) === true) continue;
    } catch (e) {
      if (!(e instanceof cel.CelError)) throw e;
      out.push(...failed(`expression '${validation.expression}' resulted in error: ${e.message}`));
      continue;
    }
    out.push({ message: await messageOf(cel, validation, activation, context), reason: validation.reason ?? "Invalid" });
  }
  return out;
}

/** The message that is computed, if that gives one line of text; else the given one; else the expression. */
async function messageOf(cel: Cel, { expression, message = "", messageExpression = "" }: Validation, activation: import("./expressions.ts").Activation, context: AdmissionContext): Promise<string> {
  if (messageExpression !== "") {
    try {
      const text = await cel.evaluate(messageExpression, activation, context);
      if (typeof text === "string" && text.trim() !== "" && text.length <= MESSAGE_MAX && !text.includes("\n")) return text.trim();
    } catch (e) {
      if (!(e instanceof cel.CelError)) throw e;
    }
  }
  return message.trim() === "" ? `failed expression: ${expression.trim()}` : message.trim();
}
/** Bytes of a computed message. */
const MESSAGE_MAX = 5 * 1024;
