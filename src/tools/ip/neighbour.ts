/** `ip neigh` (ip/ipneigh.c). */
import { ipv6Of } from "../../kernel/ipv6.ts";
import type { Neigh, NeighState } from "../../kernel/netns.ts";
import { proxyRecords } from "../kernel.ts";
import { abbreviates, garbage, invalid, ToolExit, unsigned, type Words } from "../tool.ts";
import { address, answers, findLink, needLink, noDevice, prefix, printer, talk, type IpContext, type Prefix } from "./context.ts";
import { inPrefix } from "./address-show.ts";
import { NEIGH } from "./usage.ts";

const usage = (): ToolExit => new ToolExit(255, NEIGH);

export function ipNeigh(context: IpContext, words: Words): void {
  const verb = words.word;
  if (verb === undefined) return show(context, words, false);
  words.skip();
  for (const name of ["add", "change", "chg", "replace", "delete"] as const) {
    if (abbreviates(verb, name)) return modify(context, words, name === "chg" ? "change" : name);
  }
  if (abbreviates(verb, "get")) return get(context, words);
  if (abbreviates(verb, "show") || abbreviates(verb, "lst") || abbreviates(verb, "list")) return show(context, words, false);
  if (abbreviates(verb, "flush")) return show(context, words, true);
  if (abbreviates(verb, "help")) throw usage();
  throw new ToolExit(255, `Command "${verb}" is unknown, try "ip neigh help".\n`);
}

const STATES: readonly NeighState[] = ["PERMANENT", "REACHABLE", "NOARP", "STALE", "DELAY", "PROBE", "FAILED", "INCOMPLETE"];

/** nud_state_a2n() */
function stateOf(text: string): NeighState | undefined {
  return STATES.find((state) => abbreviates(text, state.toLowerCase()));
}

function modify(context: IpContext, words: Words, verb: "add" | "change" | "replace" | "delete"): void {
  const { netns } = context;
  let dst: string | undefined;
    let lladdr: string | undefined;
  let dev: string | undefined;
  let state: NeighState = "PERMANENT";
  let proxy = false;
  let router = false;
  for (; words.word !== undefined; words.skip()) {
    const word = words.word;
    if (abbreviates(word, "lladdr")) lladdr = words.next();
    else if (word === "nud") {
      const text = words.next();
      const found = stateOf(text);
      if (found === undefined && unsigned(text, 255) === undefined) throw invalid("nud state is bad", text);
      if (found !== undefined) state = found;
    } else if (abbreviates(word, "proxy")) {
      if (abbreviates(words.next(), "help")) throw usage();
      proxy = true;
      ({ address: dst } = address(words.word!, context.family));
    } else if (word === "router") router = true;
    else if (word === "use" || word === "managed" || word === "extern_learn") throw answers("Operation not supported");
    else if (word === "dev") dev = words.next();
    else if (abbreviates(word, "protocol")) {
      words.next();
      throw answers("Operation not supported");
    } else {
      const text = word === "to" ? words.next() : word;
      if (text === "help") throw usage();
      if (dst !== undefined) throw garbage("to", text);
      ({ address: dst } = address(text, context.family));
    }
  }
  if (dev === undefined || dst === undefined) throw new ToolExit(255, "Device and destination are required arguments.\n");
  const bytes = lladdr === undefined ? undefined : parseLladdr(lladdr);
  if (findLink(netns, dev) === undefined) throw noDevice(dev);
  const six = ipv6Of(netns);
  if (proxy) return talk(() => (verb === "delete" ? six.deleteProxy(dev, dst) : six.setProxy(dev, dst, { router })));
  if (router) throw answers("Operation not supported");
  const there = entries(context).find((neigh) => neigh.dev === dev && neigh.dst === dst);
  if (verb === "delete") {
    if (there === undefined) throw answers("No such file or directory");
    return talk(() => netns.deleteNeigh(dev, dst));
  }
  if (lladdr !== undefined && bytes === undefined) throw new ToolExit(2, "Error: Invalid link address.\n");
  if (verb === "add" && there !== undefined) throw answers("File exists");
  if (verb === "change" && there === undefined) throw answers("No such file or directory");
  const mac = bytes ?? there?.lladdr;
  if (mac === undefined) throw answers("Invalid argument");
  talk(() => netns.setNeigh({ dev, dst, lladdr: mac, state }));
}

function parseLladdr(text: string): string | undefined {
  const parts = text.split(":");
  if (parts.some((part) => !/^[0-9a-fA-F]{1,2}$/.test(part))) throw new ToolExit(1, `"${text}" is invalid lladdr.\n`);
  return parts.length === 6 ? parts.map((part) => part.toLowerCase().padStart(2, "0")).join(":") : undefined;
}

interface Entry extends Neigh {
  readonly router?: boolean;
  /** It is answered for, and has no state. */
  readonly proxy?: boolean;
}

