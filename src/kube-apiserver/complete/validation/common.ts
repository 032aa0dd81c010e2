/**
 * What the validation of many kinds shares. Follows k8s.io/apimachinery/pkg/api/validation, pkg/apis/meta/v1/validation,
 * pkg/util/validation and the common part of pkg/apis/core/validation.
 */
import { deepEqual } from "../../../apimachinery/meta.ts";
import type { KubeObject } from "../../../apimachinery/meta.ts";
import { parseIPv4, validateDNS1035Label, validateDNS1123Label, validateDNS1123Subdomain, validateLabelKey, validateLabelValue } from "../../../apimachinery/validation.ts";
import type { FieldErrors } from "../../field.ts";
import { validateLabels, validateObjectMeta, validateObjectMetaUpdate, validatePathSegment } from "../../registry/meta.ts";
import { goIntOrString, goValue } from "./go.ts";

/* eslint-disable @typescript-eslint/no-explicit-any */
export type Any = any;
export type NameCheck = (name: string) => string[];

/** What a kind's strategy checks, each of the three for itself. */
export interface Validation {
  readonly validate: (object: Any, errors: FieldErrors) => void;
  readonly validateUpdate: (object: Any, old: Any, errors: FieldErrors) => void;
  readonly validateStatusUpdate?: (object: Any, old: Any, errors: FieldErrors) => void;
}

export const dnsLabel = validateDNS1123Label;
export const dnsSubdomain = validateDNS1123Subdomain;
export const dns1035 = validateDNS1035Label;
export const qualifiedName = validateLabelKey;

export const pathSegment: NameCheck = validatePathSegment;

/** As {@link objectMeta}, where any qualified finalizer will do. */
export function genericMeta(object: Any, namespaced: boolean, name: NameCheck, errors: FieldErrors): void {
  validateObjectMeta(object as KubeObject, { name: { namespaced, group: "", version: "", kind: "", resource: "" }, validateName: name }, errors, false);
}

/** Follows ValidateObjectMeta; kinds give their own rule for names. */
export function objectMeta(object: Any, namespaced: boolean, name: NameCheck, errors: FieldErrors): void {
  validateObjectMeta(object as KubeObject, { name: { namespaced, group: "", version: "", kind: "", resource: "" }, validateName: name }, errors);
}

export function objectMetaUpdate(object: Any, old: Any, errors: FieldErrors): void {
  validateObjectMetaUpdate(object as KubeObject, old as KubeObject, errors);
}

/** Strategies that judge an update as a new object first, and then as an update: what is wrong is told twice. */
export function twice(validation: Validation): Validation {
  return {
    ...validation,
    validateUpdate(object, old, errors) {
      validation.validate(object, errors);
      validation.validateUpdate(object, old, errors);
    },
  };
}

/** The common case: metadata and then the body, at creation and at updates. */
export function plain(namespaced: boolean, name: NameCheck, body: (object: Any, errors: FieldErrors) => void, change?: (object: Any, old: Any, errors: FieldErrors) => void): Validation {
  return {
    validate(object, errors) {
      objectMeta(object, namespaced, name, errors);
      body(object, errors);
    },
    validateUpdate(object, old, errors) {
      objectMetaUpdate(object, old, errors);
      body(object, errors);
      change?.(object, old, errors);
    },
    validateStatusUpdate: objectMetaUpdate,
  };
}

export function nonNegative(value: number | undefined, path: string, errors: FieldErrors): void {
  if ((value ?? 0) < 0) errors.invalid(path, value, "must be greater than or equal to 0");
}

export const inRange = (low: number, high: number): string => `must be between ${low} and ${high}, inclusive`;

export function portNumber(port: number | undefined, path: string, errors: FieldErrors): void {
  if ((port ?? 0) < 1 || port! > 65535) errors.invalid(path, port ?? 0, inRange(1, 65535));
}

/** Supported values are told in the order given. */
export function oneOf(value: string | undefined, supported: readonly string[], path: string, errors: FieldErrors): void {
  if (!supported.includes(value ?? "")) errors.notSupported(path, value ?? "", supported);
}

/** Follows ValidateImmutableField. */
export function immutable(value: unknown, old: unknown, path: string, errors: FieldErrors, type?: string): void {
  if (deepEqual(value ?? null, old ?? null)) return;
  if (type !== undefined && value !== undefined && value !== null) errors.invalidGo(path, goValue(type, value, path, errors), "field is immutable");
  else errors.invalid(path, value ?? (type === undefined ? "" : "null"), "field is immutable");
}

export function labels(map: Record<string, string> | undefined, path: string, errors: FieldErrors): void {
  validateLabels(map, path, errors);
}

/** Follows metav1validation.ValidateLabelSelector. */
export function labelSelector(selector: Any, path: string, errors: FieldErrors): void {
  if (selector === undefined || selector === null) return;
  labels(selector.matchLabels, `${path}.matchLabels`, errors);
  (selector.matchExpressions ?? []).forEach((r: Any, i: number) => selectorRequirement(r, `${path}.matchExpressions[${i}]`, errors));
}

