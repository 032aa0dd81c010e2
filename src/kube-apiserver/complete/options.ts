/**
 * What kube-apiserver's flags make of the API server. Follows k8s.io/apiserver/pkg/server/options (the Validate
 * and ApplyTo of each group of options) and pkg/kubeapiserver/options.
 */
import type { SigningKeySource } from "../signing-key.ts";
import { createAccess } from "./access.ts";
import { parseTokenFile } from "./authentication.ts";
import { allowAll, byRoles } from "./authorization.ts";
import type { Authorizer } from "./authorization.ts";
import { apiServerFlags, flagsOf, parseBool } from "./flags.ts";
import type { FlagValue } from "./flags.ts";
import type { ServingOptions } from "../server.ts";
import type { HttpsOptions } from "../../platform.ts";
import type { UserInfo } from "../../client/transport.ts";
import { newRandom } from "../../time/random.ts";

export interface ApiServerSetup {
  readonly serving: ServingOptions;
  readonly https: Omit<HttpsOptions, "port" | "host" | "handle">;
  /** 0: none. */
  readonly requestTimeoutMs: number;
  /** What the flags ask for and do not get in full, a line each. */
  readonly warnings: readonly string[];
}

export interface SetupHost {
  /** Rejects with an error whose `code` is `ENOENT` … */
  readFile(path: string): Promise<Uint8Array>;
  signingKey?(): SigningKeySource;
}

/** All admission plugins of v1.32, and those that are built here. */
const PLUGINS = new Set(["AlwaysAdmit", "AlwaysDeny", "AlwaysPullImages", "CertificateApproval", "CertificateSigning", "CertificateSubjectRestriction", "ClusterTrustBundleAttest", "DefaultIngressClass",
  "DefaultStorageClass", "DefaultTolerationSeconds", "DenyServiceExternalIPs", "EventRateLimit", "ExtendedResourceToleration", "ImagePolicyWebhook", "LimitPodHardAntiAffinityTopology", "LimitRanger",
  "MutatingAdmissionPolicy", "MutatingAdmissionWebhook", "NamespaceAutoProvision", "NamespaceExists", "NamespaceLifecycle", "NodeRestriction", "OwnerReferencesPermissionEnforcement",
  "PersistentVolumeClaimResize", "PodNodeSelector", "PodSecurity", "PodTolerationRestriction", "Priority", "ResourceQuota", "RuntimeClass", "ServiceAccount", "StorageObjectInUseProtection",
  "TaintNodesByCondition", "ValidatingAdmissionPolicy", "ValidatingAdmissionWebhook"]);
const BUILT_PLUGINS = new Set(["CertificateApproval", "CertificateSigning", "CertificateSubjectRestriction", "DefaultIngressClass", "DefaultStorageClass", "DefaultTolerationSeconds", "LimitRanger", "MutatingAdmissionWebhook", "NamespaceLifecycle",
  "NodeRestriction", "PersistentVolumeClaimResize", "PodSecurity",
  "Priority", "ResourceQuota", "RuntimeClass", "ServiceAccount", "StorageObjectInUseProtection", "TaintNodesByCondition", "ValidatingAdmissionPolicy", "ValidatingAdmissionWebhook"]);
const MODES = ["AlwaysAllow", "AlwaysDeny", "ABAC", "Webhook", "RBAC", "Node"];

