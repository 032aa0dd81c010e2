/**
 * What pods and node use: the Summary API, and the same as Prometheus text. Follows kubernetes pkg/kubelet/server/stats, pkg/kubelet/stats
 * (cri_stats_provider.go), pkg/kubelet/metrics/collectors/resource_metrics.go and cAdvisor's metrics/prometheus.go.
 */
import type { Pod } from "../../api/types.generated.ts";
import { quantityValue } from "../../apimachinery/quantity.ts";
import { formatTime } from "../../apimachinery/time.ts";
import type { ContainerStatus as Run, RuntimeService } from "../../cri/types.ts";
import type { LinkInfo, Netns } from "../../kernel/netns.ts";
import type { Clock } from "../../time/clock.ts";
import type { VolumeUse } from "./volumes/pod-volumes.ts";

/** One pod as stats see it. */
export interface PodOnNode {
  readonly pod: Pod;
  readonly startedAtMs: number;
  /** Running containers. */
  readonly runs: readonly Run[];
  readonly volumes: readonly VolumeUse[];
  readonly netns: Netns | undefined;
}

export interface StatsDeps {
  readonly clock: Clock;
  readonly nodeName: string;
  readonly runtime: Pick<RuntimeService, "containerLogs">;
  readonly pods: () => readonly PodOnNode[];
  /** Bytes in a container's writable layer. */
  readonly writtenBytes: (run: Run) => number;
  readonly memoryCapacity: () => number;
  readonly storageCapacity: () => number;
  readonly imageBytes: () => number;
  readonly host: Netns;
}

/** What the system's own daemons have: memory in bytes, CPU in cores. */
const SYSTEM_MEMORY = 256 << 20;
const SYSTEM_CORES = 0.02;
/** The shortest time over which a rate is taken (cAdvisor's housekeeping). */
const WINDOW_MS = 10_000;
const INODES = 6_553_600;
/** A file system's block: what an empty directory takes. */
const BLOCK = 4096;
const ROOTFS_BYTES = 16 << 10;

interface Sample {
  readonly timeMs: number;
  readonly cpuNs: number;
}

const encoder = new TextEncoder();
const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

export class Stats {
  private readonly deps: StatsDeps;
  /** Two samples of each container's CPU time: the rate is between the older one and now. */
  private readonly samples = new Map<string, { older: Sample; newer: Sample }>();
  private readonly bornMs: number;

  constructor(deps: StatsDeps) {
    this.deps = deps;
    this.bornMs = deps.clock.nowMs();
  }

  /** Takes note of CPU times; called every so often. */
  sample(): void {
    const timeMs = this.deps.clock.nowMs();
    const alive = new Set<string>();
    for (const { runs } of this.deps.pods()) {
      for (const { id, cpuNs, startedAtMs } of runs) {
        alive.add(id);
        const known = this.samples.get(id);
        const now = { timeMs, cpuNs };
        if (known === undefined) this.samples.set(id, { older: { timeMs: startedAtMs, cpuNs: 0 }, newer: now });
        else if (timeMs - known.newer.timeMs >= WINDOW_MS - 1) this.samples.set(id, { older: known.newer, newer: now });
      }
    }
    for (const id of this.samples.keys()) if (!alive.has(id)) this.samples.delete(id);
  }

  private nanoCores(run: Run): number {
    const { timeMs, cpuNs } = this.samples.get(run.id)?.older ?? { timeMs: run.startedAtMs, cpuNs: 0 };
    const elapsedMs = this.deps.clock.nowMs() - timeMs;
    return elapsedMs <= 0 ? 0 : Math.round(((run.cpuNs - cpuNs) * 1000) / elapsedMs);
  }

  private logBytes(run: Run): number {
    return sum(this.deps.runtime.containerLogs(run.id).map(({ text }) => encoder.encode(text).length + 40));
  }

  /** Bytes of ephemeral storage of a pod: writable layers, logs, and volumes on the node's disk. */
  ephemeralBytes({ runs, volumes }: PodOnNode): number {
    return sum(runs.map((run) => ROOTFS_BYTES + this.deps.writtenBytes(run) + this.logBytes(run))) + sum(volumes.filter(isLocal).map(({ usedBytes }) => usedBytes));
  }

