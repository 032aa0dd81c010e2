/** postStart and preStop: exec, httpGet, sleep, tcpSocket. Follows kubernetes pkg/kubelet/lifecycle/handlers.go. */
import type { Container, LifecycleHandler, Pod } from "../../api/types.generated.ts";
import type { RuntimeService } from "../../cri/types.ts";
import type { Sockets } from "../../kernel/sockets.ts";
import type { Clock } from "../../time/clock.ts";
import { portNumber } from "../prober.ts";
import type { HttpRequest } from "./dial.ts";

export interface HookDeps {
  readonly clock: Clock;
  readonly net: Sockets;
  readonly httpRequest: HttpRequest;
  readonly runtime: Pick<RuntimeService, "execSync">;
}

export interface HookTarget {
  readonly pod: Pod;
  readonly container: Container;
  readonly containerId: string;
  readonly podIP: string;
}

/** `name_namespace(uid)`, as kubelets print pods (util/format: Pod). */
export const formatPod = ({ metadata: { name, namespace, uid } }: Pod): string => `${name}_${namespace ?? "default"}(${uid})`;

/** Runs one to its end. Rejects with what HandlerRunner.Run says of a failure. */
export async function runHook(deps: HookDeps, target: HookTarget, handler: LifecycleHandler, signal?: AbortSignal): Promise<void> {
  const about = `for Container "${target.container.name}" in Pod "${formatPod(target.pod)}" failed - error: `;
  if (handler.exec !== undefined) {
    const command = handler.exec.command ?? [];
    const title = `Exec lifecycle hook (${JSON.stringify(command).replaceAll(",", " ").replaceAll('"', "")}) ${about}`;
    const result = await deps.runtime.execSync(target.containerId, command).catch((error: unknown) => {
      throw new Error(`${title}${(error as Error).message}, message: ""`);
    });
    if (result.exitCode === 0) return;
    throw new Error(`${title}command '${command.join(" ")}' exited with ${result.exitCode}: ${result.stderr}, message: ${JSON.stringify(result.stdout + result.stderr)}`);
  }
  if (handler.httpGet !== undefined) {
    const { host = "", path = "", port, httpHeaders = [] } = handler.httpGet;
    const address = host === "" ? target.podIP : host;
    const number = portNumber(port, target.container);
    const own = httpHeaders.map(({ name, value }) => [name, value] as const);
    const has = (wanted: string): boolean => own.some(([name]) => name.toLowerCase() === wanted);
    try {
      const { status } = await deps.httpRequest(deps.net, address, number, {
        target: path.startsWith("/") ? path : `/${path}`,
        headers: [
          ...(has("host") ? [] : [["Host", `${address}:${number}`] as const]), ...own, ...(has("user-agent") ? [] : [["User-Agent", "kube-lifecycle/1.32"] as const]),
          ...(has("accept") ? [] : [["Accept", "*/*"] as const]), ["Connection", "close"],
        ],
      }, signal);
      if (status >= 400) throw new Error(`HTTP lifecycle hook failed with status code ${status}`);
      return;
    } catch (error) {
      throw new Error(`HTTP lifecycle hook (${path}) ${about}${(error as Error).message}`, { cause: error });
    }
  }
  if (handler.sleep !== undefined) {
    await deps.clock.sleep(handler.sleep.seconds * 1000, signal);
    return;
  }
  throw new Error(`Cannot run handler: invalid handler ${about}`);
}
