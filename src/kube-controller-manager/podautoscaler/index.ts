/** The horizontal pod autoscaler. Follows pkg/controller/podautoscaler/horizontal.go. */
import type {
  AutoscalingV2HorizontalPodAutoscaler as Autoscaler, AutoscalingV2HorizontalPodAutoscalerStatus as AutoscalerStatus, HorizontalPodAutoscalerCondition, LabelSelector,
  MetricSpec, MetricStatus, MetricTarget, MetricValueStatus, Pod, Scale,
} from "../../api/types.generated.ts";
import type { ResourceName } from "../../api/resources.ts";
import { deepEqual, keyOf, splitKey } from "../../apimachinery/meta.ts";
import type { KubeObject } from "../../apimachinery/meta.ts";
import { formatQuantity, quantityMilliValue } from "../../apimachinery/quantity.ts";
import { matches, parseLabelSelector } from "../../apimachinery/selectors.ts";
import type { Selector } from "../../apimachinery/selectors.ts";
import { isNotFound } from "../../apimachinery/status.ts";
import { formatTime } from "../../apimachinery/time.ts";
import { done, requeueAfter } from "../../client/controller.ts";
import type { Controller } from "../../client/controller.ts";
import type { ControllerContext } from "../controller-context.ts";
import { messageOf, typedAs } from "../controller-utils.ts";
import { goSelector } from "../disruption/plan.ts";
import { createScales } from "../scales.ts";
import { newMemory, remember, stabilize, stabilizeWith, withinRate, withinRules } from "./behavior.ts";
import type { Limits, Memory } from "./behavior.ts";
import { createMetricsClient } from "./metrics.ts";
import { byShare, byTotal, byUsage, byUtilization } from "./replicas.ts";
import type { Proposal } from "./replicas.ts";

/** Default of --horizontal-pod-autoscaler-sync-period. */
const SYNC_MS = 15_000;

type Typed = Autoscaler & KubeObject;

/** An error whose reason goes into the condition ScalingActive. */
class MetricError extends Error {
  readonly reason: string;
  readonly condition: string;

  constructor(reason: string, message: string, condition: string) {
    super(message);
    this.reason = reason;
    this.condition = condition;
  }
}

