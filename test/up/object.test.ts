/** kube-apiserver's flags as an object of `createCluster`. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { createCluster } from "../../runtimes/node/index.ts";

const folder = mkdtempSync(join(tmpdir(), "kubewire-object-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("ranges hold, and the cluster's own address is the first", async () => {
  const cluster = await createCluster({ nodes: 0, apiServer: { "service-cluster-ip-range": "10.30.0.0/16", "service-node-port-range": "32000-32009" } });
  expect((await cluster.client.services.get("default", "kubernetes")).spec.clusterIP).toBe("10.30.0.1");
  const made = await cluster.client.services.create({ metadata: { name: "a", namespace: "default" }, spec: { type: "NodePort", ports: [{ port: 80 }] } });
  expect(made.spec.ports![0]!.nodePort).toBeGreaterThanOrEqual(32000);
  expect(made.spec.ports![0]!.nodePort).toBeLessThanOrEqual(32009);
  cluster.close();
});

test("who asks from outside is told apart where a flag says so", async () => {
  writeFileSync(join(folder, "tokens.csv"), "abc,jane,1,devs\n");
  const cluster = await createCluster({ nodes: 0, time: "real", apiServer: { "token-auth-file": join(folder, "tokens.csv"), "anonymous-auth": false } });
  const get = async (path: string, token?: string): Promise<number> => (await cluster.fetch(new Request(`http://cluster${path}`, { headers: token === undefined ? {} : { authorization: `Bearer ${token}` } }))).status;
  expect([await get("/version", "abc"), await get("/api/v1/nodes", "abc"), await get("/version"), await get("/version", "x")]).toEqual([200, 403, 401, 401]);
  cluster.close();
  const open = await createCluster({ nodes: 0, time: "real", apiServer: { "service-cluster-ip-range": "10.30.0.0/16" } });
  expect((await open.fetch(new Request("http://cluster/api/v1/nodes"))).status).toBe(200);
  open.close();
});

test("mistakes are told as the command tells them", async () => {
  await expect(createCluster({ nodes: 0, apiServer: { "insecure-port": 8080 } })).rejects.toThrow("unknown flag: --insecure-port");
  await expect(createCluster({ nodes: 0, apiServer: { "max-requests-inflight": "x" } })).rejects.toThrow('invalid argument "x" for "--max-requests-inflight" flag: strconv.ParseInt: parsing "x": invalid syntax');
  await expect(createCluster({ nodes: 0, apiServer: { "token-auth-file": "/nosuch" } })).rejects.toThrow("open /nosuch: no such file or directory");
});
