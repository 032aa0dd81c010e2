import { expect, test } from "vitest";
import type { EndpointSlice, Service } from "../../src/api/types.generated.ts";
import { proxierConfig, type KubeProxyConfiguration } from "../../src/kube-proxy/config.ts";
import { Proxier } from "../../src/kube-proxy/iptables/proxier.ts";
import { silent } from "../../src/log.ts";
import type { Iptables } from "../../src/kernel/netns.ts";
import { IptablesModel, parseSave } from "./iptables-text.ts";
import { recording } from "./shared.ts";

interface Scenario {
  readonly scenario: string;
  readonly values: "A" | "B";
  readonly config: { readonly iptables: KubeProxyConfiguration };
  readonly steps: readonly {
    readonly objects: readonly (Service | EndpointSlice)[];
    readonly rules: { readonly iptables: Readonly<Record<"iptables-save" | "ip6tables-save", readonly string[] | string>> };
    readonly writes: Readonly<Record<string, unknown>>;
  }[];
}

const text = (lines: readonly string[] | string): string => (typeof lines === "string" ? lines : lines.join("\n"));

/** Chains whose rules come per Service in the order of a Go map: their blocks have no fixed order. */
const SHARED_CHAINS = new Set(["KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-EXTERNAL-SERVICES", "KUBE-PROXY-FIREWALL"]);

/** Rules of a shared chain, stable within the comment's port name, the tail left last. */
function ordered(chain: string, rules: readonly string[]): string[] {
  if (!SHARED_CHAINS.has(chain)) return [...rules];
  const owner = (rule: string): string =>
    /NOTE: this must be the last/.test(rule) ? "~" : (/--comment "([^ "]*)/.exec(rule)?.[1] ?? "") + (/-p (\w+)/.exec(rule)?.[1] ?? "");
  return rules.map((rule, i) => ({ rule, i, key: owner(rule) }))
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.i - b.i)).map(({ rule }) => rule);
}

function differences(want: string, got: string): string[] {
  const a = parseSave(want), b = parseSave(got);
  const out: string[] = [];
  for (const table of new Set([...a.keys(), ...b.keys()])) {
    const wt = a.get(table) ?? new Map<string, string[]>(), gt = b.get(table) ?? new Map<string, string[]>();
    for (const chain of new Set([...wt.keys(), ...gt.keys()])) {
      const w = wt.get(chain), g = gt.get(chain);
      if (w === undefined || g === undefined) out.push(`${table} ${chain}: ${w === undefined ? "extra" : "missing"}`);
      else {
        const ws = ordered(chain, w), gs = ordered(chain, g);
        for (let i = 0; i < Math.max(ws.length, gs.length); i++) {
          if (ws[i] !== gs[i]) out.push(`${table} ${chain} ${i}\n  want ${ws[i]}\n  got  ${gs[i]}`);
        }
      }
    }
  }
  return out;
}

function run(record: Scenario, family: "IPv4" | "IPv6"): string[] {
  const model = new IptablesModel(family === "IPv6");
  const iptables: Iptables = {
    restore: (input, options) => model.restore(input, options),
    save: (options) => (options?.table === undefined ? model.save() : (model.table(options.table), model.save(options.table))),
    run: (args) => model.run(args),
    describe: () => undefined,
  };
  const config = proxierConfig(record.config.iptables, {
    nodeName: "node-1",
    nodeIPs: ["192.0.2.10", "2001:db8:1::10"],
    addresses: ["127.0.0.1", "::1", "192.0.2.10", "2001:db8:1::10", "198.51.100.10", "2001:db8:2::10", "10.99.0.11"],
    podCIDRs: [record.values === "A" ? "10.244.1.0/24" : "10.101.1.0/24"],
    zone: "zone-a",
    nfacct: true,
  }, family);
  const proxier = new Proxier({ iptables, config, log: silent, deleteConntrack: () => 0 });
  let known = new Map<string, Service | EndpointSlice>();
  const out: string[] = [];
  record.steps.forEach((step, i) => {
    const now = new Map(step.objects.map((o) => [`${o.kind} ${o.metadata.namespace}/${o.metadata.name}`, o]));
    for (const [key, object] of new Map([...known, ...now])) {
      const current = now.get(key), before = known.get(key);
      const name = key.split(" ")[1]!;
      if (object.kind === "Service") proxier.setService(name, current as Service | undefined);
      else proxier.setSlice(name, current as EndpointSlice | undefined, before as EndpointSlice | undefined);
    }
    known = now;
    proxier.sync();
    const want = text(step.rules.iptables[family === "IPv4" ? "iptables-save" : "ip6tables-save"]);
    out.push(...differences(want, model.save()).map((line) => `step ${i}: ${line}`));
  });
  return out;
}

const records = recording<Scenario>("kube-proxy").records;

test.each(["IPv4", "IPv6"] as const)("rules equal a real kube-proxy's in every recorded scenario, %s", (family) => {
  const failed = records.flatMap((record) => {
    const found = run(record, family);
    return found.length === 0 ? [] : [`${record.scenario}\n${found.slice(0, 6).join("\n")}`];
  });
  console.info(`kube-proxy ${family}: ${records.length - failed.length}/${records.length} scenarios match`);
  expect(failed).toEqual([]);
});
