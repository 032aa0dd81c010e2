/** `tc filter` and `tc actions` (tc/tc_filter.c, f_u32.c, f_fw.c, f_matchall.c, m_action.c), with the refusals of net/sched/cls_api.c. */
import { EINVAL, ENODEV } from "../../../assembly/abi/core.ts";
import { TC_INGRESS } from "../../../assembly/abi/net.ts";
import { linkRecords, type LinkRecord } from "../kernel.ts";
import { Printer } from "../printer.ts";
import { abbreviates, duplicate, invalid, ToolExit, unsigned, type Words } from "../tool.ts";
import { answered, deviceOf, numbersOf, refused, talkError, type TcContext } from "./context.ts";
import { addFilter, deleteFilter, filterRecords, qdiscRecords, type FilterAction, type FilterKey, type FilterParameters, type FilterRecord } from "./records.ts";
import { keysOf } from "./u32.ts";
import { TC_H_ROOT, classId, classText } from "./units.ts";
import { ACTIONS, FILTER, FW, GACT, MATCHALL, MIRRED, U32 } from "./usage.ts";

const VERBS = ["add", "change", "replace", "delete"] as const;
type Verb = (typeof VERBS)[number];

export function filter(context: TcContext, words: Words): void {
  const verb = words.word;
  if (verb === undefined) return;
  words.skip();
  for (const name of VERBS) if (abbreviates(verb, name)) return modify(context, words, name);
  if (verb === "get") throw talkError(answered("Operation not supported"));
  if (["list", "show", "lst"].some((name) => abbreviates(verb, name))) return show(context, words);
  if (abbreviates(verb, "help")) throw new ToolExit(0, FILTER);
  throw new ToolExit(255, `Command "${verb}" is unknown, try "tc filter help".\n`);
}

const PROTOCOLS: Readonly<Record<string, number>> = {
  all: 3, ip: 0x800, ipv4: 0x800, arp: 0x806, ipv6: 0x86dd, "802.1q": 0x8100, "802.1ad": 0x88a8, loop: 0x60, mpls_uc: 0x8847, mpls_mc: 0x8848,
};
const PROTOCOL_NAMES: Readonly<Record<number, string>> = { 3: "all", 0x800: "ip", 0x806: "arp", 0x86dd: "ipv6", 0x8100: "802.1Q", 0x88a8: "802.1ad" };

/** ll_proto_a2n() */
const protocolOf = (text: string): number | undefined => {
  const name = text.toLowerCase();
  if (name in PROTOCOLS) return PROTOCOLS[name];
  return /^(?:0[xX])?[0-9a-fA-F]{1,4}$/.test(text) && /^(?:0[xX]|\d)/.test(text) ? Number.parseInt(text.replace(/^0[xX]/, ""), /^0[xX]/.test(text) ? 16 : 10) : undefined;
};
const protocolText = (number: number): string => PROTOCOL_NAMES[number] ?? `[${number}]`;

interface Where {
  dev?: string;
  parent: number;
  pref: number;
  protocol: number;
}

const parentOf = (word: string, words: Words): number | undefined => {
  if (word === "root") return TC_H_ROOT;
  if (word === "ingress") return 0xfffffff2;
  if (word === "egress") return 0xfffffff3;
  if (word !== "parent") return undefined;
  const text = words.next();
  const parsed = classId(text);
  if (parsed === undefined) throw invalid("invalid parent ID", text);
  return parsed;
};

