/** The controllers of workloads that a complete cluster has beside, or instead of, the core's. */
import { newCronJobController } from "./cronjob/index.ts";
import { newDaemonSetController } from "./daemon/index.ts";
import type { ControllerInitializer } from "./initializers.ts";
import { newDeploymentController } from "./deployment/index.ts";
import { tellOfRefused } from "./deployment/refused.ts";
import { newDisruptionController } from "./disruption/index.ts";
import { newJobController } from "./job/index.ts";
import { newHorizontalPodAutoscaler } from "./podautoscaler/index.ts";
import { newReplicationController } from "./replication/index.ts";
import { newStatefulSetController } from "./statefulset/index.ts";
import { templateHash } from "./template-hash.ts";
import { newTTLAfterFinishedController } from "./ttlafterfinished/index.ts";

export const WORKLOAD_CONTROLLERS: readonly ControllerInitializer[] = [
  // The core's, but with the hashes of a real cluster in the names of ReplicaSets.
  { name: "deployment-controller", make: (context, settings) => newDeploymentController(context, settings, templateHash, tellOfRefused(context)) },
  { name: "replicationcontroller-controller", make: newReplicationController },
  { name: "statefulset-controller", make: newStatefulSetController },
  { name: "daemonset-controller", make: newDaemonSetController },
  { name: "job-controller", make: newJobController },
  { name: "cronjob-controller", make: newCronJobController },
  { name: "disruption-controller", make: newDisruptionController },
  { name: "horizontal-pod-autoscaler-controller", make: newHorizontalPodAutoscaler },
  { name: "ttl-after-finished-controller", make: newTTLAfterFinishedController },
];
