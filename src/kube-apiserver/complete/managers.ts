/** How an object's managed fields are kept in order and in bounds. Follows k8s.io/apimachinery/pkg/util/managedfields/internal. */
import type { ManagedFieldsEntry } from "../../api/types.generated.ts";
import { sortSet, union } from "../managed-fields.ts";
import type { FieldSet } from "../managed-fields.ts";

/** The entries as they are kept. */
export const tidied = (entries: ManagedFieldsEntry[]): ManagedFieldsEntry[] => (entries.length < 2 ? entries : byAge(entries.length > UPDATERS_MAX ? capped(entries) : entries));

/** Entries in the order of sortEncodedManagedFields: applied ones first, the oldest first. */
export function byAge(entries: ManagedFieldsEntry[]): ManagedFieldsEntry[] {
  const key = ({ operation, time = "", manager, apiVersion, subresource = "" }: ManagedFieldsEntry): string => [operation, time, manager, apiVersion, subresource].join("\u0000");
  return entries.sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

/** More managers than these that only update are told as one (DefaultMaxUpdateManagers). */
const UPDATERS_MAX = 10;

/** The oldest updates of a version as those of `ancient-changes`. Follows capManagersManager. */
function capped(entries: readonly ManagedFieldsEntry[]): ManagedFieldsEntry[] {
  const updates = byAge(entries.filter(({ operation }) => operation === "Update"));
  const first = new Map<string, ManagedFieldsEntry>();
  const buckets = new Map<string, ManagedFieldsEntry>();
  const gone = new Set<ManagedFieldsEntry>();
  for (let i = 0, left = updates.length; i < updates.length && left > UPDATERS_MAX; i++) {
    const entry = updates[i]!;
    const apiVersion = entry.apiVersion!;
    const before = buckets.get(apiVersion) ?? first.get(apiVersion);
    if (before === undefined) {
      first.set(apiVersion, entry);
      continue;
    }
    const { subresource: _subresource, ...rest } = entry;
    gone.add(first.get(apiVersion)!).add(entry);
    buckets.set(apiVersion, { ...rest, manager: "ancient-changes", fieldsV1: sortSet(union(before.fieldsV1 as FieldSet, entry.fieldsV1 as FieldSet)) });
    left--;
  }
  return [...entries.filter((entry) => !gone.has(entry)), ...buckets.values()];
}
