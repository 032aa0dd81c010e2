/**
 * Programs for every rule of the verifier, most in pairs on both sides of a border. What the kernel says of them is in
 * kernel.json, written by `node test/bpf/verifier/record.mjs` on Linux as root.
 */
import type { RecordedMap, RecordedProgram } from "./request.ts";
import { assemble } from "./assemble.ts";

const MAPS: Readonly<Record<string, RecordedMap>> = {
  hash: { type: "hash", key: 4, value: 48, entries: 8 },
  array: { type: "array", key: 4, value: 48, entries: 4 },
  one: { type: "array", key: 4, value: 16, entries: 1 },
  locked: { type: "array", key: 4, value: 16, entries: 1, spin_lock: 4 },
  ring: { type: "ringbuf", key: 0, value: 0, entries: 4096 },
  progs: { type: "prog_array", key: 4, value: 4, entries: 3 },
  queue: { type: "queue", key: 0, value: 8, entries: 4 },
  perf: { type: "perf_event_array", key: 4, value: 4, entries: 2 },
  readonly: { type: "array", key: 4, value: 16, entries: 2, flags: 0x80 },
  writeonly: { type: "array", key: 4, value: 16, entries: 2, flags: 0x100 },
  lru: { type: "lru_hash", key: 8, value: 8, entries: 4 },
  lpm: { type: "lpm_trie", key: 8, value: 4, entries: 4, flags: 1 },
  devs: { type: "devmap", key: 4, value: 4, entries: 4 },
  percpu: { type: "percpu_array", key: 4, value: 8, entries: 1 },
};

const cases: RecordedProgram[] = [];

function add(name: string, text: string, { type = "sched_cls", attach = 0, license = "GPL" } = {}): void {
  const { hex, relocs } = assemble(text);
  const used = new Set(relocs.map((reloc) => reloc.name));
  const maps = Object.fromEntries(Object.entries(MAPS).filter(([map]) => used.has(map)));
  cases.push({ name, type, attach, license, maps, relocs, program_hex: hex });
}

const RETURN = "r0 = 0; exit";
/** r0 = value of map `name` at key 0 (not NULL), r6 = context, r7 = unknown word. */
const lookup = (name: string, key = 4): string =>
  `r6 = r1; r7 = *(u32 *)(r1 +8); *(u64 *)(r10 -8) = 0; r2 = r10; r2 += ${-key}; r1 = map ${name}; call 1; if r0 != 0 goto have; exit; have:`;

// Ranges of an index into 48 bytes.
for (const [bound, text] of [
  ["and 31", "r7 &= 31"], ["and 47", "r7 &= 47"], ["and 63", "r7 &= 63"], ["rsh 27", "w7 >>= 27"], ["rsh 26", "w7 >>= 26"],
  ["jlt 48", "if r7 >= 48 goto out"], ["jlt 49", "if r7 >= 49 goto out"], ["jle 40", "if r7 > 40 goto out"],
  ["jslt 40", "r7 <<= 32; r7 s>>= 32; if r7 s>= 40 goto out"], ["both signs", "r7 <<= 32; r7 s>>= 32; if r7 s>= 40 goto out; if r7 s< 0 goto out"],
  ["jset", "if r7 & -32 goto out"], ["jset bit", "r7 &= 63; if r7 & 32 goto out"], ["32-bit compare", "if w7 >= 40 goto out"],
  ["mod 40", "r7 %= 40"], ["div", "r7 /= 100000000"], ["mul", "r7 &= 7; r7 *= 5"], ["mul 6", "r7 &= 7; r7 *= 6"],
  ["sub", "r7 &= 31; r7 += 8; r7 -= 8"], ["sub below 0", "r7 &= 31; r7 -= 1"], ["or", "r7 &= 15; r7 |= 32"], ["xor", "r7 &= 15; r7 ^= 15"],
  ["neg", "r7 &= 15; r7 = -r7; r7 = -r7"], ["arsh", "r7 <<= 32; r7 s>>= 59"], ["sign extend 8", "r7 = (s8)r7; if r7 s< 0 goto out"],
  ["u8", "r7 &= 255; if r7 == 255 goto out"], ["equal", "if r7 != 40 goto out"], ["copy compared", "r8 = r7; if r8 > 40 goto out"],
  ["sum compared", "r8 = r7; r8 += 4; if r8 > 40 goto out"], ["spilled and compared", "*(u64 *)(r10 -16) = r7; if r7 > 40 goto out; r7 = *(u64 *)(r10 -16)"],
  ["register compared", "r8 = 40; if r7 > r8 goto out"], ["range compared", "r8 = *(u8 *)(r6 +8); r8 &= 31; if r7 > r8 goto out"],
  ["lsh", "r7 &= 3; r7 <<= 4"], ["lsh too far", "r7 &= 7; r7 <<= 4"], ["wrapped sum", "r7 &= 15; w7 += -1; if w7 > 40 goto out"],
] as const) {
  for (const size of [8, 64]) {
    add(`index ${bound}, u${size}`, `${lookup("hash")} ${text}; r0 += r7; r0 = *(u${size} *)(r0 +0); out: ${RETURN}`);
  }
}

