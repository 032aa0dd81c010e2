/** `nft` 1.0.6 and `ipset` 7.17 around the driver's calls (src/kernel/nft, src/kernel/ipset.ts). */
import { createIpset, type Ipset } from "../kernel/ipset.ts";
import { kernelOf } from "../kernel/namespace.ts";
import type { Netns } from "../kernel/netns.ts";
import { NftError, nftOf, type NftOptions } from "../kernel/nft/index.ts";
import type { Streams, ToolHost } from "./tool.ts";

/** Options with an argument, which this tool reads over; those of the listing are taken. */
const WITH_ARGUMENT = ["-I", "--includepath", "-D", "--define"];

/** `nft [-s] [-a] [-c] [-f -] COMMAND…`: with `-f -` (or /dev/stdin) the commands are standard input. */
export function nft({ netns, nftWithout }: ToolHost, args: readonly string[], streams: Streams, stdin: string): number {
  let options: NftOptions = nftWithout === undefined ? {} : { without: nftWithout };
  let file: string | undefined;
  let at = 0;
  for (; at < args.length && args[at]!.startsWith("-") && args[at] !== "-"; at++) {
    const arg = args[at]!;
    if (arg === "--") {
      at++;
      break;
    }
    if (arg === "--version" || arg === "-v") {
      streams.stdout += "nftables v1.0.6 (Lester Gooch #5)\n";
      return 0;
    }
    if (arg === "-f" || arg === "--file") file = args[++at] ?? "";
    else if (WITH_ARGUMENT.includes(arg)) at++;
    else if (arg === "--stateless") options = { ...options, stateless: true };
    else if (arg === "--handle") options = { ...options, handles: true };
    else if (arg === "--check") options = { ...options, check: true };
    else if (!arg.startsWith("--")) {
      for (const letter of arg.slice(1)) {
        if (letter === "s") options = { ...options, stateless: true };
        else if (letter === "a") options = { ...options, handles: true };
        else if (letter === "c") options = { ...options, check: true };
        else if (letter === "j") {
          streams.stderr += "Error: JSON support not compiled-in\n";
          return 1;
        } else if (!"nNSuypte".includes(letter)) {
          streams.stderr += `nft: invalid option -- '${letter}'\n`;
          return 1;
        }
      }
    }
  }
  if (file !== undefined && file !== "-" && file !== "/dev/stdin") {
    streams.stderr += `internal:0:0-0: Error: Could not open file "${file}": No such file or directory\n\n`;
    return 1;
  }
  try {
    const warn = (line: string): void => {
      streams.stderr += line;
    };
    streams.stdout += nftOf(netns).run(file === undefined ? args.slice(at).join(" ") : stdin, { ...options, warn, ...(file === undefined ? {} : { source: "/dev/stdin" }) });
    return 0;
  } catch (error) {
    if (!(error instanceof NftError)) throw error;
    streams.stderr += error.message;
    return 1;
  }
}

const sets = new WeakMap<Netns, Ipset>();

/** `ipset ARGS…`. Comments of elements are the driver's: one object per namespace. */
export function ipset({ netns, ipsetWithout }: ToolHost, args: readonly string[], streams: Streams, stdin: string): number {
  let known = sets.get(netns);
  if (known === undefined) {
    const { context, handle } = kernelOf(netns);
    known = createIpset(context, handle, ipsetWithout === undefined ? {} : { without: ipsetWithout });
    sets.set(netns, known);
  }
  const { exit, stdout, stderr } = known.run(args, stdin);
  streams.stdout += stdout;
  streams.stderr += stderr;
  return exit;
}
