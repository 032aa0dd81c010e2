/** podFailurePolicy and successPolicy. Pure. Follows pkg/controller/job/pod_failure_policy.go and success_policy.go. */
import type { ContainerStatus, Pod, PodFailurePolicy, PodFailurePolicyRule, SuccessPolicy } from "../../api/types.generated.ts";
import { Indexes } from "./intervals.ts";

export interface FailureMatch {
  /** Why the whole Job fails. */
  message?: string;
  /** Whether the failure counts towards backoffLimit. */
  counts: boolean;
  action?: PodFailurePolicyRule["action"];
}

/** What the first rule that fits says about a failed pod. Follows matchPodFailurePolicy. */
export function matchFailurePolicy(policy: PodFailurePolicy | undefined, pod: Pod): FailureMatch {
  for (const [index, rule] of (policy?.rules ?? []).entries()) {
    const { action } = rule;
    const why = rule.onExitCodes !== undefined ? exitCodeMatch(pod, rule) : conditionMatch(pod, rule);
    if (why === undefined) continue;
    if (action === "Ignore") return { counts: false, action };
    if (action === "FailJob") return { counts: true, action, message: `${why} matching ${action} rule at index ${index}` };
    if (action === "FailIndex" || action === "Count") return { counts: true, action };
  }
  return { counts: true };
}

function exitCodeMatch({ metadata, status }: Pod, { onExitCodes }: PodFailurePolicyRule): string | undefined {
  const { containerName, operator, values } = onExitCodes!;
  const fits = ({ name, state }: ContainerStatus): boolean => {
    const code = state?.terminated?.exitCode;
    if (code === undefined || code === 0 || (containerName !== undefined && containerName !== name)) return false;
    return values.includes(code) === (operator === "In");
  };
  const found = status.containerStatuses?.find(fits) ?? status.initContainerStatuses?.find(fits);
  return found === undefined ? undefined : `Container ${found.name} for pod ${metadata.namespace}/${metadata.name} failed with exit code ${found.state!.terminated!.exitCode}`;
}

function conditionMatch({ metadata, status }: Pod, { onPodConditions }: PodFailurePolicyRule): string | undefined {
  const found = status.conditions?.find((c) => onPodConditions?.some((pattern) => pattern.type === c.type && pattern.status === c.status) === true);
  return found === undefined ? undefined : `Pod ${metadata.namespace}/${metadata.name} has condition ${found.type}`;
}

/** The message of the first rule that is met. Follows matchSuccessPolicy. */
export function matchSuccessPolicy(policy: SuccessPolicy | undefined, completions: number, succeeded: Indexes): string | undefined {
  if (succeeded.total === 0) return undefined;
  for (const [index, { succeededIndexes, succeededCount }] of (policy?.rules ?? []).entries()) {
    let met = false;
    if (succeededIndexes !== undefined) {
      const wanted = Indexes.parse(succeededIndexes, completions);
      met = wanted.common(succeeded) >= (succeededCount ?? wanted.total);
    } else if (succeededCount !== undefined) met = succeeded.total >= succeededCount;
    if (met) return `Matched rules at index ${index}`;
  }
  return undefined;
}
