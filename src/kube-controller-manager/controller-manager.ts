/**
 * The controller manager: shared informers and an explicit list of controllers.
 * Follows cmd/kube-controller-manager/app/controllermanager.go (NewControllerInitializers).
 */
import { createClient } from "../client/client.ts";
import { runController } from "../client/controller.ts";
import type { Controller } from "../client/controller.ts";
import { createEventRecorder } from "../client/events.ts";
import { createInformers } from "../client/informer.ts";
import type { ApiTransport } from "../client/transport.ts";
import { createWorkQueue } from "../client/workqueue.ts";
import type { Logger } from "../log.ts";
import type { Clock, Random } from "../time/clock.ts";
import type { ControllerContext } from "./controller-context.ts";
import { newDeploymentController } from "./deployment/index.ts";
import { newEndpointSliceController } from "./endpointslice/index.ts";
import { newGarbageCollector } from "./garbagecollector/index.ts";
import { newNamespaceController } from "./namespace/index.ts";
import { newNodeIpamController } from "./nodeipam/index.ts";
import type { NodeIpamOptions } from "./nodeipam/index.ts";
import { newNodeLifecycleController } from "./nodelifecycle/index.ts";
import { newReplicaSetController } from "./replicaset/index.ts";

export interface ControllerManagerOptions extends NodeIpamOptions {
  transport: ApiTransport;
  clock: Clock;
  random: Random;
  log: Logger;
  /** Users' own controllers, run beside the built-in ones. */
  extra?: readonly ((context: ControllerContext) => Controller)[];
}

export interface ControllerManager {
  readonly context: ControllerContext;
  readonly controllers: readonly Controller[];
  /** Starts informers and controllers; resolves when the caches have synced and the workers run. */
  start(signal: AbortSignal): Promise<void>;
}

export function createControllerManager(options: ControllerManagerOptions): ControllerManager {
  const { clock } = options;
  const random = options.random.fork("kube-controller-manager");
  const log = options.log.with({ component: "kube-controller-manager" });
  const client = createClient(options.transport, { userAgent: "kube-controller-manager" });
  const context: ControllerContext = {
    client,
    informers: createInformers(client, { clock, random, log }),
    clock,
    random,
    log,
    recorder: (component) => createEventRecorder(client, clock, log, { component }),
  };
  // The order of starting; they depend on each other only through the API.
  const controllers: readonly Controller[] = [
    newNodeIpamController(context, options),
    newNodeLifecycleController(context),
    newNamespaceController(context),
    newReplicaSetController(context),
    newDeploymentController(context),
    newEndpointSliceController(context),
    newGarbageCollector(context),
    ...(options.extra ?? []).map((make) => make(context)),
  ];
  return {
    context,
    controllers,
    async start(signal) {
      const queues = controllers.map((controller) => {
        const queue = createWorkQueue(clock);
        controller.setup(queue);
        return queue;
      });
      context.informers.start(signal);
      await context.informers.waitForSync();
      const shutDown = (): void => {
        for (const queue of queues) queue.shutDown();
      };
      if (signal.aborted) shutDown();
      else signal.addEventListener("abort", shutDown, { once: true });
      controllers.forEach((controller, i) => runController(controller, queues[i]!, log, signal));
    },
  };
}
