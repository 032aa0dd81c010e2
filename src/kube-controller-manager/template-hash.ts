/**
 * The hash of a pod template as a real cluster computes it: `pod-template-hash` of ReplicaSets, the revision of
 * DaemonSets. Follows controller.ComputeHash: FNV-1a over the template as Go's spew printer writes it (`%#v`, all
 * fields with their types, in the order of k8s.io/api v1.32).
 */
import type { PodTemplateSpec } from "../api/types.generated.ts";
import { computeHash, safeEncodeString } from "../apimachinery/names.ts";
import { formatQuantity, parseQuantity } from "../apimachinery/quantity.ts";

type Json = Record<string, unknown>;

/**
 * `GoName[=jsonName]:type` of each struct. Types: s string, i int32, l int64, b bool, m map[string]string, R ResourceList,
 * Q Quantity, d IntOrString, T Time, `=Name` a string of that type, `~Name` a struct that JSON has inline, else a
 * struct; `*` and `[]` before it. Structs without a line (volumes of old drivers) are known as absent only.
 */
const REQUIRED = "RequiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED = "PreferredDuringSchedulingIgnoredDuringExecution";
const HANDLERS = "Exec:*ExecAction HTTPGet=httpGet:*HTTPGetAction TCPSocket=tcpSocket:*TCPSocketAction";
const REFERENCE = "LocalObjectReference:~LocalObjectReference";
const STRUCTS: Readonly<Record<string, string>> = {
  ObjectMeta: "Name:s GenerateName:s Namespace:s SelfLink:s UID=uid:=types.UID ResourceVersion:s Generation:l CreationTimestamp:T DeletionTimestamp:*T DeletionGracePeriodSeconds:*l Labels:m Annotations:m OwnerReferences:[]OwnerReference Finalizers:[]s ManagedFields:[]ManagedFieldsEntry",
  OwnerReference: "APIVersion=apiVersion:s Kind:s Name:s UID=uid:=types.UID Controller:*b BlockOwnerDeletion:*b",
  PodTemplateSpec: "ObjectMeta=metadata:ObjectMeta Spec:PodSpec",
  PodSpec: "Volumes:[]Volume InitContainers:[]Container Containers:[]Container EphemeralContainers:[]EphemeralContainer RestartPolicy:=RestartPolicy TerminationGracePeriodSeconds:*l ActiveDeadlineSeconds:*l DNSPolicy=dnsPolicy:=DNSPolicy NodeSelector:m ServiceAccountName:s DeprecatedServiceAccount=serviceAccount:s AutomountServiceAccountToken:*b NodeName:s HostNetwork:b HostPID:b HostIPC:b ShareProcessNamespace:*b SecurityContext:*PodSecurityContext ImagePullSecrets:[]LocalObjectReference Hostname:s Subdomain:s Affinity:*Affinity SchedulerName:s Tolerations:[]Toleration HostAliases:[]HostAlias PriorityClassName:s Priority:*i DNSConfig=dnsConfig:*PodDNSConfig ReadinessGates:[]PodReadinessGate RuntimeClassName:*s EnableServiceLinks:*b PreemptionPolicy:*=PreemptionPolicy Overhead:R TopologySpreadConstraints:[]TopologySpreadConstraint SetHostnameAsFQDN:*b OS=os:*PodOS HostUsers:*b SchedulingGates:[]PodSchedulingGate ResourceClaims:[]PodResourceClaim Resources:*ResourceRequirements",
  Container: "Name:s Image:s Command:[]s Args:[]s WorkingDir:s Ports:[]ContainerPort EnvFrom:[]EnvFromSource Env:[]EnvVar Resources:ResourceRequirements ResizePolicy:[]ContainerResizePolicy RestartPolicy:*=ContainerRestartPolicy VolumeMounts:[]VolumeMount VolumeDevices:[]VolumeDevice LivenessProbe:*Probe ReadinessProbe:*Probe StartupProbe:*Probe Lifecycle:*Lifecycle TerminationMessagePath:s TerminationMessagePolicy:=TerminationMessagePolicy ImagePullPolicy:=PullPolicy SecurityContext:*SecurityContext Stdin:b StdinOnce:b TTY=tty:b",
  ResourceRequirements: "Limits:R Requests:R Claims:[]ResourceClaim",
  ResourceClaim: "Name:s Request:s",
  ContainerPort: "Name:s HostPort:i ContainerPort:i Protocol:=Protocol HostIP:s",
  EnvFromSource: "Prefix:s ConfigMapRef:*ConfigMapEnvSource SecretRef:*SecretEnvSource",
  ConfigMapEnvSource: `${REFERENCE} Optional:*b`,
  SecretEnvSource: `${REFERENCE} Optional:*b`,
  EnvVar: "Name:s Value:s ValueFrom:*EnvVarSource",
  EnvVarSource: "FieldRef:*ObjectFieldSelector ResourceFieldRef:*ResourceFieldSelector ConfigMapKeyRef:*ConfigMapKeySelector SecretKeyRef:*SecretKeySelector",
  ObjectFieldSelector: "APIVersion=apiVersion:s FieldPath:s",
  ResourceFieldSelector: "ContainerName:s Resource:s Divisor:Q",
  ConfigMapKeySelector: `${REFERENCE} Key:s Optional:*b`,
  SecretKeySelector: `${REFERENCE} Key:s Optional:*b`,
  ContainerResizePolicy: "ResourceName:=ResourceName RestartPolicy:=ResourceResizeRestartPolicy",
  VolumeMount: "Name:s ReadOnly:b RecursiveReadOnly:*=RecursiveReadOnlyMode MountPath:s SubPath:s MountPropagation:*=MountPropagationMode SubPathExpr:s",
  VolumeDevice: "Name:s DevicePath:s",
  Probe: "ProbeHandler:~ProbeHandler InitialDelaySeconds:i TimeoutSeconds:i PeriodSeconds:i SuccessThreshold:i FailureThreshold:i TerminationGracePeriodSeconds:*l",
  ProbeHandler: `${HANDLERS} GRPC=grpc:*GRPCAction`,
  ExecAction: "Command:[]s",
  HTTPGetAction: "Path:s Port:d Host:s Scheme:=URIScheme HTTPHeaders=httpHeaders:[]HTTPHeader",
  HTTPHeader: "Name:s Value:s",
  TCPSocketAction: "Port:d Host:s",
  GRPCAction: "Port:i Service:*s",
  Lifecycle: "PostStart:*LifecycleHandler PreStop:*LifecycleHandler",
  LifecycleHandler: `${HANDLERS} Sleep:*SleepAction`,
  SleepAction: "Seconds:l",
  SecurityContext: "Capabilities:*Capabilities Privileged:*b SELinuxOptions=seLinuxOptions:*SELinuxOptions WindowsOptions:*WindowsSecurityContextOptions RunAsUser:*l RunAsGroup:*l RunAsNonRoot:*b ReadOnlyRootFilesystem:*b AllowPrivilegeEscalation:*b ProcMount:*=ProcMountType SeccompProfile:*SeccompProfile AppArmorProfile:*AppArmorProfile",
  Capabilities: "Add:[]=Capability Drop:[]=Capability",
  SELinuxOptions: "User:s Role:s Type:s Level:s",
  WindowsSecurityContextOptions: "GMSACredentialSpecName=gmsaCredentialSpecName:*s GMSACredentialSpec=gmsaCredentialSpec:*s RunAsUserName:*s HostProcess:*b",
  SeccompProfile: "Type:=SeccompProfileType LocalhostProfile:*s",
  AppArmorProfile: "Type:=AppArmorProfileType LocalhostProfile:*s",
  PodSecurityContext: "SELinuxOptions=seLinuxOptions:*SELinuxOptions WindowsOptions:*WindowsSecurityContextOptions RunAsUser:*l RunAsGroup:*l RunAsNonRoot:*b SupplementalGroups:[]l SupplementalGroupsPolicy:*=SupplementalGroupsPolicy FSGroup=fsGroup:*l Sysctls:[]Sysctl FSGroupChangePolicy=fsGroupChangePolicy:*=PodFSGroupChangePolicy SeccompProfile:*SeccompProfile AppArmorProfile:*AppArmorProfile SELinuxChangePolicy=seLinuxChangePolicy:*=PodSELinuxChangePolicy",
  Sysctl: "Name:s Value:s",
  LocalObjectReference: "Name:s",
  Affinity: "NodeAffinity:*NodeAffinity PodAffinity:*PodAffinity PodAntiAffinity:*PodAntiAffinity",
  NodeAffinity: `${REQUIRED}:*NodeSelector ${PREFERRED}:[]PreferredSchedulingTerm`,
  NodeSelector: "NodeSelectorTerms:[]NodeSelectorTerm",
  NodeSelectorTerm: "MatchExpressions:[]NodeSelectorRequirement MatchFields:[]NodeSelectorRequirement",
  NodeSelectorRequirement: "Key:s Operator:=NodeSelectorOperator Values:[]s",
  PreferredSchedulingTerm: "Weight:i Preference:NodeSelectorTerm",
  PodAffinity: `${REQUIRED}:[]PodAffinityTerm ${PREFERRED}:[]WeightedPodAffinityTerm`,
  PodAntiAffinity: `${REQUIRED}:[]PodAffinityTerm ${PREFERRED}:[]WeightedPodAffinityTerm`,
  WeightedPodAffinityTerm: "Weight:i PodAffinityTerm:PodAffinityTerm",
  PodAffinityTerm: "LabelSelector:*LabelSelector Namespaces:[]s TopologyKey:s NamespaceSelector:*LabelSelector MatchLabelKeys:[]s MismatchLabelKeys:[]s",
  LabelSelector: "MatchLabels:m MatchExpressions:[]LabelSelectorRequirement",
  LabelSelectorRequirement: "Key:s Operator:=LabelSelectorOperator Values:[]s",
  Toleration: "Key:s Operator:=TolerationOperator Value:s Effect:=TaintEffect TolerationSeconds:*l",
  HostAlias: "IP=ip:s Hostnames:[]s",
  PodDNSConfig: "Nameservers:[]s Searches:[]s Options:[]PodDNSConfigOption",
  PodDNSConfigOption: "Name:s Value:*s",
  PodReadinessGate: "ConditionType:=PodConditionType",
  TopologySpreadConstraint: "MaxSkew:i TopologyKey:s WhenUnsatisfiable:=UnsatisfiableConstraintAction LabelSelector:*LabelSelector MinDomains:*i NodeAffinityPolicy:*=NodeInclusionPolicy NodeTaintsPolicy:*=NodeInclusionPolicy MatchLabelKeys:[]s",
  PodOS: "Name:=OSName",
  PodSchedulingGate: "Name:s",
  PodResourceClaim: "Name:s ResourceClaimName:*s ResourceClaimTemplateName:*s",
  Volume: "Name:s VolumeSource:~VolumeSource",
  VolumeSource: "HostPath:*HostPathVolumeSource EmptyDir:*EmptyDirVolumeSource GCEPersistentDisk=gcePersistentDisk:*GCEPersistentDiskVolumeSource AWSElasticBlockStore=awsElasticBlockStore:*AWSElasticBlockStoreVolumeSource GitRepo:*GitRepoVolumeSource Secret:*SecretVolumeSource NFS=nfs:*NFSVolumeSource ISCSI=iscsi:*ISCSIVolumeSource Glusterfs:*GlusterfsVolumeSource PersistentVolumeClaim:*PersistentVolumeClaimVolumeSource RBD=rbd:*RBDVolumeSource FlexVolume:*FlexVolumeSource Cinder:*CinderVolumeSource CephFS=cephfs:*CephFSVolumeSource Flocker:*FlockerVolumeSource DownwardAPI:*DownwardAPIVolumeSource FC=fc:*FCVolumeSource AzureFile:*AzureFileVolumeSource ConfigMap:*ConfigMapVolumeSource VsphereVolume:*VsphereVirtualDiskVolumeSource Quobyte:*QuobyteVolumeSource AzureDisk:*AzureDiskVolumeSource PhotonPersistentDisk:*PhotonPersistentDiskVolumeSource Projected:*ProjectedVolumeSource PortworxVolume:*PortworxVolumeSource ScaleIO:*ScaleIOVolumeSource StorageOS=storageos:*StorageOSVolumeSource CSI=csi:*CSIVolumeSource Ephemeral:*EphemeralVolumeSource Image:*ImageVolumeSource",
  HostPathVolumeSource: "Path:s Type:*=HostPathType",
  EmptyDirVolumeSource: "Medium:=StorageMedium SizeLimit:*Q",
  GitRepoVolumeSource: "Repository:s Revision:s Directory:s",
  SecretVolumeSource: "SecretName:s Items:[]KeyToPath DefaultMode:*i Optional:*b",
  KeyToPath: "Key:s Path:s Mode:*i",
  NFSVolumeSource: "Server:s Path:s ReadOnly:b",
  PersistentVolumeClaimVolumeSource: "ClaimName:s ReadOnly:b",
  DownwardAPIVolumeSource: "Items:[]DownwardAPIVolumeFile DefaultMode:*i",
  DownwardAPIVolumeFile: "Path:s FieldRef:*ObjectFieldSelector ResourceFieldRef:*ResourceFieldSelector Mode:*i",
  ConfigMapVolumeSource: `${REFERENCE} Items:[]KeyToPath DefaultMode:*i Optional:*b`,
  ProjectedVolumeSource: "Sources:[]VolumeProjection DefaultMode:*i",
  VolumeProjection: "Secret:*SecretProjection DownwardAPI:*DownwardAPIProjection ConfigMap:*ConfigMapProjection ServiceAccountToken:*ServiceAccountTokenProjection ClusterTrustBundle:*ClusterTrustBundleProjection",
  SecretProjection: `${REFERENCE} Items:[]KeyToPath Optional:*b`,
  DownwardAPIProjection: "Items:[]DownwardAPIVolumeFile",
  ConfigMapProjection: `${REFERENCE} Items:[]KeyToPath Optional:*b`,
  ServiceAccountTokenProjection: "Audience:s ExpirationSeconds:*l Path:s",
  ClusterTrustBundleProjection: "Name:*s SignerName:*s LabelSelector:*LabelSelector Optional:*b Path:s",
  CSIVolumeSource: "Driver:s ReadOnly:*b FSType=fsType:*s VolumeAttributes:m NodePublishSecretRef:*LocalObjectReference",
  ImageVolumeSource: "Reference:s PullPolicy:=PullPolicy",
};

