/** Matches that only the full kernel has: one entry per extension, as in iptables' extensions/libxt_*.c and libipt_*.c. */
import {
  MATCH_PHYSDEV, SETDIM_DESTINATION, SETDIM_SOURCE, SETFLAG_RETURN_NOMATCH, SETFLAG_SKIP_COUNTERS, SETFLAG_SKIP_SUBCOUNTERS, PHYSDEV_BRIDGED, PHYSDEV_IN, PHYSDEV_ISIN, PHYSDEV_ISOUT, PHYSDEV_OUT, PORTS_INV_DPORT, PORTS_INV_SPORT,
} from "../../../assembly/abi/netfilter.ts";
import {
  CONNLIMIT_DADDR, CONNLIMIT_INVERT, DCCP_INV_OPTION, DCCP_INV_TYPES, DCCP_TYPES, DEVGROUP_DESTINATION, DEVGROUP_INV_DESTINATION,
  DEVGROUP_INV_SOURCE, DEVGROUP_SOURCE, HELPER_FTP, HELPER_OTHER, HELPER_TFTP, MATCH_AH, MATCH_BPF, MATCH_CGROUP, MATCH_CLUSTER,
  MATCH_CONNBYTES, MATCH_CONNLABEL, MATCH_CONNLIMIT, MATCH_CPU, MATCH_DCCP, MATCH_DEVGROUP, MATCH_ESP, MATCH_HELPER, MATCH_NEVER,
  MATCH_OWNER, MATCH_POLICY, MATCH_QUOTA, MATCH_REALM, MATCH_SCTP, MATCH_SET_COUNTERS, MATCH_SOCKET, MATCH_STRING, MATCH_TCPMSS, MATCH_TIME, MATCH_U32,
  OWNER_GID, OWNER_SOCKET, OWNER_UID, SOCKET_NOWILDCARD, SOCKET_RESTORESKMARK, SOCKET_TRANSPARENT, TIME_CONTIGUOUS,
} from "../../../assembly/abi/xtables.ts";
import { formatIpv4 } from "../address.ts";
import { ARG, INV, MULTI, type Extension } from "./extension.ts";
import {
  Refusal, formatMask, formatRange, hex, number, parseHost, parseNumber, parsePorts, parseProtocol, usage, type Range,
} from "./text.ts";
import type { Writer } from "./writer.ts";

const bang = (inverted: boolean): string => (inverted ? " !" : "");
const ALL_PORTS: Range = [0, 65535];
const must = (ext: string, option: string): Refusal => usage(`${ext}: option "--${option}" must be specified\n`);
const hex8 = (value: number): string => `0x${(value >>> 0).toString(16).padStart(8, "0")}`;

/** `LO[:HI]`, as libxtables reads integer ranges (XTTYPE_UINT32RC). */
function range(ext: string, option: string, text: string, max = 0xffffffff): Range {
  const colon = text.indexOf(":");
  const lo = number(ext, option, colon < 0 ? text : text.slice(0, colon) || "0", 0, max);
  return [lo, colon < 0 ? lo : colon + 1 === text.length ? max : number(ext, option, text.slice(colon + 1), 0, max)];
}

/** A match of one value or range with one option. */
const ranged = (name: string, option: string, kind: number, max: number, wide: boolean, needed: boolean): Extension => ({
  name,
  options: { [option]: ARG | INV },
  create() {
    let value: Range = [0, max];
    let inverted = false;
    return {
      option(_name, argument, not) {
        value = range(name, option, argument, max);
        inverted = not;
      },
      finish(given) {
        if (!given.has(option) && needed) throw must(name, option);
      },
      save: () => (value[0] === 0 && value[1] === max && !inverted ? "" : `${bang(inverted)} --${option} ${formatRange(value)}`),
      encode(w) {
        w.head(kind, inverted, wide ? 8 : 4);
        if (wide) w.u32(value[0]).u32(value[1]);
        else w.u16(value[0]).u16(value[1]);
      },
    };
  },
});

const PORT_OPTIONS = { sport: ARG | INV, "source-port": ARG | INV, dport: ARG | INV, "destination-port": ARG | INV };
const isSource = (name: string): boolean => name === "sport" || name === "source-port";
const savePorts = (source: Range, destination: Range, inverted: number): string => {
  let text = "";
  if (source[0] !== 0 || source[1] !== 65535) text += `${bang((inverted & PORTS_INV_SPORT) !== 0)} --sport ${formatRange(source)}`;
  if (destination[0] !== 0 || destination[1] !== 65535) {
    text += `${bang((inverted & PORTS_INV_DPORT) !== 0)} --dport ${formatRange(destination)}`;
  }
  return text;
};

