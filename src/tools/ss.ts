/** `ss` (misc/ss.c). */
import { SS } from "./other-usage.ts";
import { socketList, type SocketInfo } from "./sockets.ts";
import { addressOf } from "./ip/context.ts";
import { ToolExit, unsigned, type SocketProgram, type Streams, type ToolHost } from "./tool.ts";

const usage = (message: string): ToolExit => new ToolExit(255, `${message}${SS}`);

const ALL_STATES = ["ESTAB", "SYN-SENT", "SYN-RECV", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "UNCONN", "CLOSE-WAIT", "LAST-ACK", "LISTEN", "CLOSING"];
const CONNECTED = ALL_STATES.filter((state) => state !== "UNCONN" && state !== "LISTEN" && state !== "TIME-WAIT" && state !== "SYN-RECV");
const STATE_NAMES: Readonly<Record<string, readonly string[]>> = {
  all: ALL_STATES, connected: ALL_STATES.filter((state) => state !== "UNCONN" && state !== "LISTEN"),
  synchronized: ALL_STATES.filter((state) => !["UNCONN", "LISTEN", "SYN-SENT"].includes(state)), bucket: ["SYN-RECV", "TIME-WAIT"],
  big: ALL_STATES.filter((state) => state !== "SYN-RECV" && state !== "TIME-WAIT"),
  established: ["ESTAB"], estab: ["ESTAB"], "syn-sent": ["SYN-SENT"], "syn-recv": ["SYN-RECV"], "syn_sent": ["SYN-SENT"], "syn_recv": ["SYN-RECV"],
  "fin-wait-1": ["FIN-WAIT-1"], "fin-wait-2": ["FIN-WAIT-2"], "time-wait": ["TIME-WAIT"], timewait: ["TIME-WAIT"], unconnected: ["UNCONN"],
  closed: ["UNCONN"], close: ["UNCONN"], "close-wait": ["CLOSE-WAIT"], "last-ack": ["LAST-ACK"], listening: ["LISTEN"], listen: ["LISTEN"],
  closing: ["CLOSING"],
};
const TABLES: Readonly<Record<string, readonly SocketInfo["netid"][]>> = {
  all: ["icmp", "raw", "udp", "tcp"], inet: ["icmp", "raw", "udp", "tcp"], tcp: ["tcp"], udp: ["udp"], raw: ["raw"], unix: [], packet: [], netlink: [],
  "unix_dgram": [], "unix_stream": [], "unix_seqpacket": [], "packet_raw": [], "packet_dgram": [], dccp: [], sctp: [], vsock: [], tipc: [], xdp: [], mptcp: [],
};
/** Long options by their short ones; those with an argument end in ":". */
const LONG: Readonly<Record<string, string>> = {
  numeric: "n", resolve: "r", options: "o", extended: "e", memory: "m", info: "i", processes: "p", threads: "T", bpf: "b", events: "E", dccp: "d",
  tcp: "t", sctp: "S", udp: "u", raw: "w", unix: "x", vsock: "v", all: "a", listening: "l", ipv4: "4", ipv6: "6", packet: "0", family: "f:",
  socket: "A:", query: "A:", summary: "s", diag: "D:", filter: "F:", version: "V", help: "h", context: "Z", contexts: "z", net: "N:", tipcinfo: "tipcinfo",
  kill: "K", "no-header": "H", xdp: "xdp", mptcp: "M", oneline: "O", "inet-sockopt": "inet-sockopt", cgroup: "cgroup", tos: "tos",
};

interface Options {
  tables: Set<SocketInfo["netid"]>;
  /** Was some table asked for? */
  chosen: boolean;
  all: boolean;
  listening: boolean;
  header: boolean;
  numeric: boolean;
  processes: boolean;
  /** DCCP was asked for by name; it is in "all", too. */
  dccp: boolean;
  family: "inet" | "inet6" | undefined;
  states: readonly string[] | undefined;
}

