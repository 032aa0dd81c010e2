/** nft's commands about chains and rules. */
import { EEXIST, EOPNOTSUPP, handleOf, needTable, skipBlock, tableName, type Commands } from "./command-context.ts";
import { ENOENT, isVerdict } from "./elements.ts";
import type { RuleContext } from "./expressions.ts";
import { Refused, refusedByKernel, type Cursor, type Place, type Token } from "./lexer.ts";
import { chainText, formatTable } from "./list.ts";
import { NFT_HOOK_INGRESS } from "../../../assembly/abi/nft.ts";
import { HOOKS, Writer, hookNumber, type Base, type Chain, type Rule, type Table } from "./model.ts";
import { statements } from "./rule.ts";

export const PRIORITIES: Readonly<Record<string, number>> = { raw: -300, mangle: -150, dstnat: -100, filter: 0, security: 50, srcnat: 100 };
const BRIDGE_PRIORITIES: Readonly<Record<string, number>> = { dstnat: -300, filter: -200, out: 100, srcnat: 300 };
const BLOCK_HOOKS: Readonly<Record<Base["type"], readonly string[]>> = {
  filter: [...Object.keys(HOOKS), "ingress", "egress"], nat: ["prerouting", "input", "output", "postrouting"], route: ["output"],
};
const HOOK_WORDS = [...Object.keys(HOOKS), "ingress", "egress"];

/** `device NAME` or `devices = { NAME, … }` of a chain, the names in the order nft lists them. */
function devices(cursor: Cursor): string[] {
  const names: string[] = [];
  if (cursor.is("device")) {
    cursor.next();
    names.push(cursor.name().text);
    return names;
  }
  cursor.expect("devices");
  cursor.expect("=");
  cursor.expect("{");
  do {
    cursor.newlines();
    if (cursor.is("}")) break;
    names.push(cursor.name().text);
    cursor.newlines();
  } while (cursor.take(","));
  cursor.expect("}");
  return names.sort();
}

/** A priority: a number, or a name with a number added to it or taken from it. */
export function priority(cursor: Cursor, from: Token, names: Readonly<Record<string, number>>): number {
  const sign = cursor.is("-") ? -1 : 1;
  if (cursor.is("-", "+")) cursor.next();
  if (cursor.token.kind === "number") return sign * cursor.number();
  const name = cursor.name();
  const base = names[name.text];
  if (base === undefined) throw new Refused("invalid priority expression value in this context.", { from: from.from, to: name.to });
  if (!cursor.is("+", "-")) return base;
  const by = cursor.next().text === "-" ? -1 : 1;
  return base + by * cursor.number();
}

/**
 * The options at the begin of a chain's block, from behind its brace; the chain is made or found. With `priority` unknown it
 * stays what it is.
 */
