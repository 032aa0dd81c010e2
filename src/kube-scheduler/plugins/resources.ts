/**
 * NodeResourcesFit (filter, LeastAllocated score) and NodeResourcesBalancedAllocation.
 * Follows pkg/scheduler/framework/plugins/noderesources (fit.go, least_allocated.go, balanced_allocation.go).
 */
import type { Node } from "../../api/types.generated.ts";
import { MAX_SCORE } from "../framework.ts";
import type { Cycle, EventRegistration, NodeInfo, Plugin, Rejection } from "../framework.ts";

const NAME = "NodeResourcesFit";

const refused = (...reasons: string[]): Rejection => ({ reasons, unresolvable: false, plugin: NAME });
// Made once: on a full cluster every node gives one of them.
const TOO_MANY_PODS = refused("Too many pods");
const NO_CPU = refused("Insufficient cpu");
const NO_MEMORY = refused("Insufficient memory");

export const fitEvents: readonly EventRegistration[] = [
  { resource: "AssignedPod", actions: ["Delete", "Update"] },
  { resource: "Node", actions: ["Add", "UpdateAllocatable"] },
];

export const nodeResourcesFit: Plugin = {
  name: NAME,
  weight: 1,
  events: fitEvents,
  filter: ({ info: { requests } }, node) => {
    const { requested, allocatable } = node;
    const tooMany = node.pods.size + 1 > node.podsMax;
    const cpu = requests.cpu > 0 && requests.cpu > allocatable.cpu - requested.cpu;
    const memory = requests.memory > 0 && requests.memory > allocatable.memory - requested.memory;
    const plain = requests.storage === 0 && requests.scalars === undefined;
    if (plain && Number(tooMany) + Number(cpu) + Number(memory) <= 1) return tooMany ? TOO_MANY_PODS : cpu ? NO_CPU : memory ? NO_MEMORY : undefined;
    const reasons: string[] = [];
    if (tooMany) reasons.push("Too many pods");
    if (cpu) reasons.push("Insufficient cpu");
    if (memory) reasons.push("Insufficient memory");
    if (requests.storage > 0 && requests.storage > allocatable.storage - requested.storage) reasons.push("Insufficient ephemeral-storage");
    for (const [name, value] of requests.scalars ?? []) {
      if (value > 0 && value > (allocatable.scalars?.get(name) ?? 0) - (requested.scalars?.get(name) ?? 0)) reasons.push(`Insufficient ${name}`);
    }
    return reasons.length === 0 ? undefined : refused(...reasons);
  },
  score: (cycle, node) => fitScore(cycle, node, leastRequested),
};

/** The mean of cpu's and memory's scores, those of them that the node has. */
export function fitScore({ info }: Cycle, node: NodeInfo, of: (requested: number, capacity: number) => number): number {
  const { cpu, memory } = node.allocatable;
  const known = Number(cpu > 0) + Number(memory > 0);
  if (known === 0) return 0;
  const scores = (cpu > 0 ? of(node.nonZeroCpu + info.nonZeroCpu, cpu) : 0) + (memory > 0 ? of(node.nonZeroMemory + info.nonZeroMemory, memory) : 0);
  return Math.floor(scores / known);
}

/** Follows leastRequestedScore. */
const leastRequested = (requested: number, capacity: number): number =>
  requested > capacity ? 0 : Math.floor(((capacity - requested) * MAX_SCORE) / capacity);

export const nodeResourcesBalancedAllocation: Plugin = {
  name: "NodeResourcesBalancedAllocation",
  weight: 1,
  score({ info: { requests } }, { allocatable, requested }) {
    if (allocatable.cpu === 0 || allocatable.memory === 0) return MAX_SCORE;
    // The standard deviation of two fractions is half their distance.
    const cpu = Math.min(1, (requested.cpu + requests.cpu) / allocatable.cpu);
    const memory = Math.min(1, (requested.memory + requests.memory) / allocatable.memory);
    return Math.floor((1 - Math.abs(cpu - memory) / 2) * MAX_SCORE);
  },
};

/** Whether the nodes' allocatable amounts differ, which is what frees or takes room. */
export const allocatableChanged = (old: Node, now: Node): boolean => {
  const [before, after] = [old.status.allocatable ?? {}, now.status.allocatable ?? {}];
  return Object.keys({ ...before, ...after }).some((name) => before[name] !== after[name]);
};
