/**
 * `@kubernetes/client-node`, as its users use it, against `kubewire up` over HTTPS. The library needs Node 22.19, so the suites run in
 * a process of their own, and what became of each of their tests is told here.
 */
import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { describe, expect, test } from "vitest";

interface Results {
  readonly testResults: readonly {
    readonly name: string;
    readonly message: string;
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string; readonly failureMessages: readonly string[] }[];
  }[];
}

const NODE = "22.23.3";

/**
 * This Node, or where it is too old one from npm, kept in .cache. It is no dependency of this package: npm would put it before the Node
 * that everything else runs in.
 */
function newEnough(): string {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major > 22 || (major === 22 && minor >= 19)) return process.execPath;
  const home = resolve(`.cache/node-${NODE}`);
  const name = `node-${process.platform}-${process.arch}`;
  const binary = join(home, "node_modules", name, "bin/node");
  if (!existsSync(binary)) {
    mkdirSync(home, { recursive: true });
    execFileSync("npm", ["install", "--prefix", home, "--no-save", "--no-audit", "--no-fund", `${name}@${NODE}`], { stdio: ["ignore", "ignore", "inherit"] });
  }
  return binary;
}

function results(): Promise<Results> {
  const folder = mkdtempSync(join(tmpdir(), "kubewire-client-node-"));
  const file = join(folder, "results.json");
  // The workers of this run are none of that one's.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(VITEST|NODE_ENV|NODE_OPTIONS|TEST$)/.test(name)));
  return new Promise((resolve, reject) => {
    const args = ["node_modules/vitest/vitest.mjs", "run", "-c", "test/client-node/vitest.config.ts", "--reporter=json", `--outputFile=${file}`];
    execFile(newEnough(), args, { env, timeout: 280_000, maxBuffer: 1 << 26 }, (_, stdout, stderr) => {
      try {
        resolve(JSON.parse(readFileSync(file, "utf8")) as Results);
      } catch {
        reject(new Error(`no results: ${stdout}${stderr}`));
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
  });
}

const { testResults } = await results();

test("the suites ran", () => {
  expect(testResults.length).toBeGreaterThan(0);
});

for (const { name, message, assertionResults } of testResults) {
  describe(relative(process.cwd(), name), () => {
    test("is a suite", () => {
      expect(message).toBe("");
      expect(assertionResults.length).toBeGreaterThan(0);
    });
    for (const { fullName, status, failureMessages } of assertionResults) {
      test(fullName, () => {
        if (status !== "passed") throw new Error(`${status}: ${failureMessages.join("\n")}`);
      });
    }
  });
}