export function ss(host: ToolHost, args: readonly string[], streams: Streams): number {
  const options: Options = {
    tables: new Set(), chosen: false, all: false, listening: false, header: true, numeric: false, processes: false, dccp: false, family: undefined, states: undefined,
  };
  const choose = (name: string): void => {
    options.chosen = true;
    if (["all", "inet", "dccp"].includes(name)) options.dccp = true;
    for (const netid of TABLES[name] ?? []) options.tables.add(netid);
  };
  const rest: string[] = [];
  let summary = false;
  const one = (letter: string, value: () => string): number | undefined => {
    switch (letter) {
      case "t": choose("tcp"); break;
      case "u": choose("udp"); break;
      case "w": choose("raw"); break;
      case "d": choose("dccp"); break;
      case "x": case "S": case "v": case "M": case "xdp": case "tipcinfo": options.chosen = true; break;
      case "0": options.chosen = true; break;
      case "a": options.all = true; break;
      case "l": options.listening = true; break;
      case "n": options.numeric = true; break;
      case "p": options.processes = true; break;
      case "H": options.header = false; break;
      case "4": options.family = "inet"; break;
      case "6": options.family = "inet6"; break;
      case "s": summary = true; break;
      case "V":
        streams.stdout += "ss utility, iproute2-6.1.0\n";
        return 0;
      case "h":
        streams.stdout += SS;
        return 0;
      case "f": {
        const family = value();
        if (!["inet", "inet6", "link", "unix", "netlink", "vsock", "tipc", "xdp", "help"].includes(family)) {
          throw usage(`ss: "${family}" is invalid family\n`);
        }
        if (family === "inet" || family === "inet6") options.family = family;
        else options.chosen = true;
        break;
      }
      case "A":
        for (const name of value().split(",")) {
          if (!(name in TABLES)) throw usage(`ss: "${name}" is illegal socket table id\n`);
          choose(name);
        }
        break;
      case "N": {
        const name = value();
        const netns = host.namespaces.get(name);
        if (netns === undefined) throw new ToolExit(1, `Cannot open network namespace "${name}": No such file or directory\n`);
        host = { ...host, netns };
        break;
      }
      case "D": case "F": value(); break;
    }
    return undefined;
  };
  for (let at = 0; at < args.length; at++) {
    const arg = args[at]!;
    const value = (): string => {
      const next = args[++at];
      if (next === undefined) throw usage(`/usr/bin/ss: option requires an argument -- '${arg.slice(-1)}'\n`);
      return next;
    };
    if (arg.startsWith("--")) {
      const [name = "", attached] = arg.slice(2).split("=");
      const letter = LONG[name];
      if (letter === undefined) throw usage(`/usr/bin/ss: unrecognized option '${arg}'\n`);
      const done = one(letter.replace(":", ""), attached === undefined ? value : () => attached);
      if (done !== undefined) return done;
    } else if (arg.startsWith("-") && arg.length > 1) {
      for (let i = 1; i < arg.length; i++) {
        const letter = arg[i]!;
        if (!"nropemiTbEdtSuwxvaflAsDFVhZzNKHMO460".includes(letter)) throw usage(`/usr/bin/ss: invalid option -- '${letter}'\n`);
        const takes = "fADFN".includes(letter);
        const done = one(letter, takes && i + 1 < arg.length ? () => arg.slice(i + 1) : value);
        if (done !== undefined) return done;
        if (takes) break;
      }
    } else rest.push(arg);
  }
  if (summary) {
    streams.stdout += summaryOf(socketList(host.netns));
    return 0;
  }
  const words = readStates(rest, options);
  const matches = words.length === 0 ? () => true : filter(words);
  print(host, options, matches, streams);
  return 0;
}

/** `state NAME` and `exclude NAME` before the filter. */
function readStates(words: readonly string[], options: Options): readonly string[] {
  let at = 0;
  for (; words[at] === "state" || words[at] === "exclude" || words[at] === "excl"; at += 2) {
    const name = words[at + 1];
    if (name === undefined) throw usage(`ss: missing state name\n`);
    const states = STATE_NAMES[name.toLowerCase()];
    if (states === undefined) throw new ToolExit(255, `ss: wrong state name: ${name}\n`);
    options.states = words[at] === "state" ? [...(options.states ?? []), ...states] : (options.states ?? ALL_STATES).filter((state) => !states.includes(state));
  }
  return words.slice(at);
}

const SERVICES: Readonly<Record<number, string>> = {
  22: "ssh", 53: "domain", 67: "bootps", 68: "bootpc", 80: "http", 123: "ntp", 443: "https", 8080: "http-alt",
};

