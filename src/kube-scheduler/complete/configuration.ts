/**
 * The scheduler's configuration: profiles, which plugins each has, and with what arguments.
 * Follows k8s.io/kube-scheduler/config/v1 and pkg/scheduler/apis/config/v1/default_plugins.go (mergePlugins).
 */
import { ALL_RESOURCES } from "../../api/more-resources.ts";
import { MAX_SCORE } from "../framework.ts";
import type { Plugin } from "../framework.ts";
import { nodeAffinity, nodeName, nodePorts, nodeUnschedulable, taintToleration } from "../plugins/node.ts";
import { fitScore, nodeResourcesBalancedAllocation, nodeResourcesFit } from "../plugins/resources.ts";
import type { Handle, Profile, SchedulerOptions } from "../scheduler.ts";
import { httpExtender, type ExtenderConfiguration } from "./extender.ts";
import { imageLocality } from "./image-locality.ts";
import { interPodAffinity } from "./inter-pod-affinity.ts";
import { defaultPreemption, type PreemptionArgs } from "./preemption.ts";
import { wholePodTopologySpread } from "./topology-spread.ts";
import { volumePlugins } from "./volumes.ts";

interface PluginSet {
  readonly enabled?: readonly { readonly name: string; readonly weight?: number }[];
  /** `*` disables all that are there by default. */
  readonly disabled?: readonly { readonly name: string }[];
}

/** The extension points that a configuration can name; `multiPoint` is all of them. */
type Point = "multiPoint" | "preFilter" | "filter" | "postFilter" | "preScore" | "score" | "reserve" | "permit" | "preBind" | "bind" | "postBind";

export interface ProfileConfiguration {
  readonly schedulerName?: string;
  readonly plugins?: { readonly [P in Point]?: PluginSet };
  readonly pluginConfig?: readonly { readonly name: string; readonly args?: Readonly<Record<string, unknown>> }[];
}

/** What is read of a KubeSchedulerConfiguration. */
export interface SchedulerConfiguration {
  readonly profiles?: readonly ProfileConfiguration[];
  readonly extenders?: readonly ExtenderConfiguration[];
  readonly percentageOfNodesToScore?: number;
  readonly podInitialBackoffSeconds?: number;
  readonly podMaxBackoffSeconds?: number;
}

/** How a complete cluster's scheduler is set up. */
export interface SchedulerSettings {
  readonly configuration?: SchedulerConfiguration;
  /** One's own plugins by name, for profiles that enable them. */
  readonly plugins?: Readonly<Record<string, PluginFactory>>;
  /** Reaches extenders. */
  readonly fetch?: (request: Request) => Promise<Response>;
}

/** Throws for a configuration that cannot be: a plugin that nobody knows, a profile twice. */
export function schedulerOptions({ configuration = {}, plugins: own = {}, fetch }: SchedulerSettings = {}): Omit<SchedulerOptions, "transport" | "clock" | "random" | "log"> {
  const { profiles = [{}], extenders = [], percentageOfNodesToScore, podInitialBackoffSeconds, podMaxBackoffSeconds } = configuration;
  const made = profiles.map((profile) => profileOf(profile, { extenders, fetch, own }));
  const twice = made.find(({ schedulerName }, i) => made.findIndex((one) => one.schedulerName === schedulerName) !== i);
  if (twice !== undefined) throw new Error(`duplicated profile with scheduler name ${JSON.stringify(twice.schedulerName)}`);
  return {
    profiles: made, resources: ALL_RESOURCES,
    ...(percentageOfNodesToScore === undefined ? {} : { percentageOfNodesToScore }),
    ...(podInitialBackoffSeconds === undefined ? {} : { podInitialBackoffSeconds }),
    ...(podMaxBackoffSeconds === undefined ? {} : { podMaxBackoffSeconds }),
  };
}

/** Makes a plugin with its arguments: how one's own plugins are given, by their names. */
export type PluginFactory = (handle: Handle, args: Readonly<Record<string, unknown>>) => Plugin | readonly Plugin[];

/** The default plugins in their order; the volume plugins come as one. */
const FACTORIES: readonly (readonly [name: string, make: PluginFactory])[] = [
  ["NodeUnschedulable", () => nodeUnschedulable],
  ["NodeName", () => nodeName],
  ["TaintToleration", () => taintToleration],
  ["NodeAffinity", () => nodeAffinity],
  ["NodePorts", () => nodePorts],
  ["NodeResourcesFit", (_handle, args) => ({ ...nodeResourcesFit, score: fitStrategy(args) })],
  ["Volumes", (handle) => volumePlugins(handle)],
  ["PodTopologySpread", ({ informers }) => wholePodTopologySpread(informers)],
  ["InterPodAffinity", (handle, { hardPodAffinityWeight }) => interPodAffinity(handle, hardPodAffinityWeight as number | undefined)],
  ["DefaultPreemption", (handle, args) => defaultPreemption(handle, args as PreemptionArgs)],
  ["NodeResourcesBalancedAllocation", () => nodeResourcesBalancedAllocation],
  ["ImageLocality", ({ cache }) => imageLocality(cache)],
];

