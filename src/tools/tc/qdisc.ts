/** `tc qdisc` (tc/tc_qdisc.c, q_fifo.c, q_tbf.c, q_netem.c, q_htb.c), with the refusals of net/sched/sch_api.c. */
import { EBUSY, EEXIST, EINVAL } from "../../../assembly/abi/core.ts";
import { TC_INGRESS } from "../../../assembly/abi/net.ts";
import { Printer } from "../printer.ts";
import { linkRecords, type LinkRecord } from "../kernel.ts";
import { abbreviates, duplicate, invalid, ToolExit, unsigned, type Words } from "../tool.ts";
import { answered, deviceOf, numbersOf, queuesOf, refused, type TcContext } from "./context.ts";
import { deleteQdisc, qdiscRecords, setQdisc, type QdiscParameters, type QdiscRecord, type QdiscKind } from "./records.ts";
import {
  NS_PER_TICK, TC_H_ROOT, classId, classText, percentOf, qdiscHandle, rateOf, rateText, significant, sizeAndCell, sizeOf, sizeText, tickTime, timeOf,
  timeText, xmitSize,
} from "./units.ts";
import { FIFO, HTB, NETEM, QDISC, TBF } from "./usage.ts";

const TC_H_INGRESS = 0xfffffff1;
const PRIOMAP = [1, 2, 2, 2, 1, 2, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1];
const VERBS = ["add", "change", "replace", "link", "delete"] as const;
type Verb = (typeof VERBS)[number];

export function qdisc(context: TcContext, words: Words): void {
  const verb = words.word;
  if (verb === undefined) return show(context, words);
  words.skip();
  for (const name of VERBS) if (abbreviates(verb, name)) return modify(context, words, name);
  if (["list", "show", "lst"].some((name) => abbreviates(verb, name))) return show(context, words);
  if (abbreviates(verb, "help")) throw new ToolExit(0, QDISC);
  throw new ToolExit(255, `Command "${verb}" is unknown, try "tc qdisc help".\n`);
}

/** Kinds that iproute2 reads the options of, and this kernel has. */
const PARSERS: Readonly<Record<string, (words: Words) => QdiscParameters>> = { pfifo: fifo, bfifo: fifo, tbf, netem, htb };
const KINDS: readonly string[] = ["pfifo", "bfifo", "pfifo_fast", "tbf", "netem", "htb", "ingress", "clsact"];

/** Kinds made as clsact: its hook for received packets is that of `ingress`. */
const clsact = new WeakMap<object, Set<number>>();