export function chainBlock(commands: Commands, table: Table, name: Token, verb: string, whole: Place): Chain {
  const { cursor } = commands;
  let base: Base | undefined;
  let policy: "accept" | "drop" | undefined;
  let comment: string | undefined;
  let policyPlace: Place | undefined;
  for (cursor.separators(); cursor.is("type", "policy", "comment", "flags"); cursor.separators()) {
    const word = cursor.next().text;
    if (word === "comment") comment = cursor.name("quoted string").text;
    else if (word === "flags") {
      const flag = cursor.name();
      throw refusedByKernel(EOPNOTSUPP, flag);
    } else if (word === "policy") {
      policyPlace = cursor.token;
      if (!cursor.is("accept", "drop")) throw cursor.syntax("accept or drop or '$'");
      policy = cursor.next().text as "accept" | "drop";
    } else {
      const kind = cursor.name();
      if (!(kind.text in BLOCK_HOOKS)) throw new Refused("unknown chain type", kind);
      cursor.expect("hook");
      const hook = cursor.name();
      if (!HOOK_WORDS.includes(hook.text)) throw new Refused("unknown chain hook", hook);
      const names = cursor.is("device", "devices") ? devices(cursor) : undefined;
      const from = cursor.expect("priority");
      base = {
        type: kind.text as Base["type"], hook: hook.text, priority: priority(cursor, from, table.family === "bridge" ? BRIDGE_PRIORITIES : PRIORITIES),
        ...(names === undefined ? {} : { devices: names }),
      };
    }
    cursor.separated();
  }
  const end = cursor.is("}") ? cursor.token.to + 1 : whole.to;
  const place = { from: whole.from, to: end };
  const existing = table.chains.get(name.text);
  if (existing !== undefined) {
    if (verb === "create") throw refusedByKernel(EEXIST, name);
    const was = existing.base;
    if (base !== undefined && (was === undefined || was.type !== base.type || was.hook !== base.hook || was.priority !== base.priority)) {
      throw refusedByKernel(was === undefined || was.priority === base.priority || was.hook !== base.hook ? EOPNOTSUPP : EEXIST, place);
    }
    if (policy !== undefined && policy !== existing.policy) {
      if (was === undefined) throw refusedByKernel(EOPNOTSUPP, policyPlace!);
      const before = existing.policy;
      const after = policy;
      commands.tx.change(() => (existing.policy = after), () => (existing.policy = before));
      commands.tx.chainChanged(existing);
    }
    return existing;
  }
  if (base !== undefined) {
    const outside = table.family !== "ip" && table.family !== "ip6" && table.family !== "inet" && base.type !== "filter";
    const number = hookNumber(table.family, base.hook);
    if (number !== undefined && number >= NFT_HOOK_INGRESS) {
      const missing = (base.devices ?? []).find((device) => !commands.hasDevice(device));
      if (base.devices === undefined) throw refusedByKernel("Invalid argument", place);
      if (missing !== undefined) throw refusedByKernel(ENOENT, place);
    }
    if (outside || number === undefined || !BLOCK_HOOKS[base.type].includes(base.hook) || (base.type === "nat" && base.priority <= -200)) throw refusedByKernel(EOPNOTSUPP, place);
  }
  return newChain(commands, table, name.text, base, policy ?? "accept", comment);
}

function newChain(commands: Commands, table: Table, name: string, base: Base | undefined, policy: "accept" | "drop", comment: string | undefined): Chain {
  const { tx } = commands;
  const chain: Chain = { id: tx.id("chain"), table, handle: tx.handle(table), name, base, policy, comment, rules: [], use: 0 };
  tx.setIn(table.chains, name, chain);
  tx.chainChanged(chain);
  return chain;
}

export function flushChain(commands: Commands, chain: Chain): void {
  for (const rule of chain.rules) commands.tx.release(rule);
  commands.tx.rules(chain, []);
}

export function chainCommand(commands: Commands, verb: string, start: number): void {
  const { cursor, tx } = commands;
  const named = tableName(commands);
  const name = cursor.name();
  if (verb === "add" || verb === "create") {
    const table = needTable(commands, named, true);
    if (cursor.is("{")) {
      cursor.next();
      let depth = 0;
      let end = name.to;
      for (let i = 0; cursor.peek(i).kind !== "end"; i++) {
        const token = cursor.peek(i);
        if (token.kind === "op" && token.text === "{") depth++;
        if (token.kind === "op" && token.text === "}" && depth-- === 0) {
          // Up to and with what ends the line.
          end = token.to + 1;
          break;
        }
      }
      const chain = chainBlock(commands, table, name, verb, { from: start, to: end });
      for (cursor.separators(); !cursor.is("}"); cursor.separators()) {
        appendRule(commands, chain, "add", undefined, undefined);
        cursor.separated();
      }
      cursor.next();
      return;
    }
    const existing = table.chains.get(name.text);
    if (existing === undefined) newChain(commands, table, name.text, undefined, "accept", undefined);
    else if (verb === "create") throw refusedByKernel(EEXIST, name);
    return;
  }
  if (verb === "list") {
    const table = needTable(commands, named, true);
    const chain = table.chains.get(name.text);
    if (chain === undefined) throw new Refused(ENOENT, name);
    commands.output.push(formatTable(table, [chainText(commands.listing, chain, true)]));
    return;
  }
  if (verb === "destroy" && named.found?.chains.get(name.text) === undefined) return;
  const table = needTable(commands, named, false);
  const chain = table.chains.get(name.text);
  if (chain === undefined) throw refusedByKernel(ENOENT, name);
  if (verb === "flush") flushChain(commands, chain);
  else if (verb === "rename") {
    const to = cursor.name();
    if (table.chains.has(to.text)) throw refusedByKernel(EEXIST, to);
    tx.rename(chain, to.text);
  } else if (verb === "delete" || verb === "destroy") {
    if (cursor.is("{")) skipBlock(cursor);
    if (chain.use - chain.rules.reduce((sum, rule) => sum + rule.chains.filter((to) => to === chain).length, 0) > 0 || chain.rules.some((rule) => rule.chains.includes(chain))) {
      throw refusedByKernel("Device or resource busy", name);
    }
    tx.deleteChain(chain);
  } else throw cursor.syntax();
}

