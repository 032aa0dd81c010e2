/**
 * The differential fuzzer: random cases of the netfilter oracle's format through the host's kernel and through this one, and what
 * differs made small. A case's seed is (seed, number): it is the same case wherever it runs.
 */
import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { useFullIptables } from "../../../src/kernel/iptables/full.ts";
import type { KernelInstance } from "../../../src/kernel/memory.ts";
import { canonical, compareResults, replayCase, type OracleCase, type OraclePacket, type OracleResult } from "../../../src/replay/oracle-case.ts";
import { createTraffic } from "./traffic.ts";
import { dice } from "./random.ts";
import { ICMP, UDP, be16, formatIp, fromHex, toHex } from "./packets.ts";
import { TUNNEL_PORT, randomWorld, type World } from "./world.ts";

/** A case with what only the fuzzer's runner knows. */
export type FuzzCase = OracleCase & { readonly hits?: boolean; readonly final_ms?: number };

const PACKETS_PER_CASE = 220;
const PACKETS_PER_ROUND = 18;
const PROGRESS_CASES = 50;
const REPEATS = 3;
// Before a UDP connection that is answered is assured, and before a listener repeats its SYN-ACK.
const SECONDS_MAX = 1.8;
const SECONDS_MAX_LISTENING = 0.9;

/** Case `number` of a run. Its later packets answer what this kernel did with the earlier ones. */
export async function makeCase(instance: KernelInstance, seed: number, number: number): Promise<FuzzCase> {
  const d = dice(seed, number);
  const world = randomWorld(d, `fuzz-${seed}-${number}`);
  const traffic = createTraffic(d, world);
  const packets: OraclePacket[] = [];
  let result: OracleResult | undefined;
  while (packets.length < PACKETS_PER_CASE) {
    const before = packets.length;
    packets.push(...traffic.round(PACKETS_PER_ROUND, packets, result));
    const sofar = { ...world.frame, packets, ct_trace: false };
    result = await ours(instance, sofar);
    if (result["error"] !== undefined) break;
    if (world.rules.nat && ((await chanceShows(instance, sofar, result)) || hasTranslatedTunnel(result, world))) {
      // A port that a kernel chose at random: the packets of this round may not be in the case.
      packets.splice(before);
      break;
    }
  }
  return { ...world.frame, packets };
}

/** Does the result depend on the kernel's random numbers, outside what `any_port` covers? */
async function chanceShows(instance: KernelInstance, oracleCase: FuzzCase, result: OracleResult): Promise<boolean> {
  return compareResults(result, await replayCase(instance, oracleCase, 2)) !== undefined;
}

/** Did NAT change the source of a tunnel's outer packet? Its port, chosen by a hash with a seed of the boot, is not recognised then. */
function hasTranslatedTunnel(result: OracleResult, world: World): boolean {
  if (world.frame.fdb === undefined) return false;
  return (result["out"] as { frame: string }[]).some(({ frame }) => {
    const bytes = fromHex(frame);
    const l4 = 14 + (bytes[14]! & 15) * 4;
    return bytes[23] === UDP && be16(bytes, l4 + 2) === TUNNEL_PORT && !world.own.includes(formatIp(bytes, 26));
  });
}

/** The host's kernel: a process of runner.py. */
export interface Oracle {
  ask(oracleCase: FuzzCase): Promise<OracleResult>;
  close(): void;
}

export function startOracle(shared: URL): Oracle {
  if (process.platform !== "linux" || process.getuid?.() !== 0) {
    throw new Error("the differential fuzzer compares with the kernel of this machine: it needs Linux, root (network namespaces), iptables-legacy, ipset and iproute2");
  }
  const script = fileURLToPath(new URL("./runner.py", import.meta.url));
  return startOracleScript(script, shared);
}

