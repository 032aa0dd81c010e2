/** The recorded exchanges of a real API server, replayed against the in-process one. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parse } from "yaml";
import { createApiServer } from "../../src/kube-apiserver/server.ts";
import { complete } from "../../src/kube-apiserver/complete/index.ts";
import { silent } from "../../src/log.ts";
import type { Logger } from "../../src/log.ts";
import { testRandom } from "./test-clock.ts";
import type { Clock } from "../../src/time/clock.ts";

export const SHARED = process.env["KUBEWIRE_SHARED"] ?? join(import.meta.dirname, "../../../shared");

export interface Scenario {
  name: string;
  passed: number;
  total: number;
  failures: { step: string; request: string; status: number; diff: { path: string; want: unknown; got: unknown }[] }[];
}

/** How the recorded server was started, as far as answers tell of it: `--secure-port`, and `--client-ca-file` (which is not compared). */
const RECORDED = { advertisePort: 16443, clientCA: "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n" };

/** Real time: watches in the recordings last a second. */
const clock: Clock = {
  nowNs: () => Math.round(performance.now() * 1e6),
  nowMs: () => Date.now(),
  after(delayMs, run) {
    const id = setTimeout(run, delayMs);
    return () => clearTimeout(id);
  },
  sleep: (delayMs) => new Promise((resolve) => setTimeout(resolve, delayMs)),
};

/** Replays the scenarios whose name matches `only` on a fresh server. */
export async function replayRecordings(only: string, log: Logger = silent): Promise<Scenario[]> {
  const dir = join(SHARED, "recordings");
  if (!existsSync(dir)) throw new Error(`no recordings at ${dir}: set KUBEWIRE_SHARED`);
  const { replay } = (await import(pathToFileURL(join(dir, "replay.mjs")).href)) as {
    replay(options: unknown): Promise<{ scenarios: Scenario[] }>;
  };
  const server = createApiServer({ ...RECORDED, extension: complete, clock, random: testRandom(7), log, parseYaml: (text) => parse(text) as unknown });
  return (await replay({ fetch: (request: Request) => server.fetch(request), dir, token: "t", only, mode: "api" })).scenarios;
}
