/** What the suites share: a server per file, and clients of it. */
import { KubeConfig } from "@kubernetes/client-node";
import { afterAll, beforeAll } from "vitest";
import type { UpOptions } from "../../../src/cli/up.ts";
import { startServer, type UpServer } from "../../kubectl/server.ts";

export interface Session {
  readonly server: UpServer;
  /** Read from the file that `kubewire up` writes. */
  readonly config: KubeConfig;
}

/** A server for the tests of this file; filled in before they run. */
export function session(options: UpOptions = {}): Session {
  const made = {} as { server: UpServer; config: KubeConfig };
  beforeAll(async () => {
    made.server = await startServer(options);
    made.config = new KubeConfig();
    made.config.loadFromFile(made.server.kubeconfig);
  });
  afterAll(async () => made.server.stop());
  return made;
}

/** Waits until `probe` gives something; rejects after half a minute. */
export async function until<T>(probe: () => T | undefined | false | Promise<T | undefined | false>): Promise<T> {
  for (let i = 0; i < 600; i++) {
    const found = await probe();
    if (found !== undefined && found !== false) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`nothing after 30 s: ${probe.toString()}`);
}

/** What it rejects with. */
export async function failure(promise: Promise<unknown>): Promise<{ code: number; body: string; headers: Record<string, string>; message: string }> {
  try {
    await promise;
  } catch (e) {
    return e as { code: number; body: string; headers: Record<string, string>; message: string };
  }
  throw new Error("it did not fail");
}
