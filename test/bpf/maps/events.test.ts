import { expect, test } from "vitest";
import { elementsOf, perfBuffer, ringBuffer } from "../../../src/bpf/maps.ts";
import type { BpfMap } from "../../../src/kernel/bpf-maps.ts";
import type { BpfProgram } from "../../../src/kernel/bpf.ts";
import { encodeInsns, type Insn } from "../../../src/bpf/insn.ts";
import { alu, exit, helper, jump, ldx, lddw, mov, st, stx } from "../host/asm.ts";
import { dice } from "./cases.ts";
import { mapMachine, type MapMachine } from "./target.ts";

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A raw program: r1 is its memory. */
function load({ programs }: MapMachine, code: readonly Insn[], maps: readonly BpfMap[], verified = true, type = 0): BpfProgram {
  return programs.load({ type, program: encodeInsns(code), verified, maps: maps.map(({ address }) => address) });
}

const lddwMap = (register: number, { address }: BpfMap): Insn[] => lddw(register, BigInt(address));

test("records of a ring buffer arrive in order: as they wait, by callback, by iteration", async () => {
  const machine = await mapMachine();
  const ring = machine.maps.create({ type: 27, keySize: 0, valueSize: 0, maxEntries: 4096 });
  // bpf_ringbuf_output(ring, memory, 8, 0)
  const say = load(machine, [mov(2, { reg: 1 }), ...lddwMap(1, ring), mov(3, 8), mov(4, 0), helper(130), exit()], [ring]);
  const emit = (n: number): void => {
    say.run(Uint8Array.of(n, 0, 0, 0, 0, 0, 0, 0));
    machine.kernel.runUntil(0);
  };
  const source = ringBuffer(ring, (record) => record[0]!);
  emit(1);
  emit(2);
  expect(source.read()).toEqual([1, 2]);
  emit(3);
  const heard: number[] = [];
  const stop = source.subscribe((n) => heard.push(n));
  emit(4);
  expect(heard).toEqual([3, 4]);
  stop();
  const iterator = source[Symbol.asyncIterator]();
  emit(5);
  emit(6);
  expect([await iterator.next(), await iterator.next()]).toEqual([{ done: false, value: 5 }, { done: false, value: 6 }]);
  const next = iterator.next();
  source.close();
  expect(await next).toEqual({ done: true, value: undefined });
  await settle();
  expect(heard).toEqual([3, 4]);
});

test("BPF_RB_NO_WAKEUP wakes nobody, BPF_RB_FORCE_WAKEUP does; a record that is reserved holds back those after it", async () => {
  const machine = await mapMachine();
  const ring = machine.maps.create({ type: 27, keySize: 0, valueSize: 0, maxEntries: 4096 });
  let woken = 0;
  ring.onWake(() => woken++);
  const output = (flags: number): Insn[] => [mov(2, { reg: 6 }), ...lddwMap(1, ring), mov(3, 4), mov(4, flags), helper(130)];
  const run = (code: readonly Insn[]): void => {
    load(machine, [mov(6, { reg: 1 }), ...code, exit()], [ring]).run(Uint8Array.of(1, 2, 3, 4));
    machine.kernel.runUntil(0);
  };
  run(output(1));
  expect(woken).toBe(0);
  run(output(2));
  expect(woken).toBe(1);
  // Nobody has consumed: the consumer is not waiting for this record.
  run(output(0));
  expect(woken).toBe(1);
  expect(ring.consume(() => {})).toBe(3);
  // Reserve, output, then discard the reserved one.
  run([
    ...lddwMap(1, ring), mov(2, 8), mov(3, 0), helper(131), mov(7, { reg: 0 }), ...output(0), mov(1, { reg: 7 }), mov(2, 0), helper(133), mov(0, 0),
  ]);
  expect(woken).toBe(2);
  expect(ring.consume(() => {})).toBe(1);
  expect(ring.ring().consumer).toBe(ring.ring().producer);
});

test("a record may be nearly as long as the ring, and run over its end", async () => {
  const machine = await mapMachine();
  const size = 1 << 18;
  const ring = machine.maps.create({ type: 27, keySize: 0, valueSize: 0, maxEntries: size });
  const source = machine.maps.create({ type: 2, keySize: 4, valueSize: size, maxEntries: 1 });
  const bytes = Uint8Array.from({ length: size }, (_, i) => (i * 7 + (i >> 8)) & 255);
  source.write(0, bytes);
  const output = (length: number): number => {
    const code = [...lddwMap(1, ring), ...lddw(2, BigInt(source.data)), ...lddw(3, BigInt(length)), mov(4, 0), helper(130), exit()];
    return Number(BigInt.asIntN(32, load(machine, code, [ring, source]).run(new Uint8Array(0)).r0));
  };
  for (const [length, result] of [[size, -11], [size - 8, -11], [size - 16, 0], [size - 16, -11], [1, -11], [0, -11]] as const) {
    expect([length, output(length)]).toEqual([length, result]);
  }
  const records: Uint8Array[] = [];
  expect(ring.consume((record) => records.push(record))).toBe(1);
  expect(Buffer.compare(records[0]!, bytes.subarray(0, size - 16))).toBe(0);
  records.length = 0;
  for (let i = 0; i < 3; i++) {
    expect(output(200_000)).toBe(0);
    ring.consume((record) => records.push(record));
  }
  expect(records.map((record) => Buffer.compare(record, bytes.subarray(0, 200_000)))).toEqual([0, 0, 0]);
});

