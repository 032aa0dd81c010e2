/** `kubewire/browser`: the cluster in a page, or in a worker of it. */
import { wrap } from "comlink";
import { clusterOn } from "../../src/cluster.ts";
import { spawnClusterWorker } from "../web-worker.ts";
import type { ClusterWorker } from "../worker/index.ts";
import { platform } from "./platform.ts";

export * from "../../src/index.ts";
export { platform };
export const createCluster = /* @__PURE__ */ clusterOn(platform);

/** An object on the other side of a worker: the same methods, each with a promise of its result. */
export type Remote<T> = {
  readonly [K in keyof T]: T[K] extends (...args: infer A) => infer R
    ? (...args: A) => Promise<Awaited<R>>
    : Promise<T[K]>;
};

/** A worker that can hold clusters: `await (await openWorker()).createCluster()`. */
export interface OpenWorker {
  createCluster(
    ...args: Parameters<ClusterWorker["createCluster"]>
  ): Promise<Remote<Awaited<ReturnType<ClusterWorker["createCluster"]>>>>;
  terminate(): void;
}

/** Starts a dedicated worker that can hold clusters; `worker` may be one's own that calls `exposeCluster`. */
export function openWorker(worker: Worker = spawnClusterWorker()): OpenWorker {
  const remote = wrap<ClusterWorker>(worker);
  return {
    createCluster: (...args) => remote.createCluster(...args) as unknown as ReturnType<OpenWorker["createCluster"]>,
    terminate: () => worker.terminate(),
  };
}
