/** A page, or a dedicated worker of a page, in the system's Chromium, served from a tiny server on 127.0.0.1. */
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize, sep } from "node:path";
import { chromium } from "playwright-core";
import { chromiumPath } from "../../setup/index.ts";
import type { Bundle, Outcome } from "./index.ts";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".wasm": "application/wasm",
};

const ISOLATION = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
};

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-dev-shm-usage",
];

/** Serves the files of `root`, and an empty page at `/`. */
async function serve(root: string, isolated: boolean): Promise<Server> {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    const file = normalize(join(root, decodeURIComponent(pathname)));
    const send = (status: number, type: string, body: string | Buffer): void => {
      const scope = pathname.endsWith("/service-worker.js") ? { "service-worker-allowed": "/" } : {};
      response.writeHead(status, { "content-type": type, "cache-control": "no-store", ...(isolated ? ISOLATION : {}), ...scope });
      response.end(body);
    };
    if (pathname === "/") send(200, TYPES[".html"]!, "<!doctype html><title>kubewire</title>");
    else if (!file.startsWith(normalize(root + sep))) send(403, "text/plain", "outside");
    else {
      readFile(file).then(
        (body) => send(200, TYPES[extname(file)] ?? "application/octet-stream", body),
        () => send(404, "text/plain", "not found"),
      );
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

export async function runInChromium(
  bundle: Bundle,
  { isolated, worker }: { readonly isolated: boolean; readonly worker: boolean },
): Promise<Outcome> {
  const server = await serve(bundle.root, isolated);
  try {
    const browser = await chromium.launch({ executablePath: chromiumPath(), headless: true, args: FLAGS });
    try {
      const page = await browser.newPage();
      page.setDefaultTimeout(bundle.timeoutMs);
      await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
      const expression = (worker ? inWorker : inPage)(JSON.stringify(`/${bundle.path}`), JSON.stringify(bundle.args));
      return await withTimeout(page.evaluate<Outcome>(expression), bundle.timeoutMs);
    } finally {
      await browser.close();
    }
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

// Expressions for the page, as text: what a test runner makes of functions here would not run there.
const inPage = (url: string, args: string): string => `import(${url}).then(() => globalThis.__run(${args}))`;
const inWorker = (url: string, args: string): string => `new Promise((resolve) => {
  const worker = new Worker(${url}, { type: "module" });
  worker.onmessage = ({ data }) => resolve(data);
  worker.onerror = ({ message }) => resolve({ error: message ?? "the worker did not start" });
  worker.postMessage(${args});
})`;

async function withTimeout<T>(promise: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no outcome within ${timeoutMs} ms`)), timeoutMs);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
