/**
 * Hashes, random suffixes and UIDs. Follows k8s.io/apimachinery/pkg/util/rand/rand.go and
 * k8s.io/kubernetes/pkg/controller/controller_utils.go (ComputeHash).
 */
import type { Random } from "../time/clock.ts";

/** No vowels and no digits that look like them, so that no word appears by chance. */
const ALPHABET = "bcdfghjklmnpqrstvwxz2456789";

/** `length` characters of the safe alphabet. Follows rand.String. */
export function randomSuffix(random: Random, length: number): string {
  let out = "";
  for (let i = 0; i < length; i++) out += ALPHABET[random.below(ALPHABET.length)];
  return out;
}

/** A name from `generateName`: the prefix cut to 58 characters, and five more. Follows names.SimpleNameGenerator. */
export function generateName(random: Random, prefix: string): string {
  return `${prefix.length > 58 ? prefix.slice(0, 58) : prefix}${randomSuffix(random, 5)}`;
}

const HEX = "0123456789abcdef";

/** A version 4 UUID (RFC 9562 section 5.4) out of `random`. */
export function newUid(random: Random): string {
  const bytes = random.bytes(new Uint8Array(16));
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  let hex = "";
  for (let i = 0; i < 16; i++) {
    hex += HEX[bytes[i]! >> 4]! + HEX[bytes[i]! & 15]!;
    if (i === 3 || i === 5 || i === 7 || i === 9) hex += "-";
  }
  return hex;
}

/** FNV-1a, 32 bits, over the UTF-8 of `text`. Follows hash/fnv New32a. */
export function fnv32a(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}

/** Maps each character of `text` into the safe alphabet. Follows rand.SafeEncodeString. */
export function safeEncodeString(text: string): string {
  let out = "";
  for (let i = 0; i < text.length; i++) out += ALPHABET[text.charCodeAt(i) % ALPHABET.length];
  return out;
}

/**
 * The `pod-template-hash` of a template. As upstream ComputeHash: FNV-32a over a canonical print of the template and,
 * if there were collisions, the little-endian collision count; then SafeEncodeString of the decimal. The print is
 * JSON with sorted keys where upstream uses Go's spew printer, so the hashes differ from a real cluster's, but depend
 * on the same things. A complete cluster has the real ones (`src/kube-controller-manager/template-hash.ts`).
 */
export function computeHash(template: unknown, collisionCount?: number): string {
  const suffix = collisionCount === undefined ? "" : `|${collisionCount}`;
  return safeEncodeString(String(fnv32a(canonicalJson(template) + suffix)));
}

/** JSON with keys in code unit order and without undefined members. */
export function canonicalJson(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  const object = value as Record<string, unknown>;
  const keys = Object.keys(object).filter((key) => object[key] !== undefined).sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonicalJson(object[key])}`).join(",")}}`;
}