/** The same with the path of runner.py given (a bundled script has no `import.meta.url` beside it). */
export function startOracleScript(script: string, shared: URL): Oracle {
  interface Waiting {
    readonly resolve: (value: OracleResult) => void;
    readonly reject: (error: Error) => void;
    readonly limit: number;
  }
  let child: ChildProcessWithoutNullStreams | undefined;
  const start = (): ChildProcessWithoutNullStreams => {
    const started = spawn("/usr/bin/python3", [script, fileURLToPath(new URL("oracle/netfilter_oracle.py", shared))]);
    const waiting: Waiting[] = [];
    let errors = "";
    queue = waiting;
    started.stderr.on("data", (chunk: Buffer) => {
      errors = (errors + chunk.toString()).slice(-2000);
    });
    started.on("exit", (code) => {
      child = undefined;
      // Ended by itself: a mistake. By somebody's signal: the case is asked again by another.
      const error = code === null ? new DisturbedError("the host ended the runner") : new Error(`runner.py ended with ${code}: ${errors}`);
      for (const { reject } of waiting.splice(0)) reject(error);
    });
    createInterface({ input: started.stdout }).on("line", (line) => {
      const { resolve, reject, limit } = waiting.shift()!;
      const reply = JSON.parse(line) as { result?: OracleResult; error?: string; disturbed?: string; seconds?: number };
      if (reply.disturbed !== undefined) reject(new DisturbedError(reply.disturbed));
      else if (reply.result !== undefined && reply.seconds! > limit) reject(new DisturbedError(`the host took ${reply.seconds} s`));
      else if (reply.result !== undefined) resolve(reply.result);
      else reject(new OracleError(reply.error ?? "no answer"));
    });
    return started;
  };
  let queue: Waiting[] = [];
  return {
    ask: (oracleCase) =>
      new Promise((resolve, reject) => {
        child ??= start();
        queue.push({ resolve, reject, limit: oracleCase.tcp_listen === undefined ? SECONDS_MAX : SECONDS_MAX_LISTENING });
        child.stdin.write(`${JSON.stringify(oracleCase)}\n`);
      }),
    close: () => child?.stdin.end(),
  };
}

/** The host was so busy that time itself may show: a UDP connection is assured after two seconds, a SYN-ACK repeated after one. */
export class DisturbedError extends Error {}

/** The host refused to build the case. */
export class OracleError extends Error {}

/** What this kernel does with a case; a refusal is a result, too. */
export async function ours(instance: KernelInstance, oracleCase: FuzzCase): Promise<OracleResult> {
  useFullIptables();
  try {
    return await replayCase(instance, oracleCase);
  } catch (error) {
    return { error: `${(error as Error).name}: ${(error as Error).message}` };
  }
}

/** What the host's kernel does with it. */
export async function theirs(oracle: Oracle, oracleCase: FuzzCase): Promise<OracleResult> {
  try {
    return await oracle.ask(oracleCase);
  } catch (error) {
    if (error instanceof OracleError) return { error: error.message };
    throw error;
  }
}

/** The first difference, or undefined; both refused: none. */
export function difference(want: OracleResult, got: OracleResult, oracleCase: FuzzCase): string | undefined {
  if (want["error"] !== undefined || got["error"] !== undefined) {
    if (want["error"] !== undefined && got["error"] !== undefined) return undefined;
    return `error: ${String(want["error"] ?? "nothing")} wanted, got ${String(got["error"] ?? "nothing")}`;
  }
  const mine = withoutQuotedIds(got, oracleCase);
  if (oracleCase.packets.length === 0) delete mine["ct_trace"];
  if (oracleCase.hits !== true || oracleCase.packets.length === 0) delete mine["hits"];
  // What is no IPv4 is compared where the case asks for it.
  delete mine["noise"];
  return compareResults(inOneOrder({ ...withoutQuotedIds(want, oracleCase), noise: undefined }, oracleCase), inOneOrder(mine, oracleCase), true);
}

/**
 * What docs/differences.md says of order: raw sockets of two protocols are read one after the other, and what comes of the copy that the sender
 * of a group packet gets may leave before or behind the packet itself.
 */
function inOneOrder(result: OracleResult, { packets }: FuzzCase): OracleResult {
  const out = result["out"] as { pkt: number; frame: string }[] | undefined;
  const local = result["local_in"] as { pkt: number; packet: string }[] | undefined;
  const looped = (pkt: number): boolean => {
    const packet = packets[pkt];
    return packet?.in === "local" && /^(?:e.|ff|.{6}ff)/.test((packet.frame ?? "").slice(32, 40));
  };
  const text = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
  const protocol = (packet: string): string => packet.slice(18, 20);
  return {
    ...result,
    ...(out === undefined ? {} : { out: [...out].sort((a, b) => a.pkt - b.pkt || (looped(a.pkt) ? text(a.frame, b.frame) : 0)) }),
    ...(local === undefined ? {} : { local_in: [...local].sort((a, b) => a.pkt - b.pkt || text(protocol(a.packet), protocol(b.packet))) }),
  };
}

