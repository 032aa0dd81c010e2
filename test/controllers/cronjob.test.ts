/** CronJobs: when they are due, in which zone, and what is done with Jobs that overlap. Times are robfig/cron's (spec_test.go) and the calendar's. */
import { describe, expect, test } from "vitest";
import type { CronJob } from "../../src/api/types.generated.ts";
import { parseSchedule } from "../../src/kube-controller-manager/cronjob/schedule.ts";
import { formatIn, loadZone } from "../../src/kube-controller-manager/cronjob/zones.ts";
import { named, NAMESPACE, startWorkloads, template } from "./helpers.ts";

describe("the next time of", () => {
  test.each([
    ["0/15 * * * *", "2012-07-09T14:45:00Z", "2012-07-09T15:00:00Z"], ["0/15 * * * *", "2012-07-09T14:59:59Z", "2012-07-09T15:00:00Z"],
    ["20-35/15 * * * *", "2012-07-09T15:45:00Z", "2012-07-09T16:20:00Z"], ["*/15 * * * *", "2012-07-09T23:46:00Z", "2012-07-10T00:00:00Z"],
    ["0 0 9 apr-oct ?", "2012-07-09T23:35:00Z", "2012-08-09T00:00:00Z"], ["0 0 */5 apr,aug,oct mon", "2012-07-09T23:35:00Z", "2012-08-01T00:00:00Z"],
    ["0 0 29 feb ?", "2012-07-09T23:35:00Z", "2016-02-29T00:00:00Z"], ["* * * * mon-fri", "2012-07-14T00:00:00Z", "2012-07-16T00:00:00Z"],
    ["0 0 1,15 * sun", "2012-07-01T00:00:00Z", "2012-07-08T00:00:00Z"], ["@hourly", "2012-07-09T15:01:00Z", "2012-07-09T16:00:00Z"],
    ["@weekly", "2012-07-09T15:01:00Z", "2012-07-15T00:00:00Z"], ["@yearly", "2012-07-09T15:01:00Z", "2013-01-01T00:00:00Z"], ["@every 90s", "2012-07-09T15:00:00Z", "2012-07-09T15:01:30Z"],
  ])("%s after %s", (schedule, after, expected) => {
    expect(new Date(parseSchedule(schedule).next(Date.parse(after))!).toISOString()).toBe(expected.replace("Z", ".000Z"));
  });
  test("a day that never comes", () => {
    expect(parseSchedule("0 0 31 2 *").next(Date.parse("2012-07-09T00:00:00Z"))).toBeUndefined();
  });
  // The clocks of Berlin skip 2:30 on 2026-03-29 and have it twice on 2026-10-25.
  test.each([
    ["30 9 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T07:30:00Z"], ["30 9 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T08:30:00Z"],
    ["30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-30T00:30:00Z"], ["0 9 * * *", "Asia/Kolkata", "2026-01-01T00:00:00Z", "2026-01-01T03:30:00Z"],
    ["0 0 * * *", "America/New_York", "2026-07-01T12:00:00Z", "2026-07-02T04:00:00Z"], ["0 12 * * *", "Australia/Sydney", "2026-01-01T02:00:00Z", "2026-01-02T01:00:00Z"],
    ["0 6 * * *", "Europe/Dublin", "2026-07-01T12:00:00Z", "2026-07-02T05:00:00Z"], ["0 6 * * *", "Pacific/Chatham", "2026-07-01T12:00:00Z", "2026-07-01T17:15:00Z"],
  ])("%s in %s after %s", (schedule, zone, after, expected) => {
    expect(new Date(parseSchedule(schedule, loadZone(zone)!).next(Date.parse(after))!).toISOString()).toBe(expected.replace("Z", ".000Z"));
  });
});

test("offsets of all zones are those of the engine, at any time of these years", () => {
  // The rules leave out exceptions of single years.
  const exceptions = new Set(["Africa/Casablanca", "Africa/El_Aaiun", "Asia/Gaza", "Asia/Hebron"]);
  const wrong: string[] = [];
  for (const zone of Intl.supportedValuesOf("timeZone")) {
    if (exceptions.has(zone) || loadZone(zone) === undefined) continue;
    const format = new Intl.DateTimeFormat("en-US", { timeZone: zone, timeZoneName: "longOffset" });
    for (const at of ["2025-01-15T12:00:00Z", "2025-04-10T12:00:00Z", "2025-07-15T12:00:00Z", "2025-10-20T12:00:00Z", "2025-11-10T12:00:00Z"]) {
      const name = format.formatToParts(new Date(at)).find((p) => p.type === "timeZoneName")!.value.replace("GMT", "").replace("+00:00", "");
      const ours = formatIn(loadZone(zone)!, Date.parse(at)).slice(19).replace("Z", "");
      if (name !== ours) wrong.push(`${zone} ${at} ${ours} ${name}`);
    }
  }
  // The engine's tables may be older or newer than ours by a change or two.
  expect(wrong.length, wrong.join("\n")).toBeLessThan(12);
});

