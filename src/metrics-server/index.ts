/**
 * metrics.k8s.io/v1beta1: what nodes and pods use now, as their kubelets say. Follows sigs.k8s.io/metrics-server (pkg/api/node.go, pod.go)
 * and k8s.io/metrics/pkg/apis/metrics/v1beta1.
 */
import { formatQuantity } from "../apimachinery/quantity.ts";
import type { KubeObject } from "../apimachinery/meta.ts";
import { failure } from "../apimachinery/status.ts";
import { formatTime } from "../apimachinery/time.ts";
import { askKubelet, type Kubelets } from "../client/site-streams.ts";
import type { CustomResource, Descriptor } from "../kube-apiserver/registry/descriptor.ts";
import type { KeyValue, Storage } from "../storage/storage.ts";
import type { Clock } from "../time/clock.ts";

export interface MetricsOptions {
  readonly kubelets: Kubelets;
  /** The API server's own: labels are those of the objects. */
  readonly storage: Storage<KubeObject>;
  readonly clock: Clock;
}

interface Use {
  readonly cpu?: { readonly usageNanoCores: number };
  readonly memory?: { readonly workingSetBytes: number };
}

/** What is read of a Summary. */
interface Summary {
  readonly node: Use & { readonly nodeName: string };
  readonly pods: readonly (Use & { readonly podRef: { readonly name: string; readonly namespace: string }; readonly containers: readonly (Use & { readonly name: string })[] })[];
}

const GROUP = "metrics.k8s.io", VERSION = "v1beta1";
/** The time between two samples of a kubelet. */
const WINDOW = "10s";
const READ_ONLY = ["get", "list"];

const usage = ({ cpu, memory }: Use): Record<string, string> => ({
  cpu: formatQuantity({ nano: BigInt(Math.round(cpu?.usageNanoCores ?? 0)), format: "DecimalSI" }),
  memory: `${Math.ceil((memory?.workingSetBytes ?? 0) / 1024)}Ki`,
});

/** NodeMetrics and PodMetrics. */
export function metricsResources({ kubelets, storage, clock }: MetricsOptions): Descriptor[] {
  /** Of those nodes that answer. */
  const summaries = async (): Promise<Summary[]> => {
    const answers = await Promise.all(kubelets.nodes.map((node) => askKubelet(kubelets, node, { method: "GET", path: "/stats/summary?only_cpu_and_memory=true" }).catch(() => undefined)));
    return answers.filter((answer) => answer?.status === 200).map((answer) => JSON.parse(answer!.body) as Summary);
  };
  const labelsOf = async (key: string): Promise<{ labels?: Record<string, string> } | undefined> => {
    const found = await storage.get(key);
    if (found === undefined) return undefined;
    const { labels } = found.value.metadata;
    return labels === undefined ? {} : { labels };
  };
  const make = (kind: string, metadata: object, content: object): KubeObject => {
    const time = formatTime(clock.nowMs());
    return { kind, apiVersion: `${GROUP}/${VERSION}`, metadata: { ...metadata, creationTimestamp: time }, timestamp: time, window: WINDOW, ...content } as unknown as KubeObject;
  };
  const nodes = async (): Promise<[string, KubeObject][]> => {
    const out: [string, KubeObject][] = [];
    for (const { node } of await summaries()) {
      const labels = await labelsOf(`/registry/minions/${node.nodeName}`);
      if (labels !== undefined) out.push([node.nodeName, make("NodeMetrics", { name: node.nodeName, ...labels }, { usage: usage(node) })]);
    }
    return out;
  };
  const pods = async (): Promise<[string, KubeObject][]> => {
    const out: [string, KubeObject][] = [];
    for (const summary of await summaries()) {
      for (const { podRef: { name, namespace }, containers } of summary.pods) {
        const labels = containers.length === 0 ? undefined : await labelsOf(`/registry/pods/${namespace}/${name}`);
        if (labels === undefined) continue;
        out.push([`${namespace}/${name}`, make("PodMetrics", { name, namespace, ...labels }, { containers: containers.map((container) => ({ name: container.name, usage: usage(container) })) })]);
      }
    }
    return out;
  };
  return [
    descriptor("NodeMetrics", "nodes", false, storage, nodes, [["cpu", (object) => (object as NodeMetrics).usage["cpu"]!], ["memory", (object) => (object as NodeMetrics).usage["memory"]!]]),
    descriptor("PodMetrics", "pods", true, storage, pods, []),
  ];
}

interface NodeMetrics extends KubeObject {
  readonly usage: Record<string, string>;
}

function descriptor(
  kind: string, resource: string, namespaced: boolean, storage: Storage<KubeObject>, read: () => Promise<[string, KubeObject][]>,
  more: readonly (readonly [string, (object: KubeObject) => string])[],
): Descriptor {
  const storagePrefix = `${GROUP}/${resource}`;
  const base = `/registry/${storagePrefix}/`;
  const column = (name: string): CustomResource["columns"][number] => ({ name, type: "string", format: name === "Name" ? "name" : "", description: "", priority: 0 });
  const window = (object: KubeObject): string => (object as KubeObject & { window: string }).window;
  return {
    name: { group: GROUP, version: VERSION, kind, listKind: `${kind}List`, resource, namespaced },
    storagePrefix, hasStatus: false, allowUnconditionalUpdate: false, validateName: () => [],
    custom: {
      view: viewOf(storage, base, read),
      singular: "", shortNames: [], categories: [], verbs: READ_ONLY, warning: undefined,
      admit(verb) {
        if (!READ_ONLY.includes(verb)) throw failure(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {});
      },
      admitApplied() {},
      columns: [column("Name"), ...more.map(([name]) => column(name)), column("Window")],
      cells: (object) => [object.metadata.name, ...more.map(([, cell]) => cell(object)), window(object)],
      openapi: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
    },
  };
}

/** A store that has nothing of its own: every reader has the kubelets asked. */
function viewOf(storage: Storage<KubeObject>, base: string, read: () => Promise<[string, KubeObject][]>): Storage<KubeObject> {
  const all = async (prefix: string): Promise<KeyValue<KubeObject>[]> => {
    const found = (await read()).map(([name, value]) => ({ key: base + name, value, createRevision: 0, modRevision: 0 })).filter(({ key }) => key.startsWith(prefix));
    return found.sort((a, b) => (a.key < b.key ? -1 : 1));
  };
  return {
    revision: () => storage.revision(),
    get: async (key) => (await all(key)).find((kv) => kv.key === key),
    async range(prefix) {
      const items = await all(prefix);
      return { items, count: items.length, revision: await storage.revision() };
    },
    txn: () => Promise.reject(new Error("metrics are only read")),
    watch: () => () => undefined,
    compact: async () => undefined,
  };
}
