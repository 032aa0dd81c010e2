/**
 * Runs one module in one runtime: it is bundled together with the runtime's platform, started, and what its
 * `main(platform, args)` resolves with comes back through JSON. `npm run digest` and the contract suite share this.
 */
import { randomBytes } from "node:crypto";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { bundleOptions } from "../../../scripts/lib/bundle.mjs";
import { runInChromium } from "./chromium.ts";
import { runInDeno, runInNode } from "./process.ts";
import { runInWorkerd } from "./workerd.ts";

/** "+isolated" pages and workers are served with COOP and COEP, so that they may share memory. */
export type Runtime =
  | "node"
  | "deno"
  | "chromium"
  | "chromium+isolated"
  | "chromium-worker"
  | "chromium-worker+isolated"
  | "workerd";

export const RUNTIMES: readonly Runtime[] = [
  "node",
  "deno",
  "chromium+isolated",
  "chromium",
  "chromium-worker+isolated",
  "chromium-worker",
  "workerd",
];

/** The module to run exports `main(platform, args)`. */
export interface Job {
  readonly root: URL;
  /** Path from the root. */
  readonly entry: string;
  /** What `main` is given first: the runtime's platform, or its `kubewire/bpf`. */
  readonly given?: "platform" | "bpf";
  readonly args?: unknown;
  /** Longest run, in milliseconds; the process is ended then. */
  readonly timeoutMs?: number;
}

/** What the runners get: a bundle in a folder right below the root, where relative paths of dist/ hold too. */
export interface Bundle {
  readonly root: string;
  /** Path from the root, with `/`. */
  readonly path: string;
  readonly args: unknown;
  readonly timeoutMs: number;
  /** The kernel that it imports at the edge, below build/. */
  readonly kernel: string;
}

/** A bootstrap turns `main`'s promise into this, whatever happens; a runner may add the process's peak memory. */
export type Outcome = ({ readonly value: unknown } | { readonly error: string }) & { readonly peakBytes?: number };

const FOLDER = ".cache";

const PLATFORM = { node: "node", deno: "deno", chromium: "browser", "chromium-worker": "worker", workerd: "edge" };
/** A worker of a page uses the page's. */
const LIBRARY = { ...PLATFORM, "chromium-worker": "browser" };

/** How each runtime hands the outcome back to its runner. `outcome(args)` never rejects. */
const BOOTSTRAP = {
  node: `process.stdout.write("\\n" + JSON.stringify(await outcome(JSON.parse(process.argv[2]))) + "\\n");`,
  deno: `console.log("\\n" + JSON.stringify(await outcome(JSON.parse(Deno.args[0]))));`,
  chromium: `globalThis.__run = outcome;`,
  "chromium-worker": `addEventListener("message", async ({ data }) => postMessage(await outcome(data)), { once: true });`,
  workerd: `export default { async fetch(request) { return Response.json(await outcome(await request.json())); } };`,
};

const RUNNERS = {
  node: (bundle: Bundle) => runInNode(bundle),
  deno: (bundle: Bundle) => runInDeno(bundle),
  chromium: (bundle: Bundle, isolated: boolean) => runInChromium(bundle, { isolated, worker: false }),
  "chromium-worker": (bundle: Bundle, isolated: boolean) => runInChromium(bundle, { isolated, worker: true }),
  workerd: (bundle: Bundle) => runInWorkerd(bundle),
};

/** Runs the job; rejects with the error of `main`, or when the runtime ended without an answer. */
export const run = async (runtime: Runtime, job: Job): Promise<unknown> => (await measure(runtime, job)).value;

/** The same, with the most memory that the process held (resident), where the runner can tell: in workerd on Linux. */
export async function measure(runtime: Runtime, job: Job): Promise<{ value: unknown; peakBytes?: number }> {
  const [kind, isolated] = runtime.split("+") as [keyof typeof RUNNERS, string?];
  const root = fileURLToPath(job.root);
  const path = `${FOLDER}/${kind}-${randomBytes(6).toString("hex")}.js`;
  mkdirSync(join(root, FOLDER), { recursive: true });
  await build({
    ...bundleOptions(job.root),
    stdin: {
      contents: `
        ${job.given === "bpf" ? `import * as platform from "./runtimes/${LIBRARY[kind]}/bpf.ts";` : `import { platform } from "./runtimes/${PLATFORM[kind]}/platform.ts";`}
        import { main } from "./${job.entry}";
        async function outcome(args) {
          try { return { value: (await main(platform, args)) ?? null }; }
          catch (error) { return { error: String(error?.message ?? error) + "\\n" + String(error?.stack ?? "") }; }
        }
        ${BOOTSTRAP[kind]}`,
      resolveDir: root,
    },
    alias: { "kubewire/bpf": fileURLToPath(new URL("src/bpf/index.ts", job.root)) },
    target: kind === "node" ? "node20" : "es2022",
    outfile: path,
  });
  try {
    const bundle = { root, path, args: job.args ?? null, timeoutMs: job.timeoutMs ?? 120_000, kernel: job.given === "bpf" ? "kernel.plain.wasm" : "kernel-core.plain.wasm" };
    const outcome = await RUNNERS[kind](bundle, isolated === "isolated");
    if ("error" in outcome) throw new Error(`${runtime}: ${outcome.error}`);
    return outcome;
  } finally {
    rmSync(join(root, path), { force: true });
  }
}
