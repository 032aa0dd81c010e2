/** The whole API server with nodes of the whole kubelet on fake kernels, in virtual time, and an image whose programs do what their words say. */
import type { Pod } from "../../src/api/types.generated.ts";
import { createClient, type Client } from "../../src/client/client.ts";
import type { ApiTransport } from "../../src/client/transport.ts";
import { defineImage, type Image } from "../../src/cri/program.ts";
import { serveHttp } from "../../src/http/server.ts";
import { inBoxImages } from "../../src/images/index.ts";
import { ExecutableNotFound, stopped } from "../../src/images/program.ts";
import { complete } from "../../src/kube-apiserver/complete/index.ts";
import { createApiServer } from "../../src/kube-apiserver/server.ts";
import { keepPods, type CompleteKeeper } from "../../src/kubelet/complete/index.ts";
import { silent, type Logger } from "../../src/log.ts";
import { createNodeAgent, type NodeAgent, type NodeAgentOptions } from "../../src/node.ts";
import { newRandom } from "../../src/time/random.ts";
import { TurnedClock } from "../node/clock.ts";
import { Fabric, FakeKernel } from "../node/fake-netns.ts";

/**
 * `do WORD…`: print:TEXT, error:TEXT, flood:BYTES, sleep:MS (deaf to SIGTERM), exit:CODE, term:MS:CODE (waits for SIGTERM, then MS, then ends), serve:PORT (HTTP; /bad is 500),
 * env:NAME, file:PATH, cpu:MS (of CPU time), memory:BYTES, once:PATH:CODE … Words go one after the other; the end is exit code 0.
 */
export const doer: Image = defineImage({
  name: "example.com/doer:1", entrypoint: ["do"],
  async run({ argv, usage, env, clock, signal, stdout, stderr, net, readFile }) {
    if (argv[0] !== "do") throw new ExecutableNotFound(argv[0] ?? "");
    for (const word of argv.slice(1)) {
      const [verb, a = "", b = ""] = word.split(":");
      switch (verb) {
        case "print": stdout(`${a}\n`); break;
        case "flood": stdout(`${"x".repeat(999)}\n`.repeat(Number(a) / 1000)); break;
        case "error": stderr(`${a}\n`); break;
        case "sleep": await clock.sleep(Number(a)); break;
        case "cpu": await usage.cpu(Number(a)); break;
        case "memory": usage.memory(Number(a)); break;
        case "exit": return Number(a);
        case "env": stdout(`${a}=${env[a] ?? "(none)"}\n`); break;
        case "file": { const bytes = readFile(a); stdout(bytes === undefined ? `${a}: ENOENT` : new TextDecoder().decode(bytes)); if (bytes === undefined || argv.length > 2) stdout("\n"); break; }
        case "term":
          await stopped(signal);
          await clock.sleep(Number(a));
          return Number(b);
        case "serve": {
          let requests = 0;
          const failsAfter = b === "" ? Infinity : Number(b);
          await serveHttp({
            net, port: Number(a), signal,
            handler: ({ target }) => ({ status: target === "/bad" || ++requests > failsAfter ? 500 : 200, reason: "", headers: [], body: new TextEncoder().encode(`${target}\n`) }),
          });
          return 0;
        }
        default: throw new Error(`what is ${word}?`);
      }
    }
    return 0;
  },
});

export interface TestNode {
  readonly keeper: CompleteKeeper;
  readonly agent: NodeAgent;
  readonly kernel: FakeKernel;
}

export interface TestCluster {
  readonly clock: TurnedClock;
  readonly client: Client;
  readonly transport: ApiTransport;
  readonly problems: string[];
  readonly nodes: readonly TestNode[];
  addNode(index: number, options?: Partial<NodeAgentOptions>): TestNode;
  create(kind: string, object: object): Promise<unknown>;
  createPod(name: string, spec: object, metadata?: object): Promise<Pod>;
  pod(name: string): Promise<Pod>;
  /** Turns the clock until the pod is as wanted; fails with its status otherwise. */
  until(name: string, ms: number, wanted: (pod: Pod) => boolean): Promise<Pod>;
  gone(name: string, ms: number): Promise<void>;
  /** `Type Reason xCount fieldPath: message`, in order of creation. */
  events(name?: string): Promise<string[]>;
  /** What the latest run of a container has logged. */
  logs(pod: string, container: string): string[];
  stop(): Promise<void>;
}

