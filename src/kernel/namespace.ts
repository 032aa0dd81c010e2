/** Network namespaces of one node: the calls of iproute2 over the kernel's records. */
import { NET_NETNS_ADD, NET_NETNS_HOST } from "../../assembly/abi/net.ts";
import { deleteConntrack, listConntrack } from "./conntrack.ts";
import type { NodeContext } from "./context.ts";
import { createIptables } from "./iptables/index.ts";
import { KernelError, type Iptables, type Netns } from "./netns.ts";
import { createSockets } from "./socket-calls.ts";
import type { Sockets } from "./sockets.ts";

/** The namespaces of one node by name. */
export interface NetnsTable {
  /** The initial namespace. */
  readonly host: Netns;
  /** `ip netns add`. */
  add(name: string): Netns;
}

export function createNetnsTable(context: NodeContext): NetnsTable {
  const refuse = (): never => {
    throw new KernelError("EOPNOTSUPP", "RTNETLINK answers: Operation not supported");
  };
  const open = (name: string, handle: number): Netns => {
    let iptables: Iptables | undefined;
    let sockets: Sockets | undefined;
    return {
      name,
      addLink: refuse, deleteLink: refuse, setLink: refuse, links: refuse, link: refuse,
      addAddress: refuse, deleteAddress: refuse, addresses: refuse,
      addRoute: refuse, replaceRoute: refuse, deleteRoute: refuse, routes: refuse,
      setNeigh: refuse, deleteNeigh: refuse, neighbours: refuse,
      setFdb: refuse, deleteFdb: refuse, fdb: refuse,
      sysctl: refuse, setSysctl: refuse,
      get iptables() {
        return (iptables ??= createIptables(context, handle));
      },
      conntrack: () => listConntrack(context, handle),
      deleteConntrack: (filter) => deleteConntrack(context, handle, filter),
      get sockets() {
        return (sockets ??= createSockets(context, handle));
      },
      drops: refuse, snmp: refuse, delete: refuse,
    };
  };
  return {
    host: open("", context.command(NET_NETNS_HOST, 0, "netns") >>> 0),
    add: (name) => open(name, context.command(NET_NETNS_ADD, 0, "netns") >>> 0),
  };
}
