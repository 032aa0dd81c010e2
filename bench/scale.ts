/**
 * How large a cluster fits into one process? 1,000 nodes and 100,000 pods is what kwok says it reaches, whose nodes run nothing; these nodes
 * have kernels, kubelets and proxies, and their pods programs, sandboxes and addresses. Prints the memory, and what of it is whose.
 * Arguments by the environment: KUBEWIRE_SCALE=NODESxPODS.
 */
import type { Bench, Measured } from "./lib/bench.ts";

interface Taken {
  /** Megabytes: of the process, of JavaScript's heap, of the nodes' kernels. */
  readonly rss: number;
  readonly heap: number;
  readonly kernel: number;
}
export interface Scaled {
  readonly nodes: number;
  readonly pods: number;
  readonly bootMs: number;
  readonly readyMs: number;
  readonly empty: Taken;
  readonly full: Taken;
}

const AIM_MB = 4096;

export async function main({ prepare }: Bench): Promise<Measured> {
  const [nodes = "1000", pods = "100000"] = (process.env["KUBEWIRE_SCALE"] ?? "1000x100000").split("x");
  const program = await prepare("bench/scale/kubewire.ts", { flags: ["--max-old-space-size=12000"], timeoutMs: 3_600_000 });
  let scaled: Scaled;
  try {
    scaled = (await program.run(nodes, pods)) as Scaled;
  } finally {
    program.dispose();
  }
  const { empty, full } = scaled;
  const each = (key: keyof Taken): string => (((full[key] - empty[key]) * 1024) / scaled.pods).toFixed(1);
  const node = (key: keyof Taken): string => ((empty[key] * 1024) / scaled.nodes).toFixed(0);
  const row = (what: string, taken: Taken): string => `${what.padEnd(28)}${[taken.rss, taken.heap, taken.kernel].map((mb) => mb.toFixed(0).padStart(10)).join("")}`;
  const text = [
    `${"MB".padEnd(28)}${["process", "heap", "kernels"].map((head) => head.padStart(10)).join("")}`,
    row(`${scaled.nodes} nodes`, empty), row(`and ${scaled.pods} pods`, full),
    `a node: ${node("rss")} KB, of these heap ${node("heap")}, kernel ${node("kernel")}; a pod: ${each("rss")} KB, heap ${each("heap")}, kernel ${each("kernel")}`,
    `booted in ${(scaled.bootMs / 1000).toFixed(1)} s, all pods Ready in ${(scaled.readyMs / 1000).toFixed(1)} s more (${((scaled.pods * 1000) / scaled.readyMs).toFixed(0)} pods/s); aim: under ${AIM_MB} MB`,
  ].join("\n");
  return { text, data: { ...scaled, aim: AIM_MB } };
}
