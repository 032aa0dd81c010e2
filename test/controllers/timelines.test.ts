/** Rollouts, jobs, budgets and deletions as a real control plane made them: the same events, the same objects at the end. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { SHARED } from "../control-plane/recordings.ts";
import { readTimeline, recordedOutcome, replayTimeline } from "./timeline.ts";

/** Pods that fit nowhere while nodes are cordoned one after the other: how often each is tried meanwhile is a race. */
const RACE = "failed-scheduling";

const names = readdirSync(join(SHARED, "recordings/timelines")).filter((file) => file.endsWith(".json")).map((file) => file.slice(0, -5)).filter((name) => name !== RACE);

test.each(names)("%s", async (name) => {
  const timeline = readTimeline(name);
  const { events, final, steps, errors } = await replayTimeline(timeline);
  const recorded = recordedOutcome(timeline);
  expect(steps).toEqual([]);
  expect(events).toEqual(recorded.events);
  expect(final).toEqual(recorded.final);
  // A write to what was deleted meanwhile fails on a real cluster, too, and so does a pod beyond the quota.
  expect(errors.filter((error) => !/ not found|exceeded quota/.test(error))).toEqual([]);
});

test(RACE, async () => {
  const timeline = readTimeline(RACE);
  const { events, steps, errors } = await replayTimeline(timeline);
  /** What each pod was told first: the events of both sides stand in order of text, the recording's own order is that of time. */
  const first = new Map<string, string>();
  for (const { object, message } of timeline.events) if (object.startsWith("Pod/") && !first.has(object)) first.set(object, message.replaceAll("{namespace}", "timeline").replace(/node-\d/, "node"));
  expect(first.size).toBeGreaterThan(20);
  for (const [object, message] of first) expect(events.some((event) => event.includes(` ${object}: ${message} (`)), `${object}: ${message}`).toBe(true);
  expect(steps).toEqual([]);
  expect(errors).toEqual([]);
});
