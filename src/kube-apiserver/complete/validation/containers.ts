/** Containers of all sorts. Follows validateContainers and what it calls in pkg/apis/core/validation/validation.go. */
import { parseQuantity } from "../../../apimachinery/quantity.ts";
import { validateConfigMapKey, validatePortName, validatePortNumber } from "../../../apimachinery/validation.ts";
import type { FieldErrors } from "../../field.ts";
import { dnsLabel, dnsSubdomain, named, nonNegative, oneOf, qualifiedName } from "./common.ts";
import type { Any } from "./common.ts";
import { appArmorProfile, seccompProfile, userId } from "./pod.ts";
import { localDescendingPath, objectFieldSelector, resourceFieldSelector } from "./volumes.ts";

/** What a container may refer to. */
export interface Scene {
  readonly volumes: ReadonlyMap<string, Any>;
  readonly claims: ReadonlySet<string>;
  readonly spec: Any;
}

export function containers(list: readonly Any[], path: string, scene: Scene, errors: FieldErrors): void {
  if (list.length === 0) return errors.required(path);
  const names = new Set<string>();
  list.forEach((container, i) => {
    const at = `${path}[${i}]`;
    common(container, at, scene, errors);
    const name = container.name ?? "";
    if (names.has(name)) errors.duplicate(`${at}.name`, name);
    names.add(name);
    lifecycleAndProbes(container, at, scene.spec, errors);
    if (container.restartPolicy !== undefined) errors.forbidden(`${at}.restartPolicy`, "may not be set for non-init containers");
  });
  hostPortConflicts(list, path, errors);
}

