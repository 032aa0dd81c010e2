/** What can go wrong, and a component's way to the API server on which it does. */
import { type ApiError, failure, newConflict, newExpired } from "../../src/apimachinery/status.ts";
import type { ApiRequest, ApiResponse, ApiTransport, WatchEvent } from "../../src/client/transport.ts";
import type { Clock, Random } from "../../src/time/clock.ts";

/** Something that goes wrong from `atMs` on, for `forMs`. `who`: a component, a node, or everybody (`*`). */
export type Fault = { readonly atMs: number; readonly forMs: number; readonly who: string } & (
  /** Requests fail with chance `p`, half of them after they took effect. */
  | { readonly kind: "errors"; readonly p: number }
  /** Every running watch ends with chance `p`: cleanly, with an error, with 410, or after a silence. */
  | { readonly kind: "watches"; readonly p: number }
  /** Requests, and events of watches, take up to `ms` longer. */
  | { readonly kind: "slow"; readonly ms: number }
  /** Nothing gets through. */
  | { readonly kind: "cut" }
  /** The store forgets its history. */
  | { readonly kind: "compact" }
  /** The machine is without power until the end. */
  | { readonly kind: "crash" }
  /** The machine stands still until the end. */
  | { readonly kind: "pause" }
  /** The process ends; another one begins at the end. */
  | { readonly kind: "restart" }
  /** The wall clock jumps by `ms`. */
  | { readonly kind: "jump"; readonly ms: number }
  /** The node's wire loses a share of its frames, and is slow. */
  | { readonly kind: "wire"; readonly loss: number; readonly latencyNs: number }
);

export const PROCESSES = ["kube-controller-manager", "kube-scheduler"] as const;

/** Faults by chance, in order of time, all over before `endMs`. `calm`: none of nodes. */
export function planFaults(random: Random, nodes: readonly string[], endMs: number, calm: boolean): Fault[] {
  const pick = <T>(of: readonly T[]): T => of[random.below(of.length)]!;
  const faults: Fault[] = [];
  const count = 3 + random.below(8);
  for (let i = 0; i < count; i++) {
    const atMs = 5000 + random.below(endMs - 40_000);
    const forMs = Math.min(endMs - atMs, 1000 + random.below(pick([5000, 30_000, 90_000])));
    const anybody = pick(["*", ...PROCESSES, ...PROCESSES, ...nodes]);
    const node = pick(nodes);
    const when = { atMs, forMs, who: anybody };
    const kind = pick(calm
      ? (["errors", "errors", "watches", "watches", "slow", "compact", "restart"] as const)
      : (["errors", "errors", "watches", "watches", "slow", "cut", "compact", "crash", "crash", "pause", "restart", "restart", "jump", "wire"] as const));
    switch (kind) {
      case "errors": faults.push({ ...when, kind, p: pick([0.05, 0.2, 0.5]) }); break;
      case "watches": faults.push({ ...when, kind, p: pick([0.3, 1]) }); break;
      case "slow": faults.push({ ...when, kind, ms: pick([50, 500, 3000]) }); break;
      case "cut": faults.push({ ...when, who: pick([...PROCESSES, ...nodes]), kind }); break;
      case "compact": faults.push({ ...when, kind }); break;
      case "crash": case "pause": faults.push({ ...when, who: node, kind, forMs: Math.min(endMs - atMs, forMs * 2) }); break;
      case "restart": faults.push({ ...when, who: pick(PROCESSES), kind, forMs: Math.min(forMs, 20_000) }); break;
      case "jump": faults.push({ ...when, who: pick(PROCESSES), kind, ms: pick([-60_000, -2000, 2000, 60_000, 3_600_000]) }); break;
      case "wire": faults.push({ ...when, who: node, kind, loss: pick([0.01, 0.1, 0.5]), latencyNs: pick([50_000, 5_000_000, 50_000_000]) }); break;
    }
  }
  return faults.sort((a, b) => a.atMs - b.atMs);
}

/** What all ways have in common. */
export interface WayDeps {
  readonly clock: Clock;
  readonly handle: ApiTransport;
  /** Faults that are on now. */
  readonly active: ReadonlySet<Fault>;
  /** Somebody was told that a creation failed, and it had not. */
  ambiguous(request: ApiRequest, body: unknown): void;
  answered(request: ApiRequest, response: ApiResponse): void;
  violated(what: string): void;
}

const NEVER = new Promise<never>(() => {});
/** How long a connection without an answer is taken for one (HTTP/2's health check: 30 s and 15 s). */
const SILENCE_MS = 45_000;

interface Watch {
  readonly end: (how: "close" | "error" | "gone" | "silence") => void;
}

/** The way of one process to the API server. */
export class Way {
  readonly who: string;
  readonly #deps: WayDeps;
  readonly #random: Random;
  readonly #watches = new Set<Watch>();
  #dead = false;

  constructor(who: string, random: Random, deps: WayDeps) {
    this.who = who;
    this.#random = random;
    this.#deps = deps;
  }

