/**
 * `kubewire replay`: a case of the netfilter oracle, or a real node's dump with a capture. Exit status 0: replayed; 1: a file that
 * cannot be read, or that is refused, with the place.
 */
import { KernelInstance, newKernelMemory } from "../kernel/memory.ts";
import { encodePcapng } from "../pcap/pcapng.ts";
import { readCapture } from "../pcap/read.ts";
import type { CliHost } from "../platform.ts";
import { parseCase } from "../replay/check-case.ts";
import { replayDump } from "../replay/node-dump.ts";
import { watchCase, type OracleResult } from "../replay/oracle-case.ts";
import { toldCapture } from "../replay/told-capture.ts";
import { journeys, type Journey } from "../trace/journey.ts";
import type { Observations } from "../trace/observer.ts";
import { nftTraceLines, traceLines } from "../trace/rule-trace.ts";

export type ReplayFormat = "journey" | "trace" | "nft";

interface Options {
  readonly json: boolean;
  readonly format: ReplayFormat;
  readonly iptables?: string;
  readonly nft?: string;
  readonly ipset?: string;
  readonly routes?: string;
  readonly pcap?: string;
  readonly out?: string;
}

/** `file` is the case; without it `options` name the dump. Throws what is wrong, with the file and the place in it. */
export const replayCommand = async (host: CliHost, file: string | undefined, options: Options): Promise<number> => {
  const rules = options.iptables !== undefined || options.nft !== undefined;
  const dump = rules || options.pcap !== undefined;
  if (file === undefined && !dump) throw new Error("missing required argument 'case', or --iptables FILE (or --nft FILE) with --pcap IN.pcap");
  if (file !== undefined && dump) throw new Error("a case brings its own rules and packets: leave out --iptables, --nft and --pcap");
  if (file === undefined && (!rules || options.pcap === undefined)) throw new Error(`--${rules ? "pcap" : "iptables"} FILE is needed as well`);
  const module = await host.platform.loadKernel(host.platform.sharedMemory);
  const instance = new KernelInstance(module, newKernelMemory(host.platform.sharedMemory));
  return file === undefined ? replayNode(host, instance, options) : replayFile(host, instance, file, options);
};

const read = async (host: CliHost, path: string): Promise<Uint8Array> => {
  try {
    return await host.readFile(path);
  } catch (error) {
    const code = (error as { code?: string }).code;
    if (code === "ENOENT") throw new Error(`${path}: no such file`);
    if (code === "EISDIR") throw new Error(`${path}: is a directory`);
    throw error;
  }
};

/** Says in which file it is what `run` refuses. */
const within = async <T>(path: string, run: () => T | Promise<T>): Promise<T> => {
  try {
    return await run();
  } catch (error) {
    throw new Error(`${path}: ${(error as Error).message}`);
  }
};

const replayFile = async (host: CliHost, instance: KernelInstance, path: string, options: Options): Promise<number> => {
  const text = new TextDecoder().decode(await read(host, path));
  const { result, observations } = await within(path, () => watchCase(instance, parseCase(text)));
  if (options.out !== undefined) await host.writeFile(options.out, [encodePcapng(toldCapture(observations, 0n))]);
  if (options.json) host.stdout(`${JSON.stringify(result, undefined, 1)}\n`);
  else host.stdout(`${[...tell(observations, options.format), ...(options.format === "journey" ? tellResult(result) : [])].join("\n")}\n`);
  return 0;
};

const replayNode = async (host: CliHost, instance: KernelInstance, options: Options): Promise<number> => {
  const decoder = new TextDecoder();
  const text = async (path: string): Promise<string> => decoder.decode(await read(host, path));
  const pcap = options.pcap!;
  const bytes = await read(host, pcap);
  const capture = await within(pcap, () => readCapture(bytes));
  const { observations, epochNs, received, leftOut, assumed } = replayDump(instance, {
    capture,
    ...(options.iptables === undefined ? {} : { iptables: await text(options.iptables) }),
    ...(options.nft === undefined ? {} : { nft: await text(options.nft) }),
    ...(options.ipset === undefined ? {} : { ipset: await text(options.ipset) }),
    ...(options.routes === undefined ? {} : { routes: await text(options.routes) }),
  });
  if (options.out !== undefined) await host.writeFile(options.out, [encodePcapng(toldCapture(observations, epochNs))]);
  if (options.json) {
    const packets = journeys([observations], { conntrack: true }).map(({ packet, arrived, startNs, endNs, outcome, steps }) =>
      ({ packet, arrived, startNs, endNs, outcome, steps }));
    host.stdout(`${JSON.stringify({ received, leftOut, assumed, packets }, undefined, 1)}\n`);
    return 0;
  }
  const head = [`${received} packets received, ${leftOut} left out (sent by the node, or to none of its devices)`,
    ...assumed.map((what) => `assumed: ${what}`), ""];
  host.stdout(`${[...(options.format === "journey" ? head : []), ...tell(observations, options.format)].join("\n")}\n`);
  return 0;
};

const tell = (observations: Observations, format: ReplayFormat): string[] => {
  if (format === "trace") return traceLines(observations);
  if (format === "nft") return nftTraceLines(observations);
  return journeys([observations], { conntrack: true }).flatMap(tellJourney);
};

const tellJourney = ({ packet, arrived, startNs, steps, outcome }: Journey): string[] => {
  const changed = arrived === packet || outcome === "dropped" ? "" : `, as ${arrived}`;
  const end = outcome === "delivered" ? `delivered${changed}` : outcome === "dropped" ? "dropped" : steps.at(-1)?.text.startsWith("out of") ? `sent on${changed}` : "kept";
  return [
    `${(startNs / 1e6).toFixed(3)} ms  ${packet}: ${end}`,
    ...steps.map(({ timeNs, text }) => `  ${((timeNs - startNs) / 1e3).toFixed(1).padStart(9)} µs  ${text}`),
    "",
  ];
};

type Tuple = Readonly<Record<string, unknown>>;

/** What is left at the end: connections, and the counters that say why something was dropped. */
const tellResult = (result: OracleResult): string[] => {
  const connections = result["conntrack"] as readonly Readonly<Record<string, unknown>>[];
  const end = (tuple: Tuple, address: string, port: string): string =>
    `${String(tuple[address])}${tuple[port] === undefined ? "" : `:${String(tuple[port])}`}`;
  const way = (tuple: Tuple): string => `${end(tuple, "src", "sport")} > ${end(tuple, "dst", "dport")}`;
  const lines = connections.map((entry) =>
    `  ${String(entry["proto"])}${entry["state"] === undefined ? "" : ` ${String(entry["state"])}`} ${way(entry["orig"] as Tuple)}, replies ` +
    `${way(entry["reply"] as Tuple)} [${(entry["flags"] as readonly string[]).join(" ")}]${entry["mark"] === 0 ? "" : ` mark ${String(entry["mark"])}`}`);
  const snmp = Object.entries(result["snmp"] as Readonly<Record<string, number>>).map(([name, value]) => `${name} ${value}`);
  return [
    ...(lines.length > 0 ? ["connections", ...lines] : []),
    ...(snmp.length > 0 ? [`counters: ${snmp.join(", ")}`] : []),
  ];
};
