/** `kubewire up`: a cluster in real time whose API the real kubectl reaches over HTTPS, until SIGINT or SIGTERM. */
import { clusterOn, type Cluster } from "../cluster.ts";
import { ApiError, newBadRequest } from "../apimachinery/status.ts";
import type { HttpAnswer } from "../client/transport.ts";
import { attributesOf, isLongRunning } from "../kube-apiserver/complete/attributes.ts";
import { apiServerFlags, flagsOf, parseDuration, parseFlags } from "../kube-apiserver/complete/flags.ts";
import type { Flag, FlagValue } from "../kube-apiserver/complete/flags.ts";
import type { Logger } from "../log.ts";
import type { CliHost, HttpsOptions, HttpsServer, NetdevEnd } from "../platform.ts";
import { setUpApiServer } from "../kube-apiserver/complete/options.ts";

/**
 * Flags by their names: those below, and kube-apiserver v1.32's, `{ "client-ca-file": "ca.crt", "anonymous-auth": false }`. A value is what the
 * flag is made of, or its text.
 */
export interface UpOptions {
  /** How many nodes; default 3. */
  readonly nodes?: number;
  /** Where the API is served, 0: any free port. The same as `secure-port`, which may not be 0. Default 6443. */
  readonly port?: number;
  /** Where the kubeconfig goes; default kubewire.kubeconfig. */
  readonly kubeconfig?: string;
  /** The administrator's token, instead of a random one. */
  readonly token?: string;
  /** `*` for all that are on by default, NAME to turn one on, -NAME to turn it off; `none`: no scheduler either. */
  readonly controllers?: string;
  /** Decides everything that is left to chance, instead of chance itself. */
  readonly seed?: number;
  /** QEMU's stream or dgram netdevs for the underlay. */
  readonly netdev?: readonly string[];
  /** Pods of images that nobody has run all the same, and answer on their containerPorts. */
  readonly "any-image"?: boolean;
  readonly [flag: string]: unknown;
}

const OWN: Readonly<Record<string, Flag & { readonly value: string; readonly what: string }>> = {
  nodes: { type: "int", use: "works", value: "n", what: "how many nodes (default 3)" },
  port: { type: "int", use: "works", value: "n", what: "where the API is served, 0: any free port (default 6443)" },
  kubeconfig: { type: "string", use: "works", value: "file", what: "where the kubeconfig goes (default kubewire.kubeconfig)" },
  token: { type: "string", use: "works", value: "token", what: "the administrator's token, instead of a random one" },
  controllers: { type: "string", use: "works", value: "list", what: "* for all that are on by default, NAME to turn one on, -NAME to turn it off; none: no scheduler either (default *)" },
  seed: { type: "int", use: "works", value: "n", what: "decides everything that is left to chance, instead of chance itself" },
  "any-image": { type: "bool", use: "works", value: "", what: "run pods of images that nobody has: they answer HTTP on their containerPorts, 200 with the pod's name" },
  netdev: { type: "array", use: "works", value: "address", what: "plug QEMU's stream or dgram netdev into the underlay: tcp:HOST:PORT, tcp-listen:HOST:PORT, unix:PATH, unix-listen:PATH, udp:HOST:PORT,LOCALHOST:LOCALPORT; may be given more than once" },
};

const allFlags = (): Map<string, Flag> => new Map([...apiServerFlags(), ...Object.entries(OWN)]);

/** `kubewire up ARGS`. Exit status 0 after a signal. Throws what pflag says of flags. */
export const upCommandLine = async (host: CliHost, args: readonly string[]): Promise<number> => {
  const { values, help } = parseFlags(args, allFlags());
  if (!help) return run(host, values);
  const server = apiServerFlags();
  const named = (use: Flag["use"]): string => [...server].filter(([, flag]) => flag.use === use).map(([name]) => `--${name}`).sort().join(" ");
  const own = Object.entries(OWN).map(([name, { value, what }]) => `  ${(value === "" ? `--${name}` : `--${name} <${value}>`).padEnd(22)} ${what}\n`).join("");
  host.stdout(`Usage: kubewire up [flags]\n\nboot a cluster in real time and serve its API over HTTPS, for kubectl and client libraries\n\nFlags:\n${own}\n`
    + `kube-apiserver v1.32's flags, as there (--bind-address is 127.0.0.1 unless given):\n  ${named("works")}\nTaken, without anything to see of them:\n  ${named("idle")}\n`);
  return 0;
};

/** The same with flags by name. */
export const upCommand = async (host: CliHost, options: UpOptions): Promise<number> => run(host, flagsOf(options, allFlags()));

