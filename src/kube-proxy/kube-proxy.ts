/**
 * kube-proxy: watches Services, EndpointSlices and its own Node, and lets the proxier sync, not too often.
 * Follows kubernetes cmd/kube-proxy/app/server.go and pkg/proxy/runner/bounded_frequency_runner.go.
 */
import type { Node } from "../api/types.generated.ts";
import type { Informers } from "../client/informer.ts";
import type { Netns } from "../kernel/netns.ts";
import type { Logger } from "../log.ts";
import type { Cancel, Clock } from "../time/clock.ts";
import { durationMs, proxierConfig, type KubeProxyConfiguration, type NodeFacts } from "./config.ts";
import { Proxier } from "./iptables/proxier.ts";

export interface KubeProxyDeps {
  readonly informers: Informers;
  readonly host: Netns;
  readonly clock: Clock;
  readonly log: Logger;
  readonly nodeName: string;
  readonly nodeIP: string;
  readonly config: KubeProxyConfiguration;
  /** Whether the kernel has the nfacct match. */
  readonly nfacct: boolean;
}

/** Full syncs happen this often even when nothing changed (proxyutil.FullSyncPeriod). */
const FULL_SYNC_MS = 3_600_000;
/** So many syncs may follow each other at once. */
const BURST = 2;

const LABEL_ZONE = "topology.kubernetes.io/zone";

export interface KubeProxy {
  /** Registers its handlers; the informers are started by the caller. Works until the signal aborts. */
  start(signal: AbortSignal): void;
}

export function newKubeProxy(deps: KubeProxyDeps): KubeProxy {
  const { informers, host, clock, log } = deps;
  const services = informers.informer("services"), slices = informers.informer("endpointSlices"), nodes = informers.informer("nodes");
  const minMs = durationMs(deps.config.iptables?.minSyncPeriod ?? "") ?? 1000;
  const syncMs = durationMs(deps.config.iptables?.syncPeriod ?? "") ?? 30_000;
  let facts = nodeFacts(undefined);

  function nodeFacts(node: Node | undefined): NodeFacts {
    return {
      nodeName: deps.nodeName, nodeIPs: [deps.nodeIP],
      addresses: host.addresses().map(({ cidr }) => cidr.split("/")[0]!),
      podCIDRs: node?.spec.podCIDRs ?? [], zone: node?.metadata.labels?.[LABEL_ZONE] ?? "", nfacct: deps.nfacct,
    };
  }

  const proxier = new Proxier({
    iptables: host.iptables, config: proxierConfig(deps.config, facts, "IPv4"), log,
    deleteConntrack: (filter) => host.deleteConntrack(filter),
  });

  return {
    start(signal) {
      const runner = boundedFrequencyRunner(clock, minMs, syncMs, () => proxier.sync(), (error) => {
        log.error("Sync failed", { retryingTime: `${syncMs / 1000}s`, err: String(error) });
      });
      let ready = false;
      const changed = (): void => { if (ready) runner.request(); };
      const key = (object: { metadata: { namespace?: string | undefined; name: string } }): string => `${object.metadata.namespace ?? ""}/${object.metadata.name}`;
      services.addHandler({
        add: (service) => { proxier.setService(key(service), service); changed(); },
        update: (service) => { proxier.setService(key(service), service); changed(); },
        delete: (service) => { proxier.setService(key(service), undefined); changed(); },
      });
      slices.addHandler({
        add: (slice) => { proxier.setSlice(key(slice), slice); changed(); },
        update: (slice, old) => { proxier.setSlice(key(slice), slice, old); changed(); },
        delete: (slice) => { proxier.setSlice(key(slice), undefined, slice); changed(); },
      });
      const onNode = (node: Node): void => {
        if (node.metadata.name !== deps.nodeName) return;
        const next = nodeFacts(node);
        if (next.zone === facts.zone && next.podCIDRs.join() === facts.podCIDRs.join()) return;
        facts = next;
        proxier.setConfig(proxierConfig(deps.config, facts, "IPv4"));
        changed();
      };
      nodes.addHandler({ add: onNode, update: onNode });

      const cancels: Cancel[] = [];
      void Promise.all([services.synced, slices.synced]).then(() => {
        if (signal.aborted) return;
        if (proxierConfig(deps.config, facts, "IPv4").localhostNodePorts) host.setSysctl("net.ipv4.conf.all.route_localnet", 1);
        ready = true;
        runner.request();
        const every = (ms: number, run: () => void): void => {
          const tick = (): void => {
            run();
            arm();
          };
          let at = cancels.length;
          const arm = (): void => void (cancels[at] = clock.after(ms, tick));
          at = cancels.push(clock.after(ms, tick)) - 1;
        };
        // Someone flushed the tables: everything is written anew (iptables.Monitor).
        every(syncMs, () => {
          if (!proxier.canaryMissing()) return;
          proxier.forceFullSync();
          runner.request();
        });
        every(FULL_SYNC_MS, () => {
          proxier.forceFullSync();
          runner.request();
        });
      });
      signal.addEventListener("abort", () => {
        runner.stop();
        for (const cancel of cancels) cancel();
      }, { once: true });
    },
  };
}

/**
 * Runs `run` once per request, a burst of two at once, then at most every `minMs`; after a failure again in `retryMs`.
 * Requests that come before the next run are joined.
 */
export function boundedFrequencyRunner(
  clock: Clock, minMs: number, retryMs: number, run: () => void, onError: (error: unknown) => void,
): { request(): void; stop(): void } {
  let tokens = BURST, refilledMs = clock.nowMs();
  let pending: Cancel | undefined;
  let pendingAtMs = Infinity;
  let stopped = false;
  const schedule = (delayMs: number): void => {
    const atMs = clock.nowMs() + delayMs;
    if (stopped || (pending !== undefined && pendingAtMs <= atMs)) return;
    pending?.();
    pendingAtMs = atMs;
    pending = clock.after(delayMs, attempt);
  };
  const attempt = (): void => {
    pending = undefined;
    const now = clock.nowMs();
    tokens = Math.min(BURST, tokens + (minMs === 0 ? BURST : (now - refilledMs) / minMs));
    refilledMs = now;
    // A little less than one: the clock's fractions must not cost another round.
    if (tokens < 0.999) {
      schedule((1 - tokens) * minMs);
      return;
    }
    tokens = Math.max(0, tokens - 1);
    try {
      run();
    } catch (error) {
      onError(error);
      schedule(retryMs);
    }
  };
  return {
    request: () => schedule(0),
    stop() {
      stopped = true;
      pending?.();
    },
  };
}
