/** The controllers of every cluster: what Deployments, Services, nodes and namespaces need. */
import { newDeploymentController } from "./deployment/index.ts";
import { newEndpointSliceController } from "./endpointslice/index.ts";
import { newGarbageCollector } from "./garbagecollector/index.ts";
import type { ControllerInitializer } from "./initializers.ts";
import { newNamespaceController } from "./namespace/index.ts";
import { newNodeIpamController } from "./nodeipam/index.ts";
import { newNodeLifecycleController } from "./nodelifecycle/index.ts";
import { newReplicaSetController } from "./replicaset/index.ts";

export const CORE_CONTROLLERS: readonly ControllerInitializer[] = [
  { name: "node-ipam-controller", make: newNodeIpamController },
  { name: "node-lifecycle-controller", make: newNodeLifecycleController },
  { name: "namespace-controller", make: newNamespaceController },
  { name: "replicaset-controller", make: newReplicaSetController },
  { name: "deployment-controller", make: newDeploymentController },
  { name: "endpointslice-controller", make: newEndpointSliceController },
  { name: "garbage-collector-controller", make: newGarbageCollector },
];
