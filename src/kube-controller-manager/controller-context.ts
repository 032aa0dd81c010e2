/** What every controller of the controller manager gets, and the questions several of them ask. */
import type { Pod } from "../api/types.generated.ts";
import { parseTime } from "../apimachinery/time.ts";
import type { Client } from "../client/client.ts";
import type { EventRecorder } from "../client/events.ts";
import type { Informers } from "../client/informer.ts";
import type { ApiTransport } from "../client/transport.ts";
import type { Logger } from "../log.ts";
import type { Clock, Random } from "../time/clock.ts";

export interface ControllerContext {
  readonly client: Client;
  /** For what is no object: discovery, metrics. */
  readonly transport: ApiTransport;
  readonly informers: Informers;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** The event recorder of a component. */
  recorder(component: string): EventRecorder;
}

/** Follows pkg/api/v1/pod IsPodReady. */
export function isPodReady(pod: Pod): boolean {
  return readyCondition(pod)?.status === "True";
}

export function readyCondition(pod: Pod): { status: string; lastTransitionTime?: string | undefined } | undefined {
  return pod.status.conditions?.find((c) => c.type === "Ready");
}

/** Ready for at least `minReadySeconds`. Follows IsPodAvailable. */
export function isPodAvailable(pod: Pod, minReadySeconds: number, nowMs: number): boolean {
  const ready = readyCondition(pod);
  if (ready?.status !== "True") return false;
  if (minReadySeconds === 0) return true;
  const since = parseTime(ready.lastTransitionTime ?? "");
  return since !== undefined && since + minReadySeconds * 1000 <= nowMs;
}

/** Not finished and not being deleted. Follows controller.IsPodActive. */
export function isPodActive(pod: Pod): boolean {
  return pod.status.phase !== "Succeeded" && pod.status.phase !== "Failed" && pod.metadata.deletionTimestamp === undefined;
}
