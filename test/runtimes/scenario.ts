/** The first-run scenario as the command line reads it, to be sent to any runtime. */
import { readScenario } from "../../src/cli/scenario.ts";
import type { Scenario } from "../../src/digest.ts";
import { nodeHost } from "../../runtimes/node/host.ts";

export const firstRun = (): Promise<Scenario> =>
  readScenario(nodeHost([]), { from: "shop/client", to: "http://web.shop.svc.cluster.local/" });
