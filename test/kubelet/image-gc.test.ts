import { expect, test } from "vitest";
import { ImageGC } from "../../src/kubelet/complete/image-gc.ts";
import { TurnedClock } from "../node/clock.ts";

/** A node with images of ten bytes each on a disk of 100, some of them in use. */
function node(names: readonly string[], free: number) {
  const clock = new TurnedClock();
  const there = new Set(names), used = new Set<string>(), events: string[] = [];
  let available = free;
  const gc = new ImageGC({
    clock, event: (reason, message) => void events.push(`${reason}: ${message}`), disk: () => ({ capacity: 100, available }),
    images: {
      listImages: () => [...there].map((name) => ({ id: name, names: [name], sizeBytes: 10 })), listContainers: () => [...used].map((image) => ({ image })),
      removeImage: (name) => {
        there.delete(name);
        available += 10;
      },
    },
  });
  return { clock, gc, there, used, events };
}

test("images that nothing uses go when they are old enough", async () => {
  const { clock, gc, there, used } = node(["a", "b"], 50);
  used.add("a");
  gc.detect();
  await clock.advance(119_000);
  there.add("c");
  expect(gc.deleteUnused()).toBe(false);
  await clock.advance(1000);
  expect(gc.deleteUnused()).toBe(true);
  // c came a second ago.
  expect([...there]).toEqual(["a", "c"]);
});

test("between the thresholds nothing goes; above the high one the longest unused go, down to the low one", async () => {
  const { clock, gc, there, used, events } = node(["a", "b", "c"], 16);
  used.add("a");
  gc.collect();
  await clock.advance(130_000);
  used.clear();
  used.add("b");
  gc.collect();
  expect([...there]).toEqual(["a", "b", "c"]);
  const full = node(["a", "b", "c"], 5);
  full.used.add("a");
  full.gc.detect();
  await full.clock.advance(130_000);
  full.used.clear();
  full.gc.collect();
  // c was never used; a until lately; 15 bytes are wanted.
  expect([...full.there]).toEqual(["a"]);
  expect([events, full.events]).toEqual([[], []]);
});

test("what cannot be freed is told", async () => {
  const { clock, gc, there, used, events } = node(["a", "b"], 0);
  used.add("a");
  gc.detect();
  await clock.advance(130_000);
  gc.collect();
  expect([...there]).toEqual(["a"]);
  expect(events).toEqual(["FreeDiskSpaceFailed: Failed to garbage collect required amount of images. Attempted to free 20 bytes, but only found 10 bytes eligible to free."]);
});
