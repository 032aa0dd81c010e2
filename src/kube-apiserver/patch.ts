/**
 * The three patch types that need no field ownership: JSON merge patch (RFC 7386), JSON patch (RFC 6902) and
 * strategic merge patch (k8s.io/apimachinery/pkg/util/strategicpatch). All return a new value and leave their inputs.
 */
import { structType } from "../api/schema.ts";
import type { Field, FieldType } from "../api/schema.ts";
import { deepCopy, deepEqual } from "../apimachinery/meta.ts";
import { failure as newFailure, newBadRequest } from "../apimachinery/status.ts";
import type { ApiError } from "../apimachinery/status.ts";

type Json = Record<string, unknown>;

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);

/** RFC 7386. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return deepCopy(patch);
  const out: Json = isObject(target) ? { ...target } : {};
  for (const key of Object.keys(patch)) {
    if (patch[key] === null) delete out[key];
    else out[key] = mergePatch(out[key], patch[key]);
  }
  return out;
}

function unprocessable(message = "the server rejected our request due to an error in our request"): ApiError {
  return newFailure(422, "Invalid", message, {});
}

interface Operation {
  op?: unknown;
  path?: unknown;
  from?: unknown;
  value?: unknown;
}

/** RFC 6902. Errors as the apiserver gives them (jsonpatch of evanphx). */
export function jsonPatch(target: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch)) throw newBadRequest("error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp");
  const root = { value: deepCopy(target) };
  for (const operation of patch as Operation[]) {
    if (!isObject(operation)) throw newBadRequest(`error decoding patch: json: cannot unmarshal ${typeof operation} into Go value of type handlers.jsonPatchOp`);
    const path = String(operation.path ?? "");
    switch (operation.op) {
      case "add": add(root, path, deepCopy(operation.value)); break;
      case "remove": remove(root, path); break;
      case "replace":
        set(root, path, deepCopy(operation.value));
        break;
      case "move": {
        const value = lookup(root, String(operation.from ?? ""));
        if (value === undefined) throw unprocessable();
        remove(root, String(operation.from));
        add(root, path, value);
        break;
      }
      case "copy": {
        const value = lookup(root, String(operation.from ?? ""));
        if (value === undefined) throw unprocessable();
        add(root, path, deepCopy(value));
        break;
      }
      case "test":
        if (!deepEqual(lookup(root, path) ?? null, operation.value ?? null))
          throw unprocessable();
        break;
      default:
        throw unprocessable();
    }
  }
  return root.value;
}

const segments = (path: string): string[] => path.split("/").slice(1).map((s) => s.replace(/~1/g, "/").replace(/~0/g, "~"));

function lookup(root: { value: unknown }, path: string): unknown {
  let at: unknown = root.value;
  for (const segment of segments(path)) {
    if (Array.isArray(at)) at = at[Number(segment)];
    else if (isObject(at)) at = at[segment];
    else return undefined;
  }
  return at;
}

function parentOf(root: { value: unknown }, path: string): { parent: unknown; key: string } {
  const list = segments(path);
  const key = list.pop() ?? "";
  const parent = lookup(root, list.map((s) => `/${s.replace(/~/g, "~0").replace(/\//g, "~1")}`).join(""));
  if (!isObject(parent) && !Array.isArray(parent)) throw unprocessable();
  return { parent, key };
}

function set(root: { value: unknown }, path: string, value: unknown): void {
  if (path === "") root.value = value;
  else {
    const { parent, key } = parentOf(root, path);
    (parent as Json)[key] = value;
  }
}

function add(root: { value: unknown }, path: string, value: unknown): void {
  if (path === "") {
    root.value = value;
    return;
  }
  const { parent, key } = parentOf(root, path);
  if (!Array.isArray(parent)) (parent as Json)[key] = value;
  else if (key === "-") parent.push(value);
  else {
    const at = Number(key);
    if (!Number.isInteger(at) || at < 0 || at > parent.length) throw unprocessable();
    parent.splice(at, 0, value);
  }
}

