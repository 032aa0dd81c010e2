/** IP sets of one namespace, as `ipset restore` makes them: hash:ip and hash:net. */
import { EEXIST, ENOENT } from "../../assembly/abi/core.ts";
import { IPSET_HASH_IP, IPSET_HASH_NET, IPSET_NOMATCH, NF_IPSET_ADD, NF_IPSET_NEW } from "../../assembly/abi/netfilter.ts";
import { parseIpv4 } from "./address.ts";
import type { NodeContext } from "./context.ts";
import { KernelError } from "./netns.ts";

const NAME = 32;
const IPV4_BITS = 32;

/** `ipset restore`: `create NAME TYPE` and `add NAME ELEMENT [nomatch]` lines. Throws KernelError for what is not known. */
export function restoreIpsets(context: NodeContext, netns: number, text: string): void {
  const { instance } = context;
  /** Prefix length of a hash:ip set's elements, undefined for hash:net. */
  const sets = new Map<string, number | undefined>();
  const refuse = (line: string): never => {
    throw new KernelError("EINVAL", `ipset: ${line}`);
  };
  const name = (text_: string, line: string): void => {
    if (text_ === "" || text_.length >= NAME) refuse(line);
    instance.view.setUint32(0, netns, true);
    for (let i = 0; i < NAME; i++) instance.u8[4 + i] = i < text_.length ? text_.charCodeAt(i) & 255 : 0;
  };
  for (const raw of text.split("\n")) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#") || line === "COMMIT") continue;
    const [verb, set = "", what = "", ...options] = line.split(/\s+/);
    if (verb === "create" || verb === "-N") {
      if (what !== "hash:ip" && what !== "hash:net") refuse(line);
      const netmask = options.indexOf("netmask");
      const bits = netmask < 0 ? IPV4_BITS : Number(options[netmask + 1]);
      if (!Number.isInteger(bits) || bits < 1 || bits > IPV4_BITS) refuse(line);
      sets.set(set, what === "hash:net" ? undefined : bits);
      name(set, line);
      instance.view.setUint32(4 + NAME, what === "hash:net" ? IPSET_HASH_NET : IPSET_HASH_IP, true);
      context.command(NF_IPSET_NEW, 8 + NAME, "ipset");
    } else if (verb === "add" || verb === "-A") {
      for (const [address, length] of elements(what, sets.get(set), () => refuse(line))) {
        name(set, line);
        instance.view.setUint32(4 + NAME, address);
        instance.view.setUint32(8 + NAME, length, true);
        instance.view.setUint32(12 + NAME, options.includes("nomatch") ? IPSET_NOMATCH : 0, true);
        context.command(NF_IPSET_ADD, 16 + NAME, "ipset", [EEXIST, ENOENT]);
      }
    } else refuse(line);
  }
}

/** The most elements that one line of a hash:ip set may name. */
const RANGE_MAX = 65536;

/**
 * {address, prefix length} pairs of `ADDRESS[/LENGTH]` or `FROM-TO`; in a hash:ip set every address is an element of its own, cut to
 * `netmask` bits.
 */
function elements(text: string, netmask: number | undefined, refuse: () => never): [number, number][] {
  const dash = text.indexOf("-");
  const slash = text.indexOf("/");
  const from = parseIpv4(dash >= 0 ? text.slice(0, dash) : slash >= 0 ? text.slice(0, slash) : text);
  if (from === undefined) return refuse();
  let bits = IPV4_BITS;
  let last = from;
  if (slash >= 0) {
    bits = Number(text.slice(slash + 1));
    if (!Number.isInteger(bits) || bits < 0 || bits > IPV4_BITS) return refuse();
  } else if (dash >= 0) {
    last = parseIpv4(text.slice(dash + 1)) ?? refuse();
    if (netmask === undefined) return cover(from, last);
  }
  if (netmask === undefined) return [[from, bits]];
  const first = bits === IPV4_BITS ? from : Math.floor(from / 2 ** (IPV4_BITS - bits)) * 2 ** (IPV4_BITS - bits);
  if (bits !== IPV4_BITS) last = first + 2 ** (IPV4_BITS - bits) - 1;
  if (last < first || last - first >= RANGE_MAX) return refuse();
  const all: [number, number][] = [];
  for (let address = first; address <= last; address++) all.push([address, netmask]);
  return all;
}

/** The fewest prefixes that are exactly the addresses from `from` to `to`. */
function cover(from: number, to: number): [number, number][] {
  const all: [number, number][] = [];
  let at = from;
  while (at <= to) {
    let size = 1;
    let bits = IPV4_BITS;
    for (; bits > 0 && at % (size * 2) === 0 && at + size * 2 - 1 <= to; bits--) size *= 2;
    all.push([at, bits]);
    at += size;
  }
  return all;
}
