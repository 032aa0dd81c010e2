/**
 * Socket calls of one namespace: promises over the kernel's non-blocking requests (abi/sock.ts). A request that would wait is
 * made again when the kernel reports the socket ready; nothing polls. Whatever a call returns is a copy.
 */
import { EAGAIN, EINPROGRESS, MAILBOX_BYTES } from "../../assembly/abi/core.ts";
import {
  SOCK_ACCEPT, SOCK_ADDRESS, SOCK_ARG, SOCK_BIND, SOCK_BYTES, SOCK_CLOSE, SOCK_CONNECT, SOCK_FINISH, SOCK_HANDLE, SOCK_LENGTH,
  SOCK_LISTEN, SOCK_NAME, SOCK_OPEN, SOCK_INET6, SOCK_OPTION, SOCK_PING, SOCK_PORT, SOCK_RAW, SOCK_READ, SOCK_RECEIVE, SOCK_SEND,
  SOCK_SHUTDOWN, SOCK_SOURCE, SOCK_STATS, SOCK_TCP, SOCK_UDP, SOCK_WRITE, SOCKOPT_NODELAY, SOCKOPT_REUSEADDR, SOCKOPT_V6ONLY, SOCK_SCOPE,
} from "../../assembly/abi/sock.ts";
import { getAddress, putAddress } from "./address.ts";
import type { NodeContext } from "./context.ts";
import { KernelError } from "./netns.ts";
import {
  SocketError, type Datagram, type SocketAddress, type Sockets, type TcpListener, type TcpStream, type UdpSocket,
} from "./sockets.ts";

const ANY = "0.0.0.0";
const ANY6 = "::";
const SOMAXCONN = 4096;
const READ_BYTES = 65536;
const WRITE_BYTES = MAILBOX_BYTES - SOCK_BYTES;
const WOULD_WAIT: readonly number[] = [EAGAIN, EINPROGRESS];

/** A socket that gets every IPv4 packet that INPUT let through, and sends whole packets through OUTPUT. */
export interface RawSocket {
  /** An IPv4 packet, header and all; its header checksum is filled in. Throws SocketError (EPERM: OUTPUT dropped it). */
  send(packet: Uint8Array): void;
  /** Packets since the last call, oldest first, as INPUT left them (NAT undone or applied). */
  receive(): Uint8Array<ArrayBuffer>[];
  close(): void;
}

/** What the namespace's sockets hold. */
export interface SocketStats {
  /** Open sockets and connections that outlive theirs. */
  readonly sockets: number;
  /** Entries of the table of connections: established, being opened, time-wait. */
  readonly connections: number;
  readonly timeWaits: number;
  /** Packets that exist in the whole node. */
  readonly skbs: number;
}

/** The socket calls of a namespace, and what its owner needs beside them. */
export interface NetnsSockets extends Sockets {
  /** Closes every socket made here; pending calls reject with EBADF. Connections end by FIN, or by RST with `abort`. */
  closeAll(abort?: boolean): void;
  raw(): RawSocket;
  stats(): SocketStats;
}

const ids = new WeakMap<object, number>();
const known = <T extends object>({ id }: { readonly id: number }, socket: T): T => {
  ids.set(socket, id);
  return socket;
};

/** The kernel's handle of a socket made here, for what the calls of `Sockets` do not do; throws EBADF for another object. */
export function socketHandle(socket: object): number {
  const id = ids.get(socket);
  if (id === undefined) throw new SocketError("EBADF", "socket");
  return id;
}

/** Result of an attempt: undefined asks to wait. */
type Attempt<T> = () => T | undefined;

interface Waiting {
  /** True: settled. */
  attempt(): boolean;
  reject(error: unknown): void;
}

/** One open socket of the kernel. */
interface Handle {
  readonly id: number;
  readonly reading: Waiting[];
  readonly writing: Waiting[];
  closed: boolean;
  abort: boolean;
}