function remove(root: { value: unknown }, path: string): void {
  const { parent, key } = parentOf(root, path);
  if (Array.isArray(parent)) {
    if (!(Number(key) >= 0 && Number(key) < parent.length)) throw unprocessable();
    parent.splice(Number(key), 1);
  } else {
    if (!((parent as Json)[key] !== undefined)) throw unprocessable();
    delete (parent as Json)[key];
  }
}

/** Strategic merge of a patch into an object of the struct type `type`. */
export function strategicMergePatch(type: string, target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) throw newBadRequest(`json: cannot unmarshal ${Array.isArray(patch) ? "array" : typeof patch === "boolean" ? "bool" : typeof patch} into Go value of type map[string]interface {}`);
  return mergeStruct(type, isObject(target) ? target : {}, patch);
}

function mergeStruct(type: string, target: Json, patch: Json): Json {
  const directive = patch["$patch"];
  if (directive === "replace") return withoutDirectives(patch);
  if (directive === "delete") return {};
  if (directive !== undefined && directive !== "merge") throw failure(`unknown patch type: ${String(directive)} in map: ${goMap(patch)}`);
  const { fields } = structType(type);
  const out: Json = { ...target };
  const retain = patch["$retainKeys"];
  if (Array.isArray(retain)) for (const key of Object.keys(out)) if (!retain.includes(key)) delete out[key];
  for (const key of Object.keys(patch)) {
    if (key.startsWith("$")) continue;
    const value = patch[key];
    const field = fields.get(key);
    if (value === null) delete out[key];
    // A directive for what is not there leaves nothing (removeDirectives).
    else if (out[key] === undefined && isObject(value) && value["$patch"] !== undefined) continue;
    else out[key] = field === undefined ? mergePatch(out[key], value) : mergeField(field, out[key], value, patch[`$setElementOrder/${key}`]);
  }
  for (const key of Object.keys(patch)) {
    if (!key.startsWith("$deleteFromPrimitiveList/")) continue;
    const name = key.slice("$deleteFromPrimitiveList/".length);
    const gone = patch[key];
    if (Array.isArray(gone) && Array.isArray(out[name])) out[name] = (out[name] as unknown[]).filter((v) => !gone.includes(v));
  }
  for (const key of Object.keys(patch)) {
    // An order without a patch of the list itself sorts what is there.
    if (!key.startsWith("$setElementOrder/")) continue;
    const name = key.slice("$setElementOrder/".length);
    const field = fields.get(name);
    const list = out[name];
    if (patch[name] === undefined && field?.patchKey !== undefined && Array.isArray(list)) out[name] = ordered(list, patch[key], field.patchKey, list);
  }
  return out;
}

function mergeField(field: Field, target: unknown, patch: unknown, order: unknown): unknown {
  const { type } = field;
  if (type.kind === "struct" && isObject(patch)) {
    const merged = mergeStruct(type.name, isObject(target) ? target : {}, patch);
    return merged;
  }
  if (type.kind === "map" && isObject(patch)) return mergeMap(type.of, target, patch);
  if (type.kind !== "list" || !Array.isArray(patch) || field.patchKey === undefined) return deepCopy(patch);
  const existing = Array.isArray(target) ? [...(target as unknown[])] : [];
  checkOrder(patch, order, field.patchKey);
  if (field.patchKey === "") {
    const live = [...existing];
    for (const item of patch) if (!existing.includes(item)) existing.push(item);
    return ordered(existing, order ?? patch, "", live);
  }
  return mergeList(field, existing, patch, order);
}

function mergeMap(of: FieldType, target: unknown, patch: Json): unknown {
  if (patch["$patch"] === "replace") return withoutDirectives(patch);
  if (patch["$patch"] === "delete") return {};
  const out: Json = isObject(target) ? { ...target } : {};
  for (const key of Object.keys(patch)) {
    if (key.startsWith("$")) continue;
    if (patch[key] === null) delete out[key];
    else out[key] = of.kind === "struct" && isObject(patch[key]) ? mergeStruct(of.name, isObject(out[key]) ? (out[key] as Json) : {}, patch[key]) : deepCopy(patch[key]);
  }
  return out;
}

