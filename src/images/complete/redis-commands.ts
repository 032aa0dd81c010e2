/** What redis does with its data (redis.io/commands, 7.4): replies and errors as its source words them. */
import type { Clock, Random } from "../../time/clock.ts";
import { matches } from "../../shell/sh/pattern.ts";

export type Reply = null | number | string | readonly Reply[] | { readonly kind: "status" | "error"; readonly text: string };

type Entry =
  | { readonly type: "string"; value: string }
  | { readonly type: "list"; readonly value: string[] }
  | { readonly type: "hash"; readonly value: Map<string, string> }
  | { readonly type: "set"; readonly value: Set<string> }
  | { readonly type: "zset"; readonly value: Map<string, number> };

export interface Session {
  readonly id: number;
  db: number;
  authenticated: boolean;
  name: string;
  /** Between MULTI and EXEC. */
  queue: string[][] | undefined;
  dirty: boolean;
  readonly watched: Map<string, number>;
  readonly channels: Set<string>;
  readonly patterns: Set<string>;
  readonly send: (reply: Reply) => void;
  closing: boolean;
}

interface Deps {
  readonly clock: Clock;
  readonly random: Random;
  readonly config: Map<string, string>;
  readonly version: string;
  readonly pid: number;
}

class Fault extends Error {}

const OK: Reply = { kind: "status", text: "OK" };
const failure = (text: string): Reply => ({ kind: "error", text });
const WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value";
const NOT_INTEGER = "ERR value is not an integer or out of range";
const NOT_FLOAT = "ERR value is not a valid float";
const SYNTAX = "ERR syntax error";

class Database {
  readonly entries = new Map<string, Entry>();
  readonly expires = new Map<string, number>();
}

export interface Store {
  readonly sessions: Set<Session>;
  /** Undefined: it has been answered already. */
  run(session: Session, request: readonly string[]): Promise<Reply | undefined>;
  drop(session: Session): void;
}

interface Call {
  readonly store: Internal;
  readonly session: Session;
  readonly db: Database;
  readonly args: readonly string[];
  readonly name: string;
}

type Handler = (call: Call) => Reply | undefined | Promise<Reply | undefined>;

interface Internal extends Store {
  readonly deps: Deps;
  readonly dbs: Database[];
  readonly versions: Map<string, number>;
  readonly waiting: { readonly session: Session; readonly keys: readonly string[]; readonly db: number; readonly wake: () => void }[];
  calls: number;
  connections: number;
}

export function newStore(deps: Deps): Store {
  const sessions = new Set<Session>();
  const store: Internal = {
    deps, sessions, dbs: Array.from({ length: Number(deps.config.get("databases")) || 16 }, () => new Database()), versions: new Map(), waiting: [], calls: 0, connections: 0,
    async run(session, request) {
      const name = request[0]!.toUpperCase();
      const command = COMMANDS.get(name);
      store.calls++;
      if (!session.authenticated && !["AUTH", "HELLO", "QUIT", "RESET"].includes(name)) return failure("NOAUTH Authentication required.");
      if (command === undefined) {
        if (session.queue !== undefined) session.dirty = true;
        return failure(`ERR unknown command '${request[0]}', with args beginning with: ${request.slice(1).map((word) => `'${word}' `).join("")}`);
      }
      const [least, handler] = command;
      if (least >= 0 ? request.length !== least : request.length < -least) {
        if (session.queue !== undefined) session.dirty = true;
        return failure(`ERR wrong number of arguments for '${name.toLowerCase()}' command`);
      }
      if (session.queue !== undefined && !["EXEC", "DISCARD", "MULTI", "WATCH", "QUIT"].includes(name)) {
        session.queue.push([...request]);
        return { kind: "status", text: "QUEUED" };
      }
      return execute(store, session, name, request, handler);
    },
    drop(session) {
      sessions.delete(session);
    },
  };
  return store;
}

async function execute(store: Internal, session: Session, name: string, request: readonly string[], handler: Handler): Promise<Reply | undefined> {
  try {
    return await handler({ store, session, db: store.dbs[session.db]!, args: request.slice(1), name });
  } catch (error) {
    if (error instanceof Fault) return failure(error.message);
    throw error;
  }
}

// --- keys

function live(call: Call, key: string): Entry | undefined {
  const { db, store } = call;
  const at = db.expires.get(key);
  if (at !== undefined && at <= store.deps.clock.nowMs()) {
    db.entries.delete(key);
    db.expires.delete(key);
  }
  return db.entries.get(key);
}

function typed<T extends Entry["type"]>(call: Call, key: string, type: T): (Entry & { type: T }) | undefined {
  const entry = live(call, key);
  if (entry !== undefined && entry.type !== type) throw new Fault(WRONG_TYPE);
  return entry as (Entry & { type: T }) | undefined;
}

