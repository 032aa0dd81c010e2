/** A Go duration as kubelet messages print it: `10s`, `1m20s`, `5m0s`. */
export function goDuration(ms: number): string {
  const total = Math.round(ms);
  if (total < 1000) return total === 0 ? "0s" : `${total}ms`;
  const seconds = total / 1000;
  const h = Math.floor(seconds / 3600), m = Math.floor((seconds % 3600) / 60), s = Number((seconds % 60).toFixed(3));
  return `${h > 0 ? `${h}h` : ""}${h > 0 || m > 0 ? `${m}m` : ""}${s}s`;
}
