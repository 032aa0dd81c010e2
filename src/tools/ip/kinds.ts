/** The kinds of links `ip link add … type KIND` makes: their options (ip/iplink_*.c) and what `-d` prints about them. */
import { BRPORT_BCAST_FLOOD, BRPORT_FLOOD, BRPORT_HAIRPIN, BRPORT_ISOLATED, BRPORT_LEARNING, BRPORT_MCAST_FLOOD } from "../../../assembly/abi/net.ts";
import type { LinkSpec } from "../../kernel/netns.ts";
import type { LinkRecord } from "../kernel.ts";
import type { Printer } from "../printer.ts";
import { invalid, ToolExit, unsigned, type Words } from "../tool.ts";
import { address, answers, needLink, type IpContext } from "./context.ts";
import { KIND_USAGE } from "./kind-usage.ts";
import type { LinkArguments } from "./link.ts";

/** Reads the words after `type KIND`; `common` is what stood before. Gives what the driver makes the link from. */
type Parse = (context: IpContext, words: Words, common: LinkArguments, parsePeer: (words: Words) => LinkArguments) => LinkSpec;

const explain = (kind: string): ToolExit => new ToolExit(1, KIND_USAGE[kind] ?? "");

const mac = ({ address: text }: LinkArguments): { mac?: string } => (text === undefined ? {} : { mac: text });
const mtu = ({ mtu: value }: LinkArguments): { mtu?: number } => (value === undefined ? {} : { mtu: value });

/** Options that name something of the kernel's which this kernel does not have. */
const unsupported = (): ToolExit => answers("Operation not supported");

const veth: Parse = (_context, words, common, parsePeer) => {
  let peer: LinkArguments = {};
  if (words.word !== undefined) {
    if (words.word !== "peer") throw explain("veth");
    words.skip();
    peer = parsePeer(words);
  }
  const name = common.name ?? common.dev ?? "";
  return {
    kind: "veth", name, ...mac(common), ...mtu(common),
    peer: { name: peer.name ?? peer.dev ?? "", ...(peer.netns === undefined ? {} : { netns: peer.netns }), ...mac(peer), ...mtu(peer) },
  };
};

const bridge: Parse = (_context, words, common) => {
  if (words.word !== undefined) {
    if (KIND_USAGE["bridge"]!.includes(` ${words.word} `)) throw unsupported();
    throw new ToolExit(1, `bridge: unknown command "${words.word}"?\n${KIND_USAGE["bridge"]}`);
  }
  return { kind: "bridge", name: common.name ?? common.dev ?? "", ...mac(common), ...mtu(common) };
};

const VXLAN_VALUES = ["ttl", "hoplimit", "tos", "dsfield", "df", "label", "flowlabel", "ageing", "maxaddress"];
const VXLAN_FLAGS = ["proxy", "rsc", "l2miss", "l3miss", "udp6zerocsumtx", "udp6zerocsumrx", "remcsumtx", "remcsumrx", "gbp", "gpe", "external", "vnifilter"];

const vxlan: Parse = (context, words, common) => {
  let vni: number | undefined;
  let local: string | undefined;
  let dev = "";
  let dstPort = 8472;
  let learning = true;
  let udpCsum = true;
  for (; words.word !== undefined; words.skip()) {
    const word = words.word;
    if (word === "id" || word === "vni") {
      const text = words.next();
      vni = unsigned(text, 0xffffff);
      if (vni === undefined) throw invalid("invalid id", text);
    } else if (word === "local") local = address(words.next(), undefined).address;
    else if (word === "group" || word === "remote") {
      address(words.next(), undefined);
      throw unsupported();
    } else if (word === "dev") dev = needLink(context.netns, words.next(), 255).name;
    else if (word === "dstport") {
      const text = words.next();
      const port = unsigned(text, 65535);
      if (port === undefined) throw invalid("dst port", text);
      dstPort = port;
    } else if (word === "srcport" || word === "port") {
      words.next();
      words.next();
      throw unsupported();
    } else if (word === "learning" || word === "nolearning") learning = word === "learning";
    else if (word === "udpcsum" || word === "noudpcsum") udpCsum = word === "udpcsum";
    else if (VXLAN_VALUES.includes(word)) {
      words.next();
      throw unsupported();
    } else if (VXLAN_FLAGS.includes(word)) throw unsupported();
    else if (VXLAN_FLAGS.includes(word.replace(/^no/, ""))) continue;
    else if (word === "help") throw explain("vxlan");
    else throw new ToolExit(1, `vxlan: unknown command "${word}"?\n${KIND_USAGE["vxlan"]}`);
  }
  if (vni === undefined) throw new ToolExit(2, "Error: Required attributes not provided to perform the operation.\n");
  return {
    kind: "vxlan", name: common.name ?? common.dev ?? "", vni, local: local ?? "0.0.0.0", dev, dstPort, learning, udpCsum,
    ...mac(common), ...mtu(common),
  };
};

/** Options of macvlan and macvtap are looked at before the kernel is asked whether it knows the kind. */
const macvlanModes = (kind: string): Parse => (_context, words) => {
  for (; words.word !== undefined; words.skip()) {
    if (words.word === "mode") {
      const mode = words.next();
      if (!["private", "vepa", "bridge", "passthru", "source"].includes(mode)) {
        throw new ToolExit(1, `Error: argument of "mode" must be "private", "vepa", "bridge", "passthru" or "source", not "${mode}"\n`);
      }
    } else if (words.word !== "nopromisc" && words.word !== "bcqueuelen") throw explain(kind);
  }
  throw new ToolExit(2, "Error: Unknown device type.\n");
};

export const KINDS: Readonly<Record<string, Parse>> = { veth, bridge, vxlan, macvlan: macvlanModes("macvlan"), macvtap: macvlanModes("macvtap") };

/** What `-d` says between the addresses and the queues: the kind with its settings, and those of the bridge port it is. */
export function printKind(p: Printer, link: LinkRecord, sep: string): void {
  const { kind, portFlags } = link;
  if (kind === "loopback" || (kind === "nic" && link.master === undefined)) return;
  p.object("linkinfo", () => {
    if (kind !== "nic") p.any("info_kind", kind, `${sep}    ${kind} `);
    if (kind === "vxlan") p.object("info_data", () => p.any("id", link.vni, `id ${link.vni} `));
    if (link.master === undefined) return;
    p.any("info_slave_kind", "bridge", `${sep}    bridge_slave `);
    p.object("info_slave_data", () => {
      p.any("state", "forwarding", `state ${link.up ? "forwarding" : "disabled"} `);
      for (const [key, label, flag] of PORT_FLAGS) {
        const on = (portFlags & flag) !== 0;
        p.any(key, on, `${label} ${on ? "on" : "off"} `);
      }
    });
  });
}

const PORT_FLAGS = [
  ["hairpin", "hairpin", BRPORT_HAIRPIN], ["learning", "learning", BRPORT_LEARNING], ["flood", "flood", BRPORT_FLOOD],
  ["mcast_flood", "mcast_flood", BRPORT_MCAST_FLOOD], ["bcast_flood", "bcast_flood", BRPORT_BCAST_FLOOD],
  ["isolated", "isolated", BRPORT_ISOLATED],
] as const;
