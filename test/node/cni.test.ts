import { expect, test } from "vitest";
import { inBoxPlugins } from "../../src/cni/plugins.ts";
import { runPlugin } from "../../src/cni/skel.ts";
import { memoryFiles } from "../../src/cni/types.ts";
import { newRandom } from "../../src/time/random.ts";
import { TurnedClock } from "./clock.ts";
import { Fabric, FakeKernel, type FakeNetns } from "./fake-netns.ts";
import { parseSave } from "./iptables-text.ts";
import { recording } from "./shared.ts";

interface Call {
  readonly plugin: string;
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: unknown;
  readonly exit: number;
  readonly stdout: unknown;
}

interface Conf {
  readonly type?: string;
  readonly ipam?: { readonly type?: string };
}

interface Scenario {
  readonly scenario: string;
  readonly conf: Conf & { readonly plugins?: readonly Conf[] };
  readonly before?: string | readonly string[];
  readonly files?: Readonly<Record<string, string>>;
  readonly steps: readonly { readonly command?: string; readonly run?: string; readonly where?: string; readonly calls?: readonly Call[]; readonly files?: Readonly<Record<string, string>>;
    readonly host?: Readonly<Record<string, unknown>> }[];
}

/** MACs and veth names are random: only that there is one counts. */
const plain = (value: unknown): unknown =>
  value === undefined ? null : JSON.parse(JSON.stringify(value).replace(/<mac[0-9]+>|\b([0-9a-f]{2}:){5}[0-9a-f]{2}\b/g, "MAC").replace(/veth(<[0-9]+>|[0-9a-f]{8})/g, "vethN"));

/** The setups of the recordings, as calls. */
function prepare(kernel: FakeKernel, commands: string): void {
  for (const command of commands.split(";").map((text) => text.trim().split(/\s+/)).filter(([ip]) => ip === "ip")) {
    const [, what, verb, ...rest] = command as [string, string, string, ...string[]];
    if (what === "link" && verb === "add") {
      const kind = rest[rest.indexOf("type") + 1];
      if (kind === "bridge") kernel.host.addLink({ kind, name: rest[0]! });
      else kernel.host.addLink({ kind: "veth", name: rest[0]!, peer: { name: rest.at(-1)! } });
    } else if (what === "addr") kernel.host.addAddress(rest.at(-1)!, rest[0]!);
    else if (what === "link" && verb === "set") kernel.host.setLink(rest[0]!, { up: true });
  }
}

/** What a recording did to a namespace between calls. */
function change(ns: FakeNetns, command: string): void {
  if (command === "ip addr flush dev eth0") for (const { dev, cidr } of ns.addresses()) if (dev === "eth0") ns.deleteAddress(dev, cidr);
  if (command === "ip link del eth0") ns.deleteLink("eth0");
  if (command === "ip route del default") ns.deleteRoute({ dst: "default" });
}

/**
 * Left out: the ptp plugin, the nftables backend, IPv6 rules and the IPv6 address of a real `lo`, and a namespace path
 * that is a directory.
 */
const LEFT_OUT = /^(bridge-dual-stack|bridge-ipmasq-nftables|bad-netns-is-host|flannel-(dual|delegate-ptp-mtu)|loopback-)/;

function differences(record: Scenario): string[] {
  const kernel = new FakeKernel("node", new Fabric(), new TurnedClock());
  kernel.host.addLink({ kind: "nic", name: "eth0" });
  kernel.host.addAddress("eth0", "192.0.2.10/24");
  const files = memoryFiles();
  const before = Array.isArray(record.before) ? record.before.join(";") : ((record.before as string | undefined) ?? "");
  prepare(kernel, before);
  for (const [path, text] of Object.entries(subnetEnv(record))) files.write(path, text);
  const out: string[] = [];
  const random = newRandom(5);
  for (const step of record.steps) {
    if (step.run !== undefined) change(kernel.all.get(`/var/run/netns/${step.where ?? ""}`) ?? kernel.host, step.run);
    for (const call of step.calls ?? []) {
      const plugin = inBoxPlugins.get(call.plugin);
      if (plugin === undefined) return ["not ours"];
      const path = call.env["CNI_NETNS"] ?? "";
      if (/^\/var\/run\/netns\/c[0-9]$/.test(path) && !kernel.all.has(path)) kernel.addNetns(path);
      const stdin = call.stdin === null ? "" : typeof call.stdin === "string" ? call.stdin
        : "raw" in (call.stdin as object) ? (call.stdin as { raw: string }).raw : JSON.stringify(call.stdin);
      const got = runPlugin(plugin, { env: call.env, stdin }, {
        host: kernel.host, openNetns: (name) => kernel.all.get(name), files, random, plugins: inBoxPlugins,
      });
      const want = call.stdout;
      try {
        expect(plain(got.stdout)).toEqual(plain(want));
      } catch {
        out.push(`${step.command}\n  want ${JSON.stringify(plain(want))}\n  got  ${JSON.stringify(plain(got.stdout))}`);
      }
    }
    const saved = step.host?.["iptables-save"] as string[] | undefined;
    if (saved !== undefined && saved.length > 0) {
      const want = parseSave(saved.join("\n")).get("nat"), got = parseSave(kernel.host.model.save("nat")).get("nat");
      if (JSON.stringify([...(want ?? [])].sort()) !== JSON.stringify([...(got ?? [])].sort())) {
        out.push(`iptables\n  want ${JSON.stringify([...(want ?? [])])}\n  got  ${JSON.stringify([...(got ?? [])])}`);
      }
    }
    if (step.files !== undefined) {
      const mine: Record<string, string> = {};
      for (const path of files.list("/var/lib/cni")) mine[path] = files.read(path)!;
      const wanted = Object.fromEntries(Object.entries(step.files).filter(([path]) => path.startsWith("/var/lib/cni") && !path.endsWith("/lock")));
      if (JSON.stringify(Object.entries(mine).sort()) !== JSON.stringify(Object.entries(wanted).sort())) {
        out.push(`files\n  want ${JSON.stringify(wanted)}\n  got  ${JSON.stringify(mine)}`);
      }
    }
  }
  return out;
}

/** flanneld's file, as it lay on the recording's node. */
function subnetEnv(record: Scenario): Record<string, string> {
  const found = record.files ?? {};
  return Object.fromEntries(Object.entries(found).map(([path, text]) => [path, text]));
}

const ours = recording<Scenario>("cni").records.filter((record) =>
  (record.conf.plugins ?? [record.conf]).every(({ type, ipam }) => inBoxPlugins.has(type ?? "") && ipam?.type !== "static"));
const compared = ours.filter(({ scenario }) => !LEFT_OUT.test(scenario));

test("results and errors equal the real plugins'", () => {
  const failed = compared.flatMap((record) => {
    const found = differences(record);
    return found.length === 0 ? [] : [`${record.scenario}: ${found.join("\n")}`];
  });
  console.info(`cni: ${compared.length - failed.length}/${ours.length} scenarios of bridge, host-local, loopback and flannel match (${ours.length - compared.length} left out)`);
  expect(failed).toEqual([]);
});
