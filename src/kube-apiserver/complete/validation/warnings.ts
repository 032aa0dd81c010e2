/** What the server warns of without refusing it. Follows pkg/api/pod/warnings.go and the strategies' WarningsOnCreate. */
import { deepEqual } from "../../../apimachinery/meta.ts";
import type { Any } from "./common.ts";

/** Pods of a kind, and where their template stands. */
const TEMPLATES: Readonly<Record<string, string>> = {
  Pod: "spec", PodTemplate: "template.spec", ReplicationController: "spec.template.spec", "apps/Deployment": "spec.template.spec", "apps/ReplicaSet": "spec.template.spec",
  "apps/DaemonSet": "spec.template.spec", "apps/StatefulSet": "spec.template.spec", "batch/Job": "spec.template.spec", "batch/CronJob": "spec.jobTemplate.spec.template.spec",
};

/** The warnings of a kind (`group/Kind`), undefined when there are none. */
export function warningsOf(kind: string): ((object: Any, old: Any) => readonly string[]) | undefined {
  if (kind === "Secret") return secretWarnings;
  const path = TEMPLATES[kind];
  if (path === undefined) return undefined;
  const at = (object: Any): Any => path.split(".").reduce((value, step) => value?.[step], object);
  return (object, old) => {
    const spec = at(object);
    return spec === undefined || (old !== undefined && deepEqual(spec, at(old))) ? [] : podWarnings(spec, path);
  };
}

function podWarnings(spec: Any, path: string): string[] {
  const out: string[] = [];
  (spec.topologySpreadConstraints ?? []).forEach((constraint: Any, i: number) => {
    if (constraint.labelSelector === undefined || constraint.labelSelector === null)
      out.push(`${path}.topologySpreadConstraints[${i}].labelSelector: a null labelSelector results in matching no pod`);
  });
  for (const field of ["podAffinity", "podAntiAffinity"]) {
    const rules = spec.affinity?.[field];
    (rules?.requiredDuringSchedulingIgnoredDuringExecution ?? []).forEach((term: Any, i: number) => {
      if (term.labelSelector === undefined) out.push(`${path}.affinity.${field}.requiredDuringSchedulingIgnoredDuringExecution[${i}].labelSelector: a null labelSelector results in matching no pod`);
    });
    (rules?.preferredDuringSchedulingIgnoredDuringExecution ?? []).forEach((term: Any, i: number) => {
      if (term.podAffinityTerm?.labelSelector === undefined)
        out.push(`${path}.affinity.${field}.preferredDuringSchedulingIgnoredDuringExecution[${i}].podAffinityTerm.labelSelector: a null labelSelector results in matching no pod`);
    });
  }
  return out;
}

/** What tls.X509KeyPair says of a pair without PEM blocks; what is inside of blocks is not judged. */
function secretWarnings({ type, data }: Any): string[] {
  if (type !== "kubernetes.io/tls") return [];
  const text = (key: string): string => {
    try {
      return atob(data?.[key] ?? "");
    } catch {
      return "";
    }
  };
  if (!/-----BEGIN CERTIFICATE-----/.test(text("tls.crt"))) return ["tls: failed to find any PEM data in certificate input"];
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text("tls.key"))) return ["tls: failed to find any PEM data in key input"];
  return [];
}