function modify(context: TcContext, words: Words, verb: Verb): void {
  const { netns, host } = context;
  let dev: string | undefined;
  let handle = 0;
  let parent = 0;
  let kind: string | undefined;
  let values: QdiscParameters = {};
  for (; words.word !== undefined; words.skip()) {
    const word = words.word;
    if (word === "dev") {
      const name = words.next();
      if (dev !== undefined) throw duplicate("dev", name);
      dev = name;
    } else if (word === "handle") {
      const text = words.next();
      if (handle !== 0) throw duplicate("handle", text);
      const parsed = qdiscHandle(text);
      if (parsed === undefined) throw invalid("invalid qdisc ID", text);
      handle = parsed;
    } else if (word === "root") {
      if (parent !== 0) throw new ToolExit(255, 'Error: "root" is duplicate parent ID\n');
      parent = TC_H_ROOT;
    } else if (word === "ingress" || word === "clsact") {
      if (parent !== 0) throw new ToolExit(255, `Error: "${word}" is a duplicate parent ID\n`);
      parent = TC_H_INGRESS;
      handle = TC_INGRESS;
      kind = word;
    } else if (word === "parent") {
      const text = words.next();
      if (parent !== 0) throw duplicate("parent", text);
      const parsed = classId(text);
      if (parsed === undefined) throw invalid("invalid parent ID", text);
      parent = parsed;
    } else if (abbreviates(word, "help")) throw new ToolExit(0, QDISC);
    else {
      kind = word;
      words.skip();
      const parse = PARSERS[kind];
      if (parse !== undefined) values = parse(words);
      else if (words.word !== undefined) {
        if (KINDS.includes(kind)) throw new ToolExit(1, `qdisc '${kind}' does not support option parsing\n`);
        throw new ToolExit(1, `Unknown qdisc "${kind}", hence option "${words.word}" is unparsable\n`);
      }
      break;
    }
  }
  const link = deviceOf(context, dev);
  if (verb === "delete") return remove(context, link, { handle, parent, kind });
  if (kind !== undefined && (!KINDS.includes(kind) || host.hasTc?.("qdisc", kind) === false)) throw refused("Specified qdisc kind is unknown");
  const all = qdiscRecords(netns, link.ifindex).filter((record) => record.kind !== "class");
  const at = parent === 0 ? undefined : atPlace(all, parent);
  let target = at;
  let making = false;
  if (parent === 0) {
    if (handle === 0) throw refused("Handle cannot be zero");
    target = all.find((record) => record.handle === handle);
  } else {
    if (parent !== TC_H_ROOT && parent !== TC_H_INGRESS && !all.some((record) => majorOf(record.handle) === majorOf(parent))) {
      throw refused("Failed to find specified qdisc");
    }
    if (parent !== TC_H_ROOT && parent !== TC_H_INGRESS) checkClass(qdiscRecords(netns, link.ifindex), parent);
    if (at === undefined) making = true;
    else if (handle !== 0 && at.handle !== handle) {
      if (verb !== "replace") throw refused("NLM_F_REPLACE needed to override");
      if (handle % 0x10000 !== 0) throw refused("Invalid minor handle");
      making = true;
    } else if (handle === 0 && verb === "replace" && kind !== undefined && kindOf(netns, link, at) !== kind) making = true;
  }
  if (making) {
    if (verb === "change" || verb === "link") throw refused("Qdisc not found. To create specify NLM_F_CREATE flag");
  } else {
    if (target === undefined) throw refused("Specified qdisc not found");
    if (verb === "add") throw refused("Exclusivity flag on, cannot modify");
    if (kind !== undefined && kindOf(netns, link, target) !== kind) throw refused("Invalid qdisc name");
    if (kind === "ingress" || kind === "clsact" || kind === "pfifo_fast") return;
    ({ handle } = target);
    parent = target.parent === 0 ? TC_H_ROOT : target.parent;
    if (kind === undefined) return;
  }
  if (kind === undefined) throw refused("Specified qdisc kind is unknown");
  const isHook = kind === "ingress" || kind === "clsact";
  if (isHook && parent !== TC_H_INGRESS) throw answered("Operation not supported");
  if (!isHook && parent === TC_H_INGRESS) throw answered("Invalid argument");
  if (handle === 0) handle = (0x8000 + ++numbersOf(netns).handle) * 0x10000;
  const limit = kind === "tbf" ? tbfLimit(values) : values.limit;
  const errno = setQdisc(netns, link.ifindex, isHook ? "ingress" : (kind as QdiscKind), handle, parent === TC_H_ROOT || isHook ? 0 : parent,
    { ...values, ...(limit === undefined ? {} : { limit }) });
  if (errno < 0) throw refusal(errno);
  if (isHook) {
    let set = clsact.get(netns);
    if (set === undefined) clsact.set(netns, (set = new Set()));
    if (kind === "clsact") set.add(link.ifindex);
    else set.delete(link.ifindex);
  }
}

/** What a discipline may hang on: a class of HTB, tbf's and netem's only one. */
function checkClass(all: readonly QdiscRecord[], parent: number): void {
  const above = all.find(({ kind, handle }) => kind !== "class" && majorOf(handle) === majorOf(parent));
  if (above?.kind === "htb" && !all.some(({ kind, handle }) => kind === "class" && handle === parent)) throw refused("Specified class not found");
  if (above !== undefined && !["htb", "tbf", "netem"].includes(above.kind)) throw refused("Parent qdisc is not classful");
}

