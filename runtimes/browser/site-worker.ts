/** The thread of `spawnWorker` in browsers: serves the sites that the composition root puts here. */
import { serveSites } from "../../src/crew.ts";
import { platform } from "../worker/platform.ts";
import { scopeEndpoint } from "../worker-scope.ts";

serveSites(platform, scopeEndpoint());
