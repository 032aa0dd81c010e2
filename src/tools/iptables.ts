/** `iptables`, `iptables-save`, `iptables-restore` around the driver's calls (src/kernel/iptables). */
import { ToolExit, type Streams, type ToolHost } from "./tool.ts";

export function iptables({ netns }: ToolHost, args: readonly string[], streams: Streams): number {
  streams.stdout += netns.iptables.run(args);
  return 0;
}

export function iptablesSave({ netns }: ToolHost, args: readonly string[], streams: Streams): number {
  let table: string | undefined;
  let counters = false;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i];
    if (arg === "-c" || arg === "--counters") counters = true;
    else if ((arg === "-t" || arg === "--table") && args[i + 1] !== undefined) table = args[++i];
    else throw new ToolExit(1, "Unknown arguments found on commandline\n");
  }
  streams.stdout += netns.iptables.save({ counters, ...(table === undefined ? {} : { table }) });
  return 0;
}

export function iptablesRestore({ netns }: ToolHost, args: readonly string[], _streams: Streams, stdin: string): number {
  const options: { noflush?: boolean; counters?: boolean; test?: boolean } = {};
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === "-n" || arg === "--noflush") options.noflush = true;
    else if (arg === "-c" || arg === "--counters") options.counters = true;
    else if (arg === "-t" || arg === "--test") options.test = true;
    else if (arg === "-v" || arg === "--verbose" || arg === "-w" || arg === "--wait" || arg.startsWith("-w") || arg.startsWith("--wait")) {
      if ((arg === "-w" || arg === "--wait") && /^\d+$/.test(args[i + 1] ?? "")) i++;
    } else throw new ToolExit(1, `Unknown arguments found on commandline\n`);
  }
  netns.iptables.restore(stdin, options);
  return 0;
}
