/**
 * Controllers that share a client, informers and a clock, started together. Follows sigs.k8s.io/controller-runtime/pkg/manager and
 * pkg/handler (EnqueueRequestForObject, EnqueueRequestForOwner).
 */
import { controllerOf, keyOf } from "../apimachinery/meta.ts";
import type { KubeObject } from "../apimachinery/meta.ts";
import type { Kinds } from "../api/resources.ts";
import { ALL_RESOURCES } from "../api/more-resources.ts";
import type { Logger } from "../log.ts";
import type { Clock, Random } from "../time/clock.ts";
import { createClient } from "./client.ts";
import type { Client, ResourceClient } from "./client.ts";
import { runController } from "./controller.ts";
import type { Controller } from "./controller.ts";
import { createEventRecorder } from "./events.ts";
import type { EventRecorder } from "./events.ts";
import { createInformer } from "./informer.ts";
import type { EventHandler, Informer } from "./informer.ts";
import type { ApiTransport } from "./transport.ts";
import { createWorkQueue } from "./workqueue.ts";
import type { WorkQueue } from "./workqueue.ts";

/** Where controllers run: what `cluster.start` hands out. */
export interface ManagerOptions {
  readonly transport: ApiTransport;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Ends everything. */
  readonly signal: AbortSignal;
  /** Who they are to the API server: the manager of the fields that they set, and the source of their events. */
  readonly name: string;
}

export interface Manager {
  readonly client: Client;
  readonly clock: Clock;
  readonly log: Logger;
  readonly events: EventRecorder;
  /** The shared informer of a built-in kind, or of one's own by its client; each is made once. */
  informer<K extends keyof Kinds>(kind: K): Informer<Kinds[K]>;
  informer<T extends KubeObject>(resource: ResourceClient<T>): Informer<T>;
  /** Before {@link start}. */
  add(controller: Controller): void;
  /** Starts informers, and the controllers when all of those have synced. */
  start(): Promise<void>;
}

export function createManager({ transport, clock, random, log, signal, name }: ManagerOptions): Manager {
  const client = createClient(transport, { userAgent: name, resources: ALL_RESOURCES });
  const informers = new Map<string, Informer<KubeObject>>();
  const controllers: { controller: Controller; queue: WorkQueue }[] = [];
  const informer = (what: keyof Kinds | ResourceClient<KubeObject>): Informer<KubeObject> => {
    const resource = typeof what === "string" ? (client[what] as unknown as ResourceClient<KubeObject>) : what;
    const { group, version, resource: plural } = resource.resource;
    const key = `${group}/${version}/${plural}`;
    let made = informers.get(key);
    if (made === undefined) informers.set(key, (made = createInformer(resource, { clock, random, log })));
    return made;
  };
  return {
    client, clock, log,
    events: createEventRecorder(client, clock, log, { component: name }),
    informer: informer as Manager["informer"],
    add(controller) {
      const queue = createWorkQueue(clock);
      controller.setup(queue);
      controllers.push({ controller, queue });
    },
    async start() {
      signal.addEventListener("abort", () => {
        for (const { queue } of controllers) queue.shutDown();
      }, { once: true });
      for (const one of informers.values()) one.start(signal);
      await Promise.all([...informers.values()].map((one) => one.synced));
      for (const { controller, queue } of controllers) runController(controller, queue, log, signal);
    },
  };
}

/** Puts every object that is added, changed or deleted into the queue. */
export function enqueueObject(queue: WorkQueue): EventHandler<KubeObject> {
  const add = (object: KubeObject): void => queue.add(keyOf(object));
  return { add, update: add, delete: add };
}

/** Puts the controlling owner of this kind of every object that is added, changed or deleted into the queue; before a change, too. */
export function enqueueOwner(queue: WorkQueue, owner: { readonly group: string; readonly kind: string }): EventHandler<KubeObject> {
  const add = (object: KubeObject): void => {
    const reference = controllerOf(object);
    if (reference?.kind !== owner.kind || reference.apiVersion.split("/").slice(0, -1).join("/") !== owner.group) return;
    const { namespace } = object.metadata;
    queue.add(namespace === undefined ? reference.name : `${namespace}/${reference.name}`);
  };
  return {
    add,
    update(object, old) {
      add(old);
      add(object);
    },
    delete: add,
  };
}
