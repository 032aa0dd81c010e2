/** Applets on processes, users, time and the machine. */
import { byteString } from "../os/bytes.ts";
import { Errno } from "../os/errno.ts";
import type { Main, Process } from "../os/process.ts";
import { parseSignal, SIGNALS, signalName, type Signal } from "../os/signals.ts";
import { processesOf } from "../sh/jobs.ts";
import { echo, printf } from "../sh/printf.ts";
import { runTest } from "../sh/test.ts";
import { accounts, applet, duration, getopt, linesOf, UsageFault } from "./common.ts";
import { parseDate, strftime, zoneOf } from "./date.ts";
import { spawnAndWait } from "./listing.ts";
import { compile } from "./regex.ts";

const sleep = applet("[N]...", async (process, args) => {
  if (args.length === 0) throw new UsageFault("");
  let seconds = 0;
  for (const word of args) {
    const value = duration(word);
    if (value === undefined) {
      await process.complain(`invalid number '${word}'`);
      return 1;
    }
    seconds += value;
  }
  if (seconds === Infinity) return process.live(new Promise<never>(() => {}));
  await process.sleep(seconds * 1000);
  return 0;
});

const env = applet("[-iu0] [-u NAME] [-] [NAME=VALUE]... [PROG ARGS]", async (process, args) => {
  const options = getopt(args, "+iu:0", { "ignore-environment": "i", unset: "u", null: "0" });
  const words = [...options.rest];
  if (words[0] === "-") words.shift();
  const next = new Map(options.has("i") || args[0] === "-" ? [] : process.env);
  for (const name of options.all("u")) next.delete(name);
  while (words[0] !== undefined && words[0].indexOf("=") > 0) {
    const word = words.shift()!;
    next.set(word.slice(0, word.indexOf("=")), word.slice(word.indexOf("=") + 1));
  }
  if (words.length === 0) {
    for (const [name, value] of next) await process.print(`${name}=${value}${options.has("0") ? "\0" : "\n"}`);
    return 0;
  }
  return become(process, words, next);
});

/** Runs another program in this process (execvp). */
async function become(process: Process, argv: readonly string[], environment: ReadonlyMap<string, string> = process.env): Promise<number> {
  const { name } = process;
  const found = process.which(argv[0]!, environment.get("PATH"));
  if (found === undefined) {
    await process.error(`${name}: can't execute '${argv[0]}': No such file or directory\n`);
    return 127;
  }
  try {
    return await process.exec(found.path, argv, environment)(process);
  } catch (error) {
    if (!(error instanceof Errno)) throw error;
    if (error.code === "ENOEXEC") return process.exec("/bin/sh", ["sh", found.path, ...argv.slice(1)], environment)(process);
    await process.error(`${name}: can't execute '${argv[0]}': ${error.message}\n`);
    return 126;
  }
}

const printenv = applet("[VARIABLE]...", async (process, args) => {
  if (args.length === 0) {
    for (const [name, value] of process.env) await process.print(`${name}=${value}\n`);
    return 0;
  }
  let status = 0;
  for (const name of args) {
    const value = process.env.get(name);
    if (value === undefined) status = 1;
    else await process.print(`${value}\n`);
  }
  return status;
});

const id = applet("[-ugGnr] [USER]", async (process, args) => {
  const options = getopt(args, "ugGnrZ");
  const users = accounts(process, "passwd"), groups = accounts(process, "group");
  let { uid, gid } = process;
  let more = process.groups;
  const [user] = options.rest;
  if (user !== undefined) {
    const entry = users.byName.get(user);
    if (entry === undefined) {
      await process.complain(`unknown user ${user}`);
      return 1;
    }
    [uid, gid] = [Number(entry[2]), Number(entry[3])];
    more = [...groups.byName.values()].filter((group) => (group[3] ?? "").split(",").includes(user)).map((group) => Number(group[2]));
  }
  const all = [...new Set([gid, ...more])];
  const named = (value: number, table: ReadonlyMap<number, string>): string => (table.has(value) ? `${value}(${table.get(value)})` : String(value));
  const plain = (value: number, table: ReadonlyMap<number, string>): string => (options.has("n") ? (table.get(value) ?? String(value)) : String(value));
  if (options.has("u")) await process.print(`${plain(uid, users.byId)}\n`);
  else if (options.has("g")) await process.print(`${plain(gid, groups.byId)}\n`);
  else if (options.has("G")) await process.print(`${all.map((group) => plain(group, groups.byId)).join(" ")}\n`);
  else await process.print(`uid=${named(uid, users.byId)} gid=${named(gid, groups.byId)} groups=${all.map((group) => named(group, groups.byId)).join(",")}\n`);
  return 0;
});

