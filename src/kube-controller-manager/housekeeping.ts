/** The controllers of a complete cluster that look after namespaces, nodes, volumes, Services and owners: beside the core's, or in place of those of the same name. */
import { newApprovingController, newCertificateCleaner, newSigningController } from "./certificates/index.ts";
import { newClusterRoleAggregationController } from "./clusterroleaggregation/index.ts";
import { newEndpointController } from "./endpoint/index.ts";
import { newFullEndpointSliceController } from "./endpointslice/controller.ts";
import { newEndpointSliceMirroringController } from "./endpointslicemirroring/index.ts";
import { newGarbageCollectorByDiscovery } from "./garbagecollector/collector.ts";
import type { ControllerInitializer } from "./initializers.ts";
import { newNamespaceDeleter } from "./namespace/deleter.ts";
import { newNodeLifecycleMonitor } from "./nodelifecycle/monitor.ts";
import { newPodGCController } from "./podgc/index.ts";
import { newResourceQuotaController } from "./resourcequota/index.ts";
import { newServiceAccountController } from "./serviceaccount/index.ts";
import { newLegacyTokenCleaner } from "./serviceaccount/legacy-tokens.ts";
import { newRootCACertPublisher } from "./serviceaccount/root-ca.ts";
import { newTokensController } from "./serviceaccount/tokens.ts";
import { newTaintEvictionController } from "./tainteviction/index.ts";
import { newTTLController } from "./ttl/index.ts";
import { newAttachDetachController } from "./volume/attachdetach.ts";
import { newPersistentVolumeBinder } from "./volume/binder.ts";
import { newEphemeralVolumeController } from "./volume/ephemeral.ts";
import { newExpandController } from "./volume/expand.ts";
import { newClaimProtectionController, newVolumeProtectionController } from "./volume/protection.ts";
import { newHostPathProvisioner, PROVISIONER } from "./volume/provisioner.ts";

export const HOUSEKEEPING_CONTROLLERS: readonly ControllerInitializer[] = [
  { name: "serviceaccount-controller", make: newServiceAccountController },
  { name: "serviceaccount-token-controller", make: newTokensController },
  { name: "legacy-serviceaccount-token-cleaner-controller", make: newLegacyTokenCleaner },
  { name: "root-ca-certificate-publisher-controller", make: newRootCACertPublisher },
  { name: "endpoints-controller", make: newEndpointController },
  { name: "endpointslice-controller", make: newFullEndpointSliceController },
  { name: "endpointslice-mirroring-controller", make: newEndpointSliceMirroringController },
  { name: "namespace-controller", make: newNamespaceDeleter },
  { name: "resourcequota-controller", make: newResourceQuotaController },
  { name: "pod-garbage-collector-controller", make: newPodGCController },
  { name: "node-lifecycle-controller", make: newNodeLifecycleMonitor },
  { name: "taint-eviction-controller", make: newTaintEvictionController },
  { name: "ttl-controller", make: newTTLController },
  { name: "clusterrole-aggregation-controller", make: newClusterRoleAggregationController },
  { name: "persistentvolume-binder-controller", make: newPersistentVolumeBinder },
  { name: PROVISIONER, make: newHostPathProvisioner },
  { name: "persistentvolume-protection-controller", make: newVolumeProtectionController },
  { name: "persistentvolumeclaim-protection-controller", make: newClaimProtectionController },
  { name: "ephemeral-volume-controller", make: newEphemeralVolumeController },
  { name: "persistentvolume-expander-controller", make: newExpandController },
  { name: "persistentvolume-attach-detach-controller", make: newAttachDetachController },
  { name: "certificatesigningrequest-approving-controller", make: newApprovingController },
  { name: "certificatesigningrequest-signing-controller", make: newSigningController },
  { name: "certificatesigningrequest-cleaner-controller", make: newCertificateCleaner },
  { name: "garbage-collector-controller", make: newGarbageCollectorByDiscovery },
];
