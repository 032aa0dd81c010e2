/**
 * What the runtime asks of a userland: file systems and processes for containers. `src/shell` is one; it is loaded where a cluster is more than
 * its core (src/crew.ts). Without one, a container is a single program that reads files (program.ts).
 */
import type { ApiTransport } from "../client/transport.ts";
import type { Netns } from "../kernel/netns.ts";
import type { Clock, Random } from "../time/clock.ts";
import type { Image, Usage } from "./program.ts";
import type { OwnedSockets } from "./sockets.ts";
import type { ContainerConfig, Volume, VolumeOptions } from "./types.ts";

export interface Userland {
  /** Loads what containers need; done before the first one is made. */
  load(): Promise<void>;
  newVolume(options?: VolumeOptions): Volume;
  newContainer(init: UserlandInit): UserlandContainer;
}

export interface UserlandInit {
  readonly id: string;
  readonly image: Image;
  readonly config: ContainerConfig;
  readonly hostname: string;
  readonly netns: Netns;
  readonly newSockets: () => OwnedSockets;
  readonly clock: Clock;
  readonly random: Random;
  readonly api: ApiTransport;
  readonly usage: Usage;
  /** Takes note of CPU time that a process used. */
  readonly onCpu: (ns: number) => void;
}

export interface TerminalSize {
  readonly width: number;
  readonly height: number;
}

/** Where the output of a process goes, and what it is started with. */
export interface ProcessIO {
  readonly stdout: (bytes: Uint8Array) => void;
  readonly stderr: (bytes: Uint8Array) => void;
  /** Whether somebody writes to it; else its input is /dev/null. */
  readonly stdin: boolean;
  readonly tty: boolean;
}

export interface RunningProcess {
  /** The exit code; rejects with ExecutableNotFound. */
  readonly ended: Promise<number>;
  write(bytes: Uint8Array): void;
  eof(): void;
  resize(size: TerminalSize): void;
  signal(name: string): void;
  kill(): void;
}

export interface UserlandContainer {
  /** The first one is process 1: with it, all others end. */
  run(argv: readonly string[], io: ProcessIO): RunningProcess;
  /** One file as process 1 would see it; undefined: there is none. */
  readFile(path: string): Uint8Array | undefined;
  /** Bytes that were written below the root, the image's own not among them. */
  usedBytes(): number;
}
