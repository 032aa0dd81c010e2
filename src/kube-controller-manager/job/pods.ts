/** Questions that the Job controller asks of pods. Pure. Follows pkg/controller/job/job_controller.go and tracking_utils.go. */
import type { Job, Pod } from "../../api/types.generated.ts";
import { isTerminating } from "../controller-utils.ts";

/** Keeps a pod until its Job has counted it. */
export const TRACKING_FINALIZER = "batch.kubernetes.io/job-tracking";

export const hasFinalizer = (pod: Pod): boolean => pod.metadata.finalizers?.includes(TRACKING_FINALIZER) === true;

/** Whether a pod has to be Failed before it is replaced; being deleted is not enough. Follows onlyReplaceFailedPods. */
export const onlyReplaceFailedPods = ({ spec }: Job): boolean => spec.podReplacementPolicy === "Failed" || spec.podFailurePolicy !== undefined;

/** Follows isPodFailed. */
export function isPodFailed(pod: Pod, job: Job): boolean {
  if (pod.status.phase === "Failed") return true;
  return !onlyReplaceFailedPods(job) && isTerminating(pod) && pod.status.phase !== "Succeeded";
}

export const isSuspended = (job: Job): boolean => job.spec.suspend === true;

/** Complete or Failed. Follows util.IsJobFinished. */
export const finishedType = (job: Job): "Complete" | "Failed" | undefined =>
  job.status.conditions?.find(({ type, status }) => (type === "Complete" || type === "Failed") && status === "True")?.type as "Complete" | "Failed" | undefined;

/** Jobs of another controller are left alone. Follows managedByExternalController. */
export const isManagedElsewhere = (job: Job): boolean => job.spec.managedBy !== undefined && job.spec.managedBy !== "kubernetes.io/job-controller";
