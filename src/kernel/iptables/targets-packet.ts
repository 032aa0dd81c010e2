/** Targets that change or copy a packet, beyond those that pods, Services and an overlay use. */
import {
  ECNOP_CWR, ECNOP_ECE, ECNOP_IP, NAT_RANGE_BYTES, NAT_RANGE_MAP_IPS, TARGET_CLASSIFY, TARGET_CONNMARK, TARGET_ECN, TARGET_LOG,
  TARGET_NETMAP, TARGET_TCPMSS, TARGET_TEE, TARGET_TOS, TARGET_TTL,
} from "../../../assembly/abi/netfilter.ts";
import { formatIpv4 } from "../address.ts";
import { ARG, type Extension } from "./extension.ts";
import { parseDscpClass, parseTos } from "./matches-packet.ts";
import { MARK_OPTIONS, markOperation } from "./targets.ts";
import { formatMask, hex2, number, parseAddress, parseHost, parseNumber, quote, usage, hex } from "./text.ts";

const netmap: Extension = {
  name: "NETMAP",
  options: { to: ARG },
  create() {
    let net = 0;
    let mask = 0xffffffff;
    return {
      option(_name, argument) {
        const slash = argument.indexOf("/");
        const host = parseHost(argument);
        parseAddress(slash < 0 ? argument : argument.slice(0, slash));
        net = host.address;
        mask = host.mask;
      },
      finish(given) {
        if (!given.has("to")) throw usage('NETMAP: option "--to" must be specified\n');
      },
      save() {
        const bits = formatMask(mask);
        return ` --to ${formatIpv4(net)}${bits === "32" ? "" : `/${bits}`}`;
      },
      encode(w) {
        w.head(TARGET_NETMAP, false, NAT_RANGE_BYTES).u32(NAT_RANGE_MAP_IPS).u32(net).u32((net | ~mask) >>> 0).u32(0).u32(0);
      },
    };
  },
};

const LOG_LEVELS = ["emerg", "alert", "crit", "error", "warning", "notice", "info", "debug"];
const LOG_ALIASES: Readonly<Record<string, number>> = { panic: 0, err: 3, warn: 4 };
const LOG_FLAGS = ["log-tcp-sequence", "log-tcp-options", "log-ip-options", "log-uid", "log-macdecode"];
const LOG_PREFIX_MAX = 29;
const LOG_LEVEL_DEFAULT = 4;

const log: Extension = {
  name: "LOG",
  options: { "log-level": ARG, "log-prefix": ARG, ...Object.fromEntries(LOG_FLAGS.map((flag) => [flag, 0])) },
  create() {
    let level = LOG_LEVEL_DEFAULT;
    let prefix = "";
    const flags = new Set<string>();
    return {
      option(name, argument) {
        if (name === "log-level") {
          const found = LOG_ALIASES[argument] ?? LOG_LEVELS.indexOf(argument);
          const value = found >= 0 ? found : parseNumber(argument, 0, 7);
          if (value === undefined) throw usage(`log level "${argument}" unknown\n`);
          level = value;
        } else if (name === "log-prefix") prefix = argument.slice(0, LOG_PREFIX_MAX);
        else flags.add(name);
      },
      save: () =>
        (prefix === "" ? "" : ` --log-prefix ${quote(prefix)}`) +
        (level === LOG_LEVEL_DEFAULT ? "" : ` --log-level ${level}`) +
        LOG_FLAGS.filter((flag) => flags.has(flag)).map((flag) => ` --${flag}`).join(""),
      encode(w) {
        w.head(TARGET_LOG, false, 0);
      },
    };
  },
};

const CLAMP = 0xffff;
const tcpmss: Extension = {
  name: "TCPMSS",
  options: { "set-mss": ARG, "clamp-mss-to-pmtu": 0 },
  create() {
    let mss = 0;
    return {
      option(name, argument) {
        mss = name === "set-mss" ? number("TCPMSS", name, argument, 0, 65495, true) : CLAMP;
      },
      finish(given) {
        if (given.size === 0) throw usage("TCPMSS target: At least one parameter is required");
        if (given.size === 2) throw usage('TCPMSS: option "--clamp-mss-to-pmtu" cannot be used together with "--set-mss".\n');
      },
      save: () => (mss === CLAMP ? " --clamp-mss-to-pmtu" : ` --set-mss ${mss}`),
      encode(w) {
        w.head(TARGET_TCPMSS, false, 4).u32(mss);
      },
    };
  },
};

const dscp: Extension = {
  name: "DSCP",
  options: { "set-dscp": ARG, "set-dscp-class": ARG },
  create() {
    let value = 0;
    return {
      option(name, argument) {
        value = name === "set-dscp" ? number("DSCP", name, argument, 0, 63, true) : parseDscpClass(argument);
      },
      finish(given) {
        if (given.size === 0) throw usage("DSCP target: Parameter --set-dscp is required");
      },
      save: () => ` --set-dscp ${hex2(value)}`,
      encode(w) {
        w.head(TARGET_TOS, false, 8).u32(value << 2).u32(0xfc);
      },
    };
  },
};

