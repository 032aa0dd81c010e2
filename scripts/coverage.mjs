// npm run coverage: writes docs/coverage.md, which says of every name that kubewire sets out to model how it is verified. `--check`
// fails instead when the file is out of date.
//
// What counts is looked up, not claimed: a name is "recorded" when cases answered by the real kernel or tool use it (the tests replay
// all of them), "tested" when only tests of our own do, "absent" when nothing does.
import { readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = new URL("../", import.meta.url);
const shared = new URL(`${process.env.KUBEWIRE_SHARED ?? "../shared"}/`, root);
const target = new URL("docs/coverage.md", root);

const words = (text) => text.trim().split(/\s+/);

/**
 * What there is to cover: the heading, its names, and the words that show a name in a recorded case (`cases`) and in a test (`tests`).
 * @type {{ title: string, names: string[], cases: (name: string) => RegExp, tests: (name: string) => RegExp }[]}
 */
const AREAS = [
  {
    title: "iptables matches",
    names: words(`addrtype ah bpf cgroup cluster comment connbytes connlabel connlimit connmark conntrack dscp dst ecn esp eui64 frag
      hashlimit hbh helper hl icmp icmp6 ipv6header iprange length limit mac mark mh multiport owner physdev pkttype policy quota recent
      rpfilter rt sctp set socket state statistic string tcp tcpmss time tos ttl u32 udp`),
    cases: (name) => new RegExp(`-m ${name}\\b${["tcp", "udp", "icmp", "sctp", "ah", "esp"].includes(name) ? `|-p ${name}\\b` : ""}`),
    tests: (name) => new RegExp(`-m ${name}\\b`),
  },
  {
    title: "iptables targets",
    names: words(`ACCEPT AUDIT CHECKSUM CLASSIFY CONNMARK CT DNAT DNPT DROP DSCP HL LOG MARK MASQUERADE NETMAP NFLOG NFQUEUE NOTRACK QUEUE
      REDIRECT REJECT RETURN SECMARK SET SNAT SNPT TCPMSS TEE TOS TPROXY TRACE TTL`),
    cases: (name) => new RegExp(`-[jg] ${name}\\b`),
    tests: (name) => new RegExp(`-[jg] ${name}\\b`),
  },
  {
    title: "nftables",
    names: words(`accept drop queue continue return jump goto masquerade snat dnat redirect reject tproxy notrack counter quota limit
      log dup fwd vmap map set numgen jhash symhash fib ct meta socket rt exthdr flow synproxy`),
    cases: (name) => new RegExp(`\\b${{ flow: "flow add", exthdr: "exthdr|frag|hbh", meta: "meta|iifname|oifname", ct: "ct" }[name] ?? name}\\b`),
    tests: (name) => new RegExp(`[^-\\w]${name} `),
  },
  {
    title: "ipset types",
    names: words(`bitmap:ip bitmap:ip,mac bitmap:port hash:ip hash:ip,mark hash:ip,port hash:ip,port,ip hash:ip,port,net hash:mac hash:ip,mac
      hash:net hash:net,net hash:net,port hash:net,port,net hash:net,iface list:set`),
    cases: (name) => new RegExp(`${name}(?![,\\w])`),
    tests: (name) => new RegExp(`${name}(?![,\\w])`),
  },
  {
    title: "Devices and queueing disciplines",
    names: words(`veth bridge vlan vxlan geneve ipip gre gretap ip6gre sit wireguard macvlan ipvlan dummy ifb tun tap bond vrf
      pfifo bfifo pfifo_fast tbf netem htb ingress clsact fq_codel`),
    cases: (name) => new RegExp(`type ${name}\\b|"(?:kind|type)": ?"${name}"|qdisc (?:add|replace)[^"]* ${name}\\b`),
    tests: (name) => new RegExp(`(?:kind|type|qdisc): "${name}"|\\["${name}"|type ${name}\\b| ${name} (?:rate|limit|delay|default)`),
  },
];

/** Every file below a folder that `wanted` takes. */
function* filesBelow(folder, wanted) {
  for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const url = new URL(entry.isDirectory() ? `${entry.name}/` : entry.name, folder);
    if (entry.isDirectory()) yield* filesBelow(url, wanted);
    else if (wanted(url.pathname)) yield url;
  }
}

