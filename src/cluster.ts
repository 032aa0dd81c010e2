/**
 * The composition root: a cluster out of a platform. Builds the sites (the embedding program, the control plane, the nodes), the
 * underlay between them and the loop that takes them through time, and offers what a user does with a cluster.
 */
import { apply } from "./api/apply.ts";
import { systemObjects } from "./addons.ts";
import { newSiteTransport, serveSiteApi } from "./client/site-transport.ts";
import { RESOURCES, resourceFor, type Resources } from "./api/resources.ts";
import type { KubeObject } from "./apimachinery/meta.ts";
import { createClient, type Client } from "./client/client.ts";
import { isReady } from "./client/ready.ts";
import type { ApiTransport, Connection, HttpAnswer, HttpMessage } from "./client/transport.ts";
import type { CloudProvider } from "./cloud-controller-manager/cloud.ts";
import { createControlPlane, type ControlPlane } from "./control-plane.ts";
import { addNodes, type CrewCalls, type CrewStart, type NodeFigures } from "./crew.ts";
import type { Image } from "./cri/program.ts";
import { newKernelMemory } from "./kernel/memory.ts";
import { silent, type Logger } from "./log.ts";
import type { ExecAnswer, ExecRequest, NodeSettings, NodeSpec } from "./node-site.ts";
import type { SchedulerSettings } from "./kube-scheduler/complete/configuration.ts";
import type { Platform } from "./platform.ts";
import type { ServingOptions } from "./kube-apiserver/server.ts";
import { SITE_API_LATENCY_NS } from "./time/costs.ts";
import { hopOf } from "./time/loading.ts";
import { BETWEEN, LocalCrew, Loop } from "./time/loop.ts";
import type { Pacer } from "./time/pacer.ts";
import type { Clock, Random } from "./time/clock.ts";
import { newRandom } from "./time/random.ts";
import { Site } from "./time/site.ts";
import { RemoteCrew } from "./time/workers.ts";
import type { ObserveOptions, Observations } from "./trace/observer.ts";
import { defaultLink, UnderlaySwitch, type LinkOptions, type LinkStats, type UnderlayFrame } from "./underlay/switch.ts";

export interface ClusterOptions {
  /** How many nodes; default 3. They are called node-1, node-2 … */
  readonly nodes?: number;
  /** Decides everything that is left to chance; default 1. */
  readonly seed?: number;
  /** Threads for the nodes beside this one; default 0: all in this thread. The results are the same. */
  readonly workers?: number;
  /** Kernel memory: shared by all threads, or plain. Default: what the runtime has. Workers do without sharing, too. */
  readonly memory?: "shared" | "plain";
  /** The links between the nodes' NICs and the underlay switch. */
  readonly link?: Partial<LinkOptions>;
  /** Unix time of the first instant, in ms; default 2025-01-01T00:00:00Z. */
  readonly epochMs?: number;
  /**
   * Whether time passes while something is waited for (`virtual`, the default), or as the wall clock goes, all the time until
   * `close`. The nodes come up in virtual time either way.
   */
  readonly time?: "virtual" | "real";
  /**
   * `complete` (the default): every built-in kind and controller. `core`: what Deployments and Services need; a page loads less, and
   * it boots sooner.
   */
  readonly components?: "complete" | "core";
  /**
   * `--controllers` of the controller manager: `*` for all that are on by default (the default), `NAME` to turn one on, `-NAME` to turn
   * it off. False: none, and no scheduler.
   */
  readonly controllers?: readonly string[] | false;
  /**
   * `--leader-elect`: the components of a complete cluster hold Leases in kube-system, which they renew every two seconds. By default they
   * do so in real time; in virtual time, where nobody else can take them, only when asked.
   */
  readonly leaderElect?: boolean;
  /** The controller manager's `--root-ca-file`, PEM: what the pods of a complete cluster find as kube-root-ca.crt. Without, that is empty: nobody serves TLS. */
  readonly rootCA?: string;
  /** A cloud for the cloud controller manager of a complete cluster: one's own, or the one in the box. Without, there is none. */
  readonly cloud?: CloudProvider | "box";
  /** Profiles, plugins and extenders of a complete cluster's scheduler. */
  readonly scheduler?: SchedulerSettings;
  /** How `fetch` serves the API. */
  readonly serving?: ServingOptions;
  /**
   * kube-apiserver v1.32's flags by their names, `{ "service-cluster-ip-range": "10.0.0.0/16" }`: for a complete cluster. Those of listening are
   * for who serves it. Unknown ones and bad values reject as pflag would say.
   */
  readonly apiServer?: Readonly<Record<string, unknown>>;
  /** More images, found before the in-box ones. Only with `workers: 0`: programs do not travel between threads. */
  readonly images?: readonly Image[];
  /** Whether pods of images that nobody has run all the same: they answer HTTP on their containerPorts, 200 with the pod's name. Default false; of complete clusters. */
  readonly anyImage?: boolean;
  readonly observe?: ObserveOptions;
  readonly log?: Logger;
}

