/**
 * Times as the API writes them. Follows k8s.io/apimachinery/pkg/apis/meta/v1/time.go and micro_time.go.
 */

/** RFC 3339 in UTC with seconds, from milliseconds since the epoch: `2026-11-20T10:07:06Z`. */
export function formatTime(epochMs: number): string {
  const second = Math.floor(epochMs / 1000);
  if (second !== lastSecond) {
    lastSecond = second;
    lastText = `${new Date(second * 1000).toISOString().slice(0, 19)}Z`;
  }
  return lastText;
}

// Most times that are written are the present one.
let lastSecond = NaN;
let lastText = "";

/** RFC 3339 with six fractional digits, as MicroTime is written (Lease times, event times). */
export function formatMicroTime(epochMs: number): string {
  const micros = Math.floor(epochMs * 1000);
  const ms = Math.floor(micros / 1000);
  return `${new Date(ms).toISOString().slice(0, 23)}${String(micros - ms * 1000).padStart(3, "0")}Z`;
}

// RFC 3339, as Go's time.Parse(time.RFC3339) takes it.
const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(Z|([+-])(\d\d):(\d\d))$/;

/** Milliseconds since the epoch (fractions kept), or undefined when `text` is not an RFC 3339 time. */
export function parseTime(text: string): number | undefined {
  const m = RFC3339.exec(text);
  if (m === null) return undefined;
  const [month, day, hour, minute, second] = [Number(m[2]), Number(m[3]), Number(m[4]), Number(m[5]), Number(m[6])];
  if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 59) return undefined;
  const offset = m[8] === "Z" ? 0 : (m[9] === "-" ? -1 : 1) * (Number(m[10]) * 60 + Number(m[11]));
  const fraction = m[7] === undefined ? 0 : Number(`0.${m[7]}`) * 1000;
  return Date.UTC(Number(m[1]), month - 1, day, hour, minute - offset, second) + fraction;
}
