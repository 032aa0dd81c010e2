/**
 * The Pod Security Standards: what each level forbids, by version. Follows k8s.io/pod-security-admission/policy (check_*.go); the words
 * are upstream's.
 */
import type { Container, PodSpec } from "../../../../api/types.generated.ts";
import { containersOf } from "../../pod-containers.ts";
import type { Any } from "../types.ts";

/** What a check looks at. */
export interface Judged {
  readonly annotations: Readonly<Record<string, string>>;
  readonly spec: PodSpec;
}

export interface Finding {
  readonly reason: string;
  readonly detail: string;
}

type Check = (pod: Judged) => Finding | undefined;

interface Versioned {
  readonly id: string;
  readonly level: "baseline" | "restricted";
  /** The check from a minor version of v1 on, the oldest first. */
  readonly since: readonly (readonly [minor: number, check: Check])[];
  /** Checks of the baseline that this one stands for. */
  readonly overrides?: readonly string[];
}

const quoted = (names: readonly string[]): string => names.map((name) => `"${name}"`).join(", ");
const some = (one: string, many: string, names: readonly unknown[]): string => (names.length === 1 ? one : many);
const containersNamed = (names: readonly string[]): string => `${some("container", "containers", names)} ${quoted(names)}`;
const sorted = (set: Iterable<string>): string[] => [...new Set(set)].sort();
const isWindows = ({ spec }: Judged): boolean => spec.os?.name === "windows";
const unlessWindows = (check: Check): Check => (pod) => (isWindows(pod) ? undefined : check(pod));

/** The names of the containers of which this holds. */
const those = (pod: Judged, holds: (container: Container) => boolean): string[] => containersOf(pod.spec).filter(holds).map(({ name }) => name);

const finding = (reason: string, detail: string): Finding => ({ reason, detail });

/** A field of the pod's context and of containers' that must not have certain values: who set one, and which ones were set. */
function setters(pod: Judged, bad: (context: Any) => string | undefined): { who: string[]; values: string[] } {
  const values: string[] = [];
  const take = (context: unknown): boolean => {
    const value = context === undefined ? undefined : bad(context);
    if (value !== undefined) values.push(value);
    return value !== undefined;
  };
  const who = take(pod.spec.securityContext) ? ["pod"] : [];
  const names = those(pod, ({ securityContext }) => take(securityContext));
  if (names.length > 0) who.push(containersNamed(names));
  return { who, values: sorted(values) };
}

const APPARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/";

