/**
 * Keeps a Deployment and a Service for every Website. A finalizer lets it say goodbye: a ConfigMap remembers the websites that were. In
 * hours of maintenance a Website has no servers; the controller comes back when they begin and when they end.
 */
import { deepCopy, deepEqual, done, enqueueObject, enqueueOwner, isAlreadyExists, isNotFound, newControllerRef, requeueAfter, splitKey } from "kubewire/client";
import type { Controller, Deployment, Draft, KubeObject, Manager, Result, Service } from "kubewire/client";
import { deepCopyWebsite, newWebsiteLister, WEBSITES, websites, type Website, type WebsiteStatus } from "./generated/websites.ts";

const FINALIZER = "example.com/farewell";
const MEMORIES = "websites-that-were";

export function newWebsiteController(manager: Manager): Controller {
  const { client, clock, events } = manager;
  const sites = websites(client);
  const siteInformer = manager.informer(sites);
  const deployments = manager.informer("deployments");
  const services = manager.informer("services");
  const lister = newWebsiteLister(siteInformer);

  async function reconcile(key: string): Promise<Result> {
    const { namespace, name } = splitKey(key);
    const site = lister.websites(namespace).get(name);
    if (site === undefined) return done;
    if (site.metadata.deletionTimestamp !== undefined) return sayGoodbye(site);
    if (site.metadata.finalizers?.includes(FINALIZER) !== true) {
      const copy = deepCopyWebsite(site);
      copy.metadata.finalizers = [...(copy.metadata.finalizers ?? []), FINALIZER];
      await sites.update(copy);
      return done;
    }

    const { inMaintenance, nextChangeMs } = maintenanceOf(site, clock.nowMs());
    const wanted = deploymentOf(site, inMaintenance ? 0 : (site.spec.replicas ?? 2));
    const deployment = deployments.get(namespace, name);
    if (deployment === undefined) {
      await client.deployments.create(wanted);
      events.event(site, "Normal", "Created", `Created deployment ${name}`);
    } else if (!isSame(deployment, wanted)) {
      const copy = deepCopy(deployment);
      Object.assign(copy.spec, { replicas: wanted.spec!.replicas });
      Object.assign(copy.spec.template, wanted.spec!.template);
      await client.deployments.update(copy);
    }
    if (services.get(namespace, name) === undefined) await client.services.create(serviceOf(site));

    const readyReplicas = deployment?.status.readyReplicas ?? 0;
    const status: WebsiteStatus = {
      phase: inMaintenance ? "Maintenance" : deployment !== undefined && isSame(deployment, wanted) && readyReplicas >= wanted.spec!.replicas! ? "Ready" : "Pending",
      url: `http://${name}.${namespace}.svc.cluster.local/`, readyReplicas, observedGeneration: site.metadata.generation ?? 0,
    };
    if (!deepEqual(site.status, status)) await sites.updateStatus({ ...site, status });
    return nextChangeMs === undefined ? done : requeueAfter(nextChangeMs);
  }

  async function sayGoodbye(site: Website): Promise<Result> {
    if (site.metadata.finalizers?.includes(FINALIZER) !== true) return done;
    const namespace = site.metadata.namespace!;
    await remember(namespace, site.metadata.name, site.status?.url ?? "");
    const copy = deepCopyWebsite(site);
    copy.metadata.finalizers = copy.metadata.finalizers!.filter((finalizer) => finalizer !== FINALIZER);
    await sites.update(copy);
    return done;
  }

  async function remember(namespace: string, name: string, url: string): Promise<void> {
    try {
      await client.configMaps.patch(namespace, MEMORIES, "merge", { data: { [name]: url } });
    } catch (error) {
      if (!isNotFound(error)) throw error;
      try {
        await client.configMaps.create({ metadata: { name: MEMORIES, namespace }, data: { [name]: url } });
      } catch (other) {
        // Somebody was faster: again, with what there is now.
        if (isAlreadyExists(other)) return remember(namespace, name, url);
        throw other;
      }
    }
  }

  return {
    name: "website-controller",
    setup(queue) {
      siteInformer.addHandler(enqueueObject(queue));
      deployments.addHandler(enqueueOwner(queue, WEBSITES));
      services.addHandler(enqueueOwner(queue, WEBSITES));
    },
    reconcile,
  };
}

const labelsOf = (site: Website): Record<string, string> => ({ ...site.spec.labels, website: site.metadata.name });

const metadataOf = (site: KubeObject): Draft<KubeObject["metadata"]> => ({ name: site.metadata.name, namespace: site.metadata.namespace!, ownerReferences: [newControllerRef(site)] });

const deploymentOf = (site: Website, replicas: number): Draft<Deployment> => ({
  metadata: metadataOf(site),
  spec: {
    replicas,
    selector: { matchLabels: { website: site.metadata.name } },
    template: { metadata: { labels: labelsOf(site) }, spec: { containers: [{ name: "web", image: site.spec.image, ports: [{ containerPort: 80 }] }] } },
  },
});

const serviceOf = (site: Website): Draft<Service> => ({ metadata: metadataOf(site), spec: { selector: { website: site.metadata.name }, ports: [{ port: 80, targetPort: 80 }] } });

/** Whether the deployment is as it is wanted, in what this controller decides. */
const isSame = ({ spec }: Deployment, wanted: Draft<Deployment>): boolean =>
  spec.replicas === wanted.spec!.replicas && deepEqual(spec.template.metadata?.labels, wanted.spec!.template!.metadata!.labels)
  && spec.template.spec?.containers[0]?.image === wanted.spec!.template!.spec!.containers![0]!.image;

/** Whether it is now, and in how many milliseconds that changes. */
function maintenanceOf({ spec }: Website, nowMs: number): { inMaintenance: boolean; nextChangeMs: number | undefined } {
  let inMaintenance = false;
  let nextMs = Infinity;
  for (const { from, minutes } of spec.maintenance ?? []) {
    const start = Date.parse(from);
    const end = start + minutes * 60_000;
    if (nowMs >= start && nowMs < end) inMaintenance = true;
    for (const change of [start, end]) if (change > nowMs) nextMs = Math.min(nextMs, change);
  }
  return { inMaintenance, nextChangeMs: nextMs === Infinity ? undefined : nextMs - nowMs };
}
