/** `tc` (tc/tc.c): options, then an object and what to do with it. */
import { TC } from "../other-usage.ts";
import { abbreviates, ToolExit, Words, type Streams, type ToolHost } from "../tool.ts";
import { classes } from "./class.ts";
import type { TcContext } from "./context.ts";
import { actions, filter } from "./filter.ts";
import { qdisc } from "./qdisc.ts";

const OBJECTS: readonly (readonly [string, (context: TcContext, words: Words) => void])[] = [
  ["qdisc", qdisc], ["class", classes], ["filter", filter], ["chain", () => {}], ["actions", actions], ["monitor", () => {}], ["exec", () => {}],
  ["help", () => {
    throw new ToolExit(0, TC);
  }],
];

export function tc(host: ToolHost, args: readonly string[], streams: Streams, stdin: string): number {
  const options = { stats: false, details: false, json: false, pretty: false, graph: false };
  let { netns } = host;
  let batch: string | undefined;
  let force = false;
  let at = 0;
  for (; at < args.length && args[at]!.startsWith("-"); at++) {
    const option = args[at]!;
    const is = (name: string): boolean => abbreviates(option, name);
    if (is("-stats") || is("-statistics")) options.stats = true;
    else if (is("-details")) options.details = true;
    else if (is("-raw") || is("-iec") || is("-oneline") || is("-Numeric") || is("-nm") || is("-timestamp") || is("-tshort")) continue;
    else if (is("-pretty")) options.pretty = true;
    else if (is("-graph")) options.graph = true;
    else if (is("-Version")) {
      streams.stdout += "tc utility, iproute2-6.1.0, libbpf 1.1.2\n";
      return 0;
    } else if (is("-help")) throw new ToolExit(0, TC);
    else if (is("-force")) force = true;
    else if (is("-batch")) batch = args[++at] ?? "";
    else if (is("-netns")) {
      const name = args[++at] ?? "";
      const found = host.namespaces.get(name);
      if (found === undefined) throw new ToolExit(255, `Cannot open network namespace "${name}": No such file or directory\n`);
      netns = found;
    } else if (/^-c(?:o(?:l(?:o(?:r)?)?)?)?(?:=(?:always|auto|never))?$/.test(option)) continue;
    else if (is("-json")) options.json = true;
    else throw new ToolExit(255, `Option "${option}" is unknown, try "tc -help".\n`);
  }
  const context: TcContext = { ...options, host: { ...host, netns }, netns, streams };
  if (batch !== undefined) return runBatch(batch, stdin, force, streams, (words) => run(context, words));
  const words = new Words(args.slice(at));
  if (words.word === undefined) throw new ToolExit(0, TC);
  run(context, words);
  return 0;
}

function run(context: TcContext, words: Words): void {
  const name = words.word!;
  const object = OBJECTS.find(([known]) => abbreviates(name, known));
  if (object === undefined) throw new ToolExit(255, `Object "${name}" is unknown, try "tc help".\n`);
  words.skip();
  object[1](context, words);
}

/**
 * do_batch() of lib/utils.c: lines of standard input (`-`), comments behind `#`, the first that fails ends it without `-force`. Files there
 * are none.
 */
export function runBatch(file: string, stdin: string, force: boolean, streams: Streams, each: (words: Words) => void): number {
  if (file !== "-") throw new ToolExit(1, `Cannot open file "${file}" for reading: No such file or directory\n`);
  let status = 0;
  for (const [i, line] of stdin.split("\n").entries()) {
    const words = line.replace(/#.*$/, "").split(/[ \t]+/).filter((word) => word !== "");
    if (words.length === 0) continue;
    try {
      each(new Words(words));
    } catch (error) {
      if (!(error instanceof ToolExit)) throw error;
      streams.stderr += error.stderr;
      if (error.exitCode === 0) continue;
      streams.stderr += `Command failed -:${i + 1}\n`;
      status = 1;
      if (!force) break;
    }
  }
  return status;
}
