/**
 * What does the API server carry? The same requests in process (the handler chain over the embedded store) and over HTTPS (HTTP/2, 50
 * requests in flight, the client a process of its own on another core): creates a second of ConfigMaps and Pods, a list of 5,000 pods,
 * watches, memory, and the time from an empty process to a server that is ready. Validation and admission are on.
 *
 * Beside it: what a real kube-apiserver v1.32.13 with etcd 3.5 did over HTTPS on a machine like this one (two cores, recorded once; no
 * such server can be started here).
 */
import { type Bench, type Measured, median } from "./lib/bench.ts";

/** What bench/apiserver/in-process.ts prints. Times in ms, rates per second, sizes in bytes. */
export interface InProcess {
  readonly imported: number;
  readonly ready: number;
  readonly configMaps: number;
  readonly pods: number;
  readonly list: number;
  readonly listBytes: number;
  readonly watchers: number;
  readonly bytesPerPod: number;
}

/** What bench/apiserver/https.ts prints. */
export interface OverHttps {
  readonly configMaps: number;
  readonly pods: number;
  /** What the server's CPU time would allow, were the client never the slower one. */
  readonly configMapsOnOneCore: number;
  readonly podsOnOneCore: number;
  readonly list: number;
  readonly listBytes: number;
}

const REAL = { ready: 3600, configMaps: 1490, pods: 1130, list: 130 } as const;
const AIMS = { ready: 60, inProcess: 20_000, https: 4000, list: 60, bytesPerPod: 6 * 1024 } as const;

export async function main({ prepare, runs }: Bench): Promise<Measured> {
  const inProcess = await prepare("bench/apiserver/in-process.ts");
  const https = await prepare("bench/apiserver/https.ts");
  const near: InProcess[] = [];
  const far: OverHttps[] = [];
  try {
    for (let turn = 0; turn < Math.min(runs, 5); turn++) {
      near.push((await inProcess.run()) as InProcess);
      far.push((await https.run()) as OverHttps);
    }
  } finally {
    inProcess.dispose();
    https.dispose();
  }
  const middle = <T extends object>(all: readonly T[]): T =>
    Object.fromEntries(Object.keys(all[0]!).map((key) => [key, median(all.map((one) => (one as Record<string, number>)[key]!))])) as T;
  const n = middle(near);
  const f = middle(far);
  const rows: [string, number, number | undefined, number, boolean][] = [
    ["import and ready, ms", n.ready, REAL.ready, AIMS.ready, false],
    ["in process, ConfigMaps created/s", n.configMaps, undefined, AIMS.inProcess, true],
    ["in process, Pods created/s", n.pods, undefined, AIMS.inProcess, true],
    ["in process, list of 5,000 pods as JSON, ms", n.list, REAL.list, AIMS.list, false],
    ["100 watchers, 10,000 pods: events/s", n.watchers, undefined, 0, true],
    ["memory per pod beside its JSON, bytes", n.bytesPerPod, undefined, AIMS.bytesPerPod, false],
    ["HTTPS, ConfigMaps created/s", f.configMaps, REAL.configMaps, AIMS.https, true],
    ["HTTPS, Pods created/s", f.pods, REAL.pods, AIMS.https, true],
    ["HTTPS, ConfigMaps/s by the server's CPU time", f.configMapsOnOneCore, undefined, AIMS.https, true],
    ["HTTPS, Pods/s by the server's CPU time", f.podsOnOneCore, undefined, AIMS.https, true],
    ["HTTPS, list of 5,000 pods, ms", f.list, REAL.list, AIMS.list, false],
  ];
  const cell = (value: number | undefined): string => (value === undefined || value === 0 ? "-" : value.toFixed(value < 100 ? 1 : 0));
  const text = [
    `${"".padEnd(46)}${["kubewire", "real", "ratio", "aim"].map((head) => head.padStart(10)).join("")}`,
    ...rows.map(([name, ours, real, aim, more]) => {
      const ratio = real === undefined ? undefined : more ? ours / real : real / ours;
      return `${name.padEnd(46)}${[cell(ours), cell(real), ratio === undefined ? "-" : `${ratio.toFixed(1)}x`, cell(aim)].map((one) => one.padStart(10)).join("")}`;
    }),
    `the list: ${(n.listBytes / 1e6).toFixed(1)} MB; medians of ${near.length} runs`,
  ].join("\n");
  return { text, data: { runs: near.length, inProcess: n, https: f, real: REAL, aims: AIMS } };
}
