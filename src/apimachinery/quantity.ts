/**
 * resource.Quantity: fixed-point numbers with decimal or binary suffixes.
 * Follows k8s.io/apimachinery/pkg/api/resource/quantity.go (ParseQuantity, CanonicalizeBytes).
 *
 * The value is kept as an integer count of nano units (10^-9), which is the finest that upstream keeps.
 */

export type QuantityFormat = "DecimalSI" | "BinarySI" | "DecimalExponent";

export interface Quantity {
  /** The value in units of 10^-9. */
  readonly nano: bigint;
  readonly format: QuantityFormat;
}

export const QUANTITY_ERROR =
  "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

/** Thrown by {@link parseQuantity}; the message is upstream's. */
export class QuantityError extends Error {}

const BINARY = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const DECIMAL: Readonly<Record<string, number>> = { n: -9, u: -6, m: -3, "": 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 };
const SYNTAX = /^([+-]?)(\d*)(?:\.(\d*))?(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?\d+)?$/;
const NANO = 1_000_000_000n;
const MAX = (2n ** 63n - 1n) * NANO;

/** Parses `100m`, `1.5Gi`, `12e6`. Numbers are taken as their text. Throws {@link QuantityError}. */
export function parseQuantity(input: string | number): Quantity {
  const text = String(input);
  let known = quantities.get(text);
  if (known === undefined) {
    known = parse(text);
    if (quantities.size < REMEMBERED_MAX) quantities.set(text, known);
  }
  return known;
}

/** Most objects ask for one of a few quantities, and each is looked at many times. */
const quantities = new Map<string, Quantity>();
const REMEMBERED_MAX = 1024;

function parse(text: string): Quantity {
  const m = SYNTAX.exec(text);
  if (m === null || ((m[2] ?? "") === "" && (m[3] ?? "") === "")) throw new QuantityError(QUANTITY_ERROR);
  const suffix = m[4] ?? "";
  const fraction = m[3] ?? "";
  const digits = BigInt((m[2] ?? "") + fraction);
  let numerator = digits;
  let exponent = -fraction.length;
  let format: QuantityFormat = "DecimalSI";
  const binary = suffix === "" ? 0 : BINARY.indexOf(suffix);
  if (binary > 0) {
    format = "BinarySI";
    numerator *= 1024n ** BigInt(binary);
  } else if (/^[eE][+-]?\d/.test(suffix)) {
    format = "DecimalExponent";
    exponent += Number(suffix.slice(1));
  } else exponent += DECIMAL[suffix]!;
  // To nano units, rounded up (away from zero), as upstream does with what is finer.
  const shift = exponent + 9;
  let nano: bigint;
  if (shift >= 0) nano = shift > 60 ? (numerator === 0n ? 0n : MAX) : numerator * 10n ** BigInt(shift);
  else {
    const divisor = 10n ** BigInt(Math.min(-shift, 400));
    nano = (numerator + divisor - 1n) / divisor;
  }
  // Values beyond 2^63-1 are capped.
  if (nano > MAX) nano = MAX;
  return { nano: m[1] === "-" ? -nano : nano, format };
}

/** The canonical text: the largest suffix that leaves no fraction. Follows Quantity.CanonicalizeBytes. */
export function formatQuantity({ nano, format }: Quantity): string {
  if (nano === 0n) return "0";
  const sign = nano < 0n ? "-" : "";
  const value = nano < 0n ? -nano : nano;
  if (format === "BinarySI" && value >= 1024n * NANO && value % NANO === 0n) {
    let n = value / NANO;
    let i = 0;
    while (n % 1024n === 0n && i < BINARY.length - 1) {
      n /= 1024n;
      i++;
    }
    return `${sign}${n}${BINARY[i]}`;
  }
  // Binary quantities below 1024 or with a fraction are written in decimal form.
  let mantissa = value;
  let exponent = -9;
  while (mantissa % 1000n === 0n && exponent < 18) {
    mantissa /= 1000n;
    exponent += 3;
  }
  if (format === "DecimalExponent") return `${sign}${mantissa}${exponent === 0 ? "" : `e${exponent}`}`;
  const suffix = Object.keys(DECIMAL).find((key) => DECIMAL[key] === exponent)!;
  return `${sign}${mantissa}${suffix}`;
}

const canonical = new Map<string, string>();

/** Parses and formats; answers for short common texts are remembered. Throws {@link QuantityError}. */
export function canonicalizeQuantity(input: string | number): string {
  const text = String(input);
  let out = canonical.get(text);
  if (out === undefined) {
    out = formatQuantity(parseQuantity(text));
    if (canonical.size < REMEMBERED_MAX) canonical.set(text, out);
  }
  return out;
}

/** In whole units, rounded up. Follows Quantity.Value. */
export function quantityValue(input: string | number | undefined): number {
  if (input === undefined) return 0;
  return Number(ceilDivide(parseQuantity(input).nano, NANO));
}

/** In thousandths, rounded up. Follows Quantity.MilliValue. */
export function quantityMilliValue(input: string | number | undefined): number {
  if (input === undefined) return 0;
  return Number(ceilDivide(parseQuantity(input).nano, 1_000_000n));
}

function ceilDivide(value: bigint, by: bigint): bigint {
  const quotient = value / by;
  return value % by > 0n ? quotient + 1n : quotient;
}
