import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const RECOMPUTE = new URL("recompute-digest.py", import.meta.url).pathname;

describe("kubewire digest", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "kubewire-"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const digest = (...args: string[]): string =>
    execFileSync(process.execPath, ["dist/cli.js", "digest", ...args], { encoding: "utf8", maxBuffer: 1 << 28 }).trim();

  it("is recomputed from its frames by a script in another language", () => {
    const file = join(folder, "frames.jsonl");
    const printed = digest("--frames", file);
    expect(printed).toMatch(/^[0-9a-f]{64}$/);
    expect(statSync(file).size).toBeGreaterThan(100_000);
    expect(execFileSync("python3", [RECOMPUTE, file], { encoding: "utf8" }).trim()).toBe(printed);
  });

  it("is the same again, and another for another seed, another loss, other manifests", () => {
    const first = digest();
    expect(digest()).toBe(first);
    expect(digest("--workers", "2")).toBe(first);
    const others = [
      digest("--seed", "2"),
      digest("--loss", "0.02"),
      digest("-f", "test/e2e/fixtures/two-replicas.yaml", "--from", "default/client", "--to", "http://web/"),
    ];
    expect(new Set([first, ...others]).size).toBe(4);
  });
});