/** Throws what kube-apiserver says. `administrator`: the token of a member of system:masters beside those of the flags. */
export async function setUpApiServer(flags: ReadonlyMap<string, FlagValue>, host: SetupHost, administrator: string, seed: number): Promise<ApiServerSetup> {
  const text = (name: string): string => (flags.get(name) as string | undefined) ?? "";
  const list = (name: string): readonly string[] => (flags.get(name) as readonly string[] | undefined) ?? [];
  const whole = (name: string, otherwise: number): number => (flags.get(name) as number | undefined) ?? otherwise;
  const truth = (name: string, otherwise: boolean): boolean => (flags.get(name) as boolean | undefined) ?? otherwise;
  const read = async (path: string, what = ""): Promise<string> => {
    try {
      return new TextDecoder().decode(await host.readFile(path));
    } catch (e) {
      throw new Error(`${what}open ${path}: ${(e as { code?: string }).code === "ENOENT" ? "no such file or directory" : String(e)}`);
    }
  };
  const problems: string[] = [];
  const warnings: string[] = [];

  if (flags.has("secure-port") && (whole("secure-port", 0) < 1 || whole("secure-port", 0) > 65535)) problems.push(`--secure-port ${whole("secure-port", 0)} must be between 1 and 65535, inclusive. It cannot be turned off with 0`);
  for (const name of ["max-requests-inflight", "max-mutating-requests-inflight", "request-timeout", "min-request-timeout"]) {
    if (whole(name, 0) < 0) problems.push(`--${name} can not be negative value`);
  }
  const minVersion = MIN_VERSIONS[text("tls-min-version")];
  if (flags.has("tls-min-version") && minVersion === undefined) problems.push(`unknown tls version ${JSON.stringify(text("tls-min-version"))}`);
  if ((text("tls-cert-file") === "") !== (text("tls-private-key-file") === "")) problems.push("--tls-cert-file and --tls-private-key-file must be given together");
  checkPlugins(list("enable-admission-plugins"), list("disable-admission-plugins"), problems, warnings);
  checkGates(flags.get("feature-gates") as ReadonlyMap<string, string> | undefined);
  checkRuntimeConfig(flags.get("runtime-config") as ReadonlyMap<string, string> | undefined, warnings);
  const authorizer = authorizerOf(flags.has("authorization-mode") ? list("authorization-mode") : undefined, problems);
  const [cidr = "", ...moreRanges] = text("service-cluster-ip-range").split(",");
  if (cidr !== "" && !isServiceRange(cidr)) problems.push(`--service-cluster-ip-range: ${JSON.stringify(cidr)}: an IPv4 range of at least 16 addresses in CIDR notation`);
  if (moreRanges.length > 0) problems.push("--service-cluster-ip-range: a second range is not built here yet");
  const [, first, last] = /^(\d+)-(\d+)$/.exec(text("service-node-port-range")) ?? [];
  const nodePorts = { first: Number(first), last: Number(last) };
  if (flags.has("service-node-port-range") && !(nodePorts.first >= 1 && nodePorts.first <= nodePorts.last && nodePorts.last <= 65535)) problems.push(`--service-node-port-range: ${JSON.stringify(text("service-node-port-range"))}: two ports with a hyphen between them`);
  if (problems.length === 1) throw new Error(problems[0]);
  if (problems.length > 1) throw new Error(`[${problems.join(", ")}]`);

  const tokens = new Map<string, UserInfo>(text("token-auth-file") === "" ? [] : parseTokenFile(await read(text("token-auth-file"))));
  if (administrator !== "") tokens.set(administrator, { name: "kubernetes-admin", groups: ["system:masters"] });
  const clientCA = text("client-ca-file") === "" ? undefined : await read(text("client-ca-file"), "unable to load client CA provider: ");
  if (clientCA !== undefined && !clientCA.includes("-----BEGIN CERTIFICATE-----")) throw new Error("unable to load client CA provider: data does not contain any valid RSA or ECDSA certificates");
  const certificate = text("tls-cert-file") === "" ? undefined : {
    cert: await read(text("tls-cert-file"), "unable to load server certificate: "), key: await read(text("tls-private-key-file"), "unable to load server certificate: "),
  };
  const fairness = truth("enable-priority-and-fairness", true);
  if (fairness && (flags.has("max-requests-inflight") || flags.has("max-mutating-requests-inflight"))) {
    warnings.push("requests in flight are limited with --enable-priority-and-fairness=false only: priority levels do not queue yet");
  }
  const enter = createAccess({
    tokens, anonymous: truth("anonymous-auth", true), fairness, random: newRandom(seed).fork("audit-ids"), authorizer,
    inFlight: { reads: whole("max-requests-inflight", 400), writes: whole("max-mutating-requests-inflight", 200) },
  });
  const advertise = text("advertise-address");
  // A seed decides the tokens, too.
  const key = flags.has("seed") ? undefined : host.signingKey?.();
  return {
    serving: {
      enter, ...(clientCA === undefined ? {} : { clientCA }), ...(cidr === "" ? {} : { serviceCidr: cidr }), ...(first === undefined ? {} : { nodePorts }),
      ...(advertise === "" ? {} : { advertiseAddress: advertise }), ...(key === undefined ? {} : { serviceAccountKey: key }),
    },
    https: {
      ...(certificate === undefined ? {} : { certificate }), ...(clientCA === undefined ? {} : { clientCA }), ...(minVersion === undefined ? {} : { minVersion }),
      http2: !truth("disable-http2-serving", false), ...(flags.has("http2-max-streams-per-connection") ? { maxStreams: whole("http2-max-streams-per-connection", 1000) } : {}),
    },
    requestTimeoutMs: whole("request-timeout", 60_000),
    warnings,
  };
}

/** Flags by which clients are told apart. */
const OF_CLIENTS = ["anonymous-auth", "authorization-mode", "client-ca-file", "token-auth-file"];

