/** The thread of `spawnWorker` in Deno: hands its endpoint to the sites of src/time/workers.ts. */
import { serveSites } from "../../src/time/workers.ts";
import { scopeEndpoint } from "../worker-scope.ts";
import { platform } from "./platform.ts";

serveSites(platform, scopeEndpoint());
