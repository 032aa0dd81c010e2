/**
 * Probes of one running container: exec, HTTP, TCP and gRPC, with their thresholds. Follows kubernetes pkg/kubelet/prober (worker.go,
 * prober.go) and pkg/probe.
 */
import type { Container, Pod, Probe } from "../../api/types.generated.ts";
import type { RuntimeService } from "../../cri/types.ts";
import type { Sockets } from "../../kernel/sockets.ts";
import type { Cancel, Clock } from "../../time/clock.ts";
import { dialError, portNumber } from "../prober.ts";
import type { HttpRequest } from "./dial.ts";
import { checkHealth } from "./grpc-health.ts";

export type ProbeKind = "startup" | "readiness" | "liveness";

export interface ProberDeps {
  readonly clock: Clock;
  /** The node's own sockets: probes come from the kubelet. */
  readonly net: Sockets;
  readonly httpRequest: HttpRequest;
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
  event(type: "Normal" | "Warning", reason: string, message: string): void;
  /** A result that counts changed, or startup or liveness has failed for good. */
  changed(): void;
}

/** One result. `unknown`: the probe itself could not be made. */
type Result = { readonly kind: "success" | "failure" | "warning" | "unknown"; readonly output: string };
const success = (output = ""): Result => ({ kind: "success", output });
const failure = (output: string): Result => ({ kind: "failure", output });

const PROBES = { startup: "startupProbe", readiness: "readinessProbe", liveness: "livenessProbe" } as const;
/** What kubelets keep of a body or of an output (maxRespBodyLength, maxReadLength). */
const OUTPUT_MAX = 10 << 10;

export class ContainerProber {
  private readonly deps: ProberDeps;
  readonly target: ProbeTarget;
  private readonly listener: ProbeListener;
  private readonly timers = new Map<ProbeKind, Cancel>();
  private readonly dead = new Set<ProbeKind>();
  started: boolean;
  ready: boolean;
  /** The probe that asks for the container's end. */
  failed: "StartupProbe" | "LivenessProbe" | undefined;

  constructor(deps: ProberDeps, target: ProbeTarget, listener: ProbeListener) {
    this.deps = deps;
    this.target = target;
    this.listener = listener;
    this.started = target.container.startupProbe === undefined;
    this.ready = target.container.readinessProbe === undefined;
  }

  start(): void {
    if (this.started) this.startOthers();
    else this.run("startup");
  }

  /** The container ended. */
  stop(): void {
    for (const kind of Object.keys(PROBES) as ProbeKind[]) this.end(kind);
  }

  /** The pod is on its way out: only its readiness is still of interest. */
  stopLivenessAndStartup(): void {
    this.end("startup");
    this.end("liveness");
  }

  private end(kind: ProbeKind): void {
    this.dead.add(kind);
    this.timers.get(kind)?.();
    this.timers.delete(kind);
  }

  private startOthers(): void {
    this.run("readiness");
    this.run("liveness");
  }

  private run(kind: ProbeKind): void {
    const probe = this.target.container[PROBES[kind]];
    if (probe === undefined) return;
    const { clock } = this.deps;
    const periodMs = (probe.periodSeconds ?? 10) * 1000;
    let last: boolean | undefined, inARow = 0;
    const once = async (): Promise<void> => {
      const result = await this.probe(probe);
      if (this.dead.has(kind)) return;
      this.report(kind, result);
      const passed = result.kind === "success" || result.kind === "warning";
      inARow = passed === last ? inARow + 1 : 1;
      last = passed;
      if (inARow >= (passed ? (probe.successThreshold ?? 1) : (probe.failureThreshold ?? 3))) this.settle(kind, passed);
      if (!this.dead.has(kind)) again(periodMs);
    };
    const again = (delayMs: number): void => void this.timers.set(kind, clock.after(delayMs, () => void once()));
    if (!this.dead.has(kind)) again(Math.max(0, this.target.startedAtMs + (probe.initialDelaySeconds ?? 0) * 1000 - clock.nowMs()));
  }

  private report(kind: ProbeKind, { kind: result, output }: Result): void {
    const title = kind[0]!.toUpperCase() + kind.slice(1);
    if (result === "failure") this.listener.event("Warning", "Unhealthy", `${title} probe failed: ${output}`);
    else if (result === "unknown") this.listener.event("Warning", "Unhealthy", `${title} probe errored and resulted in unknown state: ${output}`);
    else if (result === "warning") this.listener.event("Warning", "ProbeWarning", `${title} probe warning: ${output}`);
  }