/** The same for a cluster that nobody has begun to serve; where no flag is about clients, all who reach it are the administrator. */
export async function servingOf(given: Readonly<Record<string, unknown>>, readFile: ((path: string) => Promise<Uint8Array>) | undefined, seed: number): Promise<ServingOptions> {
  const flags = flagsOf(given, apiServerFlags());
  const noFiles = (): Promise<never> => Promise.reject(new Error("this runtime has no files"));
  const { enter, ...serving } = (await setUpApiServer(flags, { readFile: readFile ?? noFiles }, "", seed)).serving;
  return OF_CLIENTS.some((name) => flags.has(name)) ? { ...serving, enter: enter! } : serving;
}

const MIN_VERSIONS: Readonly<Record<string, "TLSv1.2" | "TLSv1.3">> = { "": "TLSv1.2", VersionTLS10: "TLSv1.2", VersionTLS11: "TLSv1.2", VersionTLS12: "TLSv1.2", VersionTLS13: "TLSv1.3" };

/** One who says yes is enough; upstream's order makes no difference to that. */
function authorizerOf(modes: readonly string[] | undefined, problems: string[]): Authorizer {
  if (modes === undefined) return byRoles;
  if (modes.length === 0) problems.push("at least one authorization-mode must be passed");
  for (const [i, mode] of modes.entries()) {
    if (!MODES.includes(mode)) problems.push(`authorization-mode ${JSON.stringify(mode)} is not a valid mode`);
    else if (modes.indexOf(mode) !== i) problems.push(`authorization-mode ${JSON.stringify(modes)} has mode specified more than once`);
    if (mode === "ABAC" || mode === "Webhook") problems.push(`--authorization-mode=${mode} is not built here yet`);
  }
  if (modes.includes("Node") && !modes.includes("RBAC")) problems.push("--authorization-mode: Node without RBAC is not built here");
  if (modes.includes("AlwaysAllow")) return allowAll;
  if (modes.includes("RBAC")) return byRoles;
  const denied = { allowed: false, reason: modes.includes("AlwaysDeny") ? "Everything is forbidden." : "" };
  return ({ user }) => (user.groups.includes("system:masters") ? { allowed: true, reason: "" } : denied);
}

function checkPlugins(enabled: readonly string[], disabled: readonly string[], problems: string[], warnings: string[]): void {
  for (const [flag, names] of [["enable", enabled], ["disable", disabled]] as const) {
    for (const name of names) if (!PLUGINS.has(name)) problems.push(`${flag}-admission-plugins plugin ${JSON.stringify(name)} is unknown`);
  }
  for (const name of enabled) {
    if (disabled.includes(name)) problems.push(`${JSON.stringify(name)} in enable-admission-plugins and disable-admission-plugins overlapped`);
    if (PLUGINS.has(name) && !BUILT_PLUGINS.has(name)) warnings.push(`--enable-admission-plugins: ${name} is not built yet and admits all`);
  }
  for (const name of disabled) if (BUILT_PLUGINS.has(name)) problems.push(`--disable-admission-plugins: ${name} cannot be disabled here yet`);
}

/** Gates have their defaults of v1.32; how they are written is checked. Follows k8s.io/component-base/featuregate (Set). */
function checkGates(gates: ReadonlyMap<string, string> | undefined): void {
  for (const [name, value] of gates ?? []) {
    const invalid = (why: string): Error => new Error(`invalid argument ${JSON.stringify(`${name}${value === "" ? "" : `=${value}`}`)} for "--feature-gates" flag: ${why}`);
    if (value === "") throw invalid(`missing bool value for ${name}`);
    try {
      parseBool(value);
    } catch (e) {
      throw invalid(`invalid value of ${name}: ${value}, err: ${(e as Error).message}`);
    }
    throw new Error(`--feature-gates: ${name}=${value}: gates cannot be changed here yet, they have their defaults of v1.32`);
  }
}

/** Everything that is stable is served, and nothing else. */
function checkRuntimeConfig(config: ReadonlyMap<string, string> | undefined, warnings: string[]): void {
  for (const [name, value] of config ?? []) {
    if (value !== "" && value !== "true" && value !== "false") throw new Error(`invalid value ${name}=${value}`);
    const stable = name === "api/ga" || name === "api/legacy" || /\/v\d+$/.test(name);
    const beta = name === "api/alpha" || name === "api/beta" || /\/v\d+(?:alpha|beta)\d+$/.test(name);
    if (name === "api/all" && value === "true") {
      warnings.push("--runtime-config=api/all=true: alpha and beta versions are not served");
      continue;
    }
    if ((stable && value !== "false") || (beta && value === "false")) continue;
    throw new Error(`--runtime-config: ${name}=${value}: what is stable is served here and nothing else; that cannot be changed yet`);
  }
}

function isServiceRange(cidr: string): boolean {
  const [, a, b, c, d, bits] = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\/(\d+)$/.exec(cidr) ?? [];
  return bits !== undefined && [a, b, c, d].every((octet) => Number(octet) < 256) && Number(bits) >= 8 && Number(bits) <= 28;
}
