/** `kubewire up`: a cluster in real time whose API the real kubectl reaches over HTTPS, until SIGINT or SIGTERM. */
import { clusterOn, type Cluster } from "../cluster.ts";
import { createAccess } from "../kube-apiserver/complete/access.ts";
import type { Logger } from "../log.ts";
import { newRandom } from "../time/random.ts";
import type { CliHost, NetdevEnd } from "../platform.ts";

export interface UpOptions {
  readonly nodes: number;
  readonly port: number;
  readonly bindAddress: string;
  readonly kubeconfig: string;
  readonly token?: string;
  readonly controllers: string;
  readonly seed?: number;
  readonly netdev?: readonly string[];
}

/** Exit status 0 after a signal. */
export const upCommand = async (host: CliHost, options: UpOptions): Promise<number> => {
  if (host.serveHttps === undefined) throw new Error(`up: ${host.platform.name} cannot serve HTTPS`);
  const { nodes, port, kubeconfig, netdev = [] } = options;
  const controllers = options.controllers === "none" ? false : options.controllers.split(",");
  if (controllers === false && nodes > 0) throw new Error("--controllers none: only with --nodes 0, since nodes wait for theirs");
  if (netdev.length > 0 && host.openNetdev === undefined) throw new Error(`--netdev: ${host.platform.name} has no sockets`);
  const stopped = new Promise<void>((resolve) => host.onStop(() => resolve()));
  const token = options.token ?? randomToken(host);
  const seed = options.seed ?? new DataView(entropy(host, 4).buffer).getUint32(0);
  const administrator = { name: "kubernetes-admin", groups: ["system:masters"] };
  const access = createAccess({ tokens: new Map([[token, administrator]]), anonymous: true, random: newRandom(seed).fork("audit-ids") });
  const cluster = await clusterOn(host.platform)({
    nodes, seed, controllers, time: "real", log: logTo(host),
    serving: { enter: access },
  });
  const server = await host.serveHttps({ port, host: options.bindAddress, handle: (message, connection) => cluster.serve(message, connection) });
  const netdevs: NetdevEnd[] = [];
  try {
    for (const address of netdev) netdevs.push(await plugNetdev(host, cluster, address));
    await host.writeFile(kubeconfig, [new TextEncoder().encode(kubeconfigOf(server.url, server.ca, token))], 0o600);
    host.stdout(`${server.url}\nexport KUBECONFIG=${kubeconfig}\nready\n`);
    await stopped;
  } finally {
    for (const netdev of netdevs) await netdev.close();
    await server.close();
    cluster.close();
  }
  return 0;
};

/** The wire's other end on the underlay switch. Frames that are too long for that network are lost there. */
const plugNetdev = async (host: CliHost, cluster: Cluster, address: string): Promise<NetdevEnd> => {
  const wire: { end?: NetdevEnd } = {};
  const plug = cluster.plug((frame) => wire.end?.send(frame));
  const end = await host.openNetdev!(address, (frame) => {
    try {
      plug.send(frame);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
  });
  wire.end = end;
  return end;
};

const entropy = (host: CliHost, size: number): Uint8Array => {
  const bytes = new Uint8Array(size);
  host.platform.entropy(bytes);
  return bytes;
};

const randomToken = (host: CliHost): string => [...entropy(host, 24)].map((byte) => (byte + 256).toString(16).slice(1)).join("");

const logTo = (host: CliHost): Logger => {
  const log: Logger = {
    info() {},
    error(message, fields = {}) {
      const text = Object.entries(fields).map(([key, value]) => ` ${key}=${JSON.stringify(value instanceof Error ? value.stack : value)}`).join("");
      host.stderr(`E ${message}${text}\n`);
    },
    with: () => log,
  };
  return log;
};

const kubeconfigOf = (server: string, ca: string, token: string): string => `apiVersion: v1
kind: Config
clusters:
- name: kubewire
  cluster:
    server: ${server}
    certificate-authority-data: ${btoa(ca)}
users:
- name: kubernetes-admin
  user:
    token: ${JSON.stringify(token)}
contexts:
- name: kubewire
  context:
    cluster: kubewire
    user: kubernetes-admin
current-context: kubewire
`;
