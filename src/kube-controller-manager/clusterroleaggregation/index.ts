/** ClusterRoles made of others. Follows pkg/controller/clusterroleaggregation/clusterroleaggregation_controller.go. */
import { ALL_RESOURCES } from "../../api/more-resources.ts";
import { pathOf } from "../../api/resources.ts";
import type { PolicyRule } from "../../api/types.generated.ts";
import { deepEqual, keyOf } from "../../apimachinery/meta.ts";
import { labelSelector, matches } from "../../apimachinery/selectors.ts";
import { ApiError, type Status } from "../../apimachinery/status.ts";
import { done, type Controller } from "../../client/controller.ts";
import type { ControllerContext } from "../controller-context.ts";

const MANAGER = "clusterrole-aggregation-controller";

export function newClusterRoleAggregationController({ informers, transport }: ControllerContext): Controller {
  const roles = informers.informer("clusterRoles");
  return {
    name: MANAGER,
    setup(queue) {
      // Any role may be a part of any that aggregates.
      const enqueue = (): void => {
        for (const role of roles.list()) if (role.aggregationRule !== undefined) queue.add(keyOf(role));
      };
      roles.addHandler({ add: enqueue, update: enqueue, delete: enqueue });
    },
    async reconcile(name, signal) {
      const role = roles.getByKey(name);
      if (role?.aggregationRule === undefined) return done;
      const rules: PolicyRule[] = [];
      for (const selector of role.aggregationRule.clusterRoleSelectors ?? []) {
        const wanted = labelSelector(selector);
        const parts = roles.list().filter(({ metadata }) => metadata.name !== name && matches(wanted, metadata.labels)).sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
        for (const { rules: own } of parts) for (const rule of own ?? []) if (!rules.some((known) => deepEqual(known, rule))) rules.push(rule);
      }
      if (deepEqual(rules, role.rules ?? [])) return done;
      const path = `${pathOf(ALL_RESOURCES.clusterRoles, "", name)}?fieldManager=${MANAGER}&force=true`;
      const body = { apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRole", metadata: { name }, rules };
      const answer = await transport({ method: "PATCH", path, headers: { "user-agent": MANAGER, "content-type": "application/apply-patch+yaml" }, body }, signal);
      if (answer.status >= 400) throw new ApiError(answer.body as Status);
      return done;
    },
  };
}
