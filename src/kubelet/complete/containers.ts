/** Starts one container. Follows kubernetes pkg/kubelet/kuberuntime/kuberuntime_container.go: startContainer. */
import type { Container, EphemeralContainer, Pod } from "../../api/types.generated.ts";
import { quantityMilliValue, quantityValue } from "../../apimachinery/quantity.ts";
import type { EventRecorder } from "../../client/events.ts";
import type { Runtime } from "../../cri/runtime.ts";
import type { ContainerConfig, ContainerStatus as Run, PodSandboxConfig } from "../../cri/types.ts";
import type { Sockets } from "../../kernel/sockets.ts";
import type { Logger } from "../../log.ts";
import type { Clock } from "../../time/clock.ts";
import type { Api } from "../api.ts";
import { ConfigError, expand, hostsFile, podHostname, resolvConf, type DnsConfig } from "../container-config.ts";
import type { KillReason } from "./actions.ts";
import type { HttpRequest } from "./dial.ts";
import { environment } from "./environment.ts";
import { formatPod, runHook } from "./hooks.ts";
import type { ImageManager } from "./images.ts";
import { aborted } from "./kill.ts";
import type { Waiting } from "./pod-status.ts";
import type { PodVolumes } from "./volumes/pod-volumes.ts";

export interface StartDeps {
  readonly api: Api;
  readonly runtime: Runtime;
  readonly images: ImageManager;
  readonly clock: Clock;
  readonly events: EventRecorder;
  readonly log: Logger;
  /** The node's own sockets. */
  readonly net: Sockets;
  readonly httpRequest: HttpRequest;
  readonly dns: DnsConfig;
  readonly nodeName: string;
  readonly hostIPs: readonly string[];
  readonly allocatable: () => Readonly<Record<string, string>>;
  readonly serviceEnv: (namespace: string, links: boolean) => Readonly<Record<string, string>>;
  readonly sandboxConfig: (pod: Pod, attempt: number) => PodSandboxConfig;
  readonly imageID: (run: Run) => string;
}

export interface Start {
  readonly pod: Pod;
  readonly container: Container | EphemeralContainer;
  readonly sandboxId: string;
  readonly attempt: number;
  readonly volumes: PodVolumes;
  /** Gives up waiting for a hook. */
  readonly signal: AbortSignal;
  event(type: "Normal" | "Warning", reason: string, message: string): void;
  /** There is a run of it now. */
  running(run: Run): void;
  kill(run: Run, message: string, reason: KillReason): Promise<void>;
}

const hashes = new WeakMap<object, string>();

/** What makes a container another one when it changes (kubecontainer.HashContainer): only its image may, of a pod that is there. */
export function containerHash(container: Container | EphemeralContainer): string {
  let hash = hashes.get(container);
  if (hash === undefined) hashes.set(container, (hash = `${container.name}|${container.image ?? ""}`));
  return hash;
}

