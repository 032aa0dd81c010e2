/** ControllerRevisions: the history of StatefulSets and DaemonSets. Follows pkg/controller/history/controller_history.go. */
import type { ControllerRevision, ObjectMeta, PodTemplateSpec } from "../../api/types.generated.ts";
import { newControllerRef } from "../../apimachinery/meta.ts";
import type { Draft, KubeObject } from "../../apimachinery/meta.ts";
import { canonicalJson, safeEncodeString } from "../../apimachinery/names.ts";
import { isAlreadyExists, isNotFound } from "../../apimachinery/status.ts";
import type { ResourceClient } from "../../client/client.ts";
import { updateWith } from "../update-with.ts";

/** The label with the hash of a StatefulSet's revision (ControllerRevisionHashLabel). */
export const REVISION_HASH_LABEL = "controller.kubernetes.io/hash";

type Revisions = ResourceClient<ControllerRevision>;

/**
 * The part of an object that its revisions keep: the template, as a patch that replaces it. Follows getPatch of the
 * statefulset and daemon controllers.
 */
export function templatePatch(template: PodTemplateSpec): { spec: { template: unknown } } {
  return { spec: { template: { ...template, $patch: "replace" } } };
}

/** The template that a revision keeps. Follows ApplyRevision. */
export function templateOf(revision: ControllerRevision): PodTemplateSpec {
  const { $patch: _patch, ...template } = (revision.data as { spec: { template: PodTemplateSpec & { $patch?: string } } }).spec.template;
  return template as PodTemplateSpec;
}

/** JSON as Go's encoding/json writes a map: sorted keys, and what HTML minds escaped. */
function goJson(value: unknown): string {
  return canonicalJson(value).replace(/[<>&\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** FNV-1, 32 bits, over the UTF-8 of the texts one after the other. Follows hash/fnv New32. */
function fnv32(...texts: readonly string[]): number {
  let hash = 0x811c9dc5;
  const encoder = new TextEncoder();
  for (const text of texts) for (const byte of encoder.encode(text)) hash = (Math.imul(hash, 0x01000193) ^ byte) >>> 0;
  return hash;
}

/** Follows HashControllerRevision. */
export function hashRevision(data: unknown, collisionCount: number | undefined): string {
  return safeEncodeString(String(fnv32(goJson(data), ...(collisionCount === undefined ? [] : [String(collisionCount)]))));
}

/** Follows ControllerRevisionName. */
const revisionName = (prefix: string, hash: string): string => `${prefix.slice(0, 223)}-${hash}`;

/** Oldest first. Follows SortControllerRevisions. */
export function sortRevisions(revisions: readonly ControllerRevision[]): ControllerRevision[] {
  const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
  return [...revisions].sort((a, b) => a.revision - b.revision || order(a.metadata.creationTimestamp, b.metadata.creationTimestamp) || order(a.metadata.name, b.metadata.name));
}

/** Whether two revisions keep the same. Follows EqualRevision. */
export const equalData = (a: unknown, b: unknown): boolean => canonicalJson(a) === canonicalJson(b);

/** The number after the newest of sorted revisions. */
export const nextRevision = (revisions: readonly ControllerRevision[]): number => (revisions.at(-1)?.revision ?? 0) + 1;

export interface NewRevision {
  readonly data: { spec: { template: unknown } };
  readonly revision: number;
  readonly labels: Readonly<Record<string, string>> | undefined;
  readonly annotations: ObjectMeta["annotations"];
}

/**
 * Creates a revision; while another one has its name, the collision count goes up and with it the name changes.
 * Returns both. Follows CreateControllerRevision.
 */
export async function createRevision(client: Revisions, parent: KubeObject, { data, revision, labels, annotations }: NewRevision, collisionCount: number, signal: AbortSignal): Promise<{ revision: ControllerRevision; collisionCount: number }> {
  const namespace = parent.metadata.namespace!;
  // The label keeps the hash of the first attempt, as upstream's does.
  const label = hashRevision(data, collisionCount);
  for (let collisions = collisionCount; ; collisions++) {
    const name = revisionName(parent.metadata.name, hashRevision(data, collisions));
    const draft: Draft<ControllerRevision> = {
      metadata: {
        name, namespace, labels: { ...labels, [REVISION_HASH_LABEL]: label },
        ...(annotations === undefined || Object.keys(annotations).length === 0 ? {} : { annotations }),
        ownerReferences: [newControllerRef(parent)],
      },
      data, revision,
    };
    try {
      return { revision: await client.create(draft, signal), collisionCount: collisions };
    } catch (e) {
      if (!isAlreadyExists(e)) throw e;
      const there = await client.get(namespace, name, signal);
      if (equalData(there.data, data)) return { revision: there, collisionCount: collisions };
    }
  }
}

/** Gives a revision a new number: it is the newest again. Follows UpdateControllerRevision. */
export async function renumberRevision(client: Revisions, revision: ControllerRevision, number: number, signal: AbortSignal): Promise<ControllerRevision> {
  if (revision.revision === number) return revision;
  return updateWith(client, revision, (live) => ({ ...live, revision: number }), signal);
}

export async function deleteRevision(client: Revisions, { metadata: { namespace, name } }: ControllerRevision, signal: AbortSignal): Promise<void> {
  try {
    await client.delete(namespace!, name, undefined, signal);
  } catch (e) {
    if (!isNotFound(e)) throw e;
  }
}
