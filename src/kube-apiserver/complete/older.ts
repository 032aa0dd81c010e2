/** Defaults that the withdrawn versions of a kind have, and its current one has not. Follows pkg/apis/apps/v1beta1/defaults.go. */
import type { KubeObject } from "../../apimachinery/meta.ts";

interface Workload extends KubeObject {
  spec?: { selector?: unknown; template?: { metadata?: { labels?: Record<string, string> } } };
}

/** Labels and selector of a workload come from its template, where it has none. */
export function defaultOlder(object: KubeObject, apiVersion: string): void {
  const { metadata, spec } = object as Workload;
  const labels = spec?.template?.metadata?.labels;
  if (apiVersion !== "apps/v1beta1" || labels === undefined) return;
  if (Object.keys(metadata.labels ?? {}).length === 0) metadata.labels = { ...labels };
  spec!.selector ??= { matchLabels: { ...labels } };
}
