/** The host's tools on the nodes of a running cluster, with and without workers. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createCluster, type Cluster } from "../../runtimes/node/index.ts";

describe.each([0, 2])("cluster.hostCommand with %i workers", (workers) => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await createCluster({ nodes: 2, seed: 3, workers });
    await cluster.advance(3000);
  });
  afterAll(() => cluster.close());

  it("lists links, routes and connections of a node", async () => {
    expect(await cluster.hostCommand("node-2", ["ip", "-br", "link"])).toMatch(/^lo +UNKNOWN +00:00:00:00:00:00 <LOOPBACK,UP,LOWER_UP> \neth0 +UP +02:42:/);
    expect(await cluster.hostCommand("node-2", ["ip", "route"])).toContain("default via 172.18.0.1 dev eth0 \n");
    const links = JSON.parse(await cluster.hostCommand("node-1", ["ip", "-j", "-d", "link", "show", "type", "vxlan"])) as { ifname: string }[];
    expect(links.map(({ ifname }) => ifname)).toEqual(["flannel.1"]);
    expect(await cluster.hostCommand("node-1", ["bridge", "fdb", "show", "dev", "flannel.1"])).toMatch(/ dst 172\.18\.\d+\.\d+ self permanent\n/);
  });

  it("changes what the node does, and says what the tool would say", async () => {
    await cluster.hostCommand("node-1", ["ip", "route", "add", "blackhole", "198.51.100.0/24"]);
    expect(await cluster.hostCommand("node-1", ["ip", "route", "show", "type", "blackhole"])).toBe("blackhole 198.51.100.0/24 \n");
    await expect(cluster.hostCommand("node-1", ["ip", "route", "get", "198.51.100.1"])).rejects.toThrow("RTNETLINK answers: Invalid argument");
    await expect(cluster.hostCommand("node-1", ["ip", "link", "show", "nosuch"])).rejects.toThrow('Device "nosuch" does not exist.');
    await expect(cluster.hostCommand("node-1", ["nosuch"])).rejects.toThrow("nosuch: command not found");
  });
});
