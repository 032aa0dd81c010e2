/**
 * What a container is in the terms of OCI and the CRI: its runtime configuration, its namespaces and its cgroup. Made of what the runtime
 * knows when somebody looks (crictl inspect). Follows opencontainers/runtime-spec config.md and containerd's internal/cri/server
 * (container_create.go, sandbox_run.go).
 */
import type { Container, Runtime, Sandbox } from "./runtime.ts";

/** containerd's default capabilities. */
const CAPABILITIES = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP",
  "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE"];
const CPU_PERIOD = 100_000;
export const PAUSE_IMAGE = "registry.k8s.io/pause:3.10";

/** The process id of a container's first process in the node's PID namespace: chosen by its id. */
export const pidOf = (id: string): number => 1000 + (Number.parseInt(id.slice(0, 8), 16) % 60_000);

/** The cgroup, as systemd names it. */
export const cgroupsPath = (sandbox: Sandbox, id: string): string => `${sandbox.status.config.cgroupParent ?? "kubepods.slice"}:cri-containerd:${id}`;

interface Namespace {
  readonly type: string;
  readonly path?: string;
}

/** Those that are its own, and those of its sandbox by their path. */
export function namespacesOf({ status: { id, config, netns } }: Sandbox, own: boolean): Namespace[] {
  const sandbox = (type: string, name: string): Namespace => (own ? { type, path: `/proc/${pidOf(id)}/ns/${name}` } : { type });
  return [
    ...(config.hostPID === true ? [] : config.sharePID === true ? [sandbox("pid", "pid")] : [{ type: "pid" }]),
    ...(config.hostIPC === true ? [] : [sandbox("ipc", "ipc")]),
    ...(config.hostNetwork ? [] : [sandbox("uts", "uts")]),
    { type: "mount" },
    ...(config.hostNetwork ? [] : [{ type: "network", path: netns }]),
    { type: "cgroup" },
  ];
}

/** config.json of a container. */
export function runtimeSpec(runtime: Runtime, { status, config, image }: Container): object {
  const sandbox = runtime.sandboxes.get(status.sandboxId)!;
  const args = [...(config.command ?? image.entrypoint), ...(config.args ?? (config.command === undefined ? (image.cmd ?? []) : []))];
  const { cpuLimit, memoryLimit } = config;
  return {
    ociVersion: "1.2.0",
    process: {
      ...(config.tty === true ? { terminal: true } : {}),
      user: { uid: config.runAsUser ?? 0, gid: config.runAsGroup ?? 0, additionalGids: [config.runAsGroup ?? 0, ...(config.supplementalGroups ?? [])] },
      args,
      env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", `HOSTNAME=${sandbox.status.config.hostname}`, ...Object.entries({ ...image.env, ...config.env }).map(([name, value]) => `${name}=${value}`)],
      cwd: config.workingDir ?? "/",
      capabilities: { bounding: CAPABILITIES, effective: CAPABILITIES, permitted: CAPABILITIES },
      oomScoreAdj: 1000,
    },
    root: { path: "rootfs", ...(config.readOnlyRootFilesystem === true ? { readonly: true } : {}) },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
      { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "strictatime", "mode=755", "size=65536k"] },
      { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"] },
      { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["nosuid", "noexec", "nodev", "relatime", "ro"] },
      ...["/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/dev/termination-log"].map((destination) => ({ destination, type: "bind", source: `/var/lib/kubelet/pods/${sandbox.status.config.uid}${destination}`, options: ["rbind", "rprivate", "rw"] })),
      ...(config.mounts ?? []).map(({ mountPath, readOnly, subPath }) => ({
        destination: mountPath, type: "bind", source: `/var/lib/kubelet/pods/${sandbox.status.config.uid}/volumes${subPath === undefined ? "" : `/${subPath}`}`, options: ["rbind", "rprivate", readOnly === true ? "ro" : "rw"],
      })),
    ],
    annotations: {
      "io.kubernetes.cri.container-name": status.name, "io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.image-name": status.image, "io.kubernetes.cri.sandbox-id": status.sandboxId,
      "io.kubernetes.cri.sandbox-name": sandbox.status.config.name, "io.kubernetes.cri.sandbox-namespace": sandbox.status.config.namespace, "io.kubernetes.cri.sandbox-uid": sandbox.status.config.uid,
    },
    linux: {
      resources: {
        devices: [{ allow: false, access: "rwm" }],
        memory: memoryLimit === undefined ? {} : { limit: memoryLimit, swap: memoryLimit },
        cpu: { shares: 2, period: CPU_PERIOD, ...(cpuLimit === undefined ? {} : { quota: Math.round(cpuLimit * CPU_PERIOD) }) },
        unified: { "memory.oom.group": "1" },
      },
      cgroupsPath: cgroupsPath(sandbox, status.id),
      namespaces: namespacesOf(sandbox, true),
    },
  };
}
