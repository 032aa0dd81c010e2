/** The runtime-neutral surface of kubewire: each adapter exports all of this, and a `createCluster` of its own. */
export { clusterOn, type Cluster, type ClusterOptions, type ExecResult, type Identity, type ManifestFile, type PodName } from "./cluster.ts";
export type { ApiRequest, ApiResponse, ApiTransport, WatchEvent } from "./client/transport.ts";
export { defineImage, type FileError, type FileStatus, type FileSystem, type Image, type ImageFile, type ProgramContext } from "./cri/program.ts";
export { digest, runScenario, type DigestOptions, type DigestResult, type Scenario } from "./digest.ts";
export type { CloudProvider } from "./cloud-controller-manager/cloud.ts";
export type { Logger } from "./log.ts";
export type { Endpoint, HttpsOptions, HttpsServer, Platform } from "./platform.ts";
export type { LinkOptions, LinkStats } from "./underlay/switch.ts";
export type { Clock, Random } from "./time/clock.ts";
export { newRandom } from "./time/random.ts";
export type { ObserveOptions, Observations } from "./trace/observer.ts";