/** A file of YAML; its name stands in errors. */
export interface ManifestFile {
  readonly name: string;
  readonly text: string;
}

/** Enough of an object to find it. */
export interface Identity {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string | undefined };
}

export interface ExecResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface PodName {
  readonly namespace?: string;
  readonly pod: string;
  readonly container?: string;
}

/** What a component of one's own lives on: the API as it is reached from where it runs, and the cluster's time and chance. */
export interface ComponentContext {
  readonly transport: ApiTransport;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Aborts when it is to stop. */
  readonly signal: AbortSignal;
}

/** The end of a wire that is plugged into the underlay switch. */
export interface UnderlayPlug {
  /** Throws RangeError for what is no frame of that network: shorter than its header, longer than its MTU and a VLAN tag. */
  send(frame: Uint8Array): void;
  readonly stats: LinkStats;
  unplug(): void;
}

/**
 * A running cluster in virtual time. Time passes only while one of these calls is waited for, and one is at a time: call after
 * call. Every call rejects once a worker of the cluster has died.
 */
export interface Cluster {
  readonly nodes: readonly { readonly name: string; readonly address: string }[];
  /** Unix time, in ms, of the cluster's first instant. */
  readonly epochMs: number;
  /** Nanoseconds of virtual time since the cluster was created. */
  nowNs(): number;
  /** Lets `ms` of virtual time pass. */
  advance(ms: number): Promise<void>;
  /** Runs everything up to (not including) this instant. */
  runTo(timeNs: number): Promise<void>;
  /** One request to the API server, as its administrator. */
  readonly api: ApiTransport;
  /**
   * One HTTP request to the API server, at once and without the way to it. With `time: "real"` only: in virtual time nobody
   * would drive what it sets going. Resolves with a stream for a watch.
   */
  fetch(request: Request): Promise<Response>;
  /**
   * The same below `fetch`, for servers of their own. With the `connection` of a request that asks for another protocol (WebSocket: exec,
   * attach, port-forward), an answer with status 101 says that it has been taken over.
   */
  serve(message: HttpMessage, connection?: Connection): Promise<HttpAnswer>;
  /** The typed client over `api`. */
  readonly client: Client;
  /** Runs the cluster until `work` is done: for anything that waits for more than one answer, such as a watch. */
  drive<T>(work: (client: Client) => Promise<T>): Promise<T>;
  /**
   * Creates or updates what YAML (one or more documents, one or more files) describes, namespaces first. Throws ManifestError
   * with file and line before anything is applied.
   */
  apply(manifests: string | readonly ManifestFile[]): Promise<KubeObject[]>;
  /** Waits until all these objects are Ready (Pod), Available (Deployment), Active (Namespace) …; rejects after `timeoutMs`. */
  waitReady(objects: readonly Identity[], timeoutMs?: number): Promise<void>;
  /** `kubectl exec POD -- ARGV`. Rejects with what kubectl would say where there is nothing to run it in. */
  exec(pod: PodName, argv: readonly string[]): Promise<ExecResult>;
  /** One of the host's tools on a node (src/tools): `iptables …`, `ip …`, `conntrack …`. Returns its output, rejects with its errors. */
  hostCommand(node: string, argv: readonly string[]): Promise<string>;
  observe(options: ObserveOptions): Promise<void>;
  /** What was kept since the last call, by node. */
  observations(): Promise<Observations[]>;
  /** SHA-256 of every wire's frames since the start, in order of the wires' names; needs `observe.digest` from the start. */
  frameDigests(): Promise<[wire: string, sha256: string][]>;
  /** Every change of every object since the start, in order of revision, as lines of JSON; needs `observe.digest` from the start. */
  eventLines(): string[];
  figures(): Promise<NodeFigures[]>;
  linkStats(node: string): LinkStats | undefined;
  /**
   * Plugs something that is no node into the underlay switch: a tap, a VM, another program. `onFrame` gets the frames that the switch
   * sends it, while the cluster runs. In real time what it sends is taken at once; in virtual time, when time passes.
   */
  plug(onFrame: (frame: Uint8Array, timeNs: number) => void): UnderlayPlug;
  /**
   * Runs a component of one's own, such as a controller (`kubewire/client`), beside the cluster's: in its time, at a site of its own. In
   * virtual time it goes on while something is waited for. Returns how to stop it.
   */
  start(component: (context: ComponentContext) => void | Promise<void>): () => void;
  /** Ends the cluster's threads. */
  close(): void;
}

