/**
 * What a container image is made of: a program in JavaScript or TypeScript that gets argv, env, files, signals,
 * stdio and sockets (DESIGN decision 9). Its traffic is real TCP and UDP through the node's kernel. The same
 * interface serves every in-box image and the user's own (`defineImage`).
 */
import type { Clock, Random } from "../time/clock.ts";
import type { Sockets } from "../kernel/sockets.ts";
import type { ApiTransport } from "../client/transport.ts";

/** A failed call on a file; `code` is the errno's name (ENOENT, EACCES, EROFS …). */
export interface FileError extends Error {
  readonly code: string;
}

export interface FileStatus {
  readonly kind: "file" | "directory" | "link" | "device" | "fifo";
  readonly size: number;
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Milliseconds since the Unix epoch. */
  readonly modifiedMs: number;
}

/** The container's files. Paths that do not begin with `/` begin at the working directory. Every call throws FileError. */
export interface FileSystem {
  readFile(path: string): Uint8Array;
  readText(path: string): string;
  /** Creates or replaces the file, or adds to it. */
  writeFile(path: string, data: Uint8Array | string, options?: { readonly append?: boolean; readonly mode?: number }): void;
  exists(path: string): boolean;
  /** Of a link itself where `follow` is false. */
  stat(path: string, options?: { readonly follow?: boolean }): FileStatus;
  /** Names in a directory. */
  list(path: string): string[];
  makeDirectory(path: string, options?: { readonly parents?: boolean; readonly mode?: number }): void;
  /** A file, or a directory with all that is in it. */
  remove(path: string): void;
  rename(from: string, to: string): void;
  link(target: string, path: string): void;
}

/** What a program may touch. Everything else of the host is out of its reach. */
export interface ProgramContext {
  /** As in Linux: argv[0] is the program's name. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly hostname: string;
  /** Reads a whole file of the container (`/etc/resolv.conf`, `/etc/hosts`, mounted ConfigMaps); undefined: ENOENT. */
  readFile(path: string): Uint8Array | undefined;
  /** Files, to write as well; in a cluster with images of one's own, or with `userland`. */
  readonly fs: FileSystem;
  /** Text, or bytes as they are. */
  readonly stdout: (text: string | Uint8Array) => void;
  /** The next bytes of standard input, undefined at its end; absent: there is none (/dev/null). */
  readonly stdin?: (() => Promise<Uint8Array | undefined>) | undefined;
  readonly stderr: (text: string | Uint8Array) => void;
  /**
   * Aborts with `reason` = "SIGTERM" (or SIGINT, SIGHUP …) when the program is asked to stop; one that goes on is killed later. To read this property is to
   * handle signals: a program that does not ends at once by what ends programs, unless it is process 1.
   */
  readonly signal: AbortSignal;
  readonly pid: number;
  /** The terminal it writes to; absent: there is none. */
  readonly terminal?: { readonly width: number; readonly height: number } | undefined;
  /** Ports that the container declares. */
  readonly ports: readonly { readonly containerPort: number; readonly protocol?: string }[];
  /** Sockets in the pod's network namespace. */
  readonly net: Sockets;
  readonly clock: Clock;
  readonly random: Random;
  /** What the program uses of the machine, for it to say: there is nothing that could measure JavaScript. */
  readonly usage: Usage;
  /** The API server as this pod's service account reaches it. */
  readonly api: ApiTransport;
}

/** CPU and memory of one container, as its cgroup has them. */
export interface Usage {
  /** Spends so much CPU time: takes as long in virtual time, and longer where the container has less than one CPU. */
  cpu(ms: number): Promise<void>;
  /** Memory that the program has taken beyond what every program has; more than the container's limit is its end (OOMKilled). */
  memory(bytes: number): void;
}

/** A file of an image. */
export type ImageFile =
  | string
  | Uint8Array
  | { readonly text: string; readonly mode?: number }
  | { readonly link: string }
  | { readonly directory: true; readonly mode?: number }
  /** An executable. */
  | { readonly program: (context: ProgramContext) => Promise<number> };

/** An image: what its registry entry says, and the program itself. */
export interface Image {
  /** Repository with tag, such as `nginx:1.27`; a name without a tag is `:latest`. */
  readonly name: string;
  /** Used where the container has no `command`. */
  readonly entrypoint: readonly string[];
  /** Used where the container has no `args`. */
  readonly cmd?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Files by their absolute path, beside those of `base`. */
  readonly files?: Readonly<Record<string, ImageFile>>;
  /** What the image is built on: busybox with its shell (the default), that and the tools of a node (ip, ss, iptables …), or nothing. */
  readonly base?: "busybox" | "tools" | "scratch";
  readonly workingDir?: string;
  /** User and group of its processes; default 0. */
  readonly user?: { readonly uid: number; readonly gid: number };
  /** Bytes, as `kubectl get node -o yaml` shows them. */
  readonly sizeBytes?: number;
  /**
   * Runs until the container ends; resolves with the exit code (0 to 255). A rejection is exit code 1, its text on stderr. It is what runs for an argv[0] that is
   * no file of the image.
   */
  run(context: ProgramContext): Promise<number>;
}

/** Declares an image; exists for its types. */
export const defineImage = (image: Image): Image => image;
