// node test/bpf/helpers/record.mjs: programs that call helpers, with what this machine's kernel answers, into recorded.json. Needs root and Linux.
import { writeFileSync } from "node:fs";
import { importTs } from "../../../scripts/lib/run-ts.mjs";

const root = new URL("../../../", import.meta.url);
const { startHost } = await importTs(root, "test/bpf/host/host.ts");
const { rawRunner } = await importTs(root, "test/bpf/host/raw.ts");

const slot = (code, dst, src, off, imm) => [code, dst | (src << 4), off & 255, (off >> 8) & 255, imm & 255, (imm >> 8) & 255, (imm >> 16) & 255, imm >>> 24];
const mov = (dst, imm) => slot(0xb7, dst, 0, 0, imm);
const copy = (dst, src) => slot(0xbf, dst, src, 0, 0);
const add = (dst, imm) => slot(0x07, dst, 0, 0, imm);
const call = (id) => slot(0x85, 0, 0, 0, id);
const stw = (off, imm) => slot(0x62, 10, 0, off, imm);
const stdw = (off, imm) => slot(0x7a, 10, 0, off, imm);
const ldxdw = (dst, src, off) => slot(0x79, dst, src, off, 0);
const stxdw = (dst, off, src) => slot(0x7b, dst, src, off, 0);
const EXIT = slot(0x95, 0, 0, 0, 0);
const stack = (dst, off) => [...copy(dst, 10), ...add(dst, off)];
const text = (string, bytes = 64) => Buffer.concat([Buffer.from(string, "latin1"), Buffer.alloc(bytes)]).subarray(0, bytes).toString("hex");

const cases = [];
const add1 = (name, slots, memory = "") => cases.push({ name, program: Buffer.from(slots.flat()).toString("hex"), memory });

// r0 is what the helper said; the number goes to the memory's last eight bytes.
const parse = (id, length, flags) => [
  ...copy(6, 1), ...stdw(-8, -1), ...copy(1, 6), ...mov(2, length), ...mov(3, flags), ...stack(4, -8), ...call(id), ...ldxdw(1, 10, -8), ...stxdw(6, 56, 1), ...EXIT,
];
const numbers = ["0", "7", "42 rest", "-1", "  -12x", "0x1f", "0x", "0xg", "0x1G", "017", "09", "", " ", "-", "--1", "+5", "9223372036854775807", "9223372036854775808",
  "-9223372036854775808", "-9223372036854775809", "18446744073709551615", "18446744073709551616", "99999999999999999999", "\t\n\v 8", "ff", "FFz", "-0x10", "0X10", "1_000"];
for (const number of numbers) {
  for (const base of [0, 8, 10, 16]) for (const id of [105, 106]) add1(`${id === 105 ? "strtol" : "strtoul"} ${JSON.stringify(number)} base ${base}`, parse(id, 40, base), text(number));
}
for (const [length, flags] of [[1, 0], [3, 10], [2, 16], [0, 10], [40, 7], [40, 32]]) add1(`strtol of ${length}, flags ${flags}`, parse(105, length, flags), text("-1234567"));

const sum = (from, to, seed) => [
  ...from.flatMap((word, i) => stw(-64 + 4 * i, word)), ...to.flatMap((word, i) => stw(-32 + 4 * i, word)),
  ...(from.length > 0 ? stack(1, -64) : mov(1, 0)), ...mov(2, 4 * from.length), ...(to.length > 0 ? stack(3, -32) : mov(3, 0)), ...mov(4, 4 * to.length),
  ...slot(0xb4, 5, 0, 0, seed), ...call(28), ...EXIT,
];
for (const seed of [0, 1, -1, 0x7fff1234, 0xffff]) {
  for (const [from, to] of [[[], []], [[1], []], [[], [1]], [[0x12345678, -1], []], [[], [-1, -1, 5]], [[1], [1]], [[0x7fffffff, -2], [3, 4, 5]], [[0], [0]], [[-1], [-1]], [[0], []]]) {
    add1(`csum_diff ${from} -> ${to} seed ${seed}`, sum(from, to, seed));
  }
}

