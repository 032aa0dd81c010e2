/** `ipset` 7.17 of one namespace: commands as typed, `ipset restore` input, listings, errors as the tool words them. */
import { EBUSY, EEXIST, EINVAL, ENOENT, ENOMEM } from "../../assembly/abi/core.ts";
import {
  IPSETE_BYTES, IPSETE_BYTE_COUNT, IPSETE_CIDR, IPSETE_CIDR2, IPSETE_FLAGS, IPSETE_ID, IPSETE_IP, IPSETE_IP2, IPSETE_IP26, IPSETE_IP6,
  IPSETE_MARK, IPSETE_MARKMASK, IPSETE_MEMBER, IPSETE_NAME, IPSETE_PACKETS, IPSETE_PHYSDEV, IPSETE_PORT, IPSETE_PRIO, IPSETE_PROTO,
  IPSETE_QUEUE, IPSETE_TIMEOUT, IPSETH_BYTES, IPSETH_ELEMENTS, IPSETH_FIRST, IPSETH_KIND, IPSETH_LAST, IPSETH_MASK, IPSETH_MAXELEM,
  IPSETH_OPTIONS, IPSETH_REFERENCES, IPSETH_TIMEOUT, IPSETH_TYPE, IPSETO_COMMENT, IPSETO_COUNTERS, IPSETO_FORCEADD, IPSETO_INET6,
  IPSETO_SKBINFO, IPSETO_TIMEOUT, IPSET_CMD_DESTROY, IPSET_CMD_FLUSH, IPSET_CMD_RENAME, IPSET_CMD_SWAP, IPSET_ERR_CIDR,
  IPSET_ERR_EXIST, IPSET_ERR_EXIST_SETNAME2, IPSET_ERR_FULL, IPSET_ERR_LOOP, IPSET_ERR_NAME, IPSET_ERR_NAMEREF, IPSET_ERR_NULL,
  IPSET_ERR_RANGE, IPSET_ERR_REFERENCED, IPSET_ERR_TYPE_MISMATCH, IPSET_EXIST, IPSET_NOMATCH, IPSET_OP_ADD, IPSET_OP_DEL,
  IPSET_OP_TEST, KIND_BITMAP, KIND_IFACE, KIND_IP, KIND_IP2, KIND_LIST, KIND_MAC, KIND_MARK, KIND_NET, KIND_NET2, KIND_PORT,
  NF_IPSET_COMMAND, NF_IPSET_ELEMENT, NF_IPSET_HEADER, NF_IPSET_LIST, NF_IPSET_NEW,
} from "../../assembly/abi/ipset.ts";
import { formatIpv4 } from "./address.ts";
import { formatIpv6 } from "./address6.ts";
import type { NodeContext } from "./context.ts";
import { protocolName, parseNumber, words } from "./iptables/text.ts";
import { KernelError } from "./netns.ts";
import {
  FOR_EVER, Failure, ICMP, ICMP6, NAME, TIMEOUT_MAX, TYPES, elementsOf, hint, hosts, maskOf, numberIn, ports, syntax, wide,
  type Element, type Extras, type Header, type Notes,
} from "./ipset-elements.ts";

