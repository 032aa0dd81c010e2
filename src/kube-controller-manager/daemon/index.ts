/** The DaemonSet controller: a pod on every node that fits. Follows pkg/controller/daemon/daemon_controller.go. */
import type { DaemonSet, DaemonSetStatus, Node, Pod, PodTemplateSpec } from "../../api/types.generated.ts";
import { controllerOf, deepEqual, keyOf, splitKey } from "../../apimachinery/meta.ts";
import { labelSelector } from "../../apimachinery/selectors.ts";
import { isNamespaceTerminating, isNotFound } from "../../apimachinery/status.ts";
import { done, requeueAfter } from "../../client/controller.ts";
import type { Controller, Result } from "../../client/controller.ts";
import type { WorkQueue } from "../../client/workqueue.ts";
import { isPodReady } from "../controller-context.ts";
import type { ControllerContext } from "../controller-context.ts";
import { claimObjects, createCountedExpectations, createPodControl, indexOrphans, isPodTerminal, isTerminating, resolveControllerRef, selecting, slowStartBatch, typedAs, updateStatus } from "../controller-utils.ts";
import { EXPECTATIONS_TIMEOUT_MS } from "../expectations.ts";
import { templateHash } from "../template-hash.ts";
import { cleanupHistory, constructHistory } from "./history.ts";
import type { TypedDaemonSet } from "./history.ts";
import { countPods, daemonTemplate, pinnedTo, planRollingUpdate, shouldRunOn, surplus, targetNode } from "./nodes.ts";

/** At most so many pods are created or deleted in one pass (BurstReplicas). */
const BURST_REPLICAS = 250;
/** Failed pods of one node are replaced after a pause, from the first to the second (flowcontrol.NewBackOff). */
const BACKOFF_INITIAL_MS = 1000;
const BACKOFF_MAX_MS = 15 * 60_000;
/** Changes of pods are gathered for so long; a real server's answers take as much. */
const BATCH_MS = 10;

type Counts = keyof ReturnType<typeof countPods>;
const COMPARED: readonly Counts[] = ["desiredNumberScheduled", "currentNumberScheduled", "numberMisscheduled", "numberReady", "updatedNumberScheduled", "numberAvailable", "numberUnavailable"];

