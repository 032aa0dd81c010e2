// The compiler alone against the reference interpreter: random programs, graphs that no source language makes, large and deep ones.
import { describe, expect, test } from "vitest";
import { compile } from "../../src/bpf/jit/index.ts";
import { DATA_AT, STACK_AT, newMemory, runCompiled } from "./compiled.ts";
import { PACKET, randomOf, structured, wild, type Random } from "./programs.ts";
import { interpret, type Machine, type Outcome } from "./reference.ts";

const memory = newMemory();
const view = new DataView(memory.buffer);
const packet = new Uint8Array(memory.buffer, DATA_AT, PACKET);

/** What one engine makes of a program: its outcome and the packet afterwards. */
function observed(run: (machine: Omit<Machine, "memory">) => Outcome, seed: number, machine: Partial<Machine>): { outcome: Outcome; packet: string } {
  for (let at = 0; at < PACKET; at++) packet[at] = (at * 37 + seed * 11) & 0xff;
  const outcome = run({ r1: BigInt(DATA_AT), r2: BigInt(PACKET), fp: STACK_AT + 512, ...machine });
  return { outcome, packet: Buffer.from(packet).toString("hex") };
}

/** The packet and the stack up to the frame that runs. */
const owns = (address: bigint, bytes: number, _write: boolean, fp: number): boolean => {
  const end = address + BigInt(bytes);
  return (address >= BigInt(DATA_AT) && end <= BigInt(DATA_AT + PACKET)) || (address >= BigInt(STACK_AT) && end <= BigInt(fp));
};

function compare(make: (random: Random) => Uint8Array, seed: number, machine: Partial<Machine>, checked: boolean): void {
  const program = make(randomOf(seed));
  const expected = observed((rest) => interpret(program, { memory: view, ...rest }), seed, machine);
  const got = observed((rest) => runCompiled(program, memory, rest, { checked }), seed, machine);
  const told = `seed ${seed}${checked ? " checked" : ""} ${Buffer.from(program).toString("hex")}`;
  expect({ told, ...got }).toEqual({ told, ...expected });
}

describe("random programs", () => {
  test("structured ones give the same with and without checks", () => {
    for (let seed = 1; seed <= 1500; seed++) {
      compare(structured, seed, {}, false);
      compare(structured, seed, { fuel: 1_000_000, owns }, true);
    }
  });

  test("wild ones end with the same fault at the same slot", () => {
    for (let seed = 1; seed <= 1500; seed++) compare(wild, seed, { fuel: 500, owns }, true);
  });
});

test("compile is exported", () => expect(compile).toBeDefined());
