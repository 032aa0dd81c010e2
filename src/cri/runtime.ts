/** The in-box container runtime of one node: sandboxes are network namespaces, containers are programs in them. */
import type { ApiTransport } from "../client/transport.ts";
import { addNetworkList, delNetworkList } from "../cni/plugins.ts";
import type { CniCall, CniFiles, CniPlugin, CniResult, NetConfList } from "../cni/types.ts";
import { ExecutableNotFound } from "../images/program.ts";
import type { ImageRegistry } from "../images/registry.ts";
import type { Netns, NodeKernel } from "../kernel/netns.ts";
import type { Logger } from "../log.ts";
import type { Clock, Random } from "../time/clock.ts";
import type { Image, ProgramContext, Usage } from "./program.ts";
import { ownedSockets } from "./sockets.ts";
import { CriError, type ContainerConfig, type ContainerStatus, type ExecResult, type ImageService, type LogLine, type PodSandboxConfig,
  type PodSandboxStatus, type RuntimeService, type Volume, type VolumeOptions } from "./types.ts";
import type { Userland, UserlandContainer } from "./userland.ts";

export interface RuntimeDeps {
  readonly kernel: NodeKernel;
  readonly images: ImageRegistry;
  readonly cniConf: NetConfList;
  readonly cniPlugins: ReadonlyMap<string, CniPlugin>;
  readonly cniFiles: CniFiles;
  readonly api: ApiTransport;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** File systems and processes for containers; without it, a container is one program. */
  readonly userland?: Userland | undefined;
}

export interface Sandbox {
  status: { -readonly [K in keyof PodSandboxStatus]: PodSandboxStatus[K] };
  readonly netns: Netns;
  result: CniResult | undefined;
}

export interface Running {
  readonly ended: Promise<void>;
  /** SIGTERM. */
  terminate(): void;
  kill(): void;
  /** Its standard input, and the size of its terminal. */
  write(bytes: Uint8Array): void;
  eof(): void;
  resize(width: number, height: number): void;
}

export interface Follower {
  output(stream: "stdout" | "stderr", text: string): void;
  end(): void;
}

/** A program that runs beside a container's own. */
export interface ExecIO {
  readonly stdout: (data: string | Uint8Array) => void;
  readonly stderr: (data: string | Uint8Array) => void;
  /** Whether somebody writes to it; default false. */
  readonly stdin?: boolean;
  readonly tty?: boolean;
}

/** A program that was started by `exec`. */
export interface Exec extends Omit<Running, "ended" | "terminate"> {
  /** Its exit code. Rejects with CriError where it could not be run. */
  readonly ended: Promise<number>;
}

export interface Container {
  status: { -readonly [K in keyof ContainerStatus]: ContainerStatus[K] };
  readonly config: ContainerConfig;
  readonly image: Image;
  readonly logs: LogLine[];
  /** Lines logged so far, with those that are gone. */
  logged: number;
  /** Bytes of those in `logs`, as the file has them. */
  logBytes: number;
  /** Who follows the output. */
  readonly followers: Set<Follower>;
  /** Its files and processes, where there are such. */
  readonly userland: UserlandContainer | undefined;
  running?: Running;
}

/** Lines kept per container; of more, a tenth goes. */
const LOG_LINES_MAX = 100_000;
/** Bytes before each line: its time, stream and tag, and the line's end. */
const LOG_PREFIX = 45;
/** How long a pull takes: the time of a registry near by. */
const PULL_MS = 10;
/** What a program has before it takes more. */
const BASE_MEMORY = 2 << 20;
/** 128 + SIGKILL. */
const EXIT_KILLED = 137;

export class Runtime implements RuntimeService, ImageService {
  private readonly deps: RuntimeDeps;
  private readonly random: Random;
  /** For what streams on a container's behalf (node-streams.ts), too. */
  readonly sandboxes = new Map<string, Sandbox>();
  readonly containers = new Map<string, Container>();
  private readonly pulled = new Map<string, Image>();
  /** Counts program starts, so that two equal ones draw different numbers. */
  private launches = 0;
  private onEnd: (status: ContainerStatus) => void = () => undefined;

