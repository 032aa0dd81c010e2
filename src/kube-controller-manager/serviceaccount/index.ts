/** Every namespace has its ServiceAccount `default`. Follows pkg/controller/serviceaccount/serviceaccounts_controller.go. */
import { keyOf } from "../../apimachinery/meta.ts";
import { isAlreadyExists } from "../../apimachinery/status.ts";
import { done, type Controller } from "../../client/controller.ts";
import type { ControllerContext } from "../controller-context.ts";

const NAMES = ["default"];

export function newServiceAccountController({ client, informers }: ControllerContext): Controller {
  const accounts = informers.informer("serviceAccounts");
  const namespaces = informers.informer("namespaces");
  return {
    name: "serviceaccount-controller",
    workers: 1,
    setup(queue) {
      accounts.addHandler({
        delete(account) {
          if (NAMES.includes(account.metadata.name)) queue.add(account.metadata.namespace!);
        },
      });
      namespaces.addHandler({ add: (namespace) => queue.add(keyOf(namespace)), update: (namespace) => queue.add(keyOf(namespace)) });
    },
    async reconcile(namespace, signal) {
      if (namespaces.getByKey(namespace)?.status.phase !== "Active") return done;
      for (const name of NAMES) {
        if (accounts.get(namespace, name) !== undefined) continue;
        try {
          await client.serviceAccounts.create({ metadata: { name, namespace } }, signal);
        } catch (e) {
          if (!isAlreadyExists(e)) throw e;
        }
      }
      return done;
    },
  };
}
