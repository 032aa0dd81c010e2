/** Deletes finished Jobs when their time to live is over. Follows pkg/controller/ttlafterfinished/ttlafterfinished_controller.go. */
import type { Job } from "../../api/types.generated.ts";
import { keyOf, splitKey } from "../../apimachinery/meta.ts";
import { isNotFound } from "../../apimachinery/status.ts";
import { parseTime } from "../../apimachinery/time.ts";
import { done, requeueAfter } from "../../client/controller.ts";
import type { Controller } from "../../client/controller.ts";
import type { ControllerContext } from "../controller-context.ts";
import { isTerminating } from "../controller-utils.ts";

export function newTTLAfterFinishedController({ client, clock, informers }: ControllerContext): Controller {
  const jobs = informers.informer("jobs");

  /** Milliseconds left of a finished Job with a ttl; undefined for others. Follows timeLeft. */
  function msLeft(job: Job): number | undefined {
    const { ttlSecondsAfterFinished } = job.spec;
    const finished = job.status.conditions?.find(({ type, status }) => (type === "Complete" || type === "Failed") && status === "True");
    if (isTerminating(job) || ttlSecondsAfterFinished === undefined || finished === undefined) return undefined;
    const at = parseTime(finished.lastTransitionTime ?? "");
    if (at === undefined) throw new Error(`unable to find the time when the Job ${keyOf(job)} finished`);
    return at + ttlSecondsAfterFinished * 1000 - clock.nowMs();
  }

  return {
    name: "ttl-after-finished-controller",
    setup(queue) {
      const enqueue = (job: Job): void => {
        if (msLeft(job) !== undefined) queue.add(keyOf(job));
      };
      jobs.addHandler({ add: enqueue, update: enqueue });
    },
    async reconcile(key, signal) {
      const { namespace, name } = splitKey(key);
      const cached = jobs.get(namespace, name);
      const left = cached === undefined ? undefined : msLeft(cached);
      if (left === undefined) return done;
      if (left > 0) return requeueAfter(left);
      try {
        // The ttl may have been made longer a moment ago.
        const fresh = await client.jobs.get(namespace, name, signal);
        const now = msLeft(fresh);
        if (now === undefined) return done;
        if (now > 0) return requeueAfter(now);
        await client.jobs.delete(namespace, name, { propagationPolicy: "Foreground", preconditions: { uid: fresh.metadata.uid } }, signal);
      } catch (e) {
        if (!isNotFound(e)) throw e;
      }
      return done;
    },
  };
}
