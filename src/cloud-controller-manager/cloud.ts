/**
 * What a cloud offers a cluster, and a cloud in the box. Follows k8s.io/cloud-provider/cloud.go (LoadBalancer, InstancesV2, Routes). What a
 * provider does not have it leaves out.
 */
import type { Node, Service } from "../api/types.generated.ts";
import { formatIPv4, parseCIDR } from "../apimachinery/validation.ts";

export interface LoadBalancerIngress {
  readonly ip?: string;
  readonly hostname?: string;
  /** How packets to `ip` come to nodes: `VIP` as they are, `Proxy` with a node's address. */
  readonly ipMode?: "VIP" | "Proxy";
}

export interface LoadBalancers {
  /** The status of the Service's balancer; undefined when there is none. */
  get(service: Service): Promise<{ ingress: readonly LoadBalancerIngress[] } | undefined>;
  /** Makes it, or makes it what the Service asks for. */
  ensure(service: Service, nodes: readonly Node[]): Promise<{ ingress: readonly LoadBalancerIngress[] }>;
  /** Other nodes behind the same balancer. */
  update(service: Service, nodes: readonly Node[]): Promise<void>;
  delete(service: Service): Promise<void>;
}

export interface InstanceMetadata {
  readonly providerID: string;
  readonly instanceType?: string;
  readonly zone?: string;
  readonly region?: string;
  readonly addresses?: readonly { readonly type: string; readonly address: string }[];
}

export interface Instances {
  exists(node: Node): Promise<boolean>;
  isShutDown(node: Node): Promise<boolean>;
  /** Undefined for a node that is none of this cloud's. */
  metadata(node: Node): Promise<InstanceMetadata | undefined>;
}

export interface Route {
  readonly name: string;
  readonly node: string;
  readonly cidr: string;
}

export interface Routes {
  list(): Promise<readonly Route[]>;
  create(route: Route): Promise<void>;
  delete(route: Route): Promise<void>;
}

export interface CloudProvider {
  readonly name: string;
  readonly loadBalancers?: LoadBalancers;
  readonly instances?: Instances;
  readonly routes?: Routes;
}

/** A cloud whose balancers have addresses of one range, lowest free one first, or the one that the Service asks for. */
export function newBoxCloud({ addresses = "172.18.255.0/24" }: { readonly addresses?: string } = {}): CloudProvider {
  const range = parseCIDR(addresses);
  if (range === undefined) throw new Error(`${addresses}: not an IPv4 range`);
  const size = 2 ** (32 - range.bits);
  const given = new Map<string, string>();
  const keyOf = ({ metadata }: Service): string => metadata.uid;
  const status = (ip: string): { ingress: LoadBalancerIngress[] } => ({ ingress: [{ ip, ipMode: "VIP" }] });
  const loadBalancers: LoadBalancers = {
    async get(service) {
      const ip = given.get(keyOf(service)) ?? service.status?.loadBalancer?.ingress?.[0]?.ip;
      return ip === undefined ? undefined : status(ip);
    },
    async ensure(service) {
      const key = keyOf(service);
      const known = given.get(key) ?? service.status?.loadBalancer?.ingress?.[0]?.ip;
      const asked = service.spec.loadBalancerIP ?? "";
      const taken = new Set([...given].filter(([other]) => other !== key).map(([, ip]) => ip));
      if (asked !== "") {
        if (taken.has(asked)) throw new Error(`address ${asked} is already in use`);
        given.set(key, asked);
        return status(asked);
      }
      if (known !== undefined && !taken.has(known)) {
        given.set(key, known);
        return status(known);
      }
      for (let i = 1; i < size - 1; i++) {
        const ip = formatIPv4(range.address + i);
        if (taken.has(ip)) continue;
        given.set(key, ip);
        return status(ip);
      }
      throw new Error(`no address is left in ${addresses}`);
    },
    update: async () => {},
    async delete(service) {
      given.delete(keyOf(service));
    },
  };
  return {
    name: "box",
    loadBalancers,
    instances: {
      exists: async () => true,
      isShutDown: async () => false,
      metadata: async ({ metadata }) => ({ providerID: `box://${metadata.name}` }),
    },
  };
}
