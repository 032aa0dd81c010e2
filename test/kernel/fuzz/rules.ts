/** Random rule sets, as text for iptables-restore and `ipset restore`. Only what a Linux kernel takes. */
import type { Dice } from "./random.ts";

/** What rules may speak of. */
export interface Names {
  readonly devices: readonly string[];
  readonly bridgePorts: readonly string[];
  readonly addresses: readonly string[];
  readonly nets: readonly string[];
  readonly ports: readonly number[];
  /** The router's own addresses. */
  readonly own: readonly string[];
  readonly servers: readonly string[];
  readonly macs: readonly string[];
  /** Where TEE may send to. */
  readonly gateways: readonly string[];
}

export interface RuleSet {
  readonly iptables: string;
  readonly ipset: string;
  /** Ports that rules name. */
  readonly ports: readonly number[];
  readonly nat: boolean;
  /** Sources are translated to this address alone, to ports that the kernel may choose. */
  readonly anyPort: string | undefined;
}

const BUILTIN: Readonly<Record<string, readonly string[]>> = {
  raw: ["PREROUTING", "OUTPUT"],
  mangle: ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
  nat: ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
  filter: ["INPUT", "FORWARD", "OUTPUT"],
  security: ["INPUT", "FORWARD", "OUTPUT"],
};

const hasIn = (chain: string): boolean => chain !== "OUTPUT" && chain !== "POSTROUTING";
const hasOut = (chain: string): boolean => chain !== "PREROUTING" && chain !== "INPUT";

