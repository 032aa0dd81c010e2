/** The hash of a pod template in names and labels. */
import type { PodTemplateSpec } from "../api/types.generated.ts";
import { computeHash } from "../apimachinery/names.ts";

/** `pod-template-hash` of a ReplicaSet, `controller-revision-hash` of a DaemonSet's pods. Follows controller.ComputeHash. */
export const templateHash = (template: PodTemplateSpec, collisionCount: number | undefined): string => computeHash(template, collisionCount);
