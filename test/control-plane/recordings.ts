/** The recorded exchanges of a real API server, replayed against the in-process one. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ADMIN_TOKEN, createExchangeServer } from "../../scripts/lib/exchange-server.ts";
import { silent } from "../../src/log.ts";
import type { Logger } from "../../src/log.ts";

export const SHARED = process.env["KUBEWIRE_SHARED"] ?? join(import.meta.dirname, "../../../shared");

export interface Scenario {
  name: string;
  passed: number;
  total: number;
  failures: { step: string; request: string; status: number; diff: { path: string; want: unknown; got: unknown }[] }[];
}

/** Replays the scenarios whose name matches `only` on a fresh server. */
export async function replayRecordings(only: string, log: Logger = silent): Promise<Scenario[]> {
  const dir = join(SHARED, "recordings");
  if (!existsSync(dir)) throw new Error(`no recordings at ${dir}: set KUBEWIRE_SHARED`);
  const { replay } = (await import(pathToFileURL(join(dir, "replay.mjs")).href)) as {
    replay(options: unknown): Promise<{ scenarios: Scenario[] }>;
  };
  return (await replay({ fetch: createExchangeServer(log), dir, token: ADMIN_TOKEN, only, mode: "api" })).scenarios;
}
