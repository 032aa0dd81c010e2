/** `ip maddr` and `ip netconf`. */
import { linkRecords } from "../kernel.ts";
import type { Words } from "../tool.ts";
import { printer, type IpContext } from "./context.ts";

/** `ip maddr` (ip/ipmaddr.c): every device is in the all-hosts group, and none in another. */
export function ipMaddress(context: IpContext, words: Words): void {
  let dev: string | undefined;
  for (; words.word !== undefined; words.skip()) {
    if (["show", "list", "lst"].includes(words.word)) continue;
    dev = words.word === "dev" ? words.next() : words.word;
  }
  const p = printer(context);
  p.array(undefined, () => {
    for (const link of linkRecords(context.netns)) {
      if ((dev !== undefined && link.name !== dev) || !link.up) continue;
      p.object(undefined, () => {
        p.any("ifindex", link.ifindex, `${link.ifindex}:`);
        p.any("ifname", link.name, `\t${link.name}\n`);
        p.array("maddr", () => {
          if (link.kind !== "loopback") p.object(undefined, () => p.any("link", "01:00:5e:00:00:01", "\tlink  01:00:5e:00:00:01\n"));
          p.object(undefined, () => {
            p.any("family", "inet", "\tinet  ");
            p.any("address", "224.0.0.1", "224.0.0.1\n");
          });
        });
      });
    }
  });
  context.streams.stdout += p.take();
}

/** `ip netconf` (ip/ipnetconf.c): the IPv4 settings of every device, of all and of new ones. */
export function ipNetconf(context: IpContext, _words: Words): void {
  const p = printer(context);
  const { netns } = context;
  if (context.family === "inet6") return;
  p.array(undefined, () => {
    for (const name of [...linkRecords(netns).map((link) => link.name), "all", "default"]) {
      p.object(undefined, () => {
        const on = (key: string): boolean => netns.sysctl(`net.ipv4.conf.${name}.${key}`) !== "0";
        const filter = ["off", "strict", "loose"][Number(netns.sysctl(`net.ipv4.conf.${name}.rp_filter`))] ?? "off";
        const flag = (key: string, value: boolean): void => p.any(key, value, `${key} ${value ? "on" : "off"} `);
        p.any("family", "inet", "inet ");
        p.any("interface", name, `${name} `);
        flag("forwarding", on("forwarding"));
        p.any("rp_filter", filter, `rp_filter ${filter} `);
        flag("mc_forwarding", false);
        flag("proxy_neigh", on("proxy_arp"));
        flag("ignore_routes_with_linkdown", false);
        p.fp("\n");
      });
    }
  });
  context.streams.stdout += p.take();
}
