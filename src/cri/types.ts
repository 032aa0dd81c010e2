/** The Container Runtime Interface as the kubelet uses it (cri-api runtime/v1): names and states of the real one. */

/** How a runtime call fails: a gRPC status. */
export class CriError extends Error {
  readonly code: "NotFound" | "AlreadyExists" | "InvalidArgument" | "Unknown";
  constructor(code: "NotFound" | "AlreadyExists" | "InvalidArgument" | "Unknown", description: string) {
    super(`rpc error: code = ${code} desc = ${description}`);
    this.name = "CriError";
    this.code = code;
  }
}

export interface PodSandboxConfig {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly attempt: number;
  readonly hostname: string;
  /** Shares the node's network namespace. */
  readonly hostNetwork: boolean;
  readonly hostPID?: boolean;
  readonly hostIPC?: boolean;
  /** All containers of the pod are in one PID namespace. */
  readonly sharePID?: boolean;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** The systemd slice of the pod: `kubepods-burstable-podUID.slice`. */
  readonly cgroupParent?: string;
  /** RuntimeClass' handler; default: runc. */
  readonly runtimeHandler?: string;
}

export type SandboxState = "SANDBOX_READY" | "SANDBOX_NOTREADY";

export interface PodSandboxStatus {
  readonly id: string;
  readonly config: PodSandboxConfig;
  readonly state: SandboxState;
  readonly createdAtMs: number;
  /** Addresses on the pod network, first one first; empty on the host's network. */
  readonly ips: readonly string[];
  readonly netns: string;
}

/** A file of a volume that the kubelet fills. */
export interface VolumeFile {
  readonly bytes: Uint8Array;
  /** Permission bits; default 0o644. */
  readonly mode?: number;
}

export interface VolumeOptions {
  /** Permission bits of the volume's own directory; default 0o777, as an emptyDir's. */
  readonly mode?: number;
  /** Owner's group of what is in it (fsGroup); default 0. */
  readonly gid?: number;
  /** Bytes it can hold (a `medium: Memory` of this size); writing more fails with ENOSPC. Default: no limit. */
  readonly bytesMax?: number;
}

/** A tree of files that containers mount: each sees at once what another one writes. */
export interface Volume {
  /**
   * Puts these files (by path below the volume) in the place of those of the last call, all at once, as the kubelet's AtomicWriter does:
   * through a `..data` link, so that a mount by subPath keeps the files it was made with.
   */
  setFiles(files: ReadonlyMap<string, Uint8Array | VolumeFile>): void;
  /** One file; undefined: there is none. */
  readFile(path: string): Uint8Array | undefined;
  /** Writes one file where it stands, with the directories it needs. */
  writeFile(path: string, file: Uint8Array | VolumeFile): void;
  /** The names in a directory; undefined: there is no such directory. Absent where that is not known. */
  list?(path: string): readonly string[] | undefined;
  /** What there is at `path`; undefined: nothing. Absent where that is not known. */
  kindOf?(path: string): "directory" | "file" | undefined;
  /** Bytes of all files in it. */
  usedBytes(): number;
  usedInodes(): number;
}

/** A volume in a container's file system. */
export interface Mount {
  readonly mountPath: string;
  readonly volume: Volume;
  /** A directory or file below the volume; made as a directory when there is none. */
  readonly subPath?: string;
  readonly readOnly?: boolean;
}

