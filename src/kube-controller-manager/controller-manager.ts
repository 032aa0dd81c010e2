/**
 * The controller manager: shared informers and an explicit list of controllers.
 * Follows cmd/kube-controller-manager/app/controllermanager.go (NewControllerInitializers).
 */
import type { Resources } from "../api/resources.ts";
import { createClient, type Client } from "../client/client.ts";
import { runController } from "../client/controller.ts";
import type { Controller } from "../client/controller.ts";
import { createEventRecorder } from "../client/events.ts";
import { createInformers } from "../client/informer.ts";
import type { ApiTransport } from "../client/transport.ts";
import { createWorkQueue } from "../client/workqueue.ts";
import type { Logger } from "../log.ts";
import type { Clock, Random } from "../time/clock.ts";
import type { ControllerContext } from "./controller-context.ts";
import { CORE_CONTROLLERS } from "./core.ts";
import { isControllerEnabled, type ControllerInitializer, type ControllerSettings } from "./initializers.ts";

export interface ControllerManagerOptions extends ControllerSettings {
  transport: ApiTransport;
  clock: Clock;
  random: Random;
  log: Logger;
  /** The built-in controllers there are; default those that every cluster has. */
  known?: readonly ControllerInitializer[];
  /** `--controllers`: `*` for all that are on by default, `NAME` to turn one on, `-NAME` to turn it off. Default `["*"]`. Throws for unknown names. */
  controllers?: readonly string[];
  /** Whose client and log this is; default kube-controller-manager. */
  component?: string;
  /** What their client knows by name; default what every cluster serves. */
  resources?: Resources;
  /** Makes the accounts of the controllers named, when they start. */
  accounts?: (client: Client, controllers: readonly string[], signal: AbortSignal) => Promise<void>;
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
  const component = options.component ?? "kube-controller-manager";
  const random = options.random.fork(component);
  const log = options.log.with({ component });
  const client = createClient(options.transport, { userAgent: component, ...(options.resources === undefined ? {} : { resources: options.resources }) });
  const context: ControllerContext = {
    client,
    transport: options.transport,
    informers: createInformers(client, { clock, random, log }),
    clock,
    random,
    log,
    recorder: (component) => createEventRecorder(client, clock, log, { component }),
  };
  const { known = CORE_CONTROLLERS, controllers: wanted = ["*"] } = options;
  const names = new Set(known.map(({ name }) => name));
  for (const name of wanted) {
    const bare = name.startsWith("-") ? name.slice(1) : name;
    if (bare !== "*" && !names.has(bare)) throw new Error(`${JSON.stringify(bare)} is not in the list of known controllers`);
  }
  const enabled = known.filter((initializer) => isControllerEnabled(initializer, wanted));
  // The order of starting; they depend on each other only through the API.
  const controllers: readonly Controller[] = [
    ...enabled.map(({ make }) => make(context, options)),
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
      options.accounts?.(client, enabled.map(({ name }) => name), signal).catch((e: unknown) => {
        if (!signal.aborted) log.error("Unable to make the accounts of controllers", { err: e });
      });
      controllers.forEach((controller, i) => runController(controller, queues[i]!, log, signal));
    },
  };
}
