/** The busybox programs, as values by name: small ones that probes, examples and `exec` use. */
import { defineImage, type Image, type ProgramContext } from "../cri/program.ts";
import { addressesIn, lookupHosts, parseResolvConf, resolve, ResolveError, searchOrder, exchange } from "../dns/resolver.ts";
import { RCODE, TYPE } from "../dns/message.ts";
import { httpRequest, parseHttpUrl } from "../http/client.ts";
import { dispatch, forever, text, type Program } from "./program.ts";

const args = (context: ProgramContext): string[] => context.argv.slice(1) as string[];

/** Seconds of `5`, `2.5s`, `1m`, `1h`, `1d` or `infinity`; undefined for anything else. */
function sleepSeconds(word: string): number | undefined {
  if (word === "infinity" || word === "inf") return Infinity;
  const match = /^([0-9]*\.?[0-9]+)([smhd]?)$/.exec(word);
  return match === null ? undefined : Number(match[1]) * { "": 1, s: 1, m: 60, h: 3600, d: 86_400 }[match[2] as "" | "s"]!;
}

/** Ignores SIGTERM: as process 1 of a container it has no handler, so the kernel does not deliver it. */
const sleep: Program = async (context) => {
  const words = args(context);
  let total = 0;
  for (const word of words) {
    const seconds = sleepSeconds(word);
    if (seconds === undefined) {
      context.stderr(`sleep: invalid number '${word}'\n`);
      return 1;
    }
    total += seconds;
  }
  if (words.length === 0) {
    context.stderr("BusyBox v1.37.0 multi-call binary.\n\nUsage: sleep [N]...\n");
    return 1;
  }
  if (total === Infinity) return forever();
  await context.clock.sleep(total * 1000);
  return 0;
};

const echo: Program = async (context) => {
  const words = args(context);
  const newline = words[0] !== "-n";
  context.stdout(words.slice(newline ? 0 : 1).join(" ") + (newline ? "\n" : ""));
  return 0;
};

const cat: Program = async (context) => {
  let code = 0;
  const paths = args(context);
  for (const path of paths.length === 0 ? ["-"] : paths) {
    if (path === "-") {
      for (let bytes; (bytes = await context.stdin?.()) !== undefined;) context.stdout(text(bytes));
      continue;
    }
    const bytes = context.readFile(path);
    if (bytes === undefined) {
      context.stderr(`cat: can't open '${path}': No such file or directory\n`);
      code = 1;
    } else context.stdout(text(bytes));
  }
  return code;
};

const hostname: Program = async (context) => {
  context.stdout(`${context.hostname}\n`);
  return 0;
};

const env: Program = async (context) => {
  for (const [name, value] of Object.entries(context.env)) context.stdout(`${name}=${value}\n`);
  return 0;
};

const test: Program = async (context) => {
  const words = args(context).filter((word) => word !== "]");
  const [op, operand] = words;
  if (op === "-f" || op === "-e") return context.readFile(operand ?? "") === undefined ? 1 : 0;
  if (op === "-n") return (operand ?? "") === "" ? 1 : 0;
  if (op === "-z") return (operand ?? "") === "" ? 0 : 1;
  if (words[1] === "=") return words[0] === words[2] ? 0 : 1;
  if (words[1] === "!=") return words[0] !== words[2] ? 0 : 1;
  return words.length === 1 && words[0] !== "" ? 0 : 1;
};

