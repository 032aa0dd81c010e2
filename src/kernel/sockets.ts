/**
 * Sockets of one network namespace, as programs see them: promises over the kernel's UDP and TCP (assembly/sock).
 * Addresses are text in the usual form (`10.244.1.7`); ports are numbers. Errors are `SocketError` with the errno's name.
 */

/** A failed socket call. `code` is the errno's name: ECONNREFUSED, ECONNRESET, ETIMEDOUT, EADDRINUSE, ENETUNREACH … */
export class SocketError extends Error {
  readonly code: string;
  constructor(code: string, call: string) {
    super(`${call} ${code}`);
    this.name = "SocketError";
    this.code = code;
  }
}

export interface SocketAddress {
  readonly address: string;
  readonly port: number;
}

export interface Datagram {
  readonly data: Uint8Array;
  readonly from: SocketAddress;
  /** Our address that the sender used, as IP_PKTINFO tells: answers of a socket bound to any address come from there. */
  readonly to?: string;
}

export interface UdpSocket {
  readonly local: SocketAddress;
  /**
   * Sends one datagram. To the peer of `connect` when `to` is left out. An ICMP error about an earlier one is thrown here, as
   * Linux does on connected sockets. `source`: which of our addresses it comes from; by route when left out.
   */
  send(data: Uint8Array, to?: SocketAddress, source?: string): void;
  /** The next datagram; rejects with the socket's pending error, with EBADF once closed, or with `signal.reason`. */
  receive(signal?: AbortSignal): Promise<Datagram>;
  close(): void;
}

export interface TcpStream {
  readonly local: SocketAddress;
  readonly remote: SocketAddress;
  /** Some bytes, as they came; undefined at the end of the peer's stream. Rejects with ECONNRESET, ETIMEDOUT … */
  read(signal?: AbortSignal): Promise<Uint8Array | undefined>;
  /** Resolves when all bytes are in the send buffer. */
  write(data: Uint8Array): Promise<void>;
  /** Sends FIN after what was written; reading goes on. */
  shutdown(): void;
  /** Closes both directions (RST if unread data is left, as Linux does). */
  close(): void;
}

export interface TcpListener {
  readonly local: SocketAddress;
  accept(signal?: AbortSignal): Promise<TcpStream>;
  close(): void;
}

/** The socket calls of one network namespace. */
export interface Sockets {
  /** A UDP socket bound to `local` (default any address, an ephemeral port), connected when `remote` is given. */
  udp(options?: { readonly local?: Partial<SocketAddress>; readonly remote?: SocketAddress }): UdpSocket;
  /**
   * `noDelay` (TCP_NODELAY, on unless false): small writes are sent at once; accepted streams have it from their listener. An address of
   * IPv6 makes an AF_INET6 socket; one on "::" takes IPv4 too, whose peers it sees by their own addresses, unless `v6only`.
   */
  listen(local: Partial<SocketAddress> & { readonly port: number }, options?: { readonly backlog?: number; readonly noDelay?: boolean;
    readonly v6only?: boolean }): TcpListener;
  connect(remote: SocketAddress, options?: { readonly local?: Partial<SocketAddress>; readonly signal?: AbortSignal;
    readonly noDelay?: boolean }): Promise<TcpStream>;
  /** One ICMP echo; resolves with the round trip in nanoseconds of virtual time, rejects with ETIMEDOUT or the ICMP error's errno. */
  ping(address: string, options?: { readonly timeoutMs?: number; readonly bytes?: number; readonly ttl?: number }): Promise<number>;
}