test("samples of a perf event array, and how many were lost", async () => {
  const machine = await mapMachine();
  const array = machine.maps.create({ type: 4, keySize: 4, valueSize: 4, maxEntries: 1 });
  const say = load(machine, [
    mov(6, { reg: 1 }), mov(4, { reg: 1 }), ...lddwMap(2, array), ...lddw(3, 0xffffffffn), mov(5, 1000), helper(25), exit(),
  ], [array]);
  const memory = new Uint8Array(1000).fill(9);
  const result = (): number => Number(BigInt.asIntN(32, say.run(memory).r0));
  expect(result()).toBe(-2);
  const source = perfBuffer(array, { pages: 1, decode: (sample) => sample.length });
  expect([result(), result(), result(), result(), result(), result()]).toEqual([0, 0, 0, 0, -28, -28]);
  expect(source.read()).toEqual([1000, 1000, 1000, 1000]);
  expect(source.lost).toBe(2);
  const heard: number[] = [];
  source.subscribe((length) => heard.push(length));
  result();
  machine.kernel.runUntil(0);
  expect(heard).toEqual([1000]);
});

test("elements come in batches, in the order of the iteration", async () => {
  const { maps } = await mapMachine();
  const roll = dice(3);
  for (const type of [1, 9, 2, 11, 10]) {
    const map = maps.create({ type, keySize: type === 11 ? 8 : 4, valueSize: 4, maxEntries: 1000, flags: type === 11 ? 1 : 0 });
    for (let i = 0; i < 800; i++) {
      const key = new Uint8Array(map.keySize);
      const view = new DataView(key.buffer);
      view.setUint32(0, type === 11 ? 32 : type === 2 ? i : roll(1 << 30), true);
      if (type === 11) view.setUint32(4, roll(1 << 30), true);
      map.update(key, new Uint8Array(map.valueBytes).fill(roll(256)));
    }
    expect([...elementsOf(map)]).toEqual([...map.elements()]);
  }
});

test("bpf_for_each_map_elem walks; what the callback answers ends it", async () => {
  const machine = await mapMachine();
  const array = machine.maps.create({ type: 2, keySize: 4, valueSize: 8, maxEntries: 10 });
  for (const verified of [true, false]) {
    // The callback (map, key, value, ctx): *value += *key + 1; *ctx += 1; answers *ctx == 4
    const walk = (callback: number): Insn[] => [
      st("dw", 10, -8, 0), ...lddwMap(1, array), mov(2, callback), mov(3, { reg: 10 }), alu(64, "add", 3, { imm: -8 }), mov(4, 0), helper(164), exit(),
    ];
    const callback = walk(0).length;
    const code = [
      ...walk(callback), ldx("w", 1, 2, 0), alu(64, "add", 1, { imm: 1 }), ldx("dw", 5, 3, 0), alu(64, "add", 5, { reg: 1 }), stx("dw", 3, 0, 5),
      ldx("dw", 5, 4, 0), alu(64, "add", 5, { imm: 1 }), stx("dw", 4, 0, 5), mov(0, 0), jump(64, "jne", 5, { imm: 4 }, 1), mov(0, 1), exit(),
    ];
    expect(load(machine, code, [array], verified).run(new Uint8Array(0)).r0).toBe(4n);
  }
  expect([...array.elements()].map(({ value }) => value[0])).toEqual([2, 4, 6, 8, 0, 0, 0, 0, 0, 0]);
});

test("a timer in a value fires once it is due, in a run of its own, and ends with its value", async () => {
  const machine = await mapMachine();
  const map = machine.maps.create({ type: 1, keySize: 4, valueSize: 32, maxEntries: 4, fields: [{ kind: "timer", offset: 8, size: 16 }] });
  const log = machine.maps.create({ type: 2, keySize: 4, valueSize: 8, maxEntries: 1 });
  const start = (callback: number): Insn[] => [
    // r6 = lookup(map, &key): the timer is at 8
    mov(2, { reg: 1 }), ...lddwMap(1, map), helper(1), jump(64, "jne", 0, { imm: 0 }, 1), exit(), mov(6, { reg: 0 }), alu(64, "add", 6, { imm: 8 }),
    mov(1, { reg: 6 }), ...lddwMap(2, map), mov(3, 1), helper(169),
    mov(1, { reg: 6 }), mov(2, callback), helper(170),
    mov(1, { reg: 6 }), ...lddw(2, 5_000_000n), mov(3, 0), helper(171), exit(),
  ];
  // (map, key, value): log[0] += *key; value[0] = 77
  const code = [
    ...start(start(0).length), ldx("w", 6, 2, 0), st("b", 3, 0, 77), ...lddw(1, BigInt(log.data)), ldx("dw", 2, 1, 0), alu(64, "add", 2, { reg: 6 }),
    stx("dw", 1, 0, 2), mov(0, 0), exit(),
  ];
  const program = load(machine, code, [map, log]);
  const key = (n: number): Uint8Array => Uint8Array.of(n, 0, 0, 0);
  for (const n of [3, 5, 9]) map.update(key(n), new Uint8Array(32));
  for (const n of [3, 5, 9]) expect(program.run(key(n)).r0).toBe(0n);
  // Updates leave the timer out; the answer of a look-up has zeros there.
  expect(map.lookup(key(3))!.subarray(8, 24)).toEqual(new Uint8Array(16));
  map.delete(key(5));
  machine.kernel.runUntil(4_999_999);
  expect(log.read(0, 1)[0]).toBe(0);
  const { deadlineNs } = machine.kernel.runUntil(4_999_999);
  expect(deadlineNs).toBe(5_000_000);
  machine.kernel.runUntil(5_000_000);
  expect(log.read(0, 1)[0]).toBe(12);
  expect(map.lookup(key(9))![0]).toBe(77);
  expect(program.run(key(3)).r0).toBe(0n);
  map.close();
  machine.kernel.runUntil(20_000_000);
  expect(log.read(0, 1)[0]).toBe(12);
});

