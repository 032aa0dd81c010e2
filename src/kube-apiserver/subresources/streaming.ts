/**
 * pods/NAME/log, exec, attach and portforward: what the API server passes on between clients and kubelets. Follows
 * pkg/registry/core/pod (strategy.go: LogLocation, streamLocation), pkg/registry/core/pod/rest and k8s.io/kubelet/pkg/cri/streaming.
 */
import type { Pod } from "../../api/types.generated.ts";
import type { KubeObject } from "../../apimachinery/meta.ts";
import { ApiError, newBadRequest, newInternalError, newInvalid, newNotFound } from "../../apimachinery/status.ts";
import type { Channel, NodeStream, NodeStreamRequest, StreamEnd, StreamEvents } from "../../client/site-streams.ts";
import type { ApiResponse } from "../../client/transport.ts";
import type { Answering } from "../extension.ts";
import { FieldErrors } from "../field.ts";
import { intParam, isTrue } from "../request-info.ts";
import { forwardOverChannels, forwardOverSpdy } from "./port-forward.ts";
import { acceptWebSocket, chooseProtocol, isWebSocket } from "./websocket.ts";

type StoredPod = Pod & KubeObject;

const TUNNEL = "SPDY/3.1+portforward.k8s.io";
const CHANNELS = ["v5.channel.k8s.io", "v4.channel.k8s.io"];
const SWITCHED: ApiResponse = { status: 101, headers: {}, body: "" };

async function podOf({ info, find }: Answering): Promise<StoredPod> {
  const pod = (await find("pods", info.namespace, info.name)) as StoredPod | undefined;
  if (pod === undefined) throw newNotFound({ group: "", resource: "pods" }, info.name);
  return pod;
}

/** The container that is asked for, or the only one. */
function containerOf({ metadata, spec }: StoredPod, asked: string | null): string {
  const { name } = metadata;
  const names = (list: readonly { name?: string }[] | undefined): string[] => (list ?? []).map((c) => c.name ?? "");
  const containers = names(spec.containers);
  const inits = names(spec.initContainers);
  const ephemeral = names(spec.ephemeralContainers);
  if (asked !== null && asked !== "") {
    if (![...containers, ...inits, ...ephemeral].includes(asked)) throw newBadRequest(`container ${asked} is not valid for pod ${name}`);
    return asked;
  }
  if (containers.length === 1) return containers[0]!;
  if (containers.length === 0) throw newBadRequest(`a container name must be specified for pod ${name}`);
  const more = [...(inits.length === 0 ? [] : [` or one of the init containers: [${inits.join(" ")}]`]), ...(ephemeral.length === 0 ? [] : [` or one of the ephemeral containers: [${ephemeral.join(" ")}]`])];
  throw newBadRequest(`a container name must be specified for pod ${name}, choose one of: [${containers.join(" ")}]${more.join("")}`);
}

function hostOf({ metadata, spec }: StoredPod): string {
  if ((spec.nodeName ?? "") === "") throw newBadRequest(`pod ${metadata.name} does not have a host assigned`);
  return spec.nodeName!;
}

function open({ kubelets }: Answering, node: string, request: NodeStreamRequest, events: StreamEvents): NodeStream {
  const stream = kubelets?.open(node, request, events);
  if (stream === undefined) throw newInternalError(`error dialing backend: dial tcp: lookup ${node}: no such host`);
  return stream;
}