const whoami = applet("", async (process) => {
  const name = accounts(process, "passwd").byId.get(process.uid);
  if (name === undefined) {
    await process.complain(`unknown uid ${process.uid}`);
    return 1;
  }
  await process.print(`${name}\n`);
  return 0;
});

const hostname = applet("[-sidf] [HOSTNAME | -F FILE]", async (process, args) => {
  const options = getopt(args, "sidfF:");
  if (options.rest.length > 0 || options.has("F")) {
    await process.complain("sethostname: Operation not permitted");
    return 1;
  }
  const name = byteString(process.machine.hostname);
  const hosts = await process.slurp("/etc/hosts").catch(() => "");
  const own = linesOf(hosts).map((line) => line.split(/\s+/)).find(([, ...names]) => names.some((one) => one === name || one.split(".")[0] === name));
  if (options.has("i")) await process.print(`${own?.[0] ?? "127.0.0.1"}\n`);
  else if (options.has("f")) await process.print(`${own?.[1] ?? name}\n`);
  else if (options.has("d")) await process.print(`${(own?.[1] ?? name).split(".").slice(1).join(".")}\n`);
  else await process.print(`${options.has("s") ? name.split(".")[0] : name}\n`);
  return 0;
});

export const KERNEL_RELEASE = "6.1.0-kubewire";

const uname = applet("[-amnrspvio]", async (process, args) => {
  const options = getopt(args, "amnrspvio");
  const fields: readonly (readonly [string, string])[] = [
    ["s", "Linux"], ["n", byteString(process.machine.hostname)], ["r", KERNEL_RELEASE], ["v", "#1 SMP PREEMPT_DYNAMIC"], ["m", "x86_64"], ["p", "unknown"], ["i", "unknown"], ["o", "GNU/Linux"],
  ];
  const chosen = options.has("a") ? fields.filter(([flag]) => flag !== "p" && flag !== "i") : fields.filter(([flag]) => options.has(flag) || (args.length === 0 && flag === "s"));
  await process.print(`${chosen.map(([, value]) => value).join(" ")}\n`);
  return 0;
});

const date = applet("[OPTIONS] [+FMT] [[-s] TIME]", async (process, args) => {
  const options = getopt(args, "Rs:ud:D:r:I::", { "rfc-2822": "R", utc: "u", universal: "u", date: "d", set: "s", reference: "r", "iso-8601": "I" });
  const zone = options.has("u") ? { name: "UTC", offset: 0 } : zoneOf(process.env.get("TZ"));
  let format: string | undefined, set = options.get("s");
  for (const word of options.rest) {
    if (word.startsWith("+")) format = word.slice(1);
    else set = word;
  }
  if (set !== undefined) {
    if (parseDate(set, process.clock.nowMs(), zone) === undefined) {
      await process.complain(`invalid date '${set}'`);
      return 1;
    }
    await process.complain("can't set date: Operation not permitted");
    return 1;
  }
  let ms = process.clock.nowMs(), ns = Math.floor((ms % 1000) * 1e6);
  if (options.has("r")) {
    const place = process.fs.tryFind(process, options.get("r")!);
    if (place === undefined) {
      await process.complain(`can't stat '${options.get("r")}': No such file or directory`);
      return 1;
    }
    ms = place.node.mtimeMs;
  } else if (options.has("d")) {
    const given = parseDate(options.get("d")!, ms, zone);
    if (given === undefined) {
      await process.complain(`invalid date '${options.get("d")}'`);
      return 1;
    }
    ms = given;
    ns = 0;
  }
  const spec = options.get("I");
  format ??= options.has("R") ? "%a, %d %b %Y %H:%M:%S %z" : spec === undefined ? "%a %b %e %H:%M:%S %Z %Y" : spec.startsWith("s") ? "%Y-%m-%dT%H:%M:%S%:z" : spec.startsWith("m") ? "%Y-%m-%dT%H:%M%:z" : spec.startsWith("h") ? "%Y-%m-%dT%H%:z" : "%Y-%m-%d";
  await process.print(`${strftime(format, ms, zone, ns)}\n`);
  return 0;
});