  memoryBytes({ runs }: PodOnNode): number {
    return sum(runs.map(({ memoryBytes }) => memoryBytes));
  }

  /** Bytes of memory that are not in use on the node. */
  memoryAvailable(): number {
    return this.deps.memoryCapacity() - SYSTEM_MEMORY - sum(this.deps.pods().map((pod) => this.memoryBytes(pod)));
  }

  storageUsed(): number {
    return this.deps.imageBytes() + sum(this.deps.pods().map((pod) => this.ephemeralBytes(pod)));
  }

  /** GET /stats/summary. */
  summary(onlyCpuAndMemory: boolean): object {
    const { clock, nodeName, host } = this.deps;
    const time = formatTime(clock.nowMs());
    const pods = this.deps.pods();
    const nodeNanoCores = Math.round(SYSTEM_CORES * 1e9) + sum(pods.flatMap(({ runs }) => runs.map((run) => this.nanoCores(run))));
    const nodeCpuNs = Math.round((clock.nowMs() - this.bornMs) * 1e6 * SYSTEM_CORES) + sum(pods.flatMap(({ runs }) => runs.map(({ cpuNs }) => cpuNs)));
    const capacity = this.deps.storageCapacity(), used = this.storageUsed();
    const disk = (usedBytes: number, inodesUsed: number): object => ({ time, availableBytes: capacity - used, capacityBytes: capacity, usedBytes, inodesFree: INODES - inodesUsed, inodes: INODES, inodesUsed });
    return {
      node: {
        nodeName, startTime: formatTime(this.bornMs),
        systemContainers: [{
          name: "pods", startTime: formatTime(this.bornMs),
          cpu: { time, usageNanoCores: nodeNanoCores - Math.round(SYSTEM_CORES * 1e9), usageCoreNanoSeconds: sum(pods.flatMap(({ runs }) => runs.map(({ cpuNs }) => cpuNs))) },
          memory: memory(time, sum(pods.map((pod) => this.memoryBytes(pod))), this.deps.memoryCapacity()),
        }],
        cpu: { time, usageNanoCores: nodeNanoCores, usageCoreNanoSeconds: nodeCpuNs },
        memory: memory(time, this.deps.memoryCapacity() - this.memoryAvailable(), this.deps.memoryCapacity()),
        ...(onlyCpuAndMemory ? {} : {
          network: network(time, host), fs: disk(used, 1000), runtime: { imageFs: disk(this.deps.imageBytes(), 500), containerFs: disk(used, 1000) },
          rlimit: { time, maxpid: 4_194_304, curproc: 100 + sum(pods.map(({ runs }) => runs.length)) },
        }),
      },
      pods: pods.map((entry) => this.podSummary(entry, time, onlyCpuAndMemory, disk)),
    };
  }

  private podSummary(entry: PodOnNode, time: string, onlyCpuAndMemory: boolean, disk: (usedBytes: number, inodes: number) => object): object {
    const { pod, runs, volumes, netns } = entry;
    const { name, namespace, uid } = pod.metadata;
    return {
      podRef: { name, namespace: namespace ?? "default", uid },
      startTime: formatTime(entry.startedAtMs),
      containers: runs.map((run) => ({
        name: run.name, startTime: formatTime(run.startedAtMs),
        cpu: { time, usageNanoCores: this.nanoCores(run), usageCoreNanoSeconds: Math.round(run.cpuNs) },
        memory: memory(time, run.memoryBytes, limitOf(pod, run.name)),
        ...(onlyCpuAndMemory ? {} : { rootfs: disk(ROOTFS_BYTES + this.deps.writtenBytes(run), 5), logs: disk(this.logBytes(run), 1) }),
      })),
      cpu: { time, usageNanoCores: sum(runs.map((run) => this.nanoCores(run))), usageCoreNanoSeconds: Math.round(sum(runs.map(({ cpuNs }) => cpuNs))) },
      memory: memory(time, this.memoryBytes(entry), undefined),
      ...(onlyCpuAndMemory ? {} : {
        ...(netns === undefined ? {} : { network: network(time, netns) }),
        ...(volumes.length === 0 ? {} : {
          volume: volumes.map(({ name: volume, usedBytes, inodes, claim }) => ({
            ...disk(Math.max(usedBytes, BLOCK), inodes), name: volume, ...(claim === undefined ? {} : { pvcRef: { name: claim, namespace: namespace ?? "default" } }),
          })),
        }),
        "ephemeral-storage": disk(this.ephemeralBytes(entry), 10),
        process_stats: { process_count: runs.length },
      }),
    };
  }

