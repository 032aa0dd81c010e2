/**
 * crictl (cri-tools 1.32) and `ctr -n k8s.io` on the machine's container runtime: sandboxes, containers, images, logs. Follows
 * cri-tools cmd/crictl (container.go, sandbox.go, image.go, logs.go) and containerd cmd/ctr/commands.
 */
import { formatMicroTime } from "../apimachinery/time.ts";
import { namespacesOf, PAUSE_IMAGE, pidOf, runtimeSpec } from "../cri/oci.ts";
import type { Container, Runtime, Sandbox } from "../cri/runtime.ts";
import { ToolExit, type Tool, type ToolHost } from "./tool.ts";

const SHORT = 13;
const VERSION = "v1.7.24";

/** Rows as Go's tabwriter aligns them: columns as wide as their widest cell and `padding`, at least `min`. */
function table(rows: readonly (readonly string[])[], min: number, padding: number, last = false): string {
  const columns = rows[0]?.length ?? 0;
  const widths = Array.from({ length: columns }, (_, i) => Math.max(min, ...rows.map((row) => row[i]!.length + padding)));
  return rows.map((row) => `${row.map((cell, i) => (i === columns - 1 && !last ? cell : cell.padEnd(widths[i]!))).join("")}\n`).join("");
}

/** docker/go-units: HumanDuration. */
function humanDuration(ms: number): string {
  const seconds = Math.floor(ms / 1000), minutes = Math.floor(seconds / 60), hours = Math.round(minutes / 60);
  if (seconds < 1) return "Less than a second";
  if (seconds === 1) return "1 second";
  if (seconds < 60) return `${seconds} seconds`;
  if (minutes === 1) return "About a minute";
  if (minutes < 60) return `${minutes} minutes`;
  if (hours === 1) return "About an hour";
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 7 * 2) return `${Math.floor(hours / 24)} days`;
  if (hours < 24 * 30 * 2) return `${Math.floor(hours / 24 / 7)} weeks`;
  return hours < 24 * 365 * 2 ? `${Math.floor(hours / 24 / 30)} months` : `${Math.floor(hours / 24 / 365)} years`;
}

/** units.HumanSizeWithPrecision(…, 3). */
function humanSize(bytes: number): string {
  const names = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes, at = 0;
  while (value >= 1000 && at < names.length - 1) {
    value /= 1000;
    at++;
  }
  return `${Number(value.toPrecision(3))}${names[at]!}`;
}

interface Options {
  readonly flags: ReadonlySet<string>;
  readonly values: ReadonlyMap<string, string>;
  readonly words: readonly string[];
}

/** Reads `-a`, `--name VALUE`, `--name=VALUE`; which take a value stands in `valued`. Throws ToolExit. */
function parse(args: readonly string[], names: Readonly<Record<string, string>>, valued: ReadonlySet<string>): Options {
  const flags = new Set<string>(), values = new Map<string, string>(), words: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const word = args[i]!;
    if (!word.startsWith("-") || word === "-") {
      words.push(word);
      continue;
    }
    const [given = "", inline] = word.replace(/^--?/, "").split(/=(.*)/s);
    const name = names[given];
    if (name === undefined) throw new ToolExit(1, `flag provided but not defined: -${given}\n`);
    if (!valued.has(name)) flags.add(name);
    else {
      const value = inline ?? args[++i];
      if (value === undefined) throw new ToolExit(1, `flag needs an argument: -${given}\n`);
      values.set(name, value);
    }
  }
  return { flags, values, words };
}

const fatal = (message: string): ToolExit => new ToolExit(1, `FATA[0000] ${message}\n`);

function runtimeOf({ containers }: ToolHost): { readonly runtime: Runtime; readonly nowMs: number } {
  if (containers === undefined) {
    throw fatal('validate service connection: validate CRI v1 runtime API for endpoint "unix:///run/containerd/containerd.sock": rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: dial unix /run/containerd/containerd.sock: connect: no such file or directory"');
  }
  return containers;
}