const cpuTime = (process: Process): string => {
  const seconds = Math.floor(process.cpuNs / 1e9);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
};

/** How the kernel shows its command line. */
export const commandLine = ({ argv, dead, name }: Process): string => (dead ? `[${name}]` : argv.join(" "));

const ps = applet("[-o COL1,COL2=HEADER]", async (process, args) => {
  const words = args.filter((word) => !/^-?[aefuxlwAT]+$/.test(word));
  const options = getopt(words, "o:T");
  const users = accounts(process, "passwd").byId;
  const { machine } = process;
  const age = (p: Process): string => {
    const seconds = Math.floor((machine.clock.nowMs() - p.startedMs) / 1000);
    return seconds >= 3600 ? `${Math.floor(seconds / 3600)}h${String(Math.floor(seconds / 60) % 60).padStart(2, "0")}` : `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  };
  const columns: Readonly<Record<string, readonly [string, number, (p: Process) => string]>> = {
    user: ["USER", -8, (p) => users.get(p.uid) ?? String(p.uid)], ruser: ["RUSER", -8, (p) => users.get(p.uid) ?? String(p.uid)], group: ["GROUP", -8, (p) => String(p.gid)],
    comm: ["COMMAND", -16, (p) => p.name.slice(0, 15)], args: ["COMMAND", 0, commandLine], pid: ["PID", 5, (p) => String(p.pid)], ppid: ["PPID", 5, (p) => String(p.parent?.pid ?? 0)],
    pgid: ["PGID", 5, (p) => String(p.pgid)], sid: ["SID", 5, (p) => String(p.sid)], etime: ["ELAPSED", -7, age], time: ["TIME", -6, cpuTime], vsz: ["VSZ", -4, () => "4404"], rss: ["RSS", -4, () => "1284"],
    stat: ["STAT", -4, (p) => (p.dead ? "Z" : p === process ? "R" : "S")], tty: ["TT", -6, (p) => p.tty?.name.replace("/dev/", "").replace("pts/", "136,") ?? "?"], nice: ["NI", 5, () => "0"],
  };
  const chosen = (options.get("o") ?? "pid,user,time,args").split(",").map((part) => {
    const [name = "", header] = part.split("=");
    const column = columns[name];
    return column === undefined ? undefined : ([header ?? column[0], column[1], column[2]] as const);
  });
  if (chosen.includes(undefined)) {
    await process.complain(`bad -o argument '${options.get("o")}', supported arguments: ${Object.keys(columns).join(",")}`);
    return 1;
  }
  const width = process.fds[1]?.tty?.width ?? Infinity;
  const row = (cells: readonly string[]): string => {
    const text = cells.map((cell, i) => {
      const size = chosen[i]![1];
      return i === cells.length - 1 ? cell : size > 0 ? cell.padStart(size) : cell.slice(0, Math.max(-size, cell.length > -size && size !== 0 ? -size : 99)).padEnd(-size);
    }).join(" ");
    return `${text.slice(0, width)}\n`;
  };
  await process.print(row(chosen.map((column) => column![0])));
  for (const p of [...machine.processes.values()].sort((a, b) => a.pid - b.pid)) await process.print(row(chosen.map((column) => column![2](p))));
  return 0;
});

const kill = applet("[-l] [-SIG] PID...", async (process, args) => {
  const words = [...args];
  let signal: Signal | undefined = "TERM", probe = false;
  if (words[0] === "-l") {
    for (const word of words.slice(1)) {
      const found = /^[0-9]+$/.test(word) ? signalName(Number(word) & 127) : parseSignal(word);
      if (found !== undefined) await process.print(/^[0-9]+$/.test(word) ? `${found}\n` : `${SIGNALS[found]}\n`);
    }
    if (words.length === 1) for (const [name, number] of Object.entries(SIGNALS)) await process.print(`${String(number).padStart(2)}) ${name}\n`);
    return 0;
  }
  if (words[0] === "-s") words.splice(0, 2, `-${words[1] ?? ""}`);
  if (words[0] !== undefined && /^-./.test(words[0]) && words[0] !== "--") {
    const name = words.shift()!.slice(1);
    probe = name === "0";
    signal = parseSignal(name);
    if (signal === undefined && !probe) {
      await process.complain(`bad signal name '${name}'`);
      return 1;
    }
  }
  if (words[0] === "--") words.shift();
  if (words.length === 0) {
    await process.complain("you need to specify whom to kill");
    return 1;
  }
  let status = 0;
  for (const word of words) {
    const targets = /^-?[0-9]+$/.test(word) ? processesOf(process.machine.processes, Number(word), process) : [];
    if (targets.length === 0) {
      await process.complain(/^-?[0-9]+$/.test(word) ? `can't kill pid ${word}: No such process` : `invalid number '${word}'`);
      status = 1;
    } else if (!probe) for (const target of targets) target.kill(signal!);
  }
  return status;
});