  /** Absent where containers have no file systems. */
  readonly newVolume: ((options?: VolumeOptions) => Volume) | undefined;

  constructor(deps: RuntimeDeps) {
    this.deps = deps;
    this.random = deps.random.fork("cri");
    this.newVolume = deps.userland?.newVolume;
  }

  onContainerEnd(run: (status: ContainerStatus) => void): void {
    this.onEnd = run;
  }

  async runPodSandbox(config: PodSandboxConfig): Promise<string> {
    const { kernel, clock, log } = this.deps;
    const id = this.newId();
    const name = `cni-${this.newUuid()}`;
    const netns = config.hostNetwork ? kernel.host : kernel.addNetns(name);
    const netnsPath = config.hostNetwork ? "" : `/var/run/netns/${name}`;
    const sandbox: Sandbox = {
      netns, result: undefined,
      status: { id, config, state: "SANDBOX_READY", createdAtMs: clock.nowMs(), ips: [], netns: netnsPath },
    };
    if (!config.hostNetwork) {
      try {
        netns.setLink("lo", { up: true });
        sandbox.result = addNetworkList(this.deps.cniConf, this.cniCall(sandbox));
        sandbox.status.ips = (sandbox.result.ips ?? []).map(({ address }) => address.split("/")[0]!);
      } catch (error) {
        netns.delete();
        const reason = error instanceof Error ? error.message : String(error);
        throw new CriError("Unknown", `failed to setup network for sandbox "${id}": plugin type="${this.deps.cniConf.plugins[0]?.type ?? ""}" failed (add): ${reason}`);
      }
    }
    this.sandboxes.set(id, sandbox);
    log.info("RunPodSandbox", { pod: `${config.namespace}/${config.name}`, ips: sandbox.status.ips });
    return id;
  }

  async stopPodSandbox(id: string): Promise<void> {
    const sandbox = this.sandboxes.get(id);
    if (sandbox === undefined || sandbox.status.state === "SANDBOX_NOTREADY") return;
    sandbox.status.state = "SANDBOX_NOTREADY";
    await Promise.all(this.listContainers(id).map((container) => this.stopContainer(container.id, 0)));
    if (sandbox.status.config.hostNetwork) return;
    delNetworkList(this.deps.cniConf, this.cniCall(sandbox), sandbox.result);
    sandbox.netns.delete();
  }

  async removePodSandbox(id: string): Promise<void> {
    await this.stopPodSandbox(id);
    for (const container of this.listContainers(id)) this.removeContainer(container.id);
    this.sandboxes.delete(id);
  }

  podSandboxStatus(id: string): PodSandboxStatus | undefined {
    return this.sandboxes.get(id)?.status;
  }

  listPodSandboxes(): PodSandboxStatus[] {
    return [...this.sandboxes.values()].map(({ status }) => status);
  }

  createContainer(sandboxId: string, config: ContainerConfig): string {
    if (this.sandboxes.get(sandboxId)?.status.state !== "SANDBOX_READY") {
      throw new CriError("NotFound", `failed to find sandbox id "${sandboxId}": not found`);
    }
    const name = this.deps.images.normalize(config.image);
    const image = name === undefined ? undefined : this.pulled.get(name);
    if (image === undefined) throw new CriError("NotFound", `failed to get image from containerd "${config.image}": image not found`);
    const id = this.newId();
    const sandbox = this.sandboxes.get(sandboxId)!;
    const { clock, api, userland } = this.deps;
    const { hostname } = sandbox.status.config;
    const status: Container["status"] = {
      id, sandboxId, name: config.name, attempt: config.attempt, image: name!, imageId: this.deps.images.id(image),
      state: "CONTAINER_CREATED", createdAtMs: clock.nowMs(), startedAtMs: 0, finishedAtMs: 0, exitCode: 0, reason: "", message: "",
      cpuNs: 0, memoryBytes: BASE_MEMORY,
    };
    this.containers.set(id, {
      config, image, status, logs: [], logged: 0, logBytes: 0, followers: new Set(),
      userland: userland?.newContainer({
        id, image, config, hostname, netns: sandbox.netns, newSockets: () => ownedSockets(sandbox.netns.sockets), clock, random: this.random.fork(id), api,
        usage: this.usageOf({ config, status }), onCpu: (ns) => { status.cpuNs += ns; },
      }),
    });
    return id;
  }