// The stack.
for (const [name, text] of [
  ["at the top", "*(u64 *)(r10 +0) = 1"], ["last slot", "*(u64 *)(r10 -512) = 1"], ["below", "*(u64 *)(r10 -520) = 1"],
  ["misaligned u64", "*(u64 *)(r10 -12) = 1"], ["misaligned u32", "*(u32 *)(r10 -6) = 1"], ["u8 anywhere", "*(u8 *)(r10 -5) = 1"],
  ["read unwritten", "r1 = *(u64 *)(r10 -8)"], ["read half written", "*(u32 *)(r10 -8) = 1; r1 = *(u64 *)(r10 -8)"],
  ["fill", "*(u64 *)(r10 -8) = r1; r2 = *(u64 *)(r10 -8); r0 = *(u32 *)(r2 +8)"],
  ["partial fill", "*(u64 *)(r10 -8) = r1; r2 = *(u32 *)(r10 -8)"], ["partial spill", "*(u32 *)(r10 -8) = r1"],
  ["overwritten spill", "*(u64 *)(r10 -8) = r1; *(u8 *)(r10 -8) = 1; r2 = *(u64 *)(r10 -8); r0 = *(u32 *)(r2 +8)"],
  ["narrow fill of a scalar", "r2 = *(u32 *)(r1 +8); *(u64 *)(r10 -8) = r2; r2 = *(u8 *)(r10 -8)"],
  ["upper half of a scalar", "r2 = *(u32 *)(r1 +8); *(u64 *)(r10 -8) = r2; r2 = *(u32 *)(r10 -4)"],
  ["variable read", "*(u64 *)(r10 -8) = 1; *(u64 *)(r10 -16) = 1; r2 = *(u32 *)(r1 +8); r2 &= 7; r3 = r10; r3 += r2; r3 = *(u8 *)(r3 -16)"],
  ["variable write", "r2 = *(u32 *)(r1 +8); r2 &= 7; r3 = r10; r3 += r2; *(u8 *)(r3 -16) = 1"],
  ["variable write beyond", "r2 = *(u32 *)(r1 +8); r2 &= 31; r3 = r10; r3 += r2; *(u8 *)(r3 -16) = 1"],
  ["variable aligned write", "r2 = *(u32 *)(r1 +8); r2 &= 8; r3 = r10; r3 += r2; *(u64 *)(r3 -16) = 1"],
  ["variable misaligned write", "r2 = *(u32 *)(r1 +8); r2 &= 4; r3 = r10; r3 += r2; *(u64 *)(r3 -16) = 1"],
  ["pointer arithmetic out", "r2 = r10; r2 += -600"], ["subtraction from it", "r2 = r10; r2 -= 8"], ["minus register", "r2 = r10; r3 = 8; r2 -= r3"],
  ["pointer difference", "r2 = r10; r2 -= r10"], ["32-bit arithmetic", "r2 = r10; w2 += 8"], ["multiplied", "r2 = r10; r2 *= 2"],
  ["masked", "r2 = r10; r2 &= -8"], ["partial copy", "w2 = w10"], ["fp written", "r10 = 1"], ["huge offset", "r2 = r10; r2 += 2147483647; r2 += 2147483647"],
  ["zero spill as index", "*(u64 *)(r10 -8) = 0; r2 = *(u64 *)(r10 -8); r3 = r10; r3 += r2; *(u8 *)(r3 -1) = 1"],
] as const) {
  add(`stack: ${name}`, `${text}; ${RETURN}`);
}

