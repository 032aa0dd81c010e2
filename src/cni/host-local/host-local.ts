/**
 * The host-local IPAM plugin: addresses out of ranges, reservations as files of one node.
 * Follows containernetworking/plugins plugins/ipam/host-local: backend/allocator and backend/disk.
 */
import { cidrContains, compareIp, formatCidr, formatIp, lastIp, maskIp, nextIp, parseCidr, parseIp, type Cidr, type IpBytes } from "../ip.ts";
import { loadArgs } from "../skel.ts";
import { CNI_ERROR, CniError, type CniCall, type CniFiles, type CniIp, type CniPlugin, type CniResult, type CniRoute, type NetConf } from "../types.ts";

interface RangeConf {
  readonly subnet?: string;
  readonly rangeStart?: string;
  readonly rangeEnd?: string;
  readonly gateway?: string;
}

interface IpamConf extends RangeConf {
  readonly type?: string;
  readonly ranges?: readonly (readonly RangeConf[])[];
  readonly routes?: readonly CniRoute[];
  readonly dataDir?: string;
  readonly resolvConf?: string;
}

interface Range {
  readonly subnet: Cidr;
  readonly start: IpBytes;
  readonly end: IpBytes;
  readonly gateway: IpBytes;
}

export const hostLocal: CniPlugin = {
  type: "host-local",

  add(conf, call) {
    const { sets, ipam, store } = load(conf, call);
    const dns = ipam.resolvConf === undefined || ipam.resolvConf === "" ? undefined : resolvConfDns(ipam.resolvConf, call.files);
    const requested = requestedIps(conf, call);
    const ips: CniIp[] = [];
    try {
      sets.forEach((set, index) => {
        const at = requested.findIndex((ip) => set.some((range) => contains(range, ip)));
        const wanted = at < 0 ? undefined : requested.splice(at, 1)[0];
        try {
          ips.push(allocate(set, index, store, call, wanted));
        } catch (error) {
          fail(`failed to allocate for range ${index}: ${(error as Error).message}`);
        }
      });
      if (requested.length > 0) fail(`failed to allocate all requested IPs: ${requested.map(formatIp).join(",")}`);
    } catch (error) {
      // Only what this call reserved: the same interface may hold addresses from an earlier one.
      for (const { address } of ips) store.releaseIp(address.split("/")[0]!);
      throw error;
    }
    return { cniVersion: conf.cniVersion ?? "1.0.0", ips, ...(ipam.routes === undefined ? {} : { routes: ipam.routes }), ...(dns === undefined ? {} : { dns }) } satisfies CniResult;
  },

  check(conf, call) {
    const { store } = load(conf, call);
    if (store.byId(call.containerId, call.ifName).length === 0) {
      fail(`host-local: Failed to find address added by container ${call.containerId}`);
    }
  },

  del(conf, call) {
    const { store } = load(conf, call);
    store.release(call.containerId, call.ifName);
  },
};

function fail(message: string): never {
  throw new CniError(CNI_ERROR.internal, message);
}

