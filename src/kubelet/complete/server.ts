/**
 * The kubelet's API on port 10250, as far as it answers requests one by one. Follows kubernetes pkg/kubelet/server/server.go
 * (InstallDefaultHandlers, InstallDebuggingHandlers) and pkg/kubelet/server/stats/handler.go.
 */
import type { Pod, PodStatus } from "../../api/types.generated.ts";
import type { ExecResult } from "../../cri/types.ts";
import type { Stats } from "./stats.ts";

export interface KubeletRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
}

export interface KubeletAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface ServerDeps {
  readonly nodeName: string;
  readonly stats: Stats;
  /** With the status made last. */
  readonly pods: () => readonly Pod[];
  /** What was done for a pod, step by step: this kubelet's own, at /debug/trace/NAMESPACE/POD. */
  readonly trace: (namespace: string, name: string) => readonly object[] | undefined;
  readonly status: (namespace: string, name: string) => PodStatus | undefined;
  readonly logs: (query: { namespace: string; pod: string; container: string; tailLines?: number; limitBytes?: number; sinceSeconds?: number; previous: boolean; timestamps: boolean }) => string | { readonly error: string };
  readonly run: (namespace: string, pod: string, container: string, argv: readonly string[]) => Promise<ExecResult>;
}

const TEXT = { "content-type": "text/plain; charset=utf-8" };
const JSON_TYPE = { "content-type": "application/json" };
const METRICS = { "content-type": "text/plain; version=0.0.4; charset=utf-8; escaping=values" };
const answer = (status: number, body: string, headers: Readonly<Record<string, string>> = TEXT): KubeletAnswer => ({ status, headers, body });
const json = (value: unknown): KubeletAnswer => answer(200, JSON.stringify(value), JSON_TYPE);
const notFound = answer(404, "404 page not found\n");

const RUN_USAGE = "/(?:([^/]+)/([^/]+)/(?:[^/]+/)?([^/]+))";
const CONTAINER = new RegExp(`^/(containerLogs|run|exec|attach)${RUN_USAGE}$`);

/** Answers one request. */
export async function serveKubelet(deps: ServerDeps, { method, path }: KubeletRequest): Promise<KubeletAnswer> {
  const url = new URL(path, "https://kubelet");
  const { searchParams: query } = url;
  const at = url.pathname.length > 1 ? url.pathname.replace(/\/$/, "") : url.pathname;
  switch (at) {
    case "/healthz": case "/healthz/ping": case "/healthz/log": case "/healthz/syncloop": return answer(200, "ok");
    case "/pods": return json({ kind: "PodList", apiVersion: "v1", metadata: {}, items: deps.pods() });
    case "/runningpods": return json({ kind: "PodList", apiVersion: "v1", metadata: {}, items: deps.pods().filter(running).map(bare) });
    case "/stats/summary": return json(deps.stats.summary(query.get("only_cpu_and_memory") === "true"));
    case "/metrics/resource": return answer(200, deps.stats.resourceMetrics(), METRICS);
    case "/metrics/cadvisor": return answer(200, deps.stats.cadvisorMetrics(), METRICS);
    case "/metrics/probes": return answer(200, "", METRICS);
    case "/metrics": return answer(200, ownMetrics(deps), METRICS);
    case "/configz": return json({ kubeletconfig: CONFIGURATION });
    case "/logs": return answer(200, '<!doctype html>\n<meta name="viewport" content="width=device-width">\n<pre>\n<a href="containers/">containers/</a>\n<a href="pods/">pods/</a>\n</pre>\n', { "content-type": "text/html; charset=utf-8" });
  }
  const traced = /^\/debug\/trace\/([^/]+)\/([^/]+)$/.exec(at);
  if (traced !== null) {
    const steps = deps.trace(traced[1]!, traced[2]!);
    return steps === undefined ? answer(404, `pod "${traced[2]!}" does not exist\n`) : json({ steps });
  }
  const match = CONTAINER.exec(at);
  if (match === null) return notFound;
  const [, verb, namespace, pod, container] = match as unknown as [string, string, string, string, string];
  const status = deps.status(namespace, pod);
  if (status === undefined) return answer(404, `pod "${pod}" does not exist\n`);
  switch (verb) {
    case "containerLogs": return containerLogs(deps, namespace, pod, container, query);
    case "run": {
      if (method !== "POST") return answer(405, "405: Method Not Allowed");
      const { stdout, stderr } = await deps.run(namespace, pod, container, (query.get("cmd") ?? "").split(" "));
      return answer(200, stdout + stderr);
    }
    // Streams come another way; who asks without an upgrade is told so.
    default: return answer(400, "unable to upgrade: missing upgrade headers in request: http.Header{}\n");
  }
}

