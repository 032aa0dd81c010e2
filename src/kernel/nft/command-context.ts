/** What nft's commands share: where they work, the names of families and tables, and how what is missing is said. */
import { ENOENT } from "./elements.ts";
import { Refused, refusedByKernel, type Cursor, type Place, type Token } from "./lexer.ts";
import type { Listing } from "./list.ts";
import type { Chain, Family, NftObject, NftSet, Ruleset, Table, Transaction } from "./model.ts";
import type { DataType } from "./types.ts";

export interface Commands {
  readonly ruleset: Ruleset;
  readonly cursor: Cursor;
  readonly tx: Transaction;
  readonly interfaces: DataType;
  readonly listing: Listing;
  readonly readFile: ((path: string) => string | undefined) | undefined;
  /** The kernel is one without flowtables. */
  readonly withoutFlowtables: boolean;
  /** Is there an interface of this name? */
  hasDevice(name: string): boolean;
  /** Elements of a set that packets may change, as the kernel has them now. */
  sync(set: NftSet): void;
  /** Zeroes counters. */
  reset(what: Chain | NftObject): void;
  readonly output: string[];
}

const FAMILIES = ["ip", "ip6", "inet", "arp", "bridge", "netdev"];
export const EEXIST = "File exists";
export const EOPNOTSUPP = "Operation not supported";

/** At the end of a line or of the text? */
export function ended(cursor: Cursor): boolean {
  const { kind } = cursor.token;
  return kind === "end" || kind === "newline";
}

export function family(cursor: Cursor): Family {
  const { token } = cursor;
  if (token.kind === "word" && FAMILIES.includes(token.text)) {
    cursor.next();
    return token.text as Family;
  }
  return "ip";
}

export interface Named {
  readonly family: Family;
  readonly table: Token;
  readonly found: Table | undefined;
}
export function tableName(commands: Commands): Named {
  const { cursor, ruleset } = commands;
  const given = family(cursor);
  const table = cursor.name();
  return { family: given, table, found: ruleset.table(given, table.text) };
}

/** No such table: nft looks whether it is in another family (nft_cmd_enoent_table, table_not_found). */
function noTable(commands: Commands, { table }: Named, plain: boolean): Refused {
  for (const other of commands.ruleset.tables.values()) {
    if (other.name === table.text) return new Refused(`${ENOENT}; did you mean table ‘${other.name}’ in family ${other.family}?`, table);
  }
  return plain ? new Refused(ENOENT, table) : refusedByKernel(ENOENT, table);
}
export function needTable(commands: Commands, named: Named, plain: boolean): Table {
  if (named.found === undefined) throw noTable(commands, named, plain);
  return named.found;
}
export function handleOf(cursor: Cursor): { readonly number: number; readonly place: Place } | undefined {
  if (!cursor.is("handle")) return undefined;
  cursor.next();
  const place = cursor.token;
  return { number: cursor.number(), place };
}

export function skipBlock(cursor: Cursor): void {
  cursor.expect("{");
  skipTo(cursor);
}
/** To behind the brace that closes what was opened. */
export function skipTo(cursor: Cursor): void {
  for (let depth = 1; depth > 0; cursor.next()) {
    if (cursor.token.kind === "end" || cursor.token.kind === "junk") throw cursor.syntax();
    if (cursor.is("{")) depth++;
    if (cursor.is("}")) depth--;
  }
}
