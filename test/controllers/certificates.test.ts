/** Signing requests, judged by Node's own reader of certificates. */
import { execFileSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { X509Certificate } from "node:crypto";
import { expect, test } from "vitest";
import { signerFault } from "../../src/kube-controller-manager/certificates/requests.ts";
import { createAuthority, parseRequest } from "../../src/kube-controller-manager/certificates/x509.ts";
import { startCluster } from "../control-plane/cluster.ts";
import { testRandom } from "../control-plane/test-clock.ts";

/** A request by openssl. */
function csr(subject: string, alternatives?: string): string {
  const dir = mkdtempSync(join(tmpdir(), "csr-"));
  const more = alternatives === undefined ? [] : ["-addext", `subjectAltName=${alternatives}`];
  return execFileSync("openssl", ["req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", join(dir, "key"), "-subj", subject, ...more], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
}

test("a request is read, and its certificate is what was asked for", () => {
  const request = parseRequest(csr("/O=dev/O=ops/CN=jane", "DNS:a.example.com,IP:10.0.0.1"));
  expect([request.commonName, request.organizations, request.dnsNames, request.addresses.map((a) => [...a])]).toEqual(["jane", ["dev", "ops"], ["a.example.com"], [[10, 0, 0, 1]]]);
  const now = Date.UTC(2030, 0, 1);
  const authority = createAuthority(testRandom(1), now);
  const ca = new X509Certificate(authority.certificate);
  const made = new X509Certificate(authority.sign(request, ["digital signature", "key encipherment", "client auth"], now, now + 3_600_000));
  expect(ca.ca).toBe(true);
  expect(made.verify(ca.publicKey)).toBe(true);
  expect(made.checkIssued(ca)).toBe(true);
  expect([made.subject, made.subjectAltName, made.keyUsage, made.ca, new Date(made.validTo).getTime() - now]).toEqual(["O=dev\nO=ops\nCN=jane", "DNS:a.example.com, IP Address:10.0.0.1", ["1.3.6.1.5.5.7.3.2"], false, 3_600_000]);
  expect(createAuthority(testRandom(1), now).certificate).toBe(authority.certificate);
});

test("approved by hand, it is signed; what the signer does not take fails", async () => {
  const { clock, client, errors, stop } = await startCluster({ complete: true });
  const create = (name: string, usages: string[], subject = "/CN=jane"): Promise<unknown> =>
    client.certificateSigningRequests.create({ metadata: { name }, spec: { request: btoa(csr(subject)) as never, signerName: "kubernetes.io/kube-apiserver-client", usages, expirationSeconds: 7200 } });
  await create("jane", ["client auth"]);
  await create("bad", ["server auth"]);
  await clock.advance(200);
  expect((await client.certificateSigningRequests.get("", "jane")).status?.certificate).toBeUndefined();
  for (const name of ["jane", "bad"]) {
    const request = await client.certificateSigningRequests.get("", name);
    await client.certificateSigningRequests.subresource("PUT", "", name, "approval", { ...request, status: { conditions: [{ type: "Approved", status: "True", reason: "KubectlApprove", message: "This CSR was approved by kubectl certificate approve." }] } });
  }
  await clock.until(async () => (await client.certificateSigningRequests.get("", "jane")).status?.certificate !== undefined);
  const certificate = new X509Certificate(atob((await client.certificateSigningRequests.get("", "jane")).status!.certificate as unknown as string));
  expect([certificate.subject, (new Date(certificate.validTo).getTime() - new Date(certificate.validFrom).getTime()) / 1000]).toEqual(["CN=jane", 7200]);
  await clock.advance(500);
  expect((await client.certificateSigningRequests.get("", "bad")).status?.conditions?.find(({ type }) => type === "Failed")).toMatchObject({ reason: "SignerValidationFailure", message: "invalid usage for client certificate: server auth" });
  await clock.advance(3 * 3_600_000);
  expect((await client.certificateSigningRequests.list()).items).toEqual([]);
  stop();
  expect(errors).toEqual([]);
});

const node = { commonName: "system:node:n1", organizations: ["system:nodes"], dnsNames: [] as string[], addresses: [] as Uint8Array[], emails: [] as string[], uris: [] as string[], subject: new Uint8Array(), publicKey: new Uint8Array(), alternatives: undefined };
test.each([
  ["kubernetes.io/kube-apiserver-client-kubelet", node, ["digital signature", "client auth"], undefined],
  ["kubernetes.io/kube-apiserver-client-kubelet", { ...node, dnsNames: ["a"] }, ["digital signature", "client auth"], "DNS subjectAltNames are not allowed"],
  ["kubernetes.io/kube-apiserver-client-kubelet", { ...node, organizations: ["x"] }, ["digital signature", "client auth"], "organization does not match [system:nodes]"],
  ["kubernetes.io/kubelet-serving", node, ["digital signature", "server auth"], "DNS or IP subjectAltName is required"],
  ["kubernetes.io/kubelet-serving", { ...node, dnsNames: ["n1"] }, ["digital signature", "server auth", "key encipherment"], undefined],
  ["kubernetes.io/kube-apiserver-client", node, ["digital signature"], "missing required usage for client certificate: client auth"],
])("%s %#", (signer, request, usages, expected) => {
  expect(signerFault(signer, request, usages)).toBe(expected);
});