const USER_AGENT = { userAgent: "kubewire" };
const USER = 0;
const CONTROL_PLANE = 1;
const FIRST_NODE = 2;
const NODES_MAX = 4096;
const EPOCH_MS = 1735689600000;
const BOOT_MS = 20_000;
const NODE_NETWORK = 172 * 256 + 18;
const UNDERLAY_MTU = 1500;
/** With an Ethernet header and a VLAN tag. */
const FRAME_MAX = UNDERLAY_MTU + 18;

/** `createCluster` for a platform: what each adapter exports. */
export const clusterOn =
  (platform: Platform) =>
  async (options: ClusterOptions = {}): Promise<Cluster> => {
    const { nodes: nodeCount = 3, seed = 1, workers = 0, images = [], observe = {}, log = silent } = options;
    const real = options.time === "real";
    // The wall clock must not be behind what the boot, in virtual time, made of it.
    const epochMs = options.epochMs ?? (real ? Math.floor(platform.wallMs()) - (nodeCount === 0 ? 0 : BOOT_MS) : EPOCH_MS);
    if (!Number.isInteger(nodeCount) || nodeCount < 0 || nodeCount > NODES_MAX) {
      throw new RangeError(`nodes: ${nodeCount}: a whole number from 0 to ${NODES_MAX}`);
    }
    if (workers > 0 && platform.spawnWorker === undefined) {
      throw new Error(`workers: ${workers}: ${platform.name} has no threads that a cluster could use`);
    }
    if (options.components === "core" && options.scheduler !== undefined) throw new Error("scheduler: only with components: complete");
    if (workers > 0 && images.length > 0) throw new Error("images: only with workers: 0, since programs do not travel between threads");
    const shared = (options.memory ?? (platform.sharedMemory ? "shared" : "plain")) === "shared";
    if (shared && !platform.sharedMemory) throw new Error(`memory: shared: ${platform.name} can not share memory here`);
    const module = platform.loadKernel(shared);
    const flags = options.apiServer === undefined ? {} : await (await import("./kube-apiserver/complete/options.ts")).servingOf(options.apiServer, platform.readFile, seed);
    const serving = { ...flags, ...options.serving };
    const { serviceCidr = SERVICE_CIDR } = serving;
    const clusterDns = tenthOf(serviceCidr);

    const random = newRandom(seed);
    const underlay = new UnderlaySwitch(random.fork("underlay"));
    const link: LinkOptions = { ...defaultLink, ...options.link };
    const specs = Array.from({ length: nodeCount }, (_, i) => nodeSpec(i));
    for (const { index } of specs) underlay.plug(index, link);

    const local = new LocalCrew(hopOf(platform));
    const user = new Site({ name: "user", index: USER, epochMs, random: random.fork("user"), post: local.post });
    const master = new Site({ name: "control-plane", index: CONTROL_PLANE, epochMs, random: random.fork("control-plane"), post: local.post });
    local.add(user);
    local.add(master);
    const complete = options.components === "core" ? undefined : (await import("./complete.ts")).complete;
    const streams = complete !== undefined;
    const controlPlane = createControlPlane({ clock: master, random: master.random, log, clusterCidr: POD_CIDR, serviceCidr,
      recordEvents: observe.digest ?? false, controllers: options.controllers ?? ["*"], complete, scheduler: options.scheduler,
      leaderElect: options.leaderElect ?? options.time === "real", cloud: options.cloud, rootCA: options.rootCA,
      serving: streams ? { ...serving, kubelets: (await import("./complete-node.ts")).newKubelets(master, specs, SITE_API_LATENCY_NS) } : serving,
    });
    serveSiteApi(master, controlPlane.handle);

    const settings: NodeSettings = {
      seed, epochMs, controlPlane: CONTROL_PLANE, clusterDns, clusterDomain: "cluster.local", podCidr: POD_CIDR,
      observe, streams, anyImage: options.anyImage ?? false,
    };
    const threads = Math.min(workers, nodeCount);
    const memory = shared ? newKernelMemory(true) : undefined;
    const start = async (of: readonly NodeSpec[]): Promise<CrewStart> => ({ module: await module, memory, nodes: of, settings });
    // Node i lives in worker i mod threads, or here.
    const crewOf = (site: number): number => (site < FIRST_NODE || site >= FIRST_NODE + NODES_MAX || threads === 0 ? 0 : 1 + ((site - FIRST_NODE) % threads));
    const remote: RemoteCrew<CrewStart>[] = [];
    const crews: (<K extends keyof CrewCalls>(method: K, ...argument: Parameters<CrewCalls[K]>) => Promise<Awaited<ReturnType<CrewCalls[K]>>>)[] = [];
    const fault = (error: Error): void => loop.fail(error);
    for (let i = 0; i < threads; i++) {
      const crew = new RemoteCrew<CrewStart>(await (platform.spawnWorker as NonNullable<Platform["spawnWorker"]>)(), fault);
      remote.push(crew);
      crews.push((method, ...argument) => crew.call(method, argument[0]) as Promise<never>);
    }
    // Pages run in virtual time, and do not load what real time needs.
    const pacer = real ? (await import("./time/pacer.ts")).newPacer(platform, epochMs) : undefined;
    const loop = new Loop({
      local, remote, user, crewOf, between: underlay, windowNs: Math.min(SITE_API_LATENCY_NS, underlay.pathNs),
      ...(pacer === undefined ? {} : { pace: pacer.pace }),
    });
    if (threads === 0) {
      const { calls } = await addNodes(local, await start(specs), images, log);
      crews.push(async (method, ...argument) => (calls[method] as (...a: unknown[]) => never)(...argument));
    } else {
      const reports = remote.map(async (crew, i) => crew.start(await start(specs.filter(({ index }) => crewOf(index) === i + 1))));
      (await Promise.all(reports)).forEach((report, i) => loop.begin(i + 1, report));
    }
    controlPlane.start();

    const transport = newSiteTransport(user, CONTROL_PLANE);
    let plugs = 0;
    /** A site of its own for what comes from outside, in this thread. */
    const addSite = (): Site => {
      const index = FIRST_NODE + NODES_MAX + plugs++;
      const site = new Site({ name: `plug-${plugs}`, index, epochMs, random: random.fork(`plug ${plugs}`), post: local.post });
      local.add(site);
      return site;
    };
    const addPlug = (): Site => {
      const site = addSite();
      underlay.plug(site.index, link);
      return site;
    };
    const cluster = new RunningCluster({ resources: complete?.resources ?? RESOURCES, loop, user, epochMs, transport, controlPlane, specs, crews, crewOf, underlay, pacer, master, addPlug, addSite, clusterDns, log,
      close() {
        pacer?.stop();
        controlPlane.stop();
        for (const crew of remote) crew.terminate();
      },
    });
    await cluster.boot();
    if (pacer !== undefined) {
      pacer.start();
      void loop.keep(() => pacer.stopped);
    }
    return cluster;
  };

