/** `ping` of iputils, over a raw socket. It waits for answers: where the machine lets no time pass while a tool runs, it cannot. */
import { parseIpv4, formatIpv4 } from "../kernel/address.ts";
import { kernelOf } from "../kernel/namespace.ts";
import { KernelError } from "../kernel/netns.ts";
import { SocketError } from "../kernel/sockets.ts";
import type { NetnsSockets } from "../kernel/socket-calls.ts";
import { ToolExit, type Streams, type ToolHost } from "./tool.ts";

const USAGE = "\nUsage\n  ping [options] <destination>\n";

interface Options {
  count: number;
  /** Seconds. */
  interval: number;
  timeout: number;
  size: number;
  ttl: number;
  quiet: boolean;
  deadline: number;
}

const NUMBERS: Readonly<Record<string, readonly [key: Exclude<keyof Options, "quiet">, message: string]>> = {
  c: ["count", "invalid argument"], i: ["interval", "bad timing interval"], W: ["timeout", "bad linger time"], s: ["size", "invalid argument"],
  t: ["ttl", "invalid argument"], w: ["deadline", "invalid argument"],
};

function read(args: readonly string[]): { options: Options; target: string } {
  const options: Options = { count: Infinity, interval: 1, timeout: 10, size: 56, ttl: 64, quiet: false, deadline: Infinity };
  const rest: string[] = [];
  for (let at = 0; at < args.length; at++) {
    const arg = args[at]!;
    if (!arg.startsWith("-") || arg === "-") {
      rest.push(arg);
      continue;
    }
    for (let i = 1; i < arg.length; i++) {
      const letter = arg[i]!;
      const known = NUMBERS[letter];
      if (known !== undefined || letter === "I" || letter === "p" || letter === "Q" || letter === "M") {
        const text = arg.slice(i + 1) !== "" ? arg.slice(i + 1) : args[++at];
        if (text === undefined) throw new ToolExit(2, `ping: option requires an argument -- '${letter}'\n${USAGE}`);
        if (known !== undefined) {
          const value = /^\d*\.?\d+$/.test(text) ? Number(text) : Number.NaN;
          if (Number.isNaN(value) || (letter === "c" && value < 1) || (letter === "t" && value > 255) || (letter === "s" && value > 65507)) {
            throw new ToolExit(1, `ping: ${known[1]}: '${text}'\n`);
          }
          options[known[0]] = value;
        }
        break;
      }
      if (letter === "q") options.quiet = true;
      else if (!"4nbrRvDOaABdfUL".includes(letter)) throw new ToolExit(2, `ping: invalid option -- '${letter}'\n${USAGE}`);
    }
  }
  const target = rest.at(-1);
  if (target === undefined) throw new ToolExit(1, `ping: usage error: Destination address required\n`);
  return { options, target };
}