function print(host: ToolHost, options: Options, matches: (socket: SocketInfo) => boolean, streams: Streams): void {
  const { all, listening } = options;
  const tables = options.chosen ? options.tables : new Set(TABLES["all"]);
  const states = options.states ?? (all ? ALL_STATES : listening ? ["LISTEN", "UNCONN"] : CONNECTED);
  // The kernel has no DCCP any more (since 6.16).
  if (options.dccp || !options.chosen) streams.stderr += "RTNETLINK answers: Invalid argument\n";
  const list = socketList(host.netns);
  const rows: string[][] = [];
  const order: readonly SocketInfo["netid"][] = ["raw", "udp", "tcp", "icmp"];
  for (const netid of order) {
    for (const socket of list) {
      if (socket.netid !== netid || (!tables.has(netid) && !(netid === "icmp" && !options.chosen)) || !states.includes(socket.state)) continue;
      if (options.family !== undefined && options.family !== socket.family) continue;
      if (matches(socket)) rows.push(rowOf(socket, options.numeric, options.processes ? host.programOf?.(socket) : undefined));
    }
  }
  const oneTable = options.chosen && tables.size === 1;
  const oneState = options.states !== undefined ? new Set(states).size === 1 : !all && !listening && tables.size === 1 && !tables.has("tcp");
  const columns = [
    { header: "Netid", shown: !oneTable || !options.chosen, left: true, delimiter: "" },
    { header: "State", shown: !oneState, left: true, delimiter: " " },
    { header: "Recv-Q", shown: true, left: true, delimiter: " " },
    { header: "Send-Q", shown: true, left: true, delimiter: " " },
    { header: "Local Address:", shown: true, left: false, delimiter: " " },
    { header: "Port", shown: true, left: true, delimiter: "" },
    { header: "Peer Address:", shown: true, left: false, delimiter: " " },
    { header: "Port", shown: true, left: true, delimiter: "" },
    { header: "Process", shown: true, left: true, delimiter: "" },
  ];
  const lines = options.header ? [columns.map(({ header }) => header), ...rows] : rows;
  const widths = columns.map((_, i) => Math.max(...lines.map((row) => row[i]!.length), 0));
  for (const row of lines) {
    let first = true;
    let text = "";
    columns.forEach(({ shown, left, delimiter }, i) => {
      if (!shown) return;
      if (!first) text += delimiter;
      first = false;
      text += left ? row[i]!.padEnd(widths[i]!) : row[i]!.padStart(widths[i]!);
    });
    streams.stdout += `${text}\n`;
  }
}

function rowOf(
  { netid, state, receive, send, address, port, remote, remotePort, v6only }: SocketInfo, numeric: boolean, program: SocketProgram | undefined,
): string[] {
  const number = (value: number): string => (value === 0 ? "*" : numeric ? String(value) : (SERVICES[value] ?? String(value)));
  const host = (text: string): string => (text === "::" && !v6only ? "*:" : text.includes(":") ? `[${text}]:` : `${text}:`);
  return [netid, state, String(receive).padEnd(6), String(send).padEnd(6), host(address), number(port), host(remote), number(remotePort),
    program === undefined ? "" : ` users:(("${program.name}",pid=${program.pid},fd=${program.fd}))`];
}

function summaryOf(sockets: readonly SocketInfo[]): string {
  const of = (netid: SocketInfo["netid"], v6?: boolean): number =>
    sockets.filter((socket) => socket.netid === netid && socket.state !== "TIME-WAIT" && (v6 === undefined || v6 === (socket.family === "inet6"))).length;
  const tcp = sockets.filter(({ netid }) => netid === "tcp");
  const timewait = tcp.filter(({ state }) => state === "TIME-WAIT").length;
  const established = tcp.filter(({ state }) => state === "ESTAB").length;
  const closed = tcp.filter(({ state }) => state === "UNCONN").length + timewait;
  const row = (name: string, total: number, v4: number, v6: number): string => `${name}\t  ${String(total).padEnd(9)} ${String(v4).padEnd(9)} ${String(v6).padEnd(9)}\n`;
  const line = (name: string, netid: SocketInfo["netid"]): string => row(name, of(netid), of(netid, false), of(netid, true));
  const both = (v6?: boolean): number => of("raw", v6) + of("udp", v6) + of("tcp", v6);
  return `Total: ${sockets.length}\nTCP:   ${tcp.length} (estab ${established}, closed ${closed}, orphaned 0, timewait ${timewait})\n\n` +
    `Transport Total     IP        IPv6\n${line("RAW", "raw")}${line("UDP", "udp")}${line("TCP", "tcp")}` +
    `${row("INET", both(), both(false), both(true))}${row("FRAG", 0, 0, 0)}\n`;
}

type Test = (socket: SocketInfo) => boolean;

