/** Redis 7: a server that speaks RESP2 on 6379, with the commands that applications use most, and redis-cli. Data is byte strings. */
import type { ProgramContext } from "../../cri/program.ts";
import type { TcpStream } from "../../kernel/sockets.ts";
import { resolve, ResolveError } from "../../dns/resolver.ts";
import { newStore, type Reply, type Session } from "./redis-commands.ts";

const VERSION = "7.4.1";

const latin1 = (bytes: Uint8Array): string => {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return text;
};
const toBytes = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0) & 255);

/** A reply on the wire (RESP2). */
function encode(reply: Reply): string {
  if (reply === null) return "$-1\r\n";
  if (typeof reply === "number") return `:${reply}\r\n`;
  if (typeof reply === "string") return `$${reply.length}\r\n${reply}\r\n`;
  if (Array.isArray(reply)) return `*${reply.length}\r\n${(reply as readonly Reply[]).map(encode).join("")}`;
  const { kind, text } = reply as { kind: "status" | "error"; text: string };
  return kind === "status" ? `+${text}\r\n` : `-${text}\r\n`;
}

/** Takes whole requests off the front of a buffer: arrays of bulk strings, or inline commands. */
class Requests {
  #buffer = "";

  add(text: string): void {
    this.#buffer += text;
  }

