/** `kubewire/worker`: the cluster inside a dedicated worker, so that the page stays free to draw. */
import { expose, proxy } from "comlink";
import { type Cluster, type ClusterOptions, clusterOn } from "../../src/cluster.ts";
import { platform } from "./platform.ts";

export * from "../../src/index.ts";
export { platform };
export const createCluster = /* @__PURE__ */ clusterOn(platform);

/** What the page reaches: see `openWorker` of `kubewire/browser`. */
export interface ClusterWorker {
  createCluster(options?: ClusterOptions): Promise<Cluster>;
}

/** Serves `createCluster` over Comlink to whoever started this worker. For control: a call costs about 0.1 ms. */
export function exposeCluster(): void {
  const worker: ClusterWorker = { createCluster: async (options) => proxy(await createCluster(options)) };
  expose(worker);
}