const majorOf = (handle: number): number => Math.floor(handle / 0x10000);

/** What stands at a place: the root, the ingress hook, below a class or a discipline. */
const atPlace = (all: readonly QdiscRecord[], parent: number): QdiscRecord | undefined =>
  parent === TC_H_INGRESS ? all.find(({ kind }) => kind === "ingress")
    : parent === TC_H_ROOT ? all.find((record) => record.parent === 0 && record.kind !== "ingress")
      : all.find((record) => record.parent === parent || (parent % 0x10000 <= 1 && record.parent === majorOf(parent) * 0x10000 && record.kind !== "ingress"));

const kindOf = (netns: TcContext["netns"], { ifindex }: LinkRecord, { kind }: QdiscRecord): string =>
  kind === "ingress" && clsact.get(netns)?.has(ifindex) === true ? "clsact" : kind;

const refusal = (errno: number): ToolExit =>
  errno === -EEXIST ? answered("File exists") : errno === -EINVAL ? answered("Invalid argument") : errno === -EBUSY ? answered("Device or resource busy")
    : answered("Operation not supported");

function remove({ netns }: TcContext, link: LinkRecord, { handle, parent, kind }: { handle: number; parent: number; kind: string | undefined }): void {
  const all = qdiscRecords(netns, link.ifindex).filter((record) => record.kind !== "class");
  if (parent === 0) {
    if (!all.some((record) => record.handle === handle)) throw refused("Failed to find qdisc with specified handle");
    throw refused("Classid cannot be zero");
  }
  if (parent !== TC_H_ROOT && parent !== TC_H_INGRESS && !all.some((record) => majorOf(record.handle) === majorOf(parent))) {
    throw refused("Failed to find qdisc with specified classid");
  }
  const found = atPlace(all, parent);
  if (found === undefined) {
    if (parent !== TC_H_INGRESS && kind !== undefined) throw refused("Invalid qdisc name: must match existing qdisc");
    const leaf = qdiscRecords(netns, link.ifindex).some((record) => record.kind === "class" && record.handle === parent);
    if (parent === TC_H_ROOT || leaf) throw refused(handle === 0 ? "Cannot delete qdisc with handle of zero" : "Invalid handle");
    throw refused("Cannot find specified qdisc on specified device");
  }
  if (handle !== 0 && found.handle !== handle) throw refused("Invalid handle");
  if (kind !== undefined && kindOf(netns, link, found) !== kind) throw refused("Invalid qdisc name: must match existing qdisc");
  const errno = deleteQdisc(netns, link.ifindex, found.kind === "ingress" ? TC_INGRESS : found.parent === 0 ? 0 : found.handle);
  if (errno < 0) throw refusal(errno);
}

function fifo(words: Words): QdiscParameters {
  const values: QdiscParameters = {};
  for (; words.word !== undefined; words.skip()) {
    const word = words.word;
    if (word === "limit") {
      const text = words.next();
      const limit = sizeOf(text);
      if (limit === undefined) throw new ToolExit(1, `pfifo: Illegal value for "limit": "${text}"\n`);
      values.limit = limit;
    } else if (word === "help") throw new ToolExit(1, FIFO);
    else throw new ToolExit(1, `pfifo: unknown parameter "${word}"\n${FIFO}`);
  }
  return values;
}

