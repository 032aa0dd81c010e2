/** `tc class` of HTB (tc/tc_class.c, q_htb.c), with the refusals of net/sched/sch_api.c and sch_htb.c. */
import { abbreviates, duplicate, invalid, ToolExit, unsigned, type Words } from "../tool.ts";
import { Printer } from "../printer.ts";
import { answered, deviceOf, refused, type TcContext } from "./context.ts";
import { printStats } from "./qdisc.ts";
import { deleteQdisc, qdiscRecords, setQdisc, type QdiscParameters, type QdiscRecord } from "./records.ts";
import { NS_PER_TICK, TC_H_ROOT, classId, classText, rateOf, rateText, sizeAndCell, sizeText, xmitSize, xmitTime } from "./units.ts";
import { CLASS, HTB } from "./usage.ts";
import { EINVAL, ENOENT } from "../../../assembly/abi/core.ts";

const VERBS = ["add", "change", "replace", "delete"] as const;

export function classes(context: TcContext, words: Words): void {
  const verb = words.word;
  if (verb === undefined) return;
  words.skip();
  for (const name of VERBS) if (abbreviates(verb, name)) return modify(context, words, name);
  if (["list", "show", "lst"].some((name) => abbreviates(verb, name))) return show(context, words);
  if (abbreviates(verb, "help")) throw new ToolExit(0, CLASS);
  throw new ToolExit(255, `Command "${verb}" is unknown, try "tc class help".\n`);
}

function modify(context: TcContext, words: Words, verb: (typeof VERBS)[number]): void {
  const { netns } = context;
  let dev: string | undefined;
  let id = 0;
  let parent = 0;
  let kind: string | undefined;
  let values: QdiscParameters | undefined;
  for (; words.word !== undefined; words.skip()) {
    const word = words.word;
    if (word === "dev") {
      const name = words.next();
      if (dev !== undefined) throw duplicate("dev", name);
      dev = name;
    } else if (word === "classid" || word === "parent") {
      const text = words.next();
      if ((word === "classid" ? id : parent) !== 0) throw duplicate(word, text);
      const parsed = classId(text);
      if (parsed === undefined) throw invalid(word === "classid" ? "invalid class ID" : "invalid parent ID", text);
      if (word === "classid") id = parsed;
      else parent = parsed;
    } else if (word === "root") {
      if (parent !== 0) throw new ToolExit(255, 'Error: "root" is duplicate parent ID.\n');
      parent = TC_H_ROOT;
    } else if (abbreviates(word, "help")) throw new ToolExit(0, CLASS);
    else {
      kind = word;
      words.skip();
      if (kind === "htb") values = parse(words);
      else if (words.word !== undefined) throw new ToolExit(1, `Unknown qdisc "${kind}", hence option "${words.word}" is unparsable\n`);
      break;
    }
  }
  const link = deviceOf(context, dev);
  const all = qdiscRecords(netns, link.ifindex);
  const root = all.find(({ kind: one, parent: above }) => one === "htb" && above === 0);
  const majors = [id, parent === TC_H_ROOT ? 0 : parent].map((value) => Math.floor(value / 0x10000));
  if (majors[0] !== 0 && majors[1] !== 0 && majors[0] !== majors[1]) throw answered("Invalid argument");
  const major = (majors[0] || majors[1]) ?? 0;
  if (root === undefined || (major !== 0 && major * 0x10000 !== root.handle)) {
    throw answered(all.some(({ handle, kind: one }) => one !== "class" && handle === major * 0x10000 && major !== 0) ? "Invalid argument" : "No such file or directory");
  }
  const classid = id === 0 && parent === TC_H_ROOT ? root.handle : root.handle + (id % 0x10000);
  const there = all.find((record) => record.kind === "class" && record.handle === classid);
  if (verb === "delete") {
    if (there === undefined) throw answered("No such file or directory");
    if (deleteQdisc(netns, link.ifindex, classid) < 0) throw refused("HTB class in use");
    return;
  }
  if (there === undefined && verb === "change") throw answered("No such file or directory");
  if (there !== undefined && verb === "add") throw answered("File exists");
  if (kind !== undefined && kind !== "htb") throw answered("Invalid argument");
  if (values === undefined) throw answered("Invalid argument");
  // htb_find() of a parent that is not there gives none: the class is one of the root's.
  const wantedParent = root.handle + (parent % 0x10000);
  const above = parent === TC_H_ROOT || !all.some((record) => record.kind === "class" && record.handle === wantedParent) ? 0 : wantedParent;
  const result = setQdisc(netns, link.ifindex, "class", classid, above, values);
  if (result === -ENOENT || result === -EINVAL) throw answered(result === -ENOENT ? "No such file or directory" : "Invalid argument");
  if (result < 0) throw answered("Cannot allocate memory");
  if ((values.quantum ?? 0) !== 0) return;
  const quantum = Math.trunc((values.rate ?? 0) / Math.max(root.quantum, 1));
  if (quantum >= 1000 && quantum <= 200_000) return;
  context.streams.stderr += `Warning: sch_htb: quantum of class ${classid.toString(16).toUpperCase()} is ${quantum < 1000 ? "small" : "big"}. Consider r2q change.\n`;
}

