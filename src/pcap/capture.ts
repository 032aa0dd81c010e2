/** What a capture file holds, whichever its format. */

/** LINKTYPE_ETHERNET of the tcpdump.org registry. */
export const LINKTYPE_ETHERNET = 1;

/** One device that packets were seen on. */
export interface CaptureInterface {
  /** As `ip link` names it; in a cluster with the node before it: `node-1/eth0`. Absent in classic pcap files. */
  readonly name?: string;
  readonly description?: string;
  /** A LINKTYPE_ number; LINKTYPE_ETHERNET if left out. */
  readonly linkType?: number;
  /** Bytes kept of each packet; 0 or left out: all. */
  readonly snapLength?: number;
}

export interface CapturePacket {
  /** Index into the capture's interfaces. */
  readonly interface: number;
  /** Nanoseconds since the Unix epoch. */
  readonly timeNs: bigint;
  /** The bytes from the link-layer header on. */
  readonly data: Uint8Array;
  /** Length on the wire, where more was sent than kept. */
  readonly originalLength?: number;
  /** As the device saw it: `in` was received, `out` was sent. */
  readonly direction?: "in" | "out";
  readonly comment?: string;
}

export interface Capture {
  readonly interfaces: readonly CaptureInterface[];
  readonly packets: Iterable<CapturePacket>;
}

/** A file that is no capture, or a broken one. */
export class CaptureError extends Error {
  /** Where in the file, in bytes. */
  readonly offset: number;
  constructor(message: string, offset: number) {
    super(`${message} at byte ${offset}`);
    this.name = "CaptureError";
    this.offset = offset;
  }
}
