/**
 * What configMap, secret, downwardAPI and projected volumes hold. Follows kubernetes pkg/volume/configmap, secret, downwardapi and projected
 * (collectData, MakePayload).
 */
import type { DownwardAPIVolumeFile, KeyToPath, Pod, Volume } from "../../../api/types.generated.ts";
import type { VolumeFile } from "../../../cri/types.ts";
import type { Api } from "../../api.ts";
import { ConfigError, fieldValue } from "../../container-config.ts";
import { dataOf, find, resourceValue } from "../environment.ts";

export interface ContentSources {
  readonly api: Api;
  readonly hostIPs: readonly string[];
  readonly podIPs: () => readonly string[];
  readonly allocatable: () => Readonly<Record<string, string>>;
  readonly nowMs: () => number;
}

export interface Contents {
  readonly files: ReadonlyMap<string, VolumeFile>;
  /** When a token in it is to be asked for again, in ms of the Unix epoch. */
  readonly renewAtMs?: number;
}

const encoder = new TextEncoder();
const MODE = 0o644;

/** Whether a volume's contents are made by the kubelet, and made anew when their sources change. */
export const isMade = ({ configMap, secret, downwardAPI, projected }: Volume): boolean => (configMap ?? secret ?? downwardAPI ?? projected) !== undefined;

/** Throws ConfigError with what FailedMount says. */
export async function contents(pod: Pod, volume: Volume, sources: ContentSources): Promise<Contents> {
  const files = new Map<string, VolumeFile>();
  const namespace = pod.metadata.namespace ?? "default";
  const addData = async (kind: "configmap" | "secret", name: string, items: readonly KeyToPath[] | undefined, optional: boolean, mode: number): Promise<void> => {
    const data = await dataOf(sources.api, kind, namespace, name, optional);
    if (data === undefined) return;
    for (const { key, path, mode: own } of items ?? Object.keys(data).map((name) => ({ key: name, path: name, mode: undefined }))) {
      const bytes = data[key];
      if (bytes !== undefined) files.set(path, { bytes, mode: own ?? mode });
      else if (!optional) throw new ConfigError(`references non-existent ${kind === "secret" ? "secret" : "config"} key: ${key}`);
    }
  };
  const addFields = (items: readonly DownwardAPIVolumeFile[], mode: number): void => {
    for (const { path, fieldRef, resourceFieldRef, mode: own } of items) {
      const text = fieldRef !== undefined ? fieldValue(pod, fieldRef.fieldPath, { podIPs: sources.podIPs(), hostIPs: sources.hostIPs })
        : resourceFieldRef === undefined ? undefined
          : resourceValue(find(pod, resourceFieldRef.containerName ?? ""), resourceFieldRef.resource, resourceFieldRef.divisor, sources.allocatable());
      if (text !== undefined) files.set(path, { bytes: encoder.encode(text), mode: own ?? mode });
    }
  };
  const { configMap, secret, downwardAPI, projected } = volume;
  if (configMap !== undefined) await addData("configmap", configMap.name ?? "", configMap.items, configMap.optional === true, configMap.defaultMode ?? MODE);
  else if (secret !== undefined) await addData("secret", secret.secretName ?? "", secret.items, secret.optional === true, secret.defaultMode ?? MODE);
  else if (downwardAPI !== undefined) addFields(downwardAPI.items ?? [], downwardAPI.defaultMode ?? MODE);
  let renewAtMs: number | undefined;
  const mode = projected?.defaultMode ?? MODE;
  const errors: string[] = [];
  for (const source of projected?.sources ?? []) {
    try {
      if (source.configMap !== undefined) await addData("configmap", source.configMap.name ?? "", source.configMap.items, source.configMap.optional === true, mode);
      if (source.secret !== undefined) await addData("secret", source.secret.name ?? "", source.secret.items, source.secret.optional === true, mode);
      if (source.downwardAPI !== undefined) addFields(source.downwardAPI.items ?? [], mode);
      if (source.serviceAccountToken !== undefined) {
        const { audience, expirationSeconds = 3600, path } = source.serviceAccountToken;
        files.set(path, { bytes: encoder.encode(await token(pod, sources.api, audience, expirationSeconds)), mode });
        // token_manager.go: after 80 % of its life, or a day.
        renewAtMs = Math.min(renewAtMs ?? Infinity, sources.nowMs() + Math.min(expirationSeconds * 800, 86_400_000));
      }
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      errors.push(error.message);
    }
  }
  if (errors.length > 0) throw new ConfigError(errors.length === 1 ? errors[0]! : `[${errors.join(", ")}]`);
  return renewAtMs === undefined ? { files } : { files, renewAtMs };
}

async function token({ metadata, spec }: Pod, api: Api, audience: string | undefined, expirationSeconds: number): Promise<string> {
  try {
    const answer = await api.post<{ status?: { token?: string } }>(
      `/api/v1/namespaces/${metadata.namespace ?? "default"}/serviceaccounts/${spec.serviceAccountName ?? "default"}/token`,
      {
        apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest",
        spec: {
          audiences: audience === undefined || audience === "" ? [] : [audience], expirationSeconds,
          boundObjectRef: { apiVersion: "v1", kind: "Pod", name: metadata.name, uid: metadata.uid },
        },
      },
    );
    return answer.status?.token ?? "";
  } catch (error) {
    throw new ConfigError(`failed to fetch token: ${(error as Error).message}`);
  }
}
