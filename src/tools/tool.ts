/**
 * The commands of a host, on any network namespace: what goes in, what comes out, and how they fail. Each tool is a function of its
 * arguments; output, wording and exit status are those of the real one.
 */
import type { Netns } from "../kernel/netns.ts";
import type { Runtime } from "../cri/runtime.ts";
import type { SocketInfo } from "./sockets.ts";

export interface ToolResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The program that has a socket open, as `ss -p` names it. */
export interface SocketProgram {
  readonly name: string;
  readonly pid: number;
  readonly fd: number;
}

/** Where a tool runs. */
export interface ToolHost {
  /** The namespace it runs in. */
  readonly netns: Netns;
  /** The named namespaces of the machine (`ip netns`), by name. */
  readonly namespaces: ReadonlyMap<string, Netns>;
  /** `ip netns add`. Absent: namespaces cannot be made here. */
  addNetns?(name: string): Netns;
  /** `ip netns del`. */
  deleteNetns?(name: string): void;
  /** Whether the machine has a driver for links of this kind; it has all that this kernel has when left out. */
  hasKind?(kind: string): boolean;
  /** Whether it has the queueing discipline, classifier or action of that name; as `hasKind`. */
  hasTc?(what: "qdisc" | "filter" | "action", kind: string): boolean;
  /** Lets so many ms of virtual time pass, as tools do that wait. Absent: time stands still while a tool runs. */
  wait?(ms: number): void;
  /** Who has a socket of this namespace open. Absent, or undefined: nothing that is known. */
  programOf?(socket: SocketInfo): SocketProgram | undefined;
  /** The machine's container runtime, and the present time in ms of the Unix epoch; absent: there is none. */
  readonly containers?: { readonly runtime: Runtime; readonly nowMs: number } | undefined;
  /** Types of ipset that the machine's kernel is built without. */
  readonly ipsetWithout?: readonly string[];
  /** What the machine's kernel lacks of nftables. */
  readonly nftWithout?: readonly "flowtable"[];
}

/** Ends a tool with an exit status; what it has printed before stays. */
export class ToolExit extends Error {
  readonly exitCode: number;
  /** For stderr, as it is. */
  readonly stderr: string;
  constructor(exitCode: number, stderr = "") {
    super(stderr);
    this.name = "ToolExit";
    this.exitCode = exitCode;
    this.stderr = stderr;
  }
}

/** What a running tool writes to. */
export class Streams {
  stdout = "";
  stderr = "";
}

export type Tool = (host: ToolHost, args: readonly string[], streams: Streams, stdin: string) => number;

/** Words still to be read, as iproute2's argc and argv. */
export class Words {
  readonly #all: readonly string[];
  #at = 0;
  constructor(all: readonly string[]) {
    this.#all = all;
  }
  /** The current word; undefined at the end. */
  get word(): string | undefined {
    return this.#all[this.#at];
  }
  get left(): number {
    return this.#all.length - this.#at;
  }
  peek(ahead = 1): string | undefined {
    return this.#all[this.#at + ahead];
  }
  skip(): void {
    this.#at++;
  }
  /** NEXT_ARG(): goes to the following word, which has to be there. */
  next(): string {
    this.#at++;
    const word = this.#all[this.#at];
    if (word === undefined) throw new ToolExit(255, 'Command line is not complete. Try option "help"\n');
    return word;
  }
  rest(): string[] {
    return this.#all.slice(this.#at);
  }
}

/** matches(): is `word` a beginning of `name`? (lib/utils.c) */
export const abbreviates = (word: string, name: string): boolean => word !== "" && name.startsWith(word);

/** invarg() */
export const invalid = (message: string, argument: string): ToolExit =>
  new ToolExit(255, `Error: argument "${argument}" is wrong: ${message}\n`);
/** duparg() and duparg2() */
export const duplicate = (name: string, argument: string): ToolExit =>
  new ToolExit(255, `Error: duplicate "${name}": "${argument}" is the second value.\n`);
export const garbage = (name: string, argument: string): ToolExit =>
  new ToolExit(255, `Error: either "${name}" is duplicate, or "${argument}" is a garbage.\n`);
/** missarg() */
export const missing = (name: string): ToolExit => new ToolExit(255, `Error: argument "${name}" is required\n`);

/** get_unsigned(): decimal, 0x hexadecimal or 0 octal, at most `max`; undefined for anything else. */
export function unsigned(text: string, max = 0xffffffff): number | undefined {
  const match = /^(?:0[xX]([0-9a-fA-F]+)|0([0-7]*)|([1-9]\d*))$/.exec(text);
  if (match === null) return undefined;
  const [, hex, octal, decimal] = match;
  const value = hex !== undefined ? Number.parseInt(hex, 16) : octal !== undefined ? Number.parseInt(octal === "" ? "0" : octal, 8) : Number(decimal);
  return value <= max ? value : undefined;
}