// Packets: every comparison, at the border and one behind.
for (const type of ["xdp", "sched_cls"]) {
  const load = type === "xdp" ? "r2 = *(u32 *)(r1 +0); r3 = *(u32 *)(r1 +4)" : "r2 = *(u32 *)(r1 +76); r3 = *(u32 *)(r1 +80)";
  for (const [name, compare] of [
    ["data + 14 > end", "r4 = r2; r4 += 14; if r4 > r3 goto out"], ["data + 14 >= end", "r4 = r2; r4 += 14; if r4 >= r3 goto out"],
    ["end < data + 14", "r4 = r2; r4 += 14; if r3 < r4 goto out"], ["end <= data + 14", "r4 = r2; r4 += 14; if r3 <= r4 goto out"],
    ["data + 14 == end", "r4 = r2; r4 += 14; if r4 == r3 goto out"], ["32 bits", "r4 = r2; r4 += 14; if w4 > w3 goto out"],
    ["unchecked", "r4 = r2"], ["data < end", "if r2 >= r3 goto out"],
  ] as const) {
    for (const at of [0, 13, 14]) add(`packet, ${type}: ${name}, byte ${at}`, `${load}; ${compare}; r0 = *(u8 *)(r2 +${at}); out: ${RETURN}`, { type });
  }
  add(`packet, ${type}: write`, `${load}; r4 = r2; r4 += 2; if r4 > r3 goto out; *(u16 *)(r2 +0) = 1; out: ${RETURN}`, { type });
  add(`packet, ${type}: pointer into it`, `${load}; r4 = r2; r4 += 8; if r4 > r3 goto out; *(u64 *)(r2 +0) = r10; out: ${RETURN}`, { type });
  add(`packet, ${type}: variable offset, compared again`,
    `${load}; r4 = r2; r4 += 1; if r4 > r3 goto out; r5 = *(u8 *)(r2 +0); r2 += r5; r4 = r2; r4 += 4; if r4 > r3 goto out; r0 = *(u32 *)(r2 +0); out: ${RETURN}`, { type });
  add(`packet, ${type}: far offset`, `${load}; r4 = r2; r4 += 70000; if r4 > r3 goto out; r0 = *(u8 *)(r2 +0); out: ${RETURN}`, { type });
  add(`packet, ${type}: end dereferenced`, `${load}; r0 = *(u8 *)(r3 +0); ${RETURN}`, { type });
  add(`packet, ${type}: end moved`, `${load}; r3 += 1; ${RETURN}`, { type });
}
for (const [type, text] of [
  ["cgroup_skb", "r2 = *(u32 *)(r1 +76); r3 = *(u32 *)(r1 +80); r4 = r2; r4 += 1; if r4 > r3 goto out; *(u8 *)(r2 +0) = 1"],
  ["socket_filter", "r2 = *(u32 *)(r1 +76)"], ["lwt_in", "r2 = *(u32 *)(r1 +76); r3 = *(u32 *)(r1 +80); r4 = r2; r4 += 1; if r4 > r3 goto out; *(u8 *)(r2 +0) = 1"],
  ["sk_msg", "r2 = *(u64 *)(r1 +0); r3 = *(u64 *)(r1 +8); r4 = r2; r4 += 1; if r4 > r3 goto out; *(u8 *)(r2 +0) = 1"],
] as const) {
  add(`packet of ${type}`, `${text}; out: ${RETURN}`, { type });
}

// Contexts.
for (const type of [
  "socket_filter", "kprobe", "sched_cls", "tracepoint", "xdp", "perf_event", "cgroup_skb", "lwt_out", "sock_ops", "sk_skb",
  "cgroup_device", "sk_msg", "raw_tracepoint", "flow_dissector", "cgroup_sysctl", "sk_lookup",
]) {
  const attach = type === "sk_lookup" ? 36 : 0;
  for (const [off, size] of [[0, 32], [4, 8], [8, 32], [12, 64], [48, 32], [152, 64], [-4, 32], [600, 32]] as const) {
    add(`context of ${type}: u${size} at ${off}`, `r0 = *(u${size} *)(r1 ${off < 0 ? off : `+${off}`}); ${RETURN}`, { type, attach });
  }
  add(`context of ${type}: written at 4`, `*(u32 *)(r1 +4) = 1; ${RETURN}`, { type, attach });
  add(`context of ${type}: moved`, `r1 += 4; r0 = *(u32 *)(r1 +0); ${RETURN}`, { type, attach });
}

