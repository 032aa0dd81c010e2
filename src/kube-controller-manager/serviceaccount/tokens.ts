/**
 * Secrets of type kubernetes.io/service-account-token get their token, and go with their account. Follows
 * pkg/controller/serviceaccount/tokens_controller.go. The token itself is asked of the API server, which holds the key.
 */
import type { Secret, ServiceAccount } from "../../api/types.generated.ts";
import { keyOf, splitKey, type KubeObject } from "../../apimachinery/meta.ts";
import { isConflict, isNotFound } from "../../apimachinery/status.ts";
import { done, type Controller } from "../../client/controller.ts";
import type { ControllerContext } from "../controller-context.ts";
import type { ControllerSettings } from "../initializers.ts";

const TYPE = "kubernetes.io/service-account-token";
const NAME = "kubernetes.io/service-account.name";
const UID = "kubernetes.io/service-account.uid";
/** These tokens do not end; ten years are as long as the server gives. */
const SECONDS = 10 * 365 * 24 * 3600;

const encode = (text: string): string => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

export function newTokensController({ client, informers }: ControllerContext, { rootCA = "" }: ControllerSettings): Controller {
  const secrets = informers.informer("secrets");
  const accounts = informers.informer("serviceAccounts");

  const accountOf = ({ metadata }: Secret): string | undefined => metadata.annotations?.[NAME];

  async function account(secret: Secret): Promise<(ServiceAccount & KubeObject) | undefined> {
    const { namespace, annotations = {} } = secret.metadata;
    const name = accountOf(secret)!;
    let found = accounts.get(namespace!, name) as (ServiceAccount & KubeObject) | undefined;
    if (found === undefined) {
      try {
        found = (await client.serviceAccounts.get(namespace!, name)) as ServiceAccount & KubeObject;
      } catch (e) {
        if (!isNotFound(e)) throw e;
      }
    }
    const uid = annotations[UID] ?? "";
    return uid !== "" && found?.metadata.uid !== uid ? undefined : found;
  }

  return {
    name: "serviceaccount-token-controller",
    setup(queue) {
      const onSecret = (secret: Secret): void => {
        if (secret.type === TYPE) queue.add(keyOf(secret));
      };
      secrets.addHandler({ add: onSecret, update: onSecret });
      accounts.addHandler({
        delete({ metadata }) {
          for (const secret of secrets.list(metadata.namespace)) if (secret.type === TYPE && accountOf(secret) === metadata.name) queue.add(keyOf(secret));
        },
      });
    },
    async reconcile(key, signal) {
      const { namespace, name } = splitKey(key);
      const secret = secrets.get(namespace, name) as (Secret & KubeObject) | undefined;
      if (secret === undefined || secret.type !== TYPE || secret.metadata.deletionTimestamp !== undefined || accountOf(secret) === undefined) return done;
      try {
        const owner = await account(secret);
        if (owner === undefined) {
          await client.secrets.delete(namespace, name, { preconditions: { uid: secret.metadata.uid } }, signal);
          return done;
        }
        const data = (secret.data ?? {}) as Record<string, string>;
        const wanted: Record<string, string> = {};
        if (data["ca.crt"] !== encode(rootCA) && rootCA !== "") wanted["ca.crt"] = encode(rootCA);
        if ((data["namespace"] ?? "") === "") wanted["namespace"] = encode(namespace);
        if ((data["token"] ?? "") === "") {
          const request = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: { expirationSeconds: SECONDS, boundObjectRef: { apiVersion: "v1", kind: "Secret", name, uid: secret.metadata.uid } } };
          const answer = await client.serviceAccounts.subresource<{ status: { token: string } }>("POST", namespace, owner.metadata.name, "token", request, signal);
          wanted["token"] = encode(answer.status.token);
        }
        if (Object.keys(wanted).length === 0 && secret.metadata.annotations?.[UID] === owner.metadata.uid) return done;
        const metadata = { ...secret.metadata, annotations: { ...secret.metadata.annotations, [NAME]: owner.metadata.name, [UID]: owner.metadata.uid } };
        await client.secrets.update({ ...secret, metadata, data: { ...data, ...wanted } as never }, signal);
      } catch (e) {
        if (!isNotFound(e) && !isConflict(e)) throw e;
      }
      return done;
    },
  };
}
