/** networking.k8s.io/v1 and discovery.k8s.io/v1. Follows pkg/apis/networking/validation and pkg/apis/discovery/validation. */
import { deepEqual } from "../../../apimachinery/meta.ts";
import { validateLabelValue, validatePortName } from "../../../apimachinery/validation.ts";
import type { FieldErrors } from "../../field.ts";
import { domainPrefixedPath } from "./batch.ts";
import {
  dns1035, dnsLabel, dnsSubdomain, immutable, isIPv4, isIPv6, labelSelector, named, nonSpecialIP, objectMetaUpdate, oneOf, plain, portNumber, qualified, twice, validCIDR,
} from "./common.ts";
import type { Any, Validation } from "./common.ts";
import { portNumberOrName } from "./containers.ts";

export const networkPolicy: Validation = twice(plain(true, dnsSubdomain, ({ spec }, errors) => {
  labelSelector(spec.podSelector, "spec.podSelector", errors);
  const rules = (list: readonly Any[], field: string, peers: string): void => list.forEach((rule, i) => {
    const at = `spec.${field}[${i}]`;
    (rule.ports ?? []).forEach((port: Any, j: number) => policyPort(port, `${at}.ports[${j}]`, errors));
    (rule[peers] ?? []).forEach((peer: Any, j: number) => policyPeer(peer, `${at}.${peers}[${j}]`, errors));
  });
  rules(spec.ingress ?? [], "ingress", "from");
  rules(spec.egress ?? [], "egress", "to");
  const types: string[] = spec.policyTypes ?? [];
  if (types.length > 2) errors.invalid("spec.policyTypes", types, "may not specify more than two policyTypes");
  types.forEach((type, i) => {
    if (type !== "Ingress" && type !== "Egress") errors.notSupported(`spec.policyTypes[${i}]`, type, ["Ingress", "Egress"]);
  });
}));

function policyPort({ protocol, port, endPort }: Any, path: string, errors: FieldErrors): void {
  if (protocol !== undefined) oneOf(protocol, ["TCP", "UDP", "SCTP"], `${path}.protocol`, errors);
  if (port === undefined) {
    if (endPort !== undefined) errors.invalid(`${path}.endPort`, endPort, "may not be specified when `port` is not specified");
    return;
  }
  portNumberOrName(port, `${path}.port`, errors);
  if (endPort === undefined) return;
  if (typeof port === "string") errors.invalid(`${path}.endPort`, endPort, "may not be specified when `port` is non-numeric");
  else if (endPort < port) errors.invalid(`${path}.endPort`, port, "must be greater than or equal to `port`");
  portNumber(endPort, `${path}.endPort`, errors);
}

function policyPeer(peer: Any, path: string, errors: FieldErrors): void {
  let count = 0;
  if (peer.podSelector !== undefined) {
    count++;
    labelSelector(peer.podSelector, `${path}.podSelector`, errors);
  }
  if (peer.namespaceSelector !== undefined) {
    count++;
    labelSelector(peer.namespaceSelector, `${path}.namespaceSelector`, errors);
  }
  if (peer.ipBlock !== undefined) {
    count++;
    const { cidr = "", except = [] } = peer.ipBlock;
    const at = `${path}.ipBlock`;
    if (cidr === "") errors.required(`${at}.cidr`);
    else if (validCIDR(cidr, `${at}.cidr`, errors)) {
      except.forEach((inner: string, i: number) => {
        if (!validCIDR(inner, `${at}.except[${i}]`, errors)) return;
        if (!strictlyWithin(inner, cidr)) errors.invalid(`${at}.except[${i}]`, inner, "must be a strict subset of `cidr`");
      });
    }
  }
  if (count === 0) errors.required(path, "must specify a peer");
  else if (count > 1 && peer.ipBlock !== undefined) errors.forbidden(path, "may not specify both ipBlock and another peer");
}

