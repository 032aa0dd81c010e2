/**
 * Random packets into a world, in rounds: first openings of flows, then what the far ends would answer to the frames that the router
 * sent in the round before (so that translated flows go on), with retransmissions, errors, fragments and nonsense among them.
 */
import type { OraclePacket, OracleResult } from "../../../src/replay/oracle-case.ts";
import {
  ACK, FIN, ICMP, PSH, RST, SCTP, SYN, TCP, UDP, be16, be32, ethernet, fixHeader, fixL4, formatIp, formatMac, fragments, fromHex, icmpMessage,
  initBody, ipPacket, joined, put16, sctpChunk, sctpPacket, tcpSegment, toHex, udpDatagram, type Bytes, type TcpFields,
} from "./packets.ts";
import type { Dice } from "./random.ts";
import type { Host, World } from "./world.ts";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** The waits of fuzzed packets are short: what a packet causes has happened when the kernel's send() returns. */
const QUIET_MS = 1;

export interface Traffic {
  /** The next round's packets, given the results of all before. */
  round(count: number, so_far: readonly OraclePacket[], result: OracleResult | undefined): OraclePacket[];
}

interface Sent {
  readonly host: Host;
  readonly packet: Bytes;
}

export function createTraffic(d: Dice, world: World): Traffic {
  let id = 0x1000 + d.below(0x8000);
  let port = 10_000 + d.below(5000);
  const nextId = (): number => (id = (id % 0xfff0) + 1);
  const nextPort = (): number => port++;
  const sent: Sent[] = [];

  const ttl = (): number => (d.once(25) ? d.from(1, 3) : d.once(10) ? d.pick([62, 128, 255]) : 63);
  const tos = (): number => (d.once(5) ? d.pick([0x10, 0x08, 0x01, 0x02, 0x03, 0xb8, 0xff]) : 0);
  const data = (): Bytes => {
    const bytes = new Uint8Array(d.once(8) ? d.pick([500, 900, 1200, 1400, 1460]) : d.below(40));
    for (let i = 0; i < bytes.length; i++) bytes[i] = d.below(256);
    return bytes;
  };
  const options = (): number[] => {
    if (!d.once(40)) return [];
    return d.pick([
      // No timestamp option with room: the time of the day would be filled in.
      [7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0], [1, 1, 1, 0], [148, 4, 0, 0], [131, 7, 4, 10, 0, 2, 10, 0], [7, 3, 4, 0], [68, 40, 5, 0],
      [7, 7, 8, 1, 2, 3, 4, 0], [68, 8, 9, 0, 0, 0, 0, 0], [137, 7, 4, 10, 0, 2, 10, 0], [130, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
      [200, 6, 1, 2, 3, 4, 0, 0], [7, 0, 0, 0], [68, 8, 9, 0xf0, 0, 0, 0, 0], [68, 8, 5, 4, 0, 0, 0, 0],
    ]);
  };
  const flagsDf = (): number => (d.once(3) ? 0x4000 : 0);

  const make = (src: string, dst: string, protocol: number, payload: Bytes, more: { frag?: number; tos?: number } = {}): Bytes => {
    const packet = ipPacket({ src, dst, protocol, id: nextId(), ttl: ttl(), tos: tos(), options: options(), frag: flagsDf(), ...more }, payload);
    if ((be16(packet, 6) & 0x3fff) === 0) fixL4(packet);
    return packet;
  };

  /** The frame of a host's packet: to the router, or to a neighbour on the same bridge. */
  const frameOf = (host: Host, packet: Bytes): Bytes => {
    const dst = formatIp(packet, 16);
    const beside = host.link === "br0" ? world.hosts.find((other) => other.link === "br0" && other.ip === dst) : undefined;
    // No fragment to everybody: docs/differences.md, "A clone that shares its bytes".
    const to = beside?.mac ?? (d.once(60) && (be16(packet, 6) & 0x3fff) === 0 ? d.pick(["ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "02:00:00:00:77:77"]) : host.gateway);
    if (host.tunnel !== undefined) {
      const { from, to: vtep, vni, port: dport, mac } = host.tunnel;
      // From where it is not believed to live, and from nobody.
      const inner = ethernet(mac, d.once(30) ? d.pick(["02:00:00:00:05:03", "01:00:5e:00:00:05", "00:00:00:00:00:00"]) : "02:00:00:00:05:02", 0x0800, packet);
      const vxlan = new Uint8Array(8 + inner.length);
      vxlan[0] = d.once(60) ? d.below(256) : 8;
      vxlan[6] = d.once(60) ? d.below(256) : vni;
      vxlan.set(inner, 8);
      const outer = ipPacket({ src: d.once(30) ? "10.0.1.11" : from, dst: vtep, protocol: UDP, id: nextId(), ...(d.once(8) ? { tos: d.below(3) } : {}) }, udpDatagram(40000, dport, vxlan));
      if (d.once(2)) fixL4(outer);
      return ethernet(host.gateway, host.mac, 0x0800, outer);
    }
    const pad = packet.length < 46 ? 46 - packet.length : 0;
    const frame = ethernet(to, host.mac, 0x0800, packet, d.once(2) ? pad : 0);
    if (!d.once(150)) return frame;
    const tagged = new Uint8Array(frame.length + 4);
    tagged.set(frame.subarray(0, 12));
    tagged.set([0x81, 0, 0, d.once(2) ? 0 : 5], 12);
    tagged.set(frame.subarray(12), 16);
    return tagged;
  };

  const packet = (host: Host, bytes: Bytes): OraclePacket => {
    sent.push({ host, packet: bytes });
    return { in: host.dev, frame: toHex(frameOf(host, bytes)), quiet_ms: QUIET_MS };
  };

  /** Spoils a packet in one of the ways that packets are spoilt. */
  const spoil = (bytes: Bytes): Bytes => {
    const copy = bytes.slice();
    const header = (copy[0]! & 15) * 4;
    switch (d.below(9)) {
      case 0: { copy[Math.min(copy.length - 1, header + d.below(8))]! ^= 1 << d.below(8); return copy; }
      case 1: { copy[10]! ^= 0x55; return copy; }
      case 2: { // cut short, the length too
        const cut = copy.slice(0, header + d.below(Math.min(24, copy.length - header + 1)));
        put16(cut, 2, cut.length);
        fixHeader(cut);
        return cut;
      }
      case 3: return copy.slice(0, Math.max(1, copy.length - 1 - d.below(20))); // shorter than it says
      case 4: { put16(copy, 2, d.pick([0, 19, 20, 24, copy.length + 1, copy.length - 1])); fixHeader(copy); return copy; }
      case 5: { copy[0] = d.pick([0x44, 0x46, 0x4f, 0x55, 0x65, 0x40]); fixHeader(copy); return copy; }
      case 6: { if (copy[9] === UDP && copy.length >= header + 8) { put16(copy, header + 4, d.pick([0, 7, 8, 9, 60000])); fixL4(copy); } return copy; }
      case 7: { if (copy[9] === TCP && copy.length >= header + 20) { copy[header + 12] = d.pick([0x00, 0x40, 0xf0, 0x60]); fixL4(copy); } return copy; }
      default: { if (copy[9] === UDP && copy.length >= header + 8) put16(copy, header + 6, 0); else copy[header + 2 + d.below(6)] = d.below(256); return copy; }
    }
  };

  const inPieces = (host: Host, bytes: Bytes): OraclePacket[] => {
    const whole = bytes.slice();
    put16(whole, 6, d.once(6) ? 0x4000 : 0);
    let parts = fragments(whole, 8 * d.from(1, Math.max(2, Math.min(100, whole.length >> 4))));
    if (parts.length > 12) parts = fragments(whole, 8 * Math.ceil(whole.length / 64));
    if (d.once(3)) d.shuffle(parts);
    if (d.once(6)) parts.splice(d.below(parts.length), 1);
    if (d.once(6)) parts.push(parts[d.below(parts.length)]!.slice());
    if (d.once(8) && parts.length > 1) {
      const overlap = parts[d.below(parts.length)]!.slice();
      put16(overlap, 6, Math.max(0, (be16(overlap, 6) & 0x1fff) + d.pick([-1, 1])) | (be16(overlap, 6) & 0x2000));
      fixHeader(overlap);
      parts.splice(d.below(parts.length), 0, overlap);
    }
    return parts.map((part) => ({ in: host.dev, frame: toHex(frameOf(host, part)), quiet_ms: QUIET_MS }));
  };

  const tcp = (src: string, dst: string, fields: TcpFields): Bytes => make(src, dst, TCP, tcpSegment(fields));
  // A listener's own timestamps begin at random.
  const timestamps = world.frame.tcp_listen === undefined ? [[2, 4, 5, 0xb4, 1, 3, 3, 7, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0]] : [];
  const synOptions = (): number[] => d.pick([[], [2, 4, 5, 0xb4], [2, 4, 5, 0xb4, 4, 2, 1, 3, 3, d.below(15)], ...timestamps, [3, 3, 20, 0], [2, 4, 2, 0]]);
  const seq = (): number => Math.floor(d.below(2 ** 32));

  /** A first packet of something. */
  const opening = (host: Host, dst: string): Bytes => {
    const dport = d.pick(world.ports);
    switch (d.weighted([[6, 0], [4, 1], [3, 2], [1, 3], [1, 4], [1, 5]])) {
      case 0: return tcp(host.ip, dst, { sport: nextPort(), dport, seq: seq(), ack: 0, flags: d.once(10) ? SYN | d.pick([PSH, 0xc0, FIN, RST, ACK]) : SYN, options: synOptions() });
      case 1: return make(host.ip, dst, UDP, udpDatagram(nextPort(), dport, data()));
      case 2: return make(host.ip, dst, ICMP, icmpMessage(d.once(8) ? d.pick([14, 17, 0, 10, 30]) : 8, d.once(10) ? d.below(4) : 0, (nextPort() << 16) | d.below(5), data()));
      case 3: // a connection in its middle
        return tcp(host.ip, dst, { sport: nextPort(), dport, seq: seq(), ack: seq(), flags: d.pick([ACK, ACK | PSH, FIN | ACK, RST, RST | ACK, SYN | ACK, 0, 0x29]), data: data() });
      case 4: return d.once(2) ? make(host.ip, dst, SCTP, sctpPacket(nextPort(), dport, d.once(4) ? seq() : 0, sctpChunks())) : make(host.ip, dst, d.pick([47, 132, 2, 50, 103, 253, 4]), data());
      default: return make(host.ip, d.pick(["255.255.255.255", "224.0.0.1", "224.0.0.5", "239.1.1.1", "10.0.2.255", "10.0.1.255", "10.0.1.0", "0.0.0.0", "127.0.0.1", "240.0.0.1", "10.0.9.255"]), UDP, udpDatagram(nextPort(), dport === 7 ? 9 : dport, data())); // no echo to everybody
    }
  };

  /** Chunks that begin an association, most of the time. */
  const sctpChunks = (): Bytes => {
    const chunk = (type: number): Bytes => sctpChunk(type, d.once(8) ? 1 : 0, type === 1 || type === 2 ? initBody(seq()) : data().subarray(0, 4 * d.below(4)));
    const types = d.pick([[1], [1], [1], [4], [10], [5], [0], [6], [14], [7], [8], [11], [3, 0], [10, 0], [1, 1], [9]]);
    return joined(types.map(chunk));
  };
  /** What the other end of an association answers. */
  const sctpAnswer = (me: string, peer: string, l4: Bytes): Bytes => {
    const type = l4[12] ?? 255;
    const answers: Readonly<Record<number, readonly number[]>> = { 1: [2], 2: [10], 10: [11], 11: [0], 0: [3], 3: [0], 4: [5], 5: [4], 7: [8], 8: [14] };
    const next = d.once(6) ? d.pick([0, 3, 4, 6, 7, 8, 9, 14, 1]) : (answers[type]?.[0] ?? 3);
    // The tag to send is the one that its INIT asked for.
    const key = `${me} ${be16(l4, 2)} ${peer} ${be16(l4, 0)}`;
    if (type === 1 || type === 2) tags.set(key, be32(l4, 16));
    const tag = next === 1 ? 0 : d.once(12) ? seq() : (tags.get(key) ?? be32(l4, 4));
    const body = next === 1 || next === 2 ? initBody(seq()) : data().subarray(0, 4 * d.below(4));
    return make(me, peer, SCTP, sctpPacket(be16(l4, 2), be16(l4, 0), tag, sctpChunk(next, d.once(10) ? 1 : 0, body)));
  };
  const tags = new Map<string, number>();

  /** What whoever got `frame` on `dev` says to it; undefined: nothing. */
  const answer = (dev: string, frame: Bytes, any: readonly (readonly [number, number])[]): OraclePacket | undefined => {
    let bytes = frame.subarray(14);
    let host = world.hosts.find((one) => one.dev === dev && one.tunnel === undefined && one.mac === formatMac(frame, 0));
    if (host === undefined) return undefined;
    let header = (bytes[0]! & 15) * 4;
    // Ports and sequence numbers that were set to fixed values are not known.
    if (any.some(([from]) => from >= 14 + header && (bytes[9] !== UDP || be16(bytes, header + 2) !== 4789))) return undefined;
    if (bytes[9] === UDP && be16(bytes, header + 2) === 4789 && bytes.length > header + 50) {
      bytes = bytes.subarray(header + 30);
      const dst = formatIp(bytes, 16);
      host = world.hosts.find((one) => one.tunnel !== undefined && one.ip === dst);
      if (host === undefined) return undefined;
      header = (bytes[0]! & 15) * 4;
    }
    if ((be16(bytes, 6) & 0x3fff) !== 0 || bytes.length < header + 8) return undefined;
    const me = formatIp(bytes, 16);
    const peer = formatIp(bytes, 12);
    const as: Host = { ...host, ip: me };
    const l4 = bytes.subarray(header, be16(bytes, 2));
    if (d.once(20)) {
      // An error of a router or host on the way about this packet.
      const [type, code, rest] = d.pick([[3, 1, 0], [3, 3, 0], [3, 4, 1200], [11, 0, 0], [12, 0, 0x14000000], [4, 0, 0], [5, 1, 0x0a000102], [3, 13, 0]] as const);
      const quoted = bytes.slice(0, d.once(4) ? header + d.from(0, 8) : header + 8);
      return packet(as, make(d.once(2) ? me : host.ip, peer, ICMP, icmpMessage(type, code, rest, quoted), { tos: 0 }));
    }
    switch (bytes[9]) {
      case UDP: return packet(as, make(me, peer, UDP, udpDatagram(be16(l4, 2), be16(l4, 0), data())));
      case ICMP:
        if (l4[0] === 8 || l4[0] === 13) return packet(as, make(me, peer, ICMP, icmpMessage(l4[0] === 8 ? 0 : 14, 0, be32(l4, 4), l4.slice(8))));
        return undefined;
      case TCP: return l4.length < 20 ? undefined : packet(as, tcpAnswer(me, peer, l4));
      case SCTP: return l4.length < 16 ? undefined : packet(as, sctpAnswer(me, peer, l4));
      default: return d.once(2) ? packet(as, make(me, peer, bytes[9]!, data())) : undefined;
    }
  };

  const tcpAnswer = (me: string, peer: string, l4: Bytes): Bytes => {
    const flags = l4[13]!;
    const length = l4.length - (l4[12]! >> 4) * 4 + (flags & SYN ? 1 : 0) + (flags & FIN ? 1 : 0);
    const fields: Mutable<TcpFields> = {
      sport: be16(l4, 2), dport: be16(l4, 0), seq: be32(l4, 8), ack: (be32(l4, 4) + Math.max(0, length)) >>> 0, flags: ACK,
      window: d.once(10) ? d.pick([0, 1, 100, 65535]) : 8192,
    };
    if (!(flags & ACK)) fields.seq = seq();
    const kind = d.below(24);
    if (flags & SYN && !(flags & ACK)) {
      if (kind < 19) {
        fields.flags = SYN | ACK;
        fields.options = synOptions();
      } else if (kind < 21) {
        fields.flags = RST | ACK;
        fields.seq = 0;
      } else if (kind < 23) {
        fields.flags = SYN; // both open at once
        fields.ack = 0;
      }
    } else if (kind < 6) {
      fields.flags = ACK | PSH;
      fields.data = data();
    } else if (kind < 10) fields.flags = ACK | FIN;
    else if (kind === 10) {
      fields.flags = RST;
      fields.ack = 0;
    } else if (kind === 11) fields.flags = RST | ACK;
    else if (kind === 12) fields.flags = SYN | d.pick([0, ACK]);
    // Out of the window, a little or far, and acks of what was not sent.
    if (d.once(10)) fields.seq = (fields.seq + d.pick([-1, 1, 100, -100, 8192, 70000, -70000, 2 ** 31])) >>> 0;
    if (d.once(14)) fields.ack = (fields.ack + d.pick([1, 100, -1, -100, 66000, -66000, 2 ** 31])) >>> 0;
    if (d.once(20)) fields.options = d.pick([[8, 10, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1], [1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 1, 0], [30, 4, 0, 0], [2, 0, 0, 0], [5, 40, 0, 0]]);
    return tcp(me, peer, fields);
  };

  /** Something again, as a retransmission is: same bytes, another id. */
  const again = (): OraclePacket | undefined => {
    if (sent.length === 0) return undefined;
    const one = sent[Math.max(0, sent.length - 1 - d.below(20))]!;
    const copy = one.packet.slice();
    if (copy.length < 20) return undefined;
    put16(copy, 4, nextId());
    fixHeader(copy);
    return packet(one.host, copy);
  };

  const local = (): OraclePacket => {
    const src = d.once(5) ? "0.0.0.0" : d.pick(world.own);
    const dst = d.pick(world.targets);
    let bytes = opening({ ...world.hosts[0]!, ip: src }, dst);
    // Nobody has asked for the echo: the host tells itself so, and quotes an IP id of chance.
    while (bytes[9] === UDP && be16(bytes, (bytes[0]! & 15) * 4 + 2) === 7 && world.own.includes(dst)) bytes = opening({ ...world.hosts[0]!, ip: src }, dst);
    return { in: "local", frame: toHex(bytes), quiet_ms: QUIET_MS };
  };

  const oddities = (host: Host): OraclePacket => {
    switch (d.below(5)) {
      case 0: { const arp = new Uint8Array(28); arp.set([0, 1, 8, 0, 6, 4, 0, d.from(1, 2)]); for (let i = 8; i < 28; i++) arp[i] = d.below(256); arp.set(host.ip.split(".").map(Number), 14); arp.set(d.pick(world.own).split(".").map(Number), 24); return { in: host.dev, frame: toHex(ethernet("ff:ff:ff:ff:ff:ff", host.mac, 0x0806, arp)), quiet_ms: QUIET_MS }; }
      case 1: return packet({ ...host, ip: d.pick([...world.own, "127.0.0.1", "255.255.255.255", "224.0.0.1", "0.0.0.0", "10.0.2.255", "240.0.0.1"]) }, opening({ ...host, ip: d.pick([...world.own, "127.0.0.1", "255.255.255.255", "224.0.0.1", "0.0.0.0", "0.1.2.3", "10.0.2.255", "240.0.0.1"]) }, d.pick(world.targets)));
      case 2: {
        const type = d.pick([0x86dd, 0x88cc, 0x0800, 0x0060]);
        // A bridge shows IPv6 to hooks in Linux, which look at its headers before the bridge learns from the frame (docs/differences.md).
        const shown = type === 0x86dd && host.link === "br0" ? 0x88cc : type;
        return { in: host.dev, frame: toHex(ethernet(host.gateway, host.mac, shown, data())), quiet_ms: QUIET_MS };
      }
      case 3: { // an error about nothing that is known
        const inner = make(d.pick(world.own), host.ip, d.pick([TCP, UDP, ICMP]), new Uint8Array(8));
        return packet(host, make(host.ip, d.pick(world.targets), ICMP, icmpMessage(3, d.below(16), 0, inner)));
      }
      default: return packet(host, spoil(opening(host, d.pick(world.targets))));
    }
  };

  return {
    round(count, soFar, result) {
      // A frame too long for the NIC's other end does not leave it.
      const fits = ({ in: dev, frame }: OraclePacket): boolean => dev === "local" || frame.length / 2 <= (world.frame.interfaces[dev]!.mtu ?? 1500) + 14;
      const first = soFar.length;
      const out = ((result?.["out"] ?? []) as { pkt: number; dev: string; frame: string; any?: [number, number][] }[]).slice(-60);
      const packets: OraclePacket[] = [];
      while (packets.length < count) {
        const host = d.pick(world.hosts);
        const dice = d.below(100);
        let one: OraclePacket | undefined;
        if (out.length > 0 && dice < 55) {
          const { dev, frame, any } = d.pick(out);
          one = answer(dev, fromHex(frame), any ?? []);
        } else if (dice < 60) one = again();
        else if (dice < 66) one = local();
        else if (dice < 71) one = oddities(host);
        else if (dice < 75) {
          // Not by the tunnel: docs/differences.md, "A clone that shares its bytes".
          if (host.tunnel !== undefined) continue;
          packets.push(...inPieces(host, make(host.ip, d.pick(world.targets), d.pick([UDP, UDP, ICMP]), d.once(2) ? udpDatagram(nextPort(), d.pick(world.ports), bulk()) : icmpMessage(8, 0, nextPort() << 16, bulk()))));
        } else if (first === 0 || dice < 97) one = packet(host, opening(host, d.pick(world.targets)));
        else if (sent.length > 0) {
          const before = d.pick(sent);
          one = packet(before.host, spoil(before.packet));
        }
        if (one !== undefined) packets.push(one);
      }
      return packets.filter(fits);
    },
  };

  function bulk(): Bytes {
    const bytes = new Uint8Array(d.from(30, d.once(3) ? 3000 : 300));
    for (let i = 0; i < bytes.length; i++) bytes[i] = d.below(256);
    return bytes;
  }
}