export interface ContainerConfig {
  readonly name: string;
  readonly attempt: number;
  /** As the pod names it. */
  readonly image: string;
  /** Replaces the image's entrypoint. */
  readonly command?: readonly string[];
  /** Replaces the image's cmd. */
  readonly args?: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Files beside the image's own: mounts, /etc/hosts, /etc/resolv.conf. */
  readonly readFile: (path: string) => Uint8Array | undefined;
  /** Volumes, where the runtime has file systems for containers (`newVolume`); they come before `readFile`. */
  readonly mounts?: readonly Mount[];
  /** Default: the image's, `/`. */
  readonly workingDir?: string;
  /** Of the container's first process and what is run by `exec`; default: the image's, 0. */
  readonly runAsUser?: number;
  readonly runAsGroup?: number;
  readonly supplementalGroups?: readonly number[];
  readonly readOnlyRootFilesystem?: boolean;
  /** Keeps standard input open for `attach`; `stdinOnce`: until the first attached client is done. */
  readonly stdin?: boolean;
  readonly stdinOnce?: boolean;
  readonly tty?: boolean;
  /** CPUs that it may use, and bytes of memory. */
  readonly cpuLimit?: number;
  readonly memoryLimit?: number;
  /** Names and numbers of ports, for images that serve what they are told to. */
  readonly ports?: readonly { readonly containerPort: number; readonly protocol?: string }[];
}

export type ContainerState = "CONTAINER_CREATED" | "CONTAINER_RUNNING" | "CONTAINER_EXITED";

export interface ContainerStatus {
  readonly id: string;
  readonly sandboxId: string;
  readonly name: string;
  readonly attempt: number;
  readonly image: string;
  readonly imageId: string;
  readonly state: ContainerState;
  readonly createdAtMs: number;
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
  readonly exitCode: number;
  /** CPU time it has used, in ns, and bytes of memory it has. */
  readonly cpuNs: number;
  readonly memoryBytes: number;
  /** `Completed`, `Error`, `StartError`, `OOMKilled`. */
  readonly reason: string;
  readonly message: string;
}

export interface LogLine {
  readonly timeMs: number;
  readonly stream: "stdout" | "stderr";
  readonly text: string;
}

export interface ExecResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

export interface RuntimeService {
  /** Makes the network namespace, runs the CNI plugins and the pause program. Undoes all of it when a step fails. */
  runPodSandbox(config: PodSandboxConfig): Promise<string>;
  /** Kills what runs in it and gives its address back. Again does nothing. */
  stopPodSandbox(id: string): Promise<void>;
  removePodSandbox(id: string): Promise<void>;
  podSandboxStatus(id: string): PodSandboxStatus | undefined;
  listPodSandboxes(): PodSandboxStatus[];
  createContainer(sandboxId: string, config: ContainerConfig): string;
  startContainer(id: string): void;
  /** SIGTERM, then SIGKILL after `graceMs`; resolves when it has ended. */
  stopContainer(id: string, graceMs: number): Promise<void>;
  /** Ends it as the kernel does when there is no memory left. */
  oomKill(id: string): void;
  removeContainer(id: string): void;
  listContainers(sandboxId?: string): ContainerStatus[];
  containerStatus(id: string): ContainerStatus | undefined;
  containerLogs(id: string): readonly LogLine[];
  /** Begins a new log file where the present one has more than so many bytes; what was before is not shown any more. */
  rotateLog(id: string, bytesMax: number): void;
  /** Runs another program of the container's image beside it. */
  execSync(id: string, command: readonly string[], timeoutMs?: number): Promise<ExecResult>;
  /** A new, empty volume. Absent where containers have no file systems: there `ContainerConfig.readFile` is all they see. */
  readonly newVolume?: ((options?: VolumeOptions) => Volume) | undefined;
  /** One file of a container, running or not, such as its termination log; undefined: there is none. */
  containerFile(id: string, path: string): Uint8Array | undefined;
  /** Called at every end of a container. */
  onContainerEnd(run: (status: ContainerStatus) => void): void;
}

export interface ImageService {
  /** Whether the image is on the node: its id, and the user that its processes run as. */
  imageStatus(image: string): { readonly id: string; readonly sizeBytes: number; readonly uid: number } | undefined;
  /** Makes it be there; resolves with its id. Rejects with CriError. */
  pullImage(image: string): Promise<string>;
  /** Takes it off the node; containers that run go on. */
  removeImage(image: string): void;
  listImages(): { readonly id: string; readonly names: readonly string[]; readonly sizeBytes: number }[];
}