// Helpers by type and licence.
for (const type of ["socket_filter", "xdp", "sched_cls", "cgroup_skb", "kprobe", "raw_tracepoint", "sk_msg", "cgroup_device"]) {
  for (const helper of [5, 6, 9, 14, 23, 35, 44, 51, 69, 84, 113, 130, 158, 181, 211, 212]) add(`helper ${helper} in ${type}`, `call ${helper}; ${RETURN}`, { type });
}
add("gpl helper, other licence", "r1 = r10; r1 += -8; r2 = 8; r3 = 0; call 113; r0 = 0; exit", { type: "kprobe", license: "MIT" });
add("free helper, other licence", "call 5; r0 = 0; exit", { license: "MIT" });

// Maps and their helpers.
for (const [name, text] of [
  ["no null check", "*(u64 *)(r10 -8) = 0; r2 = r10; r2 += -8; r1 = map hash; call 1; r0 = *(u8 *)(r0 +0); exit"],
  ["key not written", "r2 = r10; r2 += -8; r1 = map hash; call 1; r0 = 0; exit"],
  ["key too short", "*(u32 *)(r10 -4) = 0; r2 = r10; r2 += -4; r1 = map lru; call 1; r0 = 0; exit"],
  ["key is a number", "r2 = 0; r1 = map hash; call 1; r0 = 0; exit"],
  ["map is a number", "r1 = 5; r2 = r10; r2 += -8; *(u64 *)(r10 -8) = 0; call 1; r0 = 0; exit"],
  ["array, constant key", "*(u32 *)(r10 -4) = 3; r2 = r10; r2 += -4; r1 = map array; call 1; r0 = *(u8 *)(r0 +0); exit"],
  ["array, constant key beyond", "*(u32 *)(r10 -4) = 4; r2 = r10; r2 += -4; r1 = map array; call 1; r0 = *(u8 *)(r0 +0); exit"],
  ["end of the value", `${lookup("hash")} r0 = *(u64 *)(r0 +40); exit`], ["behind the value", `${lookup("hash")} r0 = *(u64 *)(r0 +41); exit`],
  ["before the value", `${lookup("hash")} r0 = *(u8 *)(r0 -1); exit`], ["pointer stored", `${lookup("hash")} *(u64 *)(r0 +0) = r10; r0 = 0; exit`],
  ["value returned", `${lookup("hash")} exit`], ["read-only written", `${lookup("readonly")} *(u8 *)(r0 +0) = 1; r0 = 0; exit`],
  ["read-only read", `${lookup("readonly")} r0 = *(u8 *)(r0 +0); exit`], ["write-only read", `${lookup("writeonly")} r0 = *(u8 *)(r0 +0); exit`],
  ["write-only written", `${lookup("writeonly")} *(u8 *)(r0 +0) = 1; r0 = 0; exit`],
  ["read-only updated", "*(u64 *)(r10 -8) = 0; *(u64 *)(r10 -16) = 0; *(u64 *)(r10 -24) = 0; r1 = map readonly; r2 = r10; r2 += -8; r3 = r10; r3 += -24; r4 = 0; call 2; r0 = 0; exit"],
  ["direct value", "r1 = value one 8; r0 = *(u64 *)(r1 +0); exit"], ["direct value beyond", "r1 = value one 8; r0 = *(u64 *)(r1 +4); exit"],
  ["direct value outside", "r1 = value one 16; r0 = 0; exit"], ["direct value of a hash", "r1 = value hash 0; r0 = 0; exit"],
  ["direct value of two", "r1 = value array 0; r0 = 0; exit"], ["struct read", "r1 = map hash; r0 = *(u32 *)(r1 +24); r0 = 0; exit"],
  ["struct written", "r1 = map hash; *(u32 *)(r1 +24) = 0; r0 = 0; exit"], ["map pointer moved", "r1 = map hash; r1 += 8; r0 = 0; exit"],
  ["lookup in a queue", "*(u64 *)(r10 -8) = 0; r2 = r10; r2 += -8; r1 = map queue; call 1; r0 = 0; exit"],
  ["queue popped", "r2 = r10; r2 += -8; r1 = map queue; call 88; r0 = *(u64 *)(r10 -8); r0 = 0; exit"],
  ["queue pushed from nothing", "r2 = r10; r2 += -8; r1 = map queue; r3 = 0; call 87; r0 = 0; exit"],
  ["lookup in a prog array", "*(u64 *)(r10 -8) = 0; r2 = r10; r2 += -8; r1 = map progs; call 1; r0 = 0; exit"],
  ["lookup in a ring", "*(u64 *)(r10 -8) = 0; r2 = r10; r2 += -8; r1 = map ring; call 1; r0 = 0; exit"],
  ["trie", `${lookup("lpm", 8)} r0 = *(u32 *)(r0 +0); exit`], ["trie, behind the value", `${lookup("lpm", 8)} r0 = *(u32 *)(r0 +1); exit`],
  ["null branch used", "*(u64 *)(r10 -8) = 0; r2 = r10; r2 += -8; r1 = map hash; call 1; if r0 != 0 goto out; r0 = *(u8 *)(r0 +0); out: r0 = 0; exit"],
  ["null checked copy", "*(u64 *)(r10 -8) = 0; r2 = r10; r2 += -8; r1 = map hash; call 1; r6 = r0; if r6 == 0 goto out; r0 = *(u8 *)(r0 +0); out: r0 = 0; exit"],
  ["other lookup checked", "*(u64 *)(r10 -8) = 0; r2 = r10; r2 += -8; r1 = map hash; call 1; r6 = r0; r2 = r10; r2 += -8; r1 = map hash; call 1; if r6 == 0 goto out; r0 = *(u8 *)(r0 +0); out: r0 = 0; exit"],
  ["moved before the check", "*(u64 *)(r10 -8) = 0; r2 = r10; r2 += -8; r1 = map hash; call 1; r0 += 4; r0 = 0; exit"],
  ["per-CPU value", `${lookup("percpu")} r0 = *(u64 *)(r0 +0); exit`], ["callback of a wrong map", "r1 = map ring; r2 = 0; r3 = 0; r4 = 0; call 164; r0 = 0; exit"],
  ["redirect_map, hash", "r1 = map hash; r2 = 0; r3 = 0; call 51; exit"],
] as const) {
  add(`map: ${name}`, text);
}
add("map: redirect_map", "r1 = map devs; r2 = 0; r3 = 0; call 51; exit", { type: "xdp" });
add("map: redirect_map of a hash", "r1 = map hash; r2 = 0; r3 = 0; call 51; exit", { type: "xdp" });

