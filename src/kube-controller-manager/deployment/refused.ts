/** A ReplicaSet that the server refuses to create, told by an event and a condition. Follows getNewReplicaSet of pkg/controller/deployment/sync.go. */
import type { Deployment } from "../../api/types.generated.ts";
import type { KubeObject } from "../../apimachinery/meta.ts";
import { isNamespaceTerminating } from "../../apimachinery/status.ts";
import type { ControllerContext } from "../controller-context.ts";
import { messageOf } from "../controller-utils.ts";
import { hasDeadline, withCondition } from "./plan.ts";

const REASON = "ReplicaSetCreateError";

export function tellOfRefused({ client, clock, recorder }: ControllerContext): (d: Deployment & KubeObject, name: string, why: unknown, signal: AbortSignal) => Promise<void> {
  const events = recorder("deployment-controller");
  return async (d, name, why, signal) => {
    // In a namespace that goes nothing more can be done.
    if (isNamespaceTerminating(why)) return;
    const message = `Failed to create new replica set "${name}": ${messageOf(why)}`;
    events.event(d, "Warning", REASON, message);
    if (!hasDeadline(d)) return;
    const conditions = withCondition(d.status.conditions ?? [], "Progressing", "False", REASON, message, clock.nowMs());
    // Whether that is written matters less than the failure itself.
    await client.deployments.updateStatus({ ...d, status: { ...d.status, conditions } }, signal).catch(() => undefined);
  };
}
