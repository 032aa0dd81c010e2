/** The endpoint that a dedicated worker has to whoever started it. */
import type { Endpoint } from "../src/platform.ts";
import { webEndpoint } from "./endpoint.ts";

export function scopeEndpoint(): Endpoint {
  const scope = globalThis as unknown as Parameters<typeof webEndpoint>[0] & { close(): void };
  return webEndpoint(scope, () => scope.close());
}