const byName = (process: Process, name: string): Process[] => [...process.machine.processes.values()].filter((p) => !p.dead && p !== process && (p.name === name || p.exe === name));

const pidof = applet("[-s] [-o PID] [NAME]...", async (process, args) => {
  const options = getopt(args, "so:");
  const found = options.rest.flatMap((name) => byName(process, name)).map(({ pid }) => pid).sort((a, b) => b - a).filter((pid) => String(pid) !== options.get("o"));
  if (found.length === 0) return 1;
  await process.print(`${(options.has("s") ? found.slice(0, 1) : found).join(" ")}\n`);
  return 0;
});

const killall = applet("[-lq] [-SIG] NAME...", async (process, args) => {
  const words = [...args];
  let signal: Signal = "TERM", quiet = false;
  while (words[0] !== undefined && /^-./.test(words[0])) {
    const word = words.shift()!.slice(1);
    if (word === "q") quiet = true;
    else {
      const found = parseSignal(word);
      if (found === undefined) {
        await process.complain(`bad signal name '${word}'`);
        return 1;
      }
      signal = found;
    }
  }
  let status = 0;
  for (const name of words) {
    const found = byName(process, name);
    if (found.length === 0) {
      status = 1;
      if (!quiet) await process.complain(`${name}: no process killed`);
    }
    for (const target of found) target.kill(signal);
  }
  return status;
});

const pgrep = (kills: boolean): Main => applet("[-flanovx] [-s SID|-P PPID|PATTERN]", async (process, args) => {
  let signal: Signal = "TERM";
  const words = args.filter((word) => {
    const found = kills && /^-[A-Z0-9]+$/.test(word) ? parseSignal(word.slice(1)) : undefined;
    if (found !== undefined) signal = found;
    return found === undefined;
  });
  const options = getopt(words, "flanovxs:P:");
  const [pattern] = options.rest;
  const regexp = pattern === undefined ? undefined : compile(options.has("x") ? `^(${pattern})$` : pattern, { extended: true });
  const text = (p: Process): string => (options.has("f") ? p.argv.join(" ") : p.name);
  let found = [...process.machine.processes.values()].filter((p) => p !== process && !p.dead && ((regexp === undefined || regexp.test(text(p))) !== options.has("v")) && (!options.has("P") || String(p.parent?.pid ?? 0) === options.get("P")));
  if (options.has("n")) found = found.slice(-1);
  if (options.has("o")) found = found.slice(0, 1);
  for (const p of found) {
    if (kills) p.kill(signal);
    else await process.print(`${p.pid}${options.has("l") ? ` ${p.name}` : options.has("a") ? ` ${commandLine(p)}` : ""}\n`);
  }
  return found.length === 0 ? 1 : 0;
});

