// node test/bpf/maps/record.mjs: asks this machine's kernel the questions of cases.ts and writes the answers to recorded/*.json. Root and Linux.
import { mkdirSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { importTs } from "../../../scripts/lib/run-ts.mjs";

const root = new URL("../../../", import.meta.url);
const { BPF, possibleCpus, startHost } = await importTs(root, "test/bpf/host/host.ts");
const { CPUS, PROGRAM_SCRIPTS, SCRIPTS, answersOf, creations, innerMaps, play, playPrograms } = await importTs(root, "test/bpf/maps/cases.ts");

if (possibleCpus() !== CPUS) throw new Error(`per-CPU values are recorded with ${CPUS} possible CPUs, here are ${possibleCpus()}`);
const host = startHost({ root });
const OPERATIONS = {
  lookup: BPF.MAP_LOOKUP_BATCH, take: BPF.MAP_LOOKUP_AND_DELETE_BATCH, update: BPF.MAP_UPDATE_BATCH, delete: BPF.MAP_DELETE_BATCH,
};
const NO_KEY = new Uint8Array(0);
let keyless = false;

const { ARGUMENTS, callProgram } = await importTs(root, "test/bpf/maps/programs.ts");
const argsMap = host.createMap({ type: 2, key: 4, value: ARGUMENTS, entries: 1 });
const ZERO = new Uint8Array(4);
const loaded = new Map();
const XDP = 6;

function programOf(fd, { value }, call) {
  const name = `${fd} ${call}`;
  let program = loaded.get(name);
  if (program === undefined) {
    const { program: insns, map, args } = callProgram(call, value);
    const relocs = [{ slot: args, kind: "map", fd: argsMap }, ...map.map((slot) => ({ slot, kind: "map", fd }))];
    const answer = host.load({ type: XDP, insns, relocs, logLevel: 1 });
    if (answer.fd < 0) throw new Error(`${call}: ${answer.log}`);
    program = answer.fd;
    loaded.set(name, program);
  }
  return program;
}

const target = {
  create({ type, key, value, entries, flags = 0, extra = 0, inner = 0, name = "", spinLock }) {
    keyless = type === 30;
    return host.tryCreateMap({ type, key, value, entries, flags, extra: BigInt(extra), innerFd: inner, name, spinLock });
  },
  close(fd) {
    for (const [name, program] of loaded) {
      if (!name.startsWith(`${fd} `)) continue;
      host.close(program);
      loaded.delete(name);
    }
    host.close(fd);
  },
  call(fd, map, call, args) {
    host.update(argsMap, ZERO, args);
    const { errno } = host.run(programOf(fd, map, call), { dataIn: new Uint8Array(64) });
    if (errno !== 0) throw new Error(`${call}: ${errno}`);
    return host.lookup(argsMap, ZERO, ARGUMENTS).value;
  },
  consume: (fd, { entries }) => host.consume(fd, entries),
  // What a bloom filter is asked about stands where the value is answered.
  lookup: (fd, key, size, flags) => (keyless ? { errno: ask(fd, key, flags), value: NO_KEY } : host.lookup(fd, key, size, BigInt(flags))),
  lookupAndDelete: (fd, key, size, flags) => host.lookupAndDelete(fd, key, size, BigInt(flags)),
  update: (fd, key, value, flags) => host.update(fd, key, value, BigInt(flags)),
  delete: (fd, key) => host.delete(fd, key),
  nextKey: (fd, key, size) => host.nextKey(fd, key, size),
  batch(fd, { operation, count, from, keys, values, keySize, valueSize, elementFlags = 0, flags = 0 }) {
    const { batch, ...answer } = host.batch(OPERATIONS[operation], fd, {
      batch: from, batchSize: 64, keys, values: operation === "delete" ? undefined : values, keySize, valueSize, count, elemFlags: BigInt(elementFlags),
      flags: BigInt(flags),
    });
    return { ...answer, next: batch };
  },
  freeze: (fd) => host.freeze(fd),
  info(fd) {
    const { bytes } = host.info(fd, 256);
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    return { flags: view.getUint32(20, true), maxEntries: view.getUint32(16, true), extra: Number(view.getBigUint64(80, true)) };
  },
};

function ask(fd, value, flags) {
  const attr = new Uint8Array(32);
  const view = new DataView(attr.buffer);
  view.setUint32(0, fd, true);
  view.setBigUint64(24, BigInt(flags), true);
  return host.bpf(BPF.MAP_LOOKUP_ELEM, attr, [{ bytes: value, answer: true }], [[16, 0]]).errno;
}

const folder = new URL("recorded/", import.meta.url);
mkdirSync(folder, { recursive: true });
const write = (name, answers) =>
  writeFileSync(new URL(`${name}.json`, folder), `${JSON.stringify({ kernel: release(), cpus: CPUS, answers })}\n`);

/** The inner map of maps of maps. */
const inner = host.createMap({ type: 2, key: 4, value: 4, entries: 4 });
const errnos = [];
for (const question of creations()) {
  const { fd, errno } = target.create({ ...question, inner: question.type === 12 || question.type === 13 ? inner : 0 });
  errnos.push(errno);
  if (fd >= 0) host.close(fd);
}
// As runs: [errno, how often].
const runs = [];
for (const errno of errnos) {
  if (runs.at(-1)?.[0] === errno) runs.at(-1)[1]++;
  else runs.push([errno, 1]);
}
write("creations", runs.map(([errno, times]) => (times === 1 ? `${errno}` : `${errno}x${times}`)).join(" "));
keyless = false;
write("inner-maps", innerMaps(target));
write("scripts", Object.fromEntries(SCRIPTS.map((script, i) => [script.name, answersOf(play(target, script, i + 1))])));
write("programs", Object.fromEntries(PROGRAM_SCRIPTS.map((script, i) => [script.name, answersOf(playPrograms(target, script, i + 100))])));
process.exit(0);