// extensions/libxt_sctp.c: number, name, letters of its flags from bit 7 down ("-": none)
const CHUNKS: readonly (readonly [string, number, string])[] = [
  ["DATA", 0, "----IUBE"], ["INIT", 1, "--------"], ["INIT_ACK", 2, "--------"], ["SACK", 3, "--------"], ["HEARTBEAT", 4, "--------"],
  ["HEARTBEAT_ACK", 5, "--------"], ["ABORT", 6, "-------T"], ["SHUTDOWN", 7, "--------"], ["SHUTDOWN_ACK", 8, "--------"],
  ["ERROR", 9, "--------"], ["COOKIE_ECHO", 10, "--------"], ["COOKIE_ACK", 11, "--------"], ["ECN_ECNE", 12, "--------"],
  ["ECN_CWR", 13, "--------"], ["SHUTDOWN_COMPLETE", 14, "-------T"], ["I_DATA", 64, "----IUBE"], ["RE_CONFIG", 130, "--------"],
  ["PAD", 132, "--------"], ["ASCONF", 193, "--------"], ["ASCONF_ACK", 128, "--------"], ["FORWARD_TSN", 192, "--------"],
  ["I_FORWARD_TSN", 194, "--------"],
];
const CHUNK_MODES = ["any", "all", "only"];
const sctp: Extension = {
  name: "sctp",
  options: { ...PORT_OPTIONS, "chunk-types": ARG | INV },
  create() {
    let source = ALL_PORTS;
    let destination = ALL_PORTS;
    let inverted = 0;
    let mode = 0;
    let chunksInverted = false;
    const chunks = new Set<number>();
    const flags = new Map<number, { flag: number; mask: number }>();
    return {
      option(name, argument, not, _rule, next) {
        if (name === "chunk-types") {
          const list = next();
          if (list === undefined || list.startsWith("-") || list === "!") throw usage("--chunk-types requires two args");
          mode = CHUNK_MODES.indexOf(argument.toLowerCase()) + 1;
          if (mode === 0) throw usage('Match type has to be one of "ALL", "ANY" or "ONLY"');
          chunksInverted = not;
          if (list.toUpperCase() === "ALL") for (let i = 0; i < 256; i++) chunks.add(i);
          else if (list.toUpperCase() !== "NONE") {
            for (const word of list.split(",")) {
              const [chunkName = "", letters] = word.split(":");
              const chunk = CHUNKS.find(([known]) => known === chunkName.toUpperCase());
              if (chunk === undefined) throw usage(`Unknown sctp chunk \`${chunkName}'`);
              chunks.add(chunk[1]);
              if (letters === undefined) continue;
              const entry = flags.get(chunk[1]) ?? { flag: 0, mask: 0 };
              flags.set(chunk[1], entry);
              for (const letter of letters) {
                const at = chunk[2].indexOf(letter.toUpperCase());
                if (at < 0) throw usage(`Invalid chunk flag ${letters} for chunk type ${chunkName}`);
                entry.mask |= 1 << (7 - at);
                if (letter === letter.toUpperCase()) entry.flag |= 1 << (7 - at);
              }
            }
          }
        } else if (isSource(name)) {
          source = parsePorts(argument);
          if (not) inverted |= PORTS_INV_SPORT;
        } else {
          destination = parsePorts(argument);
          if (not) inverted |= PORTS_INV_DPORT;
        }
      },
      save() {
        let text = savePorts(source, destination, inverted);
        if (mode === 0) return text;
        text += `${bang(chunksInverted)} --chunk-types ${CHUNK_MODES[mode - 1]} `;
        if (chunks.size === 0) return `${text}NONE`;
        if (chunks.size === 256) return `${text}ALL`;
        const names = [...chunks].sort((a, b) => a - b).map((chunk) => {
          const known = CHUNKS.find(([, value]) => value === chunk)!;
          const entry = flags.get(chunk);
          let letters = "";
          if (entry !== undefined) {
            for (let bit = 7; bit >= 0; bit--) {
              if (!(entry.mask & (1 << bit))) continue;
              const letter = known[2][7 - bit]!;
              letters += entry.flag & (1 << bit) ? letter : letter.toLowerCase();
            }
          }
          return letters === "" ? known[0] : `${known[0]}:${letters}`;
        });
        return text + names.join(",");
      },
      encode(w) {
        w.head(MATCH_SCTP, false, 76).u16(source[0]).u16(source[1]).u16(destination[0]).u16(destination[1]);
        const entries = [...flags].slice(0, 8);
        w.u8(inverted).u8(mode).u8(chunksInverted ? 1 : 0).u8(entries.length);
        for (let word = 0; word < 8; word++) {
          let bits = 0;
          for (let bit = 0; bit < 32; bit++) if (chunks.has(word * 32 + bit)) bits |= 1 << bit;
          w.u32(bits >>> 0);
        }
        for (let i = 0; i < 8; i++) {
          const entry = entries[i];
          w.u8(entry?.[0] ?? 0).u8(entry?.[1].flag ?? 0).u8(entry?.[1].mask ?? 0).u8(0);
        }
      },
    };
  },
};