interface Field {
  readonly go: string;
  readonly json: string;
  readonly type: string;
}

const parsed = new Map<string, readonly Field[]>();

function fieldsOf(struct: string): readonly Field[] {
  let fields = parsed.get(struct);
  if (fields !== undefined) return fields;
  const line = STRUCTS[struct];
  if (line === undefined) throw new UnknownStruct(struct);
  fields = line.split(" ").map((text) => {
    const colon = text.indexOf(":");
    const [go = "", json] = text.slice(0, colon).split("=");
    return { go, json: json ?? `${go[0]!.toLowerCase()}${go.slice(1)}`, type: text.slice(colon + 1) };
  });
  parsed.set(struct, fields);
  return fields;
}

class UnknownStruct extends Error {}

const PLAIN: Readonly<Record<string, string>> = {
  s: "string", i: "int32", l: "int64", b: "bool", m: "map[string]string", R: "v1.ResourceList", Q: "resource.Quantity", d: "intstr.IntOrString", T: "v1.Time",
};

/** The name of a type as Go's reflection gives it. */
function goType(type: string): string {
  if (type.startsWith("*")) return `*${goType(type.slice(1))}`;
  if (type.startsWith("[]")) return `[]${goType(type.slice(2))}`;
  const plain = PLAIN[type];
  if (plain !== undefined) return plain;
  const name = type.replace(/^[=~]/, "");
  return name.includes(".") ? name : `v1.${name}`;
}