/** Whether the first range is a part of the second, smaller than it. */
function strictlyWithin(inner: string, outer: string): boolean {
  const [a, b] = [bitsOf(inner), bitsOf(outer)];
  return a.bits.length === b.bits.length && a.length > b.length && a.bits.slice(0, b.length) === b.bits.slice(0, b.length);
}

/** An address range as the digits of its address, and how many of them count. */
function bitsOf(cidr: string): { bits: string; length: number } {
  const [address = "", length = "0"] = cidr.split("/");
  if (isIPv4(address)) return { bits: address.split(".").map((part) => Number(part).toString(2).padStart(8, "0")).join(""), length: Number(length) };
  let text = address;
  const v4 = /(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  if (v4 !== null) text = text.slice(0, v4.index) + `${(Number(v4[1]) * 256 + Number(v4[2])).toString(16)}:${(Number(v4[3]) * 256 + Number(v4[4])).toString(16)}`;
  const [head = "", tail] = text.split("::");
  const groups = (part: string): string[] => (part === "" ? [] : part.split(":"));
  const [first, last] = [groups(head), groups(tail ?? "")];
  const all = tail === undefined ? first : [...first, ...new Array<string>(8 - first.length - last.length).fill("0"), ...last];
  return { bits: all.map((group) => Number.parseInt(group, 16).toString(2).padStart(16, "0")).join(""), length: Number(length) };
}

function ingressBody(o: Any, errors: FieldErrors): void {
  const { spec } = o;
  const rules: Any[] = spec.rules ?? [];
  if (rules.length === 0 && spec.defaultBackend === undefined) errors.invalidGo("spec", "[]networking.IngressRule(nil)", "either `defaultBackend` or `rules` must be specified");
  if (spec.defaultBackend !== undefined) ingressBackend(spec.defaultBackend, "spec.defaultBackend", errors);
  rules.forEach((rule, i) => {
    const at = `spec.rules[${i}]`;
    const host: string = rule.host ?? "";
    if (host !== "") {
      if (isIPv4(host) || isIPv6(host)) errors.invalid(`${at}.host`, host, "must be a DNS name, not an IP address");
      ingressHost(host, `${at}.host`, errors);
    }
    if (rule.http !== undefined) ingressPaths(rule.http, `${at}.http`, errors);
  });
  (spec.tls ?? []).forEach(({ hosts = [], secretName = "" }: Any, i: number) => {
    hosts.forEach((host: string, j: number) => ingressHost(host, `spec.tls[${i}].hosts[${j}]`, errors));
    if (secretName !== "") named(secretName, dnsSubdomain, `spec.tls[${i}].secretName`, errors);
  });
  if (spec.ingressClassName !== undefined) named(spec.ingressClassName, dnsSubdomain, "spec.ingressClassName", errors);
}

function ingressHost(host: string, path: string, errors: FieldErrors): void {
  if (!host.includes("*")) named(host, dnsSubdomain, path, errors);
  else {
    const bare = host.startsWith("*.") ? host.slice(2) : undefined;
    if (host.length > 253) errors.invalid(path, host, "must be no more than 253 characters");
    if (bare === undefined || dnsSubdomain(bare).length > 0)
      errors.invalid(path, host, "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')");
  }
}

function ingressPaths(http: Any, path: string, errors: FieldErrors): void {
  const paths: Any[] = http.paths ?? [];
  if (paths.length === 0) errors.required(`${path}.paths`);
  paths.forEach((one: Any, i: number) => {
    const at = `${path}.paths[${i}]`;
    const text: string = one.path ?? "";
    const type: string | undefined = one.pathType;
    if (type === undefined) return errors.required(`${at}.pathType`, "pathType must be specified");
    if (type === "Exact" || type === "Prefix") {
      if (!text.startsWith("/")) errors.invalid(`${at}.path`, text, "must be an absolute path");
      if (text !== "") {
        for (const part of ["//", "/./", "/../", "%2f", "%2F"]) if (text.includes(part)) errors.invalid(`${at}.path`, text, `must not contain '${part}'`);
        for (const part of ["/..", "/."]) if (text.endsWith(part)) errors.invalid(`${at}.path`, text, `cannot end with '${part}'`);
      }
    } else if (type === "ImplementationSpecific") {
      if (text !== "" && !text.startsWith("/")) errors.invalid(`${at}.path`, text, "must be an absolute path");
    } else errors.notSupported(`${at}.pathType`, type, ["Exact", "ImplementationSpecific", "Prefix"]);
    ingressBackend(one.backend ?? {}, `${at}.backend`, errors);
  });
}

function ingressBackend({ service, resource }: Any, path: string, errors: FieldErrors): void {
  if (service === undefined && resource === undefined) return errors.invalid(path, "", "resource or service backend is required");
  if (service !== undefined && resource !== undefined) return errors.invalid(path, "", "cannot set both resource and service backends");
  if (resource !== undefined) {
    const at = `${path}.resource`;
    if ((resource.apiGroup ?? "") !== "") named(resource.apiGroup, dnsSubdomain, `${at}.apiGroup`, errors);
    for (const field of ["kind", "name"]) if ((resource[field] ?? "") === "") errors.required(`${at}.${field}`, `${field} is required`);
    return;
  }
  const at = `${path}.service`;
  if ((service.name ?? "") === "") errors.required(`${at}.name`);
  else named(service.name, dns1035, `${at}.name`, errors);
  const { name = "", number = 0 } = service.port ?? {};
  if (name !== "" && number !== 0) errors.invalid(path, "", "cannot set both port name & port number");
  else if (name !== "") errors.invalidAll(`${at}.port.name`, name, validatePortName(name));
  else if (number !== 0) portNumber(number, `${at}.port.number`, errors);
  else errors.required(path, "port name or number is required");
}

function loadBalancerStatus(o: Any, errors: FieldErrors): void {
  (o.status?.loadBalancer?.ingress ?? []).forEach(({ ip = "", hostname = "" }: Any, i: number) => {
    const at = `status.loadBalancer.ingress[${i}]`;
    if (ip !== "" && !isIPv4(ip) && !isIPv6(ip)) errors.invalid(`${at}.ip`, ip, "must be a valid IP address");
    if (hostname !== "") {
      named(hostname, dnsSubdomain, `${at}.hostname`, errors);
      if (isIPv4(hostname) || isIPv6(hostname)) errors.invalid(`${at}.hostname`, hostname, "must be a DNS name, not an IP address");
    }
  });
}

const CLASS_ANNOTATION = "kubernetes.io/ingress.class";

export const ingress: Validation = {
  ...plain(true, dnsSubdomain, ingressBody),
  validate(o, errors) {
    plain(true, dnsSubdomain, ingressBody).validate(o, errors);
    const annotated = o.metadata.annotations?.[CLASS_ANNOTATION];
    if (annotated !== undefined && o.spec.ingressClassName !== undefined && annotated !== o.spec.ingressClassName)
      errors.invalid(`annotations.${CLASS_ANNOTATION}`, annotated, "must match `ingressClassName` when both are specified");
  },
  validateStatusUpdate(o, old, errors) {
    objectMetaUpdate(o, old, errors);
    loadBalancerStatus(o, errors);
  },
};

function classBody({ spec = {} }: Any, errors: FieldErrors): void {
  const controller: string = spec.controller ?? "";
  if (controller.length > 250) errors.tooLong("spec.controller", 250);
  domainPrefixedPath(controller, "spec.controller", errors);
  const p = spec.parameters;
  if (p === undefined) return;
  const at = "spec.parameters";
  if (p.apiGroup !== undefined) named(p.apiGroup, dnsSubdomain, `${at}.apiGroup`, errors);
  for (const field of ["kind", "name"]) if ((p[field] ?? "") === "") errors.required(`${at}.${field}`, `${field} is required`);
  if (p.scope === undefined) return errors.required(`${at}.scope`);
  oneOf(p.scope, ["Cluster", "Namespace"], `${at}.scope`, errors);
  if (p.scope === "Namespace") {
    if (p.namespace === undefined) errors.required(`${at}.namespace`, "`parameters.scope` is set to 'Namespace'");
    else named(p.namespace, dnsLabel, `${at}.namespace`, errors);
  } else if (p.scope === "Cluster" && p.namespace !== undefined) errors.forbidden(`${at}.namespace`, "`parameters.scope` is set to 'Cluster'");
}

export const ingressClass: Validation = {
  ...plain(false, dnsSubdomain, classBody),
  validateUpdate(o, old, errors) {
    objectMetaUpdate(o, old, errors);
    immutable(o.spec?.controller ?? "", old.spec?.controller ?? "", "spec.controller", errors);
    classBody(o, errors);
  },
};

const ADDRESS_TYPES = ["FQDN", "IPv4", "IPv6"];

export const endpointSlice: Validation = plain(true, dnsSubdomain, (o, errors) => {
  if ((o.addressType ?? "") === "") errors.required("addressType");
  else oneOf(o.addressType, ADDRESS_TYPES, "addressType", errors);
  const endpoints: Any[] = o.endpoints ?? [];
  if (endpoints.length > 1000) errors.tooMany("endpoints", endpoints.length, 1000);
  else endpoints.forEach((endpoint, i) => sliceEndpoint(endpoint, o.addressType, `endpoints[${i}]`, errors));
  slicePorts(o.ports ?? [], errors);
}, (o, old, errors) => {
  if (!deepEqual(o.addressType, old.addressType)) errors.invalid("addressType", o.addressType, "field is immutable");
});

function sliceEndpoint(endpoint: Any, type: string, path: string, errors: FieldErrors): void {
  const addresses: string[] = endpoint.addresses ?? [];
  if (addresses.length === 0) errors.required(`${path}.addresses`, "must contain at least 1 address");
  else if (addresses.length > 100) errors.tooMany(`${path}.addresses`, addresses.length, 100);
  addresses.forEach((address, i) => {
    const at = `${path}.addresses[${i}]`;
    if (type === "IPv4") {
      if (!isIPv4(address)) errors.invalid(at, address, "must be a valid IPv4 address");
      nonSpecialIP(address, at, errors);
    } else if (type === "IPv6") {
      if (!isIPv6(address)) errors.invalid(at, address, "must be a valid IPv6 address");
      nonSpecialIP(address, at, errors);
    } else if (type === "FQDN") named(address, dnsSubdomain, at, errors);
  });
  if (endpoint.nodeName !== undefined) errors.invalidAll(`${path}.nodeName`, endpoint.nodeName, dnsSubdomain(endpoint.nodeName));
  for (const key of Object.keys(endpoint.deprecatedTopology ?? {})) qualified(key, `${path}.deprecatedTopology`, errors);
  if (endpoint.hostname !== undefined) named(endpoint.hostname, dnsLabel, `${path}.hostname`, errors);
  const zones: Any[] = endpoint.hints?.forZones ?? [];
  if (zones.length > 8) errors.tooMany(`${path}.hints.forZones`, zones.length, 8);
  const seen = new Set<string>();
  zones.forEach(({ name = "" }, i) => {
    const at = `${path}.hints.forZones[${i}].name`;
    if (seen.has(name)) errors.duplicate(at, name);
    seen.add(name);
    named(name, validateLabelValue, at, errors);
  });
}

function slicePorts(ports: readonly Any[], errors: FieldErrors): void {
  if (ports.length > 20_000) return errors.tooMany("ports", ports.length, 20_000);
  const names = new Set<string>();
  ports.forEach((port, i) => {
    const at = `ports[${i}]`;
    const name = port.name ?? "";
    if (name !== "") named(name, dnsLabel, `${at}.name`, errors);
    if (names.has(name)) errors.duplicate(`${at}.name`, name);
    else names.add(name);
    if (port.protocol === undefined) errors.required(`${at}.protocol`);
    else oneOf(port.protocol, ["SCTP", "TCP", "UDP"], `${at}.protocol`, errors);
    if (port.appProtocol !== undefined) qualified(port.appProtocol, `${at}.appProtocol`, errors);
  });
}