/** The entry, made where there is none. */
function made<T extends Exclude<Entry["type"], "string">>(call: Call, key: string, type: T): Entry & { type: T } {
  const there = typed(call, key, type);
  if (there !== undefined) return there;
  const entry = { type, value: type === "list" ? [] : type === "set" ? new Set() : new Map() } as unknown as Entry & { type: T };
  call.db.entries.set(key, entry);
  return entry;
}

function changed({ store, session }: Call, key: string): void {
  const name = `${session.db}/${key}`;
  store.versions.set(name, (store.versions.get(name) ?? 0) + 1);
  const woken = store.waiting.filter(({ db, keys }) => db === session.db && keys.includes(key));
  for (const one of woken) one.wake();
}

function put(call: Call, key: string, value: string, keepExpiry = false): void {
  call.db.entries.set(key, { type: "string", value });
  if (!keepExpiry) call.db.expires.delete(key);
  changed(call, key);
}

function remove(call: Call, key: string): boolean {
  if (live(call, key) === undefined) return false;
  call.db.entries.delete(key);
  call.db.expires.delete(key);
  changed(call, key);
  return true;
}

/** Collections that are empty are none. */
function trimmed(call: Call, key: string): void {
  const entry = call.db.entries.get(key);
  if (entry === undefined || entry.type === "string") return;
  if ((Array.isArray(entry.value) ? entry.value.length : entry.value.size) === 0) {
    call.db.entries.delete(key);
    call.db.expires.delete(key);
  }
}

function integer(text: string | undefined): number {
  if (text === undefined || !/^-?(?:0|[1-9][0-9]*)$/.test(text) || !Number.isSafeInteger(Number(text))) throw new Fault(NOT_INTEGER);
  return Number(text);
}

function double(text: string): number {
  if (/^[-+]?inf(inity)?$/i.test(text)) return text.startsWith("-") ? -Infinity : Infinity;
  if (!/^[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[-+]?[0-9]+)?$/i.test(text)) throw new Fault(NOT_FLOAT);
  return Number(text);
}

const shownNumber = (value: number): string => (value === Infinity ? "inf" : value === -Infinity ? "-inf" : String(value));

const range = (length: number, start: number, stop: number): readonly [number, number] => [Math.max(0, start < 0 ? length + start : start), Math.min(length - 1, stop < 0 ? length + stop : stop)];

const add = (by: (call: Call) => number): Handler => (call) => {
  const [key = ""] = call.args;
  const value = integer(typed(call, key, "string")?.value ?? "0") + by(call);
  if (!Number.isSafeInteger(value)) throw new Fault("ERR increment or decrement would overflow");
  put(call, key, String(value), true);
  return value;
};

const expiry = (unit: number, absolute: boolean): Handler => (call) => {
  const [key = "", text, option] = call.args;
  const amount = integer(text);
  if (live(call, key) === undefined) return 0;
  const now = call.store.deps.clock.nowMs();
  const at = absolute ? amount * unit : now + amount * unit;
  const current = call.db.expires.get(key);
  const flag = option?.toUpperCase();
  if ((flag === "NX" && current !== undefined) || (flag === "XX" && current === undefined) || (flag === "GT" && (current === undefined || at <= current)) || (flag === "LT" && current !== undefined && at >= current)) return 0;
  if (at <= now) remove(call, key);
  else call.db.expires.set(key, at);
  changed(call, key);
  return 1;
};

const left = (unit: number): Handler => (call) => {
  const [key = ""] = call.args;
  if (live(call, key) === undefined) return -2;
  const at = call.db.expires.get(key);
  return at === undefined ? -1 : Math.max(0, Math.round((at - call.store.deps.clock.nowMs()) / unit));
};

const set: Handler = (call) => {
  const [key = "", value = "", ...options] = call.args;
  let nx = false, xx = false, keep = false, get = false, at: number | undefined;
  const now = call.store.deps.clock.nowMs();
  for (let i = 0; i < options.length; i++) {
    const option = options[i]!.toUpperCase();
    if (option === "NX") nx = true;
    else if (option === "XX") xx = true;
    else if (option === "KEEPTTL") keep = true;
    else if (option === "GET") get = true;
    else if (["EX", "PX", "EXAT", "PXAT"].includes(option)) {
      const amount = integer(options[++i]);
      if (amount <= 0) throw new Fault("ERR invalid expire time in 'set' command");
      at = option === "EX" ? now + amount * 1000 : option === "PX" ? now + amount : option === "EXAT" ? amount * 1000 : amount;
    } else throw new Fault(SYNTAX);
  }
  if (nx && xx) throw new Fault(SYNTAX);
  const before = get ? typed(call, key, "string") : live(call, key);
  const old = before?.type === "string" ? before.value : null;
  if ((nx && before !== undefined) || (xx && before === undefined)) return get ? old : null;
  put(call, key, value, keep);
  if (at !== undefined) call.db.expires.set(key, at);
  return get ? old : OK;
};

