/**
 * What the data path is measured on: the topology, rules and packets of ../shared/oracle/bench, for both kernels. A router between
 * eth0 (clients 10.244.64.0/18) and eth1 (the next hop of 10.244.2.0/24), which sends into nothing.
 */

export interface Scenario {
  readonly name: string;
  readonly about: string;
  /** Concurrent flows, a power of two; 0: every packet begins a new one. */
  readonly flows: number;
  /** kube-proxy's rules for so many Services, with ten other rules among them; 0: none. */
  readonly services: number;
  /** Which Service is asked. */
  readonly service?: "first" | "last";
  /** Rules where `services` is 0. */
  readonly rules?: string;
  readonly vxlan?: true;
  /** Nanoseconds per packet that are aimed at. */
  readonly aim: number;
  /** The row of ../shared/oracle/bench/figures.json that was recorded for it. */
  readonly recorded: string | undefined;
}

/** Accepts what belongs to a connection, drops what can not. */
const CONNTRACK =
  "*filter\n-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A FORWARD -m conntrack --ctstate INVALID -j DROP\nCOMMIT\n";

const newFlow = (services: number, service: "first" | "last", recorded?: string): Scenario => ({
  name: `new flow, ${service} of ${services} services`,
  about: "every packet a new connection, by kube-proxy's rules",
  flows: 0,
  services,
  service,
  aim: 1000,
  recorded,
});

export const SCENARIOS: readonly Scenario[] = [
  { name: "plain forward", about: "no tables", flows: 4096, services: 0, aim: 100, recorded: "a_plain_sink" },
  { name: "conntrack established", about: "one rule", flows: 4096, services: 0, rules: CONNTRACK, aim: 150, recorded: "b_ct_est_sink" },
  { name: "1000 services, established", about: "DNAT by kube-proxy's rules", flows: 4096, services: 1000, service: "last", aim: 200,
    recorded: "c_kube1000_est_sink" },
  newFlow(1000, "first"),
  newFlow(1000, "last", "c_kube1000_new_last_sink"),
  newFlow(10_000, "first", "c_kube10000_new_first"),
  newFlow(10_000, "last", "c_kube10000_new_last"),
  newFlow(30_000, "first"),
  newFlow(30_000, "last"),
  { name: "VXLAN encapsulation", about: "no tables, no UDP checksum", flows: 4096, services: 0, vxlan: true, aim: 200,
    recorded: "d_vxlan_encap_sink" },
  { name: "a million flows, established", about: "one rule", flows: 1_048_576, services: 0, rules: CONNTRACK, aim: 350,
    recorded: undefined },
];

/** Row of figures.json by name: the generator alone, which is taken off every other. */
export const GENERATOR = "base_gen_drop";

/** ClusterIP and backend port of Service `i` of kube_rules.py's bench_services. */
export const serviceAddress = (i: number): string => `10.96.${(i + 257) >> 8}.${(i + 257) & 255}`;
export const servicePort = (i: number): number => 10_000 + (i % 50_000);
/** The pod behind all of them. */
export const BACKEND = "10.244.2.7";
/** Where plain packets go: the far router, by itself. */
export const FAR = "10.0.2.20";

/** Chains that the ten rules go into, and rules that bench packets pass without a verdict. */
const EXTRA: readonly (readonly [chain: string, rule: string])[] = [
  ["KUBE-SERVICES", "-d 10.96.200.200/32 -p tcp -m tcp --dport 443 -j ACCEPT"],
  ["KUBE-SERVICES", "-s 192.0.2.0/24 -j RETURN"],
  ["KUBE-SERVICES", "-p udp -m udp --dport 5353 -j RETURN"],
  ["KUBE-SERVICES", "-p tcp -m multiport --dports 22,80,443 -j RETURN"],
  ["KUBE-SERVICES", "-i eth7 -j RETURN"],
  ["KUBE-SERVICES", "-m mark --mark 0x1/0x1 -j RETURN"],
  ["KUBE-SERVICES", "-d 198.51.100.0/24 -j ACCEPT"],
  ["KUBE-SERVICES", "-m ttl --ttl-lt 3 -j RETURN"],
  ["KUBE-SERVICES", "-s 10.244.0.0/16 -m length --length 1000:1100"],
  ["KUBE-SERVICES", "-p icmp -j RETURN"],
];

/** kube-proxy's rules with ten others at places in the nat table's KUBE-SERVICES that only `seed` decides. */
export function withExtraRules(rules: string, seed: number): string {
  const lines = rules.split("\n");
  const nat = lines.indexOf("*nat");
  let state = seed >>> 0;
  for (const [chain, rule] of EXTRA) {
    const places = [];
    for (let i = nat; i < lines.length; i++) if (lines[i]!.startsWith(`-A ${chain} -d 10.96.`)) places.push(i);
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const at = places[Math.floor((state / 2 ** 32) * places.length)] ?? lines.length - 2;
    lines.splice(at, 0, `-A ${chain} ${rule}`);
  }
  return lines.join("\n");
}