function profileOf(configuration: ProfileConfiguration, { extenders, fetch, own }: {
  readonly extenders: readonly ExtenderConfiguration[];
  readonly fetch: ((request: Request) => Promise<Response>) | undefined;
  readonly own: Readonly<Record<string, PluginFactory>>;
}): Profile {
  const { schedulerName = "default-scheduler", plugins: sets = {}, pluginConfig = [] } = configuration;
  const argsOf = (name: string): Readonly<Record<string, unknown>> => pluginConfig.find((one) => one.name === name)?.args ?? {};
  if (extenders.length > 0 && fetch === undefined) throw new Error("extenders: there is no way to reach them");
  return {
    schedulerName,
    extenders: extenders.map((one) => httpExtender(one, fetch!)),
    plugins(handle) {
      const defaults = FACTORIES.flatMap(([name, make]) => make(handle, argsOf(name)));
      return merge(defaults, sets, (name) => {
        const make = own[name];
        if (make === undefined) throw new Error(`plugin ${JSON.stringify(name)} is not registered`);
        return [make(handle, argsOf(name))].flat();
      });
    },
  };
}

/** Takes away and adds what the sets say, point by point. */
function merge(defaults: readonly Plugin[], sets: NonNullable<ProfileConfiguration["plugins"]>, find: (name: string) => readonly Plugin[]): Plugin[] {
  const { multiPoint = {}, ...points } = sets;
  const off = (set: PluginSet, name: string): boolean => set.disabled?.some((one) => one.name === "*" || one.name === name) === true;
  const made = new Map<string, readonly Plugin[]>();
  const named = (name: string): readonly Plugin[] => {
    const known = defaults.filter((plugin) => plugin.name === name);
    const list = made.get(name) ?? (known.length > 0 ? known : find(name));
    made.set(name, list);
    return list;
  };
  const weighed = (plugin: Plugin, weight: number | undefined): Plugin => (weight === undefined ? plugin : { ...plugin, weight });
  const enabled = (multiPoint.enabled ?? []).flatMap(({ name, weight }) => named(name).map((plugin) => weighed(plugin, weight)));
  const replaced = new Set(enabled.map(({ name }) => name));
  let all: Plugin[] = [...defaults.filter(({ name }) => !off(multiPoint, name) && !replaced.has(name)), ...enabled];
  for (const [point, set] of Object.entries(points) as [Exclude<Point, "multiPoint">, PluginSet][]) {
    all = all.map((plugin) => {
      if (!off(set, plugin.name) || set.enabled?.some(({ name }) => name === plugin.name) === true) return plugin;
      const { [point]: _, ...rest } = plugin;
      return rest as Plugin;
    });
    for (const { name, weight } of set.enabled ?? []) {
      const at = all.findIndex((plugin) => plugin.name === name);
      if (at >= 0) all[at] = weighed({ ...all[at]!, ...only(named(name)[0]!, point) }, weight);
      else all.push(...named(name).map((plugin) => weighed({ name: plugin.name, ...only(plugin, point), ...(plugin.events === undefined ? {} : { events: plugin.events }) }, weight)));
    }
  }
  return all;
}

/** One extension point of a plugin, with what belongs to it. */
function only(plugin: Plugin, point: Exclude<Point, "multiPoint">): Partial<Plugin> {
  const parts: readonly (keyof Plugin)[] = point === "score" ? ["score", "normalize", "preScore", "weight"] : point === "filter" ? ["filter", "preFilter", "addPod", "removePod"] : [point];
  return Object.fromEntries(parts.flatMap((part) => (plugin[part] === undefined ? [] : [[part, plugin[part]]])));
}

/** `scoringStrategy` of NodeResourcesFit's arguments. Follows least_allocated.go, most_allocated.go, requested_to_capacity_ratio.go. */
function fitStrategy({ scoringStrategy }: Readonly<Record<string, unknown>>): NonNullable<Plugin["score"]> {
  const { type = "LeastAllocated", requestedToCapacityRatio } = (scoringStrategy ?? {}) as {
    type?: string;
    requestedToCapacityRatio?: { shape?: readonly { utilization: number; score: number }[] };
  };
  if (type === "MostAllocated") return (cycle, node) => fitScore(cycle, node, (requested, capacity) => Math.floor((Math.min(requested, capacity) * MAX_SCORE) / capacity));
  if (type === "RequestedToCapacityRatio") {
    const shape = [...(requestedToCapacityRatio?.shape ?? [])].sort((a, b) => a.utilization - b.utilization);
    return (cycle, node) => fitScore(cycle, node, (requested, capacity) => onLine(shape, requested > capacity ? 100 : Math.floor((requested * 100) / capacity)));
  }
  if (type !== "LeastAllocated") throw new Error(`scoringStrategy: unsupported type ${JSON.stringify(type)}`);
  return nodeResourcesFit.score!;
}

/** The value at `utilization` on the broken line through the points, whose scores go to 10. Follows BuildBrokenLinearFunction. */
function onLine(shape: readonly { utilization: number; score: number }[], utilization: number): number {
  const scaled = (score: number): number => (score * MAX_SCORE) / 10;
  for (let i = 0; i < shape.length; i++) {
    const point = shape[i]!;
    if (utilization > point.utilization) continue;
    if (i === 0) return scaled(point.score);
    const before = shape[i - 1]!;
    const share = (utilization - before.utilization) / (point.utilization - before.utilization);
    return Math.trunc(scaled(before.score) + (scaled(point.score) - scaled(before.score)) * share);
  }
  return scaled(shape.at(-1)?.score ?? 0);
}