function selectorRequirement({ key, operator, values = [] }: Any, path: string, errors: FieldErrors): void {
  if (operator === "In" || operator === "NotIn") {
    if (values.length === 0) errors.required(`${path}.values`, "must be specified when `operator` is 'In' or 'NotIn'");
  } else if (operator === "Exists" || operator === "DoesNotExist") {
    if (values.length > 0) errors.forbidden(`${path}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
  } else errors.invalid(`${path}.operator`, operator, "not a valid selector operator");
  errors.invalidAll(`${path}.key`, key, qualifiedName(key));
  values.forEach((value: string, i: number) => errors.invalidAll(`${path}.values[${i}]`, value, validateLabelValue(value)));
}

/** Whether LabelSelectorAsSelector takes it. */
export function selectorConverts(selector: Any): boolean {
  const ok = (key: string, values: readonly string[]): boolean => qualifiedName(key).length === 0 && values.every((v) => validateLabelValue(v).length === 0);
  for (const [key, value] of Object.entries((selector.matchLabels ?? {}) as Record<string, string>)) if (!ok(key, [value])) return false;
  for (const { key, operator, values = [] } of selector.matchExpressions ?? []) {
    if (!["In", "NotIn", "Exists", "DoesNotExist"].includes(operator) || !ok(key, values)) return false;
    if ((operator === "In" || operator === "NotIn") !== values.length > 0) return false;
  }
  return true;
}

export const isEmptySelector = (selector: Any): boolean =>
  Object.keys(selector?.matchLabels ?? {}).length + (selector?.matchExpressions ?? []).length === 0;

const PERCENT = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";

/** Follows ValidatePositiveIntOrPercent. */
export function intOrPercent(value: number | string, path: string, errors: FieldErrors): void {
  if (typeof value === "number") nonNegative(value, path, errors);
  else if (!/^[0-9]+%$/.test(value)) errors.invalidGo(path, goIntOrString(value), PERCENT);
}

/** Follows IsNotMoreThan100Percent. */
export function notOver100Percent(value: number | string, path: string, errors: FieldErrors): void {
  if (typeof value === "string" && /^[0-9]+%$/.test(value) && Number(value.slice(0, -1)) > 100) errors.invalidGo(path, goIntOrString(value), "must not be greater than 100%");
}

/** A number or percentage as a number: `50%` is 50. Follows getIntOrPercentValue. */
export const intOrPercentValue = (value: number | string): number =>
  typeof value === "number" ? value : /^[0-9]+%$/.test(value) ? Number(value.slice(0, -1)) : 0;

/** Whether the text is an IPv6 address. */
export function isIPv6(text: string): boolean {
  if (!/^[0-9a-fA-F:.]*$/.test(text) || !text.includes(":")) return false;
  let body = text;
  const last = text.slice(text.lastIndexOf(":") + 1);
  if (last.includes(".")) {
    if (parseIPv4(last) === undefined) return false;
    body = `${text.slice(0, text.length - last.length)}0:0`;
  }
  const halves = body.split("::");
  if (halves.length > 2) return false;
  const groups = halves.flatMap((half) => (half === "" ? [] : half.split(":")));
  if (!groups.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return false;
  return halves.length === 2 ? groups.length < 8 : groups.length === 8;
}

/** IPv4 as net.ParseIPSloppy reads it: leading zeros do not matter. */
export const isIPv4 = (text: string): boolean => /^\d+\.\d+\.\d+\.\d+$/.test(text) && text.split(".").every((part) => Number(part) <= 255);
export const isIP = (text: string): boolean => isIPv4(text) || isIPv6(text);

export const IP_MESSAGE = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
const CIDR_MESSAGE = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";

export function validIP(text: string, path: string, errors: FieldErrors): boolean {
  if (isIP(text)) return true;
  errors.invalid(path, text, IP_MESSAGE);
  return false;
}

export function isCIDR(text: string): boolean {
  const m = /^(.*)\/(\d{1,3})$/.exec(text);
  if (m === null) return false;
  return isIPv4(m[1]!) ? Number(m[2]) <= 32 : isIPv6(m[1]!) && Number(m[2]) <= 128;
}

export function validCIDR(text: string, path: string, errors: FieldErrors): boolean {
  if (isCIDR(text)) return true;
  errors.invalid(path, text, CIDR_MESSAGE);
  return false;
}

/** Follows ValidateNonSpecialIP. */
export function nonSpecialIP(text: string, path: string, errors: FieldErrors): void {
  if (!isIP(text)) {
    errors.invalid(path, text, "must be a valid IP address");
    return;
  }
  const v6 = text.includes(":");
  const first = Number(text.split(".")[0]);
  const bare = text.toLowerCase().replace(/^0*(?=:)|(?<=:)0+(?=[0-9a-f])/g, "");
  const loopback = v6 ? /^(0:){7}0*1$|^::0*1$/.test(text) : first === 127;
  if (v6 ? /^[0:]+$/.test(text) : /^[0.]+$/.test(text)) errors.invalid(path, text, "may not be unspecified (0.0.0.0 or ::)");
  if (loopback) errors.invalid(path, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)");
  if (v6 ? /^fe[89ab]/.test(bare) : /^169\.254\./.test(text)) errors.invalid(path, text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
  if (v6 ? /^ff[0-9a-f]2:/.test(bare) : /^224\.0\.0\./.test(text)) errors.invalid(path, text, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
}

/** Follows ValidateDNS1123Subdomain and its kin: one finding per problem. */
export function named(value: string, check: NameCheck, path: string, errors: FieldErrors): void {
  errors.invalidAll(path, value, check(value));
}

/** Follows ValidateQualifiedName. */
export function qualified(value: string, path: string, errors: FieldErrors): void {
  errors.invalidAll(path, value, qualifiedName(value));
}

/** Follows validation.IsFullyQualifiedName. */
export function fullyQualifiedName(name: string, path: string, errors: FieldErrors): void {
  if (name === "") {
    errors.required(path);
    return;
  }
  const problems = dnsSubdomain(name);
  if (problems.length > 0) errors.invalid(path, name, problems.join(","));
  else if (name.split(".").length < 3) errors.invalid(path, name, "should be a domain with at least three segments separated by dots");
}