/** tbf's values before the limit is worked out; `delay` is the latency in µs and never reaches the kernel. */
function tbf(words: Words): QdiscParameters {
  const seen = new Map<string, number>();
  const bad = (name: string, text: string): ToolExit => new ToolExit(1, `tbf: illegal value for "${name}": "${text}"\n`);
  const take = (name: string, read: (text: string) => number | undefined, names = name): void => {
    const text = words.next();
    if ((seen.get(name) ?? 0) !== 0) throw new ToolExit(1, `tbf: duplicate "${names}" specification\n`);
    const value = read(text);
    if (value === undefined) throw bad(name === "mtu" ? "mtu" : name === "burst" ? "buffer" : name, text);
    seen.set(name, value);
  };
  const exclusive = (other: string): void => {
    if ((seen.get(other) ?? 0) !== 0) throw new ToolExit(1, `tbf: specifying both "${other === "latency" ? "limit\" and \"/latency" : "limit\" and \"/latency"}" is not allowed\n`);
  };
  for (; words.word !== undefined; words.skip()) {
    const word = words.word;
    if (word === "limit") {
      if (words.peek() !== undefined) exclusive("latency");
      take("limit", sizeOf);
    } else if (word === "latency") {
      if (words.peek() !== undefined) exclusive("limit");
      take("latency", timeOf);
    } else if (word === "burst" || word === "buffer" || word === "maxburst") take("burst", sizeAndCell, "buffer/burst/maxburst");
    else if (word === "mtu" || word === "minburst") take("mtu", sizeAndCell, "mtu/minburst");
    else if (word === "mpu") take("mpu", sizeOf);
    else if (word === "rate") take("rate", rateOf);
    else if (word === "peakrate") take("peakrate", rateOf);
    else if (word === "overhead") take("overhead", (text) => unsigned(text));
    else if (word === "linklayer") {
      const text = words.next();
      if (!["ethernet", "atm", "adsl"].includes(text)) throw bad("linklayer", text);
    } else if (word === "help") throw new ToolExit(1, TBF);
    else throw new ToolExit(1, `tbf: unknown parameter "${word}"\n${TBF}`);
  }
  const value = (name: string): number => seen.get(name) ?? 0;
  let missing = "";
  if (value("rate") === 0) missing += 'tbf: the "rate" parameter is mandatory.\n';
  if (value("burst") === 0) missing += 'tbf: the "burst" parameter is mandatory.\n';
  if (value("peakrate") !== 0 && value("mtu") === 0) missing += 'tbf: when "peakrate" is specified, "mtu" must also be specified.\n';
  if (value("limit") === 0 && value("latency") === 0) missing += 'tbf: either "limit" or "latency" is required.\n';
  if (missing !== "") throw new ToolExit(1, `${missing}${TBF}`);
  const [rate, peak, burst, mtu] = [value("rate"), value("peakrate"), value("burst"), value("mtu")];
  let limit = value("limit");
  if (limit === 0) {
    limit = (rate * value("latency")) / 1e6 + burst;
    if (peak !== 0) limit = Math.min(limit, (peak * value("latency")) / 1e6 + mtu);
  }
  return {
    rate, peak, limit: Math.trunc(limit), burstNs: lengthToNs(rate, burst), peakBurstNs: peak === 0 ? 0 : lengthToNs(peak, mtu),
  };
}
/** psched_l2t_ns(): the kernel works out tbf's burst from its bytes. */
const lengthToNs = (rate: number, bytes: number): number => Math.floor((bytes * 1e9) / rate);
const tbfLimit = ({ limit }: QdiscParameters): number | undefined => limit;

const SHARE = 0xffffffff;

