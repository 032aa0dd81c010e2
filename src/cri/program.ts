/**
 * What a container image is made of: a program in JavaScript or TypeScript that gets argv, env, files, signals,
 * stdio and sockets (DESIGN decision 9). Its traffic is real TCP and UDP through the node's kernel. The same
 * interface serves every in-box image and the user's own (`defineImage`).
 */
import type { Clock, Random } from "../time/clock.ts";
import type { Sockets } from "../kernel/sockets.ts";
import type { ApiTransport } from "../client/transport.ts";

/** What a program may touch. Everything else of the host is out of its reach. */
export interface ProgramContext {
  /** As in Linux: argv[0] is the program's name. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly hostname: string;
  /** Reads a whole file of the container (`/etc/resolv.conf`, `/etc/hosts`, mounted ConfigMaps); undefined: ENOENT. */
  readFile(path: string): Uint8Array | undefined;
  readonly stdout: (text: string) => void;
  /** The next bytes of standard input, undefined at its end; absent: there is none (/dev/null). */
  readonly stdin?: (() => Promise<Uint8Array | undefined>) | undefined;
  readonly stderr: (text: string) => void;
  /** Aborts with `reason` = "SIGTERM" when the container is asked to stop; a program that goes on is killed later. */
  readonly signal: AbortSignal;
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

/** An image: what its registry entry says, and the program itself. */
export interface Image {
  /** Repository with tag, such as `nginx:1.27`; a name without a tag is `:latest`. */
  readonly name: string;
  /** Used where the container has no `command`. */
  readonly entrypoint: readonly string[];
  /** Used where the container has no `args`. */
  readonly cmd?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Runs until the container ends; resolves with the exit code (0 to 255). A rejection is exit code 1, its text on stderr. */
  run(context: ProgramContext): Promise<number>;
}

/** Declares an image; exists for its types. */
export const defineImage = (image: Image): Image => image;
