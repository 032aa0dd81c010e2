/** `ip` (ip/ip.c): options, then an object and what to do with it. */
import type { Netns } from "../../kernel/netns.ts";
import { abbreviates, invalid, ToolExit, Words, type Streams, type ToolHost, type ToolResult } from "../tool.ts";
import { ipAddress } from "./address.ts";
import type { Family, IpContext } from "./context.ts";
import { ipLink } from "./link.ts";
import { ipMaddress, ipNetconf } from "./more.ts";
import { ipNeigh } from "./neighbour.ts";
import { ipNetns } from "./netns.ts";
import { ipRoute } from "./route.ts";
import { ipRule } from "./rule.ts";
import { ipTuntap } from "./tuntap.ts";
import { IP, MONITOR } from "./usage.ts";

type Run = (host: ToolHost, argv: readonly string[]) => ToolResult;
type ObjectOf = (context: IpContext, words: Words) => void;

const VERSION = "ip utility, iproute2-6.1.0, libbpf 1.1.2\n";

/** In the order in which beginnings of their names are tried. */
const OBJECTS: readonly (readonly [string, ObjectOf | undefined])[] = [
  ["address", ipAddress], ["addrlabel", undefined], ["maddress", ipMaddress], ["route", ipRoute], ["rule", ipRule], ["neighbor", ipNeigh],
  ["neighbour", ipNeigh], ["ntable", undefined], ["ntbl", undefined], ["link", ipLink], ["l2tp", undefined], ["fou", undefined],
  ["ila", undefined], ["macsec", undefined], ["tunnel", undefined], ["tunl", undefined], ["tuntap", ipTuntap], ["tap", ipTuntap],
  ["token", undefined], ["tcpmetrics", undefined], ["tcp_metrics", undefined], ["monitor", monitor], ["xfrm", undefined],
  ["mroute", undefined], ["mrule", undefined], ["netns", ipNetns], ["netconf", ipNetconf], ["vrf", undefined], ["sr", undefined],
  ["nexthop", undefined], ["mptcp", undefined], ["ioam", undefined], ["help", help], ["stats", undefined],
];

function help(): never {
  throw new ToolExit(255, IP);
}

/** There is nothing to wait for: time stands still while a tool runs. */
function monitor(_context: IpContext, words: Words): void {
  if (words.word !== undefined && abbreviates(words.word, "help")) throw new ToolExit(255, MONITOR);
}

const FAMILIES: Readonly<Record<string, Family>> = { inet: "inet", inet6: "inet6", link: "link", mpls: "link", bridge: "link", any: undefined };

/** Runs `ip ARGS…`; `run` runs other tools (`ip netns exec`). */
export function ip(host: ToolHost, args: readonly string[], streams: Streams, run: Run, stdin = ""): number {
  const options = {
    family: undefined as Family, details: false, stats: 0, oneline: false, brief: false, json: false, pretty: false, numeric: false, resolve: false,
  };
  let netns: Netns = host.netns;
  let batch = false;
  let force = false;
  let at = 0;
  for (; at < args.length; at++) {
    let option = args[at]!;
    if (option === "--") {
      at++;
      break;
    }
    if (!option.startsWith("-")) break;
    if (option.startsWith("--")) option = option.slice(1);
    const is = (name: string): boolean => abbreviates(option, name);
    const value = (): string => {
      const next = args[++at];
      if (next === undefined) throw new ToolExit(255, IP);
      return next;
    };
    if (is("-loops")) value();
    else if (is("-family")) {
      const name = value();
      if (name === "help") throw new ToolExit(255, IP);
      if (!(name in FAMILIES)) throw invalid("invalid protocol family", name);
      options.family = FAMILIES[name];
    } else if (option === "-4") options.family = "inet";
    else if (option === "-6") options.family = "inet6";
    else if (option === "-0" || option === "-M" || option === "-B") options.family = "link";
    else if (is("-human") || option === "-h" || is("-iec") || is("-timestamp") || is("-tshort") || is("-echo") || is("-all")) continue;
    else if (is("-force")) force = true;
    else if (is("-stats") || is("-statistics")) options.stats++;
    else if (is("-details")) options.details = true;
    else if (is("-resolve")) options.resolve = true;
    else if (is("-oneline")) options.oneline = true;
    else if (is("-Version")) {
      streams.stdout += VERSION;
      return 0;
    } else if (is("-batch")) {
      const file = value();
      if (file !== "-") throw new ToolExit(1, `Cannot open file "${file}" for reading: No such file or directory\n`);
      batch = true;
    }
    else if (is("-brief")) options.brief = true;
    else if (is("-json")) options.json = true;
    else if (is("-pretty")) options.pretty = true;
    else if (is("-rcvbuf")) value();
    else if (/^-c(?:o(?:l(?:o(?:r)?)?)?)?(?:=(?:always|auto|never))?$/.test(option)) continue;
    else if (is("-help")) throw new ToolExit(255, IP);
    else if (is("-netns")) {
      const name = value();
      const found = host.namespaces.get(name);
      if (found === undefined) throw new ToolExit(255, `Cannot open network namespace "${name}": No such file or directory\n`);
      netns = found;
    } else if (is("-Numeric")) options.numeric = true;
    else throw new ToolExit(255, `Option "${option}" is unknown, try "ip -help".\n`);
  }
  if (batch) {
    const before = args.slice(0, at).filter((arg, i) => !/^-{1,2}b[atch]*$/.test(arg) && !/^-{1,2}b[atch]*$/.test(args[i - 1] ?? ""));
    return runBatch(stdin, force, streams, (line) => ip({ ...host, netns }, [...before, ...line], streams, run));
  }
  const words = new Words(args.slice(at));
  const name = words.word;
  if (name === undefined) throw new ToolExit(255, IP);
  const object = OBJECTS.find(([known]) => abbreviates(name, known));
  if (object === undefined) throw new ToolExit(1, `Object "${name}" is unknown, try "ip help".\n`);
  words.skip();
  const context: IpContext = { ...options, host: { ...host, netns }, netns, streams, run: (inside, argv) => run({ ...host, netns: inside }, argv) };
  object[1]?.(context, words);
  return 0;
}

/**
 * `-batch -` (lib/utils.c, do_batch): the lines of standard input as commands. A command that the kernel or `ip` refuses ends it unless
 * `force`; a mistake in its words ends the program (255), as the real one leaves from there.
 */
function runBatch(text: string, force: boolean, streams: Streams, command: (words: readonly string[]) => number): number {
  let status = 0;
  let number = 0;
  let pending = "";
  for (const part of text.split("\n")) {
    number++;
    if (part.endsWith("\\")) {
      pending += part.slice(0, -1);
      continue;
    }
    const line = (pending + part).replace(/#.*/, "");
    pending = "";
    const words = [...line.matchAll(/"([^"]*)"|'([^']*)'|[^ \t]+/g)].map(([whole, double, single]) => double ?? single ?? whole);
    if (words.length === 0) continue;
    try {
      if (command(words) === 0) continue;
    } catch (error) {
      if (!(error instanceof ToolExit)) throw error;
      streams.stderr += error.stderr;
      if (error.exitCode === 255) return 255;
    }
    streams.stderr += `Command failed -:${number}\n`;
    status = 1;
    if (!force) break;
  }
  return status;
}
