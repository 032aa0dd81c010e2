/**
 * Kinds that are served under two names and stored once: autoscaling/v1 beside v2, and events.k8s.io beside the core group's events.
 * Follows pkg/apis/autoscaling/v1/conversion.go and pkg/apis/events/v1/conversion.go.
 */
import { deepFreeze } from "../../apimachinery/meta.ts";
import type { KubeObject } from "../../apimachinery/meta.ts";
import type { KeyValue, Storage } from "../../storage/storage.ts";

/* eslint-disable @typescript-eslint/no-explicit-any */
type Any = any;

/** How an object looks in the other form; both leave their input as it is. */
export interface Conversion {
  readonly toServed: (stored: Any) => Any;
  readonly toStored: (served: Any) => Any;
}

/** The store with its objects in the served form. */
export function convertedView(storage: Storage<KubeObject>, { toServed, toStored }: Conversion): Storage<KubeObject> {
  // One served form per stored object: equality by identity stays what it is below.
  const shown = new WeakMap<KubeObject, KubeObject>();
  const show = (value: KubeObject): KubeObject => {
    let out = shown.get(value);
    if (out === undefined) {
      out = deepFreeze(toServed(value) as KubeObject);
      shown.set(value, out);
    }
    return out;
  };
  const one = <T extends KeyValue<KubeObject> | undefined>(kv: T): T => (kv === undefined ? kv : { ...kv, value: show(kv.value) });
  return {
    revision: () => storage.revision(),
    compact: (revision) => storage.compact(revision),
    get: async (key) => one(await storage.get(key)),
    async range(prefix, options) {
      const result = await storage.range(prefix, options);
      return { ...result, items: result.items.map(one) };
    },
    async txn(compare, success) {
      const result = await storage.txn(compare, success.map((op) => (op.type === "put" ? { ...op, value: toStored(op.value) as KubeObject } : op)));
      return result.succeeded ? { ...result, written: result.written.map(one) } : { ...result, current: result.current.map(one) };
    },
    watch: (prefix, afterRevision, sink) => storage.watch(prefix, afterRevision, {
      ...sink,
      event: (event) => sink.event({ ...event, ...("kv" in event ? { kv: one(event.kv as KeyValue<KubeObject>) } : {}), ...("previous" in event ? { previous: one(event.previous as KeyValue<KubeObject> | undefined) } : {}) } as typeof event),
    }),
  };
}

