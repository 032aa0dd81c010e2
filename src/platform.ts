/**
 * What a JavaScript runtime has to offer so that a cluster can run in it. One adapter per runtime, in `runtimes/`,
 * implements it; everything under `src/` gets it handed in and asks nobody else for time, chance or threads.
 */
import type { SigningKeySource } from "./kube-apiserver/signing-key.ts";
import type { Connection, HttpAnswer, HttpMessage } from "./client/transport.ts";
import type { Cancel } from "./time/clock.ts";

/** The other end of a thread: the least that a Worker, a MessagePort and a `node:worker_threads` worker have in common. */
export interface Endpoint {
  /** Sends a structured clone of `message`; the buffers in `transfer` move instead of being copied. */
  postMessage(message: unknown, transfer?: readonly ArrayBuffer[]): void;
  /** Calls `run` with each message, in order; there is one receiver, the last one set. Messages wait until there is one. */
  onMessage(run: (message: unknown) => void): void;
  /** Calls `run` when the other side died of an error it did not catch. */
  onError(run: (error: Error) => void): void;
  /** Ends the thread (on the spawning side) or stops receiving (on the other). */
  terminate(): void;
}

export interface Platform {
  readonly name: "node" | "deno" | "browser" | "worker" | "edge";
  /** Whether this runtime can make a shared memory and post it to its workers (tried, not guessed). */
  readonly sharedMemory: boolean;
  /**
   * The compiled kernel: the build for shared memory, or the one for plain memory. They differ by one byte, and
   * neither instantiates on the other's memory (LinkError).
   */
  loadKernel(shared: boolean): Promise<WebAssembly.Module>;
  /** Fills `into`, which must not be a view of shared memory, with random bytes of the host. */
  entropy(into: Uint8Array): void;
  /** Milliseconds since the Unix epoch. */
  wallMs(): number;
  /** Milliseconds since some moment, never going back. */
  monotonicMs(): number;
  /** Calls `run` once, `afterMs` of real time from now. Keeps the process alive until then, or until it is taken back. */
  wake(afterMs: number, run: () => void): Cancel;
  /**
   * Calls `run` in a macrotask of its own: by then all promises that could settle have settled, down to chains of
   * hundreds of awaits and the reading of in-memory bodies (DESIGN decision 13; proved by test/runtimes/contract.ts).
   */
  hop(run: () => void): void;
  /** A whole file, where there are files; rejects with an error whose `code` is `ENOENT` … */
  readFile?(path: string): Promise<Uint8Array>;
  /** Starts a thread for sites (src/time/workers.ts); absent where there are no threads. */
  spawnWorker?(): Endpoint | Promise<Endpoint>;
}

/** What the command line needs of its host, beside the platform. Paths are the host's own. */
export interface CliHost {
  readonly platform: Platform;
  /** Of the package. */
  readonly version: string;
  /** Without the names of the runtime and of the script. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  stdout(text: string): void;
  stderr(text: string): void;
  /** What comes in, until its end; absent where there is no such thing. */
  stdin?(): AsyncIterable<Uint8Array>;
  /** Whole file; rejects with an error whose `code` is `ENOENT` … */
  readFile(path: string): Promise<Uint8Array>;
  /** The names in a folder, sorted; rejects with `ENOTDIR` for a file. */
  readDirectory(path: string): Promise<string[]>;
  /** `mode`: the permissions of a new file, such as 0o600. */
  writeFile(path: string, chunks: Iterable<Uint8Array>, mode?: number): Promise<void>;
  /** A file of the package itself, such as `examples/first-run/web.yaml`. */
  packageFile(path: string): string;
  /** Calls `run` at SIGINT or SIGTERM instead of ending the process. */
  onStop(run: (signal: "SIGINT" | "SIGTERM") => void): void;
  /** Serves HTTPS with a certificate of its own; absent where that cannot be. Rejects when the port is taken. */
  serveHttps?(options: HttpsOptions): Promise<HttpsServer>;
  /** A key for service accounts' tokens; absent where there is no cryptography. */
  signingKey?(): SigningKeySource;
  /** Opens a wire framed as QEMU's stream and dgram netdevs are (src/underlay/netdev.ts); absent where there are no sockets. */
  openNetdev?(address: string, onFrame: (frame: Uint8Array) => void): Promise<NetdevEnd>;
}

/** A wire to another program (runtimes/netdev.ts). */
export interface NetdevEnd {
  send(frame: Uint8Array): void;
  close(): Promise<void>;
}

export interface HttpsOptions {
  /** 0: any free one. */
  readonly port: number;
  /** The IPv4 address to listen at. */
  readonly host: string;
  /** PEM; without, a certificate of an authority of its own. */
  readonly certificate?: { readonly cert: string; readonly key: string };
  /** Who signs clients' certificates, PEM; without, clients are not asked for theirs. */
  readonly clientCA?: string;
  /** Default true. */
  readonly http2?: boolean;
  /** Streams of one HTTP/2 connection; default 1000, as kube-apiserver has it. */
  readonly maxStreams?: number;
  readonly minVersion?: "TLSv1.2" | "TLSv1.3";
  /** `connection`: of a request that asks for another protocol; after an answer with status 101 it is no longer the server's. */
  handle(message: HttpMessage, connection?: Connection): Promise<HttpAnswer>;
}

export interface HttpsServer {
  readonly url: string;
  /** What clients verify the server's certificate by, in PEM: its authority's certificate, or itself where it was given. */
  readonly ca: string;
  /** Resolves when all connections are closed, which it does by force. */
  close(): Promise<void>;
}
