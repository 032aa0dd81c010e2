/** Our maps as a `Target` of cases.ts, and a machine to have them on. */
import { EDEADLK, EOVERFLOW } from "../../../assembly/abi/bpf-maps.ts";
import * as core from "../../../assembly/abi/core.ts";
import { createBpfMaps, type BpfMap, type BpfMaps } from "../../../src/kernel/bpf-maps.ts";
import { KernelError } from "../../../src/kernel/netns.ts";
import type { BpfProgram } from "../../../src/kernel/bpf.ts";
import { bpfMachine, type BpfMachine } from "../machine.ts";
import { CPUS, type Target } from "./cases.ts";
import { ARGUMENTS, callProgram, type Call } from "./programs.ts";

export interface MapMachine extends BpfMachine {
  readonly maps: BpfMaps;
}

export async function mapMachine(cpus = 1, build?: "debug" | "release"): Promise<MapMachine> {
  const machine = await bpfMachine(build);
  const maps = createBpfMaps(machine.kernel.context);
  maps.setCpus(cpus);
  return { ...machine, maps };
}

const NUMBERS: Readonly<Record<string, number>> = { ...core, EDEADLK, EOVERFLOW };

/** The errno that a call ends with; 0: none. */
export function errnoOf(run: () => void): number {
  try {
    run();
    return 0;
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    const number = NUMBERS[error.code];
    if (number === undefined) throw error;
    return number;
  }
}

const NOTHING = new Uint8Array(0);

/** `make`: a machine of its own for this target. */
export async function ourTarget(verified = true): Promise<Target> {
  const { maps, programs } = await mapMachine(CPUS);
  let args: BpfMap | undefined;
  const loaded = new Map<string, BpfProgram>();
  const programOf = (map: BpfMap, call: Call): BpfProgram => {
    const name = `${map.handle} ${call}`;
    let program = loaded.get(name);
    if (program === undefined) {
      args ??= maps.create({ type: 2, keySize: 4, valueSize: ARGUMENTS, maxEntries: 1 });
      const { program: slots, map: places, args: place } = callProgram(call, map.valueSize);
      const view = new DataView(slots.buffer);
      for (const at of places) view.setUint32(at * 8 + 4, map.address, true);
      view.setUint32(place * 8 + 4, args.address, true);
      // What is resolved is a number: no pseudo source.
      for (const at of [place, ...places]) view.setUint8(at * 8 + 1, view.getUint8(at * 8 + 1) & 15);
      program = programs.load({ type: 6, program: slots, verified, maps: [map.address, args.address] });
      loaded.set(name, program);
    }
    return program;
  };
  const open = new Map<number, BpfMap>();
  const at = (fd: number): BpfMap => open.get(fd)!;
  /** The answer of a look-up: undefined is ENOENT. */
  const found = (run: () => Uint8Array | undefined): { errno: number; value: Uint8Array } => {
    let value: Uint8Array | undefined;
    const errno = errnoOf(() => {
      value = run();
    });
    return { errno: errno === 0 && value === undefined ? 2 : errno, value: value ?? NOTHING };
  };
  return {
    create({ type, key, value, entries, flags = 0, extra = 0, inner = 0, name = "", spinLock }) {
      let fd = -1;
      const errno = errnoOf(() => {
        const template = open.get(inner);
        const map = maps.create({
          type, keySize: key, valueSize: value, maxEntries: entries, flags, extra, name: new TextDecoder("latin1").decode(new TextEncoder().encode(name)),
          // A handle that nobody has, where the descriptor is one of nobody.
          ...(template !== undefined ? { inner: template } : inner !== 0 ? { inner: { handle: inner } as BpfMap } : {}),
          ...(spinLock === undefined ? {} : { fields: [{ kind: "spin_lock" as const, offset: spinLock, size: 4 }], btfKey: 1, btfValue: 2 }),
        });
        fd = map.handle;
        open.set(fd, map);
      });
      return { errno, fd };
    },
    call(fd, _map, call, given) {
      const program = programOf(at(fd), call);
      args!.write(0, given);
      const { fault } = program.testRun({ dataIn: new Uint8Array(64) });
      if (fault !== undefined) throw new Error(`${call}: ${fault.reason} at ${fault.slot}`);
      return args!.read(0, ARGUMENTS);
    },
    consume(fd) {
      const records: Uint8Array[] = [];
      at(fd).consume((record) => records.push(record));
      return records;
    },
    close(fd) {
      for (const [name, program] of loaded) {
        if (!name.startsWith(`${fd} `)) continue;
        program.free();
        loaded.delete(name);
      }
      at(fd).close();
      open.delete(fd);
    },
    lookup: (fd, key, _size, flags) => found(() => at(fd).lookup(key, flags)),
    lookupAndDelete: (fd, key, _size, flags) => found(() => at(fd).lookupAndDelete(key, flags)),
    update: (fd, key, value, flags) => errnoOf(() => at(fd).update(key, value, flags)),
    delete: (fd, key) => {
      let done = true;
      return errnoOf(() => {
        done = at(fd).delete(key);
      }) || (done ? 0 : 2);
    },
    nextKey(fd, key) {
      const { errno, value } = found(() => at(fd).nextKey(key));
      return { errno, key: value };
    },
    batch(fd, { operation, count, from, keys = NOTHING, values = NOTHING, elementFlags = 0, flags = 0 }) {
      const map = at(fd);
      let answer = { errno: 0, count: 0, next: NOTHING as Uint8Array, keys: NOTHING as Uint8Array, values: NOTHING as Uint8Array };
      const errno = errnoOf(() => {
        if (operation === "update" || operation === "delete") {
          const { count: done, error } = operation === "update" ? map.updateBatch(keys, values, elementFlags) : map.deleteBatch(keys, elementFlags);
          answer = { ...answer, count: done, errno: error === undefined ? 0 : NUMBERS[error]! };
          return;
        }
        const { next, error, ...seen } = map.lookupBatch(count, from, { delete: operation === "take", elementFlags, flags });
        answer = { ...answer, ...seen, errno: error === undefined ? 0 : NUMBERS[error]!, next: next ?? NOTHING };
      });
      return errno === 0 ? answer : { ...answer, errno };
    },
    freeze: (fd) => errnoOf(() => at(fd).freeze()),
    info(fd) {
      const { flags, maxEntries, extra } = at(fd).info();
      return { flags, maxEntries, extra };
    },
  };
}
