/** The sockets of one container: those of its namespace, remembered so that killing the container closes them. */
import { SocketError, type Sockets } from "../kernel/sockets.ts";

export interface OwnedSockets extends Sockets {
  /** Closes everything that is open; every later call fails with EBADF. */
  closeAll(): void;
}

export function ownedSockets(net: Sockets): OwnedSockets {
  const open = new Set<{ close(): void }>();
  let dead = false;
  const alive = (call: string): void => {
    if (dead) throw new SocketError("EBADF", call);
  };
  const own = <T extends { close(): void }>(socket: T): T => {
    const close = socket.close.bind(socket);
    open.add(socket);
    socket.close = () => {
      open.delete(socket);
      close();
    };
    return socket;
  };
  return {
    udp(options) {
      alive("socket");
      return own(net.udp(options));
    },
    listen(local, options) {
      alive("socket");
      const listener = own(net.listen(local, options));
      const accept = listener.accept.bind(listener);
      listener.accept = async (signal) => own(await accept(signal));
      return listener;
    },
    async connect(remote, options) {
      alive("socket");
      const stream = await net.connect(remote, options);
      if (dead) {
        stream.close();
        throw new SocketError("EBADF", "connect");
      }
      return own(stream);
    },
    ping(address, options) {
      alive("socket");
      return net.ping(address, options);
    },
    closeAll() {
      dead = true;
      for (const socket of [...open]) socket.close();
    },
  };
}
