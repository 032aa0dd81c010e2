/**
 * Leader election by a Lease. Follows k8s.io/client-go/tools/leaderelection (leaderelection.go, resourcelock/leaselock.go): of several
 * processes of one component the holder of the Lease works, the others wait until it is not renewed any more.
 */
import type { Lease } from "../api/types.generated.ts";
import { isAlreadyExists, isConflict, isNotFound } from "../apimachinery/status.ts";
import { newUid } from "../apimachinery/names.ts";
import { formatMicroTime } from "../apimachinery/time.ts";
import type { Logger } from "../log.ts";
import type { Clock, Random } from "../time/clock.ts";
import { createClient, type Client } from "./client.ts";
import { createEventRecorder, type EventRecorder } from "./events.ts";
import type { ApiTransport } from "./transport.ts";

export interface LeaderElectionOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly recorder: EventRecorder;
  /** `--leader-elect-resource-namespace` (default kube-system) and `--leader-elect-resource-name`. */
  readonly namespace?: string;
  readonly name: string;
  /** Who this is: a host and something unique. */
  readonly identity: string;
  /** `--leader-elect-lease-duration` (15 s), `--leader-elect-renew-deadline` (10 s), `--leader-elect-retry-period` (2 s). */
  readonly leaseDurationMs?: number;
  readonly renewDeadlineMs?: number;
  readonly retryPeriodMs?: number;
}

/** One process of a component stands for election: as {@link acquireLease}, with the component's own client, events and an identity of its own. */
export function electLeader({ transport, clock, random, log, name }: { transport: ApiTransport; clock: Clock; random: Random; log: Logger; name: string }, lost: () => void, signal: AbortSignal): Promise<void> {
  const client = createClient(transport, { userAgent: name });
  const own = random.fork("leader-election");
  const recorder = createEventRecorder(client, clock, log, { component: name === "kube-scheduler" ? "default-scheduler" : name });
  return acquireLease({ client, clock, random: own, log, recorder, name, identity: `control-plane_${newUid(own)}` }, lost, signal);
}

const JITTER = 1.2;

/**
 * Resolves when the Lease is held; then it is renewed until `signal` aborts, and given back. When it cannot be renewed in time, or
 * somebody else has it, `lost` is called, and what works by it has to end.
 */
export async function acquireLease(options: LeaderElectionOptions, lost: () => void, signal: AbortSignal): Promise<void> {
  const { client, clock, random, log, recorder, namespace = "kube-system", name, identity } = options;
  const { leaseDurationMs = 15_000, renewDeadlineMs = 10_000, retryPeriodMs = 2000 } = options;
  /** What was seen last, and when: clocks of others are not trusted. */
  let observed: { lease: Lease; text: string; atMs: number } | undefined;

  const observe = (lease: Lease): void => {
    const text = JSON.stringify(lease.spec);
    if (observed?.text !== text) observed = { lease, text, atMs: clock.nowMs() };
    else observed.lease = lease;
  };

  /** Follows tryAcquireOrRenew. */
  async function attempt(): Promise<boolean> {
    const now = formatMicroTime(clock.nowMs());
    const mine = { holderIdentity: identity, leaseDurationSeconds: Math.round(leaseDurationMs / 1000), renewTime: now };
    try {
      if (observed?.lease.spec?.holderIdentity !== identity) {
        let found: Lease;
        try {
          found = await client.leases.get(namespace, name, signal);
        } catch (e) {
          if (!isNotFound(e)) throw e;
          observe(await client.leases.create({ metadata: { name, namespace }, spec: { ...mine, acquireTime: now, leaseTransitions: 0 } }, signal));
          return true;
        }
        observe(found);
        const holder = found.spec?.holderIdentity ?? "";
        if (holder !== "" && holder !== identity && observed!.atMs + (found.spec?.leaseDurationSeconds ?? 0) * 1000 > clock.nowMs()) return false;
        const transitions = (found.spec?.leaseTransitions ?? 0) + (holder === identity ? 0 : 1);
        observe(await client.leases.update({ ...found, spec: { ...found.spec, ...mine, acquireTime: now, leaseTransitions: transitions } }, signal));
        return true;
      }
      const { lease } = observed;
      observe(await client.leases.update({ ...lease, spec: { ...lease.spec, ...mine } }, signal));
      return true;
    } catch (e) {
      if (signal.aborted) throw e;
      // Somebody wrote it meanwhile: it is looked at anew.
      if (isConflict(e) || isAlreadyExists(e) || isNotFound(e)) observed = undefined;
      else log.error("Failed to update lock", { lease: `${namespace}/${name}`, err: e });
      return false;
    }
  }

  const tell = (what: string): void => {
    const { metadata } = observed!.lease;
    recorder.event({ apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: { ...metadata, name, namespace } }, "Normal", "LeaderElection", `${identity} ${what}`);
  };

  while (!(await attempt())) await clock.sleep(retryPeriodMs * (1 + random.float() * (JITTER - 1)), signal);
  tell("became leader");

  const renew = async (): Promise<void> => {
    let renewedMs = clock.nowMs();
    for (;;) {
      await clock.sleep(retryPeriodMs, signal);
      if (await attempt()) renewedMs = clock.nowMs();
      else if (clock.nowMs() - renewedMs >= renewDeadlineMs || (observed !== undefined && observed.lease.spec?.holderIdentity !== identity)) break;
    }
    log.error("Failed to renew lease", { lease: `${namespace}/${name}` });
    lost();
  };
  void renew().catch((e: unknown) => {
    if (!signal.aborted) {
      log.error("Failed to renew lease", { lease: `${namespace}/${name}`, err: e });
      lost();
    }
  });
}
