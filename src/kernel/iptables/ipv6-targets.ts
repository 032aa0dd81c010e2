/** Targets of ip6tables: one entry per extension, as in iptables' extensions/libip6t_*.c and libxt_*.c. */
import { NAT_RANGE_MAP_IPS, TARGET_TTL } from "../../../assembly/abi/netfilter.ts";
import {
  NAT_RANGE6_BYTES, REJECT6_ADDR_UNREACH, REJECT6_ADM_PROHIBITED, REJECT6_NO_ROUTE, REJECT6_POLICY_FAIL,
  REJECT6_PORT_UNREACH, REJECT6_REJECT_ROUTE, REJECT6_TCP_RESET, TARGET_DNAT6, TARGET_HMARK6, TARGET_MASQUERADE6, TARGET_NETMAP6,
  TARGET_NPT, TARGET_REDIRECT6, TARGET_REJECT6, TARGET_SNAT6, TARGET_TEE6, TARGET_TPROXY6,
} from "../../../assembly/abi/xtables.ts";
import { formatIpv6, parseIpv6 } from "../address6.ts";
import { ARG, type Extension } from "./extension.ts";
import { NO_HOST, formatMask6, lengthMask6, maskLength6, parseHost6, parseOptionHost6, writeBytes } from "./ipv6-text.ts";
import { nat, rejectOf, type NatAddress, type NatStyle } from "./targets.ts";
import { hmarkOf } from "./targets-more.ts";
import { Refusal, hex, markMask, number, portNumber, usage } from "./text.ts";

const must = (ext: string, option: string): Refusal => usage(`${ext}: option "--${option}" must be specified\n`);

const nat6Address = (text: string): NatAddress => {
  const address = parseIpv6(text);
  if (address === undefined) throw usage(`Bad IP address "${text}"`);
  return { text: formatIpv6(address), encode: (w) => writeBytes(w, address) };
};
const NAT6: NatStyle = {
  bytes: NAT_RANGE6_BYTES,
  split(text) {
    const open = text.indexOf("[");
    if (open < 0) {
      // One colon alone is in front of ports, more are an address.
      const colon = text.indexOf(":");
      return colon < 0 || text.includes(":", colon + 1)
        ? { addresses: text, ports: undefined }
        : { addresses: text.slice(0, colon), ports: text.slice(colon + 1) };
    }
    const close = text.indexOf("]", open);
    if (close < 0) throw usage("Invalid address format");
    const colon = text.indexOf(":", close);
    return { addresses: text.slice(open + 1, close), ports: colon < 0 ? undefined : text.slice(colon + 1) };
  },
  address: nat6Address,
  none: { text: "", encode: (w) => void w.u64(0n).u64(0n) },
  beforePorts: (addresses) => `[${addresses}]`,
};

const netmap: Extension = {
  name: "NETMAP",
  options: { to: ARG },
  create() {
    let net = new Uint8Array(16);
    let mask = new Uint8Array(16);
    return {
      option(_name, argument) {
        ({ address: net, mask } = parseHost6(argument, NO_HOST) as { address: Uint8Array<ArrayBuffer>; mask: Uint8Array<ArrayBuffer> });
      },
      finish(given) {
        if (!given.has("to")) throw must("NETMAP", "to");
      },
      save: () => ` --to ${formatIpv6(net)}/${formatMask6(mask)}`,
      encode(w) {
        w.head(TARGET_NETMAP6, false, NAT_RANGE6_BYTES).u32(NAT_RANGE_MAP_IPS);
        writeBytes(w, net);
        writeBytes(w, net.map((byte, i) => byte | (~mask[i]! & 255)));
        w.u32(0).u32(0);
      },
    };
  },
};

// extensions/libip6t_REJECT.c; name, other name, number
const REJECTS: readonly (readonly [string, string, number])[] = [
  ["icmp6-no-route", "no-route", REJECT6_NO_ROUTE], ["icmp6-adm-prohibited", "adm-prohibited", REJECT6_ADM_PROHIBITED],
  ["icmp6-addr-unreachable", "addr-unreach", REJECT6_ADDR_UNREACH], ["icmp6-port-unreachable", "port-unreach", REJECT6_PORT_UNREACH],
  ["tcp-reset", "tcp-reset", REJECT6_TCP_RESET], ["icmp6-policy-fail", "policy-fail", REJECT6_POLICY_FAIL],
  ["icmp6-reject-route", "reject-route", REJECT6_REJECT_ROUTE],
];
const REJECT_DEFAULT = 3;

