/**
 * The flannel CNI plugin: makes a bridge and host-local configuration out of what flanneld wrote to subnet.env, and
 * delegates to it. Follows flannel-io/cni-plugin flannel.go and flannel_linux.go.
 */
import { parseCidr } from "../ip.ts";
import { CNI_ERROR, CniError, findPlugin, type CniCall, type CniPlugin, type NetConf } from "../types.ts";

export const SUBNET_ENV = "/run/flannel/subnet.env";

/** What flanneld tells the plugin. */
export interface SubnetEnv {
  /** The cluster's pod network. */
  readonly network: string;
  /** The gateway's address with the node's prefix length: `10.244.1.1/24`. */
  readonly subnet: string;
  readonly mtu: number;
  /** Whether flanneld masquerades; then the bridge must not. */
  readonly ipMasq: boolean;
}

export const formatSubnetEnv = ({ network, subnet, mtu, ipMasq }: SubnetEnv): string =>
  `FLANNEL_NETWORK=${network}\nFLANNEL_SUBNET=${subnet}\nFLANNEL_MTU=${mtu}\nFLANNEL_IPMASQ=${ipMasq}\n`;

function fail(message: string): never {
  throw new CniError(CNI_ERROR.internal, message);
}

/** Reads subnet.env; throws CniError, naming every field that is missing. */
export function parseSubnetEnv(text: string): SubnetEnv {
  const values = new Map(text.split("\n").flatMap((line) => {
    const at = line.indexOf("=");
    return at < 0 ? [] : [[line.slice(0, at), line.slice(at + 1).trim()] as const];
  }));
  const network = values.get("FLANNEL_NETWORK"), subnet = values.get("FLANNEL_SUBNET");
  const mtu = values.get("FLANNEL_MTU"), ipMasq = values.get("FLANNEL_IPMASQ");
  for (const cidr of [network, subnet]) {
    if (cidr !== undefined && parseCidr(cidr) === undefined) fail(`failed to load flannel 'subnet.env' file: invalid CIDR address: ${cidr}. Check the flannel pod log for this node.`);
  }
  const missing = [
    network === undefined ? "FLANNEL_NETWORK, FLANNEL_IPV6_NETWORK" : "", subnet === undefined ? "FLANNEL_SUBNET, FLANNEL_IPV6_SUBNET" : "",
    mtu === undefined ? "FLANNEL_MTU" : "", ipMasq === undefined ? "FLANNEL_IPMASQ" : "",
  ].filter((name) => name !== "");
  if (missing.length > 0) fail(`failed to load flannel 'subnet.env' file: ${SUBNET_ENV} is missing ${missing.join(", ")}. Check the flannel pod log for this node.`);
  return { network: network!, subnet: subnet!, mtu: Number(mtu), ipMasq: ipMasq === "true" };
}

export const flannel: CniPlugin = {
  type: "flannel",

  add(conf, call) {
    const delegate = delegateConf(conf, call);
    const path = statePath(conf, call);
    call.files.write(path, sortedJson(delegate));
    try {
      return findPlugin(call.plugins, delegate.type!).add(delegate, call);
    } catch (error) {
      call.files.remove(path);
      throw error;
    }
  },

  check(conf, call) {
    const delegate = storedDelegate(conf, call);
    if (delegate === undefined) fail(`failed to find delegate of container ${call.containerId}`);
    const withResult = conf.prevResult === undefined ? delegate : { ...delegate, prevResult: conf.prevResult };
    findPlugin(call.plugins, delegate.type!).check(withResult, call);
  },

  del(conf, call) {
    const delegate = storedDelegate(conf, call);
    if (delegate === undefined) return;
    findPlugin(call.plugins, delegate.type!).del(conf.prevResult === undefined ? delegate : { ...delegate, prevResult: conf.prevResult }, call);
    call.files.remove(statePath(conf, call));
  },
};

const statePath = (conf: NetConf, call: CniCall): string =>
  `${(conf["dataDir"] as string | undefined) ?? "/var/lib/cni/flannel"}/${call.containerId}`;

function storedDelegate(conf: NetConf, call: CniCall): NetConf | undefined {
  const text = call.files.read(statePath(conf, call));
  return text === undefined ? undefined : (JSON.parse(text) as NetConf);
}

function delegateConf(conf: NetConf, call: CniCall): NetConf {
  const file = (conf["subnetFile"] as string | undefined) ?? SUBNET_ENV;
  const text = call.files.read(file);
  if (text === undefined) fail(`failed to load flannel 'subnet.env' file: open ${file}: no such file or directory. Check the flannel pod log for this node.`);
  const env = parseSubnetEnv(text);
  const given = (conf["delegate"] as Record<string, unknown> | undefined) ?? {};
  if (given["name"] !== undefined) fail("'delegate' dictionary must not have 'name' field, it'll be set by flannel");
  if (given["ipam"] !== undefined) fail("'delegate' dictionary must not have 'ipam' field, it'll be set by flannel");
  const type = (given["type"] as string | undefined) ?? "bridge";
  const { ip, bits } = parseCidr(env.subnet)!;
  const subnet = `${[...ip].map((byte, i) => byte & (0xff00 >> Math.min(8, Math.max(0, bits - 8 * i))) & 255).join(".")}/${bits}`;
  const own = (conf.ipam ?? {}) as { readonly routes?: readonly unknown[] };
  return {
    mtu: env.mtu,
    ...given,
    type,
    name: conf.name!,
    cniVersion: conf.cniVersion ?? "1.0.0",
    // Exactly one of flanneld and the bridge masquerades.
    ipMasq: given["ipMasq"] ?? !env.ipMasq,
    ...(type === "bridge" && given["isGateway"] === undefined ? { isGateway: true } : {}),
    ...(conf.runtimeConfig === undefined ? {} : { runtimeConfig: conf.runtimeConfig }),
    ipam: {
      type: "host-local", ...own, ranges: [[{ subnet }]],
      routes: [...(own.routes ?? []), { dst: env.network }],
    },
  };
}

/** JSON with keys in order, as Go prints maps. */
function sortedJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(sortedJson).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const entries = Object.entries(value).filter(([, v]) => v !== undefined).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([k, v]) => `${JSON.stringify(k)}:${sortedJson(v)}`).join(",")}}`;
}