const NIL = "<nil>";

/** A value with its type before it, as the fields of structs are printed. */
const typed = (type: string, value: unknown): string => `(${goType(type)})${spew(type, value)}`;

/** Lists and maps that are empty come out of protobuf as none. */
const isAbsent = (value: unknown): boolean => value === undefined || value === null;
const isEmpty = (value: unknown): boolean => isAbsent(value) || Object.keys(value as object).length === 0;

function spew(type: string, value: unknown): string {
  if (type.startsWith("*")) return isAbsent(value) ? NIL : spew(type.slice(1), value);
  if (type.startsWith("[]")) return isEmpty(value) ? NIL : `[${(value as unknown[]).map((item) => spew(type.slice(2), item)).join(" ")}]`;
  switch (type) {
    case "s": return String(value ?? "");
    case "i":
    case "l": return String(value ?? 0);
    case "b": return String(value ?? false);
    case "m": return spewMap(value, (item) => String(item));
    case "R": return spewMap(value, (item) => quantity(item as string));
    case "Q": return quantity((value as string | undefined) ?? "");
    case "d": return typeof value === "string" ? `{Type:(intstr.Type)1 IntVal:(int32)0 StrVal:(string)${value}}` : `{Type:(intstr.Type)0 IntVal:(int32)${String(value ?? 0)} StrVal:(string)}`;
    case "T": return "{Time:(time.Time){wall:(uint64)0 ext:(int64)0 loc:(*time.Location)<nil>}}";
  }
  if (type.startsWith("=")) return String(value ?? "");
  const object = (value ?? {}) as Json;
  return `{${fieldsOf(type.replace("~", "")).map(({ go, json, type: of }) => `${go}:${typed(of, of.startsWith("~") ? object : object[json])}`).join(" ")}}`;
}

