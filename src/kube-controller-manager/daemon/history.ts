/** The revisions of a DaemonSet. Follows pkg/controller/daemon/update.go (constructHistory, snapshot, cleanupHistory). */
import type { ControllerRevision, DaemonSet } from "../../api/types.generated.ts";
import { newControllerRef } from "../../apimachinery/meta.ts";
import type { KubeObject } from "../../apimachinery/meta.ts";
import { isAlreadyExists } from "../../apimachinery/status.ts";
import type { Client } from "../../client/client.ts";
import { REVISION_HASH, typedAs } from "../controller-utils.ts";
import { deleteRevision, equalData, templatePatch } from "../history/index.ts";
import { updateWith } from "../update-with.ts";
import type { NodePods } from "./nodes.ts";

export type TypedDaemonSet = DaemonSet & KubeObject;
export type HashTemplate = (template: DaemonSet["spec"]["template"], collisionCount: number | undefined) => string;

/** The revision of the present template, made if there is none, and the others. Follows constructHistory. */
export async function constructHistory(client: Client, ds: TypedDaemonSet, revisions: readonly ControllerRevision[], hash: HashTemplate, signal: AbortSignal): Promise<{ current: ControllerRevision; old: ControllerRevision[] }> {
  const data = templatePatch(ds.spec.template);
  const matching: ControllerRevision[] = [];
  const old: ControllerRevision[] = [];
  for (const revision of revisions) {
    const labelled = revision.metadata.labels?.[REVISION_HASH] !== undefined ? revision
      : await updateWith(client.controllerRevisions, revision, (live) => withLabel(live), signal);
    (equalData(labelled.data, data) ? matching : old).push(labelled);
  }
  const number = Math.max(0, ...old.map(({ revision }) => revision)) + 1;
  const newest = [...matching].sort((a, b) => b.revision - a.revision);
  const [kept, ...duplicates] = newest;
  if (kept === undefined) return { current: await snapshot(client, ds, data, number, hash, signal), old };
  for (const duplicate of duplicates) await dropDuplicate(client, ds, kept, duplicate, signal);
  const current = kept.revision < number ? await updateWith(client.controllerRevisions, kept, (live) => ({ ...live, revision: number }), signal) : kept;
  return { current, old };
}

const withLabel = (revision: ControllerRevision): ControllerRevision =>
  ({ ...revision, metadata: { ...revision.metadata, labels: { ...revision.metadata.labels, [REVISION_HASH]: revision.metadata.name } } });

/** Pods of the duplicate are relabelled, then it goes. Follows dedupCurHistories. */
async function dropDuplicate(client: Client, ds: DaemonSet, kept: ControllerRevision, duplicate: ControllerRevision, signal: AbortSignal): Promise<void> {
  const [from, to] = [duplicate.metadata.labels?.[REVISION_HASH], kept.metadata.labels?.[REVISION_HASH]];
  const { items } = await client.pods.list(ds.metadata.namespace!, { labelSelector: `${REVISION_HASH}=${from}` }, signal);
  for (const { metadata } of items)
    if (metadata.ownerReferences?.some(({ uid }) => uid === ds.metadata.uid) === true)
      await client.pods.patch(metadata.namespace!, metadata.name, "merge", { metadata: { uid: metadata.uid, labels: { [REVISION_HASH]: to } } }, undefined, signal);
  await deleteRevision(client.controllerRevisions, duplicate, signal);
}

async function snapshot(client: Client, ds: TypedDaemonSet, data: { spec: { template: unknown } }, revision: number, hash: HashTemplate, signal: AbortSignal): Promise<ControllerRevision> {
  const { namespace, annotations } = ds.metadata;
  const label = hash(ds.spec.template, ds.status.collisionCount);
  const name = `${ds.metadata.name}-${label}`;
  try {
    return await client.controllerRevisions.create({
      metadata: {
        name, namespace, labels: { ...ds.spec.template.metadata.labels, [REVISION_HASH]: label }, ownerReferences: [newControllerRef(ds)],
        ...(annotations === undefined ? {} : { annotations }),
      },
      data, revision,
    }, signal);
  } catch (e) {
    if (!isAlreadyExists(e)) throw e;
    const there = await client.controllerRevisions.get(namespace!, name, signal);
    if (equalData(there.data, data)) return there;
    // Another template with the same hash: the next attempt counts one collision more.
    const live = await client.daemonSets.get(namespace!, ds.metadata.name, signal);
    if (live.status.collisionCount !== ds.status.collisionCount)
      throw new Error(`found a stale collision count (${ds.status.collisionCount ?? 0}, expected ${live.status.collisionCount ?? 0}) of DaemonSet "${ds.metadata.name}" while processing; will retry until it is updated`, { cause: e });
    await client.daemonSets.updateStatus({ ...typedAs(client.daemonSets, live), status: { ...live.status, collisionCount: (live.status.collisionCount ?? 0) + 1 } }, signal);
    throw e;
  }
}

/** Revisions beyond the limit that no pod is of, oldest first. Follows cleanupHistory. */
export async function cleanupHistory(client: Client, ds: DaemonSet, old: readonly ControllerRevision[], onNodes: NodePods, signal: AbortSignal): Promise<void> {
  let excess = old.length - (ds.spec.revisionHistoryLimit ?? 10);
  if (excess <= 0) return;
  const live = new Set([...onNodes.values()].flat().map(({ metadata }) => metadata.labels?.[REVISION_HASH]));
  for (const revision of [...old].sort((a, b) => a.revision - b.revision)) {
    if (excess <= 0) return;
    if (live.has(revision.metadata.labels?.[REVISION_HASH])) continue;
    await deleteRevision(client.controllerRevisions, revision, signal);
    excess--;
  }
}
