/**
 * Transcripts: what somebody types towards a cluster, and what a real one of v1.32 answers.
 *
 *     ## a heading: one test, its steps one after another
 *     $ a command for bash
 *     > more of it
 *     a line of standard output
 *     ! a line of standard error
 *     [the exit code, unless 0]
 *
 * In expected lines `<age>` is a duration, `<id>` a part of a name that the cluster chose, `<ip>` an address, `<time>` a time of RFC 3339 or
 * 1123, `<n>` a number, `<any>` the rest or some part of a line; a line `...` is any number of lines. Columns may be wider or narrower.
 */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, test } from "vitest";
import type { UpOptions } from "../../src/cli/up.ts";
import { startServer, type UpServer } from "./server.ts";

interface Step {
  command: string;
  readonly stdout: string[];
  readonly stderr: string[];
  code: number;
}

interface Scene {
  readonly name: string;
  readonly steps: Step[];
}

const PLACES: Readonly<Record<string, string>> = {
  age: String.raw`(?:\d+[smhdy])+`,
  id: "[a-z0-9]+",
  ip: String.raw`\d+\.\d+\.\d+\.\d+`,
  time: String.raw`(?:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z|[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000)`,
  n: String.raw`\d+`,
  any: ".*",
};
/**
 * What kubectl before v1.34 says when a server's first message, the empty one that tells of the connection, comes before it has made its
 * streams (kubernetes/kubernetes#131189): a race within kubectl that real clusters meet too.
 */
const EARLY = /^E.* websocket\.go:\d+\] Unknown stream id \d, discarding message\n/m;
/** The longest that one command may take, in milliseconds. */
const PATIENCE = 45_000;

/** One test for each heading of `transcripts/NAME.txt`, against one `kubewire up` of two nodes. */
export function transcript(name: string, options: Partial<UpOptions> = {}): void {
  const text = readFileSync(new URL(`transcripts/${name}.txt`, import.meta.url), "utf8");
  let server: UpServer;
  beforeAll(async () => {
    server = await startServer({ nodes: 2, ...options });
  }, 60_000);
  afterAll(() => server.stop(), 60_000);
  for (const { name, steps } of scenesOf(text)) {
    test(name, async () => {
      const faults: string[] = [];
      for (const step of steps) {
        const fault = await faultOf(step, server);
        if (fault !== undefined) faults.push(fault);
      }
      if (faults.length > 0) throw new Error(faults.join("\n\n"));
    }, 120_000);
  }
}

function scenesOf(text: string): Scene[] {
  const scenes: Scene[] = [];
  let step: Step | undefined;
  for (const line of text.split("\n")) {
    if (line.startsWith("## ")) {
      scenes.push({ name: line.slice(3), steps: [] });
      step = undefined;
    } else if (line.startsWith("$ ")) {
      step = { command: line.slice(2), stdout: [], stderr: [], code: 0 };
      scenes.at(-1)!.steps.push(step);
    } else if (step === undefined) {
      if (line !== "") throw new Error(`before any command: ${line}`);
    } else if (line.startsWith("> ")) step.command += `\n${line.slice(2)}`;
    else if (line.startsWith("!")) step.stderr.push(line.slice(2));
    else if (/^\[\d+\]$/.test(line)) step.code = Number(line.slice(1, -1));
    else step.stdout.push(line);
  }
  return scenes;
}

/** What is not as expected. */
async function faultOf(step: Step, server: UpServer): Promise<string | undefined> {
  const { code, stdout, stderr } = await new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
    const env = { ...server.env, HOME: server.folder, LC_ALL: "C" };
    const child = execFile("bash", ["-c", step.command], { env, cwd: server.folder, timeout: PATIENCE }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr: stderr.replace(EARLY, "") });
    });
    child.stdin!.end();
  });
  const wrong = [
    ...(code === step.code ? [] : [`exit code ${code}, not ${step.code}`]),
    ...difference("standard output", step.stdout, stdout),
    ...difference("standard error", step.stderr, stderr),
  ];
  return wrong.length === 0 ? undefined : `$ ${step.command}\n${wrong.join("\n")}`;
}

function difference(channel: string, expected: readonly string[], got: string): string[] {
  const pattern = squeezed(expected).map((line) => (line === "..." ? "(?:.*\n)*?" : `${lineOf(line)}\n`)).join("");
  const lines = squeezed(got.split("\n"));
  if (new RegExp(`^${pattern}$`).test(lines.map((line) => `${line}\n`).join(""))) return [];
  return [`${channel}:\n${got.trimEnd()}`, `expected:\n${expected.join("\n").trimEnd()}`];
}

/** Without what differs with the width of columns: runs of spaces inside of lines, and spaces and empty lines at the end. */
function squeezed(lines: readonly string[]): string[] {
  const out = lines.map((line) => line.trimEnd().replace(/(?<=\S)\s{2,}/g, "  "));
  while (out.at(-1) === "") out.pop();
  return out;
}

const lineOf = (line: string): string =>
  line.split(/<(age|id|ip|time|n|any)>/).map((part, i) => (i % 2 === 0 ? part.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&") : PLACES[part]!)).join("");
