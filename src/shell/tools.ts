/** The tools of a node on a pod's network namespace; loaded with the first one that is run. */
import { knowDevices } from "../kernel/devices.ts";
import type { Netns } from "../kernel/netns.ts";
import { runTool as run, type ToolResult } from "../tools/index.ts";

export function runTool(netns: Netns, argv: readonly string[], stdin: string): ToolResult {
  knowDevices(netns);
  return run({ netns, namespaces: new Map() }, argv, stdin);
}
