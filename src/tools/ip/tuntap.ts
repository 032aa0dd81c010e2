/** `ip tuntap` (ip/iptuntap.c): persistent tun and tap devices; a program opens them (src/kernel/devices.ts, openTap). */
import type { Netns } from "../../kernel/netns.ts";
import { linkRecords } from "../kernel.ts";
import { abbreviates, ToolExit, unsigned, type Words } from "../tool.ts";
import { findLink, isInterfaceName, printer, talk, type IpContext } from "./context.ts";

const USAGE = "Usage: ip tuntap { add | del | show | list | lst | help } [ dev PHYS_DEV ]\n       [ mode { tun | tap } ] [ user USER ] [ group GROUP ]\n" +
  "       [ one_queue ] [ pi ] [ vnet_hdr ] [ multi_queue ] [ name NAME ]\n\nWhere: USER  := { STRING | NUMBER }\n       GROUP := { STRING | NUMBER }\n";
const usage = (): ToolExit => new ToolExit(255, USAGE);

export function ipTuntap(context: IpContext, words: Words): void {
  const verb = words.word;
  if (verb === undefined) return show(context);
  words.skip();
  if (abbreviates(verb, "add")) return change(context, words, true);
  if (abbreviates(verb, "delete")) return change(context, words, false);
  if (["show", "lst", "list"].some((name) => abbreviates(verb, name))) return show(context);
  if (abbreviates(verb, "help")) throw usage();
  throw new ToolExit(255, `Command "${verb}" is unknown, try "ip tuntap help".\n`);
}

function change({ netns }: IpContext, words: Words, adding: boolean): void {
  let mode: "tun" | "tap" | undefined;
  let name: string | undefined;
  for (; words.word !== undefined; words.skip()) {
    const word = words.word;
    if (abbreviates(word, "mode")) {
      const text = words.next();
      if (abbreviates(text, "tun")) mode = "tun";
      else if (abbreviates(text, "tap")) mode = "tap";
      else throw new ToolExit(255, `Unknown tunnel mode "${text}"\n`);
    } else if (word === "user" || word === "group") {
      const text = words.next();
      if (unsigned(text) === undefined && text !== "root") throw new ToolExit(255, `invalid ${word} "${text}"\n`);
    } else if (["pi", "one_queue", "vnet_hdr", "multi_queue"].includes(word)) {
      if (word !== "one_queue") throw new ToolExit(1, "ioctl(TUNSETIFF): Operation not supported\n");
    } else if (abbreviates(word, "help")) throw usage();
    else {
      const text = word === "dev" || word === "name" ? words.next() : word;
      if (!isInterfaceName(text)) throw new ToolExit(255, `Error: argument "${text}" is wrong: "name" not a valid ifname\n`);
      name = text;
    }
  }
  if (mode === undefined) throw new ToolExit(255, "You failed to specify a tunnel mode\n");
  const kind = mode;
  const dev = name ?? free(netns.links().map((link) => link.name), kind);
  const found = findLink(netns, dev);
  if (adding) {
    if (found !== undefined) throw new ToolExit(1, found.kind === kind ? "ioctl(TUNSETIFF): Device or resource busy\n" : "ioctl(TUNSETIFF): Invalid argument\n");
    talk(() => netns.addLink({ kind, name: dev }));
    // Nobody holds it, so it has no carrier, and without one a device gets no link address.
    if (hasIpv6(netns)) netns.setSysctl(`net.ipv6.conf.${dev}.addr_gen_mode`, "1");
    return;
  }
  if (found === undefined) return;
  if (found.kind !== kind) throw new ToolExit(1, "ioctl(TUNSETIFF): Invalid argument\n");
  talk(() => netns.deleteLink(dev));
}

function free(taken: readonly string[], prefix: string): string {
  let number = 0;
  while (taken.includes(`${prefix}${number}`)) number++;
  return `${prefix}${number}`;
}

/** What the tool reads of each device is a file of /sys of its own namespace; another one's has none (`ip netns exec` mounts it anew). */
function show(context: IpContext): void {
  const p = printer(context);
  p.array(undefined, () => {
    for (const { name } of linkRecords(context.netns).filter(({ kind }) => kind === "tun" || kind === "tap")) {
      context.streams.stderr += `fopen /sys/class/net/${name}/tun_flags: No such file or directory\n`;
    }
  });
  context.streams.stdout += p.take();
}

/** Whether the namespace speaks IPv6. */
export function hasIpv6(netns: Netns): boolean {
  try {
    return netns.sysctl("net.ipv6.conf.default.addr_gen_mode") !== undefined;
  } catch {
    return false;
  }
}
