/** /dev of a container. */
import { EMPTY } from "./os/bytes.ts";
import { Errno } from "./os/errno.ts";
import { openOf, type OpenFile } from "./os/files.ts";
import { DeviceNode, DirNode, FileNode, LinkNode, newSuperblock, S_IFCHR, S_IFREG } from "./os/nodes.ts";
import type { Random } from "../time/clock.ts";

export function devices(nowMs: () => number, random: Random): DirNode {
  const sb = newSuperblock("tmpfs", "tmpfs", nowMs, 64 << 20);
  const dev = new DirNode(sb, 0o755);
  const add = (name: string, major: number, minor: number, open: () => OpenFile): void => dev.set(name, new DeviceNode(sb, S_IFCHR | 0o666, major, minor, open));
  const nothing = (): void => {};
  const device = (name: string, read: (max: number) => Uint8Array | undefined, write: () => void = nothing): (() => OpenFile) => () => openOf(`/dev/${name}`, { read, write, ready: () => true });
  add("null", 1, 3, device("null", () => undefined));
  add("zero", 1, 5, device("zero", (max) => new Uint8Array(max)));
  add("full", 1, 7, device("full", (max) => new Uint8Array(max), () => { throw new Errno("ENOSPC"); }));
  const draw = (max: number): Uint8Array => (max === 0 ? EMPTY : random.bytes(new Uint8Array(max)));
  add("random", 1, 8, device("random", draw));
  add("urandom", 1, 9, device("urandom", draw));
  for (const [name, target] of [["fd", "/proc/self/fd"], ["stdin", "/proc/self/fd/0"], ["stdout", "/proc/self/fd/1"], ["stderr", "/proc/self/fd/2"], ["ptmx", "pts/ptmx"]] as const) dev.set(name, new LinkNode(sb, target));
  dev.set("shm", new DirNode(sb, 0o1777));
  dev.set("pts", new DirNode(sb, 0o755));
  dev.set("mqueue", new DirNode(sb, 0o1777));
  dev.set("termination-log", new FileNode(sb, S_IFREG | 0o666));
  return dev;
}
