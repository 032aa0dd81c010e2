/** /proc of a container: what programs read there (proc(5)). */
import type { Netns } from "../kernel/netns.ts";
import { byteString } from "./os/bytes.ts";
import { DirNode, FileNode, LinkNode, newSuperblock, S_IFREG, type Node, type Superblock } from "./os/nodes.ts";
import type { Machine, Process } from "./os/process.ts";
import { KERNEL_RELEASE } from "./applets/system.ts";

const MEMORY_KIB = 8_061_436;
const TICKS = 100;

export function proc(machine: () => Machine, netns: Netns): DirNode {
  const sb = newSuperblock("proc", "proc", () => machine().clock.nowMs());
  const file = (content: () => string, mode = 0o444): FileNode => {
    const node = new FileNode(sb, S_IFREG | mode);
    node.content = content;
    return node;
  };
  const uptime = (): number => machine().clock.nowNs() / 1e9;
  const fixed: Readonly<Record<string, () => Node>> = {
    cmdline: () => file(() => "BOOT_IMAGE=/vmlinuz root=/dev/vda1 ro console=ttyS0\n"),
    cpuinfo: () => file(() => [0, 1, 2, 3].map((cpu) => `processor\t: ${cpu}\nvendor_id\t: GenuineIntel\nmodel name\t: Virtual CPU\ncpu MHz\t\t: 2400.000\ncpu cores\t: 4\n\n`).join("")),
    filesystems: () => file(() => "nodev\tsysfs\nnodev\ttmpfs\nnodev\tproc\nnodev\toverlay\n\text4\n"),
    loadavg: () => file(() => `0.00 0.00 0.00 1/${machine().processes.size} ${machine().nextPid - 1}\n`),
    meminfo: () => file(() => [["MemTotal", MEMORY_KIB], ["MemFree", 5_912_344], ["MemAvailable", 7_203_120], ["Buffers", 95_468], ["Cached", 1_310_204], ["SwapCached", 0], ["Shmem", 4_212], ["SwapTotal", 0], ["SwapFree", 0]]
      .map(([name, kib]) => `${`${name}:`.padEnd(16)}${String(kib).padStart(8)} kB\n`).join("")),
    mounts: () => new LinkNode(sb, "self/mounts"),
    net: () => new LinkNode(sb, "self/net"),
    self: () => {
      const link = new LinkNode(sb, "1");
      link.targetFor = (caller) => String(caller.pid ?? 1);
      return link;
    },
    stat: () => file(() => `cpu  0 0 0 ${Math.floor(uptime() * TICKS)} 0 0 0 0 0 0\nbtime ${Math.floor((machine().clock.nowMs() - uptime() * 1000) / 1000)}\nprocesses ${machine().nextPid - 1}\n`),
    sys: () => sysctls(sb, netns),
    uptime: () => file(() => `${uptime().toFixed(2)} ${(uptime() * 4).toFixed(2)}\n`),
    version: () => file(() => `Linux version ${KERNEL_RELEASE} (kubewire) #1 SMP PREEMPT_DYNAMIC\n`),
  };
  const made = new Map<string, Node>();
  const root = new DirNode(sb, 0o555);
  root.dynamic = {
    names: () => [...[...machine().processes.keys()].sort((a, b) => a - b).map(String), ...Object.keys(fixed)],
    get(name) {
      if (/^[0-9]+$/.test(name)) {
        const process = machine().processes.get(Number(name));
        return process === undefined ? undefined : ofProcess(sb, process, netns);
      }
      if (!Object.hasOwn(fixed, name)) return undefined;
      let node = made.get(name);
      if (node === undefined) made.set(name, (node = fixed[name]!()));
      return node;
    },
  };
  return root;
}

const directories = new WeakMap<Process, DirNode>();

