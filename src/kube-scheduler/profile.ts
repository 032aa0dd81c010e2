/** The scheduler of every cluster: what pods of Deployments need. */
import { nodeAffinity, nodeName, nodePorts, nodeUnschedulable, taintToleration } from "./plugins/node.ts";
import { nodeResourcesBalancedAllocation, nodeResourcesFit } from "./plugins/resources.ts";
import { podTopologySpread } from "./plugins/topology-spread.ts";
import type { Profile } from "./scheduler.ts";

export const coreProfile: Profile = {
  schedulerName: "default-scheduler",
  // Filters run in this order, and the first that refuses names the reason.
  plugins: ({ informers }) => [
    nodeUnschedulable, nodeName, taintToleration, nodeAffinity, nodePorts, nodeResourcesFit,
    podTopologySpread(informers), nodeResourcesBalancedAllocation,
  ],
};