/** GET pods/NAME/log. */
export async function log(answering: Answering): Promise<ApiResponse> {
  const { info, clock } = answering;
  const { query, namespace, name } = info;
  const tailLines = intParam(query, "tailLines");
  const limitBytes = intParam(query, "limitBytes");
  const sinceSeconds = intParam(query, "sinceSeconds");
  const sinceTime = query.get("sinceTime");
  const errors = new FieldErrors();
  if (tailLines !== undefined && tailLines < 0) errors.invalid("tailLines", tailLines, "must be greater than or equal to 0");
  if (limitBytes !== undefined && limitBytes < 1) errors.invalid("limitBytes", limitBytes, "must be greater than 0");
  if (sinceSeconds !== undefined && sinceTime !== null) errors.forbidden("[]", "at most one of `sinceTime` or `sinceSeconds` may be specified");
  else if (sinceSeconds !== undefined && sinceSeconds < 1) errors.invalid("sinceSeconds", sinceSeconds, "must be greater than 0");
  if (errors.list.length > 0) throw newInvalid({ group: "", kind: "PodLogOptions" }, name, errors.list);
  const pod = await podOf(answering);
  const container = containerOf(pod, query.get("container"));
  // Without a host there is nothing to say yet.
  if ((pod.spec.nodeName ?? "") === "") return { status: 204, headers: {}, body: "" };
  const sinceMs = sinceSeconds !== undefined ? clock.nowMs() - sinceSeconds * 1000 : sinceTime === null ? undefined : Date.parse(sinceTime);
  const chunks: string[] = [];
  const decoders: Record<Channel, TextDecoder> = { stdout: new TextDecoder(), stderr: new TextDecoder() };
  let ended: StreamEnd | undefined;
  let wake: () => void = () => {};
  let said: () => void = () => {};
  const first = new Promise<void>((resolve) => (said = resolve));
  const stream = open(answering, pod.spec.nodeName!, {
    kind: "logs", namespace, pod: name, container, follow: isTrue(query.get("follow")), previous: isTrue(query.get("previous")), timestamps: isTrue(query.get("timestamps")),
    ...(tailLines === undefined ? {} : { tailLines }), ...(limitBytes === undefined ? {} : { limitBytes }), ...(sinceMs === undefined ? {} : { sinceMs }),
  }, {
    data(channel, bytes) {
      chunks.push(decoders[channel].decode(bytes, { stream: true }));
      said();
      wake();
    },
    end(end) {
      ended = end;
      said();
      wake();
    },
  });
  const gone = (): void => {
    stream.abort();
    ended ??= {};
    said();
    wake();
  };
  answering.signal?.addEventListener("abort", gone, { once: true });
  // Whether there is a log is known with the first that comes; who follows a silent program waits for no answer.
  if (!isTrue(query.get("follow"))) await first;
  const refused = (ended as StreamEnd | undefined)?.error;
  if (refused !== undefined && chunks.length === 0) throw refused.startsWith("error dialing") ? newInternalError(refused) : newBadRequest(refused);
  const text = async function* (): AsyncGenerator<string> {
    try {
      for (;;) {
        while (chunks.length === 0 && ended === undefined) await new Promise<void>((resolve) => (wake = resolve));
        if (chunks.length === 0) return;
        yield chunks.splice(0).join("");
      }
    } finally {
      answering.signal?.removeEventListener("abort", gone);
      stream.abort();
    }
  };
  const headers = { "content-type": "text/plain" };
  if (isTrue(query.get("follow"))) return { status: 200, headers, text: text() };
  let body = "";
  for await (const part of text()) body += part;
  return { status: 200, headers, body };
}

