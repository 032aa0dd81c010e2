/**
 * Signing requests: kubelets' own are approved, what is approved is signed, what is old is cleaned up. Follows pkg/controller/certificates
 * (approver/sarapprove.go, signer/signer.go, cleaner/cleaner.go).
 */
import { isConflict, isNotFound } from "../../apimachinery/status.ts";
import { keyOf } from "../../apimachinery/meta.ts";
import { formatTime, parseTime } from "../../apimachinery/time.ts";
import { done, requeueAfter, type Controller } from "../../client/controller.ts";
import type { ControllerContext } from "../controller-context.ts";
import type { ControllerSettings } from "../initializers.ts";
import { hasCondition, KUBELET_CLIENT, kubeletClientFault, signerFault, SIGNERS, type Request } from "./requests.ts";
import type { Authority, SigningRequest } from "./x509.ts";

export interface CertificateOptions {
  /** `--cluster-signing-duration` (default a year). */
  clusterSigningDurationMs?: number;
}

const YEAR_MS = 365 * 24 * 3_600_000;
const BACKDATE_MS = 300_000;
const EXPIRATION_MIN_SECONDS = 600;
const HOUR_MS = 3_600_000;

/** The library is loaded with the first request. */
const load = (): Promise<typeof import("./x509.ts")> => import("./x509.ts");
const pemOf = ({ spec }: Request): string => atob(spec.request as unknown as string);

async function parse(request: Request): Promise<SigningRequest | string> {
  const { parseRequest, CertificateError } = await load();
  try {
    return parseRequest(pemOf(request));
  } catch (e) {
    if (e instanceof CertificateError) return e.message;
    throw e;
  }
}

/** Requests that need something done, by their key. */
function onRequests(context: ControllerContext, name: string, wanted: (request: Request) => boolean, handle: (request: Request, signal: AbortSignal) => Promise<void>): Controller {
  const requests = context.informers.informer("certificateSigningRequests");
  return {
    name,
    setup(queue) {
      const enqueue = (request: { metadata: { name: string } }): void => {
        if (wanted(request as Request)) queue.add(keyOf(request));
      };
      requests.addHandler({ add: enqueue, update: enqueue });
    },
    async reconcile(key, signal) {
      const request = requests.getByKey(key) as Request | undefined;
      if (request === undefined || !wanted(request)) return done;
      try {
        await handle(request, signal);
      } catch (e) {
        if (!isNotFound(e) && !isConflict(e)) throw e;
      }
      return done;
    },
  };
}

export function newApprovingController(context: ControllerContext): Controller {
  const { client, clock, transport } = context;

  async function mayApprove({ spec }: Request, subresource: string, signal: AbortSignal): Promise<boolean> {
    const review = {
      apiVersion: "authorization.k8s.io/v1", kind: "SubjectAccessReview",
      spec: { user: spec.username, groups: spec.groups, uid: spec.uid, extra: spec.extra, resourceAttributes: { group: "certificates.k8s.io", resource: "certificatesigningrequests", verb: "create", subresource, version: "*" } },
    };
    const answer = await transport({ method: "POST", path: "/apis/authorization.k8s.io/v1/subjectaccessreviews", headers: { "user-agent": "kube-controller-manager" }, body: review }, signal);
    return answer.status < 400 && (answer.body as { status?: { allowed?: boolean } }).status?.allowed === true;
  }

  const open = (request: Request): boolean => (request.status?.certificate ?? "") === "" && !hasCondition(request, "Approved") && !hasCondition(request, "Denied");
  return onRequests(context, "certificatesigningrequest-approving-controller", (request) => open(request) && request.spec.signerName === KUBELET_CLIENT, async (request, signal) => {
    const parsed = await parse(request);
    if (typeof parsed === "string" || kubeletClientFault(parsed, request.spec.usages ?? []) !== undefined) return;
    const own = request.spec.username === parsed.commonName;
    for (const [subresource, message, fits] of [
      ["selfnodeclient", "Auto approving self kubelet client certificate after SubjectAccessReview.", own],
      ["nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview.", true],
    ] as const) {
      if (!fits || !(await mayApprove(request, subresource, signal))) continue;
      const time = formatTime(clock.nowMs());
      const condition = { type: "Approved", status: "True", reason: "AutoApproved", message, lastUpdateTime: time, lastTransitionTime: time };
      await client.certificateSigningRequests.subresource("PUT", "", request.metadata.name, "approval", { ...request, status: { ...request.status, conditions: [...(request.status?.conditions ?? []), condition] } }, signal);
      return;
    }
  });
}