const POD_CIDR = "10.244.0.0/16";
const SERVICE_CIDR = "10.96.0.0/16";

/** Where the cluster's DNS is: the tenth address of the services' range, as kubeadm chooses it. */
const tenthOf = (cidr: string): string => {
  const [, network, last] = /^(\d+\.\d+\.\d+)\.(\d+)\//.exec(cidr) ?? [];
  if (network === undefined) throw new Error(`serviceCidr: ${cidr}: an IPv4 range in CIDR notation`);
  return `${network}.${Number(last) + 10}`;
};

const nodeSpec = (i: number): NodeSpec => {
  const host = i + 2;
  const [high, low] = [host >> 8, host & 255];
  const hex = (byte: number): string => byte.toString(16).padStart(2, "0");
  return {
    name: `node-${i + 1}`,
    index: FIRST_NODE + i,
    address: `${NODE_NETWORK >> 8}.${NODE_NETWORK & 255}.${high}.${low}/16`,
    gateway: `${NODE_NETWORK >> 8}.${NODE_NETWORK & 255}.0.1`,
    // The way dockerd makes them: a local prefix and the address.
    mac: `02:42:${hex(NODE_NETWORK >> 8)}:${hex(NODE_NETWORK & 255)}:${hex(high)}:${hex(low)}`,
    mtu: UNDERLAY_MTU,
  };
};