export function initContainers(list: readonly Any[], path: string, scene: Scene, errors: FieldErrors): void {
  const names = new Set<string>((scene.spec.containers ?? []).map((c: Any) => c.name ?? ""));
  list.forEach((container, i) => {
    const at = `${path}[${i}]`;
    common(container, at, scene, errors);
    if (container.restartPolicy !== undefined) oneOf(container.restartPolicy, ["Always"], `${at}.restartPolicy`, errors);
    const name = container.name ?? "";
    if (names.has(name)) errors.duplicate(`${at}.name`, name);
    else if (name !== "") names.add(name);
    hostPortConflicts([container], path, errors);
    if (container.restartPolicy === "Always") lifecycleAndProbes(container, at, scene.spec, errors);
    else
      for (const field of ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"])
        if (container[field] !== undefined) errors.forbidden(`${at}.${field}`, "may not be set for init containers without restartPolicy=Always");
  });
}

export function ephemeralContainers(list: readonly Any[], path: string, scene: Scene, errors: FieldErrors): void {
  const others = new Set<string>([...(scene.spec.containers ?? []), ...(scene.spec.initContainers ?? [])].map((c: Any) => c.name ?? ""));
  const targets = new Set(others);
  list.forEach((container, i) => {
    const at = `${path}[${i}]`;
    common(container, at, scene, errors);
    const name = container.name ?? "";
    if (others.has(name)) errors.duplicate(`${at}.name`, name);
    others.add(name);
    for (const field of ["ports", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "resources"])
      if (container[field] !== undefined && Object.keys(container[field]).length > 0) errors.forbidden(`${at}.${field}`, "cannot be set for an Ephemeral Container");
    const target = container.targetContainerName ?? "";
    if (target !== "" && !targets.has(target)) errors.notFound(`${at}.targetContainerName`, target);
  });
}

function common(container: Any, path: string, scene: Scene, errors: FieldErrors): void {
  if ((container.name ?? "") === "") errors.required(`${path}.name`);
  else named(container.name, dnsLabel, `${path}.name`, errors);
  if ((container.image ?? "") === "") errors.required(`${path}.image`);
  const policy = container.terminationMessagePolicy ?? "";
  if (policy === "") errors.required(`${path}.terminationMessagePolicy`);
  else oneOf(policy, ["File", "FallbackToLogsOnError"], `${path}.terminationMessagePolicy`, errors);
  ports(container.ports ?? [], `${path}.ports`, errors);
  env(container.env ?? [], `${path}.env`, errors);
  envFrom(container.envFrom ?? [], `${path}.envFrom`, errors);
  volumeMounts(container, `${path}.volumeMounts`, scene, errors);
  volumeDevices(container, `${path}.volumeDevices`, scene, errors);
  if ((container.imagePullPolicy ?? "") === "") errors.required(`${path}.imagePullPolicy`);
  else oneOf(container.imagePullPolicy, ["Always", "IfNotPresent", "Never"], `${path}.imagePullPolicy`, errors);
  resourceRequirements(container.resources ?? {}, `${path}.resources`, errors, scene.claims);
  resizePolicy(container.resizePolicy ?? [], `${path}.resizePolicy`, errors);
  securityContext(container.securityContext, `${path}.securityContext`, errors);
}

function ports(list: readonly Any[], path: string, errors: FieldErrors): void {
  const names = new Set<string>();
  list.forEach((port, i) => {
    const at = `${path}[${i}]`;
    const name = port.name ?? "";
    if (name !== "") {
      const problems = validatePortName(name);
      errors.invalidAll(`${at}.name`, name, problems);
      if (problems.length === 0 && names.has(name)) errors.duplicate(`${at}.name`, name);
      if (problems.length === 0) names.add(name);
    }
    if ((port.containerPort ?? 0) === 0) errors.required(`${at}.containerPort`);
    else errors.invalidAll(`${at}.containerPort`, port.containerPort, validatePortNumber(port.containerPort));
    if ((port.hostPort ?? 0) !== 0) errors.invalidAll(`${at}.hostPort`, port.hostPort, validatePortNumber(port.hostPort));
    if ((port.protocol ?? "") === "") errors.required(`${at}.protocol`);
    else oneOf(port.protocol, ["SCTP", "TCP", "UDP"], `${at}.protocol`, errors);
  });
}

function hostPortConflicts(list: readonly Any[], path: string, errors: FieldErrors): void {
  const taken = new Set<string>();
  list.forEach((container, i) => (container.ports ?? []).forEach((port: Any, j: number) => {
    if ((port.hostPort ?? 0) === 0) return;
    const claim = `${port.protocol}/${port.hostIP ?? ""}/${port.hostPort}`;
    if (taken.has(claim)) errors.duplicate(`${path}[${i}].ports[${j}].hostPort`, claim);
    taken.add(claim);
  }));
}

const ENV_FIELDS = ["metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"];
const ENV_RESOURCES = /^(limits|requests)\.(cpu|memory|ephemeral-storage|hugepages-.+)$/;

/** Follows IsRelaxedEnvVarName. */
function envName(name: string, path: string, errors: FieldErrors): void {
  if (!/^[\x20-\x3c\x3e-\x7e]*$/.test(name)) errors.invalid(path, name, "a valid environment variable name must consist only of printable ASCII characters other than '='");
}

function env(list: readonly Any[], path: string, errors: FieldErrors): void {
  list.forEach((variable, i) => {
    const at = `${path}[${i}]`;
    if ((variable.name ?? "") === "") errors.required(`${at}.name`);
    else envName(variable.name, `${at}.name`, errors);
    const from = variable.valueFrom;
    if (from === undefined) return;
    let sources = 0;
    if (from.fieldRef !== undefined) {
      sources++;
      objectFieldSelector(from.fieldRef, ENV_FIELDS, `${at}.valueFrom.fieldRef`, errors);
    }
    if (from.resourceFieldRef !== undefined) {
      sources++;
      resourceFieldSelector(from.resourceFieldRef, ENV_RESOURCES, `${at}.valueFrom.resourceFieldRef`, false, errors);
    }
    for (const field of ["configMapKeyRef", "secretKeyRef"]) {
      const ref = from[field];
      if (ref === undefined) continue;
      sources++;
      if ((ref.name ?? "") === "") errors.required(`${at}.valueFrom.${field}.name`);
      else named(ref.name, dnsSubdomain, `${at}.valueFrom.${field}.name`, errors);
      if ((ref.key ?? "") === "") errors.required(`${at}.valueFrom.${field}.key`);
      else named(ref.key, validateConfigMapKey, `${at}.valueFrom.${field}.key`, errors);
    }
    if (sources === 0) errors.invalid(`${at}.valueFrom`, "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`");
    else if ((variable.value ?? "") !== "") errors.invalid(`${at}.valueFrom`, "", "may not be specified when `value` is not empty");
    else if (sources > 1) errors.invalid(`${at}.valueFrom`, "", "may not have more than one field specified at a time");
  });
}

function envFrom(list: readonly Any[], path: string, errors: FieldErrors): void {
  list.forEach((source, i) => {
    const at = `${path}[${i}]`;
    if ((source.prefix ?? "") !== "") envName(source.prefix, `${at}.prefix`, errors);
    let sources = 0;
    for (const field of ["configMapRef", "secretRef"]) {
      const ref = source[field];
      if (ref === undefined) continue;
      sources++;
      if ((ref.name ?? "") === "") errors.required(`${at}.${field}.name`);
      else named(ref.name, dnsSubdomain, `${at}.${field}.name`, errors);
    }
    if (sources === 0) errors.invalid(path, "", "must specify one of: `configMapRef` or `secretRef`");
    else if (sources > 1) errors.invalid(path, "", "may not have more than one field specified at a time");
  });
}

function volumeMounts(container: Any, path: string, { volumes }: Scene, errors: FieldErrors): void {
  const mountPaths = new Set<string>();
  const devices: Any[] = container.volumeDevices ?? [];
  (container.volumeMounts ?? []).forEach((mount: Any, i: number) => {
    const at = `${path}[${i}]`;
    const { name = "", mountPath = "", subPath = "", subPathExpr = "" } = mount;
    if (name === "") errors.required(`${at}.name`);
    if (!volumes.has(name)) errors.notFound(`${at}.name`, name);
    if (mountPath === "") errors.required(`${at}.mountPath`);
    if (mountPaths.has(mountPath)) errors.invalid(`${at}.mountPath`, mountPath, "must be unique");
    mountPaths.add(mountPath);
    if (devices.some((d) => d.name === name)) errors.invalid(`${at}.name`, name, "must not already exist in volumeDevices");
    if (devices.some((d) => d.devicePath === mountPath)) errors.invalid(`${at}.mountPath`, mountPath, "must not already exist as a path in volumeDevices");
    if (subPath !== "") localDescendingPath(subPath, `${path}.subPath`, errors);
    if (subPathExpr !== "") {
      if (subPath !== "") errors.invalid(`${path}.subPathExpr`, subPathExpr, "subPathExpr and subPath are mutually exclusive");
      localDescendingPath(subPathExpr, `${path}.subPathExpr`, errors);
    }
    if (mount.mountPropagation !== undefined) {
      oneOf(mount.mountPropagation, ["Bidirectional", "HostToContainer", "None"], `${path}.mountPropagation`, errors);
      if (mount.mountPropagation === "Bidirectional" && container.securityContext?.privileged !== true)
        errors.forbidden(`${path}.mountPropagation`, "Bidirectional mount propagation is available only to privileged containers");
    }
    if (mount.recursiveReadOnly !== undefined && mount.recursiveReadOnly !== "Disabled") {
      const where = `${path}.recursiveReadOnly`;
      if (mount.recursiveReadOnly !== "Enabled" && mount.recursiveReadOnly !== "IfPossible") errors.notSupported(where, mount.recursiveReadOnly, ["Disabled", "Enabled", "IfPossible"]);
      else {
        if (mount.readOnly !== true) errors.forbidden(where, "may only be specified when readOnly is true");
        if (mount.mountPropagation !== undefined && mount.mountPropagation !== "None") errors.forbidden(where, "may only be specified when mountPropagation is None or not specified");
      }
    }
  });
}

function volumeDevices(container: Any, path: string, { volumes }: Scene, errors: FieldErrors): void {
  const [names, paths] = [new Set<string>(), new Set<string>()];
  (container.volumeDevices ?? []).forEach(({ name = "", devicePath = "" }: Any, i: number) => {
    const at = `${path}[${i}]`;
    if (name === "") errors.required(`${at}.name`);
    if (names.has(name)) errors.invalid(`${at}.name`, name, "must be unique");
    const volume = volumes.get(name);
    if (volume !== undefined && volume.persistentVolumeClaim === undefined && volume.ephemeral === undefined)
      errors.invalid(`${at}.name`, name, "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode");
    if (volume === undefined) errors.notFound(`${at}.name`, name);
    if (devicePath === "") errors.required(`${at}.devicePath`);
    if (paths.has(devicePath)) errors.invalid(`${at}.devicePath`, devicePath, "must be unique");
    if (devicePath !== "" && devicePath.split("/").includes("..")) errors.invalid(`${at}.devicePath`, devicePath, "can not contain backsteps ('..')");
    names.add(name);
    paths.add(devicePath);
  });
}

const STANDARD = /^(cpu|memory|ephemeral-storage|hugepages-.+)$/;
const KNOWN = /^(cpu|memory|ephemeral-storage|storage|hugepages-.+|pods|services|replicationcontrollers|resourcequotas|secrets|configmaps|persistentvolumeclaims|requests\..+|limits\..+|services\..+)$/;

/** Follows ValidateResourceRequirements (of containers) and ValidateContainerResourceName. */
export function resourceRequirements({ limits = {}, requests = {}, claims = [] }: Any, path: string, errors: FieldErrors, podClaims: ReadonlySet<string> = new Set()): void {
  const [limitPath, requestPath] = [`${path}.limits`, `${path}.requests`];
  for (const name of Object.keys(limits)) {
    containerResourceName(name, `${limitPath}[${name}]`, errors);
    resourceQuantity(name, limits[name], `${limitPath}[${name}]`, errors);
  }
  for (const name of Object.keys(requests)) {
    containerResourceName(name, `${requestPath}[${name}]`, errors);
    resourceQuantity(name, requests[name], `${requestPath}[${name}]`, errors);
    const limit = limits[name];
    const overcommit = !name.startsWith("hugepages-") && !isExtended(name);
    if (limit === undefined) {
      if (!overcommit) errors.required(limitPath, "Limit must be set for non overcommitable resources");
      continue;
    }
    const [asked, most] = [parseQuantity(requests[name]).nano, parseQuantity(limit).nano];
    if (asked !== most && !overcommit) errors.invalid(requestPath, requests[name], `must be equal to ${name} limit of ${limit}`);
    else if (asked > most) errors.invalid(requestPath, requests[name], `must be less than or equal to ${name} limit of ${limit}`);
  }
  claims.forEach(({ name = "" }: Any, i: number) => {
    const at = `${path}.claims[${i}]`;
    if (name === "") errors.required(`${at}.name`);
    else if (!podClaims.has(name)) errors.notFound(at, name);
  });
}

const isNative = (name: string): boolean => !name.includes("/") || name.includes("kubernetes.io/");
const isExtended = (name: string): boolean => !isNative(name) && !name.startsWith("requests.");

function containerResourceName(name: string, path: string, errors: FieldErrors): void {
  resourceName(name, path, errors);
  if (!name.includes("/")) {
    if (!STANDARD.test(name)) errors.invalidGo(path, name, "must be a standard resource for containers");
  } else if (!isNative(name) && !isExtended(name)) errors.invalidGo(path, name, "doesn't follow extended resource name standard");
}

/** Follows validateResourceName. Names of resources are Stringers: they are quoted nowhere. */
export function resourceName(name: string, path: string, errors: FieldErrors): void {
  const problems = qualifiedName(name);
  for (const problem of problems) errors.invalidGo(path, name, problem);
  if (problems.length === 0 && !name.includes("/") && !KNOWN.test(name)) errors.invalidGo(path, name, "must be a standard resource type or fully qualified");
}

const INTEGER = /^(pods|services|replicationcontrollers|resourcequotas|secrets|configmaps|persistentvolumeclaims|services\..+|count\/.+)$/;

/** Follows ValidateResourceQuantityValue. */
export function resourceQuantity(name: string, value: string, path: string, errors: FieldErrors): void {
  const { nano } = parseQuantity(value);
  if (nano < 0n) errors.invalid(path, value, "must be greater than or equal to 0");
  if ((INTEGER.test(name) || isExtended(name)) && nano % 1_000_000_000n !== 0n) errors.invalid(path, value, "must be an integer");
}

function resizePolicy(list: readonly Any[], path: string, errors: FieldErrors): void {
  for (const policy of list) {
    if (policy.resourceName !== "cpu" && policy.resourceName !== "memory") errors.notSupported(path, policy.resourceName ?? "", ["cpu", "memory"]);
    if (policy.restartPolicy === undefined || policy.restartPolicy === "") errors.required(path);
    else if (policy.restartPolicy !== "NotRequired" && policy.restartPolicy !== "RestartContainer") errors.notSupported(path, policy.restartPolicy, ["NotRequired", "RestartContainer"]);
  }
}

function securityContext(sc: Any, path: string, errors: FieldErrors): void {
  if (sc === undefined) return;
  userId(sc.runAsUser, `${path}.runAsUser`, errors);
  userId(sc.runAsGroup, `${path}.runAsGroup`, errors);
  if (sc.procMount !== undefined) oneOf(sc.procMount, ["Default", "Unmasked"], `${path}.procMount`, errors);
  seccompProfile(sc.seccompProfile, `${path}.seccompProfile`, errors);
  if (sc.allowPrivilegeEscalation === false) {
    if (sc.privileged === true) errors.invalid(path, sc, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
    if ((sc.capabilities?.add ?? []).includes("CAP_SYS_ADMIN")) errors.invalid(path, sc, "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN");
  }
  appArmorProfile(sc.appArmorProfile, `${path}.appArmorProfile`, errors);
}

function lifecycleAndProbes(container: Any, path: string, spec: Any, errors: FieldErrors): void {
  for (const field of ["postStart", "preStop"]) if (container.lifecycle?.[field] !== undefined) handler(container.lifecycle[field], `${path}.lifecycle.${field}`, spec, errors);
  for (const field of ["livenessProbe", "readinessProbe", "startupProbe"]) {
    const probe = container[field];
    if (probe === undefined) continue;
    const at = `${path}.${field}`;
    handler(probe, at, spec, errors);
    for (const seconds of ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"]) nonNegative(probe[seconds], `${at}.${seconds}`, errors);
    const grace = probe.terminationGracePeriodSeconds;
    if (grace !== undefined && grace <= 0) errors.invalid(`${at}.terminationGracePeriodSeconds`, grace, "must be greater than 0");
    if (field === "readinessProbe") {
      if (grace !== undefined) errors.invalid(`${at}.terminationGracePeriodSeconds`, grace, "must not be set for readinessProbes");
    } else if (probe.successThreshold !== 1) errors.invalid(`${at}.successThreshold`, probe.successThreshold ?? 0, "must be 1");
  }
}

/** Follows validateHandler. */
function handler(value: Any, path: string, spec: Any, errors: FieldErrors): void {
  let count = 0;
  const single = (field: string, check: (v: Any, at: string) => void): void => {
    if (value[field] === undefined) return;
    if (count > 0) return errors.forbidden(`${path}.${field}`, "may not specify more than 1 handler type");
    count++;
    check(value[field], `${path}.${field}`);
  };
  single("exec", (exec, at) => {
    if ((exec.command ?? []).length === 0) errors.required(`${at}.command`);
  });
  single("httpGet", (get, at) => {
    if ((get.path ?? "") === "") errors.required(`${at}.path`);
    portNumberOrName(get.port, `${at}.port`, errors);
    oneOf(get.scheme, ["HTTP", "HTTPS"], `${at}.scheme`, errors);
    for (const { name = "" } of get.httpHeaders ?? [])
      if (!/^[-A-Za-z0-9]+$/.test(name)) errors.invalid(`${at}.httpHeaders`, name, "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')");
  });
  single("tcpSocket", (socket, at) => portNumberOrName(socket.port, `${at}.port`, errors));
  single("grpc", (grpc, at) => portNumberOrName(grpc.port, `${at}.port`, errors));
  single("sleep", (sleep, at) => {
    const grace = spec.terminationGracePeriodSeconds ?? 30;
    if ((sleep.seconds ?? 0) <= 0 || sleep.seconds > grace)
      errors.invalid(at, sleep.seconds ?? 0, `must be greater than 0 and less than terminationGracePeriodSeconds (${grace}). Enable AllowPodLifecycleSleepActionZeroValue feature gate for zero sleep.`);
  });
  if (count === 0) errors.required(path, "must specify a handler type");
}

/** Follows ValidatePortNumOrName. */
export function portNumberOrName(port: number | string | undefined, path: string, errors: FieldErrors): void {
  if (typeof port === "string") errors.invalidAll(path, port, validatePortName(port));
  else errors.invalidAll(path, port ?? 0, validatePortNumber(port ?? 0));
}
