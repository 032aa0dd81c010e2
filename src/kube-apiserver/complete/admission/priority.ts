/** Priority: pods get the number of their PriorityClass, and at most one class is the default. Follows plugin/pkg/admission/priority. */
import type { KubeObject } from "../../../apimachinery/meta.ts";
import type { AdmissionContext, AdmissionRequest } from "../../extension.ts";
import { forbidden, isAbout, type AdmissionPlugin, type Any } from "./types.ts";

interface PriorityClass extends KubeObject {
  readonly value: number;
  readonly globalDefault?: boolean;
  readonly preemptionPolicy?: string;
}

/** Where several call themselves the default, the least important one is. */
async function defaultClass(context: AdmissionContext): Promise<PriorityClass | undefined> {
  let found: PriorityClass | undefined;
  for (const one of (await context.list("priorityclasses", "")) as PriorityClass[])
    if (one.globalDefault === true && (found === undefined || one.value < found.value)) found = one;
  return found;
}

async function admitPod(request: AdmissionRequest, context: AdmissionContext): Promise<void> {
  const { spec } = request.object as Any;
  if (request.operation === "UPDATE") {
    const old = (request.old as Any).spec;
    spec.priority ??= old.priority;
    spec.preemptionPolicy ??= old.preemptionPolicy;
    return;
  }
  let found: PriorityClass | undefined;
  if ((spec.priorityClassName ?? "") === "") {
    found = await defaultClass(context);
    if (found !== undefined) spec.priorityClassName = found.metadata.name;
  } else {
    found = (await context.find("priorityclasses", "", spec.priorityClassName)) as PriorityClass | undefined;
    if (found === undefined) throw forbidden(request, `no PriorityClass with name ${spec.priorityClassName} was found`);
  }
  const value = found?.value ?? 0;
  if (spec.priority !== undefined && spec.priority !== value)
    throw forbidden(request, `the integer value of priority (${spec.priority}) must not be provided in pod spec; priority admission controller computed ${value} from the given PriorityClass name`);
  spec.priority = value;
  const policy = found === undefined ? "PreemptLowerPriority" : found.preemptionPolicy;
  if (policy === undefined) return;
  if (spec.preemptionPolicy !== undefined && spec.preemptionPolicy !== policy)
    throw forbidden(request, `the string value of PreemptionPolicy (${spec.preemptionPolicy}) must not be provided in pod spec; priority admission controller computed ${policy} from the given PriorityClass name`);
  spec.preemptionPolicy = policy;
}

export const priority: AdmissionPlugin = {
  name: "Priority",
  resources: ["pods", "priorityclasses"],
  admit(request, context) {
    if (isAbout(request, "", "pods") && request.operation !== "DELETE") return admitPod(request, context);
  },
  async validate(request, context) {
    if (!isAbout(request, "scheduling.k8s.io", "priorityclasses") || request.operation === "DELETE") return;
    const one = request.object as PriorityClass;
    if (one.globalDefault !== true) return;
    const other = await defaultClass(context);
    if (other !== undefined && (request.operation === "CREATE" || other.metadata.name !== one.metadata.name))
      throw forbidden(request, `PriorityClass ${other.metadata.name} is already marked as default. Only one default can exist`);
  },
};