/**
 * An ICMP error about a packet that the host itself made quotes that packet's IP id, which is chance: it and the two checksums over it are
 * set to zero.
 */
function withoutQuotedIds(result: OracleResult, { interfaces }: FuzzCase): OracleResult {
  const own = new Set(Object.values(interfaces).flatMap(({ addr = [] }) => addr.map((cidr) => cidr.split("/")[0]!)));
  const masked = (hex: string, ip: number): string => {
    const bytes = fromHex(hex);
    const icmp = ip + (bytes[ip]! & 15) * 4;
    const quoted = icmp + 8;
    if (bytes[ip + 9] !== ICMP || ![3, 4, 5, 11, 12].includes(bytes[icmp] ?? 0) || bytes.length < quoted + 20 || !own.has(formatIp(bytes, quoted + 12))) return hex;
    for (const at of [icmp + 2, quoted + 4, quoted + 10]) bytes.fill(0, at, at + 2);
    return toHex(bytes);
  };
  const out = result["out"] as { frame: string }[] | undefined;
  const local = result["local_in"] as { packet: string }[] | undefined;
  const entries = result["conntrack"] as unknown[] | undefined;
  return {
    ...result,
    // One tuple in two zones: in either order.
    ...(entries === undefined ? {} : { conntrack: [...entries].sort((a, b) => (canonical(a) < canonical(b) ? -1 : 1)) }),
    ...(out === undefined ? {} : { out: out.map((one) => (one.frame.slice(24, 28) === "0800" ? { ...one, frame: masked(one.frame, 14) } : one)) }),
    ...(local === undefined ? {} : { local_in: local.map((one) => ({ ...one, packet: masked(one.packet, 0) })) }),
  };
}

/** Which part of a result a difference is in: `out`, `conntrack`, ... */
export const kind = (text: string): string => /^[a-z_]+/.exec(text)![0];

/** Makes a case that differs as small as it gets: `differs` runs both sides. */
export async function minimise(oracleCase: FuzzCase, differs: (one: FuzzCase) => Promise<boolean>, budget = 160): Promise<FuzzCase> {
  let best = oracleCase;
  let left = budget;
  const attempt = async (one: FuzzCase): Promise<boolean> => {
    if (left-- <= 0 || !(await differs(one))) return false;
    best = one;
    return true;
  };
  /** Leaves out as many items as possible, larger pieces first. */
  const shrink = async <T>(get: (c: FuzzCase) => readonly T[], set: (c: FuzzCase, items: T[]) => FuzzCase): Promise<void> => {
    for (let size = Math.max(1, get(best).length >> 1); size >= 1 && left > 0; size >>= 1) {
      for (let at = get(best).length - size; at >= 0 && left > 0; at -= size) {
        const items = [...get(best)];
        items.splice(at, size);
        await attempt(set(best, items));
      }
      if (size === 1) break;
    }
  };
  const optional = <K extends keyof FuzzCase>(key: K): Promise<boolean> => {
    const { [key]: _, ...rest } = best;
    return best[key] === undefined ? Promise.resolve(false) : attempt(rest as unknown as FuzzCase);
  };
  // Everything after the packet that differs first.
  await shrink((c) => c.packets, (c, packets) => ({ ...c, packets }));
  for (const key of ["hits", "ct_trace", "udp_echo", "tcp_listen", "ip_rules", "any_port"] as const) await optional(key);
  const lines = (c: FuzzCase): readonly string[] => (c.iptables ?? "").split("\n").filter((line) => line !== "");
  const tables = (c: FuzzCase): string[] => (c.iptables ?? "").split(/(?<=COMMIT\n)/).filter((text) => text !== "");
  await shrink(tables, (c, items) => ({ ...c, iptables: items.join("") }));
  await shrink(
    (c) => lines(c).filter((line) => line.startsWith("-A")),
    (c, items) => {
      const kept = [...items];
      const text = lines(c).filter((line) => {
        if (!line.startsWith("-A")) return true;
        if (kept[0] !== line) return false;
        kept.shift();
        return true;
      });
      return { ...c, iptables: `${text.join("\n")}\n` };
    },
  );
  await shrink((c) => Object.entries(c.sysctl ?? {}), (c, items) => ({ ...c, sysctl: Object.fromEntries(items) }));
  await shrink((c) => c.routes ?? [], (c, routes) => ({ ...c, routes }));
  await shrink((c) => Object.entries(c.interfaces), (c, items) => {
    const interfaces = Object.fromEntries(items);
    return {
      ...c, interfaces,
      neighbors: (c.neighbors ?? []).filter(({ dev }) => dev in interfaces),
      routes: (c.routes ?? []).filter(({ dev }) => dev === undefined || dev in interfaces),
      fdb: (c.fdb ?? []).filter(({ dev }) => dev in interfaces),
    };
  });
  await shrink((c) => c.neighbors ?? [], (c, neighbors) => ({ ...c, neighbors }));
  return best;
}

