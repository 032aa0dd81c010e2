import { describe, expect, test } from "vitest";
import { createMemoryStorage } from "../../src/storage/memory.ts";
import { CompactedError, FutureRevisionError } from "../../src/storage/storage.ts";
import type { StorageEvent } from "../../src/storage/storage.ts";
import { testRandom } from "./test-clock.ts";

interface Value {
  n: number;
}

const put = (store: ReturnType<typeof createMemoryStorage<Value>>, key: string, n: number) => store.txn([], [{ type: "put", key, value: { n } }]);

describe("the memory store", () => {
  test("a transaction is compared with the mod revision and takes one revision", async () => {
    const store = createMemoryStorage<Value>();
    const first = await store.txn([{ key: "/registry/a/x", modRevision: 0 }], [{ type: "put", key: "/registry/a/x", value: { n: 1 } }, { type: "put", key: "/registry/a/y", value: { n: 2 } }]);
    expect(first).toMatchObject({ succeeded: true, revision: 2 });
    const refused = await store.txn([{ key: "/registry/a/x", modRevision: 0 }], [{ type: "delete", key: "/registry/a/x" }]);
    expect(refused).toMatchObject({ succeeded: false, current: [{ value: { n: 1 }, modRevision: 2, createRevision: 2 }] });
    expect(await store.txn([], [{ type: "delete", key: "/registry/a/nope" }])).toMatchObject({ succeeded: true, revision: 2 });
    expect(Object.isFrozen((await store.get("/registry/a/x"))!.value)).toBe(true);
  });

  test("ranges go by prefix, start, limit and revision", async () => {
    const store = createMemoryStorage<Value>();
    for (const [i, key] of ["b/2", "a/1", "b/1", "c/1", "b/3"].entries()) await put(store, `/registry/r/${key}`, i);
    const keys = async (...args: Parameters<typeof store.range>): Promise<string> => (await store.range(...args)).items.map((kv) => kv.key.slice(12)).join(" ");
    expect(await keys("/registry/r/")).toBe("a/1 b/1 b/2 b/3 c/1");
    expect(await keys("/registry/r/b/")).toBe("b/1 b/2 b/3");
    expect(await store.range("/registry/r/b/", { from: "/registry/r/b/2", limit: 1 })).toMatchObject({ count: 2, items: [{ key: "/registry/r/b/2" }] });
    expect(await keys("/registry/r/", { revision: 4 })).toBe("a/1 b/1 b/2");
    await store.txn([], [{ type: "delete", key: "/registry/r/b/1" }]);
    expect(await keys("/registry/r/b/", { revision: 6 })).toBe("b/1 b/2 b/3");
    await expect(store.range("/registry/r/", { revision: 99 })).rejects.toThrow(FutureRevisionError);
  });

  test("a watch gives every event after its revision, in order, and fails when they are compacted", async () => {
    const store = createMemoryStorage<Value>();
    await put(store, "/registry/r/a", 1);
    await put(store, "/registry/r/a", 2);
    const seen: string[] = [];
    const sink = { event: (e: StorageEvent<Value>) => void seen.push(`${e.type} ${e.revision} ${e.previous?.value.n ?? "-"}>${e.kv?.value.n ?? "-"}`) };
    const stop = store.watch("/registry/r/", 2, sink);
    await store.txn([], [{ type: "delete", key: "/registry/r/a" }]);
    await put(store, "/registry/other/a", 1);
    stop();
    await put(store, "/registry/r/b", 1);
    expect(seen).toEqual(["put 3 1>2", "delete 4 2>-"]);
    await store.compact(4);
    expect(() => store.watch("/registry/r/", 3, sink)).toThrow(CompactedError);
    expect(() => store.watch("/registry/r/", 4, sink)()).not.toThrow();
    await expect(store.range("/registry/r/", { revision: 3 })).rejects.toThrow(CompactedError);
  });

  test("a prefix above the resources sees them all", async () => {
    const store = createMemoryStorage<Value>();
    const seen: string[] = [];
    store.watch("", 0, { event: (e) => void seen.push(e.key) });
    for (const key of ["/registry/b/1", "/registry/a/1", "/registry/b/0"]) await put(store, key, 1);
    expect(seen).toEqual(["/registry/b/1", "/registry/a/1", "/registry/b/0"]);
    expect((await store.range("/registry/")).items.map((kv) => kv.key)).toEqual(["/registry/a/1", "/registry/b/0", "/registry/b/1"]);
    expect((await store.range("", { revision: 3 })).items.map((kv) => kv.key)).toEqual(["/registry/a/1", "/registry/b/1"]);
  });

  test("the history is bounded", async () => {
    const store = createMemoryStorage<Value>({ historyMax: 10 });
    for (let i = 0; i < 50; i++) await put(store, "/registry/r/a", i);
    expect(() => store.watch("/registry/r/", 30, { event() {} })).toThrow(CompactedError);
    store.watch("/registry/r/", 41, { event() {} })();
  });

  test("any old revision reads as it was", async () => {
    const random = testRandom(11);
    const store = createMemoryStorage<Value>();
    const snapshots = new Map<number, Record<string, number>>([[1, {}]]);
    const state: Record<string, number> = {};
    for (let i = 0; i < 300; i++) {
      const key = `/registry/r/k${random.below(20)}`;
      if (random.below(3) === 0 && state[key] !== undefined) {
        delete state[key];
        await store.txn([], [{ type: "delete", key }]);
      } else {
        state[key] = i;
        await put(store, key, i);
      }
      snapshots.set(await store.revision(), { ...state });
    }
    for (const [revision, expected] of snapshots) {
      const { items } = await store.range("/registry/r/", { revision });
      expect(Object.fromEntries(items.map((kv) => [kv.key, kv.value.n]))).toEqual(expected);
      expect(items.map((kv) => kv.key)).toEqual(Object.keys(expected).sort());
    }
  });
});
