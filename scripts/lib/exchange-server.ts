/** The API server that recorded exchanges are replayed on: whole, alone, in real time. */
import { parse } from "yaml";
import { createApiServer } from "../../src/kube-apiserver/server.ts";
import { complete } from "../../src/kube-apiserver/complete/index.ts";
import { silent } from "../../src/log.ts";
import { newRandom } from "../../src/time/random.ts";
import type { Clock } from "../../src/time/clock.ts";

/** Watches in the recordings last a second of real time. */
const clock: Clock = {
  nowNs: () => Math.round(performance.now() * 1e6),
  nowMs: () => Date.now(),
  after(delayMs, run) {
    const id = setTimeout(run, delayMs);
    return () => clearTimeout(id);
  },
  sleep: (delayMs) => new Promise((resolve) => setTimeout(resolve, delayMs)),
};

export function createExchangeServer(): (request: Request) => Promise<Response> {
  const server = createApiServer({ extension: complete, clock, random: newRandom(7), log: silent, parseYaml: (text) => parse(text) as unknown });
  return (request) => server.fetch(request);
}
