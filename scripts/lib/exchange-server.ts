/** The API server that recorded exchanges are replayed on: whole, alone, in real time. */
import { parse } from "yaml";
import { ALL_RESOURCES } from "../../src/api/more-resources.ts";
import { makeAccounts } from "../../src/kube-controller-manager/accounts.ts";
import { ALL_CONTROLLERS } from "../../src/kube-controller-manager/all.ts";
import { createControllerManager } from "../../src/kube-controller-manager/controller-manager.ts";
import { createApiServer } from "../../src/kube-apiserver/server.ts";
import { createAccess } from "../../src/kube-apiserver/complete/access.ts";
import { complete } from "../../src/kube-apiserver/complete/index.ts";
import { silent, type Logger } from "../../src/log.ts";
import { newRandom } from "../../src/time/random.ts";
import type { Clock } from "../../src/time/clock.ts";

/** How the recorded server was started, as far as answers tell of it: `--advertise-address`, `--secure-port`, and `--client-ca-file` (which is not compared). */
const RECORDED = { advertiseAddress: "192.0.2.10", advertisePort: 16443, clientCA: "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n" };

/** The token whose bearer is a member of system:masters. */
export const ADMIN_TOKEN = "t";
const ADMINISTRATOR = { name: "admin", uid: "admin", groups: ["system:masters"] };

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

/** `controllers`: with the controller manager beside it. */
export function createExchangeServer(log: Logger = silent, controllers = false): (request: Request) => Promise<Response> {
  const enter = createAccess({ tokens: new Map([[ADMIN_TOKEN, ADMINISTRATOR]]), anonymous: true, random: newRandom(9) });
  const server = createApiServer({ ...RECORDED, enter, extension: complete, clock, random: newRandom(7), log, parseYaml: (text) => parse(text) as unknown });
  if (controllers) {
    const manager = createControllerManager({ transport: server.handle, clock, random: newRandom(8), log, known: ALL_CONTROLLERS, resources: ALL_RESOURCES, accounts: makeAccounts });
    void manager.start(new AbortController().signal);
  }
  return (request) => server.fetch(request);
}