export function newSigningController(context: ControllerContext, { clusterSigningDurationMs = YEAR_MS }: ControllerSettings): Controller {
  const { client, clock, random } = context;
  let authority: Authority | undefined;

  const open = (request: Request): boolean =>
    SIGNERS.has(request.spec.signerName) && hasCondition(request, "Approved") && !hasCondition(request, "Denied") && !hasCondition(request, "Failed") && (request.status?.certificate ?? "") === "";
  return onRequests(context, "certificatesigningrequest-signing-controller", open, async (request, signal) => {
    const { signerName, usages = [], expirationSeconds } = request.spec;
    const parsed = await parse(request);
    const fault = typeof parsed === "string" ? `unable to parse csr ${JSON.stringify(request.metadata.name)}: ${parsed}` : signerFault(signerName, parsed, usages ?? []);
    const now = clock.nowMs();
    if (fault !== undefined || typeof parsed === "string") {
      // What only ever was this signer's to judge is left alone, so that the request can be put right.
      if (signerName === "kubernetes.io/legacy-unknown") return;
      const time = formatTime(now);
      const condition = { type: "Failed", status: "True", reason: "SignerValidationFailure", message: fault!, lastUpdateTime: time, lastTransitionTime: time };
      await client.certificateSigningRequests.updateStatus({ ...request, status: { ...request.status, conditions: [...(request.status?.conditions ?? []), condition] } }, signal);
      return;
    }
    authority ??= (await load()).createAuthority(random.fork("cluster-signing"), now - BACKDATE_MS);
    const durationMs = expirationSeconds === undefined ? clusterSigningDurationMs : Math.max(EXPIRATION_MIN_SECONDS * 1000, Math.min(clusterSigningDurationMs, expirationSeconds * 1000));
    // A short life is not made longer by the time before its start.
    const certificate = authority.sign(parsed, usages ?? [], now - BACKDATE_MS, now - BACKDATE_MS + Math.max(durationMs, BACKDATE_MS + EXPIRATION_MIN_SECONDS * 1000));
    await client.certificateSigningRequests.updateStatus({ ...request, status: { ...request.status, certificate: btoa(certificate) as never } }, signal);
  });
}

export function newCertificateCleaner(context: ControllerContext): Controller {
  const { client, clock, informers } = context;
  const requests = informers.informer("certificateSigningRequests");
  /** How long a request stays after its last change, by what became of it. */
  const LIMITS = [["Approved", HOUR_MS], ["Denied", HOUR_MS], ["Failed", HOUR_MS]] as const;

  function isOld(request: Request): boolean {
    const since = (time: string | undefined): number => clock.nowMs() - (parseTime(time ?? "") ?? clock.nowMs());
    const conditions = request.status?.conditions ?? [];
    if (conditions.length === 0) return since(request.metadata.creationTimestamp) > 24 * HOUR_MS;
    return LIMITS.some(([type, limit]) => conditions.some((c) => c.type === type && since(c.lastUpdateTime) > limit));
  }
  return {
    name: "certificatesigningrequest-cleaner-controller",
    workers: 1,
    setup: (queue) => queue.addAfter("", HOUR_MS),
    async reconcile(_key, signal) {
      for (const request of requests.list() as readonly Request[]) {
        if (!isOld(request)) continue;
        try {
          await client.certificateSigningRequests.delete("", request.metadata.name, {}, signal);
        } catch (e) {
          if (!isNotFound(e)) throw e;
        }
      }
      return requeueAfter(HOUR_MS);
    },
  };
}
