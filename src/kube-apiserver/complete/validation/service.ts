/** Services. Follows ValidateService, ValidateServiceUpdate and ValidateLoadBalancerStatus of pkg/apis/core/validation/validation.go. */
import type { FieldErrors } from "../../field.ts";
import {
  dns1035, dnsLabel, dnsSubdomain, immutable, inRange, isIP, isIPv6, labels, named, nonSpecialIP, objectMeta, objectMetaUpdate, oneOf, portNumber, qualified, validCIDR, validIP,
} from "./common.ts";
import type { Any, Validation } from "./common.ts";
import { portNumberOrName } from "./containers.ts";
import { goValue } from "./go.ts";

const TYPES = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const KUBELET_PORT = 10250;
const LB_ONLY = "may only be used when `type` is 'LoadBalancer'";

const isHeadless = (spec: Any): boolean => spec.clusterIP === "None" || spec.clusterIPs?.[0] === "None";

function serviceBody(o: Any, errors: FieldErrors): void {
  objectMeta(o, true, dns1035, errors);
  const { spec } = o;
  const ports: Any[] = spec.ports ?? [];
  if (ports.length === 0 && !isHeadless(spec) && spec.type !== "ExternalName") errors.required("spec.ports");
  if (spec.type === "LoadBalancer" || spec.type === "NodePort") {
    ports.forEach((port, i) => {
      if (spec.type === "LoadBalancer" && port.port === KUBELET_PORT) errors.invalid(`spec.ports[${i}]`, port.port, "may not expose port 10250 externally since it is used by kubelet");
    });
    if (isHeadless(spec)) errors.invalid("spec.clusterIPs[0]", "None", `may not be set to 'None' for ${spec.type} services`);
  } else if (spec.type === "ExternalName") {
    for (const field of ["clusterIPs", "ipFamilies"]) if ((spec[field] ?? []).length > 0) errors.forbidden(`spec.${field}`, "may not be set for ExternalName services");
    if (spec.ipFamilyPolicy !== undefined) errors.forbidden("spec.ipFamilyPolicy", "may not be set for ExternalName services");
    const name = (spec.externalName ?? "").replace(/\.$/, "");
    if (name === "") errors.required("spec.externalName");
    else named(name, dnsSubdomain, "spec.externalName", errors);
  }
  servicePorts(ports, errors);
  labels(spec.selector, "spec.selector", errors);
  affinity(spec, errors);
  clusterIPs(spec, errors);
  (spec.externalIPs ?? []).forEach((ip: string, i: number) => {
    if (validIP(ip, `spec.externalIPs[${i}]`, errors)) nonSpecialIP(ip, `spec.externalIPs[${i}]`, errors);
  });
  if ((spec.type ?? "") === "") errors.required("spec.type");
  else oneOf(spec.type, TYPES, "spec.type", errors);
  duplicates(spec, ports, errors);
  loadBalancerFields(o, errors);
  trafficPolicies(spec, errors);
}

function servicePorts(ports: readonly Any[], errors: FieldErrors): void {
  const names = new Set<string>();
  ports.forEach((port, i) => {
    const at = `spec.ports[${i}]`;
    const name = port.name ?? "";
    if (name === "") {
      if (ports.length > 1) errors.required(`${at}.name`);
    } else {
      named(name, dnsLabel, `${at}.name`, errors);
      if (names.has(name)) errors.duplicate(`${at}.name`, name);
      names.add(name);
    }
    portNumber(port.port, `${at}.port`, errors);
    if ((port.protocol ?? "") === "") errors.required(`${at}.protocol`);
    else oneOf(port.protocol, ["SCTP", "TCP", "UDP"], `${at}.protocol`, errors);
    portNumberOrName(port.targetPort, `${at}.targetPort`, errors);
    if (port.appProtocol !== undefined) qualified(port.appProtocol, `${at}.appProtocol`, errors);
  });
}

function affinity(spec: Any, errors: FieldErrors): void {
  const value = spec.sessionAffinity ?? "";
  if (value === "") errors.required("spec.sessionAffinity");
  else oneOf(value, ["ClientIP", "None"], "spec.sessionAffinity", errors);
  const at = "spec.sessionAffinityConfig";
  const config = spec.sessionAffinityConfig;
  if (value === "ClientIP") {
    if (config === undefined) return errors.required(at, "when session affinity type is ClientIP");
    if (config.clientIP === undefined) return errors.required(`${at}.clientIP`, "when session affinity type is ClientIP");
    const timeout = config.clientIP.timeoutSeconds;
    if (timeout === undefined) errors.required(`${at}.clientIP.timeoutSeconds`, "when session affinity type is ClientIP");
    else if (timeout <= 0 || timeout > 86400) errors.invalid(`${at}.clientIP.timeoutSeconds`, timeout, "must be greater than 0 and less than 86400");
  } else if (value === "None" && config !== undefined) errors.forbidden(at, "must not be set when session affinity is None");
}

