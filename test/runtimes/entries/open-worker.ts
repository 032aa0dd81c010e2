/** A page that holds its cluster in a worker: what it sees of it. */
import { openWorker } from "../../../runtimes/browser/index.ts";

export async function main(): Promise<{ nodes: string[]; nowNs: number; refused: string }> {
  const worker = openWorker();
  try {
    const cluster = await worker.createCluster({ nodes: 2 });
    const names = (await cluster.nodes).map(({ name }) => name);
    const nowNs = await cluster.nowNs();
    let refused = "";
    try {
      await worker.createCluster({ nodes: -1 });
    } catch (error) {
      refused = (error as Error).name;
    }
    return { nodes: names, nowNs, refused };
  } finally {
    worker.terminate();
  }
}
