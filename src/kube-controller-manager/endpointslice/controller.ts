/** The EndpointSlice controller of a complete cluster. Follows pkg/controller/endpointslice/endpointslice_controller.go. */
import type { Node, Pod, Service } from "../../api/types.generated.ts";
import { deepEqual, keyOf, splitKey, type KubeObject } from "../../apimachinery/meta.ts";
import { matches, selectorFromSet } from "../../apimachinery/selectors.ts";
import { isConflict, isNamespaceTerminating, isNotFound } from "../../apimachinery/status.ts";
import { done, type Controller } from "../../client/controller.ts";
import type { ControllerContext } from "../controller-context.ts";
import type { ControllerSettings } from "../initializers.ts";
import { applyHints, wantsTopology } from "./hints.ts";
import { MANAGED_BY, MANAGER, SERVICE_NAME } from "./plan.ts";
import { watchEndpoints } from "./pods.ts";
import { addressTypesOf, annotate, reconcileType, recycle, type Reconciled, type Slice } from "./reconciler.ts";
import { createSliceTracker } from "./tracker.ts";
import { createTriggerTimeTracker } from "./trigger-time.ts";

const BY_SERVICE = "service";
const ZONE = "topology.kubernetes.io/zone";

export interface EndpointSliceOptions {
  /** `--max-endpoints-per-slice` (default 100). */
  maxEndpointsPerSlice?: number;
}

