/** Times as the API has them (metav1.Time and MicroTime), from milliseconds since the epoch. */

export const rfc3339 = (ms: number): string => `${new Date(Math.floor(ms)).toISOString().slice(0, 19)}Z`;

export function rfc3339Micro(ms: number): string {
  const whole = Math.floor(ms);
  const micros = Math.floor((ms - whole) * 1000);
  return `${new Date(whole).toISOString().slice(0, 23)}${String(micros).padStart(3, "0")}Z`;
}

/** A Go duration as kubelet messages print it: `10s`, `1m20s`, `5m0s`. */
export function goDuration(ms: number): string {
  const total = Math.round(ms);
  if (total < 1000) return total === 0 ? "0s" : `${total}ms`;
  const seconds = total / 1000;
  const h = Math.floor(seconds / 3600), m = Math.floor((seconds % 3600) / 60), s = Number((seconds % 60).toFixed(3));
  return `${h > 0 ? `${h}h` : ""}${h > 0 || m > 0 ? `${m}m` : ""}${s}s`;
}
