/**
 * The parity scenario: one cluster, one workload, one request, and one SHA-256 over every frame on every wire and every change
 * of every object. The same seed gives the same digest in every runtime, with any number of workers, on any memory.
 *
 * The digest is the SHA-256 of these lines, each ended by a newline: for each wire, in order of its name,
 * `WIRE SHA256-OF-ITS-FRAMES`; then `events SHA256-OF-THE-EVENT-LINES`. A wire's frames are hashed as trace/observer.ts says; the
 * event lines are hashed as UTF-8, each ended by a newline.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import { clusterOn, type Cluster, type ExecResult, type ManifestFile } from "./cluster.ts";
import type { Platform } from "./platform.ts";
import { eachFrame } from "./trace/records.ts";
import { wireName, type Observations } from "./trace/observer.ts";

export interface DigestOptions {
  /** The manifests, and who asks whom. */
  readonly scenario: Scenario;
  readonly seed?: number;
  readonly workers?: number;
  /** Share of frames that each link of the underlay loses. */
  readonly loss?: number;
  /** Also return all frames and events, as lines of JSON (`--frames`). */
  readonly frames?: boolean;
}

export interface Scenario {
  readonly files: readonly ManifestFile[];
  readonly from: { readonly namespace: string; readonly pod: string };
  readonly url: string;
}

export interface DigestResult {
  readonly sha256: string;
  readonly wires: number;
  readonly events: number;
  /** Virtual time of the scenario, in ns. */
  readonly virtualNs: number;
  /** What the client printed. */
  readonly stdout: string;
  readonly lines?: readonly string[];
}

const SETTLE_MS = 1000;

/** Boots, applies, asks, lets another second pass, and digests. */
export const digest = async (platform: Platform, options: DigestOptions): Promise<DigestResult> => {
  const { scenario, seed = 1, workers = 0, loss = 0, frames = false } = options;
  const cluster = await clusterOn(platform)({
    components: "core", seed, workers, memory: platform.sharedMemory ? "shared" : "plain", link: { loss }, observe: { digest: true, capture: frames },
  });
  try {
    const { stdout } = await runScenario(cluster, scenario);
    // A fixed instant of virtual time ends the scenario: what happens until then is all of it, on every site.
    const endNs = Math.ceil(cluster.nowNs() / 1e6) * 1e6 + SETTLE_MS * 1e6;
    await cluster.runTo(endNs);
    const wires = await cluster.frameDigests();
    const events = cluster.eventLines();
    const text = [...wires, ["events", hash(events)] as const].map(([name, sum]) => `${name} ${sum}`);
    return {
      sha256: hash(text),
      wires: wires.length,
      events: events.length,
      virtualNs: endNs,
      stdout,
      ...(frames ? { lines: [...frameLines(await cluster.observations()), ...events] } : {}),
    };
  } finally {
    cluster.close();
  }
};

/** Applies the manifests, waits until everything is ready, calls `before`, and lets the client ask. */
export const runScenario = async (
  cluster: Cluster,
  { files, from, url }: Scenario,
  before?: () => Promise<void>,
): Promise<ExecResult> => {
  const applied = await cluster.apply(files);
  await cluster.waitReady([...applied, DNS]);
  await before?.();
  return cluster.exec(from, ["curl", "-sS", "-i", url]);
};

/** Nobody can ask by name before cluster DNS answers. */
const DNS = { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "coredns", namespace: "kube-system" } };

const hash = (lines: readonly string[]): string => {
  const state = sha256.create();
  for (const line of lines) state.update(utf8ToBytes(`${line}\n`));
  return bytesToHex(state.digest());
};

/** Frames as lines of JSON, by node and in order of time of each node. */
function* frameLines(all: readonly Observations[]): Generator<string> {
  for (const { node, records } of all) {
    const lines: string[] = [];
    for (const chunk of records) {
      eachFrame(chunk, ({ timeNs, netns, ifindex, received, bytes }) => {
        lines.push(JSON.stringify({ wire: wireName(node, netns, ifindex), timeNs, received, frame: bytesToHex(bytes) }));
      });
    }
    yield* lines;
  }
}
