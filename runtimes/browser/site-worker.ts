/** The thread of `spawnWorker` in browsers: hands its endpoint to the sites of src/time/workers.ts. */
import { serveSites } from "../../src/time/workers.ts";
import { platform } from "../worker/platform.ts";
import { scopeEndpoint } from "../worker-scope.ts";

serveSites(platform, scopeEndpoint());
