/** `kubewire/node` */
import { clusterOn } from "../../src/cluster.ts";
import type { HttpsOptions, HttpsServer } from "../../src/platform.ts";
import { platform } from "./platform.ts";

export * from "../../src/index.ts";
export type { Netdev, NetdevAddress, NetdevOptions, NetdevStats } from "../netdev.ts";
export { platform };
/** Serves `cluster.serve`, or any other handler. */
export const serveHttps = async (options: HttpsOptions): Promise<HttpsServer> => (await import("./serve.ts")).serveHttps(options);
export const createCluster = /* @__PURE__ */ clusterOn(platform);

/** Opens one end of a wire (see runtimes/netdev.ts), whose sockets are loaded with the first. */
export const openNetdev: typeof import("../netdev.ts").openNetdev = async (...wire) => (await import("../netdev.ts")).openNetdev(...wire);