const push = (end: "left" | "right", mustExist: boolean): Handler => (call) => {
  const [key = "", ...values] = call.args;
  if (mustExist && typed(call, key, "list") === undefined) return 0;
  const { value } = made(call, key, "list");
  for (const one of values) {
    if (end === "left") value.unshift(one);
    else value.push(one);
  }
  changed(call, key);
  return value.length;
};

const pop = (end: "left" | "right"): Handler => (call) => {
  const [key = "", text] = call.args;
  const entry = typed(call, key, "list");
  const count = text === undefined ? 1 : integer(text);
  if (count < 0) throw new Fault("ERR value is out of range, must be positive");
  if (entry === undefined) return null;
  const out = end === "left" ? entry.value.splice(0, count) : entry.value.splice(Math.max(0, entry.value.length - count)).reverse();
  trimmed(call, key);
  changed(call, key);
  return text === undefined ? out[0]! : out;
};

const blockingPop = (end: "left" | "right"): Handler => async (call) => {
  const keys = call.args.slice(0, -1), timeout = double(call.args.at(-1)!);
  const { clock } = call.store.deps;
  const until = timeout === 0 ? Infinity : clock.nowMs() + timeout * 1000;
  for (;;) {
    for (const key of keys) {
      const entry = typed(call, key, "list");
      if (entry === undefined) continue;
      const value = end === "left" ? entry.value.shift()! : entry.value.pop()!;
      trimmed(call, key);
      changed(call, key);
      return [key, value];
    }
    if (clock.nowMs() >= until || call.session.closing || !call.store.sessions.has(call.session)) return null;
    await new Promise<void>((resolve) => {
      const cancel = until === Infinity ? () => {} : clock.after(until - clock.nowMs(), () => done());
      const waiter = { session: call.session, keys, db: call.session.db, wake: () => done() };
      const done = (): void => {
        cancel();
        const at = call.store.waiting.indexOf(waiter);
        if (at >= 0) call.store.waiting.splice(at, 1);
        resolve();
      };
      call.store.waiting.push(waiter);
    });
  }
};

const hset: Handler = (call) => {
  const [key = "", ...pairs] = call.args;
  if (pairs.length % 2 !== 0) throw new Fault(`ERR wrong number of arguments for '${call.name.toLowerCase()}' command`);
  const { value } = made(call, key, "hash");
  let added = 0;
  for (let i = 0; i < pairs.length; i += 2) {
    if (!value.has(pairs[i]!)) added++;
    value.set(pairs[i]!, pairs[i + 1]!);
  }
  changed(call, key);
  return call.name === "HMSET" ? OK : added;
};

const members = (call: Call, key: string): ReadonlySet<string> => typed(call, key, "set")?.value ?? new Set<string>();

const combine = (how: "inter" | "union" | "diff", store: boolean): Handler => (call) => {
  const [target = "", ...rest] = store ? call.args : ["", ...call.args];
  const [first = new Set<string>(), ...others] = rest.map((key) => members(call, key));
  const out = how === "union" ? new Set([...first, ...others.flatMap((set_) => [...set_])]) : new Set([...first].filter((one) => (how === "inter") === others.every((set_) => set_.has(one)) && (how === "inter" || !others.some((set_) => set_.has(one)))));
  if (!store) return [...out];
  remove(call, target);
  if (out.size > 0) call.db.entries.set(target, { type: "set", value: out });
  changed(call, target);
  return out.size;
};

const sorted = (call: Call, key: string): (readonly [string, number])[] => [...(typed(call, key, "zset")?.value ?? new Map<string, number>())].sort(([a, x], [b, y]) => x - y || (a < b ? -1 : 1));

const zadd: Handler = (call) => {
  const [key = "", ...rest] = call.args;
  let nx = false, xx = false, ch = false, incr = false, gt = false, lt = false;
  while (rest[0] !== undefined && /^(nx|xx|ch|incr|gt|lt)$/i.test(rest[0])) {
    const flag = rest.shift()!.toLowerCase();
    nx ||= flag === "nx";
    xx ||= flag === "xx";
    ch ||= flag === "ch";
    incr ||= flag === "incr";
    gt ||= flag === "gt";
    lt ||= flag === "lt";
  }
  if (rest.length === 0 || rest.length % 2 !== 0) throw new Fault(SYNTAX);
  const scores = rest.flatMap((text, i) => (i % 2 === 0 ? [double(text)] : []));
  const { value } = made(call, key, "zset");
  let added = 0, altered = 0, last = 0;
  for (const [i, score] of scores.entries()) {
    const member = rest[2 * i + 1]!, before = value.get(member);
    if ((nx && before !== undefined) || (xx && before === undefined)) continue;
    last = incr ? (before ?? 0) + score : score;
    if (before !== undefined && ((gt && last <= before) || (lt && last >= before))) continue;
    if (before === undefined) added++;
    else if (before !== last) altered++;
    value.set(member, last);
  }
  trimmed(call, key);
  changed(call, key);
  return incr ? shownNumber(last) : added + (ch ? altered : 0);
};

