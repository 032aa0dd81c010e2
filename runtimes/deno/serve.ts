/** The API over HTTPS in Deno: by its own `node:` modules, which serve HTTP/1.1, HTTP/2 and upgrades (exec, attach, port-forward) as Node's do. */
import type { HttpsOptions, HttpsServer } from "../../src/platform.ts";

/** Rejects for `clientCA`: Deno's servers do not ask clients for certificates. */
export async function serveHttps(options: HttpsOptions): Promise<HttpsServer> {
  if (options.clientCA !== undefined) throw new Error("client certificates: Deno's servers do not ask for them; use tokens, or Node");
  return (await import("../node/serve.ts")).serveHttps(options);
}
