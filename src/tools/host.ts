/** The tools on a node of a cluster: in its initial namespace, with the pods' namespaces by their names. */
import { knowDevices } from "../kernel/devices.ts";
import { KernelError, type Netns, type NodeKernel } from "../kernel/netns.ts";
import { runTool, type ToolHost } from "./index.ts";

/** What a tool printed to stderr, and its exit status. */
export class CommandError extends Error {
  readonly exitCode: number;
  readonly stdout: string;
  constructor(message: string, exitCode: number, stdout: string) {
    super(message);
    this.name = "CommandError";
    this.exitCode = exitCode;
    this.stdout = stdout;
  }
}

/**
 * Runs one command on a node; its standard output. `namespaces`: all that were ever made there, the initial one first. A tool that
 * fails throws CommandError with what it printed to stderr.
 */
export function runHostCommand(kernel: NodeKernel, namespaces: readonly Netns[], argv: readonly string[], containers?: ToolHost["containers"]): string {
  knowDevices(kernel.host);
  const named = new Map(namespaces.slice(1).filter(isAlive).map((netns) => [netns.name, netns]));
  const { exitCode, stdout, stderr } = runTool({
    netns: kernel.host,
    namespaces: named,
    addNetns: (name) => {
      const netns = kernel.addNetns(name);
      named.set(name, netns);
      return netns;
    },
    deleteNetns: (name) => named.get(name)?.delete(),
    containers,
  }, argv);
  if (exitCode !== 0) throw new CommandError(stderr.trimEnd() === "" ? `${argv[0]}: exit status ${exitCode}` : stderr.trimEnd(), exitCode, stdout);
  return stdout;
}

/** A namespace that ended keeps its number; the kernel does not know it any more. */
const isAlive = (netns: Netns): boolean => {
  try {
    netns.links();
    return true;
  } catch (error) {
    if (error instanceof KernelError) return false;
    throw error;
  }
};