const tos: Extension = {
  name: "TOS",
  options: { "set-tos": ARG, "and-tos": ARG, "or-tos": ARG, "xor-tos": ARG },
  create() {
    let value = 0;
    let mask = 0;
    return {
      option(name, argument) {
        if (name === "set-tos") {
          ({ value, mask } = parseTos("TOS", name, argument));
          return;
        }
        const bits = number("TOS", name, argument, 0, 255);
        value = name === "and-tos" ? 0 : bits;
        mask = name === "and-tos" ? ~bits & 255 : name === "or-tos" ? bits : 0;
      },
      finish(given) {
        if (given.size === 0) throw usage("TOS: An action is required");
      },
      save: () => ` --set-tos ${hex2(value)}/${hex2(mask)}`,
      encode(w) {
        w.head(TARGET_TOS, false, 8).u32(value).u32(mask);
      },
    };
  },
};

const TTL_MODES = ["ttl-set", "ttl-inc", "ttl-dec"];
const ttl: Extension = {
  name: "TTL",
  options: Object.fromEntries(TTL_MODES.map((mode) => [mode, ARG])),
  create() {
    let mode = 0;
    let value = 0;
    return {
      option(name, argument) {
        mode = TTL_MODES.indexOf(name);
        value = number("TTL", name, argument, 0, 255, true);
        if (mode !== 0 && value === 0) throw usage("TTL: increment/decrement by 0?");
      },
      finish(given) {
        if (given.size === 0) throw usage("TTL: You must specify an action");
      },
      save: () => ` --${TTL_MODES[mode]} ${value}`,
      encode(w) {
        w.head(TARGET_TTL, false, 8).u32(mode).u32(value);
      },
    };
  },
};

const tee: Extension = {
  name: "TEE",
  options: { gateway: ARG },
  create() {
    let gateway = 0;
    return {
      option(_name, argument) {
        gateway = parseAddress(argument);
      },
      finish(given) {
        if (!given.has("gateway")) throw usage('TEE: option "--gateway" must be specified\n');
      },
      save: () => ` --gateway ${formatIpv4(gateway)}`,
      encode(w) {
        w.head(TARGET_TEE, false, 4).address(gateway);
      },
    };
  },
};

const classify: Extension = {
  name: "CLASSIFY",
  options: { "set-class": ARG },
  create() {
    let major = 0;
    let minor = 0;
    const hex4 = (value: number): string => value.toString(16).padStart(4, "0");
    return {
      option(_name, argument) {
        const match = /^([0-9a-fA-F]{1,4}):([0-9a-fA-F]{1,4})$/.exec(argument);
        if (match === null) throw usage(`Bad class value "${argument}"`);
        major = parseInt(match[1]!, 16);
        minor = parseInt(match[2]!, 16);
      },
      finish(given) {
        if (!given.has("set-class")) throw usage('CLASSIFY: option "--set-class" must be specified\n');
      },
      save: () => ` --set-class ${hex4(major)}:${hex4(minor)}`,
      encode(w) {
        w.head(TARGET_CLASSIFY, false, 4).u32(((major << 16) | minor) >>> 0);
      },
    };
  },
};

const ecn: Extension = {
  name: "ECN",
  options: { "ecn-tcp-remove": 0 },
  create: () => ({
    option() {},
    finish(given) {
      if (given.size === 0) throw usage("ECN target: An operation is required");
    },
    save: () => " --ecn-tcp-remove",
    encode(w) {
      w.head(TARGET_ECN, false, 8).u32((ECNOP_ECE | ECNOP_CWR) & ~ECNOP_IP).u32(0);
    },
  }),
};

const connmark: Extension = {
  name: "CONNMARK",
  options: { ...MARK_OPTIONS, "save-mark": 0, "restore-mark": 0, nfmask: ARG, ctmask: ARG, mask: ARG },
  create() {
    let mode = -1;
    let ctmark = 0;
    let ctmask = 0xffffffff;
    let nfmask = 0xffffffff;
    return {
      option(name, argument) {
        if (name === "save-mark") mode = 1;
        else if (name === "restore-mark") mode = 2;
        else if (name === "nfmask") nfmask = number("CONNMARK", name, argument);
        else if (name === "ctmask") ctmask = number("CONNMARK", name, argument);
        else if (name === "mask") nfmask = ctmask = number("CONNMARK", name, argument);
        else {
          const operation = markOperation("CONNMARK", name, argument)!;
          mode = 0;
          ctmark = operation.value;
          ctmask = operation.mask;
        }
      },
      finish() {
        if (mode < 0) throw usage("CONNMARK target: No operation specified");
      },
      save: () =>
        mode === 0
          ? ` --set-xmark ${hex(ctmark)}/${hex(ctmask)}`
          : ` --${mode === 1 ? "save" : "restore"}-mark --nfmask ${hex(nfmask)} --ctmask ${hex(ctmask)}`,
      encode(w) {
        w.head(TARGET_CONNMARK, false, 16).u32(mode).u32(ctmark).u32(ctmask).u32(nfmask);
      },
    };
  },
};

export const PACKET_TARGETS: readonly Extension[] = [connmark, netmap, log, tcpmss, dscp, tos, ttl, tee, classify, ecn];