const MTU = 1600;

function parse(words: Words): QdiscParameters {
  const illegal = (name: string): ToolExit => new ToolExit(1, `Illegal "${name}"\n${HTB}`);
  const read = (name: string, of: (text: string) => number | undefined): number => {
    const value = of(words.next());
    if (value === undefined) throw illegal(name);
    return value;
  };
  const double = (name: string, before: number): void => {
    if (before !== 0) throw new ToolExit(1, `Double "${name}" spec\n`);
  };
  let [rate, ceil, burst, cburst, mtu, prio, quantum] = [0, 0, 0, 0, MTU, 0, 0];
  for (; words.word !== undefined; words.skip()) {
    const word = words.word;
    if (abbreviates(word, "prio")) prio = read("prio", (text) => unsigned(text));
    else if (abbreviates(word, "mtu")) mtu = read("mtu", (text) => unsigned(text));
    else if (abbreviates(word, "mpu")) read("mpu", (text) => unsigned(text, 65535));
    else if (abbreviates(word, "overhead")) read("overhead", (text) => unsigned(text, 65535));
    else if (abbreviates(word, "linklayer")) words.next();
    else if (abbreviates(word, "quantum")) quantum = read("quantum", (text) => unsigned(text));
    else if (abbreviates(word, "burst") || word === "buffer" || word === "maxburst") burst = read("buffer", sizeAndCell);
    else if (abbreviates(word, "cburst") || word === "cbuffer" || word === "cmaxburst") cburst = read("cbuffer", sizeAndCell);
    else if (word === "ceil") {
      if (words.peek() !== undefined) double("ceil", ceil);
      ceil = read("ceil", rateOf);
    } else if (word === "rate") {
      if (words.peek() !== undefined) double("rate", rate);
      rate = read("rate", rateOf);
    } else throw new ToolExit(1, `What is "${word}"?\n${HTB}`);
  }
  if (rate === 0) throw new ToolExit(1, '"rate" is required.\n');
  if (ceil === 0) ceil = rate;
  // get_hz() is a billion: a burst that is not given is what a packet needs, and what the rate brings in a nanosecond.
  if (burst === 0) burst = Math.trunc(rate / 1e9) + mtu;
  if (cburst === 0) cburst = Math.trunc(ceil / 1e9) + mtu;
  return { rate, peak: ceil, burstNs: xmitTime(rate, burst) * NS_PER_TICK, peakBurstNs: xmitTime(ceil, cburst) * NS_PER_TICK, prio, quantum };
}

/** Classes as qdisc_class_hash keeps them: buckets by a hash of their id, the newest of a bucket first, twice the buckets when they fill. */
function hashOrder(all: readonly QdiscRecord[]): QdiscRecord[] {
  const bucketOf = (id: number, size: number): number => {
    let hash = id ^ (id >>> 8);
    hash ^= hash >>> 4;
    return hash & (size - 1);
  };
  let buckets: QdiscRecord[][] = Array.from({ length: 4 }, () => []);
  all.forEach((record, i) => {
    buckets[bucketOf(record.handle, buckets.length)]!.unshift(record);
    if ((i + 1) * 4 <= buckets.length * 3) return;
    const wider: QdiscRecord[][] = Array.from({ length: buckets.length * 2 }, () => []);
    for (const bucket of buckets) for (const one of bucket) wider[bucketOf(one.handle, wider.length)]!.unshift(one);
    buckets = wider;
  });
  return buckets.flat();
}

