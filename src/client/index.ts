/**
 * `kubewire/client`: what controllers of one's own are made of, the same that kubewire's own are: typed client, informers and listers, work
 * queue, reconcile. What `kubewire codegen` writes stands on it. Runs wherever there is an `ApiTransport`: `cluster.start` hands one out.
 */
export { createClient, type Client, type DeleteOptions, type List, type ListOptions, type PatchType, type ResourceClient } from "./client.ts";
export { done, prepareController, requeueAfter, runController, type Controller, type Result } from "./controller.ts";
export { createEventRecorder, type EventRecorder } from "./events.ts";
export { BY_OWNER, createInformer, createInformers, type EventHandler, type Informer, type InformerOptions, type Informers, type Lister } from "./informer.ts";
export { createManager, enqueueObject, enqueueOwner, type Manager, type ManagerOptions } from "./manager.ts";
export type { ApiRequest, ApiResponse, ApiTransport, WatchEvent } from "./transport.ts";
export { createWorkQueue, type WorkQueue } from "./workqueue.ts";
export { controllerOf, deepCopy, deepEqual, keyOf, newControllerRef, splitKey, type Draft, type KubeObject } from "../apimachinery/meta.ts";
export { ApiError, isAlreadyExists, isConflict, isExpired, isNotFound, type Status } from "../apimachinery/status.ts";
export type { Kinds, ResourceName } from "../api/resources.ts";
export type * from "../api/types.generated.ts";
export type { Logger } from "../log.ts";
export type { Clock, Random } from "../time/clock.ts";
