/** `ip maddr` and `ip netconf`. */
import type { Netns } from "../../kernel/netns.ts";
import { KernelError } from "../../kernel/netns.ts";
import { linkRecords, type LinkRecord } from "../kernel.ts";
import { groups4, groups6, linkGroups } from "../multicast.ts";
import { abbreviates, garbage, ToolExit, type Words } from "../tool.ts";
import { needLink, printer, answers, type IpContext } from "./context.ts";

const MADDR = "Usage: ip maddr [ add | del ] MULTIADDR dev STRING\n       ip maddr show [ dev STRING ]\n";

/** `ip maddr` (ip/ipmaddr.c) */
export function ipMaddress(context: IpContext, words: Words): void {
  const { netns, family } = context;
  const verb = words.word;
  if (verb !== undefined) {
    words.skip();
    if (abbreviates(verb, "add") || abbreviates(verb, "delete")) throw answers("Operation not supported");
    if (abbreviates(verb, "help")) throw new ToolExit(255, MADDR);
    if (!["show", "list", "lst"].some((name) => abbreviates(verb, name))) throw new ToolExit(255, `Command "${verb}" is unknown, try "ip maddr help".\n`);
  }
  let dev: string | undefined;
  for (; words.word !== undefined; words.skip()) {
    const name = words.word === "dev" ? words.next() : words.word;
    if (abbreviates(name, "help") && words.word !== "dev") throw new ToolExit(255, MADDR);
    if (dev !== undefined) throw garbage("dev", name);
    dev = name;
  }
  const links = linkRecords(netns);
  // Files of /proc are filtered by name; no device need have it.
  const wanted = dev;
  const onLink = linkGroups(netns, links);
  const v6 = groups6(netns);
  const p = printer(context);
  p.array(undefined, () => {
    for (const link of links) {
      if (wanted !== undefined && link.name !== wanted) continue;
      const lists = {
        link: family === undefined || family === "link" ? (onLink.get(link.ifindex) ?? []) : [],
        inet: family === undefined || family === "inet" ? groups4(netns, link) : [],
        inet6: family === undefined || family === "inet6" ? (v6.get(link.ifindex) ?? []) : [],
      };
      if (lists.link.length + lists.inet.length + lists.inet6.length === 0) continue;
      p.object(undefined, () => {
        p.any("ifindex", link.ifindex, `${link.ifindex}:`);
        p.any("ifname", link.name, `\t${link.name}\n`);
        p.array("maddr", () => {
          const users = (count: number): void => {
            if (count !== 1) p.any("users", count, ` users ${count}`);
            p.fp("\n");
          };
          for (const { mac, users: count } of lists.link) {
            p.object(undefined, () => {
              p.any("link", mac, `\tlink  ${mac}`);
              users(count);
            });
          }
          for (const address of lists.inet) {
            p.object(undefined, () => {
              p.any("family", "inet", "\tinet  ");
              p.any("address", address, address);
              users(1);
            });
          }
          for (const { address, users: count } of lists.inet6) {
            p.object(undefined, () => {
              p.any("family", "inet6", "\tinet6 ");
              p.any("address", address, address);
              users(count);
            });
          }
        });
      });
    }
  });
  context.streams.stdout += p.take();
}

const NETCONF = "Usage: ip netconf show [ dev STRING ]\n";

/** `ip netconf` (ip/ipnetconf.c): the settings of every device, of all and of new ones, IPv4's first. */
export function ipNetconf(context: IpContext, words: Words): void {
  const { netns, family } = context;
  let dev: string | undefined;
  for (; words.word !== undefined; words.skip()) {
    const word = words.word;
    if (word === "show" || word === "list" || word === "lst") continue;
    if (abbreviates(word, "help")) throw new ToolExit(255, NETCONF);
    dev = word === "dev" ? words.next() : word;
  }
  const links = linkRecords(netns);
  if (dev !== undefined && dev !== "all" && dev !== "default") needLink(netns, dev);
  const p = printer(context);
  p.array(undefined, () => {
    for (const inet of ["inet", "inet6"] as const) {
      if (family !== undefined && family !== inet) continue;
      for (const name of dev !== undefined ? [dev] : [...links.filter((link) => speaks(netns, inet, link)).map((link) => link.name), "all", "default"]) {
        p.object(undefined, () => printNetconf(context, inet, name, p));
      }
    }
  });
  context.streams.stdout += p.take();
}

/** Has the device such a configuration? A device may be without IPv6. */
function speaks(netns: Netns, inet: "inet" | "inet6", { name }: LinkRecord): boolean {
  return inet === "inet" || setting(netns, `net.ipv6.conf.${name}.forwarding`) !== undefined;
}

function setting(netns: Netns, name: string): string | undefined {
  try {
    return netns.sysctl(name);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return undefined;
  }
}

function printNetconf({ netns }: IpContext, inet: "inet" | "inet6", name: string, p: ReturnType<typeof printer>): void {
  const family = inet === "inet" ? "ipv4" : "ipv6";
  const on = (key: string): boolean => (setting(netns, `net.${family}.conf.${name}.${key}`) ?? "0") !== "0";
  const flag = (key: string, value: boolean): void => p.any(key, value, `${key} ${value ? "on" : "off"} `);
  p.any("family", inet, `${inet} `);
  p.any("interface", name, `${name} `);
  flag("forwarding", on("forwarding"));
  if (inet === "inet") {
    const filter = ["off", "strict", "loose"][Number(setting(netns, `net.ipv4.conf.${name}.rp_filter`) ?? 0)] ?? "off";
    p.any("rp_filter", filter, `rp_filter ${filter} `);
  }
  flag("mc_forwarding", false);
  flag("proxy_neigh", on(inet === "inet" ? "proxy_arp" : "proxy_ndp"));
  flag("ignore_routes_with_linkdown", false);
  p.fp("\n");
}
