/**
 * The ServiceAccounts of the controllers (`--use-service-account-credentials`), in kube-system, made with their clients. Follows
 * k8s.io/controller-manager/pkg/clientbuilder (getOrCreateServiceAccount) and the names in cmd/kube-controller-manager/app.
 */
import { isAlreadyExists } from "../apimachinery/status.ts";
import type { Client } from "../client/client.ts";

const ACCOUNTS: Readonly<Record<string, readonly string[]>> = {
  "certificatesigningrequest-signing-controller": ["certificate-controller"],
  "clusterrole-aggregation-controller": ["clusterrole-aggregation-controller"],
  "cronjob-controller": ["cronjob-controller"],
  "daemonset-controller": ["daemon-set-controller"],
  "deployment-controller": ["deployment-controller"],
  "disruption-controller": ["disruption-controller"],
  "endpoints-controller": ["endpoint-controller"],
  "endpointslice-controller": ["endpointslice-controller"],
  "endpointslice-mirroring-controller": ["endpointslicemirroring-controller"],
  "ephemeral-volume-controller": ["ephemeral-volume-controller"],
  "garbage-collector-controller": ["generic-garbage-collector"],
  "horizontal-pod-autoscaler-controller": ["horizontal-pod-autoscaler"],
  "job-controller": ["job-controller"],
  "legacy-serviceaccount-token-cleaner-controller": ["legacy-service-account-token-cleaner"],
  "namespace-controller": ["namespace-controller"],
  "node-lifecycle-controller": ["node-controller"],
  "persistentvolume-attach-detach-controller": ["attachdetach-controller"],
  "persistentvolume-binder-controller": ["persistent-volume-binder"],
  "persistentvolume-expander-controller": ["expand-controller"],
  "persistentvolume-protection-controller": ["pv-protection-controller"],
  "persistentvolumeclaim-protection-controller": ["pvc-protection-controller"],
  "pod-garbage-collector-controller": ["pod-garbage-collector"],
  "replicaset-controller": ["replicaset-controller"],
  "replicationcontroller-controller": ["replication-controller"],
  "resourcequota-controller": ["resourcequota-controller"],
  // The second one is that of the ConfigMaps which the recorded server's distribution adds.
  "root-ca-certificate-publisher-controller": ["root-ca-cert-publisher", "service-ca-cert-publisher"],
  "serviceaccount-controller": ["service-account-controller"],
  "statefulset-controller": ["statefulset-controller"],
  "ttl-after-finished-controller": ["ttl-after-finished-controller"],
  "ttl-controller": ["ttl-controller"],
  "validatingadmissionpolicy-status-controller": ["validatingadmissionpolicy-status-controller"],
};

/** Makes those of the controllers named. Throws ApiError. */
export async function makeAccounts(client: Client, controllers: readonly string[], signal: AbortSignal): Promise<void> {
  for (const controller of controllers) {
    for (const name of ACCOUNTS[controller] ?? []) {
      try {
        await client.serviceAccounts.create({ metadata: { name, namespace: "kube-system" } }, signal);
      } catch (e) {
        if (!isAlreadyExists(e)) throw e;
      }
    }
  }
}
