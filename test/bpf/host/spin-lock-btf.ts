/** BTF of a map whose value holds a `struct bpf_spin_lock`: the kernel finds the lock by the type's name. */

const BTF_MAGIC = 0xeb9f;
const KIND_INT = 1;
const KIND_ARRAY = 3;
const KIND_STRUCT = 4;

/** Types of a key of `keySize` bytes and a value of `valueSize` bytes with the lock at `offset`; ids of both. */
export function lockedValueBtf(keySize: number, valueSize: number, offset: number): { btf: Uint8Array; key: number; value: number } {
  const strings = ["", "u32", "u8", "bpf_spin_lock", "value", "lock", "key", "bytes", "val"];
  const at = (name: string): number => strings.slice(0, strings.indexOf(name)).reduce((sum, each) => sum + each.length + 1, 0);
  const info = (kind: number, members = 0): number => ((kind << 24) | members) >>> 0;
  // 1 u32, 2 u8, 3 bytes of the key, 4 key, 5 lock, 6 value.
  const words = [
    at("u32"), info(KIND_INT), 4, 32,
    at("u8"), info(KIND_INT), 1, 8,
    0, info(KIND_ARRAY), 0, 2, 1, keySize,
    at("key"), info(KIND_STRUCT, 1), keySize, at("bytes"), 3, 0,
    at("bpf_spin_lock"), info(KIND_STRUCT, 1), 4, at("val"), 1, 0,
    at("value"), info(KIND_STRUCT, 1), valueSize, at("lock"), 5, offset * 8,
  ];
  const names = new TextEncoder().encode(`${strings.join("\0")}\0`);
  const btf = new Uint8Array(24 + words.length * 4 + names.length);
  const view = new DataView(btf.buffer);
  view.setUint16(0, BTF_MAGIC, true);
  view.setUint8(2, 1);
  [24, 0, words.length * 4, words.length * 4, names.length].forEach((value, n) => view.setUint32(4 + 4 * n, value, true));
  words.forEach((word, n) => view.setUint32(24 + 4 * n, word, true));
  btf.set(names, 24 + words.length * 4);
  return { btf, key: keySize === 4 ? 1 : 4, value: 6 };
}
