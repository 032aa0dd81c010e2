/** Connections of one namespace. */
import type { NodeContext } from "./context.ts";
import type { ConntrackEntry } from "./netns.ts";

/** All entries of the namespace `netns`. */
export function listConntrack(_context: NodeContext, _netns: number): ConntrackEntry[] {
  return [];
}

/** Deletes the entries for which `filter` is true; returns how many. */
export function deleteConntrack(
  _context: NodeContext,
  _netns: number,
  _filter: (entry: ConntrackEntry) => boolean,
): number {
  return 0;
}
