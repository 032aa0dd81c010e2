/**
 * EndpointSlices for Endpoints that somebody keeps by hand, for a Service without a selector. Follows pkg/controller/endpointslicemirroring
 * (endpointslicemirroring_controller.go, reconciler.go, utils.go).
 */
import type { Endpoint, Endpoints, EndpointSlice } from "../../api/types.generated.ts";
import { keyOf, newControllerRef, splitKey, type KubeObject } from "../../apimachinery/meta.ts";
import { isNamespaceTerminating, isNotFound } from "../../apimachinery/status.ts";
import { done, type Controller } from "../../client/controller.ts";
import type { ControllerContext } from "../controller-context.ts";
import { MANAGED_BY, SERVICE_NAME } from "../endpointslice/plan.ts";
import { endpointKey, planGroup, recycle, type Plan, type Slice, type Wanted } from "../endpointslice/reconciler.ts";
import { createSliceTracker } from "../endpointslice/tracker.ts";

const MANAGER = "endpointslicemirroring-controller.k8s.io";
const SKIP = "endpointslice.kubernetes.io/skip-mirror";
const LEADER = "control-plane.alpha.kubernetes.io/leader";
const LAST_CHANGE = "endpoints.kubernetes.io/last-change-trigger-time";
const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";
/** `--mirroring-max-endpoints-per-subset`. */
const ADDRESSES_MAX = 1000;
const ENDPOINTS_MAX = 100;
const BY_SERVICE = "mirrored";

/** Whether these Endpoints are anybody's to mirror. Follows skipMirror. */
const isSkipped = ({ metadata: { labels = {}, annotations = {} } }: Endpoints): boolean => labels[SKIP] === "true" || annotations[LEADER] !== undefined;

/** Follows cloneAndRemoveKeys and newEndpointSlice. */
function newSlice(endpoints: Endpoints & KubeObject, addressType: string): Wanted {
  const { name, namespace, labels = {}, annotations = {} } = endpoints.metadata;
  const kept = Object.fromEntries(Object.entries(annotations).filter(([key]) => key !== LAST_CHANGE && key !== LAST_APPLIED));
  return {
    metadata: {
      generateName: `${name}-`, namespace: namespace!, labels: { ...labels, [SERVICE_NAME]: name, [MANAGED_BY]: MANAGER },
      ...(Object.keys(kept).length > 0 ? { annotations: kept } : {}), ownerReferences: [newControllerRef({ ...endpoints, apiVersion: "v1", kind: "Endpoints" })],
    },
    addressType, endpoints: [], ports: [],
  } as unknown as Wanted;
}

/** The slices that there should be. Pure. Follows reconciler.reconcile. */
export function planMirror(endpoints: Endpoints & KubeObject, existing: readonly Slice[]): Plan & { skipped: number } {
  const groups = new Map<string, { type: string; ports: EndpointSlice["ports"] & object; endpoints: Map<string, Endpoint> }>();
  let skipped = 0;
  for (const { addresses = [], notReadyAddresses = [], ports = [] } of endpoints.subsets ?? []) {
    const own = (ports.length > 0 ? ports : []).map(({ name = "", port, protocol = "TCP", appProtocol }) => ({ name, port, protocol, ...(appProtocol === undefined ? {} : { appProtocol }) }));
    let count = 0;
    for (const [list, ready] of [[addresses, true], [notReadyAddresses, false]] as const) {
      for (const { ip, hostname, nodeName, targetRef } of list) {
        if (count >= ADDRESSES_MAX) {
          skipped++;
          continue;
        }
        count++;
        const type = ip.includes(":") ? "IPv6" : "IPv4";
        const key = `${type} ${own.map((port) => JSON.stringify(port)).sort().join()}`;
        let group = groups.get(key);
        if (group === undefined) groups.set(key, (group = { type, ports: own, endpoints: new Map() }));
        const endpoint: Endpoint = {
          addresses: [ip], conditions: { ready },
          ...(hostname === undefined ? {} : { hostname }), ...(nodeName === undefined ? {} : { nodeName }), ...(targetRef === undefined ? {} : { targetRef: { ...targetRef } }),
        };
        group.endpoints.set(endpointKey(endpoint), endpoint);
      }
    }
  }
  const plan: Plan & { skipped: number } = { create: [], update: [], delete: [], skipped };
  const left = new Set(existing);
  for (const { type, ports, endpoints: wanted } of groups.values()) {
    const same = existing.filter((slice) => slice.addressType === type && samePorts(slice.ports ?? [], ports));
    for (const slice of same) left.delete(slice);
    const fresh = newSlice(endpoints, type);
    const part = planGroup(same, { ports, endpoints: wanted }, fresh.metadata.labels, () => newSlice(endpoints, type), ENDPOINTS_MAX);
    plan.create.push(...part.create);
    plan.update.push(...part.update);
    plan.delete.push(...part.delete);
  }
  plan.delete.push(...left);
  recycle(plan, (slice) => slice.metadata.ownerReferences?.some(({ uid }) => uid === endpoints.metadata.uid) === true);
  return plan;
}