  /** GET /metrics/resource. */
  resourceMetrics(): string {
    const { clock } = this.deps;
    const at = Math.floor(clock.nowMs());
    const pods = this.deps.pods();
    const each = (name: string, type: string, help: string, lines: readonly string[]): string => (lines.length === 0 ? "" : `# HELP ${name} [STABLE] ${help}\n# TYPE ${name} ${type}\n${lines.map((line) => `${name}${line}\n`).join("")}`);
    const containers = (value: (run: Run) => number, timed = true): string[] => pods.flatMap(({ pod, runs }) =>
      runs.map((run) => `{container="${run.name}",namespace="${pod.metadata.namespace ?? "default"}",pod="${pod.metadata.name}"} ${number(value(run))}${timed ? ` ${at}` : ""}`));
    const perPod = (value: (pod: PodOnNode) => number): string[] => pods.map((entry) => `{namespace="${entry.pod.metadata.namespace ?? "default"}",pod="${entry.pod.metadata.name}"} ${number(value(entry))} ${at}`);
    const nodeCpu = ((clock.nowMs() - this.bornMs) / 1000) * SYSTEM_CORES + sum(pods.flatMap(({ runs }) => runs.map(({ cpuNs }) => cpuNs))) / 1e9;
    return each("container_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed by the container in core-seconds", containers(({ cpuNs }) => cpuNs / 1e9)) +
      each("container_memory_working_set_bytes", "gauge", "Current working set of the container in bytes", containers(({ memoryBytes }) => memoryBytes)) +
      each("container_start_time_seconds", "gauge", "Start time of the container since unix epoch in seconds", containers(({ startedAtMs }) => startedAtMs / 1000, false)) +
      each("node_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed by the node in core-seconds", [` ${number(nodeCpu)} ${at}`]) +
      each("node_memory_working_set_bytes", "gauge", "Current working set of the node in bytes", [` ${number(this.deps.memoryCapacity() - this.memoryAvailable())} ${at}`]) +
      each("pod_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed by the pod in core-seconds", perPod(({ runs }) => sum(runs.map(({ cpuNs }) => cpuNs)) / 1e9)) +
      each("pod_memory_working_set_bytes", "gauge", "Current working set of the pod in bytes", perPod((pod) => this.memoryBytes(pod))) +
      "# HELP resource_scrape_error [STABLE] 1 if there was an error while getting container metrics, 0 otherwise\n# TYPE resource_scrape_error gauge\nresource_scrape_error 0\n";
  }