// Memory of helpers.
for (const [name, size] of [["constant", "r3 = 16"], ["zero", "r3 = 0"], ["too large", "r3 = 17"], ["negative", "r3 = -1"], ["masked", "r3 = *(u32 *)(r1 +8); r3 &= 15"],
  ["masked, at least 1", "r3 = *(u32 *)(r1 +8); r3 &= 7; r3 += 1"], ["unbounded", "r3 = *(u32 *)(r1 +8)"], ["signed bound", "r3 = *(u32 *)(r1 +8); r3 <<= 32; r3 s>>= 32; if r3 s> 16 goto out"]] as const) {
  add(`helper reads: ${name}`, `*(u64 *)(r10 -8) = 0; *(u64 *)(r10 -16) = 0; ${size}; r4 = r3; r3 = r10; r3 += -16; r2 = 0; r5 = 0; call 9; out: r0 = 0; exit`);
  add(`helper writes: ${name}`, `${size}; r4 = r3; r3 = r10; r3 += -16; r2 = 0; call 26; out: r0 = 0; exit`);
}
add("helper writes what is read later", "r4 = 8; r3 = r10; r3 += -8; r2 = 0; call 26; r0 = *(u64 *)(r10 -8); r0 = 0; exit");
add("helper gets a pointer as number", "r2 = r10; r3 = 0; call 13; r0 = 0; exit");
add("packet pointers after a change", "r6 = r1; r7 = *(u32 *)(r1 +76); r8 = *(u32 *)(r1 +80); r2 = r7; r2 += 4; if r2 > r8 goto out; r2 = 100; call 39; r0 = *(u8 *)(r7 +0); out: r0 = 0; exit");
add("packet as helper's memory", "r2 = *(u32 *)(r1 +76); r3 = *(u32 *)(r1 +80); r4 = r2; r4 += 8; if r4 > r3 goto out; r1 = map hash; call 1; out: r0 = 0; exit");
add("r1 after a call", "call 5; r0 = r1; exit");
add("r6 after a call", "r6 = 1; call 5; r0 = r6; exit");