  startContainer(id: string): void {
    const container = this.containers.get(id);
    if (container === undefined) throw new CriError("NotFound", `an error occurred when try to find container "${id}": not found`);
    if (container.status.state !== "CONTAINER_CREATED") throw new CriError("Unknown", `container "${id}" is in ${container.status.state} state`);
    const { config, image, status } = container;
    const argv = [...(config.command ?? image.entrypoint), ...(config.args ?? (config.command === undefined ? (image.cmd ?? []) : []))];
    status.state = "CONTAINER_RUNNING";
    status.startedAtMs = this.deps.clock.nowMs();
    const stdout = this.lineWriter(container, "stdout"), stderr = this.lineWriter(container, "stderr");
    const { stdin = false, tty = false } = config;
    container.running = this.launch(container, argv, { stdout, stderr, stdin, tty }, (exitCode, error) => {
      delete container.running;
      stdout();
      stderr();
      status.state = "CONTAINER_EXITED";
      status.finishedAtMs = this.deps.clock.nowMs();
      status.exitCode = exitCode;
      if (status.reason === "") status.reason = exitCode === 0 ? "Completed" : "Error";
      if (error instanceof ExecutableNotFound) {
        status.exitCode = 128;
        status.reason = "StartError";
        status.message = "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: " +
          `unable to start container process: ${error.message}: unknown`;
      }
      for (const follower of container.followers) follower.end();
      this.onEnd(status);
    });
  }

  async stopContainer(id: string, graceMs: number): Promise<void> {
    const running = this.containers.get(id)?.running;
    if (running === undefined) return;
    if (graceMs > 0) {
      running.terminate();
      const timer = new AbortController();
      await Promise.race([running.ended, this.deps.clock.sleep(graceMs, timer.signal).catch(() => undefined)]);
      timer.abort();
    }
    running.kill();
    await running.ended;
  }

  oomKill(id: string): void {
    const container = this.containers.get(id);
    if (container?.running === undefined) return;
    container.status.reason = "OOMKilled";
    container.running.kill();
  }

  removeContainer(id: string): void {
    this.containers.get(id)?.running?.kill();
    this.containers.delete(id);
  }

  listContainers(sandboxId?: string): ContainerStatus[] {
    return [...this.containers.values()].filter(({ status }) => sandboxId === undefined || status.sandboxId === sandboxId).map(({ status }) => status);
  }

  containerStatus(id: string): ContainerStatus | undefined {
    return this.containers.get(id)?.status;
  }

  containerLogs(id: string): readonly LogLine[] {
    return this.containers.get(id)?.logs ?? [];
  }

  rotateLog(id: string, bytesMax: number): void {
    const container = this.containers.get(id);
    if (container === undefined || container.logBytes <= bytesMax) return;
    container.logs.length = 0;
    container.logBytes = 0;
  }

  containerFile(id: string, path: string): Uint8Array | undefined {
    const container = this.containers.get(id);
    return container?.userland === undefined ? container?.config.readFile(path) : container.userland.readFile(path);
  }

