/** A host and a peer made of hand-written segments: what packetdrill does. Numbers of the host are relative to its ISN. */
import { createHosts, type Host, type Hosts, type HostsOptions } from "./hosts.ts";
import { isTcp, option, optionsText, readTcp, tcpFrame } from "./segments.ts";

export const PEER_ISN = 5000;

/** The options of a usual SYN. */
export const synOptions = [...option.mss(1460), ...option.sackOk, ...option.timestamp(100, 0), ...option.nop, ...option.wscale(7)];

export interface Line {
  readonly flags: string;
  /** Relative to the peer's ISN (SYN is 0). */
  readonly seq?: number;
  /** Relative to the host's ISN. */
  readonly ack?: number;
  readonly win?: number;
  readonly options?: readonly number[];
  readonly data?: number;
  readonly spoil?: number;
}

export interface Script {
  readonly net: Hosts;
  readonly host: Host;
  sport: number;
  dport: number;
  /** The host's ISN, once it sent a SYN. */
  isn: number;
  /** The host's timestamp clock: what it sent last. */
  tsval: number;
  inject(line: Line): void;
  /** `inject`, then everything that follows at once; what the host sent, as text. */
  send(line: Line): Promise<string[]>;
  /** What the host sent since the last look. */
  take(): string[];
  /** Lets time pass; what was sent, with its time relative to the begin of this wait. */
  wait(ms: number): Promise<string[]>;
  now(): number;
}

export async function script(options: HostsOptions = {}): Promise<Script> {
  const net = await createHosts({ count: 1, ...options });
  const host = net.hosts[0]!;
  const self: Script = {
    net, host, sport: 1000, dport: 80, isn: 0, tsval: 0,
    inject({ flags, seq = 0, ack, win = 64240, options: opts, data = 0, spoil = 0 }) {
      host.inject(tcpFrame({
        flags, win, spoil, seq: (PEER_ISN + seq) >>> 0, ack: ack === undefined ? 0 : (self.isn + ack) >>> 0,
        sport: self.sport, dport: self.dport, options: opts ?? [],
        data: new Uint8Array(data).map((_, index) => (seq + index) & 0xff),
      }));
    },
    async send(line) {
      self.inject(line);
      await net.settle();
      return self.take();
    },
    take() {
      return net.takeSent().filter(({ frame }) => isTcp(frame)).map(({ frame }) => text(frame));
    },
    async wait(ms) {
      const from = net.clock.nowMs();
      await net.advance(ms);
      return net.takeSent().filter(({ frame }) => isTcp(frame))
        .map(({ frame, atMs }) => `${Math.round(atMs - from)} ${text(frame)}`);
    },
    now: () => net.clock.nowMs(),
  };
  const text = (frame: Uint8Array): string => {
    const { flags, seq, ack, win, options: opts, data, valid, id, df, ttl, sport } = readTcp(frame);
    if (!valid) return "bad checksum";
    if (flags.includes("S")) self.isn = seq;
    if (!flags.includes("R") && opts.length >= 12) {
      const at = flags.includes("S") ? 8 : 4;
      const view = new DataView(opts.buffer, opts.byteOffset, opts.byteLength);
      self.tsval = view.getUint32(at);
    }
    self.dport = sport;
    const bare = flags.includes("R") && !flags.includes("A");
    const from = (seq - self.isn) >>> 0;
    const words = [flags, data.length > 0 ? `${from}:${(from + data.length) >>> 0}` : `${from}`];
    if (flags.includes("A")) words.push(`ack ${(ack - PEER_ISN) >>> 0}`);
    if (!flags.includes("R")) words.push(`win ${win}`);
    if (opts.length > 0) words.push(`<${optionsText(opts, PEER_ISN)}>`);
    if (!df || ttl !== 64 || (bare && ack !== 0)) words.push("?");
    if (id === 0) words.push("id 0");
    return words.join(" ");
  };
  return self;
}

/** A connection from the peer, established: the listener's stream. */
export async function accepted(s: Script, options: { synOptions?: readonly number[]; win?: number; noDelay?: boolean } = {}) {
  const { synOptions: opts = synOptions, win = 64240, noDelay = true } = options;
  const listener = s.host.sockets.listen({ port: 80 }, { noDelay });
  const synAck = await s.send({ flags: "S", options: opts, win });
  const stamp = opts.includes(8) ? [...option.nop, ...option.nop, ...option.timestamp(101, s.tsval)] : [];
  await s.send({ flags: "A", seq: 1, ack: 1, options: stamp, win: opts.length > 10 ? win >> 7 : win });
  const stream = await listener.accept();
  return { listener, stream, synAck };
}
