/**
 * The host's tools on a node, as typed: `iptables …`, `iptables-save`, `bridge fdb …`. They work on
 * the node's initial network namespace. Output and errors are the tools' own.
 */
import type { FdbEntry, Netns } from "./netns.ts";

/** What a tool printed to stderr, and its exit status. */
export class CommandError extends Error {
  readonly exitCode: number;
  constructor(message: string, exitCode: number) {
    super(message);
    this.name = "CommandError";
    this.exitCode = exitCode;
  }
}

/** Runs one command; its standard output. Throws CommandError, or the driver's own error with the tool's text. */
export const runHostCommand = (netns: Netns, argv: readonly string[]): string => {
  const [tool = "", ...args] = argv;
  switch (tool) {
    case "iptables":
      return netns.iptables.run(args);
    case "iptables-save":
      return iptablesSave(netns, args);
    case "bridge":
      return bridge(netns, args);
    default:
      throw new CommandError(`${tool}: command not found`, 127);
  }
};

const iptablesSave = (netns: Netns, args: readonly string[]): string => {
  let table: string | undefined;
  let counters = false;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i];
    if (arg === "-c" || arg === "--counters") counters = true;
    else if ((arg === "-t" || arg === "--table") && args[i + 1] !== undefined) table = args[++i];
    else throw new CommandError(`Unknown argument found on commandline: ${arg ?? ""}`, 1);
  }
  return netns.iptables.save({ counters, ...(table === undefined ? {} : { table }) });
};

const BRIDGE_USAGE = "Usage: bridge fdb { add | append | del | replace | show } LLADDR dev DEV [ dst IPADDR ]";

/** `bridge fdb show [dev DEV]`, `bridge fdb del LLADDR dev DEV [dst IP]`, `bridge fdb add|append|replace …`. */
const bridge = (netns: Netns, args: readonly string[]): string => {
  const [object, verb = "show", ...rest] = args;
  if (object !== "fdb") throw new CommandError(BRIDGE_USAGE, 255);
  const words = new Map<string, string>();
  const lladdr = verb === "show" ? undefined : rest.shift();
  for (let i = 0; i < rest.length; i++) {
    const word = rest[i] as string;
    if (word === "dev" || word === "dst") words.set(word, rest[++i] ?? "");
    else if (!["self", "permanent", "static"].includes(word)) throw new CommandError(BRIDGE_USAGE, 255);
  }
  const dev = words.get("dev");
  const dst = words.get("dst");
  if (verb === "show") {
    const devices = netns.links().filter(({ name, kind }) => (dev === undefined ? kind === "bridge" || kind === "vxlan" : name === dev));
    return devices.flatMap(({ name }) => netns.fdb(name).map(fdbLine)).join("");
  }
  if (lladdr === undefined || dev === undefined) throw new CommandError("Device and address are required arguments.", 255);
  switch (verb) {
    case "del":
      netns.deleteFdb(dev, lladdr, dst);
      return "";
    case "add":
    case "append":
    case "replace":
      netns.setFdb({ dev, lladdr, ...(dst === undefined ? {} : { dst }) });
      return "";
    default:
      throw new CommandError(`Command "${verb}" is unknown, try "bridge fdb help".`, 255);
  }
};

const fdbLine = ({ lladdr, dev, dst, state }: FdbEntry): string =>
  `${lladdr} dev ${dev}${dst === undefined ? "" : ` dst ${dst} self`}${state === "reachable" ? "" : ` ${state}`}\n`;
