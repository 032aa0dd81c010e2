/**
 * Text as programs of the C locale see it: a "byte string" has one character per byte (0 to 255). Shell words, file names and what applets
 * read and write are byte strings, so that every byte survives; text of the embedding program (JavaScript strings) is converted once,
 * where it comes in or goes out.
 */
const encoder = new TextEncoder();
const decoder = new TextDecoder();
const CHUNK = 8192;

// eslint-disable-next-line no-control-regex
const ASCII = /^[\0-\x7f]*$/;

export const EMPTY = new Uint8Array(0);

/** The bytes of a byte string. */
export function toBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** The byte string of these bytes. */
export function fromBytes(bytes: Uint8Array): string {
  if (bytes.length <= CHUNK) return String.fromCharCode.apply(null, bytes as unknown as number[]);
  let text = "";
  for (let at = 0; at < bytes.length; at += CHUNK) text += String.fromCharCode.apply(null, bytes.subarray(at, at + CHUNK) as unknown as number[]);
  return text;
}

/** The byte string of a text's UTF-8. */
export const byteString = (text: string): string => (ASCII.test(text) ? text : fromBytes(encoder.encode(text)));

/** The text whose UTF-8 a byte string is; what is no UTF-8 becomes U+FFFD. */
export const unicode = (text: string): string => (ASCII.test(text) ? text : decoder.decode(toBytes(text)));

export function concatBytes(chunks: readonly Uint8Array[]): Uint8Array {
  if (chunks.length === 1) return chunks[0]!;
  let size = 0;
  for (const chunk of chunks) size += chunk.length;
  const out = new Uint8Array(size);
  size = 0;
  for (const chunk of chunks) {
    out.set(chunk, size);
    size += chunk.length;
  }
  return out;
}
