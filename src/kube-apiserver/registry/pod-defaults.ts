/**
 * Defaults of pods and pod templates. Follows pkg/apis/core/v1/defaults.go (SetDefaults_PodSpec, _Container, _Probe …).
 */
import type { Container, LifecycleHandler, Pod, PodSpec, PodTemplateSpec, Probe, Volume } from "../../api/types.generated.ts";

/** Everything a template's pod spec gets; a Pod gets more, see {@link setPodDefaults}. */
export function setPodSpecDefaults(spec: PodSpec): void {
  spec.dnsPolicy ??= "ClusterFirst";
  spec.restartPolicy ??= "Always";
  spec.securityContext ??= {};
  spec.terminationGracePeriodSeconds ??= 30;
  spec.schedulerName ??= "default-scheduler";
  // The old name and the new one are kept equal (conversion of the core types).
  const account = spec.serviceAccountName ?? spec.serviceAccount;
  if (account !== undefined) {
    spec.serviceAccountName = account;
    spec.serviceAccount = account;
  }
  for (const volume of spec.volumes ?? []) setVolumeDefaults(volume);
  for (const list of [spec.initContainers, spec.containers]) for (const container of list ?? []) setContainerDefaults(container, spec);
  for (const container of spec.ephemeralContainers ?? []) setContainerDefaults(container as unknown as Container, spec);
}

export function setPodTemplateDefaults(template: PodTemplateSpec): void {
  setPodSpecDefaults(template.spec);
}

/** Follows SetDefaults_Pod: limits become requests, and service links are on. */
export function setPodDefaults(pod: Pod): void {
  setPodSpecDefaults(pod.spec);
  for (const list of [pod.spec.initContainers, pod.spec.containers]) {
    for (const { resources } of list ?? []) {
      if (resources?.limits === undefined) continue;
      resources.requests = { ...resources.limits, ...resources.requests };
    }
  }
  pod.spec.enableServiceLinks ??= true;
  pod.status.phase ??= "Pending";
  // One address under its old name and its new one (conversion of the core types).
  const { status } = pod;
  if (status.podIP !== undefined && (status.podIPs ?? []).length === 0) status.podIPs = [{ ip: status.podIP }];
  else if (status.podIP === undefined && status.podIPs?.[0] !== undefined) status.podIP = status.podIPs[0].ip;
}

function setVolumeDefaults(volume: Volume): void {
  if (Object.keys(volume).length === 1) volume.emptyDir = {};
  if (volume.secret !== undefined) volume.secret.defaultMode ??= 420;
  if (volume.configMap !== undefined) volume.configMap.defaultMode ??= 420;
  if (volume.hostPath !== undefined) volume.hostPath.type ??= "";
  for (const item of volume.downwardAPI?.items ?? []) if (item.fieldRef !== undefined) item.fieldRef.apiVersion ??= "v1";
  if (volume.downwardAPI !== undefined) volume.downwardAPI.defaultMode ??= 420;
  if (volume.ephemeral?.volumeClaimTemplate !== undefined) volume.ephemeral.volumeClaimTemplate.spec.volumeMode ??= "Filesystem";
  if (volume.projected === undefined) return;
  volume.projected.defaultMode ??= 420;
  for (const source of volume.projected.sources ?? []) {
    if (source.serviceAccountToken !== undefined) source.serviceAccountToken.expirationSeconds ??= 3600;
    for (const item of source.downwardAPI?.items ?? []) if (item.fieldRef !== undefined) item.fieldRef.apiVersion ??= "v1";
  }
}

function setContainerDefaults(container: Container, spec: PodSpec): void {
  for (const port of container.ports ?? []) {
    port.protocol ??= "TCP";
    if (spec.hostNetwork === true) port.hostPort ??= port.containerPort;
  }
  for (const { valueFrom } of container.env ?? []) if (valueFrom?.fieldRef !== undefined) valueFrom.fieldRef.apiVersion ??= "v1";
  for (const probe of [container.livenessProbe, container.readinessProbe, container.startupProbe])
    if (probe !== undefined) setProbeDefaults(probe);
  setHandlerDefaults(container.lifecycle?.postStart);
  setHandlerDefaults(container.lifecycle?.preStop);
  container.terminationMessagePath ??= "/dev/termination-log";
  container.terminationMessagePolicy ??= "File";
  container.imagePullPolicy ??= imageTag(container.image ?? "") === "latest" ? "Always" : "IfNotPresent";
}

function setProbeDefaults(probe: Probe): void {
  setHandlerDefaults(probe);
  probe.timeoutSeconds ??= 1;
  probe.periodSeconds ??= 10;
  probe.successThreshold ??= 1;
  probe.failureThreshold ??= 3;
  if (probe.grpc !== undefined) probe.grpc.service ??= "";
}

function setHandlerDefaults(handler: LifecycleHandler | Probe | undefined): void {
  if (handler?.httpGet === undefined) return;
  handler.httpGet.path ??= "/";
  handler.httpGet.scheme ??= "HTTP";
}

const IMAGE = /^(?:[a-zA-Z0-9][-.a-zA-Z0-9]*(?::\d+)?\/)?[a-z0-9]+(?:(?:\.|__?|-+|\/)[a-z0-9]+)*(?::\w[-.\w]{0,127})?(?:@[A-Za-z][-+._A-Za-z0-9]*:[0-9a-fA-F]{32,})?$/;

/** The tag of an image reference; `latest` without one, "" with only a digest or without sense. Follows parsers.ParseImageName. */
function imageTag(image: string): string {
  if (image.length > 255 || !IMAGE.test(image)) return "";
  const at = image.indexOf("@");
  const name = at < 0 ? image : image.slice(0, at);
  const colon = name.lastIndexOf(":");
  if (colon > name.lastIndexOf("/")) return name.slice(colon + 1);
  return at < 0 ? "latest" : "";
}
