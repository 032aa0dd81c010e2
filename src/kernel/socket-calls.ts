/** Socket calls of one namespace. */
import type { NodeContext } from "./context.ts";
import { SocketError, type Sockets } from "./sockets.ts";

/** The socket calls of the namespace `netns`. */
export function createSockets(_context: NodeContext, _netns: number): Sockets {
  const refuse = (): never => {
    throw new SocketError("EPROTONOSUPPORT", "socket");
  };
  return { udp: refuse, listen: refuse, connect: refuse, ping: refuse };
}