/** The filter expression (misc/ssfilter.y): `and`, `or`, `not`, parentheses, `src`, `dst`, `sport`, `dport`, `dev`. */
function filter(words: readonly string[]): Test {
  const tokens = words.flatMap((word) => word.split(/([()!]|==|>=|<=|!=|&&|\|\||(?<![<>=!])=|[<>](?!=))/)).map((token) => token.trim()).filter((token) => token !== "");
  let at = 0;
  const syntax = (): ToolExit => usage('ss: bison bellows (while parsing filter): "syntax error!" Sorry.\n');
  const expression = (): Test => {
    let left = conjunction();
    while (tokens[at] === "or" || tokens[at] === "|" || tokens[at] === "||") {
      at++;
      const [a, b] = [left, conjunction()];
      left = (socket) => a(socket) || b(socket);
    }
    return left;
  };
  const conjunction = (): Test => {
    let left = factor();
    while (at < tokens.length && tokens[at] !== ")" && tokens[at] !== "or" && tokens[at] !== "|" && tokens[at] !== "||") {
      if (tokens[at] === "and" || tokens[at] === "&" || tokens[at] === "&&") at++;
      const [a, b] = [left, factor()];
      left = (socket) => a(socket) && b(socket);
    }
    return left;
  };
  const factor = (): Test => {
    const token = tokens[at++];
    if (token === "not" || token === "!") {
      const test = factor();
      return (socket) => !test(socket);
    }
    if (token === "(") {
      const test = expression();
      if (tokens[at++] !== ")") throw syntax();
      return test;
    }
    if (token === "src" || token === "dst") return host(token === "src", tokens[at++]);
    if (token === "sport" || token === "dport") return port(token === "sport");
    throw syntax();
  };
  const port = (local: boolean): Test => {
    const operators: Readonly<Record<string, (a: number, b: number) => boolean>> = {
      "=": (a, b) => a === b, "==": (a, b) => a === b, eq: (a, b) => a === b, "!=": (a, b) => a !== b, ne: (a, b) => a !== b, neq: (a, b) => a !== b,
      ">": (a, b) => a > b, gt: (a, b) => a > b, ">=": (a, b) => a >= b, ge: (a, b) => a >= b, geq: (a, b) => a >= b, "<": (a, b) => a < b,
      lt: (a, b) => a < b, "<=": (a, b) => a <= b, le: (a, b) => a <= b, leq: (a, b) => a <= b,
    };
    const compare = operators[tokens[at] ?? ""] ?? operators["="]!;
    if (operators[tokens[at] ?? ""] !== undefined) at++;
    const word = tokens[at++];
    if (word === undefined) throw syntax();
    const value = portNumber(word.slice(word.lastIndexOf(":") + 1));
    return (socket) => compare(local ? socket.port : socket.remotePort, value);
  };
  const host = (local: boolean, first: string | undefined): Test => {
    let word = first;
    if (word === "=" || word === "==" || word === "eq") word = tokens[at++];
    if (word === undefined) throw syntax();
    const v6 = /^\[(.*)\](?::(.*))?$/.exec(word);
    const [address = "", portText] = v6 === null ? (word.includes(":") ? [word.slice(0, word.lastIndexOf(":")), word.slice(word.lastIndexOf(":") + 1)] : [word]) : [v6[1], v6[2]];
    const [text = "", length] = address.split("/");
    const parsed = text === "" || text === "*" ? undefined : addressOf(text);
    const room = parsed?.family === "inet6" ? 128 : 32;
    const bits = length === undefined ? room : unsigned(length);
    if (text !== "" && text !== "*" && (parsed === undefined || bits === undefined || bits > room)) {
      throw new ToolExit(1, `Error: an inet prefix is expected rather than "${address}".\nCannot parse dst/src address.\n`);
    }
    const wantedPort = portText === undefined || portText === "" || portText === "*" ? undefined : portNumber(portText);
    const number = (dotted: string): number => dotted.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
    return (socket) => {
      const [end, ownPort] = local ? [socket.address, socket.port] : [socket.remote, socket.remotePort];
      const own = end.startsWith("::ffff:") ? end.slice(7) : end;
      if (wantedPort !== undefined && ownPort !== wantedPort) return false;
      if (parsed === undefined) return true;
      if (parsed.family === "inet6" || own.includes(":")) return own === parsed.address;
      const size = 2 ** (32 - bits!);
      return Math.floor(number(own) / size) === Math.floor(number(parsed.address) / size);
    };
  };
  const test = expression();
  if (at < tokens.length) throw syntax();
  return test;
}

function portNumber(text: string): number {
  const named = Object.entries(SERVICES).find(([, name]) => name === text)?.[0];
  const value = named === undefined ? unsigned(text, 65535) : Number(named);
  if (value === undefined) throw new ToolExit(1, `Error: "${text}" does not look like a port.\nCannot parse dst/src address.\n`);
  return value;
}
