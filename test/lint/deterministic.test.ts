/** The lint rule that keeps hosts and engines out of src/: each violation is refused, its allowed neighbour is not. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = resolve(import.meta.dirname, "../..");
let project = "";

beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), "kubewire-lint-"));
  cpSync(join(root, ".oxlintrc.json"), join(project, ".oxlintrc.json"));
  cpSync(join(root, "scripts/lint"), join(project, "scripts/lint"), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(project, "node_modules"));
  for (const folder of ["src", "runtimes"]) mkdirSync(join(project, folder));
});
afterAll(() => rmSync(project, { recursive: true, force: true }));

/** The rule's findings per file name. */
function lint(folder: string, snippets: readonly string[]): string[][] {
  snippets.forEach((text, n) => writeFileSync(join(project, folder, `${folder}${n}.ts`), `${text}\nexport {};\n`));
  let output: string;
  try {
    output = execFileSync(join(root, "node_modules/.bin/oxlint"), ["--format=json", folder], {
      cwd: project,
      encoding: "utf8",
    });
  } catch (error) {
    output = (error as { stdout: string }).stdout;
  }
  const found = snippets.map((): string[] => []);
  const { diagnostics } = JSON.parse(output) as { diagnostics: { code: string; message: string; filename: string }[] };
  for (const { code, message, filename } of diagnostics) {
    if (!code.includes("deterministic")) continue;
    found[Number(/(\d+)\.ts$/.exec(filename)![1])]!.push(message);
  }
  return found;
}

const REFUSED: readonly (readonly [string, string])[] = [
  ["export const a = Date.now();", "Date.now"],
  ['export const a = Date["now"]();', "Date.now"],
  ["const { now } = Date; export const a = now;", "Date.now"],
  ["export const a = new Date();", "new Date()"],
  ["export const a = Date();", "Date()"],
  ["export const a = performance.now();", "performance"],
  ["setTimeout(() => {}, 1);", "setTimeout"],
  ["setInterval(() => {}, 1);", "setInterval"],
  ["setImmediate(() => {});", "setImmediate"],
  ["export const a = globalThis.setTimeout;", "globalThis"],
  ["export const a = Math.random();", "Math.random"],
  ["export const a = Math.sin(1);", "Math.sin"],
  ["export const a = Math.pow(1.1, 3);", "Math.pow"],
  ["export const a = (b: number): number => b ** 2;", "**"],
  ["export const a = crypto.randomUUID();", "crypto"],
  ["export const a = crypto.subtle;", "crypto"],
  ['export const a = "a".localeCompare("b");', "localeCompare"],
  ["export const a = ['b'].sort((x, y) => x.localeCompare(y));", "localeCompare"],
  ["export const a = new Intl.Collator();", "Intl"],
  ["export const a = (1234).toLocaleString();", "toLocaleString"],
  ["export const a = (b: Date): number => b.getHours();", "getHours"],
  ["export const a = new WeakRef({});", "WeakRef"],
  ['import { readFileSync } from "node:fs"; export const a = readFileSync;', "node:fs"],
  ['export const a = import("node:os");', "node:os"],
  ['export { readFileSync } from "node:fs";', "node:fs"],
  ['import { platform } from "../runtimes/node/platform.ts"; export const a = platform;', "runtimes/"],
  ["export const a = process.env;", "process"],
  ['console.log("x");', "console"],
];

const ALLOWED: readonly string[] = [
  "export const a = (b: Date): number => b.getTime() + b.getUTCHours();",
  "export const a = new Date(0).toISOString();",
  'export const a = Date.parse("2026-01-01T00:00:00Z");',
  "export const a = Math.floor(1.5) + Math.sqrt(2) + Math.imul(3, 4) + 2 ** 32;",
  "export const a = (b: number): bigint => 10n ** BigInt(b);",
  "export const a = (setTimeout: (ms: number) => void): void => setTimeout(3);",
  "export const a = (clock: { now(): number; crypto: string }): string => `${clock.now()}${clock.crypto}`;",
  "export type Cluster = Worker | Intl.Collator;",
  'import { x } from "./node.ts"; export const a = x;',
];

test("each way to reach the host from src/ is refused, by name", () => {
  const found = lint("src", [...REFUSED.map(([snippet]) => snippet), ...ALLOWED]);
  REFUSED.forEach(([snippet, name], n) => {
    expect(found[n], snippet).toEqual(expect.arrayContaining([expect.stringContaining(name)]));
  });
  ALLOWED.forEach((snippet, n) => expect(found[REFUSED.length + n], snippet).toEqual([]));
});

test("runtimes/ may use the host", () => {
  expect(lint("runtimes", [REFUSED[0]![0], REFUSED[5]![0], REFUSED[22]![0]])).toEqual([[], [], []]);
});
