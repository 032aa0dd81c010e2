/**
 * QEMU's framing of Ethernet over sockets (net/stream.c, net/socket.c): on a stream each frame has its length before it, four bytes,
 * big-endian; a datagram is one frame. Pure: sockets are the adapters' business (runtimes/netdev.ts).
 */

/** The longest frame that QEMU takes (NET_BUFSIZE): 64 KiB of payload and its headers. */
export const NETDEV_FRAME_MAX = 4096 + 65536;
/** Destination, source and type. */
export const ETHERNET_HEADER = 14;
const LENGTH_BYTES = 4;

/** A stream that says what cannot be: it has to be closed, since nobody knows where its next frame begins. */
export class NetdevFrameError extends Error {
  constructor(length: number) {
    super(`a frame of ${length} bytes: at most ${NETDEV_FRAME_MAX}`);
    this.name = "NetdevFrameError";
  }
}

/** The bytes of a frame on a stream. Throws NetdevFrameError for one that is too long. */
export function toStream(frame: Uint8Array): Uint8Array<ArrayBuffer> {
  if (frame.length > NETDEV_FRAME_MAX) throw new NetdevFrameError(frame.length);
  const bytes = new Uint8Array(LENGTH_BYTES + frame.length);
  new DataView(bytes.buffer).setUint32(0, frame.length);
  bytes.set(frame, LENGTH_BYTES);
  return bytes;
}

/** Takes a stream apart, in whatever pieces it comes. A frame that the stream's end cuts short never comes out. */
export class StreamFrames {
  readonly #onFrame: (frame: Uint8Array<ArrayBuffer>) => void;
  readonly #head = new Uint8Array(LENGTH_BYTES);
  #headBytes = 0;
  #frame: Uint8Array<ArrayBuffer> | undefined;
  #have = 0;

  constructor(onFrame: (frame: Uint8Array<ArrayBuffer>) => void) {
    this.#onFrame = onFrame;
  }

  /** The next bytes. Throws NetdevFrameError for a length beyond NETDEV_FRAME_MAX, before anything is kept for it. */
  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length;) {
      if (this.#frame === undefined) {
        while (this.#headBytes < LENGTH_BYTES && at < chunk.length) this.#head[this.#headBytes++] = chunk[at++]!;
        if (this.#headBytes < LENGTH_BYTES) return;
        const length = new DataView(this.#head.buffer).getUint32(0);
        this.#headBytes = 0;
        if (length > NETDEV_FRAME_MAX) throw new NetdevFrameError(length);
        if (length === 0) {
          this.#onFrame(new Uint8Array(0));
          continue;
        }
        this.#frame = new Uint8Array(length);
        this.#have = 0;
      }
      const part = chunk.subarray(at, at + this.#frame.length - this.#have);
      this.#frame.set(part, this.#have);
      this.#have += part.length;
      at += part.length;
      if (this.#have < this.#frame.length) return;
      const whole = this.#frame;
      this.#frame = undefined;
      this.#onFrame(whole);
    }
  }
}

/** Where a netdev's other end is. */
export type NetdevAddress =
  | { readonly transport: "tcp" | "tcp-listen"; readonly host: string; readonly port: number }
  | { readonly transport: "unix" | "unix-listen"; readonly path: string }
  | { readonly transport: "udp"; readonly host: string; readonly port: number; readonly local: { readonly host: string; readonly port: number } };

/**
 * `tcp:HOST:PORT`, `tcp-listen:HOST:PORT`, `unix:PATH`, `unix-listen:PATH` (QEMU's `stream`), `udp:HOST:PORT,LOCALHOST:LOCALPORT` (its
 * `dgram`). Hosts are IPv4 addresses, names, or IPv6 addresses in brackets. Throws Error.
 */
export function parseNetdevAddress(text: string): NetdevAddress {
  const colon = text.indexOf(":");
  const [transport, rest] = colon < 0 ? [text, ""] : [text.slice(0, colon), text.slice(colon + 1)];
  const wrong = (): never => {
    throw new Error(`netdev "${text}": tcp:HOST:PORT, tcp-listen:HOST:PORT, unix:PATH, unix-listen:PATH or udp:HOST:PORT,LOCALHOST:LOCALPORT`);
  };
  const end = (part: string | undefined): { host: string; port: number } => {
    const found = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\],]+)):(\d{1,5})$/.exec(part ?? "") ?? wrong();
    const port = Number(found[3]);
    return port > 65535 ? wrong() : { host: (found[1] ?? found[2])!, port };
  };
  switch (transport) {
    case "tcp":
    case "tcp-listen":
      return { transport, ...end(rest) };
    case "unix":
    case "unix-listen":
      return rest === "" ? wrong() : { transport, path: rest };
    case "udp": {
      const parts = rest.split(",");
      return parts.length === 2 ? { transport, ...end(parts[0]), local: end(parts[1]) } : wrong();
    }
    default:
      return wrong();
  }
}
