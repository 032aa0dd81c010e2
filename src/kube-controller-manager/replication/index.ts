/**
 * The ReplicationController controller: the one of ReplicaSets, with another selector. Follows
 * pkg/controller/replication (replication_controller.go, conversion.go).
 */
import type { ReplicaSet, ReplicationController } from "../../api/types.generated.ts";
import { nothing, selectorFromSet } from "../../apimachinery/selectors.ts";
import type { Controller } from "../../client/controller.ts";
import type { ControllerContext } from "../controller-context.ts";
import { newReplicaSetController } from "../replicaset/index.ts";

export function newReplicationController(context: ControllerContext): Controller {
  // The same shape but for the selector.
  return newReplicaSetController(context, undefined, "replicationControllers" as "replicaSets", "replication-controller", (rs: ReplicaSet) => {
    const { selector } = (rs as unknown as ReplicationController).spec;
    return selector === undefined ? nothing : selectorFromSet(selector);
  });
}
