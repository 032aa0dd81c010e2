import { expect, test } from "vitest";
import { createTestNode } from "../harness.ts";

test("a node starts with its memory in place and no timer", async () => {
  const { kernel } = await createTestNode();
  const status = kernel.runUntil(5);
  expect(status.nowNs).toBe(5);
  expect(status.deadlineNs).toBe(Infinity);
  const memory = kernel.memory();
  expect(memory.used).toBeGreaterThan(0);
  expect(memory.taken).toBeLessThan(256 * 1024);
  expect(memory.total).toBeGreaterThanOrEqual(memory.taken);
});