function modify(context: TcContext, words: Words, verb: Verb): void {
  const { netns } = context;
  const where: Where = { parent: 0, pref: 0, protocol: 0 };
  let kind: string | undefined;
  let handle: string | undefined;
  let parsed: Parsed = { keys: [], classid: 0, action: "classify", target: "", index: 0 };
  for (; words.word !== undefined; words.skip()) {
    const word = words.word;
    if (word === "dev") {
      const name = words.next();
      if (where.dev !== undefined) throw duplicate("dev", name);
      where.dev = name;
    } else if (word === "root" || word === "ingress" || word === "egress" || word === "parent") {
      if (where.parent !== 0) {
        if (word === "parent") throw duplicate("parent", words.next());
        throw new ToolExit(255, `Error: "${word}" is duplicate parent ID\n`);
      }
      where.parent = parentOf(word, words)!;
    } else if (word === "handle") {
      const text = words.next();
      if (handle !== undefined) throw duplicate("handle", text);
      handle = text;
    } else if (abbreviates(word, "preference") || abbreviates(word, "priority")) {
      const text = words.next();
      if (where.pref !== 0) throw duplicate("priority", text);
      const pref = unsigned(text);
      if (pref === undefined || pref > 0xffff) throw invalid("invalid priority value", text);
      where.pref = pref;
    } else if (abbreviates(word, "protocol")) {
      const text = words.next();
      const number = protocolOf(text);
      if (number === undefined) throw invalid("invalid protocol", text);
      where.protocol = number;
    } else if (word === "chain") {
      const text = words.next();
      const chain = unsigned(text);
      if (chain === undefined) throw invalid("invalid chain index value", text);
      if (chain !== 0) throw talkError(answered("Operation not supported"));
    } else if (abbreviates(word, "help")) throw new ToolExit(0, FILTER);
    else {
      kind = word;
      words.skip();
      if (kind === "u32" || kind === "fw" || kind === "matchall") parsed = parse(context, words, kind);
      else if (words.word !== undefined) throw new ToolExit(1, `Unknown filter "${kind}", hence option "${words.word}" is unparsable\n`);
      break;
    }
  }
  let mark = 0;
  let mask = 0xffffffff;
  if (kind === "fw" && handle !== undefined) {
    const [value = "", bits] = handle.split("/");
    mark = need(unsigned(value), new ToolExit(1, 'Illegal "handle"\n'));
    if (bits !== undefined) mask = need(unsigned(bits), new ToolExit(1, 'Illegal "handle" mask\n'));
  }
  if (kind === undefined && handle !== undefined && verb !== "delete") throw new ToolExit(255, 'Must specify filter type when using "handle"\n');
  const link = deviceOf(context, where.dev);
  const hook = hookOf(context, link, where.parent);
  const all = filterRecords(netns, link.ifindex, hook);
  if (verb === "delete") {
    if (where.pref !== 0 && !all.some(({ pref }) => pref === where.pref)) {
      throw talkError(all.length === 0 ? refused("Cannot find specified filter chain") : refused("Filter with specified priority/protocol not found"));
    }
    if (all.length > 0) deleteFilter(netns, link.ifindex, hook, where.pref);
    const begins = `${link.ifindex} ${hook} ${where.pref === 0 ? "" : `${where.pref} `}`;
    for (const table of [numbersOf(netns).tables, numbersOf(netns).actions]) {
      for (const key of [...table.keys()]) if (`${key} `.startsWith(begins)) table.delete(key);
    }
    return;
  }
  const same = all.find(({ pref }) => pref === where.pref && where.pref !== 0);
  if (kind === undefined) throw talkError(refused("Specified filter kind is unknown"));
  if (same !== undefined && same.kind !== kind) throw talkError(refused("Specified filter kind does not match existing one"));
  if ((kind !== "u32" && kind !== "fw" && kind !== "matchall") || context.host.hasTc?.("filter", kind) === false) throw talkError(refused("TC classifier not found"));
  if (verb === "change" && same === undefined) {
    throw talkError(refused(where.pref === 0 ? "Filter handle can not be specified for a filter without priority" : "Need both RTM_NEWTFILTER and NLM_F_CREATE to create a new filter"));
  }
  if (same !== undefined && same.protocol !== (where.protocol || 3)) throw talkError(refused("Protocol mismatch for filter with specified priority"));
  if (["drop", "pass"].includes(parsed.action) && context.host.hasTc?.("action", "gact") === false) throw talkError(refused("Failed to load TC action module"));
  // Without anything to look at there is only a table.
  if (kind === "u32" && parsed.keys.length === 0) return;
  const target = parsed.target === "" ? undefined : linkRecords(netns).find(({ name }) => name === parsed.target);
  const parameters: FilterParameters = {
    kind, pref: where.pref, protocol: where.protocol === 0 ? 3 : where.protocol, handle: mark, mask, classid: parsed.classid, action: parsed.action,
    target: target?.ifindex ?? 0, keys: parsed.keys,
  };
  if (verb === "replace" && same !== undefined && kind !== "u32") deleteFilter(netns, link.ifindex, hook, where.pref);
  const pref = addFilter(netns, link.ifindex, hook, parameters);
  if (pref === -ENODEV) throw talkError(answered("No such device"));
  if (pref < 0) throw talkError(answered(pref === -EINVAL ? "Invalid argument" : "File exists"));
  numbersOf(netns).blocks.set(`${link.ifindex} ${hook}`, where.parent === 0 ? hook : where.parent);
  const before = all.filter((record) => record.pref === pref).length;
  remember(context, link, hook, pref, parameters, parsed.index, before);
}

