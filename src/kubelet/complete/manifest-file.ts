/** Manifests of static pods, as files have them: YAML or JSON. Follows kubernetes pkg/kubelet/config/common.go: tryDecodeSinglePod. */
import { parse } from "yaml";
import type { Pod } from "../../api/types.generated.ts";

/** The pod, or why there is none. */
export function parseManifest(text: string): Pod | string {
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    return `couldn't parse as pod: ${(error as Error).message}`;
  }
  const pod = value as Partial<Pod> & { readonly kind?: string };
  if (typeof value !== "object" || value === null || pod.kind !== "Pod") return "invalid pod: not a Pod";
  if (typeof pod.metadata?.name !== "string" || !Array.isArray(pod.spec?.containers)) return "invalid pod: metadata.name and spec.containers are required";
  return pod as Pod;
}
