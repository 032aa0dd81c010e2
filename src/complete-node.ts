/** What a complete cluster's nodes have beyond the core's: loaded when such a node is made. */
export { anyImage, completeImages } from "./images/complete/index.ts";
export { keepPods } from "./kubelet/complete/index.ts";
export { newKubelets, serveKubeletStreams } from "./node-streams.ts";
export { newUserland } from "./shell/index.ts";