function show(context: TcContext, words: Words): void {
  const { netns, streams, stats } = context;
  let dev: string | undefined;
  let parent: number | undefined;
  let id: number | undefined;
  for (; words.word !== undefined; words.skip()) {
    const word = words.word;
    if (word === "dev") dev = words.next();
    else if (word === "root") parent = TC_H_ROOT;
    else if (word === "parent" || word === "classid" || word === "qdisc") {
      const text = words.next();
      const parsed = classId(text);
      if (parsed === undefined) throw invalid(word === "parent" ? "invalid parent ID" : "invalid class ID", text);
      if (word === "parent") parent = parsed;
      else if (word === "classid") id = parsed;
    } else if (abbreviates(word, "help")) throw new ToolExit(0, CLASS);
    else throw new ToolExit(255, `What is "${word}"? Try "tc class help".\n`);
  }
  if (dev === undefined) return;
  const link = deviceOf(context, dev);
  const all = qdiscRecords(netns, link.ifindex);
  const ordered = hashOrder(all.filter(({ kind }) => kind === "class"));
  if (context.graph) {
    streams.stdout += tree(context, ordered);
    return;
  }
  const only = all.find(({ kind, parent: above }) => (kind === "tbf" || kind === "netem") && above === 0);
  if (only !== undefined) {
    const leaf = all.find(({ parent: above }) => above !== 0 && Math.floor(above / 0x10000) === Math.floor(only.handle / 0x10000));
    streams.stdout += `class ${only.kind} ${classText(only.handle + 1)} parent ${classText(only.handle)} ${leaf === undefined ? "" : `leaf ${classText(leaf.handle)} `}\n`;
  }
  for (const record of ordered) {
    const place = record.parent % 0x10000 === 0 ? TC_H_ROOT : record.parent;
    // tc_dump_tclass_root() looks for the discipline that the parent's major number names.
    if ((parent !== undefined && Math.floor(parent / 0x10000) !== Math.floor(record.handle / 0x10000)) || (id !== undefined && id !== record.handle)) continue;
    const leaf = all.find((one) => one.kind !== "class" && one.parent === record.handle);
    streams.stdout += `class htb ${classText(record.handle)} ${place === TC_H_ROOT ? "root" : `parent ${classText(place)}`} ` +
      `${leaf === undefined ? "" : `leaf ${classText(leaf.handle)} `}${options(context, record)}`;
    if (stats) streams.stdout += statistics(record);
    streams.stdout += "\n";
  }
}

function statistics(record: QdiscRecord): string {
  const p = new Printer(false, false);
  printStats(p, record);
  const ticks = (ns: number): number => Math.floor(ns / NS_PER_TICK);
  return `${p.take()}\n lended: ${record.lended} borrowed: ${record.borrowed} giants: 0\n tokens: ${ticks(record.tokens)} ctokens: ${ticks(record.ctokens)}\n`;
}

/** htb_print_opt() of a class. */
function options({ details }: TcContext, { level, prio, quantum, rate, peak, burstNs, peakBurstNs }: QdiscRecord): string {
  const burst = sizeText(xmitSize(rate, burstNs / NS_PER_TICK));
  const cburst = sizeText(xmitSize(peak, peakBurstNs / NS_PER_TICK));
  let text = level === 0 ? `prio ${prio} ${details ? `quantum ${quantum} ` : ""}` : "";
  text += `rate ${rateText(rate)} ceil ${rateText(peak)} `;
  text += details
    ? `linklayer ethernet burst ${burst}/1 mpu 0b cburst ${cburst}/1 mpu 0b level ${level} `
    : `burst ${burst} cburst ${cburst} `;
  return text;
}

/** graph_cls_show() */
function tree(context: TcContext, all: readonly QdiscRecord[]): string {
  let text = "";
  const isRoot = ({ parent }: QdiscRecord): boolean => parent % 0x10000 === 0;
  const walk = (siblings: readonly QdiscRecord[], ahead: string): void => {
    siblings.forEach((record, i) => {
      const last = i === siblings.length - 1;
      text += `${ahead}+---(${classText(record.handle)}) htb ${options(context, record)}\n`;
      const below = all.filter(({ parent, handle }) => parent === record.handle && handle !== record.handle);
      const inner = `${ahead}${last ? "     " : "|    "}`;
      walk(below, inner);
      if (last) text += `${below.length === 0 ? ahead : inner}\n`;
    });
  };
  walk(all.filter(isRoot), "");
  return text;
}
