import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { verify } from "../../../src/bpf/verifier/index.ts";
import { CASES } from "./cases.ts";
import { programSpec } from "./request.ts";

type Verdict = "accept" | readonly [errno: string, message: string];

const { verdicts } = JSON.parse(readFileSync(new URL("kernel.json", import.meta.url), "utf8")) as {
  verdicts: Readonly<Record<string, Readonly<Record<"all" | "bpf", Verdict>>>>;
};

/**
 * Where we differ on purpose: reading before a tracepoint's record, which the kernel's check lets through, and loops without
 * CAP_PERFMON, which its walk of mispredicted paths never gets out of.
 */
const EXCEPTIONS: Readonly<Record<string, readonly string[]>> = {
  all: ["context of tracepoint: u32 at -4"],
  bpf: ["flow: counted loop"],
};

/** The kernel prints what our maps have no equal of: addresses. */
const plain = (message: string): string => message.replace(/0xffff[0-9a-f]{12}/g, "0x0");

test("every program has a verdict of the kernel's", () => {
  expect(Object.keys(verdicts).sort()).toEqual(CASES.map((program) => program.name).sort());
  expect(CASES.length * 2).toBeGreaterThan(800);
});

test.each(["all", "bpf"] as const)("the kernel's verdicts, errors and words, capabilities: %s", (caps) => {
  const apart: string[] = [];
  for (const program of CASES) {
    if (EXCEPTIONS[caps]!.includes(program.name)) continue;
    const want = verdicts[program.name]![caps];
    const { verdict, errno, message } = verify(programSpec(program, caps), { logLevel: 1 });
    const got: Verdict = verdict === "accept" ? "accept" : [errno!, message];
    if (plain(JSON.stringify(got)) !== plain(JSON.stringify(want))) {
      apart.push(`${program.name}\n  kernel ${JSON.stringify(want)}\n  ours   ${JSON.stringify(got)}`);
    }
  }
  expect(apart.join("\n")).toBe("");
});
