/**
 * Replays a recorded timeline (`../shared/recordings/timelines`) on a complete control plane: its steps on virtual
 * time, with the fake kubelet that the README there describes, and both sides brought into one form for comparison.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { apiVersionOf } from "../../src/api/resources.ts";
import type { ResourceName } from "../../src/api/resources.ts";
import type { Pod } from "../../src/api/types.generated.ts";
import type { KubeObject } from "../../src/apimachinery/meta.ts";
import { ApiError, isConflict, isNotFound } from "../../src/apimachinery/status.ts";
import { formatTime } from "../../src/apimachinery/time.ts";
import { createInformer } from "../../src/client/informer.ts";
import { complete } from "../../src/complete.ts";
import { silent } from "../../src/log.ts";
import { startCluster } from "../control-plane/cluster.ts";
import type { TestCluster } from "../control-plane/cluster.ts";
import { SHARED } from "../control-plane/recordings.ts";
import { testRandom } from "../control-plane/test-clock.ts";

type Json = Record<string, unknown>;
type Loose = KubeObject & { spec?: Json; status?: Json & { conditions?: { type: string; status: string; reason?: string }[] } };

export interface Timeline {
  name: string;
  nodes: { name: string; cpu: string; memory: string; labels: Record<string, string>; taints?: unknown[] }[];
  manifests: KubeObject[];
  steps: { do: string; kind: string; name: string; for?: string; status?: number; message?: string; patch?: unknown; object?: unknown; value?: number; causes?: unknown }[];
  watch: Json[];
  events: { type: string; reason: string; object: string; message: string; count?: number; source: string }[];
  final: KubeObject[];
}

export interface Outcome {
  events: string[];
  final: unknown[];
  /** Answers to steps that differ from the recorded ones. */
  steps: string[];
  errors: string[];
}

export function readTimeline(name: string): Timeline {
  const path = join(SHARED, "recordings/timelines", `${name}.json`);
  if (!existsSync(path)) throw new Error(`no timeline at ${path}: set KUBEWIRE_SHARED`);
  return JSON.parse(readFileSync(path, "utf8")) as Timeline;
}

const NAMESPACE = "timeline";

/** When a `wait` step is over, where rest alone does not tell. */
const CONDITIONS: Readonly<Record<string, (o: Loose) => boolean>> = {
  "first run": (o) => o.status?.["lastSuccessfulTime"] !== undefined,
  deadline: (o) => has(o, "Progressing", "False"),
  Complete: (o) => has(o, "Complete"),
  Failed: (o) => has(o, "Failed"),
  suspended: (o) => has(o, "Suspended"),
  conditions: (o) => (o.status?.conditions ?? []).length > 0,
  bound: (o) => o.spec?.["nodeName"] !== undefined,
};

const has = (o: Loose, type: string, status = "True"): boolean => o.status?.conditions?.some((c) => c.type === type && c.status === status) === true;

/** Nothing was written for so long: things have settled. */
const REST_MS = 3000;

