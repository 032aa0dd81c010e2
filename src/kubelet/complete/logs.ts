/**
 * What a kubelet answers to who asks for a container's log. Follows kubernetes pkg/kubelet/kubelet_pods.go (GetKubeletContainerLogs,
 * validateContainerLogStatus) and pkg/kubelet/kuberuntime/logs (ReadLogs).
 */
import type { PodStatus } from "../../api/types.generated.ts";
import type { NodeStream, NodeStreamRequest, StreamEvents } from "../../client/site-streams.ts";
import type { Runtime } from "../../cri/runtime.ts";
import type { LogLine } from "../../cri/types.ts";

const encoder = new TextEncoder();
const IDLE: NodeStream = { write() {}, eof() {}, resize() {}, abort() {} };

export type LogRequest = Pick<NodeStreamRequest & { kind: "logs" }, "pod" | "container" | "follow" | "previous" | "timestamps" | "tailLines" | "sinceMs" | "limitBytes">;

/** The container whose log it is, or why there is none. */
export function loggedContainer(status: PodStatus, { pod, container, previous }: Pick<LogRequest, "pod" | "container" | "previous">): { readonly id: string } | { readonly error: string } {
  const { containerStatuses = [], initContainerStatuses = [], ephemeralContainerStatuses = [] } = status;
  const found = [...containerStatuses, ...initContainerStatuses, ...ephemeralContainerStatuses].find(({ name }) => name === container);
  const fail = (what: string): { readonly error: string } => ({ error: `container "${container}" in pod "${pod}" ${what}` });
  if (found === undefined) return fail("is not available");
  const { state: { waiting, running, terminated }, lastState } = found;
  const of = (id: string | undefined): { readonly id: string } | undefined => (id === undefined || id === "" ? undefined : { id: id.replace(/^containerd:\/\//, "") });
  const last = of(lastState.terminated?.containerID);
  if (previous) return last ?? { error: `previous terminated container "${container}" in pod "${pod}" not found` };
  if (running !== undefined) return of(found.containerID) ?? fail("is not available");
  if (terminated !== undefined) return of(terminated.containerID) ?? last ?? fail("is terminated");
  if (lastState.terminated !== undefined) return last ?? fail("is terminated");
  switch (waiting?.reason) {
    case undefined: return fail("is waiting to start - no logs yet");
    case "ErrImagePull": return fail("is waiting to start: image can't be pulled");
    case "ImagePullBackOff": return fail("is waiting to start: trying and failing to pull image");
    default: return fail(`is waiting to start: ${waiting!.reason!}`);
  }
}

/** Sends what is there; with `follow`, what comes until the container ends. */
export function streamLogs(runtime: Runtime, id: string, request: LogRequest, events: StreamEvents): NodeStream {
  const { sinceMs = 0, tailLines, timestamps } = request;
  const container = runtime.containers.get(id);
  if (container === undefined) {
    events.end({ error: `failed to try resolving symlinks in path "/var/log/containers/${id}": lstat: no such file or directory` });
    return IDLE;
  }
  let left = request.limitBytes ?? Infinity;
  const send = (lines: readonly LogLine[]): void => {
    for (const { timeMs, stream, text } of lines) {
      if (timeMs < sinceMs || left <= 0) continue;
      const bytes = encoder.encode(`${timestamps ? `${nanoTime(timeMs)} ` : ""}${text}\n`);
      const part = bytes.length > left ? bytes.subarray(0, left) : bytes;
      left -= part.length;
      events.data(stream, part);
    }
  };
  const all = runtime.containerLogs(id);
  // The last lines are counted first, what is too old among them is left out then.
  send(tailLines === undefined ? all : tailLines === 0 ? [] : all.slice(-tailLines));
  if (!request.follow || left <= 0 || container.status.state === "CONTAINER_EXITED") {
    events.end({});
    return IDLE;
  }
  let last = container.logged;
  const more = (): void => {
    const { logged } = container;
    if (logged > last) send(runtime.containerLogs(id).slice(last - logged));
    last = logged;
  };
  const follower = {
    output() {
      more();
      if (left > 0) return;
      container.followers.delete(follower);
      events.end({});
    },
    end() {
      more();
      events.end({});
    },
  };
  container.followers.add(follower);
  return { ...IDLE, abort: () => void container.followers.delete(follower) };
}

/** RFC 3339 with nine digits of a second (RFC3339NanoFixed). */
const nanoTime = (ms: number): string => {
  const whole = Math.floor(ms);
  const below = String(Math.floor((ms - whole) * 1e6)).padStart(6, "0");
  return `${new Date(whole).toISOString().slice(0, 23)}${below}Z`;
};
