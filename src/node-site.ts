/**
 * A node's site: its kernel, its agents and its programs, in one thread (DESIGN decision 1). Built the same way in the main
 * thread and in a worker, from a description that can be cloned.
 */
import { SITE_API_LATENCY_NS } from "./time/costs.ts";
import { newSiteTransport } from "./client/site-transport.ts";
import type { Image } from "./cri/program.ts";
import type { ExecResult } from "./cri/types.ts";
import { createNodeKernel, type NodeKernelHandle } from "./kernel/kernel.ts";
import type { KernelInstance } from "./kernel/memory.ts";
import type { Netns } from "./kernel/netns.ts";
import type { Logger } from "./log.ts";
import { createNodeAgent, type NodeAgent } from "./node.ts";
import { BETWEEN } from "./time/loop.ts";
import { newRandom } from "./time/random.ts";
import { loaded } from "./time/loading.ts";
import { Site, type SiteMessage } from "./time/site.ts";
import { Observer, type ObserveOptions } from "./trace/observer.ts";
import type { UnderlayFrame } from "./underlay/switch.ts";

/** One node, as `createCluster` describes it to whichever thread builds it. */
export interface NodeSpec {
  readonly name: string;
  readonly index: number;
  /** Address of eth0 with its prefix length: `172.18.0.2/16`. */
  readonly address: string;
  /** Of the default route. Nobody answers there: the underlay has no uplink. */
  readonly gateway: string;
  readonly mac: string;
  readonly mtu: number;
  /** When it is switched on, in ns since the cluster's first instant; default then. */
  readonly bootNs?: number;
}

/** What all nodes have in common. */
export interface NodeSettings {
  readonly seed: number;
  readonly epochMs: number;
  /** The site of the API server. */
  readonly controlPlane: number;
  readonly clusterDns: string;
  readonly clusterDomain: string;
  readonly podCidr: string;
  readonly observe: ObserveOptions;
  /** Whether kubelets serve logs, exec and port-forward to the API server. */
  readonly streams: boolean;
  /** Whether an image that nobody has is stood for by one that answers on the container's ports. */
  readonly anyImage: boolean;
}

export interface NodeSiteDeps {
  readonly instance: KernelInstance;
  readonly images: readonly Image[];
  readonly log: Logger;
  readonly post: (message: SiteMessage) => void;
  /** What a node has that is more than the core's: the whole kubelet, and what it serves. */
  readonly complete?: typeof import("./complete-node.ts") | undefined;
}

/** A program run inside a container on somebody's behalf (`kubectl exec`): the message, and its answer. */
export interface ExecRequest {
  readonly id: number;
  readonly namespace: string;
  readonly pod: string;
  readonly container: string | undefined;
  readonly argv: readonly string[];
}
export interface ExecAnswer {
  readonly id: number;
  /** Absent: the program could not be run, `error` says why. */
  readonly exitCode?: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly error?: string;
}

export interface NodeSite {
  readonly site: Site;
  readonly kernel: NodeKernelHandle;
  readonly agent: NodeAgent;
  readonly observer: Observer;
  observe(options: ObserveOptions): void;
  /** Runs one command of the host's tools (`iptables …`); its output. Throws what the tool would say. */
  hostCommand(argv: readonly string[]): Promise<string>;
}

const NIC = "eth0";
/** IANA's VXLAN port instead of flannel's 8472 (net-conf.json's `Port`): Wireshark knows it without being told. */
const VXLAN_PORT = 4789;

