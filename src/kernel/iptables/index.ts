/** iptables of one namespace. */
import type { NodeContext } from "../context.ts";
import { KernelError, type Iptables } from "../netns.ts";

/** The iptables calls of the namespace `netns`. */
export function createIptables(_context: NodeContext, _netns: number): Iptables {
  const refuse = (): never => {
    throw new KernelError("ENOENT", "iptables: ENOENT");
  };
  return { restore: refuse, save: refuse, run: refuse };
}
