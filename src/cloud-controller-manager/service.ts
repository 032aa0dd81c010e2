/** The load balancers of Services. Follows k8s.io/cloud-provider/controllers/service/controller.go. */
import type { Node, Service } from "../api/types.generated.ts";
import { deepEqual, keyOf, splitKey, type KubeObject } from "../apimachinery/meta.ts";
import { isNotFound } from "../apimachinery/status.ts";
import { done, type Controller } from "../client/controller.ts";
import type { ControllerContext } from "../kube-controller-manager/controller-context.ts";
import type { LoadBalancers } from "./cloud.ts";

const FINALIZER = "service.kubernetes.io/load-balancer-cleanup";
const EXCLUDE = "node.kubernetes.io/exclude-from-external-load-balancers";
const DOOMED = "ToBeDeletedByClusterAutoscaler";

type Live = Service & KubeObject;

/** One of a class is somebody else's. */
const wants = ({ spec }: Service): boolean => spec.type === "LoadBalancer" && spec.loadBalancerClass === undefined;
const hasFinalizer = ({ metadata }: Service): boolean => metadata.finalizers?.includes(FINALIZER) === true;
const needsCleanup = (service: Service): boolean => hasFinalizer(service) && (service.metadata.deletionTimestamp !== undefined || !wants(service));

/** Whether traffic may come by the node. Follows the stable predicates. */
const isBehind = ({ metadata, spec }: Node): boolean =>
  metadata.labels?.[EXCLUDE] === undefined && metadata.deletionTimestamp === undefined && spec.taints?.some(({ key }) => key === DOOMED) !== true;

export function newServiceController(context: ControllerContext, balancers: LoadBalancers): Controller {
  const { client, informers } = context;
  const services = informers.informer("services");
  const nodes = informers.informer("nodes");
  const recorder = context.recorder("service-controller");
  /** What each balancer was made of. */
  const made = new Map<string, { readonly spec: unknown; readonly nodes: string }>();

  const event = (service: Service, type: "Normal" | "Warning", reason: string, message: string): void => recorder.event({ ...service, apiVersion: "v1", kind: "Service" }, type, reason, message);
  const behind = (): Node[] => nodes.list().filter(isBehind);
  const names = (list: readonly Node[]): string => list.map(({ metadata }) => metadata.name).sort().join();

  async function setFinalizer(service: Live, on: boolean, signal: AbortSignal): Promise<void> {
    if (hasFinalizer(service) === on) return;
    const others = (service.metadata.finalizers ?? []).filter((f) => f !== FINALIZER);
    const finalizers = on ? [...others, FINALIZER] : others;
    await client.services.patch(service.metadata.namespace!, service.metadata.name, "merge", { metadata: { resourceVersion: service.metadata.resourceVersion, finalizers: finalizers.length > 0 ? finalizers : null } }, undefined, signal);
  }

  async function setStatus({ metadata, status }: Service, ingress: readonly unknown[], signal: AbortSignal): Promise<void> {
    if (deepEqual(status?.loadBalancer?.ingress ?? [], ingress)) return;
    await client.services.patch(metadata.namespace!, metadata.name, "merge", { status: { loadBalancer: ingress.length > 0 ? { ingress } : { ingress: null } } }, "status", signal);
  }

  async function remove(service: Live, signal: AbortSignal): Promise<void> {
    if ((await balancers.get(service)) !== undefined) {
      event(service, "Normal", "DeletingLoadBalancer", "Deleting load balancer");
      await balancers.delete(service);
    }
    made.delete(keyOf(service));
    await setStatus(service, [], signal);
    const live = (await client.services.get(service.metadata.namespace!, service.metadata.name, signal)) as Live;
    await setFinalizer(live, false, signal);
    event(service, "Normal", "DeletedLoadBalancer", "Deleted load balancer");
  }

  async function ensure(service: Live, signal: AbortSignal): Promise<void> {
    const key = keyOf(service);
    const hosts = behind();
    const known = made.get(key);
    const { healthCheckNodePort: _healthCheckNodePort, ...spec } = service.spec;
    if (known !== undefined && deepEqual(known.spec, spec)) {
      if (known.nodes === names(hosts)) return;
      await balancers.update(service, hosts);
      made.set(key, { spec, nodes: names(hosts) });
      if (hosts.length > 0) event(service, "Normal", "UpdatedLoadBalancer", "Updated load balancer with new hosts");
      else event(service, "Warning", "UnAvailableLoadBalancer", "There are no available nodes for LoadBalancer");
      return;
    }
    event(service, "Normal", "EnsuringLoadBalancer", "Ensuring load balancer");
    await setFinalizer(service, true, signal);
    if (hosts.length === 0) event(service, "Warning", "UnAvailableLoadBalancer", "There are no available nodes for LoadBalancer");
    const { ingress } = await balancers.ensure(service, hosts);
    await setStatus(service, ingress, signal);
    made.set(key, { spec, nodes: names(hosts) });
    event(service, "Normal", "EnsuredLoadBalancer", "Ensured load balancer");
  }

  return {
    name: "service-lb-controller",
    workers: 1,
    setup(queue) {
      const add = (service: Service): void => {
        if (wants(service) || needsCleanup(service)) queue.add(keyOf(service));
      };
      services.addHandler({
        add,
        update(service, old) {
          if (old.spec.type !== service.spec.type && (wants(old) || wants(service))) event(service, "Normal", "Type", `${old.spec.type} -> ${service.spec.type}`);
          add(service);
        },
      });
      const all = (): void => {
        for (const service of services.list()) if (wants(service)) queue.add(keyOf(service));
      };
      nodes.addHandler({
        add: all, delete: all,
        update(node, old) {
          if (isBehind(node) !== isBehind(old)) all();
        },
      });
    },
    async reconcile(key, signal) {
      const { namespace, name } = splitKey(key);
      const service = services.get(namespace, name) as Live | undefined;
      if (service === undefined) {
        made.delete(key);
        return done;
      }
      try {
        if (needsCleanup(service)) await remove(service, signal);
        else if (wants(service) && service.metadata.deletionTimestamp === undefined) await ensure(service, signal);
      } catch (e) {
        if (isNotFound(e)) return done;
        event(service, "Warning", "SyncLoadBalancerFailed", `Error syncing load balancer: ${e instanceof Error ? e.message : String(e)}`);
        throw e;
      }
      return done;
    },
  };
}
