/** The real API server with node agents on fake kernels, for tests. */
import { createClient, type Client } from "../../src/client/client.ts";
import type { ApiTransport } from "../../src/client/transport.ts";
import { createApiServer } from "../../src/kube-apiserver/server.ts";
import { silent, type Logger } from "../../src/log.ts";
import { createNodeAgent, type NodeAgent, type NodeAgentOptions } from "../../src/node.ts";
import { newRandom } from "../../src/time/random.ts";
import type { Pod } from "../../src/api/types.generated.ts";
import { TurnedClock } from "./clock.ts";
import { Fabric, FakeKernel } from "./fake-netns.ts";

export interface TestCluster {
  readonly clock: TurnedClock;
  readonly fabric: Fabric;
  readonly client: Client;
  readonly transport: ApiTransport;
  readonly problems: string[];
  addNode(index: number, options?: Partial<NodeAgentOptions>): { agent: NodeAgent; kernel: FakeKernel };
  createPod(name: string, spec: object, more?: object): Promise<Pod>;
  pod(name: string, namespace?: string): Promise<Pod>;
  events(): Promise<string[]>;
}

export async function testCluster(): Promise<TestCluster> {
  const clock = new TurnedClock();
  const random = newRandom(7);
  const problems: string[] = [];
  const log: Logger = { info() {}, error: (message, fields) => void problems.push(`${message} ${JSON.stringify(fields)}`), with: () => log };
  const fabric = new Fabric();
  const server = createApiServer({ clock, random: random.fork("api"), log: silent });
  await clock.advance(0);
  await server.ready;
  const client = createClient(server.handle, { userAgent: "test" });
  return {
    clock, fabric, client, transport: server.handle, problems,
    addNode(index, options = {}) {
      const kernel = new FakeKernel(`node-${index}`, fabric, clock);
      kernel.host.addLink({ kind: "nic", name: "eth0" });
      kernel.host.setLink("eth0", { up: true });
      kernel.host.addAddress("eth0", `192.168.0.${10 + index}/24`);
      const agent = createNodeAgent({
        name: `node-${index}`, nodeIP: `192.168.0.${10 + index}`, kernel, transport: server.handle, clock, random, log,
        podCIDR: `10.244.${index}.0/24`, ...options,
      });
      void agent.start();
      return { agent, kernel };
    },
    createPod: (name, spec, more = {}) => client.pods.create({ metadata: { name, namespace: "default", ...more }, spec } as never),
    pod: (name, namespace = "default") => client.pods.get(namespace, name),
    events: async () => (await client.resource({ group: "", version: "v1", resource: "events", kind: "Event", namespaced: true } as never).list("default"))
      .items.map((item) => {
        const event = item as unknown as { reason: string; message: string; count: number; type: string };
        return `${event.type} ${event.reason} x${event.count} ${event.message}`;
      }),
  };
}
