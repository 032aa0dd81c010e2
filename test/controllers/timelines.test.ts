/** Rollouts, jobs, budgets and deletions as a real control plane made them: the same events, the same objects at the end. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { SHARED } from "../control-plane/recordings.ts";
import { readTimeline, recordedOutcome, replayTimeline } from "./timeline.ts";

/** They need a scheduler that knows claims and preempts, quotas, budgets and autoscalers. */
const NOT_YET = new Set(["deployment-quota-failure", "failed-scheduling", "preemption", "statefulset-pvc"]);

const names = readdirSync(join(SHARED, "recordings/timelines")).filter((file) => file.endsWith(".json")).map((file) => file.slice(0, -5)).filter((name) => !NOT_YET.has(name));

test.each(names)("%s", async (name) => {
  const timeline = readTimeline(name);
  const { events, final, steps, errors } = await replayTimeline(timeline);
  const recorded = recordedOutcome(timeline);
  expect(steps).toEqual([]);
  expect(events).toEqual(recorded.events);
  expect(final).toEqual(recorded.final);
  // A write to what was deleted meanwhile fails on a real cluster, too.
  expect(errors.filter((error) => !error.includes(" not found"))).toEqual([]);
});