function need<T>(value: T | undefined, error: ToolExit): T {
  if (value === undefined) throw error;
  return value;
}

/** tcf_qdisc_find() and tcf_block_find(): the hook as the kernel's records name it. */
function hookOf({ netns }: TcContext, link: LinkRecord, parent: number): number {
  const all = qdiscRecords(netns, link.ifindex);
  const major = Math.floor(parent / 0x10000);
  if (major === 0xffff) {
    if (!all.some(({ kind }) => kind === "ingress")) throw talkError(refused("Parent Qdisc doesn't exists"));
    if (parent === 0xfffffff3) throw talkError(answered("Operation not supported"));
    return TC_INGRESS;
  }
  const root = all.find(({ kind, parent: above }) => kind !== "ingress" && above === 0);
  if (parent === 0 || parent === TC_H_ROOT) {
    if (root === undefined || root.kind !== "htb") throw talkError(refused("Qdisc not classful"));
    return root.handle;
  }
  const q = all.find(({ kind, handle }) => kind !== "class" && handle === major * 0x10000);
  if (q === undefined) throw talkError(refused("Parent Qdisc doesn't exists"));
  if (q.kind !== "htb") throw talkError(refused(q.kind === "tbf" || q.kind === "netem" ? "Class doesn't support blocks" : "Qdisc not classful"));
  if (parent % 0x10000 !== 0 && !all.some(({ handle }) => handle === parent)) throw talkError(refused("Specified class doesn't exist"));
  return parent;
}

/** Which number u32 gave the table of a preference, and which the action has. */
function remember({ netns }: TcContext, { ifindex }: LinkRecord, hook: number, pref: number, { kind, action }: FilterParameters, index: number, nth: number): void {
  const numbers = numbersOf(netns);
  const key = `${ifindex} ${hook} ${pref}`;
  if (kind === "u32" && !numbers.tables.has(key)) {
    const taken = [...numbers.tables].filter(([other]) => other.startsWith(`${ifindex} ${hook} `)).map(([, table]) => table);
    numbers.tables.set(key, Math.max(0x7ff, ...taken) + 1);
  }
  if (action === "classify") return;
  // The lowest number that no other action has.
  const taken = new Set(numbers.actions.values());
  let free = 1;
  while (taken.has(free)) free++;
  numbers.actions.set(`${key} ${nth}`, index === 0 ? free : index);
}

interface Parsed {
  keys: FilterKey[];
  classid: number;
  action: FilterAction;
  target: string;
  /** The number that an action was given; 0: the next. */
  index: number;
}

const USAGES: Readonly<Record<string, string>> = { u32: U32, fw: FW, matchall: MATCHALL };

function parse(context: TcContext, words: Words, kind: "u32" | "fw" | "matchall"): Parsed {
  const parsed: Parsed = { keys: [], classid: 0, action: "classify", target: "", index: 0 };
  while (words.word !== undefined) {
    const word = words.word;
    if (kind === "u32" && abbreviates(word, "match")) {
      words.next();
      keysOf(words, parsed.keys);
      continue;
    }
    if (word === "classid" || word === "flowid") {
      parsed.classid = need(classId(words.next()), new ToolExit(1, 'Illegal "classid"\n'));
      words.skip();
    } else if (abbreviates(word, "action")) parseAction(context, words, parsed);
    else if (word === "skip_hw" || word === "skip_sw") words.skip();
    else if (["divisor", "order", "link", "ht", "offset", "hashkey", "sample", "indev", "police"].some((name) => abbreviates(word, name))) {
      words.next();
      throw talkError(answered("Operation not supported"));
    } else if (word === "help") throw new ToolExit(1, USAGES[kind]);
    else throw new ToolExit(1, `What is "${word}"?\n${USAGES[kind]}`);
  }
  return parsed;
}