type Call = <K extends keyof CrewCalls>(method: K, ...argument: Parameters<CrewCalls[K]>) => Promise<Awaited<ReturnType<CrewCalls[K]>>>;

interface Parts {
  readonly resources: Resources;
  readonly epochMs: number;
  readonly loop: Loop;
  readonly user: Site;
  readonly transport: ApiTransport;
  readonly controlPlane: ControlPlane;
  readonly specs: readonly NodeSpec[];
  readonly crews: readonly Call[];
  readonly crewOf: (site: number) => number;
  readonly underlay: UnderlaySwitch;
  readonly pacer: Pacer | undefined;
  readonly addPlug: () => Site;
  readonly addSite: () => Site;
  readonly log: Logger;
  readonly clusterDns: string;
  readonly master: Site;
  readonly close: () => void;
}

/** Cluster DNS. */
const DNS = { apiVersion: "apps/v1", kind: "Deployment", metadata: { namespace: "kube-system", name: "coredns" } };
/** `--iptables-min-sync-period` of kube-proxy, twice. */
const DNS_REACHED_MS = 2000;

class RunningCluster implements Cluster {
  readonly nodes: readonly { readonly name: string; readonly address: string }[];
  readonly epochMs: number;
  readonly api: ApiTransport;
  readonly client: Client;
  readonly close: () => void;
  readonly #parts: Parts;
  /** For use inside of `drive`, where the loop runs already. */
  readonly #client: Client;
  readonly #execs = new Map<number, (answer: ExecAnswer) => void>();
  #execIds = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.epochMs = parts.epochMs;
    this.nodes = parts.specs.map(({ name, address }) => ({ name, address: address.slice(0, address.indexOf("/")) }));
    const transport: ApiTransport = (request, signal) => {
      this.#now(parts.user);
      return parts.transport(request, signal);
    };
    this.api = (request, signal) => parts.loop.drive(transport(request, signal));
    const { resources } = parts;
    this.client = createClient(this.api, { ...USER_AGENT, resources });
    this.#client = createClient(transport, { ...USER_AGENT, resources });
    this.close = parts.close;
    parts.user.listen("exec-answer", (answer: ExecAnswer) => {
      this.#execs.get(answer.id)?.(answer);
      this.#execs.delete(answer.id);
    });
  }

  /** In real time: what happens next on `site` happens now, and the loop looks what came of it. */
  #now(site: Site): void {
    const { pacer, loop } = this.#parts;
    if (pacer === undefined || !pacer.running) return;
    site.advanceTo(loop.momentNs(pacer.nowNs()));
    pacer.wake();
  }

  fetch(request: Request): Promise<Response> {
    return this.#served(() => this.#parts.controlPlane.fetch(request));
  }

  serve(message: HttpMessage, connection?: Connection): Promise<HttpAnswer> {
    const { controlPlane, master } = this.#parts;
    return this.#served(() => controlPlane.serve(message, connection, () => this.#now(master)));
  }

  async #served<T>(answer: () => Promise<T>): Promise<T> {
    const { pacer, master } = this.#parts;
    if (pacer === undefined) throw new Error("fetch: only with time: \"real\"");
    this.#now(master);
    const answered = await answer();
    pacer.wake();
    return answered;
  }

  /** The add-ons, and then all nodes Ready; where time is going to be real, the cluster's DNS as well, which nobody waits for afterwards. */
  async boot(): Promise<void> {
    if (this.#parts.specs.length === 0) return;
    const addons = systemObjects({ clusterDns: this.#parts.clusterDns, clusterDomain: "cluster.local" });
    await this.drive((client) => apply(client, addons));
    const nodes = this.#parts.specs.map(({ name }) => ({ apiVersion: "v1", kind: "Node", metadata: { name } }));
    await this.waitReady(nodes);
    if (this.#parts.pacer === undefined) return;
    await this.waitReady([DNS]);
    // Until the nodes' proxies know of its pods.
    await this.advance(DNS_REACHED_MS);
  }

  nowNs(): number {
    return this.#parts.user.nowNs();
  }

  advance(ms: number): Promise<void> {
    this.#now(this.#parts.user);
    return this.#parts.loop.drive(this.#parts.user.sleep(ms));
  }

  runTo(timeNs: number): Promise<void> {
    return this.#parts.loop.runTo(timeNs);
  }

  drive<T>(work: (client: Client) => Promise<T>): Promise<T> {
    return this.#parts.loop.drive(work(this.#client));
  }

  async apply(manifests: string | readonly ManifestFile[]): Promise<KubeObject[]> {
    const files = typeof manifests === "string" ? [{ name: "manifest", text: manifests }] : manifests;
    // The YAML parser is a fifth of a page's bundle, and only needed from here on.
    const { parseManifests } = await import("./api/manifest.ts");
    const parsed = files.flatMap(({ name, text }) => parseManifests(text, name, this.#parts.resources));
    return this.drive((client) => apply(client, parsed));
  }

  waitReady(objects: readonly Identity[], timeoutMs = 60_000): Promise<void> {
    return this.drive(async (client) => {
      const limit = new AbortController();
      const cancel = this.#parts.user.after(timeoutMs, () => limit.abort("timeout"));
      try {
        for (const object of objects) await waitUntilReady(client, this.#parts.resources, object, limit.signal);
      } finally {
        cancel();
      }
    });
  }

  exec({ namespace = "default", pod, container }: PodName, argv: readonly string[]): Promise<ExecResult> {
    return this.drive(async (client) => {
      const { spec } = await client.pods.get(namespace, pod);
      const node = this.#parts.specs.find(({ name }) => name === spec.nodeName);
      if (node === undefined) throw new Error(`pod ${pod} does not have a host assigned`);
      const answer = await new Promise<ExecAnswer>((resolve) => {
        const id = this.#execIds++;
        this.#execs.set(id, resolve);
        const request: ExecRequest = { id, namespace, pod, container, argv };
        this.#parts.user.send(node.index, "exec", request, SITE_API_LATENCY_NS);
      });
      const { exitCode, stdout, stderr, error } = answer;
      if (exitCode === undefined) throw new Error(error);
      return { exitCode, stdout, stderr };
    });
  }

  async hostCommand(node: string, argv: readonly string[]): Promise<string> {
    const spec = this.#parts.specs.find(({ name }) => name === node);
    if (spec === undefined) throw new Error(`nodes "${node}" not found`);
    const crew = this.#parts.crews[Math.max(0, this.#parts.crewOf(spec.index) - 1)] as Call;
    return crew("hostCommand", { node, argv });
  }

  async observe(options: ObserveOptions): Promise<void> {
    await Promise.all(this.#parts.crews.map((call) => call("observe", options)));
  }

  async observations(): Promise<Observations[]> {
    return this.#byNode(await Promise.all(this.#parts.crews.map((call) => call("observations"))));
  }

  async frameDigests(): Promise<[wire: string, sha256: string][]> {
    const all = (await Promise.all(this.#parts.crews.map((call) => call("digests")))).flat();
    return all.sort(([a], [b]) => (a < b ? -1 : 1));
  }

  eventLines(): string[] {
    return this.#parts.controlPlane.eventLines();
  }

  async figures(): Promise<NodeFigures[]> {
    return this.#byNode(await Promise.all(this.#parts.crews.map((call) => call("figures"))));
  }

  linkStats(node: string): LinkStats | undefined {
    const spec = this.#parts.specs.find(({ name }) => name === node);
    return spec === undefined ? undefined : this.#parts.underlay.stats(spec.index);
  }

  plug(onFrame: (frame: Uint8Array, timeNs: number) => void): UnderlayPlug {
    const { underlay, pacer, user, addPlug } = this.#parts;
    const site = addPlug();
    const stats = underlay.stats(site.index)!;
    let plugged = true;
    site.listen("frame", ({ bytes }: UnderlayFrame) => {
      if (plugged) onFrame(bytes, site.nowNs());
    });
    return {
      stats,
      send: (frame) => {
        if (frame.length < 14 || frame.length > FRAME_MAX) throw new RangeError(`a frame of ${frame.length} bytes: from 14 to ${FRAME_MAX}`);
        if (!plugged) return;
        if (pacer === undefined) site.advanceTo(user.nowNs());
        this.#now(site);
        const data: UnderlayFrame = { bytes: frame.slice() };
        site.sendAt(BETWEEN, "frame", data, site.nowNs());
      },
      unplug: () => {
        plugged = false;
        underlay.unplug(site.index);
      },
    };
  }

  start(component: (context: ComponentContext) => void | Promise<void>): () => void {
    const { addSite, user, pacer, log } = this.#parts;
    const site = addSite();
    const stop = new AbortController();
    if (pacer === undefined) site.advanceTo(user.nowNs());
    this.#now(site);
    const failed = (error: unknown): void => {
      if (!stop.signal.aborted) log.error("a component failed", { err: error });
    };
    void (async () => component({ transport: newSiteTransport(site, CONTROL_PLANE), clock: site, random: site.random, log, signal: stop.signal }))().catch(failed);
    return () => stop.abort(new Error("stopped"));
  }

  /** Answers of all crews in the order of the nodes. */
  #byNode<T extends { readonly node: string }>(answers: readonly (readonly T[])[]): T[] {
    const order = new Map(this.#parts.specs.map(({ name, index }) => [name, index]));
    return answers.flat().sort((a, b) => (order.get(a.node) as number) - (order.get(b.node) as number));
  }
}

/** Reads the object, then watches it, until it is ready. */
const waitUntilReady = async (client: Client, resources: Resources, { apiVersion, kind, metadata }: Identity, signal: AbortSignal): Promise<void> => {
  const resource = resourceFor(apiVersion, kind, resources);
  if (resource === undefined) throw new Error(`no matches for kind "${kind}" in version "${apiVersion}"`);
  const namespace = resource.namespaced ? (metadata.namespace ?? "default") : "";
  const fieldSelector = `metadata.name=${metadata.name}`;
  const target = client.resource(resource);
  try {
    const { items, metadata: { resourceVersion } } = await target.list(namespace, { fieldSelector }, signal);
    if (items[0] !== undefined && isReady({ ...items[0], kind })) return;
    for await (const event of await target.watch(namespace, { fieldSelector, resourceVersion }, signal)) {
      if (event.type !== "DELETED" && isReady({ ...(event.object as KubeObject), kind })) return;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  if (signal.aborted) {
    const why = await whatWaits(client, resource.resource === "namespaces" ? metadata.name : namespace);
    throw new Error(`timed out waiting for the condition on ${resource.resource}/${metadata.name}${why}`);
  }
  throw new Error(`the watch of ${resource.resource}/${metadata.name} ended`);
};

/** Why containers of a namespace wait, a line each: most often that is why something is not ready. */
const whatWaits = async (client: Client, namespace: string): Promise<string> => {
  const { items } = await client.pods.list(namespace);
  const lines = items.flatMap(({ metadata, status }) =>
    (status.containerStatuses ?? []).flatMap(({ name, state }) => {
      const { reason = "", message = "" } = state?.waiting ?? {};
      return reason === "" ? [] : [`\npod ${metadata.name}, container ${name}: ${reason}: ${message}`];
    }),
  );
  return lines.join("");
};
