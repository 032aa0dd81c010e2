/** Matches of the full kernel that ask about a packet's connection, as in iptables' extensions/libxt_*.c: labels, bytes, limits, helpers, policies. */
import {
  CONNLIMIT_DADDR, CONNLIMIT_INVERT, HELPER_FTP, HELPER_OTHER, HELPER_TFTP, MATCH_CLUSTER, MATCH_CONNBYTES, MATCH_CONNLABEL,
  MATCH_CONNLIMIT, MATCH_HELPER, MATCH_POLICY,
} from "../../../assembly/abi/xtables.ts";
import { formatIpv4 } from "../address.ts";
import { ARG, INV, MULTI, type Extension } from "./extension.ts";
import { bang, bigNumber, must } from "./match-words.ts";
import { formatMask, hex, number, parseHost, parseNumber, parseProtocol, usage } from "./text.ts";
import type { Writer } from "./writer.ts";

const hex8 = (value: number): string => `0x${(value >>> 0).toString(16).padStart(8, "0")}`;

const connlabel: Extension = {
  name: "connlabel",
  options: { label: ARG | INV, set: 0 },
  create() {
    let bit = 0;
    let set = false;
    let inverted = false;
    return {
      option(name, argument, not) {
        if (name === "set") {
          set = true;
          return;
        }
        // There is no connlabel.conf with names.
        const value = parseNumber(argument, 0, 127);
        if (value === undefined) {
          throw usage(parseNumber(argument) === undefined ? `label '${argument}' not found or file not readable` : `label ID ${argument} too large`);
        }
        bit = value;
        inverted = not;
      },
      finish(given) {
        if (!given.has("label")) throw must("connlabel", "label");
      },
      save: () => `${bang(inverted)} --label "${bit}"${set ? " --set" : ""}`,
      encode(w) {
        w.head(MATCH_CONNLABEL, inverted, 8).u32(bit).u32(set ? 1 : 0);
      },
    };
  },
};

const CONNBYTES_MODES = ["packets", "bytes", "avgpkt"];
const CONNBYTES_DIRECTIONS = ["original", "reply", "both"];
const U64_MAX = 0xffffffffffffffffn;

const connbytes: Extension = {
  name: "connbytes",
  options: { connbytes: ARG | INV, "connbytes-dir": ARG, "connbytes-mode": ARG },
  create() {
    let from = 0n;
    let to = U64_MAX;
    let inverted = false;
    let mode = 0;
    let direction = 0;
    return {
      option(name, argument, not) {
        if (name === "connbytes") {
          const colon = argument.indexOf(":");
          from = bigNumber("connbytes", name, (colon < 0 ? argument : argument.slice(0, colon)) || "0");
          to = colon < 0 || colon + 1 === argument.length ? U64_MAX : bigNumber("connbytes", name, argument.slice(colon + 1));
          if (to < from) throw usage(`connbytes: invalid range "${argument}"`);
          inverted = not;
        } else if (name === "connbytes-dir") {
          direction = CONNBYTES_DIRECTIONS.indexOf(argument);
          if (direction < 0) throw usage(`Unknown --connbytes-dir \`${argument}'`);
        } else {
          mode = CONNBYTES_MODES.indexOf(argument);
          if (mode < 0) throw usage(`Unknown --connbytes-mode \`${argument}'`);
        }
      },
      finish(given) {
        if (given.size !== 3) throw usage("You must specify `--connbytes'`--connbytes-dir' and `--connbytes-mode'");
      },
      save: () =>
        `${bang(inverted)} --connbytes ${from}${to === U64_MAX ? "" : `:${to}`} --connbytes-mode ${CONNBYTES_MODES[mode]}` +
        ` --connbytes-dir ${CONNBYTES_DIRECTIONS[direction]}`,
      encode(w) {
        // Inverted: the bounds change places.
        w.head(MATCH_CONNBYTES, false, 24).u64(inverted ? to : from).u64(inverted ? from : to).u32(mode).u32(direction);
      },
    };
  },
};

