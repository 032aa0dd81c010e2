/** What the kubelet streams: logs, exec, attach, port-forward. Follows pkg/kubelet/server and pkg/kubelet/kuberuntime (logs). */
import { serveStreams, type NodeStream, type NodeStreamRequest, type StreamEvents } from "./client/site-streams.ts";
import type { Follower, Runtime } from "./cri/runtime.ts";
import type { Site } from "./time/site.ts";
import { loggedContainer, streamLogs } from "./kubelet/complete/logs.ts";
import type { CompleteKeeper } from "./kubelet/complete/index.ts";
import type { PodKeeper } from "./kubelet/kubelet.ts";
import type { NodeAgent } from "./node.ts";

const encoder = new TextEncoder();
const IDLE: NodeStream = { write() {}, eof() {}, resize() {}, abort() {} };

export { newKubelets } from "./client/site-streams.ts";

/** Serves them at the node's site; returns what refuses them once the node has crashed: nobody answers for it then. */
export const serveKubeletStreams = (site: Site, latencyNs: number, { runtime, kubelet }: NodeAgent): ((address: string) => void) => {
  serveStreams(site, latencyNs, (request, events) => openNodeStream(runtime, kubelet.pods, request, events));
  return (address) =>
    serveStreams(site, latencyNs, (_, events) => {
      events.end({ error: `error dialing backend: dial tcp ${address}: connect: no route to host` });
      return IDLE;
    });
};

/** Starts one; it ends by itself or by `abort`. */
const openNodeStream = (runtime: Runtime, keeper: PodKeeper, request: NodeStreamRequest, events: StreamEvents): NodeStream => {
  if (request.kind === "http") {
    void (keeper as CompleteKeeper).serve(request).then(({ status, headers, body }) => {
      if (body !== "") events.data("stdout", encoder.encode(body));
      events.end({ answer: { status, headers } });
    }, (error: unknown) => events.end({ error: String(error) }));
    return IDLE;
  }
  const { namespace, pod } = request;
  const sandboxes = runtime.listPodSandboxes().filter(({ config }) => config.namespace === namespace && config.name === pod);
  const sandbox = sandboxes.find(({ state }) => state === "SANDBOX_READY") ?? sandboxes.at(-1);
  const fail = (error: string): NodeStream => {
    events.end({ error });
    return IDLE;
  };
  if (request.kind === "portforward") return sandbox === undefined ? fail(`pod not found ("${pod}_${namespace}")`) : forward(runtime, sandbox.id, request.port, events);
  const { container } = request;
  const attempts = sandboxes.flatMap(({ id }) => runtime.listContainers(id)).filter(({ name }) => name === container).sort((a, b) => a.attempt - b.attempt);
  if (request.kind === "logs") {
    const status = keeper.statusOf?.(namespace, pod);
    if (status === undefined) return fail(`pod "${pod}_${namespace}" cannot be found - no logs available`);
    const found = loggedContainer(status, request);
    return "error" in found ? fail(found.error) : streamLogs(runtime, found.id, request, events);
  }
  const running = attempts.find(({ state }) => state === "CONTAINER_RUNNING");
  if (running === undefined) return fail(`unable to upgrade connection: container not found ("${container}")`);
  const send = (channel: "stdout" | "stderr") => (data: string | Uint8Array): void => {
    const bytes = typeof data === "string" ? encoder.encode(data) : data;
    if (bytes.length > 0) events.data(channel, bytes);
  };
  const out = { stdout: send("stdout"), stderr: send("stderr") };
  const { stdin = true, tty = false } = request;
  if (request.kind === "attach") {
    const found = runtime.containers.get(running.id)!;
    const { config } = found;
    // A container that is started without standard input has none to be written to.
    const input = stdin && config.stdin === true ? found.running : undefined;
    const close = (): void => {
      if (config.stdinOnce === true) input?.eof();
    };
    const unfollow = follow(runtime, running.id, { output: (stream, text) => out[stream](text), end: () => events.end({}) });
    return {
      write: (bytes) => input?.write(bytes), eof: close, resize: (width, height) => found.running?.resize(width, height),
      abort() {
        unfollow();
        close();
      },
    };
  }
  const program = runtime.exec(running.id, request.argv, { ...out, stdin, tty });
  program.ended.then((exitCode) => events.end({ exitCode }), (error: Error) => events.end({ error: `error executing command in container: ${error.message.replace(/^rpc error: code = \w+ desc = /, "")}` }));
  return { write: program.write, eof: program.eof, resize: program.resize, abort: program.kill };
};

const follow = (runtime: Runtime, id: string, follower: Follower): (() => void) => {
  const followers = runtime.containers.get(id)?.followers;
  followers?.add(follower);
  return () => void followers?.delete(follower);
};

const forward = (runtime: Runtime, sandbox: string, port: number, events: StreamEvents): NodeStream => {
  let aborted = false;
  let pending = Promise.resolve();
  const connected = runtime.sandboxes.get(sandbox)!.netns.sockets.connect({ address: "127.0.0.1", port });
  void connected.then(async (stream) => {
    if (aborted) {
      stream.close();
      return;
    }
    try {
      for (;;) {
        const bytes = await stream.read();
        if (bytes === undefined) break;
        events.data("stdout", bytes);
      }
      events.end({});
    } catch {
      events.end({});
    }
    stream.close();
  }, (error: unknown) => events.end({ error: `error forwarding port ${port} to pod ${sandbox}, uid : failed to execute portforward in network namespace: failed to connect to localhost:${port} inside namespace, IPv4: dial tcp4 127.0.0.1:${port}: ${reason(error)}` }));
  const then = (work: (stream: Awaited<typeof connected>) => void | Promise<void>): void => {
    pending = pending.then(async () => work(await connected)).catch(() => {});
  };
  return {
    ...IDLE,
    write: (bytes) => then((stream) => stream.write(bytes)),
    eof: () => then((stream) => stream.shutdown()),
    abort() {
      aborted = true;
      void connected.then((stream) => stream.close(), () => {});
    },
  };
};

const reason = (error: unknown): string => {
  const code = (error as { code?: string }).code;
  return code === "ECONNREFUSED" ? "connect: connection refused" : code === "ETIMEDOUT" ? "connect: connection timed out" : `connect: ${code ?? String(error)}`;
};