const DCCP_TYPE_NAMES = ["REQUEST", "RESPONSE", "DATA", "ACK", "DATAACK", "CLOSEREQ", "CLOSE", "RESET", "SYNC", "SYNCACK"];
const dccp: Extension = {
  name: "dccp",
  options: { ...PORT_OPTIONS, "dccp-types": ARG | INV, "dccp-option": ARG | INV },
  create() {
    let source = ALL_PORTS;
    let destination = ALL_PORTS;
    let inverted = 0;
    let types = 0;
    let option = 0;
    return {
      option(name, argument, not) {
        if (name === "dccp-types") {
          for (const word of argument.split(",")) {
            const bit = word.toUpperCase() === "INVALID" ? 10 : DCCP_TYPE_NAMES.indexOf(word.toUpperCase());
            if (bit < 0) throw usage(`Unknown DCCP type \`${word}'`);
            types |= bit === 10 ? 0xfc00 : 1 << bit;
          }
          inverted |= DCCP_TYPES | (not ? DCCP_INV_TYPES : 0);
        } else if (name === "dccp-option") {
          option = number("dccp", name, argument, 1, 255, true);
          if (not) inverted |= DCCP_INV_OPTION;
        } else if (isSource(name)) {
          source = parsePorts(argument);
          if (not) inverted |= PORTS_INV_SPORT;
        } else {
          destination = parsePorts(argument);
          if (not) inverted |= PORTS_INV_DPORT;
        }
      },
      save() {
        let text = savePorts(source, destination, inverted);
        if (inverted & DCCP_TYPES) {
          const names = DCCP_TYPE_NAMES.filter((_, bit) => types & (1 << bit));
          if (types & 0xfc00) names.push("INVALID");
          text += `${bang((inverted & DCCP_INV_TYPES) !== 0)} --dccp-types ${names.join(",")}`;
        }
        if (option !== 0) text += `${bang((inverted & DCCP_INV_OPTION) !== 0)} --dccp-option ${option}`;
        return text;
      },
      encode(w) {
        w.head(MATCH_DCCP, false, 12).u16(source[0]).u16(source[1]).u16(destination[0]).u16(destination[1]);
        w.u8(inverted).u8(option).u16(types);
      },
    };
  },
};

const realm: Extension = {
  name: "realm",
  options: { realm: ARG | INV },
  create() {
    let value = 0;
    let mask = 0xffffffff;
    let inverted = false;
    return {
      option(_name, argument, not) {
        const slash = argument.indexOf("/");
        const parsed = parseNumber(slash < 0 ? argument : argument.slice(0, slash));
        if (parsed === undefined) throw usage(`realm: unknown realm "${argument}"\n`);
        value = parsed;
        if (slash >= 0) mask = number("realm", "realm", argument.slice(slash + 1));
        inverted = not;
      },
      finish(given) {
        if (!given.has("realm")) throw must("realm", "realm");
      },
      save: () => `${bang(inverted)} --realm ${hex(value)}${mask === 0xffffffff ? "" : `/${hex(mask)}`}`,
      encode(w) {
        w.head(MATCH_REALM, inverted, 8).u32((value & mask) >>> 0).u32(mask);
      },
    };
  },
};

/** One number behind one option. */
const plain = (name: string, option: string, kind: number, max: number, format: (value: number) => string = String): Extension => ({
  name,
  options: { [option]: ARG | INV },
  create() {
    let value = 0;
    let inverted = false;
    return {
      option(_name, argument, not) {
        value = number(name, option, argument, 0, max, max !== 0xffffffff);
        inverted = not;
      },
      finish(given) {
        if (!given.has(option)) throw must(name, option);
      },
      save: () => `${bang(inverted)} --${option} ${format(value)}`,
      encode(w) {
        w.head(kind, inverted, 4).u32(value);
      },
    };
  },
});

const cgroup: Extension = {
  name: "cgroup",
  options: { cgroup: ARG | INV, path: ARG | INV },
  create() {
    let path: string | undefined;
    let value = 0;
    let inverted = false;
    return {
      option(name, argument, not) {
        if (name === "path") path = argument;
        else value = number("cgroup", name, argument);
        inverted = not;
      },
      finish(given) {
        if (given.size !== 1) throw usage("cgroup: either --cgroup or --path must be specified");
        if (path !== undefined && path !== "" && path !== "/") throw new Refusal("other", "No chain/target/match by that name");
      },
      save: () => `${bang(inverted)} ${path === undefined ? `--cgroup ${value}` : `--path ${path}`}`,
      encode(w) {
        w.head(MATCH_CGROUP, inverted, 4).u32(path === undefined ? value : 0xffffffff);
      },
    };
  },
};

const devgroup: Extension = {
  name: "devgroup",
  options: { "src-group": ARG | INV, "dst-group": ARG | INV },
  create() {
    let flags = 0;
    const groups: [number, number][] = [[0, 0xffffffff], [0, 0xffffffff]];
    const text = ([value, mask]: [number, number]): string => `${hex(value)}${mask === 0xffffffff ? "" : `/${hex(mask)}`}`;
    return {
      option(name, argument, not) {
        const slash = argument.indexOf("/");
        const value = number("devgroup", name, slash < 0 ? argument : argument.slice(0, slash));
        const mask = slash < 0 ? 0xffffffff : number("devgroup", name, argument.slice(slash + 1));
        const source = name === "src-group";
        groups[source ? 0 : 1] = [value, mask];
        flags |= source ? DEVGROUP_SOURCE | (not ? DEVGROUP_INV_SOURCE : 0) : DEVGROUP_DESTINATION | (not ? DEVGROUP_INV_DESTINATION : 0);
      },
      finish() {
        if (flags === 0) throw usage("devgroup match: You must specify either '--src-group' or '--dst-group'");
      },
      save: () =>
        (flags & DEVGROUP_SOURCE ? `${bang((flags & DEVGROUP_INV_SOURCE) !== 0)} --src-group ${text(groups[0]!)}` : "") +
        (flags & DEVGROUP_DESTINATION ? `${bang((flags & DEVGROUP_INV_DESTINATION) !== 0)} --dst-group ${text(groups[1]!)}` : ""),
      encode(w) {
        w.head(MATCH_DEVGROUP, false, 20).u32(flags).u32(groups[0]![0]).u32(groups[0]![1]).u32(groups[1]![0]).u32(groups[1]![1]);
      },
    };
  },
};

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
const bigNumber = (ext: string, option: string, text: string): bigint => {
  if (!/^(0x[0-9a-fA-F]+|[0-9]+)$/.test(text)) throw usage(`${ext}: bad integer value for option "--${option}", or out of range.\n`);
  const value = BigInt(text);
  if (value > 0xffffffffffffffffn) throw usage(`${ext}: bad integer value for option "--${option}", or out of range.\n`);
  return value;
};
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

