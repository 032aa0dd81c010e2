/**
 * CEL about a request: the variables of policies and match conditions, and their evaluation. Follows
 * k8s.io/apiserver/pkg/admission/plugin/cel (compile.go, condition.go, composition.go) and pkg/cel/library/authz.go.
 */
import type { KubeObject } from "../../../apimachinery/meta.ts";
import type { UserInfo } from "../../../client/transport.ts";
import { evaluationProblem } from "../../crd/cel/compile.ts";
import { CelError, celEnvironment } from "../../crd/cel/library.ts";
import { EvaluationError } from "@marcbachmann/cel-js";
import type { AdmissionContext, AdmissionRequest } from "../../extension.ts";
import { decideAccess } from "../authorization.ts";
import type { Decision } from "../rbac.ts";

/** A failure in cel-go's words. */
export { CelError };

/** What expressions of one request see. */
export interface Activation {
  readonly values: Readonly<Record<string, unknown>>;
  /** Answers of the authorizer that have been fetched. */
  readonly asked: Map<string, Decision>;
}

/** Evaluates; throws {@link CelError}. What it asks the authorizer is fetched, and it is evaluated again with the answer. */
export async function evaluate(source: string, { values, asked }: Activation, context: Pick<AdmissionContext, "storage">): Promise<unknown> {
  while (true) {
    try {
      return run(source, values);
    } catch (e) {
      if (!(e instanceof Unasked)) throw e;
      asked.set(e.key, await decideAccess(context.storage, e.attributes));
    }
  }
}

function run(source: string, values: Readonly<Record<string, unknown>>): unknown {
  let program = programs.get(source);
  if (program === undefined) {
    if (programs.size >= PROGRAMS_MAX) programs.clear();
    programs.set(source, (program = environment().parse(source)));
  }
  try {
    return program(values as Record<string, unknown>);
  } catch (e) {
    for (let cause: unknown = e; cause instanceof Error; cause = cause.cause) if (cause instanceof CelError || cause instanceof Unasked) throw cause;
    throw new CelError(e instanceof EvaluationError || e instanceof Error ? evaluationProblem(e) : "unknown error");
  }
}
type Program = (values: Record<string, unknown>) => unknown;
const programs = new Map<string, Program>();
const PROGRAMS_MAX = 1000;

/** The variables of a request; `params` where the policy has a kind of them. */
export async function activationOf(request: AdmissionRequest, context: AdmissionContext, params?: KubeObject | null): Promise<Activation> {
  const { descriptor, subresource, operation, namespace, name, dryRun, user, object, old } = request;
  const { group, version, kind, resource, namespaced } = descriptor.name;
  const kinds = { group, version, kind };
  const resources = { group, version, resource };
  const asked = new Map<string, Decision>();
  const space = namespaced ? await context.find("namespaces", "", namespace) : undefined;
  const values: Record<string, unknown> = {
    object: toCel(object ?? null),
    oldObject: toCel(old ?? null),
    request: toCel({
      kind: kinds, resource: resources, subResource: subresource, requestKind: kinds, requestResource: resources, requestSubResource: subresource, name, namespace, operation,
      userInfo: { username: user.name, ...(user.uid === undefined ? {} : { uid: user.uid }), groups: [...user.groups], ...(user.extra === undefined ? {} : { extra: user.extra }) }, dryRun,
    }),
    namespaceObject: toCel(space ?? null),
    authorizer: new Authorizer(user, asked),
    ...(params === undefined ? {} : { params: toCel(params) }),
  };
  (values["authorizer"] as Authorizer).own = new ResourceCheck(user, asked, { apiGroup: group, apiVersion: version, resource, subresource, namespace, name });
  values["authorizer.requestResource"] = (values["authorizer"] as Authorizer).own;
  return { values, asked };
}

/** With `variables`, each evaluated when it is first named. Follows composition.go. */
export function withVariables(activation: Activation, variables: readonly { readonly name: string; readonly expression: string }[]): Activation {
  const composed: Record<string, unknown> = {};
  const values = { ...activation.values, variables: composed };
  for (const { name, expression } of variables) {
    let known: { readonly value: unknown } | { readonly problem: CelError } | undefined;
    Object.defineProperty(composed, name, {
      enumerable: true,
      get(): unknown {
        if (known === undefined) {
          try {
            known = { value: run(expression, values) };
          } catch (e) {
            if (!(e instanceof CelError)) throw e;
            known = { problem: new CelError(`composited variable ${JSON.stringify(name)} fails to evaluate: ${e.message}`) };
          }
        }
        if ("problem" in known) throw known.problem;
        return known.value;
      },
    });
  }
  return { values, asked: activation.asked };
}

/** JSON as expressions see it: whole numbers are ints. */
function toCel(value: unknown): unknown {
  if (typeof value === "number") return Number.isInteger(value) ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map(toCel);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).filter(([, of]) => of !== undefined).map(([key, of]) => [key, toCel(of)]));
}