function netem(words: Words): QdiscParameters {
  const values: QdiscParameters = { limit: 1000 };
  const illegal = (name: string): ToolExit => new ToolExit(1, `Illegal "${name}"\n`);
  const share = (name: string): number => {
    const value = percentOf(words.next());
    if (value === undefined) throw illegal(name);
    return Math.round(value * SHARE);
  };
  const numeric = (): boolean => /^[\d.]/.test(words.peek() ?? "");
  const time = (name: string): number => {
    const value = timeOf(words.next());
    if (value === undefined) throw illegal(name);
    return value * 1000;
  };
  for (; words.word !== undefined; words.skip()) {
    const word = words.word;
    if (abbreviates(word, "limit")) {
      const limit = sizeOf(words.next());
      if (limit === undefined) throw illegal("limit");
      values.limit = limit;
    } else if (abbreviates(word, "latency") || abbreviates(word, "delay")) {
      values.delay = time("latency");
      if (!numeric()) continue;
      values.jitter = time("latency");
      if (numeric()) values.delayCorr = share("latency");
    } else if (abbreviates(word, "loss") || abbreviates(word, "drop")) {
      if (words.peek() === "random") words.skip();
      values.loss = share("loss percent");
      if (numeric()) values.lossCorr = share("loss correllation");
    } else if (abbreviates(word, "reorder")) {
      values.reorder = share("reorder");
      if (numeric()) values.reorderCorr = share("reorder");
    } else if (abbreviates(word, "corrupt")) {
      values.corrupt = share("corrupt");
      if (numeric()) values.corruptCorr = share("corrupt");
    } else if (abbreviates(word, "gap")) {
      const gap = unsigned(words.next());
      if (gap === undefined) throw illegal("gap");
      values.gap = gap;
    } else if (abbreviates(word, "duplicate")) {
      values.duplicate = share("duplicate");
      if (numeric()) values.duplicateCorr = share("duplicate");
    } else if (["distribution", "rate", "ecn", "slot"].includes(word)) throw answered("Operation not supported");
    else if (word === "help") throw new ToolExit(1, NETEM);
    else throw new ToolExit(1, `What is "${word}"?\n${NETEM}`);
  }
  if ((values.gap ?? 0) !== 0 && (values.reorder ?? 0) === 0) throw new ToolExit(1, "reorder specified without gap\n");
  if ((values.reorder ?? 0) !== 0 && (values.delay ?? 0) === 0) throw new ToolExit(1, `reordering not possible without specifying some delay\n${NETEM}`);
  return values;
}

function htb(words: Words): QdiscParameters {
  const values: QdiscParameters = { quantum: 10 };
  const illegal = (name: string): ToolExit => new ToolExit(1, `Illegal "${name}"\n${HTB}`);
  for (; words.word !== undefined; words.skip()) {
    const word = words.word;
    if (abbreviates(word, "r2q")) values.quantum = need(unsigned(words.next()), illegal("r2q"));
    else if (abbreviates(word, "default")) {
      const text = words.next();
      values.default = need(/^(?:0[xX])?[0-9a-fA-F]{1,8}$/.test(text) ? Number.parseInt(text, 16) : undefined, illegal("default"));
    } else if (abbreviates(word, "debug")) words.next();
    else if (word === "direct_qlen") values.limit = need(sizeOf(words.next()), illegal("direct_qlen"));
    else if (word === "offload") throw answered("Operation not supported");
    else throw new ToolExit(1, `What is "${word}"?\n${HTB}`);
  }
  return values;
}

function need<T>(value: T | undefined, error: ToolExit): T {
  if (value === undefined) throw error;
  return value;
}

function show(context: TcContext, words: Words): void {
  const { netns, streams, json, pretty } = context;
  let dev: string | undefined;
  let parent: number | undefined;
  let handle: number | undefined;
  for (; words.word !== undefined; words.skip()) {
    const word = words.word;
    if (word === "dev") dev = words.next();
    else if (word === "root") parent = TC_H_ROOT;
    else if (word === "ingress" || word === "clsact") parent = TC_H_INGRESS;
    else if (word === "parent") {
      const text = words.next();
      parent = classId(text);
      if (parent === undefined) throw invalid("invalid parent ID", text);
    } else if (word === "handle") {
      const text = words.next();
      handle = qdiscHandle(text);
      if (handle === undefined) throw invalid("invalid qdisc ID", text);
    } else if (abbreviates(word, "help")) throw new ToolExit(0, QDISC);
    else if (!abbreviates(word, "invisible")) throw new ToolExit(255, `What is "${word}"? Try "tc qdisc help".\n`);
  }
  const links = linkRecords(netns);
  const only = dev === undefined ? undefined : deviceOf(context, dev);
  const p = new Printer(json, pretty);
  p.array(undefined, () => {
    for (const link of links) {
      if (only !== undefined && only.ifindex !== link.ifindex) continue;
      for (const record of shown(netns, link)) {
        const place = record.kind === "ingress" ? TC_H_INGRESS : record.parent === 0 ? TC_H_ROOT : record.parent;
        if ((parent !== undefined && parent !== place) || (handle !== undefined && handle !== record.handle)) continue;
        p.object(undefined, () => print(context, p, link, record, place, only === undefined));
      }
    }
  });
  streams.stdout += p.take();
}