/** Rules of one case. */
export function randomRules(d: Dice, names: Names): RuleSet {
  const ports = new Set<number>();
  const not = (): string => (d.once(4) ? "! " : "");
  const port = (): number => {
    const value = d.pick(names.ports);
    ports.add(value);
    return value;
  };
  const portRange = (): string => {
    if (!d.once(3)) return String(port());
    const a = d.from(1, 40000);
    return d.pick([`${a}:${a + d.below(20000)}`, `:${a}`, `${a}:`]);
  };
  const address = (): string => d.pick(names.addresses);
  const net = (): string => (d.once(2) ? address() : d.pick(names.nets));
  const mark = (): string => d.pick(["0x1", "0x2", "0x10", "0x1/0x1", "0x0/0x3", "0x10/0xf0", "0x4000/0x4000"]);
  const states = (all: readonly string[]): string => all.filter(() => d.once(3)).join(",") || d.pick(all);

  /** Matches that need `-p`; [protocol option, match]. */
  const layer4 = (): string => {
    switch (d.below(9)) {
      case 0: return `-p tcp ${d.once(2) ? "" : `-m tcp ${not()}--dport ${portRange()}`}`;
      case 1: return `-p udp ${d.once(2) ? "" : `-m udp ${not()}--dport ${portRange()}`}`;
      case 2: return `-p ${d.pick(["tcp", "udp"])} -m multiport ${not()}--${d.pick(["sports", "dports", "ports"])} ${port()},${d.once(2) ? port() : `${port() % 20000}:40000`}`;
      case 3: return `-p icmp ${d.once(3) ? "" : `-m icmp ${not()}--icmp-type ${d.pick(["8", "0", "3", "3/3", "3/4", "11", "any", "5", "12"])}`}`;
      case 4: return `-p tcp -m tcp ${not()}--tcp-flags ${d.pick(["SYN,RST,ACK,FIN SYN", "ACK ACK", "RST RST", "FIN,SYN FIN", "ALL NONE", "ALL SYN,ACK"])}`;
      case 5: return `-p tcp -m tcp ${not()}--${d.pick(["syn", "tcp-option 2", "tcp-option 3", "tcp-option 8", `sport ${portRange()}`])}`;
      case 6: return `-p udp -m udp ${not()}--sport ${portRange()}`;
      case 7: return `${not()}-p ${d.pick(["tcp", "udp", "icmp", "47", "132", "253"])}`;
      default: return `-p tcp -m ecn ${not()}--ecn-tcp-${d.pick(["cwr", "ece"])}`;
    }
  };

  const match = (table: string, chain: string, own: boolean): string => {
    switch (d.below(31)) {
      case 0: case 1: return `${not()}-s ${net()}`;
      case 2: case 3: return `${not()}-d ${net()}`;
      case 4: return own && !hasIn(chain) ? "" : `${not()}-i ${d.pick([...names.devices, `${names.devices[0]!.slice(0, 2)}+`, "lo"])}`;
      case 5: return own && !hasOut(chain) ? "" : `${not()}-o ${d.pick([...names.devices, `${names.devices[0]!.slice(0, 2)}+`, "lo"])}`;
      case 6: return `-m addrtype ${not()}--${d.pick(["src", "dst"])}-type ${d.pick(["LOCAL", "UNICAST", "BROADCAST", "MULTICAST", "UNICAST,LOCAL", "BLACKHOLE", "UNREACHABLE"])}`;
      case 7: case 8: return table === "raw" ? "" : `-m conntrack ${not()}--ctstate ${states(["INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED", "SNAT", "DNAT"])}`;
      case 9: return table === "raw" ? "" : `-m conntrack ${not()}--ctstatus ${states(["NONE", "SEEN_REPLY", "ASSURED", "CONFIRMED"])}`.replace(/NONE,/, "");
      case 10: return table === "raw" ? "" : `-m conntrack ${not()}--ct${d.pick(["origsrc", "origdst", "replsrc", "repldst"])} ${net()}`;
      case 11: return table === "raw" ? "" : `-m conntrack ${d.pick([`--ctdir ${d.pick(["ORIGINAL", "REPLY"])}`, `${not()}--ctproto ${d.pick(["6", "17", "1"])}`, `${not()}--ct${d.pick(["origsrc", "origdst", "replsrc", "repldst"])}port ${portRange().replace(/^:/, "1:").replace(/:$/, ":65535")}`])}`;
      case 12: return table === "raw" ? "" : `-m state ${not()}--state ${states(["INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED"])}`;
      case 13: return `-m mark ${not()}--mark ${mark()}`;
      case 14: return `-m connmark ${not()}--mark ${mark()}`;
      case 15: { const every = d.from(1, 5); return `-m statistic --mode nth ${not()}--every ${every} --packet ${d.below(every)}`; }
      case 16: return `-m limit --limit ${d.pick(["1/min", "2/hour", "1/day"])} --limit-burst ${d.from(1, 12)}`;
      case 17: return `-m length ${not()}--length ${d.pick(["0:60", "40", "28:64", "100:", "84:1500"])}`;
      case 18: return `-m ttl --ttl-${d.pick(["eq 63", "lt 62", "gt 3", "eq 62"])}`;
      case 19: return d.once(2) ? `-m tos ${not()}--tos ${d.pick(["0x10", "0x08/0x3f", "0x00"])}` : `-m dscp ${not()}--dscp ${d.pick(["0x00", "0x04", "0x2e"])}`;
      case 20: return own && hasIn(chain) ? `-m mac ${not()}--mac-source ${d.pick(names.macs)}` : "";
      case 21: return `-m pkttype ${not()}--pkt-type ${d.pick(["unicast", "broadcast", "multicast"])}`;
      case 22: return `-m iprange ${not()}--${d.pick(["src", "dst"])}-range 10.0.${d.from(0, 2)}.${d.below(20)}-10.0.${d.from(2, 9)}.${d.from(1, 250)}`;
      case 23: return names.addresses.length === 0 ? "" : `-m set ${not()}--match-set ${d.pick(["ips", "nets"])} ${d.pick(["src", "dst"])}`;
      case 24: return d.once(2) ? "-f" : "! -f";
      case 25:
        if (names.bridgePorts.length > 0 && own && d.once(2)) {
          return hasIn(chain) ? `-m physdev ${not()}--physdev-in ${d.pick(names.bridgePorts)}` : chain === "POSTROUTING" ? "-m physdev --physdev-is-bridged" : "";
        }
        return own && chain === "PREROUTING" && (table === "raw" || table === "mangle") ? `-m rpfilter ${d.pick(["", "--loose", "--invert", "--validmark", "--accept-local", "--loose --invert"])}` : "";
      case 26: return `-m u32 --u32 ${d.pick(["6&0xFF=1", "4&0x3FFF=0", "0&0xFFFF=0x1C:0x40", "0>>22&0x3C@0>>16&0xFFFF=10000:12000", "8>>24&0xFF=62,63"])}`;
      case 27: return `-m string --algo ${d.pick(["bm", "kmp"])} ${not()}--hex-string |${d.pick(["00", "0035", "ff", "1f90"])}|${d.once(2) ? "" : ` --from ${d.below(30)} --to ${d.from(30, 90)}`}`;
      case 28: return `-m quota ${not()}--quota ${d.pick([100, 500, 3000])}`;
      case 29: return `-m set ${not()}--match-set pairs ${d.pick(["src,src", "dst,dst", "src,dst"])}`;
      default:
        return d.once(2)
          ? `-m recent --name r${d.below(2)} ${d.pick(["--set", "--rcheck", "--update --hitcount 2", "--remove", "! --rcheck", "--rcheck --seconds 60", "--set --rdest", "--rcheck --rdest"])}`
          : `-m hashlimit --hashlimit-${d.pick(["upto", "above"])} ${d.pick(["1/min", "1/hour"])} --hashlimit-burst ${d.from(1, 5)} --hashlimit-mode ${d.pick(["srcip", "dstip", "srcip,dstport", "srcip,dstip,srcport,dstport"])} --hashlimit-name h${d.below(2)}${hash++}`;
    }
  };
  let hash = 0;

  const anyPort = d.once(8) ? d.pick(names.own) : undefined;
  const server = (): string => d.pick(names.servers);
  /** A NAT target with the match that it needs. */
  const natTarget = (chain: string): string => {
    const protocol = d.pick(["-p tcp", "-p udp"]);
    if (chain === "PREROUTING" || chain === "OUTPUT") {
      switch (d.below(7)) {
        case 0: case 1: return `-j DNAT --to-destination ${server()}`;
        case 2: return `${protocol} -j DNAT --to-destination ${server()}:${port()}`;
        case 3: return `-j DNAT --to-destination 10.0.2.10-10.0.2.13${d.once(2) ? " --persistent" : ""}`;
        case 4: return `${protocol} -j REDIRECT${d.once(2) ? "" : ` --to-ports ${port()}`}`;
        case 5: return `-j NETMAP --to ${d.pick(["10.0.2.0/24", "10.0.3.0/24", "10.0.2.0/28"])}`;
        default: { const a = d.from(7000, 7010); for (let p = a; p < a + 20; p++) ports.add(p); return `${protocol} -j DNAT --to-destination ${server()}:${a}-${a + 19}`; }
      }
    }
    if (anyPort !== undefined) {
      const random = d.pick(["", "", " --random", " --random-fully"]);
      return d.once(3) ? `${protocol} -j SNAT --to-source ${anyPort}:20000-20099${random}` : `-j SNAT --to-source ${anyPort}${random}`;
    }
    switch (chain === "INPUT" ? d.below(2) : d.below(6)) {
      case 0: return `-j SNAT --to-source ${d.pick([...names.own, "203.0.113.7"])}`;
      case 1: return `-j SNAT --to-source 203.0.113.8-203.0.113.11${d.once(2) ? " --persistent" : ""}`;
      case 5: return `-j NETMAP --to ${d.pick(["203.0.113.0/24", "10.0.77.0/24"])}`;
      default: return "-j MASQUERADE";
    }
  };

  const target = (table: string, chain: string, users: readonly string[], own: boolean): string => {
    if (users.length > 0 && d.once(4)) return `-${d.once(4) ? "g" : "j"} ${d.pick(users)}`;
    if (d.once(7)) return "";
    if (d.once(12)) return d.pick(["-j RETURN", "-j ACCEPT"]);
    if (d.once(10)) return `-j MARK --${d.pick(["set-mark 0x1", "set-mark 0x2", "or-mark 0x10", "and-mark 0xf", "set-xmark 0x4000/0x4000", "xor-mark 0x3"])}`;
    if (table !== "raw" && d.once(12)) return `-j CONNMARK --${d.pick(["set-mark 0x1", "save-mark", "restore-mark", "set-xmark 0x10/0x10", "restore-mark --nfmask 0xf --ctmask 0xff", "save-mark --mask 0xf0"])}`;
    if (d.once(60) && names.gateways.length > 0) return `-j TEE --gateway ${d.pick(names.gateways)}`;
    if (d.once(40)) return `-j SET --${d.pick(["add", "del"])}-set ${d.pick(["ips", "nets"])} ${d.pick(["src", "dst"])}`;
    switch (table) {
      case "raw": return d.weighted([[1, `-j CT --zone ${d.from(1, 3)}`], [3, "-j NOTRACK"], [2, "-j CT --notrack"], [2, "-j ACCEPT"], [1, "-j DROP"]]);
      case "mangle":
        switch (d.below(10)) {
          case 8: return `-p tcp -j TCPOPTSTRIP --strip-options ${d.pick(["wscale", "sack-permitted,timestamp", "mss,3,8"])}`;
          case 0: return `-j TTL --ttl-${d.pick(["set 5", "dec 1", "inc 3", "dec 70", "set 1", "set 200"])}`;
          case 1: return `-j TOS --set-tos ${d.pick(["0x10", "0x08/0x3f", "0xff", "0x00/0x1c"])}`;
          case 2: return `-j DSCP --set-dscp ${d.pick(["0x2e", "0x00", "0x0a"])}`;
          case 3: return chain === "PREROUTING" || chain === "INPUT" || !own ? "-j ACCEPT" : `-p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS ${d.pick(["--set-mss 500", "--set-mss 1300", "--clamp-mss-to-pmtu"])}`;
          case 4: return "-p tcp -j ECN --ecn-tcp-remove";
          case 5: return chain === "PREROUTING" || chain === "INPUT" || !own ? "-j ACCEPT" : "-j CLASSIFY --set-class 1:2";
          case 6: return "-j ACCEPT";
          case 7: return "-j DROP";
          default: return "-j MARK --set-mark 0x1";
        }
      case "nat": return own ? natTarget(chain) : d.pick(["-j ACCEPT", "-j RETURN", "-j MARK --or-mark 0x4"]);
      case "filter":
        return d.weighted([
          [4, "-j ACCEPT"], [3, "-j DROP"], [1, "-j REJECT"], [1, "-p tcp -j REJECT --reject-with tcp-reset"], [1, "-j LOG"],
          [1, `-j REJECT --reject-with icmp-${d.pick(["net-unreachable", "host-unreachable", "proto-unreachable", "port-unreachable", "net-prohibited", "host-prohibited", "admin-prohibited"])}`],
        ]);
      default: return d.pick(["-j ACCEPT", "-j DROP"]);
    }
  };

  /** One rule; at most one `-p`. */
  const rule = (table: string, chain: string, users: readonly string[], own: boolean): string | undefined => {
    const goes = target(table, chain, users, own);
    const parts: string[] = [];
    const needsProtocol = goes.startsWith("-p ");
    if (!needsProtocol && d.once(2)) parts.push(layer4());
    for (let n = d.weighted([[3, 0], [5, 1], [3, 2], [1, 3]]); n > 0; n--) parts.push(match(table, chain, own));
    // DROP, and what ends a packet's way, is for few packets: with a match at least.
    if (/DROP|REJECT/.test(goes) && !parts.some((part) => part.length > 0)) {
      parts.push(d.once(2) ? `-s ${address()}` : `-m statistic --mode nth --every ${d.from(3, 6)} --packet 0`);
    }
    const once = (option: RegExp): boolean => parts.filter((part) => option.test(part)).length < 2;
    if (![/(^|! )-s /, /(^|! )-d /, /-i /, /-o /, /-f$/, /-p /].every((option) => once(option))) return undefined;
    if (parts.filter((part) => part.startsWith("-m recent")).length > 0 && parts.filter((part) => part.startsWith("-m")).length > 2) return undefined;
    if (/multiport.*multiport/.test(parts.join(" "))) return undefined;
    const set = new Set(parts.filter((part) => part !== ""));
    return `-A ${chain} ${[...set, goes].join(" ").replace(/ +/g, " ").trim()}`;
  };

  const some = (table: string, chain: string, users: readonly string[], own: boolean, count: number): string[] => {
    const rules: string[] = [];
    while (rules.length < count) {
      const one = rule(table, chain, users, own);
      if (one !== undefined) rules.push(one);
    }
    return rules;
  };

  let text = "";
  let nat = false;
  for (const table of ["raw", "mangle", "nat", "filter", "security"]) {
    const wanted = { raw: 3, mangle: 2, nat: 2, filter: 1.3, security: 6 }[table]!;
    if (d.below(100) >= 100 / wanted) continue;
    if (table === "nat") nat = true;
    const users = Array.from({ length: d.below(4) }, (_, i) => `U${i}`);
    const lines = [`*${table}`];
    for (const chain of BUILTIN[table]!) {
      if (table !== "nat" && d.once(12)) lines.push(`:${chain} DROP [0:0]`);
    }
    for (const user of users) lines.push(`:${user} - [0:0]`);
    for (const chain of BUILTIN[table]!) lines.push(...some(table, chain, users, true, d.weighted([[2, 0], [3, 1], [3, 3], [1, 6]])));
    users.forEach((user, i) => lines.push(...some(table, user, users.slice(i + 1), false, d.below(4))));
    text += `${lines.join("\n")}\nCOMMIT\n`;
  }
  const ipset = text.includes("-set ")
    ? `create ips hash:ip\n${[...new Set([address(), address(), server()])].map((ip) => `add ips ${ip}\n`).join("")}` +
      `create nets hash:net\n${[...new Set([d.pick(names.nets), "10.0.2.0/25", "10.96.0.0/16"])].map((n) => `add nets ${n}\n`).join("")}` +
      (d.once(2) ? `add nets ${address()} nomatch\n` : "") +
      `create pairs hash:ip,port\nadd pairs ${server()},tcp:80\nadd pairs ${address()},udp:53\nadd pairs 10.0.2.11,icmp:8/0\nadd pairs 10.96.0.1,443\n`
    : "";
  return { iptables: text, ipset, ports: [...ports], nat, anyPort: nat ? anyPort : undefined };
}