interface About {
  readonly apiGroup: string;
  readonly apiVersion: string;
  readonly resource: string;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
}

/** The authorizer has to be asked before the expression can go on. */
class Unasked extends Error {
  readonly key: string;
  readonly attributes: Parameters<typeof decideAccess>[1];

  constructor(key: string, attributes: Parameters<typeof decideAccess>[1]) {
    super("the authorizer has not been asked yet");
    this.key = key;
    this.attributes = attributes;
  }
}

function decided(user: UserInfo, asked: Map<string, Decision>, verb: string, path: string, about: About): Answer {
  const attributes = { user, verb, path, ...about, fieldSelector: "" };
  const key = JSON.stringify([user.name, user.groups, verb, path, about]);
  const decision = asked.get(key);
  if (decision === undefined) throw new Unasked(key, attributes);
  return new Answer(decision);
}

const NOTHING: About = { apiGroup: "", apiVersion: "*", resource: "", subresource: "", namespace: "", name: "" };

class Authorizer {
  readonly user: UserInfo;
  readonly asked: Map<string, Decision>;
  own: ResourceCheck | undefined;

  constructor(user: UserInfo, asked: Map<string, Decision>) {
    this.user = user;
    this.asked = asked;
  }
}

class PathCheck {
  readonly of: Authorizer;
  readonly path: string;

  constructor(of: Authorizer, path: string) {
    this.of = of;
    this.path = path;
  }
}

class GroupCheck {
  readonly of: Authorizer;
  readonly group: string;

  constructor(of: Authorizer, group: string) {
    this.of = of;
    this.group = group;
  }
}

class ResourceCheck {
  readonly user: UserInfo;
  readonly asked: Map<string, Decision>;
  readonly about: About;

  constructor(user: UserInfo, asked: Map<string, Decision>, about: About) {
    this.user = user;
    this.asked = asked;
    this.about = about;
  }

  with(change: Partial<About>): ResourceCheck {
    return new ResourceCheck(this.user, this.asked, { ...this.about, ...change });
  }
}

class Answer {
  readonly decision: Decision;

  constructor(decision: Decision) {
    this.decision = decision;
  }
}

let env: ReturnType<typeof celEnvironment> | undefined;

/** The environment of rules with the authorizer's library in it. */
function environment(): ReturnType<typeof celEnvironment> {
  if (env !== undefined) return env;
  env = celEnvironment().clone();
  for (const [name, type] of [["kubernetes.authorization.Authorizer", Authorizer], ["kubernetes.authorization.PathCheck", PathCheck], ["kubernetes.authorization.GroupCheck", GroupCheck],
    ["kubernetes.authorization.ResourceCheck", ResourceCheck], ["kubernetes.authorization.Decision", Answer]] as const) env.registerType(name, type);
  const K = "kubernetes.authorization.";
  const add = (signature: string, body: (...args: never[]) => unknown): void => void env!.registerFunction(signature, body as (...args: unknown[]) => unknown);
  add(`${K}Authorizer.path(string): ${K}PathCheck`, (of: Authorizer, path: string) => new PathCheck(of, path));
  add(`${K}PathCheck.check(string): ${K}Decision`, ({ of, path }: PathCheck, verb: string) => decided(of.user, of.asked, verb, path, NOTHING));
  add(`${K}Authorizer.group(string): ${K}GroupCheck`, (of: Authorizer, group: string) => new GroupCheck(of, group));
  add(`${K}Authorizer.serviceAccount(string, string): ${K}Authorizer`, (of: Authorizer, namespace: string, name: string) =>
    new Authorizer({ name: `system:serviceaccount:${namespace}:${name}`, groups: ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"] }, of.asked));
  add(`${K}GroupCheck.resource(string): ${K}ResourceCheck`, ({ of, group }: GroupCheck, resource: string) => new ResourceCheck(of.user, of.asked, { ...NOTHING, apiGroup: group, resource }));
  add(`${K}ResourceCheck.subresource(string): ${K}ResourceCheck`, (check: ResourceCheck, subresource: string) => check.with({ subresource }));
  add(`${K}ResourceCheck.namespace(string): ${K}ResourceCheck`, (check: ResourceCheck, namespace: string) => check.with({ namespace }));
  add(`${K}ResourceCheck.name(string): ${K}ResourceCheck`, (check: ResourceCheck, name: string) => check.with({ name }));
  add(`${K}ResourceCheck.check(string): ${K}Decision`, ({ user, asked, about }: ResourceCheck, verb: string) => decided(user, asked, verb, "", about));
  add(`${K}Decision.allowed(): bool`, ({ decision }: Answer) => decision.allowed);
  add(`${K}Decision.reason(): string`, ({ decision }: Answer) => decision.reason);
  add(`${K}Decision.errored(): bool`, () => false);
  add(`${K}Decision.error(): string`, () => "");
  return env;
}