/** Follows ValidateServiceClusterIPsRelatedFields; one family is configured. */
function clusterIPs(spec: Any, errors: FieldErrors): void {
  if (spec.type === "ExternalName") return;
  const before = errors.list.length;
  const ips: string[] = spec.clusterIPs ?? [];
  const path = "spec.clusterIPs";
  if ((spec.clusterIP ?? "") !== "") {
    if (ips.length === 0) errors.required(path);
    else if (ips[0] !== spec.clusterIP) errors.invalid(path, ips, "first value must match `clusterIP`");
  } else if (ips.length > 0) errors.invalid(path, ips, "must be empty when `clusterIP` is not specified");
  const families: string[] = spec.ipFamilies ?? [];
  families.forEach((family, i) => {
    if (family !== "IPv4" && family !== "IPv6") errors.notSupported(`spec.ipFamilies[${i}]`, family, ["IPv4", "IPv6"]);
    if (families.indexOf(family) < i) errors.duplicate(`spec.ipFamilies[${i}]`, family);
  });
  const policy = spec.ipFamilyPolicy;
  if (policy !== undefined) oneOf(policy, ["PreferDualStack", "RequireDualStack", "SingleStack"], "spec.ipFamilyPolicy", errors);
  let bad = false;
  ips.forEach((ip, i) => {
    if (i === 0 && ip === "None") {
      if (ips.length > 1) {
        bad = true;
        errors.invalid(path, ips, "'None' must be the first and only value");
      }
    } else if (!validIP(ip, `${path}[${i}]`, errors)) bad = true;
  });
  if (ips.length > 2) errors.invalid(path, ips, "may only hold up to 2 values");
  if (bad) return;
  if (ips.length > 1 && isIPv6(ips[0]!) === isIPv6(ips[1]!)) errors.invalid(path, ips, "may specify no more than one IP for each IP family");
  if (isHeadless(spec) || errors.list.length > before) return;
  ips.forEach((ip, i) => {
    const family = families[i];
    if (family !== undefined && (family === "IPv6") !== isIPv6(ip)) errors.invalid(`${path}[${i}]`, ip, `expected an ${family} value as indicated by \`ipFamilies[${i}]\``);
  });
  if (errors.list.length === before && policy === "SingleStack" && new Set(families).size > 1)
    errors.invalid("spec.ipFamilyPolicy", policy, "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified");
}

function duplicates(spec: Any, ports: readonly Any[], errors: FieldErrors): void {
  if (spec.type === "ClusterIP")
    ports.forEach((port, i) => {
      if ((port.nodePort ?? 0) !== 0) errors.forbidden(`spec.ports[${i}].nodePort`, "may not be used when `type` is 'ClusterIP'");
    });
  const [nodePorts, numbers] = [new Set<string>(), new Set<string>()];
  ports.forEach((port, i) => {
    if ((port.nodePort ?? 0) === 0) return;
    const key = `${port.protocol}/${port.nodePort}`;
    if (nodePorts.has(key)) errors.duplicate(`spec.ports[${i}].nodePort`, port.nodePort);
    nodePorts.add(key);
  });
  ports.forEach((port, i) => {
    const key = `${port.protocol}/${port.port}`;
    if (numbers.has(key)) errors.add("FieldValueDuplicate", `spec.ports[${i}]`, `Duplicate value: ${goValue("core.ServicePort", { protocol: port.protocol, port: port.port }, "", errors)}`);
    numbers.add(key);
  });
}

const SOURCE_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges";

function loadBalancerFields({ metadata, spec }: Any, errors: FieldErrors): void {
  const balanced = spec.type === "LoadBalancer";
  const ranges: string[] = spec.loadBalancerSourceRanges ?? [];
  const annotated: string | undefined = metadata.annotations?.[SOURCE_RANGES];
  if (ranges.length > 0 || annotated !== undefined) {
    const path = ranges.length > 0 ? "spec.LoadBalancerSourceRanges" : "metadata.annotations";
    if (!balanced) errors.forbidden(path, LB_ONLY);
    if (ranges.length > 0) ranges.forEach((range, i) => validCIDR(range.trim(), `spec.LoadBalancerSourceRanges[${i}]`, errors));
    else if (annotated!.trim() !== "") for (const range of annotated!.trim().split(",")) validCIDR(range.trim(), `metadata.annotations[${SOURCE_RANGES}]`, errors);
  }
  if (spec.allocateLoadBalancerNodePorts !== undefined && !balanced) errors.forbidden("spec.allocateLoadBalancerNodePorts", LB_ONLY);
  if (balanced && spec.allocateLoadBalancerNodePorts === undefined) errors.required("spec.allocateLoadBalancerNodePorts");
  loadBalancerClass(spec, errors);
}

