/** RuntimeClass: its overhead and where its pods may run. Follows plugin/pkg/admission/runtimeclass and pkg/util/tolerations. */
import type { Toleration } from "../../../api/types.generated.ts";
import { deepCopy, deepEqual } from "../../../apimachinery/meta.ts";
import { parseQuantity } from "../../../apimachinery/quantity.ts";
import type { AdmissionContext, AdmissionRequest } from "../../extension.ts";
import { forbidden, isAbout, type AdmissionPlugin, type Any } from "./types.ts";

const MISMATCH = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead";

async function classOf(request: AdmissionRequest, context: AdmissionContext): Promise<Any> {
  const name: string | undefined = (request.object as Any).spec.runtimeClassName;
  if (name === undefined) return undefined;
  const found = await context.find("runtimeclasses", "", name);
  if (found === undefined) throw forbidden(request, `pod rejected: RuntimeClass ${JSON.stringify(name)} not found`);
  return found;
}

type Resources = Readonly<Record<string, string>>;

function sameResources(a: Resources = {}, b: Resources = {}): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => b[name] !== undefined && parseQuantity(a[name]!).nano === parseQuantity(b[name]!).nano);
}

/** Whether `wide` tolerates all that `toleration` does. Follows isSuperset. */
function isSuperset(wide: Toleration, toleration: Toleration): boolean {
  if (deepEqual(wide, toleration)) return true;
  if (toleration.key !== wide.key && ((wide.key ?? "") !== "" || wide.operator !== "Exists")) return false;
  if (toleration.effect !== wide.effect && (wide.effect ?? "") !== "") return false;
  if (wide.effect === "NoExecute" && wide.tolerationSeconds !== undefined)
    if (toleration.tolerationSeconds === undefined || toleration.tolerationSeconds > wide.tolerationSeconds) return false;
  if (wide.operator === "Exists") return true;
  return (toleration.operator ?? "Equal") === "Equal" && (toleration.value ?? "") === (wide.value ?? "");
}

/** Both lists without those that another makes needless. Follows MergeTolerations. */
export function mergeTolerations(first: readonly Toleration[], second: readonly Toleration[]): Toleration[] {
  const all = [...first, ...second];
  const merged: Toleration[] = [];
  all.forEach((toleration, i) => {
    if (merged.some((other) => isSuperset(other, toleration))) return;
    if (all.slice(i + 1).some((other) => !deepEqual(toleration, other) && isSuperset(other, toleration))) return;
    merged.push(toleration);
  });
  return merged;
}

export const runtimeClass: AdmissionPlugin = {
  name: "RuntimeClass",
  resources: ["pods"],
  async admit(request, context) {
    if (!isAbout(request, "", "pods") || request.operation !== "CREATE") return;
    const { spec } = request.object as Any;
    if (spec.runtimeClassName === undefined) return;
    const found = await classOf(request, context);
    const overhead = found.overhead?.podFixed;
    if (overhead !== undefined) {
      if (spec.overhead !== undefined && !sameResources(spec.overhead, overhead)) throw forbidden(request, MISMATCH);
      spec.overhead = { ...overhead };
    }
    const { nodeSelector, tolerations } = found.scheduling ?? {};
    for (const key of Object.keys(nodeSelector ?? {})) {
      const own = spec.nodeSelector?.[key];
      if (own !== undefined && own !== nodeSelector[key])
        throw forbidden(request, `conflict: runtimeClass.scheduling.nodeSelector[${key}] = ${nodeSelector[key]}; pod.spec.nodeSelector[${key}] = ${own}`);
      (spec.nodeSelector ??= {})[key] = nodeSelector[key];
    }
    if (tolerations !== undefined) spec.tolerations = mergeTolerations(spec.tolerations ?? [], deepCopy(tolerations));
  },
  async validate(request, context) {
    if (!isAbout(request, "", "pods") || request.operation !== "CREATE") return;
    const { spec } = request.object as Any;
    if (spec.runtimeClassName === undefined && spec.overhead === undefined) return;
    const overhead = (await classOf(request, context))?.overhead?.podFixed;
    if (overhead === undefined) {
      if (spec.overhead !== undefined) throw forbidden(request, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead");
    } else if (spec.overhead === undefined || !sameResources(spec.overhead, overhead)) throw forbidden(request, MISMATCH);
  },
};
