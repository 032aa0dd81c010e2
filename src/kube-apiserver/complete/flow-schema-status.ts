/**
 * The condition that says whether a FlowSchema's priority level exists. Follows syncFlowSchemaStatus of
 * k8s.io/apiserver/pkg/util/flowcontrol/apf_controller.go.
 */
import { formatTime } from "../../apimachinery/time.ts";
import type { KubeObject } from "../../apimachinery/meta.ts";
import type { Answering } from "../extension.ts";
import type { RequestInfo } from "../request-info.ts";
import { applyConfiguration } from "./apply.ts";

const GROUP = "flowcontrol.apiserver.k8s.io";
const MANAGER = "api-priority-and-fairness-config-consumer-v1";
const SCHEMAS = "/registry/flowschemas/";

interface FlowSchema extends KubeObject {
  readonly spec: { readonly priorityLevelConfiguration?: { readonly name?: string } };
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string; readonly lastTransitionTime: string; readonly message?: string }[] };
}

/** Whether a request writes to this group. */
export const concernsFlowSchemas = ({ descriptor: { name }, verb }: RequestInfo): boolean => name.group === GROUP && verb !== "get" && verb !== "list" && verb !== "watch";

/** Brings the conditions up to date after such a write. */
export async function syncFlowSchemas({ storage, clock }: Pick<Answering, "storage" | "clock">): Promise<void> {
  const { items } = await storage.range(SCHEMAS);
  for (const { key, value, modRevision } of items) {
    const schema = value as FlowSchema;
    const level = schema.spec.priorityLevelConfiguration?.name ?? "";
    const found = (await storage.get(`/registry/prioritylevelconfigurations/${level}`)) !== undefined;
    const was = schema.status?.conditions?.find(({ type }) => type === "Dangling");
    const status = found ? "False" : "True";
    const message = `This FlowSchema references the PriorityLevelConfiguration object named ${JSON.stringify(level)} ${found ? "and it exists" : "but there is no such object"}`;
    if (was?.status === status && was.message === message) continue;
    const time = formatTime(clock.nowMs());
    const condition = { type: "Dangling", status, lastTransitionTime: was?.status === status ? was.lastTransitionTime : time, reason: found ? "Found" : "NotFound", message };
    const applied = { apiVersion: `${GROUP}/v1`, kind: "FlowSchema", metadata: { name: schema.metadata.name }, status: { conditions: [condition] } };
    const next = applyConfiguration("FlowSchema", { current: schema, applied, manager: MANAGER, force: true, subresource: "status", reset: ["spec", "metadata"], time });
    // Who comes in between brings it up to date, too.
    await storage.txn([{ key, modRevision }], [{ type: "put", key, value: next }]);
  }
}
