/** What must hold: all the time, as seen in the store, and at rest. */
import type { Deployment, Job, Node, Pod, PodDisruptionBudget, ReplicaSet, StatefulSet, DaemonSet, Service, EndpointSlice, Endpoints, HorizontalPodAutoscaler } from "../../src/api/types.generated.ts";
import { ALL_RESOURCES } from "../../src/api/more-resources.ts";
import { controllerOf, keyOf, type KubeObject } from "../../src/apimachinery/meta.ts";
import { matches, labelSelector } from "../../src/apimachinery/selectors.ts";
import type { ApiRequest, ApiResponse } from "../../src/client/transport.ts";
import { scaledValue } from "../../src/kube-controller-manager/controller-utils.ts";
import type { StorageEvent } from "../../src/storage/storage.ts";
import type { World } from "./world.ts";

type Objects = ReadonlyMap<string, KubeObject>;

const isReady = ({ status }: Pod): boolean => status.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True") ?? false;
const isOver = ({ status }: Pod): boolean => status.phase === "Succeeded" || status.phase === "Failed";
const isGoing = ({ metadata }: KubeObject): boolean => metadata.deletionTimestamp !== undefined;
const isActive = (pod: Pod): boolean => !isOver(pod) && !isGoing(pod);

/** How long what a controller decided on may be old. */
const STALE_MS = 120_000;

export class Checker {
  readonly violations: string[] = [];
  /** Undefined while it is being built. */
  readonly #world: () => World | undefined;
  /** By the first two parts of the key: `/registry/pods`. */
  readonly #kinds = new Map<string, Map<string, KubeObject>>();
  /** By revision, the one before it of the same key. */
  readonly #before = new Map<number, number>();
  readonly #tokens: string[] = [];
  /** By the uid of an owner: creations that were made, and reported as failed. */
  readonly #ambiguous = new Map<string, number>();
  readonly #most = new Map<string, number>();
  readonly #floor = new Map<string, number>();
  readonly #changedNs = new Map<string, number>();
  #disturbed: string | undefined;

  constructor(world: () => World | undefined) {
    this.#world = world;
  }

  readonly violated = (what: string): void => {
    const text = `${(this.#nowNs() / 1e9).toFixed(3)} ${what}`;
    if (this.violations.length < 20 && !this.violations.some((known) => known.slice(known.indexOf(" ")) === ` ${what}`)) this.violations.push(text);
  };

  /** Pods have gone for reasons that are no controller's. */
  disturbed(why: string): void {
    this.#disturbed ??= why;
  }

  token(name: string): void {
    this.#tokens.push(name);
  }

  readonly answered = ({ method, path, body }: ApiRequest, { status, body: answer }: ApiResponse): void => {
    if (method !== "PUT" || status >= 300) return;
    const sent = (body as KubeObject).metadata?.resourceVersion;
    const now = (answer as KubeObject).metadata?.resourceVersion;
    if (sent === undefined || now === undefined || sent === now) return;
    const before = this.#before.get(Number(now));
    if (before !== undefined && before !== Number(sent)) this.violated(`lost update: PUT ${path} of ${sent} replaced ${before}`);
  };

  readonly ambiguous = ({ method, path }: ApiRequest, body: unknown): void => {
    if (method !== "POST" || !path.endsWith("/pods")) return;
    const owner = controllerOf(body as KubeObject)?.uid ?? "";
    this.#ambiguous.set(owner, (this.#ambiguous.get(owner) ?? 0) + 1);
  };

  /** Every change of the store, in order. */
  readonly event = ({ type, key, revision, kv, previous }: StorageEvent<KubeObject>): void => {
    // Two kinds have a place of two parts: /registry/services/specs and …/endpoints.
    const kind = key.slice(0, key.indexOf("/", key.startsWith("/registry/services/") ? "/registry/services/".length : "/registry/".length));
    let objects = this.#kinds.get(kind);
    if (objects === undefined) this.#kinds.set(kind, (objects = new Map()));
    this.#before.set(revision, previous?.modRevision ?? 0);
    if (type === "delete") objects.delete(key);
    else objects.set(key, kv!.value);
    const object = kv?.value ?? previous!.value;
    if (kv !== undefined && previous !== undefined && kv.value.metadata.uid !== previous.value.metadata.uid) this.violated(`${key}: another uid without a deletion`);
    switch (kind) {
      case "/registry/pods": this.#pod(object as Pod & KubeObject, previous?.value as Pod | undefined, type === "put" && previous === undefined); break;
      case "/registry/deployments": this.#deployment(object as Deployment & KubeObject, previous?.value as Deployment | undefined, type === "delete"); break;
      case "/registry/replicasets": if (type === "put") this.#surge(object); break;
      case "/registry/statefulsets": this.#raise(object.metadata.uid, (object as StatefulSet).spec.replicas ?? 1); break;
      case "/registry/jobs": if (type === "put") this.#job(object as Job & KubeObject); break;
      default:
    }
  };

