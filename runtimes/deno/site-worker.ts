/** The thread of `spawnWorker` in Deno: serves the sites that the composition root puts here. */
import { serveSites } from "../../src/crew.ts";
import { scopeEndpoint } from "../worker-scope.ts";
import { platform } from "./platform.ts";

serveSites(platform, scopeEndpoint());
