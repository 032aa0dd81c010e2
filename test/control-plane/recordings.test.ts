/**
 * Exchanges recorded from a real v1.32.13 API server, replayed in process. The floors are what matches today; what is
 * below them is listed with the test's failure. Table answers, kinds that are not served and server-side apply make up
 * most of the rest.
 */
import { expect, test } from "vitest";
import { replayRecordings } from "./recordings.ts";

const FLOORS: Readonly<Record<string, number>> = {
  "default-configmaps-v1": 12,
  "default-deployments-apps-v1": 12,
  "default-endpointslices-discovery-v1": 12,
  "default-leases-coordination-v1": 12,
  "default-namespaces-v1": 12,
  "default-nodes-v1": 12,
  "default-pods-v1": 12,
  "default-replicasets-apps-v1": 12,
  "default-secrets-v1": 10,
  "default-serviceaccounts-v1": 12,
  "default-services-v1": 11,
  "patch-json": 29,
  "patch-merge": 19,
  "patch-strategic": 37,
  services: 58,
  "verbs-delete": 76,
  "verbs-list": 79,
  "verbs-sub": 39,
  "verbs-update": 37,
  "verbs-watch": 35,
};

test("recorded exchanges match as many as before", async () => {
  const scenarios = await replayRecordings(`^(${Object.keys(FLOORS).join("|")})$`);
  expect(scenarios.map((s) => s.name).sort()).toEqual(Object.keys(FLOORS).sort());
  for (const { name, passed, total, failures } of scenarios) {
    const worst = failures.slice(0, 5).map((f) => `${f.step}: ${f.request} -> ${f.status} ${JSON.stringify(f.diff[0])}`).join("\n");
    expect(passed, `${name}: ${passed}/${total}\n${worst}`).toBeGreaterThanOrEqual(FLOORS[name]!);
    // An answer of 500 that the recording does not have is a bug of ours.
    for (const { step, status, diff } of failures) if (status === 500) expect(diff.some((d) => d.path === "/body/code" || d.path === "/status"), `${name} ${step}`).toBe(false);
  }
}, 60_000);