// bpf_loop: the callback adds its index to the sum at its context, and stops at 7.
const callback = [...ldxdw(3, 2, 0), ...slot(0x0f, 3, 1, 0, 0), ...stxdw(2, 0, 3), ...mov(0, 0), ...slot(0x55, 1, 0, 1, 7), ...mov(0, 1), ...EXIT];
for (const [times, flags] of [[0, 0], [1, 0], [5, 0], [8, 0], [9, 0], [1000, 0], [8388608, 0], [8388609, 0], [3, 1]]) {
  add1(`loop ${times} flags ${flags}`, [
    ...copy(6, 1), ...stdw(-8, 100), ...mov(1, times), ...slot(0x18, 2, 4, 0, 8), ...slot(0, 0, 0, 0, 0), ...stack(3, -8), ...mov(4, flags), ...call(181),
    ...ldxdw(1, 10, -8), ...stxdw(6, 0, 1), ...EXIT, ...callback,
  ].flat(), text("", 8));
}

// A dynamic pointer to the memory: read and write through it.
const dynptr = (body, size = 32) => [
  ...copy(6, 1), ...mov(2, size), ...mov(3, 0), ...stack(4, -16), ...call(197), ...copy(7, 0), ...body, ...EXIT,
];
for (const [length, offset, flags] of [[8, 0, 0], [8, 24, 0], [8, 25, 0], [16, 16, 0], [16, 17, 0], [1, 31, 0], [1, 32, 0], [8, -1, 0], [8, 0, 1]]) {
  add1(`dynptr_read ${length} at ${offset} flags ${flags}`, dynptr([
    ...stdw(-32, 0x55), ...stdw(-24, 0x66), ...stack(1, -32), ...mov(2, length), ...stack(3, -16), ...slot(0xb4, 4, 0, 0, offset), ...mov(5, flags), ...call(201),
    ...ldxdw(1, 10, -32), ...stxdw(6, 32, 1), ...ldxdw(1, 10, -24), ...stxdw(6, 40, 1),
  ]), text("abcdefghijklmnopqrstuvwxyz0123456789"));
  add1(`dynptr_write ${length} at ${offset} flags ${flags}`, dynptr([
    ...stdw(-32, 0x55), ...stdw(-24, 0x66), ...stack(1, -16), ...slot(0xb4, 2, 0, 0, offset), ...stack(3, -32), ...mov(4, length), ...mov(5, flags), ...call(202),
  ]), text("abcdefghijklmnopqrstuvwxyz0123456789"));
}
for (const [length, offset] of [[8, 0], [8, 24], [8, 25], [32, 0]]) {
  add1(`dynptr_data ${length} at ${offset}`, dynptr([
    ...stack(1, -16), ...mov(2, offset), ...mov(3, length), ...call(203), ...slot(0x15, 0, 0, 2, 0), ...slot(0x7a, 0, 0, 0, 0x77), ...mov(0, 1),
  ]), text("abcdefghijklmnopqrstuvwxyz0123456789"));
}

const run = rawRunner(startHost({ root }));
const recorded = cases.flatMap((each) => {
  const { r0, memory, error } = run(Uint8Array.from(Buffer.from(each.program, "hex")), Uint8Array.from(Buffer.from(each.memory, "hex")));
  if (error !== undefined) {
    process.stderr.write(`${each.name}: ${error}\n`);
    return [];
  }
  return [{ ...each, r0: r0.toString(16), after: Buffer.from(memory).toString("hex") }];
});
writeFileSync(new URL("recorded.json", import.meta.url), `[\n${recorded.map((each) => JSON.stringify(each)).join(",\n")}\n]\n`);
process.stdout.write(`${recorded.length} of ${cases.length} recorded\n`);
process.exit(0);
