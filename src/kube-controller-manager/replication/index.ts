/**
 * The ReplicationController controller: the one of ReplicaSets, with another selector. Follows
 * pkg/controller/replication (replication_controller.go, conversion.go).
 */
import type { ReplicaSet, ReplicationController } from "../../api/types.generated.ts";
import { nothing, selectorFromSet } from "../../apimachinery/selectors.ts";
import type { Controller } from "../../client/controller.ts";
import type { ControllerContext } from "../controller-context.ts";
import { newControllerOf } from "../replicaset/index.ts";

export function newReplicationController(context: ControllerContext): Controller {
  return newControllerOf(context, {
    name: "replicationcontroller-controller",
    component: "replication-controller",
    // The same shape but for the selector.
    resource: "replicationControllers" as "replicaSets",
    selectorOf(rs: ReplicaSet) {
      const { selector } = (rs as unknown as ReplicationController).spec;
      return selector === undefined ? nothing : selectorFromSet(selector);
    },
  });
}