export async function testCluster(): Promise<TestCluster> {
  const clock = new TurnedClock();
  const random = newRandom(7);
  const problems: string[] = [];
  const log: Logger = { info() {}, error: (message, fields) => void problems.push(`${message} ${JSON.stringify(fields)}`), with: () => log };
  const fabric = new Fabric();
  const server = createApiServer({ clock, random: random.fork("api"), log: silent, extension: complete });
  await clock.advance(0);
  await server.ready;
  const transport = server.handle;
  const client = createClient(transport, { userAgent: "test" });
  const nodes: TestNode[] = [];
  const pod = (name: string): Promise<Pod> => client.pods.get("default", name);
  await client.serviceAccounts.create({ metadata: { name: "default", namespace: "default" } }).catch(() => undefined);
  return {
    clock, client, transport, problems, nodes, pod,
    addNode(index, options = {}) {
      const kernel = new FakeKernel(`node-${index}`, fabric, clock);
      kernel.host.addLink({ kind: "nic", name: "eth0" });
      kernel.host.setLink("eth0", { up: true });
      kernel.host.addAddress("eth0", `192.168.0.${10 + index}/24`);
      const agent = createNodeAgent({
        name: `node-${index}`, nodeIP: `192.168.0.${10 + index}`, kernel, transport, clock, random, log, podCIDR: `10.244.${index}.0/24`,
        images: [doer, ...inBoxImages], keepPods, ...options,
      });
      void agent.start();
      const node = { agent, kernel, keeper: agent.kubelet.pods as CompleteKeeper };
      nodes.push(node);
      return node;
    },
    async create(path, object) {
      const { status, body } = await transport({ method: "POST", path, body: object });
      if (status >= 300) throw new Error(JSON.stringify(body));
      return body;
    },
    createPod: (name, spec, metadata = {}) =>
      client.pods.create({ metadata: { name, namespace: "default", ...metadata }, spec: { nodeName: "node-1", automountServiceAccountToken: false, ...spec } } as never),
    async until(name, ms, wanted) {
      for (let spent = 0; ; spent += 50) {
        const found = await pod(name).catch(() => undefined);
        if (found !== undefined && wanted(found)) return found;
        if (spent > ms) throw new Error(`${name}: ${JSON.stringify(found?.status, undefined, 1)}\n${problems.join("\n")}`);
        await clock.advance(50);
      }
    },
    async gone(name, ms) {
      for (let spent = 0; spent <= ms; spent += 50) {
        if ((await client.pods.list("default", { fieldSelector: `metadata.name=${name}` })).items.length === 0) return;
        await clock.advance(50);
      }
      throw new Error(`${name} is still there: ${JSON.stringify((await pod(name)).status)}`);
    },
    async events(name) {
      const { items } = await client.events.list("default");
      return items.filter(({ involvedObject }) => name === undefined || involvedObject.name === name)
        .map(({ type, reason, count, involvedObject: { fieldPath }, message }) => `${type} ${reason} x${count} ${fieldPath ?? "-"}: ${message}`);
    },
    logs(name, container) {
      for (const { agent: { runtime } } of nodes) {
        const ids = runtime.listPodSandboxes().filter(({ config }) => config.name === name).map(({ id }) => id);
        const run = ids.flatMap((id) => runtime.listContainers(id)).filter((status) => status.name === container).at(-1);
        if (run !== undefined) return runtime.containerLogs(run.id).map(({ text }) => text);
      }
      throw new Error(`no container ${container} of ${name}`);
    },
    async stop() {
      await Promise.all(nodes.map(({ agent }) => agent.stop()));
    },
  };
}

export const isReady = (pod: Pod): boolean => pod.status.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;
/** `Type=Status Reason: message` of each condition. */
export const conditions = (pod: Pod): string[] =>
  (pod.status.conditions ?? []).map(({ type, status, reason, message }) => `${type}=${status}${reason === undefined ? "" : ` ${reason}`}${message === undefined ? "" : `: ${message}`}`);
/** One word for a container's state: `running`, `waiting CrashLoopBackOff`, `terminated Error 1`. */
export function state(pod: Pod, container: string): string {
  const { initContainerStatuses = [], containerStatuses = [], ephemeralContainerStatuses = [] } = pod.status;
  const status = [...initContainerStatuses, ...containerStatuses, ...ephemeralContainerStatuses].find(({ name }) => name === container);
  if (status === undefined) return "none";
  const { running, waiting, terminated } = status.state;
  if (running !== undefined) return "running";
  if (waiting !== undefined) return `waiting ${waiting.reason ?? ""}`;
  return `terminated ${terminated?.reason ?? ""} ${terminated?.exitCode ?? ""}`;
}
