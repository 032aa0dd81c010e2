/** Recordings of cases and verdicts, compared with what this kernel and verifier make of the same: for tests and for `npm run recordings`. */
import type { KernelInstance } from "../kernel/memory.ts";
import { runCase, verdictOf, type CaseElement, type CaseOptions, type ObjectCase, type VerdictRequest } from "./cases.ts";

/** A case as recorded: `levels` name the folders of its object, build/LEVEL/OBJECT.o. */
export interface RecordedCase extends ObjectCase {
  readonly object: string;
  readonly name: string;
  readonly levels?: readonly string[];
  readonly steps: readonly (ObjectCase["steps"][number] & { readonly expect: RecordedStep })[];
  readonly expect_maps?: Readonly<Record<string, readonly CaseElement[]>>;
  readonly expect_ringbuf?: Readonly<Record<string, readonly string[]>>;
}

export interface RecordedStep {
  readonly retval: number;
  readonly data_out?: string;
  readonly ctx_out?: string;
  /** Offset and length of the bytes of `ctx_out` that count. */
  readonly ctx_compare?: readonly (readonly [number, number])[];
}

export interface RecordedVerdict extends Omit<VerdictRequest, "program"> {
  readonly name: string;
  readonly verdict: "accept" | "reject";
  readonly program_hex: string;
  /** Where it tells something else than with all capabilities. */
  readonly kernel_root?: { readonly verdict: "accept" | "reject"; readonly message?: string };
  readonly kernel_bpf_only?: { readonly verdict: "accept" | "reject"; readonly message?: string };
}

/** What differs; undefined: nothing. */
export function caseDifference(instance: KernelInstance, elf: Uint8Array, recorded: RecordedCase, options: CaseOptions): string | undefined {
  try {
    const answer = runCase(instance, elf, recorded.object, recorded, options);
    for (const [i, { expect }] of recorded.steps.entries()) {
      const got = answer.steps[i]!;
      if (got.retval >>> 0 !== expect.retval >>> 0) return `step ${i}: retval: want ${expect.retval}, got ${got.retval}`;
      if (expect.data_out !== undefined && got.data_out !== expect.data_out) return `step ${i}: data_out: want ${expect.data_out}, got ${got.data_out}`;
      for (const [offset, length] of expect.ctx_compare ?? []) {
        const want = expect.ctx_out!.slice(2 * offset, 2 * (offset + length));
        const have = got.ctx_out.slice(2 * offset, 2 * (offset + length));
        if (want !== have) return `step ${i}: ctx_out at ${offset}: want ${want}, got ${have}`;
      }
    }
    for (const [name, want] of Object.entries(recorded.expect_maps ?? {})) {
      const got = answer.maps[name];
      if (JSON.stringify(got) !== JSON.stringify(want)) return `map ${name}: want ${JSON.stringify(want)}, got ${JSON.stringify(got)}`;
    }
    for (const [name, want] of Object.entries(recorded.expect_ringbuf ?? {})) {
      const got = answer.ringbuf[name];
      if (JSON.stringify(got) !== JSON.stringify(want)) return `ring buffer ${name}: want ${JSON.stringify(want)}, got ${JSON.stringify(got)}`;
    }
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Verdicts with all capabilities, and with CAP_BPF alone where they were recorded. */
export function verdictDifference(recorded: RecordedVerdict): string | undefined {
  const { program_hex: program, kernel_root: root, kernel_bpf_only: bpfOnly, ...rest } = recorded;
  const ask = (caps: "all" | "bpf", want: string): string | undefined => {
    try {
      const { verdict, message } = verdictOf({ ...rest, program, caps });
      return verdict === want ? undefined : `caps ${caps}: want ${want}, got ${verdict}${message === "" ? "" : ` (${message})`}`;
    } catch (error) {
      return `caps ${caps}: ${error instanceof Error ? error.message : String(error)}`;
    }
  };
  return ask("all", root?.verdict ?? recorded.verdict) ?? (bpfOnly === undefined ? undefined : ask("bpf", bpfOnly.verdict));
}