// References, rings, locks.
const reserve = "r1 = map ring; r2 = 16; r3 = 0; call 131;";
for (const [name, text] of [
  ["submitted", `${reserve} if r0 == 0 goto out; *(u64 *)(r0 +8) = 1; r1 = r0; r2 = 0; call 132; out: r0 = 0; exit`],
  ["leaked", `${reserve} if r0 == 0 goto out; r0 = 0; out: r0 = 0; exit`], ["never checked", `${reserve} r0 = 0; exit`],
  ["written behind", `${reserve} if r0 == 0 goto out; *(u64 *)(r0 +16) = 1; r1 = r0; r2 = 0; call 132; out: r0 = 0; exit`],
  ["used after submit", `${reserve} if r0 == 0 goto out; r6 = r0; r1 = r0; r2 = 0; call 132; *(u64 *)(r6 +0) = 1; out: r0 = 0; exit`],
  ["submitted twice", `${reserve} if r0 == 0 goto out; r6 = r0; r1 = r0; r2 = 0; call 132; r1 = r6; r2 = 0; call 133; out: r0 = 0; exit`],
  ["submitted from the middle", `${reserve} if r0 == 0 goto out; r1 = r0; r1 += 8; r2 = 0; call 132; out: r0 = 0; exit`],
  ["not checked before submit", `${reserve} r1 = r0; r2 = 0; call 132; r0 = 0; exit`], ["size unknown", "r2 = *(u32 *)(r1 +8); r1 = map ring; r3 = 0; call 131; r0 = 0; exit"],
  ["socket released", "*(u64 *)(r10 -16) = 0; *(u64 *)(r10 -8) = 0; r2 = r10; r2 += -16; r3 = 12; r4 = -1; r5 = 0; call 84; if r0 == 0 goto out; r1 = r0; call 86; out: r0 = 0; exit"],
  ["socket leaked", "*(u64 *)(r10 -16) = 0; *(u64 *)(r10 -8) = 0; r2 = r10; r2 += -16; r3 = 12; r4 = -1; r5 = 0; call 84; r0 = 0; exit"],
  ["socket read", "*(u64 *)(r10 -16) = 0; *(u64 *)(r10 -8) = 0; r2 = r10; r2 += -16; r3 = 12; r4 = -1; r5 = 0; call 84; if r0 == 0 goto out; r6 = *(u32 *)(r0 +4); r1 = r0; call 86; out: r0 = 0; exit"],
  ["socket written", "*(u64 *)(r10 -16) = 0; *(u64 *)(r10 -8) = 0; r2 = r10; r2 += -16; r3 = 12; r4 = -1; r5 = 0; call 84; if r0 == 0 goto out; *(u32 *)(r0 +4) = 1; r1 = r0; call 86; out: r0 = 0; exit"],
  ["tail call with a reference", `r6 = r1; ${reserve} if r0 == 0 goto out; r7 = r0; r1 = r6; r2 = map progs; r3 = 0; call 12; r1 = r7; r2 = 0; call 133; out: r0 = 0; exit`],
] as const) {
  add(`reference: ${name}`, text);
}
const locked = `${lookup("locked")} r8 = r0; r1 = r0; r1 += 4; call 93;`;
for (const [name, text] of [
  ["held and released", `${locked} *(u32 *)(r8 +0) = 1; r1 = r8; r1 += 4; call 94; r0 = 0; exit`], ["never released", `${locked} r0 = 0; exit`],
  ["taken twice", `${locked} r1 = r8; r1 += 4; call 93; r0 = 0; exit`], ["not taken", `${lookup("locked")} r1 = r0; r1 += 4; call 94; r0 = 0; exit`],
  ["wrong place", `${lookup("locked")} r1 = r0; call 93; r0 = 0; exit`], ["read", `${lookup("locked")} r0 = *(u32 *)(r0 +4); exit`],
  ["call with it held", `${locked} call 5; r1 = r8; r1 += 4; call 94; r0 = 0; exit`], ["no lock in the map", `${lookup("hash")} r1 = r0; call 93; r0 = 0; exit`],
  ["LD_ABS with it held", `${locked} raw 3000000000000000; r1 = r8; r1 += 4; call 94; r0 = 0; exit`],
] as const) {
  add(`lock: ${name}`, text);
}
add("lock in a socket filter", `${lookup("locked")} r0 = 0; exit`, { type: "socket_filter" });
add("lock in a kprobe", "r1 = map locked; r0 = 0; exit", { type: "kprobe" });