/** Undefined fields left out. */
function some(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

const METRICS = "autoscaling.alpha.kubernetes.io/metrics";
const BEHAVIOR = "autoscaling.alpha.kubernetes.io/behavior";
const CURRENT = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions";

const isCpu = (metric: Any): boolean => metric.type === "Resource" && metric.resource?.name === "cpu" && metric.resource.target?.averageUtilization !== undefined;
const isCurrentCpu = (metric: Any): boolean => metric.type === "Resource" && metric.resource?.name === "cpu" && metric.resource.current?.averageUtilization !== undefined;

function parsed(text: string | undefined): Any {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function withAnnotations(metadata: Any, annotations: Record<string, string | undefined>): Any {
  const rest = Object.fromEntries(Object.entries((metadata.annotations ?? {}) as Record<string, string>).filter(([key]) => ![METRICS, BEHAVIOR, CURRENT, CONDITIONS].includes(key)));
  const all = { ...rest, ...some(annotations) };
  const { annotations: _old, ...others } = metadata;
  return Object.keys(all).length === 0 ? others : { ...others, annotations: all };
}

/** autoscaling/v1 has one target, the CPU; the rest travels in annotations. */
export const autoscalerV1: Conversion = {
  toServed({ metadata, spec, status = {} }) {
    const metrics: Any[] = spec.metrics ?? [];
    const cpu = metrics.find(isCpu);
    const others = metrics.filter((metric) => metric !== cpu);
    const current: Any[] = status.currentMetrics ?? [];
    const { conditions, currentMetrics: _current, currentReplicas = 0, desiredReplicas = 0, ...rest } = status;
    return {
      kind: "HorizontalPodAutoscaler",
      apiVersion: "autoscaling/v1",
      metadata: withAnnotations(metadata, {
        [METRICS]: others.length === 0 ? undefined : JSON.stringify(others),
        [BEHAVIOR]: spec.behavior === undefined ? undefined : JSON.stringify(spec.behavior),
        [CURRENT]: current.length === 0 ? undefined : JSON.stringify(current),
        [CONDITIONS]: (conditions ?? []).length === 0 ? undefined : JSON.stringify(conditions),
      }),
      spec: some({ scaleTargetRef: spec.scaleTargetRef, minReplicas: spec.minReplicas, maxReplicas: spec.maxReplicas, targetCPUUtilizationPercentage: cpu?.resource.target.averageUtilization }),
      status: some({ ...rest, currentReplicas, desiredReplicas, currentCPUUtilizationPercentage: current.find(isCurrentCpu)?.resource.current.averageUtilization }),
    };
  },
  toStored({ metadata, spec, status = {} }) {
    const annotations: Record<string, string> = metadata.annotations ?? {};
    const target = spec.targetCPUUtilizationPercentage;
    const others: Any[] = parsed(annotations[METRICS]) ?? [];
    const cpu = target === undefined ? [] : [{ type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: target } } }];
    const usage = status.currentCPUUtilizationPercentage;
    const current = parsed(annotations[CURRENT]) ?? (usage === undefined ? null : [{ type: "Resource", resource: { name: "cpu", current: { averageUtilization: usage } } }]);
    const { currentCPUUtilizationPercentage: _usage, currentReplicas, ...rest } = status;
    const metrics = [...cpu, ...others];
    return {
      kind: "HorizontalPodAutoscaler",
      apiVersion: "autoscaling/v2",
      metadata: withAnnotations(metadata, {}),
      spec: some({
        scaleTargetRef: spec.scaleTargetRef, minReplicas: spec.minReplicas, maxReplicas: spec.maxReplicas,
        metrics: metrics.length === 0 ? undefined : metrics, behavior: parsed(annotations[BEHAVIOR]),
      }),
      status: some({ ...rest, currentReplicas: currentReplicas === 0 ? undefined : currentReplicas, desiredReplicas: rest.desiredReplicas ?? 0, currentMetrics: current, conditions: parsed(annotations[CONDITIONS]) }),
    };
  },
};

/** The same fields under other names, core's first. */
const EVENT_FIELDS = [
  ["involvedObject", "regarding"], ["message", "note"], ["reportingComponent", "reportingController"], ["source", "deprecatedSource"],
  ["firstTimestamp", "deprecatedFirstTimestamp"], ["lastTimestamp", "deprecatedLastTimestamp"], ["count", "deprecatedCount"],
] as const;

const renamed = (object: Any, apiVersion: string, from: 0 | 1): Any => {
  const names = new Map<string, string>(EVENT_FIELDS.map((pair) => [pair[from], pair[from === 0 ? 1 : 0]]));
  const out: Record<string, unknown> = {};
  for (const key of Object.keys(object)) out[names.get(key) ?? key] = object[key];
  out["apiVersion"] = apiVersion;
  return out;
};

export const eventsV1: Conversion = {
  toServed(stored) {
    const out = renamed(stored, "events.k8s.io/v1", 0);
    // Written here only when they say something.
    for (const field of ["reportingController", "reportingInstance"]) if (out[field] === "") delete out[field];
    if (out.regarding !== undefined && Object.keys(out.regarding).length === 0) delete out.regarding;
    return out;
  },
  toStored(served) {
    const out = renamed(served, "v1", 1);
    return { ...out, involvedObject: out.involvedObject ?? {}, source: out.source ?? {}, firstTimestamp: out.firstTimestamp ?? null, lastTimestamp: out.lastTimestamp ?? null, reportingComponent: out.reportingComponent ?? "", reportingInstance: out.reportingInstance ?? "" };
  },
};