/** The texts of the recorded cases, one each, without the frames (in hex, they would match anything short). */
function recordedCases() {
  const texts = [];
  const add = (value) => texts.push(JSON.stringify(value, (key, field) => (key === "frame" || key === "hex" ? undefined : field)));
  for (const url of filesBelow(new URL("oracle/cases/", shared), (path) => path.endsWith(".json"))) add(JSON.parse(readFileSync(url, "utf8")));
  for (const url of filesBelow(new URL("test/kernel/", root), (path) => /\/recorded\/.*\.jsonl?$/.test(path))) {
    const content = readFileSync(url, "utf8");
    for (const one of url.pathname.endsWith(".jsonl") ? content.trim().split("\n") : [content]) add(JSON.parse(one).case ?? JSON.parse(one));
  }
  for (const file of ["reachability.json", "iptables-rules.json", "cli-errors.json", "cli-outputs.json"]) {
    for (const record of JSON.parse(readFileSync(new URL(`recordings/network/${file}`, shared), "utf8")).records) {
      if (record.exit === undefined || record.exit === 0) add({ ...record, stderr: undefined, outputs: undefined });
    }
  }
  return texts;
}

function coverage() {
  const cases = recordedCases();
  const tests = [...filesBelow(new URL("test/", root), (path) => path.endsWith(".ts"))].map((url) => readFileSync(url, "utf8"));
  const count = (texts, pattern) => texts.reduce((sum, text) => sum + (pattern.test(text) ? 1 : 0), 0);
  const lines = [
    "# What is verified, and how",
    "",
    "Written by `npm run coverage`; do not edit. *Recorded*: so many cases answered by the real kernel or tool use it, and the tests",
    "replay them. *Tested*: so many test files of this repository use it, without such an answer. *Absent*: neither.",
  ];
  for (const { title, names, ...patterns } of AREAS) {
    lines.push("", `## ${title}`, "", "| name | how |", "|---|---|");
    for (const name of names) {
      const recorded = count(cases, patterns.cases(name));
      const tested = recorded > 0 ? 0 : count(tests, patterns.tests(name));
      lines.push(`| ${name} | ${recorded > 0 ? `recorded, ${recorded}` : tested > 0 ? `tested, ${tested}` : "absent"} |`);
    }
  }
  return `${[...lines, ...apiCoverage()].join("\n")}\n`;
}

/** Kinds of the API and what else its recordings are about: exchanges that match, as the floors of test/control-plane hold them. */
function apiCoverage() {
  const floors = readFileSync(new URL("test/control-plane/recordings.test.ts", root), "utf8");
  const { scenarios } = JSON.parse(readFileSync(new URL("recordings/index.json", shared), "utf8"));
  const sums = new Map();
  for (const [name, { mode, exchanges }] of Object.entries(scenarios)) {
    if (mode !== "api") continue;
    const about = name.replace(/^(?:default|invalid)-/, "");
    const sum = sums.get(about) ?? [0, 0];
    const floor = new RegExp(`"${name}": (\\d+)`).exec(floors)?.[1] ?? "0";
    sums.set(about, [sum[0] + Number(floor), sum[1] + exchanges]);
  }
  const rows = [...sums].sort(([a], [b]) => (a < b ? -1 : 1)).map(([about, [matched, of]]) => `| ${about} | ${matched} of ${of} |`);
  return ["", "## The API: recorded exchanges that match", "", "| about | match |", "|---|---|", ...rows];
}

statSync(shared);
const text = coverage();
if (!process.argv.includes("--check")) writeFileSync(target, text);
else if (readFileSync(target, "utf8") !== text) {
  process.stderr.write(`${fileURLToPath(target)} is out of date: npm run coverage\n`);
  process.exitCode = 1;
}
