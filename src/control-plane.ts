/** The control plane's site: store, API server, controllers, scheduler, each reached only through the API. */
import type { KubeObject } from "./apimachinery/meta.ts";
import type { ApiTransport, Connection, HttpAnswer, HttpMessage } from "./client/transport.ts";
import type { Complete } from "./complete.ts";
import { createApiServer, stamp, type ServingOptions } from "./kube-apiserver/server.ts";
import { createControllerManager } from "./kube-controller-manager/controller-manager.ts";
import type { SchedulerSettings } from "./kube-scheduler/complete/configuration.ts";
import { createScheduler } from "./kube-scheduler/scheduler.ts";
import type { Logger } from "./log.ts";
import { createMemoryStorage } from "./storage/memory.ts";
import type { StorageEvent } from "./storage/storage.ts";
import type { Clock, Random } from "./time/clock.ts";

export interface ControlPlaneOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly clusterCidr: string;
  readonly serviceCidr: string;
  /** Keep every change of every object, for `eventLines`. */
  readonly recordEvents: boolean;
  /** `--controllers`, as of the controller manager; false for none, and no scheduler. */
  readonly controllers?: readonly string[] | false;
  /** Undefined: the core, what a cluster needs to run Deployments and Services. */
  readonly complete?: Complete | undefined;
  /** A complete cluster's scheduler. */
  readonly scheduler?: SchedulerSettings | undefined;
  /** How the API server meets clients from outside. */
  readonly serving?: ServingOptions | undefined;
}

export interface ControlPlane {
  readonly handle: ApiTransport;
  fetch(request: Request): Promise<Response>;
  /** `enter` is called before anything comes in by the connection. */
  serve(message: HttpMessage, connection?: Connection, enter?: () => void): Promise<HttpAnswer>;
  /** Starts controllers and scheduler. */
  start(): void;
  stop(): void;
  /** With `recordEvents`: every change of every object so far, in order of revision, as lines of JSON: revision, type (put, delete), key, object. */
  eventLines(): string[];
}

export const createControlPlane = (options: ControlPlaneOptions): ControlPlane => {
  const { clock, random, log, clusterCidr, serviceCidr } = options;
  const storage = createMemoryStorage<KubeObject>({ stamp });
  const events: StorageEvent<KubeObject>[] = [];
  if (options.recordEvents) storage.watch("", 0, { event: (event) => void events.push(event) });
  const { complete, controllers: wanted = ["*"] } = options;
  const served = complete === undefined ? {} : { extension: complete.extension, parseYaml: complete.parseYaml };
  const server = createApiServer({ ...served, ...options.serving, clock, random, log, storage, serviceCidr });
  const deps = { transport: server.handle, clock, log };
  const controllers = createControllerManager({ ...deps, random: random.fork("kube-controller-manager"), clusterCidr,
    ...(wanted === false ? {} : { controllers: wanted }),
    ...(complete === undefined ? {} : { known: complete.controllers, resources: complete.resources, accounts: complete.accounts }),
  });
  const scheduler = createScheduler({ ...deps, random: random.fork("kube-scheduler"), ...complete?.scheduler(options.scheduler) });
  const running = new AbortController();
  return {
    handle: server.handle,
    fetch: server.fetch,
    serve: server.serve,
    start() {
      if (wanted === false) return;
      for (const component of [controllers, scheduler]) {
        component.start(running.signal).catch((error: unknown) => {
          if (!running.signal.aborted) log.error("a component of the control plane did not start", { err: String(error) });
        });
      }
    },
    stop: () => running.abort(new Error("control plane stopped")),
    eventLines: () => events.map(eventLine),
  };
};

const eventLine = ({ revision, type, key, kv, previous }: StorageEvent<KubeObject>): string =>
  JSON.stringify({ revision, type, key, object: (kv ?? previous)?.value });
