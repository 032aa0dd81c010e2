/**
 * The API server over HTTPS, for bench/apiserver.ts: this process serves, a second one (the same program with the URL, on another core
 * where `taskset` can see to it) asks over one HTTP/2 connection with 50 requests in flight.
 */
import { execFileSync, spawn } from "node:child_process";
import { connect } from "node:http2";
import { createInterface } from "node:readline";
import { serveHttps } from "../../runtimes/node/serve.ts";
import { complete } from "../../src/kube-apiserver/complete/index.ts";
import { createApiServer } from "../../src/kube-apiserver/server.ts";
import { silent } from "../../src/log.ts";
import type { OverHttps } from "../apiserver.ts";
import { PODS, SERVICE_ACCOUNT, configMap, pod } from "./objects.ts";
import { rate, realClock, report, seeded } from "./surroundings.ts";

const IN_FLIGHT = 50;
const [, program, url] = process.argv;

if (url === undefined) {
  const api = createApiServer({ clock: realClock, random: seeded, log: silent, extension: complete });
  await api.ready;
  const server = await serveHttps({ port: 0, host: "127.0.0.1", handle: api.serve });
  const [command, ...args] = [...otherCore(), process.execPath, program!, server.url];
  const client = spawn(command!, args, { stdio: ["ignore", "pipe", "inherit"] });
  // The client says what it has done, line by line: what this process has spent since the line before is what that cost the server.
  const spent: Record<string, number> = {};
  let before = process.cpuUsage();
  for await (const line of createInterface(client.stdout)) {
    const used = process.cpuUsage(before);
    before = process.cpuUsage();
    const said = JSON.parse(line) as { phase: string; count: number } | OverHttps;
    if (!("phase" in said)) report({ ...said, ...spent });
    else if (said.count > 0) spent[`${said.phase}OnOneCore`] = (said.count * 1e6) / (used.user + used.system);
  }
} else await ask(url);

function otherCore(): string[] {
  try {
    execFileSync("taskset", ["-c", "1", "true"], { stdio: "ignore" });
    return ["taskset", "-c", "1"];
  } catch {
    return [];
  }
}

async function ask(server: string): Promise<void> {
  // The windows of Go's HTTP/2 client.
  const session = connect(server, { rejectUnauthorized: false, settings: { initialWindowSize: 4 << 20 } });
  session.once("connect", () => session.setLocalWindowSize(1 << 30));
  const send = (method: string, path: string, body?: unknown): Promise<number> =>
    new Promise((resolve, reject) => {
      const stream = session.request({ ":method": method, ":path": path, "content-type": "application/json", accept: "application/json" });
      let bytes = 0;
      let status = 0;
      stream.on("response", (headers) => {
        status = headers[":status"] ?? 0;
      });
      stream.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
      });
      stream.on("error", reject);
      stream.on("end", () => (status < 300 ? resolve(bytes) : reject(new Error(`${method} ${path}: ${status}`))));
      stream.end(body === undefined ? undefined : JSON.stringify(body));
    });
  const maps = "/api/v1/namespaces/default/configmaps";
  const pods = "/api/v1/namespaces/default/pods";
  await send("POST", "/api/v1/namespaces/default/serviceaccounts", SERVICE_ACCOUNT);
  const say = (phase: string, count: number): boolean => process.stdout.write(`${JSON.stringify({ phase, count })}\n`);
  await rate(500, (n) => send("POST", maps, configMap(n)), IN_FLIGHT);
  say("warm", 0);
  const configMaps = await rate(5000, (n) => send("POST", maps, configMap(500 + n)), IN_FLIGHT);
  say("configMaps", 5000);
  await rate(500, (n) => send("POST", pods, pod(n)), IN_FLIGHT);
  say("warm", 0);
  const podRate = await rate(PODS - 500, (n) => send("POST", pods, pod(500 + n)), IN_FLIGHT);
  say("pods", PODS - 500);
  const listBytes = await send("GET", pods);
  const times: number[] = [];
  for (let turn = 0; turn < 5; turn++) {
    const started = performance.now();
    await send("GET", pods);
    times.push(performance.now() - started);
  }
  session.close();
  const result: Omit<OverHttps, "configMapsOnOneCore" | "podsOnOneCore"> = { configMaps, pods: podRate, list: times.sort((a, b) => a - b)[2]!, listBytes };
  report(result);
}