const withScores = (items: readonly (readonly [string, number])[], scores: boolean): Reply => items.flatMap(([member, score]) => (scores ? [member, shownNumber(score)] : [member]));

const bound = (text: string): { readonly value: number; readonly open: boolean } => {
  try {
    return text.startsWith("(") ? { value: double(text.slice(1)), open: true } : { value: double(text), open: false };
  } catch {
    throw new Fault("ERR min or max is not a float");
  }
};

const within = (score: number, min: string, max: string): boolean => {
  const a = bound(min), b = bound(max);
  return (a.open ? score > a.value : score >= a.value) && (b.open ? score < b.value : score <= b.value);
};

const zrange: Handler = (call) => {
  const [key = "", start = "", stop = "", ...options] = call.args;
  const flags = options.map((option) => option.toUpperCase());
  const reverse = flags.includes("REV") || call.name.startsWith("ZREV");
  const byScore = flags.includes("BYSCORE") || call.name.endsWith("BYSCORE");
  let items = sorted(call, key);
  if (reverse) items.reverse();
  if (byScore) {
    items = items.filter(([, score]) => (reverse ? within(score, stop, start) : within(score, start, stop)));
    const limit = flags.indexOf("LIMIT");
    if (limit >= 0) {
      const offset = integer(options[limit + 1]), count = integer(options[limit + 2]);
      items = items.slice(offset, count < 0 ? undefined : offset + count);
    }
  } else {
    const [from, to] = range(items.length, integer(start), integer(stop));
    items = items.slice(from, to + 1);
  }
  return withScores(items, flags.includes("WITHSCORES"));
};

const info = ({ store }: Call): string => {
  const { clock, version, config, pid } = store.deps;
  const keyspace = store.dbs.flatMap((db, i) => (db.entries.size === 0 ? [] : [`db${i}:keys=${db.entries.size},expires=${db.expires.size},avg_ttl=0,subexpiry=0`]));
  return [
    "# Server", `redis_version:${version}`, "redis_mode:standalone", "os:Linux x86_64", "arch_bits:64", `process_id:${pid}`, `tcp_port:${config.get("port")}`, `uptime_in_seconds:${Math.floor(clock.nowNs() / 1e9)}`, "",
    "# Clients", `connected_clients:${store.sessions.size}`, "blocked_clients:" + String(store.waiting.length), "", "# Memory", "used_memory:1048576", "used_memory_human:1.00M", "maxmemory:0", "",
    "# Persistence", "loading:0", "aof_enabled:0", "", "# Stats", `total_commands_processed:${store.calls}`, "", "# Replication", "role:master", "connected_slaves:0", "", "# CPU", "used_cpu_sys:0.000000", "",
    "# Cluster", "cluster_enabled:0", "", "# Keyspace", ...keyspace, "",
  ].join("\r\n");
};

const subscribe: Handler = ({ session, args, name }) => {
  const set_ = name === "SUBSCRIBE" ? session.channels : session.patterns;
  for (const channel of args) {
    set_.add(channel);
    session.send([name.toLowerCase(), channel, session.channels.size + session.patterns.size]);
  }
  return undefined;
};

const unsubscribe: Handler = ({ session, args, name }) => {
  const set_ = name === "UNSUBSCRIBE" ? session.channels : session.patterns;
  for (const channel of args.length === 0 ? [...set_] : args) {
    set_.delete(channel);
    session.send([name.toLowerCase(), channel, session.channels.size + session.patterns.size]);
  }
  return undefined;
};

const scan = (names: (call: Call) => Iterable<readonly string[]>, first: number): Handler => (call) => {
  const options = call.args.slice(first);
  let pattern = "*", type: string | undefined;
  for (let i = 0; i < options.length; i += 2) {
    const option = options[i]!.toUpperCase();
    if (option === "MATCH") pattern = options[i + 1] ?? "*";
    else if (option === "TYPE") type = options[i + 1];
    else if (option !== "COUNT") throw new Fault(SYNTAX);
  }
  const out: string[] = [];
  for (const item of names(call)) if (matches(pattern, item[0]!) && (type === undefined || live(call, item[0]!)?.type === type)) out.push(...item);
  return ["0", out];
};

