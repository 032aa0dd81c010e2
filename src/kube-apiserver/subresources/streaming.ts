/**
 * pods/NAME/log and portforward (exec and attach are in `exec.ts`): what the API server passes on between clients and kubelets. Follows
 * pkg/registry/core/pod (strategy.go: LogLocation, streamLocation), pkg/registry/core/pod/rest and k8s.io/kubelet/pkg/cri/streaming.
 */
import type { Pod } from "../../api/types.generated.ts";
import type { KubeObject } from "../../apimachinery/meta.ts";
import { newBadRequest, newInternalError, newInvalid, newNotFound } from "../../apimachinery/status.ts";
import type { Channel, NodeStream, NodeStreamRequest, StreamEnd, StreamEvents } from "../../client/site-streams.ts";
import type { ApiResponse } from "../../client/transport.ts";
import type { Answering } from "../extension.ts";
import { FieldErrors } from "../field.ts";
import { intParam, isTrue } from "../request-info.ts";
import { forwardOverChannels, forwardOverSpdy } from "./port-forward.ts";
import { acceptSpdy, chooseStreamProtocol, isSpdy } from "./spdy.ts";
import { acceptWebSocket, chooseProtocol, isWebSocket } from "./websocket.ts";

type StoredPod = Pod & KubeObject;

const TUNNEL = "SPDY/3.1+portforward.k8s.io";
const PORT_FORWARD = "portforward.k8s.io";
/** What kubelets take, and v5, which client libraries offer for every stream. */
const CHANNELS = ["v5.channel.k8s.io", "v4.channel.k8s.io", "v4.base64.channel.k8s.io", ""];
export const SWITCHED: ApiResponse = { status: 101, headers: {}, body: "" };

export async function podOf({ info, find }: Answering): Promise<StoredPod> {
  const pod = (await find("pods", info.namespace, info.name)) as StoredPod | undefined;
  if (pod === undefined) throw newNotFound({ group: "", resource: "pods" }, info.name);
  return pod;
}

/** The container that is asked for, or the only one. */
export function containerOf({ metadata, spec }: StoredPod, asked: string | null): string {
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

export function hostOf({ metadata, spec }: StoredPod): string {
  if ((spec.nodeName ?? "") === "") throw newBadRequest(`pod ${metadata.name} does not have a host assigned`);
  return spec.nodeName!;
}

export function openStream({ kubelets }: Answering, node: string, request: NodeStreamRequest, events: StreamEvents): NodeStream {
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
  const stream = openStream(answering, pod.spec.nodeName!, {
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

/** GET and POST pods/NAME/portforward. */
export async function portForward(answering: Answering): Promise<ApiResponse> {
  const { info, request } = answering;
  const { query, namespace, name } = info;
  const pod = await podOf(answering);
  const host = hostOf(pod);
  const { connection, headers = {} } = request;
  const dial = (port: number, events: StreamEvents): NodeStream => openStream(answering, host, { kind: "portforward", namespace, pod: name, port }, events);
  if (connection !== undefined && isSpdy(headers)) {
    const spoken = chooseStreamProtocol(headers, [PORT_FORWARD], PORT_FORWARD);
    forwardOverSpdy((take) => acceptSpdy(connection, spoken, take), dial);
    return SWITCHED;
  }
  if (connection === undefined || !isWebSocket(headers)) throw newBadRequest("Upgrade request required");
  const protocol = chooseProtocol(headers, [TUNNEL, ...CHANNELS]);
  if (protocol === undefined) throw newBadRequest(`unable to negotiate protocol: client supports [${headers["sec-websocket-protocol"] ?? ""}], server accepts [${TUNNEL} ${CHANNELS.join(" ")}]`);
  if (protocol === TUNNEL) forwardOverSpdy((events) => acceptWebSocket(headers, connection, protocol, events), dial);
  else {
    const ports = query.getAll("ports").flatMap((text) => text.split(",")).map(Number);
    if (ports.length === 0) throw newBadRequest("query parameter \"port\" is required");
    if (ports.some((port) => !Number.isInteger(port) || port < 1 || port > 65535)) throw newBadRequest(`port ${JSON.stringify(query.getAll("ports").join(","))} must be a number between 1 and 65535`);
    forwardOverChannels((events) => acceptWebSocket(headers, connection, protocol, events), ports, dial, protocol.includes("base64"));
  }
  return SWITCHED;
}
