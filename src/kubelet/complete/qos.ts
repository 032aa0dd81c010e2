/** Quality of service. Follows kubernetes pkg/apis/core/v1/helper/qos. */
import type { Pod } from "../../api/types.generated.ts";

/** ComputePodQOS. */
export function qosClass(pod: Pod): string {
  let any = false, guaranteed = true;
  for (const { resources } of [...pod.spec.containers, ...(pod.spec.initContainers ?? [])]) {
    const requests = resources?.requests ?? {}, limits = resources?.limits ?? {};
    for (const name of ["cpu", "memory"]) {
      if (requests[name] !== undefined || limits[name] !== undefined) any = true;
      if (limits[name] === undefined || (requests[name] ?? limits[name]) !== limits[name]) guaranteed = false;
    }
  }
  return !any ? "BestEffort" : guaranteed ? "Guaranteed" : "Burstable";
}
