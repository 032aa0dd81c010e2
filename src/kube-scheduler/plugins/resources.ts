/**
 * NodeResourcesFit (filter, LeastAllocated score) and NodeResourcesBalancedAllocation.
 * Follows pkg/scheduler/framework/plugins/noderesources (fit.go, least_allocated.go, balanced_allocation.go).
 */
import { MAX_SCORE } from "../framework.ts";
import type { NodeInfo, Plugin } from "../framework.ts";

const DEFAULT_PODS = 110;

export const nodeResourcesFit: Plugin = {
  name: "NodeResourcesFit",
  weight: 1,
  filter({ info }, node) {
    const reasons: string[] = [];
    if (node.pods.size + 1 > (node.allocatable.get("pods") ?? (node.allocatable.size === 0 ? 0 : DEFAULT_PODS))) reasons.push("Too many pods");
    for (const name of ["cpu", "memory", "ephemeral-storage"]) if (lacks(info.requests.get(name), node, name)) reasons.push(`Insufficient ${name}`);
    for (const [name, value] of info.requests)
      if (name !== "cpu" && name !== "memory" && name !== "ephemeral-storage" && name !== "pods" && lacks(value, node, name)) reasons.push(`Insufficient ${name}`);
    return reasons.length === 0 ? undefined : { reasons, unresolvable: false };
  },
  score({ info }, node) {
    const cpu = leastRequested(node.nonZeroCpu + info.nonZeroCpu, node.allocatable.get("cpu") ?? 0);
    const memory = leastRequested(node.nonZeroMemory + info.nonZeroMemory, node.allocatable.get("memory") ?? 0);
    const known = Number((node.allocatable.get("cpu") ?? 0) > 0) + Number((node.allocatable.get("memory") ?? 0) > 0);
    return known === 0 ? 0 : Math.floor((cpu + memory) / known);
  },
};

function lacks(request: number | undefined, node: NodeInfo, name: string): boolean {
  return request !== undefined && request > 0 && request > (node.allocatable.get(name) ?? 0) - (node.requested.get(name) ?? 0);
}

/** Follows leastRequestedScore. */
function leastRequested(requested: number, capacity: number): number {
  return capacity === 0 || requested > capacity ? 0 : Math.floor(((capacity - requested) * MAX_SCORE) / capacity);
}

export const nodeResourcesBalancedAllocation: Plugin = {
  name: "NodeResourcesBalancedAllocation",
  weight: 1,
  score({ info }, node) {
    const fractions: number[] = [];
    for (const name of ["cpu", "memory"]) {
      const capacity = node.allocatable.get(name) ?? 0;
      if (capacity > 0) fractions.push(Math.min(1, ((node.requested.get(name) ?? 0) + (info.requests.get(name) ?? 0)) / capacity));
    }
    // The standard deviation of two values is half their distance.
    const deviation = fractions.length === 2 ? Math.abs((fractions[0]! - fractions[1]!) / 2) : 0;
    return Math.floor((1 - deviation) * MAX_SCORE);
  },
};