const cronJob = (spec: Record<string, unknown>): CronJob =>
  ({ metadata: named("c"), spec: { schedule: "*/1 * * * *", jobTemplate: { metadata: { labels: { of: "c" }, annotations: { note: "x" } }, spec: { template: template("work:1", { restartPolicy: "Never" }) } }, ...spec } }) as unknown as CronJob;

describe("a CronJob", () => {
  test("starts Jobs by the minute, and keeps as many as it may", async () => {
    const w = await startWorkloads();
    await w.client.cronJobs.create(cronJob({ successfulJobsHistoryLimit: 2 }));
    for (let i = 0; i < 5; i++) {
      await w.clock.advance(60_000);
      for (const pod of await w.pods()) if (pod.status.phase === "Running") await w.exit(pod.metadata.name, 0);
    }
    await w.clock.advance(10_000);
    const jobs = (await w.client.jobs.list(NAMESPACE)).items;
    expect(jobs.length).toBe(2);
    const last = jobs.at(-1)!;
    const at = last.metadata.annotations!["batch.kubernetes.io/cronjob-scheduled-timestamp"]!;
    expect(last.metadata.name).toBe(`c-${Date.parse(at) / 60_000}`);
    expect(last.metadata.annotations!["note"]).toBe("x");
    expect(last.metadata.labels!["of"]).toBe("c");
    const { status } = await w.client.cronJobs.get(NAMESPACE, "c");
    expect(status.active).toBeUndefined();
    expect(status.lastScheduleTime).toBe(at);
    w.stop();
    expect(w.errors).toEqual([]);
  });

  test.each([["Allow", 3, []], ["Forbid", 1, ["Not starting job because prior execution is running and concurrency policy is Forbid"]], ["Replace", 1, []]] as const)("%s", async (concurrencyPolicy, count, told) => {
    const w = await startWorkloads();
    await w.client.cronJobs.create(cronJob({ concurrencyPolicy }));
    await w.clock.advance(185_000);
    const jobs = (await w.client.jobs.list(NAMESPACE)).items.filter((j) => j.metadata.deletionTimestamp === undefined);
    expect(jobs.length).toBe(count);
    expect((await w.client.cronJobs.get(NAMESPACE, "c")).status.active?.length).toBe(count);
    expect([...new Set(await w.events("JobAlreadyActive"))]).toEqual(told);
    w.stop();
    expect(w.errors).toEqual([]);
  });

  test("missed times: the last one is made up for, unless it is too late", async () => {
    const w = await startWorkloads();
    await w.client.cronJobs.create(cronJob({ suspend: true }));
    await w.client.cronJobs.create({ ...cronJob({ suspend: true, schedule: "0 * * * *", startingDeadlineSeconds: 20 }), metadata: named("late") });
    await w.clock.advance(150 * 60_000);
    for (const name of ["c", "late"]) await w.client.cronJobs.patch(NAMESPACE, name, "merge", { spec: { suspend: false } });
    await w.clock.advance(2000);
    const jobs = (await w.client.jobs.list(NAMESPACE)).items;
    expect(jobs.map((j) => j.metadata.name)).toEqual([`c-${Math.floor(w.clock.nowMs() / 60_000)}`]);
    expect(await w.events("TooManyMissedTimes")).toEqual(["too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"]);
    w.stop();
  });

  test("in its zone tells the local time", async () => {
    const w = await startWorkloads();
    await w.client.cronJobs.create(cronJob({ timeZone: "Asia/Kolkata" }));
    await w.clock.advance(65_000);
    const [first] = (await w.client.jobs.list(NAMESPACE)).items;
    expect(first!.metadata.annotations!["batch.kubernetes.io/cronjob-scheduled-timestamp"]).toMatch(/:00\+05:30$/);
    w.stop();
  });
});