/** parse_action(): one action, mirred or a verdict. */
function parseAction({ netns }: TcContext, words: Words, parsed: Parsed): void {
  let word = words.next();
  const failed = (name: string, text: string): ToolExit => new ToolExit(1, `${text}parse_action: bad value (${words.left + 1}:${name})!\nIllegal "action"\n`);
  if (word === "mirred") {
    const direction = words.next();
    if (direction === "help") throw new ToolExit(255, MIRRED);
    if (direction !== "egress") {
      if (direction === "ingress") throw talkError(answered("Operation not supported"));
      throw failed("mirred", `mirred option not supported ${direction}\nbad action parsing\n`);
    }
    const what = words.next();
    if (what !== "redirect" && what !== "mirror") throw failed("mirred", "bad action parsing\n");
    parsed.action = what;
    for (words.skip(); words.word !== undefined; words.skip()) {
      if (words.word === "dev") parsed.target = words.next();
      else if (words.word === "index") parsed.index = unsigned(words.next()) ?? 0;
      else if (!["pipe", "stolen"].includes(words.word)) break;
    }
    if (parsed.target === "" || !linkRecords(netns).some(({ name }) => name === parsed.target)) {
      throw new ToolExit(1, `Cannot find device "${parsed.target}"\nbad action parsing\nparse_action: bad value (${words.left + 5}:mirred)!\nIllegal "action"\n`);
    }
    return;
  }
  if (word === "gact" || word === "action") word = words.next();
  const verdicts: Readonly<Record<string, FilterAction>> = { drop: "drop", shot: "drop", pass: "pass", ok: "pass", accept: "pass" };
  const verdict = verdicts[word];
  if (verdict === undefined) {
    if (["continue", "pipe", "reclassify", "goto", "jump", "trap", "police", "skbedit", "vlan", "nat", "pedit", "csum", "connmark"].includes(word)) {
      throw talkError(word in { continue: 1, pipe: 1, reclassify: 1, goto: 1, jump: 1, trap: 1 } ? answered("Operation not supported") : refused("Failed to load TC action module"));
    }
    throw new ToolExit(255, `Bad action type ${word}\n${GACT}`);
  }
  parsed.action = verdict;
  words.skip();
  if (words.word === "index") {
    parsed.index = unsigned(words.next()) ?? 0;
    words.skip();
  }
}

