/** Objects with wrong bytes: any place, and the places that loaders trust: section headers, symbols, relocations, BTF. */
import type { Dice } from "../../kernel/fuzz/random.ts";

const WORDS = [0, 1, 2, 7, 8, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff];

interface Region {
  readonly at: number;
  readonly length: number;
}

/** ELF header, section headers, and the sections that are not instructions, as far as the object is one. */
function regions(bytes: Uint8Array): Region[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const found: Region[] = [{ at: 0, length: 64 }];
  const headers = Number(view.getBigUint64(40, true));
  const count = view.getUint16(60, true);
  found.push({ at: headers, length: count * 64 });
  for (let n = 0; n < count; n++) {
    const at = headers + n * 64;
    const [type, flags] = [view.getUint32(at + 4, true), view.getUint32(at + 8, true)];
    const SHT_NOBITS = 8;
    const SHF_EXECINSTR = 4;
    const length = Number(view.getBigUint64(at + 32, true));
    if (type !== 0 && type !== SHT_NOBITS && (flags & SHF_EXECINSTR) === 0 && length > 0) found.push({ at: Number(view.getBigUint64(at + 24, true)), length });
  }
  return found;
}

/** A copy with one to eight wrong places. */
export function corrupt(d: Dice, object: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(object);
  const view = new DataView(bytes.buffer);
  const places = regions(object);
  for (let n = d.weighted([[4, 1], [3, 2], [2, 4], [1, 8]]); n > 0; n--) {
    const region = d.once(8) ? { at: 0, length: bytes.length } : d.pick(places);
    const at = Math.min(bytes.length - 8, region.at + d.below(region.length));
    switch (d.below(5)) {
      case 0:
        bytes[at]! ^= 1 << d.below(8);
        break;
      case 1:
        bytes[at] = d.below(256);
        break;
      case 2:
        view.setUint32(at & ~3, d.pick(WORDS), true);
        break;
      case 3:
        view.setUint32(at & ~3, (view.getUint32(at & ~3, true) + d.pick([-8, -1, 1, 8, 16])) >>> 0, true);
        break;
      default: {
        // Eight bytes of elsewhere in the same region.
        const from = Math.min(bytes.length - 8, region.at + (d.below(region.length) & ~7));
        bytes.copyWithin(at & ~7, from, from + 8);
      }
    }
  }
  return d.once(20) ? bytes.subarray(0, d.below(bytes.length)) : bytes;
}