const run = async (host: CliHost, flags: ReadonlyMap<string, FlagValue>): Promise<number> => {
  if (host.serveHttps === undefined) throw new Error(`up: ${host.platform.name} cannot serve HTTPS`);
  const value = <T extends FlagValue>(name: string, otherwise: T): T => (flags.get(name) as T | undefined) ?? otherwise;
  const nodes = value("nodes", 3);
  if (!Number.isInteger(nodes) || nodes < 0) throw new Error(`--nodes ${nodes}: a whole number from 0`);
  const port = value("secure-port", value("port", 6443));
  if (port < 0 || port > 65535) throw new Error(`--port ${port} must be between 0 and 65535, inclusive`);
  const kubeconfig = value("kubeconfig", "kubewire.kubeconfig");
  const netdev = value<readonly string[]>("netdev", []);
  const list = value<string>("controllers", "*");
  const controllers = list === "none" ? false : list.split(",");
  if (controllers === false && nodes > 0) throw new Error("--controllers none: only with --nodes 0, since nodes wait for theirs");
  if (netdev.length > 0 && host.openNetdev === undefined) throw new Error(`--netdev: ${host.platform.name} has no sockets`);
  const stopped = new Promise<void>((resolve) => host.onStop(() => resolve()));
  const token = value("token", "") === "" ? randomToken(host) : value("token", "");
  const seed = flags.has("seed") ? value("seed", 0) : new DataView(entropy(host, 4).buffer).getUint32(0);
  const { serving, https, requestTimeoutMs, warnings } = await setUpApiServer(flags, host, token, seed);
  for (const warning of warnings) host.stderr(`W ${warning}\n`);
  // The pods are told of the server's authority, so the server is there before them; who asks meanwhile waits.
  let up!: (cluster: Cluster) => void;
  const booted = new Promise<Cluster>((resolve) => (up = resolve));
  let cluster: Cluster | undefined;
  const handle = withDeadlines(host, requestTimeoutMs, async (message, connection) => (cluster ?? (await booted)).serve(message, connection));
  const netdevs: NetdevEnd[] = [];
  let server: HttpsServer | undefined;
  try {
    server = await host.serveHttps({ port, host: value("bind-address", "127.0.0.1"), ...https, handle });
    cluster = await clusterOn(host.platform)({ nodes, seed, controllers, time: "real", log: logTo(host), serving, anyImage: value("any-image", false), rootCA: server.ca });
    up(cluster);
    for (const address of netdev) netdevs.push(await plugNetdev(host, cluster, address));
    await host.writeFile(kubeconfig, [new TextEncoder().encode(kubeconfigOf(server.url, server.ca, token))], 0o600);
    host.stdout(`${server.url}\nexport KUBECONFIG=${kubeconfig}\nready\n`);
    await stopped;
  } finally {
    for (const netdev of netdevs) await netdev.close();
    await server?.close();
    cluster?.close();
  }
  return 0;
};

/** Of all that may go on for as long as it likes the path says so. */
const PERHAPS_LONG = /[?&]watch=|\/(?:watch|attach|exec|log|portforward|proxy)(?:[/?]|$)/;
const NOBODY = { name: "", groups: [] };

/**
 * Answers with 504 what takes too long, unless it is meant to. Follows k8s.io/apiserver/pkg/endpoints/filters/request_deadline.go and
 * pkg/server/filters/timeout.go.
 */
const withDeadlines = (host: CliHost, maxMs: number, handle: HttpsOptions["handle"]): HttpsOptions["handle"] => (message, connection) => {
  if (PERHAPS_LONG.test(message.url)) {
    const { verb, subresource } = attributesOf({ method: message.method, path: message.url }, NOBODY);
    if (isLongRunning(verb, subresource)) return handle(message, connection);
  }
  let ms = maxMs === 0 ? Infinity : maxMs;
  const asked = message.url.includes("timeout=") ? (new URLSearchParams(message.url.split("?")[1] ?? "").get("timeout") ?? "") : "";
  if (asked !== "") {
    try {
      const own = parseDuration(asked);
      if (own > 0) ms = Math.min(ms, own);
    } catch (e) {
      return Promise.resolve(refusal(newBadRequest(`invalid timeout specified in the request URL - ${(e as Error).message}`)));
    }
  }
  if (ms === Infinity) return handle(message, connection);
  return new Promise((resolve, reject) => {
    const cancel = host.platform.wake(ms, () => resolve(refusal(TIMEOUT)));
    handle(message, connection).then(resolve, reject).finally(cancel);
  });
};

const TIMEOUT = new ApiError({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message: "Timeout: request did not complete within the allotted timeout", reason: "Timeout", details: {}, code: 504 });

const refusal = ({ code, status }: ApiError): HttpAnswer => ({ status: code, headers: { "content-type": "application/json" }, body: `${JSON.stringify(status)}\n` });

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