/** GET and POST pods/NAME/exec and attach. */
export async function execOrAttach(answering: Answering): Promise<ApiResponse> {
  const { info, request } = answering;
  const { query, namespace, name, subresource } = info;
  const kind = subresource as "exec" | "attach";
  const argv = query.getAll("command");
  const errors = new FieldErrors();
  const streams = { stdin: isTrue(query.get("stdin")), stdout: kind === "attach" || query.has("stdout") ? isTrue(query.get("stdout")) : false, stderr: isTrue(query.get("stderr")), tty: isTrue(query.get("tty")) };
  const pod = await podOf(answering);
  const container = containerOf(pod, query.get("container"));
  const host = hostOf(pod);
  if (kind === "exec" && argv.length === 0) errors.required("command");
  if (errors.list.length > 0) throw newInvalid({ group: "", kind: "PodExecOptions" }, name, errors.list);
  if (pod.status.phase === "Succeeded" || pod.status.phase === "Failed") throw newBadRequest(`cannot exec into a container in a completed pod; current phase is ${pod.status.phase}`);
  const headers = request.headers ?? {};
  const { connection } = request;
  if (connection === undefined || !isWebSocket(headers)) throw newBadRequest("Upgrade request required");
  const protocol = chooseProtocol(headers, CHANNELS);
  if (protocol === undefined) throw newBadRequest(`unable to negotiate a protocol: client supports [${headers["sec-websocket-protocol"] ?? ""}], server accepts [${CHANNELS.join(" ")}]`);
  const early: Uint8Array[] = [];
  let stream: NodeStream | undefined;
  const socket = acceptWebSocket(headers, connection, protocol, {
    message(bytes) {
      if (stream === undefined) early.push(bytes);
      else take(bytes);
    },
    close: () => stream?.abort(),
  });
  const take = (bytes: Uint8Array): void => {
    if (bytes[0] === 0 && streams.stdin) stream?.write(bytes.slice(1));
    if (bytes[0] === 4 && streams.tty) resize(bytes.subarray(1));
    // v5: the channel that is named has no more to say.
    if (bytes[0] === 255 && bytes[1] === 0) stream?.eof();
  };
  // remotecommand.TerminalSize, as JSON.
  const resize = (bytes: Uint8Array): void => {
    const size = /^\s*\{\s*"Width":\s*(\d+),\s*"Height":\s*(\d+)\s*\}\s*$/.exec(new TextDecoder().decode(bytes));
    if (size !== null) stream?.resize(Number(size[1]), Number(size[2]));
  };
  const send = (channel: number, bytes: Uint8Array): void => {
    const message = new Uint8Array(1 + bytes.length);
    message[0] = channel;
    message.set(bytes, 1);
    socket.send(message);
  };
  // An empty message tells the client that it is connected.
  send(streams.stdout ? 1 : streams.stderr ? 2 : 3, new Uint8Array(0));
  const of = { namespace, pod: name, container, stdin: streams.stdin, tty: streams.tty };
  const asked: NodeStreamRequest = kind === "exec" ? { kind, argv, ...of } : { kind, ...of };
  const events: StreamEvents = {
    data(channel, bytes) {
      const at = channel === "stderr" && !streams.tty ? 2 : 1;
      if (at === 1 ? streams.stdout : streams.stderr) send(at, bytes);
    },
    end(end) {
      send(3, new TextEncoder().encode(JSON.stringify(statusOf(end, argv))));
      socket.close();
    },
  };
  try {
    stream = open(answering, host, asked, events);
  } catch (e) {
    events.end({ error: e instanceof ApiError ? e.status.message! : String(e) });
    return SWITCHED;
  }
  for (const bytes of early) take(bytes);
  if (!streams.stdin) stream.eof();
  return SWITCHED;
}

/** The last word on the error channel. */
function statusOf({ exitCode, error }: StreamEnd, argv: readonly string[]): unknown {
  if (error !== undefined) return { metadata: {}, status: "Failure", message: `Internal error occurred: ${error}`, reason: "InternalError", details: { causes: [{ message: error }] }, code: 500 };
  if (exitCode === undefined || exitCode === 0) return { metadata: {}, status: "Success" };
  return {
    metadata: {}, status: "Failure", message: `command terminated with non-zero exit code: error executing command [${argv.join(" ")}], exit code ${exitCode}`,
    reason: "NonZeroExitCode", details: { causes: [{ reason: "ExitCode", message: String(exitCode) }] },
  };
}

/** GET and POST pods/NAME/portforward. */
export async function portForward(answering: Answering): Promise<ApiResponse> {
  const { info, request } = answering;
  const { query, namespace, name } = info;
  const pod = await podOf(answering);
  const host = hostOf(pod);
  const headers = request.headers ?? {};
  const { connection } = request;
  if (connection === undefined || !isWebSocket(headers)) throw newBadRequest("Upgrade request required");
  const protocol = chooseProtocol(headers, [TUNNEL, ...CHANNELS]);
  if (protocol === undefined) throw newBadRequest(`unable to negotiate protocol: client supports [${headers["sec-websocket-protocol"] ?? ""}], server accepts [${TUNNEL} ${CHANNELS.join(" ")}]`);
  const dial = (port: number, events: StreamEvents): NodeStream => open(answering, host, { kind: "portforward", namespace, pod: name, port }, events);
  if (protocol === TUNNEL) forwardOverSpdy((events) => acceptWebSocket(headers, connection, protocol, events), dial);
  else {
    const ports = query.getAll("ports").flatMap((text) => text.split(",")).map(Number);
    if (ports.length === 0) throw newBadRequest("query parameter \"port\" is required");
    if (ports.some((port) => !Number.isInteger(port) || port < 1 || port > 65535)) throw newBadRequest(`port ${JSON.stringify(query.getAll("ports").join(","))} must be a number between 1 and 65535`);
    forwardOverChannels((events) => acceptWebSocket(headers, connection, protocol, events), ports, dial);
  }
  return SWITCHED;
}