const nanos = (ms: number): string => (ms === 0 ? "1970-01-01T00:00:00Z" : formatMicroTime(ms).replace(/Z$/, "000Z"));
const unixNanos = (ms: number): string => `${Math.floor(ms)}${String(Math.floor((ms - Math.floor(ms)) * 1e6)).padStart(6, "0")}`;
const STATES: Readonly<Record<string, string>> = { CONTAINER_CREATED: "Created", CONTAINER_RUNNING: "Running", CONTAINER_EXITED: "Exited" };
const newest = <T extends { readonly status: { readonly createdAtMs: number } }>(list: Iterable<T>): T[] => [...list].reverse().sort((a, b) => b.status.createdAtMs - a.status.createdAtMs);
const matches = (pattern: string | undefined, text: string): boolean => pattern === undefined || new RegExp(pattern).test(text);

/** The one whose id begins so. */
function byId<T extends { readonly status: { readonly id: string } }>(all: Iterable<T>, prefix: string, what: string): T {
  const found = [...all].filter(({ status }) => status.id.startsWith(prefix));
  if (found.length > 1) throw fatal(`${what} "${prefix}": ambiguous id prefix`);
  if (found[0] === undefined) throw fatal(`getting the status of the ${what} "${prefix}": rpc error: code = NotFound desc = an error occurred when try to find ${what === "pod sandbox" ? "sandbox" : what}: not found`);
  return found[0];
}

export const crictl: Tool = (host, args, streams) => {
  const words = [...args];
  // Where the runtime is makes no difference here.
  while (words[0]?.startsWith("-") === true && words[0] !== "--version") words.splice(0, words[0].includes("=") || words[0] === "-D" ? 1 : 2);
  const [command = "", ...rest] = words;
  const { runtime, nowMs } = runtimeOf(host);
  switch (command) {
    case "ps": streams.stdout += ps(runtime, nowMs, rest); return 0;
    case "pods": streams.stdout += pods(runtime, nowMs, rest); return 0;
    case "images": case "image": case "img": streams.stdout += images(runtime, rest); return 0;
    case "inspect": streams.stdout += json(inspect(runtime, byId(runtime.containers.values(), one(rest, "inspect"), "container"))); return 0;
    case "inspectp": streams.stdout += json(inspectSandbox(byId(runtime.sandboxes.values(), one(rest, "inspectp"), "pod sandbox"))); return 0;
    case "inspecti": streams.stdout += json(inspectImage(runtime, one(rest, "inspecti"))); return 0;
    case "logs": streams.stdout += logs(runtime, rest); return 0;
    case "stats": streams.stdout += stats(runtime, rest); return 0;
    case "version": streams.stdout += `Version:  0.1.0\nRuntimeName:  containerd\nRuntimeVersion:  ${VERSION}\nRuntimeApiVersion:  v1\n`; return 0;
    case "--version": streams.stdout += "crictl version v1.32.0\n"; return 0;
    case "info": streams.stdout += json({
      status: { conditions: [{ type: "RuntimeReady", status: true, reason: "", message: "" }, { type: "NetworkReady", status: true, reason: "", message: "" }] },
      config: { containerd: { snapshotter: "overlayfs", defaultRuntimeName: "runc" }, sandboxImage: PAUSE_IMAGE },
    }); return 0;
    default: throw new ToolExit(1, `No help topic for '${command}'\n`);
  }
};

function one(args: readonly string[], command: string): string {
  const { words } = parse(args, { o: "output", output: "output", q: "quiet", quiet: "quiet" }, new Set(["output"]));
  if (words[0] === undefined) throw fatal(`ID cannot be empty: crictl ${command}`);
  return words[0];
}

