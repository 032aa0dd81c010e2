/** BTF with one static function a subprogram, which callbacks and tail calls out of subprograms need. */

const BTF_MAGIC = 0xeb9f;
const KIND_INT = 1;
const KIND_FUNC = 12;
const KIND_FUNC_PROTO = 13;

/** Types: 1 `int`, 2 `int (void)`, then `f0`, `f1`, ...; `funcInfo` says where each starts. */
export function functionBtf(starts: readonly number[]): { btf: Uint8Array; funcInfo: Uint8Array; types: readonly number[] } {
  const names = starts.map((_, n) => `f${n}`);
  const strings = ["", "int", ...names];
  const at = (name: string): number => strings.slice(0, strings.indexOf(name)).reduce((sum, each) => sum + each.length + 1, 0);
  const words = [at("int"), KIND_INT << 24, 4, (1 << 24) | 32, 0, KIND_FUNC_PROTO << 24, 1];
  for (const name of names) words.push(at(name), KIND_FUNC << 24, 2);
  const text = new TextEncoder().encode(`${strings.join("\0")}\0`);
  const btf = new Uint8Array(24 + words.length * 4 + text.length);
  const view = new DataView(btf.buffer);
  view.setUint16(0, BTF_MAGIC, true);
  view.setUint8(2, 1);
  [24, 0, words.length * 4, words.length * 4, text.length].forEach((value, n) => view.setUint32(4 + 4 * n, value, true));
  words.forEach((word, n) => view.setUint32(24 + 4 * n, word, true));
  btf.set(text, 24 + words.length * 4);
  const types = starts.map((_, n) => 3 + n);
  return { btf, funcInfo: new Uint8Array(Uint32Array.from(starts.flatMap((start, n) => [start, types[n]!])).buffer), types };
}