function spewMap(value: unknown, item: (value: unknown) => string): string {
  if (isEmpty(value)) return NIL;
  const map = value as Json;
  return `map[${Object.keys(map).sort().map((key) => `${key}:${item(map[key])}`).join(" ")}]`;
}

/** A quantity as parsing its canonical text leaves it: digits and scale, or for binary suffixes the whole number. */
function quantity(text: string): string {
  const print = (value: bigint | number, scale: number, s: string, format: string): string =>
    `{i:(resource.int64Amount){value:(int64)${value} scale:(resource.Scale)${scale}} d:(resource.infDecAmount){Dec:(*inf.Dec)<nil>} s:(string)${s} Format:(resource.Format)${format}}`;
  if (text === "") return print(0, 0, "", "");
  if (text === "0") return print(0, 0, "0", "");
  const { nano, format } = parseQuantity(text);
  const canonical = formatQuantity({ nano, format });
  if (format === "BinarySI") return print(nano / 1_000_000_000n, 0, canonical, format);
  const suffix = /[^0-9.+-].*$/.exec(canonical)?.[0] ?? "";
  const scale = /^e/i.test(suffix) ? Number(suffix.slice(1)) : "num kMGTPE".indexOf(suffix === "" ? " " : suffix) * 3 - 9;
  return print(BigInt(canonical.slice(0, canonical.length - suffix.length)), scale, canonical, format);
}

/** FNV-1a, 32 bits, over the bytes. */
function fnv32a(bytes: Uint8Array, hash: number): number {
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}

/** Falls back to a hash of the same form where the template has a volume of an old driver. */
export function templateHash(template: PodTemplateSpec, collisionCount: number | undefined): string {
  let text: string;
  try {
    text = typed("PodTemplateSpec", template);
  } catch (e) {
    if (e instanceof UnknownStruct) return computeHash(template, collisionCount);
    throw e;
  }
  let hash = fnv32a(new TextEncoder().encode(text), 0x811c9dc5);
  if (collisionCount !== undefined) {
    const count = new Uint8Array(8);
    new DataView(count.buffer).setUint32(0, collisionCount, true);
    hash = fnv32a(count, hash);
  }
  return safeEncodeString(String(hash));
}
