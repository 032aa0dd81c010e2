/**
 * A real namespace pings a simulated pod: its tap device is joined to a cluster's underlay over QEMU's stream and dgram netdevs. Over unix,
 * TCP and UDP by test/runtimes/tap-bridge.py; with qemu-system-x86_64 installed also by QEMU itself, as a hub without a machine. Needs Linux
 * and root.
 */
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createCluster, openNetdev } from "../../runtimes/node/index.ts";
import type { Cluster } from "../../src/cluster.ts";

const folder = mkdtempSync(join(tmpdir(), "kubewire-tap-"));
const PATH = join(folder, "wire.sock");
const bridge = fileURLToPath(new URL("tap-bridge.py", import.meta.url));
const children: ChildProcess[] = [];
let cluster: Cluster;
let pod: string;
let gateway: string;
/** A process that keeps the namespace. */
let holder: ChildProcess;

const run = (...argv: string[]): string => execFileSync(argv[0]!, argv.slice(1), { encoding: "utf8" });
const inside = (...argv: string[]): string => run("nsenter", "-t", String(holder.pid), "-n", ...argv);
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

beforeAll(async () => {
  if (process.platform !== "linux" || process.getuid?.() !== 0) throw new Error("a namespace and a tap device: needs Linux and root");
  cluster = await createCluster({ nodes: 2, time: "real" });
  const [made] = await cluster.apply("apiVersion: v1\nkind: Pod\nmetadata: {name: echo}\nspec:\n  nodeName: node-2\n  containers:\n  - {name: c, image: nginx}\n");
  await cluster.waitReady([made!], 60_000);
  const { body } = await cluster.api({ method: "GET", path: "/api/v1/namespaces/default/pods/echo" });
  pod = (body as { status: { podIP: string } }).status.podIP;
  gateway = cluster.nodes[1]!.address;
  holder = spawn("unshare", ["-n", "sleep", "600"]);
  children.push(holder);
  await pause(200);
}, 120_000);

afterAll(() => {
  for (const child of children) child.kill();
  cluster?.close();
  rmSync(folder, { recursive: true, force: true });
});

const TAP = "kwtest0";

/** Starts `argv`, which makes the tap device, moves that into the namespace, and pings the pod by it. */
async function pingsBy(argv: readonly string[]): Promise<string> {
  const child = spawn(argv[0]!, argv.slice(1), { stdio: ["ignore", "inherit", "inherit"] });
  children.push(child);
  for (let i = 0; ; i++) {
    await pause(50);
    try {
      run("ip", "link", "set", TAP, "netns", String(holder.pid));
      break;
    } catch (error) {
      if (i === 100) throw error;
    }
  }
  inside("ip", "addr", "add", "172.18.255.1/16", "dev", TAP);
  inside("ip", "link", "set", TAP, "up");
  inside("ip", "route", "add", "10.244.0.0/16", "via", gateway);
  const pings = await new Promise<string>((resolve) => {
    const ping = spawn("nsenter", ["-t", String(holder.pid), "-n", "ping", "-c", "5", "-i", "0.2", "-s", "1000", pod]);
    let text = "";
    ping.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
    ping.on("close", () => resolve(text));
  });
  const gone = new Promise((resolve) => child.once("close", resolve));
  child.kill();
  await gone;
  return pings;
}

async function withWire<T>(address: string, work: (port: number) => Promise<T>): Promise<T> {
  const plug = cluster.plug((frame) => wire.send(frame));
  const wire = await openNetdev(address, (frame) => plug.send(frame));
  try {
    return await work("port" in wire.address ? (wire.address.transport === "udp" ? wire.address.local.port : wire.address.port) : 0);
  } finally {
    plug.unplug();
    await wire.close();
  }
}

const ANSWERED = "5 packets transmitted, 5 received, 0% packet loss";

test("over a unix socket", { timeout: 60_000 }, async () => {
  expect(await withWire(`unix-listen:${PATH}`, () => pingsBy(["python3", bridge, TAP, "unix", PATH]))).toContain(ANSWERED);
});

test("over TCP", { timeout: 60_000 }, async () => {
  expect(await withWire("tcp-listen:127.0.0.1:0", (port) => pingsBy(["python3", bridge, TAP, "tcp", "127.0.0.1", String(port)]))).toContain(ANSWERED);
});

test("over UDP", { timeout: 60_000 }, async () => {
  expect(await withWire("udp:127.0.0.1:45871,127.0.0.1:45872", () => pingsBy(["python3", bridge, TAP, "udp", "127.0.0.1", "45872", "45871"]))).toContain(ANSWERED);
});

const hasQemu = ((): boolean => {
  try {
    run("qemu-system-x86_64", "--version");
    return true;
  } catch {
    return false;
  }
})();

/** QEMU as a hub between a tap device and the wire. */
const hub = (wire: string): string[] => [
  "qemu-system-x86_64", "-machine", "none", "-nodefaults", "-display", "none",
  "-netdev", `tap,id=tap,ifname=${TAP},script=no,downscript=no`, "-netdev", `hubport,hubid=0,id=a,netdev=tap`,
  "-netdev", wire, "-netdev", "hubport,hubid=0,id=b,netdev=wire",
];

if (hasQemu) {
  test("QEMU's stream connects to a unix socket", { timeout: 60_000 }, async () => {
    const wire = `stream,id=wire,server=off,addr.type=unix,addr.path=${PATH}`;
    expect(await withWire(`unix-listen:${PATH}`, () => pingsBy(hub(wire)))).toContain(ANSWERED);
  });

  test("QEMU's stream listens for TCP", { timeout: 60_000 }, async () => {
    const wire = "stream,id=wire,server=on,addr.type=inet,addr.host=127.0.0.1,addr.port=45873";
    expect(await withWire("tcp:127.0.0.1:45873", () => pingsBy(hub(wire)))).toContain(ANSWERED);
  });

  test("QEMU's dgram over UDP", { timeout: 60_000 }, async () => {
    const wire = "dgram,id=wire,remote.type=inet,remote.host=127.0.0.1,remote.port=45875,local.type=inet,local.host=127.0.0.1,local.port=45874";
    expect(await withWire("udp:127.0.0.1:45874,127.0.0.1:45875", () => pingsBy(hub(wire)))).toContain(ANSWERED);
  });
}