// Users and groups that every image knows.
const USERS: Readonly<Record<string, number>> = { root: 0, daemon: 1, bin: 2, sys: 3, nobody: 65534, nogroup: 65534, "www-data": 33 };
const owner: Extension = {
  name: "owner",
  options: { "uid-owner": ARG | INV, "gid-owner": ARG | INV, "socket-exists": INV, "suppl-groups": 0 },
  create() {
    let look = 0;
    let inverted = 0;
    let uid: Range = [0, 0];
    let gid: Range = [0, 0];
    let supplementary = false;
    const parse = (text: string, option: string): Range => {
      const known = USERS[text];
      if (known !== undefined) return [known, known];
      const [lo = "", hi] = text.split("-");
      const from = parseNumber(lo);
      const to = hi === undefined ? from : parseNumber(hi);
      if (from === undefined || to === undefined) throw usage(`owner: Bad value for "--${option}" option: "${text}"`);
      return [from, to];
    };
    return {
      option(name, argument, not) {
        if (name === "suppl-groups") {
          supplementary = true;
          return;
        }
        const flag = name === "uid-owner" ? OWNER_UID : name === "gid-owner" ? OWNER_GID : OWNER_SOCKET;
        if (name === "uid-owner") uid = parse(argument, name);
        else if (name === "gid-owner") gid = parse(argument, name);
        look |= flag;
        if (not) inverted |= flag;
      },
      finish() {
        if (look === 0) {
          throw usage("owner: At least one of --uid-owner, --gid-owner or --socket-exists is required");
        }
      },
      save() {
        const not = (flag: number): string => bang((inverted & flag) !== 0);
        let text = "";
        if (look & OWNER_SOCKET) text += `${not(OWNER_SOCKET)} --socket-exists`;
        if (look & OWNER_UID) text += `${not(OWNER_UID)} --uid-owner ${formatRange(uid, "-")}`;
        if (look & OWNER_GID) text += `${not(OWNER_GID)} --gid-owner ${formatRange(gid, "-")}`;
        return supplementary ? `${text} --suppl-groups` : text;
      },
      encode(w) {
        w.head(MATCH_OWNER, false, 24).u32(look).u32(inverted).u32(uid[0]).u32(uid[1]).u32(gid[0]).u32(gid[1]);
      },
    };
  },
};

/** An interface's name, `+` at its end for all that begin so, with the mask of what is compared. */
function encodeName(w: Writer, name: string): void {
  const wildcard = name.endsWith("+");
  w.text(wildcard ? name.slice(0, -1) : name, 16);
  const length = name === "" ? 0 : wildcard ? name.length - 1 : name.length + 1;
  for (let i = 0; i < 16; i++) w.u8(i < length ? 255 : 0);
}

const PHYSDEV_FLAGS: readonly (readonly [string, number])[] = [
  ["physdev-is-in", PHYSDEV_ISIN], ["physdev-in", PHYSDEV_IN], ["physdev-is-out", PHYSDEV_ISOUT], ["physdev-out", PHYSDEV_OUT],
  ["physdev-is-bridged", PHYSDEV_BRIDGED],
];
const physdev: Extension = {
  name: "physdev",
  options: {
    "physdev-in": ARG | INV, "physdev-out": ARG | INV, "physdev-is-bridged": INV, "physdev-is-in": INV, "physdev-is-out": INV,
  },
  create() {
    let look = 0;
    let inverted = 0;
    let inName = "";
    let outName = "";
    return {
      option(name, argument, not) {
        const flag = PHYSDEV_FLAGS.find(([option]) => option === name)![1];
        if (flag & (PHYSDEV_IN | PHYSDEV_OUT) && argument.length > 15) {
          throw usage(`interface name \`${argument}' must be shorter than IFNAMSIZ (15)`);
        }
        if (flag === PHYSDEV_IN) inName = argument;
        else if (flag === PHYSDEV_OUT) outName = argument;
        look |= flag;
        if (not) inverted |= flag;
      },
      finish() {
        if (look === 0) throw usage("PHYSDEV: no physdev option specified");
      },
      save() {
        let text = "";
        for (const [option, flag] of PHYSDEV_FLAGS) {
          if (!(look & flag)) continue;
          text += `${bang((inverted & flag) !== 0)} --${option}`;
          if (flag === PHYSDEV_IN) text += ` ${inName}`;
          else if (flag === PHYSDEV_OUT) text += ` ${outName}`;
        }
        return text;
      },
      encode(w) {
        w.head(MATCH_PHYSDEV, false, 72);
        encodeName(w, inName);
        encodeName(w, outName);
        w.u32(look).u32(inverted);
      },
    };
  },
};

