/**
 * The core group's resources that are no stored objects: bindings, which are another way to `pods/binding`, and component statuses.
 * Follows pkg/registry/core/pod/storage (LegacyBindingREST) and pkg/registry/core/componentstatus.
 */
import { failure, newNotFound, newPathNotFound } from "../../apimachinery/status.ts";
import type { ApiResponse } from "../../client/transport.ts";
import type { Answering } from "../extension.ts";
import type { Descriptor } from "../registry/descriptor.ts";
import type { RequestInfo } from "../request-info.ts";
import { decodeBody } from "../subresources/body.ts";

const virtual = (kind: string, resource: string, namespaced: boolean): Descriptor => ({
  name: { group: "", version: "v1", kind, resource, namespaced }, storagePrefix: resource, hasStatus: false, allowUnconditionalUpdate: false, validateName: () => [],
});

const BINDINGS = virtual("Binding", "bindings", true);
const COMPONENT_STATUSES = virtual("ComponentStatus", "componentstatuses", false);

export const LEGACY_KINDS: readonly Descriptor[] = [BINDINGS, COMPONENT_STATUSES];

const DEPRECATED = { warning: '299 - "v1 ComponentStatus is deprecated in v1.19+"' };

const methodNotAllowed = (): Error => failure(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {});

/** The answer for one of these kinds, undefined for all others. `bind` answers a request to `pods/binding`. */
export function legacy({ info, request, find }: Answering, pods: Descriptor, bind: (info: RequestInfo) => Promise<ApiResponse>): Promise<ApiResponse> | undefined {
  const { descriptor, name, verb, subresource } = info;
  if (descriptor !== BINDINGS && descriptor !== COMPONENT_STATUSES) return undefined;
  if (subresource !== "" || (descriptor === BINDINGS && name !== "")) throw newPathNotFound();
  if (descriptor === COMPONENT_STATUSES) {
    if (verb !== "get" && verb !== "list") throw methodNotAllowed();
    return (verb === "list" ? list(find) : one(find, name)).then((body) => ({ status: 200, headers: DEPRECATED, body }));
  }
  if (verb !== "create") throw methodNotAllowed();
  return bind({ ...info, descriptor: pods, name: decodeBody("Binding", "v1", request.body).metadata.name, subresource: "binding" });
}

/**
 * The components that upstream asks for `/healthz` on the server's own host. Nothing listens there: they run in the server's process, if
 * at all; who does has the Lease of its name. etcd is the store, without which there would be no answer.
 */
const ASKED: readonly (readonly [string, number])[] = [["controller-manager", 10257], ["scheduler", 10259]];
const HEALTHY = [{ type: "Healthy", status: "True", message: "ok" }];

interface ComponentStatus {
  readonly metadata: { readonly name: string };
  readonly conditions: unknown;
}

async function statuses(find: Answering["find"]): Promise<ComponentStatus[]> {
  const out: ComponentStatus[] = [];
  for (const [name, port] of ASKED) {
    if ((await find("leases", "kube-system", `kube-${name}`)) !== undefined) {
      out.push({ metadata: meta(name), conditions: HEALTHY });
      continue;
    }
    const message = `Get "https://127.0.0.1:${port}/healthz": dial tcp 127.0.0.1:${port}: connect: connection refused`;
    out.push({ metadata: meta(name), conditions: [{ type: "Healthy", status: "False", message, error: message }] });
  }
  return [...out, { metadata: meta("etcd-0"), conditions: HEALTHY }];
}

const meta = (name: string): { name: string } => ({ name, creationTimestamp: null }) as { name: string };

const list = async (find: Answering["find"]): Promise<unknown> => ({ kind: "ComponentStatusList", apiVersion: "v1", metadata: {}, items: await statuses(find) });

async function one(find: Answering["find"], name: string): Promise<unknown> {
  const found = (await statuses(find)).find(({ metadata }) => metadata.name === name);
  if (found === undefined) throw newNotFound({ group: "", resource: "componentstatuses" }, name);
  return { kind: "ComponentStatus", apiVersion: "v1", ...found };
}