function show(context: TcContext, words: Words): void {
  const { netns, streams, json, pretty } = context;
  let dev: string | undefined;
  let parent = 0;
  let wantedPref = 0;
  let protocol = 0;
  for (; words.word !== undefined; words.skip()) {
    const word = words.word;
    if (word === "dev") {
      const name = words.next();
      if (dev !== undefined) throw duplicate("dev", name);
      dev = name;
    } else if (["root", "ingress", "egress", "parent"].includes(word)) {
      if (parent !== 0) throw new ToolExit(255, `Error: "${word}" is duplicate parent ID\n`);
      parent = parentOf(word, words)!;
    } else if (abbreviates(word, "preference") || abbreviates(word, "priority")) {
      const text = words.next();
      wantedPref = need(unsigned(text), invalid("invalid preference", text));
    } else if (abbreviates(word, "protocol")) {
      const text = words.next();
      protocol = need(protocolOf(text), invalid("invalid protocol", text));
    } else if (word === "chain" || word === "block" || word === "handle") words.next();
    else if (abbreviates(word, "help")) throw new ToolExit(0, FILTER);
    else throw new ToolExit(255, ` What is "${word}"? Try "tc filter help"\n`);
  }
  if (dev === undefined) return;
  const link = deviceOf(context, dev);
  const all = qdiscRecords(netns, link.ifindex);
  const root = all.find(({ kind, parent: above }) => kind === "htb" && above === 0);
  const hook = Math.floor(parent / 0x10000) === 0xffff && parent !== TC_H_ROOT ? TC_INGRESS : parent === 0 || parent === TC_H_ROOT ? root?.handle : parent;
  const p = new Printer(json, pretty);
  p.array(undefined, () => {
    if (hook === undefined) return;
    const names = new Map(linkRecords(netns).map(({ ifindex, name }) => [ifindex, name]));
    const found = filterRecords(netns, link.ifindex, hook).filter(({ pref, protocol: of }) =>
      (wantedPref === 0 || pref === wantedPref) && (protocol === 0 || of === protocol));
    let before: FilterRecord | undefined;
    let index = 0;
    const place = numbersOf(netns).blocks.get(`${link.ifindex} ${hook}`) ?? hook;
    for (const record of found) {
      const head = (): void => {
        if (place === 0xfffffff2 && parent !== place) p.any("parent", "ingress", "ingress ");
        else if (parent !== place) p.any("parent", classText(place), `parent ${classText(place)} `);
        if (protocol === 0) p.any("protocol", protocolText(record.protocol), `protocol ${protocolText(record.protocol)} `);
        if (wantedPref === 0) p.any("pref", record.pref, `pref ${record.pref} `);
        p.any("kind", record.kind, `${record.kind} `);
        p.any("chain", 0, "chain 0 ");
      };
      const entry = (options: (() => void) | undefined): void => p.object(undefined, () => {
        p.fp("filter ");
        head();
        if (options !== undefined) p.object("options", options);
        p.fp("\n");
      });
      const table = numbersOf(netns).tables.get(`${link.ifindex} ${hook} ${record.pref}`) ?? 0x800;
      if (before?.pref !== record.pref) {
        index = 0;
        entry(undefined);
        if (record.kind === "u32") {
          entry(() => {
            p.any("fh", `${table.toString(16)}:`, `fh ${table.toString(16)}: `);
            p.any("ht_divisor", 1, "ht divisor 1 ");
          });
        }
      }
      before = record;
      const action = numbersOf(netns).actions.get(`${link.ifindex} ${hook} ${record.pref} ${index}`) ?? 1;
      entry(() => printOptions(p, record, table, 0x800 + index, action, names));
      index++;
    }
  });
  streams.stdout += p.take();
}

function printOptions(p: Printer, record: FilterRecord, table: number, node: number, action: number, names: ReadonlyMap<number, string>): void {
  const hasAction = record.action !== "classify";
  const flow = classText(record.classid);
  if (record.kind === "u32") {
    const [fh, key] = [`${table.toString(16)}::${node.toString(16)}`, table.toString(16)];
    p.any("fh", fh, `fh ${fh} `);
    p.any("order", node, `order ${node} `);
    p.any("key_ht", key, `key ht ${key} `);
    p.any("bkt", "0", "bkt 0 ");
    if (record.classid !== 0) p.any("flowid", flow, `*flowid ${flow} `);
    else if (hasAction) p.fp("terminal flowid ");
    p.any("not_in_hw", true, "not_in_hw ");
    for (const { value, mask, at } of record.keys) {
      const digits = (number: number): string => number.toString(16).padStart(8, "0");
      p.fp(`\n  match ${digits(value)}/${digits(mask)} at ${at}`);
      p.object("match", () => {
        p.js("value", value.toString(16));
        p.js("mask", mask.toString(16));
        p.js("offmask", "");
        p.js("off", at);
      });
    }
  } else if (record.kind === "fw") {
    const text = record.mask === 0xffffffff ? `0x${record.handle.toString(16)}` : `0x${record.handle.toString(16)}/0x${record.mask.toString(16)}`;
    if (record.handle !== 0) p.any("handle", text, `handle ${text} `);
    if (record.classid !== 0) p.any("classid", flow, `classid ${flow} `);
  } else {
    p.any("handle", 1, "handle 0x1 ");
    if (record.classid !== 0) p.any("flowid", flow, `flowid ${flow} `);
    p.any("not_in_hw", true, "\n  not_in_hw");
  }
  if (!hasAction) return;
  p.array("actions", () => p.object(undefined, () => printAction(p, record, 1, action, names)));
}

