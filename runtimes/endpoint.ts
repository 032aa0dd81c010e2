/** `Endpoint` over what web workers look like from both of their sides; Node's differ and are in `node/endpoint.ts`. */
import type { Endpoint } from "../src/platform.ts";

type Receive<T> = (value: T) => void;

/** A receiver that keeps what comes before anybody listens. */
export function mailbox<T>(): { deliver: Receive<T>; listen(run: Receive<T>): void } {
  const waiting: T[] = [];
  let receive: Receive<T> | undefined;
  return {
    deliver: (value) => (receive === undefined ? void waiting.push(value) : receive(value)),
    listen(run) {
      receive = run;
      for (const value of waiting.splice(0)) run(value);
    },
  };
}

/** What `Worker` and a dedicated worker's own scope have in common. */
interface WebPort {
  postMessage(message: unknown, transfer: Transferable[]): void;
  addEventListener(type: string, run: (event: Event) => void): void;
}

export function webEndpoint(port: WebPort, terminate: () => void): Endpoint {
  const messages = mailbox<unknown>();
  const errors = mailbox<Error>();
  port.addEventListener("message", (event) => messages.deliver((event as MessageEvent).data));
  port.addEventListener("messageerror", () => errors.deliver(new Error("a message could not be cloned")));
  port.addEventListener("error", (event) => {
    event.preventDefault();
    const { message } = event as ErrorEvent;
    errors.deliver(new Error(message === "" || message === undefined ? "the worker could not be started" : message));
  });
  return {
    postMessage: (message, transfer = []) => port.postMessage(message, transfer as Transferable[]),
    onMessage: messages.listen,
    onError: errors.listen,
    terminate,
  };
}
