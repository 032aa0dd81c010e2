/** `ip address` (ip/ipaddress.c): add, change, replace, delete, flush; listing is address-show.ts. */
import { IFA_F_HOMEADDRESS, IFA_F_MANAGETEMPADDR, IFA_F_NODAD, IFA_F_NOPREFIXROUTE, IFA_F_OPTIMISTIC } from "../../../assembly/abi/net6.ts";
import { RT_SCOPE_HOST, RT_SCOPE_UNIVERSE } from "../../../assembly/abi/net.ts";
import { addAddress, addressRecords, linkRecords, type LinkRecord } from "../kernel.ts";
import { abbreviates, duplicate, garbage, invalid, ToolExit, unsigned, type Words } from "../tool.ts";
import { addressFilter, addressPasses, listLinks } from "./address-show.ts";
import { forget, remember } from "./attributes.ts";
import { answers, needLink, prefix, SCOPES, talk, type IpContext, type Prefix } from "./context.ts";
import { ADDRESS } from "./usage.ts";
import { KernelError, type Netns } from "../../kernel/netns.ts";

type Verb = "add" | "change" | "replace" | "delete";

export function ipAddress(context: IpContext, words: Words): void {
  const verb = words.word;
  if (verb === undefined) return listLinks(context, words, false);
  words.skip();
  if (abbreviates(verb, "add")) return modify(context, words, "add");
  if (abbreviates(verb, "change") || abbreviates(verb, "chg")) return modify(context, words, "change");
  if (abbreviates(verb, "replace")) return modify(context, words, "replace");
  if (abbreviates(verb, "delete")) return modify(context, words, "delete");
  if (abbreviates(verb, "show") || abbreviates(verb, "lst") || abbreviates(verb, "list")) return listLinks(context, words, false);
  if (abbreviates(verb, "flush")) return flush(context, words);
  if (abbreviates(verb, "help")) throw new ToolExit(255, ADDRESS);
  throw new ToolExit(255, `Command "${verb}" is unknown, try "ip address help".\n`);
}

/** Words that say something this kernel does not keep. */
const REFUSED = ["metric", "priority", "preference", "anycast", "proto"];
const FLAGS: Readonly<Record<string, number>> = {
  nodad: IFA_F_NODAD, noprefixroute: IFA_F_NOPREFIXROUTE, home: IFA_F_HOMEADDRESS, mngtmpaddr: IFA_F_MANAGETEMPADDR, autojoin: 0, optimistic: IFA_F_OPTIMISTIC,
};