function samePorts(a: readonly object[], b: readonly object[]): boolean {
  const text = (ports: readonly object[]): string => ports.map((port) => JSON.stringify(Object.entries(port).sort(([x], [y]) => (x < y ? -1 : 1)))).sort().join();
  return text(a) === text(b);
}

export function newEndpointSliceMirroringController(context: ControllerContext): Controller {
  const { client, informers } = context;
  const endpoints = informers.informer("endpoints");
  const services = informers.informer("services");
  const slices = informers.informer("endpointSlices");
  const recorder = context.recorder("endpoint-slice-mirroring-controller");
  const tracker = createSliceTracker();
  const keyFor = ({ metadata: { namespace, labels } }: EndpointSlice): string | undefined =>
    labels?.[MANAGED_BY] === MANAGER && labels[SERVICE_NAME] !== undefined ? `${namespace}/${labels[SERVICE_NAME]}` : undefined;

  async function removeAll(namespace: string, list: readonly Slice[], key: string, signal: AbortSignal): Promise<void> {
    for (const slice of list) {
      try {
        await client.endpointSlices.delete(namespace, slice.metadata.name, {}, signal);
        if (slices.get(namespace, slice.metadata.name) !== undefined) tracker.deleted(key, slice);
      } catch (e) {
        if (!isNotFound(e)) throw e;
      }
    }
  }

  return {
    name: "endpointslice-mirroring-controller",
    setup(queue) {
      slices.addIndex(BY_SERVICE, (slice) => {
        const key = keyFor(slice);
        return key === undefined ? [] : [key];
      });
      const add = (object: { metadata: { namespace?: string | undefined; name: string } }): void => queue.add(keyOf(object));
      endpoints.addHandler({ add, update: add, delete: add });
      services.addHandler({
        add, delete: add,
        update(service, old) {
          if ((service.spec.selector === undefined) !== (old.spec.selector === undefined)) add(service);
        },
      });
      const onSlice = (slice: EndpointSlice, changed: boolean, gone = false): void => {
        const key = keyFor(slice);
        if (key !== undefined && (tracker.seen(key, slice as Slice, gone) || changed)) queue.add(key);
      };
      slices.addHandler({
        add: (slice) => onSlice(slice, false),
        update: (slice, old) => onSlice(slice, slice.metadata.generation !== old.metadata.generation),
        delete: (slice) => onSlice(slice, true, true),
      });
    },
    async reconcile(key, signal) {
      const { namespace, name } = splitKey(key);
      const existing = slices.byIndex(BY_SERVICE, key) as Slice[];
      const source = endpoints.get(namespace, name) as (Endpoints & KubeObject) | undefined;
      const service = services.get(namespace, name);
      if (source === undefined || isSkipped(source) || service === undefined || service.spec.selector !== undefined) {
        await removeAll(namespace, existing, key, signal);
        return done;
      }
      if (tracker.isStale(key)) return done;
      const plan = planMirror(source, existing);
      if (plan.skipped > 0) recorder.event({ ...source, apiVersion: "v1", kind: "Endpoints" }, "Warning", "TooManyAddressesToMirror", `A max of ${ADDRESSES_MAX} addresses can be mirrored to EndpointSlices per Endpoints subset. ${plan.skipped} addresses were skipped`);
      const wrote = (slice: Slice): void => tracker.wrote(key, slice, slices.byIndex(BY_SERVICE, key).find(({ metadata }) => metadata.uid === slice.metadata.uid) as Slice | undefined);
      try {
        for (const slice of plan.create) wrote((await client.endpointSlices.create(slice as never, signal)) as Slice);
      } catch (e) {
        if (isNamespaceTerminating(e)) return done;
        throw e;
      }
      for (const slice of plan.update) wrote((await client.endpointSlices.update(slice as never, signal)) as Slice);
      await removeAll(namespace, plan.delete, key, signal);
      return done;
    },
  };
}