  /** Undefined: more is to come. Throws where it is no request. */
  next(): string[] | undefined {
    const end = this.#buffer.indexOf("\r\n") >= 0 ? this.#buffer.indexOf("\r\n") : this.#buffer.indexOf("\n");
    if (end < 0) return undefined;
    if (this.#buffer[0] !== "*") {
      const line = this.#buffer.slice(0, end);
      this.#buffer = this.#buffer.slice(end + (this.#buffer[end] === "\r" ? 2 : 1));
      return line.trim() === "" ? [] : line.trim().split(/\s+/);
    }
    const count = Number(this.#buffer.slice(1, end));
    if (!Number.isInteger(count) || count > 1_048_576) throw new Error("invalid multibulk length");
    const out: string[] = [];
    let at = end + 2;
    for (let i = 0; i < count; i++) {
      const stop = this.#buffer.indexOf("\r\n", at);
      if (stop < 0) return undefined;
      if (this.#buffer[at] !== "$") throw new Error(`expected '$', got '${this.#buffer[at]}'`);
      const length = Number(this.#buffer.slice(at + 1, stop));
      if (!Number.isInteger(length) || length < 0 || length > 512 << 20) throw new Error("invalid bulk length");
      if (this.#buffer.length < stop + 2 + length + 2) return undefined;
      out.push(this.#buffer.slice(stop + 2, stop + 2 + length));
      at = stop + 2 + length + 2;
    }
    this.#buffer = this.#buffer.slice(at);
    return out;
  }
}

export async function server(context: ProgramContext): Promise<number> {
  const { argv, clock, net, signal, stdout, random } = context;
  const config = new Map<string, string>([["port", "6379"], ["maxmemory", "0"], ["appendonly", "no"], ["save", "3600 1 300 100 60 10000"], ["databases", "16"], ["bind", "* -::*"], ["requirepass", ""]]);
  const lines = (text: string): void => {
    for (const line of text.split("\n")) {
      const [name, ...values] = line.replace(/^\s*#.*$/, "").trim().split(/\s+/);
      if (name !== undefined && name !== "") config.set(name.toLowerCase(), values.join(" ").replace(/^"(.*)"$/, "$1"));
    }
  };
  const words = argv.slice(1);
  if (words[0] !== undefined && !words[0].startsWith("-")) lines(context.fs.readText(words.shift()!));
  for (let i = 0; i < words.length; i++) {
    const name = words[i]!.replace(/^--?/, "");
    const values: string[] = [];
    while (words[i + 1] !== undefined && !words[i + 1]!.startsWith("--")) values.push(words[++i]!);
    config.set(name.toLowerCase(), values.join(" "));
  }
  const log = (text: string): void => {
    const iso = new Date(Math.floor(clock.nowMs())).toISOString();
    const month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][Number(iso.slice(5, 7)) - 1]!;
    stdout(`${context.pid}:M ${iso.slice(8, 10)} ${month} ${iso.slice(0, 4)} ${iso.slice(11, 23)} * ${text}\n`);
  };
  const store = newStore({ clock, random, config, version: VERSION, pid: context.pid });
  const port = Number(config.get("port"));
  let listener;
  try {
    listener = net.listen({ port });
  } catch (error) {
    log(`Warning: Could not create server TCP listening socket *:${port}: bind: ${(error as { code?: string }).code === "EADDRINUSE" ? "Address in use" : String(error)}`);
    return 1;
  }
  log(`Redis version=${VERSION}, bits=64, commit=00000000, modified=0, pid=${context.pid}, just started`);
  log("Running mode=standalone, port=6379.".replace("6379", String(port)));
  log("Ready to accept connections tcp");
  const open = new Set<TcpStream>();
  signal.addEventListener("abort", () => {
    listener.close();
    for (const stream of open) stream.close();
  }, { once: true });
  let ids = 0;
  const serve = async (stream: TcpStream): Promise<void> => {
    const requests = new Requests();
    const send = (reply: Reply): void => void stream.write(toBytes(encode(reply))).catch(() => {});
    const session: Session = { id: ++ids, db: 0, authenticated: (config.get("requirepass") ?? "") === "", name: "", queue: undefined, dirty: false, watched: new Map(), channels: new Set(), patterns: new Set(), send, closing: false };
    store.sessions.add(session);
    try {
      for (let bytes; !session.closing && (bytes = await stream.read(signal)) !== undefined;) {
        requests.add(latin1(bytes));
        let out = "";
        for (;;) {
          let request: string[] | undefined;
          try {
            request = requests.next();
          } catch (error) {
            await stream.write(toBytes(`${out}-ERR Protocol error: ${(error as Error).message}\r\n`));
            return;
          }
          if (request === undefined) break;
          if (request.length === 0) continue;
          const reply = await store.run(session, request);
          if (reply !== undefined) out += encode(reply);
        }
        if (out !== "") await stream.write(toBytes(out));
      }
    } finally {
      store.drop(session);
    }
  };
  for (;;) {
    let stream: TcpStream;
    try {
      stream = await listener.accept(signal);
    } catch (error) {
      if (!signal.aborted) throw error;
      break;
    }
    open.add(stream);
    void serve(stream).catch(() => {}).finally(() => {
      open.delete(stream);
      stream.close();
    });
  }
  log(`User requested shutdown...`);
  log("Redis is now ready to exit, bye bye...");
  return 0;
}

/** As redis-cli shows a reply to a terminal, or raw to anything else. */
function shown(reply: Reply, raw: boolean, indent = ""): string {
  if (reply === null) return raw ? "\n" : "(nil)\n";
  if (typeof reply === "number") return raw ? `${reply}\n` : `(integer) ${reply}\n`;
  if (typeof reply === "string") return raw ? `${reply}\n` : `"${reply.replace(/["\\]/g, "\\$&").replace(/\n/g, "\\n").replace(/\r/g, "\\r").replace(/\t/g, "\\t").replace(/[^ -~]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`)}"\n`;
  if (Array.isArray(reply)) {
    const items = reply as readonly Reply[];
    if (items.length === 0) return raw ? "\n" : "(empty array)\n";
    const width = String(items.length).length;
    return items.map((item, i) => (raw ? shown(item, true) : `${i === 0 ? "" : indent}${String(i + 1).padStart(width)}) ${shown(item, false, `${indent}${" ".repeat(width + 2)}`)}`)).join("");
  }
  const { kind, text } = reply as { kind: "status" | "error"; text: string };
  return kind === "status" || raw ? `${text}\n` : `(error) ${text}\n`;
}

/** One reply off a stream. */
class Replies {
  #buffer = "";
  readonly #stream: TcpStream;
  constructor(stream: TcpStream) {
    this.#stream = stream;
  }

  async #more(): Promise<void> {
    const bytes = await this.#stream.read();
    if (bytes === undefined) throw new Error("Server closed the connection");
    this.#buffer += latin1(bytes);
  }

  async next(): Promise<Reply> {
    let end: number;
    while ((end = this.#buffer.indexOf("\r\n")) < 0) await this.#more();
    const line = this.#buffer.slice(1, end), kind = this.#buffer[0];
    this.#buffer = this.#buffer.slice(end + 2);
    switch (kind) {
      case "+": return { kind: "status", text: line };
      case "-": return { kind: "error", text: line };
      case ":": return Number(line);
      case "$": {
        const length = Number(line);
        if (length < 0) return null;
        while (this.#buffer.length < length + 2) await this.#more();
        const text = this.#buffer.slice(0, length);
        this.#buffer = this.#buffer.slice(length + 2);
        return text;
      }
      default: {
        const count = Number(line);
        if (count < 0) return null;
        const out: Reply[] = [];
        for (let i = 0; i < count; i++) out.push(await this.next());
        return out;
      }
    }
  }
}

/** A line of commands as words: quotes and escapes as redis-cli reads them. */
function wordsOf(line: string): string[] {
  const out: string[] = [];
  for (const [whole, double, single, plain] of line.matchAll(/"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\')*)'|([^\s"']+)/g)) {
    void whole;
    out.push(double !== undefined ? double.replace(/\\(.)/g, (_, c: string) => ({ n: "\n", r: "\r", t: "\t" })[c] ?? c) : (single ?? plain!));
  }
  return out;
}

export async function cli(context: ProgramContext): Promise<number> {
  const { net, stdout, stderr, stdin, terminal } = context;
  let host = "127.0.0.1", port = 6379, raw = terminal === undefined, password = context.env["REDISCLI_AUTH"], db = 0, repeat = 1, interval = 0, fromStdin = false;
  const words = [...context.argv.slice(1)];
  while (words[0]?.startsWith("-") === true) {
    const option = words.shift()!;
    if (option === "-h") host = words.shift() ?? host;
    else if (option === "-p") port = Number(words.shift());
    else if (option === "-a" || option === "--pass") password = words.shift();
    else if (option === "-n") db = Number(words.shift());
    else if (option === "-r") repeat = Number(words.shift());
    else if (option === "-i") interval = Number(words.shift());
    else if (option === "-x") fromStdin = true;
    else if (option === "--raw") raw = true;
    else if (option === "--no-raw") raw = false;
    else if (option === "-u") {
      const url = /^redis:\/\/(?:[^@]*:([^@]*)@)?([^:/]+)(?::([0-9]+))?(?:\/([0-9]+))?$/.exec(words.shift() ?? "");
      if (url !== null) [password, host, port, db] = [url[1] ?? password, url[2]!, Number(url[3] ?? 6379), Number(url[4] ?? 0)];
    } else if (option === "-v" || option === "--version") {
      stdout(`redis-cli ${VERSION}\n`);
      return 0;
    } else if (option !== "--no-auth-warning") {
      stderr(`Unrecognized option or bad number of args for: '${option}'\n`);
      return 1;
    }
  }
  let stream: TcpStream;
  try {
    const [address] = await resolve(context, host);
    stream = await net.connect({ address: address!, port });
  } catch (error) {
    const reason = error instanceof ResolveError ? "Name or service not known" : ({ ECONNREFUSED: "Connection refused", ETIMEDOUT: "Connection timed out" } as Record<string, string>)[(error as { code?: string }).code ?? ""] ?? "No route to host";
    stderr(`Could not connect to Redis at ${host}:${port}: ${reason}\n`);
    return 1;
  }
  const replies = new Replies(stream);
  const ask = async (request: readonly string[]): Promise<Reply> => {
    await stream.write(toBytes(encode([...request])));
    return replies.next();
  };
  const toWire = (text: string): string => latin1(new TextEncoder().encode(text));
  const say = (reply: Reply): void => stdout(toBytes(shown(reply, raw)));
  let failed = false;
  const command = async (request: readonly string[]): Promise<void> => {
    const reply = await ask(request);
    failed ||= typeof reply === "object" && reply !== null && !Array.isArray(reply) && (reply as { kind: string }).kind === "error";
    say(reply);
    const first = request[0]!.toLowerCase();
    if (first === "subscribe" || first === "psubscribe" || first === "monitor") for (;;) say(await replies.next());
  };
  try {
    if (password !== undefined) {
      const reply = await ask(["AUTH", toWire(password)]);
      if (shown(reply, true).trim() !== "OK") stderr(`AUTH failed: ${shown(reply, true)}`);
    }
    if (db !== 0) await ask(["SELECT", String(db)]);
    if (words.length > 0) {
      const request = words.map(toWire);
      if (fromStdin) {
        let text = "";
        for (let bytes; (bytes = await stdin?.()) !== undefined;) text += latin1(bytes);
        request.push(text);
      }
      for (let i = 0; i < repeat || repeat < 0; i++) {
        if (i > 0 && interval > 0) await context.clock.sleep(interval * 1000);
        await command(request);
      }
      return failed ? 1 : 0;
    }
    let buffer = "";
    const prompt = (): void => {
      if (terminal !== undefined) stdout(`${host}:${port}${db === 0 ? "" : `[${db}]`}> `);
    };
    prompt();
    for (let bytes; (bytes = await stdin?.()) !== undefined;) {
      buffer += latin1(bytes);
      for (let end; (end = buffer.indexOf("\n")) >= 0;) {
        const request = wordsOf(buffer.slice(0, end));
        buffer = buffer.slice(end + 1);
        if (request[0] === "quit" || request[0] === "exit") return 0;
        if (request.length > 0) {
          await command(request);
          if (request[0]!.toLowerCase() === "select") db = Number(request[1]);
        }
        prompt();
      }
    }
    if (wordsOf(buffer).length > 0) await command(wordsOf(buffer));
    return 0;
  } catch (error) {
    stderr(`Error: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  } finally {
    stream.close();
  }
}
