/**
 * Where an autoscaler's numbers come from: the resource, custom and external metrics APIs. Values are thousandths.
 * Follows pkg/controller/podautoscaler/metrics (client.go, utilization.go).
 */
import { formatSelector, labelSelector } from "../../apimachinery/selectors.ts";
import type { Selector } from "../../apimachinery/selectors.ts";
import { parseTime } from "../../apimachinery/time.ts";
import { quantityMilliValue } from "../../apimachinery/quantity.ts";
import type { LabelSelector } from "../../api/types.generated.ts";
import type { ResourceName } from "../../api/resources.ts";
import type { KubeObject } from "../../apimachinery/meta.ts";
import type { Client } from "../../client/client.ts";
import { messageOf } from "../controller-utils.ts";
import { isUnknownPath } from "../scales.ts";

export interface PodMetric {
  /** Milliseconds since the epoch. */
  timestampMs: number;
  windowMs: number;
  milli: number;
}

/** By the name of the pod. */
export type PodMetrics = Map<string, PodMetric>;

export interface MetricsClient {
  resource(name: string, namespace: string, selector: Selector, container: string | undefined, signal: AbortSignal): Promise<PodMetrics>;
  /** A custom metric of each pod. */
  pods(metric: string, namespace: string, selector: Selector, metricSelector: LabelSelector | undefined, signal: AbortSignal): Promise<PodMetrics>;
  /** A custom metric of one object. */
  object(metric: string, namespace: string, object: { resource: ResourceName; name: string }, metricSelector: LabelSelector | undefined, signal: AbortSignal): Promise<number>;
  external(metric: string, namespace: string, metricSelector: LabelSelector | undefined, signal: AbortSignal): Promise<number[]>;
}

/** The window of custom metrics that name none. */
const DEFAULT_WINDOW_MS = 60_000;

interface PodUsage extends KubeObject {
  timestamp: string;
  window: string;
  containers: { name: string; usage: Record<string, string> }[];
}

interface MetricValues {
  items?: { describedObject?: { name: string }; timestamp?: string; windowSeconds?: number; value: string }[];
}

const POD_METRICS: ResourceName = { group: "metrics.k8s.io", version: "v1beta1", kind: "PodMetrics", resource: "pods", namespaced: true };

export function createMetricsClient(client: Client): MetricsClient {
  /** What the server answers without such an API, as client-go words it. */
  const explained = (e: unknown, resource: string): string => (isUnknownPath(e) ? `the server could not find the requested resource (get ${resource})` : messageOf(e));
  const custom = async (resource: ResourceName, namespace: string, name: string, metric: string, query: string, signal: AbortSignal): Promise<NonNullable<MetricValues["items"]>> => {
    const path: ResourceName = { group: "custom.metrics.k8s.io", version: "v1beta2", kind: "MetricValueList", namespaced: resource.namespaced, resource: resource.group === "" ? resource.resource : `${resource.resource}.${resource.group}` };
    let answer: MetricValues;
    try {
      answer = await client.resource(path).subresource<MetricValues>("GET", namespace, name, `${metric}${query}`, undefined, signal);
    } catch (e) {
      throw new Error(`unable to fetch metrics from custom metrics API: ${isUnknownPath(e) ? "no custom metrics API (custom.metrics.k8s.io) registered" : messageOf(e)}`, { cause: e });
    }
    if ((answer.items ?? []).length === 0) throw new Error("no metrics returned from custom metrics API");
    return answer.items!;
  };

  return {
    async resource(name, namespace, selector, container, signal) {
      let items: readonly PodUsage[];
      try {
        ({ items } = await client.resource<PodUsage>(POD_METRICS).list(namespace, { labelSelector: formatSelector(selector) }, signal));
      } catch (e) {
        throw new Error(`unable to fetch metrics from resource metrics API: ${explained(e, "pods.metrics.k8s.io")}`, { cause: e });
      }
      if (items.length === 0) throw new Error("no metrics returned from resource metrics API");
      const out: PodMetrics = new Map();
      for (const { metadata, timestamp, window, containers } of items) {
        const counted = container === undefined ? containers : containers.filter((c) => c.name === container);
        if (container !== undefined && counted.length === 0) throw new Error(`container ${container} not present in metrics for pod ${namespace}/${metadata.name}`);
        if (counted.length === 0 || counted.some(({ usage }) => usage[name] === undefined)) continue;
        const milli = counted.reduce((sum, { usage }) => sum + quantityMilliValue(usage[name]), 0);
        out.set(metadata.name, { timestampMs: parseTime(timestamp) ?? 0, windowMs: durationMs(window), milli });
      }
      return out;
    },

    async pods(metric, namespace, selector, metricSelector, signal) {
      const query = queryOf({ labelSelector: formatSelector(selector), metricLabelSelector: textOf(metricSelector) });
      const items = await custom({ group: "", version: "v1", kind: "Pod", resource: "pods", namespaced: true }, namespace, "*", metric, query, signal);
      return new Map(items.map(({ describedObject, timestamp, windowSeconds, value }) => [describedObject?.name ?? "", {
        timestampMs: parseTime(timestamp ?? "") ?? 0,
        windowMs: windowSeconds === undefined ? DEFAULT_WINDOW_MS : windowSeconds * 1000,
        milli: quantityMilliValue(value),
      }]));
    },

    async object(metric, namespace, { resource, name }, metricSelector, signal) {
      const items = await custom(resource, resource.namespaced ? namespace : "", name, metric, queryOf({ metricLabelSelector: textOf(metricSelector) }), signal);
      return quantityMilliValue(items[0]!.value);
    },

    async external(metric, namespace, metricSelector, signal) {
      const path: ResourceName = { group: "external.metrics.k8s.io", version: "v1beta1", kind: "ExternalMetricValueList", resource: metric, namespaced: true };
      const labels = textOf(metricSelector);
      let answer: MetricValues;
      try {
        answer = (await client.resource(path).list(namespace, labels === "" ? {} : { labelSelector: labels }, signal)) as unknown as MetricValues;
      } catch (e) {
        throw new Error(`unable to fetch metrics from external metrics API: ${explained(e, `${metric}.external.metrics.k8s.io`)}`, { cause: e });
      }
      if ((answer.items ?? []).length === 0) throw new Error("no metrics returned from external metrics API");
      return answer.items!.map(({ value }) => quantityMilliValue(value));
    },
  };
}

const textOf = (selector: LabelSelector | undefined): string => (selector === undefined ? "" : formatSelector(labelSelector(selector)));

function queryOf(parameters: Readonly<Record<string, string>>): string {
  const set = Object.entries(parameters).filter(([, value]) => value !== "");
  return set.length === 0 ? "" : `?${set.map(([key, value]) => `${key}=${encodeURIComponent(value)}`).join("&")}`;
}

/** A Go duration such as `30s` or `1m30.5s`, in milliseconds. */
function durationMs(text: string): number {
  let ms = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d*)?)(ms|us|µs|ns|h|m|s)/g)) ms += Number(amount) * { h: 3_600_000, m: 60_000, s: 1000, ms: 1, us: 1e-3, "µs": 1e-3, ns: 1e-6 }[unit!]!;
  return ms;
}