export async function replayTimeline(timeline: Timeline): Promise<Outcome> {
  const cluster = await startCluster({ complete: true, kubelet: false });
  const { clock, client, addNode, errors } = cluster;
  const stop = new AbortController();
  fakeKubelet(cluster, stop.signal);
  for (const node of timeline.nodes) {
    await addNode(node.name, node);
    if (node.taints !== undefined) await client.nodes.patch("", node.name, "merge", { spec: { taints: node.taints } });
  }
  await client.namespaces.create({ metadata: { name: NAMESPACE } });
  await clock.advance(2000);
  const steps: string[] = [];
  const resources = Object.values(complete.resources) as ResourceName[];
  const resourceOf = (kind: string): ResourceName => {
    const found = resources.find((r) => r.kind === kind);
    if (found === undefined) throw new Error(`no resource of kind ${kind}`);
    return found;
  };
  const settle = async (): Promise<void> => {
    let last = "";
    for (let quiet = 0, waited = 0; quiet < REST_MS && waited < 60_000; waited += 100) {
      await clock.advance(100);
      const revision = (await client.namespaces.list()).metadata.resourceVersion;
      quiet = revision === last ? quiet + 100 : 0;
      last = revision;
    }
  };
  const attempt = async (step: Timeline["steps"][number], act: () => Promise<unknown>): Promise<void> => {
    let status = step.do === "create" || step.do === "evict" ? 201 : 200;
    let message: string | undefined;
    try {
      await act();
    } catch (e) {
      if (!(e instanceof ApiError)) throw e;
      status = e.code;
      message = e.message;
    }
    if (step.status !== undefined && step.status !== status) steps.push(`${step.do} ${step.kind}/${step.name}: ${status} ${message ?? ""}, recorded ${step.status}`);
    if (step.message !== undefined && message !== undefined && step.message.replaceAll("{namespace}", NAMESPACE) !== message) steps.push(`${step.do} ${step.name}: ${message}, recorded ${step.message}`);
  };
  let created = 0;
  for (const step of timeline.steps) {
    if (step.do === "create") {
      const manifest = step.value === undefined ? timeline.manifests[created++] : { apiVersion: "scheduling.k8s.io/v1", kind: step.kind, metadata: { name: step.name }, value: step.value };
      const late = manifest ?? { apiVersion: "v1", kind: step.kind, metadata: { name: step.name } };
      const resource = resourceOf(step.kind);
      await attempt(step, () => client.resource(resource).create({ ...late, metadata: { ...late.metadata, ...(resource.namespaced ? { namespace: NAMESPACE } : {}) } }));
    } else if (step.do.startsWith("strategic-merge-patch")) {
      await attempt(step, () => client.resource(resourceOf(step.kind)).patch(NAMESPACE, step.name, "strategic", step.patch, step.do.endsWith("/status") ? "status" : undefined));
    } else if (step.do.startsWith("delete")) {
      const resource = resourceOf(step.kind);
      const policy = /propagationPolicy=(\w+)/.exec(step.do)?.[1] as "Background" | undefined;
      const name = step.kind === "Namespace" ? NAMESPACE : step.name;
      await attempt(step, () => client.resource(resource).delete(resource.namespaced ? NAMESPACE : "", name, policy === undefined ? undefined : { propagationPolicy: policy }));
    } else if (step.do === "evict") {
      const pod = (await client.pods.list(NAMESPACE)).items.find((p) => p.metadata.deletionTimestamp === undefined && p.status.phase === "Running")!;
      await attempt(step, () => client.pods.subresource("POST", NAMESPACE, pod.metadata.name, "eviction", { apiVersion: "policy/v1", kind: "Eviction", metadata: { name: pod.metadata.name, namespace: NAMESPACE } }));
    } else if (step.do === "cordon" || step.do === "uncordon") {
      await Promise.all(timeline.nodes.map((node) => client.nodes.patch("", node.name, "merge", { spec: { unschedulable: step.do === "cordon" ? true : null } })));
      await settle();
    } else if (step.do === "wait") {
      const condition = CONDITIONS[step.for ?? ""];
      if (condition !== undefined) await clock.until(async () => condition(await client.resource(resourceOf(step.kind)).get(NAMESPACE, step.name)), 120_000);
      await settle();
    } else if (step.do === "observe") await settle();
    else throw new Error(`unknown step ${step.do}`);
  }
  await settle();
  const kinds = new Set(timeline.watch.map(({ kind }) => kind as string));
  for (const o of timeline.final) kinds.add(o.kind);
  kinds.delete("Namespace");
  kinds.delete("Node");
  kinds.delete("Event");
  const final: KubeObject[] = [];
  for (const kind of kinds) {
    const resource = resourceOf(kind);
    for (const object of (await client.resource(resource).list(NAMESPACE)).items) final.push({ ...object, kind, apiVersion: apiVersionOf(resource) });
  }
  const events = (await client.events.list(NAMESPACE)).items.map((e) => ({
    type: e.type!, reason: e.reason!, object: `${e.involvedObject.kind}/${e.involvedObject.name}`, message: e.message!, source: e.source?.component ?? e.reportingComponent ?? "",
    ...(e.count === undefined ? {} : { count: e.count }),
  }));
  stop.abort(new Error("replayed"));
  cluster.stop();
  const form = formOf(final, events);
  return { ...form, steps, errors };
}