const timeout = applet("[-s SIG] [-k KILL_SECS] SECS PROG ARGS", async (process, args) => {
  const options = getopt(args, "+s:k:pf", { signal: "s", "kill-after": "k" });
  const [limit, ...argv] = options.rest;
  const seconds = duration(limit ?? "");
  if (seconds === undefined || argv.length === 0) throw new UsageFault("");
  const signal = parseSignal(options.get("s") ?? "TERM");
  if (signal === undefined) {
    await process.complain(`unknown signal '${options.get("s")}'`);
    return 1;
  }
  // As busybox has it, this process becomes the program, and somebody else watches over it.
  const cancels: (() => void)[] = [];
  process.onEnd.add(() => { for (const cancel of cancels) cancel(); });
  if (seconds > 0 && seconds < Infinity) {
    cancels.push(process.clock.after(seconds * 1000, () => {
      process.kill(signal);
      const grace = duration(options.get("k") ?? "");
      if (grace !== undefined && grace > 0) cancels.push(process.clock.after(grace * 1000, () => process.kill("KILL", true)));
    }));
  }
  return become(process, argv);
});

const time = applet("[-vpao] PROG ARGS", async (process, args) => {
  const options = getopt(args, "+vpao:f:");
  if (options.rest.length === 0) throw new UsageFault("");
  const from = process.clock.nowNs();
  let spent = 0;
  const code = await spawnAndWait(process, options.rest, (child) => child.onEnd.add(() => (spent = child.cpuNs)));
  const real = (process.clock.nowNs() - from) / 1e9;
  const text = (seconds: number): string => (options.has("p") ? seconds.toFixed(2) : `${Math.floor(seconds / 60)}m ${(seconds % 60).toFixed(2)}s`);
  await process.error(options.has("p") ? `real ${text(real)}\nuser ${text(spent / 1e9)}\nsys ${text(0)}\n` : `real\t${text(real)}\nuser\t${text(spent / 1e9)}\nsys\t${text(0)}\n`);
  return code;
});

const watch = applet("[-n SEC] [-t] PROG ARGS", async (process, args) => {
  const options = getopt(args, "+n:tdx", { interval: "n", "no-title": "t" });
  if (options.rest.length === 0) throw new UsageFault("");
  const seconds = Number(options.get("n") ?? 2);
  for (;;) {
    await process.print("\x1b[H\x1b[J");
    if (!options.has("t")) {
      const title = `Every ${seconds.toFixed(1)}s: ${options.rest.join(" ")}`;
      const stamp = strftime("%Y-%m-%d %H:%M:%S", process.clock.nowMs(), zoneOf(process.env.get("TZ")));
      await process.print(`${title.padEnd(Math.max(title.length + 1, (process.fds[1]?.tty?.width ?? 80) - stamp.length))}${stamp}\n\n`);
    }
    await spawnAndWait(process, ["sh", "-c", options.rest.join(" ")]);
    await process.sleep(seconds * 1000);
  }
});

/** What `free` and `top` tell, from /proc/meminfo. */
async function memory(process: Process): Promise<Readonly<Record<string, number>>> {
  const out: Record<string, number> = {};
  for (const line of linesOf(await process.slurp("/proc/meminfo").catch(() => ""))) {
    const match = /^(\w+):\s+([0-9]+)/.exec(line);
    if (match !== null) out[match[1]!] = Number(match[2]);
  }
  return out;
}