  /** GET /metrics/cadvisor. */
  cadvisorMetrics(): string {
    const at = Math.floor(this.deps.clock.nowMs());
    const pods = this.deps.pods();
    const each = (name: string, type: string, help: string, value: (run: Run, pod: Pod) => number | undefined): string => {
      const lines = pods.flatMap(({ pod, runs }) => runs.flatMap((run) => {
        const found = value(run, pod);
        const { namespace = "default", name: podName, uid } = pod.metadata;
        return found === undefined ? [] : [`${name}{container="${run.name}",id="/kubepods/pod${uid}/${run.id}",image="${run.image}",name="${run.id}",namespace="${namespace}",pod="${podName}"} ${number(found)} ${at}\n`];
      }));
      return lines.length === 0 ? "" : `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("")}`;
    };
    const traffic = (name: string, help: string, value: (counters: Counters) => number): string => {
      const lines = pods.flatMap(({ pod, netns }) => {
        const found = netns === undefined ? undefined : counters(netns);
        const { namespace = "default", name: podName, uid } = pod.metadata;
        return found === undefined ? [] : [`${name}{id="/kubepods/pod${uid}",interface="eth0",namespace="${namespace}",pod="${podName}"} ${number(value(found))} ${at}\n`];
      });
      return lines.length === 0 ? "" : `# HELP ${name} ${help}\n# TYPE ${name} counter\n${lines.join("")}`;
    };
    return "# HELP cadvisor_version_info A metric with a constant '1' value labeled by kernel version, OS version, docker version, cadvisor version & cadvisor revision.\n# TYPE cadvisor_version_info gauge\n" +
      'cadvisor_version_info{cadvisorRevision="",cadvisorVersion="",dockerVersion="",kernelVersion="6.18.0",osVersion="kubewire"} 1\n' +
      each("container_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed in seconds.", ({ cpuNs }) => cpuNs / 1e9) +
      each("container_last_seen", "gauge", "Last time a container was seen by the exporter", () => Math.floor(at / 1000)) +
      each("container_memory_usage_bytes", "gauge", "Current memory usage in bytes, including all memory regardless of when it was accessed", ({ memoryBytes }) => memoryBytes) +
      each("container_memory_working_set_bytes", "gauge", "Current working set in bytes.", ({ memoryBytes }) => memoryBytes) +
      traffic("container_network_receive_bytes_total", "Cumulative count of bytes received", ({ rxBytes }) => rxBytes) +
      traffic("container_network_receive_packets_total", "Cumulative count of packets received", ({ rxPackets }) => rxPackets) +
      traffic("container_network_transmit_bytes_total", "Cumulative count of bytes transmitted", ({ txBytes }) => txBytes) +
      traffic("container_network_transmit_packets_total", "Cumulative count of packets transmitted", ({ txPackets }) => txPackets) +
      each("container_spec_cpu_period", "gauge", "CPU period of the container.", () => 100_000) +
      each("container_spec_memory_limit_bytes", "gauge", "Memory limit for the container.", ({ name }, pod) => limitOf(pod, name) ?? 0) +
      each("container_start_time_seconds", "gauge", "Start time of the container since unix epoch in seconds.", ({ startedAtMs }) => Math.floor(startedAtMs / 1000));
  }
}

/** Prometheus' text form of a number: Go's %g with the shortest digits. */
const number = (value: number): string => {
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value);
  const [digits, exponent] = value.toExponential().split("e") as [string, string];
  const power = Number(exponent);
  return power < -4 || power >= 21 || (Number.isInteger(value) && power >= 6) ? `${digits}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}` : String(value);
};

const memory = (time: string, used: number, limit: number | undefined): object => ({
  time, ...(limit === undefined ? {} : { availableBytes: Math.max(0, limit - used) }), usageBytes: used, workingSetBytes: used, rssBytes: used, pageFaults: 0, majorPageFaults: 0,
});

const isLocal = ({ volume }: VolumeUse): boolean => volume.emptyDir !== undefined && volume.emptyDir.medium !== "Memory";

function limitOf({ spec }: Pod, name: string): number | undefined {
  const limit = [...spec.containers, ...(spec.initContainers ?? [])].find((container) => container.name === name)?.resources?.limits?.["memory"];
  return limit === undefined ? undefined : quantityValue(limit);
}

type Counters = LinkInfo["stats"];

/** The traffic of eth0. */
function counters(netns: Netns): Counters | undefined {
  try {
    return netns.link("eth0")?.stats;
  } catch {
    return undefined; // the namespace has gone
  }
}

function network(time: string, netns: Netns): object {
  const found = counters(netns);
  const of = found === undefined ? {} : { rxBytes: found.rxBytes, rxErrors: 0, txBytes: found.txBytes, txErrors: 0 };
  return { time, name: "eth0", ...of, interfaces: [{ name: "eth0", ...of }] };
}
