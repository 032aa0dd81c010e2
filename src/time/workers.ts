/**
 * Crews in other threads: the messages between the loop and a worker, and both ends of the conversation. Windows go in order,
 * one at a time per worker; calls (observations, figures) happen between windows and take no virtual time.
 */
import type { Endpoint } from "../platform.ts";
import type { Crew, CrewReport } from "./loop.ts";
import type { SiteMessage } from "./site.ts";

export type ToWorker<Start> =
  | { readonly kind: "start"; readonly start: Start }
  | { readonly kind: "window"; readonly endNs: number; readonly messages: readonly SiteMessage[] }
  | { readonly kind: "call"; readonly id: number; readonly method: string; readonly argument: unknown };

export type FromWorker =
  | { readonly kind: "report"; readonly report: CrewReport }
  | { readonly kind: "result"; readonly id: number; readonly value: unknown }
  | { readonly kind: "failed"; readonly id: number | undefined; readonly reason: string };

/** What a worker serves: a crew, and calls on it. */
export interface WorkerCrew extends Crew {
  /** What building the sites has set going: lets promises settle, and answers what was sent. */
  settle(): Promise<CrewReport>;
  call(method: string, argument: unknown): unknown;
}

/** The loop's end: a crew whose sites are in the worker behind `endpoint`. */
export class RemoteCrew<Start> implements Crew {
  readonly #endpoint: Endpoint;
  readonly #fault: (error: Error) => void;
  #report: ((report: CrewReport) => void) | undefined;
  readonly #calls = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  #callIds = 0;

  /** `fault` hears of a worker that died; no report comes any more then. */
  constructor(endpoint: Endpoint, fault: (error: Error) => void) {
    this.#endpoint = endpoint;
    this.#fault = fault;
    endpoint.onMessage((message) => this.#take(message as FromWorker));
    endpoint.onError((error) => this.#die(error));
  }

  /** Has the sites built; its first report says when something happens first. */
  start(start: Start): Promise<CrewReport> {
    return this.#ask({ kind: "start", start });
  }

  runWindow(endNs: number, messages: readonly SiteMessage[]): Promise<CrewReport> {
    return this.#ask({ kind: "window", endNs, messages });
  }

  call(method: string, argument: unknown): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const id = this.#callIds++;
      this.#calls.set(id, { resolve, reject });
      this.#post({ kind: "call", id, method, argument });
    });
  }

  terminate(): void {
    this.#endpoint.terminate();
  }

  #ask(message: ToWorker<Start>): Promise<CrewReport> {
    return new Promise((resolve) => {
      this.#report = resolve;
      this.#post(message);
    });
  }

  #post(message: ToWorker<Start>): void {
    this.#endpoint.postMessage(message);
  }

  #take(message: FromWorker): void {
    switch (message.kind) {
      case "report":
        this.#report?.(message.report);
        return;
      case "result":
        this.#calls.get(message.id)?.resolve(message.value);
        this.#calls.delete(message.id);
        return;
      case "failed": {
        const error = new Error(message.reason);
        if (message.id === undefined) this.#die(error);
        else this.#calls.get(message.id)?.reject(error);
      }
    }
  }

  #die(error: Error): void {
    for (const call of this.#calls.values()) call.reject(error);
    this.#calls.clear();
    this.#fault(error);
    // Whoever waits for a report gets an empty one; the loop sees the fault before it goes on.
    this.#report?.({ nextNs: Infinity, sent: [] });
  }
}

/** The worker's end: builds the crew that the first message describes, and serves it. */
export const serveCrew = <Start>(endpoint: Endpoint, build: (start: Start) => Promise<WorkerCrew>): void => {
  let crew: WorkerCrew | undefined;
  const post = (message: FromWorker): void => endpoint.postMessage(message);
  const take = async (message: ToWorker<Start>): Promise<void> => {
    switch (message.kind) {
      case "start":
        crew = await build(message.start);
        post({ kind: "report", report: await crew.settle() });
        return;
      case "window":
        if (crew !== undefined) post({ kind: "report", report: await crew.runWindow(message.endNs, message.messages) });
        return;
      case "call":
        post({ kind: "result", id: message.id, value: await crew?.call(message.method, message.argument) });
    }
  };
  endpoint.onMessage((data) => {
    const message = data as ToWorker<Start>;
    take(message).catch((error: unknown) => {
      const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
      post({ kind: "failed", id: message.kind === "call" ? message.id : undefined, reason });
    });
  });
};
