/** Creates, corrects and deletes the pods of a StatefulSet with their claims, and tells of it by events. Follows pkg/controller/statefulset/stateful_pod_control.go. */
import type { PersistentVolumeClaim, Pod } from "../../api/types.generated.ts";
import type { Draft, KubeObject } from "../../apimachinery/meta.ts";
import { isAlreadyExists, isNotFound } from "../../apimachinery/status.ts";
import type { Client } from "../../client/client.ts";
import type { EventRecorder } from "../../client/events.ts";
import type { Lister } from "../../client/informer.ts";
import { messageOf, typedAs } from "../controller-utils.ts";
import { updateWith } from "../update-with.ts";
import { claimsOf, corrected, hasStaleOwner, identityMatches, isClaimOwnerUpToDate, keepsWhenScaled, nameOf, ordinalOf, storageMatches, withClaimOwner } from "./identity.ts";
import type { TypedSet } from "./identity.ts";

export interface StatefulPodControl {
  /** Claims first, then the pod, then the claims' owners. */
  create(set: TypedSet, pod: Draft<Pod>, signal: AbortSignal): Promise<Pod>;
  update(set: TypedSet, pod: Pod, signal: AbortSignal): Promise<void>;
  delete(set: TypedSet, pod: Pod, signal: AbortSignal): Promise<void>;
  createMissingClaims(set: TypedSet, pod: Pod, signal: AbortSignal): Promise<void>;
  claimsMatchRetentionPolicy(set: TypedSet, pod: Pod): boolean;
  updateClaimsForRetentionPolicy(set: TypedSet, pod: Pod, signal: AbortSignal): Promise<void>;
  /** Whether a claim belongs to an earlier pod of that name and is about to go. */
  isClaimStale(set: TypedSet, pod: Draft<Pod>): boolean;
}

export function createStatefulPodControl(client: Client, claims: Lister<PersistentVolumeClaim>, recorder: EventRecorder): StatefulPodControl {
  const typedPod = (pod: Pod): Pod & KubeObject => typedAs(client.pods, pod);
  const title = (verb: string): string => `${verb[0]!.toUpperCase()}${verb.slice(1)}`;
  const recordPod = (verb: string, set: TypedSet, pod: string, e?: unknown): void => {
    if (e === undefined) recorder.event(set, "Normal", `Successful${title(verb)}`, `${verb} Pod ${pod} in StatefulSet ${set.metadata.name} successful`);
    else recorder.event(set, "Warning", `Failed${title(verb)}`, `${verb} Pod ${pod} in StatefulSet ${set.metadata.name} failed error: ${messageOf(e)}`);
  };
  const recordClaim = (set: TypedSet, pod: string, claim: string, e?: unknown): void => {
    if (e === undefined) recorder.event(set, "Normal", "SuccessfulCreate", `create Claim ${claim} Pod ${pod} in StatefulSet ${set.metadata.name} success`);
    else recorder.event(set, "Warning", "FailedCreate", `create Claim ${claim} for Pod ${pod} in StatefulSet ${set.metadata.name} failed error: ${messageOf(e)}`);
  };
  const claimsInCache = (set: TypedSet, pod: { metadata: { name: string } }): PersistentVolumeClaim[] =>
    claimsOf(set, ordinalOf(pod)).map(({ claim }) => claims.get(claim.metadata.namespace, claim.metadata.name)).filter((claim) => claim !== undefined);

  async function createClaims(set: TypedSet, pod: { metadata: { name: string } }, signal: AbortSignal): Promise<void> {
    const errors: string[] = [];
    for (const { claim } of claimsOf(set, ordinalOf(pod))) {
      const { namespace, name } = claim.metadata;
      const there = claims.get(namespace, name);
      if (there?.metadata.deletionTimestamp !== undefined) errors.push(`pvc ${name} is being deleted`);
      if (there !== undefined) continue;
      try {
        await client.persistentVolumeClaims.create(claim, signal);
        recordClaim(set, pod.metadata.name, name);
      } catch (e) {
        errors.push(`failed to create PVC ${name}: ${messageOf(e)}`);
        if (!isAlreadyExists(e)) recordClaim(set, pod.metadata.name, name, e);
      }
    }
    if (errors.length > 0) throw new Error(aggregate(errors));
  }

  async function updateClaimsForRetentionPolicy(set: TypedSet, pod: Pod, signal: AbortSignal): Promise<void> {
    const owner = typedPod(pod);
    for (const claim of claimsInCache(set, pod)) {
      if (isClaimOwnerUpToDate(claim, set, owner)) continue;
      try {
        await updateWith(client.persistentVolumeClaims, claim, (live) => withClaimOwner(live, set, owner), signal);
      } catch (e) {
        throw new Error(`could not update claim ${claim.metadata.name} for delete policy ownerRefs: ${messageOf(e)}`, { cause: e });
      }
    }
  }

  const claimsMatchRetentionPolicy = (set: TypedSet, pod: Pod): boolean => claimsInCache(set, pod).every((claim) => isClaimOwnerUpToDate(claim, set, typedPod(pod)));

  return {
    async create(set, draft, signal) {
      const pod = { metadata: { name: nameOf(draft) } };
      const attempt = async <R>(verb: string, act: () => Promise<R>): Promise<R> => {
        try {
          return await act();
        } catch (e) {
          if (!isAlreadyExists(e)) recordPod(verb, set, pod.metadata.name, e);
          throw e;
        }
      };
      await attempt("create", () => createClaims(set, pod, signal));
      const created = await attempt("create", () => client.pods.create(draft, signal));
      await attempt("update", () => updateClaimsForRetentionPolicy(set, created, signal));
      recordPod("create", set, pod.metadata.name);
      return created;
    },

    async update(set, pod, signal) {
      let attempted = false;
      try {
        if (!storageMatches(set, pod)) await createClaims(set, pod, signal);
        const claimsMatch = claimsMatchRetentionPolicy(set, pod);
        if (!claimsMatch) await updateClaimsForRetentionPolicy(set, pod, signal);
        if (identityMatches(set, pod) && storageMatches(set, pod) && claimsMatch) return;
        attempted = true;
        await updateWith(client.pods, pod, (live) => corrected(set, live), signal);
        recordPod("update", set, pod.metadata.name);
      } catch (e) {
        if (attempted || !isNotFound(e)) recordPod("update", set, pod.metadata.name, e);
        throw e;
      }
    },

    async delete(set, pod, signal) {
      try {
        await client.pods.delete(pod.metadata.namespace!, pod.metadata.name, undefined, signal);
      } catch (e) {
        recordPod("delete", set, pod.metadata.name, e);
        throw e;
      }
      recordPod("delete", set, pod.metadata.name);
    },

    createMissingClaims: (set, pod, signal) => createClaims(set, pod, signal),
    claimsMatchRetentionPolicy,
    updateClaimsForRetentionPolicy,
    isClaimStale(set, draft) {
      if (keepsWhenScaled(set)) return false;
      const pod = { kind: "Pod", apiVersion: "v1", metadata: { uid: "", ...draft.metadata } } as KubeObject;
      return claimsInCache(set, pod).some((claim) => hasStaleOwner(claim, pod));
    },
  };
}

/** Several errors as one text. Follows utilerrors.NewAggregate. */
const aggregate = (errors: readonly string[]): string => {
  const distinct = [...new Set(errors)];
  return distinct.length === 1 ? distinct[0]! : `[${distinct.join(", ")}]`;
};
