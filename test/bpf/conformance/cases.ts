/** What record.mjs recorded, for the tests of every engine. */
import { readFileSync, readdirSync } from "node:fs";

export interface ConformanceCase {
  readonly group: string;
  readonly name: string;
  readonly program: Uint8Array;
  /** Linux's verifier refuses it (a constant shift out of range, division by a constant 0, dead code): to be run without one. */
  readonly unverified: boolean;
  readonly runs: readonly { readonly memory: Uint8Array; readonly r0: bigint; readonly after: Uint8Array }[];
}

interface Recorded {
  readonly inputs: readonly string[];
  readonly cases: readonly { name: string; program: string; r0: string; memory?: readonly string[]; unverified?: boolean }[];
}

const bytes = (hex: string): Uint8Array => Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));

/** Every recorded program with its inputs and what Linux made of them. */
export function conformanceCases(): ConformanceCase[] {
  const folder = new URL("./", import.meta.url);
  return readdirSync(folder).filter((file) => file.endsWith(".json")).sort().flatMap((file) => {
    const { inputs, cases } = JSON.parse(readFileSync(new URL(file, folder), "utf8")) as Recorded;
    return cases.map(({ name, program, r0, memory, unverified = false }) => ({
      group: file.slice(0, -".json".length), name, program: bytes(program), unverified,
      runs: r0.split(" ").map((number, n) => ({
        memory: bytes(inputs[n]!), r0: BigInt(`0x${number}`), after: bytes(memory?.[n] || inputs[n]!),
      })),
    }));
  });
}
