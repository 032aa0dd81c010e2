/**
 * Ethernet to and from other programs over sockets, framed as QEMU's `-netdev stream` and `-netdev dgram` do, with Node's modules, which
 * Deno has as well. Datagrams over unix sockets are left out: neither runtime has them without native code.
 */
import { createSocket } from "node:dgram";
import { unlink } from "node:fs/promises";
import { connect, createServer, isIPv6, type Server, type Socket } from "node:net";
import { ETHERNET_HEADER, NETDEV_FRAME_MAX, StreamFrames, parseNetdevAddress, toStream, type NetdevAddress } from "../src/underlay/netdev.ts";

export type { NetdevAddress } from "../src/underlay/netdev.ts";

export interface NetdevStats {
  /** Frames to and from the other end. */
  sent: number;
  received: number;
  /** To nobody, because the other end is away or does not read. */
  lost: number;
  /** Too short or too long to be a frame; a stream that said so was closed. */
  refused: number;
}

export interface Netdev {
  /** Where it is bound or connected: a listener's port is known once the promise of openNetdev has resolved. */
  readonly address: NetdevAddress;
  readonly connected: boolean;
  readonly stats: Readonly<NetdevStats>;
  /** An Ethernet frame without its check sequence. */
  send(frame: Uint8Array): void;
  /** Resolves when the sockets are closed; a unix listener's path is gone. */
  close(): Promise<void>;
}

export interface NetdevOptions {
  /** A stream that connects tries again after so many ms, for ever; default 1000. 0: not at all. */
  readonly reconnectMs?: number;
  /** The other end came or went; `reason` says why it went where that is not its own doing. */
  readonly onState?: (connected: boolean, reason?: Error) => void;
}

const RECONNECT_MS = 1000;
/** Bytes that wait for an end that does not read, before frames to it are lost. */
const UNREAD_MAX = 4 * 1024 * 1024;

/**
 * Opens one end of the wire and hands over each frame that comes. Resolves when a listener or datagram socket is bound; a connecting
 * stream resolves at once and connects in its own time, unless `reconnectMs` is 0: then it rejects when it cannot.
 */
export async function openNetdev(
  where: string | NetdevAddress, onFrame: (frame: Uint8Array<ArrayBuffer>) => void, options: NetdevOptions = {},
): Promise<Netdev> {
  const address = typeof where === "string" ? parseNetdevAddress(where) : where;
  const stats: NetdevStats = { sent: 0, received: 0, lost: 0, refused: 0 };
  const receive = (frame: Uint8Array<ArrayBuffer>): void => {
    if (frame.length < ETHERNET_HEADER) {
      stats.refused++;
      return;
    }
    stats.received++;
    onFrame(frame);
  };
  if (address.transport === "udp") return openDatagrams(address, stats, receive);
  return openStream(address, stats, receive, options);
}

async function openDatagrams(
  address: Extract<NetdevAddress, { transport: "udp" }>, stats: NetdevStats, receive: (frame: Uint8Array<ArrayBuffer>) => void,
): Promise<Netdev> {
  const { host, port, local } = address;
  const socket = createSocket(isIPv6(local.host) ? "udp6" : "udp4");
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(local.port, local.host, () => {
      socket.off("error", reject);
      resolve();
    });
  });
  // An ICMP error about what was sent: the other end is not there yet.
  socket.on("error", () => {});
  socket.on("message", (message) => {
    if (message.length > NETDEV_FRAME_MAX) stats.refused++;
    else receive(Uint8Array.from(message));
  });
  let open = true;
  return {
    address: { ...address, local: { host: local.host, port: socket.address().port } },
    get connected() {
      return open;
    },
    stats,
    send(frame) {
      if (!open) stats.lost++;
      else {
        stats.sent++;
        socket.send(frame, port, host, (error) => {
          if (error === null) return;
          stats.sent--;
          stats.lost++;
        });
      }
    },
    close: () =>
      new Promise((resolve) => {
        if (!open) return resolve();
        open = false;
        socket.close(() => resolve());
      }),
  };
}

async function openStream(
  address: Exclude<NetdevAddress, { transport: "udp" }>, stats: NetdevStats, receive: (frame: Uint8Array<ArrayBuffer>) => void,
  { reconnectMs = RECONNECT_MS, onState }: NetdevOptions,
): Promise<Netdev> {
  let current: Socket | undefined;
  let closed = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let server: Server | undefined;

  /** The wire has two ends: this socket is the other one until it goes. */
  const take = (socket: Socket): void => {
    current = socket;
    if (address.transport.startsWith("tcp")) socket.setNoDelay(true);
    let reason: Error | undefined;
    const frames = new StreamFrames(receive);
    socket.on("data", (chunk: Buffer) => {
      try {
        frames.push(chunk);
      } catch (error) {
        stats.refused++;
        reason = error as Error;
        socket.destroy();
      }
    });
    socket.on("error", (error) => {
      reason ??= error;
    });
    socket.once("close", () => {
      if (current !== socket) return;
      current = undefined;
      onState?.(false, reason);
      if (server === undefined) again();
    });
    onState?.(true);
  };
  const again = (): void => {
    if (closed || reconnectMs === 0) return;
    timer = setTimeout(() => {
      dial().catch(again);
    }, reconnectMs);
  };
  const target = "path" in address ? { path: address.path } : { host: address.host, port: address.port };
  const dial = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = connect(target);
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.off("error", reject);
        if (closed) socket.destroy();
        else take(socket);
        resolve();
      });
    });

  let bound: NetdevAddress = address;
  if (address.transport === "tcp" || address.transport === "unix") {
    if (reconnectMs === 0) await dial();
    else dial().catch(again);
  } else {
    const listener = createServer((socket) => {
      // One other end at a time, as QEMU has it: whoever comes later is turned away.
      if (current !== undefined || closed) socket.destroy();
      else take(socket);
    });
    server = listener;
    await new Promise<void>((resolve, reject) => {
      listener.once("error", reject);
      listener.listen(target, () => {
        listener.off("error", reject);
        resolve();
      });
    });
    const at = listener.address();
    if (address.transport === "tcp-listen" && at !== null && typeof at === "object") bound = { ...address, port: at.port };
  }
  return {
    address: bound,
    get connected() {
      return current !== undefined;
    },
    stats,
    send(frame) {
      if (frame.length > NETDEV_FRAME_MAX) stats.refused++;
      else if (current === undefined || current.writableLength > UNREAD_MAX) stats.lost++;
      else {
        stats.sent++;
        current.write(toStream(frame));
      }
    },
    async close() {
      if (closed) return;
      closed = true;
      clearTimeout(timer);
      const socket = current;
      current = undefined;
      if (socket !== undefined && !socket.destroyed) {
        const gone = new Promise((resolve) => socket.once("close", resolve));
        socket.destroy();
        await gone;
      }
      if (server !== undefined) await new Promise((resolve) => server?.close(resolve));
      if (address.transport === "unix-listen") await unlink(address.path).catch(() => {});
    },
  };
}
