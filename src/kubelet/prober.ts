/** Startup, readiness and liveness probes of one container. Follows kubernetes pkg/kubelet/prober and pkg/probe. */
import type { Container, Pod, Probe } from "../api/types.generated.ts";
import type { RuntimeService } from "../cri/types.ts";
import { httpRequest } from "../http/client.ts";
import type { Sockets } from "../kernel/sockets.ts";
import type { Cancel, Clock } from "../time/clock.ts";

export type ProbeKind = "startup" | "readiness" | "liveness";
/** One result: a warning is a failure's text too. */
export interface ProbeResult {
  readonly success: boolean;
  readonly output: string;
}

export interface ProberDeps {
  readonly clock: Clock;
  /** The node's own sockets: probes come from the kubelet. */
  readonly net: Sockets;
  readonly runtime: Pick<RuntimeService, "execSync">;
}

export interface ProbeTarget {
  readonly pod: Pod;
  readonly container: Container;
  readonly containerId: string;
  readonly podIP: string;
  readonly startedAtMs: number;
}

export interface ProbeListener {
  /** A probe failed: what the Unhealthy event says. */
  onFailure(kind: ProbeKind, output: string): void;
  /** The result that counts changed (after the thresholds). */
  onChange(kind: ProbeKind, success: boolean): void;
}

/** The probes of one running container; `stop` when it ended. Startup success lets the other two begin. */
export class ContainerProber {
  private readonly deps: ProberDeps;
  private readonly target: ProbeTarget;
  private readonly listener: ProbeListener;
  private readonly cancels = new Map<ProbeKind, Cancel>();
  private stopped = false;
  /** What counts now (results.Manager): readiness fails until proved, liveness holds until disproved. */
  readonly results: Record<ProbeKind, boolean>;

  constructor(deps: ProberDeps, target: ProbeTarget, listener: ProbeListener) {
    this.deps = deps;
    this.target = target;
    this.listener = listener;
    const { startupProbe, readinessProbe } = target.container;
    this.results = { startup: startupProbe === undefined, readiness: readinessProbe === undefined, liveness: true };
  }

  start(): void {
    const { startupProbe } = this.target.container;
    if (startupProbe === undefined) this.startOthers();
    else this.run("startup", startupProbe);
  }

  stop(): void {
    this.stopped = true;
    for (const cancel of this.cancels.values()) cancel();
    this.cancels.clear();
  }

  private startOthers(): void {
    const { readinessProbe, livenessProbe } = this.target.container;
    if (readinessProbe !== undefined) this.run("readiness", readinessProbe);
    if (livenessProbe !== undefined) this.run("liveness", livenessProbe);
  }

  /** worker.go: doProbe every period; the delay counts from the container's start. */
  private run(kind: ProbeKind, probe: Probe): void {
    const { clock } = this.deps;
    const periodMs = (probe.periodSeconds ?? 10) * 1000;
    let last: boolean | undefined, inARow = 0;
    const again = (delayMs: number): void => {
      if (!this.stopped) this.cancels.set(kind, clock.after(delayMs, () => void once()));
    };
    const once = async (): Promise<void> => {
      const result = await this.probe(probe);
      if (this.stopped) return;
      inARow = result.success === last ? inARow + 1 : 1;
      last = result.success;
      if (!result.success) this.listener.onFailure(kind, result.output);
      const needed = result.success ? (probe.successThreshold ?? 1) : (probe.failureThreshold ?? 3);
      if (inARow >= needed && this.results[kind] !== result.success) {
        this.results[kind] = result.success;
        this.listener.onChange(kind, result.success);
        if (kind === "startup" && result.success && !this.stopped) {
          this.startOthers();
          return;
        }
      } else if (!result.success && inARow >= needed && kind === "startup") {
        // Never succeeded: the container is killed, as for liveness.
        this.listener.onChange(kind, false);
        return;
      }
      if (kind === "liveness" && !this.results.liveness) return; // the container is being killed
      again(periodMs);
    };
    again(Math.max(0, this.target.startedAtMs + (probe.initialDelaySeconds ?? 0) * 1000 - clock.nowMs()));
  }