const HL_MODES = ["hl-set", "hl-inc", "hl-dec"];
const hl: Extension = {
  name: "HL",
  options: Object.fromEntries(HL_MODES.map((mode) => [mode, ARG])),
  create() {
    let mode = 0;
    let value = 0;
    return {
      option(name, argument) {
        mode = HL_MODES.indexOf(name);
        value = number("HL", name, argument, mode === 0 ? 0 : 1, 255, true);
      },
      finish(given) {
        if (given.size === 0) throw usage("HL: You must specify an action");
      },
      save: () => ` --${HL_MODES[mode]} ${value}`,
      encode(w) {
        w.head(TARGET_TTL, false, 8).u32(mode).u32(value);
      },
    };
  },
};

/** SNPT and DNPT. */
const npt = (name: string, source: boolean): Extension => ({
  name,
  options: { "src-pfx": ARG, "dst-pfx": ARG },
  create() {
    const prefixes = [new Uint8Array(16), new Uint8Array(16)];
    const bits = [0, 0];
    return {
      option(option, argument) {
        const i = option === "src-pfx" ? 0 : 1;
        const slash = argument.indexOf("/");
        const { mask } = parseHost6(argument, NO_HOST);
        prefixes[i] = parseOptionHost6(slash < 0 ? argument : argument.slice(0, slash)) as Uint8Array<ArrayBuffer>;
        bits[i] = maskLength6(mask);
      },
      finish(given) {
        for (const option of ["src-pfx", "dst-pfx"]) if (!given.has(option)) throw must(name, option);
        // ip6t_npt_checkentry
        const sound = prefixes.every((prefix, i) => bits[i]! >= 0 && bits[i]! <= 64 && prefix.every((byte, j) => (byte & ~lengthMask6(bits[i]!)[j]!) === 0));
        if (!sound) throw new Refusal("other", "Invalid argument. Run `dmesg' for more information");
      },
      save: () => ["src", "dst"].map((side, i) => ` --${side}-pfx ${formatIpv6(prefixes[i]!)}/${bits[i]}`).join(""),
      encode(w) {
        w.head(TARGET_NPT, false, 48).u32(source ? 1 : 0).u32(bits[0]!).u32(bits[1]!).u32(0);
        for (const prefix of prefixes) writeBytes(w, prefix);
      },
    };
  },
});

const tproxy: Extension = {
  name: "TPROXY",
  options: { "on-port": ARG, "on-ip": ARG, "tproxy-mark": ARG },
  create() {
    let port = 0;
    let address: Uint8Array = new Uint8Array(16);
    let mark = 0;
    let mask = 0;
    return {
      option(name, argument) {
        if (name === "on-ip") address = parseOptionHost6(argument);
        else if (name === "tproxy-mark") ({ value: mark, mask } = markMask("TPROXY", name, argument));
        else {
          const value = portNumber(argument);
          if (value === undefined) throw usage(`Port "${argument}" does not resolve to anything.\n`);
          port = value;
        }
      },
      finish(given) {
        if (!given.has("on-port")) throw must("TPROXY", "on-port");
      },
      save: () => ` --on-port ${port} --on-ip ${formatIpv6(address)} --tproxy-mark ${hex(mark)}/${hex(mask)}`,
      encode(w) {
        w.head(TARGET_TPROXY6, false, 28);
        writeBytes(w, address);
        w.u16(port).u16(0).u32(mark).u32(mask);
      },
    };
  },
};

const tee: Extension = {
  name: "TEE",
  options: { gateway: ARG },
  create() {
    let gateway: Uint8Array = new Uint8Array(16);
    return {
      option(_name, argument) {
        gateway = parseOptionHost6(argument);
      },
      finish(given) {
        if (!given.has("gateway")) throw must("TEE", "gateway");
      },
      save: () => ` --gateway ${formatIpv6(gateway)}`,
      encode(w) {
        w.head(TARGET_TEE6, false, 16);
        writeBytes(w, gateway);
      },
    };
  },
};

export const IPV6_TARGETS: readonly Extension[] = [
  nat("DNAT", TARGET_DNAT6, "to-destination", ["random", "persistent"], true, NAT6),
  nat("SNAT", TARGET_SNAT6, "to-source", ["random", "random-fully", "persistent"], true, NAT6),
  nat("MASQUERADE", TARGET_MASQUERADE6, "to-ports", ["random", "random-fully"], false, NAT6),
  nat("REDIRECT", TARGET_REDIRECT6, "to-ports", ["random"], false, NAT6), netmap, rejectOf(REJECTS, REJECT_DEFAULT, TARGET_REJECT6), hl,
  npt("SNPT", true), npt("DNPT", false), tproxy, tee,
  hmarkOf(128, TARGET_HMARK6, (w, bits) => writeBytes(w, lengthMask6(bits))),
];