  of(kind: string): Objects {
    return this.#kinds.get(`/registry/${kind}`) ?? new Map();
  }

  #list<T>(kind: string): (T & KubeObject)[] {
    return [...this.of(kind).values()] as (T & KubeObject)[];
  }

  #nowNs(): number {
    return this.#world()?.user.nowNs() ?? 0;
  }

  #raise(uid: string, to: number): void {
    this.#most.set(uid, Math.max(to, this.#most.get(uid) ?? 0));
  }

  #owned<T extends KubeObject>(kind: string, uid: string): T[] {
    return this.#list<T>(kind).filter((object) => controllerOf(object)?.uid === uid) as T[];
  }

  #pod(pod: Pod & KubeObject, previous: Pod | undefined, created: boolean): void {
    const { metadata, spec } = pod;
    if (previous?.spec.nodeName !== undefined && previous.spec.nodeName !== spec.nodeName) this.violated(`pod ${keyOf(pod)} was bound to ${previous.spec.nodeName}, and then to ${spec.nodeName}`);
    const owner = controllerOf(pod);
    if (owner === undefined) return;
    const { uid } = owner;
    const slack = this.#ambiguous.get(uid) ?? 0;
    if (owner.kind === "ReplicaSet") this.#availability(uid);
    if (!created) return;
    const siblings = this.#owned<Pod & KubeObject>("pods", uid).filter(isActive);
    switch (owner.kind) {
      case "DaemonSet": {
        const node = targetOf(pod);
        const set = this.#list<DaemonSet>("daemonsets").find((one) => one.metadata.uid === uid);
        const surge = set?.spec.updateStrategy?.rollingUpdate?.maxSurge;
        const most = (surge === undefined || surge === 0 ? 1 : 2) + slack;
        const there = siblings.filter((one) => targetOf(one) === node).length;
        if (there > most) this.violated(`DaemonSet ${owner.name} has ${there} pods for ${node}`);
        break;
      }
      case "StatefulSet": {
        const ordinal = Number(metadata.name.slice(metadata.name.lastIndexOf("-") + 1));
        if (ordinal >= (this.#most.get(uid) ?? Infinity)) this.violated(`StatefulSet ${owner.name} has a pod ${ordinal} that nobody asked for`);
        break;
      }
      case "Job": {
        const most = (this.#most.get(uid) ?? Infinity) + slack;
        if (siblings.length > most) this.violated(`Job ${owner.name} runs ${siblings.length} pods at once, of at most ${most}`);
        break;
      }
      case "ReplicaSet": {
        const set = this.#list<ReplicaSet>("replicasets").find((one) => one.metadata.uid === uid);
        const above = set === undefined ? undefined : controllerOf(set);
        if (above === undefined) break;
        const sets = this.#owned<KubeObject>("replicasets", above.uid);
        const deployment = this.#list<Deployment>("deployments").find((one) => one.metadata.uid === above.uid);
        const pods = sets.flatMap((one) => this.#owned<Pod & KubeObject>("pods", one.metadata.uid));
        const allowed = (this.#most.get(uid) ?? Infinity) + slack;
        if (siblings.length > allowed) this.violated(`ReplicaSet ${owner.name} has ${siblings.length} pods, of at most ${allowed}`);
        if (deployment?.spec.strategy?.type === "Recreate") {
          const old = pods.filter((one) => controllerOf(one)!.uid !== uid && !isOver(one) && Date.parse(one.metadata.creationTimestamp!) + STALE_MS < Date.parse(metadata.creationTimestamp!));
          if (old.length > 0) this.violated(`Deployment ${above.name} recreates pods while ${keyOf(old[0]!)} is still there`);
        }
        break;
      }
      default:
    }
  }

  #deployment(deployment: Deployment & KubeObject, previous: Deployment | undefined, gone: boolean): void {
    const { metadata: { uid }, spec } = deployment;
    const replicas = spec.replicas ?? 1;
    const { maxSurge = 0, maxUnavailable = 0 } = spec.strategy?.rollingUpdate ?? {};
    this.#raise(uid, replicas + scaledValue(maxSurge, replicas, true));
    if (JSON.stringify(previous?.spec) !== JSON.stringify(spec)) this.#changedNs.set(uid, this.#nowNs());
    const floor = this.#floor.get(uid);
    if (gone || deployment.metadata.deletionTimestamp !== undefined || spec.strategy?.type === "Recreate") this.#floor.delete(uid);
    else if (floor !== undefined) {
      const down = scaledValue(maxUnavailable, replicas, false);
      this.#floor.set(uid, Math.min(floor, replicas - (down === 0 && scaledValue(maxSurge, replicas, true) === 0 ? 1 : down)));
    }
  }

  /** Never more wanted by all ReplicaSets together than the Deployment may have. */
  #surge(set: KubeObject): void {
    this.#raise(set.metadata.uid, (set as ReplicaSet & KubeObject).spec.replicas ?? 1);
    const above = controllerOf(set);
    const most = above === undefined ? undefined : this.#most.get(above.uid);
    // The Deployment controller decides by what it has heard of, and keeps no expectations.
    if (above === undefined || most === undefined || this.#world()?.stale() === true) return;
    let sum = 0;
    for (const one of this.#owned<ReplicaSet & KubeObject>("replicasets", above.uid)) sum += one.spec.replicas ?? 1;
    if (sum > most) this.violated(`Deployment ${above.name} wants ${sum} pods of its ReplicaSets, of at most ${most}`);
  }

  /** Once all were available, never more unavailable than allowed: as long as nothing else takes pods away. */
  #availability(set: string): void {
    if (this.#disturbed !== undefined) return;
    const above = controllerOf(this.#list<KubeObject>("replicasets").find(({ metadata }) => metadata.uid === set) ?? { metadata: { name: "" } as never });
    const deployment = above === undefined ? undefined : this.#list<Deployment>("deployments").find(({ metadata }) => metadata.uid === above.uid);
    if (deployment === undefined || isGoing(deployment) || isGoing(this.of("namespaces").get(`/registry/namespaces/${deployment.metadata.namespace}`)!) || deployment.spec.strategy?.type === "Recreate") return;
    const { uid } = deployment.metadata;
    const replicas = deployment.spec.replicas ?? 1;
    let available = 0;
    for (const one of this.#owned<KubeObject>("replicasets", uid)) available += this.#owned<Pod & KubeObject>("pods", one.metadata.uid).filter((pod) => isActive(pod) && isReady(pod)).length;
    const { maxSurge = 0, maxUnavailable = 0 } = deployment.spec.strategy?.rollingUpdate ?? {};
    const down = scaledValue(maxUnavailable, replicas, false);
    const floor = this.#floor.get(uid);
    if (floor !== undefined && available < floor) this.violated(`Deployment ${deployment.metadata.name} has ${available} pods available, of at least ${floor}`);
    if (available >= replicas) this.#floor.set(uid, replicas - (down === 0 && scaledValue(maxSurge, replicas, true) === 0 ? 1 : down));
  }

  #job(job: Job & KubeObject): void {
    const { metadata: { uid, name }, spec, status } = job;
    const completions = spec?.completions;
    this.#raise(uid, spec?.parallelism ?? 1);
    const slack = spec?.completionMode === "Indexed" ? 0 : (this.#ambiguous.get(uid) ?? 0);
    if (completions !== undefined && (status?.succeeded ?? 0) > completions + slack) this.violated(`Job ${name} has ${status!.succeeded} successes, of ${completions}`);
  }

  /** Called before a pod is evicted; what it returns, when that was granted. */
  beforeEviction(namespace: string, name: string): () => void {
    const pod = this.of("pods").get(`/registry/pods/${namespace}/${name}`) as (Pod & KubeObject) | undefined;
    if (pod === undefined || !isReady(pod)) return () => {};
    const states = this.#list<PodDisruptionBudget>("poddisruptionbudgets").filter((one) => one.metadata.namespace === namespace && matches(labelSelector(one.spec.selector), pod.metadata.labels)).map((budget) => {
      const covered = this.#list<Pod>("pods").filter((one) => one.metadata.namespace === namespace && matches(labelSelector(budget.spec.selector), one.metadata.labels));
      const healthy = covered.filter((one) => isActive(one) && isReady(one)).length;
      // Beside evictions, only what the budget does not know of yet.
      const owners = covered.flatMap((one) => [...[controllerOf(one)].flatMap((ref) => (ref === undefined ? [] : [ref.uid])), ...this.#owners(one)]);
      const since = Math.max(this.#world()!.lastFaultNs(), ...owners.map((uid) => this.#changedNs.get(uid) ?? -Infinity));
      const settled = this.#nowNs() - since > STALE_MS * 1e6;
      return { budget, healthy, settled };
    });
    return () => {
      for (const { budget, healthy, settled } of states) {
        const { minAvailable } = budget.spec;
        if (settled && typeof minAvailable === "number" && healthy - 1 < minAvailable) this.violated(`the eviction of ${namespace}/${name} left ${healthy - 1} of at least ${minAvailable} healthy pods of ${budget.metadata.name}`);
      }
    };
  }

  #owners(pod: KubeObject): string[] {
    const set = this.#list<KubeObject>("replicasets").find(({ metadata }) => metadata.uid === controllerOf(pod)?.uid);
    const above = set === undefined ? undefined : controllerOf(set);
    return above === undefined ? [] : [above.uid];
  }

  /** What runs where; called every now and then. */
  machines(): void {
    const seen = new Map<string, string>();
    for (const { name, running } of this.#world()!.machines) {
      for (const { config, state } of running?.node.agent.runtime.listPodSandboxes() ?? []) {
        if (state !== "SANDBOX_READY") continue;
        const key = `${config.namespace}/${config.name}`;
        const other = seen.get(key);
        if (other !== undefined && other !== name) this.violated(`pod ${key} runs on ${other} and on ${name}`);
        seen.set(key, name);
        const pod = this.of("pods").get(`/registry/pods/${key}`) as Pod | undefined;
        if (pod?.metadata.uid === config.uid && pod.spec.nodeName !== name) this.violated(`pod ${key} runs on ${name}, and is bound to ${pod.spec.nodeName}`);
      }
    }
  }

  /** What is not at rest yet, or not as it must be then. */
  unrest(): string[] {
    const out: string[] = [];
    const say = (object: { metadata: { namespace?: string | undefined; name: string } }, what: string): void => void out.push(`${keyOf(object)}: ${what}`);
    const pods = this.#list<Pod>("pods");
    const uids = new Set<string>();
    for (const kind of this.#kinds.values()) for (const { metadata } of kind.values()) uids.add(metadata.uid);
    for (const [kind, objects] of this.#kinds) {
      for (const object of objects.values()) {
        if (isGoing(object)) out.push(`${kind} ${keyOf(object)} is still being deleted${object.metadata.finalizers === undefined ? "" : ` (${object.metadata.finalizers.join(", ")})`}`);
        for (const ref of object.metadata.ownerReferences ?? []) if (!uids.has(ref.uid)) out.push(`${kind} ${keyOf(object)}: its owner ${ref.kind} ${ref.name} is gone`);
        const { namespace } = object.metadata;
        if (namespace !== undefined && kind !== "/registry/namespaces" && !this.of("namespaces").has(`/registry/namespaces/${namespace}`)) out.push(`${kind} ${keyOf(object)}: its namespace is gone`);
      }
    }
    for (const node of this.#list<Node>("minions")) {
      if (!(node.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false)) say(node, "is not Ready");
      if ((node.spec?.taints ?? []).length > 0) say(node, `has taints ${node.spec!.taints!.map(({ key }) => key).join(", ")}`);
    }
    for (const pod of pods) if (!isOver(pod) && !isReady(pod)) say(pod, `pod is ${pod.status.phase}, on ${pod.spec.nodeName ?? "no node"}, not ready: ${JSON.stringify(pod.status.containerStatuses?.[0]?.state ?? pod.status.conditions?.map(({ message }) => message).filter(Boolean))}`);
    for (const deployment of this.#list<Deployment>("deployments")) {
      const { spec, status, metadata } = deployment;
      const wanted = spec.replicas ?? 1;
      if (status?.observedGeneration !== metadata.generation) say(deployment, "deployment is not observed");
      if ((status?.replicas ?? 0) !== wanted || (status?.updatedReplicas ?? 0) !== wanted || (status?.availableReplicas ?? 0) !== wanted || (status?.readyReplicas ?? 0) !== wanted) say(deployment, `deployment of ${wanted} says ${JSON.stringify({ ...status, conditions: undefined })}`);
      const sets = this.#owned<ReplicaSet & KubeObject>("replicasets", metadata.uid);
      if (sets.filter((set) => (set.spec.replicas ?? 1) > 0).length > 1) say(deployment, "deployment has two ReplicaSets with pods");
      const there = sets.flatMap((set) => this.#owned<Pod & KubeObject>("pods", set.metadata.uid)).filter(isActive);
      if (there.length !== wanted) say(deployment, `deployment has ${there.length} pods instead of ${wanted}`);
      const old = sets.filter((set) => (set.spec.replicas ?? 1) === 0).length;
      if (old > (spec.revisionHistoryLimit ?? 10) + (wanted === 0 ? 1 : 0)) say(deployment, `deployment keeps ${old} old ReplicaSets of ${spec.revisionHistoryLimit}`);
      if (wanted > 0 && there.some((pod) => JSON.stringify(pod.spec.containers[0]!.args) !== JSON.stringify(spec.template.spec!.containers[0]!.args) || pod.spec.containers[0]!.image !== spec.template.spec!.containers[0]!.image)) say(deployment, "deployment has pods of another template");
    }
    for (const set of this.#list<ReplicaSet>("replicasets")) {
      const there = this.#owned<Pod & KubeObject>("pods", set.metadata.uid).filter(isActive).length;
      if (there !== (set.spec.replicas ?? 1) || (set.status?.replicas ?? 0) !== there) say(set, `replicaset of ${set.spec.replicas} has ${there} pods, says ${set.status?.replicas}`);
    }
    for (const set of this.#list<StatefulSet>("statefulsets")) {
      const wanted = set.spec.replicas ?? 1;
      const names = this.#owned<Pod & KubeObject>("pods", set.metadata.uid).map(({ metadata }) => metadata.name).sort();
      const should = Array.from({ length: wanted }, (_, i) => `${set.metadata.name}-${i}`).sort();
      if (names.join() !== should.join()) say(set, `statefulset of ${wanted} has ${names.join(", ")}`);
      const partition = Math.min(wanted, set.spec.updateStrategy?.rollingUpdate?.partition ?? 0);
      const { status } = set;
      if ((status?.readyReplicas ?? 0) !== wanted || (status?.updatedReplicas ?? 0) < wanted - partition) say(set, `statefulset of ${wanted} says ${JSON.stringify({ ...status, conditions: undefined })}`);
    }
    const nodes = this.#list<Node>("minions");
    for (const set of this.#list<DaemonSet>("daemonsets")) {
      const there = this.#owned<Pod & KubeObject>("pods", set.metadata.uid).filter(isActive);
      for (const node of nodes) {
        const own = there.filter((pod) => pod.spec.nodeName === node.metadata.name).length;
        if (own !== 1) say(set, `daemonset has ${own} pods on ${node.metadata.name}`);
      }
      const { status } = set;
      if (status?.numberReady !== nodes.length || status.desiredNumberScheduled !== nodes.length || (status.updatedNumberScheduled ?? 0) !== nodes.length) say(set, `daemonset says ${JSON.stringify({ ...status, conditions: undefined })}`);
    }
    for (const job of this.#list<Job>("jobs")) {
      const over = job.status?.conditions?.some(({ type, status }) => (type === "Complete" || type === "Failed") && status === "True") ?? false;
      if (!over) say(job, `job is not finished: ${JSON.stringify(job.status)}`);
      for (const pod of this.#owned<Pod & KubeObject>("pods", job.metadata.uid)) if (pod.metadata.finalizers?.includes("batch.kubernetes.io/job-tracking")) say(pod, "pod of a finished job keeps its finalizer");
    }
    for (const budget of this.#list<PodDisruptionBudget>("poddisruptionbudgets")) {
      const healthy = pods.filter((pod) => pod.metadata.namespace === budget.metadata.namespace && matches(labelSelector(budget.spec.selector), pod.metadata.labels) && isActive(pod) && isReady(pod)).length;
      if ((budget.status?.currentHealthy ?? 0) !== healthy) say(budget, `budget counts ${budget.status?.currentHealthy} healthy pods instead of ${healthy}`);
    }
    for (const scaler of this.#list<HorizontalPodAutoscaler>("horizontalpodautoscalers")) {
      const target = this.of("deployments").get(`/registry/deployments/${scaler.metadata.namespace}/${scaler.spec!.scaleTargetRef.name}`) as Deployment | undefined;
      const replicas = target?.spec.replicas ?? 2;
      if (replicas !== 0 && (replicas < 2 || replicas > 4)) say(scaler, `autoscaled to ${replicas}`);
    }
    for (const service of this.#list<Service>("services/specs")) {
      const selector = service.spec?.selector;
      if (selector === undefined) continue;
      const { namespace, name } = service.metadata;
      const should = pods.filter((pod) => pod.metadata.namespace === namespace && isActive(pod) && isReady(pod) && Object.entries(selector).every(([key, value]) => pod.metadata.labels?.[key] === value)).map(({ status }) => status.podIP!).sort().join();
      const slices = this.#list<EndpointSlice>("endpointslices").filter(({ metadata }) => metadata.namespace === namespace && metadata.labels?.["kubernetes.io/service-name"] === name);
      const sliced = slices.flatMap(({ endpoints }) => (endpoints ?? []).filter(({ conditions }) => conditions?.ready === true).flatMap(({ addresses }) => addresses)).sort().join();
      if (sliced !== should) say(service, `endpoint slices have ${sliced || "nothing"}, ready are ${should || "none"}`);
      const endpoints = this.of("services/endpoints").get(`/registry/services/endpoints/${namespace}/${name}`) as Endpoints | undefined;
      const listed = (endpoints?.subsets ?? []).flatMap(({ addresses }) => (addresses ?? []).map(({ ip }) => ip)).sort().join();
      if (listed !== should) say(service, `endpoints have ${listed || "nothing"}, ready are ${should || "none"}`);
    }
    const addresses = new Map<string, string>();
    for (const pod of pods) {
      const { podIP } = pod.status;
      if (podIP === undefined || isOver(pod)) continue;
      if (addresses.has(podIP)) say(pod, `pod has the address ${podIP} of ${addresses.get(podIP)}`);
      addresses.set(podIP, keyOf(pod));
    }
    for (const { name, running } of this.#world()!.machines) {
      const sandboxes = (running?.node.agent.runtime.listPodSandboxes() ?? []).filter(({ state }) => state === "SANDBOX_READY");
      const bound = pods.filter((pod) => pod.spec.nodeName === name && !isOver(pod));
      for (const { config } of sandboxes) if (!bound.some(({ metadata }) => metadata.uid === config.uid)) out.push(`${name} runs ${config.namespace}/${config.name}, which it should not`);
      for (const pod of bound) if (sandboxes.filter(({ config }) => config.uid === pod.metadata.uid).length !== 1) say(pod, `pod has no sandbox on ${name}, or two`);
    }
    const tokens = (this.of("configmaps").get("/registry/configmaps/default/tokens") as { data?: Record<string, string> } | undefined)?.data ?? {};
    for (const token of this.#tokens) if (!(token in tokens)) out.push(`the token ${token} was written, and is lost`);
    out.push(...this.#caches());
    return out;
  }

  /** The controller manager's caches are what is stored. */
  #caches(): string[] {
    const informers = this.#world()!.manager()?.context.informers;
    if (informers === undefined) return ["no controller manager runs"];
    const out: string[] = [];
    const kinds = { pods: "pods", nodes: "minions", deployments: "deployments", replicaSets: "replicasets", jobs: "jobs", services: "services/specs", namespaces: "namespaces", endpointSlices: "endpointslices" } as const;
    for (const [kind, stored] of Object.entries(kinds)) {
      if (!(kind in ALL_RESOURCES)) continue;
      const informer = informers.informer(kind as "pods");
      if (!informer.hasSynced()) out.push(`the informer of ${kind} has not synced`);
      const versions = (objects: Iterable<KubeObject>): string => [...objects].map(({ metadata }) => `${metadata.uid}@${metadata.resourceVersion}`).sort().join();
      if (versions(informer.list() as unknown as KubeObject[]) !== versions(this.of(stored).values())) out.push(`the cache of ${kind} is not what is stored`);
    }
    return out;
  }
}

/** The node that a DaemonSet's pod is for. */
const targetOf = ({ spec }: Pod): string | undefined =>
  spec.nodeName ?? spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms[0]?.matchFields?.[0]?.values?.[0];
