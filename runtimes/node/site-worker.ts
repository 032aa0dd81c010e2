/** The thread of `spawnWorker` in Node: serves the sites that the composition root puts here. */
import { parentPort } from "node:worker_threads";
import { serveSites } from "../../src/crew.ts";
import { nodeEndpoint } from "./endpoint.ts";
import { platform } from "./platform.ts";

if (parentPort === null) throw new Error("node-site-worker.js runs in a worker only");
const port = parentPort;
serveSites(
  platform,
  nodeEndpoint(port, () => port.close()),
);