const appArmorProfile: Check = (pod) => {
  const allowed = (type: string): boolean => type === "RuntimeDefault" || type === "Localhost";
  const { who, values } = setters(pod, ({ appArmorProfile: profile }) => (profile === undefined || allowed(profile.type) ? undefined : profile.type));
  const annotations = Object.entries(pod.annotations)
    .filter(([key, value]) => key.startsWith(APPARMOR_ANNOTATION) && value !== "" && value !== "runtime/default" && !value.startsWith("localhost/"))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`).sort();
  if (annotations.length > 0) {
    values.push(...annotations);
    who.push(some("annotation", "annotations", annotations));
  }
  return who.length === 0 ? undefined : finding(some("forbidden AppArmor profile", "forbidden AppArmor profiles", values), `${who.join(" and ")} must not set AppArmor profile type to ${quoted(values)}`);
};

const DEFAULT_CAPABILITIES = new Set(["AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"]);

/** Containers that add capabilities beyond these, and what they add. */
function added(pod: Judged, allowed: ReadonlySet<string>): { names: string[]; capabilities: string[] } {
  const capabilities: string[] = [];
  const names = those(pod, ({ securityContext }) => {
    const beyond = (securityContext?.capabilities?.add ?? []).filter((name) => !allowed.has(name));
    capabilities.push(...beyond);
    return beyond.length > 0;
  });
  return { names, capabilities: sorted(capabilities) };
}

const mustNotAdd = ({ names, capabilities }: ReturnType<typeof added>): string => `${containersNamed(names)} must not include ${quoted(capabilities)} in securityContext.capabilities.add`;

const capabilitiesBaseline: Check = (pod) => {
  const beyond = added(pod, DEFAULT_CAPABILITIES);
  return beyond.names.length === 0 ? undefined : finding("non-default capabilities", mustNotAdd(beyond));
};

const BINDING = new Set(["NET_BIND_SERVICE"]);

const capabilitiesRestricted: Check = (pod) => {
  const keeping = those(pod, ({ securityContext }) => !(securityContext?.capabilities?.drop ?? []).includes("ALL"));
  const beyond = added(pod, BINDING);
  const details = [
    ...(keeping.length === 0 ? [] : [`${containersNamed(keeping)} must set securityContext.capabilities.drop=["ALL"]`]),
    ...(beyond.names.length === 0 ? [] : [mustNotAdd(beyond)]),
  ];
  return details.length === 0 ? undefined : finding("unrestricted capabilities", details.join("; "));
};

const hostNamespaces: Check = ({ spec }) => {
  const shared = [...(spec.hostNetwork === true ? ["hostNetwork=true"] : []), ...(spec.hostPID === true ? ["hostPID=true"] : []), ...(spec.hostIPC === true ? ["hostIPC=true"] : [])];
  return shared.length === 0 ? undefined : finding("host namespaces", shared.join(", "));
};

const hostPathVolumes: Check = ({ spec }) => {
  const names = (spec.volumes ?? []).filter(({ hostPath }) => hostPath !== undefined).map(({ name }) => name);
  return names.length === 0 ? undefined : finding("hostPath volumes", `${some("volume", "volumes", names)} ${quoted(names)}`);
};

const hostPorts: Check = (pod) => {
  const ports: string[] = [];
  const names = those(pod, (container) => {
    const used = (container.ports ?? []).filter(({ hostPort = 0 }) => hostPort !== 0).map(({ hostPort }) => String(hostPort));
    ports.push(...used);
    return used.length > 0;
  });
  const unique = sorted(ports);
  return names.length === 0 ? undefined : finding("hostPort", `${containersNamed(names)} ${some("uses", "use", names)} ${some("hostPort", "hostPorts", unique)} ${unique.join(", ")}`);
};

const privileged: Check = (pod) => {
  const names = those(pod, ({ securityContext }) => securityContext?.privileged === true);
  return names.length === 0 ? undefined : finding("privileged", `${containersNamed(names)} must not set securityContext.privileged=true`);
};

const procMount: Check = (pod) => {
  const types: string[] = [];
  const names = those(pod, ({ securityContext }) => {
    const type = securityContext?.procMount;
    if (type === undefined || type === "Default") return false;
    types.push(type);
    return true;
  });
  return names.length === 0 ? undefined : finding("procMount", `${containersNamed(names)} must not set securityContext.procMount to ${quoted(sorted(types))}`);
};

const seLinuxOptions = (allowed: ReadonlySet<string>): Check => (pod) => {
  const types: string[] = [];
  let user = false;
  let role = false;
  const { who } = setters(pod, ({ seLinuxOptions: options }) => {
    if (options === undefined) return undefined;
    const wrongType = !allowed.has(options.type ?? "");
    if (wrongType) types.push(options.type);
    if ((options.user ?? "") !== "") user = true;
    if ((options.role ?? "") !== "") role = true;
    return wrongType || (options.user ?? "") !== "" || (options.role ?? "") !== "" ? "" : undefined;
  });
  if (who.length === 0) return undefined;
  const unique = sorted(types);
  const data = [...(unique.length === 0 ? [] : [`${some("type", "types", unique)} ${quoted(unique)}`]), ...(user ? ["user may not be set"] : []), ...(role ? ["role may not be set"] : [])];
  return finding("seLinuxOptions", `${who.join(" and ")} set forbidden securityContext.seLinuxOptions: ${data.join("; ")}`);
};

const SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/";

/** Before there was a field. */
const seccompAnnotations: Check = ({ annotations }) => {
  const bad = Object.entries(annotations)
    .filter(([key, value]) => (key === SECCOMP_POD || key.startsWith(SECCOMP_CONTAINER)) && value !== "runtime/default" && value !== "docker/default" && !value.startsWith("localhost/"))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`).sort();
  return bad.length === 0 ? undefined : finding("seccompProfile", `forbidden ${some("annotation", "annotations", bad)} ${bad.join(", ")}`);
};

const confined = (type: string): boolean => type === "RuntimeDefault" || type === "Localhost";
const badSeccomp = (pod: Judged): Finding | undefined => {
  const { who, values } = setters(pod, ({ seccompProfile: profile }) => (profile === undefined || confined(profile.type) ? undefined : profile.type));
  return who.length === 0 ? undefined : finding("seccompProfile", `${who.join(" and ")} must not set securityContext.seccompProfile.type to ${quoted(values)}`);
};

const seccompRestricted: Check = (pod) => {
  const bad = badSeccomp(pod);
  if (bad !== undefined || pod.spec.securityContext?.seccompProfile !== undefined) return bad;
  const names = those(pod, ({ securityContext }) => securityContext?.seccompProfile === undefined);
  return names.length === 0 ? undefined : finding("seccompProfile", `pod or ${containersNamed(names)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"`);
};

const sysctls = (allowed: ReadonlySet<string>): Check => ({ spec }) => {
  const bad = (spec.securityContext?.sysctls ?? []).map(({ name }) => name).filter((name) => !allowed.has(name));
  return bad.length === 0 ? undefined : finding(some("forbidden sysctl", "forbidden sysctls", bad), bad.join(", "));
};
const SYSCTLS = ["kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start"];
const SYSCTLS_27 = [...SYSCTLS, "net.ipv4.ip_local_reserved_ports"];
const SYSCTLS_29 = [...SYSCTLS_27, "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes"];
const SYSCTLS_32 = [...SYSCTLS_29, "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"];

const windowsHostProcess: Check = (pod) => {
  const { who } = setters(pod, ({ windowsOptions }) => (windowsOptions?.hostProcess === true ? "" : undefined));
  return who.length === 0 ? undefined : finding("hostProcess", `${who.join(" and ")} must not set securityContext.windowsOptions.hostProcess=true`);
};