export function newHorizontalPodAutoscaler(context: ControllerContext): Controller {
  const { client, clock, informers, log } = context;
  const autoscalers = informers.informer("horizontalPodAutoscalers");
  const pods = informers.informer("pods");
  const recorder = context.recorder("horizontal-pod-autoscaler");
  const scales = createScales(client);
  const metricsClient = createMetricsClient(client);
  const memories = new Map<string, Memory>();
  /** The selectors of the targets, by autoscaler. */
  const selectors = new Map<string, Selector>();

  /** One visit to one autoscaler. Follows reconcileAutoscaler. */
  async function sync(key: string, hpa: Typed, signal: AbortSignal): Promise<void> {
    const draft = new Draft(hpa, clock.nowMs());
    try {
      await autoscale(key, hpa, draft, signal);
    } finally {
      if (!deepEqual(draft.status, hpa.status)) await client.horizontalPodAutoscalers.updateStatus({ ...hpa, status: draft.status }, signal);
    }
  }

  async function autoscale(key: string, hpa: Typed, draft: Draft, signal: AbortSignal): Promise<void> {
    const { scaleTargetRef: ref, maxReplicas, minReplicas: min = 1, behavior, metrics = [] } = hpa.spec;
    let target: { resource: ResourceName; scale: Scale };
    try {
      const resource = await scales.resourceOf(ref, signal);
      target = { resource, scale: await scales.get(resource, hpa.metadata.namespace!, ref.name, signal) };
    } catch (e) {
      recorder.event(hpa, "Warning", "FailedGetScale", messageOf(e));
      draft.condition("AbleToScale", "False", "FailedGetScale", `the HPA controller was unable to get the target's current scale: ${messageOf(e)}`);
      throw new Error(`failed to query scale subresource for ${ref.kind}/${hpa.metadata.namespace}/${ref.name}: ${messageOf(e)}`, { cause: e });
    }
    draft.condition("AbleToScale", "True", "SucceededGetScale", "the HPA controller was able to get the target's current scale");
    const { resource, scale } = target;
    const current = scale.spec.replicas ?? 0;
    const memory = memories.get(key) ?? newMemory();
    memories.set(key, memory);
    if (memory.recommendations.length === 0) memory.recommendations.push({ atMs: clock.nowMs(), replicas: current });

    let desired = 0;
    let why = "";
    let statuses: MetricStatus[] | undefined;
    let failure: unknown;
    let rescale = true;
    if (current === 0 && min !== 0) {
      rescale = false;
      draft.condition("ScalingActive", "False", "ScalingDisabled", "scaling is disabled since the replica count of the target is zero");
    } else if (current > maxReplicas) {
      why = "Current number of replicas above Spec.MaxReplicas";
      desired = maxReplicas;
    } else if (current < min) {
      why = "Current number of replicas below Spec.MinReplicas";
      desired = min;
    } else {
      const found = await computeReplicas(key, hpa, draft, scale, metrics, signal);
      statuses = found.statuses;
      if (found.replicas === undefined) {
        draft.measured(current, undefined, statuses, false);
        recorder.event(hpa, "Warning", "FailedComputeMetricsReplicas", messageOf(found.error));
        throw new Error(`failed to compute desired number of replicas based on listed metrics for ${ref.kind}/${hpa.metadata.namespace}/${ref.name}: ${messageOf(found.error)}`);
      }
      // Some metrics may fail while others are enough to go on.
      failure = found.error;
      desired = Math.max(0, found.replicas);
      if (desired > current) why = `${found.metric} above target`;
      if (desired < current) why = "All metrics below target";
      desired = normalize(hpa, draft, memory, { current, min, max: maxReplicas }, desired);
      rescale = desired !== current;
    }

    if (rescale) {
      try {
        await scales.update(resource, scale, desired, signal);
      } catch (e) {
        recorder.event(hpa, "Warning", "FailedRescale", `New size: ${desired}; reason: ${why}; error: ${messageOf(e)}`);
        draft.condition("AbleToScale", "False", "FailedUpdateScale", `the HPA controller was unable to update the target scale: ${messageOf(e)}`);
        draft.measured(current, undefined, statuses, false);
        throw new Error(`failed to rescale ${ref.kind}/${hpa.metadata.namespace}/${ref.name}: ${messageOf(e)}`, { cause: e });
      }
      draft.condition("AbleToScale", "True", "SucceededRescale", `the HPA controller was able to update the target scale to ${desired}`);
      recorder.event(hpa, "Normal", "SuccessfulRescale", `New size: ${desired}; reason: ${why}`);
      remember(behavior, memory, current, desired, clock.nowMs());
    } else desired = current;
    draft.measured(current, desired, statuses, rescale);
    if (failure !== undefined) throw failure;
  }

  /** Follows normalizeDesiredReplicas and normalizeDesiredReplicasWithBehaviors. */
  function normalize({ spec: { behavior } }: Typed, draft: Draft, memory: Memory, limits: Limits, wanted: number): number {
    const now = clock.nowMs();
    const stable = behavior === undefined
      ? { replicas: stabilize(memory, wanted, now), reason: "ScaleDownStabilized", message: "recent recommendations were higher than current one, applying the highest recent recommendation" }
      : stabilizeWith(behavior, memory, limits.current, wanted, now);
    if (stable.replicas !== wanted) draft.condition("AbleToScale", "True", stable.reason, stable.message);
    else draft.condition("AbleToScale", "True", "ReadyForNewScale", "recommended size matches current size");
    const limited = behavior === undefined ? withinRules(limits, stable.replicas) : withinRate(behavior, memory, limits, stable.replicas, now);
    draft.condition("ScalingLimited", limited.replicas === stable.replicas ? "False" : "True", limited.reason, limited.message);
    return limited.replicas;
  }

  interface Computed {
    /** Undefined when nothing may be done. */
    replicas: number | undefined;
    metric: string;
    statuses: MetricStatus[] | undefined;
    error: unknown;
  }

  /** The largest of what the metrics ask for. Follows computeReplicasForMetrics. */
  async function computeReplicas(key: string, hpa: Typed, draft: Draft, scale: Scale, metrics: readonly MetricSpec[], signal: AbortSignal): Promise<Computed> {
    let selected: Pod[];
    let selector: Selector;
    try {
      selector = targetSelector(key, hpa, draft, scale.status.selector ?? "");
      selected = pods.list(hpa.metadata.namespace).filter((pod) => matches(selector, pod.metadata.labels));
      checkAmbiguity(key, hpa, draft, selected, scale.status.selector ?? "");
    } catch (e) {
      return { replicas: undefined, metric: "", statuses: undefined, error: e };
    }
    const statuses: MetricStatus[] = metrics.map(() => ({ type: "" }));
    const invalid: MetricError[] = [];
    let replicas = 0;
    let metric = "";
    for (const [i, spec] of metrics.entries()) {
      try {
        const found = await measure(hpa.metadata.namespace!, spec, scale, selected, selector, signal);
        statuses[i] = found.status;
        if (replicas !== 0 && found.replicas <= replicas) continue;
        replicas = found.replicas;
        metric = found.name;
      } catch (e) {
        if (!(e instanceof MetricError)) throw e;
        recorder.event(hpa, "Warning", e.reason, e.condition);
        invalid.push(e);
      }
    }
    const [first] = invalid;
    const error = first === undefined ? undefined : new Error(`invalid metrics (${invalid.length} invalid out of ${metrics.length}), first error is: ${first.message}`);
    if (first !== undefined && (invalid.length >= metrics.length || replicas < (scale.spec.replicas ?? 0))) {
      draft.condition("ScalingActive", "False", first.reason, `the HPA was unable to compute the replica count: ${first.condition}`);
      return { replicas: undefined, metric, statuses, error };
    }
    draft.condition("ScalingActive", "True", "ValidMetricFound", `the HPA was able to successfully calculate a replica count from ${metric}`);
    return { replicas, metric, statuses, error };
  }

  /** Follows validateAndParseSelector. */
  function targetSelector(key: string, hpa: Typed, draft: Draft, text: string): Selector {
    if (text === "") {
      recorder.event(hpa, "Warning", "SelectorRequired", "selector is required");
      draft.condition("ScalingActive", "False", "InvalidSelector", "the HPA target's scale is missing a selector");
      throw new Error("selector is required");
    }
    try {
      const parsed = parseLabelSelector(text);
      selectors.set(key, parsed);
      return parsed;
    } catch (e) {
      const message = `couldn't convert selector into a corresponding internal selector object: ${messageOf(e)}`;
      recorder.event(hpa, "Warning", "InvalidSelector", message);
      draft.condition("ScalingActive", "False", "InvalidSelector", message);
      throw new Error(message, { cause: e });
    }
  }

  function checkAmbiguity(key: string, hpa: Typed, draft: Draft, selected: readonly Pod[], text: string): void {
    const { namespace } = hpa.metadata;
    const rivals = [...selectors].filter(([other, selector]) => other === key || (splitKey(other).namespace === namespace && selected.some((pod) => matches(selector, pod.metadata.labels))));
    if (rivals.length <= 1 || selected.length === 0) return;
    const names = rivals.map(([other]) => `{${splitKey(other).name} ${namespace}}`).join(" ");
    const message = `pods by selector ${text} are controlled by multiple HPAs: [${names}]`;
    recorder.event(hpa, "Warning", "AmbiguousSelector", message);
    draft.condition("ScalingActive", "False", "AmbiguousSelector", message);
    throw new Error(message);
  }

  interface Measured {
    replicas: number;
    name: string;
    status: MetricStatus;
  }

  /** What one metric asks for. Follows computeReplicasForMetric. */
  async function measure(namespace: string, spec: MetricSpec, scale: Scale, selected: readonly Pod[], selector: Selector, signal: AbortSignal): Promise<Measured> {
    const [specReplicas, statusReplicas] = [scale.spec.replicas ?? 0, scale.status.replicas];
    const fail = (reason: string, prefix: string, e: unknown): never => {
      throw new MetricError(reason, `${prefix}: ${messageOf(e)}`, messageOf(e));
    };
    if (spec.resource !== undefined && spec.type === "Resource") {
      const { name, target } = spec.resource;
      try {
        const found = await resourceReplicas(name, target, undefined, specReplicas, namespace, selected, selector, signal);
        return { ...found, status: { type: "Resource", resource: { name, current: found.value } } };
      } catch (e) {
        return fail("FailedGetResourceMetric", `failed to get ${name} resource metric value`, e);
      }
    }
    if (spec.containerResource !== undefined && spec.type === "ContainerResource") {
      const { name, container, target } = spec.containerResource;
      try {
        const found = await resourceReplicas(name, target, container, specReplicas, namespace, selected, selector, signal);
        return { ...found, status: { type: "ContainerResource", containerResource: { name, container, current: found.value } } };
      } catch (e) {
        return fail("FailedGetContainerResourceMetric", `failed to get ${name} container metric value`, e);
      }
    }
    if (spec.pods !== undefined && spec.type === "Pods") {
      const { metric, target } = spec.pods;
      try {
        const metrics = await metricsClient.pods(metric.name, namespace, selector, metric.selector, signal).catch((e: unknown) => {
          throw new Error(`unable to get metric ${metric.name}: ${messageOf(e)}`, { cause: e });
        });
        const { replicas, usage } = byUsage(selected, metrics, specReplicas, quantityMilliValue(target.averageValue), "", clock.nowMs());
        return { replicas, name: `pods metric ${metric.name}`, status: { type: "Pods", pods: { metric, current: { averageValue: milli(usage) } } } };
      } catch (e) {
        return fail("FailedGetPodsMetric", "failed to get pods metric value", e);
      }
    }
    if (spec.object !== undefined && spec.type === "Object") {
      const { metric, target, describedObject } = spec.object;
      try {
        const resource = await scales.resourceOf(describedObject, signal);
        const usage = await metricsClient.object(metric.name, namespace, { resource, name: describedObject.name }, metric.selector, signal).catch((e: unknown) => {
          throw new Error(`unable to get metric ${metric.name}: ${describedObject.kind} on ${namespace} ${describedObject.name}/${messageOf(e)}`, { cause: e });
        });
        const found = totalReplicas(target, usage, specReplicas, statusReplicas, selected, "object");
        const name = target.type === "Value" ? `${describedObject.kind} metric ${metric.name}` : `external metric ${metric.name}(${goSelector(metric.selector)})`;
        return { replicas: found.replicas, name, status: { type: "Object", object: { metric, describedObject, current: found.value } } };
      } catch (e) {
        return fail("FailedGetObjectMetric", "failed to get object metric value", e);
      }
    }
    if (spec.external !== undefined && spec.type === "External") {
      const { metric, target } = spec.external;
      try {
        const values = await metricsClient.external(metric.name, namespace, metric.selector, signal).catch((e: unknown) => {
          throw new Error(`failed to get ${metric.name} external metric: unable to get external metric ${namespace}/${metric.name}/${goSelector(metric.selector)}: ${messageOf(e)}`, { cause: e });
        });
        const found = totalReplicas(target, values.reduce((sum, value) => sum + value, 0), specReplicas, statusReplicas, selected, "external");
        return { replicas: found.replicas, name: `external metric ${metric.name}(${goSelector(metric.selector)})`, status: { type: "External", external: { metric: metric as { name: string; selector?: LabelSelector }, current: found.value } } };
      } catch (e) {
        return fail("FailedGetExternalMetric", `failed to get ${metric.name} external metric value`, e);
      }
    }
    throw new MetricError("InvalidMetricSourceType", `unknown metric source type "${spec.type}"`, `unknown metric source type "${spec.type}"`);
  }

  /** Follows computeStatusForResourceMetricGeneric. */
  async function resourceReplicas(name: string, target: MetricTarget, container: string | undefined, current: number, namespace: string, selected: readonly Pod[], selector: Selector, signal: AbortSignal): Promise<{ replicas: number; name: string; value: MetricValueStatus }> {
    const what = target.averageValue !== undefined ? "usage" : "utilization";
    if (target.averageValue === undefined && target.averageUtilization === undefined)
      throw new Error("invalid resource metric source: neither an average utilization target nor an average value (usage) target was set");
    let found: Proposal;
    try {
      const metrics = await metricsClient.resource(name, namespace, selector, container, signal).catch((e: unknown) => {
        throw new Error(`unable to get metrics for resource ${name}: ${messageOf(e)}`, { cause: e });
      });
      found = target.averageValue !== undefined
        ? byUsage(selected, metrics, current, quantityMilliValue(target.averageValue), name, clock.nowMs())
        : byUtilization(selected, metrics, current, target.averageUtilization!, name, container, clock.nowMs());
    } catch (e) {
      throw new Error(`failed to get ${name} ${what}: ${messageOf(e)}`, { cause: e });
    }
    const kind = container === undefined ? "resource" : "container resource";
    return {
      replicas: found.replicas,
      name: what === "usage" ? `${name} resource` : `${name} ${kind} utilization (percentage of request)`,
      value: { averageValue: milli(found.usage), ...(found.utilization === undefined ? {} : { averageUtilization: found.utilization }) },
    };
  }

  function totalReplicas(target: MetricTarget, usage: number, specReplicas: number, statusReplicas: number, selected: readonly Pod[], sort: string): { replicas: number; value: MetricValueStatus } {
    if (target.averageValue !== undefined && target.type !== "Value") {
      const found = byShare(statusReplicas, usage, quantityMilliValue(target.averageValue));
      return { replicas: found.replicas, value: { averageValue: milli(found.usage) } };
    }
    if (target.value === undefined) throw new Error(`invalid ${sort} metric source: neither a value target nor an average value target was set`);
    const found = byTotal(selected, specReplicas, usage, quantityMilliValue(target.value));
    return { replicas: found.replicas, value: { value: milli(found.usage) } };
  }

  return {
    name: "horizontal-pod-autoscaler-controller",
    setup(queue) {
      const later = (hpa: Autoscaler): void => queue.addAfter(keyOf(hpa), SYNC_MS);
      autoscalers.addHandler({
        add: later,
        update: later,
        delete(hpa) {
          memories.delete(keyOf(hpa));
          selectors.delete(keyOf(hpa));
        },
      });
    },
    async reconcile(key, signal) {
      const { namespace, name } = splitKey(key);
      const hpa = autoscalers.get(namespace, name);
      if (hpa === undefined) return done;
      try {
        await sync(key, typedAs(client.horizontalPodAutoscalers, hpa), signal);
      } catch (e) {
        // Failures are told by conditions and events; the next visit comes as usual.
        if (signal.aborted) throw e;
        if (!isNotFound(e)) log.info("failed to autoscale", { key, err: messageOf(e) });
      }
      return requeueAfter(SYNC_MS);
    },
  };
}

