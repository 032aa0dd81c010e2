// Just enough of the WebAssembly binary format (core specification, chapter 5) to check and finish what asc emits.

const SECTION = { custom: 0, import: 2, start: 8, data: 11 };
const LIMITS_SHARED = 0x02;

/** Reads an unsigned LEB128 at `at`; returns the value and where the next field starts. */
function leb(bytes, at) {
  let value = 0;
  let scale = 1;
  for (;;) {
    const byte = bytes[at++];
    if (byte === undefined) throw new Error("truncated WebAssembly module");
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return [value, at];
    scale *= 128;
  }
}

function encodeLeb(value) {
  const out = [];
  do {
    const byte = value & 0x7f;
    value >>>= 7;
    out.push(value === 0 ? byte : byte | 0x80);
  } while (value !== 0);
  return out;
}

/** The module's sections as `{ id, start, end }`, offsets of the contents. */
export function sections(bytes) {
  if (bytes.length < 8 || bytes[0] !== 0 || bytes[1] !== 0x61 || bytes[2] !== 0x73 || bytes[3] !== 0x6d) {
    throw new Error("not a WebAssembly module");
  }
  const found = [];
  for (let at = 8; at < bytes.length;) {
    const id = bytes[at];
    const [size, start] = leb(bytes, at + 1);
    if (start + size > bytes.length) throw new Error("truncated WebAssembly module");
    found.push({ id, start, end: start + size });
    at = start + size;
  }
  return found;
}

/** Offset of the limits flag byte of the one imported memory. */
export function memoryFlagOffset(bytes) {
  const section = sections(bytes).find(({ id }) => id === SECTION.import);
  if (section === undefined) throw new Error("the kernel imports no memory");
  let [count, at] = leb(bytes, section.start);
  for (; count > 0; count--) {
    for (let name = 0; name < 2; name++) {
      const [length, next] = leb(bytes, at);
      at = next + length;
    }
    const kind = bytes[at++];
    if (kind === 2) return at;
    if (kind === 0) [, at] = leb(bytes, at);
    else if (kind === 3) at += 2;
    else if (kind === 1) {
      const flags = bytes[at + 1];
      [, at] = leb(bytes, at + 2);
      if ((flags & 1) !== 0) [, at] = leb(bytes, at);
    } else throw new Error(`import of unknown kind ${kind}`);
  }
  throw new Error("the kernel imports no memory");
}

/** The same module for plain memory: one bit of one byte differs. */
export function toPlain(shared) {
  const plain = Uint8Array.from(shared);
  const at = memoryFlagOffset(plain);
  if ((plain[at] & LIMITS_SHARED) === 0) throw new Error("the kernel's memory is not shared");
  plain[at] &= ~LIMITS_SHARED;
  return plain;
}

/** Throws if the module has what instances on one memory must not have: data that is written again, code that runs again. */
export function assertStateless(bytes, what) {
  for (const { id, start } of sections(bytes)) {
    if (id === SECTION.data && leb(bytes, start)[0] > 0) {
      throw new Error(`${what} has a data section: no string, array literal or function value may stand in assembly/`);
    }
    if (id === SECTION.start) throw new Error(`${what} has a start function: no global may be initialised at run time`);
  }
}

/** The module with a custom section `name` holding `text`. */
export function withCustomSection(bytes, name, text) {
  const nameBytes = new TextEncoder().encode(name);
  const content = [...encodeLeb(nameBytes.length), ...nameBytes, ...new TextEncoder().encode(text)];
  return Uint8Array.from([...bytes, SECTION.custom, ...encodeLeb(content.length), ...content]);
}
