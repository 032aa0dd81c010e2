/**
 * Services. Follows pkg/registry/core/service (strategy, alloc.go) and ValidateService; one IPv4 family.
 */
import type { Service, ServiceSpec } from "../../api/types.generated.ts";
import { RESOURCES } from "../../api/resources.ts";
import { parseIPv4, validateDNS1035Label, validatePortNumber } from "../../apimachinery/validation.ts";
import type { FieldErrors } from "../field.ts";
import { AllocationError } from "./allocators.ts";
import type { Descriptor, RegistryContext } from "./descriptor.ts";

export const services: Descriptor<Service> = {
  name: RESOURCES.services,
  allowCreateOnUpdate: true,
  storagePrefix: "services/specs",
  hasStatus: true,
  validateName: validateDNS1035Label,
  allowUnconditionalUpdate: true,
  returnsDeleted: true,
  selectableNames: ["spec.clusterIP", "spec.type"],
  selectable: ({ spec }) => ({ "spec.clusterIP": spec.clusterIP, "spec.type": spec.type }),
  setDefaults({ spec, status }) {
    for (const ingress of status?.loadBalancer?.ingress ?? []) if ((ingress.ip ?? "") !== "") ingress.ipMode ??= "VIP";
    spec.sessionAffinity ??= "None";
    if (spec.sessionAffinity === "None") delete spec.sessionAffinityConfig;
    if (spec.sessionAffinity === "ClientIP") {
      const timeout = spec.sessionAffinityConfig?.clientIP?.timeoutSeconds;
      if (timeout === undefined) spec.sessionAffinityConfig = { clientIP: { timeoutSeconds: 10800 } };
    }
    spec.type ??= "ClusterIP";
    for (const port of spec.ports ?? []) {
      port.protocol ??= "TCP";
      if (port.targetPort === undefined || port.targetPort === 0 || port.targetPort === "") port.targetPort = port.port;
    }
    if (isExternal(spec)) spec.externalTrafficPolicy ??= "Cluster";
    if (spec.type !== "ExternalName") spec.internalTrafficPolicy ??= "Cluster";
    if (spec.type === "LoadBalancer") spec.allocateLoadBalancerNodePorts ??= true;
  },
  prepareForCreate(service) {
    service.status = { loadBalancer: {} };
    normalizeClusterIPs(service.spec, undefined);
    defaultFamilies(service.spec);
  },
  prepareForUpdate(service, old) {
    service.status = old.status;
    normalizeClusterIPs(service.spec, old.spec);
    const [spec, was] = [service.spec, old.spec];
    // What the client left out of an update stays, as long as the type still has it (patchAllocatedValues).
    if (spec.type !== "ExternalName" && was.type !== "ExternalName") {
      if ((spec.clusterIP ?? "") === "" && (spec.clusterIPs ?? []).length === 0) {
        spec.clusterIP = was.clusterIP;
        spec.clusterIPs = was.clusterIPs;
      }
      if (usesNodePorts(spec) && usesNodePorts(was)) {
        for (const port of spec.ports ?? []) {
          const same = was.ports?.find((p) => p.port === port.port && p.protocol === port.protocol);
          if (same?.nodePort !== undefined) port.nodePort ??= same.nodePort;
        }
      }
      spec.ipFamilyPolicy ??= was.ipFamilyPolicy;
      spec.ipFamilies ??= was.ipFamilies;
    }
    if (!usesNodePorts(spec) && usesNodePorts(was)) {
      for (const port of spec.ports ?? [])
        if (was.ports?.some((p) => p.nodePort === port.nodePort)) delete port.nodePort;
    }
    if (isExternal(was) && !isExternal(spec) && spec.externalTrafficPolicy === was.externalTrafficPolicy) delete spec.externalTrafficPolicy;
    if (needsHealthCheck(was)) {
      if (!needsHealthCheck(spec)) {
        if (spec.healthCheckNodePort === was.healthCheckNodePort) delete spec.healthCheckNodePort;
      } else if (was.healthCheckNodePort !== undefined) spec.healthCheckNodePort ??= was.healthCheckNodePort;
    }
    if (spec.type !== "LoadBalancer" && was.type === "LoadBalancer") {
      delete spec.allocateLoadBalancerNodePorts;
      delete spec.loadBalancerClass;
      service.status = { ...service.status, loadBalancer: {} };
    }
    if (spec.type === "ExternalName" && was.type !== "ExternalName") {
      for (const field of ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"] as const) delete spec[field];
    }
    defaultFamilies(spec);
  },
  prepareForStatusUpdate(service, old) {
    service.spec = old.spec;
  },
  validate: validateService,
  validateUpdate(service, old, errors) {
    const ips = service.spec.clusterIPs ?? [];
    if (service.spec.type !== "ExternalName" && old.spec.type !== "ExternalName" && ips[0] !== old.spec.clusterIPs?.[0])
      errors.invalid("spec.clusterIPs[0]", ips, "may not change once set");
    validateService(service, errors);
  },
  allocate,
  release(service, context) {
    releaseSpec(service.spec, context);
  },
};

export function usesNodePorts(spec: ServiceSpec): boolean {
  return spec.type === "NodePort" || spec.type === "LoadBalancer";
}

/** Whether it can be reached from outside. Follows ExternallyAccessible. */
function isExternal(spec: ServiceSpec): boolean {
  return usesNodePorts(spec) || (spec.type === "ClusterIP" && (spec.externalIPs ?? []).length > 0);
}

function needsClusterIP(spec: ServiceSpec): boolean {
  return spec.type !== "ExternalName" && spec.clusterIP !== "None";
}

/** `clusterIP` and `clusterIPs[0]` say the same. Follows normalizeClusterIPs. */
function normalizeClusterIPs(spec: ServiceSpec, old: ServiceSpec | undefined): void {
  if (old === undefined) {
    if (spec.clusterIP !== undefined && spec.clusterIPs === undefined) spec.clusterIPs = [spec.clusterIP];
    return;
  }
  if (spec.clusterIP !== old.clusterIP) {
    if (spec.clusterIP === undefined) {
      if (spec.clusterIPs?.[0] === old.clusterIPs?.[0]) delete spec.clusterIPs;
    } else if (spec.clusterIPs === undefined || spec.clusterIPs[0] === old.clusterIPs?.[0]) spec.clusterIPs = [spec.clusterIP];
  }
}

function defaultFamilies(spec: ServiceSpec): void {
  if (spec.type === "ExternalName") return;
  if (spec.clusterIP === "None" && (spec.selector === undefined || Object.keys(spec.selector).length === 0)) {
    spec.ipFamilyPolicy ??= "RequireDualStack";
    if (spec.ipFamilyPolicy !== "SingleStack" && spec.ipFamilies === undefined) spec.ipFamilies = ["IPv4", "IPv6"];
  }
  spec.ipFamilyPolicy ??= "SingleStack";
  spec.ipFamilies ??= ["IPv4"];
}

const TYPES = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const PROTOCOLS = ["SCTP", "TCP", "UDP"];

/** What a cluster needs to be sure of; ValidateService as a whole is in `complete/validation/service.ts`. */
function validateService({ spec }: Service, errors: FieldErrors): void {
  const ports = spec.ports ?? [];
  const ips = spec.clusterIPs ?? [];
  if (!TYPES.includes(spec.type!)) errors.notSupported("spec.type", spec.type, TYPES);
  if (spec.type === "ExternalName") {
    if ((spec.externalName ?? "") === "") errors.required("spec.externalName");
  } else if (ports.length === 0 && spec.clusterIP !== "None") errors.required("spec.ports");
  if (usesNodePorts(spec) && spec.clusterIP === "None") errors.invalid("spec.clusterIPs[0]", "None", `may not be set to 'None' for ${spec.type} services`);
  const taken = new Set<string>();
  for (const [i, port] of ports.entries()) {
    const at = `spec.ports[${i}]`;
    if (ports.length > 1 && port.name === undefined) errors.required(`${at}.name`);
    errors.invalidAll(`${at}.port`, port.port, validatePortNumber(port.port));
    if (!PROTOCOLS.includes(port.protocol!)) errors.notSupported(`${at}.protocol`, port.protocol, PROTOCOLS);
    if (typeof port.targetPort === "number") errors.invalidAll(`${at}.targetPort`, port.targetPort, validatePortNumber(port.targetPort));
    for (const key of [`${port.port}/${port.protocol}`, port.name ?? `#${i}`]) {
      if (taken.has(key)) errors.duplicate(at, key);
      taken.add(key);
    }
  }
  for (const [i, ip] of ips.entries())
    if (ip !== "None" && parseIPv4(ip) === undefined) errors.invalid(`spec.clusterIPs[${i}]`, ip, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
}

/** Claims what the new spec has beyond the old one. Follows alloc.go: allocateCreate, allocateUpdate. */
function allocate(service: Service, old: Service | undefined, errors: FieldErrors, context: RegistryContext): () => void {
  const { spec } = service;
  const undo: (() => void)[] = [];
  const claim = (path: string, shown: unknown, what: string, take: () => void, give: () => void): void => {
    try {
      take();
      undo.push(give);
    } catch (e) {
      if (!(e instanceof AllocationError)) throw e;
      errors.invalid(path, shown, `${what}${e.message}`);
    }
  };
  families(spec, errors);
  const hadIP = old !== undefined && old.spec.type !== "ExternalName";
  if (errors.list.length === 0 && needsClusterIP(spec) && !hadIP) {
    let ip = spec.clusterIP ?? "";
    claim("spec.clusterIPs", spec.clusterIPs ?? [], `failed to allocate IP ${ip}: `, () => {
      if (ip === "") ip = context.serviceIPs.allocateNext();
      else context.serviceIPs.allocate(ip);
      spec.clusterIP = ip;
      spec.clusterIPs = [ip];
    }, () => context.serviceIPs.release(ip));
  }
  if (errors.list.length === 0 && usesNodePorts(spec)) allocateNodePorts(spec, old, claim, context);
  if (errors.list.length === 0 && needsHealthCheck(spec) && !(old !== undefined && needsHealthCheck(old.spec))) {
    let port = spec.healthCheckNodePort ?? 0;
    claim("spec.healthCheckNodePort", port, "failed to allocate requested HealthCheck NodePort: ", () => {
      if (port === 0) port = context.nodePorts.allocateNext();
      else context.nodePorts.allocate(port);
      spec.healthCheckNodePort = port;
    }, () => context.nodePorts.release(port));
  }
  return () => {
    for (const step of undo) step();
  };
}

type Claim = (path: string, shown: unknown, what: string, take: () => void, give: () => void) => void;

/** Ports of one number share a node port, whatever their protocol. Follows updateNodePorts and initNodePorts. */
function allocateNodePorts(spec: ServiceSpec, old: Service | undefined, claim: Claim, context: RegistryContext): void {
  const ports = spec.ports ?? [];
  const had = new Set(old !== undefined && usesNodePorts(old.spec) ? old.spec.ports?.map((p) => p.nodePort) : []);
  const byPort = new Map<number, number>();
  for (const [i, port] of ports.entries()) {
    if (spec.type === "LoadBalancer" && spec.allocateLoadBalancerNodePorts === false && port.nodePort === undefined) continue;
    const shared = byPort.get(port.port);
    const wanted = port.nodePort ?? shared ?? ports.find((p) => p.port === port.port && p.nodePort !== undefined)?.nodePort;
    if (wanted !== undefined && (wanted === shared || had.has(wanted))) {
      port.nodePort = wanted;
      byPort.set(port.port, wanted);
      continue;
    }
    let taken = wanted ?? 0;
    let got = false;
    claim(`spec.ports[${i}].nodePort`, taken, "", () => {
      if (taken === 0) taken = context.nodePorts.allocateNext();
      else context.nodePorts.allocate(taken);
      port.nodePort = taken;
      byPort.set(port.port, taken);
      got = true;
    }, () => context.nodePorts.release(taken));
    if (!got) return;
  }
}

const needsHealthCheck = (spec: ServiceSpec): boolean => spec.type === "LoadBalancer" && spec.externalTrafficPolicy === "Local";

/** One family is configured: a service that is not headless cannot have the other. Follows initIPFamilyFields. */
function families(spec: ServiceSpec, errors: FieldErrors): void {
  // A headless service without a selector has whatever endpoints it is given.
  if (spec.type === "ExternalName" || (spec.clusterIP === "None" && Object.keys(spec.selector ?? {}).length === 0)) return;
  if (spec.ipFamilyPolicy === "RequireDualStack") errors.invalid("spec.ipFamilyPolicy", spec.ipFamilyPolicy, "this cluster is not configured for dual-stack services");
  for (const [i, family] of (spec.ipFamilies ?? []).entries()) if (family === "IPv6") errors.invalid(`spec.ipFamilies[${i}]`, family, "not configured on this cluster");
}

function releaseSpec(spec: ServiceSpec, context: RegistryContext): void {
  if (needsClusterIP(spec) && spec.clusterIP !== undefined) context.serviceIPs.release(spec.clusterIP);
  for (const port of spec.ports ?? []) if (port.nodePort !== undefined) context.nodePorts.release(port.nodePort);
  if (spec.healthCheckNodePort !== undefined) context.nodePorts.release(spec.healthCheckNodePort);
}
