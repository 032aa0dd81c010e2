/** `Endpoint` over `node:worker_threads`. */
import type { MessagePort, Transferable, Worker } from "node:worker_threads";
import type { Endpoint } from "../../src/platform.ts";
import { mailbox } from "../endpoint.ts";

export function nodeEndpoint(port: Worker | MessagePort, terminate: () => void): Endpoint {
  const messages = mailbox<unknown>();
  const errors = mailbox<Error>();
  // A worker and a port have these events under the same names, but no common type.
  const emitter = port as unknown as { on(event: string, run: (value: never) => void): unknown };
  emitter.on("message", messages.deliver);
  emitter.on("messageerror", errors.deliver);
  emitter.on("error", errors.deliver);
  return {
    postMessage: (message, transfer = []) => port.postMessage(message, transfer as Transferable[]),
    onMessage: messages.listen,
    onError: errors.listen,
    terminate,
  };
}
