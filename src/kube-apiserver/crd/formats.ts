/**
 * The string formats of OpenAPI schemas that are checked. Follows k8s.io/kube-openapi/pkg/validation/strfmt (default.go, date.go,
 * duration.go, time.go) and the list of formats in k8s.io/apiextensions-apiserver/pkg/apiserver/validation/formats.go.
 */
import { parseTime } from "../../apimachinery/time.ts";
import { parseIP, parsePrefix } from "./ip.ts";

const HOSTNAME = /^([a-zA-Z0-9À-￿]([-a-zA-Z0-9À-￿]{0,62}[a-zA-Z0-9À-￿])?)(\.([a-zA-Z0-9À-￿]([-a-zA-Z0-9À-￿]{0,62}[a-zA-Z0-9À-￿])?))*$/;
const EMAIL = /^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/;
const UUID = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;
const versioned = (version: number): RegExp => new RegExp(`^[0-9a-f]{8}-?[0-9a-f]{4}-?${version}[0-9a-f]{3}-?${version === 3 ? "[0-9a-f]" : "[89ab]"}[0-9a-f]{3}-?[0-9a-f]{12}$`, "i");
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

const CHECKS: Readonly<Record<string, (text: string) => boolean>> = {
  bsonobjectid: (t) => /^[0-9a-fA-F]{24}$/.test(t),
  uri: (t) => isRequestUri(t),
  email: (t) => EMAIL.test(t),
  hostname: (t) => t.length <= 255 && HOSTNAME.test(t) && t.split(".").every((label) => label.length <= 63),
  ipv4: (t) => parseIP(t)?.family === 4,
  ipv6: (t) => parseIP(t)?.family === 6,
  cidr: (t) => parsePrefix(t) !== undefined,
  mac: (t) => /^(?:[0-9a-fA-F]{2}([:-]))(?:[0-9a-fA-F]{2}\1){4}(?:[0-9a-fA-F]{2}|[0-9a-fA-F]{2}\1[0-9a-fA-F]{2}\1[0-9a-fA-F]{2})$/.test(t) || /^[0-9a-fA-F]{4}\.[0-9a-fA-F]{4}\.[0-9a-fA-F]{4}(\.[0-9a-fA-F]{4})?$/.test(t),
  uuid: (t) => UUID.test(t),
  uuid3: (t) => versioned(3).test(t),
  uuid4: (t) => versioned(4).test(t),
  uuid5: (t) => versioned(5).test(t),
  isbn: (t) => isIsbn10(t) || isIsbn13(t),
  isbn10: isIsbn10,
  isbn13: isIsbn13,
  creditcard: isCreditCard,
  ssn: (t) => /^\d{3}[- ]?\d{2}[- ]?\d{4}$/.test(t),
  hexcolor: (t) => /^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$/.test(t),
  rgbcolor: (t) => /^rgb\(\s*(\d{1,2}|1\d\d|2[0-4]\d|25[0-5])\s*,\s*(\d{1,2}|1\d\d|2[0-4]\d|25[0-5])\s*,\s*(\d{1,2}|1\d\d|2[0-4]\d|25[0-5])\s*\)$/.test(t),
  byte: (t) => BASE64.test(t),
  password: () => true,
  date: (t) => isDate(t),
  duration: (t) => parseDurationNs(t) !== undefined || SPELLED.test(t),
  datetime: (t) => isDateTime(t),
  "date-time": (t) => isDateTime(t),
  "k8s-short-name": (t) => t.length <= 63 && LABEL.test(t),
  "k8s-long-name": (t) => t.length <= 253 && t.split(".").every((part) => LABEL.test(part)),
};

/** Whether values are checked against this format at all. */
export const knownFormat = (format: string): boolean => Object.hasOwn(CHECKS, format);

/** Whether `value` is not of the format. */
export const formatProblem = (format: string, value: string): boolean => !CHECKS[format]!(value);

function isDate(text: string): boolean {
  const m = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text);
  return m !== null && parseTime(`${text}T00:00:00Z`) !== undefined;
}

