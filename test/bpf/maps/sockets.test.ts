import { expect, test } from "vitest";
import { SOCK_ARG, SOCK_CLOSE, SOCK_HANDLE, SOCK_OPEN, SOCK_UDP } from "../../../assembly/abi/sock.ts";
import { kernelOf } from "../../../src/kernel/namespace.ts";
import { mapMachine, type MapMachine } from "./target.ts";

const key = (n: number): Uint8Array => Uint8Array.of(n, 0, 0, 0);

function udp({ kernel, instance }: MapMachine): number {
  instance.u8.fill(0, 0, 64);
  instance.view.setUint32(SOCK_HANDLE, kernelOf(kernel.host).handle, true);
  instance.view.setUint32(SOCK_ARG, SOCK_UDP, true);
  return kernel.context.command(SOCK_OPEN, 64, "socket");
}

function close({ kernel, instance }: MapMachine, handle: number): void {
  instance.u8.fill(0, 0, 64);
  instance.view.setUint32(SOCK_HANDLE, handle, true);
  kernel.context.command(SOCK_CLOSE, 64, "close");
}

test("sockets leave maps, and their storage ends, when they do", async () => {
  const machine = await mapMachine();
  const { maps, kernel } = machine;
  const array = maps.create({ type: 15, keySize: 4, valueSize: 8, maxEntries: 4 });
  const hash = maps.create({ type: 18, keySize: 4, valueSize: 8, maxEntries: 4 });
  const storage = maps.create({ type: 24, keySize: 4, valueSize: 8, maxEntries: 0, flags: 1, btfKey: 1, btfValue: 1 });
  const before = kernel.memory().used;
  const [first, second] = [udp(machine), udp(machine)];
  for (const map of [array, hash]) {
    map.updateHandle(key(1), first);
    map.updateHandle(key(2), second);
    expect(() => map.updateHandle(key(1), second, 1)).toThrow("EEXIST");
    expect(() => map.updateHandle(key(3), second, 2)).toThrow("ENOENT");
    expect(map.info().count).toBe(2);
    expect(map.lookup(key(1))).toHaveLength(8);
  }
  const own = new Uint8Array(Uint32Array.of(first).buffer);
  expect(storage.lookup(own)).toBeUndefined();
  storage.update(own, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
  expect(() => storage.update(own, new Uint8Array(8), 1)).toThrow("EEXIST");
  expect(storage.lookup(own)).toEqual(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
  close(machine, first);
  for (const map of [array, hash]) {
    expect(map.lookup(key(1))).toBeUndefined();
    expect(map.lookup(key(2))).toBeDefined();
    expect(map.info().count).toBe(1);
  }
  expect(storage.info().count).toBe(0);
  expect(() => storage.lookup(own)).toThrow("EBADF");
  close(machine, second);
  expect([array.info().count, hash.info().count]).toEqual([0, 0]);
  array.close();
  hash.close();
  storage.close();
  expect(kernel.memory().used).toBeLessThan(before);
});

test("devices that a map leads to are those of the node; another index is refused", async () => {
  const { maps, kernel } = await mapMachine();
  const loopback = 1;
  for (const type of [14, 25]) {
    const map = maps.create({ type, keySize: 4, valueSize: 4, maxEntries: 4 });
    map.update(key(2), key(loopback));
    expect(map.lookup(key(2))).toEqual(key(loopback));
    expect(() => map.update(key(1), key(200))).toThrow("EINVAL");
    map.delete(key(2));
    expect(map.lookup(key(2))).toBeUndefined();
  }
  expect(kernel.memory().used).toBeGreaterThan(0);
});
