/**
 * The admission plugins that upstream has on by default, in its order. Follows pkg/kubeapiserver/options/plugins.go (AllOrderedPlugins,
 * DefaultOffAdmissionPlugins). NamespaceLifecycle is a step of the server's own (`handlers.ts`).
 */
import type { Admission, AdmissionContext, AdmissionRequest } from "../../extension.ts";
import { confirmNoEscalation } from "../escalation.ts";
import { defaultTolerationSeconds, taintNodesByCondition } from "./defaults.ts";
import { certificateApproval, certificateSigning, certificateSubjectRestriction } from "./certificates.ts";
import { defaultIngressClass } from "./ingress-class.ts";
import { limitRanger } from "./limit-ranger.ts";
import { nodeRestriction } from "./node-restriction.ts";
import { podSecurity } from "./pod-security/index.ts";
import { priority } from "./priority.ts";
import { resourceQuota } from "./resource-quota.ts";
import { runtimeClass } from "./runtime-class.ts";
import { serviceAccount } from "./service-account.ts";
import { defaultStorageClass, persistentVolumeClaimResize, storageObjectInUseProtection } from "./storage.ts";
import type { AdmissionPlugin } from "./types.ts";
import { validatingAdmissionPolicy } from "./validating-admission-policy.ts";
import { mutatingAdmissionWebhook, validatingAdmissionWebhook } from "./webhooks.ts";

const PLUGINS: readonly AdmissionPlugin[] = [
  limitRanger,
  serviceAccount,
  nodeRestriction,
  taintNodesByCondition,
  podSecurity,
  priority,
  defaultTolerationSeconds,
  defaultStorageClass,
  storageObjectInUseProtection,
  persistentVolumeClaimResize,
  runtimeClass,
  certificateApproval,
  certificateSigning,
  certificateSubjectRestriction,
  defaultIngressClass,
  mutatingAdmissionWebhook,
  validatingAdmissionPolicy,
  validatingAdmissionWebhook,
  // Last: what another plugin refuses is not charged.
  resourceQuota,
];

/** The plugins that look at a resource. */
function pluginsOf(resource: string): readonly AdmissionPlugin[] {
  let found = byResource.get(resource);
  if (found === undefined) byResource.set(resource, (found = PLUGINS.filter(({ resources }) => resources?.includes(resource) ?? true)));
  return found;
}
const byResource = new Map<string, readonly AdmissionPlugin[]>();

/** The chain of all plugins. */
export function createAdmission(context: AdmissionContext): Admission {
  return {
    async admit(request: AdmissionRequest) {
      for (const plugin of pluginsOf(request.descriptor.name.resource)) {
        const pending = plugin.admit?.(request, context);
        if (pending !== undefined) await pending;
      }
      // No plugin upstream, a step of the registry: behind what changes the object, before validation.
      await confirmNoEscalation(request, context);
    },
    async validate(request: AdmissionRequest) {
      for (const plugin of pluginsOf(request.descriptor.name.resource)) {
        if (request.operation === "DELETE" && plugin.deletions !== true) continue;
        const pending = plugin.validate?.(request, context);
        if (pending !== undefined) await pending;
      }
    },
  };
}
