import { beforeAll, expect, test } from "vitest";
import type { Pod } from "../../src/api/types.generated.ts";
import { decode, encode, query, rcodeName, TYPE, type Message } from "../../src/dns/message.ts";
import { parseCorefile } from "../../src/coredns/corefile.ts";
import { pluginOrder, serveDns } from "../../src/coredns/server.ts";
import { newRandom } from "../../src/time/random.ts";
import type { ApiTransport } from "../../src/client/transport.ts";
import { testCluster, type TestCluster } from "./cluster.ts";
import type { FakeKernel } from "./fake-netns.ts";

const COREFILE = `.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30
    loop
    reload
    loadbalance
}
`;

let cluster: TestCluster, kernel: FakeKernel, address: string, agent: { stop(): Promise<void>; runtime: ReturnType<TestCluster["addNode"]>["agent"]["runtime"] };

beforeAll(async () => {
  cluster = await testCluster();
  ({ kernel, agent } = cluster.addNode(1));
  const { client } = cluster;
  const meta = (name: string, more: object = {}): object => ({ name, namespace: "default", ...more });
  await client.configMaps.create({ metadata: { name: "coredns", namespace: "kube-system" }, data: { Corefile: COREFILE } } as never);
  await client.services.create({ metadata: meta("web"), spec: { clusterIP: "10.96.1.1", ports: [{ name: "http", port: 80 }] } } as never);
  await client.services.create({ metadata: meta("db"), spec: { clusterIP: "None", ports: [{ name: "sql", port: 5432 }] } } as never);
  await client.services.create({ metadata: meta("out"), spec: { type: "ExternalName", externalName: "web.default.svc.cluster.local" } } as never);
  await client.endpointSlices.create({
    metadata: meta("db-1", { labels: { "kubernetes.io/service-name": "db" } }), addressType: "IPv4", ports: [{ name: "sql", port: 5432, protocol: "TCP" }],
    endpoints: [
      { addresses: ["10.244.1.7"], hostname: "db-0", conditions: { ready: true } }, { addresses: ["10.244.1.8"], conditions: { ready: true } },
      { addresses: ["10.244.1.9"], conditions: { ready: false } },
    ],
  } as never);
  await cluster.clock.advance(200);
  await client.pods.create({
    metadata: { name: "coredns", namespace: "kube-system" },
    spec: {
      nodeName: "node-1", dnsPolicy: "Default", volumes: [{ name: "config", configMap: { name: "coredns", items: [{ key: "Corefile", path: "Corefile" }] } }],
      containers: [{
        name: "coredns", image: "registry.k8s.io/coredns/coredns:v1.11.3", args: ["-conf", "/etc/coredns/Corefile"],
        volumeMounts: [{ name: "config", mountPath: "/etc/coredns", readOnly: true }],
        readinessProbe: { httpGet: { path: "/ready", port: 8181 }, periodSeconds: 1 }, livenessProbe: { httpGet: { path: "/health", port: 8080 } },
      }],
    },
  } as never);
  let pod: Pod | undefined;
  for (let i = 0; i < 100; i++) {
    await cluster.clock.advance(50);
    pod = await cluster.pod("coredns", "kube-system");
    if (pod.status.conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true) break;
  }
  expect(pod?.status.containerStatuses?.[0]?.ready).toBe(true);
  address = pod!.status.podIP!;
  // The Service's address, as kube-proxy's rules would translate it.
  cluster.fabric.redirect = (to) => (to.address === "10.96.0.10" ? { ...to, address } : to.address === "10.96.1.1" ? { address: "10.244.1.3", port: to.port } : to);
});

async function ask(name: string, type: keyof typeof TYPE): Promise<Message> {
  const socket = kernel.host.sockets.udp({ remote: { address, port: 53 } });
  socket.send(encode(query(1234, name, TYPE[type])));
  const answer = socket.receive();
  await cluster.clock.advance(1);
  const message = decode((await answer).data);
  socket.close();
  return message;
}

const short = (message: Message): string[] => [
  rcodeName(message.rcode),
  ...message.answers.map(({ name, data }) => `${name} ${JSON.stringify(data)}`).sort(),
];