const wget: Program = async (context) => {
  let quiet = false, output: string | undefined, timeoutMs = 900_000, spider = false;
  const urls: string[] = [];
  const words = args(context);
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const flags = /^-([qSO]+)(.*)$/.exec(word);
    if (word === "--spider") spider = true;
    else if (word === "-T" || word === "--timeout") timeoutMs = Number(words[++i]) * 1000;
    else if (word.startsWith("--timeout=")) timeoutMs = Number(word.slice(10)) * 1000;
    else if (word === "-t" || word === "--tries") i++;
    else if (flags !== null) {
      quiet ||= flags[1]!.includes("q");
      if (flags[1]!.includes("O")) output = flags[2] === "" ? words[++i] : flags[2];
    } else urls.push(word);
  }
  const fail = (message: string): number => {
    context.stderr(`wget: ${message}\n`);
    return 1;
  };
  const url = parseHttpUrl(urls[0] ?? "");
  if (url === undefined) return fail(`not an http or ftp url: ${urls[0] ?? ""}`);
  const limit = new AbortController();
  const cancel = context.clock.after(timeoutMs, () => limit.abort());
  try {
    let address: string;
    try {
      address = (await resolve(context, url.host, { signal: limit.signal }))[0]!;
    } catch (error) {
      return fail(limit.signal.aborted ? "download timed out" : error instanceof ResolveError ? `bad address '${url.host}'` : String(error));
    }
    if (!quiet) context.stderr(`Connecting to ${url.host} (${address}:${url.port})\n`);
    const host = url.port === 80 ? url.host : `${url.host}:${url.port}`;
    const response = await httpRequest(context.net, address, url.port, {
      target: url.target, method: spider ? "HEAD" : "GET", headers: [["Host", host], ["User-Agent", "Wget"], ["Connection", "close"]],
    }, limit.signal);
    if (response.status >= 400) return fail(`server returned error: ${response.version} ${response.status} ${response.reason}`);
    if (output === "-") context.stdout(text(response.body));
    return 0;
  } catch (error) {
    if (limit.signal.aborted) return fail("download timed out");
    const code = (error as { code?: string }).code;
    const words: Readonly<Record<string, string>> = {
      ECONNREFUSED: "Connection refused", EHOSTUNREACH: "Host is unreachable", ENETUNREACH: "Network unreachable",
      ETIMEDOUT: "Operation timed out", ECONNRESET: "Connection reset by peer",
    };
    return fail(code === undefined ? "error getting response" : `can't connect to remote host (${url.host}): ${words[code] ?? code}`);
  } finally {
    cancel();
  }
};

const nslookup: Program = async (context) => {
  const [name, server] = args(context).filter((word) => !word.startsWith("-"));
  if (name === undefined) return 1;
  const file = context.readFile("/etc/resolv.conf");
  const conf = parseResolvConf(file === undefined ? "" : text(file));
  const nameservers = server === undefined ? conf.nameservers : [lookupHosts(text(context.readFile("/etc/hosts") ?? new Uint8Array(0)), server)[0] ?? server];
  const used = { ...conf, nameservers };
  let lastName = name, answered = false;
  for (const candidate of searchOrder(name, used)) {
    lastName = candidate.replace(/\.$/, "");
    const answers = await exchange(context, used, candidate, [TYPE.A, TYPE.AAAA]);
    if (answers.length === 0) break;
    if (!answered) context.stdout(`Server:\t\t${nameservers[0]}\nAddress:\t${nameservers[0]}:53\n\n`);
    answered = true;
    const addresses = answers.flatMap(addressesIn);
    if (addresses.length > 0) {
      for (const address of addresses) context.stdout(`Name:\t${lastName}\nAddress: ${address}\n\n`);
      return 0;
    }
    const rcode = answers[0]!.rcode;
    if (rcode !== RCODE.NOERROR) {
      context.stdout(`** server can't find ${lastName}: ${Object.entries(RCODE).find(([, code]) => code === rcode)?.[0] ?? String(rcode)}\n\n`);
    }
  }
  if (!answered) context.stderr(";; connection timed out; no servers could be reached\n\n");
  return 1;
};

const ping: Program = async (context) => {
  const words = args(context);
  let count = Infinity, target = "", timeoutMs = 10_000;
  for (let i = 0; i < words.length; i++) {
    if (words[i] === "-c") count = Number(words[++i]);
    else if (words[i] === "-W") timeoutMs = Number(words[++i]) * 1000;
    else target = words[i]!;
  }
  let address: string;
  try {
    address = (await resolve(context, target))[0]!;
  } catch {
    context.stderr(`ping: bad address '${target}'\n`);
    return 1;
  }
  context.stdout(`PING ${target} (${address}): 56 data bytes\n`);
  let received = 0, sent = 0;
  while (sent < count && !context.signal.aborted) {
    if (sent > 0) await context.clock.sleep(1000);
    const seq = sent++;
    try {
      const ns = await context.net.ping(address, { timeoutMs, bytes: 56 });
      received++;
      context.stdout(`64 bytes from ${address}: seq=${seq} ttl=64 time=${(ns / 1e6).toFixed(3)} ms\n`);
    } catch {
      // Lost: the statistics say so.
    }
  }
  const lost = sent === 0 ? 0 : Math.floor(((sent - received) * 100) / sent);
  context.stdout(`\n--- ${target} ping statistics ---\n${sent} packets transmitted, ${received} packets received, ${lost}% packet loss\n`);
  return received > 0 ? 0 : 1;
};

/** What every in-box image has besides its own program. */
export const busyboxPrograms: Readonly<Record<string, Program>> = {
  sleep, echo, cat, hostname, env, printenv: env, test, "[": test, wget, nslookup, ping,
  true: async () => 0, false: async () => 1,
};

export const busybox: Image = defineImage({
  name: "busybox:1.37", entrypoint: [], cmd: ["sleep", "infinity"], run: dispatch(busyboxPrograms),
});