const allowPrivilegeEscalation: Check = (pod) => {
  const names = those(pod, ({ securityContext }) => securityContext?.allowPrivilegeEscalation !== false);
  return names.length === 0 ? undefined : finding("allowPrivilegeEscalation != false", `${containersNamed(names)} must set securityContext.allowPrivilegeEscalation=false`);
};

const ALLOWED_VOLUMES = new Set(["configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret"]);
const VOLUME_TYPES = ["hostPath", "gcePersistentDisk", "awsElasticBlockStore", "gitRepo", "nfs", "iscsi", "glusterfs", "rbd", "flexVolume", "cinder", "cephfs", "flocker", "fc", "azureFile", "vsphereVolume", "quobyte",
  "azureDisk", "portworxVolume", "scaleIO", "storageos"];

const restrictedVolumes: Check = ({ spec }) => {
  const types: string[] = [];
  const names: string[] = [];
  for (const volume of spec.volumes ?? []) {
    const sources = Object.keys(volume).filter((key) => key !== "name" && (volume as Any)[key] !== undefined);
    if (sources.some((source) => ALLOWED_VOLUMES.has(source))) continue;
    names.push(volume.name);
    types.push(VOLUME_TYPES.find((type) => sources.includes(type)) ?? "unknown");
  }
  const unique = sorted(types);
  if (names.length === 0) return undefined;
  return finding("restricted volume types", `${some("volume", "volumes", names)} ${quoted(names)} ${some("uses", "use", names)} ${some("restricted volume type", "restricted volume types", unique)} ${quoted(unique)}`);
};

const runAsNonRoot: Check = (pod) => {
  const { who } = setters(pod, ({ runAsNonRoot: set }) => (set === false ? "" : undefined));
  if (who.length > 0) return finding("runAsNonRoot != true", `${who.join(" and ")} must not set securityContext.runAsNonRoot=false`);
  if (pod.spec.securityContext?.runAsNonRoot === true) return undefined;
  const names = those(pod, ({ securityContext }) => securityContext?.runAsNonRoot === undefined);
  return names.length === 0 ? undefined : finding("runAsNonRoot != true", `pod or ${containersNamed(names)} must set securityContext.runAsNonRoot=true`);
};

const runAsUser: Check = (pod) => {
  const { who } = setters(pod, ({ runAsUser: user }) => (user === 0 ? "" : undefined));
  return who.length === 0 ? undefined : finding("runAsUser=0", `${who.join(" and ")} must not set runAsUser=0`);
};

const SELINUX = ["", "container_t", "container_init_t", "container_kvm_t"];

/** All checks, each level's by name. */
export const CHECKS: readonly Versioned[] = [
  { id: "appArmorProfile", level: "baseline", since: [[0, appArmorProfile]] },
  { id: "capabilities_baseline", level: "baseline", since: [[0, capabilitiesBaseline]] },
  { id: "hostNamespaces", level: "baseline", since: [[0, hostNamespaces]] },
  { id: "hostPathVolumes", level: "baseline", since: [[0, hostPathVolumes]] },
  { id: "hostPorts", level: "baseline", since: [[0, hostPorts]] },
  { id: "privileged", level: "baseline", since: [[0, privileged]] },
  { id: "procMount", level: "baseline", since: [[0, procMount]] },
  { id: "seLinuxOptions", level: "baseline", since: [[0, seLinuxOptions(new Set(SELINUX))], [31, seLinuxOptions(new Set([...SELINUX, "container_engine_t"]))]] },
  { id: "seccompProfile_baseline", level: "baseline", since: [[0, seccompAnnotations], [19, badSeccomp]] },
  { id: "sysctls", level: "baseline", since: [[0, sysctls(new Set(SYSCTLS))], [27, sysctls(new Set(SYSCTLS_27))], [29, sysctls(new Set(SYSCTLS_29))], [32, sysctls(new Set(SYSCTLS_32))]] },
  { id: "windowsHostProcess", level: "baseline", since: [[0, windowsHostProcess]] },
  { id: "allowPrivilegeEscalation", level: "restricted", since: [[8, allowPrivilegeEscalation], [25, unlessWindows(allowPrivilegeEscalation)]] },
  { id: "capabilities_restricted", level: "restricted", since: [[22, capabilitiesRestricted], [25, unlessWindows(capabilitiesRestricted)]], overrides: ["capabilities_baseline"] },
  { id: "restrictedVolumes", level: "restricted", since: [[0, restrictedVolumes]], overrides: ["hostPathVolumes"] },
  { id: "runAsNonRoot", level: "restricted", since: [[0, runAsNonRoot]] },
  { id: "runAsUser", level: "restricted", since: [[23, runAsUser]] },
  { id: "seccompProfile_restricted", level: "restricted", since: [[19, seccompRestricted], [25, unlessWindows(seccompRestricted)]], overrides: ["seccompProfile_baseline"] },
];
