/** The API server that recorded exchanges are replayed on: whole, alone, in real time. */
import { parse } from "yaml";
import { createApiServer } from "../../src/kube-apiserver/server.ts";
import { complete } from "../../src/kube-apiserver/complete/index.ts";
import { silent, type Logger } from "../../src/log.ts";
import { newRandom } from "../../src/time/random.ts";
import type { Clock } from "../../src/time/clock.ts";

/** How the recorded server was started, as far as answers tell of it: `--advertise-address`, `--secure-port`, and `--client-ca-file` (which is not compared). */
const RECORDED = { advertiseAddress: "192.0.2.10", advertisePort: 16443, clientCA: "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n" };

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

export function createExchangeServer(log: Logger = silent): (request: Request) => Promise<Response> {
  const server = createApiServer({ ...RECORDED, extension: complete, clock, random: newRandom(7), log, parseYaml: (text) => parse(text) as unknown });
  return (request) => server.fetch(request);
}