  private async probe(probe: Probe): Promise<ProbeResult> {
    const timeoutMs = (probe.timeoutSeconds ?? 1) * 1000;
    const limit = new AbortController();
    const cancel = this.deps.clock.after(timeoutMs, () => limit.abort());
    try {
      if (probe.exec !== undefined) return await this.execProbe(probe.exec.command ?? [], timeoutMs);
      if (probe.httpGet !== undefined) return await this.httpProbe(probe.httpGet, limit.signal);
      if (probe.tcpSocket !== undefined) {
        const host = probe.tcpSocket.host ?? this.target.podIP;
        const port = portNumber(probe.tcpSocket.port, this.target.container);
        try {
          (await this.deps.net.connect({ address: host, port }, { signal: limit.signal })).close();
          return { success: true, output: "" };
        } catch (error) {
          return { success: false, output: dialError(host, port, error, limit.signal.aborted) };
        }
      }
      return { success: false, output: "missing probe handler" };
    } finally {
      cancel();
    }
  }

  private async execProbe(command: readonly string[], timeoutMs: number): Promise<ProbeResult> {
    try {
      const { exitCode, stdout, stderr } = await this.deps.runtime.execSync(this.target.containerId, command, timeoutMs);
      return { success: exitCode === 0, output: stdout + stderr };
    } catch (error) {
      return { success: false, output: (error as Error).message };
    }
  }

  private async httpProbe(get: NonNullable<Probe["httpGet"]>, signal: AbortSignal): Promise<ProbeResult> {
    const host = get.host ?? this.target.podIP;
    const port = portNumber(get.port, this.target.container);
    const path = get.path === undefined || get.path === "" ? "/" : get.path.startsWith("/") ? get.path : `/${get.path}`;
    const url = `http://${host.includes(":") ? `[${host}]` : host}:${port}${path}`;
    const own = new Map((get.httpHeaders ?? []).map(({ name, value }) => [name.toLowerCase(), [name, value] as const]));
    const headers: (readonly [string, string])[] = [
      own.get("host") ?? ["Host", `${host}:${port}`], own.get("user-agent") ?? ["User-Agent", "kube-probe/1.32"],
      own.get("accept") ?? ["Accept", "*/*"], ["Connection", "close"],
    ];
    for (const [name, header] of own) if (!["host", "user-agent", "accept", "connection"].includes(name)) headers.push(header);
    try {
      const response = await httpRequest(this.deps.net, host, port, { target: path, headers }, signal);
      if (response.status >= 200 && response.status < 400) return { success: true, output: "" };
      return { success: false, output: `HTTP probe failed with statuscode: ${response.status}` };
    } catch (error) {
      if (signal.aborted) return { success: false, output: `Get "${url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)` };
      return { success: false, output: `Get "${url}": ${dialError(host, port, error, false)}` };
    }
  }
}

/** A port by number or by the name of a container port (probe/util.go: ResolveContainerPort). */
export function portNumber(port: number | string, container: Container): number {
  if (typeof port === "number") return port;
  const named = (container.ports ?? []).find(({ name }) => name === port);
  return named?.containerPort ?? Number(port);
}

/** As Go's net package words a failed dial. */
export function dialError(host: string, port: number, error: unknown, timedOut: boolean): string {
  const head = `dial tcp ${host.includes(":") ? `[${host}]` : host}:${port}: `;
  if (timedOut) return `${head}i/o timeout`;
  switch ((error as { code?: string }).code) {
    case "ECONNREFUSED": return `${head}connect: connection refused`;
    case "EHOSTUNREACH": return `${head}connect: no route to host`;
    case "ENETUNREACH": return `${head}connect: network is unreachable`;
    case "ETIMEDOUT": return `${head}i/o timeout`;
    case "ECONNRESET": return "read: connection reset by peer";
    default: return "EOF";
  }
}