/** The socket calls of the namespace `netns`. */
export function createSockets(context: NodeContext, netns: number, findDevice: (name: string) => number | undefined = () => undefined): NetnsSockets {
  const { instance, clock } = context;
  const open = new Set<Handle>();

  /** A request whose record stands in the mailbox. Undefined: it would wait. */
  const request = (op: number, length: number, call: string): number | undefined => {
    try {
      const result = context.command(op, length, call, WOULD_WAIT);
      return result < 0 ? undefined : result;
    } catch (error) {
      throw error instanceof KernelError ? new SocketError(error.code, call) : error;
    }
  };

  const put = (handle: number, arg = 0, port = 0, length = 0): void => {
    const view = instance.view;
    view.setUint32(SOCK_HANDLE, handle, true);
    view.setUint32(SOCK_ARG, arg, true);
    view.setUint32(SOCK_PORT, port, true);
    view.setUint32(SOCK_LENGTH, length, true);
    view.setUint32(SOCK_SCOPE, 0, true);
  };
  const putIp = (offset: number, address: string, call: string): void => {
    const zone = address.indexOf("%");
    if (zone >= 0) {
      const scope = zoneOf(address.slice(zone + 1));
      if (scope === undefined) throw new SocketError("ENODEV", call);
      instance.view.setUint32(SOCK_SCOPE, scope, true);
    }
    if (!putAddress(instance.view, offset, zone < 0 ? address : address.slice(0, zone))) {
      throw new SocketError(address.includes(":") ? "EAFNOSUPPORT" : "EINVAL", call);
    }
  };
  /** The ifindex that a zone names, by number or by name. */
  const zoneOf = (zone: string): number | undefined => {
    if (/^\d+$/.test(zone)) return Number(zone);
    // Looking a name up is a request of its own: the one that is being written waits.
    const written = instance.u8.slice(0, SOCK_BYTES);
    const found = findDevice(zone);
    instance.u8.set(written);
    return found;
  };
  /** An address with the zone it is of, where that counts. */
  const address = (view: DataView, offset: number): string => {
    const text = getAddress(view, offset);
    const scope = view.getUint32(SOCK_SCOPE, true);
    return scope !== 0 && text.startsWith("fe8") ? `${text}%${scope}` : text;
  };
  const checkPort = (port: number, call: string): void => {
    if (!(Number.isInteger(port) && port >= 0 && port <= 65535)) throw new SocketError("EINVAL", call);
  };

  const settleQueue = (queue: Waiting[]): void => {
    while (queue.length > 0 && queue[0]!.attempt()) queue.shift();
  };

  const adopt = (id: number): Handle => {
    const handle: Handle = { id, reading: [], writing: [], closed: false, abort: false };
    open.add(handle);
    context.onSocketEvent(id, () => {
      settleQueue(handle.reading);
      if (!handle.closed) settleQueue(handle.writing);
    });
    return handle;
  };

  /** `address` tells the family: one of IPv6 makes an AF_INET6 socket. */
  const openSocket = (kind: number, address = ANY): Handle => {
    put(netns, kind | (address.includes(":") ? SOCK_INET6 : 0));
    return adopt(request(SOCK_OPEN, SOCK_BYTES, "socket")! >>> 0);
  };

  const close = (handle: Handle, abort = handle.abort): void => {
    if (handle.closed) return;
    handle.closed = true;
    open.delete(handle);
    context.offSocketEvent(handle.id);
    put(handle.id, abort ? 1 : 0);
    try {
      request(SOCK_CLOSE, SOCK_BYTES, "close");
    } catch (error) {
      // The namespace went away with the socket.
      if (!(error instanceof SocketError)) throw error;
    }
    context.kick();
    for (const waiting of [...handle.reading.splice(0), ...handle.writing.splice(0)]) {
      waiting.reject(new SocketError("EBADF", "close"));
    }
  };

  /** Waits in `queue` behind earlier calls of the same kind until `attempt` gives a result. */
  const waitFor = <T>(
    handle: Handle, queue: Waiting[], call: string, attempt: Attempt<T>, signal?: AbortSignal,
  ): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason);
      if (handle.closed) return reject(new SocketError("EBADF", call));
      const done = (): void => signal?.removeEventListener("abort", onAbort);
      const waiting: Waiting = {
        attempt() {
          try {
            const result = attempt();
            if (result === undefined) return false;
            done();
            resolve(result);
          } catch (error) {
            done();
            reject(error);
          }
          return true;
        },
        reject(error) {
          done();
          reject(error);
        },
      };
      const onAbort = (): void => {
        const at = queue.indexOf(waiting);
        if (at < 0) return;
        queue.splice(at, 1);
        reject(signal?.reason);
        // Whoever waits behind must ask for news itself.
        if (at === 0 && !handle.closed) settleQueue(queue);
      };
      if (queue.length === 0 && waiting.attempt()) return;
      queue.push(waiting);
      signal?.addEventListener("abort", onAbort, { once: true });
    });

  const bind = (handle: Handle, address: string, port: number): void => {
    checkPort(port, "bind");
    put(handle.id, 0, port);
    putIp(SOCK_ADDRESS, address, "bind");
    request(SOCK_BIND, SOCK_BYTES, "bind");
  };

  const setOption = (handle: Handle, option: number, value: number): void => {
    put(handle.id, option, 0, value);
    request(SOCK_OPTION, SOCK_BYTES, "setsockopt");
  };

  /** getsockname and getpeername in one. */
  const names = (handle: Handle): { local: SocketAddress; remote: SocketAddress } => {
    put(handle.id);
    request(SOCK_NAME, SOCK_BYTES, "getsockname");
    const view = instance.view;
    return {
      local: { address: address(view, SOCK_SOURCE), port: view.getUint32(SOCK_PORT, true) },
      remote: { address: address(view, SOCK_ADDRESS), port: view.getUint32(SOCK_LENGTH, true) },
    };
  };

  /** Runs `build`; closes the socket when it throws. */
  const building = <T>(handle: Handle, build: () => T): T => {
    try {
      return build();
    } catch (error) {
      close(handle);
      throw error;
    }
  };

  /** One datagram, or undefined when none is there. */
  const receiveDatagram = (handle: Handle, call: string): Datagram | undefined => {
    put(handle.id, 0, 0, WRITE_BYTES);
    const bytes = request(SOCK_RECEIVE, SOCK_BYTES, call);
    if (bytes === undefined) return undefined;
    const view = instance.view;
    return {
      from: { address: address(view, SOCK_ADDRESS), port: view.getUint32(SOCK_PORT, true) },
      to: address(view, SOCK_SOURCE),
      data: instance.copy(SOCK_BYTES, bytes - SOCK_BYTES),
    };
  };

  const sendDatagram = (
    handle: Handle, data: Uint8Array, port: number, address: string, source: string, ttl: number, call: string,
  ): void => {
    if (handle.closed) throw new SocketError("EBADF", call);
    if (data.length > 65535) throw new SocketError("EMSGSIZE", call);
    put(handle.id, ttl, port, data.length);
    putIp(SOCK_ADDRESS, address, call);
    putIp(SOCK_SOURCE, source, call);
    instance.u8.set(data, SOCK_BYTES);
    request(SOCK_SEND, SOCK_BYTES + data.length, call);
    context.kick();
  };

  const connectRequest = (handle: Handle, remote: SocketAddress): boolean => {
    checkPort(remote.port, "connect");
    put(handle.id, 0, remote.port);
    putIp(SOCK_ADDRESS, remote.address, "connect");
    return request(SOCK_CONNECT, SOCK_BYTES, "connect") !== undefined;
  };

  const streamOf = (handle: Handle): TcpStream => {
    const { local, remote } = names(handle);
    return {
      local,
      remote,
      async read(signal) {
        const bytes = await waitFor(handle, handle.reading, "read", () => {
          put(handle.id, 0, 0, READ_BYTES);
          const length = request(SOCK_READ, SOCK_BYTES, "read");
          if (length === undefined) return undefined;
          const copy = instance.copy(0, length);
          context.kick(); // the window may have opened
          return copy;
        }, signal);
        return bytes.length === 0 ? undefined : bytes;
      },
      write(data) {
        let done = 0;
        return waitFor(handle, handle.writing, "write", () => {
          while (done < data.length) {
            const length = Math.min(data.length - done, WRITE_BYTES);
            put(handle.id, 0, 0, length);
            instance.u8.set(data.subarray(done, done + length), SOCK_BYTES);
            const taken = request(SOCK_WRITE, SOCK_BYTES + length, "write");
            if (taken === undefined) return undefined;
            done += taken;
            context.kick();
          }
          return true;
        }).then(() => undefined);
      },
      shutdown() {
        if (handle.closed) throw new SocketError("EBADF", "shutdown");
        const now = (): true => {
          put(handle.id);
          request(SOCK_SHUTDOWN, SOCK_BYTES, "shutdown");
          context.kick();
          return true;
        };
        // Behind the writes that still wait for room.
        if (handle.writing.length === 0) now();
        else waitFor(handle, handle.writing, "shutdown", now).catch(() => undefined);
      },
      close() {
        close(handle);
      },
    };
  };

  const listenerOf = (handle: Handle): TcpListener => ({
    local: names(handle).local,
    accept: (signal) =>
      waitFor(handle, handle.reading, "accept", () => {
        put(handle.id);
        const id = request(SOCK_ACCEPT, SOCK_BYTES, "accept");
        if (id === undefined) return undefined;
        const accepted = adopt(id >>> 0);
        return building(accepted, () => streamOf(accepted));
      }, signal),
    close() {
      close(handle);
    },
  });

  return {
    udp({ local, remote } = {}): UdpSocket {
      const family = local?.address ?? remote?.address ?? ANY;
      const handle = openSocket(SOCK_UDP, family);
      return building(handle, () => {
        bind(handle, local?.address ?? (family.includes(":") ? ANY6 : ANY), local?.port ?? 0);
        if (remote !== undefined) connectRequest(handle, remote);
        const name = names(handle).local;
        return known(handle, {
          local: name,
          send(data, to, source = ANY) {
            if (to !== undefined) {
              checkPort(to.port, "send");
              if (to.port === 0) throw new SocketError("EINVAL", "send");
            }
            sendDatagram(handle, data, to?.port ?? 0, to?.address ?? ANY, source, 0, "send");
          },
          receive: (signal) =>
            waitFor(handle, handle.reading, "receive", () => receiveDatagram(handle, "receive"), signal),
          close() {
            close(handle);
          },
        });
      });
    },

    listen(local, { backlog = SOMAXCONN, noDelay = true, v6only = false } = {}) {
      const handle = openSocket(SOCK_TCP, local.address);
      return building(handle, () => {
        if (v6only) setOption(handle, SOCKOPT_V6ONLY, 1);
        // As servers do: a port whose last connections are in time-wait may be listened on again.
        setOption(handle, SOCKOPT_REUSEADDR, 1);
        setOption(handle, SOCKOPT_NODELAY, noDelay ? 1 : 0);
        bind(handle, local.address ?? ANY, local.port);
        put(handle.id, Math.max(0, Math.min(backlog, SOMAXCONN)));
        request(SOCK_LISTEN, SOCK_BYTES, "listen");
        return known(handle, listenerOf(handle));
      });
    },

    async connect(remote, { local, signal, noDelay = true } = {}) {
      signal?.throwIfAborted();
      const handle = openSocket(SOCK_TCP, remote.address);
      try {
        if (local !== undefined) bind(handle, local.address ?? (remote.address.includes(":") ? ANY6 : ANY), local.port ?? 0);
        setOption(handle, SOCKOPT_NODELAY, noDelay ? 1 : 0);
        if (!connectRequest(handle, remote)) {
          context.kick();
          await waitFor(handle, handle.writing, "connect", () => {
            put(handle.id);
            return request(SOCK_FINISH, SOCK_BYTES, "connect") === undefined ? undefined : true;
          }, signal);
        }
        return known(handle, streamOf(handle));
      } catch (error) {
        close(handle, true);
        throw error;
      }
    },

    async ping(address, { timeoutMs = 1000, bytes = 56, ttl = 0 } = {}) {
      const handle = openSocket(SOCK_PING, address);
      const started = clock.nowNs();
      const timeout = new AbortController();
      const cancel = clock.after(timeoutMs, () => timeout.abort(new SocketError("ETIMEDOUT", "ping")));
      try {
        const payload = new Uint8Array(bytes).map((_, index) => index & 0xff);
        sendDatagram(handle, payload, 1, address, ANY, ttl, "ping");
        await waitFor(handle, handle.reading, "ping", () => receiveDatagram(handle, "ping"), timeout.signal);
        return clock.nowNs() - started;
      } finally {
        cancel();
        close(handle);
      }
    },

    closeAll(abort = false) {
      for (const handle of [...open]) close(handle, abort);
    },

    raw() {
      const handle = openSocket(SOCK_RAW);
      return {
        send(packet) {
          sendDatagram(handle, packet, 0, ANY, ANY, 0, "send");
        },
        receive() {
          const packets: Uint8Array<ArrayBuffer>[] = [];
          while (!handle.closed) {
            const datagram = receiveDatagram(handle, "receive");
            if (datagram === undefined) break;
            packets.push(datagram.data as Uint8Array<ArrayBuffer>);
          }
          return packets;
        },
        close() {
          close(handle);
        },
      };
    },

    stats() {
      put(netns);
      request(SOCK_STATS, SOCK_BYTES, "stats");
      const view = instance.view;
      return {
        sockets: view.getUint32(0, true),
        connections: view.getUint32(4, true),
        timeWaits: view.getUint32(8, true),
        skbs: view.getUint32(12, true),
      };
    },
  };
}

/** A raw socket of a namespace: what the replay of recorded packets sends and sees by. */
export const rawSocket = (context: NodeContext, netns: number): RawSocket => createSockets(context, netns).raw();
