/**
 * ServiceAccount: every pod runs as one, has its token mounted and may pull with its secrets. Follows
 * plugin/pkg/admission/serviceaccount/admission.go; the sources of the token volume are those that the recorded server writes.
 */
import type { Container, Pod, ServiceAccount } from "../../../api/types.generated.ts";
import type { KubeObject } from "../../../apimachinery/meta.ts";
import { mountToken } from "../../registry/pod.ts";
import type { AdmissionContext, AdmissionRequest } from "../../extension.ts";
import { forbidden, type AdmissionPlugin } from "./types.ts";

const MIRROR = "kubernetes.io/config.mirror";
const ENFORCE = "kubernetes.io/enforce-mountable-secrets";
const DEFAULT = "default";
/** A new namespace's default account may take a moment. */
const ATTEMPTS = 10;

type Account = ServiceAccount & KubeObject;

async function accountOf(request: AdmissionRequest, context: AdmissionContext, name: string): Promise<Account> {
  const { namespace } = request;
  const attempts = name === DEFAULT ? ATTEMPTS : 1;
  for (let attempt = 0; attempt < attempts; attempt++) {
    if (attempt > 0) await context.clock.sleep(100 + context.random.below(100));
    const found = await context.find("serviceaccounts", namespace, name);
    if (found !== undefined) return found as Account;
  }
  throw forbidden(request, `error looking up service account ${namespace}/${name}: serviceaccount ${JSON.stringify(name)} not found`);
}

const isMirror = ({ metadata }: Pod): boolean => metadata.annotations?.[MIRROR] !== undefined;

const containersOf = ({ spec }: Pod): [kind: string, container: Container][] => [
  ...(spec.initContainers ?? []).map((c): [string, Container] => ["init container", c]),
  ...(spec.containers ?? []).map((c): [string, Container] => ["container", c]),
  ...((spec.ephemeralContainers ?? []) as unknown as Container[]).map((c): [string, Container] => ["ephemeral container", c]),
];

/** A static pod's mirror refers to nothing that its kubelet could not have read by itself. */
function validateMirror(request: AdmissionRequest, pod: Pod): void {
  const { spec } = pod;
  if ((spec.serviceAccountName ?? "") !== "") throw forbidden(request, "a mirror pod may not reference service accounts");
  const volumes = spec.volumes ?? [];
  const secrets = (spec.imagePullSecrets ?? []).length > 0 || volumes.some((v) => v.secret !== undefined || v.projected?.sources?.some((s) => s.secret !== undefined) === true) ||
    containersOf(pod).some(([, c]) => c.envFrom?.some((e) => e.secretRef !== undefined) === true || c.env?.some((e) => e.valueFrom?.secretKeyRef !== undefined) === true);
  if (secrets) throw forbidden(request, "a mirror pod may not reference secrets");
  if (volumes.some((v) => v.projected?.sources?.some((s) => s.serviceAccountToken !== undefined) === true)) throw forbidden(request, "a mirror pod may not use ServiceAccountToken volume projections");
}

/** Only the secrets that the account lists. Follows limitSecretReferences. */
function limitSecrets(request: AdmissionRequest, account: Account, pod: Pod): void {
  const mountable = new Set((account.secrets ?? []).map(({ name }) => name));
  const own = account.metadata.name;
  for (const { secret } of pod.spec.volumes ?? [])
    if (secret !== undefined && !mountable.has(secret.secretName))
      throw forbidden(request, `volume with secret.secretName=${JSON.stringify(secret.secretName)} is not allowed because service account ${own} does not reference that secret`);
  for (const [kind, { name, env, envFrom }] of containersOf(pod)) {
    for (const variable of env ?? []) {
      const secret = variable.valueFrom?.secretKeyRef?.name;
      if (secret !== undefined && !mountable.has(secret))
        throw forbidden(request, `${kind} ${name} with envVar ${variable.name} referencing secret.secretName=${JSON.stringify(secret)} is not allowed because service account ${own} does not reference that secret`);
    }
    for (const { secretRef } of envFrom ?? [])
      if (secretRef !== undefined && !mountable.has(secretRef.name))
        throw forbidden(request, `${kind} ${name} with envFrom referencing secret.secretName=${JSON.stringify(secretRef.name)} is not allowed because service account ${own} does not reference that secret`);
  }
  const pullable = new Set((account.imagePullSecrets ?? []).map(({ name }) => name));
  (pod.spec.imagePullSecrets ?? []).forEach(({ name }, i) => {
    if (!pullable.has(name)) throw forbidden(request, `imagePullSecrets[${i}].name=${JSON.stringify(name)} is not allowed because service account ${own} does not reference that imagePullSecret`);
  });
}

function concerns({ descriptor, subresource, operation }: AdmissionRequest): boolean {
  if (descriptor.name.resource !== "pods" || descriptor.name.group !== "") return false;
  return operation === "CREATE" ? subresource === "" : operation === "UPDATE" && subresource === "ephemeralcontainers";
}

export const serviceAccount: AdmissionPlugin = {
  name: "ServiceAccount",
  resources: ["pods"],
  async admit(request, context) {
    if (!concerns(request) || request.operation !== "CREATE") return;
    const pod = request.object as unknown as Pod & KubeObject;
    if (isMirror(pod)) return validateMirror(request, pod);
    const { spec } = pod;
    if ((spec.serviceAccountName ?? "") === "") spec.serviceAccountName = DEFAULT;
    spec.serviceAccount = spec.serviceAccountName!;
    const account = await accountOf(request, context, spec.serviceAccountName!);
    mountToken(pod, account, context);
    if ((spec.imagePullSecrets ?? []).length === 0 && (account.imagePullSecrets ?? []).length > 0) spec.imagePullSecrets = account.imagePullSecrets!.map((ref) => ({ ...ref }));
  },
  async validate(request, context) {
    if (!concerns(request)) return;
    const pod = request.object as unknown as Pod & KubeObject;
    if (isMirror(pod)) {
      if (request.operation === "CREATE") validateMirror(request, pod);
      return;
    }
    const name = pod.spec.serviceAccountName ?? "";
    if (name === "") throw forbidden(request, `no service account specified for pod ${request.namespace}/${pod.metadata.name}`);
    const account = await accountOf(request, context, name);
    if (account.metadata.annotations?.[ENFORCE] === "true") limitSecrets(request, account, pod);
  },
};
