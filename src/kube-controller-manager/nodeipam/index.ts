/**
 * Node IPAM: a pod range for every node, one after the other. Follows
 * pkg/controller/nodeipam/ipam (range_allocator.go, cidrset/cidr_set.go).
 */
import { keyOf } from "../../apimachinery/meta.ts";
import { formatIPv4, parseCIDR } from "../../apimachinery/validation.ts";
import { done } from "../../client/controller.ts";
import type { Controller } from "../../client/controller.ts";
import type { ControllerContext } from "../controller-context.ts";

/** The ranges of one size inside a cluster range. */
export interface CidrSet {
  /** The next free range after the last one given out; undefined when there is none. */
  allocateNext(): string | undefined;
  occupy(cidr: string): void;
  release(cidr: string): void;
}

/** `nodeMaskSize` 24 in `10.244.0.0/16` gives 256 ranges. Throws on what is no IPv4 range. */
export function createCidrSet(clusterCidr: string, nodeMaskSize: number): CidrSet {
  const cluster = parseCIDR(clusterCidr);
  if (cluster === undefined || nodeMaskSize < cluster.bits || nodeMaskSize > 30) throw new Error(`invalid cluster CIDR ${clusterCidr} with node mask ${nodeMaskSize}`);
  const count = 2 ** (nodeMaskSize - cluster.bits);
  const size = 2 ** (32 - nodeMaskSize);
  const used = new Set<number>();
  let next = 0;
  const indexOf = (cidr: string): number => {
    const range = parseCIDR(cidr);
    return range === undefined ? -1 : Math.floor((range.address - cluster.address) / size);
  };
  return {
    allocateNext() {
      for (let i = 0; i < count; i++) {
        const index = (next + i) % count;
        if (used.has(index)) continue;
        used.add(index);
        next = (index + 1) % count;
        return `${formatIPv4(cluster.address + index * size)}/${nodeMaskSize}`;
      }
      return undefined;
    },
    occupy(cidr) {
      const index = indexOf(cidr);
      if (index >= 0 && index < count) used.add(index);
    },
    release(cidr) {
      used.delete(indexOf(cidr));
    },
  };
}

export interface NodeIpamOptions {
  /** `--cluster-cidr` (default 10.244.0.0/16). */
  clusterCidr?: string;
  /** `--node-cidr-mask-size` (default 24). */
  nodeCidrMaskSize?: number;
}

export function newNodeIpamController(context: ControllerContext, options: NodeIpamOptions = {}): Controller {
  const { client, informers } = context;
  const nodes = informers.informer("nodes");
  const ranges = createCidrSet(options.clusterCidr ?? "10.244.0.0/16", options.nodeCidrMaskSize ?? 24);
  const recorder = context.recorder("cidrAllocator");
  return {
    name: "node-ipam-controller",
    // One at a time: ranges follow the order in which nodes came.
    workers: 1,
    setup(queue) {
      nodes.addHandler({
        add(node) {
          for (const cidr of node.spec.podCIDRs ?? []) ranges.occupy(cidr);
          queue.add(keyOf(node));
        },
        delete(node) {
          for (const cidr of node.spec.podCIDRs ?? []) ranges.release(cidr);
        },
      });
    },
    async reconcile(key, signal) {
      const node = nodes.getByKey(key);
      if (node === undefined || (node.spec.podCIDRs ?? []).length > 0) return done;
      const cidr = ranges.allocateNext();
      if (cidr === undefined) {
        recorder.event({ ...node, kind: "Node", apiVersion: "v1" }, "Normal", "CIDRNotAvailable", `Node ${key} status is now: CIDRNotAvailable`);
        throw new Error("CIDR allocation failed; there are no remaining CIDRs left to allocate in the accepted range");
      }
      try {
        await client.nodes.patch("", key, "strategic", { spec: { podCIDR: cidr, podCIDRs: [cidr] } }, undefined, signal);
      } catch (e) {
        ranges.release(cidr);
        throw e;
      }
      return done;
    },
  };
}
