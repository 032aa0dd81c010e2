/** The `ip`, `bridge`, `sysctl` and `iptables` commands of recorded set-ups, as far as those use them, against namespaces by name. */
import { deviceCalls } from "../../../src/kernel/devices.ts";
import type { LinkSpec, Netns } from "../../../src/kernel/netns.ts";

export interface SetupCommand { readonly ns: string; readonly cmd: string; readonly exit: number }

/** Runs one command in `ns`; throws the driver's error, or Error for a command that is not known here. */
export function runSetup(ns: Netns, byName: (name: string) => Netns, command: string): void {
  const [tool = "", ...words] = command.split(" ");
  const value = (key: string): string | undefined => {
    const at = words.lastIndexOf(key);
    return at < 0 ? undefined : words[at + 1];
  };
  const unknown = (): never => {
    throw new Error(`unknown set-up: ${command}`);
  };
  if (tool === "iptables") {
    ns.iptables.run(words);
    return;
  }
  if (tool === "sysctl") {
    const [name = "", to = ""] = (words[1] ?? "").split("=");
    ns.setSysctl(name, to);
    return;
  }
  if (tool === "bridge") {
    const dev = value("dev") ?? "";
    if (words[0] === "fdb" && words[1] === "add") {
      ns.setFdb({ dev, lladdr: words[2]!, exclusive: true });
      return;
    }
    if (words[0] === "vlan" && words[1] === "add") {
      deviceCalls(ns).addVlan(dev, Number(value("vid")), { pvid: words.includes("pvid"), untagged: words.includes("untagged") });
      return;
    }
    if (words[0] !== "link" || words[1] !== "set") unknown();
    for (let i = 4; i < words.length; i += 2) {
      const on = words[i + 1] === "on";
      switch (words[i]) {
        case "hairpin": ns.setLink(dev, { hairpin: on }); break;
        case "isolated": ns.setLink(dev, { isolated: on }); break;
        case "learning": ns.setLink(dev, { learning: on }); break;
        case "flood": ns.setLink(dev, { flood: on }); break;
        case "bcast_flood": ns.setLink(dev, { bcastFlood: on }); break;
        case "state":
          ns.setLink(dev, { state: (["disabled", "listening", "learning", "forwarding", "blocking"] as const)[Number(words[i + 1])]! });
          break;
        default: unknown();
      }
    }
    return;
  }
  if (tool !== "ip") unknown();
  const [object, verb, ...rest] = words;
  if (object === "addr" && verb === "add") return ns.addAddress(value("dev")!, rest[0]!);
  if (object === "route" && verb === "add") {
    const via = value("via");
    const dev = value("dev");
    return ns.addRoute({ dst: rest[0]!, ...(via !== undefined && { via }), ...(dev !== undefined && { dev }) });
  }
  if (object !== "link") unknown();
  if (verb === "add") {
    const link = value("link");
    const name = link === undefined || rest[0] !== "link" ? (value("name") !== undefined && rest[0] === "name" ? value("name")! : rest[0]!) : rest[3]!;
    const kind = value("type");
    if (kind === "veth") {
      const peer = words.indexOf("peer");
      const netns = words.indexOf("netns", peer);
      ns.addLink({ kind, name, peer: { name: words[peer + 2]!, ...(netns > 0 && { netns: byName(words[netns + 1]!) }) } });
      return;
    }
    if (kind === "bridge") return ns.addLink({ kind, name });
    if (kind === "macvlan") {
      return ns.addLink({ kind, name, link: link!, mode: value("mode") as NonNullable<Extract<LinkSpec, { kind: "macvlan" }>["mode"]> });
    }
    unknown();
  }
  if (verb !== "set") unknown();
  const dev = rest[0]!;
  const words2 = rest.slice(1);
  for (let i = 0; i < words2.length; i++) {
    switch (words2[i]) {
      case "up": ns.setLink(dev, { up: true }); break;
      case "down": ns.setLink(dev, { up: false }); break;
      case "master": ns.setLink(dev, { master: words2[++i]! }); break;
      case "netns": ns.setLink(dev, { netns: byName(words2[++i]!) }); break;
      case "name": ns.setLink(dev, { name: words2[++i]! }); break;
      case "address": ns.setLink(dev, { mac: words2[++i]! }); break;
      case "promisc": ns.setLink(dev, { promisc: words2[++i] === "on" }); break;
      case "type": {
        const calls = deviceCalls(ns);
        if (words2[i + 1] !== "bridge") unknown();
        const number = Number(words2[i + 3]);
        if (words2[i + 2] === "ageing_time") calls.setBridge(dev, { ageing: number / 100 });
        else if (words2[i + 2] === "group_fwd_mask") calls.setBridge(dev, { groupFwdMask: number });
        else if (words2[i + 2] === "vlan_filtering") calls.setBridge(dev, { vlanFiltering: number !== 0 });
        else unknown();
        i = words2.length;
        break;
      }
      default: unknown();
    }
  }
}
