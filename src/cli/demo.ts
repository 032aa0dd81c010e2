/** `kubewire demo`: the main job. Boots, applies, asks, and tells the journey of the request. */
import { clusterOn, type Cluster, type ExecResult } from "../cluster.ts";
import { runScenario, type Scenario } from "../digest.ts";
import { encodePcapng } from "../pcap/pcapng.ts";
import type { CliHost } from "../platform.ts";
import { captureOf } from "../trace/capture.ts";
import { journeys, type Journey, type Step } from "../trace/journey.ts";
import { innermost, tcpFlags } from "../trace/dissect.ts";
import type { Observations } from "../trace/observer.ts";
import { readScenario, type ScenarioOptions } from "./scenario.ts";

interface Options extends ScenarioOptions {
  readonly json: boolean;
  readonly pcap: string;
  readonly nodes: number;
  readonly seed: number;
  readonly loss: number;
  readonly run: readonly string[];
}

/** Frames and steps that come after the answer (closing handshakes) still belong to the story. */
const AFTERWARDS_MS = 200;

/** Exit status 0 when the client got its answer, else 1. */
export const demoCommand = async (host: CliHost, options: Options): Promise<number> => {
  const { nodes, seed, loss } = options;
  const scenario = await readScenario(host, options);
  const startedMs = host.platform.monotonicMs();
  const cluster = await clusterOn(host.platform)({ components: "core", nodes, seed, link: { loss }, observe: { capture: true, trace: true } });
  try {
    const bootMs = host.platform.monotonicMs() - startedMs;
    const commands = options.run.map((line) => line.split(" ").filter((word) => word !== ""));
    const request = await askAndWatch(cluster, scenario, commands);
    const wallMs = host.platform.monotonicMs() - startedMs;
    const capture = captureOf(request.observations, cluster.epochMs);
    await host.writeFile(options.pcap, [encodePcapng(capture)]);
    const all = journeys(request.observations).filter(({ addresses }) => addresses.has(request.clientIp));
    const story: Story = {
      ...request, scenario, bootMs, wallMs, nodes: cluster.nodes, virtualMs: cluster.nowNs() / 1e6, pcap: options.pcap,
      journeys: all.filter(({ startNs, first }) => startNs >= request.askedNs && first.arp === undefined),
    };
    host.stdout(options.json ? `${JSON.stringify(toJson(story), undefined, 2)}\n` : tell(story));
    return request.answer.exitCode === 0 ? 0 : 1;
  } finally {
    cluster.close();
  }
};

interface Asked {
  /** What `--run` ran before the request. */
  readonly commands: readonly { readonly node: string; readonly argv: readonly string[]; readonly stdout: string }[];
  readonly clientIp: string;
  /** Virtual time at which the client began. */
  readonly askedNs: number;
  readonly answer: ExecResult;
  readonly observations: readonly Observations[];
}

const askAndWatch = async (cluster: Cluster, scenario: Scenario, commands: readonly string[][]): Promise<Asked> => {
  const { namespace, pod } = scenario.from;
  let clientIp = "";
  let askedNs = 0;
  const ran: Asked["commands"][number][] = [];
  const answer = await runScenario(cluster, scenario, async () => {
    const { status, body } = await cluster.api({ method: "GET", path: `/api/v1/namespaces/${namespace}/pods/${pod}` });
    if (status === 200) clientIp = (body as { status: { podIP?: string } }).status.podIP ?? "";
    for (const [node = "", ...argv] of commands) ran.push({ node, argv, stdout: await cluster.hostCommand(node, argv) });
    askedNs = cluster.nowNs();
  });
  await cluster.advance(AFTERWARDS_MS);
  return { commands: ran, clientIp, askedNs, answer, observations: await cluster.observations() };
};

interface Story extends Asked {
  readonly scenario: Scenario;
  readonly bootMs: number;
  readonly wallMs: number;
  readonly virtualMs: number;
  readonly nodes: Cluster["nodes"];
  readonly journeys: readonly Journey[];
  readonly pcap: string;
}

const milliseconds = (ns: number): string => `${(ns / 1e6).toFixed(3)} ms`;

/** The story for a person. The packets that decide (names, the first of the connection, its answer) are told step by step. */
const tell = (story: Story): string => {
  const { scenario, answer, askedNs } = story;
  const lines = [
    `${story.nodes.length} nodes: ${story.nodes.map(({ name, address }) => `${name} ${address}`).join(", ")}`,
    `booted in ${story.bootMs.toFixed(0)} ms, answered after ${story.wallMs.toFixed(0)} ms (${(story.virtualMs / 1000).toFixed(3)} s of virtual time)`,
    ...story.commands.flatMap(({ node, argv, stdout }) => ["", `${node}# ${argv.join(" ")}`, ...(stdout === "" ? [] : [stdout.trimEnd()])]),
    "",
    `${scenario.from.namespace}/${scenario.from.pod} (${story.clientIp}): GET ${scenario.url}`,
  ];
  const seen = new Set<string>();
  for (const journey of story.journeys) {
    const kind = kindOf(journey, story.clientIp);
    const whole = kind !== undefined && !seen.has(kind);
    if (kind !== undefined) seen.add(kind);
    lines.push("", `${milliseconds(journey.startNs - askedNs)}  ${journey.packet}${endOf(journey)}`);
    if (whole || journey.outcome === "dropped") lines.push(...stepLines(journey.steps, askedNs));
  }
  lines.push("", `exit status ${answer.exitCode}`);
  if (answer.stdout !== "") lines.push("", answer.stdout.trimEnd());
  if (answer.stderr !== "") lines.push("", answer.stderr.trimEnd());
  lines.push("", `${story.pcap}: every frame at every device, for Wireshark`, "");
  return lines.join("\n");
};

/** Packets that are told whole, once each. */
const kindOf = ({ first }: Journey, clientIp: string): string | undefined => {
  const { ip, tcp, dns, icmp } = innermost(first);
  const direction = ip?.source === clientIp ? "from the client" : "to the client";
  if (dns !== undefined) return `DNS ${direction}`;
  if (tcp !== undefined && (tcp.flags & 2) !== 0) return `${tcpFlags(tcp.flags)} ${direction}`;
  return icmp === undefined ? undefined : `ICMP ${icmp.type} ${direction}`;
};

const endOf = ({ outcome, packet, arrived }: Journey): string => {
  const changed = arrived === packet ? "" : `, arrived as ${arrived}`;
  return outcome === "delivered" ? changed : outcome === "dropped" ? " - dropped" : " - no end seen";
};

const stepLines = (steps: readonly Step[], askedNs: number): string[] => {
  const lines: string[] = [];
  let place = "";
  for (const { node, pod, text, timeNs } of steps) {
    const here = pod === undefined ? node : `pod ${pod} on ${node}`;
    if (here !== place) lines.push(`    ${here}`);
    place = here;
    lines.push(`      ${((timeNs - askedNs) / 1e3).toFixed(1).padStart(9)} µs  ${text}`);
  }
  return lines;
};

const toJson = (story: Story): unknown => ({
  nodes: story.nodes,
  bootMs: story.bootMs,
  wallMs: story.wallMs,
  virtualMs: story.virtualMs,
  request: { from: story.scenario.from, podIP: story.clientIp, url: story.scenario.url },
  commands: story.commands,
  answer: story.answer,
  pcap: story.pcap,
  packets: story.journeys.map(({ packet, arrived, startNs, endNs, outcome, steps }) => ({ packet, arrived, startNs, endNs, outcome, steps })),
});
