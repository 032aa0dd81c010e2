/** One node: kernel in, a kubelet, a flanneld and a kube-proxy on it out. The parts are an explicit list. */
import type { Node } from "./api/types.generated.ts";
import { Flanneld, networkAvailable, type FlannelConfig } from "./cni/flannel/flanneld.ts";
import { flannelConfList, inBoxPlugins } from "./cni/plugins.ts";
import { memoryFiles, type CniPlugin, type NetConfList } from "./cni/types.ts";
import { createClient } from "./client/client.ts";
import { createInformers } from "./client/informer.ts";
import type { ApiTransport } from "./client/transport.ts";
import type { Image } from "./cri/program.ts";
import { Runtime } from "./cri/runtime.ts";
import type { Userland } from "./cri/userland.ts";
import { imageRegistry, inBoxImages } from "./images/index.ts";
import type { NodeKernel } from "./kernel/netns.ts";
import { newKubeProxy } from "./kube-proxy/kube-proxy.ts";
import type { KubeProxyConfiguration } from "./kube-proxy/config.ts";
import { Kubelet, type KubeletDeps } from "./kubelet/kubelet.ts";
import { silent, type Logger } from "./log.ts";
import type { Clock, Random } from "./time/clock.ts";

export interface NodeAgentOptions {
  readonly name: string;
  /** The address of `iface` that other nodes send to. */
  readonly nodeIP: string;
  /** The underlay NIC. Default `eth0`. */
  readonly iface?: string;
  readonly kernel: NodeKernel;
  readonly transport: ApiTransport;
  readonly clock: Clock;
  readonly random: Random;
  readonly log?: Logger;
  /** What can be pulled. Default: the images in the box. */
  readonly images?: readonly Image[];
  /** What stands for images that cannot be pulled; default: nothing, their pods wait. */
  readonly anyImage?: ((name: string) => Image) | undefined;
  /** Default: flannel's list. */
  readonly cniConf?: NetConfList;
  readonly cniPlugins?: ReadonlyMap<string, CniPlugin>;
  /** flannel's net-conf.json; the pod network of the whole cluster is in it. Default 10.244.0.0/16. */
  readonly flannel?: FlannelConfig;
  /** Registered with the Node where no controller hands out CIDRs. */
  readonly podCIDR?: string;
  /** Default `10.96.0.10`. */
  readonly clusterDNS?: readonly string[];
  readonly clusterDomain?: string;
  /** The node's own resolv.conf. */
  readonly hostResolvConf?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly capacity?: Readonly<Record<string, string>>;
  /** `clusterCIDR` is flannel's network unless set. */
  readonly kubeProxy?: KubeProxyConfiguration;
  /** Whether the kernel has the nfacct match, for kube-proxy's counters. */
  readonly nfacct?: boolean;
  /** What keeps the pods; default: what the core kubelet has. */
  readonly keepPods?: KubeletDeps["keepPods"];
  /** Files and processes for containers; default: none, a container is one program. */
  readonly userland?: Userland | undefined;
}

export interface NodeAgent {
  readonly name: string;
  readonly kubelet: Kubelet;
  /** Containers and images of the node: what crictl shows. */
  readonly runtime: Runtime;
  /** Registers the node and starts everything on it; resolves when it is registered. */
  start(): Promise<void>;
  /** Ends all watches and timers, kills all containers. */
  stop(): Promise<void>;
}

export function createNodeAgent(options: NodeAgentOptions): NodeAgent {
  const { name, nodeIP, kernel, transport, clock } = options;
  const log = (options.log ?? silent).with({ node: name });
  const random = options.random.fork(`node/${name}`);
  const flannelConfig = options.flannel ?? { network: "10.244.0.0/16" };
  const cniFiles = memoryFiles();
  const agent = (component: string): ReturnType<typeof createClient> => createClient(transport, { userAgent: component });
  const informerOptions = (label: string): { clock: Clock; random: Random; log: Logger } => ({ clock, random: random.fork(label), log });
  const kubeletClient = agent("kubelet");
  // One cache for what all agents of the node watch.
  const informers = createInformers(kubeletClient, informerOptions("informers"));
  const runtime = new Runtime({
    kernel, images: imageRegistry(options.images ?? inBoxImages, options.anyImage), cniConf: options.cniConf ?? flannelConfList,
    cniPlugins: options.cniPlugins ?? inBoxPlugins, cniFiles, api: transport, clock, random: random.fork("runtime"), log,
    userland: options.userland,
  });
  const identity = random.fork("identity");
  const id = (): string => [...identity.bytes(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const kubelet = new Kubelet({
    identity: {
      name, nodeIP, machineID: id(), bootID: id(),
      ...(options.labels === undefined ? {} : { labels: options.labels }),
      ...(options.capacity === undefined ? {} : { capacity: options.capacity }),
    },
    ...(options.podCIDR === undefined ? {} : { podCIDR: options.podCIDR }),
    client: kubeletClient, transport, informers, runtime, kernel, clock, random: random.fork("kubelet"), log: log.with({ component: "kubelet" }),
    keepPods: options.keepPods,
    dns: {
      clusterDNS: options.clusterDNS ?? ["10.96.0.10"], clusterDomain: options.clusterDomain ?? "cluster.local",
      hostResolvConf: options.hostResolvConf ?? "",
    },
  });
  const flanneld = new Flanneld({
    config: flannelConfig, nodeName: name, host: kernel.host, iface: options.iface ?? "eth0", publicIP: nodeIP, files: cniFiles,
    random: random.fork("flanneld"), log: log.with({ component: "flanneld" }),
  });
  const kubeProxy = newKubeProxy({
    informers, host: kernel.host, clock, log: log.with({ component: "kube-proxy" }), nodeName: name, nodeIP,
    config: { clusterCIDR: flannelConfig.network, ...options.kubeProxy }, nfacct: options.nfacct ?? false,
  });
  const running = new AbortController();

  /** flanneld waits for its Node's pod CIDR, says what others need to know, and follows their Nodes. */
  function runFlanneld(): void {
    let up = false;
    const onNode = (node: Node): void => {
      if (node.metadata.name === name) {
        if (up || node.spec.podCIDR === undefined || node.spec.podCIDR === "") return;
        up = true;
        void bringUp(node.spec.podCIDR);
      }
      if (up) flanneld.setNode(node);
    };
    const bringUp = async (podCIDR: string): Promise<void> => {
      try {
        const annotations = flanneld.start(podCIDR);
        for (const node of nodes.list()) flanneld.setNode(node);
        await agent("flannel").nodes.patch("", name, "merge", { metadata: { annotations } }, undefined, running.signal);
        kubelet.setNetworkReady(true, [networkAvailable]);
      } catch (error) {
        up = false;
        if (!running.signal.aborted) log.error("flanneld failed", { err: String(error) });
      }
    };
    const nodes = informers.informer("nodes");
    nodes.addHandler({ add: onNode, update: onNode, delete: (node) => flanneld.deleteNode(node.metadata.name) });
  }

  return {
    name, kubelet, runtime,
    async start() {
      kernel.host.setLink("lo", { up: true });
      kubeProxy.start(running.signal);
      runFlanneld();
      informers.informer("services");
      const registered = kubelet.start(running.signal);
      informers.start(running.signal);
      await registered;
    },
    async stop() {
      running.abort(new Error("node stopped"));
      await kubelet.stop();
    },
  };
}
