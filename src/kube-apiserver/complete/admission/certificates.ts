/**
 * CertificateApproval, CertificateSigning and CertificateSubjectRestriction: who may approve and sign for whom, and what no signer of the
 * cluster's signs. Follows plugin/pkg/admission/certificates and pkg/certauthorization.
 */
import type { CertificateSigningRequest } from "../../../api/types.generated.ts";
import type { KubeObject } from "../../../apimachinery/meta.ts";
import { deepEqual } from "../../../apimachinery/meta.ts";
import { loaded } from "../../../time/loading.ts";
import type { AdmissionContext, AdmissionRequest } from "../../extension.ts";
import { decideAccess } from "../authorization.ts";
import { forbidden, isAbout, type AdmissionPlugin } from "./types.ts";

const GROUP = "certificates.k8s.io";
const RESOURCE = "certificatesigningrequests";
const CLIENT = "kubernetes.io/kube-apiserver-client";

type Csr = CertificateSigningRequest & KubeObject;

/** The signer itself, or all of its domain. Follows IsAuthorizedForSignerName. */
async function mayFor({ user }: AdmissionRequest, { storage }: AdmissionContext, verb: string, signerName: string): Promise<boolean> {
  if (user.groups.includes("system:masters")) return true;
  const [domain = ""] = signerName.split("/");
  for (const name of [signerName, `${domain}/*`]) {
    const { allowed } = await decideAccess(storage, { user, verb, path: "", namespace: "", apiGroup: GROUP, apiVersion: "*", resource: "signers", subresource: "", name, fieldSelector: "" });
    if (allowed) return true;
  }
  return false;
}

export const certificateApproval: AdmissionPlugin = {
  name: "CertificateApproval",
  resources: [RESOURCE],
  async validate(request, context) {
    if (request.operation !== "UPDATE" || !isAbout(request, GROUP, RESOURCE, "approval")) return;
    const { signerName } = (request.old as Csr).spec;
    if (!(await mayFor(request, context, "approve", signerName))) throw forbidden(request, `user not permitted to approve requests with signerName ${JSON.stringify(signerName)}`);
  },
};

export const certificateSigning: AdmissionPlugin = {
  name: "CertificateSigning",
  resources: [RESOURCE],
  async validate(request, context) {
    if (request.operation !== "UPDATE" || !isAbout(request, GROUP, RESOURCE, "status")) return;
    const [csr, old] = [request.object as Csr, request.old as Csr];
    const failed = ({ status }: Csr): unknown => status?.conditions?.filter(({ type }) => type === "Failed") ?? [];
    // Whoever neither signs nor fails changes nothing that matters here.
    if ((csr.status?.certificate ?? "") === (old.status?.certificate ?? "") && deepEqual(failed(csr), failed(old))) return;
    const { signerName } = old.spec;
    if (!(await mayFor(request, context, "sign", signerName))) throw forbidden(request, `user not permitted to sign requests with signerName ${JSON.stringify(signerName)}`);
  },
};

export const certificateSubjectRestriction: AdmissionPlugin = {
  name: "CertificateSubjectRestriction",
  resources: [RESOURCE],
  async validate(request) {
    if (request.operation !== "CREATE" || !isAbout(request, GROUP, RESOURCE)) return;
    const { signerName, request: encoded } = (request.object as Csr).spec;
    if (signerName !== CLIENT) return;
    const { parseRequest } = await loaded(import("../../../kube-controller-manager/certificates/x509.ts"));
    let organizations: readonly string[];
    try {
      ({ organizations } = parseRequest(atob(encoded)));
    } catch (e) {
      throw forbidden(request, `failed to parse CSR: ${e instanceof Error ? e.message : String(e)}`);
    }
    if (organizations.includes("system:masters")) throw forbidden(request, `use of ${CLIENT} signer with system:masters group is not allowed`);
  },
};
