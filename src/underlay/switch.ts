/**
 * The underlay: one learning Ethernet switch that the NICs of all nodes are plugged into. Each link has latency, bandwidth and
 * loss of its own. It stands between the sites (`Between` of src/time/loop.ts): frames come in as messages, and go out as
 * messages to the receiving nodes' port "frame".
 */
import type { Random } from "../time/clock.ts";
import { BETWEEN, inOrder, type Between } from "../time/loop.ts";
import type { SiteMessage } from "../time/site.ts";

export interface LinkOptions {
  /** One way, in ns. At least 1,000. */
  readonly latencyNs: number;
  /** Bits per second; Infinity: no serialisation delay. */
  readonly bandwidthBps: number;
  /** Share of frames lost, in each direction, from 0 to 1. */
  readonly loss: number;
  /** Bytes that may wait for the wire in one direction before frames are dropped. */
  readonly queueBytes: number;
}

export const defaultLink: LinkOptions = { latencyNs: 50_000, bandwidthBps: 10e9, loss: 0, queueBytes: 1_000_000 };

/** A frame on its way, as sites send it (port "frame") and receive it. */
export interface UnderlayFrame {
  readonly bytes: Uint8Array;
}

export interface LinkStats {
  /** Frames taken from the node, delivered to it, lost on the wire, dropped because the queue was full; `mtu` is the NICs'. */
  fromNode: number;
  toNode: number;
  lost: number;
  dropped: number;
}

interface Direction {
  busyUntilNs: number;
  readonly random: Random;
}

interface Port {
  readonly site: number;
  readonly link: LinkOptions;
  readonly up: Direction;
  readonly down: Direction;
  readonly stats: LinkStats;
}

/** A frame that reaches the switch at `timeNs`. */
interface Arrival {
  readonly timeNs: number;
  readonly from: number;
  readonly sequence: number;
  readonly bytes: Uint8Array;
}

const macKey = (bytes: Uint8Array, at: number): number => {
  let key = 0;
  for (let i = 0; i < 6; i++) key = key * 256 + (bytes[at + i] as number);
  return key;
};

/** Bytes that a frame takes on the wire beyond its own: preamble, frame check sequence, gap (IEEE 802.3). */
const WIRE_OVERHEAD = 24;

export class UnderlaySwitch implements Between {
  readonly #random: Random;
  readonly #ports = new Map<number, Port>();
  readonly #fdb = new Map<number, number>();
  #sent: SiteMessage[] = [];
  #arrivals: Arrival[] = [];
  #sequence = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Plugs a node's NIC in. */
  plug(site: number, link: LinkOptions): void {
    if (!(link.latencyNs >= 1000)) throw new RangeError(`link latency of ${link.latencyNs} ns: at least 1000 ns`);
    if (!(link.loss >= 0 && link.loss <= 1)) throw new RangeError(`link loss of ${link.loss}: a share from 0 to 1`);
    this.#ports.set(site, {
      site,
      link,
      up: { busyUntilNs: 0, random: this.#random.fork(`up ${site}`) },
      down: { busyUntilNs: 0, random: this.#random.fork(`down ${site}`) },
      stats: { fromNode: 0, toNode: 0, lost: 0, dropped: 0 },
    });
  }

  unplug(site: number): void {
    this.#ports.delete(site);
    for (const [mac, port] of this.#fdb) if (port === site) this.#fdb.delete(mac);
  }

  stats(site: number): Readonly<LinkStats> | undefined {
    return this.#ports.get(site)?.stats;
  }

  /** The shortest way between two NICs that there may be, in ns: what a window may not exceed. */
  get pathNs(): number {
    return 2 * this.#latencyNs();
  }

  #latencyNs(): number {
    let least = Infinity;
    for (const { link } of this.#ports.values()) least = Math.min(least, link.latencyNs);
    return least === Infinity ? defaultLink.latencyNs : least;
  }

  accept(message: SiteMessage): void {
    this.#sent.push(message);
  }

  nextNs(): number {
    let next = Infinity;
    for (const { timeNs } of this.#sent) next = Math.min(next, timeNs);
    // A frame at the switch has the way down before it, at least as long as the shortest way up: had it been sent at this
    // moment, the window would have covered it.
    const latencyNs = this.#latencyNs();
    for (const { timeNs } of this.#arrivals) next = Math.min(next, timeNs - latencyNs);
    return next;
  }

  flush(endNs: number): SiteMessage[] {
    if (this.#sent.length === 0 && this.#arrivals.length === 0) return [];
    const out: SiteMessage[] = [];
    // First the links up to the switch, in order of sending …
    const due = this.#sent.filter((message) => message.timeNs < endNs).sort(inOrder);
    this.#sent = this.#sent.filter((message) => message.timeNs >= endNs);
    for (const message of due) {
      const port = this.#ports.get(message.from);
      if (port === undefined) continue;
      port.stats.fromNode++;
      const { bytes } = message.data as UnderlayFrame;
      const timeNs = this.#travel(port, port.up, bytes.length, message.timeNs);
      if (timeNs !== undefined) this.#arrivals.push({ timeNs, from: message.from, sequence: message.sequence, bytes });
    }
    // … then the switch and the links down, in order of arrival. What arrives there later than anything that is sent after
    // this window could, waits: the order is not known yet.
    const knownNs = endNs + this.#latencyNs();
    const ready = this.#arrivals.filter((arrival) => arrival.timeNs < knownNs);
    this.#arrivals = this.#arrivals.filter((arrival) => arrival.timeNs >= knownNs);
    ready.sort((a, b) => a.timeNs - b.timeNs || a.from - b.from || a.sequence - b.sequence);
    for (const arrival of ready) this.#forward(arrival, out);
    return out;
  }

  #forward({ timeNs, from, bytes }: Arrival, out: SiteMessage[]): void {
    if (bytes.length < 14) return;
    const source = macKey(bytes, 6);
    if (((bytes[6] as number) & 1) === 0) this.#fdb.set(source, from);
    const known = ((bytes[0] as number) & 1) === 0 ? this.#fdb.get(macKey(bytes, 0)) : undefined;
    for (const port of this.#ports.values()) {
      if (port.site === from || (known !== undefined && port.site !== known)) continue;
      const at = this.#travel(port, port.down, bytes.length, timeNs);
      if (at === undefined) continue;
      port.stats.toNode++;
      const data: UnderlayFrame = { bytes };
      out.push({ to: port.site, from: BETWEEN, timeNs: at, sequence: this.#sequence++, port: "frame", data });
    }
  }

  /** Sends over one direction of a link; when it arrives, or undefined when it does not. */
  #travel(port: Port, direction: Direction, length: number, timeNs: number): number | undefined {
    const { link, stats } = port;
    const nsPerByte = 8e9 / link.bandwidthBps;
    const startNs = Math.max(timeNs, direction.busyUntilNs);
    if (startNs - timeNs > link.queueBytes * nsPerByte) {
      stats.dropped++;
      return undefined;
    }
    direction.busyUntilNs = startNs + Math.ceil((length + WIRE_OVERHEAD) * nsPerByte);
    // Chance is drawn for each frame of a lossy link, lost or not, so that it depends on the frames' order alone.
    if (link.loss > 0 && direction.random.float() < link.loss) {
      stats.lost++;
      return undefined;
    }
    return direction.busyUntilNs + link.latencyNs;
  }
}
