/** A container's environment. Follows kubernetes pkg/kubelet/kubelet_pods.go: makeEnvironmentVariables, and pkg/api/v1/resource. */
import type { ConfigMap, Container, EnvVar, EphemeralContainer, Pod, Secret } from "../../api/types.generated.ts";
import { parseQuantity } from "../../apimachinery/quantity.ts";
import { isNotFound } from "../../apimachinery/status.ts";
import type { Api } from "../api.ts";
import { ConfigError, expand, fieldValue } from "../container-config.ts";

type AnyContainer = Container | EphemeralContainer;

export interface EnvironmentSources {
  readonly api: Api;
  readonly podIPs: readonly string[];
  readonly hostIPs: readonly string[];
  readonly serviceEnv: Readonly<Record<string, string>>;
  /** What a container without limits may use: the node's allocatable. */
  readonly allocatable: Readonly<Record<string, string>>;
  event(type: "Normal" | "Warning", reason: string, message: string): void;
}

/** Variables by name, in the order of the container's list. Throws ConfigError for what is missing and not optional. */
export async function environment(pod: Pod, container: AnyContainer, sources: EnvironmentSources): Promise<Record<string, string>> {
  const namespace = pod.metadata.namespace ?? "default";
  const env: Record<string, string> = {};
  for (const { prefix = "", configMapRef, secretRef } of container.envFrom ?? []) {
    const ref = configMapRef ?? secretRef;
    if (ref === undefined) continue;
    const kind = configMapRef === undefined ? "secret" : "configmap";
    const data = await dataOf(sources.api, kind, namespace, ref.name ?? "", ref.optional === true);
    const invalid: string[] = [];
    for (const key of Object.keys(data ?? {}).sort()) {
      const name = prefix + key;
      if (isVariableName(name)) env[name] = text(data![key]!);
      else invalid.push(name);
    }
    if (invalid.length > 0) {
      sources.event("Warning", "InvalidEnvironmentVariableNames",
        `Keys [${invalid.join(", ")}] from the EnvFrom ${kind === "secret" ? "secret" : "configMap"} ${namespace}/${ref.name ?? ""} were skipped since they are considered invalid environment variable names.`);
    }
  }
  const known = { ...sources.serviceEnv, ...env };
  for (const variable of container.env ?? []) {
    const value = await valueOf(pod, container, variable, known, sources, namespace);
    if (value !== undefined) env[variable.name] = known[variable.name] = value;
  }
  // What the pod says wins over what Services are called.
  for (const name of Object.keys(sources.serviceEnv)) env[name] ??= sources.serviceEnv[name]!;
  return env;
}

/** RelaxedEnvironmentVariableValidation: any printable ASCII but `=`. */
const isVariableName = (name: string): boolean => /^[ -<>-~]+$/.test(name);

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

async function valueOf(
  pod: Pod, container: AnyContainer, { value, valueFrom: from }: EnvVar, env: Readonly<Record<string, string>>, sources: EnvironmentSources, namespace: string,
): Promise<string | undefined> {
  if (from === undefined) return expand(value ?? "", env);
  if (from.fieldRef !== undefined) return fieldValue(pod, from.fieldRef.fieldPath, sources);
  if (from.resourceFieldRef !== undefined) {
    const { containerName, resource, divisor } = from.resourceFieldRef;
    return resourceValue(containerName === undefined || containerName === "" ? container : find(pod, containerName), resource, divisor, sources.allocatable);
  }
  const ref = from.configMapKeyRef ?? from.secretKeyRef;
  if (ref === undefined) return undefined;
  const kind = from.configMapKeyRef === undefined ? "secret" : "configmap";
  const data = await dataOf(sources.api, kind, namespace, ref.name ?? "", ref.optional === true);
  if (data === undefined) return undefined;
  const bytes = data[ref.key];
  if (bytes !== undefined) return text(bytes);
  if (ref.optional === true) return undefined;
  throw new ConfigError(`couldn't find key ${ref.key} in ${kind === "secret" ? "Secret" : "ConfigMap"} ${namespace}/${ref.name ?? ""}`);
}

export function find(pod: Pod, name: string): AnyContainer {
  const found = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].find((container) => container.name === name);
  if (found === undefined) throw new ConfigError(`container ${name} not found`);
  return found;
}

/** resource.ExtractContainerResourceValue: rounded up to whole divisors. */
export function resourceValue(container: AnyContainer, resource: string, divisor: string | undefined, allocatable: Readonly<Record<string, string>>): string {
  const [side, name] = [resource.slice(0, resource.indexOf(".")), resource.slice(resource.indexOf(".") + 1)];
  if ((side !== "limits" && side !== "requests") || name === "") throw new ConfigError(`unsupported container resource : ${resource}`);
  const { limits = {}, requests = {} } = container.resources ?? {};
  const amount = side === "requests" ? (requests[name] ?? "0") : (limits[name] ?? allocatable[name] ?? "0");
  const by = divisor === undefined || divisor === "" || divisor === "0" ? "1" : divisor;
  const value = parseQuantity(amount).nano, unit = parseQuantity(by).nano;
  return String((value + unit - 1n) / unit);
}

/** The contents of a ConfigMap or Secret; undefined where it is not there and may be missing. Throws ConfigError where it may not. */
export async function dataOf(api: Api, kind: "configmap" | "secret", namespace: string, name: string, optional: boolean): Promise<Record<string, Uint8Array> | undefined> {
  try {
    const object = await api.get<ConfigMap & Secret>(`/api/v1/namespaces/${namespace}/${kind}s/${name}`);
    const out: Record<string, Uint8Array> = {};
    for (const [key, value] of Object.entries(object.data ?? {})) out[key] = kind === "secret" ? base64(value) : new TextEncoder().encode(value);
    if (kind === "configmap") for (const [key, value] of Object.entries(object.binaryData ?? {})) out[key] = base64(value);
    return out;
  } catch (error) {
    if (!isNotFound(error)) throw error;
    if (optional) return undefined;
    throw new ConfigError(`${kind} "${name}" not found`);
  }
}

const base64 = (encoded: string): Uint8Array => Uint8Array.from(atob(encoded), (c) => c.charCodeAt(0));
