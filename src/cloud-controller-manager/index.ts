/** The cloud controller manager: the controllers that ask a cloud. Follows cmd/cloud-controller-manager and k8s.io/cloud-provider/app. */
import type { Controller } from "../client/controller.ts";
import { createControllerManager, type ControllerManager, type ControllerManagerOptions } from "../kube-controller-manager/controller-manager.ts";
import type { ControllerContext } from "../kube-controller-manager/controller-context.ts";
import type { ControllerInitializer } from "../kube-controller-manager/initializers.ts";
import { newBoxCloud, type CloudProvider } from "./cloud.ts";
import { newCloudNodeController, newCloudNodeLifecycleController, newRouteController } from "./nodes.ts";
import { newServiceController } from "./service.ts";

export { newBoxCloud } from "./cloud.ts";
export type { CloudProvider, Instances, LoadBalancers, Route, Routes } from "./cloud.ts";

/** What there is to control of this cloud. */
export function cloudControllers({ instances, loadBalancers, routes }: CloudProvider): readonly ControllerInitializer[] {
  const out: ControllerInitializer[] = [];
  const add = (name: string, make: (context: ControllerContext) => Controller): void => void out.push({ name, make });
  if (instances !== undefined) {
    add("cloud-node-controller", (context) => newCloudNodeController(context, instances));
    add("cloud-node-lifecycle-controller", (context) => newCloudNodeLifecycleController(context, instances));
  }
  if (loadBalancers !== undefined) add("service-lb-controller", (context) => newServiceController(context, loadBalancers));
  if (routes !== undefined) add("node-route-controller", (context) => newRouteController(context, routes));
  return out;
}

/** `box`: the cloud in the box. */
export function createCloudControllerManager(cloud: CloudProvider | "box", options: Omit<ControllerManagerOptions, "known" | "accounts">): ControllerManager {
  return createControllerManager({ ...options, random: options.random.fork("cloud-controller-manager"), known: cloudControllers(cloud === "box" ? newBoxCloud() : cloud), component: "cloud-controller-manager" });
}