/** The disciplines of a device; what no one replaced is there from the time the device first was up. */
export function shown(netns: TcContext["netns"], link: LinkRecord): (QdiscRecord | Default)[] {
  const records = qdiscRecords(netns, link.ifindex).filter(({ kind }) => kind !== "class");
  if (records.some(({ kind, parent }) => kind !== "ingress" && parent === 0)) return records;
  return link.activated ? [defaultOf(link), ...records] : records;
}

/** attach_one_default_qdisc: a device without a queue of its own has none; ifb, tun and tap have a FIFO. */
const defaultOf = ({ kind }: LinkRecord): Default => (["ifb", "tun", "tap"].includes(kind) ? PFIFO_FAST : NOQUEUE);

interface Default extends Omit<QdiscRecord, "kind"> {
  readonly kind: string;
}
const NOQUEUE: Default = {
  kind: "noqueue", handle: 0, parent: 0, bytes: 0, packets: 0, dropped: 0, overlimits: 0, backlog: 0, qlen: 0, level: 0, lended: 0, borrowed: 0,
  tokens: 0, ctokens: 0, limit: 0, rate: 0, peak: 0, burstNs: 0, peakBurstNs: 0, delay: 0, jitter: 0, loss: 0, duplicate: 0, reorder: 0, gap: 0,
  corrupt: 0, default: 0, prio: 0, quantum: 0, lossCorr: 0, delayCorr: 0, duplicateCorr: 0, reorderCorr: 0, corruptCorr: 0,
};
const PFIFO_FAST: Default = { ...NOQUEUE, kind: "pfifo_fast" };

function print(context: TcContext, p: Printer, link: LinkRecord, record: Default, place: number, withDev: boolean): void {
  const kind = record.kind === "ingress" ? kindOf(context.netns, link, record as QdiscRecord) : record.kind;
  const handle = `${majorOf(record.handle).toString(16)}:`;
  p.any("kind", kind, `qdisc ${kind} `);
  p.any("handle", handle, `${handle} `);
  if (withDev) p.any("dev", link.name, `dev ${link.name} `);
  if (place === TC_H_ROOT) p.any("root", true, "root ");
  else p.any("parent", classText(place), `parent ${classText(place)} `);
  const references = record.kind === "noqueue" || record.handle === 0 ? 2 : 1 + queuesOf(link);
  if (place === TC_H_ROOT) p.any("refcnt", references, `refcnt ${references} `);
  p.object("options", () => printOptions(context, p, kind, record));
  if (context.stats) printStats(p, record);
  p.fp("\n");
}

/** print_tcstats2_attr() */
export function printStats(p: Printer, { bytes, packets, dropped, overlimits, backlog, qlen }: Default): void {
  for (const [key, value] of Object.entries({ bytes, packets, drops: dropped, overlimits, requeues: 0, backlog, qlen })) p.js(key, value);
  p.fp(`\n Sent ${bytes} bytes ${packets} pkt (dropped ${dropped}, overlimits ${overlimits} requeues 0) \n backlog ${sizeText(backlog)} ${qlen}p requeues 0`);
}

