/**
 * Extenders: programs over HTTP that filter, score or bind beside the plugins.
 * Follows pkg/scheduler/extender.go and k8s.io/kube-scheduler/extender/v1.
 */
import type { Node, Pod } from "../../api/types.generated.ts";
import { MAX_SCORE } from "../framework.ts";
import type { NodeInfo, Rejection } from "../framework.ts";
import type { Extender } from "../scheduler.ts";

/** One of `extenders` of a KubeSchedulerConfiguration. */
export interface ExtenderConfiguration {
  readonly urlPrefix: string;
  readonly filterVerb?: string;
  readonly prioritizeVerb?: string;
  readonly bindVerb?: string;
  readonly weight?: number;
  /** Send names instead of whole nodes. */
  readonly nodeCacheCapable?: boolean;
  /** Only pods that ask for one of these are its concern. */
  readonly managedResources?: readonly { readonly name: string; readonly ignoredByScheduler?: boolean }[];
  /** Without an answer, go on without it. */
  readonly ignorable?: boolean;
}

type Fetch = (request: Request) => Promise<Response>;

interface FilterResult {
  readonly nodes?: { readonly items?: readonly Node[] } | null;
  readonly nodenames?: readonly string[] | null;
  readonly failedNodes?: Readonly<Record<string, string>> | null;
  readonly failedAndUnresolvableNodes?: Readonly<Record<string, string>> | null;
  readonly error?: string;
}

/** Extenders of prioritize score 0…10 (MaxExtenderPriority). */
const MAX_EXTENDER_PRIORITY = 10;

export function httpExtender(configuration: ExtenderConfiguration, fetch: Fetch): Extender {
  const { urlPrefix, filterVerb, prioritizeVerb, bindVerb, weight = 1, nodeCacheCapable = false, managedResources = [], ignorable = false } = configuration;
  const name = urlPrefix;
  const interested = ({ spec }: Pod): boolean => managedResources.length === 0 || [...spec.containers, ...(spec.initContainers ?? [])].some(({ resources }) =>
    managedResources.some((managed) => resources?.requests?.[managed.name] !== undefined || resources?.limits?.[managed.name] !== undefined));
  const send = async <T>(verb: string, body: unknown): Promise<T> => {
    const url = `${urlPrefix.replace(/\/$/, "")}/${verb}`;
    const response = await fetch(new Request(url, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }));
    if (response.status !== 200) throw new Error(`failed ${verb} with extender at URL ${url}, code ${response.status}`);
    return (await response.json()) as T;
  };
  const argsOf = (pod: Pod, nodes: readonly NodeInfo[]): unknown => nodeCacheCapable
    ? { pod, nodenames: nodes.map(({ node }) => node.metadata.name) }
    : { pod, nodes: { apiVersion: "v1", kind: "NodeList", items: nodes.map(({ node }) => node) } };
  const refusal = (message: string, unresolvable: boolean): Rejection => ({ reasons: [message], unresolvable, plugin: name });

  return {
    ...(filterVerb === undefined ? {} : {
      async filter(pod, nodes) {
        if (!interested(pod)) return { nodes, refused: new Map() };
        try {
          const result = await send<FilterResult>(filterVerb, argsOf(pod, nodes));
          if ((result.error ?? "") !== "") throw new Error(result.error);
          const kept = new Set(nodeCacheCapable ? (result.nodenames ?? []) : (result.nodes?.items ?? []).map(({ metadata }) => metadata.name));
          const refused = new Map<NodeInfo, Rejection>();
          for (const info of nodes) {
            const own = info.node.metadata.name;
            const never = result.failedAndUnresolvableNodes?.[own];
            if (never !== undefined) refused.set(info, refusal(never, true));
            else if (!kept.has(own)) refused.set(info, refusal(result.failedNodes?.[own] ?? "", false));
          }
          return { nodes: nodes.filter((info) => !refused.has(info)), refused };
        } catch (e) {
          if (ignorable) return { nodes, refused: new Map() };
          throw e;
        }
      },
    }),
    ...(prioritizeVerb === undefined ? {} : {
      async prioritize(pod, nodes) {
        const points = new Map<string, number>();
        if (interested(pod)) {
          // Without its points, its opinion is left out.
          const list = await send<readonly { host: string; score: number }[]>(prioritizeVerb, argsOf(pod, nodes)).catch(() => []);
          for (const { host, score } of list) points.set(host, score * weight * (MAX_SCORE / MAX_EXTENDER_PRIORITY));
        }
        return nodes.map(({ node }) => points.get(node.metadata.name) ?? 0);
      },
    }),
    ...(bindVerb === undefined ? {} : {
      async bind({ metadata: { name: podName, namespace, uid }, ...pod }, node) {
        if (!interested({ metadata: { name: podName }, ...pod } as Pod)) return false;
        const { error = "" } = await send<{ error?: string }>(bindVerb, { podName, podNamespace: namespace, podUID: uid, node });
        if (error !== "") throw new Error(error);
        return true;
      },
    }),
  };
}