export interface IpsetOutcome {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Ipset {
  /** `ipset ARGS…`; `stdin` is what `restore` reads. */
  run(args: readonly string[], stdin?: string): IpsetOutcome;
  /** `ipset restore`. Throws KernelError EINVAL with the tool's message. */
  restore(text: string): void;
}

const quoted = (text: string): string => `"${text}"`;

/** ipset of the namespace `netns`. One object per namespace, as it keeps comments. `without`: types the kernel is built without. */
export function createIpset(context: NodeContext, netns: number, { without = [] }: { readonly without?: readonly string[] } = {}): Ipset {
  const { instance } = context;
  const comments = new Map<string, Map<number, string>>();
  const notes = new Map<string, Notes>();

  const putName = (at: number, text: string): void => {
    for (let i = 0; i < NAME; i++) instance.u8[at + i] = i < text.length ? text.charCodeAt(i) & 255 : 0;
  };
  const getName = (at: number, length = NAME): string => {
    let text = "";
    for (let i = 0; i < length && instance.u8[at + i] !== 0; i++) text += String.fromCharCode(instance.u8[at + i]!);
    return text;
  };
  const ALLOWED = [
    EBUSY, EEXIST, EINVAL, ENOENT, ENOMEM, IPSET_ERR_CIDR, IPSET_ERR_EXIST, IPSET_ERR_EXIST_SETNAME2, IPSET_ERR_FULL, IPSET_ERR_LOOP,
    IPSET_ERR_NAME, IPSET_ERR_NAMEREF, IPSET_ERR_NULL, IPSET_ERR_RANGE, IPSET_ERR_REFERENCED, IPSET_ERR_TYPE_MISMATCH,
  ];
  const call = (op: number, length: number): number => context.command(op, length, "ipset", ALLOWED);

  const headers = (): Header[] => {
    const all: Header[] = [];
    for (let i = 0; ; i++) {
      instance.view.setUint32(0, netns, true);
      instance.view.setUint32(4, i, true);
      if (call(NF_IPSET_HEADER, 8) < 0) break;
      const u32 = (at: number): number => instance.view.getUint32(NAME + at, true);
      all.push({
        name: getName(0), type: TYPES[u32(IPSETH_TYPE)]!, options: u32(IPSETH_OPTIONS), timeout: u32(IPSETH_TIMEOUT), maxelem: u32(IPSETH_MAXELEM),
        first: u32(IPSETH_FIRST), last: u32(IPSETH_LAST), mask: instance.view.getUint32(NAME + IPSETH_MASK), elements: u32(IPSETH_ELEMENTS),
        references: u32(IPSETH_REFERENCES),
      });
    }
    // Lists come after the sets that they name.
    return [...all.filter(({ type }) => !(type.kind & KIND_LIST)), ...all.filter(({ type }) => type.kind & KIND_LIST)];
  };
  const headerOf = (name: string): Header | undefined => headers().find((header) => header.name === name);
  const notesOf = (name: string): Notes => notes.get(name) ?? { family: "inet", hashsize: 1024, bucketsize: 12, netmask: undefined, initval: "0x00000000" };
  const NO_SET = "The set with the given name does not exist";
  const existing = (name: string): Header => {
    const header = headerOf(name);
    if (header === undefined) throw new Failure(NO_SET);
    return header;
  };
  const checkName = (name: string): void => {
    if (name.length >= NAME) throw syntax(`setname '${name}' is longer than 31 characters`);
  };

  const create = (name: string, typeName: string, words_: readonly string[], exist: boolean): void => {
    checkName(name);
    const type = TYPES.find((candidate) => candidate.name === typeName);
    if (type === undefined) throw syntax(`typename '${typeName}' is unknown`);
    if (without.includes(typeName)) throw new Failure("Kernel error received: set type not supported");
    let options = 0;
    let timeout = 0;
    let maxelem = type.kind & KIND_LIST ? 8 : 65536;
    let hashsize = 1024;
    let bucketsize = 12;
    let family = "inet";
    let netmask: number | undefined;
    let markmask = 0xffffffff;
    let first = 0;
    let last = 0;
    let ranged = false;
    let initval: string | undefined;
    for (let i = 0; i < words_.length; i++) {
      const word = words_[i]!;
      const next = (): string => {
        const value = words_[++i];
        if (value === undefined) throw hint(`Missing mandatory argument of option \`${word}'`);
        return value;
      };
      switch (word) {
        case "timeout": timeout = numberIn(next(), 0, TIMEOUT_MAX); options |= IPSETO_TIMEOUT; break;
        case "counters": options |= IPSETO_COUNTERS; break;
        case "comment": options |= IPSETO_COMMENT; break;
        case "skbinfo": options |= IPSETO_SKBINFO; break;
        case "forceadd": options |= IPSETO_FORCEADD; break;
        case "maxelem": maxelem = numberIn(next(), 0, 0xffffffff); break;
        case "size": maxelem = numberIn(next(), 0, 0xffffffff); break;
        case "hashsize": hashsize = numberIn(next(), 0, 0xffffffff); break;
        case "bucketsize": bucketsize = numberIn(next(), 0, 255); break;
        case "initval": initval = next(); break;
        case "family": {
          const value = next();
          if (!["inet", "inet6", "ipv4", "ipv6", "-4", "-6"].includes(value)) throw syntax(`unknown inet family ${value}`);
          family = value.endsWith("6") ? "inet6" : "inet";
          break;
        }
        case "-4": family = "inet"; break;
        case "-6": family = "inet6"; break;
        case "netmask": {
          const value = next();
          const bits = parseNumber(value);
          if (bits === undefined) throw syntax(`'${value}' is invalid as number`);
          const most = family === "inet6" ? 128 : 32;
          if (bits < 1 || bits > most) throw syntax(`'${value}' is out of range 1-${most}\nSyntax error: netmask is out of the inclusive range of 1-${most}`);
          netmask = bits;
          break;
        }
        case "markmask": markmask = numberIn(next(), 1, 0xffffffff); break;
        case "range": {
          const value = next();
          ranged = true;
          if (type.kind & KIND_PORT) [, first, last] = ports(value);
          else ({ first, last } = hosts(value));
          break;
        }
        case "-exist": case "-!": break;
        default: throw hint(`Unknown argument: \`${word}'`);
      }
    }
    if (type.kind & KIND_BITMAP && !ranged) throw hint("Mandatory option `range' is missing");
    if (type.kind & KIND_BITMAP && type.kind & KIND_IP && last - first > 65535) throw new Failure("The range you specified exceeds the size limit of the set type");
    let size = 1;
    while (size < hashsize) size *= 2;
    const known = headerOf(name);
    if (known !== undefined) {
      const same = exist && known.type === type && known.timeout === timeout && known.first === first && known.last === last;
      if (same) return;
      throw new Failure("Set cannot be created: set with the same name already exists");
    }
    const { view } = instance;
    view.setUint32(0, netns, true);
    putName(4, name);
    const at = 4 + NAME;
    view.setUint32(at + IPSETH_KIND, type.kind, true);
    const six = family === "inet6" && (type.kind & KIND_IP) !== 0;
    view.setUint32(at + IPSETH_OPTIONS, options | (six ? IPSETO_INET6 : 0), true);
    view.setUint32(at + IPSETH_TIMEOUT, timeout, true);
    view.setUint32(at + IPSETH_MAXELEM, maxelem, true);
    view.setUint32(at + IPSETH_FIRST, first, true);
    view.setUint32(at + IPSETH_LAST, last, true);
    if (type.kind & KIND_MARK) view.setUint32(at + IPSETH_MASK, markmask, true);
    else if (six) view.setUint32(at + IPSETH_MASK, netmask ?? 128, true);
    else view.setUint32(at + IPSETH_MASK, maskOf(netmask ?? 32));
    view.setUint32(at + IPSETH_TYPE, TYPES.indexOf(type), true);
    const result = call(NF_IPSET_NEW, 4 + NAME + IPSETH_BYTES);
    if (result < 0) throw new Failure(`Kernel error received: ${result === -ENOMEM ? "Cannot allocate memory" : "Invalid argument"}`);
    let hash = 0x811c9dc5;
    for (const c of name) hash = Math.imul(hash ^ c.charCodeAt(0), 0x01000193) >>> 0;
    notes.set(name, { family, hashsize: Math.max(size, 64), bucketsize, netmask, initval: initval ?? `0x${hash.toString(16).padStart(8, "0")}` });
    comments.set(name, new Map());
  };

  const writeElement = (at: number, element: Element, extras: Extras): void => {
    const { view, u8 } = instance;
    u8.fill(0, at, at + IPSETE_BYTES);
    view.setUint32(at + IPSETE_IP, element.ip);
    view.setUint32(at + IPSETE_IP2, element.ip2);
    if (element.ip6 !== undefined) u8.set(element.ip6, at + IPSETE_IP6);
    if (element.ip26 !== undefined) u8.set(element.ip26, at + IPSETE_IP26);
    view.setUint16(at + IPSETE_PORT, element.port, true);
    u8[at + IPSETE_PROTO] = element.proto;
    u8[at + IPSETE_CIDR] = element.cidr;
    u8[at + IPSETE_CIDR2] = element.cidr2;
    u8[at + IPSETE_PHYSDEV] = element.physdev ? 1 : 0;
    if (element.mac !== undefined) u8.set(element.mac, at + IPSETE_NAME);
    else for (let i = 0; i < 16; i++) u8[at + IPSETE_NAME + i] = i < element.text16.length ? element.text16.charCodeAt(i) & 255 : 0;
    view.setUint32(at + IPSETE_FLAGS, extras.nomatch ? IPSET_NOMATCH : 0, true);
    view.setUint32(at + IPSETE_TIMEOUT, extras.timeout, true);
    view.setUint32(at + IPSETE_QUEUE, extras.queue, true);
    view.setBigUint64(at + IPSETE_PACKETS, extras.packets, true);
    view.setBigUint64(at + IPSETE_BYTE_COUNT, extras.bytes, true);
    view.setUint32(at + IPSETE_MARK, extras.mark, true);
    view.setUint32(at + IPSETE_MARKMASK, extras.markMask, true);
    view.setUint32(at + IPSETE_PRIO, extras.prio, true);
  };

  const change = (verb: "add" | "del" | "test", name: string, elementText: string, words_: readonly string[], exist: boolean): { exit: number; stderr: string } => {
    checkName(name);
    const set = existing(name);
    const note = notesOf(name);
    const extras: Extras = {
      timeout: FOR_EVER, packets: 0n, bytes: 0n, mark: 0, markMask: 0xffffffff, prio: 0, queue: 0, nomatch: false, comment: undefined,
    };
    let member = "";
    let reference = "";
    let where = 0;
    if (set.type.kind & KIND_LIST) member = elementText;
    const elements = set.type.kind & KIND_LIST
      ? [{ ip: 0, ip2: 0, port: 0, proto: 0, cidr: 0, cidr2: 0, physdev: false, text16: "", mac: undefined }]
      : elementsOf(set, note, elementText);
    const needs = (flag: number, what: string): void => {
      if (!(set.options & flag)) throw new Failure(`${what} cannot be used: set was created without ${what.toLowerCase()} support`);
    };
    for (let i = 0; i < words_.length; i++) {
      const word = words_[i]!;
      const next = (): string => {
        const value = words_[++i];
        if (value === undefined) throw hint(`Missing mandatory argument of option \`${word}'`);
        return value;
      };
      switch (word) {
        case "timeout": extras.timeout = numberIn(next(), 0, TIMEOUT_MAX); needs(IPSETO_TIMEOUT, "Timeout"); break;
        case "packets": extras.packets = wide(next()); needs(IPSETO_COUNTERS, "Packet/byte counters"); break;
        case "bytes": extras.bytes = wide(next()); needs(IPSETO_COUNTERS, "Packet/byte counters"); break;
        case "comment": extras.comment = next(); needs(IPSETO_COMMENT, "Comment"); break;
        case "skbmark": {
          const [value = "", mask] = next().split("/");
          extras.mark = numberIn(value, 0, 0xffffffff);
          if (mask !== undefined) extras.markMask = numberIn(mask, 0, 0xffffffff);
          needs(IPSETO_SKBINFO, "Skbinfo");
          break;
        }
        case "skbprio": {
          const [major = "", minor = ""] = next().split(":");
          extras.prio = ((parseInt(major, 16) << 16) | parseInt(minor, 16)) >>> 0;
          break;
        }
        case "skbqueue": extras.queue = numberIn(next(), 0, 65535); break;
        case "nomatch":
          if (!(set.type.kind & (KIND_NET | KIND_NET2))) throw hint(`Unknown argument: \`${word}'`);
          extras.nomatch = true;
          break;
        case "before": reference = next(); where = 1; break;
        case "after": reference = next(); where = 2; break;
        case "-exist": case "-!": break;
        default: throw hint(`Unknown argument: \`${word}'`);
      }
    }
    const op = { add: IPSET_OP_ADD, del: IPSET_OP_DEL, test: IPSET_OP_TEST }[verb];
    if (set.type.kind & KIND_BITMAP) {
      // The range is looked at as a whole, before anything is changed.
      const value = ({ ip, port }: Element): number => (set.type.kind & KIND_PORT ? port : ip);
      if (elements.some((element) => value(element) < set.first || value(element) > set.last)) throw elementFailure(IPSET_ERR_RANGE, verb);
    }
    let found = 0;
    for (const element of elements) {
      instance.view.setUint32(0, netns, true);
      putName(4, name);
      instance.view.setUint32(4 + NAME, op, true);
      instance.view.setUint32(8 + NAME, exist ? IPSET_EXIST : 0, true);
      const at = 12 + NAME;
      writeElement(at, element, extras);
      putName(at + IPSETE_BYTES, member);
      putName(at + IPSETE_BYTES + NAME, reference);
      instance.view.setUint32(at + IPSETE_BYTES + 2 * NAME, where, true);
      const result = call(NF_IPSET_ELEMENT, at + IPSETE_BYTES + 2 * NAME + 4);
      if (result < 0) throw elementFailure(-result, verb);
      found = result;
      if (verb === "add") {
        const own = comments.get(name) ?? new Map<number, string>();
        comments.set(name, own);
        if (extras.comment !== undefined) own.set(result, extras.comment);
      }
    }
    if (verb !== "test") return { exit: 0, stderr: "" };
    return found === 1 ? { exit: 0, stderr: `Warning: ${elementText} is in set ${name}.\n` } : { exit: 1, stderr: `${elementText} is NOT in set ${name}.\n` };
  };

  const elementFailure = (errno: number, verb: string): Failure => {
    switch (errno) {
      case ENOENT: return new Failure(NO_SET);
      case IPSET_ERR_EXIST:
        return new Failure(verb === "add" ? "Element cannot be added to the set: it's already added" : "Element cannot be deleted from the set: it's not added");
      case IPSET_ERR_FULL: return new Failure("Hash is full, cannot add more elements");
      case IPSET_ERR_RANGE: return new Failure("Element is out of the range of the set");
      case IPSET_ERR_NULL: return new Failure("Null-valued element, cannot be stored in a hash type of set");
      case IPSET_ERR_CIDR: return new Failure("The value of the CIDR parameter of the IP address is invalid");
      case IPSET_ERR_NAME: return new Failure("Set to be added/deleted/tested as element does not exist.");
      case IPSET_ERR_LOOP: return new Failure("Sets with list:set type cannot be added to the set.");
      case IPSET_ERR_NAMEREF: return new Failure("The set to which you referred with 'before' or 'after' does not exist.");
      default: return new Failure(`Kernel error received: ${errno === ENOMEM ? "Cannot allocate memory" : "Invalid argument"}`);
    }
  };

  const command = (kind: number, name: string, other: string): number => {
    instance.view.setUint32(0, netns, true);
    instance.view.setUint32(4, kind, true);
    putName(8, name);
    putName(8 + NAME, other);
    return call(NF_IPSET_COMMAND, 8 + 2 * NAME);
  };

  interface Shown { readonly elem: string; readonly words: readonly (readonly [string, string | undefined])[] }
  const members = (set: Header): Shown[] => {
    const all: Shown[] = [];
    const { kind } = set.type;
    for (let first = 0; ; ) {
      instance.view.setUint32(0, netns, true);
      instance.view.setUint32(4, first, true);
      putName(8, set.name);
      const bytes = call(NF_IPSET_LIST, 8 + NAME);
      if (bytes <= 0) return all;
      for (let at = 0; at < bytes; at += IPSETE_BYTES) {
        const { view, u8 } = instance;
        const part: string[] = [];
        const net = (ip: number, cidr: number): string => formatIpv4(ip) + (cidr === 32 || cidr === 0 ? "" : `/${cidr}`);
        const six = (set.options & IPSETO_INET6) !== 0;
        const net6 = (offset: number, cidr: number): string => formatIpv6(u8, offset) + (cidr === 128 ? "" : `/${cidr}`);
        if (kind & KIND_LIST) part.push(getName(at + IPSETE_MEMBER));
        if (kind & KIND_IP) {
          part.push(six ? net6(at + IPSETE_IP6, kind & KIND_NET ? u8[at + IPSETE_CIDR]! : 128) : net(view.getUint32(at + IPSETE_IP), kind & KIND_NET ? u8[at + IPSETE_CIDR]! : 32));
        }
        if (kind & KIND_PORT) {
          const port = view.getUint16(at + IPSETE_PORT, true);
          const proto = u8[at + IPSETE_PROTO]!;
          const known = proto === 1 ? ICMP : proto === 58 ? ICMP6 : undefined;
          const icmp = known === undefined ? undefined : Object.keys(known).find((key) => known[key] === port && key !== "pong" && key !== "ping");
          const text = known !== undefined ? (icmp ?? `${port >> 8}/${port & 255}`) : String(port);
          part.push(kind & KIND_BITMAP ? text : `${protocolName(proto)}:${text}`);
        }
        if (six && kind & (KIND_IP2 | KIND_NET2)) part.push(net6(at + IPSETE_IP26, kind & KIND_NET2 ? u8[at + IPSETE_CIDR2]! : 128));
        else if (kind & (KIND_IP2 | KIND_NET2)) part.push(net(view.getUint32(at + IPSETE_IP2), kind & KIND_NET2 ? u8[at + IPSETE_CIDR2]! : 32));
        if (kind & KIND_MARK) part.push(`0x${view.getUint32(at + IPSETE_IP2).toString(16).padStart(8, "0")}`);
        if (kind & KIND_MAC) {
          const mac = [...u8.slice(at + IPSETE_NAME, at + IPSETE_NAME + 6)];
          if (mac.some((byte) => byte !== 0) || kind === KIND_MAC) part.push(mac.map((byte) => byte.toString(16).toUpperCase().padStart(2, "0")).join(":"));
        }
        if (kind & KIND_IFACE) part.push((u8[at + IPSETE_PHYSDEV] ? "physdev:" : "") + getName(at + IPSETE_NAME, 16));
        const words_: [string, string | undefined][] = [];
        if (view.getUint32(at + IPSETE_FLAGS, true) & IPSET_NOMATCH) words_.push(["nomatch", undefined]);
        if (set.options & IPSETO_TIMEOUT) words_.push(["timeout", String(view.getUint32(at + IPSETE_TIMEOUT, true))]);
        if (set.options & IPSETO_COUNTERS) {
          words_.push(["packets", String(view.getBigUint64(at + IPSETE_PACKETS, true))], ["bytes", String(view.getBigUint64(at + IPSETE_BYTE_COUNT, true))]);
        }
        const comment = comments.get(set.name)?.get(view.getUint32(at + IPSETE_ID, true));
        if (set.options & IPSETO_COMMENT && comment !== undefined) words_.push(["comment", quoted(comment)]);
        if (set.options & IPSETO_SKBINFO) {
          const mark = view.getUint32(at + IPSETE_MARK, true);
          const mask = view.getUint32(at + IPSETE_MARKMASK, true);
          const prio = view.getUint32(at + IPSETE_PRIO, true);
          const queue = view.getUint32(at + IPSETE_QUEUE, true);
          if (mark !== 0) words_.push(["skbmark", `0x${mark.toString(16)}${mask === 0xffffffff ? "" : `/0x${mask.toString(16)}`}`]);
          if (prio !== 0) words_.push(["skbprio", `${(prio >>> 16).toString(16)}:${(prio & 0xffff).toString(16)}`]);
          if (queue !== 0) words_.push(["skbqueue", String(queue)]);
        }
        all.push({ elem: part.join(","), words: words_ });
        first++;
      }
    }
  };

  /** Words of a set's header in their order; without a value: a flag. */
  const headerWords = (set: Header): [string, string | undefined][] => {
    const note = notesOf(set.name);
    const { kind } = set.type;
    const words_: [string, string | undefined][] = [];
    const hash = !(kind & (KIND_BITMAP | KIND_LIST));
    if (hash) {
      if (kind !== KIND_MAC) words_.push(["family", note.family]);
      words_.push(["hashsize", String(note.hashsize)], ["maxelem", String(set.maxelem)]);
    } else if (kind & KIND_LIST) words_.push(["size", String(set.maxelem)]);
    else words_.push(["range", kind & KIND_PORT ? `${set.first}-${set.last}` : `${formatIpv4(set.first)}-${formatIpv4(set.last)}`]);
    if (note.netmask !== undefined && note.netmask !== (note.family === "inet6" ? 128 : 32)) words_.push(["netmask", String(note.netmask)]);
    if (set.options & IPSETO_TIMEOUT) words_.push(["timeout", String(set.timeout)]);
    if (set.options & IPSETO_COUNTERS) words_.push(["counters", undefined]);
    if (set.options & IPSETO_COMMENT) words_.push(["comment", undefined]);
    if (set.options & IPSETO_SKBINFO) words_.push(["skbinfo", undefined]);
    if (hash) words_.push(["bucketsize", String(note.bucketsize)], ["initval", note.initval]);
    return words_;
  };
  const joined = (list: readonly (readonly [string, string | undefined])[]): string =>
    list.map(([word, value]) => (value === undefined ? word : `${word} ${value}`)).join(" ");

  /** About what the kernel would take: a set's structure and its elements. */
  const memory = (set: Header): number => 216 + 40 * set.elements;

  const list = (sets: readonly Header[], output: string, namesOnly: boolean, terse: boolean, sorted: boolean): string => {
    const membersOf = (set: Header): Shown[] => {
      const all = members(set);
      return sorted && !(set.type.kind & KIND_LIST) ? all.sort((a, b) => (a.elem < b.elem ? -1 : 1)) : all;
    };
    if (namesOnly) return sets.map(({ name }) => `${name}\n`).join("");
    if (output === "save") {
      return sets.map((set) =>
        `create ${set.name} ${set.type.name} ${joined(headerWords(set))}\n` +
        membersOf(set).map(({ elem, words: w }) => `add ${set.name} ${elem}${w.length === 0 ? "" : ` ${joined(w)}`}\n`).join("")).join("");
    }
    if (output === "xml") {
      const tags = (words_: readonly (readonly [string, string | undefined])[]): string =>
        words_.map(([word, value]) => (value === undefined ? `<${word}/>` : `<${word}>${value}</${word}>`)).join("");
      return `<ipsets>\n${sets.map((set) =>
        `<ipset name="${set.name}">\n<type>${set.type.name}</type>\n<revision>${set.type.revision}</revision>\n<header>${tags(headerWords(set))}\n` +
        `<memsize>${memory(set)}</memsize>\n<references>${set.references}</references>\n<numentries>${set.elements}</numentries>\n</header>\n` +
        `${terse ? "" : `<members>\n${membersOf(set).map(({ elem, words: w }) => `<member><elem>${elem}</elem>${tags(w)}</member>\n`).join("")}</members>\n`}</ipset>\n`).join("")}</ipsets>\n`;
    }
    return sets.map((set) =>
      `Name: ${set.name}\nType: ${set.type.name}\nRevision: ${set.type.revision}\nHeader: ${joined(headerWords(set))}\n` +
      `Size in memory: ${memory(set)}\nReferences: ${set.references}\nNumber of entries: ${set.elements}\n` +
      (terse ? "" : `Members:\n${membersOf(set).map(({ elem, words: w }) => `${elem}${w.length === 0 ? "" : ` ${joined(w)}`}\n`).join("")}`)).join("\n");
  };

  const COMMANDS: Readonly<Record<string, string>> = {
    create: "create", "-N": "create", n: "create", add: "add", "-A": "add", del: "del", "-D": "del", test: "test", "-T": "test",
    destroy: "destroy", "-X": "destroy", x: "destroy", list: "list", "-L": "list", save: "save", "-S": "save", flush: "flush", "-F": "flush",
    rename: "rename", "-E": "rename", swap: "swap", "-W": "swap", version: "version", "-v": "version", "--version": "version", "-V": "version",
    help: "help", "-h": "help", "-H": "help", restore: "restore", "-R": "restore",
  };

  /** One command; what it prints. */
  const execute = (args: readonly string[], flags: { exist: boolean; output: string; names: boolean; terse: boolean; sorted: boolean }): { exit: number; stdout: string; stderr: string } => {
    const [typed, ...rest] = args;
    if (typed === undefined) throw hint("No command specified.");
    const verb = COMMANDS[typed];
    if (verb === undefined) throw hint(`No command specified: unknown argument ${typed}`);
    const need = (count: number): void => {
      for (let i = 0; i < count; i++) {
        if (rest[i] === undefined) throw hint(`Missing ${["", "second ", "third "][i]}mandatory argument to command ${verb}`);
      }
    };
    const silent = { exit: 0, stdout: "", stderr: "" };
    switch (verb) {
      case "create":
        need(2);
        create(rest[0]!, rest[1]!, rest.slice(2), flags.exist);
        return silent;
      case "add": case "del": case "test":
        need(2);
        return { stdout: "", ...change(verb, rest[0]!, rest[1]!, rest.slice(2), flags.exist) };
      case "destroy": case "flush": {
        const name = rest[0] ?? "";
        const result = command(verb === "destroy" ? IPSET_CMD_DESTROY : IPSET_CMD_FLUSH, name, "");
        if (result === -ENOENT) throw new Failure(NO_SET);
        if (result < 0) throw new Failure("Set cannot be destroyed: it is in use by a kernel component");
        if (verb === "destroy") for (const gone of name === "" ? [...notes.keys()] : [name]) { notes.delete(gone); comments.delete(gone); }
        return silent;
      }
      case "rename": case "swap": {
        need(2);
        const [from = "", to = ""] = rest;
        checkName(to);
        const result = command(verb === "rename" ? IPSET_CMD_RENAME : IPSET_CMD_SWAP, from, to);
        if (result === -ENOENT) throw new Failure(NO_SET);
        if (result === -IPSET_ERR_REFERENCED) throw new Failure("Set cannot be renamed: it is in use by another system");
        if (result === -IPSET_ERR_TYPE_MISMATCH) throw new Failure("The sets cannot be swapped: their type does not match");
        if (result === -IPSET_ERR_EXIST_SETNAME2) {
          throw new Failure(verb === "rename" ? "Set cannot be renamed: a set with the new name already exists" : "Sets cannot be swapped: the second set does not exist");
        }
        const [a, b] = [notes.get(from), notes.get(to)];
        const [c, d] = [comments.get(from), comments.get(to)];
        notes.delete(from);
        comments.delete(from);
        if (a !== undefined) notes.set(to, a);
        if (c !== undefined) comments.set(to, c);
        if (verb === "swap") {
          if (b !== undefined) notes.set(from, b);
          if (d !== undefined) comments.set(from, d);
        }
        return silent;
      }
      case "list": case "save": {
        const sets = rest[0] === undefined ? headers() : [existing(rest[0])];
        return { ...silent, stdout: list(sets, verb === "save" ? "save" : flags.output, flags.names && verb === "list", flags.terse, flags.sorted) };
      }
      case "version": return { ...silent, stdout: "ipset v7.17, protocol version: 7\n" };
      default: return { ...silent, stdout: HELP };
    }
  };

  const restoreLines = (text: string, exist: boolean): void => {
    let number = 0;
    for (const raw of text.split("\n")) {
      number++;
      if (raw.trim() === "" || raw.startsWith("#")) continue;
      const list_ = words(`${raw}\n`);
      if (list_[0] === "COMMIT" || list_[0] === "quit") {
        if (list_[0] === "quit") return;
        continue;
      }
      try {
        const { args, flags } = options(list_);
        execute(args, { ...flags, exist: exist || flags.exist });
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        throw error.exit === 2 ? error : new Failure(`Error in line ${number}: ${error.message}`);
      }
    }
  };

  const options = (args: readonly string[]): {
    args: string[];
    quiet: boolean;
    flags: { exist: boolean; output: string; names: boolean; terse: boolean; sorted: boolean };
  } => {
    const rest: string[] = [];
    const flags = { exist: false, output: "plain", names: false, terse: false, sorted: false };
    let quiet = false;
    for (let i = 0; i < args.length; i++) {
      const word = args[i]!;
      if (word === "-exist" || word === "-!") flags.exist = true;
      else if (word === "-q" || word === "-quiet") quiet = true;
      else if (word === "-n" || word === "-name") flags.names = true;
      else if (word === "-t" || word === "-terse") flags.terse = true;
      else if (word === "-s" || word === "-sorted") flags.sorted = true;
      else if (word === "-r" || word === "-resolve") continue;
      else if (word === "-o" || word === "-output") {
        const value = args[++i] ?? "";
        if (!["plain", "save", "xml"].includes(value)) throw syntax(`unknown output mode '${value}'`);
        flags.output = value;
      } else rest.push(word);
    }
    return { args: rest, quiet, flags };
  };

  return {
    run(args, stdin = "") {
      let quiet = args.includes("-q") || args.includes("-quiet");
      try {
        const parsed = options(args);
        quiet = parsed.quiet;
        if (COMMANDS[parsed.args[0] ?? ""] === "restore") {
          restoreLines(stdin, parsed.flags.exist);
          return { exit: 0, stdout: "", stderr: "" };
        }
        return execute(parsed.args, parsed.flags);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        return { exit: error.exit, stdout: "", stderr: quiet ? "" : `ipset v7.17: ${error.message}\n` };
      }
    },
    restore(text) {
      try {
        restoreLines(text, false);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        throw new KernelError("EINVAL", `ipset v7.17: ${error.message}`);
      }
    },
  };
}

/** `ipset restore` of a namespace that no other ipset object is about. Throws KernelError for what is not known. */
export function restoreIpsets(context: NodeContext, netns: number, text: string): void {
  createIpset(context, netns).restore(text);
}

const HELP = "ipset v7.17\n\nUsage: ipset [options] COMMAND\n";