test.each([
  ["web.default.svc.cluster.local.", "A", ["NOERROR", 'web.default.svc.cluster.local. {"type":1,"address":"10.96.1.1"}']],
  ["WEB.default.svc.Cluster.local.", "A", ["NOERROR", 'WEB.default.svc.Cluster.local. {"type":1,"address":"10.96.1.1"}']],
  ["web.default.svc.cluster.local.", "AAAA", ["NOERROR"]],
  ["nope.default.svc.cluster.local.", "A", ["NXDOMAIN"]],
  ["web.nope.svc.cluster.local.", "A", ["NXDOMAIN"]],
  ["default.svc.cluster.local.", "A", ["NOERROR"]],
  ["nope.svc.cluster.local.", "A", ["NXDOMAIN"]],
  ["cluster.local.", "A", ["NOERROR"]],
  ["db.default.svc.cluster.local.", "A", ["NOERROR", 'db.default.svc.cluster.local. {"type":1,"address":"10.244.1.7"}', 'db.default.svc.cluster.local. {"type":1,"address":"10.244.1.8"}']],
  ["db-0.db.default.svc.cluster.local.", "A", ["NOERROR", 'db-0.db.default.svc.cluster.local. {"type":1,"address":"10.244.1.7"}']],
  ["10-244-1-8.db.default.svc.cluster.local.", "A", ["NOERROR", '10-244-1-8.db.default.svc.cluster.local. {"type":1,"address":"10.244.1.8"}']],
  ["10-244-1-9.db.default.svc.cluster.local.", "A", ["NXDOMAIN"]],
  ["_http._tcp.web.default.svc.cluster.local.", "SRV", ["NOERROR", '_http._tcp.web.default.svc.cluster.local. {"type":33,"priority":0,"weight":100,"port":80,"target":"web.default.svc.cluster.local."}']],
  ["_http._udp.web.default.svc.cluster.local.", "SRV", ["NXDOMAIN"]],
  ["1.1.96.10.in-addr.arpa.", "PTR", ["NOERROR", '1.1.96.10.in-addr.arpa. {"type":12,"target":"web.default.svc.cluster.local."}']],
  ["7.1.244.10.in-addr.arpa.", "PTR", ["NOERROR", '7.1.244.10.in-addr.arpa. {"type":12,"target":"db-0.db.default.svc.cluster.local."}']],
  ["10-244-1-2.default.pod.cluster.local.", "A", ["NOERROR", '10-244-1-2.default.pod.cluster.local. {"type":1,"address":"10.244.1.2"}']],
  ["dns-version.cluster.local.", "TXT", ["NOERROR", 'dns-version.cluster.local. {"type":16,"texts":["1.1.0"]}']],
  ["out.default.svc.cluster.local.", "A", ["NOERROR", 'out.default.svc.cluster.local. {"type":5,"target":"web.default.svc.cluster.local."}', 'web.default.svc.cluster.local. {"type":1,"address":"10.96.1.1"}']],
  ["example.com.", "A", ["SERVFAIL"]],
] as const)("%s %s", async (name, type, expected) => {
  const message = await ask(name, type);
  expect(short(message)).toEqual(expected);
  if (message.rcode === 3 || (message.rcode === 0 && message.answers.length === 0)) {
    expect(message.authorities[0]).toMatchObject({ name: "cluster.local.", ttl: 30, data: { type: 6, mname: "ns.dns.cluster.local.", minimum: 30 } });
  }
  if (message.rcode !== 2) expect(message.authoritative).toBe(true);
  // And the same again, from the cache.
  expect(short(await ask(name, type))).toEqual(expected);
});

test("every prefix of a query and random bytes leave the server answering", async () => {
  const random = newRandom(3);
  const valid = encode(query(7, "web.default.svc.cluster.local.", TYPE.A));
  const socket = kernel.host.sockets.udp({ remote: { address, port: 53 } });
  for (let i = 0; i < valid.length; i++) socket.send(valid.slice(0, i));
  for (let i = 0; i < 500; i++) socket.send(random.bytes(new Uint8Array(random.below(80))));
  await cluster.clock.advance(10);
  socket.close();
  expect(short(await ask("web.default.svc.cluster.local.", "A"))[0]).toBe("NOERROR");
});

test("a pod resolves a Service by its short name and fetches from it", async () => {
  await cluster.createPod("web", { nodeName: "node-1", containers: [{ name: "web", image: "nginx" }] });
  await cluster.createPod("client", { nodeName: "node-1", containers: [{ name: "c", image: "busybox", command: ["sleep", "infinity"] }] });
  await cluster.clock.advance(300);
  const { id } = agent.runtime.listContainers().find(({ name }) => name === "c")!;
  const run = async (...command: string[]) => {
    const result = agent.runtime.execSync(id, command);
    await cluster.clock.advance(100);
    return result;
  };
  expect(await run("wget", "-q", "-O", "-", "http://web/")).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("Welcome to nginx!") as string });
  expect((await run("nslookup", "web")).stdout).toBe("Server:\t\t10.96.0.10\nAddress:\t10.96.0.10:53\n\nName:\tweb.default.svc.cluster.local\nAddress: 10.96.1.1\n\n");
  expect(await run("wget", "-q", "-O", "-", "http://nope/")).toMatchObject({ exitCode: 1, stderr: "wget: bad address 'nope'\n" });
});

test.each([
  [".:53 {\n  foo\n}\n", "Corefile:2 - Error during parsing: Unknown directive 'foo'"],
  [".:53 {\n  errors\n", "Corefile:2 - Error during parsing: Unexpected EOF"],
  [".:53 {\n  kubernetes cluster.local {\n    foo\n  }\n}\n", "plugin/kubernetes: Corefile:3 - Error during parsing: unknown property 'foo'"],
  [".:53 {\n  kubernetes cluster.local {\n    pods some\n  }\n}\n", "plugin/kubernetes: Corefile:3 - Error during parsing: wrong value for pods: some"],
  [".:53 {\n  forward .\n}\n", "plugin/forward: Corefile:2 - Error during parsing: Wrong argument count or unexpected line ending after '.'"],
  [".:53 {\n  cache 0\n}\n", "plugin/cache: Corefile:2 - Error during parsing: cache TTL can not be zero or negative: 0"],
])("Corefile mistakes have their place: %j", async (corefile, message) => {
  const noApi: ApiTransport = () => new Promise(() => undefined);
  await expect(serveDns({
    corefile, file: "Corefile", net: kernel.host.sockets, clock: cluster.clock, random: newRandom(1), api: noApi,
    signal: new AbortController().signal, readFile: () => undefined, log: () => undefined,
  })).rejects.toThrow(message);
});

test("several zones, comments, quotes and ports", () => {
  const known = new Set(pluginOrder.map(({ name }) => name));
  const blocks = parseCorefile('# all\nexample.org, 10.0.0.0/24:1053 {\n log "a b" # why\n}\n', "Corefile", known);
  expect(blocks[0]?.keys).toEqual([{ zone: "example.org.", port: 53 }, { zone: "0.0.10.in-addr.arpa.", port: 1053 }]);
  expect(blocks[0]?.directives[0]?.args).toEqual(["a b"]);
});