// Control flow, calls, loops.
for (const [name, text] of [
  ["counted loop", "r1 = 0; top: r1 += 1; if r1 < 100 goto top; r0 = 0; exit"], ["endless loop", "top: goto top"],
  ["loop without progress", "r1 = 0; top: r2 = 1; if r1 == 0 goto top; r0 = 0; exit"],
  ["unreachable", "r0 = 0; exit; r0 = 1; exit"], ["jump out", "r0 = 0; goto +5; exit"], ["jump before", "r0 = 0; goto -3; exit"], ["into lddw", "if r1 == 0 goto +1; r2 = 5 ll; r0 = 0; exit"],
  ["no exit", "r0 = 0"], ["r0 not set", "exit"], ["r2 at entry", "r0 = r2; exit"], ["r11", "raw bfb0000000000000; exit"], ["dead branch", "r0 = 1; if r0 == 1 goto +1; r0 = *(u8 *)(r9 +0); r0 = 0; exit"],
  ["call", "call f; r0 = 0; exit; f: r0 = 1; exit"], ["callee's r6", "r6 = 1; call f; exit; f: r0 = r6; exit"], ["argument", "call f; exit; f: r0 = *(u32 *)(r1 +8); exit"],
  ["caller's stack written", "r1 = r10; r1 += -8; call f; r0 = *(u64 *)(r10 -8); exit; f: *(u64 *)(r1 +0) = 7; r0 = 0; exit"],
  ["caller's r1 after", "call f; r0 = r1; exit; f: r0 = 0; exit"], ["stack pointer returned", "call f; r0 = 0; exit; f: r0 = r10; exit"],
  ["recursion", "call f; exit; f: call f; exit"], ["stack of two too large", "*(u64 *)(r10 -400) = 1; call f; r0 = 0; exit; f: *(u64 *)(r10 -200) = 1; r0 = 0; exit"],
  ["stack of two fits", "*(u64 *)(r10 -256) = 1; call f; r0 = 0; exit; f: *(u64 *)(r10 -256) = 1; r0 = 0; exit"], ["callee leaks", `call f; r0 = 0; exit; f: ${reserve} r0 = 0; exit`],
  ["tail call", "r2 = map progs; r3 = 1; call 12; r0 = 0; exit"], ["tail call, wrong map", "r2 = map array; r3 = 1; call 12; r0 = 0; exit"], ["tail call, no context", "r1 = 0; r2 = map progs; r3 = 1; call 12; r0 = 0; exit"],
  ["tail call in a callee", "call f; r0 = 0; exit; f: r2 = map progs; r3 = 1; call 12; r0 = 0; exit"],
  ["jump into another function", "call f; r0 = 0; goto in; exit; f: r0 = 0; in: exit"], ["bad call target", "raw 8510000064000000; exit"],
] as const) {
  add(`flow: ${name}`, text);
}