export function newDaemonSetController(context: ControllerContext): Controller {
  const { client, clock, informers } = context;
  const daemonSets = informers.informer("daemonSets");
  const pods = informers.informer("pods");
  const nodes = informers.informer("nodes");
  const revisions = informers.informer("controllerRevisions");
  const expectations = createCountedExpectations(clock);
  const recorder = context.recorder("daemonset-controller");
  const control = createPodControl(client, recorder);
  const backoffs = new Map<string, { pauseMs: number; atMs: number }>();
  let queue!: WorkQueue;
  const ownerOf = (pod: Pod): DaemonSet | undefined => resolveControllerRef(daemonSets, "DaemonSet", pod.metadata.namespace!, controllerOf(pod));

  /** Follows getNodesToDaemonPods. */
  async function podsByNode(ds: TypedDaemonSet, signal: AbortSignal): Promise<Map<string, Pod[]>> {
    const { namespace, name } = ds.metadata;
    const claimed = await claimObjects(client.pods, pods, { owner: ds, selector: labelSelector(ds.spec.selector) }, () => client.daemonSets.get(namespace!, name, signal), signal);
    const out = new Map<string, Pod[]>();
    for (const pod of claimed) {
      const node = isPodTerminal(pod) && isTerminating(pod) ? undefined : targetNode(pod);
      if (node === undefined) continue;
      const list = out.get(node);
      if (list === undefined) out.set(node, [pod]);
      else list.push(pod);
    }
    return out;
  }

  /** The pods of one node that still run; failed and finished ones are to be deleted. */
  function stillRunning(ds: TypedDaemonSet, node: Node, onNode: readonly Pod[], remove: string[]): Pod[] {
    const running: Pod[] = [];
    for (const pod of onNode) {
      if (isTerminating(pod)) continue;
      const what = `daemon pod ${pod.metadata.namespace}/${pod.metadata.name} on node ${node.metadata.name}`;
      if (pod.status.phase === "Failed") {
        const wait = backOff(`${ds.metadata.uid}/${ds.status.observedGeneration ?? 0}/${node.metadata.name}`);
        if (wait > 0) {
          queue.addAfter(keyOf(ds), wait);
          continue;
        }
        recorder.event(ds, "Warning", "FailedDaemonPod", `Found failed ${what}, will try to kill it`);
        remove.push(pod.metadata.name);
      } else if (pod.status.phase === "Succeeded") {
        recorder.event(ds, "Normal", "SucceededDaemonPod", `Found succeeded ${what}, will try to delete it`);
        remove.push(pod.metadata.name);
      } else running.push(pod);
    }
    return running;
  }

  /** Milliseconds to wait before the failed pod of a node may be replaced; 0 counts as a replacement. */
  function backOff(key: string): number {
    const now = clock.nowMs();
    const entry = backoffs.get(key);
    if (entry !== undefined && now - entry.atMs < entry.pauseMs) return entry.pauseMs;
    // As the backoff itself: forgotten after twice the longest pause.
    const known = entry !== undefined && now - entry.atMs <= 2 * BACKOFF_MAX_MS;
    backoffs.set(key, { pauseMs: known ? Math.min(entry.pauseMs * 2, BACKOFF_MAX_MS) : BACKOFF_INITIAL_MS, atMs: now });
    return 0;
  }

  /** Follows manage. */
  async function manage(ds: TypedDaemonSet, list: readonly Node[], hash: string, signal: AbortSignal): Promise<void> {
    const onNodes = await podsByNode(ds, signal);
    const create: string[] = [];
    const remove: string[] = [];
    const known = new Set<string>();
    for (const node of list) {
      const { name } = node.metadata;
      known.add(name);
      const { run, keep } = shouldRunOn(node, ds);
      const onNode = onNodes.get(name);
      if (onNode === undefined) {
        if (run) create.push(name);
      } else if (keep) remove.push(...surplus(ds, stillRunning(ds, node, onNode, remove), hash, clock.nowMs()).map(({ metadata }) => metadata.name));
      else remove.push(...onNode.filter((pod) => !isTerminating(pod)).map(({ metadata }) => metadata.name));
    }
    // Pods that wait for a node that is gone. Follows getUnscheduledPodsWithoutNode.
    for (const [name, onNode] of onNodes)
      if (!known.has(name)) for (const pod of onNode) if (pod.spec.nodeName === undefined && !isTerminating(pod)) remove.push(pod.metadata.name);
    await syncNodes(ds, remove, create, hash, signal);
  }

  /** Follows syncNodes. */
  async function syncNodes(ds: TypedDaemonSet, remove: readonly string[], create: readonly string[], hash: string, signal: AbortSignal): Promise<void> {
    const key = keyOf(ds);
    const onto = create.slice(0, BURST_REPLICAS);
    const gone = remove.slice(0, BURST_REPLICAS);
    expectations.set(key, onto.length, gone.length);
    let failure: unknown;
    if (onto.length > 0) {
      const template = daemonTemplate(ds, hash);
      const { error, skipped } = await slowStartBatch(onto.length, async (i) => {
        const pinned: PodTemplateSpec = { ...template, spec: { ...template.spec, affinity: pinnedTo(onto[i]!, template.spec.affinity) } };
        try {
          await control.create(pinned, ds, signal);
        } catch (e) {
          if (isNamespaceTerminating(e)) return;
          expectations.creationObserved(key);
          throw e;
        }
      });
      expectations.creationObserved(key, skipped);
      failure = error;
    }
    await Promise.all(gone.map(async (name) => {
      try {
        await control.delete(ds.metadata.namespace!, name, ds, signal);
      } catch (e) {
        expectations.deletionObserved(key);
        if (!isNotFound(e)) failure ??= e;
      }
    }));
    if (failure !== undefined) throw failure;
  }

  /** Follows updateDaemonSetStatus and storeDaemonSetStatus. */
  async function writeStatus(ds: TypedDaemonSet, list: readonly Node[], hash: string, observed: boolean, signal: AbortSignal): Promise<Result> {
    const counts = countPods(ds, list, await podsByNode(ds, signal), hash, clock.nowMs());
    const same = COMPARED.every((name) => (ds.status[name] ?? 0) === counts[name]) && (ds.status.observedGeneration ?? 0) >= (ds.metadata.generation ?? 0);
    if (!same) {
      const observedGeneration = observed ? ds.metadata.generation : ds.status.observedGeneration;
      const status: DaemonSetStatus = { ...ds.status, ...counts, observedGeneration };
      await updateStatus(client.daemonSets, ds, status, signal);
    }
    const { minReadySeconds = 0 } = ds.spec;
    return minReadySeconds > 0 && counts.numberReady !== counts.numberAvailable ? requeueAfter(minReadySeconds * 1000) : done;
  }

  async function updateDaemonSet(ds: TypedDaemonSet, list: readonly Node[], hash: string, old: Awaited<ReturnType<typeof constructHistory>>["old"], signal: AbortSignal): Promise<void> {
    await manage(ds, list, hash, signal);
    const onNodes = await podsByNode(ds, signal);
    if (expectations.satisfied(keyOf(ds)) && ds.spec.updateStrategy.type === "RollingUpdate") {
      const plan = planRollingUpdate(ds, list, onNodes, hash, clock.nowMs());
      await syncNodes(ds, plan.delete, plan.create, hash, signal);
    }
    await cleanupHistory(client, ds, old, onNodes, signal);
  }

  return {
    name: "daemonset-controller",
    workers: 2,
    setup(workQueue) {
      queue = workQueue;
      indexOrphans(pods);
      indexOrphans(revisions);
      const enqueue = (ds: DaemonSet | undefined): void => {
        if (ds !== undefined) queue.add(keyOf(ds));
      };
      daemonSets.addHandler({
        add: enqueue,
        update(ds, old) {
          if (ds.metadata.uid !== old.metadata.uid) expectations.delete(keyOf(old));
          enqueue(ds);
        },
        delete(ds) {
          expectations.delete(keyOf(ds));
          enqueue(ds);
        },
      });
      // Many pods change at once: one visit sees to all of them.
      const soon = (ds: DaemonSet | undefined): void => {
        if (ds !== undefined) queue.addAfter(keyOf(ds), BATCH_MS);
      };
      const enqueueOrphan = (pod: Pod): void => {
        if (controllerOf(pod) === undefined) selecting(daemonSets, pod).forEach(soon);
      };
      const observeDeletion = (pod: Pod): void => {
        const ds = ownerOf(pod);
        if (ds === undefined) return;
        expectations.deletionObserved(keyOf(ds));
        soon(ds);
      };
      pods.addHandler({
        add(pod) {
          const ds = ownerOf(pod);
          if (isTerminating(pod)) observeDeletion(pod);
          else if (ds === undefined) enqueueOrphan(pod);
          else {
            expectations.creationObserved(keyOf(ds));
            soon(ds);
          }
        },
        update(pod, old) {
          // A pod that is being deleted counts as gone from then on.
          if (isTerminating(pod)) {
            if (!isTerminating(old)) observeDeletion(pod);
            else soon(ownerOf(pod));
            return;
          }
          if (controllerOf(old)?.uid !== controllerOf(pod)?.uid) soon(ownerOf(old));
          const ds = ownerOf(pod);
          if (ds === undefined) {
            if (!deepEqual(old.metadata.labels, pod.metadata.labels) || controllerOf(old) !== undefined) enqueueOrphan(pod);
            return;
          }
          soon(ds);
          const { minReadySeconds = 0 } = ds.spec;
          if (minReadySeconds > 0 && !isPodReady(old) && isPodReady(pod)) queue.addAfter(keyOf(ds), (minReadySeconds + 1) * 1000);
        },
        delete(pod) {
          // Seen already when the deletion began, unless it was at once.
          if (isTerminating(pod) && pod.metadata.deletionGracePeriodSeconds !== 0) soon(ownerOf(pod));
          else observeDeletion(pod);
        },
      });
      const onNode = (node: Node, old?: Node): void => {
        for (const ds of daemonSets.list()) {
          const now = shouldRunOn(node, ds);
          const before = old === undefined ? { run: false, keep: false } : shouldRunOn(old, ds);
          if (now.run !== before.run || now.keep !== before.keep) enqueue(ds);
        }
      };
      nodes.addHandler({
        add: (node) => onNode(node),
        update(node, old) {
          if (!deepEqual(node.metadata.labels, old.metadata.labels) || !deepEqual(node.spec.taints, old.spec.taints)) onNode(node, old);
        },
      });
    },

    async reconcile(key, signal) {
      const { namespace, name } = splitKey(key);
      const cached = daemonSets.get(namespace, name);
      if (cached === undefined) {
        expectations.delete(key);
        return done;
      }
      const ds = typedAs(client.daemonSets, cached);
      const list = nodes.list();
      if (Object.keys(ds.spec.selector).length === 0) {
        recorder.event(ds, "Warning", "SelectingAll", "This daemon set is selecting all pods. A non-empty selector is required.");
        return done;
      }
      if (isTerminating(ds)) return done;
      const fresh = (): Promise<DaemonSet> => client.daemonSets.get(namespace, name, signal);
      const own = await claimObjects(client.controllerRevisions, revisions, { owner: ds, selector: labelSelector(ds.spec.selector) }, fresh, signal);
      const { current, old } = await constructHistory(client, ds, own, templateHash, signal);
      const hash = current.metadata.labels![HASH_LABEL]!;
      if (!expectations.satisfied(key)) {
        const { requeueAfterMs = Infinity } = await writeStatus(ds, list, hash, false, signal);
        // What is waited for may have come and gone while nobody watched.
        return requeueAfter(Math.min(requeueAfterMs, EXPECTATIONS_TIMEOUT_MS + 1));
      }
      let failure: unknown;
      try {
        await updateDaemonSet(ds, list, hash, old, signal);
      } catch (e) {
        failure = e;
      }
      const result = await writeStatus(ds, list, hash, true, signal);
      if (failure !== undefined) throw failure;
      return result;
    },
  };
}

const HASH_LABEL = "controller-revision-hash";
