/**
 * Pods that come from the node itself, and the mirrors by which the API server shows them. Follows kubernetes pkg/kubelet/config
 * (common.go: applyDefaults), pkg/kubelet/types/pod_update.go and pkg/kubelet/pod/mirror_client.go.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import type { Node, Pod } from "../../api/types.generated.ts";
import { isAlreadyExists, isNotFound } from "../../apimachinery/status.ts";
import type { Client } from "../../client/client.ts";
import type { Logger } from "../../log.ts";

export type Source = "file" | "http";

const SOURCE = "kubernetes.io/config.source", HASH = "kubernetes.io/config.hash", SEEN = "kubernetes.io/config.seen", MIRROR = "kubernetes.io/config.mirror";

export const isStatic = ({ metadata: { annotations } }: Pod): boolean => annotations?.[SOURCE] !== undefined && annotations[SOURCE] !== "api";
export const isMirror = ({ metadata: { annotations } }: Pod): boolean => annotations?.[MIRROR] !== undefined;

/** What a manifest becomes on a node: a name with the node's, an identity of its contents. */
export function staticPod(manifest: Pod, source: Source, nodeName: string, nowText: string): Pod {
  const { metadata, spec } = manifest;
  const digest = sha256(new TextEncoder().encode(JSON.stringify([manifest, nodeName, source])));
  const hash = [...digest.subarray(0, 16)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return {
    ...manifest, apiVersion: "v1", kind: "Pod",
    metadata: {
      ...metadata, name: `${metadata.name}-${nodeName.toLowerCase()}`, namespace: metadata.namespace ?? "default", uid: hash,
      annotations: { ...metadata.annotations, [HASH]: hash, [SEEN]: nowText, [SOURCE]: source },
    },
    spec: {
      restartPolicy: "Always", terminationGracePeriodSeconds: 30, dnsPolicy: "ClusterFirst", enableServiceLinks: true, ...spec, nodeName,
      tolerations: [...(spec.tolerations ?? []), { operator: "Exists", effect: "NoExecute" }],
    },
    status: { phase: "Pending" },
  } as Pod;
}

/** Makes the API server show static pods. */
export class Mirrors {
  private readonly client: Client;
  private readonly log: Logger;
  private readonly nodeName: string;
  private readonly working = new Map<string, Promise<void>>();

  constructor(client: Client, log: Logger, nodeName: string) {
    this.client = client;
    this.log = log;
    this.nodeName = nodeName;
  }

  /** Makes it, or makes it anew where it mirrors an older one. */
  create(pod: Pod, known: Pod | undefined): void {
    if (known?.metadata.annotations?.[MIRROR] === pod.metadata.uid && known.metadata.deletionTimestamp === undefined) return;
    this.then(pod, async () => {
      if (known !== undefined) await this.remove(known);
      const node: Node = await this.client.nodes.get("", this.nodeName);
      const { annotations, labels, name, namespace } = pod.metadata;
      try {
        await this.client.pods.create({
          metadata: {
            name, namespace, ...(labels === undefined ? {} : { labels }), annotations: { ...annotations, [MIRROR]: pod.metadata.uid },
            ownerReferences: [{ apiVersion: "v1", kind: "Node", name: node.metadata.name, uid: node.metadata.uid, controller: true }],
          },
          spec: pod.spec,
        } as never);
      } catch (error) {
        if (!isAlreadyExists(error)) throw error;
      }
    });
  }

  delete(mirror: Pod): void {
    this.then(mirror, () => this.remove(mirror));
  }

  private async remove({ metadata: { namespace, name, uid } }: Pod): Promise<void> {
    try {
      await this.client.pods.delete(namespace ?? "default", name, { gracePeriodSeconds: 0, preconditions: { uid } });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  private then({ metadata: { namespace, name } }: Pod, work: () => Promise<void>): void {
    const key = `${namespace ?? "default"}/${name}`;
    const done = (this.working.get(key) ?? Promise.resolve()).then(work).catch((error: unknown) => {
      this.log.error("Failed to create or delete a mirror pod", { pod: key, err: String(error) });
    });
    this.working.set(key, done);
  }
}