function containerLogs(deps: ServerDeps, namespace: string, pod: string, container: string, query: URLSearchParams): KubeletAnswer {
  const count = (name: string): { [key: string]: number } => {
    const value = query.get(name);
    return value === null ? {} : { [name]: Number(value) };
  };
  const found = deps.logs({
    namespace, pod, container, previous: query.get("previous") === "true", timestamps: query.get("timestamps") === "true", ...count("tailLines"), ...count("limitBytes"), ...count("sinceSeconds"),
  });
  return typeof found === "string" ? answer(200, found, { "content-type": "text/plain" }) : answer(400, `${found.error}\n`);
}

const running = ({ status }: Pod): boolean => (status.containerStatuses ?? []).some(({ state }) => state.running !== undefined);
const bare = ({ metadata, spec }: Pod): object => ({
  metadata: { name: metadata.name, namespace: metadata.namespace, uid: metadata.uid, creationTimestamp: null },
  spec: { containers: spec.containers.map(({ name, image }) => ({ name, image, resources: {} })) }, status: {},
});

function ownMetrics({ nodeName, pods }: ServerDeps): string {
  const all = pods();
  const containers = all.flatMap(({ status }) => [...(status.containerStatuses ?? []), ...(status.initContainerStatuses ?? [])]);
  const count = (state: "running" | "terminated" | "waiting"): number => containers.filter((status) => status.state[state] !== undefined).length;
  return `# HELP kubelet_node_name [ALPHA] The node's name. The count is always 1.
# TYPE kubelet_node_name gauge
kubelet_node_name{node="${nodeName}"} 1
# HELP kubelet_running_containers [ALPHA] Number of containers currently running
# TYPE kubelet_running_containers gauge
kubelet_running_containers{container_state="exited"} ${count("terminated")}
kubelet_running_containers{container_state="running"} ${count("running")}
# HELP kubelet_running_pods [ALPHA] Number of pods that have a running pod sandbox
# TYPE kubelet_running_pods gauge
kubelet_running_pods ${all.filter(running).length}
# HELP kubernetes_build_info [ALPHA] A metric with a constant '1' value labeled by major, minor, git version, git commit, git tree state, build date, Go version, and compiler from which Kubernetes was built, and platform on which it is running.
# TYPE kubernetes_build_info gauge
kubernetes_build_info{build_date="",compiler="",git_commit="",git_tree_state="",git_version="v1.32.13",go_version="",major="1",minor="32",platform="linux/amd64"} 1
`;
}

/** What of KubeletConfiguration holds here. */
const CONFIGURATION = {
  syncFrequency: "1m0s", fileCheckFrequency: "20s", httpCheckFrequency: "20s", address: "0.0.0.0", port: 10250, maxPods: 110, containerLogMaxSize: "10Mi", containerLogMaxFiles: 5,
  clusterDomain: "cluster.local", nodeStatusUpdateFrequency: "10s", nodeStatusReportFrequency: "5m0s", nodeLeaseDurationSeconds: 40, imageMinimumGCAge: "2m0s",
  imageGCHighThresholdPercent: 85, imageGCLowThresholdPercent: 80, evictionHard: { "imagefs.available": "15%", "imagefs.inodesFree": "5%", "memory.available": "100Mi", "nodefs.available": "10%", "nodefs.inodesFree": "5%" },
  evictionPressureTransitionPeriod: "5m0s", serializeImagePulls: true, enableControllerAttachDetach: true, failSwapOn: true, makeIPTablesUtilChains: true, cgroupDriver: "systemd",
};
