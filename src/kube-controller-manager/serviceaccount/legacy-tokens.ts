/**
 * Generated tokens of old that nobody has used for a year: first they are marked as invalid, a year later they go. Follows
 * pkg/controller/serviceaccount/legacy_serviceaccount_token_cleaner.go.
 */
import type { Secret } from "../../api/types.generated.ts";
import { isConflict, isNotFound } from "../../apimachinery/status.ts";
import { requeueAfter, type Controller } from "../../client/controller.ts";
import type { ControllerContext } from "../controller-context.ts";

const DAY_MS = 24 * 3_600_000;
/** `--legacy-service-account-token-clean-up-period`. */
const UNUSED_MS = 365 * DAY_MS;
const LAST_USED = "kubernetes.io/legacy-token-last-used";
const INVALID_SINCE = "kubernetes.io/legacy-token-invalid-since";

const dateOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
const parseDate = (text: string | undefined): number | undefined => (text !== undefined && /^\d{4}-\d\d-\d\d$/.test(text) ? Date.UTC(Number(text.slice(0, 4)), Number(text.slice(5, 7)) - 1, Number(text.slice(8))) : undefined);

export function newLegacyTokenCleaner({ client, clock, informers }: ControllerContext): Controller {
  const accounts = informers.informer("serviceAccounts");
  const secrets = informers.informer("secrets");
  const pods = informers.informer("pods");

  async function judge(secret: Secret, trackedMs: number, signal: AbortSignal): Promise<void> {
    const { namespace, name, labels = {}, creationTimestamp = "", resourceVersion } = secret.metadata;
    const now = clock.nowMs();
    const usedMs = Math.max(parseDate(labels[LAST_USED]) ?? 0, trackedMs, parseDate(creationTimestamp.slice(0, 10)) ?? 0);
    if (now - usedMs < UNUSED_MS) return;
    if (pods.list(namespace).some(({ spec }) => spec.volumes?.some((v) => v.secret?.secretName === name) === true)) return;
    const invalidMs = parseDate(labels[INVALID_SINCE]);
    if (invalidMs === undefined) await client.secrets.patch(namespace!, name, "merge", { metadata: { resourceVersion, labels: { [INVALID_SINCE]: dateOf(now) } } }, undefined, signal);
    else if (now - invalidMs >= UNUSED_MS) await client.secrets.delete(namespace!, name, { preconditions: { resourceVersion } }, signal);
  }

  return {
    name: "legacy-serviceaccount-token-cleaner-controller",
    workers: 1,
    setup: (queue) => queue.addAfter("", DAY_MS),
    async reconcile(_key, signal) {
      const tracking = await client.configMaps.get("kube-system", "kube-apiserver-legacy-service-account-token-tracking", signal).catch(() => undefined);
      const since = parseDate(tracking?.data?.["since"]);
      // Who used what is only known since the server writes it down.
      if (since !== undefined && clock.nowMs() - since >= UNUSED_MS) {
        for (const { metadata, secrets: refs } of accounts.list()) {
          for (const { name = "" } of refs ?? []) {
            const secret = secrets.get(metadata.namespace!, name);
            if (secret?.type !== "kubernetes.io/service-account-token" || secret.metadata.annotations?.["kubernetes.io/service-account.name"] !== metadata.name) continue;
            try {
              await judge(secret, since, signal);
            } catch (e) {
              if (!isNotFound(e) && !isConflict(e)) throw e;
            }
          }
        }
      }
      return requeueAfter(DAY_MS);
    },
  };
}