export interface Found {
  readonly oracleCase: FuzzCase;
  readonly difference: string;
  readonly want: OracleResult;
  readonly got: OracleResult;
}

export interface Options {
  readonly seed: number;
  /** Run until so many packets, or so many ms (of the host), whichever is first. */
  readonly packets: number;
  readonly ms?: number;
  readonly first?: number;
  readonly instance: () => KernelInstance;
  readonly oracles: readonly Oracle[];
  readonly minimise?: boolean;
  /** Stop after so many differences. */
  readonly most?: number;
  readonly onCase?: (text: string) => void;
  readonly onFound?: (one: Found) => void;
  readonly now: () => number;
}

export interface Outcome {
  readonly cases: number;
  readonly packets: number;
  readonly frames: number;
  readonly connections: number;
  readonly refused: number;
  /** Cases that took the host too long, or differed once but not again: it was disturbed. */
  readonly disturbed: number;
  readonly found: readonly Found[];
}

/** Runs cases until the packets or the time are used up. */
export async function fuzz(options: Options): Promise<Outcome> {
  const { seed, oracles, now } = options;
  const end = now() + (options.ms ?? Infinity);
  let number = options.first ?? 0;
  const total = { cases: 0, packets: 0, frames: 0, connections: 0, refused: 0, disturbed: 0 };
  const found: Found[] = [];
  const work = async (oracle: Oracle): Promise<void> => {
    const instance = options.instance();
    while (total.packets < options.packets && now() < end && found.length < (options.most ?? Infinity)) {
      const mine = number++;
      const oracleCase = await makeCase(instance, seed, mine);
      let want: OracleResult;
      try {
        want = await theirs(oracle, oracleCase);
      } catch (error) {
        if (!(error instanceof DisturbedError)) throw error;
        total.disturbed++;
        continue;
      }
      const got = await ours(instance, oracleCase);
      total.cases++;
      total.packets += oracleCase.packets.length;
      total.frames += (want["out"] as unknown[] | undefined)?.length ?? 0;
      total.connections += (want["conntrack"] as unknown[] | undefined)?.length ?? 0;
      if (want["error"] !== undefined) total.refused++;
      const differs = difference(want, got, oracleCase);
      if (total.cases % PROGRESS_CASES === 0) options.onCase?.(`${total.cases} cases, ${total.packets} packets so far`);
      if (differs === undefined) continue;
      const check = async (one: FuzzCase): Promise<string | undefined> => {
        try {
          return difference(await theirs(oracle, one), await ours(instance, one), one);
        } catch (error) {
          if (error instanceof DisturbedError) return undefined;
          throw error;
        }
      };
      // The host may have been disturbed: what is a difference differs every time.
      let second: string | undefined = differs;
      for (let n = 0; n < REPEATS && second !== undefined; n++) second = await check(oracleCase);
      if (second === undefined) {
        total.disturbed++;
        options.onCase?.(`fuzz-${seed}-${mine}: once only: ${differs.slice(0, 200)}`);
        continue;
      }
      const sort = kind(second);
      const small = options.minimise === false ? oracleCase : await minimise(oracleCase, async (one) => {
        const text = await check(one);
        return text !== undefined && kind(text) === sort;
      });
      const [want2, got2] = [await theirs(oracle, small).catch(() => want), await ours(instance, small)];
      const one: Found = { oracleCase: small, difference: difference(want2, got2, small) ?? second, want: want2, got: got2 };
      found.push(one);
      options.onFound?.(one);
      options.onCase?.(`fuzz-${seed}-${mine}: ${one.difference.slice(0, 300)}`);
    }
  };
  await Promise.all(oracles.map(work));
  return { ...total, found };
}

export { canonical };