function printOptions(context: TcContext, p: Printer, kind: string, record: Default): void {
  const { details } = context;
  switch (kind) {
    case "pfifo":
    case "bfifo":
      // print_size() for bytes
      p.any("limit", record.limit, kind === "pfifo" ? `limit ${record.limit}p` : `limit ${sizeText(record.limit)}`);
      return;
    case "pfifo_fast":
      p.any("bands", 3, "bands 3 ");
      p.fp("priomap");
      p.array("priomap", () => {
        for (const band of PRIOMAP) p.any(undefined, band, ` ${band}`);
      });
      p.js("multiqueue", false);
      return;
    case "ingress":
      p.fp("---------------- ");
      return;
    case "htb":
      p.any("r2q", record.quantum, `r2q ${record.quantum}`);
      p.any("default", hex(record.default), ` default ${hex(record.default)}`);
      p.any("direct_packets_stat", record.lended, ` direct_packets_stat ${record.lended}`);
      if (details) p.any("ver", "3.17", " ver 3.17");
      p.any("direct_qlen", record.limit, ` direct_qlen ${record.limit}`);
      return;
    case "tbf":
      return printTbf(details, p, record);
    case "netem":
      return printNetem(p, record);
  }
}

/** `%#x` */
const hex = (value: number): string => (value === 0 ? "0" : `0x${value.toString(16)}`);

function printTbf(details: boolean, p: Printer, { rate, peak, burstNs, peakBurstNs, limit }: Default): void {
  const [ticks, peakTicks] = [Math.floor(burstNs / NS_PER_TICK), Math.floor(peakBurstNs / NS_PER_TICK)];
  p.any("rate", rate, `rate ${rateText(rate)} `);
  const burst = xmitSize(rate, ticks);
  if (details) {
    p.any("burst", `${sizeText(burst)}/1`, `burst ${sizeText(burst)}/1 `);
    p.any("mpu", 0, "mpu 0b ");
  } else p.any("burst", burst, `burst ${sizeText(burst)} `);
  let latency = Math.trunc(1e6 * (limit / rate) - tickTime(ticks));
  if (peak !== 0) {
    p.fp(`peakrate ${rateText(peak)} `);
    const mtu = xmitSize(peak, peakTicks);
    if (details) {
      p.any("mtu", `${sizeText(mtu)}/1`, `mtu ${sizeText(mtu)}/1 `);
      p.any("mpu", 0, "mpu 0b ");
    } else p.any("minburst", mtu, `minburst ${sizeText(mtu)} `);
    latency = Math.max(latency, Math.trunc(1e6 * (limit / peak) - tickTime(peakTicks)));
  }
  if (latency >= 0) p.any("lat", latency, `lat ${timeText(latency)} `);
  else p.any("limit", limit, `limit ${sizeText(limit)} `);
  if (details) p.any("linklayer", "ethernet", "linklayer ethernet ");
}

function printNetem(p: Printer, record: Default): void {
  const percent = (share: number): string => `${significant((100 * share) / SHARE, 6)}%`;
  p.any("limit", record.limit, `limit ${record.limit}`);
  if (record.delay !== 0) {
    p.object("delay", () => {
      p.js("delay", record.delay / 1e9);
      p.js("jitter", record.jitter / 1e9);
      p.fp(` delay ${timeText(record.delay / 1000)}`);
      if (record.jitter === 0) return;
      p.fp(`  ${timeText(record.jitter / 1000)}`);
      p.js("correlation", record.delayCorr / SHARE);
      if (record.delayCorr !== 0) p.fp(` ${percent(record.delayCorr)}`);
    });
  }
  for (const [key, name, share, correlation] of [
    ["loss-random", "loss", record.loss, record.lossCorr], ["duplicate", "duplicate", record.duplicate, record.duplicateCorr],
    ["reorder", "reorder", record.reorder, record.reorderCorr], ["corrupt", "corrupt", record.corrupt, record.corruptCorr],
  ] as const) {
    if (share === 0) continue;
    p.object(key, () => {
      p.any(name, share / SHARE, ` ${name} ${percent(share)}`);
      p.js("correlation", correlation / SHARE);
      if (correlation !== 0) p.fp(` ${percent(correlation)}`);
    });
  }
  p.js("ecn", false);
  p.any("gap", record.gap, record.gap === 0 ? "" : ` gap ${record.gap}`);
}