const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`;

function ps(runtime: Runtime, nowMs: number, args: readonly string[]): string {
  const { flags, values } = parse(args, {
    a: "all", all: "all", q: "quiet", quiet: "quiet", "no-trunc": "whole", l: "latest", latest: "latest", name: "name", pod: "pod", p: "pod", state: "state", s: "state", namespace: "namespace", image: "image",
    o: "output", output: "output", n: "last", last: "last", id: "id",
  }, new Set(["name", "pod", "state", "namespace", "image", "output", "last", "id"]));
  const wanted = values.get("state")?.toLowerCase();
  let found = newest(runtime.containers.values()).filter(({ status }) => {
    const { config } = runtime.sandboxes.get(status.sandboxId)!.status;
    const shown = wanted === undefined ? flags.has("all") || flags.has("latest") || values.has("last") || status.state === "CONTAINER_RUNNING" : STATES[status.state]!.toLowerCase() === wanted;
    return shown && matches(values.get("name"), status.name) && matches(values.get("namespace"), config.namespace) && status.sandboxId.startsWith(values.get("pod") ?? "") && status.id.startsWith(values.get("id") ?? "");
  });
  if (flags.has("latest")) found = found.slice(0, 1);
  else if (values.has("last")) found = found.slice(0, Number(values.get("last")));
  if (flags.has("quiet")) return found.map(({ status }) => `${status.id}\n`).join("");
  if (values.get("output") === "json") return json({ containers: found.map((container) => listed(runtime, container)) });
  const cut = (id: string): string => (flags.has("whole") ? id : id.slice(0, SHORT));
  return table([
    ["CONTAINER", "IMAGE", "CREATED", "STATE", "NAME", "ATTEMPT", "POD ID", "POD", "NAMESPACE"],
    ...found.map(({ status }) => {
      const { config } = runtime.sandboxes.get(status.sandboxId)!.status;
      return [cut(status.id), cut(status.imageId.replace(/^sha256:/, "")), `${humanDuration(nowMs - status.createdAtMs)} ago`, STATES[status.state]!, status.name, String(status.attempt), cut(status.sandboxId), config.name, config.namespace];
    }),
  ], 20, 3);
}

const labelsOf = (runtime: Runtime, { status }: Container): Record<string, string> => {
  const { config } = runtime.sandboxes.get(status.sandboxId)!.status;
  return { "io.kubernetes.container.name": status.name, "io.kubernetes.pod.name": config.name, "io.kubernetes.pod.namespace": config.namespace, "io.kubernetes.pod.uid": config.uid };
};

const listed = (runtime: Runtime, container: Container): object => {
  const { status, config } = container;
  return {
    id: status.id, podSandboxId: status.sandboxId, metadata: { name: status.name, attempt: status.attempt }, image: { image: status.imageId, annotations: {}, userSpecifiedImage: config.image, runtimeHandler: "" },
    imageRef: status.imageId, state: status.state, createdAt: unixNanos(status.createdAtMs), labels: labelsOf(runtime, container),
    annotations: { "io.kubernetes.container.restartCount": String(status.attempt), "io.kubernetes.container.terminationMessagePath": "/dev/termination-log" }, imageId: status.imageId,
  };
};

function pods(runtime: Runtime, nowMs: number, args: readonly string[]): string {
  const { flags, values } = parse(args, {
    q: "quiet", quiet: "quiet", v: "verbose", verbose: "verbose", l: "latest", latest: "latest", "no-trunc": "whole", name: "name", namespace: "namespace", state: "state", s: "state", o: "output", output: "output", id: "id", last: "last", n: "last",
  }, new Set(["name", "namespace", "state", "output", "id", "last"]));
  const stateOf = ({ status }: Sandbox): string => (status.state === "SANDBOX_READY" ? "Ready" : "NotReady");
  let found = newest(runtime.sandboxes.values()).filter((sandbox) => {
    const { id, config } = sandbox.status;
    return matches(values.get("name"), config.name) && matches(values.get("namespace"), config.namespace) && id.startsWith(values.get("id") ?? "") &&
      (values.get("state") === undefined || stateOf(sandbox).toLowerCase() === values.get("state")!.toLowerCase());
  });
  if (flags.has("latest")) found = found.slice(0, 1);
  else if (values.has("last")) found = found.slice(0, Number(values.get("last")));
  if (flags.has("quiet")) return found.map(({ status }) => `${status.id}\n`).join("");
  if (values.get("output") === "json") {
    return json({ items: found.map(({ status: { id, config, state, createdAtMs } }) => ({
      id, metadata: { name: config.name, uid: config.uid, namespace: config.namespace, attempt: config.attempt }, state, createdAt: unixNanos(createdAtMs), labels: config.labels ?? {}, annotations: config.annotations ?? {},
      runtimeHandler: config.runtimeHandler ?? "",
    })) });
  }
  return table([
    ["POD ID", "CREATED", "STATE", "NAME", "NAMESPACE", "ATTEMPT", "RUNTIME"],
    ...found.map((sandbox) => {
      const { id, config, createdAtMs } = sandbox.status;
      return [flags.has("whole") ? id : id.slice(0, SHORT), `${humanDuration(nowMs - createdAtMs)} ago`, stateOf(sandbox), config.name, config.namespace, String(config.attempt), config.runtimeHandler ?? "(default)"];
    }),
  ], 20, 3);
}

function images(runtime: Runtime, args: readonly string[]): string {
  const { flags, values, words } = parse(args, { q: "quiet", quiet: "quiet", "no-trunc": "whole", digests: "digests", o: "output", output: "output", v: "verbose" }, new Set(["output"]));
  const found = runtime.listImages().filter(({ names }) => words[0] === undefined || names.some((name) => name.includes(words[0]!))).sort((a, b) => (a.names[0]! < b.names[0]! ? -1 : 1));
  if (flags.has("quiet")) return found.map(({ id }) => `${id}\n`).join("");
  if (values.get("output") === "json") return json({ images: found.map(({ id, names, sizeBytes }) => ({ id, repoTags: names, repoDigests: names.map((name) => `${name.replace(/:[^/:]*$/, "")}@${id}`), size: String(sizeBytes), uid: null, username: "", spec: null, pinned: false })) });
  return table([
    ["IMAGE", "TAG", "IMAGE ID", "SIZE"],
    ...found.map(({ id, names, sizeBytes }) => {
      const [, name = "<none>", tag = "<none>"] = /^(.*?)(?::([^/:]*))?$/.exec(names[0]!) ?? [];
      return [name, tag, flags.has("whole") ? id : id.replace(/^sha256:/, "").slice(0, SHORT), humanSize(sizeBytes)];
    }),
  ], 20, 3);
}

function inspect(runtime: Runtime, container: Container): object {
  const { status, config } = container;
  const sandbox = runtime.sandboxes.get(status.sandboxId)!;
  return {
    info: {
      sandboxID: status.sandboxId, pid: status.state === "CONTAINER_RUNNING" ? pidOf(status.id) : 0, removing: false, snapshotKey: status.id, snapshotter: "overlayfs", runtimeType: "io.containerd.runc.v2",
      runtimeOptions: { systemd_cgroup: true },
      config: {
        metadata: { name: status.name, attempt: status.attempt }, image: { image: status.imageId, user_specified_image: config.image },
        ...(config.command === undefined ? {} : { command: config.command }), ...(config.args === undefined ? {} : { args: config.args }),
        envs: Object.entries(config.env).map(([key, value]) => ({ key, value })),
        mounts: (config.mounts ?? []).map(({ mountPath, readOnly }) => ({ container_path: mountPath, readonly: readOnly === true })),
        labels: labelsOf(runtime, container), log_path: `${status.name}/${status.attempt}.log`,
        linux: { resources: { ...(config.memoryLimit === undefined ? {} : { memory_limit_in_bytes: config.memoryLimit }), ...(config.cpuLimit === undefined ? {} : { cpu_quota: Math.round(config.cpuLimit * 100_000), cpu_period: 100_000 }) } },
      },
      runtimeSpec: runtimeSpec(runtime, container),
    },
    status: {
      annotations: { "io.kubernetes.container.restartCount": String(status.attempt), "io.kubernetes.container.terminationMessagePath": "/dev/termination-log" },
      createdAt: nanos(status.createdAtMs), exitCode: status.exitCode, finishedAt: nanos(status.finishedAtMs), id: status.id,
      image: { annotations: {}, image: status.image, runtimeHandler: "", userSpecifiedImage: "" }, imageId: status.imageId,
      imageRef: `${status.image.replace(/:[^/:]*$/, "")}@${status.imageId}`, labels: labelsOf(runtime, container),
      logPath: `/var/log/pods/${sandbox.status.config.namespace}_${sandbox.status.config.name}_${sandbox.status.config.uid}/${status.name}/${status.attempt}.log`,
      message: status.message, metadata: { attempt: status.attempt, name: status.name },
      mounts: (config.mounts ?? []).map(({ mountPath, readOnly }) => ({ containerPath: mountPath, hostPath: `/var/lib/kubelet/pods/${sandbox.status.config.uid}/volumes`, propagation: "PROPAGATION_PRIVATE", readonly: readOnly === true, selinuxRelabel: false })),
      reason: status.reason, resources: { linux: { memoryLimitInBytes: String(config.memoryLimit ?? 0), cpuQuota: String(Math.round((config.cpuLimit ?? 0) * 100_000)), cpuPeriod: "100000" }, windows: null },
      startedAt: nanos(status.startedAtMs), state: status.state,
    },
  };
}

function inspectSandbox(sandbox: Sandbox): object {
  const { id, config, state, createdAtMs, ips, netns } = sandbox.status;
  const mode = (host: boolean | undefined): string => (host === true ? "NODE" : "POD");
  return {
    info: {
      image: PAUSE_IMAGE, pid: state === "SANDBOX_READY" ? pidOf(id) : 0, processStatus: state === "SANDBOX_READY" ? "running" : "deleted", netNamespaceClosed: state !== "SANDBOX_READY",
      runtimeHandler: config.runtimeHandler ?? "", runtimeType: "io.containerd.runc.v2", snapshotKey: id, snapshotter: "overlayfs", cniResult: sandbox.result ?? null,
      config: { metadata: { name: config.name, uid: config.uid, namespace: config.namespace, attempt: config.attempt }, hostname: config.hostname, labels: config.labels ?? {}, linux: { cgroup_parent: `/${config.cgroupParent ?? ""}` } },
      runtimeSpec: { ociVersion: "1.2.0", process: { args: ["/pause"] }, hostname: config.hostname, linux: { cgroupsPath: `${config.cgroupParent ?? ""}:cri-containerd:${id}`, namespaces: namespacesOf(sandbox, false) } },
    },
    status: {
      annotations: config.annotations ?? {}, createdAt: nanos(createdAtMs), id, labels: config.labels ?? {},
      linux: { namespaces: { options: { ipc: mode(config.hostIPC), network: mode(config.hostNetwork), pid: config.hostPID === true ? "NODE" : config.sharePID === true ? "POD" : "CONTAINER", targetId: "", usernsOptions: null } } },
      metadata: { attempt: config.attempt, name: config.name, namespace: config.namespace, uid: config.uid },
      network: { additionalIps: ips.slice(1).map((ip) => ({ ip })), ip: ips[0] ?? "" }, runtimeHandler: config.runtimeHandler ?? "", state,
      ...(netns === "" ? {} : { networkNamespace: netns }),
    },
  };
}

function inspectImage(runtime: Runtime, name: string): object {
  const found = runtime.listImages().find(({ id, names }) => id === name || id.startsWith(`sha256:${name}`) || names.some((known) => known === name || known.endsWith(`/${name}`) || known.endsWith(`/${name}:latest`)));
  if (found === undefined) throw fatal(`no such image "${name}" present`);
  const { id, names, sizeBytes } = found;
  return { status: { id, pinned: false, repoDigests: names.map((tag) => `${tag.replace(/:[^/:]*$/, "")}@${id}`), repoTags: names, size: String(sizeBytes), spec: null, uid: null, username: "" }, info: { imageSpec: { architecture: "amd64", os: "linux" } } };
}

function logs(runtime: Runtime, args: readonly string[]): string {
  const { flags, values, words } = parse(args, { f: "follow", follow: "follow", t: "timestamps", timestamps: "timestamps", tail: "tail", p: "previous", previous: "previous", "limit-bytes": "limit", since: "since" }, new Set(["tail", "limit", "since"]));
  if (words[0] === undefined) throw fatal("ID cannot be empty");
  const { id } = byId(runtime.containers.values(), words[0], "container").status;
  const lines = runtime.containerLogs(id);
  const tail = values.get("tail");
  const shown = tail === undefined || Number(tail) < 0 ? lines : Number(tail) === 0 ? [] : lines.slice(-Number(tail));
  const text = shown.map(({ timeMs, text: line }) => `${flags.has("timestamps") ? `${nanos(timeMs)} ` : ""}${line}\n`).join("");
  return values.has("limit") ? text.slice(0, Number(values.get("limit"))) : text;
}

function stats(runtime: Runtime, args: readonly string[]): string {
  const { words } = parse(args, { a: "all", all: "all", o: "output", output: "output", id: "id" }, new Set(["output", "id"]));
  const found = newest(runtime.containers.values()).filter(({ status }) => status.state === "CONTAINER_RUNNING" && status.id.startsWith(words[0] ?? ""));
  return table([
    ["CONTAINER", "NAME", "CPU %", "MEM", "DISK", "INODES"],
    ...found.map(({ status, userland }) => [status.id.slice(0, SHORT), status.name, "0.00", humanSize(status.memoryBytes), humanSize(userland?.usedBytes() ?? 0), "0"]),
  ], 20, 3);
}

/** `ctr -n k8s.io containers list`, `images list`, `tasks list`, `namespaces list`. */
export const ctr: Tool = (host, args, streams) => {
  const words = [...args];
  let namespace = "default";
  while (words[0]?.startsWith("-") === true) {
    const [name, inline] = words.shift()!.split("=");
    const value = inline ?? words.shift() ?? "";
    if (name === "-n" || name === "--namespace") namespace = value;
    else if (name !== "-a" && name !== "--address") throw new ToolExit(1, `ctr: flag provided but not defined: ${name}\n`);
  }
  const { runtime } = runtimeOf(host);
  const [command = "", verb = ""] = words;
  const quiet = words.includes("-q") || words.includes("--quiet");
  const list = verb === "list" || verb === "ls";
  const here = namespace === "k8s.io";
  const print = (rows: readonly (readonly string[])[]): number => {
    streams.stdout += quiet ? rows.slice(1).map(([first]) => `${first}\n`).join("") : table(rows, 4, 4, true);
    return 0;
  };
  const sandboxes = here ? [...runtime.sandboxes.values()] : [], containers = here ? [...runtime.containers.values()] : [];
  const byName = (a: readonly string[], b: readonly string[]): number => (a[0]! < b[0]! ? -1 : 1);
  if (list && ["c", "container", "containers"].includes(command)) {
    return print([["CONTAINER", "IMAGE", "RUNTIME"], ...[
      ...sandboxes.map(({ status }) => [status.id, PAUSE_IMAGE, "io.containerd.runc.v2"]), ...containers.map(({ status }) => [status.id, status.image, "io.containerd.runc.v2"]),
    ].sort(byName)]);
  }
  if (list && ["t", "task", "tasks"].includes(command)) {
    return print([["TASK", "PID", "STATUS"], ...[
      ...sandboxes.filter(({ status }) => status.state === "SANDBOX_READY").map(({ status }) => [status.id, String(pidOf(status.id)), "RUNNING"]),
      ...containers.filter(({ status }) => status.state === "CONTAINER_RUNNING").map(({ status }) => [status.id, String(pidOf(status.id)), "RUNNING"]),
    ].sort(byName)]);
  }
  if (list && ["i", "image", "images"].includes(command)) {
    const found = here ? runtime.listImages() : [];
    return print([["REF", "TYPE", "DIGEST", "SIZE", "PLATFORMS", "LABELS"], ...found.flatMap(({ id, names, sizeBytes }) =>
      names.map((name) => [name, "application/vnd.oci.image.index.v1+json", id, `${(sizeBytes / 1024).toFixed(1)} KiB`, "linux/amd64", "io.cri-containerd.image=managed"])).sort(byName)]);
  }
  if (list && ["ns", "namespace", "namespaces"].includes(command)) return print([["NAME", "LABELS"], ["k8s.io", ""]]);
  throw new ToolExit(1, `No help topic for '${words.join(" ")}'\n`);
};
