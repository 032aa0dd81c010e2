/** `kubewire/deno` */
import { clusterOn } from "../../src/cluster.ts";
import { platform } from "./platform.ts";

export * from "../../src/index.ts";
export type { Netdev, NetdevAddress, NetdevOptions, NetdevStats } from "../netdev.ts";
export { platform };
export { serveHttps } from "./serve.ts";
export const createCluster = /* @__PURE__ */ clusterOn(platform);

/** Opens one end of a wire (see runtimes/netdev.ts), whose sockets are loaded with the first. */
export const openNetdev: typeof import("../netdev.ts").openNetdev = async (...wire) => (await import("../netdev.ts")).openNetdev(...wire);
