/**
 * What makes a cluster complete: every built-in kind, every controller and the whole scheduler. A value that `clusterOn` loads when it is wanted, so that a page
 * which only runs a few pods does not.
 */
import { parse } from "yaml";
import { ALL_RESOURCES } from "./api/more-resources.ts";
import type { Resources } from "./api/resources.ts";
import { electLeader } from "./client/leader-election.ts";
import { createCloudControllerManager } from "./cloud-controller-manager/index.ts";
import { complete as extension } from "./kube-apiserver/complete/index.ts";
import type { Extension } from "./kube-apiserver/extension.ts";
import type { ParseYaml } from "./kube-apiserver/http.ts";
import { makeAccounts } from "./kube-controller-manager/accounts.ts";
import { ALL_CONTROLLERS } from "./kube-controller-manager/all.ts";
import type { ControllerManagerOptions } from "./kube-controller-manager/controller-manager.ts";
import type { ControllerInitializer } from "./kube-controller-manager/initializers.ts";
import { schedulerOptions } from "./kube-scheduler/complete/configuration.ts";

export interface Complete {
  readonly extension: Extension;
  readonly parseYaml: ParseYaml;
  readonly controllers: readonly ControllerInitializer[];
  readonly resources: Resources;
  /** Makes the accounts of the controllers named. */
  readonly accounts: ControllerManagerOptions["accounts"] & {};
  readonly scheduler: typeof schedulerOptions;
  /** Resolves when the Lease of a component is held. */
  readonly elect: typeof electLeader;
  readonly cloudControllerManager: typeof createCloudControllerManager;
}

export const complete: Complete = {
  extension,
  parseYaml: parse as ParseYaml,
  controllers: ALL_CONTROLLERS,
  resources: ALL_RESOURCES,
  accounts: makeAccounts,
  scheduler: schedulerOptions,
  elect: electLeader,
  cloudControllerManager: createCloudControllerManager,
};
