/** The Container Network Interface's objects (CNI spec 1.1.0, github.com/containernetworking/cni SPEC.md and pkg/types). */
import type { Netns } from "../kernel/netns.ts";
import type { Random } from "../time/clock.ts";

/** A network configuration as a plugin gets it: its own fields beside the common ones. */
export interface NetConf {
  readonly cniVersion?: string;
  readonly name?: string;
  readonly type?: string;
  readonly ipam?: Readonly<Record<string, unknown>> & { readonly type?: string };
  readonly prevResult?: CniResult;
  readonly runtimeConfig?: Readonly<Record<string, unknown>>;
  readonly args?: { readonly cni?: Readonly<Record<string, unknown>> };
  readonly [field: string]: unknown;
}

/** A network configuration list: `/etc/cni/net.d/*.conflist`. */
export interface NetConfList {
  readonly cniVersion: string;
  readonly name: string;
  readonly plugins: readonly NetConf[];
}

export interface CniInterface {
  readonly name: string;
  readonly mac?: string;
  readonly sandbox?: string;
}

export interface CniIp {
  /** With prefix length. */
  readonly address: string;
  readonly gateway?: string;
  /** Index into `interfaces`. */
  readonly interface?: number;
}

export interface CniRoute {
  readonly dst: string;
  readonly gw?: string;
  readonly mtu?: number;
  readonly advmss?: number;
  readonly priority?: number;
}

/** The result of ADD, in the shape of spec 1.0.0. */
export interface CniResult {
  readonly cniVersion: string;
  readonly interfaces?: readonly CniInterface[];
  readonly ips?: readonly CniIp[];
  readonly routes?: readonly CniRoute[];
  readonly dns?: Readonly<Record<string, unknown>>;
}

/** Codes of the spec; plugins' own start at 100, and 999 is "something failed" (skel: ErrInternal). */
export const CNI_ERROR = {
  incompatibleVersion: 1, unsupportedField: 2, unknownContainer: 3, invalidEnvironment: 4, io: 5, decoding: 6,
  invalidNetworkConfig: 7, tryAgainLater: 11, internal: 999,
} as const;

/** What a plugin prints when it fails. */
export class CniError extends Error {
  readonly code: number;
  readonly details: string;
  constructor(code: number, message: string, details = "") {
    super(message);
    this.name = "CniError";
    this.code = code;
    this.details = details;
  }

  /** The object on stdout. */
  toObject(): { code: number; msg: string; details?: string } {
    return { code: this.code, msg: this.message, ...(this.details === "" ? {} : { details: this.details }) };
  }
}

/** The files that plugins keep on a node (`/var/lib/cni`, `/run/flannel`). */
export interface CniFiles {
  read(path: string): string | undefined;
  write(path: string, text: string): void;
  remove(path: string): void;
  /** Paths below `directory`, sorted. */
  list(directory: string): string[];
}

/** Files in memory: those of one node. */
export function memoryFiles(): CniFiles {
  const files = new Map<string, string>();
  return {
    read: (path) => files.get(path),
    write: (path, text) => void files.set(path, text),
    remove: (path) => void files.delete(path),
    list: (directory) => [...files.keys()].filter((path) => path.startsWith(`${directory}/`)).sort(),
  };
}

/** One call of a plugin: what the CNI_* variables say. */
export interface CniCall {
  readonly host: Netns;
  /** undefined: it is gone (DEL must still succeed). */
  readonly netns: Netns | undefined;
  /** As results name it: `/var/run/netns/cni-…`. */
  readonly netnsPath: string;
  readonly containerId: string;
  readonly ifName: string;
  /** `CNI_ARGS`, such as `IP=10.22.0.9;K8S_POD_NAME=web`. */
  readonly args?: string;
  readonly files: CniFiles;
  readonly random: Random;
  /** Other plugins by type: what lies in CNI_PATH. */
  readonly plugins: ReadonlyMap<string, CniPlugin>;
}

/** A plugin: configuration in, changes to the namespaces, a result out. All throw CniError. */
export interface CniPlugin {
  readonly type: string;
  add(conf: NetConf, call: CniCall): CniResult;
  /** Throws if what ADD made is not there. */
  check(conf: NetConf, call: CniCall): void;
  /** Succeeds when nothing is left to delete. */
  del(conf: NetConf, call: CniCall): void;
}

const failure = (error: unknown): CniError =>
  error instanceof CniError ? error : new CniError(CNI_ERROR.internal, error instanceof Error ? error.message : String(error));

/** Runs a call that may throw any error, so that it throws CniErrors only. */
export function asCniError<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw failure(error);
  }
}

/** The plugin `type`, or the error of libcni when CNI_PATH has none. */
export function findPlugin(plugins: ReadonlyMap<string, CniPlugin>, type: string): CniPlugin {
  const found = plugins.get(type);
  if (found === undefined) throw new CniError(CNI_ERROR.internal, `failed to find plugin "${type}" in path [/opt/cni/bin]`);
  return found;
}

export const SUPPORTED_VERSIONS = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"] as const;

/** A result as an older spec version shapes it (pkg/types/040 and 020); a JSON value. */
export function resultAs(result: CniResult, version: string): Record<string, unknown> {
  const v6 = (ip: CniIp): boolean => ip.address.includes(":");
  if (version.startsWith("1.")) return { ...result, cniVersion: version };
  const routes = (result.routes ?? []).map(({ dst, gw }) => (gw === undefined ? { dst } : { dst, gw }));
  if (version === "0.1.0" || version === "0.2.0") {
    const part = (six: boolean): Record<string, unknown> | undefined => {
      const ip = (result.ips ?? []).find((candidate) => v6(candidate) === six);
      if (ip === undefined) return undefined;
      const own = routes.filter((route) => route.dst.includes(":") === six);
      return { ip: ip.address, ...(ip.gateway === undefined ? {} : { gateway: ip.gateway }), ...(own.length > 0 ? { routes: own } : {}) };
    };
    const ip4 = part(false), ip6 = part(true);
    return { cniVersion: version, ...(ip4 === undefined ? {} : { ip4 }), ...(ip6 === undefined ? {} : { ip6 }), dns: result.dns ?? {} };
  }
  return {
    ...result, cniVersion: version, dns: result.dns ?? {},
    ...(result.ips === undefined ? {} : { ips: result.ips.map((ip) => ({ version: v6(ip) ? "6" : "4", ...ip })) }),
    ...(result.routes === undefined ? {} : { routes }),
  };
}