const quota: Extension = {
  name: "quota",
  options: { quota: ARG | INV },
  create() {
    let bytes = 0n;
    let inverted = false;
    return {
      option(_name, argument, not) {
        bytes = bigNumber("quota", "quota", argument);
        inverted = not;
      },
      finish(given) {
        if (!given.has("quota")) throw must("quota", "quota");
      },
      save: () => `${bang(inverted)} --quota ${bytes}`,
      encode(w) {
        w.head(MATCH_QUOTA, inverted, 16).u32(0).u32(0).u64(bytes);
      },
    };
  },
};

const STRING_MAX = 128;
const string: Extension = {
  name: "string",
  options: { from: ARG, to: ARG, algo: ARG, string: ARG | INV, "hex-string": ARG | INV, icase: 0 },
  create() {
    let pattern: number[] = [];
    let algo = "";
    let from = 0;
    let to = 65535;
    let icase = false;
    let inverted = false;
    const parseHex = (text: string): number[] => {
      const bytes: number[] = [];
      let i = 0;
      let inHex = false;
      if (text === "") throw usage("STRING must contain at least one char");
      while (i < text.length) {
        let literal = false;
        if (text[i] === "\\") {
          if (inHex) throw usage(`Bad literal placement at end of string`);
          literal = true;
        } else if (text[i] === "|") {
          inHex = !inHex;
          if (inHex) while (text[i + 1] === " ") i++;
          if (i + 1 >= text.length) break;
          // What follows the bar is taken as it is, another bar too.
          i++;
        }
        if (literal) {
          if (i + 1 >= text.length) throw usage("Bad literal placement at end of string");
          bytes.push(text.charCodeAt(i + 1) & 255);
          i += 2;
        } else if (inHex) {
          if (i + 1 >= text.length) throw usage("Odd number of hex digits");
          if (i + 2 >= text.length) throw usage("Invalid hex block");
          for (const at of [i, i + 1]) if (!/[0-9a-fA-F]/.test(text[at]!)) throw usage(`Invalid hex char '${text[at]}'`);
          bytes.push(parseInt(text.slice(i, i + 2), 16));
          i += text[i + 2] === " " ? 3 : 2;
        } else {
          bytes.push(text.charCodeAt(i) & 255);
          i++;
        }
        if (bytes.length > STRING_MAX) throw usage(`STRING too long \`${text}'`);
      }
      return bytes;
    };
    const quoted = (): string =>
      ` "${pattern.map((c) => (c === 34 || c === 92 ? `\\${String.fromCharCode(c)}` : String.fromCharCode(c))).join("")}"`;
    return {
      option(name, argument, not) {
        switch (name) {
          case "from": from = number("string", name, argument, 0, 65535); break;
          case "to": to = number("string", name, argument, 0, 65535); break;
          case "algo":
            if (argument.length > 15) throw usage("string: \"algo\" option too long");
            algo = argument;
            break;
          case "icase": icase = true; break;
          default: {
            if (name === "string") {
              if (argument.length > STRING_MAX) throw usage(`STRING too long \`${argument}'`);
              pattern = [...argument].map((c) => c.charCodeAt(0) & 255);
            } else pattern = parseHex(argument);
            inverted = not;
          }
        }
      },
      finish(given) {
        if (!given.has("algo")) throw must("string", "algo");
        if (given.has("string") && given.has("hex-string")) {
          throw usage('string: option "--hex-string" cannot be used together with "--string".\n');
        }
        if (!given.has("string") && !given.has("hex-string")) throw usage("STRING match: You must specify `--string' or `--hex-string'");
        if (to < from) throw new Refusal("other", "Invalid argument. Run `dmesg' for more information");
        if (algo !== "bm" && algo !== "kmp") throw new Refusal("other", "No chain/target/match by that name");
      },
      save() {
        // A pattern with anything but printable characters is shown in hexadecimal (is_hex_string).
        const asHex = pattern[pattern.length - 1] === 92 || pattern.some((c) => c < 32 || c > 126);
        const text = asHex ? ` "|${pattern.map((c) => c.toString(16).padStart(2, "0")).join("")}|"` : quoted();
        return (
          `${bang(inverted)} --${asHex ? "hex-string" : "string"}${text} --algo ${algo}` +
          (from !== 0 ? ` --from ${from}` : "") + (to !== 65535 ? ` --to ${to}` : "") + (icase ? " --icase" : "")
        );
      },
      encode(w) {
        w.head(MATCH_STRING, inverted, 136).u16(from).u16(to).u8(pattern.length).u8(icase ? 1 : 0).u16(0);
        for (let i = 0; i < STRING_MAX; i++) w.u8(pattern[i] ?? 0);
      },
    };
  },
};

const WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const DATE_MAX = 0x7fffffff;
const DAY_MAX = 86399;
const two = (value: number): string => String(value).padStart(2, "0");
/** Seconds of the epoch as year, month, day, hour, minute, second. */
function dateParts(stamp: number): number[] {
  const date = new Date(stamp * 1000);
  return [date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate(), date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()];
}
function parseDate(text: string): number {
  const bad = (): Refusal => usage(`invalid date "${text}" specified, should be YYYY[-MM[-DD[Thh[:mm[:ss]]]]]`);
  const found = /^(\d+)(?:-(\d+)(?:-(\d+)(?:T(\d+)(?::(\d+)(?::(\d+))?)?)?)?)?$/.exec(text);
  if (found === null) throw bad();
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0] = found.slice(1).map((part) => (part === undefined ? undefined : Number(part)));
  if (year < 1970 || year > 2038 || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 59) throw bad();
  const stamp = Date.UTC(year, month - 1, day, hour, minute, second) / 1000;
  return Math.min(stamp, DATE_MAX);
}
function parseDaytime(text: string): number {
  const found = /^(\d{1,2}):(\d{1,2})(?::(\d{1,2}))?$/.exec(text);
  const [hour = 99, minute = 99, second = 0] = (found ?? []).slice(1).map((part) => (part === undefined ? undefined : Number(part)));
  if (found === null || hour > 23 || minute > 59 || second > 59) {
    throw usage(`invalid time "${text}" specified, should be hh:mm[:ss] format and within the boundaries`);
  }
  return hour * 3600 + minute * 60 + second;
}
const clockText = (value: number): string => `${two(Math.floor(value / 3600))}:${two(Math.floor(value / 60) % 60)}:${two(value % 60)}`;
const dateText = (stamp: number, between: string): string => {
  const [y = 0, mo = 0, d = 0, h = 0, mi = 0, s = 0] = dateParts(stamp);
  return `${y}-${two(mo)}-${two(d)}${between}${two(h)}:${two(mi)}:${two(s)}`;
};
const time: Extension = {
  name: "time",
  options: {
    datestart: ARG, datestop: ARG, timestart: ARG, timestop: ARG, weekdays: ARG | INV, monthdays: ARG | INV, kerneltz: 0, localtz: 0,
    utc: 0, contiguous: 0,
  },
  create() {
    let start = 0;
    let stop = DATE_MAX;
    let from = 0;
    let to = DAY_MAX;
    let weekdays = 0xfe;
    let monthdays = 0xfffffffe;
    let kerneltz = false;
    let contiguous = false;
    return {
      option(name, argument, not) {
        switch (name) {
          case "datestart": start = parseDate(argument); break;
          case "datestop": stop = parseDate(argument); break;
          case "timestart": from = parseDaytime(argument); break;
          case "timestop": to = parseDaytime(argument); break;
          case "kerneltz": case "localtz": kerneltz = true; break;
          case "contiguous": contiguous = true; break;
          case "weekdays": {
            weekdays = 0;
            for (const word of argument.split(",")) {
              const day = /^\d+$/.test(word) ? Number(word)
                : WEEKDAYS.findIndex((known) => word.length >= 2 && known.toLowerCase().startsWith(word.slice(0, 3).toLowerCase())) + 1;
              if (day < 1 || day > 7) throw usage(`${/^\d+$/.test(word) ? word : `"${word}"`} is not a valid day specifier`);
              weekdays |= 1 << day;
            }
            if (not) weekdays ^= 0xfe;
            break;
          }
          case "monthdays": {
            monthdays = 0;
            for (const word of argument.split(",")) {
              const day = Number(word);
              if (!/^\d+$/.test(word) || day < 1 || day > 31) throw usage(`${word} is not a valid specifier for --monthdays`);
              monthdays |= 1 << day;
            }
            monthdays >>>= 0;
            if (not) monthdays = (monthdays ^ 0xfffffffe) >>> 0;
            break;
          }
          default: break;
        }
      },
      finish() {
        if (contiguous && from < to) throw usage("time: --contiguous only makes sense when stoptime is smaller than starttime");
      },
      save() {
        let text = "";
        if (from !== 0 || to !== DAY_MAX) text += ` --timestart ${clockText(from)} --timestop ${clockText(to)}`;
        if (monthdays !== 0xfffffffe) {
          const days: number[] = [];
          for (let day = 1; day < 32; day++) if ((monthdays >>> day) & 1) days.push(day);
          text += ` --monthdays ${days.join(",")}`;
        }
        if (weekdays !== 0xfe) {
          text += ` --weekdays ${WEEKDAYS.filter((_, i) => weekdays & (2 << i)).join(",")}`;
        }
        if (start !== 0) text += ` --datestart ${dateText(start, "T")}`;
        // The newest date there is counts as one that was asked for.
        text += ` --datestop ${dateText(stop, "T")}`;
        if (kerneltz) text += " --kerneltz";
        return contiguous ? `${text} --contiguous` : text;
      },
      encode(w) {
        w.head(MATCH_TIME, false, 24).u32(start).u32(stop).u32(from).u32(to).u32(monthdays).u8(weekdays);
        w.u8(contiguous ? TIME_CONTIGUOUS : 0).u16(0);
      },
    };
  },
};

