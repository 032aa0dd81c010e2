/** Applets on the network: busybox's own, and the tools of a node on the pod's namespace (src/tools). */
import { busyboxPrograms } from "../../images/busybox.ts";
import { ResolveError, resolve } from "../../dns/resolver.ts";
import { serveHttp } from "../../http/server.ts";
import type { TcpStream } from "../../kernel/sockets.ts";
import { loaded } from "../../time/loading.ts";
import type { Host } from "../container.ts";
import { byteString, unicode } from "../os/bytes.ts";
import { Errno, reasonOf } from "../os/errno.ts";
import type { Main, Process } from "../os/process.ts";
import { contextMain, contextOf } from "../program-context.ts";
import { applet, getopt, UsageFault } from "./common.ts";
import { spawnAndWait } from "./listing.ts";
import { wget } from "./wget.ts";

/** One of the host's tools, in the pod's network namespace. */
const tool = (name: string): Main => async (process) => {
  const { netns } = process.machine.host as Host;
  const { runTool } = await process.live(loaded(import("../tools.ts")));
  const stdin = name.endsWith("-restore") ? unicode(await process.readAll(0)) : "";
  const { exitCode, stdout, stderr } = runTool(netns, [name, ...process.argv.slice(1).map(unicode)], stdin);
  await process.spend(500_000);
  await process.print(byteString(stdout));
  if (stderr !== "") await process.error(byteString(stderr));
  return exitCode;
};

/** The address of a name; undefined where there is none, which is told. */
export async function addressOf(process: Process, name: string, say = (text: string): Promise<void> => process.complain(text)): Promise<string | undefined> {
  try {
    return (await process.live(resolve(contextOf(process), unicode(name))))[0];
  } catch (error) {
    if (!(error instanceof ResolveError)) throw error;
    await say(`bad address '${name}'`);
    return undefined;
  }
}

/** Both ways between a connection and this process, until both have ended. */
async function relay(process: Process, stream: TcpStream, idleMs: number | undefined): Promise<number> {
  let quiet: (() => void) | undefined;
  const idle = new Promise<"idle">((resolveIdle) => {
    const arm = (): void => {
      if (idleMs === undefined) return;
      quiet?.();
      quiet = process.clock.after(idleMs, () => resolveIdle("idle"));
    };
    arm();
  });
  process.onEnd.add(() => quiet?.());
  const sending = (async () => {
    for (let bytes; (bytes = await process.read(0)) !== undefined;) await process.live(stream.write(bytes));
    stream.shutdown();
  })().catch(() => {});
  const receiving = (async () => {
    for (let bytes; (bytes = await process.live(stream.read())) !== undefined;) await process.write(1, bytes);
  })();
  void sending;
  try {
    await process.live(Promise.race([receiving, idle]));
  } catch (error) {
    await process.complain(reasonOf(error));
    return 1;
  } finally {
    quiet?.();
  }
  return 0;
}