const free = applet("[-bkmgh]", async (process, args) => {
  const options = getopt(args, "bkmghtlo");
  const m = await memory(process);
  const unit = options.has("b") ? 1 / 1024 : options.has("m") ? 1024 : options.has("g") ? 1024 * 1024 : 1;
  const cell = (kib = 0): string => (options.has("h") ? (kib >= 1048576 ? `${(kib / 1048576).toFixed(1)}G` : `${(kib / 1024).toFixed(1)}M`) : String(Math.floor(kib / unit))).padStart(12);
  const { MemTotal = 0, MemFree = 0, Cached = 0, Buffers = 0, MemAvailable = 0, Shmem = 0 } = m;
  await process.print(`${"total".padStart(18)}${"used".padStart(12)}${"free".padStart(12)}${"shared".padStart(12)}${"buff/cache".padStart(12)}${"available".padStart(12)}\n`);
  await process.print(`Mem:  ${cell(MemTotal)}${cell(MemTotal - MemFree - Cached - Buffers)}${cell(MemFree)}${cell(Shmem)}${cell(Cached + Buffers)}${cell(MemAvailable)}\n`);
  await process.print(`Swap: ${cell(0)}${cell(0)}${cell(0)}\n`);
  return 0;
});

const top = applet("[-bmH] [-n COUNT] [-d SECONDS]", async (process, args) => {
  const options = getopt(args, "bmHn:d:");
  const count = options.has("n") ? Number(options.get("n")) : Infinity;
  const users = accounts(process, "passwd").byId;
  for (let i = 0; i < count; i++) {
    if (i > 0) await process.sleep(Number(options.get("d") ?? 5) * 1000);
    const m = await memory(process);
    const { MemTotal = 0, MemFree = 0, Cached = 0, Buffers = 0, Shmem = 0 } = m;
    const all = [...process.machine.processes.values()].sort((a, b) => b.cpuNs - a.cpuNs || a.pid - b.pid);
    if (!options.has("b")) await process.print("\x1b[H\x1b[J");
    await process.print(`Mem: ${MemTotal - MemFree}K used, ${MemFree}K free, ${Shmem}K shrd, ${Buffers}K buff, ${Cached}K cached\nCPU:   0% usr   0% sys   0% nic 100% idle   0% io   0% irq   0% sirq\n` +
      `Load average: 0.00 0.00 0.00 1/${all.length} ${process.pid}\n  PID  PPID USER     STAT   VSZ %VSZ CPU %CPU COMMAND\n`);
    for (const p of all) {
      await process.print(`${String(p.pid).padStart(5)} ${String(p.parent?.pid ?? 0).padStart(5)} ${(users.get(p.uid) ?? String(p.uid)).slice(0, 8).padEnd(8)} ${(p.dead ? "Z" : p === process ? "R" : "S").padEnd(4)}  4404   0%   0   0% ${commandLine(p)}\n`);
    }
    await process.flush();
  }
  return 0;
});

const uptime = applet("", async (process) => {
  const seconds = Math.floor(process.clock.nowNs() / 1e9);
  const days = Math.floor(seconds / 86_400);
  const up = `${days > 0 ? `${days} day${days === 1 ? "" : "s"}, ` : ""}${seconds >= 3600 ? `${String(Math.floor(seconds / 3600) % 24).padStart(2)}:${String(Math.floor(seconds / 60) % 60).padStart(2, "0")}` : `${Math.floor(seconds / 60)} min`}`;
  await process.print(` ${strftime("%H:%M:%S", process.clock.nowMs(), zoneOf(process.env.get("TZ")))} up ${up},  0 users,  load average: 0.00, 0.00, 0.00\n`);
  return 0;
});

const which = applet("[-a] COMMAND...", async (process, args) => {
  let status = 0;
  for (const name of getopt(args, "a").rest) {
    const found = process.which(name);
    if (found === undefined || found.error !== undefined) status = 1;
    else await process.print(`${found.path}\n`);
  }
  return status;
});