/** The recorded side in the same form. */
export function recordedOutcome(timeline: Timeline): Pick<Outcome, "events" | "final"> {
  return formOf(timeline.final, timeline.events);
}

/**
 * One form for both: random parts of names, hashes, uids, times and addresses are placeholders; node names, too, as ties
 * between nodes are drawn; events are a sorted list, for those of unrelated objects come in any order.
 */
function formOf(objects: readonly KubeObject[], events: Timeline["events"]): Pick<Outcome, "events" | "final"> {
  const names = new Map<string, string>();
  const hashes = new Set<string>();
  for (const { kind, metadata } of objects) {
    for (const label of ["pod-template-hash", "controller-revision-hash", "controller.kubernetes.io/hash"]) {
      const hash = metadata.labels?.[label];
      if (hash !== undefined) hashes.add(hash.slice(hash.lastIndexOf("-") + 1));
    }
    if (kind === "Pod" && metadata.generateName !== undefined && !/\{\w*\d\}$/.test(metadata.name)) names.set(metadata.name, `${metadata.generateName}{}`);
  }
  // Pods that are gone are known from events only.
  for (const { object, message } of events) {
    const name = object.slice(object.indexOf("/") + 1);
    for (const text of [name, /(?:Created|Deleted|create|delete) [Pp]od:? (\S+)/.exec(message)?.[1] ?? ""]) {
      const m = /^(.*-)([bcdfghjklmnpqrstvwxz2456789]{5}|\d{1,3})$/.exec(text);
      if (m !== null) names.set(text, `${m[1]}{}`);
    }
    const hash = /replica set \S+-([bcdfghjklmnpqrstvwxz2456789]{6,10})\b/.exec(message)?.[1];
    if (hash !== undefined) hashes.add(hash);
  }
  const mask = (text: string): string => {
    let out = text;
    for (const [name, placeholder] of [...names].sort((a, b) => b[0].length - a[0].length)) out = out.replaceAll(name, placeholder);
    for (const hash of [...hashes].sort((a, b) => b.length - a.length)) if (/^[bcdfghjklmnpqrstvwxz2456789]+$/.test(hash)) out = out.replaceAll(hash, "{hash}");
    return out
      .replace(/\{hash\d+\}/g, "{hash}").replace(/\{\d+\}/g, "{}").replaceAll("{namespace}", NAMESPACE)
      .replace(/(pods \\*"web-\{hash\}-)[^"\\]+/g, "$1{}").replace(/web-\d{8}/g, "web-{minute}")
      .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, "<uid>")
      .replace(/\bnode-\d\b/g, "node").replace(/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)/g, "<time>");
  };
  // Made by what the recording machine ran beside Kubernetes.
  const final = objects.filter(({ metadata }) => metadata.name !== "openshift-service-ca.crt" && metadata.name !== "kube-root-ca.crt").map((object) => JSON.parse(mask(JSON.stringify(object, clean))) as KubeObject);
  const text = (o: unknown): string => JSON.stringify(o, sortKeys);
  // A creation that is refused is tried again and again: once is enough.
  const once = (lines: string[]): string[] => lines.filter((line, i) => !line.startsWith("Warning FailedCreate ") || lines.indexOf(line) === i);
  return {
    events: once(events.map(({ type, reason, object, message, source, count }) => mask(`${type} ${reason} ${object}: ${message} (${source}${count === undefined || source === "default-scheduler" ? "" : `, ${reason === "FailedCreate" ? "n" : count}`})`.replace("(combined from similar events): ", ""))).sort()),
    final: final.sort((a, b) => (text(a) < text(b) ? -1 : 1)),
  };
}

