/** What a case gives, the same for every engine, and how two of them differ. */

export interface Outcome {
  readonly runs: readonly { readonly retval: number; readonly data: string; readonly ctx: string }[];
  /** Map's number -> lines `key: value`, sorted where order means nothing. */
  readonly maps: Readonly<Record<string, readonly string[]>>;
}

export const hex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** The first difference, or undefined. */
export function difference(want: Outcome, got: Outcome): string | undefined {
  for (let n = 0; n < want.runs.length; n++) {
    const [a, b] = [want.runs[n]!, got.runs[n]];
    for (const key of ["retval", "data", "ctx"] as const) if (a[key] !== b?.[key]) return `run ${n}: ${key} ${b?.[key]}, want ${a[key]}`;
  }
  for (const [map, lines] of Object.entries(want.maps)) {
    const other = got.maps[map] ?? [];
    for (let n = 0; n < Math.max(lines.length, other.length); n++) if (lines[n] !== other[n]) return `map ${map}: ${other[n]}, want ${lines[n]}`;
  }
  return undefined;
}
