/** What a complete cluster's nodes have beyond the core's: loaded when such a node is made. */
export { keepPods } from "./kubelet/complete/index.ts";
export { newKubelets, serveKubeletStreams } from "./node-streams.ts";
