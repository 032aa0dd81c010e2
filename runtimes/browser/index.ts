/** `kubewire/browser`: the cluster in a page, or in a worker of it. */
import type { Remote as ComlinkRemote } from "comlink";
import { type Cluster, type ClusterOptions, clusterOn } from "../../src/cluster.ts";
import { spawnClusterWorker } from "../web-worker.ts";
import type { ClusterWorker } from "../worker/index.ts";
import { platform } from "./platform.ts";

export * from "../../src/index.ts";
export { serveInPage, type ServeOptions } from "./serve.ts";
export { platform };
export const createCluster = /* @__PURE__ */ clusterOn(platform);

/** An object on the other side of a worker: each method gives a promise of what it gave, each property one of its value. */
export type Remote<T> = {
  readonly [K in keyof T]: T[K] extends (...args: infer A) => infer R
    ? (...args: A) => Promise<Awaited<R>>
    : Promise<T[K]>;
};

/** A worker that can hold clusters: `await openWorker().createCluster()`. */
export interface OpenWorker {
  /** Options and results travel as structured clones: no functions, no streams. */
  createCluster(options?: Omit<ClusterOptions, "images" | "log">): Promise<Remote<Omit<Cluster, "drive">>>;
  /** Ends the worker and its clusters. */
  terminate(): void;
}

/** Starts a dedicated worker for clusters; `worker` may be one's own that calls `exposeCluster` of `kubewire/worker`. */
export function openWorker(worker: Worker = spawnClusterWorker()): OpenWorker {
  let remote: Promise<ComlinkRemote<ClusterWorker>> | undefined;
  return {
    async createCluster(options) {
      const there = await (remote ??= import("comlink").then(({ wrap }) => wrap<ClusterWorker>(worker)));
      return (await there.createCluster(options)) as unknown as Remote<Cluster>;
    },
    terminate: () => worker.terminate(),
  };
}