test("a program that goes on through a prog array, which its last user empties", async () => {
  const machine = await mapMachine();
  const array = machine.maps.create({ type: 3, keySize: 4, valueSize: 4, maxEntries: 2 });
  const target = load(machine, [mov(0, 42), exit()], []);
  const caller = load(machine, [...lddwMap(2, array), mov(3, 1), helper(12), mov(0, 7), exit()], [array]);
  expect(caller.run(new Uint8Array(0)).r0).toBe(7n);
  const index = Uint8Array.of(1, 0, 0, 0);
  array.updateHandle(index, target.handle);
  expect(new DataView(array.lookup(index)!.buffer).getUint32(0, true)).toBe(target.id);
  expect(caller.run(new Uint8Array(0)).r0).toBe(42n);
  const other = load(machine, [mov(0, 1), exit()], [], true, 6);
  expect(() => array.updateHandle(index, other.handle)).toThrow("EINVAL");
  expect(target.info().references).toBe(2);
  array.close();
  expect(target.info().references).toBe(1);
  expect(caller.run(new Uint8Array(0)).r0).toBe(7n);
});

test("samples that JavaScript puts into a user ring buffer are drained by the program", async () => {
  const machine = await mapMachine();
  const ring = machine.maps.create({ type: 31, keySize: 0, valueSize: 0, maxEntries: 4096 });
  const log = machine.maps.create({ type: 2, keySize: 4, valueSize: 8, maxEntries: 1 });
  const drain = (callback: number): Insn[] => [...lddwMap(1, ring), mov(2, callback), mov(3, 0), mov(4, 0), helper(209), exit()];
  // (dynptr, ctx): log[0] = log[0] * 16 + first byte; a dynptr begins with the address of its bytes
  const code = [
    ...drain(drain(0).length), ldx("w", 6, 1, 0), ldx("b", 6, 6, 0), ...lddw(1, BigInt(log.data)), ldx("dw", 2, 1, 0), alu(64, "lsh", 2, { imm: 4 }), alu(64, "add", 2, { reg: 6 }), stx("dw", 1, 0, 2),
    mov(0, 0), jump(64, "jne", 6, { imm: 15 }, 1), mov(0, 1), exit(),
  ];
  const program = load(machine, code, [ring, log]);
  for (const n of [1, 2, 15, 3]) expect(ring.put(Uint8Array.of(n))).toBe(true);
  expect(program.run(new Uint8Array(0)).r0).toBe(3n);
  expect(program.run(new Uint8Array(0)).r0).toBe(1n);
  expect(new DataView(log.read(0, 8).buffer).getUint32(0, true)).toBe(0x12f3);
  let put = 0;
  while (ring.put(new Uint8Array(100))) put++;
  expect(put).toBe(Math.floor(4096 / 112));
});

test("bpf_get_local_storage of a test run begins at zero, is the same in its repetitions, and is in no list", async () => {
  const machine = await mapMachine();
  for (const [type, keySize] of [[19, 16], [21, 8]] as const) {
    const map = machine.maps.create({ type, keySize, valueSize: 8, maxEntries: 0 });
    const code = [
      ...lddwMap(1, map), mov(2, 0), helper(81), ldx("dw", 1, 0, 0), alu(64, "add", 1, { imm: 5 }), stx("dw", 0, 0, 1), mov(0, { reg: 1 }), exit(),
    ];
    // BPF_PROG_TYPE_CGROUP_SKB
    const program = load(machine, code, [map], false, 8);
    const dataIn = new Uint8Array(64);
    expect(program.testRun({ dataIn }).retval).toBe(5);
    expect(program.testRun({ dataIn, repeat: 3 }).retval).toBe(15);
    expect(program.testRun({ dataIn }).retval).toBe(5);
    expect(map.nextKey()).toBeUndefined();
    expect(map.info().count).toBe(0);
  }
});