const milli = (value: number): string => formatQuantity({ nano: BigInt(Math.trunc(value)) * 1_000_000n, format: "DecimalSI" });

/** The status while it is worked on. */
class Draft {
  status: AutoscalerStatus;
  private readonly time: string;

  constructor({ status }: Autoscaler, nowMs: number) {
    this.status = status;
    this.time = formatTime(nowMs);
  }

  /** Follows setConditionInList. */
  condition(type: string, status: string, reason: string, message: string): void {
    const conditions = this.status.conditions ?? [];
    const was = conditions.find((c) => c.type === type);
    const next: HorizontalPodAutoscalerCondition = { type, status, reason, message, lastTransitionTime: was?.status === status ? was.lastTransitionTime : this.time };
    this.status = { ...this.status, conditions: was === undefined ? [...conditions, next] : conditions.map((c) => (c === was ? next : c)) };
  }

  /** Follows setStatus; `desired` undefined leaves it as it is. */
  measured(current: number, desired: number | undefined, metrics: MetricStatus[] | undefined, rescaled: boolean): void {
    const { currentMetrics: _old, ...rest } = this.status;
    this.status = {
      ...rest, currentReplicas: current, desiredReplicas: desired ?? this.status.desiredReplicas,
      ...(metrics === undefined ? { currentMetrics: null as unknown as MetricStatus[] } : { currentMetrics: metrics }),
      ...(rescaled ? { lastScaleTime: this.time } : {}),
    };
  }
}
