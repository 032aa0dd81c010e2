/** certificatesigningrequests/NAME/approval: who may approve changes the conditions. Follows pkg/registry/certificates/certificates/strategy.go. */
import type { KubeObject } from "../../apimachinery/meta.ts";
import { formatTime } from "../../apimachinery/time.ts";
import type { SubresourceUpdate } from "../registry/descriptor.ts";

interface Condition {
  type: string;
  lastUpdateTime?: string | null;
  lastTransitionTime?: string | null;
}

type Request = KubeObject & { spec: unknown; status: { conditions?: Condition[]; certificate?: string } };

export const approval: SubresourceUpdate = {
  prepare(changed, was, { clock }) {
    const object = changed as Request;
    const old = was as Request;
    object.spec = old.spec;
    const { conditions } = object.status;
    object.status = { ...old.status, ...(conditions === undefined ? {} : { conditions }) };
    const now = formatTime(clock.nowMs());
    for (const condition of conditions ?? []) {
      condition.lastUpdateTime ??= now;
      condition.lastTransitionTime ??= now;
    }
  },
  validate(changed, was, errors) {
    const conditions = (changed as Request).status.conditions ?? [];
    const types = new Set(conditions.map(({ type }) => type));
    if (types.has("Approved") && types.has("Denied")) {
      const at = Math.max(conditions.findIndex(({ type }) => type === "Approved"), conditions.findIndex(({ type }) => type === "Denied"));
      errors.invalid(`status.conditions[${at}].type`, conditions[at]!.type, "Approved and Denied conditions are mutually exclusive");
    }
    for (const type of ["Approved", "Denied"])
      if (((was as Request).status.conditions ?? []).some((c) => c.type === type) && !types.has(type)) errors.forbidden("status.conditions", `updates may not remove a condition of type ${JSON.stringify(type)}`);
  },
};