function isDateTime(text: string): boolean {
  if (text.length < 4) return false;
  const m = /^(\d{4}-\d\d-\d\d)[tT](\d\d:\d\d:\d\d(?:\.\d+)?)([zZ]|[+-]\d\d:\d\d)$/.exec(text);
  return m !== null && parseTime(`${m[1]}T${m[2]}${m[3]!.toUpperCase()}`) !== undefined;
}

const UNITS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, "µs": 1e3, "μs": 1e3, ms: 1e6, s: 1e9, m: 6e10, h: 3.6e12 };
/** What strfmt takes beside Go's durations. */
const SPELLED = /^\s*\d+\s*(?:ns|nano|nanos|nanosecond|nanoseconds|us|µs|micro|micros|microsecond|microseconds|ms|milli|millis|millisecond|milliseconds|s|sec|secs|second|seconds|m|min|mins|minute|minutes|h|hr|hrs|hour|hours|d|day|days|w|wk|wks|week|weeks)\s*$/i;

/** Go's time.ParseDuration in nanoseconds; undefined when the text is none. */
export function parseDurationNs(text: string): bigint | undefined {
  const m = /^([+-]?)(.+)$/.exec(text);
  if (m === null) return undefined;
  const rest = m[2]!;
  if (rest === "0") return 0n;
  let total = 0n;
  let at = 0;
  const part = /(\d+)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)|\.(\d+)(ns|us|µs|μs|ms|s|m|h)/y;
  while (at < rest.length) {
    part.lastIndex = at;
    const p = part.exec(rest);
    if (p === null) return undefined;
    const unit = BigInt(UNITS[(p[3] ?? p[5])!]!);
    const fraction = p[2] ?? p[4] ?? "";
    total += BigInt(p[1] ?? "0") * unit;
    if (fraction !== "") total += (BigInt(fraction) * unit) / 10n ** BigInt(fraction.length);
    at = part.lastIndex;
  }
  if (total > 9223372036854775807n) return undefined;
  return m[1] === "-" ? -total : total;
}

/** Follows url.ParseRequestURI: an absolute path or a URL with a scheme. */
function isRequestUri(text: string): boolean {
  // Control characters and spaces make a URL invalid.
  if (text === "" || [...text].some((c) => c.codePointAt(0)! < 0x21 || c === "\u007f")) return false;
  if (text.startsWith("/")) return !/%(?![0-9a-fA-F]{2})/.test(text);
  return /^[a-zA-Z][a-zA-Z0-9+.-]*:(?!$)/.test(text) && !/%(?![0-9a-fA-F]{2})/.test(text);
}

function isIsbn10(text: string): boolean {
  const digits = text.replace(/[\s-]+/g, "");
  if (!/^\d{9}[\dX]$/.test(digits)) return false;
  let sum = 0;
  for (let i = 0; i < 10; i++) sum += (i + 1) * (digits[i] === "X" ? 10 : Number(digits[i]));
  return sum % 11 === 0;
}

function isIsbn13(text: string): boolean {
  const digits = text.replace(/[\s-]+/g, "");
  if (!/^\d{13}$/.test(digits)) return false;
  let sum = 0;
  for (let i = 0; i < 12; i++) sum += (i % 2 === 0 ? 1 : 3) * Number(digits[i]);
  return (10 - (sum % 10)) % 10 === Number(digits[12]);
}

function isCreditCard(text: string): boolean {
  const digits = text.replace(/[^0-9]+/g, "");
  if (!/^(?:4\d{12}(?:\d{3})?|5[1-5]\d{14}|6(?:011|5\d\d)\d{12}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}|(?:2131|1800|35\d{3})\d{11})$/.test(digits)) return false;
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = Number(digits[digits.length - 1 - i]);
    sum += i % 2 === 0 ? digit : digit * 2 > 9 ? digit * 2 - 9 : digit * 2;
  }
  return sum % 10 === 0;
}
