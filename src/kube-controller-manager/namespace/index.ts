/**
 * The namespace controller: empties a namespace that is being deleted, then lets it go. Follows
 * pkg/controller/namespace/deletion/namespaced_resources_deleter.go.
 */
import { RESOURCES } from "../../api/resources.ts";
import { keyOf } from "../../apimachinery/meta.ts";
import { isConflict, isNotFound } from "../../apimachinery/status.ts";
import { done, requeueAfter } from "../../client/controller.ts";
import type { Controller } from "../../client/controller.ts";
import type { ControllerContext } from "../controller-context.ts";

/** How soon a namespace with content left is looked at again. */
const RETRY_MS = 1000;

export function newNamespaceController({ client, informers }: ControllerContext): Controller {
  const namespaces = informers.informer("namespaces");
  return {
    name: "namespace-controller",
    setup(queue) {
      const enqueue = (namespace: Parameters<typeof keyOf>[0] & { metadata: { deletionTimestamp?: string | undefined } }): void => {
        if (namespace.metadata.deletionTimestamp !== undefined) queue.add(keyOf(namespace));
      };
      namespaces.addHandler({ add: enqueue, update: enqueue });
    },
    async reconcile(key, signal) {
      const namespace = namespaces.getByKey(key);
      if (namespace?.metadata.deletionTimestamp === undefined) return done;
      let left = 0;
      for (const resource of Object.values(RESOURCES)) {
        if (!resource.namespaced) continue;
        const target = client.resource(resource);
        await target.deleteCollection(key, {}, { propagationPolicy: "Background" }, signal);
        left += (await target.list(key, { limit: 1 }, signal)).items.length;
      }
      if (left > 0) return requeueAfter(RETRY_MS);
      const finalizers = (namespace.spec.finalizers ?? []).filter((f) => f !== "kubernetes");
      try {
        await client.namespaces.subresource("PUT", "", key, "finalize", { ...namespace, spec: { ...namespace.spec, finalizers } }, signal);
      } catch (e) {
        if (!isNotFound(e) && !isConflict(e)) throw e;
      }
      return done;
    },
  };
}