  /** The process is gone: it hears nothing any more; what it has sent may take effect all the same. */
  kill(): void {
    this.#dead = true;
    for (const watch of this.#watches) watch.end("silence");
    this.#watches.clear();
  }

  /** A fault of this way has begun. */
  hit(fault: Fault): void {
    if (fault.kind === "cut") for (const watch of [...this.#watches]) watch.end("silence");
    if (fault.kind !== "watches") return;
    for (const watch of [...this.#watches]) {
      if (this.#random.float() < fault.p) watch.end((["close", "error", "gone", "silence"] as const)[this.#random.below(4)]!);
    }
  }

  readonly transport: ApiTransport = async (request, signal) => {
    const { clock, handle, answered, ambiguous } = this.#deps;
    if (this.#dead) return NEVER;
    const faults = this.#mine();
    await clock.sleep(0.2 + this.#random.float() * 2 + this.#delay(faults));
    if (this.#dead) return NEVER;
    signal?.throwIfAborted();
    if (faults.some(({ kind }) => kind === "cut")) return this.#lost(signal);
    const errors = faults.find((fault) => fault.kind === "errors");
    const fails = errors?.kind === "errors" && this.#random.float() < errors.p;
    const watch = request.method === "GET" && request.path.includes("watch=true");
    if (fails && (request.method === "GET" || this.#random.below(2) === 0)) return this.#failed(request, signal);
    if (watch) return this.#watch(request, signal);
    // What has been sent is done, also when its sender goes away meanwhile.
    const response = await handle(request);
    answered(request, response);
    if (this.#dead) return NEVER;
    await clock.sleep(0.2 + this.#delay(faults));
    if (this.#dead) return NEVER;
    signal?.throwIfAborted();
    if (fails) {
      if (response.status < 300) ambiguous(request, response.body);
      return this.#failed(request, signal);
    }
    return response;
  };

  #mine(): Fault[] {
    return [...this.#deps.active].filter(({ who }) => who === "*" || who === this.who);
  }

  #delay(faults: readonly Fault[]): number {
    let most = 0;
    for (const fault of faults) if (fault.kind === "slow") most = Math.max(most, fault.ms);
    return most === 0 ? 0 : this.#random.float() * most;
  }

  async #lost(signal: AbortSignal | undefined): Promise<never> {
    await this.#deps.clock.sleep(5000 + this.#random.below(25_000), signal);
    throw new Error("read tcp: i/o timeout");
  }

  async #failed(request: ApiRequest, signal: AbortSignal | undefined): Promise<ApiResponse> {
    const answer = ({ status }: ApiError, headers = {}): ApiResponse => ({ status: status.code!, headers, body: status });
    switch (this.#random.below(request.method === "PUT" || request.method === "PATCH" ? 6 : 5)) {
      case 0: return answer(failure(500, "InternalError", "Internal error occurred: etcdserver: leader changed"));
      case 1: return answer(failure(429, "TooManyRequests", "the server has received too many requests and has asked us to try again later", { retryAfterSeconds: 1 }), { "retry-after": "1" });
      case 2: return answer(failure(504, "Timeout", "Timeout: request did not complete within requested timeout - context deadline exceeded"));
      case 3: return answer(failure(503, "ServiceUnavailable", "apiserver is shutting down"));
      case 4: {
        await this.#deps.clock.sleep(this.#random.below(2000), signal);
        throw new Error("read tcp: connection reset by peer");
      }
      default: return answer(newConflict({ group: "", resource: "things" }, "thing", "the object has been modified; please apply your changes to the latest version and try again"));
    }
  }

  async #watch(request: ApiRequest, signal: AbortSignal | undefined): Promise<ApiResponse> {
    const { clock, handle, violated } = this.#deps;
    const stop = new AbortController();
    const response = await handle(request, stop.signal);
    if (response.stream === undefined) return response;
    const queue: WatchEvent[] = [];
    let over: (() => void) | undefined;
    let silent = false;
    let wake: (() => void) | undefined;
    const notify = (): void => {
      wake?.();
      wake = undefined;
    };
    const finish = (then: () => void): void => {
      if (over !== undefined) return;
      over = then;
      this.#watches.delete(watch);
      stop.abort("closed");
      notify();
    };
    const reset = (): never => {
      throw new Error("http2: client connection lost");
    };
    const watch: Watch = {
      end: (how) => {
        if (how === "gone") queue.push({ type: "ERROR", object: newExpired("too old resource version").status });
        if (how === "silence") {
          silent = true;
          // Of a process that is gone nothing is left to hear it.
          if (!this.#dead) clock.after(SILENCE_MS, () => finish(reset));
          else stop.abort("gone");
        } else finish(how === "error" ? reset : (): void => {});
      },
    };
    this.#watches.add(watch);
    signal?.addEventListener("abort", () => finish(() => {}), { once: true });
    let last = 0;
    const pump = async (stream: AsyncIterable<WatchEvent>): Promise<void> => {
      for await (const event of stream) {
        const { resourceVersion } = (event.object as { metadata: { resourceVersion?: string } }).metadata;
        if (event.type !== "ERROR") {
          const now = Number(resourceVersion);
          if (event.type === "BOOKMARK" ? now < last : now <= last) violated(`watch of ${this.who}: ${request.path}: ${event.type} at ${now} after ${last}`);
          last = now;
        }
        const delay = this.#delay(this.#mine());
        await clock.sleep(delay + this.#random.float() * 2);
        if (silent || over !== undefined) continue;
        queue.push(event);
        notify();
      }
      if (!silent) finish(() => {});
    };
    void pump(response.stream);
    async function* events(): AsyncGenerator<WatchEvent> {
      try {
        for (;;) {
          while (queue.length > 0) yield queue.shift()!;
          if (over !== undefined) return over();
          await new Promise<void>((resolve) => (wake = resolve));
        }
      } finally {
        finish(() => {});
      }
    }
    return { ...response, stream: events() };
  }
}