  /** Runs another program of the container's image beside it. Throws CriError, or `ended` rejects with one. */
  exec(id: string, command: readonly string[], io: ExecIO): Exec {
    const container = this.containers.get(id);
    if (container?.running === undefined) throw new CriError("NotFound", `container "${id}" is not in running state`);
    let code = 0, failure: unknown;
    const { stdin = false, tty = false } = io;
    const { ended, kill, write, eof, resize } = this.launch(container, command, { ...io, stdin, tty }, (exitCode, error) => {
      code = exitCode;
      failure = error;
    });
    // The container's end takes along what was started in it.
    void container.running.ended.then(kill);
    return {
      kill, write, eof, resize,
      ended: ended.then(() => {
        if (failure instanceof ExecutableNotFound) {
          throw new CriError("Unknown", `failed to exec in container: failed to start exec: OCI runtime exec failed: exec failed: unable to start container process: ${failure.message}: unknown`);
        }
        return code;
      }),
    };
  }

  async execSync(id: string, command: readonly string[], timeoutMs = 0): Promise<ExecResult> {
    let stdout = "", stderr = "";
    const { ended, kill } = this.exec(id, command, { stdout: decoded((text) => (stdout += text)), stderr: decoded((text) => (stderr += text)) });
    if (timeoutMs > 0) {
      const timer = new AbortController();
      const timedOut = this.deps.clock.sleep(timeoutMs, timer.signal).then(() => true, () => false);
      const late = await Promise.race([ended.then(() => false, () => false), timedOut]);
      timer.abort();
      kill();
      if (late) throw new CriError("Unknown", `failed to exec in container: timeout ${timeoutMs / 1000}s exceeded`);
    }
    return { exitCode: await ended, stdout, stderr };
  }

  imageStatus(image: string): { id: string; sizeBytes: number; uid: number } | undefined {
    const name = this.deps.images.normalize(image);
    const found = name === undefined ? undefined : this.pulled.get(name);
    return found === undefined ? undefined : { id: this.deps.images.id(found), sizeBytes: this.deps.images.sizeBytes(found), uid: found.user?.uid ?? 0 };
  }

  async pullImage(image: string): Promise<string> {
    const { images, clock, userland } = this.deps;
    await Promise.all([clock.sleep(PULL_MS), userland?.load()]);
    const found = images.resolve(image);
    if ("error" in found) throw new CriError(found.code, found.error);
    this.pulled.set(found.name, found.image);
    return images.id(found.image);
  }

  removeImage(image: string): void {
    const name = this.deps.images.normalize(image);
    if (name !== undefined) this.pulled.delete(name);
  }

  listImages(): { id: string; names: string[]; sizeBytes: number }[] {
    const { images } = this.deps;
    return [...this.pulled].map(([name, image]) => ({ id: images.id(image), names: [name], sizeBytes: images.sizeBytes(image) }));
  }

  /** Runs a program of the container's image in its sandbox; `done` is called once, when it ended or was killed. */
  private launch(container: Container, argv: readonly string[], io: Required<ExecIO>, done: (exitCode: number, error?: unknown) => void): Running {
    if (container.userland !== undefined) {
      const process = container.userland.run(argv, io);
      return {
        ended: process.ended.then((code) => done(code), (error: unknown) => done(1, error)),
        terminate: () => process.signal("SIGTERM"), kill: process.kill, write: process.write, eof: process.eof, resize: (width, height) => process.resize({ width, height }),
      };
    }
    const { config, image, status } = container;
    const { stdout, stderr } = io;
    const sandbox = this.sandboxes.get(status.sandboxId)!;
    const sockets = ownedSockets(sandbox.netns.sockets);
    const stop = new AbortController();
    let over = false;
    let resolveEnded: () => void = () => undefined;
    const ended = new Promise<void>((resolve) => (resolveEnded = resolve));
    const finish = (exitCode: number, error?: unknown): void => {
      if (over) return;
      over = true;
      sockets.closeAll();
      done(exitCode, error);
      resolveEnded();
    };
    const context: Omit<ProgramContext, "fs"> = {
      argv, env: { ...image.env, ...config.env, HOSTNAME: sandbox.status.config.hostname },
      hostname: sandbox.status.config.hostname, pid: 1, ports: config.ports ?? [],
      readFile: (path) => (path === "/etc/hostname" ? new TextEncoder().encode(`${sandbox.status.config.hostname}\n`) : config.readFile(path)),
      stdout: (text) => { if (!over) stdout(text); },
      stderr: (text) => { if (!over) stderr(text); },
      signal: stop.signal, usage: this.usageOf(container), net: sockets, clock: this.deps.clock, random: this.random.fork(`${status.id}/${this.launches++}`), api: this.deps.api,
    };
    // The core's own programs write no files.
    const run = async (): Promise<number> => image.run(context as ProgramContext);
    run().then((code) => finish(code & 255), (error: unknown) => {
      if (!over && !(error instanceof ExecutableNotFound)) stderr(`${error instanceof Error ? error.message : String(error)}\n`);
      finish(1, error);
    });
    return {
      ended, terminate: () => stop.abort("SIGTERM"), write() {}, eof() {}, resize() {},
      kill: () => {
        finish(EXIT_KILLED);
        if (!stop.signal.aborted) stop.abort("SIGKILL");
      },
    };
  }