/** The table of ARP, then that of neighbour discovery. */
function entries({ netns }: IpContext): Entry[] {
  const names = new Map(netns.links().map(({ ifindex, name }) => [ifindex, name]));
  const six = ipv6Of(netns).neighbours().filter(({ proxy }) => !proxy)
    .map(({ ifindex, dst, lladdr, state, router }): Entry => ({ dev: names.get(ifindex) ?? "", dst, state, router, ...(lladdr === undefined ? {} : { lladdr }) }));
  return [...netns.neighbours(), ...six];
}

function proxies({ netns }: IpContext): Entry[] {
  const names = new Map(netns.links().map(({ ifindex, name }) => [ifindex, name]));
  return proxyRecords(netns).map(({ ifindex, dst, router }) => ({ dev: names.get(ifindex) ?? "", dst, state: "NOARP", router, proxy: true }));
}

/** Shown when nothing is said about states: all but NOARP. */
const isShown = (state: NeighState, wanted: readonly NeighState[] | undefined): boolean =>
  wanted === undefined ? state !== "NOARP" : wanted.includes(state);

function show(context: IpContext, words: Words, flush: boolean): void {
  const { netns } = context;
  if (flush && words.word === undefined) throw new ToolExit(255, "Flush requires arguments.\n");
  let dev: string | undefined;
  let to: Prefix | undefined;
  let states: NeighState[] | undefined;
  let proxy = false;
  for (; words.word !== undefined; words.skip()) {
    const word = words.word;
    if (word === "dev") dev = needLink(netns, words.next()).name;
    else if (word === "nud") {
      const text = words.next();
      if (text === "all") {
        states = [...STATES];
        continue;
      }
      const state = stateOf(text);
      if (state === undefined && unsigned(text, 255) === undefined) throw invalid("nud state is bad", text);
      states = [...(states ?? []), ...(state === undefined ? [] : [state])];
    } else if (word === "proxy") proxy = true;
    else if (word === "unused" || word === "nomaster") continue;
    else if (word === "master" || word === "vrf") words.next();
    else {
      const text = word === "to" ? words.next() : word;
      if (abbreviates(text, "help")) throw usage();
      if (to !== undefined) throw garbage("to", text);
      to = prefix(text, context.family);
    }
  }
  const found = (proxy ? proxies(context) : entries(context)).filter((neigh) =>
    (dev === undefined || neigh.dev === dev) && (to === undefined || inPrefix(neigh.dst, to)) && (proxy || isShown(neigh.state, states)) &&
    (context.family === undefined || (context.family === "inet6") === neigh.dst.includes(":")));
  if (flush) {
    // Flushing leaves what was put there for good unless its state is asked for.
    for (const neigh of found) if (proxy) talk(() => ipv6Of(netns).deleteProxy(neigh.dev, neigh.dst));
    else if (states !== undefined || neigh.state !== "PERMANENT") talk(() => netns.deleteNeigh(neigh.dev, neigh.dst));
    return;
  }
  print(context, found, dev);
}

function print(context: IpContext, found: readonly Entry[], dev: string | undefined): void {
  const p = printer(context);
  p.array(undefined, () => {
    for (const neigh of found) {
      p.object(undefined, () => {
        p.any("dst", neigh.dst, `${neigh.dst} `);
        if (dev === undefined) p.any("dev", neigh.dev, `dev ${neigh.dev} `);
        if (neigh.lladdr !== undefined) p.any("lladdr", neigh.lladdr, `lladdr ${neigh.lladdr} `);
        if (neigh.router === true) p.any("router", null, "router ");
        if (neigh.proxy === true) p.any("proxy", null, "proxy ");
        if (context.stats > 0 && neigh.proxy !== true) {
          // Times since it was used, found right and changed, which the kernel does not tell.
          if (neigh.state === "DELAY" || neigh.state === "PROBE" || neigh.state === "INCOMPLETE") p.any("refcnt", 1, " ref 1");
          p.js("used", 0);
          p.js("confirmed", 0);
          p.js("updated", 0);
          p.fp(" used 0/0/0");
          p.any("probes", 0, "probes 0 ");
        }
        if (neigh.proxy !== true) p.array("state", () => p.any(undefined, neigh.state, `${neigh.state} `));
        p.fp("\n");
      });
    }
  });
  context.streams.stdout += p.take();
}

function get(context: IpContext, words: Words): void {
  let dev: string | undefined;
  let dst: string | undefined;
  let proxy = false;
  for (; words.word !== undefined; words.skip()) {
    if (words.word === "dev") dev = words.next();
    else if (words.word === "proxy") {
      proxy = true;
      dst = address(words.next(), context.family).address;
    }
    else {
      const text = words.word === "to" ? words.next() : words.word;
      if (abbreviates(text, "help")) throw usage();
      if (dst !== undefined) throw garbage("to", text);
      dst = address(text, context.family).address;
    }
  }
  if (dev === undefined || dst === undefined) throw new ToolExit(255, "Device and address are required arguments.\n");
  const link = needLink(context.netns, dev, 255);
  const found = (proxy ? proxies(context) : entries(context)).find((neigh) => neigh.dev === link.name && neigh.dst === dst);
  if (found === undefined) throw new ToolExit(2, `Error: ${proxy ? "Proxy neighbour" : "Neighbour"} entry not found.\n`);
  print(context, [found], undefined);
}
