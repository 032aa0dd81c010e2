/**
 * Which flow schema a request falls under, and its priority level, for the headers that say so. Nothing is queued or refused by them.
 * Follows k8s.io/apiserver/pkg/util/flowcontrol (rule.go: matchesFlowSchema) and pkg/server/filters/priority-and-fairness.go.
 */
import type { KubeObject } from "../../apimachinery/meta.ts";
import type { ApiTransport, UserInfo, WatchEvent } from "../../client/transport.ts";
import { isLongRunning } from "./attributes.ts";
import type { Attributes } from "./attributes.ts";

interface Subject {
  readonly kind: string;
  readonly user?: { readonly name: string };
  readonly group?: { readonly name: string };
  readonly serviceAccount?: { readonly namespace: string; readonly name: string };
}

interface Rule {
  readonly subjects?: readonly Subject[];
  readonly resourceRules?: readonly { readonly verbs: readonly string[]; readonly apiGroups: readonly string[]; readonly resources: readonly string[]; readonly clusterScope?: boolean; readonly namespaces?: readonly string[] }[];
  readonly nonResourceRules?: readonly { readonly verbs: readonly string[]; readonly nonResourceURLs: readonly string[] }[];
}

interface FlowSchema extends KubeObject {
  readonly spec: { readonly priorityLevelConfiguration: { readonly name: string }; readonly matchingPrecedence: number; readonly rules?: readonly Rule[] };
}

const GROUP = "/apis/flowcontrol.apiserver.k8s.io/v1";

/** Says the headers of a request; the schemas are read when first asked, and watched. */
export function classifier(): (attributes: Attributes, handle: ApiTransport) => Promise<Readonly<Record<string, string>>> {
  let schemas: readonly FlowSchema[] | undefined;
  const levels = new Map<string, string>();
  const read = async <T extends KubeObject>(handle: ApiTransport, resource: string, stop: AbortController): Promise<readonly T[]> => {
    const { body } = await handle({ method: "GET", path: `${GROUP}/${resource}` });
    const { items = [], metadata } = body as { items?: readonly T[]; metadata: { resourceVersion: string } };
    const { stream } = await handle({ method: "GET", path: `${GROUP}/${resource}?watch=true&resourceVersion=${metadata.resourceVersion}` }, stop.signal);
    void forget(stream, stop);
    return items;
  };
  // What changed, or may have, is read again by the next who asks.
  const forget = async (stream: AsyncIterable<WatchEvent> = NOTHING, stop: AbortController): Promise<void> => {
    for await (const _ of stream) break;
    if (!stop.signal.aborted) schemas = undefined;
    stop.abort();
  };
  return async (attributes, handle) => {
    if (attributes.verb !== "watch" && isLongRunning(attributes.verb, attributes.subresource)) return NONE;
    if (schemas === undefined) {
      const stop = new AbortController();
      const found = await read<FlowSchema>(handle, "flowschemas", stop);
      levels.clear();
      for (const { metadata } of await read(handle, "prioritylevelconfigurations", stop)) levels.set(metadata.name, metadata.uid!);
      schemas = [...found].sort((a, b) => a.spec.matchingPrecedence - b.spec.matchingPrecedence || (a.metadata.name < b.metadata.name ? -1 : 1));
    }
    const schema = schemas.find(({ spec }) => spec.rules?.some((rule) => matches(rule, attributes))) ?? schemas.find(({ metadata }) => metadata.name === "catch-all");
    const level = levels.get(schema?.spec.priorityLevelConfiguration.name ?? "");
    if (schema === undefined || level === undefined) return NONE;
    return { "x-kubernetes-pf-flowschema-uid": schema.metadata.uid!, "x-kubernetes-pf-prioritylevel-uid": level };
  };
}

const NONE: Readonly<Record<string, string>> = {};
const NOTHING: AsyncIterable<WatchEvent> = {
  async *[Symbol.asyncIterator]() {},
};

function matches({ subjects = [], resourceRules = [], nonResourceRules = [] }: Rule, { user, verb, path, namespace, apiGroup, resource, subresource }: Attributes): boolean {
  if (!subjects.some((subject) => isOf(subject, user))) return false;
  const has = (list: readonly string[], value: string): boolean => list.includes("*") || list.includes(value);
  if (resource === "") {
    return nonResourceRules.some((rule) => has(rule.verbs, verb) && rule.nonResourceURLs.some((url) => url === "*" || url === path || (url.endsWith("/*") && path.startsWith(url.slice(0, -1)))));
  }
  const named = subresource === "" ? resource : `${resource}/${subresource}`;
  return resourceRules.some((rule) => has(rule.verbs, verb) && has(rule.resources, named) && has(rule.apiGroups, apiGroup)
    && (namespace === "" ? rule.clusterScope === true : has(rule.namespaces ?? [], namespace)));
}

function isOf({ kind, user, group, serviceAccount }: Subject, { name, groups }: UserInfo): boolean {
  switch (kind) {
    case "User": return user?.name === "*" || user?.name === name;
    case "Group": return group?.name === "*" || groups.includes(group?.name ?? "");
    case "ServiceAccount": {
      const [, namespace, account] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(name) ?? [];
      return namespace !== undefined && namespace === serviceAccount?.namespace && (serviceAccount.name === "*" || serviceAccount.name === account);
    }
    default: return false;
  }
}
