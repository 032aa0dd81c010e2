/** `kubewire up` inside of a test's process, and the real kubectl towards it. */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodeHost } from "../../runtimes/node/host.ts";
import { upCommand, type UpOptions } from "../../src/cli/up.ts";
import type { CliHost } from "../../src/platform.ts";

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface UpServer {
  /** `https://127.0.0.1:PORT`. */
  readonly url: string;
  /** A folder that goes with the server. */
  readonly folder: string;
  /** The path of its kubeconfig. */
  readonly kubeconfig: string;
  /** The authority's certificate, PEM. */
  readonly ca: string;
  /** For programs that read KUBECONFIG. */
  readonly env: NodeJS.ProcessEnv;
  /** Runs kubectl to its end. */
  run(args: readonly string[], input?: string, extra?: NodeJS.ProcessEnv): Promise<Ran>;
  /** What kubectl prints; rejects with what it said on stderr when it fails. */
  kubectl(...args: string[]): Promise<string>;
  /** A kubectl that goes on; resolves when what it says satisfies `until`. */
  start(args: readonly string[], until: (text: string) => boolean, extra?: NodeJS.ProcessEnv): Promise<{ child: ChildProcess; text: () => string }>;
  /** Ends the server as SIGTERM does; rejects unless it ends well. */
  stop(): Promise<void>;
}

/** The administrator's token. */
export const TOKEN = "T";

/** Starts a server; by default one node with all controllers, at a free port. */
export async function startServer(options: UpOptions = {}): Promise<UpServer> {
  const folder = mkdtempSync(join(tmpdir(), "kubewire-up-"));
  const kubeconfig = join(folder, "kubeconfig");
  const env = { ...process.env, KUBECONFIG: kubeconfig };
  let stop!: () => void;
  let said = "";
  let ended!: Promise<number>;
  await new Promise<void>((resolve, reject) => {
    const host: CliHost = {
      ...nodeHost([]),
      stdout: (text) => {
        said += text;
        if (said.split("\n").includes("ready")) resolve();
      },
      onStop: (run) => {
        stop = () => run("SIGTERM");
      },
    };
    ended = upCommand(host, { nodes: 1, port: 0, kubeconfig, token: TOKEN, ...options });
    ended.catch(reject);
  });

  const run: UpServer["run"] = (args, input = "", extra = {}) =>
    new Promise((resolve) => {
      const child = execFile("kubectl", args, { env: { ...env, ...extra }, timeout: 60_000 }, (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr }));
      child.stdin!.end(input);
    });
  return {
    url: said.slice(0, said.indexOf("\n")),
    folder, kubeconfig, env, run,
    ca: Buffer.from(/authority-data: (.*)/.exec(readFileSync(kubeconfig, "utf8"))![1]!, "base64").toString(),
    async kubectl(...args) {
      const { code, stdout, stderr } = await run(args);
      if (code !== 0) throw new Error(`kubectl ${args.join(" ")}: ${stderr}`);
      return stdout;
    },
    start: (args, until, extra = {}) =>
      new Promise((resolve, reject) => {
        const child = spawn("kubectl", args, { env: { ...env, ...extra } });
        let text = "";
        const take = (chunk: Buffer): void => {
          text += chunk.toString();
          if (until(text)) resolve({ child, text: () => text });
        };
        child.stdout.on("data", take);
        child.stderr.on("data", take);
        child.once("exit", (code) => reject(new Error(`kubectl ${args.join(" ")} ended with ${code}: ${text}`)));
        setTimeout(() => reject(new Error(`kubectl ${args.join(" ")} says: ${text}`)), 30_000).unref();
      }),
    async stop() {
      stop();
      const status = await ended;
      rmSync(folder, { recursive: true });
      if (status !== 0) throw new Error(`the server ended with ${status}`);
    },
  };
}