/** Undefined: it runs. Otherwise why it waits. */
export async function startContainer(deps: StartDeps, start: Start): Promise<Waiting | undefined> {
  const { pod, container, event, attempt } = start;
  const { runtime } = deps;
  const noImage = await deps.images.ensure(pod, container, event);
  if (noImage !== undefined) {
    event("Warning", "Failed", `Error: ${noImage.reason}`);
    return noImage;
  }
  if (start.signal.aborted) return { reason: "ContainerCreating", message: "" };
  const refuse = (reason: string, message: string): Waiting => {
    event("Warning", "Failed", `Error: ${message}`);
    return { reason, message };
  };
  const ips = runtime.podSandboxStatus(start.sandboxId)?.ips ?? [];
  const podIPs = pod.spec.hostNetwork === true ? deps.hostIPs : ips;
  let id: string;
  try {
    verifyRunAsNonRoot(pod, container, runtime.imageStatus(container.image ?? "")?.uid ?? 0);
    const env = await environment(pod, container, {
      api: deps.api, podIPs, hostIPs: deps.hostIPs, allocatable: deps.allocatable(), event,
      serviceEnv: deps.serviceEnv(pod.metadata.namespace ?? "default", pod.spec.enableServiceLinks !== false),
    });
    const { hostname, domain } = podHostname(pod, deps.dns.clusterDomain, deps.nodeName);
    const own = { "/etc/hosts": hostsFile(pod, podIPs, hostname, domain), "/etc/resolv.conf": resolvConf(pod, deps.dns) };
    id = runtime.createContainer(start.sandboxId, {
      name: container.name, attempt, image: container.image ?? "", env,
      ...(container.command === undefined ? {} : { command: container.command.map((word) => expand(word, env)) }),
      ...(container.args === undefined ? {} : { args: container.args.map((word) => expand(word, env)) }),
      ...start.volumes.containerConfig(container, env, own),
      ...privileges(pod, container), ...limits(container),
      ...(container.workingDir === undefined ? {} : { workingDir: container.workingDir }),
      stdin: container.stdin === true, stdinOnce: container.stdinOnce === true, tty: container.tty === true,
      ports: (container.ports ?? []).map(({ containerPort, protocol = "TCP" }) => ({ containerPort, protocol })),
    });
  } catch (error) {
    return refuse(error instanceof ConfigError ? "CreateContainerConfigError" : "CreateContainerError", (error as Error).message.replace(/^rpc error: code = \w+ desc = /, ""));
  }
  event("Normal", "Created", `Created container: ${container.name}`);
  runtime.startContainer(id);
  // Whether there is such a program shows at once; the event after this one has it.
  await deps.clock.sleep(0);
  const run = runtime.containerStatus(id)!;
  start.running(run);
  if (run.reason === "StartError") return refuse("RunContainerError", run.message);
  event("Normal", "Started", `Started container ${container.name}`);
  const postStart = container.lifecycle?.postStart;
  if (postStart === undefined) return undefined;
  try {
    const hook = runHook(deps, { pod, container: container as Container, containerId: id, podIP: podIPs[0] ?? deps.hostIPs[0]! }, postStart, start.signal);
    await Promise.race([hook, aborted(start.signal)]);
    return undefined;
  } catch (error) {
    if (start.signal.aborted) return undefined;
    event("Warning", "FailedPostStartHook", "PostStartHook failed");
    if (runtime.containerStatus(id)?.state === "CONTAINER_RUNNING") await start.kill(run, "FailedPostStartHook", "FailedPostStartHook");
    return { reason: "PostStartHookError", message: (error as Error).message };
  }
}

function limits({ resources }: Container | EphemeralContainer): Partial<ContainerConfig> {
  const { cpu, memory } = resources?.limits ?? {};
  return { ...(cpu === undefined ? {} : { cpuLimit: quantityMilliValue(cpu) / 1000 }), ...(memory === undefined ? {} : { memoryLimit: quantityValue(memory) }) };
}

/** Who the container runs as (securitycontext.DetermineEffectiveSecurityContext). */
function privileges({ spec }: Pod, { securityContext: own }: Container | EphemeralContainer): Partial<ContainerConfig> {
  const pod = spec.securityContext;
  const user = own?.runAsUser ?? pod?.runAsUser, group = own?.runAsGroup ?? pod?.runAsGroup;
  const groups = [...(pod?.supplementalGroups ?? []), ...(pod?.fsGroup === undefined ? [] : [pod.fsGroup])];
  return {
    ...(user === undefined ? {} : { runAsUser: user }), ...(group === undefined ? {} : { runAsGroup: group }),
    ...(groups.length === 0 ? {} : { supplementalGroups: groups }), ...(own?.readOnlyRootFilesystem === true ? { readOnlyRootFilesystem: true } : {}),
  };
}

/** security_context.go: verifyRunAsNonRoot. `imageUser`: who the image's processes run as. */
function verifyRunAsNonRoot(pod: Pod, container: Container | EphemeralContainer, imageUser: number): void {
  const nonRoot = container.securityContext?.runAsNonRoot ?? pod.spec.securityContext?.runAsNonRoot;
  if (nonRoot !== true) return;
  const user = container.securityContext?.runAsUser ?? pod.spec.securityContext?.runAsUser;
  const where = `(pod: "${formatPod(pod)}", container: ${container.name})`;
  if (user === 0) throw new ConfigError(`container's runAsUser breaks non-root policy ${where}`);
  if (user === undefined && imageUser === 0) throw new ConfigError(`container has runAsNonRoot and image will run as root ${where}`);
}