const keysOf = (call: Call): string[] => [...call.db.entries.keys()].filter((key) => live(call, key) !== undefined);

/** By name: how many words (at least, where negative), and what it does. */
export const COMMANDS: ReadonlyMap<string, readonly [number, Handler]> = new Map<string, readonly [number, Handler]>([
  ["PING", [-1, ({ args: [text] }) => text ?? { kind: "status", text: "PONG" }]],
  ["ECHO", [2, ({ args }) => args[0]!]],
  ["QUIT", [-1, ({ session }) => {
    session.closing = true;
    return OK;
  }]],
  ["AUTH", [-2, ({ session, args, store }) => {
    const password = store.deps.config.get("requirepass") ?? "";
    if (password === "") return failure("ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?");
    if (args.at(-1) !== password) return failure("WRONGPASS invalid username-password pair or user is disabled.");
    session.authenticated = true;
    return OK;
  }]],
  ["HELLO", [-1, ({ args, session, store }) => (args[0] !== undefined && args[0] !== "2" ? failure("NOPROTO unsupported protocol version")
    : ["server", "redis", "version", store.deps.version, "proto", 2, "id", session.id, "mode", "standalone", "role", "master", "modules", []])]],
  ["SELECT", [2, ({ session, args, store }) => {
    const db = integer(args[0]);
    if (db < 0 || db >= store.dbs.length) return failure("ERR DB index is out of range");
    session.db = db;
    return OK;
  }]],
  ["CLIENT", [-2, ({ args: [sub = "", value = ""], session }) => {
    switch (sub.toUpperCase()) {
      case "SETNAME": session.name = value; return OK;
      case "GETNAME": return session.name === "" ? null : session.name;
      case "ID": return session.id;
      case "SETINFO": case "NO-EVICT": case "NO-TOUCH": return OK;
      case "LIST": case "INFO": return `id=${session.id} name=${session.name} db=${session.db}\n`;
      default: return failure(`ERR unknown subcommand '${sub}'. Try CLIENT HELP.`);
    }
  }]],
  ["COMMAND", [-1, ({ args: [sub] }) => (sub?.toUpperCase() === "COUNT" ? COMMANDS.size : [])]],
  ["CONFIG", [-2, ({ args: [sub = "", name = "", value = ""], store }) => {
    const { config } = store.deps;
    switch (sub.toUpperCase()) {
      case "GET": return [...config].filter(([key]) => matches(name.toLowerCase(), key)).flatMap(([key, v]) => [key, v]);
      case "SET": config.set(name.toLowerCase(), value); return OK;
      case "RESETSTAT": case "REWRITE": return OK;
      default: return failure(`ERR unknown subcommand '${sub}'. Try CONFIG HELP.`);
    }
  }]],
  ["INFO", [-1, (call) => info(call)]],
  ["TIME", [1, ({ store }) => {
    const ms = store.deps.clock.nowMs();
    return [String(Math.floor(ms / 1000)), String(Math.floor((ms % 1000) * 1000))];
  }]],
  ["DBSIZE", [1, (call) => keysOf(call).length]],
  ["FLUSHDB", [-1, ({ db }) => {
    db.entries.clear();
    db.expires.clear();
    return OK;
  }]],
  ["FLUSHALL", [-1, ({ store }) => {
    for (const db of store.dbs) {
      db.entries.clear();
      db.expires.clear();
    }
    return OK;
  }]],
  ["SAVE", [1, () => OK]],
  ["BGSAVE", [-1, () => ({ kind: "status", text: "Background saving started" })]],
  ["LASTSAVE", [1, ({ store }) => Math.floor((store.deps.clock.nowMs() - store.deps.clock.nowNs() / 1e6) / 1000)]],
  ["ROLE", [1, () => ["master", 0, []]]],
  // strings
  ["SET", [-3, set]],
  ["SETNX", [3, (call) => (live(call, call.args[0]!) !== undefined ? 0 : (put(call, call.args[0]!, call.args[1]!), 1))]],
  ["SETEX", [4, (call) => {
    const seconds = integer(call.args[1]);
    if (seconds <= 0) throw new Fault("ERR invalid expire time in 'setex' command");
    put(call, call.args[0]!, call.args[2]!);
    call.db.expires.set(call.args[0]!, call.store.deps.clock.nowMs() + seconds * 1000);
    return OK;
  }]],
  ["GET", [2, (call) => typed(call, call.args[0]!, "string")?.value ?? null]],
  ["GETDEL", [2, (call) => {
    const value = typed(call, call.args[0]!, "string")?.value ?? null;
    remove(call, call.args[0]!);
    return value;
  }]],
  ["GETSET", [3, (call) => {
    const value = typed(call, call.args[0]!, "string")?.value ?? null;
    put(call, call.args[0]!, call.args[1]!);
    return value;
  }]],
  ["MGET", [-2, (call) => call.args.map((key) => {
    const entry = live(call, key);
    return entry?.type === "string" ? entry.value : null;
  })]],
  ["MSET", [-3, (call) => {
    if (call.args.length % 2 !== 0) throw new Fault("ERR wrong number of arguments for 'mset' command");
    for (let i = 0; i < call.args.length; i += 2) put(call, call.args[i]!, call.args[i + 1]!);
    return OK;
  }]],
  ["APPEND", [3, (call) => {
    const value = (typed(call, call.args[0]!, "string")?.value ?? "") + call.args[1]!;
    put(call, call.args[0]!, value, true);
    return value.length;
  }]],
  ["STRLEN", [2, (call) => typed(call, call.args[0]!, "string")?.value.length ?? 0]],
  ["GETRANGE", [4, (call) => {
    const value = typed(call, call.args[0]!, "string")?.value ?? "";
    const [from, to] = range(value.length, integer(call.args[1]), integer(call.args[2]));
    return value.slice(from, to + 1);
  }]],
  ["INCR", [2, add(() => 1)]], ["DECR", [2, add(() => -1)]], ["INCRBY", [3, add(({ args }) => integer(args[1]))]], ["DECRBY", [3, add(({ args }) => -integer(args[1]))]],
  ["INCRBYFLOAT", [3, (call) => {
    const value = shownNumber(double(typed(call, call.args[0]!, "string")?.value ?? "0") + double(call.args[1]!));
    put(call, call.args[0]!, value, true);
    return value;
  }]],
  // keys
  ["DEL", [-2, (call) => call.args.filter((key) => remove(call, key)).length]],
  ["UNLINK", [-2, (call) => call.args.filter((key) => remove(call, key)).length]],
  ["EXISTS", [-2, (call) => call.args.filter((key) => live(call, key) !== undefined).length]],
  ["TYPE", [2, (call) => ({ kind: "status", text: live(call, call.args[0]!)?.type ?? "none" })]],
  ["KEYS", [2, (call) => keysOf(call).filter((key) => matches(call.args[0]!, key))]],
  ["SCAN", [-2, scan((call) => keysOf(call).map((key) => [key]), 1)]],
  ["RANDOMKEY", [1, (call) => {
    const keys = keysOf(call);
    return keys.length === 0 ? null : keys[call.store.deps.random.below(keys.length)]!;
  }]],
  ["RENAME", [3, (call) => {
    const [from = "", to = ""] = call.args;
    const entry = live(call, from);
    if (entry === undefined) throw new Fault("ERR no such key");
    const at = call.db.expires.get(from);
    remove(call, from);
    call.db.entries.set(to, entry);
    call.db.expires.delete(to);
    if (at !== undefined) call.db.expires.set(to, at);
    changed(call, to);
    return OK;
  }]],
  ["EXPIRE", [-3, expiry(1000, false)]], ["PEXPIRE", [-3, expiry(1, false)]], ["EXPIREAT", [-3, expiry(1000, true)]], ["PEXPIREAT", [-3, expiry(1, true)]],
  ["TTL", [2, left(1000)]], ["PTTL", [2, left(1)]],
  ["PERSIST", [2, (call) => (live(call, call.args[0]!) !== undefined && call.db.expires.delete(call.args[0]!) ? 1 : 0)]],
  // lists
  ["LPUSH", [-3, push("left", false)]], ["RPUSH", [-3, push("right", false)]], ["LPUSHX", [-3, push("left", true)]], ["RPUSHX", [-3, push("right", true)]],
  ["LPOP", [-2, pop("left")]], ["RPOP", [-2, pop("right")]], ["BLPOP", [-3, blockingPop("left")]], ["BRPOP", [-3, blockingPop("right")]],
  ["LLEN", [2, (call) => typed(call, call.args[0]!, "list")?.value.length ?? 0]],
  ["LRANGE", [4, (call) => {
    const value = typed(call, call.args[0]!, "list")?.value ?? [];
    const [from, to] = range(value.length, integer(call.args[1]), integer(call.args[2]));
    return value.slice(from, to + 1);
  }]],
  ["LINDEX", [3, (call) => typed(call, call.args[0]!, "list")?.value.at(integer(call.args[1])) ?? null]],
  ["LSET", [4, (call) => {
    const entry = typed(call, call.args[0]!, "list");
    if (entry === undefined) throw new Fault("ERR no such key");
    const index = integer(call.args[1]), at = index < 0 ? entry.value.length + index : index;
    if (at < 0 || at >= entry.value.length) throw new Fault("ERR index out of range");
    entry.value[at] = call.args[2]!;
    changed(call, call.args[0]!);
    return OK;
  }]],
  ["LTRIM", [4, (call) => {
    const entry = typed(call, call.args[0]!, "list");
    if (entry === undefined) return OK;
    const [from, to] = range(entry.value.length, integer(call.args[1]), integer(call.args[2]));
    entry.value.splice(0, entry.value.length, ...entry.value.slice(from, to + 1));
    trimmed(call, call.args[0]!);
    changed(call, call.args[0]!);
    return OK;
  }]],
  ["LREM", [4, (call) => {
    const entry = typed(call, call.args[0]!, "list");
    const count = integer(call.args[1]);
    if (entry === undefined) return 0;
    let left_ = count === 0 ? Infinity : Math.abs(count), removed = 0;
    const items = count < 0 ? [...entry.value].reverse() : [...entry.value];
    const kept = items.filter((item) => {
      if (item !== call.args[2] || left_ <= 0) return true;
      left_--;
      removed++;
      return false;
    });
    entry.value.splice(0, entry.value.length, ...(count < 0 ? kept.reverse() : kept));
    trimmed(call, call.args[0]!);
    changed(call, call.args[0]!);
    return removed;
  }]],
  // hashes
  ["HSET", [-4, hset]], ["HMSET", [-4, hset]],
  ["HSETNX", [4, (call) => {
    const { value } = made(call, call.args[0]!, "hash");
    if (value.has(call.args[1]!)) return 0;
    value.set(call.args[1]!, call.args[2]!);
    changed(call, call.args[0]!);
    return 1;
  }]],
  ["HGET", [3, (call) => typed(call, call.args[0]!, "hash")?.value.get(call.args[1]!) ?? null]],
  ["HMGET", [-3, (call) => call.args.slice(1).map((field) => typed(call, call.args[0]!, "hash")?.value.get(field) ?? null)]],
  ["HGETALL", [2, (call) => [...(typed(call, call.args[0]!, "hash")?.value ?? [])].flat()]],
  ["HKEYS", [2, (call) => [...(typed(call, call.args[0]!, "hash")?.value.keys() ?? [])]]],
  ["HVALS", [2, (call) => [...(typed(call, call.args[0]!, "hash")?.value.values() ?? [])]]],
  ["HLEN", [2, (call) => typed(call, call.args[0]!, "hash")?.value.size ?? 0]],
  ["HEXISTS", [3, (call) => (typed(call, call.args[0]!, "hash")?.value.has(call.args[1]!) === true ? 1 : 0)]],
  ["HDEL", [-3, (call) => {
    const entry = typed(call, call.args[0]!, "hash");
    const count = call.args.slice(1).filter((field) => entry?.value.delete(field) === true).length;
    trimmed(call, call.args[0]!);
    if (count > 0) changed(call, call.args[0]!);
    return count;
  }]],
  ["HINCRBY", [4, (call) => {
    const by = integer(call.args[2]);
    const { value } = made(call, call.args[0]!, "hash");
    const text = value.get(call.args[1]!) ?? "0";
    if (!/^-?[0-9]+$/.test(text)) throw new Fault("ERR hash value is not an integer");
    value.set(call.args[1]!, String(Number(text) + by));
    changed(call, call.args[0]!);
    return Number(text) + by;
  }]],
  ["HSCAN", [-3, scan((call) => typed(call, call.args[0]!, "hash")?.value ?? [], 2)]],
  // sets
  ["SADD", [-3, (call) => {
    const { value } = made(call, call.args[0]!, "set");
    const before = value.size;
    for (const member of call.args.slice(1)) value.add(member);
    changed(call, call.args[0]!);
    return value.size - before;
  }]],
  ["SREM", [-3, (call) => {
    const entry = typed(call, call.args[0]!, "set");
    const count = call.args.slice(1).filter((member) => entry?.value.delete(member) === true).length;
    trimmed(call, call.args[0]!);
    if (count > 0) changed(call, call.args[0]!);
    return count;
  }]],
  ["SMEMBERS", [2, (call) => [...members(call, call.args[0]!)]]],
  ["SISMEMBER", [3, (call) => (members(call, call.args[0]!).has(call.args[1]!) ? 1 : 0)]],
  ["SCARD", [2, (call) => members(call, call.args[0]!).size]],
  ["SPOP", [-2, (call) => {
    const entry = typed(call, call.args[0]!, "set");
    const out: string[] = [];
    for (let count = call.args[1] === undefined ? 1 : integer(call.args[1]); count > 0 && entry !== undefined && entry.value.size > 0; count--) {
      const one = [...entry.value][call.store.deps.random.below(entry.value.size)]!;
      entry.value.delete(one);
      out.push(one);
    }
    trimmed(call, call.args[0]!);
    return call.args[1] === undefined ? (out[0] ?? null) : out;
  }]],
  ["SRANDMEMBER", [-2, (call) => {
    const all = [...members(call, call.args[0]!)];
    return all.length === 0 ? null : all[call.store.deps.random.below(all.length)]!;
  }]],
  ["SINTER", [-2, combine("inter", false)]], ["SUNION", [-2, combine("union", false)]], ["SDIFF", [-2, combine("diff", false)]],
  ["SINTERSTORE", [-3, combine("inter", true)]], ["SUNIONSTORE", [-3, combine("union", true)]], ["SDIFFSTORE", [-3, combine("diff", true)]],
  ["SSCAN", [-3, scan((call) => [...members(call, call.args[0]!)].map((member) => [member]), 2)]],
  // sorted sets
  ["ZADD", [-4, zadd]],
  ["ZREM", [-3, (call) => {
    const entry = typed(call, call.args[0]!, "zset");
    const count = call.args.slice(1).filter((member) => entry?.value.delete(member) === true).length;
    trimmed(call, call.args[0]!);
    if (count > 0) changed(call, call.args[0]!);
    return count;
  }]],
  ["ZSCORE", [3, (call) => {
    const score = typed(call, call.args[0]!, "zset")?.value.get(call.args[1]!);
    return score === undefined ? null : shownNumber(score);
  }]],
  ["ZINCRBY", [4, (call) => {
    const { value } = made(call, call.args[0]!, "zset");
    const score = (value.get(call.args[2]!) ?? 0) + double(call.args[1]!);
    value.set(call.args[2]!, score);
    changed(call, call.args[0]!);
    return shownNumber(score);
  }]],
  ["ZCARD", [2, (call) => typed(call, call.args[0]!, "zset")?.value.size ?? 0]],
  ["ZCOUNT", [4, (call) => sorted(call, call.args[0]!).filter(([, score]) => within(score, call.args[1]!, call.args[2]!)).length]],
  ["ZRANK", [3, (call) => {
    const at = sorted(call, call.args[0]!).findIndex(([member]) => member === call.args[1]);
    return at < 0 ? null : at;
  }]],
  ["ZRANGE", [-4, zrange]], ["ZREVRANGE", [-4, zrange]], ["ZRANGEBYSCORE", [-4, zrange]], ["ZREVRANGEBYSCORE", [-4, zrange]],
  // transactions
  ["MULTI", [1, ({ session }) => {
    if (session.queue !== undefined) return failure("ERR MULTI calls can not be nested");
    session.queue = [];
    session.dirty = false;
    return OK;
  }]],
  ["EXEC", [1, async ({ session, store }) => {
    const { queue } = session;
    if (queue === undefined) return failure("ERR EXEC without MULTI");
    session.queue = undefined;
    const stale = [...session.watched].some(([name, version]) => (store.versions.get(name) ?? 0) !== version);
    session.watched.clear();
    if (session.dirty) return failure("EXECABORT Transaction discarded because of previous errors.");
    if (stale) return null;
    const out: Reply[] = [];
    for (const request of queue) out.push((await execute(store, session, request[0]!.toUpperCase(), request, COMMANDS.get(request[0]!.toUpperCase())![1])) ?? null);
    return out;
  }]],
  ["DISCARD", [1, ({ session }) => {
    if (session.queue === undefined) return failure("ERR DISCARD without MULTI");
    session.queue = undefined;
    session.watched.clear();
    return OK;
  }]],
  ["WATCH", [-2, ({ session, args, store }) => {
    if (session.queue !== undefined) return failure("ERR WATCH inside MULTI is not allowed");
    for (const key of args) session.watched.set(`${session.db}/${key}`, store.versions.get(`${session.db}/${key}`) ?? 0);
    return OK;
  }]],
  ["UNWATCH", [1, ({ session }) => {
    session.watched.clear();
    return OK;
  }]],
  // messages
  ["SUBSCRIBE", [-2, subscribe]], ["PSUBSCRIBE", [-2, subscribe]], ["UNSUBSCRIBE", [-1, unsubscribe]], ["PUNSUBSCRIBE", [-1, unsubscribe]],
  ["PUBLISH", [3, ({ store, args: [channel = "", text = ""] }) => {
    let count = 0;
    for (const other of store.sessions) {
      if (other.channels.has(channel)) {
        other.send(["message", channel, text]);
        count++;
      }
      for (const pattern of other.patterns) {
        if (!matches(pattern, channel)) continue;
        other.send(["pmessage", pattern, channel, text]);
        count++;
      }
    }
    return count;
  }]],
]);
