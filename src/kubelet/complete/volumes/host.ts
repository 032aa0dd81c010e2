/** The file tree of a node: what hostPath and local volumes show. Follows kubernetes pkg/volume/hostpath (host_path.go: checkType). */
import type { HostPathVolumeSource } from "../../../api/types.generated.ts";
import type { Volume } from "../../../cri/types.ts";

/** Directories that every node has. */
const STANDARD = ["", "bin", "boot", "dev", "etc", "etc/kubernetes", "etc/kubernetes/manifests", "home", "lib", "media", "mnt", "opt", "proc", "root", "run", "sbin", "srv", "sys",
  "tmp", "usr", "usr/bin", "usr/lib", "usr/local", "usr/share", "var", "var/lib", "var/lib/kubelet", "var/log", "var/log/containers", "var/log/pods", "var/run", "var/tmp"];

const plain = (path: string): string => path.replace(/\/+/g, "/").replace(/^\/|\/$/g, "");

export class HostFiles {
  readonly volume: Volume;
  private readonly made = new Set(STANDARD);

  constructor(volume: Volume) {
    this.volume = volume;
    for (const [path, text] of [
      ["etc/hosts", "127.0.0.1\tlocalhost\n"], ["etc/os-release", 'NAME="kubewire"\nID=kubewire\nPRETTY_NAME="kubewire"\n'],
    ] as const) volume.writeFile(path, new TextEncoder().encode(text));
  }

  private kindOf(path: string): "directory" | "file" | undefined {
    const found = this.volume.kindOf?.(path);
    if (found !== undefined) return found;
    if (this.volume.readFile(path) !== undefined) return "file";
    for (const directory of this.made) if (directory === path || directory.startsWith(`${path}/`)) return "directory";
    return undefined;
  }

  /** Below the tree. Throws what checkType says where `type` does not hold. */
  open({ path, type = "" }: HostPathVolumeSource): string {
    const at = plain(path);
    const kind = this.kindOf(at);
    const fail = (what: string): never => {
      throw new Error(`hostPath type check failed: ${path} is not ${what}`);
    };
    switch (type) {
      case "Directory": if (kind !== "directory") fail("a directory"); break;
      case "File": if (kind !== "file") fail("a file"); break;
      case "DirectoryOrCreate":
        if (kind === "file") fail("a directory");
        this.made.add(at);
        break;
      case "FileOrCreate":
        if (kind === "directory") fail("a file");
        if (kind === undefined) this.volume.writeFile(at, new Uint8Array(0));
        break;
      case "Socket": fail("a socket file"); break;
      case "CharDevice": fail("a character device"); break;
      case "BlockDevice": fail("a block device"); break;
      // Whatever is missing is made as a directory when it is mounted.
      default: if (kind === undefined) this.made.add(at);
    }
    return at;
  }

  /** Whether there is something at `path`. */
  has(path: string): boolean {
    return this.kindOf(plain(path)) !== undefined;
  }
}
