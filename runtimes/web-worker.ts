/** Starting the worker that holds a whole cluster. The path is literal so that bundlers of pages see it. */
export const spawnClusterWorker = (): Worker =>
  new Worker(new URL("../dist/worker-main.js", import.meta.url), { type: "module" });
