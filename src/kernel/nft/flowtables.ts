/**
 * Flowtables: `add | delete | destroy | list flowtable`, and the statement that enters a connection into one. To the kernel a flowtable is a
 * base chain at the ingress of its devices that has no rules (assembly/nft/flowtable.ts).
 */
import * as abi from "../../../assembly/abi/nft.ts";
import { priority, PRIORITIES } from "./chain-commands.ts";
import { EEXIST, EOPNOTSUPP, ended, family, handleOf, needTable, skipBlock, tableName, type Commands } from "./command-context.ts";
import { ENOENT } from "./elements.ts";
import type { RuleContext } from "./expressions.ts";
import { Refused, refusedByKernel, type Cursor, type Place, type Token } from "./lexer.ts";
import { flowtableText, formatTable } from "./list.ts";
import type { Chain, Table } from "./model.ts";

const DEVICES_MAX = 256;

interface Block {
  hook: Token | undefined;
  priority: number;
  readonly devices: Token[];
  counter: boolean;
  offload: Token | undefined;
}

/** What stands between the braces, from behind the first one to behind the last (flowtable_block). */
function block(cursor: Cursor): Block {
  const made: Block = { hook: undefined, priority: 0, devices: [], counter: false, offload: undefined };
  for (cursor.separators(); !cursor.is("}"); cursor.separators()) {
    if (cursor.take("counter")) {
      made.counter = true;
      continue;
    }
    if (cursor.take("hook")) {
      made.hook = cursor.name();
      if (made.hook.text !== "ingress" && made.hook.text !== "egress") throw new Refused("unknown chain hook", made.hook);
      made.priority = priority(cursor, cursor.expect("priority"), { filter: PRIORITIES["filter"]! });
    } else if (cursor.take("devices")) {
      cursor.expect("=");
      cursor.expect("{");
      do {
        cursor.newlines();
        if (cursor.is("}")) break;
        made.devices.push(cursor.name());
        cursor.newlines();
      } while (cursor.take(","));
      cursor.expect("}");
    } else if (cursor.take("flags")) made.offload = cursor.expect("offload");
    else throw cursor.syntax();
    cursor.separated();
  }
  cursor.next();
  return made;
}

/** `flowtable NAME { … }`, the cursor at the brace; one that is there already gets the devices that it lacks. */
export function newFlowtable(commands: Commands, table: Table, name: Token, verb: string, start: number): void {
  const { cursor, tx } = commands;
  const from = cursor.expect("{").to;
  const given = block(cursor);
  const place: Place = { from: start, to: cursor.previous.to };
  if (commands.withoutFlowtables) throw refusedByKernel(ENOENT, place);
  const existing = table.flowtables.get(name.text);
  if (existing === undefined && given.hook === undefined) {
    throw new Refused("missing hook and priority in flowtable declaration", { from, to: cursor.previous.from });
  }
  if (existing !== undefined && verb === "create") throw refusedByKernel(EEXIST, name);
  if (table.family !== "ip" && table.family !== "ip6" && table.family !== "inet") throw refusedByKernel(ENOENT, place);
  // No device here takes connections over.
  if (given.offload !== undefined || (given.hook !== undefined && given.hook.text !== "ingress")) throw refusedByKernel(EOPNOTSUPP, place);
  const before = existing?.base;
  if (before !== undefined && given.hook !== undefined && given.priority !== before.priority) throw refusedByKernel(EOPNOTSUPP, place);
  const names: string[] = [];
  for (const device of given.devices) {
    if (!commands.hasDevice(device.text)) throw refusedByKernel(ENOENT, device);
    if (names.includes(device.text)) throw refusedByKernel(EEXIST, device);
    names.push(device.text);
  }
  if (names.length > DEVICES_MAX) throw refusedByKernel("Argument list too long", place);
  for (const other of table.flowtables.values()) {
    if (other !== existing && other.base!.devices!.some((device) => names.includes(device))) throw refusedByKernel(EEXIST, place);
  }
  const devices = [...new Set([...(before?.devices ?? []), ...names])].sort();
  const base = { type: "filter" as const, hook: "ingress", priority: before?.priority ?? given.priority, devices };
  if (existing !== undefined) return change(commands, existing, base, given.counter);
  const flowtable: Chain = {
    id: tx.id("chain"), table, handle: tx.handle(table), name: name.text, base, policy: "accept", comment: undefined, rules: [], use: 0,
    flowtable: { counter: given.counter },
  };
  tx.setIn(table.flowtables, flowtable.name, flowtable);
  tx.chainChanged(flowtable);
}

