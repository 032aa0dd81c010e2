/** The controllers of workloads that only a complete cluster has. */
import { newCronJobController } from "./cronjob/index.ts";
import { newDaemonSetController } from "./daemon/index.ts";
import type { ControllerInitializer } from "./initializers.ts";
import { newDisruptionController } from "./disruption/index.ts";
import { newJobController } from "./job/index.ts";
import { newHorizontalPodAutoscaler } from "./podautoscaler/index.ts";
import { newReplicationController } from "./replication/index.ts";
import { newStatefulSetController } from "./statefulset/index.ts";
import { newTTLAfterFinishedController } from "./ttlafterfinished/index.ts";

export const WORKLOAD_CONTROLLERS: readonly ControllerInitializer[] = [
  { name: "replicationcontroller-controller", make: newReplicationController },
  { name: "statefulset-controller", make: newStatefulSetController },
  { name: "daemonset-controller", make: newDaemonSetController },
  { name: "job-controller", make: newJobController },
  { name: "cronjob-controller", make: newCronJobController },
  { name: "disruption-controller", make: newDisruptionController },
  { name: "horizontal-pod-autoscaler-controller", make: newHorizontalPodAutoscaler },
  { name: "ttl-after-finished-controller", make: newTTLAfterFinishedController },
];