function loadBalancerClass({ type, loadBalancerClass: name }: Any, errors: FieldErrors): void {
  if (name === undefined) return;
  if (type !== "LoadBalancer") errors.forbidden("spec.loadBalancerClass", LB_ONLY);
  else qualified(name, "spec.loadBalancerClass", errors);
}

function trafficPolicies(spec: Any, errors: FieldErrors): void {
  const external = spec.type === "NodePort" || spec.type === "LoadBalancer" || (spec.type === "ClusterIP" && (spec.externalIPs ?? []).length > 0);
  const policy = spec.externalTrafficPolicy;
  if (!external) {
    if ((policy ?? "") !== "") errors.invalid("spec.externalTrafficPolicy", policy, "may only be set for externally-accessible services");
  } else if ((policy ?? "") === "") errors.required("spec.externalTrafficPolicy");
  else oneOf(policy, ["Cluster", "Local"], "spec.externalTrafficPolicy", errors);
  const port = spec.healthCheckNodePort ?? 0;
  if (port !== 0 && !(spec.type === "LoadBalancer" && policy === "Local"))
    errors.invalid("spec.healthCheckNodePort", port, "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'");
  else if (port < 0 || port > 65535) errors.invalid("spec.healthCheckNodePort", port, inRange(1, 65535));
  if (spec.type !== "ExternalName") {
    if (spec.internalTrafficPolicy === undefined) errors.required("spec.internalTrafficPolicy");
    else oneOf(spec.internalTrafficPolicy, ["Cluster", "Local"], "spec.internalTrafficPolicy", errors);
  }
  if (spec.trafficDistribution !== undefined) oneOf(spec.trafficDistribution, ["PreferClose"], "spec.trafficDistribution", errors);
}

/** What is looked at before addresses are given out. */
export function validateBeforeAllocation({ spec }: Any, errors: FieldErrors): void {
  clusterIPs(spec, errors);
}

export const service: Validation = {
  validate: serviceBody,
  validateUpdate(o, old, errors) {
    objectMetaUpdate(o, old, errors);
    const [spec, was] = [o.spec, old.spec];
    if (spec.type !== "ExternalName" && was.type !== "ExternalName") {
      const [ips, before]: string[][] = [spec.clusterIPs ?? [], was.clusterIPs ?? []];
      if (ips!.length === 0 && before!.length > 0) errors.invalid("spec.clusterIPs[0]", ips, "primary clusterIP can not be unset");
      else if (before!.length > 0 && ips![0] !== before![0]) errors.invalid("spec.clusterIPs[0]", ips, "may not change once set");
      else if (before!.length > 1 && ips!.length > 1 && ips![1] !== before![1]) errors.invalid("spec.clusterIPs[1]", ips, "may not change once set");
    }
    if (spec.type === "LoadBalancer" && was.type === "LoadBalancer") immutable(spec.loadBalancerClass, was.loadBalancerClass, "spec.loadBalancerClass", errors);
    loadBalancerClass(spec, errors);
    serviceBody(o, errors);
  },
  validateStatusUpdate(o, old, errors) {
    objectMetaUpdate(o, old, errors);
    const ingress: Any[] = o.status?.loadBalancer?.ingress ?? [];
    const path = "status.loadBalancer.ingress";
    if (o.spec.type !== "LoadBalancer" && ingress.length > 0) return errors.forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'");
    ingress.forEach(({ ip = "", hostname = "", ipMode }, i) => {
      const at = `${path}[${i}]`;
      if (ip !== "") validIP(ip, `${at}.ip`, errors);
      if (ip !== "" && ipMode === undefined) errors.required(`${at}.ipMode`, "must be specified when `ip` is set");
      else if (ip === "" && ipMode !== undefined) errors.forbidden(`${at}.ipMode`, "may not be specified when `ip` is not set");
      else if (ipMode !== undefined) oneOf(ipMode, ["Proxy", "VIP"], `${at}.ipMode`, errors);
      if (hostname !== "") {
        named(hostname, dnsSubdomain, `${at}.hostname`, errors);
        if (isIP(hostname)) errors.invalid(`${at}.hostname`, hostname, "must be a DNS name, not an IP address");
      }
    });
  },
};
