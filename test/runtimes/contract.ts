/**
 * What every adapter in runtimes/ promises, as one list of cases that runs inside each runtime: the harness bundles
 * this file with the runtime's platform, `contract.test.ts` names the results.
 */
import type { Platform } from "../../src/platform.ts";

export interface Case {
  readonly name: string;
  run(platform: Platform): Promise<void> | void;
}

/** A failed case has an error. */
export interface Result {
  readonly name: string;
  readonly error?: string;
}

export async function main(platform: Platform): Promise<Result[]> {
  const results: Result[] = [];
  for (const { name, run } of cases) {
    try {
      await run(platform);
      results.push({ name });
    } catch (error) {
      results.push({ name, error: error instanceof Error ? `${error.message}\n${error.stack}` : String(error) });
    }
  }
  return results;
}

const cases: Case[] = [];
const test = (name: string, run: Case["run"]): void => void cases.push({ name, run });

/** The names of all cases, in order. */
export const names = (): string[] => cases.map(({ name }) => name);

function equal(actual: unknown, expected: unknown, what: string): void {
  if (!Object.is(actual, expected)) throw new Error(`${what}: ${String(actual)}, expected ${String(expected)}`);
}

function refuses(run: () => unknown, what: string): void {
  let refused = false;
  try {
    run();
  } catch {
    refused = true;
  }
  equal(refused, true, what);
}

/** A memory that the kernel takes. */
const memoryFor = (shared: boolean): WebAssembly.Memory =>
  new WebAssembly.Memory({ initial: 64, maximum: 65536, shared });

async function instantiate(platform: Platform, shared: boolean): Promise<WebAssembly.Exports> {
  const module = await platform.loadKernel(shared);
  const env = { memory: memoryFor(shared) };
  return (await WebAssembly.instantiate(module, { env })).exports;
}

test("the kernel for plain memory instantiates on plain memory", async (platform) => {
  equal(Object.keys(await instantiate(platform, false)).length > 0, true, "has exports");
});

test("the kernel for shared memory instantiates on shared memory wherever memory can be shared", async (platform) => {
  if (platform.sharedMemory) {
    equal(Object.keys(await instantiate(platform, true)).length > 0, true, "has exports");
  } else {
    equal(platform.name === "edge" || !globalThis.crossOriginIsolated, true, "a reason not to share memory");
  }
});

test("neither build instantiates on the other's memory", async (platform) => {
  const module = await platform.loadKernel(false);
  let name = "none";
  try {
    await WebAssembly.instantiate(module, { env: { memory: memoryFor(true) } });
  } catch (error) {
    name = (error as Error).name;
  }
  equal(name, "LinkError", "error");
});

test("the kernel was built with the same ABI as the driver", async (platform) => {
  const module = await platform.loadKernel(platform.sharedMemory);
  const [section] = WebAssembly.Module.customSections(module, "kubewire.abi");
  equal(new TextDecoder().decode(section), __KUBEWIRE_ABI__, "kubewire.abi");
});

test("the kernel needs nothing but a memory, and has no start function to run", async (platform) => {
  const imports = WebAssembly.Module.imports(await platform.loadKernel(false));
  equal(imports.map(({ kind, module, name }) => `${kind} ${module}.${name}`).join(), "memory env.memory", "imports");
});

test("one hop drains 200 awaits and the reading of a body", async (platform) => {
  let awaited = 0;
  let bytes = 0;
  const chain = async (): Promise<void> => {
    for (; awaited < 200; awaited++) await undefined;
  };
  const read = async (): Promise<void> => {
    bytes = (await new Response("x".repeat(100_000)).text()).length;
  };
  // The very first reading loads code lazily in some runtimes.
  await read();
  bytes = 0;
  void chain();
  void read();
  await new Promise<void>((resolve, reject) => {
    platform.hop(() => {
      if (awaited === 200 && bytes === 100_000) resolve();
      else reject(new Error(`after one hop: ${awaited} awaits, ${bytes} bytes`));
    });
  });
});

test("hops come in the order they were asked for, each after the promises of the one before", async (platform) => {
  const seen: string[] = [];
  await new Promise<void>((resolve) => {
    platform.hop(() => {
      seen.push("hop 1");
      void Promise.resolve()
        .then(() => undefined)
        .then(() => seen.push("promise of hop 1"));
    });
    platform.hop(() => {
      seen.push("hop 2");
      resolve();
    });
  });
  equal(seen.join(), "hop 1,promise of hop 1,hop 2", "order");
});

test("entropy fills, and differs each time", (platform) => {
  const a = new Uint8Array(64);
  const b = new Uint8Array(64);
  platform.entropy(a);
  platform.entropy(b);
  equal(new Set(a).size > 16, true, "64 bytes have more than 16 values");
  equal(a.join() === b.join(), false, "twice the same");
});

test("wall clock and monotonic clock are in milliseconds, and wake comes after its time", async (platform) => {
  equal(platform.wallMs() > Date.UTC(2024, 0), true, "wall clock");
  const before = platform.monotonicMs();
  await new Promise<void>((resolve) => void platform.wake(30, resolve));
  const passed = platform.monotonicMs() - before;
  equal(passed >= 25 && passed < 10_000, true, `wake after 30 ms came after ${passed}`);
});

test("a wake taken back does not come", async (platform) => {
  let woken = 0;
  const cancel = platform.wake(5, () => woken++);
  cancel();
  cancel();
  await new Promise<void>((resolve) => void platform.wake(20, resolve));
  equal(woken, 0, "woken");
});

test("views: growth leaves old ones behind, and text is decoded from a copy", (platform) => {
  const memory = memoryFor(platform.sharedMemory);
  const before = new Uint8Array(memory.buffer);
  before.set([0x6b, 0x77], 16);
  memory.grow(1);
  equal(before.length, platform.sharedMemory ? 64 * 65536 : 0, "length of the old view");
  const after = new Uint8Array(memory.buffer);
  equal(after.length, 65 * 65536, "length of the new view");
  equal(new TextDecoder().decode(after.slice(16, 18)), "kw", "decoded copy");
  equal(after.slice(16, 18).buffer instanceof ArrayBuffer, true, "slice() is an unshared copy");
  if (platform.sharedMemory && platform.name !== "node" && platform.name !== "deno") {
    refuses(() => new TextDecoder().decode(after.subarray(16, 18)), "TextDecoder refuses a view of shared memory");
  }
});

test("a site worker starts and can be ended, where there are threads", async (platform) => {
  equal(platform.spawnWorker === undefined, platform.name === "edge", "no threads");
  if (platform.spawnWorker === undefined) return;
  const worker = await platform.spawnWorker();
  let failed: Error | undefined;
  worker.onError((error) => (failed = error));
  await new Promise<void>((resolve) => void platform.wake(400, resolve));
  worker.terminate();
  if (failed !== undefined) throw failed;
});
