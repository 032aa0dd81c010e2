/**
 * Which names a definition gets, and the conditions that say so. Follows k8s.io/apiextensions-apiserver/pkg/controller/status/
 * naming_controller.go, pkg/controller/establish/establishing_controller.go and pkg/controller/apiapproval.
 */
import { deepEqual } from "../../apimachinery/meta.ts";
import { apiApproval, isProtectedGroup } from "./approval.ts";
import type { Condition, Definition, DefinitionStatus, Names } from "./types.ts";

/** The status with this condition; its time is that of its last change of status. */
export function setCondition(status: DefinitionStatus, condition: Condition, time: string): DefinitionStatus {
  const conditions = [...(status.conditions ?? [])];
  const at = conditions.findIndex((c) => c.type === condition.type);
  const was = conditions[at];
  const { type, status: value, reason, message } = condition;
  const next: Condition = { type, status: value, lastTransitionTime: was?.status === value ? was.lastTransitionTime! : time, reason: reason ?? "", message: message ?? "" };
  if (at < 0) conditions.push(next);
  else if (!deepEqual(was, next)) conditions[at] = next;
  else return status;
  return { ...status, conditions };
}

const inUse = (name: string): string => `${JSON.stringify(name)} is already in use`;

/** The status after its names were compared with those of the group's other definitions. */
export function acceptNames(definition: Definition, others: readonly Definition[], time: string): DefinitionStatus {
  const { spec, status } = definition;
  const wanted = spec.names;
  const accepted = status.acceptedNames;
  const resources = new Set<string>();
  const kinds = new Set<string>();
  for (const { acceptedNames: names } of others.map((o) => o.status)) {
    for (const name of [names.plural, names.singular, ...(names.shortNames ?? [])]) if (name !== undefined && name !== "") resources.add(name);
    for (const name of [names.kind, names.listKind]) if (name !== undefined && name !== "") kinds.add(name);
  }
  const names: { -readonly [K in keyof Names]: Names[K] } = { ...accepted };
  let conflict: Condition | undefined;
  const refuse = (reason: string, message: string): void => {
    conflict = { type: "NamesAccepted", status: "False", reason, message };
  };
  const take = (field: "plural" | "singular" | "kind" | "listKind", used: ReadonlySet<string>, reason: string): void => {
    const name = wanted[field] ?? "";
    if (name !== (accepted[field] ?? "") && used.has(name)) refuse(reason, inUse(name));
    else if (name !== "") names[field] = name;
  };
  take("plural", resources, "PluralConflict");
  take("singular", resources, "SingularConflict");
  const short = (wanted.shortNames ?? []).filter((name) => accepted.shortNames?.includes(name) !== true && resources.has(name));
  if (short.length > 0) refuse("ShortNamesConflict", short.length === 1 ? inUse(short[0]!) : `[${short.map(inUse).join(", ")}]`);
  else if (wanted.shortNames !== undefined) names.shortNames = wanted.shortNames;
  else delete names.shortNames;
  take("kind", kinds, "KindConflict");
  take("listKind", kinds, "ListKindConflict");
  if (wanted.categories !== undefined) names.categories = wanted.categories;
  else delete names.categories;
  const ordered: Names = { plural: names.plural ?? "", kind: names.kind ?? "", ...names };
  let next: DefinitionStatus = deepEqual(ordered, accepted) ? status : { ...status, acceptedNames: ordered };
  next = setCondition(next, conflict ?? { type: "NamesAccepted", status: "True", reason: "NoConflicts", message: "no conflicts found" }, time);
  const established = (next.conditions ?? []).find((c) => c.type === "Established");
  if (established?.status === "True") return next;
  return setCondition(next, conflict === undefined
    ? { type: "Established", status: "True", reason: "InitialNamesAccepted", message: "the initial names have been accepted" }
    : { type: "Established", status: "False", reason: "NotAccepted", message: "not all names are accepted" }, time);
}

/** What is said about the approval of a group that belongs to the project; undefined for other groups. */
export function approvalCondition({ spec, metadata }: Definition): Condition | undefined {
  if (!isProtectedGroup(spec.group)) return undefined;
  const { state, reason: message } = apiApproval(metadata.annotations);
  const reason = { approved: "ApprovedAnnotation", bypassed: "UnapprovedAnnotation", missing: "MissingAnnotation", invalid: "InvalidAnnotation" }[state];
  return { type: "KubernetesAPIApprovalPolicyConformant", status: state === "approved" ? "True" : "False", reason, message };
}
