/** How the controller manager knows its controllers: a name and how to make it. Follows cmd/kube-controller-manager/app (ControllerDescriptor). */
import type { Controller } from "../client/controller.ts";
import type { ControllerContext } from "./controller-context.ts";
import type { CertificateOptions } from "./certificates/index.ts";
import type { EndpointSliceOptions } from "./endpointslice/controller.ts";
import type { NodeIpamOptions } from "./nodeipam/index.ts";
import type { NodeLifecycleOptions } from "./nodelifecycle/monitor.ts";

/** The options of all controllers together. */
export interface ControllerSettings extends NodeIpamOptions, NodeLifecycleOptions, EndpointSliceOptions, CertificateOptions {
  /** `--root-ca-file`, PEM: what pods trust; without it they are told of none. */
  rootCA?: string;
  /** `--terminated-pod-gc-threshold` (default 12500; 0 or less: never). */
  terminatedPodGCThreshold?: number;
  /** `--resource-quota-sync-period` (default five minutes). */
  resourceQuotaSyncPeriodMs?: number;
}

export interface ControllerInitializer {
  /** Upstream's name for `--controllers`, such as `statefulset-controller`. */
  readonly name: string;
  /** Started only when asked for by name (ControllersDisabledByDefault). */
  readonly offByDefault?: boolean;
  make(context: ControllerContext, settings: ControllerSettings): Controller;
}

/** Follows k8s.io/controller-manager/pkg/genericcontrollermanager.IsControllerEnabled. */
export function isControllerEnabled({ name, offByDefault = false }: ControllerInitializer, wanted: readonly string[]): boolean {
  for (const entry of wanted) {
    if (entry === name) return true;
    if (entry === `-${name}`) return false;
  }
  return wanted.includes("*") && !offByDefault;
}
