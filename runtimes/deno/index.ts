/** `kubewire/deno` */
import { clusterOn } from "../../src/cluster.ts";
import { platform } from "./platform.ts";

export * from "../../src/index.ts";
export { openNetdev, type Netdev, type NetdevAddress, type NetdevOptions, type NetdevStats } from "../netdev.ts";
export { platform };
export const createCluster = /* @__PURE__ */ clusterOn(platform);
