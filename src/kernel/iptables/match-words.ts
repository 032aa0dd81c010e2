/** What the texts of several matches have in common. */
import { number, usage, type Range, type Refusal } from "./text.ts";

export const ALL_PORTS: Range = [0, 65535];
export const bang = (inverted: boolean): string => (inverted ? " !" : "");
export const must = (ext: string, option: string): Refusal => usage(`${ext}: option "--${option}" must be specified\n`);

/** `LO[:HI]`, as libxtables reads integer ranges (XTTYPE_UINT32RC). */
export function range(ext: string, option: string, text: string, max = 0xffffffff): Range {
  const colon = text.indexOf(":");
  const lo = number(ext, option, colon < 0 ? text : text.slice(0, colon) || "0", 0, max);
  return [lo, colon < 0 ? lo : colon + 1 === text.length ? max : number(ext, option, text.slice(colon + 1), 0, max)];
}

export const bigNumber = (ext: string, option: string, text: string): bigint => {
  if (!/^(0x[0-9a-fA-F]+|[0-9]+)$/.test(text)) throw usage(`${ext}: bad integer value for option "--${option}", or out of range.\n`);
  const value = BigInt(text);
  if (value > 0xffffffffffffffffn) throw usage(`${ext}: bad integer value for option "--${option}", or out of range.\n`);
  return value;
};