const U32_OPERATIONS = ["&", "<<", ">>", "@"];
const u32: Extension = {
  name: "u32",
  options: { u32: ARG | INV },
  create() {
    interface Test { readonly numbers: [number, number][]; readonly values: [number, number][] }
    const tests: Test[] = [];
    let inverted = false;
    const parse = (text: string): void => {
      let at = 0;
      const skip = (): void => {
        while (text[at] === " " || text[at] === "\t") at++;
      };
      const int = (): number => {
        skip();
        const found = /^(0[xX][0-9a-fA-F]+|[0-9]+)/.exec(text.slice(at));
        const value = found === null ? undefined : parseNumber(found[0]);
        if (found === null || value === undefined) throw usage(`u32: at char ${at}: not a number or out of range`);
        at += found[0].length;
        return value;
      };
      for (;;) {
        const numbers: [number, number][] = [[int(), 0]];
        for (;;) {
          skip();
          const two_ = text.slice(at, at + 2);
          const operation = U32_OPERATIONS.findIndex((name) => (name.length === 2 ? two_ === name : text[at] === name));
          if (operation < 0) break;
          at += U32_OPERATIONS[operation]!.length;
          numbers.push([int(), operation]);
        }
        if (text[at] !== "=") throw usage(`u32: at char ${at}: operator expected`);
        at++;
        const values: [number, number][] = [];
        for (;;) {
          const lo = int();
          skip();
          let hi = lo;
          if (text[at] === ":") {
            at++;
            hi = int();
          }
          values.push([lo, hi]);
          skip();
          if (text[at] !== ",") break;
          at++;
        }
        if (numbers.length > 11) throw usage(`u32: at char ${at}: too many operators`);
        if (values.length > 11) throw usage(`u32: at char ${at}: too many values`);
        tests.push({ numbers, values });
        if (tests.length > 10) throw usage("u32: too many tests");
        skip();
        if (at >= text.length) return;
        if (text.slice(at, at + 2) !== "&&") throw usage(`u32: at char ${at}: "&&" was expected`);
        at += 2;
      }
    };
    const text = (): string =>
      tests
        .map(({ numbers, values }) =>
          `${numbers.map(([value, operation], i) => (i === 0 ? "" : U32_OPERATIONS[operation]!) + hex(value)).join("")}=` +
          values.map(([lo, hi]) => (lo === hi ? hex(lo) : `${hex(lo)}:${hex(hi)}`)).join(","))
        .join("&&");
    return {
      option(_name, argument, not) {
        if (argument.length > 511) throw usage("u32: the test is too long");
        parse(argument);
        inverted = not;
      },
      finish(given) {
        if (!given.has("u32")) throw must("u32", "u32");
      },
      save: () => `${bang(inverted)} --u32 "${text()}"`,
      encode(w) {
        let length = 4;
        for (const test of tests) length += 4 + 8 * (test.numbers.length + test.values.length);
        w.head(MATCH_U32, inverted, length).u32(tests.length);
        for (const { numbers, values } of tests) {
          w.u8(numbers.length).u8(values.length).u16(0);
          for (const [value, operation] of numbers) w.u32(value).u32(operation);
          for (const [lo, hi] of values) w.u32(lo).u32(hi);
        }
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

const SOCKET_FLAGS: readonly (readonly [string, number])[] = [
  ["transparent", SOCKET_TRANSPARENT], ["nowildcard", SOCKET_NOWILDCARD], ["restore-skmark", SOCKET_RESTORESKMARK],
];
const socket: Extension = {
  name: "socket",
  options: { transparent: 0, nowildcard: 0, "restore-skmark": 0 },
  create() {
    let flags = 0;
    return {
      option(name) {
        flags |= SOCKET_FLAGS.find(([option]) => option === name)![1];
      },
      save: () => SOCKET_FLAGS.filter(([, flag]) => flags & flag).map(([option]) => ` --${option}`).join(""),
      encode(w) {
        w.head(MATCH_SOCKET, false, 4).u32(flags);
      },
    };
  },
};

const BPF_MAX = 64; // XT_BPF_MAX_NUM_INSTR
const bpf: Extension = {
  name: "bpf",
  options: { bytecode: ARG, "object-pinned": ARG },
  create() {
    let program: number[][] = [];
    return {
      option(name, argument) {
        if (name === "object-pinned") throw usage(`bpf: no object is pinned at "${argument}"`);
        const [count = "", ...rest] = argument.split(",");
        const wanted = /^\s*[0-9]+$/.test(count) ? Number(count) : NaN;
        if (!(wanted >= 0)) throw usage("bpf: error parsing program length");
        if (wanted === 0) throw usage("bpf: illegal zero length program");
        if (wanted > BPF_MAX) throw usage("bpf: number of instructions exceeds maximum");
        program = [];
        for (const part of rest) {
          if (program.length >= wanted) {
            if (part.trim() === "") continue;
            throw usage("bpf: real program length exceeds the encoded length parameter");
          }
          const fields = part.trim().split(/\s+/).map(Number);
          if (fields.length !== 4 || fields.some((value) => !Number.isInteger(value) || value < 0)) throw usage(`bpf: error at instr ${program.length}`);
          program.push(fields);
        }
        if (program.length < wanted) throw usage("bpf: parsed program length is less than the encoded length");
      },
      finish(given) {
        if (given.size === 0) throw usage("bpf: one option is required");
      },
      save: () => ` --bytecode "${program.length},${program.map((fields) => fields.join(" ")).join(",")}"`,
      encode(w) {
        w.head(MATCH_BPF, false, 4 + 8 * program.length).u32(program.length);
        for (const [code = 0, jt = 0, jf = 0, k = 0] of program) w.u16(code).u8(jt).u8(jf).u32(k);
      },
    };
  },
};

const nfacct: Extension = {
  name: "nfacct",
  options: { "nfacct-name": ARG },
  create: () => ({
    option() {},
    finish(given) {
      if (!given.has("nfacct-name")) throw must("nfacct", "nfacct-name");
      // There is no nfacct object: nothing here makes them.
      throw new Refusal("other", "No chain/target/match by that name");
    },
    save: () => "",
    encode() {},
  }),
};

const osf: Extension = {
  name: "osf",
  options: { genre: ARG | INV, ttl: ARG, log: ARG },
  create() {
    let genre = "";
    let inverted = false;
    let ttl: number | undefined;
    let log: number | undefined;
    return {
      option(name, argument, not) {
        if (name === "genre") {
          if (argument.length > 31) throw usage('osf: bad value for option "--genre"\n');
          genre = argument;
          inverted = not;
        } else if (name === "ttl") ttl = number("osf", name, argument, 0, 2, true);
        else log = number("osf", name, argument, 0, 2, true);
      },
      finish(given, rule) {
        if (!given.has("genre")) throw must("osf", "genre");
        if (rule.protocol !== 6 || rule.protocolInverted) throw new Refusal("other", "Invalid argument. Run `dmesg' for more information");
      },
      save: () => `${bang(inverted)} --genre ${genre}${ttl === undefined ? "" : ` --ttl ${ttl}`}${log === undefined ? "" : ` --log ${log}`}`,
      encode(w) {
        // No fingerprints are loaded: nothing is known of any system.
        w.head(MATCH_NEVER, false, 4).u32(0);
      },
    };
  },
};

const SET_FLAGS: readonly (readonly [string, number])[] = [
  ["return-nomatch", SETFLAG_RETURN_NOMATCH], ["update-counters", SETFLAG_SKIP_COUNTERS], ["update-subcounters", SETFLAG_SKIP_SUBCOUNTERS],
];
// IPSET_COUNTER_*: equal, not equal, less, greater
const COUNTER_SIGNS = ["", "eq", "eq", "lt", "gt"];
const set: Extension = {
  name: "set",
  options: {
    "match-set": ARG | INV, "return-nomatch": 0, "update-counters": INV, "update-subcounters": INV,
    ...Object.fromEntries(["packets", "bytes"].flatMap((what) => [[`${what}-eq`, ARG | INV], [`${what}-lt`, ARG], [`${what}-gt`, ARG]])),
  },
  create() {
    let name = "";
    let dims: string[] = [];
    let inverted = false;
    let flags = 0;
    const counters: Record<string, { sign: number; value: bigint } | undefined> = {};
    const operation = (what: string): { sign: number; value: bigint } => counters[what] ?? { sign: 0, value: 0n };
    return {
      option(option, argument, not, rule, next) {
        if (option === "match-set") {
          const directions = next();
          if (directions === undefined || directions.startsWith("-")) throw usage("--match-set requires two args.");
          if (argument.length >= SET_NAME_MAX) throw usage(`setname \`${argument}' too long, max ${SET_NAME_MAX - 1} characters.`);
          if (!rule.setExists(argument)) throw usage(`Set ${argument} doesn't exist.\n`);
          name = argument;
          dims = directions.split(",");
          if (dims.length > 6) throw usage("Can't be more src/dst options than 6.");
          for (const dim of dims) {
            if (dim !== "src" && dim !== "dst") throw usage("You must spcify (the comma separated list of) 'src' or 'dst'.");
          }
          inverted = not;
          return;
        }
        const flag = SET_FLAGS.find(([known]) => known === option)?.[1];
        if (flag === undefined) {
          const [what = "", sign = ""] = option.split("-");
          counters[what] = { sign: sign === "eq" ? (not ? 2 : 1) : COUNTER_SIGNS.indexOf(sign), value: bigNumber("set", option, argument) };
        } else if (flag === SETFLAG_RETURN_NOMATCH || not) flags |= flag;
      },
      finish(given) {
        if (!given.has("match-set")) throw usage("You must specify `--match-set' with proper arguments");
      },
      save() {
        let text = `${bang(inverted)} --match-set ${name} ${dims.join(",")}`;
        for (const [option, flag] of SET_FLAGS) if (flags & flag) text += `${bang(flag !== SETFLAG_RETURN_NOMATCH)} --${option}`;
        for (const what of ["packets", "bytes"]) {
          const { sign, value } = operation(what);
          if (sign !== 0) text += `${bang(sign === 2)} --${what}-${COUNTER_SIGNS[sign]} ${value}`;
        }
        return text;
      },
      encode(w) {
        let bits = 0;
        dims.slice(0, 3).forEach((dim, i) => {
          bits |= (dim === "src" ? SETDIM_SOURCE : SETDIM_DESTINATION) << (2 * i);
        });
        const packets = operation("packets");
        const bytes = operation("bytes");
        w.head(MATCH_SET_COUNTERS, inverted, 64).u32(0).u32(bits).u32(flags).u8(packets.sign).u8(bytes.sign).u16(0);
        w.u64(packets.value).u64(bytes.value).text(name, SET_NAME_MAX);
      },
    };
  },
};
const SET_NAME_MAX = 32;

export const MORE_MATCHES: readonly Extension[] = [
  sctp, dccp, ranged("ah", "ahspi", MATCH_AH, 0xffffffff, true, false), ranged("esp", "espspi", MATCH_ESP, 0xffffffff, true, false),
  ranged("tcpmss", "mss", MATCH_TCPMSS, 65535, false, true), realm, plain("cpu", "cpu", MATCH_CPU, 0xffffffff),
  cgroup, devgroup, connlabel, connbytes, cluster, owner, physdev, quota, string, time, u32,
  connlimitOf(32, (w, bits) => void w.address(bits === 0 ? 0 : (0xffffffff << (32 - bits)) >>> 0)), helper, policyOf(policyHost4), socket, bpf, nfacct,
  osf, set,
];
export { clockText, dateText };
