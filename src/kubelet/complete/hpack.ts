/** HPACK (RFC 7541), as far as a client needs it that sends one request: headers out as literals, anything in. */

/** Appendix A. */
const STATIC: readonly (readonly [string, string])[] = [
  [":authority", ""], [":method", "GET"], [":method", "POST"], [":path", "/"], [":path", "/index.html"], [":scheme", "http"], [":scheme", "https"],
  [":status", "200"], [":status", "204"], [":status", "206"], [":status", "304"], [":status", "400"], [":status", "404"], [":status", "500"],
  ["accept-charset", ""], ["accept-encoding", "gzip, deflate"], ["accept-language", ""], ["accept-ranges", ""], ["accept", ""],
  ["access-control-allow-origin", ""], ["age", ""], ["allow", ""], ["authorization", ""], ["cache-control", ""], ["content-disposition", ""],
  ["content-encoding", ""], ["content-language", ""], ["content-length", ""], ["content-location", ""], ["content-range", ""], ["content-type", ""],
  ["cookie", ""], ["date", ""], ["etag", ""], ["expect", ""], ["expires", ""], ["from", ""], ["host", ""], ["if-match", ""], ["if-modified-since", ""],
  ["if-none-match", ""], ["if-range", ""], ["if-unmodified-since", ""], ["last-modified", ""], ["link", ""], ["location", ""], ["max-forwards", ""],
  ["proxy-authenticate", ""], ["proxy-authorization", ""], ["range", ""], ["referer", ""], ["refresh", ""], ["retry-after", ""], ["server", ""],
  ["set-cookie", ""], ["strict-transport-security", ""], ["transfer-encoding", ""], ["user-agent", ""], ["vary", ""], ["via", ""], ["www-authenticate", ""],
];

/** Appendix B: the lengths of the codes of bytes 0 to 255 and of EOS; the code is canonical. A letter stands for a length: A is 5. */
const LENGTHS =
  "ISXXXXXXXTZXXZXXXXXXXXZXXXXXXXXX" + "BFFHIBDGFFDGDBBBAAABBBBBBBCDKBHF" + "IBCCCCCCCCCCCCCCCCCCCCCCDCDIOIJB" + "KABABABBBACCBBBABCBAABCCCCCKGJIX" +
  "PRPPRRRSRSSSSSTSTTRSTSSSSQRSRSST" + "RQPRRSSQSRRTQRSSQQRQSRSSPRRRSRRS" + "VVPORSRUVVVWWVTUOQVWWVWTQQVVXWWW" + "PTPQRQQSRRUUTTVSVWVVWWWWWXWWWWWVZ";

/** Code points by length: where those of a length begin, and their symbols in order. */
let decoder: readonly { readonly first: number; readonly symbols: readonly number[] }[] | undefined;

function codes(): NonNullable<typeof decoder> {
  if (decoder !== undefined) return decoder;
  const byLength: { first: number; symbols: number[] }[] = Array.from({ length: 31 }, () => ({ first: 0, symbols: [] }));
  for (let symbol = 0; symbol < LENGTHS.length; symbol++) byLength[LENGTHS.charCodeAt(symbol) - 60]!.symbols.push(symbol);
  let code = 0;
  for (const entry of byLength) {
    entry.first = code;
    code = (code + entry.symbols.length) * 2;
  }
  return (decoder = byLength);
}

function unhuffman(bytes: Uint8Array): Uint8Array {
  const table = codes();
  const out: number[] = [];
  let code = 0, length = 0;
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit--) {
      code = code * 2 + ((byte >> bit) & 1);
      const { first, symbols } = table[++length] ?? { first: 0, symbols: [] };
      if (code - first >= symbols.length || code < first) {
        if (length >= 30) throw new Error("hpack: invalid Huffman code");
        continue;
      }
      out.push(symbols[code - first]!);
      code = length = 0;
    }
  }
  return Uint8Array.from(out);
}

function integer(value: number, prefix: number, head: number): number[] {
  const max = (1 << prefix) - 1;
  if (value < max) return [head | value];
  const out = [head | max];
  for (value -= max; value >= 128; value >>>= 7) out.push((value & 127) | 128);
  return [...out, value];
}

/** A header as a literal that is not indexed. */
export function writeHeader(name: string, value: string): Uint8Array {
  const text = (word: string): number[] => {
    const bytes = new TextEncoder().encode(word);
    return [...integer(bytes.length, 7, 0), ...bytes];
  };
  return Uint8Array.from([0, ...text(name), ...text(value)]);
}

/** Reads the header blocks of one connection, one after the other. */
export function newHeaderReader(): (block: Uint8Array) => [string, string][] {
  const dynamic: (readonly [string, string])[] = [];
  let sizeMax = 4096;
  const sizeOf = ([name, value]: readonly [string, string]): number => name.length + value.length + 32;
  const evict = (): void => {
    while (dynamic.length > 0 && dynamic.reduce((sum, entry) => sum + sizeOf(entry), 0) > sizeMax) dynamic.pop();
  };
  const entry = (index: number): readonly [string, string] => {
    const found = index <= STATIC.length ? STATIC[index - 1] : dynamic[index - STATIC.length - 1];
    if (found === undefined) throw new Error("hpack: invalid indexed representation");
    return found;
  };
  return (block) => {
    const out: [string, string][] = [];
    let at = 0;
    const number = (prefix: number): number => {
      const max = (1 << prefix) - 1;
      let value = block[at++]! & max;
      if (value < max) return value;
      for (let shift = 0; at < block.length; shift += 7) {
        const byte = block[at++]!;
        value += (byte & 127) * 2 ** shift;
        if (byte < 128) return value;
      }
      throw new Error("hpack: truncated integer");
    };
    const text = (): string => {
      const coded = (block[at]! & 128) !== 0;
      const length = number(7);
      const bytes = block.subarray(at, (at += length));
      return new TextDecoder().decode(coded ? unhuffman(bytes) : bytes);
    };
    while (at < block.length) {
      const head = block[at]!;
      if (head >= 128) {
        out.push([...entry(number(7))]);
        continue;
      }
      if (head >= 32 && head < 64) {
        sizeMax = number(5);
        evict();
        continue;
      }
      const indexed = head >= 64;
      const index = number(indexed ? 6 : 4);
      const name = index === 0 ? text() : entry(index)[0];
      const value = text();
      out.push([name, value]);
      if (indexed) {
        dynamic.unshift([name, value]);
        evict();
      }
    }
    return out;
  };
}
