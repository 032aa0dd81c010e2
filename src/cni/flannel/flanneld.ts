/**
 * flanneld with the VXLAN backend and Nodes as its store of subnets: makes this node's VTEP, says so in annotations on
 * its Node, and keeps one route, one neighbour and one FDB entry per other node. Follows flannel-io/flannel
 * pkg/subnet/kube/kube.go, pkg/backend/vxlan and pkg/trafficmngr/iptables.
 */
import type { Node } from "../../api/types.generated.ts";
import type { Netns } from "../../kernel/netns.ts";
import type { Logger } from "../../log.ts";
import type { Random } from "../../time/clock.ts";
import { formatIp, maskIp, nextIp, parseCidr } from "../ip.ts";
import type { CniFiles } from "../types.ts";
import { formatSubnetEnv, SUBNET_ENV } from "./flannel.ts";

/** net-conf.json. */
export interface FlannelConfig {
  /** The pod network of the whole cluster: `10.244.0.0/16`. */
  readonly network: string;
  readonly vni?: number;
  /** UDP port; Linux' default 8472 unless set. */
  readonly port?: number;
  /** `--ip-masq`. */
  readonly ipMasq?: boolean;
}

export interface FlanneldDeps {
  readonly config: FlannelConfig;
  readonly nodeName: string;
  readonly host: Netns;
  /** The device whose address other nodes send to. */
  readonly iface: string;
  readonly publicIP: string;
  readonly files: CniFiles;
  readonly random: Random;
  readonly log: Logger;
}

const PREFIX = "flannel.alpha.coreos.com/";
export const ANNOTATION = {
  backendData: `${PREFIX}backend-data`, backendType: `${PREFIX}backend-type`,
  subnetManager: `${PREFIX}kube-subnet-manager`, publicIP: `${PREFIX}public-ip`,
} as const;

/** The condition that flanneld sets on its Node once it runs. */
export const networkAvailable = {
  type: "NetworkUnavailable", status: "False", reason: "FlannelIsUp", message: "Flannel is running on this node",
} as const;

/** Another node's part of the overlay. */
interface Lease {
  readonly subnet: string;
  readonly gateway: string;
  readonly vtepMac: string;
  readonly publicIP: string;
}

const VXLAN_OVERHEAD = 50;

export class Flanneld {
  private readonly deps: FlanneldDeps;
  private readonly leases = new Map<string, Lease>();
  private readonly device: string;
  private vtepMac = "";

  constructor(deps: FlanneldDeps) {
    this.deps = deps;
    this.device = `flannel.${deps.config.vni ?? 1}`;
  }

  /**
   * Makes the VTEP and the rules for this node's pod CIDR, and writes subnet.env. Gives the annotations the own Node
   * must carry. Throws KernelError, and Error for a malformed CIDR.
   */
  start(podCIDR: string): Readonly<Record<string, string>> {
    const { config, host, iface, publicIP, files, log } = this.deps;
    const subnet = parseCidr(podCIDR);
    if (subnet === undefined || subnet.ip.length !== 4) throw new Error(`node "${this.deps.nodeName}" pod cidr not assigned`);
    const vni = config.vni ?? 1;
    const mtu = (host.link(iface)?.mtu ?? 1500) - VXLAN_OVERHEAD;
    if (host.link(this.device) === undefined) {
      host.addLink({
        kind: "vxlan", name: this.device, mac: randomMac(this.deps.random), mtu, vni, local: publicIP, dev: iface,
        dstPort: config.port ?? 8472, learning: false, udpCsum: true,
      });
    }
    const network = formatIp(maskIp(subnet.ip, subnet.bits));
    if (!host.addresses().some(({ dev, cidr }) => dev === this.device && cidr === `${network}/32`)) {
      host.addAddress(this.device, `${network}/32`);
    }
    host.setLink(this.device, { up: true });
    host.setSysctl("net.ipv4.ip_forward", 1);
    this.vtepMac = host.link(this.device)!.mac;
    this.setupRules(`${network}/${subnet.bits}`);
    files.write(SUBNET_ENV, formatSubnetEnv({
      network: config.network, subnet: `${formatIp(nextIp(maskIp(subnet.ip, subnet.bits)))}/${subnet.bits}`, mtu,
      ipMasq: config.ipMasq ?? true,
    }));
    log.info("Running backend.", { device: this.device, mtu });
    return {
      [ANNOTATION.backendData]: `{"VNI":${vni},"VtepMAC":"${this.vtepMac}"}`,
      [ANNOTATION.backendType]: "vxlan",
      [ANNOTATION.subnetManager]: "true",
      [ANNOTATION.publicIP]: publicIP,
    };
  }