// Arithmetic and reserved fields.
for (const [name, text] of [
  ["div by 0", "r0 = 1; r0 /= 0; exit"], ["mod by 0", "r0 = 1; r0 %= 0; exit"], ["shift by 64", "r0 = 1; r0 <<= 64; exit"], ["shift by 63", "r0 = 1; r0 <<= 63; exit"],
  ["32-bit shift by 32", "w0 = 1; w0 >>= 32; exit"], ["shift by -1", "r0 = 1; r0 s>>= -1; exit"], ["pointer negated", "r1 = -r1; r0 = 0; exit"], ["pointer shifted", "r1 <<= 1; r0 = 0; exit"],
  ["two pointers added", "r1 += r10; r0 = 0; exit"], ["number minus pointer", "r0 = 1; r0 -= r10; exit"], ["number plus pointer", "r2 = 8; r2 += r10; r0 = 0; exit"], ["pointer returned", "r0 = r1; exit"],
  ["pointer compared with a number", "if r1 > 5 goto +0; r0 = 0; exit"], ["pointers compared", "r2 = r10; if r2 == r10 goto +0; r0 = 0; exit"], ["ctx compared with 0", "if r1 == 0 goto +0; r0 = 0; exit"],
  ["unknown opcode", "raw ff00000000000000; r0 = 0; exit"], ["exit with fields", "r0 = 0; raw 9500000001000000"], ["jump with imm", "r0 = 0; raw 0500000001000000; exit"],
  ["mov with off", "raw b700010000000000; exit"], ["load with imm", "raw 6110000001000000; exit"], ["neg with imm", "r0 = 1; raw 8700000001000000; exit"], ["ld_imm64 half", "r0 = 0; exit; raw 1800000000000000"],
  ["sign-extending mov", "r2 = *(u32 *)(r1 +8); r0 = (s16)r2; exit"], ["sign-extending pointer", "r2 = (s8)r1; r0 = 0; exit"], ["uninitialised operand", "r0 += r3; exit"],
  ["atomic on the stack", "*(u64 *)(r10 -8) = 0; r2 = 1; add *(u64 *)(r10 -8) r2; r0 = 0; exit"], ["atomic u8", "*(u64 *)(r10 -8) = 0; r2 = 1; add *(u8 *)(r10 -8) r2; r0 = 0; exit"],
  ["atomic misaligned", "*(u64 *)(r10 -8) = 0; r2 = 1; add *(u32 *)(r10 -6) r2; r0 = 0; exit"], ["atomic on the context", "r2 = 1; add *(u32 *)(r1 +8) r2; r0 = 0; exit"],
  ["atomic on a packet", "r2 = *(u32 *)(r1 +76); r3 = *(u32 *)(r1 +80); r4 = r2; r4 += 8; if r4 > r3 goto out; r5 = 1; add *(u32 *)(r2 +0) r5; out: r0 = 0; exit"],
  ["fetch of unwritten stack", "r2 = 1; fetch_add *(u64 *)(r10 -8) r2; r0 = 0; exit"], ["cmpxchg without r0", "*(u64 *)(r10 -8) = 0; r2 = 1; cmpxchg *(u64 *)(r10 -8) r2; r0 = 0; exit"],
  ["xchg of a pointer", "*(u64 *)(r10 -8) = 0; xchg *(u64 *)(r10 -8) r1; r0 = 0; exit"], ["ld_abs", "r6 = r1; raw 2000000000000000; exit"], ["ld_abs without r6", "raw 2000000000000000; exit"],
  ["store of a pointer to the context", "*(u64 *)(r1 +48) = r10; r0 = 0; exit"],
] as const) {
  add(`alu: ${name}`, text);
}
add("ld_abs in xdp", "r6 = r1; raw 2000000000000000; exit", { type: "xdp" });

// Return values.
for (const [type, attach] of [
  ["xdp", 0], ["sched_cls", 0], ["cgroup_skb", 0], ["cgroup_skb", 1], ["cgroup_sock", 2], ["cgroup_sock_addr", 8], ["cgroup_sock_addr", 10],
  ["cgroup_sock_addr", 19], ["cgroup_sock_addr", 29], ["sock_ops", 3], ["cgroup_device", 6], ["cgroup_sysctl", 18], ["cgroup_sockopt", 21], ["sk_lookup", 36],
  ["sk_msg", 7], ["kprobe", 0], ["netfilter", 45],
] as const) {
  for (const value of [0, 1, 2, 4, -1]) add(`return ${value} from ${type} ${attach}`, `r0 = ${value}; exit`, { type, attach });
}

export const CASES: readonly RecordedProgram[] = cases;