  private usageOf({ config, status }: Pick<Container, "config" | "status">): Usage {
    return {
      cpu: async (ms) => {
        await this.deps.clock.sleep(ms / Math.min(1, config.cpuLimit ?? 1));
        status.cpuNs += ms * 1e6;
      },
      memory: (bytes) => {
        status.memoryBytes = BASE_MEMORY + bytes;
        if (status.memoryBytes > (config.memoryLimit ?? Infinity)) this.oomKill(status.id);
      },
    };
  }

  /** Without a text: the end, where a line that was begun is one. */
  private lineWriter(container: Container, stream: "stdout" | "stderr"): (data?: string | Uint8Array) => void {
    const { logs } = container;
    let partial = "";
    const log = (lines: readonly string[]): void => {
      for (const line of lines) {
        logs.push({ timeMs: this.deps.clock.nowMs(), stream, text: line });
        container.logBytes += line.length + LOG_PREFIX;
      }
      container.logged += lines.length;
      if (logs.length > LOG_LINES_MAX) logs.splice(0, LOG_LINES_MAX / 10);
    };
    const take = decoded((text) => {
      const lines = (partial + text).split("\n");
      partial = lines.pop()!;
      log(lines);
      for (const follower of container.followers) follower.output(stream, text);
    });
    return (data) => {
      if (data !== undefined) {
        take(data);
        return;
      }
      if (partial === "") return;
      log([partial]);
      partial = "";
      for (const follower of container.followers) follower.output(stream, "");
    };
  }

  private cniCall({ status, netns }: Sandbox): CniCall {
    const { config } = status;
    return {
      host: this.deps.kernel.host, netns, netnsPath: status.netns, containerId: status.id, ifName: "eth0",
      args: `IgnoreUnknown=1;K8S_POD_NAMESPACE=${config.namespace};K8S_POD_NAME=${config.name};K8S_POD_INFRA_CONTAINER_ID=${status.id};K8S_POD_UID=${config.uid}`,
      files: this.deps.cniFiles, random: this.random, plugins: this.deps.cniPlugins,
    };
  }

  private newId(): string {
    return hex(this.random.bytes(new Uint8Array(32)));
  }

  private newUuid(): string {
    const bytes = this.random.bytes(new Uint8Array(16));
    bytes[6] = (bytes[6]! & 15) | 0x40;
    bytes[8] = (bytes[8]! & 63) | 0x80;
    const text = hex(bytes);
    return [text.slice(0, 8), text.slice(8, 12), text.slice(12, 16), text.slice(16, 20), text.slice(20)].join("-");
  }
}

/** Text of data that comes in parts. */
const decoded = (take: (text: string) => void): ((data: string | Uint8Array) => void) => {
  const decoder = new TextDecoder();
  return (data) => take(typeof data === "string" ? data : decoder.decode(data, { stream: true }));
};

const hex = (bytes: Uint8Array): string => {
  let out = "";
  for (const byte of bytes) out += (byte < 16 ? "0" : "") + byte.toString(16);
  return out;
};