export const createNodeSite = (spec: NodeSpec, settings: NodeSettings, deps: NodeSiteDeps): NodeSite => {
  const random = newRandom(settings.seed).fork(`node ${spec.index}`);
  const site = new Site({ name: spec.name, index: spec.index, epochMs: settings.epochMs, random, post: deps.post });
  site.advanceTo(spec.bootNs ?? 0);

  let pending = true;
  let deadlineNs = 0;
  let nic = 0;
  const kernel = createNodeKernel(deps.instance, {
    name: spec.name,
    seed: random.fork("kernel").uint32(),
    clock: site,
    onFrame({ timeNs, ifindex, bytes }) {
      const frame: UnderlayFrame = { bytes };
      if (ifindex === nic) site.sendAt(BETWEEN, "frame", frame, timeNs);
    },
    onObserved: (records) => observer.take(records),
    onKick() {
      pending = true;
    },
    onEvents() {
      site.dirty = true;
    },
    onTrap: (error) => crash(error),
  });
  const namespaces: Netns[] = [kernel.host];
  const observer = new Observer({ node: spec.name, namespaces, podOf: (netns) => podOf(agent, netns) });
  const addNetns = kernel.addNetns.bind(kernel);
  // The kernel numbers namespaces in order of creation, and so does the observer.
  kernel.addNetns = (name) => {
    const netns = addNetns(name);
    namespaces.push(netns);
    return netns;
  };
  site.attach({
    deadlineNs: () => deadlineNs,
    get pending() {
      return pending;
    },
    run(nowNs) {
      pending = false;
      try {
        const status = kernel.runUntil(nowNs);
        deadlineNs = status.deadlineNs;
        return status.nowNs;
      } catch (error) {
        // A trap is a bug of the kernel, and this node's end. The others have arenas of their own and go on.
        if (!(error instanceof WebAssembly.RuntimeError)) throw error;
        crash(error);
        return nowNs;
      }
    },
  });
  const observe = (options: ObserveOptions): void => {
    observer.options = options;
    const { digest = false, capture = false, trace = false } = options;
    kernel.observe({ capture: digest || capture, trace });
  };
  observe(settings.observe);
  bootHost(kernel.host, spec);
  nic = kernel.host.link(NIC)?.ifindex ?? 0;
  site.listen("frame", ({ bytes }: UnderlayFrame) => {
    kernel.deliver(nic, bytes);
    pending = true;
  });

  const log = deps.log.with({ node: spec.name });
  const agent = createNodeAgent({
    name: spec.name,
    nodeIP: spec.address.slice(0, spec.address.indexOf("/")),
    iface: NIC,
    kernel,
    transport: newSiteTransport(site, settings.controlPlane),
    clock: site,
    random: random.fork("agent"),
    log: deps.log,
    images: deps.images,
    flannel: { network: settings.podCidr, port: VXLAN_PORT },
    clusterDNS: [settings.clusterDns],
    clusterDomain: settings.clusterDomain,
    keepPods: deps.complete?.keepPods,
    userland: deps.complete?.newUserland(() => site.nowMs()),
    anyImage: settings.anyImage ? deps.complete?.anyImage : undefined,
  });
  agent.start().catch((error: unknown) => log.error("the node did not start", { err: String(error) }));
  const asked = new Map<ExecRequest, number>();
  site.listen("exec", (request: ExecRequest, from) => {
    asked.set(request, from);
    void answerExec(site, agent, request, from).finally(() => asked.delete(request));
  });
  const refuseStreams = deps.complete?.serveKubeletStreams(site, SITE_API_LATENCY_NS, agent);
  /** Nobody answers for a crashed node but the network, to those who had asked and those who ask later. */
  const crash = (error: Error): void => {
    deps.log.error("kernel panic", { node: spec.name, err: error.message });
    site.crash();
    const address = `${spec.address.slice(0, spec.address.indexOf("/"))}:10250`;
    const refuse = ({ id }: ExecRequest, from: number): void => {
      const answer: ExecAnswer = { id, stdout: "", stderr: "", error: `error dialing backend: dial tcp ${address}: connect: no route to host` };
      site.send(from, "exec-answer", answer, SITE_API_LATENCY_NS);
    };
    asked.forEach((from, request) => refuse(request, from));
    site.listen("exec", refuse);
    refuseStreams?.(address);
  };

  return {
    site,
    kernel,
    agent,
    observer,
    observe,
    async hostCommand(argv) {
      const { runHostCommand } = await loaded(import("./tools/host.ts"));
      return runHostCommand(kernel, namespaces, argv, { runtime: agent.runtime, nowMs: site.nowMs() });
    },
  };
};

/** What the node's operating system does before any Kubernetes component runs. */
const bootHost = (host: Netns, { address, gateway, mac, mtu }: NodeSpec): void => {
  host.setLink("lo", { up: true });
  host.addLink({ kind: "nic", name: NIC, mac, mtu });
  host.addAddress(NIC, address);
  host.setLink(NIC, { up: true });
  host.addRoute({ dst: "default", via: gateway, dev: NIC });
  host.setSysctl("net.ipv4.ip_forward", 1);
};

const answerExec = async (site: Site, agent: NodeAgent, request: ExecRequest, from: number): Promise<void> => {
  const { id } = request;
  let answer: ExecAnswer;
  try {
    answer = { id, ...(await execInPod(agent, request)) };
  } catch (error) {
    answer = { id, stdout: "", stderr: "", error: error instanceof Error ? error.message : String(error) };
  }
  site.send(from, "exec-answer", answer, SITE_API_LATENCY_NS);
};

/** The pod whose sandbox has the namespace `netns`: `namespace/name`. */
const podOf = (agent: NodeAgent, netns: string): string | undefined => {
  const sandbox = agent.runtime.listPodSandboxes().find((status) => status.netns.endsWith(`/${netns}`));
  return sandbox === undefined ? undefined : `${sandbox.config.namespace}/${sandbox.config.name}`;
};

/** Throws what `kubectl exec` would print. */
const execInPod = ({ runtime }: NodeAgent, { namespace, pod, container, argv }: ExecRequest): Promise<ExecResult> => {
  const sandbox = runtime
    .listPodSandboxes()
    .find(({ config, state }) => config.namespace === namespace && config.name === pod && state === "SANDBOX_READY");
  const containers = sandbox === undefined ? [] : runtime.listContainers(sandbox.id);
  const named = containers.filter(({ name }) => container === undefined || name === container);
  if (named.length === 0 && container !== undefined) throw new Error(`container ${container} is not valid for pod ${pod}`);
  const running = named.find(({ state }) => state === "CONTAINER_RUNNING");
  if (running === undefined) throw new Error(`unable to upgrade connection: container not found ("${container ?? pod}")`);
  return runtime.execSync(running.id, argv);
};