  /** A Node as it is now: its lease is entered, changed or left as it is. */
  setNode(node: Node): void {
    const name = node.metadata.name;
    if (name === this.deps.nodeName) return;
    const lease = leaseOf(node);
    if (lease === undefined) return;
    const before = this.leases.get(name);
    if (before !== undefined) {
      if (before.subnet === lease.subnet && before.vtepMac === lease.vtepMac && before.publicIP === lease.publicIP) return;
      this.deleteNode(name);
    }
    const { host, log } = this.deps;
    const dev = this.device;
    host.setNeigh({ dev, dst: lease.gateway, lladdr: lease.vtepMac, state: "PERMANENT" });
    try {
      host.setFdb({ dev, lladdr: lease.vtepMac, dst: lease.publicIP });
      try {
        host.replaceRoute({ dst: lease.subnet, via: lease.gateway, dev, onlink: true });
      } catch (error) {
        host.deleteFdb(dev, lease.vtepMac, lease.publicIP);
        throw error;
      }
    } catch (error) {
      host.deleteNeigh(dev, lease.gateway);
      log.error("failed to add vxlanRoute", { subnet: lease.subnet, err: String(error) });
      return;
    }
    this.leases.set(name, lease);
    log.info("Subnet added", { subnet: lease.subnet, publicIP: lease.publicIP });
  }

  /** The Node is gone: so is its part of the overlay. */
  deleteNode(name: string): void {
    const lease = this.leases.get(name);
    if (lease === undefined) return;
    this.leases.delete(name);
    const { host, log } = this.deps;
    const dev = this.device;
    // Each on its own: what someone else took away must not keep the rest.
    for (const step of [
      () => host.deleteNeigh(dev, lease.gateway),
      () => host.deleteFdb(dev, lease.vtepMac, lease.publicIP),
      () => host.deleteRoute({ dst: lease.subnet, via: lease.gateway, dev }),
    ]) {
      try {
        step();
      } catch (error) {
        log.error("failed to remove vxlanRoute", { subnet: lease.subnet, err: String(error) });
      }
    }
  }

  /** trafficmngr/iptables: SetupAndEnsureMasqRules and SetupAndEnsureForwardRules. */
  private setupRules(subnet: string): void {
    const { config, host } = this.deps;
    const cluster = config.network;
    const masq = '-m comment --comment "flanneld masq"', forward = '-m comment --comment "flanneld forward"';
    const nat = host.iptables.save({ table: "nat" }), filter = host.iptables.save({ table: "filter" });
    const out: string[] = [];
    if (config.ipMasq ?? true) {
      const chain = "-A FLANNEL-POSTRTG";
      out.push(
        "*nat", ":FLANNEL-POSTRTG - [0:0]",
        // kube-proxy's mark: its own chain masquerades these.
        `${chain} -m mark --mark 0x4000/0x4000 ${masq} -j RETURN`,
        `${chain} -s ${subnet} -d ${cluster} ${masq} -j RETURN`,
        `${chain} -s ${cluster} -d ${subnet} ${masq} -j RETURN`,
        `${chain} ! -s ${cluster} -d ${subnet} ${masq} -j RETURN`,
        `${chain} -s ${cluster} ! -d 224.0.0.0/4 ${masq} -j MASQUERADE --random-fully`,
        `${chain} ! -s ${cluster} -d ${cluster} ${masq} -j MASQUERADE --random-fully`,
        ...(nat.includes("-j FLANNEL-POSTRTG\n") ? [] : [`-A POSTROUTING ${masq} -j FLANNEL-POSTRTG`]),
        "COMMIT",
      );
    }
    out.push(
      "*filter", ":FLANNEL-FWD - [0:0]",
      `-A FLANNEL-FWD -s ${cluster} ${forward} -j ACCEPT`,
      `-A FLANNEL-FWD -d ${cluster} ${forward} -j ACCEPT`,
      ...(filter.includes("-j FLANNEL-FWD\n") ? [] : [`-A FORWARD ${forward} -j FLANNEL-FWD`]),
      "COMMIT", "",
    );
    host.iptables.restore(out.join("\n"), { noflush: true });
  }
}

/** What a Node's annotations say of its part of the overlay; undefined until its flanneld ran. */
function leaseOf(node: Node): Lease | undefined {
  const notes = node.metadata.annotations;
  const cidr = parseCidr(node.spec.podCIDR ?? "");
  const publicIP = notes?.[ANNOTATION.publicIP];
  const mac = /"VtepMAC":"([0-9a-f:]{17})"/.exec(notes?.[ANNOTATION.backendData] ?? "")?.[1];
  if (notes?.[ANNOTATION.subnetManager] !== "true" || notes[ANNOTATION.backendType] !== "vxlan") return undefined;
  if (cidr === undefined || publicIP === undefined || mac === undefined) return undefined;
  const gateway = formatIp(maskIp(cidr.ip, cidr.bits));
  return { subnet: `${gateway}/${cidr.bits}`, gateway, vtepMac: mac, publicIP };
}

/** A locally administered unicast address (pkg/mac/mac.go: NewHardwareAddr). */
function randomMac(random: Random): string {
  const bytes = random.bytes(new Uint8Array(6));
  bytes[0] = (bytes[0]! & 0xfe) | 0x02;
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}