const stty = applet("[-a|g] [-F DEVICE] [SETTING]...", async (process, args) => {
  const tty = process.fds[0]?.tty;
  if (tty === undefined) {
    await process.complain("standard input: Not a tty");
    return 1;
  }
  if (args[0] === "size") await process.print(`${tty.height} ${tty.width}\n`);
  else if (args.length === 0 || args[0] === "-a") await process.print(`speed 38400 baud; rows ${tty.height}; columns ${tty.width};\n${tty.raw ? "-icanon" : "icanon"} ${tty.echo ? "echo" : "-echo"}\n`);
  for (let i = 0; i < args.length; i++) {
    const word = args[i];
    if (word === "raw" || word === "-icanon" || word === "cbreak") tty.raw = true;
    else if (word === "-raw" || word === "sane" || word === "cooked" || word === "icanon") {
      tty.raw = false;
      if (word === "sane") tty.echo = true;
    } else if (word === "-echo") tty.echo = false;
    else if (word === "echo") tty.echo = true;
    else if (word === "cols" || word === "columns") tty.width = Number(args[++i]) || tty.width;
    else if (word === "rows") tty.height = Number(args[++i]) || tty.height;
  }
  return 0;
});

const expr = applet("EXPRESSION", async (process, args) => {
  let at = 0;
  const fail = (text: string): Error => new UsageFault(text);
  type Value = string;
  const isNumber = (value: Value): boolean => /^-?[0-9]+$/.test(value);
  const truth = (value: Value): boolean => value !== "" && !/^-?0+$/.test(value);
  const number = (value: Value): bigint => {
    if (!isNumber(value)) throw fail("non-numeric argument");
    return BigInt(value);
  };
  const levels: readonly (readonly string[])[] = [["|"], ["&"], ["<", "<=", "=", "==", "!=", ">=", ">"], ["+", "-"], ["*", "/", "%"], [":"]];
  const parse = (level: number): Value => {
    const ops = levels[level];
    if (ops === undefined) return primary();
    let left = parse(level + 1);
    while (at < args.length && ops.includes(args[at]!)) {
      const op = args[at++]!;
      const right = parse(level + 1);
      left = apply(op, left, right);
    }
    return left;
  };
  const match = (text: string, pattern: string): Value => {
    const found = compile(`^${pattern.replace(/^\^/, "")}`).exec(text);
    return /\\\(/.test(pattern) ? (found?.[1] ?? "") : String(found?.[0].length ?? 0);
  };
  const apply = (op: string, a: Value, b: Value): Value => {
    switch (op) {
      case "|": return truth(a) ? a : truth(b) ? b : "0";
      case "&": return truth(a) && truth(b) ? a : "0";
      case "+": return String(number(a) + number(b));
      case "-": return String(number(a) - number(b));
      case "*": return String(number(a) * number(b));
      case "/": case "%":
        if (number(b) === 0n) throw fail("division by zero");
        return String(op === "/" ? number(a) / number(b) : number(a) % number(b));
      case ":": return match(a, b);
      default: {
        const numeric = isNumber(a) && isNumber(b);
        const order = numeric ? (BigInt(a) < BigInt(b) ? -1 : BigInt(a) > BigInt(b) ? 1 : 0) : a < b ? -1 : a > b ? 1 : 0;
        return { "<": order < 0, "<=": order <= 0, "=": order === 0, "==": order === 0, "!=": order !== 0, ">=": order >= 0, ">": order > 0 }[op] === true ? "1" : "0";
      }
    }
  };
  const primary = (): Value => {
    const word = args[at++];
    if (word === undefined) throw fail("syntax error");
    if (word === "(") {
      const value = parse(0);
      if (args[at++] !== ")") throw fail("syntax error");
      return value;
    }
    if (word === "length" && at < args.length) return String(primary().length);
    if (word === "match" && at + 1 < args.length) return match(primary(), primary());
    if (word === "index" && at + 1 < args.length) {
      const text = primary(), set = primary();
      return String([...text].findIndex((c) => set.includes(c)) + 1);
    }
    if (word === "substr" && at + 2 < args.length) {
      const text = primary(), from = Number(primary()), length = Number(primary());
      return from < 1 || length < 1 ? "" : text.slice(from - 1, from - 1 + length);
    }
    return word;
  };
  try {
    const value = parse(0);
    if (at < args.length) throw fail("syntax error");
    await process.print(`${value}\n`);
    return truth(value) ? 0 : 1;
  } catch (error) {
    if (!(error instanceof UsageFault)) throw error;
    await process.complain(error.message);
    return 2;
  }
});

const mount = applet("[-a] [-o OPTS...] [-t TYPE] [DEVICE] [DIR]", async (process, args) => {
  if (args.some((word) => !word.startsWith("-"))) {
    await process.complain("permission denied (are you root?)");
    return 1;
  }
  for (const { root, path, readOnly } of process.fs.mounts) await process.print(`${root.sb.source} on ${path} type ${root.sb.type} (${readOnly ? "ro" : "rw"},relatime)\n`);
  return 0;
});

const nothing = (status: number): Main => () => status;

const runs = (usage: string, spec: string): Main => applet(usage, async (process, args) => {
  const options = getopt(args, spec);
  if (options.rest.length === 0) throw new UsageFault("");
  return become(process, options.rest);
});

const writes = (text: (process: Process) => string): Main => async (process) => {
  await process.print(text(process));
  return 0;
};

export const systemApplets: Readonly<Record<string, Main>> = {
  sleep, env, printenv, id, whoami, hostname, uname, date, ps, kill, pidof, killall, pgrep: pgrep(false), pkill: pgrep(true), timeout, time, watch, free, top, uptime, which, stty, expr, mount,
  true: nothing(0), false: nothing(1), sync: nothing(0), clear: writes(() => "\x1b[H\x1b[J"), reset: writes(() => "\x1bc\x1b(B\x1b[m\x1b[J\x1b[?25h"),
  nproc: writes(() => "4\n"), arch: writes(() => "x86_64\n"), hostid: writes(() => "007f0101\n"),
  usleep: applet("N", async (process, [n]) => {
    await process.sleep(Number(n ?? 0) / 1000);
    return 0;
  }),
  tty: async (process) => {
    const tty = process.fds[0]?.tty;
    await process.print(tty === undefined ? "not a tty\n" : `${tty.name}\n`);
    return tty === undefined ? 1 : 0;
  },
  groups: async (process) => {
    const groups = accounts(process, "group").byId;
    await process.print(`${[...new Set([process.gid, ...process.groups])].map((gid) => groups.get(gid) ?? String(gid)).join(" ")}\n`);
    return 0;
  },
  nice: runs("[-n ADJUST] [PROG ARGS]", "+n:"), nohup: applet("PROG ARGS", async (process, args) => {
    if (args.length === 0) throw new UsageFault("");
    process.ignored.add("HUP");
    return become(process, args);
  }),
  setsid: runs("[-c] PROG ARGS", "+c"), ionice: runs("[-c 1-3] [-n 0-7] [-t] [PROG ARGS]", "+c:n:t"),
  echo: async (process) => {
    await process.print(echo(process.argv.slice(1)));
    return 0;
  },
  pwd: async (process) => {
    await process.print(`${process.fs.pathOf(process.cwd)}\n`);
    return 0;
  },
  printf: async (process) => {
    const [, format, ...rest] = process.argv;
    if (format === undefined) {
      await process.error("printf: usage: printf FORMAT [ARG]...\n");
      return 1;
    }
    const { text, errors } = printf(format, rest);
    await process.print(text);
    for (const error of errors) await process.complain(error);
    return errors.length > 0 ? 1 : 0;
  },
  test: (process) => runTest(process, "test", process.argv.slice(1), (text) => process.complain(text)),
  "[": (process) => runTest(process, "[", process.argv.slice(1), (text) => process.complain(text)),
};