function change({ tx }: Commands, flowtable: Chain, base: NonNullable<Chain["base"]>, counter: boolean): void {
  const before = [flowtable.base, flowtable.flowtable] as const;
  tx.change(
    () => {
      flowtable.base = base;
      flowtable.flowtable = { counter };
    },
    () => {
      flowtable.base = before[0];
      flowtable.flowtable = before[1];
    },
  );
  tx.chainChanged(flowtable);
}

/** Behind the word `flowtable` of a command. */
export function flowtableCommand(commands: Commands, verb: string, start: number): void {
  const { cursor, tx } = commands;
  if (commands.withoutFlowtables) {
    while (!ended(cursor)) {
      if (cursor.is("{")) skipBlock(cursor);
      else cursor.next();
    }
    throw refusedByKernel(ENOENT, { from: start, to: cursor.previous.to + 1 });
  }
  const named = tableName(commands);
  const given = verb === "delete" || verb === "destroy" ? handleOf(cursor) : undefined;
  const name = given === undefined ? cursor.name() : undefined;
  const place = given?.place ?? name!;
  if (verb === "add" || verb === "create") return newFlowtable(commands, needTable(commands, named, true), name!, verb, start);
  const find = (table: Table | undefined): Chain | undefined => given === undefined ? table?.flowtables.get(name!.text)
    : [...(table?.flowtables.values() ?? [])].find((one) => one.handle === given.number);
  if (verb === "list") {
    const table = needTable(commands, named, true);
    const flowtable = find(table);
    if (flowtable === undefined) throw new Refused(ENOENT, place);
    commands.output.push(formatTable(table, [flowtableText(commands.listing, flowtable)]));
    return;
  }
  if (verb !== "delete" && verb !== "destroy") throw cursor.syntax();
  const devices = given === undefined && cursor.is("{") ? (cursor.next(), block(cursor).devices) : undefined;
  if (verb === "destroy" && find(named.found) === undefined) return;
  const flowtable = find(needTable(commands, named, false));
  if (flowtable === undefined) throw refusedByKernel(ENOENT, place);
  if (devices !== undefined && devices.length > 0) {
    const base = flowtable.base!;
    const missing = devices.find(({ text }) => !base.devices!.includes(text));
    if (missing !== undefined) throw refusedByKernel(ENOENT, missing);
    const gone = devices.map(({ text }) => text);
    return change(commands, flowtable, { ...base, devices: base.devices!.filter((device) => !gone.includes(device)) }, flowtable.flowtable!.counter);
  }
  if (flowtable.use > 0) throw refusedByKernel("Device or resource busy", place);
  tx.deleteFlowtable(flowtable);
}

/** `list flowtables [FAMILY]` */
export function listFlowtables({ cursor, output, ruleset, listing }: Commands): void {
  const only = cursor.token.kind === "word" ? family(cursor) : undefined;
  for (const table of ruleset.tables.values()) {
    if (only !== undefined && table.family !== only) continue;
    output.push(formatTable(table, [[...table.flowtables.values()].map((one) => flowtableText(listing, one)).join("")]));
  }
}

/** `flow add @NAME` (or `flow offload`): forwarded packets alone. */
export function flowStatement(context: RuleContext): void {
  const { cursor, ops, segments } = context;
  const from = cursor.next().from;
  if (!cursor.take("add", "offload")) throw cursor.syntax("add");
  cursor.expect("@");
  const name = cursor.name();
  const flowtable = context.table.flowtables.get(name.text);
  if (flowtable === undefined) throw refusedByKernel(ENOENT, { from, to: name.to });
  context.checks.push({ hooks: ["forward"] });
  context.objects.push(flowtable);
  ops.op(abi.NFTOP_FLOW, 0, (w) => w.u32(flowtable.id));
  segments.push(() => `flow add @${flowtable.name}`);
}