const cluster: Extension = {
  name: "cluster",
  options: {
    "cluster-total-nodes": ARG, "cluster-local-node": ARG | INV, "cluster-local-nodemask": ARG | INV, "cluster-hash-seed": ARG,
  },
  create() {
    let nodes = 0;
    let mask = 0;
    let seed = 0;
    let inverted = false;
    return {
      option(name, argument, not) {
        if (name === "cluster-total-nodes") nodes = number("cluster", name, argument, 1, 32, true);
        else if (name === "cluster-hash-seed") seed = number("cluster", name, argument);
        else {
          mask = name === "cluster-local-node" ? (1 << (number("cluster", name, argument, 1, 32, true) - 1)) >>> 0 : number("cluster", name, argument);
          inverted = not;
        }
      },
      finish(given) {
        if (given.size === 0 || !given.has("cluster-total-nodes") || !given.has("cluster-hash-seed") || given.size < 3) {
          throw usage("cluster match: `--cluster-total-nodes', `--cluster-local-node' and `--cluster-hash-seed' are mandatory");
        }
        if (mask >= 2 ** nodes) throw usage("cluster match: `--cluster-local-node' must be <= `--cluster-total-nodes'");
      },
      save: () =>
        `${bang(inverted)} --cluster-local-nodemask ${hex8(mask)} --cluster-total-nodes ${nodes} --cluster-hash-seed ${hex8(seed)}`,
      encode(w) {
        w.head(MATCH_CLUSTER, inverted, 12).u32(nodes).u32(mask).u32(seed);
      },
    };
  },
};

/** connlimit for addresses of `width` bits, whose mask it tells by `mask`. */
export const connlimitOf = (width: number, mask: (w: Writer, bits: number) => void): Extension => ({
  name: "connlimit",
  options: { "connlimit-upto": ARG | INV, "connlimit-above": ARG | INV, "connlimit-mask": ARG, "connlimit-saddr": 0, "connlimit-daddr": 0 },
  create() {
    let limit = 0;
    let bits = width;
    let flags = 0;
    return {
      option(name, argument, not) {
        switch (name) {
          case "connlimit-mask": {
            const value = parseNumber(argument, 0, width);
            if (value === undefined) {
              throw usage(`connlimit: bad value for option "--${name}", neither a valid network mask nor valid CIDR (0-${width}).\n`);
            }
            bits = value;
            break;
          }
          case "connlimit-saddr": flags &= ~CONNLIMIT_DADDR; break;
          case "connlimit-daddr": flags |= CONNLIMIT_DADDR; break;
          default:
            limit = number("connlimit", name, argument);
            if ((name === "connlimit-upto") !== not) flags |= CONNLIMIT_INVERT;
        }
      },
      finish(given) {
        if (given.has("connlimit-upto") && given.has("connlimit-above")) {
          throw usage('connlimit: option "--connlimit-above" cannot be used together with "--connlimit-upto".\n');
        }
        if (!given.has("connlimit-upto") && !given.has("connlimit-above")) {
          throw usage("You must specify \"--connlimit-above\" or \"--connlimit-upto\".");
        }
      },
      save: () =>
        ` --connlimit-${flags & CONNLIMIT_INVERT ? "upto" : "above"} ${limit} --connlimit-mask ${bits}` +
        ` --connlimit-${flags & CONNLIMIT_DADDR ? "d" : "s"}addr`,
      encode(w) {
        w.head(MATCH_CONNLIMIT, false, 16).u32(0).u32(limit).u32(flags);
        mask(w, bits);
      },
    };
  },
});

/** The number of a helper by its name. */
export const helperNumber = (name: string): number => (name === "" ? 0 : name === "ftp" ? HELPER_FTP : name === "tftp" ? HELPER_TFTP : HELPER_OTHER);

const helper: Extension = {
  name: "helper",
  options: { helper: ARG | INV },
  create() {
    let name = "";
    let inverted = false;
    return {
      option(_name, argument, not) {
        if (argument.length > 29) throw usage('helper: the name behind "--helper" is too long\n');
        name = argument;
        inverted = not;
      },
      finish(given) {
        if (!given.has("helper")) throw must("helper", "helper");
      },
      save: () => `${bang(inverted)} --helper ${/^[a-zA-Z0-9_-]+$/.test(name) ? name : `"${name}"`}`,
      encode(w) {
        w.head(MATCH_HELPER, inverted, 4).u32(helperNumber(name));
      },
    };
  },
};

interface PolicyElement {
  reqid?: readonly [number, boolean];
  spi?: readonly [number, boolean];
  proto?: readonly [number, boolean];
  mode?: readonly [string, boolean];
  tunnelSrc?: readonly [string, boolean];
  tunnelDst?: readonly [string, boolean];
}

