/** Groups that belong to the Kubernetes project, and their approval. Follows k8s.io/apiextensions-apiserver/pkg/apihelpers/helpers.go. */

export type ApprovalState = "approved" | "bypassed" | "missing" | "invalid";

/** `k8s.io` and `kubernetes.io` with what is below them. */
export const isProtectedGroup = (group: string): boolean => /(^|\.)(k8s|kubernetes)\.io$/.test(group);

const ANNOTATION = "api-approved.kubernetes.io";

export function apiApproval(annotations: Readonly<Record<string, string>> | undefined): { state: ApprovalState; reason: string } {
  const value = annotations?.[ANNOTATION] ?? "";
  if (value === "") return { state: "missing", reason: `protected groups must have approval annotation "${ANNOTATION}", see https://github.com/kubernetes/enhancements/pull/1111` };
  if (value.startsWith("unapproved")) return { state: "bypassed", reason: `not approved: "${value}"` };
  if (/^[a-zA-Z][a-zA-Z0-9+.-]*:\/\/[^/]/.test(value)) return { state: "approved", reason: `approved in ${value}` };
  return { state: "invalid", reason: `protected groups must have approval annotation "${ANNOTATION}" with either a URL or a reason starting with "unapproved", see https://github.com/kubernetes/enhancements/pull/1111` };
}