function ofProcess(sb: Superblock, process: Process, netns: Netns): DirNode {
  const known = directories.get(process);
  if (known !== undefined) return known;
  const file = (content: () => string): FileNode => {
    const node = new FileNode(sb, S_IFREG | 0o444);
    node.content = content;
    node.uid = process.uid;
    node.gid = process.gid;
    return node;
  };
  const { machine } = process;
  const ticks = (ns: number): number => Math.floor(ns / (1e9 / TICKS));
  const state = (): string => (process.dead ? "Z (zombie)" : "S (sleeping)");
  const entries: Readonly<Record<string, () => Node>> = {
    cgroup: () => file(() => "0::/\n"),
    cmdline: () => file(() => process.argv.map((word) => `${word}\0`).join("")),
    comm: () => file(() => `${process.name.slice(0, 15)}\n`),
    cwd: () => new LinkNode(sb, process.fs.pathOf(process.cwd)),
    environ: () => file(() => [...process.env].map(([name, value]) => `${name}=${value}\0`).join("")),
    exe: () => new LinkNode(sb, process.exe),
    fd: () => descriptors(sb, process),
    limits: () => file(() => "Limit                     Soft Limit           Hard Limit           Units     \nMax open files            1048576              1048576              files     \n"),
    mountinfo: () => file(() => machine.fs.mounts.map(({ root, path, readOnly }, i) => `${i + 20} 19 0:${i + 20} / ${path} ${readOnly ? "ro" : "rw"},relatime - ${root.sb.type} ${root.sb.source} rw\n`).join("")),
    mounts: () => file(() => machine.fs.mounts.map(({ root, path, readOnly }) => `${root.sb.source} ${path} ${root.sb.type} ${readOnly ? "ro" : "rw"},relatime 0 0\n`).join("")),
    net: () => networks(sb, netns),
    root: () => new LinkNode(sb, "/"),
    stat: () => file(() => `${process.pid} (${process.name.slice(0, 15)}) ${state()[0]} ${process.parent?.pid ?? 0} ${process.pgid} ${process.sid} 0 -1 4194304 0 0 0 0 ${ticks(process.cpuNs)} 0 0 0 20 0 1 0 ${ticks(machine.clock.nowNs() - (machine.clock.nowMs() - process.startedMs) * 1e6)} 4509696 321\n`),
    status: () => file(() => `Name:\t${process.name.slice(0, 15)}\nUmask:\t${process.umask.toString(8).padStart(4, "0")}\nState:\t${state()}\nTgid:\t${process.pid}\nPid:\t${process.pid}\nPPid:\t${process.parent?.pid ?? 0}\n` +
      `Uid:\t${Array(4).fill(process.uid).join("\t")}\nGid:\t${Array(4).fill(process.gid).join("\t")}\nGroups:\t${process.groups.join(" ")} \nVmSize:\t    4404 kB\nVmRSS:\t    1284 kB\nThreads:\t1\n`),
  };
  const dir = new DirNode(sb, 0o555);
  dir.uid = process.uid;
  dir.gid = process.gid;
  dir.dynamic = { names: () => Object.keys(entries), get: (name) => (Object.hasOwn(entries, name) ? entries[name]!() : undefined) };
  directories.set(process, dir);
  return dir;
}

function descriptors(sb: Superblock, process: Process): DirNode {
  const dir = new DirNode(sb, 0o500);
  dir.dynamic = {
    names: () => process.fds.flatMap((file, fd) => (file === undefined ? [] : [String(fd)])),
    get(name) {
      const open = process.fds[Number(name)];
      if (open === undefined || !/^[0-9]+$/.test(name)) return undefined;
      const link = new LinkNode(sb, open.name);
      link.open = () => process.fds[Number(name)];
      return link;
    },
  };
  return dir;
}

/** /proc/net, as far as the tools of a node know it (src/tools/proc-net.ts): loaded with them. */
function networks(sb: Superblock, netns: Netns): DirNode {
  const file = (content: () => string): FileNode => {
    const node = new FileNode(sb, S_IFREG | 0o444);
    node.content = content;
    return node;
  };
  const counters = (): string => netns.links().map(({ name }) => `${name.padStart(6)}: ${"0 ".repeat(16).trim()}\n`).join("");
  const names: Readonly<Record<string, () => Node>> = {
    dev: () => file(() => byteString(`Inter-|   Receive                                                |  Transmit\n face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n${counters()}`)),
    snmp: () => file(() => byteString(Object.entries(netns.snmp()).map(([name, value]) => `${name} ${value}\n`).join(""))),
  };
  const dir = new DirNode(sb, 0o555);
  dir.dynamic = { names: () => Object.keys(names), get: (name) => (Object.hasOwn(names, name) ? names[name]!() : undefined) };
  return dir;
}

/** /proc/sys/net, the sysctls of the namespace; and those of the kernel that programs look at. */
function sysctls(sb: Superblock, netns: Netns): DirNode {
  const kernel: Readonly<Record<string, string>> = {
    "kernel/ostype": "Linux", "kernel/osrelease": KERNEL_RELEASE, "kernel/pid_max": "4194304", "kernel/random/entropy_avail": "256", "vm/overcommit_memory": "1", "vm/max_map_count": "65530", "fs/file-max": "9223372036854775807",
    "kernel/threads-max": "62751", "vm/swappiness": "60",
  };
  const at = (path: string): Node | undefined => {
    if (Object.hasOwn(kernel, path)) {
      const node = new FileNode(sb, S_IFREG | 0o444);
      node.content = () => `${kernel[path]}\n`;
      return node;
    }
    const below = Object.keys(kernel).filter((name) => name.startsWith(`${path}/`));
    if (below.length > 0) return folder(path, [...new Set(below.map((name) => name.slice(path.length + 1).split("/")[0]!))]);
    if (path !== "net" && !path.startsWith("net/")) return undefined;
    try {
      const name = path.replaceAll("/", ".");
      const value = netns.sysctl(name);
      const node = new FileNode(sb, S_IFREG | 0o644);
      node.content = () => `${netns.sysctl(name)}\n`;
      node.sink = (text) => netns.setSysctl(name, text.trim());
      void value;
      return node;
    } catch {
      return path.split("/").length < 5 ? folder(path, []) : undefined;
    }
  };
  const folder = (path: string, names: readonly string[]): DirNode => {
    const dir = new DirNode(sb, 0o555);
    dir.dynamic = { names: () => [...names], get: (name) => at(path === "" ? name : `${path}/${name}`) };
    return dir;
  };
  return folder("", ["fs", "kernel", "net", "vm"]);
}