const policyHost4 = (text: string): string => {
  const { address, mask } = parseHost(text);
  return `${formatIpv4(address)}${mask === 0xffffffff ? "" : `/${formatMask(mask)}`}`;
};

/** policy, with a family's `ADDRESS[/MASK]` in its canonical form. */
export const policyOf = (host: (text: string) => string): Extension => ({
  name: "policy",
  options: {
    dir: ARG, pol: ARG, strict: 0, reqid: ARG | INV | MULTI, spi: ARG | INV | MULTI, "tunnel-src": ARG | INV | MULTI,
    "tunnel-dst": ARG | INV | MULTI, proto: ARG | INV | MULTI, mode: ARG | INV | MULTI, next: MULTI,
  },
  create() {
    let dir = "";
    let none = false;
    let strict = false;
    let element: PolicyElement = {};
    const elements: PolicyElement[] = [element];
    return {
      option(name, argument, not) {
        switch (name) {
          case "dir":
            if (argument !== "in" && argument !== "out") throw usage(`policy_match: invalid dir "${argument}"`);
            dir = argument;
            break;
          case "pol":
            if (argument !== "ipsec" && argument !== "none") throw usage(`policy match: invalid policy "${argument}"`);
            none = argument === "none";
            break;
          case "strict": strict = true; break;
          case "reqid": element.reqid = [number("policy", name, argument), not]; break;
          case "spi": element.spi = [number("policy", name, argument), not]; break;
          case "proto": {
            const value = parseProtocol(argument);
            if (value !== 50 && value !== 51 && value !== 108) throw usage("policy match: protocol must be ah/esp/ipcomp");
            element.proto = [value, not];
            break;
          }
          case "mode":
            if (argument !== "transport" && argument !== "tunnel") throw usage(`policy match: invalid mode "${argument}"`);
            element.mode = [argument, not];
            break;
          case "tunnel-src": element.tunnelSrc = [host(argument), not]; break;
          case "tunnel-dst": element.tunnelDst = [host(argument), not]; break;
          default:
            element = {};
            elements.push(element);
            if (elements.length > 4) throw usage("policy match: maximum policy depth reached");
        }
      },
      finish(given) {
        if (dir === "") throw usage("policy match: neither --dir in nor --dir out specified");
        if (none) {
          if (strict) throw usage("policy match: policy none but --strict given");
          if (given.size > 2) throw usage("policy match: policy none but policy given");
        } else if (elements.length > 1 && !strict) {
          throw usage("policy match: multiple elements but no --strict");
        }
        for (const each of elements) {
          if ((each.tunnelSrc !== undefined || each.tunnelDst !== undefined) && (each.mode?.[0] !== "tunnel" || each.mode[1])) {
            throw usage("policy match: --tunnel-src/--tunnel-dst is only valid in tunnel mode");
          }
        }
      },
      save() {
        let text = ` --dir ${dir} --pol ${none ? "none" : "ipsec"}${strict ? " --strict" : ""}`;
        elements.forEach((each, i) => {
          if (i > 0) text += " --next";
          if (each.reqid !== undefined) text += `${bang(each.reqid[1])} --reqid ${each.reqid[0]}`;
          if (each.spi !== undefined) text += `${bang(each.spi[1])} --spi ${hex(each.spi[0])}`;
          if (each.proto !== undefined) text += `${bang(each.proto[1])} --proto ${{ 50: "esp", 51: "ah", 108: "ipcomp" }[each.proto[0]]}`;
          if (each.mode !== undefined) text += `${bang(each.mode[1])} --mode ${each.mode[0]}`;
          if (each.tunnelDst !== undefined) text += `${bang(each.tunnelDst[1])} --tunnel-dst ${each.tunnelDst[0]}`;
          if (each.tunnelSrc !== undefined) text += `${bang(each.tunnelSrc[1])} --tunnel-src ${each.tunnelSrc[0]}`;
        });
        return text;
      },
      encode(w) {
        w.head(MATCH_POLICY, false, 4).u32(none ? 1 : 0);
      },
    };
  },
});

export const CONNECTION_MATCHES: readonly Extension[] = [
  connlabel, connbytes, cluster,
  connlimitOf(32, (w, bits) => void w.address(bits === 0 ? 0 : (0xffffffff << (32 - bits)) >>> 0)), helper, policyOf(policyHost4),
];
