/** nodes/NAME/proxy: requests passed on to a node's kubelet. Follows pkg/registry/core/node/rest/rest.go and k8s.io/apimachinery/pkg/util/proxy. */
import { failure, newNotFound } from "../../apimachinery/status.ts";
import { askKubelet } from "../../client/site-streams.ts";
import type { ApiResponse } from "../../client/transport.ts";
import type { Answering } from "../extension.ts";

/** Any method on nodes/NAME/proxy/PATH. NAME may be SCHEME:NAME:PORT; all ports but the kubelet's are closed. */
export async function nodeProxy({ info, request, find, kubelets }: Answering): Promise<ApiResponse> {
  const [, name = info.name, port = "10250"] = /^(?:https?:)?([^:]+)(?::(\w*))?$/.exec(info.name) ?? [];
  const node = (await find("nodes", "", name)) as { status?: { addresses?: readonly { type: string; address: string }[] } } | undefined;
  if (node === undefined) throw newNotFound({ group: "", resource: "nodes" }, name);
  const address = node.status?.addresses?.find(({ type }) => type === "InternalIP")?.address ?? name;
  const unreachable = (why: string): Error => failure(503, "ServiceUnavailable", `error trying to reach service: ${why}`, {});
  if (port !== "10250" && port !== "") throw unreachable(`dial tcp ${address}:${port}: connect: connection refused`);
  if (kubelets === undefined || !kubelets.nodes.includes(name)) throw unreachable(`dial tcp ${address}:10250: connect: no route to host`);
  const rest = /\/proxy(\/[^?]*)?(\?.*)?$/.exec(request.path.slice(request.path.indexOf(`/${encodeURIComponent(info.name)}/`)));
  try {
    const { status, headers, body } = await askKubelet(kubelets, name, { method: request.method, path: `${rest?.[1] ?? "/"}${rest?.[2] ?? ""}` });
    return { status, headers: { ...headers }, body: headers["content-type"] === "application/json" ? JSON.parse(body) as unknown : body };
  } catch (error) {
    throw unreachable((error as Error).message.replace(/^error dialing backend: /, ""));
  }
}