  private settle(kind: ProbeKind, passed: boolean): void {
    if (kind === "readiness") {
      if (this.ready === passed) return;
      this.ready = passed;
    } else if (!passed) {
      // On hold until there is another container to ask.
      this.failed = kind === "startup" ? "StartupProbe" : "LivenessProbe";
      this.stopLivenessAndStartup();
    } else if (kind === "startup") {
      this.started = true;
      this.end("startup");
      this.startOthers();
    } else return;
    this.listener.changed();
  }

  private async probe(probe: Probe): Promise<Result> {
    const { clock, net } = this.deps;
    const { container, podIP } = this.target;
    const timeoutMs = (probe.timeoutSeconds ?? 1) * 1000;
    if (probe.exec !== undefined) return this.execProbe(probe.exec.command ?? [], timeoutMs);
    const limit = new AbortController();
    const cancel = clock.after(timeoutMs, () => limit.abort());
    try {
      if (probe.httpGet !== undefined) return await this.httpProbe(probe.httpGet, limit.signal);
      if (probe.tcpSocket !== undefined) {
        const host = (probe.tcpSocket.host ?? "") === "" ? podIP : probe.tcpSocket.host!;
        const port = portNumber(probe.tcpSocket.port, container);
        try {
          (await net.connect({ address: host, port }, { signal: limit.signal })).close();
          return success();
        } catch (error) {
          return failure(dialError(host, port, error, limit.signal.aborted));
        }
      }
      if (probe.grpc !== undefined) {
        const { healthy, output } = await checkHealth(net, podIP, probe.grpc.port, probe.grpc.service ?? "", timeoutMs, limit.signal);
        return healthy ? success(output) : failure(output);
      }
      return { kind: "unknown", output: `missing probe handler for ${this.target.pod.metadata.namespace ?? "default"}_${this.target.pod.metadata.name}:${container.name}` };
    } finally {
      cancel();
    }
  }

  private async execProbe(command: readonly string[], timeoutMs: number): Promise<Result> {
    const { clock, runtime } = this.deps;
    const beganMs = clock.nowMs();
    try {
      const { exitCode, stdout, stderr } = await runtime.execSync(this.target.containerId, command, timeoutMs);
      const output = (stdout + stderr).slice(0, OUTPUT_MAX);
      return exitCode === 0 ? success(output) : failure(output);
    } catch (error) {
      if (clock.nowMs() - beganMs >= timeoutMs) return failure(`command "${command.join(" ")}" timed out`);
      return { kind: "unknown", output: (error as Error).message };
    }
  }

  /** pkg/probe/http: any status from 200 to 399 will do. */
  private async httpProbe({ host = "", path = "", port, httpHeaders = [], scheme = "HTTP" }: NonNullable<Probe["httpGet"]>, signal: AbortSignal): Promise<Result> {
    const address = host === "" ? this.target.podIP : host;
    const number = portNumber(port, this.target.container);
    const target = path.startsWith("/") ? path : `/${path}`;
    const url = `${scheme.toLowerCase()}://${address.includes(":") ? `[${address}]` : address}:${number}${target}`;
    const find = (name: string): string | undefined => httpHeaders.find((header) => header.name.toLowerCase() === name)?.value;
    const hostHeader = find("host") ?? `${address.includes(":") ? `[${address}]` : address}:${number}`;
    const agent = find("user-agent") ?? "kube-probe/1.32", accept = find("accept") ?? "*/*";
    const headers: (readonly [string, string])[] = [["Host", hostHeader]];
    // An empty value takes the header away.
    if (agent !== "") headers.push(["User-Agent", agent]);
    if (accept !== "") headers.push(["Accept", accept]);
    for (const { name, value } of httpHeaders) if (!["host", "user-agent", "accept", "connection"].includes(name.toLowerCase())) headers.push([name, value]);
    headers.push(["Connection", "close"]);
    try {
      if (scheme === "HTTPS") {
        // Whoever listens in the box speaks no TLS.
        (await this.deps.net.connect({ address, port: number }, { signal })).close();
        return failure(`Get "${url}": http: server gave HTTP response to HTTPS client`);
      }
      const response = await this.deps.httpRequest(this.deps.net, address, number, { target, headers }, signal);
      if (response.status < 200 || response.status >= 400) return failure(`HTTP probe failed with statuscode: ${response.status}`);
      const body = new TextDecoder().decode(response.body.subarray(0, OUTPUT_MAX));
      const location = response.headers["location"];
      const elsewhere = response.status >= 300 && location !== undefined && /^https?:\/\//.test(location) && new URL(location).hostname !== address;
      return elsewhere ? { kind: "warning", output: `Probe terminated redirects, Response body: ${body}` } : success(body);
    } catch (error) {
      if (signal.aborted) return failure(`Get "${url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)`);
      return failure(`Get "${url}": ${dialError(address, number, error, false)}`);
    }
  }
}