/** dns.go: parseResolvConf. */
function resolvConfDns(path: string, files: CniFiles): Record<string, unknown> {
  const text = files.read(path) ?? fail(`open ${path}: no such file or directory`);
  const lines = text.split("\n").map((line) => line.trim().split(/\s+/)).filter(([key]) => key !== undefined && !/^[#;]/.test(key));
  const all = (key: string): string[] => lines.filter(([name]) => name === key).flatMap(([, ...values]) => values);
  const nameservers = lines.filter(([name]) => name === "nameserver").map(([, value]) => value!);
  const domain = all("domain")[0], search = all("search"), options = all("options");
  return {
    ...(nameservers.length > 0 ? { nameservers } : {}), ...(domain === undefined ? {} : { domain }),
    ...(search.length > 0 ? { search } : {}), ...(options.length > 0 ? { options } : {}),
  };
}

function load(conf: NetConf, call: CniCall): { sets: Range[][]; ipam: IpamConf; store: Store } {
  const ipam = conf.ipam as IpamConf | undefined;
  if (ipam === undefined) fail("IPAM config missing 'ipam' key");
  const confs: (readonly RangeConf[])[] = [];
  const extra = conf.runtimeConfig?.["ipRanges"] as readonly (readonly RangeConf[])[] | undefined;
  if (ipam.subnet !== undefined) confs.push([ipam]);
  confs.push(...(extra ?? []), ...(ipam.ranges ?? []));
  if (confs.length === 0) fail("no IP ranges specified");
  const sets = confs.map((set, i) => {
    if (set.length === 0) fail(`invalid range set ${i}: empty range set`);
    const ranges = set.map((range) => canonicalRange(range, i));
    ranges.forEach((a, j) => {
      if (a.subnet.ip.length !== ranges[0]!.subnet.ip.length) fail(`invalid range set ${i}: mixed address families`);
      for (const b of ranges.slice(j + 1)) {
        if (overlaps(a, b)) fail(`invalid range set ${i}: subnets ${rangeText(a)} and ${rangeText(b)} overlap`);
      }
    });
    return ranges;
  });
  sets.forEach((set, i) => {
    for (const other of sets.slice(i + 1)) {
      const j = sets.indexOf(other);
      if (set.some((a) => other.some((b) => overlaps(a, b)))) fail(`range set ${i} overlaps with ${j}`);
    }
  });
  return { sets, ipam, store: new Store(call.files, ipam.dataDir ?? "/var/lib/cni/networks", conf.name ?? "") };
}

/** allocator/range.go: Range.Canonicalize. */
function canonicalRange(conf: RangeConf, set: number): Range {
  const bad = (message: string): never => fail(`invalid range set ${set}: ${message}`);
  const subnet = parseCidr(conf.subnet ?? "");
  if (subnet === undefined) throw new CniError(CNI_ERROR.internal, `invalid CIDR address: ${conf.subnet ?? ""}`);
  const { ip, bits } = subnet;
  const total = ip.length * 8;
  if (total - bits <= 1) bad(`Network ${formatCidr(subnet)} too small to allocate from`);
  const network = maskIp(ip, bits);
  if (compareIp(network, ip) !== 0) {
    bad(`Network has host bits set. For a subnet mask of length ${bits} the network address is ${formatIp(network)}`);
  }
  const address = (text: string | undefined, fallback: IpBytes, what: string): IpBytes => {
    if (text === undefined || text === "") return fallback;
    const parsed = parseIp(text);
    if (parsed === undefined) throw new CniError(CNI_ERROR.internal, `invalid IP address: ${text}`);
    if (!cidrContains(subnet, parsed)) bad(`${what} ${text} not in network ${formatCidr(subnet)}`);
    return parsed;
  };
  const top = lastIp(subnet);
  const first = nextIp(network);
  const gateway = conf.gateway === undefined || conf.gateway === "" ? first : parseIp(conf.gateway);
  if (gateway === undefined) throw new CniError(CNI_ERROR.internal, `invalid IP address: ${conf.gateway}`);
  const start = address(conf.rangeStart, first, "RangeStart");
  const end = address(conf.rangeEnd, ip.length === 4 ? nextIp(top, -1) : top, "RangeEnd");
  if (compareIp(start, end) > 0) bad(`RangeStart ${formatIp(start)} not in network ${formatCidr(subnet)}`);
  return { subnet, start, end, gateway };
}

const contains = (range: Range, ip: IpBytes): boolean =>
  cidrContains(range.subnet, ip) && compareIp(ip, range.start) >= 0 && compareIp(ip, range.end) <= 0;
const overlaps = (a: Range, b: Range): boolean =>
  a.subnet.ip.length === b.subnet.ip.length &&
  (contains(a, b.start) || contains(a, b.end) || contains(b, a.start) || contains(b, a.end));
const rangeText = (range: Range): string => `${formatIp(range.start)}-${formatIp(range.end)}`;

/** The addresses someone asks for: CNI_ARGS, `args.cni.ips`, `runtimeConfig.ips`. */
function requestedIps(conf: NetConf, call: CniCall): IpBytes[] {
  const texts: string[] = [];
  const ip = loadArgs(call.args, ["IP"]).get("IP");
  if (ip !== undefined && ip !== "") texts.push(ip);
  for (const list of [conf.args?.cni?.["ips"], conf.runtimeConfig?.["ips"]]) if (Array.isArray(list)) texts.push(...(list as string[]));
  return texts.map((text) => {
    const ip = text.includes("/") ? parseCidr(text)?.ip : parseIp(text);
    return ip ?? fail(`failed to parse IP address ${text}`);
  });
}

/** allocator/allocator.go: IPAllocator.Get. */
function allocate(set: readonly Range[], index: number, store: Store, call: CniCall, wanted: IpBytes | undefined): CniIp {
  const { containerId, ifName } = call;
  const config = (ip: IpBytes, range: Range): CniIp => ({ address: `${formatIp(ip)}/${range.subnet.bits}`, gateway: formatIp(range.gateway) });
  if (wanted !== undefined) {
    const range = set.find((candidate) => contains(candidate, wanted))!;
    if (compareIp(wanted, range.gateway) === 0) fail(`requested ip ${formatIp(wanted)} is subnet's gateway`);
    if (!store.reserve(containerId, ifName, wanted, index)) {
      fail(`requested IP address ${formatIp(wanted)} is not available in range set ${set.map(rangeText).join(",")}`);
    }
    return config(wanted, range);
  }
  for (const ip of store.byId(containerId, ifName)) {
    if (set.some((range) => contains(range, ip))) {
      fail(`${formatIp(ip)} has been allocated to ${containerId}, duplicate allocation is not allowed`);
    }
  }
  // Round robin: on from the address handed out last, so that a freed one rests.
  const last = store.lastReserved(index);
  let at = last === undefined ? -1 : set.findIndex((range) => contains(range, last));
  let cur = at < 0 ? undefined : last;
  let first: IpBytes | undefined;
  if (at < 0) at = 0;
  for (;;) {
    if (cur === undefined) cur = set[at]!.start;
    else if (compareIp(cur, set[at]!.end) === 0) {
      at = (at + 1) % set.length;
      cur = set[at]!.start;
    } else cur = nextIp(cur);
    if (first === undefined) first = cur;
    else if (compareIp(cur, first) === 0) break;
    if (compareIp(cur, set[at]!.gateway) === 0) continue;
    if (store.reserve(containerId, ifName, cur, index)) return config(cur, set[at]!);
  }
  return fail(`no IP addresses available in range set: ${set.map(rangeText).join(",")}`);
}

/** Reservations: a file per address, holding the container and its interface (backend/disk). */
class Store {
  private readonly files: CniFiles;
  private readonly directory: string;

  constructor(files: CniFiles, dataDir: string, network: string) {
    this.files = files;
    this.directory = `${dataDir}/${network}`;
  }

  reserve(id: string, ifName: string, ip: IpBytes, range: number): boolean {
    const path = `${this.directory}/${formatIp(ip)}`;
    if (this.files.read(path) !== undefined) return false;
    this.files.write(path, `${id}\n${ifName}`);
    this.files.write(`${this.directory}/last_reserved_ip.${range}`, formatIp(ip));
    return true;
  }

  lastReserved(range: number): IpBytes | undefined {
    return parseIp(this.files.read(`${this.directory}/last_reserved_ip.${range}`) ?? "");
  }

  byId(id: string, ifName: string): IpBytes[] {
    return this.paths(id, ifName).flatMap((path) => parseIp(path.slice(this.directory.length + 1)) ?? []);
  }

  releaseIp(ip: string): void {
    this.files.remove(`${this.directory}/${ip}`);
  }

  release(id: string, ifName: string): void {
    for (const path of this.paths(id, ifName)) this.files.remove(path);
  }

  private paths(id: string, ifName: string): string[] {
    return this.files.list(this.directory).filter((path) => this.files.read(path)!.trim() === `${id}\n${ifName}`);
  }
}
