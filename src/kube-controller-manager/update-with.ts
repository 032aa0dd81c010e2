/** Updates that are tried again with the newest version after a conflict. Follows k8s.io/client-go/util/retry.RetryOnConflict. */
import type { ObjectMeta } from "../api/types.generated.ts";
import type { Draft } from "../apimachinery/meta.ts";
import { isConflict } from "../apimachinery/status.ts";
import type { ResourceClient } from "../client/client.ts";

/** How often it is tried (retry.DefaultBackoff has 4 steps, DefaultRetry 5). */
const ATTEMPTS = 5;

/** Writes `change(object)`; the server's answer. Throws the conflict when all attempts met one, and when the object is another one by now. */
export async function updateWith<T extends { metadata: ObjectMeta }>(client: ResourceClient<T>, object: T, change: (object: T) => T, signal: AbortSignal): Promise<T> {
  let current = object;
  for (let attempt = 1; ; attempt++) {
    try {
      return await client.update(change(current) as Draft<T>, signal);
    } catch (e) {
      if (!isConflict(e) || attempt >= ATTEMPTS) throw e;
      current = await client.get(object.metadata.namespace ?? "", object.metadata.name, signal);
      if (current.metadata.uid !== object.metadata.uid) throw e;
    }
  }
}