const nc = applet("[OPTIONS] HOST PORT  - connect\nnc [OPTIONS] -l -p PORT [HOST] [PORT]  - listen", async (process, args) => {
  const options = getopt(args, "+lkp:w:i:s:vnuzq:e::", {});
  const seconds = options.has("w") ? Number(options.get("w")) : undefined;
  const verbose = options.has("v");
  const die = async (text: string): Promise<number> => {
    await process.complain(text);
    return 1;
  };
  const port = (text: string | undefined): number | undefined => (text !== undefined && /^[0-9]+$/.test(text) && Number(text) > 0 && Number(text) < 65_536 ? Number(text) : undefined);
  const command = args.includes("-e") ? args.slice(args.indexOf("-e") + 1) : undefined;

  if (options.has("l")) {
    const local = port(options.get("p") ?? options.rest.at(-1));
    if (local === undefined) throw new UsageFault("");
    if (options.has("u")) {
      const socket = process.net.udp({ local: { port: local } });
      for (;;) {
        const { data, from } = await process.live(socket.receive());
        await process.write(1, data);
        void (async () => {
          for (let bytes; (bytes = await process.read(0)) !== undefined;) socket.send(bytes, from);
        })().catch(() => {});
      }
    }
    let listener;
    try {
      listener = process.net.listen({ port: local, ...(options.has("s") ? { address: options.get("s")! } : {}) });
    } catch (error) {
      return die(`bind: ${reasonOf(error)}`);
    }
    if (verbose) await process.error(`listening on [::]:${local} ...\n`);
    do {
      const stream = await process.live(listener.accept());
      if (verbose) await process.error(`connect to ${stream.local.address}:${stream.local.port} from ${stream.remote.address}:${stream.remote.port} (${stream.remote.address}:${stream.remote.port})\n`);
      if (command === undefined) {
        const code = await relay(process, stream, seconds === undefined ? undefined : seconds * 1000);
        stream.close();
        if (!options.has("k")) {
          listener.close();
          return code;
        }
      } else await serveProgram(process, stream, command);
    } while (options.has("k"));
    listener.close();
    return 0;
  }

  const [host, wanted] = options.rest;
  const remote = port(wanted);
  if (host === undefined || wanted === undefined) throw new UsageFault("");
  if (remote === undefined) return die(`bad port '${wanted}'`);
  const address = await addressOf(process, host);
  if (address === undefined) return 1;
  if (options.has("u")) {
    const socket = process.net.udp({ remote: { address, port: remote } });
    if (options.has("z")) return 0;
    void (async () => {
      for (;;) await process.write(1, (await process.live(socket.receive())).data);
    })().catch(() => {});
    for (let bytes; (bytes = await process.read(0)) !== undefined;) socket.send(bytes);
    await process.sleep((seconds ?? 1) * 1000);
    return 0;
  }
  const limit = new AbortController();
  const cancel = seconds === undefined ? undefined : process.clock.after(seconds * 1000, () => limit.abort(new Errno("ETIMEDOUT")));
  let stream: TcpStream;
  try {
    stream = await process.live(process.net.connect({ address, port: remote }, { signal: limit.signal }));
  } catch (error) {
    if (limit.signal.aborted) return die("timed out");
    return die(`can't connect to remote host (${address}): ${reasonOf(error)}`);
  } finally {
    cancel?.();
  }
  if (verbose) await process.error(`${host} (${address}:${remote}) open\n`);
  if (options.has("z")) {
    stream.close();
    return 0;
  }
  if (command !== undefined) {
    await serveProgram(process, stream, command);
    return 0;
  }
  const code = await relay(process, stream, seconds === undefined ? undefined : seconds * 1000);
  stream.close();
  return code;
});

/** Runs a program whose input and output are the connection. */
async function serveProgram(process: Process, stream: TcpStream, argv: readonly string[]): Promise<void> {
  await spawnAndWait(process, argv, (child) => {
    const file = {
      name: "socket:", refs: 1, readable: true, writable: true, node: undefined,
      read: () => stream.read(), write: (bytes: Uint8Array) => stream.write(bytes), close: () => stream.close(),
    };
    file.refs++;
    child.install(0, file);
    child.install(1, file);
  });
  stream.close();
}

const telnet = applet("[-a] [-l USER] HOST [PORT]", async (process, args) => {
  const [host, port = "23"] = args.filter((word) => !word.startsWith("-"));
  if (host === undefined) throw new UsageFault("");
  const address = await addressOf(process, host);
  if (address === undefined) return 1;
  try {
    const stream = await process.live(process.net.connect({ address, port: Number(port) }));
    await process.print(`Connected to ${host}\n\nEntering character mode\nEscape character is '^]'.\n\n`);
    const code = await relay(process, stream, undefined);
    stream.close();
    if (code === 0) await process.error("Connection closed by foreign host\r\n");
    return 1;
  } catch (error) {
    await process.complain(`can't connect to remote host (${address}): ${reasonOf(error)}`);
    return 1;
  }
});

const ping = applet("[OPTIONS] HOST", async (process, args) => {
  const options = getopt(args, "c:s:t:W:w:i:I:qnA46p:");
  const [host] = options.rest;
  if (host === undefined) throw new UsageFault("");
  const address = await addressOf(process, host);
  if (address === undefined) return 1;
  const count = options.has("c") ? Number(options.get("c")) : Infinity;
  const bytes = Number(options.get("s") ?? 56), timeoutMs = Number(options.get("W") ?? 10) * 1000, intervalMs = Number(options.get("i") ?? 1) * 1000;
  const deadline = options.has("w") ? process.clock.nowMs() + Number(options.get("w")) * 1000 : Infinity;
  const times: number[] = [];
  let sent = 0, stopped = false, wake: (() => void) | undefined;
  for (const signal of ["INT", "TERM"] as const) {
    process.handlers.set(signal, () => {
      stopped = true;
      wake?.();
    });
  }
  await process.print(`PING ${host} (${address}): ${bytes} data bytes\n`);
  while (sent < count && !stopped && process.clock.nowMs() < deadline) {
    const started = process.clock.nowMs();
    const seq = sent++;
    try {
      const ns = await process.live(process.net.ping(address, { timeoutMs: Math.min(timeoutMs, deadline - started), bytes, ...(options.has("t") ? { ttl: Number(options.get("t")) } : {}) }));
      times.push(ns);
      if (!options.has("q")) await process.print(`${bytes + 8} bytes from ${address}: seq=${seq} ttl=64 time=${(ns / 1e6).toFixed(3)} ms\n`);
      await process.flush();
    } catch (error) {
      const code = (error as { code?: string }).code;
      if (code === "ENETUNREACH") {
        await process.complain(`sendto: ${reasonOf(error)}`);
        return 1;
      }
    }
    const left = Math.min(started + intervalMs, deadline) - process.clock.nowMs();
    if (sent < count && left > 0 && !stopped) await process.live(Promise.race([process.sleep(left), new Promise<void>((resolveWake) => (wake = resolveWake))]));
  }
  await process.print(`\n--- ${host} ping statistics ---\n${sent} packets transmitted, ${times.length} packets received, ${sent === 0 ? 0 : Math.floor(((sent - times.length) * 100) / sent)}% packet loss\n`);
  if (times.length > 0) {
    const ms = (ns: number): string => (ns / 1e6).toFixed(3);
    await process.print(`round-trip min/avg/max = ${ms(Math.min(...times))}/${ms(times.reduce((sum, ns) => sum + ns, 0) / times.length)}/${ms(Math.max(...times))} ms\n`);
  }
  return times.length > 0 ? 0 : 1;
});

