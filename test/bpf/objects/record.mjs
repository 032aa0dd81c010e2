// Takes the answers to plan.mjs from the kernel of this machine, through libbpf: node test/bpf/objects/record.mjs, as root, with clang, gcc and
// libbpf-dev. Writes recorded.json; CO-RE facts and results are those of the kernel named in it.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { release, tmpdir } from "node:os";
import { join } from "node:path";
import { buildObject, LEVELS } from "./build.mjs";
import { CASES } from "./plan.mjs";

const folder = mkdtempSync(join(tmpdir(), "kubewire-record-"));
const recorder = join(folder, "record");
execFileSync("gcc", ["-O1", "-Wno-deprecated-declarations", "-o", recorder, join(import.meta.dirname, "record.c"), "-lbpf"]);
/** Maps whose contents depend on the machine, or that have none. */
const UNLISTED = new Set(["elements", "locked", "outer", "by_hash", "jumps", "ring", "bloom", "recent"]);
const MAPS = {
  globals: ["out", ".data", ".bss", ".data.side"], loops: ["numbers", "table", ".bss"], nested: ["first", "second", "routes", "recent", "queue", "stack", ".bss"],
  atomics: [".data", ".bss"], core: [".bss"], timers: [".bss"], types: [".bss"],
};
const HASHES = new Set(["table", "routes", "recent"]);

function record(level, one) {
  const file = buildObject(one.object, level, folder);
  const offsets = symbols(file);
  const lines = [`open ${file}`];
  for (const { section, symbol, offset, value } of one.globals ?? []) lines.push(`global ${section} ${(offsets.get(symbol) ?? 0) + offset} ${value}`);
  lines.push("load");
  for (const { map, key, value, prog, inner } of one.map_set ?? []) {
    lines.push(prog !== undefined ? `setprog ${map} ${key} ${prog}` : inner !== undefined ? `setinner ${map} ${key} ${inner}` : `set ${map} ${key} ${value}`);
  }
  for (const { prog, data_in, ctx_in, repeat } of one.steps) lines.push(`run ${prog} ${data_in || "-"} ${ctx_in || "-"} ${repeat ?? 0}`, "sleep 5");
  for (const map of MAPS[one.object]) lines.push(`dump ${map}`);
  if (one.object === "timers") lines.push("ring ring");
  const out = execFileSync(recorder, { input: `${lines.join("\n")}\n`, encoding: "utf8", stdio: ["pipe", "pipe", "inherit"] }).trim().split("\n").map((line) => line.split(" "));
  const runs = out.filter(([word]) => word === "run");
  const blank = (text) => (text === "-" ? "" : text);
  const steps = one.steps.map((step, i) => {
    const [, retval, data, ctx] = runs[i];
    if (retval === "error") throw new Error(`${one.object} ${step.prog}: errno ${data}`);
    return { ...step, expect: { retval: Number(retval), data_out: blank(data), ...(ctx?.length !== 384 ? {} : { ctx_out: ctx, ctx_compare: [[8, 4], [32, 4], [48, 20]] }) } };
  });
  const expect_maps = {};
  const expect_ringbuf = {};
  for (const [word, name, ...rest] of out) {
    if (word === "ring") expect_ringbuf[name] = rest;
    if (word !== "map" || UNLISTED.has(name)) continue;
    const elements = rest.map((pair) => pair.split(":")).map(([key, value]) => (key === "-" ? { value } : { key, value }));
    expect_maps[name] = HASHES.has(name) ? elements.sort((a, b) => (a.key < b.key ? -1 : 1)) : elements.filter(({ key, value }) => key === undefined || /[^0]/.test(value));
  }
  return { ...one, steps, expect_maps, expect_ringbuf };
}

/** Offsets of variables in their sections. */
function symbols(file) {
  const rows = execFileSync("llvm-readelf", ["-s", file], { encoding: "utf8" }).split("\n").map((line) => line.trim().split(/\s+/));
  return new Map(rows.filter((row) => row[3] === "OBJECT").map((row) => [row[7], Number.parseInt(row[1], 16)]));
}

try {
  const cases = LEVELS.flatMap((level) => CASES.map((one) => ({ ...record(level, one), levels: [level] })));
  writeFileSync(join(import.meta.dirname, "recorded.json"), `${JSON.stringify({ kernel: release(), cases }, undefined, 1)}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