const DROPPED = new Set(["resourceVersion", "managedFields", "hostIP", "hostIPs", "podIP", "podIPs"]);

function clean(key: string, value: unknown): unknown {
  if (DROPPED.has(key)) return undefined;
  if (key === "creationTimestamp" && value !== null) return "<time>";
  // The token's volume is the ServiceAccount admission's, whose own tests look at it.
  if ((key === "volumes" || key === "volumeMounts") && Array.isArray(value)) {
    const rest = (value as { name: string }[]).filter(({ name }) => !name.startsWith("kube-api-access-"));
    return rest.length === 0 ? undefined : rest;
  }
  if (key === "conditions" && Array.isArray(value)) return [...(value as { type: string }[])].sort((a, b) => (a.type < b.type ? -1 : 1));
  return value;
}

function sortKeys(_key: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Bound pods are Running and Ready at once; `fake/exit` ends them, `fake/notready` leaves them unready; deleted ones go. */
function fakeKubelet({ client, clock, errors }: TestCluster, signal: AbortSignal): void {
  const pods = createInformer(client.pods, { clock, random: testRandom(99), log: silent });
  let nextAddress = 2;
  const started = new Set<string>();
  const act = async (pod: Pod): Promise<void> => {
    const { namespace, name, uid, labels, deletionTimestamp } = pod.metadata;
    try {
      if (pod.spec.nodeName === undefined) return;
      if (deletionTimestamp !== undefined) {
        await client.pods.delete(namespace!, name, { gracePeriodSeconds: 0, preconditions: { uid } });
        return;
      }
      if (started.has(uid)) return;
      started.add(uid);
      await clock.sleep(50);
      const exit = labels?.["fake/exit"];
      await report(pod, "Running", labels?.["fake/notready"] === undefined);
      if (exit === undefined) return;
      await clock.sleep(50);
      await report(pod, exit === "0" ? "Succeeded" : "Failed", false, Number(exit));
    } catch (e) {
      if (!isNotFound(e) && !isConflict(e)) errors.push(`fake kubelet: ${String(e)}`);
    }
  };
  const report = async (pod: Pod, phase: string, ready: boolean, exitCode?: number): Promise<void> => {
    const time = formatTime(clock.nowMs());
    const condition = (type: string, isTrue: boolean, reason?: string): unknown => ({ type, status: isTrue ? "True" : "False", lastProbeTime: null, lastTransitionTime: time, ...(isTrue || reason === undefined ? {} : { reason }) });
    const reason = phase === "Succeeded" ? "PodCompleted" : phase === "Failed" ? "PodFailed" : "ContainersNotReady";
    const podIP = `10.244.0.${nextAddress++}`;
    const state = exitCode === undefined ? { running: { startedAt: time } } : { running: null, terminated: { exitCode, reason: exitCode === 0 ? "Completed" : "Error", startedAt: time, finishedAt: time } };
    await client.pods.patch(pod.metadata.namespace!, pod.metadata.name, "strategic", {
      status: {
        phase, startTime: time, ...(pod.status.podIP === undefined ? { podIP, podIPs: [{ ip: podIP }] } : {}),
        conditions: [condition("Initialized", true), condition("Ready", ready, reason), condition("ContainersReady", ready, reason)],
        containerStatuses: pod.spec.containers.map(({ name, image }) => ({ name, image, imageID: "", lastState: {}, ready, restartCount: 0, started: ready, state })),
      },
    }, "status");
  };
  pods.addHandler({ add: (pod) => void act(pod), update: (pod) => void act(pod) });
  pods.start(signal);
}
