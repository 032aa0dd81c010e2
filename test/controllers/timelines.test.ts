/** Rollouts, jobs, budgets and deletions as a real control plane made them: the same events, the same objects at the end. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { SHARED } from "../control-plane/recordings.ts";
import { readTimeline, recordedOutcome, replayTimeline } from "./timeline.ts";

const names = readdirSync(join(SHARED, "recordings/timelines")).filter((file) => file.endsWith(".json")).map((file) => file.slice(0, -5));

test.each(names)("%s", async (name) => {
  const timeline = readTimeline(name);
  const { events, final, steps, errors } = await replayTimeline(timeline);
  const recorded = recordedOutcome(timeline);
  expect(steps).toEqual([]);
  expect(events).toEqual(recorded.events);
  expect(final).toEqual(recorded.final);
  expect(errors).toEqual([]);
});
