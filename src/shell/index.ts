/** The userland of complete clusters: file systems and processes for containers. Most of it is loaded with the first image that a thread's nodes pull. */
import type { Userland } from "../cri/userland.ts";
import { loaded } from "../time/loading.ts";
import { TreeVolume } from "./volume.ts";

/** `nowMs`: the node's clock. */
export function newUserland(nowMs: () => number): Userland {
  let containers: typeof import("./container.ts") | undefined;
  return {
    load: async () => {
      containers ??= await loaded(import("./container.ts"));
    },
    newVolume: (options) => new TreeVolume(nowMs, options),
    newContainer(init) {
      if (containers === undefined) throw new Error("no image was pulled");
      return containers.newContainer(init);
    },
  };
}
