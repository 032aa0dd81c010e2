/** Arithmetic of resource lists, as ResourceQuota does it. Follows k8s.io/apiserver/pkg/quota/v1/resources.go. */
import { formatQuantity, parseQuantity, type Quantity } from "../apimachinery/quantity.ts";

/** Names with quantities in their text form. */
export type ResourceList = Readonly<Record<string, string>>;

function combine(a: string | undefined, b: string | undefined, by: (a: bigint, b: bigint) => bigint): string {
  const [left, right] = [parseQuantity(a ?? "0"), parseQuantity(b ?? "0")];
  const { format }: Quantity = left.nano === 0n && b !== undefined ? right : left;
  return formatQuantity({ nano: by(left.nano, right.nano), format });
}

/** The sum by name. */
export function add(a: ResourceList, b: ResourceList): ResourceList {
  const out: Record<string, string> = {};
  for (const name in a) out[name] = b[name] === undefined ? a[name]! : combine(a[name], b[name], (x, y) => x + y);
  for (const name in b) out[name] ??= b[name]!;
  return out;
}

/** `a` less `b`, nothing below zero. Follows SubtractWithNonNegativeResult. */
export function subtract(a: ResourceList, b: ResourceList): ResourceList {
  const out: Record<string, string> = {};
  for (const name in a) out[name] = combine(a[name], b[name], (x, y) => (x > y ? x - y : 0n));
  for (const name in b) out[name] ??= "0";
  return out;
}

/** Those of `names` alone. */
export function mask(list: ResourceList, names: readonly string[]): ResourceList {
  const out: Record<string, string> = {};
  for (const name of names) if (list[name] !== undefined) out[name] = list[name];
  return out;
}

export function removeZeros(list: ResourceList): ResourceList {
  const out: Record<string, string> = {};
  for (const name in list) if (parseQuantity(list[name]!).nano !== 0n) out[name] = list[name]!;
  return out;
}

/** The names of which `a` has more than `b` allows. Follows LessThanOrEqual. */
export function exceeded(a: ResourceList, b: ResourceList): string[] {
  return Object.keys(b).sort().filter((name) => a[name] !== undefined && parseQuantity(a[name]).nano > parseQuantity(b[name]!).nano);
}

export function negative(list: ResourceList): string[] {
  return Object.keys(list).sort().filter((name) => parseQuantity(list[name]!).nano < 0n);
}

/** Whether both name the same amounts. Follows quota.Equals. */
export function sameList(a: ResourceList, b: ResourceList): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => b[name] !== undefined && parseQuantity(a[name]!).nano === parseQuantity(b[name]).nano);
}

/** `limits.memory=4Gi,requests.cpu=4`. Follows prettyPrint. */
export function prettyPrint(list: ResourceList): string {
  return Object.keys(list).sort().map((name) => `${name}=${list[name]}`).join(",");
}

/** With its names in order, as maps are written. */
export function inOrder(list: ResourceList): Record<string, string> {
  return Object.fromEntries(Object.keys(list).sort().map((name) => [name, list[name]!]));
}
