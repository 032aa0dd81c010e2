/** What signers of Kubernetes accept. Pure. Follows pkg/apis/certificates/v1/helpers.go and pkg/controller/certificates/signer/signer.go. */
import type { CertificateSigningRequest } from "../../api/types.generated.ts";
import type { KubeObject } from "../../apimachinery/meta.ts";
import type { SigningRequest } from "./x509.ts";

export type Request = CertificateSigningRequest & KubeObject;

export const CLIENT = "kubernetes.io/kube-apiserver-client";
export const KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet";
export const KUBELET_SERVING = "kubernetes.io/kubelet-serving";
export const LEGACY = "kubernetes.io/legacy-unknown";
export const SIGNERS: ReadonlySet<string> = new Set([CLIENT, KUBELET_CLIENT, KUBELET_SERVING, LEGACY]);

export const hasCondition = ({ status }: Request, type: string): boolean => status?.conditions?.some((c) => c.type === type) === true;

const isUsages = (usages: readonly string[], required: readonly string[]): boolean => {
  const set = new Set(usages);
  // The key need not be one that enciphers.
  return [required, required.filter((usage) => usage !== "key encipherment")].some((list) => list.length === set.size && list.every((usage) => set.has(usage)));
};

function nodeIdentity({ commonName, organizations }: SigningRequest): string | undefined {
  if (organizations.length !== 1 || organizations[0] !== "system:nodes") return "organization does not match [system:nodes]";
  return commonName.startsWith("system:node:") ? undefined : "common name does not begin with 'system:node:'";
}

/** Follows ValidateKubeletClientCSR. */
export function kubeletClientFault(request: SigningRequest, usages: readonly string[]): string | undefined {
  if (request.dnsNames.length > 0) return "DNS subjectAltNames are not allowed";
  if (request.emails.length > 0) return "Email subjectAltNames are not allowed";
  if (request.addresses.length > 0) return "IP subjectAltNames are not allowed";
  if (request.uris.length > 0) return "URI subjectAltNames are not allowed";
  return nodeIdentity(request) ?? (isUsages(usages, ["key encipherment", "digital signature", "client auth"]) ? undefined : "usages did not match [client auth digital signature key encipherment]");
}

/** Follows ValidateKubeletServingCSR. */
export function kubeletServingFault(request: SigningRequest, usages: readonly string[]): string | undefined {
  const organization = nodeIdentity(request);
  if (organization?.startsWith("organization") === true) return organization;
  if (request.dnsNames.length + request.addresses.length === 0) return "DNS or IP subjectAltName is required";
  if (request.emails.length > 0) return "Email subjectAltNames are not allowed";
  if (request.uris.length > 0) return "URI subjectAltNames are not allowed";
  if (!isUsages(usages, ["key encipherment", "digital signature", "server auth"])) return "usages did not match [digital signature key encipherment server auth]";
  return organization;
}

/** Why the signer does not sign; undefined when it does. Follows validateAPIServerClientUsages and its siblings. */
export function signerFault(signer: string, request: SigningRequest, usages: readonly string[]): string | undefined {
  switch (signer) {
    case CLIENT: {
      let client = false;
      for (const usage of usages) {
        if (usage === "client auth") client = true;
        else if (usage !== "digital signature" && usage !== "key encipherment") return `invalid usage for client certificate: ${usage}`;
      }
      return client ? undefined : 'missing required usage for client certificate: client auth';
    }
    case KUBELET_CLIENT: return kubeletClientFault(request, usages);
    case KUBELET_SERVING: return kubeletServingFault(request, usages);
    default: return undefined;
  }
}