function printAction(p: Printer, { action, target }: FilterRecord, order: number, index: number, names: ReadonlyMap<number, string>): void {
  p.fp("\n");
  p.any("order", order, `\taction order ${order}: `);
  if (action === "redirect" || action === "mirror") {
    const to = names.get(target) ?? "*";
    p.js("kind", "mirred");
    p.fp(`mirred (Egress ${action === "redirect" ? "Redirect" : "Mirror"} to device ${to})`);
    p.js("mirred_action", action);
    p.js("direction", "egress");
    p.js("to_dev", to);
    const control = action === "redirect" ? "stolen" : "pipe";
    p.object("control_action", () => p.any("type", control, ` ${control}`));
    p.fp("\n\t");
  } else {
    p.js("kind", "gact");
    const verdict = action === "drop" ? "drop" : "pass";
    p.object("control_action", () => p.any("type", verdict, `gact action ${verdict}`));
    p.object("prob", () => {
      p.any("random_type", "none", "\n\t random type none");
      p.object("control_action", () => p.any("type", "pass", " pass"));
      p.any("val", 0, " val 0");
    });
    p.fp("\n\t ");
  }
  p.any("index", index, `index ${index}`);
  p.any("ref", 1, " ref 1");
  p.any("bind", 1, " bind 1");
  p.fp("\n");
}

/** `tc actions ls action KIND`: those that filters use. */
export function actions(context: TcContext, words: Words): void {
  const verb = words.word;
  if (verb === undefined) throw new ToolExit(255, ACTIONS);
  if (abbreviates(verb, "help")) throw new ToolExit(255, ACTIONS);
  if (!["list", "lst", "ls", "show"].some((name) => abbreviates(verb, name)) && !["add", "change", "replace", "get", "delete", "flush"].some((name) => abbreviates(verb, name))) {
    throw new ToolExit(255, `Command "${verb}" is unknown, try "tc actions help".\n`);
  }
  const listing = ["list", "lst", "ls", "show"].some((name) => abbreviates(verb, name));
  if (!listing) throw talkError(answered("Operation not supported"));
  words.next();
  const kind = words.word === "action" ? words.next() : words.word;
  const { netns, streams } = context;
  const found: (readonly [index: number, record: FilterRecord])[] = [];
  for (const { ifindex } of linkRecords(netns)) {
    const hooks = qdiscRecords(netns, ifindex).filter(({ kind: of }) => ["ingress", "htb", "class"].includes(of));
    for (const { kind: of, handle } of hooks) {
      const hook = of === "ingress" ? TC_INGRESS : handle;
      const nth = new Map<number, number>();
      for (const record of filterRecords(netns, ifindex, hook)) {
        const before = nth.get(record.pref) ?? 0;
        nth.set(record.pref, before + 1);
        if (record.action === "classify" || (kind === "mirred") !== (record.action === "redirect" || record.action === "mirror")) continue;
        found.push([numbersOf(netns).actions.get(`${ifindex} ${hook} ${record.pref} ${before}`) ?? 1, record]);
      }
    }
  }
  const names = new Map(linkRecords(netns).map(({ ifindex, name }) => [ifindex, name]));
  const p = new Printer(context.json, context.pretty);
  p.array(undefined, () => {
    p.object(undefined, () => p.any("total acts", found.length, `total acts ${found.length}\n`));
    let order = 0;
    for (const [index, record] of found.sort((a, b) => a[0] - b[0])) {
      p.object(undefined, () => p.array("actions", () => p.object(undefined, () => {
        printAction(p, record, order++, index, names);
        p.any("not_in_hw", true, "\tnot_in_hw\n");
        p.any("used_hw_stats", "disabled", "\tused_hw_stats disabled\n");
      })));
    }
  });
  streams.stdout += p.take();
}
