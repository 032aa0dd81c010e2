/** The control plane's site: store, API server, controllers, scheduler, each reached only through the API. */
import type { KubeObject } from "./apimachinery/meta.ts";
import type { ApiTransport, Connection, HttpAnswer, HttpMessage } from "./client/transport.ts";
import type { CloudProvider } from "./cloud-controller-manager/cloud.ts";
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
  /** `--leader-elect` of a complete cluster's components (default no). */
  readonly leaderElect?: boolean | undefined;
  /** The controller manager's `--root-ca-file`, PEM. */
  readonly rootCA?: string | undefined;
  /** A complete cluster's cloud; without, nothing waits for one but Services of type LoadBalancer. */
  readonly cloud?: CloudProvider | "box" | undefined;
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
    ...(wanted === false ? {} : { controllers: wanted }), ...(options.rootCA === undefined ? {} : { rootCA: options.rootCA }),
    ...(complete === undefined ? {} : { known: complete.controllers, resources: complete.resources, accounts: complete.accounts }),
  });
  const scheduler = createScheduler({ ...deps, random: random.fork("kube-scheduler"), ...complete?.scheduler(options.scheduler) });
  const running = new AbortController();
  /** With leader election a component works as long as it holds its Lease. */
  const run = async (name: string, component: { start(signal: AbortSignal): Promise<void> }): Promise<void> => {
    if (options.leaderElect !== true || complete === undefined) return component.start(running.signal);
    const leading = new AbortController();
    const end = (): void => leading.abort(new Error(`${name} does not lead any more`));
    running.signal.addEventListener("abort", end, { once: true });
    await complete.elect({ ...deps, random: random.fork(name), name }, end, running.signal);
    await component.start(leading.signal);
  };
  return {
    handle: server.handle,
    fetch: server.fetch,
    serve: server.serve,
    start() {
      if (wanted === false) return;
      const cloud = options.cloud === undefined ? undefined : complete?.cloudControllerManager(options.cloud, { ...deps, random: random.fork("cloud-controller-manager"), resources: complete.resources });
      for (const [name, component] of [["kube-controller-manager", controllers], ["kube-scheduler", scheduler], ["cloud-controller-manager", cloud]] as const) {
        if (component === undefined) continue;
        run(name, component).catch((error: unknown) => {
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
