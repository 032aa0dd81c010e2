/**
 * Every namespace has the ConfigMaps that the token volume of its pods takes authorities from. Follows
 * pkg/controller/certificates/rootcacertpublisher/publisher.go; the second one is what the recorded server's distribution adds, whose
 * pods project it (`kube-apiserver/registry/pod.ts`).
 */
import type { ConfigMap } from "../../api/types.generated.ts";
import { deepEqual, keyOf } from "../../apimachinery/meta.ts";
import { isAlreadyExists, isNotFound } from "../../apimachinery/status.ts";
import { done, type Controller } from "../../client/controller.ts";
import type { ControllerContext } from "../controller-context.ts";
import type { ControllerSettings } from "../initializers.ts";

const DESCRIPTION =
  "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.";

interface Published {
  readonly annotations: Readonly<Record<string, string>>;
  readonly data: Readonly<Record<string, string>>;
}

export function newRootCACertPublisher({ client, informers }: ControllerContext, { rootCA = "" }: ControllerSettings): Controller {
  const published: Readonly<Record<string, Published>> = {
    "kube-root-ca.crt": { annotations: { "kubernetes.io/description": DESCRIPTION }, data: { "ca.crt": rootCA } },
    "openshift-service-ca.crt": { annotations: { "service.beta.openshift.io/inject-cabundle": "true" }, data: { "service-ca.crt": "" } },
  };
  const configMaps = informers.informer("configMaps");
  const namespaces = informers.informer("namespaces");
  return {
    name: "root-ca-certificate-publisher-controller",
    workers: 1,
    setup(queue) {
      const onConfigMap = ({ metadata }: ConfigMap): void => {
        if (published[metadata.name] !== undefined) queue.add(metadata.namespace!);
      };
      configMaps.addHandler({ update: onConfigMap, delete: onConfigMap });
      namespaces.addHandler({ add: (namespace) => queue.add(keyOf(namespace)), update: (namespace) => queue.add(keyOf(namespace)) });
    },
    async reconcile(namespace, signal) {
      if (namespaces.getByKey(namespace)?.status.phase !== "Active") return done;
      for (const name in published) {
        const { annotations, data } = published[name]!;
        const found = configMaps.get(namespace, name);
        try {
          if (found === undefined) await client.configMaps.create({ metadata: { name, namespace, annotations: { ...annotations } }, data: { ...data } }, signal);
          else if (!deepEqual(found.data, data) || Object.keys(annotations).some((key) => found.metadata.annotations?.[key] === undefined)) {
            const metadata = { ...found.metadata, annotations: { ...annotations, ...found.metadata.annotations } };
            await client.configMaps.update({ ...found, metadata, data: { ...data } }, signal);
          }
        } catch (e) {
          if (!isAlreadyExists(e) && !isNotFound(e)) throw e;
        }
      }
      return done;
    },
  };
}