// Rules

export function appendRule(commands: Commands, chain: Chain, verb: string, at: Rule | undefined, replaced: Rule | undefined): void {
  const { cursor, tx, interfaces } = commands;
  const { table } = chain;
  const context: RuleContext = {
    cursor, family: table.family, table, tx, interfaces, ops: new Writer(), segments: [], chains: [], sets: [], objects: [], checks: [],
    l3: undefined, l4: undefined, l3Segment: undefined, l4Segment: undefined, l4Place: undefined, l4Any: false, icmpType: false,
  };
  statements(context);
  if (context.segments.length === 0) throw cursor.syntax();
  let comment: string | undefined;
  if (cursor.take("comment")) comment = cursor.name("string").text;
  const rule: Rule = {
    handle: tx.handle(table), segments: context.segments, comment, ops: context.ops.take(), chains: context.chains, sets: context.sets,
    objects: context.objects, checks: context.checks, kept: false,
  };
  tx.hold(rule);
  const rules = [...chain.rules];
  if (replaced !== undefined) {
    tx.release(replaced);
    rules[rules.indexOf(replaced)] = rule;
  } else if (verb === "insert") rules.splice(at === undefined ? 0 : rules.indexOf(at), 0, rule);
  else rules.splice(at === undefined ? rules.length : rules.indexOf(at) + 1, 0, rule);
  tx.rules(chain, rules);
}

export function ruleCommand(commands: Commands, verb: string): void {
  const { cursor, tx } = commands;
  const named = tableName(commands);
  const name = cursor.name();
  const chainOf = (): Chain => {
    const chain = needTable(commands, named, false).chains.get(name.text);
    if (chain === undefined) throw refusedByKernel(ENOENT, name);
    return chain;
  };
  const byHandle = (chain: Chain, given: { number: number; place: Place }): Rule => {
    const rule = chain.rules.find((one) => one.handle === given.number);
    if (rule === undefined) throw refusedByKernel(ENOENT, given.place);
    return rule;
  };
  if (verb === "delete" || verb === "destroy" || verb === "replace") {
    const given = handleOf(cursor);
    if (given === undefined) throw cursor.syntax("handle");
    const chain = chainOf();
    if (verb === "destroy" && !chain.rules.some((rule) => rule.handle === given.number)) return;
    const rule = byHandle(chain, given);
    if (verb === "replace") return appendRule(commands, chain, verb, undefined, rule);
    tx.release(rule);
    tx.rules(chain, chain.rules.filter((one) => one !== rule));
    return;
  }
  if (verb !== "add" && verb !== "insert" && verb !== "create") throw cursor.syntax();
  let at: Rule | undefined;
  if (cursor.is("handle", "position")) {
    cursor.next();
    const place = cursor.token;
    at = byHandle(chainOf(), { number: cursor.number(), place });
  } else if (cursor.is("index")) {
    const from = cursor.next().from;
    const index = cursor.number();
    at = chainOf().rules[index];
    if (at === undefined) throw refusedByKernel(ENOENT, { from, to: cursor.previous.to });
  }
  const table = named.found;
  const chain = table?.chains.get(name.text);
  if (chain === undefined) {
    // The statements are read all the same: what nft can't parse it says first. Only then does the kernel miss the chain.
    if (!startsRule(cursor)) throw cursor.syntax();
    chainOf();
  }
  appendRule(commands, chain!, verb, at, undefined);
}
const startsRule = (cursor: Cursor): boolean => cursor.token.kind === "word" || isVerdict(cursor);