const traceroute = applet("[-m MAXTTL] [-q PROBES] [-w SEC] HOST", async (process, args) => {
  const options = getopt(args, "m:q:w:nFIlvp:f:");
  const [host] = options.rest;
  if (host === undefined) throw new UsageFault("");
  const address = await addressOf(process, host);
  if (address === undefined) return 1;
  const most = Number(options.get("m") ?? 30), probes = Number(options.get("q") ?? 3), timeoutMs = Number(options.get("w") ?? 3) * 1000;
  await process.print(`traceroute to ${host} (${address}), ${most} hops max, 46 byte packets\n`);
  for (let ttl = 1; ttl <= most; ttl++) {
    let line = `${String(ttl).padStart(2)} `, reached = false;
    for (let i = 0; i < probes; i++) {
      try {
        const ns = await process.live(process.net.ping(address, { timeoutMs, ttl, bytes: 38 }));
        line += `${reached ? "" : ` ${address} (${address})`}  ${(ns / 1e6).toFixed(3)} ms`;
        reached = true;
      } catch {
        line += "  *";
      }
    }
    await process.print(`${line}\n`);
    await process.flush();
    if (reached) return 0;
  }
  return 0;
});

/** Serves files. */
const httpd = applet("[-ifv[v]] [-c CONFFILE] [-p [IP:]PORT] [-h HOME]", async (process, args) => {
  const options = getopt(args, "ifvc:p:h:u:r:m:d:e:");
  const port = Number((options.get("p") ?? "80").replace(/^.*:/, ""));
  const home = options.get("h") ?? process.fs.pathOf(process.cwd);
  const run = async (self: Process): Promise<number> => {
    const context = contextOf(self);
    await self.live(serveHttp({
      net: context.net, port, signal: context.signal,
      handler: ({ target, method }) => {
        const path = `${home}${unicode(target.split("?")[0]!)}`;
        const file = path.endsWith("/") ? `${path}index.html` : path;
        const found = method === "GET" || method === "HEAD" ? context.readFile(file) : undefined;
        const body = found ?? new TextEncoder().encode("<HTML><HEAD><TITLE>404 Not Found</TITLE></HEAD>\n<BODY><H1>404 Not Found</H1>\nThe requested URL was not found\n</BODY></HTML>\n");
        return { status: found === undefined ? 404 : 200, reason: found === undefined ? "Not Found" : "OK", headers: [["Content-type", /\.html?$/.test(file) || found === undefined ? "text/html" : "text/plain"]], body };
      },
    }));
    return 0;
  };
  if (options.has("f")) return run(process);
  process.fork(run);
  return 0;
});

const dnsdomainname: Main = async (process) => {
  await process.print("\n");
  return 0;
};


export const netApplets: Readonly<Record<string, Main>> = {
  wget, nc, netcat: nc, telnet, ping, traceroute, httpd, dnsdomainname, nslookup: contextMain(busyboxPrograms["nslookup"]!),
  ip: tool("ip"), ifconfig: tool("ifconfig"), netstat: tool("netstat"), sysctl: tool("sysctl"),
};

/** Those that busybox has not: for images that are made to look at networks. */
export const toolApplets: Readonly<Record<string, Main>> = Object.fromEntries(["ss", "bridge", "tc", "conntrack", "nft", "ipset", "iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "iptables-nft", "iptables-legacy"]
  .map((name) => [name, tool(name)]));
