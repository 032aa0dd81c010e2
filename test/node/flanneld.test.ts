import { expect, test } from "vitest";
import type { Node } from "../../src/api/types.generated.ts";
import { Flanneld } from "../../src/cni/flannel/flanneld.ts";
import { memoryFiles } from "../../src/cni/types.ts";
import { silent } from "../../src/log.ts";
import { newRandom } from "../../src/time/random.ts";
import { TurnedClock } from "./clock.ts";
import { Fabric, FakeKernel } from "./fake-netns.ts";
import { parseSave } from "./iptables-text.ts";
import { recording } from "./shared.ts";

interface NodeState {
  readonly annotations: Readonly<Record<string, string>>;
  readonly "subnet.env": readonly string[];
  readonly "ip -j route": readonly { readonly dst: string; readonly gateway?: string; readonly dev: string; readonly flags: readonly string[] }[];
  readonly "ip neigh (permanent)": readonly string[];
  readonly "bridge fdb (flannel)": readonly string[];
  readonly "iptables-save": readonly string[];
}

interface Scenario {
  readonly scenario: string;
  readonly "net-conf.json": { readonly Network: string };
  readonly steps: readonly ({ readonly step: string } & Readonly<Record<"node1" | "node2" | "node3", NodeState | undefined>>)[];
}

const record = recording<Scenario>("flannel").records.find(({ scenario }) => scenario === "vxlan-default")!;

test("node 1 becomes what the real flanneld makes of it, as others come and go", () => {
  const kernel = new FakeKernel("node-1", new Fabric(), new TurnedClock());
  const { host } = kernel;
  host.addLink({ kind: "nic", name: "eth0" });
  const files = memoryFiles();
  const flanneld = new Flanneld({
    config: { network: record["net-conf.json"].Network }, nodeName: "node-1", host, iface: "eth0", publicIP: "192.0.2.11", files, random: newRandom(2), log: silent,
  });
  const annotations = flanneld.start("10.244.1.0/24");
  const mac = host.link("flannel.1")!.mac;
  expect(mac).toMatch(/^[0-9a-f][26ae](:[0-9a-f]{2}){5}$/);
  const nodes = new Set<string>();
  for (const step of record.steps) {
    const want = step.node1!;
    if (step.step === "flanneld stopped") continue;
    for (const key of ["node2", "node3"] as const) {
      const other = step[key];
      if (other === undefined) continue;
      nodes.add(key);
      flanneld.setNode({ metadata: { name: key, annotations: other.annotations }, spec: { podCIDR: `10.244.${key.slice(4)}.0/24` } } as unknown as Node);
    }
    if (step.step === "node 3 deleted from the API") flanneld.deleteNode("node3");
    const ours = { ...want.annotations, "flannel.alpha.coreos.com/backend-data": want.annotations["flannel.alpha.coreos.com/backend-data"]!.replace(/([0-9a-f]{2}:){5}[0-9a-f]{2}/, mac) };
    expect(annotations).toEqual(ours);
    expect(files.read("/run/flannel/subnet.env")!.trim().split("\n")).toEqual(want["subnet.env"]);
    const overlay = want["ip -j route"].filter(({ dev }) => dev === "flannel.1");
    expect(host.routes().filter(({ dev }) => dev === "flannel.1").map(({ dst, via, onlink }) => ({ dst, via, onlink })))
      .toEqual(expect.arrayContaining(overlay.map(({ dst, gateway }) => ({ dst, via: gateway, onlink: true }))));
    expect(host.routes().filter(({ dev }) => dev === "flannel.1")).toHaveLength(overlay.length);
    expect(host.neighbours().map((n) => `${n.dst} dev ${n.dev} lladdr ${n.lladdr} ${n.state} `).sort()).toEqual([...want["ip neigh (permanent)"]].sort());
    expect(host.fdb("flannel.1").map((f) => `${f.lladdr} dev ${f.dev} dst ${f.dst} self ${f.state}`).sort()).toEqual([...want["bridge fdb (flannel)"]].sort());
    expect(parseSave(host.iptables.save())).toEqual(new Map([...parseSave(want["iptables-save"].join("\n"))].reverse()));
  }
  expect(nodes).toEqual(new Set(["node2", "node3"]));
});