export function newFullEndpointSliceController(context: ControllerContext, { maxEndpointsPerSlice = 100 }: ControllerSettings): Controller {
  const { client, informers } = context;
  const services = informers.informer("services");
  const pods = informers.informer("pods");
  const slices = informers.informer("endpointSlices");
  const nodes = informers.informer("nodes");
  const recorder = context.recorder("endpoint-slice-controller");
  const tracker = createSliceTracker();
  const triggers = createTriggerTimeTracker();
  const maker = { controller: MANAGER, endpointsMax: maxEndpointsPerSlice };
  /** Services that have hints by topology, and the last reason why others have none. */
  const hinted = new Map<string, string>();

  const about = (service: Service): KubeObject => ({ ...service, apiVersion: "v1", kind: "Service" });
  const serviceOf = ({ metadata: { namespace, labels } }: Slice): string | undefined => {
    const name = labels?.[SERVICE_NAME];
    return name !== undefined && labels?.[MANAGED_BY] === MANAGER ? `${namespace}/${name}` : undefined;
  };

  /** Says once that there are hints now, or why there are none. */
  function tell(key: string, service: Service, refusal: string | undefined, type: string): void {
    const state = `${type} ${refusal ?? "enabled"}`;
    const before = hinted.get(`${key} ${type}`);
    if (before === state) return;
    hinted.set(`${key} ${type}`, state);
    if (refusal === undefined) recorder.event(about(service), "Normal", "TopologyAwareHintsEnabled", `Topology Aware Hints has been enabled, addressType: ${type}`);
    else recorder.event(about(service), "Warning", "TopologyAwareHintsDisabled", `${refusal}, addressType: ${type}`);
  }

  async function sync(key: string, service: Service & KubeObject, signal: AbortSignal): Promise<void> {
    const { namespace } = splitKey(key);
    const selector = selectorFromSet(service.spec.selector!);
    const selected = pods.list(namespace).filter((pod) => matches(selector, pod.metadata.labels)) as (Pod & KubeObject)[];
    const existing = slices.byIndex(BY_SERVICE, key) as Slice[];
    const triggerTime = triggers.compute(key, service, selected);
    const types = addressTypesOf(service);
    const whole: Reconciled = { create: [], update: [], delete: existing.filter(({ addressType }) => !types.includes(addressType as "IPv4")), unchanged: [], skipped: [] };
    const live = nodes.list() as readonly Node[];
    for (const type of types) {
      const plan = reconcileType(service, selected, existing.filter(({ addressType }) => addressType === type), type, (name) => nodes.get("", name), maker);
      const refusal = applyHints(service, plan, live);
      if (wantsTopology(service)) tell(key, service, refusal, type);
      else if (hinted.delete(`${key} ${type}`)) recorder.event(about(service), "Normal", "TopologyAwareHintsDisabled", `Topology Aware Hints has been disabled, addressType: ${type}`);
      recycle(plan, (slice) => slice.metadata.ownerReferences?.some(({ uid }) => uid === service.metadata.uid) === true);
      whole.create.push(...plan.create);
      whole.update.push(...plan.update);
      whole.delete.push(...plan.delete);
      whole.skipped.push(...plan.skipped);
    }
    const cached = (uid: string): KubeObject | undefined => (slices.byIndex(BY_SERVICE, key) as Slice[]).find((slice) => slice.metadata.uid === uid);
    for (const slice of whole.create) {
      try {
        const made = (await client.endpointSlices.create(annotate(slice as never, triggerTime), signal)) as Slice;
        tracker.wrote(key, made, cached(made.metadata.uid));
      } catch (e) {
        if (isNamespaceTerminating(e)) return;
        throw new Error(`failed to create EndpointSlice for Service ${key}: ${e instanceof Error ? e.message : String(e)}`, { cause: e });
      }
    }
    for (const slice of whole.update) {
      const written = (await client.endpointSlices.update(annotate(slice as never, triggerTime), signal)) as Slice;
      tracker.wrote(key, written, cached(written.metadata.uid));
    }
    for (const slice of whole.delete) {
      try {
        await client.endpointSlices.delete(namespace, slice.metadata.name, {}, signal);
        if (cached(slice.metadata.uid) !== undefined) tracker.deleted(key, slice);
      } catch (e) {
        if (!isNotFound(e)) throw e;
      }
    }
    // Pods of nodes that are not known yet come with the node.
    if (whole.skipped.length > 0) throw new Error(whole.skipped.join(", "));
  }

  return {
    name: "endpointslice-controller",
    setup(queue) {
      slices.addIndex(BY_SERVICE, (slice) => {
        const key = serviceOf(slice as Slice);
        return key === undefined ? [] : [key];
      });
      const onPod = watchEndpoints(services, pods, queue);
      const onSlice = (slice: Slice, changed: boolean, gone = false): void => {
        const key = serviceOf(slice);
        if (key !== undefined && (tracker.seen(key, slice, gone) || changed)) queue.add(key);
      };
      slices.addHandler({
        add: (slice) => onSlice(slice as Slice, false),
        update: (slice, old) => onSlice(slice as Slice, slice.metadata.generation !== old.metadata.generation || !deepEqual(slice.metadata.labels, old.metadata.labels)),
        delete: (slice) => onSlice(slice as Slice, true, true),
      });
      /** Services whose hints follow the nodes, or all of them. */
      const onNodes = (all: boolean): void => {
        for (const service of services.list()) if (all || wantsTopology(service)) queue.add(keyOf(service));
      };
      const readiness = (node: Node): string | undefined => node.status.conditions?.find((c) => c.type === "Ready")?.status;
      nodes.addHandler({
        add: ({ metadata }) => {
          for (const pod of pods.byIndex("nodeName", metadata.name)) onPod(pod);
          onNodes(false);
        },
        update(node, old) {
          if (node.metadata.labels?.[ZONE] !== old.metadata.labels?.[ZONE]) onNodes(true);
          else if (readiness(node) !== readiness(old) || !deepEqual(node.status.allocatable, old.status.allocatable)) onNodes(false);
        },
        delete: () => onNodes(false),
      });
    },
    async reconcile(key, signal) {
      const { namespace, name } = splitKey(key);
      const service = services.get(namespace, name) as (Service & KubeObject) | undefined;
      if (service === undefined) {
        triggers.forget(key);
        tracker.forget(key);
        return done;
      }
      // Services without a selector have slices by somebody else's hand; those of one that goes go with it.
      if (service.spec.selector === undefined || service.spec.type === "ExternalName" || service.metadata.deletionTimestamp !== undefined) return done;
      if (tracker.isStale(key)) return done;
      try {
        await sync(key, service, signal);
      } catch (e) {
        if (!isConflict(e) && !signal.aborted) recorder.event(about(service), "Warning", "FailedToUpdateEndpointSlices", `Error updating Endpoint Slices for Service ${key}: ${e instanceof Error ? e.message : String(e)}`);
        throw e;
      }
      return done;
    },
  };
}