function mergeList(field: Field, existing: unknown[], patch: unknown[], order: unknown): unknown[] {
  const key = field.patchKey!;
  const of = (field.type as { of: FieldType }).of;
  if (patch.some((item) => isObject(item) && item["$patch"] === "replace"))
    return patch.filter((item) => !(isObject(item) && item["$patch"] === "replace")).map(deepCopy);
  const live = [...existing];
  for (const item of patch) {
    if (!isObject(item)) throw newBadRequest("strategic merge patch: list item is not a map");
    const value = item[key];
    if (value === undefined) throw failure(`map: ${goMap(item)} does not contain declared merge key: ${key}`);
    const at = existing.findIndex((e) => isObject(e) && e[key] === value);
    if (item["$patch"] === "delete") {
      if (at >= 0) existing.splice(at, 1);
    } else if (at >= 0) existing[at] = of.kind === "struct" ? mergeStruct(of.name, existing[at] as Json, item) : deepCopy(item);
    else existing.push(of.kind === "struct" ? mergeStruct(of.name, {}, item) : deepCopy(item));
  }
  return ordered(existing, order ?? patch, key, live);
}

/** What fails without a reason: plain Go errors upstream. */
function failure(message: string): ApiError {
  return newFailure(500, "", message);
}

/** Every patched item must be in the order list. Follows validatePatchWithSetOrderList. */
function checkOrder(patch: readonly unknown[], order: unknown, key: string): void {
  if (!Array.isArray(order)) return;
  let at = 0;
  for (const item of patch) {
    if (isObject(item) && item["$patch"] !== undefined) continue;
    while (at < order.length && !(key === "" ? order[at] === item : isObject(order[at]) && isObject(item) && (order[at] as Json)[key] === item[key])) at++;
    if (at++ >= order.length) throw failure(`The order in patch list:\n${goValue(patch)}\n doesn't match $setElementOrder list:\n${goValue(order)}\n`);
  }
}

/** As Go prints maps. */
export function goMap(item: Json): string {
  return `map[${Object.keys(item).sort().map((k) => `${k}:${goValue(item[k])}`).join(" ")}]`;
}

function goValue(value: unknown): string {
  return isObject(value) ? goMap(value) : Array.isArray(value) ? `[${value.map(goValue).join(" ")}]` : String(value ?? "<nil>");
}

/**
 * Patched items in the patch's order, the server's own ones merged in by the live order. `order` is
 * `$setElementOrder`, or the patch itself. Follows normalizeElementOrder and mergeSortedSlice.
 */
function ordered(items: unknown[], order: unknown, key: string, live: readonly unknown[]): unknown[] {
  if (!Array.isArray(order)) return items;
  const rank = (list: readonly unknown[], item: unknown): number =>
    list.findIndex((o) => (key === "" ? o === item : isObject(o) && isObject(item) && o[key] === item[key]));
  const patched = items.filter((item) => rank(order, item) >= 0).sort((a, b) => rank(order, a) - rank(order, b));
  const kept = items.filter((item) => rank(order, item) < 0);
  const out: unknown[] = [];
  let i = 0;
  let j = 0;
  while (i < kept.length || j < patched.length) {
    if (i >= kept.length) out.push(patched[j++]);
    else if (j >= patched.length) out.push(kept[i++]);
    else {
      const [l, r] = [rank(live, kept[i]), rank(live, patched[j])];
      out.push(l >= 0 && r >= 0 && l < r ? kept[i++] : patched[j++]);
    }
  }
  return out;
}

function withoutDirectives(patch: Json): Json {
  const out: Json = {};
  for (const key of Object.keys(patch)) if (!key.startsWith("$")) out[key] = deepCopy(patch[key]);
  return out;
}
