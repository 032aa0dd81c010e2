/** What the end-to-end tests share: a cluster with the first-run workload, and its capture on disk for tools. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { platform } from "../../runtimes/node/platform.ts";
import { clusterOn, type Cluster, type ClusterOptions } from "../../src/cluster.ts";
import { encodePcapng } from "../../src/pcap/pcapng.ts";
import { captureOf } from "../../src/trace/capture.ts";

export const createCluster = clusterOn(platform);
export const URL_WEB = "http://web.shop.svc.cluster.local/";
export const CLIENT = { namespace: "shop", pod: "client" } as const;
const FIRST_RUN = new URL("examples/first-run/", `file://${process.cwd()}/`);

/** Boots, applies examples/first-run and waits until all of it and cluster DNS are ready. */
export async function firstRun(options: ClusterOptions = {}): Promise<Cluster> {
  const cluster = await createCluster(options);
  const files = readdirSync(FIRST_RUN).sort().map((name) => ({ name, text: readFileSync(new URL(name, FIRST_RUN), "utf8") }));
  const objects = await cluster.apply(files);
  await cluster.waitReady([...objects, { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "coredns", namespace: "kube-system" } }]);
  return cluster;
}

export interface Pod {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly nodeName?: string };
  readonly status: { readonly podIP?: string; readonly phase?: string };
}

/** Pods of a namespace with this label selector. */
export async function pods(cluster: Cluster, namespace: string, selector = ""): Promise<Pod[]> {
  const path = `/api/v1/namespaces/${namespace}/pods?labelSelector=${encodeURIComponent(selector)}`;
  return ((await cluster.api({ method: "GET", path })).body as { items: Pod[] }).items;
}

/** Writes what was captured since the last call to a pcapng file, lets `use` look at it, and removes it. */
export async function withCapture<T>(cluster: Cluster, use: (file: string) => T): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "kubewire-"));
  try {
    const file = join(folder, "cluster.pcapng");
    writeFileSync(file, encodePcapng(captureOf(await cluster.observations(), cluster.epochMs)));
    return use(file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const CHECKS = ["tcp", "ip", "udp"].flatMap((protocol) => ["-o", `${protocol}.check_checksum:TRUE`]);

/** tshark with checksum validation on; its output's lines. */
export function tshark(file: string, ...args: string[]): string[] {
  const text = execFileSync("tshark", ["-r", file, ...CHECKS, ...args], { encoding: "utf8", maxBuffer: 1 << 28, stdio: ["ignore", "pipe", "pipe"] });
  return text.split("\n").filter((line) => line !== "");
}