/** An IPv4 packet with an echo request; the kernel fills in source, id and the header's checksum. */
function echo(destination: number, id: number, sequence: number, { size, ttl }: Options): Uint8Array {
  const packet = new Uint8Array(28 + size);
  const view = new DataView(packet.buffer);
  packet[0] = 0x45;
  view.setUint16(2, packet.length);
  view.setUint16(6, 0x4000);
  packet[8] = ttl;
  packet[9] = 1;
  view.setUint32(16, destination);
  packet[20] = 8;
  view.setUint16(24, id);
  view.setUint16(26, sequence);
  for (let i = 16; i < size; i++) packet[28 + i] = i & 255;
  let sum = 0;
  for (let at = 20; at < packet.length; at += 2) sum += (packet[at]! << 8) | (packet[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  view.setUint16(22, ~sum & 0xffff);
  return packet;
}

const UNREACHED: Readonly<Record<number, string>> = { 0: "Destination Net Unreachable", 1: "Destination Host Unreachable", 3: "Destination Port Unreachable",
  9: "Destination Net Prohibited", 10: "Destination Host Prohibited", 13: "Packet filtered" };

/** Echo requests of a namespace so far: each run has an id of its own. */
const runs = new WeakMap<object, number>();

export function ping(host: ToolHost, args: readonly string[], streams: Streams): number {
  const { netns, wait } = host;
  if (args.length === 0) throw new ToolExit(1, "ping: usage error: Destination address required\n");
  const { options, target } = read(args);
  const destination = parseIpv4(target);
  if (destination === undefined) throw new ToolExit(2, `ping: ${target}: Name or service not known\n`);
  if (wait === undefined) throw new ToolExit(2, "ping: socktype: SOCK_RAW\nping: socket: Operation not permitted\n");
  const { clock } = kernelOf(netns).context;
  const id = 0x2000 + ((runs.get(netns) ?? 0) & 0xfff);
  runs.set(netns, (runs.get(netns) ?? 0) + 1);
  const socket = (netns.sockets as NetnsSockets).raw();
  const times: number[] = [];
  let sent = 0;
  let errors = 0;
  const began = clock.nowNs();
  streams.stdout += `PING ${target} (${formatIpv4(destination)}) ${options.size}(${options.size + 28}) bytes of data.\n`;
  try {
    const count = Math.min(options.count, 100_000);
    while (sent < count && (clock.nowNs() - began) / 1e9 < options.deadline) {
      sent++;
      const at = clock.nowNs();
      try {
        socket.send(echo(destination, id, sent, options));
      } catch (error) {
        if (!(error instanceof SocketError) && !(error instanceof KernelError)) throw error;
        if (sent === 1) throw new ToolExit(2, `ping: connect: ${error.code === "ENETUNREACH" ? "Network is unreachable" : "Invalid argument"}\n`);
        errors++;
      }
      const last = sent === count;
      const until = at + (last ? options.timeout : options.interval) * 1e9;
      let answered = false;
      while (clock.nowNs() < until && !(last && answered)) {
        wait(1);
        for (const packet of socket.receive()) {
          const answer = answerTo(packet, destination, id);
          if (answer === undefined) continue;
          answered = true;
          if (answer.error !== undefined) {
            errors++;
            streams.stdout += `From ${answer.from} icmp_seq=${answer.sequence} ${answer.error}\n`;
            continue;
          }
          const ms = (clock.nowNs() - at) / 1e6;
          times.push(ms);
          if (!options.quiet) {
            streams.stdout += `${packet.length - 20} bytes from ${answer.from}: icmp_seq=${answer.sequence} ttl=${packet[8]} time=${milliseconds(ms)} ms\n`;
          }
        }
      }
    }
  } finally {
    socket.close();
  }
  const lost = Math.floor(((sent - times.length) * 100) / Math.max(1, sent));
  const total = Math.floor((clock.nowNs() - began) / 1e6);
  streams.stdout += `\n--- ${target} ping statistics ---\n${sent} packets transmitted, ${times.length} received,${errors > 0 ? ` +${errors} errors,` : ""} ` +
    `${lost}% packet loss, time ${total}ms\n`;
  if (times.length > 0) {
    const average = times.reduce((sum, ms) => sum + ms, 0) / times.length;
    const deviation = Math.sqrt(Math.max(0, times.reduce((sum, ms) => sum + ms * ms, 0) / times.length - average * average));
    const row = [Math.min(...times), average, Math.max(...times), deviation].map((ms) => ms.toFixed(3)).join("/");
    streams.stdout += `rtt min/avg/max/mdev = ${row} ms\n`;
  } else streams.stdout += errors > 0 ? "pipe 1\n" : "\n";
  return times.length > 0 ? 0 : 1;
}

const milliseconds = (ms: number): string => (ms >= 100 ? ms.toFixed(0) : ms >= 10 ? ms.toFixed(1) : ms >= 1 ? ms.toFixed(2) : ms.toFixed(3));

/** What a received packet says of one of our requests. */
function answerTo(packet: Uint8Array, destination: number, id: number): { readonly from: string; readonly sequence: number; readonly error?: string } | undefined {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
  const header = (packet[0]! & 15) * 4;
  if (packet[9] !== 1 || packet.length < header + 8) return undefined;
  const from = formatIpv4(view.getUint32(12));
  const type = packet[header]!;
  if (type === 0 && view.getUint16(header + 4) === id) return { from, sequence: view.getUint16(header + 6) };
  if (type !== 3 && type !== 11) return undefined;
  const inner = header + 8;
  if (packet.length < inner + 28 || view.getUint32(inner + 16) !== destination || view.getUint16(inner + 24) !== id) return undefined;
  const error = type === 11 ? "Time to live exceeded" : (UNREACHED[packet[header + 1]!] ?? `Dest Unreachable, Bad Code: ${packet[header + 1]}`);
  return { from, sequence: view.getUint16(inner + 26), error };
}