function modify(context: IpContext, words: Words, verb: Verb): void {
  const { netns, streams } = context;
  let local: Prefix | undefined;
  let localText = "";
  let dev: string | undefined;
  let label: string | undefined;
  let broadcast: string | undefined;
  let peer: Prefix | undefined;
  let scope: number | undefined;
  const lifetimes = { valid: Infinity, preferred: Infinity };
  let limited = false;
  let flags = 0;
  for (; words.word !== undefined; words.skip()) {
    const word = words.word;
    if (word === "peer" || word === "remote") peer = prefix(words.next(), context.family);
    else if (abbreviates(word, "broadcast") || word === "brd") broadcast = words.next();
    else if (word === "scope") {
      const text = words.next();
      scope = SCOPES.number(text);
      if (scope === undefined) throw invalid("invalid scope value.", text);
    } else if (word === "dev") dev = words.next();
    else if (word === "label") label = words.next();
    else if (word in FLAGS) {
      if (FLAGS[word] === 0) throw answers("Operation not supported");
      flags |= FLAGS[word]!;
    } else if (word === "valid_lft" || word === "preferred_lft") {
      const text = words.next();
      const key = word === "valid_lft" ? "valid" : "preferred";
      if (limited && Number.isFinite(lifetimes[key])) throw duplicate(word, text);
      const seconds = text === "forever" ? Infinity : unsigned(text);
      if (seconds === undefined) throw invalid(`${word} value`, text);
      lifetimes[key] = seconds === 0xffffffff ? Infinity : seconds;
      limited = true;
    } else if (REFUSED.includes(word)) {
      words.next();
      throw answers("Operation not supported");
    } else {
      if (word === "help") throw new ToolExit(255, ADDRESS);
      const text = word === "local" ? words.next() : word;
      if (local !== undefined) throw garbage("local", text);
      local = prefix(text, context.family);
      localText = text;
    }
  }
  if (dev === undefined) throw new ToolExit(1, 'Not enough information: "dev" argument is required.\n');
  if (label !== undefined && !label.startsWith(dev)) throw new ToolExit(1, `"dev" (${dev}) must match "label" (${label}).\n`);
  if (verb === "delete" && local?.family === "inet" && !local.explicit && peer === undefined) {
    streams.stderr += `Warning: Executing wildcard deletion to stay compatible with old scripts.\n         Explicitly specify the prefix length (${localText}/32) to avoid this warning.\n` +
      "         This special behaviour is likely to disappear in further releases,\n         fix your scripts!\n";
  }
  const link = needLink(netns, dev);
  if (local === undefined && peer !== undefined) [local, peer] = [peer, undefined];
  if (local === undefined) {
    if (verb === "delete" && context.family === "inet") return removeAny(netns, link);
    throw answers(context.family === "inet" ? "Invalid argument" : "Operation not supported");
  }
  const v6 = local.family === "inet6";
  // IPv4 knows no flag but NOPREFIXROUTE, whose route it has here in any case.
  if (!v6 && (flags & IFA_F_NOPREFIXROUTE) !== 0) throw answers("Operation not supported");
  const { address } = local;
  // With a peer the prefix is the peer's.
  const { bits, explicit } = peer ?? local;
  if (limited && lifetimes.valid === 0 && verb !== "delete") throw new ToolExit(1, "valid_lft is zero\n");
  if (limited && lifetimes.valid < lifetimes.preferred && verb !== "delete") throw new ToolExit(1, "preferred_lft is greater than valid_lft\n");
  if (verb === "delete") {
    const found = addressRecords(netns).find((record) =>
      record.ifindex === link.ifindex && record.address === address && (!explicit || record.bits === bits) && (peer === undefined || record.peer === peer.address));
    if (found === undefined) {
      throw local.family === "inet" ? new ToolExit(2, "Error: ipv4: Address not found.\n") : answers("Cannot assign requested address");
    }
    talk(() => netns.deleteAddress(dev, `${address}/${found.bits}`));
    return forget(netns, found);
  }
  const there = addressRecords(netns).some((record) => record.ifindex === link.ifindex && record.address === address && record.bits === bits);
  if (there && verb === "add") {
    throw local.family === "inet" ? new ToolExit(2, "Error: ipv4: Address already assigned.\n") : new ToolExit(2, "Error: ipv6: address already assigned.\n");
  }
  const wide = v6 ? undefined : broadcastOf(broadcast, { ...local, bits });
  if (!there || v6) {
    try {
      // default_scope(): that of 127.0.0.0/8 is the host.
      addAddress(netns, link.ifindex, address, bits, scope ?? (address.startsWith("127.") ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE),
        { peer: peer?.address, broadcast: wide, flags, valid: lifetimes.valid, preferred: lifetimes.preferred });
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      if (v6 && error.code === "EEXIST") throw new ToolExit(2, "Error: ipv6: address already assigned.\n");
      if (v6 && error.code === "EACCES") throw answers("Permission denied");
      throw new ToolExit(2, `${error.message}\n`);
    }
  }
  if (!v6 && (label !== undefined || limited)) remember(netns, { ifindex: link.ifindex, address, bits }, { label, ...(limited ? { lifetimes } : {}) });
}

/** inet_rtm_deladdr() without an address: the device's first one goes. */
function removeAny(netns: Netns, link: LinkRecord): void {
  const found = addressRecords(netns).find((record) => record.ifindex === link.ifindex && record.family === "inet");
  if (found === undefined) throw new ToolExit(2, "Error: ipv4: Address not found.\n");
  talk(() => netns.deleteAddress(link.name, `${found.address}/${found.bits}`));
  forget(netns, found);
}

/** `brd +`: all ones behind the prefix; `brd -`: all zeros. */
function broadcastOf(text: string | undefined, { address, bits }: Prefix): string | undefined {
  if (text === undefined) return undefined;
  if (text !== "+" && text !== "-") return prefix(text, "inet").address;
  if (bits > 30) return undefined;
  const number = address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
  const size = 2 ** (32 - bits);
  const base = Math.floor(number / size) * size + (text === "+" ? size - 1 : 0);
  return [24, 16, 8, 0].map((shift) => Math.floor(base / 2 ** shift) % 256).join(".");
}

function flush(context: IpContext, words: Words): void {
  const { netns } = context;
  if (words.word === undefined) throw new ToolExit(1, "Flush requires arguments.\n");
  const filter = addressFilter(context, words, false);
  for (const link of linkRecords(netns)) {
    if (filter.dev !== undefined && filter.dev.ifindex !== link.ifindex) continue;
    for (const record of addressRecords(netns)) {
      if (record.ifindex !== link.ifindex || !addressPasses(netns, link, record, filter, context.family)) continue;
      // A secondary address went with its primary one.
      if (addressRecords(netns).some((one) => one.ifindex === record.ifindex && one.address === record.address && one.bits === record.bits)) {
        talk(() => netns.deleteAddress(link.name, `${record.address}/${record.bits}`));
      }
      forget(netns, record);
    }
  }
}
